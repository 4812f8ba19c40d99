//! What happens next: a ring of buckets of one millisecond, and a heap for what lies beyond.
//!
//! A bucket is sorted when it is opened. The order is (time, to, from, the sender's count), or at
//! one instant an order that a seed draws, and never the order of insertion, so that several threads
//! could fill one schedule and get the same run.
//! Events are small and copied; whatever is large waits in a slab and is named by its index.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Buckets of the ring: the times up to this many milliseconds ahead.
const BUCKETS: u64 = 8_192;
/// Microseconds of one bucket.
const BUCKET: u64 = 1_000;

/// When and where an event happens, and what tells it from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Microseconds since the world began.
    pub at: u64,
    /// Comes before all else among events of one instant. Zero, unless their order is drawn.
    pub tie: u32,
    /// To whom it happens.
    pub to: u32,
    /// Who caused it.
    pub from: u32,
    /// How many events `from` had caused before.
    pub count: u32,
}

impl Key {
    const fn rank(&self) -> (u128, u64) {
        (
            (self.at as u128) << 64 | (self.tie as u128) << 32 | self.to as u128,
            (self.from as u64) << 32 | self.count as u64,
        )
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An event in a queue, ordered so that a maximum heap gives the earliest first.
#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    key: Key,
    what: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E> Eq for Entry<E> {}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The queue of everything that is still to happen.
#[derive(Clone, Debug)]
pub struct Schedule<E> {
    ring: Vec<Vec<Entry<E>>>,
    /// Emptied buckets, whose memory is warm: the ring is longer than what waits.
    spare: Vec<Vec<Entry<E>>>,
    /// One bit for each bucket that holds something.
    occupied: Vec<u64>,
    /// The bucket that is open, latest first.
    open: Vec<Entry<E>>,
    /// What was put into the open bucket, or before it, after it had been opened.
    late: BinaryHeap<Entry<E>>,
    far: BinaryHeap<Entry<E>>,
    /// The millisecond that is open.
    bucket: u64,
    len: usize,
}

impl<E: Copy> Default for Schedule<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Copy> Schedule<E> {
    /// An empty schedule at time zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ring: std::iter::repeat_with(Vec::new)
                .take(BUCKETS as usize)
                .collect(),
            spare: Vec::new(),
            occupied: vec![0; (BUCKETS / 64) as usize],
            open: Vec::new(),
            late: BinaryHeap::new(),
            far: BinaryHeap::new(),
            bucket: 0,
            len: 0,
        }
    }

    /// How many events wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an event.
    #[inline]
    pub fn push(&mut self, key: Key, what: E) {
        self.len += 1;
        let bucket = key.at / BUCKET;
        let entry = Entry { key, what };
        if bucket <= self.bucket {
            self.late.push(entry);
        } else if bucket < self.bucket + BUCKETS {
            self.put(bucket, entry);
        } else {
            self.far.push(entry);
        }
    }

    /// Takes out the earliest event, if it happens before `until`.
    #[inline]
    pub fn pop_before(&mut self, until: u64) -> Option<(Key, E)> {
        if self.open.is_empty() && self.late.is_empty() && !self.advance() {
            return None;
        }
        let late = match (self.open.last(), self.late.peek()) {
            (Some(open), Some(late)) => late.key < open.key,
            (None, _) => true,
            (_, None) => false,
        };
        let next = if late {
            self.late.peek()
        } else {
            self.open.last()
        }?;
        if next.key.at >= until {
            return None;
        }
        self.len -= 1;
        let entry = if late {
            self.late.pop()
        } else {
            self.open.pop()
        }?;
        Some((entry.key, entry.what))
    }

    /// The next events, at most `many`, in their order. Looks at all that waits: not for hot paths.
    #[must_use]
    pub fn next(&self, many: usize) -> Vec<(Key, E)> {
        let all = self.ring.iter().flatten();
        let all = all.chain(&self.open).chain(&self.late).chain(&self.far);
        let mut all: Vec<(Key, E)> = all.map(|entry| (entry.key, entry.what)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        all.truncate(many);
        all
    }

    #[inline]
    fn put(&mut self, bucket: u64, entry: Entry<E>) {
        let slot = (bucket % BUCKETS) as usize;
        let bucket = &mut self.ring[slot];
        if bucket.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            *bucket = spare;
        }
        bucket.push(entry);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Opens the next bucket that holds something.
    fn advance(&mut self) -> bool {
        let Some(next) = self.next_bucket() else {
            return false;
        };
        self.bucket = next;
        while self
            .far
            .peek()
            .is_some_and(|entry| entry.key.at / BUCKET < next + BUCKETS)
        {
            if let Some(entry) = self.far.pop() {
                self.put(entry.key.at / BUCKET, entry);
            }
        }
        let slot = (next % BUCKETS) as usize;
        let full = std::mem::take(&mut self.ring[slot]);
        let spare = std::mem::replace(&mut self.open, full);
        if spare.capacity() > 0 {
            self.spare.push(spare);
        }
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        self.open
            .sort_unstable_by_key(|entry| std::cmp::Reverse(entry.key));
        true
    }

    /// The ring first: whatever is far lies beyond all of it.
    fn next_bucket(&self) -> Option<u64> {
        let words = self.occupied.len();
        let start = (self.bucket + 1) % BUCKETS;
        let (word, bit) = ((start / 64) as usize, start % 64);
        for step in 0..=words {
            let index = (word + step) % words;
            let mut bits = self.occupied[index];
            if step == 0 {
                bits &= u64::MAX << bit;
            } else if step == words {
                bits &= !(u64::MAX << bit);
            }
            if bits != 0 {
                let slot = index as u64 * 64 + u64::from(bits.trailing_zeros());
                return Some(self.bucket + 1 + (slot + BUCKETS - start) % BUCKETS);
            }
        }
        self.far.peek().map(|entry| entry.key.at / BUCKET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seeds;

    /// Does the same to a schedule and to one plain heap, and wants the same answers.
    fn check(number: u64, spans: &[u64], steps: u32) {
        let mut luck = Seeds::new(3).family("schedule").luck(number);
        let mut schedule = Schedule::new();
        let mut heap: BinaryHeap<Entry<u32>> = BinaryHeap::new();
        let mut now = 0;
        for count in 0..steps {
            for _ in 0..luck.below(4) {
                let span = spans[luck.index(spans.len())];
                let key = Key {
                    at: now + luck.below(span),
                    tie: 0,
                    to: luck.below(3) as u32,
                    from: luck.below(3) as u32,
                    count,
                };
                schedule.push(key, count);
                heap.push(Entry { key, what: count });
            }
            let span = spans[luck.index(spans.len())];
            let until = now + luck.below(span);
            for _ in 0..luck.below(4) {
                let expected = match heap.peek() {
                    Some(entry) if entry.key.at < until => heap.pop(),
                    _ => None,
                };
                let got = schedule.pop_before(until);
                assert_eq!(got.map(|(key, _)| key), expected.map(|entry| entry.key));
                if let Some((key, _)) = got {
                    assert!(now <= key.at, "time ran backwards");
                    now = key.at;
                }
            }
            assert_eq!(schedule.len(), heap.len());
            if count.is_multiple_of(50) {
                let mut all: Vec<Key> = heap.iter().map(|entry| entry.key).collect();
                all.sort_unstable();
                all.truncate(5);
                let next: Vec<Key> = schedule.next(5).iter().map(|(key, _)| *key).collect();
                assert_eq!(next, all);
            }
        }
        while let Some(entry) = heap.pop() {
            assert_eq!(
                schedule.pop_before(u64::MAX).map(|(key, _)| key),
                Some(entry.key)
            );
        }
        assert!(schedule.is_empty());
        assert_eq!(schedule.pop_before(u64::MAX).map(|(key, _)| key), None);
    }

    #[test]
    fn gives_what_a_heap_gives() {
        for number in 0..200 {
            check(number, &[1, 50, 2_000, 100_000], 400);
            check(
                number,
                &[10, 1_000_000, 8_192_000, 8_193_000, 60_000_000],
                400,
            );
            check(number, &[3_600_000_000, 5], 100);
        }
    }

    #[test]
    fn equal_times_go_by_receiver_then_sender_then_count() {
        let mut schedule = Schedule::new();
        let keys = [(2, 0, 0), (1, 1, 5), (1, 1, 4), (1, 0, 9)];
        for (to, from, count) in keys {
            schedule.push(
                Key {
                    at: 5_000,
                    tie: 0,
                    to,
                    from,
                    count,
                },
                (),
            );
        }
        let order: Vec<_> = std::iter::from_fn(|| schedule.pop_before(u64::MAX))
            .map(|(key, ())| (key.to, key.from, key.count))
            .collect();
        assert_eq!(order, [(1, 0, 9), (1, 1, 4), (1, 1, 5), (2, 0, 0)]);
    }
}
