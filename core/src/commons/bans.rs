//! The one ban list. A ban set through any family holds in all, survives a restart and expires.
//!
//! A ban is entered under every name we know its bearer by: the address, the certificate's
//! fingerprint and the node's key, so that moving or changing one of them does not shake it off.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::commons::address::HostAddr;
use crate::ids::{Fingerprint, PublicKey};
use crate::time::WallTime;

/// A name that a ban goes by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BanKey {
    /// An IP address or host name in lower case; with its port on loopback, where many nodes share
    /// one address. Rule: Grin, `PeerAddr::as_key`.
    Address(String),
    /// A certificate.
    Fingerprint(Fingerprint),
    /// A node's public key.
    Key(PublicKey),
}

impl BanKey {
    /// The name under which `addr` is banned.
    #[must_use]
    pub fn of_address(addr: &HostAddr) -> Self {
        let text = if addr.is_loopback() {
            addr.to_string()
        } else {
            addr.ip()
                .map_or_else(|| addr.host.to_string(), |ip| ip.to_canonical().to_string())
        };
        Self::Address(text.to_ascii_lowercase())
    }
}

impl fmt::Display for BanKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(text) => write!(f, "a:{text}"),
            Self::Fingerprint(fingerprint) => write!(f, "f:{fingerprint}"),
            Self::Key(key) => write!(f, "k:{key}"),
        }
    }
}

/// Text that is not a [`BanKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a ban")]
pub struct NotABanKey;

impl FromStr for BanKey {
    type Err = NotABanKey;

    fn from_str(text: &str) -> Result<Self, NotABanKey> {
        match text.split_once(':') {
            Some(("a", text)) => Ok(Self::Address(text.to_owned())),
            Some(("f", text)) => text.parse().map(Self::Fingerprint).map_err(|_| NotABanKey),
            Some(("k", text)) => text.parse().map(Self::Key).map_err(|_| NotABanKey),
            _ => Err(NotABanKey),
        }
    }
}

/// Why and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Ban {
    /// Why.
    pub reason: BanReason,
    /// When it began, in microseconds since the Unix epoch.
    pub since_us: u64,
    /// When it ends, in microseconds since the Unix epoch.
    pub until_us: u64,
}

/// Why someone is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub enum BanReason {
    /// An operator said so.
    Manual,
}

/// The ban list.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    by_key: BTreeMap<BanKey, Ban>,
    version: u64,
}

impl Bans {
    /// Whether `key` is banned at `wall`.
    #[must_use]
    pub fn covers(&self, wall: WallTime, key: &BanKey) -> bool {
        self.by_key
            .get(key)
            .is_some_and(|ban| wall.as_micros() < ban.until_us)
    }

    /// Whether there is no ban at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many names are banned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Grows with every change of the list.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether `key` is on the list, be it that the ban has just run out.
    #[must_use]
    pub fn holds(&self, key: &BanKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(crate) fn set(&mut self, key: BanKey, ban: Ban) {
        self.version += 1;
        self.by_key.insert(key, ban);
    }

    pub(crate) fn lift(&mut self, key: &BanKey) -> bool {
        let lifted = self.by_key.remove(key).is_some();
        self.version += u64::from(lifted);
        lifted
    }

    /// Takes out the bans that ended.
    pub(crate) fn expire(&mut self, wall: WallTime) -> Vec<BanKey> {
        let over: Vec<BanKey> = self
            .by_key
            .iter()
            .filter(|(_, ban)| ban.until_us <= wall.as_micros())
            .map(|(key, _)| key.clone())
            .collect();
        for key in &over {
            self.lift(key);
        }
        over
    }

    /// When the next ban ends.
    pub(crate) fn next_end(&self) -> Option<WallTime> {
        self.by_key
            .values()
            .map(|ban| ban.until_us)
            .min()
            .map(WallTime::from_micros)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BanKey, &Ban)> {
        self.by_key.iter()
    }
}
