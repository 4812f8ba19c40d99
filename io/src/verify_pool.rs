//! Threads that check signatures and do what else takes long, so that no request waits behind it.
//!
//! A thread takes what is queued, up to a batch, and never waits for more: alone, a job is checked
//! at once; under load batches form by themselves, which halves the cost of a check.
//!
//! There are two queues, for what takes microseconds and what takes milliseconds: range proofs, the
//! search for proof of work. A thread takes from them in turns, so neither starves, and a signature
//! waits for one batch of the slow ones at most.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use peerage_core::VerifyId;
use peerage_core::verify::{self, Verdict, VerifyJob};

/// Jobs checked together. Larger batches gain little and delay their first verdict.
const BATCH_MAX: usize = 64;
/// What a batch may weigh, in signature checks, unless a single job is heavier: as much as 64 range
/// proofs, about 30 ms.
const BATCH_WEIGHT_MAX: usize = 3_200;
/// What is heavier is slow: a millisecond and more.
const QUICK_WEIGHT_MAX: usize = 32;

/// The queue to the threads; they end when it is dropped.
#[derive(Debug)]
pub(crate) struct VerifyPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue<VerifyId>>,
    wake: Condvar,
    threads: usize,
}

#[derive(Debug)]
struct Queue<Id> {
    quick: Lane<Id>,
    slow: Lane<Id>,
    /// Whose turn it is.
    slow_next: bool,
    closed: bool,
}

// Bounded by the node, which keeps every job under way in a table of its own and refuses what is too
// much; here is only a second handle to each.
type Lane<Id> = VecDeque<(Id, VerifyJob)>;

impl<Id> Default for Queue<Id> {
    fn default() -> Self {
        Self {
            quick: Lane::new(),
            slow: Lane::new(),
            slow_next: false,
            closed: false,
        }
    }
}

impl<Id> Queue<Id> {
    fn push(&mut self, id: Id, job: VerifyJob) {
        let lane = match job.weight() > QUICK_WEIGHT_MAX {
            true => &mut self.slow,
            false => &mut self.quick,
        };
        lane.push_back((id, job));
    }

    /// One thread's share of the queue whose turn it is.
    fn take(&mut self, threads: usize) -> Option<Vec<(Id, VerifyJob)>> {
        let slow = match (self.quick.is_empty(), self.slow.is_empty()) {
            (true, true) => return None,
            (false, false) => self.slow_next,
            (no_quick, _) => no_quick,
        };
        self.slow_next = !slow;
        let lane = match slow {
            true => &mut self.slow,
            false => &mut self.quick,
        };
        let share = lane.len().div_ceil(threads).min(BATCH_MAX);
        let mut weight = 0_usize;
        let fits = lane.iter().take(share).take_while(|(_, job)| {
            weight = weight.saturating_add(job.weight());
            weight <= BATCH_WEIGHT_MAX
        });
        let count = fits.count().max(1);
        Some(lane.drain(..count).collect())
    }
}

impl VerifyPool {
    /// Starts a thread for each core but one, at least one. `verdicts` hears of each batch;
    /// `failed` if a check panicked, which must end the node.
    pub(crate) fn start(
        verdicts: impl Fn(Vec<(VerifyId, Verdict)>) + Send + Sync + 'static,
        failed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.saturating_sub(1).max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            threads,
        });
        let hooks = Arc::new((verdicts, failed));
        for n in 0..threads {
            let (shared, hooks) = (shared.clone(), hooks.clone());
            let body = move || {
                let work = AssertUnwindSafe(|| shared.work(&hooks.0));
                if catch_unwind(work).is_err() {
                    (hooks.1)();
                }
            };
            thread::Builder::new()
                .name(format!("peerage-verify-{n}"))
                .spawn(body)
                .expect("the operating system has threads at the start of a process");
        }
        Self { shared }
    }

    pub(crate) fn submit(&self, id: VerifyId, job: VerifyJob) {
        self.shared.lock().push(id, job);
        self.shared.wake.notify_one();
    }
}

impl Drop for VerifyPool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn work(&self, verdicts: &impl Fn(Vec<(VerifyId, Verdict)>)) {
        while let Some(batch) = self.take() {
            let (ids, jobs): (Vec<VerifyId>, Vec<VerifyJob>) = batch.into_iter().unzip();
            verdicts(ids.into_iter().zip(verify::check(&jobs)).collect());
        }
    }

    /// A thread's share of what is queued; `None` when the pool is closed.
    fn take(&self) -> Option<Vec<(VerifyId, VerifyJob)>> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(batch) = queue.take(self.threads) {
                return Some(batch);
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<VerifyId>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use peerage_core::config::grin::Purse;
    use peerage_core::mw::{KeyIndex, Rules};
    use peerage_core::work::Work;

    use super::*;

    fn quick() -> VerifyJob {
        let rules = Rules::automated_testing();
        let jobs = Arc::new([]);
        VerifyJob::Mimblewimble(Work::Check { rules, jobs })
    }

    fn reward(number: u64) -> VerifyJob {
        let purse = Arc::new(Purse::from_seed(&[1; 32]).expect("a seed"));
        let key = KeyIndex::new(number).expect("below 2^31");
        VerifyJob::Mimblewimble(Work::Reward {
            purse,
            key,
            fees: 0,
        })
    }

    fn weights(batch: Option<Vec<((), VerifyJob)>>) -> Vec<usize> {
        let jobs = batch.into_iter().flatten();
        jobs.map(|(_, job)| job.weight()).collect()
    }

    #[test]
    fn slow_work_and_quick_checks_take_turns() {
        let mut queue = Queue::default();
        for number in 0..20 {
            queue.push((), reward(number));
        }
        for _ in 0..3 {
            queue.push((), quick());
        }
        let one = reward(0).weight();
        assert!(one > QUICK_WEIGHT_MAX);
        assert_eq!(weights(queue.take(1)), [0, 0, 0]);
        // As many as may be in one batch, by weight.
        let batch = weights(queue.take(1));
        assert_eq!(batch, vec![one; BATCH_WEIGHT_MAX / one]);
        queue.push((), quick());
        assert_eq!(weights(queue.take(1)), [0]);
        // A thread's share of the rest.
        assert_eq!(weights(queue.take(13)), [one]);
        assert_eq!(queue.slow.len(), 20 - batch.len() - 1);
    }
}
