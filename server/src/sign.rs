//! `peerage chainweb sign`: a transaction to try a node with.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use peerage_core::rooms::chainweb_mempool::sign::{Draft, public_key};

use crate::cli::SignArgs;
use crate::values::KeySeed;

/// The body of an `insert` with one transaction: a JSON array of one JSON text.
pub(crate) fn body(args: &SignArgs) -> Result<String> {
    let fresh = || KeySeed(peerage_io::tls::random());
    let KeySeed(seed) = args.seed.clone().unwrap_or_else(fresh);
    let sender = args
        .sender
        .clone()
        .unwrap_or_else(|| format!("k:{}", public_key(&seed)));
    let nonce = args
        .nonce
        .clone()
        .unwrap_or_else(|| format!("{:032x}", u128::from_be_bytes(peerage_io::tls::random())));
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let draft = Draft {
        chain: args.chain,
        code: &args.code,
        creation_time: i64::try_from(now)?,
        gas_limit: args.gas_limit,
        gas_price: &args.gas_price,
        network: args.network.name(),
        nonce: &nonce,
        sender: &sender,
        ttl: i64::from(args.ttl),
    };
    Ok(serde_json::to_string(&[draft.sign(&[seed])])?)
}
