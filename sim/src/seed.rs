//! Where every draw of a world comes from: one number, split by domain and node.
//!
//! Each (domain, node) has a stream of its own, so that a draw more in one place shifts nothing
//! elsewhere: a node more, a fault less, and the rest of the run keeps its luck. That is also what
//! makes shrinking a failing run stable.

use peerage_core::Seed;
use peerage_core::rng::Stream;

/// All seeds of one world.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    root: Seed,
}

impl Seeds {
    /// The seeds of the world with this number.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut root = [0; 32];
        root[..8].copy_from_slice(&seed.to_le_bytes());
        Self { root: Seed(root) }
    }

    /// The seed that a node is given when it starts for the `incarnation`-th time.
    #[must_use]
    pub fn node(&self, node: u32, incarnation: u32) -> Seed {
        self.root
            .derive(&format!("node {node} incarnation {incarnation}"))
    }

    /// 32 bytes that belong to a node for good.
    #[must_use]
    pub fn identity(&self, node: u32) -> [u8; 32] {
        self.root.derive(&format!("identity {node}")).0
    }

    /// The same, once they have been replaced this many times.
    #[must_use]
    pub fn identity_after(&self, node: u32, times: u32) -> [u8; 32] {
        self.root
            .derive(&format!("identity {node} after {times}"))
            .0
    }

    /// A cryptographic stream, for the few draws that happen once per world.
    #[must_use]
    pub fn stream(&self, domain: &str) -> Stream {
        self.root.stream(domain)
    }

    /// The small streams of `domain`, one for each number.
    #[must_use]
    pub fn family(&self, domain: &str) -> Family {
        let bytes = self.root.derive(domain).0;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Family([word(0), word(8), word(16), word(24)])
    }
}

/// Small streams of one domain, told apart by a number.
#[derive(Clone, Copy, Debug)]
pub struct Family([u64; 4]);

impl Family {
    /// The stream with this number.
    #[must_use]
    pub fn luck(&self, number: u64) -> Luck {
        let mut state = self.0;
        let mut salt = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        for word in &mut state {
            *word ^= mix(&mut salt);
        }
        // Four zero words would stay zero for ever.
        state[0] |= u64::from(state == [0; 4]);
        let mut luck = Luck(state);
        for _ in 0..4 {
            luck.bits();
        }
        luck
    }
}

/// SplitMix64, the seeding function that the authors of xoshiro recommend.
const fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A small stream of draws: xoshiro256++, 32 bytes, because a world has several for each node.
#[derive(Clone, Debug)]
pub struct Luck([u64; 4]);

impl Luck {
    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c2, d2) = (c ^ a, d ^ b);
        self.0 = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        drawn
    }

    /// A number in `0..bound`; zero if `bound` is zero. The bias is below `bound` / 2⁶⁴.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// A number in `low..high`; `low` if the range is empty.
    pub const fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// An index into something of length `len`; zero if it is empty.
    pub const fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// True `per_million` times in a million. No draw is made for an impossible thing.
    pub const fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < per_million as u64
    }

    /// A pause around `mean`: uniform between half and one and a half of it.
    pub const fn around(&mut self, mean: u64) -> u64 {
        self.range(mean / 2, mean + mean / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_family_have_nothing_in_common() {
        let family = Seeds::new(7).family("network");
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..2_000 {
            let mut luck = family.luck(number);
            for _ in 0..8 {
                assert!(seen.insert(luck.bits()), "a draw came twice");
            }
        }
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut luck = Seeds::new(1).family("test").luck(0);
        let mut counts = [0_u32; 10];
        for _ in 0..100_000 {
            counts[luck.index(10)] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        let hits = (0..100_000).filter(|_| luck.chance(250_000)).count();
        assert!((24_000..26_000).contains(&hits), "{hits}");
    }
}
