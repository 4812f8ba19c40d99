//! `run`: one world.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use peerage_sim::{Log, Oracle, Progress, Report, Watch, run as run_world};

use crate::cli::WorldArgs;
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
    /// Write a readable line per event.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

pub(crate) fn run(args: &RunArgs) -> Result<bool, String> {
    let options = args.world.options()?;
    let mut watchers: Vec<Box<dyn Watch>> = Vec::new();
    if let Some(path) = &args.trace {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        watchers.push(Box::new(Log::to(Box::new(BufWriter::new(file)))));
    }
    let (begun, mut shown) = (Instant::now(), Instant::now());
    let live = io::stderr().is_terminal();
    let report = run_world(options, watchers, |progress| {
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
    print(args, &report, wall).map_err(|error| error.to_string())?;
    Ok(report.good())
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

fn print(args: &RunArgs, report: &Report, wall: f64) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    let cpu = cost::cpu_seconds();
    let peak = cost::peak_rss_mb();
    writeln!(out, "{report}")?;
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
            "hash": format!("{:016x}", report.hash),
            "again": args.world.again(),
        });
        writeln!(out, "{object}")?;
    }
    Ok(())
}
