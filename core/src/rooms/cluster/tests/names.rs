//! What peers are called: by their operator here, or else by themselves.

use super::*;

/// Names a peer at a node, and gives what the node calls it then.
fn name_at(world: &mut World, node: usize, peer: usize, name: &str) -> String {
    let peer = Some(peer_id(world, peer));
    let rename = Request::RenamePeer(peer, Ok(Some(name.into())));
    match at_once(world, node, rename) {
        Response::Peer { peer, .. } => peer.name,
        other => panic!("{other:?}"),
    }
}

fn is_called(world: &World, node: usize, peer: usize, name: &str) -> bool {
    let id = peer_id(world, peer);
    room(world, node).members[&id].view(id).name == name
}

#[test]
fn a_peers_own_name_is_followed_where_no_operator_gave_one() {
    let mut world = world(3);
    assert_eq!(name_at(&mut world, 1, 1, "bee"), "bee");
    join(&mut world, 0, 1);
    assert!(is_called(&world, 0, 1, "bee"));
    let other = add_named(&mut world, 2, 1, "worker");
    settle(&mut world, 2, other);
    name_at(&mut world, 1, 1, "drone");
    assert!(world.until(secs(30), |world| is_called(world, 0, 1, "drone")));
    world.until(secs(30), |_| false);
    assert!(is_called(&world, 2, 1, "worker"), "an operator's stays");
    // Taken back, it leaves the peer's own; given, it stays even if it is the same.
    assert_eq!(name_at(&mut world, 2, 1, ""), "drone");
    assert_eq!(name_at(&mut world, 0, 1, "drone"), "drone");
    check_disks(&world);
    name_at(&mut world, 1, 1, "queen");
    assert!(world.until(secs(30), |world| is_called(world, 2, 1, "queen")));
    world.until(secs(30), |_| false);
    assert!(is_called(&world, 0, 1, "drone"));
    name_at(&mut world, 1, 1, "");
    assert!(world.until(secs(30), |world| is_called(world, 2, 1, "")));
    check_disks(&world);
}

#[test]
fn older_disks_tell_an_operators_name_from_the_peers_own() {
    let mut world = world(2);
    name_at(&mut world, 1, 1, "bee");
    join(&mut world, 0, 1);
    let peer = peer_id(&world, 1);
    let member = room(&world, 0).members[&peer].clone();
    for (stored, remark) in [("bee", ""), ("", ""), ("worker", "worker")] {
        let mut value = serde_json::to_value(&member).expect("a row");
        let fields = value.as_object_mut().expect("an object");
        fields.remove("remark");
        fields.insert("name".into(), stored.into());
        let read: Member = serde_json::from_value(value).expect("an older row");
        assert_eq!(read.remark, remark);
        let again = serde_json::to_value(&read).expect("a row");
        assert_eq!(read, serde_json::from_value(again).expect("a row"));
    }
}
