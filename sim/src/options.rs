//! Everything that a run depends on, drawn from its seed unless it is said otherwise.
//!
//! Every run is different in kind, not only in luck: some have no crashes, some have slow disks,
//! some have tiny tables (swarm testing). What was drawn is printed with the result.

mod draw;
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
use crate::nemesis::Fault;
use crate::nemesis::draw::Rates;
use crate::network::Links;
use crate::scenario::Scripted;

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

const MS: u64 = 1_000;
const SECOND: u64 = 1_000_000;

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
