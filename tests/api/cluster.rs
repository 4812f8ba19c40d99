//! The cluster API: every row of its table of behaviours, as whole exchanges.

use std::time::Duration;

use peerage_core::config::Config;
use peerage_core::config::cluster::{FixedClient, FixedToken, Scopes};
use peerage_core::ids::PublicKey;
use peerage_core::limits::{
    CLUSTER_BODY_MAX, CREDENTIALS_MAX, GOSSIP_BODY_MAX, GOSSIP_RECORDS_MAX, MEMBERS_MAX,
    NAME_CHARS_MAX,
};
use peerage_core::secret::SecretDigest;
use peerage_core::{CallError, Seed};
use peerage_tests::{Bench, Client, ParsedAnswer, Peer, Town};
use serde_json::Value;

use crate::bare;

const ADMIN: &str = "admin-token";
const READ: &str = "read-token";
const WRITE: &str = "write-token";

/// Every endpoint of the API.
const ENDPOINTS: [(&str, &str); 26] = [
    ("GET", "/v1/peers"),
    ("POST", "/v1/peers"),
    ("GET", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR"),
    ("PUT", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR"),
    ("DELETE", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR"),
    ("GET", "/v1/cluster/status"),
    ("POST", "/v1/cluster/sync"),
    ("POST", "/v1/cluster/init"),
    ("GET", "/v1/cluster/credentials"),
    ("GET", "/v1/credentials"),
    ("POST", "/v1/credentials"),
    ("DELETE", "/v1/credentials/cli_x"),
    ("POST", "/v1/cluster/credentials/rotate"),
    ("GET", "/v1/license"),
    ("PUT", "/v1/license"),
    ("DELETE", "/v1/peers/self"),
    // Whoever asks these needs no token, and a bad one does no harm.
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/v1/cluster/identity"),
    ("POST", "/v1/oauth/token"),
    ("POST", "/v1/bootstrap"),
    ("POST", "/v1/cluster/handshake"),
    ("POST", "/v1/cluster/gossip"),
    ("POST", "/v1/cluster/deactivate"),
];

fn members(config: &mut Config) {
    let token = |text: &str, scopes| FixedToken {
        digest: SecretDigest::of(text),
        scopes,
    };
    let write = Scopes::PEERS_READ.union(Scopes::PEERS_WRITE);
    config.cluster.tokens = vec![
        token(ADMIN, Scopes::ADMIN),
        token(READ, Scopes::PEERS_READ),
        token(WRITE, write),
    ];
    config.cluster.clients = vec![FixedClient {
        id: "root".into(),
        digest: SecretDigest::of("root-secret"),
        scopes: Scopes::ADMIN,
    }];
}

fn bench() -> Bench {
    Bench::with(members)
}

/// A request without a body, by the bearer of `token`.
fn by(token: &str, method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// A request with a body, by the bearer of `token`.
fn with(token: &str, method: &str, target: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n\r\n{body}"
    )
}

fn form(body: &str) -> String {
    format!(
        "POST /v1/oauth/token HTTP/1.1\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
    )
}

/// What was asked and answered, by whoever, without the headers that every answer has.
fn brief(bench: &mut Bench, requests: &[String]) -> String {
    let mut told = String::new();
    for request in requests {
        let lines: Vec<&str> = request.split("\r\n").collect();
        let body = lines.last().filter(|body| !body.is_empty());
        let bearer = lines
            .iter()
            .find_map(|line| line.strip_prefix("Authorization: "));
        told += lines[0].strip_suffix(" HTTP/1.1").expect("a request");
        told += &bearer.map_or_else(String::new, |bearer| format!("  ({bearer})"));
        told += &body.map_or_else(String::new, |body| format!("  {body}"));
        let answer = bench.fetch(request);
        told += &format!("\n    {} {}\n", answer.status, answer.text());
    }
    told
}

/// `n` nodes that can reach each other, as benches.
fn town(n: u8, change: impl Fn(u8, &mut Config)) -> Town {
    let bench = |n: u8| {
        let mut config = Bench::config(n);
        members(&mut config);
        change(n, &mut config);
        Bench::of(config, Seed([n; 32]))
    };
    Town::new((1..=n).map(bench).collect())
}

/// Asks a bench of a town, and gives the answer once it comes.
fn fetch(town: &mut Town, at: usize, request: &str) -> ParsedAnswer {
    let ticket = town.bench(at).ask(request);
    town.settle();
    let answer = town.bench(at).answer(ticket).expect("an answer");
    ParsedAnswer::read(answer.as_bytes()).expect("answers are HTTP")
}

fn address(n: usize) -> String {
    format!("10.0.0.{n}:1789")
}

fn add(town: &mut Town, at: usize, other: usize) -> ParsedAnswer {
    let body = format!(r#"{{"address":"{}"}}"#, address(other + 1));
    fetch(town, at, &with(ADMIN, "POST", "/v1/peers", &body))
}

fn listed(town: &mut Town, at: usize) -> Vec<String> {
    let list = fetch(town, at, &by(READ, "GET", "/v1/peers?is_local=false"));
    let address = |peer: &Value| peer["address"].as_str().expect("text").to_owned();
    list.json()
        .as_array()
        .expect("a list")
        .iter()
        .map(address)
        .collect()
}

fn own_id(town: &mut Town, at: usize) -> String {
    let identity = fetch(town, at, &bare("GET", "/v1/cluster/identity")).json();
    identity["peer_id"].as_str().expect("text").to_owned()
}

fn code(answer: &ParsedAnswer) -> String {
    answer.json()["code"].as_str().unwrap_or("none").to_owned()
}

// Rows 1 and 2, and the well-known documents.
#[test]
fn health_and_identity_need_no_token() {
    let mut bench = bench();
    bench.send(bare("GET", "/livez"));
    bench.send(bare("GET", "/readyz"));
    bench.send(bare("GET", "/v1/cluster/identity"));
    bench.send(bare("HEAD", "/v1/cluster/identity"));
    bench.send(bare("GET", "/.well-known/jwks.json"));
    bench.send(bare("GET", "/.well-known/openid-configuration"));
    bench.advance(Duration::from_secs(1));
    bench.send(bare("GET", "/livez"));
    insta::assert_snapshot!(bench.story());
}

// Rows 3, 4 and 5.
#[test]
fn every_endpoint_answers_each_kind_of_token() {
    let mut bench = bench();
    let made = |bench: &mut Bench| {
        let body = "grant_type=client_credentials&client_id=root&client_secret=root-secret";
        let made = bench.fetch(form(body)).json();
        let token = made["access_token"].as_str().expect("text");
        format!("Authorization: Bearer {token}\r\n")
    };
    let expired = made(&mut bench);
    bench.advance(Duration::from_secs(3_600));
    let mut config = Bench::config(2);
    members(&mut config);
    let mut other = Bench::of(config, Seed([2; 32]));
    other.advance(Duration::from_secs(3_600));
    let foreign = made(&mut other);
    let mut told = String::new();
    for (method, path) in ENDPOINTS {
        let authorizations = [
            ("none", String::new()),
            ("malformed", "Authorization: Bearer\r\n".into()),
            (
                "basic",
                "Authorization: Basic cm9vdDpyb290LXNlY3JldA==\r\n".into(),
            ),
            ("unknown", "Authorization: Bearer nobody\r\n".into()),
            ("expired", expired.clone()),
            ("another node's", foreign.clone()),
            ("read", format!("Authorization: Bearer {READ}\r\n")),
            ("write", format!("Authorization: Bearer {WRITE}\r\n")),
            ("admin", format!("Authorization: Bearer {ADMIN}\r\n")),
            ("made for an admin", made(&mut bench)),
        ];
        told += &format!("{method} {path}\n");
        for (kind, authorization) in authorizations {
            // What is wrong with a body is said after what is wrong with the token.
            let request = format!("{method} {path} HTTP/1.1\r\n{authorization}\r\n[");
            let answer = bench.fetch(request);
            told += &format!("    {kind}: {} {}\n", answer.status, code(&answer));
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn readme_lists_every_endpoint_with_the_scope_that_it_needs() {
    let readme = include_str!("../../README.md");
    let (_, section) = readme
        .split_once("\n## The cluster API\n")
        .expect("a section");
    let (section, _) = section.split_once("\n## ").expect("more sections");
    let all: Vec<String> = Scopes::all_names().collect();
    let names = |keep: &dyn Fn(&str) -> bool| -> Scopes {
        let names = all.iter().map(String::as_str).filter(|name| keep(name));
        Scopes::of_all(names).expect("scopes")
    };
    let mut listed = Vec::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let scope = cells[2].trim_matches('`');
        let is_scope = |name: &str| name.rsplit(':').next() == Some(scope);
        let fits = match scope {
            "none" => None,
            "any" => Some((Scopes::of("services.read").expect("a scope"), Scopes::NONE)),
            _ => {
                let few = names(&is_scope);
                assert!(!few.is_empty(), "{row}");
                let many = names(&|name| !is_scope(name) && !name.ends_with("admin"));
                Some((few, many))
            }
        };
        for endpoint in cells[1].split('`').skip(1).step_by(2) {
            let (method, path) = endpoint.split_once(' ').expect("a method and a path");
            let path = path.replace("{id}", "peer_01KBYMHC35F0N070F3XXMEZAZR");
            let path = path.replace("{client_id}", "cli_x");
            let status = |scopes: Option<Scopes>| {
                let mut bench = Bench::with(|config| {
                    config
                        .cluster
                        .tokens
                        .extend(scopes.map(|scopes| FixedToken {
                            digest: SecretDigest::of(ADMIN),
                            scopes,
                        }));
                });
                bench.fetch(with(ADMIN, method, &path, "[")).status
            };
            match fits {
                None => assert!(![401, 403].contains(&status(None)), "{endpoint}"),
                Some((few, many)) => {
                    assert_eq!(status(None), 401, "{endpoint}");
                    assert!(![401, 403].contains(&status(Some(few))), "{endpoint}");
                    let other = status(Some(many));
                    assert!(many.is_empty() || other == 403, "{endpoint}");
                }
            }
            listed.push((method.to_owned(), path));
        }
    }
    let mut expected = ENDPOINTS.map(|(method, path)| (method.to_owned(), path.to_owned()));
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    for limit in [
        CREDENTIALS_MAX,
        GOSSIP_RECORDS_MAX,
        MEMBERS_MAX,
        NAME_CHARS_MAX,
    ] {
        let digits = limit.to_string();
        let said = section.replace(',', "");
        assert!(said.contains(&digits), "{digits}");
    }
    assert!(section.contains(&format!("{} KiB", CLUSTER_BODY_MAX >> 10)));
    assert!(section.contains(&format!("{} MiB", GOSSIP_BODY_MAX >> 20)));
}

#[test]
fn headers_say_what_to_do_instead() {
    let mut bench = bench();
    let mut header = |request: &str, name: &str| {
        let answer = bench.fetch(request);
        let value = answer.headers.get(name);
        value.map(|value| value.to_str().expect("visible").to_owned())
    };
    for (path, methods) in [
        ("/livez", "GET,HEAD"),
        ("/v1/cluster/sync", "POST"),
        ("/v1/cluster/init", "POST"),
        ("/v1/credentials", "GET,HEAD,POST"),
        ("/v1/credentials/cli_x", "DELETE"),
        ("/v1/license", "GET,HEAD,PUT"),
        ("/v1/peers", "GET,HEAD,POST"),
        ("/v1/peers/self", "GET,HEAD,PUT,DELETE"),
    ] {
        let allowed = header(&by(ADMIN, "PATCH", path), "allow");
        assert_eq!(allowed.as_deref(), Some(methods), "{path}");
    }
    let asked = |request: &str, header: &mut dyn FnMut(&str, &str) -> Option<String>| {
        header(request, "www-authenticate")
    };
    let nobody = asked(&bare("GET", "/v1/peers"), &mut header);
    assert_eq!(nobody.as_deref(), Some("Bearer"));
    let wrong = form("grant_type=client_credentials&client_id=root&client_secret=wrong");
    let client = asked(&wrong, &mut header);
    // The harness shows quotes with a backslash before them.
    assert_eq!(client.as_deref(), Some(r#"Basic realm=\"peerage\""#));
    assert_eq!(
        asked(&by(READ, "DELETE", "/v1/peers/self"), &mut header),
        None
    );

    let good = form("grant_type=client_credentials&client_id=root&client_secret=root-secret");
    let made = with(ADMIN, "POST", "/v1/credentials", "{}");
    let rotated = by(ADMIN, "POST", "/v1/cluster/credentials/rotate");
    for telling in [&good, &made, &rotated] {
        assert_eq!(
            header(telling, "cache-control").as_deref(),
            Some("no-store")
        );
        assert_eq!(header(telling, "pragma").as_deref(), Some("no-cache"));
    }
    for name in ["cache-control", "pragma"] {
        assert_eq!(header(&by(READ, "GET", "/v1/peers"), name), None);
    }
}

// Rows 6, 7 and 8.
#[test]
fn peers_are_listed_and_found() {
    let mut bench = bench();
    let identity = bench.fetch(bare("GET", "/v1/cluster/identity")).json();
    let id = identity["peer_id"].as_str().expect("text");
    let paths = [
        "/v1/peers".to_owned(),
        "/v1/peers?is_local=true".into(),
        "/v1/peers?is_local=false".into(),
        "/v1/peers?is_local=yes&other=1".into(),
        "/v1/peers?other=1".into(),
        format!("/v1/peers/{id}"),
        "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR".into(),
        "/v1/peers/01KBYMHC35F0N070F3XXMEZAZR".into(),
        "/v1/peers/rubbish".into(),
        "/v1/peers/self".into(),
    ];
    let requests = paths.map(|path| by(READ, "GET", &path));
    insta::assert_snapshot!(brief(&mut bench, &requests));
}

// Rows 9 and 10.
#[test]
fn malformed_adds_are_refused() {
    let mut bench = bench();
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"address":null}"#,
        r#"{"address":""}"#,
        r#"{"address":7}"#,
        r#"{"address":"10.0.0.2"}"#,
        r#"{"address":"10.0.0.2:"}"#,
        r#"{"address":"10.0.0.2:0"}"#,
        r#"{"address":"10.0.0.2:65536"}"#,
        r#"{"address":"10.0.0.2:80/x"}"#,
        r#"{"address":"http://10.0.0.2:80"}"#,
        r#"{"address":" 10.0.0.2:80"}"#,
        r#"{"address":"::1:80"}"#,
        r#"{"address":"a b:80"}"#,
        r#"{"address":"10.0.0.2:80","name":7}"#,
        "{\"address\":\"10.0.0.2:80\u{0}\"}",
        r#"{"address":":80"}"#,
        r#"{"address":"[]:80"}"#,
        r#"{"address":"[::1:80"}"#,
        r#"{"address":"[::1]80"}"#,
        r#"{"address":"[rubbish]:80"}"#,
        r#"{"address":"[10.0.0.2]:80"}"#,
        r#"{"address":"[::1%lo]:80"}"#,
    ];
    let requests: Vec<String> = bodies
        .iter()
        .map(|body| with(WRITE, "POST", "/v1/peers", body))
        .collect();
    let told = brief(&mut bench, &requests);
    assert!(bench.calls().is_empty());
    insta::assert_snapshot!(told);
}

#[test]
fn adds_take_addresses_of_every_form() {
    let host = |bytes: usize| {
        let labels = "a234567890.".repeat(bytes.div_ceil(11));
        labels[labels.len() - bytes..].replacen('.', "b", 1)
    };
    for (address, taken) in [
        ("[::1]:80".to_owned(), true),
        ("[2001:db8::7]:65535".to_owned(), true),
        ("peer.example:1".to_owned(), true),
        (format!("{}:80", host(253).trim_end_matches('.')), true),
        (format!("{}b:80", host(253).trim_end_matches('.')), true),
        (format!("{}bb:80", host(253).trim_end_matches('.')), false),
    ] {
        let mut bench = bench();
        bench.everyone_else(Peer::refuses());
        let body = format!(r#"{{"address":"{address}"}}"#);
        let answer = bench.fetch(with(WRITE, "POST", "/v1/peers", &body));
        // Nobody answers there, so that it is called and nothing comes of it.
        let expected = if taken {
            (422, "HANDSHAKE_FAILED", 1)
        } else {
            (400, "INVALID_REQUEST", 0)
        };
        let found = (answer.status, code(&answer), bench.calls().len());
        assert_eq!((found.0, found.1.as_str(), found.2), expected, "{address}");
    }
}

// Row 11.
#[test]
fn nobody_junk_and_silence_are_handshakes_that_failed() {
    let junk = "HTTP/1.1 200 OK\r\n\r\n<html>";
    let half = "HTTP/1.1 200 OK\r\n\r\n{\"peer_id\":\"peer_01KBYMHC35F0N070F3XXMEZAZR\"}";
    let others = [
        Peer::refuses(),
        Peer::fails(CallError::Malformed),
        Peer::fails(CallError::TooLarge),
        Peer::answers(junk),
        Peer::answers(half),
        Peer::answers("HTTP/1.1 404 Not Found\r\n\r\n"),
        Peer::hangs(),
    ];
    let mut told = String::new();
    for other in others {
        let mut bench = bench();
        told += &format!("{other:?}\n");
        bench.everyone_else(other);
        let body = r#"{"address":"10.0.0.2:1789"}"#;
        let ticket = bench.ask(with(WRITE, "POST", "/v1/peers", body));
        bench.advance(Duration::from_secs(40));
        let answer = bench.answer(ticket).expect("within forty seconds");
        let answer = ParsedAnswer::read(answer.as_bytes()).expect("HTTP");
        told += &format!("    {} {}\n", answer.status, answer.text());
        assert!(bench.node().export().is_empty());
    }
    insta::assert_snapshot!(told);
}

// Rows 13 and 14: the whole exchange, signatures and all.
#[test]
fn peer_is_added_step_by_step() {
    let mut town = town(2, |_, _| ());
    assert_eq!(add(&mut town, 0, 1).status, 201);
    let first = town.bench(0).story();
    let second = town.bench(1).story();
    insta::assert_snapshot!(format!("{first}\n=== the other side ===\n\n{second}"));
}

// Rows 13 to 15.
#[test]
fn added_peers_list_each_other() {
    let mut town = town(2, |_, _| ());
    let answer = add(&mut town, 0, 1);
    assert_eq!(answer.status, 201);
    let peer = answer.json();
    let identity = fetch(&mut town, 1, &bare("GET", "/v1/cluster/identity")).json();
    assert_eq!(peer["id"], identity["peer_id"]);
    assert_eq!(peer["public_key"], identity["public_key"]);
    assert_eq!(
        (&peer["is_local"], &peer["name"]),
        (&false.into(), &"".into())
    );
    assert_eq!(listed(&mut town, 0), [address(2)]);
    assert_eq!(listed(&mut town, 1), [address(1)]);
    let path = format!("/v1/peers/{}", own_id(&mut town, 1));
    assert_eq!(fetch(&mut town, 0, &by(READ, "GET", &path)).json(), peer);
    for (from, to) in [(0, 1), (1, 0), (0, 0)] {
        let again = add(&mut town, from, to);
        assert_eq!(
            (again.status, code(&again).as_str()),
            (409, "ALREADY_EXISTS")
        );
    }
}

// Rows 16 and 17.
#[test]
fn other_licences_and_full_tables_store_nothing() {
    let mut town = town(3, |n, config| {
        if n == 2 {
            config.cluster.licence.id = "lic_other".into();
        }
        config.cluster.licence.nodes_max = if n == 3 { 1 } else { 2 };
    });
    for (from, to, expected) in [
        (0, 1, "LICENSE_MISMATCH"),
        (1, 0, "LICENSE_MISMATCH"),
        (0, 2, "NODE_LIMIT_EXCEEDED"),
        (2, 0, "NODE_LIMIT_EXCEEDED"),
    ] {
        let answer = add(&mut town, from, to);
        assert_eq!((answer.status, code(&answer).as_str()), (422, expected));
        for at in [from, to] {
            assert!(listed(&mut town, at).is_empty());
        }
    }
}

// Row 18.
#[test]
fn four_adds_at_once_are_one_and_crossing_ones_join_once() {
    let mut town = town(2, |_, _| ());
    let request = |other: usize| {
        let body = format!(r#"{{"address":"{}"}}"#, address(other));
        with(WRITE, "POST", "/v1/peers", &body)
    };
    let tickets: Vec<_> = (0..4).map(|_| town.bench(0).ask(request(2))).collect();
    town.settle();
    let mut statuses: Vec<u16> = tickets
        .into_iter()
        .map(|ticket| {
            let answer = town.bench(0).answer(ticket).expect("an answer");
            ParsedAnswer::read(answer.as_bytes()).expect("HTTP").status
        })
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);

    let mut town = self::town(2, |_, _| ());
    town.bench(0).ask(request(2));
    town.bench(1).ask(request(1));
    town.settle();
    assert_eq!(listed(&mut town, 0), [address(2)]);
    assert_eq!(listed(&mut town, 1), [address(1)]);
}

// Row 19.
#[test]
fn names_are_set_and_nothing_else() {
    let mut town = town(2, |_, _| ());
    add(&mut town, 0, 1);
    let path = format!("/v1/peers/{}", own_id(&mut town, 1));
    let long = format!(r#"{{"name":"{}"}}"#, "é".repeat(255));
    let longer = format!(r#"{{"name":"{}"}}"#, "é".repeat(256));
    let requests: Vec<String> = [
        r#"{"name":"Rack 7 ☃"}"#,
        "{}",
        r#"{"id":"x","public_key":"x","is_local":true,"address":"1.1.1.1:1"}"#,
        r#"{"name":null}"#,
        r#"{"name":""}"#,
        r#"{"name":7}"#,
        "[",
    ]
    .iter()
    .map(|body| with(WRITE, "PUT", &path, body))
    .chain([
        with(
            WRITE,
            "PUT",
            "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR",
            "{}",
        ),
        with(WRITE, "PUT", "/v1/peers/self", "{}"),
    ])
    .collect();
    let told = brief(town.bench(0), &requests);
    assert_eq!(
        fetch(&mut town, 0, &with(WRITE, "PUT", &path, &long)).status,
        200
    );
    assert_eq!(
        fetch(&mut town, 0, &with(WRITE, "PUT", &path, &longer)).status,
        400
    );
    insta::assert_snapshot!(told);
}

// Rows 20, 21 and 22.
#[test]
fn deleted_peer_is_gone_until_it_is_added_again() {
    let mut town = town(3, |_, _| ());
    add(&mut town, 0, 1);
    add(&mut town, 1, 2);
    town.advance(Duration::from_secs(20));
    assert_eq!(listed(&mut town, 0), [address(2), address(3)]);
    let path = format!("/v1/peers/{}", own_id(&mut town, 2));
    let own = format!("/v1/peers/{}", own_id(&mut town, 0));
    let requests = [
        by(WRITE, "DELETE", &path),
        by(WRITE, "DELETE", &path),
        by(WRITE, "DELETE", "/v1/peers/rubbish"),
        by(WRITE, "DELETE", &own),
    ];
    let told = brief(town.bench(0), &requests);
    town.advance(Duration::from_secs(60));
    assert_eq!(listed(&mut town, 0), [address(2)]);
    assert_eq!(listed(&mut town, 2).len(), 2, "the other side is not told");
    assert_eq!(add(&mut town, 0, 2).status, 201);
    assert_eq!(listed(&mut town, 0), [address(2), address(3)]);
    insta::assert_snapshot!(told);
}

// Row 23.
#[test]
fn node_leaves_and_does_not_come_back() {
    let mut town = town(3, |_, _| ());
    add(&mut town, 0, 1);
    add(&mut town, 1, 2);
    town.advance(Duration::from_secs(20));
    let refused = fetch(&mut town, 0, &by(WRITE, "DELETE", "/v1/peers/self"));
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (403, "FORBIDDEN")
    );
    let left = fetch(&mut town, 0, &by(ADMIN, "DELETE", "/v1/peers/self"));
    let again = fetch(&mut town, 0, &by(ADMIN, "DELETE", "/v1/peers/self"));
    assert_eq!(left.text(), again.text());
    insta::assert_snapshot!(left.text());
    assert_eq!(listed(&mut town, 1), [address(3)]);
    town.advance(Duration::from_secs(60));
    assert_eq!(listed(&mut town, 1), [address(3)]);
    assert_eq!(listed(&mut town, 2), [address(2)]);
    let refused = add(&mut town, 0, 1);
    assert_eq!(refused.json()["error"], "local peer is deactivated");
}

#[test]
fn node_that_left_comes_back_if_that_is_forced() {
    let mut town = town(2, |_, config| {
        config.cluster.licence.id = "lic_given".into();
    });
    add(&mut town, 0, 1);
    let path = "/v1/cluster/init";
    let asks = [
        by(ADMIN, "POST", path),
        with(ADMIN, "POST", path, "{}"),
        with(ADMIN, "POST", path, r#"{"force":null,"other":1}"#),
        with(ADMIN, "POST", path, r#"{"force":false}"#),
        with(WRITE, "POST", path, r#"{"force":true}"#),
        with(ADMIN, "POST", path, r#"{"force":"true"}"#),
        with(ADMIN, "POST", path, r#"{"force":1}"#),
        with(ADMIN, "POST", path, "[true]"),
        with(ADMIN, "POST", path, "{"),
        with(ADMIN, "POST", path, " "),
        with(ADMIN, "POST", path, r#"{"force":true}"#),
    ];
    let mut told = String::from("--- in a cluster\n");
    told += &brief(town.bench(0), &asks);
    assert_eq!(listed(&mut town, 0), [address(2)]);
    fetch(&mut town, 0, &by(ADMIN, "DELETE", "/v1/peers/self"));
    assert!(listed(&mut town, 1).is_empty());
    told += "--- after it left\n";
    told += &brief(town.bench(0), &asks);
    assert!(listed(&mut town, 0).is_empty());
    town.advance(Duration::from_secs(60));
    assert!(listed(&mut town, 1).is_empty());
    assert_eq!(add(&mut town, 1, 0).status, 201);
    assert_eq!(listed(&mut town, 0), [address(2)]);
    told += "--- after it was added again\n";
    told += &brief(town.bench(0), &asks[..1]);
    insta::assert_snapshot!(told);
}

// Rows 25 and 26.
#[test]
fn gossip_makes_tables_equal_again() {
    let mut town = town(4, |_, _| ());
    add(&mut town, 0, 1);
    add(&mut town, 1, 2);
    town.advance(Duration::from_secs(20));
    assert_eq!(listed(&mut town, 0), [address(2), address(3)]);
    town.take_down(3);
    add(&mut town, 0, 3);
    town.advance(Duration::from_secs(60));
    town.take_up(3);
    add(&mut town, 2, 3);
    town.advance(Duration::from_secs(60));
    for at in 0..4 {
        let mut expected: Vec<String> = (1..=4).map(address).collect();
        expected.remove(at);
        let mut found = listed(&mut town, at);
        found.sort();
        assert_eq!(found, expected);
    }
    town.restart(1);
    assert_eq!(listed(&mut town, 1).len(), 3);
    let status = fetch(&mut town, 0, &by(ADMIN, "GET", "/v1/cluster/status"));
    insta::assert_snapshot!(status.text());
    let sync = fetch(&mut town, 0, &by(ADMIN, "POST", "/v1/cluster/sync"));
    assert_eq!(sync.text(), r#"{"triggered":true}"#);
}

// Row 27.
#[test]
fn tokens_are_made_and_end() {
    let mut bench = bench();
    let requests = [
        form("grant_type=client_credentials&client_id=root&client_secret=wrong"),
        form("grant_type=client_credentials&client_id=ghost&client_secret=root-secret"),
        form("grant_type=password&client_id=root&client_secret=root-secret"),
        form("client_id=root&client_secret=root-secret"),
        form("grant_type=client_credentials&client_id=root"),
        form("grant_type=client_credentials&client_id=root&client_id=root&client_secret=x"),
        form(""),
    ];
    let told = brief(&mut bench, &requests);
    insta::assert_snapshot!(told);
    bench.story();
    let good = form("grant_type=client_credentials&client_id=root&client_secret=root%2Dsecret");
    bench.send(&good);
    insta::assert_snapshot!("a_token_is_made", bench.story());
    let made = bench.fetch(&good).json();
    assert_eq!(made["expires_in"], 3600);
    let basic = bench.fetch(
        "POST /v1/oauth/token HTTP/1.1\r\nAuthorization: Basic cm9vdDpyb290LXNlY3JldA==\r\n\r\n\
         grant_type=client_credentials",
    );
    assert_eq!(basic.status, 200);
    let token = made["access_token"].as_str().expect("text").to_owned();
    assert_eq!(bench.fetch(by(&token, "GET", "/v1/peers")).status, 200);
    bench.advance(Duration::from_secs(3_599));
    assert_eq!(bench.fetch(by(&token, "GET", "/v1/peers")).status, 200);
    bench.advance(Duration::from_secs(1));
    let over = bench.fetch(by(&token, "GET", "/v1/peers"));
    assert_eq!((over.status, code(&over).as_str()), (401, "TOKEN_EXPIRED"));
}

// Row 28.
#[test]
fn scoped_credential_reads_and_does_not_write() {
    let mut bench = bench();
    let made = bench.fetch(with(
        ADMIN,
        "POST",
        "/v1/credentials",
        r#"{"scopes":["peers.read"]}"#,
    ));
    assert_eq!(made.status, 201);
    let made = made.json();
    let (id, secret) = (
        made["client_id"].as_str().expect("text"),
        made["client_secret"].as_str().expect("text"),
    );
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let token = bench.fetch(form(&body)).json();
    let token = token["access_token"].as_str().expect("text").to_owned();
    assert_eq!(bench.fetch(by(&token, "GET", "/v1/peers")).status, 200);
    let add = bench.fetch(with(&token, "POST", "/v1/peers", "{}"));
    assert_eq!((add.status, code(&add).as_str()), (403, "FORBIDDEN"));
    let list = bench.fetch(by(ADMIN, "GET", "/v1/credentials"));
    assert!(!list.text().contains(secret));
    insta::assert_snapshot!(list.text());
    let path = format!("/v1/credentials/{id}");
    let gone = bench.fetch(by(ADMIN, "DELETE", &path));
    assert_eq!(gone.text(), r#"{"deleted":true}"#);
    assert_eq!(bench.fetch(by(&token, "GET", "/v1/peers")).status, 401);
}

#[test]
fn token_allows_what_its_form_asks_for() {
    let mut bench = bench();
    let ask = |scope: &str| {
        let body = "grant_type=client_credentials&client_id=root&client_secret=root-secret";
        form(&format!("{body}{scope}"))
    };
    let mut told = String::new();
    for scope in [
        "&scope=peers.read",
        "&scope=urn%3Atillered%3Aarctic%3Apeers.read",
        "&scope=peers.read+credentials.read",
        "&scope=",
        "&scope=rubbish",
        "&scope=peers.read&scope=admin",
    ] {
        let answer = bench.fetch(ask(scope));
        let body = answer.json();
        let token = body["access_token"].as_str().unwrap_or("none").to_owned();
        told += &format!("{scope}\n    {} {}", answer.status, body["scope"]);
        told += &format!(" {}\n", body["error"]);
        for (method, path) in [
            ("GET", "/v1/peers"),
            ("GET", "/v1/credentials"),
            ("GET", "/v1/cluster/status"),
        ] {
            let status = bench.fetch(by(&token, method, path)).status;
            told += &format!("    {method} {path} {status}\n");
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn scopes_of_a_credential_have_two_spellings() {
    let mut bench = bench();
    let mut told = String::new();
    for body in [
        r#"{"scopes":["urn:tillered:arctic:peers.read"]}"#,
        r#"{"scopes":["peers.read","urn:tillered:arctic:peers.read"]}"#,
        r#"{"scopes":[]}"#,
        "{}",
        r#"{"scopes":["urn:tillered:arctic:"]}"#,
        r#"{"scopes":["rubbish"]}"#,
        r#"{"scopes":"peers.read"}"#,
        r#"{"scopes":[7]}"#,
    ] {
        let answer = bench.fetch(with(ADMIN, "POST", "/v1/credentials", body));
        let made = answer.json();
        told += &format!("{body}\n    {} {}", answer.status, made["scopes"]);
        told += &format!(" {}\n", made["error"]);
    }
    insta::assert_snapshot!(told);
}

#[test]
fn expired_licence_keeps_its_peers() {
    let mut town = town(2, |n, config| {
        // A minute after the benches begin.
        config.cluster.licence.expires_s = (n == 1).then_some(1_700_000_060);
    });
    assert_eq!(add(&mut town, 0, 1).status, 201);
    let path = format!("/v1/peers/{}", own_id(&mut town, 1));
    town.advance(Duration::from_secs(60));
    let refused = fetch(&mut town, 0, &by(WRITE, "DELETE", &path));
    assert_eq!(
        (refused.status, code(&refused).as_str()),
        (422, "LICENSE_EXPIRED")
    );
    assert_eq!(listed(&mut town, 0), [address(2)]);
    assert_eq!(
        fetch(&mut town, 1, &by(READ, "GET", "/v1/peers")).status,
        200
    );
}

#[test]
fn paths_below_v1_have_one_owner_each() {
    let mut bench = bench();
    let mut told = String::new();
    for (method, path) in [
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/status"),
        ("GET", "/v1/chain"),
        ("GET", "/v1/version"),
        ("GET", "/v1/blocks/1"),
        ("GET", "/v1/headers/1"),
        ("GET", "/v1/txhashset/roots"),
        ("POST", "/v1/pool/push_tx"),
        ("GET", "/v1/peers/all"),
        ("GET", "/v1/peers/connected"),
        ("POST", "/v1/peers/all"),
        ("PUT", "/v1/peers/all"),
        ("DELETE", "/v1/peers/connected"),
        ("HEAD", "/v1/peers/all"),
        ("GET", "/v1/peers/1.2.3.4"),
        ("GET", "/v1/peers/1.2.3.4:3414"),
        ("GET", "/v1/peers/example.org"),
        ("DELETE", "/v1/peers/1.2.3.4"),
        ("GET", "/v1/peers/1.2.3.4/ban"),
        ("POST", "/v1/peers/1.2.3.4/ban"),
        ("POST", "/v1/peers/self/ban"),
        ("POST", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR/unban"),
        ("POST", "/v1/1.2.3.4/unban"),
        ("POST", "/v1/cluster/unban"),
        ("GET", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR"),
        ("PATCH", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR"),
        ("GET", "/v1/peers/01KBYMHC35F0N070F3XXMEZAZR"),
        ("PUT", "/v1/peers/01KBYMHC35F0N070F3XXMEZAZR"),
        ("DELETE", "/v1/peers/01KBYMHC35F0N070F3XXMEZAZR"),
        ("HEAD", "/v1/peers/peer_01KBYMHC35F0N070F3XXMEZAZR"),
        ("HEAD", "/v1/peers"),
        ("GET", "/v1/peers/"),
        ("POST", "/v1/peers/"),
        ("POST", "/v1/peers/self"),
        ("GET", "/v1/peers/rubbish"),
        ("GET", "/v1/peers/rubbish/more"),
        ("PUT", "/v1/peers"),
        ("GET", "/v1/cluster"),
        ("GET", "/v1/cluster/sync"),
        ("GET", "/v1/cluster/init"),
        ("POST", "/v1/cluster/init"),
        ("POST", "/v1/cluster/init/more"),
        ("GET", "/v1/oauth/token"),
        ("GET", "/v1/rubbish"),
        ("GET", "/v2/peers"),
        ("GET", "/.well-known/rubbish"),
    ] {
        let answer = bench.fetch(bare(method, path));
        told += &format!("{method} {path}\n    {} {}\n", answer.status, answer.text());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn nodes_reach_only_what_is_for_nodes() {
    let mut bench = bench();
    let node = Client::stranger("10.0.0.9:40000");
    let mut status = |method: &str, path: &str| {
        let request = with(ADMIN, method, path, "{}");
        let answer = bench.send_as(&node, request);
        ParsedAnswer::read(answer.as_bytes()).expect("HTTP").status
    };
    for (method, path) in [
        ("GET", "/v1/peers"),
        ("POST", "/v1/peers"),
        ("DELETE", "/v1/peers/self"),
        ("POST", "/v1/oauth/token"),
        ("POST", "/v1/bootstrap"),
        ("GET", "/v1/cluster/status"),
        ("POST", "/v1/cluster/init"),
        ("GET", "/livez"),
        ("GET", "/v1/rubbish"),
    ] {
        assert_eq!(status(method, path), 404, "{method} {path}");
    }
    assert_eq!(status("GET", "/v1/cluster/identity"), 200);
    for path in ["handshake", "gossip", "deactivate"] {
        let path = format!("/v1/cluster/{path}");
        assert_eq!(status("POST", &path), 400);
        assert_eq!(status("GET", &path), 405);
    }
}

#[test]
fn what_is_wrong_with_a_message_of_a_node_is_named() {
    let mut bench = bench();
    let mut told = String::new();
    let whole = r#"{"peer_id":"peer_01KBYMHC35F0N070F3XXMEZAZR","version":1,"address":"a:1",
        "public_key":"AAAA","name":"","deactivated_at":null,"signature":"SSSS"}"#
        .replace("AAAA", &format!("{}=", "A".repeat(43)))
        .replace("SSSS", &format!("{}==", "A".repeat(86)));
    for (path, body) in [
        ("handshake", "".to_owned()),
        ("handshake", "{".into()),
        ("handshake", "null".into()),
        ("handshake", "[1]".into()),
        ("handshake", "{}".into()),
        ("handshake", r#"{"version":1}"#.into()),
        ("handshake", r#"{"version":1,"version":1}"#.into()),
        ("handshake", r#"{"version":"rubbish"}"#.into()),
        ("handshake", r#"{"version":-1}"#.into()),
        ("handshake", r#"{"why":"rubbish"}"#.into()),
        ("gossip", r#"{"records":[{}]}"#.into()),
        ("deactivate", "{}".into()),
        ("deactivate", whole.replace("AAAA", "AAA")),
        ("deactivate", whole.replacen("peer_", "peer-", 1)),
        ("deactivate", whole.clone()),
    ] {
        let answer = bench.fetch_json("POST", &format!("/v1/cluster/{path}"), &body);
        assert!(!answer.text().contains("rubbish"));
        let begin: String = body.chars().take(40).collect();
        told += &format!("{path} {begin}\n    {} {}\n", answer.status, answer.text());
    }
    insta::assert_snapshot!(told);
}

#[test]
fn bootstrap_needs_a_key_and_no_licence_of_the_operator() {
    let mut bench = bench();
    let licence = r#"{"license":{"customer_id":"cust_1","license_id":"lic_1",
        "issued_at":"2023-01-01T00:00:00Z","expires_at":"2024-01-01T00:00:00Z","max_nodes":3,
        "max_services":0,"signature":"AAAA"}}"#
        .replace("AAAA", &format!("{}==", "A".repeat(86)));
    let mut told = String::new();
    for body in ["", "{}", r#"{"license":null}"#, r#"{"license":7}"#] {
        let answer = bench.fetch_json("POST", "/v1/bootstrap", body);
        told += &format!("{body} {} {}\n", answer.status, answer.text());
    }
    let answer = bench.fetch_json("POST", "/v1/bootstrap", &licence);
    told += &format!("whole: {} {}\n", answer.status, answer.text());
    let answer = bench.fetch(with(ADMIN, "PUT", "/v1/license", &licence));
    told += &format!("in place of another: {} {}\n", answer.status, answer.text());
    // Whichever field is missing or wrong is named.
    let fields: Value = serde_json::from_str(&licence).expect("JSON");
    for field in fields["license"].as_object().expect("an object").keys() {
        for wrong in [None, Some(Value::from(vec![1]))] {
            let mut changed = fields.clone();
            let licence = changed["license"].as_object_mut().expect("an object");
            licence.remove(field);
            licence.extend(wrong.map(|wrong| (field.clone(), wrong)));
            let changed = changed.to_string();
            let handed_in = bench.fetch_json("POST", "/v1/bootstrap", &changed);
            let replaced = bench.fetch(with(ADMIN, "PUT", "/v1/license", &changed));
            assert_eq!(handed_in.text(), replaced.text());
            assert_eq!((handed_in.status, replaced.status), (400, 400));
            let text = handed_in.json()["error"].to_string();
            assert!(
                text.starts_with(&format!("\"license.{field} must be ")),
                "{text}"
            );
            told += &format!("{text}\n");
        }
    }
    insta::assert_snapshot!(told);
    // With a key, the signature is looked at, unless the operator has configured a licence.
    let configured = "the license is set in the configuration";
    for (given, expected, text) in [
        (false, (422, "LICENSE_EXPIRED"), "the license has expired"),
        (true, (409, "ALREADY_BOOTSTRAPPED"), configured),
    ] {
        let mut bench = Bench::with(|config| {
            members(config);
            config.cluster.licence_key = Some(PublicKey::of_secret(&[77; 32]));
            if given {
                config.cluster.licence.id = "lic_given".into();
            }
        });
        let late = licence.replace("2024-01-01", "2023-02-01");
        let answer = bench.fetch_json("POST", "/v1/bootstrap", &late);
        assert_eq!((answer.status, code(&answer).as_str()), expected);
        assert_eq!(answer.json()["error"], text);
    }
}
