//! Applying a block in place, and taking it back.

use grin_core::core::pmmr;

use super::check::Invalid;
use super::{ChainState, Recorded, Sums, Unspent, leaf};
use crate::block::Block;
use crate::body::{Body, Output};

/// What applying a block gave; it undoes the block. Holds shared values only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "without it the block cannot be undone"]
pub struct Applied {
    block: Block,
    before: Before,
}

impl Applied {
    /// The block.
    #[must_use]
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// What it spent, in the order of its inputs.
    #[must_use]
    pub fn spent(&self) -> &[Unspent] {
        &self.before.spent
    }
}

/// What of the state before cannot be computed from the state after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Before {
    spent: Vec<Unspent>,
    sums: Sums,
    output_mmr_size: u64,
    kernel_mmr_size: u64,
}

impl ChainState {
    /// Applies the next block: its inputs are unspent and ripe, its outputs new, the chain's sums
    /// balance, and roots and sizes come out as the header says. A block that fails leaves the state
    /// as it was.
    ///
    /// The header itself and the stateless half are [`Self::check_header`]'s and [`crate::check`]'s.
    ///
    /// Rule: `process_block` of grin_chain, in its order.
    pub fn apply(&mut self, block: &Block) -> Result<Applied, Invalid> {
        let header = block.header();
        if header.previous() != self.tip().hash() {
            return Err(Invalid::Orphan);
        }
        if header.previous_root() != self.header_mmr.root() {
            return Err(Invalid::InvalidRoot);
        }
        let body = block.body();
        let spent = self.spendable(body, header.height())?;
        let sums = self.sums_with(body, header.total_kernel_offset())?;
        self.check_relative_locks(body, header.height())?;
        let before = self.connect(body, header.height(), spent, sums);
        if let Err(invalid) = self.check_roots(header) {
            self.disconnect(body, before);
            return Err(invalid);
        }
        self.push_header(header);
        Ok(Applied {
            block: block.clone(),
            before,
        })
    }

    /// Takes the last block back. The state is then equal to what it was before the block.
    ///
    /// # Panics
    ///
    /// If the block is not the last one: whoever undoes keeps what was applied as a stack.
    pub fn undo(&mut self, applied: Applied) {
        let Applied { block, before } = applied;
        assert_eq!(
            block.header(),
            self.tip(),
            "blocks are undone from the last one"
        );
        self.pop_header();
        self.disconnect(block.body(), before);
    }

    /// Moves what a body moves, without a check.
    pub(super) fn connect(
        &mut self,
        body: &Body,
        height: u64,
        spent: Vec<Unspent>,
        sums: Sums,
    ) -> Before {
        self.rules.enter();
        let before = Before {
            spent,
            sums: self.sums,
            output_mmr_size: self.output_mmr.size(),
            kernel_mmr_size: self.kernel_mmr.size(),
        };
        let first = pmmr::n_leaves(before.output_mmr_size);
        for output in body.outputs() {
            self.make(output, height);
        }
        for gone in &before.spent {
            self.unspent.remove(&gone.output.commitment());
            self.positions.remove(&gone.position);
        }
        self.record(body, height);
        let made = pmmr::n_leaves(self.output_mmr.size());
        self.bitmap.change(first..made, leaves(&before.spent));
        self.sums = sums;
        before
    }

    /// Adds an output that is unspent; tells its position.
    pub(super) fn make(&mut self, output: Output, height: u64) -> u64 {
        let position = self.output_mmr.push(output.identifier());
        self.proof_mmr.push(&output.inner().proof);
        self.positions.insert(position, output.commitment());
        let made = Unspent {
            position,
            height,
            output,
        };
        self.unspent.insert(made.output.commitment(), made);
        position
    }

    /// Adds a body's kernels.
    pub(super) fn record(&mut self, body: &Body, height: u64) {
        for kernel in body.kernels() {
            let position = self.kernel_mmr.push(kernel.inner());
            let recorded = self.kernels.entry(kernel.excess()).or_default();
            recorded.push(Recorded {
                kernel,
                position,
                height,
            });
        }
    }

    /// Takes back what `connect` did with the same body.
    pub(super) fn disconnect(&mut self, body: &Body, before: Before) {
        let made = pmmr::n_leaves(self.output_mmr.size());
        let first = pmmr::n_leaves(before.output_mmr_size);
        for kernel in body.kernels() {
            let excess = kernel.excess();
            if let Some(recorded) = self.kernels.get_mut(&excess) {
                recorded.pop();
                if recorded.is_empty() {
                    self.kernels.remove(&excess);
                }
            }
        }
        for output in body.outputs() {
            if let Some(made) = self.unspent.remove(&output.commitment()) {
                self.positions.remove(&made.position);
            }
        }
        self.bitmap.change(leaves(&before.spent), first..made);
        for back in before.spent {
            let commitment = back.output.commitment();
            self.positions.insert(back.position, commitment);
            self.unspent.insert(commitment, back);
        }
        self.output_mmr.truncate(before.output_mmr_size);
        self.proof_mmr.truncate(before.output_mmr_size);
        self.kernel_mmr.truncate(before.kernel_mmr_size);
        self.sums = before.sums;
    }
}

/// Which bits of the bitmap stand for these outputs.
fn leaves(spent: &[Unspent]) -> Vec<u64> {
    spent.iter().map(|gone| leaf(gone.position)).collect()
}
