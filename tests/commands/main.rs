//! The program `peerage-sim`, as whoever looks for failures meets it: files, exit codes, messages.

mod deploy;
mod failing;
mod looking;
mod sweeps;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program, with nothing of a scheduler around it.
fn peerage_sim() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_peerage-sim")))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars() {
        if ["PEERAGE_", "JOB_", "SLURM_"]
            .iter()
            .any(|of| name.starts_with(of))
        {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn run(words: &str) -> Output {
    peerage_sim()
        .args(words.split_whitespace())
        .output()
        .expect("a process")
}

/// Runs, wants this exit code, and gives what was printed.
#[track_caller]
fn check(words: &str, code: i32) -> String {
    printed(&run(words), code)
}

#[track_caller]
fn printed(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}\n{complaint}");
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
