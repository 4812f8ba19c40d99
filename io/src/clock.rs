//! The operating system's clocks as the node's numbers.

use std::time::{Instant as StdInstant, SystemTime, UNIX_EPOCH};

use peerage_core::time::{Instant, Now, WallTime, micros};

/// Both clocks; the monotonic one starts at zero with the driver.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: StdInstant,
}

impl Clock {
    /// A clock that starts here.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: StdInstant::now(),
        }
    }

    /// Both clocks at this moment.
    #[must_use]
    pub fn now(&self) -> Now {
        Now {
            mono: Instant::from_micros(micros(self.start.elapsed())),
            wall: wall(),
        }
    }

    /// The operating system's instant at which the node's clock shows `at`.
    pub(crate) fn std_instant(&self, at: Instant) -> StdInstant {
        self.start + at.since(Instant::ZERO)
    }
}

/// The operator's clock; a clock before 1970 counts as 1970.
pub(crate) fn wall() -> WallTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    WallTime::from_micros(micros(since))
}
