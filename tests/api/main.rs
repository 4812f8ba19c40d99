//! The published contract: whole exchanges as snapshots, and the vector files replayed.
//!
//! A snapshot holds literal requests (`>`), calls (`=`), writes (`#`) and answers (`<`) in the order
//! in which they happened. Seed and clock are fixed, so nothing is filtered.

mod bans;
mod chainweb_mempool;
mod chainweb_peers;
mod cluster;
mod grin;
mod mined;
mod peer_pages;
mod pool;
mod rules;
mod sessions;
mod tokens;
mod town;
mod vectors;
mod wattswarm;

use peerage_tests::{Bench, Peer};

/// A request without a body.
fn bare(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n\r\n")
}

/// A request with a JSON body.
fn json(method: &str, target: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{body}")
}

/// The JSON of a peer.
fn info(id: Option<&str>, host: &str, port: u16) -> String {
    let id = id.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
    format!("{{\"id\":{id},\"address\":{{\"hostname\":\"{host}\",\"port\":{port}}}}}")
}

const CUT: &str = "/chainweb/0.0/development/cut/peer";
const MEMPOOL_PEER: &str = "/chainweb/0.0/development/chain/0/mempool/peer";
const MEMPOOL: &str = "/chainweb/0.0/development/chain/0/mempool";
const ID: &str = "PRLmVUcc9AH3fyfMYiWeC4nV2i1iHwc0-aM7iAO8h18";
const OTHER_ID: &str = "70HnUJJN41Ee-miB5ZlsqDJW3TRcTV5fZ9vM_Gw332k";

/// A bench around which everyone answers probes.
fn among_peers() -> Bench {
    let mut bench = Bench::new();
    bench.everyone_else(Peer::of_version("2.32.0"));
    bench
}

/// Announces a peer on the cut network.
fn announce(bench: &mut Bench, id: Option<&str>, host: &str, port: u16) {
    let answer = bench.fetch(json("PUT", CUT, &info(id, host, port)));
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// The hosts on the first page of a network, sorted.
fn listed(bench: &mut Bench, path: &str) -> Vec<String> {
    let page = bench.fetch(bare("GET", path)).json();
    let items = page["items"].as_array().expect("items");
    let host = |item: &serde_json::Value| {
        let address = &item["address"];
        format!(
            "{}:{}",
            address["hostname"].as_str().expect("a host"),
            address["port"]
        )
    };
    let mut hosts: Vec<String> = items.iter().map(host).collect();
    hosts.sort();
    hosts
}
