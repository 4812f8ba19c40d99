//! Time travel: whoever goes back and on again sees the same, and whatever is changed stays changed.

use peerage_sim::travel::{Reply, Traveller};
use peerage_sim::{Options, Run, Sabotage};

const SECOND: u64 = 1_000_000;

fn options(sabotage: Option<Sabotage>) -> Options {
    let mut options = Options::drawn(7, 5, 30 * SECOND, true);
    options.sabotage = sabotage;
    options
}

fn traveller(sabotage: Option<Sabotage>) -> Traveller {
    Traveller::new(Run::new(options(sabotage)))
}

/// Types lines and gives what the last one showed.
#[track_caller]
fn type_in(traveller: &mut Traveller, lines: &[&str]) -> String {
    let mut last = String::new();
    for line in lines {
        match traveller.line(line) {
            Ok(Reply::Text(text)) => last = text,
            other => panic!("{line}: {other:?}"),
        }
    }
    last
}

#[test]
fn the_way_back_and_on_again_is_the_same() {
    let mut here = traveller(None);
    let there = type_in(&mut here, &["goto 12.5s"]);
    for ways in [
        &["goto 20s", "goto 12.5s"][..],
        &["end", "goto 3s", "goto 12.5s"],
        &["step 3000", "back 2s", "goto 12.5s"],
        &["goto #10", "until event tx_accepted", "goto 12.5s"],
        &["until node 3", "goto 12.5s"],
        &["branch", "reseed 5", "goto 14s", "switch 0", "where"],
    ] {
        assert_eq!(type_in(&mut here, ways), there, "{ways:?}");
    }
    // And it is the run as it would have been.
    type_in(&mut here, &["end"]);
    let mut straight = Run::new(options(None));
    straight.advance(u64::MAX);
    assert_eq!(here.run().hash(), straight.hash());
}

#[test]
fn steps_back_are_the_steps_that_were_made() {
    let mut here = traveller(None);
    type_in(&mut here, &["goto 8s"]);
    let steps = type_in(&mut here, &["step 7"]);
    assert_eq!(steps.lines().count(), 7);
    assert_eq!(type_in(&mut here, &["back 7", "step 7"]), steps);
    // What is pending is what comes.
    let pending = type_in(&mut here, &["back 7", "pending 1"]);
    let what = pending.trim_end().rsplit(' ').next().expect("an event");
    assert!(
        steps.lines().next().expect("a step").contains(what),
        "{pending}{steps}"
    );
}

#[test]
fn what_was_changed_is_met_again_by_whoever_goes_back() {
    for change in ["reseed 3", "add 11s crash n1 for 5s"] {
        let mut here = traveller(None);
        let plain = type_in(&mut here, &["goto 20s"]);
        type_in(&mut here, &["goto 10s", "branch", change]);
        let changed = type_in(&mut here, &["goto 20s"]);
        assert_ne!(plain, changed, "{change} changes nothing");
        for ways in [
            &["goto 5s", "goto 20s"][..],
            &["goto #0", "step 200", "goto 20s"],
            &["end", "back 500", "goto 20s"],
        ] {
            assert_eq!(type_in(&mut here, ways), changed, "{change}, {ways:?}");
        }
        // Who changes something before has changed everything after.
        let other = type_in(&mut here, &["goto 6s", "reseed 9", "goto 20s"]);
        assert_ne!(other, changed);
        let list = type_in(&mut here, &["branches"]);
        assert!(list.contains("from 6.0 s on with luck of seed 9"), "{list}");
        assert!(!list.contains("from 10.0 s"), "{list}");
        assert_eq!(type_in(&mut here, &["switch 0", "goto 20s"]), plain);
    }
}

#[test]
fn a_branch_changes_nothing_for_the_other() {
    let mut here = Traveller::new(Run::new(Options::drawn(11, 4, 20 * SECOND, false)));
    let crashed = ["goto 6s", "branch", "add 7s crash n2 for 2s", "goto 8s"];
    let crashed = type_in(&mut here, &crashed);
    assert!(crashed.contains("3 of 4 nodes run"), "{crashed}");
    let without = type_in(&mut here, &["switch 0", "goto 8s"]);
    assert!(without.contains("4 of 4 nodes run"), "{without}");
    let branches = type_in(&mut here, &["branches"]);
    assert!(branches.contains("with 7s crash n2 for 2s"), "{branches}");
}

#[test]
fn a_failure_that_must_come_is_certain_from_the_beginning() {
    let mut options = Options::drawn(11, 4, 20 * SECOND, false);
    // The third commit of every node is reported with another number.
    options.sabotage = Some(Sabotage::CommitsLost);
    let mut here = Traveller::new(Run::new(options));
    let found = type_in(&mut here, &["until finding"]);
    assert!(found.contains("1 findings"), "{found}");
    let likely = type_in(&mut here, &["likely 3"]);
    assert!(
        likely.contains("100 %") && likely.contains("3 of 3 fail"),
        "{likely}"
    );
    let when = type_in(&mut here, &["when 2"]);
    assert!(when.lines().count() > 3 && when.contains("100 %"), "{when}");
}

#[test]
fn faults_are_told_and_added() {
    let mut here = traveller(None);
    let added = ["goto 10s", "add 12s pause n2 for 2s", "goto 13s"];
    type_in(&mut here, &added);
    let faults = type_in(&mut here, &["faults"]);
    let last = faults.lines().last().expect("a fault");
    assert!(last.contains("on     12s pause n2 for 2s"), "{faults}");
    assert!(type_in(&mut here, &["state 2"]).starts_with("n2 is paused"));
    assert!(type_in(&mut here, &["goto 15s", "faults"]).contains("past   12s pause n2"));
    for wrong in ["add 3s pause n2", "add 20s pause n9", "add nonsense"] {
        assert!(here.line(wrong).is_err(), "{wrong}");
    }
    // What was refused has not changed anything.
    assert_eq!(
        type_in(&mut here, &["branches"])
            .matches(" on with ")
            .count(),
        1
    );
}

#[test]
fn a_finding_is_reached_and_looked_at_from_before() {
    let mut here = traveller(Some(Sabotage::Panic));
    let there = type_in(&mut here, &["until finding"]);
    assert!(there.contains("panic: "), "{there}");
    let at = here.run().world().findings().first()[0].at;
    let before = type_in(&mut here, &["back 1"]);
    assert!(before.contains("0 findings"), "{before}");
    assert!(here.run().now() <= at);
    assert_eq!(type_in(&mut here, &["until finding"]), there);
    assert!(type_in(&mut here, &["until finding"]).contains("that never happens"));
    assert!(type_in(&mut here, &["likely 3"]).contains("failed already"));
}

#[test]
fn how_likely_a_failure_is_is_counted_and_where_it_became_so() {
    let mut sure = traveller(Some(Sabotage::Panic));
    let likely = type_in(&mut sure, &["goto 2s", "likely 4 100"]);
    assert!(
        likely.contains("100 %") && likely.contains("4 of 4"),
        "{likely}"
    );
    let mut never = traveller(None);
    let likely = type_in(&mut never, &["goto 25s", "likely 4"]);
    assert!(likely.contains("0 of 4"), "{likely}");
    assert!(type_in(&mut never, &["when 2"]).contains("rises nowhere"));
    // Only from the fault on is there anything to notice, so that is where it becomes likely.
    let mut flipped = Options::drawn(11, 4, 20 * SECOND, false);
    flipped.sabotage = Some(Sabotage::DamageIgnored);
    let mut here = Traveller::new(Run::new(flipped));
    type_in(
        &mut here,
        &["goto 9s", "add 10s disk-flip n2 for 5s", "goto 12s"],
    );
    let when = type_in(&mut here, &["when 3"]);
    assert!(
        when.contains("0 of 3 fail") && when.contains("3 of 3 fail"),
        "{when}"
    );
    let last = when.lines().last().expect("a line");
    let (from, to) = ("it rises most between ", ": from 0 to 3 of 3");
    let span = last
        .strip_prefix(from)
        .and_then(|rest| rest.strip_suffix(to));
    let (a, b) = span.and_then(|span| span.split_once(" and ")).expect(last);
    let time = |text: &str| peerage_sim::text::time(text).expect("a time");
    assert!(time(a) <= 9 * SECOND && 9 * SECOND <= time(b), "{when}");
    assert!(time(b) - time(a) < SECOND, "{when}");
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let mut here = traveller(None);
    let there = type_in(&mut here, &["goto 4s"]);
    for line in [
        "fly",
        "goto",
        "goto x",
        "goto #x",
        "back x",
        "step x",
        "until",
        "until event nothing",
        "until node 77",
        "state 77",
        "switch 3",
        "reseed x",
        "likely x",
        "when x",
    ] {
        assert!(here.line(line).is_err(), "{line}");
    }
    assert_eq!(type_in(&mut here, &["", "where"]), there);
    assert!(type_in(&mut here, &["help"]).contains("likely"));
    assert_eq!(here.line("quit"), Ok(Reply::Quit));
}
