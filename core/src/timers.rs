//! Deadlines under names. A deadline has a reason, so that a trace says which one fired.

use std::collections::{BTreeMap, BTreeSet};

use crate::input::CallId;
use crate::rooms::Timer;
use crate::time::Instant;

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A call has waited long enough.
    Call(CallId),
    /// Hints must be written.
    FlushHints,
    /// Calls may go to a peer again that we were asking too fast.
    Pace,
    /// A room's own.
    Room(Timer),
    /// The first moment of a run.
    Start,
    /// Bans may have ended.
    SweepBans,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Instant, Due)>,
    by_name: BTreeMap<Due, Instant>,
}

impl Timers {
    /// Sets the deadline `due`, in place of an earlier one of that name.
    pub(crate) fn arm(&mut self, due: Due, at: Instant) {
        if let Some(before) = self.by_name.insert(due, at) {
            if before == at {
                return;
            }
            self.by_time.remove(&(before, due));
        }
        self.by_time.insert((at, due));
    }

    pub(crate) fn disarm(&mut self, due: Due) {
        if let Some(at) = self.by_name.remove(&due) {
            self.by_time.remove(&(at, due));
        }
    }

    pub(crate) fn armed(&self, due: Due) -> bool {
        self.by_name.contains_key(&due)
    }

    pub(crate) fn armed_at(&self, due: Due) -> Option<Instant> {
        self.by_name.get(&due).copied()
    }

    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out one deadline that has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Due> {
        let (at, due) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.remove(&(at, due));
        self.by_name.remove(&due);
        Some(due)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }
}
