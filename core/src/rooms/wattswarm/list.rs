//! The peer list: whom we have met, how, and whether we are in touch.
//!
//! Rule: WattSwarm `GET /api/peers/list`. A node is listed by its public key, whatever family it was
//! met through, for an hour after it was last seen. It is connected while a session with it is open,
//! and for three minutes after it was last in touch.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Wattswarm;
use super::contact::metadata;
use super::records::{Discovery, Metadata, NodeId, PeerRecord, Relationship, Source};
use super::rows::{Row, Sighting};
use super::shelf::{Listing, Shelf, Shelved};
use crate::commons::Commons;
use crate::commons::bans::BanKey;
use crate::commons::peers::{Peer, PeerKey};
use crate::cx::Cx;
use crate::ids::PublicKey;
use crate::limits::{CONNECTED_MAX, FRESH_MAX_MS};
use crate::time::{Instant, Now, WallTime};

/// A node that was met.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Neighbour {
    id: NodeId,
    key: PublicKey,
    source: Source,
    /// When it was last seen, in Unix milliseconds.
    seen_ms: u64,
    /// When it was last in touch during this run.
    touched: Option<Instant>,
    banned: bool,
    metadata: Option<Arc<Metadata>>,
    relationship: Option<Arc<Relationship>>,
}

impl Shelved for Arc<Neighbour> {
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.id.cmp(&other.id)
    }
}

/// The peer list as it was at one moment. Who is shown is decided when it is written out.
#[derive(Clone, Debug)]
pub enum PeerList {
    /// Of this node.
    Here {
        /// Everybody who was met.
        met: Listing<Arc<Neighbour>>,
        /// When it was asked for.
        now: Now,
        /// With whom there is a session.
        open: BTreeSet<PublicKey>,
        /// Whether the node speaks with others at all.
        network: bool,
    },
    /// As another node answered it.
    Read(Vec<PeerRecord>),
}

impl PeerList {
    /// The records, by node id.
    #[must_use]
    pub fn records(&self) -> Vec<PeerRecord> {
        match self {
            Self::Read(records) => records.clone(),
            Self::Here {
                met,
                now,
                open,
                network,
            } => met
                .iter()
                .filter_map(|neighbour| {
                    let connected = *network && neighbour.connected(*now, open);
                    let shown = connected || neighbour.fresh(*now);
                    shown.then(|| neighbour.record(connected))
                })
                .collect(),
        }
    }
}

impl PartialEq for PeerList {
    fn eq(&self, other: &Self) -> bool {
        self.records() == other.records()
    }
}

impl std::hash::Hash for PeerList {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for record in self.records() {
            record.hash(state);
        }
    }
}

impl Neighbour {
    fn connected(&self, now: Now, open: &BTreeSet<PublicKey>) -> bool {
        let recently = |at: Instant| now.mono.since(at) <= CONNECTED_MAX;
        !self.banned && (open.contains(&self.key) || self.touched.is_some_and(recently))
    }

    fn fresh(&self, now: Now) -> bool {
        super::millis(now.wall).saturating_sub(self.seen_ms) <= FRESH_MAX_MS
    }

    fn record(&self, connected: bool) -> PeerRecord {
        PeerRecord {
            node_id: self.id.clone(),
            connected,
            discovery: Some(Discovery {
                node_id: self.id.clone(),
                source_kind: self.source,
            }),
            metadata: self.metadata.as_deref().cloned(),
            relationship: self.relationship.as_deref().cloned(),
        }
    }

    const fn sighting(&self) -> Sighting {
        Sighting {
            source: self.source,
            minute: self.seen_ms / MINUTE_MS,
        }
    }
}

const MINUTE_MS: u64 = 60_000;

/// Everybody who was met, within bounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbours {
    shelf: Shelf<Arc<Neighbour>>,
    by_age: BTreeSet<(u64, PublicKey)>,
}

impl Neighbours {
    pub(super) const fn len(&self) -> usize {
        self.shelf.len()
    }

    pub(super) fn listing(&self) -> Listing<Arc<Neighbour>> {
        self.shelf.listing()
    }

    pub(super) fn sightings(&self) -> impl Iterator<Item = (PublicKey, Sighting)> {
        self.shelf
            .iter()
            .map(|neighbour| (neighbour.key, neighbour.sighting()))
    }

    fn find(&self, id: &NodeId) -> Option<&Arc<Neighbour>> {
        self.shelf.find(|neighbour| neighbour.id.cmp(id))
    }

    fn put(&mut self, neighbour: Neighbour) {
        if let Some(before) = self.find(&neighbour.id) {
            let age = (before.seen_ms, before.key);
            self.by_age.remove(&age);
        }
        self.by_age.insert((neighbour.seen_ms, neighbour.key));
        self.shelf.put(Arc::new(neighbour));
    }

    /// Forgets who was not seen for the longest time.
    fn evict(&mut self) -> Option<PublicKey> {
        let (_, key) = self.by_age.pop_first()?;
        let id = NodeId::from(key);
        self.shelf.take(|neighbour| neighbour.id.cmp(&id));
        Some(key)
    }

    /// Notes what a node says of itself.
    pub(super) fn describe(&mut self, id: &NodeId, metadata: Option<Metadata>) {
        if let Some(known) = self.find(id) {
            let mut known = Neighbour::clone(known);
            known.metadata = metadata.map(Arc::new);
            self.put(known);
        }
    }

    /// Notes how the relationship with a node stands.
    pub(super) fn relate(&mut self, id: &NodeId, relationship: Option<Relationship>) {
        if let Some(known) = self.find(id) {
            let mut known = Neighbour::clone(known);
            known.relationship = relationship.map(Arc::new);
            self.put(known);
        }
    }

    /// Looks at the ban list again.
    fn judge(&mut self, commons: &Commons, wall: WallTime) {
        let wrong: Vec<Neighbour> = self
            .shelf
            .iter()
            .filter(|known| known.banned != is_banned_key(commons, wall, &known.key))
            .map(|known| Neighbour::clone(known))
            .collect();
        for mut known in wrong {
            known.banned = !known.banned;
            self.put(known);
        }
    }
}

/// Whether a node is under a ban, by its key or by any address or certificate it goes by.
pub(super) fn is_banned_key(commons: &Commons, wall: WallTime, key: &PublicKey) -> bool {
    !commons.bans.is_empty()
        && (commons.bans.covers(wall, &BanKey::Key(*key))
            || commons.peers.of_key(key).any(|peer| peer.is_banned()))
}

impl Wattswarm {
    /// The peer list as it is.
    pub(super) fn list(&self, cx: &Cx<'_, Self>) -> PeerList {
        let commons = cx.commons();
        let open = commons.sessions.iter().filter(|session| session.open);
        PeerList::Here {
            met: self.neighbours.listing(),
            now: cx.now(),
            open: open
                .filter_map(|session| commons.peers.get(session.peer)?.key)
                .collect(),
            network: super::in_network(cx),
        }
    }

    /// A node was met or was in touch.
    pub(super) fn meet(&mut self, cx: &mut Cx<'_, Self>, key: PublicKey, source: Option<Source>) {
        if key == cx.config().identity.public_key {
            return;
        }
        let now = cx.now();
        self.sight(cx, key, source, super::millis(now.wall), Some(now.mono));
    }

    fn sight(
        &mut self,
        cx: &mut Cx<'_, Self>,
        key: PublicKey,
        source: Option<Source>,
        seen_ms: u64,
        touched: Option<Instant>,
    ) {
        let id = NodeId::from(key);
        let known = self.neighbours.find(&id);
        let before = known.map(|known| known.sighting());
        let neighbour = match known {
            Some(known) => Neighbour {
                source: source.unwrap_or(known.source),
                seen_ms,
                touched: touched.or(known.touched),
                ..Neighbour::clone(known)
            },
            None => {
                if self.neighbours.len() >= cx.limits().peers_max
                    && let Some(gone) = self.neighbours.evict()
                {
                    cx.put_lazily(Row::Seen(gone, None));
                }
                Neighbour {
                    key,
                    source: source.unwrap_or(Source::Connected),
                    seen_ms,
                    touched,
                    banned: is_banned_key(cx.commons(), cx.now().wall, &key),
                    metadata: self
                        .contacts
                        .get(&id)
                        .map(|contact| metadata(&id, contact).into()),
                    relationship: self.bond_record(&id).map(Arc::new),
                    id,
                }
            }
        };
        let sighting = neighbour.sighting();
        if before != Some(sighting) {
            cx.put_lazily(Row::Seen(key, Some(sighting)));
        }
        self.neighbours.put(neighbour);
    }

    /// Everybody whom another room knew already when this run began.
    pub(super) fn recall(&mut self, cx: &mut Cx<'_, Self>) {
        let known: Vec<(PublicKey, Source, Option<WallTime>)> = cx
            .commons()
            .peers
            .iter()
            .filter_map(|(_, peer)| Some((peer.key?, source_of(peer), peer.last_success)))
            .collect();
        for (key, source, success) in known {
            let seen_ms = success.map_or(0, super::millis);
            let later = self
                .neighbours
                .find(&NodeId::from(key))
                .is_none_or(|known| known.seen_ms / MINUTE_MS < seen_ms / MINUTE_MS);
            if later && key != cx.config().identity.public_key {
                self.sight(cx, key, Some(source), seen_ms, None);
            }
        }
        self.judge(cx);
    }

    /// Takes back who was seen in a former run.
    pub(super) fn restore_sighting(&mut self, key: PublicKey, sighting: Sighting) {
        let id = NodeId::from(key);
        self.neighbours.put(Neighbour {
            id,
            key,
            source: sighting.source,
            seen_ms: sighting.minute * MINUTE_MS,
            touched: None,
            banned: false,
            metadata: None,
            relationship: None,
        });
    }

    /// Fills in what other tables know of those who were seen, once all rows are back.
    pub(super) fn complete_sightings(&mut self) {
        let ids: Vec<NodeId> = self
            .neighbours
            .shelf
            .iter()
            .map(|known| known.id.clone())
            .collect();
        for id in ids {
            let metadata = self.contacts.get(&id).map(|contact| metadata(&id, contact));
            self.neighbours.describe(&id, metadata);
            let relationship = self.bond_record(&id);
            self.neighbours.relate(&id, relationship);
        }
    }

    /// Another room is in touch with a peer. Returns its id if the peer is known by its key.
    pub(super) fn meet_peer(&mut self, cx: &mut Cx<'_, Self>, peer: PeerKey) -> Option<NodeId> {
        let peer = cx.commons().peers.get(peer)?;
        let (key, source) = (peer.key?, source_of(peer));
        self.meet(cx, key, Some(source));
        Some(NodeId::from(key))
    }

    /// The ban list has changed.
    pub(super) fn judge(&mut self, cx: &Cx<'_, Self>) {
        self.neighbours.judge(cx.commons(), cx.now().wall);
    }
}

const fn source_of(peer: &Peer) -> Source {
    if peer.sticky {
        Source::Bootstrap
    } else if peer.networks.is_empty() {
        Source::Connected
    } else {
        Source::Chainweb
    }
}
