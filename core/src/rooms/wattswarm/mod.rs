//! WattSwarm peers, relationships and direct messages: the parts that are functions of bytes alone.

pub mod cipher;
pub mod envelope;
pub mod ids;
