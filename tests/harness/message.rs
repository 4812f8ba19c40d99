//! Requests and answers as literal text.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

/// A request taken apart.
///
/// Lines end with `\r\n` or `\n`. The body is everything behind the blank line; a chunked one is
/// written without its chunk sizes.
#[derive(Clone, Debug)]
pub struct ParsedRequest {
    /// The method.
    pub method: Method,
    /// The path, as written.
    pub path: String,
    /// What follows the `?`, as written.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl ParsedRequest {
    /// Reads a request.
    ///
    /// # Panics
    /// If the text is not a request; a test says what it means.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        Self::try_read(text).unwrap_or_else(|| {
            panic!("not a request: {}", String::from_utf8_lossy(text));
        })
    }

    /// Reads a request; `None` if the text is none.
    #[must_use]
    pub fn try_read(text: &[u8]) -> Option<Self> {
        let (first, headers, body) = split(text)?;
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Some(Self {
            method: method.parse().ok()?,
            path: path.to_owned(),
            query,
            headers,
            body,
        })
    }

    /// The declared length of the body; a chunked one has none.
    #[must_use]
    pub fn declared(&self) -> Option<u64> {
        if self.headers.contains_key("transfer-encoding") {
            return None;
        }
        match self.headers.get("content-length") {
            Some(length) => length.to_str().ok()?.parse().ok(),
            None => Some(self.body.len() as u64),
        }
    }
}

/// An answer taken apart.
#[derive(Clone, Debug)]
pub struct ParsedAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl ParsedAnswer {
    /// Reads an answer; `None` if the text is none.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let (first, headers, body) = split(text)?;
        let status = first.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some(Self {
            status,
            headers,
            body,
        })
    }

    /// The value of a header, if it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error} in {}", String::from_utf8_lossy(&self.body));
        })
    }
}

/// An answer as text: headers in the order of their names, lines ended by `\n`.
pub(crate) fn print_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let reason = status.canonical_reason().unwrap_or("");
    let first = format!("HTTP/1.1 {} {reason}", status.as_u16());
    print(first.trim_end(), headers, body)
}

/// A message as text.
pub(crate) fn print(first: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", value.as_bytes().escape_ascii()))
        .collect();
    lines.sort();
    format!(
        "{first}\n{}\n{}",
        lines.concat(),
        String::from_utf8_lossy(body)
    )
}

fn split(text: &[u8]) -> Option<(String, HeaderMap, Bytes)> {
    let mut rest = text;
    let mut lines = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = (
            rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]),
            &rest[end + 1..],
        );
        rest = after;
        if line.is_empty() {
            break;
        }
        lines.push(String::from_utf8(line.to_vec()).ok()?);
    }
    let first = (!lines.is_empty()).then(|| lines.remove(0))?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some((first, headers, Bytes::copy_from_slice(rest)))
}
