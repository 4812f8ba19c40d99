//! The two threads of an open store: one writes batches, the other watermarks, and only what both have
//! written is reported.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, PersistMode};
use peerage_core::rows::Record;
use peerage_core::{CommitSeq, Row};

use super::watermark::{State, Watermark};
use super::{STATE_KEY, Task, digest, open_database, rewrite, told};
use crate::data_dir::DirLock;
use crate::error::StoreError;
use crate::metrics::Metrics;

/// Rows of one batch, about. Bounds the memory of a group, not of a commit.
const GROUP_ROWS_MAX: usize = 16_384;

/// The thread that writes batches.
pub(super) struct Writer {
    pub(super) dir: PathBuf,
    pub(super) database: Database,
    pub(super) keyspace: Keyspace,
    /// Commits of earlier runs.
    pub(super) base: u64,
    pub(super) state: State,
    pub(super) salt: u64,
    pub(super) _lock: Arc<DirLock>,
}

/// How long closing may spend on what only makes the next start faster.
const TIDY_MAX: Duration = Duration::from_secs(2);

/// A durable batch whose watermark is still to be written.
pub(super) struct Written {
    state: State,
    upto: CommitSeq,
    taken: Instant,
}

impl Writer {
    pub(super) fn run(
        mut self,
        waiting: &Receiver<Task>,
        synced: &Sender<Written>,
        metrics: &Metrics,
    ) -> Result<(), StoreError> {
        while let Ok(task) = waiting.recv() {
            let Task::Commit(seq, mut rows) = task else {
                self = self.reclaim()?;
                continue;
            };
            let taken = Instant::now();
            let mut upto = seq;
            let mut commits = 1_u64;
            let mut reclaim = false;
            while rows.len() < GROUP_ROWS_MAX
                && !reclaim
                && let Ok(task) = waiting.try_recv()
            {
                let Task::Commit(seq, more) = task else {
                    reclaim = true;
                    continue;
                };
                assert!(seq == upto.next(), "commit {seq} follows commit {upto}");
                upto = seq;
                commits += 1;
                rows.extend(more);
            }
            let count = rows.len();
            self.write(upto, rows)
                .map_err(|error| StoreError::WriteFailed { what: told(&error) })?;
            metrics.batch(commits, count as u64, taken.elapsed());
            if synced
                .send(Written {
                    state: self.state,
                    upto,
                    taken,
                })
                .is_err()
            {
                // The other thread has failed and said why.
                return Ok(());
            }
            if reclaim {
                self = self.reclaim()?;
            }
        }
        self.tidy();
        Ok(())
    }

    /// Makes a table of what is in the journal: tables open faster than a journal is replayed.
    /// Everything is durable already, so a failure costs nothing. fjall would wait for ever for a
    /// flush that has failed, on a full disk for one.
    fn tidy(&self) {
        let keyspace = self.keyspace.clone();
        let (done, is_done) = channel();
        let body = move || {
            let _ = keyspace.rotate_memtable_and_wait();
            drop(keyspace);
            let _ = done.send(());
        };
        if thread::Builder::new().spawn(body).is_ok() {
            let _ = is_done.recv_timeout(TIDY_MAX);
        }
    }

    /// Writes all rows anew. If that cannot be done, for one because the disk is full, everything stays
    /// as it is.
    fn reclaim(self) -> Result<Self, StoreError> {
        if let Err(error) = rewrite::copy(&self.dir, &self.keyspace, &self.state) {
            tracing::warn!(%error, "the room of deleted rows is not given back");
            rewrite::abandon(&self.dir);
            return Ok(self);
        }
        let Self {
            dir,
            database,
            keyspace,
            base,
            state,
            salt,
            _lock,
        } = self;
        drop(keyspace);
        drop(database);
        rewrite::exchange(&dir)?;
        let (database, keyspace) = open_database(&dir)?;
        Ok(Self {
            dir,
            database,
            keyspace,
            base,
            state,
            salt,
            _lock,
        })
    }

    fn write(&mut self, upto: CommitSeq, rows: Vec<Row>) -> fjall::Result<()> {
        // The last write of a key decides; one read tells what it replaces.
        let last: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            rows.iter().map(|row| (row.key(), row.value())).collect();
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in last {
            if let Some(old) = self.keyspace.get(&key)? {
                self.state.rows -= 1;
                self.state.digest = self.state.digest.wrapping_sub(digest(&key, &old));
            }
            match value {
                Some(value) => {
                    self.state.rows += 1;
                    self.state.digest = self.state.digest.wrapping_add(digest(&key, &value));
                    batch.insert(&self.keyspace, key, value);
                }
                None => batch.remove(&self.keyspace, key),
            }
        }
        self.state.commits = self.base + upto.0;
        batch.insert(
            &self.keyspace,
            STATE_KEY,
            self.state.encode(self.salt).as_slice(),
        );
        batch.commit()
    }
}

/// The thread that writes watermarks and acknowledges.
pub(super) struct Marker<F> {
    pub(super) watermark: Watermark,
    pub(super) persisted: F,
    pub(super) _lock: Arc<DirLock>,
}

impl<F: Fn(CommitSeq)> Marker<F> {
    pub(super) fn run(
        mut self,
        written: &Receiver<Written>,
        metrics: &Metrics,
    ) -> Result<(), StoreError> {
        while let Ok(first) = written.recv() {
            let oldest = first.taken;
            let newest = written.try_iter().last().unwrap_or(first);
            self.watermark
                .write(&newest.state)
                .map_err(|error| StoreError::WriteFailed {
                    what: error.to_string(),
                })?;
            metrics.acknowledged(oldest.elapsed());
            (self.persisted)(newest.upto);
        }
        Ok(())
    }
}
