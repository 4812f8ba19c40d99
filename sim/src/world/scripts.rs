//! Scripted requests: literal HTTP, read and answered as a real node's driver does it.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Response as HttpResponse, StatusCode};
use peerage_core::http::{Head, Reception, Reply, Wardrobe, receive};
use peerage_core::{Answer, CallError, Listener, Response, Secret};

use super::{Event, World};
use crate::engine::Engine;
use crate::exchange::{Exchange, PATIENCE};
use crate::roster::Roster;
use crate::scenario::{Answered, Scripted, Transcript};

impl World {
    /// The scripted requests so far, with their answers.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        Transcript {
            requests: self.options.script.clone(),
            answers: self.answers.clone(),
        }
    }

    /// A scripted request is sent.
    pub(super) fn scripted(&mut self, engine: &mut Engine<Event>, number: u32) {
        let script = self.options.script.clone();
        let scripted = &script[number as usize];
        let party = self.options.nodes + self.options.work.users;
        let host = &self.hosts[scripted.node as usize];
        if host.node.is_none() || host.plight.refuses {
            return self.note(engine.now(), number, Err("connection refused"));
        }
        let (path, query) = match scripted.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (scripted.target.as_str(), None),
        };
        let head = Head {
            listener: scripted.listener,
            method: &scripted.method,
            path,
            query,
            headers: &scripted.headers,
        };
        let request = match receive(&self.site, &head) {
            Reception::Answer(reply) => Err(reply),
            Reception::Proceed(routed) => match routed.body_max {
                Some(max) if scripted.body.len() > max => {
                    Err(Reply::empty(StatusCode::PAYLOAD_TOO_LARGE.as_u16()))
                }
                Some(_) => routed.route.decode(&self.site, scripted.body.clone()),
                None => routed.route.decode(&self.site, Bytes::new()),
            },
        };
        let request = match request {
            Ok(request) => request,
            Err(reply) => {
                let answer = self.dress(engine.now(), scripted, party, reply);
                return self.note(engine.now(), number, Ok(answer));
            }
        };
        let now = engine.now();
        let exchange = Exchange {
            scripted: Some(number),
            authorization: authorization(&scripted.headers),
            ..Exchange::new(now, party, scripted.node, scripted.listener, request)
        };
        self.pose(engine, exchange, PATIENCE);
    }

    /// Something came of a scripted request.
    pub(super) fn scripted_reply(
        &mut self,
        engine: &Engine<Event>,
        number: u32,
        result: Result<Answer, CallError>,
    ) {
        let script = self.options.script.clone();
        let scripted = &script[number as usize];
        let party = self.options.nodes + self.options.work.users;
        let at = engine.now();
        let answer = match result {
            Ok(answer) => Ok(self.dress(at, scripted, party, encode(&answer.response))),
            Err(CallError::Refused) => Err("connection refused"),
            Err(_) => Err("the connection broke"),
        };
        self.note(at, number, answer);
    }

    fn note(&mut self, at: u64, number: u32, answer: Result<HttpResponse<Bytes>, &'static str>) {
        self.answers[number as usize] = Some(Answered { at, answer });
    }

    fn dress(&self, at: u64, scripted: &Scripted, party: u32, reply: Reply) -> HttpResponse<Bytes> {
        let user = party - self.options.nodes;
        let peer = match scripted.listener {
            Listener::Api | Listener::P2p => Roster::user(user, scripted.listener).addr,
        };
        let wall = self.hosts[scripted.node as usize].clock.wall(at);
        Wardrobe::new(peer).dress(reply, &scripted.method, wall)
    }
}

/// The header that tells who asks, as a real node's driver reads it.
fn authorization(headers: &HeaderMap) -> Option<Secret> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    Some(Secret(text.to_owned()))
}

fn encode(response: &Response) -> Reply {
    response.encode()
}
