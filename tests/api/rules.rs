//! What all Chainweb routes have in common: paths, negotiation, sizes.

use peerage_tests::Bench;

use crate::{CUT, MEMPOOL, MEMPOOL_PEER, among_peers, announce, bare, info, json};

const BODY_MAX: usize = 2_097_152;

/// A request as told in a story, its body replaced by the body's length, and all that follows it.
fn without_body(bench: &mut Bench, request: &str) -> String {
    bench.story();
    bench.send(request);
    let story = bench.story();
    let (head, rest) = story.split_once("\n>\n").expect("a body");
    let (_, rest) = rest.split_once("\n\n").expect("an answer");
    let (_, body) = request.split_once("\r\n\r\n").expect("a blank line");
    format!("{head}\n>\n> ({} bytes)\n\n{rest}", body.len())
}

/// `body` and as many spaces as it takes.
fn padded(body: &str, length: usize) -> String {
    format!("{body}{}", " ".repeat(length - body.len()))
}

#[test]
fn paths_of_the_table_answer_and_all_others_are_unknown() {
    let mut bench = Bench::new();
    for path in [
        // Every chain of the version, by its number and by nothing else.
        MEMPOOL_PEER,
        "/chainweb/0.0/development/chain/19/mempool/peer",
        "/chainweb/0.0/development/chain/1%39/mempool/peer",
        "/chainweb/0.0/development/chain/20/mempool/peer",
        "/chainweb/0.0/development/chain/00/mempool/peer",
        "/chainweb/0.0/development/chain/x/mempool/peer",
        "/chainweb/0.0/development/chain//mempool/peer",
        // The network of a chain is not served.
        "/chainweb/0.0/development/chain/0/peer",
        // One slash at the end is tolerated, letter case is not.
        "/chainweb/0.0/development/cut/peer/",
        "/chainweb/0.0/development/cut/peer//",
        "/chainweb/0.0/development/cut/Peer",
        // Another network, another version of the API.
        "/chainweb/0.0/mainnet01/cut/peer",
        "/chainweb/0.1/development/cut/peer",
    ] {
        bench.send(bare("GET", path));
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn answers_of_every_route_are_declared_as_json() {
    let mut bench = among_peers();
    announce(&mut bench, None, "1.2.3.4", 1789);
    bench.story();
    bench.send(bare("GET", CUT));
    bench.send(json("PUT", CUT, &info(None, "1.2.3.4", 1789)));
    bench.send(bare("POST", &format!("{MEMPOOL}/getPending")));
    bench.send(json("POST", &format!("{MEMPOOL}/member"), "[]"));
    bench.send(json("POST", &format!("{MEMPOOL}/lookup"), "[]"));
    bench.send(json("PUT", &format!("{MEMPOOL}/insert"), "[]"));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn callers_must_accept_json() {
    let mut bench = Bench::new();
    for accept in [
        "*/*",
        "application/*",
        "application/json;charset=utf-8",
        "text/html, application/json;q=0.1",
        "text/html",
        "application/json;charset=iso-8859-1",
        "application/json;q=0",
    ] {
        bench.send(format!("GET {CUT} HTTP/1.1\r\nAccept: {accept}\r\n\r\n"));
    }
    // Also where nothing is sent back.
    for path in [CUT, &format!("{MEMPOOL}/insert")] {
        bench.send(format!(
            "PUT {path} HTTP/1.1\r\nAccept: text/html\r\nContent-Type: application/json\r\n\r\n[]"
        ));
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn bodies_of_every_route_must_be_declared_as_json() {
    let mut bench = Bench::new();
    let member = format!("{MEMPOOL}/member");
    for content_type in [
        "application/json",
        "APPLICATION/JSON; charset=UTF-8",
        "application/json;charset=iso-8859-1",
        "application/json;x",
        "application/vnd.api+json",
        "application/x-www-form-urlencoded",
        "text/plain",
    ] {
        bench.send(format!(
            "POST {member} HTTP/1.1\r\nContent-Type: {content_type}\r\n\r\n[]"
        ));
    }
    // Without a declaration a body is a stream of bytes.
    for (method, path) in [
        ("POST", &*member),
        ("POST", &format!("{MEMPOOL}/lookup")),
        ("PUT", &format!("{MEMPOOL}/insert")),
        ("PUT", MEMPOOL_PEER),
        ("PUT", CUT),
    ] {
        bench.send(format!("{method} {path} HTTP/1.1\r\n\r\n[]"));
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn bodies_of_two_mebibytes_are_read_and_longer_ones_are_not() {
    let mut bench = among_peers();
    announce(&mut bench, None, "1.2.3.4", 1789);
    let own = info(None, "1.2.3.4", 1789);
    let mut story = String::new();
    for (method, path, body) in [
        ("PUT", CUT, &*own),
        ("POST", &format!("{MEMPOOL}/member"), "[]"),
        ("POST", &format!("{MEMPOOL}/lookup"), "[]"),
        ("PUT", &format!("{MEMPOOL}/insert"), "[]"),
    ] {
        for length in [BODY_MAX, BODY_MAX + 1] {
            story += &without_body(&mut bench, &json(method, path, &padded(body, length)));
        }
    }
    let chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for length in [BODY_MAX, BODY_MAX + 1] {
        let body = padded("[]", length);
        let request = format!("PUT {MEMPOOL}/insert HTTP/1.1\r\n{chunked}{body}");
        story += &without_body(&mut bench, &request);
    }
    insta::assert_snapshot!(story);
}

#[test]
fn bodies_that_nobody_reads_are_never_too_long() {
    let mut bench = Bench::new();
    let long = padded("[]", BODY_MAX + 1);
    let mut story = String::new();
    for (method, path) in [
        ("GET", CUT),
        ("POST", &*format!("{MEMPOOL}/getPending")),
        ("PUT", "/chainweb/0.0/development/nothing"),
        ("PATCH", CUT),
    ] {
        story += &without_body(&mut bench, &json(method, path, &long));
    }
    let plain = format!("PUT {CUT} HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n{long}");
    story += &without_body(&mut bench, &plain);
    insta::assert_snapshot!(story);
}

#[test]
fn callers_of_any_version_are_served_alike() {
    let mut bench = among_peers();
    announce(&mut bench, None, "1.2.3.4", 1789);
    bench.story();
    let own = info(None, "1.2.3.4", 1789);
    let insert = format!("{MEMPOOL}/insert");
    bench.send(bare("GET", CUT));
    for version in ["1.1", "99.0", "rubbish", ""] {
        let header = format!("X-Chainweb-Node-Version: {version}");
        bench.send(format!("GET {CUT} HTTP/1.1\r\n{header}\r\n\r\n"));
    }
    for (path, body) in [(CUT, &*own), (&*insert, "[]")] {
        bench.send(format!(
            "PUT {path} HTTP/1.1\r\nContent-Type: application/json\r\n\
             X-Chainweb-Node-Version: 0.1\r\n\r\n{body}"
        ));
    }
    insta::assert_snapshot!(bench.story());
}
