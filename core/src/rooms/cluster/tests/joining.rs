//! Handshakes: who convinces whom, and who must not.

use super::*;

#[test]
fn two_nodes_join_and_list_each_other() {
    let mut world = world(2);
    let answer = join(&mut world, 0, 1);
    let Response::Peer { peer, added: true } = &answer else {
        panic!("{answer:?}");
    };
    assert_eq!((peer.id, peer.is_local), (peer_id(&world, 1), false));
    assert_eq!((peer.address.clone(), peer.name.as_str()), (addr(2), ""));
    assert!(all_know_all(&world));
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::AlreadyExists));
    assert_eq!(code(&join(&mut world, 1, 0)), Some(Code::AlreadyExists));
    let ids = [peer_id(&world, 0), peer_id(&world, 1)];
    let oldest = ids.iter().min().expect("two").own_cluster();
    for node in 0..2 {
        assert_eq!(room(&world, node).own.cluster_id, oldest);
        assert_eq!(room(&world, node).members.len(), 1);
    }
    let (_, known) = world.nodes[0]
        .node
        .commons()
        .peers
        .find(&addr(2))
        .expect("in the one peer table");
    assert_eq!(known.key, Some(room(&world, 1).public_key));
    check_disks(&world);
}

#[test]
fn own_address_and_dead_ones_are_refused() {
    let mut world = world(2);
    assert_eq!(code(&join(&mut world, 0, 0)), Some(Code::AlreadyExists));
    world.down.insert(1);
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    assert!(world.nodes[0].exported().is_empty());
    // Whoever takes the call and never answers is waited for ten seconds.
    let mut script = script(1);
    let (_, input) = script.request(bearing(ADMIN), add(2).into());
    assert_eq!(calls(&script.run(input)).len(), 1);
    assert!(responses(&script.advance(Duration::from_millis(9_999))).is_empty());
    let answers = responses(&script.advance(Duration::from_millis(1)));
    assert_eq!(answers.len(), 1);
    assert!(script.exported().is_empty());
}

#[test]
fn other_licences_and_full_tables_leave_no_trace() {
    let mut world = World::new(3, |node, config| {
        tokens(config);
        if node == 1 {
            config.cluster.licence.id = "lic_other".into();
        }
        config.cluster.licence.nodes_max = if node == 2 { 1 } else { 9 };
    });
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::LicenceMismatch));
    for (from, to) in [(0, 2), (2, 0)] {
        let answer = join(&mut world, from, to);
        assert_eq!(code(&answer), Some(Code::NodeLimitExceeded));
    }
    for node in 0..3 {
        assert!(room(&world, node).members.is_empty());
        assert!(world.nodes[node].node.commons().peers.is_empty());
        let rows = world.nodes[node].exported();
        // What a node counts of its own handshakes is no trace of the other.
        assert!(rows.iter().all(|row| row.key() == [0x40]), "{rows:?}");
    }
    check_disks(&world);
}

#[test]
fn four_adds_at_once_are_one() {
    let mut world = world(2);
    let ids: Vec<RequestId> = (0..4)
        .map(|_| world.ask_as(0, bearing(ADMIN), add(2).into()))
        .collect();
    let answers: Vec<Response> = ids
        .into_iter()
        .map(|id| settle(&mut world, 0, id))
        .collect();
    let added = answers.iter().filter(|it| it.status() == 201).count();
    let exists = answers
        .iter()
        .filter(|it| code(it) == Some(Code::AlreadyExists))
        .count();
    assert_eq!((added, exists), (1, 3), "{answers:?}");
}

#[test]
fn crossing_adds_join_once() {
    let mut world = world(2);
    let first = world.ask_as(0, bearing(ADMIN), add(2).into());
    let second = world.ask_as(1, bearing(ADMIN), add(1).into());
    for (node, id) in [(0, first), (1, second)] {
        let answer = settle(&mut world, node, id);
        assert!(matches!(answer.status(), 201 | 409), "{answer:?}");
    }
    assert!(all_know_all(&world));
    assert!((0..2).all(|node| room(&world, node).members.len() == 1));
    check_disks(&world);
}

#[test]
fn lost_welcome_is_repaired_by_gossip() {
    let mut world = world(2);
    let id = world.ask_as(0, bearing(ADMIN), add(2).into());
    assert!(world.until(secs(5), |world| {
        world
            .log
            .iter()
            .any(|(_, _, request)| request.name() == "cluster_handshake")
    }));
    world.lose_answers = 1;
    assert!(world.until(secs(1), |world| knows(world, 1, 0)));
    assert!(
        !knows(&world, 0, 1),
        "only who has heard it all believes it"
    );
    // The other side's next heartbeat is not understood, so it says hello itself.
    assert!(world.until(secs(30), all_know_all));
    let answer = settle(&mut world, 0, id);
    assert_eq!(answer.status(), 201, "{answer:?}");
    check_disks(&world);
}

#[test]
fn name_may_come_with_the_add() {
    let name = |world: &World, node: usize, other: usize| {
        let id = peer_id(world, other);
        room(world, node).members[&id].view(id).name
    };
    // Two that cross.
    let mut both = world(2);
    let ids = [
        (0, add_named(&mut both, 0, 1, "second")),
        (1, add_named(&mut both, 1, 0, "first")),
    ];
    for (node, id) in ids {
        settle(&mut both, node, id);
    }
    assert_eq!(name(&both, 0, 1), "second");
    assert_eq!(name(&both, 1, 0), "first");
    check_disks(&both);
    // The other side's own hello comes before the answer to ours is given up; it tells of another
    // address.
    let mut lost = World::new(2, |node, config| {
        tokens(config);
        if node == 1 {
            config.cluster.address = addr(9);
        }
    });
    let id = add_named(&mut lost, 0, 1, "second");
    let hello =
        |it: &(usize, usize, crate::Request)| it.0 == 0 && it.2.name() == "cluster_handshake";
    assert!(lost.until(secs(5), |world| world.log.iter().any(hello)));
    lost.lose_answers = 1;
    let answer = settle(&mut lost, 0, id);
    let Response::Peer { peer, added: true } = &answer else {
        panic!("{answer:?}");
    };
    assert_eq!((peer.name.as_str(), &peer.address), ("second", &addr(2)));
    assert_eq!(name(&lost, 0, 1), "second");
    check_disks(&lost);
    // Without one it is the peer's own.
    let mut again = world(2);
    join(&mut again, 0, 1);
    let ids = [0, 1].map(|node| Some(peer_id(&again, node)));
    at_once(&mut again, 1, Request::DeletePeer(ids[0]));
    let rename = Request::RenamePeer(ids[1], Ok(Some("itself".into())));
    at_once(&mut again, 1, rename);
    assert_eq!(join(&mut again, 1, 0).status(), 201);
    assert_eq!(name(&again, 0, 1), "itself");
}

/// Tells node 1 of two peers that are joined what its peer, node 0, says of another.
fn tell(world: &mut World, record: &Record) {
    let mut digest = Digest {
        from: peer_id(world, 0),
        to: peer_id(world, 1),
        nonce: 1,
        cluster_id: room(world, 0).own.cluster_id,
        records: vec![record.clone()],
        credential: None,
        signature: [0; 64],
    };
    digest.sign(&SigningKey::from_bytes(&[1; 32]));
    let request = Request::Gossip(Arc::new(digest));
    world.ask_as(1, peer_caller(1), request.into());
}

#[test]
fn add_that_meets_a_discovery_has_its_name() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    let about = room(&world, 2).announcement.clone();
    let id = add_named(&mut world, 1, 2, "third");
    tell(&mut world, &about);
    let hello =
        |it: &&(usize, usize, crate::Request)| it.1 == 2 && it.2.name() == "cluster_handshake";
    let answer = settle(&mut world, 1, id);
    assert!(
        matches!(&answer, Response::Peer { peer, added: true } if peer.name == "third"),
        "{answer:?}"
    );
    assert_eq!(world.log.iter().filter(hello).count(), 1);
    check_disks(&world);
}

#[test]
fn add_has_its_turn_after_a_discovery_that_fails() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    // Somebody says that the peer is where nobody ever answers.
    let mut about = room(&world, 2).announcement.clone();
    about.address = addr(1).to_string();
    world.lose_answers = 1;
    tell(&mut world, &about);
    world.until(Duration::from_millis(2), |_| false);
    assert_eq!(world.lose_answers, 0);
    let first = add_named(&mut world, 1, 2, "third");
    let second = add_named(&mut world, 1, 2, "another");
    let answer = settle(&mut world, 1, first);
    let Response::Peer { peer, added: true } = &answer else {
        panic!("{answer:?}");
    };
    assert_eq!((peer.name.as_str(), &peer.address), ("third", &addr(3)));
    let late = settle(&mut world, 1, second);
    assert_eq!(code(&late), Some(Code::AlreadyExists));
    assert!(knows(&world, 2, 1));
    check_disks(&world);
}

#[test]
fn shared_secret_must_fit_on_both_sides() {
    for ours_knows in [true, false] {
        let mut world = World::new(2, |node, config| {
            tokens(config);
            if node == 1 {
                let other = ClusterSecret(b"another secret of theirs".to_vec());
                config.cluster.secret = ours_knows.then_some(other);
            }
        });
        assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
        assert_eq!(code(&join(&mut world, 1, 0)), Some(Code::HandshakeFailed));
        for node in 0..2 {
            assert!(room(&world, node).members.is_empty());
        }
    }
}

/// The hello that the node says to the peer at `addr`, whose identity is `identity`.
pub(super) fn hello_of(
    script: &mut Script,
    to: u8,
    identity: &Identity,
) -> (crate::CallId, Arc<Hello>) {
    let (_, input) = script.request(bearing(ADMIN), add(to).into());
    let (id, _, _) = calls(&script.run(input)).pop().expect("asks who is there");
    let identity = Response::Identity(Box::new(identity.clone()));
    let outputs = script.reply(id, identity, to);
    match calls(&outputs).pop() {
        Some((id, _, crate::Request::Cluster(Request::Handshake(hello)))) => (id, hello),
        other => panic!("no hello but {other:?}"),
    }
}

pub(super) fn identity_of(script: &mut Script) -> Identity {
    let response = script.ask(operator(), Request::Identity.into());
    match ours(response.expect("an answer")) {
        Response::Identity(identity) => *identity,
        other => panic!("{other:?}"),
    }
}

fn greet(script: &mut Script, hello: &Arc<Hello>) -> Response {
    let request = Request::Handshake(hello.clone());
    ours(
        script
            .ask(peer_caller(9), request.into())
            .expect("an answer"),
    )
}

#[test]
fn hello_convinces_once_and_only_whom_it_is_for() {
    let (mut one, mut two, mut three) = (script(1), script(2), script(3));
    let identity = identity_of(&mut two);
    let (_, hello) = hello_of(&mut one, 2, &identity);
    // Reflected, and sent on to another.
    for other in [&mut one, &mut three] {
        let answer = greet(other, &hello);
        assert_eq!(code(&answer), Some(Code::HandshakeFailed), "{answer:?}");
    }
    assert!(matches!(greet(&mut two, &hello), Response::Welcome(_)));
    let id = hello.record.peer_id;
    assert_eq!(code(&greet(&mut two, &hello)), Some(Code::HandshakeFailed));
    // Not after a deletion, which a hello for an add would lift, and not after a restart.
    assert_eq!(
        ask(&mut two, ADMIN, Request::DeletePeer(Some(id))),
        Response::Deleted
    );
    assert_eq!(code(&greet(&mut two, &hello)), Some(Code::HandshakeFailed));
    let mut two = Script::restore(two.node.config().as_ref().clone(), two.durable());
    assert_eq!(code(&greet(&mut two, &hello)), Some(Code::HandshakeFailed));
    assert!(two.node.rooms().cluster.0.members.is_empty());
}

#[test]
fn changed_hellos_are_refused() {
    let (mut one, mut two) = (script(1), script(2));
    let identity = identity_of(&mut two);
    let (_, hello) = hello_of(&mut one, 2, &identity);
    let changes: [fn(&mut Hello); 9] = [
        |hello| hello.challenge[0] ^= 1,
        |hello| hello.number += 1,
        |hello| hello.why = Why::Discovery,
        |hello| hello.record.address = "10.9.9.9:1".into(),
        |hello| hello.record.version += 1,
        |hello| hello.record.public_key = PublicKey::of_secret(&[7; 32]),
        |hello| hello.signature[3] ^= 1,
        |hello| hello.mac = None,
        |hello| hello.version = 2,
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut changed = hello.as_ref().clone();
        change(&mut changed);
        let answer = greet(&mut two, &Arc::new(changed));
        assert_eq!(code(&answer), Some(Code::HandshakeFailed), "change {place}");
    }
    assert!(two.exported().is_empty());
    assert!(matches!(greet(&mut two, &hello), Response::Welcome(_)));
}

#[test]
fn number_of_a_hello_grows_even_if_the_clock_is_set_back() {
    let (mut one, mut two) = (script(1), script(2));
    let identity = identity_of(&mut two);
    let (id, first) = hello_of(&mut one, 2, &identity);
    one.fail(id, CallError::Timeout);
    let config = one.node.config().as_ref().clone();
    let mut one = Script::restore(config, one.durable());
    one.now.wall = WallTime::from_secs(1);
    let (_, second) = hello_of(&mut one, 2, &identity);
    assert!(second.number > first.number);
}

#[test]
fn impostors_with_somebodys_identity_are_refused() {
    let mut two = script(2);
    let identity = identity_of(&mut two);
    // Who shows the identity of another and signs with a key of its own.
    let impostor = SigningKey::from_bytes(&[66; 32]);
    let tricks: [fn(&mut Welcome, &SigningKey); 4] = [
        |_, _| {},
        |welcome, key| welcome.record.sign(key),
        |welcome, key| {
            welcome.record.public_key = PublicKey(key.verifying_key().to_bytes());
            welcome.record.sign(key);
        },
        |welcome, _| welcome.mac = None,
    ];
    for (place, trick) in tricks.into_iter().enumerate() {
        let mut one = script(1);
        let (call, hello) = hello_of(&mut one, 2, &identity);
        let mut welcome = match greet(&mut two.clone(), &hello) {
            Response::Welcome(welcome) => welcome.as_ref().clone(),
            other => panic!("{other:?}"),
        };
        trick(&mut welcome, &impostor);
        let own = hello.record.peer_id;
        let message = welcome.message(&hello.challenge, own, hello.record.public_key);
        welcome.signature = impostor.sign(&message).to_bytes();
        let outputs = one.reply(call, Response::Welcome(Arc::new(welcome)), 2);
        let answers = responses(&outputs);
        assert_eq!(answers.len(), 1);
        let refused = code(&ours(answers[0].clone()));
        assert_eq!(refused, Some(Code::HandshakeFailed), "trick {place}");
        assert!(one.node.rooms().cluster.0.members.is_empty());
        assert!(one.node.commons().peers.is_empty());
    }
}

#[test]
fn welcome_for_an_earlier_hello_is_refused() {
    let (mut one, mut two) = (script(1), script(2));
    let identity = identity_of(&mut two);
    let (call, hello) = hello_of(&mut one, 2, &identity);
    let Response::Welcome(welcome) = greet(&mut two, &hello) else {
        panic!("no welcome");
    };
    one.fail(call, CallError::Timeout);
    let (call, _) = hello_of(&mut one, 2, &identity);
    let outputs = one.reply(call, Response::Welcome(welcome), 2);
    let refused = code(&ours(responses(&outputs)[0].clone()));
    assert_eq!(refused, Some(Code::HandshakeFailed));
    assert!(one.node.rooms().cluster.0.members.is_empty());
}

#[test]
fn known_peer_with_another_key_is_refused() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    let mut identity = identity_of(&mut world.nodes[1]);
    identity.public_key = PublicKey::of_secret(&[66; 32]);
    let one = &mut world.nodes[0];
    let (_, input) = one.request(bearing(ADMIN), add(9).into());
    let (id, _, _) = calls(&one.run(input)).pop().expect("asks who is there");
    let outputs = one.reply(id, Response::Identity(Box::new(identity)), 9);
    let refused = code(&ours(responses(&outputs)[0].clone()));
    assert_eq!(refused, Some(Code::HandshakeFailed));
}

/// Whoever belongs to the cluster can take the name of a peer that is not known yet. The operator can
/// undo that.
#[test]
fn taken_name_is_given_back_by_the_operator() {
    let squatted = config(2).cluster.peer_id;
    let mut world = World::new(3, |node, config| {
        tokens(config);
        if node == 2 {
            config.cluster.peer_id = squatted;
        }
    });
    let name = Some(peer_id(&world, 1));
    let others = Some(peer_id(&world, 0));
    // The number of its hello is higher than any that the rightful one will ever have.
    let mut own = room(&world, 2).own.clone();
    own.hello = u64::MAX - 1;
    let squatter = &world.nodes[2];
    let (config, now) = (squatter.node.config().as_ref().clone(), squatter.now);
    world.nodes[2] = Script::restore(config, vec![Row::Own(Some(own)).into()]);
    world.nodes[2].now = now;
    assert_eq!(join(&mut world, 2, 0).status(), 201);
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    // Whoever comes under a name that was deleted must have its key.
    at_once(&mut world, 0, Request::DeletePeer(name));
    assert_eq!(code(&join(&mut world, 1, 0)), Some(Code::HandshakeFailed));
    let answer = join(&mut world, 0, 1);
    let Response::Peer { peer, .. } = &answer else {
        panic!("{answer:?}");
    };
    assert_eq!(peer.public_key, room(&world, 1).public_key);
    at_once(&mut world, 1, Request::DeletePeer(others));
    at_once(&mut world, 0, Request::DeletePeer(name));
    assert_eq!(join(&mut world, 1, 0).status(), 201);
    check_disks(&world);
}

#[test]
fn nobody_joins_without_a_port_to_be_called_at() {
    let mut world = World::new(2, |node, config| {
        tokens(config);
        if node == 0 {
            config.cluster.address.port = 0;
        }
    });
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    assert!(room(&world, 1).members.is_empty());
}

#[test]
fn answers_that_are_none_do_not_add_a_peer() {
    for response in [
        NodeResponse::Opaque(200),
        NodeResponse::Opaque(500),
        Response::Deleted.into(),
    ] {
        let mut script = script(1);
        let (_, input) = script.request(bearing(ADMIN), add(2).into());
        let (id, _, _) = calls(&script.run(input)).pop().expect("asks who is there");
        let result = Ok(answer(response, 2));
        let outputs = script.run(Input::Reply { id, result });
        let refused = code(&ours(responses(&outputs)[0].clone()));
        assert_eq!(refused, Some(Code::HandshakeFailed));
        assert!(events(&outputs).contains(&"cluster_handshake_failed"));
        assert!(script.exported().is_empty());
    }
}
