//! The room with a scripted world around it.

use serde_json::Value;

use super::{Event, Refusal, Request, Response};
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::NetworkId;
use crate::commons::peers::{Insertion, Peers};
use crate::input::{Answer, CallError, CallId, Input, Listener, VersionHeader};
use crate::limits::{LEARNED_MAX, SYNC_PEERS_MAX, SYNC_PROBES_MAX};
use crate::output::{Endpoint, Output, Part, Trust, Via};
use crate::rng::Seed;
use crate::rooms::{self, Refused};
use crate::rows::Journal;
use crate::scripted::*;
use crate::time::{Duration, WallTime};

const CUT: NetworkId = NetworkId::Cut;
const POOL: NetworkId = NetworkId::Mempool(0);

// The table.

/// All cases of the vectors that concern the table alone; the one quirk that is ruled otherwise is
/// expected to fail.
#[test]
fn the_peer_table_follows_the_vectors() {
    let file = include_str!("../../../../tests/vectors/chainweb/peer_db.json");
    let file: Value = serde_json::from_str(file).expect("vectors are JSON");
    let mut differing = Vec::new();
    for case in file["cases"].as_array().expect("cases") {
        let steps = case["steps"].as_array().expect("steps");
        if !holds(steps) {
            differing.push(case["id"].as_str().expect("an id"));
        }
    }
    assert_eq!(
        differing,
        ["bootstrap-of-several-networks-loses-protection"]
    );
}

fn holds(steps: &[Value]) -> bool {
    let mut known = Vec::new();
    let mut configured = Vec::new();
    for step in steps
        .iter()
        .filter(|step| step["op"] == "configured_known_peer")
    {
        configured.push(peer_of(step));
        known = step["networks"].as_array().expect("networks").clone();
    }
    let mut config = config(1);
    config.known_peers = configured;
    config.private = steps.iter().any(|step| step["op"] == "make_private");
    let mut script = Script::new(config);
    script.now.wall = WallTime::from_secs(0);
    script.run(Input::Tick);
    assert!(known.len() <= 2);
    steps.iter().all(|step| apply(&mut script, step))
}

fn apply(script: &mut Script, step: &Value) -> bool {
    let network = || network_of(&step["network"]);
    if let Some(time) = step["time"].as_u64() {
        script.now.wall = WallTime::from_secs(time);
    }
    match step["op"].as_str().expect("an op") {
        "configured_known_peer" | "make_private" => true,
        "put" => {
            let added = script.learn_peer(network(), peer_of(step));
            added == Some(Response::Added.into())
        }
        "list" => {
            let mut listed = script.listed(network());
            let mut expected: Vec<PeerInfo> = step["expect"]
                .as_array()
                .expect("peers")
                .iter()
                .map(peer_of)
                .collect();
            listed.sort();
            expected.sort();
            listed == expected
        }
        "entry_count" => step["expect"] == script.gauge("peers"),
        op => {
            let addr: HostAddr = step["address"]
                .as_str()
                .unwrap_or("-:0")
                .parse()
                .unwrap_or_else(|_| addr(1));
            let times = step["times"].as_u64().unwrap_or(1);
            let wall = script.now.wall;
            let mut journal = Journal::default();
            let peers = script.node.peers_mut();
            let key = peers.find(&addr).map(|(key, _)| key);
            for _ in 0..times {
                match (op, key) {
                    ("session_failed", Some(key)) => peers.failed(&mut journal, key),
                    ("session_succeeded", Some(key)) => peers.succeeded(&mut journal, key, wall),
                    ("active_sessions", Some(key)) if step["delta"] == 1 => {
                        peers.session_began(key)
                    }
                    ("active_sessions", Some(key)) => peers.session_ended(key),
                    ("prune", _) => {
                        peers.prune(&mut journal, wall);
                    }
                    ("certificate_mismatch", Some(key)) => {
                        if !peers.get(key).expect("there").sticky {
                            peers.remove(&mut journal, key);
                        }
                    }
                    other => panic!("unknown op {other:?}"),
                }
            }
            true
        }
    }
}

fn peer_of(value: &Value) -> PeerInfo {
    let id = value
        .get("peer_id")
        .or_else(|| value.get("id"))
        .expect("an id");
    let id = id.as_str().map(|id| id.parse().expect("a fingerprint"));
    let addr = value["address"].as_str().expect("an address");
    PeerInfo::new(id, addr.parse().expect("an address"))
}

fn network_of(value: &Value) -> NetworkId {
    match value.as_str() {
        Some("cut") => CUT,
        Some("chain/0/mempool") => POOL,
        other => panic!("unknown network {other:?}"),
    }
}

#[test]
fn a_full_table_forgets_who_fails_and_then_who_is_silent() {
    let mut peers = Peers::default();
    let mut journal = Journal::default();
    let mut insert = |peers: &mut Peers, n: u8, secs: u64, sticky| {
        let at = Insertion {
            success: Some(WallTime::from_secs(secs)),
            sticky,
            mark: u64::from(n),
            peers_max: 3,
        };
        peers.insert(&mut journal, info(n), CUT, at);
    };
    insert(&mut peers, 1, 0, true);
    insert(&mut peers, 2, 100, false);
    insert(&mut peers, 3, 200, false);
    let key = peers.find(&addr(3)).expect("there").0;
    peers.failed(&mut Journal::default(), key);
    insert(&mut peers, 4, 300, false);
    let there = |peers: &Peers| {
        (1..9)
            .filter(|n| peers.find(&addr(*n)).is_some())
            .collect::<Vec<_>>()
    };
    assert_eq!(there(&peers), [1, 2, 4], "whoever fails goes first");
    insert(&mut peers, 5, 400, false);
    assert_eq!(there(&peers), [1, 4, 5], "then whoever was silent longest");
    let key = peers.find(&addr(4)).expect("there").0;
    peers.session_began(key);
    insert(&mut peers, 6, 500, false);
    assert_eq!(
        there(&peers),
        [1, 4, 6],
        "sessions and the operator's peers stay"
    );
    let key = peers.find(&addr(6)).expect("there").0;
    peers.session_began(key);
    insert(&mut peers, 7, 600, false);
    assert_eq!(
        there(&peers),
        [1, 6, 7],
        "with all in session, the least of them makes room"
    );
    let rows = journal_rows(&mut journal);
    assert_eq!(rows, 7 + 7, "a row and a hint for each, or their deletion");
}

fn journal_rows(journal: &mut Journal) -> usize {
    journal.take().map_or(0, |(rows, _)| rows.len())
}

#[test]
fn the_orders_of_the_table_agree_with_its_entries_whatever_happens() {
    let mut rng = Seed([5; 32]).stream("table");
    let mut peers = Peers::default();
    let mut journal = Journal::default();
    for step in 0..4_000_u64 {
        let n = 1 + rng.index(12) as u8;
        let wall = WallTime::from_secs(step * 60);
        let key = peers.find(&addr(n)).map(|(key, _)| key);
        match (rng.below(8), key) {
            (0, _) | (_, None) => {
                let mut info = info(n);
                info.id = (!rng.chance(200_000)).then_some(cert(rng.index(3) as u8).fingerprint);
                let network = if rng.chance(500_000) { CUT } else { POOL };
                let at = Insertion {
                    success: Some(wall),
                    sticky: rng.chance(100_000),
                    mark: rng.bits(),
                    peers_max: 10,
                };
                peers.insert(&mut journal, info, network, at);
            }
            (1, Some(key)) => peers.succeeded(&mut journal, key, wall),
            (2, Some(key)) => peers.set_banned(key, true),
            (3, Some(key)) => peers.set_banned(key, false),
            (4, Some(key)) => peers.proved(&mut journal, key, Some(cert(n).fingerprint), None),
            (5, Some(_)) if step % 50 == 0 => {
                peers.prune(&mut journal, wall);
            }
            (6, Some(key)) if step % 20 == 0 => peers.remove(&mut journal, key),
            (_, Some(key)) => peers.failed(&mut journal, key),
        }
        for network in [CUT, POOL] {
            let mut shown: Vec<_> = peers.listing(network).iter().map(|(_, key)| *key).collect();
            let mut expected: Vec<_> = peers
                .iter()
                .filter(|(_, peer)| {
                    peer.failures == 0 && !peer.is_banned() && peer.networks.contains(network)
                })
                .map(|(key, _)| key)
                .collect();
            shown.sort();
            expected.sort();
            assert_eq!(shown, expected, "step {step}");
        }
        for n in 0..13 {
            let id = cert(n).fingerprint;
            let known = peers.iter().any(|(_, peer)| peer.info.id == Some(id));
            assert_eq!(peers.knows_fingerprint(&id), known, "step {step}");
        }
        assert!(peers.len() <= 10 || peers.iter().all(|(_, peer)| peer.sticky));
    }
}

#[test]
fn an_own_address_of_a_former_run_and_peers_unknown_to_a_private_node_are_forgotten() {
    let mut script = Script::new(config(1));
    script.learn_peer(CUT, info(2));
    script.learn_peer(CUT, info(3));
    let mut moved = config(2);
    moved.private = true;
    moved.known_peers = vec![info(4)];
    let mut script = Script::restore(moved, script.durable());
    script.run(Input::Tick);
    assert_eq!(script.listed(CUT), [info(4)]);
    assert_eq!(script.durable(), script.exported());
}

#[test]
fn pages_are_fresh_after_every_change() {
    let mut script = Script::new(config(1));
    assert_eq!(script.listed(CUT), []);
    script.learn_peer(CUT, info(2));
    assert_eq!(script.listed(CUT), [info(2)]);
    script.learn_peer(CUT, PeerInfo::new(Some(cert(3).fingerprint), addr(2)));
    assert_eq!(script.listed(CUT)[0].id, Some(cert(3).fingerprint));
    script.learn_peer(CUT, info(4));
    script.ask(operator(), ban(addr(2)));
    assert_eq!(script.listed(CUT), [info(4)]);
    // One ban goes and another comes: their number stays.
    script.ask(operator(), unban(addr(2)));
    script.ask(operator(), ban(addr(4)));
    assert_eq!(script.listed(CUT).len(), 1);
    assert_eq!(script.listed(CUT)[0].address, addr(2));
}

// Admission.

#[test]
fn screening_refuses_in_order_and_probes_the_unknown() {
    let mut tuned = config(1);
    tuned.network = crate::commons::network::ChainwebVersion::Mainnet01;
    tuned.address = "1.2.3.4:1789".parse().expect("an address");
    let own = PeerInfo::new(None, tuned.address.clone());
    let mut script = Script::new(tuned);
    let refused = |script: &mut Script, peer| script.ask(operator(), put_peer(CUT, peer));
    let text = |refusal| Some(rooms::Response::from(Response::Refused(refusal)));
    assert_eq!(refused(&mut script, own), text(Refusal::IsLocalPeerAddress));
    assert_eq!(
        refused(&mut script, info(2)),
        text(Refusal::IsReservedHostAddress)
    );
    let public = PeerInfo::new(
        Some(cert(6).fingerprint),
        "9.9.9.9:1".parse().expect("an address"),
    );
    let (_, input) = script.request(operator(), put_peer(POOL, public.clone()));
    let outputs = script.run(input);
    let [(id, to, request)] = calls(&outputs).try_into().expect("one probe");
    let expected = Endpoint {
        addr: public.address.clone(),
        trust: Trust::Anyone,
        via: Via::Tls,
        part: Part::Head,
    };
    assert_eq!((to, request), (expected, page_of(POOL)));
    let declared = |script: &mut Script, id: CallId, version, status| {
        let response = rooms::Response::Opaque(status);
        let result = Ok(Answer {
            response,
            version,
            cert: None,
        });
        responses(&script.run(Input::Reply { id, result })).pop()
    };
    let old = VersionHeader::Declared("1.1".parse().expect("a version"));
    let refusal = Refusal::NodeVersionNotAccepted("1.1".parse().expect("a version"));
    assert_eq!(declared(&mut script, id, old, 200), text(refusal));
    for (version, status, why) in [
        (
            VersionHeader::Missing,
            200,
            "missing X-Chainweb-Node-Version header",
        ),
        (
            VersionHeader::Unreadable,
            200,
            "TextFormatException \"Prelude.read: no parse\"",
        ),
        (VersionHeader::Missing, 500, "Error status code: 500"),
    ] {
        let (_, input) = script.request(operator(), put_peer(POOL, public.clone()));
        let (id, ..) = calls(&script.run(input)).remove(0);
        let refusal = Refusal::IsNotReachable(why.into());
        assert_eq!(declared(&mut script, id, version, status), text(refusal));
    }
    assert_eq!(
        script.learn_peer(POOL, public.clone()),
        Some(Response::Added.into())
    );
    // Known: any network and any id, without a probe.
    let renamed = PeerInfo::new(Some(cert(7).fingerprint), public.address);
    assert_eq!(
        script.ask(operator(), put_peer(CUT, renamed.clone())),
        Some(Response::Added.into())
    );
    assert_eq!(script.listed(CUT), [renamed]);
    assert_eq!(script.listed(POOL), []);
}

#[test]
fn one_probe_serves_all_who_wait_and_sources_are_bounded() {
    let mut tuned = config(1);
    tuned.limits.probes_per_source_max = 2;
    tuned.limits.probes_max = 3;
    let mut script = Script::new(tuned);
    let mut probes = Vec::new();
    let mut put = |script: &mut Script, from, n| {
        let (_, input) = script.request(peer_caller(from), put_peer(CUT, info(n)));
        let outputs = script.run(input);
        probes.extend(calls(&outputs));
        responses(&outputs).len()
    };
    assert_eq!(put(&mut script, 2, 50), 0);
    assert_eq!(put(&mut script, 3, 50), 0, "joined");
    assert_eq!(put(&mut script, 2, 51), 0);
    assert_eq!(put(&mut script, 2, 52), 1, "one source has enough");
    assert_eq!(put(&mut script, 3, 52), 0);
    assert_eq!(put(&mut script, 4, 53), 1, "all have enough");
    assert_eq!(probes.len(), 3);
    let found = script.reply(probes[0].0, rooms::Response::Opaque(204), 50);
    assert_eq!(responses(&found).len(), 2);
    let lost = script.fail(probes[1].0, CallError::Refused);
    assert_eq!(responses(&lost).len(), 1);
    script.fail(probes[2].0, CallError::Timeout);
    assert_eq!(script.gauge("probes_in_flight"), 0);
    let (_, input) = script.request(peer_caller(2), put_peer(CUT, info(52)));
    assert_eq!(
        calls(&script.run(input)).len(),
        1,
        "the bound is for what is under way"
    );
}

#[test]
fn whoever_is_banned_while_the_probe_is_out_is_refused() {
    let mut script = Script::new(config(1));
    let (_, input) = script.request(operator(), put_peer(CUT, info(2)));
    let (id, ..) = calls(&script.run(input)).remove(0);
    // Another port of the same host makes it known, so that it can be banned.
    let other: HostAddr = "10.0.0.2:99".parse().expect("an address");
    script.learn_peer(POOL, PeerInfo::new(None, other.clone()));
    script.ask(operator(), ban(other));
    let banned = Some(rooms::Response::from(Response::Refused(
        Refusal::PeerBanned,
    )));
    let outputs = script.reply(id, rooms::Response::Opaque(200), 2);
    assert_eq!(responses(&outputs).pop(), banned);
    assert_eq!(script.ask(operator(), put_peer(CUT, info(2))), banned);
}

#[test]
fn a_banned_certificate_is_recognised_at_another_address_whatever_it_claims() {
    let mut script = Script::new(config(1));
    script.learn_peer(CUT, info(2));
    script.ask(operator(), ban(addr(2)));
    let banned = Some(rooms::Response::from(Response::Refused(
        Refusal::PeerBanned,
    )));
    let claims = PeerInfo::new(Some(cert(2).fingerprint), addr(3));
    assert_eq!(script.ask(operator(), put_peer(CUT, claims)), banned);
    let nameless = PeerInfo::new(None, addr(3));
    let (_, input) = script.request(operator(), put_peer(CUT, nameless));
    let (id, ..) = calls(&script.run(input)).remove(0);
    let outputs = script.reply(id, rooms::Response::Opaque(200), 2);
    assert_eq!(
        responses(&outputs).pop(),
        banned,
        "the probe proved who it is"
    );
    // As a caller it is refused from anywhere, but never on the operator's listener.
    let mut caller = peer_caller(9);
    caller.cert = Some(cert(2));
    let refused = Some(rooms::Response::Refused(Refused::Banned));
    assert_eq!(script.ask(caller.clone(), page_of(CUT)), refused);
    caller.listener = Listener::Api;
    assert_ne!(script.ask(caller, page_of(CUT)), refused);
}

#[test]
fn loopback_is_banned_by_port_and_unban_forgives_all_names_together() {
    let mut script = Script::new(config(1));
    let at = |port: u16| HostAddr::from(core::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let peer = |n: u8, port| PeerInfo::new(Some(cert(n).fingerprint), at(port));
    script.learn_peer(CUT, peer(2, 2));
    script.learn_peer(CUT, peer(3, 3));
    script.ask(operator(), ban(at(2)));
    assert_eq!(script.listed(CUT), [peer(3, 3)]);
    let mut caller = peer_caller(9);
    caller.addr = core::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    caller.cert = Some(cert(3));
    assert!(matches!(
        script.ask(caller.clone(), page_of(CUT)),
        Some(rooms::Response::ChainwebPeers(_))
    ));
    caller.cert = Some(cert(2));
    let refused = Some(rooms::Response::Refused(Refused::Banned));
    assert_eq!(script.ask(caller.clone(), page_of(CUT)), refused);
    // The entry is gone, and with it the knowledge of whose fingerprint it was.
    let key = script.node.peers_mut().find(&at(2)).expect("kept").0;
    script.node.peers_mut().remove(&mut Journal::default(), key);
    let done = rooms::Response::Bans(rooms::bans::Response::Done);
    assert_eq!(script.ask(operator(), unban(at(2))), Some(done));
    assert_eq!(script.gauge("bans"), 0);
    assert_ne!(script.ask(caller, page_of(CUT)), refused);
}

// Sessions.

/// A node with one known peer at the moment of its first call.
fn with_peer(
    tune: impl Fn(&mut crate::Config),
) -> (Script, Vec<(CallId, Endpoint, rooms::Request)>) {
    let mut tuned = config(1);
    tuned.known_peers = vec![info(2)];
    tune(&mut tuned);
    let mut script = Script::new(tuned);
    let outputs = script.advance(Duration::from_millis(500));
    (script, calls(&outputs))
}

fn page(items: Vec<PeerInfo>) -> rooms::Response {
    let page = super::Page {
        items,
        ..super::Page::default()
    };
    Response::Page(std::sync::Arc::new(page)).into()
}

#[test]
fn a_session_begins_with_a_page_and_an_announcement() {
    let (mut script, first) = with_peer(|_| {});
    let order: Vec<_> = first
        .iter()
        .map(|(_, to, request)| (to.trust, request.clone()))
        .collect();
    let pinned = Trust::Pinned(cert(2).fingerprint);
    assert_eq!(order, [(pinned, page_of(CUT)), (pinned, page_of(POOL))]);
    let outputs = script.reply(first[1].0, page(vec![]), 2);
    let [(put, _, request)] = calls(&outputs).try_into().expect("the announcement");
    assert_eq!(request, put_peer(POOL, script.node.config().own_info()));
    let outputs = script.reply(put, Response::Added, 2);
    assert!(events(&outputs).contains(&"session_opened"));
    // One session per peer and loop, although there is room for more.
    assert_eq!(calls(&outputs).len(), 1, "the mempool's own first call");
    assert_eq!(script.gauge("sessions"), 2);
}

#[test]
fn sessions_are_bounded_and_end_well_by_their_time() {
    let mut tuned = config(1);
    tuned.private = true;
    tuned.known_peers = (2..30).map(info).collect();
    let mut script = Script::new(tuned);
    script.advance(Duration::from_secs(1));
    assert_eq!(script.gauge("sessions"), 10 + 6);
    let outputs = script.advance(Duration::from_secs(265));
    let count = |name| {
        events(&outputs)
            .iter()
            .filter(|event| **event == name)
            .count()
    };
    assert!(count("session_ended") >= 10);
    // The mempool's sessions get no answers and fail; those of the cut network never do.
    assert!(
        (10..=10 + 6).contains(&script.gauge("sessions")),
        "others follow"
    );
}

#[test]
fn failures_hide_a_peer_pause_the_loop_and_a_good_synchronisation_shows_it_again() {
    let (mut script, first) = with_peer(|config| config.chains = 0);
    let [(id, ..)] = first.try_into().expect("the cut network alone");
    let outputs = script.fail(id, CallError::Unreachable);
    assert!(events(&outputs).contains(&"session_failed"));
    assert_eq!(script.listed(CUT), []);
    assert!(calls(&script.advance(Duration::from_millis(399))).is_empty());
    let [(id, ..)] = calls(&script.advance(Duration::from_millis(101)))
        .try_into()
        .expect("again");
    // Every further failure doubles the pause.
    script.fail(id, CallError::Unreachable);
    assert!(calls(&script.advance(Duration::from_millis(799))).is_empty());
    let [(id, ..)] = calls(&script.advance(Duration::from_millis(201)))
        .try_into()
        .expect("again");
    let outputs = script.reply(id, page(vec![]), 2);
    let [(id, ..)] = calls(&outputs).try_into().expect("the announcement");
    script.reply(id, Response::Added, 2);
    assert_eq!(script.listed(CUT), [info(2)]);
    let mut seconds = 0;
    while !events(&script.advance(Duration::from_secs(1))).contains(&"session_ended") {
        seconds += 1;
    }
    assert!(
        (215..264).contains(&seconds),
        "240 s, give or take a tenth: {seconds}"
    );
    assert_eq!(script.listed(CUT), [info(2)]);
    script.advance(Duration::from_secs(1));
    assert_eq!(script.durable(), script.exported());
}

#[test]
fn a_loop_with_room_asks_whom_its_peers_have_met_since() {
    let (mut script, first) = with_peer(|config| {
        config.chains = 0;
        config.sessions.browse_interval = Duration::from_secs(30);
    });
    let outputs = script.reply(first[0].0, page(vec![]), 2);
    let (id, ..) = calls(&outputs).remove(0);
    script.reply(id, Response::Added, 2);
    let next = |script: &mut Script| {
        for second in 1..60 {
            if let Some(call) = calls(&script.advance(Duration::from_secs(1))).pop() {
                assert!((10..50).contains(&second), "{second}");
                assert_eq!((&call.1.addr, &call.2), (&addr(2), &page_of(CUT)));
                return call.0;
            }
        }
        panic!("nobody was asked within a minute");
    };
    let call = next(&mut script);
    script.reply(call, page(vec![]), 2);
    let call = next(&mut script);
    let probes = calls(&script.reply(call, page(vec![info(3)]), 2));
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].1.addr, addr(3));
    script.fail(probes[0].0, CallError::Refused);
    // A page that cannot be had ends the session.
    let call = next(&mut script);
    script.fail(call, CallError::Timeout);
    assert_eq!(script.gauge("sessions"), 0);
}

#[test]
fn a_new_peer_is_greeted_however_long_the_loop_pauses() {
    let (mut script, mut next) = with_peer(|config| {
        config.chains = 0;
        config.sessions.greeting_delay = Duration::from_millis(250);
    });
    for _ in 0..4 {
        script.fail(next[0].0, CallError::Unreachable);
        next = Vec::new();
        while next.is_empty() {
            next = calls(&script.advance(Duration::from_millis(100)));
        }
    }
    script.fail(next[0].0, CallError::Unreachable);
    script.learn_peer(CUT, info(3));
    assert!(calls(&script.advance(Duration::from_millis(249))).is_empty());
    let greeted = calls(&script.advance(Duration::from_millis(1)));
    assert_eq!(
        greeted[0].1.addr,
        addr(3),
        "before the pause of seven seconds ends"
    );
}

#[test]
fn a_peer_of_one_network_is_met_on_another_without_a_probe() {
    let (mut script, first) = with_peer(|_| {});
    script.learn_peer(CUT, info(3));
    let mut stranger = info(3);
    stranger.id = Some(cert(4).fingerprint);
    let listed = |script: &mut Script| script.listed(POOL).contains(&info(3));
    for (shown, met) in [(stranger, false), (info(3), true)] {
        let (mut script, (id, ..)) = (script.clone(), first[1].clone());
        let outputs = script.reply(id, page(vec![shown]), 2);
        let (id, ..) = calls(&outputs).remove(0);
        let outputs = script.reply(id, Response::Added, 2);
        assert!(!events(&outputs).contains(&"probe_sent"));
        assert_eq!(listed(&mut script), met);
    }
}

/// A good synchronisation proves nothing on a mempool network: whoever fails at the work stays hidden
/// and is asked less and less.
#[test]
fn failing_at_the_work_hides_a_peer_and_pauses_the_loop() {
    let (mut script, first) = with_peer(|config| config.sessions.cut_max = 0);
    let mut next = first;
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let [(id, ..)] = next.try_into().expect("the page");
        let [(id, ..)] = calls(&script.reply(id, page(vec![]), 2))
            .try_into()
            .expect("the announcement");
        let [(id, ..)] = calls(&script.reply(id, Response::Added, 2))
            .try_into()
            .expect("what is pending");
        script.fail(id, CallError::Malformed);
        assert_eq!(script.listed(POOL), []);
        let mut pause = 0;
        next = Vec::new();
        while next.is_empty() {
            next = calls(&script.advance(Duration::from_millis(100)));
            pause += 100;
        }
        pauses.push(pause);
    }
    assert!(
        pauses.windows(2).all(|pair| pair[0] < pair[1]),
        "{pauses:?}"
    );
    assert!((6_400..=8_000).contains(&pauses[4]), "{pauses:?}");
}

#[test]
fn a_refused_announcement_is_a_failure() {
    let (mut script, first) = with_peer(|config| config.chains = 0);
    let outputs = script.reply(first[0].0, page(vec![]), 2);
    let (id, ..) = calls(&outputs).remove(0);
    let outputs = script.reply(id, Response::Refused(Refusal::IsLocalPeerAddress), 2);
    assert!(
        events(&outputs).contains(&"known_peer_failed"),
        "its operator is told"
    );
    assert_eq!(script.gauge("sessions"), 0);
    assert_eq!(script.listed(CUT), []);
}

#[test]
fn a_mismatch_forgets_a_peer_but_not_the_operators() {
    let (mut script, first) = with_peer(|config| config.chains = 0);
    let outputs = script.fail(first[0].0, CallError::IdentityMismatch);
    assert!(!events(&outputs).contains(&"peer_identity_mismatch"));
    assert!(events(&outputs).contains(&"known_peer_identity_mismatch"));
    assert_eq!(script.gauge("peers"), 1);

    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    script.learn_peer(CUT, info(2));
    let (id, ..) = calls(&script.run(Input::Tick)).remove(0);
    let outputs = script.fail(id, CallError::IdentityMismatch);
    assert!(events(&outputs).contains(&"peer_identity_mismatch"));
    assert_eq!(script.gauge("peers"), 0);
    assert_eq!(script.durable(), script.exported());
}

/// Anybody may announce another identity for a known address; it must not cost the operator's peer.
#[test]
fn the_operators_peer_comes_back_after_it_was_replaced() {
    let (mut script, first) = with_peer(|config| config.chains = 0);
    script.ask(
        peer_caller(9),
        put_peer(CUT, PeerInfo::new(Some(cert(9).fingerprint), addr(2))),
    );
    assert_eq!(script.listed(CUT)[0].id, Some(cert(9).fingerprint));
    script.fail(first[0].0, CallError::IdentityMismatch);
    let (_, peer) = script.node.commons().peers.find(&addr(2)).expect("back");
    assert!(peer.sticky);
    assert_eq!(peer.info, info(2));
    assert_eq!(script.durable(), script.exported());
}

/// Goal: a peer that tells one network of its new certificate is not lost to the others.
#[test]
fn the_operators_peer_stays_in_every_network_under_another_certificate() {
    let (mut script, _) = with_peer(|config| config.chains = 1);
    let renewed = PeerInfo::new(Some(cert(9).fingerprint), addr(2));
    script.ask(peer_caller(9), put_peer(CUT, renewed.clone()));
    for network in [CUT, NetworkId::Mempool(0)] {
        let listed = script.listed(network);
        assert_eq!(listed, std::slice::from_ref(&renewed), "{network:?}");
    }
    assert_eq!(script.durable(), script.exported());
}

#[test]
fn a_nameless_peer_is_pinned_at_first_contact_on_development_only() {
    for (network, trust) in [
        (
            crate::commons::network::ChainwebVersion::Development,
            Trust::Anyone,
        ),
        (
            crate::commons::network::ChainwebVersion::Mainnet01,
            Trust::Authorities,
        ),
    ] {
        let (mut script, first) = with_peer(|config| {
            config.chains = 0;
            config.network = network;
            config.known_peers = vec![PeerInfo::new(None, addr(2))];
        });
        assert_eq!(first[0].1.trust, trust);
        let outputs = script.reply(first[0].0, page(vec![]), 2);
        let pinned = trust == Trust::Anyone;
        assert_eq!(events(&outputs).contains(&"peer_pinned"), pinned);
        let (_, to, _) = calls(&outputs).remove(0);
        assert_eq!(to.trust == Trust::Pinned(cert(2).fingerprint), pinned);
        if !pinned {
            continue;
        }
        // The pin outlives a restart, and goes when the peer has another certificate.
        let again = Script::restore((**script.node.config()).clone(), script.durable());
        let mut script = again;
        let outputs = script.advance(Duration::from_millis(500));
        let (id, to, _) = calls(&outputs).remove(0);
        assert_eq!(to.trust, Trust::Pinned(cert(2).fingerprint));
        script.fail(id, CallError::IdentityMismatch);
        let (_, to, _) = calls(&script.advance(Duration::from_millis(500))).remove(0);
        assert_eq!(to.trust, Trust::Anyone);
    }
}

#[test]
fn strangers_of_a_page_are_probed_a_few_at_a_time() {
    let (mut script, first) = with_peer(|config| config.chains = 0);
    let mut items = vec![info(2), info(1)];
    items.push(PeerInfo::new(Some(cert(1).fingerprint), addr(200)));
    items.extend((20..80).map(info));
    let outputs = script.reply(first[0].0, page(items), 2);
    let (id, ..) = calls(&outputs).remove(0);
    let outputs = script.reply(id, Response::Added, 2);
    let mut probes = calls(&outputs);
    let mut probed = probes.len();
    assert_eq!(probed, SYNC_PROBES_MAX);
    assert_eq!(
        script.gauge("peers_learned_waiting") as usize,
        SYNC_PEERS_MAX - SYNC_PROBES_MAX
    );
    while let Some((id, to, _)) = probes.pop() {
        assert_ne!(to.addr, addr(200), "that is ourselves");
        let outputs = script.reply(id, rooms::Response::Opaque(200), 50);
        let more = calls(&outputs);
        // The loop opens sessions with those that were found; only probes count.
        let more = more.into_iter().filter(|(_, to, _)| to.part == Part::Head);
        probes.extend(more);
        probed += 1;
    }
    assert_eq!(probed - SYNC_PROBES_MAX, SYNC_PEERS_MAX);
    assert_eq!(script.listed(CUT).len(), 1 + SYNC_PEERS_MAX);
}

#[test]
fn the_queue_of_learned_peers_is_bounded() {
    let mut tuned = config(1);
    tuned.chains = 20;
    tuned.known_peers = (2..100).map(info).collect();
    let mut script = Script::new(tuned);
    let mut calls_now = calls(&script.advance(Duration::from_millis(500)));
    let mut stranger = 0_u32;
    let mut worst = 0;
    for _ in 0..4_000 {
        let Some((id, to, request)) = calls_now.pop() else {
            break;
        };
        if to.part == Part::Head {
            continue; // never answered
        }
        let rooms::Request::ChainwebPeers(request) = request else {
            continue;
        };
        let response = match request {
            Request::Page { .. } => {
                let items = (0..64).map(|_| {
                    stranger += 1;
                    let ip = core::net::Ipv4Addr::from(0x2000_0000 + stranger);
                    PeerInfo::new(None, core::net::SocketAddr::from((ip, 1)).into())
                });
                page(items.collect())
            }
            Request::Put { .. } => Response::Added.into(),
        };
        let n = to.addr.ip().map_or(2, |ip| match ip {
            core::net::IpAddr::V4(ip) => ip.octets()[3],
            core::net::IpAddr::V6(_) => 2,
        });
        let outputs = script.reply(id, response, n);
        calls_now.extend(calls(&outputs));
        calls_now.extend(calls(&script.advance(Duration::ZERO)));
        worst = worst.max(script.gauge("peers_learned_waiting"));
        assert!(script.gauge("probes_in_flight") <= SYNC_PROBES_MAX as u64);
    }
    assert_eq!(worst, LEARNED_MAX as u64, "the bound was reached, and held");
}

#[test]
fn a_ban_ends_sessions_and_waiting_calls_and_its_end_wakes_the_loop() {
    let (mut script, first) = with_peer(|config| config.chains = 0);
    let outputs = script.reply(first[0].0, page(vec![]), 2);
    let (id, ..) = calls(&outputs).remove(0);
    script.reply(id, Response::Added, 2);
    assert_eq!(script.gauge("sessions"), 1);
    script.ask(operator(), ban(addr(2)));
    assert_eq!(script.gauge("sessions"), 0);
    assert!(calls(&script.advance(Duration::from_secs(100))).is_empty());
    script.ask(operator(), unban(addr(2)));
    assert_eq!(calls(&script.advance(Duration::from_millis(1))).len(), 1);
    let key = script.node.commons().peers.find(&addr(2)).expect("there").0;
    assert_eq!(
        script
            .node
            .commons()
            .peers
            .get(key)
            .expect("there")
            .failures,
        0
    );
}

#[test]
fn a_call_that_waits_for_the_disk_does_not_go_to_whom_was_banned_meanwhile() {
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    script.learn_peer(CUT, info(2));
    script.learn_peer(CUT, info(3));
    let (_, input) = script.request(operator(), ban(addr(3)));
    script.feed(input);
    let held = script.feed(Input::Tick);
    assert!(
        calls(&held).is_empty(),
        "the session's first call waits for the commit"
    );
    assert!(script.gauge("outputs_held") > 1);
    let (_, input) = script.request(operator(), ban(addr(2)));
    script.feed(input);
    let upto = script.issued;
    let released = script.feed(Input::Persisted { upto });
    let to_banned = calls(&released).iter().any(|(_, to, _)| to.addr == addr(2));
    assert!(!to_banned);
    assert_eq!(script.gauge("calls_in_flight"), 0);
}

#[test]
fn a_private_node_takes_nobody_and_still_holds_sessions() {
    let (mut script, first) = with_peer(|config| config.private = true);
    assert_eq!(
        script.learn_peer(CUT, info(7)),
        Some(Response::Added.into())
    );
    assert_eq!(script.listed(CUT), [info(2)]);
    let [(_, _, request)] = first.try_into().expect("no synchronisation");
    assert_eq!(request.name(), "get_pending");
    assert_eq!(script.gauge("sessions"), 2);
}

/// With one peer that fails once, the others are nearly always preferred: the empty first group
/// counts, so that two draws in a row are needed to reach the second group.
#[test]
fn peers_without_failures_are_preferred() {
    let mut failing_first = 0;
    for seed in 0..400_u16 {
        let mut tuned = config(1);
        tuned.chains = 0;
        tuned.sessions.cut_max = 1;
        tuned.known_peers = vec![info(2), info(3)];
        let mut script = Script::new(tuned.clone());
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&seed.to_be_bytes());
        script.node =
            crate::Node::restore(tuned, Seed(bytes), script.now, Vec::new()).expect("no rows");
        script.run(Input::Tick);
        let peers = script.node.peers_mut();
        let key = peers.find(&addr(2)).expect("there").0;
        peers.failed(&mut Journal::default(), key);
        let (_, to, _) = calls(&script.advance(Duration::from_millis(500))).remove(0);
        failing_first += usize::from(to.addr == addr(2));
    }
    assert!(
        failing_first < 8,
        "{failing_first} of 400, and one is expected"
    );
}

#[test]
fn a_silent_peer_is_pruned_after_six_failures_and_half_a_day() {
    let mut script = Script::new(config(1));
    script.learn_peer(CUT, info(3));
    let peers = script.node.peers_mut();
    let key = peers.find(&addr(3)).expect("there").0;
    for _ in 0..5 {
        peers.failed(&mut Journal::default(), key);
    }
    let half_a_day = WallTime::from_secs(EPOCH + 12 * 3600 + 1);
    let mut journal = Journal::default();
    assert_eq!(
        peers.prune(&mut journal, half_a_day),
        0,
        "five failures are not enough"
    );
    peers.failed(&mut Journal::default(), key);
    assert_eq!(
        peers.prune(&mut journal, WallTime::from_secs(EPOCH + 12 * 3600)),
        0
    );
    assert_eq!(peers.prune(&mut journal, half_a_day), 1);
    let deleted = journal.take().map_or(0, |(rows, _)| rows.len());
    assert_eq!(deleted, 2);
}

#[test]
fn a_session_outlives_the_entry_of_its_peer_without_harm() {
    let (mut script, first) = with_peer(|config| {
        config.chains = 0;
        config.known_peers = Vec::new();
    });
    assert!(first.is_empty());
    script.learn_peer(CUT, info(2));
    let (id, ..) = calls(&script.advance(Duration::from_millis(1))).remove(0);
    let key = script.node.peers_mut().find(&addr(2)).expect("there").0;
    script.node.peers_mut().remove(&mut Journal::default(), key);
    // It comes back under the same address while the session runs: still one session per address.
    script.learn_peer(CUT, info(2));
    assert!(calls(&script.advance(Duration::from_millis(1))).is_empty());
    let outputs = script.reply(id, page(vec![]), 2);
    assert!(
        outputs
            .iter()
            .any(|output| matches!(output, Output::Event(_)))
    );
    let again = calls(&script.advance(Duration::from_secs(1)));
    assert_eq!(again.len(), 1);
}

#[test]
fn events_are_told_in_sentences() {
    let check = |event: Event, sentence: &str| {
        assert_eq!(rooms::Event::from(event).to_string(), sentence);
    };
    let addr = addr(2);
    let added = Event::PeerAdded {
        network: NetworkId::Mempool(3),
        addr: addr.clone(),
    };
    check(added, &format!("peer added: {addr} (chain/3/mempool)"));
    let refused = Event::PeerRefused {
        addr: addr.clone(),
        refusal: Refusal::IsNotReachable("ConnectionTimeout".into()),
    };
    check(
        refused,
        &format!("peer refused: {addr}: IsNotReachable \"ConnectionTimeout\""),
    );
}
