//! Numbers that stay what their text says.

use std::cmp::Ordering;
use std::fmt;

/// A JSON number as its text. Nothing about it is computed before it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<'a> {
    text: &'a str,
}

impl<'a> Number<'a> {
    /// Wraps a text the parser has found to be a number.
    pub(super) fn from_valid(text: &'a str) -> Self {
        Self { text }
    }

    /// The integer nearest to the number, ties to the even one.
    ///
    /// `None` beyond 38 digits. `1e999999999` costs no more than its text.
    /// Rule: Haskell's `round`, which Pact reads `gasLimit`, `ttl` and `creationTime` with.
    #[must_use]
    pub fn round_half_even(self) -> Option<i128> {
        let Parts {
            negative,
            mantissa,
            exponent,
            inexact,
        } = Parts::of(self.text);
        let magnitude = if exponent >= 0 {
            if inexact {
                return None;
            }
            scale_up(mantissa, exponent)?
        } else if exponent < -i64::from(DIGITS_MAX) {
            0
        } else {
            let unit = 10_u128.checked_pow(u32::try_from(exponent.unsigned_abs()).ok()?)?;
            let (whole, rest) = (mantissa / unit, mantissa % unit);
            // Neither doubling nor the increment can overflow: both sides are below 10^38.
            let up = match (rest * 2).cmp(&unit) {
                Ordering::Less => false,
                Ordering::Equal => inexact || whole % 2 == 1,
                Ordering::Greater => true,
            };
            whole + u128::from(up)
        };
        signed(magnitude, negative)
    }

    /// The number as Haskell's `Scientific` is shown: `65536.0`, `1.5`, `1.0e-7`.
    #[must_use]
    pub fn scientific(self) -> String {
        let Parts {
            negative,
            mantissa,
            exponent,
            inexact,
        } = Parts::of(self.text);
        if inexact {
            return self.text.to_owned();
        }
        let sign = if negative && mantissa != 0 { "-" } else { "" };
        let digits = mantissa.to_string();
        let (head, tail) = digits.split_at_checked(1).unwrap_or(("0", ""));
        let order = exponent.saturating_add(i64::try_from(tail.len()).unwrap_or(i64::MAX));
        let tail = if tail.is_empty() { "0" } else { tail };
        match usize::try_from(order) {
            _ if mantissa == 0 => "0.0".to_owned(),
            _ if order == -1 => format!("{sign}0.{digits}"),
            Ok(order @ 0..7) => {
                let padded = format!("{digits:0<width$}", width = order + 1);
                let (whole, rest) = padded.split_at_checked(order + 1).unwrap_or((&padded, ""));
                format!("{sign}{whole}.{}", if rest.is_empty() { "0" } else { rest })
            }
            _ => format!("{sign}{head}.{tail}e{order}"),
        }
    }

    /// The text, as it stood in the input.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.text
    }

    /// The number as an exact decimal; `None` beyond the bounds of [`Decimal`].
    #[must_use]
    pub fn to_decimal(self) -> Option<Decimal> {
        Decimal::from_parts(&Parts::of(self.text))
    }

    /// The integer the number is, however it is spelt; `None` if it has a fraction or more than 38
    /// digits.
    #[must_use]
    pub fn to_integer(self) -> Option<i128> {
        let Parts {
            negative,
            mantissa,
            exponent,
            inexact,
        } = Parts::of(self.text);
        if inexact || exponent < 0 {
            return None;
        }
        signed(scale_up(mantissa, exponent)?, negative)
    }
}

/// An exact decimal number: `mantissa × 10^exponent`, for prices.
///
/// At most 38 significant digits and an exponent within ±255 (255 is the most decimal places
/// Haskell's `Decimal` has). The mantissa has no trailing zeros, so equal numbers are equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    exponent: i16,
}

impl Decimal {
    /// The number zero.
    pub const ZERO: Self = Self {
        mantissa: 0,
        exponent: 0,
    };

    /// `mantissa × 10^exponent`; `None` beyond the bounds of the type.
    #[must_use]
    pub fn new(mantissa: i128, exponent: i16) -> Option<Self> {
        Self::from_parts(&Parts::of(&format!("{mantissa}e{exponent}")))
    }

    /// Reads `-?digits[.digits]`, the form numbers have in strings; no exponent.
    ///
    /// Rule: Pact's `number` parser, which reads a `gasPrice` given as a string.
    #[must_use]
    pub fn parse_plain(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        Self::from_parts(&Parts::of(text))
    }

    /// How many digits stand behind the point when the number is written without exponent.
    #[must_use]
    pub fn decimal_places(self) -> u32 {
        if self.exponent < 0 {
            u32::from(self.exponent.unsigned_abs())
        } else {
            0
        }
    }

    /// The power of ten of the last significant digit.
    #[must_use]
    pub fn exponent(self) -> i16 {
        self.exponent
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The significant digits as an integer, without trailing zeros.
    #[must_use]
    pub fn mantissa(self) -> i128 {
        self.mantissa
    }

    fn from_parts(parts: &Parts) -> Option<Self> {
        if parts.inexact {
            return None;
        }
        let exponent = i16::try_from(parts.exponent).ok()?;
        if !(-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent) {
            return None;
        }
        Some(Self {
            mantissa: signed(parts.mantissa, parts.negative)?,
            exponent,
        })
    }

    /// Orders the magnitudes of two numbers, neither of which is zero.
    fn cmp_magnitude(self, other: Self) -> Ordering {
        let order = |number: Self| {
            i64::from(number.exponent) + i64::from(number.mantissa.unsigned_abs().ilog10())
        };
        order(self).cmp(&order(other)).then_with(|| {
            // With the first digits aligned, the longer mantissa has the smaller exponent; filled
            // up to it, the shorter one has as many digits: at most 38.
            let fill = |number: Self, than: Self| {
                let places = u32::try_from(number.exponent - than.exponent).unwrap_or(0);
                number.mantissa.unsigned_abs() * 10_u128.pow(places)
            };
            fill(self, other).cmp(&fill(other, self))
        })
    }
}

impl fmt::Display for Decimal {
    /// Plain digits without exponent or trailing zeros: `0.00000001`, `150000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let places = self.decimal_places() as usize;
        if places == 0 {
            let zeros = usize::from(self.exponent.unsigned_abs());
            return write!(f, "{sign}{digits}{:0<zeros$}", "");
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded
            .split_at_checked(padded.len() - places)
            .unwrap_or((&padded, ""));
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        signs.then_with(|| match self.mantissa.signum() {
            0 => Ordering::Equal,
            1 => self.cmp_magnitude(*other),
            _ => other.cmp_magnitude(*self),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A number text taken apart: `±mantissa × 10^exponent`, the mantissa without trailing zeros.
struct Parts {
    negative: bool,
    /// The first 38 significant digits.
    mantissa: u128,
    exponent: i64,
    /// Whether a digit other than zero follows behind those of the mantissa.
    inexact: bool,
}

impl Parts {
    fn of(text: &str) -> Self {
        let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (negative, number) = number
            .strip_prefix('-')
            .map_or((false, number), |number| (true, number));
        let mut parts = Self {
            negative,
            mantissa: 0,
            exponent: 0,
            inexact: false,
        };
        let mut digits = 0;
        // Zeros that count only if another digit follows, and digits read behind the point.
        let mut zeros: i64 = 0;
        let mut places: i64 = 0;
        let mut fraction = false;
        for byte in number.bytes() {
            if byte == b'.' {
                fraction = true;
                continue;
            }
            places += i64::from(fraction);
            if byte == b'0' {
                zeros += i64::from(digits > 0);
                continue;
            }
            let fits = zeros < i64::from(DIGITS_MAX - digits);
            if fits && !parts.inexact {
                let shift = u32::try_from(zeros + 1).unwrap_or(0);
                parts.mantissa = parts.mantissa * 10_u128.pow(shift) + u128::from(byte - b'0');
                digits += shift;
                zeros = 0;
            } else {
                parts.inexact = true;
                zeros += 1;
            }
        }
        if parts.mantissa != 0 {
            parts.exponent = exponent(power).saturating_add(zeros).saturating_sub(places);
        }
        parts
    }
}

/// The exponent a text of an optional sign and digits stands for, saturating.
fn exponent(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    // Far beyond every bound, far from overflowing what is added to it.
    let magnitude = digits.iter().fold(0_i64, |value, digit| {
        (value * 10 + i64::from(digit.wrapping_sub(b'0'))).min(i64::MAX / 100)
    });
    if negative { -magnitude } else { magnitude }
}

fn scale_up(mantissa: u128, exponent: i64) -> Option<u128> {
    if mantissa == 0 {
        return Some(0);
    }
    let power = 10_u128.checked_pow(u32::try_from(exponent).ok()?)?;
    mantissa
        .checked_mul(power)
        .filter(|scaled| *scaled < 10_u128.pow(DIGITS_MAX))
}

fn signed(magnitude: u128, negative: bool) -> Option<i128> {
    let value = i128::try_from(magnitude).ok()?;
    Some(if negative { -value } else { value })
}

/// The most digits that always fit an `i128`.
const DIGITS_MAX: u32 = 38;

const EXPONENT_MAX: i16 = 255;
