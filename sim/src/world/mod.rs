//! A world: nodes, what lies between them, and who acts on them.
//!
//! The world carries out what nodes want and tells them what came of it, always by way of the
//! schedule: messages in `deliver`, disks and crashes in `lives`. It holds no opinion on what is
//! said; what must hold is for the oracles to say, and when they look is decided in `judge`.

mod build;
mod deliver;
mod grin;
mod judge;
mod lies;
mod lives;
mod scripts;
mod suffer;

use peerage_core::commons::network::NodeVersion;
use peerage_core::http::Site;
use peerage_core::verify::Verdict;
use peerage_core::work::Done;
use peerage_core::{CallError, Input, Outbox, Output, VerifyId};

use self::grin::Mint;
use crate::engine::{Engine, Machine};
use crate::exchange::{Exchanges, Place, Ticket};
use crate::group::Group;
use crate::host::Host;
use crate::nemesis::Fault;
use crate::network::Network;
use crate::options::{Options, Sabotage};
use crate::oracle::{Findings, Oracle};
use crate::roster::Roster;
use crate::scenario::Answered;
use crate::schedule::Key;
use crate::seed::{Luck, Seeds};
use crate::trace::{Tally, fold_input, fold_output};
use crate::verify::Memo;
use crate::watch::Watchers;
use crate::workload::Workload;

/// Everything that can happen in a world.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// An answer reaches whoever asked.
    Answer(Ticket),
    /// Oracles look at a few nodes.
    Audit,
    /// A question reaches whoever is asked.
    Arrive(Ticket),
    /// The news that there is no answer reaches whoever asked.
    Fail(Ticket, CallError),
    /// A fault begins.
    Fault(u32),
    /// A fault ends, or comes to its second part.
    FaultEnds(u32),
    /// Whoever is asked notices that the caller has gone.
    Hangup(Ticket),
    /// A user has waited long enough.
    Impatient(Ticket),
    /// A busy node is free again.
    Ready,
    /// A connection breaks.
    Reset(Ticket),
    /// A scripted request is sent.
    Scripted(u32),
    /// A node starts for the first time.
    Start,
    /// Somebody pays, or reads the chain.
    Pay,
    /// A user acts.
    User,
    /// A check is done; the verdict waits in a slot. The second is the run of the node.
    Verdict(u32, u32),
    /// A liar acts.
    Lie,
    /// A liar answers.
    Lied(Ticket),
    /// A node may want to be woken.
    Wake,
    /// A write of a disk is done, in this run of its node.
    Written(u32),
}

const _: () = assert!(size_of::<Event>() <= 12, "events are copied and sorted");

/// Nodes, what lies between them, and who acts on them.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) options: Options,
    pub(crate) seeds: Seeds,
    pub(crate) roster: Roster,
    pub(crate) hosts: Vec<Host>,
    pub(crate) exchanges: Exchanges,
    pub(crate) network: Network,
    pub(crate) memo: Memo,
    /// The Mimblewimble network, if there is one.
    pub(crate) mint: Option<Box<Mint>>,
    pub(crate) findings: Findings,
    pub(crate) faults: Vec<Fault>,
    /// Who must become well in the end.
    pub(crate) core: Group,
    pub(crate) watchers: Watchers,
    /// Questions of nodes and users, by what is asked.
    pub(crate) messages: Tally,
    /// Events that nodes told of.
    pub(crate) told: Tally,
    pub(crate) failures: Tally,
    pub(crate) faults_done: Tally,
    /// What became of scripted requests.
    pub(crate) answers: Vec<Option<Answered>>,
    /// Whether users act and things go wrong.
    pub(crate) stormy: bool,
    /// The node that handles something just now.
    pub(crate) current: Option<u32>,
    workload: Workload,
    verdicts: Vec<Option<(VerifyId, Verdict)>>,
    verdicts_free: Vec<u32>,
    outbox: Outbox,
    site: Site,
    version: NodeVersion,
    luck: Luck,
    audit_next: u32,
}

impl World {
    /// The party that causes faults and looks; the one before it sends scripted requests.
    const fn party(&self) -> u32 {
        self.options.nodes + self.options.work.users + 1
    }

    /// What did not hold so far.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// How often each user has acted, and the parties after them.
    #[must_use]
    pub fn acted(&self) -> Vec<u32> {
        let mut acted = self.workload.all_acted().to_vec();
        // The parties that send scripts and cause faults come before the one that pays.
        acted.extend([0, 0]);
        acted.extend(self.mint.as_ref().map(|mint| mint.acted()));
        acted
    }

    /// Shows whoever looks what did not hold since they were told last.
    pub(crate) fn show_findings(&mut self) {
        let Self {
            watchers, findings, ..
        } = self;
        if watchers.any() {
            for finding in findings.untold() {
                watchers.each(|watch| watch.finding(finding));
            }
        }
    }

    /// Makes sure that the node is woken when it wants to be.
    fn wake(&mut self, engine: &mut Engine<Event>, node: u32) {
        let host = &mut self.hosts[node as usize];
        if let Some(due) = host.due() {
            let due = due.max(engine.now());
            // A later wake-up that stands is left alone; it finds out when it fires.
            if due < host.wake {
                host.wake = due;
                engine.at(due, node, node, Event::Wake);
            }
        }
    }

    fn woken(&mut self, engine: &mut Engine<Event>, node: u32) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        if host.wake != at {
            return;
        }
        host.wake = u64::MAX;
        match host.due() {
            Some(due) if due <= at => self.feed(engine, node, node, Input::Tick),
            Some(_) => self.wake(engine, node),
            None => {}
        }
    }

    /// Gives a node an input, or has it wait if the node is held up. `from` is who asks, for
    /// requests.
    fn feed(&mut self, engine: &mut Engine<Event>, node: u32, from: u32, input: Input) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        if host.node.is_none() {
            return;
        }
        if host.occupied(at) {
            host.backlog.push_back((from, input));
        } else {
            self.handle(engine, node, from, input);
        }
    }

    /// A node that was held up goes on with what has waited.
    fn ready(&mut self, engine: &mut Engine<Event>, node: u32) {
        let at = engine.now();
        loop {
            let host = &mut self.hosts[node as usize];
            if host.plight.paused || at < host.busy_until {
                return;
            }
            let Some((from, input)) = host.backlog.pop_front() else {
                host.prompt_since = host.prompt_since.max(at);
                return;
            };
            self.handle(engine, node, from, input);
        }
    }

    /// Gives a node an input and carries out what it wants.
    fn handle(&mut self, engine: &mut Engine<Event>, node: u32, from: u32, input: Input) {
        let at = engine.now();
        // The node learns only now that a caller has gone.
        if let Input::Hangup { id } = input {
            let ticket = Ticket::of_request(id);
            match self.exchanges.get_mut(ticket) {
                Some(exchange) if exchange.place == Place::Asked => {
                    self.exchanges.close(ticket);
                }
                // It answered before.
                Some(_) | None => return,
            }
        }
        let host = &mut self.hosts[node as usize];
        let now = host.now(at);
        if host.node.is_none() {
            return;
        }
        fold_input(&mut host.fold, at, from, &input);
        if self.watchers.any() {
            self.watchers
                .each(|watch| watch.input(at, node, from, &input));
        }
        if let Some(models) = &mut host.models
            && let Err(text) = models.input(now, &input)
        {
            self.findings.miss(at, Some(node), Oracle::Model, text);
        }
        if self.mint.is_some() {
            self.mint_input(now, node, &input);
        }
        let Some(machine) = self.hosts[node as usize].node.as_mut() else {
            return;
        };
        let request = match &input {
            Input::Request { id, request, .. } => Some((*id, request.scope())),
            Input::Hangup { .. }
            | Input::Reply { .. }
            | Input::Verdict { .. }
            | Input::Persisted { .. }
            | Input::Tick
            | Input::Drain => None,
        };
        let released = matches!(input, Input::Persisted { .. });
        let mut outbox = std::mem::take(&mut self.outbox);
        self.current = Some(node);
        machine.handle(now, input, &mut outbox);
        self.current = None;
        for output in outbox.drain() {
            fold_output(&mut self.hosts[node as usize].fold, &output);
            if self.watchers.any() {
                self.watchers.each(|watch| watch.output(at, node, &output));
            }
            self.check_model(now, at, node, &output);
            if self.mint.is_some() {
                self.mint_output(at, node, &output);
            }
            self.carry_out(engine, node, output, released);
        }
        self.outbox = outbox;
        if self.mint.is_some() {
            self.mint_done(now, node);
        }
        if self.watchers.any() {
            self.watchers.each(|watch| watch.done(at, node));
        }
        if let Some((id, scope)) = request
            && let Some(exchange) = self.exchanges.get_mut(Ticket::of_request(id))
        {
            exchange.need = self.hosts[node as usize].promises.need(scope);
        }
        let host = &mut self.hosts[node as usize];
        if host.plight.slow > 0 {
            host.busy_until = at + host.plight.slow;
            engine.at(host.busy_until, node, node, Event::Ready);
        }
        self.wake(engine, node);
    }

    /// Does what a node wants. `released` tells that the gate may have held it for a while.
    fn carry_out(&mut self, engine: &mut Engine<Event>, node: u32, output: Output, released: bool) {
        match output {
            Output::Abandon { id } => {
                if self.options.sabotage == Some(Sabotage::DeafToAbandon) {
                    return;
                }
                if let Some(ticket) = self.hosts[node as usize].take_call(id) {
                    self.check_deadline(engine.now(), node, ticket);
                    self.give_up(engine, ticket, true);
                }
            }
            Output::Call { id, to, request } => {
                if !released {
                    self.check_need(engine.now(), node, &request);
                }
                self.call(engine, node, id, &to, request);
            }
            Output::Commit { seq, rows } => self.commit(engine, node, seq, rows),
            Output::Event(event) => self.told.count(event.name()),
            // The simulated disk holds no more than its rows.
            Output::Reclaim => {}
            Output::Respond { id, response } => {
                self.respond(engine, node, id, response, released);
            }
            Output::Verify { id, job } => {
                let (mut verdict, cost) = self.memo.check(&job);
                if self.options.sabotage == Some(Sabotage::ChecksBlind) {
                    verdict = blind(verdict);
                }
                let host = &mut self.hosts[node as usize];
                host.verify_free = host.verify_free.max(engine.now()) + cost;
                let (at, run) = (host.verify_free, host.run);
                let slot = self.verdicts_free.pop().unwrap_or_else(|| {
                    self.verdicts.push(None);
                    self.verdicts.len() as u32 - 1
                });
                self.verdicts[slot as usize] = Some((id, verdict));
                engine.at(at, node, node, Event::Verdict(slot, run));
            }
        }
    }
}

/// Says of whatever is checked of Mimblewimble that it is right, so that an oracle can be seen to notice.
fn blind(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Mimblewimble(Done::Checked(verdicts)) => {
            let all: Vec<_> = verdicts.iter().map(|_| Ok(())).collect();
            Verdict::Mimblewimble(Done::Checked(all.into()))
        }
        Verdict::Command(_)
        | Verdict::Envelope(_)
        | Verdict::Mimblewimble(_)
        | Verdict::Signatures(_) => verdict,
    }
}

impl Machine for World {
    type Event = Event;

    #[inline]
    fn event(&mut self, engine: &mut Engine<Event>, key: Key, what: Event) {
        match what {
            Event::Answer(ticket) => self.answer(engine, ticket),
            Event::Audit => self.audit(engine),
            Event::Arrive(ticket) => self.arrive(engine, ticket),
            Event::Fail(ticket, error) => self.failed(engine, ticket, error),
            Event::Fault(index) => {
                if self.stormy {
                    self.suffer(engine, index);
                }
            }
            Event::FaultEnds(index) => {
                if self.stormy {
                    self.recover(engine, index);
                }
            }
            Event::Hangup(ticket) => self.hangup(engine, ticket),
            Event::Impatient(ticket) => self.give_up(engine, ticket, true),
            Event::Lie => self.lie(engine, key.to),
            Event::Lied(ticket) => self.lied(engine, ticket),
            Event::Pay => self.pay(engine),
            Event::Ready => self.ready(engine, key.to),
            Event::Reset(ticket) => self.reset(engine, ticket),
            Event::Scripted(number) => self.scripted(engine, number),
            Event::Start => self.start(engine, key.to),
            Event::User => self.act(engine, key.to),
            Event::Verdict(slot, run) => {
                let verdict = self.verdicts[slot as usize].take();
                self.verdicts_free.push(slot);
                if let Some((id, verdict)) = verdict
                    && self.hosts[key.to as usize].run == run
                {
                    self.feed(engine, key.to, key.to, Input::Verdict { id, verdict });
                }
            }
            Event::Wake => self.woken(engine, key.to),
            Event::Written(run) => self.written(engine, key.to, run),
        }
    }
}
