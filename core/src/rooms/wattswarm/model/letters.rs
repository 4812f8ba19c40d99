//! Which messages are right: where they are, what they say, when they were sent.

use std::sync::Arc;

use super::super::records::{DeliveryState, Direction, Message, MessageKind, State, Thread};
use super::super::relationship::Bond;
use super::super::types::Draft;
use super::super::{Letterbox, ids};
use super::Model;
use crate::time::Now;

impl Model {
    pub(super) fn keep(&mut self, message: &Arc<Message>) {
        let thread = self.messages.entry(message.thread_id.clone()).or_default();
        thread.retain(|(_, id), _| *id != message.message_id);
        let place = (message.created_at, message.message_id.clone());
        thread.insert(place, message.clone());
    }

    fn find(&self, message: &Message) -> Option<&Arc<Message>> {
        let thread = self.messages.get(&message.thread_id)?;
        let place = (message.created_at, message.message_id.clone());
        let elsewhere = || {
            thread
                .values()
                .find(|of| of.message_id == message.message_id)
        };
        thread.get(&place).or_else(elsewhere)
    }

    /// A message is written, or what became of it.
    pub(super) fn wrote(&mut self, now: Now, row: &Letterbox) -> Result<(), String> {
        let message = &row.message;
        let (id, remote) = (&message.message_id, &message.remote_node_id);
        // A conversation has its name from both nodes' ids, and keeps it when one gets another.
        if message.message_kind == MessageKind::Message
            && let Some(before) = self.find(message)
        {
            same_message(before, message)?;
            self.keep(message);
            return Ok(());
        }
        if *message.thread_id != *ids::thread_id(self.own.as_str(), remote.as_str()) {
            return Err(format!("{id} is not in the conversation with {remote}"));
        }
        if message.message_kind != MessageKind::Message {
            self.keep(message);
            return Ok(());
        }
        let accepted = |bond: Bond| bond.state == State::Accepted;
        if !self.bond(remote).is_none_or(accepted) {
            return Err(format!("{id} passes, and {remote} is not accepted"));
        }
        let wall = now.wall.as_micros() / 1_000;
        let last = self.messages.get(&message.thread_id).into_iter().flatten();
        let last = last
            .filter(|(_, of)| of.direction == Direction::Outbound)
            .filter(|(_, of)| of.message_kind == MessageKind::Message)
            .map(|(_, of)| of.created_at)
            .max();
        let due = last.unwrap_or(0).max(wall) + 1;
        let wrong = match message.direction {
            Direction::Outbound => {
                message.created_at != due
                    || message.delivery_state != DeliveryState::Pending
                    || message.acknowledged_at.is_some()
            }
            Direction::Inbound => {
                message.delivery_state != DeliveryState::Delivered
                    || message.acknowledged_at != Some(message.created_at)
            }
        };
        if wrong {
            return Err(format!("{message:?} has times that it cannot have"));
        }
        self.keep(message);
        Ok(())
    }

    pub(super) fn opened(&mut self, id: &Arc<str>, thread: &Arc<Thread>) -> Result<(), String> {
        let before = self.threads.insert(id.clone(), thread.clone());
        let times = [thread.relationship_established_at, thread.last_message_at];
        let known = times.into_iter().flatten();
        let inside = |at: u64| (thread.created_at..=thread.updated_at).contains(&at);
        let kept = before.is_none_or(|before| {
            before.relationship_established_at.is_none()
                || thread.relationship_established_at.is_some()
        });
        if known.clone().all(inside) && kept {
            Ok(())
        } else {
            Err(format!("{thread:?} has times that it cannot have"))
        }
    }

    /// A message that was answered must be there as it was given, under an id of its own.
    pub(super) fn posted(
        &mut self,
        draft: &Draft,
        thread: &Arc<str>,
        id: &Arc<str>,
    ) -> Result<(), String> {
        let all = self.messages.get(thread).into_iter().flatten();
        let found = all.map(|(_, of)| of).find(|of| of.message_id == *id);
        let Some(found) = found else {
            return Err(format!("{id} is answered, and not written"));
        };
        if found.content != draft.content || found.direction != Direction::Outbound {
            return Err(format!("{id} is written as {found:?}, not {draft:?}"));
        }
        if self.answered.insert(id.clone(), thread.clone()).is_some() {
            return Err(format!("{id} is the name of two messages"));
        }
        Ok(())
    }

    pub(super) fn holds(&self, thread: &str, id: &Arc<str>) -> bool {
        let all = self.messages.get(thread).into_iter().flatten();
        all.map(|(_, of)| of).any(|of| of.message_id == *id)
    }
}

/// A message never changes, but for its arrival, which is never taken back.
fn same_message(before: &Message, after: &Message) -> Result<(), String> {
    let arrived = |message: &Message| message.delivery_state == DeliveryState::Delivered;
    let expected = Message {
        delivery_state: after.delivery_state,
        acknowledged_at: after.acknowledged_at,
        ..before.clone()
    };
    let lost = arrived(before) && before != after;
    let acknowledged = after.acknowledged_at.is_some() == arrived(after);
    if expected == *after && !lost && acknowledged {
        Ok(())
    } else {
        Err(format!("{before:?} has become {after:?}"))
    }
}
