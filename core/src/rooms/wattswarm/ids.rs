//! Names of conversations, messages and events, derived so that both sides derive the same.
//!
//! Rule: WattSwarm `private_dm_*`. Node ids are compared as trimmed bytes, so any text can be one.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::cipher::Names;

/// The id of the conversation of two nodes, in whichever order they are named: `dm:` and 24
/// hexadecimal digits.
#[must_use]
pub fn thread_id(a: &str, b: &str) -> String {
    format!("dm:{}", pair_digits(a, b))
}

/// The scope on which the events of a conversation are posted: `group:dm-` and the same digits as
/// in [`thread_id`].
#[must_use]
pub fn scope_hint(a: &str, b: &str) -> String {
    format!("group:dm-{}", pair_digits(a, b))
}

/// The id of a new message: `dm-msg-` and a version 4 UUID of the 16 drawn `bytes`, of which six
/// bits are overwritten with version and variant.
#[must_use]
pub fn message_id(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let mut id = String::from("dm-msg");
    let mut rest = digits.as_str();
    for length in [8, 4, 4, 4, 12] {
        let (group, tail) = rest.split_at(length);
        id.push('-');
        id.push_str(group);
        rest = tail;
    }
    id
}

/// The id of the event that carries a message, 64 hexadecimal digits: a digest of who says it to
/// whom, in which conversation, when (Unix milliseconds) and the ciphertext (empty while the other
/// side's key is unknown).
///
/// The original digests its own event record, which nobody but it can make; clients only see that
/// ids differ. Every part is preceded by its length, so that no two events are one text.
#[must_use]
pub fn event_id(names: &Names<'_>, created_at: u64, ciphertext: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"peerage-dm-event-v1");
    let parts = [
        names.sender.as_bytes(),
        names.recipient.as_bytes(),
        names.thread.as_bytes(),
        names.message.as_bytes(),
        ciphertext,
    ];
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(created_at.to_be_bytes());
    hex(&digest.finalize())
}

/// `bytes` as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The first 24 digits of the digest that a pair of nodes shares.
fn pair_digits(a: &str, b: &str) -> String {
    let (a, b) = (a.trim(), b.trim());
    let (smaller, larger) = if a <= b { (a, b) } else { (b, a) };
    let digest = Sha256::new()
        .chain_update(b"dm-v1\0")
        .chain_update(smaller)
        .chain_update(b"\0")
        .chain_update(larger)
        .finalize();
    hex(digest.get(..12).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_name_a_conversation_alike() {
        assert_eq!(thread_id("a", "b"), "dm:518a53503aa0783158bf35e3");
        assert_eq!(thread_id(" b\n", "a "), thread_id("a", "b"));
        assert_eq!(scope_hint("b", "a"), "group:dm-518a53503aa0783158bf35e3");
        assert_ne!(thread_id("a", "c"), thread_id("a", "b"));
    }

    #[test]
    fn recorded_conversations_have_their_names() {
        let own = "5326f89356cc9987aee64c999c0494fffbb6e5d5c984e119c9b99e78f31df511";
        assert_eq!(thread_id("node-beta", own), "dm:506b940638b35c764c97f21b");
        assert_eq!(
            scope_hint(own, "node-beta2"),
            "group:dm-e74b3fd814ed04c78c3e5b0e"
        );
    }

    #[test]
    fn message_ids_are_random_uuids() {
        assert_eq!(
            message_id([0xff; 16]),
            "dm-msg-ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            message_id([0; 16]),
            "dm-msg-00000000-0000-4000-8000-000000000000"
        );
        let counted: [u8; 16] = std::array::from_fn(|at| at as u8);
        assert_eq!(
            message_id(counted),
            "dm-msg-00010203-0405-4607-8809-0a0b0c0d0e0f"
        );
    }

    #[test]
    fn events_differ_in_every_part() {
        let names = Names {
            sender: "a",
            recipient: "b",
            thread: "t",
            message: "m",
        };
        let first = event_id(&names, 1, b"x");
        assert_eq!(first.len(), 64);
        assert_eq!(first, event_id(&names, 1, b"x"));
        let shifted = Names {
            sender: "ab",
            recipient: "",
            ..names
        };
        let others = [
            event_id(&names, 2, b"x"),
            event_id(&names, 1, b""),
            event_id(&shifted, 1, b"x"),
            event_id(
                &Names {
                    message: "n",
                    ..names
                },
                1,
                b"x",
            ),
            event_id(
                &Names {
                    thread: "n",
                    ..names
                },
                1,
                b"x",
            ),
        ];
        assert!(!others.contains(&first));
    }
}
