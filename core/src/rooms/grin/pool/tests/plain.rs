//! A pool as the original has it: the aggregate of everything is asked, and everything again after each
//! change. Slow, and hard to get wrong.

use peerage_mw::{ChainState, Hash, Transaction, aggregate};
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct PlainPool {
    pub(super) public: Vec<Transaction>,
    pub(super) stem: Vec<Transaction>,
}

impl PlainPool {
    pub(super) fn fluff(&mut self, state: &ChainState, transaction: &Transaction) -> bool {
        if !goes(state, &[], &self.public, transaction) {
            return false;
        }
        self.public.push(transaction.clone());
        self.reconcile(state);
        true
    }

    pub(super) fn stem(&mut self, state: &ChainState, transaction: &Transaction) -> bool {
        if self.stem.iter().any(|it| it.same_kernels(transaction)) {
            return self.fluff(state, transaction);
        }
        let goes = goes(state, &self.public, &self.stem, transaction);
        if goes {
            self.stem.push(transaction.clone());
        }
        goes
    }

    /// A block with these kernels was added, or blocks were taken back.
    pub(super) fn follow(&mut self, state: &ChainState, kernels: &BTreeSet<Hash>) {
        for layer in [&mut self.public, &mut self.stem] {
            layer.retain(|it| !it.kernels().any(|it| kernels.contains(&it.hash())));
        }
        self.reconcile(state);
    }

    fn reconcile(&mut self, state: &ChainState) {
        self.public = again(state, &[], &self.public);
        self.stem = again(state, &self.public, &self.stem);
    }
}

fn again(state: &ChainState, beneath: &[Transaction], layer: &[Transaction]) -> Vec<Transaction> {
    let mut kept = Vec::new();
    for transaction in layer {
        if goes(state, beneath, &kept, transaction) {
            kept.push(transaction.clone());
        }
    }
    kept
}

fn goes(
    state: &ChainState,
    beneath: &[Transaction],
    layer: &[Transaction],
    transaction: &Transaction,
) -> bool {
    let others = || beneath.iter().chain(layer);
    let all: Vec<Transaction> = others().chain([transaction]).cloned().collect();
    let kernels: Vec<Hash> = all
        .iter()
        .flat_map(|it| it.kernels())
        .map(|it| it.hash())
        .collect();
    let distinct: BTreeSet<&Hash> = kernels.iter().collect();
    let whole = aggregate(&all);
    distinct.len() == kernels.len()
        && whole.is_ok_and(|whole| state.check_transaction(&whole).is_ok())
}
