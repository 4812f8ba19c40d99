//! Host names, host addresses, and what a peer says about itself.
//!
//! Decides when two hosts are the same, which are reserved, and how an address is written; which
//! texts are hosts is in `grammar`. Resolving a name is left to the driver, judging a peer to the
//! rooms.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use crate::ids::{Fingerprint, IdError};

mod grammar;

use grammar::{parse_host, parse_ipv6};

pub use crate::limits::HOSTNAME_BYTES_MAX;

/// Why a text is not a host, an address or a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither a name nor an IP address of the accepted grammar.
    #[error("malformed host name")]
    HostMalformed,
    /// More than [`HOSTNAME_BYTES_MAX`] bytes.
    #[error("host name too long")]
    HostTooLong,
    /// What precedes the `@` is not a peer id.
    #[error("malformed peer id: {0}")]
    IdMalformed(#[from] IdError),
    /// An octet of an IPv4 address is written with a leading zero.
    #[error("leading zero in an IPv4 address")]
    LeadingZero,
    /// What follows the last colon is not a decimal number up to 65535.
    #[error("malformed port")]
    PortMalformed,
    /// There is no `:port`.
    #[error("missing port")]
    PortMissing,
}

/// What a [`Hostname`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostKind {
    /// A DNS name.
    Name,
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
}

/// A host by name or address. The spelling is kept; comparison ignores the case of ASCII letters.
///
/// Nothing is normalised or resolved: `localhost`, `127.0.0.1` and `::1` are three hosts.
///
/// [`Hostname::new`] reads exactly the grammar of the Chainweb node, for the sake of its peers: one
/// host in a page that a stock node cannot read makes it drop the whole page. So a group `ffff` of
/// an IPv6 address is refused (its groups are below 65535), and so is an IPv6 address that starts
/// with a letter, such as `fe80::1`. Two exceptions: an IPv4 octet with a leading zero, which the
/// original takes and then fails on, and a text above [`HOSTNAME_BYTES_MAX`] are refused.
///
/// A value made from a socket address or from bracketed text may lie outside of that grammar; see
/// [`Hostname::is_stock`]. Rule: Chainweb host addresses.
#[derive(Clone)]
pub struct Hostname {
    text: Arc<str>,
    kind: HostKind,
    /// The first bytes of the text in lower case, as a number that sorts as they do. It decides
    /// most comparisons without a look at the text, which is dear where names are keys of a table.
    head: u64,
}

impl Hostname {
    /// Reads a host as it stands in the JSON field `hostname`.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        Ok(Self::of(text.into(), parse_host(text)?))
    }

    fn of(text: Arc<str>, kind: HostKind) -> Self {
        let mut head = [0; 8];
        for (lower, byte) in head.iter_mut().zip(text.bytes()) {
            *lower = byte.to_ascii_lowercase();
        }
        Self {
            text,
            kind,
            head: u64::from_be_bytes(head),
        }
    }

    /// The spelling. Letters, digits and `-.:` only, so it needs no escaping in JSON.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Name or address.
    pub fn kind(&self) -> HostKind {
        self.kind
    }

    /// The address, if this is one. An IPv4 address mapped into IPv6 is given as IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.kind {
            HostKind::Name => None,
            HostKind::Ipv4(ip) => Some(IpAddr::V4(ip)),
            HostKind::Ipv6(ip) => Some(ip.to_canonical()),
        }
    }

    /// Whether this is a loopback address or the name `localhost`.
    pub fn is_loopback(&self) -> bool {
        self.ip()
            .map_or_else(|| self.is_localhost(), |ip| ip.is_loopback())
    }

    /// Whether a stock Chainweb node reads this host. Others must not appear in pages or `PUT`s to
    /// such nodes.
    pub fn is_stock(&self) -> bool {
        parse_host(&self.text).is_ok()
    }

    fn is_localhost(&self) -> bool {
        self.text.eq_ignore_ascii_case("localhost")
    }

    /// Reads what stands between brackets: any IPv6 address, by the grammar of Rust or by our own.
    fn from_brackets(text: &str) -> Result<Self, AddressError> {
        if text.len() > HOSTNAME_BYTES_MAX {
            return Err(AddressError::HostTooLong);
        }
        let ip = text
            .parse()
            .ok()
            .or_else(|| parse_ipv6(text))
            .ok_or(AddressError::HostMalformed)?;
        Ok(Self::of(text.into(), HostKind::Ipv6(ip)))
    }
}

impl PartialEq for Hostname {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head
            && (Arc::ptr_eq(&self.text, &other.text) || self.text.eq_ignore_ascii_case(&other.text))
    }
}

impl Eq for Hostname {}

impl PartialOrd for Hostname {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Hostname {
    fn cmp(&self, other: &Self) -> Ordering {
        let lower = |byte: u8| byte.to_ascii_lowercase();
        self.head.cmp(&other.head).then_with(|| {
            if Arc::ptr_eq(&self.text, &other.text) {
                return Ordering::Equal;
            }
            let (one, other) = (self.text.bytes(), other.text.bytes());
            one.map(lower).cmp(other.map(lower))
        })
    }
}

impl Hash for Hostname {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for chunk in self.text.as_bytes().chunks(32) {
            let mut lower = [0; 32];
            let lower = &mut lower[..chunk.len()];
            lower.copy_from_slice(chunk);
            lower.make_ascii_lowercase();
            state.write(lower);
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hostname({})", self.text)
    }
}

impl FromStr for Hostname {
    type Err = AddressError;

    fn from_str(s: &str) -> Result<Self, AddressError> {
        Self::new(s)
    }
}

impl From<IpAddr> for Hostname {
    /// The usual spelling. An IPv4 address mapped into IPv6 becomes IPv4.
    fn from(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let kind = match ip {
            IpAddr::V4(ip) => HostKind::Ipv4(ip),
            IpAddr::V6(ip) => HostKind::Ipv6(ip),
        };
        Self::of(ip.to_string().into(), kind)
    }
}

/// Whether the Chainweb node refuses `host` as reserved where peers are validated.
///
/// `localhost` in any case, `::1` in this spelling only, and ranges of IPv4. The list is the
/// original's, with its two oddities: 192.168/15 covers 192.169 as well, and 198.18/15 is missing.
/// Names are not resolved. Rule: Chainweb host addresses, reserved hosts.
pub fn is_reserved(host: &Hostname) -> bool {
    match host.kind {
        HostKind::Name => host.is_localhost(),
        HostKind::Ipv4(ip) => is_reserved_ipv4(ip),
        HostKind::Ipv6(_) => host.as_str() == "::1",
    }
}

fn is_reserved_ipv4(ip: Ipv4Addr) -> bool {
    match ip.octets() {
        [0 | 10 | 127 | 224..=255, ..] => true,
        [100, b, ..] => b & 0xc0 == 64,
        [169, b, ..] => b == 254,
        [172, b, ..] => b & 0xf0 == 16,
        [192, 0, c, _] => c == 0 || c == 2,
        [192, 88, c, _] => c == 99,
        [192, b, ..] => b & 0xfe == 168,
        [198, 51, c, _] => c == 100,
        [203, 0, c, _] => c == 113,
        _ => false,
    }
}

/// A host and a port; port 0 is allowed.
///
/// Text form `host:port`, with brackets around an IPv6 address. The brackets are read too, which
/// the original cannot do with its own output; between them any IPv6 address is read, not just
/// those of [`Hostname::new`]. JSON form `{"hostname":"…","port":N}`. Rule: Chainweb host
/// addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostAddr {
    /// The host.
    pub host: Hostname,
    /// The TCP port.
    pub port: u16,
}

impl HostAddr {
    /// The address of `port` at `host`.
    pub fn new(host: Hostname, port: u16) -> Self {
        Self { host, port }
    }

    /// The IP address, if the host is one; see [`Hostname::ip`].
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.ip()
    }

    /// Whether the host is this machine itself; see [`Hostname::is_loopback`].
    pub fn is_loopback(&self) -> bool {
        self.host.is_loopback()
    }

    /// Appends the JSON form.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"hostname\":\"");
        out.extend_from_slice(self.host.as_str().as_bytes());
        out.extend_from_slice(b"\",\"port\":");
        write_port(self.port, out);
        out.push(b'}');
    }
}

impl From<SocketAddr> for HostAddr {
    /// An IPv4 address mapped into IPv6 becomes IPv4; flow label and zone are dropped.
    fn from(addr: SocketAddr) -> Self {
        Self {
            host: addr.ip().into(),
            port: addr.port(),
        }
    }
}

impl fmt::Display for HostAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.kind {
            HostKind::Name | HostKind::Ipv4(_) => write!(f, "{}:{}", self.host, self.port),
            HostKind::Ipv6(_) => write!(f, "[{}]:{}", self.host, self.port),
        }
    }
}

impl FromStr for HostAddr {
    type Err = AddressError;

    fn from_str(s: &str) -> Result<Self, AddressError> {
        let (host, port) = s.rsplit_once(':').ok_or(AddressError::PortMissing)?;
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => Hostname::from_brackets(inner)?,
            None if host.contains(':') => return Err(AddressError::HostMalformed),
            None => Hostname::new(host)?,
        };
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AddressError::PortMalformed);
        }
        let port = port.parse().map_err(|_| AddressError::PortMalformed)?;
        Ok(Self { host, port })
    }
}

/// What a peer tells about itself: an address, and the fingerprint of its certificate.
///
/// Without an id, the certificate is one that a public authority signed. Text form
/// `[<id>@]host:port`, JSON form `{"id":"…"|null,"address":{…}}`. Rule: Chainweb peer information.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerInfo {
    /// The fingerprint of the certificate, or none for a certificate of a public authority.
    pub id: Option<Fingerprint>,
    /// Where the peer listens.
    pub address: HostAddr,
}

impl PeerInfo {
    /// The peer with this certificate at this address.
    pub fn new(id: Option<Fingerprint>, address: HostAddr) -> Self {
        Self { id, address }
    }

    /// Appends the JSON form, keys in the order id, address, hostname, port.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match &self.id {
            Some(id) => {
                out.extend_from_slice(b"{\"id\":\"");
                id.with_text(|text| out.extend_from_slice(text.as_bytes()));
                out.extend_from_slice(b"\",\"address\":");
            }
            None => out.extend_from_slice(b"{\"id\":null,\"address\":"),
        }
        self.address.write_json(out);
        out.push(b'}');
    }
}

impl fmt::Display for PeerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.id {
            write!(f, "{id}@")?;
        }
        write!(f, "{}", self.address)
    }
}

impl FromStr for PeerInfo {
    type Err = AddressError;

    fn from_str(s: &str) -> Result<Self, AddressError> {
        match s.split_once('@') {
            Some((id, address)) => Ok(Self::new(Some(id.parse()?), address.parse()?)),
            None => Ok(Self::new(None, s.parse()?)),
        }
    }
}

fn write_port(port: u16, out: &mut Vec<u8>) {
    let mut digits = [0; 5];
    let mut start = digits.len();
    let mut rest = port;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests;
