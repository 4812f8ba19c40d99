//! A hash map that cannot be iterated. What cannot iterate cannot leak an order.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash, Hasher};

/// Finds values by key in constant time; offers no way to walk over them.
///
/// Hashing is seeded per node, so that strangers who choose keys cannot choose collisions.
#[derive(Clone)]
pub struct Lookup<K, V> {
    #[expect(clippy::disallowed_types, reason = "here its order stays hidden")]
    map: hashbrown::HashMap<K, V, Secret>,
}

impl<K, V> core::fmt::Debug for Lookup<K, V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Lookup({} entries)", self.map.len())
    }
}

impl<K: Eq + Hash, V> Lookup<K, V> {
    /// An empty map whose hashing depends on `seed`.
    #[must_use]
    #[expect(clippy::disallowed_types, reason = "here its order stays hidden")]
    pub fn new(seed: u64) -> Self {
        Self {
            map: hashbrown::HashMap::with_hasher(Secret::new(seed)),
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The value under `key`.
    #[must_use]
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.map.contains_key(key)
    }

    /// Puts `value` under `key` and returns what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.map.insert(key, value)
    }

    /// Takes the value under `key` out.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.map.remove(key)
    }
}

/// What strangers do not know of a table's hashing.
#[derive(Clone, Copy)]
struct Secret {
    start: u64,
    mask: u64,
}

impl Secret {
    fn new(seed: u64) -> Self {
        // The constants have no meaning but to make two words of one.
        Self {
            start: fold(seed ^ 0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9),
            mask: fold(seed ^ 0x4b33_a62e_d433_d4a3, 0x4d5a_2da5_1de1_aa47),
        }
    }
}

impl BuildHasher for Secret {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding {
            state: self.start,
            mask: self.mask,
        }
    }
}

/// One multiplication for sixteen bytes, of which both factors are secret: a factor that a stranger
/// could make zero would let him choose what collides.
struct Folding {
    state: u64,
    mask: u64,
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<16>();
        for chunk in whole {
            self.write_u128(u128::from_le_bytes(*chunk));
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u128(u128::from_le_bytes(last));
        self.write_u64(bytes.len() as u64);
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.state = fold(self.state ^ value, self.mask);
    }

    fn write_u128(&mut self, value: u128) {
        let (low, high) = (value as u64, (value >> 64) as u64);
        self.state = fold(self.state ^ low, self.mask ^ high);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

/// Both halves of the product, one over the other.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many keys the fullest of 4,096 buckets holds.
    fn fullest(keys: impl Iterator<Item = [u8; 32]>) -> usize {
        let secret = Secret::new(7);
        let mut buckets = vec![0_usize; 4096];
        for key in keys {
            let hash = secret.hash_one(key);
            buckets[hash as usize % 4096] += 1;
        }
        buckets.into_iter().max().unwrap_or(0)
    }

    #[test]
    fn keys_that_differ_anywhere_spread() {
        for place in 0..30 {
            let keys = (0..4096_u16).map(|number| {
                let mut key = [0xa5; 32];
                key[place..place + 2].copy_from_slice(&number.to_le_bytes());
                key
            });
            let fullest = fullest(keys);
            assert!(fullest < 16, "{fullest} keys in one bucket at {place}");
        }
    }

    #[test]
    fn numbers_in_a_row_spread() {
        let secret = Secret::new(7);
        let mut buckets = vec![0_usize; 4096];
        for number in 0..4096_u64 {
            buckets[secret.hash_one(number) as usize % 4096] += 1;
        }
        assert!(buckets.into_iter().max() < Some(16));
    }

    #[test]
    fn lengths_and_seeds_tell_apart() {
        let hash = |seed, bytes: &[u8]| Secret::new(seed).hash_one(bytes);
        assert_ne!(hash(1, b"a"), hash(1, b"a\0"));
        assert_ne!(hash(1, b"a"), hash(2, b"a"));
    }
}
