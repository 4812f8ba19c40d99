//! Our chain state beside the real one: the chain crate of the network's own node, with its database in
//! a temporary directory and no check skipped. Whatever we make, it must accept, with the same roots and
//! sums after each block; whatever one of the two refuses, the other must refuse as well.

mod both;
mod lives;
mod spoil;

use both::{Both, real_transaction};
use grin_core::libtx::{ProofBuilder, reward};
use grin_keychain::{ExtKeychain, Keychain};
use lives::{Luck, Owner};
use peerage_mw::{
    Format, KeyIndex, Rules, Transaction, Wallet, aggregate, chain_file, deaggregate,
};

const RULES: Rules = Rules::automated_testing();

/// Long after every block of these tests.
const TODAY: i64 = 1_750_000_000;

#[test]
fn the_recorded_chain_is_the_same_for_both() {
    let text = include_bytes!("../../../../tests/vectors/grin/chain.json");
    let blocks = chain_file::read(&RULES, text).expect("a chain file");
    let mut both = Both::new(RULES);
    for block in &blocks[1..] {
        both.accept(block);
        both.assert_equal();
    }
    both.validate();
}

/// What a node mines, as the tests of its API have it: the chain file after the snapshot's own head.
#[test]
fn the_chain_that_a_node_mines_is_the_same_for_both() {
    let snapshot = include_str!("../../../../tests/api/snapshots/api__mined__mined_chain.snap");
    let (_, text) = snapshot.split_once("\n---\n").expect("a head");
    let blocks = chain_file::read(&RULES, text.as_bytes()).expect("a chain file");
    assert!(blocks.len() > 15);
    let mut both = Both::new(RULES);
    for block in &blocks[1..] {
        both.accept(block);
        both.assert_equal();
    }
    both.validate();
}

/// A long life: payments of every kind, several to a block, and now and then a branch that wins.
fn forge(rules: Rules, seed: u64, blocks: usize) {
    let mut luck = Luck::new(seed);
    let mut both = Both::new(rules);
    let mut owner = Owner::new(seed);
    for left in (0..blocks).rev() {
        let block = owner.next_block(&mut both, &mut luck);
        both.accept(&block);
        both.assert_equal();
        if luck.one_in(8) || left == 0 {
            let back = 1 + luck.below(4);
            both.branch(back, |both| owner.next_block(both, &mut luck));
            both.assert_equal();
        }
    }
    both.validate();
}

#[test]
fn forged_chains_are_the_same_for_both() {
    for seed in [1, 2] {
        forge(RULES, seed, 30);
    }
}

/// Blocks in quick succession are harder and harder, so fewer of them outweigh more.
#[test]
fn a_shorter_branch_with_more_work_wins_in_both() {
    let mut luck = Luck::new(7);
    let mut both = Both::new(RULES);
    let mut owner = Owner::new(7);
    owner.pace = (60, 61);
    for _ in 0..10 {
        let block = owner.next_block(&mut both, &mut luck);
        both.accept(&block);
    }
    let long = both.ours().tip().height();
    owner.pace = (1, 2);
    both.branch(8, |both| owner.next_block(both, &mut luck));
    let heavy = both.ours().tip().height();
    assert!(heavy < long, "{heavy} is not below {long}");
    both.assert_equal();
    both.validate();
    // And back again: the state is that of the branch, not of what was undone.
    owner.pace = (60, 61);
    both.branch(2, |both| owner.next_block(both, &mut luck));
    both.assert_equal();
    both.validate();
}

/// The other chain, whose proofs of work are as long as on the public networks. Twelve blocks have all
/// versions of headers.
#[test]
fn a_forged_chain_with_long_proofs_of_work_is_the_same_for_both() {
    forge(Rules::user_testing(), 7, 13);
}

/// Each block is spoilt in some way and mined anew before it is given to both. If both take it after
/// all, the chain goes on from there.
#[test]
fn spoilt_blocks_are_refused_by_both_or_neither() {
    let mut luck = Luck::new(3);
    let mut both = Both::new(RULES);
    let mut owner = Owner::new(3);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..24 {
        let block = owner.next_block(&mut both, &mut luck);
        let mut went_on = false;
        for _ in 0..8 {
            let (name, bytes) = spoil::spoil(&block, both.ours(), &mut luck);
            if both.judge_equally(&name, &bytes) {
                taken += 1;
                went_on = true;
                break;
            }
            refused += 1;
            both.assert_equal();
        }
        if !went_on {
            let bytes = block.encode(Format::V3).expect("always");
            assert!(both.judge_equally("as it was", &bytes));
        }
        both.assert_equal();
    }
    assert!(
        refused > 60 && taken > 0,
        "{refused} refused, {taken} taken"
    );
    both.validate();
}

/// What the pool asks the chain about a transaction.
#[test]
fn transactions_meet_the_same_answers() {
    let mut luck = Luck::new(4);
    let mut both = Both::new(RULES);
    let mut owner = Owner::new(4);
    let (mut fine, mut unfit) = (0, 0);
    for _ in 0..20 {
        let block = owner.next_block(&mut both, &mut luck);
        both.accept(&block);
        for transaction in owner.wild_transactions(both.ours(), &mut luck) {
            if both.ask_equally(&transaction) {
                fine += 1;
            } else {
                unfit += 1;
            }
        }
    }
    assert!(fine > 5 && unfit > 5, "{fine} fine, {unfit} unfit");
}

/// The library's own reward for the same seed and path differs in nothing but the signature, whose nonce
/// it takes from luck.
#[test]
fn rewards_are_those_of_a_stock_wallet() {
    let seed = [9; 32];
    let ours = Wallet::from_seed(&seed).expect("a seed");
    let theirs = ExtKeychain::from_seed(&seed, false).expect("a seed");
    let builder = ProofBuilder::new(&theirs);
    for (number, fees) in [(0, 0), (5, 23_000_000), (1 << 20, 1)] {
        let key = KeyIndex::new(number).expect("below 2^31");
        let path = ExtKeychain::derive_key_id(3, 0, 0, key.number(), 0);
        let made = ours.coinbase(key, fees).expect("a reward").output();
        let (output, _) = reward::output(&theirs, &builder, &path, fees, false).expect("a reward");
        assert_eq!(made.commitment(), output.commitment().into());
        assert_eq!(made.proof(), output.proof_bytes());
    }
}

#[test]
fn aggregates_are_the_same_for_both() {
    let mut luck = Luck::new(6);
    let mut both = Both::new(RULES);
    let mut owner = Owner::new(6);
    for _ in 0..8 {
        let block = owner.next_block(&mut both, &mut luck);
        both.accept(&block);
    }
    let mut compared = 0;
    for _ in 0..4 {
        let made = owner.wild_transactions(both.ours(), &mut luck);
        let real = made.iter().map(|it| real_transaction(RULES.chain, it));
        let real: Vec<_> = real.collect();
        let theirs = grin_core::core::transaction::aggregate(&real);
        let ours = aggregate(&made);
        assert_eq!(ours.is_ok(), theirs.is_ok());
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else {
            continue;
        };
        assert!(same(&ours, &theirs));
        let parts = made.len() - 1;
        let our_rest = deaggregate(&ours, &made[..parts]).expect("parts of it");
        let rest = grin_core::core::transaction::deaggregate(theirs, &real[..parts]);
        assert!(same(&our_rest, &rest.expect("parts of it")));
        compared += 1;
    }
    assert!(compared > 0);
}

fn same(ours: &Transaction, theirs: &grin_core::core::Transaction) -> bool {
    let version = grin_core::ser::ProtocolVersion(3);
    let theirs = grin_core::ser::ser_vec(theirs, version).expect("written");
    ours.encode(Format::V3).expect("always") == theirs
}
