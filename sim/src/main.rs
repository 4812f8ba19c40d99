//! The command line of the simulator.
//!
//! Exit code 0 when all oracles hold, 1 when one is violated, 2 for bad usage.

mod cli;
mod cost;
mod pictures;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::process::{Command as Process, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser as _;
use peerage_sim::{Log, Oracle, Progress, Report, Watch, gossip, run};

use cli::{BenchArgs, CheckArgs, Cli, Command, RunArgs};

const VIOLATED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // Bad usage ends the program with code 2 here.
    let result = match Cli::parse().command {
        Command::Run(args) => run_one(&args),
        Command::Bench(args) => bench(&args),
        Command::CheckDeterminism(args) => check_determinism(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(VIOLATED),
        Err(text) => {
            let _ = writeln!(io::stderr(), "peerage-sim: {text}");
            ExitCode::from(USAGE)
        }
    }
}

fn run_one(args: &RunArgs) -> Result<bool, String> {
    let options = args.options()?;
    let mut watchers: Vec<Box<dyn Watch>> = Vec::new();
    if let Some(path) = &args.trace {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        watchers.push(Box::new(Log::to(Box::new(BufWriter::new(file)))));
    }
    let pictures = pictures::watch(&args.report, &options, &mut watchers);
    let (begun, mut shown) = (Instant::now(), Instant::now());
    let live = io::stderr().is_terminal();
    let report = run(options, watchers, |progress| {
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
    if let Some(recorder) = pictures {
        pictures::write(&args.report, &recorder, &report, &args.again())?;
    }
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
    writeln!(out, "\nagain     {}", args.again())?;
    if args.json {
        let violated: Vec<&str> = Oracle::ALL
            .into_iter()
            .filter(|oracle| report.findings.misses(*oracle) > 0)
            .map(Oracle::name)
            .collect();
        let object = serde_json::json!({
            "seed": report.options.seed,
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
            "again": args.again(),
        });
        writeln!(out, "{object}")?;
    }
    Ok(())
}

/// The two workloads that other simulators were given too.
fn bench(args: &BenchArgs) -> Result<bool, String> {
    let (seed, nodes) = (args.seed, args.nodes);
    let out = &mut io::stdout().lock();
    let begun = Instant::now();
    let counts = gossip::gossip(seed, nodes);
    let seconds = begun.elapsed().as_secs_f64();
    let speed = counts.delivered as f64 / seconds / 1e6;
    let begun = Instant::now();
    let woken = gossip::timers(seed, nodes).woken;
    let each = begun.elapsed().as_secs_f64() * 1e9 / woken as f64;
    writeln!(
        out,
        "gossip    {} delivered in {seconds:.4} s: {speed:.1} M/s; hash {:016x}\n\
         timers    {woken} fired, {each:.0} ns each",
        counts.delivered, counts.hash,
    )
    .map_err(|error| error.to_string())?;
    Ok(true)
}

/// Each seed typed and as bytes in this process, and typed in another one.
fn check_determinism(args: &CheckArgs) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut good = true;
    for seed in args.seeds.clone() {
        let line = [
            "run".to_owned(),
            format!("--seed={seed}"),
            format!("--nodes={}", args.nodes),
            format!("--duration={}ms", args.duration / 1_000),
        ];
        let here = |wire: &str| -> Result<Report, String> {
            let line = std::iter::once("peerage-sim".to_owned()).chain(line.clone());
            let line = line.chain([format!("--wire={wire}")]);
            let Command::Run(args) = Cli::try_parse_from(line)
                .map_err(|error| error.to_string())?
                .command
            else {
                return Err("the line asks for a run".to_owned());
            };
            run(args.options()?, Vec::new(), |_| {}).map_err(|error| error.to_string())
        };
        let (typed, bytes) = (here("typed")?, here("bytes")?);
        let output = Process::new(&program)
            .args(&line)
            .arg("--json")
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let there: serde_json::Value = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(|| format!("seed {seed}: the other process said nothing"))?;
        let there = there["hash"].as_str().unwrap_or("").to_owned();
        let hash = |report: &Report| format!("{:016x}", report.hash);
        let same = hash(&typed) == hash(&bytes) && hash(&typed) == there;
        let held = typed.good() && bytes.good();
        good &= same && held;
        let out = &mut io::stdout().lock();
        let verdict = match (same, held) {
            (true, true) => "equal",
            (true, false) => "equal, but an oracle is violated",
            (false, _) => "DIFFERENT",
        };
        writeln!(
            out,
            "seed {seed}: typed {}, bytes {}, elsewhere {there}: {verdict}",
            hash(&typed),
            hash(&bytes),
        )
        .map_err(|error| error.to_string())?;
    }
    Ok(good)
}
