//! Both sides of a friendship tell the same story.
//!
//! What must hold at every moment: nobody has heard what was never said, and a message that is
//! called delivered is there, once, as it was written. What must hold once nothing goes wrong any
//! more: both have heard everything, think the same of their relationship, and read the same
//! conversation in the same order.

use std::collections::BTreeMap;

use peerage_core::commons::address::HostAddr;
use peerage_core::rooms::Row as AnyRow;
use peerage_core::rooms::wattswarm::records::{
    Actor, DeliveryState, Direction, Message, MessageKind, NodeId, State,
};
use peerage_core::rooms::wattswarm::relationship::{Bond, Sides};
use peerage_core::rooms::wattswarm::{Letterbox, PairRecord, Row};
use peerage_core::{Node, Row as NodeRow};

use crate::roster::Roster;

/// A node as its friends see it.
#[derive(Debug)]
pub struct Fellow<'a> {
    index: u32,
    id: NodeId,
    node: &'a Node,
    rows: Vec<NodeRow>,
}

/// What a node has of others.
#[derive(Debug, Default)]
struct Book<'a> {
    pairs: BTreeMap<&'a NodeId, Side<'a>>,
    contacts: usize,
    messages: usize,
    bytes: usize,
}

/// What a node has of another.
#[derive(Debug, Default)]
struct Side<'a> {
    record: Option<&'a PairRecord>,
    requests: BTreeMap<&'a str, &'a Bond>,
    letters: BTreeMap<&'a str, &'a Letterbox>,
    addresses: Vec<HostAddr>,
}

impl<'a> Fellow<'a> {
    /// These nodes as their friends see them; nobody, if none ever had to do with another.
    #[must_use]
    pub fn gather(
        roster: &Roster,
        nodes: impl Iterator<Item = (u32, &'a Node)> + Clone,
    ) -> Vec<Self> {
        let mut known = 0;
        for (_, node) in nodes.clone() {
            node.gauges(&mut |name, value| {
                if name == "wattswarm_relationships" {
                    known += value;
                }
            });
        }
        let fellow = |(index, node): (u32, &'a Node)| Self {
            index,
            id: roster.id(index),
            node,
            rows: node.export(),
        };
        if known > 0 {
            nodes.map(fellow).collect()
        } else {
            Vec::new()
        }
    }

    fn book(&self) -> Book<'_> {
        let mut book = Book::default();
        for row in &self.rows {
            let AnyRow::Wattswarm(row) = row else {
                continue;
            };
            match row {
                Row::Pair(id, Some(record)) => {
                    book.pairs.entry(id).or_default().record = Some(record);
                }
                Row::Request(id, request, Some(bond)) => {
                    let side = book.pairs.entry(id).or_default();
                    side.requests.insert(request, bond);
                }
                Row::Message(_, id, Some(row)) => {
                    book.messages += 1;
                    book.bytes += row.message.content.0.len();
                    if row.message.message_kind == MessageKind::Message {
                        let side = book.pairs.entry(&row.message.remote_node_id).or_default();
                        side.letters.insert(id, row);
                    }
                }
                Row::Contact(id, Some(contact)) => {
                    book.contacts += 1;
                    let side = book.pairs.entry(id).or_default();
                    side.addresses = super::model::addresses(&contact.material);
                }
                Row::Action(..)
                | Row::Contact(_, None)
                | Row::Message(_, _, None)
                | Row::Pair(_, None)
                | Row::Request(_, _, None)
                | Row::Running(_)
                | Row::Seen(..)
                | Row::Thread(..) => {}
            }
        }
        book
    }
}

/// One side of two nodes.
#[derive(Debug)]
struct View<'a> {
    fellow: &'a Fellow<'a>,
    book: &'a Book<'a>,
    side: &'a Side<'a>,
}

impl View<'_> {
    /// Whether it knows where the other one lives.
    fn reaches(&self, other: &Self) -> bool {
        let home = Roster::addr(other.fellow.index);
        let peers = &self.fellow.node.commons().peers;
        let at_home = |key| peers.of_key(&key).any(|peer| peer.info.address == home);
        other.fellow.id.key().is_some_and(at_home) || self.side.addresses.contains(&home)
    }

    /// Whether it may have to turn something away for want of room.
    fn full(&self) -> bool {
        let limits = &self.fellow.node.config().limits;
        let book = self.book;
        let pairs = book.pairs.values().filter(|side| side.record.is_some());
        let crowded = |side: &Side<'_>| {
            side.letters.len() + LETTERS_SPARE >= limits.messages_per_thread_max
                || side.requests.len() >= limits.requests_per_peer_max
        };
        pairs.count() >= limits.relationships_max / 10 * 9
            || book.contacts >= limits.contacts_max
            || book.messages + LETTERS_SPARE >= limits.messages_max
            || book.bytes + book.messages * LETTER_BYTES + GIANT_BYTES >= limits.message_bytes_max
            || book.pairs.values().any(crowded)
    }
}

/// Messages of a conversation that no user wrote, and one more.
const LETTERS_SPARE: usize = 3;
/// What a message takes beside its content, at most; envelopes of users are small.
const LETTER_BYTES: usize = 2_048;
/// The largest message.
const GIANT_BYTES: usize = 128 * 1024;

/// What two nodes tell that cannot both be true, at whatever moment.
#[must_use]
pub fn contradiction(fellows: &[Fellow<'_>]) -> Option<String> {
    pairs(fellows, |one, other| {
        let mine = &one.side.record?.progress;
        let theirs = other.side.record.map(|record| record.progress);
        let heard = theirs.map_or(0, |theirs| theirs.heard);
        if heard > mine.made {
            return Some(format!("has heard {heard} actions of {}", mine.made));
        }
        if mine.acked > heard {
            let acked = mine.acked;
            return Some(format!("acknowledged {acked} actions and knows of {heard}"));
        }
        false_letter(one.side, other.side)
    })
}

/// A message that one has delivered and the other has not, or that came and was never sent.
fn false_letter(sender: &Side<'_>, receiver: &Side<'_>) -> Option<String> {
    for (id, sent) in &sender.letters {
        let came = receiver.letters.get(id);
        let sent = &sent.message;
        match (sent.direction, came) {
            (Direction::Outbound, None) if sent.delivery_state == DeliveryState::Delivered => {
                return Some(format!("has not got {id}, which was delivered"));
            }
            (Direction::Outbound, Some(came)) if !same(sent, &came.message) => {
                return Some(format!("has got {:?} for {sent:?}", came.message));
            }
            (Direction::Outbound, _) | (Direction::Inbound, _) => {}
        }
    }
    let unsent = receiver.letters.iter().find(|(id, came)| {
        came.message.direction == Direction::Inbound && !sender.letters.contains_key(*id)
    });
    unsent.map(|(id, _)| format!("has got {id}, which was never sent"))
}

/// Whether a message is the same on both sides.
fn same(sent: &Message, came: &Message) -> bool {
    came.direction == Direction::Inbound
        && came.thread_id == sent.thread_id
        && came.content == sent.content
        && came.created_at == sent.created_at
        && came.a2a_protocol == sent.a2a_protocol
}

/// What keeps two nodes from thinking the same, if anything does, though nothing goes wrong.
#[must_use]
pub fn disagreement(fellows: &[Fellow<'_>]) -> Option<String> {
    pairs(fellows, |one, other| {
        let record = one.side.record?;
        // Who cannot be reached, or has no room, hears of nothing.
        if one.full() || other.full() || !one.reaches(other) {
            return None;
        }
        let mine = &record.progress;
        let theirs = other.side.record.map(|record| record.progress);
        let heard = theirs.map_or(0, |theirs| theirs.heard);
        if heard < mine.made || mine.acked < mine.made {
            return Some(format!("knows of {heard} actions of {mine:?}"));
        }
        let quiet = theirs.is_some_and(|theirs| theirs.made == mine.heard);
        if quiet && mine.settled < mine.made {
            return Some(format!("has said too little: {theirs:?} to {mine:?}"));
        }
        let settled = theirs.is_some_and(|theirs| theirs.settled == theirs.made);
        (quiet && settled)
            .then(|| contrary(one.side, other.side))
            .flatten()
            .or_else(|| undelivered(record, one.side))
    })
}

/// Where two sides that have heard everything do not think the same.
fn contrary(one: &Side<'_>, other: &Side<'_>) -> Option<String> {
    let (mine, theirs) = (&one.record?.bond, &other.record?.bond);
    if !mirrored(mine, theirs) {
        return Some(format!("thinks {theirs:?} of {mine:?}"));
    }
    let (mine, theirs) = (&one.requests, &other.requests);
    let same = |(id, mine): (&&str, &&Bond)| theirs.get(id).is_some_and(|of| mirrored(mine, of));
    let agreed = mine.len() == theirs.len() && mine.iter().all(same);
    (!agreed).then(|| format!("thinks {theirs:?} of the requests {mine:?}"))
}

/// A message that could go, and has not arrived.
fn undelivered(record: &PairRecord, side: &Side<'_>) -> Option<String> {
    let open = record.bond.state == State::Accepted;
    let letters = side.letters.iter();
    let mut outbound = letters.filter(|(_, row)| row.message.direction == Direction::Outbound);
    outbound.find_map(|(id, row)| match row.message.delivery_state {
        DeliveryState::Delivered => None,
        // It waits until they are friends again.
        DeliveryState::Pending | DeliveryState::Failed if row.place.is_some() && !open => None,
        DeliveryState::Pending | DeliveryState::Failed if row.place.is_some() => {
            Some(format!("has not got {id}, which could be delivered"))
        }
        DeliveryState::Pending | DeliveryState::Failed => {
            Some(format!("could not read {id}, which is sound"))
        }
    })
}

/// Whether two records are of one relationship, each seen from its side.
fn mirrored(mine: &Bond, theirs: &Bond) -> bool {
    let turned = |actor: Actor| match actor {
        Actor::Local => Actor::Remote,
        Actor::Remote => Actor::Local,
        Actor::System => Actor::System,
    };
    let swapped = |sides: Sides| Sides {
        local: sides.remote,
        remote: sides.local,
    };
    let last = |bond: &Bond| bond.last.map(|(action, by, _)| (action, by));
    // Of two requests that crossed each shows its own.
    let crossed = mine.asked.local && mine.asked.remote;
    let both = last(mine) == last(theirs).map(|(action, by)| (action, turned(by)));
    mine.state == theirs.state
        && (both || crossed)
        && mine.asked == swapped(theirs.asked)
        && mine.blocked == swapped(theirs.blocked)
}

/// Asks of every two nodes, in both orders, and tells the first answer: what the second one of them
/// does or does not.
fn pairs(
    fellows: &[Fellow<'_>],
    ask: impl Fn(&View<'_>, &View<'_>) -> Option<String>,
) -> Option<String> {
    let books: Vec<Book<'_>> = fellows.iter().map(Fellow::book).collect();
    let nobody = Side::default();
    let ids = fellows.iter().map(|fellow| &fellow.id);
    let places: BTreeMap<&NodeId, usize> = ids.zip(0..).collect();
    for (fellow, book) in fellows.iter().zip(&books) {
        for (id, side) in &book.pairs {
            let Some(place) = places.get(id) else {
                continue;
            };
            let one = View { fellow, book, side };
            let other = View {
                fellow: &fellows[*place],
                book: &books[*place],
                side: books[*place].pairs.get(&fellow.id).unwrap_or(&nobody),
            };
            if let Some(text) = ask(&one, &other) {
                let (index, to) = (other.fellow.index, fellow.index);
                return Some(format!("n{index}, a friend of n{to}, {text}"));
            }
        }
    }
    None
}
