//! What was recorded is read and shown alike; what is written is read again; spoilt bytes do no harm.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use peerage_mw::{
    Block, Chain, ChainState, Commitment, Format, Hash, Rules, Transaction, chain_file,
};
use serde_json::Value;

use super::*;
use crate::commons::network::ChainwebVersion;
use crate::http::Reception;
use crate::rooms::grin::page::Tip;
use crate::rooms::grin::types::{Between, Heights, Hello, Malformed, Name, Range, View};

const SITE: Site = Site {
    network: ChainwebVersion::Development,
    chains: 20,
};

fn receive(listener: Listener, outgoing: &Outgoing) -> Result<Request, Reply> {
    let (path, query) = match outgoing.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (outgoing.target.as_str(), None),
    };
    let head = Head {
        listener,
        method: &outgoing.method,
        path,
        query,
        headers: &HeaderMap::new(),
    };
    match route(&SITE, &head) {
        Some(Ok(routed)) => {
            let body = match routed.body_max {
                Some(_) => outgoing.body.clone(),
                None => Bytes::new(),
            };
            decode(&SITE, routed.route, body)
        }
        Some(Err(reply)) => Err(reply),
        None => Err(Reply::empty(404)),
    }
}

fn get(target: &str) -> Result<Request, Reply> {
    let outgoing = Outgoing {
        method: Method::GET,
        target: target.to_owned(),
        json: false,
        body: Bytes::new(),
    };
    receive(Listener::Api, &outgoing)
}

#[track_caller]
fn check_asks(target: &str, expected: Ask) {
    assert_eq!(get(target), Ok(Request::Ask(expected)), "{target}");
}

#[track_caller]
fn check_refuses(target: &str, text: &str) {
    match get(target) {
        Ok(Request::Ask(Ask::Malformed(asked))) => {
            assert_eq!((asked.status, asked.text.as_str()), (400, text), "{target}");
        }
        other => panic!("{target} is {other:?}"),
    }
}

fn recorded(name: &str) -> Vec<Value> {
    let text = match name {
        "node_v4.1.1" => include_str!("../../../../../tests/vectors/grin/node_v4.1.1.json"),
        "v1_over_chain" => include_str!("../../../../../tests/vectors/grin/v1_over_chain.json"),
        _ => panic!("no vectors {name}"),
    };
    let file: Value = serde_json::from_str(text).expect("vectors are JSON");
    file["cases"].as_array().expect("cases").clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

fn outgoing(case: &Value) -> Outgoing {
    let request = &case["request"];
    Outgoing {
        method: text(request, "method").parse().expect("a method"),
        target: text(request, "path").to_owned(),
        json: false,
        body: text(request, "body").to_owned().into(),
    }
}

fn chain() -> Vec<Block> {
    let text = include_bytes!("../../../../../tests/vectors/grin/chain.json");
    chain_file::read(&Rules::automated_testing(), text).expect("a chain")
}

fn state() -> ChainState {
    let blocks = chain();
    let mut state = ChainState::new(Rules::automated_testing(), &blocks[0]).expect("a first block");
    for block in &blocks[1..] {
        let _ = state.apply(block).expect("recorded blocks are right");
    }
    state
}

fn transactions() -> Vec<Arc<Transaction>> {
    let posts = recorded("v1_over_chain")
        .into_iter()
        .map(|case| outgoing(&case));
    let read = posts.filter_map(|it| match receive(Listener::Api, &it) {
        Ok(Request::Ask(Ask::Push { transaction, .. })) => Some(transaction),
        _ => None,
    });
    read.collect()
}

/// Cases of `node_v4.1.1` that are answered otherwise while they are read, and why.
const OTHERWISE: [(&str, &str); 5] = [
    (
        "root",
        "the index is at `/v1/`; what is at `/` is a slip of the original's routing",
    ),
    (
        "peer_unrecognized_s",
        "a path that is no address is the cluster's",
    ),
    ("peers_empty", "a path that is no address is the cluster's"),
    ("peer_get_deep", "only one element names a peer"),
    ("peer_bad_command", "only bans and their end are commands"),
];

#[test]
fn recorded_refusals_are_told_alike() {
    let mut refused = 0;
    let cases = recorded("node_v4.1.1")
        .into_iter()
        .chain(recorded("v1_over_chain"));
    for case in cases {
        let name = text(&case, "name");
        let path = text(&case["request"], "path");
        // Bans have a room of their own, and who may ask is the room's to judge.
        let elsewhere = path.ends_with("ban") || name.starts_with("auth_");
        if elsewhere || OTHERWISE.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let answered = (
            case["response"]["status"].as_u64().expect("a status"),
            text(&case["response"], "body").to_owned(),
        );
        let said = match receive(Listener::Api, &outgoing(&case)) {
            Ok(Request::Ask(Ask::Malformed(asked))) => (asked.status.into(), asked.text.clone()),
            Ok(_) => {
                let by_reading = answered.1.starts_with("failed: Request");
                assert!(!by_reading, "{name} is read, but should say {}", answered.1);
                continue;
            }
            Err(reply) => {
                let body = String::from_utf8_lossy(&reply.body).into_owned();
                (reply.status.as_u16().into(), body)
            }
        };
        refused += 1;
        assert_eq!(said, answered, "{name}: {path}");
    }
    assert!(refused >= 25, "{refused}");
}

#[test]
fn questions_are_read_as_they_were_written() {
    let id = Commitment([8; 33]);
    let mut asks = vec![
        Ask::ByIds(Arc::new([])),
        Ask::ByIds(Arc::new([id, Commitment::ZERO, id])),
        Ask::Chain,
        Ask::Compact,
        Ask::Connected,
        Ask::Index,
        Ask::MerkleProof(None),
        Ask::MerkleProof(Some(id)),
        Ask::Peers,
        Ask::Pool,
        Ask::Roots,
        Ask::Status,
        Ask::Validate { post: false },
        Ask::Validate { post: true },
        Ask::Version,
    ];
    let names = [
        Name::Height(0),
        Name::Height(u64::MAX),
        // Digits that a height could have too.
        Name::Digits(Arc::new([0x11; 32])),
        Name::Digits(Arc::new([0; 32])),
        Name::Digits(Arc::new(id.0)),
    ];
    for name in names {
        for bits in 0..8 {
            let view = View {
                compact: bits & 1 > 0,
                proofs: bits & 2 > 0,
                no_merkle: bits & 4 > 0,
            };
            asks.push(Ask::Block(name.clone(), view));
        }
        asks.push(Ask::Header(name));
    }
    for end in [None, Some(1), Some(u64::MAX)] {
        asks.push(Ask::HeightsToPositions { start: 0, end });
        asks.push(Ask::Outputs {
            start: 7,
            max: 0,
            end,
        });
        asks.push(Ask::Kernel {
            excess: id,
            from: end,
            to: None,
        });
        asks.push(Ask::Kernel {
            excess: id,
            from: None,
            to: end,
        });
    }
    for range in [Range::Kernels, Range::Outputs, Range::RangeProofs] {
        asks.push(Ask::Last(range, 3));
    }
    for only in [vec![], vec![id, Commitment::ZERO]] {
        for proofs in [false, true] {
            let only = only.clone();
            let heights = Heights {
                start: 5,
                end: 2,
                only,
                proofs,
            };
            asks.push(Ask::ByHeight(Arc::new(heights)));
        }
    }
    for addr in [
        "1.2.3.4:5",
        "[2001:db8::7]:3414",
        "localhost:0",
        "a.example:1",
    ] {
        asks.push(Ask::Peer(addr.parse().expect("an address")));
    }
    for transaction in transactions() {
        for fluff in [false, true] {
            let transaction = transaction.clone();
            asks.push(Ask::Push { transaction, fluff });
        }
    }
    for ask in asks {
        let request = Request::Ask(ask);
        let outgoing = encode_request(&SITE, &request);
        assert_eq!(receive(Listener::Api, &outgoing).as_ref(), Ok(&request));
        let between = receive(Listener::P2p, &outgoing);
        assert_eq!(between, Err(Reply::empty(404)), "{request:?}");
    }
}

#[test]
fn recorded_questions_are_written_again() {
    for name in ["node_v4.1.1", "v1_over_chain"] {
        for case in recorded(name) {
            let Ok(request) = receive(Listener::Api, &outgoing(&case)) else {
                continue;
            };
            let again = encode_request(&SITE, &request);
            assert_eq!(receive(Listener::Api, &again), Ok(request), "{case}");
        }
    }
}

#[test]
fn names_are_heights_or_digits() {
    let block = |name| Ask::Block(name, View::default());
    check_asks("/v1/blocks/+007", block(Name::Height(7)));
    check_asks("/v1/blocks/7//", block(Name::Height(7)));
    let digits = "AB".repeat(40);
    check_asks(
        &format!("/v1/headers/{digits}"),
        Ask::Header(Name::Digits(Arc::new([0xab; 33]))),
    );
    let zeros = "0".repeat(64);
    check_asks(
        &format!("/v1/headers/{zeros}"),
        Ask::Header(Name::Height(0)),
    );
    check_refuses("/v1/headers/-1", "Not a valid hash or height.");
    // Paths are not decoded.
    check_refuses("/v1/headers/%31", "Not a valid hash or height.");
    let odd = "a".repeat(65);
    check_refuses(
        &format!("/v1/headers/0x{odd}"),
        &format!("invalid input: {odd}"),
    );
}

#[test]
fn queries_are_read_leniently_or_not() {
    let last = |count| Ask::Last(Range::Outputs, count);
    check_asks("/v1/txhashset/lastoutputs?n=%2B3&n=4", last(3));
    check_asks("/v1/txhashset/lastoutputs?n=-3", last(10));
    check_asks("/v1/txhashset/lastoutputs?N=3", last(10));
    let outputs = Ask::Outputs {
        start: 1,
        max: 100,
        end: None,
    };
    check_asks("/v1/txhashset/outputs?start_index=x&end_index=0", outputs);
    let heights = |start, only: &[Commitment]| {
        let only = only.to_vec();
        Ask::ByHeight(Arc::new(Heights {
            start,
            end: 1,
            only,
            proofs: false,
        }))
    };
    check_asks("/v1/chain/outputs/byheight?", heights(1, &[]));
    check_asks(
        "/v1/chain/outputs/byheight?start_height=9&id=zz,0",
        heights(9, &[]),
    );
    check_asks(
        "/v1/chain/outputs/byheight?id=",
        heights(1, &[Commitment::ZERO]),
    );
    check_refuses(
        "/v1/chain/outputs/byheight?end_height=",
        "invalid value of parameter end_height",
    );
    let mut short = Commitment::ZERO;
    short.0[0] = 9;
    check_asks(
        "/v1/chain/outputs/byids?x=1&id=0x09&id=%2009",
        Ask::ByIds(Arc::new([short, short])),
    );
    check_refuses(
        "/v1/chain/outputs/byids?id=09,,xy",
        "Not a valid commitment: xy",
    );
    check_refuses(
        "/v1/blocks/1?compact=false&Compact",
        "unsupported query parameter: Compact",
    );
    let excess = "08".repeat(33);
    check_refuses("/v1/chain/kernels/0808", "invalid excess length");
    check_refuses(
        &format!("/v1/chain/kernels/{excess}?max_height="),
        "invalid maximum height",
    );
    let many = "09,".repeat(crate::limits::GRIN_IDS_MAX);
    check_refuses(
        &format!("/v1/chain/outputs/byids?id={many}"),
        "more than 4096 ids",
    );
}

#[test]
fn other_methods_lead_nowhere() {
    for (method, target) in [
        ("HEAD", "/v1/chain"),
        ("OPTIONS", "/v1/chain"),
        ("PUT", "/v1/pool/push"),
        ("GET", "/v1/chain/compact"),
        ("POST", "/v1/blocks/1"),
        ("POST", "/v1/peers/all"),
        ("DELETE", "/v1/"),
    ] {
        let outgoing = Outgoing {
            method: method.parse().expect("a method"),
            target: target.to_owned(),
            json: false,
            body: Bytes::new(),
        };
        let answer = receive(Listener::Api, &outgoing);
        assert_eq!(answer, Err(Reply::empty(404)), "{method} {target}");
    }
}

#[test]
fn both_names_of_pushing_are_one() {
    let case = recorded("v1_over_chain");
    let case = case
        .iter()
        .find(|case| text(case, "name").starts_with("push_1_"));
    let mut outgoing = outgoing(case.expect("a push"));
    assert_eq!(outgoing.target, "/v1/pool/push_tx?fluff");
    let pushed = receive(Listener::Api, &outgoing);
    assert!(matches!(
        pushed,
        Ok(Request::Ask(Ask::Push { fluff: true, .. }))
    ));
    outgoing.target = "/v1/pool/push?fluff=no".to_owned();
    assert_eq!(receive(Listener::Api, &outgoing), pushed);
    outgoing.target = "/v1/pool/push?x=fluff".to_owned();
    let stem = receive(Listener::Api, &outgoing);
    assert!(matches!(
        stem,
        Ok(Request::Ask(Ask::Push { fluff: false, .. }))
    ));
}

fn hello() -> Arc<Hello> {
    Arc::new(Hello {
        genesis: Hash([1; 32]).to_string(),
        address: "10.0.0.1:1789".to_owned(),
        user_agent: "MW/Grin 4.1.1".to_owned(),
        capabilities: 15,
        height: 7,
        total_difficulty: u64::MAX,
        tip: Hash([2; 32]).to_string(),
    })
}

/// One of each kind, and answers to it.
fn exchanges() -> Vec<(Between, Vec<Response>)> {
    let blocks = chain();
    let headers: Vec<_> = blocks.iter().map(|block| block.header().clone()).collect();
    let hashes: Arc<[Hash]> = blocks[..16].iter().map(Block::hash).collect();
    let mut exchanges = vec![
        (Between::Announce(headers[30].clone()), vec![Response::Done]),
        (
            Between::Blocks(Arc::new([])),
            vec![Response::Blocks(Arc::new([]))],
        ),
        (
            Between::Blocks(hashes.clone()),
            vec![Response::Blocks(blocks[..16].into())],
        ),
        (
            Between::Headers(hashes),
            vec![Response::Headers(headers.into())],
        ),
        (Between::Hello(hello()), vec![Response::Hello(hello())]),
    ];
    let bare = |transaction: &Transaction| {
        let rules = Rules::automated_testing();
        let bytes = transaction.encode(Format::V3).expect("always there");
        Transaction::decode(&rules, Format::V3, &bytes).expect("what was written")
    };
    for transaction in transactions() {
        let other = Arc::new(bare(&transaction));
        for (stem, transaction) in [(true, transaction), (false, other)] {
            exchanges.push((Between::Relay { stem, transaction }, vec![Response::Done]));
        }
    }
    let failures = [
        Response::Failed(503, "busy".into()),
        Response::NotFound,
        Response::Unauthorized,
    ];
    for (_, answers) in &mut exchanges {
        answers.extend(failures.iter().cloned());
    }
    exchanges
}

#[test]
fn nodes_understand_each_other() {
    for (between, answers) in exchanges() {
        let request = Request::Between(Chain::AutomatedTesting, between);
        let outgoing = encode_request(&SITE, &request);
        assert_eq!(receive(Listener::P2p, &outgoing).as_ref(), Ok(&request));
        let operators = receive(Listener::Api, &outgoing);
        assert_eq!(operators, Err(Reply::empty(404)), "{request:?}");
        for answer in answers {
            let reply = encode(&answer);
            let read = decode_response(&request, reply.status.as_u16(), &reply.body);
            assert_eq!(read, Some(answer), "{request:?}");
        }
    }
}

#[test]
fn what_no_node_says_is_refused() {
    let said = |chain: &str, word: &str, body: Vec<u8>| {
        let outgoing = Outgoing {
            method: Method::POST,
            target: format!("/grin/{chain}/{word}"),
            json: true,
            body: body.into(),
        };
        receive(Listener::P2p, &outgoing)
    };
    let refused = Err(Reply::plain(400, "not what nodes of this chain say"));
    let chain = "AutomatedTesting";
    assert_eq!(said(chain, "blocks", vec![0; 33]), refused);
    assert_eq!(said(chain, "blocks", vec![0; 32 * 17]), refused);
    assert_eq!(said(chain, "headers", vec![0; 32 * 21]), refused);
    assert_eq!(said(chain, "announce", vec![]), refused);
    assert_eq!(said(chain, "stem", vec![1, 0]), refused);
    assert_eq!(said(chain, "hello", b"{}".to_vec()), refused);
    let long = Hello {
        user_agent: "x".repeat(257),
        ..Hello::clone(&hello())
    };
    let long = serde_json::to_vec(&long).expect("JSON");
    assert_eq!(said(chain, "hello", long), refused);
    let nowhere = Err(Reply::empty(404));
    assert_eq!(said(chain, "ping", vec![]), nowhere);
    assert_eq!(said("Mainnet", "hello", vec![]), nowhere);
    // A header of one chain is none of the other.
    let header = self::chain()[3].header().encode().to_vec();
    assert!(said(chain, "announce", header.clone()).is_ok());
    assert_eq!(said("UserTesting", "announce", header), refused);
}

/// Bytes spoiled in every way: nothing panics, and what is still read is written and read again.
#[test]
fn spoilt_bytes_are_read_or_refused() {
    let mut draw = 1_u64;
    let mut below = move |end: usize| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (draw >> 33) as usize % end.max(1)
    };
    let mut spoil = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), below(256) as u8),
                _ if bytes.is_empty() => {}
                2 => bytes[at] ^= 1 << below(8),
                _ => bytes[at] = [0, 0xff, 0x7f, 0x80][below(4)],
            }
        }
        Bytes::from(bytes)
    };
    for (between, answers) in exchanges() {
        let request = Request::Between(Chain::AutomatedTesting, between);
        let outgoing = encode_request(&SITE, &request);
        for _ in 0..40 {
            let body = spoil(&outgoing.body);
            let spoilt = Outgoing {
                body,
                ..outgoing.clone()
            };
            if let Ok(read) = receive(Listener::P2p, &spoilt) {
                let again = encode_request(&SITE, &read);
                assert_eq!(receive(Listener::P2p, &again), Ok(read));
            }
            let reply = encode(&answers[below_of(&spoilt.body, answers.len())]);
            let body = spoil(&reply.body);
            let status = reply.status.as_u16();
            if let Some(read) = decode_response(&request, status, &body) {
                let again = encode(&read);
                let again = decode_response(&request, again.status.as_u16(), &again.body);
                assert_eq!(again, Some(read));
            }
        }
    }
}

fn below_of(bytes: &Bytes, end: usize) -> usize {
    bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % end
}

#[track_caller]
fn check_shows(case: &Value, response: &Response) {
    let reply = encode(response);
    let shown = String::from_utf8_lossy(&reply.body);
    let expected = text(&case["response"], "body");
    assert_eq!(shown, expected, "{}", text(case, "name"));
    assert_eq!(reply.status.as_u16(), case["response"]["status"]);
    assert_eq!(reply.content_type, None);
}

#[test]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whole rooms are tested with all recorded answers"
)]
fn recorded_answers_are_shown_alike() {
    let state = state();
    let mut shown = 0;
    for case in recorded("v1_over_chain") {
        let path = text(&case["request"], "path");
        let Ok(Request::Ask(ask)) = get(path) else {
            continue;
        };
        let tip = state.tip();
        let response = match ask {
            Ask::Header(Name::Digits(digits)) if digits.len() == 32 => {
                let headers = (0..).map_while(|height| state.header(height));
                let mut found = headers.filter(|header| header.hash().0[..] == digits[..]);
                Response::Header(found.next().expect("of this chain").clone())
            }
            Ask::Kernel { excess, .. } => {
                let kernel = state.kernel(&excess, 0, u64::MAX).cloned();
                Response::Kernel(kernel.map(Arc::new))
            }
            Ask::Chain => Response::Tip(Tip {
                height: tip.height(),
                hash: tip.hash(),
                previous: tip.previous(),
                total_difficulty: tip.total_difficulty(),
            }),
            Ask::Roots => Response::Roots(tip.clone()),
            Ask::Last(Range::Kernels, count) => {
                let count = usize::try_from(count).expect("a few");
                Response::Hashes(state.last_kernels(count).into())
            }
            _ => continue,
        };
        shown += 1;
        check_shows(&case, &response);
    }
    assert!(shown >= 38, "{shown}");
}

#[test]
fn what_is_the_same_for_everybody_is_shown_as_recorded() {
    let cases = recorded("node_v4.1.1");
    let case = |name: &str| cases.iter().find(|case| text(case, "name") == name);
    let check = |name, response: &Response| check_shows(case(name).expect("a case"), response);
    check("index", &Response::Index);
    check("version", &Response::Version(4));
    check("pool_one", &Response::Pool(1));
    check("push_fluff_ok", &Response::Pushed);
    check("validate", &Response::Done);
    check("kernel_out_of_range", &Response::Kernel(None));
    check("byids_spent", &Response::ByIds(Arc::new([])));
    check("merkleproof_spent", &Response::NotFound);
    check("auth_none", &Response::Unauthorized);
    let challenge = encode(&Response::Unauthorized).challenge;
    assert_eq!(challenge, Some("Basic realm=GrinAPI"));
}

#[test]
fn malformed_questions_keep_what_was_sent() {
    let Ok(Request::Ask(Ask::Malformed(asked))) = get("/v1/blocks/x?compact") else {
        panic!("not malformed");
    };
    let expected = Malformed {
        post: false,
        target: "/v1/blocks/x?compact".to_owned(),
        body: Bytes::new(),
        status: 400,
        text: "failed to parse input: Bad arguments: Not a valid hash or height.".to_owned(),
    };
    assert_eq!(*asked, expected);
}

#[test]
fn paths_between_nodes_are_posts() {
    let headers = HeaderMap::new();
    let head = |method| Head {
        listener: Listener::P2p,
        method,
        path: "/grin/UserTesting/hello",
        query: None,
        headers: &headers,
    };
    let get = crate::http::receive(&SITE, &head(&Method::GET));
    assert_eq!(get, Reception::Answer(Reply::empty(404)));
    let post = crate::http::receive(&SITE, &head(&Method::POST));
    assert!(matches!(post, Reception::Proceed(_)));
}
