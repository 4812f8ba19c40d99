//! Peers that misbehave on purpose. A liar is no node with a patch: it is a user with a certificate
//! and an address, who answers what others ask and asks what nobody should.
//!
//! Each liar has habits of its own, drawn from its stream:
//!
//! | habit | what it does |
//! |---|---|
//! | boasts | its pages are full of peers that do not exist, or carry somebody else's identity |
//! | drones | its pages never end, its mempools are full of hashes that nobody can find |
//! | floods | it announces ghosts, and inserts invalid transactions by the dozen |
//! | pretends | it announces others' addresses as its own, and its address under others' identities |
//! | replays | it sends again, to anybody, what it was sent |
//! | sulks | it answers with errors, nonsense of the wrong type, late, or never |
//!
//! Where users make friends, liars do so too; see [`Forger`]. Where there is a Mimblewimble chain, they
//! spoil it; see [`Spoiler`].

use std::sync::Arc;

use peerage_core::commons::address::PeerInfo;
use peerage_core::commons::network::NetworkId;
use peerage_core::http::page::{Cursor, PageQuery};
use peerage_core::rooms::chainweb_mempool::Mark;
use peerage_core::rooms::chainweb_mempool::key::TxHash;
use peerage_core::rooms::{chainweb_mempool, chainweb_peers, wattswarm};
use peerage_core::{Request, Response};

use crate::cluster::Stranger;
use crate::deck::{self, Make};
use crate::forger::Forger;
use crate::grin::Spoiler;
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// One of them.
#[derive(Clone, Debug)]
pub struct Liar {
    node: u32,
    nodes: u32,
    chains: u8,
    habits: [bool; 6],
    luck: Luck,
    key: [u8; 32],
    numbers: u32,
    /// What it was sent lately.
    heard: Vec<Request>,
    /// What it has to do with friends, where there are some.
    forger: Option<Forger>,
    /// What it is in the clusters, where there are any.
    pub stranger: Option<Stranger>,
    /// What it does to the Mimblewimble chain, where there is one.
    pub spoiler: Option<Spoiler>,
}

const BOASTS: usize = 0;
const DRONES: usize = 1;
const FLOODS: usize = 2;
const PRETENDS: usize = 3;
const REPLAYS: usize = 4;
const SULKS: usize = 5;

/// Requests that are remembered for a replay.
const HEARD_MAX: usize = 16;
/// Peers that liars invent have numbers from here on.
const GHOSTS: u32 = 11_000_000;
/// How many of them.
const GHOSTS_MAX: u64 = 5_000;

impl Liar {
    /// The liar in this node's place.
    #[must_use]
    pub fn new(seeds: &Seeds, node: u32, nodes: u32, chains: u8, social: bool) -> Self {
        let mut luck = seeds.family("liars").luck(node.into());
        let mut habits = [false; 6];
        for habit in &mut habits {
            *habit = luck.chance(500_000);
        }
        // Nobody is here who has no habit at all.
        habits[luck.index(6)] = true;
        Self {
            node,
            nodes,
            chains,
            habits,
            luck,
            key: seeds.identity(u32::MAX - 1),
            numbers: node * 10_000,
            heard: Vec::new(),
            forger: social.then(|| Forger::new(seeds, node, nodes)),
            stranger: None,
            spoiler: None,
        }
    }

    /// All luck comes from this stream from now on.
    pub fn reseed(&mut self, luck: Luck) {
        if let Some(stranger) = &mut self.stranger {
            stranger.reseed(luck.clone());
        }
        if let Some(spoiler) = &mut self.spoiler {
            spoiler.reseed(luck.clone());
        }
        self.luck = luck;
    }

    /// How long it waits until it acts again, in microseconds.
    pub fn pause(&mut self) -> u64 {
        if self.habits[FLOODS] {
            self.luck.around(150_000)
        } else {
            self.luck.around(1_500_000)
        }
    }

    /// Whom it bothers now, and with what.
    pub fn act(&mut self, roster: &Roster, wall_secs: u64) -> (u32, Request) {
        let forged = self.forger.as_mut();
        if let Some((to, request)) = forged.and_then(|of| of.act(roster, wall_secs * 1_000)) {
            return (to, Request::Wattswarm(request));
        }
        let stranger = self.stranger.as_mut();
        if let Some((to, request)) = stranger.and_then(|of| of.act(roster, wall_secs)) {
            return (to, Request::Cluster(request));
        }
        if let Some((to, request)) = self.spoiler.as_mut().and_then(Spoiler::act) {
            return (to, Request::Grin(request));
        }
        let target = loop {
            let target = self.luck.below(self.nodes.into()) as u32;
            if target != self.node {
                break target;
            }
        };
        let network = self.network();
        let put = |peer| Request::ChainwebPeers(chainweb_peers::Request::Put { network, peer });
        let choice = self.luck.below(4);
        let request = match choice {
            0 if self.habits[FLOODS] => put(self.ghost(roster)),
            1 if self.habits[FLOODS] => self.junk(wall_secs),
            0 | 2 if self.habits[PRETENDS] => put(self.false_peer(roster)),
            1 | 3 if self.habits[REPLAYS] && !self.heard.is_empty() => {
                self.heard[self.luck.index(self.heard.len())].clone()
            }
            2 if self.habits[DRONES] => {
                let next = Some(Cursor::Inclusive(self.luck.bits() as i64));
                let limit = Some(self.luck.bits());
                let query = PageQuery { limit, next };
                Request::ChainwebPeers(chainweb_peers::Request::Page { network, query })
            }
            // Now and then it is a good peer, so that others keep it.
            _ => put(roster.info(self.node)),
        };
        (target, request)
    }

    /// It was answered by `node`.
    pub fn heard(&mut self, node: u32, response: &Response) {
        if let (Some(forger), Response::Wattswarm(response)) = (&mut self.forger, response) {
            forger.heard(node, response);
        } else if let (Some(spoiler), Response::Grin(response)) = (&mut self.spoiler, response) {
            spoiler.heard(response);
        }
    }

    /// What it says to a question of `from`, if that is a node, and after how many microseconds; nothing, if it never does.
    pub fn answer(
        &mut self,
        roster: &Roster,
        from: Option<u32>,
        request: &Request,
    ) -> Option<(u64, Response)> {
        if let (Some(stranger), Request::Cluster(asked)) = (&mut self.stranger, request) {
            stranger.hear(asked);
            let said = stranger.answer(roster, asked)?;
            return Some((self.luck.below(2_000), Response::Cluster(said)));
        }
        if let (Some(spoiler), Request::Grin(asked)) = (&mut self.spoiler, request) {
            let said = spoiler.answer(from, asked)?;
            return Some((self.luck.below(2_000), Response::Grin(said)));
        }
        // Much is for operators only; on the listener that others reach there is none of it. Other
        // liars belong to no cluster.
        let delivers = matches!(request, Request::Wattswarm(wattswarm::Request::Deliver(_)));
        let private = matches!(
            request,
            Request::Bans(_) | Request::Cluster(_) | Request::Wattswarm(_)
        );
        if private && !delivers {
            return Some((0, Response::Opaque(403)));
        }
        if self.heard.len() < HEARD_MAX {
            self.heard.push(request.clone());
        } else {
            let at = self.luck.index(HEARD_MAX);
            self.heard[at] = request.clone();
        }
        let mut after = self.luck.below(2_000);
        if self.habits[SULKS] {
            match self.luck.below(6) {
                0 => return None,
                1 => return Some((after, Response::Opaque(500))),
                2 => return Some((after, Response::Opaque(200))),
                3 => after += self.luck.below(30_000_000),
                _ => {}
            }
        }
        Some((after, self.say(roster, request)))
    }

    fn say(&mut self, roster: &Roster, request: &Request) -> Response {
        match request {
            Request::ChainwebPeers(chainweb_peers::Request::Page { .. }) => {
                let items = (0..self.luck.below(80))
                    .map(|_| match self.luck.below(3) {
                        0 if self.habits[BOASTS] => self.ghost(roster),
                        1 if self.habits[BOASTS] => self.false_peer(roster),
                        _ => roster.info(self.luck.below(self.nodes.into()) as u32),
                    })
                    .collect();
                let next = self.habits[DRONES].then(|| self.luck.below(1_000));
                let page = chainweb_peers::Page::new(items, next);
                Response::ChainwebPeers(chainweb_peers::Response::Page(Arc::new(page)))
            }
            Request::ChainwebPeers(chainweb_peers::Request::Put { .. }) => {
                Response::ChainwebPeers(chainweb_peers::Response::Added)
            }
            Request::ChainwebMempool(chainweb_mempool::Request { body, .. }) => {
                Response::ChainwebMempool(self.pool(body))
            }
            Request::Wattswarm(wattswarm::Request::Deliver(delivery)) => {
                let from = roster.named(delivery.greeting.source_node_id.as_str());
                match (&mut self.forger, from) {
                    (Some(forger), Some(from)) => {
                        Response::Wattswarm(forger.answer(roster, from, delivery))
                    }
                    (_, _) => Response::Opaque(403),
                }
            }
            Request::Bans(_) | Request::Cluster(_) | Request::Grin(_) | Request::Wattswarm(_) => {
                Response::Opaque(403)
            }
        }
    }

    fn pool(&mut self, query: &chainweb_mempool::Query) -> chainweb_mempool::Response {
        use chainweb_mempool::{Query, Response};
        match query {
            Query::GetPending(_) => {
                let many = if self.habits[DRONES] { 2_000 } else { 3 };
                let hashes = (0..self.luck.below(many))
                    .map(|_| {
                        let mut hash = [0; 32];
                        hash[..8].copy_from_slice(&self.luck.bits().to_le_bytes());
                        TxHash(hash)
                    })
                    .collect();
                let mark = Mark {
                    nonce: self.luck.bits() as i64,
                    since: self.luck.below(5_000) as i64,
                };
                Response::Pending { hashes, mark }
            }
            Query::Insert(_) => Response::Inserted,
            Query::Lookup(keys) => {
                let wrong = self.luck.chance(300_000);
                let count = if wrong { keys.len() + 1 } else { keys.len() };
                Response::Found(vec![None; count])
            }
            Query::Member(keys) => {
                let says = self.luck.chance(500_000);
                Response::Members(vec![says; keys.len()])
            }
        }
    }

    fn network(&mut self) -> NetworkId {
        match self.luck.below(u64::from(self.chains) + 1) {
            0 => NetworkId::Cut,
            chain => NetworkId::Mempool(chain as u8 - 1),
        }
    }

    /// A peer that does not exist.
    fn ghost(&mut self, roster: &Roster) -> PeerInfo {
        let mut peer = roster.info(self.node);
        peer.address = Roster::addr(GHOSTS + self.luck.below(GHOSTS_MAX) as u32);
        peer
    }

    /// Somebody's address with somebody else's identity.
    fn false_peer(&mut self, roster: &Roster) -> PeerInfo {
        let other = self.luck.below(self.nodes.into()) as u32;
        let (mut peer, own) = (roster.info(other), roster.info(self.node));
        if self.luck.chance(500_000) {
            peer.id = own.id;
        } else {
            peer.address = own.address;
        }
        peer
    }

    /// A dozen transactions of which none is valid.
    fn junk(&mut self, wall_secs: u64) -> Request {
        let chain = self.luck.below(self.chains.into()) as u8;
        let commands = (0..self.luck.range(1, 12))
            .map(|_| {
                self.numbers += 1;
                let make = Make::WRONG[self.luck.index(Make::WRONG.len())];
                deck::command(make, self.numbers, chain, wall_secs as i64, self.key)
            })
            .collect();
        Request::ChainwebMempool(chainweb_mempool::Request {
            chain: chainweb_mempool::ChainId(chain),
            body: chainweb_mempool::Query::Insert(commands),
        })
    }
}
