//! The lives of nodes: they start with what their disks hold, crash, write, and start again.
//!
//! A disk reports what is durable only while its node runs; whoever waits for a node that has
//! crashed is told, unless the crash is silent. When things go wrong is for the nemesis to say.

use peerage_core::{CallError, CallId, CommitSeq, Input, Node, Row};

use super::{Event, World};
use crate::engine::Engine;
use crate::exchange::{Place, Ticket};
use crate::nemesis::{Fault, What};
use crate::options::Sabotage;
use crate::oracle::Oracle;

impl World {
    /// Starts a node with what its disk holds.
    pub(super) fn start(&mut self, engine: &mut Engine<Event>, node: u32) {
        if self.hosts[node as usize].node.is_some() {
            return;
        }
        let at = engine.now();
        let config = self.config(node);
        let host = &mut self.hosts[node as usize];
        host.run += 1;
        host.started = at;
        host.promises.restart();
        host.verify_free = at;
        host.wake = u64::MAX;
        host.draining = false;
        let seed = self.seeds.node(node, host.run);
        let restored = host
            .disk
            .read()
            .map_err(|error| error.to_string())
            .and_then(|rows| {
                let now = host.now(at);
                Node::restore(config, seed, now, rows).map_err(|error| error.to_string())
            });
        match restored {
            Ok(restored) => {
                host.node = Some(Box::new(restored));
                self.audit_export(at, node, false);
                self.wake(engine, node);
            }
            Err(error) => self.findings.miss(at, Some(node), Oracle::Export, error),
        }
    }

    /// Stops a node in the middle of whatever it does.
    pub(super) fn crash(&mut self, engine: &mut Engine<Event>, node: u32, silent: bool) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        if host.node.take().is_none() {
            return;
        }
        host.wake = u64::MAX;
        if let Err(error) = host.disk.crash() {
            self.findings.miss(at, Some(node), Oracle::Wire, error);
        }
        for ticket in host.take_calls() {
            self.give_up(engine, ticket, !silent);
        }
        // In an order that does not depend on where exchanges lie.
        let mut owed: Vec<(u32, u64, u64, Ticket)> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.callee == node && exchange.place == Place::Asked)
            .map(|(ticket, exchange)| {
                let call = exchange.call.map_or(0, CallId::as_u64);
                (exchange.caller, exchange.sent, call, ticket)
            })
            .collect();
        owed.sort_unstable();
        for (caller, _, _, ticket) in owed {
            if let Some(exchange) = self.exchanges.get_mut(ticket) {
                exchange.place = Place::Gone;
                if exchange.given_up {
                    self.exchanges.close(ticket);
                } else if !silent || caller >= self.options.nodes {
                    self.fail(engine, ticket, CallError::Unreachable);
                }
            }
        }
    }

    pub(super) fn commit(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        seq: CommitSeq,
        rows: Vec<Row>,
    ) {
        let host = &mut self.hosts[node as usize];
        self.findings.looked(Oracle::Commits);
        let seen = match self.options.sabotage {
            Some(Sabotage::CommitsLost) if seq.0 == 3 => 4,
            _ => seq.0,
        };
        if let Err(expected) = host.promises.commit(seen, &rows, host.audited) {
            let text = format!("commit {seen} came instead of {expected}");
            self.findings
                .miss(engine.now(), Some(node), Oracle::Commits, text);
        }
        if let Some(time) = host.disk.commit(&self.options.disk, seq.0, rows) {
            engine.after(time, node, node, Event::Written(host.run));
        }
    }

    pub(super) fn written(&mut self, engine: &mut Engine<Event>, node: u32, run: u32) {
        let host = &mut self.hosts[node as usize];
        if host.run != run || host.node.is_none() {
            return;
        }
        match host.disk.written(&self.options.disk) {
            Ok((upto, again)) => {
                if let Some(time) = again {
                    engine.after(time, node, node, Event::Written(run));
                }
                if let Some(upto) = upto {
                    host.promises.persisted(upto);
                    let input = Input::Persisted {
                        upto: CommitSeq(upto),
                    };
                    self.feed(engine, node, node, input);
                }
            }
            Err(error) => self
                .findings
                .miss(engine.now(), Some(node), Oracle::Wire, error),
        }
    }

    pub(super) fn suffer(&mut self, engine: &mut Engine<Event>, fault: Fault) {
        self.log.note(engine.now(), &fault);
        self.faults_done.count(match fault.what {
            What::Crash { .. } => "crash",
            What::Cut(_) => "cut",
            What::Heal(_) => "heal",
            What::Drain(_) => "drain",
            What::Start(_) => "start",
        });
        match fault.what {
            What::Crash { node, silent } => self.crash(engine, node, silent),
            What::Cut(cut) => self.network.cut(cut),
            What::Heal(id) => self.network.heal(id),
            What::Drain(node) => {
                self.hosts[node as usize].draining = true;
                self.feed(engine, node, node, Input::Drain);
            }
            What::Start(node) => self.start(engine, node),
        }
    }

    /// Faults and users stop; every node is up again.
    pub(crate) fn calm(&mut self, engine: &mut Engine<Event>) {
        self.stormy = false;
        self.network.calm();
        for node in 0..self.options.nodes {
            // A node that was asked to stop stops, at last.
            if self.hosts[node as usize].draining {
                self.crash(engine, node, false);
            }
            self.start(engine, node);
        }
    }
}
