//! One node's disk: commits queue, are written together, and survive a crash as a prefix.
//!
//! Everything that was reported durable survives. Of what was not, any number of the oldest commits
//! may survive too, each whole or not at all.

use std::collections::{BTreeMap, VecDeque};

use peerage_core::Row;
use peerage_core::rows::{Record as _, RowError};

use crate::options::Wire;
use crate::seed::Luck;

/// How fast disks are. Times are in microseconds, the chance in millionths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpeed {
    /// No write is faster.
    pub floor: u64,
    /// A write takes up to this much longer.
    pub spread: u64,
    /// How often a write stalls.
    pub stall_chance: u32,
    /// A stalled write takes up to this much longer.
    pub stall: u64,
}

/// A value as it lies on the disk.
#[derive(Clone, Debug, PartialEq)]
enum Stored {
    Bytes(Box<[u8]>),
    Row(Box<Row>),
}

/// What a disk gets wrong on purpose, so that an oracle can be seen to notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Says durable at once and writes two commits later.
    Early,
    /// Never writes what a commit deletes.
    Hoards,
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Disk {
    rows: BTreeMap<Box<[u8]>, Stored>,
    queue: VecDeque<(u64, Vec<Row>)>,
    /// The newest commit of the write under way.
    writing: Option<u64>,
    reported: u64,
    luck: Luck,
    wire: Wire,
    fault: Option<DiskFault>,
    /// Whether rows are kept at all; at scale only some nodes' are.
    keeps: bool,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(luck: Luck, wire: Wire, keeps: bool, fault: Option<DiskFault>) -> Self {
        let (rows, queue) = (BTreeMap::new(), VecDeque::new());
        Self {
            rows,
            queue,
            writing: None,
            reported: 0,
            luck,
            wire,
            fault,
            keeps,
        }
    }

    /// Takes a commit. If a write begins with it, tells how long that takes.
    pub fn commit(&mut self, speed: &DiskSpeed, seq: u64, rows: Vec<Row>) -> Option<u64> {
        self.queue.push_back((seq, rows));
        if self.writing.is_some() {
            None
        } else {
            self.write(speed)
        }
    }

    /// The write under way ended: gives the newest durable commit, and if another write begins at
    /// once, how long that takes.
    ///
    /// # Errors
    /// What a row's bytes say against it.
    pub fn written(&mut self, speed: &DiskSpeed) -> Result<(Option<u64>, Option<u64>), String> {
        let Some(upto) = self.writing.take() else {
            return Ok((None, None));
        };
        let keep = match self.fault {
            Some(DiskFault::Early) => upto.saturating_sub(2),
            Some(DiskFault::Hoards) | None => upto,
        };
        self.apply(keep)?;
        self.reported = upto;
        Ok((Some(upto), self.write(speed)))
    }

    /// Whether everything given was written.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// The power goes out: what was not yet durable survives up to a drawn commit.
    ///
    /// # Errors
    /// What a row's bytes say against it.
    pub fn crash(&mut self) -> Result<(), String> {
        let survive = self.luck.index(self.queue.len() + 1);
        if let Some((seq, _)) = survive.checked_sub(1).and_then(|last| self.queue.get(last))
            && self.fault != Some(DiskFault::Early)
        {
            self.apply(*seq)?;
        }
        self.queue.clear();
        self.writing = None;
        // The next run counts its commits from one again.
        self.reported = 0;
        Ok(())
    }

    /// Every row, to begin again with.
    ///
    /// # Errors
    /// [`RowError`] if the bytes cannot be read.
    pub fn read(&self) -> Result<Vec<Row>, RowError> {
        self.rows
            .iter()
            .map(|(key, stored)| match stored {
                Stored::Row(row) => Ok(Row::clone(row)),
                Stored::Bytes(value) => Row::decode(key, value),
            })
            .collect()
    }

    /// Whether `key` is durable.
    #[must_use]
    pub fn holds(&self, key: &[u8]) -> bool {
        self.rows.contains_key(key)
    }

    /// Whether the disk keeps rows, so that it can be compared with anything.
    #[must_use]
    pub const fn keeps(&self) -> bool {
        self.keeps
    }

    /// Begins to write everything that waits.
    fn write(&mut self, speed: &DiskSpeed) -> Option<u64> {
        // An early disk keeps commits waiting that it has reported.
        self.writing = self
            .queue
            .back()
            .map(|(seq, _)| *seq)
            .filter(|seq| *seq > self.reported);
        self.writing?;
        if self.fault == Some(DiskFault::Early) {
            return Some(1);
        }
        let mut time = speed.floor + self.luck.below(speed.spread + 1);
        if self.luck.chance(speed.stall_chance) {
            time += self.luck.below(speed.stall + 1);
        }
        Some(time)
    }

    fn apply(&mut self, upto: u64) -> Result<(), String> {
        while let Some((seq, _)) = self.queue.front()
            && *seq <= upto
        {
            let Some((_, rows)) = self.queue.pop_front() else {
                break;
            };
            if !self.keeps {
                continue;
            }
            for row in rows {
                self.put(row)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, row: Row) -> Result<(), String> {
        let key = row.key().into_boxed_slice();
        if row.deletes() {
            if self.fault != Some(DiskFault::Hoards) {
                self.rows.remove(&key);
            }
            return Ok(());
        }
        let stored = match self.wire {
            Wire::Typed => Stored::Row(Box::new(row)),
            Wire::Bytes => {
                let value = row
                    .value()
                    .ok_or("a row that deletes nothing has no value")?;
                let again = Row::decode(&key, &value).map_err(|error| error.to_string())?;
                if again != row {
                    return Err(format!("{row:?} was read back as {again:?}"));
                }
                Stored::Bytes(value.into_boxed_slice())
            }
        };
        self.rows.insert(key, stored);
        Ok(())
    }
}
