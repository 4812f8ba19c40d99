//! Requests that are told apart by their ids.

use std::collections::BTreeSet;

use super::duo::Duo;
use super::*;

#[test]
fn requests_with_ids_have_records_of_their_own() {
    let mut duo = Duo::new(1);
    let (first, second) = (about("r-1"), about("r-2"));
    for sent in [&first, &second, &first] {
        let request = act_with(&Duo::other(0), Action::Request, sent.clone());
        assert!(matches!(duo.operate(0, request), Response::Queued { .. }));
        duo.calm();
    }
    assert_eq!(relationships(&mut duo.nodes[1]).len(), 2);
    duo.operate(1, act_with(&Duo::other(1), Action::Accept, first.clone()));
    duo.calm();
    duo.operate(1, act_with(&Duo::other(1), Action::Reject, second.clone()));
    duo.calm();
    let states = |script: &mut Script| -> BTreeSet<State> {
        let records = relationships(script);
        records
            .iter()
            .map(|record| record.relationship_state)
            .collect()
    };
    let both = BTreeSet::from([State::Accepted, State::Rejected]);
    for place in 0..2 {
        assert_eq!(states(&mut duo.nodes[place]), both);
        assert_eq!(duo.bond(place).state, State::Accepted);
    }
    let again = duo.operate(1, act_with(&Duo::other(1), Action::Cancel, second));
    let text = "cannot cancel peer relationship request_id=r-2 from state=rejected";
    assert_eq!(refusal(&again), text);
    duo.act(0, Action::Block);
    duo.calm();
    assert_eq!(relationships(&mut duo.nodes[1]).len(), 1);
    duo.agree();
}

#[test]
fn a_request_with_an_id_is_answered_by_its_cancellation_and_its_removal_too() {
    let mut duo = Duo::new(1);
    let sent = about("r-1");
    for actions in [
        &[(0, Action::Request), (0, Action::Cancel)][..],
        &[
            (0, Action::Request),
            (1, Action::Accept),
            (0, Action::Remove),
        ],
    ] {
        let mut duo = Duo::new(1);
        for (place, action) in actions {
            duo.advance(Duration::from_secs(1));
            let act = act_with(&Duo::other(*place), *action, sent.clone());
            assert!(matches!(duo.operate(*place, act), Response::Queued { .. }));
            duo.calm();
        }
        for place in 0..2 {
            let record = relationships(&mut duo.nodes[place]).remove(0);
            assert_eq!(record.relationship_state, State::None);
            assert_eq!(record.responded_at, Some(record.updated_at));
            assert_eq!(record.cleared_at, Some(record.updated_at));
            // The relationship of the nodes was answered by an acceptance only.
            let bond = duo.bond(place);
            assert_ne!(bond.responded_at, record.responded_at);
        }
    }
    let act = act_with(&Duo::other(0), Action::Cancel, sent);
    assert!(refusal(&duo.operate(0, act)).contains("from state=none"));
}

#[test]
fn requests_with_one_id_that_cross_are_one_request() {
    let mut duo = Duo::new(1);
    for place in 0..2 {
        let act = act_with(&Duo::other(place), Action::Request, about("r-1"));
        duo.operate(place, act);
        duo.advance(Duration::from_secs(1));
    }
    duo.calm();
    for place in 0..2 {
        let record = relationships(&mut duo.nodes[place]).remove(0);
        assert_eq!(record.initiated_by, Actor::Local);
    }
    duo.agree();
    // Whichever side accepts, also without naming the request.
    assert!(matches!(
        duo.act(0, Action::Accept),
        Response::Queued { .. }
    ));
    duo.calm();
    assert_eq!(duo.bond(1).state, State::Accepted);
    duo.agree();
}
