//! Blocks of our own: at intervals the best-paying transactions and a reward become a block, whose proof
//! of work is searched for elsewhere, a few attempts at a time. Whenever the chain changes, whatever was
//! under way is moot and the interval begins anew.

use std::sync::Arc;

use peerage_mw::{self as mw, KeyIndex, Miner, Transaction};

use super::Grin;
use super::page::SyncState;
use super::source::Source;
use super::sync::wall_secs;
use super::types::{Event, Then, Timer};
use crate::config::grin::Purse;
use crate::cx::Cx;
use crate::limits::GRIN_ATTEMPTS;
use crate::time::{Duration, micros};
use crate::verify::VerifyJob;
use crate::work::{Done, Work};

/// What is needed to make blocks, and the one that is being made.
#[derive(Clone, Debug)]
pub(super) struct Mining {
    interval: Duration,
    /// Where rewards go.
    purse: Arc<Purse>,
    /// Tells what belongs to the block at hand from what belongs to an earlier one.
    attempt: u64,
    transactions: Vec<Transaction>,
}

impl Mining {
    pub(super) fn new(interval: Duration, purse: Purse) -> Self {
        Self {
            interval,
            purse: Arc::new(purse),
            attempt: 0,
            transactions: Vec::new(),
        }
    }
}

impl Grin {
    /// Has the next block made after an interval, give or take a tenth. Whatever is under way is moot.
    pub(super) fn arm_mine(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(mining) = &mut self.mining else {
            return;
        };
        mining.attempt += 1;
        let mean = micros(mining.interval);
        let after = cx.rng().range(mean - mean / 10, mean + mean / 10 + 1);
        cx.arm(Timer::Mine, Duration::from_micros(after));
    }

    /// Begins a block.
    pub(super) fn mine(&mut self, cx: &mut Cx<'_, Self>) {
        let behind = matches!(
            self.sync_state(),
            SyncState::Headers { .. } | SyncState::Bodies { .. }
        );
        // Each block is dated a second after the one before at least, so a chain that grows faster runs
        // ahead of the clock, until nobody would take the next block.
        let (rules, tip) = (self.store.state().rules(), self.store.tip());
        let ahead = mw::check_ahead(rules, tip, wall_secs(cx) - 1).is_err();
        if self.import.is_some() || behind || ahead {
            // A block on an old one would be in vain.
            return self.arm_mine(cx);
        }
        let picked = self.pool.pick(self.store.state().rules());
        let transactions = picked.iter().map(|it| Transaction::clone(it)).collect();
        self.earn(cx, transactions);
    }

    /// Has the reward of a block with these transactions made.
    fn earn(&mut self, cx: &mut Cx<'_, Self>, transactions: Vec<Transaction>) {
        let height = self.store.tip().height() + 1;
        let (Some(mining), Some(key)) = (&mut self.mining, KeyIndex::new(height)) else {
            return;
        };
        let fees = transactions.iter().map(Transaction::fee).sum();
        mining.transactions = transactions;
        let work = Work::Reward {
            purse: mining.purse.clone(),
            key,
            fees,
        };
        let then = Then::Rewarded(mining.attempt);
        cx.verify(VerifyJob::Mimblewimble(work), then);
    }

    /// A reward is made.
    pub(super) fn rewarded(&mut self, cx: &mut Cx<'_, Self>, attempt: u64, done: Done) {
        let Done::Rewarded(reward) = done else {
            unreachable!("a reward was asked for");
        };
        let wall = wall_secs(cx);
        let Some(mining) = self
            .mining
            .as_mut()
            .filter(|mining| mining.attempt == attempt)
        else {
            return;
        };
        let transactions = core::mem::take(&mut mining.transactions);
        if self.turning.is_some() {
            // The chain is about to change.
            return self.arm_mine(cx);
        }
        let Ok(reward) = reward else {
            return self.arm_mine(cx);
        };
        match self.store.state_mut().propose(&transactions, &reward, wall) {
            Ok(draft) => self.search(cx, attempt, Arc::new(Miner::new(draft, 0))),
            // What waits does not go together after all; an empty block always does.
            Err(_) if !transactions.is_empty() => self.earn(cx, Vec::new()),
            Err(_) => self.arm_mine(cx),
        }
    }

    fn search(&self, cx: &mut Cx<'_, Self>, attempt: u64, miner: Arc<Miner>) {
        let work = Work::Search {
            miner,
            attempts: GRIN_ATTEMPTS,
        };
        cx.verify(VerifyJob::Mimblewimble(work), Then::Searched(attempt));
    }

    /// Some attempts at a block are done.
    pub(super) fn searched(&mut self, cx: &mut Cx<'_, Self>, attempt: u64, done: Done) {
        let Done::Searched(result) = done else {
            unreachable!("a search was asked for");
        };
        if self
            .mining
            .as_ref()
            .is_none_or(|mining| mining.attempt != attempt)
        {
            return;
        }
        match result {
            Ok(block) => {
                let height = block.header().height();
                cx.event(Event::BlockMined { height });
                self.judge_blocks(cx, Source::Own, Arc::new([block]));
            }
            Err(miner) => self.search(cx, attempt, miner),
        }
    }
}
