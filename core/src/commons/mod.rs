//! What rooms share: the one peer table, the one ban list, and the sessions with peers.
//!
//! Rooms never call rooms. They meet here, and hear of each other's doings as [`Notice`]s.

pub mod address;
pub mod bans;
pub mod met;
pub mod network;
pub mod peers;
pub mod sessions;

use core::fmt;
use core::net::SocketAddr;

use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::bans::{Ban, BanKey, Bans};
use crate::commons::met::Met;
use crate::commons::network::NetworkId;
use crate::commons::peers::{Liveness, Peer, PeerKey, PeerRecord, Peers};
use crate::commons::sessions::{SessionId, Sessions};
use crate::input::PeerCert;
use crate::rows::{Record, RowError, from_json_value, json_value};
use crate::time::WallTime;

/// The state that rooms share.
#[derive(Clone, Debug)]
pub struct Commons {
    /// Every peer, by address.
    pub peers: Peers,
    /// Whom we have nothing to do with.
    pub bans: Bans,
    /// Whom families have met by themselves.
    pub met: Met,
    /// With whom we are in touch.
    pub sessions: Sessions,
}

/// What rooms hear of each other, after the handler that caused it has returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A ban began; sessions with whom it covers are over.
    Banned(BanKey),
    /// Whoever is at a peer's address has proved the key that the peer now goes by.
    PeerProven(PeerKey),
    /// The peers of a network have changed, so that a session may start.
    PeersChanged(NetworkId),
    /// A session's peer was synchronised with; the session's work may begin.
    SessionOpened(SessionId),
    /// A session's work goes well: the peer is what it says.
    SessionProven(SessionId),
    /// A session's work has failed.
    SessionFailed(SessionId),
    /// A session's peer does not hold the certificate it goes by.
    SessionMismatched(SessionId),
    /// A session is over; whatever was under way for it is moot.
    SessionClosed(SessionId),
    /// Bans have ended or were lifted, so that sessions may start.
    Unbanned,
}

impl Commons {
    /// Whether `peer` is under a ban, by address or by certificate.
    #[must_use]
    pub fn is_banned(&self, wall: WallTime, peer: &PeerInfo) -> bool {
        if self.bans.is_empty() {
            return false;
        }
        self.bans.covers(wall, &BanKey::of_address(&peer.address))
            || peer
                .id
                .is_some_and(|id| self.bans.covers(wall, &BanKey::Fingerprint(id)))
    }

    /// Whether what is known of a peer is under a ban: its address, its certificate or its key.
    fn covers_peer(&self, wall: WallTime, peer: &Peer) -> bool {
        self.is_banned(wall, &peer.info)
            || peer
                .key
                .is_some_and(|key| self.bans.covers(wall, &BanKey::Key(key)))
    }

    /// Takes `key` out of sight if a ban covers it, or brings it back.
    pub(crate) fn judge_peer(&mut self, wall: WallTime, key: PeerKey) {
        if let Some(peer) = self.peers.get(key) {
            let banned = self.covers_peer(wall, peer);
            self.peers.set_banned(key, banned);
        }
    }

    /// Does the same for all peers: the ban list has changed.
    pub(crate) fn judge_peers(&mut self, wall: WallTime) {
        let wrong: Vec<(PeerKey, bool)> = self
            .peers
            .iter()
            .map(|(key, peer)| (key, peer.is_banned(), self.covers_peer(wall, peer)))
            .filter(|(_, was, is)| was != is)
            .map(|(key, _, is)| (key, is))
            .collect();
        for (key, banned) in wrong {
            self.peers.set_banned(key, banned);
        }
    }

    /// Whether a caller at `addr` is under a ban by its address. Nodes on loopback share theirs, so
    /// there only a certificate tells them apart.
    #[must_use]
    pub fn is_banned_caller(&self, wall: WallTime, addr: SocketAddr) -> bool {
        let ip = addr.ip().to_canonical();
        !ip.is_loopback() && self.bans.covers(wall, &BanKey::Address(ip.to_string()))
    }

    /// Whether whoever holds `cert` is under a ban.
    #[must_use]
    pub fn is_banned_cert(&self, wall: WallTime, cert: &PeerCert) -> bool {
        !self.bans.is_empty()
            && (self
                .bans
                .covers(wall, &BanKey::Fingerprint(cert.fingerprint))
                || cert
                    .key
                    .is_some_and(|key| self.bans.covers(wall, &BanKey::Key(key))))
    }
}

/// The durable part of the commons.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// A ban, promised.
    Ban(BanKey, Option<Ban>),
    /// How reachable a peer was, a hint.
    Liveness(HostAddr, Option<Liveness>),
    /// A peer, promised.
    Peer(HostAddr, Option<PeerRecord>),
}

const BAN: u8 = 0x01;
const LIVENESS: u8 = 0x02;
const PEER: u8 = 0x03;

impl Row {
    /// The table tags that the commons own.
    pub const TABLES: core::ops::RangeInclusive<u8> = 0x01..=0x0f;
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        let (table, name): (u8, &dyn fmt::Display) = match self {
            Self::Ban(key, _) => (BAN, key),
            Self::Liveness(addr, _) => (LIVENESS, addr),
            Self::Peer(addr, _) => (PEER, addr),
        };
        let mut text = format!("{}{name}", char::from(table));
        // Host names compare without case, so their keys are in one case.
        if table != BAN {
            text.make_ascii_lowercase();
        }
        text.into_bytes()
    }

    fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Ban(_, value) => value.as_ref().map(json_value),
            Self::Liveness(_, value) => value.as_ref().map(json_value),
            Self::Peer(_, value) => value.as_ref().map(json_value),
        }
    }

    fn deletes(&self) -> bool {
        matches!(
            self,
            Self::Ban(_, None) | Self::Liveness(_, None) | Self::Peer(_, None)
        )
    }

    fn lazy(&self) -> bool {
        matches!(self, Self::Liveness(..))
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, RowError> {
        let Some((&table, field)) = key.split_first() else {
            return Err(RowError::DamagedKey { table: 0 });
        };
        let damaged = RowError::DamagedKey { table };
        let text = core::str::from_utf8(field).map_err(|_| damaged.clone())?;
        match table {
            BAN => {
                let key = text.parse().map_err(|_| damaged)?;
                Ok(Self::Ban(key, Some(from_json_value(table, value)?)))
            }
            LIVENESS => {
                let addr = text.parse().map_err(|_| damaged)?;
                Ok(Self::Liveness(addr, Some(from_json_value(table, value)?)))
            }
            PEER => {
                let record: PeerRecord = from_json_value(table, value)?;
                // The record keeps the spelling that the key has lost.
                let addr: HostAddr = record.address.parse().map_err(|_| damaged.clone())?;
                if addr.to_string().to_ascii_lowercase() != text {
                    return Err(damaged);
                }
                Ok(Self::Peer(addr, Some(record)))
            }
            _ => Err(RowError::UnknownTable { table }),
        }
    }
}
