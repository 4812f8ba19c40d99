//! Threads that check signatures, so that no request waits behind one.
//!
//! A thread takes what is queued, up to a batch, and never waits for more: alone, a job is checked
//! at once; under load batches form by themselves, which halves the cost of a check.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use peerage_core::VerifyId;
use peerage_core::verify::{self, Verdict, VerifyJob};

/// Jobs checked together. Larger batches gain little and delay their first verdict.
const BATCH_MAX: usize = 64;

/// The queue to the threads; they end when it is dropped.
#[derive(Debug)]
pub(crate) struct VerifyPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    threads: usize,
}

#[derive(Debug, Default)]
struct Queue {
    // Bounded by the node, which keeps every job under way in a table of its own and refuses what
    // is too much; here is only a second handle to each.
    jobs: VecDeque<(VerifyId, VerifyJob)>,
    closed: bool,
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
        self.shared.lock().jobs.push_back((id, job));
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

    /// This thread's share of what is queued; `None` when the pool is closed.
    fn take(&self) -> Option<Vec<(VerifyId, VerifyJob)>> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            let waiting = queue.jobs.len();
            if waiting > 0 {
                let share = waiting.div_ceil(self.threads).min(BATCH_MAX);
                return Some(queue.jobs.drain(..share).collect());
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
