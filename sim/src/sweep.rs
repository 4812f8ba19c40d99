//! Many seeds: which of them a machine of a fleet runs, what each came to, and what all came to
//! together.
//!
//! A result is one line of JSON. The lines of all machines together are the same as those of one
//! machine that did everything, so a fleet needs no more than its own scheduler and a shared folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use serde_json::{Value, json};

use crate::Wire;
use crate::oracle::Oracle;
use crate::run::Report;
use crate::scenario::Broken;
use crate::seed::Seeds;

/// The commit that the program was built from.
pub const COMMIT: &str = env!("PEERAGE_COMMIT");

/// One of so many equal parts of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from zero.
    pub index: u64,
    /// Of how many.
    pub count: u64,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The part that the environment asks for: `PEERAGE_SHARD=I/N`, an indexed job of Kubernetes,
    /// or an array of Slurm. `count` is how many parts there are, where the scheduler does not say.
    ///
    /// # Errors
    /// What is wrong with the variables.
    pub fn of_environment(
        count: Option<u64>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        if let Some(text) = variable("PEERAGE_SHARD") {
            return text
                .parse()
                .map(Some)
                .map_err(|error| format!("PEERAGE_SHARD: {error}"));
        }
        let number = |name: &str| -> Result<Option<u64>, String> {
            variable(name)
                .map(|text| {
                    text.parse()
                        .map_err(|_| format!("{name}: {text:?} is not a number"))
                })
                .transpose()
        };
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            let count = match count {
                Some(count) => count,
                None => number("JOB_COMPLETIONS")?.ok_or(
                    "JOB_COMPLETION_INDEX is set, but not how many there are: give --shards N or \
                     set JOB_COMPLETIONS",
                )?,
            };
            return Self::new(index, count).map(Some);
        }
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let Some(count) = number("SLURM_ARRAY_TASK_COUNT")?.or(count) else {
                return Err(
                    "SLURM_ARRAY_TASK_ID is set, but not SLURM_ARRAY_TASK_COUNT: give --shards N"
                        .to_owned(),
                );
            };
            return Self::new(id.saturating_sub(first) / step, count).map(Some);
        }
        Ok(None)
    }

    fn new(index: u64, count: u64) -> Result<Self, String> {
        if index < count {
            Ok(Self { index, count })
        } else {
            Err(format!(
                "there is no part {index} of {count}; they are counted from 0"
            ))
        }
    }

    /// The seeds of this part. All parts together are the whole, and no two share one.
    pub fn seeds(self, all: Range<u64>) -> impl Iterator<Item = u64> + Clone {
        // By turns, because neighbours are as likely to be long as others.
        let first = all.start.saturating_add(self.index);
        (first..all.end.max(first)).step_by(self.count as usize)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        let (index, count) = parts
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)))
            .ok_or_else(|| format!("{text:?} is not a part of a whole; write 0/4 to 3/4"))?;
        Self::new(index, count)
    }
}

/// How large the world of a seed is, where nothing else is said: mostly small, because small worlds
/// show most faults and cost little.
#[must_use]
pub fn drawn_nodes(seed: u64) -> u32 {
    let mut luck = Seeds::new(seed).family("sweep").luck(0);
    match luck.below(20) {
        0 => luck.range(13, 41) as u32,
        _ => luck.range(2, 13) as u32,
    }
}

/// How large the world of a seed is, if it may only be as large as `range` allows.
#[must_use]
pub fn drawn_nodes_within(seed: u64, range: Range<u32>) -> u32 {
    let mut luck = Seeds::new(seed).family("sweep").luck(2);
    luck.range(range.start.into(), range.end.into()) as u32
}

/// How long the world of a seed storms, where nothing else is said, in microseconds.
#[must_use]
pub fn drawn_duration(seed: u64) -> u64 {
    let mut luck = Seeds::new(seed).family("sweep").luck(3);
    let seconds = match luck.below(20) {
        0 => luck.range(90, 301),
        _ => luck.range(20, 90),
    };
    seconds * 1_000_000
}

/// How messages cross in the world of a seed, where nothing else is said.
#[must_use]
pub fn drawn_wire(seed: u64) -> Wire {
    match Seeds::new(seed).family("sweep").luck(1).below(4) {
        0 => Wire::Bytes,
        1 => Wire::Mangled,
        _ => Wire::Typed,
    }
}

/// What came of one seed, as a line of JSON. `again` repeats it; `broken` are the expectations of a
/// scenario that were not met.
#[must_use]
pub fn line(report: &Report, again: &str, broken: &[Broken]) -> Value {
    let options = &report.options;
    let violated: Vec<&str> = Oracle::ALL
        .into_iter()
        .filter(|oracle| report.findings.misses(*oracle) > 0)
        .map(Oracle::name)
        .collect();
    let told: BTreeMap<&str, u64> = report.told.sorted().into_iter().collect();
    json!({
        "seed": options.seed,
        "commit": COMMIT,
        "nodes": options.nodes,
        "duration_us": options.duration,
        "wire": options.wire.name(),
        "hash": format!("{:016x}", report.hash),
        "events": report.events,
        "virtual_us": report.virtual_us,
        "violations": report.findings.total(),
        "good": report.good() && broken.is_empty(),
        "violated": violated,
        "expectations_broken": broken.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "first_finding": report.findings().first().map(ToString::to_string)
            .or_else(|| broken.first().map(ToString::to_string)),
        "told": told,
        "again": again,
    })
}

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    seeds: BTreeSet<u64>,
    /// How many runs there were.
    runs: usize,
    commits: BTreeSet<String>,
    events: u64,
    virtual_us: u64,
    /// Failures by what was violated.
    failures: BTreeMap<String, u64>,
    /// The failing seeds and the commands that repeat them, with the virtual time that each took and
    /// what it found first.
    failing: BTreeMap<(u64, String), (u64, String)>,
    /// How often each event was told, and in how many seeds.
    told: BTreeMap<String, (u64, u64)>,
}

impl Summary {
    /// Takes in one line.
    ///
    /// # Errors
    /// What is wrong with the line, or that its seed came before.
    pub fn add(&mut self, line: &Value) -> Result<(), String> {
        match line["seed"].as_u64() {
            Some(seed) if self.seeds.contains(&seed) => Err(format!("seed {seed} comes twice")),
            Some(_) | None => self.add_case(line),
        }
    }

    /// Takes in one line, of a seed that may come several times in different worlds.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn add_case(&mut self, line: &Value) -> Result<(), String> {
        let number = |key: &str| {
            line[key]
                .as_u64()
                .ok_or_else(|| format!("{key} is missing"))
        };
        let seed = number("seed")?;
        self.seeds.insert(seed);
        self.runs += 1;
        let commit = line["commit"].as_str().ok_or("commit is missing")?;
        self.commits.insert(commit.to_owned());
        self.events += number("events")?;
        let virtual_us = number("virtual_us")?;
        self.virtual_us += virtual_us;
        if let Some(told) = line["told"].as_object() {
            for (name, count) in told {
                let (times, seeds) = self.told.entry(name.clone()).or_default();
                *times += count.as_u64().unwrap_or(0);
                *seeds += 1;
            }
        }
        if line["good"] != Value::Bool(true) {
            let names = line["violated"].as_array().into_iter().flatten();
            let mut names: Vec<String> = names
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect();
            let broken = line["expectations_broken"].as_array();
            if broken.is_some_and(|broken| !broken.is_empty()) {
                names.push("expectations".to_owned());
            }
            for name in names {
                *self.failures.entry(name).or_default() += 1;
            }
            let text = |key: &str| line[key].as_str().unwrap_or("").to_owned();
            let failing = (virtual_us, text("first_finding"));
            self.failing.insert((seed, text("again")), failing);
        }
        Ok(())
    }

    /// Looks whether all of `range` is there, or else that nothing is missing in between, and
    /// whether all is of one commit.
    ///
    /// # Errors
    /// What is amiss.
    pub fn check_complete(&self, range: Option<Range<u64>>) -> Result<(), String> {
        if self.commits.len() > 1 {
            let commits: Vec<&str> = self.commits.iter().map(String::as_str).collect();
            return Err(format!(
                "the results are of different commits: {}",
                commits.join(", ")
            ));
        }
        let (Some(first), Some(last)) = (self.seeds.first(), self.seeds.last()) else {
            return Ok(());
        };
        let range = match range {
            None => *first..last.saturating_add(1),
            Some(range) if range.contains(first) && range.contains(last) => range,
            Some(range) => {
                return Err(format!(
                    "there are seeds from {first} to {last}, which is more than {range:?}"
                ));
            }
        };
        match range.clone().find(|seed| !self.seeds.contains(seed)) {
            Some(missing) => Err(format!("seed {missing} of {range:?} is missing")),
            None => Ok(()),
        }
    }

    /// How many seeds failed.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failing.len()
    }

    /// How many runs there were.
    #[must_use]
    pub const fn runs(&self) -> usize {
        self.runs
    }

    /// Which events were told, how often and in how many seeds.
    #[must_use]
    pub const fn coverage(&self) -> Coverage<'_> {
        Coverage(self)
    }

    /// The events that were told.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.told.keys().map(String::as_str)
    }

    /// The events of `names` that were told in no seed.
    #[must_use]
    pub fn never_told<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        names
            .filter(|name| !self.told.contains_key(*name))
            .collect()
    }
}

/// Failing seeds that are named in a summary.
const NAMED: usize = 20;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commits: Vec<&str> = self.commits.iter().map(String::as_str).collect();
        writeln!(
            f,
            "{} runs of commit {}: {} failed; {} events in {:.1} virtual hours",
            self.runs,
            commits.join(", "),
            self.failing.len(),
            self.events,
            self.virtual_us as f64 / 3_600_000_000.0,
        )?;
        for (name, count) in &self.failures {
            writeln!(f, "  {name}: {count} seeds")?;
        }
        for ((seed, again), (_, finding)) in self.failing.iter().take(NAMED) {
            writeln!(f, "seed {seed}: {finding}\n  again: {again}")?;
        }
        if self.failing.len() > NAMED {
            writeln!(f, "and {} more", self.failing.len() - NAMED)?;
        }
        let shortest = self.failing.iter().min_by_key(|(_, (time, _))| time);
        if let Some(((seed, again), _)) = shortest {
            writeln!(f, "the shortest failing run is seed {seed}: {again}")?;
        }
        Ok(())
    }
}

/// Which events were told.
#[derive(Debug)]
pub struct Coverage<'a>(&'a Summary);

impl fmt::Display for Coverage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&str> = peerage_core::Event::names().collect();
        names.sort_unstable();
        for name in names {
            match self.0.told.get(name) {
                Some((times, seeds)) => {
                    writeln!(f, "{name:32} {times:>12} times in {seeds} seeds")?
                }
                None => writeln!(f, "{name:32}        never")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_the_whole() {
        for count in 1..9 {
            let mut seen: Vec<u64> = (0..count)
                .flat_map(|index| Shard { index, count }.seeds(5..42))
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (5..42).collect::<Vec<_>>(), "{count}");
        }
        let more_than_seeds = Shard { index: 7, count: 9 };
        assert_eq!(more_than_seeds.seeds(0..5).count(), 0);
    }

    fn shard(variables: &[(&str, &str)], count: Option<u64>) -> Result<Option<Shard>, String> {
        Shard::of_environment(count, |name| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn schedulers_say_which_part_is_whose() {
        let part = |index, count| Ok(Some(Shard { index, count }));
        assert_eq!(shard(&[], None), Ok(None));
        assert_eq!(shard(&[("PEERAGE_SHARD", "2/5")], None), part(2, 5));
        assert_eq!(shard(&[("JOB_COMPLETION_INDEX", "3")], Some(8)), part(3, 8));
        let indexed = [("JOB_COMPLETION_INDEX", "3"), ("JOB_COMPLETIONS", "4")];
        assert_eq!(shard(&indexed, None), part(3, 4));
        let array = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "6"),
        ];
        assert_eq!(shard(&array, None), part(2, 6));
        for bad in [
            &[("PEERAGE_SHARD", "5/5")][..],
            &[("PEERAGE_SHARD", "five")],
            &[("JOB_COMPLETION_INDEX", "0")],
            &[("JOB_COMPLETION_INDEX", "x"), ("JOB_COMPLETIONS", "4")],
            &[("SLURM_ARRAY_TASK_ID", "1")],
        ] {
            assert!(shard(bad, None).is_err(), "{bad:?}");
        }
    }

    fn told(seed: u64, commit: &str) -> Value {
        json!({
            "seed": seed, "commit": commit, "events": 5, "virtual_us": 7, "good": seed != 3,
            "violated": ["export"], "told": { "started": 2 }, "again": "again", "first_finding": "x",
        })
    }

    #[test]
    fn a_gap_a_repetition_and_a_strange_commit_are_noticed() {
        let mut summary = Summary::default();
        for seed in [4, 2, 3] {
            summary.add(&told(seed, "a")).expect("a line");
        }
        assert_eq!(summary.check_complete(None), Ok(()));
        assert_eq!(summary.check_complete(Some(2..5)), Ok(()));
        for range in [1..5, 2..6, 3..5, 2..4] {
            assert!(summary.check_complete(Some(range)).is_err());
        }
        assert_eq!((summary.runs(), summary.failures()), (3, 1));
        assert!(summary.to_string().contains("export: 1 seeds"), "{summary}");
        assert!(summary.add(&told(3, "a")).is_err());
        summary.add(&told(6, "a")).expect("a line");
        assert!(summary.check_complete(None).is_err(), "5 is missing");
        summary.add(&told(5, "b")).expect("a line");
        assert!(summary.check_complete(None).is_err(), "two commits");
        assert!(summary.add(&json!({})).is_err());
    }
}
