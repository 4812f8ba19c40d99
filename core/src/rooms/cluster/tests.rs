//! The room on a table: tokens of every kind, nodes that convince each other and some that should not.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the answer it expects; every other is as wrong as the next"
)]

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
use crate::config::cluster::{ClusterSecret, FixedClient, FixedToken};
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

/// Nothing is kept in memory that is not on disk, nor the other way round.
fn check_disks(world: &World) {
    for script in &world.nodes {
        assert_eq!(script.durable(), script.exported());
    }
}

// --- Tokens ---

/// Every request that needs a token, with the scope that it needs.
fn protected() -> Vec<(Request, Scopes)> {
    let nobody = Some(PeerId::derived(&[99; 32]));
    vec![
        (Request::Peers(Ok(None)), Scopes::PEERS_READ),
        (Request::Peer(nobody), Scopes::PEERS_READ),
        (add(9), Scopes::PEERS_WRITE),
        (Request::RenamePeer(nobody, Ok(None)), Scopes::PEERS_WRITE),
        (Request::DeletePeer(nobody), Scopes::PEERS_WRITE),
        (Request::Credentials, Scopes::CREDENTIALS_READ),
        (Request::MakeCredential(Ok(None)), Scopes::CREDENTIALS_WRITE),
        (
            Request::DeleteCredential("cli_x".into()),
            Scopes::CREDENTIALS_WRITE,
        ),
        (Request::Rotate, Scopes::CREDENTIALS_WRITE),
        (Request::ClusterCredential, Scopes::ADMIN),
        (Request::Status, Scopes::ADMIN),
        (Request::Sync, Scopes::ADMIN),
        (Request::DeleteSelf, Scopes::ADMIN),
        (Request::Licence, Scopes::NONE),
        (
            Request::ReplaceLicence(Err(Malformed::Licence)),
            Scopes::ADMIN,
        ),
    ]
}

#[test]
fn every_endpoint_asks_for_a_token_that_allows_it() {
    let mut other = script(2);
    let foreign = token_for(&mut other, "root", "root-secret");
    for (request, needed) in protected() {
        let mut script = script(1);
        let read = token_for(&mut script, "reader", "reader-secret");
        let write = token_for(&mut script, "writer", "writer-secret");
        let admin = token_for(&mut script, "root", "root-secret");
        let before = script.exported();
        let check = |script: &mut Script, caller: Caller, expected: Option<Code>| {
            let (_, input) = script.request(caller, request.clone().into());
            let outputs = script.run(input);
            let answers = responses(&outputs);
            let called = !calls(&outputs).is_empty();
            let found = answers.first().map(|it| code(&ours(it.clone())));
            let refused = found.flatten().filter(|code| {
                matches!(
                    code,
                    Code::Unauthorized | Code::TokenExpired | Code::Forbidden
                )
            });
            assert_eq!(refused, expected, "{request:?}");
            assert!(expected.is_none() || !called, "{request:?}");
        };
        let nothing = Some(Code::Unauthorized);
        check(&mut script, operator(), nothing);
        for text in [
            "",
            "Bearer",
            "Bearer ",
            "Basic cm9vdDpyb290LXNlY3JldA==",
            "x",
        ] {
            let authorization = Some(Secret(text.into()));
            let caller = Caller {
                authorization,
                ..operator()
            };
            check(&mut script, caller, nothing);
        }
        check(&mut script, bearing("no-such-token"), nothing);
        check(&mut script, bearing("a.b.c"), nothing);
        check(&mut script, bearing(&foreign), nothing);
        let expected = |scopes: Scopes| (!scopes.allow(needed)).then_some(Code::Forbidden);
        let reading = expected(Scopes::PEERS_READ);
        let writing = expected(Scopes::PEERS_READ.union(Scopes::PEERS_WRITE));
        if reading.is_some() {
            check(&mut script, bearing(READ), reading);
            check(&mut script, bearing(&read), reading);
        }
        if writing.is_some() {
            check(&mut script, bearing(WRITE), writing);
            check(&mut script, bearing(&write), writing);
        }
        // Whoever was refused has changed nothing.
        assert_eq!(script.exported(), before, "{request:?}");
        let mut later = script.clone();
        later.advance(secs(LIFETIME_S));
        for token in [&read, &write, &admin] {
            check(&mut later, bearing(token), Some(Code::TokenExpired));
        }
        for token in [READ, WRITE, read.as_str(), write.as_str()] {
            let may = if [READ, read.as_str()].contains(&token) {
                reading
            } else {
                writing
            };
            check(&mut script.clone(), bearing(token), may);
        }
        for token in [ADMIN, admin.as_str()] {
            check(&mut script.clone(), bearing(token), None);
        }
    }
}

/// Takes a token apart, changes a part, and puts it together again.
fn tampered(token: &str, part: usize, change: impl Fn(&mut serde_json::Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let bytes = base64url::decode(&parts[part]).expect("base64url");
    let mut value = serde_json::from_slice(&bytes).expect("JSON");
    change(&mut value);
    parts[part] = base64url::encode(value.to_string().as_bytes());
    parts.join(".")
}

fn resigned(token: &str, key: [u8; 32]) -> String {
    let (text, _) = token.rsplit_once('.').expect("parts");
    let signature = SigningKey::from_bytes(&key).sign(text.as_bytes());
    format!("{text}.{}", base64url::encode(&signature.to_bytes()))
}

#[test]
fn hostile_tokens_are_refused() {
    let mut script = script(1);
    let token = token_for(&mut script, "reader", "reader-secret");
    let own = [1; 32];
    let now = crate::scripted::EPOCH;
    let parts: Vec<&str> = token.split('.').collect();
    let set = |name: &'static str, to: serde_json::Value| {
        move |value: &mut serde_json::Value| value[name] = to.clone()
    };
    let scope = "urn:tillered:arctic:admin";
    let hostile = [
        (
            "no algorithm",
            tampered(&token, 0, set("alg", "none".into())),
        ),
        (
            "no algorithm, no signature",
            format!("{}.{}.", base64url::encode(br#"{"alg":"none"}"#), parts[1]),
        ),
        (
            "no algorithm, signed",
            resigned(&tampered(&token, 0, set("alg", "none".into())), own),
        ),
        (
            "another algorithm",
            resigned(&tampered(&token, 0, set("alg", "HS256".into())), own),
        ),
        (
            "a key of its own",
            resigned(&tampered(&token, 0, set("kid", "peer_x".into())), own),
        ),
        (
            "critical extensions",
            resigned(
                &tampered(&token, 0, set("crit", serde_json::json!(["x"]))),
                own,
            ),
        ),
        (
            "altered scopes",
            tampered(&token, 1, set("scope", scope.into())),
        ),
        (
            "altered client",
            tampered(&token, 1, set("sub", "root".into())),
        ),
        (
            "longer life",
            tampered(&token, 1, set("exp", (now + 9_999).into())),
        ),
        ("another's signature", resigned(&token, [2; 32])),
        (
            "another issuer",
            resigned(&tampered(&token, 1, set("iss", "peer_x".into())), own),
        ),
        (
            "a client that is none",
            resigned(&tampered(&token, 1, set("sub", "ghost".into())), own),
        ),
        (
            "from the future",
            resigned(
                &tampered(&token, 1, |value| {
                    value["iat"] = (now + 61).into();
                    value["exp"] = (now + 3_000).into();
                }),
                own,
            ),
        ),
        (
            "for longer than an hour",
            resigned(&tampered(&token, 1, set("exp", (now + 3_601).into())), own),
        ),
        (
            "that ends before it begins",
            resigned(&tampered(&token, 1, set("exp", (now - 1).into())), own),
        ),
        ("padding", format!("{token}==")),
        (
            "padding in the header",
            resigned(&token.replacen('.', "==.", 1), own),
        ),
        ("four parts", format!("{token}.x")),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("half a signature", token[..token.len() - 20].to_owned()),
        ("no header", format!(".{}.{}", parts[1], parts[2])),
        ("very long", format!("{token}{}", "x".repeat(5_000))),
    ];
    for (what, hostile) in hostile {
        let answer = ask(&mut script, &hostile, Request::Peers(Ok(None)));
        assert_eq!(code(&answer), Some(Code::Unauthorized), "{what}");
    }
    let answer = ask(&mut script, &token, Request::Peers(Ok(None)));
    assert!(matches!(answer, Response::Peers(_)), "{answer:?}");
}

#[test]
fn tokens_end_by_the_nodes_clock_whatever_it_does() {
    let mut script = script(1);
    let token = token_for(&mut script, "reader", "reader-secret");
    let peers = || Request::Peers(Ok(None));
    let mut check = |secs: u64, expected: Option<Code>| {
        script.now.wall = WallTime::from_secs(secs);
        assert_eq!(code(&ask(&mut script, &token, peers())), expected, "{secs}");
    };
    let made = crate::scripted::EPOCH;
    check(made + 3_599, None);
    check(made + 3_600, Some(Code::TokenExpired));
    check(made, None);
    // Set back a little is forgiven, set back far is not.
    check(made - 60, None);
    check(made - 61, Some(Code::Unauthorized));
}

#[test]
fn token_form_answers_as_the_standard_says() {
    let mut script = script(1);
    let form = |grant, client: Option<&str>, secret: Option<&str>| TokenForm {
        grant,
        client: client.map(str::to_owned),
        secret: secret.map(|text| Secret(text.into())),
        scopes: None,
    };
    let mut check = |caller: Caller, form: TokenForm, expected: Option<(Code, &str)>| {
        let response = script.ask(caller, Request::Token(form).into());
        match (ours(response.expect("an answer")), expected) {
            (Response::Failed(failure), Some((code, text))) => {
                assert_eq!((failure.code, failure.text.as_ref()), (code, text));
            }
            (Response::Token { expires_in, .. }, None) => assert_eq!(expires_in, 3_600),
            (other, _) => panic!("{other:?}"),
        }
    };
    let good = || form(Grant::Client, Some("root"), Some("root-secret"));
    check(operator(), good(), None);
    let invalid = Some((Code::Unauthorized, "invalid_client"));
    let malformed = Some((Code::InvalidRequest, "invalid_request"));
    let wrong = form(Grant::Client, Some("root"), Some("wrong"));
    check(operator(), wrong, invalid);
    let ghost = form(Grant::Client, Some("ghost"), Some("root-secret"));
    check(operator(), ghost, invalid);
    check(
        operator(),
        form(Grant::Client, Some("root"), None),
        malformed,
    );
    check(operator(), form(Grant::Missing, None, None), malformed);
    let unsupported = Some((Code::InvalidRequest, "unsupported_grant_type"));
    check(operator(), form(Grant::Other, None, None), unsupported);
    let basic = |text: &str| Caller {
        authorization: Some(Secret(format!("basic {text}"))),
        ..operator()
    };
    // root:root-secret, root:wrong, no colon, no base64.
    let bare = || form(Grant::Client, None, None);
    check(basic("cm9vdDpyb290LXNlY3JldA=="), bare(), None);
    check(basic("cm9vdDp3cm9uZw=="), bare(), invalid);
    check(basic("cm9vdA=="), bare(), invalid);
    check(basic("?"), bare(), invalid);
    check(basic("cm9vdDpyb290LXNlY3JldA=="), good(), malformed);
    let mut less = good();
    less.scopes = Some(Ok(Scopes::PEERS_READ));
    check(operator(), less, None);
    let mut more = form(Grant::Client, Some("reader"), Some("reader-secret"));
    more.scopes = Some(Ok(Scopes::ADMIN));
    check(
        operator(),
        more,
        Some((Code::InvalidRequest, "invalid_scope")),
    );
}

#[test]
fn credentials_work_until_they_are_revoked_and_survive_a_restart() {
    let mut script = script(1);
    let scopes = Some(Scopes::PEERS_READ.union(Scopes::CREDENTIALS_WRITE));
    let made = match ask(&mut script, ADMIN, Request::MakeCredential(Ok(scopes))) {
        Response::CredentialMade(made) => *made,
        other => panic!("{other:?}"),
    };
    let token = token_for(&mut script, &made.client_id, &made.secret.0);
    script.advance(secs(2));
    let mut script = Script::restore(script.node.config().as_ref().clone(), script.durable());
    let answer = ask(&mut script, &token, Request::Peers(Ok(None)));
    assert!(matches!(answer, Response::Peers(_)), "{answer:?}");
    let Response::Credentials(listed) = ask(&mut script, ADMIN, Request::Credentials) else {
        panic!("no list");
    };
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].used_s, Some(crate::scripted::EPOCH));
    let more = Request::MakeCredential(Ok(Some(Scopes::ADMIN)));
    assert_eq!(code(&ask(&mut script, &token, more)), Some(Code::Forbidden));
    let delete = || Request::DeleteCredential(made.client_id.clone());
    let current = ask(&mut script, &token, delete());
    assert_eq!(code(&current), Some(Code::CannotRevokeCurrent));
    assert_eq!(ask(&mut script, ADMIN, delete()), Response::Deleted);
    let answer = ask(&mut script, &token, Request::Peers(Ok(None)));
    assert_eq!(code(&answer), Some(Code::Unauthorized));
    assert_eq!(
        code(&ask(&mut script, ADMIN, delete())),
        Some(Code::NotFound)
    );
}

#[test]
fn no_secret_is_in_anything_that_is_printed() {
    let mut script = script(1);
    let mut told = String::new();
    let mut secrets: Vec<String> = [ADMIN, "root-secret", "sixteen bytes"]
        .map(String::from)
        .into();
    let form = TokenForm {
        grant: Grant::Client,
        client: Some("root".into()),
        secret: Some(Secret("root-secret".into())),
        scopes: None,
    };
    let requests = [
        Request::Token(form),
        Request::MakeCredential(Ok(None)),
        Request::Rotate,
        Request::Credentials,
        Request::ClusterCredential,
        add(2),
    ];
    for request in requests {
        let (_, input) = script.request(bearing(ADMIN), request.into());
        told += &format!("{input:?}");
        let outputs = script.run(input);
        told += &format!("{outputs:?}");
        for response in responses(&outputs) {
            match ours(response) {
                Response::Token { token, .. } => secrets.push(token.0),
                Response::CredentialMade(made) => secrets.push(made.secret.0),
                Response::ClusterCredential(view) => {
                    secrets.extend(view.secret.map(|secret| secret.0));
                }
                _ => {}
            }
        }
        for output in &outputs {
            if let Output::Event(event) = output {
                told += &event.to_string();
            }
        }
    }
    told += &format!("{:?}{:?}", script.node.config(), script.node);
    // What is durable is not secret either: only digests are.
    for row in script.durable() {
        told += &String::from_utf8_lossy(&row.value().expect("a value"));
    }
    assert_eq!(secrets.len(), 6);
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret}");
    }
}

// --- Joining ---

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
fn hello_of(script: &mut Script, to: u8, identity: &Identity) -> (crate::CallId, Arc<Hello>) {
    let (_, input) = script.request(bearing(ADMIN), add(to).into());
    let (id, _, _) = calls(&script.run(input)).pop().expect("asks who is there");
    let identity = Response::Identity(Box::new(identity.clone()));
    let outputs = script.reply(id, identity, to);
    match calls(&outputs).pop() {
        Some((id, _, crate::Request::Cluster(Request::Handshake(hello)))) => (id, hello),
        other => panic!("no hello but {other:?}"),
    }
}

fn identity_of(script: &mut Script) -> Identity {
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

// --- Gossip ---

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
        room(world, node).members[&id].name == "first"
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
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    assert_eq!(code(&join(&mut world, 1, 0)), Some(Code::HandshakeFailed));
    let local = Request::Peers(Ok(Some(true)));
    assert!(matches!(at_once(&mut world, 0, local), Response::Peers(peers) if peers.len() == 1));
    check_disks(&world);
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

#[test]
fn gossip_of_strangers_and_forgers_changes_nothing() {
    let mut world = world(3);
    join(&mut world, 0, 1);
    let sent = |world: &World| -> Arc<Digest> {
        let found =
            world
                .log
                .iter()
                .rev()
                .find_map(|(from, to, request)| match (from, to, request) {
                    (0, 1, crate::Request::Cluster(Request::Gossip(digest))) => {
                        Some(digest.clone())
                    }
                    _ => None,
                });
        found.expect("a heartbeat")
    };
    assert!(world.until(secs(10), |world| {
        world
            .log
            .iter()
            .any(|(from, _, it)| *from == 0 && it.name() == "cluster_gossip")
    }));
    let good = sent(&world);
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
    let heartbeat = |world: &World| {
        world.log.iter().rev().find_map(|it| match it {
            (0, 1, crate::Request::Cluster(Request::Gossip(digest))) => Some(digest.clone()),
            _ => None,
        })
    };
    assert!(world.until(secs(10), |world| heartbeat(world).is_some()));
    let digest = heartbeat(&world).expect("a heartbeat");
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

// --- The rest ---

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

#[test]
fn expired_licence_allows_reading_only() {
    let mut script = {
        let mut config = config(1);
        tokens(&mut config);
        config.cluster.licence.expires_s = Some(crate::scripted::EPOCH);
        Script::new(config)
    };
    let own = Some(script.node.config().cluster.peer_id);
    let rename = Request::RenamePeer(own, Ok(None));
    for request in [add(2), rename, Request::DeleteSelf] {
        let answer = ask(&mut script, ADMIN, request);
        assert_eq!(code(&answer), Some(Code::LicenceExpired));
    }
    let peers = ask(&mut script, ADMIN, Request::Peers(Ok(None)));
    assert!(matches!(peers, Response::Peers(_)));
    // Nor does it take in who comes by itself.
    let mut world = World::new(2, |node, config| {
        tokens(config);
        config.cluster.licence.expires_s = (node == 1).then_some(crate::scripted::EPOCH);
    });
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    assert!((0..2).all(|node| room(&world, node).members.is_empty()));
}

#[test]
fn bootstrap_needs_a_licence_of_the_trusted_key() {
    let seller = SigningKey::from_bytes(&[77; 32]);
    let mut config = config(1);
    config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
    let mut script = Script::new(config);
    let mut licence = SignedLicence {
        customer_id: "cust_1".into(),
        licence_id: "lic_1".into(),
        issued_s: 1,
        expires_s: crate::scripted::EPOCH + 9_000,
        nodes_max: 3,
        services_max: 0,
        signature: [0; 64],
    };
    let hand_in = |script: &mut Script, licence: &SignedLicence| {
        let licence = licence.clone();
        let name = Some("first".to_owned());
        let request = Request::from(Bootstrap { licence, name });
        ours(script.ask(operator(), request.into()).expect("an answer"))
    };
    let refused = hand_in(&mut script, &licence);
    assert_eq!(code(&refused), Some(Code::LicenceInvalid));
    assert!(script.exported().is_empty());
    licence.signature = seller.sign(&licence.message()).to_bytes();
    let Response::Bootstrapped(made) = hand_in(&mut script, &licence) else {
        panic!("refused");
    };
    assert_eq!(made.licence.id, "lic_1");
    let token = token_for(&mut script, &made.client_id, &made.secret.0);
    assert!(matches!(
        ask(&mut script, &token, Request::Status),
        Response::Status(_)
    ));
    let again = hand_in(&mut script, &licence);
    assert_eq!(code(&again), Some(Code::AlreadyBootstrapped));
    script.advance(secs(2));
    assert_eq!(script.durable(), script.exported());
    // Without a key to check it with, nobody becomes administrator.
    let mut closed = Script::new(crate::scripted::config(1));
    let refused = hand_in(&mut closed, &licence);
    assert_eq!(code(&refused), Some(Code::AlreadyBootstrapped));
}

#[test]
fn licence_is_replaced_by_one_of_the_same_cluster() {
    let seller = SigningKey::from_bytes(&[77; 32]);
    let sold = |id: &str, customer: &str, change: &dyn Fn(&mut SignedLicence)| {
        let mut licence = SignedLicence {
            customer_id: customer.into(),
            licence_id: id.into(),
            issued_s: 1,
            expires_s: crate::scripted::EPOCH + 9_000,
            nodes_max: 7,
            services_max: 0,
            signature: [0; 64],
        };
        change(&mut licence);
        licence.signature = seller.sign(&licence.message()).to_bytes();
        Request::ReplaceLicence(Ok(Box::new(licence)))
    };
    let as_it_is = |_: &mut SignedLicence| {};
    let mut world = World::new(2, |_, config| {
        tokens(config);
        config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
    });
    let refused = |world: &mut World, request: Request, expected: Code| {
        let before = world.nodes[0].exported();
        let answer = at_once(world, 0, request);
        assert_eq!(code(&answer), Some(expected), "{answer:?}");
        assert_eq!(world.nodes[0].exported(), before);
    };
    // A node without peers takes any licence of the seller's, the first one too.
    for node in 0..2 {
        let answer = at_once(&mut world, node, sold("lic_1", "cust_1", &as_it_is));
        assert!(matches!(&answer, Response::Licence(it) if it.nodes_max == 7));
    }
    assert_eq!(join(&mut world, 0, 1).status(), 201);

    let expired = sold("lic_2", "cust_1", &|licence| {
        licence.expires_s = crate::scripted::EPOCH;
    });
    refused(&mut world, expired, Code::LicenceExpired);
    let other = sold("lic_1", "cust_2", &as_it_is);
    refused(&mut world, other, Code::LicenceMismatch);
    let mut forged = sold("lic_2", "cust_1", &as_it_is);
    if let Request::ReplaceLicence(Ok(licence)) = &mut forged {
        licence.nodes_max += 1;
    }
    refused(&mut world, forged, Code::LicenceInvalid);

    // A renewal has another name, and the customer's.
    let renewed = at_once(&mut world, 0, sold("lic_2", "cust_1", &as_it_is));
    assert!(matches!(&renewed, Response::Licence(it) if it.id == "lic_2"));
    assert!(all_know_all(&world));
    let again = at_once(&mut world, 0, Request::Licence);
    assert_eq!(again, renewed);
    world.until(secs(3), |_| false);
    check_disks(&world);

    // What an operator has configured is not overruled, and without a key nothing is believed.
    for given in [true, false] {
        let mut config = config(1);
        tokens(&mut config);
        if given {
            config.cluster.licence.id = "lic_given".into();
            config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
        }
        let mut script = Script::new(config);
        let answer = ask(&mut script, ADMIN, sold("lic_1", "cust_1", &as_it_is));
        assert_eq!(code(&answer), Some(Code::LicenceInvalid));
        assert!(script.exported().is_empty());
    }
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
fn who_has_left_can_come_back_with_a_new_bootstrap() {
    let seller = SigningKey::from_bytes(&[77; 32]);
    let mut world = World::new(2, |_, config| {
        tokens(config);
        config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
    });
    let mut licence = SignedLicence {
        customer_id: "cust_1".into(),
        licence_id: "lic_1".into(),
        issued_s: 1,
        expires_s: crate::scripted::EPOCH + 9_000,
        nodes_max: 3,
        services_max: 0,
        signature: [0; 64],
    };
    licence.signature = seller.sign(&licence.message()).to_bytes();
    let hand_in = || {
        let licence = licence.clone();
        Request::from(Bootstrap {
            licence,
            name: None,
        })
    };
    for node in 0..2 {
        let answer = at_once(&mut world, node, hand_in());
        assert!(matches!(answer, Response::Bootstrapped(_)), "{answer:?}");
    }
    assert_eq!(join(&mut world, 0, 1).status(), 201);
    let early = at_once(&mut world, 0, hand_in());
    assert_eq!(code(&early), Some(Code::AlreadyBootstrapped));
    at_once(&mut world, 0, Request::DeleteSelf);
    world.until(secs(1), |_| false);
    assert!(!knows(&world, 1, 0));
    let answer = at_once(&mut world, 0, hand_in());
    assert!(matches!(answer, Response::Bootstrapped(_)), "{answer:?}");
    assert_eq!(join(&mut world, 0, 1).status(), 201);
    assert!(all_know_all(&world));
    world.until(secs(3), |_| false);
    check_disks(&world);
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
