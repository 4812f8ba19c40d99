//! The room as others see it: one node on a table, and a few that exchange what they have.

mod blocks;
mod compact;
mod exchange;
mod liars;
mod transactions;
mod turn;

use std::sync::{Arc, OnceLock};

use peerage_mw::{Block, Commitment, Format, Hash, Header, Rules, Transaction, chain_file};
use serde_json::Value;

use super::forge::Forge;
use super::page::Tip;
use super::types::{Ask, Between, Event, Hello, Name, Request, Response, View};
use crate::config::Config;
use crate::rooms;
use crate::scripted::{Script, addr, operator, peer_caller};
use crate::{CallId, Output};

pub(super) const RULES: Rules = Rules::automated_testing();

/// The recorded chain, its first block included.
pub(super) fn chain() -> Arc<[Block]> {
    static CHAIN: OnceLock<Arc<[Block]>> = OnceLock::new();
    let text = include_bytes!("../../../../tests/vectors/grin/chain.json");
    let read = || chain_file::read(&RULES, text).expect("a chain file").into();
    CHAIN.get_or_init(read).clone()
}

/// The recorded branch with more work, from the first block on.
pub(super) fn fork() -> Arc<[Block]> {
    let fork: Value =
        serde_json::from_slice(include_bytes!("../../../../tests/vectors/grin/fork.json"))
            .expect("JSON");
    let after = fork["forks_after_height"].as_u64().expect("a height");
    let common = chain()[..=usize::try_from(after).expect("small")].to_vec();
    let blocks = fork["blocks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(block_of);
    common.into_iter().chain(blocks).collect()
}

/// A longer chain with less work, and a shorter one with more: they part after the second block, and
/// the blocks of the shorter one follow each other so fast that each is harder than the last.
pub(super) fn long_and_heavy() -> [Arc<[Block]>; 2] {
    static BRANCHES: OnceLock<[Arc<[Block]>; 2]> = OnceLock::new();
    let forge = || {
        let common = Forge::new(RULES, 1).grow(2, 60);
        let heavy = Forge::on(RULES, 2, common.blocks()).grow(6, 1);
        let long = common.grow(8, 60);
        [long.blocks().into(), heavy.blocks().into()]
    };
    BRANCHES.get_or_init(forge).clone()
}

/// A block of the recordings.
pub(super) fn block_of(recorded: &Value) -> Block {
    let bytes = bytes_of(&recorded["hex_v3"]);
    Block::decode(&RULES, Format::V3, &bytes).expect("a block")
}

pub(super) fn bytes_of(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().expect("digits").as_bytes();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("digits"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}

/// A node that begins with these blocks and calls nobody by itself.
pub(super) fn node_with(blocks: Arc<[Block]>) -> Script {
    let mut config = crate::scripted::config(1);
    config.grin.import = Some(blocks);
    started(config)
}

pub(super) fn started(config: Config) -> Script {
    let mut script = Script::new(config);
    script.advance(std::time::Duration::from_millis(1));
    script
}

pub(super) fn ask(script: &mut Script, ask: Ask) -> Response {
    match script.ask(operator(), Request::Ask(ask).into()) {
        Some(rooms::Response::Grin(response)) => response,
        other => panic!("no answer of the room but {other:?}"),
    }
}

pub(super) fn tip(script: &mut Script) -> Tip {
    let Response::Tip(tip) = ask(script, Ask::Chain) else {
        panic!("no tip");
    };
    tip
}

/// What the `n`-th node asks of `script`, and what comes of it.
pub(super) fn between(script: &mut Script, n: u8, what: Between) -> Vec<Output> {
    let request = Request::Between(RULES.chain, what).into();
    let (_, input) = script.request(peer_caller(n), request);
    script.run(input)
}

/// The `n`-th node says that it is there and has a chain up to `last`.
pub(super) fn greet(script: &mut Script, n: u8, last: &Header) -> Vec<Output> {
    between(script, n, Between::Hello(hello(n, last).into()))
}

pub(super) fn hello(n: u8, last: &Header) -> Hello {
    Hello {
        genesis: chain()[0].hash().to_string(),
        address: addr(n).to_string(),
        user_agent: "MW/Grin 4.1.1".into(),
        capabilities: 15,
        height: last.height(),
        total_difficulty: last.total_difficulty(),
        tip: last.hash().to_string(),
    }
}

/// The room's calls among outputs.
pub(super) fn calls(outputs: &[Output]) -> Vec<(CallId, Between)> {
    let calls = crate::scripted::calls(outputs).into_iter();
    let ours = calls.filter_map(|(id, _, request)| {
        let rooms::Request::Grin(Request::Between(_, between)) = request else {
            return None;
        };
        Some((id, between))
    });
    ours.collect()
}

/// The room's events among outputs.
pub(super) fn events(outputs: &[Output]) -> Vec<Event> {
    let event = |output: &Output| {
        let Output::Event(rooms::Event::Grin(event)) = output else {
            return None;
        };
        Some(event.clone())
    };
    outputs.iter().filter_map(event).collect()
}

/// Why blocks, headers or transactions were refused.
pub(super) fn refusals(outputs: &[Output]) -> Vec<String> {
    let why = |event: &Event| {
        let (Event::BlockRefused { why, .. } | Event::TransactionRefused { why }) = event else {
            return None;
        };
        Some(why.to_string())
    };
    events(outputs).iter().filter_map(why).collect()
}

pub(super) fn hash_name(hash: &Hash) -> Name {
    Name::Digits(hash.0.as_slice().into())
}

pub(super) fn commitment_name(commitment: &Commitment) -> Name {
    Name::Digits(commitment.0.as_slice().into())
}

pub(super) fn show(script: &mut Script, name: Name) -> Response {
    ask(script, Ask::Block(name, View::default()))
}

/// A recorded transaction.
pub(super) fn transaction(name: &str) -> Arc<Transaction> {
    let recorded: Value = serde_json::from_slice(include_bytes!(
        "../../../../tests/vectors/grin/transactions.json"
    ))
    .expect("JSON");
    let all = recorded["transactions"].as_array().expect("a list");
    let found = all.iter().find(|it| it["name"] == name);
    let bytes = bytes_of(&found.expect("a recorded transaction")["hex_v1"]);
    Transaction::decode(&RULES, Format::V1, &bytes)
        .expect("a transaction")
        .into()
}
