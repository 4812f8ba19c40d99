//! What liars do in a world: their questions and answers cross like everybody's.

use peerage_core::{Listener, Part, Request, Response};

use super::{Event, World};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::exchange::{Exchange, PATIENCE, Place, Ticket};
use crate::grin::Spoiler;

impl World {
    /// A liar bothers somebody.
    pub(super) fn lie(&mut self, engine: &mut Engine<Event>, node: u32) {
        if !self.stormy {
            return;
        }
        let wall = Clock::new(0).wall(engine.now()).as_secs();
        let Some(liar) = &mut self.hosts[node as usize].liar else {
            return;
        };
        let (target, request) = liar.act(&self.roster, wall);
        let pause = liar.pause();
        engine.after(pause, node, node, Event::Lie);
        self.ask_as_liar(engine, node, target, request);
        self.lie_at_once(engine, node);
    }

    /// A liar makes use of what it has just been told, before anybody else hears of it.
    pub(super) fn lie_at_once(&mut self, engine: &mut Engine<Event>, node: u32) {
        if !self.stormy {
            return;
        }
        let liar = self.hosts[node as usize].liar.as_mut();
        let spoiler = liar.and_then(|liar| liar.spoiler.as_mut());
        let urgent = spoiler.map_or_else(Vec::new, Spoiler::urgent);
        for (target, request) in urgent {
            self.ask_as_liar(engine, node, target, Request::Grin(request));
        }
    }

    fn ask_as_liar(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        target: u32,
        request: Request,
    ) {
        let exchange = Exchange::new(engine.now(), node, target, Listener::P2p, request);
        self.pose(engine, exchange, PATIENCE);
    }

    /// A liar is asked. It answers whatever it likes, but what the caller can read of that is for
    /// the caller's own reader to say.
    pub(super) fn ask_liar(
        &mut self,
        engine: &mut Engine<Event>,
        ticket: Ticket,
        node: u32,
        request: &Request,
    ) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        let head = exchange.part == Part::Head;
        let from = Some(exchange.caller).filter(|from| *from < self.options.nodes);
        let liar = self.hosts[node as usize].liar.as_mut();
        match liar.and_then(|liar| liar.answer(&self.roster, from, request)) {
            None => {
                exchange.place = Place::Gone;
                if exchange.given_up {
                    self.exchanges.close(ticket);
                }
            }
            Some((after, response)) => {
                let reply = response.encode();
                exchange.response = Some(if head {
                    Response::Opaque(response.status())
                } else {
                    request.decode_response(reply.status.as_u16(), &reply.body)
                });
                engine.after(after, node, node, Event::Lied(ticket));
            }
        }
        self.lie_at_once(engine, node);
    }

    /// A liar's answer leaves.
    pub(super) fn lied(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let asked = |exchange: &&mut Exchange| exchange.place == Place::Asked;
        if self.exchanges.get_mut(ticket).filter(asked).is_some() {
            self.give_back(engine, ticket);
        }
    }
}
