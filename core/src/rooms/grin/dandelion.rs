//! Dandelion: how a transaction travels before everybody sees it. For an epoch, transactions are passed
//! on unseen to one peer (the stem), or collected and spread as one (the fluff). Whoever passes one on
//! waits until it has come around, and spreads it itself if that takes too long (the embargo).
//!
//! Only what is decided is kept here. Time, luck and peers are the caller's.
//!
//! Rule: `DandelionEpoch` and the Dandelion monitor of grin 4.1.1.

use super::pool::Pool;
use crate::commons::address::HostAddr;
use crate::limits::{
    GRIN_COLLECT, GRIN_EMBARGO_LUCK, GRIN_EMBARGO_MIN, GRIN_EPOCH, GRIN_STEM_PERCENT,
};
use crate::time::{Duration, Instant, micros};

/// How transactions travel for the time being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dandelion {
    /// Whether they are passed on unseen.
    stem: bool,
    /// To whom.
    relay: Option<HostAddr>,
    /// When the epoch is over.
    ends: Instant,
}

/// What is to be done with a stem transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It waits in the stem pool, to be spread together with others.
    Collect,
    /// It is spread at once, because there is nobody to pass it on to.
    Fluff,
    /// It is passed on.
    Relay(HostAddr),
}

impl Dandelion {
    /// Before the first epoch, which begins as soon as somebody asks: transactions are passed on unseen.
    pub(super) const fn new() -> Self {
        Self {
            stem: true,
            relay: None,
            ends: Instant::ZERO,
        }
    }

    /// Whether the epoch is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.ends
    }

    /// Whether transactions are passed on unseen in this epoch.
    pub(super) const fn is_stem(&self) -> bool {
        self.stem
    }

    /// Begins an epoch with a peer that we called, if there is one. `luck` is any number.
    pub(super) fn begin(&mut self, now: Instant, luck: u64, relay: Option<HostAddr>) {
        self.stem = luck % 100 < GRIN_STEM_PERCENT;
        self.relay = relay;
        self.ends = now + GRIN_EPOCH;
    }

    /// Takes another peer for the rest of the epoch, if the one there was is lost.
    pub(super) fn replace(
        &mut self,
        is_linked: impl Fn(&HostAddr) -> bool,
        other: Option<HostAddr>,
    ) {
        if !self.relay.as_ref().is_some_and(is_linked) {
            self.relay = other;
        }
    }

    /// What is to be done with a transaction that came unseen. Those of our own clients are always
    /// passed on: otherwise collecting them would tell where they come from.
    pub(super) fn next(&self, own: bool) -> Next {
        match &self.relay {
            _ if !self.stem && !own => Next::Collect,
            Some(relay) => Next::Relay(relay.clone()),
            None => Next::Fluff,
        }
    }

    /// Whether what was collected is to be spread. In an epoch that passes on, nothing is collected: what
    /// waits is under embargo.
    pub(super) fn spreads(&self, pool: &Pool, now: Instant) -> bool {
        let collects = !self.stem;
        let dates = pool.stem_dates().filter(|_| collects);
        dates.is_some_and(|(since, _)| self.is_over(now) || now.since(since) > GRIN_COLLECT)
    }
}

/// When a stem transaction that came now is spread at the latest. `luck` is any number, drawn for each
/// one, so that not all who have it spread it at the same moment.
pub(super) fn embargo(now: Instant, luck: u64) -> Instant {
    let more = luck % (micros(GRIN_EMBARGO_LUCK) + 1);
    now + GRIN_EMBARGO_MIN + Duration::from_micros(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> HostAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_epoch_passes_on_to_one_peer_or_collects() {
        let mut dandelion = Dandelion::new();
        let now = Instant::from_micros(5);
        assert!(dandelion.is_over(now) && dandelion.is_stem());
        assert_eq!(dandelion.next(false), Next::Fluff);

        dandelion.begin(
            now,
            100 * 7 + GRIN_STEM_PERCENT - 1,
            Some(peer("a.example:1")),
        );
        assert!(!dandelion.is_over(now + (GRIN_EPOCH - Duration::from_micros(1))));
        assert!(dandelion.is_over(now + GRIN_EPOCH));
        assert_eq!(dandelion.next(false), Next::Relay(peer("a.example:1")));

        dandelion.begin(now, GRIN_STEM_PERCENT, Some(peer("a.example:1")));
        assert!(!dandelion.is_stem());
        assert_eq!(dandelion.next(false), Next::Collect);
        assert_eq!(dandelion.next(true), Next::Relay(peer("a.example:1")));
    }

    #[test]
    fn a_lost_relay_is_replaced_and_one_that_stands_stays() {
        let mut dandelion = Dandelion::new();
        dandelion.begin(Instant::ZERO, 0, Some(peer("a.example:1")));
        dandelion.replace(|_| true, Some(peer("b.example:1")));
        assert_eq!(dandelion.next(false), Next::Relay(peer("a.example:1")));
        dandelion.replace(|_| false, Some(peer("b.example:1")));
        assert_eq!(dandelion.next(false), Next::Relay(peer("b.example:1")));
        dandelion.replace(|_| false, None);
        assert_eq!(dandelion.next(true), Next::Fluff);
    }

    #[test]
    fn an_embargo_lasts_three_minutes_and_a_little_luck() {
        let now = Instant::from_micros(9);
        assert_eq!(embargo(now, 0), now + GRIN_EMBARGO_MIN);
        assert_eq!(
            embargo(now, 30_000_000),
            now + GRIN_EMBARGO_MIN + GRIN_EMBARGO_LUCK
        );
        assert_eq!(embargo(now, 30_000_001), now + GRIN_EMBARGO_MIN);
    }
}
