//! What may be said: who is in the cluster, what became of a change, who is refused and why.
//!
//! A thing that has changed since it was asked for may be told of as it was or as it is.

use std::collections::BTreeSet;

use super::access::{May, needed};
use super::{Asked, Model};
use crate::ids::PeerId;
use crate::limits::GOSSIP_RECORDS_MAX;
use crate::rooms::cluster::failure::{Code, Failure};
use crate::rooms::cluster::gossip::Digest;
use crate::rooms::cluster::types::{PeerView, Request, Response};
use crate::time::Now;

impl Model {
    /// # Errors
    /// What is wrong with the answer. `banned` are those who are banned now, if nobody was banned or
    /// forgiven since the question.
    pub(super) fn judge(
        &self,
        now: Now,
        asked: &Asked,
        response: &Response,
        banned: Option<&BTreeSet<PeerId>>,
    ) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{} is answered {what}", asked.request.name()));
        if let Some(needed) = needed(&asked.request) {
            let still = self.may(now, asked.authorization.as_ref(), needed);
            let firm = still == asked.may && self.changed.credentials < asked.input;
            let code = code(response);
            match asked.may {
                May::Unknown if !matches!(code, Some(Code::Unauthorized | Code::TokenExpired)) => {
                    if firm && code != Some(Code::Busy) {
                        return wrong("although nobody knows who asks");
                    }
                }
                May::Forbidden if code != Some(Code::Forbidden) => {
                    if firm && code != Some(Code::Busy) {
                        return wrong("although its token allows other things only");
                    }
                }
                May::Surely(_) if matches!(code, Some(Code::Unauthorized | Code::TokenExpired)) => {
                    if firm {
                        return wrong("as if nobody knew who asks");
                    }
                }
                May::Forbidden | May::Perhaps | May::Surely(_) | May::Unknown => {}
            }
            if !matches!(asked.may, May::Surely(_)) || !firm {
                return Ok(());
            }
        }
        let hidden = |id: &PeerId| {
            let then = asked.banned.contains(id);
            let now = banned.map(|now| now.contains(id));
            (now == Some(then)).then_some(then)
        };
        if code(response) == Some(Code::Busy) {
            return Ok(());
        }
        let result = match (&asked.request, response) {
            (Request::Peers(Ok(local)), Response::Peers(peers)) => {
                self.judge_list(asked, *local, peers, &hidden)
            }
            (Request::Peers(Err(_)), said) if code(said) != Some(Code::InvalidRequest) => {
                Err("although it is malformed".to_owned())
            }
            (Request::Peer(id), said) => self.judge_peer(asked, *id, said, &hidden),
            (Request::DeletePeer(id), said) => self.judge_delete(asked, *id, said, &hidden),
            (Request::RenamePeer(id, name), said) => {
                self.judge_rename(asked, *id, name.as_ref().ok(), said, &hidden)
            }
            (Request::AddPeer(Ok(add)), Response::Peer { peer, added }) => {
                let known =
                    self.members.contains_key(&peer.id) || self.may_have_changed(asked, peer.id);
                let fits = *added && peer.address == add.address && !peer.is_local && known;
                fits.then_some(()).ok_or_else(|| format!("with {peer:?}"))
            }
            (Request::AddPeer(Err(_)), said) if code(said) != Some(Code::InvalidRequest) => {
                Err("although it is malformed".to_owned())
            }
            (Request::DeleteSelf, Response::Deactivated(left)) => {
                let own = self.own.as_ref();
                let fits = own.is_some_and(|own| {
                    left.peer_id == self.settings.peer_id
                        && (self.changed.own > asked.input
                            || (own.version, own.left_s) == (left.version, Some(left.at_s)))
                });
                fits.then_some(()).ok_or_else(|| format!("with {left:?}"))
            }
            (Request::Init(Err(_)), said) if code(said) != Some(Code::InvalidRequest) => {
                Err("although it is malformed".to_owned())
            }
            (Request::Init(Ok(force)), said) => self.judge_init(asked, *force, said, &hidden),
            (Request::Status, Response::Status(peers)) => {
                let shown: BTreeSet<PeerId> = peers.iter().map(|peer| peer.peer_id).collect();
                self.same(asked, &shown, &hidden)
            }
            (Request::Gossip(question), said) => self.judge_gossip(asked, question, said),
            (Request::Handshake(hello), Response::Welcome(welcome)) => {
                let id = hello.record.peer_id;
                if asked.last_hello.is_some_and(|last| hello.number <= last) {
                    return wrong("although it was used before");
                }
                let known = self.members.contains_key(&id) || self.may_have_changed(asked, id);
                let fits = known && welcome.record.peer_id == self.settings.peer_id;
                fits.then_some(())
                    .ok_or_else(|| "although it was not stored".to_owned())
            }
            (Request::Deactivate(record), Response::Applied(true)) => {
                let id = record.peer_id;
                let gone = !self.members.contains_key(&id) || self.may_have_changed(asked, id);
                gone.then_some(())
                    .ok_or_else(|| "although the peer is still here".to_owned())
            }
            (Request::Token(form), said) => {
                let header = asked.authorization.as_ref();
                let owed = self.grants(asked.now, header, form);
                let firm =
                    self.changed.credentials < asked.input && self.changed.shared < asked.input;
                match (owed, said) {
                    (Some(wanted), Response::Token { scopes, .. }) if wanted == *scopes => Ok(()),
                    (None, Response::Failed(_)) => Ok(()),
                    _ if !firm => Ok(()),
                    (Some(_), _) => Err("although the client is known".to_owned()),
                    (None, _) => Err("although the client does not prove itself".to_owned()),
                }
            }
            (_, said) => self.judge_others(asked, said),
        };
        result.map_err(|what| format!("{} is answered {what}", asked.request.name()))
    }

    fn judge_others(&self, asked: &Asked, response: &Response) -> Result<(), String> {
        let since = |at: u64| at > asked.input;
        match (&asked.request, response) {
            (Request::Identity, Response::Identity(said)) => {
                let licence = &self.licence.id;
                let cluster = self.own.as_ref().map(|own| own.cluster_id);
                let fits = said.peer_id == self.settings.peer_id
                    && said.public_key == self.key
                    && (said.licence_id == *licence || since(self.changed.licence))
                    && (cluster.is_none_or(|id| id == said.cluster_id) || since(self.changed.own));
                fits.then_some(()).ok_or_else(|| format!("with {said:?}"))
            }
            (Request::Health { .. }, Response::Healthy { now_s }) => {
                let then = asked.now.wall.as_secs();
                (then == *now_s)
                    .then_some(())
                    .ok_or_else(|| format!("with {now_s}, it was {then}"))
            }
            (Request::Licence, Response::Licence(said)) => {
                let fits = **said == self.licence || since(self.changed.licence);
                fits.then_some(()).ok_or_else(|| format!("with {said:?}"))
            }
            (Request::Credentials, Response::Credentials(said)) => {
                let shown = said.iter().map(|one| (&one.client_id, one.scopes));
                let kept = self.credentials.iter().map(|(id, own)| (id, own.scopes));
                (shown.eq(kept) || since(self.changed.credentials))
                    .then_some(())
                    .ok_or_else(|| "with other credentials".to_owned())
            }
            (Request::MakeCredential(Ok(_)), Response::CredentialMade(made)) => {
                let kept = self.credentials.get(&made.client_id);
                let scopes = made.scopes;
                let within = matches!(asked.may, May::Surely(may) if may.allow(scopes));
                let fits = kept.is_none_or(|kept| kept.scopes == scopes);
                (within && fits && (kept.is_some() || since(self.changed.credentials)))
                    .then_some(())
                    .ok_or_else(|| "with more than its maker may".to_owned())
            }
            (Request::ClusterCredential | Request::Rotate, Response::ClusterCredential(said)) => {
                let kept = self.shared.as_ref();
                let rotates = matches!(asked.request, Request::Rotate);
                let fits = kept.is_some_and(|kept| {
                    (kept.version, &kept.client_id) == (said.version, &said.client_id)
                });
                // The secret is told to who asked for a new one, and to nobody else.
                if said.secret.is_some() != rotates {
                    return Err("with a secret, or without".to_owned());
                }
                (fits || self.changed.shared >= asked.input)
                    .then_some(())
                    .ok_or_else(|| "with another credential".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn may_have_changed(&self, asked: &Asked, id: PeerId) -> bool {
        (self.changed.peers.get(&id)).is_some_and(|at| *at >= asked.input)
    }

    /// Whether those that are shown are those that are here. `hidden` tells who is banned, if that
    /// is sure.
    fn same(
        &self,
        asked: &Asked,
        shown: &BTreeSet<PeerId>,
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Result<(), String> {
        let sure = |id: &PeerId| !self.may_have_changed(asked, *id);
        for id in shown.iter().filter(|id| sure(id)) {
            if !self.members.contains_key(id) || hidden(id) == Some(true) {
                return Err(format!("with {id}, who is not here"));
            }
        }
        let missing = self
            .members
            .keys()
            .find(|id| sure(id) && hidden(id) == Some(false) && !shown.contains(id));
        missing.map_or(Ok(()), |id| Err(format!("without {id}, who is here")))
    }

    fn judge_list(
        &self,
        asked: &Asked,
        local: Option<bool>,
        peers: &[PeerView],
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Result<(), String> {
        let others = match (local, peers.split_first()) {
            (Some(false), _) => peers,
            (None | Some(true), Some((first, others))) if first.is_local => {
                self.judge_view(asked, first)?;
                others
            }
            (None | Some(true), _) => return Err("without the local peer".to_owned()),
        };
        if local == Some(true) {
            let alone = others.is_empty();
            return alone.then_some(()).ok_or_else(|| "with others".to_owned());
        }
        if !others.is_sorted_by_key(|peer| (peer.created_s, peer.id)) {
            return Err("in disorder".to_owned());
        }
        others
            .iter()
            .try_for_each(|peer| self.judge_view(asked, peer))?;
        let shown: BTreeSet<PeerId> = others.iter().map(|peer| peer.id).collect();
        if shown.len() != others.len() {
            return Err("with somebody twice".to_owned());
        }
        self.same(asked, &shown, hidden)
    }

    /// Whether a peer looks as it was written down.
    fn judge_view(&self, asked: &Asked, view: &PeerView) -> Result<(), String> {
        let told = || format!("with {view:?}");
        if view.id == self.settings.peer_id || view.is_local {
            let named = self.own.as_ref().is_none_or(|own| own.name == view.name);
            let fits = view.id == self.settings.peer_id
                && view.is_local
                && view.public_key == self.key
                && (named || self.changed.own >= asked.input);
            return fits.then_some(()).ok_or_else(told);
        }
        if self.may_have_changed(asked, view.id) {
            return Ok(());
        }
        let Some(member) = self.members.get(&view.id) else {
            return Err(told());
        };
        let remark = Some(&member.remark).filter(|remark| !remark.is_empty());
        let fits = view.name == *remark.unwrap_or(&member.record.name)
            && view.created_s == member.created_s
            && view.public_key == member.record.public_key
            && view.address.to_string() == member.address;
        fits.then_some(()).ok_or_else(told)
    }

    fn judge_peer(
        &self,
        asked: &Asked,
        id: Option<PeerId>,
        response: &Response,
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Result<(), String> {
        let here = self.is_here(asked, id, hidden);
        match (here, response) {
            (Some(false), Response::Peer { .. }) => {
                Err("although there is no such peer".to_owned())
            }
            (_, Response::Peer { peer, .. }) => self.judge_view(asked, peer),
            (Some(true), said) if code(said) == Some(Code::NotFound) => {
                Err("as if there were no such peer".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether a peer is there to be shown, if that is sure.
    fn is_here(
        &self,
        asked: &Asked,
        id: Option<PeerId>,
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Option<bool> {
        let Some(id) = id else { return Some(false) };
        if id == self.settings.peer_id {
            return Some(true);
        }
        if self.may_have_changed(asked, id) {
            return None;
        }
        match hidden(&id) {
            _ if !self.members.contains_key(&id) => Some(false),
            Some(hidden) => Some(!hidden),
            None => None,
        }
    }

    fn judge_delete(
        &self,
        asked: &Asked,
        id: Option<PeerId>,
        response: &Response,
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Result<(), String> {
        if id == Some(self.settings.peer_id) {
            let fits = code(response) == Some(Code::CannotDeleteLocal);
            return fits
                .then_some(())
                .ok_or_else(|| "although it is this node".to_owned());
        }
        match (self.is_here(asked, id, hidden), response) {
            (Some(true), Response::Deleted) => Err("although the peer is still here".to_owned()),
            (Some(false), Response::Deleted) => Err("although there was no such peer".to_owned()),
            (Some(true), said) if code(said) == Some(Code::NotFound) => {
                Err("as if there were no such peer".to_owned())
            }
            (None, Response::Deleted) => {
                let gone = id.is_some_and(|id| !self.members.contains_key(&id));
                let came_back = id.is_some_and(|id| !self.gone.contains_key(&id));
                (gone || came_back)
                    .then_some(())
                    .ok_or_else(|| "although the peer is still here".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn judge_rename(
        &self,
        asked: &Asked,
        id: Option<PeerId>,
        name: Option<&Option<String>>,
        response: &Response,
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Result<(), String> {
        self.judge_peer(asked, id, response, hidden)?;
        match (name, response) {
            (None, Response::Peer { .. }) => Err("although it is malformed".to_owned()),
            // Without a remark a peer goes by what it calls itself.
            (Some(Some(name)), Response::Peer { peer, .. })
                if peer.name != *name && (peer.is_local || !name.is_empty()) =>
            {
                Err(format!("with the name {:?}", peer.name))
            }
            _ => Ok(()),
        }
    }

    /// Who is in a cluster stays there; who has left comes back only if that is forced, and begins
    /// with itself.
    fn judge_init(
        &self,
        asked: &Asked,
        force: bool,
        response: &Response,
        hidden: &dyn Fn(&PeerId) -> Option<bool>,
    ) -> Result<(), String> {
        let local = self.settings.peer_id;
        let left = self.own.as_ref().is_some_and(|own| own.left_s.is_some());
        let since = self.changed.own > asked.input;
        let Response::Founding(said) = response else {
            return match code(response) {
                Some(Code::LicenceExpired) if force && (left || since) => Ok(()),
                Some(Code::HandshakeFailed) if !force && (left || since) => Ok(()),
                _ => Err(format!("with {response:?}")),
            };
        };
        let told = || format!("with {said:?}");
        if said.created_by.own_cluster() != said.cluster_id || said.oldest_peer_id > local {
            return Err(told());
        }
        if said.was_created {
            // What is written because of the question is written with it or after it.
            let written = force && self.changed.own >= asked.input;
            let anew = said.created_by == local && said.oldest_peer_id == local;
            return (written && anew).then_some(()).ok_or_else(told);
        }
        let own = self.own.as_ref().map(|own| own.cluster_id);
        let cluster = own.unwrap_or_else(|| local.own_cluster());
        if !since && (left || cluster != said.cluster_id) {
            return Err(told());
        }
        // A peer that surely is here and shown cannot be older than the oldest; and that one is here.
        let sure = |id: &PeerId| !self.may_have_changed(asked, *id);
        let older = |id: &&PeerId| **id < said.oldest_peer_id && hidden(id) == Some(false);
        let older = self.members.keys().filter(|id| sure(id)).find(older);
        let oldest = &said.oldest_peer_id;
        let here = *oldest == local
            || !sure(oldest)
            || (self.members.contains_key(oldest) && hidden(oldest) != Some(true));
        (older.is_none() && here).then_some(()).ok_or_else(told)
    }

    fn judge_gossip(
        &self,
        asked: &Asked,
        question: &Digest,
        response: &Response,
    ) -> Result<(), String> {
        let Response::Gossip(digest) = response else {
            return Ok(());
        };
        let from = question.from;
        let left = self.own.as_ref().is_some_and(|own| own.left_s.is_some())
            || self.changed.own > asked.input;
        let alone = |digest: &Digest| {
            let [record] = digest.records.as_slice() else {
                return false;
            };
            record.peer_id == self.settings.peer_id && !record.is_active()
        };
        if left && alone(digest) && (digest.to, digest.nonce) == (from, question.nonce) {
            // Whoever has left says so to anybody.
            return Ok(());
        }
        let known = self.members.contains_key(&from) || self.may_have_changed(asked, from);
        if !known || question.to != self.settings.peer_id {
            return Err(format!("although {from} is no peer"));
        }
        let first = digest.records.first().map(|record| record.peer_id);
        let own = self.settings.peer_id;
        if (digest.from, digest.to, digest.nonce, first) != (own, from, question.nonce, Some(own)) {
            return Err("with a message for somebody else".to_owned());
        }
        if self.members.len() + self.gone.len() + 1 >= GOSSIP_RECORDS_MAX {
            return Ok(());
        }
        let told: BTreeSet<PeerId> = digest.records.iter().skip(1).map(|it| it.peer_id).collect();
        let mut here: BTreeSet<PeerId> = self.members.keys().copied().collect();
        let left = self
            .gone
            .iter()
            .filter(|(_, gone)| !gone.record.is_active());
        here.extend(left.map(|(id, _)| *id));
        let differ = told
            .symmetric_difference(&here)
            .find(|id| !self.may_have_changed(asked, **id));
        differ.map_or(Ok(()), |id| Err(format!("with {id} or without, wrongly")))
    }
}

fn code(response: &Response) -> Option<Code> {
    if let Response::Failed(Failure { code, .. }) = response {
        Some(*code)
    } else {
        None
    }
}
