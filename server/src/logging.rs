//! The log: events of the node and words of ours, to standard error.

use std::sync::Mutex;
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
    refusals: Mutex<Option<Instant>>,
}

/// Refusals come in floods; one a second says as much.
const REFUSALS_PAUSE: Duration = Duration::from_secs(1);

impl EventLog {
    pub(crate) const fn new() -> Self {
        Self {
            refusals: Mutex::new(None),
        }
    }

    pub(crate) fn write(&self, event: &Event) {
        let name = event.name();
        match level(name) {
            Level::WARN if self.may_warn() => tracing::warn!(event = name, detail = ?event),
            Level::WARN => {}
            Level::INFO => tracing::info!(event = name, detail = ?event),
            _ => tracing::debug!(event = name, detail = ?event),
        }
    }

    fn may_warn(&self) -> bool {
        let Ok(mut last) = self.refusals.lock() else {
            return true;
        };
        let due = last.is_none_or(|last| last.elapsed() >= REFUSALS_PAUSE);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// How loud an event is: what an operator asked for or must know of is heard by default.
fn level(name: &str) -> Level {
    match name {
        "request_refused" | "peer_identity_mismatch" => Level::WARN,
        "ban_expired" | "banned" | "peer_added" | "peer_pinned" | "peers_pruned" | "started"
        | "unbanned" => Level::INFO,
        _ => Level::DEBUG,
    }
}
