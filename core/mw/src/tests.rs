//! The recorded chain, its fork, the recorded false blocks and transactions; mutated bytes; the forge; remains.

mod foreign;
mod forge;
mod recorded;
mod remains;

use serde_json::Value;

use crate::{Block, ChainState, Format, Job, Rules, Verdict, Verifier, chain_file, check, ids};

const RULES: Rules = Rules::automated_testing();

/// Long after every recorded block, which are of 1997.
const TODAY: i64 = 1_700_000_000;

fn vectors(name: &str) -> Value {
    let text = match name {
        "chain" => include_str!("../../../tests/vectors/grin/chain.json"),
        "fork" => include_str!("../../../tests/vectors/grin/fork.json"),
        "invalid_blocks" => include_str!("../../../tests/vectors/grin/invalid_blocks.json"),
        "transactions" => include_str!("../../../tests/vectors/grin/transactions.json"),
        other => panic!("no vectors {other}"),
    };
    serde_json::from_str(text).expect("JSON")
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn bytes(value: &Value) -> Vec<u8> {
    ids::read_hex_vec(text(value)).expect("digits")
}

fn block(entry: &Value) -> Block {
    Block::decode(&RULES, Format::V3, &bytes(&entry["hex_v3"])).expect("a block")
}

/// The recorded chain's blocks.
fn chain() -> Vec<Block> {
    let text = include_bytes!("../../../tests/vectors/grin/chain.json");
    chain_file::read(&RULES, text).expect("a chain file")
}

/// The state after blocks, the first of which is the chain's first.
fn state_of(blocks: &[Block]) -> ChainState {
    let mut state = ChainState::new(RULES, &blocks[0]).expect("an empty block");
    for block in &blocks[1..] {
        let _ = state.apply(block).expect("a block of the chain");
    }
    state
}

fn check_one(job: Job) -> Verdict {
    check(&mut Verifier::new(RULES), &[job])[0]
}
