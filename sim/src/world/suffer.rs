//! What each kind of fault does to the world when it begins, and when it ends.
//!
//! When that is, and to whom it happens, was decided before the run.

use std::collections::BTreeSet;

use peerage_core::commons::bans::BanKey;
use peerage_core::rooms::bans;
use peerage_core::{CallError, CallId, Input, Listener, Request};

use super::{Event, World};
use crate::engine::Engine;
use crate::exchange::{Exchange, PATIENCE, Place, Ticket};
use crate::group::Group;
use crate::host::Host;
use crate::nemesis::{Fault, Unsynced, What};
use crate::network::{Condition, Effect};
use crate::oracle::converge;
use crate::roster::Roster;
use crate::watch::Life;

impl World {
    /// A fault begins.
    pub(super) fn suffer(&mut self, engine: &mut Engine<Event>, index: u32) {
        let at = engine.now();
        let fault = self.faults[index as usize].clone();
        self.watchers
            .each(|watch| watch.fault(at, index, &fault, true));
        self.faults_done.count(fault.what.kind().name());
        let ends = fault
            .lasts
            .map_or(u64::MAX, |lasts| at.saturating_add(lasts));
        let world = self.party();
        if let What::Stop { grace, .. } = &fault.what {
            engine.after(*grace, world, world, Event::FaultEnds(index));
        } else if fault.lasts.is_some() {
            engine.at(ends, world, world, Event::FaultEnds(index));
        }
        if let Some(condition) = condition(&fault.what, ends) {
            return self.network.begin(index, condition);
        }
        let (group, _) = fault.what.groups();
        let nodes: Vec<u32> = group.members(self.options.nodes).collect();
        for node in nodes {
            self.befall(engine, node, &fault);
        }
    }

    /// A fault of a node begins.
    fn befall(&mut self, engine: &mut Engine<Event>, node: u32, fault: &Fault) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        let disk = &mut host.disk;
        match &fault.what {
            // These are conditions of links.
            What::Partition { .. } | What::Clog { .. } | What::Degrade { .. } => {}
            What::Refuse(_) => host.plight.refuses = true,
            What::Hang(_) => host.plight.hangs = true,
            What::Impersonate(_) => host.plight.impersonated = true,
            What::Reset(_) => self.reset_all(engine, node),
            What::Crash {
                silent, unsynced, ..
            } => self.crash(engine, node, *silent, *unsynced),
            What::Stop { .. } => {
                if host.node.is_some() && !host.draining {
                    host.draining = true;
                    self.feed(engine, node, node, Input::Drain);
                }
            }
            What::Lose(_) => {
                host.plight.lost = true;
                self.crash(engine, node, true, Unsynced::Drawn);
            }
            What::Pause(_) => {
                host.plight.paused = true;
                self.watchers
                    .each(|watch| watch.life(at, node, Life::Pauses));
            }
            What::Jump { by, .. } => {
                host.clock.jump(*by);
                self.wake(engine, node);
            }
            What::Drift { ppm, .. } => self.drift(engine, node, *ppm),
            What::Slow { each, .. } => host.plight.slow = *each,
            What::Join(_) => self.start(engine, node),
            What::Renew(_) => {
                self.crash(engine, node, false, Unsynced::Drawn);
                self.roster.renew(node);
                self.hosts[node as usize].forgot = true;
            }
            What::Wipe(_) => {
                self.crash(engine, node, false, Unsynced::Drawn);
                self.hosts[node as usize].wipe();
            }
            What::Downgrade(_) => {
                self.crash(engine, node, false, Unsynced::Drawn);
                self.hosts[node as usize].plight.old = true;
                self.start(engine, node);
            }
            What::DiskSlow { by, .. } => disk.ailments.slow = *by,
            What::DiskStall(_) => disk.ailments.stalled = true,
            What::DiskFail(_) => disk.ailments.failing = true,
            What::DiskFull(_) => disk.ailments.full = true,
            What::DiskFlip(_) => {
                self.crash(engine, node, false, Unsynced::Drawn);
                self.hosts[node as usize].disk.flip();
                self.start(engine, node);
            }
        }
    }

    /// A fault ends.
    pub(super) fn recover(&mut self, engine: &mut Engine<Event>, index: u32) {
        let at = engine.now();
        let fault = self.faults[index as usize].clone();
        let (group, _) = fault.what.groups();
        let nodes: Vec<u32> = group.members(self.options.nodes).collect();
        // A stop has a second part: after the grace the nodes are really stopped.
        if let What::Stop { grace, .. } = fault.what
            && at == fault.at + grace
        {
            for node in nodes {
                self.crash(engine, node, false, Unsynced::Drawn);
            }
            if let Some(lasts) = fault.lasts {
                let world = self.party();
                engine.after(lasts.max(1), world, world, Event::FaultEnds(index));
            }
            return;
        }
        self.watchers
            .each(|watch| watch.fault(at, index, &fault, false));
        if condition(&fault.what, at).is_some() {
            return self.network.end(index);
        }
        for node in nodes {
            self.relieve(engine, node, &fault.what);
        }
    }

    /// A fault of a node ends.
    fn relieve(&mut self, engine: &mut Engine<Event>, node: u32, what: &What) {
        let host = &mut self.hosts[node as usize];
        let disk = &mut host.disk;
        match what {
            What::Partition { .. } | What::Clog { .. } | What::Degrade { .. } => {}
            What::Join(_) | What::Lose(_) | What::Reset(_) => {}
            What::Refuse(_) => host.plight.refuses = false,
            What::Hang(_) => host.plight.hangs = false,
            What::Impersonate(_) => host.plight.impersonated = false,
            What::Crash { .. } | What::Stop { .. } | What::Renew(_) | What::Wipe(_) => {
                self.start(engine, node);
            }
            What::Pause(_) => self.resume(engine, node),
            What::Jump { by, .. } => {
                host.clock.jump(-by);
                self.wake(engine, node);
            }
            What::Drift { .. } => self.drift(engine, node, 0),
            What::Slow { .. } => host.plight.slow = 0,
            What::Downgrade(_) => {
                self.crash(engine, node, false, Unsynced::Drawn);
                self.hosts[node as usize].plight.old = false;
                self.start(engine, node);
            }
            What::DiskSlow { .. } => disk.ailments.slow = 0,
            What::DiskStall(_) => self.disk_goes_on(engine, node),
            What::DiskFail(_) => {
                disk.ailments.failing = false;
                self.start(engine, node);
            }
            What::DiskFull(_) => {
                disk.ailments.full = false;
                self.start(engine, node);
            }
            What::DiskFlip(_) => self.replace_damaged(engine, node),
        }
    }

    fn drift(&mut self, engine: &mut Engine<Event>, node: u32, ppm: i32) {
        let host = &mut self.hosts[node as usize];
        host.clock.drift(engine.now(), ppm);
        // The deadline that stood may now come sooner.
        self.wake(engine, node);
    }

    fn resume(&mut self, engine: &mut Engine<Event>, node: u32) {
        let at = engine.now();
        let host = &mut self.hosts[node as usize];
        if std::mem::take(&mut host.plight.paused) {
            host.prompt_since = at;
            self.watchers
                .each(|watch| watch.life(at, node, Life::Resumes));
            self.ready(engine, node);
        }
    }

    fn disk_goes_on(&mut self, engine: &mut Engine<Event>, node: u32) {
        let host = &mut self.hosts[node as usize];
        if host.disk.ailments.stalled {
            host.prompt_since = engine.now();
        }
        if host.disk.go_on() {
            engine.after(1, node, node, Event::Written(host.run));
        }
    }

    /// An operator gives a node whose disk is damaged a new one.
    fn replace_damaged(&mut self, engine: &mut Engine<Event>, node: u32) {
        let host = &mut self.hosts[node as usize];
        if host.disk.damaged() {
            host.wipe();
        }
        self.start(engine, node);
    }

    /// All connections of a node break.
    fn reset_all(&mut self, engine: &mut Engine<Event>, node: u32) {
        // In an order that does not depend on where exchanges lie.
        let mut theirs: Vec<(u32, u64, u64, Ticket)> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.caller == node || exchange.callee == node)
            .map(|(ticket, exchange)| {
                let call = exchange.call.map_or(0, CallId::as_u64);
                (exchange.caller, exchange.sent, call, ticket)
            })
            .collect();
        theirs.sort_unstable();
        for (_, _, _, ticket) in theirs {
            self.reset(engine, ticket);
        }
    }

    /// A connection breaks, and both ends notice at once.
    pub(super) fn reset(&mut self, engine: &mut Engine<Event>, ticket: Ticket) {
        let Some(exchange) = self.exchanges.get_mut(ticket) else {
            return;
        };
        if exchange.given_up {
            return;
        }
        exchange.given_up = true;
        let (caller, callee, place) = (exchange.caller, exchange.callee, exchange.place);
        let (call, run) = (exchange.call, exchange.caller_run);
        match place {
            Place::Gone => {
                self.exchanges.close(ticket);
            }
            Place::Asked => {
                let id = ticket.request();
                self.feed(engine, callee, callee, Input::Hangup { id });
            }
            Place::Returning | Place::Travelling => {}
        }
        let host: &mut Host = match self.hosts.get_mut(caller as usize) {
            Some(host) if host.run == run => host,
            Some(_) | None => return,
        };
        if let Some(id) = call
            && host.take_call(id).is_some()
        {
            self.failures.count("reset");
            let at = engine.now();
            self.watchers
                .each(|watch| watch.failure(at, ticket, "reset"));
            let result = Err(CallError::Unreachable);
            self.feed(engine, caller, callee, Input::Reply { id, result });
        }
    }

    /// How far ahead clocks were at most.
    pub(crate) fn furthest_jump(&self) -> u64 {
        let all = self.hosts.iter().map(|host| host.clock.furthest());
        all.max().unwrap_or(0)
    }

    /// Faults and users stop; every node of the core is up again.
    pub(crate) fn calm(&mut self, engine: &mut Engine<Event>) {
        let at = engine.now();
        self.stormy = false;
        self.watchers.each(|watch| watch.calm(at));
        let core = self.core.clone();
        // Who lies goes on answering.
        let hosts = &self.hosts;
        let broken = core.others();
        let broken = broken.members(self.options.nodes);
        let broken = Group::of(broken.filter(|node| hosts[*node as usize].liar.is_none()));
        self.network.calm(&broken);
        for node in core.members(self.options.nodes) {
            // A node that was asked to stop stops, at last; so does one of an older release.
            let host = &mut self.hosts[node as usize];
            let old = std::mem::take(&mut host.plight.old);
            if host.draining || old {
                self.crash(engine, node, false, Unsynced::Drawn);
            }
            let host = &mut self.hosts[node as usize];
            host.plight.refuses = false;
            host.plight.hangs = false;
            host.plight.impersonated = false;
            host.plight.slow = 0;
            host.disk.ailments.slow = 0;
            host.disk.ailments.failing = false;
            host.disk.ailments.full = false;
            host.clock.mend(at);
            self.resume(engine, node);
            self.disk_goes_on(engine, node);
            self.wake(engine, node);
            self.replace_damaged(engine, node);
        }
    }

    /// Operators put right what no message can.
    pub(crate) fn help(&mut self, engine: &mut Engine<Event>) {
        self.introduce(engine);
        self.forgive(engine);
    }

    /// They start nodes again that know nobody's certificate any more, and whose certificate nobody
    /// knows: their settings name the peers as they are by now.
    fn introduce(&mut self, engine: &mut Engine<Event>) {
        let core = self.core.members(self.options.nodes);
        let nodes = core.filter_map(|it| Some((it, self.hosts[it as usize].node.as_deref()?)));
        let nodes: Vec<_> = nodes.collect();
        for node in converge::estranged(&self.roster, &nodes, self.options.nodes) {
            self.crash(engine, node, false, Unsynced::Drawn);
            self.hosts[node as usize].named = true;
            self.start(engine, node);
        }
    }

    /// They lift bans that were entered while a clock was ahead, and would last for hours.
    fn forgive(&mut self, engine: &mut Engine<Event>) {
        let (now, operator) = (engine.now(), self.party());
        for node in self.core.clone().members(self.options.nodes) {
            let host = &self.hosts[node as usize];
            let Some(machine) = &host.node else { continue };
            let wall = host.clock.wall(now);
            let due = (wall + machine.config().ban_window).as_micros();
            let bans = machine.commons().bans.iter();
            let late = bans.filter(|(_, ban)| ban.until_us > due);
            let late: BTreeSet<String> = late.map(|(_, ban)| ban.address.clone()).collect();
            let banned = (0..self.options.nodes).map(Roster::addr).filter(|addr| {
                matches!(BanKey::of_address(addr), BanKey::Address(name) if late.contains(&name))
            });
            for addr in banned {
                let command = bans::Command::Unban;
                let request = Request::Bans(bans::Request { addr, command });
                let exchange = Exchange::new(now, operator, node, Listener::Api, request);
                self.pose(engine, exchange, PATIENCE);
            }
        }
    }
}

/// What a fault does to links, if that is what it does.
#[expect(clippy::wildcard_enum_match_arm, reason = "all others happen to nodes")]
fn condition(what: &What, until: u64) -> Option<Condition> {
    let (a, b, way, effect) = match what {
        What::Partition {
            a,
            b,
            way,
            spares_flight,
        } => {
            let spares_flight = *spares_flight;
            (a, b, way, Effect::Partition { spares_flight })
        }
        What::Clog { a, b, way } => (a, b, way, Effect::Clog(until)),
        What::Degrade {
            a,
            b,
            way,
            latency,
            loss,
            bandwidth,
        } => {
            let effect = Effect::Degrade {
                latency: *latency,
                loss: *loss,
                bandwidth: *bandwidth,
            };
            (a, b, way, effect)
        }
        _ => return None,
    };
    Some(Condition {
        a: a.clone(),
        b: b.clone(),
        way: *way,
        effect,
    })
}
