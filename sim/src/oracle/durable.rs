//! Observed implies durable: nobody may see what a crash could take back.
//!
//! Two looks that know nothing of the node's own gate. The first follows numbers: an answer or a
//! call needs the newest commit that touched its room or the commons before it was made. The second
//! follows meaning: a peer in a page, an accepted PUT, a confirmed ban must lie on the disk at the
//! moment the answer leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerage_core::commons::Row as CommonsRow;
use peerage_core::commons::address::HostAddr;
use peerage_core::commons::bans::BanKey;
use peerage_core::rooms::wattswarm::records::NodeId;
use peerage_core::rooms::{bans, chainweb_peers, wattswarm};
use peerage_core::rows::Record;
use peerage_core::{Request, Response, Row, Scope};

/// What one node has issued, and what it was told is durable.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    newest: [u64; Scope::COUNT],
    issued: u64,
    persisted: u64,
    /// Keys that were deleted; a page made before that may still show them.
    deleted: BTreeSet<Vec<u8>>,
}

impl Promises {
    /// A commit was issued; tells the number that it should have had, if it has another.
    pub fn commit(&mut self, seq: u64, rows: &[Row], audited: bool) -> Result<(), u64> {
        let expected = self.issued + 1;
        self.issued = seq;
        for row in rows {
            if !row.lazy() {
                self.newest[row.scope() as usize] = seq;
            }
            if audited && row.deletes() {
                self.deleted.insert(row.key());
            }
        }
        if seq == expected {
            Ok(())
        } else {
            Err(expected)
        }
    }

    /// The node was told that everything up to `upto` is durable.
    pub fn persisted(&mut self, upto: u64) {
        self.persisted = self.persisted.max(upto);
    }

    /// The newest commit of which something in `scope` may tell.
    #[must_use]
    pub fn need(&self, scope: Scope) -> u64 {
        self.newest[scope as usize].max(self.newest[Scope::Commons as usize])
    }

    /// Whether the node was told that `need` is durable.
    #[must_use]
    pub const fn covers(&self, need: u64) -> bool {
        need <= self.persisted
    }

    /// Whether the node ever deleted `key`.
    #[must_use]
    pub fn deleted(&self, key: &[u8]) -> bool {
        self.deleted.contains(key)
    }

    /// The node starts again and counts from one.
    pub fn restart(&mut self) {
        *self = Self {
            deleted: std::mem::take(&mut self.deleted),
            ..Self::default()
        };
    }
}

/// The keys of which `response` says that they are there.
#[must_use]
pub fn shown(request: &Request, response: &Response) -> Vec<Vec<u8>> {
    match (request, response) {
        (
            Request::Bans(bans::Request {
                addr,
                command: bans::Command::Ban,
            }),
            Response::Bans(bans::Response::Done),
        ) => vec![ban_key(addr)],
        (
            Request::ChainwebPeers(chainweb_peers::Request::Put { peer, .. }),
            Response::ChainwebPeers(chainweb_peers::Response::Added),
        ) => vec![peer_key(&peer.address)],
        (_, Response::ChainwebPeers(chainweb_peers::Response::Page(page))) => page
            .items
            .iter()
            .map(|peer| peer_key(&peer.address))
            .collect(),
        (Request::Wattswarm(request), Response::Wattswarm(response)) => {
            let rows = told(request, response);
            rows.iter().map(Record::key).collect()
        }
        _ => Vec::new(),
    }
}

/// The relationships, conversations and messages that are there, as rows of which only the keys
/// matter.
fn told(request: &wattswarm::Request, response: &wattswarm::Response) -> Vec<wattswarm::Row> {
    use wattswarm::{Parcel, Request, Response, Row, Taken};

    let message = |thread: &Arc<str>, id: &Arc<str>| Row::Message(thread.clone(), id.clone(), None);
    match (request, response) {
        (Request::Act(_), Response::Queued { remote, .. }) => {
            let id = NodeId::new(remote).ok();
            id.map(|id| Row::Pair(id, None)).into_iter().collect()
        }
        (Request::Send(_), Response::Sent(posted)) => {
            vec![message(&posted.thread_id, &posted.message_id)]
        }
        (Request::Deliver(delivery), Response::Receipt(receipt)) => {
            let Parcel::Letters(letters) = &delivery.parcel else {
                return Vec::new();
            };
            let kept = letters.iter().zip(&receipt.results);
            kept.filter(|(_, taken)| matches!(taken, Taken::Applied | Taken::Repeated))
                .map(|(letter, _)| message(&letter.thread_id, &letter.message_id))
                .collect()
        }
        (_, Response::Messages { thread, messages }) => (messages.iter())
            .map(|shown| message(thread, &shown.message_id))
            .collect(),
        (_, Response::Threads(threads)) => (threads.iter())
            .map(|thread| Row::Thread(thread.thread_id.clone(), None))
            .collect(),
        (_, Response::Relationships(all)) => (all.iter())
            .map(|relations| Row::Pair(relations.remote_node_id.clone(), None))
            .collect(),
        _ => Vec::new(),
    }
}

fn peer_key(addr: &HostAddr) -> Vec<u8> {
    CommonsRow::Peer(addr.clone(), None).key()
}

fn ban_key(addr: &HostAddr) -> Vec<u8> {
    CommonsRow::Ban(BanKey::of_address(addr), None).key()
}

/// Compares a node's state with its disk. Tables of hints are looked at if `hints` are all written.
///
/// # Errors
/// The first difference, in words.
pub fn compare(export: Vec<Row>, disk: Vec<Row>, hints: bool) -> Result<(), String> {
    let table = |rows: Vec<Row>| -> BTreeMap<Vec<u8>, Row> {
        rows.into_iter()
            .filter(|row| hints || !row.lazy())
            .map(|row| (row.key(), row))
            .collect()
    };
    let (node, disk) = (table(export), table(disk));
    for (key, row) in &node {
        match disk.get(key) {
            None => return Err(format!("{row:?} is not on the disk")),
            Some(stored) if stored != row => {
                return Err(format!("{row:?} lies on the disk as {stored:?}"));
            }
            Some(_) => {}
        }
    }
    match disk.iter().find(|(key, _)| !node.contains_key(*key)) {
        Some((_, row)) => Err(format!("{row:?} is on the disk only")),
        None => Ok(()),
    }
}
