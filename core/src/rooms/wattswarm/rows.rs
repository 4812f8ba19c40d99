//! What the room keeps, as rows. All of it is promised, except who was seen when.
//!
//! A key is the table's tag and its fields; a field that is not the last one is preceded by its
//! length in two bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::agreement::{Own, Progress};
use super::envelope::Envelope;
use super::material::Material;
use super::records::{Action, Json, Message, NodeId, Source, Thread};
use super::relationship::Bond;
use super::types::Sent;
use crate::ids::PublicKey;
use crate::rows::{Record, RowError, from_json_value, json_value};

/// A durable key with its value or its absence.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Row {
    /// An action of ours that is not yet settled and acknowledged, by its number.
    Action(NodeId, u64, Option<Own>),
    /// How a node is reached.
    Contact(NodeId, Option<Contact>),
    /// A message, by its conversation.
    Message(Arc<str>, Arc<str>, Option<Letterbox>),
    /// This node and another one.
    Pair(NodeId, Option<PairRecord>),
    /// A request with an id of its own.
    Request(NodeId, Arc<str>, Option<Bond>),
    /// Whether the operator has switched the node on or off.
    Running(Option<bool>),
    /// When a node was seen: a hint.
    Seen(PublicKey, Option<Sighting>),
    /// A conversation.
    Thread(Arc<str>, Option<Arc<Thread>>),
}

/// This node and another one, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairRecord {
    /// How far both are.
    pub progress: Progress,
    /// What the settled actions give.
    pub bond: Bond,
}

/// How a node is reached, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// What was said last.
    pub material: Material,
    /// The DM key in base64. One that is known stays when an update has none.
    pub dm_key: Option<Arc<str>>,
    /// Whether the node said so itself.
    pub identified: bool,
    /// When the first material came.
    pub first_at: u64,
    /// When the last did.
    pub last_at: u64,
}

/// A message and its place in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Letterbox {
    /// The message.
    pub message: Arc<Message>,
    /// Its place, while it is not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// The envelope as it travels, while it is not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Json>,
}

/// When a node was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// The last way it was found.
    pub source: Source,
    /// When, in whole minutes since the Unix epoch.
    pub minute: u64,
}

const PAIR: u8 = 0x30;
const REQUEST: u8 = 0x31;
const ACTION: u8 = 0x32;
const THREAD: u8 = 0x33;
const MESSAGE: u8 = 0x34;
const CONTACT: u8 = 0x35;
const RUNNING: u8 = 0x36;
const SEEN: u8 = 0x37;

impl Row {
    /// The table tags that the room owns.
    pub const TABLES: core::ops::RangeInclusive<u8> = 0x30..=0x3f;
}

/// An action as it is stored.
#[derive(Serialize, Deserialize)]
struct OwnRecord {
    clock: u64,
    action: Action,
    at: u64,
    envelope: Option<Json>,
    place: u64,
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        match self {
            Self::Action(id, seq, _) => key(ACTION, Some(id.as_str()), &seq.to_be_bytes()),
            Self::Contact(id, _) => key(CONTACT, None, id.as_str().as_bytes()),
            Self::Message(thread, id, _) => key(MESSAGE, Some(thread), id.as_bytes()),
            Self::Pair(id, _) => key(PAIR, None, id.as_str().as_bytes()),
            Self::Request(id, request, _) => key(REQUEST, Some(id.as_str()), request.as_bytes()),
            Self::Running(_) => key(RUNNING, None, &[]),
            Self::Seen(node, _) => key(SEEN, None, &node.0),
            Self::Thread(thread, _) => key(THREAD, None, thread.as_bytes()),
        }
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Action(_, _, value) => value.as_ref().map(|own| {
                json_value(&OwnRecord {
                    clock: own.clock,
                    action: own.action,
                    at: own.at,
                    envelope: own.envelope.as_ref().map(|sent| sent.raw.clone()),
                    place: own.place,
                })
            }),
            Self::Contact(_, value) => value.as_ref().map(json_value),
            Self::Message(_, _, value) => value.as_ref().map(json_value),
            Self::Pair(_, value) => value.as_ref().map(json_value),
            Self::Request(_, _, value) => value.as_ref().map(json_value),
            Self::Running(value) => value.as_ref().map(json_value),
            Self::Seen(_, value) => value.as_ref().map(json_value),
            Self::Thread(_, value) => value.as_ref().map(json_value),
        }
    }

    fn deletes(&self) -> bool {
        match self {
            Self::Action(_, _, value) => value.is_none(),
            Self::Contact(_, value) => value.is_none(),
            Self::Message(_, _, value) => value.is_none(),
            Self::Pair(_, value) => value.is_none(),
            Self::Request(_, _, value) => value.is_none(),
            Self::Running(value) => value.is_none(),
            Self::Seen(_, value) => value.is_none(),
            Self::Thread(_, value) => value.is_none(),
        }
    }

    fn lazy(&self) -> bool {
        matches!(self, Self::Seen(..))
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let Some((&table, fields)) = key.split_first() else {
            return Err(RowError::DamagedKey { table: 0 });
        };
        decode_fields(table, fields, value)
            .ok_or(RowError::DamagedKey { table })
            .flatten()
    }
}

/// `None` if the key's fields are not those of the table.
fn decode_fields(table: u8, fields: &[u8], value: &[u8]) -> Option<Result<Row, RowError>> {
    Some(match table {
        ACTION => {
            let (id, seq) = pair(fields)?;
            let seq = u64::from_be_bytes(seq.try_into().ok()?);
            let id = node(id)?;
            from_json_value(table, value)
                .and_then(own)
                .map(|own| Row::Action(id, seq, Some(own)))
        }
        CONTACT => {
            let id = node(fields)?;
            from_json_value(table, value).map(|value| Row::Contact(id, Some(value)))
        }
        MESSAGE => {
            let (thread, id) = pair(fields)?;
            let (thread, id) = (text(thread)?, text(id)?);
            from_json_value(table, value)
                .map(|value| Row::Message(thread.into(), id.into(), Some(value)))
        }
        PAIR => {
            let id = node(fields)?;
            from_json_value(table, value).map(|value| Row::Pair(id, Some(value)))
        }
        REQUEST => {
            let (id, request) = pair(fields)?;
            let (id, request) = (node(id)?, text(request)?);
            from_json_value(table, value).map(|value| Row::Request(id, request.into(), Some(value)))
        }
        RUNNING if fields.is_empty() => {
            from_json_value(table, value).map(|value| Row::Running(Some(value)))
        }
        SEEN => {
            let node = PublicKey(fields.try_into().ok()?);
            from_json_value(table, value).map(|value| Row::Seen(node, Some(value)))
        }
        THREAD => {
            let thread = text(fields)?;
            from_json_value(table, value).map(|value| Row::Thread(thread.into(), Some(value)))
        }
        RUNNING => return None,
        _ => Err(RowError::UnknownTable { table }),
    })
}

fn own(record: OwnRecord) -> Result<Own, RowError> {
    let envelope = record.envelope.map(|raw| sent(&raw)).transpose();
    Ok(Own {
        clock: record.clock,
        action: record.action,
        at: record.at,
        envelope: envelope?,
        place: record.place,
    })
}

/// Reads an envelope that was fit to be kept.
fn sent(raw: &Json) -> Result<Sent, RowError> {
    let damaged = |reason: String| RowError::DamagedValue {
        table: ACTION,
        reason,
    };
    let text: &serde_json::value::RawValue =
        serde_json::from_str(&raw.0).map_err(|error| damaged(error.to_string()))?;
    let read = Envelope::read(text).map_err(|fault| damaged(format!("{fault:?}")))?;
    Ok(Sent {
        raw: raw.clone(),
        read: Ok(Arc::new(read)),
    })
}

fn key(table: u8, first: Option<&str>, last: &[u8]) -> Vec<u8> {
    let mut key = vec![table];
    if let Some(first) = first {
        let len = u16::try_from(first.len()).expect("ids are bounded far below 64 KiB");
        key.extend_from_slice(&len.to_be_bytes());
        key.extend_from_slice(first.as_bytes());
    }
    key.extend_from_slice(last);
    key
}

fn pair(fields: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = fields.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

fn text(field: &[u8]) -> Option<&str> {
    core::str::from_utf8(field).ok()
}

/// An id that is spelled as ids are kept.
fn node(field: &[u8]) -> Option<NodeId> {
    let text = text(field)?;
    NodeId::new(text).ok().filter(|id| id.as_str() == text)
}
