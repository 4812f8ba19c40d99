//! How two nodes come to the same opinion of their relationship.
//!
//! Both take actions, neither waits for the other, and calls are lost, repeated, late, or cut off by
//! a restart. So a relationship is not a state that is sent around but a list of actions, in an
//! order that both find alone:
//!
//! * Each side numbers its actions towards the other (`seq`) and delivers them in that order, each
//!   until it is acknowledged. The receiver takes the next number only: what is repeated is
//!   recognised, what came too soon must come again.
//! * Each action carries a clock, larger than that of every action its side had made or heard of.
//!   Actions are ordered by clock; between two of the same clock, which neither side had seen of the
//!   other, the one of the smaller node id is first.
//! * The state is what the actions give in that order, by the one table in `relationship`. An
//!   action that turns out to be impossible there does nothing, on both sides.
//!
//! Both sides hear of all actions in the end, so both have the same list, the same order and the same
//! state. Nothing has to be rolled back by a message: if the other side's action comes first, our
//! later ones are applied anew on top of it.
//!
//! An action is **settled** when nothing can come before it any more: the other side's clock, as far
//! as it has told us and we have heard all that it had made by then, is not smaller. Settled actions
//! are in `base`. Only our own can be unsettled, since what the other side sends is itself its
//! clock. An action is forgotten when it is settled and acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::records::{Action, Actor, NodeId, State};
use super::relationship::{Bond, Deed, Outcome, Rules, Standing, Step};
use super::types::{Note, Sent};
use crate::ids::PublicKey;

/// How far two sides are with each other's actions, as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// Our actions so far.
    pub made: u64,
    /// How many of them the other side has acknowledged.
    pub acked: u64,
    /// How many of them are settled.
    pub settled: u64,
    /// How many of the other side's we have heard of.
    pub heard: u64,
    /// The largest clock that we have given or heard.
    pub clock: u64,
    /// What we have not yet heard of the other side has a larger clock than this.
    pub horizon: u64,
    /// Changes of the relationship so far.
    pub changes: u64,
}

/// An action of ours that is not settled or not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Own {
    /// See [`Note::clock`].
    pub clock: u64,
    /// What was done.
    pub action: Action,
    /// When, in Unix milliseconds.
    pub at: u64,
    /// The envelope that goes along.
    pub envelope: Option<Sent>,
    /// Its place in the outbox.
    pub place: u64,
}

impl Own {
    fn byte_size(&self) -> usize {
        let envelope = self.envelope.as_ref();
        envelope.map_or(0, |sent| sent.raw.0.len())
    }

    fn deed(&self) -> Deed {
        deed(self.action, Actor::Local, self.at, self.envelope.as_ref())
    }
}

/// The action and the envelope of a side, as [`Standing::act`] takes them.
pub(super) fn deed(action: Action, by: Actor, at: u64, envelope: Option<&Sent>) -> Deed {
    let read = envelope.and_then(|envelope| envelope.read.as_ref().ok());
    Deed {
        action,
        by,
        at,
        request_id: read.and_then(|read| read.request_id()).map(Arc::from),
        envelope: envelope.and_then(Sent::shown),
    }
}

/// This node and another one.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) id: NodeId,
    /// Whether this node's id is the smaller one.
    first: bool,
    pub(super) progress: Progress,
    /// What the settled actions give.
    pub(super) base: Standing,
    /// What all actions give, where that is something else.
    revised: Option<Standing>,
    /// Our actions that are not yet forgotten, by their number.
    pub(super) own: BTreeMap<u64, Own>,
    /// Bytes of envelopes that it keeps, when it was last weighed.
    pub(super) bytes: usize,
    /// How many actions the other side had made when its clock was this, as it said last. Some of
    /// them may be on their way still.
    said: (u64, u64),
}

/// What changed, for those who must write it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Numbers of ours that are forgotten.
    pub(super) forgotten: Vec<u64>,
    /// Requests with ids that the settled actions were about.
    pub(super) requests: Vec<Arc<str>>,
    /// Whether what stands is another than before.
    pub(super) changed: bool,
}

impl Pair {
    pub(super) fn new(own: &PublicKey, id: NodeId) -> Self {
        Self {
            first: id.key().is_some_and(|key| *own < key),
            id,
            progress: Progress::default(),
            base: Standing::default(),
            revised: None,
            own: BTreeMap::new(),
            bytes: 0,
            said: (0, 0),
        }
    }

    /// Counts the bytes of the envelopes that it keeps.
    pub(super) fn weigh(&mut self) -> usize {
        let length = |bond: &Bond| bond.envelope.as_ref().map_or(0, |shown| shown.0.len());
        let requests: usize = self.base.requests.values().map(length).sum();
        // Kept as it was sent, as it is shown and as it was read.
        let own: usize = self.own.values().map(|own| 3 * own.byte_size()).sum();
        self.bytes = length(&self.base.bond) + requests + own;
        self.bytes
    }

    /// How things stand as far as this node knows.
    pub(super) fn standing(&self) -> &Standing {
        self.revised.as_ref().unwrap_or(&self.base)
    }

    pub(super) fn state(&self) -> State {
        self.standing().bond.state
    }

    /// Whether an action that both are told of would be possible now, and change anything.
    pub(super) fn probe(&self, deed: &Deed) -> Outcome {
        // The table itself refuses what only a crossing makes good.
        let bond = &self.standing().bond;
        let step = bond.step(Rules::Sides, deed.by, deed.action);
        let of_node =
            deed.request_id.is_none() || matches!(deed.action, Action::Block | Action::Unblock);
        match step {
            Step::Refused(fault) if of_node => Outcome::Refused(fault.text(&self.id, deed.action)),
            Step::Same if of_node => Outcome::Same,
            Step::Refused(_) | Step::Same | Step::To(_) => {
                self.standing().clone().act(Rules::Sides, &self.id, deed)
            }
        }
    }

    /// Does something that the other side need not hear of: there is no network.
    pub(super) fn act_alone(&mut self, deed: &Deed) -> Outcome {
        let outcome = self.base.act(Rules::BothParts, &self.id, deed);
        if outcome == Outcome::Changed {
            self.progress.changes += 1;
        }
        outcome
    }

    /// Whether a note can be the other side's next one. A clock grows by one with an action, so it is
    /// never larger than the number of actions there are.
    pub(super) const fn fits(&self, note: &Note) -> bool {
        let progress = &self.progress;
        note.seq == progress.heard + 1
            && note.clock > progress.horizon
            && note.clock <= progress.made.saturating_add(note.seq)
    }

    /// Whether a greeting can be the other side's.
    pub(super) const fn believes(&self, made: u64, heard: u64, clock: u64) -> bool {
        heard <= self.progress.made && clock <= self.progress.made.saturating_add(made)
    }

    /// Takes an action of ours that is possible.
    pub(super) fn make(&mut self, own: Own) -> u64 {
        self.progress.made += 1;
        self.progress.clock += 1;
        self.progress.changes += 1;
        let mut standing = self.standing().clone();
        standing.act(Rules::Sides, &self.id, &own.deed());
        self.revised = Some(standing);
        let clock = self.progress.clock;
        self.own.insert(self.progress.made, Own { clock, ..own });
        self.progress.made
    }

    /// Hears of the other side's next action. Its envelope is kept if it is to be `shown`.
    pub(super) fn hear(&mut self, note: &Note, at: u64, shown: bool) -> (Outcome, Moved) {
        let before = self.standing().bond.clone();
        let mut requests = self.settle_while(|own, first| {
            own.clock < note.clock || (own.clock == note.clock && first)
        });
        let mut deed = deed(note.action, Actor::Remote, at, note.envelope.as_ref());
        deed.envelope = deed.envelope.filter(|_| shown);
        requests.extend(deed.request_id.clone());
        let outcome = self.base.act(Rules::Sides, &self.id, &deed);
        let progress = &mut self.progress;
        progress.heard += 1;
        progress.clock = progress.clock.max(note.clock);
        progress.horizon = progress.horizon.max(note.clock);
        let horizon = self.look_ahead();
        requests.extend(self.settle_while(|own, _| own.clock <= horizon));
        if outcome == Outcome::Changed {
            self.progress.changes += 1;
        }
        self.revise();
        let changed = outcome == Outcome::Changed || self.standing().bond != before;
        let moved = Moved {
            forgotten: self.forget(),
            requests,
            changed,
        };
        (outcome, moved)
    }

    /// Hears how far the other side is.
    pub(super) fn greet(&mut self, made: u64, heard: u64, clock: u64) -> Moved {
        let progress = &mut self.progress;
        progress.acked = progress.acked.max(heard.min(progress.made));
        if clock >= self.said.1 {
            self.said = (made, clock);
        }
        let horizon = self.look_ahead();
        let requests = self.settle_while(|own, _| own.clock <= horizon);
        if self.progress.settled == self.progress.made {
            self.revised = None;
        }
        Moved {
            forgotten: self.forget(),
            requests,
            changed: false,
        }
    }

    /// Moves the horizon to the clock that the other side told of, once all is heard that it had
    /// made by then.
    fn look_ahead(&mut self) -> u64 {
        let (made, clock) = self.said;
        if made <= self.progress.heard {
            self.progress.horizon = self.progress.horizon.max(clock);
        }
        self.progress.horizon
    }

    /// Takes back what was stored, after `base`, `progress` and `own` were.
    pub(super) fn restored(&mut self) {
        self.revise();
    }

    /// Moves our first unsettled actions into the base; tells which requests they were about.
    fn settle_while(&mut self, settles: impl Fn(&Own, bool) -> bool) -> Vec<Arc<str>> {
        let mut requests = Vec::new();
        let after = self.progress.settled + 1;
        for (seq, own) in self.own.range(after..) {
            if !settles(own, self.first) {
                break;
            }
            let deed = own.deed();
            self.base.act(Rules::Sides, &self.id, &deed);
            self.progress.settled = *seq;
            requests.extend(deed.request_id);
        }
        requests
    }

    /// Applies our unsettled actions anew.
    fn revise(&mut self) {
        self.revised = None;
        let after = self.progress.settled + 1;
        if self.own.range(after..).next().is_none() {
            return;
        }
        let mut standing = self.base.clone();
        for own in self.own.range(after..).map(|(_, own)| own) {
            standing.act(Rules::Sides, &self.id, &own.deed());
        }
        self.revised = Some(standing);
    }

    fn forget(&mut self) -> Vec<u64> {
        let done = self.progress.acked.min(self.progress.settled);
        let forgotten: Vec<u64> = self.own.range(..=done).map(|(seq, _)| *seq).collect();
        for seq in &forgotten {
            self.own.remove(seq);
        }
        forgotten
    }
}
