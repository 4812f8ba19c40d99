//! Agent envelopes: what an agent says along with a relationship action or a message.
//!
//! [`Envelope::read`] decides whether a JSON value is an envelope; it is read the same way from a
//! client and from a peer. An envelope has two texts: [`Envelope::raw`] travels, and keeps the message
//! as the very text that was signed; [`Envelope::stored`] is shown, with the message as JSON. Who
//! wrote it is for [`Envelope::job_for`] to say. Rule: WattSwarm `RawAgentEnvelope`.

mod canonical;
mod card;
mod claims;
mod fields;
mod key;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::value::RawValue;
use thiserror::Error;

use crate::ids::PublicKey;
use crate::json::{self, Value};
use crate::limits::{AGENT_ENVELOPE_BYTES_MAX, AGENT_JSON_BYTES_MAX};
use crate::verify::VerifyJob;

pub use claims::{ClaimFault, Claims, Part};

use fields::Fields;

/// Why a JSON value is no envelope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvelopeFault {
    /// An envelope whose contents are refused: 400. The wording is the one of the original.
    #[error("{0}")]
    Invalid(String),
    /// Not an envelope at all: 422. Names the field, not where the envelope itself stands.
    #[error("{0}")]
    Shape(String),
}

/// An envelope that is well formed and within its bounds. Equal envelopes travel as equal texts.
#[derive(Clone)]
pub struct Envelope {
    fields: Arc<Fields>,
    raw: Arc<str>,
    stored: Arc<str>,
    request_id: Option<Arc<str>>,
    /// What is signed, or what is malformed about it.
    claims: Result<Option<Arc<Claims>>, Arc<str>>,
}

impl Envelope {
    /// Reads an envelope: an object with a `protocol` that is not blank, and the optional fields.
    ///
    /// `message_json` and `extensions_json` may be called `message` and `extensions` and be any JSON,
    /// which is then turned into compact text with sorted keys. What is absent or `null` is not there.
    /// Unknown fields are dropped.
    ///
    /// All that takes time with the length of an envelope is done here, where drivers decode, and not
    /// later, where the node waits for it.
    ///
    /// # Errors
    /// First everything that [`EnvelopeFault::Shape`] covers, in the order of the text: not an object,
    /// a field of the wrong type or given twice, also under its other name, a field that is missing.
    /// Then [`EnvelopeFault::Invalid`]: a blank protocol or card, a text of more than
    /// [`AGENT_JSON_BYTES_MAX`] bytes, more than [`AGENT_ENVELOPE_BYTES_MAX`] in all.
    pub fn read(text: &RawValue) -> Result<Self, EnvelopeFault> {
        let value = json::parse(text.get()).map_err(|fault| {
            EnvelopeFault::Shape(format!("agent envelope is not JSON: {fault}"))
        })?;
        let fields = Fields::read(&value).map_err(EnvelopeFault::Shape)?;
        validate(&fields).map_err(EnvelopeFault::Invalid)?;
        let raw = fields.raw();
        if raw.len() > AGENT_ENVELOPE_BYTES_MAX {
            return Err(EnvelopeFault::Invalid(too_long("agent envelope")));
        }
        let message = json::parse(&fields.message_json).ok();
        Ok(Self {
            raw: raw.into(),
            stored: fields.stored(message.as_ref()).into(),
            request_id: message.as_ref().and_then(request_id),
            claims: Claims::of(&fields)
                .map(|claims| claims.map(Arc::new))
                .map_err(Arc::from),
            fields: Arc::new(fields),
        })
    }

    /// What must be checked before the envelope is taken as coming from the node `source`, which is
    /// the one that sent it.
    ///
    /// Compares at once: a card must name the agent and the node of the envelope, the
    /// node must be `source`, and `card_hash` must be `sha256:` with the digest of the card as
    /// canonical JSON (RFC 8785). The signatures of card and envelope are left to the job; unsigned
    /// envelopes have none. Rule: WattSwarm `verify_agent_envelope_signature_for_source`.
    ///
    /// # Errors
    /// What does not fit, in the original's words where it has some; also a signature or a key that
    /// is malformed.
    pub fn job_for(&self, source: &PublicKey) -> Result<Option<VerifyJob>, String> {
        if let Some(card) = &self.fields.source_agent_card {
            card.check_bearer(&self.fields, source)?;
            card.check_hash()?;
        }
        match &self.claims {
            Ok(claims) => Ok(claims.clone().map(VerifyJob::Envelope)),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// The protocol, as it was given, for example `google_a2a`.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.fields.protocol
    }

    /// The text that travels to the peer, which reads it with [`Envelope::read`]: compact JSON of all
    /// known fields, with the message as text.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The id of the relationship request that the envelope is about: the trimmed `request_id` of its
    /// message, if that is an object with such a text and the text is not blank.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The text that is shown in records and messages: compact JSON with sorted keys, `message` and
    /// `extensions` as JSON. A message that is no JSON is shown as `{}`, such extensions not at all.
    #[must_use]
    pub fn stored(&self) -> Arc<str> {
        self.stored.clone()
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What agents say to each other is theirs.
        f.debug_struct("Envelope")
            .field("protocol", &self.fields.protocol)
            .field("bytes", &self.raw.len())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for Envelope {}

impl Hash for Envelope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}

/// Refuses contents in the order of the original.
fn validate(fields: &Fields) -> Result<(), String> {
    if fields.protocol.trim().is_empty() {
        return Err("agent envelope protocol is required".to_owned());
    }
    within("agent envelope message_json", &fields.message_json)?;
    if let Some(extensions) = &fields.extensions_json {
        within("agent envelope extensions_json", extensions)?;
    }
    let Some(card) = &fields.source_agent_card else {
        return Ok(());
    };
    if card.agent_id.trim().is_empty() {
        return Err("source_agent_card agent_id is required".to_owned());
    }
    if card.card_hash.trim().is_empty() {
        return Err("source_agent_card card_hash is required".to_owned());
    }
    within("source_agent_card card", &card.card)
}

fn within(what: &str, text: &str) -> Result<(), String> {
    if text.len() > AGENT_JSON_BYTES_MAX {
        return Err(too_long(what));
    }
    Ok(())
}

fn too_long(what: &str) -> String {
    format!("{what} exceeds configured max bytes")
}

fn request_id(message: &Value<'_>) -> Option<Arc<str>> {
    let Value::Object(message) = message else {
        return None;
    };
    let (_, id) = message
        .members()
        .filter(|(name, _)| *name == "request_id")
        .last()?;
    let id = id.string("Text").ok()?.trim();
    (!id.is_empty()).then(|| id.into())
}

#[cfg(test)]
mod tests;
