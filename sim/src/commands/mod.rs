//! One file for each command: its arguments, and what it does.
//!
//! Each answers whether everything held, or why it could not be told.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod merge;
pub(crate) mod minimize;
pub(crate) mod pictures;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod sweep;
