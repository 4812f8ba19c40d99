//! The caller-owned buffer of outputs.

use crate::output::Output;

/// Collects what a node wants done. One warm outbox can serve any number of nodes.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Vec<Output>);

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.0.push(output);
    }

    pub(crate) fn extend(&mut self, outputs: impl IntoIterator<Item = Output>) {
        self.0.extend(outputs);
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wanted, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Output] {
        &self.0
    }

    /// Takes everything out and keeps the memory.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output> {
        self.0.drain(..)
    }
}
