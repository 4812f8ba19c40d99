//! The node: a value that turns inputs into outputs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use peerage_mw::Chain;

use crate::calls::Calls;
use crate::commons::bans::Bans;
use crate::commons::met::Met;
use crate::commons::peers::Peers;
use crate::commons::sessions::Sessions;
use crate::commons::{Commons, Row as CommonsRow};
use crate::config::Config;
use crate::cx::Shared;
use crate::event::NodeEvent;
use crate::gate::{CommitSeq, Gate};
use crate::input::{Answer, CallError, CallId, Caller, Input, Listener, RequestId};
use crate::limits::{HELD_BYTES_MAX, HINT_DELAY, TICK_DEADLINES_MAX};
use crate::lookup::Lookup;
use crate::outbox::Outbox;
use crate::output::Output;
use crate::rng::{Seed, Stream};
use crate::rooms::{Refused, Request, Response, Rooms, Row, Scope};
use crate::rows::{Journal, RowError};
use crate::time::{Instant, Now};
use crate::timers::{Due, Timers};
use crate::verify::Jobs;

/// One node. Feed it inputs with [`Self::handle`], carry out what it puts into the outbox, and wake
/// it when [`Self::poll_timeout`] says so.
#[derive(Clone, Debug)]
pub struct Node {
    shared: Shared,
    rooms: Rooms,
    owed: Lookup<RequestId, ()>,
    draining: bool,
    /// The earliest deadline, as of the end of the last input.
    wake: Option<Instant>,
}

/// Why durable rows do not make a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A row's fields contradict each other.
    #[error("a stored {what} cannot be read: {text}")]
    Damaged {
        /// What kind of record.
        what: &'static str,
        /// What it said.
        text: String,
    },
    /// The stored blocks and transactions are of another Mimblewimble chain than the node is told to
    /// run.
    #[error(
        "the stored blocks are of the chain {}, and the node is told to run {}: name that chain, or \
         another data directory",
        stored.name(),
        told.name()
    )]
    OtherChain {
        /// Whose they are.
        stored: Chain,
        /// What the settings say.
        told: Chain,
    },
    /// The bytes are not a row.
    #[error(transparent)]
    Row(#[from] RowError),
}

/// How a caller stands with the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Refused on the P2P listener.
    Banned,
    /// A peer we know by its certificate: not throttled.
    Known,
    /// Anybody else.
    Stranger,
}

impl Node {
    /// Rebuilds a node from the rows that were durable when it stopped; none for a new one.
    ///
    /// # Errors
    /// [`RestoreError`] if a row is damaged. The node must not run then: what it once promised
    /// is not there.
    pub fn restore(
        config: Config,
        seed: Seed,
        now: Now,
        rows: Vec<Row>,
    ) -> Result<Self, RestoreError> {
        let mut rng = seed.stream("node");
        let mut rooms = Rooms::new(&config, &seed);
        let mut commons = Commons {
            peers: Peers::default(),
            bans: Bans::default(),
            met: Met::default(),
            sessions: Sessions::default(),
        };
        // Peers first: other rows refer to them.
        let (first, then): (Vec<Row>, Vec<Row>) = rows
            .into_iter()
            .partition(|row| matches!(row, Row::Commons(CommonsRow::Peer(..))));
        for row in first.into_iter().chain(then) {
            if let Row::Commons(row) = row {
                restore_commons(&mut commons, &mut rng, row)?;
            } else {
                rooms.restore(now, row)?;
            }
        }
        commons.judge_peers(now.wall);
        let mut timers = Timers::default();
        timers.arm(Due::Start, now.mono);
        let owed = Lookup::new(rng.bits());
        let shared = Shared {
            config: Arc::new(config),
            commons,
            journal: Journal::default(),
            gate: Gate::default(),
            calls: Calls::default(),
            timers,
            jobs: Jobs::default(),
            staged: Vec::new(),
            paced: BTreeMap::new(),
            stillborn: VecDeque::new(),
            notices: VecDeque::new(),
        };
        Ok(Self {
            wake: shared.timers.earliest(),
            shared,
            rooms,
            owed,
            draining: false,
        })
    }

    /// Feeds one input; whatever the node wants done is appended to `out`.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.shared.sweep_bans(now);
        match input {
            Input::Request { id, from, request } => self.request(now, id, &from, request, out),
            Input::Hangup { id } => {
                self.owed.remove(&id);
            }
            Input::Reply { id, result } => self.reply(now, id, result, out),
            Input::Verdict { id, verdict } => {
                for (_, then) in self.shared.jobs.close(id) {
                    self.rooms
                        .verdict(now, &mut self.shared, then, verdict.clone());
                }
            }
            Input::Persisted { upto } => self.persisted(now, upto, out),
            Input::Tick => self.tick(now),
            Input::Drain => {
                self.draining = true;
                self.shared.journal.flush();
            }
        }
        self.settle(now, out);
        self.wake = self.shared.timers.earliest();
    }

    /// When the next [`Input::Tick`] is due. O(1), and changes only inside [`Self::handle`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.wake
    }

    /// All durable state as rows: what the disk must hold once every commit is durable.
    #[must_use]
    pub fn export(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (key, ban) in self.shared.commons.bans.iter() {
            rows.push(CommonsRow::Ban(key.clone(), Some(ban.clone())).into());
        }
        self.shared.commons.peers.export(&mut rows);
        self.rooms.export(&mut rows);
        rows
    }

    /// The settings the node runs with.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.shared.config
    }

    /// What the node's rooms share, to be looked at.
    #[must_use]
    pub const fn commons(&self) -> &Commons {
        &self.shared.commons
    }

    #[cfg(test)]
    pub(crate) const fn peers_mut(&mut self) -> &mut Peers {
        &mut self.shared.commons.peers
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Requests that were taken and not yet answered.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Commits that were issued and are not yet durable.
    #[must_use]
    pub const fn commits_in_flight(&self) -> u64 {
        self.shared.gate.in_flight()
    }

    /// How a caller stands with the node. Drivers ask before they decode.
    #[must_use]
    pub fn standing(&self, now: Now, caller: &Caller) -> Standing {
        if self.is_banned(now, caller) {
            return Standing::Banned;
        }
        let known = caller.cert.is_some_and(|cert| {
            self.shared
                .commons
                .peers
                .knows_fingerprint(&cert.fingerprint)
        });
        if known {
            Standing::Known
        } else {
            Standing::Stranger
        }
    }

    /// The sizes of all tables and queues, by metric name.
    pub fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        gauge("bans", self.shared.commons.bans.len() as u64);
        gauge("calls_in_flight", self.shared.calls.len() as u64);
        gauge("calls_paced", self.shared.paced.len() as u64);
        gauge("commits_in_flight", self.shared.gate.in_flight());
        gauge("deadlines", self.shared.timers.len() as u64);
        gauge("hints_waiting", self.shared.journal.hints() as u64);
        gauge("outputs_held", self.shared.gate.held() as u64);
        gauge("peers", self.shared.commons.peers.len() as u64);
        gauge("requests_owed", self.owed.len() as u64);
        gauge("sessions", self.shared.commons.sessions.len() as u64);
        gauge("verifications_in_flight", self.shared.jobs.len() as u64);
        self.rooms.gauges(gauge);
    }

    fn request(
        &mut self,
        now: Now,
        id: RequestId,
        from: &Caller,
        request: Request,
        out: &mut Outbox,
    ) {
        let refused = self.refuses(now, from);
        let event = match refused {
            Some(Refused::Banned) => Some(NodeEvent::BannedCallerRefused),
            Some(Refused::Busy | Refused::Draining) => Some(NodeEvent::RequestRefused),
            None => None,
        };
        out.extend(event.map(|event| Output::Event(event.into())));
        if let Some(refused @ (Refused::Busy | Refused::Draining)) = refused {
            // Nothing is kept for it, and nothing durable is revealed by it.
            let response = Response::Refused(refused);
            return out.push(Output::Respond { id, response });
        }
        let reused = self.owed.insert(id, ()).is_some();
        assert!(!reused, "request {id:?} was given twice");
        match refused {
            Some(refused) => {
                let response = Response::Refused(refused);
                let output = Output::Respond { id, response };
                self.shared.staged.push((Scope::Commons, output));
            }
            None => self.rooms.request(now, &mut self.shared, id, from, request),
        }
    }

    /// Why the node as a whole does not take a request.
    fn refuses(&self, now: Now, from: &Caller) -> Option<Refused> {
        let limits = &self.shared.config.limits;
        let gate = &self.shared.gate;
        // Whoever hangs up is owed nothing, and what waits for the disk waits all the same.
        if self.owed.len() >= limits.requests_max
            || gate.held() >= limits.requests_max + limits.calls_max
            || gate.in_flight() >= limits.commits_max
            || gate.held_bytes() >= HELD_BYTES_MAX
        {
            Some(Refused::Busy)
        } else if self.is_banned(now, from) {
            Some(Refused::Banned)
        } else if self.draining {
            Some(Refused::Draining)
        } else {
            None
        }
    }

    /// Only callers on the P2P listener are refused, never operators.
    fn is_banned(&self, now: Now, from: &Caller) -> bool {
        if from.listener == Listener::Api || self.shared.commons.bans.is_empty() {
            return false;
        }
        from.cert
            .is_some_and(|cert| self.shared.commons.is_banned_cert(now.wall, &cert))
            || self.shared.commons.is_banned_caller(now.wall, from.addr)
    }

    fn reply(&mut self, now: Now, id: CallId, result: Result<Answer, CallError>, out: &mut Outbox) {
        let Some(call) = self.shared.calls.close(now.mono, id) else {
            return out.push(Output::Event(NodeEvent::LateReplyIgnored.into()));
        };
        self.shared.timers.disarm(Due::Call(id));
        if let Err(error) = result {
            let to = call.to.addr.clone();
            out.push(Output::Event(NodeEvent::CallFailed { to, error }.into()));
        }
        self.rooms.reply(now, &mut self.shared, call.then, result);
    }

    fn persisted(&mut self, now: Now, upto: CommitSeq, out: &mut Outbox) {
        let mut released = Vec::new();
        self.shared
            .gate
            .persisted(upto, |output| released.push(output));
        for output in released {
            if let Output::Call { id, to, .. } = &output
                && self.shared.is_banned_endpoint(now, to)
            {
                self.drop_call(now, *id);
                continue;
            }
            self.release(now, output, out);
        }
    }

    /// Looks at deadlines that have come. What does not fit one tick stays due.
    fn tick(&mut self, now: Now) {
        for _ in 0..TICK_DEADLINES_MAX {
            let Some(due) = self.shared.timers.pop(now.mono) else {
                return;
            };
            match due {
                Due::Call(id) => self.expire_call(now, id),
                Due::FlushHints => self.shared.journal.flush(),
                Due::Pace => self.release_paced(now),
                Due::Room(timer) => self.rooms.timer(now, &mut self.shared, timer),
                Due::Start => self.start(now),
                Due::SweepBans => self.shared.arm_ban_sweep(now),
            }
        }
    }

    /// Ends a call that nobody was asked yet, because its peer was banned while it waited.
    fn drop_call(&mut self, now: Now, id: CallId) {
        if let Some(call) = self.shared.calls.close(now.mono, id) {
            let failed = (call.scope, call.then, CallError::Refused);
            self.shared.stillborn.push_back(failed);
        }
    }

    fn start(&mut self, now: Now) {
        let commons = &mut self.shared.commons;
        // The wall clock may have been set back since the rows were read.
        commons.judge_peers(now.wall);
        let event = NodeEvent::Started {
            peers: commons.peers.len(),
            bans: commons.bans.len(),
        };
        self.shared
            .staged
            .push((Scope::Commons, Output::Event(event.into())));
        self.shared.arm_ban_sweep(now);
        self.rooms.start(now, &mut self.shared);
    }

    fn expire_call(&mut self, now: Now, id: CallId) {
        let Some(call) = self.shared.calls.close(now.mono, id) else {
            return;
        };
        let event = NodeEvent::CallFailed {
            to: call.to.addr.clone(),
            error: CallError::Timeout,
        };
        self.shared
            .staged
            .push((call.scope, Output::Event(event.into())));
        self.shared
            .staged
            .push((call.scope, Output::Abandon { id }));
        self.rooms
            .reply(now, &mut self.shared, call.then, Err(CallError::Timeout));
    }

    fn release_paced(&mut self, now: Now) {
        while let Some(entry) = self.shared.paced.first_entry() {
            let (at, id) = *entry.key();
            if at > now.mono {
                self.shared.timers.arm(Due::Pace, at);
                return;
            }
            let request = entry.remove();
            let Some(call) = self.shared.calls.get(id) else {
                continue;
            };
            let (scope, to) = (call.scope, call.to.clone());
            if self.shared.is_banned_endpoint(now, &to) {
                self.drop_call(now, id);
            } else {
                let output = Output::Call { id, to, request };
                self.shared.staged.push((scope, output));
            }
        }
    }

    /// Ends an input: notices are heard, rows become a commit, and the gate sees the outputs.
    fn settle(&mut self, now: Now, out: &mut Outbox) {
        loop {
            if let Some((_, then, error)) = self.shared.stillborn.pop_front() {
                self.rooms.reply(now, &mut self.shared, then, Err(error));
            } else if let Some(notice) = self.shared.notices.pop_front() {
                self.rooms.notice(now, &mut self.shared, &notice);
            } else {
                break;
            }
        }
        if let Some((rows, touched)) = self.shared.journal.take() {
            let seq = self.shared.gate.commit(touched);
            out.push(Output::Commit { seq, rows });
            self.shared.timers.disarm(Due::FlushHints);
        } else if self.shared.journal.hints() > 0 && !self.shared.timers.armed(Due::FlushHints) {
            let at = now.mono + HINT_DELAY;
            self.shared.timers.arm(Due::FlushHints, at);
        }
        let mut staged = std::mem::take(&mut self.shared.staged);
        for (scope, output) in staged.drain(..) {
            let gated = matches!(output, Output::Respond { .. } | Output::Call { .. });
            if !gated {
                out.push(output);
            } else if let Some(output) = self.shared.gate.pass(scope, output) {
                self.release(now, output, out);
            }
        }
        self.shared.staged = staged;
    }

    /// Lets an output go: an answer if it is still owed, a call if somebody still waits for it.
    fn release(&mut self, now: Now, output: Output, out: &mut Outbox) {
        match &output {
            Output::Respond { id, .. } => {
                if self.owed.remove(id).is_none() {
                    return;
                }
            }
            Output::Call { id, .. } => {
                let Some(call) = self.shared.calls.get(*id) else {
                    return;
                };
                let deadline = now.mono + call.timeout;
                self.shared.timers.arm(Due::Call(*id), deadline);
            }
            Output::Abandon { .. }
            | Output::Commit { .. }
            | Output::Event(_)
            | Output::Reclaim
            | Output::Verify { .. } => {}
        }
        out.push(output);
    }
}

fn restore_commons(
    commons: &mut Commons,
    rng: &mut Stream,
    row: CommonsRow,
) -> Result<(), RestoreError> {
    match row {
        CommonsRow::Ban(key, Some(ban)) => commons.bans.set(key, ban),
        CommonsRow::Liveness(addr, Some(liveness)) => {
            commons.peers.restore_liveness(&addr, &liveness);
        }
        CommonsRow::Peer(addr, Some(record)) => {
            if !commons.peers.restore(addr, &record, rng.bits()) {
                return Err(RestoreError::Damaged {
                    what: "peer",
                    text: record.address,
                });
            }
        }
        CommonsRow::Ban(_, None) | CommonsRow::Liveness(_, None) | CommonsRow::Peer(_, None) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
