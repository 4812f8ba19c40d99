//! A scripted authenticator: WebAuthn signatures with a P-256 key, for tests.

use super::sign::hex;
use crate::{base64url, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};

/// A P-256 key that signs challenges as a browser would.
#[derive(Clone, Debug)]
pub struct Authenticator {
    key: SigningKey,
}

impl Authenticator {
    /// The authenticator whose secret is this big-endian number; `None` if it is zero or not below
    /// the order of the curve.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Option<Self> {
        SigningKey::from_slice(secret).ok().map(|key| Self { key })
    }

    /// The public key as a COSE key in hexadecimal, without prefix.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.public_key_with_algorithm(-7)
    }

    /// The same key, claiming to be for another algorithm, from −24 to −1.
    #[must_use]
    pub fn public_key_with_algorithm(&self, algorithm: i8) -> String {
        let point = self.key.verifying_key().to_sec1_point(false);
        let (x, y) = point
            .as_bytes()
            .get(1..)
            .unwrap_or(&[])
            .split_at_checked(32)
            .unwrap_or_default();
        let algorithm = 0x20 | (-1 - algorithm) as u8 & 0x1f;
        let head = [
            0xa5, 0x01, 0x02, 0x03, algorithm, 0x20, 0x01, 0x21, 0x58, 32,
        ];
        hex(&[&head, x, &[0x22, 0x58, 32], y].concat())
    }

    /// The `sig` text for a challenge: the base64url text of a transaction hash.
    #[must_use]
    pub fn sign(&self, challenge: &str) -> String {
        let mut client_data = "{\"type\":\"webauthn.get\",\"challenge\":".to_owned();
        json::write_string(&mut client_data, challenge);
        client_data.push_str(",\"origin\":\"https://wallet.example\"}");
        let authenticator_data = [0x49; 37];
        let mut signed = authenticator_data.to_vec();
        signed.extend_from_slice(&Sha256::digest(client_data.as_bytes()));
        let signature: Signature = self.key.sign(&signed);
        format!(
            "{{\"authenticatorData\":\"{}\",\"clientDataJSON\":\"{}\",\"signature\":\"{}\"}}",
            STANDARD.encode(authenticator_data),
            base64url::encode(client_data.as_bytes()),
            STANDARD.encode(signature.to_der()),
        )
    }
}
