//! JSON written in one way only: compact, keys sorted, of a repeated key the last.
//!
//! [`plain`] keeps numbers as they were written and sorts keys by their bytes, which is how the
//! original turns JSON into text. [`canonical`] is RFC 8785, the form that is hashed and signed: keys
//! by UTF-16 code units, numbers as ECMAScript prints the nearest double. That is the one place where
//! the node meets a float, and only to print it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thiserror::Error;

use crate::json::Value;
use crate::limits::AGENT_JSON_DEPTH_MAX;

/// Why a value is not written: most readers of JSON would refuse the whole text that it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unwritable {
    /// A number beyond a double.
    #[error("number out of range")]
    Beyond,
    /// More than [`AGENT_JSON_DEPTH_MAX`] levels.
    #[error("nested too deep")]
    Deep,
}

/// `value` as compact text with its numbers as they stand.
pub(super) fn plain(value: &Value<'_>) -> Result<String, Unwritable> {
    let mut out = String::new();
    Form::Plain.value(&mut out, value, AGENT_JSON_DEPTH_MAX)?;
    Ok(out)
}

/// `value` as canonical JSON. Rule: RFC 8785.
pub(super) fn canonical(value: &Value<'_>) -> Result<String, Unwritable> {
    let mut out = String::new();
    Form::Canonical.value(&mut out, value, AGENT_JSON_DEPTH_MAX)?;
    Ok(out)
}

/// An object that is written member by member; the names must come sorted, and be plain ASCII.
pub(super) struct Members {
    out: String,
}

impl Members {
    pub(super) fn new() -> Self {
        Self {
            out: "{".to_owned(),
        }
    }

    /// A member whose value is JSON already.
    pub(super) fn json(mut self, name: &str, value: &str) -> Self {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        let _ = write!(self.out, "\"{name}\":{value}");
        self
    }

    /// A member whose value is a text.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        let mut literal = String::with_capacity(value.len() + 2);
        string(&mut literal, value);
        self.json(name, &literal)
    }

    /// A member that may be missing.
    pub(super) fn maybe(self, name: &str, value: Option<&String>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub(super) fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

/// A whole number as canonical JSON, which has no integers beyond 2⁵³.
pub(super) fn integer(number: u64) -> String {
    let mut out = String::new();
    double(&mut out, number as f64);
    out
}

#[derive(Clone, Copy)]
enum Form {
    Canonical,
    Plain,
}

impl Form {
    /// Appends a value that may nest `depth` levels deep.
    fn value(self, out: &mut String, value: &Value<'_>, depth: u32) -> Result<(), Unwritable> {
        match value {
            Value::Array(values) => {
                let depth = depth.checked_sub(1).ok_or(Unwritable::Deep)?;
                out.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.value(out, value, depth)?;
                }
                out.push(']');
            }
            Value::Boolean(true) => out.push_str("true"),
            Value::Boolean(false) => out.push_str("false"),
            Value::Null => out.push_str("null"),
            Value::Number(number) => self.number(out, number.text())?,
            Value::Object(object) => {
                let depth = depth.checked_sub(1).ok_or(Unwritable::Deep)?;
                self.members(out, object.members().collect(), depth)?;
            }
            Value::String(text) => string(out, text),
        }
        Ok(())
    }

    fn members(
        self,
        out: &mut String,
        members: BTreeMap<&str, &Value<'_>>,
        depth: u32,
    ) -> Result<(), Unwritable> {
        let mut members: Vec<(&str, &Value<'_>)> = members.into_iter().collect();
        if matches!(self, Self::Canonical) {
            members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        }
        out.push('{');
        for (index, (name, value)) in members.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            string(out, name);
            out.push(':');
            self.value(out, value, depth)?;
        }
        out.push('}');
        Ok(())
    }

    fn number(self, out: &mut String, text: &str) -> Result<(), Unwritable> {
        let nearest: f64 = text.parse().map_err(|_| Unwritable::Beyond)?;
        if !nearest.is_finite() {
            return Err(Unwritable::Beyond);
        }
        match self {
            Self::Canonical => double(out, nearest),
            Self::Plain => out.push_str(text),
        }
        Ok(())
    }
}

/// Appends a text as a JSON literal: the short escapes that JSON has, `\u00xx` for other control
/// characters, everything else as it is.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Appends a finite double as ECMAScript's `Number::toString` does: the fewest digits that name it,
/// in plain notation from 10⁻⁶ to 10²¹. Rust's own digits differ where two are equally near.
fn double(out: &mut String, number: f64) {
    out.push_str(ryu_js::Buffer::new().format_finite(number));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn canonical_of(text: &str) -> Option<String> {
        canonical(&json::parse(text).expect("JSON")).ok()
    }

    /// The bits of a double and its text: from RFC 8785, appendix B, and as Node.js prints them.
    #[test]
    fn numbers_are_printed_as_ecmascript_does() {
        let cases: [(u64, &str); 33] = [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
            (0x3ff0_0000_0000_0000, "1"),
            (0x4024_0000_0000_0000, "10"),
            (0x3fb9_9999_9999_999a, "0.1"),
            (0x2cea_ee21_bf46_bc00, "2.58208751605928e-92"),
            (0xaa80_754d_1a1a_8d4f, "-5.740821509257694e-104"),
            (0xb3c4_904a_6d27_8932, "-2.5593563771756513e-59"),
            (0xbc69_cf42_7684_6d19, "-1.1193133179981887e-17"),
            (0x377b_2fd5_6a5b_15b4, "1.9505608422923054e-41"),
            (0x64d8_15de_eaf2_9df3, "6.100029174392375e+177"),
        ];
        for (bits, text) in cases {
            let mut out = String::new();
            double(&mut out, f64::from_bits(bits));
            assert_eq!(out, text, "{bits:x}");
        }
    }

    #[test]
    fn numbers_become_the_nearest_double() {
        let text =
            "[1e2,1.0,-0,123456789012345678901234567890,0.1e-6,333333333.33333329,1E30,4.50]";
        let expected = "[100,1,0,1.2345678901234568e+29,1e-7,333333333.3333333,1e+30,4.5]";
        assert_eq!(canonical_of(text).as_deref(), Some(expected));
        assert_eq!(canonical_of("[1e400]"), None);
        assert_eq!(integer(1_700_000_000_000), "1700000000000");
        assert_eq!(integer(u64::MAX), "18446744073709552000");
    }

    /// The example of RFC 8785, section 3.2.3: where UTF-16 and UTF-8 sort differently.
    #[test]
    fn keys_are_sorted_by_code_units() {
        let text = "{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}";
        let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}";
        assert_eq!(canonical_of(text).as_deref(), Some(expected));
    }

    #[test]
    fn strings_have_one_spelling() {
        let text = r#""\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/\b\f\t\r\u007f""#;
        let expected = "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\\b\\f\\t\\r\u{7f}\"";
        assert_eq!(canonical_of(text).as_deref(), Some(expected));
    }

    #[test]
    fn plain_text_keeps_numbers_and_the_last_of_a_repeated_key() {
        let value =
            json::parse(" { \"b\" : 1.50, \"a\" : [ 1E2 , null ], \"b\" : -0 } ").expect("JSON");
        assert_eq!(plain(&value).as_deref(), Ok("{\"a\":[1E2,null],\"b\":-0}"));
        let value = json::parse("[[-1e999]]").expect("JSON");
        assert_eq!(plain(&value), Err(Unwritable::Beyond));
    }

    #[test]
    fn what_nests_too_deep_is_not_written() {
        let nested =
            |levels: usize| format!("{}1{}", "[{\"a\":".repeat(levels), "}]".repeat(levels));
        let half = AGENT_JSON_DEPTH_MAX as usize / 2;
        let (deep, deeper) = (nested(half), nested(half + 1));
        let (deep, deeper) = (
            json::parse(&deep).expect("JSON"),
            json::parse(&deeper).expect("JSON"),
        );
        assert!(plain(&deep).is_ok() && canonical(&deep).is_ok());
        assert_eq!(plain(&deeper), Err(Unwritable::Deep));
        assert_eq!(canonical(&deeper), Err(Unwritable::Deep));
    }

    #[test]
    fn members_are_separated() {
        assert_eq!(Members::new().end(), "{}");
        let two = Members::new()
            .text("a", "\"")
            .maybe("b", None)
            .json("c", "1")
            .end();
        assert_eq!(two, "{\"a\":\"\\\"\",\"c\":1}");
    }
}
