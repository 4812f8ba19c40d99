//! The store: rows on disk by fjall, with group commit, and proof that nothing promised is missing.
//!
//! **Writing.** One thread takes all waiting commits and writes their rows as one atomic batch with
//! a sync. In the same batch goes the *state row*: how many commits the directory has seen, how many
//! rows it holds, and the sum of all rows' digests. A second thread then writes the same state to
//! the watermark, syncs it, and only then reports the commits as durable. The threads
//! overlap: while one group's watermark is synced, the next batch is written.
//!
//! **Opening.** All rows are read. Their number and the sum of their digests must be those of the
//! state row, so a flipped bit, a lost table file or a row that came back is noticed wherever it
//! happened; and the state row must not be older than the watermark, so a lost tail is noticed too.
//! What lies above the watermark was never acknowledged and may be there or not. Any doubt refuses
//! the start: a node that has silently forgotten is worse than none.
//!
//! **Giving back room.** When the node asks for it, all rows are written anew; nothing else is written
//! meanwhile.

mod journal;
mod rewrite;
pub(crate) mod watermark;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use peerage_core::rows::Record as _;
use peerage_core::{CommitSeq, Row};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::data_dir::DirLock;
use crate::error::StoreError;
use crate::files;
use crate::metrics::Metrics;
use crate::panics;
use watermark::{State, Watermark};
use writer::{Marker, Writer};

/// The name of fjall's directory.
pub(crate) const ROWS: &str = "rows";
/// The name of the watermark file.
pub(crate) const WATERMARK: &str = "watermark";
/// The state row's key. The tables of rooms begin at 1.
const STATE_KEY: &[u8] = &[0];
const KEYSPACE: &str = "rows";

/// An open store that is not written to yet.
pub struct Store {
    dir: PathBuf,
    database: Database,
    keyspace: Keyspace,
    watermark: Watermark,
    state: State,
    salt: u64,
    /// Held until the last thread that writes is gone.
    lock: Arc<DirLock>,
}

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Store({}, {:?})", self.dir.display(), self.state)
    }
}

impl Store {
    /// Makes an empty store in `dir`. `salt` names the directory, so that files of another one are
    /// not mistaken for its own.
    pub(crate) fn create(dir: &Path, salt: u64, lock: DirLock) -> Result<Self, StoreError> {
        let state = State::default();
        let (database, keyspace) = open_database(dir)?;
        let failed = |error: fjall::Error| refusal(dir, &error);
        keyspace
            .insert(STATE_KEY, state.encode(salt).as_slice())
            .map_err(failed)?;
        database.persist(PersistMode::SyncAll).map_err(failed)?;
        files::sync_dir(&dir.join(ROWS))?;
        let watermark = Watermark::create(&dir.join(WATERMARK), salt, &state)?;
        let lock = Arc::new(lock);
        Ok(Self {
            dir: dir.to_owned(),
            database,
            keyspace,
            watermark,
            state,
            salt,
            lock,
        })
    }

    /// Opens the store in `dir` and reads every row.
    pub(crate) fn open(
        dir: &Path,
        salt: u64,
        lock: DirLock,
    ) -> Result<(Self, Vec<Row>), StoreError> {
        let (watermark, promised) = Watermark::open(dir, &dir.join(WATERMARK), salt)?;
        rewrite::mend(dir)?;
        // fjall would make a new and empty database where there is none.
        if !files::exists(&dir.join(ROWS))? {
            return Err(StoreError::damaged(dir, "the directory rows is missing"));
        }
        journal::mend(dir, salt, &promised)?;
        let (database, keyspace) = open_database(dir)?;
        let (state, rows) = guarded(dir, || read_rows(dir, &keyspace, salt))?;
        if state.commits < promised.commits {
            let lost = promised.commits - state.commits;
            return Err(StoreError::damaged(
                dir,
                format!(
                    "the last {lost} of {} acknowledged commits are missing from the directory rows",
                    promised.commits
                ),
            ));
        }
        if state.commits == promised.commits && state != promised {
            return Err(StoreError::damaged(
                dir,
                "the directory rows and the file watermark are not of the same run",
            ));
        }
        let lock = Arc::new(lock);
        let mut store = Self {
            dir: dir.to_owned(),
            database,
            keyspace,
            watermark,
            state,
            salt,
            lock,
        };
        if state != promised {
            // From here on readers see these commits, so they are promised.
            store
                .watermark
                .write(&state)
                .map_err(|error| StoreError::io("write", &dir.join(WATERMARK), error))?;
        }
        Ok((store, rows))
    }

    /// Commits that the directory has seen, over all runs.
    #[must_use]
    pub const fn commits(&self) -> u64 {
        self.state.commits
    }

    /// Starts the threads that write.
    ///
    /// `persisted` hears of each group once it is durable and watermarked. `failed` hears at most
    /// once; nothing is reported as persisted that comes after what failed.
    pub fn run(
        self,
        metrics: Arc<Metrics>,
        persisted: impl Fn(CommitSeq) + Send + 'static,
        failed: impl Fn(StoreError) + Send + Sync + 'static,
    ) -> Committer {
        let failed = Arc::new(failed);
        let (tasks, waiting) = channel();
        let (synced, written) = channel();
        let Self {
            dir,
            database,
            keyspace,
            watermark,
            state,
            salt,
            lock,
        } = self;
        let _lock = lock.clone();
        let writer = Writer {
            dir,
            database,
            keyspace,
            base: state.commits,
            state,
            salt,
            _lock,
        };
        let marker = Marker {
            watermark,
            persisted,
            _lock: lock,
        };
        let threads = vec![
            spawn("peerage-store", failed.clone(), {
                let metrics = metrics.clone();
                move || writer.run(&waiting, &synced, &metrics)
            }),
            spawn("peerage-mark", failed, move || {
                marker.run(&written, &metrics)
            }),
        ];
        Committer {
            tasks: Some(tasks),
            threads,
        }
    }
}

/// What the thread that writes has to do.
enum Task {
    Commit(CommitSeq, Vec<Row>),
    Reclaim,
}

/// Where commits go. Dropping it lets the threads finish what they have.
#[derive(Debug)]
pub struct Committer {
    tasks: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
}

impl Committer {
    /// Queues a commit; never blocks. The queue is as long as the node lets commits be in flight.
    /// After a failure the commit is dropped: it will never be acknowledged.
    pub fn commit(&self, seq: CommitSeq, rows: Vec<Row>) {
        self.send(Task::Commit(seq, rows));
    }

    /// Gives back the room of deleted and replaced rows, after the commits so far. Later ones wait
    /// until it is done.
    pub fn reclaim(&self) {
        self.send(Task::Reclaim);
    }

    fn send(&self, task: Task) {
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task);
        }
    }

    /// Writes what is queued, reports it, and closes the files.
    pub fn close(mut self) {
        self.tasks = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Runs `work` on a thread of its own; its error, or its panic, is told to `failed`.
fn spawn(
    name: &str,
    failed: Arc<impl Fn(StoreError) + Send + Sync + 'static>,
    work: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
) -> JoinHandle<()> {
    let body = move || {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(StoreError::WriteFailed {
                what: "its thread panicked".to_owned(),
            })
        });
        if let Err(error) = result {
            failed(error);
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .expect("the operating system has threads at the start of a process")
}

fn open_database(dir: &Path) -> Result<(Database, Keyspace), StoreError> {
    open_database_at(dir, &dir.join(ROWS))
}

fn open_database_at(dir: &Path, path: &Path) -> Result<(Database, Keyspace), StoreError> {
    guarded(dir, || {
        let open = || -> fjall::Result<_> {
            let database = Database::builder(path).worker_threads(2).open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
            let keyspace = database.keyspace(KEYSPACE, options)?;
            Ok((database, keyspace))
        };
        open().map_err(|error| refusal(dir, &error))
    })
}

/// A quarter of fjall's default: rows are in the node's memory anyway.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;

/// Runs a part of fjall that reads files which may be damaged. It may panic on them; that is a
/// refusal like any other.
fn guarded<T>(dir: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let _expected = panics::expect();
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::damaged(
            dir,
            "the files in the directory rows contradict each other",
        ))
    })
}

fn read_rows(dir: &Path, keyspace: &Keyspace, salt: u64) -> Result<(State, Vec<Row>), StoreError> {
    let mut stored = None;
    let mut found = State::default();
    let mut rows = Vec::new();
    let mut unreadable = None;
    for guard in keyspace.iter() {
        let (key, value) = guard.into_inner().map_err(|error| refusal(dir, &error))?;
        if *key == *STATE_KEY {
            stored = State::decode(&value, salt);
            continue;
        }
        found.rows += 1;
        found.digest = found.digest.wrapping_add(digest(&key, &value));
        match Row::decode(&key, &value) {
            Ok(row) => rows.push(row),
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    let Some(stored) = stored else {
        let what = "the directory rows does not say what it should hold";
        return Err(StoreError::damaged(dir, what));
    };
    if found.rows != stored.rows {
        return Err(StoreError::damaged(
            dir,
            format!(
                "the directory rows holds {} rows instead of {}",
                found.rows, stored.rows
            ),
        ));
    }
    if found.digest != stored.digest {
        let what = "the content of the directory rows has changed since it was written";
        return Err(StoreError::damaged(dir, what));
    }
    match unreadable {
        Some(error) => Err(StoreError::row(dir, &error)),
        None => Ok((stored, rows)),
    }
}

/// The operating system's error in one of fjall's; all others are about content.
fn io_error(error: &fjall::Error) -> Option<&std::io::Error> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other errors are about content"
    )]
    match error {
        fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) => Some(io),
        _ => None,
    }
}

/// A failed write in words, where there are any: fjall prints its errors as Rust values.
fn told(error: &fjall::Error) -> String {
    io_error(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn refusal(dir: &Path, error: &fjall::Error) -> StoreError {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
    if matches!(error, fjall::Error::Locked) {
        return StoreError::InUse {
            dir: dir.to_owned(),
        };
    }
    match io_error(error) {
        Some(io)
            if matches!(
                io.kind(),
                PermissionDenied | ReadOnlyFilesystem | StorageFull
            ) =>
        {
            StoreError::io(
                "open",
                &dir.join(ROWS),
                std::io::Error::new(io.kind(), io.to_string()),
            )
        }
        _ => StoreError::damaged(dir, format!("the directory rows cannot be read ({error})")),
    }
}

/// A row's contribution to the state's sum: key and value, kept apart by the key's length.
fn digest(key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Xxh3::with_seed(xxh3_64(key) ^ key.len() as u64);
    hash.update(key);
    hash.update(value);
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use peerage_core::commons::Row as CommonsRow;
    use peerage_core::commons::bans::BanKey;

    use super::*;
    use crate::data_dir::DataDir;

    #[test]
    fn a_full_disk_is_told_in_words() {
        let full = fjall::Error::Io(std::io::Error::from_raw_os_error(28));
        assert_eq!(told(&full), "No space left on device (os error 28)");
    }

    #[test]
    fn a_failed_watermark_acknowledges_nothing_and_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = DataDir::open(dir.path(), &[])
            .expect("a fresh directory opens")
            .store;
        store.watermark.forbid_writing(&dir.path().join(WATERMARK));
        let (sender, reports) = channel();
        let failed = sender.clone();
        let committer = store.run(
            Arc::default(),
            move |upto| sender.send(Ok(upto)).expect("a test listens"),
            move |error| failed.send(Err(error)).expect("a test listens"),
        );
        let row: Row = CommonsRow::Ban(BanKey::Address("a".to_owned()), None).into();
        committer.commit(CommitSeq(1), vec![row.clone()]);
        let report = reports
            .recv_timeout(Duration::from_secs(60))
            .expect("a report");
        assert!(
            matches!(report, Err(StoreError::WriteFailed { .. })),
            "{report:?}"
        );
        // What comes after is swallowed, not acknowledged.
        committer.commit(CommitSeq(2), vec![row]);
        committer.close();
        assert!(reports.recv().is_err());
    }

    #[test]
    fn digests_keep_key_and_value_apart() {
        assert_ne!(digest(b"ab", b"c"), digest(b"a", b"bc"));
        assert_ne!(digest(b"", b"a"), digest(b"a", b""));
    }
}
