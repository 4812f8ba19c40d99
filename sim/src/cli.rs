//! The arguments of the program and what they mean.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use peerage_sim::group::Group;
use peerage_sim::nemesis::{Fault, What};
use peerage_sim::network::Way;
use peerage_sim::report;
use peerage_sim::{Options, Wire};

/// Runs many peerage nodes in one process, under faults, from one seed.
#[derive(Debug, Parser)]
#[command(name = "peerage-sim", version, about, after_long_help = LONG_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_HELP: &str = "\
A run has a storm and a calm. In the storm users act, nodes crash, links lose messages and networks
fall apart. Then all that stops, every node is started again, and all must become well.

Oracles watch every run; a violated one is named, with its first findings, and the exit code is 1:
  answers    every request is answered exactly once, none after its caller was seen to leave
  bounds     no table or queue of a node outgrows its limit
  commits    a node's commits are numbered without gaps
  converge   in the calm, mempools become equal and every node knows its peers
  damage     a disk on which bits have changed is noticed at start
  deadlines  no call outlives its deadline
  durable    what others were shown survives a crash
  export     a node's state is what its disk holds
  panic      nothing panics
  wire       with --wire bytes, what crosses as HTTP comes back equal

Examples:
  peerage-sim run --seed 7 --nodes 100 --duration 2m --partition 30s..50s
  peerage-sim run --seed 7 --wire bytes --trace /tmp/trace   # a line per event; the same hash
  peerage-sim run --seed 7 --report /tmp/run.html            # one page with pictures of the run
  peerage-sim check-determinism --seeds 0..20                # two wires, two processes, one hash";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one world and tell what happened.
    #[command(after_long_help = LONG_HELP)]
    Run(RunArgs),
    /// Measure the engine with next to nothing in it.
    Bench(BenchArgs),
    /// Run seeds twice, in both wire modes and in two processes, and compare the hashes.
    CheckDeterminism(CheckArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    /// The seed of all luck; any unsigned 64-bit number.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many nodes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) nodes: u32,
    /// How long users act and faults happen, in virtual time: 90s, 10m, 1h.
    #[arg(long, default_value = "2m", value_parser = duration)]
    pub(crate) duration: u64,
    /// How messages cross: as values, or as HTTP and back.
    #[arg(long, value_enum, default_value_t = WireArg::Typed)]
    pub(crate) wire: WireArg,
    /// Draw faults from the seed, have none, or read them from a file as --print-faults gives them.
    #[arg(long, default_value = "on", value_name = "on|off|FILE")]
    pub(crate) faults: String,
    /// Cut the network in half for a while, as in 30s..50s; may be given several times.
    #[arg(long, value_parser = span, value_name = "FROM..TO")]
    pub(crate) partition: Vec<Range<u64>>,
    /// Print the faults, one a line.
    #[arg(long)]
    pub(crate) print_faults: bool,
    /// How many chains have mempools, instead of a drawn number.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) chains: Option<u8>,
    /// How many users there are, instead of a drawn number.
    #[arg(long)]
    pub(crate) users: Option<u32>,
    /// How many nodes are compared with their disks.
    #[arg(long)]
    pub(crate) audited: Option<u32>,
    /// Print one JSON object on the last line.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Write a readable line per event.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

/// Where the pictures of a run go, and how much is in them.
#[derive(Args, Clone, Debug)]
pub(crate) struct ReportArgs {
    /// Write one page with pictures of the run; it opens from the disk, without a network.
    #[arg(id = "report", long, value_name = "FILE.html")]
    pub(crate) page: Option<PathBuf>,
    /// Write what is in the page as JSON.
    #[arg(id = "report-json", long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write what is in the page as tables, one CSV file each.
    #[arg(id = "report-csv", long, value_name = "DIR")]
    pub(crate) csv: Option<PathBuf>,
    /// How many exchanges a report shows one by one; counts and curves are exact in any case.
    #[arg(id = "report-messages", long, value_name = "N", default_value_t = report::MESSAGES)]
    pub(crate) messages: usize,
    /// Nodes whose exchanges a report keeps first, as in n3 or n0-n4,n17.
    #[arg(id = "report-nodes", long, value_name = "WHO")]
    pub(crate) nodes: Option<Group>,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The seeds, as in 0..20.
    #[arg(long, default_value = "0..5", value_parser = seeds)]
    pub(crate) seeds: Range<u64>,
    /// How many nodes.
    #[arg(long, default_value_t = 10)]
    pub(crate) nodes: u32,
    /// How long each run storms, in virtual time.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub(crate) duration: u64,
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// The seed of all luck.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many nodes.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(5..=1_000_000))]
    pub(crate) nodes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WireArg {
    /// As HTTP and back; everything must come back equal.
    Bytes,
    /// As HTTP and back, some bodies cut short or changed.
    Mangled,
    /// As values.
    Typed,
}

impl From<WireArg> for Wire {
    fn from(wire: WireArg) -> Self {
        match wire {
            WireArg::Bytes => Self::Bytes,
            WireArg::Mangled => Self::Mangled,
            WireArg::Typed => Self::Typed,
        }
    }
}

impl RunArgs {
    /// The options that the arguments ask for.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let drawn = self.faults == "on";
        let mut options = Options::drawn(self.seed, self.nodes, self.duration, drawn);
        options.wire = self.wire.into();
        if !drawn && self.faults != "off" {
            options.more_faults = read_faults(&self.faults, self.nodes)?;
        }
        for (number, span) in (1_000_000..).zip(&self.partition) {
            let a = Group::Share {
                salt: options.seed ^ number,
                thousandths: 500,
            };
            options.more_faults.push(Fault {
                at: span.start,
                lasts: Some(span.end - span.start),
                what: What::Partition {
                    b: a.others(),
                    a,
                    way: Way::Both,
                    spares_flight: false,
                },
            });
        }
        if let Some(chains) = self.chains {
            options.chains = chains;
        }
        if let Some(users) = self.users {
            options.work.users = users;
        }
        if let Some(audited) = self.audited {
            options.audited = audited;
        }
        Ok(options)
    }

    /// The command that does the same again.
    pub(crate) fn again(&self) -> String {
        let seconds = |micros: u64| {
            if micros.is_multiple_of(1_000_000) {
                format!("{}s", micros / 1_000_000)
            } else {
                format!("{}ms", micros / 1_000)
            }
        };
        let mut line = format!(
            "peerage-sim run --seed {} --nodes {} --duration {}",
            self.seed,
            self.nodes,
            seconds(self.duration),
        );
        if self.wire != WireArg::Typed {
            line.push_str(&format!(" --wire {}", Wire::from(self.wire).name()));
        }
        if self.faults != "on" {
            line.push_str(&format!(" --faults {}", self.faults));
        }
        for span in &self.partition {
            let span = format!("{}..{}", seconds(span.start), seconds(span.end));
            line.push_str(&format!(" --partition {span}"));
        }
        if let Some(chains) = self.chains {
            line.push_str(&format!(" --chains {chains}"));
        }
        if let Some(users) = self.users {
            line.push_str(&format!(" --users {users}"));
        }
        if let Some(audited) = self.audited {
            line.push_str(&format!(" --audited {audited}"));
        }
        line
    }
}

fn read_faults(path: &str, nodes: u32) -> Result<Vec<Fault>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fault: Fault = line
            .parse()
            .map_err(|error| format!("{path}, line {}: {error}", number + 1))?;
        if let Some(node) = fault.greatest().filter(|node| *node >= nodes) {
            return Err(format!(
                "{path}, line {}: there is no node {node}",
                number + 1
            ));
        }
        faults.push(fault);
    }
    Ok(faults)
}

/// A time as `250ms`, `90s`, `10m` or `1h`, in microseconds.
fn duration(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err("a time has a unit: 250ms, 90s, 10m, 1h".to_owned()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|micros| *micros <= 1_000 * 3_600_000_000)
        .ok_or_else(|| "a time is a number and a unit, up to 1000h".to_owned())
}

fn span(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("a span is written 30s..50s")?;
    let (from, to) = (duration(from)?, duration(to)?);
    if from < to {
        Ok(from..to)
    } else {
        Err("a span ends after it begins".to_owned())
    }
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("seeds are written 0..20")?;
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    let (from, to) = (number(from)?, number(to)?);
    if from < to {
        Ok(from..to)
    } else {
        Err("there are no seeds in this range".to_owned())
    }
}
