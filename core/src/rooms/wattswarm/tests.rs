//! The room with a scripted world around it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one answer that it expects"
)]

mod between;
mod duo;
mod faults;
mod hostile;
mod ledger;
mod storm;
mod table;

use std::sync::Arc;

use super::records::{
    Action, Actor, DeliveryState, Json, Message, NodeId, PeerRecord, Relationship, Source, State,
    Thread,
};
use super::{Act, Draft, Introduction, Material, Refusal, Request, Response, Sent};
use crate::commons::address::PeerInfo;
use crate::commons::network::NetworkId;
use crate::config::{Config, WattswarmMode};
use crate::input::{CallId, Input};
use crate::limits::AGENT_JSON_DEPTH_MAX;
use crate::output::Output;
use crate::rooms;
use crate::scripted::*;
use crate::time::{Duration, WallTime};

/// The settings of the `n`-th node, without a network.
fn alone(n: u8) -> Config {
    let mut config = config(n);
    config.wattswarm.mode = WattswarmMode::Local;
    config
}

fn started(config: Config) -> Script {
    let mut script = Script::new(config);
    script.run(Input::Tick);
    script
}

/// The id of the `n`-th node.
fn node(n: u8) -> NodeId {
    cert(n).key.expect("scripted nodes have keys").into()
}

fn envelope(text: &str) -> Sent {
    let raw: &serde_json::value::RawValue = serde_json::from_str(text).expect("JSON");
    super::http::sent(raw)
}

fn plain_envelope() -> Sent {
    envelope(r#"{"protocol":"google_a2a","message":{"text":"hello"}}"#)
}

fn about(request_id: &str) -> Sent {
    envelope(&format!(
        r#"{{"protocol":"google_a2a","message":{{"request_id":"{request_id}"}}}}"#
    ))
}

fn act(remote: &str, action: Action, by: Actor) -> Request {
    Request::Act(Act {
        remote: remote.into(),
        action,
        by,
        envelope: None,
    })
}

fn act_with(remote: &NodeId, action: Action, envelope: Sent) -> Request {
    Request::Act(Act {
        remote: remote.as_str().into(),
        action,
        by: Actor::Local,
        envelope: Some(envelope),
    })
}

fn write(remote: &NodeId, content: &str) -> Request {
    Request::Send(Draft {
        remote: remote.as_str().into(),
        content: Json(content.into()),
        envelope: Some(plain_envelope()),
    })
}

/// An operator asks.
fn ask(script: &mut Script, request: Request) -> Response {
    match script.ask(operator(), request.into()) {
        Some(rooms::Response::Wattswarm(response)) => response,
        other => panic!("no answer but {other:?}"),
    }
}

fn refusal(response: &Response) -> &str {
    match response {
        Response::Refused(Refusal::Invalid(text)) => text,
        other => panic!("no refusal but {other:?}"),
    }
}

fn relationships(script: &mut Script) -> Vec<Relationship> {
    match ask(script, Request::Relationships) {
        Response::Relationships(all) => {
            let records = all.iter().flat_map(|of| of.records.iter().cloned());
            records.collect()
        }
        other => panic!("no relationships but {other:?}"),
    }
}

/// How the only relationship of a node stands.
fn stands(script: &mut Script) -> (State, Action, Actor) {
    match &relationships(script)[..] {
        [only] => (only.relationship_state, only.last_action, only.initiated_by),
        other => panic!("not one relationship but {other:?}"),
    }
}

fn threads(script: &mut Script) -> Vec<Arc<Thread>> {
    match ask(script, Request::Threads) {
        Response::Threads(threads) => threads.iter().cloned().collect(),
        other => panic!("no threads but {other:?}"),
    }
}

/// The messages of a node's conversation with another.
fn messages(script: &mut Script, own: &str, remote: &str) -> Vec<Arc<Message>> {
    let thread = super::ids::thread_id(own, remote).into();
    match ask(script, Request::Messages { thread }) {
        Response::Messages { messages, .. } => messages.iter().cloned().collect(),
        other => panic!("no messages but {other:?}"),
    }
}

fn peers(script: &mut Script) -> Vec<PeerRecord> {
    match ask(script, Request::List) {
        Response::List(list) => list.records(),
        other => panic!("no list but {other:?}"),
    }
}

/// What two scripted nodes tell of each other, passed on by their operators.
fn introduce(to: &mut Script, of: &mut Script, n: u8) {
    let material = match ask(of, Request::OwnContact) {
        Response::OwnContact(material) => Material::clone(&material),
        other => panic!("no contact material but {other:?}"),
    };
    let remote = node(n).as_str().into();
    let answer = ask(to, Request::Contact(Introduction { remote, material }));
    assert_eq!(answer, Response::ContactSaved(node(n)));
}

/// The node's promises must be what the disk holds.
fn check_disk(script: &Script) {
    use crate::rows::Record as _;
    let promised = |rows: Vec<rooms::Row>| -> Vec<rooms::Row> {
        rows.into_iter().filter(|row| !row.lazy()).collect()
    };
    assert_eq!(promised(script.exported()), promised(script.durable()));
}

fn calls_of(outputs: &[Output]) -> Vec<CallId> {
    calls(outputs).into_iter().map(|(id, _, _)| id).collect()
}

#[test]
fn an_action_without_a_network_is_done_at_once() {
    let mut script = started(alone(1));
    let response = ask(&mut script, act(" bob ", Action::Request, Actor::Local));
    let Response::Acted(record) = response else {
        panic!("not done: {response:?}");
    };
    assert_eq!(record.remote_node_id.as_str(), "bob");
    assert_eq!(record.requested_at, Some(record.updated_at));
    let response = ask(&mut script, act("bob", Action::Cancel, Actor::Remote));
    let Response::Acted(record) = response else {
        panic!("not done: {response:?}");
    };
    assert_eq!(record.relationship_state, State::None);
    assert_eq!(record.initiated_by, Actor::Remote);
    check_disk(&script);
}

#[test]
fn ids_are_any_text_but_blank_long_or_our_own() {
    let mut script = started(alone(1));
    for (id, text) in [
        (" \t", "remote_node_id is required"),
        (&*"x".repeat(257), "remote_node_id is longer than 256 bytes"),
        (node(1).as_str(), "remote_node_id is this node's own id"),
    ] {
        let response = ask(&mut script, act(id, Action::Request, Actor::Local));
        assert_eq!(refusal(&response), text);
    }
    assert!(relationships(&mut script).is_empty());
}

#[test]
fn relationships_are_listed_by_the_bytes_of_their_ids() {
    let mut script = started(alone(1));
    for id in ["n9", "N", "n10", "n", "é"] {
        ask(&mut script, act(id, Action::Block, Actor::Local));
    }
    let ids: Vec<String> = relationships(&mut script)
        .iter()
        .map(|record| record.remote_node_id.to_string())
        .collect();
    assert_eq!(ids, ["N", "n", "n10", "n9", "é"]);
}

#[test]
fn messages_need_an_accepted_relationship_and_are_checked_in_order() {
    let mut script = started(alone(1));
    let draft = |remote: &str, sent: Option<Sent>| {
        Request::Send(Draft {
            remote: remote.into(),
            content: Json("1".into()),
            envelope: sent,
        })
    };
    let blank_protocol = || Some(envelope(r#"{"protocol":" "}"#));
    for (request, text) in [
        (
            draft(" ", None),
            "agent_envelope is required for private group direct messages",
        ),
        (draft(" ", blank_protocol()), "remote_node_id is required"),
        (
            draft("bob", blank_protocol()),
            "agent envelope protocol is required",
        ),
        (
            draft("bob", Some(plain_envelope())),
            "cannot send a direct message to remote_node_id=bob: the relationship is not accepted, state=none",
        ),
    ] {
        assert_eq!(refusal(&ask(&mut script, request)), text);
    }
    ask(&mut script, act("bob", Action::Request, Actor::Local));
    ask(&mut script, act("bob", Action::Accept, Actor::Remote));
    let own = node(1);
    assert_eq!(messages(&mut script, own.as_str(), "bob").len(), 2);
    let big = format!("\"{}\"", "x".repeat(100_000));
    let bob = NodeId::new("bob").expect("an id");
    let response = ask(&mut script, write(&bob, &big));
    assert_eq!(refusal(&response), "invalid event: event bytes > 128KB");
    let fits = format!("\"{}\"", "x".repeat(90_000));
    assert!(matches!(
        ask(&mut script, write(&bob, &fits)),
        Response::Sent(_)
    ));
    let kept = messages(&mut script, own.as_str(), "bob");
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[2].delivery_state, DeliveryState::Pending);
    check_disk(&script);
}

/// Goal: however deep the JSON of others nests, clients can read what it is shown in.
#[test]
fn what_is_shown_can_be_read_by_clients() {
    let mut script = started(config(1));
    ask(&mut script, Request::Status);
    let (_, input) = script.request(operator(), put_peer(NetworkId::Cut, info(2)));
    let probe = calls_of(&script.run(input))[0];
    script.reply(probe, rooms::Response::Opaque(200), 2);
    let deepest = AGENT_JSON_DEPTH_MAX as usize;
    for (levels, shown) in [(deepest, true), (deepest + 1, false), (127, false)] {
        let inner = format!("{}1{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let answer = ask(
            &mut script,
            Request::Contact(Introduction {
                remote: node(2).as_str().into(),
                material: material(&format!(r#"{{"a":{inner}}}"#), 1),
            }),
        );
        assert_eq!(answer, Response::ContactSaved(node(2)));
        let metadata = peers(&mut script)[0].metadata.clone().expect("is known");
        assert_eq!(metadata.contact_material.is_some(), shown, "{levels}");
        let list = ask(&mut script, Request::List);
        let body = rooms::Response::from(list).encode().body;
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }
}

fn material(json: &str, generated_at: i64) -> Material {
    Material::new(json.into(), None, generated_at)
}

#[test]
fn our_messages_are_in_order_even_if_the_clock_jumps_back() {
    let mut script = started(alone(1));
    ask(&mut script, act("bob", Action::Request, Actor::Local));
    ask(&mut script, act("bob", Action::Accept, Actor::Remote));
    let bob = NodeId::new("bob").expect("an id");
    for number in 0..5_u64 {
        script.now.wall = WallTime::from_secs(EPOCH - 100 * number);
        ask(&mut script, write(&bob, &number.to_string()));
    }
    let kept = messages(&mut script, node(1).as_str(), "bob");
    let mine: Vec<&str> = kept
        .iter()
        .map(|message| &*message.content.0)
        .filter(|content| content.len() == 1)
        .collect();
    assert_eq!(mine, ["0", "1", "2", "3", "4"]);
}

#[test]
fn the_latest_conversation_is_listed_first() {
    let mut script = started(alone(1));
    for id in ["a", "b", "c"] {
        script.advance(Duration::from_secs(1));
        ask(&mut script, act(id, Action::Request, Actor::Local));
        ask(&mut script, act(id, Action::Accept, Actor::Remote));
    }
    script.advance(Duration::from_secs(1));
    ask(&mut script, write(&NodeId::new("b").expect("an id"), "1"));
    let ids: Vec<String> = threads(&mut script)
        .iter()
        .map(|thread| thread.remote_node_id.to_string())
        .collect();
    assert_eq!(ids, ["b", "c", "a"]);
    let thread = threads(&mut script).remove(0);
    assert!(thread.relationship_established_at.is_some());
    assert!(thread.created_at < thread.updated_at);
}

#[test]
fn everything_is_as_it_was_after_a_restart() {
    let mut script = started(alone(1));
    for id in ["a", "b", "c"] {
        ask(&mut script, act(id, Action::Request, Actor::Local));
        ask(&mut script, act(id, Action::Accept, Actor::Remote));
        let id = NodeId::new(id).expect("an id");
        ask(&mut script, write(&id, r#"{"b":1.0,"a":[null, "\u0041"]}"#));
    }
    ask(&mut script, act("c", Action::Block, Actor::Local));
    ask(&mut script, Request::Run(true));
    let rest = Duration::from_secs(2);
    script.advance(rest);
    let mut again = Script::restore(alone(1), script.durable());
    again.run(Input::Tick);
    assert_eq!(again.exported(), script.exported());
    for request in [
        Request::Relationships,
        Request::Threads,
        Request::Status,
        Request::Head,
    ] {
        let before = ask(&mut script, request.clone());
        assert_eq!(ask(&mut again, request), before);
    }
    let kept = messages(&mut again, node(1).as_str(), "a");
    assert_eq!(kept, messages(&mut script, node(1).as_str(), "a"));
    assert_eq!(&*kept[2].content.0, r#"{"b":1.0,"a":[null, "\u0041"]}"#);
}

#[test]
fn full_tables_refuse() {
    let mut config = alone(1);
    config.limits.relationships_max = 2;
    config.limits.messages_per_thread_max = 3;
    let mut script = started(config);
    for id in ["a", "b"] {
        ask(&mut script, act(id, Action::Request, Actor::Local));
    }
    let response = ask(&mut script, act("c", Action::Request, Actor::Local));
    assert_eq!(refusal(&response), "no room for more relationships");
    ask(&mut script, act("a", Action::Accept, Actor::Local));
    let a = NodeId::new("a").expect("an id");
    assert!(matches!(
        ask(&mut script, write(&a, "1")),
        Response::Sent(_)
    ));
    let response = ask(&mut script, write(&a, "2"));
    assert_eq!(refusal(&response), "no room for more direct messages");
    check_disk(&script);
}

#[test]
fn one_conversation_leaves_room_for_others() {
    let mut config = alone(1);
    config.limits.message_bytes_per_thread_max = 4_000;
    let mut script = started(config);
    for id in ["a", "b"] {
        ask(&mut script, act(id, Action::Request, Actor::Local));
        ask(&mut script, act(id, Action::Accept, Actor::Remote));
    }
    let (a, b) = (NodeId::new("a"), NodeId::new("b"));
    let (a, b) = (a.expect("an id"), b.expect("an id"));
    let long = format!("\"{}\"", "x".repeat(1_000));
    let first = ask(&mut script, write(&a, &long));
    assert!(matches!(first, Response::Sent(_)), "{first:?}");
    let second = ask(&mut script, write(&a, &long));
    assert_eq!(refusal(&second), "no room for more direct messages");
    let other = ask(&mut script, write(&b, &long));
    assert!(matches!(other, Response::Sent(_)), "{other:?}");
    check_disk(&script);
}

#[test]
fn contact_material_is_bounded() {
    let mut script = started(config(1));
    let mut save = |remote: &NodeId, material: Material| {
        let remote = remote.as_str().into();
        ask(
            &mut script,
            Request::Contact(Introduction { remote, material }),
        )
    };
    let text = "contact material exceeds configured max bytes";
    let long = material(&"x".repeat(65_537), 1);
    assert_eq!(refusal(&save(&node(2), long)), text);
    let signed = Material::new("{}".into(), Some("x".repeat(1_025).into()), 1);
    assert_eq!(refusal(&save(&node(2), signed)), text);
    let text = "contact material generated_at is required";
    assert_eq!(refusal(&save(&node(2), material("{}", 0))), text);
    // Text that is no JSON is kept as nothing, and a key that is known stays.
    let fits = material(&"x".repeat(65_536), 1);
    assert_eq!(save(&node(2), fits), Response::ContactSaved(node(2)));
    assert_eq!(script.gauge("wattswarm_relationship_bytes"), 65_536);

    let mut config = config(1);
    config.limits.relationship_bytes_max = 1_000;
    let mut script = started(config);
    for (length, saved) in [(900, true), (1_000, true), (1_001, false), (1_000, true)] {
        let answer = ask(
            &mut script,
            Request::Contact(Introduction {
                remote: node(2).as_str().into(),
                material: material(&"x".repeat(length), 1),
            }),
        );
        let expected = Response::ContactSaved(node(2));
        assert_eq!(answer == expected, saved, "{length}: {answer:?}");
    }
}

#[test]
fn a_peer_is_listed_once_its_probe_has_proved_its_key() {
    for (claimed, listed) in [
        (Some(cert(2).fingerprint), true),
        (None, true),
        // Somebody else is there.
        (Some(cert(3).fingerprint), false),
    ] {
        let mut script = started(config(1));
        let peer = PeerInfo::new(claimed, addr(2));
        let (_, input) = script.request(operator(), put_peer(NetworkId::Cut, peer));
        let probe = calls_of(&script.run(input))[0];
        let outputs = script.reply(probe, rooms::Response::Opaque(200), 2);
        assert_eq!(responses(&outputs).len(), 1, "the peer is admitted");
        let nodes: Vec<NodeId> = peers(&mut script)
            .into_iter()
            .map(|record| record.node_id)
            .collect();
        assert_eq!(nodes == [node(2)], listed, "{nodes:?}");
        assert_eq!(nodes.is_empty(), !listed, "{nodes:?}");
        check_disk(&script);
    }
}

#[test]
fn peers_of_other_rooms_are_listed_while_they_are_fresh() {
    let mut world = World::new(2, |n, config| {
        if n == 0 {
            config.known_peers = vec![info(2)];
        }
    });
    world.until(Duration::from_secs(5), |_| false);
    let listed = peers(&mut world.nodes[0]);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert!(listed[0].connected);
    let discovery = listed[0].discovery.as_ref().expect("was discovered");
    assert_eq!(discovery.source_kind, Source::Bootstrap);
    // The other one was called, and knows who called once it called back.
    let listed = peers(&mut world.nodes[1]);
    assert_eq!(listed[0].node_id, node(1));

    world.down.insert(1);
    world.until(Duration::from_secs(1_200), |_| false);
    let listed = peers(&mut world.nodes[0]);
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].connected);
    world.until(Duration::from_secs(3_600), |_| false);
    assert!(peers(&mut world.nodes[0]).is_empty());
}
