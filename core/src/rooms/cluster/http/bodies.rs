//! Bodies of answers: one type for each, written and read alike.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::commons::address::HostAddr;
use crate::config::cluster::{Licence, Scopes};
use crate::ids::{ClusterId, PeerId, PublicKey};
use crate::input::Secret;
use crate::rooms::cluster::credentials::NewCredential;
use crate::rooms::cluster::types::{
    Bootstrapped, CredentialListed, CredentialView, Deactivated, Founding, Identity, PeerStatus,
    PeerView, Response,
};
use crate::rooms::cluster::wire::{base64_key, from_rfc3339, rfc3339};

/// Writes the body of an answer.
pub(super) fn write(response: &Response) -> Vec<u8> {
    match response {
        Response::Applied(applied) => json(&Applied { applied: *applied }),
        Response::Bootstrapped(it) => json(&BootstrappedBody::of(it)),
        Response::ClusterCredential(it) => json(&ClusterCredentialBody::of(it)),
        Response::CredentialMade(it) => json(&NewCredentialBody::of(it)),
        Response::Credentials(all) => json(&all.iter().map(CredentialBody::of).collect::<Vec<_>>()),
        Response::Deactivated(it) => json(&DeactivatedBody {
            peer_id: it.peer_id,
            version: it.version,
            is_active: false,
            deactivated_at: Time(it.at_s),
        }),
        Response::Deleted => br#"{"deleted":true}"#.to_vec(),
        Response::Failed(failure) => json(&ErrorBody {
            error: failure.text.clone().into_owned(),
            code: failure.code.text().into(),
        }),
        Response::Founding(it) => json(&FoundingBody::of(it)),
        Response::Gossip(digest) => json(digest.as_ref()),
        Response::Healthy { now_s } => json(&Health {
            status: "ok".into(),
            timestamp: Time(*now_s),
        }),
        Response::Identity(it) => json(&IdentityBody::of(it)),
        Response::Jwks(issuer, key) => json(&Jwks::of(*issuer, *key)),
        Response::Licence(it) => json(&LicenceBody::of(it)),
        Response::OpenId(issuer, address) => json(&OpenId::of(*issuer, address)),
        Response::Peer { peer, .. } => json(&PeerBody::of(peer)),
        Response::Peers(peers) => json(&peers.iter().map(PeerBody::of).collect::<Vec<_>>()),
        Response::Status(peers) => json(&StatusBody {
            peers: peers.iter().map(PeerStatusBody::of).collect(),
        }),
        Response::Token {
            token,
            expires_in,
            scopes,
        } => json(&TokenBody {
            access_token: token.0.clone(),
            token_type: "Bearer".into(),
            expires_in: *expires_in,
            scope: scopes.to_string(),
        }),
        Response::Triggered => br#"{"triggered":true}"#.to_vec(),
        Response::Welcome(welcome) => json(welcome.as_ref()),
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("bodies have string keys and no failing parts")
}

/// A time on the wire.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) u64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_rfc3339(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("expected a time"))
    }
}

/// An address on the wire.
pub(super) struct Address(pub(super) HostAddr);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Applied {
    pub(super) applied: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: String,
    pub(super) code: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) timestamp: Time,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeactivatedBody {
    peer_id: PeerId,
    version: u64,
    is_active: bool,
    deactivated_at: Time,
}

impl DeactivatedBody {
    pub(super) fn read(self) -> Option<Deactivated> {
        (!self.is_active).then_some(Deactivated {
            peer_id: self.peer_id,
            version: self.version,
            at_s: self.deactivated_at.0,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct FoundingBody {
    cluster_id: ClusterId,
    created_by: PeerId,
    oldest_peer_id: PeerId,
    was_created: bool,
    /// What the other fields say, for people.
    message: String,
}

impl FoundingBody {
    fn of(founding: &Founding) -> Self {
        let message = if founding.was_created {
            "the peer has begun a cluster anew"
        } else {
            "the peer is in this cluster"
        };
        Self {
            cluster_id: founding.cluster_id,
            created_by: founding.created_by,
            oldest_peer_id: founding.oldest_peer_id,
            was_created: founding.was_created,
            message: message.into(),
        }
    }

    pub(super) fn read(self) -> Founding {
        Founding {
            cluster_id: self.cluster_id,
            created_by: self.created_by,
            oldest_peer_id: self.oldest_peer_id,
            was_created: self.was_created,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PeerBody {
    id: PeerId,
    name: String,
    #[serde(with = "base64_key")]
    public_key: PublicKey,
    is_local: bool,
    address: Address,
    created_at: Time,
}

impl PeerBody {
    fn of(peer: &PeerView) -> Self {
        Self {
            id: peer.id,
            name: peer.name.clone(),
            public_key: peer.public_key,
            is_local: peer.is_local,
            address: Address(peer.address.clone()),
            created_at: Time(peer.created_s),
        }
    }

    pub(super) fn read(self) -> PeerView {
        PeerView {
            id: self.id,
            name: self.name,
            public_key: self.public_key,
            is_local: self.is_local,
            address: self.address.0,
            created_s: self.created_at.0,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct IdentityBody {
    peer_id: PeerId,
    #[serde(with = "base64_key")]
    public_key: PublicKey,
    license_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    cluster_id: ClusterId,
    version: String,
}

impl IdentityBody {
    fn of(identity: &Identity) -> Self {
        Self {
            peer_id: identity.peer_id,
            public_key: identity.public_key,
            license_id: identity.licence_id.clone(),
            customer_id: identity.customer_id.clone(),
            cluster_id: identity.cluster_id,
            version: VERSION.into(),
        }
    }

    pub(super) fn read(self) -> Identity {
        Identity {
            peer_id: self.peer_id,
            public_key: self.public_key,
            licence_id: self.license_id,
            customer_id: self.customer_id,
            cluster_id: self.cluster_id,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct StatusBody {
    pub(super) peers: Vec<PeerStatusBody>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PeerStatusBody {
    peer_id: PeerId,
    last_seen: Option<Time>,
    reachable: bool,
}

impl PeerStatusBody {
    fn of(status: &PeerStatus) -> Self {
        Self {
            peer_id: status.peer_id,
            last_seen: status.last_seen_s.map(Time),
            reachable: status.reachable,
        }
    }

    pub(super) fn read(self) -> PeerStatus {
        PeerStatus {
            peer_id: self.peer_id,
            last_seen_s: self.last_seen.map(|time| time.0),
            reachable: self.reachable,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct CredentialBody {
    client_id: String,
    scopes: Scopes,
    license_id: String,
    created_at: Time,
    last_used_at: Option<Time>,
}

impl CredentialBody {
    fn of(listed: &CredentialListed) -> Self {
        Self {
            client_id: listed.client_id.clone(),
            scopes: listed.scopes,
            license_id: listed.licence_id.clone(),
            created_at: Time(listed.created_s),
            last_used_at: listed.used_s.map(Time),
        }
    }

    pub(super) fn read(self) -> CredentialListed {
        CredentialListed {
            client_id: self.client_id,
            scopes: self.scopes,
            licence_id: self.license_id,
            created_s: self.created_at.0,
            used_s: self.last_used_at.map(|time| time.0),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct NewCredentialBody {
    client_id: String,
    client_secret: String,
    scopes: Scopes,
    created_at: Time,
}

impl NewCredentialBody {
    fn of(made: &NewCredential) -> Self {
        Self {
            client_id: made.client_id.clone(),
            client_secret: made.secret.0.clone(),
            scopes: made.scopes,
            created_at: Time(made.created_s),
        }
    }

    pub(super) fn read(self) -> NewCredential {
        NewCredential {
            client_id: self.client_id,
            secret: Secret(self.client_secret),
            scopes: self.scopes,
            created_s: self.created_at.0,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClusterCredentialBody {
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    version: u64,
    rotated_by: PeerId,
    rotated_at: Time,
}

impl ClusterCredentialBody {
    fn of(view: &CredentialView) -> Self {
        Self {
            client_id: view.client_id.clone(),
            client_secret: view.secret.clone().map(|secret| secret.0),
            version: view.version,
            rotated_by: view.rotated_by,
            rotated_at: Time(view.rotated_s),
        }
    }

    pub(super) fn read(self) -> CredentialView {
        CredentialView {
            client_id: self.client_id,
            secret: self.client_secret.map(Secret),
            version: self.version,
            rotated_by: self.rotated_by,
            rotated_s: self.rotated_at.0,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct LicenceBody {
    customer_id: Option<String>,
    license_id: String,
    expires_at: Option<Time>,
    max_nodes: u32,
    max_services: u32,
}

impl LicenceBody {
    fn of(licence: &Licence) -> Self {
        Self {
            customer_id: licence.customer_id.clone(),
            license_id: licence.id.clone(),
            expires_at: licence.expires_s.map(Time),
            max_nodes: licence.nodes_max,
            max_services: licence.services_max,
        }
    }

    pub(super) fn read(self) -> Licence {
        Licence {
            id: self.license_id,
            customer_id: self.customer_id,
            nodes_max: self.max_nodes,
            services_max: self.max_services,
            expires_s: self.expires_at.map(|time| time.0),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct BootstrappedBody {
    peer_id: PeerId,
    #[serde(with = "base64_key")]
    peer_public_key: PublicKey,
    client_id: String,
    client_secret: String,
    cluster_id: ClusterId,
    #[serde(flatten)]
    licence: LicenceBody,
}

impl BootstrappedBody {
    fn of(it: &Bootstrapped) -> Self {
        Self {
            peer_id: it.peer_id,
            peer_public_key: it.public_key,
            client_id: it.client_id.clone(),
            client_secret: it.secret.0.clone(),
            cluster_id: it.cluster_id,
            licence: LicenceBody::of(&it.licence),
        }
    }

    pub(super) fn read(self) -> Bootstrapped {
        Bootstrapped {
            peer_id: self.peer_id,
            public_key: self.peer_public_key,
            client_id: self.client_id,
            secret: Secret(self.client_secret),
            cluster_id: self.cluster_id,
            licence: self.licence.read(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct TokenBody {
    access_token: String,
    token_type: String,
    expires_in: u64,
    #[serde(default)]
    scope: String,
}

impl TokenBody {
    pub(super) fn read(self) -> Option<Response> {
        let names = self.scope.split(' ').filter(|name| !name.is_empty());
        Some(Response::Token {
            token: Secret(self.access_token),
            expires_in: self.expires_in,
            scopes: Scopes::of_all(names).ok()?,
        })
    }
}

/// The keys that tokens are checked with. Rule: RFC 7517 and 8037.
#[derive(Serialize, Deserialize)]
pub(super) struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    kid: PeerId,
    alg: String,
    #[serde(rename = "use")]
    usage: String,
}

impl Jwks {
    fn of(issuer: PeerId, key: PublicKey) -> Self {
        let key = Jwk {
            kty: "OKP".into(),
            crv: "Ed25519".into(),
            x: crate::base64url::encode(&key.0),
            kid: issuer,
            alg: "EdDSA".into(),
            usage: "sig".into(),
        };
        Self { keys: vec![key] }
    }

    pub(super) fn read(self) -> Option<Response> {
        let [key] = <[Jwk; 1]>::try_from(self.keys).ok()?;
        let x = crate::base64url::decode_32(key.x.as_bytes())?;
        Some(Response::Jwks(key.kid, PublicKey(x)))
    }
}

/// Where tokens come from. Rule: RFC 8414.
#[derive(Serialize, Deserialize)]
pub(super) struct OpenId {
    issuer: PeerId,
    token_endpoint: String,
    jwks_uri: String,
    grant_types_supported: Vec<String>,
    response_types_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Vec<String>,
    id_token_signing_alg_values_supported: Vec<String>,
    scopes_supported: Vec<String>,
}

impl OpenId {
    fn of(issuer: PeerId, address: &HostAddr) -> Self {
        Self {
            issuer,
            token_endpoint: format!("http://{address}{TOKEN}"),
            jwks_uri: format!("http://{address}/.well-known/jwks.json"),
            grant_types_supported: vec!["client_credentials".into()],
            response_types_supported: Vec::new(),
            token_endpoint_auth_methods_supported: vec![
                "client_secret_post".into(),
                "client_secret_basic".into(),
            ],
            id_token_signing_alg_values_supported: vec!["EdDSA".into()],
            scopes_supported: Scopes::all_names().collect(),
        }
    }

    pub(super) fn read(self) -> Option<Response> {
        let address = self.token_endpoint.strip_prefix("http://")?;
        let address = address.strip_suffix(TOKEN)?.parse().ok()?;
        Some(Response::OpenId(self.issuer, address))
    }
}

/// The version that the node declares. Source: the agent whose documentation this is.
const VERSION: &str = "0.1.0";
const TOKEN: &str = "/v1/oauth/token";
