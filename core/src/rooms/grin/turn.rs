//! Which branch is the chain: that with the most work, and of equal ones the one that was there first.
//!
//! A branch that follows the chain is added to it a few blocks at a time, since each of them leaves a
//! chain. Changing to one that parts below takes all its blocks or none. If it is short, that is done at
//! once; if not, the state is worked out elsewhere while the old chain goes on answering, and nothing is
//! added to it meanwhile.

use std::sync::Arc;

use peerage_mw::{Applied, Block, Hash, Header, Invalid};

use super::Grin;
use super::chain::Store;
use super::source::Source;
use super::types::Then;
use crate::cx::Cx;
use crate::limits::{GRIN_APPLY_MAX, GRIN_REORG_MAX, GRIN_TURN_MAX};
use crate::verify::VerifyJob;
use crate::work::{Done, Turned, Work};

/// The main chain has changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// Blocks taken back, the newest first.
    pub(super) undone: Vec<Block>,
    /// Blocks added, the oldest first.
    pub(super) done: Vec<Block>,
}

/// Why a branch with more work was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// A block of it does not fit the state.
    Invalid {
        /// The block.
        header: Header,
        /// What is wrong.
        why: Invalid,
        /// Who gave it.
        giver: Source,
    },
    /// More blocks would have to go than is allowed.
    TooDeep(u64),
}

/// A step towards the branch with the most work.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It is taken.
    Taken(Change),
    /// It is to be worked out what comes of it.
    Turn(Turn),
}

/// A change of branches that is being worked out.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The height at which the branches part.
    fork: u64,
    /// The blocks of the other one.
    blocks: Arc<[Block]>,
}

impl Grin {
    /// Has it worked out what comes of another branch.
    pub(super) fn turn(&mut self, cx: &mut Cx<'_, Self>, turn: Turn) {
        let work = Work::Turn {
            from: self.store.state.clone(),
            back: self.store.applied_above(turn.fork),
            blocks: turn.blocks.clone(),
        };
        self.turning = Some(turn);
        cx.verify(VerifyJob::Mimblewimble(work), Then::Turned);
    }

    /// It is worked out.
    pub(super) fn turned(&mut self, cx: &mut Cx<'_, Self>, done: Done) {
        let Done::Turned(result) = done else {
            unreachable!("a turn was asked for");
        };
        let Some(turn) = self.turning.take() else {
            return;
        };
        match self.store.turn(&turn, result) {
            Ok(change) => self.changed(cx, &change),
            Err(setback) => self.held_back(cx, setback),
        }
        self.go_on(cx);
    }
}

impl Store {
    /// The last block of the branch with the most work, if that is not the main chain.
    pub(super) fn better(&self) -> Option<Hash> {
        let work = self.tip().total_difficulty();
        let better = self.by_work.iter().rev();
        let mut better = better.take_while(|(of, _)| *of > work);
        let (_, best) = better.find(|(_, hash)| self.side[hash].whole)?;
        Some(*best)
    }

    /// Goes a step towards the branch with the most work, if that is not the main chain.
    pub(super) fn advance(&mut self) -> Option<Result<Step, Setback>> {
        let best = self.better()?;
        let (fork, path) = self.path(best);
        let depth = self.tip().height() - fork;
        if depth > GRIN_REORG_MAX as u64 || fork < self.tail() {
            self.forget(path[0].hash());
            return Some(Err(Setback::TooDeep(depth)));
        }
        if depth > 0 && depth + path.len() as u64 > GRIN_TURN_MAX {
            let blocks = path.into();
            return Some(Ok(Step::Turn(Turn { fork, blocks })));
        }
        let few = if depth == 0 {
            GRIN_APPLY_MAX
        } else {
            path.len()
        };
        let few = &path[..few.min(path.len())];
        Some(self.switch(fork, few).map(Step::Taken))
    }

    /// The blocks up to `best`, which is whole, and the height above which they begin.
    fn path(&self, best: Hash) -> (u64, Vec<Block>) {
        let mut path = Vec::new();
        let mut at = best;
        while let Some(side) = self.side.get(&at) {
            let block = side.block.clone();
            path.push(block.expect("a whole branch has all blocks"));
            at = side.header.previous();
        }
        path.reverse();
        (self.heights[&at], path)
    }

    /// Makes a branch that parts at `fork` the main chain. If a block of it does not fit, the main chain
    /// stays, and the block is forgotten.
    fn switch(&mut self, fork: u64, path: &[Block]) -> Result<Change, Setback> {
        let undone = self.undo_to(fork);
        for block in path {
            if let Err(why) = self.apply(block) {
                self.undo_to(fork);
                for block in undone.iter().rev() {
                    self.apply(block).expect("what was taken back fits again");
                }
                return Err(self.unfit(block, why));
            }
        }
        self.exchange(&undone, path);
        let done = path.to_vec();
        Ok(Change { undone, done })
    }

    /// The same, once it is worked out.
    fn turn(
        &mut self,
        turn: &Turn,
        result: Result<Turned, (usize, Invalid)>,
    ) -> Result<Change, Setback> {
        let Turn { fork, blocks } = turn;
        let turned = result.map_err(|(at, why)| self.unfit(&blocks[at], why))?;
        if *fork < self.tail() {
            // Blocks were compacted meanwhile.
            self.forget(blocks[0].hash());
            return Err(Setback::TooDeep(self.tip().height() - fork));
        }
        let mut undone = Vec::new();
        while self.tail() + self.applied.len() as u64 > *fork
            && let Some(applied) = self.applied.pop_back()
        {
            self.heights.remove(&applied.block().hash());
            undone.push(applied.block().clone());
        }
        for applied in turned.applied.iter() {
            let block = applied.block();
            self.heights.insert(block.hash(), block.header().height());
            self.applied.push_back(applied.clone());
        }
        self.state = turned.state;
        self.exchange(&undone, blocks);
        let done = blocks.to_vec();
        Ok(Change { undone, done })
    }

    /// What applying the blocks above `height` gave, the newest first.
    fn applied_above(&self, height: u64) -> Arc<[Applied]> {
        let above = usize::try_from(self.tip().height() - height).unwrap_or(usize::MAX);
        self.applied.iter().rev().take(above).cloned().collect()
    }

    /// A block does not fit the state before it.
    fn unfit(&mut self, block: &Block, why: Invalid) -> Setback {
        let header = block.header().clone();
        let giver = self.reject(block.hash());
        Setback::Invalid { header, why, giver }
    }

    /// Forgets a block that does not fit, and tells who gave it. Its header stays: that names no body,
    /// so somebody else may have the right one.
    fn reject(&mut self, hash: Hash) -> Source {
        let mut giver = Source::Own;
        if let Some(side) = self.side.get_mut(&hash) {
            side.block = None;
            giver = side.giver.clone();
        }
        let mut left = vec![hash];
        while let Some(hash) = left.pop() {
            if let Some(side) = self.side.get_mut(&hash) {
                side.whole = false;
            }
            left.extend(self.children.get(&hash).into_iter().flatten());
        }
        giver
    }

    /// What was beside the main chain is in it, and the other way round.
    fn exchange(&mut self, undone: &[Block], done: &[Block]) {
        for block in done {
            self.remove(&block.hash());
        }
        for block in undone.iter().rev() {
            if self.add_header(block.header().clone()) {
                self.add_block(block.clone(), Source::Own);
            } else {
                self.forget(block.hash());
            }
        }
    }

    fn undo_to(&mut self, height: u64) -> Vec<Block> {
        let mut undone = Vec::new();
        while self.tip().height() > height {
            let applied = self
                .applied
                .pop_back()
                .expect("each block above the tail was applied");
            self.heights.remove(&applied.block().hash());
            undone.push(applied.block().clone());
            self.state_mut().undo(applied);
        }
        undone
    }
}
