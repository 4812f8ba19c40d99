//! From a failing sweep to the least that still fails.

use std::fs;

use crate::{check, run};

#[test]
fn a_failure_is_found_repeated_shrunk_and_met_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let least = folder.path().join("least.toml");
    let least = least.display();
    let told = check(
        "sweep --seeds 11..20 --nodes 8 --duration 60s --sabotage damage-ignored --stop-at-first",
        1,
    );
    let line = told.lines().find(|line| line.contains("again: "));
    let (_, again) = line
        .and_then(|line| line.split_once("again: "))
        .expect("a command");
    let again = again.strip_prefix("peerage-sim ").expect("a command");
    let told = check(again, 1);
    assert!(told.contains("VIOLATED  damage"), "{told}");

    let words = again.replacen("run", "minimize", 1);
    let told = check(&format!("{words} --out {least}"), 0);
    assert!(told.contains("nodes 8→2"), "{told}");
    assert!(told.contains("→1, requests"), "one fault is left: {told}");

    let told = check(&format!("run {least}"), 1);
    assert!(told.contains("VIOLATED  damage"), "{told}");
    assert!(told.contains("2 nodes"), "{told}");
    let told = check(&format!("replay {least} --until-finding"), 1);
    assert!(told.contains("damage: "), "{told}");
}

#[test]
fn a_file_of_what_is_left_explains_the_requests_that_are_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let least = folder.path().join("least.toml");
    let words = "minimize --seed 11 --nodes 8 --duration 60s --sabotage disk-hoards --out";
    check(&format!("{words} {}", least.display()), 0);
    let text = fs::read_to_string(least).expect("the scenario");
    assert!(
        text.contains("keep = [\n") && text.contains(", # "),
        "{text}"
    );
    assert!(text.starts_with("# Violates export"), "{text}");
}

#[test]
fn what_holds_is_not_minimized() {
    let output = run("minimize --seed 1 --nodes 3 --duration 5s");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no oracle is violated"), "{told}");
}
