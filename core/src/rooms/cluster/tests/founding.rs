//! How a cluster begins, and how a node that has left begins anew.

use super::*;

fn init(world: &mut World, node: usize, force: bool) -> Response {
    at_once(world, node, Request::Init(Ok(force)))
}

fn founding(response: &Response) -> &Founding {
    match response {
        Response::Founding(founding) => founding,
        other => panic!("{other:?}"),
    }
}

/// Three nodes in one cluster, of which node 2 is the youngest.
fn cluster() -> World {
    let mut world = World::new(3, |node, config| {
        tokens(config);
        let minted = 1_700_000_000_000 + node as u64;
        config.cluster.peer_id = PeerId::from_parts(minted, 7);
        config.cluster.licence.id = "lic_given".into();
    });
    join(&mut world, 0, 1);
    join(&mut world, 1, 2);
    assert!(world.until(secs(20), all_know_all));
    world
}

/// The same once node 2 has left.
fn departed() -> World {
    let mut world = cluster();
    at_once(&mut world, 2, Request::DeleteSelf);
    let gone = |world: &World| !knows(world, 0, 2) && !knows(world, 1, 2);
    assert!(world.until(secs(10), gone));
    world
}

#[test]
fn who_is_in_a_cluster_is_told_of_it_and_stays() {
    let mut world = cluster();
    world.until(secs(2), |_| false);
    let before: Vec<_> = world.nodes.iter().map(Script::exported).collect();
    let first = peer_id(&world, 0);
    for node in 0..3 {
        for force in [false, true] {
            let expected = Founding {
                cluster_id: first.own_cluster(),
                created_by: first,
                oldest_peer_id: first,
                was_created: false,
            };
            assert_eq!(founding(&init(&mut world, node, force)), &expected);
        }
    }
    let after: Vec<_> = world.nodes.iter().map(Script::exported).collect();
    assert_eq!(before, after);
    // Whoever is banned is out of sight here, too, and stays the one who began it.
    world.ask(2, ban(addr(1)));
    let response = init(&mut world, 2, false);
    let told = founding(&response);
    assert_eq!(told.oldest_peer_id, peer_id(&world, 1));
    assert_eq!(told.created_by, first);
}

#[test]
fn a_node_alone_is_a_cluster_of_its_own() {
    let mut script = script(1);
    let own = script.node.config().cluster.peer_id;
    let response = ask(&mut script, ADMIN, Request::Init(Ok(true)));
    let expected = Founding {
        cluster_id: own.own_cluster(),
        created_by: own,
        oldest_peer_id: own,
        was_created: false,
    };
    assert_eq!(founding(&response), &expected);
    assert!(script.exported().is_empty());
}

#[test]
fn who_has_left_stays_away_unless_it_is_forced() {
    let mut world = departed();
    world.until(secs(2), |_| false);
    let before = world.nodes[2].exported();
    let refused = init(&mut world, 2, false);
    assert_eq!(refused, Response::Failed(reasons::LEFT));
    assert_eq!(refused.status(), 422);
    let malformed = at_once(&mut world, 2, Request::Init(Err(Malformed::Force)));
    assert_eq!(code(&malformed), Some(Code::InvalidRequest));
    assert_eq!(world.nodes[2].exported(), before);
    assert_eq!(code(&join(&mut world, 2, 0)), Some(Code::HandshakeFailed));
}

#[test]
fn who_has_left_begins_anew_and_joins_in_either_direction() {
    for back in [(2, 0), (0, 2)] {
        let mut world = cluster();
        let own = peer_id(&world, 2);
        let name = Request::RenamePeer(Some(own), Ok(Some("third".into())));
        at_once(&mut world, 2, name);
        let made = at_once(&mut world, 2, Request::MakeCredential(Ok(None)));
        let Response::CredentialMade(made) = made else {
            panic!("{made:?}");
        };
        let key = room(&world, 2).public_key;
        let left = at_once(&mut world, 2, Request::DeleteSelf);
        let Response::Deactivated(left) = left else {
            panic!("{left:?}");
        };
        let gone = |world: &World| !knows(world, 0, 2) && !knows(world, 1, 2);
        assert!(world.until(secs(10), gone));

        let response = init(&mut world, 2, true);
        let expected = Founding {
            cluster_id: own.own_cluster(),
            created_by: own,
            oldest_peer_id: own,
            was_created: true,
        };
        assert_eq!(founding(&response), &expected);
        let said = &room(&world, 2).announcement;
        assert_eq!(
            (said.version, said.deactivated_at),
            (left.version + 1, None)
        );
        assert_eq!((said.peer_id, said.public_key), (own, key));
        assert_eq!(said.name, "third");
        token_for(&mut world.nodes[2], &made.client_id, &made.secret.0);
        assert!(room(&world, 2).members.is_empty());
        let again = init(&mut world, 2, true);
        assert!(!founding(&again).was_created);
        // All others remember its farewell, so nothing happens by itself.
        world.until(secs(30), |_| false);
        assert!((0..2).all(|node| !knows(&world, node, 2) && !knows(&world, 2, node)));

        assert_eq!(join(&mut world, back.0, back.1).status(), 201);
        assert!(world.until(secs(30), all_know_all));
        let older = peer_id(&world, 0).own_cluster();
        assert!((0..3).all(|node| room(&world, node).own.cluster_id == older));
        world.until(secs(3), |_| false);
        check_disks(&world);
    }
}

#[test]
fn a_return_survives_a_crash() {
    let mut world = departed();
    init(&mut world, 2, true);
    world.until(secs(2), |_| false);
    let config = world.nodes[2].node.config().as_ref().clone();
    let mut again = Script::restore(config, world.nodes[2].durable());
    let response = ask(&mut again, ADMIN, Request::Init(Ok(false)));
    assert!(!founding(&response).was_created);
    let alone = ask(&mut again, ADMIN, Request::Peers(Ok(Some(false))));
    assert_eq!(alone, Response::Peers(Vec::new()));
}

/// Node 2 left and began anew while node 0 heard of nobody, and counts it in as it was before.
fn unheard() -> World {
    let mut world = cluster();
    world.apart.extend([(0, 2), (0, 1)]);
    at_once(&mut world, 2, Request::DeleteSelf);
    assert!(world.until(secs(10), |world| !knows(world, 1, 2)));
    world.until(secs(10), |_| false);
    assert!(founding(&init(&mut world, 2, true)).was_created);
    world.until(secs(30), |_| false);
    assert!(room(&world, 2).members.is_empty());
    assert!(knows(&world, 0, 2));
    world
}

#[test]
fn who_has_not_heard_of_a_departure_meets_the_node_that_came_back() {
    let mut world = unheard();
    world.apart.remove(&(0, 2));
    assert!(world.until(secs(60), |world| knows(world, 2, 0)));
    // Whoever hears of it there knows that it came back after it had left.
    world.apart.clear();
    assert!(world.until(secs(60), all_know_all));
    let said = &room(&world, 2).announcement;
    for node in 0..2 {
        let known = &room(&world, node).members[&said.peer_id];
        assert_eq!(known.record, *said);
    }
    world.until(secs(3), |_| false);
    check_disks(&world);
}

#[test]
fn who_hears_of_a_departure_late_drops_the_node_that_came_back() {
    let mut world = unheard();
    world.apart.remove(&(0, 1));
    assert!(world.until(secs(60), |world| !knows(world, 0, 2)));
    world.apart.clear();
    world.until(secs(30), |_| false);
    assert!(room(&world, 2).members.is_empty());
    assert_eq!(join(&mut world, 0, 2).status(), 201);
    assert!(world.until(secs(30), all_know_all));
    check_disks(&world);
}

#[test]
fn an_expired_licence_brings_nobody_back() {
    let mut config = config(1);
    tokens(&mut config);
    config.cluster.licence.expires_s = Some(crate::scripted::EPOCH + 60);
    let mut script = Script::new(config);
    ask(&mut script, ADMIN, Request::DeleteSelf);
    script.advance(secs(60));
    let before = script.exported();
    let refused = ask(&mut script, ADMIN, Request::Init(Ok(true)));
    assert_eq!(code(&refused), Some(Code::LicenceExpired));
    let unforced = ask(&mut script, ADMIN, Request::Init(Ok(false)));
    assert_eq!(code(&unforced), Some(Code::HandshakeFailed));
    assert_eq!(script.exported(), before);
}
