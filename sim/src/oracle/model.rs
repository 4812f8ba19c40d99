//! What each room's reference model says of a node's answers, and what a node owes its peers.
//!
//! A model sees what an outsider of the node sees: inputs in their order, with the node's clock, what
//! it answers, tells and writes down. It never looks into the node.

use std::collections::BTreeMap;

use peerage_core::commons::Row as CommonsRow;
use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::commons::bans::BanKey;
use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::rooms::chainweb_mempool::key::TxHash;
use peerage_core::rooms::chainweb_mempool::{ChainId, Query};
use peerage_core::rooms::chainweb_peers::Event as PeersEvent;
use peerage_core::rooms::grin::types::Between;
use peerage_core::rooms::{
    Event, Row, bans, chainweb_mempool, chainweb_peers, cluster, grin, wattswarm,
};
use peerage_core::time::Now;
use peerage_core::{
    Answer, CallId, Caller, Config, Input, Listener, Output, PeerCert, Request, RequestId,
    Response, Trust,
};

use super::talk::{Talk, What};

/// The models of all rooms of one node, from one start to its end.
#[derive(Clone, Debug)]
pub struct Models {
    bans: bans::model::Model,
    peers: chainweb_peers::model::Model,
    mempool: chainweb_mempool::model::Model,
    cluster: Box<cluster::model::Model>,
    wattswarm: wattswarm::model::Model,
    /// What it says to its peers.
    pub talk: Talk,
    own: Fingerprint,
    probes_max: usize,
    private: bool,
    draining: bool,
    owed: BTreeMap<RequestId, Owed>,
}

/// A request that is not answered yet.
#[derive(Clone, Debug)]
struct Owed {
    /// Why it must be refused, if it must.
    refused: Option<&'static str>,
    of: Room,
}

/// What was sure when it came.
#[derive(Clone, Debug)]
enum Room {
    Bans(bans::model::Owed),
    Mempool(Box<chainweb_mempool::model::Owed>, Option<Given>),
    /// Who was surely banned.
    Peers(chainweb_peers::model::Owed, bans::model::Banned),
    /// With who was surely banned.
    Cluster(bans::model::Banned),
    /// A room that has no model: only that it answers is looked at.
    Grin,
    Wattswarm(Box<wattswarm::model::Owed>),
}

/// Commands that a peer gives and the node has not.
#[derive(Clone, Debug)]
struct Given {
    by: Fingerprint,
    chain: ChainId,
    hashes: Vec<TxHash>,
}

impl Models {
    /// The models of a node that starts with these settings and rows.
    #[must_use]
    pub fn new(config: &Config, rows: &[Row]) -> Self {
        let known = config.known_peers.iter().map(|peer| peer.address.clone());
        let (mut kept, mut banned, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        let (mut friends, mut told) = (Vec::new(), Vec::new());
        for row in rows {
            if let Row::Commons(CommonsRow::Peer(addr, Some(_))) = row {
                kept.push(addr.clone());
            } else if let Row::Commons(CommonsRow::Ban(name, Some(ban))) = row {
                banned.push((name.clone(), ban.clone()));
            } else if let Row::ChainwebMempool(row) = row {
                pending.push(row);
            } else if let Row::Wattswarm(row) = row {
                if let wattswarm::Row::Contact(_, Some(contact)) = row {
                    told.extend(addresses(&contact.material));
                }
                friends.push(row);
            } else if let Row::Grin(grin::Row::Peer(addr, Some(_))) = row {
                told.push(addr.clone());
            }
        }
        let mut models = Self {
            bans: bans::model::Model::new(config.ban_window, banned.into_iter()),
            peers: chainweb_peers::model::Model::new(
                config.address.clone(),
                known,
                kept.into_iter(),
            ),
            mempool: chainweb_mempool::model::Model::new(
                config.chains,
                config.limits.recent_log_max,
                pending.into_iter(),
            ),
            cluster: Box::new(cluster::model::Model::new(
                config,
                rows.iter().filter_map(of_cluster),
            )),
            wattswarm: wattswarm::model::Model::new(config, friends.into_iter()),
            talk: Talk::default(),
            own: config.identity.fingerprint,
            probes_max: config.limits.probes_max,
            private: config.private,
            draining: false,
            owed: BTreeMap::new(),
        };
        for addr in &told {
            models.peers.met(addr);
        }
        models
    }

    /// Whether the node, which started with what its disk held, still has what it told of `before`
    /// that.
    ///
    /// # Errors
    /// What is lost.
    pub fn outlives(&self, before: &Self) -> Result<(), String> {
        self.wattswarm.outlives(&before.wattswarm)
    }

    /// The node is given an input.
    ///
    /// # Errors
    /// What was wrong with what it did before, if that can be told only now.
    pub fn input(&mut self, now: Now, input: &Input) -> Result<(), String> {
        self.bans.begin();
        self.cluster.begin();
        let before = self.talk.begin();
        match input {
            Input::Request { id, from, request } => {
                let refused = self.refusal(now, from);
                let of = self.asked(now, *id, from, request);
                if refused.is_some() {
                    self.cluster.over(*id);
                }
                self.owed.insert(*id, Owed { refused, of });
            }
            Input::Reply { id, result } => self.replied(now, *id, result.as_ref().ok()),
            Input::Hangup { id } => {
                self.owed.remove(id);
                self.cluster.over(*id);
            }
            Input::Drain => self.draining = true,
            Input::Verdict { id, verdict } => self.cluster.checked(*id, verdict),
            Input::Persisted { .. } | Input::Tick => {}
        }
        before
    }

    /// Why a caller must be refused, if it must.
    fn refusal(&self, now: Now, from: &Caller) -> Option<&'static str> {
        let banned = from.listener == Listener::P2p
            && (from.cert).is_some_and(|cert| self.bans.banned(now).covers_cert(&cert));
        if banned {
            Some("who is banned")
        } else if self.draining {
            Some("while the node is about to stop")
        } else {
            None
        }
    }

    fn asked(&mut self, now: Now, id: RequestId, from: &Caller, request: &Request) -> Room {
        match request {
            Request::Bans(request) => Room::Bans(self.bans.asked(now, request)),
            Request::ChainwebMempool(request) => {
                let given = match (&request.body, from.cert) {
                    (Query::Insert(commands), Some(cert)) => {
                        let hashes = commands.iter().filter_map(|command| command.key().full());
                        let fresh = |hash: &TxHash| !self.mempool.had(request.chain, hash);
                        Some(Given {
                            by: cert.fingerprint,
                            chain: request.chain,
                            hashes: hashes.filter(fresh).collect(),
                        })
                    }
                    _ => None,
                };
                Room::Mempool(Box::new(self.mempool.asked(now, request)), given)
            }
            Request::ChainwebPeers(request) => {
                if let chainweb_peers::Request::Put { peer, .. } = request {
                    self.peers.met(&peer.address);
                }
                Room::Peers(self.peers.asked(request), self.bans.banned(now))
            }
            Request::Cluster(request) => {
                let banned = self.bans.banned(now);
                let covers = |addr: &HostAddr, key| covers(&banned, addr, key);
                self.cluster.asked(now, id, from, request, &covers);
                Room::Cluster(banned)
            }
            Request::Grin(request) => {
                if let grin::Request::Between(_, Between::Hello(hello)) = request
                    && let Ok(addr) = hello.address.parse()
                {
                    self.peers.met(&addr);
                }
                Room::Grin
            }
            Request::Wattswarm(request) => {
                if let wattswarm::Request::Contact(asked) = request {
                    self.introduced(&asked.material);
                } else if let wattswarm::Request::Deliver(delivery) = request {
                    self.introduced(&delivery.greeting.contact_material);
                }
                Room::Wattswarm(Box::new(self.wattswarm.asked(now, from, request)))
            }
        }
    }

    /// Somebody says where a node is reached.
    fn introduced(&mut self, material: &wattswarm::Material) {
        for addr in addresses(material) {
            self.peers.met(&addr);
        }
    }

    /// A call of the node's has ended.
    fn replied(&mut self, now: Now, id: CallId, answer: Option<&Answer>) {
        let response = answer.map(|answer| &answer.response);
        self.cluster.call_ended(id, response.is_some());
        let made = self.talk.ended(now, id, response);
        if let Some(Response::ChainwebPeers(chainweb_peers::Response::Page(page))) = response {
            for peer in &page.items {
                self.peers.met(&peer.address);
            }
        }
        if let Some(Response::Wattswarm(wattswarm::Response::Receipt(receipt))) = response {
            self.introduced(&receipt.greeting.contact_material);
        }
        let Some((made, response)) = made.zip(response) else {
            return;
        };
        // Whoever is handed something is met at once, whatever it says to that.
        if (200..300).contains(&response.status()) || made.what == What::Deliver {
            self.peers.vouched(&made.to);
        }
        if let (
            What::Lookup(chain),
            Response::ChainwebMempool(chainweb_mempool::Response::Found(found)),
        ) = (made.what, response)
        {
            self.mempool.given(chain, found);
        }
    }

    /// The node wants something done.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn output(&mut self, now: Now, output: &Output) -> Result<(), String> {
        match output {
            Output::Abandon { id } => {
                self.cluster.call_ended(*id, false);
                self.talk.ended(now, *id, None);
                Ok(())
            }
            Output::Call { id, to, request } => {
                let pinned = match to.trust {
                    Trust::Pinned(pin) => self.bans.forbids(now, &BanKey::Fingerprint(pin)),
                    Trust::Anyone | Trust::Authorities => false,
                };
                if pinned || self.bans.forbids(now, &BanKey::of_address(&to.addr)) {
                    return Err(format!("{} is called, who is banned", to.addr));
                }
                if let Request::Cluster(request) = request {
                    self.cluster.called(*id, &to.addr, request)?;
                }
                let had = |chain, hash: &TxHash| self.mempool.met(chain, hash);
                self.talk.called(now, *id, to, request, &had)
            }
            Output::Commit { rows, .. } => {
                for joined in rows.iter().filter_map(of_cluster).filter_map(reached_at) {
                    // Whoever shook hands is in the table of all families.
                    self.peers.met(&joined);
                    self.peers.vouched(&joined);
                }
                let of_cluster = rows.iter().filter_map(of_cluster);
                self.cluster.written(now, of_cluster)?;
                let of_friends = rows.iter().filter_map(friends);
                self.wattswarm.written(now, of_friends)?;
                rows.iter().try_for_each(|row| self.written(now, row))
            }
            Output::Event(event) => self.told(now, event),
            Output::Reclaim => Ok(()),
            Output::Respond { id, response } => self.answered(now, *id, response),
            Output::Verify { id, job } => {
                self.cluster.checks(*id, job);
                Ok(())
            }
        }
    }

    fn written(&mut self, now: Now, row: &Row) -> Result<(), String> {
        let Row::Commons(row) = row else {
            return Ok(());
        };
        match row {
            CommonsRow::Ban(name, ban) => self.bans.written(now, name, ban.as_ref()),
            CommonsRow::Peer(addr, peer) => {
                let id = peer.as_ref().and_then(|peer| peer.id.as_deref());
                self.talk.written(addr, id, peer.is_some());
                self.peers.written(addr, peer.is_some())
            }
            CommonsRow::Liveness(addr, Some(liveness)) => {
                self.talk.reachable(addr, liveness);
                Ok(())
            }
            CommonsRow::Liveness(_, None) => Ok(()),
        }
    }

    fn told(&mut self, now: Now, event: &Event) -> Result<(), String> {
        match event {
            Event::ChainwebMempool(event) => self.mempool.told(now, event),
            Event::ChainwebPeers(event) => self.peers_told(now, event),
            Event::Bans(_)
            | Event::Cluster(_)
            | Event::Grin(_)
            | Event::Node(_)
            | Event::Wattswarm(_) => Ok(()),
        }
    }

    fn peers_told(&mut self, now: Now, event: &PeersEvent) -> Result<(), String> {
        match event {
            PeersEvent::ProbeSent { addr } => self.talk.probes(addr, false),
            PeersEvent::ProbeJoined { addr } => self.talk.probes(addr, true),
            PeersEvent::PeerMismatch { addr } => self.talk.forgotten(addr),
            PeersEvent::SessionEnded { addr, .. } => self.talk.over(addr, true),
            PeersEvent::SessionFailed { addr, .. } => self.talk.over(addr, false),
            PeersEvent::SessionOpened { network, addr } if !self.private => {
                let banned = self.bans.banned(now);
                // Whom the node knows it passes over; whom it must not ask it need not look at.
                let look = |peer: &PeerInfo| {
                    (peer.id != Some(self.own) && !self.peers.has(&peer.address))
                        .then(|| !banned.covers(peer) && !self.peers.is_own(&peer.address))
                };
                return self.talk.opened(*network, addr, self.probes_max, &look);
            }
            PeersEvent::KnownPeerFailed { .. }
            | PeersEvent::KnownPeerMismatch { .. }
            | PeersEvent::PeerAdded { .. }
            | PeersEvent::PeerPinned { .. }
            | PeersEvent::PeerRefused { .. }
            | PeersEvent::PeersPruned { .. }
            | PeersEvent::SessionOpened { .. } => {}
        }
        Ok(())
    }

    fn answered(&mut self, now: Now, id: RequestId, response: &Response) -> Result<(), String> {
        // Who is owed nothing is another oracle's to find.
        let Some(owed) = self.owed.remove(&id) else {
            return Ok(());
        };
        match (owed.of, response) {
            (_, Response::Refused(_)) => {
                self.cluster.over(id);
                Ok(())
            }
            (of, _) if owed.refused.is_some() => Err(format!(
                "somebody is answered {}: {of:?}",
                owed.refused.unwrap_or_default()
            )),
            (Room::Bans(owed), Response::Bans(response)) => {
                self.bans.answered(now, &owed, response)
            }
            (Room::Mempool(owed, given), Response::ChainwebMempool(response)) => {
                if let (Some(given), chainweb_mempool::Response::Inserted) = (given, response) {
                    self.talk.given(&given.by, given.chain, &given.hashes);
                }
                self.mempool.answered(&owed, response)
            }
            (Room::Peers(owed, banned), Response::ChainwebPeers(response)) => {
                let still = self.bans.lasted(&banned, now);
                (self.peers).answered(&owed, &|peer| banned.covers(peer), still, response)
            }
            (Room::Grin, Response::Grin(_)) => Ok(()),
            (Room::Cluster(banned), Response::Cluster(response)) => {
                let still = self.bans.lasted(&banned, now);
                let covers = |addr: &HostAddr, key| covers(&banned, addr, key);
                (self.cluster).answered(now, id, response, &covers, still)
            }
            (Room::Wattswarm(owed), Response::Wattswarm(response)) => {
                self.wattswarm.answered(&owed, response)
            }
            (_, response) => Err(format!("another room answers: {response:?}")),
        }
    }
}

/// The row, if it is of that room.
fn friends(row: &Row) -> Option<&wattswarm::Row> {
    if let Row::Wattswarm(row) = row {
        Some(row)
    } else {
        None
    }
}

/// The row, if it is one of the cluster's.
fn of_cluster(row: &Row) -> Option<&cluster::Row> {
    if let Row::Cluster(row) = row {
        Some(row)
    } else {
        None
    }
}

/// Where a peer of the cluster is reached, if the row tells of one.
fn reached_at(row: &cluster::Row) -> Option<HostAddr> {
    if let cluster::Row::Member(_, Some(member)) = row {
        member.address.parse().ok()
    } else {
        None
    }
}

/// Whether whoever is reached there or holds that key is banned.
fn covers(banned: &bans::model::Banned, addr: &HostAddr, key: PublicKey) -> bool {
    let holder = PeerCert {
        // Nobody holds a certificate with this fingerprint.
        fingerprint: Fingerprint([0; 32]),
        key: Some(key),
    };
    banned.covers_cert(&holder) || banned.covers(&PeerInfo::new(None, addr.clone()))
}

/// Where contact material says that a node is reached.
pub(super) fn addresses(material: &wattswarm::Material) -> Vec<HostAddr> {
    let Ok(said) = serde_json::from_str::<serde_json::Value>(material.json()) else {
        return Vec::new();
    };
    let addresses = said["listen_addrs"].as_array().into_iter().flatten();
    addresses
        .filter_map(|addr| addr.as_str()?.parse().ok())
        .collect()
}
