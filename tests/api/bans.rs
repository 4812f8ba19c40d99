//! `POST /v1/peers/{addr}/ban` and `…/unban`, and what a ban means everywhere else.

use std::time::Duration;

use peerage_core::ids::PublicKey;
use peerage_core::time::WallTime;
use peerage_tests::{Bench, Client, Peer};

use crate::{CUT, ID, OTHER_ID, among_peers, announce, bare, info, json, listed};

const BAN: &str = "/v1/peers/1.2.3.4/ban";
const UNBAN: &str = "/v1/peers/1.2.3.4/unban";

fn post(bench: &mut Bench, path: &str) -> (u16, String) {
    let answer = bench.fetch(bare("POST", path));
    (answer.status, answer.text().to_owned())
}

/// A node that knows 1.2.3.4:1789 and 5.6.7.8:1789.
fn acquainted() -> Bench {
    let mut bench = among_peers();
    announce(&mut bench, Some(ID), "1.2.3.4", 1789);
    announce(&mut bench, Some(OTHER_ID), "5.6.7.8", 1789);
    bench
}

fn done() -> (u16, String) {
    (200, "{}".to_owned())
}

#[test]
fn banned_peer_is_hidden_refused_and_forgiven() {
    let mut bench = acquainted();
    bench.story();
    bench.send(bare("POST", BAN));
    bench.send(bare("GET", CUT));
    bench.send(json("PUT", CUT, &info(Some(ID), "1.2.3.4", 1789)));
    bench.send_as(&Client::stranger("1.2.3.4:40000"), bare("GET", CUT));
    bench.send(bare("POST", UNBAN));
    bench.send(bare("POST", UNBAN));
    bench.send(bare("GET", CUT));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn unknown_and_malformed_addresses_are_explained() {
    let mut bench = Bench::new();
    for path in [
        BAN,
        UNBAN,
        "/v1/peers/1.2.3.4:99/ban",
        "/v1/peers/[::1]:99/unban",
        "/v1/1.2.3.4/unban",
        "/v1/peers/rubbish/ban",
        "/v1/peers/1.2.3/unban",
    ] {
        bench.send(bare("POST", path));
    }
    bench.send(bare("GET", BAN));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn both_paths_unban() {
    let mut bench = acquainted();
    for path in [UNBAN, "/v1/1.2.3.4/unban"] {
        assert_eq!(post(&mut bench, BAN), done());
        assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
        assert_eq!(post(&mut bench, path), done());
        assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1789", "5.6.7.8:1789"]);
    }
    assert_eq!(post(&mut bench, "/v1/1.2.3.4/ban"), done());
    assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
}

#[test]
fn port_matters_on_loopback_only() {
    let mut bench = among_peers();
    for (host, port) in [
        ("127.0.0.1", 1),
        ("127.0.0.1", 2),
        ("1.2.3.4", 1),
        ("1.2.3.4", 2),
    ] {
        announce(&mut bench, None, host, port);
    }
    assert_eq!(post(&mut bench, "/v1/peers/127.0.0.1:1/ban"), done());
    assert_eq!(post(&mut bench, "/v1/peers/1.2.3.4:77/ban"), done());
    assert_eq!(listed(&mut bench, CUT), ["127.0.0.1:2"]);
}

#[test]
fn bans_are_for_operators_to_set() {
    let mut bench = acquainted();
    let node = Client::node("5.6.7.8:1", OTHER_ID.parse().expect("an id"), None);
    for client in [&Client::stranger("203.0.113.7:1"), &node] {
        for path in [BAN, UNBAN, "/v1/1.2.3.4/unban"] {
            let answer = bench.send_as(client, bare("POST", path));
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
    }
    assert!(bench.node().commons().bans.is_empty());
}

#[test]
fn banned_callers_are_refused_on_the_p2p_listener_only() {
    let mut bench = acquainted();
    assert_eq!(post(&mut bench, BAN), done());
    let get = bare("GET", CUT);
    let mut status = |client: &Client| bench.send_as(client, &get)[9..12].to_owned();
    let (id, other) = (ID.parse().expect("an id"), OTHER_ID.parse().expect("an id"));
    assert_eq!(status(&Client::stranger("1.2.3.4:1")), "403");
    assert_eq!(status(&Client::stranger("[::ffff:1.2.3.4]:1")), "403");
    assert_eq!(
        status(&Client::node("9.9.9.9:1", id, None)),
        "403",
        "moved, same certificate"
    );
    assert_eq!(
        status(&Client::node("1.2.3.4:1", other, None)),
        "403",
        "same host"
    );
    assert_eq!(status(&Client::node("5.6.7.8:1", other, None)), "200");
    assert_eq!(status(&Client::operator_at("1.2.3.4:1")), "200");
}

#[test]
fn ban_goes_with_the_key_of_a_node() {
    let mut bench = Bench::with(|config| {
        config.sessions.cut_max = 1;
        config.chains = 1;
    });
    let key = PublicKey([3; 32]);
    bench.peer(
        "1.2.3.4:1789",
        Peer::talks(|sent| {
            let page = r#"{"limit":0,"items":[],"next":null}"#;
            let body = if sent.line().starts_with("GET") {
                page
            } else {
                ""
            };
            Some(format!(
                "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n{body}"
            ))
        })
        .with_certificate(ID.parse().expect("an id"), Some(key)),
    );
    announce(&mut bench, Some(ID), "1.2.3.4", 1789);
    bench.advance(Duration::from_secs(1));
    assert!(bench.event_names().any(|name| name == "session_opened"));
    assert_eq!(post(&mut bench, BAN), done());
    let renewed = Client::node("9.9.9.9:1", OTHER_ID.parse().expect("an id"), Some(key));
    assert!(
        bench
            .send_as(&renewed, bare("GET", CUT))
            .starts_with("HTTP/1.1 403")
    );
}

#[test]
fn ban_survives_a_restart_and_ends() {
    let mut bench = acquainted();
    assert_eq!(post(&mut bench, BAN), done());
    bench.restart();
    bench.everyone_else(Peer::of_version("2.32.0"));
    assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
    bench.advance(Duration::from_secs(3 * 3600 - 1));
    assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1789", "5.6.7.8:1789"]);
    assert!(bench.event_names().any(|name| name == "ban_expired"));
    assert!(bench.node().commons().bans.is_empty());
    bench.restart();
    assert!(
        bench.node().commons().bans.is_empty(),
        "an ended ban comes back"
    );
}

#[test]
fn ban_ends_while_the_node_is_down() {
    let mut bench = acquainted();
    assert_eq!(post(&mut bench, BAN), done());
    let end = bench.now().wall + Duration::from_secs(3 * 3600);
    bench.set_wall(end);
    bench.restart();
    assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1789", "5.6.7.8:1789"]);
}

#[test]
fn ban_is_acknowledged_once_it_is_durable() {
    let mut bench = acquainted();
    bench.disk_is_slow();
    let ban = bench.ask(bare("POST", BAN));
    assert_eq!(bench.answer(ban), None);
    bench.disk_catches_up();
    assert!(bench.answer(ban).is_some());
}

/// Neither calling in, nor announcing oneself, nor being told of by others lifts a ban.
#[test]
fn nothing_but_an_operator_lifts_a_ban() {
    let mut bench = Bench::with(|config| config.sessions.cut_max = 10);
    let page = format!(
        "{{\"limit\":1,\"items\":[{}],\"next\":null}}",
        info(Some(ID), "1.2.3.4", 1789)
    );
    bench.peer(
        "5.6.7.8:1789",
        Peer::talks(move |sent| {
            let body = if sent.line().starts_with("GET") {
                page.as_str()
            } else {
                ""
            };
            Some(format!(
                "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n{body}"
            ))
        }),
    );
    bench.everyone_else(Peer::of_version("2.32.0"));
    announce(&mut bench, Some(ID), "1.2.3.4", 1789);
    assert_eq!(post(&mut bench, BAN), done());
    let calls = |bench: &Bench| {
        let to = |call: &&peerage_tests::Sent| call.to.addr.host.as_str() == "1.2.3.4";
        bench.calls().iter().filter(to).count()
    };
    let before = calls(&bench);
    announce(&mut bench, None, "5.6.7.8", 1789);
    bench.advance(Duration::from_secs(600));
    assert!(bench.event_names().any(|name| name == "session_opened"));
    let own = Client::node("1.2.3.4:1", ID.parse().expect("an id"), None);
    let put = json("PUT", CUT, &info(Some(ID), "1.2.3.4", 1789));
    assert!(bench.send_as(&own, &put).starts_with("HTTP/1.1 403"));
    let answer = bench.send(&put);
    assert!(
        answer.ends_with("\n\nInvalid hostaddress: PeerBanned"),
        "{answer}"
    );
    // The same certificate elsewhere, or the same host under another one.
    for body in [
        info(Some(ID), "7.7.7.7", 1789),
        info(Some(OTHER_ID), "1.2.3.4", 99),
    ] {
        let answer = bench.send(json("PUT", CUT, &body));
        assert!(answer.ends_with("PeerBanned"), "{answer}");
    }
    assert_eq!(calls(&bench), before, "a banned peer was called");
    assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
}

#[test]
fn ban_during_a_probe_wins() {
    let mut bench = Bench::new();
    bench.peer("1.2.3.4:1", Peer::of_version("2.32.0"));
    announce(&mut bench, None, "1.2.3.4", 1);
    bench.peer("1.2.3.4:2", Peer::hangs());
    let put = bench.ask(json("PUT", CUT, &info(None, "1.2.3.4", 2)));
    assert_eq!(post(&mut bench, BAN), done());
    let probe = bench.calls().last().expect("a probe").clone();
    let fine = "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n";
    bench.give(&probe, Ok((fine, None)));
    let answer = bench.answer(put).expect("an answer");
    assert!(
        answer.ends_with("\n\nInvalid hostaddress: PeerBanned"),
        "{answer}"
    );
}

/// One ban lifted and another set between two reads: as many bans as before, but other ones.
#[test]
fn pages_follow_the_ban_list() {
    let mut bench = acquainted();
    assert_eq!(post(&mut bench, BAN), done());
    assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
    assert_eq!(post(&mut bench, UNBAN), done());
    assert_eq!(post(&mut bench, "/v1/peers/5.6.7.8/ban"), done());
    assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1789"]);
}

/// The clock is set past the end of a ban: it is over, though nobody has swept it up yet.
#[test]
fn pages_follow_the_clock() {
    let mut bench = acquainted();
    assert_eq!(post(&mut bench, BAN), done());
    assert_eq!(listed(&mut bench, CUT), ["5.6.7.8:1789"]);
    bench.set_wall(WallTime::from_secs(1_800_000_000));
    bench.advance(Duration::from_secs(60));
    assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1789", "5.6.7.8:1789"]);
    assert_eq!(post(&mut bench, UNBAN).1, "unban failed: PeerNotBanned");
}

#[test]
fn ban_list_is_bounded() {
    let mut bench = Bench::with(|config| config.limits.bans_max = 2);
    bench.everyone_else(Peer::of_version("2.32.0"));
    for n in 1..=3 {
        announce(&mut bench, None, &format!("1.2.3.{n}"), 1);
    }
    for n in 1..=2 {
        assert_eq!(
            post(&mut bench, &format!("/v1/peers/1.2.3.{n}/ban")),
            done()
        );
    }
    let full = (503, "ban failed: the ban list is full".to_owned());
    assert_eq!(post(&mut bench, "/v1/peers/1.2.3.3/ban"), full);
    // Banning again what is banned takes no room.
    assert_eq!(post(&mut bench, "/v1/peers/1.2.3.1/ban"), done());
}
