//! With whom the room is in touch: one link per peer, kept alive by greeting each other.
//!
//! There is no standing connection. A link is outbound once the peer has answered a greeting of ours,
//! inbound while only it greets us. An inbound one says by itself where it is called, so until a call
//! of ours has met it there, nothing bad that it does falls on that address.

use std::collections::BTreeMap;

use peerage_mw::Hash;

use crate::commons::address::HostAddr;
use crate::ids::Fingerprint;
use crate::input::PeerCert;
use crate::time::Instant;

/// A peer with which the room is in touch.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Whether it has answered a greeting of ours.
    pub(super) outbound: bool,
    /// What it has proved.
    pub(super) cert: PeerCert,
    /// Whether a call of ours met it at its address.
    pub(super) met: bool,
    /// What it can do.
    pub(super) capabilities: u32,
    /// Its release.
    pub(super) user_agent: String,
    /// The height of its chain, as it says.
    pub(super) height: u64,
    /// The work in its chain, as it says.
    pub(super) work: u64,
    /// When it greeted or answered last.
    pub(super) heard: Instant,
    /// How often it is being asked for headers or blocks, or what it gave is being checked.
    pub(super) busy: u32,
    /// Transactions of it that are being checked.
    pub(super) checks: usize,
    /// The work that it claimed when it did not give what it claims to have.
    pub(super) hollow: u64,
    /// How often in a row it did not.
    pub(super) misses: u32,
    /// The last header that it gave, and its work, if what follows that is to be asked for next.
    pub(super) reached: Option<(Hash, u64)>,
    /// Until when it is not asked, because it did not give what it claims to have.
    pub(super) rests: Instant,
}

/// All links.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    by_addr: BTreeMap<HostAddr, Link>,
    by_cert: BTreeMap<Fingerprint, HostAddr>,
}

impl Links {
    pub(super) fn len(&self) -> usize {
        self.by_addr.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_addr.is_empty()
    }

    /// How many have answered a greeting of ours, and how many have not.
    pub(super) fn count(&self, outbound: bool) -> usize {
        let links = self.by_addr.values();
        links.filter(|link| link.outbound == outbound).count()
    }

    pub(super) fn get(&self, addr: &HostAddr) -> Option<&Link> {
        self.by_addr.get(addr)
    }

    pub(super) fn get_mut(&mut self, addr: &HostAddr) -> Option<&mut Link> {
        self.by_addr.get_mut(addr)
    }

    /// Where whoever holds this certificate is linked.
    pub(super) fn addr_of(&self, fingerprint: &Fingerprint) -> Option<&HostAddr> {
        self.by_cert.get(fingerprint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&HostAddr, &Link)> {
        self.by_addr.iter()
    }

    /// The greatest height and the most work that anybody claims and may have.
    pub(super) fn best(&self) -> (u64, u64) {
        let links = self.by_addr.values().filter(|link| link.work > link.hollow);
        let best = links.max_by_key(|link| link.work);
        best.map_or((0, 0), |link| (link.height, link.work))
    }

    /// Enters a link, in place of another one of that address or that certificate.
    pub(super) fn insert(&mut self, addr: HostAddr, link: Link) {
        let fingerprint = link.cert.fingerprint;
        if let Some(before) = self.by_addr.insert(addr.clone(), link) {
            self.by_cert.remove(&before.cert.fingerprint);
        }
        if let Some(moved) = self.by_cert.insert(fingerprint, addr.clone())
            && moved != addr
        {
            self.by_addr.remove(&moved);
        }
    }

    pub(super) fn remove(&mut self, addr: &HostAddr) -> Option<Link> {
        let link = self.by_addr.remove(addr)?;
        self.by_cert.remove(&link.cert.fingerprint);
        Some(link)
    }
}
