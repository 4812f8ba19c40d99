//! What actions give, one after the other, as the specification has it.

use super::super::records::{Action, Actor, Json, State};
use super::super::relationship::{Bond, Sides};

/// An action of one side.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) clock: u64,
    pub(super) by: Actor,
    /// Its number, if it is the node's own.
    pub(super) seq: u64,
    pub(super) action: Action,
    pub(super) at: u64,
    pub(super) envelope: Option<Json>,
}

/// What an action leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    No,
    Same,
    To(State),
}

/// The table of the specification, 3.2: a row for each state, a column for each action in their
/// order. A letter is the new state, `=` nothing new, `-` an error.
const TABLE: [&[u8; 7]; 5] = [b"R----B-", b"=AJN-B-", b"==--NB-", b"R-=-NB-", b"------N"];

pub(super) fn step(bond: &Bond, by: Actor, action: Action) -> Step {
    let row = TABLE[bond.state as usize];
    let own_request = bond.asked.has(by) && !bond.asked.has_other(by);
    match (bond.state, action) {
        // Only the asked side answers, only the asker cancels, only who blocked unblocks.
        (State::Requested, Action::Accept | Action::Reject) if own_request => Step::No,
        (State::Requested, Action::Cancel) if !bond.asked.has(by) => Step::No,
        (State::Blocked, Action::Unblock) if !bond.blocked.has(by) => Step::No,
        // As long as the other side blocks.
        (State::Blocked, Action::Unblock) if bond.blocked.has_other(by) => Step::To(State::Blocked),
        (_, action) => match row[action as usize] {
            b'=' => Step::Same,
            b'N' => Step::To(State::None),
            b'R' => Step::To(State::Requested),
            b'A' => Step::To(State::Accepted),
            b'J' => Step::To(State::Rejected),
            b'B' => Step::To(State::Blocked),
            _ => Step::No,
        },
    }
}

/// What actions give, one after the other. Rule: 3.1 for the times.
pub(super) fn fold<'a>(start: &Bond, deeds: impl Iterator<Item = &'a Deed>) -> Bond {
    let mut bond = start.clone();
    for deed in deeds {
        let possible = step(&bond, deed.by, deed.action);
        if (bond.state, deed.action) == (State::Requested, Action::Request) {
            ask_too(&mut bond, deed);
        } else if (bond.state, deed.action) == (State::Blocked, Action::Block) {
            bond.blocked.local |= deed.by == Actor::Local;
            bond.blocked.remote |= deed.by == Actor::Remote;
            continue;
        }
        // What the other side sent along is shown, unless what it did is impossible.
        if deed.by == Actor::Remote && possible != Step::No {
            bond.envelope.clone_from(&deed.envelope);
        }
        if let Step::To(state) = possible {
            change(&mut bond, state, deed);
        }
    }
    bond
}

/// Both ask. Each shows the request that it dated first, its own if both are of one date.
fn ask_too(bond: &mut Bond, deed: &Deed) {
    if bond.asked.has(deed.by) {
        return;
    }
    bond.asked = Sides {
        local: true,
        remote: true,
    };
    let own = deed.by == Actor::Local;
    let dated = bond.last.map_or(0, |(_, _, at)| at);
    if deed.at < dated || (deed.at == dated && own) {
        bond.requested_at = Some(deed.at);
        bond.last = Some((deed.action, deed.by, deed.at));
    }
}

fn change(bond: &mut Bond, state: State, deed: &Deed) {
    let at = Some(deed.at);
    bond.last = Some((deed.action, deed.by, deed.at));
    if state != State::Blocked {
        bond.blocked_at = None;
    }
    bond.cleared_at = None;
    match deed.action {
        Action::Request => {
            bond.requested_at = at;
            bond.responded_at = None;
        }
        Action::Accept | Action::Reject => bond.responded_at = at,
        Action::Cancel | Action::Remove | Action::Unblock => bond.cleared_at = at,
        Action::Block => bond.blocked_at = at,
    }
    let one = Sides {
        local: deed.by == Actor::Local,
        remote: deed.by == Actor::Remote,
    };
    bond.asked = if state == State::Requested {
        one
    } else {
        Sides::default()
    };
    bond.blocked = match (state, deed.action) {
        (State::Blocked, Action::Block) => one,
        // One of two blocks is lifted.
        (State::Blocked, _) => Sides {
            local: !one.local,
            remote: !one.remote,
        },
        _ => Sides::default(),
    };
    bond.state = state;
}
