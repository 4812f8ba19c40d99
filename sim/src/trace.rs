//! What happened: a fold that is always on, counts, and on request a readable line per event.
//!
//! Each node has a fold of its own over (time, input, outputs); the folds of all nodes together are
//! the hash of the run. So the hash does not depend on which of two nodes was driven first where
//! they have nothing to do with each other.

use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io;

use peerage_core::{Input, Output};

use crate::fold::Fold;

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
            let peerage_core::verify::Verdict::Command(verdict) = verdict;
            fold.word(4 | u64::from(verdict.is_ok()) << 8);
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

/// Where readable lines go.
#[derive(Default)]
pub struct Log {
    sink: Option<Box<dyn io::Write>>,
    line: String,
    error: Option<io::Error>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log(on: {})", self.sink.is_some())
    }
}

impl Log {
    /// Writes lines to `sink`.
    #[must_use]
    pub fn to(sink: Box<dyn io::Write>) -> Self {
        Self {
            sink: Some(sink),
            ..Self::default()
        }
    }

    /// Whether anybody reads.
    #[inline]
    #[must_use]
    pub const fn on(&self) -> bool {
        self.sink.is_some()
    }

    /// Begins the line of an input; of a request it shows who asks and what.
    pub fn begin(&mut self, at: u64, node: u32, from: u32, input: &Input) {
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

    /// Adds an output to the line.
    pub fn output(&mut self, output: &Output) {
        self.line.push_str("  -> ");
        push_short(&mut self.line, output);
    }

    /// Ends the line.
    pub fn end(&mut self) {
        self.line.push('\n');
        let text = std::mem::take(&mut self.line);
        self.write(&text);
        self.line = text;
    }

    /// Writes a line about something that is not a node's input.
    pub fn note(&mut self, at: u64, text: &dyn std::fmt::Display) {
        if self.on() {
            let line = format!("{}.{:06} {text}\n", at / 1_000_000, at % 1_000_000);
            self.write(&line);
        }
    }

    /// Ends the log.
    ///
    /// # Errors
    /// The first that a write met.
    pub fn finish(mut self) -> io::Result<()> {
        match (self.error.take(), self.sink.take()) {
            (Some(error), _) => Err(error),
            (None, Some(mut sink)) => sink.flush(),
            (None, None) => Ok(()),
        }
    }

    fn write(&mut self, text: &str) {
        if let (Some(sink), None) = (&mut self.sink, &self.error) {
            self.error = sink.write_all(text.as_bytes()).err();
        }
    }
}

/// Longest text of one input or output; commands and pages would fill screens.
const SHORT: usize = 240;

fn push_short(line: &mut String, value: &dyn std::fmt::Debug) {
    let start = line.len();
    let _ = write!(line, "{value:?}");
    if line.len() > start + SHORT {
        let cut = (start..=start + SHORT)
            .rev()
            .find(|at| line.is_char_boundary(*at));
        line.truncate(cut.unwrap_or(start));
        line.push('…');
    }
}
