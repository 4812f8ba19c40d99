//! The faults of `tests/mutants` fit the sources and say what they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the sources are there")
}

fn patches() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/mutants")).expect("the faults are there");
    let mut patches: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "patch"))
        .collect();
    patches.sort();
    patches
}

#[test]
fn every_fault_says_what_it_is() {
    let patches = patches();
    assert!(patches.len() >= 36, "{} faults are few", patches.len());
    for path in patches {
        let text = fs::read_to_string(&path).expect("UTF-8");
        let header: Vec<&str> = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        for what in ["# wrong: ", "# promise: ", "# oracle: "] {
            let said = header.iter().any(|line| {
                line.strip_prefix(what)
                    .is_some_and(|words| !words.trim().is_empty())
            });
            assert!(said, "{}: no line `{what}…`", path.display());
        }
        let strange = header.iter().find(|line| {
            let known = ["# wrong: ", "# promise: ", "# oracle: "];
            let excuse = "# expected: missed because ";
            !known.iter().any(|what| line.starts_with(what)) && !line.starts_with(excuse)
        });
        assert_eq!(strange, None, "{}", path.display());
        let elsewhere = text
            .lines()
            .filter_map(|line| line.strip_prefix("+++ "))
            .find(|file| !file.starts_with("b/core/src/") && !file.starts_with("b/core/mw/src/"));
        assert_eq!(elsewhere, None, "{}: only the node", path.display());
    }
}

/// Whoever changes a line that a fault changes carries the fault over, or drops it.
#[test]
#[expect(clippy::print_stderr, reason = "says why nothing is looked at")]
fn every_fault_still_applies() {
    let root = root();
    let git = |arguments: &[&str]| {
        Command::new("git")
            .args(arguments)
            .current_dir(&root)
            .stdin(Stdio::null())
            .output()
    };
    // Within another repository git would look for other files, and find nothing wrong.
    let repository = git(&["rev-parse", "--show-prefix"]);
    if !repository
        .is_ok_and(|output| output.status.success() && output.stdout.trim_ascii().is_empty())
    {
        return eprintln!("no git or no repository here: the faults are not looked at");
    }
    let mut stale = Vec::new();
    for path in patches() {
        let name = path.to_str().expect("UTF-8");
        let output = git(&["apply", "--check", name]).expect("git runs");
        if !output.status.success() {
            stale.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
