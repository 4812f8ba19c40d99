//! How long it takes until rows are durable: the node's store, beside what it cannot beat.
//!
//! The three run one after the other in every round, on the same disk, so that what else the machine
//! does hits all of them; the medians over all rounds are the result.
//!
//! - *store*: commits are queued, and the last of them is reported as persisted.
//! - *fjall*: the same rows as one bare batch with a sync.
//! - *append*: the same bytes at the end of a file, and its `fdatasync`.
//!
//! A commit costs the store two syncs in turn: the batch, then the watermark by which a lost tail is
//! noticed. So a commit that has the disk for itself cannot do better than half of *fjall*. With many
//! writers the two overlap, and each sync is shared by all who wait for it; there the last row is
//! about commits per second, and *fjall* and *append* write as many rows with every sync as there are
//! writers.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use peerage_core::commons::Row as CommonsRow;
use peerage_core::commons::bans::{Ban, BanKey, BanReason};
use peerage_core::rows::Record as _;
use peerage_core::{CommitSeq, Row};
use peerage_io::store::Committer;
use peerage_io::{DataDir, Metrics};

const WRITERS: usize = 256;
/// How often each of the writers commits in one round.
const TURNS: usize = 8;

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn main() {
    // Under `cargo test` one round shows that everything still works.
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let rounds: usize = if smoke { 1 } else { 101 };
    // Not the system's directory for temporary files, which may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut store = Store::open(&dir.path().join("store"));
    let bare = Bare::open(&dir.path().join("fjall"));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.path().join("append"))
        .expect("a file");
    let mut rows = Rows(0);

    println!("medians of {rounds} rounds");
    println!("{:28}{:>30}{:>22}", "", "microseconds", "as fast as");
    println!(
        "{:28}{:>10}{:>10}{:>10}{:>11}{:>11}",
        "until durable", "store", "fjall", "append", "fjall", "append"
    );
    let cases = [
        ("1 commit of 1 row", 1),
        ("1 commit of 16 rows", 16),
        ("1 commit of 256 rows", 256),
    ];
    for (name, size) in cases {
        let samples = (0..rounds).map(|_| {
            let rows = rows.take(size);
            let bytes = encoded(&rows);
            let store = timed(|| store.commit_one(rows));
            let fjall = timed(|| bare.commit(&bytes));
            let append = timed(|| append(&mut file, &bytes));
            [store, fjall, append]
        });
        report(name, samples.collect(), 1);
    }
    // Fewer rounds, as each has many syncs.
    let samples = (0..rounds.div_ceil(4)).map(|_| {
        let rows = rows.take(WRITERS * TURNS);
        let bytes = encoded(&rows);
        let store = timed(|| store.commit_many(rows));
        let fjall = timed(|| bytes.chunks(WRITERS).for_each(|part| bare.commit(part)));
        let append = timed(|| {
            let parts = bytes.chunks(WRITERS);
            parts.for_each(|part| append(&mut file, part));
        });
        [store, fjall, append]
    });
    report(
        "256 writers, each commit",
        samples.collect(),
        WRITERS * TURNS,
    );
    store.committer.close();
}

/// Prints the medians of `samples`, each of which stands for `count` commits.
#[expect(clippy::print_stdout, reason = "the table is the result")]
fn report(name: &str, samples: Vec<[Duration; 3]>, count: usize) {
    let [store, fjall, append] = [0, 1, 2].map(|column| {
        let mut times: Vec<f64> = samples
            .iter()
            .map(|sample| sample[column].as_secs_f64() * 1e6 / count as f64)
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    println!(
        "{name:28}{store:>10.1}{fjall:>10.1}{append:>10.1}{:>11.2}{:>11.2}",
        fjall / store,
        append / store,
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Rows of which none comes twice.
struct Rows(u64);

impl Rows {
    fn take(&mut self, count: usize) -> Vec<Row> {
        let numbers = self.0..;
        self.0 += count as u64;
        let row = |number| {
            let address = format!("bench-{number:08}.example");
            let ban = Ban {
                reason: BanReason::Manual,
                since_us: number,
                until_us: u64::MAX,
                address: address.clone(),
            };
            CommonsRow::Ban(BanKey::Address(address), Some(ban)).into()
        };
        numbers.take(count).map(row).collect()
    }
}

type Encoded = (Vec<u8>, Vec<u8>);

fn encoded(rows: &[Row]) -> Vec<Encoded> {
    rows.iter()
        .map(|row| (row.key(), row.value().unwrap_or_default()))
        .collect()
}

/// The node's store, as the driver uses it.
struct Store {
    committer: Committer,
    persisted: Receiver<CommitSeq>,
    issued: CommitSeq,
}

impl Store {
    fn open(dir: &Path) -> Self {
        let data = DataDir::open(dir, &[]).expect("a fresh directory opens");
        let (sender, persisted) = channel();
        let committer = data.store.run(
            Arc::new(Metrics::default()),
            move |upto| {
                let _ = sender.send(upto);
            },
            |error| panic!("{error}"),
        );
        Self {
            committer,
            persisted,
            issued: CommitSeq::default(),
        }
    }

    fn commit(&mut self, rows: Vec<Row>) {
        self.issued = self.issued.next();
        self.committer.commit(self.issued, rows);
    }

    fn commit_one(&mut self, rows: Vec<Row>) {
        self.commit(rows);
        let upto = self.persisted.recv().expect("the store reports");
        assert_eq!(upto, self.issued);
    }

    /// One row a commit; a writer commits again once its last row is durable.
    fn commit_many(&mut self, rows: Vec<Row>) {
        let mut done = self.issued;
        let mut left = VecDeque::from(rows);
        while !left.is_empty() || done < self.issued {
            while self.issued.0 - done.0 < WRITERS as u64
                && let Some(row) = left.pop_front()
            {
                self.commit(vec![row]);
            }
            done = self.persisted.recv().expect("the store reports");
        }
    }
}

/// The database below the store, without the store.
struct Bare {
    database: Database,
    keyspace: Keyspace,
}

impl Bare {
    fn open(dir: &Path) -> Self {
        let database = Database::builder(dir)
            .worker_threads(2)
            .open()
            .expect("a database");
        let keyspace = database
            .keyspace("rows", KeyspaceCreateOptions::default)
            .expect("a keyspace");
        Self { database, keyspace }
    }

    fn commit(&self, rows: &[Encoded]) {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in rows {
            batch.insert(&self.keyspace, key.as_slice(), value.as_slice());
        }
        batch.commit().expect("a batch is written");
    }
}

fn append(file: &mut File, rows: &[Encoded]) {
    let bytes: Vec<u8> = rows
        .iter()
        .flat_map(|(key, value)| [key.as_slice(), value.as_slice()])
        .flatten()
        .copied()
        .collect();
    file.write_all(&bytes).expect("a file grows");
    file.sync_data().expect("a file is synced");
}
