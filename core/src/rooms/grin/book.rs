//! What is known of peers, whether in touch or not: what they said of themselves, when they were linked
//! and banned last, and whether they could be linked the last time.
//!
//! The table of all families says who there is; this book adds what only this room knows, as hints.
//! Whether a peer is banned is in the one ban list. Rule: the peer store of grin_p2p.

use std::collections::BTreeMap;

use super::Grin;
use super::page::{LinkPage, PeerPage};
use super::rows::{PeerRecord, Row};
use super::types::Response;
use crate::commons::address::HostAddr;
use crate::commons::bans::BanKey;
use crate::cx::Cx;
use crate::limits::{GRIN_BOOK_MAX, GRIN_DEFUNCT_AGE_SECS};

/// What is known of peers.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    records: BTreeMap<HostAddr, PeerRecord>,
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, addr: &HostAddr) -> Option<&PeerRecord> {
        self.records.get(addr)
    }

    /// Whether a peer could not be linked the last time.
    pub(super) fn is_defunct(&self, addr: &HostAddr) -> bool {
        self.get(addr).is_some_and(|record| record.defunct)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&HostAddr, &PeerRecord)> {
        self.records.iter()
    }

    pub(super) fn restore(&mut self, addr: HostAddr, record: PeerRecord) {
        self.records.insert(addr, record);
    }
}

impl Grin {
    /// Changes what is known of a peer, from nothing if need be. Whoever was linked longest ago makes
    /// room for somebody new.
    pub(super) fn note(
        &mut self,
        cx: &mut Cx<'_, Self>,
        addr: &HostAddr,
        change: impl FnOnce(&mut PeerRecord),
    ) {
        let before = self.book.records.get(addr);
        if before.is_none() && self.book.len() >= GRIN_BOOK_MAX {
            let others = self
                .book
                .iter()
                .filter(|(addr, _)| self.links.get(addr).is_none());
            let oldest = others.min_by_key(|(_, record)| record.last_connected);
            let oldest = oldest.map(|(addr, _)| addr.clone());
            match oldest {
                Some(addr) => self.strike_out(cx, addr),
                None => return,
            }
        }
        let mut record = self.book.get(addr).cloned().unwrap_or_else(|| PeerRecord {
            address: addr.to_string(),
            ..PeerRecord::default()
        });
        change(&mut record);
        if self.book.get(addr) != Some(&record) {
            self.book.records.insert(addr.clone(), record.clone());
            cx.put_lazily(Row::Peer(addr.clone(), Some(record)));
        }
    }

    fn strike_out(&mut self, cx: &mut Cx<'_, Self>, addr: HostAddr) {
        self.book.records.remove(&addr);
        cx.put_lazily(Row::Peer(addr, None));
    }

    /// Forgets peers that cannot be linked and have not been for two weeks.
    pub(super) fn forget_defunct(&mut self, cx: &mut Cx<'_, Self>) {
        let limit = cx
            .now()
            .wall
            .as_secs()
            .saturating_sub(GRIN_DEFUNCT_AGE_SECS);
        let gone = self.book.iter().filter(|(addr, record)| {
            record.defunct
                && record.last_connected < limit
                && cx.commons().peers.find(addr).is_none()
        });
        let gone: Vec<HostAddr> = gone.map(|(addr, _)| addr.clone()).collect();
        for addr in gone {
            self.strike_out(cx, addr);
        }
    }

    /// `GET /v1/peers/all`, in the order of grin's keys.
    pub(super) fn show_peers(&self, cx: &Cx<'_, Self>) -> Response {
        let met = self.book.records.keys();
        let heard = cx
            .commons()
            .peers
            .iter()
            .map(|(_, peer)| &peer.info.address);
        let mut pages: BTreeMap<BanKey, PeerPage> = BTreeMap::new();
        for addr in heard.chain(met) {
            pages.insert(BanKey::of_address(addr), self.peer_page(cx, addr));
        }
        Response::Peers(pages.into_values().collect())
    }

    /// `GET /v1/peers/{address}`: the port counts on loopback only.
    pub(super) fn show_peer(&self, cx: &Cx<'_, Self>, addr: &HostAddr) -> Response {
        let key = BanKey::of_address(addr);
        let met = self.book.records.keys();
        let heard = cx
            .commons()
            .peers
            .iter()
            .map(|(_, peer)| &peer.info.address);
        let mut known = met.chain(heard);
        let found = known.find(|known| BanKey::of_address(known) == key);
        found.map_or_else(
            || Response::Failed(404, "peer not found".into()),
            |addr| Response::Peer(self.peer_page(cx, addr).into()),
        )
    }

    fn peer_page(&self, cx: &Cx<'_, Self>, addr: &HostAddr) -> PeerPage {
        let record = self.book.get(addr);
        let banned = cx
            .commons()
            .bans
            .covers(cx.now().wall, &BanKey::of_address(addr));
        let flags = match record {
            _ if banned => "Banned",
            Some(record) if record.defunct => "Defunct",
            Some(_) | None => "Healthy",
        };
        PeerPage {
            addr: addr.to_string(),
            capabilities: record.map_or(0, |record| record.capabilities),
            user_agent: record.map_or_else(String::new, |record| record.user_agent.clone()),
            flags,
            last_banned: record.map_or(0, |record| record.last_banned),
            // Stock nodes keep no reason of a ban either.
            ban_reason: "None",
            last_connected: record.map_or(0, |record| record.last_connected),
        }
    }

    /// `GET /v1/peers/connected`, in another order each time.
    pub(super) fn show_links(&self, cx: &mut Cx<'_, Self>) -> Response {
        let mut pages: Vec<LinkPage> = self
            .links
            .iter()
            .map(|(addr, link)| LinkPage {
                addr: addr.to_string(),
                capabilities: link.capabilities,
                user_agent: link.user_agent.clone(),
                outbound: link.outbound,
                total_difficulty: link.work,
                height: link.height,
            })
            .collect();
        for place in (1..pages.len()).rev() {
            let other = cx.rng().index(place + 1);
            pages.swap(place, other);
        }
        Response::Connected(pages.into())
    }
}
