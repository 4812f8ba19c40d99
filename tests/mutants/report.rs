//! What came of the faults, as lines while it goes on, as a table, and as JSON.

use std::io::{self, Write};

use serde_json::json;

use crate::fault::Fault;
use crate::{Args, TENTHS_MIN};

/// What came of one fault.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) fate: Fate,
    pub(crate) seeds: u64,
    pub(crate) cpu: f64,
    pub(crate) build: f64,
    excuse: Option<String>,
}

/// Whether it was found.
#[derive(Debug)]
pub(crate) enum Fate {
    Found {
        seed: u64,
        oracle: String,
    },
    Missed,
    /// It cannot be built; the compiler's words.
    Unviable(String),
}

impl Row {
    pub(crate) fn new(fault: &Fault, build: f64) -> Self {
        Self {
            name: fault.name.clone(),
            fate: Fate::Missed,
            seeds: 0,
            cpu: 0.0,
            build,
            excuse: fault.excuse.clone(),
        }
    }

    fn words(&self) -> (&'static str, String, &str) {
        match &self.fate {
            Fate::Found { seed, oracle } => ("found", seed.to_string(), oracle),
            Fate::Missed if self.excuse.is_some() => ("missed", "-".to_owned(), "(expected)"),
            Fate::Missed => ("missed", "-".to_owned(), "-"),
            Fate::Unviable(_) => ("unviable", "-".to_owned(), "-"),
        }
    }

    fn line(&self, width: usize) -> String {
        let (fate, seed, oracle) = self.words();
        format!(
            "{:width$}  {fate:8}  {seed:>5}  {oracle:24}  {:>5}  {:>6.2}  {:>6.1}",
            self.name, self.seeds, self.cpu, self.build
        )
    }
}

/// A line for whoever waits.
pub(crate) fn progress(done: usize, of: usize, row: &Row) {
    let mut text = format!("{done:>4}/{of}  {}", row.line(40));
    if let Fate::Unviable(said) = &row.fate {
        let first = said.lines().find(|line| line.starts_with("error"));
        text.push_str(first.unwrap_or_default());
    }
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes the table; tells whether enough was found. What cargo-mutants thinks of may be no fault at
/// all, so there is no share that must be found.
pub(crate) fn table(out: &mut impl Write, rows: &[Row], args: &Args) -> io::Result<bool> {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let rule = "-".repeat(width + 66);
    writeln!(
        out,
        "{:width$}  {:8}  {:>5}  {:24}  {:>5}  {:>6}  {:>6}\n{rule}",
        "fault", "", "seed", "noticed by", "seeds", "CPU s", "build"
    )?;
    // The survivors of a long list of generated ones are what is looked for.
    let shown = |row: &&Row| !args.generated || rows.len() <= 40 || !row.is_found();
    for row in rows.iter().filter(shown) {
        writeln!(out, "{}", row.line(width))?;
        if let (Fate::Missed, Some(excuse)) = (&row.fate, &row.excuse) {
            writeln!(out, "{:width$}  because {excuse}", "")?;
        }
    }
    let found = rows.iter().filter(|row| row.is_found()).count();
    let unviable = rows
        .iter()
        .filter(|row| matches!(row.fate, Fate::Unviable(_)))
        .count();
    let of = rows.len() - unviable;
    let cpu: f64 = rows.iter().map(|row| row.cpu).sum();
    for row in rows
        .iter()
        .filter(|row| row.is_found() && row.excuse.is_some())
    {
        writeln!(out, "{} is found by now: its excuse can go", row.name)?;
    }
    let share = found as f64 / of.max(1) as f64;
    writeln!(
        out,
        "{rule}\n{found} of {of} found ({:.0} %), {unviable} unviable, {cpu:.1} CPU seconds",
        share * 100.0
    )?;
    let good = args.generated || found * 10 >= of * TENTHS_MIN;
    if args.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let object = json!({
            "faults": rows, "found": found, "of": of, "share": share, "good": good,
        });
        writeln!(out, "{object}")?;
    }
    Ok(good)
}

impl Row {
    const fn is_found(&self) -> bool {
        matches!(self.fate, Fate::Found { .. })
    }

    fn json(&self) -> serde_json::Value {
        let (seed, oracle) = match &self.fate {
            Fate::Found { seed, oracle } => (Some(seed), Some(oracle)),
            Fate::Missed | Fate::Unviable(_) => (None, None),
        };
        json!({
            "name": self.name,
            "fate": self.words().0,
            "seed": seed,
            "noticed_by": oracle,
            "seeds": self.seeds,
            "cpu_seconds": self.cpu,
            "build_seconds": self.build,
            "expected_because": self.excuse,
        })
    }
}
