//! The WattSwarm peers API: every row of its table of behaviours, as whole exchanges.
//!
//! `alone` is a node without a network, whose operator plays both parts; `together` are nodes that
//! reach each other; `messages` is what they write; `doors` is what may be asked where, and how badly.

mod alone;
mod doors;
mod messages;
mod together;

use std::time::Duration;

use peerage_core::Seed;
use peerage_core::config::WattswarmMode;
use peerage_tests::{Bench, ParsedAnswer, Town};
use serde_json::{Value, json};

use crate::bare;

const LIST: &str = "/api/peers/list";
const RELATIONSHIPS: &str = "/api/peers/relationships";
const THREADS: &str = "/api/peers/dm/threads";
const MESSAGES: &str = "/api/peers/dm/messages";
const CONTACT: &str = "/api/peers/contact-material";
const OWN_CONTACT: &str = "/api/network/contact-material/local";

/// Longer than a delivery takes that is repeated a few times.
const A_WHILE: Duration = Duration::from_secs(60);

/// A node without a network.
fn alone() -> Bench {
    Bench::with(|config| config.wattswarm.mode = WattswarmMode::Local)
}

/// `n` nodes that can reach each other once they know how; the first was told of all others.
fn town(n: u8) -> Town {
    let bench = |n: u8| Bench::of(Bench::config(n), Seed([n; 32]));
    let mut town = Town::new((1..=n).map(bench).collect());
    for other in 1..usize::from(n) {
        introduce(&mut town, 0, other);
    }
    town
}

/// An operator tells a node how another is reached.
fn introduce(town: &mut Town, at: usize, other: usize) {
    let material = town.bench(other).fetch(bare("GET", OWN_CONTACT)).json();
    let material = &material["contact_material"];
    let body = json!({"remote_node_id": id_of(other), "contact_material": material});
    let answer = post(town.bench(at), CONTACT, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    town.settle();
}

/// The id of a node in a town: its public key, which is its number thirty-two times.
fn id_of(at: usize) -> String {
    format!("{:02x}", at + 1).repeat(32)
}

fn post(bench: &mut Bench, target: &str, body: &Value) -> ParsedAnswer {
    bench.fetch_json("POST", target, &body.to_string())
}

fn act(bench: &mut Bench, remote: &str, action: &str) -> ParsedAnswer {
    let body = json!({
        "remote_node_id": remote, "action": action, "agent_envelope": envelope(action),
    });
    post(bench, RELATIONSHIPS, &body)
}

fn send(bench: &mut Bench, remote: &str, content: &Value) -> ParsedAnswer {
    let body = json!({
        "remote_node_id": remote, "content": content, "agent_envelope": envelope("message"),
    });
    post(bench, MESSAGES, &body)
}

/// An envelope that says what it is for, so that a listing tells whose it shows.
fn envelope(purpose: &str) -> Value {
    json!({"protocol": "google_a2a", "message": {"for": purpose}})
}

/// An action in a town that must be taken; everybody hears of it who can.
fn does(town: &mut Town, at: usize, action: &str, other: usize) {
    let answer = act(town.bench(at), &id_of(other), action);
    assert_eq!(answer.status, 200, "{action}: {}", answer.text());
    town.advance(Duration::from_millis(100));
}

/// A message in a town that must be taken; gives its id.
fn says(town: &mut Town, at: usize, content: &Value, other: usize) -> String {
    let answer = send(town.bench(at), &id_of(other), content);
    assert_eq!(answer.status, 200, "{}", answer.text());
    town.advance(Duration::from_millis(100));
    let id = answer.json()["message_id"].take();
    id.as_str().expect("an id").to_owned()
}

fn befriend(town: &mut Town, one: usize, other: usize) {
    does(town, one, "request", other);
    does(town, other, "accept", one);
}

/// Two nodes that may write to each other.
fn friends() -> Town {
    let mut town = town(2);
    befriend(&mut town, 0, 1);
    town
}

/// What is listed at `target`, as text.
fn shown(bench: &mut Bench, target: &str) -> String {
    let answer = bench.fetch(bare("GET", target));
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.text().to_owned()
}

/// What is listed under a name.
fn listed(bench: &mut Bench, target: &str, name: &str) -> Vec<Value> {
    let answer = bench.fetch(bare("GET", target));
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    let things = answer.json()[name].take();
    things.as_array().expect("a list").clone()
}

/// Messages that somebody wrote, in the only conversation.
fn written(bench: &mut Bench) -> Vec<Value> {
    let threads = listed(bench, THREADS, "threads");
    let [thread] = threads.as_slice() else {
        return Vec::new();
    };
    let thread = thread["thread_id"].as_str().expect("an id");
    let mut messages = listed(bench, &of_thread(thread), "messages");
    messages.retain(|message| message["message_kind"] == "message");
    messages
}

fn of_thread(thread: &str) -> String {
    format!("{MESSAGES}?thread_id={thread}")
}

/// What was asked and answered, without the headers that every answer has.
fn brief(bench: &mut Bench, requests: &[String]) -> String {
    let mut told = String::new();
    for request in requests {
        let (head, body) = request.split_once("\r\n\r\n").expect("a blank line");
        let mut lines = head.split("\r\n");
        let first = lines.next().expect("a first line");
        told += first.strip_suffix(" HTTP/1.1").expect("a request");
        for field in lines {
            told += &format!("  ({field})");
        }
        if !body.is_empty() {
            told += &format!("  {body}");
        }
        let answer = bench.fetch(request);
        told += &format!("\n    {} {}", answer.status, answer.text());
        if let Some(allow) = answer.header("allow") {
            told += &format!("(allow: {allow})");
        }
        told = told.trim_end().to_owned() + "\n";
    }
    told.replace(&"x".repeat(256), "xxx…")
}

/// Relationships as both of two nodes list them, a few words each.
fn opinions(town: &mut Town) -> String {
    let mut told = String::new();
    for at in 0..2 {
        let mut of = listed(town.bench(at), RELATIONSHIPS, "relationships");
        let record = of.pop().unwrap_or_default();
        let word = |key: &str| record[key].as_str().unwrap_or("nothing").to_owned();
        told += &format!(
            "    node {}: {}, last {} by {}\n",
            at + 1,
            word("relationship_state"),
            word("last_action"),
            word("initiated_by")
        );
    }
    told
}

/// JSON over several lines, for snapshots of listings.
fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON is printed")
}
