//! A block or a transaction as bytes, between nodes and on the disk: its format, then itself. Formats
//! differ in whether inputs tell what kind of output they spend; what is known of that is kept.

use peerage_mw::{DecodeError, FeaturesUnknown, Format, Rules};

/// Reads an item.
pub(super) fn read<T>(
    rules: &Rules,
    bytes: &[u8],
    decode: impl FnOnce(&Rules, Format, &[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let format = match bytes.first() {
        Some(2) => Format::V2,
        Some(3) => Format::V3,
        Some(_) | None => return Err(DecodeError::Corrupted),
    };
    decode(rules, format, &bytes[1..])
}

/// Writes what [`read`] reads.
pub(super) fn write(encode: impl Fn(Format) -> Result<Vec<u8>, FeaturesUnknown>) -> Vec<u8> {
    let (format, bytes) = match encode(Format::V2) {
        Ok(bytes) => (2, bytes),
        Err(FeaturesUnknown) => {
            let bytes = encode(Format::V3);
            (3, bytes.expect("the third format needs no features"))
        }
    };
    [&[format], bytes.as_slice()].concat()
}
