//! Keeping pools equal among nodes: fetch what a peer has, give it what it lacks, then stay in touch.
//!
//! A session asks its peer what is pending, fetches what is missing here, gives the peer what is
//! missing there, and then polls for news. That is Chainweb's `syncMempools'`, with two differences:
//! however much is missing is fetched, in slices below the body limit; and what is accepted here
//! later is pushed at once to every peer in session, so that polling is only the repair.

use std::collections::VecDeque;
use std::sync::Arc;

use super::command::Command;
use super::key::{RequestKey, TxHash};
use super::types::Origin;
use super::{ChainId, ChainwebMempool, Event, Mark, Query, Request, Response, Then, Timer};
use crate::commons::Notice;
use crate::commons::network::NetworkId;
use crate::commons::sessions::SessionId;
use crate::cx::Cx;
use crate::ids::Fingerprint;
use crate::input::{Answer, CallError};
use crate::limits::{BODY_BYTES_MAX, PUSH_CHUNK_MAX, SESSION_HASHES_MAX};
use crate::lookup::Lookup;
use crate::rng::Stream;
use crate::rooms;
use crate::time::{Duration, micros};

/// A session's work.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    chain: ChainId,
    /// The peer's mark, once what came with it was fetched.
    mark: Option<Mark>,
    /// The mark of the answer that is being worked through.
    next_mark: Option<Mark>,
    phase: Phase,
    wanted: VecDeque<TxHash>,
    /// What the lookup that is under way asks for.
    asked: Vec<TxHash>,
    /// How much the next lookup asks for: less than the configured slice while answers are large.
    slice: usize,
    to_push: VecDeque<TxHash>,
    pushing: bool,
    /// What the peer is known to have, so that it is not given back. Bounded, oldest forgotten.
    theirs: Recent,
    /// What the peer has and we found invalid, so that it is not fetched with every poll.
    rejected: Recent,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What was missing here is being fetched.
    Fetching,
    /// What was missing there is being given.
    Giving,
    /// Both know what the other has; polls and pushes keep it so.
    InTouch,
}

/// A bounded set that forgets its oldest members.
#[derive(Clone, Debug)]
struct Recent {
    set: Lookup<TxHash, ()>,
    order: VecDeque<TxHash>,
}

impl Recent {
    fn new(seed: u64) -> Self {
        Self {
            set: Lookup::new(seed),
            order: VecDeque::new(),
        }
    }

    fn add(&mut self, hash: TxHash) {
        if self.set.insert(hash, ()).is_none() {
            self.order.push_back(hash);
            if self.order.len() > SESSION_HASHES_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.set.remove(&oldest);
            }
        }
    }

    fn has(&self, hash: &TxHash) -> bool {
        self.set.contains(hash)
    }
}

impl Sync {
    fn new(chain: ChainId, slice: usize, rng: &mut Stream) -> Self {
        Self {
            chain,
            mark: None,
            next_mark: None,
            phase: Phase::Fetching,
            wanted: VecDeque::new(),
            asked: Vec::new(),
            slice,
            to_push: VecDeque::new(),
            pushing: false,
            theirs: Recent::new(rng.bits()),
            rejected: Recent::new(rng.bits()),
        }
    }

    /// How many transactions wait to be pushed.
    pub(super) fn queued(&self) -> usize {
        self.to_push.len()
    }
}

impl ChainwebMempool {
    pub(super) fn session_opened(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let Some(NetworkId::Mempool(chain)) = cx
            .commons()
            .sessions
            .get(session)
            .map(|session| session.network)
        else {
            return;
        };
        let slice = cx.limits().lookup_slice_max.max(1);
        let sync = Sync::new(ChainId(chain), slice, cx.rng());
        self.sessions.insert(session, sync);
        self.ask_pending(cx, session, None);
    }

    pub(super) fn session_closed(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        if self.sessions.remove(&session).is_some() {
            cx.disarm(Timer::Poll(session));
            cx.disarm(Timer::Push(session));
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        if let Some(mark) = self.sessions.get(&session).map(|sync| sync.mark) {
            self.ask_pending(cx, session, mark);
        }
    }

    fn ask_pending(&self, cx: &mut Cx<'_, Self>, session: SessionId, mark: Option<Mark>) {
        if let Some(chain) = self.sessions.get(&session).map(|sync| sync.chain) {
            cx.event(Event::Polled { chain });
            ask(
                cx,
                session,
                chain,
                Query::GetPending(mark),
                Then::Hashes { session },
            );
        }
    }

    /// The peer told what it has.
    pub(super) fn hashes(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        result: Result<Answer, CallError>,
    ) {
        let Some(sync) = self.sessions.get_mut(&session) else {
            return;
        };
        let (hashes, mark) = match answer(result) {
            Ok(Response::Pending { hashes, mark }) => (hashes, mark),
            other => return fail(cx, session, other.err()),
        };
        let pool = &self.pools[usize::from(sync.chain.0)];
        let missing = |hash: &&TxHash| !pool.contains(hash) && !sync.rejected.has(hash);
        sync.wanted = hashes.iter().filter(missing).copied().collect();
        sync.next_mark = Some(mark);
        if sync.phase == Phase::Fetching {
            sync.to_push = pool.without(&hashes).into();
        }
        if sync.wanted.len() > sync.slice {
            let (chain, count) = (sync.chain, sync.wanted.len());
            cx.event(Event::FetchSliced { chain, count });
        }
        for hash in hashes.into_iter().take(SESSION_HASHES_MAX) {
            sync.theirs.add(hash);
        }
        self.fetch(cx, session);
    }

    /// Asks for the next slice of what is missing, or goes on if nothing is.
    fn fetch(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let Some(sync) = self.sessions.get_mut(&session) else {
            return;
        };
        let pool = &self.pools[usize::from(sync.chain.0)];
        sync.asked.clear();
        while sync.asked.len() < sync.slice
            && let Some(hash) = sync.wanted.pop_front()
        {
            // Others may have brought it in the meantime.
            if !pool.contains(&hash) {
                sync.asked.push(hash);
            }
        }
        if sync.asked.is_empty() {
            return self.fetched_all(cx, session);
        }
        let keys = sync.asked.iter().copied().map(RequestKey::Full);
        let (chain, query) = (sync.chain, Query::Lookup(keys.collect()));
        ask(cx, session, chain, query, Then::Fetched { session });
    }

    /// A slice of what was missing is here.
    pub(super) fn fetched(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        result: Result<Answer, CallError>,
    ) {
        let slice_max = cx.limits().lookup_slice_max.max(1);
        let Some(sync) = self.sessions.get_mut(&session) else {
            return;
        };
        let asked = std::mem::take(&mut sync.asked);
        let found = match answer(result) {
            Err(Some(CallError::TooLarge)) | Ok(Response::TooMuch) => {
                // These commands are larger than most: ask for fewer. If one is too large by itself,
                // do without it; the others need not be small for its sake.
                if let [alone] = asked.as_slice() {
                    sync.rejected.add(*alone);
                    sync.slice = slice_max;
                } else {
                    sync.slice = (asked.len() / 2).max(1);
                    for hash in asked.iter().rev() {
                        sync.wanted.push_front(*hash);
                    }
                }
                return self.fetch(cx, session);
            }
            Ok(Response::Found(found)) if found.len() == asked.len() => found,
            other => return fail(cx, session, other.err()),
        };
        // Only what was asked for is taken.
        let commands: Vec<Arc<Command>> = asked
            .iter()
            .zip(found)
            .filter_map(|(hash, command)| {
                command.filter(|command| command.key().full() == Some(*hash))
            })
            .collect();
        let chain = sync.chain;
        cx.event(Event::TxFetched {
            chain,
            count: commands.len(),
        });
        self.insert(cx, Origin::Session(session), chain, commands);
    }

    /// What a slice brought was checked and stored.
    pub(super) fn inserted(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        self.fetch(cx, session);
    }

    fn fetched_all(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let pause = {
            let mean = micros(cx.config().sessions.poll_interval);
            Duration::from_micros(cx.rng().bell(mean, mean / 6))
        };
        let Some(sync) = self.sessions.get_mut(&session) else {
            return;
        };
        sync.mark = sync.next_mark.take().or(sync.mark);
        if sync.phase == Phase::InTouch {
            return cx.arm(Timer::Poll(session), pause);
        }
        sync.phase = Phase::Giving;
        self.push(cx, session);
        self.all_given(cx, session);
    }

    /// The first poll follows at once when the peer was given what it lacked.
    fn all_given(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        if let Some(sync) = self.sessions.get_mut(&session)
            && sync.phase == Phase::Giving
            && !sync.pushing
        {
            sync.phase = Phase::InTouch;
            cx.notify(Notice::SessionProven(session));
            self.poll(cx, session);
        }
    }

    /// Gives the peer the next chunk of what it lacks.
    pub(super) fn push(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let Some(sync) = self.sessions.get_mut(&session) else {
            return;
        };
        if sync.pushing || sync.phase == Phase::Fetching {
            return;
        }
        let pool = &self.pools[usize::from(sync.chain.0)];
        let mut commands = Vec::new();
        let mut bytes = 2;
        while let Some(hash) = sync.to_push.front() {
            // One that fills more than a body by itself cannot be given to anybody.
            let fitting = pool
                .get(hash)
                .filter(|command| command.literal().len() + 2 <= BODY_BYTES_MAX)
                .filter(|_| !sync.theirs.has(hash));
            if let Some(command) = fitting {
                bytes += command.literal().len() + 1;
                if commands.len() == PUSH_CHUNK_MAX
                    || (bytes > BODY_BYTES_MAX && !commands.is_empty())
                {
                    break;
                }
                commands.push(command.clone());
                sync.theirs.add(*hash);
            }
            sync.to_push.pop_front();
        }
        if commands.is_empty() {
            return;
        }
        sync.pushing = true;
        let chain = sync.chain;
        cx.event(Event::TxPushed {
            chain,
            count: commands.len(),
        });
        ask(
            cx,
            session,
            chain,
            Query::Insert(commands),
            Then::Pushed { session },
        );
    }

    /// The peer has taken a chunk.
    pub(super) fn pushed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        result: Result<Answer, CallError>,
    ) {
        let Some(sync) = self.sessions.get_mut(&session) else {
            return;
        };
        sync.pushing = false;
        match answer(result) {
            Ok(Response::Inserted) => {}
            // The peer is swamped; it will fetch what it lacks when it polls.
            Ok(Response::Busy) => sync.to_push.clear(),
            other => return fail(cx, session, other.err()),
        }
        self.push(cx, session);
        self.all_given(cx, session);
    }

    /// New commands were accepted: every peer in session on the chain is given them soon, except
    /// the one they came from.
    pub(super) fn announce(
        &mut self,
        cx: &mut Cx<'_, Self>,
        chain: ChainId,
        origin: Origin,
        hashes: &[TxHash],
    ) {
        if hashes.is_empty() {
            return;
        }
        let delay = cx.config().sessions.push_delay;
        let queue_max = cx.limits().push_queue_max;
        for (session, sync) in &mut self.sessions {
            if sync.chain != chain || matches!(origin, Origin::Session(from) if from == *session) {
                continue;
            }
            for hash in hashes {
                // A peer that cannot keep up fetches the rest when it polls.
                if !sync.theirs.has(hash) && sync.to_push.len() < queue_max {
                    sync.to_push.push_back(*hash);
                }
            }
            if !sync.to_push.is_empty() && !sync.pushing {
                cx.arm_once(Timer::Push(*session), delay);
            }
        }
    }

    /// Notes that the peer of a session has these commands, since it gave them to us.
    pub(super) fn note_theirs(
        &mut self,
        cx: &Cx<'_, Self>,
        chain: ChainId,
        id: &Fingerprint,
        commands: &[Arc<Command>],
    ) {
        let commons = cx.commons();
        for (session, sync) in &mut self.sessions {
            let peer = commons
                .sessions
                .get(*session)
                .and_then(|session| commons.peers.get(session.peer))
                .filter(|peer| sync.chain == chain && peer.info.id.as_ref() == Some(id));
            if peer.is_some() {
                commands
                    .iter()
                    .filter_map(|command| command.key().full())
                    .for_each(|hash| {
                        sync.theirs.add(hash);
                    });
            }
        }
    }

    /// Notes that a command that the session's peer has is not valid.
    pub(super) fn note_rejected(&mut self, session: SessionId, hash: TxHash) {
        if let Some(sync) = self.sessions.get_mut(&session) {
            sync.rejected.add(hash);
        }
    }
}

fn ask(
    cx: &mut Cx<'_, ChainwebMempool>,
    session: SessionId,
    chain: ChainId,
    body: Query,
    then: Then,
) {
    match cx.session_endpoint(session) {
        Some(to) => {
            let timeout = cx.config().sessions.request_timeout;
            cx.call(to, Request { chain, body }, timeout, then);
        }
        None => fail(cx, session, None),
    }
}

/// What a peer answered, or the error of its call; another room's answer is neither.
fn answer(result: Result<Answer, CallError>) -> Result<Response, Option<CallError>> {
    let rooms::Response::ChainwebMempool(response) = result?.response else {
        return Err(None);
    };
    Ok(response)
}

/// Any error ends the session. Rule: Chainweb, `awaitSessions`.
fn fail(cx: &mut Cx<'_, ChainwebMempool>, session: SessionId, error: Option<Option<CallError>>) {
    cx.notify(match error {
        Some(Some(CallError::IdentityMismatch)) => Notice::SessionMismatched(session),
        _ => Notice::SessionFailed(session),
    });
}

#[cfg(test)]
mod tests;
