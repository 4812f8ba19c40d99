//! A running fold of 64 bits: cheap enough to be always on, equal on every machine.
//!
//! Not cryptographic. It tells two runs apart, and that is all it is for.

use std::hash::Hasher;

/// The fold, as a hasher for whatever can be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fold(u64);

const K: u64 = 0x9fb2_1c65_1e98_df25;

impl Default for Fold {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Fold {
    /// Takes in one word.
    #[inline]
    pub const fn word(&mut self, word: u64) {
        // The sum keeps a zero product from swallowing what came before.
        let wide = (self.0 ^ word) as u128 * K as u128;
        self.0 = (wide as u64 ^ (wide >> 64) as u64).wrapping_add(word.rotate_left(32) ^ K);
    }
}

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        let mut last = *self;
        last.word(K);
        last.0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().unwrap_or_default()));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
        }
    }

    #[inline]
    fn write_u8(&mut self, word: u8) {
        self.word(word.into());
    }

    #[inline]
    fn write_u16(&mut self, word: u16) {
        self.word(word.into());
    }

    #[inline]
    fn write_u32(&mut self, word: u32) {
        self.word(word.into());
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.word(word);
    }

    #[inline]
    fn write_usize(&mut self, word: usize) {
        self.word(word as u64);
    }

    // Signed numbers and the discriminants of enums arrive here; all widths give one word.
    #[inline]
    fn write_i64(&mut self, word: i64) {
        self.word(word as u64);
    }

    #[inline]
    fn write_isize(&mut self, word: isize) {
        self.word(word as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hash as _;

    #[test]
    fn the_fold_of_known_words_stays_what_it_is() {
        let mut fold = Fold::default();
        for word in [0, 1, u64::MAX] {
            fold.word(word);
        }
        "peerage".hash(&mut fold);
        (-3_i64, Some(4_u8)).hash(&mut fold);
        assert_eq!(format!("{:016x}", fold.finish()), "7284f9953c83f541");
    }
}
