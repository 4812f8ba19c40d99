//! The stateless half of the checks: what follows from the bytes alone, and costs too much to be done
//! inline. Proofs and signatures of many jobs are checked together; if a batch fails, halves of it are
//! checked until the false ones are found, so a verdict never depends on the company it came in.

use core::fmt;

use grin_core::core::hash::Hashed;
use grin_core::core::{self as grin, TransactionBody, TxKernel, Weighting, transaction};
use grin_util::secp::{self, aggsig};

use crate::block::Block;
use crate::body::Body;
use crate::curve::{self, OffCurve, curve};
use crate::header::Header;
use crate::ids::{Commitment, Hash, Offset};
use crate::limits;
use crate::rules::Rules;
use crate::transaction::Transaction;

/// Something to be checked. Cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// A header by itself: version, proof of work, sizes.
    Header(Header),
    /// A block by itself: its header, proofs, signatures, sums, locks.
    Block {
        /// The block.
        block: Block,
        /// The total kernel offset of the header before it.
        previous_offset: Offset,
    },
    /// A transaction as somebody pushed it.
    Transaction(Transaction),
}

impl Job {
    /// A hash of everything the check reads, by which verdicts may be remembered. The rules are not
    /// in it.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut bytes = Vec::with_capacity(65);
        match self {
            Self::Header(header) => {
                bytes.push(0);
                bytes.extend(header.encode());
            }
            Self::Block {
                block,
                previous_offset,
            } => {
                bytes.push(1);
                bytes.extend(block.digest().0);
                bytes.extend(previous_offset.0);
            }
            Self::Transaction(transaction) => {
                bytes.push(2);
                bytes.extend(transaction.digest().0);
            }
        }
        Hashed::hash(&bytes).into()
    }

    fn body(&self) -> Option<&Body> {
        match self {
            Self::Header(_) => None,
            Self::Block { block, .. } => Some(block.body()),
            Self::Transaction(transaction) => Some(transaction.body()),
        }
    }
}

/// Nothing, or what is wrong.
pub type Verdict = Result<(), Fault>;

/// What is wrong with bytes, whatever chain they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    /// Rewards and fees do not add up to what the block's coinbase outputs hold.
    #[error("the coinbase holds another sum than reward and fees")]
    CoinbaseSumMismatch,
    /// It spends an output that it makes, or spends or makes one twice.
    #[error("an output is both made and spent, or twice either")]
    CutThrough,
    /// Two kernels with relative locks have the same excess.
    #[error("an excess with a relative lock occurs twice")]
    DoubledRelativeLock,
    /// A coinbase output or kernel in a transaction.
    #[error("a transaction holds a coinbase")]
    ForbiddenCoinbase,
    /// The header's version is not that of its height.
    #[error("the header's version is not that of its height")]
    InvalidBlockVersion,
    /// The solution is no cycle of the graph.
    #[error("no proof of work")]
    InvalidPow,
    /// A kernel's signature is not by its excess over its features.
    #[error("false kernel signature")]
    IncorrectSignature,
    /// A range proof does not prove its commitment.
    #[error("false range proof")]
    InvalidRangeProof,
    /// What is made, spent and paid differs from what the kernels promise.
    #[error("outputs, inputs and kernels do not balance")]
    KernelSumMismatch,
    /// A kernel waits for a greater height.
    #[error("a kernel is locked until height {0}")]
    LockHeight(u64),
    /// Bytes that are no point or number of the curve.
    #[error("not on the curve")]
    OffCurve,
    /// Relative locks before they exist, or where they are not enabled.
    #[error("relative locks are not allowed here")]
    RelativeLockNotAllowed,
    /// More outputs or kernels than blocks can have made.
    #[error("sizes that no chain of this height can have")]
    SizesImpossible,
    /// More than fits a block.
    #[error("too heavy")]
    TooHeavy,
    /// Lists out of order or with doubles.
    #[error("out of order")]
    Unsorted,
}

impl From<OffCurve> for Fault {
    fn from(_: OffCurve) -> Self {
        Self::OffCurve
    }
}

/// Checks jobs by the rules of one chain. It keeps nothing between calls; one per thread is good, and
/// none of them waits for another.
#[derive(Clone)]
pub struct Verifier {
    rules: Rules,
}

impl Verifier {
    /// A verifier. The first one in a process prepares the curve's tables, which takes about 10 ms.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        curve();
        Self { rules }
    }

    /// By which rules it checks.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({})", self.rules.chain.name())
    }
}

/// Checks each job; the verdicts come in the order of the jobs.
///
/// Cheap checks come first, so a job that fails one costs no proof. Where a job breaks several rules,
/// the verdict names the first of: header, shape, locks, sums, range proofs, signatures.
pub fn check(verifier: &mut Verifier, jobs: &[Job]) -> Vec<Verdict> {
    let rules = verifier.rules;
    rules.enter();
    let mut verdicts: Vec<Verdict> = jobs.iter().map(|job| check_cheaply(&rules, job)).collect();
    // Those still standing, by what their proofs and then their signatures say.
    for (weigh, prove, most) in [
        (
            outputs_in as Weigh,
            proofs_hold as Prove,
            limits::BATCH_PROOFS_MAX,
        ),
        (kernels_in, signatures_hold, limits::BATCH_SIGNATURES_MAX),
    ] {
        let standing = jobs
            .iter()
            .enumerate()
            .filter(|(at, _)| verdicts[*at].is_ok());
        let bodies: Vec<(usize, &TransactionBody)> = standing
            .filter_map(|(at, job)| Some((at, &*job.body()?.0)))
            .filter(|(_, body)| weigh(body) > 0)
            .collect();
        for batch in batches(&bodies, weigh, most) {
            bisect(batch, prove, &mut verdicts);
        }
    }
    verdicts
}

type Weigh = fn(&TransactionBody) -> usize;
type Prove = fn(&[(usize, &TransactionBody)]) -> Verdict;

fn outputs_in(body: &TransactionBody) -> usize {
    body.outputs.len()
}

fn kernels_in(body: &TransactionBody) -> usize {
    body.kernels.len()
}

/// Cuts a list into runs of at most `most` proofs; a body with more is a run of its own.
fn batches<'a, 'b>(
    bodies: &'b [(usize, &'a TransactionBody)],
    weigh: Weigh,
    most: usize,
) -> Vec<&'b [(usize, &'a TransactionBody)]> {
    let mut batches = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (at, (_, body)) in bodies.iter().enumerate() {
        let weight = weigh(body);
        if at > start && sum + weight > most {
            batches.push(&bodies[start..at]);
            (start, sum) = (at, 0);
        }
        sum += weight;
    }
    batches.push(&bodies[start..]);
    batches
}

/// Writes the verdict of each false job: all hold, or one is false, or each half is looked at.
fn bisect(batch: &[(usize, &TransactionBody)], prove: Prove, verdicts: &mut [Verdict]) {
    let Err(fault) = prove(batch) else {
        return;
    };
    if let [(at, _)] = batch {
        verdicts[*at] = Err(fault);
        return;
    }
    let (left, right) = batch.split_at(batch.len() / 2);
    bisect(left, prove, verdicts);
    bisect(right, prove, verdicts);
}

fn proofs_hold(batch: &[(usize, &TransactionBody)]) -> Verdict {
    let outputs = || batch.iter().flat_map(|(_, body)| &body.outputs);
    let commitments: Vec<_> = outputs().map(grin::Output::commitment).collect();
    if commitments.is_empty() {
        return Ok(());
    }
    let proofs: Vec<_> = outputs().map(grin::Output::proof).collect();
    let proved = curve().verify_bullet_proof_multi(commitments, proofs, None);
    match proved {
        Ok(_) => Ok(()),
        Err(secp::Error::InvalidCommit) => Err(Fault::OffCurve),
        Err(_) => Err(Fault::InvalidRangeProof),
    }
}

fn signatures_hold(batch: &[(usize, &TransactionBody)]) -> Verdict {
    let (mut signatures, mut messages, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for kernel in batch.iter().flat_map(|(_, body)| &body.kernels) {
        signatures.push(kernel.excess_sig);
        keys.push(
            kernel
                .excess
                .to_pubkey(curve())
                .map_err(|_| Fault::OffCurve)?,
        );
        let message = kernel
            .msg_to_sign()
            .map_err(|_| Fault::IncorrectSignature)?;
        messages.push(message);
    }
    if keys.is_empty() || aggsig::verify_batch(curve(), &signatures, &messages, &keys) {
        return Ok(());
    }
    Err(Fault::IncorrectSignature)
}

fn check_cheaply(rules: &Rules, job: &Job) -> Verdict {
    match job {
        Job::Header(header) => check_header(rules, header),
        Job::Block {
            block,
            previous_offset,
        } => check_block(rules, block, *previous_offset),
        Job::Transaction(transaction) => check_transaction(rules, transaction),
    }
}

/// What a header shows by itself, our clock apart.
///
/// Rule: reading of `UntrustedBlockHeader` in grin_core.
fn check_header(rules: &Rules, header: &Header) -> Verdict {
    if header.version() != rules.header_version(header.height()) {
        return Err(Fault::InvalidBlockVersion);
    }
    if !header.proves_work(rules) {
        return Err(Fault::InvalidPow);
    }
    let made = TransactionBody::weight_by_iok(0, header.output_count(), header.kernel_count());
    let blocks = header.height().saturating_add(1);
    if made > rules.block_weight_max().saturating_mul(blocks) {
        return Err(Fault::SizesImpossible);
    }
    Ok(())
}

fn check_block(rules: &Rules, block: &Block, previous_offset: Offset) -> Verdict {
    let header = block.header();
    check_header(rules, header)?;
    let body = &*block.body().0;
    check_shape(body, Weighting::AsBlock)?;
    for kernel in &body.kernels {
        check_locks(rules, kernel, header)?;
    }
    check_coinbase(body, block.fees())?;
    let offset = block_offset(header.total_kernel_offset(), previous_offset)?;
    let reward = curve::unblinded(Rules::reward(0))?;
    check_sums(body, offset, [], [reward])
}

fn check_transaction(rules: &Rules, transaction: &Transaction) -> Verdict {
    rules.enter();
    let body = &*transaction.body().0;
    check_shape(body, Weighting::AsTransaction)?;
    body.verify_features()
        .map_err(|_| Fault::ForbiddenCoinbase)?;
    let fee = match transaction.fee() {
        0 => None,
        fee => Some(curve::unblinded(fee)?),
    };
    check_sums(body, transaction.offset(), fee, [])
}

fn check_shape(body: &TransactionBody, weighting: Weighting) -> Verdict {
    match body.validate_read(weighting) {
        Ok(()) => Ok(()),
        Err(transaction::Error::TooHeavy) => Err(Fault::TooHeavy),
        Err(transaction::Error::InvalidNRDRelativeHeight) => Err(Fault::DoubledRelativeLock),
        Err(transaction::Error::CutThrough) => Err(Fault::CutThrough),
        Err(_) => Err(Fault::Unsorted),
    }
}

fn check_locks(rules: &Rules, kernel: &TxKernel, header: &Header) -> Verdict {
    match kernel.features {
        grin::KernelFeatures::Plain { .. } | grin::KernelFeatures::Coinbase => Ok(()),
        grin::KernelFeatures::HeightLocked { lock_height, .. } => {
            if lock_height > header.height() {
                return Err(Fault::LockHeight(lock_height));
            }
            Ok(())
        }
        grin::KernelFeatures::NoRecentDuplicate { .. } => {
            if !rules.relative_locks || header.version() < 4 {
                return Err(Fault::RelativeLockNotAllowed);
            }
            Ok(())
        }
    }
}

/// Coinbase outputs hold what the coinbase kernels sign for, and reward and fees.
fn check_coinbase(body: &TransactionBody, fees: u64) -> Verdict {
    let outputs = body.outputs.iter().filter(|output| output.is_coinbase());
    let kernels = body.kernels.iter().filter(|kernel| kernel.is_coinbase());
    let claimed = curve::unblinded(Rules::reward(fees))?;
    let made = curve::sum(outputs.map(|it| it.commitment().into()), [claimed]);
    let signed = curve::sum(kernels.map(|it| it.excess.into()), []);
    if made.is_err() || made != signed {
        return Err(Fault::CoinbaseSumMismatch);
    }
    Ok(())
}

/// This block's own share of the total offset.
fn block_offset(total: Offset, previous: Offset) -> Result<Offset, OffCurve> {
    if total == previous {
        return Ok(Offset::ZERO);
    }
    curve::sum_offsets([total], [previous])
}

/// Outputs without inputs equal the excesses with the offset; what is paid or claimed is added.
fn check_sums(
    body: &TransactionBody,
    offset: Offset,
    paid: impl IntoIterator<Item = Commitment>,
    claimed: impl IntoIterator<Item = Commitment>,
) -> Verdict {
    let made = body
        .outputs
        .iter()
        .map(|it| Commitment::from(it.commitment()));
    let inputs: Vec<grin::CommitWrapper> = (&body.inputs).into();
    let spent = inputs.iter().map(|it| Commitment::from(it.commitment()));
    let balance = curve::sum(made.chain(paid), spent.chain(claimed))?;
    let excesses = body.kernels.iter().map(|it| Commitment::from(it.excess));
    let promised = curve::sum(excesses.chain(curve::offset_point(offset)?), [])?;
    if balance == promised {
        Ok(())
    } else {
        Err(Fault::KernelSumMismatch)
    }
}
