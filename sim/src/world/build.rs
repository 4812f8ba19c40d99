//! How a world is made: its nodes' settings, disks and clocks, and what happens without a cause.
//!
//! Everything here is drawn from the seed. What nodes do once they run is decided elsewhere.

use std::collections::BTreeSet;

use peerage_core::commons::network::{ChainwebVersion, NodeVersion};
use peerage_core::http::Site;
use peerage_core::{Config, Outbox};

use super::grin::Mint;
use super::judge::AUDIT_EVERY;
use super::{Event, World};
use crate::byzantine::Liar;
use crate::cluster::{Clusters, Stranger};
use crate::disk::{Disk, DiskFault};
use crate::engine::Engine;
use crate::exchange::Exchanges;
use crate::grin::Spoiler;
use crate::group::Group;
use crate::host::Host;
use crate::nemesis::{self, Fault, Kind};
use crate::network::Network;
use crate::options::{Options, Sabotage, Topology};
use crate::oracle::Findings;
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};
use crate::trace::Tally;
use crate::verify::Memo;
use crate::watch::Watchers;
use crate::workload::Workload;

impl World {
    /// The world of a run, and the engine that drives it.
    #[must_use]
    pub fn new(options: Options) -> (Self, Engine<Event>) {
        let seeds = Seeds::new(options.seed);
        let (nodes, users) = (options.nodes, options.work.users);
        let roster = Roster::new(seeds, nodes);
        let mut luck = seeds.family("world").luck(0);
        let disks = seeds.family("disks");
        let fault = match options.sabotage {
            Some(Sabotage::DamageIgnored) => Some(DiskFault::Blind),
            Some(Sabotage::DiskEarly) => Some(DiskFault::Early),
            Some(Sabotage::DiskHoards) => Some(DiskFault::Hoards),
            _ => None,
        };
        let mut faults = nemesis::draw::draw(&seeds, &options.faults, nodes, options.duration);
        faults.extend_from_slice(&options.more_faults);
        nemesis::sort(&mut faults);
        let crashes = faults.iter().any(|fault| fault.what.needs_disk());
        let named = |kind: Kind| -> Vec<u32> {
            let faults = faults.iter().filter(|fault| fault.what.kind() == kind);
            let groups: Vec<&Group> = faults.map(|fault| fault.what.groups().0).collect();
            (0..nodes)
                .filter(|node| groups.iter().any(|group| group.holds(*node)))
                .collect()
        };
        let (late, lost) = (named(Kind::Join), named(Kind::Lose));
        let liars = liars(&seeds, &options);
        let out: BTreeSet<u32> = lost.iter().chain(&liars).copied().collect();
        let core = core(&seeds, &options, &out);
        // Audited nodes are spread evenly.
        let stride = nodes.div_ceil(options.audited.max(1));
        let hosts: Vec<Host> = (0..nodes)
            .map(|node| {
                let audited = options.audited > 0 && node % stride == 0;
                let disk = Disk::new(
                    disks.luck(node.into()),
                    options.wire,
                    audited || crashes,
                    fault,
                );
                let skew = luck.below(2 * options.skew + 1) as i64 - options.skew as i64;
                Host::new(disk, skew, audited)
            })
            .collect();
        let mut hosts = hosts;
        for node in &liars {
            let social = options.work.social.sum() > 0;
            let mut liar = Liar::new(&seeds, *node, nodes, options.chains, social);
            let clusters = options.clusters.clone();
            liar.stranger = clusters.map(|of| Stranger::new(&seeds, *node, nodes, of));
            let net = options.grin.as_ref();
            liar.spoiler = net.map(|_| Spoiler::new(&seeds, *node, nodes));
            hosts[*node as usize].liar = Some(Box::new(liar));
        }
        let mut engine = Engine::new((nodes + users + 3) as usize);
        if options.shuffle {
            engine.shuffle(seeds.family("ties").luck(0).bits());
        }
        let starts = seeds.family("starts");
        for node in (0..nodes).filter(|node| late.binary_search(node).is_err()) {
            let at = starts.luck(node.into()).below(1_000_000);
            engine.at(at, node, node, Event::Start);
        }
        for node in &liars {
            engine.at(1_000_000, *node, *node, Event::Lie);
        }
        for (number, scripted) in (0..).zip(options.script.iter()) {
            let party = nodes + users;
            engine.at(scripted.at, party, party, Event::Scripted(number));
        }
        let world = nodes + users + 1;
        for (index, fault) in faults.iter().enumerate() {
            engine.at(fault.at, world, world, Event::Fault(index as u32));
        }
        engine.at(AUDIT_EVERY, world, world, Event::Audit);
        for user in 0..users {
            engine.at(1_500_000, nodes + user, nodes + user, Event::User);
        }
        let mint = options.grin.as_ref();
        let mint = mint.map(|net| Box::new(Mint::new(&seeds, net, nodes)));
        let mut world = Self {
            workload: Workload::new(&seeds, &options),
            network: Network::new(
                options.links.clone(),
                nodes,
                users + 3,
                seeds.family("network"),
            ),
            site: Site {
                network: ChainwebVersion::Development,
                chains: options.chains,
            },
            version: NodeVersion::new(&[2, 32, 0]),
            seeds,
            roster,
            hosts,
            exchanges: Exchanges::default(),
            memo: Memo::default(),
            mint,
            findings: Findings::default(),
            faults,
            core,
            watchers: Watchers::default(),
            messages: Tally::default(),
            told: Tally::default(),
            failures: Tally::default(),
            faults_done: Tally::default(),
            answers: vec![None; options.script.len()],
            stormy: true,
            current: None,
            verdicts: Vec::new(),
            verdicts_free: Vec::new(),
            outbox: Outbox::new(),
            luck,
            audit_next: 0,
            options,
        };
        world.pay_later(&mut engine);
        (world, engine)
    }

    /// Whom a node is given as peers when it starts.
    #[must_use]
    pub fn known_at_start(&self, node: u32) -> Vec<peerage_core::commons::address::PeerInfo> {
        self.config(node).known_peers
    }

    /// Plans one fault more.
    pub(crate) fn plan(&mut self, engine: &mut Engine<Event>, fault: Fault) {
        let world = self.party();
        let number = self.faults.len() as u32;
        engine.at(fault.at, world, world, Event::Fault(number));
        self.faults.push(fault);
    }

    /// All luck but that of the nodes themselves comes from another seed from now on.
    pub(crate) fn reseed(&mut self, seed: u64) {
        let seeds = Seeds::new(seed);
        self.network.reseed(seeds.family("network"));
        self.workload.reseed(&seeds);
        if let Some(mint) = &mut self.mint {
            mint.reseed(&seeds);
        }
        let (disks, liars) = (seeds.family("disks"), seeds.family("liars"));
        for (node, host) in (0..).zip(&mut self.hosts) {
            host.disk.reseed(disks.luck(node));
            if let Some(liar) = &mut host.liar {
                liar.reseed(liars.luck(node));
            }
        }
    }

    /// The settings of a node.
    pub(super) fn config(&self, node: u32) -> Config {
        let options = &self.options;
        let identity = self.roster.identity(node);
        let mut config = Config::new(ChainwebVersion::Development, identity, Roster::addr(node));
        config.chains = options.chains;
        match (&options.grin, &self.mint) {
            (Some(net), Some(mint)) => {
                net.configure(mint.chains.ledger.purses(), node, &mut config);
            }
            (_, _) => config.grin.links_max = 0,
        }
        config.ban_window = options.ban_window;
        config.sessions = options.sessions.clone();
        config.limits = options.limits.clone();
        if self.hosts[node as usize].plight.old {
            // An older release had smaller tables.
            config.limits.peers_max = config.limits.peers_max.div_ceil(2).max(4);
            config.limits.calls_max = config.limits.calls_max.div_ceil(2).max(16);
        }
        if let Some(clusters) = &options.clusters {
            clusters.configure(&self.seeds, node, &mut config);
            if self.hosts[node as usize].plight.old && !clusters.sold {
                // With the older release come the settings of that time.
                config.cluster.licence.id = Clusters::former_licence();
            }
        }
        for variant in &options.variants {
            if variant.nodes.holds(node) {
                config.ban_window = variant.ban_window;
                config.sessions = variant.sessions.clone();
                config.limits = variant.limits.clone();
            }
        }
        let named = self.hosts[node as usize].named;
        let mut luck = self.seeds.family("topology").luck(node.into());
        let mut known = self.known(node, &mut luck);
        known.sort_unstable();
        known.dedup();
        known.retain(|other| *other != node);
        config.known_peers = known
            .into_iter()
            .map(|other| {
                let mut info = self.roster.info(other);
                // Some operators give no identity; it is filled in at first contact.
                let unsaid = luck.chance(100_000) && !named;
                info.id = info.id.filter(|_| !unsaid);
                info
            })
            .collect();
        config
    }

    /// Whom a node is given to begin with.
    fn known(&self, node: u32, luck: &mut Luck) -> Vec<u32> {
        let nodes = self.options.nodes;
        let mut some = |many: u32| -> Vec<u32> {
            (0..many).map(|_| luck.below(nodes.into()) as u32).collect()
        };
        match &self.options.topology {
            // The ring, so that all are connected.
            Topology::Neighbours => {
                let mut known = vec![self.before(node)];
                known.extend(some(self.options.known_peers.saturating_sub(1)));
                known
            }
            Topology::Ring => vec![self.before(node)],
            Topology::Full => (0..nodes).collect(),
            Topology::Random(many) => some(*many),
            Topology::ScaleFree(many) => scale_free(&self.seeds, node, *many),
            Topology::Edges(edges) => {
                let from = edges.iter().filter(|(from, _)| *from == node);
                from.map(|(_, to)| *to).collect()
            }
        }
    }

    /// The nearest node before this one in the ring that is of the core as the node is.
    fn before(&self, node: u32) -> u32 {
        let nodes = self.options.nodes;
        let ring = (1..nodes).map(|step| (node + nodes - step) % nodes);
        let like = |other: &u32| self.core.holds(*other) == self.core.holds(node);
        ring.clone()
            .find(like)
            .unwrap_or((node + nodes - 1) % nodes)
    }
}

/// Whom a node of a scale-free network knows: of those before it, each the likelier the more others
/// know it already. The nodes before are gone through again, so that no order of starts matters.
fn scale_free(seeds: &Seeds, node: u32, many: u32) -> Vec<u32> {
    let family = seeds.family("scale-free");
    // Each end of each edge once: to draw from this is to prefer those that are known by many.
    let mut ends: Vec<u32> = (0..=many).collect();
    let mut known = Vec::new();
    for next in 1..=node {
        let mut luck = family.luck(next.into());
        known.clear();
        for _ in 0..many.min(next) {
            let other = if next <= many {
                luck.below(next.into()) as u32
            } else {
                ends[luck.index(ends.len())]
            };
            known.push(other);
        }
        if next > many {
            ends.extend_from_slice(&known);
            ends.extend(std::iter::repeat_n(next, known.len()));
        }
    }
    known
}

/// Who lies.
fn liars(seeds: &Seeds, options: &Options) -> Vec<u32> {
    let mut luck = seeds.family("liars").luck(u64::MAX);
    let mut all: Vec<u32> = (0..options.nodes).collect();
    let many = options.liars.min(options.nodes / 2);
    (0..many)
        .map(|_| all.swap_remove(luck.index(all.len())))
        .collect()
}

/// Who must become well in the end: an arc of the ring, without those that are lost for ever, and
/// those that lie.
fn core(seeds: &Seeds, options: &Options, out: &BTreeSet<u32>) -> Group {
    if options.core >= 1_000 && out.is_empty() {
        return Group::All;
    }
    let nodes = options.nodes;
    let size = (u64::from(nodes) * u64::from(options.core)).div_ceil(1_000) as u32;
    let first = seeds.family("core").luck(0).below(nodes.into()) as u32;
    let arc = (0..size.clamp(2, nodes)).map(|step| (first + step) % nodes);
    Group::of(arc.filter(|node| !out.contains(node)))
}
