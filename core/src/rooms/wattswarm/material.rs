//! Contact material: how a node is reached and written to, as it says itself.
//!
//! What the node needs of it is read where it is decoded, so that nobody waits for long material. Which
//! fields ours has is told in `contact`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::Json;
use crate::commons::address::HostAddr;
use crate::ids::Fingerprint;
use crate::limits::{CONTACT_ADDRESSES_MAX, CONTACT_BYTES_MAX, CONTACT_SIGNATURE_BYTES_MAX};

/// Contact material with what was read of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Words", into = "Words")]
pub struct Material {
    words: Words,
    facts: Arc<Facts>,
}

/// Contact material as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Words {
    material_json: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Arc<str>>,
    generated_at: i64,
}

/// What is read of contact material; nothing of text that is no JSON or is too long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    /// Where the node's P2P listener may be.
    pub(super) addresses: Vec<HostAddr>,
    /// Of the node's certificate.
    pub(super) fingerprint: Option<Fingerprint>,
    /// The key for messages, in base64; nobody has looked at it yet.
    pub(super) dm_key: Option<Arc<str>>,
    /// Whether it is an object that clients can read where it is shown.
    pub(super) is_shown: bool,
}

impl Material {
    /// Material of JSON as text, made at a time in Unix milliseconds; its `signature` is by the node's
    /// key, in hex.
    #[must_use]
    pub fn new(material_json: Arc<str>, signature: Option<Arc<str>>, generated_at: i64) -> Self {
        Self::from(Words {
            material_json,
            signature,
            generated_at,
        })
    }

    /// JSON, as text.
    #[must_use]
    pub const fn json(&self) -> &Arc<str> {
        &self.words.material_json
    }

    /// By the node's key, in hex; not checked.
    #[must_use]
    pub const fn signature(&self) -> Option<&Arc<str>> {
        self.words.signature.as_ref()
    }

    /// When it was made, in Unix milliseconds.
    #[must_use]
    pub const fn generated_at(&self) -> i64 {
        self.words.generated_at
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether it is more than anybody has to say of how it is reached.
    pub(super) fn is_too_long(&self) -> bool {
        self.words.is_too_long()
    }

    /// Bytes that it keeps, roughly.
    pub(super) fn byte_size(&self) -> usize {
        let signature = self.signature();
        self.json().len() + signature.map_or(0, |signature| signature.len())
    }
}

impl Words {
    fn is_too_long(&self) -> bool {
        let signature = self.signature.as_ref();
        self.material_json.len() > CONTACT_BYTES_MAX
            || signature.is_some_and(|text| text.len() > CONTACT_SIGNATURE_BYTES_MAX)
    }
}

impl From<Words> for Material {
    fn from(words: Words) -> Self {
        let facts = if words.is_too_long() {
            Facts::default()
        } else {
            Facts::read(&words.material_json)
        };
        Self {
            words,
            facts: facts.into(),
        }
    }
}

impl From<Material> for Words {
    fn from(material: Material) -> Self {
        material.words
    }
}

impl Facts {
    fn read(material_json: &Arc<str>) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(material_json) else {
            return Self::default();
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let addresses = value["listen_addrs"].as_array().into_iter().flatten();
        Self {
            addresses: addresses
                .take(CONTACT_ADDRESSES_MAX)
                .filter_map(|addr| addr.as_str()?.parse().ok())
                .collect(),
            fingerprint: text(&value["fingerprint"]).and_then(|text| text.parse().ok()),
            dm_key: text(&value["encryption"]["private_message"]["public_key_b64"]).map(Arc::from),
            is_shown: value.is_object() && Json(material_json.clone()).is_shallow(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Facts {
        Material::new(text.into(), None, 1).facts().clone()
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let long = format!(r#"{{"encryption":"{}"}}"#, "x".repeat(CONTACT_BYTES_MAX));
        for text in ["", "{", "x", "null", "1", "[]", r#""{}""#, long.as_str()] {
            assert_eq!(read(text), Facts::default(), "{text:.20}");
        }
        let signed = Material::new("{}".into(), Some("x".repeat(1_025).into()), 1);
        assert!(signed.is_too_long() && !signed.facts().is_shown);
    }

    #[test]
    fn fields_of_other_kinds_are_passed_over() {
        let facts = read(
            r#"{"listen_addrs":["1.2.3.4:1",2,null,"x","[::1]:2"],"fingerprint":7,"encryption":[]}"#,
        );
        let addresses: Vec<String> = facts.addresses.iter().map(HostAddr::to_string).collect();
        assert_eq!(addresses, ["1.2.3.4:1", "[::1]:2"]);
        assert_eq!((facts.fingerprint, facts.dm_key), (None, None));
        assert!(facts.is_shown);
    }

    #[test]
    fn addresses_are_bounded() {
        let many: Vec<String> = (0..100).map(|n| format!("1.2.3.{n}:1")).collect();
        let facts = read(&json!({ "listen_addrs": many }).to_string());
        assert_eq!(facts.addresses.len(), CONTACT_ADDRESSES_MAX);
    }

    #[test]
    fn material_is_written_as_it_was_read() {
        for text in [
            r#"{"material_json":" {} ","signature":"ab","generated_at":-1}"#,
            r#"{"material_json":"","generated_at":9007199254740993}"#,
        ] {
            let material: Material = serde_json::from_str(text).expect("material");
            assert_eq!(serde_json::to_string(&material).expect("JSON"), text);
        }
        for text in [
            "{}",
            r#"{"material_json":{},"generated_at":1}"#,
            r#"{"material_json":"","generated_at":1.0}"#,
            r#"{"material_json":"","generated_at":"1"}"#,
            r#"{"material_json":"","generated_at":9223372036854775808}"#,
        ] {
            assert!(serde_json::from_str::<Material>(text).is_err(), "{text}");
        }
    }
}
