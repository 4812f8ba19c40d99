//! Farewells: how a node that leaves tells the others, and how it hears of those that do.
//!
//! It calls all of them at once and some again; whoever is away hears by gossip, or asks and is told.
//! Rule: cluster API, `DELETE /v1/peers/self`.

use std::sync::Arc;

use super::gossip::Digest;
use super::handshake::is_member_banned;
use super::joining::endpoint;
use super::record::Record;
use super::types::{Request, Response, Then, Timer};
use super::{Cluster, Event};
use crate::commons::address::HostAddr;
use crate::commons::bans::BanKey;
use crate::cx::Cx;
use crate::ids::PeerId;
use crate::input::{Answer, CallError, RequestId};
use crate::limits::{FAREWELLS_MAX, NEWS_MAX};
use crate::rooms;
use crate::time::{Duration, Instant};
use crate::verify::VerifyJob;

/// A peer that is to be told that this node leaves.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    address: HostAddr,
    tries: u32,
    /// When to try again; `None` while a call is under way.
    due: Option<Instant>,
}

impl Cluster {
    // --- Ours ---

    pub(super) fn begin_farewells(&mut self, cx: &mut Cx<'_, Self>) {
        let now = cx.now().mono;
        for (id, member) in &self.members {
            if let Some(address) = member.host_addr()
                && !is_member_banned(cx, member)
            {
                let farewell = Farewell {
                    address,
                    tries: 0,
                    due: Some(now),
                };
                self.farewells.insert(*id, farewell);
            }
        }
        self.bid_farewell(cx);
    }

    /// Tells whoever is to be told by now.
    pub(super) fn bid_farewell(&mut self, cx: &mut Cx<'_, Self>) {
        let now = cx.now().mono;
        let timeout = cx.config().cluster.call_timeout;
        let record = Arc::new(self.announcement.clone());
        // Who was banned since then is not called any more.
        let (bans, wall) = (&cx.commons().bans, cx.now().wall);
        self.farewells.retain(|peer, farewell| {
            let member = self.members.get(peer);
            let banned = member.is_some_and(|member| is_member_banned(cx, member));
            !banned && !bans.covers(wall, &BanKey::of_address(&farewell.address))
        });
        for (peer, farewell) in &mut self.farewells {
            if farewell.due.is_some_and(|due| due <= now) {
                farewell.due = None;
                let to = endpoint(farewell.address.clone());
                let request = Request::Deactivate(record.clone());
                cx.call(to, request, timeout, Then::Farewell { peer: *peer });
            }
        }
        self.arm_farewell(cx);
    }

    /// Retries come after one, two and four seconds; whoever is away even then hears by gossip.
    pub(super) fn bade_farewell(
        &mut self,
        cx: &mut Cx<'_, Self>,
        peer: PeerId,
        result: Result<Answer, CallError>,
    ) {
        let heard = result.is_ok_and(|answer| {
            matches!(
                answer.response,
                rooms::Response::Cluster(Response::Applied(_))
            )
        });
        let Some(farewell) = self.farewells.get_mut(&peer) else {
            return;
        };
        if heard || farewell.tries >= FAREWELLS_MAX {
            self.farewells.remove(&peer);
            return;
        }
        let wait = Duration::from_secs(1 << farewell.tries);
        farewell.tries += 1;
        farewell.due = Some(cx.now().mono + wait);
        self.arm_farewell(cx);
    }

    fn arm_farewell(&self, cx: &mut Cx<'_, Self>) {
        let next = self.farewells.values().filter_map(|it| it.due).min();
        if let Some(next) = next {
            let after = next.since(cx.now().mono);
            cx.arm(Timer::Farewell, after);
        }
    }

    /// What a node that has left tells whoever still counts it in, and whom it does not know or had
    /// deleted: its own farewell and nothing else. A handshake may have ended well on the other side
    /// only, and nobody else would ever tell that side.
    pub(super) fn say_last_words(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        question: Arc<Digest>,
    ) {
        // Who asks may remember more of this node than the node does, and would not believe it.
        let forgotten = question.records.iter().find(|it| self.has_forgotten(it));
        match forgotten.cloned() {
            Some(record) if self.news < NEWS_MAX => {
                self.news += 1;
                let job = VerifyJob::Signatures([record.signed_by(self.public_key)].into());
                let record = Arc::new(record);
                let then = Then::Reminded {
                    id,
                    question,
                    record,
                };
                cx.verify(job, then);
            }
            Some(_) | None => {
                let words = Arc::new(self.last_words(&question));
                cx.respond(id, Response::Gossip(words));
            }
        }
    }

    /// It was checked whether this node once said what it is reminded of.
    pub(super) fn reminded(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        question: &Digest,
        record: &Record,
        genuine: bool,
    ) {
        self.news -= 1;
        if genuine {
            self.update(cx, record);
        }
        let words = Arc::new(self.last_words(question));
        cx.respond(id, Response::Gossip(words));
    }

    fn last_words(&self, question: &Digest) -> Digest {
        let mut digest = Digest {
            from: self.announcement.peer_id,
            to: question.from,
            nonce: question.nonce,
            cluster_id: self.own.cluster_id,
            records: vec![self.announcement.clone()],
            credential: None,
            signature: [0; 64],
        };
        digest.sign(&self.key);
        digest
    }

    // --- Those of others ---

    /// `POST /v1/cluster/deactivate`.
    pub(super) fn hear_farewell(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        record: Arc<Record>,
    ) {
        let key = self.is_news(&record).filter(|_| !record.is_active());
        let Some(key) = key.filter(|_| self.news < NEWS_MAX) else {
            return cx.respond(id, Response::Applied(false));
        };
        self.news += 1;
        let job = VerifyJob::Signatures([record.signed_by(key)].into());
        cx.verify(job, Then::Bade { id, record });
    }

    pub(super) fn heard_farewell(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        record: &Record,
        genuine: bool,
    ) {
        self.news -= 1;
        if !genuine {
            cx.event(Event::ForgeryIgnored {
                peer: record.peer_id,
            });
        }
        let applied = genuine && self.update(cx, record);
        cx.respond(id, Response::Applied(applied));
    }
}
