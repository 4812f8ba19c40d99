//! stub
use std::sync::Arc;
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TxHash(pub [u8; 32]);
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RequestKey { Full(TxHash), Odd(Arc<[u8]>) }
#[derive(Clone, PartialEq, Debug)]
pub struct Command { text: String }
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("x")]
pub struct DecodeError;
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("x")]
pub enum InsertError { Duplicate }
impl Command {
    pub fn decode(t: &str) -> Result<Self, DecodeError> { Ok(Self { text: t.into() }) }
    pub fn canonical(&self) -> String { self.text.clone() }
    pub fn digest(&self) -> [u8; 32] { [0; 32] }
    pub fn signers(&self) -> &[u8] { &[] }
}
