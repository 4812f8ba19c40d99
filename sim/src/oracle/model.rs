//! What each room's reference model says of a node's answers.
//!
//! A model sees what an outsider of the node sees: inputs in their order, with the node's clock, and
//! what it answers and tells. It never looks into the node.

use std::collections::{BTreeMap, BTreeSet};

use peerage_core::commons::Row as CommonsRow;
use peerage_core::commons::address::Hostname;
use peerage_core::event::NodeEvent;
use peerage_core::rooms::{Event, Row, bans, chainweb_mempool, chainweb_peers};
use peerage_core::time::Now;
use peerage_core::{CallId, Config, Input, Output, Request, RequestId, Response};

/// The models of all rooms of one node, from one start to its end.
#[derive(Clone, Debug)]
pub struct Models {
    bans: bans::model::Model,
    peers: chainweb_peers::model::Model,
    mempool: chainweb_mempool::model::Model,
    owed: BTreeMap<RequestId, Owed>,
    /// The chain of each lookup under way.
    lookups: BTreeMap<CallId, chainweb_mempool::ChainId>,
}

/// A request that is not answered yet, with what was sure when it came.
#[derive(Clone, Debug)]
enum Owed {
    Bans(bans::Request, bool),
    /// The cluster's room has no model; only that it answers is looked at.
    Cluster,
    Mempool(Box<chainweb_mempool::model::Owed>),
    /// Who was surely banned.
    Peers(chainweb_peers::Request, BTreeSet<Hostname>),
}

impl Models {
    /// The models of a node that starts with these settings and rows.
    #[must_use]
    pub fn new(config: &Config, rows: &[Row]) -> Self {
        let known = config.known_peers.iter().map(|peer| peer.address.clone());
        let kept = rows.iter().filter_map(|row| match row {
            Row::Commons(CommonsRow::Peer(addr, _)) => Some(addr.clone()),
            Row::Commons(_)
            | Row::Bans(_)
            | Row::ChainwebMempool(_)
            | Row::ChainwebPeers(_)
            | Row::Cluster(_) => None,
        });
        let pending = rows.iter().filter_map(|row| match row {
            Row::ChainwebMempool(row) => Some(row),
            Row::Commons(_) | Row::Bans(_) | Row::ChainwebPeers(_) | Row::Cluster(_) => None,
        });
        Self {
            bans: bans::model::Model::new(config.ban_window),
            peers: chainweb_peers::model::Model::new(config.address.clone(), known.chain(kept)),
            mempool: chainweb_mempool::model::Model::new(
                config.chains,
                config.limits.recent_log_max,
                pending,
            ),
            owed: BTreeMap::new(),
            lookups: BTreeMap::new(),
        }
    }

    /// The node is given an input.
    pub fn input(&mut self, now: Now, input: &Input) {
        match input {
            Input::Request { id, request, .. } => {
                let owed = match request {
                    Request::Bans(request) => {
                        Owed::Bans(request.clone(), self.bans.surely(now, &request.addr))
                    }
                    Request::ChainwebMempool(request) => {
                        Owed::Mempool(Box::new(self.mempool.asked(now, request)))
                    }
                    Request::Cluster(_) => Owed::Cluster,
                    Request::ChainwebPeers(request) => {
                        if let chainweb_peers::Request::Put { peer, .. } = request {
                            self.peers.met(&peer.address);
                        }
                        Owed::Peers(request.clone(), self.bans.hosts(now))
                    }
                };
                self.owed.insert(*id, owed);
            }
            Input::Reply { id, result } => {
                let chain = self.lookups.remove(id);
                match result.as_ref().map(|answer| &answer.response) {
                    Ok(Response::ChainwebPeers(chainweb_peers::Response::Page(page))) => {
                        for peer in &page.items {
                            self.peers.met(&peer.address);
                        }
                    }
                    Ok(Response::ChainwebMempool(chainweb_mempool::Response::Found(found))) => {
                        if let Some(chain) = chain {
                            self.mempool.given(chain, found);
                        }
                    }
                    Ok(_) | Err(_) => {}
                }
            }
            Input::Hangup { id } => {
                self.owed.remove(id);
            }
            Input::Drain | Input::Persisted { .. } | Input::Tick | Input::Verdict { .. } => {}
        }
    }

    /// The node wants something done.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn output(&mut self, now: Now, output: &Output) -> Result<(), String> {
        match output {
            Output::Event(Event::Node(NodeEvent::Banned { addr })) => self.bans.banned(now, addr),
            Output::Event(Event::Node(NodeEvent::BanExpired)) => self.bans.expired(now),
            Output::Event(Event::Node(NodeEvent::Unbanned { .. })) => self.bans.unbanned(),
            Output::Event(Event::ChainwebMempool(event)) => return self.mempool.told(now, event),
            Output::Call { id, request, .. } => {
                if let Request::ChainwebMempool(request) = request
                    && matches!(request.body, chainweb_mempool::Query::Lookup(_))
                {
                    self.lookups.insert(*id, request.chain);
                }
            }
            Output::Respond { id, response } => return self.answered(*id, response),
            Output::Abandon { .. }
            | Output::Commit { .. }
            | Output::Event(_)
            | Output::Verify { .. } => {}
        }
        Ok(())
    }

    fn answered(&mut self, id: RequestId, response: &Response) -> Result<(), String> {
        // Who is owed nothing is another oracle's to find.
        let Some(owed) = self.owed.remove(&id) else {
            return Ok(());
        };
        match (&owed, response) {
            (_, Response::Refused(_)) => Ok(()),
            (Owed::Bans(request, surely), Response::Bans(response)) => {
                bans::model::Model::answered(request, *surely, response)
            }
            (Owed::Cluster, Response::Cluster(_)) => Ok(()),
            (Owed::Mempool(owed), Response::ChainwebMempool(response)) => {
                self.mempool.answered(owed, response)
            }
            (Owed::Peers(request, banned), Response::ChainwebPeers(response)) => self
                .peers
                .answered(request, &|addr| banned.contains(&addr.host), response),
            (_, response) => Err(format!("another room answers: {response:?}")),
        }
    }
}
