//! One peer-to-peer node as a pure state machine.
//!
//! A [`Node`] turns inputs into outputs. It opens no socket, reads no clock, writes no file and draws
//! no randomness but from its seed; a *driver* does all that, and carries out what the node wants
//! done. The same node runs behind real sockets, in a simulator of thousands, and on the table of a
//! test. Whoever reads [`Input`] and [`Output`] knows all that can happen.
//!
//! # A driver
//!
//! This one keeps its disk in a map, reaches nobody, and answers one request.
//!
//! ```
//! use std::collections::{BTreeMap, VecDeque};
//! use peerage_core::rows::Record as _;
//! use peerage_core::time::{Instant, Now, WallTime};
//! use peerage_core::{
//!     CallError, Caller, Config, Input, Listener, Node, Outbox, Output, RequestId, Response, Row,
//!     Seed, config, http, ids, verify,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = config::Identity {
//!     fingerprint: ids::Fingerprint::of_certificate(b"the certificate, as DER"),
//!     public_key: ids::PublicKey([7; 32]),
//!     secret: [7; 32],
//! };
//! let config = Config::new("development".parse()?, identity, "127.0.0.1:1789".parse()?);
//! let site = http::Site::new(&config);
//! let now = Now { mono: Instant::ZERO, wall: WallTime::from_secs(1_700_000_000) };
//!
//! let mut disk: BTreeMap<Vec<u8>, Row> = BTreeMap::new();
//! let rows = disk.values().cloned().collect();
//! let mut node = Node::restore(config, Seed([1; 32]), now, rows)?;
//!
//! // What came in as `GET /chainweb/0.0/development/cut/peer`.
//! let (method, headers) = (::http::Method::GET, ::http::HeaderMap::new());
//! let path = "/chainweb/0.0/development/cut/peer";
//! let listener = Listener::Api;
//! let head = http::Head { listener, method: &method, path, query: None, headers: &headers };
//! let http::Reception::Proceed(routed) = http::receive(&site, &head) else { panic!("a route") };
//! let request = routed.route.decode(&site, Default::default()).map_err(|_| "not a request")?;
//! let from = Caller { addr: "127.0.0.1:50000".parse()?, listener, authorization: None, cert: None };
//!
//! let mut inputs = VecDeque::from([Input::Request { id: RequestId(1), from, request }]);
//! let mut out = Outbox::new();
//! let mut answer: Option<Response> = None;
//! while let Some(input) = inputs.pop_front() {
//!     node.handle(now, input, &mut out);
//!     for output in out.drain() {
//!         match output {
//!             Output::Respond { id: _, response } => answer = Some(response),
//!             Output::Call { id, .. } => {
//!                 let result = Err(CallError::Unreachable);
//!                 inputs.push_back(Input::Reply { id, result });
//!             }
//!             Output::Verify { id, job } => {
//!                 let verdict = verify::check(&[job]).remove(0);
//!                 inputs.push_back(Input::Verdict { id, verdict });
//!             }
//!             Output::Commit { seq, rows } => {
//!                 for row in rows {
//!                     match row.deletes() {
//!                         true => disk.remove(&row.key()),
//!                         false => disk.insert(row.key(), row),
//!                     };
//!                 }
//!                 inputs.push_back(Input::Persisted { upto: seq });
//!             }
//!             Output::Abandon { .. } | Output::Event(_) | Output::Reclaim => {}
//!         }
//!     }
//!     // A real driver sleeps until then, or until something else happens.
//!     if inputs.is_empty() && node.poll_timeout().is_some_and(|at| at <= now.mono) {
//!         inputs.push_back(Input::Tick);
//!     }
//! }
//! let reply = answer.ok_or("no answer")?.encode();
//! assert_eq!(reply.status, 200);
//! assert_eq!(reply.body, r#"{"limit":0,"items":[],"next":null}"#);
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! 1. [`Node::handle`] cannot fail, block, panic on foreign bytes, or do unbounded work. What does
//!    not fit one call is left due, so that [`Node::poll_timeout`] says "now".
//! 2. Every [`Input::Request`] gets exactly one [`Output::Respond`], unless an [`Input::Hangup`] came
//!    first.
//! 3. Commits are gapless and increasing, and name every key once. A driver may merge neighbours; it
//!    may not reorder them.
//! 4. No answer and no call reveals state that a crash could still take back.
//! 5. [`Now::mono`](time::Now::mono) never decreases. [`Now::wall`](time::Now::wall) may do anything.
//! 6. Equal settings, seed, restored rows and inputs give equal outputs, byte for byte.
//! 7. [`Node::poll_timeout`] is O(1) and changes only inside [`Node::handle`].
//!
//! # Where things are
//!
//! | module | what it decides |
//! |---|---|
//! | [`input`], [`output`] | the boundary: everything that can happen, everything that can be wanted |
//! | [`rooms`] | the API families, one folder each, and the registry that makes one node of them |
//! | [`commons`] | what rooms share: the one peer table, the one ban list, the running sessions |
//! | [`http`] | bytes to requests and answers to bytes, for drivers that speak HTTP |
//! | [`rows`] | durable state as keys and values |
//! | [`verify`] | expensive checks, to be run wherever the driver likes |
//! | [`config`], [`limits`] | what an operator may set, and every bound |
//! | [`event`] | what is worth counting: log line, metric and coverage mark in one |
//! | [`time`], [`rng`], [`ids`], [`lookup`], [`base64url`], [`json`] | values without a clock, an order or a socket |
//!
//! Inside, a *gate* holds answers and calls until their rows are durable, *calls* knows who was asked
//! and how often a peer may be, and *timers* gives every deadline a reason.

#![warn(missing_docs)]

pub mod base64url;
pub mod commons;
pub mod config;
pub mod event;
pub mod http;
pub mod ids;
pub mod input;
pub mod json;
pub mod limits;
pub mod lookup;
pub mod output;
pub mod rng;
pub mod rooms;
pub mod rows;
pub mod secret;
pub mod time;
pub mod verify;
pub mod work;

mod access;
mod calls;
mod cx;
mod gate;
mod hex;
mod node;
mod outbox;
mod slots;
mod timers;

#[cfg(test)]
mod scripted;

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
pub use peerage_mw as mw;
pub use rng::Seed;
pub use rooms::{Event, Request, Response, Row, Scope};
