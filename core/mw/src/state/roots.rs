//! The roots of a state, and how headers hold them.

use grin_core::core::hash::{Hash as GrinHash, Hashed};
use grin_core::ser::PMMRIndexHashable;

use super::ChainState;
use crate::ids::Hash;

/// All roots of a state, and the sizes that belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Over all headers, the last one included: the next header's `previous_root`.
    pub headers: Hash,
    /// Over all outputs ever made.
    pub outputs: Hash,
    /// Over which of them are unspent.
    pub bitmap: Hash,
    /// Over their range proofs.
    pub range_proofs: Hash,
    /// Over all kernels.
    pub kernels: Hash,
    /// Nodes in the ranges of outputs and of proofs.
    pub output_mmr_size: u64,
    /// Nodes in the range of kernels.
    pub kernel_mmr_size: u64,
}

impl Roots {
    /// The root of outputs that a header of this version holds: from version 3 on that of outputs and
    /// the bitmap's hashed together with the size.
    ///
    /// Rule: `TxHashSetRoots::output_root` of grin_chain.
    #[must_use]
    pub fn output_root(&self, version: u16) -> Hash {
        if version < 3 {
            return self.outputs;
        }
        let both = (GrinHash::from(self.outputs), GrinHash::from(self.bitmap));
        both.hash_with_index(self.output_mmr_size).into()
    }
}

impl ChainState {
    /// The roots after the last block.
    #[must_use]
    pub fn roots(&self) -> Roots {
        Roots {
            headers: self.header_mmr.root(),
            outputs: self.output_mmr.root(),
            bitmap: self.bitmap.root(),
            range_proofs: self.proof_mmr.root(),
            kernels: self.kernel_mmr.root(),
            output_mmr_size: self.output_mmr.size(),
            kernel_mmr_size: self.kernel_mmr.size(),
        }
    }

    /// One hash of everything a state decides by. States that are equal have equal digests.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let roots = self.roots();
        let mut bytes = Vec::with_capacity(7 * 33);
        for root in [
            roots.headers,
            roots.outputs,
            roots.bitmap,
            roots.range_proofs,
            roots.kernels,
        ] {
            bytes.extend(root.0);
        }
        bytes.extend(self.sums.unspent.0);
        bytes.extend(self.sums.kernels.0);
        Hashed::hash(&bytes).into()
    }
}
