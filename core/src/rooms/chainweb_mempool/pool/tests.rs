//! One pool: the vectors of its log, its bounds, expiry.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::rng::Seed;
use crate::scripted::{EPOCH, command_of};

fn pool(limits: &Limits) -> Pool {
    Pool::new(&mut Seed([1; 32]).stream("pool"), limits)
}

fn plain(nonce: &str) -> Arc<Command> {
    command_of(nonce, &[], "1", EPOCH as i64, 60)
}

fn hash(command: &Command) -> TxHash {
    command.key().full().expect("32 bytes")
}

fn outcome(stored: &[(TxHash, Arc<Command>, Stored)]) -> Vec<Stored> {
    stored.iter().map(|(_, _, stored)| *stored).collect()
}

#[test]
fn the_recent_log_follows_the_vectors() {
    let file = include_str!("../../../../../tests/vectors/chainweb/getpending.json");
    let file: Value = serde_json::from_str(file).expect("vectors are JSON");
    let mut cases = 0;
    for case in file["cases"].as_array().expect("cases") {
        let id = &case["id"];
        let mut pool = pool(&Limits::default());
        pool.nonce = number(&case["nonce"]);
        let mut known: BTreeMap<String, Arc<Command>> = BTreeMap::new();
        for step in case["steps"].as_array().expect("steps") {
            let mut names = Vec::new();
            for name in step["insert"].as_array().into_iter().flatten() {
                names.push(name.as_str().expect("a name").to_owned());
            }
            if let Some(range) = step.get("insert_range") {
                let prefix = range["prefix"].as_str().expect("a prefix");
                let (from, count) = (&range["from"], &range["count"]);
                let (from, count) = (from.as_u64().expect("n"), count.as_u64().expect("n"));
                names.extend((from..from + count).map(|n| format!("{prefix}{n}")));
            }
            if !names.is_empty() {
                let batch = names.iter().map(|name| {
                    known
                        .entry(name.clone())
                        .or_insert_with(|| plain(name))
                        .clone()
                });
                pool.store(batch.collect());
            }
            for name in step["remove"].as_array().into_iter().flatten() {
                pool.remove(&hash(&known[name.as_str().expect("a name")]));
            }
            let Some(query) = step.get("getPending") else {
                continue;
            };
            let part = |name| query.get(name).map(number);
            let since = part("nonce").zip(part("since"));
            let since = since.map(|(nonce, since)| Mark { nonce, since });
            let (hashes, mark) = pool.pending_since(since);
            let expect = &step["expect"];
            let highwater = [mark.nonce, mark.since];
            let expected = [0, 1].map(|part| number(&expect["highwater"][part]));
            assert_eq!(highwater, expected, "{id}: {step}");
            let count = hashes.len();
            let shown: BTreeSet<TxHash> = hashes.into_iter().collect();
            assert_eq!(shown.len(), count, "each once");
            if let Some(expected) = expect["hashes"].as_array() {
                let name = |name: &Value| hash(&known[name.as_str().expect("a name")]);
                assert_eq!(shown, expected.iter().map(name).collect(), "{id}: {step}");
            }
            if let Some(expected) = expect["hash_count"].as_u64() {
                assert_eq!(count as u64, expected, "{id}: {step}");
            }
            cases += 1;
        }
    }
    assert!(cases > 20);
}

fn number(value: &Value) -> i64 {
    value.as_str().expect("a text").parse().expect("64 bits")
}

#[test]
fn a_full_pool_drops_what_comes_even_what_is_pending() {
    let limits = Limits {
        pool_max: 3,
        ..Limits::default()
    };
    let mut pool = pool(&limits);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(plain);
    assert_eq!(outcome(&pool.store(vec![a.clone(), b])), [Stored::Fresh; 2]);
    // Room for one when the batch arrives, and a repeated one takes it.
    let stored = outcome(&pool.store(vec![a.clone(), c.clone(), d]));
    assert_eq!(stored, [Stored::Repeated, Stored::Dropped, Stored::Dropped]);
    assert_eq!(outcome(&pool.store(vec![c])), [Stored::Fresh]);
    assert_eq!(outcome(&pool.store(vec![a])), [Stored::Dropped]);
    assert_eq!(pool.len(), 3);
    assert_eq!(pool.pending_since(None).1.since, 4);
}

#[test]
fn bytes_are_bounded_and_counted_truly() {
    let [a, b] = ["a", "b"].map(plain);
    let limits = Limits {
        pool_bytes_max: a.byte_size() + b.byte_size() - 1,
        ..Limits::default()
    };
    let mut pool = pool(&limits);
    assert_eq!(
        outcome(&pool.store(vec![a.clone(), b.clone()])),
        [Stored::Fresh, Stored::Dropped]
    );
    assert_eq!(pool.bytes(), a.byte_size());
    pool.remove(&hash(&a));
    assert_eq!(pool.bytes(), 0);
    assert_eq!(outcome(&pool.store(vec![b])), [Stored::Fresh]);
}

#[test]
fn duplicates_in_one_batch_count_twice_and_are_listed_once() {
    let mut pool = pool(&Limits::default());
    let a = plain("a");
    let stored = outcome(&pool.store(vec![a.clone(), a.clone(), a]));
    assert_eq!(stored, [Stored::Fresh, Stored::Repeated, Stored::Repeated]);
    assert_eq!(pool.len(), 1);
    let mark = |since| Mark {
        nonce: pool.nonce,
        since,
    };
    let (hashes, next) = pool.pending_since(Some(mark(0)));
    assert_eq!((hashes.len(), next.since), (1, 3));
}

#[test]
fn other_signatures_replace_those_that_are_kept() {
    let mut pool = pool(&Limits::default());
    let one = plain("a");
    let text = one
        .canonical_text()
        .replace("\"sigs\":[]", "\"sigs\":[{\"sig\":\"00\"}]");
    let two = Arc::new(Command::decode(&text).expect("a command"));
    assert_ne!(one.digest(), two.digest());
    pool.store(vec![one]);
    assert_eq!(outcome(&pool.store(vec![two.clone()])), [Stored::Resigned]);
    assert_eq!(
        pool.get(&hash(&two)).map(|command| command.digest()),
        Some(two.digest())
    );
    assert_eq!(pool.bytes(), two.byte_size());
}

#[test]
fn expiry_happens_when_pruned_and_only_then() {
    let mut pool = pool(&Limits::default());
    let short = command_of("a", &[], "1", EPOCH as i64, 10);
    let long = command_of("b", &[], "1", EPOCH as i64, 20);
    pool.store(vec![long.clone(), short.clone()]);
    let at = |secs: u64| (EPOCH + secs) * 1_000_000;
    assert_eq!(pool.prune(at(10) - 1), []);
    assert!(pool.contains(&hash(&short)));
    assert_eq!(pool.prune(at(10)), [hash(&short)]);
    assert_eq!(pool.prune(at(19)), []);
    assert_eq!(pool.without(&[]), [hash(&long)]);
    assert_eq!(pool.without(&[hash(&short), hash(&long)]), []);
    assert_eq!(pool.prune(at(20)), [hash(&long)]);
    // The next one is noticed too, after the pool was empty.
    pool.store(vec![short.clone()]);
    assert_eq!(pool.prune(at(20)), [hash(&short)]);
    assert_eq!((pool.len(), pool.bytes()), (0, 0));
}

#[test]
fn mined_and_bad_commands_are_remembered_for_their_time() {
    let mut pool = pool(&Limits::default());
    let [mined, bad] = ["m", "b"].map(plain);
    pool.store(vec![mined.clone(), bad.clone()]);
    pool.mined(hash(&mined), 100);
    pool.failed(hash(&bad), 200);
    assert_eq!(pool.len(), 0);
    assert_eq!(pool.check_history(&mined, 99), Err(InsertError::Duplicate));
    assert_eq!(pool.check_history(&bad, 199), Err(InsertError::Badlisted));
    // A command in both lists is a duplicate: that check comes first.
    pool.failed(hash(&mined), 100);
    assert_eq!(pool.check_history(&mined, 99), Err(InsertError::Duplicate));
    assert_eq!(pool.check_history(&mined, 100), Ok(()));
    pool.prune(150);
    assert_eq!(pool.mined.until.len(), 0);
    assert_eq!(pool.bad.until.len(), 1);
    let mut small = Remembered::default();
    for n in 0..10_u8 {
        small.add(TxHash([n; 32]), u64::from(n), 4);
    }
    assert_eq!((small.until.len(), small.by_time.len()), (4, 4));
    assert!(small.holds(&TxHash([9; 32]), 0));
    assert!(
        !small.holds(&TxHash([5; 32]), 0),
        "the one to be forgotten first has left"
    );
}
