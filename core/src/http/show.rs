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
}
