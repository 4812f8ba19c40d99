//! One node's place in the world: its machine, disk, clock, and what it has under way.

use std::collections::VecDeque;

use peerage_core::time::{Instant, Now};
use peerage_core::{CallId, Input, Node};

use crate::byzantine::Liar;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::exchange::Ticket;
use crate::fold::Fold;
use crate::oracle::books::Waiting;
use crate::oracle::durable::Promises;
use crate::oracle::model::Models;

/// What faults do to a machine just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plight {
    /// It stops for ever.
    pub lost: bool,
    /// It does nothing.
    pub paused: bool,
    /// It refuses connections.
    pub refuses: bool,
    /// It accepts connections and never answers.
    pub hangs: bool,
    /// Somebody else answers in its place.
    pub impersonated: bool,
    /// It runs an older release.
    pub old: bool,
    /// How long each input takes, in microseconds.
    pub slow: u64,
}

/// A machine that runs a node, or will again.
#[derive(Clone, Debug)]
pub struct Host {
    /// The node, while it is up.
    pub node: Option<Box<Node>>,
    /// Who is here instead of a node, if it is one who misbehaves on purpose.
    pub liar: Option<Box<Liar>>,
    /// How often it has started.
    pub run: u32,
    /// When it started last.
    pub started: u64,
    /// What its clock showed then.
    started_local: u64,
    /// Its clocks.
    pub clock: Clock,
    /// What faults do to it.
    pub plight: Plight,
    /// When it is done with its last input, if inputs take time.
    pub busy_until: u64,
    /// Since when it does things as they come, as opposed to having been held up.
    pub prompt_since: u64,
    /// Inputs that wait until it is free, with who asks.
    pub backlog: VecDeque<(u32, Input)>,
    /// What survives a crash.
    pub disk: Disk,
    /// What its answers are compared with, if they are.
    pub models: Option<Box<Models>>,
    /// What waits at it.
    pub waiting: Waiting,
    /// Whether it has written something since it was looked at.
    pub wrote: bool,
    /// What it must not show yet.
    pub promises: Promises,
    /// The fold of everything that happened to it.
    pub fold: Fold,
    /// Whether it is looked at closely.
    pub audited: bool,
    /// How many peers it was started with; they may be more than it takes.
    pub restored_peers: usize,
    /// Whether it has lost its disk or its name since the world began.
    pub forgot: bool,
    /// Whether its operator names the certificates of all peers that it is given.
    pub named: bool,
    /// Whether it was asked to stop and still runs.
    pub draining: bool,
    /// When its one core for checks is free again.
    pub verify_free: u64,
    /// When it is to be woken; [`u64::MAX`] for never.
    pub wake: u64,
    /// Its calls under way, by the slot in their names, with the name's other half.
    calls: Vec<Option<(u32, Ticket)>>,
}

impl Host {
    /// A machine that has not started yet.
    #[must_use]
    pub fn new(disk: Disk, skew: i64, audited: bool) -> Self {
        Self {
            node: None,
            liar: None,
            restored_peers: 0,
            run: 0,
            started: 0,
            started_local: 0,
            clock: Clock::new(skew),
            plight: Plight::default(),
            busy_until: 0,
            prompt_since: 0,
            backlog: VecDeque::new(),
            disk,
            models: None,
            waiting: Waiting::default(),
            wrote: false,
            promises: Promises::default(),
            fold: Fold::default(),
            audited,
            forgot: false,
            named: false,
            draining: false,
            verify_free: 0,
            wake: u64::MAX,
            calls: Vec::new(),
        }
    }

    /// Both clocks at the world's time `at`.
    #[must_use]
    pub const fn now(&self, at: u64) -> Now {
        let ticked = self.clock.local(at).saturating_sub(self.started_local);
        Now {
            mono: Instant::from_micros(ticked),
            wall: self.clock.wall(at),
        }
    }

    /// The node begins to run.
    pub fn begin(&mut self, at: u64) {
        self.run += 1;
        self.waiting = Waiting::default();
        self.started = at;
        self.started_local = self.clock.local(at);
    }

    /// It loses everything that it had.
    pub fn wipe(&mut self) {
        self.disk.wipe();
        self.models = None;
        self.forgot = true;
    }

    /// Since when nothing has held it up; now, if something does.
    #[must_use]
    pub fn unhurried_since(&self, at: u64) -> u64 {
        if self.occupied(at) || self.plight.slow > 0 {
            at
        } else {
            self.prompt_since
        }
    }

    /// Since when nothing has held it up, its disk included; now, if something does. The disk of a
    /// node that stays broken may never go on.
    #[must_use]
    pub fn free_since(&self, at: u64) -> u64 {
        if self.disk.ailments.stalled {
            at
        } else {
            self.unhurried_since(at)
        }
    }

    /// Whether it does not take an input just now.
    #[must_use]
    pub fn occupied(&self, at: u64) -> bool {
        self.plight.paused || at < self.busy_until || !self.backlog.is_empty()
    }

    /// When the node wants to be woken, in the world's time.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let due = self.node.as_ref()?.poll_timeout()?;
        Some(
            self.clock
                .world(self.started_local.saturating_add(due.as_micros())),
        )
    }

    /// Remembers under which ticket a call travels.
    pub fn note_call(&mut self, id: CallId, ticket: Ticket) {
        let (slot, generation) = halves(id);
        if self.calls.len() <= slot {
            self.calls.resize(slot + 1, None);
        }
        self.calls[slot] = Some((generation, ticket));
    }

    /// Forgets a call, and tells its ticket.
    pub fn take_call(&mut self, id: CallId) -> Option<Ticket> {
        let (slot, generation) = halves(id);
        let entry = self.calls.get_mut(slot)?;
        match *entry {
            Some((of, ticket)) if of == generation => {
                *entry = None;
                Some(ticket)
            }
            _ => None,
        }
    }

    /// Forgets all calls.
    pub fn take_calls(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.calls)
            .into_iter()
            .flatten()
            .map(|(_, ticket)| ticket)
            .collect()
    }
}

const fn halves(id: CallId) -> (usize, u32) {
    let name = id.as_u64();
    ((name >> 32) as usize, name as u32)
}
