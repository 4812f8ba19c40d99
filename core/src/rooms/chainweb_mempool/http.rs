//! The mempool endpoints as HTTP. Rule: Chainweb P2P API, `/chain/{n}/mempool/…`.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::command::{self, Command, DecodeError};
use super::key::{RequestKey, RequestKeysError, TxHash, decode_request_keys};
use super::{ChainId, Mark, Query, Request, Response};
use crate::commons::network::NetworkId;
use crate::http::query::Query as Parameters;
use crate::http::{Head, Outgoing, Reply, Routed, Site, chainweb};
use crate::json::{self, Error};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    chain: ChainId,
    resource: Resource,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Resource {
    GetPending(Option<Mark>),
    Insert,
    Lookup,
    Member,
}

pub(crate) fn route(site: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    let below = chainweb::below(site, head.path)?;
    let NetworkId::Mempool(chain) = below.network else {
        return None;
    };
    let route = |resource| Route {
        chain: ChainId(chain),
        resource,
    };
    let body = |method: Method, resource| {
        chainweb::negotiate(head, &[method], true).map(|()| Routed::with_body(route(resource)))
    };
    Some(match below.resource {
        "getPending" => chainweb::negotiate(head, &[Method::POST], false)
            .and_then(|()| read_mark(head).map_err(|text| Reply::plain(400, text)))
            .map(|mark| Routed::bare(route(Resource::GetPending(mark)))),
        "insert" => body(Method::PUT, Resource::Insert),
        "lookup" => body(Method::POST, Resource::Lookup),
        "member" => body(Method::POST, Resource::Member),
        _ => return None,
    })
}

/// The mark a reader comes back with: both parts of it, or none.
fn read_mark(head: &Head<'_>) -> Result<Option<Mark>, String> {
    let parameters = Parameters::new(head.query);
    let (nonce, since) = (parameters.int64("nonce")?, parameters.int64("since")?);
    Ok(nonce.zip(since).map(|(nonce, since)| Mark { nonce, since }))
}

pub(crate) fn too_large(declared: Option<u64>) -> Reply {
    Reply::too_large(declared)
}

pub(crate) fn decode(_: &Site, route: Route, body: Bytes) -> Result<Request, Reply> {
    let body = match route.resource {
        Resource::GetPending(mark) => Query::GetPending(mark),
        Resource::Insert => Query::Insert(decode_commands(&body)?),
        Resource::Lookup => Query::Lookup(decode_keys(&body)?),
        Resource::Member => Query::Member(decode_keys(&body)?),
    };
    Ok(Request {
        chain: route.chain,
        body,
    })
}

fn decode_keys(body: &[u8]) -> Result<Vec<RequestKey>, Reply> {
    decode_request_keys(body).map_err(|error| match error {
        RequestKeysError::Malformed(error) => Reply::plain(400, error.to_string()),
        RequestKeysError::TooShort => Reply::text(400, error.to_string()),
    })
}

fn decode_commands(body: &[u8]) -> Result<Vec<Arc<Command>>, Reply> {
    let texts =
        command::decode_insert_body(body).map_err(|error| Reply::plain(400, error.to_string()))?;
    command::decode_batch(&texts).map_err(|error: DecodeError| Reply::text(400, error.to_string()))
}

pub(crate) fn encode(response: &Response) -> Reply {
    match response {
        Response::Busy => Reply::text(503, "Too many transactions are being checked; try again"),
        Response::Found(found) => Reply::json(200, found_json(found)),
        Response::Inserted => Reply::json(200, Bytes::new()),
        Response::Members(members) => {
            let words = members
                .iter()
                .map(|member| if *member { "true" } else { "false" });
            Reply::json(
                200,
                array(members.len() * 6, words, |out, word| out.push_str(word)),
            )
        }
        Response::NoSuchChain => Reply::empty(404),
        Response::TooMuch => Reply::text(
            413,
            "These transactions are too large for one answer; ask for fewer",
        ),
        Response::Pending { hashes, mark } => Reply::json(200, pending_json(hashes, *mark)),
    }
}

fn found_json(found: &[Option<Arc<Command>>]) -> String {
    let bytes: usize = found
        .iter()
        .flatten()
        .map(|command| command.literal().len() + 40)
        .sum::<usize>();
    array(
        bytes + 20 * found.len(),
        found,
        |out, command| match command {
            Some(command) => {
                out.push_str("{\"tag\":\"Pending\",\"contents\":");
                out.push_str(command.literal());
                out.push('}');
            }
            None => out.push_str("{\"tag\":\"Missing\"}"),
        },
    )
}

fn pending_json(hashes: &[TxHash], mark: Mark) -> String {
    let list = array(46 * hashes.len(), hashes, push_hash);
    format!(
        "{{\"hashes\":{list},\"highwaterMark\":[{},{}]}}",
        mark.nonce, mark.since
    )
}

fn push_hash(out: &mut String, hash: &TxHash) {
    out.push('"');
    crate::base64url::encode_into(hash.as_bytes(), out);
    out.push('"');
}

/// A JSON array of what `push` writes for each item.
fn array<T>(
    bytes: usize,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) -> String {
    let mut out = String::with_capacity(bytes + 2);
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push(&mut out, item);
    }
    out.push(']');
    out
}

pub(crate) fn encode_request(site: &Site, request: &Request) -> Outgoing {
    let (resource, json, body) = match &request.body {
        Query::GetPending(None) => ("getPending".to_owned(), false, String::new()),
        Query::GetPending(Some(mark)) => {
            let resource = format!("getPending?nonce={}&since={}", mark.nonce, mark.since);
            (resource, false, String::new())
        }
        Query::Insert(commands) => {
            let bytes = commands
                .iter()
                .map(|command| command.literal().len() + 1)
                .sum();
            let body = array(bytes, commands, |out, command| {
                out.push_str(command.literal())
            });
            ("insert".to_owned(), true, body)
        }
        Query::Lookup(keys) => ("lookup".to_owned(), true, keys_json(keys)),
        Query::Member(keys) => ("member".to_owned(), true, keys_json(keys)),
    };
    let method = match request.body {
        Query::Insert(_) => Method::PUT,
        Query::GetPending(_) | Query::Lookup(_) | Query::Member(_) => Method::POST,
    };
    let target = chainweb::target(site, NetworkId::Mempool(request.chain.0), &resource);
    Outgoing {
        method,
        target,
        json,
        body: body.into(),
    }
}

fn keys_json(keys: &[RequestKey]) -> String {
    array(46 * keys.len(), keys, |out, key| {
        out.push('"');
        crate::base64url::encode_into(key.as_bytes(), out);
        out.push('"');
    })
}

pub(crate) fn decode_response(request: &Request, status: u16, body: &Bytes) -> Option<Response> {
    match (&request.body, status) {
        (_, 503) => Some(Response::Busy),
        (Query::Lookup(_), 413) => Some(Response::TooMuch),
        (Query::GetPending(_), 200) => read_pending(body).ok(),
        (Query::Insert(_), 200) => Some(Response::Inserted),
        (Query::Lookup(_), 200) => read_found(body).ok().map(Response::Found),
        (Query::Member(_), 200) => read_members(body).ok().map(Response::Members),
        _ => None,
    }
}

fn read_pending(body: &[u8]) -> Result<Response, Error> {
    let value = json::parse_bytes(body)?;
    let pending = value.object("PendingTransactions")?;
    let keys = pending.read("hashes", |hashes| {
        hashes.each("[]", |hash| {
            RequestKey::from_text(hash.string("TransactionHash")?)
                .map_err(|error| Error::new(error.to_string()))
        })
    })?;
    // Only hashes of 32 bytes can be pending here; others are nothing to us.
    let hashes = keys.iter().filter_map(RequestKey::full).collect();
    let mark = pending.read("highwaterMark", |mark| match mark.array("(,)")? {
        [nonce, since] => Ok(Mark {
            nonce: nonce.int64()?,
            since: since.int64()?,
        }),
        _ => Err(Error::new("expected an array of two")),
    })?;
    Ok(Response::Pending { hashes, mark })
}

fn read_found(body: &[u8]) -> Result<Vec<Option<Arc<Command>>>, Error> {
    json::parse_bytes(body)?.each("[]", |found| {
        let found = found.object("LookupResult")?;
        match found
            .read("tag", |tag| tag.string("Text").map(str::to_owned))?
            .as_str()
        {
            "Missing" => Ok(None),
            "Pending" => found.read("contents", |contents| {
                let command = Command::decode(contents.string("Text")?)
                    .map_err(|error| Error::new(error.to_string()))?;
                Ok(Some(Arc::new(command)))
            }),
            other => Err(Error::new(format!("unknown tag {other}"))),
        }
    })
}

fn read_members(body: &[u8]) -> Result<Vec<bool>, Error> {
    json::parse_bytes(body)?.each("[]", |member| member.boolean("Bool"))
}
