//! Nodes in network mode: what an operator does shows on both sides, and the rules of sides hold.

use std::fmt::Write as _;
use std::time::Duration;

use peerage_core::Seed;
use peerage_tests::{Bench, Town};
use serde_json::{Value, json};

use super::{
    A_WHILE, LIST, RELATIONSHIPS, act, befriend, brief, does, envelope, friends, id_of, introduce,
    listed, opinions, post, pretty, shown, town,
};
use crate::{bare, json as with_body};

// Row 12, step by step: what travels, what is written, what is answered.
#[test]
fn request_and_acceptance_step_by_step() {
    let mut town = town(2);
    for at in 0..2 {
        town.bench(at).story();
    }
    let mut told = String::new();
    for (at, action, other) in [(0, "request", 1), (1, "accept", 0)] {
        does(&mut town, at, action, other);
        for side in 0..2 {
            let story = town.bench(side).story();
            let _ = writeln!(
                told,
                "=== {action}, seen by node {} ===\n\n{story}",
                side + 1
            );
        }
    }
    insta::assert_snapshot!(told);
}

// Row 11, and the order of an action's checks.
#[test]
fn checks_of_an_action_come_in_order() {
    let mut bench = Bench::new();
    let (node, own) = (id_of(1), id_of(0));
    let long = "x".repeat(257);
    let blank = json!({"protocol": " "});
    let bodies = [
        json!({"remote_node_id": " ", "action": "befriend"}),
        json!({"remote_node_id": " ", "action": "accept"}),
        json!({"remote_node_id": " ", "action": "accept", "agent_envelope": null}),
        json!({"remote_node_id": " ", "action": "accept", "agent_envelope": blank}),
        json!({"remote_node_id": " ", "action": "accept", "agent_envelope": envelope("x")}),
        json!({"remote_node_id": long, "action": "accept", "agent_envelope": envelope("x")}),
        json!({"remote_node_id": own, "action": "request", "agent_envelope": envelope("x")}),
        json!({"remote_node_id": node, "action": "accept", "agent_envelope": envelope("x")}),
        json!({"remote_node_id": format!(" {node} "), "action": "request",
            "agent_envelope": envelope("x"), "initiated_by": "remote"}),
        // A repeat is queued like the first time.
        json!({"remote_node_id": node, "action": "request", "agent_envelope": envelope("x")}),
        // Ids that are no keys lead to nobody, and are taken all the same.
        json!({"remote_node_id": "node-beta", "action": "request", "agent_envelope": envelope("x")}),
    ];
    let requests: Vec<String> = bodies
        .iter()
        .map(|body| with_body("POST", RELATIONSHIPS, &body.to_string()))
        .chain([bare("GET", RELATIONSHIPS)])
        .collect();
    insta::assert_snapshot!(brief(&mut bench, &requests));
}

// Row 11, what is wrong with an envelope.
#[test]
fn envelopes_are_judged_before_anything_is_done() {
    let card = |agent: &str, node: usize, hash: &str| {
        json!({
            "agent_id": agent, "node_id": id_of(node), "card_hash": hash, "issued_at": 1,
            "card": {"name": "x"},
        })
    };
    let of = |agent: &str, node: usize, card: Value| {
        json!({
            "protocol": "p", "source_agent_id": agent, "source_node_id": id_of(node),
            "source_agent_card": card,
        })
    };
    let long = "x".repeat(65_537);
    let envelopes = [
        ("a card that fits", of("a", 0, card("a", 0, CARD_HASH))),
        (
            "text too long",
            json!({"protocol": "p", "message_json": long}),
        ),
        (
            "extensions too long",
            json!({"protocol": "p", "extensions_json": long}),
        ),
        (
            "a card without an agent",
            of("a", 0, card(" ", 0, CARD_HASH)),
        ),
        ("a card without a hash", of("a", 0, card("a", 0, " "))),
        (
            "a card of another agent",
            of("b", 0, card("a", 0, CARD_HASH)),
        ),
        (
            "a card of another node",
            of("a", 0, card("a", 1, CARD_HASH)),
        ),
        (
            "a card of the other side",
            of("a", 1, card("a", 1, CARD_HASH)),
        ),
        (
            "a card with another hash",
            of("a", 0, card("a", 0, "sha256:00")),
        ),
        (
            "a signature that is none",
            json!({"protocol": "p", "signature": "x", "source_agent_id": AGENT}),
        ),
        (
            "a signature that is false",
            json!({"protocol": "p", "signature": "A".repeat(86) + "==", "source_agent_id": AGENT}),
        ),
        (
            "a signature by nobody",
            json!({"protocol": "p", "signature": "x"}),
        ),
    ];
    let mut told = String::new();
    for (case, envelope) in envelopes {
        let body = json!({
            "remote_node_id": id_of(1), "action": "request", "agent_envelope": envelope,
        });
        let mut bench = Bench::new();
        let answer = post(&mut bench, RELATIONSHIPS, &body);
        let _ = writeln!(told, "{case}: {} {}", answer.status, answer.text());
        assert_eq!(bench.node().export().is_empty(), answer.status != 200);
    }
    insta::assert_snapshot!(told);
}

// Row 13.
#[test]
fn every_action_shows_on_both_sides() {
    let mut told = String::new();
    let stories: &[&[(usize, &str)]] = &[
        &[
            (0, "request"),
            (1, "accept"),
            (1, "remove"),
            (1, "request"),
            (0, "accept"),
        ],
        &[(0, "request"), (1, "reject"), (0, "request"), (0, "cancel")],
        &[(0, "request"), (1, "reject"), (1, "remove")],
        &[
            (0, "request"),
            (1, "block"),
            (1, "unblock"),
            (0, "request"),
            (1, "accept"),
        ],
        &[(0, "request"), (1, "accept"), (0, "block"), (0, "unblock")],
    ];
    for story in stories {
        let mut town = town(2);
        let mut words = Vec::new();
        for (at, action) in *story {
            does(&mut town, *at, action, 1 - at);
            words.push(format!("{} {action}s", at + 1));
            let _ = writeln!(
                told,
                "{}\n{}",
                words.join(", "),
                opinions(&mut town).trim_end()
            );
        }
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}

// Row 13: the whole records at the end of a story.
#[test]
fn records_of_both_sides() {
    let mut town = friends();
    town.advance(Duration::from_secs(5));
    does(&mut town, 1, "block", 0);
    town.advance(Duration::from_secs(5));
    does(&mut town, 1, "unblock", 0);
    let records =
        [0, 1].map(|at| Value::from(listed(town.bench(at), RELATIONSHIPS, "relationships")));
    insta::assert_snapshot!(pretty(&records.to_vec().into()));
}

/// Every action by one side, in the state that `story` leads to; nothing may change, then or later,
/// by those that are refused.
fn attempts(story: &[(usize, &str)], at: usize) -> String {
    let mut told = String::new();
    for action in [
        "request", "accept", "reject", "cancel", "remove", "block", "unblock",
    ] {
        let mut town = town(2);
        for (by, action) in story {
            does(&mut town, *by, action, 1 - by);
        }
        let before = opinions(&mut town);
        let answer = act(town.bench(at), &id_of(1 - at), action);
        let text = answer.json()["error"]
            .as_str()
            .unwrap_or("queued")
            .to_owned();
        let text = text.replace(&id_of(1 - at), "ID");
        let _ = writeln!(told, "    {action}: {} {text}", answer.status);
        town.advance(A_WHILE);
        if answer.status != 200 {
            assert_eq!(opinions(&mut town), before, "{story:?}, {action}");
            // Nor once it would be possible.
            if before.contains("nothing") {
                does(&mut town, 1 - at, "request", at);
                town.advance(A_WHILE);
                assert!(opinions(&mut town).contains("requested"));
            }
        }
    }
    told
}

// Rows 14 and 15.
#[test]
fn each_side_may_do_what_is_its_own() {
    let mut told = String::new();
    let stories: &[&[(usize, &str)]] = &[
        &[],
        &[(0, "request")],
        &[(0, "request"), (1, "accept")],
        &[(0, "request"), (1, "reject")],
        &[(0, "block")],
    ];
    for story in stories {
        let state = story.last().map_or("nothing", |(_, action)| action);
        for at in 0..2 {
            let _ = writeln!(told, "after {state}, node {}", at + 1);
            told += &attempts(story, at);
        }
    }
    insta::assert_snapshot!(told);
}

// Row 16: neither hears of the other's request before it has made its own.
#[test]
fn crossing_requests_end_in_one_opinion() {
    let mut town = town(2);
    introduce(&mut town, 1, 0);
    for at in 0..2 {
        assert_eq!(act(town.bench(at), &id_of(1 - at), "request").status, 200);
    }
    town.advance(Duration::from_secs(1));
    let mut told = opinions(&mut town);
    // Whoever was asked may answer: of two that asked at once, at least one was.
    let mut answered = false;
    for at in 0..2 {
        let answer = act(town.bench(at), &id_of(1 - at), "accept");
        answered |= answer.status == 200;
        let _ = writeln!(told, "node {} accepts: {}", at + 1, answer.status);
        town.advance(Duration::from_secs(1));
    }
    assert!(answered);
    told += &opinions(&mut town);
    insta::assert_snapshot!(told);
}

// Section 3.6: two blocks that crossed are taken back by both.
#[test]
fn crossing_blocks_are_lifted_one_by_one() {
    let mut town = friends();
    let mut told = String::new();
    for at in 0..2 {
        assert_eq!(act(town.bench(at), &id_of(1 - at), "block").status, 200);
    }
    town.advance(Duration::from_secs(1));
    let _ = writeln!(told, "both block\n{}", opinions(&mut town));
    for at in 0..2 {
        does(&mut town, at, "unblock", 1 - at);
        let _ = writeln!(told, "{} unblocks\n{}", at + 1, opinions(&mut town));
    }
    insta::assert_snapshot!(told);
}

// Row 17.
#[test]
fn action_waits_for_a_node_that_is_away() {
    let mut town = friends();
    town.take_down(1);
    let mut told = String::new();
    for action in ["remove", "request"] {
        does(&mut town, 0, action, 1);
    }
    let _ = writeln!(told, "node 2 is away\n{}", opinions(&mut town));
    let calls = town.bench(0).calls().len();
    town.advance(Duration::from_secs(600));
    let tries = town.bench(0).calls().len() - calls;
    let _ = writeln!(
        told,
        "ten minutes later, after {tries} more calls\n{}",
        opinions(&mut town)
    );
    town.restart(0);
    town.take_up(1);
    town.advance(A_WHILE);
    let _ = writeln!(
        told,
        "node 1 has started anew, node 2 is back\n{}",
        opinions(&mut town)
    );
    does(&mut town, 1, "accept", 0);
    let _ = writeln!(told, "2 accepts\n{}", opinions(&mut town));
    insta::assert_snapshot!(told);
}

// Rows 2 and 4: three nodes, of which the first knows both others.
#[test]
fn peers_are_listed_by_id_with_all_that_is_known() {
    let mut town = town(3);
    befriend(&mut town, 0, 2);
    does(&mut town, 0, "request", 1);
    let list = town.bench(0).fetch(bare("GET", LIST)).json();
    let peers = list["peers"].as_array().expect("ids");
    assert_eq!(peers, &[json!(id_of(1)), json!(id_of(2))]);
    insta::assert_snapshot!(pretty(&list));
}

// Row 3: connected for three minutes, shown for an hour, and for an hour again after a message.
#[test]
fn peers_are_forgotten_an_hour_after_they_were_seen() {
    let mut town = friends();
    let mut told = String::new();
    let mut minutes = 0;
    let mut look = |town: &mut Town, after: u64, what: &str| {
        town.advance(Duration::from_secs(60 * after));
        minutes += after;
        let list = town.bench(0).fetch(bare("GET", LIST)).json();
        let shown = match list["records"].as_array().expect("records").as_slice() {
            [] => "not shown",
            [record] if record["connected"] == true => "connected",
            _ => "shown",
        };
        let _ = writeln!(told, "minute {minutes}: {shown}{what}");
    };
    look(&mut town, 0, "");
    look(&mut town, 2, "");
    look(&mut town, 2, "");
    look(&mut town, 55, "");
    super::says(&mut town, 1, &json!("still here"), 0);
    look(&mut town, 0, ", a message came");
    look(&mut town, 4, "");
    town.restart(0);
    look(&mut town, 54, ", after a restart");
    look(&mut town, 4, "");
    insta::assert_snapshot!(told);
}

// Row 28, with a network.
#[test]
fn what_is_shown_survives_restarts_on_both_sides() {
    let mut town = friends();
    super::says(&mut town, 0, &json!({"b": 1.50, "a": []}), 1);
    town.take_down(1);
    super::says(&mut town, 0, &json!("on its way"), 1);
    let thread = listed(town.bench(0), super::THREADS, "threads")[0]["thread_id"].clone();
    let messages = super::of_thread(thread.as_str().expect("an id"));
    let paths = [
        RELATIONSHIPS,
        super::THREADS,
        &messages,
        "/api/log/head",
        "/api/node/status",
    ];
    let show = |town: &mut Town| [0, 1].map(|at| paths.map(|path| shown(town.bench(at), path)));
    let before = show(&mut town);
    for at in [0, 1, 0] {
        town.restart(at);
        assert_eq!(show(&mut town), before);
    }
}

// The ledger of requests with ids of their own, section 3.5.
#[test]
fn requests_with_ids_are_listed_beside_each_other() {
    let mut town = town(2);
    let mut told = String::new();
    let mut step = |town: &mut Town, at: usize, action: &str, request: &str| {
        let body = json!({
            "remote_node_id": id_of(1 - at),
            "action": action,
            "agent_envelope": {"protocol": "google_a2a", "message": {"request_id": request}},
        });
        let answer = post(town.bench(at), RELATIONSHIPS, &body);
        let text = answer.json()["error"]
            .as_str()
            .unwrap_or("queued")
            .to_owned();
        let text = text.replace(&id_of(1 - at), "ID");
        let _ = writeln!(
            told,
            "{} {action}s {request}: {} {text}",
            at + 1,
            answer.status
        );
        town.advance(Duration::from_secs(1));
        for side in 0..2 {
            let records = listed(town.bench(side), RELATIONSHIPS, "relationships");
            let word = |record: &Value| {
                let envelope = &record["agent_envelope"]["message"]["request_id"];
                format!("{} ({})", record["relationship_state"], envelope).replace('"', "")
            };
            let records: Vec<String> = records.iter().map(word).collect();
            let _ = writeln!(told, "    node {}: {}", side + 1, records.join(", "));
        }
    };
    step(&mut town, 0, "request", "r-1");
    step(&mut town, 0, "request", "r-2");
    step(&mut town, 0, "request", "r-1");
    step(&mut town, 0, "accept", "r-1");
    step(&mut town, 1, "reject", "r-1");
    step(&mut town, 1, "accept", "r-2");
    step(&mut town, 1, "reject", "r-2");
    step(&mut town, 1, "accept", "r-3");
    step(&mut town, 0, "remove", "r-2");
    step(&mut town, 0, "block", "r-2");
    insta::assert_snapshot!(told);
}

/// A node that knows nobody's address keeps what it is to deliver until it does.
#[test]
fn node_without_an_address_is_waited_for() {
    let bench = |n: u8| Bench::of(Bench::config(n), Seed([n; 32]));
    let mut town = Town::new(vec![bench(1), bench(2)]);
    does(&mut town, 0, "request", 1);
    town.advance(A_WHILE);
    assert!(town.bench(0).calls().is_empty());
    introduce(&mut town, 0, 1);
    insta::assert_snapshot!(opinions(&mut town));
}

/// The agent of some Ed25519 key.
const AGENT: &str = "did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd";
/// Of a card that is `{"name":"x"}`.
const CARD_HASH: &str = "sha256:0229d37e33daae149bf40543a5ce1db4459d10f830d5139279aa2bfd5f6485a1";
