//! Which lists are right.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::records::{Action, NodeId, PeerRecord, Relations, Relationship, State, Thread};
use super::super::shelf::Listing;

/// The peer list: by id, each once, and each with its relationship.
pub(super) fn listed(
    records: &BTreeMap<NodeId, Option<Relationship>>,
    said: &[PeerRecord],
) -> Result<(), String> {
    if !said.is_sorted_by(|one, other| one.node_id < other.node_id) {
        return Err("the peer list is not in order".to_owned());
    }
    for peer in said {
        match records.get(&peer.node_id) {
            None if peer.relationship.is_some() => {
                return Err(format!("{peer:?} is listed, and nothing was ever done"));
            }
            Some(Some(record)) if peer.relationship.as_ref() != Some(record) => {
                return Err(format!("{peer:?} is listed, not {record:?}"));
            }
            None | Some(_) => {}
        }
    }
    Ok(())
}

/// The relationships: by id, nothing missing, nothing more.
pub(super) fn related(
    records: &BTreeMap<NodeId, Option<Relationship>>,
    said: &Listing<Relations>,
) -> Result<(), String> {
    let mut due = records.iter();
    for relations in said.iter() {
        for record in relations.records.iter() {
            lawful(record)?;
        }
        let id = &relations.remote_node_id;
        if relations.records.is_empty() {
            continue;
        }
        // Those that are not sure may be missing.
        let expected = due.find(|(of, record)| *of == id || record.is_some());
        match expected {
            Some((of, None)) if of == id => {}
            Some((of, Some(record))) if of == id && *relations.records == [record.clone()] => {}
            Some((of, record)) => {
                return Err(format!("{relations:?} is told where {of} is {record:?}"));
            }
            None => return Err(format!("{relations:?} is told, and nothing was ever done")),
        }
    }
    match due.find(|(_, record)| record.is_some()) {
        Some((id, record)) => Err(format!("{id} is not told: {record:?}")),
        None => Ok(()),
    }
}

/// What must hold of any record, whatever was done. Rule: 3.1.
fn lawful(record: &Relationship) -> Result<(), String> {
    let time = match record.last_action {
        Action::Request => record.requested_at,
        Action::Accept | Action::Reject => record.responded_at,
        Action::Block => record.blocked_at,
        Action::Cancel | Action::Remove | Action::Unblock => record.cleared_at,
    };
    let state = match record.last_action {
        Action::Request => record.relationship_state == State::Requested,
        Action::Accept => record.relationship_state == State::Accepted,
        Action::Reject => record.relationship_state == State::Rejected,
        Action::Block => record.relationship_state == State::Blocked,
        Action::Cancel | Action::Remove => record.relationship_state == State::None,
        Action::Unblock => {
            matches!(record.relationship_state, State::None | State::Blocked)
        }
    };
    let blocked = record.blocked_at.is_some() == (record.relationship_state == State::Blocked);
    if state && blocked && time == Some(record.updated_at) {
        Ok(())
    } else {
        Err(format!("{record:?} cannot be"))
    }
}

/// The conversations: the most recently active first, then by id.
pub(super) fn conversations(
    threads: &[Arc<Thread>],
    said: &Listing<Arc<Thread>>,
) -> Result<(), String> {
    let active = |thread: &Thread| thread.last_message_at.unwrap_or(thread.updated_at);
    let mut due = threads.to_vec();
    due.sort_by(|one, other| {
        let by_time = active(other).cmp(&active(one));
        by_time.then_with(|| one.remote_node_id.cmp(&other.remote_node_id))
    });
    if due.iter().eq(said.iter()) {
        Ok(())
    } else {
        Err(format!(
            "the conversations are told as {said:?}, not {due:?}"
        ))
    }
}
