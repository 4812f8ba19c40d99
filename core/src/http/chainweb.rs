//! What all Chainweb routes have in common: where they live, and the order of the checks.

use std::borrow::Cow;

use super::{Head, Reply, Site};
use crate::commons::network::NetworkId;
use crate::http::{negotiate, path::Segments};
use http::Method;

/// A Chainweb path below `/chainweb/0.0/{network}`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// The P2P network that the path is of.
    pub network: NetworkId,
    /// What is left, as one segment.
    pub resource: Cow<'static, str>,
}

/// Reads a Chainweb path; `None` if it leads nowhere. `{network}` and chain ids are plain segments:
/// neither `00` nor an unserved chain is one.
#[must_use]
pub fn below(site: &Site, path: &str) -> Option<Below> {
    if !path.starts_with('/') {
        return None;
    }
    let segments = Segments::parse(path)?;
    let [chainweb, api, network, rest @ ..] = segments.as_slice() else {
        return None;
    };
    if chainweb != "chainweb" || api != "0.0" || network != site.network.name() {
        return None;
    }
    let known = |resource: &str| {
        ["getPending", "insert", "lookup", "member", "peer"]
            .into_iter()
            .find(|known| *known == resource)
            .map(Cow::Borrowed)
    };
    match rest {
        [cut, resource] if cut == "cut" => {
            let resource = known(resource).filter(|resource| resource == "peer")?;
            Some(Below {
                network: NetworkId::Cut,
                resource,
            })
        }
        [chain, id, mempool, resource] if chain == "chain" && mempool == "mempool" => {
            let network = NetworkId::mempool(id)?;
            let served = matches!(network, NetworkId::Mempool(chain) if chain < site.chains);
            let resource = known(resource)?;
            served.then_some(Below { network, resource })
        }
        _ => None,
    }
}

/// The path of `resource` on `network`.
#[must_use]
pub fn target(site: &Site, network: NetworkId, resource: &str) -> String {
    format!("/chainweb/0.0/{}/{network}/{resource}", site.network.name())
}

/// The checks between the path and the query: method, then `Accept`, then `Content-Type` where a
/// body is read. Rule: the order of servant's `Delayed`.
///
/// # Errors
/// The answer of the first check that fails: 405, 406 or 415, all without body.
pub fn negotiate(head: &Head<'_>, methods: &[Method], reads_body: bool) -> Result<(), Reply> {
    if !methods.contains(head.method) {
        return Err(Reply::empty(405));
    }
    if !negotiate::accepts_json(head.headers) {
        return Err(Reply::empty(406));
    }
    if reads_body && !negotiate::content_type_is_json(head.headers) {
        return Err(Reply::empty(415));
    }
    Ok(())
}
