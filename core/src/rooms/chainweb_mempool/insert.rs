//! The checks a command must pass to enter the pool, as far as they need no state.
//!
//! The numbers are the steps of Chainweb's insert pipeline. Between [`check_terms`] (1–5) and
//! [`check_form`] (8–14) the pool asks whether the command was recently mined (6) or is bad-listed
//! (7); after them [`signature::verify`](super::signature::verify) checks the signatures (15), and
//! [`check_ledger_time`] (16) comes last. The first step that fails decides. Rules: Chainweb's
//! `validateOne`, `txTTLCheck`, `validatingMempoolConfig` and Pact 5 `Validations`.

use super::command::Command;
use super::key::RequestKey;
use super::signature::SignatureFault;
use crate::json::Decimal;
use crate::limits::{GAS_PRICE_DECIMALS_MAX, GAS_PRICE_MIN, SIGNATURES_MAX, TTL_MAX_S};
use thiserror::Error;

/// What the checks compare a command with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsertRules<'a> {
    /// The chain of the endpoint.
    pub chain: u16,
    /// The most gas a command may ask for; [`GAS_LIMIT_MAX`](crate::limits::GAS_LIMIT_MAX) unless configured.
    pub gas_limit_max: u64,
    /// The least it may pay per unit of gas; [`gas_price_min`] unless configured.
    pub gas_price_min: Decimal,
    /// The name of the network.
    pub network: &'a str,
}

/// Why a command does not enter the pool. `Display` is the text the real node logs and answers on
/// its send endpoint; over the P2P endpoints no client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InsertError {
    /// The ledger has found it to fail before.
    #[error("Transaction is badlisted because it previously failed to validate.")]
    Badlisted,
    /// It was mined already.
    #[error("Transaction already exists on chain")]
    Duplicate,
    /// The declared hash is not that of the `cmd` text.
    #[error("Invalid transaction hash")]
    InvalidHash,
    /// The signatures do not fit the signers.
    #[error("Invalid transaction sigs: {0}")]
    InvalidSigs(#[from] SigsFault),
    /// It is for another chain or network, or for none.
    #[error("Transaction metadata (chain id, chainweb version) conflicts with this endpoint")]
    MetadataMismatch,
    /// A violation without a category of its own.
    #[error("insert error: {0}")]
    Other(OtherFault),
    /// It asks for more gas than a block has.
    #[error("Transaction gas limit exceeds block gas limit ({gas_limit_max})")]
    Oversized {
        /// What a block has.
        gas_limit_max: u64,
    },
    /// The ledger cannot read it.
    #[error("Pact parse error: {0}")]
    PactParse(&'static str),
    /// It was created later than the clock allows.
    #[error("Transaction creation time too far in the future")]
    TimeInFuture,
    /// It has expired, or lives longer than allowed.
    #[error("Transaction time-to-live is expired")]
    TtlExpired,
    /// It pays less per unit of gas than the node takes.
    #[error("Transaction gas price ({gas_price}) is below minimum gas price ({gas_price_min})")]
    Undersized {
        /// What it pays.
        gas_price: Decimal,
        /// What the node takes.
        gas_price_min: Decimal,
    },
    /// The ledger of another chain was asked.
    #[error("Wrong chain, expected: {expected}, actual: {actual}")]
    WrongChain {
        /// The chain of the ledger.
        expected: u16,
        /// The chain of the command.
        actual: Box<str>,
    },
}

impl From<SignatureFault> for InsertError {
    fn from(fault: SignatureFault) -> Self {
        Self::InvalidSigs(SigsFault::Invalid(fault))
    }
}

/// What is wrong with a command's signatures.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SigsFault {
    /// There are more or fewer of them than signers.
    #[error(
        "The number of signers and signatures do not match. Number of signers: {signers}. \
         Number of signatures: {signatures}."
    )]
    CountMismatch {
        /// How many are to sign.
        signers: usize,
        /// How many signatures there are.
        signatures: usize,
    },
    /// One of them is not valid.
    #[error(transparent)]
    Invalid(SignatureFault),
}

/// The violations the real node reports as `InsertErrorOther`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OtherFault {
    /// The gas price has more decimal places than a ledger amount.
    #[error(
        "This transaction's gas price: {gas_price} is not correctly rounded. It should be rounded \
         to at most {GAS_PRICE_DECIMALS_MAX} decimal places."
    )]
    GasPriceNotRounded {
        /// The gas price.
        gas_price: Decimal,
    },
    /// More signatures than [`SIGNATURES_MAX`].
    #[error("Too many signatures")]
    TooManySignatures,
    /// The chain is not an integer.
    #[error("Unparsable ChainId")]
    UnparsableChainId,
}

/// Steps 1 to 5: gas, price and the node's clock, in microseconds since the epoch.
///
/// # Errors
///
/// [`InsertError::Oversized`], [`OtherFault::GasPriceNotRounded`], [`InsertError::Undersized`],
/// [`InsertError::TimeInFuture`] or [`InsertError::TtlExpired`], in this order.
pub fn check_terms(
    command: &Command,
    now_micros: u64,
    rules: &InsertRules<'_>,
) -> Result<(), InsertError> {
    let meta = command.meta();
    let InsertRules {
        gas_limit_max,
        gas_price_min,
        ..
    } = *rules;
    let gas_price = meta.gas_price;
    if meta.gas_limit > i128::from(gas_limit_max) {
        return Err(InsertError::Oversized { gas_limit_max });
    }
    if gas_price.decimal_places() > GAS_PRICE_DECIMALS_MAX {
        return Err(InsertError::Other(OtherFault::GasPriceNotRounded {
            gas_price,
        }));
    }
    if gas_price < gas_price_min {
        return Err(InsertError::Undersized {
            gas_price,
            gas_price_min,
        });
    }
    let now = i128::from(now_micros);
    if micros(meta.creation_time) >= now + CREATION_LEAD_MAX_MICROS {
        return Err(InsertError::TimeInFuture);
    }
    let expires_at = meta.expires_at();
    if micros(expires_at) <= now || expires_at <= meta.creation_time {
        return Err(InsertError::TtlExpired);
    }
    Ok(())
}

/// Steps 8 to 14 without 11 and without Pact code: the endpoint, the hash, the counts.
///
/// # Errors
///
/// [`OtherFault::UnparsableChainId`], [`InsertError::MetadataMismatch`] (chain),
/// [`OtherFault::TooManySignatures`], [`InsertError::MetadataMismatch`] (network),
/// [`InsertError::PactParse`] (hash length), [`InsertError::InvalidHash`],
/// [`InsertError::WrongChain`] or [`SigsFault::CountMismatch`], in this order.
pub fn check_form(command: &Command, rules: &InsertRules<'_>) -> Result<(), InsertError> {
    let chain = &command.meta().chain;
    let digits = chain.strip_prefix('-').unwrap_or(chain);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InsertError::Other(OtherFault::UnparsableChainId));
    }
    if !names_chain(chain, rules.chain) {
        return Err(InsertError::MetadataMismatch);
    }
    let (signers, signatures) = (command.signers().len(), command.signatures().len());
    if signatures > SIGNATURES_MAX {
        return Err(InsertError::Other(OtherFault::TooManySignatures));
    }
    if command.network() != Some(rules.network) {
        return Err(InsertError::MetadataMismatch);
    }
    if matches!(command.key(), RequestKey::Odd(_)) {
        return Err(InsertError::PactParse("decode PayloadWithText failed"));
    }
    if !command.hash_matches() {
        return Err(InsertError::InvalidHash);
    }
    if !names_chain(chain, rules.chain) {
        return Err(InsertError::WrongChain {
            expected: rules.chain,
            actual: chain.clone(),
        });
    }
    if signers != signatures {
        return Err(SigsFault::CountMismatch {
            signers,
            signatures,
        }
        .into());
    }
    Ok(())
}

/// Step 16: the times of a command relative to that of the latest block, in microseconds since the
/// epoch. A node without a ledger takes its own clock.
///
/// # Errors
///
/// [`InsertError::TimeInFuture`] or [`InsertError::TtlExpired`], in this order.
pub fn check_ledger_time(command: &Command, block_micros: u64) -> Result<(), InsertError> {
    let meta = command.meta();
    let block = i128::from(block_micros);
    if micros(meta.creation_time) > block + LEDGER_LEAD_MAX_MICROS {
        return Err(InsertError::TimeInFuture);
    }
    let alive = meta.ttl > 0
        && meta.ttl <= TTL_MAX_S
        && meta.creation_time >= 0
        && micros(meta.creation_time.saturating_add(meta.ttl)) > block;
    if alive {
        Ok(())
    } else {
        Err(InsertError::TtlExpired)
    }
}

/// The minimum gas price of a node that configures none: 0.00000001 KDA.
#[must_use]
pub fn gas_price_min() -> Decimal {
    Decimal::new(GAS_PRICE_MIN.into(), -12).unwrap_or(Decimal::ZERO)
}

/// Whether `text` is exactly the decimal number of the chain: `00` is not `0`.
fn names_chain(text: &str, chain: u16) -> bool {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    plain && text.parse() == Ok(chain)
}

fn micros(seconds: i128) -> i128 {
    seconds.saturating_mul(1_000_000)
}

/// How far creation may lie ahead of the node's clock; exactly this is too far.
const CREATION_LEAD_MAX_MICROS: i128 = 10_000_000;

/// How far creation may lie ahead of the latest block.
const LEDGER_LEAD_MAX_MICROS: i128 = 95_000_000;
