//! The Mimblewimble chain in the simulator: miners, payers and liars do what they do, what must hold is
//! seen to be looked at, and what is dear is made once.

use std::collections::BTreeMap;

use peerage_core::Event;
use peerage_core::time::Duration;
use peerage_sim::grin::{Net, measure, spies};
use peerage_sim::group::Group;
use peerage_sim::{Options, Oracle, Report, Run, Sabotage, Wire, run};

const SECOND: u64 = 1_000_000;

fn go(options: Options) -> Report {
    run(options, Vec::new(), |_| {}).expect("nothing is written")
}

/// A busy world with a chain, of this seed.
fn busy(seed: u64) -> Options {
    let mut options = Options::drawn(seed, 7, 60 * SECOND, true);
    options.wire = [Wire::Typed, Wire::Bytes, Wire::Mangled][(seed % 3) as usize];
    options.liars = 1;
    options.limits.grin_pool_max = 1;
    let net = Net {
        miners: Group::of([0, 3, 5]),
        interval: Duration::from_secs(5),
        payments: 30,
        fluff: 300_000,
        odd: 400_000,
        reads: 60,
        ..Net::default()
    };
    options.settle += net.settle();
    options.grin = Some(net);
    options
}

/// Events that come to pass in no busy world, each with the reason.
const ELSEWHERE: [(&str, &str); 8] = [
    ("grin_block_refused", "the scenario grin-spammer has it"),
    (
        "grin_transaction_dropped",
        "the scenario grin-partition has it",
    ),
    ("grin_chain_imported", "nobody is given a file"),
    ("grin_chain_importing", "nobody is given a file"),
    ("grin_compacted", "nobody asks for it"),
    ("grin_embargo_ended", "an embargo lasts for three minutes"),
    (
        "grin_reorganisation_too_deep",
        "it would take a thousand blocks",
    ),
    (
        "grin_table_full",
        "it would take hundreds of peers or thousands of headers",
    ),
];

#[test]
fn everything_that_a_chain_can_tell_of_comes_to_pass() {
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..6 {
        let report = go(busy(seed));
        assert!(report.good(), "{report}");
        assert!(report.findings.checks(Oracle::Grin) > 100, "{report}");
        for name in Event::names().filter(|name| name.starts_with("grin_")) {
            *told.entry(name).or_default() += report.told.of(name);
        }
    }
    let elsewhere = |name: &&str| ELSEWHERE.iter().any(|(other, _)| other == name);
    let never = told
        .iter()
        .filter(|(name, times)| **times == 0 && !elsewhere(name));
    assert_eq!(never.collect::<Vec<_>>(), []);
}

#[test]
fn worlds_without_a_chain_have_nothing_of_it() {
    let mut options = busy(1);
    options.grin = None;
    let report = go(options);
    assert!(report.good(), "{report}");
    assert_eq!(report.findings.checks(Oracle::Grin), 0);
    let told = report.told.sorted();
    assert!(
        told.iter().all(|(name, _)| !name.starts_with("grin_")),
        "{report}"
    );
}

#[test]
fn blocks_on_a_wire_are_blocks_in_memory() {
    let hash = |wire: Wire| {
        let mut options = busy(3);
        options.wire = wire;
        let report = go(options);
        assert!(report.good(), "{report}");
        report.hash
    };
    assert_eq!(hash(Wire::Typed), hash(Wire::Bytes));
}

#[test]
fn false_proofs_that_nobody_checks_are_noticed() {
    let mut options = Options::plain(3, 7, 60 * SECOND);
    options.grin = Some(Net {
        miners: Group::of([0, 3, 5]),
        interval: Duration::from_secs(3),
        payments: 200,
        fluff: 1_000_000,
        odd: 700_000,
        reads: 60,
        ..Net::default()
    });
    options.sabotage = Some(Sabotage::ChecksBlind);
    let report = go(options);
    assert!(report.findings.misses(Oracle::Grin) > 0, "{report}");
}

#[test]
fn payments_that_are_shown_too_early_are_noticed() {
    let mut options = busy(3);
    options.sabotage = Some(Sabotage::SecretsTold);
    let report = go(options);
    assert!(report.findings.misses(Oracle::Grin) > 0, "{report}");
}

#[test]
fn a_run_with_a_chain_can_be_copied_and_goes_on_in_the_same_way() {
    let mut run = Run::new(busy(4));
    run.advance(30 * SECOND);
    let mut copy = run.clone();
    run.advance(60 * SECOND);
    copy.advance(60 * SECOND);
    assert_eq!(run.hash(), copy.hash());
}

#[test]
fn a_network_that_mines_for_an_hour_has_one_chain() {
    let yielded = measure::measure(1, 6, 1);
    assert_eq!(yielded.tips, 1, "{yielded:?}");
    assert!((40..90).contains(&yielded.height), "{yielded:?}");
    assert!(yielded.mined >= yielded.height, "{yielded:?}");
    assert!(
        yielded.half_us > 0 && yielded.half_us <= yielded.most_us,
        "{yielded:?}"
    );
}

#[test]
fn spies_learn_less_of_what_goes_unseen_first() {
    let measured = spies::measure(1, 16, 1_200 * SECOND);
    let (stem, fluff) = (measured.stem, measured.fluff);
    assert!(stem.heard > 10 && fluff.heard > 10, "{measured:?}");
    assert!(2 * stem.share() < fluff.share(), "{measured:?}");
}
