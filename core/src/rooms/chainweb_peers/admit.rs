//! Who is taken into the peer table: screen, probe, accept.
//!
//! Rule: Chainweb, `guardPeerDb`, in its order, with the ban list asked right after the own address.
//! One probe serves all who wait for the same candidate, and probes are bounded, so that nobody
//! can make a scanner of us.

use core::net::IpAddr;
use std::collections::{BTreeMap, VecDeque};

use super::types::{Waiter, reason};
use super::{ChainwebPeers, Event, Refusal, Request, Response, Then};
use crate::commons::Notice;
use crate::commons::address::{HostAddr, PeerInfo, is_reserved};
use crate::commons::network::NetworkId;
use crate::commons::peers::{Inserted, Insertion};
use crate::cx::Cx;
use crate::http::page::PageQuery;
use crate::input::{Answer, CallError, Caller, PeerCert, RequestId, VersionHeader};
use crate::limits::{LEARNED_MAX, SYNC_PROBES_MAX, WAITERS_MAX};
use crate::output::{Endpoint, Part, Trust, Via};
use crate::rooms;
use crate::time::WallTime;

/// Candidates that are being probed.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    by_addr: BTreeMap<HostAddr, Probe>,
    by_source: BTreeMap<IpAddr, usize>,
    /// How many of them nobody asked for: peers that other peers told of.
    learned: usize,
    /// Peers that other peers told of, to be looked at when their turn comes.
    queue: VecDeque<(NetworkId, PeerInfo)>,
}

#[derive(Clone, Debug)]
struct Probe {
    /// Who asked for it; nobody, if another peer told of the candidate.
    source: Option<IpAddr>,
    waiters: Vec<Waiter>,
}

impl Probes {
    pub(super) fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// How many count against whoever asked for them.
    pub(super) fn counted(&self) -> usize {
        self.learned + self.by_source.values().sum::<usize>()
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }
}

/// What screening finds without asking anybody.
enum Screened {
    Known,
    Refused(Refusal),
    Unknown,
}

impl ChainwebPeers {
    pub(super) fn put_peer(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        network: NetworkId,
        peer: PeerInfo,
    ) {
        match screen(cx, &peer) {
            Screened::Known => {
                self.accept_for(cx, id, network, peer, None);
            }
            Screened::Refused(refusal) => refuse(cx, id, peer.address, refusal),
            Screened::Unknown => {
                let waiter = Waiter::Request { id, network, peer };
                let source = from.addr.ip().to_canonical();
                self.probe(cx, network, Some(source), waiter);
            }
        }
    }

    /// Looks at peers that another peer told of: at a few at a time, the others wait.
    pub(super) fn consider(
        &mut self,
        cx: &mut Cx<'_, Self>,
        network: NetworkId,
        peers: impl Iterator<Item = PeerInfo>,
    ) {
        let room = LEARNED_MAX - self.probes.queue.len();
        let peers = peers.take(room).map(|peer| (network, peer));
        self.probes.queue.extend(peers);
        self.probe_learned(cx);
    }

    fn probe_learned(&mut self, cx: &mut Cx<'_, Self>) {
        while self.probes.learned < SYNC_PROBES_MAX {
            let Some((network, peer)) = self.probes.queue.pop_front() else {
                return;
            };
            if matches!(screen(cx, &peer), Screened::Unknown) {
                self.probe(cx, network, None, Waiter::Session { network, peer });
            }
        }
    }

    /// Asks the candidate for its peers, over HTTPS and whatever its certificate.
    fn probe(
        &mut self,
        cx: &mut Cx<'_, Self>,
        network: NetworkId,
        source: Option<IpAddr>,
        waiter: Waiter,
    ) {
        let addr = waiter.peer().address.clone();
        if let Some(probe) = self.probes.by_addr.get_mut(&addr) {
            if probe.waiters.len() >= WAITERS_MAX {
                return turn_away(cx, waiter);
            }
            probe.waiters.push(waiter);
            return cx.event(Event::ProbeJoined { addr });
        }
        let of_source = source
            .and_then(|source| self.probes.by_source.get(&source))
            .copied();
        if self.probes.len() >= cx.limits().probes_max
            || of_source.unwrap_or(0) >= cx.limits().probes_per_source_max
        {
            return turn_away(cx, waiter);
        }
        match source {
            Some(source) => *self.probes.by_source.entry(source).or_default() += 1,
            None => self.probes.learned += 1,
        }
        self.probes.by_addr.insert(
            addr.clone(),
            Probe {
                source,
                waiters: vec![waiter],
            },
        );
        cx.event(Event::ProbeSent { addr: addr.clone() });
        let to = Endpoint {
            addr: addr.clone(),
            trust: Trust::Anyone,
            via: Via::Tls,
            part: Part::Head,
        };
        let request = Request::Page {
            network,
            query: PageQuery::default(),
        };
        let timeout = cx.config().sessions.probe_timeout;
        cx.call(to, request, timeout, Then::Probed { addr });
    }

    pub(super) fn probed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        addr: &HostAddr,
        result: Result<Answer, CallError>,
    ) {
        let Some(probe) = self.probes.by_addr.remove(addr) else {
            return;
        };
        match probe.source {
            None => self.probes.learned -= 1,
            Some(source) => {
                if let Some(count) = self.probes.by_source.get_mut(&source) {
                    *count -= 1;
                    if *count == 0 {
                        self.probes.by_source.remove(&source);
                    }
                }
            }
        }
        let found = judge(cx, result);
        for waiter in probe.waiters {
            // The world may have changed while the probe was out.
            let found = match screen(cx, waiter.peer()) {
                Screened::Refused(refusal) => Err(refusal),
                Screened::Known | Screened::Unknown => found.clone(),
            };
            match (waiter, found) {
                (Waiter::Request { id, network, peer }, Ok(cert)) => {
                    self.accept_for(cx, id, network, peer, cert);
                }
                (Waiter::Request { id, peer, .. }, Err(refusal)) => {
                    refuse(cx, id, peer.address, refusal);
                }
                (Waiter::Session { network, peer }, Ok(cert)) => {
                    self.accept(cx, network, peer, cert);
                }
                (Waiter::Session { peer, .. }, Err(refusal)) => {
                    cx.event(Event::PeerRefused {
                        addr: peer.address,
                        refusal,
                    });
                }
            }
        }
        self.probe_learned(cx);
    }

    /// Puts a peer that passed into the table, with the key that it proved in its probe. A private node
    /// keeps to its own. Tells whether there was a place for it.
    fn accept(
        &mut self,
        cx: &mut Cx<'_, Self>,
        network: NetworkId,
        peer: PeerInfo,
        cert: Option<PeerCert>,
    ) -> bool {
        let (wall, addr) = (cx.now().wall, peer.address.clone());
        if cx.config().private {
            return true;
        }
        let placed = self.insert(cx, network, peer, false, Some(wall));
        if let Some(cert) = cert.filter(|_| placed) {
            note_key(cx, &addr, &cert);
        }
        placed
    }

    fn accept_for(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        network: NetworkId,
        peer: PeerInfo,
        cert: Option<PeerCert>,
    ) {
        let addr = peer.address.clone();
        if self.accept(cx, network, peer, cert) {
            cx.respond(id, Response::Added);
        } else {
            // Only if the operator's own peers fill the table.
            refuse(
                cx,
                id,
                addr,
                Refusal::IsNotReachable("PeerTableFull".into()),
            );
        }
    }

    /// Puts the operator's peers into the table, for every network.
    pub(super) fn insert_known(&mut self, cx: &mut Cx<'_, Self>) {
        for peer in cx.config().known_peers.clone() {
            self.insert_known_peer(cx, peer);
        }
    }

    /// One that was given without an identity keeps what the first contact has pinned.
    pub(super) fn insert_known_peer(&mut self, cx: &mut Cx<'_, Self>, mut peer: PeerInfo) {
        if peer.address == cx.config().address {
            return;
        }
        if let Some((_, stored)) = cx.commons().peers.find(&peer.address) {
            peer.id = peer.id.or(stored.info.id);
        }
        let networks: Vec<NetworkId> = self.loops.iter().map(|turn| turn.network).collect();
        for network in networks {
            self.insert(cx, network, peer.clone(), true, None);
        }
    }

    /// Unites a known peer's networks with one more where others have met it.
    pub(super) fn meet(&mut self, cx: &mut Cx<'_, Self>, network: NetworkId, peer: PeerInfo) {
        self.insert(cx, network, peer, false, None);
    }

    /// Tells whether there was a place. `success` is when the peer was last known to be there.
    fn insert(
        &mut self,
        cx: &mut Cx<'_, Self>,
        network: NetworkId,
        peer: PeerInfo,
        sticky: bool,
        success: Option<WallTime>,
    ) -> bool {
        let (mark, peers_max) = (cx.rng().bits(), cx.limits().peers_max);
        let (addr, place) = (peer.address.clone(), peer.address.clone());
        let (commons, journal) = cx.commons_mut();
        let at = Insertion {
            success,
            sticky,
            mark,
            peers_max,
        };
        match commons.peers.insert(journal, peer, network, at) {
            Inserted::Full => return false,
            Inserted::Merged => {}
            Inserted::New | Inserted::Replaced => {
                cx.event(Event::PeerAdded { network, addr });
                self.greet(cx, network);
            }
        }
        cx.judge_peer_at(&place);
        cx.notify(Notice::PeersChanged(network));
        true
    }
}

impl Waiter {
    const fn peer(&self) -> &PeerInfo {
        match self {
            Self::Request { peer, .. } | Self::Session { peer, .. } => peer,
        }
    }
}

/// Notes the key of a peer that has shown the certificate it goes by. Whoever goes by none is pinned by
/// its first session, where the network allows it at all.
fn note_key(cx: &mut Cx<'_, ChainwebPeers>, addr: &HostAddr, cert: &PeerCert) {
    let Some((peer, entry)) = cx.commons().peers.find(addr) else {
        return;
    };
    let shown = match entry.info.id {
        Some(id) => id == cert.fingerprint,
        None => !cx.config().network.peer_validation(),
    };
    let Some(key) = cert.key.filter(|_| shown) else {
        return;
    };
    let (commons, journal) = cx.commons_mut();
    commons.peers.proved(journal, peer, None, Some(key));
    cx.judge_peer_at(addr);
    cx.notify(Notice::PeerProven(peer));
}

fn screen(cx: &Cx<'_, ChainwebPeers>, peer: &PeerInfo) -> Screened {
    if peer.address == cx.config().address {
        return Screened::Refused(Refusal::IsLocalPeerAddress);
    }
    if cx.commons().is_banned(cx.now().wall, peer) {
        return Screened::Refused(Refusal::PeerBanned);
    }
    if let Some((_, known)) = cx.commons().peers.find(&peer.address) {
        return if known.is_banned() {
            Screened::Refused(Refusal::PeerBanned)
        } else if known.networks.is_empty() {
            // Whom only another family has met is probed like anybody else.
            screen_unknown(cx, peer)
        } else {
            Screened::Known
        };
    }
    screen_unknown(cx, peer)
}

fn screen_unknown(cx: &Cx<'_, ChainwebPeers>, peer: &PeerInfo) -> Screened {
    if cx.config().network.peer_validation() && is_reserved(&peer.address.host) {
        return Screened::Refused(Refusal::IsReservedHostAddress);
    }
    Screened::Unknown
}

/// What a probe's answer says about the candidate, and the certificate that it showed. Rule: Chainweb,
/// `getNodeVersion`.
///
/// A certificate that is banned stays banned wherever it is met, and whatever identity the
/// candidate claims.
fn judge(
    cx: &Cx<'_, ChainwebPeers>,
    result: Result<Answer, CallError>,
) -> Result<Option<PeerCert>, Refusal> {
    let unreachable = |why: &str| Err(Refusal::IsNotReachable(why.into()));
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => return unreachable(reason(error)),
    };
    let wall = cx.now().wall;
    if answer
        .cert
        .is_some_and(|cert| cx.commons().is_banned_cert(wall, &cert))
    {
        return Err(Refusal::PeerBanned);
    }
    let rooms::Response::Opaque(status) = answer.response else {
        return unreachable("unexpected answer");
    };
    if !(200..300).contains(&status) {
        return unreachable(&format!("Error status code: {status}"));
    }
    match answer.version {
        VersionHeader::Declared(version) if version.is_accepted() => Ok(answer.cert),
        VersionHeader::Declared(version) => Err(Refusal::NodeVersionNotAccepted(version)),
        VersionHeader::Missing => unreachable("missing X-Chainweb-Node-Version header"),
        VersionHeader::Unreadable => unreachable("TextFormatException \"Prelude.read: no parse\""),
    }
}

fn refuse(cx: &mut Cx<'_, ChainwebPeers>, id: RequestId, addr: HostAddr, refusal: Refusal) {
    cx.event(Event::PeerRefused {
        addr,
        refusal: refusal.clone(),
    });
    cx.respond(id, Response::Refused(refusal));
}

/// Too many probes are out.
fn turn_away(cx: &mut Cx<'_, ChainwebPeers>, waiter: Waiter) {
    if let Waiter::Request { id, peer, .. } = waiter {
        let refusal = Refusal::IsNotReachable(reason(CallError::Busy).into());
        refuse(cx, id, peer.address, refusal);
    }
}
