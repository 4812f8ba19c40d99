//! The simulator with real nodes: events per CPU second and memory per node, by size.
//!
//! Each size runs in a process of its own, because a process does not give memory back. The users
//! are as many as the nodes' share of the same load, so that sizes can be compared. Memory is the
//! process's peak over the nodes, the world's own included; most of it is transactions and peers. What
//! a node costs that does nothing is in the last line: nobody knows anybody, and nobody asks.

use std::process::Command;
use std::time::Instant;

use peerage_sim::options::Topology;
use peerage_sim::{Options, run};

const SECOND: u64 = 1_000_000;
const CHILD: &str = "PEERAGE_BENCH_SIM_NODES";
const IDLE: &str = "idle ";

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn main() {
    if let Ok(child) = std::env::var(CHILD) {
        let (nodes, idle) = child
            .strip_prefix(IDLE)
            .map_or((child.as_str(), false), |nodes| (nodes, true));
        let nodes = nodes.parse().expect("a number of nodes");
        return println!("{}", one(nodes, idle));
    }
    // Under `cargo test` one small world shows that everything still works.
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let sizes: &[&str] = if smoke {
        &["10", "idle 10"]
    } else {
        &["100", "1000", "10000", "idle 10000"]
    };
    println!(
        "{:>8}{:>12}{:>12}{:>14}{:>14}",
        "nodes", "events", "CPU s", "events/CPU s", "KiB/node"
    );
    for nodes in sizes {
        let own = std::env::current_exe().expect("this program");
        let output = Command::new(own)
            .env(CHILD, nodes)
            .output()
            .expect("a process");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// One world of `nodes` for twenty virtual seconds, without faults.
fn one(nodes: u32, idle: bool) -> String {
    let mut options = Options::drawn(1, nodes, 20 * SECOND, false);
    options.chains = 1;
    options.work.users = 10;
    options.work.pause = SECOND;
    options.audited = 0;
    if idle {
        options.topology = Topology::Edges([].into());
        options.work.users = 0;
        options.settle = 0;
    }
    let began = Instant::now();
    let report = run(options, Vec::new(), |_| {}).expect("nothing is written");
    // Who knows nobody never finds the others.
    assert!(report.good() || idle, "{report}");
    // The world has one thread and waits for nothing, so wall time serves where `/proc` is not.
    let cpu = stat_cpu_seconds().unwrap_or_else(|| began.elapsed().as_secs_f64());
    let peak_kib = peak_rss_kib().unwrap_or(0.0);
    format!(
        "{nodes:>8}{:>12}{cpu:>12.2}{:>14.0}{:>14.1}",
        report.events,
        report.events as f64 / cpu,
        peak_kib / f64::from(nodes),
    )
}

fn stat_cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0).filter(|seconds| *seconds > 0.0)
}

fn peak_rss_kib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
