//! The one peer table: one record per address, whatever family it was met through.
//!
//! Rules: Chainweb's peer database (insert, merge, replace, prune), with two differences. A
//! configured peer stays configured when it is merged, and the table is durable and bounded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::commons::Row;
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::NetworkId;
use crate::ids::{Fingerprint, PublicKey};
use crate::limits::{PEER_FAILURES_MAX, PEER_SILENCE_MAX};
use crate::rooms::Scope;
use crate::rows::Journal;
use crate::slots::{Slot, Slots};
use crate::time::WallTime;

/// Names a peer's entry; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(Slot);

/// One peer as we know it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What we tell others about it.
    pub info: PeerInfo,
    /// Its public key, once it has proved one.
    pub key: Option<PublicKey>,
    /// Where it was met.
    pub networks: Networks,
    /// Failed sessions and synchronisations since the last good one.
    pub failures: u32,
    /// When it was last reached or announced.
    pub last_success: Option<WallTime>,
    /// Sessions with it, over all networks.
    pub sessions: u32,
    /// Configured by the operator: never forgotten.
    pub sticky: bool,
    mark: u64,
}

/// A set of networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(transparent)]
pub struct Networks(u32);

impl Networks {
    /// The set of one network.
    #[must_use]
    pub const fn of(network: NetworkId) -> Self {
        Self(1 << network.index())
    }

    /// Whether `network` is in the set.
    #[must_use]
    pub const fn contains(self, network: NetworkId) -> bool {
        self.0 & (1 << network.index()) != 0
    }

    /// Everything in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn indices(self) -> impl Iterator<Item = usize> {
        (0..32).filter(move |index| self.0 & (1 << index) != 0)
    }
}

/// A peer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct PeerRecord {
    /// `host:port`, in the spelling it was announced with.
    pub address: String,
    /// The certificate's fingerprint as base64url, if the peer goes by one.
    pub id: Option<String>,
    /// The peer's public key in hex, if it has proved one.
    pub key: Option<String>,
    /// Bit 0 is the cut network, bit `n + 1` the mempool of chain `n`.
    pub networks: Networks,
}

/// How reachable a peer was, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Liveness {
    /// Failures since the last success.
    pub failures: u32,
    /// Microseconds since the Unix epoch.
    pub last_success_us: Option<u64>,
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// Nothing: the table is full of peers that must stay.
    Full,
    /// The address was known under this identity; its networks were united.
    Merged,
    /// The address is new.
    New,
    /// The address was known under another identity, and only the new one remains.
    Replaced,
}

/// The peer table.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    slots: Slots<Peer>,
    by_addr: BTreeMap<HostAddr, PeerKey>,
    /// How many entries go by each certificate.
    by_id: BTreeMap<Fingerprint, u32>,
    /// By network, in the order of the marks: whoever is shown to others.
    listings: Vec<Vec<(u64, PeerKey)>>,
    version: u64,
}

impl Peers {
    /// How many peers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_addr.is_empty()
    }

    /// Grows with every change of what is shown to others.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The entry for `addr`.
    #[must_use]
    pub fn find(&self, addr: &HostAddr) -> Option<(PeerKey, &Peer)> {
        let key = *self.by_addr.get(addr)?;
        Some((key, self.slots.get(key.0)?))
    }

    /// The entry named `key`, while it lasts.
    #[must_use]
    pub fn get(&self, key: PeerKey) -> Option<&Peer> {
        self.slots.get(key.0)
    }

    /// Whether some peer goes by this certificate.
    #[must_use]
    pub fn knows_fingerprint(&self, id: &Fingerprint) -> bool {
        self.by_id.contains_key(id)
    }

    /// All entries, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (PeerKey, &Peer)> {
        self.by_addr
            .values()
            .filter_map(|key| Some((*key, self.slots.get(key.0)?)))
    }

    /// Whom others are shown for `network`: peers without failures, in an order that is random but
    /// stays. Rule: Chainweb, `GET {network}/peer`.
    #[must_use]
    pub fn listing(&self, network: NetworkId) -> &[(u64, PeerKey)] {
        self.listings
            .get(network.index() as usize)
            .map_or(&[], Vec::as_slice)
    }

    /// Adds a peer of `network`, or merges it with what is known. `mark` decides its place in
    /// listings if it is new.
    pub(crate) fn insert(
        &mut self,
        journal: &mut Journal,
        info: PeerInfo,
        network: NetworkId,
        at: Insertion,
    ) -> Inserted {
        let networks = Networks::of(network);
        if let Some(key) = self.by_addr.get(&info.address).copied() {
            let peer = self
                .slots
                .get_mut(key.0)
                .expect("every address leads to an entry");
            if peer.info.id.is_some() && peer.info.id != info.id {
                let (sessions, old) = (peer.sessions, peer.info.id);
                self.unlist(key);
                self.drop_id(old);
                self.note_id(info.id);
                *self.slots.get_mut(key.0).expect("the entry was just there") = Peer {
                    sessions,
                    ..Peer::new(info, networks, at)
                };
                self.changed(journal, key);
                return Inserted::Replaced;
            }
            let grown = peer.networks.union(networks);
            let same = grown == peer.networks;
            peer.networks = grown;
            peer.last_success = peer.last_success.max(at.success);
            peer.sticky |= at.sticky;
            if same {
                self.note_liveness(journal, key);
            } else {
                self.changed(journal, key);
            }
            return Inserted::Merged;
        }
        if self.len() >= at.peers_max && !self.evict(journal) {
            return Inserted::Full;
        }
        let addr = info.address.clone();
        self.note_id(info.id);
        let key = PeerKey(self.slots.insert(Peer::new(info, networks, at)));
        self.by_addr.insert(addr, key);
        self.changed(journal, key);
        Inserted::New
    }

    /// Counts a failed session or synchronisation.
    pub(crate) fn failed(&mut self, journal: &mut Journal, key: PeerKey) {
        let Some(peer) = self.slots.get_mut(key.0) else {
            return;
        };
        peer.failures = peer.failures.saturating_add(1);
        self.relist(key);
        self.note_liveness(journal, key);
    }

    /// Counts a good session: failures are forgotten.
    pub(crate) fn succeeded(&mut self, journal: &mut Journal, key: PeerKey, wall: WallTime) {
        let Some(peer) = self.slots.get_mut(key.0) else {
            return;
        };
        peer.failures = 0;
        peer.last_success = Some(wall);
        self.relist(key);
        self.note_liveness(journal, key);
    }

    /// Fills in what a handshake has proved: an identity where there was none, and the key.
    pub(crate) fn proved(
        &mut self,
        journal: &mut Journal,
        key: PeerKey,
        id: Option<Fingerprint>,
        public_key: Option<PublicKey>,
    ) {
        let Some(peer) = self.slots.get_mut(key.0) else {
            return;
        };
        let id = peer.info.id.or(id);
        let public_key = public_key.or(peer.key);
        if (peer.info.id, peer.key) != (id, public_key) {
            let filled = id.filter(|_| peer.info.id.is_none());
            peer.info.id = id;
            peer.key = public_key;
            self.note_id(filled);
            self.changed(journal, key);
        }
    }

    /// A session with the peer began.
    pub(crate) fn session_began(&mut self, key: PeerKey) {
        if let Some(peer) = self.slots.get_mut(key.0) {
            peer.sessions += 1;
        }
    }

    /// A session with the peer is over.
    pub(crate) fn session_ended(&mut self, key: PeerKey) {
        if let Some(peer) = self.slots.get_mut(key.0) {
            peer.sessions = peer.sessions.saturating_sub(1);
        }
    }

    /// Forgets a peer.
    pub(crate) fn remove(&mut self, journal: &mut Journal, key: PeerKey) {
        self.unlist(key);
        let Some(peer) = self.slots.remove(key.0) else {
            return;
        };
        self.drop_id(peer.info.id);
        let addr = peer.info.address;
        self.by_addr.remove(&addr);
        journal.put_lazily(Row::Liveness(addr.clone(), None).into());
        journal.put(Scope::Commons, Row::Peer(addr, None).into());
    }

    /// Forgets peers that fail and were silent for long. Rule: Chainweb, `prunePeerDb`.
    pub(crate) fn prune(&mut self, journal: &mut Journal, wall: WallTime) -> usize {
        let lost: Vec<PeerKey> = self
            .iter()
            .filter(|(_, peer)| {
                peer.failures > PEER_FAILURES_MAX
                    && !peer.sticky
                    && peer.sessions == 0
                    && peer
                        .last_success
                        .is_none_or(|at| wall.since(at) > PEER_SILENCE_MAX)
            })
            .map(|(key, _)| key)
            .collect();
        for key in &lost {
            self.remove(journal, *key);
        }
        lost.len()
    }

    pub(crate) fn restore(&mut self, addr: HostAddr, record: &PeerRecord, mark: u64) -> bool {
        let id = record.id.as_deref().map(str::parse).transpose();
        let key = record.key.as_deref().map(str::parse).transpose();
        let (Ok(id), Ok(public_key)) = (id, key) else {
            return false;
        };
        let at = Insertion {
            success: None,
            sticky: false,
            mark,
            peers_max: usize::MAX,
        };
        let mut peer = Peer::new(PeerInfo::new(id, addr.clone()), record.networks, at);
        peer.key = public_key;
        self.note_id(id);
        let key = PeerKey(self.slots.insert(peer));
        self.by_addr.insert(addr, key);
        self.relist(key);
        true
    }

    pub(crate) fn restore_liveness(&mut self, addr: &HostAddr, liveness: &Liveness) {
        let Some(key) = self.by_addr.get(addr).copied() else {
            return;
        };
        if let Some(peer) = self.slots.get_mut(key.0) {
            peer.failures = liveness.failures;
            peer.last_success = liveness.last_success_us.map(WallTime::from_micros);
        }
        self.relist(key);
    }

    pub(crate) fn export(&self, rows: &mut Vec<crate::rooms::Row>) {
        for (_, peer) in self.iter() {
            rows.push(Row::Peer(peer.info.address.clone(), Some(peer.record())).into());
            rows.push(Row::Liveness(peer.info.address.clone(), Some(peer.liveness())).into());
        }
    }

    /// Makes room by forgetting the least useful peer.
    fn evict(&mut self, journal: &mut Journal) -> bool {
        let worst = self
            .iter()
            .filter(|(_, peer)| !peer.sticky && peer.sessions == 0 && peer.failures > 0)
            .max_by_key(|(_, peer)| (peer.failures, core::cmp::Reverse(peer.last_success)))
            .map(|(key, _)| key);
        worst.is_some_and(|key| {
            self.remove(journal, key);
            true
        })
    }

    fn note_id(&mut self, id: Option<Fingerprint>) {
        if let Some(id) = id {
            *self.by_id.entry(id).or_default() += 1;
        }
    }

    fn drop_id(&mut self, id: Option<Fingerprint>) {
        let Some(id) = id else { return };
        if let Some(count) = self.by_id.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.by_id.remove(&id);
            }
        }
    }

    fn changed(&mut self, journal: &mut Journal, key: PeerKey) {
        self.version += 1;
        self.relist(key);
        if let Some(peer) = self.slots.get(key.0) {
            let row = Row::Peer(peer.info.address.clone(), Some(peer.record()));
            journal.put(Scope::Commons, row.into());
        }
        self.note_liveness(journal, key);
    }

    fn note_liveness(&self, journal: &mut Journal, key: PeerKey) {
        if let Some(peer) = self.slots.get(key.0) {
            let row = Row::Liveness(peer.info.address.clone(), Some(peer.liveness()));
            journal.put_lazily(row.into());
        }
    }

    /// Puts the peer into the listings it belongs in, or takes it out if it fails.
    fn relist(&mut self, key: PeerKey) {
        let Some(peer) = self.slots.get(key.0) else {
            return;
        };
        if peer.failures > 0 {
            return self.unlist(key);
        }
        let entry = (peer.mark, key);
        for index in peer.networks.indices() {
            if self.listings.len() <= index {
                self.listings.resize_with(index + 1, Vec::new);
            }
            if let Err(place) = self.listings[index].binary_search(&entry) {
                self.listings[index].insert(place, entry);
                self.version += 1;
            }
        }
    }

    fn unlist(&mut self, key: PeerKey) {
        let Some(peer) = self.slots.get(key.0) else {
            return;
        };
        let entry = (peer.mark, key);
        for index in peer.networks.indices() {
            let Some(listing) = self.listings.get_mut(index) else {
                continue;
            };
            if let Ok(place) = listing.binary_search(&entry) {
                listing.remove(place);
                self.version += 1;
            }
        }
    }
}

/// The circumstances of an insertion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insertion {
    pub(crate) success: Option<WallTime>,
    pub(crate) sticky: bool,
    pub(crate) mark: u64,
    pub(crate) peers_max: usize,
}

impl Peer {
    fn new(info: PeerInfo, networks: Networks, at: Insertion) -> Self {
        Self {
            info,
            key: None,
            networks,
            failures: 0,
            last_success: at.success,
            sessions: 0,
            sticky: at.sticky,
            mark: at.mark,
        }
    }

    fn record(&self) -> PeerRecord {
        PeerRecord {
            address: self.info.address.to_string(),
            id: self.info.id.map(|id| id.to_string()),
            key: self.key.map(|key| key.to_string()),
            networks: self.networks,
        }
    }

    fn liveness(&self) -> Liveness {
        Liveness {
            failures: self.failures,
            last_success_us: self.last_success.map(WallTime::as_micros),
        }
    }
}
