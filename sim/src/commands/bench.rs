//! `bench`: the engine with next to nothing in it.

use std::io::{self, Write as _};
use std::time::Instant;

use clap::{Args, ValueEnum};
use peerage_sim::cluster::measure::measure;
use peerage_sim::gossip;
use peerage_sim::grin::spies::Guesses;
use peerage_sim::grin::{measure as mint, spies as spy};
use serde_json::json;

use crate::cost;

const HELP: &str = "\
Both workloads were given to other simulators too, so that speeds can be compared.
gossip: a hundred messages of 200 bytes, each handed on to four others by whoever learns it; one in a
hundred is lost, the rest take 40 to 60 ms; 12 virtual seconds.
timers: every node wakes up once a second for 60 virtual seconds.
grin: real nodes that all mine a block a minute together, for so many virtual hours; how soon a block
is everywhere, how many are in vain, and what it costs.
spies: real nodes of which every tenth spies; of how many payments the first spy to hear names the
node that made them, if they spread at once and if they go unseen first.
cluster: real nodes, all told of the first within a second; how long until all know all, and what
their heartbeats cost in the minute after that, as bytes on a wire.

Examples:
  peerage-sim bench gossip --nodes 10000 --seed 1 --json
  peerage-sim bench gossip --nodes 10 --worlds 5000     # many small worlds, one after the other
  peerage-sim bench cluster --nodes 200
  peerage-sim bench grin --nodes 100 --hours 24
  peerage-sim bench spies --nodes 60";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct BenchArgs {
    /// Which workload.
    #[arg(value_enum, default_value_t = Workload::Gossip)]
    workload: Workload,
    /// The seed of all luck.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many nodes.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(5..=1_000_000))]
    nodes: u32,
    /// How many worlds, of this seed and those after it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    worlds: u64,
    /// How many virtual hours, where nodes mine.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8_760))]
    hours: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    Cluster,
    Gossip,
    Grin,
    Spies,
    Timers,
}

pub(crate) fn bench(args: &BenchArgs) -> Result<bool, String> {
    match args.workload {
        Workload::Cluster => cluster(args),
        Workload::Gossip => {
            let delivered = |sum: &gossip::Counts| sum.delivered;
            engine(args, gossip::gossip, "messages delivered", delivered)
        }
        Workload::Grin => grin(args),
        Workload::Spies => spies(args),
        Workload::Timers => engine(args, gossip::timers, "timers fired", |sum| sum.woken),
    }
}

/// How fast the engine is with next to nothing in it.
fn engine(
    args: &BenchArgs,
    run: fn(u64, u32) -> gossip::Counts,
    what: &str,
    counted: fn(&gossip::Counts) -> u64,
) -> Result<bool, String> {
    let (before, begun) = (cost::cpu_seconds(), Instant::now());
    let mut sum = gossip::Counts::default();
    for seed in args.seed..args.seed.saturating_add(args.worlds) {
        sum.add(&run(seed, args.nodes));
    }
    let wall = begun.elapsed().as_secs_f64();
    let cpu = cost::cpu_seconds()
        .zip(before)
        .map(|(after, before)| after - before);
    let out = &mut io::stdout().lock();
    let written = if args.json {
        let object = json!({
            "workload": args.workload.to_possible_value().map(|value| value.get_name().to_owned()),
            "seed": args.seed,
            "worlds": args.worlds,
            "nodes": args.nodes,
            "sent": sum.sent,
            "lost": sum.lost,
            "learned": sum.learned,
            "delivered": sum.delivered,
            "fired": sum.woken,
            "cpu_seconds": cpu,
            "wall_seconds": wall,
            "peak_rss_mb": cost::peak_rss_mb(),
            "hash": format!("{:016x}", sum.hash),
        });
        writeln!(out, "{object}")
    } else {
        let count = counted(&sum);
        writeln!(
            out,
            "{count} {what} in {wall:.4} s: {:.1} million a second, {:.0} ns each; {:.0} worlds a \
             second; hash {:016x}",
            count as f64 / wall / 1e6,
            wall * 1e9 / count as f64,
            args.worlds as f64 / wall,
            sum.hash,
        )
    };
    written.map(|()| true).map_err(|error| error.to_string())
}

/// What clusters of this size cost.
fn cluster(args: &BenchArgs) -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    let mut all = true;
    for seed in args.seed..args.seed.saturating_add(args.worlds) {
        let begun = Instant::now();
        let cost = measure(seed, args.nodes);
        let wall = begun.elapsed().as_secs_f64();
        all &= cost.converged_us.is_some();
        // Of one node in one second: a minute was counted.
        let each = cost.heartbeat_bytes as f64 / 60.0 / f64::from(args.nodes);
        let written = if args.json {
            let object = json!({
                "workload": "cluster",
                "seed": seed,
                "nodes": args.nodes,
                "converged_seconds": cost.converged_us.map(|us| us as f64 / 1e6),
                "handshakes": cost.handshakes,
                "joining_bytes": cost.joining_bytes,
                "heartbeats": cost.heartbeats,
                "heartbeat_bytes": cost.heartbeat_bytes,
                "bytes_per_node_and_second": each,
                "message_bytes_max": cost.message_bytes_max,
                "events": cost.events,
                "wall_seconds": wall,
                "peak_rss_mb": cost::peak_rss_mb(),
                "hash": format!("{:016x}", cost.hash),
            });
            writeln!(out, "{object}")
        } else {
            let converged = match cost.converged_us {
                Some(us) => format!("all know all after {:.1} s", us as f64 / 1e6),
                None => "they never knew each other".to_owned(),
            };
            writeln!(
                out,
                "{} nodes: {converged}, {} handshakes, {:.1} MB; then {:.1} kB a node and second in \
                 {:.1} heartbeats a second, the largest {:.1} kB; {wall:.1} s, hash {:016x}",
                args.nodes,
                cost.handshakes,
                cost.joining_bytes as f64 / 1e6,
                each / 1e3,
                cost.heartbeats as f64 / 60.0,
                cost.message_bytes_max as f64 / 1e3,
                cost.hash,
            )
        };
        written.map_err(|error| error.to_string())?;
    }
    Ok(all)
}

/// What a network that mines costs.
fn grin(args: &BenchArgs) -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    let mut all = true;
    for seed in args.seed..args.seed.saturating_add(args.worlds) {
        let begun = Instant::now();
        let yielded = mint::measure(seed, args.nodes, args.hours);
        let wall = begun.elapsed().as_secs_f64();
        all &= yielded.height > 0 && yielded.tips <= 2;
        let written = if args.json {
            let object = json!({
                "workload": "grin",
                "seed": seed,
                "nodes": args.nodes,
                "hours": args.hours,
                "height": yielded.height,
                "mined": yielded.mined,
                "reorganised": yielded.reorganised,
                "deepest": yielded.deepest,
                "half_ms": yielded.half_us as f64 / 1e3,
                "most_ms": yielded.most_us as f64 / 1e3,
                "messages": yielded.messages,
                "tips": yielded.tips,
                "blocks_kept": yielded.blocks_kept,
                "events": yielded.events,
                "wall_seconds": wall,
                "peak_rss_mb": cost::peak_rss_mb(),
                "hash": format!("{:016x}", yielded.hash),
            });
            writeln!(out, "{object}")
        } else {
            writeln!(
                out,
                "{} nodes, {} hours: {} blocks of {} mined, at half of the nodes after {:.0} ms and at \
                 95 of 100 after {:.0} ms; {} changes of branch, the deepest by {}; {} questions, {} \
                 last blocks; {wall:.1} s, {:.0} MiB, hash {:016x}",
                args.nodes,
                args.hours,
                yielded.height,
                yielded.mined,
                yielded.half_us as f64 / 1e3,
                yielded.most_us as f64 / 1e3,
                yielded.reorganised,
                yielded.deepest,
                yielded.messages,
                yielded.tips,
                cost::peak_rss_mb().unwrap_or(0.0),
                yielded.hash,
            )
        };
        written.map_err(|error| error.to_string())?;
    }
    Ok(all)
}

/// How long payments go on under the eyes of spies, in virtual microseconds.
const HOUR: u64 = 3_600_000_000;

/// What spies learn.
fn spies(args: &BenchArgs) -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    for seed in args.seed..args.seed.saturating_add(args.worlds) {
        let begun = Instant::now();
        let measured = spy::measure(seed, args.nodes, HOUR);
        let wall = begun.elapsed().as_secs_f64();
        let written = if args.json {
            let guesses = |of: Guesses| {
                json!({
                    "made": of.made,
                    "heard": of.heard,
                    "named": of.named,
                    "share": f64::from(of.share()) / 1e6,
                })
            };
            let object = json!({
                "workload": "spies",
                "seed": seed,
                "nodes": args.nodes,
                "at_once": guesses(measured.fluff),
                "unseen_first": guesses(measured.stem),
                "events": measured.events,
                "wall_seconds": wall,
                "hash": format!("{:016x}", measured.hash),
            });
            writeln!(out, "{object}")
        } else {
            let said = |of: Guesses| {
                let percent = f64::from(of.share()) / 10_000.0;
                format!("{} of {} ({percent:.0} %)", of.named, of.heard)
            };
            writeln!(
                out,
                "{} nodes: the first spy names who made {} payments that spread at once, and {} that \
                 went unseen first; {wall:.1} s, hash {:016x}",
                args.nodes,
                said(measured.fluff),
                said(measured.stem),
                measured.hash,
            )
        };
        written.map_err(|error| error.to_string())?;
    }
    Ok(true)
}
