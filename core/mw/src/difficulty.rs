//! What a block must be to follow another: height, version, time, work. Depends on headers alone.

use grin_core::consensus::{self, HeaderDifficultyInfo};
use grin_core::core::TransactionBody;
use grin_core::pow::Difficulty;

use crate::header::Header;
use crate::limits;
use crate::rules::Rules;

/// What the next block must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// By how much the total difficulty grows.
    pub difficulty: u64,
    /// How solutions of the second kind are weighed; free from header version 5 on.
    pub secondary_scaling: u32,
}

/// Why a header cannot follow the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum HeaderFault {
    /// Its solution is worth less than the difficulty it claims, or it claims none.
    #[error("too little work")]
    DifficultyTooLow,
    /// It is dated further ahead of our clock than is allowed. This may pass.
    #[error("dated too far ahead")]
    FromTheFuture,
    /// Its height is not one more than that of the block before.
    #[error("not the next height")]
    InvalidBlockHeight,
    /// Its time is not after that of the block before.
    #[error("not later than the block before")]
    InvalidBlockTime,
    /// Its version is not that of its height.
    #[error("not the version of its height")]
    InvalidBlockVersion,
    /// It says that a block made no output or no kernel.
    #[error("a block without output or kernel")]
    InvalidMmrSize,
    /// Its scaling of secondary solutions is not the one asked for.
    #[error("not the secondary scaling asked for")]
    InvalidScaling,
    /// It does not name the header before it.
    #[error("follows another header")]
    Orphan,
    /// It says that a block made more than fits one.
    #[error("more than fits a block")]
    TooHeavy,
    /// It claims another difficulty than the one asked for.
    #[error("not the difficulty asked for")]
    WrongTotalDifficulty,
}

/// What the block after the first of `ancestors` must reach. They come newest first and at least as
/// far as [`limits::DIFFICULTY_WINDOW`] headers and one more, or the chain's beginning.
///
/// Rule: `consensus::next_difficulty` of grin_core over its `DifficultyIter`.
///
/// # Panics
///
/// If there is no header at all.
pub fn next_target(rules: &Rules, ancestors: impl IntoIterator<Item = Header>) -> Target {
    rules.enter();
    let mut ancestors = ancestors
        .into_iter()
        .take(limits::DIFFICULTY_WINDOW + 1)
        .peekable();
    let height = ancestors.peek().expect("a block follows another").height() + 1;
    let mut window = Vec::new();
    while let Some(header) = ancestors.next() {
        if window.len() == limits::DIFFICULTY_WINDOW {
            break;
        }
        let before = ancestors.peek().map_or(0, Header::total_difficulty);
        let difficulty = header.total_difficulty().saturating_sub(before);
        window.push(HeaderDifficultyInfo::new(
            None,
            u64::try_from(header.timestamp()).unwrap_or(0),
            Difficulty::from_num(difficulty),
            header.secondary_scaling(),
            header.is_secondary(),
        ));
    }
    let next = consensus::next_difficulty(height, window);
    Target {
        difficulty: next.difficulty.to_num(),
        secondary_scaling: next.secondary_scaling,
    }
}

/// Whether `header` may follow the first of `ancestors`, as far as headers show. `wall_secs` is our
/// clock in seconds since 1970. The proof of work itself is [`crate::check`]'s, the roots are
/// [`crate::ChainState`]'s.
///
/// Rule: `validate_header` of grin_chain, and the future limit that reading headers applies.
pub fn check_header<I>(
    rules: &Rules,
    header: &Header,
    ancestors: I,
    wall_secs: i64,
) -> Result<(), HeaderFault>
where
    I: IntoIterator<Item = Header>,
    I::IntoIter: Clone,
{
    let ancestors = ancestors.into_iter();
    let previous = ancestors.clone().next().ok_or(HeaderFault::Orphan)?;
    if header.previous() != previous.hash() {
        return Err(HeaderFault::Orphan);
    }
    check_ahead(rules, header, wall_secs)?;
    if Some(header.height()) != previous.height().checked_add(1) {
        return Err(HeaderFault::InvalidBlockHeight);
    }
    if header.version() != rules.header_version(header.height()) {
        return Err(HeaderFault::InvalidBlockVersion);
    }
    if header.timestamp() <= previous.timestamp() {
        return Err(HeaderFault::InvalidBlockTime);
    }
    check_sizes(rules, header, &previous)?;
    check_work(rules, header, &previous, ancestors)
}

/// Whether a header's time is within what our clock allows. What fails may pass later.
pub fn check_ahead(rules: &Rules, header: &Header, wall_secs: i64) -> Result<(), HeaderFault> {
    let limit = i64::try_from(rules.future_limit_secs).unwrap_or(i64::MAX);
    if header.timestamp() > wall_secs.saturating_add(limit) {
        return Err(HeaderFault::FromTheFuture);
    }
    Ok(())
}

fn check_sizes(rules: &Rules, header: &Header, previous: &Header) -> Result<(), HeaderFault> {
    let outputs = header
        .output_count()
        .saturating_sub(previous.output_count());
    let kernels = header
        .kernel_count()
        .saturating_sub(previous.kernel_count());
    if outputs == 0 || kernels == 0 {
        return Err(HeaderFault::InvalidMmrSize);
    }
    if TransactionBody::weight_by_iok(0, outputs, kernels) > rules.block_weight_max() {
        return Err(HeaderFault::TooHeavy);
    }
    Ok(())
}

fn check_work(
    rules: &Rules,
    header: &Header,
    previous: &Header,
    ancestors: impl Iterator<Item = Header>,
) -> Result<(), HeaderFault> {
    let (total, before) = (header.total_difficulty(), previous.total_difficulty());
    let claimed = total.checked_sub(before).filter(|claimed| *claimed > 0);
    let claimed = claimed.ok_or(HeaderFault::DifficultyTooLow)?;
    if header.difficulty_reached(rules) < claimed {
        return Err(HeaderFault::DifficultyTooLow);
    }
    let target = next_target(rules, ancestors);
    if claimed != target.difficulty {
        return Err(HeaderFault::WrongTotalDifficulty);
    }
    if header.version() < 5 && header.secondary_scaling() != target.secondary_scaling {
        return Err(HeaderFault::InvalidScaling);
    }
    Ok(())
}
