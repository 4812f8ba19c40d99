//! Time travel: a run that goes back, branches, and tells how likely a failure is from here on.
//!
//! The traveller is driven by lines of text, so that what a person types can be kept and repeated.
//! Going back is a copy of the world from before, and the way from there; nothing is undone.

mod branch;
mod chance;

use std::fmt::Write as _;

use crate::inspect;
use crate::options::Time;
use crate::run::Run;
use crate::text;
use branch::Branch;

/// What can be typed.
pub const HELP: &str = "\
  step [N]          let N events happen, one if nothing is said
  goto TIME         go to a time, forward or back: goto 12.5s
  goto #N           go to the moment after the Nth event
  back [N|TIME]     go so many events back, or so much time: back 10, back 2.5s
  until finding     go on until an oracle finds something
  until event NAME  go on until a node tells of that event
  until node I      go on until something happens to that node
  end               go on to the end
  state I           what is known of node I
  pending [K]       the next K events
  faults            what was planned, by number
  where             where this is
  add FAULT         a fault more from here on: add 30s crash n3 for 5s
  reseed N          other luck from here on: network, disks, users and liars draw from seed N
  branch            keep this moment as a branch, and go on in a copy
  branches          all branches
  switch K          go on in branch K
  likely [N [SEED]] how often a failure follows from here: N copies, with luck of seeds from SEED on
  when [N]          where a failure became likely, with N copies at each of several moments
  quit

What was added or reseeded stays at its moment: whoever goes back before it meets it again on the way,
until something else is added or reseeded there.
";

/// Copies that are tried, if nothing is said.
const TRIES: u64 = 20;

/// Somebody who walks through runs.
#[derive(Debug)]
pub struct Traveller {
    branches: Vec<Branch>,
    current: usize,
}

/// What came of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This is to be shown.
    Text(String),
    /// That was the end.
    Quit,
}

impl Traveller {
    /// At the beginning of a run, or wherever it is.
    #[must_use]
    pub fn new(run: Run) -> Self {
        Self {
            branches: vec![Branch::new(run)],
            current: 0,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn run(&self) -> &Run {
        self.branches[self.current].run()
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn line(&mut self, line: &str) -> Result<Reply, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let text = match *words {
            [] => String::new(),
            ["help"] => HELP.to_owned(),
            ["quit" | "exit"] => return Ok(Reply::Quit),
            ["step"] => self.branch().step(1),
            ["step", many] => self.branch().step(number(many)?),
            ["goto", to] => {
                match to.strip_prefix('#') {
                    Some(event) => self.branch().go_to_event(number(event)?),
                    None => self.branch().go_to_time(time(to)?),
                }
                self.whereabouts()
            }
            ["back"] => self.back("1")?,
            ["back", many] => self.back(many)?,
            ["until", ref what @ ..] => self.until(what)?,
            ["end"] => {
                self.branch().go_to_time(u64::MAX);
                self.whereabouts()
            }
            ["state", node] => {
                inspect::node(self.run().world(), self.run().now(), self.node(node)?)
            }
            ["pending"] => inspect::pending(self.run(), 10),
            ["pending", many] => inspect::pending(self.run(), number(many)? as usize),
            ["faults"] => inspect::faults(self.run()),
            ["where"] => self.whereabouts(),
            ["add", ..] => {
                let fault = line.trim_start().trim_start_matches("add").trim();
                self.branch().add(fault)?;
                format!("added: {fault}\n")
            }
            ["reseed", seed] => {
                let seed = number(seed)?;
                self.branch().reseed(seed);
                format!("all luck from here on is that of seed {seed}\n")
            }
            ["branch"] => {
                let copy = self.branch().clone();
                self.branches.push(copy);
                self.current = self.branches.len() - 1;
                format!("this is branch {} now\n", self.current)
            }
            ["branches"] => self.list(),
            ["switch", to] => {
                let to = number(to)? as usize;
                if to >= self.branches.len() {
                    return Err(format!("there is no branch {to}"));
                }
                self.current = to;
                self.whereabouts()
            }
            ["likely"] => chance::likely(self.run(), TRIES, 0),
            ["likely", tries] => chance::likely(self.run(), number(tries)?, 0),
            ["likely", tries, from] => chance::likely(self.run(), number(tries)?, number(from)?),
            ["when"] => chance::when(self.branch(), TRIES),
            ["when", tries] => chance::when(self.branch(), number(tries)?),
            _ => return Err(format!("{line:?} means nothing here; try help")),
        };
        Ok(Reply::Text(text))
    }

    fn branch(&mut self) -> &mut Branch {
        &mut self.branches[self.current]
    }

    fn whereabouts(&self) -> String {
        inspect::overview(self.run())
    }

    /// A node that there is.
    fn node(&self, word: &str) -> Result<u32, String> {
        let nodes = self.run().world().options.nodes;
        let node = number(word.trim_start_matches('n'))?;
        match u32::try_from(node) {
            Ok(node) if node < nodes => Ok(node),
            _ => Err(format!(
                "there is no n{node}; there are n0 to n{}",
                nodes - 1
            )),
        }
    }

    fn back(&mut self, word: &str) -> Result<String, String> {
        if let Ok(events) = word.parse::<u64>() {
            let event = self.run().engine().events().saturating_sub(events);
            self.branch().go_to_event(event);
        } else {
            let to = self.run().now().saturating_sub(time(word)?);
            self.branch().go_to_time(to);
        }
        Ok(self.whereabouts())
    }

    fn until(&mut self, what: &[&str]) -> Result<String, String> {
        let found = match *what {
            ["finding"] => {
                let before = self.run().findings();
                self.branch().until(|run, _| run.findings() > before)
            }
            ["event", name] => {
                if !peerage_core::Event::names().any(|known| known == name) {
                    return Err(format!("no node tells of {name:?}"));
                }
                let before = self.run().world().told.of(name);
                self.branch()
                    .until(|run, _| run.world().told.of(name) > before)
            }
            ["node", node] => {
                let node = self.node(node)?;
                self.branch().until(|_, key| key.to == node)
            }
            _ => return Err("until what? until finding, until event NAME, until node I".to_owned()),
        };
        Ok(match found {
            Some(last) => last + &self.whereabouts(),
            None => format!("that never happens\n{}", self.whereabouts()),
        })
    }

    fn list(&self) -> String {
        let mut text = String::new();
        for (number, branch) in self.branches.iter().enumerate() {
            let here = if number == self.current { '*' } else { ' ' };
            let now = Time(branch.run().now());
            let _ = writeln!(text, "{here} {number} at {now}: {}", branch.story());
        }
        text
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse()
        .map_err(|_| format!("{word:?} is not a number"))
}

fn time(word: &str) -> Result<u64, String> {
    text::time(word).ok_or_else(|| format!("{word:?} is not a time; write 12.5s"))
}
