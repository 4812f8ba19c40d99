//! `run`: one world.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use peerage_sim::scenario::{BUILT_IN, Outcome, Overrides, Scenario};
use peerage_sim::{Log, Oracle, Progress, Watch};

use super::pictures;
use crate::cli::{ReportArgs, WorldArgs};
use crate::cost;

#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) world: WorldArgs,
    /// Print the faults, one a line.
    #[arg(long)]
    pub(crate) print_faults: bool,
    /// Print one JSON object on the last line.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the scripted requests and their answers as literal HTTP; - is standard output.
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// How the transcript is written.
    #[arg(long, value_enum, default_value_t = TranscriptFormat::Http)]
    transcript_format: TranscriptFormat,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Write a readable line per event.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TranscriptFormat {
    /// Literal HTTP.
    Http,
    /// A line of JSON for each request.
    Json,
}

pub(crate) fn run(args: &RunArgs) -> Result<bool, String> {
    let scenario = args.world.scenario()?;
    let mut watchers: Vec<Box<dyn Watch>> = Vec::new();
    if let Some(path) = &args.trace {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        watchers.push(Box::new(Log::to(Box::new(BufWriter::new(file)))));
    }
    let pictures = pictures::watch(&args.report, &scenario.options, &mut watchers);
    let (begun, mut shown) = (Instant::now(), Instant::now());
    let live = io::stderr().is_terminal();
    let outcome = scenario
        .run(watchers, |progress| {
            if live && shown.elapsed() > Duration::from_millis(200) {
                shown = Instant::now();
                show(progress);
            }
        })
        .map_err(|error| format!("the trace cannot be written: {error}"))?;
    if live {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let wall = begun.elapsed().as_secs_f64();
    if let Some(path) = &args.transcript {
        let text = match args.transcript_format {
            TranscriptFormat::Http => outcome.transcript.to_string(),
            TranscriptFormat::Json => outcome.transcript.json_lines(),
        };
        if path.as_os_str() == "-" {
            write!(io::stdout().lock(), "{text}").map_err(|error| error.to_string())?;
        } else {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    print(args, &scenario, &outcome, wall).map_err(|error| error.to_string())?;
    if let Some(recorder) = pictures {
        pictures::write(
            &args.report,
            &recorder,
            &outcome.report,
            &args.world.again(),
        )?;
    }
    Ok(outcome.good())
}

/// Lists the scenarios that come with the program.
pub(crate) fn scenarios() -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    for (name, _) in BUILT_IN {
        let scenario = Scenario::read(name, &Overrides::default())?;
        writeln!(out, "{name:22} {}", scenario.title).map_err(|error| error.to_string())?;
    }
    Ok(true)
}

fn show(progress: Progress) {
    let _ = write!(
        io::stderr(),
        "\r\x1b[K{} of {} virtual seconds, {} events",
        progress.now / 1_000_000,
        progress.duration / 1_000_000,
        progress.events,
    );
}

fn print(args: &RunArgs, scenario: &Scenario, outcome: &Outcome, wall: f64) -> io::Result<()> {
    let report = &outcome.report;
    let out = &mut io::stdout().lock();
    let cpu = cost::cpu_seconds();
    let peak = cost::peak_rss_mb();
    if !scenario.title.is_empty() {
        writeln!(out, "scenario  {}", scenario.title)?;
    }
    writeln!(out, "{report}")?;
    for broken in &outcome.broken {
        writeln!(out, "BROKEN    {broken}")?;
    }
    if !scenario.expectations.is_empty() && outcome.broken.is_empty() {
        writeln!(
            out,
            "expected  everything that the scenario asks for came true"
        )?;
    }
    if args.print_faults {
        for fault in &report.planned {
            writeln!(out, "fault     {fault}")?;
        }
    }
    write!(
        out,
        "cost      {wall:.2} s of real time, {:.0} events/s",
        report.events as f64 / wall
    )?;
    if let (Some(cpu), Some(peak)) = (cpu, peak) {
        write!(
            out,
            ", {cpu:.2} s of CPU time, {peak:.0} MiB of memory at most"
        )?;
    }
    writeln!(
        out,
        "\nagain     {}   # commit {}",
        args.world.again(),
        peerage_sim::sweep::COMMIT
    )?;
    if args.json {
        let violated: Vec<&str> = Oracle::ALL
            .into_iter()
            .filter(|oracle| report.findings.misses(*oracle) > 0)
            .map(Oracle::name)
            .collect();
        let object = serde_json::json!({
            "seed": report.options.seed,
            "commit": peerage_sim::sweep::COMMIT,
            "nodes": report.options.nodes,
            "wire": report.options.wire.name(),
            "virtual_seconds": report.virtual_us as f64 / 1e6,
            "settled_seconds": report.settled_us.map(|settled| settled as f64 / 1e6),
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "peak_rss_mb": peak,
            "events": report.events,
            "messages": report.messages.total(),
            "faults": report.faults.total(),
            "violations": report.findings.total(),
            "violated": violated,
            "expectations_broken": outcome.broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "hash": format!("{:016x}", report.hash),
            "again": args.world.again(),
        });
        writeln!(out, "{object}")?;
    }
    Ok(())
}
