//! Transactions that wait for a block: which are taken, which must go, which a block gets. A pure
//! structure, so whoever uses it has proofs and signatures checked in between: [`Pool::screen`] before
//! that, [`Pool::admit`] after it.
//!
//! The public pool is what everybody knows. The stem pool is what must not be known yet: it goes on top
//! of the public pool, and what does not fit there any more leaves it silently. Whatever is in either
//! could be in the next block, together with the transactions on which it depends.
//!
//! Rule: grin's `TransactionPool` as of release 4.1.1. There as here nothing waiting is replaced by
//! what pays more. Three things are different: who is refused because the pool is full is told so, room
//! is made by those that nobody depends on, and there is a bound on bytes.

mod entry;
mod layer;
mod pick;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use peerage_mw::{
    self as mw, AggregateError, Block, ChainState, Commitment, Hash, KernelFeatures, Rules,
    Transaction,
};

use self::entry::{Entry, Serial};
use self::layer::{Conflict, Layer};
use crate::limits::{GRIN_POOL_BYTES_MAX, GRIN_POOL_SLICE, GRIN_REORG_CACHE_AGE};
use crate::time::Instant;

/// Transactions that wait for a block.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    public: Layer,
    stem: Layer,
    serial: Serial,
    /// Spread transactions with their times, oldest first.
    remembered: VecDeque<(Instant, Arc<Transaction>)>,
    /// Remembered ones that a reorganisation may have made wait again.
    again: VecDeque<Arc<Transaction>>,
    /// How many may wait, in either pool.
    max: usize,
    bytes_max: usize,
}

/// How a transaction is to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// For everybody to see.
    Fluff,
    /// Unseen, until `embargo` at the latest.
    Stem {
        /// When it is spread if nobody else has done so.
        embargo: Instant,
    },
}

/// A transaction that waits from now on.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    /// The transaction.
    pub(super) transaction: Arc<Transaction>,
    /// What left because of it; it itself if others pay more after all.
    pub(super) left: Vec<Left>,
}

/// What became of a transaction that was checked.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It waits.
    Admitted(Admitted),
    /// Meanwhile parts of it have come to wait by themselves. What is left of it is to be checked.
    Remainder(Arc<Transaction>),
}

/// A transaction that does not wait any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Left {
    /// The transaction.
    pub(super) transaction: Arc<Transaction>,
    /// Whether it was in the stem pool.
    pub(super) stem: bool,
    /// Why it went.
    pub(super) why: Departure,
}

/// Why a transaction does not wait any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Departure {
    /// It does not go with the chain or with what waits.
    Conflicts,
    /// A block has it, or a kernel of it.
    Confirmed,
    /// Others pay more.
    Evicted,
    /// It went from the stem pool into the public one, by itself or as part of another.
    Spread,
}

/// What was taken in again after a reorganisation.
#[derive(Clone, Debug, Default)]
pub(super) struct Readmitted {
    /// What waits again.
    pub(super) back: Vec<Arc<Transaction>>,
    /// What left because of it.
    pub(super) left: Vec<Left>,
    /// Whether there is more to come.
    pub(super) more: bool,
}

/// Why a transaction is not taken. The texts are those of the original's log; its clients see none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    /// It makes what is unspent in the chain, or what another makes.
    #[error("Duplicate commitment {0}")]
    DuplicateCommitment(Commitment),
    /// One of its kernels waits already, but not all.
    #[error("Invalid Tx a kernel waits already")]
    DuplicateKernel,
    /// It waits already.
    #[error("Duplicate tx")]
    DuplicateTx,
    /// It spends a reward that has not waited long enough, or a kernel of it waits for a greater height.
    #[error("Immature transaction, not before height {0}")]
    Immature(u64),
    /// It pays less than {0} nanogrin.
    #[error("Low fee transaction {0}")]
    LowFeeTransaction(u64),
    /// Relative locks are not enabled on this chain.
    #[error("NRD kernel not enabled")]
    NrdKernelNotEnabled,
    /// Relative locks come with the fourth version of headers.
    #[error("NRD kernel pre-HF3")]
    NrdKernelPreHf3,
    /// The excess of a relative lock waits already.
    #[error("NRD kernel relative height")]
    NrdKernelRelativeHeight,
    /// There is no room.
    #[error("Over capacity")]
    OverCapacity,
    /// What is left of it without its parts that wait by themselves makes no sense.
    #[error("Invalid Tx {0}")]
    Parts(AggregateError),
    /// It spends what is not there: spent, or never made.
    #[error("failed to validate tx: spent or unknown {0}")]
    Spent(Commitment),
    /// It is heavier than fits a block.
    #[error("Invalid Tx too heavy")]
    TooHeavy,
}

impl From<Conflict> for PoolError {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Kernel => Self::DuplicateKernel,
            Conflict::Made(commitment) => Self::DuplicateCommitment(commitment),
            Conflict::RelativeLock => Self::NrdKernelRelativeHeight,
            Conflict::Spent(commitment) => Self::Spent(commitment),
        }
    }
}

impl Pool {
    /// An empty pool in which so many transactions may wait, and as many again unseen.
    pub(super) fn new(max: usize) -> Self {
        Self {
            public: Layer::default(),
            stem: Layer::default(),
            serial: Serial::default(),
            remembered: VecDeque::new(),
            again: VecDeque::new(),
            max,
            bytes_max: GRIN_POOL_BYTES_MAX,
        }
    }

    /// How many wait for everybody to see.
    pub(super) fn len(&self) -> usize {
        self.public.len()
    }

    /// How many wait unseen.
    pub(super) fn stem_len(&self) -> usize {
        self.stem.len()
    }

    /// What waits takes so much memory, roughly.
    pub(super) const fn bytes(&self) -> usize {
        self.public.bytes() + self.stem.bytes()
    }

    /// What waits, with whether it is unseen.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Transaction>, bool)> {
        let public = self
            .public
            .iter()
            .map(|(_, entry)| (&entry.transaction, false));
        public.chain(
            self.stem
                .iter()
                .map(|(_, entry)| (&entry.transaction, true)),
        )
    }

    /// Whether a transaction with these kernels waits for everybody to see.
    pub(super) fn contains(&self, transaction: &Transaction) -> bool {
        waits(&self.public, transaction)
    }

    /// Whether it waits unseen.
    pub(super) fn stem_contains(&self, transaction: &Transaction) -> bool {
        waits(&self.stem, transaction)
    }

    /// Asks everything that costs little: whether it waits already, pays enough, finds room, and could
    /// be in the next block. Gives what is to be checked and then admitted: of a transaction for
    /// everybody to see, parts that wait by themselves are taken out. One that comes unseen a second
    /// time is for everybody to see.
    pub(super) fn screen(
        &self,
        state: &ChainState,
        transaction: Arc<Transaction>,
        way: Way,
    ) -> Result<(Arc<Transaction>, Way), PoolError> {
        let way = match self.stem_contains(&transaction) {
            true => Way::Fluff,
            false => way,
        };
        if self.contains(&transaction) {
            return Err(PoolError::DuplicateTx);
        }
        let transaction = match way {
            Way::Fluff => self.remainder(transaction)?,
            Way::Stem { .. } => transaction,
        };
        check_alone(state, &transaction)?;
        let entry = Entry::new(state, transaction, Instant::ZERO, None);
        self.check_room(&entry, way)?;
        self.check_place(state, &entry, way)?;
        Ok((entry.transaction, way))
    }

    /// What is left of a transaction without its parts that wait by themselves.
    ///
    /// Rule: `deaggregate_tx` of grin's pool.
    fn remainder(&self, transaction: Arc<Transaction>) -> Result<Arc<Transaction>, PoolError> {
        let kernels: BTreeSet<Hash> = transaction.kernels().map(|it| it.hash()).collect();
        let mut parts = Vec::new();
        let mut common = 0;
        for serial in kernels
            .iter()
            .filter_map(|it| self.public.by_kernel(it))
            .collect::<BTreeSet<_>>()
        {
            let entry = self.public.get(serial).expect("indices name entries");
            if entry.kernels.iter().all(|it| kernels.contains(it)) {
                common += entry.kernels.len();
                parts.push(Transaction::clone(&entry.transaction));
            }
        }
        if parts.is_empty() {
            return Ok(transaction);
        }
        if common == kernels.len() {
            return Err(PoolError::DuplicateTx);
        }
        let rest = mw::deaggregate(&transaction, &parts);
        rest.map(Arc::new).map_err(PoolError::Parts)
    }

    /// Whether there is room, or would be if others made it.
    fn check_room(&self, entry: &Entry, way: Way) -> Result<(), PoolError> {
        let full = match way {
            Way::Fluff if self.is_full(&self.public, entry.bytes) => {
                let worst = self.public.worst();
                worst.is_none_or(|(rate, _)| entry.rate <= rate)
            }
            Way::Fluff => false,
            Way::Stem { .. } => {
                self.is_full(&self.public, 0) || self.is_full(&self.stem, entry.bytes)
            }
        };
        match full {
            true => Err(PoolError::OverCapacity),
            false => Ok(()),
        }
    }

    fn is_full(&self, layer: &Layer, bytes: usize) -> bool {
        layer.len() >= self.max || layer.bytes().saturating_add(bytes) > self.bytes_max
    }

    /// Whether it could be in the next block, together with what waits.
    fn check_place(&self, state: &ChainState, entry: &Entry, way: Way) -> Result<(), PoolError> {
        match way {
            Way::Fluff => self.public.check(entry, in_chain(state))?,
            Way::Stem { .. } => {
                if !self.public.with_kernels(&entry.kernels).is_empty() {
                    return Err(PoolError::DuplicateKernel);
                }
                if entry.excesses.iter().any(|it| self.public.has_excess(it)) {
                    return Err(PoolError::NrdKernelRelativeHeight);
                }
                self.stem.check(entry, in_public(state, &self.public))?;
            }
        }
        match entry.opens > next_height(state) {
            true => Err(PoolError::Immature(entry.opens)),
            false => Ok(()),
        }
    }

    /// Takes a transaction whose proofs, signatures and sums were found right, or that was put together
    /// from such. Everything else is asked again, since it may have changed meanwhile.
    pub(super) fn admit(
        &mut self,
        state: &ChainState,
        transaction: Arc<Transaction>,
        way: Way,
        now: Instant,
    ) -> Result<Outcome, PoolError> {
        let digest = transaction.digest();
        let (transaction, way) = self.screen(state, transaction, way)?;
        if transaction.digest() != digest {
            return Ok(Outcome::Remainder(transaction));
        }
        let left = match way {
            Way::Fluff => {
                self.remember(now, transaction.clone());
                self.publish(state, Entry::new(state, transaction.clone(), now, None))
            }
            Way::Stem { embargo } => {
                let entry = Entry::new(state, transaction.clone(), now, Some(embargo));
                self.stem.insert(self.serial.take(), entry);
                Vec::new()
            }
        };
        Ok(Outcome::Admitted(Admitted { transaction, left }))
    }

    /// Puts a transaction into the public pool, where it was found to go.
    fn publish(&mut self, state: &ChainState, entry: Entry) -> Vec<Left> {
        let mut touched: BTreeSet<Commitment> = entry.commitments().collect();
        let mut left = Vec::new();
        for serial in self.stem.with_kernels(&entry.kernels) {
            let before = self.stem.remove(serial).expect("indices name entries");
            let is_part = before.kernels.iter().all(|it| entry.kernels.contains(it));
            touched.extend(before.commitments());
            left.push(Left::of(
                before,
                true,
                match is_part {
                    true => Departure::Spread,
                    false => Departure::Conflicts,
                },
            ));
        }
        for serial in self.stem.with_excesses(&entry.excesses) {
            let before = self.stem.remove(serial).expect("indices name entries");
            touched.extend(before.commitments());
            left.push(Left::of(before, true, Departure::Conflicts));
        }
        self.public.insert(self.serial.take(), entry);
        while self.is_over(&self.public) {
            let (_, worst) = self
                .public
                .worst()
                .expect("some transaction depends on no other");
            let gone = self.public.remove(worst).expect("indices name entries");
            touched.extend(gone.commitments());
            left.push(Left::of(gone, false, Departure::Evicted));
        }
        left.extend(self.settle_stem(state, &touched));
        left
    }

    fn is_over(&self, layer: &Layer) -> bool {
        layer.len() > self.max || layer.bytes() > self.bytes_max
    }

    fn settle_stem(&mut self, state: &ChainState, touched: &BTreeSet<Commitment>) -> Vec<Left> {
        let beneath = in_public(state, &self.public);
        let gone = self.stem.settle(beneath, next_height(state), touched);
        let gone = gone.into_iter();
        gone.map(|entry| Left::of(entry, true, Departure::Conflicts))
            .collect()
    }

    /// Follows the chain to another state: by blocks taken back, the newest first, and blocks added.
    /// After a reorganisation [`Self::readmit`] is due.
    ///
    /// Rule: `reconcile_block` of grin's pool. Where that goes over the whole pool, here only those are
    /// looked at that the blocks can concern.
    pub(super) fn follow(
        &mut self,
        state: &ChainState,
        undone: &[Block],
        done: &[Block],
        now: Instant,
    ) -> Vec<Left> {
        let mut left = Vec::new();
        let mut touched = BTreeSet::new();
        let mut excesses = Vec::new();
        for block in undone.iter().chain(done) {
            touched.extend(block.inputs().iter().map(|it| it.commitment));
            touched.extend(block.outputs().map(|it| it.commitment()));
            let locked = block
                .kernels()
                .filter(|it| matches!(it.features(), KernelFeatures::NoRecentDuplicate { .. }));
            excesses.extend(locked.map(|it| it.excess()));
        }
        for block in done {
            let kernels: Vec<Hash> = block.kernels().map(|it| it.hash()).collect();
            for (layer, stem) in [(&mut self.public, false), (&mut self.stem, true)] {
                for serial in layer.with_kernels(&kernels) {
                    let entry = layer.remove(serial).expect("indices name entries");
                    touched.extend(entry.commitments());
                    left.push(Left::of(entry, stem, Departure::Confirmed));
                }
            }
        }
        self.public.reopen(state, &touched, &excesses);
        self.stem.reopen(state, &touched, &excesses);
        for entry in self
            .public
            .settle(in_chain(state), next_height(state), &touched)
        {
            touched.extend(entry.commitments());
            left.push(Left::of(entry, false, Departure::Conflicts));
        }
        left.extend(self.settle_stem(state, &touched));
        self.forget(now);
        if !undone.is_empty() {
            self.again = self.remembered.iter().map(|(_, it)| it.clone()).collect();
        }
        left
    }

    fn remember(&mut self, now: Instant, transaction: Arc<Transaction>) {
        self.forget(now);
        self.remembered.push_back((now, transaction));
        if self.remembered.len() > self.max {
            self.remembered.pop_front();
        }
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.since(at) > GRIN_REORG_CACHE_AGE;
        while self.remembered.front().is_some_and(|(at, _)| is_old(*at)) {
            self.remembered.pop_front();
        }
    }

    /// Takes in again, a share at a time, what was spread lately and may have left the chain.
    ///
    /// Rule: `reconcile_reorg_cache` of grin's pool.
    pub(super) fn readmit(&mut self, state: &ChainState, now: Instant) -> Readmitted {
        let mut readmitted = Readmitted::default();
        for transaction in self
            .again
            .drain(..GRIN_POOL_SLICE.min(self.again.len()))
            .collect::<Vec<_>>()
        {
            let screened = self.screen(state, transaction.clone(), Way::Fluff);
            // What came to wait in parts meanwhile does so in parts.
            let same = screened.is_ok_and(|(rest, _)| rest.digest() == transaction.digest());
            if same {
                let entry = Entry::new(state, transaction.clone(), now, None);
                readmitted.left.extend(self.publish(state, entry));
                readmitted.back.push(transaction);
            }
        }
        readmitted.more = !self.again.is_empty();
        readmitted
    }

    /// What a block should get: see [`pick::pick`].
    pub(super) fn pick(&self, rules: &Rules) -> Vec<Arc<Transaction>> {
        pick::pick(&self.public, rules.transaction_weight_max())
    }

    /// When the first stem transaction came, and when the first embargo ends.
    pub(super) fn stem_dates(&self) -> Option<(Instant, Instant)> {
        let dates = self
            .stem
            .iter()
            .map(|(_, entry)| (entry.since, entry.embargo));
        let first = |one: (Instant, Option<Instant>), other: (Instant, Option<Instant>)| {
            (one.0.min(other.0), one.1.min(other.1))
        };
        let (since, embargo) = dates.reduce(first)?;
        Some((since, embargo?))
    }

    /// Stem transactions whose embargo has ended: each is to be admitted for everybody to see.
    pub(super) fn embargo_ended(&self, now: Instant) -> Vec<Arc<Transaction>> {
        let ended = self
            .stem
            .iter()
            .filter(|(_, entry)| entry.embargo.is_some_and(|it| it <= now));
        ended.map(|(_, entry)| entry.transaction.clone()).collect()
    }

    /// The whole stem pool, put together into as few transactions as fit a block each: these are to be
    /// admitted for everybody to see. They need no check, being made of what was checked.
    ///
    /// Rule: `process_fluff_phase` of grin's Dandelion monitor, which gives up if the whole is too
    /// heavy.
    pub(super) fn bundles(&self, rules: &Rules) -> Vec<Arc<Transaction>> {
        let weight_max = rules.transaction_weight_max();
        let mut bundles: Vec<Arc<Transaction>> = Vec::new();
        for (_, entry) in self.stem.iter() {
            let single = &entry.transaction;
            let joined = bundles.last().and_then(|last| {
                let both = [Transaction::clone(last), Transaction::clone(single)];
                mw::aggregate(&both)
                    .ok()
                    .filter(|it| it.weight() <= weight_max)
            });
            match (joined, bundles.last_mut()) {
                (Some(joined), Some(last)) => *last = Arc::new(joined),
                _ => bundles.push(single.clone()),
            }
        }
        bundles
    }
}

impl Left {
    fn of(entry: Entry, stem: bool, why: Departure) -> Self {
        Self {
            transaction: entry.transaction,
            stem,
            why,
        }
    }
}

/// What a transaction shows without the others, by the chain's rules.
fn check_alone(state: &ChainState, transaction: &Transaction) -> Result<(), PoolError> {
    let rules = state.rules();
    if transaction.has_relative_lock() {
        if !rules.relative_locks {
            return Err(PoolError::NrdKernelNotEnabled);
        }
        if rules.header_version(state.tip().height()) < 4 {
            return Err(PoolError::NrdKernelPreHf3);
        }
    }
    if !transaction.pays(rules.fee) {
        return Err(PoolError::LowFeeTransaction(
            transaction.fee_asked(rules.fee),
        ));
    }
    if transaction.weight() > rules.transaction_weight_max() {
        return Err(PoolError::TooHeavy);
    }
    Ok(())
}

/// Whether a transaction with the same kernels is in a layer.
fn waits(layer: &Layer, transaction: &Transaction) -> bool {
    let first = transaction.kernels().next().map(|it| it.hash());
    let serial = first.and_then(|kernel| layer.by_kernel(&kernel));
    let entry = serial.and_then(|serial| layer.get(serial));
    entry.is_some_and(|entry| entry.transaction.same_kernels(transaction))
}

/// What is there to be spent.
fn in_chain(state: &ChainState) -> impl Fn(&Commitment) -> bool {
    |commitment| state.unspent(commitment).is_some()
}

/// What is there to be spent once all that waits in public is in a block.
fn in_public(state: &ChainState, public: &Layer) -> impl Fn(&Commitment) -> bool {
    |commitment| state.unspent(commitment).is_some() != public.turns(commitment)
}

fn next_height(state: &ChainState) -> u64 {
    state.tip().height().saturating_add(1)
}
