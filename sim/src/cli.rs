//! The arguments of the program and what they mean.

use std::ops::Range;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use peerage_sim::group::Group;
use peerage_sim::nemesis::{Fault, KINDS_HELP, Kind, What};
use peerage_sim::network::Way;
use peerage_sim::report;
use peerage_sim::scenario::{Overrides, Scenario};
use peerage_sim::text::{self, Exactly};
use peerage_sim::{Options, Sabotage, Wire};

use crate::commands;

/// Runs many peerage nodes in one process, under faults, from one seed.
#[derive(Debug, Parser)]
#[command(name = "peerage-sim", version, about, after_long_help = long_help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

fn long_help() -> String {
    LONG_HELP.replace("{KINDS}", KINDS_HELP)
}

const LONG_HELP: &str = "\
A run has a storm and a calm. In the storm users act, nodes crash, links lose messages and networks
fall apart. Then all that stops, every node is started again, and all must become well.

Oracles watch every run; a violated one is named, with its first findings, and the exit code is 1:
  answers    every request is answered exactly once, none after its caller was seen to leave
  books      what a node counts is there, and nothing waits for ever
  bounds     no table or queue of a node outgrows its limit
  commits    a node's commits are numbered without gaps
  converge   in the calm, mempools become equal, every node knows its peers, friends agree,
             clusters agree on who is in them, who has left and what they are called, and
             there is one Mimblewimble chain
  damage     a disk on which bits have changed is noticed at start
  deadlines  no call outlives its deadline
  durable    what others were shown survives a crash
  export     a node's state is what its disk holds
  friends    both sides of a WattSwarm relationship and conversation tell the same story
  grin       Mimblewimble chains are valid from the first block on, states are those of their
             chains replayed, and what came unseen is shown to nobody before its time
  model      answers are those that each room's reference model allows
  panic      nothing panics
  wire       with --wire bytes, what crosses as HTTP comes back equal

Faults are drawn from the seed, each kind in some runs only; or they are read from a file, one a line:

{KINDS}

Examples:
  peerage-sim run partition-and-heal                         # a scenario: see `scenarios`
  peerage-sim run --seed 7 --nodes 100 --duration 2m --partition 30s..50s
  peerage-sim run --seed 7 --wire bytes --trace /tmp/trace   # a line per event; the same hash
  peerage-sim run --seed 7 --report /tmp/run.html            # one page with pictures of the run
  peerage-sim check-determinism --seeds 0..20                # two wires, two processes, one hash";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one world and tell what happened.
    #[command(after_long_help = long_help())]
    Run(commands::run::RunArgs),
    /// List the scenarios that come with the program.
    Scenarios,
    /// Run many seeds, on all cores and on as many machines as there are.
    Sweep(commands::sweep::SweepArgs),
    /// Put the results of several machines together.
    Merge(commands::merge::MergeArgs),
    /// Run up to a moment and look around; step, go back, branch.
    Replay(commands::replay::ReplayArgs),
    /// Show where two traces begin to differ.
    DiffTraces(commands::replay::DiffArgs),
    /// Shrink a failing run to the least that still fails, and write it as a scenario.
    Minimize(commands::minimize::MinimizeArgs),
    /// Run seeds twice, in both wire modes and in two processes, and compare the hashes.
    CheckDeterminism(commands::check::CheckArgs),
    /// Measure the engine with next to nothing in it.
    Bench(commands::bench::BenchArgs),
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct WorldArgs {
    /// A scenario: a file, or the name of one that comes with the program (see `scenarios`).
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: Option<String>,
    /// The seed of all luck; any unsigned 64-bit number. [default: 1]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many nodes. [default: 20]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) nodes: Option<u32>,
    /// How long users act and faults happen, in virtual time: 90s, 10m, 1h. [default: 2m]
    #[arg(long, value_parser = duration)]
    pub(crate) duration: Option<u64>,
    /// How messages cross. [default: typed]
    #[arg(long, value_enum)]
    pub(crate) wire: Option<WireArg>,
    /// Draw faults from the seed, have none, or read them from a file as --print-faults gives them.
    #[arg(long, value_name = "on|off|FILE")]
    pub(crate) faults: Option<String>,
    /// Of the faults that are drawn, only these kinds, as in crash,partition.
    #[arg(long, value_parser = kind, value_delimiter = ',', value_name = "KINDS")]
    pub(crate) only: Vec<Kind>,
    /// Cut the network in half for a while, as in 30s..50s; may be given several times.
    #[arg(long, value_parser = span, value_name = "FROM..TO")]
    pub(crate) partition: Vec<Range<u64>>,
    /// How many chains have mempools, instead of a drawn number.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=20))]
    pub(crate) chains: Option<u8>,
    /// How many users there are, instead of a drawn number.
    #[arg(long)]
    pub(crate) users: Option<u32>,
    /// How many nodes are compared with their disks.
    #[arg(long)]
    pub(crate) audited: Option<u32>,
    /// Do something wrong on purpose, so that an oracle can be seen to notice.
    #[arg(long, hide = true, value_parser = sabotage)]
    pub(crate) sabotage: Option<Sabotage>,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::named(name).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
        format!("there are {}", names.join(", "))
    })
}

pub(crate) fn sabotage(name: &str) -> Result<Sabotage, String> {
    Sabotage::named(name).ok_or_else(|| {
        let names: Vec<&str> = Sabotage::ALL.into_iter().map(Sabotage::name).collect();
        format!("there are {}", names.join(", "))
    })
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

impl From<Wire> for WireArg {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Bytes => Self::Bytes,
            Wire::Mangled => Self::Mangled,
            Wire::Typed => Self::Typed,
        }
    }
}

impl WorldArgs {
    /// The scenario that the arguments ask for; one without a title, if none is named.
    pub(crate) fn scenario(&self) -> Result<Scenario, String> {
        let Some(name) = &self.scenario else {
            return Ok(Scenario {
                title: String::new(),
                about: String::new(),
                options: self.adjusted(self.drawn())?,
                expectations: Vec::new(),
            });
        };
        let overrides = Overrides {
            seed: self.seed,
            nodes: self.nodes,
            duration: self.duration,
            wire: self.wire.map(Wire::from),
        };
        let mut scenario = Scenario::read(name, &overrides)?;
        scenario.options = self.adjusted(scenario.options)?;
        Ok(scenario)
    }

    /// The options that the arguments ask for.
    pub(crate) fn options(&self) -> Result<Options, String> {
        self.scenario().map(|scenario| scenario.options)
    }

    /// What the seed draws.
    fn drawn(&self) -> Options {
        let (seed, nodes) = (self.seed.unwrap_or(1), self.nodes.unwrap_or(20));
        let duration = self.duration.unwrap_or(120_000_000);
        let faults = self.faults.as_deref().unwrap_or("on") == "on";
        let mut options = Options::drawn(seed, nodes, duration, faults);
        options.wire = self.wire.map_or(Wire::Typed, Wire::from);
        options
    }

    /// The options, with what is said beside the scenario.
    fn adjusted(&self, mut options: Options) -> Result<Options, String> {
        match self.faults.as_deref() {
            None | Some("on") => {}
            Some("off") => {
                options.faults.only(&[]);
                options.more_faults.clear();
            }
            Some(path) => {
                options.faults.only(&[]);
                options.more_faults = read_faults(path, options.nodes)?;
            }
        }
        if !self.only.is_empty() {
            options.faults.only(&self.only);
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
        options.sabotage = self.sabotage.or(options.sabotage);
        Ok(options)
    }

    /// The command that does the same again.
    pub(crate) fn again(&self) -> String {
        let mut line = "peerage-sim run".to_owned();
        if let Some(scenario) = &self.scenario {
            line.push_str(&format!(" {scenario}"));
        }
        // Defaults are said too, in case they change; those of a scenario are its own.
        let own = self.scenario.is_none();
        if let Some(seed) = self.seed.or_else(|| own.then_some(1)) {
            line.push_str(&format!(" --seed {seed}"));
        }
        if let Some(nodes) = self.nodes.or_else(|| own.then_some(20)) {
            line.push_str(&format!(" --nodes {nodes}"));
        }
        if let Some(duration) = self.duration.or_else(|| own.then_some(120_000_000)) {
            line.push_str(&format!(" --duration {}", Exactly(duration)));
        }
        if let Some(wire) = self.wire {
            line.push_str(&format!(" --wire {}", Wire::from(wire).name()));
        }
        if let Some(faults) = &self.faults {
            line.push_str(&format!(" --faults {faults}"));
        }
        if !self.only.is_empty() {
            let only: Vec<&str> = self.only.iter().map(|kind| kind.name()).collect();
            line.push_str(&format!(" --only {}", only.join(",")));
        }
        for span in &self.partition {
            let span = format!("{}..{}", Exactly(span.start), Exactly(span.end));
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
        if let Some(sabotage) = self.sabotage {
            line.push_str(&format!(" --sabotage {}", sabotage.name()));
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
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    text::time(text)
        .filter(|micros| *micros <= 1_000 * 3_600_000_000)
        .ok_or_else(|| "a time is a number and a unit, up to 1000h: 250ms, 90s, 10m, 1h".to_owned())
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

pub(crate) fn seeds(text: &str) -> Result<Range<u64>, String> {
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
