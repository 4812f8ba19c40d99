//! The handshake: what both sides say and sign, and how the side that is called decides.
//!
//! Rule: cluster API, handshake. The wire form is ours. A hello names whom it is for, so that it
//! convinces nobody else; it carries a number that grows with every handshake its author begins,
//! so that a copy convinces nobody twice, not even after a restart; and the two sides sign under
//! different names, so that neither's words can be turned against it.

use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::failure::{BUSY, FULL, Failure, MISMATCH};
use super::kept::Member;
use super::reasons::{
    ANOTHER_KEY, BANNED, DEACTIVATED, DELETED, FORGED, LEFT, MALFORMED, MISDIRECTED, REFLECTED,
    REPEATED, SECRET,
};
use super::record::{Message, Record};
use super::types::{Response, Then};
use super::wire::{base64_32, base64_signature, maybe_base64_32};
use super::{Cluster, Event};
use crate::commons::bans::BanKey;
use crate::config::cluster::{ClusterSecret, Licence};
use crate::cx::Cx;
use crate::ids::{ClusterId, PeerId, PublicKey};
use crate::input::RequestId;
use crate::limits::{CLUSTER_TEXT_MAX, HELLOS_MAX, MEMBERS_MAX};
use crate::verify::{Signed, VerifyJob};

/// The version of the handshake that is spoken.
pub const VERSION: u32 = 1;

/// Why a node shakes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// An operator said so. Lifts what the other side remembers of a deletion.
    Add,
    /// The other node was heard of.
    Discovery,
}

/// What the side that calls says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// See [`VERSION`].
    pub version: u32,
    /// Whom it is for.
    pub to: PeerId,
    /// Random bytes that the answer must be made for.
    #[serde(with = "base64_32")]
    pub challenge: [u8; 32],
    /// Grows with every handshake that the author begins.
    pub number: u64,
    /// Why.
    pub why: Why,
    /// The author's licence.
    #[serde(rename = "license_id")]
    pub licence_id: String,
    /// Whose licence it is.
    pub customer_id: Option<String>,
    /// The author's cluster.
    pub cluster_id: ClusterId,
    /// Who the author is, signed for itself.
    pub record: Record,
    /// Made with the shared secret, if the author has one.
    #[serde(default, with = "maybe_base64_32")]
    pub mac: Option<[u8; 32]>,
    /// The author's signature.
    #[serde(with = "base64_signature")]
    pub signature: [u8; 64],
}

impl Hello {
    pub(super) fn message(&self) -> Vec<u8> {
        Message::new("peerage cluster hello 1")
            .number(self.version.into())
            .text(&self.to.to_string())
            .bytes(&self.challenge)
            .number(self.number)
            .number(matches!(self.why, Why::Add).into())
            .text(&self.licence_id)
            .maybe(self.customer_id.as_deref())
            .text(&self.cluster_id.to_string())
            .text(&self.record.peer_id.to_string())
            .bytes(&self.record.public_key.0)
            .bytes(&self.record.signature)
            .done()
    }

    /// Signs what the other fields say, with the shared secret too, if there is one.
    pub fn sign(&mut self, key: &SigningKey, secret: Option<&ClusterSecret>) {
        let message = self.message();
        self.mac = mac(secret, &message);
        self.signature = key.sign(&message).to_bytes();
    }

    /// Whether no field is longer than it may be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let customer = self.customer_id.as_ref().map_or(0, String::len);
        self.licence_id.len() <= CLUSTER_TEXT_MAX
            && customer <= CLUSTER_TEXT_MAX
            && self.record.is_sound()
    }
}

/// What the side that was called answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Welcome {
    /// The author's licence.
    #[serde(rename = "license_id")]
    pub licence_id: String,
    /// The cluster that both are in now.
    pub cluster_id: ClusterId,
    /// Who the author is, signed for itself.
    pub record: Record,
    /// Made with the shared secret, if the author has one.
    #[serde(default, with = "maybe_base64_32")]
    pub mac: Option<[u8; 32]>,
    /// The author's signature over the challenge, both sides and all of this.
    #[serde(with = "base64_signature")]
    pub signature: [u8; 64],
}

impl Welcome {
    pub(super) fn message(&self, challenge: &[u8; 32], caller: PeerId, key: PublicKey) -> Vec<u8> {
        Message::new("peerage cluster welcome 1")
            .bytes(challenge)
            .text(&caller.to_string())
            .bytes(&key.0)
            .text(&self.licence_id)
            .text(&self.cluster_id.to_string())
            .text(&self.record.peer_id.to_string())
            .bytes(&self.record.public_key.0)
            .bytes(&self.record.signature)
            .done()
    }

    /// Signs the answer to `hello`, with the shared secret too, if there is one.
    pub fn sign(&mut self, hello: &Hello, key: &SigningKey, secret: Option<&ClusterSecret>) {
        let caller = &hello.record;
        let message = self.message(&hello.challenge, caller.peer_id, caller.public_key);
        self.mac = mac(secret, &message);
        self.signature = key.sign(&message).to_bytes();
    }
}

/// What knowing the shared secret adds to a message.
pub(super) fn mac(secret: Option<&ClusterSecret>, message: &[u8]) -> Option<[u8; 32]> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&secret?.0).expect("HMAC takes keys of any length");
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

/// Whether the other side knows our shared secret, or both have none: who has one could not be
/// answered by who has not, and would be stored here for nothing.
pub(super) fn shares_secret(
    secret: Option<&ClusterSecret>,
    message: &[u8],
    given: Option<&[u8; 32]>,
) -> bool {
    match mac(secret, message) {
        None => given.is_none(),
        Some(expected) => given.is_some_and(|given| expected.ct_eq(given).into()),
    }
}

/// Whether two licences are one. Where both name a customer, that decides.
pub(super) fn same_licence(ours: &Licence, id: &str, customer: Option<&str>) -> bool {
    match (ours.customer_id.as_deref(), customer) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => ours.id == id,
    }
}

impl Cluster {
    /// `POST /v1/cluster/handshake`: another node wants to be in touch.
    pub(super) fn greet(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, hello: Arc<Hello>) {
        if let Err(failure) = self.screen(cx, &hello) {
            return refuse(cx, id, &hello, failure);
        }
        if self.hellos >= HELLOS_MAX {
            return cx.respond(id, Response::Failed(BUSY));
        }
        self.hellos += 1;
        let key = hello.record.public_key;
        let own = Signed {
            key,
            message: hello.message(),
            signature: hello.signature,
        };
        let job = VerifyJob::Signatures([own, hello.record.signed_by(key)].into());
        cx.verify(job, Then::Greeted { id, hello });
    }

    /// A hello's signatures were checked.
    pub(super) fn greeted(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        hello: &Hello,
        genuine: bool,
    ) {
        self.hellos -= 1;
        if !genuine {
            return refuse(cx, id, hello, FORGED);
        }
        // The world may have changed while the signatures were checked.
        if let Err(failure) = self.screen(cx, hello) {
            return refuse(cx, id, hello, failure);
        }
        let Some(address) = hello.record.host_addr() else {
            return refuse(cx, id, hello, MALFORMED);
        };
        self.merge_cluster(cx, hello.cluster_id);
        self.take(cx, &hello.record, &address, hello.number);
        let welcome = self.welcome(cx, hello);
        cx.respond(id, Response::Welcome(Arc::new(welcome)));
    }

    fn welcome(&self, cx: &Cx<'_, Self>, hello: &Hello) -> Welcome {
        let mut welcome = Welcome {
            licence_id: self.licence(cx).id.clone(),
            cluster_id: self.own.cluster_id,
            record: self.announcement.clone(),
            mac: None,
            signature: [0; 64],
        };
        welcome.sign(hello, &self.key, cx.config().cluster.secret.as_ref());
        welcome
    }

    /// Everything about a hello but its signatures.
    fn screen(&self, cx: &Cx<'_, Self>, hello: &Hello) -> Result<(), Failure> {
        let cluster = &cx.config().cluster;
        let record = &hello.record;
        if hello.version != VERSION || !hello.is_sound() {
            return Err(MALFORMED);
        }
        if hello.to != cluster.peer_id {
            return Err(MISDIRECTED);
        }
        if record.peer_id == cluster.peer_id || record.public_key == self.public_key {
            return Err(REFLECTED);
        }
        if self.own.left_s.is_some() {
            return Err(LEFT);
        }
        let customer = hello.customer_id.as_deref();
        if !same_licence(self.licence(cx), &hello.licence_id, customer) {
            return Err(MISMATCH);
        }
        if !self.members.contains_key(&record.peer_id) {
            self.check_licence(cx)?;
        }
        if !record.is_active() {
            return Err(DEACTIVATED);
        }
        if is_banned(cx, record) {
            return Err(BANNED);
        }
        self.screen_history(record, hello.number, hello.why)?;
        let message = hello.message();
        if !shares_secret(cluster.secret.as_ref(), &message, hello.mac.as_ref()) {
            return Err(SECRET);
        }
        if !self.has_room_for(cx, record.peer_id) {
            return Err(FULL);
        }
        Ok(())
    }

    /// What we remember of the author.
    fn screen_history(&self, record: &Record, number: u64, why: Why) -> Result<(), Failure> {
        if let Some(failure) = self.forbids(record, why, false) {
            return Err(failure);
        }
        let known = self.members.get(&record.peer_id);
        let gone = self.tombstones.get(&record.peer_id);
        let last = known.map(|member| member.hello);
        let last = last.or_else(|| gone.map(|gone| gone.hello));
        if last.is_some_and(|last| number <= last) {
            return Err(REPEATED);
        }
        Ok(())
    }

    /// Why a peer may not come, or come back, in this way, if it may not. It keeps the key that it
    /// had; a deletion is lifted by an add, a departure by what the peer says of itself later, and
    /// who was deleted and has left needs both. `called` tells that this node began: if its operator
    /// had it do so, the key of who is gone does not matter, for somebody may have taken the name of
    /// who is meant.
    pub(super) fn forbids(&self, record: &Record, why: Why, called: bool) -> Option<Failure> {
        if let Some(known) = self.members.get(&record.peer_id) {
            let same = known.record.public_key == record.public_key;
            return (!same).then_some(ANOTHER_KEY);
        }
        let gone = self.tombstones.get(&record.peer_id)?;
        if gone.record.public_key != record.public_key {
            return (!called || why == Why::Discovery).then_some(ANOTHER_KEY);
        }
        if gone.is_deletion() && why == Why::Discovery {
            return Some(DELETED);
        }
        let has_left = !gone.record.is_active() && record.version <= gone.record.version;
        has_left.then_some(DEACTIVATED)
    }

    /// Whether the licence allows one more node, or this one is counted already. Peers with whom a
    /// handshake is under way have their place.
    pub(super) fn has_room_for(&self, cx: &Cx<'_, Self>, id: PeerId) -> bool {
        if self.members.contains_key(&id) || self.courtships.contains_key(&id) {
            return true;
        }
        let coming = self
            .courtships
            .keys()
            .filter(|id| !self.members.contains_key(id));
        let taken = 1 + self.members.len() + coming.count();
        let max = usize::try_from(self.licence(cx).nodes_max).unwrap_or(usize::MAX);
        taken < max.min(MEMBERS_MAX + 1)
    }
}

/// Whether a ban covers a node, by its address or its key.
pub(super) fn is_banned(cx: &Cx<'_, Cluster>, record: &Record) -> bool {
    let bans = &cx.commons().bans;
    let wall = cx.now().wall;
    !bans.is_empty()
        && (bans.covers(wall, &BanKey::Key(record.public_key))
            || record
                .host_addr()
                .is_some_and(|addr| bans.covers(wall, &BanKey::of_address(&addr))))
}

/// Whether a ban covers a peer, by its key, by where it says it is, or by where it was added.
pub(super) fn is_member_banned(cx: &Cx<'_, Cluster>, member: &Member) -> bool {
    let bans = &cx.commons().bans;
    !bans.is_empty()
        && (is_banned(cx, &member.record)
            || member
                .host_addr()
                .is_some_and(|addr| bans.covers(cx.now().wall, &BanKey::of_address(&addr))))
}

fn refuse(cx: &mut Cx<'_, Cluster>, id: RequestId, hello: &Hello, failure: Failure) {
    cx.event(Event::HandshakeRefused {
        peer: hello.record.peer_id,
        failure: failure.clone(),
    });
    cx.respond(id, Response::Failed(failure));
}
