//! What passes between two nodes, and what can go wrong with it.

use std::collections::BTreeSet;

use super::super::cipher::Names;
use super::super::records::Direction;
use super::super::{Parcel, ids};
use super::duo::{Duo, Flight, IDS, befriended};
use super::*;
use crate::input::CallError;

#[test]
fn a_request_and_its_acceptance_show_on_both_sides() {
    let mut duo = Duo::new(1);
    let answer = duo.act(0, Action::Request);
    assert!(matches!(
        answer,
        Response::Queued {
            action: Action::Request,
            ..
        }
    ));
    duo.calm();
    let asked = (State::Requested, Action::Request, Actor::Local);
    assert_eq!(stands(&mut duo.nodes[0]), asked);
    let heard = (State::Requested, Action::Request, Actor::Remote);
    assert_eq!(stands(&mut duo.nodes[1]), heard);
    // The side that asked has nothing to accept.
    let text = format!(
        "cannot accept relationship for remote_node_id={}: the request is not the other side's",
        Duo::other(0)
    );
    assert_eq!(refusal(&duo.act(0, Action::Accept)), text);
    duo.act(1, Action::Accept);
    duo.calm();
    assert_eq!(
        stands(&mut duo.nodes[0]),
        (State::Accepted, Action::Accept, Actor::Remote)
    );
    for place in 0..2 {
        assert_eq!(threads(&mut duo.nodes[place]).len(), 1);
    }
    // Only the receiver of an action shows its envelope.
    assert!(relationships(&mut duo.nodes[1])[0].agent_envelope.is_some());
    // They have been in touch, so they are listed.
    assert!(peers(&mut duo.nodes[0])[0].relationship.is_some());
    duo.agree();
}

#[test]
fn each_action_reaches_the_other_side() {
    let mut duo = Duo::new(1);
    for (place, action, state) in [
        (0, Action::Request, State::Requested),
        (0, Action::Cancel, State::None),
        (0, Action::Request, State::Requested),
        (1, Action::Reject, State::Rejected),
        (0, Action::Request, State::Requested),
        (1, Action::Accept, State::Accepted),
        (0, Action::Remove, State::None),
        (1, Action::Block, State::Blocked),
        (1, Action::Unblock, State::None),
    ] {
        let answer = duo.act(place, action);
        assert!(matches!(answer, Response::Queued { .. }), "{answer:?}");
        duo.calm();
        assert_eq!(duo.bond(0).state, state, "{action:?}");
        duo.agree();
    }
    let answer = duo.act(0, Action::Block);
    assert!(matches!(answer, Response::Queued { .. }));
    duo.calm();
    assert!(refusal(&duo.act(1, Action::Unblock)).contains("the other side blocked"));
}

#[test]
fn requests_that_cross_can_be_accepted_by_either_side() {
    for acceptor in 0..2 {
        let mut duo = Duo::new(1);
        let asked = [0, 1].map(|place| {
            duo.act(place, Action::Request);
            let at = relationships(&mut duo.nodes[place])[0].requested_at;
            duo.advance(Duration::from_secs(1));
            at
        });
        duo.calm();
        duo.agree();
        for (place, asked) in asked.into_iter().enumerate() {
            // Each side shows its own request and what the other one said with its.
            let shown = &relationships(&mut duo.nodes[place])[0];
            assert_eq!(shown.initiated_by, Actor::Local);
            assert_eq!((shown.requested_at, Some(shown.updated_at)), (asked, asked));
            assert!(shown.agent_envelope.is_some());
        }
        assert!(matches!(
            duo.act(acceptor, Action::Accept),
            Response::Queued { .. }
        ));
        duo.calm();
        assert_eq!(duo.bond(0).state, State::Accepted);
        duo.agree();
    }
}

#[test]
fn blocks_that_cross_must_both_be_taken_back() {
    let mut duo = Duo::new(1);
    duo.act(0, Action::Block);
    duo.act(1, Action::Block);
    duo.calm();
    duo.agree();
    duo.act(0, Action::Unblock);
    duo.calm();
    assert_eq!(duo.bond(0).state, State::Blocked);
    duo.agree();
    duo.act(1, Action::Unblock);
    duo.calm();
    assert_eq!(duo.bond(0).state, State::None);
    duo.agree();
}

#[test]
fn an_acceptance_that_crosses_a_cancellation_ends_alike_on_both_sides() {
    let mut duo = Duo::new(1);
    duo.act(0, Action::Request);
    duo.calm();
    duo.act(0, Action::Cancel);
    duo.act(1, Action::Accept);
    duo.calm();
    // Both are second actions; the smaller node id is first.
    assert_eq!(duo.bond(0).state, State::None);
    duo.agree();
}

#[test]
fn a_message_arrives_as_it_was_sent() {
    let mut duo = befriended(1);
    for content in [
        "null",
        "\"x\"",
        "1.0",
        r#"{"b": [1,2], "a":{"b":2,"b":3}}"#,
        "[]",
    ] {
        let answer = duo.operate(0, write(&Duo::other(0), content));
        assert!(matches!(answer, Response::Sent(_)), "{answer:?}");
        assert_eq!(
            duo.messages(0).last().expect("kept").delivery_state,
            DeliveryState::Pending
        );
        duo.calm();
    }
    let (sent, arrived) = (duo.messages(0), duo.messages(1));
    assert_eq!(arrived.len(), 5);
    for (sent, arrived) in sent.iter().zip(&arrived) {
        let facts = |message: &Message| {
            (
                message.message_id.clone(),
                message.content.clone(),
                message.created_at,
            )
        };
        assert_eq!(facts(sent), facts(arrived));
        assert_eq!(sent.delivery_state, DeliveryState::Delivered);
        assert!(sent.acknowledged_at.is_some());
        assert_eq!(arrived.acknowledged_at, Some(arrived.created_at));
        assert_eq!(arrived.direction, Direction::Inbound);
    }
}

/// Goal: the id of an event is that of the bytes that travel, however often they do.
#[test]
fn an_event_is_named_by_what_is_sent() {
    let mut duo = befriended(1);
    let answer = duo.operate(0, write(&Duo::other(0), "\"secret\""));
    let Response::Sent(posted) = answer else {
        panic!("not sent: {answer:?}");
    };
    let letter = |duo: &mut Duo| match duo.flights.pop() {
        Some(Flight::Ask {
            request: rooms::Request::Wattswarm(Request::Deliver(delivery)),
            ..
        }) => match &delivery.parcel {
            Parcel::Letters(letters) => letters[0].clone(),
            Parcel::Notes(_) => panic!("no letters"),
        },
        _ => panic!("no delivery"),
    };
    let first = letter(&mut duo);
    let ciphertext = first.encrypted.unpack().expect("sealed").ciphertext;
    let (own, other) = (node(IDS[0]), node(IDS[1]));
    let names = Names {
        sender: own.as_str(),
        recipient: other.as_str(),
        thread: &posted.thread_id,
        message: &posted.message_id,
    };
    let id = ids::event_id(&names, first.created_at, &ciphertext);
    assert_eq!(*posted.event_id, *id);
    duo.advance(Duration::from_secs(30));
    assert_eq!(letter(&mut duo), first, "a repeated message is the same");
    duo.restart(0);
    duo.advance(Duration::from_secs(30));
    assert_eq!(letter(&mut duo), first, "also after a restart");
    // Another message is sealed under another nonce.
    duo.operate(0, write(&Duo::other(0), "\"secret\""));
    duo.calm();
    let nonces: BTreeSet<[u8; 12]> = duo
        .messages(0)
        .iter()
        .map(|message| {
            let message = &message.message_id;
            Names { message, ..names }.nonce()
        })
        .collect();
    assert_eq!(nonces.len(), 2);
}

#[test]
fn a_message_to_a_node_that_is_gone_fails_and_is_delivered_when_it_comes_back() {
    let mut duo = befriended(1);
    duo.operate(0, write(&Duo::other(0), "1"));
    for minutes in 0..10 {
        duo.flights.clear();
        duo.advance(Duration::from_secs(60));
        if minutes == 2 {
            assert_eq!(duo.messages(0)[0].delivery_state, DeliveryState::Pending);
        }
    }
    assert_eq!(duo.messages(0)[0].delivery_state, DeliveryState::Failed);
    assert!(duo.messages(1).is_empty());
    duo.flights.clear();
    // Whatever the other node wants, it is heard from.
    duo.operate(1, write(&Duo::other(1), "2"));
    while let Some(flight) = duo.flights.pop() {
        duo.land(flight);
    }
    assert_eq!(duo.messages(0)[0].delivery_state, DeliveryState::Delivered);
    assert_eq!(duo.messages(1).len(), 2);
}

#[test]
fn a_message_that_crosses_a_removal_is_dropped() {
    let mut duo = befriended(1);
    duo.act(1, Action::Remove);
    duo.operate(0, write(&Duo::other(0), "1"));
    // Its sender does not know yet.
    let letter = duo
        .flights
        .iter()
        .position(|flight| matches!(flight, Flight::Ask { from: 0, .. }))
        .expect("a letter");
    let flight = duo.flights.remove(letter);
    duo.land(flight);
    assert!(duo.messages(1).is_empty());
    duo.calm();
    assert_eq!(duo.bond(0).state, State::None);
    assert!(duo.messages(1).is_empty());
    assert_eq!(duo.messages(0)[0].delivery_state, DeliveryState::Pending);
    assert!(refusal(&duo.operate(0, write(&Duo::other(0), "2"))).contains("state=none"));
    assert!(duo.seen.contains("wattswarm_message_refused"));
}

/// Goal: a pause that ends while nothing can go out is over for what comes later.
#[test]
fn an_action_goes_out_after_a_message_was_tried_in_vain() {
    let mut duo = befriended(1);
    duo.operate(0, write(&Duo::other(0), "1"));
    let Some(Flight::Ask { call, .. }) = duo.flights.pop() else {
        panic!("no call");
    };
    let outputs = duo.nodes[0].fail(call, CallError::Refused);
    duo.note(0, outputs);
    // The relationship ends before the next attempt, so the message has to wait.
    duo.act(1, Action::Remove);
    duo.calm();
    duo.act(0, Action::Request);
    assert_eq!(duo.flights.len(), 1, "the request is not held back");
    duo.calm();
    duo.act(1, Action::Accept);
    duo.calm();
    assert_eq!(duo.messages(1).len(), 1);
}

#[test]
fn a_call_that_speaks_for_another_node_is_refused() {
    let mut duo = Duo::new(1);
    duo.act(0, Action::Request);
    let Some(Flight::Ask { request, .. }) = duo.flights.pop() else {
        panic!("no call");
    };
    for caller in [peer_caller(3), operator()] {
        let response = duo.nodes[1].ask(caller, request.clone());
        let refused = Response::Refused(Refusal::Impostor);
        assert_eq!(response, Some(refused.into()));
    }
    assert!(relationships(&mut duo.nodes[1]).is_empty());
}

#[test]
fn an_answer_of_somebody_else_is_no_answer() {
    let mut duo = Duo::new(1);
    let (_, input) = duo.nodes[0].request(
        operator(),
        act_with(&Duo::other(0), Action::Request, plain_envelope()).into(),
    );
    let outputs = duo.nodes[0].run(input);
    let call = calls_of(&outputs)[0];
    let outputs = duo.nodes[0].reply(call, rooms::Response::Opaque(200), 3);
    assert!(events(&outputs).contains(&"wattswarm_delivery_mismatch"));
    let outputs = duo.nodes[0].advance(Duration::from_secs(6));
    assert_eq!(calls(&outputs).len(), 1, "it is tried again");
}

#[test]
fn nothing_passes_while_a_ban_lasts_and_all_goes_on_after_it() {
    let mut duo = befriended(1);
    duo.nodes[0].ask(operator(), ban(addr(IDS[1])));
    assert!(!peers(&mut duo.nodes[0])[0].connected);
    duo.operate(0, write(&Duo::other(0), "1"));
    duo.advance(Duration::from_secs(60));
    assert!(duo.flights.is_empty(), "nobody is called who is banned");
    let (_, input) = duo.nodes[0].request(operator(), unban(addr(IDS[1])));
    let outputs = duo.nodes[0].run(input);
    duo.note(0, outputs);
    duo.calm();
    assert_eq!(duo.messages(1).len(), 1);
}

#[test]
fn what_waits_for_an_unknown_node_goes_out_when_it_is_known() {
    let mut one = started(config(1));
    let mut two = started(config(2));
    let (_, input) = one.request(
        operator(),
        act_with(&node(2), Action::Request, plain_envelope()).into(),
    );
    let outputs = one.run(input);
    assert!(calls(&outputs).is_empty());
    assert!(events(&outputs).contains(&"wattswarm_delivery_waits"));
    let material = match ask(&mut two, Request::OwnContact) {
        Response::OwnContact(material) => Material::clone(&material),
        other => panic!("{other:?}"),
    };
    let remote = node(2).as_str().into();
    let request = Request::Contact(Introduction { remote, material });
    let (_, input) = one.request(operator(), request.into());
    let outputs = one.run(input);
    assert_eq!(calls(&outputs).len(), 1);
    let failed = one.fail(calls_of(&outputs)[0], CallError::Refused);
    assert!(events(&failed).contains(&"wattswarm_delivery_failed"));
}

/// Goal: a node that took nothing, and of which nothing is known any more, is called when it is met.
#[test]
fn whoever_took_nothing_and_was_lost_is_called_when_it_is_found() {
    let mut one = started(config(1));
    let meet = |one: &mut Script, at: u8, holds: u8| {
        let peer = PeerInfo::new(Some(cert(holds).fingerprint), addr(at));
        let (_, input) = one.request(operator(), put_peer(NetworkId::Cut, peer));
        let probe = calls_of(&one.run(input)).pop();
        probe.map(|probe| one.reply(probe, rooms::Response::Opaque(200), holds))
    };
    meet(&mut one, 2, 2);
    let act = act_with(&node(2), Action::Request, plain_envelope());
    let (_, input) = one.request(operator(), act.into());
    let call = calls_of(&one.run(input))[0];
    one.reply(call, rooms::Response::Opaque(403), 2);
    meet(&mut one, 2, 3);
    let outputs = one.advance(Duration::from_secs(10));
    assert!(events(&outputs).contains(&"wattswarm_delivery_waits"));
    let outputs = meet(&mut one, 9, 2).expect("a probe");
    let mut calls = calls(&outputs).into_iter();
    assert!(calls.any(|(_, to, request)| to.addr == addr(9) && request.name() == "deliver"));
}

/// Goal: nodes that cannot take what the other has do not call each other without end.
#[test]
fn nodes_that_take_nothing_are_called_after_a_pause() {
    let mut duo = befriended(1);
    for place in 0..2 {
        duo.operate(place, write(&Duo::other(place), "1"));
    }
    let mut calls = 0;
    for _ in 0..60 {
        while let Some(flight) = duo.flights.pop() {
            match flight {
                Flight::Ask { .. } => {
                    calls += 1;
                    duo.land(flight);
                }
                Flight::Answer { to, life, call, .. } => {
                    let response = rooms::Response::Opaque(500);
                    duo.land(Flight::Answer {
                        to,
                        life,
                        call,
                        response,
                    });
                }
            }
            assert!(calls < 50);
        }
        duo.advance(Duration::from_secs(10));
    }
    assert!(calls > 20, "{calls}");
}

/// Goal: what a node sends along may be too much to keep, and its actions count all the same.
#[test]
fn envelopes_without_room_are_not_kept() {
    let long = |id: usize| {
        let text = "x".repeat(1_000);
        envelope(&format!(
            r#"{{"protocol":"p","message":{{"request_id":"r-{id}","text":"{text}"}}}}"#
        ))
    };
    for (total, per_peer) in [(usize::MAX / 16, 5_000), (8_000, usize::MAX / 2)] {
        let mut duo = Duo::tuned(1, |config| {
            if config.address == addr(IDS[1]) {
                config.limits.relationship_bytes_max = total;
                config.limits.relationship_bytes_per_peer_max = per_peer;
            }
        });
        for id in 0..10 {
            duo.operate(0, act_with(&Duo::other(0), Action::Request, long(id)));
            duo.calm();
        }
        let of_node = relationships(&mut duo.nodes[1]);
        let kept = of_node
            .iter()
            .filter(|record| record.agent_envelope.is_some());
        assert_eq!(of_node.len(), 10, "every action counts");
        let kept = kept.count();
        assert!((3..=5).contains(&kept), "{kept} envelopes are kept");
        let bytes = duo.nodes[1].gauge("wattswarm_relationship_bytes");
        assert!(bytes < 8_000, "{bytes}");
        assert!(duo.seen.contains("wattswarm_table_full"));
        // What is kept is the same after a restart, and what is counted too.
        let config = Config::clone(duo.nodes[1].node.config());
        duo.nodes[1] = Script::restore(config, duo.nodes[1].durable());
        assert_eq!(duo.nodes[1].gauge("wattswarm_relationship_bytes"), bytes);
        duo.act(0, Action::Block);
        duo.calm();
        assert_eq!(duo.bond(1).state, State::Blocked);
    }
}

#[test]
fn an_operator_is_told_when_there_is_no_room_for_an_envelope() {
    let mut duo = Duo::tuned(1, |config| config.limits.relationship_bytes_max = 2_000);
    let text = "x".repeat(1_900);
    let sent = envelope(&format!(r#"{{"protocol":"p","message":"{text}"}}"#));
    let answer = duo.operate(0, act_with(&Duo::other(0), Action::Request, sent));
    assert_eq!(refusal(&answer), "no room for more agent envelopes");
    assert!(relationships(&mut duo.nodes[0]).is_empty());
}
