//! Whoever looks at a run while it happens: the readable trace, the recording for pictures, a
//! debugger. Nobody who looks can change anything.

use std::io;

use peerage_core::{Input, Output};

use crate::exchange::Ticket;
use crate::nemesis::Fault;
use crate::oracle::Finding;
use crate::world::World;

/// What becomes of a node as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Starts,
    /// It does not run any more.
    Stops,
    /// What its disk holds cannot be trusted, so it does not start.
    Refuses,
    /// It does nothing for a while.
    Pauses,
    /// It goes on.
    Resumes,
}

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A question.
    Question,
    /// An answer.
    Answer,
    /// The news that there is no answer.
    Failure,
    /// The news that the caller has gone.
    Hangup,
}

/// A message leaves.
#[derive(Clone, Copy, Debug)]
pub struct Crossing {
    /// When, in microseconds.
    pub at: u64,
    /// Question and answer of one exchange have the same ticket.
    pub ticket: Ticket,
    /// What it carries.
    pub carries: Carries,
    /// What the question is called.
    pub name: &'static str,
    /// Whether a node's own call is behind it, and no user, script or liar.
    pub called: bool,
    /// Who sends: a node, or a user if the number is not below that of the nodes.
    pub from: u32,
    /// To whom.
    pub to: u32,
    /// When it will be there, if nothing swallows it on the way; `None` if it is lost at once.
    pub arrives: Option<u64>,
}

/// Sees everything that happens, in order. All methods do nothing unless they are written.
pub trait Watch: std::fmt::Debug {
    /// A node is given an input. `from` is who asks, for requests.
    fn input(&mut self, at: u64, node: u32, from: u32, input: &Input) {
        let _ = (at, node, from, input);
    }

    /// What the node wants done for that input; one after the other.
    fn output(&mut self, at: u64, node: u32, output: &Output) {
        let _ = (at, node, output);
    }

    /// That was all for that input.
    fn done(&mut self, at: u64, node: u32) {
        let _ = (at, node);
    }

    /// A message leaves.
    fn crossing(&mut self, crossing: &Crossing) {
        let _ = crossing;
    }

    /// A message that was under way is swallowed.
    fn swallowed(&mut self, at: u64, ticket: Ticket, carries: Carries) {
        let _ = (at, ticket, carries);
    }

    /// A message that is there waits until a later time before it is taken in.
    fn held(&mut self, at: u64, ticket: Ticket, carries: Carries, until: u64) {
        let _ = (at, ticket, carries, until);
    }

    /// A question ends without an answer; its caller is told the reason, if it still runs.
    fn failure(&mut self, at: u64, ticket: Ticket, reason: &'static str) {
        let _ = (at, ticket, reason);
    }

    /// The world as it is, now and then; for the `last` time when the run is over.
    fn sample(&mut self, at: u64, world: &World, last: bool) {
        let _ = (at, world, last);
    }

    /// A fault begins, or ends. `number` tells it from the others.
    fn fault(&mut self, at: u64, number: u32, fault: &Fault, begins: bool) {
        let _ = (at, number, fault, begins);
    }

    /// Something becomes of a node as a whole.
    fn life(&mut self, at: u64, node: u32, life: Life) {
        let _ = (at, node, life);
    }

    /// Something does not hold.
    fn finding(&mut self, finding: &Finding) {
        let _ = finding;
    }

    /// The storm is over.
    fn calm(&mut self, at: u64) {
        let _ = at;
    }

    /// The run is over.
    ///
    /// # Errors
    /// What was met in writing down what was seen.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All who look. A copy of a world is looked at by nobody.
#[derive(Debug, Default)]
pub struct Watchers(Vec<Box<dyn Watch>>);

impl Clone for Watchers {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Watchers {
    /// One more looks.
    pub fn add(&mut self, watch: Box<dyn Watch>) {
        self.0.push(watch);
    }

    /// Whether anybody looks.
    #[inline]
    #[must_use]
    pub const fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Shows all of them something.
    #[inline]
    pub fn each(&mut self, mut show: impl FnMut(&mut dyn Watch)) {
        for watch in &mut self.0 {
            show(watch.as_mut());
        }
    }

    /// The run is over.
    ///
    /// # Errors
    /// The first that anybody met.
    pub fn finish(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|watch| watch.finish())
    }
}
