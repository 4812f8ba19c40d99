//! The room as a simulator looks at it, to compare it with what must hold. Nothing here changes it.

use std::sync::Arc;

use peerage_mw::{ChainState, Transaction};

use super::Grin;
use crate::node::Node;

impl Node {
    /// The Mimblewimble chain of this node, to be looked at.
    #[must_use]
    pub const fn grin(&self) -> &Grin {
        &self.rooms().grin.0
    }
}

impl Grin {
    /// The state after the last block of the main chain.
    #[must_use]
    pub fn chain(&self) -> &ChainState {
        self.store.state()
    }

    /// What waits, in the order in which it came, with whether it is unseen: first the public pool,
    /// then the stem pool.
    pub fn waiting(&self) -> impl Iterator<Item = (&Arc<Transaction>, bool)> {
        self.pool.iter()
    }

    /// How many peers have answered a greeting of ours, and may be passed stem transactions.
    #[must_use]
    pub fn outbound(&self) -> usize {
        self.links.count(true)
    }
}
