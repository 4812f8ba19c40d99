//! Text forms that JSON bodies and rows share: keys and signatures as base64, times as RFC 3339.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serializer};

use crate::http::date;
use crate::ids::PublicKey;

/// Writes bytes as standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads exactly `N` bytes of standard base64 with padding.
pub(super) fn from_base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Longer texts are not even decoded.
    if text.len() != N.div_ceil(3) * 4 {
        return None;
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

macro_rules! as_base64 {
    ($name:ident, $ty:ty, $len:literal, $bytes:expr, $make:expr) => {
        pub(super) mod $name {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(
                value: &$ty,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let bytes: fn(&$ty) -> &[u8; $len] = $bytes;
                serializer.serialize_str(&base64(bytes(value)))
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$ty, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                from_base64::<$len>(&text).map($make).ok_or_else(|| {
                    serde::de::Error::custom(concat!("expected base64 of ", $len, " bytes"))
                })
            }
        }
    };
}

as_base64!(base64_key, PublicKey, 32, |key| &key.0, PublicKey);
as_base64!(base64_32, [u8; 32], 32, |bytes| bytes, |bytes| bytes);
as_base64!(base64_signature, [u8; 64], 64, |bytes| bytes, |bytes| bytes);

/// Bytes that may be missing.
pub(super) mod maybe_base64_32 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => serializer.serialize_some(&base64(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 32]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        from_base64(&text)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom("expected base64 of 32 bytes"))
    }
}

/// Seconds since the Unix epoch as `2024-01-15T10:30:00Z`. Years beyond 9999 stop at its end.
pub(super) fn rfc3339(seconds: u64) -> String {
    format!("{}Z", date::to_the_second(seconds))
}

/// Reads what [`rfc3339`] writes.
pub(super) fn from_rfc3339(text: &str) -> Option<u64> {
    let digits = |range: core::ops::Range<usize>| -> Option<u64> {
        let part = text.get(range)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())
            .flatten()
    };
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    if year < 1970 || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = days.checked_sub(719_468)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    // Only what is written the same way again is a time.
    (rfc3339(seconds) == text).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_to_the_second() {
        let check = |seconds: u64, text: &str| {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(from_rfc3339(text), Some(seconds));
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_705_314_600, "2024-01-15T10:30:00Z");
        check(1_735_689_599, "2024-12-31T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
        for text in [
            "",
            "2024-01-15",
            "2024-02-30T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-15T24:00:00Z",
            "2024-01-15T10:30:00",
            "2024-01-15T10:30:00+00:00",
            "1969-12-31T23:59:59Z",
            "2024-01-15T10:30:0éZ",
        ] {
            assert_eq!(from_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn base64_has_one_length() {
        assert_eq!(from_base64::<32>(&base64(&[7; 32])), Some([7; 32]));
        assert_eq!(from_base64::<32>(&base64(&[7; 31])), None);
        assert_eq!(from_base64::<32>(&"A".repeat(44)), None);
    }
}
