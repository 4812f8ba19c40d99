//! The vector files, replayed at a whole node.

mod grin;
mod grin_first;
mod http;
mod mempool;
mod peers;
mod text;
mod wattswarm;

use peerage_tests::vectors::{cases, text as text_of};
use serde_json::Value;

/// Cases where the node does something else on purpose: file, case, reason.
///
/// A case that agrees after all fails the test, so the table stays true.
const OVERRIDDEN: &[(&str, &str, &str)] = &[
    (
        "host_addresses",
        "addr-8",
        "brackets around IPv6 are read, since the node prints them itself",
    ),
    (
        "hostnames",
        "host-20",
        "an octet with a leading zero is refused: the original takes it and then answers 500",
    ),
    (
        "peer_db",
        "bootstrap-of-several-networks-loses-protection",
        "an operator's peers are never forgotten, whatever the number of networks",
    ),
];

/// Cases that need what no request can bring about: file, case, and where they are tested.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "insert_cases",
        "badlisted",
        "needs a ledger: the pool's own tests",
    ),
    (
        "insert_cases",
        "order-mined-before-badlist",
        "needs a ledger: the pool's own tests",
    ),
];

/// Runs `check` on every case of a file and names each one that disagrees.
fn replay(file: &str, mut check: impl FnMut(&Value) -> Result<(), String>) {
    let mut failures = Vec::new();
    let all = cases("chainweb", file);
    let known = |table: &[(&str, &str, &str)], id: &str| {
        table.iter().any(|(of, case, _)| *of == file && *case == id)
    };
    for case in &all {
        let id = text_of(case, "id");
        if known(ELSEWHERE, id) {
            continue;
        }
        match (check(case), known(OVERRIDDEN, id)) {
            (Ok(()), false) | (Err(_), true) => {}
            (Err(failure), false) => failures.push(format!("{file}/{id}: {failure}")),
            (Ok(()), true) => failures.push(format!("{file}/{id}: agrees; drop the override")),
        }
    }
    for (of, id, _) in OVERRIDDEN.iter().chain(ELSEWHERE) {
        if *of == file && !all.iter().any(|case| case["id"] == *id) {
            failures.push(format!("{file}/{id}: no such case"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Fails with both sides unless they are equal.
fn same<T: PartialEq + core::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}"))
    }
}

/// Fails with `what` unless `holds`.
fn ensure(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

#[test]
fn every_file_is_replayed() {
    let replayed = [
        "base64url",
        "command_hashes",
        "getpending",
        "host_addresses",
        "hostnames",
        "http_requests",
        "insert_batches",
        "insert_cases",
        "network_ids",
        "node_versions",
        "paging",
        "peer_db",
        "peer_ids",
        "peer_info",
        "reserved_hosts",
        "sync_sessions",
        "transactions",
        "versions",
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/chainweb");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .map(|name| name.trim_end_matches(".json").to_owned())
        .collect();
    files.sort();
    assert_eq!(files, replayed);
}
