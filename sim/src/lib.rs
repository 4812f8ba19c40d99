//! Many nodes, one seed: a deterministic simulator of peerage.
//!
//! The nodes are the same state machines that run for real; the network, the disks, the clocks and
//! the users are made up from one number. The same number gives the same run on every machine, so
//! a failure that was seen once can be seen again:
//!
//! ```
//! use peerage_sim::{Options, run};
//!
//! let options = Options::drawn(7, 5, 10_000_000, true);
//! let report = run(options.clone(), Vec::new(), |_| {}).expect("nothing is written");
//! assert!(report.good(), "{report}");
//!
//! let again = run(options, Vec::new(), |_| {}).expect("nothing is written");
//! assert_eq!(report.hash, again.hash);
//! ```
//!
//! A [`world`] is driven by an [`engine`], which knows only time and order; what must hold is said
//! by the [`oracle`]s.

pub mod byzantine;
pub mod clock;
pub mod cluster;
pub mod deck;
pub mod disk;
pub mod engine;
pub mod exchange;
pub mod fold;
pub mod forger;
pub mod friends;
pub mod gossip;
pub mod grin;
pub mod group;
pub mod host;
pub mod inspect;
pub mod latency;
pub mod nemesis;
pub mod network;
mod once;
pub mod options;
pub mod oracle;
pub mod paper;
pub mod push;
pub mod report;
pub mod roster;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod seed;
pub mod shrink;
pub mod sweep;
pub mod text;
pub mod trace;
pub mod travel;
pub mod verify;
pub mod watch;
pub mod wire;
pub mod workload;
pub mod world;

pub use options::{Options, Sabotage, Social, Wire};
pub use oracle::Oracle;
pub use run::{Progress, Report, Run, run};
pub use trace::Log;
pub use watch::Watch;
