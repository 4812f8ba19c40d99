//! A transaction from a wallet to itself: which coins it spends, what it makes, what it pays.

use anyhow::{Result, anyhow, bail};
use peerage_core::mw::{
    Coin, Commitment, Fee, FeeRule, KernelFeatures, KeyIndex, OutputFeatures, Payment, Transaction,
    Wallet,
};
use serde_json::json;

use super::coins::{Coins, Found};
use super::grin;
use crate::cli::GrinSpend;

/// What is to be signed.
pub(super) struct Plan {
    spends: Vec<Found>,
    makes: Vec<(KeyIndex, u64)>,
    fee: u64,
}

/// Chooses coins. Those of the oldest blocks go first.
pub(super) fn plan(args: &GrinSpend, purse: &Coins) -> Result<Plan> {
    let mature = purse.coins.iter().filter(|it| it.is_mature(purse.height));
    let mature: Vec<&Found> = match args.coin {
        Some(named) => mature.filter(|it| it.commitment == named).collect(),
        None => mature.collect(),
    };
    if mature.is_empty() {
        return Err(nothing(args, purse));
    }
    if args.amount.is_some_and(|it| it.0 == 0) {
        bail!("an amount of 0 makes no coin");
    }
    let mut spends: Vec<Found> = Vec::new();
    for found in mature {
        spends.push(found.clone());
        let held: u64 = spends.iter().map(|it| it.coin.value).sum();
        let fee = |outputs| {
            args.fee
                .map_or_else(|| usual_fee(spends.len(), outputs), |it| it.0)
        };
        let (amount, fee) = match args.amount {
            None => (held.saturating_sub(fee(1)), fee(1)),
            Some(amount) => (amount.0, fee(2)),
        };
        // A payment without room for a fee makes nothing.
        if amount == 0 || held < amount.saturating_add(fee) {
            continue;
        }
        let change = held - amount - fee;
        let mut makes = vec![(fresh_key(&spends[0].commitment, 0)?, amount)];
        if change > 0 {
            makes.push((fresh_key(&spends[0].commitment, 1)?, change));
        }
        return Ok(Plan { spends, makes, fee });
    }
    let held: u64 = spends.iter().map(|it| it.coin.value).sum();
    let wanted = args
        .amount
        .map_or_else(String::new, |amount| format!("{} and ", grin(amount.0)));
    bail!(
        "the mature coins hold {} grin, less than {wanted}the fee",
        grin(held)
    )
}

fn nothing(args: &GrinSpend, purse: &Coins) -> anyhow::Error {
    let height = purse.height;
    match (args.coin, purse.coins.first()) {
        (Some(_), _) => anyhow!("at height {height} this wallet has no mature coin of that name"),
        (None, None) => anyhow!(
            "at height {height} this wallet has no coins; a node that mines for it is run with \
             --grin-mine 1s on the same data directory"
        ),
        (None, Some(_)) => anyhow!(
            "at height {height} no coin is mature yet: a reward can be spent three blocks after its own"
        ),
    }
}

/// What both rules of pools take.
fn usual_fee(inputs: usize, outputs: u64) -> u64 {
    let FeeRule::V5 { base } = FeeRule::V5_DEFAULT else {
        unreachable!("a constant of the fifth rule");
    };
    Transaction::weight_of(inputs as u64, outputs, 1) * base
}

/// A key that nothing else has: those of rewards are the heights of their blocks, which lie below, and
/// no coin is spent twice.
fn fresh_key(of: &Commitment, number: u64) -> Result<KeyIndex> {
    let [_, a, b, c, d, ..] = of.0;
    let drawn = u64::from(u32::from_be_bytes([a, b, c, d]) >> 4);
    let key = KeyIndex::new((1 << 30) + 2 * drawn + number);
    key.ok_or_else(|| anyhow!("no such key"))
}

impl Plan {
    /// Takes what it spends out of a purse.
    pub(super) fn leave_out(&self, purse: &mut Coins) {
        let spent = |coin: &Found| {
            self.spends
                .iter()
                .any(|it| it.commitment == coin.commitment)
        };
        purse.coins.retain(|coin| !spent(coin));
    }

    pub(super) fn sign(&self, wallet: &Wallet) -> Result<Transaction> {
        let fee = Fee::new(self.fee).ok_or_else(|| anyhow!("the fee is out of range"))?;
        let payment = Payment {
            spend: self.spends.iter().map(|it| it.coin).collect(),
            make: self.makes.clone(),
            kernel: KernelFeatures::Plain { fee },
            excess_word: None,
        };
        Ok(wallet.pay(&payment)?)
    }

    /// What a person or a program needs to follow the transaction.
    pub(super) fn describe(&self, wallet: &Wallet, transaction: &Transaction) -> Result<String> {
        let excess = transaction
            .kernels()
            .next()
            .map(|it| it.excess().to_string());
        let spends = self.spends.iter().map(|it| it.commitment.to_string());
        let mut makes = Vec::new();
        for (key, value) in &self.makes {
            let features = OutputFeatures::Plain;
            let coin = Coin {
                key: *key,
                value: *value,
                features,
            };
            let commitment = wallet.commitment(&coin)?.to_string();
            makes.push(json!({ "commit": commitment, "grin": grin(*value) }));
        }
        let said = json!({
            "kernel": excess,
            "fee": grin(self.fee),
            "spends": spends.collect::<Vec<_>>(),
            "makes": makes,
        });
        Ok(said.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::{DataDir, GrinNode};
    use crate::values::{Grins, NodeUrl};

    const REWARD: u64 = 60_000_000_000;

    fn reward(height: u64) -> Found {
        let key = KeyIndex::new(height).expect("small");
        let features = OutputFeatures::Coinbase;
        let coin = Coin {
            key,
            value: REWARD,
            features,
        };
        let mut commitment = Commitment([8; 33]);
        commitment.0[1] = height as u8;
        Found {
            coin,
            commitment,
            height,
        }
    }

    fn args(amount: Option<u64>, fee: Option<u64>) -> GrinSpend {
        GrinSpend {
            node: GrinNode {
                data: DataDir {
                    path: PathBuf::new(),
                },
                node: NodeUrl("127.0.0.1:1848".to_owned()),
                api_secret_file: None,
            },
            amount: amount.map(Grins),
            fee: fee.map(Grins),
            coin: None,
            fluff: false,
        }
    }

    fn purse(height: u64) -> Coins {
        Coins {
            height,
            coins: (1..=height).map(reward).collect(),
        }
    }

    #[test]
    fn coins_go_oldest_first_and_change_comes_back() {
        let plan = |amount, fee| {
            let plan = plan(&args(amount, fee), &purse(5)).map_err(|it| it.to_string())?;
            let values: Vec<u64> = plan.makes.iter().map(|it| it.1).collect();
            Ok::<_, String>((plan.spends.len(), values, plan.fee))
        };
        assert_eq!(
            plan(None, None),
            Ok((1, vec![REWARD - 12_500_000], 12_500_000))
        );
        assert_eq!(plan(Some(5), Some(1)), Ok((1, vec![5, REWARD - 6], 1)));
        assert_eq!(
            plan(Some(REWARD - 1), Some(1)),
            Ok((1, vec![REWARD - 1], 1))
        );
        // The second coin is heavier by one input.
        let fee = 23_500_000;
        assert_eq!(
            plan(Some(REWARD), None),
            Ok((2, vec![REWARD, REWARD - fee], fee))
        );
        // Rewards of heights 1 to 3 are mature at height 5.
        let poor = plan(Some(3 * REWARD), None).expect_err("not that much");
        assert!(
            poor.contains("180.000000000 grin, less than 180.000000000 and the fee"),
            "{poor}"
        );
    }

    #[test]
    fn what_a_plan_spends_is_left_out_of_the_next() {
        let mut purse = purse(6);
        let first = plan(&args(Some(REWARD), None), &purse).expect("a plan");
        first.leave_out(&mut purse);
        let next = plan(&args(None, None), &purse).expect("a plan");
        assert_eq!(next.spends[0].height, 3);
    }

    #[test]
    fn who_has_nothing_to_spend_is_told_why() {
        let why = |args: &GrinSpend, height| {
            let plan = plan(args, &purse(height)).map(|_| ());
            plan.expect_err("nothing to spend").to_string()
        };
        let plain = args(None, None);
        assert!(why(&plain, 0).contains("--grin-mine"));
        assert!(why(&plain, 2).contains("three blocks"));
        assert!(why(&args(Some(0), None), 9).contains("makes no coin"));
        assert!(why(&args(None, Some(4 * REWARD)), 5).ends_with("less than the fee"));
        let named = GrinSpend {
            coin: Some(Commitment([9; 33])),
            ..plain
        };
        assert!(why(&named, 9).contains("of that name"));
    }

    #[test]
    fn new_keys_are_no_keys_of_rewards_and_differ() {
        let key = |height, number| fresh_key(&reward(height).commitment, number).expect("a key");
        assert!(key(1, 0).number() >= 1 << 30);
        assert_ne!(key(1, 0), key(1, 1));
        assert_ne!(key(1, 0), key(2, 0));
    }
}
