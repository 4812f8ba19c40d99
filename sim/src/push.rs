//! Push gossip in rounds, as the theory has it: once a round, everybody who knows the rumour tells one
//! other, drawn from all.
//!
//! How many rounds it takes until everybody knows is known: log₂ n + ln n + O(1) (Pittel, 1987). So
//! this says whether the engine and its luck are what they should be.

use crate::engine::{Engine, Machine};
use crate::schedule::Key;
use crate::seed::{Luck, Seeds};

/// One round, in microseconds.
const ROUND: u64 = 1_000_000;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Somebody is told.
    Rumour,
    /// Somebody who knows tells one other.
    Round,
}

#[derive(Debug)]
struct Town {
    luck: Vec<Luck>,
    knows: Vec<bool>,
    ignorant: usize,
    /// When the last one was told.
    over: Option<u64>,
}

impl Machine for Town {
    type Event = Event;

    fn event(&mut self, engine: &mut Engine<Event>, key: Key, what: Event) {
        match what {
            Event::Rumour => {
                if !std::mem::replace(&mut self.knows[key.to as usize], true) {
                    self.ignorant -= 1;
                    if self.ignorant == 0 {
                        self.over = Some(key.at);
                    }
                    // Who was told in this round tells in the next.
                    let next = (key.at / ROUND + 1) * ROUND;
                    engine.at(next, key.to, key.to, Event::Round);
                }
            }
            Event::Round => {
                if self.over.is_none() {
                    let others = self.knows.len() as u64 - 1;
                    let other = self.luck[key.to as usize].below(others) as u32;
                    let other = other + u32::from(other >= key.to);
                    engine.after(ROUND / 2, key.to, other, Event::Rumour);
                    engine.after(ROUND, key.to, key.to, Event::Round);
                }
            }
        }
    }
}

/// How many rounds it takes until all of `nodes` nodes (at least 2) know.
#[must_use]
pub fn rounds(seed: u64, nodes: u32) -> u64 {
    let family = Seeds::new(seed).family("push");
    let mut town = Town {
        luck: (0..nodes).map(|node| family.luck(node.into())).collect(),
        knows: vec![false; nodes as usize],
        ignorant: nodes as usize,
        over: None,
    };
    let mut engine = Engine::new(nodes as usize);
    engine.at(0, 0, 0, Event::Rumour);
    while town.over.is_none() {
        let until = engine.now() + ROUND;
        engine.run(&mut town, until);
    }
    town.over.map_or(0, |over| over.div_ceil(ROUND))
}
