//! Signed Pact commands: decoding their text, and the canonical text they are kept as.
//!
//! Decoding decides what refuses a whole insert request. Whether a decoded command may enter the
//! pool is left to [`insert`](super::insert) and [`signature`](super::signature). Rules: Chainweb's
//! `rawCommandCodec` and the JSON instances of the Pact 5 library. Pact code is not parsed.

use super::key::{RequestKey, RequestKeyError, TxHash};
use super::payload::{Payload, read_payload};
use crate::json::{self, Decimal, Value};
use crate::limits::TTL_COUNTED_MAX_S;
use blake2::Blake2b256;
use blake2::digest::Digest as _;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A decoded command. Immutable, and shared as `Arc<Command>`.
///
/// Its canonical text is kept once, as the JSON string literal that `lookup` answers and bodies of
/// `insert` embed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    key: RequestKey,
    hash_matches: bool,
    literal: Box<str>,
    meta: Meta,
    network: Option<Box<str>>,
    signers: Box<[Signer]>,
    signatures: Box<[UserSignature]>,
    digest: [u8; 32],
}

impl Command {
    /// Reads the JSON text of a signed command, one element of an insert body.
    ///
    /// # Errors
    ///
    /// As [`DecodeError`] tells them apart.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let value = json::parse(text)?;
        let command = value.object("Command")?;
        let cmd = command.read("cmd", |cmd| cmd.string("Text"))?;
        let sigs = command.read("sigs", |sigs| sigs.each("[]", read_sig))?;
        let key = command.read("hash", read_hash)?;
        let payload = json::parse(cmd)?;
        let Payload {
            meta,
            network,
            signers,
        } = read_payload(&payload)?;
        let key = key.ok_or(DecodeError::ShortHash)?;

        let computed = hash_cmd(cmd);
        let signatures: Box<[_]> = sigs.into_iter().map(UserSignature::of_text).collect();
        let mut decoded = Self {
            hash_matches: key.full() == Some(computed),
            literal: canonical_literal(&key, &signatures, cmd),
            meta,
            network,
            signers: signers.into(),
            signatures,
            digest: [0; 32],
            key,
        };
        decoded.digest = decoded.signature_digest();
        Ok(decoded)
    }

    /// How many bytes the command occupies: itself and everything it owns. For pool accounting.
    #[must_use]
    pub fn byte_size(&self) -> usize {
        let key = match &self.key {
            RequestKey::Full(_) => 0,
            RequestKey::Odd(bytes) => bytes.len(),
        };
        let signers = self.signers.iter().map(Signer::byte_size).sum::<usize>();
        let signatures = self
            .signatures
            .iter()
            .map(UserSignature::byte_size)
            .sum::<usize>();
        let network = self.network.as_deref().map_or(0, str::len);
        let texts = self.literal.len() + self.meta.chain.len() + network;
        size_of::<Self>() + key + signers + signatures + texts
    }

    /// The canonical text: keys `hash`, `sigs`, `cmd` in this order and nothing else, the `cmd`
    /// string byte for byte as it came. Decoding it gives an equal command.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        json::string_literal(&self.literal)
            .map(Cow::into_owned)
            .unwrap_or_default()
    }

    /// A BLAKE2b-256 digest of everything the signature check reads: the declared hash, the
    /// signers and the signatures. Equal digests have equal verdicts.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// When the command expires, in microseconds since the epoch: creation time plus time to live,
    /// the latter capped at two days and a second. Saturates at both ends.
    ///
    /// Rule: Chainweb's in-memory pool, `txTTLCheck`.
    #[must_use]
    pub fn expires_at_micros(&self) -> u64 {
        let micros = self.meta.expires_at().saturating_mul(1_000_000).max(0);
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    /// Whether the declared hash is the BLAKE2b-256 of the `cmd` text.
    #[must_use]
    pub fn hash_matches(&self) -> bool {
        self.hash_matches
    }

    /// The declared hash.
    #[must_use]
    pub fn key(&self) -> &RequestKey {
        &self.key
    }

    /// The canonical text as a JSON string literal, quoted and escaped.
    #[must_use]
    pub fn literal(&self) -> &str {
        &self.literal
    }

    /// The terms of the command.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The network the command is for, if it says.
    #[must_use]
    pub fn network(&self) -> Option<&str> {
        self.network.as_deref()
    }

    /// The signatures; the n-th should belong to the n-th signer.
    #[must_use]
    pub fn signatures(&self) -> &[UserSignature] {
        &self.signatures
    }

    /// Who is to sign. May be empty: gas stations pay for such commands.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    fn signature_digest(&self) -> [u8; 32] {
        let mut hasher = Blake2b256::new();
        let mut part = |tag: u8, bytes: &[u8]| {
            hasher.update([tag]);
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(0, self.key.as_bytes());
        for signer in &self.signers {
            part(
                1 + signer.scheme.map_or(0, |scheme| scheme as u8),
                signer.public_key.as_bytes(),
            );
            if let Some(address) = &signer.address {
                part(4, address.as_bytes());
            }
        }
        for signature in &self.signatures {
            part(5, signature.text().as_bytes());
        }
        hasher.finalize().into()
    }
}

/// Decodes a batch: all of it, or the error of the first element that does not decode.
///
/// # Errors
///
/// A [`DecodeError::Malformed`] anywhere comes before a [`DecodeError::ShortHash`]: the real node
/// notices the latter only when it uses the hash.
pub fn decode_batch(texts: &[Cow<'_, str>]) -> Result<Vec<Arc<Command>>, DecodeError> {
    let mut commands = Vec::with_capacity(texts.len());
    let mut short = false;
    for text in texts {
        match Command::decode(text) {
            Ok(command) => commands.push(Arc::new(command)),
            Err(DecodeError::ShortHash) => short = true,
            Err(error @ DecodeError::Malformed(_)) => return Err(error),
        }
    }
    if short {
        Err(DecodeError::ShortHash)
    } else {
        Ok(commands)
    }
}

/// Reads the body of an `insert` request, a JSON array of strings, without decoding the commands.
///
/// # Errors
///
/// What to answer as 400 without content type, for example `Error in $[0]: parsing Text failed,
/// expected String, but encountered Object`.
pub fn decode_insert_body(body: &[u8]) -> Result<Vec<Cow<'_, str>>, json::Error> {
    json::string_array(body, "Text")
}

/// The hash a command with this `cmd` text must declare: BLAKE2b-256 of its UTF-8 bytes.
#[must_use]
pub fn hash_cmd(cmd: &str) -> TxHash {
    TxHash(Blake2b256::digest(cmd.as_bytes()).into())
}

/// The terms of a command that the pool's checks read. Times are whole seconds, since the epoch or
/// as a duration; numbers have at most 38 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The chain's text, which need not be a number.
    pub chain: Box<str>,
    /// When the sender made the command.
    pub creation_time: i128,
    /// How much gas it may use; not negative.
    pub gas_limit: i128,
    /// What it pays per unit of gas, in KDA; not negative.
    pub gas_price: Decimal,
    /// How long it may wait, in seconds.
    pub ttl: i128,
}

impl Meta {
    /// When the command expires, in seconds since the epoch; the time to live is capped.
    #[must_use]
    pub fn expires_at(&self) -> i128 {
        self.creation_time
            .saturating_add(self.ttl.min(TTL_COUNTED_MAX_S))
    }
}

/// One of those who are to sign a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The `scheme`, if given; absent means [`Scheme::Ed25519`].
    pub scheme: Option<Scheme>,
    /// The `pubKey` text: hexadecimal, unchecked, possibly with the prefix `WEBAUTHN-`.
    pub public_key: Box<str>,
    /// The `addr` text, if given.
    pub address: Option<Box<str>>,
}

impl Signer {
    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.public_key.len() + self.address.as_deref().map_or(0, str::len)
    }
}

/// How a signer signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// An Ed25519 signature over the hash.
    Ed25519 = 1,
    /// A WebAuthn assertion whose challenge is the hash.
    WebAuthn = 2,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "ED25519",
            Self::WebAuthn => "WebAuthn",
        })
    }
}

/// The `sig` text of one signature, sorted by kind but not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSignature {
    /// Anything that is not a WebAuthn assertion; should be 64 bytes in hexadecimal.
    Ed25519(Box<str>),
    /// A JSON object with the strings `clientDataJSON`, `authenticatorData` and `signature`.
    WebAuthn(Box<str>),
}

impl UserSignature {
    /// The kind of this signature, which must be its signer's scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Ed25519(_) => Scheme::Ed25519,
            Self::WebAuthn(_) => Scheme::WebAuthn,
        }
    }

    /// The `sig` text as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Ed25519(text) | Self::WebAuthn(text) => text,
        }
    }

    fn of_text(text: Box<str>) -> Self {
        if Assertion::read(&text).is_some() {
            Self::WebAuthn(text)
        } else {
            Self::Ed25519(text)
        }
    }

    fn byte_size(&self) -> usize {
        size_of::<Self>() + self.text().len()
    }
}

/// The parts of a WebAuthn signature, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The authenticator's data, in base64.
    pub authenticator_data: String,
    /// The client's data, a JSON text in base64url.
    pub client_data_json: String,
    /// The signature over both, in base64.
    pub signature: String,
}

impl Assertion {
    /// Reads a `sig` text; `None` if it is no WebAuthn signature.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        // Spares hexadecimal texts the parser.
        if !text.trim_start().starts_with('{') {
            return None;
        }
        let value = json::parse(text).ok()?;
        let object = value.object("WebAuthnSignature").ok()?;
        let part = |key| {
            object
                .read(key, |part| part.string("Text").map(str::to_owned))
                .ok()
        };
        Some(Self {
            client_data_json: part("clientDataJSON")?,
            authenticator_data: part("authenticatorData")?,
            signature: part("signature")?,
        })
    }
}

/// Why a command's text is refused, and with it its whole batch; `Display` is the body to answer,
/// with 400 and `text/plain;charset=utf-8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape: `DecodeException "Error in $: …"`.
    Malformed(json::Error),
    /// A hash of fewer than 8 bytes: `not enough bytes`.
    ShortHash,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => {
                write!(
                    f,
                    "DecodeException {}",
                    json::haskell_show(&error.to_string())
                )
            }
            Self::ShortHash => f.write_str("not enough bytes"),
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<json::Error> for DecodeError {
    fn from(error: json::Error) -> Self {
        Self::Malformed(error)
    }
}

fn read_sig(value: &Value<'_>) -> Result<Box<str>, json::Error> {
    value
        .object("UserSig")?
        .read("sig", |sig| sig.string("Text").map(Box::from))
}

/// `None` is a key that is too short, which is no matter of decoding.
fn read_hash(value: &Value<'_>) -> Result<Option<RequestKey>, json::Error> {
    match RequestKey::from_text(value.string("Hash")?) {
        Ok(key) => Ok(Some(key)),
        Err(RequestKeyError::TooShort) => Ok(None),
        Err(error @ RequestKeyError::NotBase64(_)) => Err(json::Error::new(error.to_string())),
    }
}

fn canonical_literal(key: &RequestKey, signatures: &[UserSignature], cmd: &str) -> Box<str> {
    let sigs = signatures
        .iter()
        .map(|signature| signature.text().len() + 16)
        .sum::<usize>();
    let mut text = String::with_capacity(cmd.len() / 4 * 5 + sigs + 128);
    text.push_str("{\"hash\":\"");
    crate::base64url::encode_into(key.as_bytes(), &mut text);
    text.push_str("\",\"sigs\":[");
    for (index, signature) in signatures.iter().enumerate() {
        text.push_str(if index == 0 {
            "{\"sig\":"
        } else {
            ",{\"sig\":"
        });
        json::write_string(&mut text, signature.text());
        text.push('}');
    }
    text.push_str("],\"cmd\":");
    json::write_string(&mut text, cmd);
    text.push('}');
    let mut literal = String::with_capacity(text.len() / 4 * 6);
    json::write_string(&mut literal, &text);
    literal.into_boxed_str()
}
