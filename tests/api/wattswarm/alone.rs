//! A node in local mode: its operator plays both parts, and nothing leaves it.

use std::fmt::Write as _;
use std::time::Duration;

use peerage_tests::Bench;
use serde_json::{Value, json};

use super::{CONTACT, LIST, RELATIONSHIPS, THREADS, alone, brief, listed, post, pretty, shown};
use crate::{bare, json as with_body};

/// What leads to each state.
const PATHS: &[(&str, &[&str])] = &[
    ("none", &[]),
    ("none again", &["request", "cancel"]),
    ("requested", &["request"]),
    ("accepted", &["request", "accept"]),
    ("rejected", &["request", "reject"]),
    ("blocked", &["block"]),
];

const ACTIONS: [&str; 7] = [
    "request", "accept", "reject", "cancel", "remove", "block", "unblock",
];

fn does(bench: &mut Bench, remote: &str, action: &str) -> Value {
    let answer = post(
        bench,
        RELATIONSHIPS,
        &json!({"remote_node_id": remote, "action": action}),
    );
    assert_eq!(answer.status, 200, "{action}: {}", answer.text());
    answer.json()["relationship"].take()
}

// Row 1, and the neighbouring endpoints of a node to which nothing has happened.
#[test]
fn fresh_node_has_nothing_to_show() {
    let mut bench = alone();
    for path in [
        LIST,
        RELATIONSHIPS,
        THREADS,
        "/api/peers/dm/messages?thread_id=dm:0",
        "/api/node/status",
        "/api/network/local",
        "/api/log/head",
    ] {
        bench.send(bare("GET", path));
    }
    bench.send(bare("HEAD", LIST));
    insta::assert_snapshot!(bench.story());
}

// Rows 6 and 7: every state, action and initiator. What is allowed answers with the record, which
// for a repeat is the one before.
#[test]
fn every_action_in_every_state_by_whomever() {
    let mut bench = alone();
    let mut told = String::new();
    for (state, path) in PATHS {
        for action in ACTIONS {
            for (n, by) in ["local", "remote", "system"].iter().enumerate() {
                let remote = format!("{state}-{action}-{by}").replace(' ', "-");
                for step in *path {
                    does(&mut bench, &remote, step);
                }
                let of = |found: &Vec<Value>| {
                    found
                        .iter()
                        .find(|it| it["remote_node_id"] == *remote)
                        .cloned()
                };
                let before = of(&listed(&mut bench, RELATIONSHIPS, "relationships"));
                bench.advance(Duration::from_secs(1));
                let body = json!({"remote_node_id": remote, "action": action, "initiated_by": by});
                let answer = post(&mut bench, RELATIONSHIPS, &body);
                let after = of(&listed(&mut bench, RELATIONSHIPS, "relationships"));
                let json = answer.json();
                let outcome = if answer.status == 200 {
                    assert_eq!(Some(&json["relationship"]), after.as_ref());
                    let changed = if before == after { "unchanged, " } else { "" };
                    let word = json["relationship"]["relationship_state"].as_str();
                    format!("{changed}{}", word.unwrap_or("?"))
                } else {
                    assert_eq!(before, after, "a refused action changes nothing");
                    let text = json["error"].as_str().unwrap_or("?");
                    text.replace(&remote, "ID")
                };
                if n == 0 {
                    let _ = writeln!(told, "{state}, {action}");
                }
                let _ = writeln!(told, "    {by}: {} {outcome}", answer.status);
            }
        }
    }
    insta::assert_snapshot!(told);
}

// Row 8: which moment is kept through what.
#[test]
fn moments_are_kept_and_replaced() {
    let mut bench = alone();
    let mut told = String::new();
    for action in [
        "request", "request", "accept", "block", "unblock", "request", "reject", "remove",
        "request", "cancel",
    ] {
        bench.advance(Duration::from_secs(1));
        let record = does(&mut bench, "n", action);
        let _ = writeln!(told, "{action}: {record}");
    }
    insta::assert_snapshot!(told);
}

// Row 9.
#[test]
fn ids_are_trimmed_and_initiators_have_a_default() {
    let mut bench = alone();
    let long = "x".repeat(256);
    let requests = [
        json!({"remote_node_id": "  a \t", "action": "request"}),
        json!({"remote_node_id": "b", "action": "request", "initiated_by": null}),
        json!({"remote_node_id": "c", "action": "request", "initiated_by": "system"}),
        json!({"remote_node_id": "d", "action": "request", "more": {"of": "it"}}),
        json!({"remote_node_id": "e", "action": "request", "agent_envelope": null}),
        // Without a network an envelope is read, and neither judged nor kept.
        json!({"remote_node_id": "f", "action": "request", "agent_envelope": {"protocol": " "}}),
        json!({"remote_node_id": "", "action": "request"}),
        json!({"remote_node_id": " \n ", "action": "request"}),
        json!({"remote_node_id": long, "action": "request"}),
        json!({"remote_node_id": format!("{long}y"), "action": "request"}),
        json!({"remote_node_id": super::id_of(0), "action": "request"}),
    ];
    let requests = requests.map(|body| with_body("POST", RELATIONSHIPS, &body.to_string()));
    insta::assert_snapshot!(brief(&mut bench, &requests));
}

// Rows 4 and 5.
#[test]
fn relationships_are_listed_in_byte_order_and_make_nobody_a_peer() {
    let mut bench = alone();
    for remote in ["n", "N", "10", "9", "ä", "node-1"] {
        does(&mut bench, remote, "request");
    }
    does(&mut bench, "9", "cancel");
    bench.story();
    bench.send(bare("GET", RELATIONSHIPS));
    bench.send(bare("GET", LIST));
    insta::assert_snapshot!(bench.story());
}

// Row 4, with contact material, and what of it is refused.
#[test]
fn contact_material_is_taken_and_makes_nobody_a_peer() {
    let mut bench = alone();
    let contact = |remote: &str, material: Value| {
        json!({"remote_node_id": remote, "contact_material": material}).to_string()
    };
    let long = format!("\"{}\"", "x".repeat(65_535));
    let requests = [
        contact(
            "a",
            json!({"material_json": "{\"listen_addrs\":[]}", "generated_at": 1}),
        ),
        contact(
            "a",
            json!({"material_json": "no JSON", "generated_at": 2, "signature": "00"}),
        ),
        contact("a", json!({"material_json": "{}", "generated_at": 0})),
        contact("a", json!({"material_json": "{}", "generated_at": -1})),
        contact(" ", json!({"material_json": "{}", "generated_at": 1})),
        contact("a", json!({"material_json": {}, "generated_at": 1})),
        contact("a", json!({"material_json": "{}"})),
        contact("a", json!(null)),
        contact("a", json!({"material_json": &long[1..], "generated_at": 1})),
    ];
    let mut told = String::new();
    for body in requests {
        told += &brief(&mut bench, &[with_body("POST", CONTACT, &body)]);
    }
    let answer = post(
        &mut bench,
        CONTACT,
        &json!({"remote_node_id": "a", "contact_material": {"material_json": long, "generated_at": 1}}),
    );
    let _ = writeln!(told, "65,537 bytes: {} {}", answer.status, answer.text());
    told += &brief(&mut bench, &[bare("GET", LIST)]);
    insta::assert_snapshot!(told.replace(&"x".repeat(65_535), "xxx…"));
}

// Rows 18 to 20 without a network: a message is kept until there is one.
#[test]
fn message_to_nobody_is_pending() {
    let mut bench = alone();
    does(&mut bench, "node-beta", "request");
    does(&mut bench, "node-beta", "accept");
    bench.story();
    let sent = super::send(&mut bench, " node-beta ", &json!({"text": "hello"}));
    assert_eq!(sent.status, 200);
    let thread = sent.json()["thread_id"].as_str().expect("an id").to_owned();
    bench.advance(Duration::from_secs(3_600));
    bench.send(bare("GET", THREADS));
    bench.send(bare("GET", &super::of_thread(&thread)));
    assert!(bench.calls().is_empty());
    insta::assert_snapshot!(bench.story());
}

// Row 28, without a network.
#[test]
fn what_is_shown_survives_a_restart() {
    let mut bench = alone();
    for (remote, actions) in PATHS {
        for action in *actions {
            does(&mut bench, remote, action);
            bench.advance(Duration::from_millis(10));
        }
    }
    super::send(&mut bench, "accepted", &json!([1.50, {"b": 1, "a": 2}]));
    post(&mut bench, "/api/node/down", &Value::Null);
    let thread = listed(&mut bench, THREADS, "threads")[0]["thread_id"].clone();
    let messages = super::of_thread(thread.as_str().expect("an id"));
    let paths = [
        RELATIONSHIPS,
        THREADS,
        &messages,
        "/api/log/head",
        "/api/node/status",
        LIST,
    ];
    let show = |bench: &mut Bench| paths.map(|path| shown(bench, path));
    let before = show(&mut bench);
    for _ in 0..2 {
        bench.restart();
        assert_eq!(show(&mut bench), before);
    }
    let told: Vec<Value> = before
        .iter()
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .collect();
    insta::assert_snapshot!(pretty(&told.into()));
}

#[test]
fn node_is_switched_on_and_off() {
    let mut bench = alone();
    for path in ["/api/node/up", "/api/node/down"] {
        bench.send(format!("POST {path} HTTP/1.1\r\n\r\n"));
        bench.send(bare("GET", "/api/node/status"));
    }
    insta::assert_snapshot!(bench.story());
}
