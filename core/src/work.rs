//! What takes long with Mimblewimble, as effects: checks, rewards, the search for proof of work, and
//! going over a whole chain again.
//!
//! Each is a function of what it holds, so it may run anywhere and be remembered by its digest. A
//! reward is made from secret keys; neither they nor anything that leads to them is in the digest.

use std::sync::Arc;

use peerage_mw::{
    Applied, Block, ChainState, Coinbase, Fault, Invalid, Job, KeyIndex, Miner, Remains, Rules,
    Verifier, WalletError, check,
};
use sha2::{Digest as _, Sha256};

use crate::config::grin::Purse;

/// Something that takes more than 20 µs.
#[derive(Clone, Debug)]
pub enum Work {
    /// Headers, blocks and transactions by themselves.
    Check {
        /// By which rules.
        rules: Rules,
        /// What is to be checked.
        jobs: Arc<[Job]>,
    },
    /// Blocks that follow a state.
    Replay {
        /// The state before them.
        from: Arc<ChainState>,
        /// What is left of the first of them.
        remains: Arc<[Remains]>,
        /// The blocks, in order.
        blocks: Arc<[Block]>,
    },
    /// Blocks of another branch.
    Turn {
        /// The state after the branch at hand.
        from: Arc<ChainState>,
        /// What of it is to be taken back, the newest first.
        back: Arc<[Applied]>,
        /// The blocks of the other one, in order.
        blocks: Arc<[Block]>,
    },
    /// A block's reward.
    Reward {
        /// Whose it is.
        purse: Arc<Purse>,
        /// By which key.
        key: KeyIndex,
        /// What the block's transactions pay.
        fees: u64,
    },
    /// So many attempts at a block.
    Search {
        /// What was tried before.
        miner: Arc<Miner>,
        /// How many more.
        attempts: u32,
    },
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Done {
    /// For [`Work::Check`]: one verdict for each job.
    Checked(Arc<[Result<(), Fault>]>),
    /// For [`Work::Replay`]: the state after the blocks.
    Replayed(Result<Arc<ChainState>, Invalid>),
    /// For [`Work::Reward`].
    Rewarded(Result<Arc<Coinbase>, WalletError>),
    /// For [`Work::Turn`], or which block does not fit and why.
    Turned(Result<Turned, (usize, Invalid)>),
    /// For [`Work::Search`]: the block, or where to go on.
    Searched(Result<Block, Arc<Miner>>),
}

/// What comes of another branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// The state after its last block.
    pub state: Arc<ChainState>,
    /// What applying its blocks gave.
    pub applied: Arc<[Applied]>,
}

impl PartialEq for Done {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Checked(one), Self::Checked(other)) => one == other,
            (Self::Replayed(one), Self::Replayed(other)) => one == other,
            (Self::Rewarded(one), Self::Rewarded(other)) => one == other,
            (Self::Turned(one), Self::Turned(other)) => one == other,
            (Self::Searched(Ok(one)), Self::Searched(Ok(other))) => one == other,
            (Self::Searched(Err(one)), Self::Searched(Err(other))) => {
                one.digest() == other.digest()
            }
            (
                Self::Checked(_)
                | Self::Replayed(_)
                | Self::Rewarded(_)
                | Self::Searched(_)
                | Self::Turned(_),
                _,
            ) => false,
        }
    }
}

impl Eq for Done {}

impl Work {
    /// A digest of everything that decides the result.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"peerage mimblewimble\0");
        match self {
            Self::Check { rules, jobs } => {
                hash.update([0, u8::from(rules.relative_locks)]);
                hash.update(rules.chain.name());
                for job in jobs.iter() {
                    hash.update(job.digest().0);
                }
            }
            Self::Replay {
                from,
                remains,
                blocks,
            } => {
                hash.update([1]);
                hash.update(from.rules().chain.name());
                hash.update(from.digest().0);
                for remains in remains.iter() {
                    hash.update(remains.digest().0);
                }
                for block in blocks.iter() {
                    hash.update(block.digest().0);
                }
            }
            Self::Turn { from, back, blocks } => {
                hash.update([4]);
                hash.update(from.rules().chain.name());
                hash.update(from.digest().0);
                hash.update((back.len() as u64).to_be_bytes());
                for block in blocks.iter() {
                    hash.update(block.digest().0);
                }
            }
            Self::Reward { purse, key, fees } => {
                hash.update([2]);
                hash.update(purse.mark());
                hash.update(key.number().to_be_bytes());
                hash.update(fees.to_be_bytes());
            }
            Self::Search { miner, attempts } => {
                hash.update([3]);
                hash.update(miner.digest().0);
                hash.update(attempts.to_be_bytes());
            }
        }
        hash.finalize().into()
    }

    /// What it takes, in elementary signature checks of about 45 µs.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Check { jobs, .. } => jobs.iter().map(weight_of).sum(),
            Self::Replay {
                remains, blocks, ..
            } => (remains.len() + blocks.len()) * BLOCK,
            Self::Turn { back, blocks, .. } => (back.len() + blocks.len()) * BLOCK,
            Self::Reward { .. } => REWARD,
            Self::Search { attempts, .. } => *attempts as usize,
        }
    }

    /// Does it.
    #[must_use]
    pub fn run(&self) -> Done {
        match self {
            Self::Check { rules, jobs } => {
                Done::Checked(check(&mut Verifier::new(*rules), jobs).into())
            }
            Self::Replay {
                from,
                remains,
                blocks,
            } => Done::Replayed(replay(from, remains, blocks)),
            Self::Turn { from, back, blocks } => Done::Turned(turn(from, back, blocks)),
            Self::Reward { purse, key, fees } => {
                Done::Rewarded(purse.wallet().coinbase(*key, *fees).map(Arc::new))
            }
            Self::Search { miner, attempts } => {
                let mut miner = Miner::clone(miner);
                let found = miner.search(*attempts);
                Done::Searched(found.ok_or_else(|| Arc::new(miner)))
            }
        }
    }
}

impl Done {
    /// Whether nothing was found wrong; what a run's hash takes in.
    #[must_use]
    pub fn is_good(&self) -> bool {
        match self {
            Self::Checked(verdicts) => verdicts.iter().all(Result::is_ok),
            Self::Replayed(result) => result.is_ok(),
            Self::Turned(result) => result.is_ok(),
            Self::Rewarded(result) => result.is_ok(),
            Self::Searched(result) => result.is_ok(),
        }
    }
}

/// Does several together; checks by the same rules go into common batches, which for range proofs
/// costs a fraction of one by one.
pub(crate) fn run_all(works: &[&Work]) -> Vec<Done> {
    let mut verdicts = checked_together(works).into_iter();
    works
        .iter()
        .map(|work| match work {
            Work::Check { jobs, .. } => {
                let share = verdicts.by_ref().take(jobs.len());
                Done::Checked(share.collect())
            }
            Work::Replay { .. } | Work::Reward { .. } | Work::Search { .. } | Work::Turn { .. } => {
                work.run()
            }
        })
        .collect()
}

/// The verdicts of all checks, in order.
fn checked_together(works: &[&Work]) -> Vec<Result<(), Fault>> {
    let mut verdicts = Vec::new();
    let mut run: Option<(Rules, Vec<Job>)> = None;
    let mut finish = |run: Option<(Rules, Vec<Job>)>| {
        if let Some((rules, jobs)) = run {
            verdicts.extend(check(&mut Verifier::new(rules), &jobs));
        }
    };
    for work in works {
        let Work::Check { rules, jobs } = work else {
            continue;
        };
        match &mut run {
            Some((common, all)) if common == rules => all.extend(jobs.iter().cloned()),
            Some(_) | None => finish(run.replace((*rules, jobs.to_vec()))),
        }
    }
    finish(run);
    verdicts
}

fn replay(
    from: &ChainState,
    remains: &[Remains],
    blocks: &[Block],
) -> Result<Arc<ChainState>, Invalid> {
    let mut state = from.clone();
    for remains in remains {
        state.lay(remains)?;
    }
    for block in blocks {
        let _ = state.apply(block)?;
    }
    Ok(Arc::new(state))
}

fn turn(from: &ChainState, back: &[Applied], blocks: &[Block]) -> Result<Turned, (usize, Invalid)> {
    let mut state = from.clone();
    for applied in back {
        state.undo(applied.clone());
    }
    let mut applied = Vec::with_capacity(blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        applied.push(state.apply(block).map_err(|why| (at, why))?);
    }
    Ok(Turned {
        state: Arc::new(state),
        applied: applied.into(),
    })
}

// Elementary checks that these are worth; from measurements.
const HEADER: usize = 1;
const BLOCK: usize = 8;
const PROOF: usize = 50;
const KERNEL: usize = 2;
const REWARD: usize = 435;

fn weight_of(job: &Job) -> usize {
    match job {
        Job::Header(_) => HEADER,
        Job::Block { block, .. } => {
            BLOCK + PROOF * block.outputs().len() + KERNEL * block.kernels().len()
        }
        Job::Transaction(transaction) => {
            PROOF * transaction.outputs().len() + KERNEL * transaction.kernels().len()
        }
    }
}
