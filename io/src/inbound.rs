//! Requests from others: two listeners, and everything that can be refused before the node is asked.
//!
//! The order of checks is Chainweb's: who calls and how often, path, method, headers, query, length
//! of the body, body; then the node. JSON is read and written outside of the node's lock.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue, SERVER};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use peerage_core::http::throttle::Throttle;
use peerage_core::http::{Head, Reception, Reply, Routed, Wardrobe, headers, receive};
use peerage_core::rooms::Refused;
use peerage_core::{Caller, Listener, PeerCert, Response as NodeResponse, Secret, Standing};

use crate::body::{self, BodyError, Budget};
use crate::clock;
use crate::driver::Driver;

type Answer = Response<Full<Bytes>>;

/// What all connections of a node share.
pub(crate) struct Inbound {
    pub(crate) driver: Arc<Driver>,
    throttle: Mutex<Throttle>,
    /// For bodies that come.
    budget: Budget,
    /// For bodies that go.
    answers: Budget,
}

/// The far end of one connection.
#[derive(Debug)]
pub(crate) struct FarEnd {
    addr: SocketAddr,
    listener: Listener,
    cert: Option<PeerCert>,
    wardrobe: Wardrobe,
}

impl FarEnd {
    pub(crate) fn new(addr: SocketAddr, listener: Listener, cert: Option<PeerCert>) -> Self {
        Self {
            addr,
            listener,
            cert,
            wardrobe: Wardrobe::new(addr),
        }
    }
}

/// An answer before it is dressed.
enum Outcome {
    /// With the headers that every answer carries.
    Dressed(Reply),
    /// Without: refused before routing, as Chainweb's middleware does.
    Bare(Reply),
    /// Bare, and the connection is of no more use.
    Last(Reply),
}

impl Inbound {
    pub(crate) fn new(driver: Arc<Driver>, throttle: Throttle) -> Self {
        Self {
            driver,
            throttle: Mutex::new(throttle),
            budget: Budget::new(),
            answers: Budget::new(),
        }
    }

    /// Answers one request.
    pub(crate) async fn serve(
        &self,
        far: &FarEnd,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        let (parts, mut body) = request.into_parts();
        let head = Head {
            listener: far.listener,
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
        };
        let outcome = self.decide(far, &head, &mut body).await;
        let mut response = match outcome {
            Outcome::Dressed(reply) => far.wardrobe.dress(reply, &parts.method, clock::wall()),
            Outcome::Bare(reply) => bare(reply, &parts.method),
            Outcome::Last(reply) => {
                let mut response = bare(reply, &parts.method);
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        };
        if !body.is_end_stream() {
            if expects_continue(&parts.headers) {
                // The client waits for leave to send, and has been refused.
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            } else {
                body::discard(body);
            }
        }
        self.driver
            .metrics
            .request(far.listener, response.status().as_u16());
        Ok(response.map(Full::new))
    }

    async fn decide(&self, far: &FarEnd, head: &Head<'_>, body: &mut Incoming) -> Outcome {
        let caller = Caller {
            addr: far.addr,
            listener: far.listener,
            authorization: authorization(head.headers),
            cert: far.cert,
        };
        if let Some(refusal) = self.screen(&caller, head) {
            return refusal;
        }
        if far.listener == Listener::Api && head.path == "/metrics" {
            return Outcome::Dressed(self.metrics(head));
        }
        let Routed { route, body_max } = match receive(self.driver.site(), head) {
            Reception::Proceed(routed) => routed,
            Reception::Answer(reply) => return Outcome::Dressed(reply),
        };
        let read = match body_max {
            None => None,
            Some(max) => match body::read(body, max, &self.budget).await {
                Ok(read) => Some(read),
                Err(BodyError::TooLarge(declared)) => {
                    return Outcome::Bare(route.too_large(declared));
                }
                Err(BodyError::Crowded) => {
                    return Outcome::Dressed(NodeResponse::Refused(Refused::Busy).encode());
                }
                Err(BodyError::Slow) => {
                    return Outcome::Last(Reply::text(408, "The request body came too slowly"));
                }
                Err(BodyError::Broken) => {
                    return Outcome::Last(Reply::text(400, "The request body is broken"));
                }
            },
        };
        let bytes = read
            .as_ref()
            .map_or_else(Bytes::new, |read| read.bytes.clone());
        let request = match route.decode(self.driver.site(), bytes) {
            Ok(request) => request,
            Err(reply) => return Outcome::Dressed(reply),
        };
        // The request holds what it needs; the body's share of the budget is free again.
        drop(read);
        let mut reply = self.driver.ask(caller, request).await.encode();
        match self.answers.charge(reply.body).await {
            Some(body) => {
                reply.body = body;
                Outcome::Dressed(reply)
            }
            None => Outcome::Dressed(NodeResponse::Refused(Refused::Busy).encode()),
        }
    }

    /// Who may not even ask.
    fn screen(&self, caller: &Caller, head: &Head<'_>) -> Option<Outcome> {
        if caller.listener == Listener::Api {
            return None;
        }
        let known = match self.driver.standing(caller) {
            Standing::Banned => {
                return Some(Outcome::Dressed(
                    NodeResponse::Refused(Refused::Banned).encode(),
                ));
            }
            Standing::Known => true,
            Standing::Stranger => false,
        };
        if known || !head.path.starts_with("/chainweb/") {
            return None;
        }
        let now = self.driver.now().mono.as_micros();
        let is_put = head.method == Method::PUT;
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = throttle.admit(now, caller.addr.ip(), is_put, head.path);
        (!admitted).then(|| Outcome::Bare(Reply::throttled()))
    }

    fn metrics(&self, head: &Head<'_>) -> Reply {
        if !matches!(*head.method, Method::GET | Method::HEAD) {
            return Reply::empty(405);
        }
        let text = self.driver.metrics.render(&self.driver.gauges());
        Reply::new(
            200,
            Some("text/plain; version=0.0.4; charset=utf-8"),
            text.into(),
        )
    }
}

/// An answer with its body's type and the server's name, no more.
fn bare(reply: Reply, method: &Method) -> Response<Bytes> {
    let body = if method == Method::HEAD {
        Bytes::new()
    } else {
        reply.body
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let fields = response.headers_mut();
    fields.insert(SERVER, headers::SERVER);
    if let Some(content_type) = reply.content_type {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}

fn authorization(headers: &HeaderMap) -> Option<Secret> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    Some(Secret(text.to_owned()))
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
