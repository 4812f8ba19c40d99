//! The command line of the simulator.
//!
//! Exit code 0 when all oracles hold, 1 when one is violated, 2 for bad usage.

mod cli;
mod commands;
mod cost;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};

const VIOLATED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // Bad usage ends the program with code 2 here.
    let result = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args),
        Command::Scenarios => commands::run::scenarios(),
        Command::Sweep(args) => commands::sweep::sweep(&args),
        Command::Merge(args) => commands::merge::merge(&args),
        Command::Replay(args) => commands::replay::replay(&args),
        Command::DiffTraces(args) => commands::replay::diff(&args),
        Command::Minimize(args) => commands::minimize::minimize(&args),
        Command::CheckDeterminism(args) => commands::check::check(&args),
        Command::Bench(args) => commands::bench::bench(&args),
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
