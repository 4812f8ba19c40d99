//! `replay`: a run up to a moment, and `diff-traces`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use peerage_sim::travel::{Reply, Traveller};
use peerage_sim::{Log, Run, inspect};

use crate::cli::{WorldArgs, duration};

const HELP: &str = "\
Give it the command of a run, with `replay` in place of `run`: the same happens up to the moment that is \
asked for. --interactive reads commands, one a line, from a person or from a file: step, go to a time, \
go back, look at nodes and at what comes next; add a fault or change the luck from a moment on, keep \
several courses of events side by side, and count how likely a failure is from here.

Examples:
  peerage-sim replay --seed 7 --until 31.5s --state 3
  peerage-sim replay --seed 7 --until-event 12000 --pending 20
  peerage-sim replay --seed 7 --until-finding --trace /tmp/trace
  peerage-sim replay --seed 7 --interactive          # then: help
  echo 'until finding
  back 10
  step 10' | peerage-sim replay --seed 7 --interactive";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    world: WorldArgs,
    /// Stop at this time.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    until: Option<u64>,
    /// Stop after this many events.
    #[arg(long, value_name = "N", conflicts_with = "until")]
    until_event: Option<u64>,
    /// Stop when an oracle finds something.
    #[arg(long, conflicts_with_all = ["until", "until_event"])]
    until_finding: bool,
    /// Print what is known of this node then; may be given several times.
    #[arg(long, value_name = "NODE", visible_alias = "print-node", value_parser = node)]
    state: Vec<u32>,
    /// Print the next events then.
    #[arg(long, value_name = "K", visible_alias = "events")]
    pending: Option<usize>,
    /// Write a readable line per event.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Read commands from standard input: step, go back, look around, branch.
    #[arg(long, short, conflicts_with_all = ["trace", "until", "until_event", "until_finding", "state", "pending"])]
    interactive: bool,
}

fn node(text: &str) -> Result<u32, String> {
    let number = text.trim_start_matches('n').parse();
    number.map_err(|_| format!("{text:?} is no node; write 3 or n3"))
}

pub(crate) fn replay(args: &ReplayArgs) -> Result<bool, String> {
    let mut run = Run::new(args.world.options()?);
    if let Some(path) = &args.trace {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        run.watch(Box::new(Log::to(Box::new(BufWriter::new(file)))));
    }
    if args.interactive {
        super::quietly();
        return travel(Traveller::new(run));
    }
    if let Some(events) = args.until_event {
        while run.engine().events() < events && run.step().is_some() {}
    } else if args.until_finding {
        while run.findings() == 0 && run.step().is_some() {}
    } else {
        run.advance(args.until.unwrap_or(u64::MAX));
    }
    let mut text = inspect::overview(&run);
    for node in &args.state {
        text.push_str(&inspect::node(run.world(), run.now(), *node));
    }
    if let Some(many) = args.pending {
        text.push_str(&inspect::pending(&run, many));
    }
    let held = run.findings() == 0;
    run.finish().map_err(|error| error.to_string())?;
    write!(io::stdout().lock(), "{text}").map_err(|error| error.to_string())?;
    Ok(held)
}

/// Does what the lines of standard input say.
fn travel(mut traveller: Traveller) -> Result<bool, String> {
    let out = &mut io::stdout().lock();
    let prompt = io::stdin().is_terminal();
    let io_error = |error: io::Error| error.to_string();
    for line in std::iter::once(Ok("where".to_owned())).chain(io::stdin().lock().lines()) {
        match traveller.line(&line.map_err(io_error)?) {
            Ok(Reply::Quit) => break,
            Ok(Reply::Text(text)) => write!(out, "{text}").map_err(io_error)?,
            Err(error) => writeln!(out, "{error}").map_err(io_error)?,
        }
        if prompt {
            write!(out, "> ").map_err(io_error)?;
        }
        out.flush().map_err(io_error)?;
    }
    Ok(true)
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A trace, as --trace writes it.
    one: PathBuf,
    /// Another.
    other: PathBuf,
}

pub(crate) fn diff(args: &DiffArgs) -> Result<bool, String> {
    let text = difference(&args.one, &args.other)?;
    writeln!(io::stdout().lock(), "{text}").map_err(|error| error.to_string())?;
    Ok(text.starts_with("equal"))
}

/// Lines that are shown before a difference.
const CONTEXT: usize = 3;

/// Where two traces begin to differ, in words.
pub(crate) fn difference(one: &Path, other: &Path) -> Result<String, String> {
    let open = |path: &Path| {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(BufReader::new(file).lines())
    };
    let (mut first, mut second) = (open(one)?, open(other)?);
    let mut before: VecDeque<String> = VecDeque::new();
    for number in 1.. {
        let next = |lines: &mut io::Lines<BufReader<File>>| {
            lines.next().transpose().map_err(|error| error.to_string())
        };
        let (a, b) = (next(&mut first)?, next(&mut second)?);
        match (&a, &b) {
            (None, None) => return Ok(format!("equal in all {} lines", number - 1)),
            (Some(a), Some(b)) if a == b => {
                if before.len() == CONTEXT {
                    before.pop_front();
                }
                before.push_back(a.clone());
            }
            _ => {
                let mut text = format!("the first difference is in line {number}:\n");
                for line in before {
                    text.push_str(&format!("  {line}\n"));
                }
                let end = "(the end)".to_owned();
                text.push_str(&format!("- {}\n", a.unwrap_or_else(|| end.clone())));
                text.push_str(&format!("+ {}", b.unwrap_or(end)));
                return Ok(text);
            }
        }
    }
    Ok(String::new())
}
