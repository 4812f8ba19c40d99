//! Ids of 32 bytes with one text form each, and the ids that a cluster mints.
//!
//! A [`Fingerprint`] names a Chainweb peer by its certificate, a [`PublicKey`] names a node by its
//! key. Both are plain bytes here; whether a key is a point of the curve is for the signature code
//! to say.

mod minted;

use std::fmt;
use std::str::FromStr;

pub use minted::{ClusterId, NotMinted, PeerId};
use sha2::{Digest, Sha256};

/// Why a text is not an id of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not base64url or hexadecimal, or its last character has stray low bits.
    #[error("malformed id")]
    Malformed,
    /// The text decodes, but not to 32 bytes. The wording is the one of the Chainweb node.
    #[error("wrong peer-id length: expected 32 bytes, got {got} bytes.")]
    WrongLength {
        /// Bytes that the text decodes to.
        got: usize,
    },
}

/// A Chainweb peer id: SHA-256 of the DER bytes of the peer's certificate, the leaf of a chain.
///
/// Text form: base64url, 43 characters without padding; padded input is read too. Rule: Chainweb
/// P2P, peer id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Characters of the text form.
    pub const TEXT_LEN: usize = 43;

    /// The fingerprint of a certificate, given its DER bytes.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Calls `f` with the text form, which lives on the stack.
    pub fn with_text<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        let mut buf = [0; Self::TEXT_LEN];
        f(text::encode(&self.0, &mut buf))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        text::decode(s).map(Self)
    }
}

/// An Ed25519 public key as bytes. Text form: 64 hexadecimal digits, printed lower case, read in
/// either case.
///
/// Rule: WattSwarm node id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Characters of the text form.
    pub const TEXT_LEN: usize = 64;

    /// The key that belongs to the 32 bytes of a secret key.
    #[must_use]
    pub fn of_secret(secret: &[u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(secret);
        Self(key.verifying_key().to_bytes())
    }

    /// Calls `f` with the text form, which lives on the stack.
    pub fn with_text<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut buf = [0; Self::TEXT_LEN];
        for (pair, byte) in buf.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f(std::str::from_utf8(&buf).expect("hexadecimal digits are ASCII"))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let digits = s.as_bytes();
        if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(IdError::Malformed);
        }
        if digits.len() != Self::TEXT_LEN {
            return Err(IdError::WrongLength {
                got: digits.len() / 2,
            });
        }
        let mut key = [0; 32];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0]) << 4 | hex_value(pair[1]);
        }
        Ok(Self(key))
    }
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

/// Base64url of 32 bytes: padding optional, stray trailing bits refused.
/// The text form that identities share with transaction hashes.
mod text {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{Fingerprint, IdError};
    use crate::base64url;

    pub(super) fn encode<'a>(
        bytes: &[u8; 32],
        buf: &'a mut [u8; Fingerprint::TEXT_LEN],
    ) -> &'a str {
        let len = URL_SAFE_NO_PAD
            .encode_slice(bytes, buf)
            .expect("43 characters hold 32 bytes");
        std::str::from_utf8(&buf[..len]).expect("base64url is ASCII")
    }

    pub(super) fn decode(s: &str) -> Result<[u8; 32], IdError> {
        if let Some(bytes) = base64url::decode_32(s.as_bytes()) {
            return Ok(bytes);
        }
        let bytes = base64url::decode(s).map_err(|_| IdError::Malformed)?;
        <[u8; 32]>::try_from(bytes.as_slice())
            .map_err(|_| IdError::WrongLength { got: bytes.len() })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn peer_ids_are_fingerprints_of_leaf_certificates() {
        let file = include_str!("../../tests/vectors/chainweb/peer_ids.json");
        let file: serde_json::Value = serde_json::from_str(file).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases") {
            let pem = case["certificate_pem"].as_str().expect("pem");
            let leaf: String = pem
                .lines()
                .skip(1)
                .take_while(|line| !line.starts_with('-'))
                .collect();
            let der = STANDARD.decode(leaf).expect("base64");
            let expected = case["peer_id"].as_str().expect("peer id");
            let id = Fingerprint::of_certificate(&der);
            assert_eq!(id.to_string(), expected, "{}", case["id"]);
            assert_eq!(expected.parse(), Ok(id), "{}", case["id"]);
        }
    }

    #[test]
    fn fingerprints_refuse_what_the_real_node_refuses() {
        let check = |s: &str| s.parse::<Fingerprint>();
        assert_eq!(check("AAAA"), Err(IdError::WrongLength { got: 3 }));
        assert_eq!(
            IdError::WrongLength { got: 3 }.to_string(),
            "wrong peer-id length: expected 32 bytes, got 3 bytes."
        );
        assert_eq!(check(""), Err(IdError::WrongLength { got: 0 }));
        assert_eq!(check(&"A".repeat(41)), Err(IdError::Malformed));
        assert_eq!(
            check(&"A".repeat(42)),
            Err(IdError::WrongLength { got: 31 })
        );
        assert!(check(&"A".repeat(43)).is_ok());
        assert!(check(&format!("{}=", "A".repeat(43))).is_ok());
        assert_eq!(
            check(&format!("{}B", "A".repeat(42))),
            Err(IdError::Malformed)
        );
        assert_eq!(
            check(&format!("{}+{}", "A".repeat(20), "A".repeat(22))),
            Err(IdError::Malformed)
        );
        assert_eq!(check(&"é".repeat(21)), Err(IdError::Malformed));
    }

    #[test]
    fn public_keys_read_either_case_and_print_lower_case() {
        let upper = "AB".repeat(32);
        let key: PublicKey = upper.parse().expect("64 digits");
        assert_eq!(key, PublicKey([0xab; 32]));
        assert_eq!(key.to_string(), "ab".repeat(32));
        assert_eq!(
            "ab".parse::<PublicKey>(),
            Err(IdError::WrongLength { got: 1 })
        );
        assert_eq!("abc".parse::<PublicKey>(), Err(IdError::Malformed));
        assert_eq!("g".repeat(64).parse::<PublicKey>(), Err(IdError::Malformed));
        assert_eq!(format!("{key:?}"), format!("PublicKey({key})"));
    }
}
