//! Signature checks for the whole world: each is done once, and told after a virtual cost.
//!
//! The verdict is a function of the job's bytes, so ten thousand nodes that check the same
//! transaction cost one real check. The cost is virtual, so that the order of events does not
//! depend on the host's speed.

use std::collections::BTreeMap;

use peerage_core::verify::{Verdict, VerifyJob, check};

/// Microseconds of one job, whatever it holds.
const COST_BASE: u64 = 20;
/// Microseconds of one elementary check.
const COST_EACH: u64 = 45;

/// All verdicts so far, by what was checked.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    verdicts: BTreeMap<[u8; 32], Verdict>,
    asked: u64,
}

impl Memo {
    /// What a check finds, and how many microseconds of one core it takes.
    pub fn check(&mut self, job: &VerifyJob) -> (Verdict, u64) {
        self.asked += 1;
        let cost = COST_BASE + COST_EACH * job.weight() as u64;
        let verdict = self.verdicts.entry(job.digest()).or_insert_with(|| {
            check(std::slice::from_ref(job))
                .pop()
                .expect("one job has one verdict")
        });
        (verdict.clone(), cost)
    }

    /// How many checks were asked for, and how many were done.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.asked, self.verdicts.len() as u64)
    }
}
