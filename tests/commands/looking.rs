//! Looking into runs: replays, traces, and runs that are not the same twice.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use crate::{check, peerage_sim, printed};

const WORLD: &str = "--seed 7 --nodes 5 --duration 20s";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn a_replay_stops_where_it_is_told_and_looks_around() {
    let told = check(&format!("replay {WORLD} --until 12.5s"), 0);
    assert!(told.starts_with("12.5 s after "), "{told}");
    let told = check(
        &format!("replay {WORLD} --until-event 100 --print-node n2 --print-node 3 --events 4"),
        0,
    );
    assert!(told.contains(" after 100 events, Storm"), "{told}");
    for part in ["n2 runs", "n3 runs", "gauges", "rows ", "clock ", "disk "] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let pending = told.lines().rev().take(4);
    assert!(pending.clone().all(|line| line.contains('.')), "{told}");
    let told = check(
        &format!("replay {WORLD} --sabotage panic --until-finding"),
        1,
    );
    assert!(told.contains("panic: "), "{told}");
    // To the end it is the run.
    let told = check(&format!("replay {WORLD}"), 0);
    let hash = told
        .split("hash ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let run = check(&format!("run {WORLD}"), 0);
    assert!(run.contains(hash.expect("a hash")), "{told}");
}

#[test]
fn a_trace_ends_where_the_replay_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = |name: &str, more: &str| {
        let path = folder.path().join(name).display().to_string();
        check(&format!("replay {WORLD} --trace {path} {more}"), 0);
        path
    };
    let (whole, part) = (trace("whole", ""), trace("part", "--until 10s"));
    let text = |path: &str| fs::read_to_string(path).expect("a trace");
    assert!(text(&whole).starts_with(&text(&part)));
    assert!(text(&part).lines().count() > 100);
    let told = check(&format!("diff-traces {whole} {part}"), 1);
    assert!(told.ends_with("+ (the end)\n"), "{told}");
    let again = trace("again", "");
    let told = check(&format!("diff-traces {whole} {again}"), 0);
    assert!(told.starts_with("equal in all "), "{told}");
}

#[test]
fn the_first_difference_is_shown_with_what_was_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = write(folder.path(), "one", "a\nb\nc\nd\ne\nf\n");
    let other = write(folder.path(), "other", "a\nb\nc\nd\nX\nf\n");
    let longer = write(folder.path(), "longer", "a\nb\nc\nd\ne\nf\ng\n");
    let told = check(&format!("diff-traces {one} {other}"), 1);
    assert_eq!(
        told,
        "the first difference is in line 5:\n  b\n  c\n  d\n- e\n+ X\n"
    );
    let told = check(&format!("diff-traces {longer} {one}"), 1);
    assert!(told.ends_with("- g\n+ (the end)\n"), "{told}");
    check(&format!("diff-traces {one} {one}"), 0);
    check(&format!("diff-traces {one} {one}.not-there"), 2);
}

#[test]
fn runs_that_differ_are_noticed_and_their_first_difference_shown() {
    let told = check("check-determinism --seeds 3..5 --nodes 5 --duration 10s", 0);
    assert_eq!(told.matches(": equal: ").count(), 2, "{told}");
    // The luck of a run depends on those before it in the process.
    let told = check(
        "check-determinism --seeds 3..4 --nodes 5 --duration 10s --sabotage restless",
        1,
    );
    assert!(told.contains("DIFFERENT: typed "), "{told}");
    assert!(told.contains(", typed again "), "{told}");
    assert!(!told.contains(", typed elsewhere "), "{told}");
    assert!(told.contains("the first difference is in line"), "{told}");
    let traces = told
        .lines()
        .filter_map(|line| line.strip_prefix("traces: "));
    let mut traces: Vec<&str> = traces.flat_map(|line| line.split(' ')).collect();
    traces.sort_unstable();
    traces.dedup();
    assert!(traces.len() >= 2);
    for trace in traces {
        fs::remove_file(trace).expect("a trace");
    }
}

#[test]
fn a_conversation_comes_from_standard_input() {
    let mut child = peerage_sim()
        .args("replay --seed 7 --nodes 5 --duration 20s --sabotage panic --interactive".split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let lines = "until finding\nback 5\nnonsense\nlikely 2\nquit\nend\n";
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(lines.as_bytes()).expect("lines");
    drop(stdin);
    let told = printed(&child.wait_with_output().expect("an end"), 0);
    let mut rest = told.as_str();
    // In this order.
    for part in [
        "0 µs after 0 events",
        "panic: ",
        "0 findings",
        "means nothing here",
        "2 of 2 fail",
    ] {
        let found = rest.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
        rest = &rest[found + part.len()..];
    }
    assert!(!rest.contains("Over"), "nothing is done after quit: {told}");
}
