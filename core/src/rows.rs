//! Durable state as rows: one key with its value or its absence.
//!
//! A key is a table tag and fields whose bytes sort as the fields do. A value is a version byte and
//! JSON for small records (a dump tool can read it), the plain text for transactions.

use std::collections::BTreeMap;

use crate::limits::HINTS_MAX;
use crate::rooms::{Row, Scope};

/// The version byte that starts every value written by this release.
pub const VALUE_VERSION: u8 = 1;

/// What every room's row type can do. Encoding happens outside the node, on the store's thread.
pub trait Record: Sized {
    /// The key's bytes, without the table tag's neighbours: tag first, then fields.
    fn key(&self) -> Vec<u8>;
    /// The value's bytes; `None` deletes the key.
    fn value(&self) -> Option<Vec<u8>>;
    /// Whether the row deletes its key, told without making the value's bytes.
    fn deletes(&self) -> bool;
    /// Whether the row's table holds hints that a crash may lose, not promises.
    fn lazy(&self) -> bool;
    /// Reads a row back.
    ///
    /// # Errors
    /// [`RowError`] if the bytes were not written by [`Self::key`] and [`Self::value`].
    fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError>;
}

/// Why bytes are not a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The key's fields cannot be read.
    #[error("damaged key in table {table:#04x}")]
    DamagedKey {
        /// The table tag.
        table: u8,
    },
    /// The value cannot be read.
    #[error("damaged value in table {table:#04x}: {reason}")]
    DamagedValue {
        /// The table tag.
        table: u8,
        /// What was wrong.
        reason: String,
    },
    /// No room owns the table.
    #[error("unknown table {table:#04x}: the directory was written by a newer release")]
    UnknownTable {
        /// The table tag.
        table: u8,
    },
    /// The value's version byte is not one this release reads.
    #[error("value of version {version} in table {table:#04x}: written by a newer release")]
    UnknownVersion {
        /// The table tag.
        table: u8,
        /// The version byte.
        version: u8,
    },
}

/// Writes a value: the version byte and JSON.
pub(crate) fn json_value<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VALUE_VERSION];
    serde_json::to_writer(&mut bytes, value)
        .expect("records have string keys and no failing parts");
    bytes
}

/// Reads a value that [`json_value`] wrote.
pub(crate) fn from_json_value<T: serde::de::DeserializeOwned>(
    table: u8,
    value: &[u8],
) -> Result<T, RowError> {
    serde_json::from_slice(payload(table, value)?).map_err(|error| RowError::DamagedValue {
        table,
        reason: error.to_string(),
    })
}

/// The bytes after the version byte.
pub(crate) fn payload(table: u8, value: &[u8]) -> Result<&[u8], RowError> {
    match value.split_first() {
        Some((&VALUE_VERSION, payload)) => Ok(payload),
        Some((&version, _)) => Err(RowError::UnknownVersion { table, version }),
        None => Err(RowError::DamagedValue {
            table,
            reason: "empty".into(),
        }),
    }
}

/// The rows of the input at hand, and the hints that wait for a commit to ride along with.
///
/// Both are kept by key, so that a commit names every key once and a table of hints that changes
/// often costs no more than its size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    promised: BTreeMap<Vec<u8>, Row>,
    hints: BTreeMap<Vec<u8>, Row>,
    touched: [bool; Scope::COUNT],
    flush: bool,
}

impl Journal {
    /// Adds a row of `scope` to the commit of this input.
    pub(crate) fn put(&mut self, scope: Scope, row: Row) {
        debug_assert!(!row.lazy(), "a table of hints was written as a promise");
        self.touched[scope as usize] = true;
        self.promised.insert(row.key(), row);
    }

    /// Adds a hint, to be written within a second.
    pub(crate) fn put_lazily(&mut self, row: Row) {
        debug_assert!(row.lazy(), "a table of promises was written as a hint");
        self.hints.insert(row.key(), row);
        self.flush |= self.hints.len() >= HINTS_MAX;
    }

    /// Has the hints written with the input at hand.
    pub(crate) fn flush(&mut self) {
        self.flush = true;
    }

    pub(crate) fn hints(&self) -> usize {
        self.hints.len()
    }

    /// The commit of this input, if it has one. Hints ride along with promises.
    pub(crate) fn take(&mut self) -> Option<(Vec<Row>, [bool; Scope::COUNT])> {
        let flush = std::mem::take(&mut self.flush);
        if self.promised.is_empty() && !(flush && !self.hints.is_empty()) {
            return None;
        }
        let hints = std::mem::take(&mut self.hints);
        let promised = std::mem::take(&mut self.promised);
        let rows = hints.into_values().chain(promised.into_values()).collect();
        Some((rows, std::mem::take(&mut self.touched)))
    }
}
