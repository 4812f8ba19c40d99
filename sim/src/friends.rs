//! Users who make friends: they introduce nodes to each other, ask for relationships, answer, and
//! write. What they are told leads to what they do next, so that conversations get deep.
//!
//! All luck is from streams of their own, so that nothing else in a world shifts with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerage_core::rooms::wattswarm::records::{Action, Actor, Json, State};
use peerage_core::rooms::wattswarm::{
    Act, Draft, Introduction, Material, Request, Response, Sent, ids,
};

use crate::options::{Options, Social};
use crate::paper::{self, Seal};
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// All users who make friends.
#[derive(Clone, Debug)]
pub struct Friends {
    work: Social,
    /// All weights of users together, of those who do not make friends too.
    total: u64,
    nodes: u32,
    on: Option<Vec<u32>>,
    luck: Luck,
    /// How nodes say that they are reached.
    known: BTreeMap<u32, Material>,
    /// What comes next, because of what was told.
    next: Vec<(u32, Request)>,
    letters: u64,
    secret: [u8; 32],
}

/// Things to do next that are remembered.
const NEXT_MAX: usize = 64;

impl Friends {
    /// The users of a run with these options.
    #[must_use]
    pub fn new(seeds: &Seeds, options: &Options, on: Option<Vec<u32>>) -> Self {
        let work = &options.work;
        let others = [
            work.insert,
            work.repeat,
            work.invalid,
            work.read,
            work.page,
            work.put,
            work.ban,
        ];
        let social = u64::from(work.social.sum());
        Self {
            total: others.into_iter().map(u64::from).sum::<u64>() + social,
            work: work.social,
            nodes: options.nodes,
            on,
            luck: seeds.family("friends").luck(0),
            known: BTreeMap::new(),
            next: Vec::new(),
            letters: 0,
            secret: seeds.identity(u32::MAX - 2),
        }
    }

    /// All luck comes from these streams from now on.
    pub fn reseed(&mut self, seeds: &Seeds) {
        self.luck = seeds.family("friends").luck(0);
    }

    /// What is asked of which node next; nothing, if it is something else's turn.
    pub fn act(&mut self, roster: &Roster) -> Option<(u32, Request)> {
        let sum = u64::from(self.work.sum());
        if sum == 0 || self.luck.below(self.total) >= sum {
            return None;
        }
        if !self.next.is_empty() && self.luck.chance(650_000) {
            let place = self.luck.index(self.next.len());
            return Some(self.next.swap_remove(place));
        }
        let node = match &self.on {
            None => self.luck.below(self.nodes.into()) as u32,
            Some(on) => on[self.luck.index(on.len())],
        };
        let other = self.other(node);
        let Social {
            relate,
            message,
            converse,
            ..
        } = self.work;
        let choice = self.luck.below(sum) as u32;
        let request = if choice < relate {
            self.relate(roster, node, other)
        } else if choice < relate + message {
            self.write(roster, other)
        } else if choice < relate + message + converse {
            self.converse(roster, node, other)
        } else {
            return Some(self.introduce(roster, node, other));
        };
        Some((node, request))
    }

    /// With whom the users of a node have to do: mostly with two neighbours.
    fn other(&mut self, node: u32) -> u32 {
        let near = (node + 1 + self.luck.below(2) as u32) % self.nodes;
        if self.luck.chance(700_000) && near != node {
            near
        } else {
            self.luck.below(self.nodes.into()) as u32
        }
    }

    /// The name of a node; now and then one that nobody has, or that nobody can have.
    fn name(&mut self, roster: &Roster, node: u32) -> Arc<str> {
        match self.luck.below(60) {
            0 => "node-alpha".into(),
            1 => {
                let digits = self.luck.bits();
                format!("{digits:016x}{digits:016x}{digits:016x}{digits:016x}").into()
            }
            2 => " ".into(),
            _ => roster.id(node).as_str().into(),
        }
    }

    fn relate(&mut self, roster: &Roster, node: u32, other: u32) -> Request {
        let action = if self.luck.chance(500_000) {
            Action::Request
        } else {
            Action::ALL[self.luck.index(Action::ALL.len())]
        };
        // Now and then of oneself.
        let other = if self.luck.chance(10_000) {
            node
        } else {
            other
        };
        let remote = self.name(roster, other);
        self.action(remote, action)
    }

    fn action(&mut self, remote: Arc<str>, action: Action) -> Request {
        let numbered = self.luck.chance(self.work.request_ids);
        let message = if numbered {
            format!("{{\"request_id\":\"r{}\"}}", self.luck.below(3))
        } else {
            format!("{{\"about\":\"{}\"}}", action.name())
        };
        Request::Act(Act {
            remote,
            action,
            by: Actor::Local,
            envelope: self.envelope(&message),
        })
    }

    fn envelope(&mut self, message: &str) -> Option<Sent> {
        let seal = match self.luck.below(50) {
            0 => return None,
            1 => Seal::Blank,
            2 => Seal::FalseCard,
            3 => Seal::Forged(self.secret),
            4 if self.luck.chance(100_000) => Seal::Giant,
            5..12 => Seal::Signed(self.secret),
            _ => Seal::Plain,
        };
        Some(paper::envelope(seal, message))
    }

    fn write(&mut self, roster: &Roster, other: u32) -> Request {
        let remote = self.name(roster, other);
        let content = self.content();
        Request::Send(Draft {
            remote,
            content,
            envelope: self.envelope("{}"),
        })
    }

    fn content(&mut self) -> Json {
        self.letters += 1;
        match self.luck.below(300) {
            0 => paper::giant(),
            1 | 2 => paper::content(8 * self.letters + 4, 60_000),
            _ => paper::content(self.letters, 20),
        }
    }

    fn converse(&mut self, roster: &Roster, node: u32, other: u32) -> Request {
        match self.luck.below(24) {
            0..6 => Request::Relationships,
            6..9 => Request::Threads,
            9..12 => Request::List,
            12 => Request::Status,
            13 => Request::Network,
            14 => Request::Head,
            15 => Request::Run(self.luck.chance(500_000)),
            16 => Request::Messages {
                thread: "dm:0123".into(),
            },
            _ => Request::Messages {
                thread: thread(roster, node, other),
            },
        }
    }

    fn introduce(&mut self, roster: &Roster, node: u32, other: u32) -> (u32, Request) {
        let told = self.known.get(&other).cloned();
        let Some(mut material) = told.filter(|_| !self.luck.chance(200_000)) else {
            return (other, Request::OwnContact);
        };
        let remote = self.name(roster, other);
        if self.luck.chance(60_000) {
            // Somebody else lives there.
            let addr = Roster::addr(self.luck.below(self.nodes.into()) as u32);
            let said = format!("{{\"listen_addrs\":[\"{addr}\"]}}").into();
            material = Material::new(said, None, material.generated_at());
        }
        (node, Request::Contact(Introduction { remote, material }))
    }

    /// A user was answered by `node`, and knows what to do next.
    pub fn heard(&mut self, roster: &Roster, node: u32, asked: &Request, response: &Response) {
        match (asked, response) {
            (Request::OwnContact, Response::OwnContact(material)) => {
                self.known.insert(node, Material::clone(material));
                let other = self.other(node);
                let remote = roster.id(node).as_str().into();
                let material = Material::clone(material);
                let request = Request::Contact(Introduction { remote, material });
                self.then(900_000, other, request);
            }
            (Request::Act(act), Response::Queued { .. }) => {
                if let Some(other) = roster.named(&act.remote) {
                    self.acted(roster, node, other, act.action);
                }
            }
            (Request::Act(act), Response::Refused(_)) => {
                if let (Some(_), Action::Accept) = (roster.named(&act.remote), act.action) {
                    // The request may still be on its way.
                    let again = self.action(act.remote.clone(), act.action);
                    self.then(750_000, node, again);
                }
            }
            (Request::Send(draft), Response::Sent(_)) => {
                if let Some(other) = roster.named(&draft.remote) {
                    self.wrote(roster, node, other);
                }
            }
            (Request::Relationships, Response::Relationships(listing)) => {
                let records = listing.iter().flat_map(|of| of.records.iter());
                let found: Vec<_> = records
                    .map(|record| {
                        let theirs = record.initiated_by == Actor::Remote;
                        let remote: Arc<str> = record.remote_node_id.as_str().into();
                        (remote, record.relationship_state, theirs)
                    })
                    .collect();
                for (remote, state, theirs) in found {
                    let request = match state {
                        State::Requested if theirs => self.action(remote, Action::Accept),
                        State::Accepted => self.letter(remote),
                        State::None | State::Requested | State::Rejected | State::Blocked => {
                            continue;
                        }
                    };
                    self.then(300_000, node, request);
                }
            }
            _ => {}
        }
    }

    /// An action was taken at `node`: what becomes of it there and at the other side.
    fn acted(&mut self, roster: &Roster, node: u32, other: u32, action: Action) {
        let (own, theirs): (Arc<str>, Arc<str>) = (
            roster.id(node).as_str().into(),
            roster.id(other).as_str().into(),
        );
        match action {
            Action::Request => {
                let answer = match self.luck.below(10) {
                    0 => Action::Reject,
                    1 => Action::Block,
                    // Both ask, and their requests may cross.
                    2 => Action::Request,
                    _ => Action::Accept,
                };
                let answer = self.action(own, answer);
                self.then(950_000, other, answer);
                let back = self.action(theirs, Action::Cancel);
                self.then(60_000, node, back);
            }
            Action::Accept => {
                for (at, to) in [(node, &theirs), (other, &own), (node, &theirs)] {
                    let letter = self.letter(to.clone());
                    self.then(850_000, at, letter);
                }
                let end = if self.luck.chance(500_000) {
                    Action::Remove
                } else {
                    Action::Block
                };
                let end = self.action(own, end);
                self.then(200_000, other, end);
            }
            Action::Block => {
                let lift = self.action(theirs, Action::Unblock);
                self.then(700_000, node, lift);
                let too = self.action(own, Action::Block);
                self.then(150_000, other, too);
            }
            Action::Reject | Action::Cancel | Action::Remove | Action::Unblock => {
                let anew = self.action(theirs, Action::Request);
                self.then(500_000, node, anew);
            }
        }
    }

    /// A message was sent from `node`: there is more to say, and to read.
    fn wrote(&mut self, roster: &Roster, node: u32, other: u32) {
        let (own, theirs): (Arc<str>, Arc<str>) = (
            roster.id(node).as_str().into(),
            roster.id(other).as_str().into(),
        );
        let (more, answer) = (self.letter(theirs.clone()), self.letter(own));
        self.then(500_000, node, more);
        self.then(500_000, other, answer);
        let thread = thread(roster, node, other);
        let at = if self.luck.chance(500_000) {
            node
        } else {
            other
        };
        self.then(200_000, at, Request::Messages { thread });
        let end = match self.luck.below(3) {
            0 => Action::Block,
            1 => Action::Remove,
            _ => Action::Request,
        };
        let end = self.action(theirs, end);
        self.then(80_000, node, end);
    }

    fn letter(&mut self, remote: Arc<str>) -> Request {
        let content = self.content();
        Request::Send(Draft {
            remote,
            content,
            envelope: self.envelope("{}"),
        })
    }

    /// Remembers, `per_million` times in a million, what to ask of a node.
    fn then(&mut self, per_million: u32, node: u32, request: Request) {
        if !self.luck.chance(per_million) {
            return;
        }
        if self.next.len() < NEXT_MAX {
            self.next.push((node, request));
        } else {
            let place = self.luck.index(NEXT_MAX);
            self.next[place] = (node, request);
        }
    }
}

fn thread(roster: &Roster, node: u32, other: u32) -> Arc<str> {
    let (one, two) = (roster.id(node), roster.id(other));
    ids::thread_id(one.as_str(), two.as_str()).into()
}
