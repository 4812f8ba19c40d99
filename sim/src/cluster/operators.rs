//! Operators of clusters: they add, delete and rename peers, have nodes leave, and hold tokens of
//! every kind, good ones and others.

use std::collections::VecDeque;

use peerage_core::base64url;
use peerage_core::config::cluster::Scopes;
use peerage_core::ids::PeerId;
use peerage_core::rooms::cluster::{
    AddPeer, Bootstrap, Grant, Malformed, Request, Response, TokenForm,
};
use peerage_core::{Listener, Secret};

use super::{CLIENT, Chores, Clusters, TOKENS};
use crate::group::Group;
use crate::options::Options;
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// What an operator asks of a node.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which.
    pub node: u32,
    /// Where.
    pub listener: Listener,
    /// What.
    pub request: Request,
    /// With what in the header.
    pub authorization: Option<Secret>,
}

/// All operators of a world.
#[derive(Clone, Debug)]
pub struct Operators {
    clusters: Clusters,
    seeds: Seeds,
    luck: Luck,
    nodes: u32,
    on: Option<Vec<u32>>,
    /// How likely users of other families act instead.
    others: u32,
    /// Tokens that nodes gave out, with whose they are.
    tokens: Vec<(u32, Secret)>,
    /// Clients and their secrets, with the nodes that made them.
    clients: Vec<(u32, String, Secret)>,
    /// The other half of two adds that cross.
    next: VecDeque<Order>,
    /// Nodes that have left, and whose operators may want them back.
    left: Vec<u32>,
    /// Where it is drawn who comes back, apart from all else.
    returns: Luck,
}

/// Tokens and clients that operators remember.
const KEPT_MAX: usize = 48;
/// Peers that are added and do not exist have numbers from here on.
const GHOSTS: u32 = 12_000_000;
/// A century after the worlds begin.
const FAR_S: u64 = 4_900_000_000;

impl Operators {
    /// The operators of a run with these options, if there are any.
    #[must_use]
    pub fn new(seeds: &Seeds, options: &Options) -> Option<Self> {
        let clusters = options.clusters.clone()?;
        if clusters.work.sum() == 0 {
            return None;
        }
        let on = (options.users_on != Group::All)
            .then(|| options.users_on.members(options.nodes).collect());
        Some(Self {
            clusters,
            seeds: *seeds,
            luck: seeds.family("operators").luck(0),
            nodes: options.nodes,
            on,
            others: options.work.sum(),
            tokens: Vec::new(),
            clients: Vec::new(),
            next: VecDeque::new(),
            left: Vec::new(),
            returns: seeds.family("returns").luck(0),
        })
    }

    /// All luck comes from this stream from now on.
    pub fn reseed(&mut self, seeds: &Seeds) {
        self.luck = seeds.family("operators").luck(0);
        self.returns = seeds.family("returns").luck(0);
    }

    /// What an operator does, unless it is another user's turn.
    pub fn act(&mut self, roster: &Roster, wall_secs: u64) -> Option<Order> {
        let Chores {
            add,
            delete,
            rename,
            read,
            leave,
            init,
            token,
            credential,
            rotate,
        } = self.clusters.work;
        if let Some(order) = self.next.pop_front() {
            return Some(order);
        }
        if !self.left.is_empty() && self.is_time_to_return(init) {
            return Some(self.init());
        }
        let weights = [add, delete, rename, read, leave, token, credential, rotate];
        let sum = u64::from(self.clusters.work.sum());
        let mut place = self.luck.below(sum + u64::from(self.others));
        if place >= sum {
            return None;
        }
        let mut choice = 0;
        while place >= u64::from(weights[choice]) {
            place -= u64::from(weights[choice]);
            choice += 1;
        }
        let node = self.node();
        Some(match choice {
            0 if self.clusters.sold && self.luck.chance(300_000) => self.buy(node, wall_secs),
            0 => self.add(node),
            1 => {
                let peer = self.peer(roster, node);
                self.signed(node, Request::DeletePeer(peer))
            }
            2 => self.rename(roster, node),
            3 => self.read(roster, node),
            4 => self.signed(node, Request::DeleteSelf),
            5 => self.ask_for_token(node),
            6 => self.credential(node),
            _ if self.luck.chance(500_000) => self.signed(node, Request::ClusterCredential),
            _ => self.signed(node, Request::Rotate),
        })
    }

    /// An operator was answered by `node`.
    pub fn heard(&mut self, node: u32, response: &Response) {
        if let Response::Deactivated(_) = response {
            self.left.retain(|left| *left != node);
            self.left.push(node);
        } else if let Response::Founding(founding) = response {
            if founding.was_created {
                self.left.retain(|left| *left != node);
            }
        } else if let Response::Token { token, .. } = response {
            keep(&mut self.luck, &mut self.tokens, (node, token.clone()));
        } else if let Response::CredentialMade(made) = response {
            let client = (node, made.client_id.clone(), made.secret.clone());
            keep(&mut self.luck, &mut self.clients, client);
        } else if let Response::Bootstrapped(made) = response {
            let client = (node, made.client_id.clone(), made.secret.clone());
            keep(&mut self.luck, &mut self.clients, client);
        } else if let Response::ClusterCredential(view) = response
            && let Some(secret) = &view.secret
        {
            let client = (node, view.client_id.clone(), secret.clone());
            keep(&mut self.luck, &mut self.clients, client);
        }
    }

    fn node(&mut self) -> u32 {
        any(self.on.as_deref(), self.nodes, &mut self.luck)
    }

    /// The request with a token of one kind or another.
    fn signed(&mut self, node: u32, request: Request) -> Order {
        let bearer = |token: &str| Some(Secret(format!("Bearer {token}")));
        let mut to = node;
        let authorization = match self.luck.below(20) {
            0 => None,
            1 => bearer("guess"),
            2 => bearer(TOKENS[1].0),
            3 => bearer(TOKENS[2].0),
            4 => bearer(TOKENS[3].0),
            5..9 if !self.tokens.is_empty() => {
                let (of, token) = self.tokens[self.luck.index(self.tokens.len())].clone();
                // Now and then it is shown to a node that did not make it.
                if !self.luck.chance(200_000) {
                    to = of;
                }
                match self.luck.below(6) {
                    0 => bearer(&altered(&token.0, &mut self.luck)),
                    1 => bearer(&unsigned(&token.0)),
                    _ => bearer(&token.0),
                }
            }
            _ => bearer(TOKENS[0].0),
        };
        Order {
            node: to,
            listener: Listener::Api,
            request,
            authorization,
        }
    }

    /// Whom a node is asked about: mostly somebody it could know.
    fn peer(&mut self, roster: &Roster, node: u32) -> Option<PeerId> {
        match self.luck.below(12) {
            0 => None,
            1 => Some(roster.cluster_peer(node)),
            2 => Some(PeerId::derived(&[self.luck.bits() as u8; 32])),
            _ => Some(roster.cluster_peer(self.luck.below(self.nodes.into()) as u32)),
        }
    }

    fn add(&mut self, node: u32) -> Order {
        let named = self.luck.chance(200_000);
        let other = match self.luck.below(14) {
            0 => GHOSTS + self.luck.below(50) as u32,
            1 => node,
            _ => self.luck.below(self.nodes.into()) as u32,
        };
        let add = |of: u32, name: Option<String>| {
            Request::AddPeer(Ok(AddPeer {
                address: Roster::addr(of),
                name,
            }))
        };
        if self.luck.chance(30_000) {
            let wrong = [
                Malformed::Address,
                Malformed::AddressMissing,
                Malformed::Name,
            ];
            let wrong = wrong[self.luck.index(wrong.len())];
            return self.signed(node, Request::AddPeer(Err(wrong)));
        }
        // Sometimes several operators have the same idea, from one side or from both.
        if other < self.nodes && self.luck.chance(150_000) {
            let (from, to) = if self.luck.chance(700_000) {
                (other, node)
            } else {
                (node, other)
            };
            let second = self.signed(from, add(to, None));
            self.next.push_back(second);
        }
        let name = named.then(|| format!("peer {}", other % 7));
        self.signed(node, add(other, name))
    }

    fn rename(&mut self, roster: &Roster, node: u32) -> Order {
        let peer = if self.luck.chance(400_000) {
            Some(roster.cluster_peer(node))
        } else {
            self.peer(roster, node)
        };
        let name = match self.luck.below(8) {
            0 => Err(Malformed::Name),
            1 => Ok(None),
            2 => Ok(Some(String::new())),
            number => Ok(Some(format!("name {number}"))),
        };
        self.signed(node, Request::RenamePeer(peer, name))
    }

    fn read(&mut self, roster: &Roster, node: u32) -> Order {
        let open = |request| Order {
            node,
            listener: Listener::Api,
            request,
            authorization: None,
        };
        match self.luck.below(14) {
            0 => open(Request::Identity),
            1 => open(Request::Health { ready: true }),
            2 => open(Request::Jwks),
            3 => self.signed(node, Request::Status),
            4 => self.signed(node, Request::Licence),
            5 => self.signed(node, Request::Sync),
            6..9 => {
                let peer = self.peer(roster, node);
                self.signed(node, Request::Peer(peer))
            }
            9 => self.signed(node, Request::Peers(Err(Malformed::IsLocal))),
            10 => {
                let local = self.luck.chance(500_000);
                self.signed(node, Request::Peers(Ok(Some(local))))
            }
            _ => self.signed(node, Request::Peers(Ok(None))),
        }
    }

    fn is_time_to_return(&mut self, init: u32) -> bool {
        let others = self.clusters.work.sum() + self.others;
        self.returns.below(u64::from(others + init)) < u64::from(init)
    }

    /// Mostly a node that has left is brought back, and now and then one that has not.
    fn init(&mut self) -> Order {
        let node = if self.returns.chance(150_000) {
            any(self.on.as_deref(), self.nodes, &mut self.returns)
        } else {
            self.left[self.returns.index(self.left.len())]
        };
        let force = match self.returns.below(10) {
            0 => Ok(false),
            1 => Err(Malformed::Force),
            _ => Ok(true),
        };
        let token = match self.returns.below(8) {
            0 => None,
            1 => Some(TOKENS[1].0),
            2 => Some(TOKENS[2].0),
            _ => Some(TOKENS[0].0),
        };
        Order {
            node,
            listener: Listener::Api,
            request: Request::Init(force),
            authorization: token.map(|token| Secret(format!("Bearer {token}"))),
        }
    }

    fn ask_for_token(&mut self, node: u32) -> Order {
        let fixed = (CLIENT.0.to_owned(), Secret(CLIENT.1.to_owned()));
        let (mut to, client, mut secret) = match self.luck.below(3) {
            0 => (node, fixed.0, fixed.1),
            _ => match self.clients.len() {
                0 => (node, fixed.0, fixed.1),
                many => self.clients[self.luck.index(many)].clone(),
            },
        };
        if self.luck.chance(150_000) {
            to = node;
        }
        if self.luck.chance(100_000) {
            secret = Secret("another".to_owned());
        }
        let basic = self.luck.chance(300_000);
        let form = TokenForm {
            grant: match self.luck.below(12) {
                0 => Grant::Missing,
                1 => Grant::Other,
                _ => Grant::Client,
            },
            client: (!basic).then(|| client.clone()),
            secret: (!basic).then(|| secret.clone()),
            scopes: match self.luck.below(6) {
                0 => Some(Ok(Scopes::PEERS_READ)),
                1 => Some(Ok(Scopes::ADMIN)),
                2 => Some(Err(Malformed::Scopes)),
                _ => None,
            },
        };
        let header = basic.then(|| Secret(basic_header(&client, &secret)));
        Order {
            node: to,
            listener: Listener::Api,
            request: Request::Token(form),
            authorization: header,
        }
    }

    fn credential(&mut self, node: u32) -> Order {
        match self.luck.below(4) {
            0 => self.signed(node, Request::Credentials),
            1 if !self.clients.is_empty() => {
                let place = self.luck.index(self.clients.len());
                let (of, client, _) = self.clients[place].clone();
                self.signed(of, Request::DeleteCredential(client))
            }
            _ => {
                let scopes = match self.luck.below(6) {
                    0 => Err(Malformed::Scopes),
                    1 => Ok(Some(Scopes::ADMIN)),
                    2 => Ok(Some(Scopes::PEERS_READ)),
                    3 => Ok(Some(Scopes::CREDENTIALS_READ)),
                    _ => Ok(None),
                };
                self.signed(node, Request::MakeCredential(scopes))
            }
        }
    }

    /// A node is handed a licence: mostly its own, in good order.
    fn buy(&mut self, node: u32, wall_secs: u64) -> Order {
        let ends = if self.luck.chance(100_000) {
            wall_secs - 1_000
        } else {
            FAR_S
        };
        let mut licence = self.clusters.sell(&self.seeds, node, ends);
        if self.luck.chance(150_000) {
            // Somebody would like to have more nodes than were paid for.
            licence.nodes_max += 1_000;
        }
        if self.luck.chance(300_000) {
            let renewed = Request::ReplaceLicence(Ok(Box::new(licence)));
            return self.signed(node, renewed);
        }
        let bootstrap = Bootstrap {
            licence,
            name: self.luck.chance(300_000).then(|| "bought".to_owned()),
        };
        Order {
            node,
            listener: Listener::Api,
            request: Request::Bootstrap(Ok(Box::new(bootstrap))),
            authorization: None,
        }
    }
}

/// One of those that are looked after, which may be all.
fn any(on: Option<&[u32]>, nodes: u32, luck: &mut Luck) -> u32 {
    match on {
        None => luck.below(nodes.into()) as u32,
        Some(on) => on[luck.index(on.len())],
    }
}

fn keep<T>(luck: &mut Luck, all: &mut Vec<T>, one: T) {
    if all.len() < KEPT_MAX {
        all.push(one);
    } else {
        let place = luck.index(KEPT_MAX);
        all[place] = one;
    }
}

/// A token with a letter changed somewhere.
fn altered(token: &str, luck: &mut Luck) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let place = luck.index(bytes.len().max(1));
    if let Some(byte) = bytes.get_mut(place) {
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A token that says that it needs no signature.
fn unsigned(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap_or_default();
    let header = base64url::encode(br#"{"alg":"none","typ":"JWT"}"#);
    format!("{header}.{claims}.")
}

fn basic_header(client: &str, secret: &Secret) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    format!(
        "Basic {}",
        STANDARD.encode(format!("{client}:{}", secret.0))
    )
}
