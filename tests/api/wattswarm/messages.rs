//! Direct messages: who may write, what arrives, and what both sides show of it.

use std::fmt::Write as _;
use std::time::Duration;

use peerage_tests::Town;
use serde_json::{Value, json};

use super::{
    A_WHILE, LIST, MESSAGES, THREADS, act, befriend, does, envelope, friends, id_of, listed,
    of_thread, post, pretty, says, send, shown, town, written,
};
use crate::bare;

// Rows 20 and 21, step by step: what travels, what is written, what is answered.
#[test]
fn message_step_by_step() {
    let mut town = friends();
    for at in 0..2 {
        town.bench(at).story();
    }
    says(&mut town, 0, &json!({"text": "hello"}), 1);
    let [sender, receiver] = [0, 1].map(|at| town.bench(at).story());
    insta::assert_snapshot!(format!("{sender}\n=== the receiver ===\n\n{receiver}"));
}

// Row 18: the order of the checks, and that nothing is stored.
#[test]
fn checks_of_a_message_come_in_order() {
    let mut town = town(2);
    let bench = town.bench(0);
    let before = bench.node().export();
    let long = "x".repeat(65_537);
    let card = json!({"agent_id": "a", "card_hash": " ", "issued_at": 1, "card": {}});
    let own = id_of(0);
    let cases = [
        (
            "another shape",
            json!({"remote_node_id": " ", "agent_envelope": {}}),
        ),
        (
            "no content",
            json!({"remote_node_id": " ", "agent_envelope": {"protocol": " "}}),
        ),
        ("no envelope", json!({"remote_node_id": " ", "content": 1})),
        (
            "no envelope",
            json!({"remote_node_id": " ", "content": 1, "agent_envelope": null}),
        ),
        (
            "blank id",
            json!({"remote_node_id": " ", "content": 1, "agent_envelope": {"protocol": " "}}),
        ),
        (
            "own id",
            json!({"remote_node_id": own, "content": 1, "agent_envelope": {"protocol": " "}}),
        ),
        (
            "no protocol",
            json!({"remote_node_id": "n", "content": 1, "agent_envelope": {"protocol": " "}}),
        ),
        (
            "text too long",
            json!({"remote_node_id": "n", "content": 1,
            "agent_envelope": {"protocol": "p", "message_json": long}}),
        ),
        (
            "card without a hash",
            json!({"remote_node_id": "n", "content": 1,
            "agent_envelope": {"protocol": "p", "source_agent_card": card}}),
        ),
        (
            "no relationship",
            json!({"remote_node_id": "n", "content": "x".repeat(200_000),
            "agent_envelope": {"protocol": "p"}}),
        ),
    ];
    let mut told = String::new();
    for (case, body) in cases {
        let answer = post(bench, MESSAGES, &body);
        let _ = writeln!(told, "{case}: {} {}", answer.status, answer.text());
    }
    assert_eq!(bench.node().export(), before);
    insta::assert_snapshot!(told);
}

// Row 18: keys and sizes, which are looked at last.
#[test]
fn keys_and_sizes_are_checked_last() {
    let mut town = friends();
    let mut told = String::new();
    for length in [90_000, 100_000] {
        let answer = send(town.bench(0), &id_of(1), &json!("x".repeat(length)));
        let text = answer.json()["error"]
            .as_str()
            .unwrap_or("taken")
            .to_owned();
        let _ = writeln!(told, "{length} bytes: {} {text}", answer.status);
    }
    town.settle();
    assert_eq!(written(town.bench(1)).len(), 1);
    insta::assert_snapshot!(told);
}

// Row 19: states by whoever brought them about, on both sides.
#[test]
fn only_an_accepted_relationship_lets_messages_through() {
    let stories: &[&[(usize, &str)]] = &[
        &[],
        &[(0, "request")],
        &[(0, "request"), (0, "cancel")],
        &[(0, "request"), (1, "reject")],
        &[(0, "request"), (1, "accept")],
        &[(0, "request"), (1, "accept"), (1, "remove")],
        &[(0, "request"), (1, "accept"), (0, "block")],
        &[(0, "request"), (1, "accept"), (0, "block"), (0, "unblock")],
    ];
    let mut told = String::new();
    for story in stories {
        let mut town = town(2);
        for (at, action) in *story {
            does(&mut town, *at, action, 1 - at);
        }
        let steps: Vec<String> = story
            .iter()
            .map(|(at, action)| format!("{} {action}s", at + 1))
            .collect();
        let _ = writeln!(told, "[{}]", steps.join(", "));
        for at in 0..2 {
            let other = id_of(1 - at);
            let answer = send(town.bench(at), &other, &json!("hello"));
            let text = answer.json()["error"]
                .as_str()
                .unwrap_or("taken")
                .to_owned();
            let _ = writeln!(
                told,
                "    {} writes: {} {}",
                at + 1,
                answer.status,
                text.replace(&other, "ID")
            );
            town.advance(Duration::from_secs(1));
            let arrived = written(town.bench(1 - at))
                .iter()
                .any(|it| it["direction"] == "inbound");
            assert_eq!(arrived, answer.status == 200);
        }
    }
    insta::assert_snapshot!(told);
}

// Section 4.4: a message that is on its way when the relationship ends is dropped by the receiver,
// and arrives when there is one again.
#[test]
fn message_that_meets_a_block_waits() {
    let mut town = friends();
    town.take_down(1);
    says(&mut town, 0, &json!("on its way"), 1);
    // The receiver's operator acts before it can be called, and the sender has not heard of it.
    let answer = act(town.bench(1), &id_of(0), "remove");
    assert_eq!(answer.status, 200);
    town.take_up(1);
    town.advance(A_WHILE);
    assert_eq!(written(town.bench(1)), Vec::<Value>::new());
    assert_eq!(written(town.bench(0))[0]["delivery_state"], "pending");
    befriend(&mut town, 0, 1);
    town.advance(A_WHILE);
    assert_eq!(written(town.bench(1)).len(), 1);
    assert_eq!(written(town.bench(0))[0]["delivery_state"], "delivered");
}

// Row 20.
#[test]
fn answers_name_the_conversation_and_the_message() {
    let mut town = friends();
    let mut told = String::new();
    let mut ids = Vec::new();
    for (at, remote) in [
        (0, id_of(1)),
        (0, format!("\t{} ", id_of(1))),
        (1, id_of(0)),
    ] {
        let answer = send(town.bench(at), &remote, &json!("hello"));
        let _ = writeln!(told, "{} {}", answer.status, answer.text());
        ids.push(answer.json()["message_id"].clone());
        town.advance(Duration::from_secs(1));
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    insta::assert_snapshot!(told);
}

/// Whatever both sides must show alike of what was written.
fn alike(town: &mut Town) -> [Vec<Value>; 2] {
    let parts = [
        "thread_id",
        "message_id",
        "content",
        "created_at",
        "agent_envelope",
    ];
    [0, 1].map(|at| {
        let messages = written(town.bench(at));
        let of = |message: &Value| parts.iter().map(|part| message[*part].clone()).collect();
        messages.iter().map(of).collect()
    })
}

// Row 21: the answer to a delivery is lost, so it comes again.
#[test]
fn message_that_comes_twice_is_there_once() {
    let mut town = friends();
    town.bench(1).disk_is_slow();
    says(&mut town, 0, &json!("once"), 1);
    // The receiver has it and cannot say so before it dies; what it had was not durable.
    town.restart(1);
    town.bench(1).disk_catches_up();
    town.advance(A_WHILE);
    let [ours, theirs] = alike(&mut town);
    assert_eq!((ours.len(), &ours), (1, &theirs));
    let deliveries = town
        .bench(0)
        .calls()
        .iter()
        .filter(|call| call.line().ends_with("p2p/dm"));
    assert!(deliveries.count() >= 2);

    // What was delivered is delivered once more, word for word.
    let calls = town.bench(0).calls();
    let again = calls
        .iter()
        .rev()
        .find(|call| call.line().ends_with("p2p/dm"));
    let again = again.expect("a delivery").text.clone();
    let cert = town.bench(0).cert();
    let client = peerage_tests::Client::node("10.0.0.1:50000", cert.fingerprint, cert.key);
    let answer = town.bench(1).send_as(&client, again);
    assert!(answer.contains("repeated"), "{answer}");
    assert_eq!(alike(&mut town)[1], ours);
}

// Row 22.
#[test]
fn message_is_pending_while_the_node_is_away() {
    let mut town = friends();
    town.take_down(1);
    let mut told = String::new();
    for n in 0..2 {
        says(&mut town, 0, &json!(n), 1);
    }
    let mut show = |town: &mut Town, what: &str| {
        let of = |message: &Value| {
            let state = message["delivery_state"].as_str().unwrap_or("?");
            let at = |key: &str| message[key].as_u64();
            let after = at("acknowledged_at").zip(at("created_at"));
            let after = after.map(|(then, at)| format!(" after {} ms", then - at));
            format!(
                "{} {state}{}",
                message["content"],
                after.unwrap_or_default()
            )
        };
        let _ = writeln!(told, "{what}");
        for (at, side) in ["sender", "receiver"].iter().enumerate() {
            let all: Vec<String> = written(town.bench(at)).iter().map(of).collect();
            let _ = writeln!(told, "    {side}: {}", all.join("; "));
        }
    };
    show(&mut town, "at first");
    town.advance(Duration::from_secs(370));
    show(&mut town, "after nine attempts");
    town.advance(Duration::from_secs(10));
    show(&mut town, "after ten");
    town.advance(Duration::from_secs(60));
    show(&mut town, "after eleven");
    town.restart(0);
    show(&mut town, "after a restart");
    town.take_up(1);
    town.advance(A_WHILE);
    show(&mut town, "the node is back");
    insta::assert_snapshot!(told);
}

// Row 23.
#[test]
fn two_friends_reach_a_node_that_has_started_anew() {
    let mut town = town(3);
    befriend(&mut town, 0, 1);
    befriend(&mut town, 0, 2);
    town.restart(0);
    for friend in [1, 2] {
        says(&mut town, friend, &json!(format!("from {}", friend + 1)), 0);
        says(&mut town, 0, &json!(format!("to {}", friend + 1)), friend);
    }
    town.advance(A_WHILE);
    for friend in [1, 2] {
        let contents: Vec<Value> = written(town.bench(friend))
            .iter()
            .map(|message| message["content"].clone())
            .collect();
        let n = friend + 1;
        assert_eq!(
            contents,
            [json!(format!("from {n}")), json!(format!("to {n}"))]
        );
    }
    // Row 24: the conversation with the latest message first.
    let threads = Value::from(listed(town.bench(0), THREADS, "threads"));
    insta::assert_snapshot!(pretty(&threads));
}

// Rows 24 and 25, as both sides list them.
#[test]
fn conversation_of_two() {
    let mut town = friends();
    says(&mut town, 0, &json!("hello"), 1);
    says(&mut town, 1, &json!({"text": "good day"}), 0);
    let mut told = String::new();
    for at in 0..2 {
        let threads = listed(town.bench(at), THREADS, "threads");
        let thread = threads[0]["thread_id"].as_str().expect("an id").to_owned();
        let messages = listed(town.bench(at), &of_thread(&thread), "messages");
        let _ = writeln!(
            told,
            "=== node {} ===\n{}\n{}",
            at + 1,
            pretty(&threads.into()),
            pretty(&messages.into())
        );
    }
    insta::assert_snapshot!(told);
}

// Row 25: many messages from both sides at once, within a millisecond of each other.
#[test]
fn both_sides_show_one_order() {
    let mut town = friends();
    for n in 0..40 {
        let (at, content) = (n % 2, json!(n));
        let answer = send(town.bench(at), &id_of(1 - at), &content);
        assert_eq!(answer.status, 200, "{}", answer.text());
        if n % 7 == 0 {
            town.advance(Duration::from_millis(1));
        }
    }
    town.advance(A_WHILE);
    let [ours, theirs] = alike(&mut town);
    assert_eq!((ours.len(), &ours), (40, &theirs));
    for at in 0..2 {
        let messages = written(town.bench(at));
        let sent: Vec<&Value> = messages
            .iter()
            .filter(|message| message["direction"] == "outbound")
            .map(|message| &message["content"])
            .collect();
        let expected: Vec<Value> = (0..40).filter(|n| n % 2 == at).map(Value::from).collect();
        assert_eq!(
            sent,
            expected.iter().collect::<Vec<_>>(),
            "each side's own in the order of writing"
        );
    }
}

// Row 26: the listing holds the very text that was sent.
#[test]
fn any_json_comes_back_unchanged() {
    let mut town = friends();
    let texts = [
        "null",
        "true",
        "\"\"",
        "\"\\u00fc \\ud83d\\ude00 \\n\"",
        "0",
        "-0.0",
        "1e300",
        "12345678901234567890123",
        "1.50",
        "[]",
        "[1,[2,[3]]]",
        "{}",
        "{\"b\":1,\"a\":{\"c\":null}}",
        "{ \"spaced\" : [ 1 , 2 ] }",
    ];
    for text in texts {
        let body = format!(
            "{{\"remote_node_id\":\"{}\",\"content\":{text},\"agent_envelope\":{}}}",
            id_of(1),
            envelope("message")
        );
        let answer = town.bench(0).fetch_json("POST", MESSAGES, &body);
        assert_eq!(answer.status, 200, "{text}: {}", answer.text());
        town.advance(Duration::from_millis(100));
    }
    let threads = listed(town.bench(1), THREADS, "threads");
    let thread = threads[0]["thread_id"].as_str().expect("an id").to_owned();
    for at in 0..2 {
        let answer = shown(town.bench(at), &of_thread(&thread));
        let mut rest = answer.as_str();
        for text in texts {
            let shown = format!("\"content\":{text},");
            let place = rest.find(&shown);
            assert!(
                place.is_some(),
                "{text} is missing or out of order in {answer}"
            );
            rest = &rest[place.unwrap_or(0) + shown.len()..];
        }
    }
}

// A ban is not a block: nothing is delivered, and the relationship stays as it was.
#[test]
fn banned_node_neither_writes_nor_is_written_to() {
    let mut town = friends();
    let ban = |town: &mut Town, word: &str| {
        let path = format!("/v1/peers/10.0.0.2:1789/{word}");
        let answer = town.bench(0).fetch(bare("POST", &path));
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    ban(&mut town, "ban");
    says(&mut town, 0, &json!("to the banned"), 1);
    says(&mut town, 1, &json!("from the banned"), 0);
    town.advance(A_WHILE);
    for at in 0..2 {
        let messages = written(town.bench(at));
        assert_eq!(
            (messages.len(), &messages[0]["direction"]),
            (1, &json!("outbound"))
        );
        assert_eq!(messages[0]["delivery_state"], "pending");
    }
    let list = town.bench(0).fetch(bare("GET", LIST)).json();
    assert_eq!(list["peers"], json!([]));
    ban(&mut town, "unban");
    town.advance(A_WHILE);
    let [ours, theirs] = alike(&mut town);
    assert_eq!((ours.len(), &ours), (2, &theirs));
}
