//! The records as clients see them.
//!
//! Field names and the order of variants are the wire's. Rule: WattSwarm Peers API; times are Unix
//! milliseconds, an optional field without a value is left out.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::shelf::Shelved;
use crate::ids::PublicKey;
use crate::limits::{AGENT_JSON_DEPTH_MAX, NODE_ID_BYTES_MAX};

/// The id of another node: any text that is not blank, trimmed, of at most [`NODE_ID_BYTES_MAX`]
/// bytes. The id of a node that can be reached is its public key as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// Reads an id.
    ///
    /// # Errors
    /// [`NodeIdError`] if the text is blank or too long.
    pub fn new(text: &str) -> Result<Self, NodeIdError> {
        let text = text.trim();
        if text.is_empty() {
            Err(NodeIdError::Blank)
        } else if text.len() > NODE_ID_BYTES_MAX {
            Err(NodeIdError::TooLong)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that the id is, if it is one.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        let lower = !self.0.bytes().any(|byte| byte.is_ascii_uppercase());
        lower.then(|| self.0.parse().ok()).flatten()
    }
}

impl From<PublicKey> for NodeId {
    fn from(key: PublicKey) -> Self {
        Self(key.with_text(|text| text.into()))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is not a [`NodeId`]. The first wording is the one of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeIdError {
    /// Nothing but white space.
    #[error("remote_node_id is required")]
    Blank,
    /// More than [`NODE_ID_BYTES_MAX`] bytes.
    #[error("remote_node_id is longer than {NODE_ID_BYTES_MAX} bytes")]
    TooLong,
}

/// A JSON text, kept as it was sent.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(pub Arc<str>);

impl Json {
    /// How many arrays and objects stand within each other at the deepest place; none for a text or a
    /// number.
    #[must_use]
    pub fn depth(&self) -> u32 {
        let (mut depth, mut deepest) = (0_u32, 0);
        let (mut quoted, mut escaped) = (false, false);
        for byte in self.0.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'[' | b'{' if !quoted => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        deepest
    }

    /// Whether many clients can read it where it is shown.
    pub(super) fn is_shallow(&self) -> bool {
        self.depth() <= AGENT_JSON_DEPTH_MAX
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().into()))
    }
}

/// What can be done to a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Ask for it.
    Request,
    /// Say yes.
    Accept,
    /// Say no.
    Reject,
    /// Take one's request back.
    Cancel,
    /// End it.
    Remove,
    /// Have nothing to do with the other side.
    Block,
    /// Take one's block back.
    Unblock,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Accept,
        Self::Reject,
        Self::Cancel,
        Self::Remove,
        Self::Block,
        Self::Unblock,
    ];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
            Self::Remove => "remove",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }
}

/// How things stand between two nodes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing, or nothing any more.
    #[default]
    None,
    /// Asked for.
    Requested,
    /// There is one.
    Accepted,
    /// Refused.
    Rejected,
    /// One side wants nothing to do with the other.
    Blocked,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Requested,
        Self::Accepted,
        Self::Rejected,
        Self::Blocked,
    ];

    /// The wire's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Blocked => "blocked",
        }
    }
}

/// Who took an action.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// This node.
    #[default]
    Local,
    /// The other node.
    Remote,
    /// Neither.
    System,
}

/// A relationship as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Relationship {
    /// With whom.
    pub remote_node_id: NodeId,
    /// How it stands.
    pub relationship_state: State,
    /// What was last done.
    pub last_action: Action,
    /// Who did it; not who asked first.
    pub initiated_by: Actor,
    /// When that was.
    pub updated_at: u64,
    /// When it was last asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<u64>,
    /// When the last request was accepted or rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responded_at: Option<u64>,
    /// Since when it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_at: Option<u64>,
    /// When it was cancelled, removed or unblocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<u64>,
    /// The envelope that came with an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_envelope: Option<Json>,
}

/// What is listed of one node: its relationship, or one record for each request with an id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Relations {
    /// With whom.
    pub remote_node_id: NodeId,
    /// The records, the last changed first.
    pub records: Arc<[Relationship]>,
}

impl Shelved for Relations {
    fn order(&self, other: &Self) -> Ordering {
        self.remote_node_id.cmp(&other.remote_node_id)
    }
}

/// A conversation as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Thread {
    /// With whom.
    pub remote_node_id: NodeId,
    /// `dm:` and 24 hex digits.
    pub thread_id: Arc<str>,
    /// Always `direct`.
    pub thread_kind: Kind,
    /// Always `ready`.
    pub session_state: Session,
    /// The earliest thing known of it.
    pub created_at: u64,
    /// The latest.
    pub updated_at: u64,
    /// When the relationship was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relationship_established_at: Option<u64>,
    /// When the newest message was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_at: Option<u64>,
}

/// What kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Between two.
    Direct,
}

/// How far the session of a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Session {
    /// Messages can be sent.
    Ready,
}

impl Thread {
    /// When something last happened in it.
    #[must_use]
    pub fn active_at(&self) -> u64 {
        self.last_message_at.unwrap_or(self.updated_at)
    }
}

impl Shelved for Arc<Thread> {
    /// The most recently active first, then by node.
    fn order(&self, other: &Self) -> Ordering {
        let place = |thread: &Thread| Reverse(thread.active_at());
        place(self)
            .cmp(&place(other))
            .then_with(|| self.remote_node_id.cmp(&other.remote_node_id))
    }
}

/// A direct message as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The conversation.
    pub thread_id: Arc<str>,
    /// Unique in the conversation.
    pub message_id: Arc<str>,
    /// The other side, in both directions.
    pub remote_node_id: NodeId,
    /// Written by somebody, or made by the node.
    pub message_kind: MessageKind,
    /// To whom it went.
    pub direction: Direction,
    /// Whether it has arrived.
    pub delivery_state: DeliveryState,
    /// Any JSON, as sent.
    pub content: Json,
    /// The envelope's protocol.
    pub a2a_protocol: Arc<str>,
    /// The envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_envelope: Option<Json>,
    /// When it was sent: the same on both sides.
    pub created_at: u64,
    /// When it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<u64>,
}

impl Shelved for Arc<Message> {
    fn order(&self, other: &Self) -> Ordering {
        (self.created_at, &self.message_id).cmp(&(other.created_at, &other.message_id))
    }
}

/// What kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Somebody wrote it.
    Message,
    /// The relationship was accepted.
    RelationshipEstablished,
    /// The session is ready.
    SessionInit,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the other node.
    Inbound,
    /// To the other node.
    Outbound,
}

/// Whether a message has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The receiver has it.
    Delivered,
    /// Ten attempts were made. It is still sent at the next contact.
    Failed,
    /// On its way.
    Pending,
}

/// A node of the peer list as clients see it. `null` stands for what is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerRecord {
    /// The node.
    pub node_id: NodeId,
    /// Whether we are in touch.
    pub connected: bool,
    /// How it was found.
    pub discovery: Option<Discovery>,
    /// What it says of itself.
    pub metadata: Option<Metadata>,
    /// The relationship, whatever requests with ids there are.
    pub relationship: Option<Relationship>,
}

/// How a node was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Discovery {
    /// The node.
    pub node_id: NodeId,
    /// The last way.
    pub source_kind: Source,
}

/// A way to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The operator gave its address.
    Bootstrap,
    /// Met on a Chainweb network.
    Chainweb,
    /// It called us, or another family is in touch with it.
    Connected,
    /// Reached by contact material.
    ContactMaterialProbe,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Metadata {
    /// The node.
    pub node_id: NodeId,
    /// Where its P2P listener is, as `host:port`.
    pub listen_addrs: Vec<Arc<str>>,
    /// What it speaks.
    pub protocols: Vec<Arc<str>>,
    /// How it came to be known.
    pub handshake_status: Handshake,
    /// Its contact material, if that is an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_material: Option<Json>,
    /// Its signature in hex; not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_material_signature: Option<Arc<str>>,
    /// When the material was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_material_updated_at: Option<u64>,
    /// When it first was known.
    pub first_identified_at: u64,
    /// When it last told.
    pub last_identified_at: u64,
}

/// How what is known of a node came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// An operator passed its contact material on.
    ContactMaterial,
    /// It told us itself.
    Identified,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_that_of_the_deepest_place() {
        for (text, depth) in [
            ("1", 0),
            (r#""[[\"[{""#, 0),
            (r#""\\""#, 0),
            ("[]", 1),
            (r#"[[1],{"a":[2]},[]]"#, 3),
            (r#"{"]":"\\","a":{"b":1}}"#, 2),
        ] {
            assert_eq!(Json(text.into()).depth(), depth, "{text}");
        }
    }
}
