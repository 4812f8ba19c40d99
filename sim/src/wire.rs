//! What crosses a link: values as they are, or HTTP and back.
//!
//! As bytes, everything goes through the same codec as on a real socket and must come back equal,
//! so both ways give the same run.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use peerage_core::http::{Head, Reception, Site, receive};
use peerage_core::{Listener, Request, Response};

/// Carries a question as bytes. `garbled` spoils them, to see the comparison fail.
///
/// # Errors
/// What became of it, if it is not what was sent.
pub fn carry_request(
    site: &Site,
    listener: Listener,
    request: &Request,
    garbled: bool,
) -> Result<Request, String> {
    let mut outgoing = request.encode(site);
    if garbled {
        outgoing.target.push('0');
    }
    let mut headers = HeaderMap::new();
    if outgoing.json {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    let (path, query) = match outgoing.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (outgoing.target.as_str(), None),
    };
    let head = Head {
        listener,
        method: &outgoing.method,
        path,
        query,
        headers: &headers,
    };
    let routed = match receive(site, &head) {
        Reception::Proceed(routed) => routed,
        Reception::Answer(reply) => {
            return Err(format!(
                "{request:?} as {outgoing:?} is answered at once with {reply:?}"
            ));
        }
    };
    let body = if routed.body_max.is_some() {
        outgoing.body.clone()
    } else {
        Bytes::new()
    };
    if routed.body_max.is_some_and(|max| body.len() > max) {
        return Err(format!("{request:?} has a body of {} bytes", body.len()));
    }
    match routed.route.decode(site, body) {
        Ok(decoded) if decoded == *request => Ok(decoded),
        Ok(decoded) => Err(format!("{request:?} arrives as {decoded:?}")),
        Err(reply) => Err(format!(
            "{request:?} as {outgoing:?} is answered with {reply:?}"
        )),
    }
}

/// Carries an answer as bytes. `response` is what the caller is to see.
///
/// # Errors
/// What became of it, if it is not what was sent.
pub fn carry_response(request: &Request, response: &Response) -> Result<Response, String> {
    let reply = response.encode();
    if reply.status.as_u16() != response.status() {
        return Err(format!(
            "{response:?} goes out with status {}",
            reply.status
        ));
    }
    if let Response::Opaque(_) = response {
        return Ok(response.clone());
    }
    let decoded = request.decode_response(reply.status.as_u16(), &reply.body);
    if decoded == *response {
        Ok(decoded)
    } else {
        Err(format!(
            "{response:?} to {request:?} arrives as {decoded:?}"
        ))
    }
}
