//! `minimize`: the least that still fails.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use peerage_sim::Run;
use peerage_sim::shrink::{Budget, said, shrink};

use super::quietly;
use crate::cli::{WorldArgs, duration};

const HELP: &str = "\
Give it the command that failed, with `minimize` in place of `run`. It looks for the shortest run with \
the fewest nodes, faults and requests that violates the same oracle, and writes a scenario file.

It tries, round after round until nothing more helps: to end just after the failure; fewer nodes; half \
of the faults, then ever smaller parts of them; each fault shorter, of fewer nodes, at a rounder time; \
links, disks and clocks on which nothing goes wrong; a simpler wire; fewer requests of users.

Examples:
  peerage-sim minimize --seed 4711 --nodes 12 --duration 60s --out least.toml
  peerage-sim minimize --seed 4711 --budget 2m --jobs 8
  peerage-sim run least.toml";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct MinimizeArgs {
    #[command(flatten)]
    world: WorldArgs,
    /// Where the scenario is written; to standard output, if nothing is said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How many runs may be tried.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    tries: u64,
    /// How long it may take, in real time.
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "TIME")]
    budget: u64,
    /// How many runs at a time; as many as there are cores, if nothing is said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    jobs: Option<u32>,
}

pub(crate) fn minimize(args: &MinimizeArgs) -> Result<bool, String> {
    quietly();
    let options = args.world.options()?;
    let mut run = Run::new(options.clone());
    run.advance(u64::MAX);
    let first = run.world().findings().first().first();
    let Some(oracle) = first.map(|finding| finding.oracle) else {
        return Err(format!("no oracle is violated: {}", args.world.again()));
    };
    let live = io::stderr().is_terminal();
    let mut tell = |text: &str, tries: u64| {
        if live {
            let _ = write!(io::stderr(), "\r\x1b[K{tries} runs: {text}");
        }
    };
    let (begun, time) = (Instant::now(), Duration::from_micros(args.budget));
    let budget = Budget {
        tries: args.tries,
        jobs: super::jobs(args.jobs),
        go_on: &|| begun.elapsed() < time,
    };
    let shrunk = shrink(&options, oracle, budget, &mut tell)?;
    if live {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let unsaid = said::unsaid(&shrunk.least);
    let but = if unsaid.is_empty() {
        String::new()
    } else {
        format!("# NOT SAID HERE, but still needed: {}\n", unsaid.join(", "))
    };
    let text = format!(
        "# Violates {}. Shrunk from: {}\n# {shrunk}\n# commit {}\n{but}{}",
        oracle.name(),
        args.world.again(),
        peerage_sim::sweep::COMMIT,
        said::scenario(&shrunk.least),
    );
    let out = &mut io::stdout().lock();
    let written = match &args.out {
        None => write!(out, "{text}"),
        Some(path) => {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            writeln!(out, "{shrunk}\nagain: peerage-sim run {}", path.display())
        }
    };
    written.map_err(|error| error.to_string())?;
    if args.out.is_none() {
        let _ = writeln!(io::stderr(), "{shrunk}");
    }
    Ok(true)
}
