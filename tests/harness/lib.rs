//! A node on a table: literal HTTP in, literal HTTP out, no sockets, no clock, no disk.
//!
//! A [`Bench`] holds one node with a fixed seed and a clock that stands still until it is told to
//! move. Requests go through the same steps as in a real driver, and whatever the node asks for is
//! answered from a script: peers by [`Peer`], the disk and the signature checks at once or when
//! told. The same test gives the same bytes on every machine, so a whole exchange can be a snapshot.
//!
//! ```
//! use peerage_tests::{Bench, Peer};
//!
//! let mut bench = Bench::new();
//! bench.peer("1.2.3.4:1789", Peer::of_version("2.32.0"));
//! let answer = bench.send(
//!     "PUT /chainweb/0.0/development/cut/peer HTTP/1.1\r\n\
//!      Content-Type: application/json\r\n\
//!      \r\n\
//!      {\"id\":null,\"address\":{\"hostname\":\"1.2.3.4\",\"port\":1789}}",
//! );
//! assert!(answer.starts_with("HTTP/1.1 204 No Content\n"));
//!
//! let answer = bench.send("GET /chainweb/0.0/development/cut/peer HTTP/1.1\r\n\r\n");
//! let (head, body) = answer.split_once("\n\n").expect("a blank line");
//! assert!(head.contains("\nx-peer-addr: 127.0.0.1:50000\n"));
//! assert_eq!(
//!     body,
//!     r#"{"limit":1,"items":[{"id":null,"address":{"hostname":"1.2.3.4","port":1789}}],"next":null}"#
//! );
//! ```
//!
//! What happened so far, calls and writes included, is [`Bench::story`]. Several benches that call
//! each other are a [`Town`].

mod bench;
mod client;
pub mod commands;
mod disk;
pub mod fuzz;
pub mod generate;
mod message;
mod peer;
mod rng;
mod steps;
mod town;
pub mod vectors;

pub use bench::{Bench, Ticket};
pub use client::Client;
pub use message::{ParsedAnswer, ParsedRequest};
pub use peer::{Peer, Sent};
pub use rng::Draws;
pub use town::Town;
