//! What must hold in every run, whatever the luck.
//!
//! | oracle | what it wants |
//! |---|---|
//! | answers | every request is answered exactly once, none after its caller was seen to leave |
//! | books | what a node counts is there, and nothing waits for ever |
//! | bounds | no table or queue of a node outgrows its limit |
//! | commits | commits are numbered without gaps |
//! | converge | once faults stop, pools become equal, all know their peers, friends agree, clusters know themselves, chains are one |
//! | damage | a disk on which bits have changed is noticed at start |
//! | deadlines | no call outlives its deadline |
//! | durable | what others were shown is on the disk |
//! | export | a node's state is what its disk holds |
//! | friends | both sides of a friendship tell the same story |
//! | grin | chains are valid from the first block on, and nothing unseen is shown before its time |
//! | model | answers are those that each room's reference model allows |
//! | panic | nothing panics |
//! | wire | what crosses as bytes comes back equal |

pub mod books;
pub mod clusters;
pub mod converge;
pub mod durable;
pub mod friends;
pub mod grin;
pub mod model;
pub mod talk;

use std::fmt;

use peerage_core::Node;
use peerage_core::limits::{
    GRIN_BAD_MAX, GRIN_BOOK_MAX, GRIN_CHECKS_MAX, GRIN_INBOUND_MAX, GRIN_SCANS_MAX, GRIN_SIDE_MAX,
    HINTS_MAX, LEARNED_MAX, RELOAD_CHUNK_MAX,
};

/// One thing that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oracle {
    /// Every request is answered exactly once.
    Answers,
    /// What is counted is there.
    Books,
    /// No table outgrows its limit.
    Bounds,
    /// Commits are numbered without gaps.
    Commits,
    /// All becomes well once faults stop.
    Converge,
    /// A damaged disk is noticed at start.
    Damage,
    /// No call outlives its deadline.
    Deadlines,
    /// What was shown is durable.
    Durable,
    /// State and disk are one.
    Export,
    /// Both sides of a friendship tell the same story.
    Friends,
    /// Chains are valid, and nothing unseen is shown before its time.
    Grin,
    /// Answers are those that a reference model allows.
    Model,
    /// Nothing panics.
    Panic,
    /// What crosses as bytes comes back equal.
    Wire,
}

impl Oracle {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Answers,
        Self::Books,
        Self::Bounds,
        Self::Commits,
        Self::Converge,
        Self::Damage,
        Self::Deadlines,
        Self::Durable,
        Self::Export,
        Self::Friends,
        Self::Grin,
        Self::Model,
        Self::Panic,
        Self::Wire,
    ];

    /// The oracle's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Books => "books",
            Self::Bounds => "bounds",
            Self::Commits => "commits",
            Self::Converge => "converge",
            Self::Damage => "damage",
            Self::Deadlines => "deadlines",
            Self::Durable => "durable",
            Self::Export => "export",
            Self::Friends => "friends",
            Self::Grin => "grin",
            Self::Model => "model",
            Self::Panic => "panic",
            Self::Wire => "wire",
        }
    }
}

/// Something that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When, in microseconds.
    pub at: u64,
    /// At which node, if it was at one.
    pub node: Option<u32>,
    /// What should have held.
    pub oracle: Oracle,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} ", self.at / 1_000_000, self.at % 1_000_000)?;
        if let Some(node) = self.node {
            write!(f, "n{node} ")?;
        }
        write!(f, "{}: {}", self.oracle.name(), self.text)
    }
}

/// Findings that are kept word for word.
const KEPT: usize = 64;

/// Everything that did not hold: how often what was asked and missed, and the first cases.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    checks: [u64; Oracle::ALL.len()],
    misses: [u64; Oracle::ALL.len()],
    first: Vec<Finding>,
    /// How many of them were told.
    told: usize,
}

impl Findings {
    /// Counts a look of an oracle.
    pub const fn looked(&mut self, oracle: Oracle) {
        self.checks[oracle as usize] += 1;
    }

    /// Notes that something does not hold.
    pub fn miss(&mut self, at: u64, node: Option<u32>, oracle: Oracle, text: String) {
        self.misses[oracle as usize] += 1;
        if self.first.len() < KEPT {
            self.first.push(Finding {
                at,
                node,
                oracle,
                text,
            });
        }
    }

    /// How often the oracle looked.
    #[must_use]
    pub const fn checks(&self, oracle: Oracle) -> u64 {
        self.checks[oracle as usize]
    }

    /// How often the oracle was missed.
    #[must_use]
    pub const fn misses(&self, oracle: Oracle) -> u64 {
        self.misses[oracle as usize]
    }

    /// How many findings there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.misses.iter().sum()
    }

    /// Those of the first findings that were not asked for in this way before.
    pub fn untold(&mut self) -> &[Finding] {
        let from = std::mem::replace(&mut self.told, self.first.len());
        &self.first[from..]
    }

    /// The first findings, in their order.
    #[must_use]
    pub fn first(&self) -> &[Finding] {
        &self.first
    }
}

/// Messages that open a conversation, and bytes that they take together.
const OPENING_MESSAGES: usize = 2;
const OPENING_BYTES: usize = 4_096;

/// Looks at a node's tables and queues. It may keep the peers it was started with, even if another
/// release took more of them. `part` divides the limits, to see the oracle fail.
pub fn bounds(node: &Node, restored_peers: u64, part: u64, mut miss: impl FnMut(String)) {
    let config = node.config();
    let limits = &config.limits;
    let networks = u64::from(config.chains) + 1;
    let sessions =
        config.sessions.cut_max as u64 + config.sessions.mempool_max as u64 * (networks - 1);
    let opened = limits.relationships_max;
    // An older release, whose rows it was started with, may have taken twice as many.
    let neighbours = 2 * limits.peers_max;
    node.gauges(&mut |name, value| {
        let limit = match name {
            // One address is banned under up to three names.
            "bans" => limits.bans_max as u64,
            "calls_in_flight" | "calls_paced" => limits.calls_max as u64,
            // The limit refuses requests; what was taken before may still commit.
            "commits_in_flight" => {
                limits.commits_max + (limits.requests_max + limits.calls_max) as u64
            }
            // The limit refuses requests; what was taken before may still be answered.
            "outputs_held" => 2 * (limits.requests_max + limits.calls_max) as u64,
            "peers" => restored_peers.max(limits.peers_max as u64),
            // What is pushed to a peer waits in that peer's session, at first the whole pool.
            "mempool_push_queue" => limits.push_queue_max.max(limits.pool_max) as u64 * sessions,
            "mempool_bytes" => limits.pool_bytes_max as u64 * u64::from(config.chains),
            "mempool_pending" => limits.pool_max as u64 * u64::from(config.chains),
            "grin_bad_headers" => GRIN_BAD_MAX as u64,
            "grin_headers_beside" => GRIN_SIDE_MAX as u64,
            "grin_links" => (config.grin.links_max + GRIN_INBOUND_MAX) as u64,
            "grin_peers" => GRIN_BOOK_MAX as u64,
            "grin_pool" | "grin_stem_pool" => limits.grin_pool_max as u64,
            "grin_scans" => GRIN_SCANS_MAX as u64,
            "grin_transactions_checked" => GRIN_CHECKS_MAX as u64,
            "hints_waiting" => HINTS_MAX as u64,
            "peers_learned_waiting" => LEARNED_MAX as u64,
            "probes_in_flight" => limits.probes_max as u64,
            "requests_owed" => limits.requests_max as u64,
            "wattswarm_contacts" => limits.contacts_max as u64,
            // An accepted relationship opens its conversation whatever room there is.
            "wattswarm_message_bytes" => (limits.message_bytes_max + opened * OPENING_BYTES) as u64,
            "wattswarm_messages" => (limits.messages_max + opened * OPENING_MESSAGES) as u64,
            "wattswarm_neighbours" => neighbours as u64,
            "wattswarm_outbox" => limits.outbox_max as u64,
            "wattswarm_relationships" | "wattswarm_threads" => limits.relationships_max as u64,
            "sessions" => sessions,
            // What was pending before a restart is checked again, a chunk at a time.
            "verifications_in_flight" => {
                limits.verifies_max as u64 * (sessions + 1) + RELOAD_CHUNK_MAX as u64
            }
            _ => return,
        };
        if value > limit / part {
            miss(format!("{name} is {value}, above {}", limit / part));
        }
    });
}
