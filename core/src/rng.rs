//! Where every random draw comes from: one 32-byte seed, split into streams.
//!
//! Each room has its own stream, so that a draw more in one room shifts nothing in another.
//! Secrets come from a generator of their own.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// The 32 bytes from which a node draws everything. Production takes them from the operating
/// system at each start, a simulator derives them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Seed {
    /// An independent seed for `domain`.
    #[must_use]
    pub fn derive(&self, domain: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"peerage seed\0");
        hash.update(self.0);
        hash.update(domain.as_bytes());
        Self(hash.finalize().into())
    }

    /// The stream of draws for `domain`.
    #[must_use]
    pub fn stream(&self, domain: &str) -> Stream {
        Stream(ChaCha8Rng::from_seed(self.derive(domain).0))
    }
}

/// One stream of draws. Draws are integers only: floating-point functions differ between machines.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// A stream of its own, for secrets: what it gives tells nothing of the draws of this one, nor
    /// these of it.
    #[must_use]
    pub fn split(&mut self) -> Self {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        Self(ChaCha8Rng::from_seed(Seed(seed).derive("split").0))
    }

    /// Fills `bytes` with random bits.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`, every one as likely as the next; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Lemire's multiply-and-shift; the bias is below 2^-32 for the bounds used here, and the
        // rejection loop makes it exact.
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.bits()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// An index into something of length `len`; zero if it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number in `low..high`; `low` if the range is empty.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low))
    }

    /// True `per_million` times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < u64::from(per_million)
    }

    /// A number from a bell curve around `mean`, cut off at zero.
    ///
    /// The sum of twelve uniform draws has variance one: close enough for pauses, and exact
    /// integer arithmetic on every machine.
    pub fn bell(&mut self, mean: u64, deviation: u64) -> u64 {
        let sum: u64 = (0..6)
            .map(|_| {
                let bits = self.bits();
                (bits & 0xffff_ffff) + (bits >> 32)
            })
            .sum();
        let centred = i128::from(sum) - 6 * (1i128 << 32);
        let offset = (centred * i128::from(deviation)) >> 32;
        u64::try_from(i128::from(mean) + offset).unwrap_or(0)
    }
}
