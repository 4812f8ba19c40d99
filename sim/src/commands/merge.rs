//! `merge`: the results of several machines.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use peerage_sim::sweep::Summary;

const HELP: &str = "\
Results are those that `sweep --out` wrote. All must be of one commit, no seed may come twice, and
none may be missing in between.

Example:
  peerage-sim merge --coverage results/*.jsonl";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct MergeArgs {
    /// Files of results.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    coverage: CoverageArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CoverageArgs {
    /// Print how often nodes told of each event.
    #[arg(long)]
    coverage: bool,
    /// Fail if an event was told in no seed, unless it is named in this file, one a line.
    #[arg(long, value_name = "FILE")]
    require_coverage: Option<PathBuf>,
}

pub(crate) fn merge(args: &MergeArgs) -> Result<bool, String> {
    let mut summary = Summary::default();
    for path in &args.files {
        let in_file = |error: String| format!("{}: {error}", path.display());
        let file = File::open(path).map_err(|error| in_file(error.to_string()))?;
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let in_line = |error: String| in_file(format!("line {}: {error}", number + 1));
            let line = line.map_err(|error| in_line(error.to_string()))?;
            let line = serde_json::from_str(&line).map_err(|error| in_line(error.to_string()))?;
            summary.add(&line).map_err(in_line)?;
        }
    }
    summary.check_complete()?;
    tell(&summary, &args.coverage)
}

/// Prints what many seeds came to; tells whether all held.
pub(crate) fn tell(summary: &Summary, coverage: &CoverageArgs) -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    let io_error = |error: io::Error| error.to_string();
    write!(out, "{summary}").map_err(io_error)?;
    if coverage.coverage {
        write!(out, "{}", summary.coverage()).map_err(io_error)?;
    }
    let mut missed = Vec::new();
    if let Some(path) = &coverage.require_coverage {
        let excused = excused(path)?;
        missed = summary.never_told(peerage_core::Event::names());
        missed.retain(|name| !excused.contains(*name));
        for name in &missed {
            writeln!(out, "no node told of {name} in any seed").map_err(io_error)?;
        }
    }
    Ok(summary.failures() == 0 && missed.is_empty())
}

/// The events that need not be told. What follows a name is the reason.
fn excused(path: &Path) -> Result<BTreeSet<String>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let known: BTreeSet<&str> = peerage_core::Event::names().collect();
    let mut excused = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let Some(name) = line
            .split_whitespace()
            .next()
            .filter(|name| !name.starts_with('#'))
        else {
            continue;
        };
        if !known.contains(name) {
            let place = format!("{}, line {}", path.display(), number + 1);
            return Err(format!("{place}: there is no event {name:?}"));
        }
        excused.insert(name.to_owned());
    }
    Ok(excused)
}
