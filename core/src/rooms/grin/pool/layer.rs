//! Transactions that go together, and what each of them claims.
//!
//! A commitment is either there to be spent or it is not: spending takes it away, making it puts it
//! there. So whatever waits claims a commitment in turns, and each claim needs all those before it. What
//! is there beneath a layer (in the chain, or in the chain and another layer) is the caller's knowledge.
//!
//! Together this says in steps what grin's pool asks of the aggregate of all transactions: that its
//! inputs are unspent and its outputs new, once what one makes and another spends is left out.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use peerage_mw::{ChainState, Commitment, Hash};

use super::entry::{Entry, Serial};

/// Transactions that go together.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    entries: BTreeMap<Serial, Entry>,
    /// Who claims what, oldest first.
    claims: BTreeMap<Commitment, Vec<Serial>>,
    kernels: BTreeMap<Hash, Serial>,
    /// Relative locks by their excess.
    excesses: BTreeMap<Commitment, Serial>,
    /// By fee rate, the best first and of equal ones the oldest.
    rates: BTreeSet<(Reverse<u64>, Serial)>,
    /// Those that nobody depends on, the worst first and of equal ones the youngest.
    leaves: BTreeSet<(u64, Reverse<Serial>)>,
    openings: BTreeSet<(u64, Serial)>,
    bytes: usize,
}

/// Why a transaction does not go with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// It makes what is there.
    Made(Commitment),
    /// A kernel of it waits already.
    Kernel,
    /// The excess of a relative lock waits already.
    RelativeLock,
    /// It spends what is not there.
    Spent(Commitment),
}

impl Layer {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Serial, &Entry)> {
        self.entries.iter().map(|(serial, entry)| (*serial, entry))
    }

    pub(super) fn get(&self, serial: Serial) -> Option<&Entry> {
        self.entries.get(&serial)
    }

    /// The entry that has this kernel.
    pub(super) fn by_kernel(&self, kernel: &Hash) -> Option<Serial> {
        self.kernels.get(kernel).copied()
    }

    /// Whoever has one of these kernels, oldest first.
    pub(super) fn with_kernels(&self, kernels: &[Hash]) -> BTreeSet<Serial> {
        kernels
            .iter()
            .filter_map(|kernel| self.by_kernel(kernel))
            .collect()
    }

    /// Whoever has a relative lock with one of these excesses, oldest first.
    pub(super) fn with_excesses(&self, excesses: &[Commitment]) -> BTreeSet<Serial> {
        excesses
            .iter()
            .filter_map(|excess| self.excesses.get(excess))
            .copied()
            .collect()
    }

    /// Whether a relative lock with this excess waits.
    pub(super) fn has_excess(&self, excess: &Commitment) -> bool {
        self.excesses.contains_key(excess)
    }

    /// Whether what is there beneath is not there on top, or the other way round.
    pub(super) fn turns(&self, commitment: &Commitment) -> bool {
        let claims = self.claims.get(commitment);
        claims.is_some_and(|claims| !claims.len().is_multiple_of(2))
    }

    /// Whether a transaction goes on top of the others. `beneath` tells what is there beneath.
    pub(super) fn check(
        &self,
        entry: &Entry,
        beneath: impl Fn(&Commitment) -> bool,
    ) -> Result<(), Conflict> {
        if !self.with_kernels(&entry.kernels).is_empty() {
            return Err(Conflict::Kernel);
        }
        if entry.excesses.iter().any(|it| self.has_excess(it)) {
            return Err(Conflict::RelativeLock);
        }
        clash(entry, |it| beneath(it) != self.turns(it)).map_or(Ok(()), Err)
    }

    /// Puts a transaction on top, which was found to go there.
    pub(super) fn insert(&mut self, serial: Serial, entry: Entry) {
        for commitment in entry.commitments() {
            let claims = self.claims.entry(commitment).or_default();
            if let Some(before) = claims.last() {
                self.leaves.remove(&leaf(*before, &self.entries[before]));
            }
            claims.push(serial);
        }
        self.kernels
            .extend(entry.kernels.iter().map(|it| (*it, serial)));
        self.excesses
            .extend(entry.excesses.iter().map(|it| (*it, serial)));
        self.rates.insert((Reverse(entry.rate), serial));
        self.leaves.insert(leaf(serial, &entry));
        self.openings.insert((entry.opens, serial));
        self.bytes += entry.bytes;
        self.entries.insert(serial, entry);
    }

    /// Takes a transaction out. Those that depend on it stay: see [`Self::settle`].
    pub(super) fn remove(&mut self, serial: Serial) -> Option<Entry> {
        let entry = self.entries.remove(&serial)?;
        self.bytes -= entry.bytes;
        self.openings.remove(&(entry.opens, serial));
        self.leaves.remove(&leaf(serial, &entry));
        self.rates.remove(&(Reverse(entry.rate), serial));
        for excess in &entry.excesses {
            self.excesses.remove(excess);
        }
        for kernel in &entry.kernels {
            self.kernels.remove(kernel);
        }
        for commitment in entry.commitments() {
            let claims = self.claims.get_mut(&commitment);
            let claims = claims.expect("what an entry claims is written down");
            claims.retain(|it| *it != serial);
            match claims.last().copied() {
                None => drop(self.claims.remove(&commitment)),
                Some(last) => self.judge_leaf(last),
            }
        }
        Some(entry)
    }

    /// Enters a transaction among the leaves if nobody depends on it.
    fn judge_leaf(&mut self, serial: Serial) {
        let entry = &self.entries[&serial];
        let is_last = |it| self.claims[&it].last() == Some(&serial);
        if entry.commitments().all(is_last) {
            self.leaves.insert(leaf(serial, entry));
        }
    }

    /// The one to go first when there is no room: the worst of those that nobody depends on.
    pub(super) fn worst(&self) -> Option<(u64, Serial)> {
        let (rate, Reverse(serial)) = *self.leaves.first()?;
        Some((rate, serial))
    }

    /// By fee rate, the best first.
    pub(super) fn by_rate(&self) -> impl Iterator<Item = (u64, Serial)> {
        self.rates
            .iter()
            .map(|(Reverse(rate), serial)| (*rate, *serial))
    }

    /// Whom a transaction depends on directly.
    pub(super) fn parents(&self, serial: Serial) -> impl Iterator<Item = Serial> {
        let entry = self.entries.get(&serial);
        let commitments = entry.into_iter().flat_map(Entry::commitments);
        commitments.filter_map(move |it| {
            let claims = &self.claims[&it];
            let before = claims.partition_point(|it| *it < serial);
            claims[..before].last().copied()
        })
    }

    /// Asks again from which height on transactions may be in a block: those that claim one of
    /// `touched`, and those that have relative locks with one of `excesses`.
    pub(super) fn reopen(
        &mut self,
        state: &ChainState,
        touched: &BTreeSet<Commitment>,
        excesses: &[Commitment],
    ) {
        let locked = excesses.iter().filter_map(|it| self.excesses.get(it));
        let serials: BTreeSet<Serial> = self.claimers(touched).chain(locked.copied()).collect();
        for serial in serials {
            let entry = self.entries.get_mut(&serial).expect("indices name entries");
            self.openings.remove(&(entry.opens, serial));
            entry.opens = entry.opens_at(state);
            self.openings.insert((entry.opens, serial));
        }
    }

    fn claimers(&self, touched: &BTreeSet<Commitment>) -> impl Iterator<Item = Serial> {
        let claims = touched.iter().filter_map(|it| self.claims.get(it));
        claims.flatten().copied()
    }

    /// Takes out what does not go any more, once what is there beneath has changed at `touched`, or
    /// entries that claimed them have left, or the next block's height has changed. The older stay.
    pub(super) fn settle(
        &mut self,
        beneath: impl Fn(&Commitment) -> bool,
        next_height: u64,
        touched: &BTreeSet<Commitment>,
    ) -> Vec<Entry> {
        let late = self
            .openings
            .range((next_height.saturating_add(1), Serial::default())..);
        let late: BTreeSet<Serial> = late.map(|(_, serial)| *serial).collect();
        let mut suspects: BTreeSet<Serial> = self.claimers(touched).chain(late).collect();
        let mut gone = Vec::new();
        while let Some(serial) = suspects.pop_first() {
            let entry = &self.entries[&serial];
            let there = |it: &Commitment| beneath(it) != self.turned_before(it, serial);
            if entry.opens <= next_height && clash(entry, there).is_none() {
                continue;
            }
            let entry = self.remove(serial).expect("it was just seen");
            for commitment in entry.commitments() {
                let claims = self.claims.get(&commitment).into_iter().flatten();
                suspects.extend(claims.filter(|it| **it > serial));
            }
            gone.push(entry);
        }
        gone
    }

    /// As [`Self::turns`], by the claims before one.
    fn turned_before(&self, commitment: &Commitment, serial: Serial) -> bool {
        let claims = self.claims.get(commitment);
        let before = |claims: &Vec<Serial>| claims.partition_point(|it| *it < serial);
        !claims.map_or(0, before).is_multiple_of(2)
    }
}

/// What a transaction claims in spite of what is there.
fn clash(entry: &Entry, there: impl Fn(&Commitment) -> bool) -> Option<Conflict> {
    let spent = entry.spends.iter().find(|it| !there(it));
    let made = || entry.makes.iter().find(|it| there(it));
    let spent = spent.map(|it| Conflict::Spent(*it));
    spent.or_else(|| made().map(|it| Conflict::Made(*it)))
}

const fn leaf(serial: Serial, entry: &Entry) -> (u64, Reverse<Serial>) {
    (entry.rate, Reverse(serial))
}
