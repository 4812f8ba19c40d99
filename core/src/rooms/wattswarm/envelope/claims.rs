//! What an agent signed: the texts, the keys and the signatures, ready to be checked elsewhere.

use std::fmt;

use ed25519_zebra::{Signature, VerificationKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::fields::Fields;
use super::key;

/// The signatures of an envelope that are to be checked: of its card, of itself, or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    claims: Vec<Claim>,
    digest: [u8; 32],
}

/// The first signature of an envelope that is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("verify {part} signature: it is not of {part} and this key")]
pub struct ClaimFault {
    /// Which one.
    pub part: Part,
}

/// What a signature is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The card of the agent.
    Card,
    /// The envelope as a whole.
    Envelope,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Card => "source_agent_card",
            Self::Envelope => "agent envelope",
        })
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Claim {
    part: Part,
    key: [u8; 32],
    message: String,
    signature: [u8; 64],
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.part, self.message.len())
    }
}

impl Claims {
    /// The claims of an envelope; `None` if nothing is signed.
    ///
    /// # Errors
    /// That a key or a signature is malformed, or that nobody is named who could have signed.
    pub(super) fn of(fields: &Fields) -> Result<Option<Self>, String> {
        let mut claims = Vec::new();
        if let Some(card) = &fields.source_agent_card
            && let Some(signature) = &card.signature
        {
            claims.push(Claim::new(
                Part::Card,
                &card.agent_id,
                card.signed(),
                signature,
            )?);
        }
        if let Some(signature) = &fields.signature {
            let signer = fields
                .source_agent_id
                .as_ref()
                .ok_or("agent envelope source_agent_id is required when signature is set")?;
            claims.push(Claim::new(
                Part::Envelope,
                signer,
                fields.signed(),
                signature,
            )?);
        }
        if claims.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            digest: digest(&claims),
            claims,
        }))
    }

    /// A digest of everything that [`Claims::verify`] reads.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How many signatures there are: one or two.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.claims.len()
    }

    /// Checks the signatures, the card's first. About 45 µs each.
    ///
    /// # Errors
    /// The first that is not valid.
    pub fn verify(&self) -> Result<(), ClaimFault> {
        match self.claims.iter().find(|claim| !claim.holds()) {
            Some(claim) => Err(ClaimFault { part: claim.part }),
            None => Ok(()),
        }
    }
}

impl Claim {
    fn new(part: Part, signer: &str, message: String, signature: &str) -> Result<Self, String> {
        let malformed = |fault: &str| format!("verify {part} signature: {fault}");
        Ok(Self {
            key: key::agent_key(signer).map_err(malformed)?,
            signature: key::signature(signature).map_err(malformed)?,
            part,
            message,
        })
    }

    fn holds(&self) -> bool {
        let signature = Signature::from(self.signature);
        VerificationKey::try_from(self.key)
            .and_then(|key| key.verify(&signature, self.message.as_bytes()))
            .is_ok()
    }
}

fn digest(claims: &[Claim]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"peerage-agent-claims-v1");
    for claim in claims {
        digest.update([u8::from(claim.part == Part::Card)]);
        digest.update(claim.key);
        digest.update(claim.signature);
        digest.update((claim.message.len() as u64).to_be_bytes());
        digest.update(&claim.message);
    }
    digest.finalize().into()
}
