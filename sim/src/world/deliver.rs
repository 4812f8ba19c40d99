//! Questions and answers: how they cross from node to node, and what becomes of those that do not.
//!
//! Every question ends in at most one reply. Whether, and when, something arrives is for the
//! network to say; this follows an exchange from place to place until nobody waits for it.

use std::sync::Arc;

use peerage_core::rooms::wattswarm;
use peerage_core::{
    Answer, CallError, CallId, Caller, Endpoint, Input, Listener, Part, Request, RequestId,
    Response, Trust, VersionHeader,
};

use super::{Event, World};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::exchange::{Exchange, Place, Ticket};
use crate::network::{Cargo, Mishap};
use crate::options::{Sabotage, Wire};
use crate::oracle::Oracle;
use crate::roster::Roster;
use crate::watch::{Carries, Crossing};
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
        let keeps = self.options.wire != Wire::Typed
            || callee.is_some_and(|callee| self.hosts[callee as usize].audited);
        let asked = callee.unwrap_or(u32::MAX);
        let ticket = self.exchanges.open(Exchange {
            caller_run: self.hosts[node as usize].run,
            call: Some(id),
            trust: to.trust,
            part: to.part,
            keeps,
            ..Exchange::new(now, node, asked, Listener::P2p, request)
        });
        self.hosts[node as usize].note_call(id, ticket);
        match callee {
            Some(callee) => self.send(engine, ticket, node, callee),
            None => self.fail(engine, ticket, CallError::Unreachable),
        }
    }

    /// Puts a question on its way.
    pub(super) fn send(&mut self, engine: &mut Engine<Event>, ticket: Ticket, from: u32, to: u32) {
        let now = engine.now();
        let mishap = self.network.mishap(from, to);
        let (exchanges, site) = (&mut self.exchanges, &self.site);
        let Some(exchange) = exchanges.get_mut(ticket) else {
            return;
        };
        let request = &exchange.request;
        let size = || {
            request
                .as_ref()
                .map_or(0, |request| wire::size_of_request(site, request))
        };
        let time = self.network.cross(now, from, to, Cargo::Request, size);
        let time = time.filter(|_| !self.network.blocked(from, to));
        exchange.impostor = mishap == Some(Mishap::Impostor);
        match time {
            Some(time) => {
                exchange.arrives = now + time;
                engine.at(exchange.arrives, from, to, Event::Arrive(ticket));
            }
            None => exchange.place = Place::Gone,
        }
        self.show_crossing(now, ticket, Carries::Question, from, to, time);
        match mishap {
            Some(Mishap::Refused) => self.fail(engine, ticket, CallError::Refused),
            Some(Mishap::Reset) => {
                let after = self.network.breaks_after(from);
                engine.after(after, from, from, Event::Reset(ticket));
            }
            Some(Mishap::Impostor) | None => {}
        }
    }

    /// Tells whoever looks that a message leaves.
    fn show_crossing(
        &mut self,
        at: u64,
        ticket: Ticket,
        carries: Carries,
        from: u32,
        to: u32,
        time: Option<u64>,
    ) {
        if !self.watchers.any() {
            return;
        }
        let exchange = self.exchanges.get_mut(ticket);
        let (name, called) = exchange.map_or(("", false), |exchange| {
            (exchange.name, exchange.call.is_some())
        });
        let crossing = Crossing {
            at,
            ticket,
            carries,
            name,
            called,
            from,
            to,
            arrives: time.map(|time| at + time),
        };
        self.watchers.each(|watch| watch.crossing(&crossing));
    }

    /// Whether a message that is there just now is held up or swallowed on its last steps. If it is
    /// held up, `event` comes again later.
    fn stopped(
        &mut self,
        engine: &mut Engine<Event>,
        ticket: Ticket,
        carries: Carries,
        from: u32,
        to: u32,
        event: Event,
    ) -> bool {
        if self.network.swallowed(from, to) {
            if let Some(exchange) = self.exchanges.get_mut(ticket) {
                exchange.place = Place::Gone;
                if exchange.given_up {
                    self.exchanges.close(ticket);
                }
            }
            let at = engine.now();
            self.watchers
                .each(|watch| watch.swallowed(at, ticket, carries));
            return true;
        }
        match self.network.held(from, to) {
            Some(until) if until > engine.now() => {
                // Until the storm ends, if it is held for ever.
                let until = until.min(self.options.duration.max(engine.now()) + 1);
                engine.at(until, from, to, event);
                let at = engine.now();
                self.watchers
                    .each(|watch| watch.held(at, ticket, carries, until));
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn arrive(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        // It was refused or broke before.
        if exchange.place != Place::Travelling {
            return;
        }
        let (caller, callee) = (exchange.caller, exchange.callee);
        let event = Event::Arrive(ticket);
        if self.stopped(engine, ticket, Carries::Question, caller, callee, event) {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let plight = self.hosts[callee as usize].plight;
        let hermit = self.options.sabotage == Some(Sabotage::Hermit) && callee == 1;
        if hermit || plight.hangs {
            exchange.place = Place::Gone;
            if exchange.given_up {
                self.exchanges.close(ticket);
            }
            let at = engine.now();
            self.watchers
                .each(|watch| watch.swallowed(at, ticket, Carries::Question));
            return;
        }
        let host = &self.hosts[callee as usize];
        let lies = host.liar.is_some();
        if (host.node.is_none() && !lies) || plight.refuses {
            return self.fail(engine, ticket, CallError::Refused);
        }
        let impostor = plight.impersonated || exchange.impostor;
        let trusted = match exchange.trust {
            Trust::Anyone => true,
            // Nobody here has a certificate of a public authority.
            Trust::Authorities => false,
            Trust::Pinned(pin) => !impostor && pin == self.roster.cert(callee).fingerprint,
        };
        if !trusted {
            return self.fail(engine, ticket, CallError::IdentityMismatch);
        }
        if impostor {
            // Whoever it is does not speak our language.
            return self.fail(engine, ticket, CallError::Malformed);
        }
        exchange.place = Place::Asked;
        // It may have been held up on its last steps.
        exchange.arrives = engine.now();
        let request = if exchange.keeps {
            exchange.request.clone()
        } else {
            exchange.request.take()
        };
        let Some(mut request) = request else { return };
        let listener = exchange.listener;
        let authorization = exchange.authorization.clone();
        if self.options.wire != Wire::Typed {
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
        let plain = self
            .exchanges
            .get_mut(ticket)
            .is_some_and(|of| of.scripted.is_none());
        if self.options.wire == Wire::Mangled
            && plain
            && let Some(luck) = self.network.mangles(caller)
        {
            match wire::mangle_request(&self.site, listener, &request, luck) {
                wire::Mangled::Broken => {
                    return self.fail(engine, ticket, CallError::Unreachable);
                }
                // The node's own reader has refused it; the machine never sees it.
                wire::Mangled::Refused(status) => {
                    if let Some(exchange) = self.exchanges.get_mut(ticket) {
                        exchange.response = Some(Response::Opaque(status));
                    }
                    return self.give_back(engine, ticket);
                }
                wire::Mangled::Changed(changed) => request = changed,
            }
            if let Some(exchange) = self.exchanges.get_mut(ticket) {
                exchange.request = Some(request.clone());
            }
        }
        if self.options.sabotage == Some(Sabotage::LettersAltered) {
            alter(&mut request);
        }
        if lies {
            return self.ask_liar(engine, ticket, callee, &request);
        }
        let from = match caller.checked_sub(self.options.nodes) {
            None => self.roster.caller(caller),
            Some(user) => Caller {
                authorization,
                ..Roster::user(user, listener)
            },
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
        if let (true, Some(request)) = (self.options.wire != Wire::Typed, &exchange.request) {
            self.findings.looked(Oracle::Wire);
            match wire::carry_response(request, &response) {
                Ok(carried) => response = carried,
                Err(error) => self.findings.miss(now, Some(node), Oracle::Wire, error),
            }
        }
        if let (Wire::Mangled, Some(request), true) = (
            self.options.wire,
            &exchange.request,
            exchange.call.is_some(),
        ) && let Some(luck) = self.network.mangles(node)
        {
            match wire::mangle_response(request, &response, luck) {
                Some(changed) => response = changed,
                None => return self.fail(engine, ticket, CallError::Malformed),
            }
        }
        exchange.response = Some(response);
        self.give_back(engine, ticket);
    }

    /// Puts an answer on its way.
    pub(super) fn give_back(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let now = engine.now();
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let node = exchange.callee;
        let caller = exchange.caller;
        let response = &exchange.response;
        let size = || response.as_ref().map_or(0, wire::size_of_response);
        let time = self.network.cross(now, node, caller, Cargo::Answer, size);
        let time = time.filter(|_| !self.network.blocked(node, caller));
        match time {
            Some(time) => {
                exchange.place = Place::Returning;
                engine.after(time, node, caller, Event::Answer(ticket));
            }
            None => exchange.place = Place::Gone,
        }
        let over = exchange.given_up && time.is_none();
        self.show_crossing(now, ticket, Carries::Answer, node, caller, time);
        if over {
            self.exchanges.close(ticket);
        }
    }

    pub(super) fn answer(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (callee, caller) = (exchange.callee, exchange.caller);
        if self.stopped(
            engine,
            ticket,
            Carries::Answer,
            callee,
            caller,
            Event::Answer(ticket),
        ) {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
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
            let (at, reason) = (engine.now(), failure(*error));
            self.failures.count(reason);
            self.watchers
                .each(|watch| watch.failure(at, ticket, reason));
        }
        if let Some(number) = exchange.scripted {
            return self.scripted_reply(engine, number, result);
        }
        let Some(id) = exchange.call else {
            if let (Ok(answer), Some(asked), false) =
                (&result, &exchange.request, exchange.given_up)
            {
                self.heard(exchange.caller, exchange.callee, asked, &answer.response);
                if exchange.caller < self.options.nodes {
                    self.lie_at_once(engine, exchange.caller);
                }
            }
            return;
        };
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

    /// A user or a liar is answered.
    fn heard(&mut self, caller: u32, callee: u32, asked: &Request, response: &Response) {
        match self.hosts.get_mut(caller as usize) {
            Some(host) => {
                if let Some(liar) = &mut host.liar {
                    liar.heard(callee, response);
                }
            }
            None => self.workload.heard(&self.roster, callee, asked, response),
        }
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
        let now = engine.now();
        let time = self.network.cross(now, from, caller, Cargo::Signal, || 0);
        let time = time.unwrap_or(0);
        engine.after(time, from, caller, Event::Fail(ticket, error));
        self.show_crossing(now, ticket, Carries::Failure, from, caller, Some(time));
    }

    pub(super) fn failed(&mut self, engine: &mut Engine<Event>, ticket: Ticket, error: CallError) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (callee, caller) = (exchange.callee, exchange.caller);
        let event = Event::Fail(ticket, error);
        if callee != u32::MAX
            && self.stopped(engine, ticket, Carries::Failure, callee, caller, event)
        {
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
                    let now = engine.now();
                    let time = self.network.cross(now, caller, callee, Cargo::Signal, || 0);
                    let time = time.unwrap_or(0);
                    // A connection's end never overtakes what was sent on it.
                    let at = (engine.now() + time).max(exchange.arrives + 1);
                    engine.at(at, caller, callee, Event::Hangup(ticket));
                    let time = Some(at - now);
                    self.show_crossing(now, ticket, Carries::Hangup, caller, callee, time);
                }
            }
        }
    }

    pub(super) fn hangup(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let (caller, callee) = (exchange.caller, exchange.callee);
        if exchange.place != Place::Asked || self.network.swallowed(caller, callee) {
            return;
        }
        if let Some(until) = self.network.held(caller, callee)
            && until > engine.now()
        {
            let until = until.min(self.options.duration.max(engine.now()) + 1);
            return engine.at(until, caller, callee, Event::Hangup(ticket));
        }
        let id = ticket.request();
        self.feed(engine, callee, callee, Input::Hangup { id });
    }

    pub(super) fn act(&mut self, engine: &mut Engine<Event>, party: u32) {
        if !self.stormy {
            return;
        }
        let user = party - self.options.nodes;
        let now = engine.now();
        // Users' clocks are right.
        let wall = Clock::new(0).wall(now);
        let action = self.workload.act(user, &self.roster, wall.as_secs());
        let pause = self.workload.pause(user);
        engine.after(pause, party, party, Event::User);
        // What is left out is drawn all the same, so that nothing else changes.
        let number = (user, self.workload.acted(user));
        if (self.options.kept_actions.as_ref()).is_some_and(|kept| !kept.contains(&number)) {
            return;
        }
        let exchange = Exchange {
            authorization: action.authorization,
            ..Exchange::new(now, party, action.node, action.listener, action.request)
        };
        self.pose(engine, exchange, action.patience);
    }

    /// Somebody who is no node asks one, and waits so long.
    pub(super) fn pose(&mut self, engine: &mut Engine<Event>, exchange: Exchange, patience: u64) {
        self.messages.count(exchange.name);
        let (caller, callee) = (exchange.caller, exchange.callee);
        let ticket = self.exchanges.open(exchange);
        self.send(engine, ticket, caller, callee);
        engine.after(patience, caller, caller, Event::Impatient(ticket));
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

/// Has friends write a millisecond later, so that an oracle can be seen to notice.
fn alter(request: &mut Request) {
    let Request::Wattswarm(wattswarm::Request::Deliver(delivery)) = request else {
        return;
    };
    if let wattswarm::Parcel::Letters(letters) = &mut Arc::make_mut(delivery).parcel {
        for letter in letters {
            letter.created_at += 1;
        }
    }
}
