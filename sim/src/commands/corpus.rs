//! Runs that once failed, as a file: each with the command that repeats it and what it found.

use std::path::Path;

use clap::Parser;
use toml::Table;

use crate::cli::WorldArgs;

/// A run that once failed.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) world: WorldArgs,
    /// What it found.
    pub(crate) story: String,
}

/// The arguments of `run`, as a failing sweep prints them.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Again {
    #[command(flatten)]
    world: WorldArgs,
}

pub(crate) fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut file: Table = toml::from_str(text).map_err(|error| error.to_string())?;
    let cases = file
        .remove("case")
        .unwrap_or_else(|| Vec::<Table>::new().into());
    if let Some(key) = file.keys().next() {
        return Err(format!("{key:?} means nothing here; write [[case]]"));
    }
    let cases: Vec<Table> = cases.try_into().map_err(|error| error.to_string())?;
    let case = |(number, case): (usize, &Table)| {
        one(case).map_err(|error| format!("case {}: {error}", number + 1))
    };
    cases.iter().enumerate().map(case).collect()
}

fn one(case: &Table) -> Result<Case, String> {
    if let Some(key) = (case.keys()).find(|key| !["again", "story"].contains(&key.as_str())) {
        return Err(format!("{key:?} means nothing here"));
    }
    let text = |key: &str| {
        let text = case.get(key).and_then(|value| value.as_str());
        text.ok_or_else(|| format!("`{key}` is missing"))
    };
    let again = text("again")?;
    let words = again
        .strip_prefix("peerage-sim run ")
        .ok_or("`again` begins with: peerage-sim run")?;
    let again = Again::try_parse_from(words.split_whitespace());
    Ok(Case {
        world: again.map_err(|error| error.to_string())?.world,
        story: text("story")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_what_a_failing_sweep_prints() {
        let text = "[[case]]\nagain = 'peerage-sim run --seed 3 --nodes 4 --duration 5s \
                    --only crash,partition'\nstory = 'lost a row'\n";
        let cases = parse(text).expect("a corpus");
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].story, "lost a row");
        assert!(
            text.contains(&cases[0].world.again()),
            "{}",
            cases[0].world.again()
        );
        assert_eq!(parse("").expect("an empty corpus").len(), 0);
        for bad in [
            "[[case]]\nagain = 'peerage-sim run --seed 3'",
            "[[case]]\nagain = 'peerage-sim run --seed x'\nstory = 'x'",
            "[[case]]\nagain = 'run --seed 3'\nstory = 'x'",
            "[[case]]\nagain = 'peerage-sim run'\nstory = 'x'\nseed = 3",
            "[[cases]]\nagain = 'peerage-sim run'\nstory = 'x'",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
