//! The room on a table: tokens of every kind, nodes that convince each other and some that should not.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the answer it expects; every other is as wrong as the next"
)]

mod founding;
mod gone;
mod gossip;
mod joining;
mod licences;
mod names;
mod refusals;
mod tokens;

use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};

use super::credentials::SharedCredential;
use super::failure::Code;
use super::gossip::Digest;
use super::handshake::{Hello, Welcome, Why};
use super::licence::SignedLicence;
use super::record::Record;
use super::*;
use crate::commons::bans::BanKey;
use crate::config::cluster::{ClusterSecret, FixedClient, FixedToken, Licence};
use crate::rows::Record as _;
use crate::scripted::{
    Script, World, addr, answer, ban, calls, config, events, operator, peer_caller, responses,
};
use crate::time::{Duration, WallTime};
use crate::{Input, Output, RequestId, Response as NodeResponse, Secret, base64url};

const ADMIN: &str = "admin-token-of-the-test";
const READ: &str = "read-token-of-the-test";
const WRITE: &str = "write-token-of-the-test";

fn tokens(config: &mut Config) {
    let token = |text: &str, scopes| FixedToken {
        digest: SecretDigest::of(text),
        scopes,
    };
    config.cluster.tokens = vec![
        token(ADMIN, Scopes::ADMIN),
        token(READ, Scopes::PEERS_READ),
        token(WRITE, Scopes::PEERS_READ.union(Scopes::PEERS_WRITE)),
    ];
    config.cluster.clients = vec![
        client("reader", "reader-secret", Scopes::PEERS_READ),
        client(
            "writer",
            "writer-secret",
            Scopes::PEERS_READ.union(Scopes::PEERS_WRITE),
        ),
        client("root", "root-secret", Scopes::ADMIN),
    ];
    config.cluster.secret = Some(ClusterSecret(b"sixteen bytes and more".to_vec()));
}

fn client(id: &str, secret: &str, scopes: Scopes) -> FixedClient {
    FixedClient {
        id: id.into(),
        digest: SecretDigest::of(secret),
        scopes,
    }
}

fn script(n: u8) -> Script {
    let mut config = config(n);
    tokens(&mut config);
    Script::new(config)
}

fn world(count: u8) -> World {
    World::new(count, |_, config| tokens(config))
}

fn bearing(token: &str) -> Caller {
    Caller {
        authorization: Some(Secret(format!("Bearer {token}"))),
        ..operator()
    }
}

fn ours(response: NodeResponse) -> Response {
    match response {
        NodeResponse::Cluster(response) => response,
        other => panic!("another room answers: {other:?}"),
    }
}

fn code(response: &Response) -> Option<Code> {
    match response {
        Response::Failed(failure) => Some(failure.code),
        _ => None,
    }
}

fn ask(script: &mut Script, token: &str, request: Request) -> Response {
    let response = script.ask(bearing(token), request.into());
    ours(response.expect("an answer at once"))
}

fn token_for(script: &mut Script, id: &str, secret: &str) -> String {
    let form = TokenForm {
        grant: Grant::Client,
        client: Some(id.into()),
        secret: Some(Secret(secret.into())),
        scopes: None,
    };
    match ours(
        script
            .ask(operator(), Request::Token(form).into())
            .expect("an answer"),
    ) {
        Response::Token { token, .. } => token.0,
        other => panic!("no token but {other:?}"),
    }
}

fn room(world: &World, node: usize) -> &Cluster {
    &world.nodes[node].node.rooms().cluster.0
}

fn peer_id(world: &World, node: usize) -> PeerId {
    world.nodes[node].node.config().cluster.peer_id
}

fn knows(world: &World, node: usize, other: usize) -> bool {
    room(world, node)
        .members
        .contains_key(&peer_id(world, other))
}

fn all_know_all(world: &World) -> bool {
    let all = 0..world.nodes.len();
    all.clone().all(|node| {
        all.clone()
            .all(|other| node == other || knows(world, node, other))
    })
}

fn add(n: u8) -> Request {
    Request::AddPeer(Ok(AddPeer {
        address: addr(n),
        name: None,
    }))
}

/// Adds node `to` at node `from`, and gives the answer.
fn join(world: &mut World, from: usize, to: usize) -> Response {
    let request = add(u8::try_from(to + 1).expect("few nodes"));
    let id = world.ask_as(from, bearing(ADMIN), request.into());
    settle(world, from, id)
}

fn settle(world: &mut World, node: usize, id: RequestId) -> Response {
    let answered = world.until(secs(60), |world| world.answers.contains_key(&(node, id)));
    assert!(answered, "never answered");
    ours(world.answers[&(node, id)].clone())
}

fn at_once(world: &mut World, node: usize, request: Request) -> Response {
    let id = world.ask_as(node, bearing(ADMIN), request.into());
    settle(world, node, id)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Adds node `to` at node `from` under this name; the answer comes later.
fn add_named(world: &mut World, from: usize, to: usize, name: &str) -> RequestId {
    let address = addr(u8::try_from(to + 1).expect("few nodes"));
    let name = Some(name.to_owned());
    let request = Request::AddPeer(Ok(AddPeer { address, name }));
    world.ask_as(from, bearing(ADMIN), request.into())
}

/// A node starts again with its key and without anything that it remembered.
fn lose_disk(world: &mut World, node: usize) {
    let (config, now) = {
        let script = &world.nodes[node];
        (script.node.config().as_ref().clone(), script.now)
    };
    world.nodes[node] = Script::new(config);
    world.nodes[node].now = now;
    world.answers.clear();
}

/// Nothing is kept in memory that is not on disk, nor the other way round.
fn check_disks(world: &World) {
    for script in &world.nodes {
        assert_eq!(script.durable(), script.exported());
    }
}

#[test]
fn banned_peer_is_out_of_sight_and_not_heard() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    world.ask(0, ban(addr(2)));
    let peers = || Request::Peers(Ok(None));
    let count = |world: &mut World| match at_once(world, 0, peers()) {
        Response::Peers(peers) => peers.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(&mut world), 1);
    let status = at_once(&mut world, 0, Request::Status);
    assert_eq!(status, Response::Status(Vec::new()));
    let one = Request::Peer(Some(peer_id(&world, 1)));
    assert_eq!(code(&at_once(&mut world, 0, one)), Some(Code::NotFound));
    let before = world.log.len();
    world.until(secs(30), |_| false);
    assert!(world.log[before..].iter().all(|(from, _, _)| *from != 0));
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    let key = BanKey::Key(room(&world, 1).public_key);
    let bans = &world.nodes[0].node.commons().bans;
    assert!(bans.contains(&key), "the key is banned with the address");
    world.until(secs(10_800), |_| false);
    assert_eq!(count(&mut world), 2);
}

#[test]
fn after_a_start_a_peer_is_reachable_once_it_has_answered() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    let (config, rows, now) = {
        let script = &world.nodes[0];
        (
            script.node.config().as_ref().clone(),
            script.durable(),
            script.now,
        )
    };
    world.nodes[0] = Script::restore(config, rows);
    world.nodes[0].now = now;
    world.answers.clear();
    let shown = |world: &mut World| match at_once(world, 0, Request::Status) {
        Response::Status(peers) => (peers[0].reachable, peers[0].last_seen_s.is_some()),
        other => panic!("{other:?}"),
    };
    world.nodes[0].advance(Duration::from_millis(1));
    assert_eq!(shown(&mut world), (false, false));
    world.until(secs(10), |_| false);
    assert_eq!(shown(&mut world), (true, true));
    world.down.insert(1);
    world.until(secs(60), |_| false);
    assert_eq!(shown(&mut world), (false, true));
}

#[test]
fn restart_keeps_the_cluster() {
    let mut world = world(2);
    join(&mut world, 0, 1);
    let name = Request::RenamePeer(Some(peer_id(&world, 1)), Ok(Some("second".into())));
    at_once(&mut world, 0, name);
    let before = at_once(&mut world, 0, Request::Peers(Ok(None)));
    let rows = world.nodes[0].durable();
    let mut config = world.nodes[0].node.config().as_ref().clone();
    let mut again = Script::restore(config.clone(), rows.clone());
    assert_eq!(ask(&mut again, ADMIN, Request::Peers(Ok(None))), before);
    assert_eq!(again.exported(), rows);
    // Who moves says so with a higher version.
    config.cluster.address = addr(7);
    let mut moved = Script::restore(config, rows);
    moved.advance(secs(1));
    let said = &moved.node.rooms().cluster.0.announcement;
    assert_eq!((said.version, said.address.as_str()), (2, "10.0.0.7:1789"));
}
