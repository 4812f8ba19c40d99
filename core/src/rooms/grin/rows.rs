//! What the room keeps, as rows: the blocks of the main chain by height, or what is left of them, which
//! are promised; what is known of peers and which transactions wait, which are hints.
//!
//! Of a reorganisation all rows are in one commit, so a start finds one whole branch or the other.
//! Blocks and transactions are consensus bytes behind a byte that names their chain and one that names
//! their format. What is left of a block takes the block's place, and tells so in the first of these.

use std::sync::Arc;

use peerage_mw::{Block, Chain, Hash, Remains, Rules, Transaction};
use serde::{Deserialize, Serialize};

use super::item;
use crate::commons::address::HostAddr;
use crate::rows::{Record, RowError, VALUE_VERSION, from_json_value, json_value, payload};

/// A durable key with its value or its absence.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Row {
    /// The block of this height in the main chain.
    Block(u64, Option<StoredBlock>),
    /// What is known of a peer: a hint.
    Peer(HostAddr, Option<PeerRecord>),
    /// A transaction that waits, by its digest: a hint.
    Pending(Hash, Option<StoredTransaction>),
    /// What is left of the block of this height, in its place.
    Remains(u64, StoredRemains),
}

/// A block and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredBlock {
    /// Its chain.
    pub chain: Chain,
    /// The block.
    pub block: Block,
}

/// What is left of a block and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredRemains {
    /// Its chain.
    pub chain: Chain,
    /// What is left.
    pub remains: Remains,
}

/// A transaction and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredTransaction {
    /// Its chain.
    pub chain: Chain,
    /// The transaction.
    pub transaction: Arc<Transaction>,
}

/// What is known of a peer, as it is stored. Times are in seconds since the Unix epoch; zero is never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerRecord {
    /// `host:port`, in the spelling it was met with.
    pub address: String,
    /// What it can do.
    pub capabilities: u32,
    /// Its release.
    pub user_agent: String,
    /// Whether it could not be linked the last time.
    pub defunct: bool,
    /// When it was banned last.
    pub last_banned: u64,
    /// When it was linked last.
    pub last_connected: u64,
}

const BLOCK: u8 = 0x50;
const PEER: u8 = 0x51;
const PENDING: u8 = 0x52;

/// Set in the byte that names the chain where only the remains of a block are left.
const REMAINS: u8 = 0x80;

impl Row {
    /// The table tags that the room owns.
    pub const TABLES: core::ops::RangeInclusive<u8> = 0x50..=0x5f;
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        let (table, field) = match self {
            Self::Block(height, _) | Self::Remains(height, _) => {
                (BLOCK, height.to_be_bytes().to_vec())
            }
            Self::Peer(addr, _) => {
                // Host names compare without case, so their keys are in one case.
                (PEER, addr.to_string().to_ascii_lowercase().into_bytes())
            }
            Self::Pending(digest, _) => (PENDING, digest.0.to_vec()),
        };
        let mut key = vec![table];
        key.extend(field);
        key
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Block(_, value) => value.as_ref().map(|stored| {
                let bytes = item::write(|format| stored.block.encode(format));
                of_chain(stored.chain, &bytes)
            }),
            Self::Peer(_, value) => value.as_ref().map(json_value),
            Self::Pending(_, value) => value.as_ref().map(|stored| {
                let bytes = item::write(|format| stored.transaction.encode(format));
                of_chain(stored.chain, &bytes)
            }),
            Self::Remains(_, stored) => {
                let mut value = of_chain(stored.chain, &stored.remains.encode());
                value[1] |= REMAINS;
                Some(value)
            }
        }
    }

    fn deletes(&self) -> bool {
        matches!(
            self,
            Self::Block(_, None) | Self::Peer(_, None) | Self::Pending(_, None)
        )
    }

    fn lazy(&self) -> bool {
        !matches!(self, Self::Block(..) | Self::Remains(..))
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let Some((&table, field)) = key.split_first() else {
            return Err(RowError::DamagedKey { table: 0 });
        };
        let damaged_key = RowError::DamagedKey { table };
        match table {
            BLOCK => {
                let height = field.try_into().map_err(|_| damaged_key.clone())?;
                let height = u64::from_be_bytes(height);
                if value.get(1).is_some_and(|kind| kind & REMAINS != 0) {
                    return decode_remains(height, value);
                }
                let (chain, bytes) = chain_of(table, value)?;
                let block = item::read(&Rules::of(chain), bytes, Block::decode);
                let block = block.map_err(|error| damaged(table, &error))?;
                if block.header().height() != height {
                    return Err(damaged_key);
                }
                Ok(Self::Block(height, Some(StoredBlock { chain, block })))
            }
            PEER => {
                let record: PeerRecord = from_json_value(table, value)?;
                // The record keeps the spelling that the key has lost.
                let addr: HostAddr = record.address.parse().map_err(|_| damaged_key.clone())?;
                if addr.to_string().to_ascii_lowercase().as_bytes() != field {
                    return Err(damaged_key);
                }
                Ok(Self::Peer(addr, Some(record)))
            }
            PENDING => {
                let (chain, bytes) = chain_of(table, value)?;
                let transaction = item::read(&Rules::of(chain), bytes, Transaction::decode);
                let transaction = transaction.map_err(|error| damaged(table, &error))?;
                let digest = transaction.digest();
                if field != digest.as_bytes() {
                    return Err(damaged_key);
                }
                let transaction = Arc::new(transaction);
                let stored = StoredTransaction { chain, transaction };
                Ok(Self::Pending(digest, Some(stored)))
            }
            _ => Err(RowError::UnknownTable { table }),
        }
    }
}

fn decode_remains(height: u64, value: &[u8]) -> Result<Row, RowError> {
    let mut value = value.to_vec();
    value[1] &= !REMAINS;
    let (chain, bytes) = chain_of(BLOCK, &value)?;
    let remains = Remains::decode(&Rules::of(chain), bytes);
    let remains = remains.map_err(|error| damaged(BLOCK, &error))?;
    if remains.header().height() != height {
        return Err(RowError::DamagedKey { table: BLOCK });
    }
    Ok(Row::Remains(height, StoredRemains { chain, remains }))
}

fn of_chain(chain: Chain, bytes: &[u8]) -> Vec<u8> {
    let mut value = vec![
        VALUE_VERSION,
        match chain {
            Chain::AutomatedTesting => 0,
            Chain::UserTesting => 1,
        },
    ];
    value.extend(bytes);
    value
}

fn chain_of(table: u8, value: &[u8]) -> Result<(Chain, &[u8]), RowError> {
    match payload(table, value)?.split_first() {
        Some((0, bytes)) => Ok((Chain::AutomatedTesting, bytes)),
        Some((1, bytes)) => Ok((Chain::UserTesting, bytes)),
        Some(_) | None => Err(damaged(table, &"of an unknown chain")),
    }
}

fn damaged(table: u8, reason: &dyn core::fmt::Display) -> RowError {
    RowError::DamagedValue {
        table,
        reason: reason.to_string(),
    }
}
