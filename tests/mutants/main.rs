//! Plants faults in the node and counts how many the simulator finds.
//!
//! Each fault is a patch. One after the other is applied to a copy of the sources, the simulator is
//! built there and given seeds until an oracle objects. The faults are those kept beside this file,
//! or with `--generated` those that cargo-mutants thinks of. See the README beside this file.

mod fault;
mod report;
mod sweep;
mod tree;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;

use fault::Fault;
use report::{Fate, Row};
use tree::Tree;

/// Plants faults in the node and counts how many the simulator finds.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Only the faults whose names contain one of these.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    only: Vec<String>,
    /// How many seeds are tried, at most, until one finds the fault.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// How many faults are looked at side by side. Each needs a target directory of its own.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// End with one JSON object on the last line of the standard output.
    #[arg(long)]
    json: bool,
    /// Plant what cargo-mutants makes of the core instead of the faults kept here.
    #[arg(long)]
    generated: bool,
    /// Of those, one in N: the I-th, the (I+N)-th and so on, counted from zero.
    #[arg(long, value_parser = shard, value_name = "I/N", requires = "generated")]
    shard: Option<(usize, usize)>,
    /// Of those, this many, spread evenly.
    #[arg(long, requires = "generated")]
    limit: Option<usize>,
}

/// The share that must be found, in tenths.
const TENTHS_MIN: usize = 9;
const TOO_FEW: u8 = 1;
const BROKEN: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(TOO_FEW),
        Err(text) => {
            let _ = writeln!(io::stderr(), "mutants: {text}");
            ExitCode::from(BROKEN)
        }
    }
}

/// Looks at every fault; tells whether enough of them were found.
fn measure(args: &Args) -> Result<bool, String> {
    let root = root()?;
    let faults = if args.generated {
        fault::generated(&root, args.shard, args.limit)?
    } else {
        fault::planted(&root)?
    };
    let wanted = |fault: &Fault| {
        args.only.is_empty() || args.only.iter().any(|name| fault.name.contains(name))
    };
    let faults: Vec<Fault> = faults.into_iter().filter(wanted).collect();
    if faults.is_empty() {
        return Err("no fault goes by such a name".to_owned());
    }
    let rows = look(args, &root, &faults)?;
    let out = &mut io::stdout().lock();
    let good = report::table(out, &rows, args).map_err(|error| error.to_string())?;
    let broken: Vec<&str> = rows
        .iter()
        .filter(|row| matches!(row.fate, Fate::Unviable(_)) && !args.generated)
        .map(|row| row.name.as_str())
        .collect();
    if broken.is_empty() {
        Ok(good)
    } else {
        Err(format!("{} cannot be built", broken.join(", ")))
    }
}

/// Hands the faults to as many workers as may be, and gives what came of them in their order.
fn look(args: &Args, root: &Path, faults: &[Fault]) -> Result<Vec<Row>, String> {
    let next = AtomicUsize::new(0);
    let rows: Mutex<Vec<(usize, Row)>> = Mutex::new(Vec::new());
    let jobs = args.jobs.clamp(1, faults.len());
    std::thread::scope(|scope| {
        let worker = |number| -> Result<(), String> {
            let mut tree = Tree::prepare(root, number)?;
            let seeds = sound_seeds(&mut tree, args.seeds, number == 0)?;
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(fault) = faults.get(place) else {
                    return Ok(());
                };
                let row = examine(&mut tree, fault, &seeds)?;
                let mut rows = rows
                    .lock()
                    .expect("no worker panics while it holds the rows");
                rows.push((place, row));
                let (_, row) = &rows[rows.len() - 1];
                report::progress(rows.len(), faults.len(), row);
            }
        };
        let workers: Vec<_> = (0..jobs)
            .map(|number| scope.spawn(move || worker(number)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| "a worker has died".to_owned())?)
    })?;
    let mut rows = rows
        .into_inner()
        .map_err(|_| "a worker has died".to_owned())?;
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The seeds at which the sources as they are hold; others would find every fault.
fn sound_seeds(tree: &mut Tree, count: u64, tells: bool) -> Result<Vec<u64>, String> {
    let built = tree.build()?;
    let program = built
        .program
        .map_err(|text| format!("the sources as they are cannot be built:\n{text}"))?;
    let mut sound = Vec::new();
    for seed in 0..count {
        match sweep::look(&program, seed)?.noticed {
            None => sound.push(seed),
            Some(oracle) if tells => {
                let text = format!("seed {seed} is left out: {oracle} objects without any fault");
                let _ = writeln!(io::stderr(), "{text}");
            }
            Some(_) => {}
        }
    }
    if sound.is_empty() {
        return Err("no seed holds without a fault".to_owned());
    }
    Ok(sound)
}

/// Plants one fault and looks for it.
fn examine(tree: &mut Tree, fault: &Fault, seeds: &[u64]) -> Result<Row, String> {
    tree.plant(fault)?;
    let built = tree.build()?;
    let mut row = Row::new(fault, built.seconds);
    match built.program {
        Err(text) => row.fate = Fate::Unviable(text),
        Ok(program) => {
            let swept = sweep::sweep(&program, seeds)?;
            row.seeds = swept.seeds;
            row.cpu = swept.cpu;
            row.fate = match swept.found {
                Some((seed, oracle)) => Fate::Found { seed, oracle },
                None => Fate::Missed,
            };
        }
    }
    tree.restore()?;
    Ok(row)
}

/// Where the sources are, whole and without links, as git wants to have it.
fn root() -> Result<PathBuf, String> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .map_err(|error| format!("the sources: {error}"))
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    text.split_once('/')
        .and_then(|(place, of)| Some((place.parse().ok()?, of.parse().ok()?)))
        .filter(|(place, of)| place < of)
        .ok_or_else(|| "wanted I/N with I below N".to_owned())
}
