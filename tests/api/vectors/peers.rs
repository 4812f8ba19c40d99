//! The peer table: admission, pages, what sessions do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use peerage_core::commons::address::HostAddr;
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::ids::Fingerprint;
use peerage_core::time::WallTime;
use peerage_tests::vectors::text;
use peerage_tests::{Bench, ParsedAnswer, Peer};
use serde_json::{Value, json};

use super::{ensure, replay, same};

#[test]
fn versions_of_candidates() {
    replay("node_versions", |case| {
        let mut bench = Bench::new();
        bench.everyone_else(Peer::of_version(text(case, "header")));
        let answer = put(&mut bench, "cut", &Value::Null, "1.2.3.4:1789");
        same(
            "status",
            Some(answer.status.into()),
            case["put_peer_status"].as_u64(),
        )?;
        if let Some(body) = case["error_body"].as_str() {
            same("body", answer.text(), body)?;
        }
        if let Some(prefix) = case["error_body_prefix"].as_str() {
            ensure(answer.text().starts_with(prefix), answer.text())?;
        }
        Ok(())
    });
}

#[test]
fn hosts_that_are_reserved() {
    replay("reserved_hosts", |case| {
        for version in ChainwebVersion::ALL {
            let mut bench = Bench::with(|config| config.network = version);
            bench.everyone_else(Peer::of_version("2.32.0"));
            let path = format!("/chainweb/0.0/{version}/cut/peer");
            let body = json!({"id": null, "address": {"hostname": case["hostname"], "port": 1}});
            let answer = bench.fetch_json("PUT", &path, &body.to_string());
            if case["reserved"] == true && version.peer_validation() {
                same("status", answer.status, 400)?;
                same(
                    "body",
                    answer.text(),
                    "Invalid hostaddress: IsReservedHostAddress",
                )?;
                ensure(bench.calls().is_empty(), "probed a reserved host")?;
            } else {
                same("status", answer.status, 204)?;
                same("probes", bench.calls().len(), 1)?;
            }
        }
        Ok(())
    });
}

#[test]
fn pages() {
    let mut benches: BTreeMap<u64, Bench> = BTreeMap::new();
    replay("paging", |case| {
        let total = case["total"].as_u64().ok_or("no total")?;
        let bench = benches.entry(total).or_insert_with(|| populated(total));
        let order = walk(bench);
        same("peers", order.len() as u64, total)?;
        let query = case["raw_query"].as_str().map_or_else(
            || {
                let pairs = case["query"].as_object().expect("a query").iter();
                let pair = |(name, value): (&String, &Value)| {
                    format!("{name}={}", value.as_str().expect("a text"))
                };
                pairs.map(pair).collect::<Vec<_>>().join("&")
            },
            str::to_owned,
        );
        let answer = list(bench, "cut", &query);
        let expect = &case["expect"];
        same(
            "status",
            Some(answer.status.into()),
            expect["status"].as_u64(),
        )?;
        if answer.status != 200 {
            return same("body", Some(answer.text()), expect["body"].as_str());
        }
        let page = answer.json();
        same("limit", &page["limit"], &expect["limit"])?;
        same("next", &page["next"], &expect["next"])?;
        let place = |item: &Value| order.iter().position(|known| known == item);
        let items: Vec<Option<usize>> = page["items"]
            .as_array()
            .ok_or("no items")?
            .iter()
            .map(place)
            .collect();
        same("items", json!(items), expect["items"].clone())
    });
}

fn populated(total: u64) -> Bench {
    let mut bench = Bench::new();
    bench.everyone_else(Peer::of_version("2.32.0"));
    for n in 0..total {
        let addr = format!("1.{}.{}.7:1789", n / 250, n % 250);
        assert_eq!(put(&mut bench, "cut", &Value::Null, &addr).status, 204);
    }
    bench
}

/// All items, page by page.
fn walk(bench: &mut Bench) -> Vec<Value> {
    let mut items = Vec::new();
    let mut next = "inclusive:0".to_owned();
    loop {
        let mut page = list(bench, "cut", &format!("limit=512&next={next}")).json();
        if let Value::Array(page) = page["items"].take() {
            items.extend(page);
        }
        match page["next"].as_str() {
            Some(cursor) => next = cursor.to_owned(),
            None => return items,
        }
    }
}

fn list(bench: &mut Bench, network: &str, query: &str) -> ParsedAnswer {
    bench.fetch(format!(
        "GET /chainweb/0.0/development/{network}/peer?{query} HTTP/1.1\r\n\r\n"
    ))
}

fn put(bench: &mut Bench, network: &str, id: &Value, addr: &str) -> ParsedAnswer {
    let (host, port) = addr.rsplit_once(':').expect("host:port");
    let port: u16 = port.parse().expect("a port");
    let body = json!({"id": id, "address": {"hostname": host, "port": port}});
    let path = format!("/chainweb/0.0/development/{network}/peer");
    bench.fetch_json("PUT", &path, &body.to_string())
}

#[test]
fn rules_of_the_peer_table() {
    replay("peer_db", |case| {
        let steps = case["steps"].as_array().ok_or("no steps")?;
        let mut world = World::new(steps);
        for (index, step) in steps.iter().enumerate() {
            world
                .step(step)
                .map_err(|failure| format!("step {index}, {step}: {failure}"))?;
        }
        Ok(())
    });
}

/// A node whose sessions do what the steps say.
///
/// Sessions with the peers of a case run on the cut network. Pruning happens when a session
/// starts, so a helper that nobody counts is met on the network of a mempool.
struct World {
    bench: Bench,
    helpers: u32,
    private: bool,
}

const HELPERS: &str = "9.9.9.";

impl World {
    fn new(steps: &[Value]) -> Self {
        let private = steps.iter().any(|step| step["op"] == "make_private");
        let bench = Bench::with(|config| {
            config.sessions.cut_max = 4;
            config.sessions.mempool_max = 4;
            config.chains = 1;
            config.private = private;
            for step in steps
                .iter()
                .filter(|step| step["op"] == "configured_known_peer")
            {
                let info = match step["peer_id"].as_str() {
                    Some(id) => format!("{id}@{}", text(step, "address")),
                    None => text(step, "address").to_owned(),
                };
                config.known_peers.push(info.parse().expect("a peer"));
            }
        });
        Self {
            bench,
            helpers: 0,
            private,
        }
    }

    fn step(&mut self, step: &Value) -> Result<(), String> {
        match text(step, "op") {
            "active_sessions" => self.active_sessions(step),
            "certificate_mismatch" => {
                let other = Peer::of_version("2.32.0").with_certificate(Fingerprint([9; 32]), None);
                self.bench.peer(text(step, "address"), other);
                let before = self.bench.calls().len();
                self.until(|bench| bench.calls().len() > before)
            }
            "configured_known_peer" => Ok(()),
            "entry_count" => {
                let counted = |addr: &HostAddr| !addr.to_string().starts_with(HELPERS);
                let peers = &self.bench.node().commons().peers;
                let count = peers
                    .iter()
                    .filter(|(_, peer)| counted(&peer.info.address))
                    .count();
                same("entries", Some(count as u64), step["expect"].as_u64())
            }
            "list" => self.list(step),
            "make_private" => ensure(self.private, "not private"),
            "prune" => self.prune(step),
            "put" => {
                let addr = text(step, "address");
                self.at(step);
                self.bench.peer(addr, Peer::of_version("2.32.0"));
                let answer = put(
                    &mut self.bench,
                    text(step, "network"),
                    &step["peer_id"],
                    addr,
                );
                same("status", answer.status, 204)
            }
            "session_failed" => {
                let addr = text(step, "address");
                let times = step["times"].as_u64().ok_or("no times")?;
                self.bench.peer(addr, Peer::refuses());
                let goal = self.failures(addr) + times as u32;
                let addr = addr.to_owned();
                self.until(move |bench| failures(bench, &addr) == goal)
            }
            "session_succeeded" => {
                let addr = text(step, "address").to_owned();
                self.at(step);
                self.bench.peer(&addr, sociable());
                self.until(move |bench| failures(bench, &addr) == 0)
            }
            other => Err(format!("unknown step {other}")),
        }
    }

    fn at(&mut self, step: &Value) {
        let seconds = step["time"].as_u64().expect("a time");
        self.bench
            .set_wall(WallTime::from_secs(1_700_000_000 + seconds));
    }

    /// A session that is under way is one whose peer takes long to answer.
    fn active_sessions(&mut self, step: &Value) -> Result<(), String> {
        let addr = text(step, "address").to_owned();
        let active = step["delta"] == 1;
        self.bench.peer(
            &addr,
            if active {
                Peer::hangs()
            } else {
                Peer::refuses()
            },
        );
        self.until(move |bench| {
            let addr: HostAddr = addr.parse().expect("host:port");
            let found = bench.node().commons().peers.find(&addr);
            found.is_none_or(|(_, peer)| (peer.sessions > 0) == active)
        })
    }

    fn list(&mut self, step: &Value) -> Result<(), String> {
        let page = list(&mut self.bench, text(step, "network"), "").json();
        let mut found: Vec<Value> = page["items"]
            .as_array()
            .ok_or("no items")?
            .iter()
            .map(|item| {
                let address = &item["address"];
                let host = address["hostname"].as_str().unwrap_or("");
                json!({"id": item["id"], "address": format!("{host}:{}", address["port"])})
            })
            .collect();
        let mut expected = step["expect"].as_array().ok_or("no list")?.clone();
        found.sort_by_key(Value::to_string);
        expected.sort_by_key(Value::to_string);
        same("list", found, expected)
    }

    fn prune(&mut self, step: &Value) -> Result<(), String> {
        self.at(step);
        self.helpers += 1;
        let helper = format!("{HELPERS}{}:9", self.helpers);
        self.bench.peer(&helper, sociable());
        put(&mut self.bench, "chain/0/mempool", &Value::Null, &helper);
        let begun = move |bench: &Bench| {
            let helper: HostAddr = helper.parse().expect("host:port");
            bench
                .calls()
                .iter()
                .filter(|call| call.to.addr == helper)
                .count()
                > 1
        };
        self.until(begun)
    }

    fn failures(&self, addr: &str) -> u32 {
        failures(&self.bench, addr)
    }

    /// Lets a little time pass until `done`.
    fn until(&mut self, done: impl Fn(&Bench) -> bool) -> Result<(), String> {
        for _ in 0..200_000 {
            if done(&self.bench) {
                return Ok(());
            }
            self.bench.advance(Duration::from_millis(5));
        }
        Err("never happens".into())
    }
}

fn failures(bench: &Bench, addr: &str) -> u32 {
    let addr: HostAddr = addr.parse().expect("host:port");
    bench
        .node()
        .commons()
        .peers
        .find(&addr)
        .map_or(0, |(_, peer)| peer.failures)
}

/// A peer that a session goes well with.
fn sociable() -> Peer {
    Peer::talks(|sent| {
        let body = match sent.line() {
            line if line.starts_with("PUT") => "",
            line if line.contains("getPending") => r#"{"hashes":[],"highwaterMark":[1,0]}"#,
            _ => r#"{"limit":0,"items":[],"next":null}"#,
        };
        Some(format!(
            "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n{body}"
        ))
    })
}
