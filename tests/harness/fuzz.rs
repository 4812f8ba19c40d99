//! What is tried with arbitrary bytes: nothing may panic, and whatever is read must be written and
//! read again as the same.
//!
//! Each function is the body of one target of `tests/fuzz`; the same bodies run over the committed
//! corpus and seeded mutations of it with every test run.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use peerage_core::commons::address::{HostAddr, Hostname, PeerInfo, is_reserved};
use peerage_core::commons::bans::BanKey;
use peerage_core::commons::network::{ChainwebVersion, NetworkId, NodeVersion};
use peerage_core::http::page::{Cursor, PageQuery};
use peerage_core::http::path::{Segments, has_segment};
use peerage_core::http::query::Query;
use peerage_core::http::throttle::Rate;
use peerage_core::http::{Head, Reception, Route, Site, negotiate};
use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::chainweb_mempool::signature;
use peerage_core::rooms::wattswarm::cipher::{Names, Sealed, SharedKey};
use peerage_core::rooms::wattswarm::envelope::Envelope;
use peerage_core::rows::Record as _;
use peerage_core::verify;
use peerage_core::{Listener, Request, Response, Row, json};
use serde_json::value::RawValue;

use crate::bench::Bench;
use crate::client::Client;
use crate::generate;
use crate::message::ParsedRequest;
use crate::peer::Peer;
use crate::rng::Draws;

/// A target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("command", command),
    ("envelope", envelope),
    ("exchange", exchange),
    ("grin", grin),
    ("json", json),
    ("query", query),
    ("request", request),
    ("response", response),
    ("row", row),
    ("sealed", sealed),
    ("text", text),
];

const SITE: Site = Site {
    network: ChainwebVersion::Development,
    chains: 20,
};

/// A literal request: at most one room claims it, and what it means can be sent on.
pub fn request(data: &[u8]) {
    let Some(request) = ParsedRequest::try_read(data) else {
        return;
    };
    for listener in [Listener::Api, Listener::P2p] {
        let head = Head {
            listener,
            method: &request.method,
            path: &request.path,
            query: request.query.as_deref(),
            headers: &request.headers,
        };
        assert!(
            Route::claims(&SITE, &head) <= 1,
            "claimed by more than one room"
        );
        let Reception::Proceed(routed) = peerage_core::http::receive(&SITE, &head) else {
            continue;
        };
        if let Ok(request) = routed.route.decode(&SITE, request.body.clone()) {
            let again = send_on(&request, listener);
            assert_eq!(again.as_ref(), Some(&request));
        }
    }
}

/// What a request means after it was written and read by ourselves.
#[must_use]
pub fn send_on(request: &Request, listener: Listener) -> Option<Request> {
    let outgoing = request.encode(&SITE);
    let mut headers = HeaderMap::new();
    if outgoing.json {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    let (path, query) = match outgoing.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (outgoing.target.as_str(), None),
    };
    let head = Head {
        listener,
        method: &outgoing.method,
        path,
        query,
        headers: &headers,
    };
    assert!(
        Route::claims(&SITE, &head) <= 1,
        "claimed by more than one room"
    );
    match peerage_core::http::receive(&SITE, &head) {
        Reception::Answer(_) => None,
        Reception::Proceed(routed) => {
            assert_eq!(
                routed.body_max.is_some(),
                outgoing.json,
                "a body that nobody reads"
            );
            routed.route.decode(&SITE, outgoing.body).ok()
        }
    }
}

/// An answer: the first byte draws the question, the second the status, the rest is the body.
pub fn response(data: &[u8]) {
    let [question, status, body @ ..] = data else {
        return;
    };
    let request = generate::request(&mut Draws::new(u64::from(*question)));
    let status = [200, 204, 400, 404, 413, 429, 500, 503][usize::from(*status) % 8];
    let response = request.decode_response(status, &Bytes::copy_from_slice(body));
    if !matches!(response, Response::Opaque(_)) {
        let reply = response.encode();
        let again = request.decode_response(reply.status.as_u16(), &reply.body);
        assert_eq!(again, response);
    }
}

/// An agent's envelope: it travels, is shown and is judged as the same, wherever it is read.
pub fn envelope(data: &[u8]) {
    let Ok(text) = serde_json::from_slice::<Box<RawValue>>(data) else {
        return;
    };
    let Ok(read) = Envelope::read(&text) else {
        return;
    };
    let raw = RawValue::from_string(read.raw().to_owned()).expect("what travels is JSON");
    let again = Envelope::read(&raw).expect("what travels is an envelope");
    assert_eq!(again, read);
    assert_eq!(again.stored(), read.stored());
    assert_eq!(again.request_id(), read.request_id());
    let shown: serde_json::Value = serde_json::from_str(&read.stored()).expect("JSON is shown");
    assert_eq!(shown["protocol"], read.protocol());
    // Whoever the envelope says has sent it, so that cards are looked at too.
    let source = shown["source_node_id"]
        .as_str()
        .and_then(|id| id.parse().ok());
    let source = source.unwrap_or(PublicKey([7; 32]));
    match (read.job_for(&source), again.job_for(&source)) {
        (Ok(Some(job)), Ok(Some(other))) => {
            assert_eq!(job.digest(), other.digest());
            assert_eq!(verify::check(&[job]), verify::check(&[other]));
        }
        (Ok(None), Ok(None)) => {}
        (Err(fault), Err(other)) => assert_eq!(fault, other),
        (found, other) => panic!("{found:?} and {other:?}"),
    }
}

/// A sealed message: the object that carries it is read as it was written, and what is not sealed
/// for us does not open.
pub fn sealed(data: &[u8]) {
    let Ok(carried) = serde_json::from_slice::<Sealed>(data) else {
        return;
    };
    let Ok(unpacked) = carried.unpack() else {
        return;
    };
    assert_eq!(Sealed::new(&unpacked).unpack().as_ref(), Ok(&unpacked));
    let names = Names {
        sender: "a",
        recipient: "b",
        thread: "t",
        message: "m",
    };
    if let Ok(key) = SharedKey::agree(&[7; 32], &unpacked.sender_key) {
        assert!(
            key.open(&names, unpacked.nonce, &unpacked.ciphertext)
                .is_err()
        );
        let own = key.seal(&names, unpacked.nonce, data);
        assert_eq!(key.open(&names, unpacked.nonce, &own).as_deref(), Ok(data));
    }
}

/// Blocks, transactions and what else nodes of one chain and wallets send as bytes: the first byte says
/// what it is.
pub fn grin(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let words = [
        "announce",
        "blocks",
        "headers",
        "hello",
        "stem",
        "transaction",
    ];
    let (listener, target, body) = match words.get(usize::from(*kind)) {
        Some(word) => {
            let target = format!("/grin/AutomatedTesting/{word}");
            (Listener::P2p, target, body.to_vec())
        }
        None => {
            let digits: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
            let body = format!(r#"{{"tx_hex":"{digits}"}}"#);
            (Listener::Api, "/v1/pool/push_tx".to_owned(), body.into())
        }
    };
    let head = Head {
        listener,
        method: &Method::POST,
        path: &target,
        query: None,
        headers: &HeaderMap::new(),
    };
    let Reception::Proceed(routed) = peerage_core::http::receive(&SITE, &head) else {
        panic!("{target} leads nowhere");
    };
    if let Ok(request) = routed.route.decode(&SITE, body.into()) {
        assert_eq!(send_on(&request, listener).as_ref(), Some(&request));
    }
    // The same bytes as an answer of another node.
    for asked in generate::grin::asked() {
        let request = Request::from(asked);
        let response = request.decode_response(200, &Bytes::copy_from_slice(data));
        if !matches!(response, Response::Opaque(_)) {
            let reply = response.encode();
            let again = request.decode_response(reply.status.as_u16(), &reply.body);
            assert_eq!(again, response);
        }
    }
}

/// A command: its canonical text says the same, and checking it does not panic.
pub fn command(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(command) = Command::decode(text) {
        let canonical = command.canonical_text();
        assert_eq!(Command::decode(&canonical).as_ref(), Ok(&command));
        assert_eq!(
            json::string_literal(command.literal()).as_deref(),
            Ok(canonical.as_str())
        );
        let alone = signature::verify(&command);
        assert_eq!(
            signature::verify_batch(&[&command, &command]),
            [alone.clone(), alone]
        );
    }
}

/// JSON: what we read, another reader takes for JSON; strings survive.
pub fn json(data: &[u8]) {
    let read = json::parse_bytes(data).is_ok();
    let other = serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok();
    assert!(!read || other, "read what is not JSON");
    if let Ok(list) = json::string_array(data, "Text") {
        assert!(read, "a list of strings that is not JSON");
        let again: Vec<String> = serde_json::from_slice(data).expect("a list of strings");
        assert_eq!(list, again);
    }
    if let Ok(text) = core::str::from_utf8(data) {
        let mut literal = String::new();
        json::write_string(&mut literal, text);
        assert_eq!(json::string_literal(&literal).as_deref(), Ok(text));
        let other: Result<String, _> = serde_json::from_str(&literal);
        assert_eq!(other.ok().as_deref(), Some(text));
    }
}

/// A row: the first byte is the length of the key.
pub fn row(data: &[u8]) {
    let Some((length, rest)) = data.split_first() else {
        return;
    };
    let (key, value) = rest.split_at(usize::from(*length).min(rest.len()));
    if let Ok(row) = Row::decode(key, value) {
        let value = row.value().expect("what was read is there");
        assert_eq!(Row::decode(&row.key(), &value).as_ref(), Ok(&row));
    }
}

/// Everything that has a form as text.
pub fn text(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    for line in text.lines() {
        again::<BanKey>(line);
        again::<ChainwebVersion>(line);
        again::<Fingerprint>(line);
        again::<HostAddr>(line);
        again::<NetworkId>(line);
        again::<NodeVersion>(line);
        again::<PeerInfo>(line);
        again::<PublicKey>(line);
        again::<Rate>(line);
        if let Ok(host) = Hostname::new(line) {
            assert_eq!(host.as_str(), line);
            assert!(host.is_stock());
            let _ = is_reserved(&host);
        }
        if let Ok(bytes) = peerage_core::base64url::decode(line) {
            let text = peerage_core::base64url::encode(&bytes);
            assert_eq!(text, line.trim_end_matches('='));
        }
    }
}

fn again<T: core::str::FromStr + core::fmt::Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        let read = printed.parse::<T>().ok();
        assert!(
            read.as_ref() == Some(&value),
            "{text} is printed as {printed}"
        );
    }
}

/// Paths, queries, cursors and headers.
pub fn query(data: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(data) {
        headers.insert("accept", value.clone());
        headers.insert("content-type", value);
        let _ = negotiate::accepts_json(&headers);
        let _ = negotiate::content_type_is_json(&headers);
    }
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let query = Query::new(Some(text));
    for name in ["limit", "nonce", "since"] {
        let (natural, signed) = (query.natural(name), query.int64(name));
        if let (Ok(Some(natural)), Ok(Some(signed))) = (natural, signed) {
            assert_eq!(i64::try_from(natural), Ok(signed));
        }
    }
    if let Ok(query) = PageQuery::parse(query) {
        for total in [0, 1, 63, 64, 65, 600, usize::MAX] {
            let page = query.page(total);
            assert!(page.items.len() <= 512 && page.items.end <= total);
            assert!(page.next.is_none_or(|next| next < total));
        }
    }
    if let Ok(cursor) = Cursor::parse(text) {
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
    }
    if let Some(segments) = Segments::parse(text) {
        for segment in segments.as_slice() {
            assert!(has_segment(text, segment));
        }
    }
}

/// Requests to a whole node, separated by a zero byte, from a stranger and an operator in turn.
pub fn exchange(data: &[u8]) {
    let mut bench = Bench::new();
    bench.everyone_else(Peer::of_version("2.32.0"));
    let clients = [Client::operator(), Client::stranger("203.0.113.7:1")];
    for (request, client) in data
        .split(|byte| *byte == 0)
        .take(16)
        .zip(clients.iter().cycle())
    {
        if ParsedRequest::try_read(request).is_some() {
            let answer = bench.send_as(client, request);
            assert!(
                !answer
                    .starts_with("HTTP/1.1 500 Internal Server Error\ncontent-type: text/plain; ")
            );
        }
    }
    bench.restart();
    let method = Method::GET;
    let _ = bench.send(format!(
        "{method} /chainweb/0.0/development/cut/peer HTTP/1.1\r\n\r\n"
    ));
}

/// Changes `data` a little: bytes, pieces, words that matter, pieces of `other`.
#[must_use]
pub fn mutate(draws: &mut Draws, data: &[u8], other: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=draws.below(4) {
        let at = draws.below(data.len() + 1);
        match draws.below(7) {
            0 => data.insert(at, draws.bits() as u8),
            1 => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << draws.below(8);
                }
            }
            2 => {
                let end = data.len().min(at + draws.below(16));
                data.drain(at..end);
            }
            3 => {
                let end = data.len().min(at + draws.below(32));
                let piece = data[at..end].to_vec();
                data.splice(at..at, piece);
            }
            4 => {
                let word = draws.pick(WORDS).bytes();
                data.splice(at..at, word);
            }
            5 => {
                let from = draws.below(other.len() + 1);
                let to = other.len().min(from + draws.below(64));
                data.splice(at..at, other[from..to].iter().copied());
            }
            _ => data.truncate(at),
        }
    }
    data
}

const WORDS: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e999",
    "1e-999",
    "0.1",
    "18446744073709551616",
    "-9223372036854775808",
    "%2F",
    "%",
    "%zz",
    "+",
    "&",
    ";",
    "=",
    "?",
    "/",
    "//",
    "/..",
    "::",
    "ffff",
    "[::1]:1",
    "255.255.255.255",
    "01.2.3.4",
    "@",
    "inclusive:",
    "exclusive:",
    "\r\n",
    "\r\n\r\n",
    "\0",
    "\u{feff}",
    "\u{1f600}",
    "é",
    "content-type: application/json",
    "accept: */*;q=0",
    "transfer-encoding: chunked",
];
