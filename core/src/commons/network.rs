//! Networks, the version of the network, and the version of a node.
//!
//! Names only: which chains exist, how they are spelt in a path, which node is too old to be a
//! peer.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A Chainweb network version. A node serves exactly one, chosen at its start.
///
/// Rule: Chainweb version registry, release 2.32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainwebVersion {
    /// `development`: twenty chains, hosts of any kind may be peers.
    Development,
    /// `mainnet01`.
    Mainnet01,
    /// `recap-development`.
    RecapDevelopment,
    /// `testnet04`.
    Testnet04,
}

impl ChainwebVersion {
    /// All versions, in alphabetical order.
    pub const ALL: [Self; 4] = [
        Self::Development,
        Self::Mainnet01,
        Self::RecapDevelopment,
        Self::Testnet04,
    ];

    /// The name, which is also the path segment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Mainnet01 => "mainnet01",
            Self::RecapDevelopment => "recap-development",
            Self::Testnet04 => "testnet04",
        }
    }

    /// The number that stands for the version in binary encodings.
    pub const fn code(self) -> u32 {
        match self {
            Self::Development => 2,
            Self::Mainnet01 => 5,
            Self::RecapDevelopment => 1,
            Self::Testnet04 => 7,
        }
    }

    /// Whether peers at reserved addresses are refused and peers without an id need a public
    /// certificate.
    pub const fn peer_validation(self) -> bool {
        match self {
            Self::Development | Self::RecapDevelopment => false,
            Self::Mainnet01 | Self::Testnet04 => true,
        }
    }

    /// Chains that are served, numbered from zero. All twenty from the start, whatever the height.
    pub const fn chains(self) -> u8 {
        NetworkId::CHAINS
    }
}

impl fmt::Display for ChainwebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no known network version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown network version, known are development, mainnet01, recap-development, testnet04")]
pub struct UnknownVersion;

impl FromStr for ChainwebVersion {
    type Err = UnknownVersion;

    fn from_str(s: &str) -> Result<Self, UnknownVersion> {
        Self::ALL
            .into_iter()
            .find(|version| version.name() == s)
            .ok_or(UnknownVersion)
    }
}

/// A network that peers join: the cuts, or the mempool of one chain.
///
/// Text form, also the path below the version: `cut` or `chain/N/mempool` with the canonical
/// decimal of N. The original knows a third form, `chain/N`, which no endpoint serves; it is not
/// read here. Rule: Chainweb network ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkId {
    /// The network of cuts.
    Cut,
    /// The mempool of the chain with this number, below [`NetworkId::CHAINS`].
    Mempool(u8),
}

impl NetworkId {
    /// Chains of every supported version.
    pub const CHAINS: u8 = crate::limits::CHAINS_MAX;
    /// Networks of every supported version: one per chain, and the cuts.
    pub const COUNT: usize = Self::CHAINS as usize + 1;

    /// All networks, in the order of [`NetworkId::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Cut).chain((0..Self::CHAINS).map(Self::Mempool))
    }

    /// A dense number: 0 for the cuts, chain + 1 for a mempool, so 0..=20 for chains that exist.
    pub const fn index(self) -> usize {
        match self {
            Self::Cut => 0,
            Self::Mempool(chain) => chain as usize + 1,
        }
    }

    /// The network with this [`index`](NetworkId::index), if there is one.
    pub fn from_index(index: usize) -> Option<Self> {
        match index {
            0 => Some(Self::Cut),
            1..Self::COUNT => u8::try_from(index - 1).ok().map(Self::Mempool),
            _ => None,
        }
    }

    /// The mempool of the chain whose path segment this is: `0` … `19`, every other spelling is
    /// none.
    pub fn mempool(segment: &str) -> Option<Self> {
        chain_from_segment(segment).map(Self::Mempool)
    }
}

/// Reads a chain id as a path segment: exactly `0` … `19`. Rule: Chainweb routes, one constant per
/// chain.
pub fn chain_from_segment(segment: &str) -> Option<u8> {
    let chain = match segment.as_bytes() {
        [d @ b'0'..=b'9'] => d - b'0',
        [b'1', d @ b'0'..=b'9'] => 10 + d - b'0',
        _ => return None,
    };
    (chain < NetworkId::CHAINS).then_some(chain)
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("cut"),
            Self::Mempool(chain) => write!(f, "chain/{chain}/mempool"),
        }
    }
}

/// The text names no network that is served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown network id")]
pub struct UnknownNetwork;

impl FromStr for NetworkId {
    type Err = UnknownNetwork;

    fn from_str(s: &str) -> Result<Self, UnknownNetwork> {
        if s == "cut" {
            return Ok(Self::Cut);
        }
        s.strip_prefix("chain/")
            .and_then(|rest| rest.strip_suffix("/mempool"))
            .and_then(Self::mempool)
            .ok_or(UnknownNetwork)
    }
}

/// The version of a node: integers joined by dots, compared as lists, so `1.10` > `1.2` > `1`.
///
/// Read from the header `x-chainweb-node-version`. Rule: Chainweb node versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeVersion(Arc<[u64]>);

impl NodeVersion {
    /// Integers that are read at most; a text with more is unreadable. The bound is ours.
    pub const PARTS_MAX: usize = 32;
    /// The oldest version that is accepted as a peer: `1.2`.
    pub const MINIMUM: [u64; 2] = [1, 2];

    /// The version with these integers, most significant first.
    pub fn new(parts: &[u64]) -> Self {
        Self(parts.into())
    }

    /// The integers, most significant first. Never empty when read from text.
    pub fn parts(&self) -> &[u64] {
        &self.0
    }

    /// Whether a node of this version may be a peer.
    pub fn is_accepted(&self) -> bool {
        self.parts() >= Self::MINIMUM.as_slice()
    }

    /// The form in which a refusal names the version: `NodeVersion {_getNodeVersion = [1,1]}`.
    pub fn shown(&self) -> Shown<'_> {
        Shown(self)
    }
}

/// Prints a [`NodeVersion`] as the original's refusals do.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(&'a NodeVersion);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeVersion {_getNodeVersion = [")?;
        join(f, self.0.parts(), ",")?;
        f.write_str("]}")
    }
}

impl fmt::Display for NodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.0, ".")
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[u64], separator: &str) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

/// The text is not a list of decimal integers joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unreadable node version")]
pub struct UnreadableVersion;

impl FromStr for NodeVersion {
    type Err = UnreadableVersion;

    /// Leading zeros are read (`1.02` is `1.2`); an integer above 64 bits counts as the largest.
    fn from_str(s: &str) -> Result<Self, UnreadableVersion> {
        let mut parts = Vec::with_capacity(4);
        for part in s.split('.') {
            if part.is_empty() || parts.len() == Self::PARTS_MAX {
                return Err(UnreadableVersion);
            }
            let mut value = 0_u64;
            for byte in part.bytes() {
                if !byte.is_ascii_digit() {
                    return Err(UnreadableVersion);
                }
                value = value
                    .saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0'));
            }
            parts.push(value);
        }
        Ok(Self(parts.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn cases(file: &str) -> Vec<Value> {
        let file: Value = serde_json::from_str(file).expect("vectors are JSON");
        file["cases"].as_array().expect("cases").clone()
    }

    #[test]
    fn versions_match_the_vectors() {
        for case in cases(include_str!(
            "../../../tests/vectors/chainweb/versions.json"
        )) {
            let id = &case["id"];
            let name = case["version"].as_str().expect("name");
            let version: ChainwebVersion = name.parse().expect("known");
            assert_eq!(version.name(), name, "{id}");
            assert_eq!(u64::from(version.code()), case["code"], "{id}");
            assert_eq!(version.peer_validation(), case["peer_validation"], "{id}");
            let chains: Vec<String> = (0..version.chains()).map(|n| n.to_string()).collect();
            assert_eq!(serde_json::json!(chains), case["chain_ids"], "{id}");
        }
        assert_eq!("testnet05".parse::<ChainwebVersion>(), Err(UnknownVersion));
        assert_eq!("Mainnet01".parse::<ChainwebVersion>(), Err(UnknownVersion));
    }

    #[test]
    fn network_ids_match_the_vectors() {
        for case in cases(include_str!(
            "../../../tests/vectors/chainweb/network_ids.json"
        )) {
            let text = case["text"].as_str().expect("text");
            let parsed = text.parse::<NetworkId>();
            assert_eq!(parsed.is_ok(), case["parses"] == true, "{}", case["id"]);
            let meaning = parsed.ok().map(|network| match network {
                NetworkId::Cut => "cut".to_owned(),
                NetworkId::Mempool(chain) => format!("mempool {chain}"),
            });
            assert_eq!(
                serde_json::json!(meaning),
                case["meaning"],
                "{}",
                case["id"]
            );
        }
    }

    #[test]
    fn network_ids_round_trip_and_nothing_else_parses() {
        for (index, network) in NetworkId::all().enumerate() {
            assert_eq!(network.index(), index);
            assert_eq!(NetworkId::from_index(index), Some(network));
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        assert_eq!(NetworkId::all().count(), NetworkId::COUNT);
        assert_eq!(NetworkId::from_index(NetworkId::COUNT), None);
        for bad in [
            "",
            "Cut",
            "chain/20/mempool",
            "chain/00/mempool",
            "chain/-1/mempool",
            "chain/0",
        ] {
            assert_eq!(bad.parse::<NetworkId>(), Err(UnknownNetwork), "{bad}");
        }
        assert_eq!("chain/mempool".parse::<NetworkId>(), Err(UnknownNetwork));
    }

    #[test]
    fn node_versions_match_the_vectors() {
        for case in cases(include_str!(
            "../../../tests/vectors/chainweb/node_versions.json"
        )) {
            let header = case["header"].as_str().expect("header");
            let version = header.parse::<NodeVersion>();
            let outcome = match &version {
                Ok(version) if version.is_accepted() => "accept",
                Ok(_) => "reject",
                Err(UnreadableVersion) => "unreadable",
            };
            assert_eq!(outcome, case["outcome"], "{}", case["id"]);
            if let (Ok(version), Some(body)) = (&version, case["error_body"].as_str()) {
                let shown = version.shown();
                let text = format!("Invalid hostaddress: NodeVersionNotAccepted ({shown})");
                assert_eq!(text, body, "{}", case["id"]);
            }
        }
    }

    #[test]
    fn node_versions_compare_as_lists() {
        let version = |s: &str| s.parse::<NodeVersion>().expect("readable");
        assert!(version("1.10") > version("1.2"));
        assert!(version("1") < version("1.2"));
        assert_eq!(version("1.02"), version("1.2"));
        assert_eq!(version("2.32.0").to_string(), "2.32.0");
        assert_eq!(version("99999999999999999999").parts(), [u64::MAX]);
        for bad in ["", ".", "1.", ".1", "1.-2", "+1", " 1", "1.2 ", "٣"] {
            assert_eq!(bad.parse::<NodeVersion>(), Err(UnreadableVersion), "{bad}");
        }
        assert_eq!(
            ["1"; 33].join(".").parse::<NodeVersion>(),
            Err(UnreadableVersion)
        );
    }
}
