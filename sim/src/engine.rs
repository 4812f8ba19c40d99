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
    /// Draws the order of events of one instant.
    shuffle: Option<u64>,
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
            shuffle: None,
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
        let tie = match self.shuffle {
            None => 0,
            Some(salt) => tie(salt, to, from, *count),
        };
        self.schedule.push(
            Key {
                at: at.max(self.now),
                tie,
                to,
                from,
                count: *count,
            },
            what,
        );
    }

    /// From now on, events of one instant happen in an order that `salt` draws.
    pub const fn shuffle(&mut self, salt: u64) {
        self.shuffle = Some(salt);
    }

    /// Lets one event happen, if it is due before `until`, and tells which.
    pub fn step<M: Machine<Event = E>>(&mut self, machine: &mut M, until: u64) -> Option<(Key, E)> {
        let (key, what) = self.schedule.pop_before(until)?;
        self.now = key.at;
        self.events += 1;
        machine.event(self, key, what);
        Some((key, what))
    }

    /// The next events, at most `many`, in their order. Looks at all that waits: not for hot paths.
    #[must_use]
    pub fn next(&self, many: usize) -> Vec<(Key, E)> {
        self.schedule.next(many)
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

const fn tie(salt: u64, to: u32, from: u32, count: u32) -> u32 {
    let mut word = salt ^ (to as u64) << 32 ^ from as u64 ^ (count as u64).rotate_left(48);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes who was told something.
    #[derive(Default)]
    struct Noting(Vec<(u64, u32)>);

    impl Machine for Noting {
        type Event = ();

        fn event(&mut self, _: &mut Engine<()>, key: Key, (): ()) {
            self.0.push((key.at, key.to));
        }
    }

    fn order(salt: Option<u64>) -> Vec<(u64, u32)> {
        let (mut engine, mut noting) = (Engine::new(20), Noting::default());
        if let Some(salt) = salt {
            engine.shuffle(salt);
        }
        for to in 0..20 {
            engine.at(5 + u64::from(to % 2), 0, to, ());
        }
        engine.run(&mut noting, 100);
        noting.0
    }

    #[test]
    fn only_events_of_one_instant_are_shuffled() {
        let plain = order(None);
        assert!(plain.is_sorted());
        for salt in 0..20 {
            let shuffled = order(Some(salt));
            assert_ne!(shuffled, plain);
            assert_eq!(shuffled, order(Some(salt)));
            assert!(shuffled.is_sorted_by_key(|(at, _)| at));
            assert_ne!(shuffled, order(Some(salt + 20)));
        }
    }

    #[test]
    fn steps_are_what_was_said_to_come_next() {
        let (mut engine, mut noting) = (Engine::new(3), Noting::default());
        for to in 0..3 {
            engine.at(10 * u64::from(to), 0, to, ());
        }
        let said: Vec<u32> = engine.next(2).iter().map(|(key, ())| key.to).collect();
        assert_eq!(said, [0, 1]);
        let went = std::iter::from_fn(|| engine.step(&mut noting, 20)).count();
        assert_eq!((went, engine.now(), engine.events()), (2, 10, 2));
    }
}
