//! Checks and proofs for the whole world: each is done once, and told after a virtual cost.
//!
//! The verdict is a function of the job's bytes, so ten thousand nodes that check the same
//! transaction cost one real check. The cost is virtual, so that the order of events does not
//! depend on the host's speed.
//!
//! Of Mimblewimble, whatever is checked is remembered by itself, in whatever company it comes. A
//! reward takes 20 ms for its range proof and depends on a purse, a height and fees, of which all
//! worlds have the same few: those of all worlds of a process are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerage_core::mw::{Fault, Job, Rules, Verifier};
use peerage_core::verify::{Verdict, VerifyJob, check};
use peerage_core::work::{Done, Work};

use crate::once::Once;

/// Microseconds of one job, whatever it holds.
const COST_BASE: u64 = 20;
/// Microseconds of one elementary check.
const COST_EACH: u64 = 45;
/// Rewards that are kept, of a kilobyte each.
const REWARDS_MAX: usize = 16_384;

/// The rewards of all worlds.
static REWARDS: Once<[u8; 32], Verdict> = Once::new(REWARDS_MAX);

/// All verdicts so far, by what was checked.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    verdicts: BTreeMap<[u8; 32], Verdict>,
    /// Of single headers, blocks and transactions.
    faults: BTreeMap<[u8; 32], Result<(), Fault>>,
    asked: u64,
    /// What is not worth being remembered.
    passing: u64,
}

impl Memo {
    /// What a check finds, and how many microseconds of one core it takes.
    pub fn check(&mut self, job: &VerifyJob) -> (Verdict, u64) {
        self.asked += 1;
        let cost = COST_BASE + COST_EACH * job.weight() as u64;
        let verdict = match job {
            VerifyJob::Mimblewimble(Work::Check { rules, jobs }) => {
                Verdict::Mimblewimble(Done::Checked(self.check_each(rules, jobs)))
            }
            // Nobody else asks for the same, and what comes of it is large.
            VerifyJob::Mimblewimble(
                Work::Replay { .. } | Work::Search { .. } | Work::Turn { .. },
            ) => {
                self.passing += 1;
                done(job)
            }
            VerifyJob::Mimblewimble(Work::Reward { .. }) => {
                let kept = self.verdicts.entry(job.digest());
                let verdict = kept.or_insert_with(|| REWARDS.get(job.digest(), || done(job)));
                verdict.clone()
            }
            VerifyJob::Command(_) | VerifyJob::Envelope(_) | VerifyJob::Signatures(_) => {
                let verdict = self.verdicts.entry(job.digest());
                verdict.or_insert_with(|| done(job)).clone()
            }
        };
        (verdict, cost)
    }

    /// Checks together what was not checked before.
    fn check_each(&mut self, rules: &Rules, jobs: &[Job]) -> Arc<[Result<(), Fault>]> {
        let name = |job: &Job| {
            let alone = Work::Check {
                rules: *rules,
                jobs: Arc::from([job.clone()]),
            };
            alone.digest()
        };
        let names: Vec<[u8; 32]> = jobs.iter().map(name).collect();
        let mut fresh: Vec<(&[u8; 32], &Job)> = names.iter().zip(jobs).collect();
        fresh.retain(|(name, _)| !self.faults.contains_key(*name));
        let new: Vec<Job> = fresh.iter().map(|(_, job)| Job::clone(job)).collect();
        let verdicts = peerage_core::mw::check(&mut Verifier::new(*rules), &new);
        let fresh = fresh.into_iter().map(|(name, _)| *name);
        self.faults.extend(fresh.zip(verdicts));
        names.iter().map(|name| self.faults[name]).collect()
    }

    /// How many checks were asked for, and how many were done.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let kept = self.verdicts.len() + self.faults.len();
        (self.asked, kept as u64 + self.passing)
    }
}

fn done(job: &VerifyJob) -> Verdict {
    check(std::slice::from_ref(job))
        .pop()
        .expect("one job has one verdict")
}
