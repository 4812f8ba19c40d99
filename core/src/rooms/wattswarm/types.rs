//! What the WattSwarm endpoints are asked and answer, and what the room remembers.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cipher::Sealed;
use super::envelope::Envelope;
use super::list::PeerList;
use super::material::Material;
use super::records::{Action, Actor, Json, Message, NodeId, Relations, State, Thread};
use super::shelf::Listing;
use crate::calls::Charge;
use crate::commons::address::HostAddr;
use crate::event::events;
use crate::ids::PublicKey;
use crate::input::RequestId;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Request {
    /// `POST /api/peers/relationships`.
    Act(Act),
    /// `POST /api/peers/contact-material`.
    Contact(Introduction),
    /// Another node hands over what its operator did or wrote. P2P listener only.
    Deliver(Arc<Delivery>),
    /// `GET /api/log/head`.
    Head,
    /// `GET /api/peers/list`.
    List,
    /// `GET /api/peers/dm/messages`.
    Messages {
        /// The conversation.
        thread: Arc<str>,
    },
    /// `GET /api/network/local`.
    Network,
    /// `GET /api/network/contact-material/local`.
    OwnContact,
    /// `GET /api/peers/relationships`.
    Relationships,
    /// `POST /api/node/up` and `/api/node/down`.
    Run(bool),
    /// `POST /api/peers/dm/messages`.
    Send(Draft),
    /// `GET /api/node/status`.
    Status,
    /// `GET /api/peers/dm/threads`.
    Threads,
}

impl Request {
    /// How much memory the request keeps for itself alone, roughly.
    pub(crate) fn byte_size(&self) -> usize {
        match self {
            Self::Deliver(delivery) => delivery.byte_size(),
            Self::Act(_)
            | Self::Contact(_)
            | Self::Head
            | Self::List
            | Self::Messages { .. }
            | Self::Network
            | Self::OwnContact
            | Self::Relationships
            | Self::Run(_)
            | Self::Send(_)
            | Self::Status
            | Self::Threads => 0,
        }
    }

    /// What is asked, as a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Act(_) => "post_relationship",
            Self::Contact(_) => "post_contact_material",
            Self::Deliver(_) => "deliver",
            Self::Head => "log_head",
            Self::List => "list_peers",
            Self::Messages { .. } => "list_messages",
            Self::Network => "network",
            Self::OwnContact => "contact_material",
            Self::Relationships => "list_relationships",
            Self::Run(_) => "node_run",
            Self::Send(_) => "post_message",
            Self::Status => "node_status",
            Self::Threads => "list_threads",
        }
    }

    /// Stock Chainweb nodes do not have these endpoints.
    #[must_use]
    pub const fn charge(&self) -> Option<Charge> {
        None
    }

    /// Nodes read all answers again.
    #[must_use]
    pub const fn answer_is_read(&self) -> bool {
        true
    }
}

/// An agent envelope as it was sent, with what could be read of it.
#[derive(Clone)]
pub struct Sent {
    /// The text that travels.
    pub raw: Json,
    /// The envelope, or what is wrong with it.
    pub read: Result<Arc<Envelope>, Arc<str>>,
}

impl Sent {
    /// An envelope as `raw` says it, or what is wrong with it if it is not one.
    pub(super) fn new(raw: &str, read: Result<Envelope, Arc<str>>) -> Self {
        let raw = read.as_ref().map_or(raw, Envelope::raw);
        Self {
            raw: Json(raw.into()),
            read: read.map(Arc::new),
        }
    }

    /// The envelope as it is shown; nothing if it is not one.
    #[must_use]
    pub fn shown(&self) -> Option<Json> {
        self.read.as_ref().ok().map(|read| Json(read.stored()))
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

impl PartialEq for Sent {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Sent {}

impl Hash for Sent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

/// An action on a relationship, as an operator asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Act {
    /// With whom, as sent.
    pub remote: Arc<str>,
    /// What to do.
    pub action: Action,
    /// Who does it; counts without a network only.
    pub by: Actor,
    /// The envelope that goes along.
    pub envelope: Option<Sent>,
}

/// A direct message, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Draft {
    /// To whom, as sent.
    pub remote: Arc<str>,
    /// Any JSON.
    pub content: Json,
    /// The envelope that goes along.
    pub envelope: Option<Sent>,
}

/// What an operator wants done, with an envelope.
#[derive(Clone, Debug)]
pub enum Errand {
    /// An action.
    Act(Act),
    /// A message.
    Send(Draft),
}

impl Errand {
    /// With whom or to whom, as sent.
    pub(super) const fn remote(&self) -> &Arc<str> {
        match self {
            Self::Act(act) => &act.remote,
            Self::Send(draft) => &draft.remote,
        }
    }
}

/// Contact material of another node, as an operator passes it on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Introduction {
    /// Whose, as sent.
    pub remote: Arc<str>,
    /// What it says.
    pub material: Material,
}

/// What one node hands to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// From whom, and how far both are.
    pub greeting: Greeting,
    /// What it is.
    pub parcel: Parcel,
}

/// The items of a [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parcel {
    /// `POST /api/p2p/dm`: messages in the order in which they were written.
    Letters(Vec<Letter>),
    /// `POST /api/p2p/relationship`: actions in the order in which they were taken.
    Notes(Vec<Note>),
}

impl Delivery {
    fn byte_size(&self) -> usize {
        let items: usize = match &self.parcel {
            Parcel::Letters(letters) => letters.iter().map(Letter::byte_size).sum(),
            Parcel::Notes(notes) => notes.iter().map(Note::byte_size).sum(),
        };
        items + self.greeting.contact_material.byte_size()
    }
}

/// What every delivery and its receipt say of the node that they come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Greeting {
    /// Who speaks.
    pub source_node_id: NodeId,
    /// To whom.
    pub target_node_id: NodeId,
    /// How many actions the speaker has taken towards the other.
    pub made: u64,
    /// How many of the other's the speaker has heard of.
    pub heard: u64,
    /// The speaker's clock: later actions of the speaker come after it.
    pub clock: u64,
    /// How the speaker is reached.
    pub contact_material: Material,
}

/// An action on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// The how manieth action of its sender towards the receiver it is, from 1.
    pub seq: u64,
    /// Its place among the actions of both.
    pub clock: u64,
    /// What was done.
    pub action: Action,
    /// The envelope that goes along.
    pub envelope: Option<Sent>,
}

impl Note {
    /// Bytes on the wire, roughly.
    pub(super) fn byte_size(&self) -> usize {
        let envelope = self.envelope.as_ref();
        96 + envelope.map_or(0, |envelope| envelope.raw.0.len())
    }
}

/// A direct message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Letter {
    /// The conversation.
    pub thread_id: Arc<str>,
    /// The message.
    pub message_id: Arc<str>,
    /// When it was sent, in Unix milliseconds.
    pub created_at: u64,
    /// Content and envelope.
    pub encrypted: Arc<Sealed>,
}

impl Letter {
    /// Bytes on the wire, roughly.
    pub(super) fn byte_size(&self) -> usize {
        512 + self.encrypted.ciphertext_b64.len()
    }
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Receipt {
    /// From whom, and how far both are.
    pub greeting: Greeting,
    /// How the relationship stands now.
    pub relationship_state: State,
    /// One for each item, in order.
    pub results: Vec<Taken>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "taken", content = "detail")]
pub enum Taken {
    /// It is kept, and did what it says.
    Applied,
    /// It is kept, and cannot be done: something crossed it.
    Inapplicable(Arc<str>),
    /// It will never be taken.
    Invalid(Arc<str>),
    /// An item before it is missing or was not taken.
    OutOfTurn,
    /// It is known already.
    Repeated,
    /// There is no room for it at present.
    TableFull,
    /// The relationship is not accepted here.
    Unaccepted,
}

/// What can be answered.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Response {
    /// The operator's answer to an action without a network.
    Acted(Box<super::records::Relationship>),
    /// Contact material was taken.
    ContactSaved(NodeId),
    /// The node is running, or not, as asked.
    Done,
    /// How many things have happened.
    Head(u64),
    /// The peers.
    List(Arc<PeerList>),
    /// The messages of a conversation.
    Messages {
        /// The conversation.
        thread: Arc<str>,
        /// Its messages, the oldest first.
        messages: Listing<Arc<Message>>,
    },
    /// How the node is reached.
    Network(Arc<Network>),
    /// What the node tells others of itself.
    OwnContact(Arc<Material>),
    /// An action was taken, and is on its way.
    Queued {
        /// With whom, as asked.
        remote: Arc<str>,
        /// What was done.
        action: Action,
    },
    /// What became of a delivery.
    Receipt(Arc<Receipt>),
    /// It is not done: 400 for operators, 403 for nodes.
    Refused(Refusal),
    /// All relationships.
    Relationships(Listing<Relations>),
    /// A message was taken.
    Sent(Arc<Posted>),
    /// How the node is.
    Status(Arc<Status>),
    /// The conversations.
    Threads(Listing<Arc<Thread>>),
}

impl Response {
    /// How much memory the answer keeps for itself alone, roughly. Lists are shared.
    pub(crate) const fn byte_size(&self) -> usize {
        0
    }

    /// The status under which the answer goes out.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Refused(Refusal::Impostor) => 403,
            Self::Refused(Refusal::Invalid(_)) => 400,
            Self::Refused(Refusal::Busy) => 503,
            Self::Acted(_)
            | Self::ContactSaved(_)
            | Self::Done
            | Self::Head(_)
            | Self::List(_)
            | Self::Messages { .. }
            | Self::Network(_)
            | Self::OwnContact(_)
            | Self::Queued { .. }
            | Self::Receipt(_)
            | Self::Relationships(_)
            | Self::Sent(_)
            | Self::Status(_)
            | Self::Threads(_) => 200,
        }
    }
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many envelopes are being checked.
    Busy,
    /// The caller speaks for another node than its certificate's, or to another than this.
    Impostor,
    /// The text says what is wrong.
    Invalid(Arc<str>),
}

/// The answer to a message that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Posted {
    /// To whom.
    pub remote_node_id: NodeId,
    /// The conversation.
    pub thread_id: Arc<str>,
    /// The message.
    pub message_id: Arc<str>,
    /// The event that carries it.
    pub event_id: Arc<str>,
    /// The feed it is posted on.
    pub feed_key: Arc<str>,
    /// The scope it is posted on.
    pub scope_hint: Arc<str>,
}

/// How the node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// Whether it is switched on.
    pub running: bool,
    /// Who it is.
    pub node_id: NodeId,
    /// `network` or `local`.
    pub mode: Arc<str>,
}

/// How the node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// Whether it speaks with other nodes.
    pub network_enabled: bool,
    /// Who it is.
    pub local_peer_id: NodeId,
    /// Where its P2P listener is, as `host:port`.
    pub listen_addrs: Vec<Arc<str>>,
}

/// What to do once a call is answered or a check is done.
#[derive(Clone, Debug)]
pub enum Then {
    /// An operator's envelope is checked: go on with what it came with.
    Checked {
        /// Who waits.
        id: RequestId,
        /// For what.
        errand: Errand,
    },
    /// A delivery is answered.
    Delivered {
        /// By whom.
        to: PublicKey,
        /// Where it was sent.
        at: HostAddr,
        /// What it was.
        delivery: Arc<Delivery>,
    },
    /// The envelope of an item of a delivery is checked: go on with the items.
    Judged(Box<super::receive::Reading>),
}

/// Why to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A node that could not be reached may be tried again.
    Retry(PublicKey),
}

events! {
    /// What the room does that is worth counting.
    pub enum Event {
        /// Contact material was taken from an operator or from its node.
        ContactLearned { /** Whose. */ node: NodeId } = "wattswarm_contact_learned", "contact material of {node}";
        /// A call came that speaks for another node, or to another.
        ImpostorRefused = "wattswarm_impostor_refused", "refused a call that speaks for another node";
        /// A message was written here.
        MessageSent { /** To whom. */ node: NodeId } = "wattswarm_message_sent", "message to {node}";
        /// The receiver has a message.
        MessageDelivered { /** Who. */ node: NodeId } = "wattswarm_message_delivered", "message delivered to {node}";
        /// A message has been tried in vain for long.
        MessageFailed { /** To whom. */ node: NodeId } = "wattswarm_message_failed", "message to {node} was tried in vain for long; it goes out when the node is heard from again";
        /// A message of another node is kept.
        MessageReceived { /** From whom. */ node: NodeId } = "wattswarm_message_received", "message from {node}";
        /// A message of a node without an accepted relationship was dropped.
        MessageDropped { /** From whom. */ node: NodeId } = "wattswarm_message_dropped", "dropped a message from {node}: the relationship is not accepted";
        /// A message that cannot be read was dropped.
        MessageUnreadable { /** From whom. */ node: NodeId, /** Why. */ why: Arc<str> } = "wattswarm_message_unreadable", "dropped a message from {node}: {why}";
        /// The receiver does not take a message because it sees no accepted relationship.
        MessageRefused { /** By whom. */ node: NodeId } = "wattswarm_message_refused", "{node} does not take a message: the relationship is not accepted there";
        /// An action changed a relationship.
        RelationshipChanged { /** With whom. */ node: NodeId, /** What was done. */ action: Action } = "wattswarm_relationship_changed", "relationship with {node}: {action:?}";
        /// An action cannot be done: an operator's is refused, another node's is noted.
        RelationshipRefused { /** With whom. */ node: NodeId, /** What was to be done. */ action: Action } = "wattswarm_relationship_refused", "relationship with {node}: {action:?} is not possible";
        /// Actions of both sides crossed, and one of ours came out differently than it was answered.
        RelationshipRevised { /** With whom. */ node: NodeId } = "wattswarm_relationship_revised", "relationship with {node}: actions crossed, and the other side's came first";
        /// An action or a message came that is known already.
        RepeatRecognised { /** From whom. */ node: NodeId } = "wattswarm_repeat_recognised", "{node} repeated what is known";
        /// A delivery failed and will be repeated.
        DeliveryFailed { /** To whom. */ node: NodeId } = "wattswarm_delivery_failed", "delivery to {node} failed, and will be repeated";
        /// Something waits because nothing is known of where its receiver is.
        DeliveryWaits { /** For whom. */ node: NodeId } = "wattswarm_delivery_waits", "nothing is known of where {node} is";
        /// The one who answered does not hold the key of the node that was meant.
        DeliveryMismatch { /** Who was meant. */ node: NodeId } = "wattswarm_delivery_mismatch", "somebody else answers for {node}";
        /// A table was full.
        TableFull { /** Which. */ table: &'static str } = "wattswarm_table_full", "no room for more {table}";
    }
}
