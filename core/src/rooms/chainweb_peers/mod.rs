//! Chainweb's peer endpoints and the sessions between nodes.
//!
//! The room decides who is taken into the peer table (`admit.rs`) and with whom the node is in touch
//! (`sessions.rs`). What a mempool session is for is the mempool room's business.

mod admit;
pub mod http;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod sessions;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use types::{Event, Page, Refusal, Request, Response, Row, Then, Timer};

use crate::commons::Notice;
use crate::commons::address::HostAddr;
use crate::commons::network::NetworkId;
use crate::commons::peers::PeerKey;
use crate::config::Config;
use crate::cx::Cx;
use crate::http::page::PageQuery;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::limits::CACHED_PAGES_MAX;
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
    /// Pages as they were last served, with the version of the table that they show.
    pages: BTreeMap<(NetworkId, usize), (u64, Arc<Page>)>,
}

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
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, Self>) {
        forget_unfit(cx);
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
            Then::Browse { session } => self.browsed(cx, session, result),
            Then::Learn { session, page } => self.learn(cx, session, &page, result),
            Then::Probed { addr } => self.probed(cx, &addr, result),
        }
    }

    fn verdict(&mut self, _: &mut Cx<'_, Self>, _: Then, _: Verdict) {
        unreachable!("the room has nothing checked");
    }

    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Timer) {
        match timer {
            Timer::Browse(network) => self.browse(cx, network),
            Timer::Loop(network) => self.turn(cx, network),
            Timer::SessionEnd(session) => self.session_over(cx, session, true),
        }
    }

    fn notice(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice) {
        match notice {
            Notice::Banned(_) => self.part_from_banned(cx),
            Notice::PeersChanged(network) => {
                let after = cx.config().sessions.greeting_delay;
                self.wake(cx, *network, after);
            }
            Notice::SessionFailed(session) => self.session_over(cx, *session, false),
            Notice::SessionMismatched(session) => self.mismatch(cx, *session),
            Notice::Unbanned => self.wake_all(cx),
            Notice::SessionProven(session) => self.proven(cx, *session),
            Notice::PeerProven(_) | Notice::SessionOpened(_) | Notice::SessionClosed(_) => {}
        }
    }

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        match row {}
    }

    fn export(&self, _: &mut Vec<rooms::Row>) {}

    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        gauge("peers_learned_waiting", self.probes.queued() as u64);
        gauge("probes_counted", self.probes.counted() as u64);
        gauge("probes_in_flight", self.probes.len() as u64);
    }
}

impl ChainwebPeers {
    /// The page that `query` asks for. Rule: Chainweb, `peerGetHandler`.
    fn page(&mut self, cx: &Cx<'_, Self>, network: NetworkId, query: PageQuery) -> Arc<Page> {
        let peers = &cx.commons().peers;
        let version = peers.version(network);
        let listing = peers.listing(network);
        let window = query.page(listing.len());
        let place = (network, window.items.len());
        let cacheable = query.next.is_none();
        if cacheable
            && let Some((made, page)) = self.pages.get(&place)
            && *made == version
        {
            return page.clone();
        }
        let items = listing[window.items]
            .iter()
            .filter_map(|(_, key)| peers.get(*key))
            .map(|peer| peer.info.clone())
            .collect();
        let page = Arc::new(Page {
            items,
            next: window.next.map(|next| next as u64),
            ..Page::default()
        });
        if cacheable {
            self.pages
                .retain(|(of, _), (made, _)| *of != network || *made == version);
            if self.pages.len() < CACHED_PAGES_MAX {
                self.pages.insert(place, (version, page.clone()));
            }
        }
        page
    }
}

/// Forgets what a node of other settings took: our own address, and whom a private node was not
/// given. Rule: Chainweb, `makePeerDbPrivate` and the own address at start.
fn forget_unfit(cx: &mut Cx<'_, ChainwebPeers>) {
    let config = cx.config();
    let known: BTreeSet<&HostAddr> = config
        .known_peers
        .iter()
        .map(|info| &info.address)
        .collect();
    let unfit: Vec<PeerKey> = cx
        .commons()
        .peers
        .iter()
        .filter(|(_, peer)| {
            let addr = &peer.info.address;
            *addr == config.address || (config.private && !known.contains(addr))
        })
        .map(|(key, _)| key)
        .collect();
    let (commons, journal) = cx.commons_mut();
    for key in unfit {
        commons.peers.remove(journal, key);
    }
}
