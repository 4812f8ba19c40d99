//! Nodes among each other: links, headers and blocks.

use std::sync::Arc;

use peerage_mw::{Block, Hash};

use super::liars::linked_node;
use super::{calls, chain, fork, greet, hello, long_and_heavy, tip};
use crate::rooms::grin::page::{LinkPage, PeerPage};
use crate::rooms::grin::types::{Ask, Between, Request, Response};
use crate::rooms::{self, Row};
use crate::rows::Record as _;
use crate::scripted::{World, addr, ban, info, operator, unban};
use crate::time::Duration;

/// Nodes that know each other and begin with chains of their own.
pub(super) fn world(chains: &[Arc<[Block]>]) -> World {
    world_with(chains, |_, _| {})
}

fn world_with(chains: &[Arc<[Block]>], tune: impl Fn(usize, &mut crate::config::Config)) -> World {
    let count = u8::try_from(chains.len()).expect("few nodes");
    World::new(count, |at, config| {
        config.grin.import = Some(chains[at].clone());
        config.grin.links_max = 8;
        config.known_peers = (1..=count)
            .filter(|n| usize::from(*n) != at + 1)
            .map(info)
            .collect();
        tune(at, config);
    })
}

pub(super) fn heights(world: &World) -> Vec<u64> {
    world
        .nodes
        .iter()
        .map(|node| node.gauge("grin_height"))
        .collect()
}

fn works(world: &World) -> Vec<u64> {
    world
        .nodes
        .iter()
        .map(|node| node.gauge("grin_total_difficulty"))
        .collect()
}

/// Lets what is under way come to its end: whoever greets is called back before it is believed.
fn settle(world: &mut World) {
    world.until(Duration::from_secs(1), |_| false);
}

/// What is promised is on the disk; hints may still be on their way.
fn assert_durable(world: &World) {
    let promised =
        |rows: Vec<Row>| -> Vec<Row> { rows.into_iter().filter(|row| !row.lazy()).collect() };
    for node in &world.nodes {
        assert_eq!(promised(node.durable()), promised(node.exported()));
    }
}

fn ask(world: &mut World, node: usize, ask: Ask) -> Response {
    match world.nodes[node].ask(operator(), Request::Ask(ask).into()) {
        Some(rooms::Response::Grin(response)) => response,
        other => panic!("no answer of the room but {other:?}"),
    }
}

fn links(world: &mut World, node: usize) -> Vec<LinkPage> {
    let Response::Connected(links) = ask(world, node, Ask::Connected) else {
        panic!("no links");
    };
    links.to_vec()
}

fn peer(world: &mut World, node: usize, n: u8) -> PeerPage {
    let Response::Peer(page) = ask(world, node, Ask::Peer(addr(n))) else {
        panic!("no peer");
    };
    PeerPage::clone(&page)
}

#[test]
fn a_new_node_gets_the_whole_chain() {
    let first: Arc<[Block]> = chain()[..1].into();
    let mut world = world(&[chain(), first]);
    assert!(world.until(Duration::from_secs(5), |world| heights(world) == [30, 30]));
    let tips = [tip(&mut world.nodes[0]), tip(&mut world.nodes[1])];
    assert_eq!(tips[0], tips[1]);
}

#[test]
fn three_nodes_agree_on_the_branch_with_the_most_work() {
    let first: Arc<[Block]> = chain()[..1].into();
    let mut world = world(&[chain(), fork(), first]);
    let most = fork().last().expect("blocks").header().total_difficulty();
    assert!(world.until(Duration::from_secs(10), |world| works(world) == [most; 3]));
    for node in &mut world.nodes {
        assert_eq!(node.gauge("bans"), 0);
    }
    world.until(Duration::from_secs(3), |_| false);
    assert_durable(&world);
}

/// A branch may part so far below that a page of its headers ends before they have as much work as our
/// own chain. Pages of two headers show the same as long branches do.
#[test]
fn headers_of_a_long_branch_are_asked_for_page_by_page() {
    let better = fork();
    let last = better.last().expect("blocks").header();
    let mut script = linked_node(chain());
    let mut outputs = greet(&mut script, 2, last);
    let mut pages = 0;
    while tip(&mut script).hash != last.hash() {
        let mut next = Vec::new();
        for (id, what) in calls(&outputs) {
            let response = match what {
                Between::Headers(locator) => {
                    pages += 1;
                    assert!(pages < 30, "the same page is asked for again and again");
                    let place = |hash: &Hash| better.iter().position(|block| block.hash() == *hash);
                    let known = locator.iter().find_map(place).expect("the first block");
                    let page = better[known + 1..].iter().take(2);
                    Response::Headers(page.map(|block| block.header().clone()).collect())
                }
                Between::Blocks(hashes) => {
                    let has = |block: &&Block| hashes.contains(&block.hash());
                    Response::Blocks(better.iter().filter(has).cloned().collect())
                }
                Between::Hello(_) => Response::Hello(hello(2, last).into()),
                Between::Announce(_) | Between::Relay { .. } => Response::Done,
            };
            next.extend(script.reply(id, response, 2));
        }
        assert!(!next.is_empty(), "nothing is asked for after {pages} pages");
        outputs = next;
    }
    assert!(pages > 4, "{pages}");
}

/// Who has the longer chain gives it up for the one with more work, and passes that on.
#[test]
fn a_longer_chain_gives_way_to_more_work() {
    let [long, heavy] = long_and_heavy();
    let most = heavy.last().expect("blocks").header().clone();
    let mut world = world(&[long, heavy, chain()[..1].into()]);
    world.apart.insert((1, 2));
    let most = most.total_difficulty();
    assert!(world.until(Duration::from_secs(20), |world| works(world) == [most; 3]));
    assert_eq!(heights(&world), [8, 8, 8]);
    for node in &world.nodes {
        assert_eq!(node.gauge("bans"), 0);
    }
    world.until(Duration::from_secs(3), |_| false);
    assert_durable(&world);
}

#[test]
fn links_are_shown_from_both_sides() {
    let mut world = world(&[chain(), chain()]);
    let linked = |world: &World| world.nodes.iter().all(|node| node.gauge("grin_links") == 1);
    assert!(world.until(Duration::from_secs(5), linked));
    settle(&mut world);
    for (node, other) in [(0, 2), (1, 1)] {
        let links = links(&mut world, node);
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].addr, addr(other).to_string());
        assert_eq!(
            (links[0].height, links[0].user_agent.as_str()),
            (30, "MW/Grin 4.1.1")
        );
        let page = peer(&mut world, node, other);
        assert_eq!((page.flags, page.capabilities), ("Healthy", 15));
        assert!(page.last_connected > 0);
    }
}

#[test]
fn a_peer_that_is_away_is_defunct_until_it_is_back() {
    let mut world = world(&[chain(), chain()]);
    world.down.insert(1);
    let defunct = |world: &World| world.now.as_micros() > 3_000_000;
    assert!(world.until(Duration::from_secs(5), defunct));
    assert_eq!(peer(&mut world, 0, 2).flags, "Defunct");
    world.down.clear();
    let linked = |world: &World| world.nodes[0].gauge("grin_links") == 1;
    assert!(world.until(Duration::from_secs(30), linked));
    assert_eq!(peer(&mut world, 0, 2).flags, "Healthy");
    // Gone again, it is no longer linked after a while.
    world.down.insert(1);
    let alone = |world: &World| world.nodes[0].gauge("grin_links") == 0;
    assert!(world.until(Duration::from_secs(120), alone));
    assert_eq!(peer(&mut world, 0, 2).flags, "Defunct");
}

#[test]
fn a_ban_ends_the_link_and_unban_brings_it_back() {
    let mut world = world(&[chain(), chain()]);
    let linked = |world: &World| world.nodes.iter().all(|node| node.gauge("grin_links") == 1);
    assert!(world.until(Duration::from_secs(5), linked));
    world.ask(0, ban(addr(2)));
    assert_eq!(world.nodes[0].gauge("grin_links"), 0);
    let page = peer(&mut world, 0, 2);
    assert_eq!((page.flags, page.ban_reason), ("Banned", "None"));
    assert!(page.last_banned > 0);
    // The other one keeps trying in vain, and ends up alone.
    let alone = |world: &World| world.nodes[1].gauge("grin_links") == 0;
    assert!(world.until(Duration::from_secs(120), alone));
    assert_eq!(world.nodes[0].gauge("grin_links"), 0);
    world.ask(0, unban(addr(2)));
    assert_eq!(peer(&mut world, 0, 2).flags, "Healthy");
    assert!(peer(&mut world, 0, 2).last_banned > 0);
    assert!(world.until(Duration::from_secs(60), linked));
    settle(&mut world);
    assert_eq!(peer(&mut world, 0, 2).last_banned, 0);
}

#[test]
fn what_parted_nodes_mined_is_joined() {
    let first: Arc<[Block]> = chain()[..1].into();
    let mut world = world_with(&[first.clone(), first.clone(), first], |at, config| {
        if at < 2 {
            config.grin.mine = Some(Duration::from_secs(if at == 0 { 1 } else { 2 }));
        }
    });
    world.apart.insert((0, 1));
    world.apart.insert((1, 2));
    let parted = |world: &World| heights(world)[0] >= 8 && heights(world)[1] >= 4;
    assert!(world.until(Duration::from_secs(60), parted));
    assert!(works(&world)[0] > works(&world)[1]);
    world.apart.clear();
    let joined = |world: &World| {
        let works = works(world);
        works[0] == works[1] && works[1] == works[2] && heights(world)[0] > 10
    };
    assert!(
        world.until(Duration::from_secs(120), joined),
        "{:?}",
        heights(&world)
    );
    let tips: Vec<_> = world.nodes.iter_mut().map(tip).collect();
    assert_eq!(tips[0], tips[1]);
    assert_eq!(tips[1], tips[2]);
    for node in &world.nodes {
        assert_eq!(node.gauge("bans"), 0);
    }
    world.until(Duration::from_secs(2), |_| false);
    assert_durable(&world);
}
