//! A peer that lies about the chain: it greets everybody with more work than there is, gives headers
//! and blocks with something changed, or none, and spreads what nobody honest would.
//!
//! It makes nothing by itself: whatever it gives is what others have given it, spoiled.

use std::sync::Arc;

use peerage_core::mw::{Block, Chain, Format, Hash, Header, Rules, Transaction, genesis};
use peerage_core::rooms::grin::types::{Between, Hello};
use peerage_core::rooms::grin::{CAPABILITIES, Request, Response, USER_AGENT};

use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// The liar's part in the Mimblewimble network.
#[derive(Clone, Debug)]
pub struct Spoiler {
    node: u32,
    nodes: u32,
    luck: Luck,
    genesis: Hash,
    /// What it was given lately.
    blocks: Vec<Block>,
    headers: Vec<Header>,
    transactions: Vec<Arc<Transaction>>,
    /// What it does at once, with whom.
    urgent: Vec<(u32, Request)>,
    acted: u32,
    /// The greatest height and the most work that it has heard of.
    best: (u64, u64),
}

/// Blocks, headers and transactions that are remembered of each.
const KEPT: usize = 24;
/// How often it acts before it greets everybody again.
const GREETS_EVERY: u32 = 12;
/// How far above the truth its claims are.
const BOAST: u64 = 1_000;

impl Spoiler {
    /// The spoiler in this node's place.
    #[must_use]
    pub fn new(seeds: &Seeds, node: u32, nodes: u32) -> Self {
        let rules = Rules::automated_testing();
        Self {
            node,
            nodes,
            luck: seeds.family("spoilers").luck(node.into()),
            genesis: genesis(&rules).hash(),
            blocks: Vec::new(),
            headers: Vec::new(),
            transactions: Vec::new(),
            urgent: Vec::new(),
            acted: 0,
            best: (0, 1),
        }
    }

    /// All luck comes from this stream from now on.
    pub fn reseed(&mut self, luck: Luck) {
        self.luck = luck;
    }

    /// Whom it bothers now, and with what; nobody, if it does something else for now.
    pub fn act(&mut self) -> Option<(u32, Request)> {
        if self.acted.is_multiple_of(GREETS_EVERY) {
            // Whoever is linked is listened to.
            let hello = Between::Hello(self.hello());
            self.tell_all(&hello);
        }
        self.acted += 1;
        if self.luck.chance(500_000) {
            return None;
        }
        let target = self.luck.below(self.nodes.into()) as u32;
        if target == self.node {
            return None;
        }
        let between_nodes = match self.luck.below(6) {
            0 => {
                let known = self.pick(self.headers.len());
                Between::Announce(self.headers.get(known)?.clone())
            }
            1 => Between::Announce(self.block()?.header().clone()),
            2 => {
                let known = self.pick(self.transactions.len());
                let transaction = self.transactions.get(known)?.clone();
                let transaction = self.spoiled_transaction(&transaction)?;
                let stem = self.luck.chance(500_000);
                Between::Relay { stem, transaction }
            }
            3 => Between::Headers(Arc::from([self.genesis])),
            _ => Between::Hello(self.hello()),
        };
        Some((target, between(between_nodes)))
    }

    /// What it does at once, with whom, because of what it was just told.
    pub fn urgent(&mut self) -> Vec<(u32, Request)> {
        std::mem::take(&mut self.urgent)
    }

    /// Bothers everybody with something.
    fn tell_all(&mut self, what: &Between) {
        let others = (0..self.nodes).filter(|node| *node != self.node);
        self.urgent
            .extend(others.map(|node| (node, between(what.clone()))));
    }

    fn pick(&mut self, len: usize) -> usize {
        self.luck.index(len)
    }

    /// It was answered.
    pub fn heard(&mut self, response: &Response) {
        if let Response::Blocks(blocks) = response {
            for block in blocks.iter() {
                let known = self.blocks.iter().any(|it| it.hash() == block.hash());
                keep(&mut self.luck, &mut self.blocks, block.clone());
                if !known && self.luck.chance(500_000) {
                    // The header is a good one; whoever asks for the block gets another.
                    self.tell_all(&Between::Announce(block.header().clone()));
                }
            }
        } else if let Response::Headers(headers) = response {
            for header in headers.iter() {
                keep(&mut self.luck, &mut self.headers, header.clone());
            }
        } else if let Response::Hello(hello) = response {
            self.best = self.best.max((hello.height, hello.total_difficulty));
        }
    }

    /// It is asked by `from`: what it says, if it says anything.
    pub fn answer(&mut self, from: Option<u32>, request: &Request) -> Option<Response> {
        let Request::Between(_, asked) = request else {
            return Some(Response::NotFound);
        };
        Some(match asked {
            Between::Announce(header) => {
                keep(&mut self.luck, &mut self.headers, header.clone());
                let fetch = between(Between::Blocks(Arc::from([header.hash()])));
                self.urgent.extend(from.map(|from| (from, fetch)));
                self.best = self.best.max((header.height(), header.total_difficulty()));
                Response::Done
            }
            Between::Blocks(hashes) => self.give(hashes)?,
            Between::Headers(_) => match self.luck.below(3) {
                0 => Response::Headers(Arc::from([])),
                1 => Response::Headers(self.headers.iter().rev().cloned().collect()),
                _ => {
                    let mut headers = self.headers.clone();
                    headers.sort_by_key(Header::height);
                    Response::Headers(headers.into())
                }
            },
            Between::Hello(hello) => {
                self.best = self.best.max((hello.height, hello.total_difficulty));
                Response::Hello(self.hello())
            }
            Between::Relay { stem, transaction } => {
                keep(&mut self.luck, &mut self.transactions, transaction.clone());
                if *stem && let Some(transaction) = self.spoiled_transaction(transaction) {
                    // Nobody has seen the good one yet.
                    let stem = self.luck.chance(500_000);
                    self.tell_all(&Between::Relay { stem, transaction });
                }
                Response::Done
            }
        })
    }

    /// Blocks of these hashes, spoiled if it has them.
    fn give(&mut self, hashes: &[Hash]) -> Option<Response> {
        let known: Vec<Block> = (self.blocks.iter())
            .filter(|block| hashes.contains(&block.hash()))
            .cloned()
            .collect();
        Some(match self.luck.below(6) {
            0 => return None,
            1 => Response::Blocks(Arc::from([])),
            2 => Response::Blocks(self.block().into_iter().collect()),
            3 => Response::Blocks(known.into()),
            _ => {
                let spoiled = known.iter().filter_map(|block| self.spoiled(block));
                Response::Blocks(spoiled.collect())
            }
        })
    }

    fn block(&mut self) -> Option<Block> {
        let known = self.pick(self.blocks.len());
        let block = self.blocks.get(known)?.clone();
        self.spoiled(&block)
    }

    /// A block with the body of another one, or with a bit changed.
    fn spoiled(&mut self, block: &Block) -> Option<Block> {
        let luck = &mut self.luck;
        let rules = Rules::automated_testing();
        let mut bytes = block.encode(Format::V3).ok()?;
        let head = block.header().encode().len();
        let other = self.blocks.get(luck.index(self.blocks.len()))?;
        if luck.chance(400_000) && other.hash() != block.hash() {
            let body = other.encode(Format::V3).ok()?;
            bytes.truncate(head);
            bytes.extend_from_slice(&body[other.header().encode().len()..]);
        } else {
            let from = if luck.chance(300_000) { 0 } else { head };
            let at = from + luck.index(bytes.len() - from);
            bytes[at] ^= 1 << luck.below(8);
        }
        Block::decode(&rules, Format::V3, &bytes).ok()
    }

    fn spoiled_transaction(&mut self, transaction: &Transaction) -> Option<Arc<Transaction>> {
        let mut bytes = transaction.encode(Format::V3).ok()?;
        let at = self.pick(bytes.len());
        bytes[at] ^= 1 << self.luck.below(8);
        let rules = Rules::automated_testing();
        let read = Transaction::decode(&rules, Format::V3, &bytes);
        read.ok().map(Arc::new)
    }

    fn hello(&mut self) -> Arc<Hello> {
        let boasts = self.luck.chance(700_000);
        let more = if boasts { self.luck.below(BOAST) } else { 0 };
        let (height, work) = self.best;
        let tip = self.headers.last().map_or(self.genesis, Header::hash);
        Arc::new(Hello {
            genesis: self.genesis.to_string(),
            address: Roster::addr(self.node).to_string(),
            user_agent: USER_AGENT.to_owned(),
            capabilities: CAPABILITIES,
            height: height + more,
            total_difficulty: work + more,
            tip: tip.to_string(),
        })
    }
}

fn between(what: Between) -> Request {
    Request::Between(Chain::AutomatedTesting, what)
}

fn keep<T>(luck: &mut Luck, all: &mut Vec<T>, new: T) {
    if all.len() >= KEPT {
        let at = luck.index(KEPT);
        all.remove(at);
    }
    all.push(new);
}
