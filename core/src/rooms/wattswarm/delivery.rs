//! Getting what an operator did or wrote to the node that it concerns.
//!
//! Every such item waits in a line of its receiver, in the order in which it came to be, and leaves
//! it when the receiver has acknowledged it. A line has one call under way. One that fails is
//! repeated after 5, 10, 20, 40, 60, 60… seconds, and at once when the node is heard from. A message
//! that has waited through ten failures is shown as failed, and still goes out when it can.
//!
//! The line is what was promised, so it is rebuilt from the rows of actions and messages; how often a
//! call failed is forgotten by a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Wattswarm;
use super::agreement::Pair;
use super::cipher::{self, Names, Sealed, Unpacked};
use super::records::{DeliveryState, Json, Message, NodeId};
use super::types::{
    Delivery, Event, Greeting, Letter, Note, Parcel, Receipt, Request, Response, Taken, Then, Timer,
};
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::peers::Insertion;
use crate::cx::Cx;
use crate::ids::PublicKey;
use crate::input::{Answer, CallError, PeerCert};
use crate::limits::{
    DELIVERY_ATTEMPTS_MAX, DELIVERY_BYTES_MAX, DELIVERY_ITEMS_MAX, DELIVERY_PAUSE_MAX,
    DELIVERY_PAUSE_MIN, DELIVERY_TIMEOUT,
};
use crate::rooms;
use crate::time::Duration;

/// Something that waits to be delivered.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A message.
    Letter {
        thread: Arc<str>,
        message: Arc<str>,
        /// The envelope as it travels.
        raw: Json,
        /// The line's failures when it came.
        since: u32,
    },
    /// An action, by its number.
    Note(u64),
}

/// What waits for one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    items: BTreeMap<u64, Item>,
    in_flight: bool,
    /// Failures since the last success.
    failures: u32,
    /// Failures in all.
    rounds: u32,
    /// After a failure, until it is time for the next attempt or there is reason for one.
    paused: bool,
    /// Messages wait for the next pause to end: the receiver sees no accepted relationship.
    parked: bool,
    /// The node answers, but takes nothing.
    stuck: bool,
    /// Nothing is known of where the node is.
    lost: bool,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Messages with their places and the envelopes that go along.
    pub(super) fn letters(&self) -> impl Iterator<Item = (u64, &Arc<str>, &Json)> {
        self.items.iter().filter_map(|(place, item)| match item {
            Item::Letter { message, raw, .. } => Some((*place, message, raw)),
            Item::Note(_) => None,
        })
    }

    fn has_notes(&self) -> bool {
        let mut items = self.items.values();
        items.any(|item| matches!(item, Item::Note(_)))
    }

    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(8);
        (DELIVERY_PAUSE_MIN * (1 << doublings)).min(DELIVERY_PAUSE_MAX)
    }
}

impl Wattswarm {
    /// Gives an item its place in the line.
    pub(super) fn enqueue(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        mut item: Item,
    ) -> Result<u64, String> {
        let line = self.lines.entry(id.clone()).or_default();
        if line.items.len() >= cx.limits().outbox_per_peer_max
            || self.waiting >= cx.limits().outbox_max
        {
            cx.event(Event::TableFull { table: "outbox" });
            return Err(format!(
                "too much waits to be delivered to remote_node_id={id}"
            ));
        }
        if let Item::Letter { since, .. } = &mut item {
            *since = line.rounds;
        }
        let place = self.next_place;
        self.next_place += 1;
        self.waiting += 1;
        line.items.insert(place, item);
        Ok(place)
    }

    /// Takes back an item of a former run.
    pub(super) fn requeue(&mut self, id: &NodeId, place: u64, item: Item) {
        self.next_place = self.next_place.max(place + 1);
        self.waiting += 1;
        self.lines
            .entry(id.clone())
            .or_default()
            .items
            .insert(place, item);
    }

    /// Begins to deliver what a former run left, spread over a moment.
    pub(super) fn start_lines(&self, cx: &mut Cx<'_, Self>) {
        let keys: Vec<PublicKey> = self.lines.keys().filter_map(NodeId::key).collect();
        for key in keys {
            let after = Duration::from_millis(100 + cx.rng().below(1_900));
            cx.arm(Timer::Retry(key), after);
        }
    }

    /// Delivers what comes next, unless a call is under way or a pause lasts.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) {
        if self.lines.get(id).is_some_and(|line| !line.paused) {
            self.deliver_next(cx, id);
        }
    }

    /// A node was heard from. Whoever was not there may be now; but one that takes nothing is left
    /// alone while the pause lasts, or two such nodes would call each other without end.
    pub(super) fn heard_from(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) {
        if self.lines.get(id).is_some_and(|line| !line.stuck) {
            self.heard_of(cx, id);
        }
    }

    /// Something has changed between this node and another: what was refused may be taken.
    pub(super) fn loosen(&mut self, id: &NodeId) {
        if let Some(line) = self.lines.get_mut(id) {
            line.parked = false;
            line.stuck = false;
        }
    }

    /// There is reason to try again: whatever pause there is, it is over.
    pub(super) fn heard_of(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) {
        if let Some(line) = self.lines.get_mut(id) {
            line.parked = false;
            line.paused = false;
            self.deliver_next(cx, id);
        }
    }

    /// Bans have ended: whoever waits for somebody who was banned looks again.
    pub(super) fn look_again(&mut self, cx: &mut Cx<'_, Self>) {
        let lost = self.lines.iter().filter(|(_, line)| line.lost);
        let ids: Vec<NodeId> = lost.map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.heard_of(cx, &id);
        }
    }

    /// A pause is over.
    pub(super) fn retry(&mut self, cx: &mut Cx<'_, Self>, key: &PublicKey) {
        self.heard_of(cx, &NodeId::from(*key));
    }

    fn deliver_next(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) {
        let Some(key) = id.key() else { return };
        let Some(line) = self.lines.get(id) else {
            return;
        };
        if !super::in_network(cx) || line.in_flight {
            return;
        }
        let attempt = line.failures as usize;
        let endpoints = self.endpoints(cx, &key);
        if endpoints.is_empty() {
            self.wait_for_address(cx, id);
            return;
        }
        let Some(parcel) = self.parcel(cx, id) else {
            return self.rest(id);
        };
        let Some(greeting) = self.greeting(cx, id) else {
            return;
        };
        if let Some(line) = self.lines.get_mut(id) {
            line.in_flight = true;
            line.lost = false;
        }
        cx.disarm(Timer::Retry(key));
        let to = endpoints[attempt % endpoints.len()].clone();
        let delivery = Arc::new(Delivery { greeting, parcel });
        let then = Then::Delivered {
            to: key,
            at: to.addr.clone(),
            delivery: delivery.clone(),
        };
        cx.call(to, Request::Deliver(delivery), DELIVERY_TIMEOUT, then);
    }

    fn wait_for_address(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) {
        if let Some(line) = self.lines.get_mut(id)
            && !line.lost
        {
            line.lost = true;
            // No pause follows, so the next sign of it must count.
            line.stuck = false;
            cx.event(Event::DeliveryWaits { node: id.clone() });
        }
        self.rest(id);
    }

    /// Nothing can go, so no pause follows: whatever comes next goes at once.
    fn rest(&mut self, id: &NodeId) {
        if let Some(line) = self.lines.get_mut(id) {
            line.failures = 0;
        }
    }

    /// What this node says of itself to another.
    pub(super) fn greeting(&self, cx: &Cx<'_, Self>, id: &NodeId) -> Option<Greeting> {
        let progress = self.pairs.get(id).map(|pair| pair.progress);
        let progress = progress.unwrap_or_default();
        Some(Greeting {
            source_node_id: cx.config().identity.public_key.into(),
            target_node_id: id.clone(),
            made: progress.made,
            heard: progress.heard,
            clock: progress.clock,
            contact_material: self.own_material.as_deref()?.clone(),
        })
    }

    /// The first items of a line that go together.
    fn parcel(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) -> Option<Parcel> {
        let pair = self.pairs.get(id)?;
        let line = self.lines.get(id)?;
        let open = pair.standing().accepted() && !line.parked;
        // Messages that cannot go do not hold up what may open the way for them.
        let mut items = line
            .items
            .values()
            .filter(|item| open || matches!(item, Item::Note(_)))
            .peekable();
        if matches!(items.peek()?, Item::Note(_)) {
            let notes = items.map_while(|item| match item {
                Item::Note(seq) => note(pair, *seq),
                Item::Letter { .. } => None,
            });
            return Some(Parcel::Notes(first_of(notes, Note::byte_size)));
        }
        let letters = items.map_while(|item| match item {
            Item::Letter {
                thread,
                message,
                raw,
                ..
            } => {
                let message = self.conversations.find(thread, message)?;
                Some((message.clone(), raw.clone()))
            }
            Item::Note(_) => None,
        });
        let size = |(message, raw): &(Arc<Message>, Json)| {
            512 + (message.content.0.len() + raw.0.len()) * 4 / 3
        };
        let letters = first_of(letters, size);
        self.seal(cx, id, &letters).map(Parcel::Letters)
    }

    /// Encrypts messages for a node. Nothing while its key cannot be used.
    fn seal(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        letters: &[(Arc<Message>, Json)],
    ) -> Option<Vec<Letter>> {
        let shared = self.shared_key(cx, id).ok().flatten()?;
        let contact = self.contacts.get(id)?;
        let recipient_key = cipher::public_key(contact.dm_key.as_deref()?).ok()?;
        let sender_key = self.dm_key;
        let own = cx.config().identity.public_key.to_string();
        let sealed = letters.iter().map(|(message, raw)| {
            let names = Names {
                sender: &own,
                recipient: id.as_str(),
                thread: &message.thread_id,
                message: &message.message_id,
            };
            let nonce = names.nonce();
            let plain = super::dm::plain(&message.content, raw);
            let unpacked = Unpacked {
                sender_key,
                recipient_key,
                nonce,
                ciphertext: shared.seal(&names, nonce, &plain),
            };
            Letter {
                thread_id: message.thread_id.clone(),
                message_id: message.message_id.clone(),
                created_at: message.created_at,
                encrypted: Arc::new(Sealed::new(&unpacked)),
            }
        });
        Some(sealed.collect())
    }

    /// A delivery was answered, or not.
    pub(super) fn delivered(
        &mut self,
        cx: &mut Cx<'_, Self>,
        key: PublicKey,
        at: &HostAddr,
        delivery: &Delivery,
        result: Result<Answer, CallError>,
    ) {
        let id = NodeId::from(key);
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        line.in_flight = false;
        let (receipt, cert) = match result {
            Ok(Answer {
                cert: Some(cert),
                response,
                ..
            }) if cert.key == Some(key) => (receipt_of(response, &delivery.greeting), cert),
            Ok(_) | Err(CallError::IdentityMismatch) => {
                cx.event(Event::DeliveryMismatch { node: id.clone() });
                return self.failed(cx, &id, key);
            }
            Err(_) => return self.failed(cx, &id, key),
        };
        self.reached(cx, key, at, &cert);
        let Some(receipt) = receipt else {
            return self.refused(cx, &id, key);
        };
        self.learn(cx, &id, receipt.greeting.contact_material.clone(), true);
        let (before, parked) = self
            .lines
            .get(&id)
            .map_or((0, false), |line| (line.len(), line.parked));
        self.greet(cx, &id, &receipt.greeting);
        if let Parcel::Letters(letters) = &delivery.parcel {
            self.letters_taken(cx, &id, letters, &receipt.results);
        }
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        if line.len() < before {
            line.failures = 0;
            line.stuck = false;
            // An action may have opened the way for messages.
            line.parked &= matches!(delivery.parcel, Parcel::Letters(_));
            self.deliver_next(cx, &id);
            // Most relationships have nothing under way, and need no line for it.
            if self.lines.get(&id).is_some_and(|line| line.len() == 0) {
                self.lines.remove(&id);
            }
        } else if line.parked && !parked && line.has_notes() {
            // Messages are refused until an action is heard of that waits behind them.
            self.deliver_next(cx, &id);
        } else {
            self.refused(cx, &id, key);
        }
    }

    /// A delivery was answered, and nothing of it was taken.
    fn refused(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, key: PublicKey) {
        if let Some(line) = self.lines.get_mut(id) {
            line.stuck = true;
        }
        self.failed(cx, id, key);
    }

    /// A node has proved to be where it was called: from then on it is known to all rooms.
    fn reached(&mut self, cx: &mut Cx<'_, Self>, key: PublicKey, addr: &HostAddr, cert: &PeerCert) {
        let (mark, peers_max) = (cx.rng().bits(), cx.limits().peers_max);
        let wall = cx.now().wall;
        let known = cx.commons().peers.of_key(&key).next().is_some();
        if !known {
            let info = PeerInfo::new(Some(cert.fingerprint), addr.clone());
            let (commons, journal) = cx.commons_mut();
            let at = Insertion {
                success: Some(wall),
                sticky: false,
                mark,
                peers_max,
            };
            commons.peers.met(journal, info, key, at);
            cx.judge_peer_at(addr);
        }
        let source = (!known).then_some(super::records::Source::ContactMaterialProbe);
        self.meet(cx, key, source);
    }

    /// Takes what became of messages.
    fn letters_taken(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        letters: &[Letter],
        results: &[Taken],
    ) {
        for (letter, taken) in letters.iter().zip(results) {
            match taken {
                Taken::Applied | Taken::Repeated => {
                    self.letter_done(cx, id, letter, DeliveryState::Delivered);
                    cx.event(Event::MessageDelivered { node: id.clone() });
                }
                Taken::Invalid(_) => {
                    self.letter_done(cx, id, letter, DeliveryState::Failed);
                    cx.event(Event::MessageFailed { node: id.clone() });
                }
                Taken::Unaccepted => {
                    if let Some(line) = self.lines.get_mut(id) {
                        line.parked = true;
                    }
                    cx.event(Event::MessageRefused { node: id.clone() });
                }
                Taken::Inapplicable(_) | Taken::OutOfTurn | Taken::TableFull => {}
            }
        }
    }

    /// A message needs no further delivery.
    fn letter_done(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        letter: &Letter,
        state: DeliveryState,
    ) {
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        let place = line.items.iter().find_map(|(place, item)| match item {
            Item::Letter { message, .. } if *message == letter.message_id => Some(*place),
            Item::Letter { .. } | Item::Note(_) => None,
        });
        if place.and_then(|place| line.items.remove(&place)).is_none() {
            return;
        }
        self.waiting -= 1;
        let found = self
            .conversations
            .find(&letter.thread_id, &letter.message_id);
        if let Some(message) = found {
            let mut message = Message::clone(message);
            message.delivery_state = state;
            message.acknowledged_at = (state == DeliveryState::Delivered)
                .then(|| super::millis(cx.now().wall).max(message.created_at));
            self.put_message(cx, message, None);
        }
    }

    /// Actions that are acknowledged leave the line.
    pub(super) fn notes_done(&mut self, id: &NodeId, acked: u64) {
        if let Some(line) = self.lines.get_mut(id) {
            let before = line.items.len();
            line.items
                .retain(|_, item| !matches!(item, Item::Note(seq) if *seq <= acked));
            self.waiting -= before - line.items.len();
        }
    }

    /// A delivery came to nothing.
    fn failed(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, key: PublicKey) {
        let Some(line) = self.lines.get_mut(id) else {
            return;
        };
        if line.items.is_empty() {
            line.failures = 0;
            return;
        }
        line.failures = line.failures.saturating_add(1);
        line.rounds = line.rounds.saturating_add(1);
        line.paused = true;
        let (pause, rounds) = (line.pause(), line.rounds);
        let old: Vec<(u64, Arc<str>, Arc<str>, Json)> = line
            .items
            .iter()
            .filter_map(|(place, item)| match item {
                Item::Letter {
                    thread,
                    message,
                    raw,
                    since,
                } if rounds - since == DELIVERY_ATTEMPTS_MAX => {
                    Some((*place, thread.clone(), message.clone(), raw.clone()))
                }
                Item::Letter { .. } | Item::Note(_) => None,
            })
            .collect();
        cx.event(Event::DeliveryFailed { node: id.clone() });
        cx.arm(Timer::Retry(key), pause);
        for (place, thread, message, raw) in old {
            let Some(message) = self.conversations.find(&thread, &message) else {
                continue;
            };
            let mut message = Message::clone(message);
            message.delivery_state = DeliveryState::Failed;
            self.put_message(cx, message, Some((place, raw)));
            cx.event(Event::MessageFailed { node: id.clone() });
        }
    }
}

/// The receipt of the node that was greeted.
fn receipt_of(response: rooms::Response, greeting: &Greeting) -> Option<Arc<Receipt>> {
    let rooms::Response::Wattswarm(Response::Receipt(receipt)) = response else {
        return None;
    };
    let theirs = &receipt.greeting;
    let fits = theirs.source_node_id == greeting.target_node_id
        && theirs.target_node_id == greeting.source_node_id;
    fits.then_some(receipt)
}

fn note(pair: &Pair, seq: u64) -> Option<Note> {
    let own = pair.own.get(&seq)?;
    Some(Note {
        seq,
        clock: own.clock,
        action: own.action,
        envelope: own.envelope.clone(),
    })
}

/// As many of the first things as one call carries; one at least.
fn first_of<T>(things: impl Iterator<Item = T>, size: impl Fn(&T) -> usize) -> Vec<T> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    for thing in things.take(DELIVERY_ITEMS_MAX) {
        bytes += size(&thing);
        if bytes > DELIVERY_BYTES_MAX && !taken.is_empty() {
            break;
        }
        taken.push(thing);
    }
    taken
}
