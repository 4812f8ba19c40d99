//! The one peer table: one record per address, whatever family it was met through.
//!
//! Rules: Chainweb's peer database (insert, merge, replace, prune), with two differences. A
//! configured peer stays configured when it is merged, and the table is durable and bounded.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::commons::Row;
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::NetworkId;
use crate::ids::{Fingerprint, PublicKey};
use crate::limits::{PEER_FAILURES_MAX, PEER_SILENCE_MAX, PRUNED_MAX};
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
///
/// Whatever is asked often has an order of its own, so that nothing but a change of the ban list
/// walks over all peers.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    slots: Slots<Peer>,
    by_addr: BTreeMap<HostAddr, PeerKey>,
    /// How many entries go by each certificate.
    by_id: BTreeMap<Fingerprint, u32>,
    /// By network: whoever is not banned, by the number of failures and then the mark.
    groups: Vec<BTreeMap<u32, Vec<(u64, PeerKey)>>>,
    /// Whoever may be forgotten, the most useful first.
    by_worth: BTreeSet<(u32, Reverse<Option<WallTime>>, PeerKey)>,
    /// Whoever fails so often that silence is enough to be forgotten, the longest silent first.
    failing: BTreeSet<(Option<WallTime>, PeerKey)>,
    /// By network: how often what is shown to others has changed.
    versions: Vec<u64>,
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
        self.versions.get(network.index()).copied().unwrap_or(0)
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
        self.groups
            .get(network.index())
            .and_then(|groups| groups.get(&0))
            .map_or(&[], Vec::as_slice)
    }

    /// The peers of `network` that are not banned, grouped by their failures, fewest first.
    pub(crate) fn groups(&self, network: NetworkId) -> impl Iterator<Item = &[(u64, PeerKey)]> {
        self.groups
            .get(network.index())
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(Vec::as_slice)
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
        if let Some((key, peer)) = self.find(&info.address) {
            if peer.info.id.is_some() && peer.info.id != info.id {
                let sessions = peer.sessions;
                let fresh = Peer {
                    sessions,
                    ..Peer::new(info, networks, at)
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
        self.leave(key);
        let Some(peer) = self.slots.remove(key.0) else {
            return;
        };
        let addr = peer.info.address;
        self.by_addr.remove(&addr);
        journal.put_lazily(Row::Liveness(addr.clone(), None).into());
        journal.put(Scope::Commons, Row::Peer(addr, None).into());
    }

    /// Forgets peers that fail and were silent for long, but not more of them at a time than
    /// [`PRUNED_MAX`]. Rule: Chainweb, `prunePeerDb`.
    pub(crate) fn prune(&mut self, journal: &mut Journal, wall: WallTime) -> usize {
        let lost: Vec<PeerKey> = self
            .failing
            .iter()
            .take_while(|(success, _)| {
                success.is_none_or(|success| wall.since(success) > PEER_SILENCE_MAX)
            })
            .map(|(_, key)| *key)
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
    /// not heard of for the longest time. Whoever is configured or in session stays.
    fn evict(&mut self, journal: &mut Journal) -> bool {
        let mut candidates = self.by_worth.iter().rev().map(|(_, _, key)| *key);
        let idle = |key: &PeerKey| self.get(*key).is_some_and(|peer| peer.sessions == 0);
        // Should all be in session, the least of them goes: an acknowledged peer must have a place.
        let least = candidates.clone().next();
        candidates.find(idle).or(least).is_some_and(|key| {
            self.remove(journal, key);
            true
        })
    }

    fn add(&mut self, peer: Peer) -> PeerKey {
        let key = PeerKey(self.slots.insert(peer));
        self.enter(key);
        key
    }

    /// Changes a peer and its place in every order.
    fn change(&mut self, key: PeerKey, change: impl FnOnce(&mut Peer)) {
        let Some(peer) = self.slots.get(key.0) else {
            return;
        };
        let before = Places::of(peer, key);
        let id = peer.info.id;
        if let Some(peer) = self.slots.get_mut(key.0) {
            change(peer);
            let (after, id_after) = (Places::of(peer, key), peer.info.id);
            if after.seen != before.seen {
                self.hide(&before);
                self.show(&after);
            }
            if after.worth != before.worth {
                self.forget_worth(&before);
                self.note_worth(&after);
            }
            if id_after != id {
                self.drop_id(id);
                self.note_id(id_after);
                self.outdate(after.seen.networks);
            }
        }
    }

    fn enter(&mut self, key: PeerKey) {
        if let Some(peer) = self.slots.get(key.0) {
            let (places, id) = (Places::of(peer, key), peer.info.id);
            self.show(&places);
            self.note_worth(&places);
            self.note_id(id);
        }
    }

    fn leave(&mut self, key: PeerKey) {
        if let Some(peer) = self.slots.get(key.0) {
            let (places, id) = (Places::of(peer, key), peer.info.id);
            self.hide(&places);
            self.forget_worth(&places);
            self.drop_id(id);
        }
    }

    fn outdate(&mut self, networks: Networks) {
        for index in networks.indices() {
            if self.versions.len() <= index {
                self.versions.resize(index + 1, 0);
            }
            self.versions[index] += 1;
        }
    }

    fn show(&mut self, places: &Places) {
        let Seen {
            networks,
            failures,
            mark,
        } = places.seen;
        self.outdate(networks);
        for index in networks.indices() {
            if self.groups.len() <= index {
                self.groups.resize_with(index + 1, BTreeMap::new);
            }
            let group = self.groups[index].entry(failures).or_default();
            if let Err(place) = group.binary_search(&(mark, places.key)) {
                group.insert(place, (mark, places.key));
            }
        }
    }

    fn hide(&mut self, places: &Places) {
        let Seen {
            networks,
            failures,
            mark,
        } = places.seen;
        self.outdate(networks);
        for index in networks.indices() {
            let Some(groups) = self.groups.get_mut(index) else {
                continue;
            };
            if let Some(group) = groups.get_mut(&failures) {
                if let Ok(place) = group.binary_search(&(mark, places.key)) {
                    group.remove(place);
                }
                if group.is_empty() {
                    groups.remove(&failures);
                }
            }
        }
    }

    fn note_worth(&mut self, places: &Places) {
        if let Some((failures, success)) = places.worth {
            self.by_worth
                .insert((failures, Reverse(success), places.key));
            if failures > PEER_FAILURES_MAX {
                self.failing.insert((success, places.key));
            }
        }
    }

    fn forget_worth(&mut self, places: &Places) {
        if let Some((failures, success)) = places.worth {
            self.by_worth
                .remove(&(failures, Reverse(success), places.key));
            self.failing.remove(&(success, places.key));
        }
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

/// What decides a peer's place in the table's orders.
#[derive(Clone, Copy)]
struct Places {
    key: PeerKey,
    seen: Seen,
    /// Failures and the last success; none for a peer that is never forgotten.
    worth: Option<(u32, Option<WallTime>)>,
}

/// Where a peer is seen: nowhere while it is banned.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    networks: Networks,
    failures: u32,
    mark: u64,
}

impl Places {
    fn of(peer: &Peer, key: PeerKey) -> Self {
        let networks = if peer.banned {
            Networks::default()
        } else {
            peer.networks
        };
        Self {
            key,
            seen: Seen {
                networks,
                failures: peer.failures,
                mark: peer.mark,
            },
            worth: (!peer.sticky).then_some((peer.failures, peer.last_success)),
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
