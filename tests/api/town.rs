//! Several nodes that talk to each other over literal HTTP.

use std::time::Duration;

use peerage_core::Seed;
use peerage_tests::commands::{insert_body, key_of, keys_body, signed};
use peerage_tests::{Bench, Town};

use crate::{CUT, MEMPOOL, bare, info, json, listed};

/// Node `n` of a town, acquainted with others.
fn citizen(n: u8, knows: &[u8]) -> Bench {
    let mut config = Bench::config(n);
    config.sessions.cut_max = 10;
    config.sessions.mempool_max = 6;
    config.chains = 1;
    let known = |n: &u8| Bench::config(*n).own_info();
    config.known_peers = knows.iter().map(known).collect();
    Bench::of(config, Seed([n; 32]))
}

fn pending(bench: &mut Bench, texts: &[String]) -> Vec<bool> {
    let keys: Vec<String> = texts.iter().map(|text| key_of(text)).collect();
    let answer = bench.fetch_json("POST", &format!("{MEMPOOL}/member"), &keys_body(&keys));
    serde_json::from_value(answer.json()).expect("booleans")
}

fn insert(bench: &mut Bench, texts: &[String]) {
    let answer = bench.fetch_json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(texts));
    assert_eq!(answer.status, 200);
}

#[test]
fn pools_of_two_nodes_become_equal() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[])]);
    let (a, b) = (signed("of the first"), signed("of the second"));
    insert(town.bench(0), std::slice::from_ref(&a));
    insert(town.bench(1), std::slice::from_ref(&b));
    town.advance(Duration::from_secs(5));
    let both = [a, b];
    assert_eq!(pending(town.bench(0), &both), [true, true]);
    assert_eq!(pending(town.bench(1), &both), [true, true]);
}

/// What both have is neither asked for nor given.
#[test]
fn common_commands_stay_where_they_are() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[])]);
    let common = [signed("common")];
    let own = [signed("of the first alone")];
    insert(town.bench(0), &common);
    insert(town.bench(1), &common);
    insert(town.bench(0), &own);
    town.advance(Duration::from_secs(120));
    assert_eq!(pending(town.bench(1), &own), [true]);
    for at in 0..2 {
        for call in town.bench(at).calls() {
            let line = call.line();
            if line.ends_with("lookup") || line.ends_with("insert") {
                assert!(
                    !call.body().contains(&key_of(&common[0])),
                    "{line} {}",
                    call.body()
                );
            }
        }
    }
}

#[test]
fn new_command_is_pushed_at_once() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[]), citizen(3, &[2])]);
    town.advance(Duration::from_secs(20));
    let text = [signed("news")];
    insert(town.bench(0), &text);
    town.advance(Duration::from_millis(500));
    for at in 0..3 {
        assert_eq!(pending(town.bench(at), &text), [true], "node {at}");
    }
}

#[test]
fn nodes_learn_of_each_other_through_a_third() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[]), citizen(3, &[2])]);
    // A page is asked for at the start of a session, and sessions last four or five minutes.
    town.advance(Duration::from_secs(600));
    assert_eq!(
        listed(town.bench(0), CUT),
        ["10.0.0.2:1789", "10.0.0.3:1789"]
    );
    assert_eq!(
        listed(town.bench(1), CUT),
        ["10.0.0.1:1789", "10.0.0.3:1789"]
    );
    assert_eq!(
        listed(town.bench(2), CUT),
        ["10.0.0.1:1789", "10.0.0.2:1789"]
    );
}

#[test]
fn pools_heal_after_a_peer_was_away() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[1])]);
    town.advance(Duration::from_secs(5));
    town.take_down(1);
    town.advance(Duration::from_secs(30));
    let missed = [signed("missed")];
    insert(town.bench(0), &missed);
    town.advance(Duration::from_secs(30));
    town.take_up(1);
    town.restart(1);
    town.advance(Duration::from_secs(90));
    assert_eq!(pending(town.bench(1), &missed), [true]);
}

/// After a restart the nonce is another one, so a mark of the old run gives the full list.
#[test]
fn restarted_peer_gives_a_full_list() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[])]);
    let kept = [signed("kept")];
    insert(town.bench(1), &kept);
    town.advance(Duration::from_secs(5));
    let mark = |town: &mut Town| {
        let request = bare("POST", &format!("{MEMPOOL}/getPending"));
        town.bench(1).fetch(request).json()["highwaterMark"].clone()
    };
    let before = mark(&mut town);
    town.restart(1);
    let after = mark(&mut town);
    assert_ne!(before[0], after[0]);
    let query = format!(
        "{MEMPOOL}/getPending?nonce={}&since={}",
        before[0], before[1]
    );
    let answer = town.bench(1).fetch(bare("POST", &query)).json();
    assert_eq!(answer["hashes"], serde_json::json!([key_of(&kept[0])]));
    let news = [signed("after the restart")];
    insert(town.bench(1), &news);
    town.advance(Duration::from_secs(60));
    assert_eq!(pending(town.bench(0), &news), [true]);
}

#[test]
fn banned_node_is_left_alone_by_those_who_banned_it() {
    let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[1])]);
    town.advance(Duration::from_secs(5));
    let ban = town.bench(0).fetch(bare("POST", "/v1/peers/10.0.0.2/ban"));
    assert_eq!(ban.status, 200);
    town.settle();
    let calls = town.bench(0).calls().len();
    let text = [signed("not for the banned")];
    insert(town.bench(0), &text);
    town.advance(Duration::from_secs(120));
    assert_eq!(
        town.bench(0).calls().len(),
        calls,
        "a banned node was called"
    );
    assert_eq!(pending(town.bench(1), &text), [false]);
    let put = town
        .bench(0)
        .fetch(json("PUT", CUT, &info(None, "10.0.0.2", 1789)));
    assert_eq!(put.text(), "Invalid hostaddress: PeerBanned");
}

/// The same town twice: every byte that was said is the same.
#[test]
fn equal_seeds_make_equal_towns() {
    let story = || {
        let mut town = Town::new(vec![citizen(1, &[2]), citizen(2, &[]), citizen(3, &[1])]);
        insert(town.bench(2), &[signed("x"), signed("y")]);
        town.advance(Duration::from_secs(120));
        (0..3).map(|at| town.bench(at).story()).collect::<Vec<_>>()
    };
    let (first, second) = (story(), story());
    assert!(first[0].len() > 10_000);
    assert!(first == second, "two runs differ");
}
