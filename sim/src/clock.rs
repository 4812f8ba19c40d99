//! A machine's clocks: one that only counts, and one that people set.
//!
//! Both drift together. Only the wall clock can be off, and jump.

use peerage_core::time::WallTime;

/// The wall clock when a world begins: 2025-10-09T08:53:20Z, a round number of seconds.
const EPOCH_US: u64 = 1_760_000_000_000_000;

/// Both clocks of a machine. Times are in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// How far the wall clock is off.
    skew: i64,
    /// How far it has jumped since.
    jumped: i64,
    /// The most that it ever was ahead because of that.
    furthest: i64,
    /// By how many millionths both run too fast.
    ppm: i32,
    /// The world's time, and what the counting clock showed, when the speed changed last.
    anchor: (u64, u64),
}

impl Clock {
    /// Clocks that run as the world's does; the wall clock is off by `skew`.
    #[must_use]
    pub const fn new(skew: i64) -> Self {
        Self {
            skew,
            jumped: 0,
            furthest: 0,
            ppm: 0,
            anchor: (0, 0),
        }
    }

    /// What the counting clock shows at the world's time `at`.
    #[inline]
    #[must_use]
    pub const fn local(&self, at: u64) -> u64 {
        let since = at.saturating_sub(self.anchor.0);
        if self.ppm == 0 {
            return self.anchor.1 + since;
        }
        let rate = (1_000_000 + self.ppm as i64) as u128;
        self.anchor.1 + (since as u128 * rate / 1_000_000) as u64
    }

    /// The world's time when the counting clock first shows `local`.
    #[inline]
    #[must_use]
    pub const fn world(&self, local: u64) -> u64 {
        let since = local.saturating_sub(self.anchor.1);
        if self.ppm == 0 {
            return self.anchor.0.saturating_add(since);
        }
        let rate = (1_000_000 + self.ppm as i64) as u128;
        let world = (since as u128 * 1_000_000).div_ceil(rate);
        self.anchor.0.saturating_add(world as u64)
    }

    /// What the wall clock shows at the world's time `at`.
    #[inline]
    #[must_use]
    pub const fn wall(&self, at: u64) -> WallTime {
        let off = self.skew.saturating_add(self.jumped);
        WallTime::from_micros((EPOCH_US + self.local(at)).saturating_add_signed(off))
    }

    /// The wall clock jumps.
    pub const fn jump(&mut self, by: i64) {
        self.jumped = self.jumped.saturating_add(by);
        if self.furthest < self.jumped {
            self.furthest = self.jumped;
        }
    }

    /// How far ahead jumps brought the wall clock at most.
    #[must_use]
    pub const fn furthest(&self) -> u64 {
        self.furthest.unsigned_abs()
    }

    /// From the world's time `at` on, both clocks run too fast by `ppm` millionths.
    pub const fn drift(&mut self, at: u64, ppm: i32) {
        self.anchor = (at, self.local(at));
        self.ppm = ppm;
    }

    /// Somebody sets the clocks right: nothing drifts, and the wall clock is as far off as at first.
    pub fn mend(&mut self, at: u64) {
        self.drift(at, 0);
        let ahead = self.local(at) as i64 - at as i64;
        self.jumped = -ahead;
    }

    /// Whether the counting clock has ever run at another speed.
    #[must_use]
    pub const fn strayed(&self) -> bool {
        self.anchor.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_hardly_late() {
        let mut clock = Clock::new(7);
        for (at, ppm) in [(10, 333_333), (5_000, -499_999), (90_001, 1), (100_000, 0)] {
            clock.drift(at, ppm);
            for local in (clock.local(at)..).step_by(997).take(200) {
                let world = clock.world(local);
                assert!(world >= at && clock.local(world) >= local);
                assert!(clock.local(world - u64::from(world > at)) <= local);
            }
        }
    }

    #[test]
    fn only_the_wall_clock_jumps_and_both_drift() {
        let mut clock = Clock::new(-5);
        let wall = |clock: &Clock, at| clock.wall(at).as_micros() - EPOCH_US;
        assert_eq!((clock.local(100), wall(&clock, 100)), (100, 95));
        clock.jump(1_000);
        assert_eq!((clock.local(100), wall(&clock, 100)), (100, 1_095));
        clock.drift(100, 100_000);
        assert_eq!((clock.local(200), wall(&clock, 200)), (210, 1_205));
        clock.jump(500);
        clock.jump(-1_500);
        clock.jump(1_000);
        assert_eq!(clock.furthest(), 1_500, "jumps add up");
        clock.mend(200);
        assert_eq!((clock.local(300), wall(&clock, 300)), (310, 295));
    }
}
