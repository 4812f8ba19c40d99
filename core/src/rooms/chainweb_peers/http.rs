//! stub
use bytes::Bytes;
use super::{Request, Response};
use crate::http::{Head, Outgoing, Reply, Routed, Site};
#[derive(Clone, Debug, PartialEq)]
pub enum Route {}
pub(crate) fn route(_: &Site, _: &Head<'_>) -> Option<Result<Routed<Route>, Reply>> { None }
pub(crate) fn decode(_: &Site, route: Route, _: Bytes) -> Result<Request, Reply> { match route {} }
pub(crate) fn encode(_: &Response) -> Reply { Reply::empty(200) }
pub(crate) fn encode_request(_: &Site, _: &Request) -> Outgoing { Outgoing { method: http::Method::GET, target: String::new(), json: false, body: Bytes::new() } }
pub(crate) fn decode_response(_: &Request, _: u16, _: &Bytes) -> Option<Response> { None }
