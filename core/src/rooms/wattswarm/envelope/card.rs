//! The card of the agent that speaks: what it must say about the envelope it comes with.

use sha2::{Digest as _, Sha256};

use crate::ids::PublicKey;
use crate::json::Value;
use crate::rooms::wattswarm::ids::hex;

use super::canonical::{self, Members};
use super::fields::{Field, Fields, json_text, mistaken, optional_text, text};

/// A source agent card as it was given.
#[derive(Clone)]
pub(super) struct Card {
    pub(super) agent_id: String,
    /// Any JSON, as compact text with sorted keys.
    pub(super) card: String,
    pub(super) card_hash: String,
    /// Whether `card_hash` is the digest of the card.
    hash_fits: bool,
    /// The issuer's clock; nobody compares it.
    pub(super) issued_at: u64,
    pub(super) node_id: Option<String>,
    pub(super) signature: Option<String>,
}

impl Card {
    /// Reads a card; `null` is none.
    pub(super) fn read(value: &Value<'_>) -> Result<Option<Self>, String> {
        if matches!(value, Value::Null) {
            return Ok(None);
        }
        let Value::Object(object) = value else {
            return Err(mistaken(value, "an object"));
        };
        let mut seen = Seen::default();
        for (name, value) in object.members() {
            match name {
                "agent_id" => seen.agent_id.fill(name, || text(value))?,
                "card" => {
                    seen.card.fill(name, || json_text(value))?;
                    seen.digest = canonical::canonical(value)
                        .ok()
                        .map(|text| hex(&Sha256::digest(text)));
                }
                "card_hash" => seen.card_hash.fill(name, || text(value))?,
                "issued_at" => seen.issued_at.fill(name, || moment(value))?,
                "node_id" => seen.node_id.fill(name, || optional_text(value))?,
                "signature" => seen.signature.fill(name, || optional_text(value))?,
                _ => {}
            }
        }
        let card_hash = seen.card_hash.required("card_hash")?;
        let digest = seen.digest.as_deref();
        Ok(Some(Self {
            agent_id: seen.agent_id.required("agent_id")?,
            issued_at: seen.issued_at.required("issued_at")?,
            card: seen.card.required("card")?,
            hash_fits: card_hash.strip_prefix("sha256:") == digest && digest.is_some(),
            card_hash,
            node_id: seen.node_id.0.flatten(),
            signature: seen.signature.0.flatten(),
        }))
    }

    /// The card is that of the agent and the node which the envelope names, and that node is the one
    /// which sent it.
    pub(super) fn check_bearer(&self, fields: &Fields, source: &PublicKey) -> Result<(), String> {
        if fields
            .source_agent_id
            .as_ref()
            .is_some_and(|id| *id != self.agent_id)
        {
            return Err(
                "agent envelope source_agent_id does not match source_agent_card agent_id"
                    .to_owned(),
            );
        }
        if fields.source_node_id.is_some() && fields.source_node_id != self.node_id {
            return Err(
                "agent envelope source_node_id does not match source_agent_card node_id".to_owned(),
            );
        }
        let from_source = |id: &String| source.with_text(|text| id == text);
        if !fields.source_node_id.as_ref().is_some_and(from_source) {
            return Err(
                "agent envelope source_node_id does not match network source node".to_owned(),
            );
        }
        Ok(())
    }

    /// `card_hash` is the digest of the card.
    pub(super) fn check_hash(&self) -> Result<(), String> {
        if !self.hash_fits {
            return Err("source_agent_card hash mismatch".to_owned());
        }
        Ok(())
    }

    /// The card as compact JSON with sorted keys.
    pub(super) fn json(&self) -> String {
        Members::new()
            .text("agent_id", &self.agent_id)
            .json("card", &self.card)
            .text("card_hash", &self.card_hash)
            .json("issued_at", &self.issued_at.to_string())
            .maybe("node_id", self.node_id.as_ref())
            .maybe("signature", self.signature.as_ref())
            .end()
    }

    /// What the signature of the card is made over: the card by its hash alone.
    pub(super) fn signed(&self) -> String {
        Members::new()
            .text("agent_id", &self.agent_id)
            .text("card_hash", &self.card_hash)
            .json("issued_at", &canonical::integer(self.issued_at))
            .maybe("node_id", self.node_id.as_ref())
            .end()
    }
}

#[derive(Default)]
struct Seen {
    agent_id: Field<String>,
    card: Field<String>,
    card_hash: Field<String>,
    /// Of the card as canonical JSON, in hexadecimal.
    digest: Option<String>,
    issued_at: Field<u64>,
    node_id: Field<Option<String>>,
    signature: Field<Option<String>>,
}

fn moment(value: &Value<'_>) -> Result<u64, String> {
    let Value::Number(number) = value else {
        return Err(mistaken(value, "u64"));
    };
    let moment = number.text().parse();
    moment.map_err(|_| mistaken(value, "u64"))
}
