//! Faults drawn from a seed: each kind from a stream of its own, at a rate of its own.

use super::{Fault, Kind, Unsynced, What, sort};
use crate::group::Group;
use crate::network::Way;
use crate::seed::{Luck, Seeds};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;
/// Beyond this is as far as any.
const JUMP_MAX: u64 = 20 * 3_600 * SECOND;

/// How often something goes wrong, over all nodes, and for how long. Times are in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Mean pause between two faults; zero for never.
    pub every: u64,
    /// How long a fault lasts on average.
    pub lasts: u64,
}

/// How often each kind of fault happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    rates: [Rate; Kind::ALL.len()],
    /// How many crashes in a million are announced to the node as a stop.
    pub drain_chance: u32,
    /// Clocks jump ahead by less than this.
    pub jump_max: u64,
    /// Whether some crashes tear or lose writes and some partitions have odd shapes.
    pub varied: bool,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            rates: [Rate::default(); Kind::ALL.len()],
            drain_chance: 0,
            jump_max: JUMP_MAX,
            varied: true,
        }
    }
}

impl Rates {
    /// How often this kind happens. Stops are drawn among crashes.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> Rate {
        self.rates[kind as usize]
    }

    /// The same, to be changed.
    pub const fn of_mut(&mut self, kind: Kind) -> &mut Rate {
        &mut self.rates[kind as usize]
    }

    /// Switches off all kinds but these.
    pub fn only(&mut self, kinds: &[Kind]) {
        for kind in Kind::ALL {
            if !kinds.contains(&kind) {
                *self.of_mut(kind) = Rate::default();
            }
        }
        if !kinds.contains(&Kind::Stop) {
            self.drain_chance = 0;
        }
        if !kinds.contains(&Kind::Jump) {
            self.jump_max = JUMP_MAX;
        }
    }

    /// The kinds that happen.
    pub fn on(&self) -> impl Iterator<Item = (Kind, Rate)> + '_ {
        Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.of(kind)))
            .filter(|(_, rate)| rate.every > 0)
    }
}

/// Draws the faults of a run.
#[must_use]
pub fn draw(seeds: &Seeds, rates: &Rates, nodes: u32, duration: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    let family = seeds.family("nemesis");
    let scene = Scene {
        rates,
        nodes,
        duration,
    };
    scene.crashes(&mut faults, &mut family.luck(0), &mut family.luck(100));
    scene.partitions(&mut faults, &mut family.luck(1), &mut family.luck(101));
    for kind in Kind::ALL {
        if !matches!(kind, Kind::Crash | Kind::Stop | Kind::Partition) {
            scene.others(&mut faults, kind, &mut family.luck(2 + kind as u64));
        }
    }
    sort(&mut faults);
    faults
}

struct Scene<'a> {
    rates: &'a Rates,
    nodes: u32,
    duration: u64,
}

impl Scene<'_> {
    fn crashes(&self, faults: &mut Vec<Fault>, luck: &mut Luck, shape: &mut Luck) {
        let rate = self.rates.of(Kind::Crash);
        if rate.every == 0 {
            return;
        }
        let mut at = luck.around(rate.every);
        // A node must be up again before it can crash once more.
        let mut up_from = vec![0_u64; self.nodes as usize];
        while at < self.duration {
            let node = luck.below(self.nodes.into()) as u32;
            let down = luck.around(rate.lasts);
            let silent = luck.chance(500_000);
            let drained = luck.chance(self.rates.drain_chance);
            if up_from[node as usize] <= at {
                up_from[node as usize] = at + down + 1;
                let nodes = Group::one(node);
                let (at, what) = if drained {
                    let grace = luck.range(MS, 3 * SECOND).min(at);
                    (at - grace, What::Stop { nodes, grace })
                } else {
                    let unsynced = match shape.below(5) {
                        0 if self.rates.varied => Unsynced::Lost,
                        1 if self.rates.varied => Unsynced::Torn,
                        _ => Unsynced::Drawn,
                    };
                    let what = What::Crash {
                        nodes,
                        silent,
                        unsynced,
                    };
                    (at, what)
                };
                let lasts = Some(down);
                faults.push(Fault { at, lasts, what });
            }
            at += luck.around(rate.every).max(1);
        }
    }

    fn partitions(&self, faults: &mut Vec<Fault>, luck: &mut Luck, shape: &mut Luck) {
        let rate = self.rates.of(Kind::Partition);
        if rate.every == 0 {
            return;
        }
        let mut at = luck.around(rate.every);
        while at < self.duration {
            let way = if luck.chance(300_000) {
                Way::Outward
            } else {
                Way::Both
            };
            let mut a = Group::Share {
                salt: luck.bits(),
                thousandths: luck.range(50, 550) as u32,
            };
            let mut b = a.others();
            let kind = shape.below(6);
            if self.rates.varied && kind == 0 {
                a = Group::one(shape.below(self.nodes.into()) as u32);
                b = a.others();
            } else if self.rates.varied && kind == 1 {
                // Partial: most nodes are in touch with both sides.
                b = Group::one(shape.below(self.nodes.into()) as u32);
            }
            let spares_flight = self.rates.varied && shape.chance(200_000);
            let lasts = Some(luck.around(rate.lasts));
            let what = What::Partition {
                a,
                b,
                way,
                spares_flight,
            };
            faults.push(Fault { at, lasts, what });
            at += luck.around(rate.every).max(1);
        }
    }

    fn others(&self, faults: &mut Vec<Fault>, kind: Kind, luck: &mut Luck) {
        let rate = self.rates.of(kind);
        if rate.every == 0 {
            return;
        }
        let mut at = luck.around(rate.every);
        // Of what is for ever, no more than a quarter of all nodes.
        let for_ever = matches!(kind, Kind::Join | Kind::Lose);
        let mut left = if for_ever { self.nodes / 4 } else { u32::MAX };
        let mut taken = Vec::new();
        while at < self.duration && left > 0 {
            let node = luck.below(self.nodes.into()) as u32;
            let lasts = luck.around(rate.lasts).max(1);
            if !(for_ever && taken.contains(&node)) {
                let what = self.what(kind, node, luck);
                let lasts = Some(lasts).filter(|_| !for_ever && kind != Kind::Reset);
                faults.push(Fault { at, lasts, what });
                if for_ever {
                    taken.push(node);
                    left -= 1;
                }
            }
            at += luck.around(rate.every).max(1);
        }
    }

    fn what(&self, kind: Kind, node: u32, luck: &mut Luck) -> What {
        let nodes = Group::one(node);
        match kind {
            Kind::Clog => What::Clog {
                b: self.other_side(luck),
                a: nodes,
                way: way(luck),
            },
            Kind::Degrade => What::Degrade {
                b: self.other_side(luck),
                a: nodes,
                way: way(luck),
                latency: luck.below(2 * SECOND),
                loss: luck.below(200_000) as u32,
                bandwidth: if luck.chance(500_000) {
                    luck.range(2_000, 200_000)
                } else {
                    0
                },
            },
            Kind::Jump => What::Jump {
                nodes,
                // Back only as far as a transaction's creation time may lie ahead.
                by: match luck.below(8) {
                    0 => (luck.below(JUMP_MAX) % self.rates.jump_max) as i64,
                    1..4 => (luck.below(3_600 * SECOND) % self.rates.jump_max) as i64,
                    _ => -(luck.below(60 * SECOND) as i64),
                },
            },
            Kind::Drift => What::Drift {
                nodes,
                ppm: luck.below(200_001) as i32 - 100_000,
            },
            Kind::Slow => What::Slow {
                nodes,
                each: luck.range(100, 20 * MS),
            },
            Kind::DiskSlow => What::DiskSlow {
                nodes,
                by: luck.range(MS, 500 * MS),
            },
            Kind::DiskFail => What::DiskFail(nodes),
            Kind::DiskFlip => What::DiskFlip(nodes),
            Kind::DiskFull => What::DiskFull(nodes),
            Kind::DiskStall => What::DiskStall(nodes),
            Kind::Downgrade => What::Downgrade(nodes),
            Kind::Hang => What::Hang(nodes),
            Kind::Impersonate => What::Impersonate(nodes),
            Kind::Join => What::Join(nodes),
            Kind::Lose => What::Lose(nodes),
            Kind::Pause => What::Pause(nodes),
            Kind::Refuse => What::Refuse(nodes),
            Kind::Renew => What::Renew(nodes),
            Kind::Reset => What::Reset(nodes),
            Kind::Wipe => What::Wipe(nodes),
            Kind::Crash | Kind::Partition | Kind::Stop => {
                unreachable!("these have shapes of their own")
            }
        }
    }

    /// Whom a node's link leads to: one other, or everybody.
    fn other_side(&self, luck: &mut Luck) -> Group {
        if luck.chance(400_000) {
            Group::one(luck.below(self.nodes.into()) as u32)
        } else {
            Group::All
        }
    }
}

fn way(luck: &mut Luck) -> Way {
    if luck.chance(300_000) {
        Way::Outward
    } else {
        Way::Both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_drawn_and_read_back() {
        let mut rates = Rates::default();
        for kind in Kind::ALL {
            *rates.of_mut(kind) = Rate {
                every: 5 * SECOND,
                lasts: 3 * SECOND,
            };
        }
        rates.drain_chance = 300_000;
        let faults = draw(&Seeds::new(3), &rates, 12, 300 * SECOND);
        let mut kinds = std::collections::BTreeSet::new();
        for fault in faults {
            kinds.insert(fault.what.kind());
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::ALL);
    }

    #[test]
    fn a_kind_more_shifts_nothing_else() {
        let mut rates = Rates::default();
        let rate = Rate {
            every: 5 * SECOND,
            lasts: 3 * SECOND,
        };
        *rates.of_mut(Kind::Pause) = rate;
        let before = draw(&Seeds::new(4), &rates, 12, 100 * SECOND);
        *rates.of_mut(Kind::Wipe) = rate;
        let mut after = draw(&Seeds::new(4), &rates, 12, 100 * SECOND);
        assert!(after.len() > before.len());
        after.retain(|fault| fault.what.kind() == Kind::Pause);
        assert_eq!(before, after);
    }
}
