//! One peer-to-peer node as a pure state machine.

#![warn(missing_docs)]

pub mod commons;
pub mod config;
pub mod event;
pub mod http;
pub mod ids;
pub mod input;
pub mod limits;
pub mod lookup;
pub mod output;
pub mod rng;
pub mod rooms;
pub mod rows;
pub mod time;
pub mod verify;

pub mod base64url;
pub mod json;

mod calls;
mod cx;
mod gate;
mod node;
mod outbox;
mod slots;
mod timers;

pub use calls::Charge;
pub use config::Config;
pub use cx::Cx;
pub use gate::CommitSeq;
pub use input::{
    Answer, CallError, CallId, Caller, Input, Listener, PeerCert, RequestId, Secret, VerifyId,
    VersionHeader,
};
pub use node::{Node, RestoreError, Standing};
pub use outbox::Outbox;
pub use output::{Endpoint, Output, Part, Trust, Via};
pub use rng::Seed;
pub use rooms::{Event, Request, Response, Row};
#[cfg(test)]
mod scripted;
