//! Which outputs are unspent, as a root: a Merkle mountain range over chunks of 1,024 bits.
//!
//! Bit n stands for the n-th output ever made. There is no chunk after the last one with a bit in it;
//! empty chunks before it are leaves like any other. A block's newest output is always unspent, so
//! after any block the last chunk is that of the last output.
//!
//! Rule: `BitmapAccumulator` of grin_chain.

use grin_core::core::pmmr;

use crate::ids::Hash;
use crate::mountain::Mountain;

const CHUNK_BYTES: usize = 128;
const CHUNK_BITS: u64 = 1024;

type Chunk = [u8; CHUNK_BYTES];

/// The bits and the range over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bitmap {
    chunks: Vec<Chunk>,
    mountain: Mountain,
}

impl Bitmap {
    /// Sets and clears bits, then hashes again from the first chunk touched. A bit may be in one of
    /// the two only.
    pub(crate) fn change(
        &mut self,
        set: impl IntoIterator<Item = u64>,
        clear: impl IntoIterator<Item = u64>,
    ) {
        let mut first = usize::MAX;
        for bit in set {
            let (chunk, byte, mask) = place(bit);
            first = first.min(chunk);
            if self.chunks.len() <= chunk {
                // Chunks that appear between here and there are new as well.
                first = first.min(self.chunks.len());
                self.chunks.resize(chunk + 1, [0; CHUNK_BYTES]);
            }
            self.chunks[chunk][byte] |= mask;
        }
        for bit in clear {
            let (chunk, byte, mask) = place(bit);
            if let Some(chunk_bytes) = self.chunks.get_mut(chunk) {
                first = first.min(chunk);
                chunk_bytes[byte] &= !mask;
            }
        }
        if first != usize::MAX {
            self.rehash(first);
        }
    }

    fn rehash(&mut self, first: usize) {
        while self
            .chunks
            .last()
            .is_some_and(|chunk| *chunk == [0; CHUNK_BYTES])
        {
            self.chunks.pop();
        }
        let kept = first.min(self.chunks.len());
        self.mountain
            .truncate(pmmr::insertion_to_pmmr_index(kept as u64));
        for chunk in &self.chunks[kept..] {
            self.mountain.push(&chunk.to_vec());
        }
    }

    /// Whether the n-th output is unspent.
    pub(crate) fn has(&self, bit: u64) -> bool {
        let (chunk, byte, mask) = place(bit);
        let found = self.chunks.get(chunk);
        found.is_some_and(|chunk| chunk[byte] & mask != 0)
    }

    /// The root over all chunks; zero if there is none.
    pub(crate) fn root(&self) -> Hash {
        self.mountain.root()
    }
}

/// Chunk, byte in it and bit in that: the first bit is a byte's highest.
fn place(bit: u64) -> (usize, usize, u8) {
    let chunk = usize::try_from(bit / CHUNK_BITS).unwrap_or(usize::MAX);
    let within = bit % CHUNK_BITS;
    let byte = (within / 8) as usize;
    (chunk, byte, 0x80 >> (within % 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_scratch(bits: &[u64]) -> Bitmap {
        let mut bitmap = Bitmap::default();
        bitmap.change(bits.iter().copied(), []);
        bitmap
    }

    #[test]
    fn changes_lead_to_the_same_root_as_building_anew() {
        let mut bitmap = from_scratch(&[0, 1, 5, 1023, 1024, 5000]);
        bitmap.change([2047], [1, 1024]);
        assert_eq!(bitmap, from_scratch(&[0, 5, 1023, 2047, 5000]));
        bitmap.change([], [5000]);
        assert_eq!(bitmap, from_scratch(&[0, 5, 1023, 2047]));
        bitmap.change([5000], [0, 5, 1023]);
        assert_eq!(bitmap, from_scratch(&[2047, 5000]));
        assert!(bitmap.has(2047) && !bitmap.has(0) && !bitmap.has(u64::MAX));
    }

    #[test]
    fn without_any_bit_the_root_is_zero() {
        let mut bitmap = from_scratch(&[3]);
        assert_ne!(bitmap.root(), Hash::ZERO);
        bitmap.change([], [3]);
        assert_eq!(bitmap.root(), Hash::ZERO);
    }
}
