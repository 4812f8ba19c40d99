//! Coins and who can spend them: the wallets that rewards go to, and what is paid out of them.
//!
//! The wallets are the same in all worlds, and what a payment makes follows from what it spends, so
//! the same few range proofs, of 20 ms each, do for all worlds of a process.

use std::sync::Arc;

use peerage_core::config::grin::Purse;
use peerage_core::mw::{
    Coin, Commitment, Fee, FeeRule, KernelFeatures, KeyIndex, Output, OutputFeatures, Payment,
    Transaction, Wallet,
};

use crate::once::Once;

/// The wallets of a world.
#[derive(Clone, Debug)]
pub struct Purses(Arc<[Purse]>);

/// A coin in one of the wallets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// In which.
    pub purse: usize,
    /// The coin.
    pub coin: Coin,
}

/// Something to be paid: a coin becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What is spent.
    pub from: Held,
    /// Tells payments of the same coin apart.
    pub variant: u32,
    /// Whether less is paid than pools ask for.
    pub stingy: bool,
    /// The height below which it must be in no block.
    pub lock: Option<u64>,
}

/// Payments that are kept, of a kilobyte each.
const PAYMENTS_MAX: usize = 16_384;
/// Outputs whose owners are kept.
const OWNERS_MAX: usize = 65_536;
/// Keys of payments have numbers from here on; those below are of rewards, by height.
const PAID: u64 = 1 << 20;
const KEYS: u64 = 1 << 31;

static PAYMENTS: Once<String, Option<Arc<Transaction>>> = Once::new(PAYMENTS_MAX);
static OWNERS: Once<(usize, Commitment), Option<Held>> = Once::new(OWNERS_MAX);

impl Purses {
    /// So many wallets, at least one.
    #[must_use]
    pub fn new(many: u32) -> Self {
        let purse = |number: u32| {
            let mut seed = [0x6d; 32];
            seed[..4].copy_from_slice(&number.to_be_bytes());
            Purse::from_seed(&seed).expect("a seed may have 32 bytes")
        };
        Self((0..many.max(1)).map(purse).collect())
    }

    /// The wallet that a node's rewards go to.
    #[must_use]
    pub fn of_miner(&self, node: u32) -> &Purse {
        &self.0[node as usize % self.0.len()]
    }

    fn wallet(&self, number: usize) -> &Wallet {
        self.0[number].wallet()
    }

    /// Whose an output is, and what it is worth.
    #[must_use]
    pub fn recognise(&self, output: &Output) -> Option<Held> {
        let name = (self.0.len(), output.commitment());
        OWNERS.get(name, || {
            (0..self.0.len()).find_map(|purse| {
                let coin = self.wallet(purse).recognise(output)?;
                Some(Held { purse, coin })
            })
        })
    }

    /// The commitment under which a coin lies in a chain.
    #[must_use]
    pub fn commitment(&self, held: &Held) -> Option<Commitment> {
        self.wallet(held.purse).commitment(&held.coin).ok()
    }

    /// What a wish comes to: a transaction and the coin that it makes. Nothing, if the coin is worth
    /// less than the fee.
    #[must_use]
    pub fn pay(&self, wish: &Wish) -> Option<(Arc<Transaction>, Held)> {
        let spent = wish.from.coin;
        let fee = if wish.stingy { 1 } else { fee(spent) };
        let value = spent.value.checked_sub(fee).filter(|value| *value > 0)?;
        // A key that follows from what is spent; two never meet in a run.
        let mixed = (u64::from(spent.key.number()) << 3 | u64::from(wish.variant % 8))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = KeyIndex::new(PAID + (mixed >> 20) % (KEYS - PAID))?;
        let fee = Fee::new(fee)?;
        let kernel = match wish.lock {
            Some(lock_height) => KernelFeatures::HeightLocked { fee, lock_height },
            None => KernelFeatures::Plain { fee },
        };
        let payment = Payment {
            spend: vec![spent],
            make: vec![(key, value)],
            kernel,
            excess_word: None,
        };
        let name = format!("{} {payment:?}", wish.from.purse);
        let wallet = self.wallet(wish.from.purse);
        let made = PAYMENTS.get(name, || wallet.pay(&payment).ok().map(Arc::new))?;
        let features = OutputFeatures::Plain;
        let coin = Coin {
            key,
            value,
            features,
        };
        let purse = wish.from.purse;
        Some((made, Held { purse, coin }))
    }
}

/// What pools ask for one coin that becomes another; for some coins twice as much.
fn fee(spent: Coin) -> u64 {
    let FeeRule::V4 { base } = FeeRule::V4_DEFAULT else {
        unreachable!("the rule of the releases that have this API");
    };
    let times = if spent.key.number().is_multiple_of(4) {
        2
    } else {
        1
    };
    base * 4 * times
}
