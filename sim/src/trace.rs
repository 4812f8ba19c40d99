//! What happened: a fold that is always on, counts, and on request a readable line per event.
//!
//! Each node has a fold of its own over (time, input, outputs); the folds of all nodes together are
//! the hash of the run. So the hash does not depend on which of two nodes was driven first where
//! they have nothing to do with each other.

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io;

use peerage_core::verify::Verdict;
use peerage_core::{Input, Output};

use crate::fold::Fold;
use crate::nemesis::Fault;
use crate::oracle::Finding;
use crate::watch::{Life, Watch};

/// Takes an input into a node's fold. `from` is who asks, where somebody asks.
pub fn fold_input(fold: &mut Fold, at: u64, from: u32, input: &Input) {
    fold.word(at);
    match input {
        Input::Request { request, .. } => {
            fold.word(u64::from(from) << 8 | 1);
            request.hash(fold);
        }
        Input::Hangup { .. } => fold.word(2),
        Input::Reply { id, result } => {
            fold.word(3);
            fold.word(id.as_u64());
            match result {
                Ok(answer) => answer.response.hash(fold),
                Err(error) => error.hash(fold),
            }
        }
        Input::Verdict { id, verdict } => {
            let good = match verdict {
                Verdict::Command(verdict) => verdict.is_ok(),
                Verdict::Envelope(verdict) => verdict.is_ok(),
                Verdict::Mimblewimble(done) => done.is_good(),
                Verdict::Signatures(good) => good.iter().all(|good| *good),
            };
            fold.word(4 | u64::from(good) << 8);
            fold.word(id.as_u64());
        }
        Input::Persisted { upto } => {
            fold.word(5);
            fold.word(upto.0);
        }
        Input::Tick => fold.word(6),
        Input::Drain => fold.word(7),
    }
}

/// Takes an output into a node's fold.
pub fn fold_output(fold: &mut Fold, output: &Output) {
    match output {
        Output::Respond { response, .. } => {
            fold.word(16);
            response.hash(fold);
        }
        Output::Call { id, to, request } => {
            fold.word(17);
            fold.word(id.as_u64());
            to.addr.hash(fold);
            request.hash(fold);
        }
        Output::Abandon { id } => {
            fold.word(18);
            fold.word(id.as_u64());
        }
        Output::Verify { id, job } => {
            fold.word(19);
            fold.word(id.as_u64());
            fold.write(&job.digest()[..8]);
        }
        Output::Commit { seq, rows } => {
            fold.word(20);
            fold.word(seq.0);
            for row in rows {
                row.hash(fold);
            }
        }
        Output::Reclaim => fold.word(22),
        Output::Event(event) => {
            fold.word(21);
            fold.write(event.name().as_bytes());
        }
    }
}

/// How often each of a few names came.
#[derive(Clone, Debug, Default)]
pub struct Tally(Vec<(&'static str, u64)>);

impl Tally {
    /// Counts a name once.
    #[inline]
    pub fn count(&mut self, name: &'static str) {
        // The same name is nearly always the same text at the same place.
        let same = |other: &&'static str| std::ptr::eq(*other, name);
        if let Some((_, count)) = self.0.iter_mut().find(|(other, _)| same(other)) {
            *count += 1;
        } else if let Some((_, count)) = self.0.iter_mut().find(|(other, _)| *other == name) {
            *count += 1;
        } else {
            self.0.push((name, 1));
        }
    }

    /// The counts, by name.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&'static str, u64)> {
        let mut counts = self.0.clone();
        counts.sort_unstable();
        counts
    }

    /// How often this name came.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0
            .iter()
            .find(|(other, _)| *other == name)
            .map_or(0, |(_, count)| *count)
    }

    /// All counts together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

/// Writes a readable line for each input, with what came of it.
pub struct Log {
    sink: Box<dyn io::Write>,
    line: String,
    error: Option<io::Error>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Writes lines to `sink`.
    #[must_use]
    pub fn to(sink: Box<dyn io::Write>) -> Self {
        Self {
            sink,
            line: String::new(),
            error: None,
        }
    }

    /// Writes a line about something that is not a node's input.
    fn note(&mut self, at: u64, text: &dyn std::fmt::Display) {
        let line = format!("{}.{:06} {text}\n", at / 1_000_000, at % 1_000_000);
        self.write(&line);
    }

    fn write(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.sink.write_all(text.as_bytes()).err();
        }
    }
}

impl Watch for Log {
    fn input(&mut self, at: u64, node: u32, from: u32, input: &Input) {
        self.line.clear();
        let _ = write!(
            self.line,
            "{}.{:06} n{node} ",
            at / 1_000_000,
            at % 1_000_000
        );
        if let Input::Request { id, request, .. } = input {
            let _ = write!(self.line, "{id:?} from {from}: ");
            push_short(&mut self.line, request);
        } else {
            push_short(&mut self.line, input);
        }
    }

    fn output(&mut self, _at: u64, _node: u32, output: &Output) {
        self.line.push_str("  -> ");
        push_short(&mut self.line, output);
    }

    fn done(&mut self, _at: u64, _node: u32) {
        self.line.push('\n');
        let text = std::mem::take(&mut self.line);
        self.write(&text);
        self.line = text;
    }

    fn fault(&mut self, at: u64, _number: u32, fault: &Fault, begins: bool) {
        let word = if begins { "begins" } else { "ends" };
        self.note(at, &format_args!("fault {word}: {}", fault.what));
    }

    fn life(&mut self, at: u64, node: u32, life: Life) {
        self.note(at, &format_args!("n{node} {life:?}"));
    }

    fn finding(&mut self, finding: &Finding) {
        self.note(finding.at, &format_args!("VIOLATED {finding}"));
    }

    fn calm(&mut self, at: u64) {
        self.note(at, &"the storm is over");
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.sink.flush(),
        }
    }
}

/// Longest text of one input or output; commands and pages would fill screens. What is cut off is
/// told by its fold, so that two traces differ where two runs do.
const SHORT: usize = 240;

fn push_short(line: &mut String, value: &dyn std::fmt::Debug) {
    let start = line.len();
    let _ = write!(line, "{value:?}");
    if line.len() > start + SHORT {
        let cut = (start..=start + SHORT)
            .rev()
            .find(|at| line.is_char_boundary(*at));
        let cut = cut.unwrap_or(start);
        let mut fold = Fold::default();
        fold.write(&line.as_bytes()[cut..]);
        line.truncate(cut);
        let _ = write!(line, "…{:08x}", fold.finish() as u32);
    }
}
