//! What an operator may set of the Mimblewimble chain.

use core::fmt;
use std::sync::Arc;

use peerage_mw::{Block, FeeRule, Rules, Wallet, WalletError};
use sha2::{Digest as _, Sha256};

use crate::input::Secret;
use crate::limits::GRIN_LINKS_MAX;
use crate::rng::Seed;
use crate::time::Duration;

/// The Mimblewimble chain of one node.
#[derive(Clone, Debug)]
pub struct Grin {
    /// By which rules it lives, the pool's fee included.
    pub rules: Rules,
    /// Peers that the node calls by itself; none for a node that only answers. Source: Grin's
    /// preferred number of outbound peers, 8.
    pub links_max: usize,
    /// A chain to begin with, its first block included. Taken in like blocks of a peer, as far as it
    /// is right, by a node that has no block but the first.
    pub import: Option<Arc<[Block]>>,
    /// How long to wait between two blocks of our own; none for a node that does not mine.
    pub mine: Option<Duration>,
    /// The wallet that rewards go to; [`Purse::of_node`] if none is given.
    pub purse: Option<Purse>,
    /// What callers of the API must know.
    pub api_secret: Option<Secret>,
}

impl Default for Grin {
    fn default() -> Self {
        Self {
            rules: Rules {
                fee: FeeRule::V4_DEFAULT,
                ..Rules::automated_testing()
            },
            links_max: GRIN_LINKS_MAX,
            import: None,
            mine: None,
            purse: None,
            api_secret: None,
        }
    }
}

/// A wallet with a name that tells it from others and gives nothing of it away.
#[derive(Clone)]
pub struct Purse {
    wallet: Wallet,
    mark: [u8; 32],
}

impl Purse {
    /// The wallet of a seed of 16 to 64 bytes.
    ///
    /// # Errors
    /// [`WalletError::Seed`] for seeds of other lengths.
    pub fn from_seed(seed: &[u8]) -> Result<Self, WalletError> {
        let mut hash = Sha256::new_with_prefix(b"peerage purse\0");
        hash.update(seed);
        Ok(Self {
            wallet: Wallet::from_seed(seed)?,
            mark: hash.finalize().into(),
        })
    }

    /// The wallet of a node that was given none: made from its secret key, so it is the same at each
    /// start.
    ///
    /// # Panics
    /// Never: a wallet's seed may have 32 bytes.
    #[must_use]
    pub fn of_node(secret: &[u8; 32]) -> Self {
        let seed = Self::seed_of_node(secret);
        Self::from_seed(&seed).expect("a seed may have 32 bytes")
    }

    /// The seed of [`Self::of_node`]'s wallet, as stock wallets keep it. Never to be shown.
    #[must_use]
    pub fn seed_of_node(secret: &[u8; 32]) -> [u8; 32] {
        Seed(*secret).derive("grin wallet").0
    }

    /// Its keys.
    #[must_use]
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// What tells it from others.
    pub(crate) const fn mark(&self) -> &[u8; 32] {
        &self.mark
    }
}

impl fmt::Debug for Purse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purse(..)")
    }
}
