//! The two chains side by side.

use std::sync::Arc;

use grin_chain::types::NoopAdapter;
use grin_chain::{Chain, Options};
use grin_core::core::hash::Hashed;
use grin_core::core::{self as grin, UntrustedBlock};
use grin_core::{global, pow, ser};
use peerage_mw::{
    Applied, Block, Chain as Kind, ChainState, Format, Hash, Job, Rules, Transaction, Verifier,
    aggregate, check, genesis,
};

use super::TODAY;

pub(crate) struct Both {
    rules: Rules,
    ours: ChainState,
    done: Vec<Applied>,
    real: Chain,
    _folder: tempfile::TempDir,
}

/// The real node's variables of this thread, as a devnet's node sets them.
fn enter(chain: Kind) {
    global::set_local_chain_type(match chain {
        Kind::AutomatedTesting => global::ChainTypes::AutomatedTesting,
        Kind::UserTesting => global::ChainTypes::UserTesting,
    });
    global::set_local_nrd_enabled(true);
}

pub(crate) fn real_block(chain: Kind, bytes: &[u8]) -> Result<grin::Block, String> {
    enter(chain);
    let mode = ser::DeserializationMode::Full;
    let read: Result<UntrustedBlock, _> =
        ser::deserialize(&mut &bytes[..], ser::ProtocolVersion(3), mode);
    read.map(Into::into).map_err(|error| error.to_string())
}

pub(crate) fn real_transaction(chain: Kind, transaction: &Transaction) -> grin::Transaction {
    enter(chain);
    let mode = ser::DeserializationMode::Full;
    let (bytes, version) = match transaction.encode(Format::V2) {
        Ok(bytes) => (bytes, 2),
        Err(_) => (transaction.encode(Format::V3).expect("always"), 3),
    };
    ser::deserialize(&mut &bytes[..], ser::ProtocolVersion(version), mode).expect("as written")
}

fn bytes_of(block: &Block) -> Vec<u8> {
    block.encode(Format::V3).expect("always")
}

impl Both {
    pub(crate) fn new(rules: Rules) -> Self {
        enter(rules.chain);
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().to_str().expect("UTF-8").to_owned();
        let first = pow::mine_genesis_block().expect("a block");
        let genesis = genesis(&rules);
        assert_eq!(Hash::from(first.hash()), genesis.hash());
        let adapter = Arc::new(NoopAdapter {});
        let real = Chain::init(path, adapter, first, pow::verify_size, false, None);
        Self {
            rules,
            ours: ChainState::new(rules, &genesis).expect("empty"),
            done: Vec::new(),
            real: real.expect("a chain"),
            _folder: folder,
        }
    }

    pub(crate) fn ours(&self) -> &ChainState {
        &self.ours
    }

    pub(crate) fn ours_mut(&mut self) -> &mut ChainState {
        &mut self.ours
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let block = Block::decode(&self.rules, Format::V3, bytes).map_err(|it| it.to_string())?;
        let header = self.ours.check_header(block.header(), TODAY);
        header.map_err(|fault| fault.to_string())?;
        let job = Job::Block {
            block: block.clone(),
            previous_offset: self.ours.tip().total_kernel_offset(),
        };
        check(&mut Verifier::new(self.rules), &[job])[0].map_err(|fault| fault.to_string())?;
        let applied = self.ours.apply(&block);
        self.done
            .push(applied.map_err(|invalid| invalid.to_string())?);
        Ok(())
    }

    fn give(&self, bytes: &[u8]) -> Result<(), String> {
        let block = real_block(self.rules.chain, bytes)?;
        let done = self.real.process_block(block, Options::NONE);
        done.map(drop).map_err(|error| format!("{error:?}"))
    }

    /// Both must take the block.
    pub(crate) fn accept(&mut self, block: &Block) {
        let bytes = bytes_of(block);
        assert_eq!(self.take(&bytes), Ok(()), "ours");
        assert_eq!(self.give(&bytes), Ok(()), "theirs");
    }

    /// Whether both take the bytes; they must be of one mind.
    pub(crate) fn judge_equally(&mut self, name: &str, bytes: &[u8]) -> bool {
        let (ours, theirs) = (self.take(bytes), self.give(bytes));
        let at = self.ours.tip().height();
        assert_eq!(
            ours.is_ok(),
            theirs.is_ok(),
            "{name} at {at}: {ours:?}, {theirs:?}"
        );
        ours.is_ok()
    }

    /// Goes `back` blocks back and builds another branch until it has more work.
    pub(crate) fn branch(&mut self, back: usize, mut next: impl FnMut(&mut Self) -> Block) {
        let heaviest = self.ours.tip().total_difficulty();
        let back = back.min(self.done.len());
        for _ in 0..back {
            let applied = self.done.pop().expect("as many as were done");
            self.ours.undo(applied);
        }
        while self.ours.tip().total_difficulty() <= heaviest {
            let block = next(self);
            self.accept(&block);
        }
    }

    /// Tip, roots and sums are the same.
    pub(crate) fn assert_equal(&self) {
        enter(self.rules.chain);
        let head = self.real.head().expect("a head");
        let (tip, roots) = (self.ours.tip(), self.ours.roots());
        assert_eq!(
            Hash::from(head.last_block_h),
            tip.hash(),
            "at {}",
            tip.height()
        );
        assert_eq!(head.total_difficulty.to_num(), tip.total_difficulty());
        let theirs = self.real.txhashset().read().roots().expect("roots");
        assert_eq!(Hash::from(theirs.output_roots.pmmr_root), roots.outputs);
        assert_eq!(Hash::from(theirs.output_roots.bitmap_root), roots.bitmap);
        assert_eq!(Hash::from(theirs.rproof_root), roots.range_proofs);
        assert_eq!(Hash::from(theirs.kernel_root), roots.kernels);
        if tip.height() > 0 {
            let sums = self.real.get_block_sums(&tip.hash().into()).expect("sums");
            assert_eq!(self.ours.sums().unspent, sums.utxo_sum.into());
            assert_eq!(self.ours.sums().kernels, sums.kernel_sum.into());
        }
    }

    /// The real chain checks all that it holds once more, proofs and signatures included.
    pub(crate) fn validate(&self) {
        enter(self.rules.chain);
        self.real.validate(false).expect("a valid state");
    }

    /// Whether a transaction fits the next block, as both say.
    pub(crate) fn ask_equally(&self, transaction: &Transaction) -> bool {
        let ours = self.ours.check_transaction(transaction);
        let theirs = real_transaction(self.rules.chain, transaction);
        let locked = self.real.verify_tx_lock_height(&theirs);
        let ripe = self.real.verify_coinbase_maturity(&theirs.inputs());
        let fits = self.real.validate_tx(&theirs);
        let all = locked.is_ok() && ripe.is_ok() && fits.is_ok();
        assert_eq!(
            ours.is_ok(),
            all,
            "{ours:?}: {locked:?}, {ripe:?}, {fits:?}"
        );
        let alone = check(
            &mut Verifier::new(self.rules),
            &[Job::Transaction(transaction.clone())],
        )[0];
        let valid = theirs.validate(grin::Weighting::AsTransaction);
        assert_eq!(alone.is_ok(), valid.is_ok(), "{alone:?}, {valid:?}");
        // Of one, an aggregate is the same.
        assert_eq!(
            aggregate(std::slice::from_ref(transaction)).as_ref(),
            Ok(transaction)
        );
        ours.is_ok() && alone.is_ok()
    }
}
