//! Blocks: which become the chain, which are refused and why, and what survives a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerage_mw::{Block, Format, Rules};
use serde_json::Value;

use super::{
    RULES, ask, between, block_of, calls, chain, commitment_name, events, fork, greet, hash_name,
    long_and_heavy, node_with, refusals, show, started, tip,
};
use crate::limits::GRIN_APPLY_MAX;
use crate::node::RestoreError;
use crate::rooms;
use crate::rooms::grin::types::{Ask, Between, Event, Name, Request, Response};
use crate::rows::Record as _;
use crate::scripted::{Script, addr, ban, config, operator};
use crate::time::{Duration, WallTime};
use crate::{Caller, Input, Node, Output, Secret, Seed};

#[test]
fn a_recorded_chain_is_taken_in() {
    let blocks = chain();
    let mut script = node_with(blocks.clone());
    let last = blocks.last().expect("blocks").header();
    let tip = tip(&mut script);
    assert_eq!((tip.height, tip.hash), (30, last.hash()));
    assert_eq!(tip.total_difficulty, last.total_difficulty());
    assert_eq!(tip.previous, blocks[29].hash());
    for block in blocks.iter() {
        let by_height = show(&mut script, Name::Height(block.header().height()));
        let Response::Block(page) = &by_height else {
            panic!("no block but {by_height:?}");
        };
        assert_eq!(page.block, *block);
        assert_eq!(show(&mut script, hash_name(&block.hash())), by_height);
    }
    let output = last_output(&blocks);
    let by_commitment = show(&mut script, commitment_name(&output));
    assert!(matches!(by_commitment, Response::Block(page) if page.block.header() == last));
    assert_eq!(
        ask(&mut script, Ask::Validate { post: false }),
        Response::Done
    );
}

fn last_output(blocks: &[Block]) -> peerage_mw::Commitment {
    let last = blocks.last().expect("blocks");
    last.outputs().next().expect("a reward").commitment()
}

/// What the room says where the original says the same in its words.
const REASONS: [(&str, &str); 16] = [
    ("bad_kernel_signature", "false kernel signature"),
    ("bad_pow_nonce", "no proof of work"),
    ("bad_range_proof", "false range proof"),
    (
        "coinbase_too_large",
        "the coinbase holds another sum than reward and fees",
    ),
    (
        "duplicate_unspent_commitment",
        "made already: 080acd8e74e8a278741fcf7941ab542f47258fcb362f640d0a937f3aea245335ba",
    ),
    ("height_skips_one", "not the next height"),
    (
        "immature_coinbase_spend",
        "a coinbase is spent 2 blocks too early",
    ),
    (
        "spends_unknown_output",
        "spent or unknown: 08c734bf391e0ba79a05eaad769ccc83b71a88fc5272e09bb930f5f0906c81e970",
    ),
    (
        "timestamp_not_after_previous",
        "not later than the block before",
    ),
    ("wrong_header_version", "not the version of its height"),
    ("wrong_kernel_root", "a root differs"),
    ("wrong_output_mmr_size", "a root differs"),
    ("wrong_output_root", "a root differs"),
    ("wrong_prev_root", "a root differs"),
    ("wrong_range_proof_root", "a root differs"),
    ("wrong_total_difficulty", "not the difficulty asked for"),
];

/// Each child of the last block is announced by a peer, fetched from it and refused; who gave it is
/// banned. The valid one is taken.
#[test]
fn wrong_blocks_are_refused_for_the_recorded_reason() {
    let recorded: Value = serde_json::from_slice(include_bytes!(
        "../../../../../tests/vectors/grin/invalid_blocks.json"
    ))
    .expect("JSON");
    let script = node_with(chain());
    let mut found = BTreeMap::new();
    for entry in recorded["blocks"].as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a name");
        let block = block_of(entry);
        let mut script = script.clone();
        let outputs = offer(&mut script, 2, &block);
        assert_eq!(tip(&mut script).height, 30, "{name}");
        assert!(script.gauge("bans") > 0, "{name}: nobody is banned");
        found.insert(name, refusals(&outputs).join("; "));
    }
    assert_eq!(
        found,
        BTreeMap::from(REASONS.map(|(name, why)| (name, why.to_owned())))
    );

    let mut script = script;
    let sibling = block_of(&recorded["valid_sibling"]);
    offer(&mut script, 2, &sibling);
    assert_eq!(tip(&mut script).hash, sibling.hash());
    assert_eq!(script.gauge("bans"), 0);
}

/// A linked peer announces a block and gives it when asked.
pub(super) fn offer(script: &mut Script, n: u8, block: &Block) -> Vec<Output> {
    let mut outputs = Vec::new();
    greet(script, n, chain()[0].header());
    let mut next = between(script, n, Between::Announce(block.header().clone()));
    while let Some((id, what)) = calls(&next).into_iter().next() {
        outputs.append(&mut next);
        let Between::Blocks(_) = what else {
            break;
        };
        next = script.reply(id, Response::Blocks(Arc::new([block.clone()])), n);
    }
    outputs.append(&mut next);
    outputs
}

#[test]
fn a_branch_with_more_work_becomes_the_chain_in_one_commit() {
    let (main, fork) = (chain(), fork());
    let mut script = node_with(main.clone());
    greet(&mut script, 2, main[0].header());
    let (mut commits, mut turns) = (Vec::new(), Vec::new());
    for block in &fork[26..] {
        let outputs = between(&mut script, 2, Between::Announce(block.header().clone()));
        let (id, _) = calls(&outputs).pop().expect("the block is asked for");
        let outputs = script.reply(id, Response::Blocks(Arc::new([block.clone()])), 2);
        assert_eq!(refusals(&outputs), Vec::<String>::new());
        for output in &outputs {
            if let Output::Commit { rows, .. } = output {
                commits.push(rows.iter().filter(|row| !row.lazy()).count());
            }
        }
        turns.extend(
            events(&outputs)
                .into_iter()
                .filter(|event| matches!(event, Event::Reorganised { .. })),
        );
    }
    let last = fork.last().expect("blocks");
    assert_eq!(tip(&mut script).hash, last.hash());
    // Five blocks go and six come, at heights 26 to 31, and then one more.
    assert_eq!(commits, [6, 1]);
    assert_eq!(
        turns,
        [Event::Reorganised {
            depth: 5,
            height: 31
        }]
    );
    assert_eq!(script.gauge("bans"), 0);
    script.advance(Duration::from_secs(2));
    assert_eq!(script.durable(), script.exported());

    // The old branch is still known, but a restart knows only the chain.
    let old = hash_name(&main[30].hash());
    assert!(matches!(show(&mut script, old.clone()), Response::Block(_)));
    let mut again = Script::restore(config(1), script.durable());
    assert_eq!(tip(&mut again).hash, last.hash());
    assert_eq!(show(&mut again, old), Response::NotFound);
    assert_eq!(again.exported(), script.exported());
}

/// Work decides, not length: the chain becomes shorter, and what was above its end is gone from the
/// disk, from answers and after a restart.
#[test]
fn a_shorter_branch_with_more_work_becomes_the_chain() {
    let [long, heavy] = long_and_heavy();
    let last = |blocks: &[Block]| blocks.last().expect("blocks").header().clone();
    let (light, most) = (last(&long), last(&heavy));
    assert!(most.total_difficulty() > light.total_difficulty());
    assert_eq!((light.height(), most.height()), (10, 8));

    let mut script = node_with(long.clone());
    greet(&mut script, 2, long[0].header());
    let mut commits = Vec::new();
    for block in &heavy[3..] {
        let outputs = between(&mut script, 2, Between::Announce(block.header().clone()));
        let (id, _) = calls(&outputs).pop().expect("the block is asked for");
        let outputs = script.reply(id, Response::Blocks(Arc::new([block.clone()])), 2);
        assert_eq!(refusals(&outputs), Vec::<String>::new());
        let turned = events(&outputs)
            .into_iter()
            .find(|event| matches!(event, Event::Reorganised { .. }));
        for output in &outputs {
            if let Output::Commit { rows, .. } = output {
                let promised = rows.iter().filter(|row| !row.lazy());
                let (deleted, written) = promised.partition::<Vec<_>, _>(|row| row.deletes());
                commits.push((turned.clone(), written.len(), deleted.len()));
            }
        }
    }
    // Heights 3 to 7 are written anew and 8 to 10 deleted, all in one commit; then comes one more.
    let turn = Event::Reorganised {
        depth: 8,
        height: 7,
    };
    assert_eq!(commits, [(Some(turn), 5, 3), (None, 1, 0)]);
    assert_eq!(tip(&mut script).hash, most.hash());
    assert_eq!(script.gauge("bans"), 0);

    // What a height meant is what it means now, or nothing.
    let above = Name::Height(light.height());
    let refused = Response::Failed(400, "failed to parse input: Not found.".into());
    assert_eq!(show(&mut script, above.clone()), refused);
    assert_eq!(ask(&mut script, Ask::Header(above)), Response::NotFound);
    let at = ask(&mut script, Ask::Header(Name::Height(3)));
    assert_eq!(at, Response::Header(heavy[3].header().clone()));
    let validate = Ask::Validate { post: false };
    assert_eq!(ask(&mut script, validate), Response::Done);

    script.advance(Duration::from_secs(2));
    assert_eq!(script.durable(), script.exported());
    let mut again = Script::restore(config(1), script.durable());
    assert_eq!(tip(&mut again).hash, most.hash());
    assert_eq!(again.exported(), script.exported());
}

/// However many blocks come at once, each input adds a few of them, and whoever waits for the node has
/// a turn in between.
#[test]
fn a_stretch_of_blocks_is_added_in_steps() {
    let blocks = chain();
    let mut config = config(1);
    config.grin.import = Some(blocks[..15].into());
    let mut script = Script::new(config);
    let mut outputs = script.run(Input::Tick);
    let mut seen = Vec::new();
    loop {
        for output in &outputs {
            if let Output::Commit { rows, .. } = output {
                assert!(rows.iter().filter(|row| !row.lazy()).count() <= GRIN_APPLY_MAX);
            }
        }
        seen.push(tip(&mut script).height);
        if tip(&mut script).height == 14 {
            break;
        }
        let at = script.node.poll_timeout().expect("another step");
        script.set_mono(at.max(script.now.mono));
        outputs = script.run(Input::Tick);
    }
    assert_eq!(seen, [2, 4, 6, 8, 10, 12, 14]);
    script.advance(Duration::from_secs(2));
    assert_eq!(script.durable(), script.exported());

    // The next page is asked for when the one before is in the chain.
    let outputs = greet(&mut script, 2, blocks[30].header());
    let (id, what) = calls(&outputs).pop().expect("a question");
    assert!(matches!(what, Between::Headers(_)), "{what:?}");
    let headers = blocks[15..].iter().map(|block| block.header().clone());
    let outputs = script.reply(id, Response::Headers(headers.collect()), 2);
    let (id, what) = calls(&outputs).pop().expect("a question");
    let Between::Blocks(hashes) = what else {
        panic!("no blocks are asked for but {what:?}");
    };
    assert_eq!(hashes.len(), 16);
    let page = blocks[15..].iter().cloned().collect();
    let outputs = script.reply(id, Response::Blocks(page), 2);
    assert_eq!(tip(&mut script).height, 16);
    assert_eq!(calls(&outputs), []);
    script.advance(Duration::from_millis(1));
    assert_eq!(tip(&mut script).height, 30);
}

#[test]
fn a_file_is_taken_in_as_far_as_it_is_right() {
    let mut blocks = chain().to_vec();
    blocks.remove(20);
    let mut script = node_with(blocks.into());
    assert_eq!(tip(&mut script).height, 19);

    let other = started({
        let mut config = config(1);
        config.grin.import = Some(chain()[1..].into());
        config
    });
    assert_eq!(other.gauge("grin_height"), 0);
}

#[test]
fn a_file_is_not_taken_in_twice() {
    let script = node_with(chain());
    let mut config = config(1);
    config.grin.import = Some(fork());
    let mut again = Script::restore(config, script.durable());
    again.advance(Duration::from_millis(1));
    assert_eq!(tip(&mut again).hash, chain()[30].hash());
}

#[test]
fn a_directory_of_another_chain_is_refused() {
    let script = node_with(chain());
    let mut config = config(1);
    config.grin.rules = Rules::user_testing();
    let error = Node::restore(config, Seed([0; 32]), script.now, script.durable()).err();
    assert!(
        matches!(error, Some(RestoreError::OtherChain { .. })),
        "{error:?}"
    );
}

#[test]
fn a_missing_block_is_found_at_the_start() {
    let script = node_with(chain());
    let mut rows = script.durable();
    rows.remove(7);
    let error = Node::restore(config(1), Seed([0; 32]), script.now, rows).err();
    assert!(
        matches!(error, Some(RestoreError::Damaged { what: "block", .. })),
        "{error:?}"
    );
}

/// Headers go by a hash that covers their solution only. Whoever sends a true solution with other words
/// around it must not have the true block taken for bad.
#[test]
fn a_swapped_body_does_not_spoil_the_true_block() {
    let blocks = chain();
    let mut script = node_with(blocks[..30].into());
    let mut bytes = blocks[30].header().encode().to_vec();
    let other = blocks[29]
        .encode(Format::V3)
        .expect("every block has a third format");
    bytes.extend(&other[blocks[29].header().encode().len()..]);
    let swapped = Block::decode(&RULES, Format::V3, &bytes).expect("a block by its looks");
    assert_eq!(swapped.hash(), blocks[30].hash());
    let outputs = offer(&mut script, 2, &swapped);
    assert_eq!(refusals(&outputs).len(), 1);
    assert_eq!(tip(&mut script).height, 29);
    let outputs = offer(&mut script, 3, &blocks[30]);
    assert_eq!(refusals(&outputs), Vec::<String>::new());
    assert_eq!(tip(&mut script).hash, blocks[30].hash());
    assert!(script.gauge("bans") > 0);
}

#[test]
fn blocks_of_strangers_are_not_looked_at() {
    let blocks = chain();
    let mut script = node_with(blocks[..30].into());
    let announced = between(
        &mut script,
        2,
        Between::Announce(blocks[30].header().clone()),
    );
    assert_eq!(calls(&announced), []);
    assert_eq!(tip(&mut script).height, 29);
}

#[test]
fn a_chain_that_was_half_taken_in_stays_as_it_is_after_a_crash() {
    let blocks = chain();
    let mut config = config(1);
    config.grin.import = Some(blocks[..12].into());
    let half = started(config.clone());
    config.grin.import = Some(blocks);
    let mut again = Script::restore(config, half.durable());
    again.advance(Duration::from_millis(1));
    // The rest comes from other nodes: a file is for nodes that have nothing.
    assert_eq!(tip(&mut again).height, 11);
}

#[test]
fn callers_without_the_secret_are_told_nothing() {
    let mut config = config(1);
    config.grin.api_secret = Some(Secret("s3cret-for-tests".into()));
    let mut script = started(config);
    assert_eq!(ask(&mut script, Ask::Chain), Response::Unauthorized);
    let shown = Secret("Basic Z3JpbjpzM2NyZXQtZm9yLXRlc3Rz".into());
    let client = Caller {
        authorization: Some(shown),
        ..operator()
    };
    let answer = script.ask(client, Request::Ask(Ask::Chain).into());
    assert!(matches!(
        answer,
        Some(rooms::Response::Grin(Response::Tip(_)))
    ));
    // Nor may they ban anybody.
    let answer = script.ask(operator(), ban(addr(2)));
    assert_eq!(answer.map(|response| response.status()), Some(401));
    // Other nodes need no secret.
    assert_ne!(
        between(&mut script, 2, Between::Headers(Arc::new([]))).len(),
        0
    );
}

/// A chain whose blocks follow each other faster than seconds do is ahead of the clock. What is mined on
/// it must wait until others would take it.
#[test]
fn nothing_is_mined_that_is_dated_too_far_ahead() {
    let blocks = chain();
    let last = blocks[30].header().timestamp();
    let mut config = config(1);
    config.grin.import = Some(blocks);
    config.grin.mine = Some(Duration::from_secs(5));
    let mut script = started(config);
    let last = u64::try_from(last).expect("after 1970");
    script.now.wall = WallTime::from_secs(last - RULES.future_limit_secs - 60);
    let outputs = script.advance(Duration::from_secs(60));
    assert_eq!(events(&outputs), []);
    script.advance(Duration::from_secs(10));
    assert!(tip(&mut script).height > 30);
}
