//! What is read as base64url and what is refused.

use super::*;
use serde_json::Value;

#[test]
fn vectors_of_the_real_node_hold() {
    let vectors = include_str!("../../../tests/vectors/chainweb/base64url.json");
    let vectors: Value = serde_json::from_str(vectors).expect("the vectors are JSON");
    for case in vectors["cases"].as_array().expect("a list of cases") {
        let text = case["text"].as_str().expect("a text");
        let decoded = decode(text);
        match case["bytes_hex"].as_str() {
            Some(expected) => {
                let bytes = decoded.unwrap_or_else(|error| panic!("{}: {error}", case["id"]));
                assert_eq!(hex(&bytes), expected, "{}", case["id"]);
                assert_eq!(encode(&bytes), text.trim_end_matches('='), "{}", case["id"]);
                assert_eq!(
                    decode_32(text.as_bytes()),
                    bytes.try_into().ok(),
                    "{}",
                    case["id"]
                );
            }
            None => {
                let error = decoded.expect_err("a refused text").to_string();
                assert_eq!(
                    error,
                    case["real_error"].as_str().expect("a text"),
                    "{}",
                    case["id"]
                );
                assert_eq!(decode_32(text.as_bytes()), None, "{}", case["id"]);
            }
        }
    }
}

#[test]
fn errors_name_the_first_violation() {
    for (text, expected) in [
        (
            "C385m6e9S7WzelUFCyW-JoZFJGQNlcI0jqCO8YrPMVp",
            "non-canonical encoding detected at offset: 42",
        ),
        ("AB", "non-canonical encoding detected at offset: 1"),
        ("a+b/", "invalid character at offset: 1"),
        ("A", "invalid padding at offset: 1"),
        ("AAAAA", "invalid padding at offset: 5"),
        ("AA=A", "invalid character at offset: 3"),
        ("AA==AAAA", "invalid padding at offset: 2"),
        ("AAA=====", "invalid padding at offset: 3"),
        ("é", "invalid character at offset: 0"),
    ] {
        assert_eq!(
            decode(text).map_err(|error| error.to_string()),
            Err(expected.into()),
            "{text}"
        );
    }
}

#[test]
fn decode_32_agrees_with_decode_on_every_last_character() {
    let hash = encode(&[0x5a; 32]);
    for last in 0..=u8::MAX {
        for place in [0, 21, 41, 42] {
            let mut text = hash.clone().into_bytes();
            text[place] = last;
            let general = std::str::from_utf8(&text)
                .ok()
                .and_then(|text| decode(text).ok());
            let expected = general.and_then(|bytes| bytes.try_into().ok());
            assert_eq!(decode_32(&text), expected, "byte {last} in place {place}");
        }
    }
}

#[test]
fn encoding_then_decoding_is_the_identity() {
    for length in 0..70_u8 {
        let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
        assert_eq!(decode(&encode(&bytes)).as_deref(), Ok(&bytes[..]));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
