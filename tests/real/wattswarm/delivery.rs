//! Requests, answers and messages between nodes that come and go.

use peerage_core::config::WattswarmMode;
use serde_json::{Value, json};

use super::{
    Friend, MESSAGES, RELATIONSHIPS, THREADS, agree, befriend, contents, friends, shared, strangers,
};
use crate::until;

#[tokio::test(flavor = "multi_thread")]
async fn request_acceptance_and_messages_show_on_both_sides() {
    let (one, other) = strangers().await;
    one.does("request", &other).await;
    until("the request arrives", async || {
        other.state(&one).await == "requested"
    })
    .await;
    assert_eq!(one.record(&other).await["initiated_by"], "local");
    assert_eq!(other.record(&one).await["initiated_by"], "remote");
    assert_eq!(
        other.record(&one).await["agent_envelope"]["message"]["text"],
        "hello"
    );
    assert_eq!(
        one.act(&other, "accept").await.0,
        400,
        "the asker does not answer"
    );
    other.does("accept", &one).await;
    until("the acceptance arrives", async || {
        one.state(&other).await == "accepted"
    })
    .await;
    assert_eq!(one.record(&other).await["initiated_by"], "remote");
    assert_eq!(other.record(&one).await["initiated_by"], "local");

    // Every kind of JSON, both ways, one after the other.
    let said = [
        json!({"text": "Grüße", "n": 1.5e300}),
        Value::Null,
        json!([1, [2], {"a": null}]),
        json!("text"),
        json!(true),
        json!(-0.25),
    ];
    for (n, content) in said.iter().enumerate() {
        let (from, to) = if n % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let id = from.says(content, to).await;
        until("the message arrives", async || {
            to.messages(from)
                .await
                .iter()
                .any(|message| message["message_id"] == id)
        })
        .await;
    }
    until("both agree", async || agree(&one, &other).await).await;
    let (ours, theirs) = (one.messages(&other).await, other.messages(&one).await);
    assert_eq!(ours.len(), said.len());
    let mut sorted = contents(&ours);
    sorted.sort_by_key(Value::to_string);
    let mut expected = said.to_vec();
    expected.sort_by_key(Value::to_string);
    assert_eq!(sorted, expected);
    for (a, b) in ours.iter().zip(&theirs) {
        assert_ne!(a["direction"], b["direction"]);
        let inbound = if a["direction"] == "inbound" { a } else { b };
        assert_eq!(inbound["acknowledged_at"], inbound["created_at"]);
    }
    for (here, there) in [(&one, &other), (&other, &one)] {
        let neighbour = here.neighbour(there).await;
        assert_eq!(neighbour["connected"], true, "{neighbour}");
        assert_eq!(neighbour["relationship"]["relationship_state"], "accepted");
        assert_eq!(neighbour["metadata"]["handshake_status"], "identified");
        let threads = here.get(THREADS).await["threads"].take();
        assert_eq!(threads.as_array().map(Vec::len), Some(1));
        assert_eq!(threads[0]["session_state"], "ready");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_asked_node_needs_no_introduction() {
    // Only one operator says anything of the other node, and neither node was given a peer.
    let (one, other) = strangers().await;
    assert_eq!(other.neighbour(&one).await, Value::Null);
    befriend(&one, &other).await;
    other.says(&json!("back"), &one).await;
    until("both agree", async || agree(&one, &other).await).await;
    assert_eq!(one.messages(&other).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_gets_what_it_missed_in_order() {
    let (one, mut other) = friends().await;
    other.stop().await;
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(one.says(&json!({"n": n}), &other).await);
    }
    let waiting = one.messages(&other).await;
    assert!(
        waiting
            .iter()
            .all(|message| message["delivery_state"] == "pending")
    );
    assert!(
        waiting
            .iter()
            .all(|message| message["acknowledged_at"].is_null())
    );
    other.start().await;
    until("all arrived", async || agree(&one, &other).await).await;
    let arrived = other.messages(&one).await;
    let found: Vec<&str> = arrived
        .iter()
        .filter_map(|message| message["message_id"].as_str())
        .collect();
    assert_eq!(found, ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_hears_of_every_action() {
    let (one, mut other) = friends().await;
    other.stop().await;
    for action in ["remove", "request"] {
        one.does(action, &other).await;
    }
    other.start().await;
    until("both are told", async || {
        other.state(&one).await == "requested"
    })
    .await;
    other.does("reject", &one).await;
    until("the answer arrives", async || {
        one.state(&other).await == "rejected"
    })
    .await;
}

/// Three nodes: after a restart the one in the middle is heard by both, and hears both.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_two_friends_hears_both_after_a_restart() {
    let (first, second) = (Friend::new().await, Friend::new().await);
    let mut middle = Friend::new().await;
    for friend in [&first, &second] {
        friend.hears_of(&middle).await;
        befriend(friend, &middle).await;
    }
    middle.kill();
    first.says(&json!("from the first"), &middle).await;
    second.says(&json!("from the second"), &middle).await;
    middle.start().await;
    for friend in [&first, &second] {
        until("the message arrives", async || agree(friend, &middle).await).await;
        assert_eq!(middle.messages(friend).await.len(), 1);
        friend.says(&json!("again"), &middle).await;
        middle.says(&json!("indeed"), friend).await;
    }
    for friend in [&first, &second] {
        until("both agree", async || {
            agree(friend, &middle).await && middle.messages(friend).await.len() == 3
        })
        .await;
    }
    assert_eq!(first.state(&second).await, "nothing");
    let threads = middle.get(THREADS).await["threads"].take();
    let thread = |n: usize| threads[n]["thread_id"].clone();
    assert_ne!(thread(0), thread(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_survives_a_crash_byte_for_byte() {
    let (mut one, other) = friends().await;
    one.says(&json!({"b": 1, "a": [1.0, 1e2]}), &other).await;
    until("both agree", async || agree(&one, &other).await).await;
    let thread = one.get(THREADS).await["threads"][0]["thread_id"].clone();
    let messages = format!("{MESSAGES}?thread_id={}", thread.as_str().expect("an id"));
    let paths = [RELATIONSHIPS, THREADS, &messages, "/api/log/head"];
    let mut before = Vec::new();
    for path in paths {
        before.push(crate::api(one.node(), "GET", path, "").await.body);
    }
    one.kill();
    one.start().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(
            crate::api(one.node(), "GET", path, "").await.body,
            before,
            "{path}"
        );
    }
}

/// A block on one side while the other's messages are on their way: what was acknowledged is on both
/// sides, the rest waits, and goes on once the two are friends again.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_during_delivery_stops_it() {
    let (one, other) = friends().await;
    for n in 0..40 {
        one.says(&json!(n), &other).await;
    }
    other.does("block", &one).await;
    until("the block arrives", async || {
        one.state(&other).await == "blocked"
    })
    .await;
    let (status, refusal) = one.send(&other, &json!("blocked")).await;
    assert_eq!(status, 400);
    assert!(
        refusal["error"]
            .as_str()
            .is_some_and(|text| text.contains("state=blocked")),
        "{refusal}"
    );
    assert_eq!(other.send(&one, &json!("blocked")).await.0, 400);
    assert_eq!(
        one.act(&other, "unblock").await.0,
        400,
        "the blocked side lifts nothing"
    );

    let delivered = async |from: &Friend, to: &Friend| {
        let mut messages = from.messages(to).await;
        messages.retain(|message| message["delivery_state"] == "delivered");
        shared(&messages)
    };
    // A message may have been taken whose receipt is still under way.
    let there = shared(&other.messages(&one).await);
    let acknowledged = delivered(&one, &other).await;
    assert!(acknowledged.iter().all(|message| there.contains(message)));
    assert_eq!(
        there,
        shared(&one.messages(&other).await)[..there.len()],
        "in order, without a hole"
    );

    other.does("unblock", &one).await;
    until("the block is lifted", async || {
        one.state(&other).await == "none"
    })
    .await;
    befriend(&one, &other).await;
    until("the rest arrives", async || agree(&one, &other).await).await;
    let numbers: Vec<Value> = (0..40).map(|n| json!(n)).collect();
    assert_eq!(contents(&other.messages(&one).await), numbers);
}

#[tokio::test(flavor = "multi_thread")]
async fn crossing_requests_end_in_a_state_that_both_can_use() {
    let (one, other) = strangers().await;
    other.hears_of(&one).await;
    let (a, b) = tokio::join!(one.act(&other, "request"), other.act(&one, "request"));
    assert_eq!((a.0, b.0), (200, 200));
    until("both see it", async || {
        one.state(&other).await == "requested" && other.state(&one).await == "requested"
    })
    .await;
    // Whoever is asked may answer, and here both may be; one of them surely is.
    until("one accepts", async || {
        one.act(&other, "accept").await.0 == 200 || other.act(&one, "accept").await.0 == 200
    })
    .await;
    until("both are friends", async || {
        one.state(&other).await == "accepted" && other.state(&one).await == "accepted"
    })
    .await;
    one.says(&json!("hello"), &other).await;
    until("both agree", async || agree(&one, &other).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_local_mode_keeps_everything_to_itself() {
    let alone = Friend::with(None, WattswarmMode::Local).await;
    let other = Friend::new().await;
    alone.hears_of(&other).await;
    other.hears_of(&alone).await;
    let act = async |action: &str, by: &str| {
        let body = json!({"remote_node_id": other.id, "action": action, "initiated_by": by});
        alone.post(RELATIONSHIPS, &body).await
    };
    let (status, answer) = act("request", "remote").await;
    assert_eq!(
        (status, &answer["relationship"]["initiated_by"]),
        (200, &json!("remote"))
    );
    assert_eq!(act("accept", "local").await.0, 200);
    alone.says(&json!("to nobody"), &other).await;
    assert_eq!(alone.messages(&other).await[0]["delivery_state"], "pending");
    assert_eq!(alone.get("/api/peers/list").await["peers"], json!([]));
    assert_eq!(alone.get("/api/node/status").await["mode"], "local");
    // What others send is refused, and stays with them.
    other.does("request", &alone).await;
    until("it was tried", async || {
        other.node().metrics().count("wattswarm_delivery_failed") > 0
    })
    .await;
    assert_eq!(alone.state(&other).await, "accepted");
    assert_eq!(other.state(&alone).await, "requested");
    assert_eq!(other.messages(&alone).await, Vec::<Value>::new());
}
