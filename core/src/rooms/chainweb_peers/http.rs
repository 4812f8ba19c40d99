//! The peer endpoints as HTTP. Rule: Chainweb P2P API, `GET` and `PUT {network}/peer`.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::{Page, Refusal, Request, Response};
use crate::commons::address::{HostAddr, Hostname, PeerInfo};
use crate::commons::network::{NetworkId, NodeVersion};
use crate::http::page::{Cursor, PageQuery};
use crate::http::query::Query;
use crate::http::show::{quoted, unquoted};
use crate::http::{Head, Outgoing, Reply, Routed, Site, chainweb};
use crate::ids::Fingerprint;
use crate::json::{self, Error, Value};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// A page; nothing is left to read.
    Page(NetworkId, PageQuery),
    /// A peer is in the body.
    Put(NetworkId),
}

pub(crate) fn route(site: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    let below = chainweb::below(site, head.path).filter(|below| below.resource == "peer")?;
    Some(if head.method == Method::PUT {
        chainweb::negotiate(head, &[Method::PUT], true)
            .map(|()| Routed::with_body(Route::Put(below.network)))
    } else {
        chainweb::negotiate(head, &[Method::GET, Method::HEAD], false)
            .and_then(|()| {
                PageQuery::parse(Query::new(head.query)).map_err(|text| Reply::plain(400, text))
            })
            .map(|query| Routed::bare(Route::Page(below.network, query)))
    })
}

pub(crate) fn too_large(declared: Option<u64>) -> Reply {
    Reply::too_large(declared)
}

pub(crate) fn decode(_: &Site, route: Route, body: Bytes) -> Result<Request, Reply> {
    match route {
        Route::Page(network, query) => Ok(Request::Page { network, query }),
        Route::Put(network) => match json::parse_bytes(&body).and_then(|value| read_info(&value)) {
            Ok(peer) => Ok(Request::Put { network, peer }),
            Err(error) => Err(Reply::plain(400, error.to_string())),
        },
    }
}

pub(crate) fn encode(response: &Response) -> Reply {
    match response {
        Response::Added => Reply::json(204, Bytes::new()),
        Response::Page(page) => Reply::json(200, page.json()),
        Response::Refused(refusal) => Reply::text(400, format!("{REFUSED}{refusal}")),
    }
}

pub(crate) fn encode_request(site: &Site, request: &Request) -> Outgoing {
    match request {
        Request::Page { network, query } => {
            let mut target = chainweb::target(site, *network, "peer");
            let mut separator = '?';
            if let Some(limit) = query.limit {
                target.push_str(&format!("{separator}limit={limit}"));
                separator = '&';
            }
            if let Some(next) = query.next {
                target.push_str(&format!("{separator}next={next}"));
            }
            Outgoing {
                method: Method::GET,
                target,
                json: false,
                body: Bytes::new(),
            }
        }
        Request::Put { network, peer } => {
            let mut body = Vec::new();
            peer.write_json(&mut body);
            let target = chainweb::target(site, *network, "peer");
            Outgoing {
                method: Method::PUT,
                target,
                json: true,
                body: body.into(),
            }
        }
    }
}

pub(crate) fn decode_response(request: &Request, status: u16, body: &Bytes) -> Option<Response> {
    match (request, status) {
        (Request::Page { .. }, 200) => Page::read(body).ok().map(Arc::new).map(Response::Page),
        (Request::Put { .. }, 200..=299) => Some(Response::Added),
        (Request::Put { .. }, 400) => {
            let text = core::str::from_utf8(body).ok()?.strip_prefix(REFUSED)?;
            Refusal::read(text).map(Response::Refused)
        }
        _ => None,
    }
}

const REFUSED: &str = "Invalid hostaddress: ";

impl Page {
    /// The page as JSON, rendered at the first call: pages are asked for far more often than they
    /// change.
    pub(crate) fn json(&self) -> Bytes {
        self.rendered.get_or_init(|| self.render()).clone()
    }

    fn render(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + 128 * self.items.len());
        out.extend_from_slice(format!("{{\"limit\":{},\"items\":[", self.items.len()).as_bytes());
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write_json(&mut out);
        }
        match self.next {
            Some(next) => {
                out.extend_from_slice(format!("],\"next\":\"inclusive:{next}\"}}").as_bytes());
            }
            None => out.extend_from_slice(b"],\"next\":null}"),
        }
        out.into()
    }

    /// Reads a page that a peer gave.
    ///
    /// # Errors
    /// What is missing or of the wrong type, with its JSON path.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Error> {
        let value = json::parse_bytes(body)?;
        let page = value.object("Page")?;
        let items = page.read("items", |items| items.each("[]", read_info))?;
        let next = page.read_optional("next", |next| {
            match Cursor::parse(next.string("Text")?).map_err(Error::new)? {
                Cursor::Inclusive(at) => Ok(u64::try_from(at).ok()),
                Cursor::Exclusive(at) => Ok(u64::try_from(at).ok().map(|at| at + 1)),
            }
        })?;
        Ok(Self {
            items,
            next: next.flatten(),
            ..Self::default()
        })
    }
}

/// Reads a peer: `{"id":…,"address":{"hostname":…,"port":…}}`. The key `id` must be there; `null`
/// stands for a peer known by its address alone.
fn read_info(value: &Value<'_>) -> Result<PeerInfo, Error> {
    let info = value.object("PeerInfo")?;
    let id = info.read("id", |id| {
        let known = !matches!(id, Value::Null);
        known.then(|| read_id(id)).transpose()
    })?;
    let address = info.read("address", |address| {
        let address = address.object("HostAddress")?;
        let host = address.read("hostname", |host| {
            let text = host.string("Hostname")?;
            Hostname::new(text)
                .map_err(|_| Error::new(format!("Failed to parse hostname: {}", quoted(text))))
        })?;
        Ok(HostAddr::new(host, address.read("port", Value::word16)?))
    })?;
    Ok(PeerInfo::new(id, address))
}

fn read_id(value: &Value<'_>) -> Result<Fingerprint, Error> {
    value
        .string("PeerId")?
        .parse()
        .map_err(|error: crate::ids::IdError| Error::new(error.to_string()))
}

impl core::fmt::Display for Refusal {
    /// The text that the wire carries.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::IsLocalPeerAddress => f.write_str("IsLocalPeerAddress"),
            Self::IsNotReachable(why) => write!(f, "IsNotReachable {}", quoted(why)),
            Self::IsReservedHostAddress => f.write_str("IsReservedHostAddress"),
            Self::NodeVersionNotAccepted(version) => {
                write!(f, "NodeVersionNotAccepted ({})", version.shown())
            }
            Self::PeerBanned => f.write_str("PeerBanned"),
        }
    }
}

impl Refusal {
    /// Reads what `Display` wrote.
    fn read(text: &str) -> Option<Self> {
        match text {
            "IsLocalPeerAddress" => return Some(Self::IsLocalPeerAddress),
            "IsReservedHostAddress" => return Some(Self::IsReservedHostAddress),
            "PeerBanned" => return Some(Self::PeerBanned),
            _ => {}
        }
        if let Some(why) = text.strip_prefix("IsNotReachable ") {
            return unquoted(why).map(Self::IsNotReachable);
        }
        let version =
            text.strip_prefix("NodeVersionNotAccepted (NodeVersion {_getNodeVersion = [")?;
        let parts = version.strip_suffix("]})")?.replace(',', ".");
        parts
            .parse::<NodeVersion>()
            .ok()
            .map(Self::NodeVersionNotAccepted)
    }
}
