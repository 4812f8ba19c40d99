//! Coins made, found, moved and mined by ourselves.

use super::*;
use crate::{
    Applied, Coin, Coinbase, Fault, Fee, FeeRule, Invalid, KernelFeatures, KeyIndex, Miner,
    OutputFeatures, Payment, ProposeError, Transaction, Wallet, WalletError, aggregate,
    deaggregate, genesis,
};

const FEE: u64 = 50_000_000;
const REWARD: u64 = 60_000_000_000;

fn wallet() -> Wallet {
    Wallet::from_seed(&[7; 32]).expect("a seed")
}

fn key(number: u64) -> KeyIndex {
    KeyIndex::new(number).expect("below 2^31")
}

fn plain(fee: u64) -> KernelFeatures {
    KernelFeatures::Plain {
        fee: Fee::new(fee).expect("a fee"),
    }
}

fn reward_of(height: u64) -> Coin {
    Coin {
        key: key(height),
        value: REWARD,
        features: OutputFeatures::Coinbase,
    }
}

/// Spends a coin to one key, with this kernel.
fn spend(coin: Coin, to: KeyIndex, kernel: KernelFeatures) -> Payment {
    let fee = kernel.fee().expect("no reward").value();
    Payment {
        spend: vec![coin],
        make: vec![(to, coin.value - fee)],
        kernel,
        excess_word: None,
    }
}

fn mine(state: &mut ChainState, transactions: &[Transaction]) -> (Block, Applied) {
    let height = state.tip().height() + 1;
    let fees = transactions.iter().map(Transaction::fee).sum();
    let coinbase = wallet().coinbase(key(height), fees).expect("a reward");
    mine_with(state, transactions, &coinbase)
}

fn mine_with(
    state: &mut ChainState,
    transactions: &[Transaction],
    coinbase: &Coinbase,
) -> (Block, Applied) {
    let later = state.tip().timestamp() + 60;
    let draft = state
        .propose(transactions, coinbase, later)
        .expect("a draft");
    let mut miner = Miner::new(draft, 0);
    let block = loop {
        if let Some(block) = miner.search(8) {
            break block;
        }
    };
    assert_eq!(state.check_header(block.header(), TODAY), Ok(()));
    let job = Job::Block {
        block: block.clone(),
        previous_offset: state.tip().total_kernel_offset(),
    };
    assert_eq!(check_one(job), Ok(()));
    let applied = state.apply(&block).expect("our own block");
    (block, applied)
}

fn fresh() -> ChainState {
    ChainState::new(RULES, &genesis(&RULES)).expect("empty")
}

fn grown(height: u64) -> ChainState {
    let mut state = fresh();
    for _ in 0..height {
        let _ = mine(&mut state, &[]);
    }
    state
}

#[test]
fn equal_wishes_give_equal_bytes() {
    let build = || {
        let mut state = grown(4);
        let paid = wallet().pay(&spend(reward_of(1), key(100), plain(FEE)));
        let (block, _) = mine(&mut state, &[paid.expect("a transaction")]);
        (block.encode(Format::V2).expect("features"), state.digest())
    };
    assert_eq!(build(), build());
    let other = wallet().coinbase(key(1), 1).expect("a reward");
    assert_ne!(other, wallet().coinbase(key(1), 2).expect("a reward"));
}

/// Keys, nonces and proofs come from the seed by rules that must not change: wallets hold coins by them.
#[test]
fn a_seed_means_the_same_coins_for_ever() {
    let mut state = grown(4);
    let paid = wallet().pay(&spend(reward_of(1), key(100), plain(FEE)));
    let (block, _) = mine(&mut state, &[paid.expect("a transaction")]);
    let made = [block.digest(), state.digest()].map(|it| it.to_string());
    let known = [
        "cf5533dd4f87879bb1ca61a6fc2a22dfe54ef93adfc9fa701c32f5c8e5912d1d",
        "b7b45c1f5f1f7036721072048d63002de57f5244704b15a6532065c69ebc52e1",
    ];
    assert_eq!(made, known);
}

#[test]
fn a_wallet_finds_its_own_coins_and_no_others() {
    let coinbase = wallet().coinbase(key(9), 5).expect("a reward");
    let coin = Coin {
        key: key(9),
        value: REWARD + 5,
        features: OutputFeatures::Coinbase,
    };
    assert_eq!(wallet().recognise(&coinbase.output()), Some(coin));
    assert_eq!(
        wallet().commitment(&coin),
        Ok(coinbase.output().commitment())
    );
    let stranger = Wallet::from_seed(&[8; 32]).expect("a seed");
    assert_eq!(stranger.recognise(&coinbase.output()), None);
    assert_eq!(format!("{:?}", wallet()), "Wallet(..)");
    assert_eq!(KeyIndex::new(1 << 31), None);
}

#[test]
fn seeds_and_their_words_are_the_same_wallet() {
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                 abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                 abandon abandon abandon abandon abandon art";
    let coin = reward_of(3);
    let by_words = Wallet::from_words(words).expect("24 words");
    let by_seed = Wallet::from_seed(&[0; 32]).expect("a seed");
    assert_eq!(by_words.commitment(&coin), by_seed.commitment(&coin));
    assert_eq!(Wallet::from_words("abandon").err(), Some(WalletError::Seed));
    assert_eq!(Wallet::from_seed(&[0; 15]).err(), Some(WalletError::Seed));
}

#[test]
fn payments_must_balance() {
    let mut payment = spend(reward_of(1), key(2), plain(FEE));
    payment.make[0].1 += 1;
    let made = wallet().pay(&payment);
    assert!(
        matches!(made, Err(WalletError::Unbalanced { .. })),
        "{made:?}"
    );
    payment.kernel = KernelFeatures::Coinbase;
    assert_eq!(wallet().pay(&payment), Err(WalletError::CoinbaseKernel));
}

#[test]
fn rewards_ripen_after_three_blocks() {
    let mut state = grown(2);
    let early = wallet()
        .pay(&spend(reward_of(1), key(50), plain(FEE)))
        .expect("made");
    assert_eq!(
        state.check_transaction(&early),
        Err(Invalid::ImmatureCoinbase(1))
    );
    let coinbase = wallet().coinbase(key(3), FEE).expect("a reward");
    let refused = state
        .propose(core::slice::from_ref(&early), &coinbase, TODAY)
        .map(drop);
    assert_eq!(
        refused,
        Err(ProposeError::Invalid(Invalid::ImmatureCoinbase(1)))
    );
    let _ = mine(&mut state, &[]);
    let _ = mine(&mut state, &[early]);
    assert_eq!(state.tip().height(), 4);
}

#[test]
fn a_reward_claims_exactly_the_fees() {
    let mut state = grown(4);
    let paid = wallet()
        .pay(&spend(reward_of(1), key(50), plain(FEE)))
        .expect("made");
    let coinbase = wallet().coinbase(key(5), FEE + 1).expect("a reward");
    let refused = state.propose(&[paid], &coinbase, TODAY).map(drop);
    let (claimed, paid) = (FEE + 1, FEE);
    assert_eq!(refused, Err(ProposeError::FeesDiffer { claimed, paid }));
}

#[test]
fn relative_locks_hold_and_open() {
    let mut state = grown(10);
    let locked = |coin: Coin, to| {
        let kernel = KernelFeatures::NoRecentDuplicate {
            fee: Fee::new(FEE).expect("a fee"),
            relative_height: 3,
        };
        let mut payment = spend(coin, key(to), kernel);
        payment.excess_word = Some(b"again".to_vec());
        wallet().pay(&payment).expect("made")
    };
    let (first, second) = (locked(reward_of(1), 100), locked(reward_of(2), 101));
    assert_eq!(first.kernels().next().map(|it| it.excess()), {
        second.kernels().next().map(|it| it.excess())
    });
    assert!(first.has_relative_lock());
    let bytes = first.encode(Format::V1).expect("features");
    assert_eq!(
        Transaction::decode(&RULES, Format::V1, &bytes),
        Ok(first.clone())
    );
    let without = Rules {
        relative_locks: false,
        ..RULES
    };
    assert!(Transaction::decode(&without, Format::V1, &bytes).is_err());

    let _ = mine(&mut state, &[first]);
    assert_eq!(
        state.check_transaction(&second),
        Err(Invalid::RelativeLock(2))
    );
    let (_, applied) = mine(&mut state, &[]);
    assert_eq!(
        state.check_transaction(&second),
        Err(Invalid::RelativeLock(1))
    );
    state.undo(applied);
    assert_eq!(
        state.check_transaction(&second),
        Err(Invalid::RelativeLock(2))
    );
    let _ = mine(&mut state, &[]);
    let _ = mine(&mut state, &[]);
    assert_eq!(state.check_transaction(&second), Ok(()));
    let _ = mine(&mut state, &[second]);
}

#[test]
fn one_block_holds_an_excess_with_a_relative_lock_once() {
    let kernel = KernelFeatures::NoRecentDuplicate {
        fee: Fee::new(FEE).expect("a fee"),
        relative_height: 1,
    };
    let made = [1, 2].map(|height| {
        let mut payment = spend(reward_of(height), key(100 + height), kernel);
        payment.excess_word = Some(b"twice".to_vec());
        wallet().pay(&payment).expect("made")
    });
    let both = aggregate(&made).expect("they go together");
    let verdict = check_one(Job::Transaction(both));
    assert_eq!(verdict, Err(Fault::DoubledRelativeLock));
}

#[test]
fn parts_of_an_aggregate_can_be_taken_out_again() {
    let made: Vec<Transaction> = (1..4)
        .map(|height| {
            let payment = spend(reward_of(height), key(100 + height), plain(FEE));
            wallet().pay(&payment).expect("made")
        })
        .collect();
    let whole = aggregate(&made).expect("they go together");
    assert_eq!(check_one(Job::Transaction(whole.clone())), Ok(()));
    let rest = deaggregate(&whole, &made[..2]).expect("parts of it");
    assert_eq!(rest.digest(), made[2].digest());
    assert!(rest.same_kernels(&made[2]) && !rest.same_kernels(&whole));
    let nothing = deaggregate(&whole, &made).expect("all of it");
    let nobody = aggregate(&[]).expect("of none");
    assert_eq!(nothing.digest(), nobody.digest());
    assert!(whole.spends(made[0].inputs()[0].commitment));
}

#[test]
fn fees_are_weighed_by_either_rule() {
    let made = wallet()
        .pay(&spend(reward_of(1), key(2), plain(12_500_000)))
        .expect("made");
    // One input, one output, one kernel.
    assert_eq!(made.weight(), 1 + 21 + 3);
    assert_eq!(made.fee_asked(FeeRule::V5_DEFAULT), 12_500_000);
    assert_eq!(made.fee_asked(FeeRule::V4_DEFAULT), 4_000_000);
    assert!(made.pays(FeeRule::V5_DEFAULT) && made.pays(FeeRule::V4_DEFAULT));
    assert!(!made.pays(FeeRule::V5 { base: 500_001 }));
    let shifted = KernelFeatures::Plain {
        fee: Fee::with_shift(12_500_000, 1).expect("a fee"),
    };
    let made = wallet()
        .pay(&spend(reward_of(1), key(2), shifted))
        .expect("made");
    assert_eq!((made.fee(), made.fee_shift()), (12_500_000, 1));
    assert!(!made.pays(FeeRule::V5_DEFAULT) && made.pays(FeeRule::V4_DEFAULT));
}

#[test]
fn a_search_can_be_stopped_and_taken_up() {
    let mut state = fresh();
    let coinbase = wallet().coinbase(key(1), 0).expect("a reward");
    let draft = state.propose(&[], &coinbase, TODAY).expect("a draft");
    let mut all = Miner::new(draft.clone(), 5);
    let found = all.search(u32::MAX).expect("there is one");
    let mut steps = Miner::new(draft, 5);
    let again = loop {
        assert!(steps.search(0).is_none());
        if let Some(block) = steps.search(1) {
            break block;
        }
    };
    assert_eq!(again, found);
    assert_eq!(found.header().timestamp(), TODAY);
    assert!(
        state
            .propose(&[], &coinbase, 0)
            .is_ok_and(|draft| draft.height() == 1)
    );
}

#[test]
fn the_other_chain_is_mined_too() {
    let rules = Rules::user_testing();
    let mut state = ChainState::new(rules, &genesis(&rules)).expect("empty");
    let coinbase = wallet().coinbase(key(1), 0).expect("a reward");
    let draft = state.propose(&[], &coinbase, TODAY).expect("a draft");
    let block = Miner::new(draft, 0).search(u32::MAX).expect("there is one");
    assert_eq!(block.header().solution().len(), 42);
    let header = Job::Header(block.header().clone());
    assert_eq!(check(&mut Verifier::new(rules), &[header]), [Ok(())]);
    let _ = state.apply(&block).expect("our own");
    // The two chains' headers do not read as each other's.
    let bytes = block.encode(Format::V3).expect("always");
    assert!(Block::decode(&RULES, Format::V3, &bytes).is_err());
    assert_eq!(Block::decode(&rules, Format::V3, &bytes), Ok(block));
}
