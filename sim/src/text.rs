//! How times, shares and other quantities are written, and read back exactly.

use std::fmt;

/// A number with at most `digits` decimals, as a whole number of the last one's unit.
#[must_use]
pub fn decimal(text: &str, digits: u32) -> Option<u64> {
    let text = text.trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric(whole) || !numeric(part) || whole.is_empty() || part.len() as u32 > digits {
        return None;
    }
    let unit = 10_u64.checked_pow(digits)?;
    let part = if part.is_empty() {
        0
    } else {
        part.parse::<u64>().ok()? * 10_u64.pow(digits - part.len() as u32)
    };
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(part)
}

/// A time as `250us`, `250ms`, `1.5s`, `10m` or `1h`, in microseconds.
#[must_use]
pub fn time(text: &str) -> Option<u64> {
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(split);
    let (scale, digits) = match unit {
        "us" | "µs" => (1, 0),
        "ms" => (1, 3),
        "s" => (1, 6),
        "m" => (60, 6),
        "h" => (3_600, 6),
        _ => return None,
    };
    decimal(number, digits)?
        .checked_mul(scale)
        .filter(|micros| *micros <= TIME_MAX)
}

/// The longest time that can be said: some forty years.
const TIME_MAX: u64 = 1_250_000_000_000_000;

/// A share as `5%`, `0.25%`, in millionths.
#[must_use]
pub fn share(text: &str) -> Option<u32> {
    let number = decimal(text.strip_suffix('%')?, 4)?;
    (number <= 1_000_000).then_some(number as u32)
}

/// Microseconds, exactly, in the largest unit that needs few digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exactly(pub u64);

impl fmt::Display for Exactly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0;
        let (whole, part, unit) = match micros {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{micros}us"),
            1_000..1_000_000 => (micros / 1_000, format!("{:03}", micros % 1_000), "ms"),
            _ => (
                micros / 1_000_000,
                format!("{:06}", micros % 1_000_000),
                "s",
            ),
        };
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole}{unit}"),
            part => write!(f, "{whole}.{part}{unit}"),
        }
    }
}

/// Millionths, exactly, as percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:04}", self.0 % 10_000);
        match part.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / 10_000),
            part => write!(f, "{}.{part}%", self.0 / 10_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_printed_exactly() {
        for (text, micros) in [
            ("0s", 0),
            ("7us", 7),
            ("250ms", 250_000),
            ("1.5ms", 1_500),
            ("12.000001s", 12_000_001),
            ("600s", 600_000_000),
        ] {
            assert_eq!(time(text), Some(micros), "{text}");
            assert_eq!(Exactly(micros).to_string(), text);
        }
        assert_eq!(time("1.5h"), Some(5_400_000_000));
        assert_eq!(time("10m"), Some(600_000_000));
        for bad in [
            "",
            "5",
            "s",
            "1.0000001s",
            "1.5us",
            "-1s",
            "1 s",
            "99999999999h",
            ".5s",
        ] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn shares_are_read_and_printed_exactly() {
        for (text, millionths) in [("5%", 50_000), ("0.25%", 2_500), ("100%", 1_000_000)] {
            assert_eq!(share(text), Some(millionths));
            assert_eq!(Percent(millionths).to_string(), text);
        }
        assert_eq!(share("101%"), None);
        assert_eq!(share("5"), None);
    }
}
