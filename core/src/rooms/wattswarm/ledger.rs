//! Requests that are told apart: one record for each request id, beside the relationship of the
//! nodes, which follows them.
//!
//! Rule: WattSwarm 3.5, "Request ids".

use std::sync::Arc;

use super::records::{Action, Actor, NodeId, State};
use super::relationship::{Bond, Deed, Fault, Outcome, Standing, Step};

impl Standing {
    /// Does what `deed` says to one request, and has the relationship follow.
    pub(super) fn act_on_request(
        &mut self,
        id: &NodeId,
        request_id: &Arc<str>,
        deed: &Deed,
    ) -> Outcome {
        let Deed { action, by, at, .. } = *deed;
        let known = self.requests.get(request_id);
        let step = match known {
            None if action == Action::Request => Step::To(State::Requested),
            // Only now asked for by both: they have crossed.
            Some(request) if action == Action::Request => {
                let crossed = request.state == State::Requested && !request.asked.has(by);
                if crossed && let Some(request) = self.requests.get_mut(request_id) {
                    if request.ask_too(by, at) {
                        request.envelope.clone_from(&deed.envelope);
                    }
                    if self.bond.state == State::Requested {
                        self.bond.ask_too(by, at);
                    }
                }
                return Outcome::Same;
            }
            None => Step::Refused(Fault::WrongState(State::None)),
            Some(request) => request_step(request, by, action),
        };
        let state = match step {
            Step::To(state) => state,
            Step::Same => return Outcome::Same,
            Step::Refused(fault @ (Fault::NotAsked | Fault::NotAsker)) => {
                return Outcome::Refused(fault.text(id, action));
            }
            Step::Refused(_) => {
                let state = known.map_or(State::None, |request| request.state);
                return Outcome::Refused(format!(
                    "cannot {} peer relationship request_id={request_id} from state={}",
                    action.name(),
                    state.name()
                ));
            }
        };
        if action == Action::Request && self.bond.state == State::Blocked {
            return Outcome::Refused(Fault::Blocked.text(id, action));
        }
        let request = self.requests.entry(request_id.clone()).or_default();
        request.change(state, by, action, at);
        if matches!(action, Action::Cancel | Action::Remove) {
            // The original's ledger takes every action after the request for an answer.
            request.responded_at = Some(at);
        }
        request.envelope.clone_from(&deed.envelope);
        self.follow(request_id, deed);
        Outcome::Changed
    }

    /// Has the relationship of the nodes follow a request.
    fn follow(&mut self, request_id: &str, deed: &Deed) {
        let Deed { action, by, at, .. } = *deed;
        let others = |state: State| {
            let mut others = self.requests.iter();
            others.any(|(other, request)| **other != *request_id && request.state == state)
        };
        let bond = self.bond.state;
        let state = match action {
            Action::Request if bond == State::Requested => {
                // One more side may have asked.
                if !self.bond.asked.has(by) {
                    self.bond.ask_too(by, at);
                }
                return;
            }
            Action::Request if bond != State::Accepted => State::Requested,
            Action::Accept if bond != State::Accepted => State::Accepted,
            Action::Reject if bond != State::Accepted && !others(State::Requested) => {
                State::Rejected
            }
            Action::Cancel if bond != State::Accepted && !others(State::Requested) => State::None,
            Action::Remove if !others(State::Accepted) => State::None,
            Action::Request
            | Action::Accept
            | Action::Reject
            | Action::Cancel
            | Action::Remove
            | Action::Block
            | Action::Unblock => return,
        };
        if bond == State::Blocked {
            return;
        }
        self.bond.change(state, by, action, at);
        if by == Actor::Remote {
            self.bond.envelope.clone_from(&deed.envelope);
        }
    }
}

/// What an action leads to for a request that is known.
const fn request_step(request: &Bond, by: Actor, action: Action) -> Step {
    let state = request.state;
    match (state, action) {
        (State::Requested, Action::Accept | Action::Reject) if !request.asked.has_other(by) => {
            Step::Refused(Fault::NotAsked)
        }
        (State::Requested, Action::Cancel) if !request.asked.has(by) => {
            Step::Refused(Fault::NotAsker)
        }
        (State::Requested, Action::Accept) => Step::To(State::Accepted),
        (State::Requested, Action::Reject) => Step::To(State::Rejected),
        (State::Requested, Action::Cancel) => Step::To(State::None),
        (State::Accepted, Action::Accept) | (State::Rejected, Action::Reject) => Step::Same,
        (State::Accepted | State::Rejected, Action::Remove) => Step::To(State::None),
        _ => Step::Refused(Fault::WrongState(state)),
    }
}
