//! Answers that take longer than one look: they are put together in steps, between which everybody
//! else is served.
//!
//! A step looks at a few blocks or outputs. Should the chain change meanwhile, later steps show the new
//! one, as later pages would.

use std::collections::VecDeque;
use std::sync::Arc;

use peerage_mw::{Block, ChainState, Hash, Remains};

use super::look::{failed, view_unspent};
use super::page::{HeightOutputs, OutputPage};
use super::types::{Event, Heights, Response, Then, Timer};
use super::{Grin, chain};
use crate::cx::Cx;
use crate::input::RequestId;
use crate::limits::{
    GRIN_HEIGHTS_MAX, GRIN_OUTPUTS_MAX, GRIN_REPLAY_BLOCKS, GRIN_SCANS_MAX, GRIN_SLICE_BLOCKS,
    GRIN_SLICE_OUTPUTS, GRIN_WAITERS_MAX,
};
use crate::time::Duration;
use crate::verify::VerifyJob;
use crate::work::{Done, Work};

/// A long answer under way.
#[derive(Clone, Debug)]
pub(super) enum Scan {
    /// Outputs of blocks, from the highest down.
    ByHeight {
        id: RequestId,
        asked: Arc<Heights>,
        /// The next height to look at, until it is below the first one.
        next: Option<u64>,
        found: Vec<HeightOutputs>,
    },
    /// Unspent outputs, ascending.
    Outputs {
        id: RequestId,
        /// The next position, from 0.
        next: u64,
        /// How many are still wanted.
        left: usize,
        /// The position from 1 up to which is looked.
        end: u64,
        page: OutputPage,
    },
}

/// Going over the chain again.
#[derive(Clone, Debug)]
pub(super) struct Validation {
    /// Who waits for it.
    waiters: Vec<RequestId>,
    /// The block up to which it goes.
    target: (u64, Hash),
    /// Up to which height it goes over what is left of blocks.
    tail: u64,
}

/// All that takes long.
#[derive(Clone, Debug, Default)]
pub(super) struct Scans {
    queue: VecDeque<Scan>,
    validation: Option<Validation>,
}

impl Scans {
    pub(super) fn len(&self) -> usize {
        self.queue.len() + usize::from(self.validation.is_some())
    }
}

impl Grin {
    pub(super) fn by_height(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, asked: Arc<Heights>) {
        let end = asked.end.min(self.store.tip().height());
        if end.saturating_sub(asked.start) >= GRIN_HEIGHTS_MAX {
            let text = format!("a range of more than {GRIN_HEIGHTS_MAX} heights");
            return cx.respond(id, failed(400, &text));
        }
        let next = (asked.start <= end).then_some(end);
        let scan = Scan::ByHeight {
            id,
            asked,
            next,
            found: Vec::new(),
        };
        self.begin_scan(cx, id, scan);
    }

    pub(super) fn outputs(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        (start, max, end): (u64, u64, Option<u64>),
    ) {
        let start = start.max(1);
        let highest = end.unwrap_or_else(|| self.store.tip().output_mmr_size());
        let left = usize::try_from(max.min(GRIN_OUTPUTS_MAX)).unwrap_or(0);
        let page = OutputPage {
            highest,
            last: start - 1,
            outputs: Vec::new(),
        };
        let scan = Scan::Outputs {
            id,
            next: start - 1,
            left,
            end: highest,
            page,
        };
        self.begin_scan(cx, id, scan);
    }

    fn begin_scan(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, scan: Scan) {
        if self.scans.queue.len() >= GRIN_SCANS_MAX {
            return cx.respond(
                id,
                failed(503, "too many long answers are under way; try again"),
            );
        }
        if let Some(scan) = self.step(cx, scan) {
            self.scans.queue.push_back(scan);
            cx.arm_once(Timer::Scan, Duration::ZERO);
        }
    }

    /// One step of the long answer that has waited longest.
    pub(super) fn scan(&mut self, cx: &mut Cx<'_, Self>) {
        if let Some(scan) = self.scans.queue.pop_front()
            && let Some(scan) = self.step(cx, scan)
        {
            self.scans.queue.push_back(scan);
        }
        if !self.scans.queue.is_empty() {
            // Whoever else waits for the node comes first.
            cx.arm_once(Timer::Scan, Duration::from_micros(1));
        }
    }

    /// Goes a step on; gives back what is not done yet.
    fn step(&self, cx: &mut Cx<'_, Self>, scan: Scan) -> Option<Scan> {
        match scan {
            Scan::ByHeight {
                id,
                asked,
                mut next,
                mut found,
            } => {
                let mut steps = 0;
                while let Some(height) = next {
                    if steps == GRIN_SLICE_BLOCKS {
                        return Some(Scan::ByHeight {
                            id,
                            asked,
                            next,
                            found,
                        });
                    }
                    steps += 1;
                    let block = self.store.block_at(height);
                    found.extend(block.and_then(|block| self.outputs_of(block, &asked)));
                    next = height
                        .checked_sub(1)
                        .filter(|height| *height >= asked.start);
                }
                cx.respond(id, Response::ByHeight(found.into()));
                None
            }
            Scan::Outputs {
                id,
                mut next,
                mut left,
                end,
                mut page,
            } => {
                let slice = left.min(GRIN_SLICE_OUTPUTS);
                let unspent = self.store.state().unspent_from(next);
                let unspent = unspent.take_while(|unspent| unspent.position < end);
                let before = page.outputs.len();
                page.outputs.extend(unspent.take(slice).map(view_unspent));
                let taken = page.outputs.len() - before;
                left -= taken;
                if let (Some(last), true) = (page.outputs.last(), taken > 0) {
                    (next, page.last) = (last.position, last.position);
                }
                if taken < slice {
                    // Nothing is left: all up to the end was looked at.
                    page.last = page.last.max(end);
                } else if left > 0 {
                    return Some(Scan::Outputs {
                        id,
                        next,
                        left,
                        end,
                        page,
                    });
                }
                cx.respond(id, Response::Outputs(Arc::new(page)));
                None
            }
        }
    }

    /// Goes over the whole chain again, from its first block on.
    pub(super) fn validate(&mut self, cx: &mut Cx<'_, Self>, id: RequestId) {
        if let Some(validation) = &mut self.scans.validation {
            if validation.waiters.len() >= GRIN_WAITERS_MAX {
                return cx.respond(id, failed(503, "too many wait for a validation; try again"));
            }
            return validation.waiters.push(id);
        }
        let tip = self.store.tip();
        if tip.height() == 0 {
            return cx.respond(id, Response::Done);
        }
        let target = (tip.height(), tip.hash());
        self.scans.validation = Some(Validation {
            waiters: vec![id],
            target,
            tail: 0,
        });
        self.replay_all(cx);
    }

    /// Begins at the first block.
    fn replay_all(&mut self, cx: &mut Cx<'_, Self>) {
        if let Some(validation) = &mut self.scans.validation {
            validation.tail = self.store.tail();
        }
        let rules = *self.store.state().rules();
        let first = ChainState::new(rules, &chain::genesis(&rules));
        self.replay_from(cx, Arc::new(first.expect("the first block is empty")));
    }

    fn replay_from(&self, cx: &mut Cx<'_, Self>, from: Arc<ChainState>) {
        let Some(validation) = &self.scans.validation else {
            return;
        };
        let heights = from.tip().height() + 1..=validation.target.0;
        let heights = heights.take(GRIN_REPLAY_BLOCKS);
        let remains = heights.clone().map_while(|at| self.store.remains_at(at));
        let remains: Arc<[Remains]> = remains.cloned().collect();
        let blocks = heights.skip(remains.len());
        let blocks = blocks.map_while(|height| self.store.block_at(height).cloned());
        let blocks: Arc<[Block]> = blocks.collect();
        let work = Work::Replay {
            from,
            remains,
            blocks,
        };
        cx.verify(VerifyJob::Mimblewimble(work), Then::Replayed);
    }

    /// A step of a validation is done.
    pub(super) fn replayed(&mut self, cx: &mut Cx<'_, Self>, done: Done) {
        let Done::Replayed(result) = done else {
            unreachable!("a replay was asked for");
        };
        let Some(validation) = &mut self.scans.validation else {
            return;
        };
        if validation.tail != self.store.tail() {
            // What is left of blocks adds up at the tail, and that has moved.
            return self.replay_all(cx);
        }
        match result {
            Ok(state) if state.tip().hash() == validation.target.1 => {
                self.validated(cx, Response::Done);
            }
            Ok(state) if self.store.state().holds(state.tip()) => self.replay_from(cx, state),
            // The chain has changed its branch under way: the new one is gone over from its beginning.
            Ok(_) | Err(_) if !self.still_there(cx) => self.replay_all(cx),
            Ok(_) => self.validated(cx, failed(500, "validate failed: Orphan")),
            Err(invalid) => {
                let text = format!("validate failed: {invalid:?}");
                self.validated(cx, failed(500, &text));
            }
        }
    }

    /// Whether the block up to which a validation goes is still in the chain. If not, it goes up to the
    /// last one instead.
    fn still_there(&mut self, _: &Cx<'_, Self>) -> bool {
        let tip = self.store.tip();
        let tip = (tip.height(), tip.hash());
        let Some(validation) = &mut self.scans.validation else {
            return true;
        };
        let (height, hash) = validation.target;
        let there = self.store.state().header(height);
        let there = there.is_some_and(|header| header.hash() == hash);
        if !there {
            validation.target = tip;
        }
        there
    }

    fn validated(&mut self, cx: &mut Cx<'_, Self>, response: Response) {
        let good = response == Response::Done;
        cx.event(Event::Validated { good });
        if let Some(validation) = self.scans.validation.take() {
            for id in validation.waiters {
                cx.respond(id, response.clone());
            }
        }
    }
}
