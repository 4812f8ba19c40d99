//! The engine with next to nothing in it: a flood of small messages, and nodes that only wake up.
//!
//! The same two workloads were given to other simulators, so that their speeds can be compared.
//! *Gossip*: a hundred messages of 200 bytes, each handed on to four others by whoever learns it;
//! one in a hundred is lost, the rest take 40 to 60 ms. *Timers*: every node wakes up each second.

use std::sync::Arc;

use peerage_core::lookup::Lookup;

use crate::engine::{Engine, Machine};
use crate::fold::Fold;
use crate::latency::Latency;
use crate::network::{Cargo, Links, Network};
use crate::schedule::Key;
use crate::seed::{Luck, Seeds};

/// Messages that are injected.
const MESSAGES: u32 = 100;
/// Others that a message is handed on to.
const FAN_OUT: usize = 4;

/// What can happen.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A message arrives, or is injected.
    Message(u32),
    /// A node wakes up.
    Wake,
}

/// What came of a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that arrived.
    pub delivered: u64,
    /// Messages that were lost.
    pub lost: u64,
    /// How often a node learned a message.
    pub learned: u64,
    /// How often a node woke up.
    pub woken: u64,
    /// The fold of everything.
    pub hash: u64,
}

/// One node, in one cache line: its luck, and which messages it knows.
#[derive(Clone, Debug)]
struct Member {
    luck: Luck,
    /// A bit for each place in the town's index of messages.
    known: [u64; KNOWN_WORDS],
}

/// Room for every message of the workload, and some more.
const KNOWN_WORDS: usize = 4;

const _: () = assert!(MESSAGES as usize <= KNOWN_WORDS * 64);

impl Member {
    /// Learns a message; tells whether it was new.
    #[inline]
    fn learn(&mut self, place: u32) -> bool {
        let word = &mut self.known[place as usize / 64];
        let bit = 1 << (place % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

impl Counts {
    /// Adds those of another world; of one alone, the sum is what it was.
    pub const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.learned += other.learned;
        self.woken += other.woken;
        self.hash = self.hash.rotate_left(1) ^ other.hash;
    }
}

#[derive(Debug)]
struct Town {
    members: Vec<Member>,
    /// Every message that anybody has met, and its place in this index.
    index: Lookup<u64, u32>,
    network: Network,
    payloads: Vec<Arc<[u8]>>,
    counts: Counts,
    fold: Fold,
}

impl Machine for Town {
    type Event = Event;

    fn event(&mut self, engine: &mut Engine<Event>, key: Key, what: Event) {
        self.fold.word(key.at);
        self.fold
            .word(u64::from(key.to) << 32 | u64::from(key.from));
        match what {
            Event::Message(number) => self.message(engine, key, number),
            Event::Wake => {
                self.counts.woken += 1;
                engine.after(1_000_000, key.to, key.to, Event::Wake);
            }
        }
    }
}

impl Town {
    fn new(seed: u64, nodes: u32) -> Self {
        let seeds = Seeds::new(seed);
        let links = Links {
            request_loss: 10_000,
            ..Links::sound(Latency::Uniform(40_000, 59_999))
        };
        let family = seeds.family("gossip");
        let payload = |number: u32| {
            let mut bytes = [0xa5; 200];
            bytes[..8].copy_from_slice(&u64::from(number).to_le_bytes());
            Arc::from(bytes)
        };
        Self {
            members: (0..nodes)
                .map(|node| Member {
                    luck: family.luck(node.into()),
                    known: [0; KNOWN_WORDS],
                })
                .collect(),
            index: Lookup::new(seed),
            network: Network::new(links, nodes, 0, seeds.family("network")),
            payloads: (0..MESSAGES).map(payload).collect(),
            counts: Counts::default(),
            fold: Fold::default(),
        }
    }

    fn message(&mut self, engine: &mut Engine<Event>, key: Key, number: u32) {
        // Injected messages come from the node itself.
        if key.from != key.to {
            if self.network.blocked(key.from, key.to) {
                return;
            }
            self.counts.delivered += 1;
        }
        let id = self.payloads[number as usize]
            .first_chunk()
            .copied()
            .map_or(0, u64::from_le_bytes);
        self.fold.word(id);
        let next = self.index.len() as u32;
        let place = match self.index.get(&id) {
            Some(place) => *place,
            None => {
                self.index.insert(id, next);
                next
            }
        };
        let nodes = self.members.len() as u64;
        let member = &mut self.members[key.to as usize];
        if !member.learn(place) {
            return;
        }
        self.counts.learned += 1;
        let mut chosen = [key.to; FAN_OUT + 1];
        for place in 1..=FAN_OUT {
            let other = loop {
                let other = member.luck.below(nodes) as u32;
                if !chosen[..place].contains(&other) {
                    break other;
                }
            };
            chosen[place] = other;
            self.counts.sent += 1;
            match self
                .network
                .cross(key.at, key.to, other, Cargo::Request, || 200)
            {
                Some(time) => engine.after(time, key.to, other, Event::Message(number)),
                None => self.counts.lost += 1,
            }
        }
    }

    fn finish(mut self) -> Counts {
        self.counts.hash = std::hash::Hasher::finish(&self.fold);
        self.counts
    }
}

/// Floods `nodes` nodes (at least 5) for 12 virtual seconds.
#[must_use]
pub fn gossip(seed: u64, nodes: u32) -> Counts {
    let mut town = Town::new(seed, nodes);
    let mut engine = Engine::new(nodes as usize);
    for number in 0..MESSAGES {
        let node = ((u64::from(number) * 7_919) % u64::from(nodes)) as u32;
        engine.at(
            u64::from(number) * 100_000,
            node,
            node,
            Event::Message(number),
        );
    }
    engine.run(&mut town, 12_000_000);
    town.finish()
}

/// Wakes `nodes` nodes up once a second for 60 virtual seconds.
#[must_use]
pub fn timers(seed: u64, nodes: u32) -> Counts {
    let mut town = Town::new(seed, nodes);
    let mut engine = Engine::new(nodes as usize);
    for node in 0..nodes {
        let first = town.members[node as usize].luck.below(1_000_000);
        engine.at(first, node, node, Event::Wake);
    }
    engine.run(&mut town, 60_000_000);
    town.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flood_is_as_large_as_it_should_be() {
        let counts = gossip(1, 1_000);
        assert_eq!(counts.sent, 4 * counts.learned);
        assert_eq!(counts.delivered, counts.sent - counts.lost);
        let loss = counts.lost * 10_000 / counts.sent;
        assert!((90..=110).contains(&loss), "{loss}");
        assert!(
            (97_700..=98_300).contains(&counts.learned),
            "{}",
            counts.learned
        );
        assert_eq!(counts, gossip(1, 1_000));
    }

    #[test]
    fn every_node_wakes_up_once_a_second() {
        assert_eq!(timers(1, 50).woken, 50 * 60);
    }
}
