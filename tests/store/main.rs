//! What a store promises, held against fjall: order, atomicity, and above all that whatever was
//! acknowledged is there or the start is refused.

mod damage;
mod kill;
mod reclaim;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerage_core::commons::Row as CommonsRow;
use peerage_core::commons::bans::{Ban, BanKey, BanReason};
use peerage_core::rows::Record as _;
use peerage_core::{CommitSeq, Row};
use peerage_io::store::Committer;
use peerage_io::{DataDir, Metrics, StoreError};

const PATIENCE: Duration = Duration::from_secs(60);

/// A ban of `name`, told from others by `since`.
fn ban(name: &str, since: u64) -> Row {
    let ban = Ban {
        reason: BanReason::Manual,
        since_us: since,
        until_us: since + 1,
        address: name.to_owned(),
    };
    CommonsRow::Ban(BanKey::Address(name.to_owned()), Some(ban)).into()
}

fn no_ban(name: &str) -> Row {
    CommonsRow::Ban(BanKey::Address(name.to_owned()), None).into()
}

/// Rows in the order of their keys, as opening gives them.
fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(Row::key);
    rows
}

/// An open store and what it reports.
struct Open {
    committer: Committer,
    persisted: Receiver<CommitSeq>,
    failed: Arc<Mutex<Option<StoreError>>>,
    next: u64,
}

impl Open {
    fn at(dir: &Path) -> Result<(Self, Vec<Row>), StoreError> {
        let DataDir { store, rows, .. } = DataDir::open(dir, &[])?;
        let (sender, persisted) = channel();
        let failed = Arc::new(Mutex::new(None));
        let committer = store.run(
            Arc::new(Metrics::default()),
            move |upto| {
                let _ = sender.send(upto);
            },
            {
                let failed = failed.clone();
                move |error| *failed.lock().expect("no panic holds it") = Some(error)
            },
        );
        Ok((
            Self {
                committer,
                persisted,
                failed,
                next: 1,
            },
            rows,
        ))
    }

    fn commit(&mut self, rows: Vec<Row>) -> CommitSeq {
        let seq = CommitSeq(self.next);
        self.next += 1;
        self.committer.commit(seq, rows);
        seq
    }

    fn wait(&self, upto: CommitSeq) {
        while self
            .persisted
            .recv_timeout(PATIENCE)
            .expect("an acknowledgement")
            < upto
        {}
    }
}

#[test]
fn rows_come_back_as_they_were_last_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut open, rows) = Open::at(dir.path()).expect("a fresh directory opens");
    assert_eq!(rows, []);
    open.commit(vec![ban("a", 1), ban("b", 1), ban("c", 1)]);
    open.commit(vec![ban("a", 2), no_ban("b"), no_ban("never")]);
    let last = open.commit(vec![ban("d", 1), no_ban("d"), ban("e", 1), ban("e", 2)]);
    open.wait(last);
    open.committer.close();

    let expected = sorted(vec![ban("a", 2), ban("c", 1), ban("e", 2)]);
    for _ in 0..3 {
        let (open, rows) = Open::at(dir.path()).expect("a closed directory opens");
        assert_eq!(rows, expected);
        open.committer.close();
    }
    let (mut open, _) = Open::at(dir.path()).expect("a closed directory opens");
    let last = open.commit(vec![no_ban("a"), no_ban("c"), no_ban("e")]);
    open.wait(last);
    open.committer.close();
    let (_, rows) = Open::at(dir.path()).expect("a closed directory opens");
    assert_eq!(rows, []);
}

#[test]
fn acknowledgements_come_in_order_and_reach_every_commit() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut open, _) = Open::at(dir.path()).expect("a fresh directory opens");
    let total = 500;
    let mut expected = Vec::new();
    for n in 0..total {
        let row = ban(&format!("n{n}"), n);
        expected.push(row.clone());
        open.commit(vec![row]);
    }
    let mut last = CommitSeq(0);
    let mut groups = 0;
    while last < CommitSeq(total) {
        let upto = open
            .persisted
            .recv_timeout(PATIENCE)
            .expect("an acknowledgement");
        assert!(upto > last, "{upto} after {last}");
        last = upto;
        groups += 1;
    }
    assert!(
        groups < total,
        "{groups} syncs for {total} commits: no group commit"
    );
    assert!(open.failed.lock().expect("no panic holds it").is_none());
    open.committer.close();
    let (_, rows) = Open::at(dir.path()).expect("a closed directory opens");
    assert_eq!(rows, sorted(expected));
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let (open, _) = Open::at(dir.path()).expect("a fresh directory opens");
    let error = DataDir::open(dir.path(), &[]).expect_err("the directory is in use");
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&dir.path().display().to_string()),
        "{error}"
    );
    open.committer.close();
    DataDir::open(dir.path(), &[]).expect("a closed directory opens");
}

#[test]
fn an_identity_is_made_once_and_may_move_to_an_empty_directory() {
    let (old, new) = (
        tempfile::tempdir().expect("a directory"),
        tempfile::tempdir().expect("one more"),
    );
    let first = DataDir::open(old.path(), &[]).expect("a fresh directory opens");
    let (id, cluster) = (first.identity.fingerprint, first.cluster_peer_id);
    drop(first);
    let again = DataDir::open(old.path(), &[]).expect("a closed directory opens");
    assert_eq!(
        (again.identity.fingerprint, &again.cluster_peer_id),
        (id, &cluster)
    );
    for name in ["identity.key", "identity.pem"] {
        std::fs::copy(old.path().join(name), new.path().join(name)).expect("a copy");
    }
    let moved = DataDir::open(new.path(), &[]).expect("an identity alone is a beginning");
    assert_eq!(moved.identity.fingerprint, id);
}

#[test]
fn a_newer_format_is_refused_as_such() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(DataDir::open(dir.path(), &[]).expect("a fresh directory opens"));
    let path = dir.path().join("manifest");
    let text = std::fs::read_to_string(&path).expect("a manifest");
    std::fs::write(&path, text.replace("format 1", "format 2")).expect("a write");
    let error = DataDir::open(dir.path(), &[]).expect_err("the format is newer");
    assert!(
        matches!(error, StoreError::Newer { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_first_start_that_was_cut_off_begins_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = DataDir::open(dir.path(), &[]).expect("a fresh directory opens");
    let id = first.identity.fingerprint;
    drop(first);
    // What is there before the first manifest is written.
    for name in ["manifest", "watermark"] {
        std::fs::remove_file(dir.path().join(name)).expect("a file");
    }
    std::fs::remove_dir_all(dir.path().join("rows")).expect("a directory");
    let again = DataDir::open(dir.path(), &[]).expect("nothing was promised yet");
    assert_eq!(again.identity.fingerprint, id);
}
