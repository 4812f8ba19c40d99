//! What a Mimblewimble network does by itself: how soon a block is everywhere, how many are in vain,
//! and what all of it costs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use peerage_core::Output;
use peerage_core::mw::Hash;
use peerage_core::rooms::grin::Event;
use peerage_core::rooms::{Event as AnyEvent, Row, grin};
use peerage_core::time::Duration;

use super::Net;
use crate::group::Group;
use crate::options::{Options, Topology};
use crate::run::Run;
use crate::watch::Watch;

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Yield {
    /// The height that most nodes have in the end.
    pub height: u64,
    /// Blocks that were mined.
    pub mined: u64,
    /// How often a node changed to another branch.
    pub reorganised: u64,
    /// Blocks that went in the largest of these.
    pub deepest: u64,
    /// From a block's first node to half of all nodes, in the median, in virtual microseconds.
    pub half_us: u64,
    /// From a block's first node to 95 of a hundred nodes, in the median.
    pub most_us: u64,
    /// Questions that were asked.
    pub messages: u64,
    /// Last blocks that there are in the end.
    pub tips: u64,
    /// Rows that each node exports in the end, of blocks.
    pub blocks_kept: u64,
    /// Events of the simulation.
    pub events: u64,
    /// The fold of everything.
    pub hash: u64,
}

/// What a miner waits for somebody's block. Its luck is a tenth either way, so that of many one makes
/// a block about every minute.
const INTERVAL: Duration = Duration::from_secs(66);
/// Peers that each node is given.
const KNOWN: u32 = 10;
const SECOND: u64 = 1_000_000;

/// Measures a network of so many nodes, all of which mine, for so many virtual hours.
#[must_use]
pub fn measure(seed: u64, nodes: u32, hours: u64) -> Yield {
    let mut options = Options::plain(seed, nodes, hours * 3_600 * SECOND);
    options.audited = 0;
    // Chainweb's sessions are not what is measured.
    options.sessions.cut_max = 0;
    options.sessions.mempool_max = 0;
    options.topology = Topology::Random(KNOWN.min(nodes - 1));
    options.grin = Some(Net {
        miners: Group::All,
        interval: INTERVAL,
        purses: 1,
        payments: 1,
        ..Net::default()
    });
    let duration = options.duration;
    let seen = Blocks::default();
    let mut run = Run::new(options);
    run.watch(Box::new(seen.clone()));
    run.advance(duration);
    let seen = seen.0.borrow();
    let tips: BTreeMap<Hash, u64> = seen.tips(&run);
    let height = tips.values().max().copied().unwrap_or(0);
    let (half_us, most_us) = seen.spread(nodes);
    Yield {
        height,
        mined: seen.mined,
        reorganised: seen.reorganised,
        deepest: seen.deepest,
        half_us,
        most_us,
        messages: run
            .world()
            .messages
            .sorted()
            .iter()
            .map(|(_, many)| many)
            .sum(),
        tips: tips.len() as u64,
        blocks_kept: kept(&run),
        events: run.engine().events(),
        hash: run.hash(),
    }
}

/// Blocks that the first node has.
fn kept(run: &Run) -> u64 {
    let node = run.world().hosts[0].node.as_deref();
    let rows = node.map_or_else(Vec::new, peerage_core::Node::export);
    let blocks = rows
        .iter()
        .filter(|row| matches!(row, Row::Grin(grin::Row::Block(..))));
    blocks.count() as u64
}

/// Sees where blocks come from and where they arrive.
#[derive(Clone, Debug, Default)]
struct Blocks(Rc<RefCell<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    mined: u64,
    reorganised: u64,
    deepest: u64,
    /// When each node took each block.
    taken: BTreeMap<Hash, Vec<u64>>,
}

impl Watch for Blocks {
    fn output(&mut self, at: u64, _node: u32, output: &Output) {
        let Output::Event(AnyEvent::Grin(event)) = output else {
            return;
        };
        let mut seen = self.0.borrow_mut();
        if let Event::BlockAccepted { hash, .. } = event {
            seen.taken.entry(*hash).or_default().push(at);
        } else if let Event::BlockMined { .. } = event {
            seen.mined += 1;
        } else if let Event::Reorganised { depth, .. } = event {
            seen.reorganised += 1;
            seen.deepest = seen.deepest.max(*depth);
        }
    }
}

impl Seen {
    /// The last blocks of all nodes, with their heights.
    fn tips(&self, run: &Run) -> BTreeMap<Hash, u64> {
        let hosts = run.world().hosts.iter();
        let nodes = hosts.filter_map(|host| host.node.as_deref());
        let tips = nodes.map(|node| node.grin().chain().tip());
        tips.map(|tip| (tip.hash(), tip.height())).collect()
    }

    /// How long blocks that reached 95 of a hundred nodes took to half of them, and to that many.
    fn spread(&self, nodes: u32) -> (u64, u64) {
        let nodes = nodes as usize;
        let (half, most) = (nodes.div_ceil(2), (nodes * 95).div_ceil(100));
        let reached = self.taken.values().filter(|times| times.len() >= most);
        let spans = reached.map(|times| (times[half - 1] - times[0], times[most - 1] - times[0]));
        let (mut halves, mut mosts): (Vec<u64>, Vec<u64>) = spans.unzip();
        let median = |all: &mut Vec<u64>| {
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or(0)
        };
        (median(&mut halves), median(&mut mosts))
    }
}
