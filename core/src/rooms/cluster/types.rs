//! What the cluster's endpoints are asked and answer.

use std::sync::Arc;

use super::credentials::NewCredential;
use super::failure::Failure;
use super::gossip::Digest;
use super::handshake::{Hello, Welcome};
use super::licence::{LicenceField, SignedLicence};
use super::record::Record;
use super::tokens::Claims;
use crate::calls::Charge;
use crate::commons::address::HostAddr;
use crate::config::cluster::{Licence, Scopes};
use crate::ids::{ClusterId, PeerId, PublicKey};
use crate::input::{RequestId, Secret};
use crate::secret::SecretDigest;

/// What a record takes in memory, roughly.
const RECORD_BYTES: usize = 512;

/// What can be asked. What is wrong with a body is part of the question, since the caller's token
/// is looked at first.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Request {
    /// `POST /v1/peers`.
    AddPeer(Result<AddPeer, Malformed>),
    /// `POST /v1/bootstrap`.
    Bootstrap(Result<Box<Bootstrap>, Malformed>),
    /// `GET /v1/cluster/credentials`.
    ClusterCredential,
    /// `GET /v1/credentials`.
    Credentials,
    /// `POST /v1/cluster/deactivate`, from a node that leaves.
    Deactivate(Arc<Record>),
    /// `DELETE /v1/credentials/{client_id}`.
    DeleteCredential(String),
    /// `DELETE /v1/peers/{id}`; `None` for a text that is no id.
    DeletePeer(Option<PeerId>),
    /// `DELETE /v1/peers/self`.
    DeleteSelf,
    /// `POST /v1/cluster/gossip`, from another node.
    Gossip(Arc<Digest>),
    /// `POST /v1/cluster/handshake`, from another node.
    Handshake(Arc<Hello>),
    /// `GET /livez` and `GET /readyz`.
    Health {
        /// Which of the two.
        ready: bool,
    },
    /// `GET /v1/cluster/identity`.
    Identity,
    /// `POST /v1/cluster/init`; whether a node that has left is to begin anew.
    Init(Result<bool, Malformed>),
    /// `GET /.well-known/jwks.json`.
    Jwks,
    /// `GET /v1/license`.
    Licence,
    /// `POST /v1/credentials`; `None` for the caller's own scopes.
    MakeCredential(Result<Option<Scopes>, Malformed>),
    /// `GET /.well-known/openid-configuration`.
    OpenId,
    /// `GET /v1/peers/{id}`.
    Peer(Option<PeerId>),
    /// `GET /v1/peers`, perhaps only the local or the other ones.
    Peers(Result<Option<bool>, Malformed>),
    /// `PUT /v1/peers/{id}`, perhaps with a name.
    RenamePeer(Option<PeerId>, Result<Option<String>, Malformed>),
    /// `PUT /v1/license`.
    ReplaceLicence(Result<Box<SignedLicence>, Malformed>),
    /// `POST /v1/cluster/credentials/rotate`.
    Rotate,
    /// `GET /v1/cluster/status`.
    Status,
    /// `POST /v1/cluster/sync`.
    Sync,
    /// `POST /v1/oauth/token`.
    Token(TokenForm),
}

impl Request {
    /// How much memory the request keeps for itself alone, roughly.
    pub(crate) fn byte_size(&self) -> usize {
        if let Self::Gossip(digest) = self {
            RECORD_BYTES * digest.records.len()
        } else {
            0
        }
    }

    /// What is asked, as a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AddPeer(_) => "cluster_add_peer",
            Self::Bootstrap(_) => "cluster_bootstrap",
            Self::ClusterCredential => "cluster_credential",
            Self::Credentials => "credentials",
            Self::Deactivate(_) => "cluster_deactivate",
            Self::DeleteCredential(_) => "delete_credential",
            Self::DeletePeer(_) => "cluster_delete_peer",
            Self::DeleteSelf => "cluster_delete_self",
            Self::Gossip(_) => "cluster_gossip",
            Self::Handshake(_) => "cluster_handshake",
            Self::Health { ready: false } => "livez",
            Self::Health { ready: true } => "readyz",
            Self::Identity => "cluster_identity",
            Self::Init(_) => "cluster_init",
            Self::Jwks => "jwks",
            Self::Licence => "license",
            Self::MakeCredential(_) => "make_credential",
            Self::OpenId => "openid_configuration",
            Self::Peer(_) => "cluster_peer",
            Self::Peers(_) => "cluster_peers",
            Self::RenamePeer(..) => "cluster_rename_peer",
            Self::ReplaceLicence(_) => "replace_license",
            Self::Rotate => "rotate_cluster_credential",
            Self::Status => "cluster_status",
            Self::Sync => "cluster_sync",
            Self::Token(_) => "oauth_token",
        }
    }

    /// Whether another node may ask it, on the listener that nodes reach.
    #[must_use]
    pub const fn is_of_nodes(&self) -> bool {
        matches!(
            self,
            Self::Deactivate(_) | Self::Gossip(_) | Self::Handshake(_) | Self::Identity
        )
    }

    /// Chainweb nodes do not have these endpoints.
    #[must_use]
    pub const fn charge(&self) -> Option<Charge> {
        None
    }

    /// Nodes read all answers again.
    #[must_use]
    pub const fn answer_is_read(&self) -> bool {
        true
    }
}

/// What is wrong with a body or a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// `address` is not a host and a port.
    Address,
    /// There is no `address`.
    AddressMissing,
    /// `force` is neither `true` nor `false`.
    Force,
    /// `is_local` is neither `true` nor `false`.
    IsLocal,
    /// `license` is no object.
    Licence,
    /// A field of `license` is missing, or has another form.
    LicenceField(LicenceField),
    /// There is no `license`.
    LicenceMissing,
    /// `name` is no string, or too long.
    Name,
    /// Not a JSON object.
    NotJson,
    /// `scopes` is not a list of scopes.
    Scopes,
}

impl Malformed {
    /// What the caller is told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Address => "address must be host:port",
            Self::AddressMissing => "address is required",
            Self::Force => "force must be true or false",
            Self::IsLocal => "is_local must be true or false",
            Self::Licence => "license must be an object",
            Self::LicenceField(field) => field.text(),
            Self::LicenceMissing => "license is required",
            Self::Name => "name must be a string of at most 255 characters",
            Self::NotJson => "the body must be a JSON object",
            Self::Scopes => "scopes must be a list of known scopes",
        }
    }
}

/// The body of `POST /v1/peers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddPeer {
    /// Where the peer is.
    pub address: HostAddr,
    /// What to call it.
    pub name: Option<String>,
}

/// The body of `POST /v1/bootstrap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bootstrap {
    /// The licence.
    pub licence: SignedLicence,
    /// What the node is to be called.
    pub name: Option<String>,
}

/// The form of `POST /v1/oauth/token`, as far as it is there. Rule: RFC 6749, 4.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenForm {
    /// What is presented for a token.
    pub grant: Grant,
    /// The client's name.
    pub client: Option<String>,
    /// The client's secret.
    pub secret: Option<Secret>,
    /// What the token is to allow, if less than the client may.
    pub scopes: Option<Result<Scopes, Malformed>>,
}

/// What is presented for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grant {
    /// The client's own secret, the only kind there is.
    Client,
    /// None is named, or a parameter is there twice.
    Missing,
    /// Something else.
    Other,
}

/// What can be answered.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Response {
    /// Whether an announcement told something new.
    Applied(bool),
    /// The node has its licence.
    Bootstrapped(Box<Bootstrapped>),
    /// The credential that the cluster shares.
    ClusterCredential(Box<CredentialView>),
    /// A credential was made.
    CredentialMade(Box<NewCredential>),
    /// Every credential.
    Credentials(Vec<CredentialListed>),
    /// This node has left its cluster.
    Deactivated(Deactivated),
    /// The peer or credential is gone.
    Deleted,
    /// No.
    Failed(Failure),
    /// How the node's cluster began.
    Founding(Box<Founding>),
    /// What the answering node knows of the cluster.
    Gossip(Arc<Digest>),
    /// The node is there.
    Healthy {
        /// Its clock, in seconds since the Unix epoch.
        now_s: u64,
    },
    /// Who the node is.
    Identity(Box<Identity>),
    /// The key that tokens are signed with.
    Jwks(PeerId, PublicKey),
    /// The licence.
    Licence(Box<Licence>),
    /// Where tokens come from.
    OpenId(PeerId, HostAddr),
    /// One peer.
    Peer {
        /// The peer.
        peer: Box<PeerView>,
        /// Whether it was just added.
        added: bool,
    },
    /// Every peer, the local one first.
    Peers(Vec<PeerView>),
    /// How the peers are.
    Status(Vec<PeerStatus>),
    /// A token.
    Token {
        /// Its text.
        token: Secret,
        /// For how many seconds it holds.
        expires_in: u64,
        /// What it allows.
        scopes: Scopes,
    },
    /// A round of heartbeats goes out.
    Triggered,
    /// A handshake that succeeded.
    Welcome(Arc<Welcome>),
}

impl Response {
    /// How much memory the answer keeps for itself alone, roughly.
    pub(crate) fn byte_size(&self) -> usize {
        if let Self::Gossip(digest) = self {
            RECORD_BYTES * digest.records.len()
        } else if let Self::Peers(peers) = self {
            RECORD_BYTES * peers.len()
        } else if let Self::Credentials(all) = self {
            RECORD_BYTES * all.len()
        } else if let Self::Status(peers) = self {
            size_of::<PeerStatus>() * peers.len()
        } else {
            0
        }
    }

    /// Whether the answer tells a secret.
    #[must_use]
    pub const fn tells_secret(&self) -> bool {
        matches!(
            self,
            Self::Bootstrapped(_)
                | Self::ClusterCredential(_)
                | Self::CredentialMade(_)
                | Self::Token { .. }
        )
    }

    /// The status under which the answer goes out.
    #[must_use]
    pub const fn status(&self) -> u16 {
        if let Self::Failed(failure) = self {
            failure.status()
        } else if matches!(
            self,
            Self::Peer { added: true, .. } | Self::Bootstrapped(_) | Self::CredentialMade(_)
        ) {
            201
        } else {
            200
        }
    }
}

/// A peer as it is served. Rule: cluster API, the peer object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerView {
    /// Its name in the cluster.
    pub id: PeerId,
    /// What people call it.
    pub name: String,
    /// Its key.
    pub public_key: PublicKey,
    /// Whether it is the node that answers.
    pub is_local: bool,
    /// Where it is.
    pub address: HostAddr,
    /// When this node stored it, in seconds since the Unix epoch.
    pub created_s: u64,
}

/// Who a node is. Rule: cluster API, `GET /v1/cluster/identity`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its name in the cluster.
    pub peer_id: PeerId,
    /// Its key.
    pub public_key: PublicKey,
    /// Its licence.
    pub licence_id: String,
    /// Whose licence it is.
    pub customer_id: Option<String>,
    /// Its cluster.
    pub cluster_id: ClusterId,
}

/// How a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerStatus {
    /// Its name in the cluster.
    pub peer_id: PeerId,
    /// When it last answered, in seconds since the Unix epoch; not before this run.
    pub last_seen_s: Option<u64>,
    /// Whether it answered lately.
    pub reachable: bool,
}

/// The answer to `DELETE /v1/peers/self`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deactivated {
    /// This node.
    pub peer_id: PeerId,
    /// The version of its announcement.
    pub version: u64,
    /// When, in seconds since the Unix epoch.
    pub at_s: u64,
}

/// The answer to `POST /v1/cluster/init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Founding {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The node that the cluster was before it met another.
    pub created_by: PeerId,
    /// The peer that was minted first, of this node and those that it knows.
    pub oldest_peer_id: PeerId,
    /// Whether the cluster began just now.
    pub was_created: bool,
}

/// A credential as it is listed: never its secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialListed {
    /// Its client.
    pub client_id: String,
    /// What its tokens allow.
    pub scopes: Scopes,
    /// The node's licence.
    pub licence_id: String,
    /// When it was made, in seconds since the Unix epoch.
    pub created_s: u64,
    /// When a token was last made with it.
    pub used_s: Option<u64>,
}

/// The credential that a cluster shares, as it is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialView {
    /// Its client.
    pub client_id: String,
    /// Its new secret, told once to who had it rotated.
    pub secret: Option<Secret>,
    /// How often it was rotated, and one.
    pub version: u64,
    /// Which node did so last.
    pub rotated_by: PeerId,
    /// When, in seconds since the Unix epoch.
    pub rotated_s: u64,
}

/// The answer to `POST /v1/bootstrap`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bootstrapped {
    /// This node.
    pub peer_id: PeerId,
    /// Its key.
    pub public_key: PublicKey,
    /// The client that may ask for tokens.
    pub client_id: String,
    /// Its secret, told only here.
    pub secret: Secret,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// The licence.
    pub licence: Licence,
}

/// What to do once a call is answered or a check is done.
#[derive(Clone, Debug)]
pub enum Then {
    /// A token's signature is checked: next, do what its bearer asked.
    Authorized {
        /// The request.
        id: RequestId,
        /// What the token says.
        claims: Arc<Claims>,
        /// What is kept of the token.
        digest: SecretDigest,
        /// What is asked.
        request: Box<Request>,
    },
    /// A leaving node's announcement is checked.
    Bade {
        /// Who is owed the answer.
        id: RequestId,
        /// The announcement.
        record: Arc<Record>,
    },
    /// A peer was told that this node leaves.
    Farewell {
        /// The peer.
        peer: PeerId,
    },
    /// The licence of a bootstrap is checked.
    Licensed {
        /// Who is owed the answer.
        id: RequestId,
        /// What was asked.
        bootstrap: Box<Bootstrap>,
    },
    /// A peer answered a heartbeat.
    Gossiped {
        /// The peer.
        peer: PeerId,
        /// What its answer must repeat.
        nonce: u64,
    },
    /// Another node's handshake is checked.
    Greeted {
        /// The request.
        id: RequestId,
        /// What it says.
        hello: Arc<Hello>,
    },
    /// A peer that is to be added said who it is.
    Identified {
        /// Who is owed the answer.
        id: RequestId,
        /// What was asked.
        add: AddPeer,
    },
    /// The signatures of a gossip message are checked.
    Learned {
        /// Who is owed an answer; nobody, if the message is one.
        id: Option<RequestId>,
        /// The message.
        digest: Arc<Digest>,
        /// The places of its records whose signatures were checked.
        checked: Vec<usize>,
        /// Whether the shared credential's signature was checked.
        credential: bool,
    },
    /// What this node is said to have said before it lost its disk is checked.
    Reminded {
        /// Who is owed the answer.
        id: RequestId,
        /// The message that was asked with.
        question: Arc<Digest>,
        /// The announcement.
        record: Arc<Record>,
    },
    /// The licence that is to replace another is checked.
    Relicensed {
        /// Who is owed the answer.
        id: RequestId,
        /// The licence.
        licence: Box<SignedLicence>,
    },
    /// A peer answered a handshake.
    Shaken {
        /// The peer.
        peer: PeerId,
    },
    /// A peer's answer to a handshake is checked.
    Welcomed {
        /// The peer.
        peer: PeerId,
        /// Its answer.
        welcome: Arc<Welcome>,
    },
}

/// Why to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A peer is to be told again that this node leaves.
    Farewell,
    /// A round of heartbeats is due.
    Gossip,
}
