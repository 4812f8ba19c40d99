//! Paths as decoded segments.
//!
//! Splits first and decodes then, so `%2F` never separates. Which segments lead where is for the
//! routes to say.

use std::borrow::Cow;

pub use crate::limits::SEGMENTS_MAX;

/// The decoded segments of a path, on the stack. Only a segment with percent sequences is
/// allocated.
///
/// One trailing slash is dropped, other empty segments stay: `/a//b/` is `a`, ``, `b`. A broken
/// percent sequence stands for itself and bytes that are not UTF-8 become U+FFFD, so they match no
/// route. Rule: Chainweb routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments<'a> {
    segments: [Cow<'a, str>; SEGMENTS_MAX],
    len: usize,
}

impl<'a> Segments<'a> {
    /// Splits the path of a request, without its query. None if it has more than [`SEGMENTS_MAX`]
    /// segments.
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut segments = [const { Cow::Borrowed("") }; SEGMENTS_MAX];
        let mut len = 0;
        for raw in raw_segments(path) {
            *segments.get_mut(len)? = percent_decode(raw, false);
            len += 1;
        }
        Some(Self { segments, len })
    }

    /// The segments in order.
    pub fn as_slice(&self) -> &[Cow<'a, str>] {
        &self.segments[..self.len]
    }

    /// Calls `f` with the segments as plain texts, which a `match` can take apart. The answer may
    /// borrow from the segments.
    pub fn route<'s, R>(&'s self, f: impl FnOnce(&[&'s str]) -> R) -> R {
        let mut texts = [""; SEGMENTS_MAX];
        for (text, segment) in texts.iter_mut().zip(&self.segments) {
            *text = segment;
        }
        f(&texts[..self.len])
    }
}

/// Whether any segment of `path`, once decoded, equals `segment`. Allocates only for percent
/// sequences.
pub fn has_segment(path: &str, segment: &str) -> bool {
    raw_segments(path)
        .any(|raw| raw == segment || (raw.contains('%') && percent_decode(raw, false) == segment))
}

/// The segments as they stand, without the one that a trailing slash makes.
fn raw_segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    // What follows the last slash is not a segment if it is empty, which is what a terminator
    // means.
    path.split_terminator('/')
}

/// Replaces percent sequences, and `+` by a space if `plus` is set. Borrowed if there is nothing to
/// replace.
pub(crate) fn percent_decode(text: &str, plus: bool) -> Cow<'_, str> {
    if !is_encoded(text, plus) {
        return Cow::Borrowed(text);
    }
    match String::from_utf8(decoded(text, plus)) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// The same for a value of a form, if it is one: every `%` begins a sequence, and the bytes that come
/// of it are text.
pub(crate) fn form_decode(text: &str) -> Option<Cow<'_, str>> {
    if !is_encoded(text, true) {
        return Some(Cow::Borrowed(text));
    }
    let is_sequence = |rest: &str| match rest.as_bytes() {
        [high, low, ..] => hex(*high).is_some() && hex(*low).is_some(),
        _ => false,
    };
    if !text.split('%').skip(1).all(is_sequence) {
        return None;
    }
    String::from_utf8(decoded(text, true)).ok().map(Cow::Owned)
}

fn is_encoded(text: &str, plus: bool) -> bool {
    text.bytes()
        .any(|byte| byte == b'%' || (plus && byte == b'+'))
}

fn decoded(text: &str, plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (b'+', _) if plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use crate::commons::network::chain_from_segment;

    use super::*;

    #[test]
    fn unknown_paths_match_the_vectors() {
        let file = include_str!("../../../tests/vectors/chainweb/http_requests.json");
        let file: serde_json::Value = serde_json::from_str(file).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases") {
            let path = case["path"].as_str().expect("path");
            let path = path.split_once('?').map_or(path, |(path, _)| path);
            let known = Segments::parse(path)
                .expect("not too many")
                .route(|texts| match texts {
                    ["chainweb", "0.0", "development", "cut", "peer"] => true,
                    [
                        "chainweb",
                        "0.0",
                        "development",
                        "chain",
                        chain,
                        "mempool",
                        last,
                    ] => {
                        let routes = ["getPending", "insert", "lookup", "member", "peer"];
                        chain_from_segment(chain).is_some() && routes.contains(last)
                    }
                    _ => false,
                });
            assert_eq!(known, case["expect"]["status"] != 404, "{}", case["id"]);
        }
    }

    fn check(path: &str, expected: &[&str]) {
        let segments = Segments::parse(path).expect("not too many");
        segments.route(|texts| assert_eq!(texts, expected, "{path}"));
        assert_eq!(segments.as_slice(), expected, "{path}");
    }

    #[test]
    fn paths_split_before_they_decode() {
        check("/", &[]);
        check("", &[]);
        check("/a/b", &["a", "b"]);
        check("/a/b/", &["a", "b"]);
        check("/a/b//", &["a", "b", ""]);
        check("/a//b", &["a", "", "b"]);
        check("//", &[""]);
        check("*", &["*"]);
        check("/a%2Fb/%30", &["a/b", "0"]);
        check("/a+b", &["a+b"]);
    }

    #[test]
    fn broken_sequences_stand_for_themselves() {
        check("/%/%4/%zz/%%41", &["%", "%4", "%zz", "%A"]);
        check("/%ff/%é", &["\u{fffd}", "%é"]);
    }

    #[test]
    fn long_paths_lead_nowhere() {
        assert!(Segments::parse(&"/a".repeat(SEGMENTS_MAX)).is_some());
        assert!(Segments::parse(&"/a".repeat(SEGMENTS_MAX + 1)).is_none());
        assert!(Segments::parse(&"/".repeat(1000)).is_none());
    }

    #[test]
    fn only_percent_sequences_allocate() {
        let segments = Segments::parse("/plain/%70lain").expect("two segments");
        assert!(matches!(
            segments.as_slice(),
            [Cow::Borrowed("plain"), Cow::Owned(_)]
        ));
    }

    #[test]
    fn segments_are_found_when_encoded() {
        assert!(has_segment(
            "/chainweb/0.0/development/chain/0/mempool/peer",
            "mempool"
        ));
        assert!(has_segment("/a/%6dempool", "mempool"));
        assert!(has_segment("/a/peer/", "peer"));
        assert!(!has_segment("/a/mempools/peers", "peer"));
        assert!(!has_segment("/", "peer"));
    }
}
