//! What is dear to make and depends on nothing but its name: made once for all worlds of a process.
//!
//! Whether something was made before shows in no run, only in its speed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Values by the names that decide them.
#[derive(Debug)]
pub(crate) struct Once<K, V> {
    made: Mutex<BTreeMap<K, V>>,
    max: usize,
}

impl<K: Ord, V: Clone> Once<K, V> {
    /// Nothing so far; of `max` values that are kept the room is never larger.
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            made: Mutex::new(BTreeMap::new()),
            max,
        }
    }

    /// The value of this name, made if it is not kept.
    pub(crate) fn get(&self, name: K, make: impl FnOnce() -> V) -> V {
        let kept = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = kept().get(&name) {
            return made.clone();
        }
        // Others go on while it is made; two may make the same.
        let made = make();
        let mut all = kept();
        if all.len() < self.max {
            all.insert(name, made.clone());
        }
        made
    }
}
