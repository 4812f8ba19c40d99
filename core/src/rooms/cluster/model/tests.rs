//! The model objects to what must not be, and to nothing else.

use std::sync::Arc;

use ed25519_dalek::SigningKey;

use super::Model;
use crate::commons::address::HostAddr;
use crate::commons::network::ChainwebVersion;
use crate::config::cluster::{FixedToken, Licence, Scopes};
use crate::config::{Config, Identity};
use crate::ids::{Fingerprint, PeerId, PublicKey};
use crate::input::{CallId, Caller, Listener, RequestId, Secret, VerifyId};
use crate::limits::DELETIONS_MAX;
use crate::rooms::cluster::failure::{FORBIDDEN, Failure, LAPSED, NO_PEER, UNAUTHORIZED};
use crate::rooms::cluster::handshake::{Hello, VERSION, Why};
use crate::rooms::cluster::kept::{Member, Own, Row, Tombstone};
use crate::rooms::cluster::reasons::LEFT;
use crate::rooms::cluster::record::Record;
use crate::rooms::cluster::types::{Founding, Malformed, PeerView, Request, Response};
use crate::secret::SecretDigest;
use crate::slots::Slots;
use crate::time::{Instant, Now, WallTime};
use crate::verify::{Verdict, VerifyJob};

fn at(seconds: u64) -> Now {
    Now {
        mono: Instant::from_micros(seconds * 1_000_000),
        wall: WallTime::from_micros(seconds * 1_000_000),
    }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

fn peer(number: u8) -> PeerId {
    PeerId::from_parts(1_700_000_000_000, number.into())
}

fn addr(number: u8) -> HostAddr {
    format!("1.2.3.{number}:1789").parse().expect("an address")
}

/// What a node says of itself.
fn record(number: u8, version: u64) -> Record {
    let mut record = Record {
        peer_id: peer(number),
        version,
        address: addr(number).to_string(),
        public_key: public(number),
        name: String::new(),
        deactivated_at: None,
        signature: [0; 64],
    };
    record.sign(&key(number));
    record
}

fn member(number: u8, hello: u64) -> Member {
    Member {
        record: record(number, 1),
        remark: String::new(),
        address: addr(number).to_string(),
        created_s: 10,
        hello,
    }
}

fn model(nodes_max: u32) -> Model {
    let identity = Identity {
        fingerprint: Fingerprint([0; 32]),
        public_key: public(0),
        secret: [0; 32],
    };
    let mut config = Config::new(ChainwebVersion::Development, identity, addr(1));
    config.cluster.peer_id = peer(0);
    config.cluster.licence = Licence {
        nodes_max,
        ..Licence::default()
    };
    config.cluster.tokens = [("admin", Scopes::ADMIN), ("reader", Scopes::PEERS_READ)]
        .map(|(token, scopes)| FixedToken {
            digest: SecretDigest::of(token),
            scopes,
        })
        .into();
    Model::new(&config, core::iter::empty())
}

fn ask(model: &mut Model, id: u64, token: Option<&str>, request: &Request) {
    let from = Caller {
        addr: "127.0.0.1:9".parse().expect("an address"),
        listener: Listener::Api,
        authorization: token.map(|token| Secret(format!("Bearer {token}"))),
        cert: None,
    };
    model.begin();
    model.asked(at(20), RequestId(id), &from, request, &|_, _| false);
}

fn answer(model: &mut Model, id: u64, response: &Response) -> Result<(), String> {
    model.answered(at(20), RequestId(id), response, &|_, _| false, true)
}

fn write(model: &mut Model, row: Row) -> Result<(), String> {
    model.written(at(20), [row].iter())
}

fn joins(number: u8, hello: u64) -> Row {
    Row::Member(peer(number), Some(Box::new(member(number, hello))))
}

fn deletion(number: u8, hello: u64) -> Row {
    let gone = Tombstone {
        record: record(number, 1),
        deleted: true,
        hello,
        since_s: 20,
    };
    Row::Tombstone(peer(number), Some(Box::new(gone)))
}

fn hello(number: u8, count: u64, why: Why) -> Hello {
    let mut hello = Hello {
        version: VERSION,
        to: peer(0),
        challenge: [1; 32],
        number: count,
        why,
        licence_id: Licence::default().id,
        customer_id: None,
        cluster_id: peer(number).own_cluster(),
        record: record(number, 1),
        mac: None,
        signature: [0; 64],
    };
    hello.sign(&key(number), None);
    hello
}

/// A node shakes hands, as `id`; its signatures are found to be `good`.
fn greet(model: &mut Model, id: u64, hello: &Hello, good: bool) {
    ask(
        model,
        id,
        None,
        &Request::Handshake(Arc::new(hello.clone())),
    );
    let mut slots = Slots::default();
    let check = VerifyId(slots.insert(()));
    let signed = [hello.record.signature, hello.signature].map(|signature| {
        let mut signed = hello.record.signed_by(hello.record.public_key);
        signed.signature = signature;
        signed
    });
    model.checks(check, &VerifyJob::Signatures(signed.into()));
    model.begin();
    model.checked(check, &Verdict::Signatures(vec![good; 2]));
}

/// The same model once a peer has joined.
fn with_peer(number: u8) -> Model {
    let mut model = model(64);
    greet(&mut model, 1, &hello(number, 5, Why::Add), true);
    write(&mut model, joins(number, 5)).expect("it shook hands");
    model.begin();
    model
}

fn view(number: u8) -> PeerView {
    PeerView {
        id: peer(number),
        name: String::new(),
        public_key: public(number),
        is_local: number == 0,
        address: addr(number.max(1)),
        created_s: 10,
    }
}

/// What a node of the cluster of `peer(1)` keeps of itself.
fn own() -> Own {
    Own {
        version: 1,
        address: addr(1).to_string(),
        name: String::new(),
        left_s: None,
        cluster_id: peer(1).own_cluster(),
        hello: 0,
        licence: None,
    }
}

/// The same once it has left.
fn departed() -> Row {
    Row::Own(Some(Own {
        version: 2,
        left_s: Some(19),
        ..own()
    }))
}

/// The same once it has come back.
fn returned() -> Own {
    Own {
        version: 3,
        cluster_id: peer(0).own_cluster(),
        ..own()
    }
}

const fn failed(failure: Failure) -> Response {
    Response::Failed(failure)
}

#[test]
fn who_shows_no_good_token_is_told_so() {
    let mut model = model(64);
    let list = Request::Peers(Ok(None));
    for token in [None, Some("guess"), Some("a.b.c")] {
        ask(&mut model, 1, token, &list);
        assert_eq!(answer(&mut model, 1, &failed(UNAUTHORIZED)), Ok(()));
        ask(&mut model, 1, token, &list);
        answer(&mut model, 1, &Response::Peers(vec![view(0)])).expect_err("nobody knows who");
    }
    ask(&mut model, 1, Some("reader"), &list);
    answer(&mut model, 1, &failed(UNAUTHORIZED)).expect_err("it may");
    ask(&mut model, 1, Some("reader"), &Request::DeleteSelf);
    assert_eq!(answer(&mut model, 1, &failed(FORBIDDEN)), Ok(()));
    ask(&mut model, 1, Some("reader"), &Request::Sync);
    answer(&mut model, 1, &Response::Triggered).expect_err("it may not");
}

#[test]
fn nobody_joins_without_a_handshake_that_is_theirs() {
    let mut alone = model(64);
    alone.begin();
    write(&mut alone, joins(3, 5)).expect_err("nobody shook hands");
    let mut forged = model(64);
    greet(&mut forged, 1, &hello(3, 5, Why::Add), false);
    write(&mut forged, joins(3, 5)).expect_err("the signatures are bad");
    let mut other = model(64);
    greet(&mut other, 1, &hello(4, 5, Why::Add), true);
    write(&mut other, joins(3, 5)).expect_err("somebody else shook hands");
    with_peer(3);
}

#[test]
fn a_licence_allows_so_many_nodes() {
    let mut model = model(2);
    greet(&mut model, 1, &hello(3, 5, Why::Add), true);
    write(&mut model, joins(3, 5)).expect("there is room");
    greet(&mut model, 2, &hello(4, 5, Why::Add), true);
    write(&mut model, joins(4, 5)).expect_err("there is none");
}

#[test]
fn who_was_deleted_comes_back_only_if_it_is_added() {
    for (why, number, good) in [
        (Why::Discovery, 6, false),
        (Why::Add, 5, false),
        (Why::Add, 6, true),
    ] {
        let mut model = with_peer(3);
        ask(
            &mut model,
            2,
            Some("admin"),
            &Request::DeletePeer(Some(peer(3))),
        );
        let rows = [Row::Member(peer(3), None), deletion(3, 5)];
        assert_eq!(model.written(at(20), rows.iter()), Ok(()));
        assert_eq!(answer(&mut model, 2, &Response::Deleted), Ok(()));
        greet(&mut model, 3, &hello(3, number, why), true);
        let rows = [joins(3, number), Row::Tombstone(peer(3), None)];
        let result = model.written(at(20), rows.iter());
        assert_eq!(result.is_ok(), good, "{why:?} {number}: {result:?}");
    }
}

#[test]
fn who_was_deleted_is_not_looked_for() {
    let mut model = with_peer(3);
    model.keep(&Row::Own(Some(Own { hello: 7, ..own() })));
    model.keep(&deletion(3, 5));
    let mut calls = Slots::default();
    let mut shake = |model: &mut Model, number, why| {
        let mut hello = hello(0, number, why);
        hello.to = peer(3);
        let request = Request::Handshake(Arc::new(hello));
        model.called(CallId(calls.insert(())), &addr(3), &request)
    };
    shake(&mut model, 7, Why::Discovery).expect("it was begun before and waited for the disk");
    shake(&mut model, 8, Why::Discovery).expect_err("it was begun later");
}

#[test]
fn nobody_is_deleted_unless_somebody_who_may_asks_for_it() {
    let rows = [Row::Member(peer(3), None), deletion(3, 5)];
    let mut model = with_peer(3);
    model
        .written(at(20), rows.iter())
        .expect_err("nobody asked");
    let mut model = with_peer(3);
    ask(
        &mut model,
        2,
        Some("reader"),
        &Request::DeletePeer(Some(peer(3))),
    );
    model.written(at(20), rows.iter()).expect_err("it may not");
}

#[test]
fn nobody_is_forgotten_without_a_trace() {
    let row = || Row::Member(peer(3), None);
    let mut model = with_peer(3);
    model.proven.insert([1; 64]);
    write(&mut model, row()).expect_err("another's words prove nothing");
    let mut model = with_peer(3);
    let delete = Request::DeletePeer(Some(peer(3)));
    ask(&mut model, 2, Some("admin"), &delete);
    write(&mut model, row()).expect_err("the deletion is not remembered");
}

#[test]
fn a_deletion_is_remembered_while_there_is_room() {
    let clear = Row::Tombstone(peer(3), None);
    let mut model = with_peer(4);
    model.keep(&deletion(3, 5));
    write(&mut model, clear.clone()).expect_err("it does not come back");
    // As many as there is room for, but for two.
    let fill = |model: &mut Model, count: usize| {
        let Row::Tombstone(_, gone) = deletion(5, 5) else {
            unreachable!("a deletion is one");
        };
        for number in 0..count {
            let id = PeerId::from_parts(1, number as u128);
            model.keep(&Row::Tombstone(id, gone.clone()));
        }
    };
    for (count, good) in [(DELETIONS_MAX - 2, false), (DELETIONS_MAX - 1, true)] {
        let mut model = with_peer(4);
        model.keep(&deletion(3, 5));
        fill(&mut model, count);
        let delete = Request::DeletePeer(Some(peer(4)));
        ask(&mut model, 2, Some("admin"), &delete);
        let rows = [clear.clone(), Row::Member(peer(4), None), deletion(4, 5)];
        let result = model.written(at(20), rows.iter());
        assert_eq!(result.is_ok(), good, "{count}: {result:?}");
    }
}

#[test]
fn nobody_joins_who_has_left() {
    let mut model = model(64);
    model.keep(&departed());
    greet(&mut model, 1, &hello(3, 5, Why::Add), true);
    write(&mut model, joins(3, 5)).expect_err("the node has left");
}

#[test]
fn lists_and_single_peers_are_those_that_were_written() {
    let mut model = with_peer(3);
    let list = Request::Peers(Ok(None));
    let mut tells = |peers: Vec<PeerView>| {
        ask(&mut model, 2, Some("admin"), &list);
        answer(&mut model, 2, &Response::Peers(peers))
    };
    assert_eq!(tells(vec![view(0), view(3)]), Ok(()));
    tells(vec![view(0)]).expect_err("one is missing");
    tells(vec![view(3)]).expect_err("the local one is missing");
    tells(vec![view(0), view(3), view(4)]).expect_err("one does not exist");
    let renamed = PeerView {
        name: "x".to_owned(),
        ..view(3)
    };
    tells(vec![view(0), renamed]).expect_err("nobody named it so");
    ask(&mut model, 2, Some("admin"), &Request::Peer(Some(peer(3))));
    answer(&mut model, 2, &failed(NO_PEER)).expect_err("it is there");
    ask(&mut model, 2, Some("admin"), &Request::Peer(Some(peer(4))));
    assert_eq!(answer(&mut model, 2, &failed(NO_PEER)), Ok(()));
}

#[test]
fn what_a_peer_says_counts_if_it_is_later_and_its_own() {
    let update = |version, proven: bool| {
        let mut model = with_peer(3);
        let mut member = member(3, 5);
        member.record = record(3, version);
        if proven {
            model.proven.insert(member.record.signature);
        }
        write(&mut model, Row::Member(peer(3), Some(Box::new(member))))
    };
    assert_eq!(update(2, true), Ok(()));
    update(2, false).expect_err("nobody signed that");
    update(0, true).expect_err("that was before");
}

#[test]
fn a_node_says_something_else_of_itself_only_under_another_number() {
    let own = |version, name: &str| Own {
        version,
        name: name.to_owned(),
        ..own()
    };
    let become_one = |version, asked: bool| {
        let mut model = model(64);
        model.keep(&Row::Own(Some(own(1, ""))));
        if asked {
            let name = Ok(Some("x".to_owned()));
            let rename = Request::RenamePeer(Some(peer(0)), name);
            ask(&mut model, 1, Some("admin"), &rename);
        }
        write(&mut model, Row::Own(Some(own(version, "x"))))
    };
    assert_eq!(become_one(2, true), Ok(()));
    become_one(2, false).expect_err("nobody asked for it");
    become_one(1, true).expect_err("others would not take it for new");
}

#[test]
fn who_has_left_comes_back_only_if_somebody_who_may_forces_it() {
    let returns = |token: &str, request: &Request, own: Own| {
        let mut model = with_peer(3);
        model.keep(&departed());
        ask(&mut model, 2, Some(token), request);
        let rows = [Row::Member(peer(3), None), Row::Own(Some(own))];
        model.written(at(20), rows.iter())
    };
    let force = Request::Init(Ok(true));
    assert_eq!(returns("admin", &force, returned()), Ok(()));
    returns("reader", &force, returned()).expect_err("it may not");
    returns("admin", &Request::Init(Ok(false)), returned()).expect_err("it is not forced");
    returns("admin", &Request::Sync, returned()).expect_err("nobody asked for it");
    let back = Own {
        cluster_id: own().cluster_id,
        ..returned()
    };
    returns("admin", &force, back).expect_err("that is the cluster that it left");
    // Who is in a cluster keeps its peers, whatever is forced.
    let mut model = with_peer(3);
    model.keep(&Row::Own(Some(own())));
    ask(&mut model, 2, Some("admin"), &force);
    write(&mut model, Row::Member(peer(3), None)).expect_err("it never left");
}

fn founding(cluster: u8, oldest: u8, was_created: bool) -> Response {
    Response::Founding(Box::new(Founding {
        cluster_id: peer(cluster).own_cluster(),
        created_by: peer(cluster),
        oldest_peer_id: peer(oldest),
        was_created,
    }))
}

#[test]
fn how_the_cluster_began_is_told_as_it_was_written() {
    let tells = |row: &Row, request: Result<bool, Malformed>, response: &Response| {
        let mut model = with_peer(3);
        model.keep(row);
        model.begin();
        ask(&mut model, 2, Some("admin"), &Request::Init(request));
        answer(&mut model, 2, response)
    };
    let active = Row::Own(Some(Own {
        cluster_id: peer(1).own_cluster(),
        ..own()
    }));
    for force in [false, true] {
        assert_eq!(tells(&active, Ok(force), &founding(1, 0, false)), Ok(()));
        tells(&active, Ok(force), &founding(2, 0, false)).expect_err("it is another cluster");
        tells(&active, Ok(force), &founding(1, 3, false)).expect_err("the node itself is older");
        tells(&active, Ok(force), &founding(0, 0, true)).expect_err("nothing was written");
        tells(&active, Ok(force), &failed(LEFT)).expect_err("it has not left");
        tells(&active, Ok(force), &failed(LAPSED)).expect_err("nothing needs a licence");
    }
    let left = departed();
    assert_eq!(tells(&left, Ok(false), &failed(LEFT)), Ok(()));
    assert_eq!(tells(&left, Ok(true), &failed(LAPSED)), Ok(()));
    tells(&left, Ok(true), &failed(LEFT)).expect_err("it is forced");
    tells(&left, Ok(false), &failed(LAPSED)).expect_err("it is not even forced");
    tells(&left, Ok(false), &founding(1, 0, false)).expect_err("it has left");
    tells(&left, Err(Malformed::Force), &failed(LEFT)).expect_err("it is malformed");
    let wrong = failed(Malformed::Force.into());
    assert_eq!(tells(&left, Err(Malformed::Force), &wrong), Ok(()));

    let comes_back = |response: &Response| {
        let mut model = with_peer(3);
        model.keep(&departed());
        model.begin();
        ask(&mut model, 2, Some("admin"), &Request::Init(Ok(true)));
        let rows = [Row::Member(peer(3), None), Row::Own(Some(returned()))];
        model.written(at(20), rows.iter()).expect("it is forced");
        answer(&mut model, 2, response)
    };
    assert_eq!(comes_back(&founding(0, 0, true)), Ok(()));
    comes_back(&founding(1, 0, true)).expect_err("that is the cluster that it left");
}

#[test]
fn the_oldest_peer_is_one_that_is_here() {
    let local = 5;
    let tells = |oldest: u8| {
        let mut model = model(64);
        model.settings.peer_id = peer(local);
        let mut hello = hello(3, 5, Why::Add);
        hello.to = peer(local);
        hello.sign(&key(3), None);
        greet(&mut model, 1, &hello, true);
        write(&mut model, joins(3, 5)).expect("it shook hands");
        model.begin();
        ask(&mut model, 2, Some("admin"), &Request::Init(Ok(false)));
        answer(&mut model, 2, &founding(local, oldest, false))
    };
    assert_eq!(tells(3), Ok(()));
    tells(local).expect_err("another is older");
    tells(2).expect_err("that one is not here");
}
