//! A world: nodes, what lies between them, and who acts on them.
//!
//! The world carries out what nodes want and tells them what came of it, always by way of the
//! schedule. It holds no opinion on what is said; what must hold is for the oracles to say.

use peerage_core::commons::network::{ChainwebVersion, NodeVersion};
use peerage_core::http::Site;
use peerage_core::verify::Verdict;
use peerage_core::{
    Answer, CallError, CallId, CommitSeq, Config, Endpoint, Input, Listener, Node, Outbox, Output,
    Part, Request, RequestId, Response, Row, Trust, VerifyId, VersionHeader,
};

use crate::disk::{Disk, DiskFault};
use crate::engine::{Engine, Machine};
use crate::exchange::{Exchange, Exchanges, Place, Ticket};
use crate::host::Host;
use crate::nemesis::{self, Fault, What};
use crate::network::{Cargo, Network};
use crate::options::{Options, Sabotage, Wire};
use crate::oracle::{Findings, Oracle};
use crate::roster::Roster;
use crate::schedule::Key;
use crate::seed::{Luck, Seeds};
use crate::trace::{Log, Tally, fold_input, fold_output};
use crate::verify::Memo;
use crate::wire;
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
    /// Something goes wrong, or right again.
    Fault(u32),
    /// Whoever is asked notices that the caller has gone.
    Hangup(Ticket),
    /// A user has waited long enough.
    Impatient(Ticket),
    /// A node starts for the first time.
    Start,
    /// A user acts.
    User,
    /// A check is done; the verdict waits in a slot. The second is the run of the node.
    Verdict(u32, u32),
    /// A node may want to be woken.
    Wake,
    /// A write of a disk is done, in this run of its node.
    Written(u32),
}

const _: () = assert!(size_of::<Event>() <= 12, "events are copied and sorted");

/// Nodes, what lies between them, and who acts on them.
#[derive(Debug)]
pub struct World {
    pub(crate) options: Options,
    pub(crate) seeds: Seeds,
    pub(crate) roster: Roster,
    pub(crate) hosts: Vec<Host>,
    pub(crate) exchanges: Exchanges,
    pub(crate) network: Network,
    pub(crate) memo: Memo,
    pub(crate) findings: Findings,
    pub(crate) faults: Vec<Fault>,
    pub(crate) log: Log,
    /// Questions of nodes and users, by what is asked.
    pub(crate) messages: Tally,
    /// Events that nodes told of.
    pub(crate) told: Tally,
    pub(crate) failures: Tally,
    pub(crate) faults_done: Tally,
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

/// The pause between two looks of the oracles.
const AUDIT_EVERY: u64 = 1_000_000;
/// Nodes per look.
const AUDIT_NODES: u32 = 8;
/// A call may outlive its deadline by the granularity of clocks, no more.
const DEADLINE_SLACK: u64 = 1_000;
/// How long a node may take to look at the hints that it was started with.
const RELOAD_TIME: u64 = 2_000_000;
/// The longest that a node may owe an answer while it runs.
const ANSWER_MAX: u64 = 60_000_000;

impl World {
    /// The world of a run, and the engine that drives it.
    #[must_use]
    pub fn new(options: Options, log: Log) -> (Self, Engine<Event>) {
        let seeds = Seeds::new(options.seed);
        let (nodes, users) = (options.nodes, options.work.users);
        let roster = Roster::new(seeds, nodes);
        let mut luck = seeds.family("world").luck(0);
        let disks = seeds.family("disks");
        let fault = match options.sabotage {
            Some(Sabotage::DiskEarly) => Some(DiskFault::Early),
            Some(Sabotage::DiskHoards) => Some(DiskFault::Hoards),
            _ => None,
        };
        let mut faults = nemesis::draw(&seeds, &options);
        faults.extend_from_slice(&options.more_faults);
        nemesis::sort(&mut faults);
        let crashes = faults
            .iter()
            .any(|fault| matches!(fault.what, What::Crash { .. }));
        // Audited nodes are spread evenly.
        let stride = nodes.div_ceil(options.audited.max(1));
        let hosts: Vec<Host> = (0..nodes)
            .map(|node| {
                let audited = options.audited > 0 && node % stride == 0;
                let disk = Disk::new(
                    disks.luck(node.into()),
                    options.wire,
                    audited || crashes,
                    fault,
                );
                let skew = luck.below(2 * options.skew + 1) as i64 - options.skew as i64;
                Host::new(disk, skew, audited)
            })
            .collect();
        let mut engine = Engine::new((nodes + users + 1) as usize);
        let starts = seeds.family("starts");
        for node in 0..nodes {
            let at = starts.luck(node.into()).below(1_000_000);
            engine.at(at, node, node, Event::Start);
        }
        let world = nodes + users;
        for (index, fault) in faults.iter().enumerate() {
            engine.at(fault.at, world, world, Event::Fault(index as u32));
        }
        engine.at(AUDIT_EVERY, world, world, Event::Audit);
        for user in 0..users {
            engine.at(1_500_000, nodes + user, nodes + user, Event::User);
        }
        let world = Self {
            workload: Workload::new(&seeds, &options),
            network: Network::new(options.links.clone(), nodes, users, seeds.family("network")),
            site: Site {
                network: ChainwebVersion::Development,
                chains: options.chains,
            },
            version: NodeVersion::new(&[2, 32, 0]),
            seeds,
            roster,
            hosts,
            exchanges: Exchanges::default(),
            memo: Memo::default(),
            findings: Findings::default(),
            faults,
            log,
            messages: Tally::default(),
            told: Tally::default(),
            failures: Tally::default(),
            faults_done: Tally::default(),
            stormy: true,
            current: None,
            verdicts: Vec::new(),
            verdicts_free: Vec::new(),
            outbox: Outbox::new(),
            luck,
            audit_next: 0,
            options,
        };
        (world, engine)
    }

    /// The settings of a node.
    fn config(&self, node: u32) -> Config {
        let options = &self.options;
        let identity = self.roster.identity(node);
        let mut config = Config::new(ChainwebVersion::Development, identity, Roster::addr(node));
        config.chains = options.chains;
        config.ban_window = options.ban_window;
        config.sessions = options.sessions.clone();
        config.limits = options.limits.clone();
        // The one before in a ring, so that all are connected, and a few at random.
        let mut luck = self.seeds.family("topology").luck(node.into());
        let mut known = vec![(node + options.nodes - 1) % options.nodes];
        for _ in 1..options.known_peers {
            known.push(luck.below(options.nodes.into()) as u32);
        }
        known.sort_unstable();
        known.dedup();
        known.retain(|other| *other != node);
        config.known_peers = known
            .into_iter()
            .map(|other| {
                let mut info = self.roster.info(other);
                // Some operators give no identity; it is filled in at first contact.
                info.id = info.id.filter(|_| !luck.chance(100_000));
                info
            })
            .collect();
        config
    }

    /// Starts a node with what its disk holds.
    fn start(&mut self, engine: &mut Engine<Event>, node: u32) {
        if self.hosts[node as usize].node.is_some() {
            return;
        }
        let at = engine.now();
        let config = self.config(node);
        let host = &mut self.hosts[node as usize];
        host.run += 1;
        host.started = at;
        host.promises.restart();
        host.verify_free = at;
        host.wake = u64::MAX;
        host.draining = false;
        let seed = self.seeds.node(node, host.run);
        let restored = host
            .disk
            .read()
            .map_err(|error| error.to_string())
            .and_then(|rows| {
                let now = host.now(at);
                Node::restore(config, seed, now, rows).map_err(|error| error.to_string())
            });
        match restored {
            Ok(restored) => {
                host.node = Some(Box::new(restored));
                self.audit_export(at, node, false);
                self.wake(engine, node);
            }
            Err(error) => self.findings.miss(at, Some(node), Oracle::Export, error),
        }
    }

    /// Stops a node in the middle of whatever it does.
    fn crash(&mut self, engine: &mut Engine<Event>, node: u32, silent: bool) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        if host.node.take().is_none() {
            return;
        }
        host.wake = u64::MAX;
        if let Err(error) = host.disk.crash() {
            self.findings.miss(at, Some(node), Oracle::Wire, error);
        }
        for ticket in host.take_calls() {
            self.give_up(engine, ticket, !silent);
        }
        // In an order that does not depend on where exchanges lie.
        let mut owed: Vec<(u32, u64, u64, Ticket)> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.callee == node && exchange.place == Place::Asked)
            .map(|(ticket, exchange)| {
                let call = exchange.call.map_or(0, CallId::as_u64);
                (exchange.caller, exchange.sent, call, ticket)
            })
            .collect();
        owed.sort_unstable();
        for (caller, _, _, ticket) in owed {
            if let Some(exchange) = self.exchanges.get_mut(ticket) {
                exchange.place = Place::Gone;
                if exchange.given_up {
                    self.exchanges.close(ticket);
                } else if !silent || caller >= self.options.nodes {
                    self.fail(engine, ticket, CallError::Unreachable);
                }
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

    /// Gives a node an input and carries out what it wants. `from` is who asks, for requests.
    fn feed(&mut self, engine: &mut Engine<Event>, node: u32, from: u32, input: Input) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        let now = host.now(at);
        let Some(machine) = host.node.as_mut() else {
            return;
        };
        fold_input(&mut host.fold, at, from, &input);
        if self.log.on() {
            self.log.begin(at, node, from, &input);
        }
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
            if self.log.on() {
                self.log.output(&output);
            }
            self.carry_out(engine, node, output, released);
        }
        self.outbox = outbox;
        if self.log.on() {
            self.log.end();
        }
        if let Some((id, scope)) = request
            && let Some(exchange) = self.exchanges.get_mut(Ticket::of_request(id))
        {
            exchange.need = self.hosts[node as usize].promises.need(scope);
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
                    self.check_deadline(engine.now(), ticket);
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
            Output::Respond { id, response } => {
                self.respond(engine, node, id, response, released);
            }
            Output::Verify { id, job } => {
                let (verdict, cost) = self.memo.check(&job);
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

    fn commit(&mut self, engine: &mut Engine<Event>, node: u32, seq: CommitSeq, rows: Vec<Row>) {
        let host = &mut self.hosts[node as usize];
        self.findings.looked(Oracle::Commits);
        let seen = match self.options.sabotage {
            Some(Sabotage::CommitsLost) if seq.0 == 3 => 4,
            _ => seq.0,
        };
        if let Err(expected) = host.promises.commit(seen, &rows, host.audited) {
            let text = format!("commit {seen} came instead of {expected}");
            self.findings
                .miss(engine.now(), Some(node), Oracle::Commits, text);
        }
        if let Some(time) = host.disk.commit(&self.options.disk, seq.0, rows) {
            engine.after(time, node, node, Event::Written(host.run));
        }
    }

    fn written(&mut self, engine: &mut Engine<Event>, node: u32, run: u32) {
        let host = &mut self.hosts[node as usize];
        if host.run != run || host.node.is_none() {
            return;
        }
        match host.disk.written(&self.options.disk) {
            Ok((upto, again)) => {
                if let Some(time) = again {
                    engine.after(time, node, node, Event::Written(run));
                }
                if let Some(upto) = upto {
                    host.promises.persisted(upto);
                    let input = Input::Persisted {
                        upto: CommitSeq(upto),
                    };
                    self.feed(engine, node, node, input);
                }
            }
            Err(error) => self
                .findings
                .miss(engine.now(), Some(node), Oracle::Wire, error),
        }
    }

    /// A node asks another.
    fn call(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        id: CallId,
        to: &Endpoint,
        request: Request,
    ) {
        self.messages.count(request.name());
        let now = engine.now();
        let callee = self.roster.find(&to.addr);
        let keeps = self.options.wire == Wire::Bytes
            || callee.is_some_and(|callee| self.hosts[callee as usize].audited);
        let ticket = self.exchanges.open(Exchange {
            caller: node,
            caller_run: self.hosts[node as usize].run,
            callee: callee.unwrap_or(u32::MAX),
            call: Some(id),
            trust: to.trust,
            part: to.part,
            listener: Listener::P2p,
            request: Some(request),
            keeps,
            response: None,
            place: Place::Travelling,
            given_up: false,
            sent: now,
            arrives: now,
            need: 0,
        });
        self.hosts[node as usize].note_call(id, ticket);
        match callee {
            Some(callee) => self.send(engine, ticket, node, callee),
            None => self.fail(engine, ticket, CallError::Unreachable),
        }
    }

    /// Puts a question on its way.
    fn send(&mut self, engine: &mut Engine<Event>, ticket: Ticket, from: u32, to: u32) {
        let time = self.network.cross(from, to, Cargo::Request);
        let lost = time.is_none() || self.network.blocked(from, to);
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        match time {
            Some(time) if !lost => {
                exchange.arrives = engine.now() + time;
                engine.at(exchange.arrives, from, to, Event::Arrive(ticket));
            }
            _ => exchange.place = Place::Gone,
        }
    }

    fn arrive(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (caller, callee) = (exchange.caller, exchange.callee);
        let hermit = self.options.sabotage == Some(Sabotage::Hermit) && callee == 1;
        if self.network.blocked(caller, callee) || hermit {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            return;
        }
        if self.hosts[callee as usize].node.is_none() {
            return self.fail(engine, ticket, CallError::Refused);
        }
        let trusted = match exchange.trust {
            Trust::Anyone => true,
            // Nobody here has a certificate of a public authority.
            Trust::Authorities => false,
            Trust::Pinned(pin) => pin == self.roster.cert(callee).fingerprint,
        };
        if !trusted {
            return self.fail(engine, ticket, CallError::IdentityMismatch);
        }
        exchange.place = Place::Asked;
        let request = if exchange.keeps {
            exchange.request.clone()
        } else {
            exchange.request.take()
        };
        let Some(mut request) = request else { return };
        let listener = exchange.listener;
        if self.options.wire == Wire::Bytes {
            self.findings.looked(Oracle::Wire);
            let garbled = self.options.sabotage == Some(Sabotage::WireGarbled);
            match wire::carry_request(&self.site, listener, &request, garbled) {
                Ok(carried) => request = carried,
                Err(error) => {
                    self.findings
                        .miss(engine.now(), Some(callee), Oracle::Wire, error);
                }
            }
        }
        let from = match caller.checked_sub(self.options.nodes) {
            None => self.roster.caller(caller),
            Some(user) => Roster::user(user, listener),
        };
        let input = Input::Request {
            id: ticket.request(),
            from,
            request,
        };
        self.feed(engine, callee, caller, input);
    }

    /// A node answers.
    fn respond(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        id: RequestId,
        response: Response,
        released: bool,
    ) {
        let ticket = Ticket::of_request(id);
        let now = engine.now();
        self.findings.looked(Oracle::Answers);
        let owed = self
            .exchanges
            .get_mut(ticket)
            .filter(|exchange| exchange.callee == node && exchange.place == Place::Asked);
        let Some(exchange) = owed else {
            let text = format!("nobody waits for {response:?} to {id:?}");
            return self.findings.miss(now, Some(node), Oracle::Answers, text);
        };
        if self.options.sabotage == Some(Sabotage::AnswersEaten) && self.luck.chance(20_000) {
            return;
        }
        let host = &self.hosts[node as usize];
        let refused = matches!(response, Response::Refused(_));
        if let (Some(request), false) = (&exchange.request, refused) {
            self.findings.looked(Oracle::Durable);
            // What left at once must wait for everything; what was held, for what came before it.
            let need = if released {
                exchange.need
            } else {
                host.promises.need(request.scope())
            };
            if !host.promises.covers(need) {
                let text = format!("{} is answered before commit {need}", request.name());
                self.findings.miss(now, Some(node), Oracle::Durable, text);
            }
            if host.audited {
                for key in crate::oracle::durable::shown(request, &response) {
                    if !host.disk.holds(&key) && !host.promises.deleted(&key) {
                        let key = String::from_utf8_lossy(&key);
                        let text = format!("{} shows {key:?}, not durable", request.name());
                        self.findings.miss(now, Some(node), Oracle::Durable, text);
                    }
                }
            }
        }
        // Only heads cross where only heads are wanted; a refusal is nobody's typed answer.
        let mut response = if exchange.part == Part::Head || refused {
            Response::Opaque(response.status())
        } else {
            response
        };
        if let (Wire::Bytes, Some(request)) = (self.options.wire, &exchange.request) {
            self.findings.looked(Oracle::Wire);
            match wire::carry_response(request, &response) {
                Ok(carried) => response = carried,
                Err(error) => self.findings.miss(now, Some(node), Oracle::Wire, error),
            }
        }
        exchange.response = Some(response);
        let caller = exchange.caller;
        let time = self.network.cross(node, caller, Cargo::Answer);
        let lost = self.network.blocked(node, caller);
        match time {
            Some(time) if !lost => {
                exchange.place = Place::Returning;
                engine.after(time, node, caller, Event::Answer(ticket));
            }
            _ => {
                exchange.place = Place::Gone;
                if exchange.given_up {
                    self.exchanges.close(ticket);
                }
            }
        }
    }

    fn answer(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        if self.network.blocked(exchange.callee, exchange.caller) {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            return;
        }
        let cert = self.roster.cert(exchange.callee);
        let response = exchange.response.take().unwrap_or(Response::Opaque(500));
        let version = VersionHeader::Declared(self.version.clone());
        self.reply(
            engine,
            ticket,
            Ok(Answer {
                response,
                version,
                cert: Some(cert),
            }),
        );
    }

    /// Tells whoever asked what came of it.
    fn reply(
        &mut self,
        engine: &mut Engine<Event>,
        ticket: Ticket,
        result: Result<Answer, CallError>,
    ) {
        let Some(exchange) = self.exchanges.close(ticket) else {
            return;
        };
        if let Err(error) = &result {
            self.failures.count(failure(*error));
        }
        let Some(id) = exchange.call else { return };
        if self.hosts[exchange.caller as usize].run != exchange.caller_run {
            return;
        }
        if exchange.given_up {
            if !self.network.delivers_late(exchange.caller) {
                return;
            }
        } else {
            self.hosts[exchange.caller as usize].take_call(id);
        }
        let input = Input::Reply { id, result };
        self.feed(engine, exchange.caller, exchange.callee, input);
    }

    /// Sends the news back that there will be no answer.
    fn fail(&mut self, engine: &mut Engine<Event>, ticket: Ticket, error: CallError) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        exchange.place = Place::Returning;
        let caller = exchange.caller;
        // A host that does not exist is found out at the caller's own side.
        let from = if exchange.callee == u32::MAX {
            caller
        } else {
            exchange.callee
        };
        let time = self.network.cross(from, caller, Cargo::Signal).unwrap_or(0);
        engine.after(time, from, caller, Event::Fail(ticket, error));
    }

    fn failed(&mut self, engine: &mut Engine<Event>, ticket: Ticket, error: CallError) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (callee, caller) = (exchange.callee, exchange.caller);
        if callee != u32::MAX && self.network.blocked(callee, caller) {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            return;
        }
        self.reply(engine, ticket, Err(error));
    }

    /// The caller does not wait any longer. If `told`, the connection is seen to break.
    fn give_up(&mut self, engine: &mut Engine<Event>, ticket: Ticket, told: bool) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        exchange.given_up = true;
        let (caller, callee) = (exchange.caller, exchange.callee);
        match exchange.place {
            Place::Gone => {
                self.exchanges.close(ticket);
            }
            Place::Returning => {}
            Place::Asked | Place::Travelling => {
                if told && self.network.notices_hangup(caller) {
                    let time = self
                        .network
                        .cross(caller, callee, Cargo::Signal)
                        .unwrap_or(0);
                    // A connection's end never overtakes what was sent on it.
                    let at = (engine.now() + time).max(exchange.arrives + 1);
                    engine.at(at, caller, callee, Event::Hangup(ticket));
                }
            }
        }
    }

    fn hangup(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        if exchange.place == Place::Asked && !self.network.blocked(exchange.caller, exchange.callee)
        {
            let callee = exchange.callee;
            self.exchanges.close(ticket);
            self.feed(
                engine,
                callee,
                callee,
                Input::Hangup {
                    id: ticket.request(),
                },
            );
        }
    }

    fn act(&mut self, engine: &mut Engine<Event>, party: u32) {
        if !self.stormy {
            return;
        }
        let user = party - self.options.nodes;
        let now = engine.now();
        let wall = self.hosts[0].now(now.max(self.hosts[0].started)).wall;
        let action = self.workload.act(user, &self.roster, wall.as_secs());
        self.messages.count(action.request.name());
        let ticket = self.exchanges.open(Exchange {
            caller: party,
            caller_run: 0,
            callee: action.node,
            call: None,
            trust: Trust::Anyone,
            part: Part::Body,
            listener: action.listener,
            request: Some(action.request),
            keeps: true,
            response: None,
            place: Place::Travelling,
            given_up: false,
            sent: now,
            arrives: now,
            need: 0,
        });
        self.send(engine, ticket, party, action.node);
        engine.after(action.patience, party, party, Event::Impatient(ticket));
        let pause = self.workload.pause(user);
        engine.after(pause, party, party, Event::User);
    }

    fn suffer(&mut self, engine: &mut Engine<Event>, fault: Fault) {
        self.log.note(engine.now(), &fault);
        self.faults_done.count(match fault.what {
            What::Crash { .. } => "crash",
            What::Cut(_) => "cut",
            What::Heal(_) => "heal",
            What::Drain(_) => "drain",
            What::Start(_) => "start",
        });
        match fault.what {
            What::Crash { node, silent } => self.crash(engine, node, silent),
            What::Cut(cut) => self.network.cut(cut),
            What::Heal(id) => self.network.heal(id),
            What::Drain(node) => {
                self.hosts[node as usize].draining = true;
                self.feed(engine, node, node, Input::Drain);
            }
            What::Start(node) => self.start(engine, node),
        }
    }

    /// Faults and users stop; every node is up again.
    pub(crate) fn calm(&mut self, engine: &mut Engine<Event>) {
        self.stormy = false;
        self.network.calm();
        for node in 0..self.options.nodes {
            // A node that was asked to stop stops, at last.
            if self.hosts[node as usize].draining {
                self.crash(engine, node, false);
            }
            self.start(engine, node);
        }
    }

    /// Whether the node's state is what its disk holds, if nothing is on its way there.
    pub(crate) fn audit_export(&mut self, at: u64, node: u32, hints: bool) {
        let host = &self.hosts[node as usize];
        let Some(machine) = &host.node else { return };
        if !host.disk.keeps() || !host.disk.idle() || machine.commits_in_flight() > 0 {
            return;
        }
        // Hints that wait to be written, and what was read back and is being checked again.
        let mut waiting = 0;
        machine.gauges(&mut |name, value| {
            if matches!(name, "hints_waiting" | "verifications_in_flight") {
                waiting += value;
            }
        });
        let hints = hints && waiting == 0 && at - host.started > RELOAD_TIME;
        self.findings.looked(Oracle::Export);
        let result = host
            .disk
            .read()
            .map_err(|error| error.to_string())
            .and_then(|rows| crate::oracle::durable::compare(machine.export(), rows, hints));
        if let Err(error) = result {
            self.findings.miss(at, Some(node), Oracle::Export, error);
        }
    }

    /// Looks at a node's tables.
    pub(crate) fn audit_bounds(&mut self, at: u64, node: u32) {
        let Some(machine) = &self.hosts[node as usize].node else {
            return;
        };
        let part = if self.options.sabotage == Some(Sabotage::TinyBounds) {
            100
        } else {
            1
        };
        self.findings.looked(Oracle::Bounds);
        let findings = &mut self.findings;
        crate::oracle::bounds(machine, part, |text| {
            findings.miss(at, Some(node), Oracle::Bounds, text);
        });
    }

    /// Looks at everything that waits for something.
    pub(crate) fn audit_waiting(&mut self, at: u64) {
        let longest = self.longest_call();
        self.findings.looked(Oracle::Deadlines);
        let mut late = Vec::new();
        for (_, exchange) in self.exchanges.iter() {
            let by_node = exchange.call.is_some() && !exchange.given_up;
            if by_node && at.saturating_sub(exchange.sent) > longest {
                late.push((exchange.sent, exchange.caller, Oracle::Deadlines));
            }
            if exchange.place == Place::Asked && at.saturating_sub(exchange.arrives) > ANSWER_MAX {
                late.push((exchange.arrives, exchange.callee, Oracle::Answers));
            }
        }
        late.sort_unstable();
        for (since, node, oracle) in late {
            let text = format!("something waits since {since} µs");
            self.findings.miss(at, Some(node), oracle, text);
        }
    }

    fn audit(&mut self, engine: &mut Engine<Event>) {
        let at = engine.now();
        for _ in 0..AUDIT_NODES.min(self.options.nodes) {
            let node = self.audit_next;
            self.audit_next = (node + 1) % self.options.nodes;
            self.audit_bounds(at, node);
            if self.hosts[node as usize].audited {
                self.audit_export(at, node, true);
            }
        }
        self.audit_waiting(at);
        let world = self.options.nodes + self.options.work.users;
        engine.after(AUDIT_EVERY, world, world, Event::Audit);
        if self.options.sabotage == Some(Sabotage::Panic) && at > 5_000_000 {
            self.current = Some(0);
            panic!("a panic on purpose");
        }
    }

    /// An answer or a call that left at once must wait for everything that it may tell of.
    fn check_need(&mut self, at: u64, node: u32, request: &Request) {
        self.findings.looked(Oracle::Durable);
        let promises = &self.hosts[node as usize].promises;
        let need = promises.need(request.scope());
        if !promises.covers(need) {
            let text = format!("{} is asked before commit {need}", request.name());
            self.findings.miss(at, Some(node), Oracle::Durable, text);
        }
    }

    fn longest_call(&self) -> u64 {
        let sessions = &self.options.sessions;
        let longest = sessions.request_timeout.max(sessions.probe_timeout);
        peerage_core::time::micros(longest) + DEADLINE_SLACK
    }

    fn check_deadline(&mut self, at: u64, ticket: Ticket) {
        let longest = self.longest_call();
        self.findings.looked(Oracle::Deadlines);
        if let Some(exchange) = self.exchanges.get_mut(ticket)
            && at - exchange.sent > longest
        {
            let (node, since) = (exchange.caller, exchange.sent);
            let text = format!("a call of {since} µs was given up only now");
            self.findings.miss(at, Some(node), Oracle::Deadlines, text);
        }
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
                    self.suffer(engine, self.faults[index as usize]);
                }
            }
            Event::Hangup(ticket) => self.hangup(engine, ticket),
            Event::Impatient(ticket) => self.give_up(engine, ticket, true),
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

const fn failure(error: CallError) -> &'static str {
    match error {
        CallError::Busy => "busy",
        CallError::IdentityMismatch => "identity mismatch",
        CallError::Malformed => "malformed",
        CallError::Refused => "refused",
        CallError::Timeout => "timeout",
        CallError::TooLarge => "too large",
        CallError::Unreachable => "unreachable",
    }
}
