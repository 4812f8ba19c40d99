//! What must come of a scenario in the end.
//!
//! Each expectation is a key of a table `[[expect]]`; a room that promises more adds a variant here, a
//! key, and what it looks at.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use peerage_core::commons::bans::BanKey;
use peerage_core::rooms::{Event, chainweb_mempool};
use peerage_core::{Input, Output};

use super::read::{check_nodes, share, time};
use super::section::{Result, Section};
use crate::cluster::look;
use crate::grin::spies::Spies;
use crate::group::Group;
use crate::nemesis::Kind;
use crate::options::Time;
use crate::roster::Roster;
use crate::run::Run;
use crate::text::Percent;
use crate::watch::Watch;

/// Something that must come of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Each accepted transaction reaches so many of a million nodes within a time.
    Spread {
        /// How many of a million.
        share: u32,
        /// In microseconds.
        within: u64,
        /// Among whom.
        group: Group,
    },
    /// All is well so soon after the storm.
    Settled(u64),
    /// Everybody of the group who runs knows at least so many peers.
    PeersKnown(u64, Group),
    /// How often nodes told of an event.
    Event(String, Bounds),
    /// How often a request was sent.
    Messages(String, Bounds),
    /// How often a fault happened.
    Fault(Kind, Bounds),
    /// How many transactions wait in the pool of everybody who runs.
    Pending(Bounds, Group),
    /// Whether members of one group know a node.
    Knows {
        /// Who.
        who: Group,
        /// Whom.
        node: u32,
        /// Whether they do.
        known: bool,
    },
    /// How many nodes everybody of a group has in its cluster, itself included.
    ClusterSize(Bounds, Group),
    /// In how many clusters a group's nodes are.
    Clusters(Bounds, Group),
    /// How many last blocks a group's Mimblewimble chains have.
    Chains(Bounds, Group),
    /// How long the Mimblewimble chain of everybody of a group is.
    Height(Bounds, Group),
    /// Whether members of one group have banned a node.
    Banned {
        /// Who.
        who: Group,
        /// Whom.
        node: u32,
        /// Whether they have.
        banned: bool,
    },
    /// Of a million payments that a group's spies hear of, whose maker the first one names.
    Named {
        /// Who spies.
        by: Group,
        /// Of payments that go unseen first, at most.
        unseen_max: u32,
        /// Of payments that are spread at once, at least.
        at_once_min: u32,
    },
    /// Whether members of one group have a node in their clusters.
    InCluster {
        /// Who.
        who: Group,
        /// Whom.
        node: u32,
        /// Whether they do.
        known: bool,
    },
    /// The run's hash.
    Hash(u64),
}

/// A number that must lie between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Not below.
    pub min: u64,
    /// Not above.
    pub max: u64,
}

/// An expectation that was not met, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Those who look at a run for its expectations.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    spread: Spread,
    /// The spies of each group that is said to spy.
    spies: Vec<(Group, Spies)>,
}

impl Seen {
    /// Those who look for these expectations.
    pub(super) fn of(expectations: &[Expectation]) -> Self {
        let spies = expectations.iter().filter_map(|it| {
            let Expectation::Named { by, .. } = it else {
                return None;
            };
            Some((by.clone(), Spies::new(by.clone())))
        });
        Self {
            spread: Spread::default(),
            spies: spies.collect(),
        }
    }

    /// Lets all of them look.
    pub(super) fn watch(&self, run: &mut Run) {
        run.watch(Box::new(self.spread.clone()));
        for (_, spies) in &self.spies {
            run.watch(Box::new(spies.clone()));
        }
    }

    fn named(&self, by: &Group, unseen_max: u32, at_once_min: u32) -> Option<Broken> {
        let (_, spies) = self.spies.iter().find(|(group, _)| group == by)?;
        let (unseen, at_once) = (spies.guesses(false), spies.guesses(true));
        let good = unseen.share() <= unseen_max && at_once.share() >= at_once_min;
        let heard = unseen.heard > 0 && (at_once.heard > 0 || at_once_min == 0);
        (!good || !heard).then(|| {
            Broken(format!(
                "spies name who made {} of {} payments that spread at once, and {} of {} that went \
                 unseen first",
                at_once.named, at_once.heard, unseen.named, unseen.heard,
            ))
        })
    }
}

/// When each node took each transaction for the first time.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread(Rc<RefCell<Taken>>);

/// For each transaction, when each node took it.
type Taken = BTreeMap<[u8; 32], BTreeMap<u32, u64>>;

impl Watch for Spread {
    fn input(&mut self, _at: u64, _node: u32, _from: u32, _input: &Input) {}

    fn output(&mut self, at: u64, node: u32, output: &Output) {
        if let Output::Event(Event::ChainwebMempool(chainweb_mempool::Event::TxAccepted {
            hash,
            ..
        })) = output
        {
            let mut all = self.0.borrow_mut();
            all.entry(hash.0).or_default().entry(node).or_insert(at);
        }
    }
}

pub(super) fn read(
    top: &Section<'_>,
    group: &dyn Fn(&str) -> Option<Group>,
    nodes: u32,
) -> Result<Vec<Expectation>> {
    let mut all = Vec::new();
    for (offset, section) in top.sections("expect")? {
        let before = all.len();
        let whom = |section: &Section<'_>, key: &str| -> Result<Group> {
            let named = section.meaning(key, |name| {
                let named = group(name).ok_or_else(|| format!("{name:?} names no nodes"))?;
                check_nodes(&named, nodes)?;
                Ok(named)
            })?;
            Ok(named.unwrap_or(Group::All))
        };
        if let Some(inner) = section.section("spread")? {
            all.push(Expectation::Spread {
                share: inner.meaning("share", share)?.unwrap_or(1_000_000),
                within: (inner.meaning("within", time)?)
                    .ok_or_else(|| section.error("spread", "say `within`"))?,
                group: whom(&inner, "group")?,
            });
            inner.finish()?;
        }
        if let Some(within) = section.meaning("settled-within", time)? {
            all.push(Expectation::Settled(within));
        }
        if let Some(inner) = section.section("peers-known")? {
            let min = inner.number("min")?.unwrap_or(1);
            all.push(Expectation::PeersKnown(min, whom(&inner, "group")?));
            inner.finish()?;
        }
        if let Some(inner) = section.section("pending")? {
            let bounds = bounds(&inner)?;
            all.push(Expectation::Pending(bounds, whom(&inner, "group")?));
            inner.finish()?;
        }
        if let Some(inner) = section.section("event")? {
            let name =
                (inner.string("name")?).ok_or_else(|| section.error("event", "say `name`"))?;
            if !Event::names().any(|known| known == name.value) {
                let names: Vec<_> = Event::names().collect();
                return Err(inner.error("name", format_args!("nodes tell of {}", names.join(", "))));
            }
            all.push(Expectation::Event(name.value.to_owned(), bounds(&inner)?));
            inner.finish()?;
        }
        if let Some(inner) = section.section("messages")? {
            let name =
                (inner.string("name")?).ok_or_else(|| section.error("messages", "say `name`"))?;
            all.push(Expectation::Messages(
                name.value.to_owned(),
                bounds(&inner)?,
            ));
            inner.finish()?;
        }
        if let Some(inner) = section.section("fault")? {
            let kind = inner.meaning("kind", |name| {
                Kind::named(name).ok_or_else(|| format!("there is no fault {name:?}"))
            })?;
            let kind = kind.ok_or_else(|| section.error("fault", "say `kind`"))?;
            all.push(Expectation::Fault(kind, bounds(&inner)?));
            inner.finish()?;
        }
        for key in ["knows", "in-cluster", "banned"] {
            let Some(inner) = section.section(key)? else {
                continue;
            };
            let node = inner.meaning("node", |text| {
                let number = text.strip_prefix('n').and_then(|text| text.parse().ok());
                let number = number.ok_or_else(|| format!("{text:?} is no node; write n3"))?;
                check_nodes(&Group::of([number]), nodes)?;
                Ok(number)
            })?;
            let who = whom(&inner, "who")?;
            let node = node.ok_or_else(|| section.error(key, "say `node`"))?;
            let verb = if key == "banned" { "banned" } else { "known" };
            let known = inner.truth(verb)?.unwrap_or(true);
            all.push(match key {
                "knows" => Expectation::Knows { who, node, known },
                "in-cluster" => Expectation::InCluster { who, node, known },
                _ => Expectation::Banned {
                    who,
                    node,
                    banned: known,
                },
            });
            inner.finish()?;
        }
        if let Some(inner) = section.section("cluster-size")? {
            let bounds = bounds(&inner)?;
            all.push(Expectation::ClusterSize(bounds, whom(&inner, "group")?));
            inner.finish()?;
        }
        if let Some(inner) = section.section("chains")? {
            let bounds = bounds(&inner)?;
            all.push(Expectation::Chains(bounds, whom(&inner, "group")?));
            inner.finish()?;
        }
        if let Some(inner) = section.section("height")? {
            let bounds = bounds(&inner)?;
            all.push(Expectation::Height(bounds, whom(&inner, "group")?));
            inner.finish()?;
        }
        if let Some(inner) = section.section("named")? {
            all.push(Expectation::Named {
                by: whom(&inner, "by")?,
                unseen_max: inner.meaning("unseen-max", share)?.unwrap_or(1_000_000),
                at_once_min: inner.meaning("at-once-min", share)?.unwrap_or(0),
            });
            inner.finish()?;
        }
        if let Some(inner) = section.section("clusters")? {
            let bounds = bounds(&inner)?;
            all.push(Expectation::Clusters(bounds, whom(&inner, "group")?));
            inner.finish()?;
        }
        if let Some(hash) = section.meaning("hash", |text| {
            u64::from_str_radix(text, 16).map_err(|_| "a hash is 16 hexadecimal digits".to_owned())
        })? {
            all.push(Expectation::Hash(hash));
        }
        section.finish()?;
        if all.len() == before {
            let what = "[[expect]] says nothing; write one of spread, settled-within, peers-known, \
                        pending, event, messages, fault, knows, in-cluster, cluster-size, clusters, \
                        chains, height, banned, named, hash";
            return Err(top.file().error(offset, what));
        }
    }
    Ok(all)
}

fn bounds(section: &Section<'_>) -> Result<Bounds> {
    Ok(Bounds {
        min: section.number("min")?.unwrap_or(0),
        max: section.number("max")?.unwrap_or(u64::MAX),
    })
}

impl Bounds {
    fn check(self, count: u64, what: &str) -> Option<Broken> {
        let Self { min, max } = self;
        if count < min {
            Some(Broken(format!(
                "{what}: {count}, at least {min} was expected"
            )))
        } else if count > max {
            Some(Broken(format!(
                "{what}: {count}, at most {max} was expected"
            )))
        } else {
            None
        }
    }
}

impl Expectation {
    /// What is wrong with it, once the run is over.
    pub(super) fn check(&self, run: &Run, seen: &Seen) -> Option<Broken> {
        let world = run.world();
        match self {
            Self::Spread {
                share,
                within,
                group,
            } => seen
                .spread
                .check(world.options.nodes, *share, *within, group),
            Self::Settled(within) => match run.settled() {
                None => Some(Broken("all is not well in the end".to_owned())),
                Some(settled) => (settled > *within).then(|| {
                    Broken(format!(
                        "all was well {} after the storm, within {} was expected",
                        Time(settled),
                        Time(*within)
                    ))
                }),
            },
            Self::PeersKnown(min, group) => nodes(run, group).find_map(|(number, node)| {
                let known = node.commons().peers.iter().count() as u64;
                let bounds = Bounds {
                    min: *min,
                    max: u64::MAX,
                };
                bounds.check(known, &format!("peers that n{number} knows"))
            }),
            Self::Pending(bounds, group) => nodes(run, group).find_map(|(number, node)| {
                let mut pending = 0;
                node.gauges(&mut |name, value| {
                    if name == "mempool_pending" {
                        pending = value;
                    }
                });
                bounds.check(pending, &format!("transactions that wait at n{number}"))
            }),
            Self::Event(name, bounds) => {
                bounds.check(world.told.of(name), &format!("event {name}"))
            }
            Self::Messages(name, bounds) => match world.messages.of(name) {
                // A name that is spelt wrong must not be within bounds.
                0 if bounds.max > 0 => Some(Broken(format!(
                    "nobody ever sent {name}; `run` prints the names of what is sent under `messages`"
                ))),
                count => bounds.check(count, &format!("messages {name}")),
            },
            Self::Fault(kind, bounds) => {
                let name = kind.name();
                bounds.check(world.faults_done.of(name), &format!("fault {name}"))
            }
            Self::Knows { who, node, known } => nodes(run, who).find_map(|(number, machine)| {
                let peers = &machine.commons().peers;
                let found = peers
                    .iter()
                    .any(|(_, peer)| world.roster.find(&peer.info.address) == Some(*node));
                let verb = if *known { "does not know" } else { "knows" };
                (number != *node && found != *known)
                    .then(|| Broken(format!("n{number} {verb} n{node}")))
            }),
            Self::ClusterSize(bounds, group) => nodes(run, group).find_map(|(number, node)| {
                bounds.check(
                    look::size(node),
                    &format!("nodes in the cluster of n{number}"),
                )
            }),
            Self::Clusters(bounds, group) => {
                let all: BTreeSet<_> = nodes(run, group)
                    .map(|(_, node)| look::cluster(node))
                    .collect();
                bounds.check(all.len() as u64, "clusters that there are")
            }
            Self::Chains(bounds, group) => {
                let tips = nodes(run, group).map(|(_, node)| node.grin().chain().tip().hash());
                let tips: BTreeSet<_> = tips.collect();
                bounds.check(tips.len() as u64, "last blocks that there are")
            }
            Self::Height(bounds, group) => nodes(run, group).find_map(|(number, node)| {
                let height = node.grin().chain().tip().height();
                bounds.check(height, &format!("height of the chain of n{number}"))
            }),
            Self::Banned { who, node, banned } => nodes(run, who).find_map(|(number, machine)| {
                let wall = world.hosts[number as usize].clock.wall(run.now());
                let key = BanKey::of_address(&Roster::addr(*node));
                let found = machine.commons().bans.covers(wall, &key);
                let verb = if *banned {
                    "has not banned"
                } else {
                    "has banned"
                };
                (number != *node && found != *banned)
                    .then(|| Broken(format!("n{number} {verb} n{node}")))
            }),
            Self::Named {
                by,
                unseen_max,
                at_once_min,
            } => seen.named(by, *unseen_max, *at_once_min),
            Self::InCluster { who, node, known } => {
                nodes(run, who).find_map(|(number, machine)| {
                    let found = look::knows(machine, world.roster.cluster_peer(*node));
                    let verb = if *known { "does not have" } else { "has" };
                    (number != *node && found != *known)
                        .then(|| Broken(format!("n{number} {verb} n{node} in its cluster")))
                })
            }
            Self::Hash(hash) => (run.hash() != *hash)
                .then(|| Broken(format!("the hash is {:016x}, not {hash:016x}", run.hash()))),
        }
    }
}

/// Those of a group who run.
fn nodes<'a>(
    run: &'a Run,
    group: &'a Group,
) -> impl Iterator<Item = (u32, &'a peerage_core::Node)> {
    let world = run.world();
    group
        .members(world.options.nodes)
        .filter_map(|node| Some((node, world.hosts[node as usize].node.as_deref()?)))
}

impl Spread {
    fn check(&self, nodes: u32, share: u32, within: u64, group: &Group) -> Option<Broken> {
        let members = group.members(nodes).count() as u64;
        let needed = (members * u64::from(share)).div_ceil(1_000_000);
        let all = self.0.borrow();
        if all.is_empty() {
            return Some(Broken("no transaction was accepted anywhere".to_owned()));
        }
        let mut late = 0;
        let mut worst = 0;
        for times in all.values() {
            let first = times.values().min().copied().unwrap_or(0);
            let mut reached: Vec<u64> = times
                .iter()
                .filter(|(node, _)| group.holds(**node))
                .map(|(_, at)| at - first)
                .collect();
            reached.sort_unstable();
            let time = reached.get((needed as usize).saturating_sub(1)).copied();
            if time.is_none_or(|time| time > within) {
                late += 1;
            }
            worst = worst.max(time.unwrap_or(u64::MAX));
        }
        let slowest = if worst == u64::MAX {
            "some never did".to_owned()
        } else {
            format!("the slowest took {}", Time(worst))
        };
        (late > 0).then(|| {
            Broken(format!(
                "{late} of {} transactions did not reach {} of {members} nodes within {}: {slowest}",
                all.len(),
                Percent(share),
                Time(within),
            ))
        })
    }
}
