//! The orders in which peers are asked for.
//!
//! Whatever is asked often has an order of its own, so that nothing but a change of the ban list
//! walks over all peers. A peer's [`Places`] decide where it stands; the table tells of every change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Networks, Peer, PeerKey};
use crate::commons::network::NetworkId;
use crate::ids::{Fingerprint, PublicKey};
use crate::limits::PEER_FAILURES_MAX;
use crate::time::WallTime;

/// All orders of one table.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// How many entries go by each certificate.
    by_id: BTreeMap<Fingerprint, u32>,
    /// Whoever has proved a key, by the key.
    by_key: BTreeSet<(PublicKey, PeerKey)>,
    /// By network: whoever is not banned, by the number of failures and then the mark.
    groups: Vec<BTreeMap<u32, Vec<(u64, PeerKey)>>>,
    /// Whoever may be forgotten, the most useful first.
    by_worth: BTreeSet<(u32, Reverse<Option<WallTime>>, PeerKey)>,
    /// Whoever fails so often that silence is enough to be forgotten, the longest silent first.
    failing: BTreeSet<(Option<WallTime>, PeerKey)>,
    /// By network: how often what is shown to others has changed.
    versions: Vec<u64>,
}

/// What decides a peer's place in the table's orders.
#[derive(Clone, Copy)]
pub(super) struct Places {
    key: PeerKey,
    id: Option<Fingerprint>,
    public_key: Option<PublicKey>,
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
    pub(super) fn of(peer: &Peer, key: PeerKey) -> Self {
        let networks = if peer.banned {
            Networks::default()
        } else {
            peer.networks
        };
        Self {
            key,
            id: peer.info.id,
            public_key: peer.key,
            seen: Seen {
                networks,
                failures: peer.failures,
                mark: peer.mark,
            },
            worth: (!peer.sticky).then_some((peer.failures, peer.last_success)),
        }
    }
}

impl Orders {
    /// Grows with every change of what others are shown for `network`.
    pub(super) fn version(&self, network: NetworkId) -> u64 {
        self.versions.get(network.index()).copied().unwrap_or(0)
    }

    /// Whoever has proved this key.
    pub(super) fn of_key(&self, key: &PublicKey) -> impl Iterator<Item = PeerKey> + use<'_> {
        let (first, last) = ((*key, PeerKey::FIRST), (*key, PeerKey::LAST));
        self.by_key.range(first..=last).map(|(_, key)| *key)
    }

    /// Whether some peer goes by this certificate.
    pub(super) fn holds_id(&self, id: &Fingerprint) -> bool {
        self.by_id.contains_key(id)
    }

    /// The peers of `network` that do not fail, by their marks.
    pub(super) fn listing(&self, network: NetworkId) -> &[(u64, PeerKey)] {
        self.groups
            .get(network.index())
            .and_then(|groups| groups.get(&0))
            .map_or(&[], Vec::as_slice)
    }

    /// The peers of `network`, grouped by their failures, fewest first.
    pub(super) fn groups(&self, network: NetworkId) -> impl Iterator<Item = &[(u64, PeerKey)]> {
        self.groups
            .get(network.index())
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(Vec::as_slice)
    }

    /// Whoever may be forgotten, the least useful first.
    pub(super) fn least_useful(&self) -> impl Iterator<Item = PeerKey> {
        self.by_worth.iter().rev().map(|(_, _, key)| *key)
    }

    /// Whoever fails so often that silence is enough to be forgotten, the longest silent first.
    pub(super) fn failing(&self) -> impl Iterator<Item = (Option<WallTime>, PeerKey)> {
        self.failing.iter().copied()
    }

    pub(super) fn enter(&mut self, places: &Places) {
        self.show(places);
        self.note_worth(places);
        self.note_id(places.id);
        self.note_key(places);
    }

    pub(super) fn leave(&mut self, places: &Places) {
        self.hide(places);
        self.forget_worth(places);
        self.drop_id(places.id);
        self.drop_key(places);
    }

    /// A peer has moved, or stays where it was.
    pub(super) fn shift(&mut self, before: &Places, after: &Places) {
        if after.seen != before.seen {
            self.hide(before);
            self.show(after);
        }
        if after.worth != before.worth {
            self.forget_worth(before);
            self.note_worth(after);
        }
        if after.public_key != before.public_key {
            self.drop_key(before);
            self.note_key(after);
        }
        if after.id != before.id {
            self.drop_id(before.id);
            self.note_id(after.id);
            self.outdate(after.seen.networks);
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

    fn note_key(&mut self, places: &Places) {
        if let Some(key) = places.public_key {
            self.by_key.insert((key, places.key));
        }
    }

    fn drop_key(&mut self, places: &Places) {
        if let Some(key) = places.public_key {
            self.by_key.remove(&(key, places.key));
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
}
