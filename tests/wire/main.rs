//! What is written is read again as the same: requests, answers, rows. No path has two owners, and
//! no bytes from strangers bring a decoder down.

mod corpus;

use std::collections::BTreeMap;

use http::{HeaderMap, Method};
use peerage_core::commons::network::{ChainwebVersion, NetworkId};
use peerage_core::http::{Head, Route, Site};
use peerage_core::rooms::chainweb_mempool::{self as mempool, ChainId, key::TxHash};
use peerage_core::rooms::{bans, chainweb_peers, cluster, grin, wattswarm};
use peerage_core::rows::{Record as _, RowError};
use peerage_core::{Listener, Request, Response, Row, commons};
use peerage_tests::{Draws, fuzz, generate};

const ROUNDS: u64 = 5_000;

/// Runs `check` with many seeds and names the one that fails.
fn for_seeds(check: impl Fn(&mut Draws) + std::panic::RefUnwindSafe) {
    for seed in 0..ROUNDS {
        let run = std::panic::catch_unwind(|| check(&mut Draws::new(seed)));
        assert!(run.is_ok(), "seed {seed}; Draws::new({seed}) repeats it");
    }
}

#[test]
fn requests_are_read_as_they_were_written() {
    for_seeds(|draws| {
        let request = generate::request(draws);
        for listener in [Listener::Api, Listener::P2p] {
            let expected = is_served(&request, listener).then_some(&request);
            assert_eq!(fuzz::send_on(&request, listener).as_ref(), expected);
        }
    });
}

/// Whether a request is for those who are on a listener: operators, or other nodes.
fn is_served(request: &Request, listener: Listener) -> bool {
    let (by_operators, by_nodes) = match request {
        Request::Bans(_) => (true, false),
        Request::ChainwebMempool(_) | Request::ChainwebPeers(_) => (true, true),
        Request::Cluster(request) => (true, request.is_of_nodes()),
        Request::Grin(request) => {
            let between_nodes = matches!(request, grin::Request::Between(..));
            (!between_nodes, between_nodes)
        }
        Request::Wattswarm(request) => {
            let between_nodes = matches!(request, wattswarm::Request::Deliver(_));
            (!between_nodes, between_nodes)
        }
    };
    match listener {
        Listener::Api => by_operators,
        Listener::P2p => by_nodes,
    }
}

#[test]
fn answers_are_read_as_they_were_written() {
    for_seeds(|draws| {
        let request = generate::request(draws);
        let response = generate::response_to(draws, &request);
        let reply = response.encode();
        let again = request.decode_response(reply.status.as_u16(), &reply.body);
        assert_eq!(again, response, "to {request:?}");
        let typed = !matches!(response, Response::Opaque(_));
        assert!(!typed || request.answer_is_read(), "to {request:?}");
    });
}

#[test]
fn rows_are_read_as_they_were_written() {
    for_seeds(|draws| {
        let row = generate::row(draws);
        let value = row.value().expect("a value");
        assert_eq!(Row::decode(&row.key(), &value).as_ref(), Ok(&row));
    });
}

#[test]
fn equal_keys_are_equal_rows() {
    let mut seen: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
    for_seeds_in_order(|draws| {
        let row = generate::row(draws);
        if let Some(before) = seen.insert(row.key(), row.clone()) {
            // Only a value may differ, or the case of a host.
            assert_eq!(name(&before), name(&row));
        }
    });
    assert!(seen.len() > 1_000);
}

fn for_seeds_in_order(mut check: impl FnMut(&mut Draws)) {
    for seed in 0..ROUNDS {
        check(&mut Draws::new(seed));
    }
}

/// What a row is about, apart from its value.
fn name(row: &Row) -> String {
    match row {
        Row::Commons(commons::Row::Ban(key, _)) => format!("ban {key}"),
        Row::Commons(commons::Row::Liveness(addr, _)) => {
            format!("liveness {}", addr.to_string().to_ascii_lowercase())
        }
        Row::Commons(commons::Row::Peer(addr, _)) => {
            format!("peer {}", addr.to_string().to_ascii_lowercase())
        }
        Row::ChainwebMempool(mempool::Row::Pending(chain, hash, _)) => {
            format!("pending {} {hash}", chain.0)
        }
        Row::Bans(row) => match *row {},
        Row::ChainwebPeers(row) => match *row {},
        Row::Wattswarm(row) => format!("wattswarm {:?}", row.key()),
        Row::Cluster(row) => format!("cluster {:?}", row.key()),
        Row::Grin(row) => format!("grin {:?}", row.key()),
    }
}

#[test]
fn keys_of_pending_commands_sort_by_chain_and_hash() {
    for_seeds(|draws| {
        let mut place = || (ChainId(draws.below(20) as u8), TxHash(draws.array()));
        let (first, second) = (place(), place());
        let key = |(chain, hash)| Row::from(mempool::Row::Pending(chain, hash, None)).key();
        assert_eq!(first.cmp(&second), key(first).cmp(&key(second)));
    });
}

#[test]
fn deleted_rows_keep_their_key() {
    for_seeds(|draws| {
        let row = generate::row(draws);
        let deleted = match row.clone() {
            Row::Commons(commons::Row::Ban(key, _)) => commons::Row::Ban(key, None).into(),
            Row::Commons(commons::Row::Liveness(addr, _)) => {
                commons::Row::Liveness(addr, None).into()
            }
            Row::Commons(commons::Row::Peer(addr, _)) => commons::Row::Peer(addr, None).into(),
            Row::ChainwebMempool(mempool::Row::Pending(chain, hash, _)) => {
                Row::from(mempool::Row::Pending(chain, hash, None))
            }
            Row::Bans(row) => match row {},
            Row::ChainwebPeers(row) => match row {},
            Row::Cluster(row) => cluster_deleted(row).into(),
            Row::Wattswarm(row) => wattswarm_deleted(row).into(),
            Row::Grin(row) => match row {
                grin::Row::Block(height, _) | grin::Row::Remains(height, _) => {
                    grin::Row::Block(height, None)
                }
                grin::Row::Peer(addr, _) => grin::Row::Peer(addr, None),
                grin::Row::Pending(digest, _) => grin::Row::Pending(digest, None),
            }
            .into(),
        };
        assert_eq!((deleted.key(), deleted.value()), (row.key(), None));
        assert_eq!(deleted.lazy(), row.lazy());
    });
}

fn cluster_deleted(row: cluster::Row) -> cluster::Row {
    match row {
        cluster::Row::Bought(_) => cluster::Row::Bought(None),
        cluster::Row::Credential(client, _) => cluster::Row::Credential(client, None),
        cluster::Row::Member(id, _) => cluster::Row::Member(id, None),
        cluster::Row::Own(_) => cluster::Row::Own(None),
        cluster::Row::Shared(_) => cluster::Row::Shared(None),
        cluster::Row::Tombstone(id, _) => cluster::Row::Tombstone(id, None),
        cluster::Row::Used(client, _) => cluster::Row::Used(client, None),
    }
}

fn wattswarm_deleted(row: wattswarm::Row) -> wattswarm::Row {
    use wattswarm::Row;
    match row {
        Row::Action(id, seq, _) => Row::Action(id, seq, None),
        Row::Contact(id, _) => Row::Contact(id, None),
        Row::Message(thread, id, _) => Row::Message(thread, id, None),
        Row::Pair(id, _) => Row::Pair(id, None),
        Row::Request(id, request, _) => Row::Request(id, request, None),
        Row::Running(_) => Row::Running(None),
        Row::Seen(key, _) => Row::Seen(key, None),
        Row::Thread(id, _) => Row::Thread(id, None),
    }
}

#[test]
fn tables_have_one_owner() {
    let owners = |table: u8| {
        [
            commons::Row::TABLES.contains(&table),
            bans::Row::TABLES.contains(&table),
            chainweb_peers::Row::TABLES.contains(&table),
            cluster::Row::TABLES.contains(&table),
            grin::Row::TABLES.contains(&table),
            mempool::Row::TABLES.contains(&table),
            wattswarm::Row::TABLES.contains(&table),
        ]
        .into_iter()
        .filter(|owns| *owns)
        .count()
    };
    for table in 0..=u8::MAX {
        assert!(owners(table) <= 1, "table {table:#04x}");
        if owners(table) == 0 {
            assert_eq!(
                Row::decode(&[table, 1], &[1]),
                Err(RowError::UnknownTable { table })
            );
        }
    }
    for_seeds(|draws| {
        let row = generate::row(draws);
        assert_eq!(owners(row.key()[0]), 1);
        let mut newer = row.value().expect("a value");
        newer[0] = 2;
        let refused = Row::decode(&row.key(), &newer);
        assert!(
            matches!(refused, Err(RowError::UnknownVersion { version: 2, .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn no_path_has_two_owners() {
    let paths = by_hand();
    let methods = [
        "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "WEIRD",
    ];
    let headers = HeaderMap::new();
    for network in ChainwebVersion::ALL {
        let site = Site {
            network,
            chains: 20,
        };
        for path in &paths {
            for method in methods {
                for listener in [Listener::Api, Listener::P2p] {
                    let method: Method = method.parse().expect("a method");
                    let head = Head {
                        listener,
                        method: &method,
                        path,
                        query: None,
                        headers: &headers,
                    };
                    assert!(Route::claims(&site, &head) <= 1, "{method} {path}");
                }
            }
        }
    }
}

#[test]
fn every_route_has_an_owner() {
    let site = Site {
        network: ChainwebVersion::Development,
        chains: 20,
    };
    let headers = HeaderMap::new();
    for_seeds(|draws| {
        let request = generate::request(draws);
        let outgoing = request.encode(&site);
        let path = outgoing.target.split('?').next().expect("a path");
        for listener in [Listener::Api, Listener::P2p] {
            let head = Head {
                listener,
                method: &outgoing.method,
                path,
                query: None,
                headers: &headers,
            };
            let owners = usize::from(is_served(&request, listener));
            assert_eq!(Route::claims(&site, &head), owners, "{listener:?} {path}");
        }
    });
}

/// Paths of every shape: all combinations of the words that routes are made of, up to a depth, and
/// what clients of every family ask for.
fn by_hand() -> Vec<String> {
    let words = [
        "chainweb",
        "0.0",
        "development",
        "mainnet01",
        "cut",
        "chain",
        "0",
        "19",
        "20",
        "mempool",
        "peer",
        "member",
        "insert",
        "v1",
        "peers",
        "1.2.3.4",
        "[::1]:1",
        "ban",
        "unban",
        "all",
        "blocks",
        "pool",
        "grin",
        "AutomatedTesting",
        "hello",
        "",
    ];
    let mut paths = vec![String::new()];
    let mut last = paths.clone();
    for _ in 0..3 {
        last = last
            .iter()
            .flat_map(|path| words.iter().map(move |word| format!("{path}/{word}")))
            .collect();
        paths.extend(last.iter().cloned());
    }
    let ends: Vec<String> = last.iter().step_by(7).cloned().collect();
    for prefix in [
        "/chainweb/0.0/development",
        "/chainweb/0.0/development/chain/0",
        "/v1/peers",
        "/api/peers",
        "/api",
    ] {
        paths.extend(ends.iter().map(|end| format!("{prefix}{end}")));
    }
    for network in NetworkId::all() {
        paths.push(format!("/chainweb/0.0/development/{network}/peer"));
        paths.push(format!("/chainweb/0.0/development/{network}/peer/"));
    }
    for path in [
        "/v1/peers/self/ban",
        "/v1/peers/peer_01HZX/ban",
        "/v1/peers/chainweb/unban",
        "/v1/chainweb/ban",
        "/v1/%70eers/1.2.3.4/ban",
        "/api/peers/list",
        "/api/peers/relationships",
        "/api/peers/dm/messages",
        "/api/p2p/dm",
        "/api/p2p/relationship",
        "/api/node/status",
        "/api/log/head/",
        "*",
        "//",
    ] {
        paths.push(path.to_owned());
    }
    paths
}
