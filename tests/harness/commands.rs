//! Signed commands for mempools.

use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::chainweb_mempool::sign::Draft;
use serde_json::{Value, json};

/// The secret of the usual signer.
pub const ALICE: [u8; 32] = [0x36; 32];
/// The secret of another signer.
pub const BOB: [u8; 32] = [0x42; 32];

/// When benches start, in seconds since the epoch.
pub const START: i64 = 1_700_000_000;

/// A command that a fresh bench accepts on chain 0, told apart by its nonce.
#[must_use]
pub const fn draft(nonce: &str) -> Draft<'_> {
    Draft {
        chain: 0,
        code: "(+ 1 2)",
        creation_time: START,
        gas_limit: 1_000,
        gas_price: "1e-7",
        network: "development",
        nonce,
        sender: "alice",
        ttl: 28_800,
    }
}

/// The text of [`draft`], signed by [`ALICE`].
#[must_use]
pub fn signed(nonce: &str) -> String {
    draft(nonce).sign(&[ALICE])
}

/// The declared hash of a command's text.
///
/// # Panics
/// If the text is not a command.
#[must_use]
pub fn key_of(text: &str) -> String {
    Command::decode(text).expect("a command").key().to_string()
}

/// A body of `insert`: a list of texts, each the JSON of a command.
#[must_use]
pub fn insert_body(texts: &[String]) -> String {
    json!(texts).to_string()
}

/// A body of `member` or `lookup`.
#[must_use]
pub fn keys_body(keys: &[String]) -> String {
    json!(keys).to_string()
}

/// What `lookup` answers for a list of commands, `None` for those it does not know.
#[must_use]
pub fn found(texts: &[Option<String>]) -> Value {
    let one = |text: &Option<String>| match text {
        Some(text) => json!({"tag": "Pending", "contents": text}),
        None => json!({"tag": "Missing"}),
    };
    texts.iter().map(one).collect()
}
