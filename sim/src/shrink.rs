//! Shrinking: the least that still fails in the same way.
//!
//! A failing run is cut down piece by piece: shorter, fewer nodes, fewer faults, fewer actions of
//! users, and whatever else can be switched off. A cut is kept if the same oracle is still violated.
//! Because luck comes in streams, most cuts leave the rest as it was.

use std::collections::BTreeSet;
use std::fmt;

use crate::nemesis::Fault;
use crate::options::{Options, Sabotage, Wire};
use crate::oracle::Oracle;
use crate::run::{Phase, Run};
use crate::text::Exactly;

/// A run said as differences from what its seed draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// The seed.
    pub seed: u64,
    /// How many nodes.
    pub nodes: u32,
    /// How long the storm lasts, in microseconds.
    pub duration: u64,
    /// How messages cross.
    pub wire: Wire,
    /// All faults.
    pub faults: Vec<Fault>,
    /// The actions of users that are sent, as (user, number), if not all are.
    pub keep: Option<BTreeSet<(u32, u32)>>,
    /// Whether links do nothing but take their time.
    pub sound: bool,
    /// Whether events of one instant come in the order of the nodes.
    pub in_order: bool,
    /// Whether nobody lies.
    pub honest: bool,
    /// Whether there is one chain only.
    pub one_chain: bool,
    /// Something done wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Reduced {
    /// What a run with these options comes to.
    #[must_use]
    pub fn of(options: &Options) -> Self {
        let run = Run::new(options.clone());
        Self {
            seed: options.seed,
            nodes: options.nodes,
            duration: options.duration,
            wire: options.wire,
            faults: run.world().faults.clone(),
            keep: options.kept_actions.clone(),
            sound: false,
            in_order: false,
            honest: false,
            one_chain: false,
            sabotage: options.sabotage,
        }
    }

    /// The options of the run.
    #[must_use]
    pub fn options(&self) -> Options {
        let mut options = Options::drawn(self.seed, self.nodes, self.duration, true);
        options.wire = self.wire;
        options.faults.only(&[]);
        options.more_faults.clone_from(&self.faults);
        options.kept_actions.clone_from(&self.keep);
        options.sabotage = self.sabotage;
        if self.sound {
            options.links.make_sound();
        }
        if self.in_order {
            options.shuffle = false;
        }
        if self.honest {
            options.liars = 0;
        }
        if self.one_chain {
            options.chains = 1;
        }
        options
    }
}

/// As a scenario file.
impl fmt::Display for Reduced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed = {}", self.seed)?;
        writeln!(f, "nodes = {}", self.nodes)?;
        writeln!(f, "duration = \"{}\"", Exactly(self.duration))?;
        writeln!(f, "wire = \"{}\"", self.wire.name())?;
        writeln!(
            f,
            "# What is not said here is drawn from the seed.\ndraw = true"
        )?;
        if self.in_order {
            writeln!(f, "shuffle = false")?;
        }
        if self.honest {
            writeln!(f, "liars = 0")?;
        }
        if self.one_chain {
            writeln!(f, "chains = 1")?;
        }
        if let Some(sabotage) = self.sabotage {
            writeln!(f, "sabotage = \"{}\"", sabotage.name())?;
        }
        writeln!(f, "faults = [")?;
        for fault in &self.faults {
            writeln!(f, "  \"{fault}\",")?;
        }
        writeln!(f, "]")?;
        if self.sound {
            writeln!(f, "\n[links]\nsound = true")?;
        }
        if let Some(keep) = &self.keep {
            writeln!(
                f,
                "\n# Of all that users would do only this is done: user and number.\n[users]"
            )?;
            let keep: Vec<String> = keep
                .iter()
                .map(|(user, number)| format!("\"{user}:{number}\""))
                .collect();
            writeln!(f, "keep = [{}]", keep.join(", "))?;
        }
        Ok(())
    }
}

/// How far shrinking came.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The least that still fails.
    pub least: Reduced,
    /// Actions of users at first, and in the end.
    pub actions: (usize, usize),
    /// How many runs were tried.
    pub tries: u64,
    /// Whether tries ran out before nothing more could be left out.
    pub gave_up: bool,
}

/// Runs candidates, and counts them.
struct Bench<'a> {
    oracle: Oracle,
    tries: u64,
    tries_max: u64,
    tell: &'a mut dyn FnMut(&str, u64),
}

impl Bench<'_> {
    /// Whether the run still violates the same oracle.
    fn fails(&mut self, candidate: &Reduced) -> bool {
        if self.tries >= self.tries_max {
            return false;
        }
        self.tries += 1;
        let mut run = Run::new(candidate.options());
        // It is enough to see it once.
        while run.phase() != Phase::Over && run.misses(self.oracle) == 0 {
            run.advance(run.now() + STEP);
        }
        run.misses(self.oracle) > 0
    }

    /// Keeps the candidate if it fails.
    fn try_it(&mut self, least: &mut Reduced, change: impl FnOnce(&mut Reduced)) -> bool {
        let mut candidate = least.clone();
        change(&mut candidate);
        candidate.faults.retain(|fault| {
            fault.at < candidate.duration
                && fault.greatest().is_none_or(|node| node < candidate.nodes)
        });
        let smaller = candidate != *least && self.fails(&candidate);
        if smaller {
            *least = candidate;
            let text = format!(
                "{} nodes, {}, {} faults{}",
                least.nodes,
                Exactly(least.duration),
                least.faults.len(),
                match &least.keep {
                    Some(keep) => format!(", {} actions", keep.len()),
                    None => String::new(),
                }
            );
            (self.tell)(&text, self.tries);
        }
        smaller
    }
}

/// Virtual time between two looks whether a candidate has failed.
const STEP: u64 = 1_000_000;
const SECOND: u64 = 1_000_000;

/// Shrinks a run that violates `oracle`, with at most `tries_max` runs. `tell` hears of each success
/// and how many runs there were.
///
/// # Errors
/// If the run does not violate the oracle in the first place.
pub fn shrink(
    first: Reduced,
    oracle: Oracle,
    tries_max: u64,
    tell: &mut dyn FnMut(&str, u64),
) -> Result<Shrunk, String> {
    let mut bench = Bench {
        oracle,
        tries: 0,
        tries_max,
        tell,
    };
    if !bench.fails(&first) {
        return Err(format!("the run does not violate {}", oracle.name()));
    }
    let mut least = first;
    let before = actions(&least);
    loop {
        let round = least.clone();
        shorter(&mut bench, &mut least);
        fewer_nodes(&mut bench, &mut least);
        let faults = least.faults.clone();
        let kept = fewer(&faults, |some| {
            bench.try_it(&mut least, |candidate| candidate.faults = some.to_vec())
        });
        debug_assert!(kept.len() <= faults.len());
        simpler_faults(&mut bench, &mut least);
        bench.try_it(&mut least, |candidate| candidate.sound = true);
        bench.try_it(&mut least, |candidate| candidate.honest = true);
        bench.try_it(&mut least, |candidate| candidate.in_order = true);
        bench.try_it(&mut least, |candidate| candidate.one_chain = true);
        bench.try_it(&mut least, |candidate| candidate.wire = Wire::Typed);
        bench.try_it(&mut least, |candidate| candidate.wire = Wire::Bytes);
        let all: Vec<(u32, u32)> = actions(&least).into_iter().collect();
        fewer(&all, |some| {
            let some = some.iter().copied().collect();
            bench.try_it(&mut least, |candidate| candidate.keep = Some(some))
        });
        if least == round || bench.tries >= tries_max {
            break;
        }
    }
    let after = actions(&least).len();
    Ok(Shrunk {
        actions: (before.len(), after),
        gave_up: bench.tries >= tries_max,
        tries: bench.tries,
        least,
    })
}

/// What users do in a run.
fn actions(reduced: &Reduced) -> BTreeSet<(u32, u32)> {
    if let Some(keep) = &reduced.keep {
        return keep.clone();
    }
    let mut run = Run::new(reduced.options());
    run.advance(reduced.duration);
    let acted = run.world().acted();
    (0..)
        .zip(acted)
        .flat_map(|(user, times)| (1..=*times).map(move |number| (user, number)))
        .collect()
}

fn shorter(bench: &mut Bench<'_>, least: &mut Reduced) {
    for (part, of) in [(1, 16), (1, 4), (1, 2), (3, 4), (9, 10)] {
        let duration = (least.duration * part / of)
            .next_multiple_of(SECOND)
            .max(SECOND);
        bench.try_it(least, |candidate| {
            candidate.duration = duration.min(candidate.duration)
        });
    }
}

fn fewer_nodes(bench: &mut Bench<'_>, least: &mut Reduced) {
    // Few nodes are worth several tries: each number is another world.
    let mut nodes = 2;
    while nodes < least.nodes {
        if bench.try_it(least, |candidate| candidate.nodes = nodes) {
            return;
        }
        nodes += (nodes / 4).max(1);
    }
}

fn simpler_faults(bench: &mut Bench<'_>, least: &mut Reduced) {
    for number in 0..least.faults.len() {
        for part in [8, 2] {
            bench.try_it(least, |candidate| {
                if let Some(lasts) = candidate
                    .faults
                    .get_mut(number)
                    .and_then(|fault| fault.lasts.as_mut())
                {
                    *lasts = (*lasts / part).max(1);
                }
            });
        }
    }
}

/// Leaves out as many as possible (delta debugging: Zeller and Hildebrandt's ddmin). `holds` is asked
/// whether a selection will do, and remembers the last one that does.
fn fewer<T: Clone>(all: &[T], mut holds: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut left = all.to_vec();
    if left.is_empty() || holds(&[]) {
        return Vec::new();
    }
    let mut parts = 2;
    while left.len() >= 2 {
        let size = left.len().div_ceil(parts);
        let chunks: Vec<Vec<T>> = left.chunks(size).map(<[T]>::to_vec).collect();
        let one = chunks.iter().find(|chunk| holds(chunk)).cloned();
        if let Some(chunk) = one {
            left = chunk;
            parts = 2;
            continue;
        }
        let without = (0..chunks.len())
            .map(|out| {
                let rest = chunks
                    .iter()
                    .enumerate()
                    .filter(|(number, _)| *number != out);
                rest.flat_map(|(_, chunk)| chunk.clone())
                    .collect::<Vec<T>>()
            })
            .find(|rest| chunks.len() > 2 && holds(rest));
        if let Some(rest) = without {
            left = rest;
            parts = (parts - 1).max(2);
        } else if size == 1 {
            break;
        } else {
            parts = (parts * 2).min(left.len());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_not_needed_is_left_out() {
        let all: Vec<u32> = (0..100).collect();
        for needed in [vec![], vec![7], vec![3, 96], vec![0, 50, 51, 99]] {
            let mut asked = 0;
            let left = fewer(&all, |some| {
                asked += 1;
                needed.iter().all(|one| some.contains(one))
            });
            assert_eq!(left, needed);
            assert!(asked < 200, "{asked}");
        }
    }
}
