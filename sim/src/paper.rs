//! What users and liars write on: agent envelopes, signed and unsigned, right and wrong, and the
//! contents of messages.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use peerage_core::rooms::wattswarm::Sent;
use peerage_core::rooms::wattswarm::envelope::{Envelope, EnvelopeFault};
use peerage_core::rooms::wattswarm::records::Json;
use serde_json::json;
use serde_json::value::RawValue;

/// What an envelope is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Nobody signed it. Every node takes it.
    Plain,
    /// The agent whose secret this is signed it. Every node takes it.
    Signed([u8; 32]),
    /// It says that this agent signed it, who did not.
    Forged([u8; 32]),
    /// It names no protocol.
    Blank,
    /// Its card is not what its hash says.
    FalseCard,
    /// Its message is larger than any may be.
    Giant,
}

/// An envelope with this text as its message.
#[must_use]
pub fn envelope(seal: Seal, message: &str) -> Sent {
    let agent = |secret: &[u8; 32]| {
        let key = SigningKey::from_bytes(secret).verifying_key();
        STANDARD.encode(key.to_bytes())
    };
    let value = match seal {
        Seal::Plain => json!({ "message_json": message, "protocol": PROTOCOL }),
        Seal::Blank => json!({ "message_json": message, "protocol": " " }),
        Seal::Giant => json!({ "message_json": "x".repeat(70_000), "protocol": PROTOCOL }),
        Seal::FalseCard => json!({
            "message_json": message,
            "protocol": PROTOCOL,
            "source_agent_card": {
                "agent_id": "agent",
                "card": { "name": "somebody" },
                "card_hash": "sha256:00",
                "issued_at": 7,
            },
        }),
        Seal::Signed(secret) | Seal::Forged(secret) => {
            let mut value = json!({
                "message_json": message,
                "protocol": PROTOCOL,
                "source_agent_id": agent(&secret),
            });
            let forged = matches!(seal, Seal::Forged(_));
            // Keys come sorted and nothing needs an escape that is not everybody's, so this is the
            // canonical text.
            let text = if forged {
                "something else".to_owned()
            } else {
                value.to_string()
            };
            let signature = SigningKey::from_bytes(&secret).sign(text.as_bytes());
            value["signature"] = STANDARD.encode(signature.to_bytes()).into();
            value
        }
    };
    sent(&value.to_string())
}

/// An envelope as a node's reader has it.
fn sent(text: &str) -> Sent {
    let raw: &RawValue = serde_json::from_str(text).expect("what was written is JSON");
    match Envelope::read(raw) {
        Ok(envelope) => Sent {
            raw: Json(envelope.raw().into()),
            read: Ok(Arc::new(envelope)),
        },
        Err(EnvelopeFault::Invalid(why) | EnvelopeFault::Shape(why)) => Sent {
            raw: Json(text.into()),
            read: Err(why.into()),
        },
    }
}

/// What the message with this number says: texts mostly, and every other kind of JSON.
#[must_use]
pub fn content(number: u64, size: usize) -> Json {
    let value = match number % 8 {
        0 => json!({ "text": format!("letter {number}"), "tags": [number, null, true] }),
        1 => json!([number, "one after the other"]),
        2 => json!(number),
        3 => serde_json::Value::Null,
        4 => json!(format!("{number} {}", "x".repeat(size))),
        _ => json!(format!("letter {number}")),
    };
    Json(value.to_string().into())
}

/// A content larger than any message may be.
#[must_use]
pub fn giant() -> Json {
    Json(json!("x".repeat(120_000)).to_string().into())
}

const PROTOCOL: &str = "google_a2a";

#[cfg(test)]
mod tests {
    use super::*;
    use peerage_core::ids::PublicKey;
    use peerage_core::verify::{Verdict, check};

    #[test]
    fn envelopes_are_what_they_are_meant_to_be() {
        let source = PublicKey([1; 32]);
        let verdict = |seal: Seal| {
            let sent = envelope(seal, "{\"request_id\":\"r1\"}");
            let read = sent.read.ok()?;
            assert_eq!(read.request_id(), Some("r1"));
            let job = read.job_for(&source).ok()?;
            Some(job.map(|job| check(&[job]).remove(0)))
        };
        assert_eq!(verdict(Seal::Plain), Some(None));
        assert_eq!(
            verdict(Seal::Signed([7; 32])),
            Some(Some(Verdict::Envelope(Ok(()))))
        );
        let forged = verdict(Seal::Forged([7; 32]));
        assert!(matches!(forged, Some(Some(Verdict::Envelope(Err(_))))));
        for seal in [Seal::Blank, Seal::FalseCard] {
            assert_eq!(verdict(seal), None, "{seal:?}");
        }
        assert!(envelope(Seal::Giant, "").read.is_err());
    }
}
