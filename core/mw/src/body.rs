//! What blocks and transactions have in common: inputs, outputs, kernels. All views share the body
//! they look into, so keeping an output keeps a pointer, not 700 bytes.

use core::fmt;
use std::sync::Arc;

use grin_core::core::hash::Hashed;
use grin_core::core::id::ShortIdentifiable;
use grin_core::core::{self as grin, CommitWrapper, TransactionBody};

use crate::curve::curve;
use crate::ids::{Commitment, Hash};

/// Bytes of a range proof.
pub const PROOF_BYTES: usize = 675;

/// Whether an output was a reward, for which it must wait to be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputFeatures {
    /// Made by a transaction.
    Plain,
    /// Made by a block as its reward.
    Coinbase,
}

impl From<grin::OutputFeatures> for OutputFeatures {
    fn from(features: grin::OutputFeatures) -> Self {
        match features {
            grin::OutputFeatures::Plain => Self::Plain,
            grin::OutputFeatures::Coinbase => Self::Coinbase,
        }
    }
}

impl From<OutputFeatures> for grin::OutputFeatures {
    fn from(features: OutputFeatures) -> Self {
        match features {
            OutputFeatures::Plain => Self::Plain,
            OutputFeatures::Coinbase => Self::Coinbase,
        }
    }
}

/// What is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// Which output.
    pub commitment: Commitment,
    /// Of which kind the spender says it is, where the format has room for saying so.
    pub features: Option<OutputFeatures>,
}

/// A body, shared.
#[derive(Clone)]
pub(crate) struct Body(pub(crate) Arc<TransactionBody>);

impl Body {
    pub(crate) fn inputs(&self) -> Vec<Input> {
        match &self.0.inputs {
            grin::Inputs::CommitOnly(inputs) => inputs
                .iter()
                .map(|input| Input {
                    commitment: input.commitment().into(),
                    features: None,
                })
                .collect(),
            grin::Inputs::FeaturesAndCommit(inputs) => inputs
                .iter()
                .map(|input| Input {
                    commitment: input.commit.into(),
                    features: Some(input.features.into()),
                })
                .collect(),
        }
    }

    /// The inputs in the order of the third format.
    pub(crate) fn bare_inputs(&self) -> Vec<CommitWrapper> {
        (&self.0.inputs).into()
    }

    pub(crate) fn outputs(&self) -> impl ExactSizeIterator<Item = Output> + '_ {
        (0..self.0.outputs.len()).map(|index| Output {
            body: self.clone(),
            index,
        })
    }

    pub(crate) fn kernels(&self) -> impl ExactSizeIterator<Item = Kernel> + '_ {
        (0..self.0.kernels.len()).map(|index| Kernel {
            body: self.clone(),
            index,
        })
    }
}

/// An output: a commitment, its kind, and the proof that its value is no negative number.
#[derive(Clone)]
pub struct Output {
    body: Body,
    index: usize,
}

impl Output {
    pub(crate) fn inner(&self) -> &grin::Output {
        &self.body.0.outputs[self.index]
    }

    pub(crate) fn identifier(&self) -> &grin::OutputIdentifier {
        &self.inner().identifier
    }

    /// The point that hides its value.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        self.inner().commitment().into()
    }

    /// Of which kind it is.
    #[must_use]
    pub fn features(&self) -> OutputFeatures {
        self.inner().features().into()
    }

    /// Whether it is a reward.
    #[must_use]
    pub fn is_coinbase(&self) -> bool {
        self.inner().is_coinbase()
    }

    /// The range proof, [`PROOF_BYTES`] long.
    #[must_use]
    pub fn proof(&self) -> &[u8] {
        self.inner().proof_bytes()
    }

    /// The hash of the proof as it is serialized, its length included.
    #[must_use]
    pub fn proof_hash(&self) -> Hash {
        Hashed::hash(&self.inner().proof).into()
    }
}

impl PartialEq for Output {
    fn eq(&self, other: &Self) -> bool {
        // The library's own equality leaves out the proof.
        self.inner() == other.inner() && self.proof() == other.proof()
    }
}

impl Eq for Output {}

impl core::hash::Hash for Output {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.commitment().hash(state);
        self.proof().hash(state);
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({:?}, {:?})", self.features(), self.commitment())
    }
}

/// What a kernel promises, by kind. Fees are in nanogrin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelFeatures {
    /// A transaction.
    Plain {
        /// What its miner gets.
        fee: Fee,
    },
    /// A block's reward.
    Coinbase,
    /// A transaction that no block below a height may hold.
    HeightLocked {
        /// What its miner gets.
        fee: Fee,
        /// The least height.
        lock_height: u64,
    },
    /// A transaction whose excess may not have occurred within so many blocks before.
    NoRecentDuplicate {
        /// What its miner gets.
        fee: Fee,
        /// How many blocks, at least 1 and at most a week of them.
        relative_height: u64,
    },
}

/// A fee with its shift: the fee must pay for as many times its weight as the shift doubles.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fee(pub(crate) u64);

impl Fee {
    /// A fee of `value` nanogrin and no shift; from 1 up to 2^40 - 1.
    #[must_use]
    pub fn new(value: u64) -> Option<Self> {
        let fields = grin::FeeFields::new(0, value).ok()?;
        Some(Self(fields.into()))
    }

    /// A fee of `value` nanogrin that counts less by `shift` powers of two, from 0 up to 15.
    #[must_use]
    pub fn with_shift(value: u64, shift: u8) -> Option<Self> {
        let fields = grin::FeeFields::new(u64::from(shift), value).ok()?;
        Some(Self(fields.into()))
    }

    /// All 64 bits as they are written: 20 unused, 4 of shift, 40 of value.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Nanogrin.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0 & ((1 << 40) - 1)
    }

    /// By how many powers of two it counts less when a pool weighs it.
    #[must_use]
    pub const fn shift(self) -> u8 {
        (self.0 >> 40) as u8 & 0xf
    }
}

impl fmt::Debug for Fee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fee({} >> {})", self.value(), self.shift())
    }
}

impl From<grin::KernelFeatures> for KernelFeatures {
    fn from(features: grin::KernelFeatures) -> Self {
        match features {
            grin::KernelFeatures::Plain { fee } => Self::Plain {
                fee: Fee(fee.into()),
            },
            grin::KernelFeatures::Coinbase => Self::Coinbase,
            grin::KernelFeatures::HeightLocked { fee, lock_height } => Self::HeightLocked {
                fee: Fee(fee.into()),
                lock_height,
            },
            grin::KernelFeatures::NoRecentDuplicate {
                fee,
                relative_height,
            } => Self::NoRecentDuplicate {
                fee: Fee(fee.into()),
                relative_height: relative_height.into(),
            },
        }
    }
}

impl KernelFeatures {
    /// As stock nodes name the kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "Plain",
            Self::Coinbase => "Coinbase",
            Self::HeightLocked { .. } => "HeightLocked",
            Self::NoRecentDuplicate { .. } => "NoRecentDuplicate",
        }
    }

    /// Its fee; none for a reward.
    #[must_use]
    pub const fn fee(&self) -> Option<Fee> {
        match *self {
            Self::Coinbase => None,
            Self::Plain { fee }
            | Self::HeightLocked { fee, .. }
            | Self::NoRecentDuplicate { fee, .. } => Some(fee),
        }
    }
}

/// A kernel: the public remainder of a transaction, and the signature by it.
#[derive(Clone)]
pub struct Kernel {
    body: Body,
    index: usize,
}

impl Kernel {
    pub(crate) fn inner(&self) -> &grin::TxKernel {
        &self.body.0.kernels[self.index]
    }

    /// Kind, fee and locks.
    #[must_use]
    pub fn features(&self) -> KernelFeatures {
        self.inner().features.into()
    }

    /// The excess, as a commitment to zero.
    #[must_use]
    pub fn excess(&self) -> Commitment {
        self.inner().excess.into()
    }

    /// The signature as it lies in a block's bytes.
    #[must_use]
    pub fn signature(&self) -> [u8; 64] {
        self.inner().excess_sig.to_raw_data()
    }

    /// The signature in the curve's compact form, which part of the API shows.
    #[must_use]
    pub fn compact_signature(&self) -> [u8; 64] {
        self.inner().excess_sig.serialize_compact(curve())
    }

    /// The hash by which kernels are compared and ordered.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hashed::hash(self.inner()).into()
    }

    /// The short name of this kernel in a compact form of the block with hash `block`.
    #[must_use]
    pub fn short_id(&self, block: Hash, nonce: u64) -> [u8; 6] {
        let id = self.inner().short_id(&block.into(), nonce);
        let mut bytes = [0; 6];
        bytes.copy_from_slice(id.as_ref());
        bytes
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for Kernel {}

impl core::hash::Hash for Kernel {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        Self::hash(self).hash(state);
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({:?}, {:?})", self.features(), self.excess())
    }
}
