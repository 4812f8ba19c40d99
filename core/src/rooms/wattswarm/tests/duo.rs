//! Two nodes with a network between them that a test decides about.

use std::collections::{BTreeMap, BTreeSet};

use super::super::records::MessageKind;
use super::super::relationship::{Bond, Sides};
use super::*;
use crate::input::RequestId;
use crate::output::{Endpoint, Trust};
use crate::rng::{Seed, Stream};

/// A question or an answer on its way.
#[derive(Clone)]
pub(super) enum Flight {
    Ask {
        from: usize,
        life: u32,
        call: CallId,
        request: rooms::Request,
    },
    Answer {
        to: usize,
        life: u32,
        call: CallId,
        response: rooms::Response,
    },
}

/// Two nodes that were introduced to each other.
pub(super) struct Duo {
    pub(super) nodes: [Script; 2],
    lives: [u32; 2],
    pub(super) flights: Vec<Flight>,
    asked: BTreeMap<(usize, RequestId), (u32, CallId, rooms::Request)>,
    pub(super) luck: Stream,
    pub(super) seen: BTreeSet<&'static str>,
}

/// The node whose id is the smaller one is first.
pub(super) const IDS: [u8; 2] = [2, 1];

impl Duo {
    pub(super) fn new(seed: u8) -> Self {
        let mut duo = Self::one_sided(seed);
        let [first, second] = &mut duo.nodes;
        introduce(second, first, IDS[0]);
        duo
    }

    /// Only the first node knows where the other one is.
    pub(super) fn one_sided(seed: u8) -> Self {
        Self::tuned(seed, |_| {})
    }

    pub(super) fn tuned(seed: u8, tune: impl Fn(&mut Config)) -> Self {
        let mut nodes = IDS.map(|n| {
            let mut config = config(n);
            tune(&mut config);
            started(config)
        });
        let [first, second] = &mut nodes;
        introduce(first, second, IDS[1]);
        assert!(node(IDS[0]) < node(IDS[1]));
        Self {
            nodes,
            lives: [0; 2],
            flights: Vec::new(),
            asked: BTreeMap::new(),
            luck: Seed([seed; 32]).stream("luck"),
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn other(place: usize) -> NodeId {
        node(IDS[1 - place])
    }

    /// Takes what a node wants done.
    pub(super) fn note(&mut self, place: usize, outputs: Vec<Output>) {
        self.seen.extend(events(&outputs));
        check_disk(&self.nodes[place]);
        for output in outputs {
            match output {
                Output::Call { id, to, request } => self.call(place, id, &to, request),
                Output::Respond { id, response } => {
                    if let Some((life, call, request)) = self.asked.remove(&(place, id)) {
                        let reply = response.encode();
                        assert_eq!(reply.status.as_u16(), response.status());
                        let read = request.decode_response(response.status(), &reply.body);
                        assert_eq!(read, response, "an answer is read as it was written");
                        self.flights.push(Flight::Answer {
                            to: 1 - place,
                            life,
                            call,
                            response,
                        });
                    }
                }
                Output::Abandon { .. }
                | Output::Reclaim
                | Output::Verify { .. }
                | Output::Commit { .. }
                | Output::Event(_) => {}
            }
        }
    }

    fn call(&mut self, from: usize, call: CallId, to: &Endpoint, request: rooms::Request) {
        let there = cert(IDS[1 - from]).fingerprint;
        assert!(!matches!(to.trust, Trust::Pinned(pin) if pin != there));
        assert_eq!(to.addr, addr(IDS[1 - from]));
        let life = self.lives[from];
        let request = super::super::http::tests::over_the_wire(request);
        self.flights.push(Flight::Ask {
            from,
            life,
            call,
            request,
        });
    }

    pub(super) fn land(&mut self, flight: Flight) {
        match flight {
            Flight::Ask {
                from,
                life,
                call,
                request,
            } => {
                let to = 1 - from;
                let asked = request.clone();
                let (id, input) = self.nodes[to].request(peer_caller(IDS[from]), request);
                self.asked.insert((to, id), (life, call, asked));
                let outputs = self.nodes[to].run(input);
                self.note(to, outputs);
            }
            Flight::Answer {
                to,
                life,
                call,
                response,
            } => {
                if life == self.lives[to] {
                    let outputs = self.nodes[to].reply(call, response, IDS[1 - to]);
                    self.note(to, outputs);
                }
            }
        }
    }

    pub(super) fn operate(&mut self, place: usize, request: Request) -> Response {
        let (_, input) = self.nodes[place].request(operator(), request.into());
        let outputs = self.nodes[place].run(input);
        let response = responses(&outputs)
            .into_iter()
            .find_map(|response| match response {
                rooms::Response::Wattswarm(response) => Some(response),
                _ => None,
            });
        self.note(place, outputs);
        response.expect("operators are answered at once")
    }

    pub(super) fn act(&mut self, place: usize, action: Action) -> Response {
        self.operate(
            place,
            act_with(&Self::other(place), action, plain_envelope()),
        )
    }

    pub(super) fn advance(&mut self, by: Duration) {
        for place in 0..2 {
            let outputs = self.nodes[place].advance(by);
            self.note(place, outputs);
        }
    }

    pub(super) fn restart(&mut self, place: usize) {
        let rows = self.nodes[place].durable();
        let now = self.nodes[place].now;
        let mut again = Script::restore(config(IDS[place]), rows);
        again.set_mono(now.mono);
        again.now = now;
        self.lives[place] += 1;
        self.asked.retain(|(at, _), _| *at != place);
        let outputs = again.run(Input::Tick);
        self.nodes[place] = again;
        self.note(place, outputs);
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm(&mut self) {
        for _ in 0..40 {
            let mut landed = 0;
            while !self.flights.is_empty() {
                let flight = self.flights.remove(0);
                self.land(flight);
                landed += 1;
                assert!(landed < 1_000, "the nodes call each other without end");
            }
            self.advance(Duration::from_secs(10));
        }
    }

    pub(super) fn bond(&self, place: usize) -> Bond {
        let room = &self.nodes[place].node.rooms().wattswarm.0;
        room.pairs
            .get(&Self::other(place))
            .map(|pair| pair.standing().bond.clone())
            .unwrap_or_default()
    }

    /// Both must see the same, each from its side.
    pub(super) fn agree(&self) {
        let swap = |sides: Sides| Sides {
            local: sides.remote,
            remote: sides.local,
        };
        let by = |actor| match actor {
            Actor::Local => Actor::Remote,
            Actor::Remote => Actor::Local,
            Actor::System => Actor::System,
        };
        let (one, two) = (self.bond(0), self.bond(1));
        let last = |bond: &Bond| bond.last.map(|(action, by, _)| (action, by));
        let both = Sides {
            local: true,
            remote: true,
        };
        let mirrored = match last(&two) {
            // Of two requests that crossed each side shows its own.
            Some((Action::Request, Actor::Local)) if two.asked == both => last(&one),
            of_two => of_two.map(|(action, actor)| (action, by(actor))),
        };
        assert_eq!(
            (one.state, last(&one), one.asked, one.blocked),
            (two.state, mirrored, swap(two.asked), swap(two.blocked)),
        );
    }

    pub(super) fn messages(&mut self, place: usize) -> Vec<Arc<Message>> {
        let (own, other) = (node(IDS[place]), Self::other(place));
        let all = messages(&mut self.nodes[place], own.as_str(), other.as_str());
        let written = all
            .into_iter()
            .filter(|message| message.message_kind == MessageKind::Message);
        written.collect()
    }
}

/// Two nodes in an accepted relationship.
pub(super) fn befriended(seed: u8) -> Duo {
    let mut duo = Duo::new(seed);
    duo.act(0, Action::Request);
    duo.calm();
    duo.act(1, Action::Accept);
    duo.calm();
    duo
}
