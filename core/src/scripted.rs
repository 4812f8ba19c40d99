//! Scripted nodes for tests: one on a table, or several wired together in virtual time.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};

use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::{ChainwebVersion, NetworkId};
use crate::config::{Config, Identity};
use crate::http::page::PageQuery;
use crate::ids::{Fingerprint, PublicKey};
use crate::rooms::chainweb_mempool::command::Command;
use crate::rooms::chainweb_mempool::sign::Draft;
use crate::rooms::chainweb_mempool::{self as mempool, ChainId};
use crate::rooms::{bans, chainweb_peers as peers};
use crate::rows::Record;
use crate::time::{Duration, Instant, Now, WallTime};
use crate::{
    Answer, CallError, CallId, Caller, CommitSeq, Endpoint, Input, Listener, Node, Outbox, Output,
    Part, PeerCert, Request, RequestId, Response, Row, Seed, Trust, VersionHeader, verify,
};

/// The wall clock when a script starts, in seconds.
pub(crate) const EPOCH: u64 = 1_700_000_000;

/// The certificate of the `n`-th node.
pub(crate) fn cert(n: u8) -> PeerCert {
    PeerCert {
        fingerprint: Fingerprint([n; 32]),
        key: Some(PublicKey::of_secret(&[n; 32])),
    }
}

/// The address of the `n`-th node.
pub(crate) fn addr(n: u8) -> HostAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, n), 1789)).into()
}

/// What the `n`-th node says of itself.
pub(crate) fn info(n: u8) -> PeerInfo {
    PeerInfo::new(Some(cert(n).fingerprint), addr(n))
}

/// The `n`-th node as a caller on the P2P listener.
pub(crate) fn peer_caller(n: u8) -> Caller {
    Caller {
        addr: SocketAddr::from((Ipv4Addr::new(10, 0, 0, n), 40_000)),
        listener: Listener::P2p,
        authorization: None,
        cert: Some(cert(n)),
    }
}

/// An operator.
pub(crate) fn operator() -> Caller {
    Caller {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)),
        listener: Listener::Api,
        authorization: None,
        cert: None,
    }
}

/// The settings of the `n`-th node: one chain of the development network.
pub(crate) fn config(n: u8) -> Config {
    let identity = Identity {
        fingerprint: cert(n).fingerprint,
        public_key: PublicKey::of_secret(&[n; 32]),
        secret: [n; 32],
    };
    let mut config = Config::new(ChainwebVersion::Development, identity, addr(n));
    config.chains = 1;
    config.sessions.greeting_delay = Duration::ZERO;
    // Tests of other rooms count calls.
    config.grin.links_max = 0;
    config.sessions.browse_interval = Duration::from_secs(86_400);
    config
}

pub(crate) fn put_peer(network: NetworkId, peer: PeerInfo) -> Request {
    peers::Request::Put { network, peer }.into()
}

pub(crate) fn page_of(network: NetworkId) -> Request {
    let query = PageQuery::default();
    peers::Request::Page { network, query }.into()
}

pub(crate) fn ban(addr: HostAddr) -> Request {
    let command = bans::Command::Ban;
    bans::Request { addr, command }.into()
}

pub(crate) fn unban(addr: HostAddr) -> Request {
    let command = bans::Command::Unban;
    bans::Request { addr, command }.into()
}

pub(crate) fn mempool(chain: u8, body: mempool::Query) -> Request {
    let chain = ChainId(chain);
    mempool::Request { chain, body }.into()
}

/// A valid command of chain 0, told apart by `nonce`, signed by one key.
pub(crate) fn command(nonce: &str) -> std::sync::Arc<Command> {
    command_of(nonce, &[[0x36; 32]], "1", EPOCH as i64, 3_600)
}

pub(crate) fn command_of(
    nonce: &str,
    seeds: &[[u8; 32]],
    code: &str,
    creation_time: i64,
    ttl: i64,
) -> std::sync::Arc<Command> {
    let draft = Draft {
        chain: 0,
        code,
        creation_time,
        gas_limit: 1_000,
        gas_price: "1e-7",
        network: "development",
        nonce,
        sender: "alice",
        ttl,
    };
    Command::decode(&draft.sign(seeds))
        .expect("drafts are commands")
        .into()
}

/// One node and what was observed of it. Feeding checks what holds for every node.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) node: Node,
    pub(crate) now: Now,
    pub(crate) disk: BTreeMap<Vec<u8>, Row>,
    pub(crate) issued: CommitSeq,
    owed: BTreeSet<RequestId>,
    requests: u64,
}

impl Script {
    pub(crate) fn new(config: Config) -> Self {
        Self::restore(config, Vec::new())
    }

    pub(crate) fn restore(config: Config, rows: Vec<Row>) -> Self {
        let now = Now {
            mono: Instant::ZERO,
            wall: WallTime::from_secs(EPOCH),
        };
        let seed = Seed(config.identity.fingerprint.0);
        let disk = rows.iter().map(|row| (row.key(), row.clone())).collect();
        Self {
            node: Node::restore(config, seed, now, rows).expect("rows are sound"),
            now,
            disk,
            issued: CommitSeq::default(),
            owed: BTreeSet::new(),
            requests: 0,
        }
    }

    /// Feeds one input and tells its outputs; the disk is not heard of.
    pub(crate) fn feed(&mut self, input: Input) -> Vec<Output> {
        match &input {
            Input::Request { id, .. } => assert!(self.owed.insert(*id)),
            Input::Hangup { id } => assert!(self.owed.remove(id)),
            Input::Reply { .. }
            | Input::Verdict { .. }
            | Input::Persisted { .. }
            | Input::Tick
            | Input::Drain => {}
        }
        let mut out = Outbox::new();
        self.node.handle(self.now, input, &mut out);
        let outputs: Vec<Output> = out.drain().collect();
        for output in &outputs {
            match output {
                Output::Respond { id, .. } => {
                    assert!(
                        self.owed.remove(id),
                        "{id:?} was answered twice or not asked"
                    );
                }
                Output::Commit { seq, rows } => {
                    assert_eq!(*seq, self.issued.next(), "commits have no gaps");
                    self.issued = *seq;
                    let keys: BTreeSet<Vec<u8>> = rows.iter().map(Record::key).collect();
                    assert_eq!(keys.len(), rows.len(), "a commit names each key once");
                    for row in rows {
                        match row.value() {
                            Some(_) => self.disk.insert(row.key(), row.clone()),
                            None => self.disk.remove(&row.key()),
                        };
                    }
                }
                Output::Call { .. }
                | Output::Abandon { .. }
                | Output::Reclaim
                | Output::Verify { .. }
                | Output::Event(_) => {}
            }
        }
        outputs
    }

    /// Feeds one input, makes everything durable at once and answers every check truly.
    pub(crate) fn run(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = self.feed(input);
        let mut place = 0;
        while place < outputs.len() {
            let input = match &outputs[place] {
                Output::Commit { seq, .. } => Some(Input::Persisted { upto: *seq }),
                Output::Verify { id, job } => Some(Input::Verdict {
                    id: *id,
                    verdict: verify::check(std::slice::from_ref(job)).remove(0),
                }),
                Output::Respond { .. }
                | Output::Call { .. }
                | Output::Abandon { .. }
                | Output::Reclaim
                | Output::Event(_) => None,
            };
            if let Some(input) = input {
                let more = self.feed(input);
                outputs.extend(more);
            }
            place += 1;
        }
        outputs
    }

    pub(crate) fn request(&mut self, from: Caller, request: Request) -> (RequestId, Input) {
        self.requests += 1;
        let id = RequestId(self.requests);
        (id, Input::Request { id, from, request })
    }

    /// Asks, and tells the answer if it came without a call of the node's.
    pub(crate) fn ask(&mut self, from: Caller, request: Request) -> Option<Response> {
        let (_, input) = self.request(from, request);
        responses(&self.run(input)).pop()
    }

    /// Lets time pass on both clocks, with every wake-up in it.
    pub(crate) fn advance(&mut self, by: Duration) -> Vec<Output> {
        let end = self.now.mono + by;
        let mut outputs = Vec::new();
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.set_mono(at.max(self.now.mono));
            outputs.extend(self.run(Input::Tick));
        }
        self.set_mono(end);
        outputs
    }

    pub(crate) fn set_mono(&mut self, at: Instant) {
        self.now.wall = self.now.wall + at.since(self.now.mono);
        self.now.mono = at;
    }

    pub(crate) fn reply(
        &mut self,
        id: CallId,
        response: impl Into<Response>,
        n: u8,
    ) -> Vec<Output> {
        let result = Ok(answer(response.into(), n));
        self.run(Input::Reply { id, result })
    }

    pub(crate) fn fail(&mut self, id: CallId, error: CallError) -> Vec<Output> {
        let result = Err(error);
        self.run(Input::Reply { id, result })
    }

    /// The peers shown for `network`.
    pub(crate) fn listed(&mut self, network: NetworkId) -> Vec<PeerInfo> {
        match self.ask(operator(), page_of(network)) {
            Some(Response::ChainwebPeers(peers::Response::Page(page))) => page.items.clone(),
            other => panic!("no page but {other:?}"),
        }
    }

    /// Takes the peer in as a stranger's announcement does, with a probe that succeeds.
    pub(crate) fn learn_peer(&mut self, network: NetworkId, peer: PeerInfo) -> Option<Response> {
        let (_, input) = self.request(operator(), put_peer(network, peer));
        let mut outputs = self.run(input);
        if let Some((id, _, _)) = calls(&outputs).pop() {
            outputs = self.reply(id, Response::Opaque(200), 0xee);
        }
        responses(&outputs).pop()
    }

    /// What the disk holds, as the node would export it.
    pub(crate) fn durable(&self) -> Vec<Row> {
        self.disk.values().cloned().collect()
    }

    pub(crate) fn exported(&self) -> Vec<Row> {
        let rows = self.node.export();
        let by_key: BTreeMap<Vec<u8>, Row> = rows.into_iter().map(|row| (row.key(), row)).collect();
        by_key.into_values().collect()
    }

    pub(crate) fn owes(&self) -> usize {
        self.owed.len()
    }

    pub(crate) fn gauge(&self, name: &str) -> u64 {
        let mut found = None;
        self.node.gauges(&mut |gauge, value| {
            if gauge == name {
                found = Some(value);
            }
        });
        found.expect("a gauge of that name")
    }
}

/// An answer from the `n`-th node.
pub(crate) fn answer(response: Response, n: u8) -> Answer {
    Answer {
        response,
        version: VersionHeader::Declared("2.32.0".parse().expect("a version")),
        cert: Some(cert(n)),
    }
}

pub(crate) fn responses(outputs: &[Output]) -> Vec<Response> {
    let response = |output: &Output| match output {
        Output::Respond { response, .. } => Some(response.clone()),
        Output::Call { .. }
        | Output::Abandon { .. }
        | Output::Reclaim
        | Output::Verify { .. }
        | Output::Commit { .. }
        | Output::Event(_) => None,
    };
    outputs.iter().filter_map(response).collect()
}

pub(crate) fn calls(outputs: &[Output]) -> Vec<(CallId, Endpoint, Request)> {
    let call = |output: &Output| match output {
        Output::Call { id, to, request } => Some((*id, (**to).clone(), request.clone())),
        Output::Respond { .. }
        | Output::Abandon { .. }
        | Output::Reclaim
        | Output::Verify { .. }
        | Output::Commit { .. }
        | Output::Event(_) => None,
    };
    outputs.iter().filter_map(call).collect()
}

pub(crate) fn events(outputs: &[Output]) -> Vec<&'static str> {
    let name = |output: &Output| match output {
        Output::Event(event) => Some(event.name()),
        Output::Respond { .. }
        | Output::Abandon { .. }
        | Output::Reclaim
        | Output::Verify { .. }
        | Output::Commit { .. }
        | Output::Call { .. } => None,
    };
    outputs.iter().filter_map(name).collect()
}

/// Several nodes with a millisecond between them.
pub(crate) struct World {
    pub(crate) nodes: Vec<Script>,
    /// Who cannot be reached.
    pub(crate) down: BTreeSet<usize>,
    /// Who cannot reach whom, the smaller first.
    pub(crate) apart: BTreeSet<(usize, usize)>,
    pub(crate) now: Instant,
    /// Every call that arrived: from, to, what.
    pub(crate) log: Vec<(usize, usize, Request)>,
    /// What operators were answered, by node and request.
    pub(crate) answers: BTreeMap<(usize, RequestId), Response>,
    /// Answers to calls of nodes that never arrive: how many more.
    pub(crate) lose_answers: usize,
    queue: BTreeMap<(Instant, u64), (usize, Input)>,
    waiting: BTreeMap<(usize, RequestId), (usize, CallId, Part)>,
    count: u64,
}

const LATENCY: Duration = Duration::from_millis(1);

impl World {
    /// Node `i` is the `i + 1`-th; `tune` may change its settings.
    pub(crate) fn new(count: u8, tune: impl Fn(usize, &mut Config)) -> Self {
        let node = |i: u8| {
            let mut config = config(i + 1);
            tune(usize::from(i), &mut config);
            Script::new(config)
        };
        Self {
            nodes: (0..count).map(node).collect(),
            down: BTreeSet::new(),
            apart: BTreeSet::new(),
            now: Instant::ZERO,
            log: Vec::new(),
            answers: BTreeMap::new(),
            lose_answers: 0,
            queue: BTreeMap::new(),
            waiting: BTreeMap::new(),
            count: 0,
        }
    }

    fn post(&mut self, at: Instant, to: usize, input: Input) {
        self.count += 1;
        self.queue.insert((at, self.count), (to, input));
    }

    /// Runs until `stop` holds or `limit` has passed; tells whether it held.
    pub(crate) fn until(&mut self, limit: Duration, stop: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !stop(self) {
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let due = (0..self.nodes.len())
                .filter_map(|i| Some((self.nodes[i].node.poll_timeout()?, i)))
                .min();
            let next = [queued, due.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            let (to, input) = match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= next => entry.remove(),
                _ => (due.expect("something is due").1, Input::Tick),
            };
            self.deliver(to, input);
        }
        true
    }

    pub(crate) fn deliver(&mut self, to: usize, input: Input) {
        let script = &mut self.nodes[to];
        script.set_mono(self.now);
        for output in script.run(input) {
            match output {
                Output::Call {
                    id,
                    to: endpoint,
                    request,
                } => self.call(to, id, &endpoint, request),
                Output::Respond { id, response } => {
                    let Some((caller, call, part)) = self.waiting.remove(&(to, id)) else {
                        self.answers.insert((to, id), response);
                        continue;
                    };
                    if self.lose_answers > 0 {
                        self.lose_answers -= 1;
                        continue;
                    }
                    let response = match part {
                        Part::Body => response,
                        Part::Head => Response::Opaque(response.status()),
                    };
                    let n = u8::try_from(to + 1).expect("few nodes");
                    let result = Ok(answer(response, n));
                    self.post(
                        self.now + LATENCY,
                        caller,
                        Input::Reply { id: call, result },
                    );
                }
                Output::Abandon { .. }
                | Output::Reclaim
                | Output::Verify { .. }
                | Output::Commit { .. }
                | Output::Event(_) => {}
            }
        }
    }

    fn call(&mut self, from: usize, call: CallId, to: &Endpoint, request: Request) {
        let place = (0..self.nodes.len())
            .find(|i| self.nodes[*i].node.config().address == to.addr && !self.down.contains(i));
        let place = place.filter(|to| !self.apart.contains(&(from.min(*to), from.max(*to))));
        let error = match place {
            None => Some(CallError::Refused),
            Some(place) => {
                let held = self.nodes[place].node.config().identity.fingerprint;
                let fits = !matches!(to.trust, Trust::Pinned(id) if id != held);
                (!fits).then_some(CallError::IdentityMismatch)
            }
        };
        let (Some(place), None) = (place, error) else {
            let result = Err(error.unwrap_or(CallError::Refused));
            return self.post(self.now + LATENCY, from, Input::Reply { id: call, result });
        };
        self.log.push((from, place, request.clone()));
        let caller = peer_caller(u8::try_from(from + 1).expect("few nodes"));
        let (id, input) = self.nodes[place].request(caller, request);
        self.waiting.insert((place, id), (from, call, to.part));
        self.post(self.now + LATENCY, place, input);
    }

    /// An operator's request to a node, answered without any call.
    pub(crate) fn ask(&mut self, to: usize, request: Request) {
        let (_, input) = self.nodes[to].request(operator(), request);
        self.deliver(to, input);
    }

    /// As [`Self::ask`], by this caller; the answer will be among [`Self::answers`].
    pub(crate) fn ask_as(&mut self, to: usize, caller: Caller, request: Request) -> RequestId {
        let (id, input) = self.nodes[to].request(caller, request);
        self.deliver(to, input);
        id
    }

    pub(crate) fn pending(&self, node: usize) -> usize {
        self.nodes[node].gauge("mempool_pending") as usize
    }
}
