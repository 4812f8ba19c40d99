//! What is taken, what leaves, what a block gets; the recorded transactions; and a long walk beside a
//! pool that, as the original, asks the aggregate of everything.

mod plain;
mod walk;
mod world;

use peerage_mw::{Commitment, FeeRule, Format, Rules, Transaction, aggregate, chain_file};
use serde_json::Value;

use self::world::{World, from_hex, plain_kernel};
use super::*;
use crate::limits::GRIN_EMBARGO_MIN;
use crate::time::Duration;

#[test]
fn a_transaction_waits_once() {
    let mut world = World::grown(5);
    let paid = world.spend(1, 101, 0);
    assert!(world.fluff(&paid).is_ok());
    assert_eq!((world.pool.len(), world.pool.stem_len()), (1, 0));
    assert_eq!(world.fluff(&paid), Err(PoolError::DuplicateTx));
    assert_eq!(world.stem(&paid), Err(PoolError::DuplicateTx));
    assert!(world.pool.contains(&paid) && !world.pool.stem_contains(&paid));
}

#[test]
fn what_comes_unseen_a_second_time_is_for_everybody_to_see() {
    let mut world = World::grown(5);
    let paid = world.spend(1, 101, 0);
    assert_eq!(world.stem(&paid), Ok(vec![]));
    assert_eq!((world.pool.len(), world.pool.stem_len()), (0, 1));
    let spread = world.left(&paid, true, Departure::Spread);
    assert_eq!(world.stem(&paid), Ok(vec![spread]));
    assert_eq!((world.pool.len(), world.pool.stem_len()), (1, 0));
}

/// The second spends what the first makes.
#[test]
fn a_child_needs_its_parent_where_everybody_sees_it() {
    let mut world = World::grown(5);
    let parent = world.spend(1, 101, 0);
    let child = world.spend_of(&parent, 101, 102, 0);
    let missing = parent.outputs().next().unwrap().commitment();
    assert_eq!(world.fluff(&child), Err(PoolError::Spent(missing)));
    assert_eq!(world.stem(&parent), Ok(vec![]));
    assert_eq!(world.fluff(&child), Err(PoolError::Spent(missing)));
    assert_eq!(world.stem(&child), Ok(vec![]));
    // The parent is spread; the child stays, and has its parent there.
    assert!(world.fluff(&parent).is_ok());
    assert_eq!((world.pool.len(), world.pool.stem_len()), (1, 1));
    assert!(world.fluff(&child).is_ok());
    assert_eq!((world.pool.len(), world.pool.stem_len()), (2, 0));
}

#[test]
fn the_second_who_spends_a_coin_is_refused_whatever_it_pays() {
    let mut world = World::grown(5);
    let (first, second) = (world.spend(1, 101, 0), world.spend(1, 102, 900));
    let coin = first.inputs()[0].commitment;
    assert!(world.fluff(&first).is_ok());
    assert_eq!(world.fluff(&second), Err(PoolError::Spent(coin)));
    assert_eq!(world.stem(&second), Err(PoolError::Spent(coin)));
}

#[test]
fn what_everybody_sees_takes_its_place_from_what_waits_unseen() {
    let mut world = World::grown(5);
    let (unseen, seen) = (world.spend(1, 101, 0), world.spend(1, 102, 0));
    let child = world.spend_of(&unseen, 101, 103, 0);
    let other = world.spend(2, 104, 0);
    for transaction in [&unseen, &child, &other] {
        assert_eq!(world.stem(transaction), Ok(vec![]));
    }
    let gone = [&unseen, &child].map(|it| world.left(it, true, Departure::Conflicts));
    assert_eq!(world.fluff(&seen), Ok(gone.to_vec()));
    assert!(world.pool.stem_contains(&other));
}

#[test]
fn an_output_is_made_once() {
    let mut world = World::grown(5);
    let (first, second) = (world.spend(1, 101, 0), world.spend(2, 101, 0));
    let made = first.outputs().next().unwrap().commitment();
    assert!(world.fluff(&first).is_ok());
    let refused = Err(PoolError::DuplicateCommitment(made));
    assert_eq!(world.fluff(&second), refused);
    assert_eq!(world.stem(&second), refused);
    let _ = world.mine(std::slice::from_ref(&first));
    assert_eq!(world.pool.len(), 0);
    assert_eq!(world.fluff(&second), refused);
}

#[test]
fn a_block_takes_out_what_it_holds_and_what_it_contradicts() {
    let mut world = World::grown(6);
    let parent = world.spend(1, 101, 0);
    let child = world.spend_of(&parent, 101, 102, 0);
    let doomed = world.spend(2, 103, 0);
    let orphan = world.spend_of(&doomed, 103, 104, 0);
    let unseen = world.spend_of(&orphan, 104, 105, 0);
    let rival = world.spend(2, 106, 0);
    for transaction in [&parent, &child, &doomed, &orphan] {
        assert!(world.fluff(transaction).is_ok());
    }
    assert_eq!(world.stem(&unseen), Ok(vec![]));
    let left = world.mine(&[parent.clone(), rival]);
    let gone = [
        world.left(&parent, false, Departure::Confirmed),
        world.left(&doomed, false, Departure::Conflicts),
        world.left(&orphan, false, Departure::Conflicts),
        world.left(&unseen, true, Departure::Conflicts),
    ];
    assert_eq!(left, gone);
    assert_eq!((world.pool.len(), world.pool.stem_len()), (1, 0));
    assert!(world.pool.contains(&child));
}

#[test]
fn a_kernel_in_a_block_takes_out_the_whole_of_an_aggregate() {
    let mut world = World::grown(6);
    let (one, two) = (world.spend(1, 101, 0), world.spend(2, 102, 0));
    let both = aggregate(&[one.clone(), two]).unwrap();
    assert!(world.fluff(&both).is_ok());
    let left = world.mine(&[one]);
    assert_eq!(left, [world.left(&both, false, Departure::Confirmed)]);
}

#[test]
fn a_reorganisation_brings_back_what_was_spread_lately() {
    let mut world = World::grown(6);
    let (kept, child) = {
        let kept = world.spend(1, 101, 0);
        let child = world.spend_of(&kept, 101, 102, 0);
        (kept, child)
    };
    let rival_of = world.spend(2, 103, 0);
    for transaction in [&kept, &child, &rival_of] {
        assert!(world.fluff(transaction).is_ok());
    }
    let _ = world.mine(&[kept.clone(), child.clone(), rival_of]);
    assert_eq!(world.pool.len(), 0);

    let rival = world.spend(2, 104, 0);
    let _ = world.fork(1, &[&[rival], &[]]);
    let again = world.pool.readmit(&world.state, world.clock);
    let back: Vec<_> = again.back.iter().map(|it| it.digest()).collect();
    assert_eq!(back, [kept.digest(), child.digest()]);
    assert!(!again.more && again.left.is_empty());
    assert_eq!(world.pool.len(), 2);
    // Nothing is brought back twice.
    assert!(
        world
            .pool
            .readmit(&world.state, world.clock)
            .back
            .is_empty()
    );
}

#[test]
fn what_was_spread_long_ago_is_forgotten() {
    let mut world = World::grown(6);
    let old = world.spend(1, 101, 0);
    assert!(world.fluff(&old).is_ok());
    world.clock = world.clock + GRIN_REORG_CACHE_AGE + Duration::from_micros(1);
    let _ = world.mine(&[old]);
    let _ = world.fork(1, &[&[], &[]]);
    assert!(
        world
            .pool
            .readmit(&world.state, world.clock)
            .back
            .is_empty()
    );
}

#[test]
fn a_spread_transaction_that_a_reorganisation_reaches_in_time_comes_back() {
    let mut world = World::grown(6);
    let young = world.spend(1, 101, 0);
    assert!(world.fluff(&young).is_ok());
    world.clock = world.clock + GRIN_REORG_CACHE_AGE;
    let _ = world.mine(&[young]);
    let _ = world.fork(1, &[&[], &[]]);
    assert_eq!(world.pool.readmit(&world.state, world.clock).back.len(), 1);
}

/// The other branch is heavier and lower, so what was ripe and open is not any more.
#[test]
fn locks_and_rewards_are_asked_again_on_another_branch() {
    let mut world = World::grown(6);
    let reward = world.spend(4, 101, 0);
    let locked = world.lock(1, 102, 7);
    let lasting = world.spend(2, 103, 0);
    for transaction in [&reward, &locked, &lasting] {
        assert!(world.fluff(transaction).is_ok());
    }
    let undone = world.undo(1);
    let left = world.pool.follow(&world.state, &undone, &[], world.clock);
    let gone = [&reward, &locked].map(|it| world.left(it, false, Departure::Conflicts));
    assert_eq!(left, gone);
    assert_eq!(world.pool.len(), 1);
    assert_eq!(world.fluff(&reward), Err(PoolError::Immature(7)));
    assert_eq!(world.fluff(&locked), Err(PoolError::Immature(7)));
}

#[test]
fn relative_locks_wait_for_their_time_and_for_each_other() {
    let mut world = World::grown(7);
    let (first, second) = (world.relock(1, 101, 3), world.relock(2, 102, 3));
    assert_eq!(world.fluff(&first), Err(PoolError::NrdKernelPreHf3));
    let _ = (world.mine(&[]), world.mine(&[]));
    assert_eq!(world.state.tip().height(), 9);
    assert!(world.fluff(&first).is_ok());
    assert_eq!(
        world.fluff(&second),
        Err(PoolError::NrdKernelRelativeHeight)
    );
    assert_eq!(world.stem(&second), Err(PoolError::NrdKernelRelativeHeight));
    let _ = world.mine(&[first]);
    assert_eq!(world.fluff(&second), Err(PoolError::Immature(13)));
    let _ = (world.mine(&[]), world.mine(&[]));
    assert!(world.fluff(&second).is_ok());
    // Without the block that opened it, it is too early again.
    let undone = world.undo(1);
    let left = world.pool.follow(&world.state, &undone, &[], world.clock);
    assert_eq!(left, [world.left(&second, false, Departure::Conflicts)]);
}

#[test]
fn a_relative_lock_in_a_block_puts_others_of_its_excess_off() {
    let mut world = World::grown(9);
    let (waits, mined) = (world.relock(1, 101, 2), world.relock(2, 102, 2));
    assert!(world.fluff(&waits).is_ok());
    let left = world.mine(&[mined]);
    assert_eq!(left, [world.left(&waits, false, Departure::Conflicts)]);
}

#[test]
fn relative_locks_are_refused_where_they_are_not_enabled() {
    let mut world = World::grown(9);
    let locked = world.relock(1, 101, 2);
    world.rule(|rules| rules.relative_locks = false);
    assert_eq!(world.fluff(&locked), Err(PoolError::NrdKernelNotEnabled));
}

#[test]
fn a_transaction_must_pay_for_its_weight() {
    let mut world = World::grown(5);
    world.rule(|rules| rules.fee = FeeRule::V4_DEFAULT);
    // Four for the output and one for the kernel, less one for the input.
    let (least, less) = (world.pay(1, 101, 4_000_000), world.pay(1, 101, 3_999_999));
    assert_eq!(
        world.fluff(&less),
        Err(PoolError::LowFeeTransaction(4_000_000))
    );
    assert!(world.fluff(&least).is_ok());
}

#[test]
fn who_pays_least_makes_room_and_only_for_who_pays_more() {
    let mut world = World::grown(7);
    world.pool = Pool::new(3);
    let cheap_parent = world.spend(1, 101, 1);
    let dear_child = world.spend_of(&cheap_parent, 101, 102, 900);
    let middle = world.spend(2, 103, 500);
    for transaction in [&cheap_parent, &dear_child, &middle] {
        assert!(world.fluff(transaction).is_ok());
    }
    let (equal, better) = (world.spend(3, 104, 500), world.spend(3, 104, 501));
    assert_eq!(world.fluff(&equal), Err(PoolError::OverCapacity));
    // The parent pays less, but somebody depends on it.
    let evicted = world.left(&middle, false, Departure::Evicted);
    assert_eq!(world.fluff(&better), Ok(vec![evicted]));
    assert_eq!(world.pool.len(), 3);
    // The stem pool is closed while the public one is full.
    let unseen = world.spend(4, 105, 1_000);
    assert_eq!(world.stem(&unseen), Err(PoolError::OverCapacity));
}

#[test]
fn bytes_are_bounded_too() {
    let mut world = World::grown(6);
    let (one, two) = (world.spend(1, 101, 0), world.spend(2, 102, 0));
    assert!(world.fluff(&one).is_ok());
    world.pool.bytes_max = world.pool.bytes();
    assert_eq!(world.fluff(&two), Err(PoolError::OverCapacity));
    assert_eq!(world.stem(&two), Ok(vec![]));
    let three = world.spend(3, 103, 0);
    assert_eq!(world.stem(&three), Err(PoolError::OverCapacity));
    let better = world.spend(3, 103, 7);
    let evicted = world.left(&one, false, Departure::Evicted);
    assert_eq!(world.fluff(&better), Ok(vec![evicted]));
}

#[test]
fn a_block_gets_who_pays_most_and_a_child_pays_for_its_parent() {
    let mut world = World::grown(9);
    let poor = world.spend(1, 101, 0);
    let rich_child = world.spend_of(&poor, 101, 102, 10_000);
    let middle = world.spend(2, 103, 2_000);
    let last = world.spend(3, 104, 1);
    for transaction in [&poor, &last, &middle, &rich_child] {
        assert!(world.fluff(transaction).is_ok());
    }
    // Together the two weigh 1 + 21 + 6, each other one 25.
    let picked = |weight_max| -> Vec<_> {
        let picked = pick::pick(&world.pool.public, weight_max);
        picked.iter().map(|it| it.digest()).collect()
    };
    let digests = |of: &[&Transaction]| of.iter().map(|it| it.digest()).collect::<Vec<_>>();
    assert_eq!(picked(28), digests(&[&poor, &rich_child]));
    assert_eq!(picked(27), digests(&[&middle]));
    assert_eq!(picked(53), digests(&[&poor, &middle, &rich_child]));
    assert_eq!(picked(78), digests(&[&poor, &last, &middle, &rich_child]));
    assert_eq!(picked(24), digests(&[]));
}

#[test]
fn a_full_pool_fills_a_block_and_no_more() {
    let mut world = World::grown(16);
    for coin in 1..=13 {
        let paid = world.spend(coin, 100 + coin, coin);
        assert!(world.fluff(&paid).is_ok());
    }
    let rules = *world.state.rules();
    let picked: Vec<Transaction> = world
        .pool
        .pick(&rules)
        .iter()
        .map(|it| Transaction::clone(it))
        .collect();
    // Nine of 25 each: a tenth would go beyond 226.
    assert_eq!(picked.len(), 9);
    let _ = world.mine(&picked);
    assert_eq!(world.pool.len(), 4);
}

#[test]
fn parts_that_wait_by_themselves_are_taken_out_of_an_aggregate() {
    let mut world = World::grown(6);
    let (one, two) = (world.spend(1, 101, 0), world.spend(2, 102, 0));
    let both = aggregate(&[one.clone(), two.clone()]).unwrap();
    let screen = |pool: &Pool, state: &ChainState| {
        let screened = pool.screen(state, Arc::new(both.clone()), Way::Fluff);
        screened.map(|(it, way)| (it.digest(), way))
    };
    assert_eq!(
        screen(&world.pool, &world.state),
        Ok((both.digest(), Way::Fluff))
    );
    assert!(world.fluff(&one).is_ok());
    assert_eq!(
        screen(&world.pool, &world.state),
        Ok((two.digest(), Way::Fluff))
    );
    // It was checked as a whole, and meanwhile a part of it has come by itself.
    let outcome = world.pool.admit(
        &world.state,
        Arc::new(both.clone()),
        Way::Fluff,
        world.clock,
    );
    assert!(
        matches!(&outcome, Ok(Outcome::Remainder(rest)) if rest.digest() == two.digest()),
        "{outcome:?}"
    );
    assert!(world.fluff(&two).is_ok());
    assert_eq!(
        screen(&world.pool, &world.state),
        Err(PoolError::DuplicateTx)
    );
    let third = world.spend(3, 103, 0);
    let overlap = aggregate(&[two, third]).unwrap();
    assert_eq!(world.stem(&overlap), Err(PoolError::DuplicateKernel));
}

#[test]
fn an_aggregate_takes_its_parts_out_of_the_stem_pool() {
    let mut world = World::grown(6);
    let one = world.spend(1, 101, 0);
    let two = world.spend_of(&one, 101, 102, 0);
    let three = world.spend_of(&two, 102, 103, 0);
    for transaction in [&one, &two, &three] {
        assert_eq!(world.stem(transaction), Ok(vec![]));
    }
    let both = aggregate(&[one.clone(), two.clone()]).unwrap();
    let spread = [&one, &two].map(|it| world.left(it, true, Departure::Spread));
    assert_eq!(world.fluff(&both), Ok(spread.to_vec()));
    assert_eq!((world.pool.len(), world.pool.stem_len()), (1, 1));
}

#[test]
fn the_stem_pool_is_spread_in_bundles_that_fit_a_block() {
    let mut world = World::grown(13);
    let made: Vec<Transaction> = (1..=10)
        .map(|coin| world.spend(coin, 100 + coin, 0))
        .collect();
    for transaction in &made {
        assert_eq!(world.stem(transaction), Ok(vec![]));
    }
    let bundles = world.pool.bundles(world.state.rules());
    let kernels: Vec<_> = bundles.iter().map(|it| it.kernels().len()).collect();
    assert_eq!(kernels, [9, 1]);
    for bundle in &bundles {
        assert!(world.fluff(bundle).is_ok());
    }
    assert_eq!((world.pool.len(), world.pool.stem_len()), (2, 0));
}

#[test]
fn embargoes_end_one_by_one() {
    let mut world = World::grown(6);
    let (one, two) = (world.spend(1, 101, 0), world.spend(2, 102, 0));
    let began = world.clock;
    assert_eq!(world.pool.stem_dates(), None);
    assert_eq!(world.stem(&one), Ok(vec![]));
    world.clock = began + Duration::from_secs(1);
    assert_eq!(world.stem(&two), Ok(vec![]));
    assert_eq!(
        world.pool.stem_dates(),
        Some((began, began + GRIN_EMBARGO_MIN))
    );
    let ended = |after| {
        let ended = world.pool.embargo_ended(began + GRIN_EMBARGO_MIN + after);
        ended.iter().map(|it| it.digest()).collect::<Vec<_>>()
    };
    assert_eq!(ended(Duration::ZERO), [one.digest()]);
    assert_eq!(ended(Duration::from_secs(1)), [one.digest(), two.digest()]);
    assert!(
        world
            .pool
            .embargo_ended(began + Duration::from_secs(179))
            .is_empty()
    );
}

/// What release 4.1.1 and the real chain crate said of each is in the file.
#[test]
fn the_recorded_transactions_are_judged_as_recorded() {
    let rules = Rules {
        fee: FeeRule::V4_DEFAULT,
        ..Rules::automated_testing()
    };
    let chain = include_bytes!("../../../../../tests/vectors/grin/chain.json");
    let blocks = chain_file::read(&rules, chain).unwrap();
    let mut state = ChainState::new(rules, &blocks[0]).unwrap();
    for block in &blocks[1..] {
        let _ = state.apply(block).unwrap();
    }
    let text = include_str!("../../../../../tests/vectors/grin/transactions.json");
    let recorded: Value = serde_json::from_str(text).unwrap();
    let mut pool = Pool::new(10);
    let mut judged = Vec::new();
    for entry in recorded["transactions"].as_array().unwrap() {
        let bytes = from_hex(entry["hex_v1"].as_str().unwrap());
        let transaction = Transaction::decode(&rules, Format::V1, &bytes).unwrap();
        let outcome = pool.admit(&state, Arc::new(transaction), Way::Fluff, Instant::ZERO);
        let said = match outcome {
            Ok(_) => "taken".to_owned(),
            Err(error) => error.to_string().chars().take(40).collect(),
        };
        judged.push(format!("{}: {said}", entry["name"].as_str().unwrap()));
    }
    // Sums are checked before the pool: of the ninth only its kernel is met here.
    let known = [
        "spend_mature_coinbase_1in_2out: taken",
        "spend_mature_coinbase_1in_1out: taken",
        "child_of_first: taken",
        "double_spend_of_first: failed to validate tx: spent or unknown ",
        "fee_too_low: Low fee transaction 4000000",
        "locked_until_future_height: Immature transaction, not before height ",
        "immature_coinbase: Immature transaction, not before height ",
        "unknown_input: failed to validate tx: spent or unknown ",
        "kernel_sum_mismatch: Duplicate tx",
        "lock_height_already_reached: taken",
    ];
    assert_eq!(judged, known);
}

#[test]
fn reasons_read_like_the_original() {
    let said: Vec<String> = [
        PoolError::LowFeeTransaction(7),
        PoolError::Spent(Commitment([8; 33])),
        PoolError::OverCapacity,
    ]
    .iter()
    .map(|it| it.to_string().chars().take(48).collect())
    .collect();
    assert_eq!(said[0], "Low fee transaction 7");
    assert_eq!(said[1], "failed to validate tx: spent or unknown 08080808");
    assert_eq!(said[2], "Over capacity");
    assert_eq!(plain_kernel(3).fee().unwrap().value(), 3);
}
