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
use crate::options::{Options, Wire};
use crate::oracle::{Finding, Findings, Oracle, converge};
use crate::trace::{Log, Tally};
use crate::world::{Event, World};

/// What came of a run.
#[derive(Debug)]
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
/// Virtual time between two looks whether all is well.
const SETTLE_STEP: u64 = 500_000;

/// Runs a world.
///
/// # Errors
/// What the log met.
pub fn run(options: Options, log: Log, mut progress: impl FnMut(Progress)) -> io::Result<Report> {
    let (mut world, mut engine) = World::new(options, log);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        storm(&mut world, &mut engine, &mut progress);
        settle(&mut world, &mut engine)
    }));
    let settled_us = match outcome {
        Ok(settled) => settled,
        Err(payload) => {
            let text = panic_text(payload.as_ref());
            world
                .findings
                .miss(engine.now(), world.current, Oracle::Panic, text);
            None
        }
    };
    world.findings.looked(Oracle::Panic);
    report(world, &engine, settled_us)
}

fn storm(world: &mut World, engine: &mut Engine<Event>, progress: &mut impl FnMut(Progress)) {
    let duration = world.options.duration;
    while engine.now() < duration {
        let until = (engine.now() + STEP).min(duration);
        engine.run(world, until);
        progress(Progress {
            now: engine.now(),
            duration,
            events: engine.events(),
        });
    }
}

/// Lets all become well; tells how long that took.
fn settle(world: &mut World, engine: &mut Engine<Event>) -> Option<u64> {
    let begin = engine.now();
    world.calm(engine);
    let end = begin + world.options.settle;
    let mut obstacle = None;
    while engine.now() < end {
        let until = (engine.now() + SETTLE_STEP).min(end);
        engine.run(world, until);
        world.findings.looked(Oracle::Converge);
        let nodes = world
            .hosts
            .iter()
            .enumerate()
            .filter_map(|(index, host)| Some((index as u32, host.node.as_deref()?)));
        obstacle = converge::obstacle(&world.roster, nodes, world.options.nodes);
        if obstacle.is_none() {
            break;
        }
    }
    let now = engine.now();
    for node in 0..world.options.nodes {
        world.audit_bounds(now, node);
        world.audit_export(now, node, true);
    }
    world.audit_waiting(now);
    match obstacle {
        None => Some(now - begin),
        Some(text) => {
            world.findings.miss(now, None, Oracle::Converge, text);
            None
        }
    }
}

fn report(world: World, engine: &Engine<Event>, settled_us: Option<u64>) -> io::Result<Report> {
    let mut fold = Fold::default();
    for host in &world.hosts {
        fold.word(host.fold.finish());
    }
    let report = Report {
        virtual_us: engine.now(),
        settled_us,
        events: engine.events(),
        messages: world.messages,
        told: world.told,
        failures: world.failures,
        faults: world.faults_done,
        checks: world.memo.counts(),
        findings: world.findings,
        hash: fold.finish(),
        planned: world.faults,
        options: world.options,
    };
    world.log.finish()?;
    Ok(report)
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
            Wire::Bytes => "bytes",
            Wire::Typed => "typed",
        };
        writeln!(f, "seed      {seed}, {nodes} nodes, {wire} on the wire")?;
        writeln!(f, "{}", self.options)?;
        let seconds = |micros: u64| micros as f64 / 1e6;
        write!(f, "time      {:.1} s virtual", seconds(self.virtual_us))?;
        match self.settled_us {
            Some(settled) => writeln!(f, ", all well {:.1} s after the storm", seconds(settled))?,
            None => writeln!(f, ", not all well in the end")?,
        }
        writeln!(f, "events    {}", self.events)?;
        writeln!(f, "messages  {}", Listed(&self.messages))?;
        writeln!(f, "unheard   {}", Listed(&self.failures))?;
        writeln!(f, "faults    {}", Listed(&self.faults))?;
        writeln!(
            f,
            "checks    {} asked, {} done",
            self.checks.0, self.checks.1
        )?;
        writeln!(f, "told      {}", Listed(&self.told))?;
        for oracle in Oracle::ALL {
            let (checks, misses) = (self.findings.checks(oracle), self.findings.misses(oracle));
            let verdict = match (checks, misses) {
                (_, 1..) => format!("VIOLATED {misses} times"),
                (0, 0) => "not asked".to_owned(),
                (checks, 0) => format!("holds, {checks} looks"),
            };
            writeln!(f, "oracle    {:<10}{verdict}", oracle.name())?;
        }
        for finding in self.findings() {
            writeln!(f, "finding   {finding}")?;
        }
        write!(f, "hash      {:016x}", self.hash)
    }
}

/// Counts by name in one line.
struct Listed<'a>(&'a Tally);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.total())?;
        for (place, (name, count)) in self.0.sorted().into_iter().enumerate() {
            write!(f, "{} {name} {count}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
