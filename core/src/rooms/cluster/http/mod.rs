//! The cluster's endpoints as HTTP: which path leads where. Rule: cluster API.
//!
//! Whoever may not ask is told so before anything is said about the body; so a body that cannot be
//! read becomes part of the question. Between nodes there are no tokens, and such a body is refused
//! at once.

mod bodies;
mod client;
mod form;
mod read;

use std::sync::Arc;

use ::http::Method;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::failure::{Code, Failure, INVALID_CLIENT};
use super::types::{Malformed, Request, Response};
use crate::http::path::Segments;
use crate::http::query::Query;
use crate::http::{Head, Reply, Routed, Site, v1};
use crate::ids::PeerId;
use crate::input::Listener;
use crate::limits::{CLUSTER_BODY_MAX, CLUSTER_TEXT_MAX, GOSSIP_BODY_MAX};

pub(crate) use client::{decode_response, encode_request};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// A request without a body.
    Bare(Box<Request>),
    /// A request whose body is still to be read.
    Body(Wanted),
}

/// What a body is expected to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A peer to be added.
    AddPeer,
    /// A licence.
    Bootstrap,
    /// The announcement of a node that leaves.
    Deactivate,
    /// A heartbeat.
    Gossip,
    /// A handshake.
    Handshake,
    /// Whether a cluster is to begin anew.
    Init,
    /// The scopes of a credential.
    MakeCredential,
    /// A peer's name.
    RenamePeer(Option<PeerId>),
    /// A licence in place of another.
    ReplaceLicence,
    /// A client and its secret.
    Token,
}

/// What is at a path.
enum Found {
    /// An endpoint.
    Route(Route),
    /// Endpoints, but none for this method.
    OtherMethods {
        /// The methods that there are.
        allow: &'static str,
        /// Whether other nodes may ask one of them.
        of_nodes: bool,
    },
    /// Nothing.
    Nothing,
    /// Not for this room to say.
    Elsewhere,
}

pub(crate) fn route(_: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    let segments = Segments::parse(head.path)?;
    // HEAD is answered as GET, and loses its body on the way out.
    let method = if head.method == Method::HEAD {
        &Method::GET
    } else {
        head.method
    };
    let found = segments.route(|segments| find(segments, method, Query::new(head.query)));
    let of_nodes = match &found {
        Found::Route(route) => route.is_of_nodes(),
        Found::OtherMethods { of_nodes, .. } => *of_nodes,
        Found::Nothing | Found::Elsewhere => false,
    };
    if head.listener == Listener::P2p && !of_nodes {
        return None;
    }
    Some(match found {
        Found::Route(route) => Ok(match route.body_max() {
            Some(max) => Routed::with_body_of(route, max),
            None => Routed::bare(route),
        }),
        Found::OtherMethods { allow, .. } => Err(Reply {
            allow: Some(allow),
            ..refused(Failure::new(Code::MethodNotAllowed, "method not allowed"))
        }),
        Found::Nothing => Err(refused(Failure::new(Code::NotFound, "not found"))),
        Found::Elsewhere => return None,
    })
}

fn find(segments: &[&str], method: &Method, query: Query<'_>) -> Found {
    let well_known = matches!(segments, ["livez" | "readyz"] | [".well-known", ..]);
    if !well_known && v1::owner(segments) != Some(v1::Owner::Cluster) {
        return Found::Elsewhere;
    }
    let routes = routes(segments, query);
    let allow = allow(&routes);
    let of_nodes = routes.iter().any(|(_, route)| route.is_of_nodes());
    if routes.is_empty() {
        // Nobody else may want other names below `/.well-known`, but they are not ours to refuse.
        return if well_known {
            Found::Elsewhere
        } else {
            Found::Nothing
        };
    }
    routes
        .into_iter()
        .find(|(of, _)| of == method)
        .map_or(Found::OtherMethods { allow, of_nodes }, |(_, route)| {
            Found::Route(route)
        })
}

/// The methods of these endpoints. Rule: RFC 9110, 15.5.6.
fn allow(routes: &[(Method, Route)]) -> &'static str {
    let has = |method: Method| routes.iter().any(|(of, _)| *of == method);
    match (
        has(Method::GET),
        has(Method::POST),
        has(Method::PUT),
        has(Method::DELETE),
    ) {
        (true, true, ..) => "GET,HEAD,POST",
        (true, false, true, true) => "GET,HEAD,PUT,DELETE",
        (true, false, true, false) => "GET,HEAD,PUT",
        (true, ..) => "GET,HEAD",
        (false, _, _, true) => "DELETE",
        (false, ..) => "POST",
    }
}

/// Every endpoint at a path, by method.
fn routes(segments: &[&str], query: Query<'_>) -> Vec<(Method, Route)> {
    let get = |request| (Method::GET, Route::Bare(Box::new(request)));
    let post = |request| (Method::POST, Route::Bare(Box::new(request)));
    let delete = |request| (Method::DELETE, Route::Bare(Box::new(request)));
    let body = |method, wanted| (method, Route::Body(wanted));
    match segments {
        ["livez"] => vec![get(Request::Health { ready: false })],
        ["readyz"] => vec![get(Request::Health { ready: true })],
        [".well-known", "jwks.json"] => vec![get(Request::Jwks)],
        [".well-known", "openid-configuration"] => vec![get(Request::OpenId)],
        ["v1", "bootstrap"] => vec![body(Method::POST, Wanted::Bootstrap)],
        ["v1", "license"] => vec![
            get(Request::Licence),
            body(Method::PUT, Wanted::ReplaceLicence),
        ],
        ["v1", "oauth", "token"] => vec![body(Method::POST, Wanted::Token)],
        ["v1", "credentials"] => vec![
            get(Request::Credentials),
            body(Method::POST, Wanted::MakeCredential),
        ],
        ["v1", "credentials", client] if is_client(client) => {
            vec![delete(Request::DeleteCredential((*client).into()))]
        }
        ["v1", "cluster", below @ ..] => match below {
            ["identity"] => vec![get(Request::Identity)],
            ["status"] => vec![get(Request::Status)],
            ["init"] => vec![body(Method::POST, Wanted::Init)],
            ["sync"] => vec![post(Request::Sync)],
            ["credentials"] => vec![get(Request::ClusterCredential)],
            ["credentials", "rotate"] => vec![post(Request::Rotate)],
            ["handshake"] => vec![body(Method::POST, Wanted::Handshake)],
            ["gossip"] => vec![body(Method::POST, Wanted::Gossip)],
            ["deactivate"] => vec![body(Method::POST, Wanted::Deactivate)],
            _ => Vec::new(),
        },
        ["v1", "peers"] => vec![
            get(Request::Peers(is_local(query))),
            body(Method::POST, Wanted::AddPeer),
        ],
        ["v1", "peers", peer] => {
            // An id in another form than we give out, `self` among them, is nobody's.
            let id = peer.parse().ok();
            let gone = if *peer == "self" {
                Request::DeleteSelf
            } else {
                Request::DeletePeer(id)
            };
            vec![
                get(Request::Peer(id)),
                body(Method::PUT, Wanted::RenamePeer(id)),
                delete(gone),
            ]
        }
        _ => Vec::new(),
    }
}

fn is_client(segment: &str) -> bool {
    !segment.is_empty() && segment.len() <= CLUSTER_TEXT_MAX
}

fn is_local(query: Query<'_>) -> Result<Option<bool>, Malformed> {
    match query.get("is_local").as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Malformed::IsLocal),
    }
}

impl Route {
    fn is_of_nodes(&self) -> bool {
        match self {
            Self::Bare(request) => request.is_of_nodes(),
            Self::Body(wanted) => matches!(
                wanted,
                Wanted::Deactivate | Wanted::Gossip | Wanted::Handshake
            ),
        }
    }

    const fn body_max(&self) -> Option<usize> {
        match self {
            Self::Bare(_) => None,
            Self::Body(Wanted::Gossip) => Some(GOSSIP_BODY_MAX),
            Self::Body(_) => Some(CLUSTER_BODY_MAX),
        }
    }
}

pub(crate) fn too_large(_: Option<u64>) -> Reply {
    refused(Failure::new(Code::PayloadTooLarge, "the body is too large"))
}

pub(crate) fn decode(_: &Site, route: Route, body: Bytes) -> Result<Request, Reply> {
    let wanted = match route {
        Route::Bare(request) => return Ok(*request),
        Route::Body(wanted) => wanted,
    };
    Ok(match wanted {
        Wanted::AddPeer => Request::AddPeer(read::add_peer(&body)),
        Wanted::Bootstrap => Request::Bootstrap(read::bootstrap(&body).map(Box::new)),
        Wanted::Deactivate => Request::Deactivate(of_node(&body, "announcement")?),
        Wanted::Gossip => Request::Gossip(of_node(&body, "gossip")?),
        Wanted::Handshake => Request::Handshake(of_node(&body, "handshake")?),
        Wanted::Init => Request::Init(read::init(&body)),
        Wanted::MakeCredential => Request::MakeCredential(read::scopes(&body)),
        Wanted::RenamePeer(id) => Request::RenamePeer(id, read::rename(&body)),
        Wanted::ReplaceLicence => Request::ReplaceLicence(read::licence(&body).map(Box::new)),
        Wanted::Token => Request::Token(form::read(&body)),
    })
}

/// What another node sends, which is called `what` if it is something else.
fn of_node<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<Arc<T>, Reply> {
    read::of_node(body, what).map(Arc::new).map_err(refused)
}

pub(crate) fn encode(response: &Response) -> Reply {
    Reply {
        challenge: challenge(response),
        secret: response.tells_secret(),
        ..json(response.status(), bodies::write(response))
    }
}

/// What a caller is to show, who showed nothing good. Rules: RFC 6750, 3; RFC 6749, 5.2.
fn challenge(response: &Response) -> Option<&'static str> {
    let Response::Failed(failure) = response else {
        return None;
    };
    (failure.status() == 401).then_some(if *failure == INVALID_CLIENT {
        "Basic realm=\"peerage\""
    } else {
        "Bearer"
    })
}

fn refused(failure: Failure) -> Reply {
    let response = Response::Failed(failure);
    json(response.status(), bodies::write(&response))
}

fn json(status: u16, body: Vec<u8>) -> Reply {
    Reply::new(status, Some("application/json"), body.into())
}
