//! Everything that a run depends on, drawn from its seed unless it is said otherwise.
//!
//! Every run is different in kind, not only in luck: some have no crashes, some have slow disks,
//! some have tiny tables (swarm testing). What was drawn is printed with the result.

mod social;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use peerage_core::config::Sessions;
use peerage_core::limits::Limits;
use peerage_core::time::Duration;

pub use self::social::Social;
use crate::cluster::Clusters;
use crate::disk::DiskSpeed;
use crate::grin::Net;
use crate::group::Group;
use crate::latency::Latency;
use crate::nemesis::draw::{Rate, Rates};
use crate::nemesis::{Fault, Kind};
use crate::network::Links;
use crate::scenario::Scripted;
use crate::seed::{Luck, Seeds};

/// How values cross links and lie on disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// As HTTP and as stored bytes; everything must come back equal.
    Bytes,
    /// As bytes, of which some are cut short or changed on their way.
    Mangled,
    /// As they are.
    #[default]
    Typed,
}

impl Wire {
    /// The wire's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Mangled => "mangled",
            Self::Typed => "typed",
        }
    }
}

/// What users do, as weights; see the workload for what each means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// How many users there are.
    pub users: u32,
    /// Mean pause of a user between two actions, in microseconds.
    pub pause: u64,
    /// Transactions that nobody has seen before, in all.
    pub fresh_max: u32,
    /// Weight of new transactions.
    pub insert: u32,
    /// Weight of transactions that were inserted before.
    pub repeat: u32,
    /// Weight of invalid transactions.
    pub invalid: u32,
    /// Weight of reads of mempools.
    pub read: u32,
    /// Weight of pages of peers.
    pub page: u32,
    /// Weight of peers that are announced.
    pub put: u32,
    /// Weight of bans and their lifting.
    pub ban: u32,
    /// What users do to make friends and to talk to them.
    pub social: Social,
}

impl Work {
    /// All weights together.
    #[must_use]
    pub const fn sum(&self) -> u32 {
        self.insert + self.repeat + self.invalid + self.read + self.page + self.put + self.ban
    }
}

/// What a run does wrong on purpose, so that an oracle can be seen to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// Commits are reported with a gap.
    CommitsLost,
    /// Disks report commits before they keep them.
    DiskEarly,
    /// Disks never delete.
    DiskHoards,
    /// Disks do not look whether bits have changed.
    DamageIgnored,
    /// Calls that are given up are never heard of as such.
    DeafToAbandon,
    /// Whatever is checked of Mimblewimble is found right.
    ChecksBlind,
    /// One node hears nobody, for ever.
    Hermit,
    /// The bounds are looked at as if they were a hundredth.
    TinyBounds,
    /// Now and then an answer is thrown away before anybody sees it.
    AnswersEaten,
    /// The models are shown answers that are not those of the node.
    AnswersFalse,
    /// A node panics at some point.
    Panic,
    /// Luck depends on what ran before in the same process.
    Restless,
    /// What friends write arrives as if it had been written later.
    LettersAltered,
    /// The oracles are told that payments came unseen that did not.
    SecretsTold,
    /// In bytes, messages arrive changed.
    WireGarbled,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::CommitsLost,
        Self::DiskEarly,
        Self::DiskHoards,
        Self::DamageIgnored,
        Self::DeafToAbandon,
        Self::ChecksBlind,
        Self::Hermit,
        Self::TinyBounds,
        Self::AnswersEaten,
        Self::AnswersFalse,
        Self::Panic,
        Self::Restless,
        Self::LettersAltered,
        Self::SecretsTold,
        Self::WireGarbled,
    ];

    /// The sabotage's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitsLost => "commits-lost",
            Self::DiskEarly => "disk-early",
            Self::DiskHoards => "disk-hoards",
            Self::DamageIgnored => "damage-ignored",
            Self::DeafToAbandon => "deaf-to-abandon",
            Self::ChecksBlind => "checks-blind",
            Self::Hermit => "hermit",
            Self::TinyBounds => "tiny-bounds",
            Self::AnswersEaten => "answers-eaten",
            Self::AnswersFalse => "answers-false",
            Self::Panic => "panic",
            Self::Restless => "restless",
            Self::LettersAltered => "letters-altered",
            Self::SecretsTold => "secrets-told",
            Self::WireGarbled => "wire-garbled",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Who is given whom as a peer to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// As the list says: who knows whom.
    Edges(Arc<[(u32, u32)]>),
    /// Everybody knows everybody.
    Full,
    /// Everybody knows the one before them in a ring, and a few at random.
    Neighbours,
    /// Everybody knows so many at random.
    Random(u32),
    /// Everybody knows the one before them in a ring.
    Ring,
    /// Everybody knows so many of those with smaller numbers, and those who are known by many are
    /// known by still more (Barabási and Albert's model).
    ScaleFree(u32),
}

/// Settings of some nodes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Whose.
    pub nodes: Group,
    /// How they hold their sessions.
    pub sessions: Sessions,
    /// The bounds of their tables.
    pub limits: Limits,
    /// How long their bans last.
    pub ban_window: Duration,
}

/// Everything that a run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The seed of all luck.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: u32,
    /// How long users act and faults happen, in microseconds.
    pub duration: u64,
    /// How long it may take until all is well after that, in microseconds.
    pub settle: u64,
    /// How values cross links.
    pub wire: Wire,
    /// How many chains have mempools.
    pub chains: u8,
    /// How many peers each node is given.
    pub known_peers: u32,
    /// How the links behave.
    pub links: Links,
    /// How fast the disks are.
    pub disk: DiskSpeed,
    /// How often things go wrong.
    pub faults: Rates,
    /// Faults beyond those that are drawn.
    pub more_faults: Vec<Fault>,
    /// Whether events of one instant come in an order of their own, drawn from the seed.
    pub shuffle: bool,
    /// How many of a thousand nodes must become well in the end; the others stay broken.
    pub core: u32,
    /// How many nodes lie, flood and pretend.
    pub liars: u32,
    /// Who is given whom at first.
    pub topology: Topology,
    /// Nodes with settings of their own; the last one that names a node counts.
    pub variants: Vec<Variant>,
    /// Whom users ask.
    pub users_on: Group,
    /// Literal requests.
    pub script: Arc<[Scripted]>,
    /// The actions of users that are sent, as (user, number), if not all are.
    pub kept_actions: Option<BTreeSet<(u32, u32)>>,
    /// What users do.
    pub work: Work,
    /// Which clusters there are, if any.
    pub clusters: Option<Clusters>,
    /// Which Mimblewimble network there is, if any.
    pub grin: Option<Net>,
    /// How nodes hold their sessions.
    pub sessions: Sessions,
    /// The bounds of the nodes' tables.
    pub limits: Limits,
    /// How long bans last.
    pub ban_window: Duration,
    /// How far a node's clock may be off, in microseconds.
    pub skew: u64,
    /// How many nodes are looked at closely; their disks keep every row.
    pub audited: u32,
    /// What is done wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

/// Nodes of a drawn world in which there may be clusters.
const CLUSTERED_MAX: u32 = 64;
/// Nodes of a drawn world in which there may be a Mimblewimble network.
const MINTED_MAX: u32 = 16;
const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

impl Options {
    /// The options of the run with this seed.
    #[must_use]
    pub fn drawn(seed: u64, nodes: u32, duration: u64, faults: bool) -> Self {
        let luck = &mut Seeds::new(seed).family("options").luck(0);
        let large = nodes > 1_000;
        // Draws are made in any case, so that no switch shifts what comes after it.
        let chains = if large { 1 } else { 1 + luck.below(3) as u8 };
        let links = links(luck, faults);
        let disk = DiskSpeed {
            floor: luck.range(100, 2 * MS),
            spread: luck.range(100, 10 * MS),
            stall_chance: one_in(luck, 3, faults, 5_000),
            stall: luck.range(10 * MS, SECOND),
        };
        let rates = rates(luck, faults, nodes);
        let sessions = sessions(luck, large);
        let limits = limits(luck, nodes, large);
        let work = work(luck, nodes, duration);
        let ban_window = Duration::from_secs(luck.range(5, 60));
        let settle = 120 * SECOND
            + 8 * peerage_core::time::micros(sessions.poll_interval)
            + peerage_core::time::micros(ban_window);
        let mut options = Self {
            seed,
            nodes,
            duration,
            settle,
            wire: Wire::Typed,
            chains,
            known_peers: luck.range(2, 5) as u32,
            links,
            disk,
            faults: rates,
            more_faults: Vec::new(),
            shuffle: false,
            core: 1_000,
            liars: 0,
            topology: Topology::Neighbours,
            variants: Vec::new(),
            users_on: Group::All,
            script: Arc::from([]),
            kept_actions: None,
            work,
            clusters: None,
            grin: None,
            sessions,
            limits,
            ban_window,
            skew: luck.range(0, 2 * SECOND),
            audited: nodes.min(256),
            sabotage: None,
        };
        if luck.below(6) == 0 && faults && !large {
            options.enrage();
        }
        if faults {
            options.widen(&mut Seeds::new(seed).family("options").luck(1));
            options.found(&mut Seeds::new(seed).family("clusters").luck(0));
            options.mint(&mut Seeds::new(seed).family("grin").luck(0));
        }
        options.befriend(&mut Seeds::new(seed).family("options").luck(2), faults);
        options
    }
}

impl Options {
    /// A world in which nothing happens by itself: sound links and disks, no faults, no users.
    #[must_use]
    pub fn plain(seed: u64, nodes: u32, duration: u64) -> Self {
        let drawn = Self::drawn(seed, nodes, duration, false);
        let sessions = Sessions::default();
        Self {
            chains: 1,
            known_peers: 3,
            links: Links::sound(Latency::Uniform(20 * MS, 40 * MS)),
            disk: DiskSpeed {
                floor: MS,
                spread: 2 * MS,
                stall_chance: 0,
                stall: 0,
            },
            settle: 120 * SECOND + 8 * peerage_core::time::micros(sessions.poll_interval),
            sessions,
            limits: Limits::default(),
            ban_window: Duration::from_secs(3_600),
            skew: 0,
            work: Work {
                users: 0,
                pause: SECOND,
                fresh_max: 1_000,
                insert: 1,
                repeat: 0,
                invalid: 0,
                read: 0,
                page: 0,
                put: 0,
                ban: 0,
                social: Social::default(),
            },
            ..drawn
        }
    }

    /// Clusters, in some runs only, and none in worlds in which all know all would be too much.
    fn found(&mut self, luck: &mut Luck) {
        let clusters = Clusters::drawn(luck, self.nodes);
        if luck.below(3) == 0 && self.nodes <= CLUSTERED_MAX {
            self.settle += clusters.settle();
            self.clusters = Some(clusters);
        }
    }

    /// A Mimblewimble network, in some small runs only, since each block costs a range proof.
    fn mint(&mut self, luck: &mut Luck) {
        let net = Net::drawn(luck, self.nodes, self.duration);
        if luck.below(4) == 0 && self.nodes <= MINTED_MAX {
            self.settle += net.settle();
            self.grin = Some(net);
        }
    }

    /// Everything at once: what a gentle run meets once a day happens every few seconds.
    fn enrage(&mut self) {
        for (kind, every, lasts) in [(Kind::Crash, 2, 3), (Kind::Partition, 8, 10)] {
            let rate = self.faults.of_mut(kind);
            rate.every = rate.every.min(every * SECOND);
            rate.lasts = rate.lasts.min(lasts * SECOND);
        }
        self.disk.stall_chance = 50_000;
        self.links.request_loss = 50_000;
        self.links.answer_loss = 50_000;
        self.work.pause = self.work.pause.min(200 * MS);
        self.work.ban = 4;
        self.work.put = 10;
    }

    /// Tables and queues that are so small that their edges are met, each in some runs only.
    fn tighten(&mut self, luck: &mut Luck) {
        let mut few = |bound: &mut usize, from: u64, to: u64| {
            let drawn = luck.range(from, to) as usize;
            if luck.below(8) == 0 && self.nodes <= 1_000 {
                *bound = drawn;
            }
        };
        let limits = &mut self.limits;
        few(&mut limits.bans_max, 3, 20);
        few(&mut limits.calls_max, 6, 30);
        few(&mut limits.calls_per_peer_max, 2, 16);
        few(&mut limits.lookup_slice_max, 1, 20);
        few(&mut limits.pool_bytes_max, 3_000, 100_000);
        few(&mut limits.pool_max, 3, 60);
        few(&mut limits.push_queue_max, 1, 50);
        few(&mut limits.recent_log_max, 1, 60);
        few(&mut limits.verifies_max, 4, 60);
    }

    /// The other kinds of faults, each in some runs only.
    fn widen(&mut self, luck: &mut Luck) {
        // A few times per node and hour in large worlds, more often in small ones.
        let crowd = u64::from(self.nodes.clamp(10, 100));
        for kind in Kind::ALL {
            let on = luck.below(4) == 0;
            let every = luck.range(5 * SECOND, 60 * SECOND) * 10 / crowd;
            let lasts = luck.range(100 * MS, 20 * SECOND);
            if on && !matches!(kind, Kind::Crash | Kind::Partition | Kind::Stop) {
                *self.faults.of_mut(kind) = Rate { every, lasts };
            }
        }
        self.links.refuse_chance = one_in(luck, 4, true, 20_000);
        self.links.reset_chance = one_in(luck, 4, true, 20_000);
        self.links.impostor_chance = one_in(luck, 4, true, 10_000);
        self.links.mangle_chance = one_in(luck, 2, true, 20_000);
        self.links.latency = match (luck.below(8), self.links.latency) {
            (0, Latency::Uniform(from, to)) => Latency::Exponential(from, to),
            (1, Latency::Uniform(_, to)) => Latency::LogNormal(to, 800),
            (2, Latency::Uniform(from, to)) => Latency::Normal(to, from),
            (_, latency) => latency,
        };
        self.tighten(luck);
        let chains = luck.range(8, 21) as u8;
        if luck.below(16) == 0 && self.nodes <= 12 {
            self.chains = chains;
        }
        let (rush, fresh_max) = (luck.range(10 * MS, 80 * MS), luck.range(100, 3_000) as u32);
        if luck.below(8) == 0 && self.nodes <= 12 {
            self.work.pause = rush;
            self.work.fresh_max = self.work.fresh_max.max(fresh_max);
            self.work.insert = self.work.insert.max(20);
        }
        self.shuffle = luck.below(2) == 0;
        self.core = if luck.below(3) == 0 {
            luck.range(500, 1_000) as u32
        } else {
            1_000
        };
        let liars = luck.range(1, 4) as u32;
        if luck.below(4) == 0 {
            self.liars = liars.min(self.nodes / 5);
        }
    }
}

/// `value` in one of `parts` runs with faults, else zero.
fn one_in(luck: &mut Luck, parts: u64, on: bool, value: u32) -> u32 {
    let hit = luck.below(parts) == 0;
    let drawn = luck.below(u64::from(value) + 1) as u32;
    if on && hit { drawn } else { 0 }
}

fn links(luck: &mut Luck, faults: bool) -> Links {
    let floor = luck.range(MS, 40 * MS);
    let spread = luck.range(MS, 80 * MS);
    Links {
        slow_chance: one_in(luck, 2, faults, 20_000),
        slow: luck.range(SECOND, 8 * SECOND),
        request_loss: one_in(luck, 2, faults, 30_000),
        answer_loss: one_in(luck, 2, faults, 30_000),
        hangup_chance: luck.range(0, 1_000_001) as u32,
        late_chance: luck.range(0, 1_000_001) as u32,
        ..Links::sound(Latency::Uniform(floor, floor + spread))
    }
}

fn rates(luck: &mut Luck, faults: bool, nodes: u32) -> Rates {
    // A few times per node and hour in large worlds, more often in small ones.
    let crash_every = luck.range(2 * SECOND, 40 * SECOND) * 10 / u64::from(nodes.clamp(10, 100));
    let cut_every = luck.range(10 * SECOND, 90 * SECOND);
    let (crashes, cuts) = (luck.below(4) > 0, luck.below(3) > 0);
    let mut rates = Rates::default();
    let down_for = luck.range(50 * MS, 20 * SECOND);
    rates.drain_chance = luck.range(0, 500_000) as u32;
    let cut_for = luck.range(SECOND, 40 * SECOND);
    if faults && crashes {
        *rates.of_mut(Kind::Crash) = Rate {
            every: crash_every,
            lasts: down_for,
        };
    }
    if faults && cuts {
        *rates.of_mut(Kind::Partition) = Rate {
            every: cut_every,
            lasts: cut_for,
        };
    }
    rates
}

fn sessions(luck: &mut Luck, large: bool) -> Sessions {
    let base = Sessions::default();
    let poll = luck.range(2, 16);
    let (cut, mempool) = (luck.range(20, 241), luck.range(20, 301));
    if large {
        return base;
    }
    Sessions {
        cut_length: Duration::from_secs(cut),
        mempool_length: Duration::from_secs(mempool),
        poll_interval: Duration::from_secs(poll),
        ..base
    }
}

fn limits(luck: &mut Luck, nodes: u32, large: bool) -> Limits {
    // Large worlds have small tables: not everybody can know everybody.
    let base = Limits::default();
    let peers_max = match nodes {
        0..=200 => base.peers_max,
        201..=1_000 => 128,
        _ => 64,
    };
    let base = Limits { peers_max, ..base };
    let tight = luck.below(6) == 0;
    let calls_max = luck.range(24, 200) as usize;
    let requests_max = luck.range(8, 100) as usize;
    let commits_max = luck.range(8, 64);
    let probes_max = luck.range(2, 32) as usize;
    let peers_few = luck.range(6, 40) as usize;
    if large || !tight {
        return base;
    }
    Limits {
        calls_max,
        requests_max,
        commits_max,
        peers_max: peers_few,
        probes_max,
        probes_per_source_max: probes_max.min(base.probes_per_source_max),
        ..base
    }
}

fn work(luck: &mut Luck, nodes: u32, duration: u64) -> Work {
    let users = (nodes / 4).clamp(2, 64);
    let pause = luck.range(100 * MS, 4 * SECOND);
    let weight = |luck: &mut Luck| {
        if luck.below(5) == 0 {
            0
        } else {
            luck.range(1, 20) as u32
        }
    };
    // Few enough that every pool holds them all, and that ten thousand nodes share them quickly.
    let fresh_max = (duration / SECOND * 4).clamp(20, 2_000) as u32;
    Work {
        users,
        pause,
        fresh_max,
        insert: 1 + weight(luck),
        repeat: weight(luck),
        invalid: weight(luck),
        read: weight(luck),
        page: weight(luck),
        put: weight(luck),
        // Bans in small number, or nobody would be left to talk to.
        ban: weight(luck).div_ceil(8),
        social: Social::default(),
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            links,
            disk,
            faults,
            work,
            sessions,
            limits,
            ..
        } = self;
        writeln!(
            f,
            "links     a message takes {}; {};\n\
             {PAD}lost: {} of questions, {} of answers; connections refused: {}, broken: {}, \
             false: {}",
            links.latency,
            Longer(links.slow_chance, links.slow),
            Share(links.request_loss),
            Share(links.answer_loss),
            Share(links.refuse_chance),
            Share(links.reset_chance),
            Share(links.impostor_chance),
        )?;
        writeln!(
            f,
            "disks     a write takes {} to {}; {}",
            Time(disk.floor),
            Time(disk.floor + disk.spread),
            Longer(disk.stall_chance, disk.stall),
        )?;
        let kinds: Vec<String> = faults
            .on()
            .map(|(kind, rate)| format!("{} {}", kind.name(), Often(rate.every, rate.lasts)))
            .chain(
                (!self.more_faults.is_empty())
                    .then(|| format!("{} more were asked for", self.more_faults.len())),
            )
            .chain((self.liars > 0).then(|| format!("{} nodes lie", self.liars)))
            .chain(
                self.shuffle
                    .then(|| "what happens at once comes in any order".to_owned()),
            )
            .chain(
                (self.core < 1_000)
                    .then(|| format!("{} of a thousand nodes must become well", self.core)),
            )
            .collect();
        crate::run::write_list(f, "faults   ", &kinds)?;
        writeln!(
            f,
            "users     {} users, each acting every {}; weights: new transaction {}, repeated {},\n\
             {PAD}invalid {}, read of a mempool {}, page of peers {}, put of a peer {}, ban {}",
            work.users,
            Time(work.pause),
            work.insert,
            work.repeat,
            work.invalid,
            work.read,
            work.page,
            work.put,
            work.ban,
        )?;
        if work.social.sum() > 0 {
            writeln!(f, "{PAD}{}", work.social)?;
        }
        if let Some(clusters) = &self.clusters {
            writeln!(f, "clusters  {clusters}")?;
        }
        if let Some(net) = &self.grin {
            writeln!(f, "grin      {net}")?;
        }
        write!(
            f,
            "nodes     {} chains; each is given {} peers and polls a peer's mempool every {} s;\n\
             {PAD}at most {} calls, {} requests, {} commits and {} peers at a time",
            self.chains,
            self.known_peers,
            sessions.poll_interval.as_secs(),
            limits.calls_max,
            limits.requests_max,
            limits.commits_max,
            limits.peers_max,
        )
    }
}

/// What a report's lines begin with where they go on.
pub(crate) const PAD: &str = "          ";

/// Microseconds, in the unit that suits them.
pub(crate) struct Time(pub(crate) u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..MS => write!(f, "{} µs", self.0),
            MS..SECOND => write!(f, "{:.1} ms", self.0 as f64 / MS as f64),
            _ => write!(f, "{:.1} s", self.0 as f64 / SECOND as f64),
        }
    }
}

/// Millionths, as percent.
struct Share(u32);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("none"),
            share => write!(f, "{:.2} %", f64::from(share) / 10_000.0),
        }
    }
}

/// How often something takes longer than it should, and by how much at most.
struct Longer(u32, u64);

impl fmt::Display for Longer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(0, _) => f.write_str("none takes longer"),
            Self(chance, time) => {
                write!(f, "{} take up to {} longer", Share(*chance), Time(*time))
            }
        }
    }
}

/// The mean pause before something happens, and how long it lasts.
struct Often(u64, u64);

impl fmt::Display for Often {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {} for {}", Time(self.0), Time(self.1))
    }
}
