//! Strings as aeson and Haskell's `show` write them.

use super::parse::plain_run;
use std::fmt::Write as _;

/// Appends `text` to `out` as a JSON string literal with its quotes.
///
/// Escaped are `"`, `\` and control characters (`\n`, `\r`, `\t`, else `\u00XX`); everything else
/// stays raw UTF-8. These are aeson's choices, which a stored command is re-encoded with.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    loop {
        // A run ends at an ASCII character, so both cuts are character boundaries.
        let (plain, tail) = rest
            .split_at_checked(plain_run(rest.as_bytes()))
            .unwrap_or((rest, ""));
        out.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
        }
        rest = tail.as_str();
    }
    out.push('"');
}

/// `text` as Haskell's `show` prints it: quoted, ASCII only.
///
/// Other characters are decimal (`\233`); `\&` keeps an escape apart from a digit behind it, and
/// `\SO` from an `H`. The bodies `DecodeException "…"` have this form.
#[must_use]
pub fn haskell_show(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => shown.push_str("\\\""),
            '\\' => shown.push_str("\\\\"),
            ' '..='~' => shown.push(character),
            '\x7f' => shown.push_str("\\DEL"),
            '\0'..='\x1f' => {
                shown.push('\\');
                shown.push_str(CONTROLS[character as usize & 0x1f]);
                if character == '\x0e' && characters.peek() == Some(&'H') {
                    shown.push_str("\\&");
                }
            }
            _ => {
                let _ = write!(shown, "\\{}", u32::from(character));
                if characters.peek().is_some_and(char::is_ascii_digit) {
                    shown.push_str("\\&");
                }
            }
        }
    }
    shown.push('"');
    shown
}

const CONTROLS: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS",
    "RS", "US",
];
