//! Signatures of commands: whether each signer has signed the declared hash.
//!
//! [`verify`] decides one command, [`verify_batch`] many at once and faster. Their verdicts are
//! equal: Ed25519 follows ZIP 215, whose cofactored equation is the same for one signature and for
//! a sum of them (RFC 8032 leaves that open, and with most libraries it differs), and what a batch
//! refuses is decided one by one. Rules and texts: Pact 5, `verifyUserSig`, `verifyWebAuthnSig`.
//!
//! A verification takes tens of microseconds, so it is an effect of the node, never inline.

use super::command::{Assertion, Command, Scheme, Signer, UserSignature};
use super::cose::CoseKey;
use crate::{base64url, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::Blake2b256;
use blake2::digest::Digest as _;
use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::Sha256;
use std::borrow::Cow;
use thiserror::Error;

/// The first signature of a command that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("The signature at position {position} is invalid: {reason}.")]
pub struct SignatureFault {
    /// Its place among the signatures, from 0.
    pub position: usize,
    /// What is wrong with it, in the words of the real node where it has some.
    pub reason: Cow<'static, str>,
}

/// Checks every signature of a command over its declared hash; a command without any is valid.
///
/// Whether that hash is the right one is left to [`check_form`](super::insert::check_form).
///
/// # Errors
///
/// The first signature that is not valid. Unequal counts of signers and signatures are a fault at
/// the first position that lacks one.
pub fn verify(command: &Command) -> Result<(), SignatureFault> {
    for (position, pair) in pairs(command)?.enumerate() {
        let verdict = read(pair, command).and_then(|claim| claim.verify());
        verdict.map_err(|reason| SignatureFault { position, reason })?;
    }
    Ok(())
}

/// Checks many commands; the n-th verdict is exactly what [`verify`] says of the n-th command.
///
/// Deterministic: the random factors of the batch equation are drawn from a ChaCha generator that
/// is seeded with a hash of everything the batch reads, so nobody can choose a signature for the
/// factors it will meet. A batch that fails is halved until the faulty commands are alone.
#[must_use]
pub fn verify_batch(commands: &[&Command]) -> Vec<Result<(), SignatureFault>> {
    let mut verdicts = vec![Ok(()); commands.len()];
    let mut ranges = Vec::from([(0, commands.len())]);
    while let Some((start, end)) = ranges.pop() {
        let (Some(part), Some(verdicts)) = (commands.get(start..end), verdicts.get_mut(start..end))
        else {
            continue;
        };
        if part.len() <= SINGLY_MAX {
            for (command, verdict) in part.iter().zip(verdicts) {
                *verdict = verify(command);
            }
        } else if !all_valid(part) {
            let middle = start + part.len() / 2;
            ranges.push((start, middle));
            ranges.push((middle, end));
        }
    }
    verdicts
}

/// Whether every command is valid, at the price of one batch.
fn all_valid(commands: &[&Command]) -> bool {
    let mut batch = batch::Verifier::new();
    let mut seed = Blake2b256::new();
    for command in commands {
        seed.update(command.digest());
        let Ok(pairs) = pairs(command) else {
            return false;
        };
        for pair in pairs {
            match read(pair, command) {
                Ok(Claim::Ed25519 {
                    key,
                    signature,
                    message,
                }) => {
                    batch.queue((VerificationKeyBytes::from(key), signature, message));
                }
                Ok(claim @ Claim::WebAuthn { .. }) if claim.verify().is_ok() => {}
                Ok(Claim::WebAuthn { .. }) | Err(_) => return false,
            }
        }
    }
    batch
        .verify(ChaCha8Rng::from_seed(seed.finalize().into()))
        .is_ok()
}

type Pair<'a> = (&'a Signer, &'a UserSignature);

/// The signers with their signatures.
fn pairs(command: &Command) -> Result<impl Iterator<Item = Pair<'_>>, SignatureFault> {
    let (signers, signatures) = (command.signers(), command.signatures());
    if signers.len() != signatures.len() {
        return Err(SignatureFault {
            position: signers.len().min(signatures.len()),
            reason: Cow::Borrowed("signer and signature do not pair up"),
        });
    }
    Ok(signers.iter().zip(signatures))
}

/// A signature that is well formed; what is left is arithmetic.
enum Claim<'a> {
    Ed25519 {
        key: [u8; 32],
        signature: Signature,
        message: &'a [u8],
    },
    WebAuthn {
        key: Box<CoseKey>,
        assertion: Assertion,
        message: &'a [u8],
    },
}

impl Claim<'_> {
    fn verify(&self) -> Result<(), Cow<'static, str>> {
        match self {
            Claim::Ed25519 {
                key,
                signature,
                message,
            } => VerificationKey::try_from(*key)
                .and_then(|key| key.verify(signature, message))
                .map_err(|_| Cow::Borrowed("invalid ed25519 signature")),
            Claim::WebAuthn {
                key,
                assertion,
                message,
            } => verify_assertion(key, assertion, message),
        }
    }
}

fn read<'a>((signer, sig): Pair<'_>, command: &'a Command) -> Result<Claim<'a>, Cow<'static, str>> {
    let message = command.key().as_bytes();
    match (sig, signer.scheme.unwrap_or(Scheme::Ed25519)) {
        (UserSignature::Ed25519(text), Scheme::Ed25519) => {
            if signer
                .address
                .as_ref()
                .is_some_and(|address| *address != signer.public_key)
            {
                return Err(Cow::Borrowed("address does not match pubkey"));
            }
            let key = unhex_array(&signer.public_key, "ED25519 Public Key")
                .map_err(|error| format!("failed to parse ed25519 pubkey: {error}"))?;
            let signature: [u8; 64] = unhex_array(text, "ED25519 Signature")
                .map_err(|error| format!("failed to parse ed25519 signature: {error}"))?;
            Ok(Claim::Ed25519 {
                key,
                signature: signature.into(),
                message,
            })
        }
        (UserSignature::WebAuthn(text), Scheme::WebAuthn) => {
            let key = signer
                .public_key
                .strip_prefix("WEBAUTHN-")
                .unwrap_or(&signer.public_key);
            let key = read_cose_key(key)
                .map_err(|error| format!("failed to parse webauthn pubkey: {error}"))?;
            let assertion = Assertion::read(text).ok_or("failed to parse webauthn signature")?;
            Ok(Claim::WebAuthn {
                key: Box::new(key),
                assertion,
                message,
            })
        }
        (UserSignature::WebAuthn(_), Scheme::Ed25519)
        | (UserSignature::Ed25519(_), Scheme::WebAuthn) => {
            let scheme = signer
                .scheme
                .map_or_else(|| "Nothing".to_owned(), |scheme| format!("Just {scheme}"));
            let kind = sig.scheme();
            Err(format!("scheme of {scheme} does not match signature type {kind}").into())
        }
    }
}

/// Checks that the assertion signs the base64url text of `message` as its challenge.
fn verify_assertion(
    key: &CoseKey,
    assertion: &Assertion,
    message: &[u8],
) -> Result<(), Cow<'static, str>> {
    let signature = STANDARD
        .decode(&assertion.signature)
        .map_err(|error| format!("signature: {error}"))?;
    let client_data = base64url::decode(&assertion.client_data_json)
        .map_err(|error| format!("clientData: {error}"))?;
    let mut signed = STANDARD
        .decode(&assertion.authenticator_data)
        .map_err(|error| format!("authData: {error}"))?;
    signed.extend_from_slice(&Sha256::digest(&client_data));
    if !key.verifies(&signed, &signature) {
        return Err(Cow::Borrowed("invalid webauthn signature"));
    }
    let challenge = json::parse_bytes(&client_data).and_then(|client_data| {
        let object = client_data.object("ClientDataJSON")?;
        object.read("challenge", |challenge| {
            challenge.string("Text").map(str::to_owned)
        })
    });
    let challenge = challenge.map_err(|error| format!("clientData: {error}"))?;
    if challenge != base64url::encode(message) {
        return Err(Cow::Borrowed(
            "Hash mismatch, signature signs for the wrong transaction",
        ));
    }
    Ok(())
}

fn read_cose_key(text: &str) -> Result<CoseKey, Cow<'static, str>> {
    if text.len() > 2 * CoseKey::BYTES_MAX {
        return Err(Cow::Borrowed("WebAuthn public key parsing: too long"));
    }
    let mut bytes = vec![0; text.len() / 2];
    unhex(text, &mut bytes)?;
    Ok(CoseKey::read(&bytes)?)
}

/// Reads `N` bytes of hexadecimal in either letter case.
fn unhex_array<const N: usize>(text: &str, what: &str) -> Result<[u8; N], Cow<'static, str>> {
    let mut bytes = [0; N];
    if text.len() == 2 * N {
        unhex(text, &mut bytes)?;
        return Ok(bytes);
    }
    let mut bytes = vec![0; text.len() / 2];
    unhex(text, &mut bytes)?;
    Err(format!("Invalid {what}: {}", json::haskell_show(&shortened(text))).into())
}

/// Fills `bytes` from a text of twice their number of digits.
fn unhex(text: &str, bytes: &mut [u8]) -> Result<(), Cow<'static, str>> {
    let (digit_pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return Err(Cow::Borrowed("invalid bytestring size"));
    }
    for (index, (byte, pair)) in bytes.iter_mut().zip(digit_pairs).enumerate() {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        let invalid = |offset| format!("invalid character at offset: {offset}");
        let high = high.ok_or_else(|| invalid(2 * index))?;
        let low = low.ok_or_else(|| invalid(2 * index + 1))?;
        *byte = (high << 4 | low) as u8;
    }
    Ok(())
}

/// At most 200 characters of a text, for error messages.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Up to this many commands a batch costs more than it saves.
const SINGLY_MAX: usize = 2;
