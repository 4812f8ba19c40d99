//! Calls in flight: who asked, what comes then, and by when.
//!
//! The table is the only correlation state. A name is a slot and a generation, so a reply that comes
//! after its deadline meets a newer generation and is dropped. A call's deadline starts when the
//! gate lets it out; until then it has none, because nobody was asked yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commons::address::HostAddr;
use crate::input::CallId;
use crate::limits::Limits;
use crate::output::Endpoint;
use crate::rooms::{Scope, Then};
use crate::slots::Slots;
use crate::time::{Duration, Instant};

/// A call that was not yet replied to.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) scope: Scope,
    pub(crate) to: Arc<Endpoint>,
    pub(crate) timeout: Duration,
    pub(crate) then: Then,
}

/// What a stock Chainweb node counts a request as when it throttles its caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Counted by the mempool bucket.
    pub mempool: bool,
    /// Counted by the bucket of announced peers.
    pub put_peer: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    slots: Slots<Pending>,
    lines: BTreeMap<HostAddr, Line>,
    /// When lines that owe nothing were last looked for.
    swept: Instant,
}

/// What we owe one peer: how many calls are under way, and how fast we may ask.
///
/// The moments are those of the generic cell rate algorithm: when the bucket would be full again.
#[derive(Clone, Debug, Default)]
struct Line {
    in_flight: usize,
    global: Instant,
    mempool: Instant,
    put_peer: Instant,
}

/// A rate that stays a fifth below what a stock node allows a caller, with its burst.
struct Rate {
    interval: Duration,
    burst: Duration,
}

// A stock node allows 50, 20 and 11 requests a second with bursts of four seconds' worth.
const GLOBAL: Rate = Rate {
    interval: Duration::from_millis(25),
    burst: Duration::from_secs(4),
};
const MEMPOOL: Rate = Rate {
    interval: Duration::from_micros(62_500),
    burst: Duration::from_secs(4),
};
const PUT_PEER: Rate = Rate {
    interval: Duration::from_millis(115),
    burst: Duration::from_secs(4),
};

const LINES_SWEEP: Duration = Duration::from_secs(1);

impl Calls {
    /// Registers a call, or refuses it because too many are under way.
    pub(crate) fn open(&mut self, limits: &Limits, call: Pending) -> Result<CallId, Then> {
        if self.slots.len() >= limits.calls_max {
            return Err(call.then);
        }
        let line = self.lines.entry(call.to.addr.clone()).or_default();
        if line.in_flight >= limits.calls_per_peer_max {
            return Err(call.then);
        }
        line.in_flight += 1;
        Ok(CallId(self.slots.insert(call)))
    }

    /// When a request that costs `charge` may go to `to`; reserves that moment.
    pub(crate) fn reserve(&mut self, now: Instant, to: &HostAddr, charge: Charge) -> Instant {
        let line = self.lines.entry(to.clone()).or_default();
        let mut at = earliest(now, line.global, &GLOBAL);
        if charge.mempool {
            at = at.max(earliest(now, line.mempool, &MEMPOOL));
        }
        if charge.put_peer {
            at = at.max(earliest(now, line.put_peer, &PUT_PEER));
        }
        line.global = line.global.max(at) + GLOBAL.interval;
        if charge.mempool {
            line.mempool = line.mempool.max(at) + MEMPOOL.interval;
        }
        if charge.put_peer {
            line.put_peer = line.put_peer.max(at) + PUT_PEER.interval;
        }
        at
    }

    pub(crate) fn get(&mut self, id: CallId) -> Option<&mut Pending> {
        self.slots.get_mut(id.0)
    }

    /// Ends a call, whatever came of it.
    pub(crate) fn close(&mut self, now: Instant, id: CallId) -> Option<Pending> {
        let call = self.slots.remove(id.0)?;
        if let Some(line) = self.lines.get_mut(&call.to.addr) {
            line.in_flight -= 1;
            if line.idle(now) {
                self.lines.remove(&call.to.addr);
            }
        }
        // A line outlives its last call by a few seconds at most, so a sweep a second keeps no more
        // of them than that many seconds' calls.
        if self.lines.len() > self.slots.len() && now.since(self.swept) >= LINES_SWEEP {
            self.swept = now;
            self.lines.retain(|_, line| !line.idle(now));
        }
        Some(call)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl Line {
    fn idle(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.global <= now && self.mempool <= now && self.put_peer <= now
    }
}

fn earliest(now: Instant, full: Instant, rate: &Rate) -> Instant {
    let spare = full.since(Instant::ZERO).saturating_sub(rate.burst);
    now.max(Instant::ZERO + spare)
}
