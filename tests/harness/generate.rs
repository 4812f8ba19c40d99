//! Requests, answers and rows of every room, drawn at random and valid by construction.

mod cluster;
pub mod grin;
mod wattswarm;

use std::sync::Arc;

use peerage_core::Row;
use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::commons::network::{NetworkId, NodeVersion};
use peerage_core::http::page::{Cursor, PageQuery};
use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::rooms::chainweb_mempool::command::{Command, hash_cmd};
use peerage_core::rooms::chainweb_mempool::key::{RequestKey, TxHash};
use peerage_core::rooms::chainweb_mempool::{self as mempool, ChainId, Mark, Query};
use peerage_core::rooms::chainweb_mempool::{
    sign::{public_key, wire},
    webauthn::Authenticator,
};
use peerage_core::rooms::{bans, chainweb_peers as peers};
use peerage_core::rows::Record as _;
use peerage_core::{Request, Response};
use serde_json::json;

use crate::commands::draft;
use crate::rng::Draws;

/// A request of any room.
pub fn request(draws: &mut Draws) -> Request {
    match draws.below(22) {
        16.. => grin::request(draws).into(),
        12.. => wattswarm::request(draws).into(),
        8.. => cluster::request(draws).into(),
        0 => ban_request(draws).into(),
        1 => peers::Request::Page {
            network: network(draws),
            query: PageQuery {
                limit: maybe(draws, Draws::bits),
                next: maybe(draws, cursor),
            },
        }
        .into(),
        2 => peers::Request::Put {
            network: network(draws),
            peer: peer_info(draws),
        }
        .into(),
        _ => mempool_request(draws).into(),
    }
}

/// An answer that `request` can have.
pub fn response_to(draws: &mut Draws, request: &Request) -> Response {
    match request {
        Request::Bans(request) => ban_response(draws, request).into(),
        Request::ChainwebPeers(peers::Request::Page { .. }) => {
            peers::Response::Page(Arc::new(page(draws))).into()
        }
        Request::ChainwebPeers(peers::Request::Put { .. }) => put_response(draws).into(),
        Request::ChainwebMempool(request) => mempool_response(draws, &request.body).into(),
        Request::Grin(request) => {
            let response = grin::response_to(draws, request);
            response.map_or(Response::Opaque(404), Response::from)
        }
        Request::Cluster(request) => cluster::response_to(draws, request).into(),
        Request::Wattswarm(request) => wattswarm::response_to(draws, request).into(),
    }
}

/// A row with a value, of any table.
///
/// # Panics
/// Never, unless what is written here is no longer what a row looks like.
pub fn row(draws: &mut Draws) -> Row {
    let record = |table: u8, key: &str, value: serde_json::Value| {
        let key = [&[table], key.as_bytes()].concat();
        let value = [&[1], value.to_string().as_bytes()].concat();
        Row::decode(&key, &value).unwrap_or_else(|error| panic!("{error}"))
    };
    let address = host_addr(draws).to_string();
    let key = address.to_ascii_lowercase();
    match draws.below(11) {
        8.. => grin::row(draws).into(),
        6.. => wattswarm::row(draws).into(),
        4.. => cluster::row(draws).into(),
        0 => {
            let name = match draws.below(3) {
                0 => format!("a:{}", host_addr(draws).host.as_str().to_ascii_lowercase()),
                1 => format!("f:{}", Fingerprint(draws.array())),
                _ => format!("k:{}", PublicKey(draws.array())),
            };
            let value = json!({
                "reason": "Manual",
                "since_us": draws.bits(),
                "until_us": draws.bits(),
                "address": key,
            });
            record(0x01, &name, value)
        }
        1 => {
            let value = json!({
                "failures": draws.bits() as u32,
                "last_success_us": maybe(draws, Draws::bits),
            });
            record(0x02, &key, value)
        }
        2 => {
            let value = json!({
                "address": address,
                "id": maybe(draws, |draws| Fingerprint(draws.array()).to_string()),
                "key": maybe(draws, |draws| PublicKey(draws.array()).to_string()),
                "networks": draws.bits() as u32 & 0x1f_ffff,
            });
            record(0x03, &key, value)
        }
        _ => {
            let command = command(draws);
            let hash = TxHash(draws.array());
            let chain = ChainId(draws.below(20) as u8);
            mempool::Row::Pending(chain, hash, Some(command)).into()
        }
    }
}

/// A host and a port.
///
/// # Panics
/// Never: what is drawn is an address.
pub fn host_addr(draws: &mut Draws) -> HostAddr {
    let port = draws.bits() as u16;
    let text = match draws.below(4) {
        0 => format!("{}:{port}", label(draws)),
        1 => format!("{}.{}.example:{port}", label(draws), label(draws)),
        2 => {
            let [a, b, c, d] = (draws.bits() as u32).to_be_bytes();
            format!("{a}.{b}.{c}.{d}:{port}")
        }
        _ => format!(
            "[2001:db8::{:x}:{:x}]:{port}",
            draws.below(65_535),
            draws.below(65_535)
        ),
    };
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A command: well-formed, seldom valid.
///
/// # Panics
/// Never: what is drawn is a command.
pub fn command(draws: &mut Draws) -> Arc<Command> {
    let nonce = draws.text(20);
    let mut draft = draft(&nonce);
    let code = draws.text(40);
    draft.code = &code;
    draft.chain = draws.below(30) as u16;
    draft.creation_time = draws.bits() as i32 as i64;
    draft.ttl = draws.bits() as i32 as i64;
    draft.gas_limit = draws.bits() >> 20;
    draft.gas_price = *draws.pick(&["1e-8", "0.000000012345", "1", "12E3", "1.50e-5"]);
    let signers: Vec<String> = (0..draws.below(4)).map(|_| signer(draws)).collect();
    let cmd = draft.cmd(&signers);
    let sigs: Vec<String> = (0..draws.below(4)).map(|_| signature(draws)).collect();
    let hash = if draws.once_in(4) {
        TxHash(draws.array())
    } else {
        hash_cmd(&cmd)
    };
    let text = wire(&hash, &sigs, &cmd);
    let command = Command::decode(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    Arc::new(command)
}

fn signer(draws: &mut Draws) -> String {
    match draws.below(3) {
        0 => public_key(&draws.array()),
        1 => Authenticator::new(&[1; 32]).map_or_else(String::new, |owner| owner.public_key()),
        _ => draws.text(10),
    }
}

fn signature(draws: &mut Draws) -> String {
    match draws.below(3) {
        0 => "5a".repeat(64),
        1 => Authenticator::new(&[1; 32]).map_or_else(String::new, |owner| owner.sign("challenge")),
        _ => draws.text(10),
    }
}

fn label(draws: &mut Draws) -> String {
    let letters = b"abcdefXYZ";
    let first = char::from(*draws.pick(letters));
    let middle: String = (0..draws.below(12))
        .map(|_| char::from(*draws.pick(b"abcXYZ0189-")))
        .collect();
    format!("{first}{middle}{}", char::from(*draws.pick(letters)))
}

fn network(draws: &mut Draws) -> NetworkId {
    match draws.below(21) {
        20 => NetworkId::Cut,
        chain => NetworkId::Mempool(chain as u8),
    }
}

/// Positions that can be written: the smallest number of 64 bits is read as its neighbour.
fn cursor(draws: &mut Draws) -> Cursor {
    let position = (draws.bits() as i64).max(-i64::MAX) >> draws.below(64);
    if draws.once_in(2) {
        Cursor::Inclusive(position)
    } else {
        Cursor::Exclusive(position)
    }
}

/// A peer whose host a stock node reads.
fn peer_info(draws: &mut Draws) -> PeerInfo {
    let id = maybe(draws, |draws| Fingerprint(draws.array()));
    PeerInfo::new(id, host_addr(draws))
}

fn page(draws: &mut Draws) -> peers::Page {
    let items = (0..draws.below(5)).map(|_| peer_info(draws)).collect();
    let next = maybe(draws, |draws| draws.bits() >> 1);
    let mut page = peers::Page::default();
    (page.items, page.next) = (items, next);
    page
}

fn put_response(draws: &mut Draws) -> peers::Response {
    use peers::Refusal;
    let refusal = match draws.below(6) {
        0 => return peers::Response::Added,
        1 => Refusal::IsLocalPeerAddress,
        2 => Refusal::IsNotReachable(draws.text(30)),
        3 => Refusal::IsReservedHostAddress,
        4 => {
            let parts: Vec<u64> = (0..=draws.below(5)).map(|_| draws.bits()).collect();
            Refusal::NodeVersionNotAccepted(NodeVersion::new(&parts))
        }
        _ => Refusal::PeerBanned,
    };
    peers::Response::Refused(refusal)
}

fn ban_request(draws: &mut Draws) -> bans::Request {
    let command = *draws.pick(&[bans::Command::Ban, bans::Command::Unban]);
    bans::Request {
        addr: host_addr(draws),
        command,
    }
}

fn ban_response(draws: &mut Draws, request: &bans::Request) -> bans::Response {
    match (draws.below(4), request.command) {
        (0, _) => bans::Response::Done,
        (2, _) => bans::Response::Unauthorized,
        (1, bans::Command::Ban) => bans::Response::BansFull,
        (_, bans::Command::Ban) => bans::Response::UnknownToBan(request.addr.clone()),
        (1, bans::Command::Unban) => bans::Response::NotBanned,
        (_, bans::Command::Unban) => bans::Response::UnknownToUnban(request.addr.clone()),
    }
}

fn mempool_request(draws: &mut Draws) -> mempool::Request {
    let body = match draws.below(4) {
        0 => Query::GetPending(maybe(draws, mark)),
        1 => Query::Insert((0..draws.below(4)).map(|_| command(draws)).collect()),
        2 => Query::Lookup((0..draws.below(6)).map(|_| request_key(draws)).collect()),
        _ => Query::Member((0..draws.below(6)).map(|_| request_key(draws)).collect()),
    };
    mempool::Request {
        chain: ChainId(draws.below(20) as u8),
        body,
    }
}

fn mempool_response(draws: &mut Draws, query: &Query) -> mempool::Response {
    use mempool::Response;
    if draws.once_in(8) {
        return Response::Busy;
    }
    match query {
        Query::GetPending(_) => Response::Pending {
            hashes: (0..draws.below(6)).map(|_| TxHash(draws.array())).collect(),
            mark: mark(draws),
        },
        Query::Insert(_) => Response::Inserted,
        Query::Lookup(_) if draws.once_in(8) => Response::TooMuch,
        Query::Lookup(keys) => {
            Response::Found(keys.iter().map(|_| maybe(draws, command)).collect())
        }
        Query::Member(keys) => Response::Members(keys.iter().map(|_| draws.once_in(2)).collect()),
    }
}

fn mark(draws: &mut Draws) -> Mark {
    let number = |draws: &mut Draws| match draws.below(4) {
        0 => i64::MIN,
        1 => i64::MAX,
        _ => draws.bits() as i64,
    };
    Mark {
        nonce: number(draws),
        since: number(draws),
    }
}

fn request_key(draws: &mut Draws) -> RequestKey {
    if draws.once_in(3) {
        let length = *draws.pick(&[8, 9, 10, 31, 33, 40]);
        let bytes: Vec<u8> = (0..length).map(|_| draws.bits() as u8).collect();
        RequestKey::Odd(bytes.into())
    } else {
        RequestKey::Full(TxHash(draws.array()))
    }
}

fn maybe<T>(draws: &mut Draws, make: impl FnOnce(&mut Draws) -> T) -> Option<T> {
    if draws.once_in(3) {
        None
    } else {
        Some(make(draws))
    }
}
