//! The ids that a cluster mints: a prefix and a ULID, told apart by type.
//!
//! Rule: cluster API, ids. An id is read only in the form in which it is given out: with its
//! prefix, in capitals.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

/// A text that is not an id of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {prefix} and a ULID of 26 capital letters and digits")]
pub struct NotMinted {
    prefix: &'static str,
}

macro_rules! minted {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// The id of these parts: milliseconds since the Unix epoch and 80 random bits.
            #[must_use]
            pub const fn from_parts(millis: u64, random: u128) -> Self {
                Self(Ulid::from_parts(millis, random))
            }

            /// When it was minted, in whole seconds since the Unix epoch.
            #[must_use]
            pub const fn minted_s(self) -> u64 {
                self.0.timestamp_ms() / 1_000
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; ulid::ULID_LEN];
                write!(f, "{}{}", $prefix, self.0.array_to_str(&mut text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotMinted;

            fn from_str(text: &str) -> Result<Self, NotMinted> {
                text.strip_prefix($prefix)
                    .and_then(read)
                    .map(Self)
                    .ok_or(NotMinted { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

minted! {
    /// A node's name in its cluster: `peer_` and a ULID, minted once.
    PeerId, "peer_"
}

minted! {
    /// A cluster's name: `clu_` and a ULID. The smaller one is the older.
    ClusterId, "clu_"
}

impl PeerId {
    /// The id of a node that was given none: it follows from `bytes`, which must be the node's own.
    #[must_use]
    pub fn derived(bytes: &[u8; 32]) -> Self {
        const MILLIS: u64 = 1_700_000_000_000;
        let mut hash = Sha256::new_with_prefix(b"peerage cluster peer id\0");
        hash.update(bytes);
        let digest: [u8; 32] = hash.finalize().into();
        let mut random = [0; 16];
        random.copy_from_slice(&digest[..16]);
        Self::from_parts(MILLIS, u128::from_be_bytes(random))
    }

    /// The cluster that the node is before it meets another.
    #[must_use]
    pub const fn own_cluster(self) -> ClusterId {
        ClusterId(self.0)
    }
}

impl ClusterId {
    /// The node that was this cluster before it met another.
    #[must_use]
    pub const fn founder(self) -> PeerId {
        PeerId(self.0)
    }
}

/// Reads a ULID in the one form in which it is printed.
fn read(text: &str) -> Option<Ulid> {
    let ulid = Ulid::from_string(text).ok()?;
    let mut printed = [0; ulid::ULID_LEN];
    (ulid.array_to_str(&mut printed) == text).then_some(ulid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_the_form_in_which_they_are_printed() {
        let text = "peer_01KBYMHC35F0N070F3XXMEZAZR";
        let id: PeerId = text.parse().expect("an id");
        assert_eq!(id.to_string(), text);
        // 2025-12-08 09:26:30 UTC, as the documentation's example tells.
        assert_eq!(id.minted_s(), 1_765_185_990);
        let wrong = [
            "01KBYMHC35F0N070F3XXMEZAZR",
            "peer_01kbymhc35f0n070f3xxmezazr",
            "clu_01KBYMHC35F0N070F3XXMEZAZR",
            "peer_01KBYMHC35F0N070F3XXMEZAZ",
            "peer_81KBYMHC35F0N070F3XXMEZAZR",
            "peer_01KBYMHC35F0N070F3XXMEZAZI",
            "peer_",
            "",
        ];
        for text in wrong {
            assert!(text.parse::<PeerId>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_cluster_of_the_older_node_is_the_smaller() {
        let id = |millis| PeerId::from_parts(millis, 7);
        assert!(id(1).own_cluster() < id(2).own_cluster());
        assert_eq!(id(1).own_cluster().founder(), id(1));
        assert_ne!(PeerId::derived(&[1; 32]), PeerId::derived(&[2; 32]));
    }
}
