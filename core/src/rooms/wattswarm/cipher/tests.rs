//! The known answers were made with Python's `cryptography` (OpenSSL), not with this code.

use super::*;
use crate::rooms::wattswarm::ids::hex;

const NAMES: Names<'_> = Names {
    sender: "alice",
    recipient: "bob",
    thread: "dm:1",
    message: "dm-msg-1",
};
const NONCE: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const PLAIN: &[u8] = b"{\"content\":\"hello\"}";

fn pair() -> (SharedKey, SharedKey) {
    let (a, b) = (dm_secret(&[1; 32]), dm_secret(&[2; 32]));
    let at_a = SharedKey::agree(&a, &x25519_public(&b)).expect("a key");
    let at_b = SharedKey::agree(&b, &x25519_public(&a)).expect("a key");
    (at_a, at_b)
}

#[test]
fn keys_are_derived_as_documented() {
    assert_eq!(
        hex(&dm_secret(&[1; 32])),
        "29d1686e586890859248fc9c488608bba29bf6178e17f8e51da1cc234921a020"
    );
    assert_eq!(
        hex(&x25519_public(&dm_secret(&[1; 32]))),
        "b463d2effbd2787649965b5c28a88328bc3c4bc0cb1a400c3263ca44e735aa0d"
    );
    assert_eq!(
        hex(&x25519_public(&dm_secret(&[2; 32]))),
        "e44da1f06d0ea74b4d96ceae434f244e6f73d5e21e3a43dfd38169d791842e43"
    );
    let (at_a, at_b) = pair();
    assert_eq!(
        hex(&at_a.0),
        "18b1e16fb1b8030cbd330d7503ebb07bc278664edecdb5bf1511a7b11973ddf2"
    );
    assert_eq!(at_a.0, at_b.0);
}

#[test]
fn messages_are_sealed_as_others_seal_them() {
    let (at_a, at_b) = pair();
    let sealed = at_a.seal(&NAMES, NONCE, PLAIN);
    assert_eq!(
        hex(&sealed),
        "55ceca84906795500df621000150f0b8b0d3a711442413a0a1c89c2061a71ea82f7b1e"
    );
    assert_eq!(at_b.open(&NAMES, NONCE, &sealed), Ok(PLAIN.to_vec()));
    let nothing = at_a.seal(&NAMES, NONCE, b"");
    assert_eq!(hex(&nothing), "3843b5d6ae92059d0c835af2ed20f54a");
    assert_eq!(at_b.open(&NAMES, NONCE, &nothing), Ok(Vec::new()));
}

#[test]
fn a_message_opens_under_its_own_names_only() {
    let (at_a, at_b) = pair();
    let sealed = at_a.seal(&NAMES, NONCE, PLAIN);
    let others = [
        Names {
            sender: "bob",
            ..NAMES
        },
        Names {
            recipient: "carol",
            ..NAMES
        },
        Names {
            thread: "dm:2",
            ..NAMES
        },
        Names {
            message: "dm-msg-2",
            ..NAMES
        },
    ];
    for names in others {
        assert_eq!(
            at_b.open(&names, NONCE, &sealed),
            Err(CipherFault::Forged),
            "{names:?}"
        );
    }
    assert_eq!(
        at_b.open(&NAMES, [0; 12], &sealed),
        Err(CipherFault::Forged)
    );
    let stranger = SharedKey::agree(&[3; 32], &x25519_public(&[4; 32])).expect("a key");
    assert_eq!(
        stranger.open(&NAMES, NONCE, &sealed),
        Err(CipherFault::Forged)
    );
}

#[test]
fn no_changed_or_cut_message_opens() {
    let (at_a, at_b) = pair();
    let sealed = at_a.seal(&NAMES, NONCE, PLAIN);
    for length in 0..sealed.len() {
        assert_eq!(
            at_b.open(&NAMES, NONCE, &sealed[..length]),
            Err(CipherFault::Forged)
        );
    }
    for place in 0..sealed.len() {
        for bit in [1, 128] {
            let mut changed = sealed.clone();
            changed[place] ^= bit;
            assert_eq!(at_b.open(&NAMES, NONCE, &changed), Err(CipherFault::Forged));
        }
    }
}

#[test]
fn useless_keys_are_refused() {
    let own = dm_secret(&[1; 32]);
    for length in [0, 31, 33, 64] {
        let fault = SharedKey::agree(&own, &vec![9; length]).expect_err("no key");
        assert_eq!(fault.to_string(), "invalid x25519 public key length");
    }
    // Points of order 1, 2 and 4, and one in a spelling beyond the field's prime.
    let mut one = [0; 32];
    one[0] = 1;
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let mut below = prime;
    below[0] -= 1;
    for weak in [[0; 32], one, prime, below] {
        let fault = SharedKey::agree(&own, &weak).expect_err("no key");
        assert_eq!(fault.to_string(), "unusable x25519 public key");
    }
}

#[test]
fn a_shared_key_shows_nothing() {
    let (key, _) = pair();
    assert_eq!(format!("{key:?}"), "SharedKey");
}

#[test]
fn the_carried_object_has_the_names_of_the_original() {
    let unpacked = Unpacked {
        sender_key: [0; 32],
        recipient_key: [0xff; 32],
        nonce: NONCE,
        ciphertext: b"sealed".to_vec(),
    };
    let sealed = Sealed::new(&unpacked);
    let text = serde_json::to_string(&sealed).expect("JSON");
    assert_eq!(
        text,
        "{\"scheme\":\"wattswarm.private.dm.v1\",\"key_agreement\":\"x25519\",\
         \"cipher\":\"chacha20poly1305\",\
         \"sender_public_key_b64\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\
         \"recipient_public_key_b64\":\"//////////////////////////////////////////8=\",\
         \"nonce_b64\":\"AAECAwQFBgcICQoL\",\"ciphertext_b64\":\"c2VhbGVk\"}"
    );
    let read: Sealed = serde_json::from_str(&text).expect("a sealed message");
    assert_eq!(read.unpack(), Ok(unpacked));
}

#[test]
fn a_carried_object_that_is_not_ours_says_why() {
    let good = Sealed::new(&Unpacked {
        sender_key: [1; 32],
        recipient_key: [2; 32],
        nonce: NONCE,
        ciphertext: vec![3; 16],
    });
    type Change = fn(&mut Sealed);
    let cases: [(Change, &str); 9] = [
        (|s| s.scheme.push('2'), "unsupported private message scheme"),
        (
            |s| s.key_agreement.clear(),
            "unsupported private message key agreement",
        ),
        (|s| s.cipher.clear(), "unsupported private message cipher"),
        (
            |s| s.sender_public_key_b64.push('!'),
            "decode x25519 public key",
        ),
        (
            |s| s.recipient_public_key_b64.push('!'),
            "decode x25519 public key",
        ),
        (
            |s| s.sender_public_key_b64.clear(),
            "invalid x25519 public key length",
        ),
        (
            |s| s.nonce_b64.clear(),
            "invalid private message nonce length",
        ),
        (|s| s.nonce_b64.push('!'), "decode nonce"),
        (|s| s.ciphertext_b64.push('!'), "decode ciphertext"),
    ];
    for (change, text) in cases {
        let mut changed = good.clone();
        change(&mut changed);
        let fault = changed.unpack().expect_err("a fault");
        assert_eq!(fault.to_string(), text);
    }
    assert_eq!(
        CipherFault::Forged.to_string(),
        "decrypt private message: it was changed, or sealed for another conversation"
    );
}
