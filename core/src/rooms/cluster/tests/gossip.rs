//! What members tell each other, and what forgers would like them to believe.

use super::*;
use crate::limits::GOSSIP_RECORDS_MAX;

#[test]
fn a_peers_peer_is_met_after_a_handshake() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    join(&mut world, 1, 2);
    assert!(!knows(&world, 0, 2));
    assert!(world.until(secs(20), all_know_all));
    let met = world.log.iter().any(|(from, to, request)| {
        let pair = [(0, 2), (2, 0)].contains(&(*from, *to));
        pair && request.name() == "cluster_handshake"
    });
    assert!(met, "learning of a peer is not trusting it");
    check_disks(&world);
}

#[test]
fn partition_and_heal_leave_equal_tables() {
    let mut world = world(4);
    join(&mut world, 0, 1);
    join(&mut world, 2, 3);
    for pair in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        world.apart.insert(pair);
    }
    assert_eq!(code(&join(&mut world, 1, 2)), Some(Code::HandshakeFailed));
    world.until(secs(60), |_| false);
    world.apart.clear();
    join(&mut world, 1, 2);
    assert!(world.until(secs(60), all_know_all));
    for pair in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        world.apart.insert(pair);
    }
    let name = Request::RenamePeer(Some(peer_id(&world, 0)), Ok(Some("first".into())));
    at_once(&mut world, 0, name);
    world.until(secs(60), |_| false);
    let named = |world: &World, node: usize| {
        let id = peer_id(world, 0);
        room(world, node).members[&id].view(id).name == "first"
    };
    assert!(named(&world, 1) && !named(&world, 2));
    let Response::Status(status) = at_once(&mut world, 0, Request::Status) else {
        panic!("no status");
    };
    let reachable = status.iter().filter(|peer| peer.reachable).count();
    assert_eq!((status.len(), reachable), (3, 1));
    world.apart.clear();
    assert!(world.until(secs(30), |world| (1..4).all(|node| named(world, node))));
    let cluster = room(&world, 0).own.cluster_id;
    assert!((0..4).all(|node| room(&world, node).own.cluster_id == cluster));
    check_disks(&world);
}

#[test]
fn deleted_peer_stays_away_until_it_is_added_again() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    join(&mut world, 1, 2);
    assert!(world.until(secs(20), all_know_all));
    let gone = Some(peer_id(&world, 2));
    let deleted = at_once(&mut world, 0, Request::DeletePeer(gone));
    assert_eq!(deleted, Response::Deleted);
    assert!(!world.until(secs(120), |world| knows(world, 0, 2)));
    assert!(knows(&world, 2, 0), "the other side is not told");
    let again = at_once(&mut world, 0, Request::DeletePeer(gone));
    assert_eq!(code(&again), Some(Code::NotFound));
    // From either side, an operator's word lifts it.
    let answer = join(&mut world, 0, 2);
    assert_eq!(answer.status(), 201, "{answer:?}");
    at_once(&mut world, 0, Request::DeletePeer(gone));
    let back = Some(peer_id(&world, 0));
    at_once(&mut world, 2, Request::DeletePeer(back));
    let answer = join(&mut world, 2, 0);
    assert_eq!(answer.status(), 201, "{answer:?}");
    assert!(all_know_all(&world));
    check_disks(&world);
}

#[test]
fn leaving_reaches_also_who_was_away() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    join(&mut world, 0, 2);
    assert!(world.until(secs(20), all_know_all));
    world.apart.extend([(0, 2), (1, 2)]);
    world.until(secs(1), |_| false);
    let first = at_once(&mut world, 0, Request::DeleteSelf);
    let Response::Deactivated(said) = &first else {
        panic!("{first:?}");
    };
    assert_eq!((said.peer_id, said.version), (peer_id(&world, 0), 2));
    assert_eq!(at_once(&mut world, 0, Request::DeleteSelf), first);
    world.until(secs(30), |_| false);
    assert!(!knows(&world, 1, 0) && knows(&world, 2, 0));
    world.apart.clear();
    assert!(world.until(secs(30), |world| !knows(world, 2, 0)));
    assert!(!world.until(secs(60), |world| knows(world, 1, 0) || knows(world, 2, 0)));
    let before = world.nodes[0].exported();
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    assert_eq!(code(&join(&mut world, 1, 0)), Some(Code::HandshakeFailed));
    assert_eq!(world.nodes[0].exported(), before, "it takes nobody in");
    let local = Request::Peers(Ok(Some(true)));
    assert!(matches!(at_once(&mut world, 0, local), Response::Peers(peers) if peers.len() == 1));
    check_disks(&world);
}

#[test]
fn what_a_departed_node_says_stays_as_it_was() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    let left = at_once(&mut world, 0, Request::DeleteSelf);
    let own = Some(peer_id(&world, 0));
    let rename = |name: &str| Request::RenamePeer(own, Ok(Some(name.into())));
    let refused = at_once(&mut world, 0, rename("first"));
    assert_eq!(code(&refused), Some(Code::HandshakeFailed));
    let same = at_once(&mut world, 0, rename(""));
    assert!(matches!(same, Response::Peer { .. }), "{same:?}");
    let mut config = world.nodes[0].node.config().as_ref().clone();
    config.cluster.address = addr(7);
    let mut moved = Script::restore(config, world.nodes[0].durable());
    assert_eq!(ask(&mut moved, ADMIN, Request::DeleteSelf), left);
}

#[test]
fn farewell_reaches_whom_the_leaving_node_had_deleted() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    let other = Some(peer_id(&world, 1));
    at_once(&mut world, 0, Request::DeletePeer(other));
    at_once(&mut world, 0, Request::DeleteSelf);
    assert!(world.until(secs(30), |world| !knows(world, 1, 0)));
    check_disks(&world);
}

#[test]
fn farewell_of_a_deleted_peer_is_passed_on_and_the_deletion_stays() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    join(&mut world, 1, 2);
    assert!(world.until(secs(20), all_know_all));
    let gone = peer_id(&world, 0);
    at_once(&mut world, 1, Request::DeletePeer(Some(gone)));
    world.apart.insert((0, 2));
    at_once(&mut world, 0, Request::DeleteSelf);
    world.until(secs(1), |_| false);
    world.down.insert(0);
    assert!(world.until(secs(30), |world| !knows(world, 2, 0)));
    let remembered = &room(&world, 1).tombstones[&gone];
    assert!(!remembered.record.is_active() && remembered.is_deletion());
    check_disks(&world);
}

/// Node 0 of two has told the other its name and lost its disk.
fn forgetful() -> World {
    let mut world = world(2);
    join(&mut world, 0, 1);
    let own = Some(peer_id(&world, 0));
    let name = Request::RenamePeer(own, Ok(Some("first".into())));
    at_once(&mut world, 0, name);
    world.until(secs(15), |_| false);
    lose_disk(&mut world, 0);
    world
}

#[test]
fn node_that_lost_its_disk_goes_on_from_what_it_once_said() {
    let mut world = forgetful();
    assert!(world.until(secs(30), |world| knows(world, 0, 1)));
    world.until(secs(15), |_| false);
    let said = &room(&world, 0).announcement;
    assert_eq!((said.version, said.name.as_str()), (3, ""));
    assert_eq!(room(&world, 1).members[&peer_id(&world, 0)].record, *said);
    at_once(&mut world, 0, Request::DeleteSelf);
    assert!(world.until(secs(30), |world| !knows(world, 1, 0)));
    check_disks(&world);
}

#[test]
fn node_that_left_before_it_heard_what_it_once_said_is_believed() {
    let mut world = forgetful();
    // The farewell has the number of what the other side knows already.
    let left = at_once(&mut world, 0, Request::DeleteSelf);
    assert!(matches!(left, Response::Deactivated(it) if it.version == 2));
    assert!(world.until(secs(30), |world| !knows(world, 1, 0)));
}

#[test]
fn peer_is_met_again_where_its_operator_said_it_is() {
    let mut world = World::new(2, |node, config| {
        tokens(config);
        if node == 1 {
            config.cluster.address = addr(9);
        }
    });
    assert_eq!(join(&mut world, 0, 1).status(), 201);
    lose_disk(&mut world, 1);
    assert!(world.until(secs(30), |world| knows(world, 1, 0)));
    let known = &room(&world, 0).members[&peer_id(&world, 1)];
    assert_eq!(known.address, addr(2).to_string());
}

/// What node 0 of two says when it leaves, and both.
fn farewell() -> (World, Arc<Record>) {
    let mut world = world(2);
    join(&mut world, 0, 1);
    world.down.insert(1);
    at_once(&mut world, 0, Request::DeleteSelf);
    let record = Arc::new(room(&world, 0).announcement.clone());
    world.down.clear();
    (world, record)
}

#[test]
fn forged_older_and_repeated_farewells_are_ignored() {
    let (mut world, good) = farewell();
    let mut hear = |record: Record| {
        let request = Request::Deactivate(Arc::new(record));
        let caller = peer_caller(9);
        ours(
            world.nodes[1]
                .ask(caller, request.into())
                .expect("an answer"),
        )
    };
    let impostor = SigningKey::from_bytes(&[66; 32]);
    let mut forged = good.as_ref().clone();
    forged.sign(&impostor);
    assert_eq!(hear(forged), Response::Applied(false));
    let mut forged = good.as_ref().clone();
    forged.public_key = PublicKey(impostor.verifying_key().to_bytes());
    forged.sign(&impostor);
    assert_eq!(hear(forged), Response::Applied(false));
    let mut later = good.as_ref().clone();
    later.version += 1;
    assert_eq!(hear(later), Response::Applied(false));
    let mut older = good.as_ref().clone();
    older.version = 1;
    older.sign(&SigningKey::from_bytes(&[1; 32]));
    assert_eq!(hear(older), Response::Applied(false));
    assert_eq!(hear(good.as_ref().clone()), Response::Applied(true));
    assert_eq!(hear(good.as_ref().clone()), Response::Applied(false));
    assert!(!knows(&world, 1, 0));
}

/// The last heartbeat of node 0 to node 1.
fn heartbeat(world: &mut World) -> Arc<Digest> {
    let last = |world: &World| {
        world.log.iter().rev().find_map(|it| match it {
            (0, 1, crate::Request::Cluster(Request::Gossip(digest))) => Some(digest.clone()),
            _ => None,
        })
    };
    assert!(world.until(secs(10), |world| last(world).is_some()));
    last(world).expect("a heartbeat")
}

#[test]
fn gossip_of_strangers_and_forgers_changes_nothing() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    let good = heartbeat(&mut world);
    let mut long = good.as_ref().clone();
    long.records = vec![long.records[0].clone(); GOSSIP_RECORDS_MAX + 1];
    let answer = world.nodes[1].ask(peer_caller(9), Request::Gossip(Arc::new(long)).into());
    let Response::Failed(failure) = ours(answer.expect("an answer")) else {
        panic!("taken");
    };
    assert_eq!(failure.text, "a gossip has at most 1024 records");
    assert_eq!(failure.code, Code::InvalidRequest);
    let mut check = |digest: Digest, node: usize, expected: Code| {
        let before = world.nodes[node].exported();
        let request = Request::Gossip(Arc::new(digest));
        let answer = world.nodes[node].ask(peer_caller(9), request.into());
        assert_eq!(code(&ours(answer.expect("an answer"))), Some(expected));
        assert_eq!(world.nodes[node].exported(), before);
    };
    check(good.as_ref().clone(), 2, Code::InvalidRequest);
    let mut stranger = good.as_ref().clone();
    stranger.from = PeerId::derived(&[66; 32]);
    check(stranger, 1, Code::NotFound);
    let changes: [fn(&mut Digest); 4] = [
        |digest| digest.nonce += 1,
        |digest| digest.cluster_id = crate::ids::ClusterId::from_parts(0, 0),
        |digest| digest.records.clear(),
        |digest| digest.signature[0] ^= 1,
    ];
    for change in changes {
        let mut changed = good.as_ref().clone();
        change(&mut changed);
        check(changed, 1, Code::Forbidden);
    }
    // A member that puts words into another's mouth is not believed either.
    let mut lying = good.as_ref().clone();
    let mut about = room(&world, 1).announcement.clone();
    about.version += 9;
    lying.records = vec![about];
    let before = world.nodes[1].exported();
    let key = SigningKey::from_bytes(&[1; 32]);
    lying.signature = key.sign(&lying.message()).to_bytes();
    let request = Request::Gossip(Arc::new(lying));
    let answer = world.nodes[1].ask(peer_caller(1), request.into());
    assert!(matches!(
        ours(answer.expect("an answer")),
        Response::Gossip(_)
    ));
    assert_eq!(world.nodes[1].exported(), before);
}

#[test]
fn forged_announcement_does_not_keep_its_peer_out() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    let mut about = room(&world, 2).announcement.clone();
    let digest = heartbeat(&mut world);
    let tell = |world: &mut World, record: &Record| {
        let mut digest = digest.as_ref().clone();
        digest.records = vec![record.clone()];
        let key = SigningKey::from_bytes(&[1; 32]);
        digest.signature = key.sign(&digest.message()).to_bytes();
        let request = Request::Gossip(Arc::new(digest));
        let answer = world.nodes[1].ask(peer_caller(1), request.into());
        let answer = ours(answer.expect("an answer"));
        assert!(matches!(answer, Response::Gossip(_)), "{answer:?}");
    };
    let genuine = about.clone();
    about.version = u64::from(u32::MAX);
    about.address = "10.0.0.9:1789".to_owned();
    about.sign(&SigningKey::from_bytes(&[77; 32]));
    tell(&mut world, &about);
    world.until(secs(20), |_| false);
    assert!(!knows(&world, 1, 2));
    tell(&mut world, &genuine);
    assert!(world.until(secs(120), |world| knows(world, 1, 2)));
}

#[test]
fn repeated_heartbeat_does_not_make_a_peer_reachable() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    world.until(secs(10), |_| false);
    let (_, _, heartbeat) = world
        .log
        .iter()
        .rev()
        .find(|(from, _, request)| *from == 1 && request.name() == "cluster_gossip")
        .expect("a heartbeat")
        .clone();
    world.down.insert(1);
    world.until(secs(40), |_| false);
    let answer = world.nodes[0].ask(peer_caller(9), heartbeat);
    assert!(matches!(
        ours(answer.expect("an answer")),
        Response::Gossip(_)
    ));
    let Response::Status(status) = at_once(&mut world, 0, Request::Status) else {
        panic!("no status");
    };
    assert!(!status[0].reachable);
}

#[test]
fn shared_credential_spreads_where_a_secret_is_shared() {
    for secret in [true, false] {
        let mut world = World::new(2, |_, config| {
            tokens(config);
            if !secret {
                config.cluster.secret = None;
            }
        });
        let missing = at_once(&mut world, 0, Request::ClusterCredential);
        assert_eq!(code(&missing), Some(Code::NotFound));
        join(&mut world, 0, 1);
        let Response::ClusterCredential(first) = at_once(&mut world, 0, Request::Rotate) else {
            panic!("no credential");
        };
        world.until(secs(15), |_| false);
        let known = room(&world, 1).shared.is_some();
        assert_eq!(known, secret, "a stranger may join where nothing is secret");
        if !secret {
            continue;
        }
        let old = first.secret.expect("told once").0;
        token_for(&mut world.nodes[1], &first.client_id, &old);
        let Response::ClusterCredential(second) = at_once(&mut world, 1, Request::Rotate) else {
            panic!("no credential");
        };
        assert_eq!((&second.client_id, second.version), (&first.client_id, 2));
        world.until(secs(15), |_| false);
        let new = second.secret.expect("told once").0;
        token_for(&mut world.nodes[0], &first.client_id, &new);
        token_for(&mut world.nodes[0], &first.client_id, &old);
        world.nodes[0].advance(secs(86_400));
        token_for(&mut world.nodes[0], &first.client_id, &new);
        let form = TokenForm {
            grant: Grant::Client,
            client: Some(first.client_id.clone()),
            secret: Some(Secret(old)),
            scopes: None,
        };
        let answer = world.nodes[0].ask(operator(), Request::Token(form).into());
        assert_eq!(
            code(&ours(answer.expect("an answer"))),
            Some(Code::Unauthorized)
        );
    }
}

#[test]
fn forged_shared_credential_is_ignored() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    at_once(&mut world, 0, Request::Rotate);
    let genuine = room(&world, 0).shared.clone().expect("rotated");
    let forged = SharedCredential {
        version: 99,
        digest: SecretDigest::of("mine"),
        ..genuine
    };
    let lying = Digest {
        from: peer_id(&world, 0),
        to: peer_id(&world, 1),
        nonce: 1,
        cluster_id: room(&world, 0).own.cluster_id,
        records: Vec::new(),
        credential: Some(forged),
        signature: [0; 64],
    };
    let key = SigningKey::from_bytes(&[1; 32]);
    let signature = key.sign(&lying.message()).to_bytes();
    let lying = Digest { signature, ..lying };
    let request = Request::Gossip(Arc::new(lying));
    world.nodes[1].ask(peer_caller(1), request.into());
    assert!(
        room(&world, 1)
            .shared
            .as_ref()
            .is_none_or(|it| it.version == 1)
    );
}
