//! How many requests one client address may make.
//!
//! Three token buckets per address, as the Chainweb node has them. Deciding which requests are
//! counted at all (known peers are not) is left to the caller.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::path::has_segment;

pub use crate::limits::ADDRESSES_MAX;

/// A bucket that was not asked for this long is forgotten and starts full. Rule: Chainweb rate
/// limits.
pub const FORGET_MICROS: u64 = 30_000_000;

const MICROS_PER_SEC: u64 = 1_000_000;

/// Requests per second, an exact fraction above zero.
///
/// Text forms: `11`, `21/2`, `10.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    numerator: NonZeroU32,
    denominator: NonZeroU32,
}

impl Rate {
    /// `requests` per `secs` seconds; none if either is zero.
    pub const fn new(requests: u32, secs: u32) -> Option<Self> {
        match (NonZeroU32::new(requests), NonZeroU32::new(secs)) {
            (Some(numerator), Some(denominator)) => Some(Self {
                numerator,
                denominator,
            }),
            (None, _) | (_, None) => None,
        }
    }

    const fn per_second(requests: u32) -> Option<Self> {
        Self::new(requests, 1)
    }

    /// Tokens that a full bucket holds: four times the rate, rounded up. Rule: Chainweb rate
    /// limits.
    pub const fn burst(self) -> u64 {
        4 * (self.numerator.get() as u64).div_ceil(self.denominator.get() as u64)
    }

    /// A token in the smallest unit: what a bucket gains in a microsecond is a whole number of
    /// these.
    const fn token(self) -> u64 {
        self.denominator.get() as u64 * MICROS_PER_SEC
    }

    /// At most 4 · (2^32 + 2^32) · 10^6 units, well below 2^64.
    const fn capacity(self) -> u64 {
        4 * (self.numerator.get() as u64).div_ceil(self.denominator.get() as u64) * self.token()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.numerator)?;
        if self.denominator.get() > 1 {
            write!(f, "/{}", self.denominator)?;
        }
        Ok(())
    }
}

/// The text is not a rate above zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed rate: expected requests per second above zero, such as 11, 21/2 or 10.5")]
pub struct MalformedRate;

impl FromStr for Rate {
    type Err = MalformedRate;

    fn from_str(s: &str) -> Result<Self, MalformedRate> {
        let number = |digits: &str| -> Option<u32> {
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        let rate = if let Some((requests, secs)) = s.split_once('/') {
            number(requests)
                .zip(number(secs))
                .and_then(|(requests, secs)| Self::new(requests, secs))
        } else if let Some((whole, decimals)) = s.split_once('.') {
            let scale = u32::try_from(decimals.len())
                .ok()
                .and_then(|len| 10_u32.checked_pow(len));
            scale
                .zip(number(whole))
                .zip(number(decimals))
                .and_then(|((scale, whole), decimals)| {
                    Self::new(whole.checked_mul(scale)?.checked_add(decimals)?, scale)
                })
        } else {
            number(s).and_then(Self::per_second)
        };
        rate.ok_or(MalformedRate)
    }
}

/// A bucket of tokens, refilled continuously. Exact: integers of microseconds, no rounding.
///
/// The rate is passed in, so that thousands of buckets can share one; it must be the same each
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    level: u64,
    asked_micros: u64,
}

impl TokenBucket {
    /// A full bucket.
    pub const fn full(rate: Rate, now_micros: u64) -> Self {
        Self {
            level: rate.capacity(),
            asked_micros: now_micros,
        }
    }

    /// Takes one token if there is one. Time that runs backwards refills nothing.
    pub fn take(&mut self, rate: Rate, now_micros: u64) -> bool {
        self.level = self.level_at(rate, now_micros);
        self.asked_micros = self.asked_micros.max(now_micros);
        match self.level.checked_sub(rate.token()) {
            Some(level) => {
                self.level = level;
                true
            }
            None => false,
        }
    }

    /// Microseconds after `now_micros` until a token is there; 0 if there is one.
    pub fn wait_micros(&self, rate: Rate, now_micros: u64) -> u64 {
        let missing = rate.token().saturating_sub(self.level_at(rate, now_micros));
        missing.div_ceil(u64::from(rate.numerator.get()))
    }

    fn level_at(&self, rate: Rate, now_micros: u64) -> u64 {
        let gain = now_micros
            .saturating_sub(self.asked_micros)
            .saturating_mul(u64::from(rate.numerator.get()));
        self.level.saturating_add(gain).min(rate.capacity())
    }

    fn is_forgotten(&self, now_micros: u64) -> bool {
        now_micros.saturating_sub(self.asked_micros) >= FORGET_MICROS
    }
}

/// The rates of the three buckets; none switches a bucket off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Requests with method PUT and a path segment `peer`.
    pub put_peer: Option<Rate>,
    /// Requests with a path segment `mempool`.
    pub mempool: Option<Rate>,
    /// All requests.
    pub global: Option<Rate>,
}

impl Default for Rates {
    /// 11, 20 and 50 per second. Rule: Chainweb rate limits.
    fn default() -> Self {
        Self {
            put_peer: Rate::per_second(11),
            mempool: Rate::per_second(20),
            global: Rate::per_second(50),
        }
    }
}

/// The buckets of all client addresses.
///
/// Remembers a bounded number of addresses. When full, the one that was silent longest is
/// forgotten, which can only be kind to it. Costs one look-up in an ordered map per request.
#[derive(Debug, Clone)]
pub struct Throttle {
    rates: Rates,
    addresses_max: usize,
    slots: BTreeMap<IpAddr, usize>,
    /// A list by time of last request, linked by indices; `newest` and `oldest` are its ends.
    clients: Vec<Client>,
    newest: usize,
    oldest: usize,
    /// Slots of `clients` that hold nobody.
    free: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Client {
    ip: IpAddr,
    seen_micros: u64,
    newer: usize,
    older: usize,
    put_peer: Option<TokenBucket>,
    mempool: Option<TokenBucket>,
    global: Option<TokenBucket>,
}

/// The end of the list.
const NOBODY: usize = usize::MAX;

impl Throttle {
    /// No client yet. `addresses_max` is at least one; [`ADDRESSES_MAX`] is a good choice.
    pub fn new(rates: Rates, addresses_max: usize) -> Self {
        Self {
            rates,
            addresses_max: addresses_max.max(1),
            slots: BTreeMap::new(),
            clients: Vec::new(),
            newest: NOBODY,
            oldest: NOBODY,
            free: Vec::new(),
        }
    }

    /// Whether a request is served; if not, the answer is 429 with `{"message":"Too many
    /// requests."}`.
    ///
    /// The buckets are asked in the order put-peer, mempool, global; the first that refuses ends
    /// it, and the later ones lose nothing. `path` is the path without its query; its segments are
    /// decoded before they are compared. The port of a client does not count, an IPv4 address
    /// mapped into IPv6 is the IPv4 address. Rule: Chainweb rate limits.
    pub fn admit(&mut self, now_micros: u64, ip: IpAddr, method_is_put: bool, path: &str) -> bool {
        let put_peer = self
            .rates
            .put_peer
            .filter(|_| method_is_put && has_segment(path, "peer"));
        let mempool = self.rates.mempool.filter(|_| has_segment(path, "mempool"));
        let global = self.rates.global;
        if put_peer.is_none() && mempool.is_none() && global.is_none() {
            return true;
        }
        self.forget_silent(now_micros);
        let slot = self.visit(now_micros, ip.to_canonical());
        let client = &mut self.clients[slot];
        take(&mut client.put_peer, put_peer, now_micros)
            && take(&mut client.mempool, mempool, now_micros)
            && take(&mut client.global, global, now_micros)
    }

    /// Client addresses that are remembered.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no client is remembered.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The slot of a client, now the newest.
    fn visit(&mut self, now_micros: u64, ip: IpAddr) -> usize {
        let slot = match self.slots.get(&ip) {
            Some(&slot) => {
                if slot != self.newest {
                    self.unlink(slot);
                    self.link_newest(slot);
                }
                slot
            }
            None => self.insert(ip),
        };
        let client = &mut self.clients[slot];
        client.seen_micros = client.seen_micros.max(now_micros);
        slot
    }

    fn insert(&mut self, ip: IpAddr) -> usize {
        if self.slots.len() >= self.addresses_max {
            self.forget_oldest();
        }
        let client = Client {
            ip,
            seen_micros: 0,
            newer: NOBODY,
            older: NOBODY,
            put_peer: None,
            mempool: None,
            global: None,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.clients[slot] = client;
                slot
            }
            None => {
                self.clients.push(client);
                self.clients.len() - 1
            }
        };
        self.slots.insert(ip, slot);
        self.link_newest(slot);
        slot
    }

    /// Forgets at most two silent clients, so that the table shrinks without a sweep.
    fn forget_silent(&mut self, now_micros: u64) {
        for _ in 0..2 {
            let silent = self.clients.get(self.oldest).is_some_and(|client| {
                now_micros.saturating_sub(client.seen_micros) >= FORGET_MICROS
            });
            if !silent {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let slot = self.oldest;
        if slot != NOBODY {
            self.unlink(slot);
            self.slots.remove(&self.clients[slot].ip);
            self.free.push(slot);
        }
    }

    fn link_newest(&mut self, slot: usize) {
        self.clients[slot].newer = NOBODY;
        self.clients[slot].older = self.newest;
        match self.newest {
            NOBODY => self.oldest = slot,
            newest => self.clients[newest].newer = slot,
        }
        self.newest = slot;
    }

    fn unlink(&mut self, slot: usize) {
        let Client { newer, older, .. } = self.clients[slot];
        match newer {
            NOBODY => self.newest = older,
            newer => self.clients[newer].older = older,
        }
        match older {
            NOBODY => self.oldest = newer,
            older => self.clients[older].newer = newer,
        }
    }
}

/// Asks one bucket of a client; without a rate it does not apply.
fn take(bucket: &mut Option<TokenBucket>, rate: Option<Rate>, now_micros: u64) -> bool {
    let Some(rate) = rate else { return true };
    let kept = bucket
        .take()
        .filter(|bucket| !bucket.is_forgotten(now_micros));
    bucket
        .insert(kept.unwrap_or_else(|| TokenBucket::full(rate, now_micros)))
        .take(rate, now_micros)
}

#[cfg(test)]
mod tests;
