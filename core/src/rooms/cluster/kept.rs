//! What the room remembers, in memory as on the disk.

use serde::{Deserialize, Serialize};

use super::credentials::SharedCredential;
use super::record::Record;
use crate::config::cluster::{Licence, Scopes};
use crate::ids::{ClusterId, PeerId};
use crate::secret::SecretDigest;

/// What one node keeps of another of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "StoredMember")]
pub struct Member {
    /// The newest announcement of the peer's own.
    pub record: Record,
    /// What this node's operator calls it; empty, if it goes by what it calls itself.
    pub remark: String,
    /// Where it is, as given when it was added.
    pub address: String,
    /// When this node stored it, in seconds since the Unix epoch.
    pub created_s: u64,
    /// The number of its last handshake that was taken; each needs a higher one.
    pub hello: u64,
}

/// A peer as it is on a disk.
#[derive(Deserialize)]
struct StoredMember {
    record: Record,
    /// An older disk has one name for the operator's and the peer's own.
    #[serde(default)]
    name: String,
    remark: Option<String>,
    address: String,
    created_s: u64,
    hello: u64,
}

impl From<StoredMember> for Member {
    fn from(stored: StoredMember) -> Self {
        let StoredMember { record, name, .. } = stored;
        let of_operator = if name == record.name {
            String::new()
        } else {
            name
        };
        Self {
            record,
            remark: stored.remark.unwrap_or(of_operator),
            address: stored.address,
            created_s: stored.created_s,
            hello: stored.hello,
        }
    }
}

/// What is kept of a peer that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tombstone {
    /// The peer's newest announcement; not active, if the peer itself has left.
    pub record: Record,
    /// Whether it was deleted here before it left.
    #[serde(default)]
    pub deleted: bool,
    /// The number of its last handshake.
    pub hello: u64,
    /// When it went, in seconds since the Unix epoch.
    pub since_s: u64,
}

impl Tombstone {
    /// Whether an operator deleted the peer, so that it comes back only if it is added.
    #[must_use]
    pub const fn is_deletion(&self) -> bool {
        self.deleted || self.record.is_active()
    }
}

/// What a node keeps of itself in its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Own {
    /// The version of the newest announcement.
    pub version: u64,
    /// What it says the address is.
    pub address: String,
    /// What it says the name is.
    pub name: String,
    /// When the node left its cluster, in seconds since the Unix epoch.
    pub left_s: Option<u64>,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The number of the last handshake that this node began.
    pub hello: u64,
    /// The licence under which its peers came; not known of an older disk.
    #[serde(default)]
    pub licence: Option<LicenceName>,
}

/// Which licence it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LicenceName {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub customer_id: Option<String>,
}

/// A credential of this node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Credential {
    /// What is kept of its secret.
    pub digest: SecretDigest,
    /// What its tokens allow.
    pub scopes: Scopes,
    /// When it was made, in seconds since the Unix epoch.
    pub created_s: u64,
}

/// A licence that came with a bootstrap.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bought {
    /// The licence.
    pub licence: Licence,
}

/// What of the room is durable.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Row {
    /// The licence of a bootstrap.
    Bought(Option<Bought>),
    /// A credential of this node, by its client.
    Credential(String, Option<Credential>),
    /// A peer.
    Member(PeerId, Option<Box<Member>>),
    /// This node.
    Own(Option<Own>),
    /// The credential that the cluster shares.
    Shared(Option<Box<SharedCredential>>),
    /// A peer that is gone.
    Tombstone(PeerId, Option<Box<Tombstone>>),
    /// When a credential was last used, in seconds since the Unix epoch; a hint.
    Used(String, Option<u64>),
}
