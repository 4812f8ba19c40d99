//! Chainweb's peer endpoints and the sessions between nodes.
//!
//! The room decides who is taken into the peer table (`admit.rs`) and with whom the node is in touch
//! (`sessions.rs`). What a mempool session is for is the mempool room's business.

mod admit;
pub mod http;
mod sessions;
mod types;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use types::{Event, Page, Refusal, Request, Response, Row, Then, Timer};

use crate::commons::Notice;
use crate::commons::network::NetworkId;
use crate::config::Config;
use crate::cx::Cx;
use crate::http::page::PageQuery;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::time::Now;
use crate::verify::Verdict;

/// The room.
#[derive(Clone, Debug)]
pub struct ChainwebPeers {
    probes: admit::Probes,
    loops: Vec<sessions::Loop>,
    /// Pages as they were last served, while the table has not changed.
    pages: BTreeMap<(NetworkId, Option<u64>), Arc<Page>>,
    pages_version: (u64, u64),
}

/// First pages are kept for this many limits a network; other pages are made on demand.
const CACHED_PAGES_MAX: usize = 64;

impl Room for ChainwebPeers {
    const SCOPE: Scope = Scope::ChainwebPeers;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(config: &Config, _: &mut Stream) -> Self {
        Self {
            probes: admit::Probes::default(),
            loops: sessions::loops(config),
            pages: BTreeMap::new(),
            pages_version: (0, 0),
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, Self>) {
        self.insert_known(cx);
        self.start_loops(cx);
    }

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        match request {
            Request::Page { network, query } => {
                let page = self.page(cx, network, query);
                cx.respond(id, Response::Page(page));
            }
            Request::Put { network, peer } => self.put_peer(cx, id, from, network, peer),
        }
    }

    fn reply(&mut self, cx: &mut Cx<'_, Self>, then: Then, result: Result<Answer, CallError>) {
        match then {
            Then::Announce { session } => self.announce(cx, session, result),
            Then::Learn { session, page } => self.learn(cx, session, &page, result),
            Then::Probed { addr } => self.probed(cx, &addr, result),
        }
    }

    fn verdict(&mut self, _: &mut Cx<'_, Self>, _: Then, _: Verdict) {
        unreachable!("the room has nothing checked");
    }

    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Timer) {
        match timer {
            Timer::Loop(network) => self.turn(cx, network),
            Timer::SessionEnd(session) => self.session_over(cx, session, true),
        }
    }

    fn notice(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice) {
        match notice {
            Notice::Banned(key) => self.part_from(cx, key),
            Notice::PeersChanged(network) => self.wake(cx, *network),
            Notice::SessionFailed(session) => self.session_over(cx, *session, false),
            Notice::SessionOpened(_) | Notice::SessionClosed(_) => {}
        }
    }

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        match row {}
    }

    fn export(&self, _: &mut Vec<rooms::Row>) {}

    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        gauge("probes_in_flight", self.probes.len() as u64);
    }
}

impl ChainwebPeers {
    /// The page that `query` asks for. Rule: Chainweb, `peerGetHandler`.
    fn page(&mut self, cx: &Cx<'_, Self>, network: NetworkId, query: PageQuery) -> Arc<Page> {
        let commons = cx.commons();
        let version = (commons.peers.version(), commons.bans.version());
        if self.pages_version != version {
            self.pages.clear();
            self.pages_version = version;
        }
        let cacheable = query.next.is_none();
        if cacheable && let Some(page) = self.pages.get(&(network, query.limit)) {
            return page.clone();
        }
        let page = Arc::new(make_page(cx, network, query));
        if cacheable && self.pages.len() < CACHED_PAGES_MAX {
            self.pages.insert((network, query.limit), page.clone());
        }
        page
    }
}

fn make_page(cx: &Cx<'_, ChainwebPeers>, network: NetworkId, query: PageQuery) -> Page {
    let commons = cx.commons();
    let listing = commons.peers.listing(network);
    let shown = |key| commons.peers.get(key).map(|peer| &peer.info);
    let window = |total: usize| {
        let page = query.page(total);
        (page.items, page.next.map(|next| next as u64))
    };
    if commons.bans.is_empty() {
        let (items, next) = window(listing.len());
        let items = listing[items]
            .iter()
            .filter_map(|(_, key)| shown(*key))
            .cloned()
            .collect();
        return Page {
            items,
            next,
            ..Page::default()
        };
    }
    let wall = cx.now().wall;
    let visible: Vec<_> = listing
        .iter()
        .filter_map(|(_, key)| shown(*key))
        .filter(|info| !commons.is_banned(wall, info))
        .collect();
    let (items, next) = window(visible.len());
    Page {
        items: visible[items].iter().copied().cloned().collect(),
        next,
        ..Page::default()
    }
}
