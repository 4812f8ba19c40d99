//! A block: a header and what it moves.

use core::fmt;
use std::sync::Arc;

use grin_core::core::hash::Hashed;
use grin_core::core::{self as grin, Inputs, TransactionBody, Weighting};

use crate::body::{Body, Input, Kernel, Output};
use crate::decode::{self, DecodeError, FeaturesUnknown, Format};
use crate::header::Header;
use crate::ids::Hash;
use crate::rules::Rules;

/// A block that was decoded: lists in order and without doubles, no heavier than a block may be, no
/// input that spends an output of its own. Everything else is to be checked. Clones share one value.
#[derive(Clone)]
pub struct Block {
    header: Header,
    body: Body,
    digest: Hash,
}

impl Block {
    /// Reads a block; bytes that follow it are ignored.
    pub fn decode(rules: &Rules, format: Format, bytes: &[u8]) -> Result<Self, DecodeError> {
        let block: grin::Block = decode::read(rules, format, bytes)?;
        let header = Header::new(rules, block.header)?;
        let light = block.body.validate_read(Weighting::AsBlock);
        light.map_err(|_| DecodeError::Corrupted)?;
        Ok(Self::assemble(header, block.body))
    }

    pub(crate) fn assemble(header: Header, body: TransactionBody) -> Self {
        let bare = decode::write(&body, Format::V3).expect("every input has a bare form");
        let mut all = header.encode().to_vec();
        all.extend(bare);
        Self {
            digest: Hashed::hash(&all).into(),
            header,
            body: Body(Arc::new(body)),
        }
    }

    /// Its bytes. In formats 1 and 2 this needs inputs with features: see [`Self::with_features`].
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, FeaturesUnknown> {
        let mut bytes = self.header.encode().to_vec();
        bytes.extend(decode::write(&*self.body.0, format)?);
        Ok(bytes)
    }

    /// The same block whose inputs tell their features, for formats that need them. `spent` are the
    /// outputs it spends, in any order; nothing if they are not exactly those.
    #[must_use]
    pub fn with_features(&self, spent: &[Output]) -> Option<Self> {
        let identifiers: Vec<_> = spent.iter().map(|output| *output.identifier()).collect();
        let inputs = Inputs::from(identifiers.as_slice());
        let bare: Vec<grin::CommitWrapper> = (&inputs).into();
        if bare != self.body.bare_inputs() {
            return None;
        }
        let body = TransactionBody::clone(&self.body.0).replace_inputs(inputs);
        Some(Self {
            body: Body(Arc::new(body)),
            ..self.clone()
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header's hash, which names the block. See [`Header::hash`].
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    /// The hash of all that a stateless check reads: header, commitments spent, outputs with proofs,
    /// kernels with signatures.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.digest
    }

    pub(crate) fn body(&self) -> &Body {
        &self.body
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
    pub fn fees(&self) -> u64 {
        self.body.0.fee()
    }

    /// Inputs 1, outputs 21, kernels 3.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.body.0.weight()
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        // Input by input: without any, nothing tells one format from another.
        self.digest == other.digest && self.body.inputs() == other.body.inputs()
    }
}

impl Eq for Block {}

impl core::hash::Hash for Block {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (height, hash) = (self.header.height(), self.hash());
        let body = &self.body.0;
        let (inputs, outputs) = (body.inputs.len(), body.outputs.len());
        let kernels = body.kernels.len();
        write!(
            f,
            "Block({height}, {hash:?}, {inputs} in, {outputs} out, {kernels} kernels)"
        )
    }
}
