//! What the Mimblewimble chain is asked and answers, by operators' clients and by other nodes.

use std::sync::Arc;

use bytes::Bytes;
use peerage_mw::{Block, Chain, Commitment, Hash, Header, Transaction};

use super::page::{
    BlockPage, Found, HeightOutputs, KernelPage, LinkPage, OutputPage, PeerPage, ProofPage,
    StatusPage, Tip,
};
use super::source::Source;
use crate::calls::Charge;
use crate::commons::address::HostAddr;
use crate::event::events;
use crate::input::RequestId;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Request {
    /// Of the node API, for operators and their clients.
    Ask(Ask),
    /// Of one node by another.
    Between(Chain, Between),
}

/// The node API v1.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Ask {
    /// One block.
    Block(Name, View),
    /// The outputs of blocks.
    ByHeight(Arc<Heights>),
    /// Unspent outputs by their commitments.
    ByIds(Arc<[Commitment]>),
    /// The last block.
    Chain,
    /// Forget what is no longer of use.
    Compact,
    /// The peers with which there is a link.
    Connected,
    /// One header, or that of the block that made an unspent output.
    Header(Name),
    /// From where to where the outputs of some heights lie.
    HeightsToPositions {
        /// The first height.
        start: u64,
        /// The last one; the chain's if it is zero or not there.
        end: Option<u64>,
    },
    /// What there is to ask.
    Index,
    /// The newest kernel with an excess.
    Kernel {
        /// The excess.
        excess: Commitment,
        /// The least height.
        from: Option<u64>,
        /// The greatest height.
        to: Option<u64>,
    },
    /// The newest leaves of a range.
    Last(Range, u64),
    /// Something that is refused, once the caller has shown who it is.
    Malformed(Arc<Malformed>),
    /// That an unspent output is in the range of outputs.
    MerkleProof(Option<Commitment>),
    /// Unspent outputs by position.
    Outputs {
        /// The first position, from 1.
        start: u64,
        /// How many.
        max: u64,
        /// The last position.
        end: Option<u64>,
    },
    /// One peer.
    Peer(HostAddr),
    /// All peers.
    Peers,
    /// How many transactions wait.
    Pool,
    /// Take a transaction.
    Push {
        /// The transaction.
        transaction: Arc<Transaction>,
        /// Whether to spread it at once.
        fluff: bool,
    },
    /// The roots of the last block.
    Roots,
    /// How the node is.
    Status,
    /// Go over the whole chain again.
    Validate {
        /// Whether by POST, as one document has it.
        post: bool,
    },
    /// Which release this is.
    Version,
}

/// How a block is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// At least 32 bytes: a hash or a commitment.
    Digits(Arc<[u8]>),
    /// By height.
    Height(u64),
}

/// What of a block is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// Coinbase outputs and kernels, and short ids of the other kernels.
    pub compact: bool,
    /// With range proofs.
    pub proofs: bool,
    /// Without Merkle proofs.
    pub no_merkle: bool,
}

/// Outputs of which blocks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heights {
    /// The first height.
    pub start: u64,
    /// The last height.
    pub end: u64,
    /// Only these, if there are any.
    pub only: Vec<Commitment>,
    /// With range proofs.
    pub proofs: bool,
}

/// One of the three ranges whose leaves are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// Of kernels.
    Kernels,
    /// Of outputs.
    Outputs,
    /// Of range proofs.
    RangeProofs,
}

/// A question that cannot be answered, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Malformed {
    /// Whether it was a POST.
    pub post: bool,
    /// The path, and the query with its question mark.
    pub target: String,
    /// The body.
    pub body: Bytes,
    /// The answer's status.
    pub status: u16,
    /// The answer's text.
    pub text: String,
}

/// What nodes ask each other.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Between {
    /// There is a new block.
    Announce(Header),
    /// Give blocks. At most [`crate::limits::GRIN_BLOCKS_MAX`].
    Blocks(Arc<[Hash]>),
    /// Give headers after the first of these that is known. At most
    /// [`crate::limits::GRIN_LOCATOR_MAX`].
    Headers(Arc<[Hash]>),
    /// Here I am.
    Hello(Arc<Hello>),
    /// Take a transaction.
    Relay {
        /// Whether it is not to be spread yet.
        stem: bool,
        /// The transaction.
        transaction: Arc<Transaction>,
    },
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Hello {
    /// The hash of its first block, in hex.
    pub genesis: String,
    /// Where its P2P listener is, as `host:port`.
    pub address: String,
    /// Release.
    pub user_agent: String,
    /// What it can do, as bits.
    pub capabilities: u32,
    /// The height of its chain.
    pub height: u64,
    /// The work in its chain.
    pub total_difficulty: u64,
    /// The hash of its last block, in hex.
    pub tip: String,
}

impl Request {
    /// How much memory the request keeps for itself alone, roughly.
    pub(crate) fn byte_size(&self) -> usize {
        match self {
            Self::Between(_, Between::Blocks(hashes) | Between::Headers(hashes)) => {
                32 * hashes.len()
            }
            Self::Ask(_) | Self::Between(..) => 0,
        }
    }

    /// What is asked, as a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ask(ask) => ask.name(),
            Self::Between(_, between) => match between {
                Between::Announce(_) => "announce",
                Between::Blocks(_) => "blocks",
                Between::Headers(_) => "headers",
                Between::Hello(_) => "hello",
                Between::Relay { stem: true, .. } => "stem",
                Between::Relay { stem: false, .. } => "transaction",
            },
        }
    }

    /// Stock Chainweb nodes do not have these endpoints.
    #[must_use]
    pub const fn charge(&self) -> Option<Charge> {
        None
    }

    /// Nodes read what nodes answer. What the node API shows is less than it was made from.
    #[must_use]
    pub const fn answer_is_read(&self) -> bool {
        matches!(self, Self::Between(..))
    }
}

impl Ask {
    const fn name(&self) -> &'static str {
        match self {
            Self::Block(..) => "block",
            Self::ByHeight(_) => "outputs_by_height",
            Self::ByIds(_) => "outputs_by_ids",
            Self::Chain => "chain",
            Self::Compact => "compact",
            Self::Connected => "peers_connected",
            Self::Header(_) => "header",
            Self::HeightsToPositions { .. } => "heights",
            Self::Index => "index",
            Self::Kernel { .. } => "kernel",
            Self::Last(..) => "last",
            Self::Malformed(_) => "malformed",
            Self::MerkleProof(_) => "merkle_proof",
            Self::Outputs { .. } => "outputs",
            Self::Peer(_) => "peer",
            Self::Peers => "peers",
            Self::Pool => "pool",
            Self::Push { .. } => "push",
            Self::Roots => "roots",
            Self::Status => "status",
            Self::Validate { .. } => "validate",
            Self::Version => "version",
        }
    }
}

/// What can be answered.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Response {
    /// One block.
    Block(Arc<BlockPage>),
    /// Blocks for another node.
    Blocks(Arc<[Block]>),
    /// Outputs of blocks, the highest first.
    ByHeight(Arc<[HeightOutputs]>),
    /// Unspent outputs, in brief.
    ByIds(Arc<[Found]>),
    /// The links.
    Connected(Arc<[LinkPage]>),
    /// It is so: `{}`.
    Done,
    /// Something goes wrong; the text says what.
    Failed(u16, Arc<str>),
    /// One header.
    Header(Header),
    /// Headers for another node.
    Headers(Arc<[Header]>),
    /// Hashes of leaves.
    Hashes(Arc<[Hash]>),
    /// What the other node says of itself.
    Hello(Arc<Hello>),
    /// What there is to ask.
    Index,
    /// A kernel, if there is one.
    Kernel(Option<Arc<KernelPage>>),
    /// That an output is there.
    MerkleProof(Arc<ProofPage>),
    /// There is no such thing.
    NotFound,
    /// Unspent outputs.
    Outputs(Arc<OutputPage>),
    /// One peer.
    Peer(Arc<PeerPage>),
    /// All peers.
    Peers(Arc<[PeerPage]>),
    /// How many transactions wait.
    Pool(u64),
    /// The transaction is taken.
    Pushed,
    /// The roots of a header.
    Roots(Header),
    /// How the node is.
    Status(Arc<StatusPage>),
    /// The last block.
    Tip(Tip),
    /// The caller has not shown who it is.
    Unauthorized,
    /// The version of the last header.
    Version(u16),
}

impl Response {
    /// How much memory the answer keeps for itself alone, roughly. Blocks are shared.
    pub(crate) fn byte_size(&self) -> usize {
        match self {
            Self::ByHeight(blocks) => blocks.iter().map(HeightOutputs::byte_size).sum(),
            Self::ByIds(found) => 64 * found.len(),
            Self::Connected(links) => 128 * links.len(),
            Self::Hashes(hashes) => 32 * hashes.len(),
            Self::Outputs(page) => page.byte_size(),
            Self::Peers(peers) => 128 * peers.len(),
            Self::Block(_)
            | Self::Blocks(_)
            | Self::Done
            | Self::Failed(..)
            | Self::Header(_)
            | Self::Headers(_)
            | Self::Hello(_)
            | Self::Index
            | Self::Kernel(_)
            | Self::MerkleProof(_)
            | Self::NotFound
            | Self::Peer(_)
            | Self::Pool(_)
            | Self::Pushed
            | Self::Roots(_)
            | Self::Status(_)
            | Self::Tip(_)
            | Self::Unauthorized
            | Self::Version(_) => 0,
        }
    }

    /// The status under which the answer goes out.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Failed(status, _) => *status,
            Self::NotFound => 404,
            Self::Unauthorized => 401,
            Self::Block(_)
            | Self::Blocks(_)
            | Self::ByHeight(_)
            | Self::ByIds(_)
            | Self::Connected(_)
            | Self::Done
            | Self::Header(_)
            | Self::Headers(_)
            | Self::Hashes(_)
            | Self::Hello(_)
            | Self::Index
            | Self::Kernel(_)
            | Self::MerkleProof(_)
            | Self::Outputs(_)
            | Self::Peer(_)
            | Self::Peers(_)
            | Self::Pool(_)
            | Self::Pushed
            | Self::Roots(_)
            | Self::Status(_)
            | Self::Tip(_)
            | Self::Version(_) => 200,
        }
    }
}

/// What to do once a call is answered or something long is done.
#[derive(Clone, Debug)]
pub enum Then {
    /// A block was announced.
    Announced(HostAddr),
    /// Blocks were asked for.
    Blocks {
        /// Of whom.
        of: HostAddr,
        /// Which.
        hashes: Arc<[Hash]>,
    },
    /// Blocks are checked.
    BlocksChecked {
        /// Whose they are.
        from: Source,
        /// The blocks.
        blocks: Arc<[Block]>,
    },
    /// Headers were asked for.
    Headers {
        /// Of whom.
        of: HostAddr,
    },
    /// Headers are checked.
    HeadersChecked {
        /// Whose they are.
        from: Source,
        /// The headers.
        headers: Arc<[Header]>,
    },
    /// A peer was greeted.
    Greeted(HostAddr),
    /// A transaction went to another node.
    Relayed {
        /// To whom.
        to: HostAddr,
        /// Its digest, if it must be spread should that have failed.
        stem: Option<Hash>,
    },
    /// A validation has come a step further.
    Replayed,
    /// Another branch is worked out.
    Turned,
    /// A reward is made, in this attempt at a block.
    Rewarded(u64),
    /// A block was searched for, in this attempt.
    Searched(u64),
    /// Transactions are checked.
    TransactionsChecked(Arc<[Arrival]>),
}

/// A transaction on its way into the pool.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The transaction.
    pub transaction: Arc<Transaction>,
    /// Whether it is not to be spread yet.
    pub stem: bool,
    /// Where it comes from.
    pub from: Source,
    /// Who waits for the answer.
    pub waiter: Option<RequestId>,
}

/// Why to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The chain is still on its way to the branch with the most work.
    Advance,
    /// More of the chain is to be compacted.
    Compact,
    /// The next block of our own is due.
    Mine,
    /// The stem pool is to be looked at.
    Monitor,
    /// Transactions may wait again after a reorganisation.
    Readmit,
    /// Transactions of a former run are to be checked.
    Reload,
    /// Something long goes on.
    Scan,
    /// Somebody new may be there to be linked.
    Seek,
    /// Blocks or headers are missing.
    Sync,
    /// Links are to be looked after.
    Tend,
}

events! {
    /// What the room does that is worth counting.
    pub enum Event {
        /// A block became part of the chain.
        BlockAccepted { /** Its height. */ height: u64, /** Its hash. */ hash: Hash } = "grin_block_accepted", "block {height} is {hash}";
        /// A block or a header is wrong.
        BlockRefused { /** Its height. */ height: u64, /** Why. */ why: Arc<str> } = "grin_block_refused", "refused block {height}: {why}";
        /// A block of our own was found.
        BlockMined { /** Its height. */ height: u64 } = "grin_block_mined", "mined block {height}";
        /// A file's chain was taken in, as far as it is right.
        ChainImported { /** The height reached. */ height: u64, /** What ended it too early, or nothing. */ why: Arc<str> } = "grin_chain_imported", "imported blocks up to {height}{why}";
        /// A share of a file's chain is being checked.
        ChainImporting { /** The height of its last block. */ height: u64, /** That of the file's. */ last: u64 } = "grin_chain_importing", "importing blocks up to {height} of {last}";
        /// Old blocks were compacted.
        Compacted { /** The height up to which. */ height: u64 } = "grin_compacted", "compacted the chain up to {height}";
        /// A stem transaction was spread because nobody else did.
        EmbargoEnded = "grin_embargo_ended", "spread a transaction that nobody else did";
        /// A new epoch of Dandelion began.
        EpochBegan { /** Whether transactions are passed on unseen. */ stem: bool } = "grin_epoch_began", "an epoch began; stem: {stem}";
        /// A call came under no certificate, or without a link.
        ImpostorRefused = "grin_impostor_refused", "refused a call that does not show who makes it";
        /// A peer is linked.
        LinkBegan { /** Where it is. */ addr: HostAddr } = "grin_link_began", "linked with {addr}";
        /// A link is over.
        LinkEnded { /** Where it was. */ addr: HostAddr } = "grin_link_ended", "no longer linked with {addr}";
        /// A peer was banned for what it sent.
        PeerPunished { /** Who. */ addr: HostAddr, /** Why. */ why: Arc<str> } = "grin_peer_punished", "banned {addr}: {why}";
        /// The chain changed its branch.
        Reorganised { /** Blocks taken back. */ depth: u64, /** The new height. */ height: u64 } = "grin_reorganised", "another branch has more work: {depth} blocks taken back, now at {height}";
        /// A branch with more work cannot be taken, because too many blocks would have to go.
        ReorganisationTooDeep { /** Blocks. */ depth: u64 } = "grin_reorganisation_too_deep", "a branch with more work would take back {depth} blocks, which is too deep";
        /// A transaction was taken.
        TransactionAccepted { /** Whether it is not yet spread. */ stem: bool } = "grin_transaction_accepted", "took a transaction; stem: {stem}";
        /// A transaction left the pool because it no longer fits.
        TransactionDropped = "grin_transaction_dropped", "a transaction no longer fits the chain";
        /// A transaction left the pool because others pay more.
        TransactionEvicted = "grin_transaction_evicted", "a transaction made room for others that pay more";
        /// A transaction was not taken.
        TransactionRefused { /** Why. */ why: Arc<str> } = "grin_transaction_refused", "refused a transaction: {why}";
        /// A table was full.
        TableFull { /** Which. */ table: &'static str } = "grin_table_full", "no room for more {table}";
        /// The chain was gone over again.
        Validated { /** Whether it is right. */ good: bool } = "grin_validated", "validated the chain; good: {good}";
    }
}
