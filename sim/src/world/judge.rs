//! When the oracles look: at a few nodes every second, and at single calls and answers.
//!
//! What must hold is said by the oracles; this finds the moments at which it can be told, such as a
//! disk that has nothing left to write.

use std::sync::atomic::{AtomicU64, Ordering};

use peerage_core::limits::{DELIVERY_TIMEOUT, GRIN_CALL_TIMEOUT};
use peerage_core::rooms::chainweb_mempool;
use peerage_core::time::Now;
use peerage_core::{Output, Request, Response};

use super::{Event, World};
use crate::engine::Engine;
use crate::exchange::{Place, Ticket};
use crate::nemesis::Kind;
use crate::options::{Sabotage, Wire};
use crate::oracle::Oracle;
use crate::oracle::friends::{self, Fellow};
use crate::oracle::talk::silence_max;

/// The pause between two looks of the oracles.
pub(super) const AUDIT_EVERY: u64 = 1_000_000;
/// The pause between two looks at friends, at all of them at once.
const FRIENDS_EVERY: u64 = 10 * AUDIT_EVERY;
/// Nodes per look.
const AUDIT_NODES: u32 = 8;
/// A call may outlive its deadline by the granularity of clocks, no more.
const DEADLINE_SLACK: u64 = 1_000;
/// How long a node may take to look at the hints that it was started with.
const RELOAD_TIME: u64 = 2_000_000;
/// The longest that a node may owe an answer while it runs.
const ANSWER_MAX: u64 = 20_000_000;
/// What a run must never depend on; only that which is to be caught at it does.
static LOOKS_OF_THE_PROCESS: AtomicU64 = AtomicU64::new(0);

impl World {
    /// Whether the node's state is what its disk holds, if nothing is on its way there.
    pub(crate) fn audit_export(&mut self, at: u64, node: u32, hints: bool) {
        let host = &self.hosts[node as usize];
        let Some(machine) = &host.node else { return };
        if !host.disk.keeps() || !host.disk.idle() || machine.commits_in_flight() > 0 {
            return;
        }
        // Hints that wait to be written, and what was read back and is being checked again.
        let mut waiting = 0;
        machine.gauges(&mut |name, value| {
            if matches!(name, "hints_waiting" | "verifications_in_flight") {
                waiting += value;
            }
        });
        let hints = hints && waiting == 0 && at - host.started > RELOAD_TIME;
        self.findings.looked(Oracle::Export);
        let result = host
            .disk
            .read()
            .map_err(|error| error.to_string())
            .and_then(|rows| crate::oracle::durable::compare(machine.export(), rows, hints));
        if let Err(error) = result {
            self.findings.miss(at, Some(node), Oracle::Export, error);
        }
    }

    /// Looks at a node's tables.
    pub(crate) fn audit_bounds(&mut self, at: u64, node: u32) {
        let Some(machine) = &self.hosts[node as usize].node else {
            return;
        };
        let part = if self.options.sabotage == Some(Sabotage::TinyBounds) {
            100
        } else {
            1
        };
        self.findings.looked(Oracle::Bounds);
        let restored = self.hosts[node as usize].restored_peers as u64;
        let findings = &mut self.findings;
        crate::oracle::bounds(machine, restored, part, |text| {
            findings.miss(at, Some(node), Oracle::Bounds, text);
        });
    }

    /// Whether what a node counts is there.
    fn audit_books(&mut self, at: u64, node: u32) {
        let host = &mut self.hosts[node as usize];
        let free = host.free_since(at);
        let wrote = std::mem::take(&mut host.wrote);
        let Some(machine) = &host.node else { return };
        self.findings.looked(Oracle::Books);
        let books = crate::oracle::books::balance(machine);
        let result = books.and_then(|()| host.waiting.look(at, free, wrote, machine));
        if let Err(text) = result {
            self.findings.miss(at, Some(node), Oracle::Books, text);
        }
    }

    /// Whether a node goes on talking in its sessions.
    fn audit_silence(&mut self, at: u64, node: u32) {
        let host = &mut self.hosts[node as usize];
        let (now, free) = (host.now(at), host.free_since(at));
        let (Some(machine), Some(models)) = (&host.node, &mut host.models) else {
            return;
        };
        // What waits for the disk, for a check or for the peer's patience is not forgotten.
        let mut waits = 0;
        machine.gauges(&mut |name, value| {
            if matches!(
                name,
                "outputs_held" | "calls_paced" | "verifications_in_flight"
            ) {
                waits += value;
            }
        });
        let silent = models.talk.silent(now, machine);
        if waits > 0 || at - free.min(at) < silence_max(machine) {
            return;
        }
        self.findings.looked(Oracle::Model);
        if let Some(text) = silent {
            self.findings.miss(at, Some(node), Oracle::Model, text);
        }
    }

    /// Those who run, and have never lost what they had, and do not lie, as their friends see them.
    /// Nobody, where messages are spoiled on their way.
    pub(crate) fn fellows(&self, of: &[u32]) -> Vec<Fellow<'_>> {
        let honest = of.iter().filter_map(|node| {
            let host = &self.hosts[*node as usize];
            let whole = !host.forgot && host.audited;
            Some((*node, host.node.as_deref().filter(|_| whole)?))
        });
        if self.options.wire == Wire::Mangled {
            return Vec::new();
        }
        Fellow::gather(&self.roster, honest)
    }

    /// Whether friends contradict each other.
    pub(crate) fn audit_friends(&mut self, at: u64) {
        let all: Vec<u32> = (0..self.options.nodes).collect();
        let fellows = self.fellows(&all);
        if fellows.is_empty() {
            return;
        }
        let contradiction = friends::contradiction(&fellows);
        self.findings.looked(Oracle::Friends);
        if let Some(text) = contradiction {
            self.findings.miss(at, None, Oracle::Friends, text);
        }
    }

    /// Looks at everything that waits for something.
    pub(crate) fn audit_waiting(&mut self, at: u64) {
        let longest = ["", "deliver", "hello"].map(|name| self.longest_call(name));
        self.findings.looked(Oracle::Deadlines);
        let mut late = Vec::new();
        for (_, exchange) in self.exchanges.iter() {
            let by_node = exchange.call.is_some() && !exchange.given_up;
            let free_since = |node: u32| self.hosts[node as usize].unhurried_since(at);
            let writes_since = |node: u32| self.hosts[node as usize].free_since(at);
            let longest = longest[patience(exchange.name)];
            if by_node
                && at.saturating_sub(exchange.sent.max(free_since(exchange.caller))) > longest
            {
                late.push((
                    exchange.sent,
                    exchange.caller,
                    Oracle::Deadlines,
                    exchange.name,
                ));
            }
            // Who crashed since then owes nothing.
            let owes = |node: u32| {
                let host = &self.hosts[node as usize];
                host.node.is_some() && host.started < exchange.arrives
            };
            if exchange.place == Place::Asked
                && owes(exchange.callee)
                && at.saturating_sub(exchange.arrives.max(writes_since(exchange.callee)))
                    > ANSWER_MAX
            {
                late.push((
                    exchange.arrives,
                    exchange.callee,
                    Oracle::Answers,
                    exchange.name,
                ));
            }
        }
        late.sort_unstable();
        for (since, node, oracle, name) in late {
            let text = format!("{name} waits since {since} µs");
            self.findings.miss(at, Some(node), oracle, text);
        }
    }

    pub(super) fn audit(&mut self, engine: &mut Engine<Event>) {
        let at = engine.now();
        for _ in 0..AUDIT_NODES.min(self.options.nodes) {
            let node = self.audit_next;
            self.audit_next = (node + 1) % self.options.nodes;
            self.audit_bounds(at, node);
            if self.hosts[node as usize].audited {
                self.audit_export(at, node, true);
                self.audit_books(at, node);
                self.audit_silence(at, node);
                self.audit_mint(at, node);
            }
        }
        self.audit_waiting(at);
        if at.is_multiple_of(FRIENDS_EVERY) {
            self.audit_friends(at);
        }
        let world = self.party();
        engine.after(AUDIT_EVERY, world, world, Event::Audit);
        if self.options.sabotage == Some(Sabotage::Restless) && at > 5_000_000 {
            self.reseed(LOOKS_OF_THE_PROCESS.fetch_add(1, Ordering::Relaxed));
        }
        if self.options.sabotage == Some(Sabotage::Panic) && at > 5_000_000 {
            self.current = Some(0);
            panic!("a panic on purpose");
        }
    }

    /// An answer or a call that left at once must wait for everything that it may tell of.
    pub(super) fn check_need(&mut self, at: u64, node: u32, request: &Request) {
        self.findings.looked(Oracle::Durable);
        let promises = &self.hosts[node as usize].promises;
        let need = promises.need(request.scope());
        if !promises.covers(need) {
            let text = format!("{} is asked before commit {need}", request.name());
            self.findings.miss(at, Some(node), Oracle::Durable, text);
        }
    }

    /// What the reference models say of something that a node wants.
    pub(super) fn check_model(&mut self, now: Now, at: u64, node: u32, output: &Output) {
        let Some(models) = &mut self.hosts[node as usize].models else {
            return;
        };
        self.findings.looked(Oracle::Model);
        let lie = self.options.sabotage == Some(Sabotage::AnswersFalse);
        let result = match lie.then(|| falsified(output)).flatten() {
            Some(output) => models.output(now, &output),
            None => models.output(now, output),
        };
        if let Err(text) = result {
            self.findings.miss(at, Some(node), Oracle::Model, text);
        }
    }

    /// How long a call may take, by what is asked.
    fn longest_call(&self, name: &str) -> u64 {
        let sessions = &self.options.sessions;
        let longest = match patience(name) {
            1 => DELIVERY_TIMEOUT,
            2 => GRIN_CALL_TIMEOUT,
            _ => sessions.request_timeout.max(sessions.probe_timeout),
        };
        // A clock that runs too slow makes everything longer.
        let rate = if self.options.faults.of(Kind::Drift).every > 0 {
            2
        } else {
            1
        };
        peerage_core::time::micros(longest) * rate + DEADLINE_SLACK
    }

    pub(super) fn check_deadline(&mut self, at: u64, node: u32, ticket: Ticket) {
        let name = (self.exchanges.get_mut(ticket)).map_or("", |exchange| exchange.name);
        let longest = self.longest_call(name);
        self.findings.looked(Oracle::Deadlines);
        let unhurried = self.hosts[node as usize].unhurried_since(at);
        if let Some(exchange) = self.exchanges.get_mut(ticket)
            && at - exchange.sent.max(unhurried).min(at) > longest
        {
            let (node, since) = (exchange.caller, exchange.sent);
            let text = format!("a call of {since} µs was given up only now");
            self.findings.miss(at, Some(node), Oracle::Deadlines, text);
        }
    }
}

/// Which calls may take as long as this one: nearly all, those to friends, or those of the
/// Mimblewimble chain.
fn patience(name: &str) -> usize {
    match name {
        "deliver" => 1,
        "announce" | "blocks" | "headers" | "hello" | "stem" | "transaction" => 2,
        _ => 0,
    }
}

/// The same answer with one thing turned round, so that a model can be seen to notice.
fn falsified(output: &Output) -> Option<Output> {
    let Output::Respond {
        id,
        response: Response::ChainwebMempool(chainweb_mempool::Response::Members(said)),
    } = output
    else {
        return None;
    };
    let said = said.iter().map(|said| !said).collect();
    Some(Output::Respond {
        id: *id,
        response: Response::ChainwebMempool(chainweb_mempool::Response::Members(said)),
    })
}
