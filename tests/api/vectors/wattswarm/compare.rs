//! When an answer is the recorded one.
//!
//! All must be equal but for what differs on every run, or was ruled otherwise for all scenarios:
//!
//! * moments are compared by their order within a relationship;
//! * plain-text errors are our JSON error object, with the same status;
//! * the feed is called `wattswarm.private.dm`;
//! * a message of ours is `pending` until the peer's node has it, and then says when that was;
//! * threads come by their latest activity, not by node;
//! * a thread keeps the moment of its relationship when something is sent, and nothing is sent without
//!   a relationship, so threads have the messages that come with one;
//! * addresses, keys and the kind of discovery are this network's, not the original's.

use core::cmp::Ordering;

use peerage_tests::ParsedAnswer;
use serde_json::Value;

use crate::vectors::{ensure, same};

/// What of a scenario matters for comparing.
pub(super) struct Kept {
    /// There is no network: nothing is ever delivered.
    pub(super) local: bool,
}

/// Says how an answer is another than the recorded one.
pub(super) fn answers(kept: &Kept, expected: &Value, found: &ParsedAnswer) -> Result<(), String> {
    let status = expected["status"].as_u64();
    let body = || String::from_utf8_lossy(&found.body).into_owned();
    same("status", Some(u64::from(found.status)), status)
        .map_err(|it| format!("{it}: {}", body()))?;
    if let Some(allow) = expected["allow"].as_str() {
        same(
            "allow",
            methods(found.header("allow").unwrap_or("")),
            methods(allow),
        )?;
    }
    let Some(expected_json) = expected.get("json").filter(|json| !json.is_null()) else {
        if expected["text"].as_str().is_none_or(str::is_empty) {
            return same("body", body(), String::new());
        }
        let json = found.json();
        same("ok", &json["ok"], &Value::Bool(false))?;
        let error = json["error"].as_str();
        return ensure(
            error.is_some_and(|error| !error.is_empty()),
            "no error is named",
        );
    };
    same(
        "content type",
        found.header("content-type"),
        Some("application/json"),
    )?;
    let mut found_json = found.json();
    let mut expected_json = expected_json.clone();
    same("moments", moments(&found_json), moments(&expected_json))?;
    overrule(kept, &mut expected_json);
    forgive(&mut found_json, &expected_json);
    level(&mut found_json);
    level(&mut expected_json);
    difference("", &found_json, &expected_json)
}

fn methods(allow: &str) -> Vec<&str> {
    let mut methods: Vec<&str> = allow.split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods
}

/// The first place where two values differ.
fn difference(at: &str, found: &Value, expected: &Value) -> Result<(), String> {
    match (found, expected) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, expected) in theirs {
                let Some(found) = ours.get(key) else {
                    return Err(format!("{at}.{key} is missing, expected {expected}"));
                };
                difference(&format!("{at}.{key}"), found, expected)?;
            }
            match ours.keys().find(|key| !theirs.contains_key(*key)) {
                Some(key) => Err(format!("{at}.{key} is too much: {}", ours[key])),
                None => Ok(()),
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .enumerate()
            .try_for_each(|(n, (found, expected))| {
                difference(&format!("{at}[{n}]"), found, expected)
            }),
        _ if found == expected => Ok(()),
        _ => Err(format!("{at}: found {found}, expected {expected}")),
    }
}

/// The order of the moments of every relationship in a value.
fn moments(value: &Value) -> Vec<Vec<(String, String, Ordering)>> {
    let mut found = Vec::new();
    each(value, &mut |members| {
        if !members.contains_key("relationship_state") || members.contains_key("synthetic") {
            return;
        }
        let moments: Vec<(&String, i64)> = members
            .iter()
            .filter(|(key, _)| key.ends_with("_at"))
            .filter_map(|(key, value)| Some((key, value.as_i64()?)))
            .collect();
        let pairs = moments.iter().enumerate().flat_map(|(n, (key, moment))| {
            let later = moments.iter().skip(n + 1);
            later.map(move |(other, then)| ((*key).clone(), (*other).clone(), moment.cmp(then)))
        });
        found.push(pairs.collect());
    });
    found
}

/// Calls `look` with every object in a value.
fn each(value: &Value, look: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| each(value, look)),
        Value::Object(members) => {
            look(members);
            members.values().for_each(|value| each(value, look));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts into what was recorded how we were to answer.
fn overrule(kept: &Kept, expected: &mut Value) {
    match expected {
        Value::Array(values) => values.iter_mut().for_each(|value| overrule(kept, value)),
        Value::Object(members) => {
            if members
                .get("feed_key")
                .is_some_and(|key| key == "wattswarm.dm")
            {
                members.insert("feed_key".to_owned(), "wattswarm.private.dm".into());
            }
            if kept.local && is_sent(members) {
                members.insert("delivery_state".to_owned(), "pending".into());
            } else if is_sent(members) {
                members.insert("acknowledged_at".to_owned(), members["created_at"].clone());
            }
            members.values_mut().for_each(|value| overrule(kept, value));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether an object is a message that its node has sent.
fn is_sent(members: &serde_json::Map<String, Value>) -> bool {
    let is = |key: &str, value: &str| members.get(key).is_some_and(|found| found == value);
    is("message_kind", "message") && is("direction", "outbound")
}

/// Takes away what ours have and the recorded ones lost, or never had because they were not related.
fn forgive(found: &mut Value, expected: &Value) {
    if let Some(Value::Array(threads)) = found.get_mut("threads") {
        for thread in threads {
            let recorded = expected["threads"].as_array().into_iter().flatten();
            let mut recorded = recorded.filter(|other| other["thread_id"] == thread["thread_id"]);
            let established = "relationship_established_at";
            if recorded.any(|other| other.get(established).is_none())
                && let Value::Object(thread) = thread
            {
                thread.remove(established);
            }
        }
    }
    let synthetic = |message: &Value| message["message_kind"] != "message";
    let related = expected["messages"]
        .as_array()
        .is_some_and(|all| all.iter().any(synthetic));
    if !related && let Some(Value::Array(messages)) = found.get_mut("messages") {
        messages.retain(|message| !synthetic(message));
    }
}

/// Makes equal what differs on every run.
fn level(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(level),
        Value::Object(members) => {
            level_object(members);
            members.values_mut().for_each(level);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn level_object(members: &mut serde_json::Map<String, Value>) {
    if let Some(Value::Array(threads)) = members.get_mut("threads") {
        threads.sort_by_key(|thread| thread["thread_id"].to_string());
    }
    if let Some(Value::Object(metadata)) = members.get_mut("metadata") {
        let key = |name: &str| ["node_id", "handshake_status"].contains(&name);
        metadata.retain(|name, _| key(name));
    }
    for (key, value) in members.iter_mut() {
        let level = match key.as_str() {
            "source_kind" => "found somehow",
            "listen_addrs" => "listens somewhere",
            "handshake_status" => "known somehow",
            key if key.ends_with("_at") && value.is_u64() => "at some moment",
            _ => continue,
        };
        *value = Value::from(level);
    }
}
