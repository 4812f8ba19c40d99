//! A chain of our own with a wallet, and a pool that follows it.

use std::sync::{Arc, OnceLock};

use peerage_mw::{
    Applied, Block, ChainState, Coin, Fee, FeeRule, KernelFeatures, KeyIndex, Miner,
    OutputFeatures, Payment, Rules, Transaction, Wallet, genesis,
};

use super::super::{Departure, Left, Outcome, Pool, PoolError, Way};
use crate::limits::GRIN_EMBARGO_MIN;
use crate::time::Instant;

const REWARD: u64 = 60_000_000_000;
const FEE: u64 = 100_000_000;
const GROWN_MAX: usize = 16;

pub(super) struct World {
    pub(super) state: ChainState,
    pub(super) pool: Pool,
    pub(super) clock: Instant,
    wallet: Wallet,
    applied: Vec<Applied>,
}

pub(super) fn plain_kernel(fee: u64) -> KernelFeatures {
    KernelFeatures::Plain {
        fee: Fee::new(fee).unwrap(),
    }
}

pub(super) fn from_hex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

fn key(number: u64) -> KeyIndex {
    KeyIndex::new(number).unwrap()
}

impl World {
    /// A chain of so many empty blocks, each of which pays to the key of its height.
    pub(super) fn grown(height: usize) -> Self {
        let rules = Rules {
            fee: FeeRule::V4 { base: 1 },
            ..Rules::automated_testing()
        };
        // Rewards take long to make, and these are the same in every test.
        static BLOCKS: OnceLock<Vec<Block>> = OnceLock::new();
        let blocks = BLOCKS.get_or_init(|| {
            let mut world = Self::empty(rules);
            for _ in 0..GROWN_MAX {
                let _ = world.mine(&[]);
            }
            let applied = world.applied.iter();
            applied.map(|it| it.block().clone()).collect()
        });
        let mut world = Self::empty(rules);
        for block in &blocks[..height] {
            world.applied.push(world.state.apply(block).unwrap());
        }
        world
    }

    fn empty(rules: Rules) -> Self {
        Self {
            state: ChainState::new(rules, &genesis(&rules)).unwrap(),
            pool: Pool::new(1_000),
            clock: Instant::from_micros(1),
            wallet: Wallet::from_seed(&[7; 32]).unwrap(),
            applied: Vec::new(),
        }
    }

    /// The same chain by other rules.
    pub(super) fn rule(&mut self, change: impl FnOnce(&mut Rules)) {
        let mut rules = *self.state.rules();
        change(&mut rules);
        let mut state = ChainState::new(rules, &genesis(&rules)).unwrap();
        for applied in &self.applied {
            let _ = state.apply(applied.block()).unwrap();
        }
        self.state = state;
    }

    /// Spends the reward of a height to a key, with so much more than the usual fee.
    pub(super) fn spend(&self, height: u64, to: u64, more: u64) -> Transaction {
        self.pay(height, to, FEE + more * 1_000)
    }

    /// Spends the reward of a height to a key, with this fee.
    pub(super) fn pay(&self, height: u64, to: u64, fee: u64) -> Transaction {
        self.move_coin(reward_of(height), to, plain_kernel(fee), None)
    }

    /// Spends the single output of a payment.
    pub(super) fn spend_of(&self, of: &Transaction, from: u64, to: u64, more: u64) -> Transaction {
        let coin = self
            .wallet
            .recognise(&of.outputs().next().unwrap())
            .unwrap();
        assert_eq!(coin.key, key(from));
        self.move_coin(coin, to, plain_kernel(FEE + more * 1_000), None)
    }

    /// As [`Self::spend`], but not before a block of height `lock_height`.
    pub(super) fn lock(&self, height: u64, to: u64, lock_height: u64) -> Transaction {
        let fee = Fee::new(FEE).unwrap();
        let kernel = KernelFeatures::HeightLocked { fee, lock_height };
        self.move_coin(reward_of(height), to, kernel, None)
    }

    /// As [`Self::spend`], with an excess that may come again after so many blocks only. Each height's
    /// has another fee, or else the kernels would be the same.
    pub(super) fn relock(&self, height: u64, to: u64, relative_height: u64) -> Transaction {
        let fee = Fee::new(FEE + height).unwrap();
        let kernel = KernelFeatures::NoRecentDuplicate {
            fee,
            relative_height,
        };
        self.move_coin(reward_of(height), to, kernel, Some(b"again".to_vec()))
    }

    fn move_coin(
        &self,
        coin: Coin,
        to: u64,
        kernel: KernelFeatures,
        excess_word: Option<Vec<u8>>,
    ) -> Transaction {
        let fee = kernel.fee().unwrap().value();
        let make = vec![(key(to), coin.value - fee)];
        let payment = Payment {
            spend: vec![coin],
            make,
            kernel,
            excess_word,
        };
        self.wallet.pay(&payment).unwrap()
    }

    pub(super) fn fluff(&mut self, transaction: &Transaction) -> Result<Vec<Left>, PoolError> {
        self.admit(transaction, Way::Fluff)
    }

    pub(super) fn stem(&mut self, transaction: &Transaction) -> Result<Vec<Left>, PoolError> {
        let embargo = self.clock + GRIN_EMBARGO_MIN;
        self.admit(transaction, Way::Stem { embargo })
    }

    fn admit(&mut self, transaction: &Transaction, way: Way) -> Result<Vec<Left>, PoolError> {
        let transaction = Arc::new(transaction.clone());
        let outcome = self.pool.admit(&self.state, transaction, way, self.clock)?;
        match outcome {
            Outcome::Admitted(admitted) => Ok(admitted.left),
            Outcome::Remainder(rest) => panic!("parts wait already; left is {rest:?}"),
        }
    }

    #[expect(clippy::unused_self, reason = "reads like the other verbs")]
    pub(super) fn left(&self, transaction: &Transaction, stem: bool, why: Departure) -> Left {
        Left {
            transaction: Arc::new(transaction.clone()),
            stem,
            why,
        }
    }

    /// A block with these transactions follows the chain, if they go there.
    pub(super) fn try_mine(&mut self, transactions: &[Transaction]) -> Option<Vec<Left>> {
        let block = self.next_block(transactions)?;
        self.applied.push(self.state.apply(&block).unwrap());
        Some(self.pool.follow(&self.state, &[], &[block], self.clock))
    }

    /// A block with these transactions follows the chain.
    pub(super) fn mine(&mut self, transactions: &[Transaction]) -> Vec<Left> {
        self.try_mine(transactions)
            .expect("they go together and there")
    }

    fn next_block(&mut self, transactions: &[Transaction]) -> Option<Block> {
        let height = self.state.tip().height() + 1;
        let fees = transactions.iter().map(Transaction::fee).sum();
        let coinbase = self.wallet.coinbase(key(height), fees).unwrap();
        let later = self.state.tip().timestamp() + 60;
        let draft = self.state.propose(transactions, &coinbase, later).ok()?;
        Miner::new(draft, 0).search(u32::MAX)
    }

    /// Takes so many blocks back, the pool not told.
    pub(super) fn undo(&mut self, depth: usize) -> Vec<Block> {
        let mut undone = Vec::new();
        for _ in 0..depth {
            let Some(applied) = self.applied.pop() else {
                break;
            };
            undone.push(applied.block().clone());
            self.state.undo(applied);
        }
        undone
    }

    /// Takes blocks back and adds others, and the pool follows.
    pub(super) fn fork(&mut self, depth: usize, with: &[&[Transaction]]) -> Vec<Left> {
        let undone = self.undo(depth);
        let mut done = Vec::new();
        for transactions in with {
            let block = self
                .next_block(transactions)
                .expect("they go together and there");
            self.applied.push(self.state.apply(&block).unwrap());
            done.push(block);
        }
        self.pool.follow(&self.state, &undone, &done, self.clock)
    }
}

fn reward_of(height: u64) -> Coin {
    Coin {
        key: key(height),
        value: REWARD,
        features: OutputFeatures::Coinbase,
    }
}
