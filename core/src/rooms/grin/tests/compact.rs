//! Compacting: old blocks go, everything else is answered as before, and nothing stands in the way of a
//! restart, a reorganisation within the horizon, or other nodes.

use std::sync::{Arc, OnceLock};

use peerage_mw::{Block, Commitment};

use super::exchange::{heights, world};
use super::{
    RULES, ask, between, calls, chain, commitment_name, events, greet, hash_name, node_with,
    refusals, show, tip,
};
use crate::Output;
use crate::rooms;
use crate::rooms::grin::forge::Forge;
use crate::rooms::grin::types::{Ask, Between, Event, Heights, Name, Range, Request, Response};
use crate::rows::Record as _;
use crate::scripted::{Script, World, config, operator, responses};
use crate::time::Duration;

const LAST: u64 = 100;
/// The horizon of the chain is 20.
const TAIL: u64 = 80;

/// A chain in which every other block from the twelfth on spends the reward of an earlier one.
fn busy() -> Arc<[Block]> {
    static BUSY: OnceLock<Arc<[Block]>> = OnceLock::new();
    let forge = || {
        let mut forge = Forge::new(RULES, 3).grow(11, 60);
        while forge.state().tip().height() < LAST {
            let next = forge.state().tip().height() + 1;
            let spent = next.is_multiple_of(2).then(|| forge.spend(next - 9));
            forge.add(spent.as_slice(), 60);
        }
        forge.blocks().into()
    };
    BUSY.get_or_init(forge).clone()
}

/// What an operator's client gets after however many steps, and what else the node wanted meanwhile.
fn compact(script: &mut Script) -> (Option<rooms::Response>, Vec<Output>) {
    let (_, input) = script.request(operator(), Request::Ask(Ask::Compact).into());
    let mut outputs = script.run(input);
    outputs.extend(script.advance(Duration::from_millis(1)));
    (responses(&outputs).pop(), outputs)
}

fn compacted() -> Script {
    let mut script = node_with(busy());
    let (answer, _) = compact(&mut script);
    assert_eq!(answer, Some(Response::Done.into()));
    assert_eq!(script.gauge("grin_compacted_height"), TAIL);
    script
}

/// Bytes of all that is promised.
fn size(script: &Script) -> usize {
    let rows = script.durable();
    let promised = rows.iter().filter(|row| !row.lazy());
    promised
        .filter_map(|row| row.value())
        .map(|it| it.len())
        .sum()
}

/// Everything that compacting leaves as it is.
fn questions(blocks: &[Block]) -> Vec<Ask> {
    let mut all = vec![
        Ask::Chain,
        Ask::Roots,
        Ask::Status,
        Ask::Validate { post: false },
        Ask::Last(Range::Outputs, 1_000),
        Ask::Last(Range::RangeProofs, 1_000),
        Ask::Last(Range::Kernels, 1_000),
        Ask::HeightsToPositions {
            start: 1,
            end: Some(50),
        },
        Ask::Outputs {
            start: 1,
            max: 400,
            end: None,
        },
    ];
    let mut ids: Vec<Commitment> = Vec::new();
    for block in blocks {
        let height = block.header().height();
        all.push(Ask::Header(Name::Height(height)));
        all.push(Ask::Header(hash_name(&block.hash())));
        ids.extend(block.outputs().map(|output| output.commitment()));
        all.extend(block.kernels().map(|kernel| Ask::Kernel {
            excess: kernel.excess(),
            from: None,
            to: None,
        }));
        if height > TAIL {
            all.push(Ask::Block(Name::Height(height), Default::default()));
        }
    }
    for id in &ids {
        all.push(Ask::Header(commitment_name(id)));
        all.push(Ask::MerkleProof(Some(*id)));
    }
    all.push(Ask::ByIds(ids.into()));
    all
}

fn answers(script: &mut Script) -> Vec<Response> {
    let questions = questions(&busy()).into_iter();
    questions.map(|question| ask(script, question)).collect()
}

#[test]
fn old_blocks_go_and_all_else_stays() {
    let blocks = busy();
    let mut script = node_with(blocks.clone());
    let (before, bytes) = (answers(&mut script), size(&script));
    let (answer, outputs) = compact(&mut script);
    assert_eq!(answer, Some(Response::Done.into()));
    assert_eq!(events(&outputs), [Event::Compacted { height: TAIL }]);
    let reclaims = outputs.iter().filter(|it| matches!(it, Output::Reclaim));
    assert_eq!(reclaims.count(), 1);
    // Thirty-five rewards went, of some 700 bytes each.
    assert!(
        size(&script) + 20_000 < bytes,
        "{} of {bytes}",
        size(&script)
    );
    assert_eq!(script.durable(), script.exported());

    let again = Script::restore(config(1), script.durable());
    for mut script in [script, again] {
        assert_eq!(answers(&mut script), before);
        for block in &blocks[1..=80] {
            let name = Name::Height(block.header().height());
            assert_eq!(show(&mut script, name), Response::NotFound);
            assert_eq!(
                show(&mut script, hash_name(&block.hash())),
                Response::NotFound
            );
            let output = block.outputs().next().expect("a reward").commitment();
            assert_eq!(
                show(&mut script, commitment_name(&output)),
                Response::NotFound
            );
        }
        let first = show(&mut script, Name::Height(0));
        assert!(matches!(first, Response::Block(_)));
        let heights = Heights {
            start: 1,
            end: LAST,
            only: Vec::new(),
            proofs: false,
        };
        let request = Request::Ask(Ask::ByHeight(Arc::new(heights))).into();
        let (_, input) = script.request(operator(), request);
        let mut outputs = script.run(input);
        outputs.extend(script.advance(Duration::from_millis(1)));
        let Some(rooms::Response::Grin(Response::ByHeight(found))) = responses(&outputs).pop()
        else {
            panic!("no heights");
        };
        let shown: Vec<u64> = found.iter().map(|it| it.header.height()).collect();
        assert_eq!(shown, (TAIL + 1..=LAST).rev().collect::<Vec<_>>());
        assert_eq!(script.durable(), script.exported());
    }
}

#[test]
fn a_chain_that_has_not_grown_enough_is_left_alone() {
    for last in [30, 79] {
        let mut script = node_with(busy()[..=last].into());
        let (answer, outputs) = compact(&mut script);
        assert_eq!(answer, Some(Response::Done.into()));
        assert!(events(&outputs).is_empty(), "{last}");
        assert_eq!(script.gauge("grin_compacted_height"), 0);
    }
    // What was compacted is not compacted again before it has grown by sixty blocks.
    let mut script = compacted();
    let (_, outputs) = compact(&mut script);
    assert!(events(&outputs).is_empty());
}

/// Whatever step was the last that became durable, a start finds the whole chain.
#[test]
fn a_crash_between_two_steps_loses_nothing() {
    let mut script = node_with(busy());
    let before = answers(&mut script);
    let (_, input) = script.request(operator(), Request::Ask(Ask::Compact).into());
    let mut tails = Vec::new();
    script.run(input);
    while script.owes() > 0 {
        tails.push(script.gauge("grin_compacted_height"));
        assert_eq!(script.durable(), script.exported());
        let mut again = Script::restore(config(1), script.durable());
        assert_eq!(answers(&mut again), before);
        // The rest is done by whoever asks again.
        let (answer, _) = compact(&mut again);
        assert_eq!(answer, Some(Response::Done.into()));
        let at = script.node.poll_timeout().expect("another step");
        script.set_mono(at.max(script.now.mono));
        script.run(crate::Input::Tick);
    }
    assert_eq!(tails, [8, 16, 24, 32, 40, 48, 56, 64, 72]);
    assert_eq!(script.gauge("grin_compacted_height"), TAIL);
}

#[test]
fn whoever_asks_meanwhile_waits_for_the_same() {
    let mut script = node_with(busy());
    let mut outputs = Vec::new();
    for _ in 0..2 {
        let (_, input) = script.request(operator(), Request::Ask(Ask::Compact).into());
        outputs.extend(script.run(input));
    }
    assert_eq!(responses(&outputs), []);
    outputs.extend(script.advance(Duration::from_millis(1)));
    assert_eq!(responses(&outputs), vec![Response::Done.into(); 2]);
    assert_eq!(script.owes(), 0);
}

/// The first part of the chain was gone over block by block; what is left of the next ones no longer
/// adds up with that.
#[test]
fn a_validation_begins_anew_when_blocks_go_under_its_feet() {
    let mut script = node_with(busy());
    let validate = Ask::Validate { post: false };
    let (_, input) = script.request(operator(), Request::Ask(validate).into());
    let Some(Output::Verify { id, job }) = script.feed(input).pop() else {
        panic!("no check");
    };
    compact(&mut script);
    let verdict = crate::verify::check(&[job]).remove(0);
    let outputs = script.run(crate::Input::Verdict { id, verdict });
    assert_eq!(responses(&outputs), [Response::Done.into()]);
}

/// Blocks of a branch are announced and given one by one.
fn offer_all(script: &mut Script, branch: &[Block]) -> Vec<Event> {
    greet(script, 2, chain()[0].header());
    let mut all = Vec::new();
    for block in branch {
        let outputs = between(script, 2, Between::Announce(block.header().clone()));
        all.extend(events(&outputs));
        let Some((id, _)) = calls(&outputs).pop() else {
            continue;
        };
        let outputs = script.reply(id, Response::Blocks(Arc::new([block.clone()])), 2);
        assert_eq!(refusals(&outputs), Vec::<String>::new());
        all.extend(events(&outputs));
    }
    all
}

#[test]
fn a_reorganisation_goes_as_far_back_as_the_horizon() {
    let blocks = busy();
    let script = compacted();
    let again = Script::restore(config(1), script.durable());
    let within = Forge::on(RULES, 9, &blocks[..=80]).grow(21, 60);
    let beyond = Forge::on(RULES, 9, &blocks[..=79]).grow(22, 60);
    for mut script in [script, again] {
        let mut other = script.clone();
        let events = offer_all(&mut script, &within.blocks()[81..]);
        let turn = Event::Reorganised {
            depth: 20,
            height: 101,
        };
        assert!(events.contains(&turn), "{events:?}");
        assert_eq!(tip(&mut script).hash, within.state().tip().hash());
        let validate = Ask::Validate { post: false };
        assert_eq!(ask(&mut script, validate), Response::Done);
        script.advance(Duration::from_secs(2));
        assert_eq!(script.durable(), script.exported());
        let mut restored = Script::restore(config(1), script.durable());
        assert_eq!(tip(&mut restored).hash, within.state().tip().hash());

        let events = offer_all(&mut other, &beyond.blocks()[80..]);
        assert!(
            events.contains(&Event::ReorganisationTooDeep { depth: 21 }),
            "{events:?}"
        );
        assert_eq!(tip(&mut other).hash, blocks[100].hash());
    }
}

#[test]
fn remains_on_top_of_a_block_are_found_at_the_start() {
    let (whole, compacted) = (node_with(busy()).durable(), compacted().durable());
    let mut mixed = whole[..20].to_vec();
    mixed.extend_from_slice(&compacted[20..]);
    let seed = crate::Seed([0; 32]);
    let now = node_with(busy()).now;
    assert!(crate::Node::restore(config(1), seed, now, mixed).is_err());
    // Outputs that later remains say were spent are still there in earlier ones.
    let mut older = node_with(busy());
    let (_, input) = older.request(operator(), Request::Ask(Ask::Compact).into());
    older.run(input);
    let mut mixed = older.durable()[..8].to_vec();
    mixed.extend_from_slice(&compacted[8..]);
    assert!(crate::Node::restore(config(1), seed, now, mixed).is_err());
}

/// Who has compacted gives headers and new blocks; old blocks come from whoever still has them.
#[test]
fn a_newcomer_gets_old_blocks_from_whoever_has_them() {
    let mut world = world(&[busy(), busy(), chain()[..1].into()]);
    world.apart.extend([(0, 2), (1, 2)]);
    world.until(Duration::from_secs(5), |_| false);
    world.ask(0, Request::Ask(Ask::Compact).into());
    let compacted = |world: &World| world.nodes[0].gauge("grin_compacted_height") == TAIL;
    assert!(world.until(Duration::from_secs(5), compacted));
    world.apart.remove(&(0, 2));
    world.until(Duration::from_secs(30), |_| false);
    assert_eq!(heights(&world), [LAST, LAST, 0]);
    assert_eq!(world.nodes[2].gauge("bans"), 0);
    world.apart.clear();
    assert!(world.until(Duration::from_secs(60), |world| heights(world) == [LAST; 3]));
    for node in &world.nodes {
        assert_eq!(node.gauge("bans"), 0);
    }
}
