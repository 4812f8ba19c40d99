//! Who is in the cluster: taking peers in, renaming, deleting, leaving, and what is remembered of
//! those that are gone.
//!
//! Rules: cluster API, `GET`, `PUT` and `DELETE /v1/peers`.

use super::failure::{Code, Failure, NO_PEER};
use super::handshake::is_member_banned;
use super::kept::{Member, Own, Row, Tombstone};
use super::reasons::LEFT;
use super::record::Record;
use super::types::{AddPeer, Deactivated, Identity, PeerStatus, PeerView, Response};
use super::{Cluster, Event};
use crate::commons::address::HostAddr;
use crate::cx::Cx;
use crate::ids::{ClusterId, PeerId};
use crate::limits::{DELETIONS_MAX, DEPARTURES_MAX};
use crate::time::{Instant, WallTime};

/// How a peer answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// When it last answered, if it has since this node started.
    pub(super) seen: Option<WallTime>,
    /// When it last answered or was met, or when this node started.
    pub(super) since: Instant,
    /// Whether it was told that it does not answer.
    pub(super) missed: bool,
}

impl Member {
    pub(super) fn host_addr(&self) -> Option<HostAddr> {
        self.address.parse().ok()
    }

    pub(super) fn view(&self, id: PeerId) -> PeerView {
        let address = self.host_addr().or_else(|| self.record.host_addr());
        PeerView {
            id,
            name: self.name().to_owned(),
            public_key: self.record.public_key,
            is_local: false,
            address: address.expect("members have an address that was read once"),
            created_s: self.created_s,
        }
    }

    /// What this node's operator calls it, or else what it calls itself.
    fn name(&self) -> &str {
        if self.remark.is_empty() {
            &self.record.name
        } else {
            &self.remark
        }
    }
}

impl Cluster {
    // --- Looking ---

    pub(super) fn local_view(&self, cx: &Cx<'_, Self>) -> PeerView {
        let cluster = &cx.config().cluster;
        PeerView {
            id: cluster.peer_id,
            name: self.own.name.clone(),
            public_key: self.public_key,
            is_local: true,
            address: cluster.address.clone(),
            created_s: cluster.peer_id.minted_s(),
        }
    }

    /// The local peer first, then the others as they came. Banned peers are out of sight.
    pub(super) fn list(&self, cx: &Cx<'_, Self>, is_local: Option<bool>) -> Response {
        let mut others: Vec<PeerView> = self
            .members
            .iter()
            .filter(|(_, member)| !is_member_banned(cx, member))
            .map(|(id, member)| member.view(*id))
            .collect();
        others.sort_by_key(|peer| (peer.created_s, peer.id));
        let local = self.local_view(cx);
        Response::Peers(match is_local {
            None => [vec![local], others].concat(),
            Some(true) => vec![local],
            Some(false) => others,
        })
    }

    pub(super) fn find(&self, cx: &Cx<'_, Self>, id: Option<PeerId>) -> Result<PeerView, Failure> {
        let id = id.ok_or(NO_PEER)?;
        if id == cx.config().cluster.peer_id {
            return Ok(self.local_view(cx));
        }
        self.members
            .get(&id)
            .filter(|member| !is_member_banned(cx, member))
            .map(|member| member.view(id))
            .ok_or(NO_PEER)
    }

    pub(super) fn identity(&self, cx: &Cx<'_, Self>) -> Identity {
        let licence = self.licence(cx);
        Identity {
            peer_id: cx.config().cluster.peer_id,
            public_key: self.public_key,
            licence_id: licence.id.clone(),
            customer_id: licence.customer_id.clone(),
            cluster_id: self.own.cluster_id,
        }
    }

    pub(super) fn status(&self, cx: &Cx<'_, Self>) -> Response {
        let limit = cx.config().cluster.unreachable_after;
        let now = cx.now().mono;
        let members = self.members.iter();
        let shown = members.filter(|(_, member)| !is_member_banned(cx, member));
        let peers = shown.map(|(id, _)| {
            // After a start a peer has to answer first.
            let reach = self.reach.get(id).filter(|reach| reach.seen.is_some());
            PeerStatus {
                peer_id: *id,
                last_seen_s: reach.and_then(|reach| reach.seen).map(WallTime::as_secs),
                reachable: reach.is_some_and(|reach| now.since(reach.since) < limit),
            }
        });
        Response::Status(peers.collect())
    }

    // --- Taking in ---

    /// Stores a peer whose handshake succeeded, or what is new of one that is known. `number` is
    /// that of its hello, 0 if the handshake was ours.
    pub(super) fn take(
        &mut self,
        cx: &mut Cx<'_, Self>,
        record: &Record,
        address: &HostAddr,
        number: u64,
    ) {
        let id = record.peer_id;
        let now = cx.now();
        let gone = self.tombstones.remove(&id);
        if gone.is_some() {
            cx.put(Row::Tombstone(id, None));
        }
        self.candidates.remove(&id);
        let member = match self.members.remove(&id) {
            Some(mut known) => {
                self.part(cx, &known);
                // An address that an operator gave stays until the peer says that it has moved.
                let newer = record.version > known.record.version;
                let moved = newer && record.address != known.record.address;
                if newer {
                    known.record = record.clone();
                }
                if number == 0 || moved {
                    known.address = address.to_string();
                }
                known.hello = known.hello.max(number);
                known
            }
            None => {
                // Whoever had the name under another key counted for itself.
                let before = gone.filter(|gone| gone.record.public_key == record.public_key);
                cx.event(Event::ClusterPeerJoined {
                    peer: id,
                    addr: address.clone(),
                });
                Member {
                    remark: String::new(),
                    record: record.clone(),
                    address: address.to_string(),
                    created_s: now.wall.as_secs(),
                    hello: number.max(before.map_or(0, |gone| gone.hello)),
                }
            }
        };
        let reach = Reach {
            seen: Some(now.wall),
            since: now.mono,
            missed: false,
        };
        self.reach.insert(id, reach);
        if let Some(addr) = member.host_addr() {
            cx.acquaint(&addr, member.record.public_key);
        }
        cx.put(Row::Member(id, Some(Box::new(member.clone()))));
        self.members.insert(id, member);
        if !self.own_stored || self.own.licence.as_ref() != Some(&self.licence_name(cx)) {
            self.put_own(cx);
        }
        self.arm_gossip(cx);
    }

    /// Heeds what an operator said of a peer that is here by now, perhaps because it came by itself.
    pub(super) fn heed(&mut self, cx: &mut Cx<'_, Self>, id: PeerId, add: AddPeer) {
        let Some(mut member) = self.members.get(&id).cloned() else {
            return;
        };
        let address = add.address.to_string();
        if member.address != address {
            self.part(cx, &member);
            cx.acquaint(&add.address, member.record.public_key);
            member.address = address;
        }
        if let Some(name) = add.name {
            member.remark = name;
        }
        cx.put(Row::Member(id, Some(Box::new(member.clone()))));
        self.members.insert(id, member);
    }

    /// Takes what a known peer says of itself by now, one that is gone, or this node before it lost
    /// its disk. The signature was checked.
    pub(super) fn update(&mut self, cx: &mut Cx<'_, Self>, record: &Record) -> bool {
        if self.is_news(record).is_none() {
            return false;
        }
        if record.peer_id == self.announcement.peer_id {
            // What it says by now is to be newer than what it said before its disk was lost.
            self.own.version = record.version.saturating_add(1);
            self.put_own(cx);
            return true;
        }
        if let Some(gone) = self.tombstones.get_mut(&record.peer_id) {
            // Others count it in, and may have nobody else to hear it from. Who was deleted stays so.
            gone.deleted = gone.is_deletion();
            gone.record = record.clone();
            cx.put(Row::Tombstone(record.peer_id, Some(Box::new(gone.clone()))));
            return true;
        }
        let Some(member) = self.members.get(&record.peer_id) else {
            return false;
        };
        if !record.is_active() {
            cx.event(Event::ClusterPeerLeft {
                peer: record.peer_id,
            });
            self.forget(cx, record.peer_id, Some(record.clone()));
            return true;
        }
        let mut changed = member.clone();
        if record.address != changed.record.address {
            self.part(cx, &changed);
            changed.address = record.address.clone();
            if let Some(addr) = changed.host_addr() {
                cx.acquaint(&addr, record.public_key);
            }
        }
        changed.record = record.clone();
        cx.put(Row::Member(record.peer_id, Some(Box::new(changed.clone()))));
        self.members.insert(record.peer_id, changed);
        true
    }

    /// The older of two clusters wins.
    pub(super) fn merge_cluster(&mut self, cx: &mut Cx<'_, Self>, other: ClusterId) {
        if other < self.own.cluster_id {
            self.own.cluster_id = other;
            self.put_own(cx);
        }
    }

    // --- Changing ---

    /// `PUT /v1/peers/{id}`. A peer's name is a remark of this node's, and gives way to the peer's own if
    /// it is empty; this node's own is announced.
    pub(super) fn rename(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: Option<PeerId>,
        name: Option<String>,
    ) -> Result<Response, Failure> {
        let mut peer = self.find(cx, id)?;
        self.check_licence(cx)?;
        if let Some(name) = name {
            if let Some(member) = self.members.get_mut(&peer.id) {
                if member.remark != name {
                    member.remark = name;
                    cx.put(Row::Member(peer.id, Some(Box::new(member.clone()))));
                }
                peer = member.view(peer.id);
            } else if name != peer.name {
                if self.own.left_s.is_some() {
                    return Err(LEFT);
                }
                peer.name.clone_from(&name);
                self.own.name = name;
                self.own.version += 1;
                self.put_own(cx);
            }
        }
        Ok(Response::Peer {
            peer: Box::new(peer),
            added: false,
        })
    }

    /// `DELETE /v1/peers/{id}`: only here, the other side is not told.
    pub(super) fn delete(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: Option<PeerId>,
    ) -> Result<Response, Failure> {
        let peer = self.find(cx, id)?;
        if peer.is_local {
            return Err(Failure::new(
                Code::CannotDeleteLocal,
                "cannot delete local peer; use /v1/peers/self",
            ));
        }
        self.check_licence(cx)?;
        cx.event(Event::ClusterPeerDeleted { peer: peer.id });
        self.forget(cx, peer.id, None);
        Ok(Response::Deleted)
    }

    /// `DELETE /v1/peers/self`: leaves the cluster and tells everybody.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_, Self>) -> Result<Response, Failure> {
        let at_s = match self.own.left_s {
            Some(at_s) => at_s,
            None => {
                self.check_licence(cx)?;
                let at_s = cx.now().wall.as_secs();
                self.own.left_s = Some(at_s);
                self.own.version += 1;
                self.put_own(cx);
                cx.event(Event::ClusterLeft);
                self.begin_farewells(cx);
                at_s
            }
        };
        Ok(Response::Deactivated(Deactivated {
            peer_id: cx.config().cluster.peer_id,
            version: self.own.version,
            at_s,
        }))
    }

    /// Takes a peer out and remembers that it is gone. `left` is its own announcement that it is.
    fn forget(&mut self, cx: &mut Cx<'_, Self>, id: PeerId, left: Option<Record>) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        self.part(cx, &member);
        self.reach.remove(&id);
        self.candidates.remove(&id);
        cx.put(Row::Member(id, None));
        let tombstone = Tombstone {
            deleted: left.is_none(),
            record: left.unwrap_or(member.record),
            hello: member.hello,
            since_s: cx.now().wall.as_secs(),
        };
        self.make_room(cx, tombstone.is_deletion());
        cx.put(Row::Tombstone(id, Some(Box::new(tombstone.clone()))));
        self.tombstones.insert(id, tombstone);
    }

    /// Makes room for one more that is gone. Strangers may come and go as they like where there is no
    /// shared secret, so departures push out departures only, and deletions only deletions.
    fn make_room(&mut self, cx: &mut Cx<'_, Self>, deletion: bool) {
        let max = most_gone(deletion);
        while self.tombstones.len() >= max {
            let all = self.tombstones.iter();
            let alike = all.filter(|(_, gone)| gone.is_deletion() == deletion);
            if alike.clone().count() < max {
                return;
            }
            let oldest = alike.min_by_key(|(_, gone)| gone.since_s);
            let Some(id) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.tombstones.remove(&id);
            cx.put(Row::Tombstone(id, None));
        }
    }

    /// The shared peer table forgets an address that only this room knows.
    pub(super) fn part(&self, cx: &mut Cx<'_, Self>, member: &Member) {
        if let Some(addr) = member.host_addr() {
            cx.unacquaint(&addr);
        }
    }

    // --- This node ---

    /// What this node keeps of itself before anything happened.
    pub(super) fn fresh_own(cx_peer: PeerId, address: &HostAddr) -> Own {
        Own {
            version: 1,
            address: address.to_string(),
            name: String::new(),
            left_s: None,
            cluster_id: cx_peer.own_cluster(),
            hello: 0,
            licence: None,
        }
    }

    /// Writes what this node keeps of itself, and signs what it says of itself.
    pub(super) fn put_own(&mut self, cx: &mut Cx<'_, Self>) {
        self.own_stored = true;
        self.own.licence = Some(self.licence_name(cx));
        cx.put(Row::Own(Some(self.own.clone())));
        self.announce(cx.config().cluster.peer_id);
    }

    pub(super) fn announce(&mut self, peer_id: PeerId) {
        let own = &self.own;
        let said = &self.announcement;
        let says_so = said.version == own.version && said.deactivated_at == own.left_s;
        if says_so && said.address == own.address && said.name == own.name {
            return;
        }
        let mut record = Record {
            peer_id,
            version: own.version,
            address: own.address.clone(),
            public_key: self.public_key,
            name: own.name.clone(),
            deactivated_at: own.left_s,
            signature: [0; 64],
        };
        record.sign(&self.key);
        self.announcement = record;
    }
}

/// How many deletions are remembered, or how many departures.
pub(super) const fn most_gone(deletions: bool) -> usize {
    if deletions {
        DELETIONS_MAX
    } else {
        DEPARTURES_MAX
    }
}
