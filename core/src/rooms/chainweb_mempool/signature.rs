//! stub
use super::command::Command;
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureFault;
pub fn verify_batch(c: &[&Command]) -> Vec<Result<(), SignatureFault>> { c.iter().map(|_| Ok(())).collect() }
