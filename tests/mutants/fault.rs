//! Faults: where they come from, and what is said about them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One thing done wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// What it goes by.
    pub(crate) name: String,
    /// The unified diff, with whatever stands above it.
    pub(crate) diff: String,
    /// Why nobody is expected to find it, if so.
    pub(crate) excuse: Option<String>,
}

/// The faults that are kept as patches, by name.
pub(crate) fn planted(root: &Path) -> Result<Vec<Fault>, String> {
    let folder = root.join("tests/mutants");
    let said = |error| format!("{}: {error}", folder.display());
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).map_err(said)? {
        let path = entry.map_err(said)?.path();
        if path.extension().is_some_and(|kind| kind == "patch") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Fault, String> {
    let diff = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_stem().unwrap_or_default();
    let excuse = diff
        .lines()
        .take_while(|line| line.starts_with('#'))
        .find_map(|line| line.strip_prefix("# expected: missed because "))
        .map(str::to_owned);
    Ok(Fault {
        name: name.to_string_lossy().into_owned(),
        diff,
        excuse,
    })
}

/// What of the core only serves tests.
const NOT_THE_NODE: &[&str] = &["tests.rs", "room_tests.rs", "model.rs", "scripted.rs"];

/// What cargo-mutants makes of the core.
pub(crate) fn generated(
    root: &Path,
    shard: Option<(usize, usize)>,
    limit: Option<usize>,
) -> Result<Vec<Fault>, String> {
    let tool = root.join("target/tools/bin/cargo-mutants");
    let tool = if tool.exists() {
        tool
    } else {
        "cargo-mutants".into()
    };
    let line = ["mutants", "--list", "--json", "--diff"];
    let output = Command::new(tool)
        .args(line)
        .args(["--package", "peerage-core", "--no-config"])
        .current_dir(root)
        .output()
        .map_err(|error| {
            format!(
                "cargo-mutants: {error}\ninstall it with: \
                 cargo install cargo-mutants --locked --root target/tools"
            )
        })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo-mutants: {text}"));
    }
    let list: Vec<Value> = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo-mutants: {error}"))?;
    let faults: Vec<Fault> = list.iter().filter_map(mutation).collect();
    let (place, of) = shard.unwrap_or((0, 1));
    let faults: Vec<Fault> = faults.into_iter().skip(place).step_by(of).collect();
    let step = limit.map_or(1, |limit| faults.len().div_ceil(limit.max(1)));
    let limit = limit.unwrap_or(usize::MAX);
    Ok(faults
        .into_iter()
        .step_by(step.max(1))
        .take(limit)
        .collect())
}

fn mutation(value: &Value) -> Option<Fault> {
    let file = value["file"].as_str()?;
    let last = file.rsplit('/').next()?;
    if !file.starts_with("core/src/") || NOT_THE_NODE.contains(&last) {
        return None;
    }
    // The tool names the change where git wants the file's name.
    let hunks = value["diff"].as_str()?;
    let hunks = &hunks[hunks.find("\n@@")? + 1..];
    Some(Fault {
        name: value["name"].as_str()?.to_owned(),
        diff: format!("--- a/{file}\n+++ b/{file}\n{hunks}"),
        excuse: None,
    })
}
