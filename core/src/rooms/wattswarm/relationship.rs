//! What an action makes of a relationship: the transition table, and the times that go with it.
//!
//! [`transition`] is the table, one `match` by state, action and side. [`Standing::act`] applies it
//! to a record. Rule: WattSwarm relationships, 3.1, 3.2 and 3.6; sides count only between nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::records::{Action, Actor, Json, NodeId, Relationship, State};

/// Which of two sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sides {
    /// This node.
    pub local: bool,
    /// The other node.
    pub remote: bool,
}

impl Sides {
    /// The one side that `actor` is; nobody for the system.
    #[must_use]
    pub const fn of(actor: Actor) -> Self {
        Self {
            local: matches!(actor, Actor::Local),
            remote: matches!(actor, Actor::Remote),
        }
    }

    /// Whether `actor` is among them.
    #[must_use]
    pub const fn has(self, actor: Actor) -> bool {
        match actor {
            Actor::Local => self.local,
            Actor::Remote => self.remote,
            Actor::System => false,
        }
    }

    /// Whether the side opposite to `actor` is among them.
    #[must_use]
    pub const fn has_other(self, actor: Actor) -> bool {
        match actor {
            Actor::Local => self.remote,
            Actor::Remote => self.local,
            Actor::System => false,
        }
    }

    const fn with(self, actor: Actor) -> Self {
        let one = Self::of(actor);
        Self {
            local: self.local || one.local,
            remote: self.remote || one.remote,
        }
    }

    const fn without(self, actor: Actor) -> Self {
        let one = Self::of(actor);
        Self {
            local: self.local && !one.local,
            remote: self.remote && !one.remote,
        }
    }
}

/// Whether it matters which side acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// A client may play both parts. For a node without a network.
    BothParts,
    /// Only the asked side answers, only the asker cancels, only who blocked unblocks.
    Sides,
}

/// What an action leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The action is not possible.
    Refused(Fault),
    /// Nothing changes, not even a time.
    Same,
    /// The relationship is in this state now.
    To(State),
}

/// Why an action is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// E4.
    AlreadyBlocked,
    /// E3.
    Blocked,
    /// The request is the actor's own: the other side answers it.
    NotAsked,
    /// The request is the other side's: only the asker takes it back.
    NotAsker,
    /// E5.
    NotBlocked,
    /// The block is the other side's.
    NotBlocker,
    /// E1.
    NotPending,
    /// E2.
    WrongState(State),
}

impl Fault {
    /// The text of the 400. The wording of E1 to E5 is the original's.
    #[must_use]
    pub fn text(self, id: &NodeId, action: Action) -> String {
        let action = action.name();
        match self {
            Self::AlreadyBlocked => format!("remote_node_id={id} is already blocked"),
            Self::Blocked => {
                format!("cannot request relationship while remote_node_id={id} is blocked")
            }
            Self::NotAsked => format!(
                "cannot {action} relationship for remote_node_id={id}: the request is not the other side's"
            ),
            Self::NotAsker => format!(
                "cannot {action} relationship for remote_node_id={id}: the request is the other side's"
            ),
            Self::NotBlocked => {
                format!("cannot unblock remote_node_id={id} because it is not blocked")
            }
            Self::NotBlocker => {
                format!("cannot unblock remote_node_id={id} because the other side blocked")
            }
            Self::NotPending => format!(
                "cannot {action} relationship for remote_node_id={id} without a pending request"
            ),
            Self::WrongState(state) => format!(
                "cannot {action} relationship for remote_node_id={id} from state={}",
                state.name()
            ),
        }
    }
}

/// The table. `asked` are the sides whose request is pending, `blocked` those that block.
#[must_use]
pub const fn transition(
    rules: Rules,
    state: State,
    asked: Sides,
    blocked: Sides,
    by: Actor,
    action: Action,
) -> Step {
    let sides = matches!(rules, Rules::Sides);
    match (state, action) {
        (State::None, Action::Request) => Step::To(State::Requested),
        (State::None, Action::Accept | Action::Reject) => Step::Refused(Fault::NotPending),
        (State::None, Action::Cancel | Action::Remove) => Step::Refused(Fault::WrongState(state)),
        (State::None, Action::Block) => Step::To(State::Blocked),
        (State::None, Action::Unblock) => Step::Refused(Fault::NotBlocked),

        (State::Requested, Action::Request) => Step::Same,
        (State::Requested, Action::Accept | Action::Reject) if sides && !asked.has_other(by) => {
            Step::Refused(Fault::NotAsked)
        }
        (State::Requested, Action::Accept) => Step::To(State::Accepted),
        (State::Requested, Action::Reject) => Step::To(State::Rejected),
        (State::Requested, Action::Cancel) if sides && !asked.has(by) => {
            Step::Refused(Fault::NotAsker)
        }
        (State::Requested, Action::Cancel) => Step::To(State::None),
        (State::Requested, Action::Remove) => Step::Refused(Fault::WrongState(state)),
        (State::Requested, Action::Block) => Step::To(State::Blocked),
        (State::Requested, Action::Unblock) => Step::Refused(Fault::NotBlocked),

        (State::Accepted, Action::Request | Action::Accept) => Step::Same,
        (State::Accepted, Action::Reject) => Step::Refused(Fault::NotPending),
        (State::Accepted, Action::Cancel) => Step::Refused(Fault::WrongState(state)),
        (State::Accepted, Action::Remove) => Step::To(State::None),
        (State::Accepted, Action::Block) => Step::To(State::Blocked),
        (State::Accepted, Action::Unblock) => Step::Refused(Fault::NotBlocked),

        (State::Rejected, Action::Request) => Step::To(State::Requested),
        (State::Rejected, Action::Accept) => Step::Refused(Fault::NotPending),
        (State::Rejected, Action::Reject) => Step::Same,
        (State::Rejected, Action::Cancel) => Step::Refused(Fault::WrongState(state)),
        (State::Rejected, Action::Remove) => Step::To(State::None),
        (State::Rejected, Action::Block) => Step::To(State::Blocked),
        (State::Rejected, Action::Unblock) => Step::Refused(Fault::NotBlocked),

        (State::Blocked, Action::Request) => Step::Refused(Fault::Blocked),
        (State::Blocked, Action::Accept | Action::Reject) => Step::Refused(Fault::NotPending),
        (State::Blocked, Action::Cancel | Action::Remove) => {
            Step::Refused(Fault::WrongState(state))
        }
        // Two blocks that cross both count.
        (State::Blocked, Action::Block) => Step::Refused(Fault::AlreadyBlocked),
        (State::Blocked, Action::Unblock) if sides && !blocked.has(by) => {
            Step::Refused(Fault::NotBlocker)
        }
        (State::Blocked, Action::Unblock) if sides && blocked.has_other(by) => {
            Step::To(State::Blocked)
        }
        (State::Blocked, Action::Unblock) => Step::To(State::None),
    }
}

/// A relationship without the node that it is with: its state, its times, and whose doing it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bond {
    /// How it stands.
    pub state: State,
    /// What was last done, by whom and when; nothing if nothing ever was.
    pub last: Option<(Action, Actor, u64)>,
    /// See [`Relationship::requested_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at: Option<u64>,
    /// See [`Relationship::responded_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responded_at: Option<u64>,
    /// See [`Relationship::blocked_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_at: Option<u64>,
    /// See [`Relationship::cleared_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared_at: Option<u64>,
    /// The envelope to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Json>,
    /// Whose request is pending.
    #[serde(default)]
    pub asked: Sides,
    /// Who blocks.
    #[serde(default)]
    pub blocked: Sides,
}

impl Bond {
    /// What an action would lead to.
    #[must_use]
    pub const fn step(&self, rules: Rules, by: Actor, action: Action) -> Step {
        transition(rules, self.state, self.asked, self.blocked, by, action)
    }

    /// Notes an action that leads to `state`. Rule: 3.1, when which time is kept.
    pub fn change(&mut self, state: State, by: Actor, action: Action, at: u64) {
        let blocked_at = self.blocked_at.filter(|_| state == State::Blocked);
        match action {
            Action::Request => {
                self.requested_at = Some(at);
                self.responded_at = None;
                self.cleared_at = None;
                self.asked = Sides::of(by);
            }
            Action::Accept | Action::Reject => {
                self.responded_at = Some(at);
                self.cleared_at = None;
                self.asked = Sides::default();
            }
            Action::Cancel | Action::Remove => {
                self.cleared_at = Some(at);
                self.asked = self.asked.without(by);
            }
            Action::Block => {
                self.cleared_at = None;
                self.asked = Sides::default();
                self.blocked = Sides::of(by);
            }
            Action::Unblock => {
                self.cleared_at = Some(at);
                self.blocked = self.blocked.without(by);
            }
        }
        if state == State::None {
            self.asked = Sides::default();
            self.blocked = Sides::default();
        }
        self.blocked_at = if action == Action::Block {
            Some(at)
        } else {
            blocked_at
        };
        self.state = state;
        self.last = Some((action, by, at));
    }

    /// Notes that the side which had not asked yet has asked too. Tells whether the record shows this
    /// request from now on.
    ///
    /// Requests that cross have one order for both sides, but each side goes on showing the one that
    /// it knew of first, which is its own. Rule: the original, whose record does not move either.
    pub(super) fn ask_too(&mut self, by: Actor, at: u64) -> bool {
        self.asked = self.asked.with(by);
        let known_before = self
            .last
            .is_some_and(|(_, _, shown)| at < shown || (at == shown && by == Actor::Local));
        if known_before {
            self.requested_at = Some(at);
            self.last = Some((Action::Request, by, at));
        }
        known_before
    }

    /// The record that clients see; none if nothing was ever done.
    #[must_use]
    pub fn record(&self, id: &NodeId) -> Option<Relationship> {
        let (last_action, initiated_by, updated_at) = self.last?;
        Some(Relationship {
            remote_node_id: id.clone(),
            relationship_state: self.state,
            last_action,
            initiated_by,
            updated_at,
            requested_at: self.requested_at,
            responded_at: self.responded_at,
            blocked_at: self.blocked_at,
            cleared_at: self.cleared_at,
            agent_envelope: self.envelope.clone(),
        })
    }
}

/// An action as both sides look at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deed {
    /// What is done.
    pub action: Action,
    /// By whom.
    pub by: Actor,
    /// When this node did it or heard of it.
    pub at: u64,
    /// The request that it is about, if requests are told apart.
    pub request_id: Option<Arc<str>>,
    /// The envelope to show.
    pub envelope: Option<Json>,
}

/// All that stands between this node and another: their relationship and the ledger of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The relationship of the nodes.
    pub bond: Bond,
    /// Every request that has an id of its own.
    pub requests: BTreeMap<Arc<str>, Bond>,
}

/// What came of a [`Deed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something is different now.
    Changed,
    /// It is not possible.
    Refused(String),
    /// It was so already.
    Same,
}

impl Standing {
    /// Does what `deed` says, if it can be done.
    pub fn act(&mut self, rules: Rules, id: &NodeId, deed: &Deed) -> Outcome {
        let ledger = deed.request_id.clone().filter(|_| {
            // A block is of the node, whatever a message says.
            rules == Rules::Sides && !matches!(deed.action, Action::Block | Action::Unblock)
        });
        match ledger {
            Some(request_id) => self.act_on_request(id, &request_id, deed),
            None => self.act_on_bond(rules, id, deed),
        }
    }

    fn act_on_bond(&mut self, rules: Rules, id: &NodeId, deed: &Deed) -> Outcome {
        let Deed { action, by, at, .. } = *deed;
        let step = self.bond.step(rules, by, action);
        // What the other side says is shown even if it changes nothing else. Rule: 3.5.
        if by == Actor::Remote && rules == Rules::Sides && !matches!(step, Step::Refused(_)) {
            self.bond.envelope.clone_from(&deed.envelope);
        }
        match step {
            Step::To(state) => {
                self.bond.change(state, by, action, at);
                Outcome::Changed
            }
            // A request or a block that has crossed the other side's: both count.
            Step::Same if action == Action::Request && self.bond.state == State::Requested => {
                match rules {
                    Rules::BothParts => self.bond.asked = self.bond.asked.with(by),
                    Rules::Sides if self.bond.asked.has(by) => {}
                    Rules::Sides => {
                        self.bond.ask_too(by, at);
                    }
                }
                Outcome::Same
            }
            Step::Refused(Fault::AlreadyBlocked)
                if rules == Rules::Sides && !self.bond.blocked.has(by) =>
            {
                self.bond.blocked = self.bond.blocked.with(by);
                Outcome::Same
            }
            Step::Same => Outcome::Same,
            Step::Refused(fault) => Outcome::Refused(fault.text(id, action)),
        }
    }

    /// Whether direct messages may pass.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.bond.state == State::Accepted
    }

    /// The records that clients see. Rule: 3.3; of a node that is not blocked and has requests with
    /// ids, only these are listed.
    #[must_use]
    pub fn records(&self, id: &NodeId) -> Vec<Relationship> {
        if self.requests.is_empty() || self.bond.state == State::Blocked {
            return self.bond.record(id).into_iter().collect();
        }
        let mut records: Vec<Relationship> = self
            .requests
            .values()
            .filter_map(|request| request.record(id))
            .collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.updated_at));
        records
    }
}
