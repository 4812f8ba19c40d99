//! The one peer table: one record per address, whatever family it was met through.
//!
//! Rules: Chainweb's peer database (insert, merge, replace, prune), with two differences. A
//! configured peer stays configured when it is merged, and the table is durable and bounded.

mod orders;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::orders::{Orders, Places};
use crate::commons::Row;
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::NetworkId;
use crate::ids::{Fingerprint, PublicKey};
use crate::limits::{PEER_SILENCE_MAX, PRUNED_MAX};
use crate::rooms::Scope;
use crate::rows::Journal;
use crate::slots::{Slot, Slots};
use crate::time::WallTime;

/// Names a peer's entry; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(Slot);

impl PeerKey {
    const FIRST: Self = Self(Slot::FIRST);
    const LAST: Self = Self(Slot::LAST);
}

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
    banned: bool,
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

    /// Whether it is empty: the peer was met by a family that has no networks.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
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
    orders: Orders,
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

    /// Grows with every change of what others are shown for `network`.
    #[must_use]
    pub fn version(&self, network: NetworkId) -> u64 {
        self.orders.version(network)
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
        self.orders.holds_id(id)
    }

    /// Everybody who has proved this key; one node may be known at several addresses.
    pub fn of_key(&self, key: &PublicKey) -> impl Iterator<Item = &Peer> {
        self.orders.of_key(key).filter_map(|key| self.get(key))
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
        self.orders.listing(network)
    }

    /// The peers of `network` that are not banned, grouped by their failures, fewest first.
    pub(crate) fn groups(&self, network: NetworkId) -> impl Iterator<Item = &[(u64, PeerKey)]> {
        self.orders.groups(network)
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
        if let Some((key, peer)) = self.find(&info.address)
            && peer.networks.is_empty()
        {
            // Another family knew the address alone.
            self.change(key, |peer| peer.info.id = info.id);
        }
        if let Some((key, peer)) = self.find(&info.address) {
            if peer.info.id.is_some() && peer.info.id != info.id {
                let sessions = peer.sessions;
                // An operator's peer is one of all networks, whatever certificate it has by now.
                let kept = Some(peer.networks).filter(|_| peer.sticky);
                let fresh = Peer {
                    sessions,
                    ..Peer::new(info, kept.map_or(networks, |kept| kept.union(networks)), at)
                };
                self.change(key, |peer| *peer = fresh);
                self.record(journal, key);
                return Inserted::Replaced;
            }
            let grown = peer.networks.union(networks);
            let same = grown == peer.networks;
            self.change(key, |peer| {
                peer.networks = grown;
                peer.last_success = peer.last_success.max(at.success);
                peer.sticky |= at.sticky;
            });
            if same {
                self.note_liveness(journal, key);
            } else {
                self.record(journal, key);
            }
            return Inserted::Merged;
        }
        if self.len() >= at.peers_max && !self.evict(journal) {
            return Inserted::Full;
        }
        let addr = info.address.clone();
        let key = self.add(Peer::new(info, networks, at));
        self.by_addr.insert(addr, key);
        self.record(journal, key);
        Inserted::New
    }

    /// Notes that whoever holds `key` was reached at an address. Somebody new is of no network, so no
    /// page shows it; the place of somebody who went by another identity there is left alone.
    pub(crate) fn met(
        &mut self,
        journal: &mut Journal,
        info: PeerInfo,
        public_key: PublicKey,
        at: Insertion,
    ) {
        if let Some((key, peer)) = self.find(&info.address) {
            if peer.info.id.is_none() || peer.info.id == info.id {
                self.proved(journal, key, None, Some(public_key));
            }
            return;
        }
        self.enter(journal, info, public_key, at);
    }

    /// Adds a peer that no network of this table has met, or notes the key of one that is known. A
    /// table without room does without it.
    pub(crate) fn acquaint(
        &mut self,
        journal: &mut Journal,
        addr: &HostAddr,
        key: PublicKey,
        at: Insertion,
    ) {
        if let Some((known, _)) = self.find(addr) {
            return self.proved(journal, known, None, Some(key));
        }
        self.enter(journal, PeerInfo::new(None, addr.clone()), key, at);
    }

    /// Adds somebody who is of no network, if there is room.
    fn enter(
        &mut self,
        journal: &mut Journal,
        info: PeerInfo,
        public_key: PublicKey,
        at: Insertion,
    ) {
        if self.len() >= at.peers_max && !self.evict(journal) {
            return;
        }
        let addr = info.address.clone();
        let mut peer = Peer::new(info, Networks::default(), at);
        peer.key = Some(public_key);
        let key = self.add(peer);
        self.by_addr.insert(addr, key);
        self.record(journal, key);
    }

    /// Forgets a peer that was only acquainted.
    pub(crate) fn unacquaint(&mut self, journal: &mut Journal, addr: &HostAddr) {
        if let Some((key, peer)) = self.find(addr)
            && peer.networks.is_empty()
        {
            self.remove(journal, key);
        }
    }

    /// Gives the peer back the identity it was configured with.
    pub(crate) fn reset_id(
        &mut self,
        journal: &mut Journal,
        key: PeerKey,
        id: Option<Fingerprint>,
    ) {
        if self.get(key).is_some_and(|peer| peer.info.id != id) {
            self.change(key, |peer| {
                peer.info.id = id;
                peer.key = None;
            });
            self.record(journal, key);
        }
    }

    /// Counts a failed session or synchronisation.
    pub(crate) fn failed(&mut self, journal: &mut Journal, key: PeerKey) {
        self.change(key, |peer| peer.failures = peer.failures.saturating_add(1));
        self.note_liveness(journal, key);
    }

    /// Counts a good session: failures are forgotten.
    pub(crate) fn succeeded(&mut self, journal: &mut Journal, key: PeerKey, wall: WallTime) {
        self.change(key, |peer| {
            peer.failures = 0;
            peer.last_success = Some(wall);
        });
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
        let Some(peer) = self.get(key) else {
            return;
        };
        let id = peer.info.id.or(id);
        let public_key = public_key.or(peer.key);
        if (peer.info.id, peer.key) != (id, public_key) {
            self.change(key, |peer| {
                peer.info.id = id;
                peer.key = public_key;
            });
            self.record(journal, key);
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

    /// Takes a peer out of sight because of a ban, or brings it back.
    pub(crate) fn set_banned(&mut self, key: PeerKey, banned: bool) {
        if self.get(key).is_some_and(|peer| peer.banned != banned) {
            self.change(key, |peer| peer.banned = banned);
        }
    }

    /// Forgets a peer.
    pub(crate) fn remove(&mut self, journal: &mut Journal, key: PeerKey) {
        let Some(peer) = self.slots.remove(key.0) else {
            return;
        };
        self.orders.leave(&Places::of(&peer, key));
        let addr = peer.info.address;
        self.by_addr.remove(&addr);
        journal.put_lazily(Row::Liveness(addr.clone(), None).into());
        journal.put(Scope::Commons, Row::Peer(addr, None).into());
    }

    /// Forgets peers that fail and were silent for long, but not more of them at a time than
    /// [`PRUNED_MAX`]. Rule: Chainweb, `prunePeerDb`.
    pub(crate) fn prune(&mut self, journal: &mut Journal, wall: WallTime) -> usize {
        let lost: Vec<PeerKey> = self
            .orders
            .failing()
            .take_while(|(success, _)| {
                success.is_none_or(|success| wall.since(success) > PEER_SILENCE_MAX)
            })
            .map(|(_, key)| key)
            .filter(|key| self.get(*key).is_some_and(|peer| peer.sessions == 0))
            .take(PRUNED_MAX)
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
        let key = self.add(peer);
        self.by_addr.insert(addr, key);
        true
    }

    pub(crate) fn restore_liveness(&mut self, addr: &HostAddr, liveness: &Liveness) {
        if let Some(key) = self.by_addr.get(addr).copied() {
            self.change(key, |peer| {
                peer.failures = liveness.failures;
                peer.last_success = liveness.last_success_us.map(WallTime::from_micros);
            });
        }
    }

    pub(crate) fn export(&self, rows: &mut Vec<crate::rooms::Row>) {
        for (_, peer) in self.iter() {
            rows.push(Row::Peer(peer.info.address.clone(), Some(peer.record())).into());
            rows.push(Row::Liveness(peer.info.address.clone(), Some(peer.liveness())).into());
        }
    }

    /// Makes room by forgetting the least useful peer: one that fails, or else the one that was
    /// not heard of for the longest time. Whoever is configured stays, and whoever is in session as
    /// long as there is somebody else.
    fn evict(&mut self, journal: &mut Journal) -> bool {
        let idle = |key: &PeerKey| self.get(*key).is_some_and(|peer| peer.sessions == 0);
        let least_idle = self.orders.least_useful().find(idle);
        // Should all be in session, the least of them goes: an acknowledged peer must have a place.
        let Some(key) = least_idle.or_else(|| self.orders.least_useful().next()) else {
            return false;
        };
        self.remove(journal, key);
        true
    }

    fn add(&mut self, peer: Peer) -> PeerKey {
        let key = PeerKey(self.slots.insert(peer));
        if let Some(peer) = self.slots.get(key.0) {
            self.orders.enter(&Places::of(peer, key));
        }
        key
    }

    /// Changes a peer and its place in every order.
    fn change(&mut self, key: PeerKey, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.slots.get_mut(key.0) {
            let before = Places::of(peer, key);
            change(peer);
            self.orders.shift(&before, &Places::of(peer, key));
        }
    }

    /// Writes what is promised about a peer, and how reachable it is.
    fn record(&self, journal: &mut Journal, key: PeerKey) {
        if let Some(peer) = self.get(key) {
            let row = Row::Peer(peer.info.address.clone(), Some(peer.record()));
            journal.put(Scope::Commons, row.into());
        }
        self.note_liveness(journal, key);
    }

    fn note_liveness(&self, journal: &mut Journal, key: PeerKey) {
        if let Some(peer) = self.get(key) {
            let row = Row::Liveness(peer.info.address.clone(), Some(peer.liveness()));
            journal.put_lazily(row.into());
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
    /// Whether a ban covers it.
    #[must_use]
    pub const fn is_banned(&self) -> bool {
        self.banned
    }

    fn new(info: PeerInfo, networks: Networks, at: Insertion) -> Self {
        Self {
            info,
            key: None,
            networks,
            failures: 0,
            last_success: at.success,
            sessions: 0,
            sticky: at.sticky,
            banned: false,
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
