//! The one ban list. A ban set through any family holds in all, survives a restart and expires.
//!
//! A ban is entered under every name we know its bearer by: the address, the certificate's
//! fingerprint and the node's key, so that moving or changing one of them does not shake it off.

use core::fmt;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::commons::address::HostAddr;
use crate::ids::{Fingerprint, PublicKey};
use crate::input::PeerCert;
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

    /// The names under which whoever holds `cert` is banned.
    #[must_use]
    pub fn of_cert(cert: &PeerCert) -> Vec<Self> {
        let key = cert.key.map(Self::Key);
        [Self::Fingerprint(cert.fingerprint)]
            .into_iter()
            .chain(key)
            .collect()
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
    /// The address that was banned, as [`BanKey::Address`] has it: all names entered for it are
    /// forgiven together, even when nobody knows any more whose they were.
    pub address: String,
}

/// Why someone is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub enum BanReason {
    /// It gave a block that is wrong.
    BadBlock,
    /// It gave a header that is wrong.
    BadBlockHeader,
    /// It gave a transaction whose proofs, signatures or sums are wrong.
    BadTransaction,
    /// An operator said so.
    Manual,
}

/// The ban list.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    by_key: BTreeMap<BanKey, Ban>,
    by_end: BTreeSet<(u64, BanKey)>,
}

impl Bans {
    /// Whether `key` is banned at `wall`.
    #[must_use]
    pub fn covers(&self, wall: WallTime, key: &BanKey) -> bool {
        self.by_key
            .get(key)
            .is_some_and(|ban| wall.as_micros() < ban.until_us)
    }

    /// Whether `key` is in the list.
    pub(crate) fn contains(&self, key: &BanKey) -> bool {
        self.by_key.contains_key(key)
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

    pub(crate) fn set(&mut self, key: BanKey, ban: Ban) {
        self.by_end.insert((ban.until_us, key.clone()));
        if let Some(before) = self.by_key.insert(key.clone(), ban)
            && self.by_key[&key].until_us != before.until_us
        {
            self.by_end.remove(&(before.until_us, key));
        }
    }

    /// Every name that was entered for `address`, and `address` itself, if it is banned.
    pub(crate) fn entered_for(&self, address: &BanKey) -> Vec<BanKey> {
        let BanKey::Address(text) = address else {
            return Vec::new();
        };
        self.by_key
            .iter()
            .filter(|(key, ban)| *key == address || ban.address == *text)
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub(crate) fn lift(&mut self, key: &BanKey) -> bool {
        let Some(ban) = self.by_key.remove(key) else {
            return false;
        };
        self.by_end.remove(&(ban.until_us, key.clone()));
        true
    }

    /// Takes out one ban that has ended.
    pub(crate) fn pop_ended(&mut self, wall: WallTime) -> Option<BanKey> {
        if self.next_end()? > wall {
            return None;
        }
        let (_, key) = self.by_end.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// When the next ban ends.
    pub(crate) fn next_end(&self) -> Option<WallTime> {
        self.by_end
            .first()
            .map(|(end, _)| WallTime::from_micros(*end))
    }

    /// All of them, by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&BanKey, &Ban)> {
        self.by_key.iter()
    }
}
