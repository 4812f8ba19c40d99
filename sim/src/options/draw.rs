//! What a world is like of which nothing was said.

use std::sync::Arc;

use peerage_core::config::Sessions;
use peerage_core::limits::Limits;
use peerage_core::time::Duration;

use super::{MS, Options, SECOND, Social, Topology, Wire, Work};
use crate::cluster::Clusters;
use crate::disk::DiskSpeed;
use crate::grin::Net;
use crate::group::Group;
use crate::latency::Latency;
use crate::nemesis::Kind;
use crate::nemesis::draw::{Rate, Rates};
use crate::network::Links;
use crate::seed::{Luck, Seeds};

/// Nodes of a drawn world in which there may be clusters.
const CLUSTERED_MAX: u32 = 64;
/// Nodes of a drawn world in which there may be a Mimblewimble network.
const MINTED_MAX: u32 = 16;
/// How far ahead a clock jumps at most where blocks are mined: twice what a block may be.
const JUMP_MINING_MAX: u64 = 600 * SECOND;

impl Options {
    /// The options of the run with this seed.
    #[must_use]
    pub fn drawn(seed: u64, nodes: u32, duration: u64, faults: bool) -> Self {
        let luck = &mut Seeds::new(seed).family("options").luck(0);
        let large = nodes > 1_000;
        // Draws are made in any case, so that no switch shifts what comes after it.
        let chains = if large { 1 } else { 1 + luck.below(3) as u8 };
        let links = links(luck, faults);
        let disk = DiskSpeed {
            floor: luck.range(100, 2 * MS),
            spread: luck.range(100, 10 * MS),
            stall_chance: one_in(luck, 3, faults, 5_000),
            stall: luck.range(10 * MS, SECOND),
        };
        let rates = rates(luck, faults, nodes);
        let sessions = sessions(luck, large);
        let limits = limits(luck, nodes, large);
        let work = work(luck, nodes, duration);
        let ban_window = Duration::from_secs(luck.range(5, 60));
        let settle = 120 * SECOND
            + 8 * peerage_core::time::micros(sessions.poll_interval)
            + peerage_core::time::micros(ban_window);
        let mut options = Self {
            seed,
            nodes,
            duration,
            settle,
            wire: Wire::Typed,
            chains,
            known_peers: luck.range(2, 5) as u32,
            links,
            disk,
            faults: rates,
            more_faults: Vec::new(),
            shuffle: false,
            core: 1_000,
            liars: 0,
            topology: Topology::Neighbours,
            variants: Vec::new(),
            users_on: Group::All,
            script: Arc::from([]),
            kept_actions: None,
            work,
            clusters: None,
            grin: None,
            sessions,
            limits,
            ban_window,
            skew: luck.range(0, 2 * SECOND),
            audited: nodes.min(256),
            sabotage: None,
        };
        if luck.below(6) == 0 && faults && !large {
            options.enrage();
        }
        if faults {
            options.widen(&mut Seeds::new(seed).family("options").luck(1));
            options.found(&mut Seeds::new(seed).family("clusters").luck(0));
            options.mint(&mut Seeds::new(seed).family("grin").luck(0));
        }
        options.befriend(&mut Seeds::new(seed).family("options").luck(2), faults);
        options
    }

    /// Clusters, in some runs only, and none in worlds in which all know all would be too much.
    fn found(&mut self, luck: &mut Luck) {
        let mut clusters = Clusters::drawn(luck, self.nodes);
        if luck.below(3) == 0 && self.nodes <= CLUSTERED_MAX {
            // Drawn last, so that it shifts nothing.
            clusters.work.init = luck.below(5) as u32;
            self.settle += clusters.settle();
            self.clusters = Some(clusters);
        }
    }

    /// A Mimblewimble network, in some small runs only, since each block costs a range proof.
    fn mint(&mut self, luck: &mut Luck) {
        let net = Net::drawn(luck, self.nodes, self.duration);
        if luck.below(4) == 0 && self.nodes <= MINTED_MAX {
            self.settle += net.settle();
            // What is mined with a clock that is ahead is taken by others once that time has come.
            self.faults.jump_max = JUMP_MINING_MAX;
            self.grin = Some(net);
        }
    }

    /// Everything at once: what a gentle run meets once a day happens every few seconds.
    fn enrage(&mut self) {
        for (kind, every, lasts) in [(Kind::Crash, 2, 3), (Kind::Partition, 8, 10)] {
            let rate = self.faults.of_mut(kind);
            rate.every = rate.every.min(every * SECOND);
            rate.lasts = rate.lasts.min(lasts * SECOND);
        }
        self.disk.stall_chance = 50_000;
        self.links.request_loss = 50_000;
        self.links.answer_loss = 50_000;
        self.work.pause = self.work.pause.min(200 * MS);
        self.work.ban = 4;
        self.work.put = 10;
    }

    /// Tables and queues that are so small that their edges are met, each in some runs only.
    fn tighten(&mut self, luck: &mut Luck) {
        let mut few = |bound: &mut usize, from: u64, to: u64| {
            let drawn = luck.range(from, to) as usize;
            if luck.below(8) == 0 && self.nodes <= 1_000 {
                *bound = drawn;
            }
        };
        let limits = &mut self.limits;
        few(&mut limits.bans_max, 3, 20);
        few(&mut limits.calls_max, 6, 30);
        few(&mut limits.calls_per_peer_max, 2, 16);
        few(&mut limits.lookup_slice_max, 1, 20);
        few(&mut limits.pool_bytes_max, 3_000, 100_000);
        few(&mut limits.pool_max, 3, 60);
        few(&mut limits.push_queue_max, 1, 50);
        few(&mut limits.recent_log_max, 1, 60);
        few(&mut limits.verifies_max, 4, 60);
    }

    /// The other kinds of faults, each in some runs only.
    fn widen(&mut self, luck: &mut Luck) {
        // A few times per node and hour in large worlds, more often in small ones.
        let crowd = u64::from(self.nodes.clamp(10, 100));
        for kind in Kind::ALL {
            let on = luck.below(4) == 0;
            let every = luck.range(5 * SECOND, 60 * SECOND) * 10 / crowd;
            let lasts = luck.range(100 * MS, 20 * SECOND);
            if on && !matches!(kind, Kind::Crash | Kind::Partition | Kind::Stop) {
                *self.faults.of_mut(kind) = Rate { every, lasts };
            }
        }
        self.links.refuse_chance = one_in(luck, 4, true, 20_000);
        self.links.reset_chance = one_in(luck, 4, true, 20_000);
        self.links.impostor_chance = one_in(luck, 4, true, 10_000);
        self.links.mangle_chance = one_in(luck, 2, true, 20_000);
        self.links.latency = match (luck.below(8), self.links.latency) {
            (0, Latency::Uniform(from, to)) => Latency::Exponential(from, to),
            (1, Latency::Uniform(_, to)) => Latency::LogNormal(to, 800),
            (2, Latency::Uniform(from, to)) => Latency::Normal(to, from),
            (_, latency) => latency,
        };
        self.tighten(luck);
        let chains = luck.range(8, 21) as u8;
        if luck.below(16) == 0 && self.nodes <= 12 {
            self.chains = chains;
        }
        let (rush, fresh_max) = (luck.range(10 * MS, 80 * MS), luck.range(100, 3_000) as u32);
        if luck.below(8) == 0 && self.nodes <= 12 {
            self.work.pause = rush;
            self.work.fresh_max = self.work.fresh_max.max(fresh_max);
            self.work.insert = self.work.insert.max(20);
        }
        self.shuffle = luck.below(2) == 0;
        self.core = if luck.below(3) == 0 {
            luck.range(500, 1_000) as u32
        } else {
            1_000
        };
        let liars = luck.range(1, 4) as u32;
        if luck.below(4) == 0 {
            self.liars = liars.min(self.nodes / 5);
        }
    }
}

/// `value` in one of `parts` runs with faults, else zero.
fn one_in(luck: &mut Luck, parts: u64, on: bool, value: u32) -> u32 {
    let hit = luck.below(parts) == 0;
    let drawn = luck.below(u64::from(value) + 1) as u32;
    if on && hit { drawn } else { 0 }
}

fn links(luck: &mut Luck, faults: bool) -> Links {
    let floor = luck.range(MS, 40 * MS);
    let spread = luck.range(MS, 80 * MS);
    Links {
        slow_chance: one_in(luck, 2, faults, 20_000),
        slow: luck.range(SECOND, 8 * SECOND),
        request_loss: one_in(luck, 2, faults, 30_000),
        answer_loss: one_in(luck, 2, faults, 30_000),
        hangup_chance: luck.range(0, 1_000_001) as u32,
        late_chance: luck.range(0, 1_000_001) as u32,
        ..Links::sound(Latency::Uniform(floor, floor + spread))
    }
}

fn rates(luck: &mut Luck, faults: bool, nodes: u32) -> Rates {
    // A few times per node and hour in large worlds, more often in small ones.
    let crash_every = luck.range(2 * SECOND, 40 * SECOND) * 10 / u64::from(nodes.clamp(10, 100));
    let cut_every = luck.range(10 * SECOND, 90 * SECOND);
    let (crashes, cuts) = (luck.below(4) > 0, luck.below(3) > 0);
    let mut rates = Rates::default();
    let down_for = luck.range(50 * MS, 20 * SECOND);
    rates.drain_chance = luck.range(0, 500_000) as u32;
    let cut_for = luck.range(SECOND, 40 * SECOND);
    if faults && crashes {
        *rates.of_mut(Kind::Crash) = Rate {
            every: crash_every,
            lasts: down_for,
        };
    }
    if faults && cuts {
        *rates.of_mut(Kind::Partition) = Rate {
            every: cut_every,
            lasts: cut_for,
        };
    }
    rates
}

fn sessions(luck: &mut Luck, large: bool) -> Sessions {
    let base = Sessions::default();
    let poll = luck.range(2, 16);
    let (cut, mempool) = (luck.range(20, 241), luck.range(20, 301));
    if large {
        return base;
    }
    Sessions {
        cut_length: Duration::from_secs(cut),
        mempool_length: Duration::from_secs(mempool),
        poll_interval: Duration::from_secs(poll),
        ..base
    }
}

fn limits(luck: &mut Luck, nodes: u32, large: bool) -> Limits {
    // Large worlds have small tables: not everybody can know everybody.
    let base = Limits::default();
    let peers_max = match nodes {
        0..=200 => base.peers_max,
        201..=1_000 => 128,
        _ => 64,
    };
    let base = Limits { peers_max, ..base };
    let tight = luck.below(6) == 0;
    let calls_max = luck.range(24, 200) as usize;
    let requests_max = luck.range(8, 100) as usize;
    let commits_max = luck.range(8, 64);
    let probes_max = luck.range(2, 32) as usize;
    let peers_few = luck.range(6, 40) as usize;
    if large || !tight {
        return base;
    }
    Limits {
        calls_max,
        requests_max,
        commits_max,
        peers_max: peers_few,
        probes_max,
        probes_per_source_max: probes_max.min(base.probes_per_source_max),
        ..base
    }
}

fn work(luck: &mut Luck, nodes: u32, duration: u64) -> Work {
    let users = (nodes / 4).clamp(2, 64);
    let pause = luck.range(100 * MS, 4 * SECOND);
    let weight = |luck: &mut Luck| {
        if luck.below(5) == 0 {
            0
        } else {
            luck.range(1, 20) as u32
        }
    };
    // Few enough that every pool holds them all, and that ten thousand nodes share them quickly.
    let fresh_max = (duration / SECOND * 4).clamp(20, 2_000) as u32;
    Work {
        users,
        pause,
        fresh_max,
        insert: 1 + weight(luck),
        repeat: weight(luck),
        invalid: weight(luck),
        read: weight(luck),
        page: weight(luck),
        put: weight(luck),
        // Bans in small number, or nobody would be left to talk to.
        ban: weight(luck).div_ceil(8),
        social: Social::default(),
    }
}
