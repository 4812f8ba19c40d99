//! What operators ask for: actions on relationships, and messages.
//!
//! Checks them in the order of the specification and does what is possible. What becomes of an action
//! at the other side is left to `agreement` and `delivery`. Rule: WattSwarm 3.4 and 4.4.

use std::sync::Arc;

use super::agreement::{self, Own, Pair};
use super::delivery::Item;
use super::records::{Actor, NodeId};
use super::relationship::{Deed, Outcome};
use super::rows::Row;
use super::types::{Act, Errand, Event, Refusal, Response, Then};
use super::{Wattswarm, dm, in_network, millis, refuse};
use crate::cx::Cx;
use crate::input::RequestId;

impl Wattswarm {
    /// The checks of an operator's action or message that need no state: first those that the
    /// specification puts first, then the envelope's signatures.
    pub(super) fn screen(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, errand: Errand) {
        let network = in_network(cx);
        let (envelope, required) = match &errand {
            Errand::Act(_) if !network => return self.carry_out(cx, id, &errand),
            Errand::Act(act) => (&act.envelope, ACT_ENVELOPE_REQUIRED),
            Errand::Send(draft) => (&draft.envelope, dm::ENVELOPE_REQUIRED),
        };
        let Some(sent) = envelope else {
            return refuse(cx, id, required);
        };
        // A message's receiver is looked at before its envelope, an action's after it.
        if let Errand::Send(draft) = &errand
            && let Err(text) = self.remote(&draft.remote)
        {
            return refuse(cx, id, text);
        }
        let read = match &sent.read {
            Ok(read) => read,
            Err(text) => return refuse(cx, id, text.clone()),
        };
        if !network {
            return self.carry_out(cx, id, &errand);
        }
        match read.job_for(&self.own) {
            Err(text) => refuse(cx, id, text),
            Ok(None) => self.carry_out(cx, id, &errand),
            Ok(Some(_)) if self.checks >= cx.limits().verifies_max => {
                cx.respond(id, Response::Refused(Refusal::Busy));
            }
            Ok(Some(job)) => {
                self.checks += 1;
                cx.verify(job, Then::Checked { id, errand });
            }
        }
    }

    /// Does what an operator asks for, now that its envelope is sound.
    pub(super) fn carry_out(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, errand: &Errand) {
        let remote = match self.remote(errand.remote()) {
            Ok(remote) => remote,
            Err(text) => return refuse(cx, id, text),
        };
        let response = match errand {
            Errand::Act(act) if in_network(cx) => self.act(cx, &remote, act),
            Errand::Act(act) => self.act_alone(cx, &remote, act),
            Errand::Send(draft) => self.send(cx, &remote, draft),
        };
        cx.respond(id, response);
    }

    /// The id of another node.
    pub(super) fn remote(&self, text: &str) -> Result<NodeId, Arc<str>> {
        let id = NodeId::new(text).map_err(|error| Arc::from(error.to_string()))?;
        if id.key() == Some(self.own) {
            return Err("remote_node_id is this node's own id".into());
        }
        Ok(id)
    }

    /// Without a network: the action is done here, and nobody else hears of it.
    fn act_alone(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, act: &Act) -> Response {
        let deed = Deed {
            action: act.action,
            by: act.by,
            at: millis(cx.now().wall),
            request_id: None,
            envelope: None,
        };
        let known = self.pairs.get(id);
        let mut pair = known
            .cloned()
            .unwrap_or_else(|| Pair::new(&self.own, id.clone()));
        if known.is_none() && self.pairs.len() >= cx.limits().relationships_max {
            cx.event(Event::TableFull {
                table: "relationships",
            });
            return invalid("no room for more relationships");
        }
        let was = pair.state();
        match pair.act_alone(&deed) {
            Outcome::Refused(text) => {
                let (node, action) = (id.clone(), act.action);
                cx.event(Event::RelationshipRefused { node, action });
                invalid(&text)
            }
            Outcome::Same => acted(&pair),
            Outcome::Changed => {
                self.changes += 1;
                let response = acted(&pair);
                self.pairs.insert(id.clone(), pair);
                self.moved(cx, id, was, Some(deed.action));
                response
            }
        }
    }

    /// With a network: the action is done here if it is possible, and goes to the other side.
    fn act(&mut self, cx: &mut Cx<'_, Self>, id: &NodeId, act: &Act) -> Response {
        let queued = Response::Queued {
            remote: act.remote.clone(),
            action: act.action,
        };
        let at = millis(cx.now().wall);
        let deed = agreement::deed(act.action, Actor::Local, at, act.envelope.as_ref());
        let known = self.pairs.get(id);
        let mut pair = known
            .cloned()
            .unwrap_or_else(|| Pair::new(&self.own, id.clone()));
        match pair.probe(&deed) {
            Outcome::Refused(text) => {
                let (node, action) = (id.clone(), act.action);
                cx.event(Event::RelationshipRefused { node, action });
                return invalid(&text);
            }
            // What was done before goes out again if it has not arrived.
            Outcome::Same => {
                self.heard_of(cx, id);
                return queued;
            }
            Outcome::Changed => {}
        }
        if known.is_none() && self.pairs.len() >= cx.limits().relationships_max {
            cx.event(Event::TableFull {
                table: "relationships",
            });
            return invalid("no room for more relationships");
        }
        let requests = &pair.standing().requests;
        let new = deed.request_id.as_ref();
        if new.is_some_and(|new| !requests.contains_key(new))
            && requests.len() >= cx.limits().requests_per_peer_max
        {
            return invalid("no room for more request ids with this remote_node_id");
        }
        if pair.own.len() >= cx.limits().outbox_per_peer_max {
            return invalid("too many actions wait for this remote_node_id");
        }
        let size = act.envelope.as_ref().map_or(0, |sent| sent.raw.0.len());
        if self.held + size > cx.limits().relationship_bytes_max {
            cx.event(Event::TableFull {
                table: "relationship bytes",
            });
            return invalid("no room for more agent envelopes");
        }
        let was = pair.state();
        let next = Item::Note(pair.progress.made + 1);
        let place = match self.enqueue(cx, id, next) {
            Ok(place) => place,
            Err(text) => return invalid(&text),
        };
        let seq = pair.make(Own {
            clock: 0,
            action: act.action,
            at,
            envelope: act.envelope.clone(),
            place,
        });
        self.changes += 1;
        let row = pair.own.get(&seq).cloned();
        cx.put(Row::Action(id.clone(), seq, row));
        self.pairs.insert(id.clone(), pair);
        self.moved(cx, id, was, Some(act.action));
        self.pump(cx, id);
        queued
    }
}

fn acted(pair: &Pair) -> Response {
    match pair.standing().bond.record(&pair.id) {
        Some(record) => Response::Acted(Box::new(record)),
        // Only an action that changes something has nothing to show before it.
        None => invalid("nothing was ever done"),
    }
}

fn invalid(text: &str) -> Response {
    Response::Refused(Refusal::Invalid(text.into()))
}

/// The wording of the original.
const ACT_ENVELOPE_REQUIRED: &str =
    "agent_envelope is required for network peer relationship actions";
