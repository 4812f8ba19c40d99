//! `GET` and `PUT {network}/peer`, and what all Chainweb routes have in common.

use std::time::Duration;

use peerage_core::commons::network::ChainwebVersion;
use peerage_core::{CallError, Seed};
use peerage_tests::{Bench, Client, ParsedAnswer, Peer};

use crate::{
    CUT, ID, MEMPOOL, MEMPOOL_PEER, OTHER_ID, among_peers, announce, bare, info, json, listed,
};

fn status(bench: &mut Bench, request: impl AsRef<[u8]>) -> u16 {
    bench.fetch(request).status
}

// --- All routes ---

#[test]
fn every_chain_is_routed_and_nothing_else() {
    let mut bench = Bench::new();
    for chain in 0..20 {
        let path = format!("/chainweb/0.0/development/chain/{chain}/mempool");
        assert_eq!(
            status(&mut bench, bare("GET", &format!("{path}/peer"))),
            200
        );
        assert_eq!(
            status(&mut bench, bare("GET", &format!("{path}/peer/"))),
            200
        );
        assert_eq!(
            status(&mut bench, bare("POST", &format!("{path}/getPending"))),
            200
        );
        for resource in ["member", "lookup"] {
            let request = json("POST", &format!("{path}/{resource}"), "[]");
            assert_eq!(status(&mut bench, request), 200);
        }
        assert_eq!(
            status(&mut bench, json("PUT", &format!("{path}/insert"), "[]")),
            200
        );
    }
    for path in [
        "/",
        "/chainweb",
        "/chainweb/0.0/development",
        "/chainweb/0.0/development/cut",
        "/chainweb/0.0/development/cut/peer//",
        "/chainweb/0.0/development/cut//peer",
        "/chainweb/0.0/development/Cut/peer",
        "/chainweb/0.0/development/cut/getPending",
        "/chainweb/0.0/development/chain/20/mempool/peer",
        "/chainweb/0.0/development/chain/00/mempool/peer",
        "/chainweb/0.0/development/chain/-1/mempool/peer",
        "/chainweb/0.0/development/chain/0/peer",
        "/chainweb/0.0/development/chain/0/mempool",
        "/chainweb/0.0/development/chain/0/mempool/pending",
        "/chainweb/0.0/development/chain%2F0/mempool/peer",
        "/chainweb/0.1/development/cut/peer",
        "/chainweb/0.0/mainnet01/cut/peer",
        "/chainweb/0.0/development/config",
        "chainweb/0.0/development/cut/peer",
    ] {
        assert_eq!(status(&mut bench, bare("GET", path)), 404, "{path}");
    }
}

/// One request that fails at every step, mended step by step: the first that fails decides.
#[test]
fn checks_come_in_order() {
    let mut bench = among_peers();
    let wrong = "Accept: text/html\r\nContent-Type: text/plain\r\n";
    let right = "Accept: application/json\r\nContent-Type: text/plain\r\n";
    let typed = "Accept: */*\r\nContent-Type: application/json\r\n";
    let long = "a".repeat(2_097_153);
    bench.send(format!(
        "POST /chainweb/0.0/development/cut/x HTTP/1.1\r\n{wrong}\r\n{long}"
    ));
    bench.send(format!("POST {CUT}?limit=x HTTP/1.1\r\n{wrong}\r\n{long}"));
    bench.send(format!("PUT {CUT}?limit=x HTTP/1.1\r\n{wrong}\r\n{long}"));
    bench.send(format!("PUT {CUT}?limit=x HTTP/1.1\r\n{right}\r\n{long}"));
    bench.send(format!("PUT {CUT}?limit=x HTTP/1.1\r\n{typed}\r\n{long}"));
    bench.send(format!("PUT {CUT}?limit=x HTTP/1.1\r\n{typed}\r\n[]"));
    let own = info(None, "10.0.0.1", 1789);
    bench.send(format!("PUT {CUT}?limit=x HTTP/1.1\r\n{typed}\r\n{own}"));
    bench.send(format!("GET {CUT}?limit=x HTTP/1.1\r\n{wrong}\r\n"));
    bench.send(format!("GET {CUT}?next=x&limit=x HTTP/1.1\r\n\r\n"));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn accept_decides_whether_json_is_wanted() {
    let mut bench = Bench::new();
    let mut with = |method: &str, target: &str, accept: &str| {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nAccept: {accept}\r\nContent-Type: application/json\r\n\r\n[]"
        );
        bench.fetch(request).status
    };
    for accept in [
        "*/*",
        "application/*",
        "application/json",
        "Application/JSON;charset=UTF-8",
        "text/html, */*;q=0.1",
    ] {
        assert_eq!(with("GET", CUT, accept), 200, "{accept}");
        assert_eq!(
            with("PUT", &format!("{MEMPOOL}/insert"), accept),
            200,
            "{accept}"
        );
    }
    for accept in [
        "text/html",
        "application/json;charset=iso-8859-1",
        "application/json;q=0",
        "application/xml",
        "",
    ] {
        assert_eq!(with("GET", CUT, accept), 406, "{accept}");
        assert_eq!(
            with("PUT", &format!("{MEMPOOL}/insert"), accept),
            406,
            "{accept}"
        );
        assert_eq!(
            with("POST", &format!("{MEMPOOL}/getPending"), accept),
            406,
            "{accept}"
        );
    }
}

#[test]
fn bodies_must_be_declared_as_json() {
    let mut bench = Bench::new();
    let insert = format!("{MEMPOOL}/insert");
    let mut with = |content_type: &str| {
        let request = format!("PUT {insert} HTTP/1.1\r\nContent-Type: {content_type}\r\n\r\n[]");
        bench.fetch(request).status
    };
    for json in [
        "application/json",
        "APPLICATION/json",
        "application/json; charset=utf-8",
        "application/json;charset=iso-8859-1",
    ] {
        assert_eq!(with(json), 200, "{json}");
    }
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/vnd.api+json",
        "application/json;x",
        "*/*",
    ] {
        assert_eq!(with(other), 415, "{other}");
    }
    assert_eq!(
        status(&mut bench, format!("PUT {insert} HTTP/1.1\r\n\r\n[]")),
        415
    );
}

#[test]
fn bodies_end_at_two_mebibytes() {
    let mut bench = Bench::new();
    let limit = 2 * 1024 * 1024;
    let exact = format!("[{}]", " ".repeat(limit - 2));
    let long = format!("{exact} ");
    let insert = format!("{MEMPOOL}/insert");
    assert_eq!(status(&mut bench, json("PUT", &insert, &exact)), 200);
    assert_eq!(status(&mut bench, json("PUT", &insert, &long)), 413);
    let head = format!("PUT {insert} HTTP/1.1\r\nContent-Type: application/json\r\n");
    let chunked = |body: &str| format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}");
    assert_eq!(status(&mut bench, chunked(&exact)), 200);
    assert_eq!(status(&mut bench, chunked(&long)), 413);
    // A length that is only declared is enough.
    assert_eq!(
        status(
            &mut bench,
            format!("{head}Content-Length: 2097153\r\n\r\n[]")
        ),
        413
    );
    // Where no body is read, none is too long.
    assert_eq!(
        status(
            &mut bench,
            json("POST", &format!("{MEMPOOL}/getPending"), &long)
        ),
        200
    );
    assert_eq!(status(&mut bench, json("GET", CUT, &long)), 200);
    assert_eq!(
        status(
            &mut bench,
            json("PUT", "/chainweb/0.0/development/x", &long)
        ),
        404
    );
    assert_eq!(status(&mut bench, json("PATCH", &insert, &long)), 405);
    bench.story();
    bench.send(format!("{head}Content-Length: 2097153\r\n\r\n[]"));
    bench.send(chunked(&long));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn answers_say_when_and_to_whom() {
    let mut bench = Bench::new();
    for addr in [
        "203.0.113.7:65535",
        "[2001:db8::7]:1",
        "[::ffff:203.0.113.7]:2",
    ] {
        bench.send_as(&Client::stranger(addr), bare("GET", CUT));
        bench.advance(Duration::from_millis(900));
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn version_of_the_caller_is_ignored() {
    let mut bench = Bench::new();
    for version in ["0.1", "99", "rubbish", ""] {
        let request = format!("GET {CUT} HTTP/1.1\r\nX-Chainweb-Node-Version: {version}\r\n\r\n");
        assert_eq!(status(&mut bench, request), 200, "{version}");
    }
}

// --- GET peer ---

#[test]
fn nobody_is_known_at_first() {
    let mut bench = Bench::new();
    bench.send(bare("GET", CUT));
    bench.send(bare("HEAD", CUT));
    bench.send(bare("HEAD", "/chainweb/0.0/development/cut/nothing"));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn pages_hold_what_was_asked_for() {
    let mut bench = among_peers();
    for host in ["1.1.1.1", "2.2.2.2", "three.example"] {
        announce(&mut bench, None, host, 1789);
    }
    bench.story();
    for query in [
        "",
        "limit=2",
        "limit=2&next=inclusive:2",
        "next=exclusive:0&limit=1",
        "limit=0",
        "next=inclusive:7",
    ] {
        bench.send(bare("GET", &format!("{CUT}?{query}")));
    }
    bench.send(bare("HEAD", &format!("{CUT}?limit=1")));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn malformed_queries_are_explained() {
    let mut bench = Bench::new();
    for query in [
        "limit=abc",
        "limit=",
        "limit=1.5",
        "limit=-1",
        "limit=+5",
        "next=foo",
        "next=bogus:1",
        "next=inclusive:",
        "next=inclusive",
        "next=inclusive:x",
    ] {
        bench.send(bare("GET", &format!("{CUT}?{query}")));
    }
    for fine in ["limit", "Limit=x", "limit=%2B5", "limit=5&limit=x"] {
        assert_eq!(
            status(&mut bench, bare("GET", &format!("{CUT}?{fine}"))),
            200,
            "{fine}"
        );
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn default_page_is_64_and_the_largest_512() {
    let mut bench = among_peers();
    for n in 0..600 {
        announce(
            &mut bench,
            None,
            &format!("1.2.{}.{}", n / 200, n % 200),
            1789,
        );
    }
    for (query, count) in [
        ("", 64),
        ("limit=600", 512),
        ("limit=513", 512),
        ("limit=99999999999999999999", 512),
    ] {
        let page = bench.fetch(bare("GET", &format!("{CUT}?{query}"))).json();
        assert_eq!(page["limit"], count, "{query}");
        assert_eq!(page["next"], format!("inclusive:{count}"), "{query}");
    }
}

#[test]
fn order_is_random_but_stays() {
    let hosts: Vec<String> = (1..=20).map(|n| format!("1.2.3.{n}")).collect();
    let order = |seed: u8| {
        let mut bench = Bench::of(Bench::config(1), Seed([seed; 32]));
        bench.everyone_else(Peer::of_version("2.32.0"));
        for host in &hosts {
            announce(&mut bench, None, host, 1789);
        }
        let read = |bench: &mut Bench| bench.fetch(bare("GET", CUT)).text().to_owned();
        let first = read(&mut bench);
        bench.advance(Duration::from_secs(60));
        assert_eq!(
            first,
            read(&mut bench),
            "the order changed between two reads"
        );
        first
    };
    let of_announcement = {
        let items: Vec<String> = hosts.iter().map(|host| info(None, host, 1789)).collect();
        format!(
            "{{\"limit\":20,\"items\":[{}],\"next\":null}}",
            items.join(",")
        )
    };
    assert_ne!(order(1), of_announcement);
    assert_ne!(order(1), order(2));
    assert_eq!(order(1), order(1));
}

#[test]
fn networks_have_lists_of_their_own() {
    let mut bench = among_peers();
    announce(&mut bench, None, "1.1.1.1", 1);
    let put = json("PUT", MEMPOOL_PEER, &info(None, "2.2.2.2", 2));
    assert_eq!(status(&mut bench, put), 204);
    assert_eq!(listed(&mut bench, CUT), ["1.1.1.1:1"]);
    assert_eq!(listed(&mut bench, MEMPOOL_PEER), ["2.2.2.2:2"]);
    let other = "/chainweb/0.0/development/chain/1/mempool/peer";
    assert!(listed(&mut bench, other).is_empty());
}

// --- PUT peer ---

#[test]
fn announced_peer_is_probed_stored_and_listed() {
    let mut bench = Bench::new();
    bench.peer("node.example:1789", Peer::of_version("2.32.0"));
    bench.send(json(
        "PUT",
        MEMPOOL_PEER,
        &info(Some(ID), "Node.Example", 1789),
    ));
    bench.send(bare("GET", MEMPOOL_PEER));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn undecodable_peers_are_explained() {
    let mut bench = among_peers();
    for body in [
        r#"{"address":{"hostname":"1.2.3.4","port":1}}"#,
        r#"{"id":null}"#,
        r#"{"id":null,"address":{"hostname":"1.2.3.4","port":"1"}}"#,
        r#"{"id":null,"address":{"hostname":"1.2.3.4","port":65536}}"#,
        r#"{"id":null,"address":{"hostname":"-x","port":1}}"#,
        r#"{"id":"AAAA","address":{"hostname":"1.2.3.4","port":1}}"#,
        "[]",
        "",
    ] {
        bench.send(json("PUT", CUT, body));
    }
    assert!(bench.calls().is_empty());
    insta::assert_snapshot!(bench.story());
}

#[test]
fn ports_and_ids_have_their_range() {
    let mut bench = among_peers();
    for (port, expected) in [
        ("0", 204),
        ("65535", 204),
        ("4.43e2", 204),
        ("443.0", 204),
        ("-1", 400),
        ("1.5", 400),
        ("1e9", 400),
    ] {
        let body =
            format!("{{\"id\":null,\"address\":{{\"hostname\":\"1.2.3.4\",\"port\":{port}}}}}");
        assert_eq!(
            status(&mut bench, json("PUT", CUT, &body)),
            expected,
            "{port}"
        );
    }
    for (id, expected) in [
        (ID.to_owned(), 204),
        (format!("{ID}="), 204),
        (ID[1..].to_owned(), 400),
        (format!("{ID}A"), 400),
        (String::new(), 400),
    ] {
        let body = info(Some(&id), "5.6.7.8", 1);
        assert_eq!(
            status(&mut bench, json("PUT", CUT, &body)),
            expected,
            "{id}"
        );
    }
}

/// Everything a probe can come to, one candidate each.
#[test]
fn candidates_that_fail_their_probe_are_refused() {
    let mut bench = Bench::new();
    let answer = |head: &str| Peer::answers(format!("HTTP/1.1 {head}\r\n\r\n"));
    let peers = [
        ("1.0.0.1:1", Peer::refuses()),
        ("1.0.0.2:1", Peer::fails(CallError::Unreachable)),
        ("1.0.0.3:1", Peer::answers("SSH-2.0-OpenSSH_9.7\r\n")),
        (
            "1.0.0.4:1",
            answer("500 Internal Server Error\r\nx-chainweb-node-version: 2.32.0"),
        ),
        ("1.0.0.5:1", answer("404 Not Found")),
        ("1.0.0.6:1", answer("200 OK")),
        ("1.0.0.7:1", answer("200 OK\r\nx-chainweb-node-version: v2")),
        ("1.0.0.8:1", Peer::of_version("1.1")),
        ("1.0.0.9:1", Peer::of_version("1.2")),
    ];
    for (addr, peer) in peers {
        bench.peer(addr, peer);
        let (host, _) = addr.split_once(':').expect("a port");
        bench.send(json("PUT", CUT, &info(None, host, 1)));
    }
    bench.send(bare("GET", CUT));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn silent_candidate_is_refused_after_four_seconds() {
    let mut bench = Bench::new();
    bench.peer("1.2.3.4:1789", Peer::hangs());
    let put = bench.ask(json("PUT", CUT, &info(None, "1.2.3.4", 1789)));
    bench.advance(Duration::from_micros(3_999_999));
    assert_eq!(bench.answer(put), None);
    bench.advance(Duration::from_micros(1));
    let answer = bench.answer(put).expect("an answer");
    assert!(answer.contains(" 400 Bad Request\n"));
    assert!(listed(&mut bench, CUT).is_empty());
    assert!(bench.event_names().any(|name| name == "peer_refused"));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn certificate_of_a_candidate_does_not_matter() {
    let mut bench = Bench::new();
    let other = peerage_core::ids::Fingerprint([9; 32]);
    bench.peer(
        "1.2.3.4:1",
        Peer::of_version("2.6").with_certificate(other, None),
    );
    announce(&mut bench, Some(ID), "1.2.3.4", 1);
    assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1"]);
}

#[test]
fn own_address_is_refused_whatever_the_id() {
    let mut bench = among_peers();
    bench.send(json("PUT", CUT, &info(None, "10.0.0.1", 1789)));
    bench.send(json("PUT", CUT, &info(Some(ID), "10.0.0.1", 1789)));
    assert!(bench.calls().is_empty());
    insta::assert_snapshot!(bench.story());
    announce(&mut bench, None, "10.0.0.1", 1790);
}

#[test]
fn reserved_hosts_are_refused_where_peers_are_validated() {
    let mut bench = Bench::with(|config| config.network = ChainwebVersion::Testnet04);
    bench.everyone_else(Peer::of_version("2.32.0"));
    let path = "/chainweb/0.0/testnet04/cut/peer";
    bench.send(json("PUT", path, &info(None, "LocalHost", 1)));
    bench.send(json("PUT", path, &info(None, "192.169.0.1", 1)));
    bench.send(json("PUT", path, &info(None, "198.18.0.1", 1)));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn known_address_is_accepted_without_a_probe() {
    let mut bench = among_peers();
    announce(&mut bench, Some(ID), "1.2.3.4", 1789);
    bench.everyone_else(Peer::refuses());
    bench.story();
    // Another network: united. Another case: the same host.
    bench.send(json("PUT", MEMPOOL_PEER, &info(Some(ID), "1.2.3.4", 1789)));
    bench.send(bare("GET", CUT));
    bench.send(bare("GET", MEMPOOL_PEER));
    // Another id: the entry is replaced, and its other networks are gone.
    bench.send(json("PUT", CUT, &info(Some(OTHER_ID), "1.2.3.4", 1789)));
    bench.send(bare("GET", CUT));
    bench.send(bare("GET", MEMPOOL_PEER));
    assert_eq!(bench.calls().len(), 1);
    insta::assert_snapshot!(bench.story());
}

#[test]
fn one_probe_serves_all_who_wait() {
    let mut bench = Bench::new();
    bench.peer("1.2.3.4:1789", Peer::hangs());
    let body = info(None, "1.2.3.4", 1789);
    let first = bench.ask(json("PUT", CUT, &body));
    let second = bench.ask(json("PUT", MEMPOOL_PEER, &body));
    assert_eq!(bench.calls().len(), 1);
    let call = bench.calls()[0].clone();
    let answer = "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n";
    bench.give(&call, Ok((answer, None)));
    for put in [first, second] {
        assert!(
            bench
                .answer(put)
                .expect("an answer")
                .starts_with("HTTP/1.1 204")
        );
    }
    assert_eq!(listed(&mut bench, CUT), listed(&mut bench, MEMPOOL_PEER));
}

#[test]
fn late_answer_of_a_probe_is_ignored() {
    let mut bench = Bench::new();
    bench.peer("1.2.3.4:1789", Peer::hangs());
    let put = bench.ask(json("PUT", CUT, &info(None, "1.2.3.4", 1789)));
    let call = bench.calls()[0].clone();
    bench.advance(Duration::from_secs(4));
    bench.give(
        &call,
        Ok((
            "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n",
            None,
        )),
    );
    let answer = ParsedAnswer::read(bench.answer(put).expect("an answer").as_bytes());
    assert_eq!(answer.expect("HTTP").status, 400);
    assert!(bench.event_names().any(|name| name == "late_reply_ignored"));
    assert!(listed(&mut bench, CUT).is_empty());
}

#[test]
fn probes_of_one_source_are_bounded() {
    let mut bench = Bench::with(|config| config.limits.probes_per_source_max = 2);
    bench.everyone_else(Peer::hangs());
    let busy = Client::stranger("203.0.113.7:1");
    for n in 1..=2 {
        bench.ask_as(
            &busy,
            json("PUT", CUT, &info(None, &format!("1.2.3.{n}"), 1)),
        );
    }
    let answer = bench.send_as(&busy, json("PUT", CUT, &info(None, "1.2.3.3", 1)));
    assert!(
        answer.ends_with("Invalid hostaddress: IsNotReachable \"TooManyProbes\""),
        "{answer}"
    );
    let other = Client::stranger("203.0.113.8:1");
    let ticket = bench.ask_as(&other, json("PUT", CUT, &info(None, "1.2.3.3", 1)));
    assert_eq!(
        bench.answer(ticket),
        None,
        "another source has its own bound"
    );
}

#[test]
fn private_node_thanks_and_forgets() {
    let mut bench = Bench::with(|config| config.private = true);
    bench.everyone_else(Peer::of_version("2.32.0"));
    announce(&mut bench, None, "1.2.3.4", 1789);
    assert!(listed(&mut bench, CUT).is_empty());
    assert_eq!(bench.node().commons().peers.len(), 0);
}

// --- Durability ---

#[test]
fn peer_is_acknowledged_once_it_is_durable() {
    let mut bench = among_peers();
    bench.disk_is_slow();
    let put = bench.ask(json("PUT", CUT, &info(None, "1.2.3.4", 1789)));
    let read = bench.ask(bare("GET", CUT));
    assert_eq!(
        (bench.answer(put), bench.answer(read)),
        (None, None),
        "seen before it is durable"
    );
    bench.disk_catches_up();
    assert!(bench.answer(put).is_some() && bench.answer(read).is_some());
    insta::assert_snapshot!(bench.story());
}

#[test]
fn acknowledged_peer_survives_a_crash_and_another_need_not() {
    let mut bench = among_peers();
    announce(&mut bench, Some(ID), "Kept.Example", 1789);
    bench.disk_is_slow();
    let lost = bench.ask(json("PUT", CUT, &info(None, "lost.example", 1789)));
    bench.restart();
    assert_eq!(bench.answer(lost), None);
    assert_eq!(listed(&mut bench, CUT), ["Kept.Example:1789"]);
}

#[test]
fn caller_that_hangs_up_is_not_answered() {
    let mut bench = among_peers();
    bench.disk_is_slow();
    let put = bench.ask(json("PUT", CUT, &info(None, "1.2.3.4", 1789)));
    bench.hang_up(put);
    assert_eq!(bench.node().owed(), 0);
    bench.disk_catches_up();
    assert_eq!(bench.answer(put), None);
    assert_eq!(listed(&mut bench, CUT), ["1.2.3.4:1789"]);
}

#[test]
fn draining_node_finishes_what_it_owes() {
    let mut bench = among_peers();
    bench.disk_is_slow();
    let put = bench.ask(json("PUT", CUT, &info(None, "1.2.3.4", 1789)));
    bench.drain();
    bench.send(bare("GET", CUT));
    bench.disk_catches_up();
    assert!(
        bench
            .answer(put)
            .expect("an answer")
            .starts_with("HTTP/1.1 204")
    );
    insta::assert_snapshot!(bench.story());
}

// --- Rates ---

fn burst(bench: &mut Bench, client: &Client, request: &str) -> usize {
    (0..500)
        .take_while(|_| !bench.send_as(client, request).starts_with("HTTP/1.1 429"))
        .count()
}

#[test]
fn bursts_are_bounded_by_client_address() {
    let mut bench = among_peers();
    let client = Client::stranger("203.0.113.7:1");
    let put = json("PUT", CUT, &info(None, "10.0.0.1", 1789));
    let get = bare("GET", CUT);
    let pending = bare("POST", &format!("{MEMPOOL}/getPending"));
    // Global: 200; mempool: 80; announced peers: 44. The inner ones take from the outer ones only
    // what they let through.
    assert_eq!(burst(&mut bench, &client, &put), 44);
    assert_eq!(burst(&mut bench, &client, &pending), 80);
    assert_eq!(burst(&mut bench, &client, &get), 200 - 44 - 80);
    // The port does not matter, another address does.
    assert_eq!(
        burst(&mut bench, &Client::stranger("203.0.113.7:2"), &get),
        0
    );
    assert_eq!(
        burst(&mut bench, &Client::stranger("203.0.113.8:1"), &get),
        200
    );
    bench.advance(Duration::from_secs(1));
    assert_eq!(burst(&mut bench, &client, &put), 11);
    assert_eq!(burst(&mut bench, &client, &get), 50 - 11);
    // Unused for half a minute: forgotten, and full again.
    bench.advance(Duration::from_secs(30));
    assert_eq!(burst(&mut bench, &client, &put), 44);
    bench.story();
    bench.send_as(&client, &put);
    insta::assert_snapshot!(bench.story());
}

#[test]
fn operators_and_known_peers_are_not_counted() {
    let mut bench = among_peers();
    announce(&mut bench, Some(ID), "1.2.3.4", 1789);
    let get = bare("GET", CUT);
    assert_eq!(burst(&mut bench, &Client::operator(), &get), 500);
    let id = ID.parse().expect("an id");
    assert_eq!(
        burst(&mut bench, &Client::node("1.2.3.4:1", id, None), &get),
        500
    );
    let unknown = OTHER_ID.parse().expect("an id");
    assert_eq!(
        burst(&mut bench, &Client::node("1.2.3.4:1", unknown, None), &get),
        200
    );
    // Other families' paths are not counted by Chainweb's buckets.
    let other = bare("GET", "/v1/status");
    assert_eq!(
        burst(&mut bench, &Client::stranger("203.0.113.7:1"), &other),
        500
    );
}
