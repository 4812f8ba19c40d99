//! One chain's pending commands, the log of recent insertions, and the two lists of what is never
//! taken (again). Rules: Chainweb, `Mempool/InMem.hs`. No eviction: a full pool drops what comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::command::Command;
use super::insert::InsertError;
use super::key::TxHash;
use super::types::Mark;
use crate::limits::{BAD_MAX, Limits, MINED_MAX};
use crate::lookup::Lookup;
use crate::rng::Stream;

/// A pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    nonce: i64,
    /// How many insertions there were.
    inserted: u64,
    /// The newest insertions, oldest first; all of one batch have one number.
    recent: VecDeque<(u64, TxHash)>,
    /// How many of them are kept.
    recent_max: usize,
    entries: Vec<Entry>,
    places: Lookup<TxHash, usize>,
    bytes: usize,
    bytes_max: usize,
    entries_max: usize,
    /// Nothing expires before.
    expires_first_us: u64,
    /// Mined commands, by the time until which they must be remembered.
    mined: Remembered,
    /// Commands that failed in a block.
    bad: Remembered,
}

#[derive(Clone, Debug)]
struct Entry {
    hash: TxHash,
    command: Arc<Command>,
    /// The number of its newest insertion.
    number: u64,
}

/// What became of a valid command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// The pool is full.
    Dropped,
    /// It was not pending before.
    Fresh,
    /// It was pending, and is announced again.
    Repeated,
    /// It was pending with other signatures, and is announced again.
    Resigned,
}

impl Pool {
    pub(super) fn new(rng: &mut Stream, limits: &Limits) -> Self {
        Self {
            nonce: rng.bits().cast_signed(),
            inserted: 0,
            recent: VecDeque::new(),
            recent_max: limits.recent_log_max,
            entries: Vec::new(),
            places: Lookup::new(rng.bits()),
            bytes: 0,
            bytes_max: limits.pool_bytes_max,
            entries_max: limits.pool_max,
            expires_first_us: u64::MAX,
            mined: Remembered::default(),
            bad: Remembered::default(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, hash: &TxHash) -> bool {
        self.places.contains(hash)
    }

    pub(super) fn get(&self, hash: &TxHash) -> Option<&Arc<Command>> {
        self.places
            .get(hash)
            .map(|place| &self.entries[*place].command)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TxHash, &Arc<Command>)> {
        self.entries
            .iter()
            .map(|entry| (entry.hash, &entry.command))
    }

    /// What is pending and not among `hashes`.
    pub(super) fn without(&self, hashes: &[TxHash]) -> Vec<TxHash> {
        let mut named = vec![false; self.entries.len()];
        for place in hashes.iter().filter_map(|hash| self.places.get(hash)) {
            named[*place] = true;
        }
        self.entries
            .iter()
            .zip(named)
            .filter(|(_, named)| !named)
            .map(|(entry, _)| entry.hash)
            .collect()
    }

    /// What is pending, or what was inserted since a mark and is still pending. A mark of another
    /// run, from the future, or older than the log counts as none. Rule: Chainweb, `getPending`.
    pub(super) fn pending_since(&self, since: Option<Mark>) -> (Vec<TxHash>, Mark) {
        let inserted = self.inserted.cast_signed();
        let mark = Mark {
            nonce: self.nonce,
            since: inserted,
        };
        let valid = since.filter(|since| {
            since.nonce == self.nonce
                && since.since > inserted.saturating_sub(self.recent_max as i64)
                && since.since <= inserted
        });
        let Some(since) = valid else {
            return (self.entries.iter().map(|entry| entry.hash).collect(), mark);
        };
        let news = self
            .recent
            .iter()
            .rev()
            .take_while(|(number, _)| number.cast_signed() >= since.since)
            // A command that was inserted again is told of once, where it came last.
            .filter(|(number, hash)| {
                self.places
                    .get(hash)
                    .is_some_and(|place| self.entries[*place].number == *number)
            })
            .map(|(_, hash)| *hash)
            .collect();
        (news, mark)
    }

    /// Steps 6 and 7 of the insert pipeline: neither mined nor bad-listed.
    pub(super) fn check_history(&self, command: &Command, now_us: u64) -> Result<(), InsertError> {
        let Some(hash) = command.key().full() else {
            return Ok(());
        };
        if self.mined.holds(&hash, now_us) {
            return Err(InsertError::Duplicate);
        }
        if self.bad.holds(&hash, now_us) {
            return Err(InsertError::Badlisted);
        }
        Ok(())
    }

    /// Stores a validated batch: as many of the first as there is room for when it arrives.
    pub(super) fn store(
        &mut self,
        batch: Vec<Arc<Command>>,
    ) -> Vec<(TxHash, Arc<Command>, Stored)> {
        let number = self.inserted;
        let mut room = self.entries_max.saturating_sub(self.entries.len());
        let mut outcome = Vec::with_capacity(batch.len());
        for command in batch {
            let Some(hash) = command.key().full() else {
                continue;
            };
            if room == 0 || self.bytes + command.byte_size() > self.bytes_max {
                outcome.push((hash, command, Stored::Dropped));
                continue;
            }
            room -= 1;
            self.inserted += 1;
            let stored = self.keep(hash, &command, number);
            outcome.push((hash, command, stored));
        }
        outcome
    }

    fn keep(&mut self, hash: TxHash, command: &Arc<Command>, number: u64) -> Stored {
        self.bytes += command.byte_size();
        self.expires_first_us = self.expires_first_us.min(command.expires_at_micros());
        let entry = Entry {
            hash,
            command: command.clone(),
            number,
        };
        let stored = match self.places.get(&hash) {
            Some(place) => {
                let before = std::mem::replace(&mut self.entries[*place], entry);
                self.bytes -= before.command.byte_size();
                let stored = if before.command.digest() == command.digest() {
                    Stored::Repeated
                } else {
                    Stored::Resigned
                };
                if before.number == number {
                    return stored; // twice in one batch: the log has it
                }
                stored
            }
            None => {
                self.places.insert(hash, self.entries.len());
                self.entries.push(entry);
                Stored::Fresh
            }
        };
        self.recent.push_back((number, hash));
        if self.recent.len() > self.recent_max {
            self.recent.pop_front();
        }
        stored
    }

    /// Takes out what has expired.
    pub(super) fn prune(&mut self, now_us: u64) -> Vec<TxHash> {
        self.mined.prune(now_us);
        self.bad.prune(now_us);
        if now_us < self.expires_first_us {
            return Vec::new();
        }
        let mut expired = Vec::new();
        self.expires_first_us = u64::MAX;
        for entry in &self.entries {
            let expires_us = entry.command.expires_at_micros();
            if expires_us <= now_us {
                expired.push(entry.hash);
            } else {
                self.expires_first_us = self.expires_first_us.min(expires_us);
            }
        }
        for hash in &expired {
            self.remove(hash);
        }
        expired
    }

    /// A block holds the command: it leaves the pool and is not taken again while it could be.
    #[cfg_attr(not(test), expect(dead_code, reason = "called once there is a ledger"))]
    pub(super) fn mined(&mut self, hash: TxHash, expires_us: u64) {
        self.remove(&hash);
        self.mined.add(hash, expires_us, MINED_MAX);
    }

    /// The command failed in a block: it leaves the pool and is not taken again for a while.
    #[cfg_attr(not(test), expect(dead_code, reason = "called once there is a ledger"))]
    pub(super) fn failed(&mut self, hash: TxHash, until_us: u64) {
        self.remove(&hash);
        self.bad.add(hash, until_us, BAD_MAX);
    }

    fn remove(&mut self, hash: &TxHash) {
        let Some(place) = self.places.remove(hash) else {
            return;
        };
        let entry = self.entries.swap_remove(place);
        self.bytes -= entry.command.byte_size();
        if let Some(moved) = self.entries.get(place) {
            self.places.insert(moved.hash, place);
        }
    }
}

/// Hashes that are remembered for a time; the one to be forgotten first leaves when it is full.
#[derive(Clone, Debug, Default)]
struct Remembered {
    until: BTreeMap<TxHash, u64>,
    by_time: std::collections::BTreeSet<(u64, TxHash)>,
}

impl Remembered {
    fn holds(&self, hash: &TxHash, now_us: u64) -> bool {
        self.until.get(hash).is_some_and(|until| now_us < *until)
    }

    fn add(&mut self, hash: TxHash, until_us: u64, max: usize) {
        if let Some(before) = self.until.insert(hash, until_us) {
            self.by_time.remove(&(before, hash));
        }
        self.by_time.insert((until_us, hash));
        if self.until.len() > max
            && let Some((_, first)) = self.by_time.pop_first()
        {
            self.until.remove(&first);
        }
    }

    fn prune(&mut self, now_us: u64) {
        while let Some((until, hash)) = self.by_time.first().copied()
            && until <= now_us
        {
            self.by_time.pop_first();
            self.until.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests;
