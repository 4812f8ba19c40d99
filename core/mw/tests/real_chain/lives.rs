//! Somebody who mines and pays, by luck that repeats.

use std::collections::BTreeMap;

use peerage_mw::{
    Block, ChainState, Coin, Commitment, Fee, KernelFeatures, KeyIndex, Miner, OutputFeatures,
    Payment, Transaction, Wallet, aggregate,
};

use super::both::Both;

/// A small generator, so that a failure repeats.
pub(crate) struct Luck(u64);

impl Luck {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

const FEE: u64 = 30_000_000;

/// A wallet and what it has ever owned.
pub(crate) struct Owner {
    wallet: Wallet,
    coins: BTreeMap<Commitment, Coin>,
    next_key: u64,
    /// Seconds between its blocks, from and below.
    pub(crate) pace: (i64, i64),
}

impl Owner {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            wallet: Wallet::from_seed(&[seed as u8; 32]).expect("a seed"),
            coins: BTreeMap::new(),
            next_key: 0,
            pace: (1, 121),
        }
    }

    fn key(&mut self) -> KeyIndex {
        self.next_key += 1;
        KeyIndex::new(self.next_key).expect("far below 2^31")
    }

    fn remember(&mut self, coin: Coin) -> Coin {
        let commitment = self.wallet.commitment(&coin).expect("its own");
        self.coins.insert(commitment, coin);
        coin
    }

    /// Its coins that a block of the next height may spend, or all that are unspent.
    fn spendable(&self, state: &ChainState, unripe: bool) -> Vec<Coin> {
        let height = state.tip().height() + 1;
        let ripe = |made: u64, coin: &Coin| {
            unripe || coin.features == OutputFeatures::Plain || made + 3 <= height
        };
        let unspent = state.unspent_from(0);
        let known = unspent.filter_map(|it| {
            let coin = self.coins.get(&it.output.commitment())?;
            ripe(it.height, coin).then_some(*coin)
        });
        known.collect()
    }

    fn kernel(&self, height: u64, luck: &mut Luck) -> (KernelFeatures, Option<Vec<u8>>) {
        let fee = Fee::new(FEE).expect("a fee");
        match luck.below(5) {
            0 => {
                let lock_height = luck.next() % (height + 1);
                (KernelFeatures::HeightLocked { fee, lock_height }, None)
            }
            1 if height >= 9 => {
                let relative_height = 1 + luck.next() % 4;
                let kernel = KernelFeatures::NoRecentDuplicate {
                    fee,
                    relative_height,
                };
                (kernel, Some(vec![luck.below(3) as u8]))
            }
            _ => (KernelFeatures::Plain { fee }, None),
        }
    }

    /// Spends coins into one or two new ones.
    fn pay(&mut self, spend: Vec<Coin>, height: u64, luck: &mut Luck) -> (Transaction, Vec<Coin>) {
        let (kernel, excess_word) = self.kernel(height, luck);
        let whole = spend.iter().map(|coin| coin.value).sum::<u64>() - FEE;
        let parts = match luck.one_in(2) {
            true => vec![whole],
            false => vec![whole / 3, whole - whole / 3],
        };
        let make: Vec<_> = parts.into_iter().map(|value| (self.key(), value)).collect();
        let made = make.iter().map(|(key, value)| Coin {
            key: *key,
            value: *value,
            features: OutputFeatures::Plain,
        });
        let made: Vec<Coin> = made.collect();
        let made: Vec<Coin> = made.into_iter().map(|coin| self.remember(coin)).collect();
        let payment = Payment {
            spend,
            make,
            kernel,
            excess_word,
        };
        (self.wallet.pay(&payment).expect("a transaction"), made)
    }

    /// Transactions that may or may not fit the next block.
    pub(crate) fn wild_transactions(
        &mut self,
        state: &ChainState,
        luck: &mut Luck,
    ) -> Vec<Transaction> {
        let height = state.tip().height() + 1;
        let mut coins = self.spendable(state, true);
        // Some that were spent, or are on a branch that lost.
        coins.extend(self.coins.values().take(2));
        let mut made = Vec::new();
        for _ in 0..3 {
            if coins.is_empty() {
                break;
            }
            let coin = coins[luck.below(coins.len())];
            if coin.value > FEE {
                let height = height + luck.next() % 3;
                made.push(self.pay(vec![coin], height, luck).0);
            }
        }
        made
    }

    /// A block on the tip with what this owner feels like.
    pub(crate) fn next_block(&mut self, both: &mut Both, luck: &mut Luck) -> Block {
        let state = both.ours();
        let height = state.tip().height() + 1;
        let mut coins = self.spendable(state, false);
        coins.retain(|coin| coin.value > 4 * FEE);
        let mut chosen: Vec<Transaction> = Vec::new();
        for _ in 0..luck.below(4) {
            if coins.is_empty() {
                break;
            }
            let mut spend = vec![coins.swap_remove(luck.below(coins.len()))];
            if !coins.is_empty() && luck.one_in(2) {
                spend.push(coins.swap_remove(luck.below(coins.len())));
            }
            let (parent, made) = self.pay(spend, height, luck);
            // Now and then the child comes along in the same transaction.
            let whole = match luck.one_in(4) {
                true => {
                    let (child, _) = self.pay(vec![made[0]], height, luck);
                    aggregate(&[parent, child]).expect("they go together")
                }
                false => parent,
            };
            chosen.push(whole);
            let together = aggregate(&chosen).map(|it| state.check_transaction(&it));
            if !matches!(together, Ok(Ok(()))) || doubled_excess(&chosen) {
                chosen.pop();
            }
        }
        self.mine(both, &chosen, luck)
    }

    fn mine(&mut self, both: &mut Both, chosen: &[Transaction], luck: &mut Luck) -> Block {
        let fees = chosen.iter().map(Transaction::fee).sum();
        let key = self.key();
        let coinbase = self.wallet.coinbase(key, fees).expect("a reward");
        let found = self.wallet.recognise(&coinbase.output()).expect("its own");
        self.remember(found);
        let state = both.ours_mut();
        let (least, below) = self.pace;
        let gap = least + luck.below((below - least) as usize) as i64;
        let later = state.tip().timestamp() + gap;
        let draft = state.propose(chosen, &coinbase, later).expect("a draft");
        let mut miner = Miner::new(draft, luck.next());
        loop {
            if let Some(block) = miner.search(16) {
                return block;
            }
        }
    }
}

/// Whether an excess with a relative lock is there twice, which no block may hold.
fn doubled_excess(chosen: &[Transaction]) -> bool {
    let kernels = chosen.iter().flat_map(Transaction::kernels);
    let locked = kernels.filter(|it| it.features().name() == "NoRecentDuplicate");
    let mut excesses: Vec<Commitment> = locked.map(|it| it.excess()).collect();
    excesses.sort();
    excesses.windows(2).any(|pair| pair[0] == pair[1])
}
