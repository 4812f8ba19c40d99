//! Members that lie: they know a licence, have a key and an address, and misuse all three.
//!
//! A stranger shakes hands like anybody, with its own key or with somebody else's name; it tells of
//! others what they never said, brings up what they said long ago, and answers as somebody else.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use peerage_core::ids::ClusterId;
use peerage_core::rooms::cluster::gossip::Digest;
use peerage_core::rooms::cluster::handshake::{Hello, VERSION, Welcome, Why};
use peerage_core::rooms::cluster::record::Record;
use peerage_core::rooms::cluster::{Identity, Request, Response};

use super::Clusters;
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// One of them.
#[derive(Clone, Debug)]
pub struct Stranger {
    clusters: Clusters,
    node: u32,
    nodes: u32,
    luck: Luck,
    /// The version of what it says of itself.
    version: u64,
    number: u64,
    /// What others said of themselves, as it once heard it.
    records: Vec<Record>,
    /// Hellos and messages that it was sent.
    sent: Vec<Request>,
}

/// What a stranger remembers of each kind.
const HEARD_MAX: usize = 32;

impl Stranger {
    /// The stranger in this node's place.
    #[must_use]
    pub fn new(seeds: &Seeds, node: u32, nodes: u32, clusters: Clusters) -> Self {
        Self {
            clusters,
            node,
            nodes,
            luck: seeds.family("strangers").luck(node.into()),
            version: 1,
            number: 0,
            records: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// All luck comes from this stream from now on.
    pub fn reseed(&mut self, luck: Luck) {
        self.luck = luck;
    }

    /// Whom it bothers now with something of the cluster's, if with that.
    pub fn act(&mut self, roster: &Roster, wall_secs: u64) -> Option<(u32, Request)> {
        if self.luck.chance(500_000) {
            return None;
        }
        let target = loop {
            let target = self.luck.below(self.nodes.into()) as u32;
            if target != self.node {
                break target;
            }
        };
        let request = match self.luck.below(8) {
            0 | 1 => self.hello(roster, target, wall_secs),
            2 | 3 => Request::Gossip(Arc::new(self.digest(roster, target))),
            4 => Request::Deactivate(Arc::new(self.farewell(roster, wall_secs))),
            5 if !self.sent.is_empty() => self.sent[self.luck.index(self.sent.len())].clone(),
            6 => {
                self.version += 1;
                self.hello(roster, target, wall_secs)
            }
            _ => Request::Identity,
        };
        Some((target, request))
    }

    /// Remembers what it is sent.
    pub fn hear(&mut self, request: &Request) {
        if let Request::Gossip(digest) = request {
            for record in &digest.records {
                keep(&mut self.luck, &mut self.records, record.clone());
            }
        }
        if matches!(request, Request::Gossip(_) | Request::Handshake(_)) {
            keep(&mut self.luck, &mut self.sent, request.clone());
        }
    }

    /// What it says to a question.
    pub fn answer(&mut self, roster: &Roster, request: &Request) -> Option<Response> {
        let itself = self.luck.chance(600_000);
        if matches!(request, Request::Identity) {
            let whose = if itself { self.node } else { self.anybody() };
            return Some(Response::Identity(Box::new(Identity {
                peer_id: roster.cluster_peer(whose),
                public_key: roster.identity(whose).public_key,
                licence_id: self.licence(),
                customer_id: None,
                cluster_id: roster.cluster_peer(whose).own_cluster(),
            })));
        }
        if let Request::Handshake(hello) = request {
            let whose = if itself { self.node } else { self.anybody() };
            let mut welcome = Welcome {
                licence_id: self.licence(),
                cluster_id: self.cluster(roster),
                record: self.record(roster, whose),
                mac: None,
                signature: [0; 64],
            };
            let secret = self.clusters.shared_secret(self.node);
            welcome.sign(hello, &self.key(roster), secret.as_ref());
            return Some(Response::Welcome(Arc::new(welcome)));
        }
        if let Request::Gossip(asked) = request {
            let to = roster.cluster_node(asked.from)?;
            let mut digest = self.digest(roster, to);
            if itself {
                digest.nonce = asked.nonce;
            }
            digest.sign(&self.key(roster));
            return Some(Response::Gossip(Arc::new(digest)));
        }
        matches!(request, Request::Deactivate(_)).then_some(Response::Applied(true))
    }

    fn key(&self, roster: &Roster) -> SigningKey {
        SigningKey::from_bytes(&roster.identity(self.node).secret)
    }

    fn anybody(&mut self) -> u32 {
        self.luck.below(self.nodes.into()) as u32
    }

    fn licence(&mut self) -> String {
        if self.luck.chance(100_000) {
            return "lic_none".to_owned();
        }
        self.clusters.licence_of(self.node)
    }

    /// A cluster that may be older than all others.
    fn cluster(&mut self, roster: &Roster) -> ClusterId {
        if self.luck.chance(900_000) {
            return roster.cluster_peer(self.node).own_cluster();
        }
        ClusterId::from_parts(1_600_000_000_000 + self.luck.below(1_000), 7)
    }

    /// What a node might say of itself, signed with the stranger's key: good only for its own.
    fn record(&mut self, roster: &Roster, of: u32) -> Record {
        let own = of == self.node;
        let address = match self.luck.below(3) {
            // It wants to be called in the other's place.
            0 if !own => Roster::addr(self.node),
            _ => Roster::addr(of),
        };
        let mut record = Record {
            peer_id: roster.cluster_peer(of),
            version: if own {
                self.version
            } else {
                1 + self.luck.below(50)
            },
            address: address.to_string(),
            public_key: roster
                .identity(if own || self.luck.chance(800_000) {
                    of
                } else {
                    self.node
                })
                .public_key,
            name: if self.luck.chance(100_000) {
                "liar".to_owned()
            } else {
                String::new()
            },
            deactivated_at: None,
            signature: [0; 64],
        };
        record.sign(&self.key(roster));
        record
    }

    /// Somebody is said to have left: itself, or another that never said so.
    fn farewell(&mut self, roster: &Roster, wall_secs: u64) -> Record {
        let of = if self.luck.chance(150_000) {
            self.version += 1;
            self.node
        } else {
            self.anybody()
        };
        let mut record = self.record(roster, of);
        record.deactivated_at = Some(wall_secs);
        record.sign(&self.key(roster));
        record
    }

    fn hello(&mut self, roster: &Roster, target: u32, wall_secs: u64) -> Request {
        let of = if self.luck.chance(700_000) {
            self.node
        } else {
            self.anybody()
        };
        if !self.luck.chance(150_000) {
            self.number = self.number.max(wall_secs * 1_000_000) + 1;
        }
        let mut hello = Hello {
            version: VERSION,
            to: roster.cluster_peer(if self.luck.chance(950_000) {
                target
            } else {
                self.node
            }),
            challenge: [self.luck.bits() as u8; 32],
            number: self.number,
            why: if self.luck.chance(500_000) {
                Why::Add
            } else {
                Why::Discovery
            },
            licence_id: self.licence(),
            customer_id: None,
            cluster_id: self.cluster(roster),
            record: self.record(roster, of),
            mac: None,
            signature: [0; 64],
        };
        let secret = self.clusters.shared_secret(self.node);
        hello.sign(&self.key(roster), secret.as_ref());
        Request::Handshake(Arc::new(hello))
    }

    fn digest(&mut self, roster: &Roster, target: u32) -> Digest {
        let from = if self.luck.chance(850_000) {
            self.node
        } else {
            self.anybody()
        };
        let mut records = vec![self.record(roster, self.node)];
        for _ in 0..self.luck.below(4) {
            let record = match self.luck.below(3) {
                0 if !self.records.is_empty() => {
                    self.records[self.luck.index(self.records.len())].clone()
                }
                1 => {
                    let of = self.anybody();
                    let mut record = self.record(roster, of);
                    record.deactivated_at = Some(1_700_000_000);
                    record
                }
                _ => {
                    let of = self.anybody();
                    self.record(roster, of)
                }
            };
            records.push(record);
        }
        let mut digest = Digest {
            from: roster.cluster_peer(from),
            to: roster.cluster_peer(target),
            nonce: self.luck.bits() >> 11,
            cluster_id: self.cluster(roster),
            records,
            credential: None,
            signature: [0; 64],
        };
        digest.sign(&self.key(roster));
        digest
    }
}

fn keep<T>(luck: &mut Luck, all: &mut Vec<T>, one: T) {
    if all.len() < HEARD_MAX {
        all.push(one);
    } else {
        let place = luck.index(HEARD_MAX);
        all[place] = one;
    }
}
