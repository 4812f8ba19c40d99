//! One node's disk: commits queue, are written together, and survive a crash as a prefix.
//!
//! Everything that was reported durable survives. Of what was not, any number of the oldest commits
//! may survive too, each whole or not at all: a commit of which only half was written is found out
//! and undone at the next start. What else is wrong with a disk is injected by faults and known here,
//! so that a start must fail if the disk was damaged, and only then.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{Hash as _, Hasher as _};

use peerage_core::Row;
use peerage_core::rows::{Record as _, RowError};

use crate::fold::Fold;
use crate::nemesis::Unsynced;
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
    /// Does not look whether bits have changed.
    Blind,
    /// Says durable at once and writes two commits later.
    Early,
    /// Never writes what a commit deletes.
    Hoards,
}

/// Why a disk cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// What is there is not what was written.
    Damaged,
    /// There is no room.
    Full,
    /// A row's bytes say nothing.
    Row(String),
    /// The system could not make a write durable.
    Sync,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("what lies on the disk is not what was written"),
            Self::Full => f.write_str("the disk is full"),
            Self::Row(error) => f.write_str(error),
            Self::Sync => f.write_str("a write could not be made durable"),
        }
    }
}

impl std::error::Error for DiskError {}

impl From<RowError> for DiskError {
    fn from(error: RowError) -> Self {
        Self::Row(error.to_string())
    }
}

/// What faults do to a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ailments {
    /// Each write takes this much longer, in microseconds.
    pub slow: u64,
    /// No write ends.
    pub stalled: bool,
    /// The next sync fails.
    pub failing: bool,
    /// Nothing can be written.
    pub full: bool,
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Disk {
    rows: BTreeMap<Box<[u8]>, Stored>,
    /// What the first rows of a torn commit replaced.
    torn: Vec<(Box<[u8]>, Option<Stored>)>,
    /// What the rows added up to before some of their bits changed.
    seal: Option<u64>,
    /// What faults do to it just now.
    pub ailments: Ailments,
    /// A write has ended as far as the disk is concerned, but nobody is told while it is stalled.
    held_back: bool,
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
            torn: Vec::new(),
            seal: None,
            ailments: Ailments::default(),
            held_back: false,
            queue,
            writing: None,
            reported: 0,
            luck,
            wire,
            fault,
            keeps,
        }
    }

    /// All luck comes from this stream from now on.
    pub fn reseed(&mut self, luck: Luck) {
        self.luck = luck;
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
    /// once, how long that takes. Nothing, while the disk is stalled.
    ///
    /// # Errors
    /// Why the write failed; the node must stop.
    pub fn written(&mut self, speed: &DiskSpeed) -> Result<(Option<u64>, Option<u64>), DiskError> {
        if self.writing.is_none() {
            return Ok((None, None));
        }
        if self.ailments.stalled {
            self.held_back = true;
            return Ok((None, None));
        }
        if self.ailments.full {
            return Err(DiskError::Full);
        }
        if std::mem::take(&mut self.ailments.failing) {
            return Err(DiskError::Sync);
        }
        let Some(upto) = self.writing.take() else {
            return Ok((None, None));
        };
        let keep = match self.fault {
            Some(DiskFault::Early) => upto.saturating_sub(2),
            Some(DiskFault::Blind | DiskFault::Hoards) | None => upto,
        };
        self.apply(keep)?;
        self.reported = upto;
        Ok((Some(upto), self.write(speed)))
    }

    /// The disk goes on after a stall; tells whether a write waits to be reported.
    pub fn go_on(&mut self) -> bool {
        self.ailments.stalled = false;
        std::mem::take(&mut self.held_back)
    }

    /// Whether everything given was written.
    #[must_use]
    pub fn idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// The power goes out. Of what was not yet durable, the oldest commits up to a drawn one
    /// survive, or none, or also half of the next.
    ///
    /// # Errors
    /// What a row's bytes say against it.
    pub fn crash(&mut self, unsynced: Unsynced) -> Result<(), DiskError> {
        let survive = match unsynced {
            Unsynced::Drawn => self.luck.index(self.queue.len() + 1),
            Unsynced::Torn => self.luck.index(self.queue.len()),
            Unsynced::Lost => 0,
        };
        if let Some((seq, _)) = survive.checked_sub(1).and_then(|last| self.queue.get(last))
            && self.fault != Some(DiskFault::Early)
        {
            self.apply(*seq)?;
        }
        if unsynced == Unsynced::Torn
            && let Some((_, rows)) = self.queue.pop_front()
            && self.keeps
        {
            let half = self.luck.index(rows.len() + 1);
            for row in rows.into_iter().take(half) {
                let key = row.key().into_boxed_slice();
                let before = self.rows.get(&key).cloned();
                self.put(row)?;
                self.torn.push((key, before));
            }
        }
        self.queue.clear();
        self.writing = None;
        self.held_back = false;
        // The next run counts its commits from one again.
        self.reported = 0;
        Ok(())
    }

    /// Every row, to begin again with. Half a commit is undone first.
    ///
    /// # Errors
    /// [`DiskError::Damaged`], or what a row's bytes say against it.
    pub fn open(&mut self) -> Result<Vec<Row>, DiskError> {
        for (key, before) in std::mem::take(&mut self.torn).into_iter().rev() {
            match before {
                Some(stored) => self.rows.insert(key, stored),
                None => self.rows.remove(&key),
            };
        }
        let blind = self.fault == Some(DiskFault::Blind);
        if !blind && self.seal.is_some_and(|seal| seal != self.sum()) {
            return Err(DiskError::Damaged);
        }
        self.read()
    }

    /// Every row.
    ///
    /// # Errors
    /// What a row's bytes say against it.
    pub fn read(&self) -> Result<Vec<Row>, DiskError> {
        self.rows
            .iter()
            .map(|(key, stored)| match stored {
                Stored::Row(row) => Ok(Row::clone(row)),
                Stored::Bytes(value) => Ok(Row::decode(key, value)?),
            })
            .collect()
    }

    /// Bits of a row change. Tells whether there was one.
    pub fn flip(&mut self) -> bool {
        let seal = self.sum();
        let Some(key) = self
            .rows
            .keys()
            .nth(self.luck.index(self.rows.len()))
            .cloned()
        else {
            return false;
        };
        let bit = self.luck.bits();
        match self.rows.get_mut(&key) {
            Some(Stored::Bytes(value)) if !value.is_empty() => {
                let at = bit as usize % value.len();
                value[at] ^= 1 << (bit >> 32 & 7);
            }
            // A value that is not bytes, or is empty, changes by going away.
            _ => {
                self.rows.remove(&key);
            }
        }
        self.seal.get_or_insert(seal);
        true
    }

    /// Whether bits have changed since they were written.
    #[must_use]
    pub const fn damaged(&self) -> bool {
        self.seal.is_some()
    }

    /// A new disk, with nothing on it.
    pub fn wipe(&mut self) {
        self.rows.clear();
        self.torn.clear();
        self.seal = None;
    }

    /// What all rows add up to.
    fn sum(&self) -> u64 {
        let mut fold = Fold::default();
        for (key, stored) in &self.rows {
            fold.write(key);
            match stored {
                Stored::Bytes(value) => fold.write(value),
                Stored::Row(row) => row.hash(&mut fold),
            }
        }
        fold.finish()
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
        let mut time = self.ailments.slow + speed.floor + self.luck.below(speed.spread + 1);
        if self.luck.chance(speed.stall_chance) {
            time += self.luck.below(speed.stall + 1);
        }
        Some(time)
    }

    fn apply(&mut self, upto: u64) -> Result<(), DiskError> {
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

    fn put(&mut self, row: Row) -> Result<(), DiskError> {
        let key = row.key().into_boxed_slice();
        if row.deletes() {
            if self.fault != Some(DiskFault::Hoards) {
                self.rows.remove(&key);
            }
            return Ok(());
        }
        let stored = match self.wire {
            Wire::Typed => Stored::Row(Box::new(row)),
            Wire::Bytes | Wire::Mangled => {
                let value = row.value().ok_or_else(|| {
                    DiskError::Row("a row that deletes nothing has no value".to_owned())
                })?;
                let again = Row::decode(&key, &value)?;
                if again != row {
                    let text = format!("{row:?} was read back as {again:?}");
                    return Err(DiskError::Row(text));
                }
                Stored::Bytes(value.into_boxed_slice())
            }
        };
        self.rows.insert(key, stored);
        Ok(())
    }
}
