//! The WattSwarm endpoints as HTTP: where paths lead, and who may go there.
//!
//! Rule: WattSwarm Peers API, section 1. Operators' paths are on the API listener only, the paths
//! between nodes on the P2P listener only. A wrong method gets 405 with `Allow`, an unknown path 404,
//! both without a body; every other failure is a JSON object.

mod between;
mod read;
mod show;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::value::RawValue;
use std::sync::Arc;

pub(crate) use self::show::{decode_response, encode, encode_request};

use super::envelope::{Envelope, EnvelopeFault};
use super::types::{Request, Sent};
use crate::http::{Head, Reply, Routed, Site};
use crate::input::Listener;
use crate::limits::DELIVERY_BODY_MAX;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Nothing is left to read.
    Bare(Request),
    /// The body says more.
    Body(Reads),
}

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// An action on a relationship.
    Act,
    /// Contact material.
    Contact,
    /// Messages of another node.
    Letters,
    /// Actions of another node.
    Notes,
    /// A message to another node.
    Send,
}

/// A path's methods.
enum Place {
    Get(Request),
    /// With and without a body.
    Both(Request, Reads),
    Post(Reads),
    Switch(bool),
    Messages,
}

pub(crate) fn route(_: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    let below = head.path.strip_prefix("/api/")?;
    let place = match (head.listener, below) {
        (Listener::Api, "peers/list") => Place::Get(Request::List),
        (Listener::Api, "peers/relationships") => Place::Both(Request::Relationships, Reads::Act),
        (Listener::Api, "peers/dm/threads") => Place::Get(Request::Threads),
        (Listener::Api, "peers/dm/messages") => Place::Messages,
        (Listener::Api, "peers/contact-material") => Place::Post(Reads::Contact),
        (Listener::Api, "node/status") => Place::Get(Request::Status),
        (Listener::Api, "node/up") => Place::Switch(true),
        (Listener::Api, "node/down") => Place::Switch(false),
        (Listener::Api, "network/local") => Place::Get(Request::Network),
        (Listener::Api, "network/contact-material/local") => Place::Get(Request::OwnContact),
        (Listener::Api, "log/head") => Place::Get(Request::Head),
        (Listener::P2p, "p2p/dm") => Place::Post(Reads::Letters),
        (Listener::P2p, "p2p/relationship") => Place::Post(Reads::Notes),
        (Listener::Api | Listener::P2p, _) => return None,
    };
    Some(go(head, place))
}

fn go(head: &Head<'_>, place: Place) -> Result<Routed<Route>, Reply> {
    let reads = *head.method == Method::GET || *head.method == Method::HEAD;
    let posts = *head.method == Method::POST;
    match place {
        Place::Get(request) | Place::Both(request, _) if reads => {
            Ok(Routed::bare(Route::Bare(request)))
        }
        Place::Messages if reads => {
            read::thread(head.query).map(|thread| Routed::bare(Route::Bare(thread)))
        }
        Place::Post(body) | Place::Both(_, body) if posts => with_body(head, body),
        Place::Messages if posts => with_body(head, Reads::Send),
        Place::Switch(running) if posts => Ok(Routed::bare(Route::Bare(Request::Run(running)))),
        Place::Get(_) => Err(Reply::not_allowed("GET,HEAD")),
        Place::Both(..) | Place::Messages => Err(Reply::not_allowed("GET,HEAD,POST")),
        Place::Post(_) | Place::Switch(_) => Err(Reply::not_allowed("POST")),
    }
}

fn with_body(head: &Head<'_>, reads: Reads) -> Result<Routed<Route>, Reply> {
    if !is_json(head.headers) {
        let text = "expected a request with `Content-Type: application/json`";
        return Err(show::failure(415, text));
    }
    let route = Route::Body(reads);
    Ok(match reads {
        Reads::Act | Reads::Contact | Reads::Send => Routed::with_body(route),
        Reads::Letters | Reads::Notes => Routed::with_body_of(route, DELIVERY_BODY_MAX),
    })
}

/// `application/json` or `application/*+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json"
            || subtype
                .strip_suffix("+json")
                .is_some_and(|kind| !kind.is_empty())
    })
}

pub(crate) fn too_large(_: Option<u64>) -> Reply {
    show::failure(413, "the body is too large")
}

pub(crate) fn decode(_: &Site, route: Route, body: Bytes) -> Result<Request, Reply> {
    match route {
        Route::Bare(request) => Ok(request),
        Route::Body(Reads::Act) => read::act(&body),
        Route::Body(Reads::Contact) => read::contact(&body),
        Route::Body(Reads::Letters) => between::letters(&body),
        Route::Body(Reads::Notes) => between::notes(&body),
        Route::Body(Reads::Send) => read::send(&body),
    }
}

/// An envelope as it was sent; what is wrong with its shape is left for later too.
pub(super) fn sent(raw: &RawValue) -> Sent {
    let read = Envelope::read(raw).map_err(|fault| match fault {
        EnvelopeFault::Shape(text) | EnvelopeFault::Invalid(text) => Arc::from(text),
    });
    Sent::new(raw.get(), read)
}

#[cfg(test)]
pub(super) mod tests;
