//! Giving back the room of rows that were deleted or replaced.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{Open, ban, no_ban, sorted};

/// Bytes that a directory takes on the disk, as `du` counts them.
fn size(path: &Path) -> u64 {
    let metadata = fs::metadata(path).expect("it is there");
    let within = match metadata.is_dir() {
        true => fs::read_dir(path)
            .expect("a directory")
            .map(|entry| size(&entry.expect("an entry").path()))
            .sum(),
        false => 0,
    };
    512 * metadata.blocks() + within
}

#[test]
fn room_is_given_back_and_rows_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut open, _) = Open::at(dir.path()).expect("a fresh directory opens");
    for since in 0..300 {
        open.commit((0..500).map(|n| ban(&format!("row{n}"), since)).collect());
    }
    let last = open.commit((100..500).map(|n| no_ban(&format!("row{n}"))).collect());
    open.wait(last);
    let before = size(dir.path());
    open.committer.reclaim();
    let last = open.commit(vec![ban("row0", 300), ban("after", 1)]);
    open.wait(last);
    let after = size(dir.path());
    assert!(after * 4 < before, "{after} of {before} bytes");
    // Again, with nothing to do, and as the last thing.
    open.committer.reclaim();
    open.committer.reclaim();
    open.committer.close();

    let mut expected: Vec<_> = (1..100).map(|n| ban(&format!("row{n}"), 299)).collect();
    expected.extend([ban("row0", 300), ban("after", 1)]);
    let (open, rows) = Open::at(dir.path()).expect("a closed directory opens");
    assert_eq!(rows, sorted(expected));
    open.committer.close();
}

/// Whatever a crash leaves on the way, the next start has all rows and nothing beside them.
#[test]
fn what_a_crash_leaves_of_it_is_put_right() {
    for crash in [
        "while copying",
        "between the names",
        "before the old one went",
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut open, _) = Open::at(dir.path()).expect("a fresh directory opens");
        let last = open.commit(vec![ban("a", 1), ban("b", 1)]);
        open.wait(last);
        open.committer.close();
        let [rows, old, new] = ["rows", "rows.old", "rows.new"].map(|name| dir.path().join(name));
        match crash {
            "while copying" => {
                fs::create_dir(&new).expect("a directory");
                fs::write(new.join("0.jnl"), b"half").expect("a file");
            }
            "between the names" => {
                fs::rename(&rows, &old).expect("a directory");
                fs::create_dir(&new).expect("a directory");
            }
            _ => {
                fs::create_dir(&old).expect("a directory");
                fs::write(old.join("0.jnl"), b"old").expect("a file");
            }
        }
        let (open, found) = Open::at(dir.path()).unwrap_or_else(|error| panic!("{crash}: {error}"));
        assert_eq!(found, [ban("a", 1), ban("b", 1)], "{crash}");
        assert!(rows.exists() && !old.exists() && !new.exists(), "{crash}");
        open.committer.close();
    }
}
