//! Mimblewimble as pure functions: blocks and transactions, their checks, the state they lead to, and
//! how they are made. It is the one crate that names `grin_core` and its family; everybody else sees
//! the types below.
//!
//! * [`Header`], [`Block`], [`Transaction`] are read from bytes in one of three [`Format`]s. They are
//!   immutable, share what they hold and compare by all of it; `digest` names that.
//! * [`check`] does the stateless half for many [`Job`]s at once: proof of work, range proofs, kernel
//!   signatures, sums, locks. It costs milliseconds and belongs on threads of its own.
//! * [`check_header`] says whether a header may follow others: height, version, time, work.
//! * [`ChainState`] holds what is unspent and the Merkle mountain ranges. [`ChainState::apply`] does the
//!   stateful half, [`ChainState::undo`] takes a block back, [`ChainState::propose`] puts the next one
//!   together for a [`Miner`]. A state can also begin from the [`Remains`] of old blocks.
//! * [`aggregate`], [`deaggregate`] and the questions of [`Transaction`] are what pools need.
//! * [`Wallet`] makes rewards and payments that a stock wallet of the same seed finds again.
//! * [`chain_file`] reads and writes whole chains.
//!
//! A node that gets a block asks in this order: is its parent known, [`check_header`], [`check`], and
//! on the state of its parent [`ChainState::apply`]. Only all four together mean that it is right.
//!
//! # Shapes and units
//!
//! Values are in nanogrin, times in seconds since 1970 by the caller's clock. Heights count from 0.
//! Positions in ranges count nodes from 0, while the REST API shows them from 1. Hashes are BLAKE2b-256
//! of what consensus serializes.
//!
//! # Purity
//!
//! Nothing here reads a clock, a file, or randomness that shows in a result, and strangers' bytes cause
//! no panic. The wrapped library is less careful; this is what is done about it:
//!
//! * Which chain it works for is a variable of the thread: [`Rules`] set it on every way in.
//! * Reading an untrusted header compares it with the system's clock: headers are read plainly, and
//!   [`check_ahead`] compares with the caller's.
//! * Its curve context is locked and randomized at each use: this crate has one of its own, which never
//!   changes. The library's signing call still draws a seed, but uses it for nothing when the nonce is
//!   given, as it always is here.
//! * Its constructors of blocks, compact blocks and transactions draw times and keys: not used.
//!
//! # Example
//!
//! ```
//! use peerage_mw::{ChainState, Job, KeyIndex, Miner, Rules, Verifier, Wallet, check, genesis};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rules = Rules::automated_testing();
//! let mut state = ChainState::new(rules, &genesis(&rules))?;
//!
//! let wallet = Wallet::from_seed(&[1; 32])?;
//! let reward = wallet.coinbase(KeyIndex::new(1).expect("below 2^31"), 0)?;
//! let clock = 1_700_000_000;
//! let mut miner = Miner::new(state.propose(&[], &reward, clock)?, 0);
//! let block = loop {
//!     if let Some(block) = miner.search(100) {
//!         break block;
//!     }
//! };
//!
//! state.check_header(block.header(), clock)?;
//! let previous_offset = state.tip().total_kernel_offset();
//! let job = Job::Block { block: block.clone(), previous_offset };
//! assert_eq!(check(&mut Verifier::new(rules), &[job]), [Ok(())]);
//! let applied = state.apply(&block)?;
//! assert_eq!(state.unspent_count(), 1);
//! state.undo(applied);
//! assert_eq!(state.unspent_count(), 0);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod bitmap;
mod block;
mod body;
pub mod chain_file;
mod curve;
mod decode;
mod difficulty;
mod header;
mod ids;
pub mod limits;
mod miner;
mod mountain;
mod remains;
mod rules;
mod state;
mod transaction;
mod verify;
mod wallet;

#[cfg(test)]
mod tests;

pub use block::Block;
pub use body::{Fee, Input, Kernel, KernelFeatures, Output, OutputFeatures, PROOF_BYTES};
pub use curve::OffCurve;
pub use decode::{DecodeError, FeaturesUnknown, Format};
pub use difficulty::{HeaderFault, Target, check_ahead, check_header, next_target};
pub use header::Header;
pub use ids::{Commitment, Hash, Offset};
pub use miner::{Miner, genesis};
pub use mountain::MerkleProof;
pub use remains::Remains;
pub use rules::{Chain, FeeRule, Rules, UnknownChain};
pub use state::{
    Applied, ChainState, Coinbase, Draft, Invalid, ProposeError, Recorded, Roots, Sums, Unspent,
};
pub use transaction::{AggregateError, Transaction, aggregate, deaggregate};
pub use verify::{Fault, Job, Verdict, Verifier, check};
pub use wallet::{Coin, KeyIndex, Payment, Wallet, WalletError};
