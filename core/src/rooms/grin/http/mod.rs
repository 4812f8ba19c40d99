//! The room's HTTP.

use bytes::Bytes;

use super::types::{Request, Response};
use crate::http::{Head, Outgoing, Reply, Routed, Site};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {}

pub(crate) fn route(_: &Site, _: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> {
    None
}

pub(crate) fn too_large(declared: Option<u64>) -> Reply {
    Reply::too_large(declared)
}

pub(crate) fn decode(_: &Site, route: Route, _: Bytes) -> Result<Request, Reply> {
    match route {}
}

pub(crate) fn encode(response: &Response) -> Reply {
    Reply::empty(response.status())
}

pub(crate) fn encode_request(_: &Site, request: &Request) -> Outgoing {
    Outgoing {
        method: http::Method::GET,
        target: request.name().to_owned(),
        json: false,
        body: Bytes::new(),
    }
}

pub(crate) const fn decode_response(_: &Request, _: u16, _: &Bytes) -> Option<Response> {
    None
}
