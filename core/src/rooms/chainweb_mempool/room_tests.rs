//! The room behind a scripted node: requests, checks under way, what comes back after a restart.

use super::*;
use crate::Output;
use crate::input::Input;
use crate::limits::RELOAD_CHUNK_MAX;
use crate::rooms::Response as Any;
use crate::scripted::*;
use crate::verify;

fn insert(commands: Vec<Arc<Command>>) -> rooms::Request {
    mempool(0, Query::Insert(commands))
}

fn verifies(outputs: &[Output]) -> Vec<Input> {
    let verdict = |output: &Output| {
        let Output::Verify { id, job } = output else {
            return None;
        };
        let verdict = verify::check(std::slice::from_ref(job)).remove(0);
        Some(Input::Verdict { id: *id, verdict })
    };
    outputs.iter().filter_map(verdict).collect()
}

fn inserted() -> Any {
    Response::Inserted.into()
}

#[test]
fn a_lookup_of_one_large_command_many_times_is_refused() {
    let mut script = Script::new(config(1));
    let large = command_of("a", &[], &"1".repeat(400_000), EPOCH as i64, 60);
    let key = large.key().clone();
    script.ask(operator(), insert(vec![large.clone()]));
    let lookup = |count| mempool(0, Query::Lookup(vec![key.clone(); count]));
    let fits = LOOKUP_BYTES_MAX / large.literal().len();
    let Some(Any::ChainwebMempool(Response::Found(found))) = script.ask(operator(), lookup(fits))
    else {
        panic!("found");
    };
    assert_eq!(found.len(), fits);
    let refused = script.ask(operator(), lookup(fits + 1));
    assert_eq!(refused, Some(Response::TooMuch.into()));
    assert_eq!(Response::TooMuch.status(), 413);
}

#[test]
fn commands_under_check_are_bounded_in_bytes_and_number() {
    for by_bytes in [false, true] {
        let [a, b, c] = ["a", "b", "c"].map(command);
        let mut tuned = config(1);
        if by_bytes {
            tuned.limits.pool_bytes_max = a.byte_size() + b.byte_size();
        } else {
            tuned.limits.verifies_max = 2;
        }
        let mut script = Script::new(tuned);
        let mut verdicts = Vec::new();
        for command in [&a, &b] {
            let (_, input) = script.request(operator(), insert(vec![command.clone()]));
            let outputs = script.feed(input);
            assert!(responses(&outputs).is_empty());
            verdicts.extend(verifies(&outputs));
        }
        let busy = script.ask(operator(), insert(vec![c.clone()]));
        assert_eq!(busy, Some(Response::Busy.into()));
        for verdict in verdicts {
            assert_eq!(responses(&script.feed(verdict)), [inserted()]);
        }
        let again = script.ask(operator(), insert(vec![c]));
        assert_eq!(
            again,
            Some(inserted()),
            "the bound is for what is under way"
        );
    }
}

#[test]
fn identical_commands_are_checked_once_and_everybody_is_answered() {
    let mut script = Script::new(config(1));
    let a = command("a");
    let (_, input) = script.request(operator(), insert(vec![a.clone(), a.clone()]));
    let first = script.feed(input);
    let (gone, input) = script.request(operator(), insert(vec![a.clone()]));
    let second = script.feed(input);
    let [verdict] = verifies(&first).try_into().expect("one check");
    assert!(verifies(&second).is_empty());
    script.feed(Input::Hangup { id: gone });
    assert_eq!(responses(&script.feed(verdict)), [inserted()]);
    assert_eq!(script.gauge("mempool_pending"), 1);
    assert_eq!(script.gauge("mempool_batches"), 0);
    // Pending with the same signatures: nothing is left to check, and it is announced again.
    let (_, input) = script.request(operator(), insert(vec![a]));
    let repeated = script.feed(input);
    assert_eq!(responses(&repeated), [inserted()]);
    assert_eq!(events(&repeated), ["tx_repeated"]);
}

#[test]
fn invalid_commands_are_dropped_silently_beside_valid_ones() {
    let mut script = Script::new(config(1));
    let good = command("good");
    let forged = command("forged").canonical_text();
    let other = command("other").canonical_text();
    let sig = |text: &str| {
        text.split("\"sig\":\"")
            .nth(1)
            .map(|rest| rest[..128].to_owned())
    };
    let (mine, theirs) = (sig(&forged).expect("a sig"), sig(&other).expect("a sig"));
    let forged = Arc::new(Command::decode(&forged.replace(&mine, &theirs)).expect("a command"));
    let late = command_of("late", &[], "1", EPOCH as i64 - 61, 60);
    let answer = script.ask(
        operator(),
        insert(vec![forged.clone(), good.clone(), late.clone()]),
    );
    assert_eq!(answer, Some(inserted()));
    let keys = [forged, good, late].map(|command| command.key().clone());
    let member = script.ask(operator(), mempool(0, Query::Member(keys.to_vec())));
    assert_eq!(
        member,
        Some(Response::Members(vec![false, true, false]).into())
    );
    let elsewhere = script.ask(operator(), mempool(1, Query::Member(keys.to_vec())));
    assert_eq!(elsewhere, Some(Response::NoSuchChain.into()));
}

#[test]
fn what_was_pending_is_checked_again_in_chunks_and_what_has_expired_is_gone() {
    let count = RELOAD_CHUNK_MAX + 10;
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    let lasting = (0..count).map(|n| command_of(&n.to_string(), &[], "1", EPOCH as i64, 7_200));
    let brief = (0..5).map(|n| command_of(&format!("b{n}"), &[], "1", EPOCH as i64, 10));
    script.ask(operator(), insert(lasting.chain(brief).collect()));
    script.advance(Duration::from_secs(2));
    let mut again = Script::restore(config(1), script.durable());
    again.now.wall = again.now.wall + Duration::from_secs(60);
    again.run(Input::Tick);
    let first = again.gauge("mempool_pending") as usize;
    assert!(first > 0 && first <= RELOAD_CHUNK_MAX, "{first}");
    again.advance(Duration::from_millis(1));
    assert_eq!(again.gauge("mempool_pending") as usize, count);
    let before = again.issued;
    again.advance(Duration::from_secs(2));
    assert_eq!(
        again.issued,
        before.next(),
        "the expired are deleted, the others not written again"
    );
    assert_eq!(again.durable(), again.exported());
    assert_eq!(again.durable().len(), count);
}
