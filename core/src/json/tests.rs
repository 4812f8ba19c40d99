//! JSON as the real nodes read and write it, down to the wording of errors.

use super::*;

#[test]
fn structural_errors_are_worded_like_those_of_aeson() {
    let peer = |text| parse(text).and_then(|value| read_peer(&value));
    for (text, expected) in [
        (r#"{"address":{}}"#, r#"Error in $: key "id" not found"#),
        (r#"{"id":null}"#, r#"Error in $: key "address" not found"#),
        (
            "[]",
            "Error in $: parsing PeerInfo failed, expected Object, but encountered Array",
        ),
        (
            r#"{"id":7,"address":{"port":1}}"#,
            "Error in $.id: parsing Text failed, expected String, but encountered Number",
        ),
        (
            r#"{"id":null,"address":{"port":"1"}}"#,
            "Error in $.address.port: parsing Word16 failed, expected Number, but encountered String",
        ),
        (
            r#"{"id":null,"address":{"port":65536}}"#,
            "Error in $.address.port: parsing Word16 failed, value is either floating or will \
             cause over or underflow 65536.0",
        ),
        (
            r#"{"id":null,"address":{"port":1.5}}"#,
            "Error in $.address.port: parsing Word16 failed, value is either floating or will \
             cause over or underflow 1.5",
        ),
        (
            r#"{"id":"abc","address":{"port":1}}"#,
            "Error in $.id: wrong peer-id length: expected 32 bytes, got 3 bytes.",
        ),
    ] {
        assert_eq!(
            peer(text).map_err(|error| error.to_string()),
            Err(expected.into()),
            "{text}"
        );
    }
    assert_eq!(peer(r#"{"id":null,"address":{"port":4.43e2}}"#), Ok(443));
    assert_eq!(
        peer(r#"{"address":{"port":443.0,"port":"x"},"id":null}"#),
        Ok(443)
    );
}

fn read_peer(value: &Value<'_>) -> Result<u16, Error> {
    let peer = value.object("PeerInfo")?;
    peer.read("id", |id| {
        if *id == Value::Null {
            return Ok(());
        }
        id.string("Text")?;
        Err(Error::new(
            "wrong peer-id length: expected 32 bytes, got 3 bytes.",
        ))
    })?;
    peer.read("address", |address| {
        address.object("HostAddress")?.read("port", Value::word16)
    })
}

#[test]
fn paths_quote_unusual_keys() {
    let error = Error::new("x")
        .at_index(3)
        .at_key("account-keyset")
        .at_key("data");
    assert_eq!(error.to_string(), "Error in $.data['account-keyset'][3]: x");
}

#[test]
fn malformed_texts_are_refused() {
    let deep = "[".repeat(200_000);
    let too_deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    for text in [
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "tru",
        "nul",
        "1 2",
        "[] x",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\u+123\"",
        "\"\n\"",
        "\"\0\"",
        "\"abcdefgh\u{1}\"",
        "NaN",
        "'a'",
        "{1:2}",
        "\u{feff}1",
        &deep,
        &too_deep,
    ] {
        let error = parse(text).expect_err(&text.chars().take(40).collect::<String>());
        assert!(error.to_string().starts_with("Error in $: "), "{error}");
        assert!(string_array(text.as_bytes(), "Text").is_err());
    }
    assert!(parse_bytes(b"\"\xff\"").is_err());
    assert!(
        parse_bytes(b"\"\xed\xa0\x80\"").is_err(),
        "a surrogate in UTF-8"
    );
    assert!(parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_ok());
}

#[test]
fn strings_are_resolved_and_written_back() {
    for (literal, text) in [
        (r#""""#, ""),
        (r#""plain""#, "plain"),
        (r#""a\"b\\c\n\r\t\u0000\u001f""#, "a\"b\\c\n\r\t\0\x1f"),
        ("\"🌊 ü \u{7f} <>/\"", "🌊 ü \u{7f} <>/"),
    ] {
        assert_eq!(string_literal(literal).as_deref(), Ok(text));
        let mut written = String::new();
        write_string(&mut written, text);
        assert_eq!(written, literal);
    }
    let lenient = r#" "\ud83c\udf0a\/\b\f\u00e9" "#;
    assert_eq!(
        string_literal(lenient.trim()).as_deref(),
        Ok("🌊/\x08\x0cé")
    );
    let all: String = (0..0x300)
        .filter_map(char::from_u32)
        .cycle()
        .take(5_000)
        .collect();
    let mut written = String::new();
    write_string(&mut written, &all);
    assert_eq!(string_literal(&written).as_deref(), Ok(&all[..]));
    assert_eq!(
        serde_json::from_str::<String>(&written).expect("valid JSON"),
        all
    );
}

#[test]
fn run_length_is_that_of_the_naive_search() {
    let mut text: Vec<u8> = (0..64)
        .map(|place| b'!' + place % 2 + 0x60 * (place % 3))
        .collect();
    for place in 0..64 {
        for byte in 0..=u8::MAX {
            let before = std::mem::replace(&mut text[place], byte);
            let naive = text
                .iter()
                .position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
            assert_eq!(
                parse::plain_run(&text),
                naive.unwrap_or(64),
                "{byte} at {place}"
            );
            text[place] = before;
        }
    }
}

#[test]
fn string_arrays_take_the_fast_and_the_slow_path_alike() {
    let strings = |body: &str| {
        let fast = string_array(body.as_bytes(), "TransactionHash").map_err(|e| e.to_string());
        let slow = parse(body).and_then(|value| {
            value.each("[]", |element| {
                element.string("TransactionHash").map(str::to_owned)
            })
        });
        let fast = fast.map(|texts| texts.into_iter().map(Cow::into_owned).collect::<Vec<_>>());
        assert_eq!(fast, slow.map_err(|error| error.to_string()), "{body}");
        fast
    };
    assert_eq!(strings(" [ ] "), Ok(vec![]));
    assert_eq!(
        strings(r#"[ "a" , "b\n" ]"#),
        Ok(vec!["a".into(), "b\n".into()])
    );
    for (body, expected) in [
        (
            "null",
            "Error in $: parsing [] failed, expected Array, but encountered Null",
        ),
        (
            "{}",
            "Error in $: parsing [] failed, expected Array, but encountered Object",
        ),
        (
            r#"["a",1]"#,
            "Error in $[1]: parsing TransactionHash failed, expected String, but encountered Number",
        ),
    ] {
        assert_eq!(strings(body), Err(expected.into()));
    }
    assert!(strings("[\"a\"").is_err());
    assert!(strings("[\"a\"]]").is_err());
}

#[test]
fn numbers_are_exact() {
    for (text, integer, rounded) in [
        ("0", Some(0), Some(0)),
        ("-0.0", Some(0), Some(0)),
        ("443.0", Some(443), Some(443)),
        ("4.43e2", Some(443), Some(443)),
        ("4430E-1", Some(443), Some(443)),
        (
            "9223372036854775807",
            Some(i128::from(i64::MAX)),
            Some(i128::from(i64::MAX)),
        ),
        (
            "-9007199254740993",
            Some(-9_007_199_254_740_993),
            Some(-9_007_199_254_740_993),
        ),
        ("0.5", None, Some(0)),
        ("1.5", None, Some(2)),
        ("2.5", None, Some(2)),
        ("-2.5", None, Some(-2)),
        ("-3.5", None, Some(-4)),
        ("150000.5", None, Some(150_000)),
        ("150001.5", None, Some(150_002)),
        (
            "2.50000000000000000000000000000000000000000000000001",
            None,
            Some(3),
        ),
        (
            "0.49999999999999999999999999999999999999999999999999",
            None,
            Some(0),
        ),
        ("1e37", Some(10_i128.pow(37)), Some(10_i128.pow(37))),
        ("1e38", None, None),
        ("1e999999999", None, None),
        ("1e99999999999999999999999999", None, None),
        ("0e99999999999999999999999999", Some(0), Some(0)),
        ("1e-99999999999999999999999999", None, Some(0)),
    ] {
        assert_eq!(number(text).to_integer(), integer, "{text}");
        assert_eq!(number(text).round_half_even(), rounded, "{text}");
    }
    let zeros = format!("1{}e-1000000", "0".repeat(1_000_000));
    assert_eq!(number(&zeros).to_integer(), Some(1));
    let nines = "9".repeat(39);
    assert_eq!(number(&nines).to_integer(), None);
    assert_eq!(number(&nines[1..]).to_integer(), Some(10_i128.pow(38) - 1));
    assert_eq!(number(&format!("0.{nines}")).round_half_even(), Some(1));
    for (text, shown) in [
        ("65536", "65536.0"),
        ("1e7", "1.0e7"),
        ("9999999", "9999999.0"),
        ("-1.25", "-1.25"),
        ("0.1", "0.1"),
        ("0.012", "1.2e-2"),
        ("0", "0.0"),
        ("120", "120.0"),
        ("123456789", "1.23456789e8"),
    ] {
        assert_eq!(number(text).scientific(), shown, "{text}");
    }
}

fn number(text: &str) -> Number<'_> {
    match parse(text) {
        Ok(Value::Number(number)) => number,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn decimals_are_exact_and_ordered() {
    let decimal = |text: &str| match parse(text) {
        Ok(Value::Number(number)) => number.to_decimal().unwrap_or_else(|| panic!("{text}")),
        other => panic!("{text}: {other:?}"),
    };
    for (text, shown, places) in [
        ("1e-13", "0.0000000000001", 13),
        ("9e-9", "0.000000009", 9),
        ("1.9981e-7", "0.00000019981", 11),
        ("0.00000100", "0.000001", 6),
        ("150000", "150000", 0),
        ("-12.50", "-12.5", 1),
        ("0.0e5", "0", 0),
        ("1e20", "100000000000000000000", 0),
    ] {
        assert_eq!(decimal(text).to_string(), shown, "{text}");
        assert_eq!(decimal(text).decimal_places(), places, "{text}");
        assert_eq!(Decimal::parse_plain(shown), Some(decimal(text)), "{text}");
    }
    let mut ascending = [
        "-1e255",
        "-2",
        "-1.5",
        "-1e-255",
        "0",
        "1e-255",
        "1e-13",
        "9e-9",
        "1e-8",
        "1.1e-8",
        "9.9",
        "10",
        "99999999999999999999999999999999999999",
        "1e38",
        "1e255",
    ]
    .map(decimal);
    let expected = ascending;
    ascending.reverse();
    ascending.sort();
    assert_eq!(ascending, expected);
    for text in [
        "", "-", ".5", "5.", "1e5", "+1", " 1", "1 ", "0x1", "1.2.3", "--1",
    ] {
        assert_eq!(Decimal::parse_plain(text), None, "{text}");
    }
    for text in ["1e256", "1e-256", "1e999999999", "1e-999999999"] {
        assert_eq!(Number::from_valid(text).to_decimal(), None, "{text}");
    }
    assert_eq!(Decimal::new(100, -10), Decimal::parse_plain("0.00000001"));
    assert_eq!(Decimal::new(i128::MIN, 0), None);
}

#[test]
fn haskell_shows_strings_in_ascii() {
    for (text, shown) in [
        ("key \"id\" \\", r#""key \"id\" \\""#),
        ("é1é", r#""\233\&1\233""#),
        ("🌊", r#""\127754""#),
        (
            "\u{e}H\u{e}I\n\t\u{7f}\0\u{1b}[",
            r#""\SO\&H\SOI\n\t\DEL\NUL\ESC[""#,
        ),
    ] {
        assert_eq!(haskell_show(text), shown);
    }
}
