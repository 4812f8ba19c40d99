//! The ban endpoints as HTTP. Rule: Grin's node API v1, `POST /v1/peers/{addr}/ban|unban`.

use bytes::Bytes;
use http::Method;

use super::{Command, Request, Response};
use crate::commons::address::HostAddr;
use crate::http::path::Segments;
use crate::http::{Head, Outgoing, Reply, Routed, Site, v1};
use crate::input::Listener;

/// What a path leads to: the request itself, as no body is read.
pub type Route = Request;

pub(crate) fn route(_: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    if head.listener != Listener::Api {
        return None;
    }
    let segments = Segments::parse(head.path)?;
    let (addr, command) = segments.route(|segments| match v1::owner(segments)? {
        v1::Owner::Bans { addr, command } => Some((addr, command)),
        v1::Owner::Cluster | v1::Owner::Grin => None,
    })?;
    let command = if command == "ban" {
        Command::Ban
    } else {
        Command::Unban
    };
    if head.method != Method::POST {
        return Some(Err(Reply::empty(404)));
    }
    Some(match v1::address(addr) {
        Some(addr) => Ok(Routed::bare(Request { addr, command })),
        None => Err(Reply::text(
            400,
            format!("invalid peer address: {}", head.path),
        )),
    })
}

pub(crate) fn too_large(declared: Option<u64>) -> Reply {
    Reply::too_large(declared)
}

pub(crate) fn decode(_: &Site, route: Route, _: Bytes) -> Result<Request, Reply> {
    Ok(route)
}

pub(crate) fn encode(response: &Response) -> Reply {
    match response {
        Response::Done => Reply::json(200, &b"{}"[..]),
        Response::Unauthorized => Reply::unauthorized(v1::CHALLENGE),
        Response::BansFull => Reply::text(503, "ban failed: the ban list is full"),
        Response::NotBanned => Reply::text(500, "unban failed: PeerNotBanned"),
        Response::UnknownToBan(addr) => Reply::text(500, format!("ban failed: {}", unknown(addr))),
        Response::UnknownToUnban(addr) => {
            Reply::text(500, format!("unban failed: {}", unknown(addr)))
        }
    }
}

pub(crate) fn encode_request(_: &Site, request: &Request) -> Outgoing {
    let target = format!("/v1/peers/{}/{}", request.addr, request.name());
    Outgoing {
        method: Method::POST,
        target,
        json: false,
        body: Bytes::new(),
    }
}

pub(crate) fn decode_response(request: &Request, status: u16, body: &Bytes) -> Option<Response> {
    let unknown = format!("{} failed: {}", request.name(), unknown(&request.addr));
    match (status, body.as_ref()) {
        (200, b"{}") => Some(Response::Done),
        (401, b"") => Some(Response::Unauthorized),
        (503, _) => Some(Response::BansFull),
        (500, b"unban failed: PeerNotBanned") => Some(Response::NotBanned),
        (500, body) if body == unknown.as_bytes() => Some(match request.command {
            Command::Ban => Response::UnknownToBan(request.addr.clone()),
            Command::Unban => Response::UnknownToUnban(request.addr.clone()),
        }),
        _ => None,
    }
}

fn unknown(addr: &HostAddr) -> String {
    format!("Store(NotFoundErr(\"Peer at address: {addr}\"))")
}
