//! The lives of nodes: they start with what their disks hold, crash, write, and start again.
//!
//! A disk reports what is durable only while its node runs; whoever waits for a node that has
//! crashed is told, unless the crash is silent. When things go wrong is for the nemesis to say, and
//! what that does is in `suffer`.

use peerage_core::commons::Row as CommonsRow;
use peerage_core::rooms::Row as AnyRow;
use peerage_core::{CallError, CallId, CommitSeq, Input, Node, Row};

use super::{Event, World};
use crate::disk::DiskError;
use crate::engine::Engine;
use crate::exchange::{Place, Ticket};
use crate::nemesis::Unsynced;
use crate::options::Sabotage;
use crate::oracle::Oracle;
use crate::oracle::model::Models;
use crate::watch::Life;

/// Nodes whose answers are compared with models; those of all would take much memory.
const MODELLED: u32 = 64;

impl World {
    /// Starts a node with what its disk holds.
    pub(super) fn start(&mut self, engine: &mut Engine<Event>, node: u32) {
        let host = &self.hosts[node as usize];
        if host.node.is_some() || host.liar.is_some() || host.plight.lost {
            return;
        }
        let at = engine.now();
        let config = self.config(node);
        let host = &mut self.hosts[node as usize];
        host.begin(at);
        host.promises.restart();
        host.verify_free = at;
        host.wake = u64::MAX;
        host.draining = false;
        host.busy_until = at;
        host.prompt_since = at;
        let seed = self.seeds.node(node, host.run);
        let damaged = host.disk.damaged();
        let opened = host.disk.open();
        if damaged {
            self.findings.looked(Oracle::Damage);
        }
        let restored = match opened {
            Err(DiskError::Damaged) if damaged => {
                self.watchers
                    .each(|watch| watch.life(at, node, Life::Refuses));
                return;
            }
            Err(error) => Err(error.to_string()),
            Ok(rows) => {
                let peer = |row: &&Row| matches!(row, AnyRow::Commons(CommonsRow::Peer(..)));
                host.restored_peers = rows.iter().filter(peer).count();
                let now = host.now(at);
                let models = (host.audited && node < MODELLED)
                    .then(|| Box::new(Models::new(&config, &rows)));
                if let (Some(before), Some(models)) = (&host.models, &models) {
                    self.findings.looked(Oracle::Durable);
                    if let Err(text) = models.outlives(before) {
                        self.findings.miss(at, Some(node), Oracle::Durable, text);
                    }
                }
                host.models = models;
                self.mint_starts(at, node, &config.limits, &rows);
                Node::restore(config, seed, now, rows).map_err(|error| error.to_string())
            }
        };
        if damaged {
            let text = "the node starts with a disk on which bits have changed".to_owned();
            self.findings.miss(at, Some(node), Oracle::Damage, text);
        }
        match restored {
            Ok(restored) => {
                let host = &mut self.hosts[node as usize];
                host.node = Some(Box::new(restored));
                self.watchers
                    .each(|watch| watch.life(at, node, Life::Starts));
                self.audit_export(at, node, false);
                self.wake(engine, node);
            }
            Err(error) => self.findings.miss(at, Some(node), Oracle::Export, error),
        }
    }

    /// Stops a node in the middle of whatever it does.
    pub(super) fn crash(
        &mut self,
        engine: &mut Engine<Event>,
        node: u32,
        silent: bool,
        unsynced: Unsynced,
    ) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        if host.node.take().is_none() {
            return;
        }
        host.wake = u64::MAX;
        host.backlog.clear();
        if let Err(error) = host.disk.crash(unsynced) {
            let text = error.to_string();
            self.findings.miss(at, Some(node), Oracle::Wire, text);
        }
        self.watchers
            .each(|watch| watch.life(at, node, Life::Stops));
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
        host.wrote = true;
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
            Err(DiskError::Row(text)) => {
                self.findings
                    .miss(engine.now(), Some(node), Oracle::Wire, text);
            }
            // A node that cannot keep its promises must not go on.
            Err(DiskError::Full | DiskError::Sync | DiskError::Damaged) => {
                self.crash(engine, node, false, Unsynced::Drawn);
            }
        }
    }
}
