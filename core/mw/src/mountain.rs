//! A Merkle mountain range in memory: hashes only, appended at the end, cut off at the end.
//!
//! Positions count nodes from 0 in the order of their making, leaves and parents alike. Because nodes
//! never change, a range of an older size is still in it: its root and its proofs can be made.

use grin_core::core::hash::Hash as GrinHash;
use grin_core::core::pmmr;
use grin_core::ser::PMMRIndexHashable;

use crate::ids::Hash;
use crate::limits;

/// The hashes of one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mountain {
    hashes: Vec<Hash>,
}

impl Mountain {
    /// How many nodes there are.
    pub(crate) fn size(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// The hash at `position`.
    pub(crate) fn hash(&self, position: u64) -> Option<Hash> {
        let index = usize::try_from(position).ok()?;
        self.hashes.get(index).copied()
    }

    /// Appends a leaf and the parents it completes; tells the leaf's position.
    pub(crate) fn push(&mut self, leaf: &impl PMMRIndexHashable) -> u64 {
        let hash = leaf.hash_with_index(self.size());
        self.push_hash(hash.into())
    }

    /// Appends a leaf of which there is only the hash.
    pub(crate) fn push_hash(&mut self, leaf: Hash) -> u64 {
        let position = self.size();
        let (peaks, height) = pmmr::peak_map_height(position);
        debug_assert_eq!(height, 0, "a range ends where a leaf may begin");
        let mut node = GrinHash::from(leaf);
        self.hashes.push(leaf);
        // Each peak of the same height to the left becomes this node's sibling.
        let mut span = 1;
        while peaks & span != 0 {
            let at = self.size();
            let left = self.hash(at - 2 * span).expect("a peak is below the end");
            node = (GrinHash::from(left), node).hash_with_index(at);
            self.hashes.push(node.into());
            span *= 2;
        }
        position
    }

    /// Cuts off everything from `size` on.
    pub(crate) fn truncate(&mut self, size: u64) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.hashes.truncate(size);
    }

    /// The root of all; zero if there is nothing.
    pub(crate) fn root(&self) -> Hash {
        self.root_at(self.size())
            .expect("its own size is one it has had")
    }

    /// The root as it was when there were `size` nodes; nothing for sizes it never had.
    pub(crate) fn root_at(&self, size: u64) -> Option<Hash> {
        if size == 0 {
            return Some(Hash::ZERO);
        }
        self.bag(size, pmmr::peaks(size))
    }

    /// Hashes peaks together from the right, in a range of `size`.
    fn bag(&self, size: u64, peaks: Vec<u64>) -> Option<Hash> {
        let mut bagged: Option<GrinHash> = None;
        for peak in peaks.into_iter().rev() {
            let peak = GrinHash::from(self.hash(peak)?);
            bagged = Some(match bagged {
                None => peak,
                Some(right) => (peak, right).hash_with_index(size),
            });
        }
        bagged.map(Hash::from)
    }

    /// The proof that the leaf at `position` is in the range as it was at `size`.
    pub(crate) fn proof(&self, position: u64, size: u64) -> Option<MerkleProof> {
        if position >= size || size > self.size() || !pmmr::is_leaf(position) {
            return None;
        }
        let branch = pmmr::family_branch(position, size);
        let mut path = Vec::new();
        for (_, sibling) in &branch {
            path.push(self.hash(*sibling)?);
        }
        let peak = branch.last().map_or(position, |(parent, _)| *parent);
        let peaks = pmmr::peaks(size);
        let right = peaks.iter().copied().filter(|it| *it > peak).collect();
        path.extend(self.bag(size, right));
        for left in peaks.into_iter().rev().filter(|it| *it < peak) {
            path.push(self.hash(left)?);
        }
        Some(MerkleProof { size, path })
    }
}

/// That a leaf is in a Merkle mountain range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MerkleProof {
    /// How many nodes the range had.
    pub size: u64,
    /// Siblings from the leaf up to its peak, then the other peaks: those to the right bagged into
    /// one, those to the left from right to left.
    pub path: Vec<Hash>,
}

impl MerkleProof {
    /// As nodes write it: size and length of the path as big-endian 64-bit numbers, then the path.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 32 * self.path.len());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend((self.path.len() as u64).to_be_bytes());
        bytes.extend(self.path.iter().flat_map(|hash| hash.0));
        bytes
    }

    /// Whether it leads from the leaf at `position` to `root`.
    #[must_use]
    pub fn leads(&self, root: Hash, leaf: &crate::Output, position: u64) -> bool {
        if self.path.len() > limits::MERKLE_PATH_MAX || position >= self.size {
            return false;
        }
        let proof = grin_core::core::merkle_proof::MerkleProof {
            mmr_size: self.size,
            path: self.path.iter().copied().map(GrinHash::from).collect(),
        };
        proof
            .verify(root.into(), leaf.identifier(), position)
            .is_ok()
    }
}
