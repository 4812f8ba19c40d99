//! Expensive checks as effects: the job, its verdict, and the joining of identical jobs.
//!
//! A verdict is a function of the job's bytes alone, so it may run anywhere, batched or remembered,
//! without harming determinism. [`check`] is the one checker; every driver calls it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::ids::PublicKey;
use crate::input::VerifyId;
use crate::rooms::chainweb_mempool::command::Command;
use crate::rooms::chainweb_mempool::signature::{self, SignatureFault};
use crate::rooms::wattswarm::envelope::{ClaimFault, Claims};
use crate::rooms::{Scope, Then};
use crate::slots::Slots;
use crate::work::{self, Done, Work};

/// Something to check that takes more than 20 µs.
#[derive(Clone, Debug)]
pub enum VerifyJob {
    /// Every signature of a Pact command.
    Command(Arc<Command>),
    /// What an agent signed in an envelope.
    Envelope(Arc<Claims>),
    /// What takes long with Mimblewimble, checks and other things.
    Mimblewimble(Work),
    /// Ed25519 signatures, each for itself.
    Signatures(Arc<[Signed]>),
}

/// A message and who is said to have signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The signer's key.
    pub key: PublicKey,
    /// What was signed.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: [u8; 64],
}

impl Signed {
    /// Whether the signature is good. Keys of small order, with which a signature fits any message,
    /// are refused.
    fn holds(&self) -> bool {
        VerifyingKey::from_bytes(&self.key.0).is_ok_and(|key| {
            let signature = Signature::from_bytes(&self.signature);
            key.verify_strict(&self.message, &signature).is_ok()
        })
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For [`VerifyJob::Command`].
    Command(Result<(), SignatureFault>),
    /// For [`VerifyJob::Envelope`].
    Envelope(Result<(), ClaimFault>),
    /// For [`VerifyJob::Mimblewimble`].
    Mimblewimble(Done),
    /// For [`VerifyJob::Signatures`]: which of them are good, in their order.
    Signatures(Vec<bool>),
}

impl VerifyJob {
    /// A digest of everything the check reads. Equal digests have equal verdicts.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        match self {
            Self::Command(command) => *command.digest(),
            Self::Envelope(claims) => *claims.digest(),
            Self::Mimblewimble(work) => work.digest(),
            Self::Signatures(signed) => {
                let mut hash = Sha256::new_with_prefix(b"peerage signatures\0");
                for Signed {
                    key,
                    message,
                    signature,
                } in signed.iter()
                {
                    hash.update(key.0);
                    hash.update(signature);
                    hash.update((message.len() as u64).to_be_bytes());
                    hash.update(message);
                }
                hash.finalize().into()
            }
        }
    }

    /// How many elementary signature checks the job holds; what its virtual cost grows with.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Command(command) => command.signers().len(),
            Self::Envelope(claims) => claims.len(),
            Self::Mimblewimble(work) => work.weight(),
            Self::Signatures(signed) => signed.len(),
        }
    }
}

/// Checks jobs together, which costs about half as much as one by one for commands. The verdicts
/// come in the order of the jobs and are the same in whatever company a job is checked.
#[must_use]
pub fn check(jobs: &[VerifyJob]) -> Vec<Verdict> {
    let commands: Vec<&Command> = jobs
        .iter()
        .filter_map(|job| match job {
            VerifyJob::Command(command) => Some(command.as_ref()),
            VerifyJob::Envelope(_) | VerifyJob::Mimblewimble(_) | VerifyJob::Signatures(_) => None,
        })
        .collect();
    let works: Vec<&Work> = jobs
        .iter()
        .filter_map(|job| match job {
            VerifyJob::Mimblewimble(work) => Some(work),
            VerifyJob::Command(_) | VerifyJob::Envelope(_) | VerifyJob::Signatures(_) => None,
        })
        .collect();
    let mut of_works = work::run_all(&works).into_iter();
    let mut of_commands = signature::verify_batch(&commands).into_iter();
    jobs.iter()
        .map(|job| match job {
            VerifyJob::Command(_) => {
                let verdict = of_commands.next();
                Verdict::Command(verdict.expect("each command of a batch has a verdict"))
            }
            VerifyJob::Envelope(claims) => Verdict::Envelope(claims.verify()),
            VerifyJob::Mimblewimble(_) => {
                let done = of_works.next();
                Verdict::Mimblewimble(done.expect("each work of a batch has a result"))
            }
            VerifyJob::Signatures(signed) => {
                Verdict::Signatures(signed.iter().map(Signed::holds).collect())
            }
        })
        .collect()
}

/// Jobs under way and who waits for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jobs {
    slots: Slots<Waiting>,
    by_digest: BTreeMap<[u8; 32], VerifyId>,
}

#[derive(Clone, Debug)]
struct Waiting {
    digest: [u8; 32],
    thens: Vec<(Scope, Then)>,
}

impl Jobs {
    /// Joins a job that is under way, or opens one: then the driver must be asked.
    pub(crate) fn open(&mut self, job: &VerifyJob, scope: Scope, then: Then) -> Option<VerifyId> {
        let digest = job.digest();
        if let Some(waiting) = self
            .by_digest
            .get(&digest)
            .and_then(|id| self.slots.get_mut(id.0))
        {
            waiting.thens.push((scope, then));
            return None;
        }
        let id = VerifyId(self.slots.insert(Waiting {
            digest,
            thens: vec![(scope, then)],
        }));
        self.by_digest.insert(digest, id);
        Some(id)
    }

    /// Ends a job and tells who waited.
    pub(crate) fn close(&mut self, id: VerifyId) -> Vec<(Scope, Then)> {
        let Some(waiting) = self.slots.remove(id.0) else {
            return Vec::new();
        };
        self.by_digest.remove(&waiting.digest);
        waiting.thens
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}
