//! One course of events: where it is, copies from before, and what was changed on the way.

use std::fmt::Write as _;

use crate::inspect;
use crate::nemesis::Fault;
use crate::options::Time;
use crate::run::{Phase, Run};
use crate::schedule::Key;
use crate::world::Event;

/// Copies of a run that are kept for going back.
const MARKS_MAX: usize = 32;
/// Events between two copies, until there are too many of them.
const MARK_EVERY: u64 = 500;
/// Steps that are told one by one; of more, the last.
const STEPS_TOLD: u64 = 10;

/// One course of events.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    place: Place,
    /// Copies from before, earliest first; the first is the beginning.
    marks: Vec<Place>,
    /// Events between two copies.
    mark_every: u64,
    /// What was changed, in the order of the moments.
    changes: Vec<Changed>,
}

/// A moment.
#[derive(Clone, Debug)]
struct Place {
    run: Run,
    /// How many of the changes are behind.
    changes: usize,
}

impl Place {
    fn events(&self) -> u64 {
        self.run.engine().events()
    }
}

/// Something that was changed, after so many events.
#[derive(Clone, Debug)]
struct Changed {
    after: u64,
    at: u64,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Fault(Fault),
    Luck(u64),
}

impl Branch {
    pub(super) fn new(run: Run) -> Self {
        let place = Place { run, changes: 0 };
        Self {
            marks: vec![place.clone()],
            place,
            mark_every: MARK_EVERY,
            changes: Vec::new(),
        }
    }

    pub(super) const fn run(&self) -> &Run {
        &self.place.run
    }

    /// When it began.
    pub(super) fn begun(&self) -> u64 {
        self.marks.first().map_or(0, |mark| mark.run.now())
    }

    /// What was done to it, in words.
    pub(super) fn story(&self) -> String {
        let mut story = "as it was drawn".to_owned();
        for Changed { at, change, .. } in &self.changes {
            let _ = write!(story, "; from {} on with ", Time(*at));
            let _ = match change {
                Change::Fault(fault) => write!(story, "{fault}"),
                Change::Luck(seed) => write!(story, "luck of seed {seed}"),
            };
        }
        story
    }

    /// Keeps a copy of this moment for going back, if the last one is long ago.
    fn mark(&mut self) {
        let last = self.marks.last().map_or(0, Place::events);
        if self.place.events() < last + self.mark_every {
            return;
        }
        if self.marks.len() >= MARKS_MAX {
            // Every second one goes; the first stays.
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.mark_every *= 2;
        }
        self.marks.push(self.place.clone());
    }

    /// One event further, if it is due before `until`.
    fn forward(&mut self, until: u64) -> Option<(Key, Event)> {
        while let Some(changed) = self.changes.get(self.place.changes)
            && changed.after == self.place.events()
            && changed.at <= until
        {
            // Nothing happens before that.
            self.place.run.advance(changed.at);
            let change = changed.change.clone();
            self.place.changes += 1;
            // It was possible at this moment before.
            let _ = apply(&mut self.place.run, change);
        }
        self.mark();
        self.place.run.step_before(until)
    }

    /// Takes the latest copy that will do.
    fn rewind(&mut self, will_do: impl Fn(&Place) -> bool) {
        while self.marks.len() > 1 && !self.marks.last().is_some_and(&will_do) {
            self.marks.pop();
        }
        if let Some(mark) = self.marks.last() {
            self.place = mark.clone();
        }
    }

    pub(super) fn step(&mut self, many: u64) -> String {
        let mut text = String::new();
        for number in 0..many {
            let Some(step) = self.forward(u64::MAX) else {
                text.push_str("nothing more happens\n");
                break;
            };
            if number + STEPS_TOLD >= many {
                text.push_str(&self.told(&step));
            }
        }
        text
    }

    fn told(&self, (key, what): &(Key, Event)) -> String {
        format!(
            "#{} {}.{:06} to {} from {}: {what:?}\n",
            self.place.events(),
            key.at / 1_000_000,
            key.at % 1_000_000,
            inspect::party(self.run().world(), key.to),
            inspect::party(self.run().world(), key.from),
        )
    }

    pub(super) fn go_to_event(&mut self, event: u64) {
        if event < self.place.events() {
            self.rewind(|place| place.events() <= event);
        }
        while self.place.events() < event && self.forward(u64::MAX).is_some() {}
    }

    pub(super) fn go_to_time(&mut self, time: u64) {
        if time < self.run().now() {
            self.rewind(|place| place.run.now() <= time);
        }
        while self.forward(time).is_some() {}
    }

    /// Goes on until something is true after an event, and tells which event; nothing, if it never
    /// is.
    pub(super) fn until(&mut self, there: impl Fn(&Run, &Key) -> bool) -> Option<String> {
        loop {
            let step = self.forward(u64::MAX);
            let Some(step) = step else {
                // The last look at everything belongs to no event.
                let none = Key {
                    at: self.run().now(),
                    tie: 0,
                    to: u32::MAX,
                    from: u32::MAX,
                    count: 0,
                };
                let over = self.run().phase() == Phase::Over;
                return (over && there(self.run(), &none)).then(String::new);
            };
            if there(self.run(), &step.0) {
                return Some(self.told(&step));
            }
        }
    }

    pub(super) fn add(&mut self, line: &str) -> Result<(), String> {
        let fault: Fault = line.parse().map_err(|error| format!("{error}"))?;
        self.change(Change::Fault(fault))
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        // Luck can be changed at any time.
        let _ = self.change(Change::Luck(seed));
    }

    /// From here on this is another course of events: what was changed later is forgotten.
    fn change(&mut self, change: Change) -> Result<(), String> {
        // What belongs to this very moment came before anything that is changed next.
        let after = self.place.events();
        while let Some(changed) = self.changes.get(self.place.changes)
            && changed.after == after
            && changed.at <= self.run().now()
        {
            let change = changed.change.clone();
            self.place.changes += 1;
            let _ = apply(&mut self.place.run, change);
        }
        apply(&mut self.place.run, change.clone())?;
        self.changes.truncate(self.place.changes);
        self.changes.push(Changed {
            after,
            at: self.run().now(),
            change,
        });
        self.place.changes += 1;
        Ok(())
    }
}

fn apply(run: &mut Run, change: Change) -> Result<(), String> {
    match change {
        Change::Fault(fault) => run.add_fault(fault),
        Change::Luck(seed) => {
            run.reseed(seed);
            Ok(())
        }
    }
}
