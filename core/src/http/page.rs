//! Pages of a list: cursors, limits, and which positions a page holds.

use std::fmt;
use std::ops::Range;

use super::query::{Query, refusal};
use super::show::quoted;
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};

/// Where a page starts: at a position of the list, or just after one.
///
/// Text form `inclusive:N` or `exclusive:N`. N is a decimal with an optional leading `-`; above 64
/// bits it counts as the largest. The original also reads spaces and hexadecimal, which nobody
/// sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// The page starts at this position.
    Inclusive(i64),
    /// The page starts after this position.
    Exclusive(i64),
}

impl Cursor {
    /// Reads the text form. The error is the reason of a 400, such as
    /// `TextFormatException "Prelude.read: no parse"`. Rule: Chainweb paging.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number)),
            None => (text, None),
        };
        let make = match (kind, number) {
            ("inclusive", _) => Self::Inclusive,
            ("exclusive", _) => Self::Exclusive,
            (_, None) => {
                return Err(format_error(&format!(
                    "missing ':' in next item: {}.",
                    quoted(text)
                )));
            }
            (_, Some(_)) => {
                return Err(format_error(&format!(
                    "unrecognized next item: {}.",
                    quoted(text)
                )));
            }
        };
        let number = number.and_then(read_position);
        number
            .map(make)
            .ok_or_else(|| format_error("Prelude.read: no parse"))
    }

    /// The first position of the page in a list of `total` items, or none if the cursor points
    /// outside.
    fn start(self, total: usize) -> Option<usize> {
        let (position, offset) = match self {
            Self::Inclusive(position) => (position, 0),
            Self::Exclusive(position) => (position, 1),
        };
        let position = usize::try_from(position)
            .ok()
            .filter(|position| *position < total)?;
        Some(position + offset)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inclusive(position) => write!(f, "inclusive:{position}"),
            Self::Exclusive(position) => write!(f, "exclusive:{position}"),
        }
    }
}

/// What a request asks of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PageQuery {
    /// Items wanted; none means [`PAGE_DEFAULT`].
    pub limit: Option<u64>,
    /// Where to start; none means at the first item.
    pub next: Option<Cursor>,
}

impl PageQuery {
    /// Reads the parameters `limit` and `next`, in this order.
    ///
    /// The error is the text of a 400: `Error parsing query parameter next failed: …`.
    pub fn parse(query: Query<'_>) -> Result<Self, String> {
        let limit = query.natural("limit")?;
        let next = match query.get("next") {
            Some(text) => Some(Cursor::parse(&text).map_err(|reason| refusal("next", &reason))?),
            None => None,
        };
        Ok(Self { limit, next })
    }

    /// The page of a list with `total` items.
    ///
    /// At most [`PAGE_MAX`] items. A cursor outside of the list gives an empty page without a
    /// next one; a limit of 0 gives an empty page whose next one starts at the same place. Rule:
    /// Chainweb paging.
    pub fn page(&self, total: usize) -> Page {
        let limit = self.limit.map_or(PAGE_DEFAULT, |limit| {
            usize::try_from(limit).map_or(PAGE_MAX, |limit| limit.min(PAGE_MAX))
        });
        let start = self
            .next
            .map_or(Some(0), |cursor| cursor.start(total))
            .unwrap_or(total);
        let end = total.min(start.saturating_add(limit));
        Page {
            items: start..end,
            next: (end < total).then_some(end),
        }
    }
}

/// Which part of a list a page holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Positions on this page. Their number is the `limit` of the answer.
    pub items: Range<usize>,
    /// Position of the first item of the next page, printed as `inclusive:N`; none after the last
    /// page.
    pub next: Option<usize>,
}

fn format_error(message: &str) -> String {
    format!("TextFormatException {}", quoted(message))
}

fn read_position(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value
            .saturating_mul(10)
            .saturating_add(i64::from(byte - b'0'));
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn pages_match_the_vectors() {
        let file = include_str!("../../../tests/vectors/chainweb/paging.json");
        let file: Value = serde_json::from_str(file).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases") {
            let (id, expect) = (&case["id"], &case["expect"]);
            let total = usize::try_from(case["total"].as_u64().expect("total")).expect("small");
            let text = case["raw_query"].as_str().map_or_else(
                || {
                    let pairs = case["query"].as_object().expect("query").iter();
                    let pairs = pairs.map(|(k, v)| format!("{k}={}", v.as_str().expect("text")));
                    pairs.collect::<Vec<_>>().join("&")
                },
                str::to_owned,
            );
            let page = match PageQuery::parse(Query::new(Some(&text))) {
                Err(body) => {
                    assert_eq!(expect["status"], 400, "{id}");
                    assert_eq!(body, expect["body"], "{id}");
                    continue;
                }
                Ok(query) => query.page(total),
            };
            assert_eq!(expect["status"], 200, "{id}");
            assert_eq!(json!(page.items.len()), expect["limit"], "{id}");
            assert_eq!(
                json!(page.items.clone().collect::<Vec<_>>()),
                expect["items"],
                "{id}"
            );
            assert_eq!(
                json!(page.next.map(|n| format!("inclusive:{n}"))),
                expect["next"],
                "{id}"
            );
        }
    }

    #[test]
    fn refused_queries_match_the_vectors() {
        let file = include_str!("../../../tests/vectors/chainweb/http_requests.json");
        let file: Value = serde_json::from_str(file).expect("vectors are JSON");
        for case in file["cases"].as_array().expect("cases") {
            let path = case["path"].as_str().expect("path");
            let Some((path, query)) = path.split_once('?') else {
                continue;
            };
            let query = Query::new(Some(query));
            let result = if path.ends_with("/peer") {
                PageQuery::parse(query).map(|_| ())
            } else {
                query
                    .int64("nonce")
                    .and_then(|_| query.int64("since"))
                    .map(|_| ())
            };
            match result {
                Ok(()) => assert_eq!(case["expect"]["status"], 200, "{}", case["id"]),
                Err(body) => assert_eq!(body, case["expect"]["body"], "{}", case["id"]),
            }
        }
    }

    #[test]
    fn walk_visits_every_item_once() {
        for (total, limit) in [(0, 1), (1, 1), (7, 3), (700, 600), (65, 64)] {
            let mut query = PageQuery {
                limit: Some(limit),
                next: None,
            };
            let mut seen = Vec::new();
            loop {
                let page = query.page(total);
                seen.extend(page.items);
                let Some(next) = page.next else { break };
                query.next = Some(Cursor::Inclusive(i64::try_from(next).expect("small")));
            }
            assert!(seen.into_iter().eq(0..total));
        }
    }

    #[test]
    fn cursors_outside_of_the_list_give_an_empty_last_page() {
        for cursor in [
            "inclusive:3",
            "exclusive:2",
            "exclusive:3",
            "inclusive:-1",
            "exclusive:-1",
        ] {
            let next = Cursor::parse(cursor).expect("a cursor");
            assert_eq!(next.to_string(), cursor);
            let page = PageQuery {
                limit: None,
                next: Some(next),
            }
            .page(3);
            assert_eq!((page.items.len(), page.next), (0, None), "{cursor}");
        }
        let far = Cursor::parse("exclusive:99999999999999999999").expect("a cursor");
        let page = PageQuery {
            limit: Some(u64::MAX),
            next: Some(far),
        }
        .page(usize::MAX);
        assert_eq!(page.items.len(), PAGE_MAX);
        let outside = PageQuery {
            limit: None,
            next: Some(Cursor::Inclusive(-1)),
        };
        assert_eq!(outside.page(usize::MAX).items.len(), 0);
    }

    #[test]
    fn malformed_cursors_are_quoted_twice() {
        let check = |text: &str, error: &str| {
            assert_eq!(Cursor::parse(text), Err(error.to_owned()), "{text}")
        };
        check(
            "",
            "TextFormatException \"missing ':' in next item: \\\"\\\".\"",
        );
        check(
            "\"",
            "TextFormatException \"missing ':' in next item: \\\"\\\\\\\"\\\".\"",
        );
        check(
            ":",
            "TextFormatException \"unrecognized next item: \\\":\\\".\"",
        );
        for bad in [
            "inclusive",
            "inclusive:",
            "exclusive",
            "inclusive:x",
            "inclusive:-",
            "exclusive:+1",
        ] {
            check(bad, "TextFormatException \"Prelude.read: no parse\"");
        }
        check(
            "inclusive:1:2",
            "TextFormatException \"Prelude.read: no parse\"",
        );
    }
}
