//! Data directories, damaged in every file: all acknowledged rows are there, or the start is
//! refused. Never fewer rows without a word.

use std::fs::{self, OpenOptions};
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use peerage_core::Row;
use peerage_io::{DataDir, StoreError};

use crate::{Open, ban, no_ban, sorted};

/// A directory with tables, a journal and deletions in both, and the rows that it must give back.
struct Original {
    dir: tempfile::TempDir,
    rows: Vec<Row>,
}

impl Original {
    fn make() -> Self {
        let source = tempfile::tempdir().expect("a directory");
        let (mut open, _) = Open::at(source.path()).expect("a fresh directory opens");
        let mut rows: Vec<Row> = (0..300).map(|n| ban(&format!("table{n}"), n)).collect();
        let mut last = open.commit(rows.clone());
        for n in 0..50 {
            last = open.commit(vec![no_ban(&format!("table{n}"))]);
        }
        rows.drain(..50);
        open.wait(last);
        open.committer.close();
        let (mut open, _) = Open::at(source.path()).expect("a closed directory opens");
        for n in 0..100 {
            let row = ban(&format!("journal{n}"), n);
            rows.push(row.clone());
            last = open.commit(vec![row, no_ban(&format!("table{}", 50 + n))]);
        }
        rows.drain(..100);
        open.wait(last);
        // What a crash would leave: everything is acknowledged, nothing was closed.
        let dir = tempfile::tempdir().expect("a directory");
        copy(source.path(), dir.path());
        open.committer.close();
        Self {
            dir,
            rows: sorted(rows),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        list(self.dir.path(), self.dir.path(), &mut files);
        files.sort();
        files
    }

    /// Damages a copy and opens it, twice: a refusal must not heal into a loss.
    fn check(&self, what: &str, damage: impl FnOnce(&Path)) -> bool {
        let copied = tempfile::tempdir().expect("a directory");
        copy(self.dir.path(), copied.path());
        damage(copied.path());
        let mut refused = false;
        for attempt in ["first", "second"] {
            match DataDir::open(copied.path(), &[]) {
                Ok(data) => {
                    assert_eq!(data.rows, self.rows, "{what}, {attempt} start: silent loss")
                }
                Err(error) => {
                    refused = true;
                    let text = error.to_string();
                    let named = text.contains(&copied.path().display().to_string());
                    assert!(named, "{what}: {text}");
                    let clear =
                        matches!(error, StoreError::Damaged { .. } | StoreError::Newer { .. });
                    assert!(clear, "{what}: {error:?}");
                }
            }
        }
        refused
    }
}

impl Original {
    /// As [`Self::check`], where the reading process may die of what it reads.
    fn check_apart(&self, what: &str, damage: impl FnOnce(&Path)) {
        let copied = tempfile::tempdir().expect("a directory");
        copy(self.dir.path(), copied.path());
        damage(copied.path());
        let output = Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", "damage::reader_of_damaged_files", "--nocapture"])
            .env(DIR, copied.path())
            .output()
            .expect("a process");
        let said = String::from_utf8_lossy(&output.stdout);
        let found = said.lines().find_map(|line| line.strip_prefix("found "));
        let whole = fingerprint(&self.rows).to_string();
        assert!(
            found.is_none_or(|found| found == whole),
            "{what}: silent loss"
        );
        let refused = said.lines().any(|line| line.starts_with("refused "));
        let died = output.status.signal().is_some();
        assert!(found.is_some() || refused || died, "{what}: {output:?}");
    }
}

fn list(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).expect("below the root").to_owned());
        }
    }
}

/// Copies a directory, keeping the holes at the ends of journals.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
            continue;
        }
        let bytes = fs::read(entry.path()).expect("a file");
        fs::write(&target, &bytes[..used(&bytes)]).expect("a write");
        let file = OpenOptions::new()
            .write(true)
            .open(&target)
            .expect("a file");
        file.set_len(bytes.len() as u64).expect("a length");
    }
}

/// Bytes before the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

fn set_len(path: &Path, len: usize) {
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    file.set_len(len as u64).expect("a length");
}

#[test]
fn damage_to_any_file_is_refused_or_harmless() {
    let original = Original::make();
    assert!(
        !original.check("nothing", |_| {}),
        "an undamaged copy opens"
    );
    let mut refusals = 0;
    for name in original.files() {
        let bytes = fs::read(original.dir.path().join(&name)).expect("a file");
        let (len, used) = (bytes.len(), used(&bytes));
        let at = |text: &str| format!("{}: {text}", name.display());
        let mut check = |what: &str, damage: &dyn Fn(&Path)| {
            let refused = original.check(&at(what), |dir| damage(&dir.join(&name)));
            refusals += usize::from(refused);
        };
        check("deleted", &|path| fs::remove_file(path).expect("a file"));
        if used == 0 {
            continue;
        }
        check("emptied", &|path| set_len(path, 0));
        check("zeroed", &|path| {
            fs::write(path, vec![0; len.min(1 << 20)]).expect("a write")
        });
        for (part, of) in [(1, 4), (1, 2), (3, 4)] {
            check(&format!("cut at {part}/{of}"), &|path| {
                set_len(path, used * part / of)
            });
        }
        check("cut by one byte", &|path| set_len(path, used - 1));
        check("zeroed in the middle", &|path| {
            let file = OpenOptions::new().write(true).open(path).expect("a file");
            let size = (used / 3).clamp(1, 4096);
            file.write_all_at(&vec![0; size], (used / 3) as u64)
                .expect("a write");
        });
        // Spread over the file, every bit of a byte in turn.
        for n in 0..12 {
            let (byte, bit) = (used * n / 12, n % 8);
            check(&format!("bit {bit} of byte {byte} flipped"), &|path| {
                let file = OpenOptions::new().write(true).open(path).expect("a file");
                file.write_all_at(&[bytes[byte] ^ (1 << bit)], byte as u64)
                    .expect("a write");
            });
        }
    }
    assert!(
        refusals > 50,
        "only {refusals} refusals: the damage does not damage"
    );
}

#[test]
fn whole_parts_that_are_missing_are_refused() {
    let original = Original::make();
    let refused = |what: &str, damage: fn(&Path)| {
        assert!(
            original.check(what, damage),
            "{what} was taken for a good directory"
        );
    };
    refused("no rows", |dir| {
        fs::remove_dir_all(dir.join("rows")).expect("a directory")
    });
    refused("no watermark", |dir| {
        fs::remove_file(dir.join("watermark")).expect("a file")
    });
    refused("no key", |dir| {
        fs::remove_file(dir.join("identity.key")).expect("a file")
    });
    refused("no certificate", |dir| {
        fs::remove_file(dir.join("identity.pem")).expect("a file")
    });
    refused("no manifest", |dir| {
        fs::remove_file(dir.join("manifest")).expect("a file")
    });
    refused("only the identity and the watermark", |dir| {
        fs::remove_dir_all(dir.join("rows")).expect("a directory");
        fs::remove_file(dir.join("manifest")).expect("a file");
    });
    refused("rows of another directory", |dir| {
        let other = tempfile::tempdir().expect("a directory");
        drop(DataDir::open(other.path(), &[]).expect("a fresh directory opens"));
        fs::remove_dir_all(dir.join("rows")).expect("a directory");
        copy(&other.path().join("rows"), &dir.join("rows"));
    });
    refused("the watermark of another directory", |dir| {
        let other = tempfile::tempdir().expect("a directory");
        drop(DataDir::open(other.path(), &[]).expect("a fresh directory opens"));
        fs::copy(other.path().join("watermark"), dir.join("watermark")).expect("a copy");
    });
}

#[test]
fn an_older_copy_of_the_rows_is_refused() {
    let original = Original::make();
    let older = tempfile::tempdir().expect("a directory");
    copy(original.dir.path(), older.path());
    let newer = tempfile::tempdir().expect("a directory");
    copy(original.dir.path(), newer.path());
    let (mut open, _) = Open::at(newer.path()).expect("a good directory opens");
    let last = open.commit(vec![ban("late", 1)]);
    open.wait(last);
    open.committer.close();
    fs::remove_dir_all(newer.path().join("rows")).expect("a directory");
    copy(&older.path().join("rows"), &newer.path().join("rows"));
    let error = DataDir::open(newer.path(), &[]).expect_err("a commit is missing");
    assert!(error.to_string().contains("the last 1 of"), "{error}");
}

/// Goal: a power cut that wrote the end of a batch, but not its middle. fjall alone refuses it.
#[test]
fn a_torn_batch_that_was_not_acknowledged_is_dropped() {
    let source = tempfile::tempdir().expect("a directory");
    let (mut open, _) = Open::at(source.path()).expect("a fresh directory opens");
    let path = source.path().join("rows/0.jnl");
    let length = || used(&fs::read(&path).expect("a journal"));
    let first = open.commit(vec![ban("first", 1)]);
    open.wait(first);
    let begin = length();
    let last = open.commit((0..200).map(|n| ban(&format!("last{n}"), n)).collect());
    open.wait(last);
    let end = length();
    let torn = |at: u64| {
        let dir = tempfile::tempdir().expect("a directory");
        copy(source.path(), dir.path());
        let bytes = fs::read(&path).expect("a journal");
        let mut batch = bytes[begin..end].to_vec();
        let middle = batch.len() / 2;
        batch[middle..middle + 100].fill(0);
        let file = OpenOptions::new()
            .write(true)
            .open(dir.path().join("rows/0.jnl"));
        file.expect("a journal")
            .write_all_at(&batch, at)
            .expect("a write");
        dir
    };
    let above = torn(end as u64);
    for _ in 0..2 {
        let data = DataDir::open(above.path(), &[]).expect("nothing that was promised is missing");
        assert_eq!(data.rows.len(), 201);
    }
    // The same below the watermark is a loss, and nothing is touched.
    let below = torn(begin as u64);
    let before = fs::read(below.path().join("rows/0.jnl")).expect("a journal");
    let error = DataDir::open(below.path(), &[]).expect_err("a commit is missing");
    assert!(
        error
            .to_string()
            .contains("the last 1 of 2 acknowledged commits"),
        "{error}"
    );
    assert!(before == fs::read(below.path().join("rows/0.jnl")).expect("a journal"));
    open.committer.close();
}

/// Names the directory to the process that reads it.
const DIR: &str = "PEERAGE_TEST_DAMAGED_DIR";

/// Not a test of its own: what the process of [`Original::check_apart`] runs.
#[test]
fn reader_of_damaged_files() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let found = match DataDir::open(Path::new(&dir), &[]) {
        Ok(data) => format!("found {}", fingerprint(&data.rows)),
        Err(error) => format!("refused {error}"),
    };
    writeln!(std::io::stdout(), "{found}").expect("a reader");
}

fn fingerprint(rows: &[Row]) -> u64 {
    let mut hash = std::hash::DefaultHasher::new();
    format!("{rows:?}").hash(&mut hash);
    hash.finish()
}

/// Goal: places that nobody thought of. Damaged lengths may make fjall ask for more memory than
/// there is, which ends a process; so the program reads in a process of its own first, and so does
/// this. `PEERAGE_DAMAGE_ROUNDS` makes it longer, and
/// `PEERAGE_DAMAGE_SEED` different.
#[test]
fn random_damage_is_refused_or_harmless() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let mut state = number("PEERAGE_DAMAGE_SEED", 1);
    // SplitMix64.
    let mut draw = |bound: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % bound.max(1) as u64) as usize
    };
    let original = Original::make();
    let files = original.files();
    for round in 0..number("PEERAGE_DAMAGE_ROUNDS", 60) {
        let name = &files[draw(files.len())];
        let bytes = fs::read(original.dir.path().join(name)).expect("a file");
        let used = used(&bytes);
        let (kind, begin, len) = (draw(4), draw(used + 1), 1 + draw(64));
        let fill: Vec<u8> = (0..len).map(|_| draw(256) as u8).collect();
        let what = format!(
            "round {round}: {} kind {kind} at {begin} for {len}",
            name.display()
        );
        original.check_apart(&what, |dir| {
            let path = dir.join(name);
            let file = OpenOptions::new().write(true).open(&path).expect("a file");
            let mut damaged = bytes[..used].to_vec();
            match kind {
                0 => {
                    // Cut, and something else in its place.
                    damaged.truncate(begin);
                    damaged.extend_from_slice(&fill);
                    file.set_len(damaged.len() as u64).expect("a length");
                }
                1 => damaged
                    .iter_mut()
                    .skip(begin)
                    .zip(&fill)
                    .for_each(|(byte, new)| *byte = *new),
                2 => damaged
                    .iter_mut()
                    .skip(begin)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << (len % 8)),
                // A piece is missing.
                _ => drop(damaged.drain(begin..(begin + len).min(used))),
            }
            file.write_all_at(&damaged, 0).expect("a write");
        });
    }
}

/// A flush that cannot be done, as on a full disk, must not keep a node from stopping.
#[test]
fn a_directory_that_is_gone_can_still_be_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut open, _) = Open::at(dir.path()).expect("a fresh directory opens");
    let last = open.commit(vec![ban("row", 1)]);
    open.wait(last);
    fs::remove_dir_all(dir.path()).expect("removed");
    let begin = std::time::Instant::now();
    open.committer.close();
    let took = begin.elapsed();
    assert!(took < std::time::Duration::from_secs(10), "{took:?}");
}
