//! What becomes of a block, wherever it comes from: its stateless half is checked elsewhere, then it
//! finds its place, and then the branch with the most work becomes the chain, which everything else
//! follows: rows, waiting transactions, other nodes, our own mining.

use std::sync::Arc;

use peerage_mw::{Block, Header, Job};

use super::Grin;
use super::chain::{Standing, genesis};
use super::rows::{Row, StoredBlock};
use super::source::Source;
use super::turn::{Change, Setback, Step};
use super::types::{Event, Then, Timer};
use crate::commons::bans::BanReason;
use crate::cx::Cx;
use crate::limits::GRIN_BLOCKS_MAX;
use crate::time::Duration;
use crate::verify::VerifyJob;
use crate::work::{Done, Work};

/// A chain from a file that is being taken in.
#[derive(Clone, Debug)]
pub(super) struct Import {
    blocks: Arc<[Block]>,
    /// The first block that was not yet looked at.
    next: usize,
}

/// Blocks that have found their places while the chain was still on its way to them.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    from: Source,
    blocks: Arc<[Block]>,
    why: Option<Arc<str>>,
}

impl Grin {
    /// Has blocks checked, as far as they follow what is known or each other.
    pub(super) fn judge_blocks(
        &mut self,
        cx: &mut Cx<'_, Self>,
        from: Source,
        blocks: Arc<[Block]>,
    ) {
        let mut jobs = Vec::with_capacity(blocks.len());
        let mut before: Option<&Header> = None;
        for block in blocks.iter() {
            let previous = block.header().previous();
            let parent = before.filter(|header| header.hash() == previous);
            let Some(parent) = parent.or_else(|| self.store.header(&previous)) else {
                break;
            };
            let previous_offset = parent.total_kernel_offset();
            jobs.push(Job::Block {
                block: block.clone(),
                previous_offset,
            });
            before = Some(block.header());
        }
        if jobs.is_empty() {
            let why = Some("follows another block".into());
            return self.judged(cx, Judged { from, blocks, why });
        }
        let work = Work::Check {
            rules: *self.store.state().rules(),
            jobs: jobs.into(),
        };
        cx.verify(
            VerifyJob::Mimblewimble(work),
            Then::BlocksChecked { from, blocks },
        );
    }

    /// The stateless halves of blocks are checked.
    pub(super) fn blocks_checked(
        &mut self,
        cx: &mut Cx<'_, Self>,
        from: Source,
        blocks: Arc<[Block]>,
        done: &Done,
    ) {
        let Done::Checked(verdicts) = done else {
            unreachable!("a check was asked for");
        };
        let mut why = None;
        for (block, verdict) in blocks.iter().zip(verdicts.iter()) {
            if let Err(fault) = verdict {
                let text: Arc<str> = fault.to_string().into();
                self.refuse_block(cx, &from, block.header(), &text);
                why = Some(text);
                break;
            }
            if !self.place_header(cx, &from, block.header()) {
                why = Some("its header is refused".into());
                break;
            }
            // Nothing but the solution is in the hash that both go by.
            if self.store.header(&block.hash()) != Some(block.header()) {
                let text: Arc<str> = "a solution of another header".into();
                self.refuse_block(cx, &from, block.header(), &text);
                why = Some(text);
                break;
            }
            if self.store.standing(block.header()) == (Standing::Beside { block: false }) {
                self.store.add_block(block.clone(), from.clone());
            }
        }
        self.judged.push(Judged { from, blocks, why });
        self.advance(cx);
    }

    fn refuse_block(&mut self, cx: &mut Cx<'_, Self>, from: &Source, header: &Header, why: &str) {
        let height = header.height();
        cx.event(Event::BlockRefused {
            height,
            why: why.into(),
        });
        self.punish(cx, from, BanReason::BadBlock, why);
    }

    /// Blocks are in the chain or have found other places, or some of them have not.
    fn judged(&mut self, cx: &mut Cx<'_, Self>, judged: Judged) {
        let Judged { from, blocks, why } = judged;
        match from {
            Source::Import => self.imported(cx, why),
            Source::Own => self.arm_mine(cx),
            Source::Operator | Source::Peer(_) => self.fetched(cx, &from, &blocks),
        }
    }

    // --- The chain ---

    /// Goes a step towards the branch with the most work. The rest waits until whoever else waits for
    /// the node has had a turn.
    pub(super) fn advance(&mut self, cx: &mut Cx<'_, Self>) {
        if self.turning.is_some() {
            return;
        }
        match self.store.advance() {
            None => {}
            Some(Ok(Step::Taken(change))) => self.changed(cx, &change),
            Some(Ok(Step::Turn(turn))) => return self.turn(cx, turn),
            Some(Err(setback)) => self.held_back(cx, setback),
        }
        self.go_on(cx);
    }

    /// A step is done: the next one follows, or what waited for the last one.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_, Self>) {
        if self.store.better().is_some() {
            return cx.arm_once(Timer::Advance, Duration::from_micros(1));
        }
        if core::mem::take(&mut self.moved) {
            self.announce(cx);
            self.arm_mine(cx);
        }
        for judged in core::mem::take(&mut self.judged) {
            self.judged(cx, judged);
        }
    }

    /// A branch with more work is not taken.
    pub(super) fn held_back(&mut self, cx: &mut Cx<'_, Self>, setback: Setback) {
        let why: Arc<str> = match setback {
            Setback::Invalid { header, why, giver } => {
                let text: Arc<str> = why.to_string().into();
                self.refuse_block(cx, &giver, &header, &text);
                text
            }
            Setback::TooDeep(depth) => {
                cx.event(Event::ReorganisationTooDeep { depth });
                "too deep a reorganisation".into()
            }
        };
        for judged in &mut self.judged {
            judged.why.get_or_insert_with(|| why.clone());
        }
    }

    /// The chain is another one: everything follows it.
    pub(super) fn changed(&mut self, cx: &mut Cx<'_, Self>, change: &Change) {
        let chain = self.store.state().rules().chain;
        for block in &change.undone {
            cx.put(Row::Block(block.header().height(), None));
        }
        for block in &change.done {
            let (height, hash) = (block.header().height(), block.hash());
            let stored = StoredBlock {
                chain,
                block: block.clone(),
            };
            cx.put(Row::Block(height, Some(stored)));
            cx.event(Event::BlockAccepted { height, hash });
        }
        if !change.undone.is_empty() {
            let (depth, height) = (change.undone.len() as u64, self.store.tip().height());
            cx.event(Event::Reorganised { depth, height });
            cx.arm_once(Timer::Readmit, Duration::ZERO);
        }
        let (state, now) = (self.store.state(), cx.now().mono);
        let left = self.pool.follow(state, &change.undone, &change.done, now);
        self.left(cx, left);
        self.moved = true;
    }

    // --- Import ---

    /// Takes in the operator's file, if this node has no block but the first.
    pub(super) fn begin_import(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(blocks) = cx.config().grin.import.clone() else {
            return;
        };
        if self.store.tip().height() > 0 {
            return;
        }
        let first = genesis(self.store.state().rules());
        if blocks.first() != Some(&first) {
            let why = ": the file begins with another first block".into();
            return cx.event(Event::ChainImported { height: 0, why });
        }
        self.import = Some(Import { blocks, next: 1 });
        self.imported(cx, None);
    }

    /// A share of a file is taken in; another one follows unless something was wrong.
    fn imported(&mut self, cx: &mut Cx<'_, Self>, why: Option<Arc<str>>) {
        let Some(import) = &mut self.import else {
            return;
        };
        let end = import.blocks.len().min(import.next + GRIN_BLOCKS_MAX);
        let share: Arc<[Block]> = import.blocks[import.next..end].into();
        import.next = end;
        if why.is_none() && !share.is_empty() {
            let (height, last) = (import.next as u64 - 1, import.blocks.len() as u64 - 1);
            cx.event(Event::ChainImporting { height, last });
            return self.judge_blocks(cx, Source::Import, share);
        }
        self.import = None;
        let height = self.store.tip().height();
        let why = why.map_or_else(String::new, |why| format!(", then: {why}"));
        cx.event(Event::ChainImported {
            height,
            why: why.into(),
        });
        self.arm_mine(cx);
        self.sync(cx);
    }
}
