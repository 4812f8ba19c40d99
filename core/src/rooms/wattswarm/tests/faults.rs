//! The faults of the original that the specification lists: none of them is here.

use super::super::records::Direction;
use super::duo::{Duo, IDS, befriended};
use super::*;
use crate::rooms::wattswarm::{Delivery, Greeting, Note, Parcel, Receipt, Taken};

fn message_errors(duo: &mut Duo) -> [String; 2] {
    [0, 1].map(|place| {
        let answer = duo.operate(place, write(&Duo::other(place), "1"));
        refusal(&answer).to_owned()
    })
}

#[test]
fn messages_do_not_pass_a_removal_or_a_block() {
    for (action, state) in [
        (Action::Remove, "state=none"),
        (Action::Block, "state=blocked"),
    ] {
        let mut duo = befriended(1);
        duo.act(0, action);
        duo.calm();
        for error in message_errors(&mut duo) {
            assert!(error.contains(state), "{error}");
        }
        duo.calm();
        assert!(duo.messages(0).is_empty() && duo.messages(1).is_empty());
    }
}

#[test]
fn messages_do_not_pass_before_an_acceptance() {
    let mut duo = Duo::new(1);
    for error in message_errors(&mut duo) {
        assert!(error.contains("state=none"), "{error}");
    }
    duo.act(0, Action::Request);
    duo.calm();
    for error in message_errors(&mut duo) {
        assert!(error.contains("state=requested"), "{error}");
    }
    duo.act(1, Action::Reject);
    duo.calm();
    for error in message_errors(&mut duo) {
        assert!(error.contains("state=rejected"), "{error}");
    }
}

#[test]
fn whoever_asks_cannot_answer_and_whoever_is_asked_cannot_cancel() {
    let mut duo = Duo::new(1);
    duo.act(0, Action::Request);
    duo.calm();
    for (place, action) in [
        (0, Action::Accept),
        (0, Action::Reject),
        (1, Action::Cancel),
    ] {
        let text = refusal(&duo.act(place, action)).to_owned();
        assert!(text.contains("the request is"), "{text}");
    }
    duo.calm();
    for place in 0..2 {
        assert_eq!(duo.bond(place).state, State::Requested);
    }
}

#[test]
fn a_block_is_lifted_by_the_side_that_set_it_only() {
    let mut duo = befriended(1);
    duo.act(1, Action::Block);
    duo.calm();
    assert!(refusal(&duo.act(0, Action::Unblock)).contains("the other side blocked"));
    duo.calm();
    assert_eq!(duo.bond(1).state, State::Blocked);
    duo.act(1, Action::Unblock);
    duo.calm();
    for place in 0..2 {
        assert_eq!(duo.bond(place).state, State::None);
    }
}

#[test]
fn an_illegal_action_does_not_take_effect_later() {
    let mut duo = Duo::new(1);
    let text = refusal(&duo.act(1, Action::Accept)).to_owned();
    assert!(text.contains("without a pending request"), "{text}");
    duo.act(0, Action::Request);
    // Longer than the original keeps it in its queue.
    for _ in 0..3 {
        duo.calm();
    }
    assert_eq!(duo.bond(1).state, State::Requested);
    duo.agree();
}

#[test]
fn a_blank_id_is_refused_and_not_queued() {
    let mut duo = Duo::new(1);
    let blank = Request::Act(Act {
        remote: " \n".into(),
        action: Action::Request,
        by: Actor::Local,
        envelope: Some(plain_envelope()),
    });
    let answer = duo.operate(0, blank);
    assert_eq!(refusal(&answer), "remote_node_id is required");
    assert_eq!(duo.nodes[0].gauge("wattswarm_outbox"), 0);
}

#[test]
fn an_action_that_the_other_side_cannot_take_is_not_kept_either() {
    let mut duo = befriended(1);
    // Both act at once, and only the first of the two is possible.
    duo.act(0, Action::Block);
    duo.act(1, Action::Remove);
    assert_eq!(duo.bond(1).state, State::None);
    duo.calm();
    for place in 0..2 {
        assert_eq!(duo.bond(place).state, State::Blocked);
    }
    duo.agree();
    assert!(duo.seen.contains("wattswarm_relationship_revised"));
}

/// An envelope whose signature is one by its form alone.
fn forged() -> Sent {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let key = cert(IDS[0]).key.expect("scripted nodes have keys");
    envelope(&format!(
        r#"{{"protocol":"google_a2a","source_agent_id":"{}","signature":"{}"}}"#,
        STANDARD.encode(key.0),
        STANDARD.encode([1; 64]),
    ))
}

#[test]
fn an_envelope_that_does_not_verify_is_answered_with_the_reason() {
    let mut duo = Duo::new(1);
    let why = "verify agent envelope signature: it is not of agent envelope and this key";
    let request = act_with(&Duo::other(0), Action::Request, forged());
    assert_eq!(refusal(&duo.operate(0, request)), why);
    // A node that sends it all the same.
    let contact_material = match ask(&mut duo.nodes[0], Request::OwnContact) {
        Response::OwnContact(material) => Material::clone(&material),
        other => panic!("no contact material but {other:?}"),
    };
    let delivery = Delivery {
        greeting: Greeting {
            source_node_id: node(IDS[0]),
            target_node_id: node(IDS[1]),
            made: 1,
            heard: 0,
            clock: 1,
            contact_material,
        },
        parcel: Parcel::Notes(vec![Note {
            seq: 1,
            clock: 1,
            action: Action::Request,
            envelope: Some(forged()),
        }]),
    };
    let request = Request::Deliver(Arc::new(delivery)).into();
    let Some(rooms::Response::Wattswarm(Response::Receipt(receipt))) =
        duo.nodes[1].ask(peer_caller(IDS[0]), request)
    else {
        panic!("no receipt");
    };
    let Receipt {
        relationship_state,
        results,
        ..
    } = &*receipt;
    assert_eq!(*relationship_state, State::None);
    assert_eq!(results[..], [Taken::Invalid(why.into())]);
    assert!(relationships(&mut duo.nodes[1]).is_empty());
}

#[test]
fn a_message_is_not_delivered_before_the_other_node_has_it() {
    let mut duo = befriended(1);
    duo.operate(0, write(&Duo::other(0), "1"));
    let sent = &duo.messages(0)[0];
    assert_eq!(sent.delivery_state, DeliveryState::Pending);
    assert_eq!(sent.acknowledged_at, None);
    duo.calm();
    let sent = &duo.messages(0)[0];
    assert_eq!(sent.delivery_state, DeliveryState::Delivered);
    assert!(sent.acknowledged_at.is_some());
}

#[test]
fn all_conversations_go_on_after_a_restart() {
    let mut world = World::new(3, |_, config| config.known_peers.clear());
    let calm = |world: &mut World| world.until(Duration::from_secs(10), |_| false);
    let operate = |world: &mut World, place: usize, request: Request| {
        let id = world.ask_as(place, operator(), request.into());
        calm(world);
        match world.answers.remove(&(place, id)) {
            Some(rooms::Response::Wattswarm(Response::Queued { .. } | Response::Sent(_))) => {}
            other => panic!("{other:?}"),
        }
    };
    calm(&mut world);
    for friend in [1, 2_u8] {
        let [first, second, third] = &mut world.nodes[..] else {
            panic!("three nodes");
        };
        let other = if friend == 1 { second } else { third };
        introduce(first, other, friend + 1);
        let of = |action| act_with(&node(friend + 1), action, plain_envelope());
        operate(&mut world, 0, of(Action::Request));
        let accept = act_with(&node(1), Action::Accept, plain_envelope());
        operate(&mut world, usize::from(friend), accept);
    }
    let rows = world.nodes[0].durable();
    let now = world.nodes[0].now;
    let mut again = Script::restore(config(1), rows);
    again.now = now;
    world.nodes[0] = again;
    world.deliver(0, Input::Tick);
    for friend in [1, 2] {
        operate(&mut world, friend, write(&node(1), "\"after\""));
        let remote = node(friend as u8 + 1);
        let kept = messages(&mut world.nodes[0], node(1).as_str(), remote.as_str());
        let last = kept.last().expect("a message");
        assert_eq!(
            (&*last.content.0, last.direction),
            ("\"after\"", Direction::Inbound)
        );
    }
}

#[test]
fn a_message_leaves_the_moment_of_the_acceptance_as_it_is() {
    let mut duo = befriended(1);
    let established = |script: &mut Script| threads(script)[0].relationship_established_at;
    let before = [0, 1].map(|place| established(&mut duo.nodes[place]));
    assert!(before.iter().all(Option::is_some));
    for place in 0..2 {
        duo.operate(place, write(&Duo::other(place), "1"));
        duo.calm();
    }
    let after = [0, 1].map(|place| established(&mut duo.nodes[place]));
    assert_eq!(before, after);
}

#[test]
fn without_a_network_nobody_is_connected() {
    let mut world = World::new(2, |n, config| {
        config.wattswarm.mode = WattswarmMode::Local;
        if n == 0 {
            config.known_peers = vec![info(2)];
        }
    });
    world.until(Duration::from_secs(5), |_| false);
    let listed = peers(&mut world.nodes[0]);
    assert_eq!(listed.len(), 1, "a peer of other rooms is discovered");
    assert!(!listed[0].connected);
}

#[test]
fn whoever_hears_of_a_request_can_answer_it_at_once() {
    let mut duo = Duo::one_sided(1);
    duo.act(0, Action::Request);
    duo.calm();
    duo.act(1, Action::Accept);
    duo.calm();
    assert_eq!(duo.bond(0).state, State::Accepted);
    duo.operate(1, write(&Duo::other(1), "1"));
    duo.calm();
    assert_eq!(duo.messages(0).len(), 1);
}
