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
    pub resource: &'static str,
}

/// Reads a Chainweb path; `None` if it leads nowhere. `{network}` and chain ids are plain segments:
/// neither `00` nor an unserved chain is one.
#[must_use]
pub fn below(site: &Site, path: &str) -> Option<Below> {
    let path = plain(path)?;
    let rest = path.strip_prefix("/chainweb/0.0/")?;
    let rest = rest.strip_prefix(site.network.name())?;
    if rest == "/cut/peer" {
        return Some(Below {
            network: NetworkId::Cut,
            resource: "peer",
        });
    }
    let (chain, resource) = rest.strip_prefix("/chain/")?.split_once("/mempool/")?;
    let network = NetworkId::mempool(chain)?;
    let served = matches!(network, NetworkId::Mempool(chain) if chain < site.chains);
    let resource = ["getPending", "insert", "lookup", "member", "peer"]
        .into_iter()
        .find(|known| *known == resource)?;
    served.then_some(Below { network, resource })
}

/// A path without percent sequences and trailing slash, which can be compared as it is; `None` if
/// there is no such path, because a segment holds a slash.
fn plain(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path.strip_suffix('/').unwrap_or(path)));
    }
    if !path.starts_with('/') {
        return None;
    }
    let segments = Segments::parse(path)?;
    let mut plain = String::with_capacity(path.len());
    for segment in segments.as_slice() {
        if segment.contains('/') {
            return None;
        }
        plain.push('/');
        plain.push_str(segment);
    }
    Some(Cow::Owned(plain))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commons::network::ChainwebVersion;

    #[test]
    fn only_the_plain_meaning_of_a_path_counts() {
        let site = Site {
            network: ChainwebVersion::Development,
            chains: 2,
        };
        let found = |path: &str| below(&site, path).map(|below| (below.network, below.resource));
        let peers = Some((NetworkId::Cut, "peer"));
        let insert = Some((NetworkId::Mempool(1), "insert"));
        let start = "/chainweb/0.0/development";
        for path in ["cut/peer", "cut/peer/", "c%75t/peer", "cut/%70eer/"] {
            assert_eq!(found(&format!("{start}/{path}")), peers, "{path}");
        }
        for path in ["chain/1/mempool/insert", "chain/%31/mempool/insert/"] {
            assert_eq!(found(&format!("{start}/{path}")), insert, "{path}");
        }
        assert_eq!(found("/%63hainweb/0%2e0/development/cut/peer"), peers);
        for path in [
            "",
            "/",
            "cut",
            "cut/peer//",
            "/cut/peer",
            "cut%2Fpeer",
            "cut/insert",
            "cut/%70eer%",
            "chain/2/mempool/insert",
            "chain/01/mempool/insert",
            "chain/1/mempool/mempool/insert",
            "chain/1/mempool/insert/x",
            "chain/1/mempool%2Finsert",
        ] {
            assert_eq!(found(&format!("{start}/{path}")), None, "{path}");
        }
        assert_eq!(found("chainweb/0.0/development/cut/peer"), None);
        assert_eq!(found("%63hainweb/0.0/development/cut/peer"), None);
        assert_eq!(found("//chainweb/0.0/development/cut/peer"), None);
        assert_eq!(found("/chainweb/0.0/developmentx/cut/peer"), None);
    }
}
