//! The log: events of the node and words of ours, to standard error.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use peerage_core::Event;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

use crate::cli::LogFormat;

/// Starts the log.
pub(crate) fn start(format: LogFormat, level: Level) {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::from_level(level))
        .with_target(false)
        // It would complain on standard error, and panic if that is what is closed.
        .log_internal_errors(false);
    // A second start, in a test, keeps the first one's settings.
    let _ = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

/// Writes events of the node to the log.
pub(crate) struct EventLog {
    quotas: Mutex<BTreeMap<&'static str, Quota>>,
}

impl EventLog {
    pub(crate) const fn new() -> Self {
        Self {
            quotas: Mutex::new(BTreeMap::new()),
        }
    }

    pub(crate) fn write(&self, event: &Event) {
        let name = event.name();
        let level = level(name);
        if level == Level::DEBUG {
            return tracing::debug!(event = name, "{event}");
        }
        let text = event.to_string();
        let mut quotas = self.quotas.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let quota = quotas.entry(name).or_insert_with(|| Quota::full(now));
        let Some(left_out) = quota.take(now, &text) else {
            return;
        };
        // Absent, not zero, where nothing was left out.
        let left_out = (left_out > 0).then_some(left_out);
        match level {
            Level::WARN => tracing::warn!(event = name, left_out, "{text}"),
            _ => tracing::info!(event = name, left_out, "{text}"),
        }
    }
}

/// How many lines of one kind may still be written: strangers cause some of them, in floods.
struct Quota {
    lines: u32,
    refilled: Instant,
    left_out: u64,
    /// Lines that were written not long ago: twenty networks tend to say the same.
    recent: Vec<(String, Instant)>,
}

const LINES_MAX: u32 = 20;
const REFILL_INTERVAL: Duration = Duration::from_secs(1);
/// How long a line is not written again.
const REPEAT_PAUSE: Duration = Duration::from_secs(60);
const RECENT_MAX: usize = 64;

impl Quota {
    const fn full(now: Instant) -> Self {
        Self {
            lines: LINES_MAX,
            refilled: now,
            left_out: 0,
            recent: Vec::new(),
        }
    }

    /// Whether a line may be written, and if so how many were left out before it.
    fn take(&mut self, now: Instant, text: &str) -> Option<u64> {
        let waited = now.saturating_duration_since(self.refilled);
        let intervals = waited.as_nanos() / REFILL_INTERVAL.as_nanos();
        if intervals > 0 {
            let earned = u32::try_from(intervals).unwrap_or(LINES_MAX);
            self.lines = self.lines.saturating_add(earned).min(LINES_MAX);
            self.refilled = now;
        }
        self.recent
            .retain(|(_, at)| now.saturating_duration_since(*at) < REPEAT_PAUSE);
        let repeated = self.recent.iter().any(|(recent, _)| recent == text);
        if repeated || self.lines == 0 {
            self.left_out += 1;
            return None;
        }
        self.lines -= 1;
        if self.recent.len() < RECENT_MAX {
            self.recent.push((text.to_owned(), now));
        }
        Some(std::mem::take(&mut self.left_out))
    }
}

/// How loud an event is: what an operator asked for or must know of is heard by default.
fn level(name: &str) -> Level {
    match name {
        "cluster_forgery_ignored"
        | "cluster_handshake_refused"
        | "cluster_licence_changed"
        | "cluster_peer_unreachable"
        | "known_peer_failed"
        | "known_peer_identity_mismatch"
        | "peer_identity_mismatch"
        | "grin_peer_punished"
        | "grin_reorganisation_too_deep"
        | "request_refused" => Level::WARN,
        "cluster_begun"
        | "cluster_bootstrapped"
        | "cluster_credential_rotated"
        | "cluster_handshake_failed"
        | "cluster_left"
        | "cluster_peer_deleted"
        | "cluster_peer_joined"
        | "cluster_peer_left" => Level::INFO,
        "grin_chain_imported"
        | "grin_chain_importing"
        | "grin_reorganised"
        | "grin_transaction_refused" => Level::INFO,
        "ban_expired" | "banned" | "peer_added" | "peer_pinned" | "peers_pruned" | "started"
        | "unbanned" => Level::INFO,
        _ => Level::DEBUG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let begin = Instant::now();
        let mut quota = Quota::full(begin);
        let take = |quota: &mut Quota, now, n: u64| quota.take(now, &n.to_string());
        let written = (0..1000)
            .filter(|n| take(&mut quota, begin, *n).is_some())
            .count();
        assert_eq!(written, LINES_MAX as usize);
        let later = begin + REFILL_INTERVAL;
        let left_out = 1000 - u64::from(LINES_MAX);
        assert_eq!(take(&mut quota, later, 1000), Some(left_out));
        assert_eq!(take(&mut quota, later, 1001), None);
        assert_eq!(
            take(&mut quota, later + 100 * REFILL_INTERVAL, 1002),
            Some(1)
        );
        assert_eq!(quota.lines, LINES_MAX - 1);
    }

    #[test]
    fn what_an_operator_must_mend_is_told_by_default() {
        // Strangers cause these, too: the quota is for them.
        assert_eq!(level("cluster_handshake_refused"), Level::WARN);
        assert_eq!(level("cluster_handshake_failed"), Level::INFO);
    }

    #[test]
    fn a_line_is_not_repeated_within_a_minute() {
        let begin = Instant::now();
        let mut quota = Quota::full(begin);
        assert_eq!(quota.take(begin, "a"), Some(0));
        assert_eq!(quota.take(begin, "a"), None);
        assert_eq!(quota.take(begin, "b"), Some(1));
        assert_eq!(quota.take(begin, "a"), None);
        assert_eq!(quota.take(begin + REPEAT_PAUSE, "a"), Some(1));
    }
}
