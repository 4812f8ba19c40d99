//! `merge`: the results of several machines; and what every sweep tells in the end.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use peerage_sim::sweep::Summary;
use toml::Table;

use crate::cli::seeds;

const HELP: &str = "\
Results are those that `sweep --out` wrote. All must be of one commit, no seed may come twice, and \
none may be missing in between; with --seeds, none may be missing at the ends either.

Every event that a node can tell of should occur in some seed of a long sweep: what never happens is \
not tested. --require-coverage fails where one does not.

Examples:
  peerage-sim merge results/*.jsonl
  peerage-sim merge --seeds 0..1000000 --require-coverage results/*.jsonl";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct MergeArgs {
    /// Files of results.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The seeds that must be there.
    #[arg(long, value_parser = seeds)]
    seeds: Option<Range<u64>>,
    #[command(flatten)]
    coverage: CoverageArgs,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CoverageArgs {
    /// Print how often nodes told of each event, and in how many seeds.
    #[arg(long)]
    coverage: bool,
    /// Fail if an event was told in no seed. FILE says which cannot be, and why, instead of the list
    /// that comes with the program.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    require_coverage: Option<Option<PathBuf>>,
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
    summary.check_complete(args.seeds.clone())?;
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
    let mut covered = true;
    if let Some(path) = &coverage.require_coverage {
        let excused = excused(path.as_ref())?;
        for name in summary.never_told(peerage_core::Event::names()) {
            match excused.get(name) {
                Some(why) => writeln!(out, "no node told of {name}, which cannot be: {why}"),
                None => {
                    covered = false;
                    writeln!(out, "no node told of {name} in any seed")
                }
            }
            .map_err(io_error)?;
        }
        let told_after_all = summary.told().filter(|name| excused.contains_key(*name));
        for name in told_after_all {
            writeln!(out, "{name} is said to be impossible, and was told").map_err(io_error)?;
        }
    }
    Ok(summary.failures() == 0 && covered)
}

/// The events that cannot be told, with the reasons.
fn excused(path: Option<&PathBuf>) -> Result<Table, String> {
    let (name, text) = match path {
        None => (
            "coverage.toml".to_owned(),
            include_str!("../../coverage.toml").to_owned(),
        ),
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            (name, text)
        }
    };
    let excused: Table = toml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    for (event, why) in &excused {
        if !peerage_core::Event::names().any(|known| known == event) {
            return Err(format!("{name}: there is no event {event:?}"));
        }
        if why.as_str().is_none_or(str::is_empty) {
            return Err(format!("{name}: why can {event} not be told?"));
        }
    }
    Ok(excused)
}
