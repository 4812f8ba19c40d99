//! How a world is made: its nodes' settings, disks and clocks, and what happens without a cause.
//!
//! Everything here is drawn from the seed. What nodes do once they run is decided elsewhere.

use peerage_core::commons::network::{ChainwebVersion, NodeVersion};
use peerage_core::http::Site;
use peerage_core::{Config, Outbox};

use super::judge::AUDIT_EVERY;
use super::{Event, World};
use crate::disk::{Disk, DiskFault};
use crate::engine::Engine;
use crate::exchange::Exchanges;
use crate::host::Host;
use crate::nemesis::{self, What};
use crate::network::Network;
use crate::options::{Options, Sabotage};
use crate::oracle::Findings;
use crate::roster::Roster;
use crate::seed::Seeds;
use crate::trace::{Log, Tally};
use crate::verify::Memo;
use crate::workload::Workload;

impl World {
    /// The world of a run, and the engine that drives it.
    #[must_use]
    pub fn new(options: Options, log: Log) -> (Self, Engine<Event>) {
        let seeds = Seeds::new(options.seed);
        let (nodes, users) = (options.nodes, options.work.users);
        let roster = Roster::new(seeds, nodes);
        let mut luck = seeds.family("world").luck(0);
        let disks = seeds.family("disks");
        let fault = match options.sabotage {
            Some(Sabotage::DiskEarly) => Some(DiskFault::Early),
            Some(Sabotage::DiskHoards) => Some(DiskFault::Hoards),
            _ => None,
        };
        let mut faults = nemesis::draw(&seeds, &options);
        faults.extend_from_slice(&options.more_faults);
        nemesis::sort(&mut faults);
        let crashes = faults
            .iter()
            .any(|fault| matches!(fault.what, What::Crash { .. }));
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
        let mut engine = Engine::new((nodes + users + 1) as usize);
        let starts = seeds.family("starts");
        for node in 0..nodes {
            let at = starts.luck(node.into()).below(1_000_000);
            engine.at(at, node, node, Event::Start);
        }
        let world = nodes + users;
        for (index, fault) in faults.iter().enumerate() {
            engine.at(fault.at, world, world, Event::Fault(index as u32));
        }
        engine.at(AUDIT_EVERY, world, world, Event::Audit);
        for user in 0..users {
            engine.at(1_500_000, nodes + user, nodes + user, Event::User);
        }
        let world = Self {
            workload: Workload::new(&seeds, &options),
            network: Network::new(options.links.clone(), nodes, users, seeds.family("network")),
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
            findings: Findings::default(),
            faults,
            log,
            messages: Tally::default(),
            told: Tally::default(),
            failures: Tally::default(),
            faults_done: Tally::default(),
            stormy: true,
            current: None,
            verdicts: Vec::new(),
            verdicts_free: Vec::new(),
            outbox: Outbox::new(),
            luck,
            audit_next: 0,
            options,
        };
        (world, engine)
    }

    /// The settings of a node.
    pub(super) fn config(&self, node: u32) -> Config {
        let options = &self.options;
        let identity = self.roster.identity(node);
        let mut config = Config::new(ChainwebVersion::Development, identity, Roster::addr(node));
        config.chains = options.chains;
        config.ban_window = options.ban_window;
        config.sessions = options.sessions.clone();
        config.limits = options.limits.clone();
        // The one before in a ring, so that all are connected, and a few at random.
        let mut luck = self.seeds.family("topology").luck(node.into());
        let mut known = vec![(node + options.nodes - 1) % options.nodes];
        for _ in 1..options.known_peers {
            known.push(luck.below(options.nodes.into()) as u32);
        }
        known.sort_unstable();
        known.dedup();
        known.retain(|other| *other != node);
        config.known_peers = known
            .into_iter()
            .map(|other| {
                let mut info = self.roster.info(other);
                // Some operators give no identity; it is filled in at first contact.
                info.id = info.id.filter(|_| !luck.chance(100_000));
                info
            })
            .collect();
        config
    }
}
