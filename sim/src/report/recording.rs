//! What is remembered of a run while it happens: counts and curves exactly, single messages and
//! marks within bounds.

use peerage_core::{Event, Input, Output};

use super::Keep;
use super::flow::{Fate, Flow};
use super::peers::Acquaintance;
use super::series::Series;
use super::spread::Spread;
use crate::exchange::Ticket;
use crate::nemesis::{Fault, Kind};
use crate::network::Effect;
use crate::options::Options;
use crate::oracle::Finding;
use crate::watch::{Carries, Crossing, Life, Watch};
use crate::world::World;

/// Marks of one event name; when there would be more, every other goes.
const MARKS_MAX: usize = 3_000;
/// Starts, stops and pauses of nodes that are kept.
const LIVES_MAX: usize = 200_000;
/// Faults that are kept.
const FAULTS_MAX: usize = 20_000;

/// A fault as it happened.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) number: u32,
    pub(super) fault: Fault,
    pub(super) from: u64,
    /// `None` while it lasts.
    pub(super) to: Option<u64>,
}

/// Moments at which nodes told of one kind of event.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) name: &'static str,
    pub(super) count: u64,
    /// Every so many-th is kept.
    pub(super) every: u64,
    pub(super) marks: Vec<Mark>,
}

/// One of them, in words as long as all are kept.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) node: u32,
    pub(super) text: String,
}

/// What is remembered of a run.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) nodes: u32,
    pub(super) messages_max: usize,
    pub(super) asked: Series,
    pub(super) failed: Series,
    pub(super) told: Series,
    pub(super) lost: Series,
    pub(super) spread: Spread,
    pub(super) marks: Vec<Marks>,
    pub(super) flow: Flow,
    pub(super) lives: Vec<(u64, u32, Life)>,
    pub(super) lives_left_out: u64,
    pub(super) faults: Vec<Span>,
    pub(super) faults_left_out: u64,
    pub(super) findings: Vec<Finding>,
    pub(super) calm: Option<u64>,
    pub(super) peers: Acquaintance,
}

impl Recording {
    /// Nothing yet of a run with these options.
    pub(super) fn new(options: &Options, keep: &Keep) -> Self {
        let step = (options.duration / 240).max(10_000);
        Self {
            nodes: options.nodes,
            messages_max: keep.messages,
            asked: Series::new(step),
            failed: Series::new(step),
            told: Series::new(step),
            lost: Series::new(step),
            spread: Spread::new(options.nodes),
            marks: Vec::new(),
            flow: Flow::new(
                keep.messages,
                options.duration,
                options.nodes,
                keep.nodes.as_ref(),
            ),
            lives: Vec::new(),
            lives_left_out: 0,
            faults: Vec::new(),
            faults_left_out: 0,
            findings: Vec::new(),
            calm: None,
            peers: Acquaintance::new(),
        }
    }

    fn event(&mut self, at: u64, node: u32, event: &Event) {
        let name = event.name();
        self.told.count(at, name);
        self.spread.told(at, node, event);
        // The same name is nearly always the same text at the same place.
        let mut marks = self.marks.iter();
        let place = marks.position(|marks| std::ptr::eq(marks.name, name));
        let place = place.or_else(|| self.marks.iter().position(|marks| marks.name == name));
        let place = place.unwrap_or_else(|| {
            self.marks.push(Marks {
                name,
                count: 0,
                every: 1,
                marks: Vec::new(),
            });
            self.marks.len() - 1
        });
        self.flow.told(place);
        self.marks[place].note(at, node, event);
    }
}

impl Marks {
    fn note(&mut self, at: u64, node: u32, event: &Event) {
        let number = self.count;
        self.count += 1;
        if !number.is_multiple_of(self.every) {
            return;
        }
        if self.marks.len() == MARKS_MAX {
            self.every *= 2;
            let mut even = false;
            self.marks.retain_mut(|mark| {
                mark.text = String::new();
                even = !even;
                even
            });
            if !number.is_multiple_of(self.every) {
                return;
            }
        }
        let text = if self.every == 1 {
            event.to_string()
        } else {
            String::new()
        };
        self.marks.push(Mark { at, node, text });
    }
}

impl Watch for Recording {
    fn input(&mut self, _at: u64, _node: u32, _from: u32, input: &Input) {
        if let Input::Request { id, .. } = input {
            self.flow.handling(Some(Ticket::of_request(*id)));
        }
    }

    fn output(&mut self, at: u64, node: u32, output: &Output) {
        match output {
            Output::Call { request, .. } => self.asked.count(at, request.name()),
            Output::Event(event) => self.event(at, node, event),
            Output::Abandon { .. }
            | Output::Commit { .. }
            | Output::Reclaim
            | Output::Respond { .. }
            | Output::Verify { .. } => {}
        }
    }

    fn done(&mut self, _at: u64, _node: u32) {
        self.flow.handling(None);
    }

    fn crossing(&mut self, crossing: &Crossing) {
        // The questions of nodes are counted when they are asked: some leave for nowhere.
        if crossing.carries == Carries::Question && !crossing.called {
            self.asked.count(crossing.at, crossing.name);
        }
        if crossing.arrives.is_none() {
            self.lost.count(crossing.at, carried(crossing.carries));
        }
        self.flow.crossing(crossing);
    }

    fn swallowed(&mut self, at: u64, ticket: Ticket, carries: Carries) {
        self.lost.count(at, carried(carries));
        self.flow.diverted(ticket, carries, at, Fate::Swallowed);
    }

    fn held(&mut self, _at: u64, ticket: Ticket, carries: Carries, until: u64) {
        self.flow.diverted(ticket, carries, until, Fate::Arrives);
    }

    fn failure(&mut self, at: u64, ticket: Ticket, reason: &'static str) {
        self.failed.count(at, reason);
        self.flow.failure(at, ticket, reason);
    }

    fn fault(&mut self, at: u64, number: u32, fault: &Fault, begins: bool) {
        if !begins {
            let mut open = self.faults.iter_mut().rev();
            if let Some(span) = open.find(|span| span.number == number && span.to.is_none()) {
                span.to = Some(at);
            }
        } else if self.faults.len() < FAULTS_MAX {
            let at_once = matches!(fault.what.kind(), Kind::Reset | Kind::Join);
            self.faults.push(Span {
                number,
                fault: fault.clone(),
                from: at,
                to: at_once.then_some(at),
            });
        } else {
            self.faults_left_out += 1;
        }
    }

    fn life(&mut self, at: u64, node: u32, life: Life) {
        if self.lives.len() < LIVES_MAX {
            self.lives.push((at, node, life));
        } else {
            self.lives_left_out += 1;
        }
    }

    fn finding(&mut self, finding: &Finding) {
        self.flow.finding(finding);
        self.findings.push(finding.clone());
    }

    fn calm(&mut self, at: u64) {
        self.calm = Some(at);
        for span in &mut self.faults {
            // Who is lost stays lost.
            if span.to.is_none() && span.fault.what.kind() != Kind::Lose {
                span.to = Some(at);
            }
        }
    }

    fn sample(&mut self, at: u64, world: &World, last: bool) {
        self.peers.sample(at, world, last);
        // Whoever is not of the core stays apart in the calm; no fault tells of that.
        if let Some(calm) = self.calm {
            for (number, condition) in world.network.conditions() {
                let Effect::Partition { spares_flight } = condition.effect else {
                    continue;
                };
                if self.faults.iter().any(|span| span.number == *number) {
                    continue;
                }
                self.faults.push(Span {
                    number: *number,
                    fault: Fault {
                        at: calm,
                        lasts: None,
                        what: crate::nemesis::What::Partition {
                            a: condition.a.clone(),
                            b: condition.b.clone(),
                            way: condition.way,
                            spares_flight,
                        },
                    },
                    from: calm,
                    to: None,
                });
            }
        }
    }
}

/// What a lost message was.
pub(super) const fn carried(carries: Carries) -> &'static str {
    match carries {
        Carries::Question => "question",
        Carries::Answer => "answer",
        Carries::Failure => "failure",
        Carries::Hangup => "hang-up",
    }
}
