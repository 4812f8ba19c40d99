//! Who pays, and who reads: operators' clients on the node API, with luck of their own.
//!
//! They know what the chain of the node they ask comes to, own all coins in it, and now and then do
//! what no honest wallet does.

use std::collections::BTreeSet;
use std::sync::Arc;

use peerage_core::mw::{Block, Commitment, Format, Hash, Transaction};
use peerage_core::rooms::grin::types::{Ask, Heights, Name, Range, View};

use super::Net;
use super::purses::{Held, Wish};
use crate::oracle::grin::ledger::{After, Ledger};
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// Something that somebody asks of the node API.
#[derive(Clone, Debug)]
pub struct Order {
    /// Of whom.
    pub node: u32,
    /// What.
    pub ask: Ask,
}

/// Those who pay and read.
#[derive(Clone, Debug)]
pub struct Payers {
    net: Net,
    nodes: u32,
    members: Vec<u32>,
    luck: Luck,
    /// What was pushed and was to be taken.
    pushed: Vec<Arc<Transaction>>,
    /// Coins that payments make which may still wait.
    made: Vec<Held>,
    spent: BTreeSet<Commitment>,
    /// Coins that were spent, to be spent again.
    again: Vec<Held>,
}

/// Coins and transactions that are remembered of each kind.
const KEPT: usize = 64;
/// Blocks ahead for which a payment is locked that may not wait yet.
const LOCK: u64 = 4;

impl Payers {
    /// Those of a world with this network.
    #[must_use]
    pub fn new(seeds: &Seeds, net: Net, nodes: u32) -> Self {
        Self {
            members: net.nodes.members(nodes).collect(),
            net,
            nodes,
            luck: seeds.family("payers").luck(0),
            pushed: Vec::new(),
            made: Vec::new(),
            spent: BTreeSet::new(),
            again: Vec::new(),
        }
    }

    /// All luck comes from these streams from now on.
    pub fn reseed(&mut self, seeds: &Seeds) {
        self.luck = seeds.family("payers").luck(0);
    }

    /// How long they wait until they act again, in microseconds, if they ever do.
    pub fn pause(&mut self) -> Option<u64> {
        Some(self.luck.around(self.net.pause()?))
    }

    /// What they ask now. `tip` tells the last block of a node.
    pub fn act(&mut self, ledger: &Ledger, tip: impl Fn(u32) -> Hash) -> Option<Order> {
        let node = *self.members.get(self.luck.index(self.members.len()))?;
        let (block, after) = (ledger.block(&tip(node))?, ledger.known(&tip(node))?);
        let all = u64::from(self.net.payments) + u64::from(self.net.reads);
        let ask = if self.luck.below(all) < u64::from(self.net.reads) {
            self.read(block, after)
        } else {
            let transaction = self.payment(ledger, after)?;
            let fluff = self.luck.chance(self.net.fluff);
            Ask::Push { transaction, fluff }
        };
        Some(Order { node, ask })
    }

    fn payment(&mut self, ledger: &Ledger, after: &After) -> Option<Arc<Transaction>> {
        let odd = self.luck.chance(self.net.odd);
        let choice = if odd { 1 + self.luck.below(7) } else { 0 };
        let fresh = |held: Held| Wish {
            from: held,
            variant: 0,
            stingy: false,
            lock: None,
        };
        let next = after.height + 1;
        let wish = match choice {
            1 if !self.pushed.is_empty() => {
                return Some(self.pushed[self.luck.index(self.pushed.len())].clone());
            }
            2 if !self.again.is_empty() => Wish {
                variant: self.luck.range(1, 8) as u32,
                ..fresh(self.again[self.luck.index(self.again.len())])
            },
            3 | 4 if !self.made.is_empty() => {
                let at = self.luck.index(self.made.len());
                fresh(self.made.swap_remove(at))
            }
            5 => fresh(self.coin(after, |ripe| ripe > next)?),
            6 => Wish {
                lock: Some(next + self.luck.below(LOCK)),
                ..fresh(self.coin(after, |ripe| ripe <= next)?)
            },
            _ => Wish {
                stingy: choice == 7 && self.luck.chance(500_000),
                ..fresh(self.coin(after, |ripe| ripe <= next)?)
            },
        };
        let (transaction, held) = ledger.purses().pay(&wish)?;
        if choice == 7 && !wish.stingy {
            return spoiled(ledger, &transaction, self.luck.bits());
        }
        self.spent.extend(ledger.purses().commitment(&wish.from));
        keep(&mut self.luck, &mut self.again, wish.from);
        keep(&mut self.luck, &mut self.made, held);
        keep(&mut self.luck, &mut self.pushed, transaction.clone());
        Some(transaction)
    }

    /// Something unspent that nobody has spent so far.
    fn coin(&mut self, after: &After, is_ripe: impl Fn(u64) -> bool) -> Option<Held> {
        let free = after
            .coins
            .iter()
            .filter(|(it, coin)| is_ripe(coin.ripe) && !self.spent.contains(*it));
        let free: Vec<Held> = free.map(|(_, coin)| coin.held).collect();
        free.get(self.luck.index(free.len())).copied()
    }

    fn read(&mut self, block: &Block, after: &After) -> Ask {
        let luck = &mut self.luck;
        let height = after.height;
        let some = luck.below(height + 3);
        let coins: Vec<&Commitment> = after.coins.keys().collect();
        let coin = coins.get(luck.index(coins.len())).map(|it| **it);
        let digits = |bytes: &[u8]| Name::Digits(Arc::from(bytes));
        let name = match (luck.below(3), coin) {
            (0, Some(coin)) => digits(coin.as_bytes()),
            (1, _) => digits(block.hash().as_bytes()),
            _ => Name::Height(some),
        };
        let view = View {
            compact: luck.chance(300_000),
            proofs: luck.chance(300_000),
            no_merkle: luck.chance(300_000),
        };
        let kernels: Vec<Commitment> = block.kernels().map(|it| it.excess()).collect();
        let kernel = kernels.get(luck.index(kernels.len())).copied();
        match (luck.below(18), coin, kernel) {
            (0, _, _) => Ask::Block(name, view),
            (1, _, _) => Ask::Header(name),
            (2, _, _) => Ask::ByHeight(Arc::new(Heights {
                start: some,
                end: some + luck.below(20),
                only: Vec::new(),
                proofs: view.proofs,
            })),
            (3, Some(coin), _) => Ask::ByIds(Arc::from([coin])),
            (4, _, _) => Ask::Connected,
            (5, _, _) => Ask::HeightsToPositions {
                start: some,
                end: (height > 0).then_some(height),
            },
            (6, _, Some(excess)) => Ask::Kernel {
                excess,
                from: None,
                to: view.compact.then_some(some),
            },
            (7, _, _) => {
                let ranges = [Range::Kernels, Range::Outputs, Range::RangeProofs];
                Ask::Last(ranges[luck.index(3)], luck.below(20))
            }
            (8, _, _) => Ask::MerkleProof(coin),
            (9, _, _) => Ask::Outputs {
                start: luck.below(40),
                max: luck.below(20),
                end: None,
            },
            (10, _, _) => Ask::Peer(Roster::addr(luck.below(self.nodes.into()) as u32)),
            (11, _, _) => Ask::Peers,
            (12, _, _) => Ask::Pool,
            (13, _, _) => Ask::Roots,
            (14, _, _) => Ask::Status,
            (15, _, _) => Ask::Validate { post: false },
            (16, _, _) => Ask::Compact,
            _ => Ask::Chain,
        }
    }
}

fn keep<T>(luck: &mut Luck, all: &mut Vec<T>, new: T) {
    if all.len() < KEPT {
        all.push(new);
    } else {
        let at = luck.index(KEPT);
        all[at] = new;
    }
}

/// The same with a bit changed, if that can still be read.
fn spoiled(ledger: &Ledger, transaction: &Transaction, luck: u64) -> Option<Arc<Transaction>> {
    let mut bytes = transaction.encode(Format::V2).ok()?;
    let at = (luck >> 8) as usize % bytes.len();
    bytes[at] ^= 1 << (luck % 8);
    let read = Transaction::decode(ledger.rules(), Format::V2, &bytes);
    read.ok().map(Arc::new)
}
