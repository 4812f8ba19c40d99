//! A transaction that waits, with what is asked of it again and again.

use std::sync::Arc;

use peerage_mw::{ChainState, Commitment, Hash, KernelFeatures, Transaction};

use crate::time::Instant;

/// The order in which transactions came to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Serial(u64);

impl Serial {
    /// The next one; this one is given out.
    pub(super) const fn take(&mut self) -> Self {
        let given = *self;
        self.0 += 1;
        given
    }
}

/// A transaction that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) transaction: Arc<Transaction>,
    /// What it spends and makes; nothing is in both.
    pub(super) spends: Box<[Commitment]>,
    pub(super) makes: Box<[Commitment]>,
    /// The hashes of its kernels, by which transactions are recognised.
    pub(super) kernels: Box<[Hash]>,
    /// The excesses of its relative locks, none of which may wait twice.
    pub(super) excesses: Box<[Commitment]>,
    /// The least height of a block that may hold it.
    pub(super) opens: u64,
    /// Nanogrin per weight.
    pub(super) rate: u64,
    /// What it weighs in memory, roughly.
    pub(super) bytes: usize,
    /// When it came.
    pub(super) since: Instant,
    /// When it is to be spread if nobody else has done so; of stem transactions.
    pub(super) embargo: Option<Instant>,
}

impl Entry {
    pub(super) fn new(
        state: &ChainState,
        transaction: Arc<Transaction>,
        since: Instant,
        embargo: Option<Instant>,
    ) -> Self {
        let spends: Box<[_]> = transaction
            .inputs()
            .iter()
            .map(|it| it.commitment)
            .collect();
        let makes: Box<[_]> = transaction.outputs().map(|it| it.commitment()).collect();
        let kernels: Box<[_]> = transaction.kernels().map(|it| it.hash()).collect();
        let locked = transaction
            .kernels()
            .filter(|it| matches!(it.features(), KernelFeatures::NoRecentDuplicate { .. }));
        let excesses: Box<[_]> = locked.map(|it| it.excess()).collect();
        let bytes = ENTRY_BYTES
            + INPUT_BYTES * spends.len()
            + OUTPUT_BYTES * makes.len()
            + KERNEL_BYTES * kernels.len();
        let mut entry = Self {
            opens: 0,
            rate: transaction.fee_rate(),
            transaction,
            spends,
            makes,
            kernels,
            excesses,
            bytes,
            since,
            embargo,
        };
        entry.opens = entry.opens_at(state);
        entry
    }

    /// From which height on a block after this state may hold it: its locks are open, and the rewards
    /// that it spends are ripe.
    pub(super) fn opens_at(&self, state: &ChainState) -> u64 {
        let maturity = state.rules().coinbase_maturity();
        let spent = self.spends.iter().filter_map(|it| state.unspent(it));
        let rewards = spent.filter(|it| it.output.is_coinbase());
        let ripe = rewards.map(|it| it.height.saturating_add(maturity)).max();
        let locks = match self.excesses.is_empty() {
            true => 0,
            false => state.relative_locks_open_at(&self.transaction),
        };
        self.transaction
            .lock_height()
            .max(locks)
            .max(ripe.unwrap_or(0))
    }

    /// All that it claims, and whether it spends it.
    pub(super) fn claims(&self) -> impl Iterator<Item = (&Commitment, bool)> {
        let spends = self.spends.iter().map(|it| (it, true));
        spends.chain(self.makes.iter().map(|it| (it, false)))
    }

    /// All commitments that it claims.
    pub(super) fn commitments(&self) -> impl Iterator<Item = Commitment> {
        self.claims().map(|(commitment, _)| *commitment)
    }
}

// What things take in memory: their bytes, and their places in the indices.
const ENTRY_BYTES: usize = 512;
const INPUT_BYTES: usize = 192;
const OUTPUT_BYTES: usize = 928;
const KERNEL_BYTES: usize = 320;
