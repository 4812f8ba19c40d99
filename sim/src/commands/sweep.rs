//! `sweep`: many seeds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use peerage_sim::sweep::{
    Shard, Summary, drawn_duration, drawn_nodes, drawn_nodes_within, drawn_wire, line,
};
use serde_json::Value;

use super::corpus::{self, Case};
use super::merge::{CoverageArgs, tell};
use crate::cli::{WireArg, WorldArgs, duration, seeds};

const HELP: &str = "\
Every seed is a world of its own: its size, its length and how messages cross are drawn from the seed \
too, unless they are said here. Most worlds are small, which find the most for their time. A failure \
prints its commit, its seed and the command that repeats it; so does a run of which nothing has come for a \
minute.

Results are written in the order of the seeds, whatever was done first, so that the same sweep writes \
the same file.

On many machines, each does one part. The part is --shard, or PEERAGE_SHARD, or the index variables of \
Kubernetes indexed jobs (JOB_COMPLETION_INDEX, with --shards or JOB_COMPLETIONS) and of Slurm arrays \
(SLURM_ARRAY_TASK_ID). `peerage-sim merge` puts the results together; sim/deploy has examples.

Examples:
  peerage-sim sweep --seeds 0..10000
  peerage-sim sweep --seeds 0..100 --nodes 50 --duration 5m --stop-at-first
  peerage-sim sweep --seeds 0..1000000 --shard 3/64 --out part3.jsonl
  peerage-sim sweep --seeds 0..5000 --coverage
  peerage-sim sweep churn --seeds 0..200                # a scenario with many seeds
  peerage-sim sweep --corpus tests/sim/corpus.toml      # runs that once failed";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct SweepArgs {
    /// A scenario, to be run with each seed.
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// The seeds, as in 0..1000.
    #[arg(long, value_parser = seeds, required_unless_present = "corpus")]
    seeds: Option<Range<u64>>,
    /// Run what is listed in a file, each a [[case]] with `again`, the command, and `story`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "scenario", "nodes", "duration", "wire", "faults"])]
    corpus: Option<PathBuf>,
    /// How many at a time; as many as there are cores, if nothing is said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    jobs: Option<u32>,
    /// How many nodes: one number, or a range to draw from, as in 2..13.
    #[arg(long, value_parser = nodes, value_name = "N|A..B")]
    nodes: Option<Range<u32>>,
    /// How long each run storms, in virtual time, instead of a drawn time.
    #[arg(long, value_parser = duration)]
    duration: Option<u64>,
    /// How messages cross.
    #[arg(long, value_enum, default_value_t = SweepWire::Drawn)]
    wire: SweepWire,
    /// Draw faults from the seed, have none, or read them from a file.
    #[arg(long, value_name = "on|off|FILE")]
    faults: Option<String>,
    /// Stop at the first failure.
    #[arg(long, conflicts_with = "max_failures")]
    stop_at_first: bool,
    /// Stop after so many failures.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    max_failures: Option<u32>,
    /// Do only this part of the seeds, as in 0/4.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// How many parts there are, where the scheduler tells only which one this is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "shard")]
    shards: Option<u64>,
    /// Write a line of JSON for each seed.
    #[arg(long, value_name = "FILE.jsonl")]
    out: Option<PathBuf>,
    #[command(flatten)]
    coverage: CoverageArgs,
    #[arg(long, hide = true, value_parser = crate::cli::sabotage)]
    sabotage: Option<peerage_sim::Sabotage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SweepWire {
    /// As HTTP and back; everything must come back equal.
    Bytes,
    /// One of the three, drawn from the seed.
    Drawn,
    /// As HTTP and back, some bodies cut short or changed.
    Mangled,
    /// As values.
    Typed,
}

fn nodes(text: &str) -> Result<Range<u32>, String> {
    let number = |text: &str| {
        let number = text.parse().ok();
        number
            .filter(|nodes| (2..=1_000_000).contains(nodes))
            .ok_or_else(|| format!("{text:?} is not a number from 2 to 1000000"))
    };
    let range = match text.split_once("..") {
        None => number(text)?..number(text)? + 1,
        Some((from, to)) => number(from)?..number(to)?,
    };
    if range.is_empty() {
        return Err("there is no number in this range".to_owned());
    }
    Ok(range)
}

/// What is to be run: worlds by number.
struct Todo<'a> {
    args: &'a SweepArgs,
    corpus: Vec<Case>,
    /// Seeds, or places in the corpus.
    numbers: Range<u64>,
}

impl<'a> Todo<'a> {
    fn of(args: &'a SweepArgs) -> Result<Self, String> {
        let corpus = match &args.corpus {
            None => Vec::new(),
            Some(path) => corpus::read(path)?,
        };
        let numbers = args.seeds.clone().unwrap_or(0..corpus.len() as u64);
        Ok(Self {
            args,
            corpus,
            numbers,
        })
    }

    fn world(&self, number: u64) -> WorldArgs {
        let args = self.args;
        if let Some(case) = self.corpus.get(number as usize) {
            let mut world = case.world.clone();
            world.sabotage = args.sabotage.or(world.sabotage);
            return world;
        }
        let own = args.scenario.is_none();
        let nodes = match &args.nodes {
            Some(range) => Some(drawn_nodes_within(number, range.clone())),
            // What a scenario says of itself is not drawn.
            None => own.then(|| drawn_nodes(number)),
        };
        let drawn = || own.then(|| drawn_duration(number));
        let wire = match args.wire {
            SweepWire::Bytes => WireArg::Bytes,
            SweepWire::Drawn => drawn_wire(number).into(),
            SweepWire::Mangled => WireArg::Mangled,
            SweepWire::Typed => WireArg::Typed,
        };
        WorldArgs {
            scenario: args.scenario.clone(),
            seed: Some(number),
            nodes,
            duration: args.duration.or_else(drawn),
            wire: Some(wire),
            faults: args.faults.clone(),
            sabotage: args.sabotage,
            ..WorldArgs::default()
        }
    }

    fn run(&self, number: u64) -> Result<Value, String> {
        let world = self.world(number);
        let outcome = world.scenario()?.run(Vec::new(), |_| {});
        let outcome = outcome.map_err(|error| error.to_string())?;
        let mut line = line(&outcome.report, &world.again(), &outcome.broken);
        if let Some(case) = self.corpus.get(number as usize) {
            line["story"] = case.story.clone().into();
        }
        Ok(line)
    }
}

pub(crate) fn sweep(args: &SweepArgs) -> Result<bool, String> {
    super::quietly();
    let environment = Shard::of_environment(args.shards, |name| std::env::var(name).ok())?;
    let shard = args.shard.or(environment);
    if args.shards.is_some() && shard.is_none() {
        return Err("--shards says how many parts there are, but nothing says which".to_owned());
    }
    let todo = Todo::of(args)?;
    let numbers = shard.unwrap_or(Shard::WHOLE).seeds(todo.numbers.clone());
    let mut results = Results {
        summary: Summary::default(),
        out: args.out.as_deref().map(create).transpose()?,
        bar: bar(numbers.clone().count() as u64),
        failures_max: match (args.stop_at_first, args.max_failures) {
            (true, _) => 1,
            (false, Some(most)) => most as usize,
            (false, None) => usize::MAX,
        },
        corpus: args.corpus.is_some(),
    };
    work(&todo, numbers, super::jobs(args.jobs), &mut results)?;
    results.bar.finish_and_clear();
    if let Some(mut out) = results.out {
        out.flush().map_err(|error| error.to_string())?;
    }
    tell(&results.summary, &args.coverage)
}

fn create(path: &Path) -> Result<BufWriter<File>, String> {
    let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// Runs everything, several at a time, and takes in the results in their order.
fn work(
    todo: &Todo<'_>,
    numbers: impl Iterator<Item = u64> + Clone + Send,
    jobs: usize,
    results: &mut Results,
) -> Result<(), String> {
    let stop = AtomicBool::new(false);
    let next = Mutex::new(numbers.clone());
    let begun = Mutex::new(BTreeMap::new());
    let (send, done) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (send, next, stop, begun) = (send.clone(), &next, &stop, &begun);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.lock().ok().and_then(|mut next| next.next());
                    let Some(number) = number else { return };
                    if let Ok(mut begun) = begun.lock() {
                        begun.insert(number, Instant::now());
                    }
                    if send.send((number, todo.run(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut order = numbers;
        let mut due = order.next();
        loop {
            let (number, result) = match done.recv_timeout(PATIENCE) {
                Ok(done) => done,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    tell_of_slow(todo, &begun, &results.bar);
                    continue;
                }
            };
            if let Ok(mut begun) = begun.lock() {
                begun.remove(&number);
            }
            results.bar.inc(1);
            waiting.insert(number, result);
            while let Some(result) = due.and_then(|number| waiting.remove(&number)) {
                due = order.next();
                let enough = result.and_then(|line| results.take(&line));
                if !matches!(enough, Ok(false)) {
                    stop.store(true, Ordering::Relaxed);
                    return enough.map(|_| ());
                }
            }
        }
        Ok(())
    })
}

/// How long nothing may come of any run before it is told which are under way.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells, once of each, which runs have been under way for long: one that never ends fails too.
fn tell_of_slow(todo: &Todo<'_>, begun: &Mutex<BTreeMap<u64, Instant>>, bar: &ProgressBar) {
    let Ok(mut begun) = begun.lock() else { return };
    for (number, _) in begun.extract_if(.., |_, since| since.elapsed() >= PATIENCE) {
        let again = todo.world(number).again();
        bar.suspend(|| {
            let _ = writeln!(io::stderr(), "still running after a minute: {again}");
        });
    }
}

/// What has come of it so far, and where it goes.
struct Results {
    summary: Summary,
    out: Option<BufWriter<File>>,
    bar: ProgressBar,
    failures_max: usize,
    /// Whether a seed may come several times.
    corpus: bool,
}

impl Results {
    /// Takes in one result, and tells whether that was enough.
    fn take(&mut self, line: &Value) -> Result<bool, String> {
        if self.corpus {
            self.summary.add_case(line)?;
        } else {
            self.summary.add(line)?;
        }
        if let Some(out) = &mut self.out {
            writeln!(out, "{line}").map_err(|error| error.to_string())?;
        }
        if line["good"] == Value::Bool(true) {
            return Ok(false);
        }
        let text = |key: &str| line[key].as_str().unwrap_or("");
        self.bar.suspend(|| {
            let _ = writeln!(
                io::stderr(),
                "seed {} failed at commit {}: {}\n  again: {}",
                line["seed"],
                text("commit"),
                text("first_finding"),
                text("again")
            );
            if let Some(story) = line["story"].as_str() {
                let _ = writeln!(io::stderr(), "  it once found: {story}");
            }
        });
        let failures = self.summary.failures();
        self.bar.set_message(format!("{failures} failed"));
        Ok(failures >= self.failures_max)
    }
}

/// Progress, if anybody looks.
fn bar(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style =
        ProgressStyle::with_template("{bar:32} {pos} of {len} runs, {per_sec}, {eta} left  {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_a_number_or_a_range() {
        assert_eq!(nodes("5"), Ok(5..6));
        assert_eq!(nodes("2..13"), Ok(2..13));
        for bad in ["1", "x", "5..5", "9..3", "2..", "..4", "1..4"] {
            assert!(nodes(bad).is_err(), "{bad}");
        }
    }
}
