//! How soon a cluster knows itself, and what its heartbeats cost.
//!
//! All nodes but the first are told of the first within a second; from then on nobody does anything.
//! Questions and answers between the nodes are counted as the bytes that they would be on a wire.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::http::Site;
use peerage_core::rooms::{Event, cluster};
use peerage_core::{Input, Listener, Output, Request, Response};

use super::Clusters;
use crate::options::Options;
use crate::roster::Roster;
use crate::run::Run;
use crate::scenario::{Expected, Scripted};
use crate::watch::Watch;
use crate::wire;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// From the first add until the last node knew the last peer, in virtual microseconds; nothing,
    /// if that did not come to pass.
    pub converged_us: Option<u64>,
    /// Handshakes that were begun.
    pub handshakes: u64,
    /// Bytes of all questions and answers of the cluster's until then.
    pub joining_bytes: u64,
    /// Heartbeats in the quiet minute after that.
    pub heartbeats: u64,
    /// Their bytes, with the answers.
    pub heartbeat_bytes: u64,
    /// Bytes of the largest message.
    pub message_bytes_max: u64,
    /// Events of the simulation.
    pub events: u64,
    /// The fold of everything.
    pub hash: u64,
}

/// When the first node is told of another.
const BEGIN: u64 = 2_000_000;
/// Over which all are.
const SPREAD: u64 = 1_000_000;
/// How long heartbeats are counted, in a cluster that knows itself.
const QUIET: u64 = 60_000_000;
/// When it is given up that the cluster will.
const PATIENCE: u64 = 1_800_000_000;

/// Measures a cluster of so many nodes.
#[must_use]
pub fn measure(seed: u64, nodes: u32) -> Cost {
    let mut options = Options::plain(seed, nodes, BEGIN + PATIENCE + QUIET);
    options.audited = 0;
    // Chainweb's sessions are not what is measured.
    options.sessions.cut_max = 0;
    options.sessions.mempool_max = 0;
    options.clusters = Some(Clusters {
        nodes_max: nodes,
        ..Clusters::default()
    });
    options.script = adds(nodes).into();
    let scale = Scale::new(nodes);
    let mut run = Run::new(options);
    run.watch(Box::new(scale.clone()));
    while !scale.done() && run.now() < BEGIN + PATIENCE {
        run.advance(run.now() + 100_000);
    }
    let converged_us = scale.done().then(|| scale.0.borrow().last - BEGIN);
    let joining_bytes = {
        let mut seen = scale.0.borrow_mut();
        seen.heartbeats = 0;
        std::mem::take(&mut seen.bytes)
    };
    run.advance(run.now() + QUIET);
    let seen = scale.0.borrow();
    Cost {
        converged_us,
        handshakes: seen.handshakes,
        joining_bytes,
        heartbeats: seen.heartbeats,
        heartbeat_bytes: seen.bytes,
        message_bytes_max: seen.largest,
        events: run.engine().events(),
        hash: run.hash(),
    }
}

/// Everybody but the first is told of the first.
fn adds(nodes: u32) -> Vec<Scripted> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer admin"),
    );
    (1..nodes)
        .map(|node| Scripted {
            at: BEGIN + SPREAD * u64::from(node) / u64::from(nodes),
            node,
            listener: Listener::Api,
            method: Method::POST,
            target: "/v1/peers".to_owned(),
            headers: headers.clone(),
            body: Bytes::from(format!("{{\"address\":\"{}\"}}", Roster::addr(0))),
            expected: Expected::default(),
        })
        .collect()
}

/// Counts what crosses, and who knows whom.
#[derive(Clone, Debug)]
struct Scale(Rc<RefCell<Seen>>);

#[derive(Debug)]
struct Seen {
    site: Site,
    /// Pairs that do not know each other yet, in both directions.
    missing: u64,
    last: u64,
    handshakes: u64,
    heartbeats: u64,
    bytes: u64,
    largest: u64,
}

impl Scale {
    fn new(nodes: u32) -> Self {
        let nodes = u64::from(nodes);
        Self(Rc::new(RefCell::new(Seen {
            site: Site {
                network: ChainwebVersion::Development,
                chains: 1,
            },
            missing: nodes * (nodes - 1),
            last: 0,
            handshakes: 0,
            heartbeats: 0,
            bytes: 0,
            largest: 0,
        })))
    }

    fn done(&self) -> bool {
        self.0.borrow().missing == 0
    }
}

impl Watch for Scale {
    fn output(&mut self, at: u64, _node: u32, output: &Output) {
        let mut seen = self.0.borrow_mut();
        if let Output::Event(Event::Cluster(cluster::Event::ClusterPeerJoined { .. })) = output {
            seen.missing -= 1;
            seen.last = at;
        } else if let Output::Call { request, .. } = output
            && let Request::Cluster(asked) = request
        {
            seen.handshakes += u64::from(matches!(asked, cluster::Request::Handshake(_)));
            seen.heartbeats += u64::from(matches!(asked, cluster::Request::Gossip(_)));
            let size = wire::size_of_request(&seen.site, request);
            seen.weigh(size);
        }
    }

    fn input(&mut self, _at: u64, _node: u32, _from: u32, input: &Input) {
        if let Input::Reply {
            result: Ok(answer), ..
        } = input
            && let Response::Cluster(_) = &answer.response
        {
            let size = wire::size_of_response(&answer.response);
            self.0.borrow_mut().weigh(size);
        }
    }
}

impl Seen {
    fn weigh(&mut self, size: u64) {
        self.bytes += size;
        self.largest = self.largest.max(size);
    }
}
