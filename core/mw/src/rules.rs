//! Which chain's rules apply. The wrapped library keeps them in variables of the thread; here they are
//! a value, and every function that reaches the library sets them first.

use grin_core::{consensus, global};

/// The chains whose blocks this crate reads. Both are for tests: their blocks are mined in moments.
///
/// Rule: `ChainTypes` of grin_core; the public networks are deliberately absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// Cycles of 8 edges in graphs of 2^10: mined in about a millisecond.
    AutomatedTesting,
    /// Cycles of 42 edges, as on the public networks, in graphs of 2^15: mined in about 50 ms.
    UserTesting,
}

impl Chain {
    /// As operators and chain files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AutomatedTesting => "AutomatedTesting",
            Self::UserTesting => "UserTesting",
        }
    }
}

impl core::str::FromStr for Chain {
    type Err = UnknownChain;

    fn from_str(text: &str) -> Result<Self, UnknownChain> {
        [Self::AutomatedTesting, Self::UserTesting]
            .into_iter()
            .find(|chain| chain.name() == text)
            .ok_or(UnknownChain)
    }
}

/// No chain of this crate has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown chain: expected AutomatedTesting or UserTesting")]
pub struct UnknownChain;

/// What a transaction must pay to be taken into a pool. Blocks may hold any fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeeRule {
    /// Releases up to 4: `base` times max(1, 4 outputs + kernels - inputs).
    V4 {
        /// Nanogrin per unit of weight; 1,000,000 by default.
        base: u64,
    },
    /// Release 5: `base` times the weight in a block, and the fee counts after its own shift.
    V5 {
        /// Nanogrin per unit of weight; 500,000 by default.
        base: u64,
    },
}

impl FeeRule {
    /// The rule of the releases that still have the REST API.
    pub const V4_DEFAULT: Self = Self::V4 { base: 1_000_000 };
    /// The rule of release 5.
    pub const V5_DEFAULT: Self = Self::V5 { base: 500_000 };
}

/// The rules a node lives by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Whose blocks.
    pub chain: Chain,
    /// Whether kernels may carry relative locks ("no recent duplicate"). Stock nodes have them
    /// enabled on every chain but the main one, from header version 4 on.
    pub relative_locks: bool,
    /// How far ahead of our clock a header's time may lie, in seconds; stock nodes say 300.
    pub future_limit_secs: u64,
    /// What the pool asks for.
    pub fee: FeeRule,
}

impl Rules {
    /// Stock rules of the chain for automated tests.
    #[must_use]
    pub const fn automated_testing() -> Self {
        Self {
            chain: Chain::AutomatedTesting,
            relative_locks: true,
            future_limit_secs: global::DEFAULT_FUTURE_TIME_LIMIT,
            fee: FeeRule::V5_DEFAULT,
        }
    }

    /// Stock rules of the chain for users' tests.
    #[must_use]
    pub const fn user_testing() -> Self {
        Self {
            chain: Chain::UserTesting,
            ..Self::automated_testing()
        }
    }

    /// Stock rules of `chain`.
    #[must_use]
    pub const fn of(chain: Chain) -> Self {
        match chain {
            Chain::AutomatedTesting => Self::automated_testing(),
            Chain::UserTesting => Self::user_testing(),
        }
    }

    /// Sets the library's thread-local variables. Everything that reads or hashes headers, weighs
    /// bodies or computes difficulties through the library comes through here first.
    pub(crate) fn enter(&self) {
        global::set_local_chain_type(match self.chain {
            Chain::AutomatedTesting => global::ChainTypes::AutomatedTesting,
            Chain::UserTesting => global::ChainTypes::UserTesting,
        });
        global::set_local_nrd_enabled(self.relative_locks);
    }

    /// The version that a header of this height must have: a new one every 3 blocks, up to 5.
    #[must_use]
    pub fn header_version(&self, height: u64) -> u16 {
        self.enter();
        consensus::header_version(height).0
    }

    /// How many blocks a coinbase output must wait: it may be spent at its own height plus this.
    #[must_use]
    pub fn coinbase_maturity(&self) -> u64 {
        self.enter();
        global::coinbase_maturity()
    }

    /// What a block may weigh: inputs count 1, outputs 21, kernels 3.
    #[must_use]
    pub fn block_weight_max(&self) -> u64 {
        self.enter();
        global::max_block_weight()
    }

    /// What a transaction may weigh: a block's weight without the coinbase's share.
    #[must_use]
    pub fn transaction_weight_max(&self) -> u64 {
        self.enter();
        global::max_tx_weight()
    }

    /// How far behind the tip full blocks are kept by stock nodes.
    #[must_use]
    pub fn cut_through_horizon(&self) -> u64 {
        self.enter();
        u64::from(global::cut_through_horizon())
    }

    /// The edge bits that our miner uses.
    #[must_use]
    pub fn edge_bits(&self) -> u8 {
        self.enter();
        global::min_edge_bits()
    }

    /// What a block's miner may claim, in nanogrin: 60 grin and the fees.
    #[must_use]
    pub fn reward(fees: u64) -> u64 {
        consensus::reward(fees)
    }
}
