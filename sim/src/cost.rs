//! What a run cost the machine it ran on. Reported, never used.

use std::fs;

/// CPU seconds of this process so far, if the system tells.
#[must_use]
pub(crate) fn cpu_seconds() -> Option<f64> {
    // Fields 14 and 15 after the name: hundredths of a second in user and system mode.
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// The most memory that this process ever had, in MiB, if the system tells.
#[must_use]
pub(crate) fn peak_rss_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
