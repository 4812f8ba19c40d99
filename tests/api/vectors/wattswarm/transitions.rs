//! Every action in every state: the one recording that is a table and not a conversation.

use std::collections::BTreeSet;
use std::time::Duration;

use peerage_core::config::WattswarmMode;
use peerage_tests::vectors::{file, text};
use peerage_tests::{Bench, ParsedAnswer};
use serde_json::{Value, json};

use crate::vectors::same;

#[test]
fn every_action_in_every_state() {
    let table = file("wattswarm", "local-05-transition-matrix");
    let cells = table["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 252);
    let mut bench = Bench::with(|config| config.wattswarm.mode = WattswarmMode::Local);
    let mut failures = Vec::new();
    for (n, cell) in cells.iter().enumerate() {
        let fresh = format!("node-mx-{n}");
        let remote = cell["remote_node_id"].as_str().unwrap_or(&fresh);
        if let Err(failure) = check(&mut bench, remote, cell) {
            failures.push(format!(
                "{} by {} in {} by {}: {failure}",
                text(cell, "action"),
                text(cell, "initiator"),
                text(cell, "from"),
                text(cell, "setup_initiator"),
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(bench: &mut Bench, remote: &str, cell: &Value) -> Result<(), String> {
    let setup: &[&str] = match text(cell, "from") {
        "none" => &[],
        "requested" => &["request"],
        "accepted" => &["request", "accept"],
        "rejected" => &["request", "reject"],
        "blocked" => &["block"],
        "none_after_cancel" => &["request", "cancel"],
        other => panic!("no way to {other}"),
    };
    let mut before = Value::Null;
    for action in setup {
        let answer = act(bench, remote, action, text(cell, "setup_initiator"));
        same("status of the setup", answer.status, 200)?;
        before = answer.json()["relationship"].take();
    }
    let answer = act(bench, remote, text(cell, "action"), text(cell, "initiator"));
    same(
        "status",
        Some(answer.status.into()),
        cell["status"].as_u64(),
    )?;
    let mut json = answer.json();
    if answer.status != 200 {
        return same("body", &json, &cell["body"]);
    }
    let record = json["relationship"].take();
    same("state", &record["relationship_state"], &cell["to"])?;
    same("last action", &record["last_action"], &cell["last_action"])?;
    same("initiator", &record["initiated_by"], &cell["initiated_by"])?;
    let keys: BTreeSet<&str> = record
        .as_object()
        .ok_or("no record")?
        .keys()
        .map(String::as_str)
        .collect();
    let expected = cell["keys"].as_array().ok_or("no keys")?;
    same(
        "keys",
        keys,
        expected.iter().filter_map(Value::as_str).collect(),
    )?;
    same(
        "unchanged",
        Some(record == before),
        cell["unchanged"].as_bool(),
    )
}

fn act(bench: &mut Bench, remote: &str, action: &str, by: &str) -> ParsedAnswer {
    bench.advance(Duration::from_millis(50));
    let body = json!({"remote_node_id": remote, "action": action, "initiated_by": by});
    bench.fetch_json("POST", "/api/peers/relationships", &body.to_string())
}
