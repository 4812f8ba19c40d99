//! Everything at once that can go wrong between two nodes, drawn from a seed.

use std::collections::BTreeSet;

use super::super::records::Direction;
use super::duo::Duo;
use super::*;

/// Goal: whatever is lost, repeated, late or cut off, both sides see the same in the end, and every
/// message that was delivered is there once.
#[test]
fn two_nodes_agree_whatever_happens_between_them() {
    let mut states = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for seed in 0..60 {
        let mut duo = Duo::new(seed);
        let mut posted = [BTreeSet::new(), BTreeSet::new()];
        for _ in 0..150 {
            storm(&mut duo, &mut posted);
        }
        duo.calm();
        duo.agree();
        states.insert(duo.bond(0).state);
        for (place, posted) in posted.iter().enumerate() {
            settle_accounts(&mut duo, place, posted);
        }
        seen.append(&mut duo.seen);
    }
    assert!(states.len() >= 4, "{states:?}");
    for event in [
        "wattswarm_repeat_recognised",
        "wattswarm_relationship_revised",
        "wattswarm_message_refused",
        "wattswarm_message_delivered",
    ] {
        assert!(seen.contains(event), "{event}");
    }
}

/// One thing happens.
fn storm(duo: &mut Duo, posted: &mut [BTreeSet<Arc<str>>; 2]) {
    let place = duo.luck.index(2);
    let flight = duo.luck.index(duo.flights.len());
    match duo.luck.below(100) {
        0..20 => {
            let action = Action::ALL[duo.luck.index(7)];
            let sent = match duo.luck.below(4) {
                0 => about("r-1"),
                _ => plain_envelope(),
            };
            duo.operate(place, act_with(&Duo::other(place), action, sent));
        }
        20..40 => {
            let answer = duo.operate(place, write(&Duo::other(place), "1"));
            if let Response::Sent(sent) = answer {
                posted[place].insert(sent.message_id.clone());
            }
        }
        40..75 if !duo.flights.is_empty() => {
            let flight = duo.flights.remove(flight);
            duo.land(flight);
        }
        75..82 if !duo.flights.is_empty() => {
            duo.flights.remove(flight);
        }
        82..88 if !duo.flights.is_empty() => {
            // Arrives, and will arrive again.
            let flight = duo.flights[flight].clone();
            duo.land(flight);
        }
        88..91 => duo.restart(place),
        _ => duo.advance(Duration::from_secs(3)),
    }
}

fn settle_accounts(duo: &mut Duo, place: usize, posted: &BTreeSet<Arc<str>>) {
    let ids = |messages: &[Arc<Message>], direction| -> Vec<Arc<str>> {
        let of = messages
            .iter()
            .filter(|message| message.direction == direction);
        of.map(|message| message.message_id.clone()).collect()
    };
    let (here, there) = (duo.messages(place), duo.messages(1 - place));
    let kept = ids(&here, Direction::Outbound);
    let arrived = ids(&there, Direction::Inbound);
    let distinct: BTreeSet<Arc<str>> = arrived.iter().cloned().collect();
    assert_eq!(distinct.len(), arrived.len(), "a message is there twice");
    let kept: BTreeSet<Arc<str>> = kept.into_iter().collect();
    assert_eq!(kept, *posted, "an answered message is lost");
    assert!(distinct.is_subset(posted));
    for message in here
        .iter()
        .filter(|message| posted.contains(&message.message_id))
    {
        let delivered = message.delivery_state == DeliveryState::Delivered;
        assert_eq!(
            delivered,
            distinct.contains(&message.message_id),
            "{message:?}"
        );
        if duo.bond(0).state == State::Accepted {
            assert!(delivered, "friends get everything: {message:?}");
        }
    }
}
