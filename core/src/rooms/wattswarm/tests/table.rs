//! The whole table of transitions, and what was recorded of the original.

use serde_json::Value;

use super::super::relationship::{Bond, Rules, Sides, Step, transition};
use super::*;

/// One word for each cell, by state and action.
fn table(rules: Rules, by: Actor, asked: Sides, blocked: Sides) -> Vec<String> {
    State::ALL
        .into_iter()
        .map(|state| {
            let cells = Action::ALL.map(|action| {
                match transition(rules, state, asked, blocked, by, action) {
                    Step::Refused(fault) => format!("{fault:?}"),
                    Step::Same => "=".to_owned(),
                    Step::To(state) => state.name().to_owned(),
                }
            });
            format!("{}: {}", state.name(), cells.join(" "))
        })
        .collect()
}

#[test]
fn the_table_is_the_specifications() {
    let expected = [
        "none: requested NotPending NotPending WrongState(None) WrongState(None) blocked NotBlocked",
        "requested: = accepted rejected none WrongState(Requested) blocked NotBlocked",
        "accepted: = = NotPending WrongState(Accepted) none blocked NotBlocked",
        "rejected: requested NotPending = WrongState(Rejected) none blocked NotBlocked",
        "blocked: Blocked NotPending NotPending WrongState(Blocked) WrongState(Blocked) AlreadyBlocked none",
    ];
    for by in [Actor::Local, Actor::Remote, Actor::System] {
        let nobody = Sides::default();
        assert_eq!(table(Rules::BothParts, by, nobody, nobody), expected);
    }
    // Between nodes, of those who asked and blocked: the other side, this one, both.
    let both = Sides {
        local: true,
        remote: true,
    };
    let theirs = Sides::of(Actor::Remote);
    let own = Sides::of(Actor::Local);
    for (sides, requested, unblock) in [
        (theirs, "= accepted rejected NotAsker", "NotBlocker"),
        (own, "= NotAsked NotAsked none", "none"),
        (both, "= accepted rejected none", "blocked"),
    ] {
        let mut expected = expected.map(str::to_owned);
        expected[1] = format!("requested: {requested} WrongState(Requested) blocked NotBlocked");
        expected[4] =
            expected[4].replace("AlreadyBlocked none", &format!("AlreadyBlocked {unblock}"));
        assert_eq!(table(Rules::Sides, Actor::Local, sides, sides), expected);
    }
}

#[test]
fn every_recorded_transition_is_ours() {
    let file =
        include_str!("../../../../../tests/vectors/wattswarm/local-05-transition-matrix.json");
    let file: Value = serde_json::from_str(file).expect("vectors are JSON");
    let mut count = 0;
    for (number, cell) in file["cells"].as_array().expect("cells").iter().enumerate() {
        let mut script = started(alone(1));
        let text = |name: &str| cell[name].as_str().expect("text");
        let actor =
            |name: &str| serde_json::from_value::<Actor>(cell[name].clone()).unwrap_or_default();
        let steps: &[Action] = match text("from") {
            "none" => &[],
            "none_after_cancel" => &[Action::Request, Action::Cancel],
            "requested" => &[Action::Request],
            "accepted" => &[Action::Request, Action::Accept],
            "rejected" => &[Action::Request, Action::Reject],
            "blocked" => &[Action::Block],
            other => panic!("unknown state {other}"),
        };
        let id = cell["remote_node_id"].as_str().unwrap_or("node");
        for step in steps {
            ask(&mut script, act(id, *step, actor("setup_initiator")));
        }
        let before = relationships(&mut script);
        script.advance(Duration::from_secs(1));
        let action = serde_json::from_value(cell["action"].clone()).expect("an action");
        let response = ask(&mut script, act(id, action, actor("initiator")));
        assert_eq!(
            u64::from(response.status()),
            cell["status"],
            "cell {number}: {cell}"
        );
        let after = relationships(&mut script);
        match response {
            Response::Acted(record) => {
                assert_eq!(record.relationship_state.name(), text("to"), "{cell}");
                assert_eq!(record.last_action.name(), text("last_action"), "{cell}");
                assert_eq!(cell["unchanged"] == true, before == after, "{cell}");
                let shown = serde_json::to_value(&*record).expect("JSON");
                let keys: Vec<&String> = shown.as_object().expect("an object").keys().collect();
                assert_eq!(
                    serde_json::to_value(keys).expect("JSON"),
                    cell["keys"],
                    "{cell}"
                );
            }
            refused => {
                assert_eq!(
                    refusal(&refused),
                    cell["body"]["error"].as_str().unwrap_or_default()
                );
                assert_eq!(before, after);
            }
        }
        count += 1;
    }
    assert!(count >= 200, "{count} cells");
}

#[test]
fn times_are_kept_as_the_rules_say() {
    let mut bond = Bond::default();
    let mut at = 0;
    let mut go = |bond: &mut Bond, state, action| {
        at += 1;
        bond.change(state, Actor::Local, action, at);
        (
            bond.requested_at,
            bond.responded_at,
            bond.blocked_at,
            bond.cleared_at,
        )
    };
    use {Action::*, State as To};
    assert_eq!(
        go(&mut bond, To::Requested, Request),
        (Some(1), None, None, None)
    );
    assert_eq!(
        go(&mut bond, To::Accepted, Accept),
        (Some(1), Some(2), None, None)
    );
    assert_eq!(
        go(&mut bond, To::Blocked, Block),
        (Some(1), Some(2), Some(3), None)
    );
    assert_eq!(
        go(&mut bond, To::None, Unblock),
        (Some(1), Some(2), None, Some(4))
    );
    assert_eq!(
        go(&mut bond, To::Requested, Request),
        (Some(5), None, None, None)
    );
    assert_eq!(
        go(&mut bond, To::None, Cancel),
        (Some(5), None, None, Some(6))
    );
}
