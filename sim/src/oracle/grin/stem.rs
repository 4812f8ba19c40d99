//! What a node may show of transactions that came to it unseen, by what an outsider of the node sees.
//!
//! A transaction that was never public at a node may be spread by it for one of few reasons: it came
//! unseen twice, so it goes in a circle; there was nobody to pass it on to, or that failed; an epoch
//! collects and spreads; or its embargo has ended. Rule: Dandelion, and `add_to_pool` of grin's pool.

use std::collections::{BTreeMap, BTreeSet};

use peerage_core::limits::{GRIN_COLLECT, GRIN_EMBARGO_MIN, GRIN_EPOCH, Limits};
use peerage_core::mw::{Hash, Transaction};
use peerage_core::rooms::grin::Event;
use peerage_core::rooms::grin::types::{Ask, Between};
use peerage_core::rooms::{Event as AnyEvent, grin};
use peerage_core::time::{Duration, Instant};
use peerage_core::{CallId, Input, Output, Request, Response};

/// How transactions reached one node since it started.
#[derive(Clone, Debug, Default)]
pub struct Stem {
    now: Instant,
    /// The kernels of what may be shown.
    open: BTreeSet<Hash>,
    /// The kernels of what came unseen, and when.
    unseen: BTreeMap<Hash, Instant>,
    /// What it passes on unseen.
    passing: BTreeMap<CallId, Vec<Hash>>,
    /// When an epoch began that collects, and how long it lasted at least.
    collects: Option<(Instant, Instant)>,
    is_collecting: bool,
    /// When there was nobody to pass anything on to, or calls were held up, last.
    hampered: Instant,
    /// Whether so few calls may be under way to a peer that passing on may fail unseen.
    tight: bool,
}

/// Calls that are held up for so long may be given up before anybody sees them.
const HELD_MAX: Duration = Duration::from_secs(2);
/// So many calls are never under way in a small world.
const CALLS_MANY: usize = 32;

impl Stem {
    /// A node that starts with these limits.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            tight: limits.calls_per_peer_max < CALLS_MANY || limits.calls_max < CALLS_MANY,
            ..Self::default()
        }
    }

    /// These kernels are known to everybody.
    pub fn published(&mut self, kernels: impl Iterator<Item = Hash>) {
        for kernel in kernels {
            self.unseen.remove(&kernel);
            self.open.insert(kernel);
        }
    }

    /// The node is given an input at `now`, by its own clock. With `all_unseen`, payments that come for
    /// everybody to see count as unseen, so that this can be seen to object.
    pub fn input(&mut self, now: Instant, input: &Input, all_unseen: bool) {
        self.now = now;
        if self.is_collecting {
            self.collects = self.collects.map(|(from, _)| (from, now));
        }
        if let Input::Request { request, .. } = input {
            match arrival(request) {
                Some((transaction, unseen)) if unseen || all_unseen => {
                    self.came_unseen(transaction);
                }
                Some((transaction, _)) => self.published(kernels(transaction).into_iter()),
                None => {}
            }
        } else if let Input::Reply { id, result } = input {
            let done = matches!(result, Ok(answer)
                if answer.response == Response::Grin(grin::Response::Done));
            self.passed(*id, done);
        }
    }

    fn came_unseen(&mut self, transaction: &Transaction) {
        let kernels = kernels(transaction);
        if kernels.iter().any(|it| self.unseen.contains_key(it)) {
            return self.published(kernels.into_iter());
        }
        for kernel in kernels {
            if !self.open.contains(&kernel) {
                self.unseen.insert(kernel, self.now);
            }
        }
    }

    /// A call has ended.
    fn passed(&mut self, id: CallId, well: bool) {
        let passed = self.passing.remove(&id);
        if let (Some(kernels), false) = (passed, well) {
            self.published(kernels.into_iter());
        }
    }

    /// The node has done what it wanted. `alone` tells that there is nobody to pass anything on to,
    /// `held` since when something that it wrote is not durable.
    pub fn done(&mut self, alone: bool, held: Option<Instant>) {
        let slow = held.is_some_and(|since| self.now.since(since) > HELD_MAX);
        if alone || slow {
            self.hampered = self.now;
        }
    }

    /// The node wants something done.
    ///
    /// # Errors
    /// What it must not show.
    pub fn output(&mut self, output: &Output) -> Result<(), String> {
        match output {
            Output::Call { id, request, .. } => match arrival(request) {
                Some((transaction, false)) => {
                    self.may_show(transaction, "is spread")?;
                    // From then on everybody may know it, whatever else is waiting.
                    self.published(kernels(transaction).into_iter());
                    Ok(())
                }
                Some((transaction, true)) => {
                    self.passing.insert(*id, kernels(transaction));
                    Ok(())
                }
                None => Ok(()),
            },
            Output::Abandon { id } => {
                self.passed(*id, false);
                Ok(())
            }
            Output::Event(AnyEvent::Grin(Event::EpochBegan { stem })) => {
                self.is_collecting = !stem;
                if !stem {
                    self.collects = Some((self.now, self.now));
                }
                Ok(())
            }
            Output::Commit { .. }
            | Output::Event(_)
            | Output::Reclaim
            | Output::Respond { .. }
            | Output::Verify { .. } => Ok(()),
        }
    }

    /// Whether a transaction may be shown to everybody.
    ///
    /// # Errors
    /// If it came unseen and nothing has changed that.
    pub fn may_show(&self, transaction: &Transaction, how: &str) -> Result<(), String> {
        let early = kernels(transaction).into_iter().find(|it| {
            let since = self.unseen.get(it);
            since.is_some_and(|since| !self.is_time(*since))
        });
        match early {
            None => Ok(()),
            Some(kernel) => Err(format!("kernel {kernel} came unseen and {how}")),
        }
    }

    /// Whether what came unseen then may be spread.
    fn is_time(&self, since: Instant) -> bool {
        let oldest = self.unseen.values().min().copied().unwrap_or(since);
        let collected = self.collects.is_some_and(|(from, until)| {
            until >= since
                && (until.since(oldest) > GRIN_COLLECT || until.since(from) >= GRIN_EPOCH)
        });
        let alone = self.hampered >= since && self.hampered > Instant::ZERO;
        self.tight || alone || collected || self.now.since(since) >= GRIN_EMBARGO_MIN
    }
}

/// The transaction that comes with a request, and whether it is not to be shown yet.
fn arrival(request: &Request) -> Option<(&Transaction, bool)> {
    let Request::Grin(request) = request else {
        return None;
    };
    match request {
        grin::Request::Ask(Ask::Push { transaction, fluff }) => Some((transaction, !fluff)),
        grin::Request::Between(_, Between::Relay { stem, transaction }) => {
            Some((transaction, *stem))
        }
        grin::Request::Ask(_) | grin::Request::Between(..) => None,
    }
}

fn kernels(transaction: &Transaction) -> Vec<Hash> {
    transaction.kernels().map(|kernel| kernel.hash()).collect()
}
