//! What the benchmarks share: a node without surroundings, and signed transactions.

use std::sync::Arc;

use peerage_core::commons::address::{HostAddr, Hostname, PeerInfo};
use peerage_core::commons::network::{ChainwebVersion, NetworkId};
use peerage_core::config::Identity;
use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::chainweb_mempool::sign::Draft;
use peerage_core::rooms::chainweb_mempool::{self, ChainId, Query};
use peerage_core::rooms::chainweb_peers;
use peerage_core::time::{Duration, Instant, Now, WallTime};
use peerage_core::{
    Answer, Caller, Config, Input, Listener, Node, Outbox, Output, Request, RequestId, Response,
    Seed, VersionHeader, verify,
};

/// The wall clock of all benchmarks, in seconds since the Unix epoch.
pub const EPOCH_S: u64 = 1_700_000_000;

/// A node that answers at once whatever it wants: its disk is immediate, its checks are done in
/// place, and whoever it probes is there.
pub struct Bench {
    /// The node.
    pub node: Node,
    now: Now,
    out: Outbox,
    next: u64,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// A node of the development network with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// As [`Self::new`], with other settings.
    #[must_use]
    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let now = Now {
            mono: Instant::ZERO,
            wall: WallTime::from_secs(EPOCH_S),
        };
        let identity = Identity {
            fingerprint: Fingerprint([1; 32]),
            public_key: PublicKey([2; 32]),
            secret: [3; 32],
        };
        let mut config = Config::new(
            ChainwebVersion::Development,
            identity,
            addr("10.0.0.1", 1789),
        );
        config.grin.links_max = 0;
        change(&mut config);
        let node =
            Node::restore(config, Seed([7; 32]), now, Vec::new()).expect("no rows, no damage");
        Self {
            node,
            now,
            out: Outbox::new(),
            next: 0,
        }
    }

    /// A node with `peers` peers on the cut network and `pending` transactions on chain 0.
    #[must_use]
    pub fn filled(peers: usize, pending: usize) -> Self {
        let mut bench = Self::new();
        for peer in 0..peers {
            let request = chainweb_peers::Request::Put {
                network: NetworkId::Cut,
                peer: info(peer),
            };
            bench.ask(request.into());
        }
        for chunk in commands(0, pending).chunks(500) {
            bench.ask(mempool(Query::Insert(chunk.to_vec())));
        }
        bench
    }

    /// One request of an operator, as `handle` sees it. The outputs stay in the outbox until
    /// [`Self::settle`].
    pub fn handle(&mut self, request: Request) {
        let from = Caller {
            addr: ([127, 0, 0, 1], 40_000).into(),
            listener: Listener::Api,
            authorization: None,
            cert: None,
        };
        self.handle_as(from, request);
    }

    /// As [`Self::handle`], of anybody.
    pub fn handle_as(&mut self, from: Caller, request: Request) {
        self.next += 1;
        let id = RequestId(self.next);
        self.node.handle(
            self.now,
            Input::Request { id, from, request },
            &mut self.out,
        );
    }

    /// Carries out what the node wants until it wants nothing, and returns the last answer. Checks
    /// are done together, as a driver's pool of verifiers does.
    pub fn settle(&mut self) -> Option<Response> {
        let mut answer = None;
        while !self.out.is_empty() {
            let outputs: Vec<Output> = self.out.drain().collect();
            let (mut checks, mut jobs) = (Vec::new(), Vec::new());
            for output in outputs {
                match output {
                    Output::Respond { response, .. } => answer = Some(response),
                    Output::Call { id, .. } => {
                        let version = VersionHeader::Declared("2.32.0".parse().expect("a version"));
                        let response = Response::Opaque(200);
                        let result = Ok(Answer {
                            response,
                            version,
                            cert: None,
                        });
                        self.feed(Input::Reply { id, result });
                    }
                    Output::Verify { id, job } => {
                        checks.push(id);
                        jobs.push(job);
                    }
                    Output::Commit { seq, .. } => self.feed(Input::Persisted { upto: seq }),
                    Output::Abandon { .. } | Output::Event(_) | Output::Reclaim => {}
                }
            }
            for (id, verdict) in checks.into_iter().zip(verify::check(&jobs)) {
                self.feed(Input::Verdict { id, verdict });
            }
        }
        answer
    }

    /// Lets so much time pass, with everything that the node does in it.
    pub fn wait(&mut self, time: Duration) {
        self.settle();
        let end = self.now.mono + time;
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now.wall = self.now.wall + at.since(self.now.mono);
            self.now.mono = at.max(self.now.mono);
            self.feed(Input::Tick);
            self.settle();
        }
    }

    fn feed(&mut self, input: Input) {
        self.node.handle(self.now, input, &mut self.out);
    }

    /// One of the node's sizes.
    #[must_use]
    pub fn gauge(&self, name: &str) -> u64 {
        let mut found = 0;
        self.node.gauges(&mut |of, value| {
            if of == name {
                found = value;
            }
        });
        found
    }

    /// A request and its answer.
    pub fn ask(&mut self, request: Request) -> Response {
        self.handle(request);
        self.settle().expect("every request is answered")
    }
}

/// A request to the mempool of chain 0.
#[must_use]
pub fn mempool(body: Query) -> Request {
    chainweb_mempool::Request {
        chain: ChainId(0),
        body,
    }
    .into()
}

/// The `number`-th peer.
#[must_use]
pub fn info(number: usize) -> PeerInfo {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let [_, .., a, b] = number.to_be_bytes();
    PeerInfo::new(
        Some(Fingerprint(id)),
        addr(&format!("85.238.{a}.{b}"), 1789),
    )
}

/// The key of the `number`-th node.
#[must_use]
pub fn node_key(number: usize) -> PublicKey {
    let mut key = [0xaa; 32];
    // Spread, so that nodes do not come in the order of their ids.
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    PublicKey(key)
}

/// Signed transactions for chain 0 of the development network, numbered from `first`.
#[must_use]
pub fn commands(first: usize, count: usize) -> Vec<Arc<Command>> {
    let read = |number| Arc::new(Command::decode(&wire(number)).expect("our own text"));
    (first..first + count).map(read).collect()
}

/// The text of the `number`-th transaction; every one has a signer of its own.
#[must_use]
pub fn wire(number: usize) -> String {
    wire_at(number, EPOCH_S - 10)
}

/// The text of the `number`-th transaction, made at a time in seconds since the Unix epoch.
#[must_use]
pub fn wire_at(number: usize, creation_s: u64) -> String {
    let draft = Draft {
        chain: 0,
        code: "(coin.transfer \"alice\" \"bob\" 1.0)",
        creation_time: creation_s.cast_signed(),
        gas_limit: 1_000,
        gas_price: "1e-7",
        network: "development",
        nonce: &format!("bench {number}"),
        sender: "alice",
        ttl: 28_800,
    };
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    draft.sign(&[seed])
}

/// The body of an insert request: an array of the texts, each as a string.
#[must_use]
pub fn insert_body(wires: &[String]) -> String {
    let mut body = String::from("[");
    for (index, wire) in wires.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        peerage_core::json::write_string(&mut body, wire);
    }
    body.push(']');
    body
}

fn addr(host: &str, port: u16) -> HostAddr {
    HostAddr::new(Hostname::new(host).expect("a host name"), port)
}
