//! Which panics are expected: those of a parser on damaged files, caught where they happen.

use std::cell::Cell;

thread_local! {
    static EXPECTED: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is reading files that may be damaged, so that a panic on it will be caught
/// and become a message. A panic hook that ends the process asks this first.
#[must_use]
pub fn expected() -> bool {
    EXPECTED.get() > 0
}

/// Expects panics on this thread until the guard is dropped.
pub(crate) fn expect() -> Expecting {
    EXPECTED.set(EXPECTED.get() + 1);
    Expecting
}

pub(crate) struct Expecting;

impl Drop for Expecting {
    fn drop(&mut self) {
        EXPECTED.set(EXPECTED.get() - 1);
    }
}
