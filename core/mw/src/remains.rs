//! What is left of an old block: everything that later blocks and questions still need, and nothing of
//! outputs that were spent but the hashes by which they stand in the ranges.

use core::fmt;
use std::sync::Arc;

use grin_core::core::hash::Hashed;
use grin_core::core::{Inputs, TransactionBody};
use grin_core::ser::PMMRIndexHashable;

use crate::block::Block;
use crate::body::{Body, Kernel, Output};
use crate::decode::{self, DecodeError, Format};
use crate::header::Header;
use crate::ids::Hash;
use crate::limits;
use crate::rules::Rules;
use crate::state::Unspent;

/// A block without its inputs and without what was spent of its outputs. Header and kernels are whole.
/// Clones share one value.
///
/// Laid one upon the other with [`crate::ChainState::lay`], the remains of all blocks up to a height
/// give the state after it, if what was unspent after that height is what is left of them.
#[derive(Clone)]
pub struct Remains(Arc<Inner>);

struct Inner {
    header: Header,
    /// The kernels and the outputs that are left; no inputs.
    body: Body,
    /// One for each output that the block made.
    slots: Vec<Slot>,
    digest: Hash,
}

/// What is left of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// It is the next one of those that are left.
    Left,
    /// It was spent; these are its leaves.
    Spent {
        /// In the range of outputs.
        output: Hash,
        /// In the range of proofs.
        proof: Hash,
    },
}

const LEFT: u8 = 0;
const SPENT: u8 = 1;

impl Remains {
    /// All of a block but its inputs.
    #[must_use]
    pub fn of(block: &Block) -> Self {
        let body = TransactionBody {
            inputs: Inputs::default(),
            ..TransactionBody::clone(&block.body().0)
        };
        let slots = vec![Slot::Left; body.outputs.len()];
        Self::assemble(block.header().clone(), body, slots)
    }

    /// The same without an output that was spent; nothing if that is not among what is left.
    #[must_use]
    pub fn without(&self, spent: &Unspent) -> Option<Self> {
        let commitment = spent.output.commitment();
        let mut left = self.outputs();
        let index = left.position(|output| output.commitment() == commitment)?;
        let mut slots = self.0.slots.clone();
        let mut of_left = slots.iter_mut().filter(|slot| **slot == Slot::Left);
        let slot = of_left.nth(index)?;
        let (output, position) = (spent.output.inner(), spent.position);
        *slot = Slot::Spent {
            output: output.identifier.hash_with_index(position).into(),
            proof: output.proof.hash_with_index(position).into(),
        };
        let mut body = TransactionBody::clone(&self.0.body.0);
        body.outputs.remove(index);
        Some(Self::assemble(self.0.header.clone(), body, slots))
    }

    fn assemble(header: Header, body: TransactionBody, slots: Vec<Slot>) -> Self {
        let body = Body(Arc::new(body));
        let bytes = write(&header, &body, &slots);
        Self(Arc::new(Inner {
            digest: Hashed::hash(&bytes).into(),
            header,
            body,
            slots,
        }))
    }

    /// Reads what [`Self::encode`] wrote. Bytes that follow it are ignored.
    pub fn decode(rules: &Rules, bytes: &[u8]) -> Result<Self, DecodeError> {
        let short = || DecodeError::Corrupted;
        let (count, mut rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let count = usize::from(u16::from_be_bytes(*count));
        if count > limits::REMAINS_OUTPUTS_MAX {
            return Err(DecodeError::TooLarge);
        }
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let (kind, more) = rest.split_first().ok_or_else(short)?;
            rest = more;
            slots.push(match *kind {
                LEFT => Slot::Left,
                SPENT => {
                    let (output, more) = rest.split_first_chunk().ok_or_else(short)?;
                    let (proof, more) = more.split_first_chunk().ok_or_else(short)?;
                    rest = more;
                    Slot::Spent {
                        output: Hash(*output),
                        proof: Hash(*proof),
                    }
                }
                _ => return Err(DecodeError::Corrupted),
            });
        }
        let header = Header::decode(rules, rest)?;
        let rest = &rest[header.encode().len()..];
        let body: TransactionBody = decode::read(rules, Format::V3, rest)?;
        let left = slots.iter().filter(|slot| **slot == Slot::Left).count();
        if left != body.outputs.len() || !body.inputs.is_empty() {
            return Err(DecodeError::Corrupted);
        }
        Ok(Self::assemble(header, body, slots))
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(&self.0.header, &self.0.body, &self.0.slots)
    }

    /// The hash of all that it says.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.0.digest
    }

    /// The block's header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.0.header
    }

    /// The outputs that are left.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = Output> + '_ {
        self.0.body.outputs()
    }

    /// The block's kernels.
    pub fn kernels(&self) -> impl ExactSizeIterator<Item = Kernel> + '_ {
        self.0.body.kernels()
    }

    pub(crate) fn body(&self) -> &Body {
        &self.0.body
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.0.slots
    }
}

fn write(header: &Header, body: &Body, slots: &[Slot]) -> Vec<u8> {
    let count = u16::try_from(slots.len()).expect("a block has room for fewer outputs");
    let mut bytes = count.to_be_bytes().to_vec();
    for slot in slots {
        match slot {
            Slot::Left => bytes.push(LEFT),
            Slot::Spent { output, proof } => {
                bytes.push(SPENT);
                bytes.extend(output.0);
                bytes.extend(proof.0);
            }
        }
    }
    bytes.extend(header.encode());
    bytes.extend(
        decode::write(&*body.0, Format::V3).expect("without inputs there is nothing to tell"),
    );
    bytes
}

impl PartialEq for Remains {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Remains {}

impl core::hash::Hash for Remains {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl fmt::Debug for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, made) = (self.outputs().len(), self.0.slots.len());
        write!(f, "Remains({:?}, {left} of {made} outputs)", self.0.header)
    }
}
