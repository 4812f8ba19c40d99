//! What the peer endpoints are asked and answer, and what the room remembers.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::calls::Charge;
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::{NetworkId, NodeVersion};
use crate::commons::sessions::SessionId;
use crate::event::events;
use crate::http::page::PageQuery;
use crate::input::{CallError, RequestId};
use crate::rows::{Record, RowError};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Request {
    /// `GET {network}/peer`: a page of the network's peers.
    Page {
        /// The network.
        network: NetworkId,
        /// Which page.
        query: PageQuery,
    },
    /// `PUT {network}/peer`: a peer to be added.
    Put {
        /// The network.
        network: NetworkId,
        /// The peer.
        peer: PeerInfo,
    },
}

impl Request {
    /// Nothing that is worth counting.
    pub(crate) const fn byte_size(&self) -> usize {
        0
    }

    /// What is asked, as a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Page { .. } => "get_peers",
            Self::Put { .. } => "put_peer",
        }
    }

    /// What a stock node counts the request as.
    #[must_use]
    pub const fn charge(&self) -> Option<Charge> {
        let (network, put_peer) = match self {
            Self::Page { network, .. } => (network, false),
            Self::Put { network, .. } => (network, true),
        };
        Some(Charge {
            mempool: matches!(network, NetworkId::Mempool(_)),
            put_peer,
        })
    }

    /// Nodes read all answers again.
    #[must_use]
    pub const fn answer_is_read(&self) -> bool {
        true
    }
}

/// What can be answered.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Response {
    /// The peer was added, or was known.
    Added,
    /// The page.
    Page(Arc<Page>),
    /// The peer is not taken.
    Refused(Refusal),
}

/// A page of peers. Immutable, so that it is rendered once however often it is served.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The peers; the answer's `limit` is their number.
    pub items: Vec<PeerInfo>,
    /// The position of the first peer of the next page.
    pub next: Option<u64>,
    pub(crate) rendered: OnceLock<Bytes>,
}

impl Page {
    /// A page of these peers.
    #[must_use]
    pub fn new(items: Vec<PeerInfo>, next: Option<u64>) -> Self {
        Self {
            items,
            next,
            rendered: OnceLock::new(),
        }
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        (&self.items, self.next) == (&other.items, other.next)
    }
}

impl core::hash::Hash for Page {
    /// Tells pages apart by the start of each identity, or by the address where there is none.
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.next.hash(state);
        state.write_usize(self.items.len());
        for item in &self.items {
            match &item.id {
                Some(id) => state.write(&id.0[..8]),
                None => item.address.hash(state),
            }
        }
    }
}

impl Response {
    /// Nothing that is worth counting.
    pub(crate) const fn byte_size(&self) -> usize {
        0
    }

    /// The status under which the answer goes out.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Added => 204,
            Self::Page(_) => 200,
            Self::Refused(_) => 400,
        }
    }
}

/// Why a peer is not taken. The texts are Chainweb's, after `Invalid hostaddress: `.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The address is our own.
    IsLocalPeerAddress,
    /// The probe failed; the text says how.
    IsNotReachable(String),
    /// The address is in a range that no public node can have.
    IsReservedHostAddress,
    /// The peer runs a version below the oldest accepted.
    NodeVersionNotAccepted(NodeVersion),
    /// The peer is banned.
    PeerBanned,
}

/// What to do once a call is answered.
#[derive(Clone, Debug)]
pub enum Then {
    /// The page of a peer we synchronise with: next, announce ourselves.
    Announce {
        /// The session.
        session: SessionId,
    },
    /// The page of a peer that we are in session with, because we could do with more peers.
    Browse {
        /// The session.
        session: SessionId,
    },
    /// A peer was told of us: next, look at whom it knows.
    Learn {
        /// The session.
        session: SessionId,
        /// The page it gave.
        page: Arc<Page>,
    },
    /// A probe: admit the peer or refuse it.
    Probed {
        /// The candidate's address.
        addr: HostAddr,
    },
}

/// Why to wake up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A network has room for more sessions and nobody to have them with.
    Browse(NetworkId),
    /// A network may start another session.
    Loop(NetworkId),
    /// A session has lasted long enough.
    SessionEnd(SessionId),
}

/// The room has no rows of its own: peers are the commons'.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Row {}

impl Row {
    /// The table tags that the room owns.
    pub const TABLES: core::ops::RangeInclusive<u8> = 0x10..=0x1f;
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        match *self {}
    }

    fn value(&self) -> Option<Vec<u8>> {
        match *self {}
    }

    fn deletes(&self) -> bool {
        match *self {}
    }

    fn lazy(&self) -> bool {
        match *self {}
    }

    fn decode(key: &[u8], _: &[u8]) -> Result<Self, RowError> {
        Err(RowError::UnknownTable {
            table: key.first().copied().unwrap_or(0),
        })
    }
}

events! {
    /// What the room does that is worth counting.
    pub enum Event {
        /// A peer was announced or found, and taken.
        PeerAdded { /** Its network. */ network: NetworkId, /** Where it is. */ addr: HostAddr } = "peer_added", "peer added: {addr} ({network})";
        /// A peer was forgotten because its certificate is not the one it was announced with.
        PeerMismatch { /** Where it is. */ addr: HostAddr } = "peer_identity_mismatch", "peer forgotten: {addr} does not hold the certificate it was announced with";
        /// A synchronisation with a peer of the operator's failed.
        KnownPeerFailed { /** Where it is. */ addr: HostAddr, /** What was wrong. */ why: String } = "known_peer_failed", "known peer {addr} cannot be synchronised with: {why}";
        /// A peer of the operator's does not hold the certificate that the operator named.
        KnownPeerMismatch { /** Where it is. */ addr: HostAddr } = "known_peer_identity_mismatch", "known peer {addr} is not who it should be: its certificate is not the one of its id or, without an id, not signed by an authority";
        /// A peer's identity was filled in at first contact.
        PeerPinned { /** Where it is. */ addr: HostAddr } = "peer_pinned", "peer pinned to the certificate of the first contact: {addr}";
        /// A peer was not taken.
        PeerRefused { /** Where it is said to be. */ addr: HostAddr, /** Why. */ refusal: Refusal } = "peer_refused", "peer refused: {addr}: {refusal}";
        /// Peers that were silent for long were forgotten.
        PeersPruned { /** How many. */ count: usize } = "peers_pruned", "forgot {count} peers that were silent for long";
        /// A candidate is asked whether it is there.
        ProbeSent { /** Where it is said to be. */ addr: HostAddr } = "probe_sent", "probing {addr}";
        /// A session ended well or by its time.
        SessionEnded { /** Its network. */ network: NetworkId, /** With whom. */ addr: HostAddr } = "session_ended", "session ended: {addr} ({network})";
        /// A session or its synchronisation failed.
        SessionFailed { /** Its network. */ network: NetworkId, /** With whom. */ addr: HostAddr } = "session_failed", "session failed: {addr} ({network})";
        /// A session's peer was synchronised with.
        SessionOpened { /** Its network. */ network: NetworkId, /** With whom. */ addr: HostAddr } = "session_opened", "session opened: {addr} ({network})";
        /// A PUT waits for a probe that another PUT began.
        ProbeJoined { /** Where the candidate is said to be. */ addr: HostAddr } = "probe_joined", "another request waits for the probe of {addr}";
    }
}

/// Who waits for a probe.
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    /// A request to add the peer.
    Request {
        id: RequestId,
        network: NetworkId,
        peer: PeerInfo,
    },
    /// A session that learned of the peer.
    Session { network: NetworkId, peer: PeerInfo },
}

pub(crate) const fn reason(error: CallError) -> &'static str {
    match error {
        CallError::Busy => "TooManyProbes",
        CallError::IdentityMismatch => "CertificateMismatch",
        CallError::Malformed => "InvalidStatusLine",
        CallError::Refused => {
            "ConnectionFailure Network.Socket.connect: does not exist (Connection refused)"
        }
        CallError::Timeout => "ConnectionTimeout",
        CallError::TooLarge => "ResponseBodyTooLarge",
        CallError::Unreachable => "ConnectionFailure: host cannot be reached",
    }
}
