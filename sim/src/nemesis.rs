//! What goes wrong, and when: one list of timed faults, drawn before the run.
//!
//! The list can be printed, read back, edited and replayed; nothing else decides about faults.

use std::fmt;
use std::str::FromStr;

use crate::network::{Cut, Way};
use crate::options::{FaultRates, Options};
use crate::seed::{Luck, Seeds};

/// One thing that goes wrong, or right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When, in microseconds.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What goes wrong, or right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A node stops in the middle of whatever it does.
    Crash {
        /// The node.
        node: u32,
        /// Whether nobody is told: connections go silent instead of breaking.
        silent: bool,
    },
    /// Some nodes are cut off.
    Cut(Cut),
    /// A cut ends.
    Heal(u32),
    /// A node is asked to stop, and does not take new requests.
    Drain(u32),
    /// A node that is down starts again.
    Start(u32),
}

/// Draws the faults of a run.
#[must_use]
pub fn draw(seeds: &Seeds, options: &Options) -> Vec<Fault> {
    let mut faults = Vec::new();
    let family = seeds.family("nemesis");
    let rates = &options.faults;
    crashes(&mut faults, &mut family.luck(0), options, rates);
    cuts(&mut faults, &mut family.luck(1), options, rates);
    sort(&mut faults);
    faults
}

/// Puts faults into the order in which they happen.
pub fn sort(faults: &mut [Fault]) {
    faults.sort_by_key(|fault| fault.at);
}

fn crashes(faults: &mut Vec<Fault>, luck: &mut Luck, options: &Options, rates: &FaultRates) {
    if rates.crash_every == 0 {
        return;
    }
    let mut at = luck.around(rates.crash_every);
    // A node must be up again before it can crash once more.
    let mut up_from = vec![0_u64; options.nodes as usize];
    while at < options.duration {
        let node = luck.below(options.nodes.into()) as u32;
        let down = luck.around(rates.down_for);
        let silent = luck.chance(500_000);
        let drained = luck.chance(rates.drain_chance);
        if up_from[node as usize] <= at {
            up_from[node as usize] = at + down + 1;
            if drained {
                let before = at.saturating_sub(luck.range(1_000, 3_000_000));
                faults.push(Fault {
                    at: before,
                    what: What::Drain(node),
                });
            }
            faults.push(Fault {
                at,
                what: What::Crash { node, silent },
            });
            faults.push(Fault {
                at: at + down,
                what: What::Start(node),
            });
        }
        at += luck.around(rates.crash_every).max(1);
    }
}

fn cuts(faults: &mut Vec<Fault>, luck: &mut Luck, options: &Options, rates: &FaultRates) {
    if rates.cut_every == 0 {
        return;
    }
    let mut at = luck.around(rates.cut_every);
    let mut id = 0;
    while at < options.duration {
        let way = if luck.chance(300_000) {
            Way::Outward
        } else {
            Way::Both
        };
        let cut = Cut {
            id,
            salt: luck.bits(),
            share: luck.range(50, 550) as u32,
            way,
        };
        let lasts = luck.around(rates.cut_for);
        faults.push(Fault {
            at,
            what: What::Cut(cut),
        });
        faults.push(Fault {
            at: at + lasts,
            what: What::Heal(id),
        });
        id += 1;
        at += luck.around(rates.cut_every).max(1);
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} ", self.at / 1_000_000, self.at % 1_000_000)?;
        match self.what {
            What::Crash { node, silent } => {
                write!(f, "crash {node} {}", if silent { "silent" } else { "loud" })
            }
            What::Cut(Cut {
                id,
                salt,
                share,
                way,
            }) => {
                let way = match way {
                    Way::Both => "both",
                    Way::Outward => "outward",
                };
                write!(f, "cut {id} {way} {share} {salt}")
            }
            What::Heal(id) => write!(f, "heal {id}"),
            What::Drain(node) => write!(f, "drain {node}"),
            What::Start(node) => write!(f, "start {node}"),
        }
    }
}

/// A line that is not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAFault(String);

impl fmt::Display for NotAFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a fault: {:?}", self.0)
    }
}

impl std::error::Error for NotAFault {}

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(line: &str) -> Result<Self, NotAFault> {
        parse(line).ok_or_else(|| NotAFault(line.to_owned()))
    }
}

fn parse(line: &str) -> Option<Fault> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (time, rest) = words.split_first()?;
    let (seconds, micros) = time.split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let at = seconds
        .checked_mul(1_000_000)?
        .checked_add(micros.parse().ok()?)?;
    let what = match *rest {
        ["crash", node, how] => {
            let silent = match how {
                "loud" => false,
                "silent" => true,
                _ => return None,
            };
            What::Crash {
                node: node.parse().ok()?,
                silent,
            }
        }
        ["cut", id, way, share, salt] => {
            let way = match way {
                "both" => Way::Both,
                "outward" => Way::Outward,
                _ => return None,
            };
            let (id, share) = (id.parse().ok()?, share.parse().ok()?);
            What::Cut(Cut {
                id,
                salt: salt.parse().ok()?,
                share,
                way,
            })
        }
        ["heal", id] => What::Heal(id.parse().ok()?),
        ["drain", node] => What::Drain(node.parse().ok()?),
        ["start", node] => What::Start(node.parse().ok()?),
        _ => return None,
    };
    Some(Fault { at, what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let mut options = Options::drawn(seed, 10, 300_000_000, true);
            options.faults.drain_chance = 500_000;
            for fault in draw(&Seeds::new(seed), &options) {
                let text = fault.to_string();
                kinds.insert(text.split_whitespace().nth(1).map(str::to_owned));
                assert_eq!(text.parse(), Ok(fault));
            }
        }
        assert_eq!(kinds.len(), 5, "{kinds:?}");
        for bad in [
            "",
            "1.0 heal 1",
            "1.000000 heal",
            "x.000000 heal 1",
            "1.000000 nap 1",
        ] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
