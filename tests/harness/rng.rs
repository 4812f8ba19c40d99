//! Draws for generated tests: equal seeds, equal draws.

/// A stream of draws (SplitMix64).
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The stream of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// One of `choices`.
    pub const fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// True once in `n` times.
    pub const fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Up to `max` arbitrary bytes.
    pub fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.bits() as u8).collect()
    }

    /// 32 arbitrary bytes.
    pub fn array(&mut self) -> [u8; 32] {
        core::array::from_fn(|_| self.bits() as u8)
    }

    /// Up to `max` characters from all over Unicode, quotes and controls among them.
    pub fn text(&mut self, max: usize) -> String {
        let len = self.below(max + 1);
        (0..len).map(|_| self.character()).collect()
    }

    fn character(&mut self) -> char {
        let point = match self.below(8) {
            0 => self.below(0x20),
            1 => usize::from(*self.pick(b"\"\\/?&=;:%+")),
            2 => 0x80 + self.below(0x700),
            3 => 0x1_f300 + self.below(0x100),
            _ => 0x20 + self.below(0x5f),
        };
        char::from_u32(point as u32).unwrap_or('x')
    }
}
