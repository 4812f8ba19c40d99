//! What a driver does with a request before the node sees it, and with an answer after.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderValue, Method, StatusCode};
use peerage_core::http::throttle::Throttle;
use peerage_core::http::{self as codec, Head, Reception, Reply, Route, Routed, Site, headers};
use peerage_core::rooms::Refused;
use peerage_core::time::{Now, WallTime};
use peerage_core::{Listener, Node, Request, Response, Standing};

use crate::client::Client;
use crate::message::{self, ParsedRequest};

/// An answer before it has its headers.
pub(crate) enum Outcome {
    /// Refused before routing, as Chainweb's middleware does: without the headers of every answer.
    Bare(Reply),
    /// Any other.
    Dressed(Reply),
}

impl Outcome {
    /// The literal answer.
    pub(crate) fn print(self, method: &Method, client: &Client, wall: WallTime) -> String {
        match self {
            Self::Bare(reply) => {
                let mut fields = http::HeaderMap::new();
                fields.insert(SERVER, headers::SERVER);
                if let Some(content_type) = reply.content_type {
                    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                }
                let body = if method == Method::HEAD {
                    Bytes::new()
                } else {
                    reply.body
                };
                message::print_answer(reply.status, &fields, &body)
            }
            Self::Dressed(reply) => {
                let answer = codec::Wardrobe::new(client.0.addr).dress(reply, method, wall);
                let status: StatusCode = answer.status();
                message::print_answer(status, answer.headers(), answer.body())
            }
        }
    }
}

/// Bans, the throttle, the head, the body's size, the body: a request for the node, or the answer.
pub(crate) fn decide(
    node: &Node,
    throttle: &mut Throttle,
    now: Now,
    client: &Client,
    request: ParsedRequest,
) -> Result<Request, Outcome> {
    screen(node, throttle, now, client, &request)?;
    let site = Site::new(node.config());
    let head = Head {
        listener: client.0.listener,
        method: &request.method,
        path: &request.path,
        query: request.query.as_deref(),
        headers: &request.headers,
    };
    match codec::receive(&site, &head) {
        Reception::Answer(reply) => Err(Outcome::Dressed(reply)),
        Reception::Proceed(routed) => decode(&site, routed, request),
    }
}

/// Who may not even ask.
fn screen(
    node: &Node,
    throttle: &mut Throttle,
    now: Now,
    client: &Client,
    request: &ParsedRequest,
) -> Result<(), Outcome> {
    let caller = &client.0;
    if caller.listener == Listener::Api {
        return Ok(());
    }
    match node.standing(now, caller) {
        Standing::Banned => {
            let refused = Response::Refused(Refused::Banned);
            return Err(Outcome::Dressed(refused.encode()));
        }
        Standing::Known => return Ok(()),
        Standing::Stranger => {}
    }
    let (at, put) = (now.mono.as_micros(), request.method == Method::PUT);
    let counted = request.path.starts_with("/chainweb/");
    if counted && !throttle.admit(at, caller.addr.ip(), put, &request.path) {
        return Err(Outcome::Bare(Reply::throttled()));
    }
    Ok(())
}

fn decode(site: &Site, routed: Routed<Route>, request: ParsedRequest) -> Result<Request, Outcome> {
    let declared = request.declared();
    let body = match routed.body_max {
        Some(max) if declared.unwrap_or(0).max(request.body.len() as u64) > max as u64 => {
            return Err(Outcome::Bare(routed.route.too_large(declared)));
        }
        Some(_) => request.body,
        None => Bytes::new(),
    };
    routed.route.decode(site, body).map_err(Outcome::Dressed)
}
