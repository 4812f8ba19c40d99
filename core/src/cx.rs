//! What a room may do: the verbs in which its handlers are written.
//!
//! A handler reads like the text it implements: screen, ask, remember what comes **then**.

use core::marker::PhantomData;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::calls::{Calls, Charge, Pending};
use crate::commons::address::HostAddr;
use crate::commons::bans::{Ban, BanKey, BanReason};
use crate::commons::peers::Insertion;
use crate::commons::sessions::SessionId;
use crate::commons::{Commons, Notice, Row as CommonsRow};
use crate::config::Config;
use crate::event::NodeEvent;
use crate::gate::Gate;
use crate::ids::PublicKey;
use crate::input::{CallError, CallId, PeerCert, RequestId};
use crate::limits::Limits;
use crate::output::{Endpoint, Output, Part, Trust, Via};
use crate::rng::Stream;
use crate::rooms::{Event, Request, Room, Scope, Then};
use crate::rows::Journal;
use crate::time::{Duration, Instant, Now, micros};
use crate::timers::{Due, Timers};
use crate::verify::{Jobs, VerifyJob};

/// Everything of a node that is not a room.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) commons: Commons,
    pub(crate) journal: Journal,
    pub(crate) gate: Gate,
    pub(crate) calls: Calls,
    pub(crate) timers: Timers,
    pub(crate) jobs: Jobs,
    /// Outputs of the input at hand; the gate sees them once all its rows are known.
    pub(crate) staged: Vec<(Scope, Output)>,
    /// Calls that wait until the peer may be asked again, by the moment they may go.
    pub(crate) paced: std::collections::BTreeMap<(Instant, CallId), Request>,
    /// Calls that were refused before they began; their rooms hear of it after the handler.
    pub(crate) stillborn: VecDeque<(Scope, Then, CallError)>,
    pub(crate) notices: VecDeque<Notice>,
}

/// A room's whole world while it handles one thing.
pub struct Cx<'a, R> {
    pub(crate) now: Now,
    pub(crate) shared: &'a mut Shared,
    pub(crate) rng: &'a mut Stream,
    pub(crate) room: PhantomData<R>,
}

impl<R: Room> Cx<'_, R> {
    /// Both clocks.
    pub const fn now(&self) -> Now {
        self.now
    }

    /// The room's own stream of draws.
    pub const fn rng(&mut self) -> &mut Stream {
        self.rng
    }

    /// The node's settings.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The bounds of the node's tables.
    pub fn limits(&self) -> &Limits {
        &self.shared.config.limits
    }

    /// What rooms share.
    pub const fn commons(&self) -> &Commons {
        &self.shared.commons
    }

    /// What rooms share, to be changed together with its rows.
    pub(crate) fn commons_mut(&mut self) -> (&mut Commons, &mut Journal) {
        (&mut self.shared.commons, &mut self.shared.journal)
    }

    /// Answers a request. Held until every row of this input and before it is durable.
    pub fn respond(&mut self, id: RequestId, response: impl Into<R::Response>) {
        let response = response.into().into();
        self.shared
            .staged
            .push((R::SCOPE, Output::Respond { id, response }));
    }

    /// Asks a peer; `then` comes back with the answer or the reason there is none.
    ///
    /// The call waits until its rows are durable and, if it costs the peer's patience, until the
    /// peer may be asked again. `timeout` starts when it goes out.
    pub fn call(
        &mut self,
        to: Endpoint,
        request: R::Request,
        timeout: Duration,
        then: R::Then,
    ) -> Option<CallId> {
        let request: Request = request.into();
        let to = Arc::new(to);
        let charge = request.charge();
        let pending = Pending {
            scope: R::SCOPE,
            to: to.clone(),
            timeout,
            then: then.into(),
        };
        let id = match self.shared.calls.open(&self.shared.config.limits, pending) {
            Ok(id) => id,
            Err(then) => {
                self.shared
                    .stillborn
                    .push_back((R::SCOPE, then, CallError::Busy));
                return None;
            }
        };
        match charge
            .map(|charge: Charge| self.shared.calls.reserve(self.now.mono, &to.addr, charge))
        {
            Some(at) if at > self.now.mono => {
                self.shared.paced.insert((at, id), request);
                let first = self
                    .shared
                    .paced
                    .first_key_value()
                    .map_or(at, |((at, _), _)| *at);
                self.shared.timers.arm(Due::Pace, first);
                self.shared
                    .staged
                    .push((R::SCOPE, Output::Event(NodeEvent::CallPaced.into())));
            }
            _ => self
                .shared
                .staged
                .push((R::SCOPE, Output::Call { id, to, request })),
        }
        Some(id)
    }

    /// How to reach the peer of a session, while both last.
    #[must_use]
    pub fn session_endpoint(&self, session: SessionId) -> Option<Endpoint> {
        let commons = &self.shared.commons;
        let peer = commons.peers.get(commons.sessions.get(session)?.peer)?;
        let trust = match peer.info.id {
            Some(id) => Trust::Pinned(id),
            None if self.shared.config.network.peer_validation() => Trust::Authorities,
            None => Trust::Anyone,
        };
        Some(Endpoint {
            addr: peer.info.address.clone(),
            trust,
            via: Via::Tls,
            part: Part::Body,
        })
    }

    /// Has something checked; `then` comes back with the verdict. Identical jobs are checked once.
    pub fn verify(&mut self, job: VerifyJob, then: R::Then) {
        if let Some(id) = self.shared.jobs.open(&job, R::SCOPE, then.into()) {
            self.shared
                .staged
                .push((R::SCOPE, Output::Verify { id, job }));
        }
    }

    /// Makes a row durable before anything of this input is observed.
    pub fn put(&mut self, row: impl Into<R::Row>) {
        self.shared.journal.put(R::SCOPE, row.into().into());
    }

    /// Makes a row durable soon; a crash may lose it.
    pub fn put_lazily(&mut self, row: impl Into<R::Row>) {
        self.shared.journal.put_lazily(row.into().into());
    }

    /// Has the room of deleted and replaced rows given back.
    pub fn reclaim(&mut self) {
        self.shared.staged.push((R::SCOPE, Output::Reclaim));
    }

    /// Sets a deadline, in place of an earlier one of that name.
    pub fn arm(&mut self, timer: R::Timer, after: Duration) {
        self.shared
            .timers
            .arm(Due::Room(timer.into()), self.now.mono + after);
    }

    /// Sets a deadline unless one of that name stands.
    pub fn arm_once(&mut self, timer: R::Timer, after: Duration) {
        if !self.shared.timers.armed(Due::Room(timer.into())) {
            self.arm(timer, after);
        }
    }

    /// Sets a deadline unless one of that name comes sooner.
    pub fn arm_by(&mut self, timer: R::Timer, after: Duration) {
        let armed = self.shared.timers.armed_at(Due::Room(timer.into()));
        if armed.is_none_or(|at| at > self.now.mono + after) {
            self.arm(timer, after);
        }
    }

    /// Takes a deadline back.
    pub fn disarm(&mut self, timer: R::Timer) {
        self.shared.timers.disarm(Due::Room(timer.into()));
    }

    /// Tells all rooms, after this handler.
    pub fn notify(&mut self, notice: Notice) {
        self.shared.notices.push_back(notice);
    }

    /// Something worth counting has happened.
    pub fn event(&mut self, event: impl Into<Event>) {
        self.shared
            .staged
            .push((R::SCOPE, Output::Event(event.into())));
    }

    /// Enters whom a family met at `addr` into the peer table, under the key that it proved, so that
    /// an operator can ban it by address. It belongs to no network of the table's.
    pub(crate) fn acquaint(&mut self, addr: &HostAddr, key: PublicKey) {
        let (wall, mark) = (self.now.wall, self.rng.bits());
        let peers_max = self.limits().peers_max;
        let at = Insertion {
            success: Some(wall),
            sticky: false,
            mark,
            peers_max,
        };
        let (commons, journal) = self.commons_mut();
        commons.peers.acquaint(journal, addr, key, at);
        self.judge_peer_at(addr);
        if let Some((peer, _)) = self.shared.commons.peers.find(addr) {
            self.notify(Notice::PeerProven(peer));
        }
    }

    /// Takes `addr` out of the peer table again, unless a network of the table's knows it.
    pub(crate) fn unacquaint(&mut self, addr: &HostAddr) {
        let (commons, journal) = self.commons_mut();
        commons.peers.unacquaint(journal, addr);
    }

    /// Remembers whom a family has met at `addr`, and what it has proved there, so that an operator can
    /// ban it.
    pub(crate) fn meet(&mut self, addr: &HostAddr, cert: Option<&PeerCert>) {
        let names = cert.map_or_else(Vec::new, BanKey::of_cert);
        let (commons, _) = self.commons_mut();
        commons.met.enter(addr.clone(), names);
    }

    /// Forgets whom a family has met at `addr`.
    pub(crate) fn unmeet(&mut self, addr: &HostAddr) {
        let (commons, _) = self.commons_mut();
        commons.met.strike_out(addr);
    }

    /// Takes the peer at `addr` out of sight if a ban covers it.
    pub(crate) fn judge_peer_at(&mut self, addr: &HostAddr) {
        let wall = self.now.wall;
        let commons = &mut self.shared.commons;
        if let Some((key, _)) = commons.peers.find(addr) {
            commons.judge_peer(wall, key);
        }
    }

    /// Bans `address` and whoever goes by `keys` for the operator's ban window.
    pub fn ban(&mut self, address: &HostAddr, keys: Vec<BanKey>, reason: BanReason) {
        let since_us = self.now.wall.as_micros();
        let until_us = since_us.saturating_add(micros(self.shared.config.ban_window));
        let address = BanKey::of_address(address);
        let BanKey::Address(text) = &address else {
            return;
        };
        let ban = Ban {
            reason,
            since_us,
            until_us,
            address: text.clone(),
        };
        let names: BTreeSet<BanKey> = keys.into_iter().chain([address]).collect();
        for key in names {
            let (commons, journal) = self.commons_mut();
            commons.bans.set(key.clone(), ban.clone());
            let row = CommonsRow::Ban(key.clone(), Some(ban.clone()));
            journal.put(Scope::Commons, row.into());
            self.notify(Notice::Banned(key));
        }
        self.shared.commons.judge_peers(self.now.wall);
        self.shared.arm_ban_sweep(self.now);
    }

    /// Lifts the ban on `address` together with all that was entered for it, and the bans on
    /// `keys`; tells whether there was one.
    pub fn unban(&mut self, address: &HostAddr, keys: Vec<BanKey>) -> bool {
        let mut keys = keys;
        keys.extend(
            self.shared
                .commons
                .bans
                .entered_for(&BanKey::of_address(address)),
        );
        let mut lifted = false;
        for key in keys {
            let (commons, journal) = self.commons_mut();
            if commons.bans.lift(&key) {
                journal.put(Scope::Commons, CommonsRow::Ban(key, None).into());
                lifted = true;
            }
        }
        if lifted {
            self.shared.commons.judge_peers(self.now.wall);
            self.shared.arm_ban_sweep(self.now);
            self.notify(Notice::Unbanned);
        }
        lifted
    }
}

impl Shared {
    /// Takes out the bans that have ended, so that nobody ever meets one.
    pub(crate) fn sweep_bans(&mut self, now: Now) {
        let mut ended = false;
        while let Some(key) = self.commons.bans.pop_ended(now.wall) {
            self.journal
                .put(Scope::Commons, CommonsRow::Ban(key, None).into());
            let event = Output::Event(NodeEvent::BanExpired.into());
            self.staged.push((Scope::Commons, event));
            ended = true;
        }
        if ended {
            self.commons.judge_peers(now.wall);
            self.notices.push_back(Notice::Unbanned);
            self.arm_ban_sweep(now);
        }
    }

    /// Whether a call must not go out because its peer was banned while it waited.
    pub(crate) fn is_banned_endpoint(&self, now: Now, to: &Endpoint) -> bool {
        let bans = &self.commons.bans;
        !bans.is_empty()
            && (bans.covers(now.wall, &BanKey::of_address(&to.addr))
                || matches!(to.trust, Trust::Pinned(id) if bans.covers(now.wall, &BanKey::Fingerprint(id))))
    }

    /// Wakes when the next ban ends; after a minute at the latest, since clocks jump.
    pub(crate) fn arm_ban_sweep(&mut self, now: Now) {
        match self.commons.bans.next_end() {
            Some(end) => {
                let wait = end
                    .since(now.wall)
                    .clamp(Duration::from_millis(1), BAN_SWEEP_MAX);
                self.timers.arm(Due::SweepBans, now.mono + wait);
            }
            None => self.timers.disarm(Due::SweepBans),
        }
    }
}

const BAN_SWEEP_MAX: Duration = Duration::from_secs(60);
