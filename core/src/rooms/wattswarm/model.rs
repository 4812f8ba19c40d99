//! The reference model: which answers about relationships and messages are right, from what an
//! outsider sees.
//!
//! Written from the specification: its table of transitions, its rules for times, its order of
//! lists. It keeps every action of both sides in the one order that both find, and applies them from
//! the beginning whenever one is added, which is slow and simple. Of a relationship in which requests
//! have ids of their own, or whose other side contradicts itself, it is not sure, and says less.

mod letters;
mod lists;
mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::lists::{conversations, listed, related};
use self::order::{Deed, Step, fold, step};
use super::records::{Action, Actor, Message, NodeId, Relationship, State, Thread};
use super::relationship::Bond;
use super::types::{Act, Delivery, Draft, Letter, Note, Parcel, Refusal, Request, Response, Taken};
use super::{PairRecord, Row};
use crate::config::{Config, WattswarmMode};
use crate::ids::PublicKey;
use crate::input::{Caller, Listener};
use crate::time::Now;

/// The model of a node's relationships and conversations.
#[derive(Clone, Debug)]
pub struct Model {
    own: NodeId,
    key: PublicKey,
    network: bool,
    pairs: BTreeMap<NodeId, Pair>,
    threads: BTreeMap<Arc<str>, Arc<Thread>>,
    messages: BTreeMap<Arc<str>, Conversation>,
    /// Ids that were answered to users, with their conversations.
    answered: BTreeMap<Arc<str>, Arc<str>>,
    /// Messages of others that were said to be taken, in the same way.
    taken: BTreeMap<Arc<str>, Arc<str>>,
}

/// Messages by their time and id.
type Conversation = BTreeMap<(u64, Arc<str>), Arc<Message>>;

/// The node and another one.
#[derive(Clone, Debug, Default)]
struct Pair {
    /// What the actions before the first in `deeds` gave.
    start: Bond,
    /// Every action since then, of both sides, in their order.
    deeds: Vec<Deed>,
    /// What they give.
    now: Bond,
    made: u64,
    heard: u64,
    /// How many of its own actions were answered as queued, and of the other's as taken.
    promised: (u64, u64),
    /// What the other side has said its next actions are; nothing, if it said different things.
    offered: BTreeMap<u64, Option<Note>>,
    /// It is not sure how things stand.
    vague: bool,
}

/// What was sure when the node was asked.
#[derive(Clone, Debug)]
pub enum Owed {
    /// An action, whether it is possible, and which number it has then, or an action before it that
    /// it repeats; nothing if that is not sure.
    Act(Act, Option<bool>, u64),
    /// A delivery of another node, and whether it may be taken at all.
    Deliver(Arc<Delivery>, bool),
    /// The records that are listed; `None` for those that are not sure.
    List(BTreeMap<NodeId, Option<Relationship>>),
    /// The messages of a conversation.
    Messages(Arc<str>, Vec<Arc<Message>>),
    /// The same as for [`Self::List`], without those of whom nothing is to be shown.
    Relationships(BTreeMap<NodeId, Option<Relationship>>),
    /// A message, and whether it may be sent; nothing if that is not sure.
    Send(Draft, Option<bool>),
    /// The conversations.
    Threads(Vec<Arc<Thread>>),
    /// Nothing that is worth a look.
    Whatever,
}

impl Model {
    /// The model of a node that starts with these rows.
    #[must_use]
    pub fn new<'a>(config: &Config, rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut model = Self {
            own: config.identity.public_key.into(),
            key: config.identity.public_key,
            network: config.wattswarm.mode == WattswarmMode::Network,
            pairs: BTreeMap::new(),
            threads: BTreeMap::new(),
            messages: BTreeMap::new(),
            answered: BTreeMap::new(),
            taken: BTreeMap::new(),
        };
        let mut actions = Vec::new();
        for row in rows {
            match row {
                Row::Pair(id, Some(record)) => {
                    let pair = model.pairs.entry(id.clone()).or_default();
                    pair.start = record.bond.clone();
                    (pair.made, pair.heard) = (record.progress.made, record.progress.heard);
                    // Settled actions are in the bond.
                    actions.push((id.clone(), record.progress.settled));
                }
                Row::Request(id, _, _) => model.pairs.entry(id.clone()).or_default().vague = true,
                Row::Message(_, _, Some(row)) => model.keep(&row.message),
                Row::Thread(id, Some(thread)) => {
                    model.threads.insert(id.clone(), thread.clone());
                }
                Row::Action(id, seq, Some(own)) => {
                    let deed = own_deed(*seq, own);
                    let first = model.own < *id;
                    let numbered = numbered(own.action, own.envelope.as_ref());
                    let pair = model.pairs.entry(id.clone()).or_default();
                    pair.vague |= numbered;
                    pair.add(first, deed);
                }
                Row::Action(_, _, None)
                | Row::Contact(..)
                | Row::Message(_, _, None)
                | Row::Pair(_, None)
                | Row::Running(_)
                | Row::Seen(..)
                | Row::Thread(_, None) => {}
            }
        }
        for (id, settled) in actions {
            let pair = model.pairs.entry(id).or_default();
            pair.deeds.retain(|deed| deed.seq > settled);
            pair.apply();
        }
        model
    }

    /// How things surely stand with a node.
    fn bond(&self, id: &NodeId) -> Option<Bond> {
        match self.pairs.get(id) {
            None => Some(Bond::default()),
            Some(pair) => (!pair.vague).then(|| pair.now.clone()),
        }
    }

    /// The node is asked. Tells what it owes.
    pub fn asked(&mut self, _: Now, from: &Caller, request: &Request) -> Owed {
        match request {
            Request::Act(act) => {
                let may = self.may_act(act);
                Owed::Act(act.clone(), may, self.number(act, may))
            }
            Request::Send(draft) => Owed::Send(draft.clone(), self.may_send(draft)),
            Request::Deliver(delivery) => {
                Owed::Deliver(delivery.clone(), self.hear(from, delivery))
            }
            Request::List => Owed::List(self.records()),
            Request::Messages { thread } => {
                let known = self.messages.get(thread).into_iter();
                Owed::Messages(
                    thread.clone(),
                    known.flat_map(|all| all.values().cloned()).collect(),
                )
            }
            Request::Relationships => {
                let mut records = self.records();
                let shown = |record: &Option<Relationship>| record.is_some();
                let vague = |id: &NodeId| self.pairs.get(id).is_some_and(|pair| pair.vague);
                records.retain(|id, record| shown(record) || vague(id));
                Owed::Relationships(records)
            }
            Request::Threads => Owed::Threads(self.threads.values().cloned().collect()),
            Request::Contact(_)
            | Request::Head
            | Request::Network
            | Request::OwnContact
            | Request::Run(_)
            | Request::Status => Owed::Whatever,
        }
    }

    fn records(&self) -> BTreeMap<NodeId, Option<Relationship>> {
        let records = self.pairs.iter().map(|(id, pair)| {
            let record = (!pair.vague).then(|| record(id, &pair.now)).flatten();
            (id.clone(), record)
        });
        records.collect()
    }

    /// Whether an operator's action is possible.
    fn may_act(&self, act: &Act) -> Option<bool> {
        let Some(sent) = &act.envelope else {
            return Some(false);
        };
        let Ok(envelope) = &sent.read else {
            return Some(false);
        };
        match envelope.job_for(&self.key) {
            // Signatures are checked elsewhere, and much can happen in the meantime.
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(_) => return Some(false),
        }
        let Ok(id) = NodeId::new(&act.remote) else {
            return Some(false);
        };
        if id == self.own {
            return Some(false);
        }
        if numbered(act.action, Some(sent)) {
            return None;
        }
        let bond = self.bond(&id)?;
        Some(step(&bond, Actor::Local, act.action) != Step::No)
    }

    /// How many actions there are towards a node, this one among them.
    fn number(&self, act: &Act, may: Option<bool>) -> u64 {
        let pair = NodeId::new(&act.remote).ok();
        let made = |pair: &Pair| {
            let new = step(&pair.now, Actor::Local, act.action) != Step::Same;
            pair.made + u64::from(may == Some(true) && new)
        };
        match pair.as_ref().and_then(|id| self.pairs.get(id)) {
            Some(pair) => made(pair),
            None => u64::from(may == Some(true)),
        }
    }

    /// Whether a message may be sent, as far as the relationship goes.
    fn may_send(&self, draft: &Draft) -> Option<bool> {
        let Ok(id) = NodeId::new(&draft.remote) else {
            return Some(false);
        };
        let Some(sent) = &draft.envelope else {
            return Some(false);
        };
        let Ok(envelope) = &sent.read else {
            return Some(false);
        };
        if id == self.own {
            return Some(false);
        }
        match envelope.job_for(&self.key) {
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(_) => return Some(false),
        }
        Some(self.bond(&id)?.state == State::Accepted)
    }

    /// Another node says what it did. Tells whether it may say so at all.
    fn hear(&mut self, from: &Caller, delivery: &Delivery) -> bool {
        let greeting = &delivery.greeting;
        let key = from.cert.and_then(|cert| cert.key);
        let itself = key.is_some_and(|key| NodeId::from(key) == greeting.source_node_id)
            && greeting.source_node_id != self.own;
        let meant = greeting.target_node_id == self.own && from.listener == Listener::P2p;
        if !(itself && meant) {
            return false;
        }
        if let Parcel::Notes(notes) = &delivery.parcel {
            let pair = self
                .pairs
                .entry(greeting.source_node_id.clone())
                .or_default();
            for note in notes.iter().filter(|note| note.seq > pair.heard) {
                let offered = pair.offered.entry(note.seq);
                let offered = offered.or_insert_with(|| Some(note.clone()));
                if offered.as_ref() != Some(note) {
                    *offered = None;
                }
            }
        }
        true
    }

    /// The node writes rows, all at once.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn written<'a>(
        &mut self,
        now: Now,
        rows: impl Iterator<Item = &'a Row> + Clone,
    ) -> Result<(), String> {
        if !self.network {
            return Ok(());
        }
        // What was done comes before what it leads to.
        for row in rows.clone() {
            if let Row::Action(id, seq, Some(own)) = row {
                let vague = numbered(own.action, own.envelope.as_ref());
                self.did(id, own_deed(*seq, own), vague)?;
            }
        }
        let mut letters = Vec::new();
        for row in rows {
            match row {
                Row::Pair(id, Some(record)) => self.moved(now, id, record)?,
                Row::Message(_, _, Some(row)) => letters.push(row),
                Row::Thread(id, Some(thread)) => self.opened(id, thread)?,
                Row::Request(id, _, _) => self.pairs.entry(id.clone()).or_default().vague = true,
                Row::Message(_, _, None) | Row::Pair(_, None) | Row::Thread(_, None) => {
                    return Err(format!("{row:?} is forgotten"));
                }
                Row::Action(..) | Row::Contact(..) | Row::Running(_) | Row::Seen(..) => {}
            }
        }
        // Rows come by their keys, messages are written one after the other.
        letters.sort_by_key(|row| row.message.created_at);
        letters.into_iter().try_for_each(|row| self.wrote(now, row))
    }

    /// The node's operator did something.
    fn did(&mut self, id: &NodeId, deed: Deed, vague: bool) -> Result<(), String> {
        let first = self.own < *id;
        let pair = self.pairs.entry(id.clone()).or_default();
        if deed.seq <= pair.made {
            return Err(format!(
                "action {} towards {id} was written twice",
                deed.seq
            ));
        }
        pair.made = deed.seq;
        pair.vague |= vague;
        if !pair.vague && step(&pair.now, Actor::Local, deed.action) == Step::No {
            let state = pair.now.state;
            return Err(format!("{:?} of {id} in state {state:?}", deed.action));
        }
        pair.add(first, deed);
        pair.apply();
        Ok(())
    }

    /// How far both are, and what the actions that are settled give.
    fn moved(&mut self, now: Now, id: &NodeId, record: &PairRecord) -> Result<(), String> {
        let first = self.own < *id;
        let at = now.wall.as_micros() / 1_000;
        let pair = self.pairs.entry(id.clone()).or_default();
        let progress = &record.progress;
        if progress.heard < pair.heard || progress.made != pair.made {
            return Err(format!("actions with {id} were forgotten: {progress:?}"));
        }
        let before = pair.heard;
        for seq in before + 1..=progress.heard {
            match pair.offered.remove(&seq) {
                None => return Err(format!("action {seq} of {id} was taken, and never came")),
                // It said two things, so who knows which was taken.
                Some(None) => pair.vague = true,
                Some(Some(note)) => {
                    pair.vague |= numbered(note.action, note.envelope.as_ref());
                    let envelope = note.envelope.as_ref().and_then(super::Sent::shown);
                    pair.add(
                        first,
                        Deed {
                            clock: note.clock,
                            by: Actor::Remote,
                            seq,
                            action: note.action,
                            at,
                            envelope,
                        },
                    );
                }
            }
        }
        pair.heard = progress.heard;
        pair.apply();
        if pair.vague {
            return Ok(());
        }
        let settled = |deed: &&Deed| deed.by == Actor::Remote || deed.seq <= progress.settled;
        let mut base = fold(&pair.start, pair.deeds.iter().filter(settled));
        if base != record.bond && record.bond.envelope.is_none() {
            // There was no room for what was sent along; the actions count all the same.
            for deed in &mut pair.deeds {
                if deed.by == Actor::Remote && deed.seq > before {
                    deed.envelope = None;
                }
            }
            pair.apply();
            base = fold(&pair.start, pair.deeds.iter().filter(settled));
        }
        if base == record.bond {
            Ok(())
        } else {
            Err(format!(
                "the relationship with {id} is written as {:?}, not {base:?}",
                record.bond
            ))
        }
    }

    /// The node answers.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(&mut self, owed: &Owed, response: &Response) -> Result<(), String> {
        if !self.network {
            return Ok(());
        }
        match (owed, response) {
            (_, Response::Refused(Refusal::Busy)) | (Owed::Whatever, _) => Ok(()),
            (Owed::Act(act, may, number), Response::Queued { remote, action }) => {
                if *may == Some(false) || *remote != act.remote || *action != act.action {
                    return Err(format!("{:?} of {} is queued", act.action, act.remote));
                }
                if let Ok(id) = NodeId::new(remote) {
                    let promised = &mut self.pairs.entry(id).or_default().promised;
                    promised.0 = promised.0.max(*number);
                }
                Ok(())
            }
            (Owed::Act(act, may, _), Response::Refused(Refusal::Invalid(why))) => {
                refused(&format!("{:?} of {}", act.action, act.remote), *may, why)
            }
            (Owed::Send(draft, may), Response::Refused(Refusal::Invalid(why))) => {
                refused(&format!("a message to {}", draft.remote), *may, why)
            }
            (Owed::Send(draft, may), Response::Sent(posted)) => {
                if *may == Some(false) {
                    return Err(format!("a message to {} is sent", draft.remote));
                }
                self.posted(draft, &posted.thread_id, &posted.message_id)
            }
            (Owed::Deliver(delivery, true), Response::Receipt(receipt)) => {
                self.received(delivery, &receipt.results)
            }
            (Owed::Deliver(_, true), Response::Refused(Refusal::Invalid(_)))
            | (Owed::Deliver(_, false), Response::Refused(Refusal::Impostor)) => Ok(()),
            (Owed::List(records), Response::List(list)) => listed(records, &list.records()),
            (
                Owed::Messages(thread, messages),
                Response::Messages {
                    thread: of,
                    messages: said,
                },
            ) => {
                if thread == of && messages.iter().eq(said.iter()) {
                    Ok(())
                } else {
                    Err(format!("{of} is told as {said:?}, not {messages:?}"))
                }
            }
            (Owed::Relationships(records), Response::Relationships(said)) => related(records, said),
            (Owed::Threads(threads), Response::Threads(said)) => conversations(threads, said),
            (owed, response) => Err(format!("{owed:?} is answered with {response:?}")),
        }
    }

    /// What was taken must be kept.
    fn received(&mut self, delivery: &Delivery, results: &[Taken]) -> Result<(), String> {
        let from = &delivery.greeting.source_node_id;
        let items = match &delivery.parcel {
            Parcel::Letters(letters) => letters.len(),
            Parcel::Notes(notes) => notes.len(),
        };
        if items != results.len() {
            return Err(format!(
                "{items} things of {from} are answered with {results:?}"
            ));
        }
        for (item, taken) in results.iter().enumerate() {
            let claimed = matches!(
                taken,
                Taken::Applied | Taken::Inapplicable(_) | Taken::Repeated
            );
            if claimed && !self.keeps(from, &delivery.parcel, item) {
                return Err(format!("something of {from} is said to be {taken:?}"));
            }
        }
        Ok(())
    }

    /// Whether something that was handed over is kept; if so, it must be from now on.
    fn keeps(&mut self, from: &NodeId, parcel: &Parcel, item: usize) -> bool {
        match parcel {
            Parcel::Letters(letters) => {
                let Letter {
                    thread_id: thread,
                    message_id: id,
                    ..
                } = &letters[item];
                self.taken.insert(id.clone(), thread.clone());
                self.holds(thread, id)
            }
            Parcel::Notes(notes) => {
                let pair = self.pairs.entry(from.clone()).or_default();
                let seq = notes[item].seq;
                pair.promised.1 = pair.promised.1.max(seq);
                seq <= pair.heard
            }
        }
    }

    /// Whether the node, which has started again, still has what it told of `before` that.
    ///
    /// # Errors
    /// What is lost.
    pub fn outlives(&self, before: &Self) -> Result<(), String> {
        for (id, thread) in before.answered.iter().chain(&before.taken) {
            if !self.holds(thread, id) {
                return Err(format!("{id} was answered, and is lost"));
            }
        }
        for (id, pair) in &before.pairs {
            let now = self
                .pairs
                .get(id)
                .map_or((0, 0), |now| (now.made, now.heard));
            if pair.promised.0 > now.0 || pair.promised.1 > now.1 {
                let promised = pair.promised;
                return Err(format!(
                    "{promised:?} actions with {id} were answered, {now:?} are left"
                ));
            }
        }
        Ok(())
    }
}

impl Pair {
    /// Puts an action in its place: by its clock, and between two of one clock by who is first.
    fn add(&mut self, first: bool, deed: Deed) {
        let rank = |deed: &Deed| (deed.clock, (deed.by == Actor::Local) != first);
        let place = self.deeds.partition_point(|of| rank(of) <= rank(&deed));
        self.deeds.insert(place, deed);
    }

    fn apply(&mut self) {
        self.now = fold(&self.start, self.deeds.iter());
    }
}

fn own_deed(seq: u64, own: &super::Own) -> Deed {
    Deed {
        clock: own.clock,
        by: Actor::Local,
        seq,
        action: own.action,
        at: own.at,
        envelope: None,
    }
}

/// Whether an action is about a request with an id of its own.
fn numbered(action: Action, envelope: Option<&super::Sent>) -> bool {
    let read = envelope.and_then(|sent| sent.read.as_ref().ok());
    !matches!(action, Action::Block | Action::Unblock)
        && read.is_some_and(|read| read.request_id().is_some())
}

fn record(id: &NodeId, bond: &Bond) -> Option<Relationship> {
    let (last_action, initiated_by, updated_at) = bond.last?;
    Some(Relationship {
        remote_node_id: id.clone(),
        relationship_state: bond.state,
        last_action,
        initiated_by,
        updated_at,
        requested_at: bond.requested_at,
        responded_at: bond.responded_at,
        blocked_at: bond.blocked_at,
        cleared_at: bond.cleared_at,
        agent_envelope: bond.envelope.clone(),
    })
}

/// Something possible may be refused only for want of room or of a key.
fn refused(what: &str, may: Option<bool>, why: &str) -> Result<(), String> {
    let excused = [
        "no room",
        "too m",
        "missing peer private message encryption key",
        "x25519 public key",
        "event bytes",
    ];
    if may == Some(true) && !excused.iter().any(|excuse| why.contains(excuse)) {
        return Err(format!("{what} is refused: {why}"));
    }
    Ok(())
}
