//! The limit of request bodies, and the text that refuses a larger one.

use crate::limits::BODY_BYTES_MAX;

/// The body of a 413, `text/plain`. `declared` is the declared length; a chunked body has none.
///
/// Rule: Chainweb body size, in the words of the size-limiting middleware below it.
pub fn too_large(declared: Option<u64>) -> String {
    let size = match declared {
        Some(bytes) => format!("{bytes} bytes."),
        None => {
            "split into chunks, whose total size is unknown, but exceeded the limit.".to_owned()
        }
    };
    format!(
        "Request body too large to be processed. The maximum size is {BODY_BYTES_MAX} bytes; your \
         request body was {size} If you're the developer of this site, you can configure the \
         maximum length with `requestSizeLimitMiddleware`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_middleware() {
        assert_eq!(
            too_large(Some(2_097_153)),
            "Request body too large to be processed. The maximum size is 2097152 bytes; your \
             request body was 2097153 bytes. If you're the developer of this site, you can \
             configure the maximum length with `requestSizeLimitMiddleware`."
        );
        assert!(
            too_large(None).contains("body was split into chunks, whose total size is unknown")
        );
    }
}
