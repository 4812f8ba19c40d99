//! Failing runs are cut down to what they need, and what is left still fails in the same way.

use peerage_sim::shrink::{Budget, Shrunk, shrink};
use peerage_sim::{Options, Oracle, Sabotage, run};

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
    shrunk
}

#[test]
fn what_a_failure_does_not_need_is_left_out() {
    for (sabotage, oracle, nodes, faults, actions) in [
        (Sabotage::DamageIgnored, Oracle::Damage, 2, 1, 0),
        (Sabotage::DiskHoards, Oracle::Export, 2, 0, 2),
        (Sabotage::DeafToAbandon, Oracle::Deadlines, 4, 1, 1),
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
