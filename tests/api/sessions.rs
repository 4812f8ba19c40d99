//! Sessions with other nodes, as seen by a peer: what is asked, in which order, how often.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerage_core::ids::Fingerprint;
use peerage_core::{CallError, Trust};
use peerage_tests::commands::{insert_body, key_of, signed};
use peerage_tests::{Bench, Peer, Sent};
use serde_json::json;

use crate::{CUT, ID, MEMPOOL, MEMPOOL_PEER, announce, bare, info, json, listed};

const FINE: &str = "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n";
const NOBODY: &str = r#"{"limit":0,"items":[],"next":null}"#;
const NOTHING: &str = r#"{"hashes":[],"highwaterMark":[-7,0]}"#;

/// What a peer with nothing to say says.
fn plain(sent: &Sent) -> String {
    let body = match sent.line() {
        line if line.starts_with("GET") => NOBODY,
        line if line.contains("getPending") => NOTHING,
        _ => "",
    };
    format!("{FINE}{body}")
}

/// A peer with nothing to say.
pub(crate) fn sociable() -> Peer {
    Peer::talks(|sent| Some(plain(sent)))
}

/// A node with sessions, on one chain.
fn social() -> Bench {
    Bench::with(|config| {
        config.sessions.cut_max = 10;
        config.sessions.mempool_max = 6;
        config.chains = 1;
    })
}

fn lines(bench: &Bench) -> Vec<String> {
    bench
        .calls()
        .iter()
        .map(|call| call.line().to_owned())
        .collect()
}

fn names(bench: &Bench, name: &str) -> usize {
    bench.event_names().filter(|other| *other == name).count()
}

#[test]
fn mempool_session_step_by_step() {
    let mut bench = social();
    let (ours, theirs) = (signed("ours"), signed("theirs"));
    let key = key_of(&theirs);
    bench.peer(
        "1.2.3.4:1789",
        Peer::talks(move |sent| {
            let pending = format!(r#"{{"hashes":["{key}"],"highwaterMark":[-7,1]}}"#);
            let found = json!([{"tag": "Pending", "contents": theirs}]).to_string();
            let body = match sent.line() {
                line if line.ends_with("getPending") => pending.as_str(),
                line if line.contains("getPending?") => r#"{"hashes":[],"highwaterMark":[-7,1]}"#,
                line if line.ends_with("lookup") => found.as_str(),
                line if line.starts_with("GET") => NOBODY,
                _ => "",
            };
            Some(format!("{FINE}{body}"))
        }),
    );
    assert_eq!(
        bench
            .fetch(json("PUT", MEMPOOL_PEER, &info(Some(ID), "1.2.3.4", 1789)))
            .status,
        204
    );
    bench.fetch_json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(&[ours]));
    bench.story();
    bench.advance(Duration::from_secs(5));
    insta::assert_snapshot!(bench.story());
    assert_eq!(bench.gauge("mempool_pending"), 2);
}

#[test]
fn known_identity_is_pinned_and_an_unknown_one_is_filled_in() {
    let mut bench = social();
    let cert = Fingerprint([5; 32]);
    bench.peer("1.1.1.1:1", sociable().with_certificate(cert, None));
    announce(&mut bench, None, "1.1.1.1", 1);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.calls()[1].to.trust, Trust::Anyone);
    assert_eq!(bench.calls()[2].to.trust, Trust::Pinned(cert));
    let page = bench.fetch(bare("GET", CUT)).json();
    assert_eq!(page["items"][0]["id"], cert.to_string());
    assert_eq!(names(&bench, "peer_pinned"), 1);
}

#[test]
fn peer_with_another_certificate_is_forgotten() {
    let mut bench = social();
    bench.peer("1.1.1.1:1", Peer::of_version("2.6"));
    announce(&mut bench, Some(ID), "1.1.1.1", 1);
    bench.peer(
        "1.1.1.1:1",
        sociable().with_certificate(Fingerprint([5; 32]), None),
    );
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.node().commons().peers.len(), 0);
    assert_eq!(names(&bench, "peer_identity_mismatch"), 1);
    bench.restart();
    assert_eq!(
        bench.node().commons().peers.len(),
        0,
        "it comes back after a restart"
    );
}

#[test]
fn failed_sync_hides_a_peer_and_a_good_one_shows_it() {
    for failing in [
        Peer::refuses(),
        Peer::answers("HTTP/1.1 500 Internal Server Error\r\n\r\n"),
        Peer::answers(format!("{FINE}rubbish")),
        Peer::talks(|sent| {
            let refuse = sent.line().starts_with("PUT");
            let refused =
                "HTTP/1.1 400 Bad Request\r\n\r\nInvalid hostaddress: IsNotReachable \"x\"";
            Some(if refuse {
                refused.to_owned()
            } else {
                plain(sent)
            })
        }),
        Peer::hangs(),
    ] {
        let shown = format!("{failing:?}");
        let mut bench = social();
        bench.peer("1.1.1.1:1", Peer::of_version("2.6"));
        announce(&mut bench, Some(ID), "1.1.1.1", 1);
        bench.peer("1.1.1.1:1", failing);
        bench.advance(Duration::from_millis(3_700));
        assert!(listed(&mut bench, CUT).is_empty(), "{shown}");
        assert!(names(&bench, "session_failed") >= 1, "{shown}");
        bench.peer("1.1.1.1:1", sociable());
        bench.advance(Duration::from_secs(60));
        assert!(names(&bench, "session_opened") >= 1, "{shown}");
        assert_eq!(listed(&mut bench, CUT), ["1.1.1.1:1"], "{shown}");
    }
}

#[test]
fn pause_after_failures_grows() {
    let mut bench = social();
    bench.peer("1.1.1.1:1", Peer::of_version("2.6"));
    announce(&mut bench, Some(ID), "1.1.1.1", 1);
    bench.peer("1.1.1.1:1", Peer::fails(CallError::Refused));
    bench.advance(Duration::from_secs(600));
    let attempts = bench.calls().len();
    assert!(
        (10..=80).contains(&attempts),
        "{attempts} attempts in ten minutes"
    );
}

#[test]
fn sessions_are_bounded_by_network() {
    let mut bench = social();
    bench.everyone_else(sociable());
    for n in 1..=20 {
        let peer = info(None, &format!("1.2.3.{n}"), 1789);
        assert_eq!(bench.fetch(json("PUT", MEMPOOL_PEER, &peer)).status, 204);
        assert_eq!(bench.fetch(json("PUT", CUT, &peer)).status, 204);
    }
    bench.advance(Duration::from_secs(30));
    assert_eq!(bench.gauge("mempool_sessions"), 6);
    assert_eq!(bench.gauge("sessions"), 16);
    bench.advance(Duration::from_secs(3_600));
    assert_eq!(bench.gauge("mempool_sessions"), 6);
    assert!(
        names(&bench, "session_ended") > 50,
        "sessions end by their time"
    );
    assert_eq!(names(&bench, "session_failed"), 0);
}

#[test]
fn learned_peers_are_probed_and_at_most_32_are_taken() {
    let mut bench = social();
    let own = Bench::config(1).identity.fingerprint.to_string();
    let mut items: Vec<String> = (0..40)
        .map(|n| info(None, &format!("5.5.5.{n}"), 1))
        .collect();
    // Nobody needs to be told of ourselves, or of whom we know.
    items.insert(0, info(Some(&own), "4.4.4.4", 1));
    items.insert(0, info(Some(ID), "1.1.1.1", 1));
    let page = format!(
        "{{\"limit\":42,\"items\":[{}],\"next\":null}}",
        items.join(",")
    );
    bench.peer("1.1.1.1:1", Peer::of_version("2.6"));
    announce(&mut bench, Some(ID), "1.1.1.1", 1);
    bench.peer(
        "1.1.1.1:1",
        Peer::talks(move |sent| {
            let body = if sent.line().starts_with("GET") {
                page.as_str()
            } else {
                ""
            };
            Some(format!("{FINE}{body}"))
        }),
    );
    let probed = Arc::new(Mutex::new(Vec::new()));
    let ear = probed.clone();
    bench.everyone_else(Peer::talks(move |sent| {
        let host = sent.to.addr.host.to_string();
        ear.lock().expect("one thread").push(host.clone());
        // Every other candidate is too old.
        let odd = host.ends_with(['1', '3', '5', '7', '9']);
        let version = if odd { "1.0" } else { "2.6" };
        Some(format!(
            "HTTP/1.1 200 OK\r\nx-chainweb-node-version: {version}\r\n\r\n{NOBODY}"
        ))
    }));
    bench.advance(Duration::from_millis(600));
    let mut hosts = probed.lock().expect("one thread").clone();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts.len(), 32, "{hosts:?}");
    assert!(!hosts.contains(&"4.4.4.4".to_owned()));
    let commons = bench.node().commons();
    assert_eq!(commons.peers.len(), 1 + 16, "those too old are not taken");
}

#[test]
fn private_node_keeps_sessions_without_gossip() {
    let mut bench = Bench::with(|config| {
        config.private = true;
        config.chains = 1;
        config.sessions.mempool_max = 6;
        config.known_peers = vec!["1.1.1.1:1".parse().expect("a peer")];
    });
    bench.everyone_else(sociable());
    bench.advance(Duration::from_secs(2));
    let lines = lines(&bench);
    assert!(!lines.is_empty());
    assert!(
        lines.iter().all(|line| line.contains("getPending")),
        "{lines:?}"
    );
}

/// What stays the same with every peer, over an hour: no more than a stock node lets a caller ask.
#[test]
fn polls_stay_far_below_what_a_peer_allows() {
    let mut bench = social();
    bench.peer("1.2.3.4:1789", sociable());
    assert_eq!(
        bench
            .fetch(json("PUT", MEMPOOL_PEER, &info(Some(ID), "1.2.3.4", 1789)))
            .status,
        204
    );
    bench.advance(Duration::from_secs(3_600));
    let polls = lines(&bench)
        .iter()
        .filter(|line| line.contains("getPending"))
        .count();
    assert!(
        (180..=330).contains(&polls),
        "{polls} polls in an hour, one in 15 s on average"
    );
}

#[test]
fn invalid_commands_of_a_peer_are_not_taken_nor_fetched_twice() {
    let mut bench = social();
    let bad = signed("bad").replace("alice", "mallo");
    let key = key_of(&bad);
    bench.peer(
        "1.2.3.4:1789",
        Peer::talks(move |sent| {
            let pending = format!(r#"{{"hashes":["{key}"],"highwaterMark":[-7,1]}}"#);
            let found = json!([{"tag": "Pending", "contents": bad}]).to_string();
            let body = match sent.line() {
                line if line.contains("getPending") => pending.as_str(),
                line if line.ends_with("lookup") => found.as_str(),
                line if line.starts_with("GET") => NOBODY,
                _ => "",
            };
            Some(format!("{FINE}{body}"))
        }),
    );
    assert_eq!(
        bench
            .fetch(json("PUT", MEMPOOL_PEER, &info(Some(ID), "1.2.3.4", 1789)))
            .status,
        204
    );
    bench.advance(Duration::from_secs(120));
    assert_eq!(bench.gauge("mempool_pending"), 0);
    let lookups = lines(&bench)
        .iter()
        .filter(|line| line.ends_with("lookup"))
        .count();
    assert_eq!(lookups, 1);
    assert_eq!(names(&bench, "session_failed"), 0);
}

/// Anything that is not an answer ends a session as a failure.
#[test]
fn broken_answers_end_a_mempool_session() {
    for broken in ["getPending", "lookup"] {
        let mut bench = social();
        let key = key_of(&signed("x"));
        bench.peer(
            "1.2.3.4:1789",
            Peer::talks(move |sent| {
                if sent.line().ends_with(broken) {
                    return Some(format!(
                        "{FINE}[{{\"tag\":\"Pending\",\"contents\":\"rubbish\"}}]"
                    ));
                }
                let pending = format!(r#"{{"hashes":["{key}"],"highwaterMark":[-7,1]}}"#);
                let body = match sent.line() {
                    line if line.contains("getPending") => pending.as_str(),
                    line if line.starts_with("GET") => NOBODY,
                    _ => "",
                };
                Some(format!("{FINE}{body}"))
            }),
        );
        assert_eq!(
            bench
                .fetch(json("PUT", MEMPOOL_PEER, &info(Some(ID), "1.2.3.4", 1789)))
                .status,
            204
        );
        bench.advance(Duration::from_millis(600));
        assert!(names(&bench, "session_failed") >= 1, "{broken}");
        assert!(listed(&mut bench, MEMPOOL_PEER).is_empty(), "{broken}");
    }
}

/// A pool that a lookup cannot bring in one answer is fetched in slices.
#[test]
fn large_pools_are_fetched_in_slices() {
    let mut bench = Bench::with(|config| {
        config.chains = 1;
        config.sessions.mempool_max = 6;
        config.limits.lookup_slice_max = 8;
    });
    let texts: Vec<String> = (0..20).map(|n| signed(&format!("{n}"))).collect();
    let by_key: std::collections::BTreeMap<String, String> = texts
        .iter()
        .map(|text| (key_of(text), text.clone()))
        .collect();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let ear = sizes.clone();
    bench.peer(
        "1.2.3.4:1789",
        Peer::talks(move |sent| {
            let hashes: Vec<&String> = by_key.keys().collect();
            let body = match sent.line() {
                line if line.contains("getPending") => {
                    format!("{{\"hashes\":{},\"highwaterMark\":[-7,20]}}", json!(hashes))
                }
                line if line.ends_with("lookup") => {
                    let keys: Vec<String> = serde_json::from_str(sent.body()).expect("keys");
                    ear.lock().expect("one thread").push(keys.len());
                    if keys.len() > 5 {
                        // More than two mebibytes, which nobody reads.
                        return Some(format!("{FINE}{}", " ".repeat(2_097_153)));
                    }
                    let one = |key: &String| json!({"tag": "Pending", "contents": by_key[key]});
                    serde_json::Value::from_iter(keys.iter().map(one)).to_string()
                }
                line if line.starts_with("GET") => NOBODY.to_owned(),
                _ => String::new(),
            };
            Some(format!("{FINE}{body}"))
        }),
    );
    assert_eq!(
        bench
            .fetch(json("PUT", MEMPOOL_PEER, &info(Some(ID), "1.2.3.4", 1789)))
            .status,
        204
    );
    bench.advance(Duration::from_secs(5));
    assert_eq!(bench.gauge("mempool_pending"), 20);
    let sizes = sizes.lock().expect("one thread");
    // Too large an answer halves the next slice; what fits may grow again.
    assert_eq!(sizes[..2], [8, 4]);
    assert!(sizes.iter().all(|size| *size <= 8));
    assert!(sizes.len() <= 10, "{sizes:?}");
}
