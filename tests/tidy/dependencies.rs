//! Which crate may know which, as `cargo metadata` tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Sockets, runtimes, disks and the operating system's randomness: not below the node.
const FOREIGN: &[&str] = &[
    "async-io",
    "async-std",
    "crossbeam",
    "fjall",
    "futures",
    "getrandom",
    "hyper",
    "hyper-util",
    "mio",
    "native-tls",
    "openssl",
    "parking_lot",
    "polling",
    "rand",
    "rayon",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "uuid",
];

/// Who may name whom within the workspace. Arrows only point down this list.
const ARROWS: &[(&str, &[&str])] = &[
    ("peerage-mw", &[]),
    ("peerage-core", &["peerage-mw"]),
    ("peerage-io", &["peerage-core", "peerage-mw"]),
    ("peerage-sim", &["peerage-core", "peerage-mw"]),
    ("peerage", &["peerage-core", "peerage-io"]),
    ("peerage-server", &["peerage-core", "peerage-io"]),
    (
        "peerage-benches",
        &[
            "peerage-core",
            "peerage-io",
            "peerage-mw",
            "peerage-sim",
            "peerage-tests",
        ],
    ),
    (
        "peerage-tests",
        &["peerage-core", "peerage-io", "peerage-mw", "peerage-sim"],
    ),
];

/// What stands below this crate is not looked at: the library it wraps brings loggers, locks and random
/// generators along. Its own front page says how none of that shows in a result.
const WRAPPER: &str = "peerage-mw";

struct Graph {
    names: BTreeMap<String, String>,
    /// By package: what it needs to run, and what only its tests need.
    needs: BTreeMap<String, Vec<(String, bool)>>,
    members: Vec<String>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--offline"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo runs");
        let failure = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{failure}");
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let names = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let only_tests = |need: &Value| {
            list(&need["dep_kinds"])
                .iter()
                .all(|kind| kind["kind"] == "dev")
        };
        let needs = list(&metadata["resolve"]["nodes"])
            .iter()
            .map(|node| {
                let needs = list(&node["deps"]);
                let needs = needs
                    .iter()
                    .map(|need| (text(&need["pkg"]), only_tests(need)));
                (text(&node["id"]), needs.collect())
            })
            .collect();
        Self {
            names,
            needs,
            members: list(&metadata["workspace_members"])
                .iter()
                .map(text)
                .collect(),
        }
    }

    fn id(&self, name: &str) -> &String {
        self.members
            .iter()
            .find(|id| self.names[*id] == name)
            .expect("a member of the workspace")
    }
}

/// Everything that a package runs on, the wrapped library left out: as it is built, with the features
/// that are switched on, where `cargo metadata` would add those that only tests switch on.
fn below(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prune", WRAPPER])
        .args(["--prefix", "none", "--format", "{p}", "--package", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{failure}");
    let said = String::from_utf8_lossy(&output.stdout);
    let names = said.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn nothing_below_the_node_touches_the_world() {
    let below = below("peerage-core");
    assert!(
        below.contains("ed25519-zebra") && below.contains("serde_json"),
        "{below:?}"
    );
    let foreign: Vec<&&str> = FOREIGN
        .iter()
        .filter(|name| below.contains(**name))
        .collect();
    assert!(foreign.is_empty(), "peerage-core stands on {foreign:?}");
    // So that the list above means something: the driver does stand on these.
    let driver = self::below("peerage-io");
    for name in ["tokio", "hyper", "rustls", "fjall"] {
        assert!(driver.contains(name), "{name} goes by another name");
    }
}

#[test]
fn crates_know_each_other_in_one_direction() {
    let graph = Graph::read();
    for id in &graph.members {
        let name = graph.names[id].as_str();
        let (_, allowed) = ARROWS
            .iter()
            .find(|(member, _)| *member == name)
            .unwrap_or_else(|| panic!("{name} has no place among the arrows"));
        for (need, _) in &graph.needs[id] {
            let need_name = graph.names[need].as_str();
            let fine = !graph.members.contains(need) || allowed.contains(&need_name);
            assert!(fine, "{name} knows {need_name}");
        }
    }
}

/// The core's own list: a new crate below the node is a decision, made here as well.
#[test]
fn the_node_names_few_crates() {
    let graph = Graph::read();
    let named: BTreeSet<&str> = graph.needs[graph.id("peerage-core")]
        .iter()
        .filter(|(_, only_tests)| !only_tests)
        .map(|(need, _)| graph.names[need].as_str())
        .collect();
    let expected = [
        "anyhow",
        "base64",
        "blake2",
        "bs58",
        "bytes",
        "chacha20poly1305",
        "chrono",
        "ed25519-dalek",
        "ed25519-zebra",
        "hashbrown",
        "hkdf",
        "hmac",
        "http",
        "jwt-compact",
        "p256",
        "peerage-mw",
        "rand_chacha",
        "ryu-js",
        "serde",
        "serde_json",
        "sha2",
        "subtle",
        "thiserror",
        "x25519-dalek",
        "ulid",
    ];
    assert_eq!(named, BTreeSet::from(expected));
}

/// Types of the wrapped library stay inside the wrapper; benchmarks stand beside it.
#[test]
fn only_the_wrapper_names_the_library() {
    let graph = Graph::read();
    let ours = |id: &&String| graph.names[*id] != "peerage-benches";
    for id in graph.members.iter().filter(ours) {
        let mut needs = graph.needs[id].iter().map(|(need, _)| &graph.names[need]);
        let names_it = needs.any(|need| need.starts_with("grin_"));
        assert_eq!(names_it, graph.names[id] == WRAPPER, "{}", graph.names[id]);
    }
}
