//! WattSwarm's peers API, as whole exchanges; what was recorded of the original is among the vectors.

use std::time::Duration;

use peerage_core::config::WattswarmMode;
use peerage_tests::{Bench, Client};
use serde_json::{Value, json};

use crate::{bare, json as with_body};

const ACT: &str = "/api/peers/relationships";
const SEND: &str = "/api/peers/dm/messages";

fn alone() -> Bench {
    Bench::with(|config| config.wattswarm.mode = WattswarmMode::Local)
}

fn act(remote: &str, action: &str, by: &str) -> String {
    let body = json!({"remote_node_id": remote, "action": action, "initiated_by": by});
    with_body("POST", ACT, &body.to_string())
}

fn write(remote: &str, content: &Value) -> String {
    let envelope = json!({"protocol": "google_a2a", "message": {"text": "hello"}});
    let body = json!({"remote_node_id": remote, "content": content, "agent_envelope": envelope});
    with_body("POST", SEND, &body.to_string())
}

#[test]
fn fresh_node_is_empty_and_says_who_it_is() {
    let mut bench = Bench::new();
    for target in [
        "/api/peers/list",
        "/api/peers/relationships",
        "/api/peers/dm/threads",
        "/api/peers/dm/messages?thread_id=dm:0",
        "/api/node/status",
        "/api/network/local",
        "/api/log/head",
    ] {
        bench.send(bare("GET", target));
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn relationship_without_a_network_is_asked_for_accepted_and_written_in() {
    let mut bench = alone();
    bench.send(act(" bob ", "request", "local"));
    bench.advance(Duration::from_secs(1));
    bench.send(act("bob", "accept", "remote"));
    bench.send(bare("GET", "/api/peers/dm/threads"));
    bench.advance(Duration::from_secs(1));
    bench.send(write("bob", &json!({"text": "Gr\u{fc}\u{df}e", "n": 1.0})));
    let threads = bench.fetch(bare("GET", "/api/peers/dm/threads")).json();
    let thread = threads["threads"][0]["thread_id"].as_str().expect("an id");
    bench.send(bare("GET", &format!("{SEND}?thread_id={thread}")));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn heads_wrong_methods_and_unknown_paths_have_no_body() {
    let mut bench = Bench::new();
    bench.send(bare("HEAD", "/api/peers/list?x=1"));
    bench.send(bare("HEAD", SEND));
    bench.send(bare("HEAD", "/api/node/up"));
    bench.send(bare("OPTIONS", ACT));
    bench.send(bare("PUT", "/api/peers/list"));
    bench.send(bare("DELETE", "/api/peers/contact-material"));
    bench.send(bare("GET", "/api/peers/list/"));
    bench.send(bare("GET", "/api/health"));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn every_refusal_is_a_json_object() {
    let mut bench = Bench::new();
    bench.send(bare("GET", SEND));
    bench.send(bare("POST", ACT));
    for body in ["", "{", "\u{feff}{}", "[]", "{}"] {
        bench.send(with_body("POST", ACT, body));
    }
    bench.send(with_body(
        "POST",
        ACT,
        r#"{"remote_node_id":"\ud800","action":"request"}"#,
    ));
    bench.send(with_body(
        "POST",
        ACT,
        r#"{"remote_node_id":"bob","action":"befriend"}"#,
    ));
    bench.send(act("bob", "request", "local"));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn bodies_of_more_than_two_mebibytes_are_refused_in_the_apis_own_words() {
    let mut bench = alone();
    let fits = act("bob", "request", "local");
    let (head, body) = fits.split_once("\r\n\r\n").expect("a body");
    for path in [ACT, SEND, "/api/peers/contact-material"] {
        let head = head.replace(ACT, path);
        for (length, status) in [(2_097_152, None), (2_097_153, Some(413))] {
            let padded = format!("{body}{}", " ".repeat(length - body.len()));
            for framing in [
                format!("Content-Length: {length}\r\n"),
                "Transfer-Encoding: chunked\r\n".to_owned(),
            ] {
                let answer = bench.fetch(format!("{head}\r\n{framing}\r\n{padded}"));
                if status.is_some() {
                    let expected = json!({"ok": false, "error": "the body is too large"});
                    assert_eq!((answer.status, answer.json()), (413, expected));
                    assert_eq!(answer.header("content-type"), Some("application/json"));
                } else {
                    assert_ne!(answer.status, 413, "{path}");
                }
            }
        }
    }
    // What nodes hand each other is shorter.
    let node = Client::node(
        "203.0.113.7:40000",
        bench.cert().fingerprint,
        bench.cert().key,
    );
    for (length, refused) in [(1_048_576, false), (1_048_577, true)] {
        let spaces = " ".repeat(length);
        let answer = bench.send_as(&node, with_body("POST", "/api/p2p/dm", &spaces));
        assert_eq!(answer.starts_with("HTTP/1.1 413"), refused, "{answer}");
    }
    // Nobody reads what comes with these.
    let long = format!(
        "POST /api/node/up HTTP/1.1\r\n\r\n{}",
        " ".repeat(2_097_153)
    );
    assert_eq!(bench.fetch(long).status, 200);
}

#[test]
fn operators_paths_are_not_there_for_nodes() {
    let mut bench = Bench::new();
    let node = Client::node(
        "203.0.113.7:40000",
        bench.cert().fingerprint,
        bench.cert().key,
    );
    for request in [
        bare("GET", "/api/peers/list"),
        bare("GET", ACT),
        act("bob", "request", "local"),
        write("bob", &json!(1)),
        bare("GET", "/api/node/status"),
    ] {
        let answer = bench.send_as(&node, request);
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    for path in ["/api/p2p/relationship", "/api/p2p/dm"] {
        assert_eq!(bench.fetch_json("POST", path, "{}").status, 404);
    }
}
