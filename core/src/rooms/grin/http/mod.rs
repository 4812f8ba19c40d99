//! The chain's endpoints as HTTP: which path leads where. Rule: Grin's node API v1 as of release 4.1.1;
//! what nodes say to each other is ours.
//!
//! Operators' paths are on the API listener only, the paths between nodes on the P2P listener only. An
//! unknown path and a wrong method get 404 without a body. Whoever may not ask is told so before
//! anything is said about the question; so a question that cannot be read is part of what is asked.

mod between;
mod read;
mod show;
mod write;

use bytes::Bytes;
use http::Method;
use peerage_mw::Chain;

use super::types::{Ask, Request, Response};
use crate::http::path::Segments;
use crate::http::{Head, Outgoing, Reply, Routed, Site, v1};
use crate::input::Listener;
use crate::limits::GRIN_PUSH_BYTES_MAX;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// Nothing is left to read.
    Bare(Box<Ask>),
    /// Another node's question about a chain, in the body.
    Between(Chain, Says),
    /// A transaction, in the body.
    Push {
        /// The path, and the query with its question mark.
        target: String,
        /// Whether to spread it at once.
        fluff: bool,
    },
}

/// What one node says to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// There is a new block.
    Announce,
    /// Give blocks.
    Blocks,
    /// Give headers.
    Headers,
    /// Here I am.
    Hello,
    /// Take a transaction, and do not spread it yet.
    Stem,
    /// Take a transaction.
    Transaction,
}

pub(crate) fn route(_: &Site, head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    match head.listener {
        Listener::Api => {
            let segments = Segments::parse(head.path)?;
            let is_ours = segments.route(|it| v1::owner(it) == Some(v1::Owner::Grin));
            is_ours.then(|| of_operators(head))
        }
        Listener::P2p => of_nodes(head),
    }
}

fn of_operators(head: &Head<'_>) -> Result<Routed<Route>, Reply> {
    let route = match *head.method {
        Method::GET => read::get(head.path, head.query),
        Method::POST => read::post(head.path, head.query),
        _ => None,
    };
    match route {
        Some(route @ Route::Push { .. }) => Ok(Routed::with_body_of(route, GRIN_PUSH_BYTES_MAX)),
        Some(route) => Ok(Routed::bare(route)),
        None => Err(Reply::empty(404)),
    }
}

fn of_nodes(head: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    let (chain, says) = between::find(head.path)?;
    if head.method != Method::POST {
        return Some(Err(Reply::empty(404)));
    }
    let route = Route::Between(chain, says);
    Some(Ok(Routed::with_body_of(route, says.body_max())))
}

pub(crate) fn too_large(_: Option<u64>) -> Reply {
    Reply::plain(413, "the body is too large")
}

pub(crate) fn decode(_: &Site, route: Route, body: Bytes) -> Result<Request, Reply> {
    match route {
        Route::Bare(ask) => Ok(Request::Ask(*ask)),
        Route::Between(chain, says) => match between::read(chain, says, &body) {
            Some(between) => Ok(Request::Between(chain, between)),
            None => Err(Reply::plain(400, "not what nodes of this chain say")),
        },
        Route::Push { target, fluff } => Ok(Request::Ask(read::push(target, fluff, body))),
    }
}

pub(crate) fn encode(response: &Response) -> Reply {
    show::show(response)
}

pub(crate) fn encode_request(_: &Site, request: &Request) -> Outgoing {
    match request {
        Request::Ask(ask) => write::ask(ask),
        Request::Between(chain, between) => between::write(*chain, between),
    }
}

/// What another node answers. Pages of the node API are for others to read: they show less than they
/// were made from.
pub(crate) fn decode_response(request: &Request, status: u16, body: &Bytes) -> Option<Response> {
    match request {
        Request::Ask(_) => None,
        Request::Between(chain, asked) => between::read_answer(*chain, asked, status, body),
    }
}

#[cfg(test)]
mod tests;
