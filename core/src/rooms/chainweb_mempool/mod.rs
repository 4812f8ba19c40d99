//! The Chainweb mempool: commands, their checks and their signatures.

pub mod command;
pub mod cose;
pub mod insert;
pub mod key;
mod payload;
pub mod sign;
pub mod signature;
#[cfg(any(test, feature = "testing"))]
pub mod webauthn;

#[cfg(test)]
mod tests;
