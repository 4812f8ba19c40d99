//! Clusters in the simulator: what operators and strangers do happens, and what must hold is seen
//! to be looked at.

use std::collections::BTreeMap;

use peerage_core::Event;
use peerage_sim::cluster::measure::measure;
use peerage_sim::cluster::{Chores, Clusters};
use peerage_sim::scenario::{Overrides, Scenario};
use peerage_sim::{Options, Oracle, Report, Wire, run};

const SECOND: u64 = 1_000_000;

fn go(options: Options) -> Report {
    run(options, Vec::new(), |_| {}).expect("nothing is written")
}

/// A busy world with clusters, of this seed.
fn busy(seed: u64) -> Options {
    let mut options = Options::drawn(seed, 7, 60 * SECOND, true);
    options.wire = [Wire::Typed, Wire::Bytes, Wire::Mangled][(seed % 3) as usize];
    options.work.pause = SECOND / 5;
    options.liars = 1;
    // With an older release come the settings of that time, and another licence.
    let older = "40s downgrade n2 for 10s";
    options.more_faults.push(older.parse().expect("a fault"));
    let clusters = Clusters {
        secret: seed.is_multiple_of(2),
        sold: seed.is_multiple_of(3),
        work: Chores {
            add: 20,
            delete: 3,
            rename: 4,
            read: 20,
            leave: 2,
            init: 4,
            token: 8,
            credential: 6,
            rotate: 3,
        },
        ..Clusters::default()
    };
    options.settle += clusters.settle();
    options.clusters = Some(clusters);
    options
}

#[test]
fn everything_that_a_cluster_can_tell_of_comes_to_pass() {
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..12 {
        let report = go(busy(seed));
        assert!(report.good(), "{report}");
        for name in Event::names().filter(|name| name.starts_with("cluster_")) {
            *told.entry(name).or_default() += report.told.of(name);
        }
    }
    let never: Vec<_> = told.iter().filter(|(_, times)| **times == 0).collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn worlds_without_clusters_ask_nothing_of_them() {
    let mut options = busy(1);
    options.clusters = None;
    let report = go(options);
    assert!(report.good(), "{report}");
    let asked = ["cluster_handshake", "cluster_gossip", "cluster_identity"];
    assert!(
        asked.iter().all(|name| report.messages.of(name) == 0),
        "{report}"
    );
}

/// All are told of n0 a moment before the end, and nobody is given time.
#[test]
fn a_cluster_that_does_not_know_itself_is_noticed() {
    let scenario = |at: &str, settle: &str| {
        let text = format!(
            "nodes = 5\nduration = \"40s\"\nsettle = \"{settle}\"\n[cluster]\n[[requests]]\n\
             at = \"{at}\"\nnode = \"n1-n4\"\nlistener = \"api\"\nrequest = \"\"\"\n\
             POST /v1/peers HTTP/1.1\nauthorization: Bearer admin\n\n\
             {{\"address\":\"${{n0.address}}\"}}\"\"\"\nexpect = {{ status = 201 }}\n"
        );
        let read = Scenario::parse(&text, "late", None, &Overrides::default());
        go(read.expect("a scenario").options)
    };
    let late = scenario("39.9s", "200ms");
    assert_eq!(late.findings.misses(Oracle::Converge), 1, "{late}");
    let text = &late.findings()[0].text;
    assert!(
        text.contains("cluster") || text.contains("does not know"),
        "{text}"
    );
    assert!(scenario("39.9s", "60s").good());
    assert!(scenario("10s", "200ms").good());
}

#[test]
fn a_measured_cluster_comes_to_know_itself() {
    let cost = measure(1, 12);
    let converged = cost.converged_us.expect("all know all");
    assert!(converged < 60 * SECOND, "{cost:?}");
    // Each of 66 pairs shakes hands at least once.
    assert!((66..=132).contains(&cost.handshakes), "{cost:?}");
    // Three of twelve are told in each round of about five seconds, for a minute.
    assert!((300..=600).contains(&cost.heartbeats), "{cost:?}");
    assert_eq!(measure(1, 12).hash, cost.hash);
}
