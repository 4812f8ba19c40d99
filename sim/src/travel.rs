//! Time travel: a run that goes back, branches, and tells how likely a failure is from here on.
//!
//! The traveller is driven by lines of text, so that what a person types can be kept and repeated.
//! Going back is a copy of the world from before, and the way from there; nothing is undone.

use std::fmt::Write as _;

use crate::inspect;
use crate::nemesis::Fault;
use crate::options::Time;
use crate::run::{Phase, Run};
use crate::text;

/// What can be typed.
pub const HELP: &str = "\
  step [N]          let N events happen, one if nothing is said
  goto TIME         go to a time, forward or back: goto 12.5s
  goto #N           go to the moment after the Nth event
  back [N]          go N events back
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
  likely [N]        how often a failure follows from here, in N copies with other luck
  when [N]          how likely a failure was at several moments: where did it become likely?
  quit";

/// Copies of a run that are kept for going back.
const MARKS_MAX: usize = 32;
/// Copies that are tried, if nothing is said.
const TRIES: u64 = 20;
/// Moments that `when` looks at.
const MOMENTS: u64 = 8;

/// Somebody who walks through runs.
#[derive(Debug)]
pub struct Traveller {
    branches: Vec<Branch>,
    current: usize,
}

/// One course of events.
#[derive(Clone, Debug)]
struct Branch {
    run: Run,
    /// Copies from before, earliest first.
    marks: Vec<Run>,
    /// What was done to it, in words.
    story: String,
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
        let first = Branch {
            marks: vec![run.clone()],
            run,
            story: "as it was drawn".to_owned(),
        };
        Self {
            branches: vec![first],
            current: 0,
        }
    }

    /// Does what a line says.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn line(&mut self, line: &str) -> Result<Reply, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| {
            word.parse::<u64>()
                .map_err(|_| format!("{word:?} is not a number"))
        };
        let text = match *words {
            [] => String::new(),
            ["help"] => format!("{HELP}\n"),
            ["quit" | "exit"] => return Ok(Reply::Quit),
            ["step"] => self.branch().step(1),
            ["step", many] => self.branch().step(number(many)?),
            ["goto", to] => match to.strip_prefix('#') {
                Some(event) => self.branch().go_to_event(number(event)?),
                None => {
                    let time = text::time(to)
                        .ok_or_else(|| format!("{to:?} is not a time; write 12.5s"))?;
                    self.branch().go_to_time(time)
                }
            },
            ["back"] => self.branch().back(1),
            ["back", many] => self.branch().back(number(many)?),
            ["until", "finding"] => self
                .branch()
                .until(|run, before| run.findings() > before.findings()),
            ["until", "event", name] => {
                let known = peerage_core::Event::names().any(|known| known == name);
                if !known {
                    return Err(format!("no node tells of {name:?}"));
                }
                let told = |run: &Run| run.world().told.of(name);
                self.branch().until(|run, before| told(run) > told(before))
            }
            ["until", "node", node] => {
                let node = number(node.trim_start_matches('n'))? as u32;
                self.branch().until_node(node)
            }
            ["end"] => {
                let branch = self.branch();
                branch.advance(u64::MAX);
                branch.whereabouts()
            }
            ["state", node] => {
                let node = number(node.trim_start_matches('n'))? as u32;
                let run = &self.branch().run;
                inspect::node(run.world(), run.now(), node)
            }
            ["pending"] => inspect::pending(&self.branch().run, 10),
            ["pending", many] => inspect::pending(&self.branch().run, number(many)? as usize),
            ["faults"] => self.branch().faults(),
            ["where"] => self.branch().whereabouts(),
            ["add", ..] => {
                let fault = line.trim_start().trim_start_matches("add").trim();
                self.branch().add(fault)?
            }
            ["reseed", seed] => self.branch().reseed(number(seed)?),
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
                self.branch().whereabouts()
            }
            ["likely"] => self.branch().likely(TRIES),
            ["likely", tries] => self.branch().likely(number(tries)?),
            ["when"] => self.branch().when(TRIES),
            ["when", tries] => self.branch().when(number(tries)?),
            _ => return Err(format!("{line:?} means nothing here; try help")),
        };
        Ok(Reply::Text(text))
    }

    fn branch(&mut self) -> &mut Branch {
        &mut self.branches[self.current]
    }

    fn list(&self) -> String {
        let mut text = String::new();
        for (number, branch) in self.branches.iter().enumerate() {
            let here = if number == self.current { '*' } else { ' ' };
            let _ = writeln!(
                text,
                "{here} {number} at {}: {}",
                Time(branch.run.now()),
                branch.story
            );
        }
        text
    }
}

impl Branch {
    fn whereabouts(&self) -> String {
        inspect::overview(&self.run)
    }

    /// Keeps a copy of this moment for going back.
    fn mark(&mut self) {
        let here = self.run.engine().events();
        if self
            .marks
            .last()
            .is_some_and(|mark| mark.engine().events() >= here)
        {
            return;
        }
        if self.marks.len() >= MARKS_MAX {
            // Every second one goes; the first stays.
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        self.marks.push(self.run.clone());
    }

    fn advance(&mut self, until: u64) {
        self.mark();
        self.run.advance(until);
        self.mark();
    }

    fn step(&mut self, many: u64) -> String {
        self.mark();
        let mut text = String::new();
        for number in 0..many {
            let Some((key, what)) = self.run.step() else {
                text.push_str("nothing more happens\n");
                break;
            };
            // Of many steps the last few are enough.
            if number + 10 >= many {
                let _ = writeln!(
                    text,
                    "#{} {}.{:06} to {} from {}: {what:?}",
                    self.run.engine().events(),
                    key.at / 1_000_000,
                    key.at % 1_000_000,
                    key.to,
                    key.from
                );
            }
        }
        text
    }

    /// The latest copy that is not beyond, as this moment.
    fn rewind(&mut self, not_beyond: impl Fn(&Run) -> bool) {
        while self.marks.len() > 1 && !self.marks.last().is_some_and(&not_beyond) {
            self.marks.pop();
        }
        if let Some(mark) = self.marks.last() {
            self.run = mark.clone();
        }
    }

    fn go_to_event(&mut self, event: u64) -> String {
        if event < self.run.engine().events() {
            self.rewind(|run| run.engine().events() <= event);
        }
        while self.run.engine().events() < event && self.run.step().is_some() {}
        self.mark();
        self.whereabouts()
    }

    fn go_to_time(&mut self, time: u64) -> String {
        if time < self.run.now() {
            self.rewind(|run| run.now() <= time);
        }
        self.advance(time);
        self.whereabouts()
    }

    fn back(&mut self, many: u64) -> String {
        let event = self.run.engine().events().saturating_sub(many);
        self.go_to_event(event)
    }

    fn until(&mut self, there: impl Fn(&Run, &Run) -> bool) -> String {
        self.mark();
        let before = self.run.clone();
        while !there(&self.run, &before) {
            if self.run.step().is_none() {
                return format!("that never happens\n{}", self.whereabouts());
            }
        }
        self.whereabouts()
    }

    fn until_node(&mut self, node: u32) -> String {
        self.mark();
        loop {
            match self.run.step() {
                None => return "nothing more happens\n".to_owned(),
                Some((key, what)) if key.to == node => {
                    return format!("{what:?}\n{}", self.whereabouts());
                }
                Some(_) => {}
            }
        }
    }

    fn faults(&self) -> String {
        let mut text = String::new();
        for (number, fault) in self.run.world().faults.iter().enumerate() {
            let past = if fault.at < self.run.now() {
                "past  "
            } else {
                "coming"
            };
            let _ = writeln!(text, "{number:4} {past} {fault}");
        }
        text
    }

    fn add(&mut self, line: &str) -> Result<String, String> {
        let fault: Fault = line.parse().map_err(|error| format!("{error}"))?;
        self.run.add_fault(fault)?;
        self.part(&format!("with {line}"));
        Ok(format!("added: {line}\n"))
    }

    fn reseed(&mut self, seed: u64) -> String {
        self.run.reseed(seed);
        self.part(&format!("with luck of seed {seed}"));
        format!("all luck from here on is that of seed {seed}\n")
    }

    /// From here on this is another course of events: what lay ahead is not what will be.
    fn part(&mut self, how: &str) {
        let _ = write!(self.story, "; from {} on {how}", Time(self.run.now()));
        let here = self.run.engine().events();
        self.marks.retain(|mark| mark.engine().events() < here);
        self.marks.push(self.run.clone());
    }

    fn likely(&self, tries: u64) -> String {
        let failed = failures(&self.run, tries);
        format!("{}\n", share(failed, tries))
    }

    fn when(&self, tries: u64) -> String {
        let Some(start) = self.marks.first() else {
            return String::new();
        };
        let end = self.run.now().max(start.now() + MOMENTS);
        let mut text = String::new();
        let mut walker = start.clone();
        for moment in 0..=MOMENTS {
            let at = start.now() + (end - start.now()) * moment / MOMENTS;
            walker.advance(at);
            let failed = failures(&walker, tries);
            let _ = writeln!(
                text,
                "{:>10}  {}",
                Time(walker.now()).to_string(),
                share(failed, tries)
            );
            if walker.phase() == Phase::Over {
                break;
            }
        }
        text
    }
}

/// In how many copies with other luck a failure follows.
fn failures(run: &Run, tries: u64) -> u64 {
    (0..tries)
        .filter(|number| {
            let mut copy = run.clone();
            copy.reseed(*number);
            copy.advance(u64::MAX);
            copy.findings() > 0
        })
        .count() as u64
}

fn share(failed: u64, tries: u64) -> String {
    let part = |of: u64| (failed * of).checked_div(tries).unwrap_or(0);
    let (percent, width) = (part(100), part(30) as usize);
    format!(
        "{percent:>3} % {}{} {failed} of {tries} fail",
        "█".repeat(width),
        "·".repeat(30 - width)
    )
}
