//! Named scenarios at fixed seeds, determinism, and oracles that can be seen to fail.

mod clusters;
mod faults;
mod grin;
mod report;
mod scenarios;
mod shrink;
mod theory;
mod travel;

use peerage_sim::nemesis::Kind;
use peerage_sim::nemesis::draw::Rate;
use peerage_sim::{Options, Oracle, Report, Sabotage, Social, Wire, run};

const SECOND: u64 = 1_000_000;

fn go(options: Options) -> Report {
    run(options, Vec::new(), |_| {}).expect("nothing is written")
}

/// Runs and wants every oracle to be content.
fn check(options: Options) -> Report {
    let report = go(options);
    assert!(report.good(), "{report}");
    report
}

/// Runs with something done wrong, and wants `oracle` to notice.
fn check_notices(sabotage: Sabotage, oracle: Oracle) {
    let mut options = Options::drawn(11, 6, 40 * SECOND, false);
    options.sabotage = Some(sabotage);
    options.wire = Wire::Bytes;
    options.work.pause = SECOND / 10;
    options.work.ban = 3;
    options.work.put = 5;
    options.links.request_loss = 20_000;
    let report = go(options);
    assert!(
        report.findings.misses(oracle) > 0,
        "nobody noticed {sabotage:?}\n{report}"
    );
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..4 {
        let options = Options::drawn(seed, 8, 40 * SECOND, true);
        let (one, other) = (check(options.clone()), check(options));
        assert_eq!(
            (one.hash, one.events),
            (other.hash, other.events),
            "seed {seed}"
        );
    }
}

#[test]
fn bytes_on_the_wire_change_nothing() {
    for seed in 0..6 {
        let mut options = Options::drawn(seed, 8, 40 * SECOND, true);
        let typed = check(options.clone());
        options.wire = Wire::Bytes;
        let bytes = check(options);
        assert!(bytes.findings.checks(Oracle::Wire) > 100, "{bytes}");
        assert_eq!(
            (typed.hash, typed.events),
            (bytes.hash, bytes.events),
            "seed {seed}"
        );
    }
}

#[test]
fn other_seeds_are_other_runs() {
    let hash = |seed| check(Options::drawn(seed, 5, 20 * SECOND, true)).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn looking_closely_changes_nothing() {
    let mut options = Options::drawn(5, 8, 30 * SECOND, true);
    let close = check(options.clone());
    options.audited = 0;
    assert_eq!(close.hash, check(options).hash);
}

#[test]
fn small_worlds_hold_under_every_fault() {
    for seed in 0..40 {
        let nodes = 2 + (seed % 9) as u32;
        check(Options::drawn(seed, nodes, 60 * SECOND, true));
    }
}

#[test]
fn a_hundred_nodes_outlive_a_partition() {
    let mut options = Options::drawn(1, 100, 80 * SECOND, true);
    let cut = "30s partition share(0.5,9) | !share(0.5,9) for 20s";
    options.more_faults.push(cut.parse().expect("a fault"));
    check(options);
}

#[test]
fn planned_faults_can_be_replayed() {
    let mut options = Options::drawn(2, 8, 60 * SECOND, true);
    options.faults.of_mut(Kind::Crash).every = 5 * SECOND;
    let first = check(options.clone());
    assert!(first.faults.of("crash") > 3, "{first}");
    // The same faults from a text, and none drawn.
    let text: Vec<String> = first.planned.iter().map(ToString::to_string).collect();
    options.faults.only(&[]);
    options.more_faults = text
        .iter()
        .map(|line| line.parse().expect("what was printed is read back"))
        .collect();
    assert_eq!(first.hash, check(options).hash);
}

#[test]
fn restarts_lose_nothing_that_was_promised() {
    let mut options = Options::drawn(3, 5, 120 * SECOND, true);
    *options.faults.of_mut(Kind::Crash) = Rate {
        every: 2 * SECOND,
        lasts: SECOND,
    };
    options.work.pause = SECOND / 5;
    options.work.ban = 4;
    options.work.put = 10;
    let report = check(options);
    assert!(report.faults.of("crash") > 20, "{report}");
    assert!(report.told.of("banned") > 0, "{report}");
}

#[test]
fn lost_answers_are_noticed() {
    check_notices(Sabotage::AnswersEaten, Oracle::Answers);
}

#[test]
fn full_tables_are_noticed() {
    check_notices(Sabotage::TinyBounds, Oracle::Bounds);
}

#[test]
fn lost_commits_are_noticed() {
    check_notices(Sabotage::CommitsLost, Oracle::Commits);
}

#[test]
fn a_node_that_hears_nobody_is_noticed() {
    check_notices(Sabotage::Hermit, Oracle::Converge);
}

#[test]
fn calls_that_never_end_are_noticed() {
    check_notices(Sabotage::DeafToAbandon, Oracle::Deadlines);
}

#[test]
fn a_disk_that_answers_before_it_writes_is_noticed() {
    check_notices(Sabotage::DiskEarly, Oracle::Durable);
}

#[test]
fn a_disk_that_never_deletes_is_noticed() {
    check_notices(Sabotage::DiskHoards, Oracle::Export);
}

#[test]
fn a_disk_that_ignores_damage_is_noticed() {
    let mut options = Options::drawn(11, 6, 40 * SECOND, false);
    options.sabotage = Some(Sabotage::DamageIgnored);
    options.more_faults = vec!["20s disk-flip n2 for 5s".parse().expect("a fault")];
    let report = go(options);
    assert!(report.findings.misses(Oracle::Damage) > 0, "{report}");
}

#[test]
fn answers_that_no_model_allows_are_noticed() {
    let mut options = Options::drawn(11, 6, 40 * SECOND, false);
    options.sabotage = Some(Sabotage::AnswersFalse);
    options.work.pause = SECOND / 10;
    options.work.read = 30;
    let report = go(options);
    assert!(report.findings.misses(Oracle::Model) > 0, "{report}");
}

#[test]
fn letters_that_arrive_altered_are_noticed() {
    let mut options = Options::drawn(11, 6, 60 * SECOND, false);
    options.sabotage = Some(Sabotage::LettersAltered);
    options.work.pause = SECOND / 10;
    options.work.social = Social {
        relate: 4,
        message: 8,
        ..Social::default()
    };
    let report = go(options);
    assert!(report.findings.misses(Oracle::Friends) > 0, "{report}");
}

#[test]
fn a_panic_is_noticed() {
    check_notices(Sabotage::Panic, Oracle::Panic);
}

#[test]
fn a_garbled_wire_is_noticed() {
    check_notices(Sabotage::WireGarbled, Oracle::Wire);
}
