//! Questions and answers: how they cross from node to node, and what becomes of those that do not.
//!
//! Every question ends in at most one reply. Whether, and when, something arrives is for the
//! network to say; this follows an exchange from place to place until nobody waits for it.

use peerage_core::{
    Answer, CallError, CallId, Endpoint, Input, Listener, Part, Request, RequestId, Response,
    Trust, VersionHeader,
};

use super::{Event, World};
use crate::engine::Engine;
use crate::exchange::{Exchange, Place, Ticket};
use crate::network::Cargo;
use crate::options::{Sabotage, Wire};
use crate::oracle::Oracle;
use crate::roster::Roster;
use crate::wire;

impl World {
    /// A node asks another.
    pub(super) fn call(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        id: CallId,
        to: &Endpoint,
        request: Request,
    ) {
        self.messages.count(request.name());
        let now = engine.now();
        let callee = self.roster.find(&to.addr);
        let keeps = self.options.wire == Wire::Bytes
            || callee.is_some_and(|callee| self.hosts[callee as usize].audited);
        let ticket = self.exchanges.open(Exchange {
            caller: node,
            caller_run: self.hosts[node as usize].run,
            callee: callee.unwrap_or(u32::MAX),
            call: Some(id),
            trust: to.trust,
            part: to.part,
            listener: Listener::P2p,
            request: Some(request),
            keeps,
            response: None,
            place: Place::Travelling,
            given_up: false,
            sent: now,
            arrives: now,
            need: 0,
        });
        self.hosts[node as usize].note_call(id, ticket);
        match callee {
            Some(callee) => self.send(engine, ticket, node, callee),
            None => self.fail(engine, ticket, CallError::Unreachable),
        }
    }

    /// Puts a question on its way.
    pub(super) fn send(&mut self, engine: &mut Engine<Event>, ticket: Ticket, from: u32, to: u32) {
        let time = self.network.cross(from, to, Cargo::Request);
        let lost = time.is_none() || self.network.blocked(from, to);
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        match time {
            Some(time) if !lost => {
                exchange.arrives = engine.now() + time;
                engine.at(exchange.arrives, from, to, Event::Arrive(ticket));
            }
            _ => exchange.place = Place::Gone,
        }
    }

    pub(super) fn arrive(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (caller, callee) = (exchange.caller, exchange.callee);
        let hermit = self.options.sabotage == Some(Sabotage::Hermit) && callee == 1;
        if self.network.blocked(caller, callee) || hermit {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            return;
        }
        if self.hosts[callee as usize].node.is_none() {
            return self.fail(engine, ticket, CallError::Refused);
        }
        let trusted = match exchange.trust {
            Trust::Anyone => true,
            // Nobody here has a certificate of a public authority.
            Trust::Authorities => false,
            Trust::Pinned(pin) => pin == self.roster.cert(callee).fingerprint,
        };
        if !trusted {
            return self.fail(engine, ticket, CallError::IdentityMismatch);
        }
        exchange.place = Place::Asked;
        let request = if exchange.keeps {
            exchange.request.clone()
        } else {
            exchange.request.take()
        };
        let Some(mut request) = request else { return };
        let listener = exchange.listener;
        if self.options.wire == Wire::Bytes {
            self.findings.looked(Oracle::Wire);
            let garbled = self.options.sabotage == Some(Sabotage::WireGarbled);
            match wire::carry_request(&self.site, listener, &request, garbled) {
                Ok(carried) => request = carried,
                Err(error) => {
                    self.findings
                        .miss(engine.now(), Some(callee), Oracle::Wire, error);
                }
            }
        }
        let from = match caller.checked_sub(self.options.nodes) {
            None => self.roster.caller(caller),
            Some(user) => Roster::user(user, listener),
        };
        let input = Input::Request {
            id: ticket.request(),
            from,
            request,
        };
        self.feed(engine, callee, caller, input);
    }

    /// A node answers.
    pub(super) fn respond(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        id: RequestId,
        response: Response,
        released: bool,
    ) {
        let ticket = Ticket::of_request(id);
        let now = engine.now();
        self.findings.looked(Oracle::Answers);
        let owed = self
            .exchanges
            .get_mut(ticket)
            .filter(|exchange| exchange.callee == node && exchange.place == Place::Asked);
        let Some(exchange) = owed else {
            let text = format!("nobody waits for {response:?} to {id:?}");
            return self.findings.miss(now, Some(node), Oracle::Answers, text);
        };
        if self.options.sabotage == Some(Sabotage::AnswersEaten) && self.luck.chance(20_000) {
            return;
        }
        let host = &self.hosts[node as usize];
        let refused = matches!(response, Response::Refused(_));
        if let (Some(request), false) = (&exchange.request, refused) {
            self.findings.looked(Oracle::Durable);
            // What left at once must wait for everything; what was held, for what came before it.
            let need = if released {
                exchange.need
            } else {
                host.promises.need(request.scope())
            };
            if !host.promises.covers(need) {
                let text = format!("{} is answered before commit {need}", request.name());
                self.findings.miss(now, Some(node), Oracle::Durable, text);
            }
            if host.audited {
                for key in crate::oracle::durable::shown(request, &response) {
                    if !host.disk.holds(&key) && !host.promises.deleted(&key) {
                        let key = String::from_utf8_lossy(&key);
                        let text = format!("{} shows {key:?}, not durable", request.name());
                        self.findings.miss(now, Some(node), Oracle::Durable, text);
                    }
                }
            }
        }
        // Only heads cross where only heads are wanted; a refusal is nobody's typed answer.
        let mut response = if exchange.part == Part::Head || refused {
            Response::Opaque(response.status())
        } else {
            response
        };
        if let (Wire::Bytes, Some(request)) = (self.options.wire, &exchange.request) {
            self.findings.looked(Oracle::Wire);
            match wire::carry_response(request, &response) {
                Ok(carried) => response = carried,
                Err(error) => self.findings.miss(now, Some(node), Oracle::Wire, error),
            }
        }
        exchange.response = Some(response);
        let caller = exchange.caller;
        let time = self.network.cross(node, caller, Cargo::Answer);
        let lost = self.network.blocked(node, caller);
        match time {
            Some(time) if !lost => {
                exchange.place = Place::Returning;
                engine.after(time, node, caller, Event::Answer(ticket));
            }
            _ => {
                exchange.place = Place::Gone;
                if exchange.given_up {
                    self.exchanges.close(ticket);
                }
            }
        }
    }

    pub(super) fn answer(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        if self.network.blocked(exchange.callee, exchange.caller) {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            return;
        }
        let cert = self.roster.cert(exchange.callee);
        let response = exchange.response.take().unwrap_or(Response::Opaque(500));
        let version = VersionHeader::Declared(self.version.clone());
        self.reply(
            engine,
            ticket,
            Ok(Answer {
                response,
                version,
                cert: Some(cert),
            }),
        );
    }

    /// Tells whoever asked what came of it.
    fn reply(
        &mut self,
        engine: &mut Engine<Event>,
        ticket: Ticket,
        result: Result<Answer, CallError>,
    ) {
        let Some(exchange) = self.exchanges.close(ticket) else {
            return;
        };
        if let Err(error) = &result {
            self.failures.count(failure(*error));
        }
        let Some(id) = exchange.call else { return };
        if self.hosts[exchange.caller as usize].run != exchange.caller_run {
            return;
        }
        if exchange.given_up {
            if !self.network.delivers_late(exchange.caller) {
                return;
            }
        } else {
            self.hosts[exchange.caller as usize].take_call(id);
        }
        let input = Input::Reply { id, result };
        self.feed(engine, exchange.caller, exchange.callee, input);
    }

    /// Sends the news back that there will be no answer.
    pub(super) fn fail(&mut self, engine: &mut Engine<Event>, ticket: Ticket, error: CallError) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        exchange.place = Place::Returning;
        let caller = exchange.caller;
        // A host that does not exist is found out at the caller's own side.
        let from = if exchange.callee == u32::MAX {
            caller
        } else {
            exchange.callee
        };
        let time = self.network.cross(from, caller, Cargo::Signal).unwrap_or(0);
        engine.after(time, from, caller, Event::Fail(ticket, error));
    }

    pub(super) fn failed(&mut self, engine: &mut Engine<Event>, ticket: Ticket, error: CallError) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (callee, caller) = (exchange.callee, exchange.caller);
        if callee != u32::MAX && self.network.blocked(callee, caller) {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            return;
        }
        self.reply(engine, ticket, Err(error));
    }

    /// The caller does not wait any longer. If `told`, the connection is seen to break.
    pub(super) fn give_up(&mut self, engine: &mut Engine<Event>, ticket: Ticket, told: bool) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        exchange.given_up = true;
        let (caller, callee) = (exchange.caller, exchange.callee);
        match exchange.place {
            Place::Gone => {
                self.exchanges.close(ticket);
            }
            Place::Returning => {}
            Place::Asked | Place::Travelling => {
                if told && self.network.notices_hangup(caller) {
                    let time = self
                        .network
                        .cross(caller, callee, Cargo::Signal)
                        .unwrap_or(0);
                    // A connection's end never overtakes what was sent on it.
                    let at = (engine.now() + time).max(exchange.arrives + 1);
                    engine.at(at, caller, callee, Event::Hangup(ticket));
                }
            }
        }
    }

    pub(super) fn hangup(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        if exchange.place == Place::Asked && !self.network.blocked(exchange.caller, exchange.callee)
        {
            let callee = exchange.callee;
            self.exchanges.close(ticket);
            self.feed(
                engine,
                callee,
                callee,
                Input::Hangup {
                    id: ticket.request(),
                },
            );
        }
    }

    pub(super) fn act(&mut self, engine: &mut Engine<Event>, party: u32) {
        if !self.stormy {
            return;
        }
        let user = party - self.options.nodes;
        let now = engine.now();
        let wall = self.hosts[0].now(now.max(self.hosts[0].started)).wall;
        let action = self.workload.act(user, &self.roster, wall.as_secs());
        self.messages.count(action.request.name());
        let ticket = self.exchanges.open(Exchange {
            caller: party,
            caller_run: 0,
            callee: action.node,
            call: None,
            trust: Trust::Anyone,
            part: Part::Body,
            listener: action.listener,
            request: Some(action.request),
            keeps: true,
            response: None,
            place: Place::Travelling,
            given_up: false,
            sent: now,
            arrives: now,
            need: 0,
        });
        self.send(engine, ticket, party, action.node);
        engine.after(action.patience, party, party, Event::Impatient(ticket));
        let pause = self.workload.pause(user);
        engine.after(pause, party, party, Event::User);
    }
}

const fn failure(error: CallError) -> &'static str {
    match error {
        CallError::Busy => "busy",
        CallError::IdentityMismatch => "identity mismatch",
        CallError::Malformed => "malformed",
        CallError::Refused => "refused",
        CallError::Timeout => "timeout",
        CallError::TooLarge => "too large",
        CallError::Unreachable => "unreachable",
    }
}
