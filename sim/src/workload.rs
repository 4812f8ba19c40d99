//! Users: what they ask of which node, and when.
//!
//! Operators speak to a node's API listener, strangers to its P2P listener. Each user has a stream
//! of luck of their own.

use std::sync::Arc;

use peerage_core::commons::network::NetworkId;
use peerage_core::http::page::{Cursor, PageQuery};
use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::chainweb_mempool::key::{RequestKey, TxHash};
use peerage_core::rooms::{bans, chainweb_mempool, chainweb_peers};
use peerage_core::{Listener, Request, Response, Secret};

use crate::cluster::Operators;
use crate::deck::{self, Make};
use crate::friends::Friends;
use crate::group::Group;
use crate::options::{Options, Work};
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// Something that a user asks.
#[derive(Clone, Debug)]
pub struct Action {
    /// Of whom.
    pub node: u32,
    /// Where.
    pub listener: Listener,
    /// What.
    pub request: Request,
    /// With what in the `Authorization` header.
    pub authorization: Option<Secret>,
    /// How many microseconds the user waits for an answer.
    pub patience: u64,
}

/// All users of a world.
#[derive(Clone, Debug)]
pub struct Workload {
    work: Work,
    nodes: u32,
    /// Whom users ask, if not everybody.
    on: Option<Vec<u32>>,
    chains: u8,
    users: Vec<Luck>,
    /// How often each user has acted.
    acted: Vec<u32>,
    /// What users could ask next, because of what they were told: the rest of a list, or what is new
    /// since then. With whom to ask, and luck of its own, so that it shifts no other draw.
    follow: Vec<(u32, Request)>,
    follow_luck: Luck,
    friends: Friends,
    operators: Option<Operators>,
    key: [u8; 32],
    numbers: u32,
    /// The valid transactions that were sent, with their chains.
    sent: Vec<(u8, Arc<Command>)>,
}

const SECOND: u64 = 1_000_000;
/// Questions that users remember to ask next.
const FOLLOW_MAX: usize = 64;
/// Peers that are announced and do not exist have numbers from here on.
const GHOSTS: u32 = 10_000_000;

impl Workload {
    /// The users of a run with these options.
    #[must_use]
    pub fn new(seeds: &Seeds, options: &Options) -> Self {
        let family = seeds.family("users");
        let users = (0..options.work.users)
            .map(|user| family.luck(user.into()))
            .collect();
        let on: Option<Vec<u32>> = (options.users_on != Group::All)
            .then(|| options.users_on.members(options.nodes).collect());
        Self {
            work: options.work.clone(),
            nodes: options.nodes,
            friends: Friends::new(seeds, options, on.clone()),
            on,
            chains: options.chains,
            users,
            follow: Vec::new(),
            follow_luck: seeds.family("follow").luck(0),
            operators: Operators::new(seeds, options),
            acted: vec![0; options.work.users as usize],
            key: seeds.identity(u32::MAX),
            numbers: 0,
            sent: Vec::new(),
        }
    }

    /// All luck comes from these streams from now on.
    pub fn reseed(&mut self, seeds: &Seeds) {
        let family = seeds.family("users");
        for (user, luck) in (0..).zip(&mut self.users) {
            *luck = family.luck(user);
        }
        self.friends.reseed(seeds);
        if let Some(operators) = &mut self.operators {
            operators.reseed(seeds);
        }
    }

    /// How long the user pauses before acting again.
    pub fn pause(&mut self, user: u32) -> u64 {
        let pause = self.work.pause;
        self.users[user as usize].around(pause)
    }

    /// How many times the user has acted.
    #[must_use]
    pub fn acted(&self, user: u32) -> u32 {
        self.acted[user as usize]
    }

    /// How many times each user has acted.
    #[must_use]
    pub fn all_acted(&self) -> &[u32] {
        &self.acted
    }

    /// What the user does now.
    pub fn act(&mut self, user: u32, roster: &Roster, wall_secs: u64) -> Action {
        let mut luck = self.users[user as usize].clone();
        let operators = self.operators.as_mut();
        let order = operators.and_then(|operators| operators.act(roster, wall_secs));
        let request = if self.work.sum() == 0 {
            // Whoever only makes friends or looks after clusters asks for nothing else.
            mempool(0, chainweb_mempool::Query::GetPending(None))
        } else {
            self.request(&mut luck, roster, wall_secs)
        };
        let node = match &self.on {
            None => luck.below(self.nodes.into()) as u32,
            Some(on) => on[luck.index(on.len())],
        };
        let (node, request) = self.follow(node, request);
        let operator = matches!(request, Request::Bans(_)) || luck.chance(300_000);
        let (node, request) = match self.friends.act(roster) {
            Some((node, request)) => (node, Request::Wattswarm(request)),
            None => (node, request),
        };
        let listener = if operator || matches!(request, Request::Wattswarm(_)) {
            Listener::Api
        } else {
            Listener::P2p
        };
        let hasty = luck.chance(60_000);
        let patience = if hasty {
            luck.below(200_000)
        } else {
            30 * SECOND
        };
        self.users[user as usize] = luck;
        self.acted[user as usize] += 1;
        match order {
            Some(order) => Action {
                node: order.node,
                listener: order.listener,
                request: Request::Cluster(order.request),
                authorization: order.authorization,
                patience,
            },
            None => Action {
                node,
                listener,
                request,
                authorization: None,
                patience,
            },
        }
    }

    /// A user was answered by `node`, and knows what to ask next.
    pub fn heard(&mut self, roster: &Roster, node: u32, asked: &Request, response: &Response) {
        if let (Some(operators), Response::Cluster(response)) = (&mut self.operators, response) {
            return operators.heard(node, response);
        }
        let next = match (asked, response) {
            (Request::Wattswarm(asked), Response::Wattswarm(response)) => {
                return self.friends.heard(roster, node, asked, response);
            }
            (
                Request::ChainwebMempool(chainweb_mempool::Request { chain, .. }),
                Response::ChainwebMempool(chainweb_mempool::Response::Pending { mark, .. }),
            ) => mempool(chain.0, chainweb_mempool::Query::GetPending(Some(*mark))),
            (
                Request::ChainwebPeers(chainweb_peers::Request::Page { network, query }),
                Response::ChainwebPeers(chainweb_peers::Response::Page(page)),
            ) => {
                let Some(next) = page.next else { return };
                let query = PageQuery {
                    next: Some(Cursor::Inclusive(next as i64)),
                    ..*query
                };
                Request::ChainwebPeers(chainweb_peers::Request::Page {
                    network: *network,
                    query,
                })
            }
            _ => return,
        };
        if self.follow.len() < FOLLOW_MAX {
            self.follow.push((node, next));
        } else {
            let place = self.follow_luck.index(FOLLOW_MAX);
            self.follow[place] = (node, next);
        }
    }

    /// Instead of a list from its beginning, now and then one that goes on.
    fn follow(&mut self, node: u32, request: Request) -> (u32, Request) {
        let begins = matches!(
            &request,
            Request::ChainwebPeers(chainweb_peers::Request::Page { .. })
                | Request::ChainwebMempool(chainweb_mempool::Request {
                    body: chainweb_mempool::Query::GetPending(None),
                    ..
                })
        );
        if begins && !self.follow.is_empty() && self.follow_luck.chance(600_000) {
            let place = self.follow_luck.index(self.follow.len());
            return self.follow.swap_remove(place);
        }
        (node, request)
    }

    fn request(&mut self, luck: &mut Luck, roster: &Roster, wall_secs: u64) -> Request {
        let Work {
            insert,
            repeat,
            invalid,
            read,
            page,
            put,
            ban,
            ..
        } = self.work;
        let weights = [insert, repeat, invalid, read, page, put, ban];
        let mut place = luck.below(weights.iter().copied().map(u64::from).sum());
        let mut choice = 0;
        while place >= u64::from(weights[choice]) {
            place -= u64::from(weights[choice]);
            choice += 1;
        }
        match choice {
            0 => self.insert(luck, wall_secs),
            1 => self.repeat(luck, wall_secs),
            2 => self.invalid(luck, wall_secs),
            3 => self.read(luck),
            4 => self.page(luck),
            5 => self.put(luck, roster),
            _ => self.ban(luck),
        }
    }

    fn make(&mut self, make: Make, chain: u8, wall_secs: u64) -> Arc<Command> {
        self.numbers += 1;
        deck::command(make, self.numbers, chain, wall_secs as i64, self.key)
    }

    fn insert(&mut self, luck: &mut Luck, wall_secs: u64) -> Request {
        let chain = luck.below(self.chains.into()) as u8;
        let count = 1 + luck.below(3) as u32;
        if self.sent.len() as u32 + count > self.work.fresh_max {
            return self.read(luck);
        }
        let make = if luck.chance(80_000) {
            Make::Brief
        } else {
            Make::Valid
        };
        let commands: Vec<_> = (0..count)
            .map(|_| self.make(make, chain, wall_secs))
            .collect();
        self.sent
            .extend(commands.iter().map(|command| (chain, command.clone())));
        mempool(chain, chainweb_mempool::Query::Insert(commands))
    }

    fn repeat(&mut self, luck: &mut Luck, wall_secs: u64) -> Request {
        if self.sent.is_empty() {
            return self.insert(luck, wall_secs);
        }
        let (chain, command) = self.sent[luck.index(self.sent.len())].clone();
        mempool(chain, chainweb_mempool::Query::Insert(vec![command]))
    }

    fn invalid(&mut self, luck: &mut Luck, wall_secs: u64) -> Request {
        let chain = luck.below(self.chains.into()) as u8;
        let wrong = Make::WRONG[luck.index(Make::WRONG.len())];
        let mut commands = vec![self.make(wrong, chain, wall_secs)];
        if let Some((_, command)) = self.sent.last().filter(|(of, _)| *of == chain) {
            commands.push(command.clone());
        }
        mempool(chain, chainweb_mempool::Query::Insert(commands))
    }

    fn read(&self, luck: &mut Luck) -> Request {
        let chain = luck.below(self.chains.into()) as u8;
        let mut keys: Vec<_> = (0..luck.below(4))
            .filter_map(|_| self.sent.get(luck.index(self.sent.len())))
            .map(|(_, command)| command.key().clone())
            .collect();
        if luck.chance(200_000) {
            // One that nobody has.
            let mut hash = [7; 32];
            hash[..8].copy_from_slice(&luck.bits().to_le_bytes());
            keys.push(RequestKey::Full(TxHash(hash)));
        }
        let query = match luck.below(3) {
            0 => chainweb_mempool::Query::Member(keys),
            1 => chainweb_mempool::Query::Lookup(keys),
            _ => chainweb_mempool::Query::GetPending(None),
        };
        mempool(chain, query)
    }

    fn network(&self, luck: &mut Luck) -> NetworkId {
        match luck.below(u64::from(self.chains) + 1) {
            0 => NetworkId::Cut,
            chain => NetworkId::Mempool(chain as u8 - 1),
        }
    }

    fn page(&self, luck: &mut Luck) -> Request {
        let network = self.network(luck);
        let limit = if luck.chance(500_000) {
            Some(luck.below(20))
        } else {
            None
        };
        let next = luck
            .chance(300_000)
            .then(|| Cursor::Inclusive(luck.below(30) as i64));
        Request::ChainwebPeers(chainweb_peers::Request::Page {
            network,
            query: PageQuery { limit, next },
        })
    }

    fn put(&self, luck: &mut Luck, roster: &Roster) -> Request {
        let network = self.network(luck);
        let node = luck.below(self.nodes.into()) as u32;
        let mut peer = roster.info(node);
        if luck.chance(200_000) {
            peer.address = Roster::addr(GHOSTS + luck.below(50) as u32);
        } else if luck.chance(50_000) {
            // A lie: somebody else's certificate.
            peer.id = Some(
                roster
                    .cert(luck.below(self.nodes.into()) as u32)
                    .fingerprint,
            );
        } else if luck.chance(80_000) {
            // Whoever it is, it goes by no certificate.
            peer.id = None;
        }
        Request::ChainwebPeers(chainweb_peers::Request::Put { network, peer })
    }

    fn ban(&self, luck: &mut Luck) -> Request {
        let addr = Roster::addr(luck.below(self.nodes.into()) as u32);
        let lift = luck.chance(300_000);
        let command = if lift {
            bans::Command::Unban
        } else {
            bans::Command::Ban
        };
        Request::Bans(bans::Request { addr, command })
    }
}

fn mempool(chain: u8, body: chainweb_mempool::Query) -> Request {
    let chain = chainweb_mempool::ChainId(chain);
    Request::ChainwebMempool(chainweb_mempool::Request { chain, body })
}
