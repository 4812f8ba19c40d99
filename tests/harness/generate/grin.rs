//! Requests, answers and rows of the Mimblewimble room. Blocks and transactions are the recorded ones:
//! to make others takes too long.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use peerage_core::mw::{
    Block, Chain, Commitment, Format, Hash, Header, Remains, Rules, Transaction, Unspent,
    chain_file,
};
use peerage_core::rooms::grin::rows::{PeerRecord, StoredBlock, StoredRemains, StoredTransaction};
use peerage_core::rooms::grin::types::{
    Ask, Between, Heights, Hello, Malformed, Name, Range, View,
};
use peerage_core::rooms::grin::{Request, Response, Row};
use serde_json::Value;

use super::{host_addr, maybe};
use crate::rng::Draws;
use crate::vectors;

/// The chain of what is drawn.
pub const CHAIN: Chain = Chain::AutomatedTesting;

/// What was recorded.
#[derive(Debug)]
pub struct Deck {
    /// A whole chain.
    pub blocks: Vec<Block>,
    /// Transactions as wallets push them, good and bad.
    pub pushed: Vec<Arc<Transaction>>,
    /// The same as nodes send them.
    pub relayed: Vec<Arc<Transaction>>,
}

/// What was recorded, read once.
///
/// # Panics
/// If the vector files are not what they are.
pub fn deck() -> &'static Deck {
    static DECK: OnceLock<Deck> = OnceLock::new();
    DECK.get_or_init(|| {
        let rules = Rules::of(CHAIN);
        let chain = vectors::file("grin", "chain").to_string();
        let blocks = chain_file::read(&rules, chain.as_bytes());
        let recorded = vectors::file("grin", "transactions");
        let recorded = recorded["transactions"].as_array().expect("a list");
        let push = |recorded: &Value| {
            let bytes = unhex(vectors::text(recorded, "hex_v1"));
            Transaction::decode(&rules, Format::V1, &bytes).ok()
        };
        let bare = |pushed: &Arc<Transaction>| {
            let bytes = pushed.encode(Format::V3).expect("there is a third format");
            let bare = Transaction::decode(&rules, Format::V3, &bytes);
            Arc::new(bare.expect("what was written"))
        };
        let pushed: Vec<_> = recorded.iter().filter_map(push).map(Arc::new).collect();
        Deck {
            blocks: blocks.expect("a chain"),
            relayed: pushed.iter().map(bare).collect(),
            pushed,
        }
    })
}

/// Blocks as a node keeps them: the first one is nobody's.
#[must_use]
pub fn chain_rows(blocks: &[Block]) -> Vec<peerage_core::Row> {
    let chain = CHAIN;
    let row = |block: &Block| {
        let block = block.clone();
        Row::Block(block.header().height(), Some(StoredBlock { chain, block })).into()
    };
    blocks.iter().skip(1).map(row).collect()
}

/// The blocks over which `tests/vectors/grin/{name}.json` was recorded. Those of the node of release 4.1.1
/// have headers that are no longer right: that release had another difficulty, and no fifth version.
///
/// # Panics
/// If the vector file is not what it is.
#[must_use]
pub fn recorded_blocks(name: &str) -> Vec<Block> {
    let file = vectors::file("grin", name);
    let blocks = file["blocks_hex"].as_array().expect("a list");
    let read = |text: &Value| {
        let bytes = unhex(text.as_str().expect("digits"));
        Block::decode(&Rules::of(CHAIN), Format::V3, &bytes).expect("a block")
    };
    blocks.iter().map(read).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let pair = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(pair).collect::<Option<_>>().expect("digits")
}

/// A question of each kind that has an answer of its own.
#[must_use]
pub fn asked() -> [Request; 3] {
    let hashes: Arc<[Hash]> = Arc::new([]);
    let hello = hello(&mut Draws::new(1));
    [
        Between::Blocks(hashes.clone()),
        Between::Headers(hashes),
        Between::Hello(hello),
    ]
    .map(|between| Request::Between(CHAIN, between))
}

pub(super) fn request(draws: &mut Draws) -> Request {
    if draws.once_in(3) {
        Request::Between(CHAIN, between(draws))
    } else {
        Request::Ask(ask(draws))
    }
}

fn ask(draws: &mut Draws) -> Ask {
    match draws.below(16) {
        0 => Ask::Block(name(draws), view(draws)),
        1 => Ask::ByHeight(Arc::new(Heights {
            start: draws.bits(),
            end: draws.bits(),
            only: (0..draws.below(3)).map(|_| commitment(draws)).collect(),
            proofs: draws.once_in(2),
        })),
        2 => Ask::ByIds((0..draws.below(4)).map(|_| commitment(draws)).collect()),
        3 => Ask::Header(name(draws)),
        4 => Ask::HeightsToPositions {
            start: draws.bits(),
            end: end(draws),
        },
        5 => Ask::Kernel {
            excess: commitment(draws),
            from: maybe(draws, Draws::bits),
            to: maybe(draws, Draws::bits),
        },
        6 => {
            let ranges = [Range::Kernels, Range::Outputs, Range::RangeProofs];
            Ask::Last(*draws.pick(&ranges), draws.bits())
        }
        7 => malformed(draws),
        8 => Ask::MerkleProof(maybe(draws, commitment)),
        9 => Ask::Outputs {
            start: draws.bits(),
            max: draws.bits(),
            end: end(draws),
        },
        10 => Ask::Peer(host_addr(draws)),
        11 => Ask::Push {
            transaction: draws.pick(&deck().pushed).clone(),
            fluff: draws.once_in(2),
        },
        12 => Ask::Validate {
            post: draws.once_in(2),
        },
        _ => draws
            .pick(&[
                Ask::Chain,
                Ask::Compact,
                Ask::Connected,
                Ask::Index,
                Ask::Peers,
                Ask::Pool,
                Ask::Roots,
                Ask::Status,
                Ask::Version,
            ])
            .clone(),
    }
}

/// Questions that cannot be read, each with what there is to say about it.
fn malformed(draws: &mut Draws) -> Ask {
    let (post, target, body, status, text) = *draws.pick(&[
        (
            false,
            "/v1/headers/x",
            "",
            400,
            "Not a valid hash or height.",
        ),
        (
            false,
            "/v1/blocks/1?all",
            "",
            400,
            "unsupported query parameter: all",
        ),
        (false, "/v1/txhashset/x?y=z", "", 400, ""),
        (
            true,
            "/v1/pool/push?fluff",
            r#"{"tx_hex":"x0"}"#,
            500,
            "failed: Request error: Bad request: x0",
        ),
    ]);
    Ask::Malformed(Arc::new(Malformed {
        post,
        target: target.to_owned(),
        body: Bytes::from_static(body.as_bytes()),
        status,
        text: text.to_owned(),
    }))
}

fn between(draws: &mut Draws) -> Between {
    match draws.below(6) {
        0 => Between::Announce(header(draws)),
        1 => Between::Blocks((0..draws.below(16)).map(|_| Hash(draws.array())).collect()),
        2 => Between::Headers((0..draws.below(20)).map(|_| Hash(draws.array())).collect()),
        3 => Between::Hello(hello(draws)),
        _ => Between::Relay {
            stem: draws.once_in(2),
            transaction: transaction(draws),
        },
    }
}

/// An answer of another node, or nothing typed for a page that is only shown.
pub(super) fn response_to(draws: &mut Draws, request: &Request) -> Option<Response> {
    let Request::Between(_, between) = request else {
        return None;
    };
    Some(match draws.below(8) {
        0 => Response::Failed(503, draws.text(30).into()),
        1 => Response::NotFound,
        _ => match between {
            Between::Announce(_) | Between::Relay { .. } => Response::Done,
            Between::Blocks(_) => {
                Response::Blocks((0..draws.below(4)).map(|_| block(draws)).collect())
            }
            Between::Headers(_) => {
                Response::Headers((0..draws.below(8)).map(|_| header(draws)).collect())
            }
            Between::Hello(_) => Response::Hello(hello(draws)),
        },
    })
}

pub(super) fn row(draws: &mut Draws) -> Row {
    let chain = CHAIN;
    match draws.below(4) {
        0 => {
            let block = block(draws);
            let height = block.header().height();
            Row::Block(height, Some(StoredBlock { chain, block }))
        }
        1 => {
            let addr = host_addr(draws);
            let record = PeerRecord {
                address: addr.to_string(),
                capabilities: draws.bits() as u32,
                user_agent: draws.text(20),
                defunct: draws.once_in(2),
                last_banned: draws.bits(),
                last_connected: draws.bits(),
            };
            Row::Peer(addr, Some(record))
        }
        2 => {
            let block = block(draws);
            let mut remains = Remains::of(&block);
            for (position, output) in block.outputs().enumerate() {
                let spent = Unspent {
                    position: position as u64,
                    height: block.header().height(),
                    output,
                };
                if draws.once_in(2) {
                    remains = remains.without(&spent).expect("it is left");
                }
            }
            Row::Remains(block.header().height(), StoredRemains { chain, remains })
        }
        _ => {
            let transaction = draws.pick(&deck().relayed).clone();
            let digest = transaction.digest();
            Row::Pending(digest, Some(StoredTransaction { chain, transaction }))
        }
    }
}

fn name(draws: &mut Draws) -> Name {
    match draws.below(3) {
        0 => Name::Height(draws.bits() >> draws.below(64)),
        1 => Name::Digits(Arc::new(draws.array())),
        _ => Name::Digits(Arc::new(commitment(draws).0)),
    }
}

fn view(draws: &mut Draws) -> View {
    View {
        compact: draws.once_in(2),
        proofs: draws.once_in(2),
        no_merkle: draws.once_in(2),
    }
}

/// An end that is one: zero counts as none.
fn end(draws: &mut Draws) -> Option<u64> {
    maybe(draws, |draws| draws.bits() | 1)
}

fn commitment(draws: &mut Draws) -> Commitment {
    let mut commitment = Commitment::ZERO;
    commitment.0[0] = 8 + draws.below(2) as u8;
    commitment.0[1..].copy_from_slice(&draws.array());
    commitment
}

fn block(draws: &mut Draws) -> Block {
    draws.pick(&deck().blocks).clone()
}

fn header(draws: &mut Draws) -> Header {
    block(draws).header().clone()
}

fn transaction(draws: &mut Draws) -> Arc<Transaction> {
    let deck = deck();
    let of = if draws.once_in(2) {
        &deck.pushed
    } else {
        &deck.relayed
    };
    draws.pick(of).clone()
}

fn hello(draws: &mut Draws) -> Arc<Hello> {
    Arc::new(Hello {
        genesis: Hash(draws.array()).to_string(),
        address: host_addr(draws).to_string(),
        user_agent: draws.text(30),
        capabilities: draws.bits() as u32,
        height: draws.bits(),
        total_difficulty: draws.bits(),
        tip: Hash(draws.array()).to_string(),
    })
}
