//! Which coins a wallet has: those of a node's unspent outputs that its keys open.

use anyhow::{Context as _, Result, bail};
use peerage_core::mw::{Coin, Commitment, OutputFeatures, Rules, Wallet};
use serde::Deserialize;

use super::client::Api;

/// Outputs asked for at a time; each comes with a range proof of 1,350 digits.
const PAGE: u64 = 500;

/// What a wallet has.
pub(super) struct Coins {
    /// The height of the chain.
    pub(super) height: u64,
    /// In the order in which the chain has them.
    pub(super) coins: Vec<Found>,
}

/// A coin and where it is.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) coin: Coin,
    pub(super) commitment: Commitment,
    /// Of the block that made it.
    pub(super) height: u64,
}

impl Found {
    /// Whether the next block may spend it.
    pub(super) fn is_mature(&self, tip: u64) -> bool {
        // Both chains of tests have the same maturity.
        let maturity = match self.coin.features {
            OutputFeatures::Coinbase => Rules::automated_testing().coinbase_maturity(),
            OutputFeatures::Plain => 0,
        };
        self.height + maturity <= tip + 1
    }
}

#[derive(Deserialize)]
struct Tip {
    height: u64,
}

#[derive(Deserialize)]
struct Page {
    highest_index: u64,
    last_retrieved_index: u64,
    outputs: Vec<Shown>,
}

#[derive(Deserialize)]
struct Shown {
    output_type: String,
    commit: String,
    proof: Option<String>,
    block_height: Option<u64>,
}

/// Goes over all unspent outputs of a node's chain.
pub(super) fn find(api: &Api, wallet: &Wallet) -> Result<Coins> {
    let Tip { height } = api.get("/v1/chain")?;
    let mut coins = Vec::new();
    let mut start = 1;
    loop {
        let path = format!("/v1/txhashset/outputs?start_index={start}&max={PAGE}");
        let page: Page = api.get(&path)?;
        for shown in &page.outputs {
            coins.extend(recognise(wallet, shown)?);
        }
        if page.last_retrieved_index >= page.highest_index {
            return Ok(Coins { height, coins });
        }
        if page.last_retrieved_index < start {
            bail!("the node's list of outputs does not go on at {start}");
        }
        start = page.last_retrieved_index + 1;
    }
}

fn recognise(wallet: &Wallet, shown: &Shown) -> Result<Option<Found>> {
    let strange = "the node shows an output that is none";
    let commitment = Commitment::from_hex(&shown.commit).context(strange)?;
    let features = match shown.output_type.as_str() {
        "Coinbase" => OutputFeatures::Coinbase,
        "Transaction" => OutputFeatures::Plain,
        _ => bail!(strange),
    };
    let digits = shown
        .proof
        .as_deref()
        .context("the node shows no range proofs")?;
    let proof = bytes_of(digits).context(strange)?;
    let Some(coin) = wallet.find(commitment, features, &proof) else {
        return Ok(None);
    };
    let height = shown.block_height.context(strange)?;
    Ok(Some(Found {
        coin,
        commitment,
        height,
    }))
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let text = core::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes = pairs.iter().map(byte).collect();
    rest.is_empty().then_some(bytes)?
}
