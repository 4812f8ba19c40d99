//! Transactions: from a client into the pool, among nodes, into a block, and through a restart.

use std::sync::Arc;

use peerage_mw::Transaction;

use super::{
    Block, ask, between, calls, chain, events, greet, hello, node_with, refusals, started, tip,
    transaction,
};
use crate::rooms::grin::types::{Ask, Between, Event, Request, Response};
use crate::rows::Record as _;
use crate::scripted::{Script, World, config, info, operator};
use crate::time::Duration;
use crate::{CallError, CallId, Output, rooms};

const FIRST: &str = "spend_mature_coinbase_1in_2out";

fn push(script: &mut Script, transaction: Arc<Transaction>, fluff: bool) -> Response {
    ask(script, Ask::Push { transaction, fluff })
}

fn pushed(script: &mut Script, transaction: Arc<Transaction>, fluff: bool) -> Vec<Output> {
    let ask = Request::Ask(Ask::Push { transaction, fluff });
    let (_, input) = script.request(operator(), ask.into());
    script.run(input)
}

/// The recorded chain at a node that has called the second node and is linked with it.
fn node_with_outbound_link() -> Script {
    let mut config = config(1);
    config.grin.import = Some(chain());
    config.grin.links_max = 1;
    config.known_peers = vec![info(2)];
    let mut script = started(config);
    let outputs = script.advance(Duration::from_secs(1));
    let (id, _) = calls(&outputs).pop().expect("a greeting");
    let said = hello(2, chain()[30].header());
    script.reply(id, Response::Hello(said.into()), 2);
    assert_eq!(script.gauge("grin_links"), 1);
    script
}

fn relayed(outputs: &[Output]) -> Vec<(CallId, bool)> {
    let relays = calls(outputs).into_iter().filter_map(|(id, what)| {
        let Between::Relay { stem, .. } = what else {
            return None;
        };
        Some((id, stem))
    });
    relays.collect()
}

#[test]
fn a_lone_node_takes_a_transaction_and_mines_it() {
    let mut config = config(1);
    config.grin.import = Some(chain());
    config.grin.mine = Some(Duration::from_secs(5));
    let mut script = started(config);
    let valid = transaction(FIRST);
    assert_eq!(push(&mut script, valid.clone(), false), Response::Pushed);
    assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(1));
    script.advance(Duration::from_secs(6));
    assert_eq!(tip(&mut script).height, 31);
    assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(0));
    let excess = valid.kernels().next().expect("a kernel").excess();
    let found = ask(
        &mut script,
        Ask::Kernel {
            excess,
            from: None,
            to: None,
        },
    );
    assert!(matches!(found, Response::Kernel(Some(page)) if page.height == 31));
    assert_eq!(
        ask(&mut script, Ask::Validate { post: false }),
        Response::Done
    );
    script.advance(Duration::from_secs(1));
    assert_eq!(script.durable(), script.exported());
}

#[test]
fn wrong_transactions_are_refused_in_one_voice() {
    let mut script = node_with(chain());
    assert_eq!(
        push(&mut script, transaction(FIRST), true),
        Response::Pushed
    );
    for name in [
        FIRST,
        "double_spend_of_first",
        "fee_too_low",
        "immature_coinbase",
        "kernel_sum_mismatch",
        "locked_until_future_height",
        "unknown_input",
    ] {
        let text = "failed: Internal error: Failed to update pool";
        let refused = Response::Failed(500, text.into());
        assert_eq!(
            push(&mut script, transaction(name), true),
            refused,
            "{name}"
        );
    }
    assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(1));
    // Operators are not banned for what their clients push.
    assert_eq!(script.gauge("bans"), 0);
}

#[test]
fn a_push_goes_unseen_to_one_peer_and_comes_back_seen() {
    let mut script = node_with_outbound_link();
    greet(&mut script, 3, chain()[30].header());
    let valid = transaction(FIRST);
    let outputs = pushed(&mut script, valid.clone(), false);
    let relays = relayed(&outputs);
    assert!(matches!(relays[..], [(_, true)]), "{relays:?}");
    assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(0));
    assert_eq!(script.gauge("grin_stem_pool"), 1);
    script.reply(relays[0].0, Response::Done, 2);
    assert_eq!(script.gauge("grin_stem_pool"), 1);

    // Somebody has spread it: it is told to all others.
    let what = Between::Relay {
        stem: false,
        transaction: valid,
    };
    let outputs = between(&mut script, 3, what);
    assert!(matches!(relayed(&outputs)[..], [(_, false)]));
    assert_eq!(script.gauge("grin_stem_pool"), 0);
    assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(1));
}

#[test]
fn a_relay_that_fails_has_the_transaction_spread_at_once() {
    for error in [CallError::Timeout, CallError::Refused, CallError::Busy] {
        let mut script = node_with_outbound_link();
        let outputs = pushed(&mut script, transaction(FIRST), false);
        let (id, _) = relayed(&outputs)[0];
        let outputs = script.fail(id, error);
        assert!(matches!(relayed(&outputs)[..], [(_, false)]), "{error:?}");
        assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(1));
    }
}

#[test]
fn a_transaction_that_nobody_spreads_is_spread_after_the_embargo() {
    let mut script = node_with_outbound_link();
    let outputs = pushed(&mut script, transaction(FIRST), false);
    script.reply(relayed(&outputs)[0].0, Response::Done, 2);
    let keep_linked = |script: &mut Script, outputs: &[Output]| {
        for (id, what) in calls(outputs) {
            if let Between::Hello(_) = what {
                let said = hello(2, chain()[30].header());
                script.reply(id, Response::Hello(said.into()), 2);
            }
        }
    };
    let mut ended = None;
    for second in 0..230 {
        let outputs = script.advance(Duration::from_secs(1));
        keep_linked(&mut script, &outputs);
        if events(&outputs).contains(&Event::EmbargoEnded) {
            ended = Some(second);
            assert!(matches!(relayed(&outputs)[..], [(_, false)]));
            break;
        }
    }
    assert!(ended.is_some_and(|second| second >= 179), "{ended:?}");
    assert_eq!(ask(&mut script, Ask::Pool), Response::Pool(1));
}

#[test]
fn waiting_transactions_outlive_a_restart_and_children_find_their_parents() {
    let mut script = node_with(chain());
    for name in [FIRST, "child_of_first", "spend_mature_coinbase_1in_1out"] {
        assert_eq!(
            push(&mut script, transaction(name), true),
            Response::Pushed,
            "{name}"
        );
    }
    script.advance(Duration::from_secs(2));
    let mut again = Script::restore(config(1), script.durable());
    assert_eq!(again.exported(), script.exported());
    again.advance(Duration::from_secs(2));
    assert_eq!(ask(&mut again, Ask::Pool), Response::Pool(3));
    assert_eq!(again.exported(), script.exported());

    // What no longer fits is gone, on the disk too.
    let blocks = chain();
    let rows = script.durable().into_iter().filter(|row| {
        // The coinbase that is spent is not ripe after so few blocks.
        !matches!(row, rooms::Row::Grin(rooms::grin::Row::Block(height, _)) if *height > 2)
    });
    let mut short = Script::restore(config(1), rows.collect());
    short.advance(Duration::from_secs(2));
    assert_eq!(tip(&mut short).hash, blocks[2].hash());
    assert_eq!(ask(&mut short, Ask::Pool), Response::Pool(0));
    assert_eq!(short.durable(), short.exported());
    assert!(short.durable().iter().all(|row| row.key()[0] != 0x52));
}

#[test]
fn whoever_relays_a_false_transaction_is_banned() {
    let mut script = node_with(chain());
    greet(&mut script, 2, chain()[30].header());
    let transaction = transaction("kernel_sum_mismatch");
    let outputs = between(
        &mut script,
        2,
        Between::Relay {
            stem: false,
            transaction,
        },
    );
    assert_eq!(
        refusals(&outputs),
        ["outputs, inputs and kernels do not balance"]
    );
    assert!(script.gauge("bans") > 0);
    assert_eq!(script.gauge("grin_links"), 0);
    // Views of the chain may differ: what spends the unknown costs nothing.
    greet(&mut script, 3, chain()[30].header());
    let before = script.gauge("bans");
    let transaction = super::transaction("unknown_input");
    between(
        &mut script,
        3,
        Between::Relay {
            stem: false,
            transaction,
        },
    );
    assert_eq!(script.gauge("bans"), before);
}

#[test]
fn strangers_pass_nothing_on() {
    let mut script = node_with(chain());
    let what = Between::Relay {
        stem: true,
        transaction: transaction(FIRST),
    };
    let outputs = between(&mut script, 2, what);
    assert_eq!(events(&outputs), [Event::ImpostorRefused]);
    assert_eq!(script.gauge("grin_stem_pool"), 0);
}

#[test]
fn everybody_has_a_pushed_transaction_in_the_end() {
    let chains: [Arc<[Block]>; 4] = core::array::from_fn(|_| chain());
    let mut world = World::new(4, |at, config| {
        config.grin.import = Some(chains[at].clone());
        config.grin.links_max = 8;
        config.known_peers = (1..=4)
            .filter(|n| usize::from(*n) != at + 1)
            .map(info)
            .collect();
    });
    let linked = |world: &World| world.nodes.iter().all(|node| node.gauge("grin_links") == 3);
    assert!(world.until(Duration::from_secs(10), linked));
    let (transaction, fluff) = (transaction(FIRST), false);
    world.ask(0, Request::Ask(Ask::Push { transaction, fluff }).into());
    let waits = |world: &World| world.nodes.iter().all(|node| node.gauge("grin_pool") == 1);
    assert!(world.until(Duration::from_secs(300), waits));
    assert!(
        world
            .nodes
            .iter()
            .all(|node| node.gauge("grin_stem_pool") == 0)
    );
    assert!(world.nodes.iter().all(|node| node.gauge("bans") == 0));
}
