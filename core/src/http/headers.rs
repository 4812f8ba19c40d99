//! The headers that answers to Chainweb requests carry.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use ::http::{HeaderName, HeaderValue};
use bytes::{BufMut, Bytes, BytesMut};

use crate::commons::network::NodeVersion;

/// `x-peer-addr`: the caller's socket address.
pub const X_PEER_ADDR: HeaderName = HeaderName::from_static("x-peer-addr");
/// `x-server-timestamp`: the node's clock.
pub const X_SERVER_TIMESTAMP: HeaderName = HeaderName::from_static("x-server-timestamp");
/// `x-chainweb-node-version`: the version of the node, on requests and answers.
pub const X_CHAINWEB_NODE_VERSION: HeaderName = HeaderName::from_static("x-chainweb-node-version");

/// The version that the node declares. Source: the last release of chainweb-node.
pub const DECLARED_VERSION: HeaderValue = HeaderValue::from_static("2.32.0");

/// The value of `server`.
pub const SERVER: HeaderValue = HeaderValue::from_static("Chainweb P2P API");
/// The `content-type` of JSON answers and of both kinds of empty success, in exactly this spelling.
pub const CONTENT_TYPE_JSON: HeaderValue =
    HeaderValue::from_static("application/json;charset=utf-8");
/// The `content-type` of refusals by a handler.
pub const CONTENT_TYPE_TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=utf-8");

/// The value of `x-peer-addr`: `a.b.c.d:port`, or `[ipv6]:port` without a zone.
///
/// An IPv4 address mapped into IPv6 is printed as IPv4. Rule: Chainweb response headers.
pub fn peer_addr(addr: SocketAddr) -> HeaderValue {
    const LEN_MAX: usize = "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535".len();
    let mut out = BytesMut::with_capacity(LEN_MAX).writer();
    let written = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => write!(out, "{ip}:{}", addr.port()),
        IpAddr::V6(ip) => write!(out, "[{ip}]:{}", addr.port()),
    };
    written.expect("writing to memory cannot fail");
    value(out.into_inner().freeze())
}

/// The value of `x-server-timestamp`: whole seconds since the epoch. Rule: Chainweb response
/// headers.
pub fn server_timestamp(epoch_secs: u64) -> HeaderValue {
    HeaderValue::from(epoch_secs)
}

/// The value of `x-chainweb-node-version`: dotted integers. Made once, cloned for each answer.
pub fn node_version(version: &NodeVersion) -> HeaderValue {
    value(Bytes::from(version.to_string()))
}

fn value(ascii: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(ascii).expect("printable ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_addresses_have_brackets_around_ipv6_only() {
        let check = |addr: &str, expected: &str| {
            assert_eq!(peer_addr(addr.parse().expect("an address")), expected);
        };
        check("1.2.3.4:5", "1.2.3.4:5");
        check("[::1]:65535", "[::1]:65535");
        check("[::ffff:1.2.3.4]:5", "1.2.3.4:5");
        check("[fe80::1%3]:5", "[fe80::1]:5");
    }

    #[test]
    fn values_are_plain_text() {
        assert_eq!(server_timestamp(1_700_000_000), "1700000000");
        assert_eq!(node_version(&NodeVersion::new(&[2, 32, 0])), "2.32.0");
        assert_eq!(SERVER, "Chainweb P2P API");
    }
}
