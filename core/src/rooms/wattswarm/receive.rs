//! Taking what other nodes hand over: their operators' actions and messages.
//!
//! A delivery must be made under the certificate of the node that it speaks for. Its items are taken
//! one after the other, each once; the answer says what became of each. It leaves this node only
//! when what it says is durable. Signatures of envelopes are checked elsewhere, so a delivery may pause
//! between two items.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::agreement::Pair;
use super::cipher::Names;
use super::dm::protocol;
use super::envelope::Envelope;
use super::records::{DeliveryState, Direction, Json, Message, MessageKind, NodeId, Source};
use super::relationship::Outcome;
use super::types::{
    Delivery, Event, Greeting, Letter, Note, Parcel, Receipt, Refusal, Response, Sent, Taken, Then,
};
use super::{Wattswarm, ids};
use crate::cx::Cx;
use crate::ids::PublicKey;
use crate::input::{Caller, Listener, RequestId};
use crate::limits::{
    AGENT_JSON_DEPTH_MAX, DELIVERY_CHECKS_MAX, MESSAGE_ID_BYTES_MAX, MESSAGE_TIME_MAX_MS,
};
use crate::verify::VerifyJob;

/// A delivery that is being taken.
#[derive(Clone, Debug)]
pub struct Reading {
    id: RequestId,
    key: PublicKey,
    delivery: Arc<Delivery>,
    /// What became of the items before the one at hand.
    results: Vec<Taken>,
    /// Whether the envelope of the item at hand was checked, and what was found.
    checked: Option<Result<(), Arc<str>>>,
}

/// What is to be done with an item.
enum Judged {
    /// Nothing more.
    Done(Taken),
    /// Its envelope must be checked first.
    Check(VerifyJob),
}

impl Wattswarm {
    /// Another node hands something over.
    pub(super) fn receive(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        delivery: Arc<Delivery>,
    ) {
        let greeting = &delivery.greeting;
        let own = NodeId::from(cx.config().identity.public_key);
        let proved = from.cert.and_then(|cert| cert.key);
        let speaks_for_itself = proved.filter(|key| {
            NodeId::from(*key) == greeting.source_node_id && *key != cx.config().identity.public_key
        });
        let Some(key) = speaks_for_itself
            .filter(|_| from.listener == Listener::P2p && greeting.target_node_id == own)
        else {
            cx.event(Event::ImpostorRefused);
            return cx.respond(id, Response::Refused(Refusal::Impostor));
        };
        if !super::in_network(cx) {
            let text = "the node is in local mode";
            return cx.respond(id, Response::Refused(Refusal::Invalid(text.into())));
        }
        let source = cx.commons().peers.of_key(&key).next().is_none();
        self.meet(cx, key, source.then_some(Source::Connected));
        let known = self.pairs.get(&greeting.source_node_id);
        let believed = match known {
            Some(pair) => pair.believes(greeting.made, greeting.heard, greeting.clock),
            None => greeting.heard == 0,
        };
        if !believed {
            let text = "the counts of actions are not those of this pair";
            return cx.respond(id, Response::Refused(Refusal::Invalid(text.into())));
        }
        let remote = greeting.source_node_id.clone();
        if known.is_some() {
            self.learn(cx, &remote, greeting.contact_material.clone(), true);
            self.greet(cx, &remote, greeting);
        }
        self.read_on(
            cx,
            Reading {
                id,
                key,
                delivery,
                results: Vec::new(),
                checked: None,
            },
        );
        self.heard_from(cx, &remote);
    }

    /// Takes the items that are left, until one must be checked first.
    pub(super) fn read_on(&mut self, cx: &mut Cx<'_, Self>, mut reading: Reading) {
        let delivery = reading.delivery.clone();
        let items = match &delivery.parcel {
            Parcel::Letters(letters) => letters.len(),
            Parcel::Notes(notes) => notes.len(),
        };
        while reading.results.len() < items {
            let place = reading.results.len();
            let checked = reading.checked.take();
            let judged = match &delivery.parcel {
                Parcel::Letters(letters) => self.letter(cx, reading.key, &letters[place], checked),
                Parcel::Notes(notes) => {
                    self.note(cx, reading.key, &delivery.greeting, &notes[place], checked)
                }
            };
            match judged {
                Judged::Done(taken) => reading.results.push(taken),
                Judged::Check(_) if self.readings >= DELIVERY_CHECKS_MAX => {
                    reading.results.push(Taken::TableFull);
                }
                Judged::Check(job) => {
                    self.readings += 1;
                    return cx.verify(job, Then::Judged(Box::new(reading)));
                }
            }
        }
        self.answer(cx, reading);
    }

    /// An envelope was checked: go on with the item that it came with.
    pub(super) fn judged(
        &mut self,
        cx: &mut Cx<'_, Self>,
        mut reading: Reading,
        verdict: Result<(), String>,
    ) {
        reading.checked = Some(verdict.map_err(Arc::from));
        self.read_on(cx, reading);
    }

    fn answer(&mut self, cx: &mut Cx<'_, Self>, reading: Reading) {
        let remote = NodeId::from(reading.key);
        // All that the other side had done by then may be heard of only now.
        self.greet(cx, &remote, &reading.delivery.greeting);
        let Some(greeting) = self.greeting(cx, &remote) else {
            return cx.respond(reading.id, Response::Refused(Refusal::Busy));
        };
        let state = self.pairs.get(&remote).map(Pair::state);
        let receipt = Receipt {
            greeting,
            relationship_state: state.unwrap_or_default(),
            results: reading.results,
        };
        cx.respond(reading.id, Response::Receipt(Arc::new(receipt)));
    }

    /// Takes an action of the other side.
    fn note(
        &mut self,
        cx: &mut Cx<'_, Self>,
        key: PublicKey,
        greeting: &Greeting,
        note: &Note,
        checked: Option<Result<(), Arc<str>>>,
    ) -> Judged {
        let remote = NodeId::from(key);
        let known = self.pairs.get(&remote);
        if known.is_some_and(|pair| note.seq <= pair.progress.heard) {
            cx.event(Event::RepeatRecognised { node: remote });
            return Judged::Done(Taken::Repeated);
        }
        let new = Pair::new(&cx.config().identity.public_key, remote.clone());
        if !known.unwrap_or(&new).fits(note) {
            return Judged::Done(Taken::OutOfTurn);
        }
        let request_id = match &note.envelope {
            None => None,
            Some(sent) => match check(sent, &key, checked) {
                Ok(envelope) => envelope.request_id().map(str::to_owned),
                Err(judged) => return judged,
            },
        };
        let requests = known.map(|pair| &pair.base.requests);
        let fresh = |id: &str| requests.is_none_or(|requests| !requests.contains_key(id));
        // The other side keeps to the bound; what it could not know of may double it.
        let crowded = requests.map_or(0, |requests| requests.len())
            >= 2 * cx.limits().requests_per_peer_max
            && request_id.as_deref().is_some_and(fresh);
        // A part of the table is kept for what this node's operator wants.
        let full = known.is_none() && self.pairs.len() >= cx.limits().relationships_max / 10 * 9;
        if crowded || full {
            cx.event(Event::TableFull {
                table: "relationships",
            });
            return Judged::Done(Taken::TableFull);
        }
        let new_pair = known.is_none();
        let outcome = self.hear(cx, &remote, note);
        if new_pair {
            self.learn(cx, &remote, greeting.contact_material.clone(), true);
        }
        Judged::Done(match outcome {
            Outcome::Changed | Outcome::Same => Taken::Applied,
            Outcome::Refused(text) => Taken::Inapplicable(text.into()),
        })
    }

    /// Takes a message of the other side.
    fn letter(
        &mut self,
        cx: &mut Cx<'_, Self>,
        key: PublicKey,
        letter: &Letter,
        checked: Option<Result<(), Arc<str>>>,
    ) -> Judged {
        let remote = NodeId::from(key);
        let known = self.pairs.get(&remote);
        if !known.is_some_and(|pair| pair.standing().accepted()) {
            cx.event(Event::MessageDropped { node: remote });
            return Judged::Done(Taken::Unaccepted);
        }
        let found = self
            .conversations
            .find(&letter.thread_id, &letter.message_id);
        if found.is_some() {
            cx.event(Event::RepeatRecognised { node: remote });
            return Judged::Done(Taken::Repeated);
        }
        let opened = match self.open(cx, &remote, letter) {
            Ok(opened) => opened,
            Err(why) => return self.unreadable(cx, remote, why.into()),
        };
        let envelope = match check(&opened.envelope, &key, checked) {
            Ok(envelope) => Sent {
                read: Ok(envelope.clone()),
                ..opened.envelope.clone()
            },
            Err(Judged::Done(Taken::Invalid(why))) => return self.unreadable(cx, remote, why),
            Err(judged) => return judged,
        };
        let message = Message {
            thread_id: letter.thread_id.clone(),
            message_id: letter.message_id.clone(),
            remote_node_id: remote.clone(),
            message_kind: MessageKind::Message,
            direction: Direction::Inbound,
            delivery_state: DeliveryState::Delivered,
            content: opened.content,
            a2a_protocol: protocol(&envelope),
            agent_envelope: envelope.shown(),
            created_at: letter.created_at,
            acknowledged_at: Some(letter.created_at),
        };
        let size = letter.byte_size();
        if !self
            .conversations
            .has_room(cx.limits(), &letter.thread_id, size)
        {
            cx.event(Event::TableFull { table: "messages" });
            return Judged::Done(Taken::TableFull);
        }
        self.touch_thread(cx, &remote, &letter.thread_id, letter.created_at, None);
        self.put_message(cx, message, None);
        cx.event(Event::MessageReceived { node: remote });
        Judged::Done(Taken::Applied)
    }

    fn unreadable(&self, cx: &mut Cx<'_, Self>, node: NodeId, why: Arc<str>) -> Judged {
        let event = Event::MessageUnreadable {
            node,
            why: why.clone(),
        };
        cx.event(event);
        Judged::Done(Taken::Invalid(why))
    }

    /// Decrypts a message and takes it apart.
    fn open(
        &mut self,
        cx: &Cx<'_, Self>,
        remote: &NodeId,
        letter: &Letter,
    ) -> Result<Opened, String> {
        let own = cx.config().identity.public_key.to_string();
        if *letter.thread_id != *ids::thread_id(&own, remote.as_str()) {
            return Err("the message is of another conversation".into());
        }
        let length = letter.message_id.len();
        if length == 0 || length > MESSAGE_ID_BYTES_MAX || letter.created_at > MESSAGE_TIME_MAX_MS {
            return Err("the message's id or time is out of bounds".into());
        }
        let unpacked = letter
            .encrypted
            .unpack()
            .map_err(|fault| fault.to_string())?;
        if unpacked.recipient_key != self.dm_key {
            return Err("the message is encrypted for another key".into());
        }
        let shared = self
            .shared_key(cx, remote)?
            .ok_or("the sender's key is not known")?;
        let names = Names {
            sender: remote.as_str(),
            recipient: &own,
            thread: &letter.thread_id,
            message: &letter.message_id,
        };
        let plain = shared
            .open(&names, unpacked.nonce, &unpacked.ciphertext)
            .map_err(|fault| fault.to_string())?;
        #[derive(Deserialize)]
        struct Plain<'a> {
            #[serde(borrow)]
            agent_envelope: &'a RawValue,
            #[serde(borrow)]
            content: &'a RawValue,
        }
        let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|error| error.to_string())?;
        // What clients could not read is not passed on to them either.
        serde_json::from_str::<serde_json::Value>(plain.content.get())
            .map_err(|error| error.to_string())?;
        let content = Json(plain.content.get().into());
        if !content.is_shallow() {
            return Err(format!(
                "the content nests more than {AGENT_JSON_DEPTH_MAX} levels deep"
            ));
        }
        Ok(Opened {
            content,
            envelope: super::http::sent(plain.agent_envelope),
        })
    }
}

/// A message that was decrypted.
struct Opened {
    content: Json,
    envelope: Sent,
}

/// Has an envelope checked, unless it was; gives it back if it is sound.
fn check<'a>(
    sent: &'a Sent,
    source: &PublicKey,
    checked: Option<Result<(), Arc<str>>>,
) -> Result<&'a Arc<Envelope>, Judged> {
    let envelope = match &sent.read {
        Ok(envelope) => envelope,
        Err(text) => return Err(Judged::Done(Taken::Invalid(text.clone()))),
    };
    match checked {
        Some(Ok(())) => return Ok(envelope),
        Some(Err(why)) => return Err(Judged::Done(Taken::Invalid(why))),
        None => {}
    }
    match envelope.job_for(source) {
        Ok(None) => Ok(envelope),
        Ok(Some(job)) => Err(Judged::Check(job)),
        Err(text) => Err(Judged::Done(Taken::Invalid(text.into()))),
    }
}
