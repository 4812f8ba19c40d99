//! What is remembered of those that are gone, and what pushes it out.

use super::*;
use crate::limits::{DELETIONS_MAX, DEPARTURES_MAX};

/// A peer that nobody has met, gone since `since_s`.
fn gone(number: usize, deleted: bool, since_s: u64) -> (PeerId, Tombstone) {
    let key = SigningKey::from_bytes(&[200; 32]);
    let peer_id = PeerId::from_parts(1_700_000_000_000, number as u128);
    let mut record = Record {
        peer_id,
        version: 1,
        address: addr(200).to_string(),
        public_key: PublicKey(key.verifying_key().to_bytes()),
        name: String::new(),
        deactivated_at: (!deleted).then_some(since_s),
        signature: [0; 64],
    };
    record.sign(&key);
    let tombstone = Tombstone {
        record,
        deleted,
        hello: 0,
        since_s,
    };
    (peer_id, tombstone)
}

/// Node 0 of three starts again, and remembers these besides.
fn remember(world: &mut World, those: impl Iterator<Item = (PeerId, Tombstone)>) {
    let script = &world.nodes[0];
    let (config, now) = (script.node.config().as_ref().clone(), script.now);
    let more = those.map(|(id, gone)| Row::Tombstone(id, Some(Box::new(gone))).into());
    let rows = script.durable().into_iter().chain(more).collect();
    world.nodes[0] = Script::restore(config, rows);
    world.nodes[0].now = now;
    world.answers.clear();
}

/// Three nodes that know each other; node 0 was told to forget node 2, which node 1 still lists.
fn with_deletion() -> World {
    let mut world = world(3);
    join(&mut world, 0, 1);
    join(&mut world, 1, 2);
    assert!(world.until(secs(20), all_know_all));
    let other = Some(peer_id(&world, 2));
    at_once(&mut world, 0, Request::DeletePeer(other));
    world
}

fn is_remembered(world: &World, id: PeerId) -> bool {
    room(world, 0).tombstones.contains_key(&id)
}

#[test]
fn departures_do_not_push_out_a_deletion() {
    let mut world = with_deletion();
    let now_s = world.nodes[0].now.wall.as_secs();
    let departed: Vec<_> = (0..DEPARTURES_MAX)
        .map(|number| gone(number, false, now_s + number as u64))
        .collect();
    let first = departed[0].0;
    remember(&mut world, departed.into_iter());
    at_once(&mut world, 1, Request::DeleteSelf);
    let left = peer_id(&world, 1);
    assert!(world.until(secs(30), |world| is_remembered(world, left)));
    assert!(!is_remembered(&world, first), "the oldest made room");
    assert!(is_remembered(&world, peer_id(&world, 2)));
    assert_eq!(room(&world, 0).tombstones.len(), DEPARTURES_MAX + 1);
    check_disks(&world);
}

#[test]
fn deletions_do_not_push_out_a_departure() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    // An older disk may hold more than there is room for.
    let deleted = (1..=DELETIONS_MAX + 5).map(|number| gone(number, true, 10 + number as u64));
    let left = gone(0, false, 1);
    remember(&mut world, deleted.chain([left.clone()]));
    let other = peer_id(&world, 1);
    at_once(&mut world, 0, Request::DeletePeer(Some(other)));
    assert!(is_remembered(&world, other) && is_remembered(&world, left.0));
    assert_eq!(room(&world, 0).tombstones.len(), DELETIONS_MAX + 1);
    let (sixth, seventh) = (gone(6, true, 0).0, gone(7, true, 0).0);
    assert!(!is_remembered(&world, sixth) && is_remembered(&world, seventh));
    check_disks(&world);
}

#[test]
fn who_was_deleted_and_leaves_stays_deleted() {
    let mut world = with_deletion();
    let other = peer_id(&world, 2);
    // As it was written before deletions were marked.
    let kept = room(&world, 0).tombstones[&other].clone();
    let unmarked = Tombstone {
        deleted: false,
        ..kept
    };
    remember(&mut world, [(other, unmarked)].into_iter());
    at_once(&mut world, 2, Request::DeleteSelf);
    let has_left = |world: &World| !room(world, 0).tombstones[&other].record.is_active();
    assert!(world.until(secs(30), has_left));
    assert!(room(&world, 0).tombstones[&other].is_deletion());
    check_disks(&world);
}
