//! A process that writes is killed without warning, again and again: whatever it had acknowledged
//! is there when it starts again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use peerage_core::CommitSeq;
use peerage_io::DataDir;

use crate::{Open, ban, sorted};

/// Names the directory to the process that is killed.
const DIR: &str = "PEERAGE_TEST_KILL_DIR";
const ROUNDS: usize = 12;

/// Not a test of its own: what the killed process runs. Writes numbered rows after those that are
/// there, prints each number once it is acknowledged, and has all rows written anew every few times.
#[test]
fn writer_to_be_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let (mut open, rows) = Open::at(Path::new(&dir)).expect("the directory opens");
    let base = rows.len() as u64;
    let mut acknowledged = CommitSeq(0);
    let mut out = std::io::stdout();
    for turn in 0_u64.. {
        if turn % 4 == 3 {
            open.committer.reclaim();
        }
        // A window of commits in flight, so that groups form and are cut.
        while open.next <= acknowledged.0 + 16 {
            let n = base + open.next - 1;
            open.commit(vec![ban(&format!("{n:08}"), n)]);
        }
        acknowledged = open.persisted.recv().expect("an acknowledgement");
        writeln!(out, "acknowledged {}", base + acknowledged.0).expect("a reader");
    }
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a program"))
        .args(["--exact", "kill::writer_to_be_killed", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process")
}

#[test]
fn what_was_acknowledged_survives_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut promised = 0;
    for round in 0..ROUNDS {
        let mut child = spawn(dir.path());
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut groups = 0;
        for line in out.lines() {
            let line = line.expect("text");
            if let Some(count) = line.strip_prefix("acknowledged ") {
                promised = count.parse().expect("a number");
                groups += 1;
                // Killed while the next groups are under way; lines still in the pipe count too.
                if groups == 1 + 7 * round {
                    child.kill().expect("a process");
                }
            }
        }
        child.wait().expect("a process");
        assert!(
            groups > 7 * round,
            "round {round}: the writer ended by itself"
        );
        let data =
            DataDir::open(dir.path(), &[]).expect("a killed process leaves a good directory");
        let found = data.rows.len() as u64;
        assert!(
            found >= promised,
            "round {round}: {promised} acknowledged, {found} found"
        );
        let expected = (0..found).map(|n| ban(&format!("{n:08}"), n)).collect();
        assert_eq!(data.rows, sorted(expected), "round {round}: a hole");
    }
}
