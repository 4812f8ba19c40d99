//! The watermark: which commit was the last to be acknowledged.
//!
//! fjall opens a truncated or deleted journal without a word, with fewer rows. So after a group of
//! commits is durable, and before any of them is acknowledged, its number and the digest of all rows
//! are written to a file of their own and synced. A store that knows less than its watermark has
//! lost something it had promised.
//!
//! Two slots, a page apart, are written in turn, so that a torn write can only harm a slot whose
//! commit was not acknowledged yet; the other slot still holds.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::StoreError;
use crate::files;

/// What the store holds after a commit: kept as a row inside of each batch, and as the watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Commits since the directory was made, over all runs.
    pub(crate) commits: u64,
    /// Rows.
    pub(crate) rows: u64,
    /// The sum of the digests of all rows.
    pub(crate) digest: u128,
}

impl State {
    pub(crate) const LEN: usize = 48;

    /// The state as bytes with a checksum, bound to the directory's name for itself.
    pub(crate) fn encode(&self, salt: u64) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.commits.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.rows.to_be_bytes());
        bytes[24..40].copy_from_slice(&self.digest.to_be_bytes());
        let check = xxh3_64(&bytes[..40]) ^ salt;
        bytes[40..].copy_from_slice(&check.to_be_bytes());
        bytes
    }

    /// Reads [`Self::encode`] back; `None` if the bytes are damaged or of another directory.
    pub(crate) fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let word = |at: usize| -> Option<u64> {
            Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
        };
        if &bytes[..8] != MAGIC || word(40)? != xxh3_64(&bytes[..40]) ^ salt {
            return None;
        }
        let digest = u128::from_be_bytes(bytes[24..40].try_into().ok()?);
        Some(Self {
            commits: word(8)?,
            rows: word(16)?,
            digest,
        })
    }
}

const MAGIC: &[u8; 8] = b"peerage1";
/// Apart by a page, so that no write touches both.
const SLOT_BYTES: u64 = 4096;
const SLOTS: u64 = 2;

/// The open file.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
    salt: u64,
    slot: u64,
}

impl Watermark {
    /// Makes the file, with `state` in both slots.
    pub(crate) fn create(path: &Path, salt: u64, state: &State) -> Result<Self, StoreError> {
        let mut bytes = vec![0; (SLOT_BYTES * SLOTS) as usize];
        for slot in bytes.chunks_exact_mut(SLOT_BYTES as usize) {
            slot[..State::LEN].copy_from_slice(&state.encode(salt));
        }
        files::write_atomically(path, &bytes, 0o600)?;
        Ok(Self {
            file: open(path)?,
            salt,
            slot: 0,
        })
    }

    /// Opens the file and gives the newest state in it.
    pub(crate) fn open(dir: &Path, path: &Path, salt: u64) -> Result<(Self, State), StoreError> {
        let Some(bytes) = files::read(path)? else {
            return Err(StoreError::damaged(
                dir,
                "the file watermark is missing, which says what was acknowledged",
            ));
        };
        let newest = bytes
            .chunks(SLOT_BYTES as usize)
            .take(SLOTS as usize)
            .zip(0..)
            .filter_map(|(slot, n)| Some((State::decode(slot.get(..State::LEN)?, salt)?, n)))
            .max_by_key(|(state, _)| state.commits);
        let Some((state, slot)) = newest else {
            return Err(StoreError::damaged(
                dir,
                "the file watermark is not readable, which says what was acknowledged",
            ));
        };
        Ok((
            Self {
                file: open(path)?,
                salt,
                slot: (slot + 1) % SLOTS,
            },
            state,
        ))
    }

    /// Makes `state` the watermark, durably.
    pub(crate) fn write(&mut self, state: &State) -> std::io::Result<()> {
        self.file
            .write_all_at(&state.encode(self.salt), self.slot * SLOT_BYTES)?;
        self.file.sync_data()?;
        self.slot = (self.slot + 1) % SLOTS;
        Ok(())
    }

    /// Lets every write fail from here on.
    #[cfg(test)]
    pub(crate) fn forbid_writing(&mut self, path: &Path) {
        self.file = File::open(path).expect("the watermark is there");
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| StoreError::io("open", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_slot_is_noticed() {
        let state = State {
            commits: 7,
            rows: 3,
            digest: u128::MAX / 3,
        };
        let good = state.encode(42);
        assert_eq!(State::decode(&good, 42), Some(state));
        assert_eq!(State::decode(&good, 43), None);
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(State::decode(&bad, 42), None, "bit {bit}");
        }
    }
}
