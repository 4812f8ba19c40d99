//! Which transactions go into a block: those that pay most for their weight, with those on which they
//! depend. A child pays for its parents: together they stand where both their fees put them.
//!
//! Rule: `prepare_mineable_transactions` of grin's pool, whose buckets of a parent and its children are
//! here made on the way, so that a full pool need not be gone through for each block.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use peerage_mw::{Commitment, Transaction};

use super::entry::{Entry, Serial};
use super::layer::Layer;
use crate::limits::{GRIN_ANCESTORS_MAX, GRIN_PICK_LOOKS_MAX, GRIN_PICK_MISSES_MAX};

/// Chooses transactions that together weigh at most `weight_max`, in the order in which they came.
pub(super) fn pick(layer: &Layer, weight_max: u64) -> Vec<Arc<Transaction>> {
    let mut chosen = Basket::default();
    let mut by_rate = layer.by_rate().peekable();
    let mut again = BinaryHeap::new();
    let mut misses = 0;
    for _ in 0..GRIN_PICK_LOOKS_MAX {
        let fresh = by_rate
            .peek()
            .map(|(rate, serial)| (*rate, Reverse(*serial)));
        let second = again.peek().copied();
        let Some((rate, Reverse(serial))) = fresh.max(second) else {
            break;
        };
        let seen = second > fresh;
        match seen {
            true => drop(again.pop()),
            false => drop(by_rate.next()),
        }
        let Some(package) = package(layer, serial, &chosen) else {
            continue;
        };
        let together = Basket::of(layer, &package);
        if !seen && together.rate() < rate {
            again.push((together.rate(), Reverse(serial)));
            continue;
        }
        let mut with = chosen.clone();
        with.extend(layer, &package);
        if with.weight() <= weight_max {
            chosen = with;
            misses = 0;
        } else {
            misses += 1;
        }
        if misses > GRIN_PICK_MISSES_MAX {
            break;
        }
    }
    let serials = chosen.serials.iter();
    serials
        .filter_map(|serial| Some(layer.get(*serial)?.transaction.clone()))
        .collect()
}

/// A transaction and all on which it depends, except for what is chosen; none if it is chosen itself,
/// or depends on too many.
fn package(layer: &Layer, serial: Serial, chosen: &Basket) -> Option<BTreeSet<Serial>> {
    let mut package = BTreeSet::new();
    let mut left = vec![serial];
    while let Some(serial) = left.pop() {
        if chosen.serials.contains(&serial) || !package.insert(serial) {
            continue;
        }
        if package.len() > GRIN_ANCESTORS_MAX {
            return None;
        }
        left.extend(layer.parents(serial));
    }
    (!package.is_empty()).then_some(package)
}

/// Transactions as one: what it pays, and what it weighs once what one makes and another spends is
/// left out.
#[derive(Clone, Debug, Default)]
struct Basket {
    serials: BTreeSet<Serial>,
    /// What is spent (true) or made (false) in the end.
    claims: BTreeMap<Commitment, bool>,
    spends: u64,
    makes: u64,
    kernels: u64,
    fees: u64,
}

impl Basket {
    fn of(layer: &Layer, serials: &BTreeSet<Serial>) -> Self {
        let mut basket = Self::default();
        basket.extend(layer, serials);
        basket
    }

    fn extend(&mut self, layer: &Layer, serials: &BTreeSet<Serial>) {
        for serial in serials {
            if let Some(entry) = layer.get(*serial) {
                self.add(entry);
                self.serials.insert(*serial);
            }
        }
    }

    fn add(&mut self, entry: &Entry) {
        for (commitment, spends) in entry.claims() {
            match self.claims.remove(commitment) {
                Some(true) => self.spends -= 1,
                Some(false) => self.makes -= 1,
                None => {
                    self.claims.insert(*commitment, spends);
                    match spends {
                        true => self.spends += 1,
                        false => self.makes += 1,
                    }
                }
            }
        }
        self.kernels += entry.kernels.len() as u64;
        self.fees = self.fees.saturating_add(entry.transaction.fee());
    }

    fn weight(&self) -> u64 {
        Transaction::weight_of(self.spends, self.makes, self.kernels)
    }

    fn rate(&self) -> u64 {
        self.fees / self.weight().max(1)
    }
}
