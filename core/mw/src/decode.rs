//! The byte formats. All strangers' bytes enter this crate through [`read`].

use grin_core::ser;

use crate::rules::Rules;

/// Which of the three formats of bytes. They differ in how inputs and kernels are written; headers are
/// the same in all of them.
///
/// Rule: `ProtocolVersion` of grin_core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Inputs with features; kernels with fee and lock height whether used or not. What wallets push.
    V1,
    /// Inputs with features; kernels with what their kind has.
    V2,
    /// Inputs as bare commitments; kernels as in the second.
    V3,
}

impl Format {
    const fn version(self) -> ser::ProtocolVersion {
        ser::ProtocolVersion(match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        })
    }
}

/// Why bytes are not what they should be. Displays as stock nodes tell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("{0}")]
    Ended(String),
    /// A list has fewer readable elements than it says.
    #[error("count error")]
    FewerElements,
    /// A list or a body is longer than a block may be.
    #[error("too large read")]
    TooLarge,
    /// Something that has no meaning: unknown features, lists out of order, rules of bodies broken.
    #[error("corrupted data")]
    Corrupted,
    /// The proof of work's graph is of no size that this chain accepts.
    #[error("corrupted data")]
    EdgeBits(u8),
    /// Anything else that the library says.
    #[error("{0}")]
    Other(String),
}

impl From<ser::Error> for DecodeError {
    fn from(error: ser::Error) -> Self {
        match error {
            ser::Error::IOErr(text, _) => Self::Ended(text),
            ser::Error::CountError => Self::FewerElements,
            ser::Error::TooLargeReadErr => Self::TooLarge,
            ser::Error::CorruptedData => Self::Corrupted,
            other @ (ser::Error::UnexpectedData { .. }
            | ser::Error::HexError(_)
            | ser::Error::SortError
            | ser::Error::DuplicateError
            | ser::Error::InvalidBlockVersion
            | ser::Error::UnsupportedProtocolVersion) => Self::Other(other.to_string()),
        }
    }
}

/// Reads one thing from the beginning of `bytes`. What follows is ignored, as stock nodes do.
pub(crate) fn read<T: ser::Readable>(
    rules: &Rules,
    format: Format,
    mut bytes: &[u8],
) -> Result<T, DecodeError> {
    rules.enter();
    let mode = ser::DeserializationMode::Full;
    Ok(ser::deserialize(&mut bytes, format.version(), mode)?)
}

/// Writes one thing. Fails only for inputs whose features are unknown in a format that has them.
pub(crate) fn write(
    thing: &impl ser::Writeable,
    format: Format,
) -> Result<Vec<u8>, FeaturesUnknown> {
    ser::ser_vec(thing, format.version()).map_err(|_| FeaturesUnknown)
}

/// Formats 1 and 2 tell of each input whether it spends a coinbase, and these inputs do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the inputs' features are unknown")]
pub struct FeaturesUnknown;
