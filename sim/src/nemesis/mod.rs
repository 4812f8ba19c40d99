//! What goes wrong, and when: one list of timed faults, made before the run.
//!
//! The list is drawn from the seed, read from a scenario, or edited by hand; nothing else decides
//! about faults. A fault is a line of text that is read back exactly:
//!
//! ```text
//! 30s partition n0-n4 | n5-n9 for 20s
//! 12.5s crash n3 silent for 5s
//! ```
//!
//! Without `for`, a fault lasts until the storm ends. [`KINDS_HELP`] lists all kinds.

pub mod draw;
mod text;

pub use text::{KINDS_HELP, NotAFault};

use crate::group::Group;
use crate::network::Way;

/// One thing that goes wrong, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, in microseconds.
    pub at: u64,
    /// How long it lasts, in microseconds; until the storm ends if nothing is said.
    pub lasts: Option<u64>,
    /// What happens.
    pub what: What,
}

/// What goes wrong. Times are in microseconds, chances in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Nodes that stay apart from the links' own luck.
    Partition {
        /// One side.
        a: Group,
        /// The other side.
        b: Group,
        /// In which direction messages vanish.
        way: Way,
        /// Whether what is under way still arrives.
        spares_flight: bool,
    },
    /// Messages between the sides wait until it ends.
    Clog {
        /// One side.
        a: Group,
        /// The other side.
        b: Group,
        /// In which direction.
        way: Way,
    },
    /// Links between the sides are worse than they were.
    Degrade {
        /// One side.
        a: Group,
        /// The other side.
        b: Group,
        /// In which direction.
        way: Way,
        /// On top of the link's own latency.
        latency: u64,
        /// On top of the link's own loss.
        loss: u32,
        /// Bytes per second; zero for no bound.
        bandwidth: u64,
    },
    /// Connections to the nodes are refused although they run.
    Refuse(Group),
    /// The nodes accept connections and never answer on them.
    Hang(Group),
    /// Every connection from or to the nodes breaks at that moment.
    Reset(Group),
    /// Somebody else answers at the nodes' addresses, with another certificate.
    Impersonate(Group),

    /// The nodes stop in the middle of whatever they do, and start again when it ends.
    Crash {
        /// Who.
        nodes: Group,
        /// Whether nobody is told: connections go silent instead of breaking.
        silent: bool,
        /// What becomes of writes that were not yet durable.
        unsynced: Unsynced,
    },
    /// The nodes are asked to stop, stop a moment later, and start again when it ends.
    Stop {
        /// Who.
        nodes: Group,
        /// From the request to the stop.
        grace: u64,
    },
    /// The nodes stop for ever.
    Lose(Group),
    /// The nodes do nothing; what arrives waits.
    Pause(Group),
    /// The nodes' wall clocks jump.
    Jump {
        /// Who.
        nodes: Group,
        /// Forward, or back.
        by: i64,
    },
    /// The nodes' clocks run too fast or too slow.
    Drift {
        /// Who.
        nodes: Group,
        /// By so many millionths.
        ppm: i32,
    },
    /// The nodes need this long for each input.
    Slow {
        /// Who.
        nodes: Group,
        /// How long.
        each: u64,
    },
    /// The nodes exist only from that moment on.
    Join(Group),
    /// The nodes stop and come back with another certificate.
    Renew(Group),
    /// The nodes stop and come back with an empty disk.
    Wipe(Group),
    /// The nodes stop and run an older release until it ends.
    Downgrade(Group),

    /// Each write takes longer.
    DiskSlow {
        /// Whose disks.
        nodes: Group,
        /// By how much.
        by: u64,
    },
    /// No write ends.
    DiskStall(Group),
    /// The next sync fails: the nodes must stop. They start again when it ends.
    DiskFail(Group),
    /// Nothing can be written: the nodes must stop at the first attempt.
    DiskFull(Group),
    /// Bits of a stored row change. The nodes must notice at their next start; they are stopped at
    /// once, and come back with an empty disk when it ends.
    DiskFlip(Group),
}

/// What becomes of writes that were not yet durable when a node crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// A drawn number of the oldest commits survives, each whole.
    Drawn,
    /// All are lost.
    Lost,
    /// Half a commit is on the disk, which must be found out and undone.
    Torn,
}

/// The kinds of faults, for switches, rates and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each is said at the variant of What with the same name"
)]
pub enum Kind {
    Clog,
    Crash,
    Degrade,
    DiskFail,
    DiskFlip,
    DiskFull,
    DiskSlow,
    DiskStall,
    Downgrade,
    Drift,
    Hang,
    Impersonate,
    Join,
    Jump,
    Lose,
    Partition,
    Pause,
    Refuse,
    Renew,
    Reset,
    Slow,
    Stop,
    Wipe,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Clog,
        Self::Crash,
        Self::Degrade,
        Self::DiskFail,
        Self::DiskFlip,
        Self::DiskFull,
        Self::DiskSlow,
        Self::DiskStall,
        Self::Downgrade,
        Self::Drift,
        Self::Hang,
        Self::Impersonate,
        Self::Join,
        Self::Jump,
        Self::Lose,
        Self::Partition,
        Self::Pause,
        Self::Refuse,
        Self::Renew,
        Self::Reset,
        Self::Slow,
        Self::Stop,
        Self::Wipe,
    ];

    /// The first word of such a fault.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clog => "clog",
            Self::Crash => "crash",
            Self::Degrade => "degrade",
            Self::DiskFail => "disk-fail",
            Self::DiskFlip => "disk-flip",
            Self::DiskFull => "disk-full",
            Self::DiskSlow => "disk-slow",
            Self::DiskStall => "disk-stall",
            Self::Downgrade => "downgrade",
            Self::Drift => "drift",
            Self::Hang => "hang",
            Self::Impersonate => "impersonate",
            Self::Join => "join",
            Self::Jump => "jump",
            Self::Lose => "lose",
            Self::Partition => "partition",
            Self::Pause => "pause",
            Self::Refuse => "refuse",
            Self::Renew => "renew",
            Self::Reset => "reset",
            Self::Slow => "slow",
            Self::Stop => "stop",
            Self::Wipe => "wipe",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl What {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Clog { .. } => Kind::Clog,
            Self::Crash { .. } => Kind::Crash,
            Self::Degrade { .. } => Kind::Degrade,
            Self::DiskFail(_) => Kind::DiskFail,
            Self::DiskFlip(_) => Kind::DiskFlip,
            Self::DiskFull(_) => Kind::DiskFull,
            Self::DiskSlow { .. } => Kind::DiskSlow,
            Self::DiskStall(_) => Kind::DiskStall,
            Self::Downgrade(_) => Kind::Downgrade,
            Self::Drift { .. } => Kind::Drift,
            Self::Hang(_) => Kind::Hang,
            Self::Impersonate(_) => Kind::Impersonate,
            Self::Join(_) => Kind::Join,
            Self::Jump { .. } => Kind::Jump,
            Self::Lose(_) => Kind::Lose,
            Self::Partition { .. } => Kind::Partition,
            Self::Pause(_) => Kind::Pause,
            Self::Refuse(_) => Kind::Refuse,
            Self::Renew(_) => Kind::Renew,
            Self::Reset(_) => Kind::Reset,
            Self::Slow { .. } => Kind::Slow,
            Self::Stop { .. } => Kind::Stop,
            Self::Wipe(_) => Kind::Wipe,
        }
    }

    /// Whom it befalls: one group, or the two sides of a link.
    #[must_use]
    pub const fn groups(&self) -> (&Group, Option<&Group>) {
        match self {
            Self::Partition { a, b, .. } | Self::Clog { a, b, .. } | Self::Degrade { a, b, .. } => {
                (a, Some(b))
            }
            Self::Refuse(nodes)
            | Self::Hang(nodes)
            | Self::Reset(nodes)
            | Self::Impersonate(nodes)
            | Self::Crash { nodes, .. }
            | Self::Stop { nodes, .. }
            | Self::Lose(nodes)
            | Self::Pause(nodes)
            | Self::Jump { nodes, .. }
            | Self::Drift { nodes, .. }
            | Self::Slow { nodes, .. }
            | Self::Join(nodes)
            | Self::Renew(nodes)
            | Self::Wipe(nodes)
            | Self::Downgrade(nodes)
            | Self::DiskSlow { nodes, .. }
            | Self::DiskStall(nodes)
            | Self::DiskFail(nodes)
            | Self::DiskFull(nodes)
            | Self::DiskFlip(nodes) => (nodes, None),
        }
    }

    /// The same, to be changed.
    pub const fn groups_mut(&mut self) -> (&mut Group, Option<&mut Group>) {
        match self {
            Self::Partition { a, b, .. } | Self::Clog { a, b, .. } | Self::Degrade { a, b, .. } => {
                (a, Some(b))
            }
            Self::Refuse(nodes)
            | Self::Hang(nodes)
            | Self::Reset(nodes)
            | Self::Impersonate(nodes)
            | Self::Crash { nodes, .. }
            | Self::Stop { nodes, .. }
            | Self::Lose(nodes)
            | Self::Pause(nodes)
            | Self::Jump { nodes, .. }
            | Self::Drift { nodes, .. }
            | Self::Slow { nodes, .. }
            | Self::Join(nodes)
            | Self::Renew(nodes)
            | Self::Wipe(nodes)
            | Self::Downgrade(nodes)
            | Self::DiskSlow { nodes, .. }
            | Self::DiskStall(nodes)
            | Self::DiskFail(nodes)
            | Self::DiskFull(nodes)
            | Self::DiskFlip(nodes) => (nodes, None),
        }
    }

    /// Whether a disk must keep its rows for this to mean anything.
    #[must_use]
    pub const fn needs_disk(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Crash
                | Kind::DiskFail
                | Kind::DiskFlip
                | Kind::DiskFull
                | Kind::Downgrade
                | Kind::Renew
                | Kind::Stop
                | Kind::Wipe
        )
    }
}

impl Fault {
    /// The greatest number of a node that it names.
    #[must_use]
    pub fn greatest(&self) -> Option<u32> {
        let (a, b) = self.what.groups();
        a.greatest().max(b.and_then(Group::greatest))
    }

    /// Has it befall nodes `0..nodes` only: who is beyond is replaced by one of them.
    pub fn fold_into(&mut self, nodes: u32) {
        let (a, b) = self.what.groups_mut();
        a.fold_into(nodes);
        if let Some(b) = b {
            b.fold_into(nodes);
        }
    }
}

/// Puts faults into the order in which they happen.
pub fn sort(faults: &mut [Fault]) {
    faults.sort_by_key(|fault| fault.at);
}
