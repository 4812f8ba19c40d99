//! The chain's node API, beyond what was recorded: pages that follow each other, bounds of our own, and
//! who may ask where.

use std::time::Duration;

use peerage_core::Secret;
use peerage_core::limits::{GRIN_HEIGHTS_MAX, GRIN_PUSH_BYTES_MAX};
use peerage_core::mw::{Commitment, Hash, MerkleProof, Output, OutputFeatures};
use peerage_tests::generate::grin::deck;
use peerage_tests::{Bench, Client, ParsedAnswer};
use serde_json::Value;

use crate::bare;

/// A node that has the recorded chain.
fn with_chain() -> Bench {
    let mut bench = Bench::with(|config| config.grin.import = Some(deck().blocks.clone().into()));
    bench.advance(Duration::from_millis(1));
    bench
}

fn get(bench: &mut Bench, target: &str) -> ParsedAnswer {
    let ticket = bench.ask(bare("GET", target));
    bench.advance(Duration::from_millis(1));
    let answer = bench.answer(ticket).expect("an answer");
    ParsedAnswer::read(answer.as_bytes()).expect("HTTP")
}

fn commitments(page: &Value) -> Vec<String> {
    let outputs = page["outputs"].as_array().expect("outputs");
    let commit = |output: &Value| output["commit"].as_str().expect("a text").to_owned();
    outputs.iter().map(commit).collect()
}

#[test]
fn pages_of_outputs_follow_each_other_and_miss_nothing() {
    let mut bench = with_chain();
    let all = get(&mut bench, "/v1/txhashset/outputs?max=100000").json();
    let all = commitments(&all);
    assert_eq!(all.len(), 35);
    for max in [1, 3, 34, 35, 36] {
        let (mut start, mut found) = (1, Vec::new());
        loop {
            let target = format!("/v1/txhashset/outputs?start_index={start}&max={max}");
            let page = get(&mut bench, &target).json();
            found.extend(commitments(&page));
            let last = page["last_retrieved_index"].as_u64().expect("a number");
            if last == page["highest_index"] {
                break;
            }
            assert!(last >= start, "{page}");
            start = last + 1;
        }
        assert_eq!(found, all, "{max} at a time");
    }
}

#[test]
fn a_block_is_found_by_height_hash_and_unspent_output() {
    let mut bench = with_chain();
    for block in &deck().blocks {
        let (height, hash) = (block.header().height(), block.hash());
        let by_height = get(&mut bench, &format!("/v1/blocks/{height}"));
        assert_eq!(by_height.status, 200);
        let upper = hash.to_string().to_uppercase();
        for name in [hash.to_string(), upper, format!("0x{hash}")] {
            let by_hash = get(&mut bench, &format!("/v1/blocks/{name}"));
            assert_eq!(by_hash.text(), by_height.text());
        }
        let shown = by_height.json();
        for output in shown["outputs"].as_array().expect("outputs") {
            let commit = output["commit"].as_str().expect("a text");
            let by_output = get(&mut bench, &format!("/v1/blocks/{commit}"));
            let header = get(&mut bench, &format!("/v1/headers/{commit}"));
            if output["spent"] == true {
                assert_eq!((by_output.status, header.status), (404, 404));
            } else {
                assert_eq!(by_output.text(), by_height.text());
                assert_eq!(header.json(), shown["header"]);
            }
        }
    }
}

#[test]
fn proofs_of_rewards_lead_to_the_root_that_their_block_left() {
    let mut bench = with_chain();
    let mut proven = 0;
    for block in &deck().blocks {
        let target = format!("/v1/blocks/{}", block.header().height());
        let shown = get(&mut bench, &target).json();
        let shown = shown["outputs"].as_array().expect("outputs");
        for (output, shown) in block.outputs().zip(shown) {
            let reward = output.features() == OutputFeatures::Coinbase;
            let has_one = reward && shown["spent"] == false;
            let Some(digits) = shown["merkle_proof"].as_str() else {
                assert!(!has_one, "{shown}");
                continue;
            };
            assert!(has_one, "{shown}");
            assert!(leads(digits, &output, shown), "{shown}");
            proven += 1;
        }
    }
    assert!(proven > 10, "{proven}");
}

/// Whether a proof as it is shown leads to the root after its block: that of a node whose chain ends
/// there.
fn leads(digits: &str, output: &Output, shown: &Value) -> bool {
    let bytes: Vec<u8> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("digits"))
        .collect();
    let number = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let path: Vec<Hash> = bytes[16..]
        .as_chunks()
        .0
        .iter()
        .copied()
        .map(Hash)
        .collect();
    assert_eq!(path.len() as u64, number(8));
    let proof = MerkleProof {
        size: number(0),
        path,
    };
    let height = shown["block_height"].as_u64().expect("a number");
    let recorded = &peerage_tests::vectors::file("grin", "chain")["blocks"];
    let root = &recorded[usize::try_from(height).expect("a few")]["pmmr"]["output_pmmr_root"];
    let root = Hash::from_hex(root.as_str().expect("digits")).expect("a hash");
    let position = shown["mmr_index"].as_u64().expect("a number") - 1;
    proof.leads(root, output, position)
}

#[test]
fn ranges_of_heights_are_bounded() {
    let mut bench = with_chain();
    let by_height = |bench: &mut Bench, start: u64, end: u64| {
        let range = format!("start_height={start}&end_height={end}");
        get(bench, &format!("/v1/chain/outputs/byheight?{range}"))
    };
    // What lies beyond the chain costs nothing.
    let all = by_height(&mut bench, 0, u64::MAX).json();
    let heights: Vec<u64> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|block| block["header"]["height"].as_u64().expect("a number"))
        .collect();
    assert_eq!(heights, (1..=30).rev().collect::<Vec<u64>>());
    assert_eq!(by_height(&mut bench, 31, 99).text(), "[]");
    assert_eq!(by_height(&mut bench, 5, 4).text(), "[]");
    const { assert!(GRIN_HEIGHTS_MAX > 31, "or this chain would be too long") };
}

#[test]
fn both_methods_validate_and_only_one_compacts() {
    let mut bench = with_chain();
    assert_eq!(get(&mut bench, "/v1/chain/validate").text(), "{}");
    let ticket = bench.ask(bare("POST", "/v1/chain/validate"));
    bench.advance(Duration::from_millis(1));
    let posted = bench.answer(ticket).expect("an answer");
    assert!(posted.starts_with("HTTP/1.1 200 OK\n"), "{posted}");
    let compacted = bench.fetch(bare("POST", "/v1/chain/compact"));
    assert_eq!((compacted.status, compacted.text()), (200, "{}"));
    assert_eq!(get(&mut bench, "/v1/chain/compact").status, 404);
}

#[test]
fn operators_ask_on_their_listener_and_nodes_on_theirs() {
    let mut bench = with_chain();
    let stranger = Client::stranger("203.0.113.7:40000");
    for path in [
        "/v1/chain",
        "/v1/status",
        "/v1/",
        "/v1/peers/all",
        "/v1/pool",
    ] {
        assert_eq!(get(&mut bench, path).status, 200, "{path}");
        let answer = bench.send_as(&stranger, bare("GET", path));
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\n"), "{answer}");
    }
    let hello = bare("POST", "/grin/AutomatedTesting/hello");
    assert!(bench.send(&hello).starts_with("HTTP/1.1 404 Not Found\n"));
    let answer = bench.send_as(&stranger, &hello);
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\n"), "{answer}");
}

#[test]
fn the_secret_is_asked_for_before_anything_is_said() {
    let mut bench = Bench::with(|config| {
        config.grin.api_secret = Some(Secret("s3cret-for-tests".to_owned()));
    });
    for (method, path, status) in [
        ("GET", "/v1/blocks/x", 401),
        ("GET", "/v1/txhashset/x", 401),
        ("POST", "/v1/pool/push", 401),
        ("POST", "/v1/chain/compact", 401),
        ("GET", "/v1/nothing", 404),
        ("OPTIONS", "/v1/chain", 404),
    ] {
        let answer = bench.fetch(bare(method, path));
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

#[test]
fn transactions_that_are_too_long_are_not_read() {
    let mut bench = Bench::new();
    let body = "0".repeat(GRIN_PUSH_BYTES_MAX + 1);
    let answer = bench.fetch(crate::json("POST", "/v1/pool/push", &body));
    let too_large = (413, "the body is too large");
    assert_eq!((answer.status, answer.text()), too_large);
    let body = "0".repeat(GRIN_PUSH_BYTES_MAX);
    let answer = bench.fetch(crate::json("POST", "/v1/pool/push", &body));
    assert_eq!(answer.status, 500);
}

#[test]
fn bodies_that_are_no_transactions_are_refused_in_the_words_of_the_original() {
    let mut bench = Bench::new();
    for (body, why) in [
        (
            "[]",
            "Invalid request body: invalid length 0, expected struct TxWrapper with 1 element at line 1 column 2",
        ),
        (
            "null",
            "Invalid request body: invalid type: null, expected struct TxWrapper at line 1 column 4",
        ),
        (
            r#"{"tx_hex":"00","tx_hex":"00"}"#,
            "Invalid request body: duplicate field `tx_hex` at line 1 column 24",
        ),
        (r#"{"tx_hex":" 0xzz "}"#, "Bad request: zz"),
    ] {
        let answer = bench.fetch(crate::json("POST", "/v1/pool/push_tx", body));
        let expected = format!("failed: Request error: {why}");
        assert_eq!((answer.status, answer.text()), (500, expected.as_str()));
    }
}

#[test]
fn unknown_things_are_not_found() {
    let mut bench = with_chain();
    let nobody = Commitment([9; 33]);
    let nothing = Hash([7; 32]);
    for path in [
        format!("/v1/blocks/{nothing}"),
        format!("/v1/blocks/{nobody}"),
        format!("/v1/headers/{nothing}"),
        "/v1/headers/31".to_owned(),
        format!("/v1/txhashset/merkleproof?id={nobody}"),
        "/v1/txhashset/heightstopmmr?start_height=32".to_owned(),
        "/v1/txhashset/heightstopmmr?end_height=31".to_owned(),
    ] {
        let answer = get(&mut bench, &path);
        assert_eq!((answer.status, answer.text()), (404, ""), "{path}");
    }
}
