//! The torn end of fjall's journal.
//!
//! A power cut may leave the pages of a large batch half written, in any order. fjall drops a batch
//! that ends too early, but refuses to open one whose middle is missing. Such a batch was never
//! acknowledged: if everything before it reaches up to the watermark, it is cut off here, so that the
//! node starts. If not, something that was promised is damaged, and nothing is touched.
//!
//! The format is fjall's, version 3: batches of a start, items and an end with a checksum. What this
//! reader does not understand it leaves to fjall; whether all rows are there is checked after that.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::watermark::State;
use super::{ROWS, STATE_KEY};
use crate::error::StoreError;

/// Cuts a torn batch off the newest journal, if nothing that was promised is in it.
pub(super) fn mend(dir: &Path, salt: u64, promised: &State) -> Result<(), StoreError> {
    let Some(path) = newest(&dir.join(ROWS))? else {
        return Ok(());
    };
    let bytes = fs::read(&path).map_err(|source| StoreError::io("read", &path, source))?;
    let Scan { valid, state } = scan(&bytes, salt);
    let torn = bytes[valid..].iter().any(|byte| *byte != 0);
    let Some(state) = state.filter(|_| torn) else {
        return Ok(());
    };
    if state.commits < promised.commits {
        let lost = promised.commits - state.commits;
        let what = format!(
            "the last {lost} of {} acknowledged commits cannot be read from {}",
            promised.commits,
            path.display()
        );
        return Err(StoreError::damaged(dir, what));
    }
    tracing::warn!(
        journal = %path.display(),
        bytes = valid,
        "dropping a half-written batch that was never acknowledged"
    );
    let file = OpenOptions::new().write(true).open(&path);
    file.and_then(|file| {
        file.set_len(valid as u64)?;
        file.sync_all()
    })
    .map_err(|source| StoreError::io("cut", &path, source))
}

/// The journal that was written last.
fn newest(rows: &Path) -> Result<Option<PathBuf>, StoreError> {
    let failed = |source| StoreError::io("list", rows, source);
    let mut newest = None;
    for entry in fs::read_dir(rows).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path
            .extension()
            .filter(|extension| *extension == "jnl")
            .and_then(|_| path.file_stem()?.to_str()?.parse::<u64>().ok());
        if let Some(number) = number {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// How far a journal can be read.
struct Scan {
    /// Bytes up to the end of the last whole batch.
    valid: usize,
    /// What the last whole batch says of the store.
    state: Option<State>,
}

fn scan(bytes: &[u8], salt: u64) -> Scan {
    let mut scan = Scan {
        valid: 0,
        state: None,
    };
    while let Some((len, state)) = batch(&bytes[scan.valid..], salt) {
        scan.valid += len;
        scan.state = state.or(scan.state);
    }
    scan
}

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8; 4] = b"FJL\x03";

/// Reads one batch: its length, and the state row if it has one. `None` if it is not whole.
fn batch(bytes: &[u8], salt: u64) -> Option<(usize, Option<State>)> {
    let mut rest = bytes;
    if take::<1>(&mut rest)? != [START] {
        return None;
    }
    let items = u32::from_le_bytes(take(&mut rest)?);
    let _seqno = take::<8>(&mut rest)?;
    let mut hash = Xxh3::new();
    let mut state = None;
    for _ in 0..items {
        let begin = rest;
        if take::<1>(&mut rest)? != [ITEM] {
            return None;
        }
        // Kind of value, compression, keyspace.
        let _ = take::<10>(&mut rest)?;
        let key_len = u16::from_le_bytes(take(&mut rest)?);
        let _value_len = take::<4>(&mut rest)?;
        let stored_len = u32::from_le_bytes(take(&mut rest)?);
        let key = take_slice(&mut rest, usize::from(key_len))?;
        let value = take_slice(&mut rest, usize::try_from(stored_len).ok()?)?;
        hash.update(&begin[..begin.len() - rest.len()]);
        if key == STATE_KEY {
            state = State::decode(value, salt);
        }
    }
    let end = take::<1>(&mut rest)? == [END]
        && u64::from_le_bytes(take(&mut rest)?) == hash.digest()
        && take::<4>(&mut rest)? == *TRAILER;
    end.then(|| (bytes.len() - rest.len(), state))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    take_slice(rest, N)?.try_into().ok()
}

fn take_slice<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}
