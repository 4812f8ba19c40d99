//! `minimize`: the least that still fails.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use peerage_sim::Run;
use peerage_sim::shrink::{Reduced, shrink};

use crate::cli::WorldArgs;

const HELP: &str = "\
Give it the command that failed, with `minimize` in place of `run`. It looks for the shortest run with
the fewest nodes, faults and requests that violates the same oracle, and writes a scenario file.

Examples:
  peerage-sim minimize --seed 4711 --nodes 12 --duration 60s --out least.toml
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
    #[arg(long, default_value_t = 2_000)]
    tries: u64,
}

pub(crate) fn minimize(args: &MinimizeArgs) -> Result<bool, String> {
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
    let before = Reduced::of(&options);
    let shrunk = shrink(before.clone(), oracle, args.tries, &mut tell)?;
    if live {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let least = &shrunk.least;
    let text = format!(
        "# Violates {}. Shrunk from: {}\n# commit {}\n{least}",
        oracle.name(),
        args.world.again(),
        peerage_sim::sweep::COMMIT,
    );
    let summary = format!(
        "{} after {} runs{}: nodes {} to {}, {} s to {} s, faults {} to {}, requests {} to {}",
        oracle.name(),
        shrunk.tries,
        if shrunk.gave_up {
            " (as many as allowed)"
        } else {
            ""
        },
        before.nodes,
        least.nodes,
        before.duration / 1_000_000,
        least.duration / 1_000_000,
        before.faults.len(),
        least.faults.len(),
        shrunk.actions.0,
        shrunk.actions.1,
    );
    let out = &mut io::stdout().lock();
    let written = match &args.out {
        None => write!(out, "{text}"),
        Some(path) => {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            writeln!(out, "{summary}\nagain: peerage-sim run {}", path.display())
        }
    };
    written.map_err(|error| error.to_string())?;
    if args.out.is_none() {
        let _ = writeln!(io::stderr(), "{summary}");
    }
    Ok(true)
}
