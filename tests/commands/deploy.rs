//! The examples for fleets do what they say: all parts together are the whole.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{check, clean, peerage_sim, printed, root};

const SEEDS: &str = "40..57";
const PARTS: usize = 4;

/// What one machine writes and prints that does everything.
fn whole(folder: &Path) -> (String, String) {
    let file = folder.join("whole.jsonl");
    let told = check(
        &format!("sweep --seeds {SEEDS} --out {}", file.display()),
        0,
    );
    (fs::read_to_string(file).expect("results"), told)
}

/// Wants the parts to be the whole, in what they hold and in what is printed of them.
#[track_caller]
fn check_parts(folder: &Path) {
    let (whole, told) = whole(folder);
    let mut lines = Vec::new();
    let mut files = Vec::new();
    for part in 0..PARTS {
        let file = folder.join(format!("{part}.jsonl"));
        let text = fs::read_to_string(&file).expect("results");
        assert!(text.lines().count() >= 4, "part {part} is too small");
        lines.extend(text.lines().map(str::to_owned));
        files.push(file.display().to_string());
    }
    let seed = |line: &String| -> u64 {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["seed"].as_u64().expect("a seed")
    };
    lines.sort_by_key(seed);
    assert_eq!(lines, whole.lines().collect::<Vec<_>>());
    let merge = |more: &str, files: &[String], code| {
        check(&format!("merge {more} {}", files.join(" ")), code)
    };
    assert_eq!(merge(&format!("--seeds {SEEDS}"), &files, 0), told);
    assert_eq!(merge("", &files[..1], 2), "", "a part alone has gaps");
    let twice = [files.clone(), files[2..3].to_vec()].concat();
    assert_eq!(merge("", &twice, 2), "", "a part twice");
}

#[test]
fn a_kubernetes_job_does_every_seed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = root().join("sim/deploy/kubernetes.yaml");
    let manifest = fs::read_to_string(path).expect("the manifest");
    // The arguments, as Kubernetes would pass them.
    let list = manifest.split("args:\n").nth(1).expect("arguments");
    let args: Vec<&str> = list
        .lines()
        .map_while(|line| line.trim().strip_prefix("- \"")?.strip_suffix('"'))
        .collect();
    assert!(args.len() > 5, "{args:?}");
    let parts = args[args
        .iter()
        .position(|arg| *arg == "--shards")
        .expect("--shards")
        + 1];
    for said in ["completions", "parallelism"] {
        let said = format!("\n  {said}: {parts}\n");
        assert!(manifest.contains(&said), "{parts} parts, and not {said}");
    }
    for index in 0..PARTS {
        let args = args.iter().map(|arg| match *arg {
            "0..1000000" => SEEDS.to_owned(),
            arg if arg == parts => PARTS.to_string(),
            arg => arg
                .replace("$(JOB_COMPLETION_INDEX)", &index.to_string())
                .replace("/results", &folder.path().display().to_string()),
        });
        let output = peerage_sim()
            .args(args)
            .env("JOB_COMPLETION_INDEX", index.to_string())
            .output();
        printed(&output.expect("a process"), 0);
    }
    check_parts(folder.path());
}

#[test]
fn a_slurm_array_does_every_seed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for index in 0..PARTS {
        let mut script = clean(Command::new("sh"));
        script
            .arg(root().join("sim/deploy/slurm.sh"))
            .env("PEERAGE_SIM", env!("CARGO_BIN_EXE_peerage-sim"))
            .env("SEEDS", SEEDS)
            .env("RESULTS", folder.path())
            .env("SLURM_CPUS_PER_TASK", "2")
            .env("SLURM_ARRAY_TASK_ID", index.to_string())
            .env("SLURM_ARRAY_TASK_MIN", "0")
            .env("SLURM_ARRAY_TASK_COUNT", PARTS.to_string());
        printed(&script.output().expect("a process"), 0);
    }
    check_parts(folder.path());
}
