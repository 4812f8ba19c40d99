//! Each kind of fault alone: it happens, it can be seen to matter, and everything still holds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use peerage_core::Input;
use peerage_sim::latency::Latency;
use peerage_sim::network::Links;
use peerage_sim::watch::{Carries, Crossing, Life};
use peerage_sim::{Options, Report, Watch, Wire, run};

const SECOND: u64 = 1_000_000;

/// What was seen of a run, counted.
#[derive(Clone, Debug, Default)]
struct Seen(Rc<RefCell<BTreeMap<String, u64>>>);

impl Seen {
    fn count(&self, what: impl Into<String>) {
        *self.0.borrow_mut().entry(what.into()).or_insert(0) += 1;
    }

    fn of(&self, what: &str) -> u64 {
        self.0.borrow().get(what).copied().unwrap_or(0)
    }
}

impl Watch for Seen {
    fn input(&mut self, at: u64, node: u32, _from: u32, _input: &Input) {
        if node == 2 && (20 * SECOND..30 * SECOND).contains(&at) {
            self.count("inputs of n2");
        }
    }

    fn life(&mut self, _at: u64, node: u32, life: Life) {
        self.count(format!("n{node} {life:?}"));
    }

    fn crossing(&mut self, crossing: &Crossing) {
        let Crossing {
            at,
            from,
            to,
            arrives,
            ..
        } = *crossing;
        if !(20 * SECOND..30 * SECOND).contains(&at) || from.max(to) > 7 {
            return;
        }
        match arrives {
            None => self.count("lost"),
            Some(arrives) if arrives - at > SECOND => self.count("late"),
            Some(_) if crossing.carries == Carries::Answer && from == 2 => {
                self.count("answers of n2");
            }
            Some(_) => {}
        }
    }

    fn swallowed(&mut self, _at: u64, _ticket: peerage_sim::exchange::Ticket, _: Carries) {
        self.count("swallowed");
    }
}

/// A world of eight nodes in which nothing goes wrong but these faults.
fn options(faults: &[&str]) -> Options {
    let mut options = Options::drawn(5, 8, 40 * SECOND, false);
    options.links = Links::sound(Latency::Uniform(200_000, 900_000));
    options.work.pause = SECOND / 5;
    options.wire = Wire::Bytes;
    options.more_faults = faults
        .iter()
        .map(|line| line.parse().expect("a fault"))
        .collect();
    options
}

fn go(options: Options) -> (Report, Seen) {
    let seen = Seen::default();
    let report = run(options, vec![Box::new(seen.clone())], |_| {}).expect("nothing is written");
    assert!(report.good(), "{report}");
    (report, seen)
}

/// Runs with the fault and without it, and wants the effect only with it.
#[track_caller]
fn check(fault: &str, effect: impl Fn(&Report, &Seen) -> bool) {
    let (report, seen) = go(options(&[fault]));
    assert!(
        effect(&report, &seen),
        "{fault} has no effect\n{seen:?}\n{report}"
    );
    let (report, seen) = go(options(&[]));
    assert!(
        !effect(&report, &seen),
        "without {fault}\n{seen:?}\n{report}"
    );
}

#[test]
fn a_partition_swallows_what_leaves_and_what_is_under_way() {
    check("20s partition n0-n3 | n4-n7 for 9s", |_, seen| {
        seen.of("lost") > 0 && seen.of("swallowed") > 0
    });
    let (_, seen) = go(options(&[
        "20s partition n0-n3 | n4-n7 spare-flight for 9s",
    ]));
    assert_eq!(seen.of("swallowed"), 0, "{seen:?}");
}

#[test]
fn links_are_clogged_and_degraded() {
    // A clog holds messages at the receiver's end.
    check("20s clog n2 | all for 9s", |report, _| {
        report.told.of("call_failed") > 0
    });
    check("20s degrade all | all latency 2s for 9s", |_, seen| {
        seen.of("late") > 0
    });
    check("20s degrade all | all loss 30% for 9s", |_, seen| {
        seen.of("lost") > 0
    });
    check("20s degrade all | all bandwidth 1000 for 9s", |_, seen| {
        seen.of("late") > 0
    });
}

#[test]
fn connections_are_refused_reset_hung_and_met_by_impostors() {
    check("20s refuse n2 for 9s", |report, _| {
        report.failures.of("refused") > 0
    });
    check("20s reset all", |report, _| report.failures.of("reset") > 0);
    check("20s hang n2 for 9s", |report, seen| {
        report.told.of("call_failed") > 0 && seen.of("answers of n2") < 10
    });
    check("20s impersonate n2 for 9s", |report, _| {
        report.failures.of("identity mismatch") > 0
    });
}

#[test]
fn nodes_crash_stop_pause_and_go() {
    for fault in [
        "crash n2 lost",
        "crash n2 torn",
        "crash n2 silent",
        "stop n2",
        "wipe n2",
    ] {
        check(&format!("20s {fault} for 5s"), |_, seen| {
            seen.of("n2 Stops") == 1 && seen.of("n2 Starts") == 2
        });
    }
    check("20s lose n2", |_, seen| {
        seen.of("n2 Stops") == 1 && seen.of("n2 Starts") == 1
    });
    check("20s downgrade n2 for 5s", |_, seen| {
        seen.of("n2 Starts") == 3
    });
    check("20s renew n2 for 1s", |report, _| {
        report.failures.of("identity mismatch") > 0
    });
    check("20s pause n2 for 10s", |_, seen| {
        seen.of("inputs of n2") == 0 && seen.of("n2 Pauses") == 1
    });
}

#[test]
fn a_node_joins_only_when_it_is_told_to() {
    let (report, seen) = go(options(&["41s join n2"]));
    assert_eq!(report.faults.of("join"), 0, "{report}");
    assert_eq!(seen.of("inputs of n2"), 0, "{seen:?}");
    assert_eq!(
        seen.of("n2 Starts"),
        1,
        "it is there once all must be well: {seen:?}"
    );
}

#[test]
fn a_slow_node_takes_its_time() {
    let (_, quick) = go(options(&[]));
    let (_, slow) = go(options(&["19s slow n2 700ms for 20s"]));
    assert!(slow.of("inputs of n2") <= 16, "{slow:?}");
    assert!(
        slow.of("inputs of n2") < quick.of("inputs of n2"),
        "{quick:?}"
    );
}

#[test]
fn clocks_jump_and_drift_without_doing_harm() {
    for fault in [
        "20s jump n2 +1h",
        "20s jump n2 -50s for 5s",
        "20s drift n2 -100000ppm for 9s",
    ] {
        let (report, _) = go(options(&[fault]));
        let (without, _) = go(options(&[]));
        assert_ne!(report.hash, without.hash, "{fault} changes nothing");
    }
}

#[test]
fn a_node_stops_when_its_disk_fails_or_is_full() {
    for fault in ["disk-fail n2", "disk-full n2"] {
        check(&format!("5s {fault} for 10s"), |_, seen| {
            seen.of("n2 Stops") == 1 && seen.of("n2 Starts") == 2
        });
    }
}

#[test]
fn slow_and_stalled_disks_hold_answers_back() {
    for fault in ["disk-slow n2 3s", "disk-stall n2"] {
        let (slow, _) = go(options(&[&format!("3s {fault} for 30s")]));
        let (quick, _) = go(options(&[]));
        assert_ne!(slow.hash, quick.hash, "{fault} changes nothing");
    }
}

#[test]
fn a_damaged_disk_is_noticed_when_the_node_starts() {
    check("20s disk-flip n2 for 5s", |_, seen| {
        seen.of("n2 Refuses") == 1 && seen.of("n2 Starts") == 2
    });
}

#[test]
fn what_happens_at_once_comes_in_an_order_that_the_seed_draws() {
    let mut shuffled = options(&[]);
    shuffled.links.latency = Latency::Fixed(20_000);
    let plain = go(shuffled.clone()).0.hash;
    shuffled.shuffle = true;
    assert_ne!(plain, go(shuffled).0.hash);
}
