//! The search for a proof of work, in steps that the caller chooses and between which it may stop.

use core::fmt;

use grin_core::core::hash::Hashed;
use grin_core::{global, pow};

use crate::block::Block;
use crate::ids::Hash;
use crate::rules::Rules;
use crate::state::propose::{self, Draft};

/// Searches the nonces of a draft, upwards from one given.
#[derive(Clone)]
pub struct Miner {
    draft: Draft,
}

impl Miner {
    /// A search that begins at `nonce`. Equal drafts and nonces find equal blocks.
    #[must_use]
    pub fn new(draft: Draft, nonce: u64) -> Self {
        let mut draft = draft;
        draft.header.pow.nonce = nonce;
        Self { draft }
    }

    /// The nonce that is tried next.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.draft.header.pow.nonce
    }

    /// A hash of everything that the search reads, by which its results may be remembered.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let draft = &self.draft;
        draft.rules.enter();
        let mut bytes = draft.header.pre_pow();
        bytes.extend(self.nonce().to_be_bytes());
        bytes.extend(draft.target.difficulty.to_be_bytes());
        // The body is in the roots of the header.
        Hashed::hash(&bytes).into()
    }

    /// Tries up to `attempts` nonces, about 60 µs each on the automated-testing chain and some 2 ms on
    /// the user-testing one. Gives the block as soon as there is one.
    ///
    /// Rule: `pow_size` of grin_core, which stops only when it has found.
    pub fn search(&mut self, attempts: u32) -> Option<Block> {
        let rules = self.draft.rules;
        rules.enter();
        let (edge_bits, proof_size) = (global::min_edge_bits(), global::proofsize());
        for _ in 0..attempts {
            let header = &mut self.draft.header;
            if let Some(proof) = cycle(header, edge_bits, proof_size) {
                header.pow.proof = proof;
                let reached = header.pow.to_difficulty(header.height).to_num();
                if reached >= self.draft.target.difficulty {
                    let header = header.clone();
                    return Some(propose::finish(&self.draft, header));
                }
            }
            header.pow.nonce = header.pow.nonce.wrapping_add(1);
        }
        None
    }
}

impl fmt::Debug for Miner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Miner(height {}, nonce {})",
            self.draft.height(),
            self.nonce()
        )
    }
}

/// The first cycle in the graph of this header and nonce.
fn cycle(
    header: &grin_core::core::BlockHeader,
    edge_bits: u8,
    proof_size: usize,
) -> Option<pow::Proof> {
    let context =
        global::create_pow_context::<u32>(header.height, edge_bits, proof_size, CYCLES_MAX);
    let mut context = context.ok()?;
    context
        .set_header_nonce(header.pre_pow(), None, true)
        .ok()?;
    context.find_cycles().ok()?.into_iter().next()
}

/// Cycles kept of one graph; the first is used.
const CYCLES_MAX: u32 = 10;

/// The first block of a chain: empty, dated 4 August 1997, mined from nonce 0. Takes a moment on the
/// user-testing chain.
///
/// Rule: `mine_genesis_block` of grin_core.
///
/// # Panics
///
/// If the library finds no block, which it does for every chain of this crate.
#[must_use]
pub fn genesis(rules: &Rules) -> Block {
    rules.enter();
    let block = pow::mine_genesis_block().expect("there is a cycle");
    let header = crate::header::Header::new(rules, block.header).expect("with our own edge bits");
    let block = Block::assemble(header, block.body);
    debug_assert_eq!(block.header().previous(), Hash::ZERO);
    block
}
