//! Data directories, damaged in every file: all acknowledged rows are there, or the start is
//! refused. Never fewer rows without a word.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

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
