//! What can be seen of a node's cluster from outside: how large it is, which, and who is in it.

use peerage_core::Node;
use peerage_core::ids::{ClusterId, PeerId};
use peerage_core::rooms::Row as AnyRow;
use peerage_core::rooms::cluster::Row;

/// How many nodes a node has in its cluster, itself included.
#[must_use]
pub fn size(node: &Node) -> u64 {
    let mut size = 1;
    node.gauges(&mut |name, value| {
        if name == "cluster_peers" {
            size += value;
        }
    });
    size
}

/// Which cluster a node is in.
#[must_use]
pub fn cluster(node: &Node) -> ClusterId {
    let own = rows(node).find_map(|row| match row {
        Row::Own(own) => own,
        Row::Bought(_)
        | Row::Credential(..)
        | Row::Member(..)
        | Row::Shared(_)
        | Row::Tombstone(..)
        | Row::Used(..) => None,
    });
    let alone = node.config().cluster.peer_id.own_cluster();
    own.map_or(alone, |own| own.cluster_id)
}

/// Whether a node has a peer in its cluster.
#[must_use]
pub fn knows(node: &Node, peer: PeerId) -> bool {
    rows(node).any(|row| matches!(row, Row::Member(id, Some(_)) if id == peer))
}

fn rows(node: &Node) -> impl Iterator<Item = Row> {
    node.export().into_iter().filter_map(|row| {
        if let AnyRow::Cluster(row) = row {
            Some(row)
        } else {
            None
        }
    })
}
