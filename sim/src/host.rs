//! One node's place in the world: its machine, disk, clock, and what it has under way.

use peerage_core::time::{Instant, Now, WallTime};
use peerage_core::{CallId, Node};

use crate::disk::Disk;
use crate::exchange::Ticket;
use crate::fold::Fold;
use crate::oracle::durable::Promises;

/// The wall clock when a world begins: 2025-10-09T08:53:20Z, a round number of seconds.
const EPOCH_US: u64 = 1_760_000_000_000_000;

/// A machine that runs a node, or will again.
#[derive(Debug)]
pub struct Host {
    /// The node, while it is up.
    pub node: Option<Box<Node>>,
    /// How often it has started.
    pub run: u32,
    /// When it started last.
    pub started: u64,
    /// How far its wall clock is off, in microseconds.
    pub skew: i64,
    /// What survives a crash.
    pub disk: Disk,
    /// What it must not show yet.
    pub promises: Promises,
    /// The fold of everything that happened to it.
    pub fold: Fold,
    /// Whether it is looked at closely.
    pub audited: bool,
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
            run: 0,
            started: 0,
            skew,
            disk,
            promises: Promises::default(),
            fold: Fold::default(),
            audited,
            draining: false,
            verify_free: 0,
            wake: u64::MAX,
            calls: Vec::new(),
        }
    }

    /// Both clocks at the world's time `at`.
    #[must_use]
    pub const fn now(&self, at: u64) -> Now {
        Now {
            mono: Instant::from_micros(at - self.started),
            wall: WallTime::from_micros((EPOCH_US + at).saturating_add_signed(self.skew)),
        }
    }

    /// When the node wants to be woken, in the world's time.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let due = self.node.as_ref()?.poll_timeout()?;
        Some(self.started.saturating_add(due.as_micros()))
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
