//! Clusters: which licences there are, who has which, and what operators do with them.
//!
//! Every world has the room; only where there are clusters does anybody hold a token for it.
//! `operators.rs` are the users, `stranger.rs` are members that lie, `look.rs` sees what came of it
//! and `measure.rs` what it costs.

pub mod look;
pub mod measure;
mod operators;
mod stranger;

use std::fmt;

use ed25519_dalek::SigningKey;
use peerage_core::Config;
use peerage_core::config::cluster::{ClusterSecret, FixedClient, FixedToken, Licence, Scopes};
use peerage_core::ids::PublicKey;
use peerage_core::rooms::cluster::licence::SignedLicence;
use peerage_core::secret::SecretDigest;
use peerage_core::time::Duration;

pub use self::operators::{Operators, Order};
pub use self::stranger::Stranger;
use crate::seed::{Luck, Seeds};

/// The clusters of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clusters {
    /// How many licences there are; they are dealt in turn, n0 has the first.
    pub licences: u32,
    /// How many nodes each licence allows.
    pub nodes_max: u32,
    /// Whether the nodes of a licence share a secret as well.
    pub secret: bool,
    /// Whether nodes are sold their licences while they run; before that they have a developer's.
    pub sold: bool,
    /// Mean pause between two rounds of heartbeats.
    pub gossip_interval: Duration,
    /// What operators do.
    pub work: Chores,
}

/// What operators do, as weights beside those of the other users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chores {
    /// Weight of adds: one node is told of another.
    pub add: u32,
    /// Weight of deletions: one node forgets another.
    pub delete: u32,
    /// Weight of new names.
    pub rename: u32,
    /// Weight of reads.
    pub read: u32,
    /// Weight of departures: a node leaves its cluster.
    pub leave: u32,
    /// Weight of returns: a node that has left begins its cluster anew.
    pub init: u32,
    /// Weight of new tokens.
    pub token: u32,
    /// Weight of new, listed and deleted credentials.
    pub credential: u32,
    /// Weight of rotations of the credential that a cluster shares.
    pub rotate: u32,
}

/// The fixed tokens of every node, with what they allow.
pub const TOKENS: [(&str, Scopes); 4] = [
    ("admin", Scopes::ADMIN),
    ("reader", Scopes::PEERS_READ),
    ("writer", Scopes::PEERS_READ.union(Scopes::PEERS_WRITE)),
    (
        "keeper",
        Scopes::CREDENTIALS_READ.union(Scopes::CREDENTIALS_WRITE),
    ),
];

/// The fixed client of every node, and its secret.
pub const CLIENT: (&str, &str) = ("robot", "secret of the robot");

/// The number under which the seller of licences has its key.
const SELLER: u32 = u32::MAX - 7;

impl Chores {
    /// All weights together but that of returns, which are drawn apart.
    #[must_use]
    pub const fn sum(&self) -> u32 {
        self.add
            + self.delete
            + self.rename
            + self.read
            + self.leave
            + self.token
            + self.credential
            + self.rotate
    }
}

impl Default for Clusters {
    /// One licence for everybody, and nobody who does anything with it.
    fn default() -> Self {
        let developer = Licence::default();
        Self {
            licences: 1,
            nodes_max: developer.nodes_max,
            secret: false,
            sold: false,
            gossip_interval: Duration::from_secs(5),
            work: Chores::default(),
        }
    }
}

impl Clusters {
    /// What the seed draws for so many nodes.
    #[must_use]
    pub fn drawn(luck: &mut Luck, nodes: u32) -> Self {
        let mut weight = |most: u64| {
            if luck.below(5) == 0 {
                0
            } else {
                luck.range(1, most) as u32
            }
        };
        let work = Chores {
            add: 5 + weight(20),
            delete: weight(6),
            rename: weight(6),
            read: weight(20),
            leave: weight(3),
            // Drawn apart, so that nothing else is another where nobody leaves.
            init: 0,
            token: weight(10),
            credential: weight(6),
            rotate: weight(3),
        };
        let tight = luck.range(2, u64::from(nodes) + 2) as u32;
        Self {
            licences: if luck.below(3) == 0 { 2 } else { 1 },
            nodes_max: if luck.below(4) == 0 { tight } else { 64 },
            secret: luck.below(3) == 0,
            sold: luck.below(4) == 0,
            gossip_interval: Duration::from_millis(luck.range(500, 5_000)),
            work,
        }
    }

    /// How much longer the calm may take where there are clusters, in microseconds: a peer that did
    /// not answer is tried again after 32 rounds at the latest.
    #[must_use]
    pub fn settle(&self) -> u64 {
        80 * peerage_core::time::micros(self.gossip_interval)
    }

    /// Gives a node its part in the clusters.
    pub fn configure(&self, seeds: &Seeds, node: u32, config: &mut Config) {
        let number = node % self.licences.max(1);
        let sessions = &config.sessions;
        let call_timeout = sessions.request_timeout.max(sessions.probe_timeout);
        let cluster = &mut config.cluster;
        cluster.licence = Licence {
            nodes_max: self.nodes_max,
            ..Licence::default()
        };
        if self.sold {
            cluster.licence_key = Some(PublicKey(seller(seeds).verifying_key().to_bytes()));
        } else {
            cluster.licence.id = licence_id(number);
        }
        cluster.tokens = TOKENS
            .map(|(token, scopes)| FixedToken {
                digest: SecretDigest::of(token),
                scopes,
            })
            .into();
        cluster.clients = vec![FixedClient {
            id: CLIENT.0.to_owned(),
            digest: SecretDigest::of(CLIENT.1),
            scopes: Scopes::PEERS_READ,
        }];
        cluster.secret = self.shared_secret(node);
        cluster.gossip_interval = self.gossip_interval;
        cluster.call_timeout = call_timeout;
    }

    /// The secret that a node shares with the others of its licence.
    #[must_use]
    pub fn shared_secret(&self, node: u32) -> Option<ClusterSecret> {
        let number = node % self.licences.max(1);
        let text = format!("what all with licence {number} know");
        self.secret.then(|| ClusterSecret(text.into_bytes()))
    }

    /// The name of a node's licence, once it has been sold one.
    #[must_use]
    pub fn licence_of(&self, node: u32) -> String {
        licence_id(node % self.licences.max(1))
    }

    /// The name of a licence that nodes once had.
    #[must_use]
    pub fn former_licence() -> String {
        licence_id(u32::MAX)
    }

    /// A licence for a node, signed by the seller.
    #[must_use]
    pub fn sell(&self, seeds: &Seeds, node: u32, expires_s: u64) -> SignedLicence {
        let mut licence = SignedLicence {
            customer_id: format!("cust_{}", node % self.licences.max(1)),
            licence_id: self.licence_of(node),
            issued_s: 1_700_000_000,
            expires_s,
            nodes_max: self.nodes_max,
            services_max: 0,
            signature: [0; 64],
        };
        licence.sign(&seller(seeds));
        licence
    }
}

fn seller(seeds: &Seeds) -> SigningKey {
    SigningKey::from_bytes(&seeds.identity(SELLER))
}

fn licence_id(number: u32) -> String {
    format!("lic_{number:026}")
}

impl fmt::Display for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chores {
            add,
            delete,
            rename,
            read,
            leave,
            init,
            token,
            credential,
            rotate,
        } = self.work;
        let with = |is: bool, text: &'static str| if is { text } else { "" };
        write!(
            f,
            "{} licences for {} nodes each{}{}, heartbeats every {} ms; weights: add {add}, \
             delete {delete},\n          rename {rename}, read {read}, leave {leave}, init {init}, \
             token {token}, credential {credential}, rotate {rotate}",
            self.licences,
            self.nodes_max,
            with(self.secret, " and a secret"),
            with(self.sold, ", to be bought"),
            peerage_core::time::micros(self.gossip_interval) / 1_000,
        )
    }
}
