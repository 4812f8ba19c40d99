//! The names under which agents sign: an Ed25519 key as `did:key`, or as base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The Ed25519 key that an agent is named by. Whether it is a point of the curve is for the check of
/// a signature to say.
///
/// Rule: WattSwarm takes `did:key:z…` (base58 of the bytes `ed 01` and the key, as the W3C's method
/// `did:key` has it) and padded base64 of the 32 bytes.
///
/// # Errors
/// What is wrong with the name, in a few words.
pub(super) fn agent_key(name: &str) -> Result<[u8; 32], &'static str> {
    match name.strip_prefix("did:key:") {
        Some(multibase) => did_key(multibase),
        None => {
            let key = STANDARD
                .decode(name)
                .map_err(|_| "decode base64 public key")?;
            <[u8; 32]>::try_from(key).map_err(|_| "invalid public key length")
        }
    }
}

/// A signature: padded base64 of 64 bytes.
///
/// # Errors
/// What is wrong with the text, in a few words.
pub(super) fn signature(text: &str) -> Result<[u8; 64], &'static str> {
    let signature = STANDARD.decode(text).map_err(|_| "decode signature")?;
    <[u8; 64]>::try_from(signature).map_err(|_| "invalid signature length")
}

fn did_key(multibase: &str) -> Result<[u8; 32], &'static str> {
    let base58 = multibase.strip_prefix('z').ok_or("validate did:key")?;
    // Base58 costs the square of its length: a longer text is not worth reading.
    if base58.len() > BASE58_LEN_MAX {
        return Err("did:key is not an Ed25519 verification key");
    }
    let mut bytes = [0; BASE58_LEN_MAX];
    let length = bs58::decode(base58)
        .onto(&mut bytes)
        .map_err(|_| "decode did:key")?;
    let bytes = bytes.get(..length).unwrap_or(&[]);
    match bytes.split_at_checked(ED25519.len()) {
        Some((ED25519, key)) => <[u8; 32]>::try_from(key).map_err(|_| "decode did:key"),
        _ => Err("did:key is not an Ed25519 verification key"),
    }
}

/// The multicodec of an Ed25519 public key, as a varint.
const ED25519: &[u8] = &[0xed, 0x01];
/// Base58 characters of any 34 bytes, at most.
const BASE58_LEN_MAX: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_two_spellings() {
        // From the W3C's text on `did:key`.
        let name = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH";
        let key = agent_key(name).expect("a key");
        assert_eq!(agent_key(&STANDARD.encode(key)), Ok(key));
    }

    #[test]
    fn other_names_are_refused_with_their_reason() {
        let x25519 = "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc";
        let long = format!("did:key:z{}", "6".repeat(4_000));
        let cases = [
            (x25519, "did:key is not an Ed25519 verification key"),
            (long.as_str(), "did:key is not an Ed25519 verification key"),
            ("did:key:z", "did:key is not an Ed25519 verification key"),
            ("did:key:z6Mk", "did:key is not an Ed25519 verification key"),
            ("did:key:z0OIl", "decode did:key"),
            // The codec with one byte of a key, and with 33.
            ("did:key:z2NcDC", "decode did:key"),
            (
                "did:key:zQebecCe6nywSeLgfPTzVJxypBboVUWpcqU8EfVEazmiRAhs6",
                "decode did:key",
            ),
            ("did:key:f6Mk", "validate did:key"),
            ("did:key:", "validate did:key"),
            ("did:web:example.com", "decode base64 public key"),
            ("agent-local", "decode base64 public key"),
            ("", "invalid public key length"),
            ("AAAA", "invalid public key length"),
        ];
        for (name, fault) in cases {
            assert_eq!(agent_key(name), Err(fault), "{name}");
        }
    }

    #[test]
    fn signatures_are_64_bytes_in_base64() {
        assert_eq!(signature(&STANDARD.encode([7; 64])), Ok([7; 64]));
        assert_eq!(signature("AAAA"), Err("invalid signature length"));
        assert_eq!(signature(""), Err("invalid signature length"));
        assert_eq!(signature("sig"), Err("decode signature"));
    }
}
