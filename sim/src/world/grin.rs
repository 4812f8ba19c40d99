//! The Mimblewimble network of a world: who pays, and when its oracles look.

use peerage_core::limits::Limits;
use peerage_core::rooms::grin;
use peerage_core::rooms::grin::types::{Between, Hello};
use peerage_core::rows::Record as _;
use peerage_core::time::{Instant, Now};
use peerage_core::{Event as Told, Input, Listener, Node, Output, Request, Response, Row};

use super::{Event, World};
use crate::engine::Engine;
use crate::exchange::{Exchange, PATIENCE};
use crate::grin::{Net, Order, Payers};
use crate::options::{Sabotage, Wire};
use crate::oracle::Oracle;
use crate::oracle::grin::Chains;
use crate::seed::Seeds;

/// What a world knows of its Mimblewimble network.
#[derive(Clone, Debug)]
pub(crate) struct Mint {
    /// What is known of all chains.
    pub(crate) chains: Chains,
    payers: Payers,
    /// How often somebody has paid or read.
    acted: u32,
    /// Since when each node has something on its way to the disk.
    held: Vec<Option<Instant>>,
}

impl Mint {
    pub(super) fn new(seeds: &Seeds, net: &Net, nodes: u32) -> Self {
        Self {
            chains: Chains::new(net, nodes),
            payers: Payers::new(seeds, net.clone(), nodes),
            acted: 0,
            held: vec![None; nodes as usize],
        }
    }

    pub(super) fn reseed(&mut self, seeds: &Seeds) {
        self.payers.reseed(seeds);
    }

    /// How often somebody has paid or read.
    pub(super) const fn acted(&self) -> u32 {
        self.acted
    }
}

impl World {
    /// The party that pays and reads.
    pub(super) const fn payer(&self) -> u32 {
        self.party() + 1
    }

    /// Has somebody pay or read after a pause.
    pub(super) fn pay_later(&mut self, engine: &mut Engine<Event>) {
        let payer = self.payer();
        if let Some(mint) = &mut self.mint
            && let Some(pause) = mint.payers.pause()
        {
            engine.after(pause, payer, payer, Event::Pay);
        }
    }

    /// Somebody pays or reads.
    pub(super) fn pay(&mut self, engine: &mut Engine<Event>) {
        if !self.stormy {
            return;
        }
        self.pay_later(engine);
        let Some(mint) = &mut self.mint else { return };
        mint.acted += 1;
        let number = (self.options.work.users + 2, mint.acted);
        let chains = &mint.chains;
        let order = mint.payers.act(&chains.ledger, |node| chains.tip(node));
        let kept = self.options.kept_actions.as_ref();
        if let Some(Order { node, ask }) = order
            && kept.is_none_or(|kept| kept.contains(&number))
        {
            let request = Request::Grin(grin::Request::Ask(ask));
            let (now, payer) = (engine.now(), self.payer());
            let exchange = Exchange::new(now, payer, node, Listener::Api, request);
            self.pose(engine, exchange, PATIENCE);
        }
    }

    /// A node starts with these rows.
    pub(super) fn mint_starts(&mut self, at: u64, node: u32, limits: &Limits, rows: &[Row]) {
        let host = &self.hosts[node as usize];
        let forgot = host.forgot;
        let Some(mint) = &mut self.mint else { return };
        self.findings.looked(Oracle::Grin);
        mint.held[node as usize] = None;
        if let Err(text) = mint.chains.starts(node, limits, rows, forgot) {
            self.findings.miss(at, Some(node), Oracle::Grin, text);
        }
    }

    /// A node is given an input.
    pub(super) fn mint_input(&mut self, now: Now, node: u32, input: &Input) {
        let audited = self.hosts[node as usize].audited;
        if let Some(mint) = self.mint.as_mut().filter(|_| audited) {
            let lie = self.options.sabotage == Some(Sabotage::SecretsTold);
            mint.chains.stem(node).input(now.mono, input, lie);
        }
    }

    /// A node wants something.
    pub(super) fn mint_output(&mut self, at: u64, node: u32, output: &Output) {
        self.check_punished(at, node, output);
        let audited = self.hosts[node as usize].audited;
        let Some(mint) = &mut self.mint else { return };
        let chains = &mut mint.chains;
        let spread = match audited {
            true => chains.stem(node).output(output),
            false => Ok(()),
        };
        let kept = if let Output::Commit { rows, .. } = output {
            chains.written(node, rows.iter())
        } else if let Some((work, hash)) = shown(output) {
            let height = chains.ledger.block(&hash).map(|it| it.header().height());
            let told = chains.told(node, work, hash);
            let host = &self.hosts[node as usize];
            let durable = height.is_none_or(|height| {
                let key = grin::Row::Block(height, None).key();
                height == 0 || host.disk.holds(&key) || host.promises.deleted(&key)
            });
            match durable || !audited {
                true => told,
                false => told.and_then(|()| Err(format!("others are told of {hash}, not durable"))),
            }
        } else {
            Ok(())
        };
        for text in [spread, kept].into_iter().filter_map(Result::err) {
            self.findings.miss(at, Some(node), Oracle::Grin, text);
        }
    }

    /// Nobody is banned for a block or a payment but those who lie, unless what they send is spoiled on
    /// its way.
    fn check_punished(&mut self, at: u64, node: u32, output: &Output) {
        let Output::Event(Told::Grin(grin::Event::PeerPunished { addr, why })) = output else {
            return;
        };
        let honest = self.roster.find(addr);
        let honest = honest.filter(|of| self.hosts[*of as usize].liar.is_none());
        if let (Some(of), true) = (honest, self.options.wire != Wire::Mangled) {
            let text = format!("n{of} is honest and was banned: {why}");
            self.findings.miss(at, Some(node), Oracle::Grin, text);
        }
    }

    /// A node has done what it wanted.
    pub(super) fn mint_done(&mut self, now: Now, node: u32) {
        let host = &self.hosts[node as usize];
        let (Some(mint), Some(machine), true) = (&mut self.mint, &host.node, host.audited) else {
            return;
        };
        let held = &mut mint.held[node as usize];
        *held = match machine.commits_in_flight() {
            0 => None,
            _ => held.or(Some(now.mono)),
        };
        let (alone, held) = (machine.grin().outbound() == 0, *held);
        mint.chains.stem(node).done(alone, held);
    }

    /// Whether a node's chain is what it should be.
    pub(crate) fn audit_mint(&mut self, at: u64, node: u32) {
        let host = &self.hosts[node as usize];
        let (Some(mint), Some(machine), true) = (&mut self.mint, &host.node, host.audited) else {
            return;
        };
        self.findings.looked(Oracle::Grin);
        if let Err(text) = mint.chains.compare(node, machine) {
            self.findings.miss(at, Some(node), Oracle::Grin, text);
        }
    }

    /// What keeps the members of the network among `core` from having one chain, if anything does.
    pub(crate) fn mint_obstacle<'a>(
        &self,
        core: impl Iterator<Item = (u32, &'a Node)> + Clone,
    ) -> Option<String> {
        let net = self.options.grin.as_ref()?;
        let members = core.filter(|(node, _)| net.nodes.holds(*node));
        let mines = members.clone().any(|(node, _)| net.miners.holds(node));
        crate::oracle::grin::obstacle(members, mines)
    }
}

/// Which block others are told is the last, and how much work is in its chain.
fn shown(output: &Output) -> Option<(u64, peerage_core::mw::Hash)> {
    let of_hello = |hello: &Hello| {
        let hash = peerage_core::mw::Hash::from_hex(&hello.tip)?;
        Some((hello.total_difficulty, hash))
    };
    if let Output::Call { request, .. } = output
        && let Request::Grin(grin::Request::Between(_, between)) = request
    {
        if let Between::Announce(header) = between {
            return Some((header.total_difficulty(), header.hash()));
        }
        if let Between::Hello(hello) = between {
            return of_hello(hello);
        }
    } else if let Output::Respond { response, .. } = output
        && let Response::Grin(grin::Response::Hello(hello)) = response
    {
        return of_hello(hello);
    }
    None
}
