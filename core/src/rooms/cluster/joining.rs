//! How this node gets in touch: whom an operator adds, and whom it hears of.
//!
//! Rule: cluster API, `POST /v1/peers`. The other side stores us before it answers, then we store
//! it; until then nothing is kept of it, so a failed add leaves no trace.

use std::sync::Arc;

use super::failure::{BUSY, EXISTS, FULL, Failure, MISMATCH, handshake};
use super::handshake::{Hello, VERSION, Welcome, Why, same_licence, shares_secret};
use super::kept::Member;
use super::reasons::{ANOTHER_KEY, BANNED, FORGED, LEFT, SECRET, retold};
use super::record::Record;
use super::types::{AddPeer, Identity, Request, Response, Then};
use super::{Cluster, Event};
use crate::commons::address::HostAddr;
use crate::commons::bans::BanKey;
use crate::cx::Cx;
use crate::ids::{PeerId, PublicKey};
use crate::input::{Answer, CallError, RequestId};
use crate::limits::{ADDS_MAX, CANDIDATES_MAX, DISCOVERIES_MAX, WAITERS_MAX};
use crate::output::{Endpoint, Part, Trust, Via};
use crate::rooms;
use crate::time::{Duration, Instant, micros};
use crate::verify::{Signed, VerifyJob};

/// A handshake that we began.
#[derive(Clone, Debug)]
pub(super) struct Courtship {
    /// The key that the other side said it has, or is said to have.
    key: PublicKey,
    address: HostAddr,
    challenge: [u8; 32],
    number: u64,
    why: Why,
    /// What an operator wants, if one does: a discovery may be under way when the add comes.
    wanted: Option<Wanted>,
    /// Who is owed an answer; the first added the peer, the others asked for the same.
    waiters: Vec<RequestId>,
}

/// A peer that an operator has added, and that has said who it is.
#[derive(Clone, Debug)]
struct Wanted {
    key: PublicKey,
    add: AddPeer,
}

/// A peer that others told of. It is a name and an address until its handshake succeeds.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    record: Record,
    tries: u32,
    due: Instant,
}

impl Cluster {
    /// `POST /v1/peers`: next, ask who is there.
    pub(super) fn add_peer(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, add: AddPeer) {
        if let Err(failure) = self.screen_add(cx, &add) {
            return cx.respond(id, Response::Failed(failure));
        }
        self.adds += 1;
        let to = endpoint(add.address.clone());
        let timeout = cx.config().cluster.call_timeout;
        cx.call(to, Request::Identity, timeout, Then::Identified { id, add });
    }

    fn screen_add(&self, cx: &Cx<'_, Self>, add: &AddPeer) -> Result<(), Failure> {
        self.check_licence(cx)?;
        if self.own.left_s.is_some() {
            return Err(LEFT);
        }
        if add.address == cx.config().cluster.address {
            return Err(EXISTS);
        }
        let key = BanKey::of_address(&add.address);
        if cx.commons().bans.covers(cx.now().wall, &key) {
            return Err(BANNED);
        }
        if self.adds >= ADDS_MAX {
            return Err(BUSY);
        }
        Ok(())
    }

    /// A peer that is to be added said who it is: next, the handshake.
    pub(super) fn identified(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        add: AddPeer,
        result: Result<Answer, CallError>,
    ) {
        self.adds -= 1;
        let judged = read_identity(result).and_then(|identity| {
            self.screen_identity(cx, &identity)?;
            Ok(identity)
        });
        let identity = match judged {
            Ok(identity) => identity,
            Err(failure) => {
                self.add_failed(cx, &add.address, &failure);
                return cx.respond(id, Response::Failed(failure));
            }
        };
        if let Some(courtship) = self.courtships.get_mut(&identity.peer_id) {
            // A handshake with it is under way. What comes of one for an add is the answer; one
            // that this node began by itself may be with somebody who is not meant.
            if courtship.waiters.len() >= WAITERS_MAX {
                return cx.respond(id, Response::Failed(BUSY));
            }
            let key = identity.public_key;
            courtship.wanted.get_or_insert(Wanted { key, add });
            return courtship.waiters.push(id);
        }
        let key = identity.public_key;
        self.court_wanted(cx, identity.peer_id, Wanted { key, add }, vec![id]);
    }

    /// Begins the handshake that an operator wants.
    fn court_wanted(
        &mut self,
        cx: &mut Cx<'_, Self>,
        peer: PeerId,
        wanted: Wanted,
        waiters: Vec<RequestId>,
    ) {
        let failure = if self.own.left_s.is_some() {
            Some(LEFT)
        } else {
            (!self.has_room_for(cx, peer)).then_some(FULL)
        };
        if let Some(failure) = failure {
            self.add_failed(cx, &wanted.add.address, &failure);
            return fail(cx, waiters, &failure);
        }
        let courtship = Courtship {
            key: wanted.key,
            address: wanted.add.address.clone(),
            challenge: [0; 32],
            number: 0,
            why: Why::Add,
            wanted: Some(wanted),
            waiters,
        };
        self.court(cx, peer, courtship);
    }

    fn screen_identity(&self, cx: &Cx<'_, Self>, identity: &Identity) -> Result<(), Failure> {
        let customer = identity.customer_id.as_deref();
        if !same_licence(self.licence(cx), &identity.licence_id, customer) {
            return Err(MISMATCH);
        }
        if identity.peer_id == cx.config().cluster.peer_id {
            return Err(EXISTS);
        }
        if let Some(known) = self.members.get(&identity.peer_id) {
            return Err(if known.record.public_key == identity.public_key {
                EXISTS
            } else {
                ANOTHER_KEY
            });
        }
        // The key of a peer that is gone does not matter: should somebody have taken its name, the
        // operator deletes that one, and adds the one that is meant.
        if identity.public_key == self.public_key {
            return Err(ANOTHER_KEY);
        }
        let key = BanKey::Key(identity.public_key);
        if cx.commons().bans.covers(cx.now().wall, &key) {
            return Err(BANNED);
        }
        Ok(())
    }

    /// Says hello.
    fn court(&mut self, cx: &mut Cx<'_, Self>, peer: PeerId, mut courtship: Courtship) {
        self.secrets.fill(&mut courtship.challenge);
        // Durable before it is used: a number is never given twice, whatever the clock does.
        let wall_us = cx.now().wall.as_micros();
        self.own.hello = wall_us.max(self.own.hello.saturating_add(1));
        courtship.number = self.own.hello;
        self.put_own(cx);
        let licence = self.licence(cx);
        let mut hello = Hello {
            version: VERSION,
            to: peer,
            challenge: courtship.challenge,
            number: courtship.number,
            why: courtship.why,
            licence_id: licence.id.clone(),
            customer_id: licence.customer_id.clone(),
            cluster_id: self.own.cluster_id,
            record: self.announcement.clone(),
            mac: None,
            signature: [0; 64],
        };
        hello.sign(&self.key, cx.config().cluster.secret.as_ref());
        let to = endpoint(courtship.address.clone());
        self.courtships.insert(peer, courtship);
        let timeout = cx.config().cluster.call_timeout;
        let request = Request::Handshake(Arc::new(hello));
        cx.call(to, request, timeout, Then::Shaken { peer });
    }

    /// The other side answered our hello: next, check its signatures.
    pub(super) fn shaken(
        &mut self,
        cx: &mut Cx<'_, Self>,
        peer: PeerId,
        result: Result<Answer, CallError>,
    ) {
        let Some(courtship) = self.courtships.get(&peer) else {
            return;
        };
        match self.read_welcome(cx, peer, courtship, result) {
            Err(failure) => self.jilted(cx, peer, failure),
            Ok(welcome) => {
                let own = Signed {
                    key: courtship.key,
                    message: self.welcome_message(cx, courtship, &welcome),
                    signature: welcome.signature,
                };
                let record = welcome.record.signed_by(courtship.key);
                let job = VerifyJob::Signatures([own, record].into());
                cx.verify(job, Then::Welcomed { peer, welcome });
            }
        }
    }

    fn read_welcome(
        &self,
        cx: &Cx<'_, Self>,
        peer: PeerId,
        courtship: &Courtship,
        result: Result<Answer, CallError>,
    ) -> Result<Arc<Welcome>, Failure> {
        let response = of_cluster(result.map_err(unreachable)?).ok_or(STRANGE)?;
        if let Response::Failed(theirs) = &response {
            return Err(retold(theirs));
        }
        let Response::Welcome(welcome) = response else {
            return Err(STRANGE);
        };
        let record = &welcome.record;
        if record.peer_id != peer || record.public_key != courtship.key {
            return Err(handshake("handshake failed: another peer answered"));
        }
        if !record.is_sound() || !record.is_active() {
            return Err(STRANGE);
        }
        // The licence was compared with the hello's by the other side, and with the identity's here.
        let message = self.welcome_message(cx, courtship, &welcome);
        let secret = cx.config().cluster.secret.as_ref();
        if !shares_secret(secret, &message, welcome.mac.as_ref()) {
            return Err(SECRET);
        }
        Ok(welcome)
    }

    fn welcome_message(
        &self,
        cx: &Cx<'_, Self>,
        courtship: &Courtship,
        welcome: &Welcome,
    ) -> Vec<u8> {
        let own = cx.config().cluster.peer_id;
        welcome.message(&courtship.challenge, own, self.public_key)
    }

    /// The answer's signatures were checked: next, store the peer.
    pub(super) fn welcomed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        peer: PeerId,
        welcome: &Welcome,
        genuine: bool,
    ) {
        if !genuine {
            return self.jilted(cx, peer, FORGED);
        }
        if self.own.left_s.is_some() {
            return self.jilted(cx, peer, LEFT);
        }
        let why = self.courtships.get(&peer).map(|courtship| courtship.why);
        if let Some(failure) = why.and_then(|why| self.forbids(&welcome.record, why, true)) {
            // It was deleted, has left or was here first while the handshake was under way.
            return self.jilted(cx, peer, failure);
        }
        let Some(courtship) = self.courtships.remove(&peer) else {
            return;
        };
        self.merge_cluster(cx, welcome.cluster_id);
        self.take(cx, &welcome.record, &courtship.address, 0);
        self.conclude(cx, peer, courtship);
        self.discover(cx);
    }

    /// The peer of a courtship is here, by this handshake or by its own.
    fn conclude(&mut self, cx: &mut Cx<'_, Self>, peer: PeerId, courtship: Courtship) {
        let Courtship {
            key,
            wanted,
            waiters,
            ..
        } = courtship;
        match wanted {
            Some(wanted) if wanted.key != key => fail(cx, waiters, &ANOTHER_KEY),
            Some(wanted) => {
                self.heed(cx, peer, wanted.add);
                self.answer_waiters(cx, peer, waiters);
            }
            None => {}
        }
    }

    /// Who began the add is told of the peer, whoever came later that it exists.
    fn answer_waiters(&self, cx: &mut Cx<'_, Self>, peer: PeerId, waiters: Vec<RequestId>) {
        let view = self.members.get(&peer).map(|member| member.view(peer));
        for (place, id) in waiters.into_iter().enumerate() {
            match &view {
                Some(peer) if place == 0 => {
                    let peer = Box::new(peer.clone());
                    cx.respond(id, Response::Peer { peer, added: true });
                }
                _ => cx.respond(id, Response::Failed(EXISTS)),
            }
        }
    }

    fn jilted(&mut self, cx: &mut Cx<'_, Self>, peer: PeerId, failure: Failure) {
        let Some(courtship) = self.courtships.remove(&peer) else {
            return;
        };
        self.add_failed(cx, &courtship.address, &failure);
        let known = self.members.get(&peer);
        if known.is_some_and(|known| known.record.public_key == courtship.key) {
            // The other side's own hello came in between.
            return self.conclude(cx, peer, courtship);
        }
        match courtship.wanted {
            Some(wanted) if courtship.why == Why::Discovery => {
                self.court_wanted(cx, peer, wanted, courtship.waiters);
            }
            Some(_) | None => fail(cx, courtship.waiters, &failure),
        }
        self.discover(cx);
    }

    fn add_failed(&self, cx: &mut Cx<'_, Self>, addr: &HostAddr, failure: &Failure) {
        cx.event(Event::HandshakeFailed {
            addr: addr.clone(),
            failure: failure.clone(),
        });
    }

    // --- Whom we hear of ---

    /// Remembers a peer that another one told of, unless it is known or unwanted.
    pub(super) fn hear_of(&mut self, cx: &Cx<'_, Self>, record: &Record) {
        let id = record.peer_id;
        let unwanted = self.forbids(record, Why::Discovery, true).is_some();
        if id == cx.config().cluster.peer_id
            || record.public_key == self.public_key
            || self.members.contains_key(&id)
            || unwanted
            || !record.is_active()
            || !record.is_sound()
        {
            return;
        }
        if let Some(known) = self.candidates.get_mut(&id) {
            // Nobody has vouched for either yet: what was tried in vain gives way at once, or whoever
            // forges a high version keeps the true peer out.
            if record.version > known.record.version || (known.tries > 0 && *record != known.record)
            {
                known.record = record.clone();
                known.due = cx.now().mono;
            }
        } else if self.candidates.len() < CANDIDATES_MAX {
            self.candidate(cx, record.clone());
        }
    }

    /// Has a handshake with this peer tried soon, even if it is known: it does not know us.
    pub(super) fn candidate(&mut self, cx: &Cx<'_, Self>, record: Record) {
        let due = cx.now().mono;
        let candidate = Candidate {
            record,
            tries: 0,
            due,
        };
        self.candidates
            .entry(candidate.record.peer_id)
            .or_insert(candidate);
    }

    /// Shakes hands with peers heard of, a few at a time; longer and longer apart with those that
    /// do not answer. After many tries one is forgotten, until it is heard of again.
    pub(super) fn discover(&mut self, cx: &mut Cx<'_, Self>) {
        if self.own.left_s.is_some() || self.check_licence(cx).is_err() {
            return;
        }
        let now = cx.now().mono;
        let under_way = self
            .courtships
            .values()
            .filter(|it| it.why == Why::Discovery);
        let places = DISCOVERIES_MAX.saturating_sub(under_way.count());
        let due: Vec<PeerId> = self
            .candidates
            .iter()
            .filter(|(id, candidate)| candidate.due <= now && !self.courtships.contains_key(id))
            .map(|(id, _)| *id)
            .filter(|id| self.has_room_for(cx, *id))
            .take(places)
            .collect();
        for id in due {
            // Each takes a place until its handshake has ended. Who finds none is not tried: the next
            // turn is theirs, or one who never answers would keep the last place from all others.
            if self.has_room_for(cx, id) {
                self.try_candidate(cx, id);
            }
        }
    }

    fn try_candidate(&mut self, cx: &mut Cx<'_, Self>, id: PeerId) {
        let pause = cx.config().cluster.gossip_interval;
        let now = cx.now().mono;
        let Some(candidate) = self.candidates.get_mut(&id) else {
            return;
        };
        let wait = micros(pause).saturating_mul(1 << candidate.tries.min(TRIES_COUNTED_MAX));
        candidate.tries = candidate.tries.saturating_add(1);
        candidate.due = now + Duration::from_micros(wait);
        let record = candidate.record.clone();
        if candidate.tries > TRIES_MAX {
            self.candidates.remove(&id);
            return;
        }
        // A peer that does not know us any more is where its operator said, not where it says itself.
        let known = self.members.get(&id).and_then(Member::host_addr);
        let Some(address) = known.or_else(|| record.host_addr()) else {
            self.candidates.remove(&id);
            return;
        };
        if super::handshake::is_banned(cx, &record) {
            return;
        }
        cx.event(Event::PeerHeardOf {
            addr: address.clone(),
        });
        let courtship = Courtship {
            key: record.public_key,
            address,
            challenge: [0; 32],
            number: 0,
            why: Why::Discovery,
            wanted: None,
            waiters: Vec::new(),
        };
        self.court(cx, id, courtship);
    }
}

/// The pause between two tries doubles so many times.
const TRIES_COUNTED_MAX: u32 = 5;
/// Tries before a peer that was only heard of is forgotten: about twenty minutes.
const TRIES_MAX: u32 = 12;

/// How another node of the cluster is called: its own signatures say who it is.
pub(super) fn endpoint(addr: HostAddr) -> Endpoint {
    Endpoint {
        addr,
        trust: Trust::Anyone,
        via: Via::TlsThenPlain,
        part: Part::Body,
    }
}

fn fail(cx: &mut Cx<'_, Cluster>, waiters: Vec<RequestId>, failure: &Failure) {
    for id in waiters {
        cx.respond(id, Response::Failed(failure.clone()));
    }
}

fn read_identity(result: Result<Answer, CallError>) -> Result<Identity, Failure> {
    match of_cluster(result.map_err(unreachable)?) {
        Some(Response::Identity(identity)) => Ok(*identity),
        _ => Err(STRANGE),
    }
}

/// An answer, if it is one of the cluster's.
pub(super) fn of_cluster(answer: Answer) -> Option<Response> {
    if let rooms::Response::Cluster(response) = answer.response {
        Some(response)
    } else {
        None
    }
}

/// What the caller is told of a call without an answer. Rule: cluster API, texts of the CLI.
const fn unreachable(error: CallError) -> Failure {
    match error {
        CallError::Busy => BUSY,
        CallError::Refused => handshake("handshake failed: connection refused"),
        CallError::Timeout => handshake("handshake failed: connection timeout"),
        CallError::Unreachable => handshake("handshake failed: host unreachable"),
        CallError::IdentityMismatch | CallError::Malformed | CallError::TooLarge => STRANGE,
    }
}

const STRANGE: Failure = handshake("handshake failed: the answer is not that of a peer");
