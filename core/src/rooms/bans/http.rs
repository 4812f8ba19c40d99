//! The ban endpoints as HTTP. Rule: Grin's node API v1, `POST /v1/peers/{addr}/ban|unban`.

use bytes::Bytes;
use http::Method;

use super::{Command, Request, Response};
use crate::commons::address::{HostAddr, Hostname};
use crate::http::path::Segments;
use crate::http::{Head, Outgoing, Reply, Routed, Site};
use crate::input::Listener;

/// What a path leads to: the request itself, as no body is read.
pub type Route = Request;

/// The port of an address that names none. Source: Grin's main net.
const DEFAULT_PORT: u16 = 3414;

pub(crate) fn route(_: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    if head.listener != Listener::Api || !head.path.starts_with("/v1/") {
        return None;
    }
    let segments = Segments::parse(head.path)?;
    let (addr, command) = match segments.as_slice() {
        // One document gives the second path; the first is the real one. Both lead here.
        [v1, peers, addr, command] if *v1 == "v1" && *peers == "peers" => (addr, command),
        [v1, addr, command] if *v1 == "v1" && *addr != "peers" => (addr, command),
        _ => return None,
    };
    let command = match command.as_ref() {
        "ban" => Command::Ban,
        "unban" => Command::Unban,
        _ => return None,
    };
    if head.method != Method::POST {
        return Some(Err(Reply::empty(404)));
    }
    Some(match parse(addr) {
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

/// `host:port`, `[v6]:port`, or a bare address or name.
fn parse(text: &str) -> Option<HostAddr> {
    if let Ok(addr) = text.parse() {
        return Some(addr);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<core::net::IpAddr>() {
        return Some(HostAddr::new(Hostname::from(ip), DEFAULT_PORT));
    }
    // A name without a dot and a port is more likely a slip than a host.
    let host: Hostname = bare.contains('.').then(|| bare.parse().ok()).flatten()?;
    Some(HostAddr::new(host, DEFAULT_PORT))
}
