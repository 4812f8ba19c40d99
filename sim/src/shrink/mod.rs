//! Shrinking: the least that still fails in the same way.
//!
//! A failing run is cut down piece by piece: shorter, fewer nodes, fewer faults, fewer actions of
//! users, and whatever else can be switched off. A cut is kept if the same oracle is still violated.
//! Because luck comes in streams, most cuts leave the rest as it was. [`said`] writes what is left.

mod fewer;
pub mod said;
mod search;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::nemesis::Fault;
use crate::options::{Options, Topology, Wire};
use crate::oracle::Oracle;
use crate::run::Run;
use crate::scenario::Scripted;
use crate::text::Exactly;
use fewer::fewer;
use search::Search;

/// How much may be tried, and on how many threads.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// How many runs at most.
    pub tries: u64,
    /// How many at a time. The result is the same with any number, if nothing runs out.
    pub jobs: usize,
    /// Whether there is time left.
    pub go_on: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs, {} at a time", self.tries, self.jobs)
    }
}

/// How large a failing run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Nodes.
    pub nodes: u32,
    /// Length of the storm, in microseconds.
    pub duration: u64,
    /// Faults that are planned.
    pub faults: usize,
    /// Requests of users.
    pub actions: usize,
}

impl Size {
    fn of(options: &Options) -> Self {
        Self {
            nodes: options.nodes,
            duration: options.duration,
            faults: options.more_faults.len(),
            actions: actions(options).len(),
        }
    }

    /// What became of it, in words: `nodes 12→3, …`.
    #[must_use]
    pub fn to(self, after: Self) -> String {
        format!(
            "nodes {}→{}, faults {}→{}, requests {}→{}, {}→{}",
            self.nodes,
            after.nodes,
            self.faults,
            after.faults,
            self.actions,
            after.actions,
            Exactly(self.duration),
            Exactly(after.duration),
        )
    }
}

/// How far shrinking came.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The least that still fails.
    pub least: Options,
    /// What is violated.
    pub oracle: Oracle,
    /// How large it was.
    pub before: Size,
    /// How large it is.
    pub after: Size,
    /// How many runs were tried.
    pub tries: u64,
    /// Whether the budget ran out before nothing more could be left out.
    pub gave_up: bool,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gave_up = if self.gave_up {
            ", as many as allowed"
        } else {
            ""
        };
        write!(
            f,
            "{} after {} runs{gave_up}: {}",
            self.oracle.name(),
            self.tries,
            self.before.to(self.after)
        )
    }
}

/// The same run with its drawn faults as a list, and none drawn.
#[must_use]
pub fn explicit(options: &Options) -> Options {
    let mut explicit = options.clone();
    explicit.more_faults = Run::new(options.clone()).world().faults.clone();
    explicit.faults.only(&[]);
    explicit
}

/// Shrinks a run that violates `oracle`. `tell` hears of each success and how many runs there were.
///
/// # Errors
/// If the run does not violate the oracle in the first place.
pub fn shrink(
    first: &Options,
    oracle: Oracle,
    budget: Budget<'_>,
    tell: &mut dyn FnMut(&str, u64),
) -> Result<Shrunk, String> {
    let first = explicit(first);
    let Some(mut search) = Search::begin(first.clone(), oracle, budget, tell) else {
        return Err(format!("the run does not violate {}", oracle.name()));
    };
    let before = Size::of(&first);
    loop {
        let round = search.least.clone();
        shorter(&mut search);
        fewer_nodes(&mut search);
        let all = search.least.more_faults.clone();
        fewer(&all, |choices| {
            search.first_of(choices, |least, faults: &Vec<Fault>| {
                least.more_faults.clone_from(faults);
            })
        });
        simpler_faults(&mut search);
        let script = search.least.script.to_vec();
        fewer(&script, |choices| {
            search.first_of(choices, |least, script: &Vec<Scripted>| {
                least.script = Arc::from(script.clone());
            })
        });
        plainer(&mut search);
        fewer_actions(&mut search);
        if search.least == round || search.ran_out() {
            break;
        }
    }
    usual(&mut search);
    Ok(Shrunk {
        after: Size::of(&search.least),
        oracle,
        before,
        tries: search.tries(),
        gave_up: search.ran_out(),
        least: search.least,
    })
}

/// What users do in a run, as (user, number).
#[must_use]
pub fn actions(options: &Options) -> BTreeSet<(u32, u32)> {
    let mut run = Run::new(options.clone());
    run.advance(options.duration);
    let acted = run.world().acted();
    (0..)
        .zip(acted)
        .flat_map(|(user, times)| (1..=times).map(move |number| (user, number)))
        .filter(|action| {
            options
                .kept_actions
                .as_ref()
                .is_none_or(|kept| kept.contains(action))
        })
        .collect()
}

const SECOND: u64 = 1_000_000;

fn shorter(search: &mut Search<'_>) {
    // The beginning does not depend on what comes later, so just beyond the finding is the best
    // guess; rounded, so that it can be read.
    let just_beyond = search.failed_at + 1;
    let units = [SECOND, SECOND / 10, 1];
    let mut choices: Vec<u64> = units
        .map(|unit| just_beyond.next_multiple_of(unit))
        .to_vec();
    for (part, of) in [(1, 16), (1, 4), (1, 2), (3, 4), (9, 10)] {
        let part = (search.least.duration * part / of).next_multiple_of(SECOND);
        choices.push(part.max(SECOND));
    }
    choices.retain(|choice| *choice < search.least.duration);
    choices.sort_unstable();
    search.first_of(&choices, |least, duration| least.duration = *duration);
}

fn fewer_nodes(search: &mut Search<'_>) {
    // Each number is another world, and each is worth a try; faults that name a node which is gone
    // go too, or befall another.
    let mut choices = Vec::new();
    let mut nodes = 2;
    while nodes < search.least.nodes {
        choices.extend([(nodes, false), (nodes, true)]);
        nodes += (nodes / 4).max(1);
    }
    search.first_of(&choices, |least, (nodes, folded)| {
        least.nodes = *nodes;
        if *folded {
            for fault in &mut least.more_faults {
                fault.fold_into(*nodes);
            }
        }
    });
}

fn simpler_faults(search: &mut Search<'_>) {
    let mut number = 0;
    // A try may take other faults away.
    while number < search.least.more_faults.len() {
        let nodes = search.least.nodes;
        while let Some(fault) = search.least.more_faults.get(number) {
            let choices = simpler(fault, nodes);
            let found = search.first_of(&choices, |least, fault: &Fault| {
                if let Some(place) = least.more_faults.get_mut(number) {
                    place.clone_from(fault);
                }
            });
            if found.is_none() {
                break;
            }
        }
        number += 1;
    }
}

/// The same fault a little simpler, in several ways: shorter, of fewer nodes, at rounder times.
fn simpler(fault: &Fault, nodes: u32) -> Vec<Fault> {
    let mut choices = Vec::new();
    let mut choose = |change: &dyn Fn(&mut Fault)| {
        let mut choice = fault.clone();
        change(&mut choice);
        if choice != *fault {
            choices.push(choice);
        }
    };
    for part in [8, 2] {
        choose(&|fault| {
            if let Some(lasts) = &mut fault.lasts {
                *lasts = (*lasts / part).max(1_000).min(*lasts);
            }
        });
    }
    let round = |time: u64| {
        let unit = if time >= SECOND { SECOND } else { 1_000 };
        time / unit * unit
    };
    choose(&|fault| fault.at = round(fault.at));
    choose(&|fault| fault.lasts = fault.lasts.map(round).filter(|lasts| *lasts > 0));
    for other_side in [false, true] {
        for half in 0..2 {
            choose(&|fault| {
                let (a, b) = fault.what.groups_mut();
                let group = if other_side { b } else { Some(a) };
                if let Some(group) = group {
                    group.halve(nodes, half);
                }
            });
        }
    }
    choices
}

/// Whatever can be switched off.
fn plainer(search: &mut Search<'_>) {
    type Switch = fn(&mut Options);
    let switches: [Switch; 24] = [
        |least| least.links.make_sound(),
        |least| least.links.slow_chance = 0,
        |least| least.links.request_loss = 0,
        |least| least.links.answer_loss = 0,
        |least| least.links.refuse_chance = 0,
        |least| least.links.reset_chance = 0,
        |least| least.links.impostor_chance = 0,
        |least| least.links.mangle_chance = 0,
        |least| least.links.hangup_chance = 0,
        |least| least.links.late_chance = 0,
        |least| least.disk.stall_chance = 0,
        |least| least.links.regions = None,
        |least| least.topology = Topology::Neighbours,
        |least| least.variants.clear(),
        |least| least.liars = 0,
        |least| least.clusters = None,
        |least| least.grin = None,
        |least| {
            if let Some(net) = &mut least.grin {
                (net.payments, net.reads) = (0, 0);
            }
        },
        |least| least.shuffle = false,
        |least| least.core = 1_000,
        |least| least.chains = 1,
        |least| least.chains = least.chains.div_ceil(2),
        |least| {
            if least.wire == Wire::Mangled {
                least.wire = Wire::Bytes;
            }
        },
        |least| least.wire = Wire::Typed,
    ];
    for switch in switches {
        search.first_of(&[()], |least, ()| switch(least));
    }
}

fn fewer_actions(search: &mut Search<'_>) {
    let all: Vec<(u32, u32)> = actions(&search.least).into_iter().collect();
    fewer(&all, |choices| {
        search.first_of(choices, |least, kept: &Vec<(u32, u32)>| {
            least.kept_actions = Some(kept.iter().copied().collect());
        })
    });
}

/// What needs no saying: where the seed's own settings do as well for a run of this size, they are
/// taken again.
fn usual(search: &mut Search<'_>) {
    type Take = fn(&mut Options, &Options);
    let takes: [Take; 9] = [
        |least, drawn| least.work = drawn.work.clone(),
        |least, drawn| least.sessions = drawn.sessions.clone(),
        |least, drawn| least.limits = drawn.limits.clone(),
        |least, drawn| least.known_peers = drawn.known_peers,
        |least, drawn| least.skew = drawn.skew,
        |least, drawn| least.settle = drawn.settle,
        |least, drawn| least.ban_window = drawn.ban_window,
        |least, drawn| least.audited = drawn.audited,
        |least, drawn| least.links.latency = drawn.links.latency,
    ];
    for take in takes {
        search.first_of(&[()], |least, ()| {
            let drawn = said::drawn(least);
            take(least, &drawn);
        });
    }
}
