//! The rules of HTTP that hold for every route: negotiation, queries, pages, throttles.

pub mod headers;
pub mod negotiate;
pub mod page;
pub mod path;
pub mod query;
pub mod show;
pub mod throttle;
pub mod too_large;

#[cfg(test)]
mod tests {
    use ::http::HeaderMap;
    use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

    use super::*;

    /// Whatever strangers send to the readers, they answer.
    #[test]
    fn random_bytes_never_panic() {
        let alphabet = b"aplicton/json;,q=*.%0+-&:\xff\x80 \t19z";
        let mut state = 3_u64;
        let mut draw = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            (state >> 33) as usize % below
        };
        for _ in 0..50_000 {
            let len = draw(24);
            let bytes: Vec<u8> = (0..len).map(|_| alphabet[draw(alphabet.len())]).collect();
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert(ACCEPT, value.clone());
                headers.insert(CONTENT_TYPE, value);
                negotiate::accepts_json(&headers);
                negotiate::content_type_is_json(&headers);
            }
            let text = String::from_utf8_lossy(&bytes);
            let _ =
                path::Segments::parse(&text).map(|segments| segments.route(|texts| texts.len()));
            path::has_segment(&text, "a");
            let query = query::Query::new(Some(&text));
            for name in ["", "a", "q"] {
                let _ = (query.natural(name), query.int64(name));
            }
            let _ = page::Cursor::parse(&text).map(|cursor| {
                page::PageQuery {
                    limit: None,
                    next: Some(cursor),
                }
                .page(draw(100))
            });
        }
    }
}
