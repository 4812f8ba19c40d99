//! Compacting the chain: of blocks further below the last one than any reorganisation may reach, what
//! nobody needs any more goes away; see [`peerage_mw::Remains`].
//!
//! It is done a few blocks at a time. After each step the rows are a whole chain again: remains up to a
//! height, of which is left what was unspent after it, and blocks from there on. So a crash between two
//! steps leaves nothing to mend. Only operators have it done: newcomers need old blocks, and from
//! whoever has compacted they get headers only.
//!
//! Rule: `compact` of grin_chain.

use std::collections::BTreeSet;

use peerage_mw::{Invalid, Remains};

use super::Grin;
use super::chain::Store;
use super::look::failed;
use super::rows::{Row, StoredRemains};
use super::types::{Event, Response, Timer};
use crate::cx::Cx;
use crate::input::RequestId;
use crate::limits::{GRIN_COMPACT_AFTER, GRIN_COMPACT_BLOCKS, GRIN_WAITERS_MAX};
use crate::time::Duration;

impl Grin {
    /// Compacts the chain, if it has grown enough since the last time.
    pub(super) fn compact(&mut self, cx: &mut Cx<'_, Self>, id: RequestId) {
        if let Some(waiters) = &mut self.compacting {
            if waiters.len() >= GRIN_WAITERS_MAX {
                return cx.respond(id, failed(503, "too many wait for a compaction; try again"));
            }
            return waiters.push(id);
        }
        if self.store.tip().height() < self.store.tail() + self.horizon() + GRIN_COMPACT_AFTER {
            return cx.respond(id, Response::Done);
        }
        self.compacting = Some(vec![id]);
        self.compact_some(cx);
    }

    fn horizon(&self) -> u64 {
        self.store.state().rules().cut_through_horizon()
    }

    /// One step.
    pub(super) fn compact_some(&mut self, cx: &mut Cx<'_, Self>) {
        let until = self.store.tip().height().saturating_sub(self.horizon());
        let mut changed = BTreeSet::new();
        for _ in 0..GRIN_COMPACT_BLOCKS {
            if self.store.tail() >= until {
                break;
            }
            self.store.compact_next(&mut changed);
        }
        let chain = self.store.state().rules().chain;
        for height in changed {
            if let Some(remains) = self.store.remains_at(height).cloned() {
                cx.put(Row::Remains(height, StoredRemains { chain, remains }));
            }
        }
        let tail = self.store.tail();
        if tail < until {
            // Whoever else waits for the node comes first.
            return cx.arm(Timer::Compact, Duration::from_micros(1));
        }
        self.store.prune(tail);
        cx.event(Event::Compacted { height: tail });
        cx.reclaim();
        for id in self.compacting.take().into_iter().flatten() {
            cx.respond(id, Response::Done);
        }
    }
}

impl Store {
    /// The height up to which there are remains only.
    pub(super) const fn tail(&self) -> u64 {
        self.remains.len() as u64
    }

    /// What is left of the block at `height`, if that was compacted.
    pub(super) fn remains_at(&self, height: u64) -> Option<&Remains> {
        let index = usize::try_from(height.checked_sub(1)?).ok()?;
        self.remains.get(index)
    }

    /// Lays what is left of the next block.
    pub(super) fn lay(&mut self, remains: Remains) -> Result<(), Invalid> {
        if !self.applied.is_empty() {
            return Err(Invalid::Orphan);
        }
        self.state_mut().lay(&remains)?;
        let header = remains.header();
        self.heights.insert(header.hash(), header.height());
        self.remains.push(remains);
        Ok(())
    }

    /// Compacts the block above the tail. Notes whose remains have changed: its own, and those of the
    /// blocks whose outputs it spent.
    fn compact_next(&mut self, changed: &mut BTreeSet<u64>) {
        let Some(applied) = self.applied.pop_front() else {
            return;
        };
        self.remains.push(Remains::of(applied.block()));
        changed.insert(self.tail());
        for spent in applied.spent() {
            let index = usize::try_from(spent.height - 1).expect("a height of this chain");
            let remains = &mut self.remains[index];
            let without = remains.without(spent);
            *remains = without.expect("what a block spends was left by those before it");
            changed.insert(spent.height);
        }
    }
}
