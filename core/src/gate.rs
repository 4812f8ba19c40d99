//! Holds back what would reveal a state that a crash could still take back.
//!
//! Every scope (each room, and the commons) remembers the newest commit that touched it. An answer
//! or a call of a room waits until that room's and the commons' newest commits are durable, and is
//! let go first in, first out. So an acknowledgement never precedes its sync, a reader never sees
//! what a crash then forgets, and a room without a write in flight answers at once.

use core::fmt;
use std::collections::VecDeque;

use crate::output::Output;
use crate::rooms::Scope;

/// The number of a commit; the first is 1, and there are no gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitSeq(pub u64);

impl CommitSeq {
    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for CommitSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    issued: CommitSeq,
    persisted: CommitSeq,
    newest: [CommitSeq; Scope::COUNT],
    held: [VecDeque<(CommitSeq, Output)>; Scope::COUNT],
    held_total: usize,
    held_bytes: usize,
}

impl Gate {
    /// Gives the next commit its number; `touched` are the scopes whose promises it carries.
    pub(crate) fn commit(&mut self, touched: [bool; Scope::COUNT]) -> CommitSeq {
        self.issued = self.issued.next();
        for (newest, touched) in self.newest.iter_mut().zip(touched) {
            if touched {
                *newest = self.issued;
            }
        }
        self.issued
    }

    /// Lets `output` through, or keeps it until what it may reveal is durable.
    pub(crate) fn pass(&mut self, scope: Scope, output: Output) -> Option<Output> {
        let need = self.need(scope);
        if need <= self.persisted && self.held[scope as usize].is_empty() {
            return Some(output);
        }
        self.held_total += 1;
        self.held_bytes += output.byte_size();
        self.held[scope as usize].push_back((need, output));
        None
    }

    /// Notes that commits up to `upto` are durable and hands out what may go, oldest first.
    pub(crate) fn persisted(&mut self, upto: CommitSeq, mut release: impl FnMut(Output)) {
        assert!(
            upto <= self.issued,
            "a driver reported commit {upto} before it was issued"
        );
        self.persisted = self.persisted.max(upto);
        for queue in &mut self.held {
            while queue
                .front()
                .is_some_and(|(need, _)| *need <= self.persisted)
            {
                if let Some((_, output)) = queue.pop_front() {
                    self.held_total -= 1;
                    self.held_bytes -= output.byte_size();
                    release(output);
                }
            }
        }
    }

    /// Commits that are issued and not yet durable.
    pub(crate) const fn in_flight(&self) -> u64 {
        self.issued.0 - self.persisted.0
    }

    /// Outputs that wait.
    pub(crate) const fn held(&self) -> usize {
        self.held_total
    }

    /// Bytes that wait with them.
    pub(crate) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn need(&self, scope: Scope) -> CommitSeq {
        self.newest[scope as usize].max(self.newest[Scope::Commons as usize])
    }
}
