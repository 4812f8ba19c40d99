//! With whom the node is in touch: one loop of sessions per P2P network.
//!
//! A loop picks a peer, synchronises with it (asks for its peers, announces us, looks at whom it
//! knows) and then holds a session with it for a while. What is done in a mempool session is the
//! mempool room's business; a session of the cut network is there for the synchronisation alone.
//! Rules: Chainweb, `P2P/Node.hs`, with a growing pause while every synchronisation fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ChainwebPeers, Event, Page, Request, Response, Then, Timer};
use crate::commons::Notice;
use crate::commons::bans::BanKey;
use crate::commons::network::NetworkId;
use crate::commons::peers::{Peer, PeerKey};
use crate::commons::sessions::{Session, SessionId};
use crate::config::Config;
use crate::cx::Cx;
use crate::http::page::PageQuery;
use crate::input::{Answer, CallError};
use crate::limits::SYNC_PEERS_MAX;
use crate::rooms;
use crate::time::{Duration, micros};

/// The sessions of one network.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) network: NetworkId,
    sessions_max: usize,
    length: Duration,
    active: Vec<SessionId>,
    syncing: Option<SessionId>,
    failures: u32,
}

/// The loops of a node with these settings.
pub(super) fn loops(config: &Config) -> Vec<Loop> {
    let make = |network, sessions_max, length| Loop {
        network,
        sessions_max,
        length,
        active: Vec::new(),
        syncing: None,
        failures: 0,
    };
    let of = &config.sessions;
    let mempools = (0..config.chains)
        .map(|chain| make(NetworkId::Mempool(chain), of.mempool_max, of.mempool_length));
    core::iter::once(make(NetworkId::Cut, of.cut_max, of.cut_length))
        .chain(mempools)
        .collect()
}

// After a failed synchronisation: 0.4 to 0.5 s, twice as long for each further one in a row.
const PAUSE_MIN_US: u64 = 400_000;
const PAUSE_MAX_US: u64 = 500_000;
const PAUSE_DOUBLINGS_MAX: u32 = 5;

// The next worse group of candidates is preferred once in twenty times.
const NEXT_GROUP_PER_MILLION: u32 = 50_000;
const GROUPS_MAX: usize = 16;

impl ChainwebPeers {
    pub(super) fn start_loops(&self, cx: &mut Cx<'_, Self>) {
        let delay = cx.config().sessions.start_delay;
        for turn in &self.loops {
            cx.arm(Timer::Loop(turn.network), delay);
        }
    }

    /// A loop's peers have changed, or one of its sessions has ended: it may go on `after` that long.
    pub(super) fn wake(&self, cx: &mut Cx<'_, Self>, network: NetworkId, after: Duration) {
        if self.has_room(network) {
            cx.arm_once(Timer::Loop(network), after);
        }
    }

    /// Whether a loop could start another session.
    fn has_room(&self, network: NetworkId) -> bool {
        let turn = self.loops.iter().find(|turn| turn.network == network);
        turn.is_some_and(|turn| turn.syncing.is_none() && turn.active.len() < turn.sessions_max)
    }

    /// A peer is new: it is greeted soon, however long the loop pauses because of others that fail.
    pub(super) fn greet(&self, cx: &mut Cx<'_, Self>, network: NetworkId) {
        if self.has_room(network) {
            let after = cx.config().sessions.greeting_delay;
            cx.arm_by(Timer::Loop(network), after);
        }
    }

    /// Bans have ended: whoever had nobody to talk to looks again.
    pub(super) fn wake_all(&self, cx: &mut Cx<'_, Self>) {
        for turn in &self.loops {
            self.wake(cx, turn.network, Duration::ZERO);
        }
    }

    /// One turn of a loop: start the next session, if there is room and somebody to have it with.
    pub(super) fn turn(&mut self, cx: &mut Cx<'_, Self>, network: NetworkId) {
        let Some(turn) = self.loops.iter().find(|turn| turn.network == network) else {
            return;
        };
        if turn.syncing.is_some() || turn.active.len() >= turn.sessions_max {
            return;
        }
        let Some(peer) = choose(cx, turn) else {
            if !turn.active.is_empty() {
                let mean = micros(cx.config().sessions.browse_interval);
                let pause = cx.rng().bell(mean, mean / 6);
                cx.arm_once(Timer::Browse(network), Duration::from_micros(pause));
            }
            return self.restore_known(cx);
        };
        let Some(addr) = cx
            .commons()
            .peers
            .get(peer)
            .map(|peer| peer.info.address.clone())
        else {
            return;
        };
        let (commons, _) = cx.commons_mut();
        commons.peers.session_began(peer);
        let session = commons.sessions.begin(Session {
            network,
            addr,
            peer,
            open: false,
        });
        let Some(turn) = self.loop_of(network) else {
            return;
        };
        turn.active.push(session);
        if cx.config().private {
            return self.open(cx, session);
        }
        turn.syncing = Some(session);
        let request = Request::Page {
            network,
            query: PageQuery::default(),
        };
        self.ask(cx, session, request, Then::Announce { session });
    }

    /// The peer gave a page of its peers: announce ourselves.
    pub(super) fn announce(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        result: Result<Answer, CallError>,
    ) {
        let Some((network, peer)) = running(cx, session) else {
            return;
        };
        let page = match result {
            Err(CallError::IdentityMismatch) => return self.mismatch(cx, session),
            Ok(Answer {
                response: rooms::Response::ChainwebPeers(Response::Page(page)),
                cert,
                ..
            }) => {
                if let Some(cert) = cert {
                    prove(cx, peer, &cert);
                    let wall = cx.now().wall;
                    if cx.commons().is_banned_cert(wall, &cert) {
                        return self.session_over(cx, session, false);
                    }
                }
                page
            }
            result => return self.sync_failed(cx, session, &result),
        };
        let request = Request::Put {
            network,
            peer: cx.config().own_info(),
        };
        self.ask(cx, session, request, Then::Learn { session, page });
    }

    /// The peer has taken us: look at whom it knows, and begin what the session is for.
    pub(super) fn learn(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        page: &Arc<Page>,
        result: Result<Answer, CallError>,
    ) {
        let Some((network, _)) = running(cx, session) else {
            return;
        };
        match result {
            Err(CallError::IdentityMismatch) => return self.mismatch(cx, session),
            Ok(Answer {
                response: rooms::Response::ChainwebPeers(Response::Added),
                ..
            }) => {}
            result => return self.sync_failed(cx, session, &result),
        }
        // There is no further work on the cut network, so this is all there is to prove.
        if network == NetworkId::Cut {
            self.proven(cx, session);
        }
        self.look_at(cx, network, page);
        self.open(cx, session);
    }

    /// The peer did not answer well. If it is the operator's, the operator wants to know.
    fn sync_failed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        result: &Result<Answer, CallError>,
    ) {
        let known = running(cx, session)
            .and_then(|(_, key)| cx.commons().peers.get(key))
            .filter(|peer| peer.sticky)
            .map(|peer| peer.info.address.clone());
        if let Some(addr) = known {
            let why = match result.as_ref().map(|answer| &answer.response) {
                Err(error) => error.to_string(),
                Ok(rooms::Response::Opaque(status)) => format!("it answers with status {status}"),
                Ok(rooms::Response::ChainwebPeers(Response::Refused(refusal))) => {
                    format!("it refuses this node: {refusal}")
                }
                Ok(_) => "unexpected answer".to_owned(),
            };
            cx.event(Event::KnownPeerFailed { addr, why });
        }
        self.session_over(cx, session, false);
    }

    /// Looks at whom a peer knows.
    fn look_at(&mut self, cx: &mut Cx<'_, Self>, network: NetworkId, page: &Page) {
        let own = cx.config().identity.fingerprint;
        // A full table may still give up a peer that fails for one that does not.
        let room = cx
            .limits()
            .peers_max
            .saturating_sub(cx.commons().peers.len());
        let wanted = SYNC_PEERS_MAX.min(room.max(1));
        let strangers: Vec<_> = page
            .items
            .iter()
            .filter(|info| info.id != Some(own))
            .filter(|info| cx.commons().peers.find(&info.address).is_none())
            .take(wanted)
            .cloned()
            .collect();
        // Whom we know from another network needs no probe: an announcement would not either.
        let known_elsewhere: Vec<_> = page
            .items
            .iter()
            .filter(|info| {
                let known = cx.commons().peers.find(&info.address);
                known.is_some_and(|(_, peer)| {
                    peer.info.id == info.id && !peer.networks.contains(network)
                })
            })
            .take(SYNC_PEERS_MAX)
            .cloned()
            .collect();
        for info in known_elsewhere {
            self.meet(cx, network, info);
        }
        self.consider(cx, network, strangers.into_iter());
    }

    /// Asks one of those we are in session with whom it has met since. Nodes that start together
    /// would otherwise hear of each other only when their first sessions end.
    pub(super) fn browse(&mut self, cx: &mut Cx<'_, Self>, network: NetworkId) {
        let open = |session: &&SessionId| {
            let session = cx.commons().sessions.get(**session);
            session.is_some_and(|session| session.open)
        };
        let Some(turn) = self.loop_of(network) else {
            return;
        };
        if cx.config().private || turn.active.len() >= turn.sessions_max {
            return;
        }
        let sessions: Vec<SessionId> = turn.active.iter().filter(open).copied().collect();
        let place = cx.rng().index(sessions.len());
        if let Some(session) = sessions.get(place).copied() {
            let request = Request::Page {
                network,
                query: PageQuery::default(),
            };
            self.ask(cx, session, request, Then::Browse { session });
        }
        self.wake(cx, network, Duration::ZERO);
    }

    pub(super) fn browsed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        session: SessionId,
        result: Result<Answer, CallError>,
    ) {
        let Some((network, _)) = running(cx, session) else {
            return;
        };
        match result {
            Err(CallError::IdentityMismatch) => self.mismatch(cx, session),
            Ok(Answer {
                response: rooms::Response::ChainwebPeers(Response::Page(page)),
                ..
            }) => self.look_at(cx, network, &page),
            Ok(_) | Err(_) => self.session_over(cx, session, false),
        }
    }

    /// The peer has done what its network asks of it: failures of before are forgotten, and it is
    /// shown again. Chainweb waits for the session's end, minutes later.
    pub(super) fn proven(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let Some((network, peer)) = running(cx, session) else {
            return;
        };
        let wall = cx.now().wall;
        let (commons, journal) = cx.commons_mut();
        commons.peers.succeeded(journal, peer, wall);
        if let Some(turn) = self.loop_of(network) {
            turn.failures = 0;
        }
    }

    /// A session is over: by its time, because its work or its synchronisation failed.
    pub(super) fn session_over(&mut self, cx: &mut Cx<'_, Self>, session: SessionId, well: bool) {
        let Some(ended) = self.end(cx, session) else {
            return;
        };
        let wall = cx.now().wall;
        let (commons, journal) = cx.commons_mut();
        if well {
            commons.peers.succeeded(journal, ended.peer, wall);
            cx.event(Event::SessionEnded {
                network: ended.network,
                addr: ended.addr,
            });
        } else {
            commons.peers.failed(journal, ended.peer);
            cx.event(Event::SessionFailed {
                network: ended.network,
                addr: ended.addr,
            });
        }
        self.go_on(cx, ended.network, well);
    }

    /// Ends the sessions with whom a ban covers. They count neither as good nor as failed.
    pub(super) fn part_from_banned(&mut self, cx: &mut Cx<'_, Self>) {
        let commons = cx.commons();
        let wall = cx.now().wall;
        let covered: Vec<SessionId> = self
            .loops
            .iter()
            .flat_map(|turn| &turn.active)
            .copied()
            .filter(|id| {
                commons.sessions.get(*id).is_some_and(|session| {
                    let peer = commons.peers.get(session.peer);
                    peer.is_some_and(Peer::is_banned)
                        || commons
                            .bans
                            .covers(wall, &BanKey::of_address(&session.addr))
                })
            })
            .collect();
        for session in covered {
            self.part(cx, session);
        }
    }

    fn part(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        if let Some(ended) = self.end(cx, session) {
            self.go_on(cx, ended.network, true);
        }
    }

    fn open(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let Some((network, _)) = running(cx, session) else {
            return;
        };
        let Some(turn) = self.loop_of(network) else {
            return;
        };
        turn.syncing = turn.syncing.filter(|syncing| *syncing != session);
        let length = micros(turn.length);
        let length = cx
            .rng()
            .range(length - length / 10, length + length / 10 + 1);
        cx.arm(Timer::SessionEnd(session), Duration::from_micros(length));
        let (commons, _) = cx.commons_mut();
        if let Some(entry) = commons.sessions.get_mut(session) {
            entry.open = true;
            let addr = entry.addr.clone();
            cx.event(Event::SessionOpened { network, addr });
        }
        cx.notify(Notice::SessionOpened(session));
        self.wake(cx, network, Duration::ZERO);
    }

    /// The peer does not hold the certificate it was announced with: forget it. A peer of the
    /// operator's goes back to what the operator said of it.
    pub(super) fn mismatch(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) {
        let Some((key, entry)) = running(cx, session)
            .and_then(|(_, key)| cx.commons().peers.get(key).map(|entry| (key, entry)))
        else {
            return self.session_over(cx, session, false);
        };
        let (addr, sticky) = (entry.info.address.clone(), entry.sticky);
        let known = cx
            .config()
            .known_peers
            .iter()
            .find(|info| info.address == addr)
            .cloned();
        let (commons, journal) = cx.commons_mut();
        if sticky {
            let id = known.as_ref().and_then(|known| known.id);
            commons.peers.reset_id(journal, key, id);
            cx.event(Event::KnownPeerMismatch { addr });
        } else {
            commons.peers.remove(journal, key);
            cx.event(Event::PeerMismatch { addr });
        }
        self.session_over(cx, session, false);
        if let Some(known) = known.filter(|_| !sticky) {
            self.insert_known_peer(cx, known);
        }
    }

    /// Takes a session out of all tables.
    fn end(&mut self, cx: &mut Cx<'_, Self>, session: SessionId) -> Option<Session> {
        let (commons, _) = cx.commons_mut();
        let ended = commons.sessions.end(session)?;
        commons.peers.session_ended(ended.peer);
        cx.disarm(Timer::SessionEnd(session));
        if let Some(turn) = self.loop_of(ended.network) {
            turn.active.retain(|active| *active != session);
            turn.syncing = turn.syncing.filter(|syncing| *syncing != session);
        }
        cx.notify(Notice::SessionClosed(session));
        Some(ended)
    }

    /// Goes on after a session, at once or after a pause.
    fn go_on(&mut self, cx: &mut Cx<'_, Self>, network: NetworkId, well: bool) {
        let pause = match self.loop_of(network) {
            Some(turn) if !well => {
                let doublings = turn.failures.min(PAUSE_DOUBLINGS_MAX);
                turn.failures += 1;
                cx.rng().range(PAUSE_MIN_US, PAUSE_MAX_US) << doublings
            }
            _ => 0,
        };
        cx.arm(Timer::Loop(network), Duration::from_micros(pause));
    }

    /// Forgets peers that were silent for long, then asks the session's peer something.
    fn ask(&mut self, cx: &mut Cx<'_, Self>, session: SessionId, request: Request, then: Then) {
        if matches!(then, Then::Announce { .. }) {
            let wall = cx.now().wall;
            let (commons, journal) = cx.commons_mut();
            let count = commons.peers.prune(journal, wall);
            if count > 0 {
                cx.event(Event::PeersPruned { count });
            }
        }
        match cx.session_endpoint(session) {
            Some(to) => {
                let timeout = cx.config().sessions.request_timeout;
                cx.call(to, request, timeout, then);
            }
            None => self.session_over(cx, session, false),
        }
    }

    /// Nobody is left to talk to: go back to the operator's peers, should they have been lost.
    fn restore_known(&mut self, cx: &mut Cx<'_, Self>) {
        let config = cx.config();
        let lost = config.known_peers.iter().any(|info| {
            info.address != config.address
                && cx
                    .commons()
                    .peers
                    .find(&info.address)
                    .is_none_or(|(_, peer)| !peer.sticky)
        });
        if lost && cx.commons().sessions.is_empty() {
            self.insert_known(cx);
        }
    }

    fn loop_of(&mut self, network: NetworkId) -> Option<&mut Loop> {
        self.loops.iter_mut().find(|turn| turn.network == network)
    }
}

fn running(cx: &Cx<'_, ChainwebPeers>, session: SessionId) -> Option<(NetworkId, PeerKey)> {
    cx.commons()
        .sessions
        .get(session)
        .map(|session| (session.network, session.peer))
}

/// Keeps what a handshake has proved. On a network without peer validation, a peer without an
/// identity is pinned to the certificate of the first contact.
fn prove(cx: &mut Cx<'_, ChainwebPeers>, peer: PeerKey, cert: &crate::input::PeerCert) {
    let Some(entry) = cx.commons().peers.get(peer) else {
        return;
    };
    let pin = entry.info.id.is_none() && !cx.config().network.peer_validation();
    let key = (pin || entry.info.id == Some(cert.fingerprint))
        .then_some(cert.key)
        .flatten();
    let addr = entry.info.address.clone();
    let (commons, journal) = cx.commons_mut();
    commons
        .peers
        .proved(journal, peer, pin.then_some(cert.fingerprint), key);
    cx.judge_peer_at(&addr);
    if pin {
        cx.event(Event::PeerPinned { addr });
    }
}

/// Picks whom to have the next session with. Rule: Chainweb, `findNextPeer`.
///
/// The candidates fall into groups: first those with a session on any network and at most one
/// failure, whose connection can be shared; then the others by their number of failures. Nearly
/// always the best group is drawn from, now and then a worse one. The first group counts even when
/// it is empty.
fn choose(cx: &mut Cx<'_, ChainwebPeers>, turn: &Loop) -> Option<PeerKey> {
    let mut first = 0;
    while first < GROUPS_MAX && cx.rng().chance(NEXT_GROUP_PER_MILLION) {
        first += 1;
    }
    let start = cx.rng().bits();
    let commons = cx.commons();
    let own = &cx.config().address;
    let sessions = || {
        turn.active
            .iter()
            .filter_map(|id| commons.sessions.get(*id))
    };
    let free = |peer: &Peer| {
        peer.info.address != *own && sessions().all(|session| session.addr != peer.info.address)
    };
    let shared = |peer: &Peer| peer.sessions > 0 && peer.failures <= 1;

    let in_touch: BTreeSet<PeerKey> = commons
        .sessions
        .iter()
        .map(|session| session.peer)
        .collect();
    let in_touch: Vec<(u64, PeerKey)> = in_touch
        .into_iter()
        .filter(|key| {
            commons.peers.get(*key).is_some_and(|peer| {
                shared(peer) && !peer.is_banned() && peer.networks.contains(turn.network)
            })
        })
        .map(|key| (0, key))
        .collect();
    // Whoever is passed over has a session or is in the first group, so few are looked at.
    let pick = |group: &[(u64, PeerKey)], sharing: bool| {
        let (behind, ahead) = group.split_at((start % (group.len().max(1) as u64)) as usize);
        ahead.iter().chain(behind).map(|(_, key)| *key).find(|key| {
            commons
                .peers
                .get(*key)
                .is_some_and(|peer| free(peer) && shared(peer) == sharing)
        })
    };
    let others = commons.peers.groups(turn.network);
    let picks =
        core::iter::once(pick(&in_touch, true)).chain(others.map(|group| pick(group, false)));
    // A draw beyond the last group means the last group.
    let mut last = None;
    for (place, picked) in picks.enumerate() {
        match picked {
            Some(key) if place >= first => return Some(key),
            Some(key) => last = Some(key),
            None => {}
        }
    }
    last
}
