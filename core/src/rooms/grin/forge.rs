//! Chains for tests: blocks made in moments, at whatever pace, by owners who can spend their rewards.

use peerage_mw::{
    Block, ChainState, Coin, Fee, KernelFeatures, KeyIndex, Miner, OutputFeatures, Payment, Rules,
    Transaction, Wallet, genesis,
};

/// What each payment pays, in nanogrin.
pub const FEE: u64 = 100_000_000;

/// A chain that grows as its owner says.
#[derive(Debug)]
pub struct Forge {
    state: ChainState,
    wallet: Wallet,
    blocks: Vec<Block>,
}

impl Forge {
    /// The chain that has only its first block.
    ///
    /// # Panics
    /// Never: the first block is empty, and a seed may have 32 bytes.
    #[must_use]
    pub fn new(rules: Rules, owner: u8) -> Self {
        Self::on(rules, owner, &[genesis(&rules)])
    }

    /// Another owner's branch of a chain whose last block is the last of `blocks`.
    ///
    /// # Panics
    /// If the blocks are no chain.
    #[must_use]
    pub fn on(rules: Rules, owner: u8, blocks: &[Block]) -> Self {
        let (first, rest) = blocks.split_first().expect("a chain has a first block");
        let mut state = ChainState::new(rules, first).expect("the first block is empty");
        for block in rest {
            let _ = state.apply(block).expect("a chain");
        }
        Self {
            state,
            wallet: Wallet::from_seed(&[owner; 32]).expect("a seed may have 32 bytes"),
            blocks: blocks.to_vec(),
        }
    }

    /// All blocks, the first one included.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The state after the last one.
    #[must_use]
    pub fn state(&self) -> &ChainState {
        &self.state
    }

    /// Adds so many empty blocks, each `gap` seconds after the one before it. Before height 12 the
    /// difficulty of a test chain grows by half with each block if they are a second apart, and stays
    /// the same if they are a minute apart.
    #[must_use]
    pub fn grow(mut self, count: usize, gap: i64) -> Self {
        for _ in 0..count {
            self.add(&[], gap);
        }
        self
    }

    /// Adds a block with these transactions, whose reward goes to the key of its height.
    ///
    /// # Panics
    /// If the transactions do not go together, or not there.
    pub fn add(&mut self, transactions: &[Transaction], gap: i64) {
        let fees = transactions.iter().map(Transaction::fee).sum();
        let height = self.state.tip().height() + 1;
        let reward = self.wallet.coinbase(key(height), fees).expect("a reward");
        let date = self.state.tip().timestamp() + gap;
        let draft = self.state.propose(transactions, &reward, date);
        let draft = draft.expect("they go together and there");
        let block = Miner::new(draft, 0).search(u32::MAX).expect("a solution");
        let _ = self.state.apply(&block).expect("as it was proposed");
        self.blocks.push(block);
    }

    /// Spends the reward of an empty block of this owner to another key.
    ///
    /// # Panics
    /// Never, if there is such a block.
    #[must_use]
    pub fn spend(&self, height: u64) -> Transaction {
        let value = Rules::reward(0);
        let payment = Payment {
            spend: vec![Coin {
                key: key(height),
                value,
                features: OutputFeatures::Coinbase,
            }],
            make: vec![(key(SPENT_KEYS + height), value - FEE)],
            kernel: KernelFeatures::Plain {
                fee: Fee::new(FEE).expect("a fee"),
            },
            excess_word: None,
        };
        self.wallet.pay(&payment).expect("it balances")
    }
}

/// Keys from here on are for what rewards are spent into.
const SPENT_KEYS: u64 = 1_000_000;

fn key(number: u64) -> KeyIndex {
    KeyIndex::new(number).expect("far below 2^31")
}
