//! The node behind its lock, and the carrying out of what it wants.
//!
//! Every input goes through one function: it locks, feeds the node, hands commits to the store while
//! still locked (so their order is the node's), unlocks, and then does the rest: answers are sent,
//! calls and checks started, events told. Nobody waits while holding the lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use peerage_core::http::Site;
use peerage_core::time::{Instant, Now};
use peerage_core::{
    Caller, CommitSeq, Event, Input, Node, Outbox, Output, Request, RequestId, Response, Row,
    Standing,
};
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::Clock;
use crate::error::StoreError;
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::store::Committer;
use crate::verify_pool::VerifyPool;

/// Hears of every event, outside of the lock.
pub type Observer = Box<dyn Fn(&Event) + Send + Sync>;

/// One running node.
pub(crate) struct Driver {
    state: Mutex<State>,
    clock: Clock,
    site: Site,
    pub(crate) metrics: Arc<Metrics>,
    observer: Observer,
    /// Wakes the timer task when the earliest deadline has come nearer.
    timer: Notify,
    next_request: AtomicU64,
    outbound: OnceLock<Outbound>,
    verify: OnceLock<VerifyPool>,
    fatal: watch::Sender<Option<Arc<StoreError>>>,
}

struct State {
    node: Node,
    outbox: Outbox,
    /// When the timer task will wake by itself.
    armed: Option<Instant>,
    /// Who waits for the answers that were not given at once.
    waiting: HashMap<RequestId, oneshot::Sender<Response>>,
    store: Option<Committer>,
}

/// A request's answer, at once or later.
enum Asked {
    Answered(Response),
    Waiting(oneshot::Receiver<Response>),
}

/// What is done after unlocking.
#[derive(Default)]
struct Todo {
    own: Option<Response>,
    answers: Vec<(oneshot::Sender<Response>, Response)>,
    rest: Vec<Output>,
    rearm: bool,
}

impl Driver {
    pub(crate) fn new(
        node: Node,
        clock: Clock,
        metrics: Arc<Metrics>,
        observer: Observer,
    ) -> Arc<Self> {
        let site = Site::new(node.config());
        let state = State {
            node,
            outbox: Outbox::new(),
            armed: None,
            waiting: HashMap::new(),
            store: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
            site,
            metrics,
            observer,
            timer: Notify::new(),
            next_request: AtomicU64::new(1),
            outbound: OnceLock::new(),
            verify: OnceLock::new(),
            fatal: watch::Sender::new(None),
        })
    }

    /// Gives the driver its means. The node is fed nothing before.
    pub(crate) fn equip(&self, store: Committer, outbound: Outbound, verify: VerifyPool) {
        {
            let mut state = self.lock();
            state.store = Some(store);
            state.armed = state.node.poll_timeout();
        }
        let fresh = self.outbound.set(outbound).is_ok() && self.verify.set(verify).is_ok();
        assert!(fresh, "a driver is equipped once");
    }

    pub(crate) const fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn standing(&self, caller: &Caller) -> Standing {
        let state = self.lock();
        state.node.standing(self.clock.now(), caller)
    }

    /// Looks at the node.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        look(&self.lock().node)
    }

    /// Asks the node and waits for its answer. Dropping the future is hanging up.
    pub(crate) async fn ask(self: &Arc<Self>, from: Caller, request: Request) -> Response {
        let id = RequestId(self.next_request.fetch_add(1, Relaxed));
        match self.begin(id, from, request) {
            Asked::Answered(response) => response,
            Asked::Waiting(answer) => {
                let mut hangup = HangUp {
                    driver: self,
                    id,
                    armed: true,
                };
                let answer = answer.await;
                hangup.armed = false;
                // Without a sender the node is gone, and the process about to end.
                answer.unwrap_or(Response::Opaque(503))
            }
        }
    }

    fn begin(&self, id: RequestId, from: Caller, request: Request) -> Asked {
        let mut waiting = None;
        let mut todo = self.locked(|driver, state, todo| {
            driver.handle(state, Input::Request { id, from, request }, Some(id), todo);
            if todo.own.is_none() {
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert(id, sender);
                waiting = Some(receiver);
            }
        });
        let own = todo.own.take();
        self.carry_out(todo);
        match (own, waiting) {
            (Some(response), _) => Asked::Answered(response),
            (None, Some(receiver)) => Asked::Waiting(receiver),
            (None, None) => Asked::Answered(Response::Opaque(500)),
        }
    }

    /// Feeds inputs, in order, and carries out what the node wants.
    pub(crate) fn feed(&self, inputs: impl IntoIterator<Item = Input>) {
        let todo = self.locked(|driver, state, todo| {
            for input in inputs {
                if let Input::Hangup { id } = input {
                    state.waiting.remove(&id);
                }
                driver.handle(state, input, None, todo);
            }
        });
        self.carry_out(todo);
    }

    fn locked(&self, work: impl FnOnce(&Self, &mut State, &mut Todo)) -> Todo {
        let mut todo = Todo::default();
        let mut state = self.lock();
        work(self, &mut state, &mut todo);
        let earliest = state.node.poll_timeout();
        if earliest.is_some_and(|at| state.armed.is_none_or(|armed| at < armed)) {
            state.armed = earliest;
            todo.rearm = true;
        }
        todo
    }

    /// One input; the lock is held.
    fn handle(&self, state: &mut State, input: Input, own: Option<RequestId>, todo: &mut Todo) {
        let State {
            node,
            outbox,
            waiting,
            store,
            ..
        } = state;
        // The clock is read under the lock, so that the node's time never runs backwards.
        node.handle(self.clock.now(), input, outbox);
        for output in outbox.drain() {
            match output {
                Output::Commit { seq, rows } => commit(store.as_ref(), seq, rows),
                Output::Reclaim => {
                    if let Some(store) = store {
                        store.reclaim();
                    }
                }
                Output::Respond { id, response } if own == Some(id) => todo.own = Some(response),
                Output::Respond { id, response } => {
                    if let Some(sender) = waiting.remove(&id) {
                        todo.answers.push((sender, response));
                    }
                }
                Output::Abandon { .. }
                | Output::Call { .. }
                | Output::Event(_)
                | Output::Verify { .. } => todo.rest.push(output),
            }
        }
    }

    /// Does what was wanted; the lock is free.
    fn carry_out(&self, todo: Todo) {
        let Todo {
            own: _,
            answers,
            rest,
            rearm,
        } = todo;
        for (sender, response) in answers {
            // Whoever is gone will be reported as such.
            let _ = sender.send(response);
        }
        for output in rest {
            match output {
                Output::Abandon { id } => self.outbound().abandon(id),
                Output::Call { id, to, request } => self.outbound().call(id, to, request),
                Output::Event(event) => {
                    self.metrics.event(&event);
                    (self.observer)(&event);
                }
                Output::Verify { id, job } => {
                    self.verify
                        .get()
                        .expect("the driver is equipped")
                        .submit(id, job);
                }
                Output::Commit { .. } | Output::Reclaim | Output::Respond { .. } => {}
            }
        }
        if rearm {
            self.timer.notify_one();
        }
    }

    fn outbound(&self) -> &Outbound {
        self.outbound.get().expect("the driver is equipped")
    }

    /// Wakes the node at its deadlines, until the driver is gone.
    pub(crate) async fn keep_time(driver: Weak<Self>) {
        loop {
            let Some(this) = driver.upgrade() else { return };
            let armed = this.lock().armed;
            let due = armed.map(|at| this.clock.std_instant(at).into());
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => this.tick(),
                () = this.timer.notified() => {}
            }
            // A node with a long list of due work must not starve the others on this thread.
            tokio::task::yield_now().await;
        }
    }

    fn tick(&self) {
        let mut todo = self.locked(|driver, state, todo| {
            state.armed = None;
            driver.handle(state, Input::Tick, None, todo);
        });
        // The timer task is the caller and will look for itself.
        todo.rearm = false;
        self.carry_out(todo);
    }

    /// Ends the node: nothing is acknowledged from here on.
    pub(crate) fn fail(&self, error: StoreError) {
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            if first {
                *fatal = Some(Arc::new(error));
            }
            first
        });
    }

    pub(crate) fn fatal(&self) -> watch::Receiver<Option<Arc<StoreError>>> {
        self.fatal.subscribe()
    }

    /// Ends the calls under way, unreported.
    pub(crate) fn stop_calls(&self) {
        self.outbound().stop();
    }

    /// Takes the store out; commits from here on are lost, and so never acknowledged.
    pub(crate) fn take_store(&self) -> Option<Committer> {
        self.lock().store.take()
    }

    /// Whether everything that was asked is answered, and everything known is durable.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inspect(|node| {
            let mut hints = 0;
            node.gauges(&mut |name, value| {
                if name == "hints_waiting" {
                    hints = value;
                }
            });
            node.owed() == 0 && node.commits_in_flight() == 0 && hints == 0
        })
    }

    /// The node's sizes.
    pub(crate) fn gauges(&self) -> Vec<(&'static str, u64)> {
        let mut gauges = Vec::new();
        self.inspect(|node| node.gauges(&mut |name, value| gauges.push((name, value))));
        gauges
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|_| {
            // A panic in the node leaves it half changed, which must not be served.
            self.fail(StoreError::WriteFailed {
                what: "the node panicked".to_owned(),
            });
            panic!("the node has panicked before");
        })
    }
}

fn commit(store: Option<&Committer>, seq: CommitSeq, rows: Vec<Row>) {
    if let Some(store) = store {
        store.commit(seq, rows);
    }
}

/// Tells the node that nobody waits any more, unless the answer came.
struct HangUp<'a> {
    driver: &'a Arc<Driver>,
    id: RequestId,
    armed: bool,
}

impl Drop for HangUp<'_> {
    fn drop(&mut self) {
        if self.armed && !self.driver.state.is_poisoned() {
            self.driver.feed([Input::Hangup { id: self.id }]);
        }
    }
}
