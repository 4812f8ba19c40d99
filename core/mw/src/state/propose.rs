//! The next block, but for its proof of work: transactions and a reward put together on a state.

use grin_core::core::{self as grin, BlockHeader, TransactionBody, Weighting};
use grin_core::pow::{Difficulty, Proof, ProofOfWork};
use grin_core::{global, ser};

use super::ChainState;
use super::check::Invalid;
use crate::block::Block;
use crate::body::{Body, Output};
use crate::curve;
use crate::difficulty::Target;
use crate::header::Header;
use crate::rules::Rules;
use crate::transaction::{self, AggregateError, Transaction};

/// A reward: its output and the kernel that signs for it. Made by [`crate::Wallet::coinbase`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coinbase {
    pub(crate) fees: u64,
    pub(crate) body: Body,
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.outputs().eq(other.outputs())
            && self.kernels().eq(other.kernels())
            && self.0.inputs == other.0.inputs
    }
}

impl Eq for Body {}

impl core::fmt::Debug for Body {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list()
            .entries(self.outputs())
            .entries(self.kernels())
            .finish()
    }
}

impl Coinbase {
    pub(crate) fn new(fees: u64, output: grin::Output, kernel: grin::TxKernel) -> Self {
        let body = TransactionBody {
            inputs: grin::Inputs::default(),
            outputs: vec![output],
            kernels: vec![kernel],
        };
        Self {
            fees,
            body: Body(body.into()),
        }
    }

    /// The fees it claims on top of the reward, in nanogrin.
    #[must_use]
    pub fn fees(&self) -> u64 {
        self.fees
    }

    /// The output that holds the reward.
    #[must_use]
    pub fn output(&self) -> Output {
        self.body.outputs().next().expect("a reward is one output")
    }
}

/// Why no block can be made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The transactions do not go together.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// The reward claims other fees than the transactions pay.
    #[error("the reward claims {claimed} of fees, the transactions pay {paid}")]
    FeesDiffer {
        /// What the reward was made for.
        claimed: u64,
        /// What there is.
        paid: u64,
    },
    /// They do not fit the state.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The block would be out of shape: too heavy, or an output made and spent.
    #[error("too heavy for a block, or an output both made and spent")]
    Misshapen,
    /// A block must be later than the one before it, and no date is.
    #[error("the block before has no later date")]
    NoLaterDate,
}

/// A block without proof of work. [`crate::Miner`] finds it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) rules: Rules,
    pub(crate) header: BlockHeader,
    pub(crate) body: TransactionBody,
    pub(crate) target: Target,
}

impl Draft {
    /// What the proof of work must reach.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// The block's height.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.header.height
    }
}

impl ChainState {
    /// Puts the next block together. Its date is `wall_secs`, or the second after the block before if
    /// our clock is behind that. The state is changed and changed back.
    ///
    /// Transactions are taken as they are: whether their proofs hold is [`crate::check`]'s.
    pub fn propose(
        &mut self,
        transactions: &[Transaction],
        coinbase: &Coinbase,
        wall_secs: i64,
    ) -> Result<Draft, ProposeError> {
        let whole = transaction::aggregate(transactions)?;
        if coinbase.fees != whole.fee() {
            return Err(ProposeError::FeesDiffer {
                claimed: coinbase.fees,
                paid: whole.fee(),
            });
        }
        let body = self.body_of(&whole, coinbase)?;
        let previous = self.tip().clone();
        let height = previous.height() + 1;
        let lock = whole.lock_height();
        if lock > height {
            return Err(Invalid::LockHeight(lock).into());
        }
        let spent = self.spendable(&body, height)?;
        self.check_relative_locks(&body, height)?;
        let offsets = [previous.total_kernel_offset(), whole.offset()];
        let offset = curve::sum_offsets(offsets, []).map_err(Invalid::from)?;
        let sums = self.sums_with(&body, offset)?;
        let before = self.connect(&body, height, spent, sums);
        let roots = self.roots();
        self.disconnect(&body, before);
        let later = previous.timestamp().checked_add(1);
        let later = later.ok_or(ProposeError::NoLaterDate)?.max(wall_secs);
        let target = self.next_target();
        let version = self.rules.header_version(height);
        let mut header = self.dated(later).ok_or(ProposeError::NoLaterDate)?;
        header.version = grin::HeaderVersion(version);
        header.height = height;
        header.prev_hash = previous.hash().into();
        header.prev_root = roots.headers.into();
        header.output_root = roots.output_root(version).into();
        header.range_proof_root = roots.range_proofs.into();
        header.kernel_root = roots.kernels.into();
        header.total_kernel_offset = offset.into();
        header.output_mmr_size = roots.output_mmr_size;
        header.kernel_mmr_size = roots.kernel_mmr_size;
        let total = previous
            .total_difficulty()
            .saturating_add(target.difficulty);
        header.pow.total_difficulty = Difficulty::from_num(total);
        header.pow.secondary_scaling = target.secondary_scaling;
        Ok(Draft {
            rules: self.rules,
            header,
            body: TransactionBody::clone(&body.0),
            target,
        })
    }

    fn body_of(&self, whole: &Transaction, coinbase: &Coinbase) -> Result<Body, ProposeError> {
        self.rules.enter();
        let mut body = TransactionBody::clone(&whole.body().0);
        body.outputs.extend_from_slice(&coinbase.body.0.outputs);
        body.kernels.extend_from_slice(&coinbase.body.0.kernels);
        body.sort();
        let shape = body.validate_read(Weighting::AsBlock);
        shape.map_err(|_| ProposeError::Misshapen)?;
        Ok(Body(body.into()))
    }

    /// An empty header of this date; none for dates that cannot be written.
    fn dated(&self, timestamp: i64) -> Option<BlockHeader> {
        self.rules.enter();
        empty_header(timestamp)
    }
}

/// A header that says nothing but its date. The library's own constructors read the system's clock or
/// want its calendar, so it is read from bytes.
pub(crate) fn empty_header(timestamp: i64) -> Option<BlockHeader> {
    let pow = ProofOfWork {
        proof: Proof::zero(global::proofsize()),
        ..ProofOfWork::default()
    };
    let mut bytes = ser::ser_vec(
        &BlockHeader {
            pow,
            ..BlockHeader::default()
        },
        ser::ProtocolVersion(3),
    )
    .ok()?;
    // Version and height come before it.
    bytes[10..18].copy_from_slice(&timestamp.to_be_bytes());
    let mode = ser::DeserializationMode::Full;
    ser::deserialize(&mut &bytes[..], ser::ProtocolVersion(3), mode).ok()
}

/// The block of a header that was mined.
pub(crate) fn finish(draft: &Draft, header: BlockHeader) -> Block {
    let header = Header::new(&draft.rules, header).expect("mined with the chain's own edge bits");
    Block::assemble(header, draft.body.clone())
}
