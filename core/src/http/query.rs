//! Query strings and the numbers in them.
//!
//! Reads parameters as the library below the Chainweb node does, and words the refusals as it does.
//! Which parameters a route has is for the route to say.

use std::borrow::Cow;

use super::path::percent_decode;

/// A query string, without the question mark. Nothing is read ahead; every look-up walks the text.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The query of a request; none is the same as an empty one.
    pub fn new(text: Option<&'a str>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// The value of the parameter `name`, decoded; borrowed if nothing had to be decoded.
    ///
    /// The first occurrence decides. Without `=` it counts as absent, even if a later one has a
    /// value. `+` is a space, broken percent sequences stand for themselves, bytes that are not
    /// UTF-8 become U+FFFD. Pairs are separated by `&` or `;`. Names are case sensitive. Rule:
    /// Chainweb query parameters.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        let pair = self.0.split(['&', ';']).find(|pair| {
            let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
            key == name || (is_encoded(key) && decode(key) == name)
        });
        let (_, value) = pair?.split_once('=')?;
        Some(decode(value))
    }

    /// All pairs in order, decoded, as forms have them: separated by `&` alone, where a missing value
    /// is an empty one. Rule: URL standard, `application/x-www-form-urlencoded`.
    pub fn pairs(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let pairs = self.0.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// Reads the natural number `name`, such as `limit`. Any size is read, above 64 bits it is the
    /// largest.
    ///
    /// The error is the text of a 400: `Error parsing query parameter limit failed: …`.
    pub fn natural(&self, name: &str) -> Result<Option<u64>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = read_number(&text).map_err(|error| refusal(name, &error.text(&text)))?;
        if number.negative && number.magnitude > 0 {
            let reason = format!("underflow: {text} (should be a non-negative integer)");
            return Err(refusal(name, &reason));
        }
        Ok(Some(number.magnitude))
    }

    /// Reads the signed 64-bit number `name`, such as `nonce` and `since`.
    ///
    /// The error is the text of a 400: `Error parsing query parameter nonce failed: …`.
    pub fn int64(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = read_number(&text).map_err(|error| refusal(name, &error.text(&text)))?;
        let value = if number.negative {
            0_i64.checked_sub_unsigned(number.magnitude)
        } else {
            i64::try_from(number.magnitude).ok()
        };
        value.map(Some).ok_or_else(|| {
            let (min, max) = (i64::MIN, i64::MAX);
            refusal(
                name,
                &format!("out of bounds: `{text}' (should be between {min} and {max})"),
            )
        })
    }
}

/// The text of a 400 for a query parameter that does not parse.
pub fn refusal(name: &str, reason: &str) -> String {
    format!("Error parsing query parameter {name} failed: {reason}")
}

fn is_encoded(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'%' || byte == b'+')
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode(text, true)
}

struct Number {
    negative: bool,
    magnitude: u64,
}

enum NumberError {
    NoDigit,
    Trailing,
}

impl NumberError {
    fn text(&self, input: &str) -> String {
        match self {
            Self::NoDigit => {
                format!("could not parse: `{input}' (input does not start with a digit)")
            }
            Self::Trailing => format!("could not parse: `{input}'"),
        }
    }
}

/// An optional sign of either kind, then decimal digits to the end. Saturates at 64 bits.
fn read_number(text: &str) -> Result<Number, NumberError> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return Err(NumberError::NoDigit);
    }
    let mut magnitude = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(NumberError::Trailing);
        }
        magnitude = magnitude
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'));
    }
    Ok(Number {
        negative,
        magnitude,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
        Query::new(Some(query)).get(name)
    }

    #[test]
    fn first_occurrence_wins() {
        assert_eq!(get("limit=1&limit=abc", "limit").as_deref(), Some("1"));
        assert_eq!(get("limit&limit=5", "limit"), None);
        assert_eq!(get("a=1;limit=2", "limit").as_deref(), Some("2"));
        assert_eq!(get("Limit=2", "limit"), None);
        assert_eq!(
            get("limits=2&&=&limit=a=b", "limit").as_deref(),
            Some("a=b")
        );
        assert_eq!(Query::new(None).get("limit"), None);
        assert_eq!(get("", ""), None);
    }

    #[test]
    fn names_and_values_are_decoded() {
        assert_eq!(get("%6Cimit=%2B5", "limit").as_deref(), Some("+5"));
        assert_eq!(get("limit=+5", "limit").as_deref(), Some(" 5"));
        assert_eq!(get("limit=%", "limit").as_deref(), Some("%"));
        assert_eq!(get("limit=%4", "limit").as_deref(), Some("%4"));
        assert_eq!(get("limit=%zz%41", "limit").as_deref(), Some("%zzA"));
        assert_eq!(get("limit=%ff", "limit").as_deref(), Some("\u{fffd}"));
        assert!(matches!(
            get("limit=15", "limit"),
            Some(Cow::Borrowed("15"))
        ));
    }

    #[test]
    fn forms_have_pairs() {
        let pairs = |text| -> Vec<(String, String)> {
            let pairs = Query::new(Some(text)).pairs();
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect()
        };
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(""), []);
        assert_eq!(
            pairs("&&a&=b&a=1;c=2&"),
            [of("a", ""), of("", "b"), of("a", "1;c=2")]
        );
        assert_eq!(pairs("%61+b=%2C+=%zz"), [of("a b", ", =%zz")]);
    }

    fn natural(value: &str) -> Result<Option<u64>, String> {
        let query = format!("limit={value}");
        let result = Query::new(Some(&query)).natural("limit");
        result.map_err(|error| {
            let prefix = "Error parsing query parameter limit failed: ";
            error.strip_prefix(prefix).expect("the prefix").to_owned()
        })
    }

    fn int64(value: &str) -> Result<Option<i64>, String> {
        let query = format!("since={value}");
        let result = Query::new(Some(&query)).int64("since");
        result.map_err(|error| {
            let prefix = "Error parsing query parameter since failed: ";
            error.strip_prefix(prefix).expect("the prefix").to_owned()
        })
    }

    #[test]
    fn naturals_are_read_and_refused_like_the_original() {
        assert_eq!(Query::new(Some("limit")).natural("limit"), Ok(None));
        assert_eq!(natural("5"), Ok(Some(5)));
        assert_eq!(natural("%2B5"), Ok(Some(5)));
        assert_eq!(natural("-0"), Ok(Some(0)));
        assert_eq!(natural("007"), Ok(Some(7)));
        assert_eq!(natural("99999999999999999999999"), Ok(Some(u64::MAX)));
        let no_digit = |text: &str| {
            Err(format!(
                "could not parse: `{text}' (input does not start with a digit)"
            ))
        };
        assert_eq!(natural("abc"), no_digit("abc"));
        assert_eq!(natural(""), no_digit(""));
        assert_eq!(natural("+5"), no_digit(" 5"));
        assert_eq!(natural("-"), no_digit("-"));
        assert_eq!(natural("--5"), no_digit("--5"));
        assert_eq!(natural("1.5"), Err("could not parse: `1.5'".to_owned()));
        assert_eq!(natural("-1.5"), Err("could not parse: `-1.5'".to_owned()));
        assert_eq!(
            natural("-1"),
            Err("underflow: -1 (should be a non-negative integer)".to_owned())
        );
    }

    #[test]
    fn signed_numbers_are_bounded() {
        assert_eq!(int64("-5"), Ok(Some(-5)));
        assert_eq!(int64("%2B5"), Ok(Some(5)));
        assert_eq!(int64("9223372036854775807"), Ok(Some(i64::MAX)));
        assert_eq!(int64("-9223372036854775808"), Ok(Some(i64::MIN)));
        for out in [
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
        ] {
            let text = format!(
                "out of bounds: `{out}' (should be between -9223372036854775808 and \
                 9223372036854775807)"
            );
            assert_eq!(int64(out), Err(text));
        }
        assert_eq!(
            int64("x"),
            Err("could not parse: `x' (input does not start with a digit)".to_owned())
        );
        assert_eq!(int64("1x"), Err("could not parse: `1x'".to_owned()));
    }
}
