//! The stateful half of the checks: what a body meets in the chain.

use crate::body::{Body, KernelFeatures};
use crate::curve::{self, OffCurve};
use crate::header::Header;
use crate::ids::{Commitment, Offset};
use crate::state::{ChainState, Roots, Sums, Unspent};
use crate::transaction::Transaction;

/// Why something does not fit the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Invalid {
    /// No unspent output has this commitment: it was spent, or never made.
    #[error("spent or unknown: {0}")]
    AlreadySpent(Commitment),
    /// An unspent output already has this commitment.
    #[error("made already: {0}")]
    DuplicateCommitment(Commitment),
    /// The first block of a test chain moves nothing.
    #[error("the first block is not empty")]
    GenesisNotEmpty,
    /// A reward that has not waited long enough: {0} more blocks.
    #[error("a coinbase is spent {0} blocks too early")]
    ImmatureCoinbase(u64),
    /// An input says another kind than the output has.
    #[error("an input names another kind of output: {0}")]
    InputMismatch(Commitment),
    /// A root of the header is not that of the state.
    #[error("a root differs")]
    InvalidRoot,
    /// A size of the header is not that of the state.
    #[error("a size differs")]
    InvalidSize,
    /// The chain's sums do not balance with this block.
    #[error("the sums of the chain do not balance")]
    KernelSumMismatch,
    /// A kernel waits for a greater height.
    #[error("a kernel is locked until height {0}")]
    LockHeight(u64),
    /// The block before is not the last of this state.
    #[error("follows another block")]
    Orphan,
    /// An excess with a relative lock occurred too recently; {0} blocks are missing.
    #[error("an excess occurs again {0} blocks too early")]
    RelativeLock(u64),
}

impl From<OffCurve> for Invalid {
    fn from(_: OffCurve) -> Self {
        Self::KernelSumMismatch
    }
}

impl ChainState {
    /// Whether a transaction could be in the next block by itself: its inputs are unspent and ripe, its
    /// outputs are new, its locks are open. Of several that depend on each other, ask with
    /// [`crate::aggregate`] of them.
    ///
    /// Rule: `validate_tx`, `verify_coinbase_maturity` and `verify_tx_lock_height` of grin_chain.
    pub fn check_transaction(&self, transaction: &Transaction) -> Result<(), Invalid> {
        let height = self.tip().height().saturating_add(1);
        let lock = transaction.lock_height();
        if lock > height {
            return Err(Invalid::LockHeight(lock));
        }
        self.spendable(transaction.body(), height)?;
        self.check_relative_locks(transaction.body(), height)
    }

    /// What a body spends, in the order of its inputs, if a block of this height may.
    pub(super) fn spendable(&self, body: &Body, height: u64) -> Result<Vec<Unspent>, Invalid> {
        let inputs = body.inputs();
        let mut spent = Vec::with_capacity(inputs.len());
        let mut waits = 0;
        for input in &inputs {
            let found = self.unspent(&input.commitment);
            let found = found.ok_or(Invalid::AlreadySpent(input.commitment))?;
            if found.output.is_coinbase() {
                waits = waits.max(self.waits(found.height, height));
            }
            spent.push(found.clone());
        }
        if waits > 0 {
            return Err(Invalid::ImmatureCoinbase(waits));
        }
        for output in &body.0.outputs {
            let commitment = Commitment::from(output.commitment());
            if self.unspent.contains_key(&commitment) {
                return Err(Invalid::DuplicateCommitment(commitment));
            }
        }
        for (input, found) in inputs.iter().zip(&spent) {
            let named = input.features;
            if named.is_some_and(|features| features != found.output.features()) {
                return Err(Invalid::InputMismatch(input.commitment));
            }
        }
        Ok(spent)
    }

    /// How many blocks a reward made at height `made` still waits at height `height`.
    fn waits(&self, made: u64, height: u64) -> u64 {
        let ripe = made.saturating_add(self.rules.coinbase_maturity());
        ripe.saturating_sub(height)
    }

    /// Rule: `apply_kernel_rules` of grin_chain.
    pub(super) fn check_relative_locks(&self, body: &Body, height: u64) -> Result<(), Invalid> {
        for kernel in body.kernels() {
            let KernelFeatures::NoRecentDuplicate {
                relative_height, ..
            } = kernel.features()
            else {
                continue;
            };
            if let Some(last) = self.last_relative_lock(&kernel.excess()) {
                let open = last.saturating_add(relative_height);
                if height < open {
                    return Err(Invalid::RelativeLock(open - height));
                }
            }
        }
        Ok(())
    }

    /// The least height of a block that may hold the relative locks of a transaction; zero if it has
    /// none, or none that occurred before.
    #[must_use]
    pub fn relative_locks_open_at(&self, transaction: &Transaction) -> u64 {
        let opens = transaction.kernels().filter_map(|kernel| {
            let KernelFeatures::NoRecentDuplicate {
                relative_height, ..
            } = kernel.features()
            else {
                return None;
            };
            let last = self.last_relative_lock(&kernel.excess())?;
            Some(last.saturating_add(relative_height))
        });
        opens.max().unwrap_or(0)
    }

    /// The chain's sums with a block added, if they balance.
    ///
    /// Rule: `verify_block_sums` of grin_chain.
    pub(super) fn sums_with(&self, body: &Body, offset: Offset) -> Result<Sums, Invalid> {
        let (made, spent) = (body.0.outputs.iter(), body.inputs());
        let made = made.map(|output| Commitment::from(output.commitment()));
        let spent = spent.into_iter().map(|input| input.commitment);
        let reward = curve::reward()?;
        let unspent = curve::sum(made.chain([self.sums.unspent]), spent.chain([reward]))?;
        let excesses = body.0.kernels.iter().map(|it| Commitment::from(it.excess));
        let kernels = curve::sum(excesses.chain([self.sums.kernels]), [])?;
        let promised = curve::sum(
            [kernels].into_iter().chain(curve::offset_point(offset)?),
            [],
        )?;
        if unspent != promised {
            return Err(Invalid::KernelSumMismatch);
        }
        Ok(Sums { unspent, kernels })
    }

    /// Whether the state as it is after the block is what the header says.
    pub(super) fn check_roots(&self, header: &Header) -> Result<(), Invalid> {
        let roots = self.roots();
        // The merged root is made with the size that the header says.
        let said = Roots {
            output_mmr_size: header.output_mmr_size(),
            ..roots
        };
        let same = header.output_root() == said.output_root(header.version())
            && header.range_proof_root() == roots.range_proofs
            && header.kernel_root() == roots.kernels;
        if !same {
            return Err(Invalid::InvalidRoot);
        }
        let same = header.output_mmr_size() == roots.output_mmr_size
            && header.kernel_mmr_size() == roots.kernel_mmr_size;
        if !same {
            return Err(Invalid::InvalidSize);
        }
        Ok(())
    }
}
