//! The main chain and what stands beside it, and which blocks are known to be bad. Which branch is taken
//! is decided in `turn`.
//!
//! Beside the main chain are headers whose blocks are missing, blocks of other branches, and blocks whose
//! ancestors are still missing; all of these are bounded and in memory only. Rule: `process_block` of
//! grin_chain.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use peerage_mw::{
    self as mw, Applied, Block, Chain, ChainState, Hash, Header, HeaderFault, Invalid, Remains,
    Rules,
};

use super::source::Source;
use crate::limits::{GRIN_BAD_MAX, GRIN_SIDE_MAX};

/// The main chain and what stands beside it.
#[derive(Clone, Debug)]
pub(super) struct Store {
    /// Shared only while work on another branch goes on elsewhere.
    pub(super) state: Arc<ChainState>,
    genesis: Block,
    /// What is left of blocks that were compacted: all after the first one, up to some height.
    pub(super) remains: Vec<Remains>,
    /// One for each block after those.
    pub(super) applied: VecDeque<Applied>,
    /// The heights of the main chain's blocks.
    pub(super) heights: BTreeMap<Hash, u64>,
    pub(super) side: BTreeMap<Hash, Side>,
    /// Who follows whom beside the main chain.
    pub(super) children: BTreeMap<Hash, BTreeSet<Hash>>,
    /// The same by work, least first.
    pub(super) by_work: BTreeSet<(u64, Hash)>,
    bad: BTreeSet<Hash>,
    bad_order: VecDeque<Hash>,
}

/// A header beside the main chain.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) header: Header,
    /// The block, once it is there and its stateless half was found right.
    pub(super) block: Option<Block>,
    /// Who gave the block.
    pub(super) giver: Source,
    /// Whether it and all its ancestors back to the main chain have blocks.
    pub(super) whole: bool,
}

/// How a header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is known to be bad.
    Bad,
    /// It is beside the main chain, with or without its block.
    Beside {
        /// Whether the block is there.
        block: bool,
    },
    /// It is in the main chain.
    Main,
    /// Its parent is known, it is not.
    New,
    /// Neither it nor its parent is known.
    Orphan,
}

/// The first block of a chain, which is the same for everybody and made once.
pub(super) fn genesis(rules: &Rules) -> Block {
    static AUTOMATED_TESTING: OnceLock<Block> = OnceLock::new();
    static USER_TESTING: OnceLock<Block> = OnceLock::new();
    let place = match rules.chain {
        Chain::AutomatedTesting => &AUTOMATED_TESTING,
        Chain::UserTesting => &USER_TESTING,
    };
    place.get_or_init(|| mw::genesis(rules)).clone()
}

impl Store {
    /// The chain that has only its first block.
    pub(super) fn new(rules: Rules) -> Self {
        let genesis = genesis(&rules);
        Self {
            state: Arc::new(ChainState::new(rules, &genesis).expect("the first block is empty")),
            heights: BTreeMap::from([(genesis.hash(), 0)]),
            genesis,
            remains: Vec::new(),
            applied: VecDeque::new(),
            side: BTreeMap::new(),
            children: BTreeMap::new(),
            by_work: BTreeSet::new(),
            bad: BTreeSet::new(),
            bad_order: VecDeque::new(),
        }
    }

    /// The state after the last block.
    pub(super) fn state(&self) -> &ChainState {
        &self.state
    }

    /// The same, to put a block together on.
    pub(super) fn state_mut(&mut self) -> &mut ChainState {
        Arc::make_mut(&mut self.state)
    }

    /// The last header.
    pub(super) fn tip(&self) -> &Header {
        self.state.tip()
    }

    /// The hash of the first block.
    pub(super) fn genesis_hash(&self) -> Hash {
        self.genesis.hash()
    }

    /// The block of the main chain at `height`, unless it was compacted.
    pub(super) fn block_at(&self, height: u64) -> Option<&Block> {
        if height == 0 {
            return Some(&self.genesis);
        }
        let above = height.checked_sub(self.tail() + 1)?;
        let index = usize::try_from(above).ok()?;
        self.applied.get(index).map(Applied::block)
    }

    /// The header with this hash, wherever it stands.
    pub(super) fn header(&self, hash: &Hash) -> Option<&Header> {
        let beside = self.side.get(hash).map(|side| &side.header);
        beside.or_else(|| self.main_header(hash))
    }

    /// The block with this hash, wherever it stands.
    pub(super) fn block(&self, hash: &Hash) -> Option<&Block> {
        if let Some(side) = self.side.get(hash) {
            return side.block.as_ref();
        }
        self.block_at(self.main_header(hash)?.height())
    }

    fn main_header(&self, hash: &Hash) -> Option<&Header> {
        self.state.header(*self.heights.get(hash)?)
    }

    /// How a header stands.
    pub(super) fn standing(&self, header: &Header) -> Standing {
        let hash = header.hash();
        if self.bad.contains(&hash) || self.bad.contains(&header.previous()) {
            Standing::Bad
        } else if self.heights.contains_key(&hash) {
            Standing::Main
        } else if let Some(side) = self.side.get(&hash) {
            let block = side.block.is_some();
            Standing::Beside { block }
        } else if self.header(&header.previous()).is_some() {
            Standing::New
        } else {
            Standing::Orphan
        }
    }

    /// The headers from the one with this hash back to the first block.
    fn branch(&self, hash: Hash) -> Branch<'_> {
        Branch {
            store: self,
            next: Some(hash),
        }
    }

    /// Whether a header may follow its parent, which is known.
    pub(super) fn check_header(&self, header: &Header, wall: i64) -> Result<(), HeaderFault> {
        let ancestors = self.branch(header.previous()).cloned();
        mw::check_header(self.state.rules(), header, ancestors, wall)
    }

    /// Takes in a header whose parent is known and which was found right in all that headers show.
    /// Tells whether there was room.
    pub(super) fn add_header(&mut self, header: Header) -> bool {
        let (hash, work) = (header.hash(), header.total_difficulty());
        if self.side.len() >= GRIN_SIDE_MAX && !self.evict(work) {
            return false;
        }
        // What made room may have been its own parent.
        if self.header(&header.previous()).is_none() {
            return false;
        }
        self.by_work.insert((work, hash));
        self.children
            .entry(header.previous())
            .or_default()
            .insert(hash);
        let side = Side {
            header,
            block: None,
            giver: Source::Own,
            whole: false,
        };
        self.side.insert(hash, side);
        true
    }

    /// Forgets the entry with the least work, unless it has more than `work`. What follows it goes too.
    fn evict(&mut self, work: u64) -> bool {
        match self.by_work.first() {
            Some(&(least, hash)) if least < work => {
                self.forget(hash);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Forgets an entry beside the main chain and all that follow it.
    pub(super) fn forget(&mut self, hash: Hash) {
        let mut left = vec![hash];
        while let Some(hash) = left.pop() {
            left.extend(self.children.get(&hash).into_iter().flatten());
            self.remove(&hash);
        }
    }

    pub(super) fn remove(&mut self, hash: &Hash) -> Option<Side> {
        let side = self.side.remove(hash)?;
        self.by_work
            .remove(&(side.header.total_difficulty(), *hash));
        let previous = side.header.previous();
        if let Some(children) = self.children.get_mut(&previous) {
            children.remove(hash);
            if children.is_empty() {
                self.children.remove(&previous);
            }
        }
        Some(side)
    }

    /// Remembers that a header with proof of work is bad. All that follow it are forgotten.
    ///
    /// Never to be said of a header whose work was not checked, nor because of a body: hashes cover the
    /// solution only, and whoever swaps the rest would have the true one taken for bad.
    pub(super) fn condemn(&mut self, hash: Hash) {
        self.forget(hash);
        if self.bad.insert(hash) {
            self.bad_order.push_back(hash);
        }
        while self.bad_order.len() > GRIN_BAD_MAX {
            if let Some(old) = self.bad_order.pop_front() {
                self.bad.remove(&old);
            }
        }
    }

    /// Takes in a block whose header is known and whose stateless half was found right.
    pub(super) fn add_block(&mut self, block: Block, giver: Source) {
        let hash = block.hash();
        let Some(side) = self.side.get_mut(&hash) else {
            return;
        };
        let previous = side.header.previous();
        side.block = Some(block);
        side.giver = giver;
        let parent_whole = self.heights.contains_key(&previous)
            || self.side.get(&previous).is_some_and(|side| side.whole);
        if parent_whole {
            self.complete(hash);
        }
    }

    /// Marks an entry and what follows it as whole, as far as there are blocks.
    fn complete(&mut self, hash: Hash) {
        let mut left = vec![hash];
        while let Some(hash) = left.pop() {
            match self.side.get_mut(&hash) {
                Some(side) if side.block.is_some() => side.whole = true,
                Some(_) | None => continue,
            }
            left.extend(self.children.get(&hash).into_iter().flatten());
        }
    }

    /// Appends a block that was found right in all that it shows by itself.
    pub(super) fn apply(&mut self, block: &Block) -> Result<(), Invalid> {
        let applied = self.state_mut().apply(block)?;
        self.heights.insert(block.hash(), block.header().height());
        self.applied.push_back(applied);
        Ok(())
    }

    /// The header with the most work, wherever it stands.
    pub(super) fn best_header(&self) -> &Header {
        let beside = self.by_work.last().map(|(_, hash)| &self.side[hash].header);
        let work = self.tip().total_difficulty();
        beside
            .filter(|header| header.total_difficulty() > work)
            .unwrap_or_else(|| self.tip())
    }

    /// Blocks that are missing below the header with the most work, the oldest first.
    pub(super) fn missing(&self, max: usize) -> Vec<Hash> {
        let best = self.best_header().hash();
        let mut missing = Vec::new();
        let mut at = best;
        while let Some(side) = self.side.get(&at) {
            if side.whole {
                break;
            }
            if side.block.is_none() {
                missing.push(at);
            }
            at = side.header.previous();
        }
        missing.reverse();
        missing.truncate(max);
        missing
    }

    /// Hashes of the branch up to `from`, or of the one with the most work, ever further apart. By these
    /// another node finds where that branch and its chain part.
    pub(super) fn locator(&self, from: Option<Hash>, max: usize) -> Vec<Hash> {
        let from = from.and_then(|hash| self.header(&hash));
        let from = from.unwrap_or_else(|| self.best_header());
        let mut hashes = Vec::new();
        let (mut due, mut step) = (from.height(), 1);
        let mut at = from.hash();
        // Beside the main chain every header must be passed, in it heights are enough.
        while let Some(side) = self.side.get(&at) {
            if side.header.height() <= due && hashes.len() + 2 < max {
                hashes.push(at);
                due = side.header.height().saturating_sub(step);
                step *= 2;
            }
            at = side.header.previous();
        }
        let fork = self.heights.get(&at).copied().unwrap_or(0);
        due = due.min(fork);
        while due > 0 && hashes.len() + 1 < max {
            hashes.extend(self.state.header(due).map(Header::hash));
            due = due.saturating_sub(step);
            step *= 2;
        }
        hashes.push(self.genesis_hash());
        hashes
    }

    /// Headers of the main chain after the first of `locator` that is in it.
    pub(super) fn headers_after(&self, locator: &[Hash], max: usize) -> Arc<[Header]> {
        let known = locator.iter().find_map(|hash| self.heights.get(hash));
        let Some(known) = known else {
            return Arc::new([]);
        };
        let heights = (known + 1..).take(max);
        let found = heights.map_while(|height| self.state.header(height).cloned());
        found.collect()
    }

    /// Forgets branches that part from the main chain below `height`; tells how many headers went.
    pub(super) fn prune(&mut self, height: u64) -> usize {
        let before = self.side.len();
        let old = self
            .side
            .iter()
            .filter(|(_, side)| side.header.height() < height);
        let old: Vec<Hash> = old.map(|(hash, _)| *hash).collect();
        for hash in old {
            self.forget(hash);
        }
        before - self.side.len()
    }

    /// Headers and blocks beside the main chain.
    pub(super) fn beside(&self) -> usize {
        self.side.len()
    }

    /// Blocks that are known to be bad.
    pub(super) fn bad(&self) -> usize {
        self.bad.len()
    }
}

/// Headers of one branch, newest first.
#[derive(Clone)]
struct Branch<'a> {
    store: &'a Store,
    next: Option<Hash>,
}

impl<'a> Iterator for Branch<'a> {
    type Item = &'a Header;

    fn next(&mut self) -> Option<&'a Header> {
        let header = self.store.header(&self.next?)?;
        self.next = (header.height() > 0).then(|| header.previous());
        Some(header)
    }
}
