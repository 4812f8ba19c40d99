//! A Mimblewimble network: who takes part, who mines, and how often somebody pays.
//!
//! `purses.rs` makes coins and payments, each once; `payers.rs` are those who push and read;
//! `spoiler.rs` are peers who lie; `measure.rs` and `spies.rs` tell what a network costs and what it
//! gives away.

pub mod measure;
mod payers;
pub mod purses;

pub mod spies;
mod spoiler;

use std::fmt;

use peerage_core::Config;
use peerage_core::time::{Duration, micros};

pub use self::payers::{Order, Payers};
pub use self::purses::Purses;
pub use self::spoiler::Spoiler;
use crate::group::Group;
use crate::options::Time;
use crate::seed::Luck;

/// The Mimblewimble network of a world, on the chain for automated tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// Who takes part; the others only answer whoever greets them.
    pub nodes: Group,
    /// Who of them mines.
    pub miners: Group,
    /// How long a miner waits for somebody's block before it makes one, give or take a tenth.
    pub interval: Duration,
    /// How many wallets the rewards go to; miners share them in turn.
    pub purses: u32,
    /// Peers that each node calls by itself.
    pub links_max: usize,
    /// Transactions a minute that are pushed to the nodes together.
    pub payments: u32,
    /// Of a million of them, how many are to be spread at once.
    pub fluff: u32,
    /// Of a million of them, how many are not as they should be: spent twice, unripe, repeated,
    /// spoiled, or on top of what still waits.
    pub odd: u32,
    /// Questions a minute that read chain, pool and peers.
    pub reads: u32,
}

impl Default for Net {
    /// Everybody takes part, nobody mines and nobody pays.
    fn default() -> Self {
        Self {
            nodes: Group::All,
            miners: Group::of([]),
            interval: Duration::from_secs(10),
            purses: 2,
            links_max: 8,
            payments: 0,
            fluff: 0,
            odd: 0,
            reads: 0,
        }
    }
}

/// Blocks of a small world, roughly: each costs some 30 ms of real time.
const BLOCKS: u64 = 12;
/// Pushed transactions of a small world, at most, which cost as much.
const PAYMENTS: u64 = 12;
const SECOND: u64 = 1_000_000;

impl Net {
    /// What the seed draws for so many nodes and such a storm, in microseconds.
    #[must_use]
    pub fn drawn(luck: &mut Luck, nodes: u32, duration: u64) -> Self {
        let storm = (duration / SECOND).max(1);
        let miners = luck.range(1, 4).min(nodes.into()) as u32;
        let some: Vec<u32> = (0..miners)
            .map(|_| luck.below(nodes.into()) as u32)
            .collect();
        let everybody = luck.below(3) > 0;
        let apart = luck.below(nodes.into()) as u32;
        let a_minute = |many: u64| (many * 60 / storm) as u32;
        let interval = luck.range(2 * SECOND, 8 * SECOND).max(duration / BLOCKS);
        let payments = luck.range(0, PAYMENTS + 1);
        let share = |luck: &mut Luck| {
            let drawn = luck.below(1_000_001) as u32;
            if luck.below(3) == 0 { 0 } else { drawn }
        };
        Self {
            nodes: if everybody {
                Group::All
            } else {
                Group::of((0..nodes).filter(|node| *node != apart || some.contains(node)))
            },
            miners: Group::of(some),
            interval: Duration::from_micros(interval),
            purses: luck.range(1, 4) as u32,
            // So many that the two sides of a partition of a small world find each other again: on
            // one of them there are too few to be content with.
            links_max: luck.range(8, 12) as usize,
            payments: a_minute(payments),
            fluff: share(luck),
            odd: share(luck) / 2,
            reads: a_minute(luck.range(0, 60)),
        }
    }

    /// How much longer the calm may take, in microseconds: branches of equal work last until one of
    /// them grows, and whoever was not reached is greeted again after a while.
    #[must_use]
    pub fn settle(&self) -> u64 {
        120 * SECOND + 10 * micros(self.interval)
    }

    /// Gives a node its part in the network.
    pub fn configure(&self, purses: &Purses, node: u32, config: &mut Config) {
        let grin = &mut config.grin;
        if !self.nodes.holds(node) {
            grin.links_max = 0;
            return;
        }
        grin.links_max = self.links_max;
        if self.miners.holds(node) {
            grin.mine = Some(self.interval);
            grin.purse = Some(purses.of_miner(node).clone());
        }
    }

    /// The mean pause between two things that somebody asks, in microseconds, if anybody does.
    #[must_use]
    pub fn pause(&self) -> Option<u64> {
        let a_minute = u64::from(self.payments) + u64::from(self.reads);
        (60 * SECOND).checked_div(a_minute)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} take part with {} links each; {} mine every {} into {} purses; a minute {} payments, \
             of a million\n          {} spread at once and {} odd, and {} questions",
            self.nodes,
            self.links_max,
            self.miners,
            Time(micros(self.interval)),
            self.purses,
            self.payments,
            self.fluff,
            self.odd,
            self.reads,
        )
    }
}
