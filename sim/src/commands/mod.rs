//! One file for each command: its arguments, and what it does.
//!
//! Each answers whether everything held, or why it could not be told.

pub(crate) mod bench;
pub(crate) mod check;
mod corpus;
pub(crate) mod merge;
pub(crate) mod minimize;
pub(crate) mod pictures;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod sweep;

/// How many runs at a time: as many as there are cores, if nothing is said.
fn jobs(asked: Option<u32>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    asked.map_or(cores, |jobs| jobs as usize)
}

/// Has panics say nothing: they are findings, and of many runs many may panic.
fn quietly() {
    std::panic::set_hook(Box::new(|_| {}));
}
