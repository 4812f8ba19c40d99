//! What the mempool endpoints are asked and answer, and what the room remembers.

use std::sync::Arc;

use super::command::Command;
use super::insert::InsertError;
use super::key::{RequestKey, TxHash};
use crate::calls::Charge;
use crate::commons::sessions::SessionId;
use crate::event::events;
use crate::input::RequestId;
use crate::rows::{Record, RowError, VALUE_VERSION, payload};

/// A chain's number, below the network's number of chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub u8);

impl core::fmt::Display for ChainId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Request {
    /// Of which chain.
    pub chain: ChainId,
    /// What.
    pub body: Query,
}

/// What can be asked of one chain's mempool.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Query {
    /// `POST getPending`: what is pending, or what is new since a mark.
    GetPending(Option<Mark>),
    /// `PUT insert`: commands to be validated and kept.
    Insert(Vec<Arc<Command>>),
    /// `POST lookup`: the commands of these hashes.
    Lookup(Vec<RequestKey>),
    /// `POST member`: whether these hashes are pending.
    Member(Vec<RequestKey>),
}

/// A point in a pool's history: valid while the server runs, and for 2,048 insertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Drawn by the server when it starts; any signed 64-bit number.
    pub nonce: i64,
    /// How many insertions there were.
    pub since: i64,
}

impl Request {
    /// The commands or keys that the request carries; commands may be shared with a pool.
    pub(crate) fn byte_size(&self) -> usize {
        match &self.body {
            Query::GetPending(_) => 0,
            Query::Insert(commands) => commands.iter().map(|command| command.byte_size()).sum(),
            Query::Lookup(keys) | Query::Member(keys) => keys.len() * size_of::<RequestKey>(),
        }
    }

    /// What is asked, as a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.body {
            Query::GetPending(_) => "get_pending",
            Query::Insert(_) => "insert",
            Query::Lookup(_) => "lookup",
            Query::Member(_) => "member",
        }
    }

    /// What a stock node counts the request as.
    #[must_use]
    pub const fn charge(&self) -> Option<Charge> {
        Some(Charge {
            mempool: true,
            put_peer: false,
        })
    }

    /// Nodes read all answers again.
    #[must_use]
    pub const fn answer_is_read(&self) -> bool {
        true
    }
}

/// What can be answered.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Response {
    /// Too many checks are under way.
    Busy,
    /// For [`Query::Lookup`]: in the order asked.
    Found(Vec<Option<Arc<Command>>>),
    /// For [`Query::Insert`], whatever became of the commands.
    Inserted,
    /// For [`Query::Member`]: in the order asked.
    Members(Vec<bool>),
    /// The node does not serve that chain.
    NoSuchChain,
    /// For [`Query::GetPending`].
    Pending {
        /// Hashes, each once.
        hashes: Vec<TxHash>,
        /// The mark to ask with next time.
        mark: Mark,
    },
    /// For [`Query::Lookup`]: the commands are too large for one answer.
    TooMuch,
}

impl Response {
    /// The list that the answer carries; commands are a pool's.
    pub(crate) fn byte_size(&self) -> usize {
        match self {
            Self::Busy | Self::Inserted | Self::NoSuchChain | Self::TooMuch => 0,
            Self::Found(found) => size_of_val(found.as_slice()),
            Self::Members(members) => members.len(),
            Self::Pending { hashes, .. } => size_of_val(hashes.as_slice()),
        }
    }

    /// The status under which the answer goes out.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Busy => 503,
            Self::NoSuchChain => 404,
            Self::TooMuch => 413,
            Self::Found(_) | Self::Inserted | Self::Members(_) | Self::Pending { .. } => 200,
        }
    }
}

impl core::hash::Hash for Command {
    /// Tells commands apart by the digest that each of them keeps.
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

/// What to do once a call is answered or a check is done.
#[derive(Clone, Debug)]
pub enum Then {
    /// The hashes that a session's peer has pending.
    Hashes {
        /// The session.
        session: SessionId,
    },
    /// Commands that were missing here.
    Fetched {
        /// The session.
        session: SessionId,
    },
    /// Commands were given to a session's peer.
    Pushed {
        /// The session.
        session: SessionId,
    },
    /// A command's signatures were checked.
    Checked {
        /// The batch it is part of.
        batch: u64,
        /// Its place in the batch.
        place: usize,
    },
}

/// Why to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A session polls its peer again.
    Poll(SessionId),
    /// Expired commands leave the pools.
    Prune,
    /// Accepted commands are given to a session's peer.
    Push(SessionId),
    /// More of what was pending when the node stopped is checked again.
    Reload,
}

/// A pending command; a hint, because a mempool may lose it.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Row {
    /// Pending on a chain, as its canonical text.
    Pending(ChainId, TxHash, Option<Arc<Command>>),
}

const PENDING: u8 = 0x20;

impl Row {
    /// The table tags that the room owns.
    pub const TABLES: core::ops::RangeInclusive<u8> = 0x20..=0x2f;
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        let Self::Pending(chain, hash, _) = self;
        let mut key = vec![PENDING, chain.0];
        key.extend_from_slice(&hash.0);
        key
    }

    fn value(&self) -> Option<Vec<u8>> {
        let Self::Pending(_, _, command) = self;
        command.as_ref().map(|command| {
            let mut value = vec![VALUE_VERSION];
            value.extend_from_slice(command.canonical_text().as_bytes());
            value
        })
    }

    fn deletes(&self) -> bool {
        matches!(self, Self::Pending(_, _, None))
    }

    fn lazy(&self) -> bool {
        true
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let (table, chain, hash) = match key {
            [table, chain, hash @ ..] => (*table, *chain, hash),
            _ => {
                return Err(RowError::DamagedKey {
                    table: key.first().copied().unwrap_or(0),
                });
            }
        };
        if table != PENDING {
            return Err(RowError::UnknownTable { table });
        }
        let hash = hash
            .try_into()
            .map_err(|_| RowError::DamagedKey { table })?;
        let damaged = |reason: String| RowError::DamagedValue { table, reason };
        let text = core::str::from_utf8(payload(table, value)?)
            .map_err(|error| damaged(error.to_string()))?;
        let command = Command::decode(text).map_err(|error| damaged(error.to_string()))?;
        Ok(Self::Pending(
            ChainId(chain),
            TxHash(hash),
            Some(Arc::new(command)),
        ))
    }
}

events! {
    /// What the room does that is worth counting.
    pub enum Event {
        /// A command was taken into a pool.
        TxAccepted { /** Its chain. */ chain: ChainId, /** Its hash. */ hash: TxHash } = "tx_accepted", "transaction taken on chain {chain}: {hash}";
        /// Expired commands have left a pool.
        TxExpired { /** Their chain. */ chain: ChainId, /** How many. */ count: usize } = "tx_expired", "{count} transactions expired on chain {chain}";
        /// A pool is full; a valid command was dropped.
        TxDropped { /** Its chain. */ chain: ChainId, /** Its hash. */ hash: TxHash } = "tx_dropped_pool_full", "transaction dropped on chain {chain}, the pool is full: {hash}";
        /// A command was given to a peer.
        TxPushed { /** Their chain. */ chain: ChainId, /** How many. */ count: usize } = "tx_pushed", "{count} transactions pushed on chain {chain}";
        /// What a peer has pending was asked for in slices, because it is a lot.
        FetchSliced { /** The chain. */ chain: ChainId, /** How many. */ count: usize } = "tx_fetch_sliced", "{count} transactions of chain {chain} are fetched in slices";
        /// A pending command was inserted again.
        TxRepeated { /** Its chain. */ chain: ChainId, /** Its hash. */ hash: TxHash } = "tx_repeated", "transaction inserted again on chain {chain}: {hash}";
        /// A command is not valid.
        TxRejected { /** Its chain. */ chain: ChainId, /** Its declared hash. */ hash: RequestKey, /** Why. */ error: Box<InsertError> } = "tx_rejected", "transaction rejected on chain {chain}: {hash}: {error}";
        /// Commands of a peer were fetched.
        TxFetched { /** Their chain. */ chain: ChainId, /** How many. */ count: usize } = "tx_fetched", "{count} transactions fetched on chain {chain}";
        /// A peer was asked what it has pending.
        Polled { /** The chain. */ chain: ChainId } = "mempool_polled", "a peer was asked what it has pending on chain {chain}";
    }
}

/// Who waits for a batch of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The disk: what was pending when the node stopped.
    Reload,
    /// A request to insert.
    Request(RequestId),
    /// A session that fetched.
    Session(SessionId),
}
