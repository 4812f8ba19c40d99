//! One peer-to-peer node as a pure state machine.

#![warn(missing_docs)]

pub mod commons;
pub mod http;
pub mod ids;
