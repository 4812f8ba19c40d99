//! What is missing and whom to ask for it: headers first, from whoever claims the most work, then the
//! blocks below the best header, from everybody who has them. New blocks are announced by their header
//! and fetched; one that does not fit what is known is a reason to ask for headers.
//!
//! Rules: header and body sync of grin_servers, in pages that suit calls. Blocks whose ancestors are
//! missing need no pool of orphans: nothing is fetched before its header has found its place.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerage_mw::{Block, Hash, Header, HeaderFault, Job};

use super::Grin;
use super::chain::Standing;
use super::source::{Source, Who};
use super::tend::refused;
use super::types::{Between, Event, Response, Then, Timer};
use crate::commons::address::HostAddr;
use crate::commons::bans::BanReason;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::limits::{
    GRIN_AHEAD_MAX, GRIN_BLOCKS_MAX, GRIN_HEADERS_MAX, GRIN_LOCATOR_MAX, GRIN_MISSES_MAX,
    GRIN_REST, GRIN_SIDE_MAX,
};
use crate::rooms;
use crate::verify::VerifyJob;
use crate::work::{Done, Work};

/// What is being asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Sync {
    /// Who is asked for headers, or gave those that are being checked.
    headers_of: Option<HostAddr>,
    /// Blocks that are being asked for.
    fetching: BTreeSet<Hash>,
}

impl Grin {
    // --- Asking ---

    /// Asks for what others have and we lack.
    pub(super) fn sync(&mut self, cx: &mut Cx<'_, Self>) {
        self.ask_headers(cx);
        self.ask_blocks(cx);
    }

    fn ask_headers(&mut self, cx: &mut Cx<'_, Self>) {
        // Headers must not crowd each other out: first the blocks of those that are there.
        if self.sync.headers_of.is_some() || self.store.beside() > GRIN_SIDE_MAX / 2 {
            return;
        }
        let (now, work) = (cx.now().mono, self.store.best_header().total_difficulty());
        let links = self.links.iter();
        let ready =
            links.filter(|(_, link)| link.work > work && link.busy == 0 && link.rests <= now);
        let Some((addr, link)) = ready.max_by_key(|(_, link)| link.work) else {
            return;
        };
        let addr = addr.clone();
        let from = link.reached.map(|(hash, _)| hash);
        let locator: Arc<[Hash]> = self.store.locator(from, GRIN_LOCATOR_MAX).into();
        self.sync.headers_of = Some(addr.clone());
        self.hold(&addr);
        let to = self.endpoint(cx, &addr);
        self.send(
            cx,
            to,
            Between::Headers(locator),
            Then::Headers { of: addr },
        );
    }

    fn ask_blocks(&mut self, cx: &mut Cx<'_, Self>) {
        let missing = self.store.missing(GRIN_AHEAD_MAX);
        let Some(first) = missing.first().copied() else {
            return;
        };
        let (now, work) = (cx.now().mono, self.store.best_header().total_difficulty());
        let links = self.links.iter().filter(|(_, link)| link.work >= work);
        let claim: Vec<(HostAddr, bool)> = links
            .map(|(addr, link)| (addr.clone(), link.busy == 0 && link.rests <= now))
            .collect();
        if claim.is_empty() && self.sync.fetching.is_empty() {
            // Nobody is left who says that there are such blocks.
            return self.store.forget(first);
        }
        let mut wanted = missing
            .into_iter()
            .filter(|hash| !self.sync.fetching.contains(hash));
        let mut asked = Vec::new();
        for (addr, _) in claim.into_iter().filter(|(_, ready)| *ready) {
            let hashes: Arc<[Hash]> = wanted.by_ref().take(GRIN_BLOCKS_MAX).collect();
            if hashes.is_empty() {
                break;
            }
            asked.push((addr, hashes));
        }
        for (addr, hashes) in asked {
            self.fetch(cx, &addr, hashes);
        }
    }

    fn fetch(&mut self, cx: &mut Cx<'_, Self>, of: &HostAddr, hashes: Arc<[Hash]>) {
        self.sync.fetching.extend(hashes.iter());
        self.hold(of);
        let to = self.endpoint(cx, of);
        let then = Then::Blocks {
            of: of.clone(),
            hashes: hashes.clone(),
        };
        self.send(cx, to, Between::Blocks(hashes), then);
    }

    fn hold(&mut self, addr: &HostAddr) {
        if let Some(link) = self.links.get_mut(addr) {
            link.busy += 1;
        }
    }

    fn let_go(&mut self, addr: &HostAddr) {
        if let Some(link) = self.links.get_mut(addr) {
            link.busy = link.busy.saturating_sub(1);
        }
    }

    /// Remembers where a peer's headers are to be asked for next. Tells whether that is further than
    /// before.
    ///
    /// A page of a branch that parts from ours far below may end before it has as much work as ours.
    /// Asked by our best header alone, the peer would give the same page for ever.
    fn reach(&mut self, addr: &HostAddr, last: &Header) -> bool {
        let best = self.store.best_header().total_difficulty();
        let Some(link) = self.links.get_mut(addr) else {
            return false;
        };
        let work = last.total_difficulty();
        let further = link.reached.is_none_or(|(_, before)| before < work);
        link.reached = (further && work < best).then(|| (last.hash(), work));
        further
    }

    /// Does not ask a peer for a while, because it did not give what it claims to have. Tells whether
    /// that has happened too often.
    pub(super) fn rest(&mut self, cx: &mut Cx<'_, Self>, addr: &HostAddr) -> bool {
        let until = cx.now().mono + GRIN_REST;
        let Some(link) = self.links.get_mut(addr) else {
            return false;
        };
        (link.rests, link.hollow) = (until, link.work);
        link.misses += 1;
        cx.arm_by(Timer::Sync, GRIN_REST);
        link.misses >= GRIN_MISSES_MAX
    }

    /// A peer gave what it was asked for.
    fn praise(&mut self, addr: &HostAddr) {
        if let Some(link) = self.links.get_mut(addr) {
            link.misses = 0;
        }
    }

    // --- Headers ---

    /// Headers were asked for.
    pub(super) fn headers_given(
        &mut self,
        cx: &mut Cx<'_, Self>,
        of: HostAddr,
        result: Result<Answer, CallError>,
    ) {
        let (headers, cert) = match result {
            Ok(Answer {
                response: rooms::Response::Grin(Response::Headers(it)),
                cert,
                ..
            }) if it.len() <= GRIN_HEADERS_MAX => (it, cert),
            Ok(_) | Err(_) => {
                self.headers_done(cx, &of, None);
                return self.doubt(cx, &of);
            }
        };
        let fresh = |header: &&Header| {
            matches!(
                self.store.standing(header),
                Standing::New | Standing::Orphan
            )
        };
        let news: Arc<[Header]> = headers
            .iter()
            .skip_while(|it| !fresh(it))
            .cloned()
            .collect();
        if news.is_empty() {
            // Known ones lead on as long as they are of a branch that has not caught up with ours.
            let work = self.store.best_header().total_difficulty();
            let last = headers.last().filter(|it| it.total_difficulty() < work);
            return self.headers_done(cx, &of, last);
        }
        let jobs = news.iter().cloned().map(Job::Header).collect();
        let work = Work::Check {
            rules: *self.store.state().rules(),
            jobs,
        };
        let from = Source::at(of, cert);
        cx.verify(
            VerifyJob::Mimblewimble(work),
            Then::HeadersChecked {
                from,
                headers: news,
            },
        );
    }

    /// The work in headers is checked.
    pub(super) fn headers_checked(
        &mut self,
        cx: &mut Cx<'_, Self>,
        from: &Source,
        headers: &[Header],
        done: &Done,
    ) {
        let Done::Checked(verdicts) = done else {
            unreachable!("a check was asked for");
        };
        let mut last = None;
        for (header, verdict) in headers.iter().zip(verdicts.iter()) {
            if let Err(fault) = verdict {
                self.refuse_header(cx, from, header, &fault.to_string());
                break;
            }
            match self.place_header(cx, from, header) {
                true => last = Some(header),
                false => break,
            }
        }
        if let Some(who) = from.peer() {
            if last.is_some() {
                self.praise(&who.addr);
            }
            self.headers_done(cx, &who.addr, last);
        }
    }

    /// Puts a header whose work was checked in its place. Tells whether it has one.
    pub(super) fn place_header(
        &mut self,
        cx: &mut Cx<'_, Self>,
        from: &Source,
        header: &Header,
    ) -> bool {
        match self.store.standing(header) {
            Standing::Main | Standing::Beside { .. } => true,
            Standing::Orphan => false,
            Standing::Bad => {
                self.refuse_header(cx, from, header, "follows a bad header");
                false
            }
            Standing::New => match self.store.check_header(header, wall_secs(cx)) {
                Ok(()) => {
                    let added = self.store.add_header(header.clone());
                    if !added {
                        cx.event(Event::TableFull { table: "headers" });
                    }
                    added
                }
                Err(fault) => {
                    if fault != HeaderFault::FromTheFuture {
                        self.store.condemn(header.hash());
                    }
                    self.refuse_unless_early(cx, from, header, fault);
                    false
                }
            },
        }
    }

    /// What a peer was asked for is there up to `last`, and has its place. If that is no further than
    /// before, the peer is not asked for a while.
    fn headers_done(&mut self, cx: &mut Cx<'_, Self>, of: &HostAddr, last: Option<&Header>) {
        self.sync.headers_of = None;
        self.let_go(of);
        if !last.is_some_and(|last| self.reach(of, last)) {
            self.rest(cx, of);
        }
        self.sync(cx);
    }

    /// Refuses a header. Who gave one that is only dated ahead may have another clock.
    fn refuse_unless_early(
        &mut self,
        cx: &mut Cx<'_, Self>,
        from: &Source,
        header: &Header,
        fault: HeaderFault,
    ) {
        if fault == HeaderFault::FromTheFuture {
            let (height, why) = (header.height(), fault.to_string().into());
            cx.event(Event::BlockRefused { height, why });
        } else {
            self.refuse_header(cx, from, header, &fault.to_string());
        }
    }

    fn refuse_header(&mut self, cx: &mut Cx<'_, Self>, from: &Source, header: &Header, why: &str) {
        let height = header.height();
        cx.event(Event::BlockRefused {
            height,
            why: why.into(),
        });
        self.punish(cx, from, BanReason::BadBlockHeader, why);
    }

    // --- Blocks ---

    /// A peer says that it has a new block.
    pub(super) fn hear_announcement(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        header: &Header,
    ) {
        let Some(addr) = self.linked(from) else {
            cx.event(Event::ImpostorRefused);
            return cx.respond(id, refused(403, "no link"));
        };
        cx.respond(id, Response::Done);
        let who = self.who(from, &addr);
        if let Some(link) = self.links.get_mut(&addr)
            && link.work < header.total_difficulty()
        {
            (link.work, link.height) = (header.total_difficulty(), header.height());
        }
        let wanted = match self.store.standing(header) {
            Standing::Main | Standing::Beside { block: true } => false,
            Standing::Beside { block: false } => true,
            Standing::Bad => {
                return self.refuse_header(cx, &who, header, "follows a bad header");
            }
            Standing::New => match self.store.check_header(header, wall_secs(cx)) {
                Ok(()) => true,
                Err(fault) => return self.refuse_unless_early(cx, &who, header, fault),
            },
            // What it claims is asked for by headers.
            Standing::Orphan => return self.sync(cx),
        };
        let hash = header.hash();
        if wanted && !self.sync.fetching.contains(&hash) {
            self.fetch(cx, &addr, Arc::new([hash]));
        }
    }

    /// Whoever calls, for what falls back on it.
    pub(super) fn who(&self, from: &Caller, linked: &HostAddr) -> Source {
        let met = self.links.get(linked).is_some_and(|link| link.met);
        let linked = met.then(|| linked.clone());
        Source::Peer(Arc::new(Who::calling(from, linked)))
    }

    /// Blocks were asked for.
    pub(super) fn blocks_given(
        &mut self,
        cx: &mut Cx<'_, Self>,
        of: HostAddr,
        hashes: &[Hash],
        result: Result<Answer, CallError>,
    ) {
        for hash in hashes {
            self.sync.fetching.remove(hash);
        }
        self.let_go(&of);
        let Ok(Answer {
            response: rooms::Response::Grin(Response::Blocks(blocks)),
            cert,
            ..
        }) = result
        else {
            if self.rest(cx, &of) {
                // Whoever has headers and never their blocks keeps others from being asked.
                self.unlink(cx, &of);
            }
            self.doubt(cx, &of);
            return self.sync(cx);
        };
        let asked = |block: &Block| hashes.contains(&block.hash());
        let all_asked = blocks.iter().all(asked);
        if blocks.is_empty() || !all_asked {
            // Whoever has compacted its chain lacks old blocks and is good for new ones.
            if self.rest(cx, &of) || !all_asked {
                self.unlink(cx, &of);
            }
            return self.sync(cx);
        }
        self.praise(&of);
        self.sync.fetching.extend(blocks.iter().map(Block::hash));
        self.hold(&of);
        self.judge_blocks(cx, Source::at(of, cert), blocks);
    }

    /// What was fetched is judged, or cannot be.
    pub(super) fn fetched(&mut self, cx: &mut Cx<'_, Self>, from: &Source, blocks: &[Block]) {
        for block in blocks {
            self.sync.fetching.remove(&block.hash());
        }
        if let Some(who) = from.peer() {
            self.let_go(&who.addr);
        }
        self.sync(cx);
    }

    // --- Giving ---

    pub(super) fn give_blocks(&self, hashes: &[Hash]) -> Response {
        let known = hashes.iter().filter_map(|hash| self.store.block(hash));
        Response::Blocks(known.take(GRIN_BLOCKS_MAX).cloned().collect())
    }

    pub(super) fn give_headers(&self, locator: &[Hash]) -> Response {
        let locator = &locator[..locator.len().min(GRIN_LOCATOR_MAX)];
        Response::Headers(self.store.headers_after(locator, GRIN_HEADERS_MAX))
    }

    /// Tells all who may not know it that there is a new block.
    pub(super) fn announce(&mut self, cx: &mut Cx<'_, Self>) {
        let tip = self.store.tip().clone();
        let links = self
            .links
            .iter()
            .filter(|(_, link)| link.work < tip.total_difficulty());
        let unaware: Vec<HostAddr> = links.map(|(addr, _)| addr.clone()).collect();
        for addr in unaware {
            let to = self.endpoint(cx, &addr);
            self.send(
                cx,
                to,
                Between::Announce(tip.clone()),
                Then::Announced(addr),
            );
        }
    }

    /// A call that only told something has ended.
    pub(super) fn told(
        &mut self,
        cx: &mut Cx<'_, Self>,
        to: &HostAddr,
        result: &Result<Answer, CallError>,
    ) -> bool {
        let heard = matches!(result, Ok(answer) if answer.response == Response::Done.into());
        // Too much under way says nothing about the peer.
        if !heard && !matches!(result, Err(CallError::Busy)) {
            self.doubt(cx, to);
        }
        heard
    }
}

/// Our clock, as headers have it.
pub(super) fn wall_secs(cx: &Cx<'_, Grin>) -> i64 {
    i64::try_from(cx.now().wall.as_secs()).unwrap_or(i64::MAX)
}
