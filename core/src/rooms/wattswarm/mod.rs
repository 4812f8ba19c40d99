//! WattSwarm's peers API: whom we have met, relationships, and direct messages.
//!
//! How two nodes come to the same opinion of their relationship is in `agreement.rs`, what an action
//! makes of it in `relationship.rs` and `ledger.rs`; `delivery.rs` and `receive.rs` are the two ends of
//! what passes between nodes. Rule: the published Peers API and its original, as the project's
//! specification settles them.
//!
//! A relationship takes about 900 bytes beside its envelopes, one with a node that has told how it is
//! reached about 1,300 beside its contact material; `benches/wattswarm.rs` measures both. A list is handed
//! out as the sections it is kept in, so asking for 100,000 relationships takes the node 13 µs. They are
//! written out by whoever asked.
//!
//! An operator's envelope is checked here as its receiver would, signatures included, so that a node
//! never takes an action that the other one must refuse for good.

mod agreement;
pub mod cipher;
mod contact;
mod delivery;
mod dm;
pub mod envelope;
mod errand;
pub mod http;
pub mod ids;
mod ledger;
mod list;
mod material;
#[cfg(feature = "testing")]
pub mod model;
mod receive;
pub mod records;
pub mod relationship;
mod rows;
mod shelf;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use agreement::{Own, Progress};
pub use list::{Neighbour, PeerList};
pub use material::Material;
pub use receive::Reading;
pub use rows::{Contact, Letterbox, PairRecord, Row, Sighting};
pub use shelf::{Listing, Shelved};
pub use types::{
    Act, Delivery, Draft, Errand, Event, Greeting, Introduction, Letter, Network, Note, Parcel,
    Posted, Receipt, Refusal, Request, Response, Sent, Status, Taken, Then, Timer,
};

use self::agreement::{Moved, Pair};
use self::delivery::{Item, Line};
use self::records::{Actor, DeliveryState, Direction, NodeId, Relations, Relationship, State};
use self::relationship::Outcome;
use crate::commons::Notice;
use crate::config::{Config, WattswarmMode};
use crate::cx::Cx;
use crate::ids::PublicKey;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::time::{Now, WallTime};
use crate::verify::Verdict;

/// The room.
#[derive(Clone, Debug)]
pub struct Wattswarm {
    own: PublicKey,
    pairs: BTreeMap<NodeId, Pair>,
    /// What is shown of `pairs`.
    relations: shelf::Shelf<Relations>,
    conversations: dm::Conversations,
    contacts: BTreeMap<NodeId, Contact>,
    neighbours: list::Neighbours,
    lines: BTreeMap<NodeId, Line>,
    /// Items in all lines.
    waiting: usize,
    /// The place of the next item in its line.
    next_place: u64,
    /// Keys agreed on with others.
    keys: BTreeMap<PublicKey, cipher::SharedKey>,
    /// Our own key for messages.
    dm_key: [u8; 32],
    /// What we say of ourselves; there from the start of a run.
    own_material: Option<Arc<Material>>,
    /// Whether an operator has switched the node on or off.
    running: Option<bool>,
    /// Changes of relationships so far.
    changes: u64,
    /// Envelopes that are being checked, of operators.
    checks: usize,
    /// Deliveries of which an envelope is being checked.
    readings: usize,
    /// Bytes of envelopes and contact material that are kept for relationships.
    held: usize,
}

impl Room for Wattswarm {
    const SCOPE: Scope = Scope::Wattswarm;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(config: &Config, _: &mut Stream) -> Self {
        Self {
            own: config.identity.public_key,
            pairs: BTreeMap::new(),
            relations: shelf::Shelf::default(),
            conversations: dm::Conversations::default(),
            contacts: BTreeMap::new(),
            neighbours: list::Neighbours::default(),
            lines: BTreeMap::new(),
            waiting: 0,
            next_place: 0,
            keys: BTreeMap::new(),
            dm_key: cipher::x25519_public(&cipher::dm_secret(&config.identity.secret)),
            own_material: None,
            running: None,
            changes: 0,
            checks: 0,
            readings: 0,
            held: 0,
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, Self>) {
        self.own_material = Some(contact::own_material(cx.config(), cx.now()).into());
        self.complete_sightings();
        self.recall(cx);
        self.start_lines(cx);
    }

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        let response = match request {
            Request::Act(act) => return self.screen(cx, id, Errand::Act(act)),
            Request::Send(draft) => return self.screen(cx, id, Errand::Send(draft)),
            Request::Deliver(delivery) => return self.receive(cx, id, from, delivery),
            Request::Contact(asked) => self.introduce(cx, asked),
            Request::Head => Response::Head(self.changes + self.conversations.messages() as u64),
            Request::List => Response::List(Arc::new(self.list(cx))),
            Request::Messages { thread } => Response::Messages {
                messages: self.conversations.messages_of(&thread),
                thread,
            },
            Request::Network => Response::Network(Arc::new(Network {
                network_enabled: in_network(cx),
                local_peer_id: cx.config().identity.public_key.into(),
                listen_addrs: vec![cx.config().address.to_string().into()],
            })),
            Request::OwnContact => match &self.own_material {
                Some(material) => Response::OwnContact(material.clone()),
                None => Response::Refused(Refusal::Busy),
            },
            Request::Relationships => Response::Relationships(self.relations.listing()),
            Request::Run(running) => {
                self.running = Some(running);
                cx.put(Row::Running(self.running));
                Response::Done
            }
            Request::Status => Response::Status(Arc::new(Status {
                running: self.running.unwrap_or_else(|| in_network(cx)),
                node_id: cx.config().identity.public_key.into(),
                mode: cx.config().wattswarm.mode.name().into(),
            })),
            Request::Threads => Response::Threads(self.conversations.threads()),
        };
        cx.respond(id, response);
    }

    fn reply(&mut self, cx: &mut Cx<'_, Self>, then: Then, result: Result<Answer, CallError>) {
        match then {
            Then::Delivered { to, at, delivery } => {
                self.delivered(cx, to, &at, &delivery, result);
            }
            Then::Checked { .. } | Then::Judged(_) => unreachable!("checks are not calls"),
        }
    }

    fn verdict(&mut self, cx: &mut Cx<'_, Self>, then: Then, verdict: Verdict) {
        let verdict = envelope_verdict(&verdict);
        match then {
            Then::Checked { id, errand } => {
                self.checks -= 1;
                match verdict {
                    Ok(()) => self.carry_out(cx, id, &errand),
                    Err(text) => refuse(cx, id, text),
                }
            }
            Then::Judged(reading) => {
                self.readings -= 1;
                self.judged(cx, *reading, verdict);
            }
            Then::Delivered { .. } => unreachable!("calls are not checks"),
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Timer) {
        match timer {
            Timer::Retry(key) => self.retry(cx, &key),
        }
    }

    fn notice(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice) {
        match notice {
            Notice::Banned(_) => self.judge(cx),
            Notice::Unbanned => {
                self.judge(cx);
                self.look_again(cx);
            }
            Notice::PeerProven(peer) => {
                if let Some(id) = self.meet_peer(cx, *peer) {
                    self.heard_from(cx, &id);
                }
            }
            Notice::SessionOpened(session) | Notice::SessionProven(session) => {
                let session = cx.commons().sessions.get(*session);
                let peer = session.map(|session| session.peer);
                if let Some(id) = peer.and_then(|peer| self.meet_peer(cx, peer)) {
                    self.heard_from(cx, &id);
                }
            }
            Notice::PeersChanged(_)
            | Notice::SessionFailed(_)
            | Notice::SessionMismatched(_)
            | Notice::SessionClosed(_) => {}
        }
    }

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        self.restore_row(row);
        Ok(())
    }

    fn export(&self, rows: &mut Vec<rooms::Row>) {
        let mut put = |row: Row| rows.push(row.into());
        for (id, pair) in &self.pairs {
            put(Row::Pair(id.clone(), Some(pair_record(pair))));
            for (request, bond) in &pair.base.requests {
                put(Row::Request(
                    id.clone(),
                    request.clone(),
                    Some(bond.clone()),
                ));
            }
            for (seq, own) in &pair.own {
                put(Row::Action(id.clone(), *seq, Some(own.clone())));
            }
        }
        for (id, contact) in &self.contacts {
            put(Row::Contact(id.clone(), Some(contact.clone())));
        }
        for (key, sighting) in self.neighbours.sightings() {
            put(Row::Seen(key, Some(sighting)));
        }
        if self.running.is_some() {
            put(Row::Running(self.running));
        }
        self.export_messages(&mut put);
    }

    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        gauge("wattswarm_contacts", self.contacts.len() as u64);
        gauge("wattswarm_message_bytes", self.conversations.bytes() as u64);
        gauge("wattswarm_messages", self.conversations.messages() as u64);
        gauge("wattswarm_neighbours", self.neighbours.len() as u64);
        gauge("wattswarm_outbox", self.waiting as u64);
        gauge("wattswarm_relationship_bytes", self.held as u64);
        gauge("wattswarm_relationships", self.pairs.len() as u64);
        gauge("wattswarm_threads", self.conversations.len() as u64);
    }
}

/// What a check of an envelope found.
fn envelope_verdict(verdict: &Verdict) -> Result<(), String> {
    let Verdict::Envelope(verdict) = verdict else {
        unreachable!("the room has envelopes checked and nothing else");
    };
    verdict.map_err(|fault| fault.to_string())
}

impl Wattswarm {
    /// The other side's next action.
    fn hear(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, note: &Note) -> Outcome {
        let at = millis(cx.now().wall);
        let shown = self.has_room_for(cx, id, note.byte_size());
        let pair = self
            .pairs
            .entry(id.clone())
            .or_insert_with(|| Pair::new(&self.own, id.clone()));
        let was = pair.state();
        let crossed = pair.progress.settled < pair.progress.made;
        let changes = pair.progress.changes;
        let (outcome, moved) = pair.hear(note, at, shown);
        self.changes += pair.progress.changes - changes;
        let revised = crossed && moved.changed && outcome == Outcome::Changed;
        self.forget(cx, id, &moved);
        self.loosen(id);
        let (node, action) = (id.clone(), note.action);
        if matches!(outcome, Outcome::Refused(_)) {
            cx.event(Event::RelationshipRefused { node, action });
        } else if revised {
            cx.event(Event::RelationshipRevised { node });
        }
        self.moved(cx, id, was, moved.changed.then_some(note.action));
        outcome
    }

    /// Whether what another node sends along with an action is kept. The action counts in any case:
    /// otherwise a node that has sent much could neither take anything back nor block.
    fn has_room_for(&self, cx: &mut Cx<'_, Self>, id: &NodeId, bytes: usize) -> bool {
        let limits = cx.limits();
        let kept = self.pairs.get(id).map_or(0, |pair| pair.bytes);
        let fits = kept + bytes <= limits.relationship_bytes_per_peer_max
            && self.held + bytes <= limits.relationship_bytes_max / 10 * 9;
        if !fits {
            cx.event(Event::TableFull {
                table: "relationship bytes",
            });
        }
        fits
    }

    /// How far the other side is.
    fn greet(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, greeting: &Greeting) {
        let Some(pair) = self.pairs.get_mut(id) else {
            return;
        };
        if !pair.believes(greeting.made, greeting.heard, greeting.clock) {
            return;
        }
        let before = pair.progress;
        let moved = pair.greet(greeting.made, greeting.heard, greeting.clock);
        if pair.progress != before {
            let acked = pair.progress.acked;
            self.notes_done(id, acked);
            self.forget(cx, id, &moved);
            self.save(cx, id);
        }
    }

    /// Writes what went with actions that are settled or forgotten.
    fn forget(&self, cx: &mut Cx<'_, Self>, id: &NodeId, moved: &Moved) {
        for seq in &moved.forgotten {
            cx.put(Row::Action(id.clone(), *seq, None));
        }
        let Some(pair) = self.pairs.get(id) else {
            return;
        };
        for request in &moved.requests {
            let bond = pair.base.requests.get(request).cloned();
            if bond.is_some() {
                cx.put(Row::Request(id.clone(), request.clone(), bond));
            }
        }
    }

    /// A pair has moved on: it is written, shown, and its conversation opened if it was accepted.
    fn moved(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        was: State,
        action: Option<records::Action>,
    ) {
        self.save(cx, id);
        self.show(id);
        if let Some(action) = action {
            let node = id.clone();
            cx.event(Event::RelationshipChanged { node, action });
        }
        let Some(pair) = self.pairs.get(id) else {
            return;
        };
        let bond = &pair.standing().bond;
        if was != State::Accepted
            && bond.state == State::Accepted
            && let Some((_, by, at)) = bond.last
        {
            let direction = match by {
                Actor::Remote => Direction::Inbound,
                Actor::Local | Actor::System => Direction::Outbound,
            };
            self.open_session(cx, id, at, direction);
        }
    }

    fn save(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId) {
        if let Some(pair) = self.pairs.get_mut(id) {
            self.held -= pair.bytes;
            self.held += pair.weigh();
            cx.put(Row::Pair(id.clone(), Some(pair_record(pair))));
        }
    }

    /// Brings what clients see of a pair up to date.
    fn show(&mut self, id: &NodeId) {
        let Some(pair) = self.pairs.get(id) else {
            return;
        };
        let standing = pair.standing();
        let relationship = standing.bond.record(id);
        let records = standing.records(id);
        if records.is_empty() {
            // Nothing that was ever done was possible.
            self.relations.take(|other| other.remote_node_id.cmp(id));
        } else {
            self.relations.put(Relations {
                remote_node_id: id.clone(),
                records: records.into(),
            });
        }
        self.neighbours.relate(id, relationship);
    }

    /// The relationship of the nodes, whatever requests there are.
    fn bond_record(&self, id: &NodeId) -> Option<Relationship> {
        self.pairs.get(id)?.standing().bond.record(id)
    }

    fn export_messages(&self, put: &mut impl FnMut(Row)) {
        let waiting: BTreeMap<&Arc<str>, (u64, &records::Json)> = self
            .lines
            .values()
            .flat_map(Line::letters)
            .map(|(place, message, raw)| (message, (place, raw)))
            .collect();
        for (thread, messages) in self.conversations.iter() {
            if let Some(thread) = thread {
                put(Row::Thread(thread.thread_id.clone(), Some(thread.clone())));
            }
            for message in messages {
                let own = message.direction == Direction::Outbound
                    && message.message_kind == records::MessageKind::Message
                    && message.delivery_state != DeliveryState::Delivered;
                let waits = waiting.get(&message.message_id).filter(|_| own);
                let row = Letterbox {
                    message: message.clone(),
                    place: waits.map(|(place, _)| *place),
                    raw: waits.map(|(_, raw)| (*raw).clone()),
                };
                put(Row::Message(
                    message.thread_id.clone(),
                    message.message_id.clone(),
                    Some(row),
                ));
            }
        }
    }

    fn restore_row(&mut self, row: Row) {
        match row {
            Row::Action(id, seq, Some(own)) => {
                self.requeue(&id, own.place, Item::Note(seq));
                self.restore_pair(&id, |pair| {
                    pair.own.insert(seq, own);
                });
            }
            Row::Contact(id, Some(contact)) => {
                self.held += contact.material.byte_size();
                self.contacts.insert(id, contact);
            }
            Row::Message(_, _, Some(row)) => {
                let message = &row.message;
                if let (Some(place), Some(raw)) = (row.place, row.raw) {
                    let item = Item::Letter {
                        thread: message.thread_id.clone(),
                        message: message.message_id.clone(),
                        raw,
                        since: 0,
                    };
                    let id = message.remote_node_id.clone();
                    self.requeue(&id, place, item);
                }
                self.conversations.put_message(row.message);
            }
            Row::Pair(id, Some(record)) => {
                self.changes += record.progress.changes;
                self.restore_pair(&id, |pair| {
                    pair.progress = record.progress;
                    pair.base.bond = record.bond;
                });
            }
            Row::Request(id, request, Some(bond)) => self.restore_pair(&id, |pair| {
                pair.base.requests.insert(request, bond);
            }),
            Row::Running(running) => self.running = running,
            Row::Seen(key, Some(sighting)) => self.restore_sighting(key, sighting),
            Row::Thread(_, Some(thread)) => self.conversations.put_thread(thread),
            Row::Action(_, _, None)
            | Row::Contact(_, None)
            | Row::Message(_, _, None)
            | Row::Pair(_, None)
            | Row::Request(_, _, None)
            | Row::Seen(_, None)
            | Row::Thread(_, None) => {}
        }
    }

    /// Rows come in any order, so a pair is right once its last row is back.
    fn restore_pair(&mut self, id: &NodeId, change: impl FnOnce(&mut Pair)) {
        let pair = self
            .pairs
            .entry(id.clone())
            .or_insert_with(|| Pair::new(&self.own, id.clone()));
        change(pair);
        pair.restored();
        self.held -= pair.bytes;
        self.held += pair.weigh();
        let acked = pair.progress.acked;
        self.notes_done(id, acked);
        self.show(id);
    }
}

fn pair_record(pair: &Pair) -> PairRecord {
    PairRecord {
        progress: pair.progress,
        bond: pair.base.bond.clone(),
    }
}

fn refuse(cx: &mut Cx<'_, Wattswarm>, id: RequestId, text: impl Into<Arc<str>>) {
    cx.respond(id, Response::Refused(Refusal::Invalid(text.into())));
}

/// Whether the node speaks with others.
fn in_network(cx: &Cx<'_, Wattswarm>) -> bool {
    cx.config().wattswarm.mode == WattswarmMode::Network
}

/// Unix milliseconds.
const fn millis(wall: WallTime) -> u64 {
    wall.as_micros() / 1_000
}
