//! Who is linked: whom to greet, whose greeting to answer, and when a link is over.
//!
//! A node greets as many peers of the common table as it is told to, again and again; whoever does not
//! answer as a node of the same chain is defunct until its turn comes again. Rules: the seed thread, the
//! handshake and the pings of grin_p2p; where there a connection ends, here greetings stop.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::links::Link;
use super::source::{Source, Who};
use super::types::{Between, Event, Hello, Request, Response, Then, Timer};
use super::{CAPABILITIES, Grin, USER_AGENT};
use crate::commons::Notice;
use crate::commons::address::HostAddr;
use crate::commons::bans::{BanKey, BanReason};
use crate::commons::network::NetworkId;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, PeerCert, RequestId};
use crate::limits::{
    GRIN_AGENT_CHARS_MAX, GRIN_CALL_TIMEOUT, GRIN_GREET_INTERVAL, GRIN_INBOUND_MAX,
    GRIN_LOOK_ALL_MAX, GRIN_LOOKS, GRIN_SILENCE_MAX,
};
use crate::output::{Endpoint, Part, Trust, Via};
use crate::rooms;
use crate::time::Duration;

impl Grin {
    // --- Greeting ---

    /// Looks after the links, and looks for more.
    pub(super) fn tend(&mut self, cx: &mut Cx<'_, Self>) {
        let now = cx.now().mono;
        let silent = self
            .links
            .iter()
            .filter(|(_, link)| now.since(link.heard) > GRIN_SILENCE_MAX);
        let silent: Vec<HostAddr> = silent.map(|(addr, _)| addr.clone()).collect();
        for addr in silent {
            self.unlink(cx, &addr);
        }
        let outbound = self.links.iter().filter(|(_, link)| link.outbound);
        let outbound: Vec<HostAddr> = outbound.map(|(addr, _)| addr.clone()).collect();
        for addr in outbound {
            self.greet(cx, addr);
        }
        self.seek(cx);
        self.forget_defunct(cx);
        self.arm_tend(cx);
    }

    /// Has the links looked after, if there is anything to look after.
    pub(super) fn arm_tend(&self, cx: &mut Cx<'_, Self>) {
        if cx.config().grin.links_max > 0 || !self.links.is_empty() {
            let after = cx.rng().range(GRIN_GREET_INTERVAL.0, GRIN_GREET_INTERVAL.1);
            cx.arm_by(Timer::Tend, Duration::from_micros(after));
        }
    }

    /// Greets peers of the common table that are not linked, as many as links are missing. One that was
    /// defunct gets another chance each time.
    pub(super) fn seek(&mut self, cx: &mut Cx<'_, Self>) {
        let under_way = self
            .greeting
            .iter()
            .filter(|addr| self.links.get(addr).is_none())
            .count();
        let have = self.links.count(true) + under_way;
        let missing = cx.config().grin.links_max.saturating_sub(have);
        if missing == 0 {
            return;
        }
        let candidates = self.candidates(cx);
        let (mut defunct, mut healthy): (Vec<HostAddr>, Vec<HostAddr>) = candidates
            .into_iter()
            .partition(|addr| self.book.is_defunct(addr));
        if !defunct.is_empty() {
            let at = cx.rng().index(defunct.len());
            healthy.push(defunct.swap_remove(at));
        }
        for _ in 0..missing.min(healthy.len()) {
            let at = cx.rng().index(healthy.len());
            let addr = healthy.swap_remove(at);
            self.greet(cx, addr);
        }
    }

    /// Who may be greeted: all of a small table; of a large one those that were linked before and some
    /// others, since most of its peers may have no such chain.
    fn candidates(&self, cx: &mut Cx<'_, Self>) -> BTreeSet<HostAddr> {
        let mut drawn = Vec::new();
        let listed = cx.commons().peers.listing(NetworkId::Cut).len();
        if cx.commons().peers.len() > GRIN_LOOK_ALL_MAX {
            drawn.extend((0..GRIN_LOOKS).map(|_| cx.rng().index(listed)));
        }
        let (peers, wall, own) = (&cx.commons().peers, cx.now().wall, &cx.config().address);
        let some = drawn
            .iter()
            .filter_map(|at| peers.get(peers.listing(NetworkId::Cut).get(*at)?.1));
        let all = peers
            .iter()
            .map(|(_, peer)| peer)
            .take(match drawn.is_empty() {
                true => GRIN_LOOK_ALL_MAX,
                false => 0,
            });
        let heard = some.chain(all).filter(|peer| !peer.is_banned());
        let heard = heard.map(|peer| &peer.info.address);
        let linked_before = self.book.iter().filter(|(addr, record)| {
            // By its address, or by what it is known to hold.
            let known = || peers.find(addr).is_some_and(|(_, peer)| peer.is_banned());
            let banned = || cx.commons().bans.covers(wall, &BanKey::of_address(addr)) || known();
            record.last_connected > 0 && !record.defunct && !banned()
        });
        let linked_before = linked_before.map(|(addr, _)| addr);
        let free = |addr: &&HostAddr| {
            let linked = self.links.get(addr).is_some_and(|link| link.outbound);
            !linked && *addr != own && !self.greeting.contains(*addr)
        };
        heard.chain(linked_before).filter(free).cloned().collect()
    }

    /// Tells a peer how we are, and asks how it is.
    pub(super) fn greet(&mut self, cx: &mut Cx<'_, Self>, addr: HostAddr) {
        if !self.greeting.insert(addr.clone()) {
            return;
        }
        let to = self.endpoint(cx, &addr);
        let hello = Between::Hello(Arc::new(self.hello(cx)));
        self.send(cx, to, hello, Then::Greeted(addr));
    }

    pub(super) fn send(&self, cx: &mut Cx<'_, Self>, to: Endpoint, what: Between, then: Then) {
        let request = Request::Between(self.store.state().rules().chain, what);
        cx.call(to, request, GRIN_CALL_TIMEOUT, then);
    }

    /// How to reach a peer and know that it is the one that is meant.
    pub(super) fn endpoint(&self, cx: &Cx<'_, Self>, addr: &HostAddr) -> Endpoint {
        let linked = self.links.get(addr).map(|link| link.cert.fingerprint);
        let known = cx.commons().peers.find(addr);
        let told = known.and_then(|(_, peer)| peer.info.id);
        let trust = match linked.or(told) {
            Some(id) => Trust::Pinned(id),
            None if cx.config().network.peer_validation() => Trust::Authorities,
            None => Trust::Anyone,
        };
        Endpoint {
            addr: addr.clone(),
            trust,
            via: Via::Tls,
            part: Part::Body,
        }
    }

    fn hello(&self, cx: &Cx<'_, Self>) -> Hello {
        let tip = self.store.tip();
        Hello {
            genesis: self.store.genesis_hash().to_string(),
            address: cx.config().address.to_string(),
            user_agent: USER_AGENT.to_owned(),
            capabilities: CAPABILITIES,
            height: tip.height(),
            total_difficulty: tip.total_difficulty(),
            tip: tip.hash().to_string(),
        }
    }

    /// A greeting of ours was answered, or not.
    pub(super) fn greeted(
        &mut self,
        cx: &mut Cx<'_, Self>,
        addr: &HostAddr,
        result: Result<Answer, CallError>,
    ) {
        self.greeting.remove(addr);
        let answer = match result {
            Ok(answer) => Some(answer),
            // We are too busy; that says nothing about it.
            Err(CallError::Busy) => return,
            Err(_) => None,
        };
        let answer = answer.and_then(|answer| {
            let rooms::Response::Grin(Response::Hello(hello)) = answer.response else {
                return None;
            };
            Some((hello, answer.cert?))
        });
        let genesis = self.store.genesis_hash().to_string();
        let own = cx.config().identity.fingerprint;
        match answer {
            Some((_, cert)) if self.is_banned(cx, addr, &cert) => self.unlink(cx, addr),
            Some((hello, cert)) if hello.genesis == genesis && cert.fingerprint != own => {
                self.link(cx, addr.clone(), &hello, cert, true);
            }
            Some(_) | None => {
                // Who only said that it is there tells nothing about whoever really is.
                let claimed = self.links.get(addr).is_some_and(|link| !link.met);
                self.unlink(cx, addr);
                if !claimed {
                    self.note(cx, addr, |record| record.defunct = true);
                }
            }
        }
    }

    // --- Being greeted ---

    /// Another node says that it is there.
    pub(super) fn hear_hello(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        hello: &Hello,
    ) {
        let Some(cert) = from.cert else {
            cx.event(Event::ImpostorRefused);
            return cx.respond(id, refused(403, "no certificate"));
        };
        let Ok(addr) = hello.address.parse::<HostAddr>() else {
            return cx.respond(id, refused(400, "not an address"));
        };
        if hello.genesis != self.store.genesis_hash().to_string() {
            return cx.respond(id, refused(400, "another chain"));
        }
        let own = cx.config();
        if addr == own.address || cert.fingerprint == own.identity.fingerprint {
            return cx.respond(id, refused(400, "myself"));
        }
        let before = self.links.get(&addr);
        if before.is_some_and(|link| link.met && link.cert.fingerprint != cert.fingerprint) {
            // Somebody else was met there.
            cx.event(Event::ImpostorRefused);
            return cx.respond(id, refused(403, "the address of somebody else"));
        }
        if before.is_none() && self.links.count(false) >= GRIN_INBOUND_MAX {
            cx.event(Event::TableFull { table: "links" });
            return cx.respond(id, refused(503, "too many links"));
        }
        if self.is_banned(cx, &addr, &cert) {
            return cx.respond(id, refused(403, "banned"));
        }
        let is_new = before.is_none();
        self.link(cx, addr.clone(), hello, cert, false);
        let hello = Arc::new(self.hello(cx));
        cx.respond(id, Response::Hello(hello));
        if is_new && cx.config().grin.links_max > 0 {
            // Whether it is where it says shows when it is called there.
            self.greet(cx, addr);
        }
    }

    fn is_banned(&self, cx: &Cx<'_, Self>, addr: &HostAddr, cert: &PeerCert) -> bool {
        let (commons, wall) = (cx.commons(), cx.now().wall);
        commons.bans.covers(wall, &BanKey::of_address(addr)) || commons.is_banned_cert(wall, cert)
    }

    // --- Links ---

    /// Enters what a peer says of itself. `met` tells whether a call of ours found it at `addr`.
    fn link(
        &mut self,
        cx: &mut Cx<'_, Self>,
        addr: HostAddr,
        hello: &Hello,
        cert: PeerCert,
        met: bool,
    ) {
        let before = self.links.get(&addr);
        let before = before
            .filter(|link| link.cert.fingerprint == cert.fingerprint)
            .cloned();
        let user_agent: String = hello
            .user_agent
            .chars()
            .take(GRIN_AGENT_CHARS_MAX)
            .collect();
        let wanted = self.links.count(true) < cx.config().grin.links_max;
        let link = Link {
            outbound: met && wanted || before.as_ref().is_some_and(|link| link.outbound),
            cert,
            met: met || before.as_ref().is_some_and(|link| link.met),
            capabilities: hello.capabilities,
            user_agent: user_agent.clone(),
            height: hello.height,
            work: hello.total_difficulty,
            heard: cx.now().mono,
            busy: before.as_ref().map_or(0, |link| link.busy),
            checks: before.as_ref().map_or(0, |link| link.checks),
            hollow: before.as_ref().map_or(0, |link| link.hollow),
            misses: before.as_ref().map_or(0, |link| link.misses),
            reached: before.as_ref().and_then(|link| link.reached),
            rests: before
                .as_ref()
                .map_or_else(|| cx.now().mono, |link| link.rests),
        };
        self.links.insert(addr.clone(), link);
        // Whoever only says that it is at an address changes nothing that is known of who is there,
        // unless this node never looks.
        let known = self.book.get(&addr).is_some() || cx.commons().peers.find(&addr).is_some();
        let looks = cx.config().grin.links_max > 0;
        let first_met = met && before.as_ref().is_none_or(|link| !link.met);
        if let (true, Some(key)) = (first_met, cert.key) {
            cx.acquaint(&addr, key);
        }
        if first_met || (before.is_none() && !(known && looks)) {
            let (capabilities, secs) = (hello.capabilities, cx.now().wall.as_secs());
            self.note(cx, &addr, |record| {
                record.capabilities = capabilities;
                record.user_agent = user_agent;
                record.defunct = false;
                record.last_banned = 0;
                record.last_connected = secs;
            });
        }
        if before.is_none() {
            cx.event(Event::LinkBegan { addr: addr.clone() });
            cx.meet(&addr, Some(&cert));
            self.arm_tend(cx);
        }
        self.sync(cx);
    }

    /// A link is over.
    pub(super) fn unlink(&mut self, cx: &mut Cx<'_, Self>, addr: &HostAddr) {
        if self.links.remove(addr).is_none() {
            return;
        }
        cx.event(Event::LinkEnded { addr: addr.clone() });
        if cx.config().grin.links_max > 0 {
            cx.arm_by(Timer::Seek, SOON);
        }
        self.sync(cx);
    }

    /// A call of ours to a linked peer had no answer: the next greeting shows whether it is still there.
    pub(super) fn doubt(&mut self, cx: &mut Cx<'_, Self>, addr: &HostAddr) {
        if self.links.get(addr).is_some() {
            self.greet(cx, addr.clone());
        }
    }

    /// Whoever calls, if there is a link with it.
    pub(super) fn linked(&self, from: &Caller) -> Option<HostAddr> {
        let cert = from.cert.as_ref()?;
        self.links.addr_of(&cert.fingerprint).cloned()
    }

    // --- Bans ---

    /// Bans whoever sent what nobody honest sends.
    pub(super) fn punish(
        &mut self,
        cx: &mut Cx<'_, Self>,
        source: &Source,
        reason: BanReason,
        why: &str,
    ) {
        let Some(Who { addr, cert }) = source.peer() else {
            return;
        };
        let keys = cert.as_ref().map_or_else(Vec::new, BanKey::of_cert);
        let (bans, max) = (cx.commons().bans.len(), cx.limits().bans_max);
        if bans + keys.len() < max {
            cx.ban(addr, keys, reason);
        }
        cx.event(Event::PeerPunished {
            addr: addr.clone(),
            why: why.into(),
        });
    }

    /// The ban list has changed.
    pub(super) fn heed(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice) {
        match notice {
            Notice::Banned(key) => self.heed_ban(cx, key),
            Notice::Unbanned | Notice::PeersChanged(_) => {
                let grin = &cx.config().grin;
                if self.links.count(true) < grin.links_max {
                    cx.arm_by(Timer::Seek, SOON);
                }
            }
            Notice::PeerProven(_)
            | Notice::SessionOpened(_)
            | Notice::SessionProven(_)
            | Notice::SessionFailed(_)
            | Notice::SessionMismatched(_)
            | Notice::SessionClosed(_) => {}
        }
    }

    fn heed_ban(&mut self, cx: &mut Cx<'_, Self>, key: &BanKey) {
        let wall = cx.now().wall;
        let links = self.links.iter();
        let covered = links.filter(|(addr, link)| self.is_banned(cx, addr, &link.cert));
        let covered: Vec<HostAddr> = covered.map(|(addr, _)| addr.clone()).collect();
        for addr in covered {
            self.unlink(cx, &addr);
        }
        let BanKey::Address(_) = key else {
            return;
        };
        let peers = cx
            .commons()
            .peers
            .iter()
            .map(|(_, peer)| &peer.info.address);
        let known = self.book.iter().map(|(addr, _)| addr).chain(peers);
        let named = known.filter(|addr| BanKey::of_address(addr) == *key);
        let named: Vec<HostAddr> = named.cloned().collect();
        for addr in named {
            self.note(cx, &addr, |record| record.last_banned = wall.as_secs());
        }
    }
}

/// When somebody new may be there to be greeted; several changes make one look.
const SOON: Duration = Duration::from_secs(1);

pub(super) fn refused(status: u16, why: &str) -> Response {
    Response::Failed(status, why.into())
}
