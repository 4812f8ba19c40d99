//! The state after a block: who is unspent, the four ranges and their roots, the sums of everything.
//! All of it lives in memory; a block is applied in place and undone from what applying it gave.
//!
//! A reorganisation is `undo` down to where the branches part and `apply` up the other one.

mod apply;
mod check;
mod lay;
pub(crate) mod propose;
mod roots;

use core::ops::Bound;
use std::collections::BTreeMap;

use grin_core::core::pmmr;

pub use apply::Applied;
pub use check::Invalid;
pub use propose::{Coinbase, Draft, ProposeError};
pub use roots::Roots;

use crate::bitmap::Bitmap;
use crate::block::Block;
use crate::body::{Kernel, Output};
use crate::difficulty::{self, HeaderFault, Target};
use crate::header::Header;
use crate::ids::{Commitment, Hash};

use crate::mountain::{MerkleProof, Mountain};
use crate::rules::Rules;

/// An output that can be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// The output.
    pub output: Output,
    /// Its node in the ranges of outputs and proofs, counted from 0. The API counts from 1.
    pub position: u64,
    /// The block that made it.
    pub height: u64,
}

/// A kernel of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recorded {
    /// The kernel.
    pub kernel: Kernel,
    /// Its node in the range of kernels, counted from 0. The API counts from 1.
    pub position: u64,
    /// The block that holds it.
    pub height: u64,
}

/// The sums over a whole chain, by which no coin can appear from nowhere.
///
/// Rule: `BlockSums` of grin_core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Of all unspent outputs, without all rewards.
    pub unspent: Commitment,
    /// Of all excesses.
    pub kernels: Commitment,
}

/// A chain and the state after its last block.
///
/// `apply` trusts that the block's stateless half was found right by [`crate::check`]; what depends
/// on what came before, it checks itself.
#[derive(Clone, Debug)]
pub struct ChainState {
    rules: Rules,
    /// From the first block to the last.
    headers: Vec<Header>,
    header_mmr: Mountain,
    output_mmr: Mountain,
    proof_mmr: Mountain,
    kernel_mmr: Mountain,
    bitmap: Bitmap,
    unspent: BTreeMap<Commitment, Unspent>,
    /// The keys of `unspent` by position.
    positions: BTreeMap<u64, Commitment>,
    /// By excess: in the order of their blocks.
    kernels: BTreeMap<Commitment, Vec<Recorded>>,
    sums: Sums,
}

impl PartialEq for ChainState {
    fn eq(&self, other: &Self) -> bool {
        self.headers == other.headers
            && self.roots() == other.roots()
            && self.unspent == other.unspent
            && self.positions == other.positions
            && self.kernels == other.kernels
            && self.sums == other.sums
    }
}

impl Eq for ChainState {}

impl ChainState {
    /// The state after the first block, which is taken as it is. It must be empty: test chains pay no
    /// reward in their first block. See [`crate::genesis`].
    pub fn new(rules: Rules, genesis: &Block) -> Result<Self, Invalid> {
        let body = &genesis.body().0;
        if !body.outputs.is_empty() || !body.kernels.is_empty() || !body.inputs.is_empty() {
            return Err(Invalid::GenesisNotEmpty);
        }
        let mut state = Self {
            rules,
            headers: Vec::new(),
            header_mmr: Mountain::default(),
            output_mmr: Mountain::default(),
            proof_mmr: Mountain::default(),
            kernel_mmr: Mountain::default(),
            bitmap: Bitmap::default(),
            unspent: BTreeMap::new(),
            positions: BTreeMap::new(),
            kernels: BTreeMap::new(),
            sums: Sums {
                unspent: Commitment::ZERO,
                kernels: Commitment::ZERO,
            },
        };
        state.push_header(genesis.header());
        Ok(state)
    }

    /// By which rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The last block's header.
    #[must_use]
    pub fn tip(&self) -> &Header {
        self.headers.last().expect("there is a first block")
    }

    /// The header at `height`.
    #[must_use]
    pub fn header(&self, height: u64) -> Option<&Header> {
        self.headers.get(usize::try_from(height).ok()?)
    }

    /// Whether `header` is one of this chain's.
    #[must_use]
    pub fn holds(&self, header: &Header) -> bool {
        self.header(header.height()) == Some(header)
    }

    /// The headers from `height` down to the first one; all of them if it is above the last one.
    pub fn headers_from(&self, height: u64) -> impl DoubleEndedIterator<Item = &Header> + Clone {
        let count = usize::try_from(height).map_or(usize::MAX, |height| height.saturating_add(1));
        self.headers[..count.min(self.headers.len())].iter().rev()
    }

    /// The headers, newest first.
    pub fn ancestors(&self) -> impl DoubleEndedIterator<Item = Header> + Clone + '_ {
        self.headers.iter().rev().cloned()
    }

    /// What the next block must reach.
    #[must_use]
    pub fn next_target(&self) -> Target {
        difficulty::next_target(&self.rules, self.ancestors())
    }

    /// Whether `header` may follow the last one; `wall_secs` is our clock. See
    /// [`crate::check_header`].
    pub fn check_header(&self, header: &Header, wall_secs: i64) -> Result<(), HeaderFault> {
        difficulty::check_header(&self.rules, header, self.ancestors(), wall_secs)
    }

    /// The sums over the chain.
    #[must_use]
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// How many outputs are unspent.
    #[must_use]
    pub fn unspent_count(&self) -> usize {
        self.unspent.len()
    }

    /// The unspent output under `commitment`.
    #[must_use]
    pub fn unspent(&self, commitment: &Commitment) -> Option<&Unspent> {
        self.unspent.get(commitment)
    }

    /// The unspent outputs from a position on, ascending. Positions count from 0.
    pub fn unspent_from(&self, position: u64) -> impl Iterator<Item = &Unspent> {
        let found = self.positions.range(position..);
        found.filter_map(|(_, commitment)| self.unspent.get(commitment))
    }

    /// The newest kernel with this excess in blocks from `from` up to and including `to`.
    #[must_use]
    pub fn kernel(&self, excess: &Commitment, from: u64, to: u64) -> Option<&Recorded> {
        let found = self.kernels.get(excess)?.iter().rev();
        let mut within = found.filter(|it| (from..=to).contains(&it.height));
        within.next()
    }

    /// The hashes of the newest `count` leaves of the range of outputs, newest first; spent ones are
    /// left out, so there may be fewer.
    #[must_use]
    pub fn last_outputs(&self, count: usize) -> Vec<Hash> {
        self.last_unspent(&self.output_mmr, count)
    }

    /// Likewise of the range of proofs.
    #[must_use]
    pub fn last_proofs(&self, count: usize) -> Vec<Hash> {
        self.last_unspent(&self.proof_mmr, count)
    }

    /// Likewise of the range of kernels, none of which is ever spent.
    #[must_use]
    pub fn last_kernels(&self, count: usize) -> Vec<Hash> {
        let leaves = last_leaves(self.kernel_mmr.size(), count);
        leaves
            .filter_map(|(_, at)| self.kernel_mmr.hash(at))
            .collect()
    }

    fn last_unspent(&self, mountain: &Mountain, count: usize) -> Vec<Hash> {
        let leaves = last_leaves(mountain.size(), count);
        let unspent = leaves.filter(|(leaf, _)| self.bitmap.has(*leaf));
        unspent.filter_map(|(_, at)| mountain.hash(at)).collect()
    }

    /// That an unspent output is in the range of outputs as it was after `header`, which must be of
    /// this chain. The root it leads to is [`Self::output_root_after`]'s, which header version 3 and
    /// later hide in a merged one.
    #[must_use]
    pub fn merkle_proof(&self, commitment: &Commitment, header: &Header) -> Option<MerkleProof> {
        let found = self.unspent.get(commitment)?;
        let held = self.holds(header);
        held.then(|| {
            self.output_mmr
                .proof(found.position, header.output_mmr_size())
        })?
    }

    /// The root over all outputs as it was after `header`, without what is merged into it later.
    #[must_use]
    pub fn output_root_after(&self, header: &Header) -> Option<Hash> {
        let held = self.holds(header);
        held.then(|| self.output_mmr.root_at(header.output_mmr_size()))?
    }

    fn push_header(&mut self, header: &Header) {
        self.rules.enter();
        self.header_mmr.push(header.inner());
        self.headers.push(header.clone());
    }

    fn pop_header(&mut self) {
        self.headers.pop();
        let left = self.headers.len() as u64;
        self.header_mmr
            .truncate(pmmr::insertion_to_pmmr_index(left));
    }

    /// The height at which an excess with a relative lock occurred last.
    fn last_relative_lock(&self, excess: &Commitment) -> Option<u64> {
        let found = self.kernels.get(excess)?.iter().rev();
        let mut locked = found.filter(|it| it.kernel.inner().is_nrd());
        locked.next().map(|it| it.height)
    }

    /// Whether something is unspent at a position from `from` on and below `to`.
    #[must_use]
    pub fn any_unspent_between(&self, from: u64, to: u64) -> bool {
        let range = (Bound::Included(from), Bound::Excluded(to.max(from)));
        self.positions.range(range).next().is_some()
    }
}

/// Which output, counted from 0, has its leaf at a position.
fn leaf(position: u64) -> u64 {
    pmmr::n_leaves(position + 1) - 1
}

/// Numbers and positions of the last `count` leaves of a range, newest first.
fn last_leaves(size: u64, count: usize) -> impl Iterator<Item = (u64, u64)> {
    let leaves = pmmr::n_leaves(size);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let first = leaves.saturating_sub(count);
    let numbers = (first..leaves).rev();
    numbers.map(|leaf| (leaf, pmmr::insertion_to_pmmr_index(leaf)))
}
