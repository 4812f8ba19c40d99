//! `sweep`: many seeds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peerage_sim::sweep::{Shard, Summary, drawn_nodes, drawn_wire, line};
use serde_json::Value;

use super::merge::{CoverageArgs, tell};
use crate::cli::{WireArg, WorldArgs, duration, seeds};

const HELP: &str = "\
Every seed is a world of its own: its size and how messages cross are drawn from the seed too, unless
they are said here. A failure prints the command that repeats it.

On many machines, each does one part. The part is --shard, or PEERAGE_SHARD, or the index variables of
Kubernetes indexed jobs (JOB_COMPLETION_INDEX, with --shards) and Slurm arrays (SLURM_ARRAY_TASK_ID).
`peerage-sim merge` puts the results together.

Examples:
  peerage-sim sweep --seeds 0..10000
  peerage-sim sweep --seeds 0..100 --nodes 50 --duration 5m --stop-at-first
  peerage-sim sweep --seeds 0..1000000 --shard 3/64 --out part3.jsonl
  peerage-sim sweep --seeds 0..5000 --coverage
  peerage-sim sweep churn --seeds 0..200                # a scenario with many seeds";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct SweepArgs {
    /// A scenario, to be run with each seed.
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// The seeds, as in 0..1000.
    #[arg(long, value_parser = seeds)]
    seeds: Range<u64>,
    /// How many at a time; as many as there are cores, if nothing is said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    jobs: Option<u32>,
    /// How many nodes, instead of a drawn number.
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    nodes: Option<u32>,
    /// How long each run storms, in virtual time. [default: 60s]
    #[arg(long, value_parser = duration)]
    duration: Option<u64>,
    /// How messages cross, instead of what is drawn.
    #[arg(long, value_enum)]
    wire: Option<WireArg>,
    /// Draw faults from the seed, have none, or read them from a file.
    #[arg(long, value_name = "on|off|FILE")]
    faults: Option<String>,
    /// Stop at the first failure.
    #[arg(long)]
    stop_at_first: bool,
    /// Do only this part of the seeds, as in 0/4.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// How many parts there are, where the scheduler tells only which one this is.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    shards: Option<u64>,
    /// Write a line of JSON for each seed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    coverage: CoverageArgs,
    #[arg(long, hide = true, value_parser = crate::cli::sabotage)]
    sabotage: Option<peerage_sim::Sabotage>,
}

impl SweepArgs {
    /// The run of one seed.
    fn world(&self, seed: u64) -> WorldArgs {
        let own = self.scenario.is_none();
        let drawn = || {
            let name = drawn_wire(seed).name();
            WireArg::from_str(name, false).unwrap_or(WireArg::Typed)
        };
        WorldArgs {
            scenario: self.scenario.clone(),
            seed: Some(seed),
            // What a scenario says of itself is not drawn.
            nodes: self.nodes.or_else(|| own.then(|| drawn_nodes(seed))),
            duration: self.duration.or_else(|| own.then_some(60_000_000)),
            wire: Some(self.wire.unwrap_or_else(drawn)),
            faults: self.faults.clone(),
            sabotage: self.sabotage,
            ..WorldArgs::default()
        }
    }

    fn one(&self, seed: u64) -> Result<Value, String> {
        let world = self.world(seed);
        let outcome = world.scenario()?.run(Vec::new(), |_| {});
        let outcome = outcome.map_err(|error| error.to_string())?;
        Ok(line(&outcome.report, &world.again(), &outcome.broken))
    }
}

pub(crate) fn sweep(args: &SweepArgs) -> Result<bool, String> {
    let environment = Shard::of_environment(args.shards, |name| std::env::var(name).ok())?;
    let shard = args.shard.or(environment).unwrap_or(Shard::WHOLE);
    let todo = shard.seeds(args.seeds.clone());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or(cores, |jobs| jobs as usize);
    let mut out = match &args.out {
        None => None,
        Some(path) => {
            let file = File::create(path);
            Some(BufWriter::new(
                file.map_err(|error| format!("{}: {error}", path.display()))?,
            ))
        }
    };
    let bar = bar(todo.clone().count() as u64);
    let mut summary = Summary::default();
    let stop = AtomicBool::new(false);
    let next = Mutex::new(todo.clone());
    let (send, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (send, next, stop) = (send.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.lock().ok().and_then(|mut next| next.next());
                    let Some(seed) = seed else { return };
                    if send.send((seed, args.one(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Results come in any order; they are told in the order of the seeds.
        let mut waiting = BTreeMap::new();
        let mut order = todo;
        let mut due = order.next();
        for (seed, result) in results {
            bar.inc(1);
            waiting.insert(seed, result);
            while let Some(result) = due.and_then(|seed| waiting.remove(&seed)) {
                due = order.next();
                let told = take(result, &mut summary, out.as_mut(), &bar);
                if told.is_err() || (args.stop_at_first && summary.failures() > 0) {
                    stop.store(true, Ordering::Relaxed);
                    told?;
                    return Ok(());
                }
            }
        }
        Ok::<(), String>(())
    })?;
    bar.finish_and_clear();
    if let Some(mut out) = out {
        out.flush().map_err(|error| error.to_string())?;
    }
    tell(&summary, &args.coverage)
}

fn take(
    result: Result<Value, String>,
    summary: &mut Summary,
    out: Option<&mut BufWriter<File>>,
    bar: &ProgressBar,
) -> Result<(), String> {
    let line = result?;
    summary.add(&line)?;
    if line["good"] != Value::Bool(true) {
        let text = |key: &str| line[key].as_str().unwrap_or("").to_owned();
        bar.suspend(|| {
            let _ = writeln!(
                io::stderr(),
                "seed {} failed at commit {}: {}\n  again: {}",
                line["seed"],
                text("commit"),
                text("first_finding"),
                text("again")
            );
        });
        bar.set_message(format!("{} failed", summary.failures()));
    }
    match out {
        Some(out) => writeln!(out, "{line}").map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// Progress, if anybody looks.
fn bar(seeds: u64) -> ProgressBar {
    let bar = ProgressBar::new(seeds);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style =
        ProgressStyle::with_template("{bar:32} {pos} of {len} seeds, {per_sec}, {eta} left  {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
