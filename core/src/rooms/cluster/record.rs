//! What a node announces of itself, signed by itself, and the one way of making signed bytes.
//!
//! Signed messages are length-prefixed fields behind a fixed text per kind, so that no signature
//! can be used for another kind or with its fields cut elsewhere. Rule: cluster API, between agents.

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use super::wire::{base64_key, base64_signature};
use crate::commons::address::HostAddr;
use crate::ids::{PeerId, PublicKey};
use crate::limits::{CLUSTER_TEXT_MAX, NAME_CHARS_MAX};
use crate::verify::Signed;

/// A node's announcement of itself. The author is whoever signed it, not whoever carries it; of two
/// the one with the higher version counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Who.
    pub peer_id: PeerId,
    /// Grows with every change; the first is 1.
    pub version: u64,
    /// Where the node says it is, as `host:port`.
    pub address: String,
    /// Its key.
    #[serde(with = "base64_key")]
    pub public_key: PublicKey,
    /// What it calls itself.
    pub name: String,
    /// When it left its cluster, in seconds since the Unix epoch; `None` while it is active.
    pub deactivated_at: Option<u64>,
    /// Its signature over all of this.
    #[serde(with = "base64_signature")]
    pub signature: [u8; 64],
}

impl Record {
    /// Signs what the other fields say.
    pub fn sign(&mut self, key: &SigningKey) {
        self.signature = key.sign(&self.message()).to_bytes();
    }

    /// The signature, to be checked with the key that we hold for the author.
    pub(super) fn signed_by(&self, key: PublicKey) -> Signed {
        Signed {
            key,
            message: self.message(),
            signature: self.signature,
        }
    }

    /// Whether its author is active.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.deactivated_at.is_none()
    }

    /// The address, if it is one that can be called.
    #[must_use]
    pub fn host_addr(&self) -> Option<HostAddr> {
        let address: HostAddr = self.address.parse().ok()?;
        (address.port != 0).then_some(address)
    }

    /// Whether no field is longer than it may be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.version > 0
            && self.address.len() <= CLUSTER_TEXT_MAX + 8
            && self.host_addr().is_some()
            && is_name(&self.name)
    }

    fn message(&self) -> Vec<u8> {
        Message::new("peerage cluster record 1")
            .text(&self.peer_id.to_string())
            .number(self.version)
            .text(&self.address)
            .bytes(&self.public_key.0)
            .text(&self.name)
            .number(self.deactivated_at.map_or(0, |at| at.saturating_add(1)))
            .done()
    }
}

/// Whether a text may be a peer's name.
#[must_use]
pub fn is_name(text: &str) -> bool {
    // Counting stops early: a text may be long.
    text.chars().nth(NAME_CHARS_MAX).is_none()
}

/// Bytes to be signed: fields with their lengths, behind the name of their kind.
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn new(kind: &str) -> Self {
        Self(Vec::with_capacity(256)).text(kind)
    }

    pub(super) fn bytes(mut self, field: &[u8]) -> Self {
        self.0
            .extend_from_slice(&(field.len() as u64).to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    /// A text that may be missing, which is not the same as empty.
    pub(super) fn maybe(self, field: Option<&str>) -> Self {
        match field {
            Some(text) => self.number(1).text(text),
            None => self.number(0),
        }
    }

    pub(super) fn number(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}
