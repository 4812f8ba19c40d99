//! Sweeps: what is written, what is printed, where they end.

use std::fs;

use serde_json::Value;

use crate::{check, peerage_sim, printed, root, run};

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("results");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn results_are_in_the_order_of_seeds_however_many_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.jsonl");
    let sweep = |jobs: u32| {
        let out = file.display();
        let told = check(&format!("sweep --seeds 5..25 --jobs {jobs} --out {out}"), 0);
        (told, fs::read_to_string(&file).expect("results"))
    };
    assert_eq!(sweep(1), sweep(4));
    let lines = lines(&file);
    let seeds: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["seed"].as_u64())
        .collect();
    assert_eq!(seeds, (5..25).collect::<Vec<_>>());
    for key in ["nodes", "duration_us", "wire"] {
        let mut values: Vec<String> = lines.iter().map(|line| line[key].to_string()).collect();
        values.sort();
        values.dedup();
        assert!(values.len() > 2, "{key} is not drawn: {values:?}");
    }
    // Each line repeats itself.
    let again = lines[3]["again"].as_str().expect("a command");
    let again = again.strip_prefix("peerage-sim ").expect("a command");
    let told = check(&format!("{again} --json"), 0);
    let json: Value = serde_json::from_str(told.lines().last().expect("a line")).expect("JSON");
    assert_eq!(json["hash"], lines[3]["hash"]);
}

#[test]
fn what_is_said_is_not_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.jsonl");
    let words = format!(
        "sweep --seeds 0..6 --nodes 3..5 --duration 7s --wire bytes --out {}",
        file.display()
    );
    check(&words, 0);
    for line in lines(&file) {
        assert!((3..5).contains(&line["nodes"].as_u64().expect("a number")));
        assert_eq!(line["duration_us"], 7_000_000);
        assert_eq!(line["wire"], "bytes");
    }
}

#[test]
fn a_sweep_ends_when_it_has_failed_enough() {
    let failures = |more: &str| {
        let told = check(
            &format!("sweep --seeds 0..12 --sabotage tiny-bounds {more}"),
            1,
        );
        told.matches("again: ").count()
    };
    assert_eq!(failures(""), 12);
    assert_eq!(failures("--stop-at-first"), 1);
    assert_eq!(failures("--max-failures 3"), 3);
    let output = run("sweep --seeds 0..3 --sabotage tiny-bounds");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.matches("failed at commit").count(), 3, "{told}");
    let told = printed(&output, 1);
    assert!(told.contains("bounds: 3 seeds"), "{told}");
    assert!(told.contains("the shortest failing run is seed"), "{told}");
}

#[test]
fn events_that_never_happen_are_noticed() {
    let told = check("sweep --seeds 0..2 --duration 2s --coverage", 0);
    assert!(
        told.contains("started ") && told.contains(" never\n"),
        "{told}"
    );
    let told = check("sweep --seeds 0..2 --duration 2s --require-coverage", 1);
    assert!(told.contains("no node told of peers_pruned"), "{told}");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("excuses.toml");
    let excuse = |text: String, code| {
        fs::write(&file, text).expect("written");
        let words = format!(
            "sweep --seeds 0..2 --duration 2s --require-coverage={}",
            file.display()
        );
        check(&words, code)
    };
    let names: Vec<String> = told
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("no node told of ")?;
            let unexcused = line.strip_suffix(" in any seed");
            unexcused.or_else(|| Some(line.split_once(", which cannot be")?.0))
        })
        .map(|name| format!("{name} = \"a test\"\n"))
        .collect();
    excuse(names.concat(), 0);
    let told = excuse(names.concat() + "started = \"a test\"\n", 0);
    assert!(told.contains("started is said to be impossible"), "{told}");
    excuse(names[1..].concat(), 1);
    excuse("started = \"\"".to_owned(), 2);
    excuse("no_such_event = \"a test\"".to_owned(), 2);
}

#[test]
fn parts_must_be_said_in_full() {
    check("sweep --seeds 0..2 --shards 2", 2);
    check("sweep --seeds 0..2 --shard 2/2", 2);
    check("sweep --seeds 0..2 --shard 0/2 --shards 2", 2);
    check("sweep", 2);
    let output = peerage_sim()
        .args(["sweep", "--seeds", "0..2"])
        .env("JOB_COMPLETION_INDEX", "0")
        .output();
    printed(&output.expect("a process"), 2);
}

#[test]
fn results_of_two_commits_are_not_merged() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.jsonl");
    check(
        &format!("sweep --seeds 0..4 --duration 1s --out {}", file.display()),
        0,
    );
    check(&format!("merge --seeds 0..4 {}", file.display()), 0);
    check(&format!("merge --seeds 0..5 {}", file.display()), 2);
    let mut changed = lines(&file);
    changed[2]["commit"] = "another".into();
    let text: String = changed.iter().map(|line| format!("{line}\n")).collect();
    fs::write(&file, text).expect("written");
    check(&format!("merge {}", file.display()), 2);
}

#[test]
fn runs_that_once_failed_hold() {
    let corpus = root().join("tests/sim/corpus.toml");
    let told = check(&format!("sweep --corpus {}", corpus.display()), 0);
    assert!(!told.starts_with("0 runs"), "{told}");
    // They are run at all.
    let words = format!("sweep --corpus {} --sabotage tiny-bounds", corpus.display());
    let output = run(&words);
    printed(&output, 1);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("it once found: "), "{told}");
}
