//! How things spread: for each, when each node had it first.

use std::collections::HashMap;

use peerage_core::Event;
use peerage_core::rooms::chainweb_mempool;
use serde::Serialize;

/// Most arrivals that are kept one by one.
const ARRIVALS_MAX: usize = 4_000_000;
/// Most points of one thing's curve where it is written down.
const POINTS_MAX: usize = 400;

/// One thing that spreads.
#[derive(Clone, Debug)]
struct Item {
    name: String,
    what: String,
    first_at: u64,
    first_node: u32,
    /// One bit per node.
    has: Box<[u64]>,
    /// Time since the first, for each node that had it, in order.
    delays: Vec<u64>,
}

/// Everything that spreads.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    nodes: u32,
    numbers: HashMap<Thing, usize>,
    items: Vec<Item>,
    /// Things that came when there was no room to follow them.
    pub(super) unfollowed: u64,
    arrivals: usize,
}

/// How far one thing came.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Curve {
    pub(super) name: String,
    /// What it is, for a person.
    pub(super) what: String,
    /// When and where it was first, in microseconds.
    pub(super) at: u64,
    pub(super) node: u32,
    /// How many nodes had it.
    pub(super) reached: u32,
    /// Microseconds until half, nine of ten, and 99 of 100 nodes had it.
    pub(super) t50_us: Option<u64>,
    pub(super) t90_us: Option<u64>,
    pub(super) t99_us: Option<u64>,
    /// Microseconds until the last of those that had it.
    pub(super) last_us: u64,
    /// Microseconds until so many nodes (in `counts`) had it.
    pub(super) delays_us: Vec<u64>,
    pub(super) counts: Vec<u32>,
}

/// Over all things: how long it takes until a share of the nodes has one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Percentiles {
    /// Percent of all nodes.
    pub(super) share: Vec<u32>,
    /// Microseconds within which half, nine of ten, and 99 of 100 things came so far.
    pub(super) p50_us: Vec<Option<u64>>,
    pub(super) p90_us: Vec<Option<u64>>,
    pub(super) p99_us: Vec<Option<u64>>,
}

/// What spreads: a transaction, by its chain and hash.
type Thing = (u8, [u8; 32]);

impl Spread {
    pub(super) fn new(nodes: u32) -> Self {
        Self {
            nodes,
            numbers: HashMap::new(),
            items: Vec::new(),
            unfollowed: 0,
            arrivals: 0,
        }
    }

    /// A node tells of something: perhaps that it has a thing from now on.
    pub(super) fn told(&mut self, at: u64, node: u32, event: &Event) {
        if let Event::ChainwebMempool(chainweb_mempool::Event::TxAccepted { chain, hash }) = event {
            self.arrives(at, node, (chain.0, hash.0), || {
                (
                    format!("{hash}@{chain}"),
                    format!("transaction on chain {chain}"),
                )
            });
        }
    }

    fn arrives(
        &mut self,
        at: u64,
        node: u32,
        thing: Thing,
        names: impl FnOnce() -> (String, String),
    ) {
        let number = match self.numbers.get(&thing) {
            Some(number) => *number,
            None if self.arrivals + self.nodes as usize > ARRIVALS_MAX => {
                self.unfollowed += 1;
                return;
            }
            None => {
                self.arrivals += self.nodes as usize;
                self.numbers.insert(thing, self.items.len());
                let (name, what) = names();
                self.items.push(Item {
                    name,
                    what,
                    first_at: at,
                    first_node: node,
                    has: vec![0; (self.nodes as usize).div_ceil(64)].into(),
                    delays: Vec::new(),
                });
                self.items.len() - 1
            }
        };
        let item = &mut self.items[number];
        let (word, bit) = (node as usize / 64, 1 << (node % 64));
        if item.has[word] & bit == 0 {
            item.has[word] |= bit;
            item.delays.push(at - item.first_at);
        }
    }

    /// How many things are followed.
    pub(super) const fn len(&self) -> usize {
        self.items.len()
    }

    /// The curve of each.
    pub(super) fn curves(&self) -> Vec<Curve> {
        self.items.iter().map(|item| self.curve(item)).collect()
    }

    fn curve(&self, item: &Item) -> Curve {
        let reached = item.delays.len();
        let stride = reached.div_ceil(POINTS_MAX).max(1);
        let points = (0..reached).filter(|at| at % stride == 0 || at + 1 == reached);
        let (delays_us, counts) = points
            .map(|at| (item.delays[at], at as u32 + 1))
            .collect::<Vec<_>>()
            .into_iter()
            .unzip();
        Curve {
            name: item.name.clone(),
            what: item.what.clone(),
            at: item.first_at,
            node: item.first_node,
            reached: reached as u32,
            t50_us: self.until(item, 50),
            t90_us: self.until(item, 90),
            t99_us: self.until(item, 99),
            last_us: item.delays.last().copied().unwrap_or(0),
            delays_us,
            counts,
        }
    }

    /// How long it took until so many percent of all nodes had it.
    fn until(&self, item: &Item, percent: u32) -> Option<u64> {
        let nodes = (u64::from(self.nodes) * u64::from(percent)).div_ceil(100);
        item.delays.get((nodes as usize).max(1) - 1).copied()
    }

    /// The percentiles over all things.
    pub(super) fn percentiles(&self) -> Percentiles {
        let mut result = Percentiles {
            share: (1..=100).collect(),
            p50_us: Vec::new(),
            p90_us: Vec::new(),
            p99_us: Vec::new(),
        };
        for percent in 1..=100 {
            let mut times: Vec<u64> = (self.items.iter())
                .map(|item| self.until(item, percent).unwrap_or(u64::MAX))
                .collect();
            times.sort_unstable();
            let rank = |part: usize| -> Option<u64> {
                let place = (times.len() * part).div_ceil(100).max(1) - 1;
                times.get(place).copied().filter(|time| *time < u64::MAX)
            };
            result.p50_us.push(rank(50));
            result.p90_us.push(rank(90));
            result.p99_us.push(rank(99));
        }
        result
    }
}
