//! Whether a request wants JSON, and whether it brings JSON.
//!
//! Follows the media-type library below the Chainweb node, as its clients meet it: a header with
//! one malformed element is malformed as a whole, and of several header lines the first decides. No
//! allocation.

use ::http::HeaderMap;
use ::http::header::{ACCEPT, CONTENT_TYPE};

/// Whether the `Accept` header allows an answer of `application/json;charset=utf-8`; if not, the
/// answer is 406.
///
/// No header allows everything. A range counts with the quality of its most specific match; quality
/// 0 excludes. Parameters must be none, or exactly `charset=utf-8` in any case. An empty or
/// malformed header (also a malformed quality) allows nothing. Of several lines only the first is
/// read. Rule: Chainweb content negotiation.
pub fn accepts_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(ACCEPT) else {
        return true;
    };
    match value.as_bytes() {
        b"*/*" | b"application/json" => true,
        bytes => accepts(bytes).unwrap_or(false),
    }
}

/// Whether the body is declared as `application/json`, with or without parameters; if not, the
/// answer is 415.
///
/// No header means `application/octet-stream`. A parameter without `=` makes the header malformed,
/// and a malformed header is not JSON. Rule: Chainweb content negotiation.
pub fn content_type_is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    match value.as_bytes() {
        b"application/json" => true,
        bytes => MediaRange::parse(bytes).is_some_and(|media| media.scope == Scope::Exact),
    }
}

/// What a range covers, from the least to the most specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Other,
    Anything,
    Application,
    Exact,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameters {
    None,
    CharsetUtf8,
    Other,
}

#[derive(Debug, Clone, Copy)]
struct MediaRange {
    scope: Scope,
    parameters: Parameters,
}

impl MediaRange {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut pieces = text.split(|byte| *byte == b';').map(trim);
        let (main, sub) = split_once(pieces.next()?, b'/')?;
        if main.is_empty() || sub.is_empty() || (main == b"*" && sub != b"*") {
            return None;
        }
        let scope = match (main, sub) {
            (b"*", _) => Scope::Anything,
            (main, b"*") if main.eq_ignore_ascii_case(b"application") => Scope::Application,
            (main, sub)
                if main.eq_ignore_ascii_case(b"application")
                    && sub.eq_ignore_ascii_case(b"json") =>
            {
                Scope::Exact
            }
            _ => Scope::Other,
        };
        // A repeated parameter counts with its last value.
        let (mut charset, mut other) = (None, false);
        for piece in pieces {
            let (name, value) = split_once(piece, b'=')?;
            if name.eq_ignore_ascii_case(b"charset") {
                charset = Some(value);
            } else {
                other = true;
            }
        }
        let parameters = match charset {
            None if !other => Parameters::None,
            Some(value) if !other && value.eq_ignore_ascii_case(b"utf-8") => {
                Parameters::CharsetUtf8
            }
            _ => Parameters::Other,
        };
        Some(Self { scope, parameters })
    }

    /// Whether this range, later in the header, displaces `other`, both having matched the same
    /// offer.
    fn displaces(self, other: Self) -> bool {
        let covered = self.scope >= other.scope
            && (other.parameters == Parameters::None || self.parameters == other.parameters);
        let narrower = other.scope < Scope::Exact
            || (self.parameters != Parameters::None && other.parameters == Parameters::None);
        covered && narrower
    }
}

/// The best match of one offer so far, with its quality in thousandths.
#[derive(Clone, Copy, Default)]
struct Best(Option<(MediaRange, u16)>);

impl Best {
    fn consider(&mut self, range: MediaRange, quality: u16) {
        if self.0.is_none_or(|(best, _)| range.displaces(best)) {
            self.0 = Some((range, quality));
        }
    }

    fn is_wanted(self) -> bool {
        self.0.is_some_and(|(_, quality)| quality > 0)
    }
}

fn accepts(header: &[u8]) -> Option<bool> {
    // Two offers: the type with `charset=utf-8`, and without parameters.
    let (mut with_charset, mut plain) = (Best::default(), Best::default());
    for element in header.split(|byte| *byte == b',') {
        let (media, quality) = split_quality(trim(element))?;
        let range = MediaRange::parse(media)?;
        if range.scope == Scope::Other {
            continue;
        }
        match range.parameters {
            Parameters::None => {
                with_charset.consider(range, quality);
                plain.consider(range, quality);
            }
            Parameters::CharsetUtf8 => with_charset.consider(range, quality),
            Parameters::Other => {}
        }
    }
    Some(with_charset.is_wanted() || plain.is_wanted())
}

/// Splits the last parameter `q=` off, and drops what follows it. None if its value is malformed.
fn split_quality(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut rest = element;
    while let Some(at) = rest.iter().rposition(|byte| *byte == b';') {
        if let Some(value) = trim(&rest[at + 1..]).strip_prefix(b"q=") {
            return Some((&rest[..at], read_quality(value)?));
        }
        rest = &rest[..at];
    }
    Some((element, 1000))
}

/// A quality of at most three decimals, in thousandths.
fn read_quality(text: &[u8]) -> Option<u16> {
    let (whole, decimals) = match text {
        [whole @ (b'0' | b'1')] => (*whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (*whole, decimals),
        _ => return None,
    };
    let mut value = 0;
    for i in 0..3 {
        let digit = decimals.get(i).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    match whole {
        b'0' => Some(value),
        _ if value == 0 => Some(1000),
        _ => None,
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let start = bytes
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(bytes.len());
    let end = bytes
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |at| at + 1);
    &bytes[start..end]
}

fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use serde_json::Value;

    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).expect("a header value"));
        }
        headers
    }

    #[test]
    fn requests_match_the_vectors() {
        let file = include_str!("../../../tests/vectors/chainweb/http_requests.json");
        let file: Value = serde_json::from_str(file).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases") {
            let status = case["expect"]["status"].as_u64().expect("status");
            let header = |name: &'static str| -> Option<HeaderMap> {
                Some(headers(name, &[case["headers"].get(name)?.as_str()?]))
            };
            if let Some(accept) = header("accept").filter(|_| status < 404 || status == 406) {
                assert_eq!(accepts_json(&accept), status != 406, "{}", case["id"]);
            }
            let content_type =
                header("content-type").filter(|_| ![404, 405, 406].contains(&status));
            if let Some(content_type) = content_type {
                assert_eq!(
                    content_type_is_json(&content_type),
                    status != 415,
                    "{}",
                    case["id"]
                );
            }
        }
    }

    #[test]
    fn accept_follows_the_ranges() {
        assert!(accepts_json(&HeaderMap::new()));
        for wanted in [
            "*/*",
            "application/*",
            "Application/JSON",
            "application/json;charset=UTF-8",
            "application/json; CHARSET=utf-8; q=0.1",
            "text/html, application/json;q=0.5",
            "text/html,*/*;q=0.001",
            "application/json;q=1.000;ext=1;more",
            "application/json;q=1.",
            "application/json;q=0.5, application/json;q=0",
            "*/*;q=0, application/json",
            "application/json;q=0, application/json;charset=utf-8;q=0.3",
            "\tapplication/json\t",
        ] {
            assert!(accepts_json(&headers("accept", &[wanted])), "{wanted}");
        }
        for unwanted in [
            "",
            "text/html",
            "application/vnd.api+json",
            "application/json;charset=iso-8859-1",
            "application/json;version=1",
            "application/json;charset=utf-8;version=1",
            "application/json;q=0.",
            "application/json;q=0",
            "application/json;q=0, application/json",
            "application/json;q=0.000, */*;q=0",
            "application/json;q=0, */*;q=1",
            "application/json;Q=0.5",
            "application/json;q=2",
            "application/json;q=0.1234",
            "application/json;q=x, application/json",
            "application/json;charset",
            "application/json;",
            "application/json,",
            "application/json, nonsense",
            "*/json",
            "/json",
            "application/",
            ";q=1",
        ] {
            assert!(!accepts_json(&headers("accept", &[unwanted])), "{unwanted}");
        }
    }

    #[test]
    fn first_accept_line_decides() {
        assert!(accepts_json(&headers(
            "accept",
            &["application/json", "text/html"]
        )));
        assert!(!accepts_json(&headers(
            "accept",
            &["text/html", "application/json"]
        )));
    }

    #[test]
    fn content_type_takes_any_parameters() {
        assert!(!content_type_is_json(&HeaderMap::new()));
        for json in [
            "application/json",
            "APPLICATION/json",
            "application/json; charset=utf-8",
            "application/json;charset=iso-8859-1",
            " application/json ;a=b;c=",
        ] {
            assert!(
                content_type_is_json(&headers("content-type", &[json])),
                "{json}"
            );
        }
        for other in [
            "",
            "*/*",
            "application/*",
            "application/json;x",
            "application/json;",
            "json",
        ] {
            assert!(
                !content_type_is_json(&headers("content-type", &[other])),
                "{other}"
            );
        }
    }
}
