//! The client's half: requests to bytes, answers from bytes.

use std::sync::Arc;

use ::http::Method;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::bodies::{
    Applied, BootstrappedBody, ClusterCredentialBody, CredentialBody, DeactivatedBody, ErrorBody,
    FoundingBody, Health, IdentityBody, Jwks, LicenceBody, NewCredentialBody, OpenId, PeerBody,
    StatusBody, TokenBody,
};
use super::form;
use crate::http::{Outgoing, Site};
use crate::ids::PeerId;
use crate::rooms::cluster::failure::{Code, Failure};
use crate::rooms::cluster::licence::SignedLicence;
use crate::rooms::cluster::types::{AddPeer, Bootstrap, Malformed, Request, Response};
use crate::rooms::cluster::wire::{base64, rfc3339};

pub(crate) fn encode_request(_: &Site, request: &Request) -> Outgoing {
    let get = |target: &str| bare(Method::GET, target.into());
    let post =
        |target: &str, value: serde_json::Value| with_json(Method::POST, target.into(), &value);
    match request {
        Request::AddPeer(add) => post("/v1/peers", add_peer(add)),
        Request::Bootstrap(Ok(it)) => post("/v1/bootstrap", bootstrap(it)),
        Request::Bootstrap(Err(wrong)) => post("/v1/bootstrap", sample(*wrong)),
        Request::ClusterCredential => get("/v1/cluster/credentials"),
        Request::Credentials => get("/v1/credentials"),
        Request::Deactivate(record) => of_node("/v1/cluster/deactivate", record.as_ref()),
        Request::DeleteCredential(client) => {
            let target = format!("/v1/credentials/{}", form::escape(client));
            bare(Method::DELETE, target)
        }
        Request::DeletePeer(id) => bare(Method::DELETE, peer(*id)),
        Request::DeleteSelf => bare(Method::DELETE, "/v1/peers/self".into()),
        Request::Gossip(digest) => of_node("/v1/cluster/gossip", digest.as_ref()),
        Request::Handshake(hello) => of_node("/v1/cluster/handshake", hello.as_ref()),
        Request::Health { ready: false } => get("/livez"),
        Request::Health { ready: true } => get("/readyz"),
        Request::Identity => get("/v1/cluster/identity"),
        Request::Init(force) => {
            let body = match force {
                Ok(force) => json!({ "force": force }),
                Err(wrong) => sample(*wrong),
            };
            post("/v1/cluster/init", body)
        }
        Request::Jwks => get("/.well-known/jwks.json"),
        Request::Licence => get("/v1/license"),
        Request::MakeCredential(scopes) => {
            let body = match scopes {
                Ok(None) => json!({}),
                Ok(Some(scopes)) => json!({ "scopes": scopes }),
                Err(wrong) => sample(*wrong),
            };
            post("/v1/credentials", body)
        }
        Request::OpenId => get("/.well-known/openid-configuration"),
        Request::Peer(id) => bare(Method::GET, peer(*id)),
        Request::Peers(Ok(None)) => get("/v1/peers"),
        Request::Peers(Ok(Some(local))) => get(&format!("/v1/peers?is_local={local}")),
        Request::Peers(Err(_)) => get("/v1/peers?is_local=perhaps"),
        Request::RenamePeer(id, name) => {
            let body = match name {
                Ok(None) => json!({}),
                Ok(Some(name)) => json!({ "name": name }),
                Err(wrong) => sample(*wrong),
            };
            with_json(Method::PUT, peer(*id), &body)
        }
        Request::ReplaceLicence(licence) => {
            let body = match licence {
                Ok(licence) => json!({ "license": signed_licence(licence) }),
                Err(wrong) => sample(*wrong),
            };
            with_json(Method::PUT, "/v1/license".into(), &body)
        }
        Request::Rotate => bare(Method::POST, "/v1/cluster/credentials/rotate".into()),
        Request::Status => get("/v1/cluster/status"),
        Request::Sync => bare(Method::POST, "/v1/cluster/sync".into()),
        Request::Token(it) => Outgoing {
            method: Method::POST,
            target: "/v1/oauth/token".into(),
            // There is a body; nobody looks at what it is called.
            json: true,
            body: form::write(it).into(),
        },
    }
}

fn bare(method: Method, target: String) -> Outgoing {
    Outgoing {
        method,
        target,
        json: false,
        body: Bytes::new(),
    }
}

fn with_json(method: Method, target: String, value: &serde_json::Value) -> Outgoing {
    Outgoing {
        method,
        target,
        json: true,
        body: value.to_string().into(),
    }
}

fn of_node<T: Serialize>(target: &str, value: &T) -> Outgoing {
    let body = serde_json::to_vec(value).expect("messages have no failing parts");
    Outgoing {
        method: Method::POST,
        target: target.into(),
        json: true,
        body: body.into(),
    }
}

/// The path of a peer; of an id that is none, a path that is nobody's.
fn peer(id: Option<PeerId>) -> String {
    id.map_or_else(|| "/v1/peers/-".into(), |id| format!("/v1/peers/{id}"))
}

/// A body with this fault.
fn sample(wrong: Malformed) -> serde_json::Value {
    match wrong {
        Malformed::Address => json!({ "address": "" }),
        Malformed::AddressMissing | Malformed::IsLocal | Malformed::LicenceMissing => json!({}),
        Malformed::Force => json!({ "force": 1 }),
        Malformed::Licence => json!({ "license": 1 }),
        Malformed::LicenceField(field) => {
            let mut licence = signed_licence(&SignedLicence {
                customer_id: String::new(),
                licence_id: String::new(),
                issued_s: 0,
                expires_s: 0,
                nodes_max: 0,
                services_max: 0,
                signature: [0; 64],
            });
            licence[field.name()] = json!(null);
            json!({ "license": licence })
        }
        Malformed::Name => json!({ "address": "a:1", "name": 1 }),
        Malformed::NotJson => json!(null),
        Malformed::Scopes => json!({ "scopes": 1 }),
    }
}

fn add_peer(add: &Result<AddPeer, Malformed>) -> serde_json::Value {
    match add {
        Ok(AddPeer {
            address,
            name: None,
        }) => json!({ "address": address.to_string() }),
        Ok(AddPeer {
            address,
            name: Some(name),
        }) => json!({ "address": address.to_string(), "name": name }),
        Err(wrong) => sample(*wrong),
    }
}

fn bootstrap(bootstrap: &Bootstrap) -> serde_json::Value {
    let Bootstrap { licence, name } = bootstrap;
    json!({ "license": signed_licence(licence), "name": name })
}

fn signed_licence(licence: &SignedLicence) -> serde_json::Value {
    let SignedLicence {
        customer_id,
        licence_id,
        issued_s,
        expires_s,
        nodes_max,
        services_max,
        signature,
    } = licence;
    json!({
        "customer_id": customer_id,
        "license_id": licence_id,
        "issued_at": rfc3339(*issued_s),
        "expires_at": rfc3339(*expires_s),
        "max_nodes": nodes_max,
        "max_services": services_max,
        "signature": base64(signature),
    })
}

pub(crate) fn decode_response(request: &Request, status: u16, body: &Bytes) -> Option<Response> {
    if status >= 400 {
        return failure(status, body).map(Response::Failed);
    }
    let response = match request {
        Request::AddPeer(_) | Request::Peer(_) | Request::RenamePeer(..) => Response::Peer {
            peer: Box::new(read::<PeerBody>(body)?.read()),
            added: status == 201,
        },
        Request::Bootstrap(_) => {
            Response::Bootstrapped(Box::new(read::<BootstrappedBody>(body)?.read()))
        }
        Request::ClusterCredential | Request::Rotate => {
            Response::ClusterCredential(Box::new(read::<ClusterCredentialBody>(body)?.read()))
        }
        Request::Credentials => {
            let listed = read::<Vec<CredentialBody>>(body)?;
            Response::Credentials(listed.into_iter().map(CredentialBody::read).collect())
        }
        Request::Deactivate(_) => Response::Applied(read::<Applied>(body)?.applied),
        Request::DeleteCredential(_) | Request::DeletePeer(_) => {
            said(body, "deleted").then_some(Response::Deleted)?
        }
        Request::DeleteSelf => Response::Deactivated(read::<DeactivatedBody>(body)?.read()?),
        Request::Gossip(_) => Response::Gossip(Arc::new(read(body)?)),
        Request::Handshake(_) => Response::Welcome(Arc::new(read(body)?)),
        Request::Health { .. } => {
            let health = read::<Health>(body).filter(|health| health.status == "ok")?;
            Response::Healthy {
                now_s: health.timestamp.0,
            }
        }
        Request::Identity => Response::Identity(Box::new(read::<IdentityBody>(body)?.read())),
        Request::Init(_) => Response::Founding(Box::new(read::<FoundingBody>(body)?.read())),
        Request::Jwks => read::<Jwks>(body)?.read()?,
        Request::Licence | Request::ReplaceLicence(_) => {
            Response::Licence(Box::new(read::<LicenceBody>(body)?.read()))
        }
        Request::MakeCredential(_) => {
            Response::CredentialMade(Box::new(read::<NewCredentialBody>(body)?.read()))
        }
        Request::OpenId => read::<OpenId>(body)?.read()?,
        Request::Peers(_) => {
            let peers = read::<Vec<PeerBody>>(body)?;
            Response::Peers(peers.into_iter().map(PeerBody::read).collect())
        }
        Request::Status => {
            let peers = read::<StatusBody>(body)?.peers.into_iter();
            Response::Status(peers.map(super::bodies::PeerStatusBody::read).collect())
        }
        Request::Sync => said(body, "triggered").then_some(Response::Triggered)?,
        Request::Token(_) => read::<TokenBody>(body)?.read()?,
    };
    // A status that does not go with the answer is not one that we understand.
    (response.status() == status).then_some(response)
}

fn failure(status: u16, body: &[u8]) -> Option<Failure> {
    let ErrorBody { error, code } = read(body)?;
    let code = Code::ALL.iter().find(|known| known.text() == code)?;
    (code.status() == status).then_some(Failure::told(*code, error))
}

/// Whether an object says `name` is true.
fn said(body: &[u8], name: &str) -> bool {
    let value: Option<serde_json::Value> = read(body);
    value.is_some_and(|value| value[name] == true)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}
