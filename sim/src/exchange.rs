//! Questions under way, from the moment they are asked until nobody waits for them any more.

use peerage_core::{CallId, Listener, Part, Request, RequestId, Response, Secret, Trust};

/// Names an exchange; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    index: u32,
    generation: u32,
}

impl Ticket {
    /// The name under which the node that is asked knows the exchange.
    #[must_use]
    pub const fn request(self) -> RequestId {
        RequestId((self.index as u64) << 32 | self.generation as u64)
    }

    /// The exchange that a node knows under this name.
    #[must_use]
    pub const fn of_request(id: RequestId) -> Self {
        Self {
            index: (id.0 >> 32) as u32,
            generation: id.0 as u32,
        }
    }
}

/// Where an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The question is under way.
    Travelling,
    /// The node that is asked owes an answer.
    Asked,
    /// The answer, or the news that there is none, is under way.
    Returning,
    /// Lost. The caller does not know yet.
    Gone,
}

/// One question and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Who asks: a node, or a user.
    pub caller: u32,
    /// Which run of the caller.
    pub caller_run: u32,
    /// Who is asked.
    pub callee: u32,
    /// What the caller calls the exchange, if it is a node.
    pub call: Option<CallId>,
    /// Which request of the script this is, if it is one.
    pub scripted: Option<u32>,
    /// How the one asked must prove who it is.
    pub trust: Trust,
    /// How much of the answer is wanted.
    pub part: Part,
    /// Where the question arrives.
    pub listener: Listener,
    /// The question's `Authorization` header.
    pub authorization: Option<Secret>,
    /// What the question is called.
    pub name: &'static str,
    /// Whether somebody else will answer in place of the one who is asked.
    pub impostor: bool,
    /// The question: until it arrives, or for good if `keeps`.
    pub request: Option<Request>,
    /// Whether somebody wants to see the question again.
    pub keeps: bool,
    /// The answer, while it travels.
    pub response: Option<Response>,
    /// Where the exchange is.
    pub place: Place,
    /// Whether the caller has given up.
    pub given_up: bool,
    /// When it was asked.
    pub sent: u64,
    /// When the question arrives or arrived.
    pub arrives: u64,
    /// The commit that must be durable before the answer may be seen.
    pub need: u64,
}

/// How long somebody who is no node waits for an answer, where nothing else is said; microseconds.
pub const PATIENCE: u64 = 30_000_000;

impl Exchange {
    /// A question on its way from somebody who is no node.
    #[must_use]
    pub fn new(sent: u64, caller: u32, callee: u32, listener: Listener, request: Request) -> Self {
        Self {
            caller,
            caller_run: 0,
            callee,
            call: None,
            scripted: None,
            trust: Trust::Anyone,
            part: Part::Body,
            listener,
            authorization: None,
            name: request.name(),
            impostor: false,
            request: Some(request),
            keeps: true,
            response: None,
            place: Place::Travelling,
            given_up: false,
            sent,
            arrives: sent,
            need: 0,
        }
    }
}

/// All exchanges of a world.
#[derive(Clone, Debug, Default)]
pub struct Exchanges {
    slots: Vec<(u32, Option<Exchange>)>,
    free: Vec<u32>,
}

impl Exchanges {
    /// Adds one.
    pub fn open(&mut self, exchange: Exchange) -> Ticket {
        if let Some(index) = self.free.pop() {
            let (generation, slot) = &mut self.slots[index as usize];
            *slot = Some(exchange);
            return Ticket {
                index,
                generation: *generation,
            };
        }
        let index = self.slots.len() as u32;
        self.slots.push((0, Some(exchange)));
        Ticket {
            index,
            generation: 0,
        }
    }

    /// The exchange of that name, unless it is over.
    pub fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Exchange> {
        match self.slots.get_mut(ticket.index as usize) {
            Some((generation, slot)) if *generation == ticket.generation => slot.as_mut(),
            _ => None,
        }
    }

    /// Ends one.
    pub fn close(&mut self, ticket: Ticket) -> Option<Exchange> {
        match self.slots.get_mut(ticket.index as usize) {
            Some((generation, slot)) if *generation == ticket.generation => {
                let exchange = slot.take()?;
                *generation = generation.wrapping_add(1);
                self.free.push(ticket.index);
                Some(exchange)
            }
            _ => None,
        }
    }

    /// All that are not over, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (Ticket, &Exchange)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, (generation, slot))| {
                let ticket = Ticket {
                    index: index as u32,
                    generation: *generation,
                };
                Some((ticket, slot.as_ref()?))
            })
    }

    /// How many are not over.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
