//! Public keys of WebAuthn signers: COSE keys, as far as Pact takes them.
//!
//! A key is one CBOR map. Taken are ES256 (algorithm −7, key type 2, curve 1, 32-byte coordinates)
//! and EdDSA (algorithm −8, key type 1, curve 6, 32 bytes). Rules: RFC 9052 section 7, RFC 9053,
//! Pact 5's `parseWebAuthnPublicKey`.

use ed25519_zebra::VerificationKey as Ed25519Key;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey as P256Key};

/// A key that can check WebAuthn signatures.
#[derive(Clone, Debug)]
pub enum CoseKey {
    /// EdDSA over Curve25519.
    Ed25519(Ed25519Key),
    /// ECDSA over P-256 with SHA-256; its signatures are in DER.
    P256(P256Key),
}

impl CoseKey {
    /// The longest encoding looked at. Genuine ones have 77 bytes at most.
    pub const BYTES_MAX: usize = 512;

    /// Reads the CBOR encoding of a key, at most [`CoseKey::BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// Why it is no key we take. Indefinite lengths, nested values, tags, repeated labels and
    /// bytes behind the map are refused.
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(MALFORMED);
        }
        let fields = Fields::read(bytes).ok_or(MALFORMED)?;
        match fields.algorithm {
            Some(-7) => {
                if (fields.key_type, fields.curve) != (Some(2), Some(1)) {
                    return Err(MISMATCH);
                }
                let (x, y) = fields.x.zip(fields.y).ok_or(MISMATCH)?;
                let (&[x, y], true) = (&[x, y], x.len() == 32 && y.len() == 32) else {
                    return Err(MISMATCH);
                };
                let point = [&[4], x, y].concat();
                P256Key::from_sec1_bytes(&point)
                    .map(Self::P256)
                    .map_err(|_| NOT_A_POINT)
            }
            Some(-8) => {
                if (fields.key_type, fields.curve) != (Some(1), Some(6)) {
                    return Err(MISMATCH);
                }
                let x: [u8; 32] = fields.x.and_then(|x| x.try_into().ok()).ok_or(MISMATCH)?;
                Ed25519Key::try_from(x)
                    .map(Self::Ed25519)
                    .map_err(|_| NOT_A_POINT)
            }
            _ => Err("Signing algorithm must be EdDSA or P256"),
        }
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_zebra::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(&signature, message).is_ok()),
            Self::P256(key) => Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

/// The parameters of a key that matter.
#[derive(Default)]
struct Fields<'a> {
    key_type: Option<i128>,
    algorithm: Option<i128>,
    curve: Option<i128>,
    x: Option<&'a [u8]>,
    y: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader { rest: bytes };
        let Item::Map(count) = reader.item()? else {
            return None;
        };
        let mut fields = Self::default();
        for _ in 0..count {
            let label = reader.item()?;
            let value = reader.item()?;
            match (label, value) {
                (Item::Integer(1), Item::Integer(value)) => put(&mut fields.key_type, value)?,
                (Item::Integer(3), Item::Integer(value)) => put(&mut fields.algorithm, value)?,
                (Item::Integer(-1), Item::Integer(value)) => put(&mut fields.curve, value)?,
                (Item::Integer(-2), Item::Bytes(value)) => put(&mut fields.x, value)?,
                (Item::Integer(-3), Item::Bytes(value)) => put(&mut fields.y, value)?,
                (Item::Integer(1 | 3 | -1 | -2 | -3) | Item::Map(_), _) | (_, Item::Map(_)) => {
                    return None;
                }
                (Item::Integer(_) | Item::Bytes(_) | Item::Text, _) => {}
            }
        }
        reader.rest.is_empty().then_some(fields)
    }
}

/// Sets a field once.
fn put<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// A CBOR item of the kinds that keys are made of.
enum Item<'a> {
    Bytes(&'a [u8]),
    Integer(i128),
    /// A map of this many pairs, which follow.
    Map(u64),
    /// A text, of no interest.
    Text,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn item(&mut self) -> Option<Item<'a>> {
        let [head] = *self.take(1)? else { return None };
        let argument = match head & 0x1f {
            small @ 0..24 => u64::from(small),
            length @ 24..28 => {
                let bytes = self.take(1 << (length - 24))?;
                bytes
                    .iter()
                    .fold(0, |value, byte| value << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        match head >> 5 {
            0 => Some(Item::Integer(argument.into())),
            1 => Some(Item::Integer(-1 - i128::from(argument))),
            2 => self.take(usize::try_from(argument).ok()?).map(Item::Bytes),
            3 => self
                .take(usize::try_from(argument).ok()?)
                .map(|_| Item::Text),
            5 => Some(Item::Map(argument)),
            _ => None,
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

const MALFORMED: &str = "WebAuthn public key parsing: malformed COSE key";
const MISMATCH: &str = "WebAuthn public key parsing: key type does not fit the algorithm";
const NOT_A_POINT: &str = "WebAuthn public key parsing: not a point of the curve";
