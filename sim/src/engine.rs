//! The loop: takes the earliest event and hands it to a machine, which may cause later ones.
//!
//! A machine is whatever a world is made of: peerage's nodes with their network and disks, or a
//! trivial node in a benchmark. The engine knows only time, order and who caused what.

use crate::schedule::{Key, Schedule};

/// What an engine drives.
pub trait Machine {
    /// What can happen. Small: it is copied and sorted.
    type Event: Copy;

    /// Something happens.
    fn event(&mut self, engine: &mut Engine<Self::Event>, key: Key, what: Self::Event);
}

/// Virtual time and everything that is still to happen.
#[derive(Clone, Debug)]
pub struct Engine<E> {
    schedule: Schedule<E>,
    /// How many events each party has caused.
    counts: Vec<u32>,
    now: u64,
    events: u64,
}

impl<E: Copy> Engine<E> {
    /// An engine at time zero, for parties `0..parties`.
    #[must_use]
    pub fn new(parties: usize) -> Self {
        Self {
            schedule: Schedule::new(),
            counts: vec![0; parties],
            now: 0,
            events: 0,
        }
    }

    /// Microseconds since the world began.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// How many events have happened.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// How many events wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.schedule.len()
    }

    /// Has `what` happen to `to` after `delay` microseconds, caused by `from`.
    #[inline]
    pub fn after(&mut self, delay: u64, from: u32, to: u32, what: E) {
        self.at(self.now.saturating_add(delay), from, to, what);
    }

    /// Has `what` happen to `to` at `at`, or at once if that has passed, caused by `from`.
    #[inline]
    pub fn at(&mut self, at: u64, from: u32, to: u32, what: E) {
        let count = &mut self.counts[from as usize];
        *count = count.wrapping_add(1);
        self.schedule.push(
            Key {
                at: at.max(self.now),
                to,
                from,
                count: *count,
            },
            what,
        );
    }

    /// Lets everything happen that is due before `until`; then it is `until`.
    pub fn run<M: Machine<Event = E>>(&mut self, machine: &mut M, until: u64) {
        while let Some((key, what)) = self.schedule.pop_before(until) {
            self.now = key.at;
            self.events += 1;
            machine.event(self, key, what);
        }
        self.now = self.now.max(until);
    }
}
