//! Who answers a path below `/v1`, which three families share.
//!
//! | path below `/v1` | answers |
//! |---|---|
//! | nothing; `blocks`, `headers`, `chain`, `status`, `version`, `txhashset`, `pool`, and what is below | Grin |
//! | `peers` | cluster |
//! | `peers/{x}/ban`, `peers/{x}/unban`, whatever `{x}` is | bans |
//! | `{x}/ban`, `{x}/unban`, if `{x}` is not a word of the cluster's | bans |
//! | `peers/all`, `peers/connected`, `peers/{address}` | Grin |
//! | `peers/peer_…`, `peers/{bare ULID}`, `peers/self` | cluster |
//! | `peers/{anything else}`, and everything else | cluster, with the 404 of its envelope |
//!
//! The method decides nothing: who owns a path answers for all of them.

use core::net::IpAddr;

use crate::commons::address::{HostAddr, Hostname};

/// The family that answers a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// The ban endpoints of Grin's node API.
    Bans {
        /// The segment that names the peer; it may be no address.
        addr: &'a str,
        /// `ban` or `unban`.
        command: &'a str,
    },
    /// The cluster's API, and whatever nobody else wants.
    Cluster,
    /// Grin's node API.
    Grin,
}

/// What callers of Grin's node API are told who have not shown its secret.
pub const CHALLENGE: &str = "Basic realm=GrinAPI";

/// First segments that are Grin's.
const GRIN: [&str; 7] = [
    "blocks",
    "chain",
    "headers",
    "pool",
    "status",
    "txhashset",
    "version",
];
/// First segments that are the cluster's, and therefore no addresses.
const CLUSTER: [&str; 5] = ["bootstrap", "cluster", "credentials", "license", "oauth"];
/// The port of an address that names none. Source: Grin's main net.
const DEFAULT_PORT: u16 = 3414;

/// Who answers the path of these segments; `None` if it is not below `/v1`.
#[must_use]
pub fn owner<'a>(segments: &[&'a str]) -> Option<Owner<'a>> {
    let ["v1", below @ ..] = segments else {
        return None;
    };
    Some(match *below {
        [] | [""] => Owner::Grin,
        ["peers", addr, command @ ("ban" | "unban")] => Owner::Bans { addr, command },
        ["peers", peer] if is_grins_peer(peer) => Owner::Grin,
        ["peers", ..] => Owner::Cluster,
        [first, ..] if GRIN.contains(&first) => Owner::Grin,
        [addr, command @ ("ban" | "unban")] if !CLUSTER.contains(&addr) => {
            Owner::Bans { addr, command }
        }
        _ => Owner::Cluster,
    })
}

fn is_grins_peer(segment: &str) -> bool {
    matches!(segment, "all" | "connected") || address(segment).is_some()
}

/// Reads `host:port`, `[v6]:port`, or a bare address or name.
#[must_use]
pub fn address(text: &str) -> Option<HostAddr> {
    if let Ok(addr) = text.parse() {
        return Some(addr);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some(HostAddr::new(Hostname::from(ip), DEFAULT_PORT));
    }
    // A name without a dot and a port is more likely a slip than a host.
    let host: Hostname = bare.contains('.').then(|| bare.parse().ok()).flatten()?;
    Some(HostAddr::new(host, DEFAULT_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::path::Segments;

    fn check(path: &str, expected: Option<Owner<'_>>) {
        let segments = Segments::parse(path).expect("not too many");
        segments.route(|segments| assert_eq!(owner(segments), expected, "{path}"));
    }

    #[test]
    fn every_kind_of_segment_has_its_owner() {
        for segment in [
            "peer_01KBYMHC35F0N070F3XXMEZAZR",
            "peer_",
            "peer_rubbish",
            "01KBYMHC35F0N070F3XXMEZAZR",
            "01kbymhc35f0n070f3xxmezazr",
            "self",
            "",
            "rubbish",
            "All",
            "ban",
            "-",
            "%00",
        ] {
            check(&format!("/v1/peers/{segment}"), Some(Owner::Cluster));
        }
        for segment in [
            "all",
            "connected",
            "1.2.3.4",
            "1.2.3.4:3414",
            "example.org",
            "localhost:1",
            "[::1]:3414",
            "::1",
            "%5B::1%5D:3414",
        ] {
            check(&format!("/v1/peers/{segment}"), Some(Owner::Grin));
        }
    }

    #[test]
    fn bans_are_found_behind_any_segment() {
        for addr in ["1.2.3.4", "self", "all", "peer_x", "rubbish"] {
            for command in ["ban", "unban"] {
                let expected = Some(Owner::Bans { addr, command });
                check(&format!("/v1/peers/{addr}/{command}"), expected);
            }
        }
        let (addr, command) = ("1.2.3.4", "unban");
        check("/v1/1.2.3.4/unban", Some(Owner::Bans { addr, command }));
        check("/v1/cluster/ban", Some(Owner::Cluster));
        check("/v1/peers/ban", Some(Owner::Cluster));
        check("/v1/peers/1.2.3.4/ban/more", Some(Owner::Cluster));
        check("/v1/peers/1.2.3.4/kick", Some(Owner::Cluster));
    }

    #[test]
    fn the_rest_of_the_tree_is_divided() {
        for path in [
            "/v1",
            "/v1/",
            "/v1/blocks/7",
            "/v1/chain",
            "/v1/status",
            "/v1/pool/push",
            "/v1/version",
            "/v1/headers/1",
            "/v1/txhashset/roots",
            "/v1/chain/ban",
        ] {
            check(path, Some(Owner::Grin));
        }
        for path in [
            "/v1/peers",
            "/v1/peers/",
            "/v1/cluster/identity",
            "/v1/x",
            "/v1//x",
        ] {
            check(path, Some(Owner::Cluster));
        }
        for path in ["/", "/v2/peers", "/chainweb/v1", "/livez"] {
            check(path, None);
        }
    }
}
