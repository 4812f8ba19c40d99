//! Who is who: the address, the certificate and the key of every node, by its number.
//!
//! Node `i` lives at the public-looking address `1.a.b.c`, where `a.b.c` spells `i + 1`, so that a
//! name is found by arithmetic and every network takes it for a real host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ed25519_dalek::SigningKey;
use peerage_core::commons::address::{HostAddr, Hostname, PeerInfo};
use peerage_core::config::Identity;
use peerage_core::ids::{Fingerprint, PeerId, PublicKey};
use peerage_core::rooms::wattswarm::records::NodeId;
use peerage_core::{Caller, Listener, PeerCert};

use crate::seed::Seeds;

/// The port of every node's P2P listener.
pub const PORT: u16 = 1789;

/// The names of all nodes of a world.
#[derive(Clone, Debug)]
pub struct Roster {
    seeds: Seeds,
    certs: Vec<PeerCert>,
    /// A node is in here as often as its key was replaced.
    renewed: Vec<u32>,
}

impl Roster {
    /// Names for nodes `0..nodes`.
    #[must_use]
    pub fn new(seeds: Seeds, nodes: u32) -> Self {
        let certs = (0..nodes).map(|node| cert(seeds.identity(node))).collect();
        Self {
            seeds,
            certs,
            renewed: Vec::new(),
        }
    }

    /// The node has another key and certificate from now on.
    pub fn renew(&mut self, node: u32) {
        self.renewed.push(node);
        self.certs[node as usize] = cert(self.secret(node));
    }

    fn secret(&self, node: u32) -> [u8; 32] {
        match self.renewed.iter().filter(|of| **of == node).count() {
            0 => self.seeds.identity(node),
            times => self.seeds.identity_after(node, times as u32),
        }
    }

    /// What the node proves in a handshake.
    #[must_use]
    pub fn cert(&self, node: u32) -> PeerCert {
        self.certs[node as usize]
    }

    /// The identity in the node's settings.
    #[must_use]
    pub fn identity(&self, node: u32) -> Identity {
        let cert = self.cert(node);
        let public_key = PublicKey(cert.key.map_or([0; 32], |key| key.0));
        let secret = self.secret(node);
        Identity {
            fingerprint: cert.fingerprint,
            public_key,
            secret,
        }
    }

    /// The node's WattSwarm id: its key.
    #[must_use]
    pub fn id(&self, node: u32) -> NodeId {
        self.identity(node).public_key.into()
    }

    /// Which node holds this key.
    #[must_use]
    pub fn holder(&self, key: &PublicKey) -> Option<u32> {
        let holds = |cert: &PeerCert| cert.key == Some(*key);
        self.certs.iter().position(holds).map(|node| node as u32)
    }

    /// Which node has this WattSwarm id.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<u32> {
        self.holder(&NodeId::new(id).ok()?.key()?)
    }

    /// The node's name in its cluster.
    #[must_use]
    pub fn cluster_peer(&self, node: u32) -> PeerId {
        PeerId::derived(&self.cert(node).fingerprint.0)
    }

    /// Which node has this name in its cluster.
    #[must_use]
    pub fn cluster_node(&self, peer: PeerId) -> Option<u32> {
        let named = |cert: &PeerCert| PeerId::derived(&cert.fingerprint.0) == peer;
        self.certs.iter().position(named).map(|node| node as u32)
    }

    /// Where the node, or one that does not exist, would be reached.
    #[must_use]
    pub fn addr(node: u32) -> HostAddr {
        HostAddr::new(Hostname::from(IpAddr::V4(ip(node))), PORT)
    }

    /// What others are told about the node.
    #[must_use]
    pub fn info(&self, node: u32) -> PeerInfo {
        PeerInfo::new(Some(self.cert(node).fingerprint), Self::addr(node))
    }

    /// Which node listens at `addr`.
    #[must_use]
    pub fn find(&self, addr: &HostAddr) -> Option<u32> {
        let Some(IpAddr::V4(ip)) = addr.ip() else {
            return None;
        };
        let number = u32::from_be_bytes(ip.octets()).checked_sub(0x0100_0001)?;
        (addr.port == PORT && (number as usize) < self.certs.len()).then_some(number)
    }

    /// The node as a caller on another one's P2P listener.
    #[must_use]
    pub fn caller(&self, node: u32) -> Caller {
        Caller {
            addr: SocketAddr::new(IpAddr::V4(ip(node)), 40_000),
            listener: Listener::P2p,
            authorization: None,
            cert: Some(self.cert(node)),
        }
    }

    /// A user: an operator on the API listener, or a stranger on the P2P listener.
    #[must_use]
    pub fn user(number: u32, listener: Listener) -> Caller {
        let ip = match listener {
            Listener::Api => Ipv4Addr::LOCALHOST,
            Listener::P2p => Ipv4Addr::from(0x0900_0001 + number),
        };
        let port = 50_000 + (number % 10_000) as u16;
        Caller {
            addr: SocketAddr::new(IpAddr::V4(ip), port),
            listener,
            authorization: None,
            cert: None,
        }
    }
}

fn cert(secret: [u8; 32]) -> PeerCert {
    let key = SigningKey::from_bytes(&secret).verifying_key().to_bytes();
    // No TLS here: the key stands for the certificate that would carry it.
    PeerCert {
        fingerprint: Fingerprint::of_certificate(&key),
        key: Some(PublicKey(key)),
    }
}

fn ip(node: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0100_0001 + node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_back_to_its_node() {
        let roster = Roster::new(Seeds::new(5), 300);
        for node in [0, 1, 254, 255, 256, 299] {
            let addr = Roster::addr(node);
            assert_eq!(roster.find(&addr), Some(node));
            assert_eq!(addr.to_string().parse(), Ok(addr));
        }
        assert_eq!(roster.find(&Roster::addr(300)), None);
        assert_eq!(Roster::addr(70_000).to_string(), "1.1.17.113:1789");
    }
}
