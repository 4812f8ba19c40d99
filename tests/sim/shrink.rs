//! Failing runs are cut down to what they need, and what is left still fails in the same way.

use peerage_sim::scenario::{Overrides, Scenario};
use peerage_sim::shrink::{Budget, Shrunk, explicit, said, shrink};
use peerage_sim::{Options, Oracle, Sabotage, Wire, run};

const SECOND: u64 = 1_000_000;

fn failing(sabotage: Sabotage) -> Options {
    let mut options = Options::drawn(11, 8, 60 * SECOND, true);
    options.sabotage = Some(sabotage);
    options
}

fn cut_down(options: &Options, oracle: Oracle, jobs: usize, tries: u64) -> Shrunk {
    let budget = Budget {
        tries,
        jobs,
        go_on: &|| true,
    };
    let mut told = 0;
    let shrunk = shrink(options, oracle, budget, &mut |_, _| told += 1).expect("it fails");
    assert!(told > 0, "nobody heard of progress");
    let report = run(shrunk.least.clone(), Vec::new(), |_| {}).expect("nothing is written");
    assert!(report.findings.misses(oracle) > 0, "{shrunk}\n{report}");
    check_said(&shrunk.least);
    shrunk
}

/// Wants a run to be read back from the file that is written of it.
#[track_caller]
fn check_said(options: &Options) {
    let text = said::scenario(options);
    let read = Scenario::parse(&text, "said", None, &Overrides::default());
    let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read.options, *options, "{text}");
}

#[test]
fn what_is_written_says_all_of_a_run() {
    for seed in 0..40 {
        let mut options = explicit(&Options::drawn(seed, 9, 30 * SECOND, true));
        check_said(&options);
        options.links.make_sound();
        options.wire = Wire::Mangled;
        options.kept_actions = Some([(0, 1), (0, 3), (1, 2), (7, 1_000)].into());
        check_said(&options);
        // Nothing stays as it was drawn.
        let other = Options::drawn(seed + 1, 12, 90 * SECOND, true);
        let (nodes, duration) = (options.nodes, options.duration);
        options = Options {
            seed,
            nodes,
            duration,
            ..explicit(&other)
        };
        options
            .more_faults
            .retain(|fault| fault.greatest() < Some(9));
        check_said(&options);
        check_said(&explicit(&Options::drawn(seed, 9, 30 * SECOND, false)));
        check_said(&explicit(&Options::plain(seed, 9, 30 * SECOND)));
    }
}

#[test]
fn kept_requests_are_explained() {
    let mut options = Options::drawn(5, 4, 30 * SECOND, false);
    let told = |options: &Options| -> Vec<String> {
        let text = said::scenario(options);
        let lines = text.lines().filter(|line| line.contains("\", # "));
        lines.map(str::to_owned).collect()
    };
    options.kept_actions = Some([(0, 1), (0, 2), (0, 3), (1, 5)].into());
    let many = told(&options);
    assert_eq!(many.len(), 4, "{many:?}");
    // Each is the same, whatever else is kept.
    for line in &many {
        let name = line.split('"').nth(1).expect("a name");
        let (user, number) = name.split_once(':').expect("user:number");
        let action = (
            user.parse().expect("a number"),
            number.parse().expect("a number"),
        );
        options.kept_actions = Some([action].into());
        let one = told(&options);
        assert_eq!(one, std::slice::from_ref(line));
    }
}

#[test]
fn what_a_failure_does_not_need_is_left_out() {
    for (sabotage, oracle, nodes, faults, actions) in [
        (Sabotage::DamageIgnored, Oracle::Damage, 2, 1, 0),
        // A friend that two others have in common.
        (Sabotage::DiskHoards, Oracle::Export, 3, 0, 2),
        (Sabotage::DeafToAbandon, Oracle::Deadlines, 4, 1, 2),
    ] {
        let shrunk = cut_down(&failing(sabotage), oracle, 2, 1_000);
        assert!(!shrunk.gave_up, "{shrunk}");
        assert!(shrunk.before.faults > 20 && shrunk.before.actions > 100);
        assert!(shrunk.after.nodes <= nodes, "{shrunk}");
        assert!(shrunk.after.faults <= faults, "{shrunk}");
        assert!(shrunk.after.actions <= actions, "{shrunk}");
        assert!(shrunk.after.duration <= 30 * SECOND, "{shrunk}");
    }
}

#[test]
fn the_least_does_not_depend_on_how_many_search_for_it() {
    let options = failing(Sabotage::DiskHoards);
    let one = cut_down(&options, Oracle::Export, 1, 1_000);
    let three = cut_down(&options, Oracle::Export, 3, 1_000);
    assert_eq!(one.least, three.least);
}

#[test]
fn a_search_ends_when_its_budget_does() {
    let shrunk = cut_down(&failing(Sabotage::DamageIgnored), Oracle::Damage, 1, 9);
    assert!(shrunk.gave_up && shrunk.tries == 9, "{shrunk}");
}

#[test]
fn a_run_that_holds_is_not_shrunk() {
    let options = Options::drawn(11, 4, 10 * SECOND, true);
    let budget = Budget {
        tries: 100,
        jobs: 1,
        go_on: &|| true,
    };
    let refused = shrink(&options, Oracle::Damage, budget, &mut |_, _| {});
    assert!(refused.is_err(), "{refused:?}");
}
