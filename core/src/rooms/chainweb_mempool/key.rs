//! The names of commands: transaction hashes, and the request keys that stand for them in requests.

use crate::{base64url, json};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// The BLAKE2b-256 hash of a command's `cmd` text. Written as 43 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TxHash(pub [u8; 32]);

impl TxHash {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Hash for TxHash {
    /// As two numbers: half the work of a text of 32 bytes, and pools do little else.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (halves, _) = self.0.as_chunks::<16>();
        for half in halves {
            state.write_u128(u128::from_le_bytes(*half));
        }
    }
}

impl fmt::Display for TxHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for TxHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TxHash {
    type Err = TxHashError;

    fn from_str(text: &str) -> Result<Self, TxHashError> {
        if let Some(bytes) = base64url::decode_32(text.as_bytes()) {
            return Ok(Self(bytes));
        }
        let length = base64url::decode(text)?.len();
        Err(TxHashError::WrongLength { length })
    }
}

impl Serialize for TxHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TxHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a transaction hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TxHashError {
    /// The text is not base64url.
    #[error(transparent)]
    NotBase64(#[from] base64url::DecodeError),
    /// It stands for another number of bytes than 32.
    #[error("wrong transaction hash length: expected 32 bytes, got {length} bytes")]
    WrongLength {
        /// How many bytes it stands for.
        length: usize,
    },
}

/// What a client calls a command: its declared hash, whose length nobody has checked.
///
/// Rule: Chainweb's `TransactionHash`, which decodes any length and fails later below 8 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKey {
    /// A key of 32 bytes, the only ones that can be pending.
    Full(TxHash),
    /// A key of another length, at least [`REQUEST_KEY_BYTES_MIN`]: legal to ask for, never known.
    Odd(Arc<[u8]>),
}

impl RequestKey {
    /// Reads the base64url text of a key.
    ///
    /// # Errors
    ///
    /// The text is not base64url, or stands for fewer than [`REQUEST_KEY_BYTES_MIN`] bytes.
    pub fn from_text(text: &str) -> Result<Self, RequestKeyError> {
        if let Some(bytes) = base64url::decode_32(text.as_bytes()) {
            return Ok(Self::Full(TxHash(bytes)));
        }
        let bytes = base64url::decode(text)?;
        if bytes.len() < REQUEST_KEY_BYTES_MIN {
            return Err(RequestKeyError::TooShort);
        }
        Ok(Self::Odd(bytes.into()))
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Full(hash) => &hash.0,
            Self::Odd(bytes) => bytes,
        }
    }

    /// The key as a transaction hash, if it has the length of one.
    #[must_use]
    pub fn full(&self) -> Option<TxHash> {
        match self {
            Self::Full(hash) => Some(*hash),
            Self::Odd(_) => None,
        }
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(self.as_bytes()))
    }
}

/// Why a text is not a request key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RequestKeyError {
    /// The text is not base64url; worded as the real node words it inside a JSON error.
    #[error("Base64DecodeException \"{0}\"")]
    NotBase64(#[from] base64url::DecodeError),
    /// Fewer than [`REQUEST_KEY_BYTES_MIN`] bytes: refuses the whole request, as `text/plain`.
    #[error("not enough bytes")]
    TooShort,
}

/// Why the body of a `member` or `lookup` request is refused; `Display` is the body to answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestKeysError {
    /// Not JSON, not an array, or an element that is no base64url string: 400 without content type.
    #[error(transparent)]
    Malformed(#[from] json::Error),
    /// A key of fewer than [`REQUEST_KEY_BYTES_MIN`] bytes: 400 as `text/plain`. Found only in
    /// bodies without any other fault.
    #[error("not enough bytes")]
    TooShort,
}

/// Reads the body of a `member` or `lookup` request: a JSON array of request keys, in its order.
///
/// No limit but the body's own.
///
/// # Errors
///
/// As [`RequestKeysError`] tells them apart.
pub fn decode_request_keys(body: &[u8]) -> Result<Vec<RequestKey>, RequestKeysError> {
    if let Some(keys) = compact_keys(body) {
        return Ok(keys);
    }
    let texts = json::string_array(body, "TransactionHash")?;
    let mut keys = Vec::with_capacity(texts.len());
    let mut short = false;
    for (index, text) in texts.iter().enumerate() {
        match RequestKey::from_text(text) {
            Ok(key) => keys.push(key),
            Err(RequestKeyError::TooShort) => short = true,
            Err(error @ RequestKeyError::NotBase64(_)) => {
                return Err(json::Error::new(error.to_string()).at_index(index).into());
            }
        }
    }
    if short {
        Err(RequestKeysError::TooShort)
    } else {
        Ok(keys)
    }
}

/// Reads what nearly all clients send: 43 characters a key and no white space. `None` means that
/// the general way must decide.
fn compact_keys(body: &[u8]) -> Option<Vec<RequestKey>> {
    let elements = body.strip_prefix(b"[")?.as_chunks::<46>();
    let (elements, []) = elements else {
        return None;
    };
    let last = elements.len().checked_sub(1)?;
    let mut keys = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let [b'"', key @ .., b'"', end] = element else {
            return None;
        };
        if *end != if index == last { b']' } else { b',' } {
            return None;
        }
        keys.push(RequestKey::Full(TxHash(base64url::decode_32(key)?)));
    }
    Some(keys)
}

/// The fewest bytes a request key may have: what the real node's hash tables need.
pub const REQUEST_KEY_BYTES_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_between_keys_changes_nothing() {
        let check = |keys: &[&str]| {
            let quoted: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
            let compact = format!("[{}]", quoted.join(","));
            let spaced = format!("[ {} ]", quoted.join(" , "));
            assert_eq!(
                decode_request_keys(compact.as_bytes()),
                decode_request_keys(spaced.as_bytes()),
                "{compact}"
            );
        };
        let key = "C385m6e9S7WzelUFCyW-JoZFJGQNlcI0jqCO8YrPMVo";
        let stray = "C385m6e9S7WzelUFCyW-JoZFJGQNlcI0jqCO8YrPMVp";
        check(&[]);
        check(&[key]);
        check(&[key, key, key]);
        check(&[key, stray]);
        check(&[key, &key[1..]]);
        check(&[&key.replace('C', "+")]);
        assert!(decode_request_keys(format!("[\"{key}\",]").as_bytes()).is_err());
        assert!(decode_request_keys(format!("[\"{key}\"").as_bytes()).is_err());
        assert!(decode_request_keys(format!("[\"{key}\"}}").as_bytes()).is_err());
    }
}
