//! Making signed commands, for tests and the command line.
//!
//! Deterministic: the same draft and seeds give the same text, byte for byte.

use super::command::hash_cmd;
use super::key::TxHash;
use crate::json;
use ed25519_dalek::{Signer as _, SigningKey};
use std::fmt::Write as _;

/// What a simple command says: one piece of code without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft<'a> {
    /// The chain it is for.
    pub chain: u16,
    /// The Pact code.
    pub code: &'a str,
    /// When it is made, in seconds since the epoch.
    pub creation_time: i64,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// What it pays per unit of gas: a JSON number such as `1e-7`, taken over as it is.
    pub gas_price: &'a str,
    /// The name of the network.
    pub network: &'a str,
    /// Anything that tells it from its like.
    pub nonce: &'a str,
    /// The account that pays.
    pub sender: &'a str,
    /// How long it may wait, in seconds.
    pub ttl: i64,
}

impl Draft<'_> {
    /// The `cmd` text with these signers, given by the texts of their public keys.
    #[must_use]
    pub fn cmd(&self, public_keys: &[String]) -> String {
        let quoted = |text: &str| {
            let mut literal = String::new();
            json::write_string(&mut literal, text);
            literal
        };
        let signers: Vec<String> = public_keys
            .iter()
            .map(|key| format!("{{\"pubKey\":{}}}", quoted(key)))
            .collect();
        format!(
            "{{\"networkId\":{},\"payload\":{{\"exec\":{{\"data\":{{}},\"code\":{}}}}},\
             \"signers\":[{}],\"meta\":{{\"creationTime\":{},\"ttl\":{},\"gasLimit\":{},\
             \"chainId\":\"{}\",\"gasPrice\":{},\"sender\":{}}},\"nonce\":{}}}",
            quoted(self.network),
            quoted(self.code),
            signers.join(","),
            self.creation_time,
            self.ttl,
            self.gas_limit,
            self.chain,
            self.gas_price,
            quoted(self.sender),
            quoted(self.nonce),
        )
    }

    /// The text of the command, signed by the owners of `seeds` in this order.
    #[must_use]
    pub fn sign(&self, seeds: &[[u8; 32]]) -> String {
        let keys: Vec<String> = seeds.iter().map(public_key).collect();
        sign_cmd(&self.cmd(&keys), seeds)
    }
}

/// The public key of an Ed25519 seed, as 64 hexadecimal digits.
#[must_use]
pub fn public_key(seed: &[u8; 32]) -> String {
    hex(SigningKey::from_bytes(seed).verifying_key().as_bytes())
}

/// The text of a command with any `cmd`, signed by the owners of `seeds` in this order.
#[must_use]
pub fn sign_cmd(cmd: &str, seeds: &[[u8; 32]]) -> String {
    let hash = hash_cmd(cmd);
    let sigs: Vec<String> = seeds
        .iter()
        .map(|seed| {
            hex(&SigningKey::from_bytes(seed)
                .sign(hash.as_bytes())
                .to_bytes())
        })
        .collect();
    wire(&hash, &sigs, cmd)
}

/// The canonical text of a command of these parts, right or wrong.
#[must_use]
pub fn wire(hash: &TxHash, sigs: &[String], cmd: &str) -> String {
    let mut text = format!("{{\"hash\":\"{hash}\",\"sigs\":[");
    for (index, sig) in sigs.iter().enumerate() {
        text.push_str(if index == 0 {
            "{\"sig\":"
        } else {
            ",{\"sig\":"
        });
        json::write_string(&mut text, sig);
        text.push('}');
    }
    text.push_str("],\"cmd\":");
    json::write_string(&mut text, cmd);
    text.push('}');
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
