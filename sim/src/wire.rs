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
    if !request.answer_is_read() && decoded == Response::Opaque(response.status()) {
        // A page for people, who take it as it is.
        return Ok(response.clone());
    }
    if decoded == *response {
        Ok(decoded)
    } else {
        Err(format!(
            "{response:?} to {request:?} arrives as {decoded:?}"
        ))
    }
}

/// What becomes of a question whose bytes were spoiled.
#[derive(Debug)]
pub enum Mangled {
    /// The connection ends in the middle of it.
    Broken,
    /// It is another question now.
    Changed(Request),
    /// The reader answers this status; no node hears of it.
    Refused(u16),
}

/// Spoils the bytes of a question as `luck` says: its path, or its body.
#[must_use]
pub fn mangle_request(site: &Site, listener: Listener, request: &Request, luck: u64) -> Mangled {
    let mut outgoing = request.encode(site);
    if outgoing.body.is_empty() {
        let mut target = outgoing.target.clone().into_bytes();
        spoil(&mut target, luck);
        match String::from_utf8(target) {
            Ok(target) if target.bytes().all(|byte| byte.is_ascii_graphic()) => {
                outgoing.target = target;
            }
            _ => return Mangled::Refused(400),
        }
    } else {
        let mut body = outgoing.body.to_vec();
        if spoil(&mut body, luck) {
            // The length that was announced never arrives.
            return Mangled::Broken;
        }
        outgoing.body = body.into();
    }
    let mut headers = HeaderMap::new();
    if outgoing.json {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
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
        Reception::Answer(reply) => return Mangled::Refused(reply.status.as_u16()),
    };
    let body = match routed.body_max {
        Some(max) if outgoing.body.len() > max => return Mangled::Refused(413),
        Some(_) => outgoing.body,
        None => Bytes::new(),
    };
    match routed.route.decode(site, body) {
        Ok(changed) => Mangled::Changed(changed),
        Err(reply) => Mangled::Refused(reply.status.as_u16()),
    }
}

/// Spoils the bytes of an answer as `luck` says; gives what the caller reads, if it reads anything.
#[must_use]
pub fn mangle_response(request: &Request, response: &Response, luck: u64) -> Option<Response> {
    let reply = response.encode();
    let mut body = reply.body.to_vec();
    if spoil(&mut body, luck) {
        return None;
    }
    Some(request.decode_response(reply.status.as_u16(), &body.into()))
}

/// Changes a bit, or cuts the end off; tells whether it did that.
fn spoil(bytes: &mut Vec<u8>, luck: u64) -> bool {
    if bytes.is_empty() {
        return true;
    }
    let at = (luck >> 8) as usize % bytes.len();
    let cuts = luck.is_multiple_of(4);
    if cuts {
        bytes.truncate(at);
    } else {
        bytes[at] ^= 1 << (luck >> 2 & 7);
    }
    cuts
}

/// Bytes of a head that all messages have, roughly.
const HEAD: u64 = 200;

/// How many bytes a question takes on a link.
#[must_use]
pub fn size_of_request(site: &Site, request: &Request) -> u64 {
    let outgoing = request.encode(site);
    HEAD + (outgoing.target.len() + outgoing.body.len()) as u64
}

/// How many bytes an answer takes on a link.
#[must_use]
pub fn size_of_response(response: &Response) -> u64 {
    HEAD + response.encode().body.len() as u64
}
