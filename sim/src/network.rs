//! The links between nodes: how long a message takes, whether it arrives, who is cut off from whom.
//!
//! Luck is drawn from the sender's own stream. A cut is looked at when a message leaves and again
//! when it arrives, so that it also swallows what is already under way.

use crate::seed::{Family, Luck};

/// How links behave. Times are in microseconds, chances in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// No message is faster.
    pub floor: u64,
    /// A message takes up to this much longer.
    pub spread: u64,
    /// How often a message takes long.
    pub slow_chance: u32,
    /// A slow message takes up to this much longer.
    pub slow: u64,
    /// How often a question is lost.
    pub request_loss: u32,
    /// How often an answer is lost.
    pub answer_loss: u32,
    /// How often whoever is asked notices that the caller has gone.
    pub hangup_chance: u32,
    /// How often a late answer still reaches the node that gave it up.
    pub late_chance: u32,
}

/// Some nodes are cut off from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Names the cut until it heals.
    pub id: u32,
    /// Decides who is on the inner side.
    pub salt: u64,
    /// How many of a thousand nodes are on the inner side.
    pub share: u32,
    /// Which messages are swallowed.
    pub way: Way,
}

/// Which messages a cut swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All that cross it.
    Both,
    /// Those that come from the inner side.
    Outward,
}

impl Cut {
    /// Whether the node is on the inner side.
    #[must_use]
    pub const fn inside(&self, node: u32) -> bool {
        let mut word = self.salt ^ (node as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % 1_000 < self.share as u64
    }

    const fn swallows(&self, from: u32, to: u32) -> bool {
        match self.way {
            Way::Both => self.inside(from) != self.inside(to),
            Way::Outward => self.inside(from) && !self.inside(to),
        }
    }
}

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cargo {
    /// A question.
    Request,
    /// An answer.
    Answer,
    /// The end of a connection, or the news that there is none. Never lost.
    Signal,
}

/// All links of a world.
#[derive(Clone, Debug)]
pub struct Network {
    links: Links,
    /// Parties below this number are nodes; users sit beside the node they ask.
    nodes: u32,
    luck: Vec<Luck>,
    cuts: Vec<Cut>,
}

impl Network {
    /// Links between `nodes` nodes, and from `users` users to them.
    #[must_use]
    pub fn new(links: Links, nodes: u32, users: u32, family: Family) -> Self {
        let luck = (0..nodes + users)
            .map(|party| family.luck(party.into()))
            .collect();
        Self {
            links,
            nodes,
            luck,
            cuts: Vec::new(),
        }
    }

    /// How long `cargo` travels; `None` if it is lost.
    #[inline]
    pub fn cross(&mut self, from: u32, to: u32, cargo: Cargo) -> Option<u64> {
        let luck = &mut self.luck[from as usize];
        if from >= self.nodes || to >= self.nodes {
            return Some(luck.range(50, 300));
        }
        let loss = match cargo {
            Cargo::Request => self.links.request_loss,
            Cargo::Answer => self.links.answer_loss,
            Cargo::Signal => 0,
        };
        if luck.chance(loss) {
            return None;
        }
        let mut time = self.links.floor + luck.below(self.links.spread + 1);
        if luck.chance(self.links.slow_chance) {
            time += luck.below(self.links.slow + 1);
        }
        Some(time)
    }

    /// Whether a cut lies between the two just now.
    #[inline]
    #[must_use]
    pub fn blocked(&self, from: u32, to: u32) -> bool {
        !self.cuts.is_empty()
            && from < self.nodes
            && to < self.nodes
            && self.cuts.iter().any(|cut| cut.swallows(from, to))
    }

    /// Whether the one asked notices that the caller has gone.
    pub fn notices_hangup(&mut self, caller: u32) -> bool {
        self.luck[caller as usize].chance(self.links.hangup_chance)
    }

    /// Whether a late answer is still handed to the node that gave it up.
    pub fn delivers_late(&mut self, caller: u32) -> bool {
        self.luck[caller as usize].chance(self.links.late_chance)
    }

    /// Cuts some nodes off.
    pub fn cut(&mut self, cut: Cut) {
        self.cuts.push(cut);
    }

    /// Ends a cut.
    pub fn heal(&mut self, id: u32) {
        self.cuts.retain(|cut| cut.id != id);
    }

    /// Ends all cuts; nothing is lost or slow any more.
    pub fn calm(&mut self) {
        self.cuts.clear();
        self.links.request_loss = 0;
        self.links.answer_loss = 0;
        self.links.slow_chance = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seeds;

    fn network() -> Network {
        let links = Links {
            floor: 1_000,
            spread: 500,
            slow_chance: 0,
            slow: 0,
            request_loss: 100_000,
            answer_loss: 0,
            hangup_chance: 0,
            late_chance: 0,
        };
        Network::new(links, 10, 1, Seeds::new(1).family("network"))
    }

    #[test]
    fn loss_is_as_often_as_asked_and_time_keeps_its_floor() {
        let mut network = network();
        let times: Vec<_> = (0..10_000)
            .map(|_| network.cross(0, 1, Cargo::Request))
            .collect();
        let lost = times.iter().filter(|time| time.is_none()).count();
        assert!((850..1_150).contains(&lost), "{lost}");
        assert!(
            times
                .iter()
                .flatten()
                .all(|time| (1_000..=1_500).contains(time))
        );
    }

    #[test]
    fn a_one_way_cut_lets_the_other_way_through() {
        let mut network = network();
        let cut = Cut {
            id: 1,
            salt: 4,
            share: 500,
            way: Way::Outward,
        };
        let inner = (0..10)
            .find(|node| cut.inside(*node))
            .expect("someone is inside");
        let outer = (0..10)
            .find(|node| !cut.inside(*node))
            .expect("someone is outside");
        network.cut(cut);
        assert!(network.blocked(inner, outer));
        assert!(!network.blocked(outer, inner));
        assert!(!network.blocked(10, inner), "users are not cut off");
        network.heal(1);
        assert!(!network.blocked(inner, outer));
    }
}
