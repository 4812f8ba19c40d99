//! The pool behind `/chain/{n}/mempool/…`: marks, membership, and what becomes of a command.

use std::time::Duration;

use peerage_core::rooms::chainweb_mempool::sign::{Draft, public_key, sign_cmd};
use peerage_tests::Bench;
use peerage_tests::commands::{ALICE, BOB, draft, insert_body, key_of, keys_body, signed};

use crate::{MEMPOOL, bare};

fn insert(bench: &mut Bench, texts: &[&String]) {
    let texts: Vec<String> = texts.iter().map(|text| (*text).clone()).collect();
    let answer = bench.fetch_json("PUT", &format!("{MEMPOOL}/insert"), &insert_body(&texts));
    assert_eq!(answer.status, 200);
}

fn member(bench: &mut Bench, texts: &[&String]) {
    let keys: Vec<String> = texts.iter().map(|text| key_of(text)).collect();
    bench.fetch_json("POST", &format!("{MEMPOOL}/member"), &keys_body(&keys));
}

/// Asks for what is pending and gives the mark.
fn pending(bench: &mut Bench, query: &str) -> (i64, i64) {
    let answer = bench.fetch(bare("POST", &format!("{MEMPOOL}/getPending{query}")));
    let mark = &answer.json()["highwaterMark"];
    let part = |place: usize| mark[place].as_i64().expect("an integer");
    (part(0), part(1))
}

fn brief(nonce: &str, ttl: i64) -> Draft<'_> {
    Draft {
        ttl,
        ..draft(nonce)
    }
}

// --- Marks ---

#[test]
fn everything_is_told_to_whoever_has_no_mark_of_this_run() {
    let mut bench = Bench::new();
    insert(&mut bench, &[&signed("a"), &signed("b")]);
    bench.story();
    let (nonce, next) = pending(&mut bench, "");
    let other = nonce.wrapping_add(1);
    pending(&mut bench, &format!("?nonce={nonce}"));
    pending(&mut bench, &format!("?since={next}"));
    pending(&mut bench, &format!("?nonce={other}&since={next}"));
    pending(&mut bench, &format!("?nonce={nonce}&since={}", next + 1));
    pending(&mut bench, &format!("?nonce={nonce}&since={next}"));
    insta::assert_snapshot!(bench.story());
}

/// Between `first` and `last` come 2047 commands that expire.
#[test]
fn mark_holds_for_2048_insertions() {
    let mut bench = Bench::new();
    insert(&mut bench, &[&signed("first")]);
    let (nonce, mark) = pending(&mut bench, "");
    let many: Vec<String> = (0..2_047)
        .map(|n| brief(&n.to_string(), 30).sign(&[]))
        .collect();
    insert(&mut bench, &many.iter().collect::<Vec<_>>());
    bench.advance(Duration::from_secs(120));
    bench.story();
    let query = format!("?nonce={nonce}&since={mark}");
    pending(&mut bench, &query);
    insert(&mut bench, &[&signed("last")]);
    pending(&mut bench, &query);
    pending(&mut bench, &format!("?nonce={nonce}&since={}", mark + 1));
    insta::assert_snapshot!(bench.story());
}

#[test]
fn mark_gives_what_came_later_and_is_still_pending() {
    let mut bench = Bench::new();
    insert(&mut bench, &[&signed("old")]);
    bench.story();
    let (nonce, mark) = pending(&mut bench, "");
    let void = Draft {
        gas_limit: 150_001,
        ..draft("void")
    };
    let (brief, lasting) = (brief("brief", 30).sign(&[ALICE]), signed("lasting"));
    for text in [&brief, &void.sign(&[ALICE]), &lasting] {
        insert(&mut bench, &[text]);
    }
    let query = format!("?nonce={nonce}&since={mark}");
    pending(&mut bench, &query);
    bench.advance(Duration::from_secs(120));
    let (_, next) = pending(&mut bench, &query);
    pending(&mut bench, &format!("?nonce={nonce}&since={next}"));
    insta::assert_snapshot!(bench.story());
}

// --- Membership ---

#[test]
fn member_answers_in_the_order_of_the_keys() {
    let mut bench = Bench::new();
    let (here, nowhere) = (signed("here"), signed("nowhere"));
    insert(&mut bench, &[&here]);
    bench.story();
    member(&mut bench, &[]);
    member(&mut bench, &[&here, &nowhere, &here, &nowhere, &nowhere]);
    let other = "/chainweb/0.0/development/chain/1/mempool";
    let asked = keys_body(&[key_of(&here)]);
    bench.fetch_json("POST", &format!("{other}/member"), &asked);
    insta::assert_snapshot!(bench.story());
}

// --- Signatures ---

#[test]
fn command_has_a_hundred_signatures_at_most() {
    let mut bench = Bench::new();
    let crowd: Vec<[u8; 32]> = (0..101).map(|n| [n; 32]).collect();
    let texts = [
        draft("nobody").sign(&[]),
        draft("both").sign(&[ALICE, BOB]),
        draft("hundred").sign(&crowd[..100]),
        draft("more").sign(&crowd),
    ];
    for text in &texts {
        insert(&mut bench, &[text]);
    }
    member(&mut bench, &texts.iter().collect::<Vec<_>>());
    insta::assert_snapshot!(bench.story());
}

#[test]
fn keys_and_signatures_may_be_in_upper_case() {
    let mut bench = Bench::new();
    let cmd = draft("upper").cmd(&[public_key(&ALICE).to_uppercase()]);
    let text = sign_cmd(&cmd, &[ALICE]);
    let sig = text.split("{\"sig\":\"").nth(1).expect("a signature")[..128].to_owned();
    let text = text.replace(&sig, &sig.to_uppercase());
    insert(&mut bench, &[&text]);
    member(&mut bench, &[&text]);
    insta::assert_snapshot!(bench.story());
}

// --- What becomes of a command ---

#[test]
fn command_that_comes_again_is_one_and_is_announced_again() {
    let mut bench = Bench::new();
    let (first, second) = (signed("first"), signed("second"));
    insert(&mut bench, &[&first, &second]);
    bench.story();
    let (nonce, mark) = pending(&mut bench, "");
    insert(&mut bench, &[&first]);
    pending(&mut bench, &format!("?nonce={nonce}&since={mark}"));
    pending(&mut bench, "");
    insta::assert_snapshot!(bench.story());
}

#[test]
fn full_pool_takes_nothing_and_gives_nothing_up() {
    let mut bench = Bench::with(|config| config.limits.pool_max = 2);
    let texts = ["a", "b", "c"].map(signed);
    let [first, second, third] = &texts;
    insert(&mut bench, &[first, second, third]);
    member(&mut bench, &[first, second, third]);
    let mut story = bench.story();
    let dear = Draft {
        gas_price: "1",
        ..draft("dear")
    }
    .sign(&[ALICE]);
    story += "--- a dear one and a pending one ---\n\n";
    insert(&mut bench, &[&dear]);
    insert(&mut bench, &[first]);
    member(&mut bench, &[first, second, third, &dear]);
    pending(&mut bench, "");
    story += &bench.story();
    insta::assert_snapshot!(story);
}

#[test]
fn command_expires_when_the_pool_is_swept_and_never_comes_back() {
    let mut bench = Bench::new();
    let text = brief("brief", 5).sign(&[ALICE]);
    insert(&mut bench, &[&text]);
    bench.story();
    bench.advance(Duration::from_secs(6));
    member(&mut bench, &[&text]);
    bench.fetch_json(
        "POST",
        &format!("{MEMPOOL}/lookup"),
        &keys_body(&[key_of(&text)]),
    );
    pending(&mut bench, "");
    bench.advance(Duration::from_secs(84));
    member(&mut bench, &[&text]);
    insert(&mut bench, &[&text]);
    member(&mut bench, &[&text]);
    pending(&mut bench, "");
    insta::assert_snapshot!(bench.story());
}
