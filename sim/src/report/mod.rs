//! Pictures of a run: one page that needs no network, and the same numbers as JSON and CSV.
//!
//! A [`Recorder`] watches a run; what it remembers becomes [`Pages`] once the run is over. Counts
//! and curves are exact; single messages, marks and edges are bounded, and the page says what was
//! kept of them.
//!
//! ```
//! use peerage_sim::report::{Keep, Pages, Recorder};
//! use peerage_sim::{Options, run};
//!
//! let options = Options::drawn(7, 5, 10_000_000, true);
//! let recorder = Recorder::new(&options, &Keep::default());
//! let report = run(options, vec![recorder.watch()], |_| {}).expect("nothing is written");
//! let pages = Pages::new(&recorder, &report, "peerage-sim run --seed 7 --nodes 5 --duration 10s");
//! let mut page = Vec::new();
//! pages.write_html(&mut page).expect("a vector takes everything");
//! ```

mod data;
mod export;
mod flow;
mod page;
mod peers;
mod recording;
mod series;
mod spread;

use std::cell::RefCell;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use peerage_core::{Input, Output};

use self::data::Data;
use self::recording::Recording;
use crate::exchange::Ticket;
use crate::group::Group;
use crate::nemesis::Fault;
use crate::options::Options;
use crate::oracle::Finding;
use crate::run::Report;
use crate::watch::{Carries, Crossing, Life, Watch};
use crate::world::World;

/// Exchanges that are kept one by one unless it is said otherwise.
pub const MESSAGES: usize = 60_000;

/// What is kept of a run beyond what is counted.
#[derive(Clone, Debug)]
pub struct Keep {
    /// At most so many exchanges, one by one.
    pub messages: usize,
    /// Nodes whose exchanges are kept before those of others.
    pub nodes: Option<Group>,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            messages: MESSAGES,
            nodes: None,
        }
    }
}

/// Remembers a run. The run has one end of it, whoever makes pages of it the other.
#[derive(Clone)]
pub struct Recorder(Rc<RefCell<Recording>>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// Remembers a run with these options.
    #[must_use]
    pub fn new(options: &Options, keep: &Keep) -> Self {
        Self(Rc::new(RefCell::new(Recording::new(options, keep))))
    }

    /// The end that looks at the run.
    #[must_use]
    pub fn watch(&self) -> Box<dyn Watch> {
        Box::new(self.clone())
    }
}

impl Watch for Recorder {
    fn input(&mut self, at: u64, node: u32, from: u32, input: &Input) {
        self.0.borrow_mut().input(at, node, from, input);
    }

    fn output(&mut self, at: u64, node: u32, output: &Output) {
        self.0.borrow_mut().output(at, node, output);
    }

    fn done(&mut self, at: u64, node: u32) {
        self.0.borrow_mut().done(at, node);
    }

    fn crossing(&mut self, crossing: &Crossing) {
        self.0.borrow_mut().crossing(crossing);
    }

    fn swallowed(&mut self, at: u64, ticket: Ticket, carries: Carries) {
        self.0.borrow_mut().swallowed(at, ticket, carries);
    }

    fn held(&mut self, at: u64, ticket: Ticket, carries: Carries, until: u64) {
        self.0.borrow_mut().held(at, ticket, carries, until);
    }

    fn failure(&mut self, at: u64, ticket: Ticket, reason: &'static str) {
        self.0.borrow_mut().failure(at, ticket, reason);
    }

    fn fault(&mut self, at: u64, number: u32, fault: &Fault, begins: bool) {
        self.0.borrow_mut().fault(at, number, fault, begins);
    }

    fn life(&mut self, at: u64, node: u32, life: Life) {
        self.0.borrow_mut().life(at, node, life);
    }

    fn finding(&mut self, finding: &Finding) {
        self.0.borrow_mut().finding(finding);
    }

    fn calm(&mut self, at: u64) {
        self.0.borrow_mut().calm(at);
    }

    fn sample(&mut self, at: u64, world: &World, last: bool) {
        self.0.borrow_mut().sample(at, world, last);
    }
}

/// What was remembered of a run, ready to be written down.
#[derive(Debug)]
pub struct Pages(Data);

impl Pages {
    /// What the recorder remembers of the run that ended in this report. `again` is the command that
    /// repeats it. What was remembered is used up.
    #[must_use]
    pub fn new(recorder: &Recorder, report: &Report, again: &str) -> Self {
        Self(Data::new(&mut recorder.0.borrow_mut(), report, again))
    }

    /// Writes one page that needs nothing else.
    ///
    /// # Errors
    /// What the writer met.
    pub fn write_html(&self, to: &mut dyn Write) -> io::Result<()> {
        page::write(&self.0, to)
    }

    /// Writes everything that is in the page as one JSON object.
    ///
    /// # Errors
    /// What the writer met.
    pub fn write_json(&self, to: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *to, &self.0)?;
        to.write_all(b"\n")
    }

    /// Writes tables into a directory, which is made if it is missing.
    ///
    /// # Errors
    /// What the file system met.
    pub fn write_csv(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        for (name, write) in export::TABLES {
            let file = File::create(directory.join(name))?;
            let mut file = BufWriter::new(file);
            write(&self.0, &mut file)?;
            file.flush()?;
        }
        Ok(())
    }
}
