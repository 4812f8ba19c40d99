//! What the node API shows, as values: everything that depends on the state is looked up, nothing is
//! written yet. Writing is `http/show.rs`'s, outside of the node.

use peerage_mw::{Block, Commitment, Hash, Header, MerkleProof, Output, Recorded};

use super::types::View;

/// The last block, in brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tip {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash,
    /// The hash of the one before.
    pub previous: Hash,
    /// The work in the chain.
    pub total_difficulty: u64,
}

/// A block and how its outputs stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlockPage {
    /// The block.
    pub block: Block,
    /// Its outputs: all of them, or the coinbase ones if it is shown in compact form.
    pub outputs: Vec<OutputView>,
    /// What of it is shown.
    pub view: View,
    /// What its short ids are made with.
    pub nonce: u64,
}

/// An output and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputView {
    /// The output.
    pub output: Output,
    /// Whether it is spent.
    pub spent: bool,
    /// The block that made it.
    pub height: u64,
    /// Its position from 1; 0 if it is spent.
    pub position: u64,
    /// That it is in the range of outputs.
    pub merkle: Option<MerkleProof>,
    /// Whether its range proof is shown.
    pub proof: bool,
}

/// A block's outputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeightOutputs {
    /// The block's header.
    pub header: Header,
    /// Its outputs, some of them.
    pub outputs: Vec<OutputView>,
}

impl HeightOutputs {
    pub(super) const fn byte_size(&self) -> usize {
        OUTPUT_BYTES * self.outputs.len()
    }
}

/// Unspent outputs by position.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutputPage {
    /// The last position that there is, or that was asked for.
    pub highest: u64,
    /// The last position that was looked at.
    pub last: u64,
    /// The outputs.
    pub outputs: Vec<OutputView>,
}

impl OutputPage {
    pub(super) const fn byte_size(&self) -> usize {
        OUTPUT_BYTES * self.outputs.len()
    }
}

/// What an output keeps for itself alone: a pointer into its block, and a Merkle proof.
const OUTPUT_BYTES: usize = 512;

/// A kernel of the chain.
pub type KernelPage = Recorded;

/// That an output is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProofPage {
    /// The proof.
    pub proof: MerkleProof,
    /// The output's position from 1.
    pub position: u64,
}

/// How the node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusPage {
    /// How many peers are linked.
    pub connections: u64,
    /// The last block.
    pub tip: Tip,
    /// How far the chain is behind others.
    pub sync: SyncState,
}

/// How far the chain is behind others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncState {
    /// Nobody is there to compare with.
    AwaitingPeers,
    /// Blocks are missing.
    Bodies {
        /// How far they reach.
        current: u64,
        /// How far they should.
        highest: u64,
    },
    /// Headers are missing.
    Headers {
        /// How far they reach.
        current: u64,
        /// How far they should.
        highest: u64,
    },
    /// Nothing is missing.
    InSync,
}

/// A peer with which there is a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkPage {
    /// Where it is.
    pub addr: String,
    /// What it can do.
    pub capabilities: u32,
    /// Its release.
    pub user_agent: String,
    /// Whether we called it.
    pub outbound: bool,
    /// The work in its chain.
    pub total_difficulty: u64,
    /// The height of its chain.
    pub height: u64,
}

/// A peer as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerPage {
    /// Where it is.
    pub addr: String,
    /// What it can do.
    pub capabilities: u32,
    /// Its release.
    pub user_agent: String,
    /// `Healthy`, `Banned` or `Defunct`.
    pub flags: &'static str,
    /// When it was banned last, in seconds since the Unix epoch.
    pub last_banned: u64,
    /// `None`, or why it was banned.
    pub ban_reason: &'static str,
    /// When it was linked last, in seconds since the Unix epoch.
    pub last_connected: u64,
}

/// An unspent output, in brief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Its commitment.
    pub commitment: Commitment,
    /// The block that made it.
    pub height: u64,
    /// Its position from 1.
    pub position: u64,
}
