//! What release 4.1.1 of the Grin node was recorded to answer, asked of a whole node of ours; and what a
//! wallet of release 3.0.0 was recorded to ask.
//!
//! Status and body must be equal to the byte. `v1_over_chain` was recorded over a chain that ours takes
//! in as an operator's file. `node_v4.1.1` has a chain that today's rules would refuse, so ours finds it
//! on its disk, up to the height at which each case was recorded; around the cases stands what else had
//! happened to the recorded node.

use std::time::Duration;

use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::mw::Block;
use peerage_core::rooms::grin::rows::{PeerRecord, Row};
use peerage_core::rooms::grin::types::Hello;
use peerage_core::time::WallTime;
use peerage_core::{Row as AnyRow, Secret};
use peerage_tests::generate::grin::{chain_rows, deck, recorded_blocks};
use peerage_tests::vectors::{cases, text};
use peerage_tests::{Bench, Client, ParsedAnswer};
use serde_json::Value;

use super::{ensure, same};

/// Cases that are answered otherwise on purpose: file, case, reason. A case that agrees fails the test.
pub(super) type Otherwise = &'static [(&'static str, &'static str, &'static str)];

const OTHERWISE: Otherwise = &[
    (
        "node_v4.1.1",
        "root",
        "the index is at `/v1/`; what is at `/` is a slip of the original's routing",
    ),
    (
        "node_v4.1.1",
        "block_by_commit",
        "a block is found by an unspent commitment, as the API's document says",
    ),
    (
        "node_v4.1.1",
        "peer_unrecognized_s",
        "what is no IP address may be a name",
    ),
    (
        "node_v4.1.1",
        "peers_empty",
        "what is no address is the cluster's",
    ),
    (
        "node_v4.1.1",
        "peer_get_deep",
        "only one element names a peer",
    ),
    (
        "node_v4.1.1",
        "ban_not_connected",
        "200: the peer is banned, whatever the original says",
    ),
    (
        "node_v4.1.1",
        "peer_bad_command",
        "what is neither a ban nor its end is the cluster's",
    ),
    (
        "node_v4.1.1",
        "unban_doc_path",
        "served, as the API's document has it",
    ),
];

/// Names each case of a file that disagrees.
pub(super) fn replay(
    file: &str,
    otherwise: Otherwise,
    mut ask: impl FnMut(&str, &Value) -> Result<(), String>,
) {
    let all = cases("grin", file);
    let known = |name: &str| {
        let mut table = otherwise.iter();
        table.any(|(of, case, _)| *of == file && *case == name)
    };
    let mut failures = Vec::new();
    for case in &all {
        let name = text(case, "name");
        match (ask(name, case), known(name)) {
            (Ok(()), false) | (Err(_), true) => {}
            (Err(failure), false) => failures.push(format!("{name}: {failure}")),
            (Ok(()), true) => failures.push(format!("{name}: agrees; drop the override")),
        }
    }
    for (of, name, _) in otherwise {
        if *of == file && !all.iter().any(|case| case["name"] == *name) {
            failures.push(format!("{name}: no such case"));
        }
    }
    assert!(failures.is_empty(), "{file}\n{}", failures.join("\n"));
}

/// Asks as recorded and compares the answers.
fn ask(bench: &mut Bench, case: &Value) -> Result<(), String> {
    let answer = fetch(bench, &case["request"])?;
    let path = text(&case["request"], "path");
    let expected = &case["response"];
    same(
        "status",
        Some(answer.status.into()),
        expected["status"].as_u64(),
    )?;
    for header in expected["headers"].as_array().expect("headers") {
        let name = header[0].as_str().expect("a name");
        // The length of what HEAD has is told by a list of its own.
        if name != "content-length" {
            same(name, answer.header(name), header[1].as_str())?;
        }
    }
    let body = expected["body"].as_str().unwrap_or("");
    if path.ends_with("?compact") {
        return compare_compact(answer.text(), body);
    }
    same("body", answer.text(), body)
}

/// Asks as recorded.
pub(super) fn fetch(bench: &mut Bench, request: &Value) -> Result<ParsedAnswer, String> {
    let (method, path) = (text(request, "method"), text(request, "path"));
    let mut literal = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in request["headers"].as_object().expect("headers") {
        literal += &format!("{name}: {}\r\n", value.as_str().expect("a text"));
    }
    literal += "\r\n";
    literal += request["body"].as_str().unwrap_or("");
    let ticket = bench.ask(literal);
    // Validation goes on in steps.
    bench.advance(Duration::from_millis(1));
    let answer = bench.answer(ticket).ok_or("no answer")?;
    Ok(ParsedAnswer::read(answer.as_bytes()).ok_or("not HTTP")?)
}

/// Short ids are made with a number that is drawn for each answer.
fn compare_compact(found: &str, expected: &str) -> Result<(), String> {
    let split = |body: &str| -> Result<(String, Vec<String>), String> {
        let (before, ids) = body.split_once("\"kern_ids\": ").ok_or("no short ids")?;
        let ids = ids.strip_suffix("\n}").ok_or("something behind them")?;
        let ids: Vec<String> = serde_json::from_str(ids).map_err(|error| error.to_string())?;
        Ok((before.to_owned(), ids))
    };
    let (found, expected) = (split(found)?, split(expected)?);
    same("body", found.0, expected.0)?;
    same("short ids", found.1.len(), expected.1.len())?;
    ensure(
        found.1.iter().all(|id| id.len() == 12),
        "short ids of another length",
    )
}

/// A node that has taken in the recorded chain.
fn with_the_chain() -> Bench {
    let mut bench = Bench::with(|config| config.grin.import = Some(deck().blocks.clone().into()));
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.gauge("grin_height"), 30);
    bench
}

#[test]
fn answers_over_the_recorded_chain() {
    let mut bench = with_the_chain();
    replay("v1_over_chain", OTHERWISE, |_, case| ask(&mut bench, case));
}

/// The same, of a node that was restarted in the middle of everything.
#[test]
fn answers_after_a_restart() {
    let mut bench = with_the_chain();
    bench.restart();
    let mut asked = 0;
    replay("v1_over_chain", OTHERWISE, |name, case| {
        asked += 1;
        // Transactions that wait are only promised to be there a second later.
        if asked % 7 == 0 && !name.starts_with("push") && !name.starts_with("pool") {
            bench.restart();
        }
        ask(&mut bench, case)
    });
}

/// A recorded node and what happens around it.
pub(super) struct Old {
    pub(super) bench: Bench,
    blocks: Vec<Block>,
}

/// When the recorded node met its peers, in seconds since the Unix epoch.
const LINKED_S: u64 = 1_795_188_652;
const HEARD_S: u64 = 1_795_188_666;
const LINKED_AGAIN_S: u64 = 1_795_188_681;

impl Old {
    pub(super) fn new() -> Self {
        Self {
            bench: Bench::new(),
            blocks: recorded_blocks("node_v4.1.1"),
        }
    }

    /// Brings about the state in which a case was recorded.
    pub(super) fn prepare(&mut self, case: &str) {
        match case {
            "genesis_chain" => self.stand_at(0, &[]),
            "push_fluff_ok" => self.stand_at(7, &[]),
            "pool_after_mining" => self.stand_at(8, &[]),
            "push_height_locked_reached" => self.stand_at(11, &[]),
            "push_height_locked_next_block" => self.stand_at(14, &[]),
            "index" => self.stand_at(19, &[]),
            "status_with_peer" => {
                self.stand_at(19, &[("127.0.0.1:23401", false, 1_795_188_654)]);
                self.link(LINKED_S, 19);
            }
            "peer_by_ip" => {
                self.stand_at(
                    19,
                    &[
                        ("10.11.12.13:13414", false, HEARD_S),
                        ("10.11.12.14:3414", true, HEARD_S),
                        ("10.11.12.15:3414", false, HEARD_S),
                        ("[2001:db8::7]:3414", false, HEARD_S),
                        ("127.0.0.1:23401", false, 1_795_188_654),
                    ],
                );
                self.link(LINKED_S, 19);
                self.bench.set_wall(WallTime::from_secs(HEARD_S));
            }
            "ban_connected" => self.command("10.11.12.15", "ban"),
            "reconnected" => {
                self.command("127.0.0.1:23411", "unban");
                // A handshake of the original tells no height; what comes after it does.
                self.link(LINKED_AGAIN_S, 0);
            }
            "auth_none" => {
                self.bench = Bench::with(|config| {
                    config.grin.api_secret = Some(Secret("s3cret-for-tests".to_owned()));
                });
            }
            _ => {}
        }
    }

    /// A node that has the blocks up to `height` and knows these peers.
    fn stand_at(&mut self, height: usize, peers: &[(&str, bool, u64)]) {
        let mut rows = chain_rows(&self.blocks[..=height]);
        rows.extend(peers.iter().map(|(addr, defunct, last_connected)| {
            let record = PeerRecord {
                address: (*addr).to_owned(),
                defunct: *defunct,
                last_connected: *last_connected,
                ..PeerRecord::default()
            };
            let addr = addr.parse().expect("an address");
            AnyRow::from(Row::Peer(addr, Some(record)))
        }));
        // It calls nobody by itself.
        self.bench = Bench::with_rows(|config| config.grin.links_max = 0, &rows);
    }

    /// The second node links with it.
    fn link(&mut self, seconds: u64, height: u64) {
        self.bench.set_wall(WallTime::from_secs(seconds));
        let hello = Hello {
            genesis: self.blocks[0].hash().to_string(),
            address: "127.0.0.1:23411".to_owned(),
            user_agent: "MW/Grin 4.1.1".to_owned(),
            capabilities: 15,
            height,
            total_difficulty: 60,
            tip: self.blocks[19].hash().to_string(),
        };
        let hello = serde_json::to_string(&hello).expect("texts and numbers");
        let other = Client::node(
            "127.0.0.1:50000",
            Fingerprint([2; 32]),
            Some(PublicKey([2; 32])),
        );
        let request = format!("POST /grin/AutomatedTesting/hello HTTP/1.1\r\n\r\n{hello}");
        let answer = self.bench.send_as(&other, request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\n"), "{answer}");
    }

    fn command(&mut self, addr: &str, command: &str) {
        let request = format!("POST /v1/peers/{addr}/{command} HTTP/1.1\r\n\r\n");
        assert_eq!(self.bench.fetch(request).status, 200);
    }
}

#[test]
fn answers_of_the_old_node() {
    let mut old = Old::new();
    replay("node_v4.1.1", OTHERWISE, |name, case| {
        old.prepare(name);
        ask(&mut old.bench, case)
    });
}

/// A wallet restored from words, payments between wallets, and what they ask before and after the blocks
/// that hold them. The blocks come with the disk.
#[test]
fn answers_to_a_wallet() {
    let blocks = recorded_blocks("wallet_v3.0.0");
    let at = |height: usize| {
        let secret = Some(Secret("s3cret-for-tests".to_owned()));
        let rows = chain_rows(&blocks[..=height]);
        Bench::with_rows(|config| config.grin.api_secret = secret, &rows)
    };
    let (mut stands, mut bench) = (0, at(0));
    replay("wallet_v3.0.0", OTHERWISE, |name, case| {
        let height = case["height"].as_u64().expect("a height");
        if height != stands {
            (stands, bench) = (height, at(usize::try_from(height).expect("small")));
        }
        ask(&mut bench, case)?;
        if name.ends_with("push_tx") {
            same("waiting", bench.gauge("grin_pool"), 1)?;
        }
        Ok(())
    });
}
