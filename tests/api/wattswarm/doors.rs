//! Which paths there are, for whom, and what is wrong with a request before it is looked at.

use std::fmt::Write as _;

use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_tests::{Bench, Client};
use serde_json::{Value, json};

use super::{CONTACT, LIST, MESSAGES, OWN_CONTACT, RELATIONSHIPS, THREADS, brief, id_of, listed};
use crate::{bare, json as with_body};

const PATHS: &[&str] = &[
    LIST,
    RELATIONSHIPS,
    THREADS,
    MESSAGES,
    CONTACT,
    "/api/node/status",
    "/api/node/up",
    "/api/node/down",
    "/api/network/local",
    OWN_CONTACT,
    "/api/log/head",
    "/api/p2p/dm",
    "/api/p2p/relationship",
];

/// A node that may call, under its certificate.
fn other() -> Client {
    node(2)
}

fn node(n: u8) -> Client {
    let (id, key) = (Fingerprint([n; 32]), PublicKey([n; 32]));
    Client::node("10.0.0.2:50000", id, Some(key))
}

// Row 27.
#[test]
fn methods_and_paths_that_are_not_there() {
    let mut bench = Bench::new();
    let mut told = String::new();
    for path in PATHS {
        let _ = writeln!(told, "{path}");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = bench.fetch(bare(method, path));
            let allow = answer.header("allow").unwrap_or("").to_owned();
            let _ = writeln!(told, "    {method} {} {allow}", answer.status);
            assert!(answer.status != 404 && answer.status != 405 || answer.body.is_empty());
        }
    }
    let unknown = [
        "/api",
        "/api/",
        "/api/peers",
        "/api/peers/list/",
        "/api/peers//list",
        "/api/Peers/list",
        "/api/peers/dm",
        "/api/peers/dm/messages/",
        "/api/health",
        "/api/payments/messages",
        "/api/peers/dm/private-hive-key-shares",
    ];
    told += &brief(&mut bench, &unknown.map(|path| bare("GET", path)));
    insta::assert_snapshot!(told);
}

// The listener of the nodes has two paths, and the operators' has neither of them.
#[test]
fn nodes_and_operators_have_doors_of_their_own() {
    let mut bench = Bench::new();
    let mut told = String::new();
    for path in PATHS {
        for method in ["GET", "POST"] {
            let request = with_body(method, path, "{}");
            let api = bench.fetch(&request).status;
            let p2p = bench.send_as(&other(), &request);
            let p2p = &p2p["HTTP/1.1 ".len()..][..3];
            let _ = writeln!(told, "{method} {path}: operators {api}, nodes {p2p}");
        }
    }
    insta::assert_snapshot!(told);
}

// Row 10, and the same for messages.
#[test]
fn bad_bodies_are_explained_and_do_no_harm() {
    let mut bench = Bench::new();
    let mut told = String::new();
    for path in [RELATIONSHIPS, MESSAGES] {
        let typed =
            |kind: &str| format!("POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\n\r\n{{}}");
        let kinds = [
            bare("POST", path),
            typed("text/plain"),
            typed("application/x-www-form-urlencoded"),
            typed("application/+json"),
            typed("application/json; charset=utf-8"),
            typed("application/problem+json"),
            typed("Application/JSON"),
        ];
        told += &brief(&mut bench, &kinds);
        let bodies = [
            "",
            "x",
            "{",
            "{} x",
            "[]",
            "null",
            "7",
            "{}",
            r#"{"remote_node_id":"n"}"#,
            r#"{"remote_node_id":7,"action":"request","content":1}"#,
            r#"{"remote_node_id":null,"action":"request","content":1}"#,
            r#"{"remote_node_id":"n","remote_node_id":"m","action":"request","content":1}"#,
            r#"{"remote_node_id":"n","action":"befriend"}"#,
            r#"{"remote_node_id":"n","action":"Request"}"#,
            r#"{"remote_node_id":"n","action":null}"#,
            r#"{"remote_node_id":"n","action":"request","initiated_by":"me"}"#,
            r#"{"remote_node_id":"n","action":"request","content":1,"agent_envelope":[]}"#,
            r#"{"remote_node_id":"n","action":"request","content":1,"agent_envelope":{}}"#,
            r#"{"remote_node_id":"n","action":"request","content":1,"agent_envelope":{"protocol":7}}"#,
            r#"{"remote_node_id":"n","action":"request","content":1,"agent_envelope":{"protocol":"p","message":1,"message_json":"2"}}"#,
            r#"{"remote_node_id":"n","action":"request","content":1,"agent_envelope":{"protocol":"p","source_agent_card":{"agent_id":"a"}}}"#,
        ];
        told += &brief(
            &mut bench,
            &bodies.map(|body| with_body("POST", path, body)),
        );
    }
    assert!(bench.node().export().is_empty());
    let relationships = listed(&mut bench, RELATIONSHIPS, "relationships");
    assert_eq!(relationships, Vec::<Value>::new());
    insta::assert_snapshot!(told);
}

#[test]
fn body_of_more_than_two_mebibytes_is_refused() {
    let mut bench = Bench::new();
    let body = format!("{{}}{}", " ".repeat(2_097_151));
    let answer = bench.fetch_json("POST", RELATIONSHIPS, &body);
    assert_eq!(
        (answer.status, answer.json()["ok"].take()),
        (413, false.into())
    );
    let answer = bench.fetch_json("POST", RELATIONSHIPS, &body[..2_097_152]);
    assert_eq!(answer.status, 422);
}

/// An empty delivery that says it is from one node to another.
fn delivery(from: usize, to: usize) -> String {
    let greeting = json!({
        "source_node_id": id_of(from),
        "target_node_id": id_of(to),
        "made": 0,
        "heard": 0,
        "clock": 0,
        "contact_material": {"material_json": "{}", "generated_at": 1},
    });
    let body = json!({"greeting": greeting, "actions": []}).to_string();
    with_body("POST", "/api/p2p/relationship", &body)
}

// Section 3.5, step 3: whoever speaks for a node shows its certificate.
#[test]
fn nobody_speaks_for_another_node() {
    let mut bench = Bench::new();
    let without_key = Client::node("10.0.0.2:50000", Fingerprint([2; 32]), None);
    let cases = [
        ("its own certificate", other(), delivery(1, 0)),
        ("another's certificate", node(3), delivery(1, 0)),
        ("a certificate without a key", without_key, delivery(1, 0)),
        (
            "no certificate",
            Client::stranger("10.0.0.2:50000"),
            delivery(1, 0),
        ),
        ("to another node", other(), delivery(1, 2)),
        ("from the node itself", node(1), delivery(0, 0)),
    ];
    let mut told = String::new();
    for (case, client, request) in cases {
        let answer = bench.send_as(&client, &request);
        let (head, body) = answer.split_once("\n\n").expect("a blank line");
        let first = head.lines().next().unwrap_or_default();
        let _ = writeln!(told, "{case}\n    {first}\n    {body}");
    }
    // The empty delivery of the one that was believed leaves nothing either.
    let lasting: Vec<_> = bench.node().export();
    assert!(
        lasting.iter().all(peerage_core::rows::Record::lazy),
        "{lasting:?}"
    );
    insta::assert_snapshot!(told);
}

// Row 27: who is asked for by a conversation's listing, and how often.
#[test]
fn queries_of_messages() {
    let mut bench = Bench::new();
    let queries = [
        "",
        "?",
        "?thread_id",
        "?thread_id=",
        "?thread_id=dm:0",
        "?thread_id=dm%3A0",
        "?thread=1",
        "?thread_id=a&thread_id=b",
        "?other=1&thread_id=a&more",
    ];
    let requests = queries.map(|query| bare("GET", &format!("{MESSAGES}{query}")));
    assert_eq!(other_listener(&mut bench), 404);
    insta::assert_snapshot!(brief(&mut bench, &requests));
}

fn other_listener(bench: &mut Bench) -> u16 {
    let answer = bench.send_as(&other(), bare("GET", MESSAGES));
    let status = &answer["HTTP/1.1 ".len()..][..3];
    status.parse().expect("a status")
}
