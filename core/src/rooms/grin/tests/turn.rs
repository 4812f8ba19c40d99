//! Changing to another branch: worked out elsewhere if it is long, while the old chain goes on.

use std::sync::Arc;

use peerage_mw::Block;
use serde_json::Value;

use super::blocks::offer;
use super::{
    RULES, ask, between, block_of, calls, chain, events, greet, node_with, refusals, show, tip,
};
use crate::rooms::grin;
use crate::rooms::grin::forge::Forge;
use crate::rooms::grin::types::{Ask, Between, Event, Name, Request, Response};
use crate::scripted::{Script, answer, config, operator};
use crate::time::Duration;
use crate::verify::VerifyJob;
use crate::work::Work;
use crate::{Input, Output, Row, VerifyId, verify};

/// A branch from the recorded chain's block 26 on, and a block more than that chain has.
fn branch() -> Vec<Block> {
    let forge = Forge::on(RULES, 9, &chain()[..=26]).grow(5, 60);
    forge.blocks()[27..].to_vec()
}

/// Offers blocks one by one, and holds back what is to be worked out about the last one's branch.
fn offer_and_hold(script: &mut Script, branch: &[Block]) -> (VerifyId, VerifyJob) {
    greet(script, 2, chain()[0].header());
    let (last, before) = branch.split_last().expect("blocks");
    for block in before {
        offer(script, 2, block);
    }
    let outputs = between(script, 2, Between::Announce(last.header().clone()));
    let (id, _) = calls(&outputs).pop().expect("the block is asked for");
    let response = Response::Blocks(Arc::new([last.clone()])).into();
    let result = Ok(answer(response, 2));
    let outputs = script.feed(Input::Reply { id, result });
    let (id, job) = check_of(&outputs).expect("the block is checked");
    let verdict = verify::check(&[job]).remove(0);
    let outputs = script.feed(Input::Verdict { id, verdict });
    let (id, job) = check_of(&outputs).expect("the branch is worked out");
    assert!(
        matches!(job, VerifyJob::Mimblewimble(Work::Turn { .. })),
        "{job:?}"
    );
    (id, job)
}

fn check_of(outputs: &[Output]) -> Option<(VerifyId, VerifyJob)> {
    outputs.iter().find_map(|output| match output {
        Output::Verify { id, job } => Some((*id, job.clone())),
        Output::Abandon { .. }
        | Output::Call { .. }
        | Output::Commit { .. }
        | Output::Event(_)
        | Output::Reclaim
        | Output::Respond { .. } => None,
    })
}

#[test]
fn the_old_chain_answers_until_the_other_is_worked_out() {
    let branch = branch();
    let mut script = node_with(chain());
    let (id, job) = offer_and_hold(&mut script, &branch);
    assert_eq!(tip(&mut script).hash, chain()[30].hash());
    let shown = show(&mut script, Name::Height(28));
    assert!(matches!(shown, Response::Block(page) if page.block == chain()[28]));
    // What comes meanwhile waits, on whichever branch it is.
    let next = Forge::on(RULES, 9, &[&chain()[..=26], &branch].concat()).grow(1, 60);
    let next = next.blocks().last().expect("blocks").clone();
    let recorded: Value = serde_json::from_slice(include_bytes!(
        "../../../../../tests/vectors/grin/invalid_blocks.json"
    ))
    .expect("JSON");
    let sibling = block_of(&recorded["valid_sibling"]);
    for block in [&sibling, &next] {
        let outputs = offer(&mut script, 2, block);
        assert_eq!(refusals(&outputs), Vec::<String>::new());
    }
    script.advance(Duration::from_secs(2));
    assert_eq!(tip(&mut script).hash, chain()[30].hash());
    assert_eq!(script.durable(), script.exported());

    let verdict = verify::check(&[job]).remove(0);
    let mut outputs = script.run(Input::Verdict { id, verdict });
    outputs.extend(script.advance(Duration::from_millis(1)));
    let turn = Event::Reorganised {
        depth: 4,
        height: 31,
    };
    assert!(events(&outputs).contains(&turn), "{:?}", events(&outputs));
    assert_eq!(tip(&mut script).hash, next.hash());
    let validate = Ask::Validate { post: false };
    assert_eq!(ask(&mut script, validate), Response::Done);
    script.advance(Duration::from_secs(2));
    assert_eq!(script.durable(), script.exported());
    let mut again = Script::restore(config(1), script.durable());
    assert_eq!(tip(&mut again).hash, next.hash());
}

#[test]
fn a_branch_whose_last_block_does_not_fit_is_not_taken() {
    let recorded: Value = serde_json::from_slice(include_bytes!(
        "../../../../../tests/vectors/grin/invalid_blocks.json"
    ))
    .expect("JSON");
    let all = recorded["blocks"].as_array().expect("a list");
    let named = |name| all.iter().find(|it| it["name"] == name);
    let unfit = block_of(named("wrong_kernel_root").expect("a recorded block"));
    let ours = branch();
    let mut script = node_with([&chain()[..=26], &ours[..4]].concat().into());
    let before = script.exported();
    let offered = [&chain()[27..], &[unfit]].concat();
    let (id, job) = offer_and_hold(&mut script, &offered);
    let verdict = verify::check(&[job]).remove(0);
    let outputs = script.run(Input::Verdict { id, verdict });
    assert_eq!(refusals(&outputs), ["a root differs"]);
    assert_eq!(tip(&mut script).hash, ours[3].hash());
    assert!(script.gauge("bans") > 0);
    let blocks = |rows: Vec<Row>| -> Vec<Row> {
        let block = |row: &Row| matches!(row, Row::Grin(grin::Row::Block(..)));
        rows.into_iter().filter(block).collect()
    };
    assert_eq!(blocks(script.exported()), blocks(before));
    // The branch is as good as ours without that block, and somebody else may have the right one.
    let sibling = block_of(&recorded["valid_sibling"]);
    offer(&mut script, 3, &sibling);
    assert_eq!(tip(&mut script).hash, sibling.hash());
    assert_eq!(script.owes(), 0);
}

/// Blocks are compacted while a branch is worked out that parts below them.
#[test]
fn a_turn_below_what_was_compacted_meanwhile_is_too_deep() {
    let long = Forge::new(RULES, 5).grow(100, 60);
    let blocks = long.blocks();
    let other = Forge::on(RULES, 6, &blocks[..=70]).grow(31, 60);
    let mut script = node_with(blocks.into());
    let (id, job) = offer_and_hold(&mut script, &other.blocks()[71..]);
    let asked = Request::Ask(Ask::Compact).into();
    let (_, input) = script.request(operator(), asked);
    script.run(input);
    script.advance(Duration::from_millis(1));
    assert_eq!(script.gauge("grin_compacted_height"), 80);
    let verdict = verify::check(&[job]).remove(0);
    let outputs = script.run(Input::Verdict { id, verdict });
    let deep = Event::ReorganisationTooDeep { depth: 30 };
    assert!(events(&outputs).contains(&deep), "{:?}", events(&outputs));
    assert_eq!(tip(&mut script).hash, blocks[100].hash());
    script.advance(Duration::from_secs(2));
    assert_eq!(script.durable(), script.exported());
}
