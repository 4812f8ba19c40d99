//! A transaction, and what pools do with several: weigh, pay, aggregate, take apart.

use core::fmt;
use std::sync::Arc;

use grin_core::core::hash::Hashed;
use grin_core::core::{self as grin, CommitWrapper, Inputs};

use crate::body::{Body, Input, Kernel, KernelFeatures, Output};
use crate::curve::{self, OffCurve};
use crate::decode::{self, DecodeError, FeaturesUnknown, Format};
use crate::ids::{Commitment, Hash, Offset};
use crate::rules::{FeeRule, Rules};

/// A transaction that was decoded: lists in order and without doubles, no heavier than fits a block,
/// nothing in it of a coinbase, no input that spends its own output. Proofs, signatures and sums are to
/// be checked. Clones share one value.
#[derive(Clone)]
pub struct Transaction {
    offset: Offset,
    body: Body,
    digest: Hash,
}

impl Transaction {
    /// Reads a transaction; bytes that follow it are ignored.
    pub fn decode(rules: &Rules, format: Format, bytes: &[u8]) -> Result<Self, DecodeError> {
        decode::read(rules, format, bytes).map(Self::new)
    }

    pub(crate) fn new(transaction: grin::Transaction) -> Self {
        let bare = decode::write(&transaction, Format::V3).expect("every input has a bare form");
        Self {
            digest: Hashed::hash(&bare).into(),
            offset: Offset::from(&transaction.offset),
            body: Body(Arc::new(transaction.body)),
        }
    }

    /// Its bytes. In formats 1 and 2 this needs inputs with features: see [`Self::with_features`].
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, FeaturesUnknown> {
        let mut bytes = self.offset.0.to_vec();
        bytes.extend(decode::write(&*self.body.0, format)?);
        Ok(bytes)
    }

    /// The same transaction whose inputs tell their features, for formats that need them. `spent` are
    /// the outputs it spends, in any order; nothing if they are not exactly those.
    #[must_use]
    pub fn with_features(&self, spent: &[Output]) -> Option<Self> {
        let identifiers: Vec<_> = spent.iter().map(|output| *output.identifier()).collect();
        let inputs = Inputs::from(identifiers.as_slice());
        let bare: Vec<CommitWrapper> = (&inputs).into();
        if bare != self.body.bare_inputs() {
            return None;
        }
        let body = grin::TransactionBody::clone(&self.body.0).replace_inputs(inputs);
        Some(Self {
            body: Body(Arc::new(body)),
            ..self.clone()
        })
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
    }

    fn to_grin(&self) -> grin::Transaction {
        grin::Transaction {
            offset: self.offset.into(),
            body: grin::TransactionBody::clone(&self.body.0),
        }
    }

    /// The hash that names it among nodes. It covers neither proofs nor, in a way, how inputs are
    /// written: where it matters whether two are equal, compare them or their digests.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hashed::hash(&self.to_grin()).into()
    }

    /// The hash of all that a stateless check reads: offset, commitments spent, outputs with proofs,
    /// kernels with signatures.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// What is to be added to the sum of its excesses.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// What it spends.
    #[must_use]
    pub fn inputs(&self) -> Vec<Input> {
        self.body.inputs()
    }

    /// What it makes.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = Output> + '_ {
        self.body.outputs()
    }

    /// By whose authority.
    pub fn kernels(&self) -> impl ExactSizeIterator<Item = Kernel> + '_ {
        self.body.kernels()
    }

    /// The sum of its fees, in nanogrin.
    #[must_use]
    pub fn fee(&self) -> u64 {
        self.body.0.fee()
    }

    /// The greatest shift among its fees.
    #[must_use]
    pub fn fee_shift(&self) -> u8 {
        self.body.0.fee_shift()
    }

    /// What it weighs in a block: inputs 1, outputs 21, kernels 3.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.body.0.weight()
    }

    /// What so many inputs, outputs and kernels weigh in a block.
    #[must_use]
    pub fn weight_of(inputs: u64, outputs: u64, kernels: u64) -> u64 {
        grin::Transaction::weight_by_iok(inputs, outputs, kernels)
    }

    /// The greatest height for which one of its kernels waits; zero without any.
    #[must_use]
    pub fn lock_height(&self) -> u64 {
        self.body.0.lock_height()
    }

    /// Whether some kernel has a relative lock.
    #[must_use]
    pub fn has_relative_lock(&self) -> bool {
        self.body.0.kernels.iter().any(|kernel| kernel.is_nrd())
    }

    /// What it must pay to be taken into a pool, and whether it does.
    ///
    /// Rule: `accept_fee` and `shifted_fee` of release 5, the weights of release 4.
    #[must_use]
    pub fn pays(&self, rule: FeeRule) -> bool {
        self.fee_counted(rule) >= self.fee_asked(rule)
    }

    /// The least fee that `rule` asks, in nanogrin.
    #[must_use]
    pub fn fee_asked(&self, rule: FeeRule) -> u64 {
        match rule {
            FeeRule::V4 { base } => {
                let body = &self.body.0;
                let count = |list: usize| list as u64;
                let weight = grin::Transaction::old_weight_by_iok(
                    count(body.inputs.len()),
                    count(body.outputs.len()),
                    count(body.kernels.len()),
                );
                weight.saturating_mul(base)
            }
            FeeRule::V5 { base } => self.weight().saturating_mul(base),
        }
    }

    /// What its fee counts for under `rule`, in nanogrin.
    #[must_use]
    pub fn fee_counted(&self, rule: FeeRule) -> u64 {
        match rule {
            FeeRule::V4 { .. } => self.fee(),
            FeeRule::V5 { .. } => self.body.0.shifted_fee(),
        }
    }

    /// Fee per weight, by which pools order what they hold.
    #[must_use]
    pub fn fee_rate(&self) -> u64 {
        self.fee() / self.weight().max(1)
    }

    /// Whether both have the same kernels, by which pools recognise what they have.
    #[must_use]
    pub fn same_kernels(&self, other: &Self) -> bool {
        self.body.0.kernels == other.body.0.kernels
    }

    /// Whether each kernel of this one is among those of `other`.
    #[must_use]
    pub fn kernels_within(&self, other: &Self) -> bool {
        let others = &other.body.0.kernels;
        let mut kernels = self.body.0.kernels.iter();
        kernels.all(|kernel| others.binary_search(kernel).is_ok())
    }
}

/// Why transactions cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// Two of them spend or make the same output, and no third one makes up for it.
    #[error("an output is spent or made twice")]
    Doubled,
    /// Their offsets have no sum.
    #[error(transparent)]
    Offsets(#[from] OffCurve),
}

/// Makes one transaction of several: outputs that one makes and another spends vanish, all kernels
/// stay, offsets are summed up. Of none it makes the empty one.
///
/// The result may be too heavy for a block; [`Transaction::weight`] tells.
///
/// Rule: `transaction::aggregate` of grin_core, which for a single one changes nothing.
pub fn aggregate(transactions: &[Transaction]) -> Result<Transaction, AggregateError> {
    if let [single] = transactions {
        return Ok(single.clone());
    }
    let mut inputs: Vec<CommitWrapper> = Vec::new();
    let mut outputs: Vec<grin::Output> = Vec::new();
    let mut kernels: Vec<grin::TxKernel> = Vec::new();
    for transaction in transactions {
        inputs.extend(transaction.body.bare_inputs());
        outputs.extend_from_slice(&transaction.body.0.outputs);
        kernels.extend_from_slice(&transaction.body.0.kernels);
    }
    let cut = grin::transaction::cut_through(&mut inputs, &mut outputs);
    let (inputs, outputs, _, _) = cut.map_err(|_| AggregateError::Doubled)?;
    let offset = curve::sum_offsets(transactions.iter().map(|it| it.offset), [])?;
    let whole = grin::Transaction::new(Inputs::from(inputs), outputs, &kernels);
    Ok(Transaction::new(whole.with_offset(offset.into())))
}

/// What is left of `whole` when `parts` are taken out of it. That the parts are in it is the caller's
/// knowledge: see [`Transaction::kernels_within`].
///
/// Rule: `transaction::deaggregate` of grin_core.
pub fn deaggregate(
    whole: &Transaction,
    parts: &[Transaction],
) -> Result<Transaction, AggregateError> {
    let parts = aggregate(parts)?;
    let (all, gone) = (&whole.body, &parts.body);
    let spent = gone.bare_inputs();
    let inputs: Vec<CommitWrapper> = all
        .bare_inputs()
        .into_iter()
        .filter(|input| spent.binary_search(input).is_err())
        .collect();
    let outputs: Vec<grin::Output> = without(&all.0.outputs, &gone.0.outputs);
    let kernels: Vec<grin::TxKernel> = without(&all.0.kernels, &gone.0.kernels);
    let offset = curve::subtract_offset(whole.offset, parts.offset)?;
    let rest = grin::Transaction::new(Inputs::from(inputs.as_slice()), &outputs, &kernels);
    Ok(Transaction::new(rest.with_offset(offset.into())))
}

fn without<T: Ord + Copy>(all: &[T], gone: &[T]) -> Vec<T> {
    let kept = all.iter().filter(|it| gone.binary_search(it).is_err());
    kept.copied().collect()
}

/// The commitments of every input and output, by which pools find who depends on whom.
impl Transaction {
    /// Whether it spends `commitment`.
    #[must_use]
    pub fn spends(&self, commitment: Commitment) -> bool {
        self.inputs()
            .iter()
            .any(|input| input.commitment == commitment)
    }

    /// The height locks and relative locks of its kernels.
    pub fn features(&self) -> impl Iterator<Item = KernelFeatures> + '_ {
        self.kernels().map(|kernel| kernel.features())
    }
}

impl PartialEq for Transaction {
    fn eq(&self, other: &Self) -> bool {
        // Input by input: without any, nothing tells one format from another.
        self.digest == other.digest && self.body.inputs() == other.body.inputs()
    }
}

impl Eq for Transaction {}

impl core::hash::Hash for Transaction {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.body.0;
        let (inputs, outputs) = (body.inputs.len(), body.outputs.len());
        let kernels = body.kernels.len();
        let digest = self.digest;
        write!(
            f,
            "Transaction({digest:?}, {inputs} in, {outputs} out, {kernels} kernels)"
        )
    }
}
