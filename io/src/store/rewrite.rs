//! Writing all rows anew, so that those deleted and replaced take no room any more.
//!
//! fjall drops old values from its tables as these are merged, but from its journal only in steps of
//! 64 MB. So the rows are copied into a database of their own, which then takes the place of the other.
//! Whatever a crash leaves of this is put right at the next start: the old database counts until the
//! new one has its name.

use std::fs;
use std::path::{Path, PathBuf};

use fjall::{Keyspace, PersistMode};

use super::watermark::State;
use super::{ROWS, STATE_KEY, digest, open_database_at, refusal};
use crate::error::StoreError;
use crate::files;

/// The database that is being written.
fn fresh(dir: &Path) -> PathBuf {
    dir.join("rows.new")
}

/// The database whose place was taken.
fn replaced(dir: &Path) -> PathBuf {
    dir.join("rows.old")
}

/// Copies all rows into a new database beside the old one, and looks whether they are those that
/// `state` tells of.
pub(super) fn copy(dir: &Path, rows: &Keyspace, state: &State) -> Result<(), StoreError> {
    remove(&fresh(dir))?;
    let (database, keyspace) = open_database_at(dir, &fresh(dir))?;
    let failed = |error: fjall::Error| refusal(dir, &error);
    let mut ingestion = keyspace.start_ingestion().map_err(failed)?;
    for guard in rows.iter() {
        let (key, value) = guard.into_inner().map_err(failed)?;
        ingestion.write(key, value).map_err(failed)?;
    }
    ingestion.finish().map_err(failed)?;
    database.persist(PersistMode::SyncAll).map_err(failed)?;
    let (mut count, mut sum) = (0, 0_u128);
    for guard in keyspace.iter() {
        let (key, value) = guard.into_inner().map_err(failed)?;
        if *key != *STATE_KEY {
            count += 1;
            sum = sum.wrapping_add(digest(&key, &value));
        }
    }
    if (count, sum) != (state.rows, state.digest) {
        let what =
            "the rows cannot be written anew, because they are not those that there should be";
        return Err(StoreError::damaged(dir, what));
    }
    drop(keyspace);
    drop(database);
    files::sync_dir(&fresh(dir))
}

/// Gives up a copy.
pub(super) fn abandon(dir: &Path) {
    // Whatever cannot be removed now is removed at the next start.
    let _ = remove(&fresh(dir));
}

/// Puts the copy in the place of the old database. Nothing may have either open.
pub(super) fn exchange(dir: &Path) -> Result<(), StoreError> {
    rename(&dir.join(ROWS), &replaced(dir))?;
    rename(&fresh(dir), &dir.join(ROWS))?;
    files::sync_dir(dir)?;
    remove(&replaced(dir))
}

/// Puts right what a crash left.
pub(super) fn mend(dir: &Path) -> Result<(), StoreError> {
    if files::exists(&replaced(dir))? && !files::exists(&dir.join(ROWS))? {
        rename(&replaced(dir), &dir.join(ROWS))?;
        files::sync_dir(dir)?;
    }
    remove(&replaced(dir))?;
    remove(&fresh(dir))
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| StoreError::io("rename", from, source))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|source| StoreError::io("remove", path, source)),
    }
}
