//! States that begin from the remains of blocks are those that whole blocks lead to.

use super::*;
use crate::{Applied, DecodeError, Invalid, Remains};

/// What is left of the blocks after the first one, once all of them are compacted.
fn remains_of(applied: &[Applied]) -> Vec<Remains> {
    let mut remains: Vec<Remains> = Vec::new();
    for applied in applied {
        remains.push(Remains::of(applied.block()));
        for spent in applied.spent() {
            let of = &mut remains[spent.height as usize - 1];
            *of = of.without(spent).expect("unspent until then");
        }
    }
    remains
}

fn applied_of(blocks: &[Block]) -> (ChainState, Vec<Applied>) {
    let mut state = ChainState::new(RULES, &blocks[0]).expect("an empty block");
    let apply = |block| state.apply(block).expect("a block of the chain");
    let applied = blocks[1..].iter().map(apply).collect();
    (state, applied)
}

fn laid(first: &Block, remains: &[Remains]) -> Result<ChainState, Invalid> {
    let mut state = ChainState::new(RULES, first).expect("an empty block");
    for remains in remains {
        state.lay(remains)?;
    }
    Ok(state)
}

#[test]
fn remains_lead_to_the_state_of_the_blocks() {
    let blocks = chain();
    let (whole, applied) = applied_of(&blocks);
    let mut smaller = 0;
    for height in 0..blocks.len() {
        let remains = remains_of(&applied[..height]);
        let mut state = laid(&blocks[0], &remains).expect("what is left of a chain");
        assert_eq!(state, state_of(&blocks[..=height]));
        let first = state.clone();
        let mut on_top: Vec<Applied> = Vec::new();
        for block in &blocks[height + 1..] {
            on_top.push(state.apply(block).expect("the next block"));
        }
        assert_eq!(state, whole);
        while let Some(applied) = on_top.pop() {
            state.undo(applied);
        }
        assert_eq!(state, first);
        for (remains, block) in remains.iter().zip(&blocks[1..]) {
            let bytes = remains.encode();
            let read = Remains::decode(&RULES, &bytes).expect("what was written");
            assert_eq!((&read, read.digest()), (remains, remains.digest()));
            let whole = block.encode(Format::V3).expect("always").len();
            smaller += usize::from(bytes.len() + 500 < whole);
            for cut in [0, 1, 2, 40, bytes.len() / 2, bytes.len() - 1] {
                assert!(Remains::decode(&RULES, &bytes[..cut]).is_err());
            }
        }
    }
    assert!(smaller > 0, "nothing was saved");
}

/// Whoever changes what is left of one block is found out at the latest by the first whole one.
#[test]
fn wrong_remains_are_found_by_the_first_whole_block() {
    let blocks = chain();
    let (_, applied) = applied_of(&blocks);
    let height = 20;
    let remains = remains_of(&applied[..height]);
    let judge = |changed: &[Remains]| -> Result<(), Invalid> {
        let mut state = laid(&blocks[0], changed)?;
        state.apply(&blocks[height + 1]).map(drop)
    };
    assert_eq!(judge(&remains), Ok(()));
    let state = state_of(&blocks[..=height]);
    let mut found = Vec::new();
    for at in 0..height {
        let change = |to: Remains| {
            let mut changed = remains.clone();
            changed[at] = to;
            judge(&changed)
        };
        // One that is unspent is said to be spent, and the other way round.
        for output in remains[at].outputs() {
            let unspent = state.unspent(&output.commitment()).expect("it is left");
            found.push(change(remains[at].without(unspent).expect("it is left")));
        }
        if remains[at].outputs().len() < blocks[at + 1].outputs().len() {
            found.push(change(Remains::of(&blocks[at + 1])));
        }
        // A hash of a spent one is another.
        let mut bytes = remains[at].encode();
        if let Some(slot) = (0..bytes[1]).find(|slot| bytes[2 + usize::from(*slot)] == 1) {
            bytes[2 + usize::from(slot) + 1] ^= 1;
            found.push(change(
                Remains::decode(&RULES, &bytes).expect("well-formed"),
            ));
        }
    }
    assert!(found.len() > 20, "{}", found.len());
    assert!(found.iter().all(Result::is_err), "{found:?}");
    assert_eq!(laid(&blocks[0], &remains[1..]).err(), Some(Invalid::Orphan));
}

#[test]
fn what_is_not_left_cannot_be_spent() {
    let blocks = chain();
    let (state, applied) = applied_of(&blocks);
    let remains = remains_of(&applied);
    let elsewhere = state.unspent_from(0).last().expect("coins");
    assert_eq!(remains[0].without(elsewhere), None);
}

#[test]
fn bytes_of_too_many_outputs_are_refused() {
    let mut bytes = 65_535_u16.to_be_bytes().to_vec();
    bytes.extend([0; 100_000]);
    let error = Remains::decode(&RULES, &bytes).err();
    assert_eq!(error, Some(DecodeError::TooLarge));
}
