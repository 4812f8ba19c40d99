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
            Wire::Bytes => "as HTTP and back",
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
fn write_list(f: &mut fmt::Formatter<'_>, head: &str, items: &[String]) -> fmt::Result {
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
