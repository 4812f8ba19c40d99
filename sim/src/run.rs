//! A run from beginning to end: storm, calm, verdict.
//!
//! While it storms, users act and things go wrong. Then faults and users stop, every node comes
//! back, and within a budget of virtual time all must be well.

use std::any::Any;
use std::fmt;
use std::hash::Hasher as _;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::Engine;
use crate::fold::Fold;
use crate::nemesis::Fault;
use crate::options::{Options, PAD, Time, Wire};
use crate::oracle::{Finding, Findings, Oracle, clusters, converge, friends};
use crate::schedule::Key;
use crate::trace::Tally;
use crate::watch::Watch;
use crate::world::{Event, World};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it depended on.
    pub options: Options,
    /// How long it lasted, in virtual microseconds.
    pub virtual_us: u64,
    /// How long it took after the storm until all was well, if it ever was.
    pub settled_us: Option<u64>,
    /// Everything that happened, counted.
    pub events: u64,
    /// Questions, by what was asked.
    pub messages: Tally,
    /// Events that nodes told of, by name.
    pub told: Tally,
    /// Questions without an answer, by reason.
    pub failures: Tally,
    /// What went wrong on purpose, by kind.
    pub faults: Tally,
    /// Signature checks that were asked for, and those that were done.
    pub checks: (u64, u64),
    /// What did not hold.
    pub findings: Findings,
    /// The fold of everything that happened to every node.
    pub hash: u64,
    /// The faults that were planned, for a replay.
    pub planned: Vec<Fault>,
}

/// How far a run has come, for whoever waits.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Virtual microseconds.
    pub now: u64,
    /// Virtual microseconds of the storm.
    pub duration: u64,
    /// Everything that happened, counted.
    pub events: u64,
}

/// Virtual time between two reports of progress.
const STEP: u64 = 1_000_000;
/// How often the world is shown to whoever looks while it storms, and the shortest pause.
const SHOWS: u64 = 60;
const SHOW_MIN: u64 = 50_000;
/// Virtual time between two looks whether all is well.
const SETTLE_STEP: u64 = 500_000;

/// Runs a world to its end while `watchers` look.
///
/// # Errors
/// What the watchers met.
pub fn run(
    options: Options,
    watchers: Vec<Box<dyn Watch>>,
    mut progress: impl FnMut(Progress),
) -> io::Result<Report> {
    let mut run = Run::new(options);
    for watch in watchers {
        run.watch(watch);
    }
    while run.phase() != Phase::Over {
        run.advance(run.now() + STEP);
        progress(run.progress());
    }
    run.finish()
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Users act and things go wrong.
    Storm,
    /// All must become well.
    Calm,
    /// All is well, or time is up, or something panicked.
    Over,
}

/// A run that can be stopped at any moment, looked at, copied and continued.
///
/// A copy shares nothing with the original and goes on in the same way, until it is changed.
#[derive(Clone, Debug)]
pub struct Run {
    world: World,
    engine: Engine<Event>,
    phase: Phase,
    /// When all must be well at the latest, once the storm is over.
    until: u64,
    /// When operators look after nodes that no message can help, if they have not yet.
    help: u64,
    /// When it is looked at next whether all is well.
    look: u64,
    /// When the world is shown next to whoever looks.
    show: u64,
    settled_us: Option<u64>,
}

impl Run {
    /// The run with these options, at its beginning.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let (world, engine) = World::new(options);
        Self {
            world,
            engine,
            phase: Phase::Storm,
            until: 0,
            help: 0,
            look: 0,
            show: 0,
            settled_us: None,
        }
    }

    /// One more looks at all that happens from now on. Nobody looks at a copy.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.world.watchers.add(watch);
    }

    /// Microseconds since the world began.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.engine.now()
    }

    /// Where the run is.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The world as it is.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The engine, with what is still to happen.
    #[must_use]
    pub const fn engine(&self) -> &Engine<Event> {
        &self.engine
    }

    /// How far it has come.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        Progress {
            now: self.engine.now(),
            duration: self.world.options.duration,
            events: self.engine.events(),
        }
    }

    /// How long it took after the storm until all was well, if it is.
    #[must_use]
    pub const fn settled(&self) -> Option<u64> {
        self.settled_us
    }

    /// How many times something did not hold so far.
    #[must_use]
    pub fn findings(&self) -> u64 {
        self.world.findings.total()
    }

    /// How many times this oracle was violated so far.
    #[must_use]
    pub const fn misses(&self, oracle: Oracle) -> u64 {
        self.world.findings.misses(oracle)
    }

    /// Lets everything happen that is due before `until`, or until the run is over.
    pub fn advance(&mut self, until: u64) {
        self.guarded(|run| {
            while run.phase != Phase::Over && run.engine.now() < until {
                let end = run.end_of_part();
                let stop = until.min(end).min(run.show_world(false));
                run.engine.run(&mut run.world, stop);
                if run.engine.now() >= end {
                    run.turn();
                }
            }
        });
    }

    /// Lets one event happen, and tells which; nothing, if the run is over.
    pub fn step(&mut self) -> Option<(Key, Event)> {
        self.step_before(u64::MAX)
    }

    /// Lets one event happen that is due before `until`, and tells which; if there is none, it is
    /// `until` then, or the run is over.
    pub fn step_before(&mut self, until: u64) -> Option<(Key, Event)> {
        let mut stepped = None;
        self.guarded(|run| {
            while run.phase != Phase::Over && stepped.is_none() && run.engine.now() < until {
                let end = run.end_of_part();
                stepped = run.engine.step(&mut run.world, end.min(until));
                if stepped.is_none() {
                    run.engine.run(&mut run.world, end.min(until));
                    if run.engine.now() >= end {
                        run.turn();
                    }
                }
            }
        });
        stepped
    }

    /// When this part of the run is over, or is looked at again.
    const fn end_of_part(&self) -> u64 {
        match self.phase {
            Phase::Storm => self.world.options.duration,
            Phase::Calm | Phase::Over => self.look,
        }
    }

    /// Does something that may panic, which is a finding.
    fn guarded(&mut self, act: impl FnOnce(&mut Self)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| act(self)));
        if let Err(payload) = outcome {
            let text = panic_text(payload.as_ref());
            let world = &mut self.world;
            let node = world.current;
            world
                .findings
                .miss(self.engine.now(), node, Oracle::Panic, text);
            self.phase = Phase::Over;
        }
        self.world.show_findings();
    }

    /// One fault more, from now on or later.
    ///
    /// # Errors
    /// If it lies in the past, or befalls a node that there is not.
    pub fn add_fault(&mut self, fault: Fault) -> Result<(), String> {
        if fault.at < self.now() {
            return Err("that time has passed".to_owned());
        }
        if let Some(node) = fault
            .greatest()
            .filter(|node| *node >= self.world.options.nodes)
        {
            return Err(format!("there is no node {node}"));
        }
        self.world.plan(&mut self.engine, fault);
        Ok(())
    }

    /// From now on the network, the disks, the users and the liars draw from another seed.
    pub fn reseed(&mut self, seed: u64) {
        self.world.reseed(seed);
    }

    /// Shows the world to whoever looks, if it is time. Gives the next such time.
    fn show_world(&mut self, last: bool) -> u64 {
        let now = self.engine.now();
        let world = &mut self.world;
        if !world.watchers.any() {
            return u64::MAX;
        }
        if now >= self.show || last {
            self.show = now + (world.options.duration / SHOWS).max(SHOW_MIN);
            let mut watchers = std::mem::take(&mut world.watchers);
            watchers.each(|watch| watch.sample(now, world, last));
            world.watchers = watchers;
        }
        self.show
    }

    /// Comes from one part of the run to the next, if it is time.
    fn turn(&mut self) {
        let now = self.engine.now();
        if self.phase == Phase::Storm {
            self.world.calm(&mut self.engine);
            self.phase = Phase::Calm;
            // What was mined while a clock was ahead is taken once that time has come.
            let mines = self.world.options.grin.is_some();
            let ahead = if mines { self.world.furthest_jump() } else { 0 };
            self.until = now + self.world.options.settle + ahead;
            self.help = now + self.world.options.settle / 2;
            self.look = (now + SETTLE_STEP).min(self.until);
            return;
        }
        self.world.findings.looked(Oracle::Converge);
        match self.obstacle() {
            None => self.settled_us = Some(now - self.world.options.duration),
            Some(_) if now < self.until => {
                if now >= self.help {
                    self.help = u64::MAX;
                    self.world.help(&mut self.engine);
                }
                self.look = (now + SETTLE_STEP).min(self.until);
                return;
            }
            Some(text) => self.world.findings.miss(now, None, Oracle::Converge, text),
        }
        self.phase = Phase::Over;
        let world = &mut self.world;
        for node in 0..world.options.nodes {
            world.audit_bounds(now, node);
            world.audit_export(now, node, true);
            world.audit_mint(now, node);
        }
        world.audit_waiting(now);
        world.audit_friends(now);
    }

    /// What keeps the core from being well, if anything does.
    fn obstacle(&self) -> Option<String> {
        let world = &self.world;
        let core: Vec<u32> = world.core.members(world.options.nodes).collect();
        if let Some(down) = core
            .iter()
            .find(|node| world.hosts[**node as usize].node.is_none())
        {
            return Some(format!("n{down} does not run"));
        }
        let nodes = (core.iter())
            .filter_map(|node| Some((*node, world.hosts[*node as usize].node.as_deref()?)));
        let (roster, total) = (&world.roster, world.options.nodes);
        let clusters = world.options.clusters.as_ref();
        converge::obstacle(roster, nodes.clone(), total, core.len())
            .or_else(|| friends::disagreement(&world.fellows(&core)))
            .or_else(|| clusters.and_then(|_| clusters::obstacle(roster, nodes.clone())))
            .or_else(|| world.mint_obstacle(nodes))
    }

    /// Ends the run where it is and tells what came of it.
    ///
    /// # Errors
    /// What the watchers met.
    pub fn finish(mut self) -> io::Result<Report> {
        let world = &mut self.world;
        world.show_findings();
        self.show_world(true);
        let world = &mut self.world;
        world.watchers.finish()?;
        Ok(self.report())
    }

    /// The fold of everything that has happened so far to every node.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut fold = Fold::default();
        for host in &self.world.hosts {
            fold.word(host.fold.finish());
        }
        fold.finish()
    }

    /// What came of it so far.
    #[must_use]
    pub fn report(mut self) -> Report {
        let hash = self.hash();
        self.world.findings.looked(Oracle::Panic);
        let world = self.world;
        Report {
            virtual_us: self.engine.now(),
            settled_us: self.settled_us,
            events: self.engine.events(),
            messages: world.messages,
            told: world.told,
            failures: world.failures,
            faults: world.faults_done,
            checks: world.memo.counts(),
            findings: world.findings,
            hash,
            planned: world.faults,
            options: world.options,
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

impl Report {
    /// Whether every oracle is content.
    #[must_use]
    pub fn good(&self) -> bool {
        self.findings.total() == 0
    }

    /// What did not hold, the first cases.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.findings.first()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options {
            seed, nodes, wire, ..
        } = self.options;
        let wire = match wire {
            Wire::Bytes => "as HTTP and back",
            Wire::Mangled => "as HTTP and back, some of them spoiled",
            Wire::Typed => "as values",
        };
        writeln!(
            f,
            "run       seed {seed}, {nodes} nodes, messages cross {wire}"
        )?;
        writeln!(f, "{}", self.options)?;
        write!(f, "time      {} virtual, ", Time(self.virtual_us))?;
        match self.settled_us {
            Some(settled) => writeln!(
                f,
                "all well {} after users and faults stopped",
                Time(settled)
            )?,
            None => writeln!(f, "not all well in the end")?,
        }
        writeln!(f, "events    {} of the simulation", self.events)?;
        for (name, meaning, tally) in [
            ("messages", "questions asked", &self.messages),
            ("failed", "questions met an error", &self.failures),
            ("faults", "done on purpose", &self.faults),
            ("told", "events that nodes would log", &self.told),
        ] {
            write_tally(f, name, meaning, tally)?;
        }
        writeln!(
            f,
            "checks    {} signature checks asked for, {} of them distinct and done",
            self.checks.0, self.checks.1
        )?;
        self.write_oracles(f)?;
        write!(f, "hash      {:016x}", self.hash)
    }
}

impl Report {
    /// The content oracles together, the violated ones each on a line, then what they found.
    fn write_oracles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |oracle| (self.findings.checks(oracle), self.findings.misses(oracle));
        let (mut held, mut idle) = (Vec::new(), Vec::new());
        for oracle in Oracle::ALL {
            match of(oracle) {
                (_, 1..) => {}
                (0, 0) => idle.push(oracle.name().to_owned()),
                (looks, 0) => held.push(format!("{} {looks}", oracle.name())),
            }
        }
        write_list(f, "oracles   held, with the number of looks:", &held)?;
        if !idle.is_empty() {
            write_list(f, "          not asked in such a run:", &idle)?;
        }
        for oracle in Oracle::ALL {
            if let (_, misses @ 1..) = of(oracle) {
                writeln!(f, "VIOLATED  {}, {misses} times", oracle.name())?;
            }
        }
        for finding in self.findings() {
            writeln!(f, "finding   {finding}")?;
        }
        Ok(())
    }
}

/// How often each name came.
fn write_tally(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    meaning: &str,
    tally: &Tally,
) -> fmt::Result {
    let items: Vec<String> = tally
        .sorted()
        .into_iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    let colon = if items.is_empty() { "" } else { ":" };
    let head = format!("{name:<10}{} {meaning}{colon}", tally.total());
    write_list(f, &head, &items)
}

/// Columns of a line of the report.
const COLUMNS: usize = 100;

/// A list behind its head, in lines that fit a terminal.
pub(crate) fn write_list(f: &mut fmt::Formatter<'_>, head: &str, items: &[String]) -> fmt::Result {
    let mut line = head.to_owned();
    for (place, item) in items.iter().enumerate() {
        if line.len() + item.len() + 2 > COLUMNS {
            writeln!(f, "{line}")?;
            line = PAD[1..].to_owned();
        }
        let comma = if place + 1 < items.len() { "," } else { "" };
        line.push_str(&format!(" {item}{comma}"));
    }
    writeln!(f, "{line}")
}
