//! Time travel: to a moment and back, and into another course of events.

use peerage_sim::travel::{Reply, Traveller};
use peerage_sim::{Options, Run, Sabotage};

const SECOND: u64 = 1_000_000;

fn traveller() -> Traveller {
    let mut options = Options::drawn(11, 4, 20 * SECOND, false);
    // The third commit of every node is reported with another number.
    options.sabotage = Some(Sabotage::CommitsLost);
    options.work.pause = SECOND / 5;
    Traveller::new(Run::new(options))
}

#[track_caller]
fn say(traveller: &mut Traveller, line: &str) -> String {
    match traveller.line(line) {
        Ok(Reply::Text(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn there_and_back_is_the_same_moment() {
    let mut traveller = traveller();
    let there = say(&mut traveller, "goto 5s");
    assert!(there.starts_with("5.0 s after"), "{there}");
    let later = say(&mut traveller, "goto 9s");
    assert_ne!(there, later);
    assert_eq!(say(&mut traveller, "goto 5s"), there);
    assert_eq!(say(&mut traveller, "goto 9s"), later);
    // By events, in steps and back.
    let at = say(&mut traveller, "goto #500");
    let steps = say(&mut traveller, "step 20");
    assert!(
        steps.lines().count() == 10 && steps.contains("#520 "),
        "{steps}"
    );
    assert_eq!(say(&mut traveller, "back 20"), at);
    assert_eq!(say(&mut traveller, "step 20"), steps);
}

#[test]
fn what_comes_next_is_what_happens() {
    let mut traveller = traveller();
    say(&mut traveller, "goto 4s");
    let pending = say(&mut traveller, "pending 1");
    let happened = say(&mut traveller, "step");
    let event = pending.split_whitespace().last().unwrap_or("");
    assert!(happened.contains(event), "{pending}{happened}");
    let state = say(&mut traveller, "state 0");
    assert!(state.starts_with("n0 runs"), "{state}");
}

#[test]
fn a_branch_changes_nothing_for_the_other() {
    let mut traveller = traveller();
    say(&mut traveller, "goto 6s");
    say(&mut traveller, "branch");
    say(&mut traveller, "add 7s crash n2 for 2s");
    let crashed = say(&mut traveller, "goto 8s");
    assert!(crashed.contains("3 of 4 nodes run"), "{crashed}");
    say(&mut traveller, "switch 0");
    let without = say(&mut traveller, "goto 8s");
    assert!(without.contains("4 of 4 nodes run"), "{without}");
    let branches = say(&mut traveller, "branches");
    assert!(branches.contains("with 7s crash n2 for 2s"), "{branches}");
    say(&mut traveller, "branch");
    say(&mut traveller, "goto 6s");
    say(&mut traveller, "reseed 5");
    assert_ne!(
        say(&mut traveller, "goto 8s"),
        without,
        "other luck, and the same run"
    );
}

#[test]
fn a_failure_is_found_and_its_likelihood_told() {
    let mut traveller = traveller();
    let found = say(&mut traveller, "until finding");
    assert!(found.contains("1 findings"), "{found}");
    let likely = say(&mut traveller, "likely 3");
    assert!(
        likely.contains("100 %") && likely.contains("3 of 3 fail"),
        "{likely}"
    );
    let when = say(&mut traveller, "when 2");
    assert!(when.lines().count() > 3 && when.contains("100 %"), "{when}");
    let mut traveller = self::traveller();
    let event = say(&mut traveller, "until event tx_accepted");
    assert!(!event.starts_with("that never happens"), "{event}");
}

#[test]
fn lines_that_mean_nothing_change_nothing() {
    let mut traveller = traveller();
    let before = say(&mut traveller, "goto 3s");
    for line in [
        "fly",
        "goto moon",
        "step x",
        "switch 9",
        "until event nap",
        "add 1s crash n0",
        "add 9s crash n9",
        "add nonsense",
    ] {
        assert!(traveller.line(line).is_err(), "{line}");
    }
    assert_eq!(say(&mut traveller, "where"), before);
    assert_eq!(traveller.line("quit"), Ok(Reply::Quit));
}
