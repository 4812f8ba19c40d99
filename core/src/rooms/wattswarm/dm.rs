//! Conversations and their messages.
//!
//! Keeps messages in order and within bounds, and decides whether one may be sent. How they reach
//! the other node is left to `delivery`. Rule: WattSwarm direct messages, section 4.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::cipher::{self, Names, SharedKey};
use super::delivery::Item;
use super::records::{
    DeliveryState, Direction, Json, Kind, Message, MessageKind, NodeId, Session, State, Thread,
};
use super::rows::{Letterbox, Row};
use super::shelf::{Listing, Shelf};
use super::types::{Draft, Event, Posted, Refusal, Response, Sent};
use super::{Wattswarm, ids, in_network};
use crate::cx::Cx;
use crate::limits::{EVENT_BYTES_MAX, EVENT_OVERHEAD_BYTES, Limits};

/// All conversations.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversations {
    by_thread: BTreeMap<Arc<str>, Conversation>,
    order: Shelf<Arc<Thread>>,
    messages: usize,
    bytes: usize,
}

/// One conversation.
#[derive(Clone, Debug)]
struct Conversation {
    thread: Option<Arc<Thread>>,
    messages: Shelf<Arc<Message>>,
    /// When each was created.
    ids: BTreeMap<Arc<str>, u64>,
    /// When the newest of ours was created: the next one comes after it.
    sent_at: u64,
    bytes: usize,
}

impl Conversation {
    fn new() -> Self {
        Self {
            thread: None,
            messages: Shelf::default(),
            ids: BTreeMap::new(),
            sent_at: 0,
            bytes: 0,
        }
    }

    fn find(&self, id: &str) -> Option<&Arc<Message>> {
        let created_at = *self.ids.get(id)?;
        self.messages
            .find(|other| (other.created_at, &*other.message_id).cmp(&(created_at, id)))
    }
}

impl Conversations {
    pub(super) fn threads(&self) -> Listing<Arc<Thread>> {
        self.order.listing()
    }

    pub(super) fn messages_of(&self, thread: &str) -> Listing<Arc<Message>> {
        self.by_thread.get(thread).map_or_else(
            || Listing::new(Vec::new()),
            |conversation| conversation.messages.listing(),
        )
    }

    /// Every thread that has a record, and every message.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<&Arc<Thread>>, Vec<&Arc<Message>>)> {
        self.by_thread.values().map(|conversation| {
            let messages = conversation.messages.iter().collect();
            (conversation.thread.as_ref(), messages)
        })
    }

    pub(super) const fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn find(&self, thread: &str, id: &str) -> Option<&Arc<Message>> {
        self.by_thread.get(thread)?.find(id)
    }

    /// Whether a message of this size has a place.
    pub(super) fn has_room(&self, limits: &Limits, thread: &str, bytes: usize) -> bool {
        let conversation = self.by_thread.get(thread);
        let (in_thread, bytes_in_thread) = conversation.map_or((0, 0), |conversation| {
            (conversation.messages.len(), conversation.bytes)
        });
        in_thread < limits.messages_per_thread_max
            && bytes_in_thread + bytes <= limits.message_bytes_per_thread_max
            && self.messages < limits.messages_max
            && self.bytes + bytes <= limits.message_bytes_max
            && (conversation.is_some() || self.by_thread.len() < limits.relationships_max)
    }

    pub(super) fn put_thread(&mut self, thread: Arc<Thread>) {
        let conversation = self
            .by_thread
            .entry(thread.thread_id.clone())
            .or_insert_with(Conversation::new);
        if let Some(before) = conversation.thread.replace(thread.clone()) {
            self.order
                .take(|other| super::shelf::Shelved::order(other, &before));
        }
        self.order.put(thread);
    }

    pub(super) fn put_message(&mut self, message: Arc<Message>) {
        let conversation = self
            .by_thread
            .entry(message.thread_id.clone())
            .or_insert_with(Conversation::new);
        if let Some(before) = conversation.find(&message.message_id).cloned() {
            let same = |other: &Arc<Message>| super::shelf::Shelved::order(other, &before);
            conversation.messages.take(same);
            self.messages -= 1;
            self.bytes -= size(&before);
            conversation.bytes -= size(&before);
        }
        self.messages += 1;
        self.bytes += size(&message);
        conversation.bytes += size(&message);
        if message.direction == Direction::Outbound && message.message_kind == MessageKind::Message
        {
            conversation.sent_at = conversation.sent_at.max(message.created_at);
        }
        conversation
            .ids
            .insert(message.message_id.clone(), message.created_at);
        conversation.messages.put(message);
    }

    /// A time for the next message of ours: after all others of ours, whatever the clock says.
    fn next_at(&self, thread: &str, now: u64) -> u64 {
        let sent_at = self.by_thread.get(thread).map_or(0, |known| known.sent_at);
        now.max(sent_at) + 1
    }
}

/// Bytes that a message keeps, roughly.
fn size(message: &Message) -> usize {
    let envelope = message.agent_envelope.as_ref();
    512 + message.content.0.len() + envelope.map_or(0, |envelope| envelope.0.len())
}

impl Wattswarm {
    /// Sends a message whose envelope is sound. Checks in the order of the specification: the
    /// relationship, the other side's key, the size.
    pub(super) fn send(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, draft: &Draft) -> Response {
        match self.try_send(cx, id, draft) {
            Ok(posted) => Response::Sent(Arc::new(posted)),
            Err(text) => Response::Refused(Refusal::Invalid(text.into())),
        }
    }

    fn try_send(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        draft: &Draft,
    ) -> Result<Posted, String> {
        let state = self
            .pairs
            .get(id)
            .map_or(State::None, super::agreement::Pair::state);
        if state != State::Accepted {
            return Err(format!(
                "cannot send a direct message to remote_node_id={id}: the relationship is not accepted, state={}",
                state.name()
            ));
        }
        let Some(envelope) = &draft.envelope else {
            return Err(ENVELOPE_REQUIRED.into());
        };
        let shared = self.shared_key(cx, id)?;
        let plain = plain(&draft.content, &envelope.raw);
        // Base64 makes four bytes of three.
        if (plain.len() + 16).div_ceil(3) * 4 + EVENT_OVERHEAD_BYTES > EVENT_BYTES_MAX {
            return Err("invalid event: event bytes > 128KB".into());
        }
        let own = cx.config().identity.public_key.to_string();
        let thread_id: Arc<str> = ids::thread_id(&own, id.as_str()).into();
        let now = super::millis(cx.now().wall);
        let message_id = self.new_message_id(cx, &thread_id);
        let message = Message {
            thread_id: thread_id.clone(),
            message_id: message_id.clone(),
            remote_node_id: id.clone(),
            message_kind: MessageKind::Message,
            direction: Direction::Outbound,
            delivery_state: DeliveryState::Pending,
            content: draft.content.clone(),
            a2a_protocol: protocol(envelope),
            agent_envelope: envelope.shown(),
            created_at: self.conversations.next_at(&thread_id, now),
            acknowledged_at: None,
        };
        if !self
            .conversations
            .has_room(cx.limits(), &thread_id, size(&message))
        {
            cx.event(Event::TableFull { table: "messages" });
            return Err("no room for more direct messages".into());
        }
        let created_at = message.created_at;
        let item = Item::Letter {
            thread: thread_id.clone(),
            message: message_id.clone(),
            raw: envelope.raw.clone(),
            since: 0,
        };
        let place = self.enqueue(cx, id, item)?;
        self.touch_thread(cx, id, &thread_id, created_at, None);
        self.put_message(cx, message, Some((place, envelope.raw.clone())));
        cx.event(Event::MessageSent { node: id.clone() });
        self.pump(cx, id);
        let names = Names {
            sender: &own,
            recipient: id.as_str(),
            thread: &thread_id,
            message: &message_id,
        };
        let sealed = shared.map_or_else(Vec::new, |key| key.seal(&names, names.nonce(), &plain));
        Ok(Posted {
            remote_node_id: id.clone(),
            event_id: ids::event_id(&names, created_at, &sealed).into(),
            feed_key: cx.config().wattswarm.feed_key.as_str().into(),
            scope_hint: ids::scope_hint(&own, id.as_str()).into(),
            thread_id,
            message_id,
        })
    }

    /// An id that no message of the conversation has, even if the node draws again what it drew before:
    /// two texts must never be sealed under one id.
    fn new_message_id(&self, cx: &mut Cx<'_, Self>, thread: &str) -> Arc<str> {
        loop {
            let mut random = [0; 16];
            random[..8].copy_from_slice(&cx.rng().bits().to_be_bytes());
            random[8..].copy_from_slice(&cx.rng().bits().to_be_bytes());
            let id = ids::message_id(random);
            if self.conversations.find(thread, &id).is_none() {
                return id.into();
            }
        }
    }

    /// The key for messages with a node. Without a network none is needed yet.
    pub(super) fn shared_key(
        &mut self,
        cx: &Cx<'_, Self>,
        id: &NodeId,
    ) -> Result<Option<SharedKey>, String> {
        let known = id.key().and_then(|key| self.keys.get(&key));
        if let Some(known) = known {
            return Ok(Some(known.clone()));
        }
        let contact = self.contacts.get(id);
        let Some(text) = contact.and_then(|contact| contact.dm_key.as_deref()) else {
            return if in_network(cx) {
                Err("missing peer private message encryption key".into())
            } else {
                Ok(None)
            };
        };
        let theirs = cipher::public_key(text).map_err(|fault| fault.to_string())?;
        let secret = cipher::dm_secret(&cx.config().identity.secret);
        let shared = SharedKey::agree(&secret, &theirs).map_err(|fault| fault.to_string())?;
        if let Some(key) = id.key() {
            self.keys.insert(key, shared.clone());
        }
        Ok(Some(shared))
    }

    /// Keeps a message, and its row.
    pub(super) fn put_message(
        &mut self,
        cx: &mut Cx<'_, Self>,
        message: Message,
        waiting: Option<(u64, Json)>,
    ) {
        let message = Arc::new(message);
        let (place, raw) = waiting.unzip();
        let row = Letterbox {
            message: message.clone(),
            place,
            raw,
        };
        cx.put(Row::Message(
            message.thread_id.clone(),
            message.message_id.clone(),
            Some(row),
        ));
        self.conversations.put_message(message);
    }

    /// Notes activity in a conversation. Rule: `normalized_lifetime`.
    pub(super) fn touch_thread(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        thread_id: &Arc<str>,
        message_at: u64,
        established_at: Option<u64>,
    ) {
        let known = self.conversations.by_thread.get(thread_id);
        let known = known.and_then(|conversation| conversation.thread.as_deref());
        let mut thread = known.cloned().unwrap_or_else(|| Thread {
            remote_node_id: id.clone(),
            thread_id: thread_id.clone(),
            thread_kind: Kind::Direct,
            session_state: Session::Ready,
            created_at: message_at,
            updated_at: message_at,
            relationship_established_at: None,
            last_message_at: None,
        });
        thread.relationship_established_at = established_at.or(thread.relationship_established_at);
        thread.last_message_at = thread.last_message_at.max(Some(message_at));
        thread.created_at = thread
            .created_at
            .min(message_at)
            .min(thread.relationship_established_at.unwrap_or(u64::MAX));
        thread.updated_at = thread
            .updated_at
            .max(message_at)
            .max(thread.relationship_established_at.unwrap_or(0));
        let thread = Arc::new(thread);
        cx.put(Row::Thread(thread_id.clone(), Some(thread.clone())));
        self.conversations.put_thread(thread);
    }

    /// An accepted relationship opens a conversation, with two messages that nobody wrote.
    pub(super) fn open_session(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        at: u64,
        direction: Direction,
    ) {
        let own = cx.config().identity.public_key.to_string();
        let thread_id: Arc<str> = ids::thread_id(&own, id.as_str()).into();
        self.touch_thread(cx, id, &thread_id, at, Some(at));
        let contents = [
            (
                MessageKind::RelationshipEstablished,
                format!("relationship-established:{thread_id}"),
                json!({
                    "established_at": at,
                    "relationship_state": "accepted",
                    "synthetic": true,
                    "thread_id": *thread_id,
                }),
            ),
            (
                MessageKind::SessionInit,
                format!("session-init:{thread_id}"),
                json!({
                    "session_state": "ready",
                    "synthetic": true,
                    "thread_id": *thread_id,
                }),
            ),
        ];
        for (message_kind, message_id, content) in contents {
            let envelope = json!({
                "message": { "content": &content },
                "protocol": SYNTHETIC_PROTOCOL,
            });
            let message = Message {
                thread_id: thread_id.clone(),
                message_id: message_id.into(),
                remote_node_id: id.clone(),
                message_kind,
                direction,
                delivery_state: DeliveryState::Delivered,
                content: Json(content.to_string().into()),
                a2a_protocol: SYNTHETIC_PROTOCOL.into(),
                agent_envelope: Some(Json(envelope.to_string().into())),
                created_at: at,
                acknowledged_at: Some(at),
            };
            self.put_message(cx, message, None);
        }
    }
}

/// What is sealed: content and envelope as one object.
pub(super) fn plain(content: &Json, envelope: &Json) -> Vec<u8> {
    format!(
        "{{\"agent_envelope\":{},\"content\":{}}}",
        envelope.0, content.0
    )
    .into_bytes()
}

/// The protocol that an envelope names.
pub(super) fn protocol(envelope: &Sent) -> Arc<str> {
    let read = envelope.read.as_ref();
    read.map_or_else(|_| Arc::from(""), |read| read.protocol().into())
}

/// The wording of the original.
pub(super) const ENVELOPE_REQUIRED: &str =
    "agent_envelope is required for private group direct messages";

const SYNTHETIC_PROTOCOL: &str = "google_a2a";
