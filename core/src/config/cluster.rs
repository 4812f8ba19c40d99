//! What an operator may set for the cluster family: licence, tokens, clients, the shared secret.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::commons::address::HostAddr;
use crate::ids::{PeerId, PublicKey};
use crate::secret::SecretDigest;
use crate::time::Duration;

/// The settings of a node in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The node's name, minted once.
    pub peer_id: PeerId,
    /// Where the other nodes of the cluster reach this one.
    pub address: HostAddr,
    /// What ties the nodes of a cluster together.
    pub licence: Licence,
    /// Whose signature a licence must have that comes with `POST /v1/bootstrap` or
    /// `PUT /v1/license`; without, none is taken.
    pub licence_key: Option<PublicKey>,
    /// Bearer tokens that always hold.
    pub tokens: Vec<FixedToken>,
    /// Who may ask for tokens.
    pub clients: Vec<FixedClient>,
    /// What whoever joins must know besides the licence.
    pub secret: Option<ClusterSecret>,
    /// Mean pause between two rounds of heartbeats.
    pub gossip_interval: Duration,
    /// How long an answer of another node may take.
    pub call_timeout: Duration,
    /// A peer that has not answered for this long is called unreachable.
    pub unreachable_after: Duration,
}

impl Cluster {
    /// The settings of the node named `peer_id` at `address`: a developer licence, and nobody who
    /// may ask for anything.
    #[must_use]
    pub fn new(peer_id: PeerId, address: HostAddr) -> Self {
        Self {
            peer_id,
            address,
            licence: Licence::default(),
            licence_key: None,
            tokens: Vec::new(),
            clients: Vec::new(),
            secret: None,
            gossip_interval: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            unreachable_after: Duration::from_secs(30),
        }
    }
}

/// A licence: which nodes belong together, and how many they may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Licence {
    /// Its name, the same on all nodes of a cluster.
    pub id: String,
    /// Whose it is; where both sides name a customer, that decides instead of the id.
    pub customer_id: Option<String>,
    /// Active nodes of the cluster at most, this one included.
    pub nodes_max: u32,
    /// Services of the cluster at most; told, but nothing here counts services.
    pub services_max: u32,
    /// When it ends, in seconds since the Unix epoch; `None` if it does not.
    pub expires_s: Option<u64>,
}

/// The licence of who has none.
pub const DEVELOPER_LICENCE: &str = "lic_01HF7YATW000000000000000DE";

impl Licence {
    /// Whether it is that of who has none, so that another may take its place.
    #[must_use]
    pub fn is_developers(&self) -> bool {
        self.id == DEVELOPER_LICENCE
    }
}

impl Default for Licence {
    fn default() -> Self {
        Self {
            id: DEVELOPER_LICENCE.into(),
            customer_id: None,
            nodes_max: 64,
            services_max: 0,
            expires_s: None,
        }
    }
}

/// A bearer token of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedToken {
    /// What is kept of its text.
    pub digest: SecretDigest,
    /// What it allows.
    pub scopes: Scopes,
}

/// A client of the operator's, which may ask for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedClient {
    /// Its name.
    pub id: String,
    /// What is kept of its secret.
    pub digest: SecretDigest,
    /// What its tokens allow.
    pub scopes: Scopes,
}

/// A secret that the nodes of a cluster share. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret(pub Vec<u8>);

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

/// What a token allows: a set of scopes. Text form: the names, long or short. Rule: cluster API,
/// scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scopes(u8);

/// A name that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{name}`; expected {}", Scopes::short_names())]
pub struct UnknownScope {
    name: String,
}

const PREFIX: &str = "urn:tillered:arctic:";
const NAMES: [&str; 7] = [
    "admin",
    "peers.read",
    "peers.write",
    "services.read",
    "services.write",
    "credentials.read",
    "credentials.write",
];

impl Scopes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ADMIN: Self = Self(1);
    /// Reading of peers.
    pub const PEERS_READ: Self = Self(1 << 1);
    /// Adding, changing and deleting of peers.
    pub const PEERS_WRITE: Self = Self(1 << 2);
    /// Reading of credentials.
    pub const CREDENTIALS_READ: Self = Self(1 << 5);
    /// Making and revoking of credentials.
    pub const CREDENTIALS_WRITE: Self = Self(1 << 6);

    /// Whether it allows all that `needed` does. `admin` allows everything; otherwise no scope
    /// implies another.
    #[must_use]
    pub const fn allow(self, needed: Self) -> bool {
        self.0 & Self::ADMIN.0 != 0 || self.0 & needed.0 == needed.0
    }

    /// Whether it allows nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What both allow.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        if self.0 & Self::ADMIN.0 != 0 {
            other
        } else if other.0 & Self::ADMIN.0 != 0 {
            self
        } else {
            Self(self.0 & other.0)
        }
    }

    /// What either allows.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set of one scope, by its long or its short name.
    ///
    /// # Errors
    /// [`UnknownScope`] if there is none of that name.
    pub fn of(name: &str) -> Result<Self, UnknownScope> {
        let short = name.strip_prefix(PREFIX).unwrap_or(name);
        NAMES
            .iter()
            .position(|known| *known == short)
            .map(|place| Self(1 << place))
            .ok_or_else(|| UnknownScope {
                name: name.chars().take(64).collect(),
            })
    }

    /// The set of all these.
    ///
    /// # Errors
    /// [`UnknownScope`] for the first that there is not.
    pub fn of_all<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownScope> {
        names
            .into_iter()
            .try_fold(Self::default(), |set, name| Ok(set.union(Self::of(name)?)))
    }

    /// The long names.
    pub fn names(self) -> impl Iterator<Item = String> {
        NAMES
            .iter()
            .enumerate()
            .filter(move |(place, _)| self.0 & (1 << place) != 0)
            .map(|(_, name)| format!("{PREFIX}{name}"))
    }

    /// The long names of all scopes that there are.
    pub fn all_names() -> impl Iterator<Item = String> {
        Self(0x7f).names()
    }

    fn short_names() -> String {
        NAMES.join(", ")
    }
}

impl fmt::Display for Scopes {
    /// The long names, with a blank between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Self::of_all(names.iter().map(String::as_str)).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_two_spellings_and_imply_nothing_but_admin() {
        let read = Scopes::of("peers.read").expect("a scope");
        assert_eq!(Scopes::of("urn:tillered:arctic:peers.read"), Ok(read));
        assert_eq!(read, Scopes::PEERS_READ);
        let write = Scopes::of_all(["peers.write"]).expect("a scope");
        assert!(!write.allow(Scopes::PEERS_READ) && !read.allow(Scopes::PEERS_WRITE));
        assert!(Scopes::ADMIN.allow(read.union(write)));
        assert!(!read.union(write).allow(Scopes::ADMIN));
        assert!(Scopes::of("peers").is_err() && Scopes::of("").is_err());
        assert_eq!(
            read.union(Scopes::ADMIN).to_string(),
            "urn:tillered:arctic:admin urn:tillered:arctic:peers.read"
        );
    }

    #[test]
    fn what_is_common_is_never_more_than_either() {
        let read = Scopes::PEERS_READ;
        assert_eq!(Scopes::ADMIN.common(read), read);
        assert_eq!(read.common(Scopes::ADMIN), read);
        assert!(read.common(Scopes::PEERS_WRITE).is_empty());
    }
}
