//! Sums on the curve: commitments, offsets, and whether they balance.
//!
//! The curve library's context is made once and never changed after that, so all threads share it
//! without a lock. (The library's own shared instance is locked and drawn anew from the operating
//! system's randomness at each use.) Whatever is computed with it depends on the arguments alone.

use std::sync::OnceLock;

use grin_keychain::BlindingFactor;
use grin_util::secp::key::SecretKey;
use grin_util::secp::{ContextFlag, Secp256k1, pedersen};

use crate::ids::{Commitment, Offset};
use crate::rules::Rules;

static CURVE: OnceLock<Secp256k1> = OnceLock::new();

/// The one context. Making it takes about 10 ms, the first time.
pub(crate) fn curve() -> &'static Secp256k1 {
    CURVE.get_or_init(|| Secp256k1::with_caps(ContextFlag::Commit))
}

/// Bytes that are no point or no number of the curve, or a sum that is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not on the curve")]
pub struct OffCurve;

/// The sum of commitments, zeros left out.
pub(crate) fn sum(
    positive: impl IntoIterator<Item = Commitment>,
    negative: impl IntoIterator<Item = Commitment>,
) -> Result<Commitment, OffCurve> {
    let (positive, negative) = (points(positive), points(negative));
    let sum = curve().commit_sum(positive, negative);
    sum.map(Commitment::from).map_err(|_| OffCurve)
}

fn points(commitments: impl IntoIterator<Item = Commitment>) -> Vec<pedersen::Commitment> {
    let some = commitments.into_iter().filter(|it| !it.is_zero());
    some.map(pedersen::Commitment::from).collect()
}

/// The commitment to `value` without blinding: what a fee or a reward weighs in a sum.
pub(crate) fn unblinded(value: u64) -> Result<Commitment, OffCurve> {
    let commitment = curve().commit_value(value);
    commitment.map(Commitment::from).map_err(|_| OffCurve)
}

/// What the reward of a block weighs in a sum; it is the same at every height.
pub(crate) fn reward() -> Result<Commitment, OffCurve> {
    static REWARD: OnceLock<Result<Commitment, OffCurve>> = OnceLock::new();
    *REWARD.get_or_init(|| unblinded(Rules::reward(0)))
}

/// What an offset weighs in a sum of excesses; nothing if it is zero.
pub(crate) fn offset_point(offset: Offset) -> Result<Option<Commitment>, OffCurve> {
    if offset.is_zero() {
        return Ok(None);
    }
    let key = SecretKey::from_slice(curve(), &offset.0).map_err(|_| OffCurve)?;
    let commitment = curve().commit(0, key).map_err(|_| OffCurve)?;
    Ok(Some(commitment.into()))
}

/// The sum of offsets. As in the library, what is no number of the curve counts as nothing, and
/// without anything positive the sum is zero.
pub(crate) fn sum_offsets(
    positive: impl IntoIterator<Item = Offset>,
    negative: impl IntoIterator<Item = Offset>,
) -> Result<Offset, OffCurve> {
    let (positive, negative) = (numbers(positive), numbers(negative));
    if positive.is_empty() {
        return Ok(Offset::ZERO);
    }
    let sum = curve()
        .blind_sum(positive, negative)
        .map_err(|_| OffCurve)?;
    Ok(Offset::from(&BlindingFactor::from_secret_key(sum)))
}

/// `whole` without `part`, where zero minus something is its negative.
pub(crate) fn subtract_offset(whole: Offset, part: Offset) -> Result<Offset, OffCurve> {
    let (positive, negative) = (numbers([whole]), numbers([part]));
    if positive.is_empty() && negative.is_empty() || whole == part {
        return Ok(Offset::ZERO);
    }
    let sum = curve()
        .blind_sum(positive, negative)
        .map_err(|_| OffCurve)?;
    Ok(Offset::from(&BlindingFactor::from_secret_key(sum)))
}

fn numbers(offsets: impl IntoIterator<Item = Offset>) -> Vec<SecretKey> {
    let some = offsets.into_iter().filter(|it| !it.is_zero());
    some.filter_map(|it| SecretKey::from_slice(curve(), &it.0).ok())
        .collect()
}
