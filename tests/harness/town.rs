//! Several nodes that call each other, with literal HTTP in between and no time lost on the way.

use std::time::Duration;

use peerage_core::{CallError, Trust};

use crate::bench::{Bench, Ticket};
use crate::client::Client;
use crate::peer::Sent;

/// Benches wired together: a call to the address of one of them arrives there, under the caller's
/// certificate. All clocks go together.
pub struct Town {
    benches: Vec<Bench>,
    down: Vec<bool>,
    pending: Vec<Pending>,
}

/// A call that its receiver has not answered yet.
struct Pending {
    from: usize,
    to: usize,
    call: Sent,
    ticket: Ticket,
}

impl Town {
    /// Wires benches that have not been used yet.
    #[must_use]
    pub fn new(mut benches: Vec<Bench>) -> Self {
        for bench in &mut benches {
            bench.leave_calls_open();
        }
        Self {
            down: vec![false; benches.len()],
            benches,
            pending: Vec::new(),
        }
    }

    /// One of the benches. What is done to it alone spreads with [`Self::settle`].
    pub fn bench(&mut self, index: usize) -> &mut Bench {
        &mut self.benches[index]
    }

    /// Calls to the bench are refused until it is taken up again.
    pub fn take_down(&mut self, index: usize) {
        self.down[index] = true;
    }

    /// The bench can be called again.
    pub fn take_up(&mut self, index: usize) {
        self.down[index] = false;
    }

    /// The process of a bench dies and starts again; calls that it was answering break.
    pub fn restart(&mut self, index: usize) {
        self.benches[index].restart();
        let (broken, kept): (Vec<_>, Vec<_>) = core::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.to == index);
        self.pending = kept;
        self.pending.retain(|pending| pending.from != index);
        for pending in broken {
            self.benches[pending.from].give(&pending.call, Err(CallError::Unreachable));
        }
        self.settle();
    }

    /// Delivers calls and answers until nobody has anything to say at this moment.
    ///
    /// # Panics
    /// If they never stop.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut moved = self.bring_answers();
            for from in 0..self.benches.len() {
                for call in self.benches[from].take_calls() {
                    moved = true;
                    self.deliver(from, call);
                }
            }
            if !moved {
                return;
            }
        }
        panic!("the town never comes to rest");
    }

    /// All clocks move on together; whatever falls due anywhere happens at its moment.
    pub fn advance(&mut self, by: Duration) {
        self.settle();
        let Some(first) = self.benches.first() else {
            return;
        };
        let target = first.now().mono + by;
        for bench in &mut self.benches {
            bench.note_advance(by);
        }
        loop {
            let now = self.benches[0].now().mono;
            let due = self
                .benches
                .iter()
                .filter_map(|bench| bench.node().poll_timeout())
                .min();
            let next = due.map_or(target, |due| due.max(now).min(target));
            let step = next.since(now);
            for bench in &mut self.benches {
                bench.pass(step);
            }
            self.settle();
            if next == target {
                return;
            }
        }
    }

    fn bring_answers(&mut self) -> bool {
        let mut moved = false;
        for pending in core::mem::take(&mut self.pending) {
            match self.benches[pending.to].answer(pending.ticket) {
                None => self.pending.push(pending),
                Some(text) => {
                    moved = true;
                    let cert = self.benches[pending.to].cert();
                    self.benches[pending.from].give(&pending.call, Ok((&text, Some(cert))));
                }
            }
        }
        moved
    }

    fn deliver(&mut self, from: usize, call: Sent) {
        let at = self
            .benches
            .iter()
            .position(|bench| bench.node().config().address == call.to.addr);
        let Some(to) = at.filter(|to| !self.down[*to]) else {
            return self.benches[from].give(&call, Err(CallError::Refused));
        };
        let shown = self.benches[to].cert();
        if matches!(call.to.trust, Trust::Pinned(id) if id != shown.fingerprint) {
            return self.benches[from].give(&call, Err(CallError::IdentityMismatch));
        }
        let caller = &self.benches[from];
        let addr = format!("{}:50000", caller.node().config().address.host);
        let cert = caller.cert();
        let client = Client::node(&addr, cert.fingerprint, cert.key);
        let ticket = self.benches[to].ask_as(&client, &call.text);
        self.pending.push(Pending {
            from,
            to,
            call,
            ticket,
        });
    }
}

const ROUNDS_MAX: usize = 100_000;
