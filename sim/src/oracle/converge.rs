//! Once faults stop, all becomes well: pools become equal sets, and everybody finds their peers.

use std::collections::BTreeSet;

use peerage_core::rooms::{Row as AnyRow, chainweb_mempool};
use peerage_core::{Node, Row};

use crate::roster::Roster;

/// Fewest peers that a node must know, if there are as many.
const PEERS_MIN: usize = 3;

/// What keeps the nodes from agreeing, if anything does. `nodes` are those that must agree, as many
/// as `agreeing`, of `total`.
#[must_use]
pub fn obstacle<'a>(
    roster: &Roster,
    nodes: impl Iterator<Item = (u32, &'a Node)> + Clone,
    total: u32,
    agreeing: usize,
) -> Option<String> {
    // A full pool drops what others keep, so nothing can be said of equality.
    if nodes.clone().any(|(_, node)| full(node)) {
        return peers(roster, nodes, total, agreeing);
    }
    // Sizes first: to look at every peer, or every pool, of thousands of nodes is dear.
    sizes(nodes.clone())
        .or_else(|| peers(roster, nodes.clone(), total, agreeing))
        .or_else(|| pools(nodes))
}

/// Whether a pool of the node may have no room for one more command.
fn full(node: &Node) -> bool {
    let limits = &node.config().limits;
    let mut full = false;
    node.gauges(&mut |name, value| {
        full |= name == POOL_GAUGE && value >= limits.pool_max as u64
            || name == "mempool_bytes" && value + COMMAND_BYTES >= limits.pool_bytes_max as u64;
    });
    full
}

/// No command of a workload is larger.
const COMMAND_BYTES: u64 = 2_048;

/// Everybody must know a few others, and nobody may be out of reach of the rest.
fn peers<'a>(
    roster: &Roster,
    nodes: impl Iterator<Item = (u32, &'a Node)>,
    total: u32,
    agreeing: usize,
) -> Option<String> {
    let mut groups = Groups::new(total);
    let mut members = Vec::new();
    for (index, node) in nodes {
        members.push(index);
        let mut known = 0;
        for (_, peer) in node.commons().peers.iter() {
            if let Some(other) = roster
                .find(&peer.info.address)
                .filter(|other| *other != index)
            {
                groups.join(index, other);
                known += 1;
            }
        }
        if known < PEERS_MIN.min(agreeing - 1) {
            return Some(format!("n{index} knows only {known} peers"));
        }
    }
    let first = groups.root(*members.first()?);
    let apart = members
        .iter()
        .find(|member| groups.root(**member) != first)?;
    Some(format!("n{apart} is apart from n{}", members[0]))
}

/// Those of `nodes`, which are in their order, among whom and the rest nobody knows the other's
/// certificate as it is by now: both were renewed while they could not tell each other. No message
/// puts that right, only an operator.
#[must_use]
pub fn estranged(roster: &Roster, nodes: &[(u32, &Node)], total: u32) -> Vec<u32> {
    let mut groups = Groups::new(total);
    // What a node knows of one that is not among them helps nobody.
    let mut members: Vec<u32> = nodes.iter().map(|(index, _)| *index).collect();
    for (index, node) in nodes {
        for (_, peer) in node.commons().peers.iter() {
            let other = roster.find(&peer.info.address);
            if let Some(other) = other.filter(|other| members.binary_search(other).is_ok())
                && (peer.info.id).is_none_or(|id| id == roster.cert(other).fingerprint)
            {
                groups.join(*index, other);
            }
        }
    }
    let first = members.first().map(|first| groups.root(*first));
    members.retain(|member| Some(groups.root(*member)) != first);
    members
}

/// Every pool must be as large as the others.
fn sizes<'a>(nodes: impl Iterator<Item = (u32, &'a Node)>) -> Option<String> {
    let mut sizes = nodes.map(|(index, node)| (index, size(node)));
    let (first, expected) = sizes.next()?;
    let (index, size) = sizes.find(|(_, size)| *size != expected)?;
    Some(format!(
        "n{first} has {expected} pending commands, n{index} has {size}"
    ))
}

/// Every pool must hold the same commands.
fn pools<'a>(nodes: impl Iterator<Item = (u32, &'a Node)>) -> Option<String> {
    let mut pools = nodes.map(|(index, node)| (index, pool(node)));
    let (first, expected) = pools.next()?;
    let (index, _) = pools.find(|(_, pool)| *pool != expected)?;
    Some(format!(
        "n{first} and n{index} have different commands pending"
    ))
}

fn size(node: &Node) -> u64 {
    let mut size = 0;
    node.gauges(&mut |name, value| {
        if name == POOL_GAUGE {
            size += value;
        }
    });
    size
}

/// The mempool room's gauge of pending commands.
const POOL_GAUGE: &str = "mempool_pending";

/// Everything that is pending at a node.
#[must_use]
pub fn pool(node: &Node) -> BTreeSet<(u8, [u8; 32])> {
    node.export()
        .iter()
        .filter_map(|row: &Row| match row {
            AnyRow::ChainwebMempool(chainweb_mempool::Row::Pending(chain, hash, Some(_))) => {
                Some((chain.0, hash.0))
            }
            AnyRow::ChainwebMempool(chainweb_mempool::Row::Pending(_, _, None))
            | AnyRow::Bans(_)
            | AnyRow::ChainwebPeers(_)
            | AnyRow::Cluster(_)
            | AnyRow::Commons(_)
            | AnyRow::Grin(_)
            | AnyRow::Wattswarm(_) => None,
        })
        .collect()
}

/// Who can reach whom, as sets that are joined.
struct Groups(Vec<u32>);

impl Groups {
    fn new(total: u32) -> Self {
        Self((0..total).collect())
    }

    fn root(&mut self, mut member: u32) -> u32 {
        while self.0[member as usize] != member {
            let above = self.0[self.0[member as usize] as usize];
            self.0[member as usize] = above;
            member = above;
        }
        member
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one as usize] = other;
    }
}
