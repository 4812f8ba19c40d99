//! What is durable: bytes by key, and the commits that are not there yet.

use std::collections::{BTreeMap, VecDeque};

use peerage_core::rows::Record;
use peerage_core::{CommitSeq, Row};

/// A disk that writes when it is told.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) slow: bool,
    pub(crate) waiting: VecDeque<(CommitSeq, Vec<Row>)>,
    pub(crate) bytes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Disk {
    /// A fast disk on which these rows are.
    pub(crate) fn of(rows: &[Row]) -> Self {
        let written = rows
            .iter()
            .filter_map(|row| Some((row.key(), row.value()?)));
        Self {
            bytes: written.collect(),
            ..Self::default()
        }
    }

    /// Writes the oldest waiting commit.
    pub(crate) fn write(&mut self) -> Option<CommitSeq> {
        let (seq, rows) = self.waiting.pop_front()?;
        for row in rows {
            match row.value() {
                Some(value) => self.bytes.insert(row.key(), value),
                None => self.bytes.remove(&row.key()),
            };
        }
        Some(seq)
    }

    /// What a start would read.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let read = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            Row::decode(key, value).unwrap_or_else(|error| panic!("{error}: {key:?}"))
        };
        self.bytes.iter().map(read).collect()
    }

    /// Compares promises with what the node says is durable. Hints may lag.
    pub(crate) fn compare(&self, export: &[Row]) {
        let promised = |rows: &[Row]| -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
            rows.iter()
                .filter(|row| !row.lazy())
                .map(|row| (row.key(), row.value()))
                .collect()
        };
        let (disk, node) = (promised(&self.rows()), promised(export));
        assert_eq!(
            disk, node,
            "a change of state without its row, or a row without its change"
        );
    }
}

/// A row as one line: its table, its key, its value.
pub(crate) fn print_row(row: &Row) -> String {
    let key = row.key();
    let (table, field) = key.split_first().expect("a key has a table");
    let value = row.value().map_or_else(
        || "deleted".to_owned(),
        |value| String::from_utf8_lossy(value.get(1..).unwrap_or(&[])).into_owned(),
    );
    format!("{table:02x} {} {value}", field.escape_ascii())
}
