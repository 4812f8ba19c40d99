//! Secrets as digests: what is kept of a token or a password, and how one is recognised.
//!
//! A secret that we make has 256 random bits, so its plain SHA-256 gives nothing away. Digests are
//! compared without telling by the time it takes how much of them fits.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::base64url;

/// The SHA-256 of a secret text. Never shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// What is kept of `secret`.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether both are digests of one secret; takes as long either way.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The bytes, for what is signed or stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}

impl Serialize for SecretDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64url::decode_32(text.as_bytes())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("not a digest of 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_knows_its_secret_and_shows_nothing() {
        let digest = SecretDigest::of("open sesame");
        assert!(digest.matches(&SecretDigest::of("open sesame")));
        assert!(!digest.matches(&SecretDigest::of("open sesam")));
        assert_eq!(format!("{digest:?}"), "SecretDigest(..)");
        let text = serde_json::to_string(&digest).expect("a string");
        assert_eq!(
            serde_json::from_str::<SecretDigest>(&text).ok(),
            Some(digest)
        );
    }
}
