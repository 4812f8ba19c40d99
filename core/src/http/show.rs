//! The way the original prints a text inside of an error: quoted, with the escapes of Haskell.

/// `text` as Haskell's `show` prints it: in double quotes, with `"` and `\` escaped, control
/// characters by name, and characters above 126 by decimal number. Rule: the Haskell report,
/// section 2.6.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            '\x7f' => out.push_str("\\DEL"),
            '\0'..='\x1f' => {
                out.push('\\');
                out.push_str(CONTROL[c as usize]);
                if c == '\x0e' && next == Some('H') {
                    out.push_str("\\&");
                }
            }
            _ => {
                out.push('\\');
                out.push_str(&u32::from(c).to_string());
                if next.is_some_and(|next| next.is_ascii_digit()) {
                    out.push_str("\\&");
                }
            }
        }
    }
    out.push('"');
    out
}

/// The text that [`quoted`] has printed as `shown`; none if it is not of that form.
pub fn unquoted(shown: &str) -> Option<String> {
    let mut rest = shown.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find(['\\', '"']) {
        out.push_str(&rest[..at]);
        let escape = rest[at..].strip_prefix('\\')?;
        let digits = escape.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.push(char::from_u32(escape[..digits].parse().ok()?)?);
            rest = &escape[digits..];
        } else if let Some(after) = escape.strip_prefix('&') {
            rest = after;
        } else {
            let (c, length) = read_escape(escape)?;
            out.push(c);
            rest = &escape[length..];
        }
    }
    out.push_str(rest);
    Some(out)
}

/// The character that an escape without digits names, and how long the name is. The longest name
/// counts: `SOH` is not `SO` and `H`.
fn read_escape(escape: &str) -> Option<(char, usize)> {
    let named = CONTROL
        .iter()
        .zip('\0'..)
        .map(|(name, c)| (*name, c))
        .chain([("DEL", '\x7f'), ("\"", '"'), ("\\", '\\')]);
    named
        .filter(|(name, _)| escape.starts_with(name))
        .map(|(name, c)| (c, name.len()))
        .max_by_key(|(_, length)| *length)
}

const CONTROL: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS",
    "RS", "US",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_like_haskell() {
        assert_eq!(quoted("plain"), "\"plain\"");
        assert_eq!(quoted("a\"b\\c"), "\"a\\\"b\\\\c\"");
        assert_eq!(quoted("\n\t\0\x7f\x1b"), "\"\\n\\t\\NUL\\DEL\\ESC\"");
        assert_eq!(quoted("é1é"), "\"\\233\\&1\\233\"");
        assert_eq!(quoted("\x0eH\x0eI"), "\"\\SO\\&H\\SOI\"");
    }

    #[test]
    fn quoted_texts_are_read_again() {
        for text in [
            "",
            "plain",
            "a\"b\\c\\\"",
            "\n\t\0\x7f\x1b",
            "é1é",
            "\x0eH\x0eI\x01\x0e",
        ] {
            assert_eq!(unquoted(&quoted(text)).as_deref(), Some(text));
        }
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        assert_eq!(unquoted(&quoted(&all)), Some(all));
        for broken in [
            "",
            "\"",
            "a",
            "\"a",
            "\"\"\"",
            "\"\\\"",
            "\"\\q\"",
            "\"\\99999999\"",
        ] {
            assert_eq!(unquoted(broken), None, "{broken}");
        }
    }
}
