//! Counters of everything, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use peerage_core::{Event, Listener};

/// All counters of one node.
#[derive(Debug)]
pub struct Metrics {
    events: BTreeMap<&'static str, AtomicU64>,
    /// By listener and class of status.
    requests: [[AtomicU64; 5]; 2],
    opened: [AtomicU64; 2],
    closed: [AtomicU64; 2],
    /// Connections closed at once because too many were open.
    turned_away: [AtomicU64; 2],
    commits: AtomicU64,
    rows: AtomicU64,
    batch_seconds: Histogram<8>,
    acknowledge_seconds: Histogram<8>,
    verify_batch: Histogram<7>,
}

/// In microseconds.
const LATENCIES: [u64; 8] = [250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000];
const BATCHES: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
const LISTENERS: [(Listener, &str); 2] = [(Listener::Api, "api"), (Listener::P2p, "p2p")];

impl Default for Metrics {
    fn default() -> Self {
        Self {
            events: Event::names()
                .map(|name| (name, AtomicU64::new(0)))
                .collect(),
            requests: Default::default(),
            opened: Default::default(),
            closed: Default::default(),
            turned_away: Default::default(),
            commits: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            batch_seconds: Histogram::new(LATENCIES),
            acknowledge_seconds: Histogram::new(LATENCIES),
            verify_batch: Histogram::new(BATCHES),
        }
    }
}

impl Metrics {
    pub(crate) fn event(&self, event: &Event) {
        if let Some(counter) = self.events.get(event.name()) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn request(&self, listener: Listener, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.requests[listener as usize][class].fetch_add(1, Relaxed);
    }

    pub(crate) fn opened(&self, listener: Listener) {
        self.opened[listener as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self, listener: Listener) {
        self.closed[listener as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn turned_away(&self, listener: Listener) {
        self.turned_away[listener as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn batch(&self, commits: u64, rows: u64, took: Duration) {
        self.commits.fetch_add(commits, Relaxed);
        self.rows.fetch_add(rows, Relaxed);
        self.batch_seconds.observe(micros(took));
    }

    pub(crate) fn acknowledged(&self, took: Duration) {
        self.acknowledge_seconds.observe(micros(took));
    }

    pub(crate) fn verified(&self, jobs: usize) {
        self.verify_batch.observe(jobs as u64);
    }

    /// How often the event of this name happened.
    #[must_use]
    pub fn count(&self, event: &str) -> u64 {
        self.events
            .get(event)
            .map_or(0, |counter| counter.load(Relaxed))
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self, listener: Listener) -> u64 {
        let load = |counters: &[AtomicU64; 2]| counters[listener as usize].load(Relaxed);
        load(&self.opened).saturating_sub(load(&self.closed))
    }

    /// The text of `GET /metrics`. `gauges` are the sizes of the node's tables.
    pub(crate) fn render(&self, gauges: &[(&'static str, u64)]) -> String {
        let mut out = String::with_capacity(4096);
        let mut text = Text(&mut out);
        text.head(
            "peerage_events_total",
            "counter",
            "What happened in the node, by name.",
        );
        for (name, counter) in &self.events {
            text.line(
                "peerage_events_total",
                &format!("{{event=\"{name}\"}}"),
                load(counter),
            );
        }
        for (name, value) in gauges {
            let name = format!("peerage_{name}");
            text.head(&name, "gauge", "The size of a table or queue of the node.");
            text.line(&name, "", *value);
        }
        text.head(
            "peerage_http_requests_total",
            "counter",
            "Answers given, by class of status.",
        );
        for (listener, word) in LISTENERS {
            for (counter, class) in self.requests[listener as usize].iter().zip(1..) {
                let labels = format!("{{listener=\"{word}\",status=\"{class}xx\"}}");
                text.line("peerage_http_requests_total", &labels, load(counter));
            }
        }
        text.head(
            "peerage_connections_open",
            "gauge",
            "Connections that callers hold open.",
        );
        for (listener, word) in LISTENERS {
            let labels = format!("{{listener=\"{word}\"}}");
            text.line(
                "peerage_connections_open",
                &labels,
                self.connections(listener),
            );
        }
        text.head("peerage_connections_total", "counter", "Connections taken.");
        for (listener, word) in LISTENERS {
            let labels = format!("{{listener=\"{word}\"}}");
            text.line(
                "peerage_connections_total",
                &labels,
                load(&self.opened[listener as usize]),
            );
        }
        let turned_away = "peerage_connections_turned_away_total";
        text.head(
            turned_away,
            "counter",
            "Connections closed at once: too many were open.",
        );
        for (listener, word) in LISTENERS {
            let labels = format!("{{listener=\"{word}\"}}");
            text.line(
                turned_away,
                &labels,
                load(&self.turned_away[listener as usize]),
            );
        }
        text.head("peerage_commits_total", "counter", "Commits written.");
        text.line("peerage_commits_total", "", load(&self.commits));
        text.head("peerage_commit_rows_total", "counter", "Rows written.");
        text.line("peerage_commit_rows_total", "", load(&self.rows));
        let histograms = [
            (
                "peerage_commit_batch_seconds",
                "A batch of commits, written and synced.",
            ),
            (
                "peerage_commit_seconds",
                "From taking a batch to acknowledging it.",
            ),
        ];
        for ((name, help), histogram) in histograms
            .into_iter()
            .zip([&self.batch_seconds, &self.acknowledge_seconds])
        {
            text.histogram(name, help, histogram, 1e-6);
        }
        text.histogram(
            "peerage_verify_batch_jobs",
            "Signature checks done together.",
            &self.verify_batch,
            1.0,
        );
        out
    }
}

/// Counts of observations up to each bound.
#[derive(Debug)]
struct Histogram<const N: usize> {
    bounds: [u64; N],
    buckets: [AtomicU64; N],
    count: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: [u64; N]) -> Self {
        let buckets = std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            bounds,
            buckets,
            count: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: u64) {
        if let Some(at) = self.bounds.iter().position(|bound| value <= *bound) {
            self.buckets[at].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }
}

struct Text<'a>(&'a mut String);

impl Text<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("strings grow");
    }

    fn line(&mut self, name: &str, labels: &str, value: u64) {
        writeln!(self.0, "{name}{labels} {value}").expect("strings grow");
    }

    fn histogram<const N: usize>(&mut self, name: &str, help: &str, of: &Histogram<N>, unit: f64) {
        self.head(name, "histogram", help);
        // Read before the buckets, so that a scrape during an observation stays in order.
        let count = load(&of.count);
        let mut upto = 0;
        for (bound, bucket) in of.bounds.iter().zip(&of.buckets) {
            upto += load(bucket);
            let bound = *bound as f64 * unit;
            self.line(
                &format!("{name}_bucket"),
                &format!("{{le=\"{bound}\"}}"),
                upto,
            );
        }
        let count = count.max(upto);
        self.line(&format!("{name}_bucket"), "{le=\"+Inf\"}", count);
        let sum = load(&of.sum) as f64 * unit;
        writeln!(self.0, "{name}_sum {sum}\n{name}_count {count}").expect("strings grow");
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
