//! Recorded conversations with the original WattSwarm node, held again with ours.
//!
//! A scenario is replayed step by step: the recorded requests go to fresh nodes, with the node ids of
//! ours in place of the recorded ones, and each answer must be the recorded one but for what differs on
//! every run (see `compare`). What is ruled otherwise stands in the tables below with its reason: a step
//! of [`OVERRIDDEN`] must disagree, so the tables stay true.

mod compare;
mod stage;
mod transitions;

use peerage_tests::vectors::{file, text};
use serde_json::Value;

use stage::{Manner, Stage};

/// Steps that we answer otherwise on purpose: scenario, step, reason.
const OVERRIDDEN: &[(&str, u64, &str)] = &[
    (
        "local-07-bad-requests",
        25,
        "text behind the JSON value is refused",
    ),
    (
        "local-13-neighbours",
        3,
        "the start-up configuration of the original is not ours",
    ),
    (
        "local-13-neighbours",
        9,
        "tasks and workers are not part of the family",
    ),
    (
        "local-13-neighbours",
        10,
        "payments are not part of the family",
    ),
    (
        "local-13-neighbours",
        11,
        "group keys are not part of the family",
    ),
    (
        "local-13-neighbours",
        12,
        "group keys are not part of the family",
    ),
    (
        "local-13-neighbours",
        15,
        "feeds are not part of the family",
    ),
    (
        "two-07-block-and-unblock-by-other-side",
        7,
        "an illegal action is refused at once, not queued and dropped",
    ),
    (
        "two-07-block-and-unblock-by-other-side",
        10,
        "only a side that blocked may unblock",
    ),
    (
        "two-07-block-and-unblock-by-other-side",
        11,
        "still blocked, see step 10",
    ),
    (
        "two-07-block-and-unblock-by-other-side",
        12,
        "still blocked, see step 10",
    ),
    (
        "two-11-simultaneous-requests",
        9,
        "recorded before the envelope of the accept was stored; ours shows it, as always",
    ),
    (
        "two-11-simultaneous-requests",
        11,
        "recorded before the accept had made the thread on this side",
    ),
    (
        "two-13-dm-burst-order",
        18,
        "recorded before all messages had arrived; step 20 is the same listing with all of them",
    ),
];

/// Steps that are followed by the next one before anything is delivered: scenario, step.
const AT_ONCE: &[(&str, u64)] = &[("two-11-simultaneous-requests", 1)];

/// What an operator of ours does before a step, so that the later steps meet the recorded state:
/// scenario, step, remote node, actions, reason.
const PREPARED: &[(&str, u64, &str, &[&str], &str)] = &[
    (
        "local-07-bad-requests",
        26,
        "n",
        &["request"],
        "step 25 is refused, and a later listing shows what it did",
    ),
    (
        "local-10-dm-send-without-relationship",
        3,
        "node-beta",
        &["request", "accept"],
        "a message needs an accepted relationship",
    ),
    (
        "local-10-dm-send-without-relationship",
        10,
        "node-beta2",
        &["request", "accept"],
        "a message needs an accepted relationship",
    ),
    (
        "local-13-neighbours",
        14,
        "node-beta",
        &["request", "accept"],
        "a message needs an accepted relationship",
    ),
];

/// Replays a scenario in every manner.
fn replay(name: &str) {
    let scenario = file("wattswarm", name);
    for manner in [Manner::Plain, Manner::Restarting, Manner::Swapped] {
        if manner != Manner::Swapped || scenario["mode"] != "local" {
            replay_in(manner, name, &scenario);
        }
    }
}

/// Replays a scenario and names each step that disagrees.
fn replay_in(manner: Manner, name: &str, scenario: &Value) {
    let mut stage = Stage::of(scenario, manner);
    let mut failures = Vec::new();
    let steps = scenario["steps"].as_array().expect("steps");
    for step in steps {
        let n = step["n"].as_u64().expect("a number");
        for (_, _, remote, actions, _) in PREPARED
            .iter()
            .filter(|(of, at, ..)| *of == name && *at == n)
        {
            for action in *actions {
                stage.prepare(remote, action);
            }
        }
        let overridden = OVERRIDDEN.iter().any(|(of, at, _)| *of == name && *at == n);
        let at_once = AT_ONCE.contains(&(name, n));
        match (stage.take(step, at_once), overridden) {
            (Ok(()), false) | (Err(_), true) => {}
            (Err(failure), false) => failures.push(format!("step {n}, {}: {failure}", told(step))),
            (Ok(()), true) => failures.push(format!("step {n}: agrees; drop the override")),
        }
    }
    for (of, at, _) in OVERRIDDEN {
        if *of == name && !steps.iter().any(|step| step["n"] == *at) {
            failures.push(format!("step {at}: no such step"));
        }
    }
    failures.extend(stage.disagreement());
    let failures = failures.join("\n");
    assert!(failures.is_empty(), "{name}, {manner:?}\n{failures}");
}

/// A step in a few words.
fn told(step: &Value) -> String {
    let request = &step["request"];
    format!(
        "{} {} {}",
        text(step, "node"),
        text(request, "method"),
        text(request, "path")
    )
}

#[test]
fn every_file_is_replayed() {
    let replayed = [
        "local-01-empty-reads",
        "local-02-request-cancel-request-accept-remove",
        "local-04-block-paths",
        "local-05-transition-matrix",
        "local-07-bad-requests",
        "local-09-contact-material",
        "local-10-dm-send-without-relationship",
        "local-13-neighbours",
        "local-15-listing-order",
        "two-01-request-accept-dm",
        "two-03-reject-and-again",
        "two-07-block-and-unblock-by-other-side",
        "two-09-request-ids",
        "two-11-simultaneous-requests",
        "two-13-dm-burst-order",
        "two-15-envelope-visible-message",
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/wattswarm");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, replayed);
}

#[test]
fn fresh_nodes_have_empty_lists() {
    replay("local-01-empty-reads");
}

#[test]
fn relationships_come_and_go() {
    replay("local-02-request-cancel-request-accept-remove");
}

#[test]
fn blocks_shut_and_open() {
    replay("local-04-block-paths");
}

#[test]
fn bad_requests_do_no_harm() {
    replay("local-07-bad-requests");
}

#[test]
fn contact_material_is_taken() {
    replay("local-09-contact-material");
}

#[test]
fn messages_carry_any_json() {
    replay("local-10-dm-send-without-relationship");
}

#[test]
fn neighbouring_endpoints_answer() {
    replay("local-13-neighbours");
}

#[test]
fn relationships_are_listed_in_byte_order() {
    replay("local-15-listing-order");
}

#[test]
fn accepted_nodes_write_to_each_other() {
    replay("two-01-request-accept-dm");
}

#[test]
fn rejected_nodes_ask_again() {
    replay("two-03-reject-and-again");
}

#[test]
fn blocks_reach_the_other_side() {
    replay("two-07-block-and-unblock-by-other-side");
}

#[test]
fn requests_have_a_ledger() {
    replay("two-09-request-ids");
}

#[test]
fn both_may_ask_at_once() {
    replay("two-11-simultaneous-requests");
}

#[test]
fn bursts_keep_their_order() {
    replay("two-13-dm-burst-order");
}

#[test]
fn the_latest_envelope_is_shown() {
    replay("two-15-envelope-visible-message");
}
