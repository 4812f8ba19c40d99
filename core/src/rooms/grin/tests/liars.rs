//! Peers that are not who they say, or do not have what they claim.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerage_mw::Block;

use super::{
    Response, ask, between, calls, chain, events, fork, greet, hello, node_with, refusals, started,
    tip,
};
use crate::rooms::grin::page::SyncState;
use crate::rooms::grin::types::{Ask, Between, Event, Request};
use crate::rooms::{self};
use crate::scripted::{Script, addr, config, info, peer_caller};
use crate::time::Duration;
use crate::{CallError, Caller, Output};

fn refusal(outputs: &[Output]) -> Option<u16> {
    let response = crate::scripted::responses(outputs).pop()?;
    let rooms::Response::Grin(Response::Failed(status, _)) = response else {
        return None;
    };
    Some(status)
}

fn say(script: &mut Script, from: Caller, what: Between) -> Vec<Output> {
    let request = Request::Between(super::RULES.chain, what).into();
    let (_, input) = script.request(from, request);
    script.run(input)
}

#[test]
fn a_link_needs_a_certificate_and_the_same_first_block() {
    let blocks = chain();
    let mut script = node_with(blocks.clone());
    let last = blocks[30].header();
    let nobody = Caller {
        cert: None,
        ..peer_caller(2)
    };
    let outputs = say(&mut script, nobody, Between::Hello(hello(2, last).into()));
    assert_eq!(refusal(&outputs), Some(403));
    assert_eq!(events(&outputs), [Event::ImpostorRefused]);

    let mut other = hello(2, last);
    other.genesis = blocks[1].hash().to_string();
    let outputs = between(&mut script, 2, Between::Hello(other.into()));
    assert_eq!(refusal(&outputs), Some(400));

    let mut nowhere = hello(2, last);
    nowhere.address = "no address".into();
    let outputs = between(&mut script, 2, Between::Hello(nowhere.into()));
    assert_eq!(refusal(&outputs), Some(400));

    let mut own = hello(2, last);
    own.address = addr(1).to_string();
    let outputs = between(&mut script, 2, Between::Hello(own.into()));
    assert_eq!(refusal(&outputs), Some(400));
    assert_eq!(script.gauge("grin_links"), 0);

    let other_chain = Request::Between(
        peerage_mw::Chain::UserTesting,
        Between::Hello(hello(2, last).into()),
    );
    let (_, input) = script.request(peer_caller(2), other_chain.into());
    let responses = crate::scripted::responses(&script.run(input));
    assert_eq!(responses, [Response::NotFound.into()]);
}

/// A node that is linked with the second one, which it has called.
pub(super) fn linked_node(blocks: Arc<[Block]>) -> Script {
    let mut config = config(1);
    config.grin.import = Some(blocks);
    config.grin.links_max = 1;
    config.known_peers = vec![info(2)];
    let mut script = started(config);
    let outputs = script.advance(Duration::from_secs(1));
    let (id, _) = calls(&outputs).pop().expect("a greeting");
    let said = hello(2, chain()[0].header());
    script.reply(id, Response::Hello(said.into()), 2);
    assert_eq!(script.gauge("grin_links"), 1);
    script
}

#[test]
fn nobody_takes_the_address_of_whoever_was_met_there() {
    let mut script = linked_node(chain());
    let mut said = hello(3, chain()[0].header());
    said.address = addr(2).to_string();
    let outputs = between(&mut script, 3, Between::Hello(said.into()));
    assert_eq!(refusal(&outputs), Some(403));
    assert_eq!(script.gauge("grin_links"), 1);
}

/// Whoever says that it is at somebody else's address and then sends rubbish has its own banned.
#[test]
fn rubbish_does_not_fall_back_on_an_address_that_was_only_claimed() {
    let mut script = node_with(chain());
    let mut said = hello(3, chain()[30].header());
    said.address = addr(2).to_string();
    between(&mut script, 3, Between::Hello(said.into()));
    let transaction = super::transaction("kernel_sum_mismatch");
    between(
        &mut script,
        3,
        Between::Relay {
            stem: false,
            transaction,
        },
    );
    let bans = &script.node.commons().bans;
    let covers = |n: u8| {
        let key = crate::commons::bans::BanKey::of_address(&addr(n));
        bans.covers(script.now.wall, &key)
    };
    assert!(covers(3) && !covers(2));
}

#[test]
fn whoever_greets_is_called_back_where_it_says_it_is() {
    let mut config = config(1);
    config.grin.links_max = 8;
    let mut script = started(config);
    let outputs = greet(&mut script, 3, chain()[0].header());
    let calls = calls(&outputs);
    assert!(matches!(calls[..], [(_, Between::Hello(_))]), "{calls:?}");
    script.fail(calls[0].0, CallError::IdentityMismatch);
    assert_eq!(script.gauge("grin_links"), 0);
}

/// A peer that claims more work than anybody and shows nothing is asked now and then, and keeps nobody
/// from mining.
#[test]
fn claims_without_headers_cost_little() {
    let mut config = config(1);
    config.grin.mine = Some(Duration::from_secs(30));
    let mut script = started(config);
    let mut asked = 0;
    for _ in 0..12 {
        let mut said = hello(2, chain()[30].header());
        said.total_difficulty = u64::MAX;
        let mut outputs = between(&mut script, 2, Between::Hello(said.into()));
        for _ in 0..20 {
            let mut next = Vec::new();
            for (id, what) in calls(&outputs) {
                let response = match what {
                    Between::Headers(_) => {
                        asked += 1;
                        Response::Headers(Arc::new([]))
                    }
                    Between::Hello(_) | Between::Announce(_) | Between::Relay { .. } => {
                        Response::Done
                    }
                    Between::Blocks(_) => panic!("no such blocks"),
                };
                next.extend(script.reply(id, response, 2));
            }
            next.extend(script.advance(Duration::from_millis(500)));
            outputs = next;
        }
    }
    assert!((12..=30).contains(&asked), "{asked}");
    assert!(tip(&mut script).height >= 3, "{:?}", tip(&mut script));
    assert_eq!(script.gauge("bans"), 0);
}

/// Whoever shows headers and never the blocks is given up; with somebody else the chain goes on.
#[test]
fn headers_without_blocks_do_not_stop_the_chain() {
    let (main, better) = (chain(), fork());
    let mut script = linked_node(main.clone());
    let last = better.last().expect("blocks").header();
    let mut outputs = greet(&mut script, 2, last);
    let mut asked: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..60 {
        let mut next = Vec::new();
        for (id, what) in calls(&outputs) {
            match what {
                Between::Headers(_) => {
                    *asked.entry("headers").or_default() += 1;
                    let headers = better[26..].iter().map(|block| block.header().clone());
                    let headers = Response::Headers(headers.collect());
                    next.extend(script.reply(id, headers, 2));
                }
                Between::Blocks(_) => {
                    *asked.entry("blocks").or_default() += 1;
                    next.extend(script.fail(id, CallError::Timeout));
                }
                Between::Hello(_) | Between::Announce(_) | Between::Relay { .. } => {
                    next.extend(script.fail(id, CallError::Timeout));
                }
            }
        }
        next.extend(script.advance(Duration::from_secs(1)));
        outputs = next;
    }
    assert_eq!(script.gauge("grin_links"), 0);
    assert_eq!(
        script.gauge("grin_headers_beside"),
        0,
        "nobody says any more that there are such"
    );
    assert_eq!(tip(&mut script).hash, main[30].hash());
    let Response::Status(page) = ask(&mut script, Ask::Status) else {
        panic!("no status");
    };
    assert_eq!(page.sync, SyncState::AwaitingPeers);

    // Somebody who has the blocks.
    let mut outputs = greet(&mut script, 3, last);
    while let Some((id, what)) = calls(&outputs).into_iter().next() {
        outputs = match what {
            Between::Headers(_) => {
                let headers = better[26..].iter().map(|block| block.header().clone());
                script.reply(id, Response::Headers(headers.collect()), 3)
            }
            Between::Blocks(hashes) => {
                let has = |block: &&Block| hashes.contains(&block.hash());
                let blocks = better.iter().filter(has).cloned().collect();
                script.reply(id, Response::Blocks(blocks), 3)
            }
            Between::Hello(_) | Between::Announce(_) | Between::Relay { .. } => break,
        };
        assert_eq!(refusals(&outputs), Vec::<String>::new());
    }
    assert_eq!(tip(&mut script).hash, last.hash());
}

#[test]
fn blocks_that_were_not_asked_for_end_the_link() {
    let main = chain();
    let mut script = linked_node(main[..29].into());
    let outputs = between(&mut script, 2, Between::Announce(main[29].header().clone()));
    let (id, _) = calls(&outputs).pop().expect("the block is asked for");
    script.reply(id, Response::Blocks(Arc::new([main[5].clone()])), 2);
    assert_eq!(tip(&mut script).height, 28);
    assert_eq!(script.gauge("grin_links"), 0);
    assert_eq!(script.gauge("bans"), 0);
}
