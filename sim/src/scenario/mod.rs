//! Scenarios: a world, what happens in it and what must come of it, as a file.
//!
//! `sim/scenarios/README.md` is the reference of the format. A scenario is read into [`Options`], so
//! whatever it says can be run, replayed, copied and shrunk like any other world.

pub(crate) mod cluster;
mod expect;
pub(crate) mod grin;
mod read;
mod script;
mod section;

pub use expect::{Broken, Expectation};
pub(crate) use script::Answered;
pub use script::{Expected, Scripted, Transcript};
pub use section::ScenarioError;

use std::io;
use std::path::Path;

use crate::options::{Options, Wire};
use crate::run::{Phase, Progress, Report, Run};
use crate::watch::Watch;

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows, in a few words.
    pub title: String,
    /// What it teaches.
    pub about: String,
    /// The world.
    pub options: Options,
    /// What must come of it.
    pub expectations: Vec<Expectation>,
}

/// What is said beside the file, and wins.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// Another seed.
    pub seed: Option<u64>,
    /// Another number of nodes.
    pub nodes: Option<u32>,
    /// Another duration, in microseconds.
    pub duration: Option<u64>,
    /// Another wire.
    pub wire: Option<Wire>,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What came of the run.
    pub report: Report,
    /// The scripted requests and their answers.
    pub transcript: Transcript,
    /// The expectations that were not met.
    pub broken: Vec<Broken>,
}

impl Outcome {
    /// Whether every oracle is content and every expectation was met.
    #[must_use]
    pub fn good(&self) -> bool {
        self.report.good() && self.broken.is_empty()
    }
}

/// The scenarios that come with the simulator, by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    (
        "ban-spread",
        include_str!("../../scenarios/ban-spread.toml"),
    ),
    (
        "byzantine-peer-list",
        include_str!("../../scenarios/byzantine-peer-list.toml"),
    ),
    ("churn", include_str!("../../scenarios/churn.toml")),
    (
        "clock-skew",
        include_str!("../../scenarios/clock-skew.toml"),
    ),
    (
        "cluster-chaos",
        include_str!("../../scenarios/cluster-chaos.toml"),
    ),
    (
        "clusters-meet",
        include_str!("../../scenarios/clusters-meet.toml"),
    ),
    (
        "disk-trouble",
        include_str!("../../scenarios/disk-trouble.toml"),
    ),
    (
        "eclipse-attempt",
        include_str!("../../scenarios/eclipse-attempt.toml"),
    ),
    (
        "grin-deep-reorganisation",
        include_str!("../../scenarios/grin-deep-reorganisation.toml"),
    ),
    (
        "grin-partition",
        include_str!("../../scenarios/grin-partition.toml"),
    ),
    (
        "grin-spammer",
        include_str!("../../scenarios/grin-spammer.toml"),
    ),
    (
        "grin-spies",
        include_str!("../../scenarios/grin-spies.toml"),
    ),
    ("impostor", include_str!("../../scenarios/impostor.toml")),
    (
        "join-storm",
        include_str!("../../scenarios/join-storm.toml"),
    ),
    (
        "friends-block",
        include_str!("../../scenarios/friends-block.toml"),
    ),
    (
        "friends-clocks",
        include_str!("../../scenarios/friends-clocks.toml"),
    ),
    (
        "friends-cross",
        include_str!("../../scenarios/friends-cross.toml"),
    ),
    (
        "friends-forgers",
        include_str!("../../scenarios/friends-forgers.toml"),
    ),
    (
        "friends-restart",
        include_str!("../../scenarios/friends-restart.toml"),
    ),
    (
        "mempool-flood",
        include_str!("../../scenarios/mempool-flood.toml"),
    ),
    (
        "mixed-versions",
        include_str!("../../scenarios/mixed-versions.toml"),
    ),
    (
        "partition-and-heal",
        include_str!("../../scenarios/partition-and-heal.toml"),
    ),
    (
        "propagation",
        include_str!("../../scenarios/propagation.toml"),
    ),
    (
        "removal-in-partition",
        include_str!("../../scenarios/removal-in-partition.toml"),
    ),
    (
        "rolling-restart",
        include_str!("../../scenarios/rolling-restart.toml"),
    ),
    (
        "scripted-tour",
        include_str!("../../scenarios/scripted-tour.toml"),
    ),
    (
        "slow-region",
        include_str!("../../scenarios/slow-region.toml"),
    ),
];

impl Scenario {
    /// Reads a file, or a scenario that comes with the simulator by its name.
    ///
    /// # Errors
    /// What is wrong with it, with file, line and column.
    pub fn read(path: &str, overrides: &Overrides) -> Result<Self, String> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == path) {
            return Self::parse(text, name, None, overrides).map_err(|error| error.to_string());
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            format!("{path}: {error}; by name there are {}", names.join(", "))
        })?;
        let folder = Path::new(path).parent();
        Self::parse(&text, path, folder, overrides).map_err(|error| error.to_string())
    }

    /// Reads the text of a scenario. `name` is what errors call it; files that it names lie in
    /// `folder`.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn parse(
        text: &str,
        name: &str,
        folder: Option<&Path>,
        overrides: &Overrides,
    ) -> Result<Self, ScenarioError> {
        read::read(text, name, folder, overrides)
    }

    /// Runs it to its end while `watchers` look.
    ///
    /// # Errors
    /// What the watchers met.
    pub fn run(
        &self,
        watchers: Vec<Box<dyn Watch>>,
        mut progress: impl FnMut(Progress),
    ) -> io::Result<Outcome> {
        let mut run = Run::new(self.options.clone());
        let seen = expect::Seen::of(&self.expectations);
        seen.watch(&mut run);
        for watch in watchers {
            run.watch(watch);
        }
        while run.phase() != Phase::Over {
            run.advance(run.now() + 1_000_000);
            progress(run.progress());
        }
        let transcript = run.world().transcript();
        let mut broken = transcript.broken();
        broken.extend(
            self.expectations
                .iter()
                .filter_map(|expectation| expectation.check(&run, &seen)),
        );
        Ok(Outcome {
            report: run.finish()?,
            transcript,
            broken,
        })
    }
}
