//! The links between nodes: how long a message takes, whether it arrives, who is cut off from whom.
//!
//! Luck is drawn from the sender's own stream. What a fault does to a link is a [`Condition`]; a
//! partition is looked at when a message leaves and again when it arrives, so that it also swallows
//! what is already under way.

use std::collections::BTreeMap;

use crate::group::Group;
use crate::latency::Latency;
use crate::seed::{Family, Luck};

/// How links behave. Times are in microseconds, chances in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// How long a message takes, where regions do not say otherwise.
    pub latency: Latency,
    /// How long messages take between regions, if there are any.
    pub regions: Option<Regions>,
    /// How often a message takes long.
    pub slow_chance: u32,
    /// A slow message takes up to this much longer.
    pub slow: u64,
    /// How often a question is lost.
    pub request_loss: u32,
    /// How often an answer is lost.
    pub answer_loss: u32,
    /// How often a connection is refused.
    pub refuse_chance: u32,
    /// How often a connection breaks while its question or answer is under way.
    pub reset_chance: u32,
    /// How often somebody else's certificate is met.
    pub impostor_chance: u32,
    /// How often a body arrives cut short or changed, where messages cross as bytes.
    pub mangle_chance: u32,
    /// How often whoever is asked notices that the caller has gone.
    pub hangup_chance: u32,
    /// How often a late answer still reaches the node that gave it up.
    pub late_chance: u32,
}

impl Links {
    /// Links on which nothing ever goes wrong.
    #[must_use]
    pub const fn sound(latency: Latency) -> Self {
        Self {
            latency,
            regions: None,
            slow_chance: 0,
            slow: 0,
            request_loss: 0,
            answer_loss: 0,
            refuse_chance: 0,
            reset_chance: 0,
            impostor_chance: 0,
            mangle_chance: 0,
            hangup_chance: 0,
            late_chance: 0,
        }
    }

    /// Whether nothing goes wrong by chance.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut sound = self.clone();
        sound.make_sound();
        *self == sound
    }

    /// Takes away all that goes wrong on links by chance; what callers do stays.
    pub fn make_sound(&mut self) {
        *self = Self {
            regions: self.regions.take(),
            hangup_chance: self.hangup_chance,
            late_chance: self.late_chance,
            ..Self::sound(self.latency)
        };
    }
}

/// Where nodes are, and how long messages take from place to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regions {
    /// The region of each node.
    pub of: Vec<u8>,
    /// By the sender's region, then by the receiver's.
    pub matrix: Vec<Vec<Latency>>,
}

/// Which messages a partition swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All between the two sides.
    Both,
    /// Those from the first side to the second.
    Outward,
}

/// What a fault does to the links between two groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// One side.
    pub a: Group,
    /// The other.
    pub b: Group,
    /// In which direction.
    pub way: Way,
    /// What happens there.
    pub effect: Effect,
}

/// What happens to messages. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They wait until this time.
    Clog(u64),
    /// They are late, now and then lost, and share a narrow pipe.
    Degrade {
        /// On top of the link's own latency.
        latency: u64,
        /// In millionths, on top of the link's own loss.
        loss: u32,
        /// Bytes per second in each direction between each two nodes; zero for no bound.
        bandwidth: u64,
    },
    /// They vanish; those under way too, unless they are spared.
    Partition {
        /// Whether what is under way still arrives.
        spares_flight: bool,
    },
}

impl Condition {
    fn concerns(&self, from: u32, to: u32) -> bool {
        let there = self.a.holds(from) && self.b.holds(to);
        there || (self.way == Way::Both && self.b.holds(from) && self.a.holds(to))
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

/// What goes wrong with one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Somebody else answers, with a certificate of their own.
    Impostor,
    /// Nobody accepts it.
    Refused,
    /// It breaks before the answer is there.
    Reset,
}

/// All links of a world.
#[derive(Clone, Debug)]
pub struct Network {
    links: Links,
    /// Parties below this number are nodes; users sit beside the node they ask.
    nodes: u32,
    luck: Vec<Luck>,
    /// What faults do to links, by the fault's number.
    conditions: Vec<(u32, Condition)>,
    /// When narrow pipes are free again.
    pipes: BTreeMap<(u32, u32), u64>,
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
            conditions: Vec::new(),
            pipes: BTreeMap::new(),
        }
    }

    /// All luck comes from these streams from now on.
    pub fn reseed(&mut self, family: Family) {
        for (party, luck) in (0..).zip(&mut self.luck) {
            *luck = family.luck(party);
        }
    }

    /// How long `cargo` of `size` bytes travels when it leaves at `now`; `None` if it is lost.
    #[inline]
    pub fn cross(
        &mut self,
        now: u64,
        from: u32,
        to: u32,
        cargo: Cargo,
        size: impl FnOnce() -> u64,
    ) -> Option<u64> {
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
        let mut time = match &self.links.regions {
            None => self.links.latency.draw(luck),
            Some(regions) => {
                let region = |node: u32| usize::from(regions.of[node as usize]);
                regions.matrix[region(from)][region(to)].draw(luck)
            }
        };
        if luck.chance(self.links.slow_chance) {
            time += luck.below(self.links.slow + 1);
        }
        if self.conditions.is_empty() {
            Some(time)
        } else {
            self.cross_degraded(now, from, to, cargo, size, time)
        }
    }

    fn cross_degraded(
        &mut self,
        now: u64,
        from: u32,
        to: u32,
        cargo: Cargo,
        size: impl FnOnce() -> u64,
        mut time: u64,
    ) -> Option<u64> {
        let mut narrowest = u64::MAX;
        for (_, condition) in &self.conditions {
            if let Effect::Degrade {
                latency,
                loss,
                bandwidth,
            } = condition.effect
                && condition.concerns(from, to)
            {
                if cargo != Cargo::Signal && self.luck[from as usize].chance(loss) {
                    return None;
                }
                time += latency;
                if bandwidth > 0 {
                    narrowest = narrowest.min(bandwidth);
                }
            }
        }
        if narrowest < u64::MAX && cargo != Cargo::Signal {
            // Bytes go into the pipe one after the other, and then all take the same time.
            let free = self.pipes.entry((from, to)).or_insert(0);
            *free = now.max(*free) + size().saturating_mul(1_000_000) / narrowest;
            time += *free - now;
        }
        Some(time)
    }

    /// What befalls a connection that `from` opens to another node, if anything does.
    #[inline]
    pub fn mishap(&mut self, from: u32, to: u32) -> Option<Mishap> {
        if from >= self.nodes || to >= self.nodes {
            return None;
        }
        let luck = &mut self.luck[from as usize];
        if luck.chance(self.links.refuse_chance) {
            Some(Mishap::Refused)
        } else if luck.chance(self.links.reset_chance) {
            Some(Mishap::Reset)
        } else if luck.chance(self.links.impostor_chance) {
            Some(Mishap::Impostor)
        } else {
            None
        }
    }

    /// When a connection that is going to break does so.
    pub fn breaks_after(&mut self, from: u32) -> u64 {
        let luck = &mut self.luck[from as usize];
        let (there, back) = (self.links.latency.draw(luck), self.links.latency.draw(luck));
        luck.below(there + back + 1)
    }

    /// Whether the bytes that `from` sends are spoiled, and by which number.
    pub fn mangles(&mut self, from: u32) -> Option<u64> {
        let luck = &mut self.luck[from as usize];
        luck.chance(self.links.mangle_chance).then(|| luck.bits())
    }

    /// Whether a message that leaves just now vanishes.
    #[inline]
    #[must_use]
    pub fn blocked(&self, from: u32, to: u32) -> bool {
        self.swallows(from, to, false)
    }

    /// Whether a message that arrives just now vanishes.
    #[inline]
    #[must_use]
    pub fn swallowed(&self, from: u32, to: u32) -> bool {
        self.swallows(from, to, true)
    }

    #[inline]
    fn swallows(&self, from: u32, to: u32, in_flight: bool) -> bool {
        !self.conditions.is_empty()
            && from < self.nodes
            && to < self.nodes
            && self.conditions.iter().any(|(_, condition)| {
                let Effect::Partition { spares_flight } = condition.effect else {
                    return false;
                };
                !(in_flight && spares_flight) && condition.concerns(from, to)
            })
    }

    /// Until when a message that arrives just now must wait, if it must.
    #[inline]
    #[must_use]
    pub fn held(&self, from: u32, to: u32) -> Option<u64> {
        if self.conditions.is_empty() || from >= self.nodes || to >= self.nodes {
            return None;
        }
        self.conditions
            .iter()
            .filter_map(|(_, condition)| match condition.effect {
                Effect::Clog(until) if condition.concerns(from, to) => Some(until),
                Effect::Clog(_) | Effect::Degrade { .. } | Effect::Partition { .. } => None,
            })
            .max()
    }

    /// Whether the one asked notices that the caller has gone.
    pub fn notices_hangup(&mut self, caller: u32) -> bool {
        self.luck[caller as usize].chance(self.links.hangup_chance)
    }

    /// Whether a late answer is still handed to the node that gave it up.
    pub fn delivers_late(&mut self, caller: u32) -> bool {
        self.luck[caller as usize].chance(self.links.late_chance)
    }

    /// A fault's condition begins.
    pub fn begin(&mut self, fault: u32, condition: Condition) {
        self.conditions.push((fault, condition));
    }

    /// A fault's condition ends.
    pub fn end(&mut self, fault: u32) {
        self.conditions.retain(|(of, _)| *of != fault);
        if self.conditions.is_empty() {
            self.pipes.clear();
        }
    }

    /// The conditions of just now, by their faults.
    #[must_use]
    pub fn conditions(&self) -> &[(u32, Condition)] {
        &self.conditions
    }

    /// All conditions end; nothing is lost or slow any more, but nobody reaches `broken`.
    pub fn calm(&mut self, broken: &Group) {
        self.conditions.clear();
        self.pipes.clear();
        if *broken != Group::of([]) {
            let apart = Condition {
                a: broken.clone(),
                b: broken.others(),
                way: Way::Both,
                effect: Effect::Partition {
                    spares_flight: false,
                },
            };
            self.conditions.push((u32::MAX, apart));
        }
        self.links.make_sound();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seeds;

    fn network() -> Network {
        let links = Links {
            request_loss: 100_000,
            ..Links::sound(Latency::Uniform(1_000, 1_500))
        };
        Network::new(links, 10, 1, Seeds::new(1).family("network"))
    }

    fn between(a: &str, b: &str, way: Way, effect: Effect) -> Condition {
        let group = |text: &str| text.parse().expect("a group");
        Condition {
            a: group(a),
            b: group(b),
            way,
            effect,
        }
    }

    const CUT: Effect = Effect::Partition {
        spares_flight: false,
    };

    #[test]
    fn loss_is_as_often_as_asked_and_time_keeps_its_floor() {
        let mut network = network();
        let times: Vec<_> = (0..10_000)
            .map(|_| network.cross(0, 0, 1, Cargo::Request, || 0))
            .collect();
        let lost = times.iter().filter(|time| time.is_none()).count();
        assert!((850..1_150).contains(&lost), "{lost}");
        let mut arrived = times.iter().flatten();
        assert!(arrived.all(|time| (1_000..=1_500).contains(time)));
    }

    #[test]
    fn a_one_way_cut_lets_the_other_way_through() {
        let mut network = network();
        network.begin(1, between("n0-n4", "n5-n9", Way::Outward, CUT));
        assert!(network.blocked(2, 7) && network.swallowed(2, 7));
        assert!(!network.blocked(7, 2));
        assert!(!network.blocked(2, 3));
        assert!(!network.blocked(10, 7), "users are not cut off");
        network.end(1);
        assert!(!network.blocked(2, 7));
    }

    #[test]
    fn a_partial_partition_leaves_a_third_side_in_touch_with_both() {
        let mut network = network();
        network.begin(1, between("n0-n2", "n3-n5", Way::Both, CUT));
        assert!(network.blocked(0, 3) && network.blocked(3, 0));
        assert!(!network.blocked(0, 6) && !network.blocked(6, 3));
    }

    #[test]
    fn a_partition_may_spare_what_is_under_way() {
        let mut network = network();
        let spares = Effect::Partition {
            spares_flight: true,
        };
        network.begin(1, between("n0", "!n0", Way::Both, spares));
        assert!(network.blocked(0, 3) && !network.swallowed(0, 3));
    }

    #[test]
    fn a_clog_holds_until_it_ends_and_a_narrow_pipe_queues() {
        let mut network = network();
        network.links.request_loss = 0;
        network.begin(1, between("n0", "n1", Way::Both, Effect::Clog(9_000)));
        assert_eq!(network.held(1, 0), Some(9_000));
        assert_eq!(network.held(1, 2), None);
        let narrow = Effect::Degrade {
            latency: 10_000,
            loss: 0,
            bandwidth: 1_000_000,
        };
        network.begin(2, between("n0", "n2", Way::Outward, narrow));
        let mut time = |from, to| {
            let time = network.cross(50, from, to, Cargo::Request, || 5_000);
            time.expect("nothing is lost")
        };
        // Each message of 5,000 bytes needs 5 ms of the pipe.
        assert!((16_000..=16_500).contains(&time(0, 2)));
        assert!((21_000..=21_500).contains(&time(0, 2)));
        assert!((1_000..=1_500).contains(&time(2, 0)));
    }
}
