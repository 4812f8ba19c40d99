//! Fixed-size values that name things: hashes, commitments, offsets. Equal bytes are equal values;
//! none of them is a secret.

use core::fmt;

use grin_core::core::hash as grin;
use grin_util::secp::pedersen;

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of exactly `N` pairs of hexadecimal digits, of either case.
pub(crate) fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    read_hex_into(text, &mut bytes).then_some(bytes)
}

/// The bytes of any even number of hexadecimal digits.
pub(crate) fn read_hex_vec(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    (text.len().is_multiple_of(2) && read_hex_into(text, &mut bytes)).then_some(bytes)
}

fn read_hex_into(text: &str, bytes: &mut [u8]) -> bool {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|it| u8::try_from(it).ok())
    };
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().zip(bytes).all(|([high, low], byte)| {
        let value = digit(*high).zip(digit(*low));
        *byte = value.map_or(0, |(high, low)| 16 * high + low);
        value.is_some()
    })
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// Whether all bytes are zero.
            #[must_use]
            pub fn is_zero(&self) -> bool {
                self.0 == [0; $length]
            }

            /// From exactly twice as many hexadecimal digits as there are bytes.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                read_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                write_hex(&self.0[..6], f)?;
                f.write_str(")")
            }
        }
    };
}

fixed! {
    /// BLAKE2b-256 of something as consensus serializes it.
    Hash, 32
}

fixed! {
    /// A Pedersen commitment: a point that hides a value, or the excess of a kernel. The first byte of
    /// a valid one is 8 or 9; nothing here says that the point exists.
    Commitment, 33
}

fixed! {
    /// A kernel offset: public, a number modulo the order of the curve if it is valid.
    Offset, 32
}

impl Hash {
    /// What an empty range has for a root, and what precedes the first block.
    pub const ZERO: Self = Self([0; 32]);
}

impl Offset {
    /// No offset.
    pub const ZERO: Self = Self([0; 32]);
}

impl Commitment {
    /// What stands for "nothing was summed up yet" in the sums of a chain.
    pub const ZERO: Self = Self([0; 33]);
}

impl From<grin::Hash> for Hash {
    fn from(hash: grin::Hash) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_bytes());
        Self(bytes)
    }
}

impl From<Hash> for grin::Hash {
    fn from(hash: Hash) -> Self {
        Self::from_vec(&hash.0)
    }
}

impl From<pedersen::Commitment> for Commitment {
    fn from(commitment: pedersen::Commitment) -> Self {
        Self(commitment.0)
    }
}

impl From<Commitment> for pedersen::Commitment {
    fn from(commitment: Commitment) -> Self {
        Self(commitment.0)
    }
}

impl From<&grin_keychain::BlindingFactor> for Offset {
    fn from(factor: &grin_keychain::BlindingFactor) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(factor.as_ref());
        Self(bytes)
    }
}

impl From<Offset> for grin_keychain::BlindingFactor {
    fn from(offset: Offset) -> Self {
        Self::from_slice(&offset.0)
    }
}
