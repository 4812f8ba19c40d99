//! Bodies, read as far as they may be long, and from a budget that all share.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use peerage_core::limits::BODY_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of one body that are not counted: small requests never wait for large ones. Their sum is
/// bounded by the number of connections.
const FREE_BYTES: usize = 64 * 1024;
/// Bytes of all bodies being read, beyond the free ones.
const BUDGET_BYTES: usize = 128 * 1024 * 1024;
/// The budget is counted in pieces of this size.
const PIECE_BYTES: usize = 16 * 1024;
/// How long a body may take in any case.
const GRACE: Duration = Duration::from_secs(10);
/// A body must come at least this fast, beyond [`GRACE`].
const BYTES_PER_SEC_MIN: u64 = 8 * 1024;
/// How long an answer waits for its share of the budget.
const CHARGE_MAX: Duration = Duration::from_secs(5);
/// What is read and thrown away after an answer that did not wait for the body, so that the answer
/// is not lost to a reset.
const DISCARD_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;
const DISCARD_MAX: Duration = Duration::from_secs(5);

/// Memory for bodies, shared.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_BYTES / PIECE_BYTES)))
    }
}

impl Budget {
    /// Charges a body that is to be sent, until its last byte is taken. Waits a while for others
    /// to be done; `None` if they are not.
    pub(crate) async fn charge(&self, bytes: Bytes) -> Option<Bytes> {
        let beyond = bytes.len().saturating_sub(FREE_BYTES);
        if beyond == 0 {
            return Some(bytes);
        }
        // An answer may be longer than the whole budget; it then has the budget for itself.
        let pieces = beyond.div_ceil(PIECE_BYTES).min(BUDGET_BYTES / PIECE_BYTES);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let share = timeout(CHARGE_MAX, self.0.clone().acquire_many_owned(pieces)).await;
        let share = share.ok()?.ok()?;
        Some(Bytes::from_owner(Charged {
            bytes,
            _share: share,
        }))
    }
}

/// Bytes that give back their share of the budget when the last handle is gone.
struct Charged {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke, or what came is not a body.
    Broken,
    /// Too many large bodies are being read.
    Crowded,
    /// It comes too slowly.
    Slow,
    /// Longer than allowed; with the declared length, if there is one.
    TooLarge(Option<u64>),
}

/// A request's body and its share of the budget.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    _share: Vec<OwnedSemaphorePermit>,
}

/// Reads at most `max` bytes. On an error the rest is still in `body`.
pub(crate) async fn read(
    body: &mut Incoming,
    max: usize,
    budget: &Budget,
) -> Result<Read, BodyError> {
    let declared = body.size_hint().exact();
    if declared.is_some_and(|len| len > max as u64) {
        return Err(BodyError::TooLarge(declared));
    }
    let mut begin = None;
    let mut share = Vec::new();
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    let mut len = 0;
    while !body.is_end_stream() {
        let allowed = GRACE + Duration::from_millis(len as u64 * 1000 / BYTES_PER_SEC_MIN);
        let frame = match next_frame(body, &mut begin, allowed).await {
            Err(_) => return Err(BodyError::Slow),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        // Trailers are of no interest.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        len += data.len();
        if len > max {
            return Err(BodyError::TooLarge(None));
        }
        while len > FREE_BYTES + share.len() * PIECE_BYTES {
            let piece = budget.0.clone().try_acquire_owned();
            share.push(piece.map_err(|_| BodyError::Crowded)?);
        }
        // Most bodies come in one piece and are not copied.
        if len == data.len() {
            whole = data;
        } else {
            if parts.is_empty() {
                parts.extend_from_slice(&std::mem::take(&mut whole));
            }
            parts.extend_from_slice(&data);
        }
    }
    let bytes = if parts.is_empty() {
        whole
    } else {
        parts.freeze()
    };
    Ok(Read {
        bytes,
        _share: share,
    })
}

/// The next part of a body, of which `allowed` is the time since it was first waited for. Mostly it is there once the connection has had its turn, and no timer is
/// set for it: timers cost more than most requests.
async fn next_frame(
    body: &mut Incoming,
    begin: &mut Option<Instant>,
    allowed: Duration,
) -> Result<Option<Result<Frame<Bytes>, hyper::Error>>, Elapsed> {
    let mut turns = 0;
    let ready = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(Some(frame)),
        Poll::Pending if turns == 0 => {
            turns = 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    });
    match ready.await {
        Some(frame) => Ok(frame),
        None => {
            let begin = *begin.get_or_insert_with(Instant::now);
            timeout_at(begin + allowed, body.frame()).await
        }
    }
}

/// Reads the body of an answer to a call.
pub(crate) async fn read_answer(mut body: Incoming, budget: &Budget) -> Result<Bytes, BodyError> {
    read(&mut body, BODY_BYTES_MAX, budget)
        .await
        .map(|read| read.bytes)
}

/// Reads the rest of a body in the background and forgets it, within reason: a client that is still
/// sending then sees the answer instead of a reset, and may go on with the connection.
pub(crate) fn discard(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(DISCARD_MAX, async move {
        let mut len = 0;
        while let Some(Ok(frame)) = body.frame().await {
            len += frame.data_ref().map_or(0, Bytes::len);
            if len > DISCARD_BYTES_MAX {
                return;
            }
        }
    }));
}
