//! The pages of `GET {network}/peer`: how long, in which order, and who is on them.

use std::time::Duration;

use peerage_core::Seed;
use peerage_tests::{Bench, Peer};

use crate::sessions::sociable;
use crate::{CUT, ID, MEMPOOL_PEER, OTHER_ID, among_peers, announce, bare, info, json};

/// Asks for a page of the cut network.
fn page(bench: &mut Bench, query: &str) {
    bench.send(bare("GET", &format!("{CUT}{query}")));
}

#[test]
fn limit_of_an_answer_is_the_number_of_its_items() {
    let mut bench = among_peers();
    for (host, id) in [("one.example", None), ("two.example", Some(ID))] {
        announce(&mut bench, id, host, 1789);
    }
    bench.story();
    for limit in [0, 1, 2, 3] {
        page(&mut bench, &format!("?limit={limit}"));
    }
    insta::assert_snapshot!(bench.story());
}

#[test]
fn page_has_64_items_unless_asked_and_512_at_most() {
    let mut bench = among_peers();
    for n in 0..514 {
        announce(&mut bench, None, &format!("1.2.{}.{}", n / 200, n % 200), 1);
    }
    bench.story();
    for query in [
        "",
        "?limit=65",
        "?limit=512",
        "?limit=513",
        "?limit=99999999999999999999",
        "?next=inclusive:512",
    ] {
        page(&mut bench, query);
    }
    insta::assert_snapshot!(bench.story());
}

/// The hosts are announced in the order of the alphabet.
#[test]
fn order_of_a_list_is_kept_and_is_another_on_another_node() {
    let mut story = String::new();
    for seed in [1, 3] {
        let mut bench = Bench::of(Bench::config(1), Seed([seed; 32]));
        bench.everyone_else(Peer::of_version("2.32.0"));
        for host in ["a.example", "b.example", "c.example", "d.example"] {
            announce(&mut bench, None, host, 1);
        }
        bench.story();
        page(&mut bench, "");
        bench.advance(Duration::from_secs(60));
        page(&mut bench, "");
        page(&mut bench, "?limit=2");
        page(&mut bench, "?limit=2&next=inclusive:2");
        story += &format!("=== node with seed {seed} ===\n\n{}", bench.story());
    }
    insta::assert_snapshot!(story);
}

/// 1.1.1.1 is of the cut network, 2.2.2.2 of a mempool, 3.3.3.3 of both.
#[test]
fn page_shows_the_peers_of_its_network_that_have_not_failed() {
    let mut bench = Bench::with(|config| {
        config.sessions.cut_max = 10;
        config.sessions.mempool_max = 6;
    });
    bench.everyone_else(sociable());
    announce(&mut bench, None, "1.1.1.1", 1);
    announce(&mut bench, Some(ID), "3.3.3.3", 3);
    for (host, id, port) in [("2.2.2.2", OTHER_ID, 2), ("3.3.3.3", ID, 3)] {
        bench.fetch(json("PUT", MEMPOOL_PEER, &info(Some(id), host, port)));
    }
    bench.story();
    let other = "/chainweb/0.0/development/chain/1/mempool/peer";
    for path in [CUT, MEMPOOL_PEER, other] {
        bench.send(bare("GET", path));
    }
    let mut story = bench.story();
    bench.peer("3.3.3.3:3", Peer::refuses());
    bench.advance(Duration::from_secs(10));
    bench.story();
    story += "--- 3.3.3.3 has failed ---\n\n";
    for path in [CUT, MEMPOOL_PEER] {
        bench.send(bare("GET", path));
    }
    story += &bench.story();
    insta::assert_snapshot!(story);
}
