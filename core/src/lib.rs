//! One peer-to-peer node as a pure state machine.

pub mod base64url;
pub mod json;
pub mod rooms;
