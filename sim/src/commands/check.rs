//! `check-determinism`: one seed is one run.

use std::io::{self, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command as Process;

use clap::Args;
use peerage_sim::{Log, Options, Report, Watch, run};

use super::replay::difference;
use crate::cli::{WireArg, WorldArgs, duration, seeds};

const HELP: &str = "\
Each seed is run six times: as values, in this process twice and in a fresh one; as HTTP and back; and \
spoiled on the way, here and in a fresh process. All but the spoiled must come to one hash, and those \
two to one of their own. Where a run differs, it is run again with a trace, and the first line that \
is not the same is shown, with those before it.

Examples:
  peerage-sim check-determinism --seeds 0..20
  peerage-sim check-determinism --seeds 7..8 --nodes 40 --duration 5m";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct CheckArgs {
    /// The seeds, as in 0..20.
    #[arg(long, default_value = "0..5", value_parser = seeds)]
    seeds: Range<u64>,
    /// How many nodes.
    #[arg(long, default_value_t = 10)]
    nodes: u32,
    /// How long each run storms, in virtual time.
    #[arg(long, default_value = "60s", value_parser = duration)]
    duration: u64,
    #[arg(long, hide = true, value_parser = crate::cli::sabotage)]
    sabotage: Option<peerage_sim::Sabotage>,
}

impl CheckArgs {
    fn world(&self, seed: u64, wire: WireArg) -> WorldArgs {
        WorldArgs {
            seed: Some(seed),
            nodes: Some(self.nodes),
            duration: Some(self.duration),
            wire: Some(wire),
            sabotage: self.sabotage,
            ..WorldArgs::default()
        }
    }
}

/// One way to run a seed, and what it came to.
struct Way {
    name: &'static str,
    world: WorldArgs,
    elsewhere: bool,
    hash: String,
    good: bool,
}

pub(crate) fn check(args: &CheckArgs) -> Result<bool, String> {
    let mut good = true;
    for seed in args.seeds.clone() {
        let mut ways = Vec::new();
        for (name, wire, elsewhere) in [
            ("typed", WireArg::Typed, false),
            ("typed again", WireArg::Typed, false),
            ("bytes", WireArg::Bytes, false),
            ("typed elsewhere", WireArg::Typed, true),
            ("mangled", WireArg::Mangled, false),
            ("mangled elsewhere", WireArg::Mangled, true),
        ] {
            let world = args.world(seed, wire);
            let (hash, good) = if elsewhere {
                run_elsewhere(&world)?
            } else {
                let report = go(world.options()?, Vec::new())?;
                (format!("{:016x}", report.hash), report.good())
            };
            ways.push(Way {
                name,
                world,
                elsewhere,
                hash,
                good,
            });
        }
        good &= tell(seed, &ways)?;
    }
    Ok(good)
}

/// Compares each way with the first of its kind.
fn tell(seed: u64, ways: &[Way]) -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    let io_error = |error: io::Error| error.to_string();
    let mut held = true;
    for way in ways {
        if !way.good {
            held = false;
            writeln!(out, "seed {seed}: violated: {}", way.world.again()).map_err(io_error)?;
        }
        let mangled = |way: &Way| way.world.wire == Some(WireArg::Mangled);
        let Some(first) = ways.iter().find(|first| mangled(first) == mangled(way)) else {
            continue;
        };
        if way.hash != first.hash {
            held = false;
            writeln!(
                out,
                "seed {seed}: DIFFERENT: {} {}, {} {}",
                first.name, first.hash, way.name, way.hash
            )
            .map_err(io_error)?;
            let (one, other) = (trace(first, seed)?, trace(way, seed)?);
            let difference = difference(&one, &other)?;
            let traces = format!("traces: {} {}", one.display(), other.display());
            writeln!(out, "{difference}\n{traces}").map_err(io_error)?;
        }
    }
    if held {
        let hashes: Vec<&str> = ways.iter().map(|way| way.hash.as_str()).collect();
        let (typed, mangled) = (hashes[0], hashes[ways.len() - 1]);
        writeln!(out, "seed {seed}: equal: {typed}, mangled {mangled}").map_err(io_error)?;
    }
    Ok(held)
}

fn go(options: Options, watchers: Vec<Box<dyn Watch>>) -> Result<Report, String> {
    run(options, watchers, |_| {}).map_err(|error| error.to_string())
}

/// Runs again with a trace, in the same way, and tells where the trace is.
fn trace(way: &Way, seed: u64) -> Result<PathBuf, String> {
    let name = format!(
        "peerage-sim-{}-{seed}-{}",
        std::process::id(),
        way.name.replace(' ', "-")
    );
    let path = std::env::temp_dir().join(name);
    if way.elsewhere {
        process(&way.world)?
            .arg("--trace")
            .arg(&path)
            .output()
            .map_err(|error| error.to_string())?;
    } else {
        let file = std::fs::File::create(&path);
        let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
        let log = Log::to(Box::new(io::BufWriter::new(file)));
        go(way.world.options()?, vec![Box::new(log)])?;
    }
    Ok(path)
}

fn process(world: &WorldArgs) -> Result<Process, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut process = Process::new(program);
    process.args(world.again().split_whitespace().skip(1));
    Ok(process)
}

/// The hash that another process comes to, and whether all held there.
fn run_elsewhere(world: &WorldArgs) -> Result<(String, bool), String> {
    let output = process(world)?
        .arg("--json")
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last: serde_json::Value = text
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| format!("the other process said nothing: {}", world.again()))?;
    let hash = last["hash"].as_str().unwrap_or("").to_owned();
    Ok((hash, output.status.success()))
}
