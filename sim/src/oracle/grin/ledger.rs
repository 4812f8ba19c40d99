//! What each chain comes to, found out from its blocks alone: who is unspent, what all of it is worth.
//!
//! A second opinion on the node's own state, which is changed in place, undone and done again. Here
//! every block is put on top of the blocks before it, from the first one, and nothing is ever undone.
//! Who has spent what is kept as a plain map, and what a coin is worth is read by those who own it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use peerage_core::mw::{Block, ChainState, Commitment, Hash, Rules, genesis};

use crate::grin::Purses;
use crate::grin::purses::Held;

/// All blocks that were ever part of a node's chain.
#[derive(Clone, Debug)]
pub struct Ledger {
    rules: Rules,
    first: Hash,
    blocks: BTreeMap<Hash, Block>,
    /// What some chains come to, the newest last, to save the way from the first block.
    kept: VecDeque<(Hash, After)>,
    purses: Purses,
}

/// What a chain comes to after a block.
#[derive(Clone, Debug)]
pub struct After {
    /// The height of the block.
    pub height: u64,
    /// The state, replayed.
    pub state: Arc<ChainState>,
    /// What is unspent.
    pub coins: Arc<BTreeMap<Commitment, Coin>>,
}

/// Something unspent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Whose it is and what it is worth.
    pub held: Held,
    /// From which height on it may be spent.
    pub ripe: u64,
}

/// Ends of chains that are kept.
const KEPT: usize = 24;

impl Ledger {
    /// The ledger in which there is only the first block.
    #[must_use]
    pub fn new(rules: Rules, purses: Purses) -> Self {
        let block = genesis(&rules);
        let first = block.hash();
        let mut ledger = Self {
            rules,
            first,
            blocks: BTreeMap::from([(first, block)]),
            kept: VecDeque::new(),
            purses,
        };
        // What there is before anybody has mined.
        let _ = ledger.after(&first);
        ledger
    }

    /// The hash of the first block.
    #[must_use]
    pub const fn first(&self) -> Hash {
        self.first
    }

    /// The purses in which its coins are.
    #[must_use]
    pub const fn purses(&self) -> &Purses {
        &self.purses
    }

    /// By which rules.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The block with this hash.
    #[must_use]
    pub fn block(&self, hash: &Hash) -> Option<&Block> {
        self.blocks.get(hash)
    }

    /// What a chain comes to after the block with this hash, if it is known without replaying it.
    #[must_use]
    pub fn known(&self, hash: &Hash) -> Option<&After> {
        let mut kept = self.kept.iter().rev();
        kept.find(|(of, _)| of == hash).map(|(_, after)| after)
    }

    /// A block that a node has made part of its chain.
    ///
    /// # Errors
    /// Why it cannot be part of any chain.
    pub fn enter(&mut self, block: &Block) -> Result<(), String> {
        let (hash, height) = (block.hash(), block.header().height());
        if let Some(before) = self.blocks.get(&hash) {
            return match before.digest() == block.digest() {
                true => Ok(()),
                false => Err(format!("block {height} has another body than before")),
            };
        }
        let mut after = self
            .after(&block.header().previous())
            .ok_or_else(|| format!("block {height} follows none of a chain"))?;
        self.follow(&mut after, block)?;
        self.keep(hash, after);
        self.blocks.insert(hash, block.clone());
        Ok(())
    }

    /// What a chain comes to after a block, replayed from the first one or from one that is kept.
    pub fn after(&mut self, hash: &Hash) -> Option<After> {
        let (mut path, mut at) = (Vec::new(), *hash);
        let mut after = loop {
            if let Some(after) = self.known(&at) {
                break after.clone();
            }
            let block = self.blocks.get(&at)?;
            if at == self.first {
                break After {
                    height: 0,
                    state: Arc::new(ChainState::new(self.rules, block).ok()?),
                    coins: Arc::default(),
                };
            }
            path.push(block.clone());
            at = block.header().previous();
        };
        if path.is_empty() && at != self.first {
            return Some(after);
        }
        for block in path.iter().rev() {
            // Each was found to follow once before.
            self.follow(&mut after, block).ok()?;
        }
        self.keep(*hash, after.clone());
        Some(after)
    }

    /// Goes on to what a chain comes to after one block more.
    fn follow(&self, after: &mut After, block: &Block) -> Result<(), String> {
        after.height = block.header().height();
        self.spend_and_make(Arc::make_mut(&mut after.coins), block)?;
        let applied = Arc::make_mut(&mut after.state).apply(block);
        let _ =
            applied.map_err(|why| format!("block {} cannot be replayed: {why}", after.height))?;
        Ok(())
    }

    fn keep(&mut self, hash: Hash, after: After) {
        if self.kept.len() >= KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((hash, after));
    }

    /// What a block changes about what is unspent.
    fn spend_and_make(
        &self,
        coins: &mut BTreeMap<Commitment, Coin>,
        block: &Block,
    ) -> Result<(), String> {
        let height = block.header().height();
        for input in block.inputs() {
            let what = input.commitment;
            let spent = coins.remove(&what);
            let spent =
                spent.ok_or_else(|| format!("block {height} spends {what}, which is not there"))?;
            if spent.ripe > height {
                let ripe = spent.ripe;
                return Err(format!("block {height} spends what is ripe at {ripe}"));
            }
        }
        for output in block.outputs() {
            let what = output.commitment();
            let held = self.purses.recognise(&output);
            let held = held.ok_or_else(|| format!("block {height} pays somebody unknown"))?;
            let wait = match output.is_coinbase() {
                true => self.rules.coinbase_maturity(),
                false => 0,
            };
            let ripe = height + wait;
            if coins.insert(what, Coin { held, ripe }).is_some() {
                return Err(format!("block {height} makes {what}, which is there"));
            }
        }
        let values = coins.values().map(|coin| u128::from(coin.held.coin.value));
        let (worth, issued) = (
            values.sum::<u128>(),
            u128::from(height) * u128::from(Rules::reward(0)),
        );
        match worth == issued {
            true => Ok(()),
            false => Err(format!(
                "after block {height} there are {worth} instead of {issued} nanogrin"
            )),
        }
    }
}
