//! Once faults stop, whoever is in a cluster knows the same of it: who is in it, who has left, which
//! cluster it is.
//!
//! A deletion is local and lasts, so two nodes may differ where one of them was told to forget a
//! peer. Nobody else may: a peer that is known must know us too, whom it knows we know, and who has
//! left is nobody's peer any more.

use std::collections::BTreeMap;

use peerage_core::Node;
use peerage_core::ids::{PeerId, PublicKey};
use peerage_core::rooms::Row as AnyRow;
use peerage_core::rooms::cluster::credentials::SharedCredential;
use peerage_core::rooms::cluster::record::Record;
use peerage_core::rooms::cluster::{Member, Own, Row, Tombstone};

use crate::roster::Roster;

/// What a node holds of its cluster.
struct Table {
    index: u32,
    id: PeerId,
    key: PublicKey,
    own: Option<Own>,
    licence: (String, Option<String>),
    members: BTreeMap<PeerId, Member>,
    gone: BTreeMap<PeerId, Tombstone>,
    shared: Option<SharedCredential>,
    has_secret: bool,
    nodes_max: usize,
}

impl Table {
    fn of(index: u32, node: &Node) -> Self {
        let config = &node.config().cluster;
        let mut licence = config.licence.clone();
        let mut table = Self {
            index,
            id: config.peer_id,
            key: node.config().identity.public_key,
            own: None,
            licence: Default::default(),
            members: BTreeMap::new(),
            gone: BTreeMap::new(),
            shared: None,
            has_secret: config.secret.is_some(),
            nodes_max: 0,
        };
        for row in node.export() {
            let AnyRow::Cluster(row) = row else { continue };
            match row {
                Row::Bought(Some(bought)) if licence.is_developers() => licence = bought.licence,
                Row::Member(id, Some(member)) => {
                    table.members.insert(id, *member);
                }
                Row::Own(own) => table.own = own,
                Row::Shared(shared) => table.shared = shared.map(|shared| *shared),
                Row::Tombstone(id, Some(gone)) => {
                    table.gone.insert(id, *gone);
                }
                Row::Bought(_)
                | Row::Credential(..)
                | Row::Member(_, None)
                | Row::Tombstone(_, None)
                | Row::Used(..) => {}
            }
        }
        table.nodes_max = licence.nodes_max as usize;
        table.licence = (licence.id, licence.customer_id);
        table
    }

    fn has_left(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.left_s.is_some())
    }

    fn is_full(&self) -> bool {
        self.members.len() + 1 >= self.nodes_max
    }

    /// Whether it may be without a peer: it was told to forget it; or it knows that the peer left,
    /// and the peer has lost its disk since then, and does not know; or somebody else came first
    /// under the peer's name, which only a shared secret prevents.
    fn may_miss(&self, id: PeerId, peer: &Self) -> bool {
        let gone = self.gone.get(&id).map(|gone| &gone.record);
        let held = self.members.get(&id).map(|member| &member.record);
        let version = peer.own.as_ref().map_or(0, |own| own.version);
        self.deleted(id)
            || gone.is_some_and(|gone| gone.version >= version)
            || gone
                .or(held)
                .is_some_and(|record| record.public_key != peer.key)
            || self.is_full()
    }

    /// Whether it was told to forget the peer, and does.
    fn deleted(&self, peer: PeerId) -> bool {
        let gone = self.gone.get(&peer);
        gone.is_some_and(Tombstone::is_deletion)
    }

    /// The key that a name goes by here.
    fn key_of(&self, id: PeerId) -> Option<PublicKey> {
        let held = self.members.get(&id).map(|member| &member.record);
        let held = held.or_else(|| self.gone.get(&id).map(|gone| &gone.record));
        let own = (id == self.id).then_some(self.key);
        own.or_else(|| held.map(|record| record.public_key))
    }

    /// Whether another node has a newer credential, from somebody whom this node believes.
    fn lacks_credential_of(&self, other: &Self) -> bool {
        let Some(theirs) = other.shared.as_ref().filter(|_| self.has_secret) else {
            return false;
        };
        let rank = |it: &SharedCredential| (it.version, it.rotated_s, it.rotated_by);
        let left = self.gone.get(&theirs.rotated_by);
        let left = left.filter(|gone| !gone.is_deletion());
        let left = left.and_then(|gone| gone.record.deactivated_at);
        self.shared
            .as_ref()
            .is_none_or(|ours| rank(ours) < rank(theirs))
            && self.key_of(theirs.rotated_by) == other.key_of(theirs.rotated_by)
            && (self.members.contains_key(&theirs.rotated_by)
                || left.is_some_and(|left_s| theirs.rotated_s <= left_s))
    }

    fn has_licence_of(&self, other: &Self) -> bool {
        match (&self.licence.1, &other.licence.1) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.licence.0 == other.licence.0,
        }
    }
}

/// What keeps the clusters' nodes from agreeing, if anything does.
#[must_use]
pub fn obstacle<'a>(
    roster: &Roster,
    nodes: impl Iterator<Item = (u32, &'a Node)>,
) -> Option<String> {
    let tables: BTreeMap<PeerId, Table> = nodes
        .map(|(index, node)| (roster.cluster_peer(index), Table::of(index, node)))
        .collect();
    let all = Tables(tables);
    all.0
        .keys()
        .find_map(|id| all.one_sided(*id).or_else(|| all.unlike(*id)))
}

struct Tables(BTreeMap<PeerId, Table>);

impl Tables {
    /// The peers of a node that are here to be asked, with their tables.
    fn peers<'a>(&'a self, of: &'a Table) -> impl Iterator<Item = (PeerId, &'a Table, &'a Member)> {
        of.members.iter().filter_map(|(id, member)| {
            let table = self.0.get(id)?;
            (member.record.public_key == table.key).then_some((*id, table, member))
        })
    }

    /// Whether two nodes may be without each other although both are in one cluster.
    fn may_differ(one: (PeerId, &Table), other: (PeerId, &Table)) -> bool {
        one.1.may_miss(other.0, other.1)
            || other.1.may_miss(one.0, one.1)
            || !one.1.has_licence_of(other.1)
    }

    /// A node's peer that has left, or does not know the node.
    fn one_sided(&self, id: PeerId) -> Option<String> {
        let table = &self.0[&id];
        if table.has_left() {
            return None;
        }
        self.peers(table).find_map(|(other, theirs, _)| {
            let (index, of) = (table.index, theirs.index);
            if theirs.has_left() {
                return Some(format!("n{of} has left, n{index} has it"));
            }
            let knows = theirs.members.contains_key(&id);
            (!knows && !Self::may_differ((id, table), (other, theirs)))
                .then(|| format!("n{index} has n{of} in its cluster, but not the other way round"))
        })
    }

    /// What a node and one that it is in touch with know differently.
    fn unlike(&self, id: PeerId) -> Option<String> {
        let table = &self.0[&id];
        if table.has_left() {
            return None;
        }
        let mutual = self.peers(table).filter(|(_, theirs, _)| {
            // Somebody else may have come there first under this node's name.
            let known = theirs.members.contains_key(&id);
            known && theirs.key_of(id) == Some(table.key) && !theirs.has_left()
        });
        for (_, theirs, member) in mutual {
            let (index, of) = (table.index, theirs.index);
            if let (Some(own), Some(their)) = (&table.own, &theirs.own)
                && own.cluster_id != their.cluster_id
            {
                return Some(format!("n{index} and n{of} are in different clusters"));
            }
            if let Some(text) = theirs
                .own
                .as_ref()
                .and_then(|own| stale(&member.record, own))
            {
                return Some(format!("n{index} knows n{of} {text}"));
            }
            if table.lacks_credential_of(theirs) || theirs.lacks_credential_of(table) {
                return Some(format!("n{index} and n{of} share different credentials"));
            }
            if let Some(third) = self.third((id, table), theirs) {
                return Some(third);
            }
        }
        None
    }

    /// Somebody whom a node's peer knows and the node does not, or the other way round with those
    /// that have left.
    fn third(&self, one: (PeerId, &Table), via: &Table) -> Option<String> {
        let (index, between) = (one.1.index, via.index);
        for (id, third, _) in self.peers(via).filter(|(id, _, _)| *id != one.0) {
            if third.has_left() || one.1.members.contains_key(&id) {
                continue;
            }
            if !Self::may_differ(one, (id, third)) {
                let of = third.index;
                return Some(format!("n{index} does not know n{of}, n{between} does"));
            }
        }
        let left = via.gone.iter().find(|(id, gone)| {
            let held = one.1.members.get(*id);
            !gone.record.is_active()
                && held.is_some_and(|held| {
                    held.record.version < gone.record.version
                        && held.record.public_key == gone.record.public_key
                })
        });
        left.map(|(id, _)| format!("n{index} has not heard that {id} left, n{between} has"))
    }
}

/// What is out of date about a record, if anything is. A node that lost its disk is reminded of what
/// it once said, and goes on from there.
fn stale(record: &Record, own: &Own) -> Option<&'static str> {
    if record.version < own.version {
        Some("as it was before")
    } else if record.version > own.version {
        Some("as it was before it lost its disk")
    } else if record.version == own.version && record.address != own.address {
        Some("at another address")
    } else {
        None
    }
}
