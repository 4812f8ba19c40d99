//! A block's header: what it says, its hash, its bytes.

use core::fmt;
use std::sync::Arc;

use grin_core::core::hash::Hashed;
use grin_core::core::{BlockHeader, pmmr};
use grin_core::pow;

use crate::decode::{self, DecodeError, Format};
use crate::ids::{Hash, Offset};
use crate::rules::Rules;

/// A header that was decoded, and nothing more: its proof of work and its rules are
/// [`crate::check`]'s and [`crate::ChainState`]'s to judge. Clones share one value.
#[derive(Clone)]
pub struct Header(Arc<Inner>);

struct Inner {
    header: BlockHeader,
    hash: Hash,
    bytes: Vec<u8>,
}

impl Header {
    /// Reads a header. The graph of its proof of work has a size that this chain accepts.
    pub fn decode(rules: &Rules, bytes: &[u8]) -> Result<Self, DecodeError> {
        let header = decode::read(rules, Format::V3, bytes)?;
        Self::new(rules, header)
    }

    pub(crate) fn new(rules: &Rules, header: BlockHeader) -> Result<Self, DecodeError> {
        rules.enter();
        // Below the least size, arithmetic of the library would underflow.
        if !header.pow.is_primary() && !header.pow.is_secondary() {
            return Err(DecodeError::EdgeBits(header.pow.edge_bits()));
        }
        let bytes = decode::write(&header, Format::V3).expect("headers have no inputs");
        Ok(Self(Arc::new(Inner {
            hash: Hashed::hash(&header).into(),
            header,
            bytes,
        })))
    }

    pub(crate) fn inner(&self) -> &BlockHeader {
        &self.0.header
    }

    /// Its bytes, the same in every format.
    #[must_use]
    pub fn encode(&self) -> &[u8] {
        &self.0.bytes
    }

    /// The hash of the packed solution, which names the block.
    ///
    /// Headers that differ can have the same hash, as long as only one of them has a valid proof of
    /// work: compare with `==` where that was not checked.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.0.hash
    }

    /// Version, which follows from the height.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.0.header.version.0
    }

    /// How many blocks came before.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.0.header.height
    }

    /// The hash of the block before.
    #[must_use]
    pub fn previous(&self) -> Hash {
        self.0.header.prev_hash.into()
    }

    /// The root over all headers before.
    #[must_use]
    pub fn previous_root(&self) -> Hash {
        self.0.header.prev_root.into()
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.0.header.timestamp.timestamp()
    }

    /// The root over all outputs; from version 3 on merged with that over the unspent ones.
    #[must_use]
    pub fn output_root(&self) -> Hash {
        self.0.header.output_root.into()
    }

    /// The root over all range proofs.
    #[must_use]
    pub fn range_proof_root(&self) -> Hash {
        self.0.header.range_proof_root.into()
    }

    /// The root over all kernels.
    #[must_use]
    pub fn kernel_root(&self) -> Hash {
        self.0.header.kernel_root.into()
    }

    /// The sum of all kernel offsets up to and including this block's.
    #[must_use]
    pub fn total_kernel_offset(&self) -> Offset {
        Offset::from(&self.0.header.total_kernel_offset)
    }

    /// Nodes in the range of outputs, and in that of proofs.
    #[must_use]
    pub fn output_mmr_size(&self) -> u64 {
        self.0.header.output_mmr_size
    }

    /// Nodes in the range of kernels.
    #[must_use]
    pub fn kernel_mmr_size(&self) -> u64 {
        self.0.header.kernel_mmr_size
    }

    /// How many outputs there have ever been, as far as the header tells.
    #[must_use]
    pub fn output_count(&self) -> u64 {
        pmmr::n_leaves(self.output_mmr_size())
    }

    /// How many kernels there have ever been, as far as the header tells.
    #[must_use]
    pub fn kernel_count(&self) -> u64 {
        pmmr::n_leaves(self.kernel_mmr_size())
    }

    /// The work in the chain up to and including this block.
    #[must_use]
    pub fn total_difficulty(&self) -> u64 {
        self.0.header.pow.total_difficulty.to_num()
    }

    /// How solutions of the second kind are weighed; from version 5 on any number.
    #[must_use]
    pub fn secondary_scaling(&self) -> u32 {
        self.0.header.pow.secondary_scaling
    }

    /// What the miner counted up.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.0.header.pow.nonce
    }

    /// The graph has two to the power of this many edges.
    #[must_use]
    pub fn edge_bits(&self) -> u8 {
        self.0.header.pow.edge_bits()
    }

    /// The edges of the cycle, ascending.
    #[must_use]
    pub fn solution(&self) -> &[u64] {
        &self.0.header.pow.proof.nonces
    }

    pub(crate) fn is_secondary(&self) -> bool {
        self.0.header.pow.is_secondary()
    }

    /// The most difficulty that its solution reaches.
    pub(crate) fn difficulty_reached(&self, rules: &Rules) -> u64 {
        rules.enter();
        self.0.header.pow.to_difficulty(self.height()).to_num()
    }

    /// Whether its solution is a cycle in its graph.
    pub(crate) fn proves_work(&self, rules: &Rules) -> bool {
        rules.enter();
        pow::verify_size(&self.0.header).is_ok()
    }
}

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Header {}

impl core::hash::Hash for Header {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.0.bytes);
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({}, {:?})", self.height(), self.hash())
    }
}
