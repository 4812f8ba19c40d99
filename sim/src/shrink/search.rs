//! Runs candidates, several at a time, and keeps the best.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Budget;
use crate::options::{Options, Topology};
use crate::oracle::Oracle;
use crate::run::{Phase, Run};
use crate::text::Exactly;

/// The search for the least.
pub(super) struct Search<'a> {
    /// The least that is known to fail.
    pub least: Options,
    /// When it failed, in microseconds.
    pub failed_at: u64,
    oracle: Oracle,
    budget: Budget<'a>,
    tries: u64,
    /// Candidates that did not fail; most come again in the next round.
    in_vain: BTreeSet<u64>,
    tell: &'a mut dyn FnMut(&str, u64),
}

/// Virtual time between two looks whether a candidate has failed.
const STEP: u64 = 1_000_000;

impl<'a> Search<'a> {
    /// Begins with a run that fails, or does not.
    pub(super) fn begin(
        first: Options,
        oracle: Oracle,
        budget: Budget<'a>,
        tell: &'a mut dyn FnMut(&str, u64),
    ) -> Option<Self> {
        let failed_at = failure(&first, oracle, || false)?;
        Some(Self {
            least: first,
            failed_at,
            oracle,
            budget,
            tries: 1,
            in_vain: BTreeSet::new(),
            tell,
        })
    }

    pub(super) const fn tries(&self) -> u64 {
        self.tries
    }

    pub(super) fn ran_out(&self) -> bool {
        self.tries >= self.budget.tries || !(self.budget.go_on)()
    }

    /// Changes the least according to each of the choices and keeps the first that still fails.
    pub(super) fn first_of<T>(
        &mut self,
        choices: &[T],
        change: impl Fn(&mut Options, &T),
    ) -> Option<usize> {
        let mut candidates = Vec::new();
        for (place, choice) in choices.iter().enumerate() {
            let mut candidate = self.least.clone();
            change(&mut candidate, choice);
            tidy(&mut candidate);
            if candidate != self.least && !self.in_vain.contains(&digest(&candidate)) {
                candidates.push((place, candidate));
            }
        }
        for some in candidates.chunks(self.budget.jobs.max(1)) {
            if self.ran_out() {
                return None;
            }
            self.tries += some.len() as u64;
            let failed = race(some, self.oracle);
            if let Some((number, at)) = failed {
                let (place, candidate) = &some[number];
                self.least.clone_from(candidate);
                self.failed_at = at;
                self.told();
                return Some(*place);
            }
            self.in_vain
                .extend(some.iter().map(|(_, candidate)| digest(candidate)));
        }
        None
    }

    fn told(&mut self) {
        let least = &self.least;
        let actions = match &least.kept_actions {
            Some(kept) => format!(", {} requests", kept.len()),
            None => String::new(),
        };
        let text = format!(
            "{} nodes, {}, {} faults{actions}",
            least.nodes,
            Exactly(least.duration),
            least.more_faults.len(),
        );
        (self.tell)(&text, self.tries);
    }
}

/// Takes out what means nothing in a run of this size.
fn tidy(candidate: &mut Options) {
    let (nodes, duration) = (candidate.nodes, candidate.duration);
    candidate
        .more_faults
        .retain(|fault| fault.at < duration && fault.greatest().is_none_or(|node| node < nodes));
    if candidate.script.iter().any(|request| request.node >= nodes) {
        let within = candidate
            .script
            .iter()
            .filter(|request| request.node < nodes);
        candidate.script = within.cloned().collect();
    }
    if let Topology::Edges(edges) = &mut candidate.topology {
        let within = edges.iter().filter(|(from, to)| *from.max(to) < nodes);
        *edges = within.copied().collect();
    }
    candidate.users_on.fold_into(nodes);
    if let Some(net) = &mut candidate.grin {
        net.nodes.fold_into(nodes);
        net.miners.fold_into(nodes);
    }
    candidate.audited = candidate.audited.min(nodes);
    candidate.liars = candidate.liars.min(nodes / 2);
}

fn digest(candidate: &Options) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{candidate:?}").hash(&mut hasher);
    hasher.finish()
}

/// The first of the candidates that fails, and when.
fn race(candidates: &[(usize, Options)], oracle: Oracle) -> Option<(usize, u64)> {
    if let [(_, only)] = candidates {
        return failure(only, oracle, || false).map(|at| (0, at));
    }
    let first = AtomicUsize::new(usize::MAX);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (candidates.iter().enumerate())
            .map(|(number, (_, candidate))| {
                let first = &first;
                scope.spawn(move || {
                    // Who comes after one that has failed is not asked for any more.
                    let late = || first.load(Ordering::Relaxed) < number;
                    let failed = failure(candidate, oracle, late);
                    if failed.is_some() {
                        first.fetch_min(number, Ordering::Relaxed);
                    }
                    failed
                })
            })
            .collect();
        let mut results = runs
            .into_iter()
            .map(|run| run.join().expect("a run catches its panics"));
        results
            .by_ref()
            .enumerate()
            .find_map(|(number, failed)| Some((number, failed?)))
    })
}

/// When the oracle was violated, if it was.
fn failure(options: &Options, oracle: Oracle, late: impl Fn() -> bool) -> Option<u64> {
    let mut run = Run::new(options.clone());
    while run.phase() != Phase::Over && run.misses(oracle) == 0 {
        if late() {
            return None;
        }
        run.advance(run.now() + STEP);
    }
    if run.misses(oracle) == 0 {
        return None;
    }
    let first = run.world().findings().first().iter();
    let at = first
        .filter(|finding| finding.oracle == oracle)
        .map(|finding| finding.at)
        .next();
    // Beyond so many findings of other oracles none is kept word for word.
    Some(at.unwrap_or_else(|| run.now()))
}
