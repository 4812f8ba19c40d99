//! The encryption of direct messages: who can read one, and where it belongs.
//!
//! Two nodes agree on a key by X25519 of their lasting keys; each message is sealed with
//! ChaCha20-Poly1305 under a nonce of its own, bound to both nodes, the conversation and the message.
//! Rule: WattSwarm `wattswarm.private.dm.v1`. A lasting key means that whoever steals a node's seed
//! can read what was sent to it before; that is the protocol's choice.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Why a key cannot be agreed on, or a message cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CipherFault {
    /// The other side's key, the nonce or the ciphertext is not base64.
    #[error("decode {0}")]
    Encoding(Field),
    /// The message was sealed for another key pair, names or nonce, or was changed on its way.
    #[error("decrypt private message: it was changed, or sealed for another conversation")]
    Forged,
    /// A nonce that is not 12 bytes.
    #[error("invalid private message nonce length")]
    NonceLength,
    /// A key under which every secret is the same: agreeing on it would let anybody read along.
    #[error("unusable x25519 public key")]
    NotContributory,
    /// A scheme, key agreement or cipher that is not the one spoken here.
    #[error("unsupported private message {0}")]
    Unsupported(Field),
    /// A key that is not 32 bytes. The wording is the one of the original.
    #[error("invalid x25519 public key length")]
    WrongLength,
}

/// The part of a carried message that a [`CipherFault`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// How the content is sealed.
    Cipher,
    /// The sealed content.
    Ciphertext,
    /// How the key is agreed on.
    KeyAgreement,
    /// The number that is used once.
    Nonce,
    /// A public key, the sender's or the recipient's.
    PublicKey,
    /// The name of the whole.
    Scheme,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cipher => "cipher",
            Self::Ciphertext => "ciphertext",
            Self::KeyAgreement => "key agreement",
            Self::Nonce => "nonce",
            Self::PublicKey => "x25519 public key",
            Self::Scheme => "scheme",
        })
    }
}

/// The X25519 secret of the node whose Ed25519 seed is `seed`.
///
/// HKDF-SHA-256 with the salt `peerage` and the info `wattswarm-private-dm-x25519-v1`, so that the
/// one secret which a node keeps gives both keys, and neither key tells of the other. Rule: ours,
/// "one node, five names"; other nodes only ever see the public key.
#[must_use]
pub fn dm_secret(seed: &[u8; 32]) -> [u8; 32] {
    derived(b"peerage", seed, b"wattswarm-private-dm-x25519-v1")
}

/// The public key that belongs to an X25519 secret. Rule: RFC 7748.
#[must_use]
pub fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES)
}

/// What a sealed message is bound to; it opens under exactly these names only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'a> {
    /// The id of the node that wrote the message.
    pub sender: &'a str,
    /// The id of the node that it is for.
    pub recipient: &'a str,
    /// The id of the conversation.
    pub thread: &'a str,
    /// The id of the message.
    pub message: &'a str,
}

impl Names<'_> {
    /// The nonce under which the message is sealed: the first 12 bytes of the SHA-256 digest of
    /// `peerage-dm-nonce-v1`, NUL and the associated data.
    ///
    /// As random as the message's id, which is drawn anew for every message and never sealed with two
    /// contents. So a message that is sent again is the same bytes, and its event has one id. Receivers
    /// take the nonce that comes along.
    #[must_use]
    pub fn nonce(&self) -> [u8; 12] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"peerage-dm-nonce-v1\0")
            .chain_update(self.bound())
            .finalize()
            .into();
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&digest[..12]);
        nonce
    }

    /// The associated data: the label of the scheme and the names, joined by NUL.
    fn bound(&self) -> Vec<u8> {
        let parts = [
            LABEL,
            self.sender,
            self.recipient,
            self.thread,
            self.message,
        ];
        parts.join("\0").into_bytes()
    }
}

/// The key that two nodes share; the same whichever of them computes it.
#[derive(Clone)]
pub struct SharedKey([u8; 32]);

impl SharedKey {
    /// Agrees on a key, with our secret and the other side's public key of 32 bytes.
    ///
    /// # Errors
    /// [`CipherFault::WrongLength`], and [`CipherFault::NotContributory`] for the few keys that make
    /// every secret the same.
    pub fn agree(own_secret: &[u8; 32], theirs: &[u8]) -> Result<Self, CipherFault> {
        let theirs = <[u8; 32]>::try_from(theirs).map_err(|_| CipherFault::WrongLength)?;
        let shared = x25519_dalek::x25519(*own_secret, theirs);
        if shared.iter().fold(0, |seen, byte| seen | byte) == 0 {
            return Err(CipherFault::NotContributory);
        }
        Ok(Self(derived(LABEL.as_bytes(), &shared, b"dm-content-key")))
    }

    /// Encrypts `plain`; the result is 16 bytes longer. A nonce must not be used again under this
    /// key for another text: see [`Names::nonce`].
    #[must_use]
    pub fn seal(&self, names: &Names<'_>, nonce: [u8; 12], plain: &[u8]) -> Vec<u8> {
        let payload = Payload {
            msg: plain,
            aad: &names.bound(),
        };
        self.cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .expect("a message in memory is below the 256 GiB of the cipher")
    }

    /// Decrypts what [`SharedKey::seal`] gave under the same names and nonce.
    ///
    /// # Errors
    /// [`CipherFault::Forged`] for everything else.
    pub fn open(
        &self,
        names: &Names<'_>,
        nonce: [u8; 12],
        sealed: &[u8],
    ) -> Result<Vec<u8>, CipherFault> {
        let payload = Payload {
            msg: sealed,
            aad: &names.bound(),
        };
        self.cipher()
            .decrypt(&Nonce::from(nonce), payload)
            .map_err(|_| CipherFault::Forged)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&Key::from(self.0))
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey")
    }
}

/// A sealed message as it is carried, all bytes in padded base64.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sealed {
    /// [`SCHEME`].
    pub scheme: String,
    /// [`KEY_AGREEMENT`].
    pub key_agreement: String,
    /// [`CIPHER`].
    pub cipher: String,
    /// The sender's X25519 key.
    pub sender_public_key_b64: String,
    /// The recipient's X25519 key.
    pub recipient_public_key_b64: String,
    /// 12 bytes.
    pub nonce_b64: String,
    /// What [`SharedKey::seal`] gave.
    pub ciphertext_b64: String,
}

/// The bytes of a [`Sealed`] message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The sender's X25519 key.
    pub sender_key: [u8; 32],
    /// The recipient's X25519 key.
    pub recipient_key: [u8; 32],
    /// The number that was used once.
    pub nonce: [u8; 12],
    /// What [`SharedKey::open`] takes.
    pub ciphertext: Vec<u8>,
}

impl Sealed {
    /// Makes the carried object of its bytes.
    #[must_use]
    pub fn new(unpacked: &Unpacked) -> Self {
        Self {
            scheme: SCHEME.to_owned(),
            key_agreement: KEY_AGREEMENT.to_owned(),
            cipher: CIPHER.to_owned(),
            sender_public_key_b64: STANDARD.encode(unpacked.sender_key),
            recipient_public_key_b64: STANDARD.encode(unpacked.recipient_key),
            nonce_b64: STANDARD.encode(unpacked.nonce),
            ciphertext_b64: STANDARD.encode(&unpacked.ciphertext),
        }
    }

    /// The bytes of the carried object.
    ///
    /// # Errors
    /// Another scheme than ours, text that is not base64, a key or a nonce of another length. Whether
    /// the keys are those of the two nodes is for the caller to say.
    pub fn unpack(&self) -> Result<Unpacked, CipherFault> {
        let ours = [
            (&self.scheme, SCHEME, Field::Scheme),
            (&self.key_agreement, KEY_AGREEMENT, Field::KeyAgreement),
            (&self.cipher, CIPHER, Field::Cipher),
        ];
        for (theirs, ours, field) in ours {
            if theirs != ours {
                return Err(CipherFault::Unsupported(field));
            }
        }
        let nonce = bytes(&self.nonce_b64, Field::Nonce)?;
        Ok(Unpacked {
            sender_key: public_key(&self.sender_public_key_b64)?,
            recipient_key: public_key(&self.recipient_public_key_b64)?,
            nonce: <[u8; 12]>::try_from(nonce).map_err(|_| CipherFault::NonceLength)?,
            ciphertext: bytes(&self.ciphertext_b64, Field::Ciphertext)?,
        })
    }
}

/// Reads a public key as contact material and messages carry it: padded base64 of 32 bytes.
///
/// # Errors
/// `decode x25519 public key` and `invalid x25519 public key length`, as the original words them.
pub fn public_key(text: &str) -> Result<[u8; 32], CipherFault> {
    let key = bytes(text, Field::PublicKey)?;
    <[u8; 32]>::try_from(key).map_err(|_| CipherFault::WrongLength)
}

fn bytes(text: &str, field: Field) -> Result<Vec<u8>, CipherFault> {
    STANDARD
        .decode(text)
        .map_err(|_| CipherFault::Encoding(field))
}

fn derived(salt: &[u8], secret: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(info, &mut key)
        .expect("HKDF-SHA-256 gives up to 255 times 32 bytes");
    key
}

/// The name of the whole scheme.
pub const SCHEME: &str = "wattswarm.private.dm.v1";
/// The name of the key agreement.
pub const KEY_AGREEMENT: &str = "x25519";
/// The name of the cipher.
pub const CIPHER: &str = "chacha20poly1305";

/// Salt of the key and first part of the associated data.
const LABEL: &str = "wattswarm-private-dm-v1";

#[cfg(test)]
mod tests;
