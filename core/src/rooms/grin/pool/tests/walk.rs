//! A long walk: transactions, blocks and forks come in any order, and after each step the pool holds
//! what the plain one holds, and a block can be made of what it picks.

use std::collections::BTreeSet;

use peerage_mw::{Hash, Transaction};

use super::plain::PlainPool;
use super::world::World;
use crate::rng::Seed;

/// Three generations over six rewards, each with a rival, some with equal outputs.
fn deck(world: &World) -> Vec<Transaction> {
    let mut deck = Vec::new();
    for coin in 1..=6 {
        let parent = world.spend(coin, 100 + coin, coin);
        let rival = world.spend(coin, 100 + coin / 2, 0);
        let child = world.spend_of(&parent, 100 + coin, 200 + coin / 2, 3);
        let grandchild = world.spend_of(&child, 200 + coin / 2, 300 + coin, 7 * coin);
        let rival_child = world.spend_of(&rival, 100 + coin / 2, 400 + coin, 2);
        deck.extend([parent, rival, child, grandchild, rival_child]);
    }
    deck.push(world.lock(5, 501, 12));
    deck.push(world.spend(9, 502, 4));
    deck
}

fn digests<'a>(of: impl IntoIterator<Item = &'a Transaction>) -> BTreeSet<Hash> {
    of.into_iter().map(Transaction::digest).collect()
}

fn compare(world: &mut World, plain: &PlainPool) {
    let held = |stem| {
        digests(
            world
                .pool
                .iter()
                .filter(|it| it.1 == stem)
                .map(|it| it.0.as_ref()),
        )
    };
    assert_eq!(held(false), digests(&plain.public));
    assert_eq!(held(true), digests(&plain.stem));
}

fn walk(deck: &[Transaction], number: u8) {
    let mut luck = Seed([number; 32]).stream("walk");
    let mut world = World::grown(9);
    let mut plain = PlainPool::default();
    for _ in 0..150 {
        let transaction = &deck[luck.index(deck.len())];
        match luck.below(20) {
            0..9 => {
                let ours = world.fluff(transaction).is_ok();
                assert_eq!(ours, plain.fluff(&world.state, transaction));
            }
            9..16 => {
                let ours = world.stem(transaction).is_ok();
                assert_eq!(ours, plain.stem(&world.state, transaction));
            }
            16 => {
                let rules = *world.state.rules();
                let picked = world.pool.pick(&rules);
                let picked: Vec<_> = picked.iter().map(|it| Transaction::clone(it)).collect();
                let _ = world.mine(&picked);
                plain.follow(&world.state, &kernels(&picked));
            }
            17 | 18 => {
                let mined = [transaction.clone()];
                if world.try_mine(&mined).is_some() {
                    plain.follow(&world.state, &kernels(&mined));
                }
            }
            _ => {
                let undone = world.undo(2);
                let clock = world.clock;
                let _ = world.pool.follow(&world.state, &undone, &[], clock);
                plain.follow(&world.state, &BTreeSet::new());
            }
        }
        compare(&mut world, &plain);
    }
}

fn kernels(of: &[Transaction]) -> BTreeSet<Hash> {
    of.iter()
        .flat_map(Transaction::kernels)
        .map(|it| it.hash())
        .collect()
}

#[test]
fn the_pool_holds_what_a_plain_one_holds() {
    let deck = deck(&World::grown(9));
    for number in 0..3 {
        walk(&deck, number);
    }
}
