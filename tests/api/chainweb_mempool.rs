//! `/chain/{n}/mempool/…`: what is taken, what is told.

use std::time::Duration;

use peerage_core::Event;
use peerage_core::rooms::chainweb_mempool::Event as MempoolEvent;
use peerage_core::rooms::chainweb_mempool::command::hash_cmd;
use peerage_core::rooms::chainweb_mempool::sign::{Draft, public_key, sign_cmd, wire};
use peerage_core::time::WallTime;
use peerage_tests::Bench;
use peerage_tests::commands::{
    ALICE, BOB, START, draft, found, insert_body, key_of, keys_body, signed,
};
use serde_json::{Value, json};

use crate::{MEMPOOL, bare};

fn put(bench: &mut Bench, texts: &[String]) -> u16 {
    bench
        .fetch_json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(texts))
        .status
}

fn member(bench: &mut Bench, texts: &[String]) -> Vec<bool> {
    let keys: Vec<String> = texts.iter().map(|text| key_of(text)).collect();
    let answer = bench.fetch_json("POST", &format!("{MEMPOOL}/member"), &keys_body(&keys));
    serde_json::from_value(answer.json()).expect("booleans")
}

fn pending(bench: &mut Bench, query: &str) -> (Vec<String>, i64, i64) {
    let answer = bench
        .fetch(bare("POST", &format!("{MEMPOOL}/getPending?{query}")))
        .json();
    let mut hashes: Vec<String> = serde_json::from_value(answer["hashes"].clone()).expect("hashes");
    hashes.sort();
    let mark = |place: usize| answer["highwaterMark"][place].as_i64().expect("an integer");
    (hashes, mark(0), mark(1))
}

fn rejections(bench: &Bench) -> Vec<String> {
    let text = |event: &Event| {
        let Event::ChainwebMempool(MempoolEvent::TxRejected { error, .. }) = event else {
            return None;
        };
        Some(error.to_string())
    };
    bench.events().iter().filter_map(text).collect()
}

fn keys(texts: &[String]) -> Vec<String> {
    let mut keys: Vec<String> = texts.iter().map(|text| key_of(text)).collect();
    keys.sort();
    keys
}

/// Inserts one command into a fresh pool and gives the reason why it is not taken.
fn verdict(text: &str) -> Option<String> {
    let mut bench = Bench::new();
    assert_eq!(put(&mut bench, &[text.to_owned()]), 200);
    let reason = rejections(&bench).pop();
    assert_eq!(member(&mut bench, &[text.to_owned()]), [reason.is_none()]);
    reason
}

#[test]
fn command_is_inserted_found_and_listed() {
    let mut bench = Bench::new();
    let text = signed("first");
    let unknown = "C385m6e9S7WzelUFCyW-JoZFJGQNlcI0jqCO8YrPMVo";
    let asked = json!([key_of(&text), unknown, key_of(&text)]).to_string();
    bench.send(bare("POST", &format!("{MEMPOOL}/getPending")));
    bench.fetch_json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(&[text]));
    for resource in ["member", "lookup"] {
        bench.fetch_json("POST", &format!("{MEMPOOL}/{resource}"), &asked);
    }
    bench.send(bare("POST", &format!("{MEMPOOL}/getPending")));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn chains_have_pools_of_their_own() {
    let mut bench = Bench::new();
    let text = signed("only here");
    assert_eq!(put(&mut bench, std::slice::from_ref(&text)), 200);
    let other = "/chainweb/0.0/development/chain/1/mempool";
    let asked = keys_body(&[key_of(&text)]);
    let answer = bench.fetch_json("POST", &format!("{other}/member"), &asked);
    assert_eq!(answer.text(), "[false]");
    let of = |bench: &mut Bench, path: &str| {
        bench
            .fetch(bare("POST", &format!("{path}/getPending")))
            .json()["highwaterMark"]
            .clone()
    };
    let (here, there) = (of(&mut bench, MEMPOOL), of(&mut bench, other));
    assert_eq!((&here[1], &there[1]), (&json!(1), &json!(0)));
    assert_ne!(here[0], there[0], "nonces are drawn by chain");
}

#[test]
fn malformed_keys_are_explained() {
    let mut bench = Bench::new();
    for body in [
        "{}",
        "[1]",
        r#"["a+b/"]"#,
        r#"["C385m6e9S7WzelUFCyW-JoZFJGQNlcI0jqCO8YrPMVp"]"#,
        r#"["AQEBAQEBAQ"]"#,
        r#"[""]"#,
        "[",
    ] {
        bench.fetch_json("POST", &format!("{MEMPOOL}/member"), body);
        let text = bench.story();
        bench.fetch_json("POST", &format!("{MEMPOOL}/lookup"), body);
        assert_eq!(
            text.replace("/member ", "/lookup "),
            bench.story(),
            "{body}"
        );
    }
    for fine in ["[]", " [ ] ", r#"["AQEBAQEBAQE"]"#, r#"["AQEBAQEBAQE="]"#] {
        let answer = bench.fetch_json("POST", &format!("{MEMPOOL}/member"), fine);
        assert_eq!(answer.status, 200, "{fine}");
    }
    bench.story();
    for body in ["{}", r#"["a+b/"]"#, r#"["AQEBAQEBAQ"]"#] {
        bench.fetch_json("POST", &format!("{MEMPOOL}/lookup"), body);
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn padded_keys_are_read() {
    let mut bench = Bench::new();
    let text = signed("padded");
    put(&mut bench, std::slice::from_ref(&text));
    let asked = keys_body(&[format!("{}=", key_of(&text))]);
    let answer = bench.fetch_json("POST", &format!("{MEMPOOL}/member"), &asked);
    assert_eq!(answer.text(), "[true]");
}

// --- getPending ---

#[test]
fn mark_is_constant_in_its_run_and_grows() {
    let mut bench = Bench::new();
    let (_, nonce, next) = pending(&mut bench, "");
    assert_eq!(next, 0);
    put(&mut bench, &[signed("a"), signed("b")]);
    bench.advance(Duration::from_secs(5));
    assert_eq!(pending(&mut bench, "").1, nonce);
    assert_eq!(pending(&mut bench, "").2, 2);
    bench.restart();
    assert_ne!(pending(&mut bench, "").1, nonce);
    let negative = (0..20).any(|seed| {
        let seed = peerage_core::Seed([seed; 32]);
        pending(&mut Bench::of(Bench::config(1), seed), "").1 < 0
    });
    assert!(negative, "a signed number is negative now and then");
}

#[test]
fn incomplete_or_void_marks_give_everything() {
    let mut bench = Bench::new();
    let texts = [signed("a"), signed("b")];
    put(&mut bench, &texts);
    let (all, nonce, _) = pending(&mut bench, "");
    assert_eq!(all, keys(&texts));
    let other = nonce.wrapping_add(1);
    for query in [
        format!("nonce={nonce}"),
        "since=2".to_owned(),
        format!("nonce={other}&since=2"),
        format!("nonce={nonce}&since=3"),
        format!("nonce={nonce}&since=-2047"),
        format!("nonce={nonce}&since"),
    ] {
        assert_eq!(pending(&mut bench, &query).0, all, "{query}");
    }
    assert!(
        pending(&mut bench, &format!("nonce={nonce}&since=2"))
            .0
            .is_empty()
    );
}

#[test]
fn valid_mark_gives_what_is_new_and_still_pending() {
    let mut bench = Bench::new();
    put(&mut bench, &[signed("old")]);
    let (_, nonce, mark) = pending(&mut bench, "");
    let brief = Draft {
        ttl: 30,
        ..draft("brief")
    }
    .sign(&[ALICE]);
    let lasting = signed("lasting");
    put(&mut bench, &[brief.clone(), lasting.clone()]);
    let query = format!("nonce={nonce}&since={mark}");
    assert_eq!(
        pending(&mut bench, &query).0,
        keys(&[brief, lasting.clone()])
    );
    bench.advance(Duration::from_secs(120));
    assert_eq!(pending(&mut bench, &query), (keys(&[lasting]), nonce, 3));
}

#[test]
fn get_pending_ignores_its_body() {
    let mut bench = Bench::new();
    for request in [
        format!("POST {MEMPOOL}/getPending HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nrubbish"),
        format!("POST {MEMPOOL}/getPending HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{}}"),
        bare("POST", &format!("{MEMPOOL}/getPending")),
    ] {
        assert_eq!(bench.fetch(request).status, 200);
    }
    bench.story();
    for query in [
        "nonce=x&since=1",
        "nonce=1&since=9223372036854775808",
        "nonce=-9223372036854775809&since=1",
        "nonce=9223372036854775807&since=-9223372036854775808",
    ] {
        bench.send(bare("POST", &format!("{MEMPOOL}/getPending?{query}")));
    }
    insta::assert_snapshot!(bench.story());
}

// --- lookup ---

#[test]
fn lookup_gives_the_canonical_text_and_the_cmd_byte_for_byte() {
    let mut bench = Bench::new();
    // Odd but legal: spaces, escapes, another order of keys, keys nobody knows.
    let cmd = draft("odd")
        .cmd(&[])
        .replacen('{', "{ \"\\u0078\": [1e3 ,\"\u{e9}\"],\t", 1);
    let hash = hash_cmd(&cmd);
    let sent = format!(
        "{{\"cmd\":{},\"x\":null, \"sigs\":[],\"hash\":\"{hash}=\"}} ",
        json!(cmd)
    );
    assert_eq!(put(&mut bench, &[sent]), 200);
    let answer = bench.fetch_json(
        "POST",
        &format!("{MEMPOOL}/lookup"),
        &json!([hash.to_string()]).to_string(),
    );
    let contents = wire(&hash, &[], &cmd);
    assert_eq!(answer.json(), found(&[Some(contents.clone())]));
    let inner: Value = serde_json::from_str(&contents).expect("JSON");
    assert_eq!(inner["cmd"], cmd);
    assert!(
        !answer.text().contains("null"),
        "Missing has no contents, Pending no null"
    );
}

// --- insert ---

#[test]
fn refusals_of_whole_batches_are_explained() {
    let mut bench = Bench::new();
    let fine = signed("fine");
    let mut insert = |body: &str| {
        bench.fetch_json("PUT", &format!("{MEMPOOL}/insert"), body);
    };
    insert("{}");
    insert("[{}]");
    insert(&json!(["{}"]).to_string());
    insert(&json!([fine, r#"{"hash":"a","sigs":[],"cmd":""}"#]).to_string());
    insert(&json!([fine, "nope"]).to_string());
    insert(
        &json!([
            fine,
            wire(&hash_cmd(&draft("x").cmd(&[])), &[], &draft("x").cmd(&[]))
                .replace("[]", "[null]")
        ])
        .to_string(),
    );
    assert_eq!(pending(&mut bench, "").0, [""; 0]);
    insta::assert_snapshot!(bench.story());
}

#[test]
fn invalid_commands_are_dropped_in_silence() {
    let mut bench = Bench::new();
    let (good, bad) = (
        signed("good"),
        Draft {
            gas_price: "1e-9",
            ..draft("bad")
        }
        .sign(&[ALICE]),
    );
    bench.fetch_json(
        "PUT",
        &format!("{MEMPOOL}/insert"),
        &insert_body(&[bad.clone(), good.clone()]),
    );
    assert_eq!(member(&mut bench, &[bad.clone(), good]), [false, true]);
    bench.fetch_json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(&[bad]));
    insta::assert_snapshot!(bench.story());
}

/// Each limit on both sides.
#[test]
fn limits_hold_to_the_unit() {
    let signed = |change: &dyn Fn(&mut Draft<'_>)| {
        let mut draft = draft("edge");
        change(&mut draft);
        draft.sign(&[ALICE])
    };
    let taken = |change: &dyn Fn(&mut Draft<'_>)| assert_eq!(verdict(&signed(change)), None);
    let refused = |text: &str, change: &dyn Fn(&mut Draft<'_>)| {
        assert_eq!(verdict(&signed(change)).as_deref(), Some(text));
    };
    taken(&|draft| draft.gas_limit = 150_000);
    refused(
        "Transaction gas limit exceeds block gas limit (150000)",
        &|draft| draft.gas_limit = 150_001,
    );
    taken(&|draft| draft.gas_price = "0.000000010001");
    refused(
        "insert error: This transaction's gas price: 0.0000000100001 is not correctly rounded. It \
         should be rounded to at most 12 decimal places.",
        &|draft| draft.gas_price = "0.0000000100001",
    );
    taken(&|draft| draft.gas_price = "1e-8");
    refused(
        "Transaction gas price (0.000000009999) is below minimum gas price (0.00000001)",
        &|draft| draft.gas_price = "0.000000009999",
    );
    taken(&|draft| draft.creation_time = START + 9);
    refused(
        "Transaction creation time too far in the future",
        &|draft| draft.creation_time = START + 10,
    );
    let expired = "Transaction time-to-live is expired";
    taken(&|draft| (draft.creation_time, draft.ttl) = (START - 10, 11));
    refused(expired, &|draft| {
        (draft.creation_time, draft.ttl) = (START - 10, 10)
    });
    refused(expired, &|draft| draft.ttl = 0);
    refused(expired, &|draft| draft.ttl = -1);
    taken(&|draft| draft.ttl = 172_800);
    refused(expired, &|draft| draft.ttl = 172_801);
    let endpoint = "Transaction metadata (chain id, chainweb version) conflicts with this endpoint";
    refused(endpoint, &|draft| draft.chain = 1);
    refused(endpoint, &|draft| draft.network = "Development");
    // A cmd that is taken when it is only just right in its spelling.
    let cmd = draft("00")
        .cmd(&[])
        .replace("\"chainId\":\"0\"", "\"chainId\":\"00\"");
    assert_eq!(verdict(&sign_cmd(&cmd, &[])).as_deref(), Some(endpoint));
    let cmd = draft("x")
        .cmd(&[])
        .replace("\"chainId\":\"0\"", "\"chainId\":\"x\"");
    assert_eq!(
        verdict(&sign_cmd(&cmd, &[])).as_deref(),
        Some("insert error: Unparsable ChainId")
    );
}

/// A command with every fault there is, mended one fault at a time: the first check decides.
#[test]
fn checks_of_commands_come_in_order() {
    let many: Vec<String> = vec!["00".repeat(64); 101];
    let mut faulty = Draft {
        chain: 0,
        creation_time: START + 60,
        gas_limit: 150_001,
        gas_price: "0.0000000000001",
        network: "mainnet01",
        ttl: 0,
        ..draft("faulty")
    };
    let keys = [public_key(&ALICE)];
    let mut unparsable = true;
    let (mut sigs, mut mismatched) = (many, true);
    let mut reasons = Vec::new();
    for step in 0..12 {
        match step {
            1 => faulty.gas_limit = 1_000,
            2 => faulty.gas_price = "0.000000000001",
            3 => faulty.gas_price = "1e-7",
            4 => faulty.creation_time = START,
            5 => faulty.ttl = 600,
            6 => unparsable = false,
            7 => faulty.chain = 0,
            8 => sigs.truncate(2),
            9 => faulty.network = "development",
            10 => mismatched = false,
            11 => sigs.truncate(1),
            _ => faulty.chain = 7,
        }
        let mut cmd = faulty.cmd(&keys);
        if unparsable {
            cmd = cmd.replace("\"chainId\":\"7\"", "\"chainId\":\"x\"");
        }
        let hashed = if mismatched {
            "another text"
        } else {
            cmd.as_str()
        };
        let text = wire(&hash_cmd(hashed), &sigs, &cmd);
        reasons.push(verdict(&text).expect("still a fault"));
    }
    insta::assert_snapshot!(reasons.join("\n"));
    assert_eq!(verdict(&faulty.sign(&[ALICE])), None, "no fault is left");
}

#[test]
fn signatures_are_counted_and_checked() {
    assert_eq!(verdict(&draft("nobody").sign(&[])), None);
    assert_eq!(verdict(&draft("two").sign(&[ALICE, BOB])), None);
    let crowd: Vec<[u8; 32]> = (0..101).map(|n| [n; 32]).collect();
    assert_eq!(verdict(&draft("hundred").sign(&crowd[..100])), None);
    let many = verdict(&draft("more").sign(&crowd));
    assert_eq!(many.as_deref(), Some("insert error: Too many signatures"));
    // Upper case, in keys and signatures.
    let cmd = draft("upper").cmd(&[public_key(&ALICE).to_uppercase()]);
    let text = sign_cmd(&cmd, &[ALICE]);
    let sig = text.split("{\"sig\":\"").nth(1).expect("a signature")[..128].to_owned();
    assert_eq!(verdict(&text.replace(&sig, &sig.to_uppercase())), None);
    let swapped = sign_cmd(
        &draft("swapped").cmd(&[public_key(&BOB), public_key(&ALICE)]),
        &[ALICE, BOB],
    );
    let reason = verdict(&swapped).expect("a reason");
    assert_eq!(
        reason,
        "Invalid transaction sigs: The signature at position 0 is invalid: invalid ed25519 signature."
    );
}

#[test]
fn pending_command_may_come_again() {
    let mut bench = Bench::new();
    let (first, second) = (signed("first"), signed("second"));
    put(&mut bench, std::slice::from_ref(&first));
    put(&mut bench, &[second]);
    let (_, nonce, mark) = pending(&mut bench, "");
    put(&mut bench, std::slice::from_ref(&first));
    let query = format!("nonce={nonce}&since={mark}");
    assert_eq!(
        pending(&mut bench, &query),
        (keys(&[first]), nonce, mark + 1)
    );
    assert_eq!(pending(&mut bench, "").0.len(), 2, "one entry each");
}

/// The same command with another signature of the same owner, or a false one.
#[test]
fn pending_command_with_other_signatures_is_checked() {
    let mut bench = Bench::new();
    let text = signed("same");
    put(&mut bench, std::slice::from_ref(&text));
    let sig = text.split("{\"sig\":\"").nth(1).expect("a signature")[..128].to_owned();
    let forged = text.replace(&sig, &"00".repeat(64));
    assert_eq!(key_of(&text), key_of(&forged));
    put(&mut bench, &[forged]);
    assert_eq!(rejections(&bench).len(), 1);
    let asked = keys_body(&[key_of(&text)]);
    let answer = bench.fetch_json("POST", &format!("{MEMPOOL}/lookup"), &asked);
    assert_eq!(answer.json(), found(&[Some(text)]));
}

#[test]
fn full_pool_drops_what_comes() {
    let mut bench = Bench::with(|config| config.limits.pool_max = 3);
    let texts: Vec<String> = (0..4).map(|n| signed(&format!("{n}"))).collect();
    assert_eq!(put(&mut bench, &texts[..2]), 200);
    assert_eq!(put(&mut bench, &[texts[2].clone(), texts[3].clone()]), 200);
    assert_eq!(member(&mut bench, &texts), [true, true, true, false]);
    // A dear one does not push a cheap one out.
    let dear = Draft {
        gas_price: "1",
        ..draft("dear")
    }
    .sign(&[ALICE]);
    assert_eq!(put(&mut bench, std::slice::from_ref(&dear)), 200);
    assert_eq!(member(&mut bench, &[dear]), [false]);
    assert!(
        bench
            .event_names()
            .any(|name| name == "tx_dropped_pool_full")
    );
}

#[test]
fn pool_holds_ten_thousand() {
    let mut bench = Bench::new();
    let texts: Vec<String> = (0..10_001)
        .map(|n| draft(&format!("{n}")).sign(&[]))
        .collect();
    for chunk in texts.chunks(2_000) {
        assert_eq!(put(&mut bench, chunk), 200);
    }
    assert_eq!(pending(&mut bench, "").0.len(), 10_000);
    assert_eq!(member(&mut bench, &texts[9_999..]), [true, false]);
}

#[test]
fn expired_command_stays_until_it_is_swept_up() {
    let mut bench = Bench::new();
    let text = Draft {
        ttl: 5,
        ..draft("brief")
    }
    .sign(&[ALICE]);
    put(&mut bench, std::slice::from_ref(&text));
    bench.advance(Duration::from_secs(10));
    assert_eq!(member(&mut bench, std::slice::from_ref(&text)), [true]);
    assert_eq!(pending(&mut bench, "").0, keys(std::slice::from_ref(&text)));
    bench.advance(Duration::from_secs(80));
    assert_eq!(member(&mut bench, std::slice::from_ref(&text)), [false]);
    put(&mut bench, std::slice::from_ref(&text));
    assert_eq!(
        member(&mut bench, &[text]),
        [false],
        "expired: not taken again"
    );
    assert!(bench.event_names().any(|name| name == "tx_expired"));
}

// --- Effects ---

#[test]
fn insertion_waits_for_the_signatures_and_reads_do_not() {
    let mut bench = Bench::new();
    bench.checks_are_slow();
    let text = signed("slow");
    let request = crate::json(
        "PUT",
        &format!("{MEMPOOL}/insert"),
        &insert_body(std::slice::from_ref(&text)),
    );
    let insert = bench.ask(request);
    assert_eq!(bench.answer(insert), None);
    assert_eq!(member(&mut bench, std::slice::from_ref(&text)), [false]);
    bench.checks_catch_up();
    assert!(
        bench
            .answer(insert)
            .expect("an answer")
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(member(&mut bench, &[text]), [true]);
}

#[test]
fn insertion_never_waits_for_the_disk() {
    let mut bench = Bench::new();
    bench.disk_is_slow();
    let text = signed("lazy");
    assert_eq!(put(&mut bench, std::slice::from_ref(&text)), 200);
    assert_eq!(member(&mut bench, &[text]), [true]);
    bench.disk_catches_up();
}

#[test]
fn too_many_checks_at_once_are_refused() {
    let mut bench = Bench::with(|config| config.limits.verifies_max = 2);
    bench.checks_are_slow();
    let insert =
        |texts: &[String]| crate::json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(texts));
    let first = bench.ask(insert(&[signed("a"), signed("b")]));
    assert_eq!(bench.fetch(insert(&[signed("c")])).status, 503);
    bench.checks_catch_up();
    assert!(bench.answer(first).is_some());
    assert_eq!(bench.fetch(insert(&[signed("c")])).status, 200);
}

#[test]
fn pending_commands_come_back_after_a_restart_and_are_checked_again() {
    let mut bench = Bench::new();
    let lasting = signed("lasting");
    let brief = Draft {
        ttl: 60,
        ..draft("brief")
    }
    .sign(&[ALICE]);
    put(&mut bench, &[lasting.clone(), brief.clone()]);
    bench.advance(Duration::from_secs(2));
    let late = signed("too late to be written");
    put(&mut bench, std::slice::from_ref(&late));
    bench.set_wall(WallTime::from_secs(START.unsigned_abs() + 60));
    bench.restart();
    assert_eq!(
        member(&mut bench, &[lasting.clone(), brief, late]),
        [true, false, false]
    );
    // What is found to be void leaves the disk as well.
    bench.advance(Duration::from_secs(2));
    bench.restart();
    assert_eq!(pending(&mut bench, "").0, keys(&[lasting]));
    assert_eq!(rejections(&bench).len(), 1);
}
