//! One node and everything around it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use http::Method;
use peerage_core::commons::address::HostAddr;
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::config::{Config, Identity};
use peerage_core::http::Site;
use peerage_core::http::throttle::{ADDRESSES_MAX, Rates, Throttle};
use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::rows::Record as _;
use peerage_core::time::{Instant, Now, WallTime};
use peerage_core::verify::{self, VerifyJob};
use peerage_core::{
    CallError, Event, Input, Node, Outbox, Output, PeerCert, RequestId, Row, Secret, Seed, VerifyId,
};

use crate::client::Client;
use crate::commands::START;
use crate::disk::{Disk, print_row};
use crate::message::{self, ParsedAnswer, ParsedRequest};
use crate::peer::{Heard, Peer, Sent};
use crate::steps::{self, Outcome};

/// A node on a table.
pub struct Bench {
    node: Node,
    site: Site,
    seed: Seed,
    runs: u64,
    now: Now,
    throttle: Throttle,
    disk: Disk,
    checks: VecDeque<(VerifyId, VerifyJob)>,
    checks_wait: bool,
    peers: BTreeMap<HostAddr, Peer>,
    others: Option<Peer>,
    /// Calls that nobody has answered.
    open: Vec<Sent>,
    calls: Vec<Sent>,
    requests: u64,
    asked: BTreeMap<Ticket, (Method, Client)>,
    answers: BTreeMap<Ticket, String>,
    events: Vec<Event>,
    story: String,
}

/// A request that was put to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

impl Bench {
    /// A node of network `development` without peers, at 1,700,000,000 s since the epoch. It holds
    /// no sessions, so that only what a test sends makes it act.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// As [`Self::new`], with other settings.
    #[must_use]
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Self::config(1);
        change(&mut config);
        Self::of(config, Seed([7; 32]))
    }

    /// As [`Self::with`], of a node that finds these rows.
    ///
    /// # Panics
    /// If the rows do not make a node.
    #[must_use]
    pub fn with_rows(change: impl FnOnce(&mut Config), rows: &[Row]) -> Self {
        let mut config = Self::config(1);
        change(&mut config);
        Self::found(config, Seed([7; 32]), rows)
    }

    /// The settings of node number `n`: its identity and its address, `10.0.0.n:1789`.
    ///
    /// # Panics
    /// Never: the parts are well-formed.
    #[must_use]
    pub fn config(n: u8) -> Config {
        let identity = Identity {
            fingerprint: Fingerprint([n; 32]),
            public_key: PublicKey([n; 32]),
            secret: [n; 32],
        };
        let address = format!("10.0.0.{n}:1789").parse().expect("an address");
        let mut config = Config::new(ChainwebVersion::Development, identity, address);
        config.sessions.cut_max = 0;
        config.sessions.mempool_max = 0;
        config.grin.links_max = 0;
        config
    }

    /// A node with these settings and this seed, fresh and started.
    #[must_use]
    pub fn of(config: Config, seed: Seed) -> Self {
        Self::found(config, seed, &[])
    }

    fn found(config: Config, seed: Seed, rows: &[Row]) -> Self {
        let now = Now {
            mono: Instant::ZERO,
            wall: WallTime::from_secs(START.unsigned_abs()),
        };
        let site = Site::new(&config);
        let disk = Disk::of(rows);
        let node =
            Node::restore(config, seed, now, disk.rows()).unwrap_or_else(|error| panic!("{error}"));
        let mut bench = Self {
            node,
            site,
            seed,
            runs: 1,
            now,
            throttle: Throttle::new(Rates::default(), ADDRESSES_MAX),
            disk,
            checks: VecDeque::new(),
            checks_wait: false,
            peers: BTreeMap::new(),
            others: Some(Peer::refuses()),
            open: Vec::new(),
            calls: Vec::new(),
            requests: 0,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            story: String::new(),
        };
        bench.settle();
        bench
    }

    // --- Asking ---

    /// Sends a literal request as an operator and gives the literal answer.
    ///
    /// # Panics
    /// If the answer does not come by itself; then [`Self::ask`].
    pub fn send(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send_as(&Client::operator(), request)
    }

    /// As [`Self::send`], by somebody else.
    ///
    /// # Panics
    /// If the answer does not come by itself; then [`Self::ask_as`].
    pub fn send_as(&mut self, client: &Client, request: impl AsRef<[u8]>) -> String {
        let ticket = self.ask_as(client, request);
        self.answer(ticket)
            .expect("the node waits for something: ask, make it happen, then look for the answer")
    }

    /// Sends a request and takes the answer apart.
    ///
    /// # Panics
    /// As [`Self::send`].
    pub fn fetch(&mut self, request: impl AsRef<[u8]>) -> ParsedAnswer {
        ParsedAnswer::read(self.send(request).as_bytes()).expect("answers are HTTP")
    }

    /// A request with a JSON body, as an operator.
    ///
    /// # Panics
    /// As [`Self::send`].
    pub fn fetch_json(&mut self, method: &str, target: &str, body: &str) -> ParsedAnswer {
        self.fetch(json_request(method, target, body))
    }

    /// Sends a request that may take a while.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Ticket {
        self.ask_as(&Client::operator(), request)
    }

    /// As [`Self::ask`], by somebody else.
    ///
    /// The steps are a driver's: the ban list, the throttle, the head, the body's size, the body,
    /// the node.
    pub fn ask_as(&mut self, client: &Client, request: impl AsRef<[u8]>) -> Ticket {
        self.requests += 1;
        let ticket = Ticket(self.requests);
        let request = ParsedRequest::read(request.as_ref());
        self.tell_request(&request);
        self.asked
            .insert(ticket, (request.method.clone(), client.clone()));
        let authorization = request.headers.get("authorization");
        let authorization = authorization
            .and_then(|value| value.to_str().ok())
            .map(|text| Secret(text.to_owned()));
        let (node, throttle) = (&self.node, &mut self.throttle);
        match steps::decide(node, throttle, self.now, client, request) {
            Err(outcome) => self.reply(ticket, outcome),
            Ok(request) => {
                let id = RequestId(ticket.0);
                let mut from = client.0.clone();
                from.authorization = from.authorization.or(authorization);
                self.feed(Input::Request { id, from, request });
            }
        }
        ticket
    }

    /// The answer to a request, once; `None` if there is none yet.
    pub fn answer(&mut self, ticket: Ticket) -> Option<String> {
        self.answers.remove(&ticket)
    }

    /// Whoever asked goes away.
    pub fn hang_up(&mut self, ticket: Ticket) {
        if self.asked.remove(&ticket).is_some() {
            self.feed(Input::Hangup {
                id: RequestId(ticket.0),
            });
        }
    }

    // --- The world around ---

    /// Puts a peer at `addr`, in place of whoever was there. Where no peer was put, nobody listens.
    ///
    /// # Panics
    /// If `addr` is not `host:port`.
    pub fn peer(&mut self, addr: &str, peer: Peer) {
        self.peers.insert(addr.parse().expect("host:port"), peer);
    }

    /// Puts `peer` wherever no other was put.
    pub fn everyone_else(&mut self, peer: Peer) {
        self.others = Some(peer);
    }

    /// Calls to addresses without a peer stay open, for [`Self::take_calls`].
    pub(crate) fn leave_calls_open(&mut self) {
        self.others = None;
    }

    /// Takes the open calls away, to be answered with [`Self::give`].
    pub(crate) fn take_calls(&mut self) -> Vec<Sent> {
        core::mem::take(&mut self.open)
    }

    /// Ends a call that nobody has answered.
    pub fn give(&mut self, call: &Sent, result: Result<(&str, Option<PeerCert>), CallError>) {
        self.open.retain(|open| open.id != call.id);
        let result = result.and_then(|(text, cert)| call.understand(text, cert));
        self.feed(Input::Reply {
            id: call.id,
            result,
        });
    }

    /// Every call so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> &[Sent] {
        &self.calls
    }

    /// From now on, what is to be durable waits.
    pub const fn disk_is_slow(&mut self) {
        self.disk.slow = true;
    }

    /// Everything that waits for the disk is written, and the disk is fast again.
    pub fn disk_catches_up(&mut self) {
        self.disk.slow = false;
        self.feed_all(VecDeque::new());
    }

    /// Writes one commit that waits; tells whether there was one.
    pub fn disk_writes_one(&mut self) -> bool {
        let written = self.disk.write();
        if let Some(upto) = written {
            self.feed(Input::Persisted { upto });
        }
        written.is_some()
    }

    /// From now on, signature checks wait.
    pub const fn checks_are_slow(&mut self) {
        self.checks_wait = true;
    }

    /// All waiting signature checks are done, and later ones at once.
    pub fn checks_catch_up(&mut self) {
        self.checks_wait = false;
        self.feed_all(VecDeque::new());
    }

    // --- Time ---

    /// Both clocks move on; whatever falls due happens at its moment.
    pub fn advance(&mut self, by: Duration) {
        self.note_advance(by);
        self.pass(by);
    }

    pub(crate) fn note_advance(&mut self, by: Duration) {
        self.story += &format!("--- {by:?} later ---\n\n");
    }

    pub(crate) fn pass(&mut self, by: Duration) {
        let target = self.now.mono + by;
        while let Some(due) = self.node.poll_timeout().filter(|due| *due <= target) {
            self.move_clocks(due);
            self.settle();
        }
        self.move_clocks(target);
    }

    /// The operator sets the wall clock; the other one goes on as before.
    pub fn set_wall(&mut self, wall: WallTime) {
        self.story += &format!("--- the clock is set to {} s ---\n\n", wall.as_secs());
        self.now.wall = wall;
        self.settle();
    }

    /// Both clocks.
    #[must_use]
    pub const fn now(&self) -> Now {
        self.now
    }

    // --- Restarts ---

    /// The process dies and starts again: what was not durable is gone, who waited is cut off.
    ///
    /// # Panics
    /// If the rows do not make a node, or are not what the node said is durable.
    pub fn restart(&mut self) {
        let config = self.node.config().as_ref().clone();
        self.restart_with(config);
    }

    /// As [`Self::restart`], with other settings.
    ///
    /// # Panics
    /// As [`Self::restart`].
    pub fn restart_with(&mut self, config: Config) {
        self.check_disk();
        self.story += "--- restart ---\n\n";
        self.runs += 1;
        self.disk.waiting.clear();
        self.checks.clear();
        self.open.clear();
        self.asked.clear();
        self.answers.clear();
        self.throttle = Throttle::new(Rates::default(), ADDRESSES_MAX);
        self.site = Site::new(&config);
        // Every start of a process draws a seed of its own.
        let seed = self.seed.derive(&format!("run {}", self.runs));
        self.node = Node::restore(config, seed, self.now, self.disk.rows())
            .unwrap_or_else(|error| panic!("{error}"));
        self.settle();
    }

    /// The node takes no new requests.
    pub fn drain(&mut self) {
        self.feed(Input::Drain);
    }

    // --- Looking ---

    /// The node itself.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// What of the settings the codec needs.
    #[must_use]
    pub const fn site(&self) -> Site {
        self.site
    }

    /// The certificate of the node.
    #[must_use]
    pub fn cert(&self) -> PeerCert {
        let identity = &self.node.config().identity;
        PeerCert {
            fingerprint: identity.fingerprint,
            key: Some(identity.public_key),
        }
    }

    /// What happened so far, by name.
    pub fn event_names(&self) -> impl Iterator<Item = &'static str> {
        self.events.iter().map(Event::name)
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Requests (`>`), calls (`=`), writes (`#`) and answers (`<`) since the start or the last time,
    /// in the order in which they happened.
    pub fn story(&mut self) -> String {
        core::mem::take(&mut self.story)
    }

    /// The value of a gauge.
    ///
    /// # Panics
    /// If there is none of that name.
    #[must_use]
    pub fn gauge(&self, name: &str) -> u64 {
        let mut found = None;
        self.node.gauges(&mut |gauge, value| {
            if gauge == name {
                found = Some(value);
            }
        });
        found.unwrap_or_else(|| panic!("no gauge {name}"))
    }

    // --- The driver ---

    fn feed(&mut self, input: Input) {
        self.feed_all(VecDeque::from([input]));
    }

    /// Feeds inputs, carries out what comes of them, and lets time's due work happen.
    fn feed_all(&mut self, mut inputs: VecDeque<Input>) {
        let mut outbox = Outbox::new();
        for _ in 0..ROUNDS_MAX {
            if let Some(input) = inputs.pop_front().or_else(|| self.effect()) {
                self.node.handle(self.now, input, &mut outbox);
                let outputs: Vec<Output> = outbox.drain().collect();
                for output in outputs {
                    inputs.extend(self.carry_out(output));
                }
            } else if self
                .node
                .poll_timeout()
                .is_some_and(|due| due <= self.now.mono)
            {
                inputs.push_back(Input::Tick);
            } else {
                return;
            }
        }
        panic!("the node never comes to rest");
    }

    /// Lets due work happen.
    fn settle(&mut self) {
        self.feed_all(VecDeque::new());
    }

    /// The next thing that a disk or a checker that is not slow has done.
    fn effect(&mut self) -> Option<Input> {
        if !self.disk.slow
            && let Some(upto) = self.disk.write()
        {
            return Some(Input::Persisted { upto });
        }
        if self.checks_wait {
            return None;
        }
        let (id, job) = self.checks.pop_front()?;
        let verdict = verify::check(&[job]).pop()?;
        Some(Input::Verdict { id, verdict })
    }

    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Abandon { id } => self.open.retain(|open| open.id != id),
            Output::Call { id, to, request } => {
                let sent = Sent::new(&self.site, id, to, request);
                return self.call(sent);
            }
            Output::Commit { seq, rows } => {
                for row in rows.iter().filter(|row| !row.lazy()) {
                    self.story += &format!("# {}\n\n", print_row(row));
                }
                self.disk.waiting.push_back((seq, rows));
            }
            Output::Event(event) => self.events.push(event),
            // A disk of rows takes no more room than they.
            Output::Reclaim => {}
            Output::Respond { id, response } => {
                self.reply(Ticket(id.0), Outcome::Dressed(response.encode()));
            }
            Output::Verify { id, job } => self.checks.push_back((id, job)),
        }
        None
    }

    fn call(&mut self, sent: Sent) -> Option<Input> {
        self.story += &format!("= to {}: {}\n", sent.to.addr, sent.manner());
        self.tell("= ", &sent.text);
        self.calls.push(sent.clone());
        let peer = match self.peers.get_mut(&sent.to.addr) {
            Some(peer) => Some(peer),
            None => self.others.as_mut(),
        };
        let result = match peer.map_or(Heard::Nothing, |peer| peer.hear(&sent)) {
            Heard::Nothing => {
                self.open.push(sent);
                return None;
            }
            Heard::Failed(error) => {
                self.tell("= ", &format!("failed: {error:?}\n"));
                Err(error)
            }
            Heard::Answered(text, cert) => {
                self.tell("= ", &text);
                sent.understand(&text, cert)
            }
        };
        let id = sent.id;
        Some(Input::Reply { id, result })
    }

    fn reply(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some((method, client)) = self.asked.remove(&ticket) else {
            return;
        };
        let text = outcome.print(&method, &client, self.now.wall);
        self.tell("< ", &text);
        self.answers.insert(ticket, text);
    }

    fn move_clocks(&mut self, mono: Instant) {
        self.now.wall = self.now.wall + mono.since(self.now.mono);
        self.now.mono = self.now.mono.max(mono);
    }

    fn tell_request(&mut self, request: &ParsedRequest) {
        let query = request
            .query
            .as_ref()
            .map_or_else(String::new, |query| format!("?{query}"));
        let first = format!("{} {}{query} HTTP/1.1", request.method, request.path);
        let text = message::print(&first, &request.headers, &request.body);
        self.tell("> ", &text);
    }

    fn tell(&mut self, mark: &str, text: &str) {
        for line in text.trim_end().lines() {
            self.story += format!("{mark}{}", abridged(line)).trim_end();
            self.story.push('\n');
        }
        self.story.push('\n');
    }

    /// The disk must hold what the node says is durable.
    fn check_disk(&self) {
        if self.node.commits_in_flight() == 0 {
            self.disk.compare(&self.node.export());
        }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check_disk();
        }
    }
}

/// A literal request with a JSON body.
fn json_request(method: &str, target: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}")
}

/// A line that is too long to be looked at, cut in the middle.
fn abridged(line: &str) -> String {
    if line.len() <= LINE_MAX || !line.is_ascii() {
        return line.to_owned();
    }
    let (head, tail) = (&line[..LINE_MAX / 2], &line[line.len() - 100..]);
    format!(
        "{head} … {} bytes … {tail}",
        line.len() - head.len() - tail.len()
    )
}

const LINE_MAX: usize = 1_000;
const ROUNDS_MAX: usize = 1_000_000;
