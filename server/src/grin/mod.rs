//! `peerage grin …`: the wallet of a data directory, and what its owner does with a running node. Made
//! for devnets: it shows coins, and spends them to itself.

mod client;
mod coins;
mod spend;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use peerage_core::mw::Wallet;
use serde_json::json;

use self::client::Api;
use crate::cli::{DataDir, GrinNode, GrinSpend};

pub(crate) use self::client::secret_of;

/// The words of the wallet's seed.
pub(crate) fn seed(data: &DataDir) -> Result<String> {
    Ok(Wallet::words(&seed_in(&data.path)?)?)
}

/// What the wallet has, as JSON.
pub(crate) fn balance(args: &GrinNode) -> Result<String> {
    let (api, wallet) = open(args)?;
    let purse = coins::find(&api, &wallet)?;
    let sum = |mature: bool| {
        let coins = purse
            .coins
            .iter()
            .filter(|it| it.is_mature(purse.height) == mature);
        let values: Vec<u64> = coins.map(|it| it.coin.value).collect();
        json!({ "coins": values.len(), "grin": grin(values.iter().sum()) })
    };
    let said = json!({ "height": purse.height, "mature": sum(true), "immature": sum(false) });
    Ok(said.to_string())
}

/// Spends coins, and tells of the transaction as JSON.
///
/// Which coins are spent by payments that wait for a block, a node tells nobody. So if its pool does not
/// take some coins, the next ones are tried.
pub(crate) fn spend(args: &GrinSpend) -> Result<String> {
    let (api, wallet) = open(&args.node)?;
    let mut purse = coins::find(&api, &wallet)?;
    let mut plan = spend::plan(args, &purse)?;
    for _ in 0..TRIES {
        let transaction = plan.sign(&wallet)?;
        if api.push(&transaction, args.fluff)? {
            return plan.describe(&wallet, &transaction);
        }
        plan.leave_out(&mut purse);
        let Ok(next) = spend::plan(args, &purse) else {
            break;
        };
        plan = next;
    }
    bail!(
        "the node does not take the payment, and its log says why: most often the fee is too low, or an \
         earlier payment of the same coin waits for the next block"
    )
}

/// Payments that are made until a node takes one.
const TRIES: usize = 16;

fn open(args: &GrinNode) -> Result<(Api, Wallet)> {
    let wallet = Wallet::from_seed(&seed_in(&args.data.path)?)?;
    let secret = args.api_secret_file.as_deref().map(secret_of).transpose()?;
    Ok((Api::new(&args.node, secret.as_ref()), wallet))
}

fn seed_in(data: &Path) -> Result<[u8; 32]> {
    if !data.is_dir() {
        bail!(
            "there is no data directory {}; name one with --data",
            data.display()
        );
    }
    peerage_io::grin_seed(data).context("cannot read the seed")
}

/// Nanogrin as grin.
fn grin(nanogrin: u64) -> String {
    format!("{}.{:09}", nanogrin / NANOGRIN, nanogrin % NANOGRIN)
}

const NANOGRIN: u64 = 1_000_000_000;
