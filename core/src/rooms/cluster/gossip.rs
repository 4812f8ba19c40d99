//! Heartbeats: what nodes tell each other of all, and what they make of it.
//!
//! A message is signed by who sends it, each record in it by whom it is about; of two records the
//! higher version counts. A peer that is not known is a name and an address until its handshake
//! succeeds. Rule: cluster API, gossip.

use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use super::credentials::SharedCredential;
use super::failure::{BUSY, Code, Failure};
use super::handshake::is_member_banned;
use super::joining::{endpoint, of_cluster};
use super::kept::Tombstone;
use super::membership::Reach;
use super::record::{Message, Record};
use super::types::{Request, Response, Then, Timer};
use super::wire::base64_signature;
use super::{Cluster, Event};
use crate::cx::Cx;
use crate::ids::{ClusterId, PeerId, PublicKey};
use crate::input::{Answer, CallError, RequestId};
use crate::limits::{GOSSIP_ALL_MAX, GOSSIP_FANOUT, GOSSIP_RECORDS_MAX, NEWS_MAX};
use crate::time::{Duration, micros};
use crate::verify::{Signed, VerifyJob};

/// What a node knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    /// Who says so.
    pub from: PeerId,
    /// To whom.
    pub to: PeerId,
    /// Drawn by who asks, repeated by who answers.
    pub nonce: u64,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Announcements of active nodes, the author's own first and the receiver's second, if it is
    /// known, and of such that have left.
    pub records: Vec<Record>,
    /// The credential that the cluster shares.
    pub credential: Option<SharedCredential>,
    /// The author's signature.
    #[serde(with = "base64_signature")]
    pub signature: [u8; 64],
}

impl Digest {
    /// What the author signs.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = Message::new("peerage cluster gossip 1")
            .text(&self.from.to_string())
            .text(&self.to.to_string())
            .number(self.nonce)
            .text(&self.cluster_id.to_string())
            .number(self.records.len() as u64);
        for record in &self.records {
            // A record's signature stands for all that it says.
            message = message
                .text(&record.peer_id.to_string())
                .bytes(&record.signature);
        }
        let credential = self.credential.as_ref();
        message
            .bytes(credential.map_or(&[][..], |credential| &credential.signature))
            .done()
    }

    /// Signs what the other fields say.
    pub fn sign(&mut self, key: &SigningKey) {
        self.signature = key.sign(&self.message()).to_bytes();
    }
}

impl Cluster {
    // --- Telling ---

    /// Has the next round of heartbeats come, if there is anybody to hear it.
    pub(super) fn arm_gossip(&self, cx: &mut Cx<'_, Self>) {
        if self.own.left_s.is_some() || (self.members.is_empty() && self.candidates.is_empty()) {
            return;
        }
        let mean = micros(cx.config().cluster.gossip_interval);
        let after = cx.rng().range(mean - mean / 10, mean + mean / 10 + 1);
        cx.arm_once(Timer::Gossip, Duration::from_micros(after));
    }

    /// A round: some peers are told, or all of them.
    pub(super) fn gossip(&mut self, cx: &mut Cx<'_, Self>, all: bool) {
        if self.own.left_s.is_some() {
            return;
        }
        let mut targets: Vec<PeerId> = self
            .members
            .iter()
            .filter(|(_, member)| !is_member_banned(cx, member))
            .map(|(id, _)| *id)
            .collect();
        if !all && targets.len() > GOSSIP_ALL_MAX {
            for place in 0..GOSSIP_FANOUT {
                let other = place + cx.rng().index(targets.len() - place);
                targets.swap(place, other);
            }
            targets.truncate(GOSSIP_FANOUT);
        }
        for peer in targets {
            self.tell(cx, peer);
        }
        self.note_silence(cx);
        self.discover(cx);
        self.arm_gossip(cx);
    }

    fn tell(&mut self, cx: &mut Cx<'_, Self>, peer: PeerId) {
        let Some(addr) = self.members.get(&peer).and_then(|it| it.host_addr()) else {
            return;
        };
        let nonce = cx.rng().bits() >> NONCE_SPARE_BITS;
        let digest = self.digest(cx, peer, nonce);
        let timeout = cx.config().cluster.call_timeout;
        let request = Request::Gossip(Arc::new(digest));
        cx.call(
            endpoint(addr),
            request,
            timeout,
            Then::Gossiped { peer, nonce },
        );
    }

    fn digest(&self, cx: &mut Cx<'_, Self>, to: PeerId, nonce: u64) -> Digest {
        // Banned ones, too: a ban is this node's own and ends, and others may hear of a peer, and of
        // its departure, through nobody else.
        let active = self.members.values().map(|member| &member.record);
        let left = self.tombstones.values().map(|gone| &gone.record);
        let left = left.filter(|record| !record.is_active());
        let others: Vec<&Record> = active
            .chain(left)
            .filter(|record| record.peer_id != to)
            .collect();
        // What does not fit one message has its turn in another.
        let first = if others.len() + 1 < GOSSIP_RECORDS_MAX {
            0
        } else {
            cx.rng().index(others.len())
        };
        let others = others.iter().cycle().skip(first).take(others.len());
        // If the receiver lost its disk, it may have forgotten how often it changed.
        let known = self.members.get(&to).map(|member| &member.record);
        let records = core::iter::once(&self.announcement)
            .chain(known)
            .chain(others.copied())
            .take(GOSSIP_RECORDS_MAX)
            .cloned()
            .collect();
        let mut digest = Digest {
            from: cx.config().cluster.peer_id,
            to,
            nonce,
            cluster_id: self.own.cluster_id,
            records,
            credential: self.shared.clone(),
            signature: [0; 64],
        };
        digest.sign(&self.key);
        digest
    }

    /// Tells, once, of each peer that has not answered for long.
    fn note_silence(&mut self, cx: &mut Cx<'_, Self>) {
        let limit = cx.config().cluster.unreachable_after;
        let now = cx.now().mono;
        for (peer, reach) in &mut self.reach {
            if !reach.missed && now.since(reach.since) >= limit {
                reach.missed = true;
                cx.event(Event::ClusterPeerUnreachable { peer: *peer });
            }
        }
    }

    /// A peer answered a heartbeat, or did not.
    pub(super) fn gossiped(
        &mut self,
        cx: &mut Cx<'_, Self>,
        peer: PeerId,
        nonce: u64,
        result: Result<Answer, CallError>,
    ) {
        let Some(response) = result.ok().and_then(of_cluster) else {
            return;
        };
        if let Response::Gossip(digest) = response {
            if digest.nonce == nonce && digest.from == peer {
                // Whatever is wrong with it, nobody waits to hear so.
                let _ = self.check(cx, None, digest);
            }
        } else if matches!(&response, Response::Failed(failure) if failure.code == Code::NotFound)
            && let Some(member) = self.members.get(&peer)
        {
            // It does not know us: the end of a handshake was lost, or its data were.
            let record = member.record.clone();
            self.candidate(cx, record);
            self.discover(cx);
        }
    }

    // --- Hearing ---

    /// `POST /v1/cluster/gossip`.
    pub(super) fn hear(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, digest: Arc<Digest>) {
        if let Err(failure) = self.check(cx, Some(id), digest.clone()) {
            let strange = failure.code == Code::NotFound
                || (failure.code == Code::Forbidden && self.tombstones.contains_key(&digest.from));
            if strange && self.own.left_s.is_some() {
                return self.say_last_words(cx, id, digest);
            }
            cx.respond(id, Response::Failed(failure));
        }
    }

    /// Has the signatures of a message checked, with those of the records that are news.
    fn check(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: Option<RequestId>,
        digest: Arc<Digest>,
    ) -> Result<(), Failure> {
        let key = self.author(cx, &digest)?;
        if self.news >= NEWS_MAX {
            return Err(BUSY);
        }
        let mut signed = vec![Signed {
            key,
            message: digest.message(),
            signature: digest.signature,
        }];
        let mut checked = Vec::new();
        for (place, record) in digest.records.iter().enumerate() {
            if let Some(key) = self.is_news(record) {
                signed.push(record.signed_by(key));
                checked.push(place);
            }
        }
        let credential = digest.credential.as_ref();
        let credential = credential.and_then(|it| Some((it, self.credential_author(cx, it)?)));
        if let Some((credential, key)) = credential {
            signed.push(credential.signed_by(key));
        }
        let credential = credential.is_some();
        self.news += 1;
        let then = Then::Learned {
            id,
            digest,
            checked,
            credential,
        };
        cx.verify(VerifyJob::Signatures(signed.into()), then);
        Ok(())
    }

    /// The key of who sent a message, if it is a peer of ours.
    fn author(&self, cx: &Cx<'_, Self>, digest: &Digest) -> Result<PublicKey, Failure> {
        if digest.records.len() > GOSSIP_RECORDS_MAX {
            let text = format!("a gossip has at most {GOSSIP_RECORDS_MAX} records");
            return Err(Failure::told(Code::InvalidRequest, text));
        }
        if digest.to != cx.config().cluster.peer_id {
            return Err(Failure::new(
                Code::InvalidRequest,
                "gossip for another peer",
            ));
        }
        if let Some(gone) = self.tombstones.get(&digest.from)
            && !has_come_back(gone, digest)
        {
            return Err(Failure::new(
                Code::Forbidden,
                "the peer is gone from this cluster",
            ));
        }
        let member = self.members.get(&digest.from);
        let member = member.ok_or(Failure::new(Code::NotFound, "unknown peer"))?;
        if is_member_banned(cx, member) {
            return Err(Failure::new(Code::Forbidden, "the peer is banned"));
        }
        Ok(member.record.public_key)
    }

    /// The key to check a record with, if it tells more of a known peer than is known, that one has
    /// left who is gone, or what this node itself has forgotten.
    pub(super) fn is_news(&self, record: &Record) -> Option<PublicKey> {
        if record.peer_id == self.announcement.peer_id {
            return self.has_forgotten(record).then_some(self.public_key);
        }
        let known = match self.members.get(&record.peer_id) {
            Some(member) => &member.record,
            None if record.is_active() => return None,
            None => &self.tombstones.get(&record.peer_id)?.record,
        };
        let fits = record.public_key == known.public_key && record.is_sound();
        (fits && record.version > known.version).then_some(known.public_key)
    }

    /// Whether a record is one that this node signed before it lost its disk, and that others would
    /// take for newer than what it says by now. That it once left does not count: whoever heard of
    /// that does not listen, and it may have been brought back since.
    pub(super) fn has_forgotten(&self, record: &Record) -> bool {
        let said = &self.announcement;
        record.peer_id == said.peer_id
            && record.public_key == said.public_key
            && record.version >= said.version
            && record != said
            && record.is_active()
            && record.is_sound()
    }

    /// The key to check a shared credential with, if it is newer than ours. Only a cluster with a
    /// shared secret has one in common: without, whoever knows the licence's name could join, and
    /// hand all nodes a credential of its own.
    fn credential_author(
        &self,
        cx: &Cx<'_, Self>,
        credential: &SharedCredential,
    ) -> Option<PublicKey> {
        cx.config().cluster.secret.as_ref()?;
        if !credential.is_newer_than(self.shared.as_ref()) {
            return None;
        }
        let author = credential.rotated_by;
        if author == self.announcement.peer_id {
            // Ours from before the disk was lost.
            return Some(self.public_key);
        }
        if let Some(member) = self.members.get(&author) {
            return Some(member.record.public_key);
        }
        // What a peer did before it left still counts; whom this node deleted it does not believe.
        let gone = self.tombstones.get(&author)?;
        let left = Some(&gone.record).filter(|_| !gone.is_deletion())?;
        left.deactivated_at
            .is_some_and(|left_s| credential.rotated_s <= left_s)
            .then_some(left.public_key)
    }

    /// A message's signatures were checked: next, take what is new.
    pub(super) fn learned(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: Option<RequestId>,
        digest: Arc<Digest>,
        places: (Vec<usize>, bool),
        good: &[bool],
    ) {
        self.news -= 1;
        let genuine = good.first().copied().unwrap_or(false);
        // The sender may have gone while the signatures were checked.
        let failure = match self.author(cx, &digest) {
            Err(failure) => Some(failure),
            Ok(_) if !genuine => {
                cx.event(Event::ForgeryIgnored { peer: digest.from });
                // Somebody else may have come here first under the sender's name. Who asks counts this
                // node in, and hears nothing of it from others.
                if let Some(id) = id
                    && self.own.left_s.is_some()
                {
                    return self.say_last_words(cx, id, digest);
                }
                Some(Failure::new(Code::Forbidden, "invalid signature"))
            }
            Ok(_) => None,
        };
        if let Some(failure) = failure {
            if let Some(id) = id {
                cx.respond(id, Response::Failed(failure));
            }
            return;
        }
        self.merge_cluster(cx, digest.cluster_id);
        let (checked, credential) = places;
        let verdicts = good.get(1..).unwrap_or_default();
        for (place, good) in checked.iter().zip(verdicts) {
            let Some(record) = digest.records.get(*place) else {
                continue;
            };
            if *good {
                self.update(cx, record);
            } else {
                cx.event(Event::ForgeryIgnored {
                    peer: record.peer_id,
                });
            }
        }
        let good = verdicts.get(checked.len()).copied().unwrap_or(false);
        if let Some(shared) = digest.credential.as_ref().filter(|_| credential && good)
            && shared.is_newer_than(self.shared.as_ref())
        {
            self.adopt_credential(cx, shared.clone());
        }
        self.meet(cx, id, &digest);
    }

    /// Answers who asked, notes who answered, and turns to those that are new.
    fn meet(&mut self, cx: &mut Cx<'_, Self>, id: Option<RequestId>, digest: &Digest) {
        match id {
            Some(id) => {
                let answer = self.digest(cx, digest.from, digest.nonce);
                cx.respond(id, Response::Gossip(Arc::new(answer)));
            }
            None if self.members.contains_key(&digest.from) => {
                let now = cx.now();
                let reach = Reach {
                    seen: Some(now.wall),
                    since: now.mono,
                    missed: false,
                };
                self.reach.insert(digest.from, reach);
                self.candidates.remove(&digest.from);
            }
            None => {}
        }
        if self.own.left_s.is_none() {
            for record in &digest.records {
                self.hear_of(cx, record);
            }
            self.discover(cx);
            self.arm_gossip(cx);
        }
    }
}

/// Whether a peer that had left says that it is here again: it is a stranger then, who is to shake
/// hands anew, and whom nobody else may know to tell of.
fn has_come_back(gone: &Tombstone, digest: &Digest) -> bool {
    let said = digest.records.iter().find(|it| it.peer_id == digest.from);
    !gone.is_deletion() && said.is_some_and(|it| it.is_active() && it.version > gone.record.version)
}

/// Numbers in JSON are exact up to 2⁵³ for most readers.
const NONCE_SPARE_BITS: u32 = 11;
