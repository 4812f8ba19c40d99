//! The parser: one pass over validated UTF-8, recursion bounded by [`DEPTH_MAX`].

use super::{Error, Number, Object, Value};
use crate::limits::DEPTH_MAX;
use std::borrow::Cow;

/// Reads one JSON value, surrounded by whitespace at most.
///
/// # Errors
///
/// A syntax error, in our own words, at the path `$`.
pub fn parse(text: &str) -> Result<Value<'_>, Error> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(DEPTH_MAX)?;
    parser.end()?;
    Ok(value)
}

/// Reads one JSON value from bytes, which must be UTF-8.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_bytes(body: &[u8]) -> Result<Value<'_>, Error> {
    parse(utf8(body)?)
}

/// Reads a body that must be an array of strings; `name` is the type errors give an element.
///
/// Equal to [`parse_bytes`] followed by [`Value::each`] and [`Value::string`], in one pass that
/// builds nothing else. Strings without escapes borrow from `body`.
///
/// # Errors
///
/// A syntax error; else `Error in $: parsing [] failed, …` or `Error in $[N]: parsing NAME failed,
/// expected String, but …`.
pub fn string_array<'a>(body: &'a [u8], name: &str) -> Result<Vec<Cow<'a, str>>, Error> {
    let text = utf8(body)?;
    if let Some(strings) = (Parser { text, at: 0 }).only_strings() {
        return Ok(strings);
    }
    // Some element is no string, or there is no array: only the error is of interest.
    parse(text)?.each("[]", |value| {
        value.string(name).map(|text| Cow::Owned(text.to_owned()))
    })
}

/// Reads a text that is one JSON string literal and nothing else.
///
/// # Errors
///
/// A syntax error at the path `$`.
pub fn string_literal(literal: &str) -> Result<Cow<'_, str>, Error> {
    let mut parser = Parser {
        text: literal,
        at: 0,
    };
    if parser.peek() != Some(b'"') {
        return Err(parser.unexpected("a string"));
    }
    let text = parser.string()?;
    parser.end()?;
    Ok(text)
}

/// How many leading bytes are none of `"`, `\` and the control characters, eight at a time.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let hits = special_bytes(u64::from_le_bytes(*word));
        if hits != 0 {
            return index * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - tail.len() + tail.iter().position(special).unwrap_or(tail.len())
}

/// The high bit of each byte that ends a run. A borrow can only mark bytes above a true hit, so
/// the lowest mark is exact.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zero_bytes(word ^ (ONES * b'"' as u64));
    let backslashes = zero_bytes(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | backslashes | controls) & HIGH
}

fn utf8(body: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(body)
        .map_err(|error| Error::new(format!("invalid UTF-8 at byte {}", error.valid_up_to())))
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read so far; always at a character boundary.
    at: usize,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: u32) -> Result<Value<'a>, Error> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.object(depth).map(Value::Object),
            Some(b'[') => self.array(depth).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Boolean(true)),
            Some(b'f') => self.word("false", Value::Boolean(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn array(&mut self, depth: u32) -> Result<Vec<Value<'a>>, Error> {
        let depth = self.descend(depth)?;
        let mut values = Vec::new();
        if self.follows(b']') {
            return Ok(values);
        }
        loop {
            values.push(self.value(depth)?);
            if self.follows(b']') {
                return Ok(values);
            }
            if !self.follows(b',') {
                return Err(self.unexpected("',' or ']'"));
            }
        }
    }

    fn object(&mut self, depth: u32) -> Result<Object<'a>, Error> {
        let depth = self.descend(depth)?;
        let mut members = Vec::new();
        if self.follows(b'}') {
            return Ok(Object { members });
        }
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key"));
            }
            let key = self.string()?;
            if !self.follows(b':') {
                return Err(self.unexpected("':'"));
            }
            members.push((key, self.value(depth)?));
            if self.follows(b'}') {
                return Ok(Object { members });
            }
            if !self.follows(b',') {
                return Err(self.unexpected("',' or '}'"));
            }
        }
    }

    /// Steps over the opening bracket.
    fn descend(&mut self, depth: u32) -> Result<u32, Error> {
        self.at += 1;
        let deeper = depth.checked_sub(1);
        deeper.ok_or_else(|| Error::new(format!("nested deeper than {DEPTH_MAX} levels")))
    }

    /// Reads a string; the caller has seen its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        self.at += 1;
        let plain = self.run();
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                return Ok(Cow::Borrowed(plain));
            }
            Some(b'\\') => {}
            _ => return Err(self.unexpected("the rest of a string")),
        }
        // Small, so that a body full of tiny strings cannot make us reserve much more than its size.
        let mut resolved = String::with_capacity(plain.len() * 2 + 32);
        resolved.push_str(plain);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(resolved));
                }
                Some(b'\\') => resolved.push(self.escape()?),
                _ => return Err(self.unexpected("the rest of a string")),
            }
            resolved.push_str(self.run());
        }
    }

    /// The characters up to the next quote, backslash or control character.
    fn run(&mut self) -> &'a str {
        let rest = self.rest();
        let run = rest.get(..plain_run(rest.as_bytes())).unwrap_or("");
        self.at += run.len();
        run
    }

    fn escape(&mut self) -> Result<char, Error> {
        self.at += 1;
        let Some(letter) = self.peek() else {
            return Err(self.unexpected("an escape"));
        };
        let character = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, Error> {
        let first = self.code_unit()?;
        let code = if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            self.at += 1;
            let second = self.code_unit()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.unexpected("the second half of a surrogate pair"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.unexpected("a surrogate pair"))
    }

    /// Reads `uXXXX`.
    fn code_unit(&mut self) -> Result<u32, Error> {
        let digits = self
            .rest()
            .get(1..5)
            .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.unexpected("four hexadecimal digits"))?;
        self.at += 5;
        Ok(unit)
    }

    fn number(&mut self) -> Result<Number<'a>, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Number::from_valid(
            self.text.get(start..self.at).unwrap_or("0"),
        ))
    }

    fn digits(&mut self) -> Result<(), Error> {
        let rest = self.rest().as_bytes();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.unexpected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Error> {
        if !self.rest().starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// The strings of an array of strings; `None` for everything else, also if it is malformed.
    fn only_strings(mut self) -> Option<Vec<Cow<'a, str>>> {
        if !self.follows(b'[') {
            return None;
        }
        // A request key and its quotes are 46 bytes of an array.
        let mut strings = Vec::with_capacity(self.text.len().div_ceil(46).min(1024));
        if !self.follows(b']') {
            loop {
                self.skip_whitespace();
                if self.peek() != Some(b'"') {
                    return None;
                }
                strings.push(self.string().ok()?);
                if self.follows(b']') {
                    break;
                }
                if !self.follows(b',') {
                    return None;
                }
            }
        }
        self.end().ok()?;
        Some(strings)
    }

    /// Steps over whitespace, then over `byte` if it is next.
    fn follows(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        let follows = self.peek() == Some(byte);
        self.at += usize::from(follows);
        follows
    }

    fn end(&mut self) -> Result<(), Error> {
        self.skip_whitespace();
        if self.at < self.text.len() {
            Err(self.unexpected("the end"))
        } else {
            Ok(())
        }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn unexpected(&self, expected: &str) -> Error {
        Error::new(match self.peek() {
            None => format!("unexpected end of input, expected {expected}"),
            Some(_) => format!("expected {expected} at byte {}", self.at),
        })
    }
}
