//! Laying the remains of old blocks, from which a state begins without their bodies.

use super::check::Invalid;
use super::{ChainState, Sums};
use crate::curve;
use crate::remains::{Remains, Slot};

impl ChainState {
    /// Lays what is left of the next block.
    ///
    /// Hashes of spent outputs are taken as they are, and which outputs are unspent only adds up once
    /// the remains of all blocks up to some height are there. So the first whole block that is applied
    /// after them judges them all: its roots cover every leaf and what is unspent, its sums every
    /// output and kernel. Until then only those roots are compared that grow with each block.
    ///
    /// After an error the state is of no use.
    pub fn lay(&mut self, remains: &Remains) -> Result<(), Invalid> {
        let header = remains.header();
        if header.previous() != self.tip().hash() {
            return Err(Invalid::Orphan);
        }
        if header.previous_root() != self.header_mmr.root() {
            return Err(Invalid::InvalidRoot);
        }
        let sums = self.sums_after(remains)?;
        self.rules.enter();
        let mut outputs = remains.outputs();
        let mut left = Vec::new();
        for slot in remains.slots() {
            match slot {
                Slot::Spent { output, proof } => {
                    self.output_mmr.push_hash(*output);
                    self.proof_mmr.push_hash(*proof);
                }
                Slot::Left => {
                    let output = outputs.next().expect("as many as are left");
                    if self.unspent.contains_key(&output.commitment()) {
                        return Err(Invalid::DuplicateCommitment(output.commitment()));
                    }
                    let position = self.make(output, header.height());
                    left.push(position);
                }
            }
        }
        self.record(remains.body(), header.height());
        self.bitmap.change(left.into_iter().map(super::leaf), []);
        self.sums = sums;
        let same = header.kernel_root() == self.kernel_mmr.root()
            && header.range_proof_root() == self.proof_mmr.root();
        if !same {
            return Err(Invalid::InvalidRoot);
        }
        let same = header.kernel_mmr_size() == self.kernel_mmr.size()
            && header.output_mmr_size() == self.output_mmr.size();
        if !same {
            return Err(Invalid::InvalidSize);
        }
        self.push_header(header);
        Ok(())
    }

    /// What the chain's sums are once the last remains are laid.
    fn sums_after(&self, remains: &Remains) -> Result<Sums, Invalid> {
        let left = remains.outputs().map(|output| output.commitment());
        let reward = curve::reward()?;
        let excesses = remains.kernels().map(|kernel| kernel.excess());
        Ok(Sums {
            unspent: curve::sum(left.chain([self.sums.unspent]), [reward])?,
            kernels: curve::sum(excesses.chain([self.sums.kernels]), [])?,
        })
    }
}
