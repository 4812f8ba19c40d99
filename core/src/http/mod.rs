//! HTTP as pure functions: bytes to requests, answers to bytes, and the client's half of both.
//!
//! A driver reads a request's head, calls [`receive`], reads as much of the body as it is told, and
//! calls [`Route::decode`]; the node answers; [`Wardrobe::dress`] makes the answer's headers. No socket, no
//! clock: the same text in gives the same text out.

pub mod chainweb;
pub(crate) mod date;
pub mod headers;
pub mod negotiate;
pub mod page;
pub mod path;
pub mod query;
pub mod show;
pub mod throttle;
pub mod too_large;
pub mod v1;

use bytes::Bytes;
use core::net::SocketAddr;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::commons::network::ChainwebVersion;
use crate::config::Config;
use crate::input::Listener;
use crate::limits::BODY_BYTES_MAX;
pub use crate::rooms::Route;
use crate::time::WallTime;

/// `application/json` as Chainweb spells it.
pub const JSON: &str = "application/json;charset=utf-8";
/// Text as Chainweb's handlers spell it.
pub const TEXT: &str = "text/plain;charset=utf-8";

/// What of a node's settings the codec needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The network in the paths.
    pub network: ChainwebVersion,
    /// How many chains have paths.
    pub chains: u8,
}

impl Site {
    /// The site of a node with these settings.
    #[must_use]
    pub const fn new(config: &Config) -> Self {
        Self {
            network: config.network,
            chains: config.chains,
        }
    }
}

/// A request before its body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Which listener took it.
    pub listener: Listener,
    /// The method.
    pub method: &'a Method,
    /// The path, as sent.
    pub path: &'a str,
    /// What follows the `?`, as sent.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

/// What to do with a request, now that its head is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Reception {
    /// Answer; the body is of no interest.
    Answer(Reply),
    /// Go on with the route, after reading the body if it wants one.
    Proceed(Routed<Route>),
}

/// A route and whether it reads the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed<T> {
    /// Where the path leads.
    pub route: T,
    /// Bytes of the body that may be read; `None` if the body is never looked at.
    pub body_max: Option<usize>,
}

impl<T> Routed<T> {
    /// A route that never looks at the body.
    pub const fn bare(route: T) -> Self {
        Self {
            route,
            body_max: None,
        }
    }

    /// A route that reads a body of at most [`BODY_BYTES_MAX`].
    pub const fn with_body(route: T) -> Self {
        Self {
            route,
            body_max: Some(BODY_BYTES_MAX),
        }
    }

    /// A route that reads a body of at most `max` bytes.
    pub const fn with_body_of(route: T, max: usize) -> Self {
        Self {
            route,
            body_max: Some(max),
        }
    }

    pub(crate) fn map<U>(self, wrap: impl FnOnce(T) -> U) -> Routed<U> {
        Routed {
            route: wrap(self.route),
            body_max: self.body_max,
        }
    }
}

/// An answer as HTTP, without the headers that depend on who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The `Content-Type`, if the answer has one.
    pub content_type: Option<&'static str>,
    /// The methods that a path has, where another was asked for.
    pub allow: Option<&'static str>,
    /// How to show who asks, where that was not shown or not believed.
    pub challenge: Option<&'static str>,
    /// Whether the body tells a secret, which nobody on its way may keep.
    pub secret: bool,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// An answer without body and without `Content-Type`.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self::new(status, None, Bytes::new())
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, Some(JSON), body.into())
    }

    /// A text that a handler answers.
    #[must_use]
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, Some(TEXT), body.into())
    }

    /// A text without `Content-Type`, as Chainweb's routing answers.
    #[must_use]
    pub fn plain(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, None, body.into())
    }

    /// An answer of these parts; a status outside HTTP's range becomes 500.
    #[must_use]
    pub fn new(status: u16, content_type: Option<&'static str>, body: Bytes) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            content_type,
            allow: None,
            challenge: None,
            secret: false,
            body,
        }
    }

    /// 405 without a body. `allow` names the methods that the path has.
    #[must_use]
    pub fn not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::empty(405)
        }
    }

    /// 401 without a body. `challenge` says how callers show who they are.
    #[must_use]
    pub fn unauthorized(challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..Self::empty(401)
        }
    }

    /// 413, for a body longer than its route reads. `declared` is the `Content-Length`, if any.
    #[must_use]
    pub fn too_large(declared: Option<u64>) -> Self {
        Self::new(
            413,
            Some("text/plain"),
            too_large::too_large(declared).into(),
        )
    }

    /// 429, for a caller that asks too often.
    #[must_use]
    pub fn throttled() -> Self {
        let body = Bytes::from_static(br#"{"message":"Too many requests."}"#);
        Self::new(429, Some("application/json"), body)
    }
}

/// A request as HTTP, without a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// The path, and the query if there is one.
    pub target: String,
    /// Whether a JSON body goes along, which may be empty.
    pub json: bool,
    /// The body.
    pub body: Bytes,
}

/// Finds out what a request's head asks for.
///
/// The order of checks is Chainweb's: path, method, `Accept`, `Content-Type`, query.
#[must_use]
pub fn receive(site: &Site, head: &Head<'_>) -> Reception {
    match Route::find(site, head) {
        Some(Ok(routed)) => Reception::Proceed(routed),
        Some(Err(reply)) => Reception::Answer(reply),
        None => Reception::Answer(Reply::empty(404)),
    }
}

/// What makes whole answers for one caller: the headers that every answer carries.
#[derive(Clone, Debug)]
pub struct Wardrobe {
    /// Complete, so that an answer's headers are a copy with two values changed.
    fields: HeaderMap,
}

impl Wardrobe {
    /// The headers of answers to `peer`.
    #[must_use]
    pub fn new(peer: SocketAddr) -> Self {
        let fields = [
            (header::CONTENT_TYPE, headers::CONTENT_TYPE_JSON),
            (header::SERVER, headers::SERVER),
            (headers::X_CHAINWEB_NODE_VERSION, headers::DECLARED_VERSION),
            (headers::X_PEER_ADDR, headers::peer_addr(peer)),
            (headers::X_SERVER_TIMESTAMP, headers::server_timestamp(0)),
        ];
        Self {
            fields: fields.into_iter().collect(),
        }
    }

    /// Makes the whole answer of `reply`; no body for HEAD.
    #[must_use]
    pub fn dress(&self, reply: Reply, method: &Method, wall: WallTime) -> http::Response<Bytes> {
        let mut response = http::Response::new(reply.body);
        *response.status_mut() = reply.status;
        let mut fields = self.fields.clone();
        match reply.content_type {
            Some(JSON) => {}
            Some(other) => {
                fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(other));
            }
            None => {
                fields.remove(header::CONTENT_TYPE);
            }
        }
        if let Some(timestamp) = fields.get_mut(headers::X_SERVER_TIMESTAMP) {
            *timestamp = headers::server_timestamp(wall.as_secs());
        }
        if let Some(allow) = reply.allow {
            fields.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(challenge) = reply.challenge {
            fields.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if reply.secret {
            // Rule: RFC 6749, 5.1, which has both.
            fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            fields.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        }
        if method == Method::HEAD {
            let length = response.body().len();
            fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            *response.body_mut() = Bytes::new();
        }
        *response.headers_mut() = fields;
        response
    }
}
