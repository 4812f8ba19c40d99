//! A hash map that cannot be iterated. What cannot iterate cannot leak an order.

use core::borrow::Borrow;
use core::hash::Hash;
use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// Finds values by key in constant time; offers no way to walk over them.
///
/// Hashing is seeded per node, so that strangers who choose keys cannot choose collisions.
#[derive(Clone)]
pub struct Lookup<K, V> {
    #[expect(clippy::disallowed_types, reason = "here its order stays hidden")]
    map: hashbrown::HashMap<K, V, SeedableRandomState>,
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
        let state = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        Self {
            map: hashbrown::HashMap::with_hasher(state),
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
