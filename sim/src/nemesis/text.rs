//! Faults as lines of text, and back.

use std::fmt;
use std::str::FromStr;

use super::{Fault, Unsynced, What};
use crate::group::Group;
use crate::network::Way;
use crate::text::{self, Exactly, Percent};

/// Every kind of fault with an example, for `--help` and error messages.
pub const KINDS_HELP: &str = "\
A fault is TIME KIND WHO [how] [for TIME]; without `for` it lasts until the storm ends.
WHO is n3, n0-n9, n1,n4-n7, all, share(0.25,17) (a quarter, picked by the number 17) or !n3.

Links:
  30s partition n0-n4 | n5-n9 for 20s      messages between the two sides vanish
  30s partition n0 > n1-n9 for 20s         only those from the first side
  30s partition n0 | !n0 spare-flight      what is under way still arrives
  30s clog n0 | all for 5s                 messages wait until it ends
  30s degrade n0 | all latency 200ms loss 5% bandwidth 20000 for 1m
  30s refuse n3 for 5s                     connections are refused
  30s hang n3 for 5s                       connections are accepted and never answered
  30s reset n3                             all connections break at once
  30s impersonate n3 for 5s                somebody else answers, with another certificate
Nodes:
  30s crash n3 for 5s                      some of the unsynced writes survive
  30s crash n3 silent lost for 5s          nobody is told; all unsynced writes are lost
  30s crash n3 torn for 5s                 half a commit is on the disk
  30s stop n3 grace 2s for 5s              asked to stop, and stopped after the grace
  30s lose n3                              never comes back
  30s pause n3 for 5s                      does nothing; what arrives waits
  30s jump n3 +1h  |  30s jump n3 -20s     the wall clock jumps
  30s drift n3 +200ppm for 1m              both clocks run too fast
  30s slow n3 5ms for 1m                   each input takes so long
  30s join n3                              exists only from then on
  30s renew n3 for 1s                      comes back with another certificate
  30s wipe n3 for 1s                       comes back with an empty disk
  30s downgrade n3 for 1m                  runs an older release: smaller limits, former licence
Disks:
  30s disk-slow n3 50ms for 1m             each write takes longer
  30s disk-stall n3 for 5s                 no write ends
  30s disk-fail n3 for 5s                  a sync fails: the node must stop
  30s disk-full n3 for 5s                  nothing can be written: the node must stop
  30s disk-flip n3 for 5s                  bits change: the node must notice when it starts";

/// A line that is not a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAFault {
    line: String,
    why: String,
}

impl fmt::Display for NotAFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a fault: {}", self.line, self.why)
    }
}

impl std::error::Error for NotAFault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Exactly(self.at), self.what)?;
        match self.lasts {
            Some(lasts) => write!(f, " for {}", Exactly(lasts)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.kind().name();
        let sides = |f: &mut fmt::Formatter<'_>, a: &Group, b: &Group, way: Way| {
            let sign = match way {
                Way::Both => '|',
                Way::Outward => '>',
            };
            write!(f, "{name} {a} {sign} {b}")
        };
        match self {
            Self::Partition {
                a,
                b,
                way,
                spares_flight,
            } => {
                sides(f, a, b, *way)?;
                f.write_str(if *spares_flight { " spare-flight" } else { "" })
            }
            Self::Clog { a, b, way } => sides(f, a, b, *way),
            Self::Degrade {
                a,
                b,
                way,
                latency,
                loss,
                bandwidth,
            } => {
                sides(f, a, b, *way)?;
                if *latency > 0 {
                    write!(f, " latency {}", Exactly(*latency))?;
                }
                if *loss > 0 {
                    write!(f, " loss {}", Percent(*loss))?;
                }
                if *bandwidth > 0 {
                    write!(f, " bandwidth {bandwidth}")?;
                }
                Ok(())
            }
            Self::Crash {
                nodes,
                silent,
                unsynced,
            } => {
                let silent = if *silent { " silent" } else { "" };
                let unsynced = match unsynced {
                    Unsynced::Drawn => "",
                    Unsynced::Lost => " lost",
                    Unsynced::Torn => " torn",
                };
                write!(f, "{name} {nodes}{silent}{unsynced}")
            }
            Self::Stop { nodes, grace } => write!(f, "{name} {nodes} grace {}", Exactly(*grace)),
            Self::Jump { nodes, by } => {
                let sign = if *by < 0 { '-' } else { '+' };
                write!(f, "{name} {nodes} {sign}{}", Exactly(by.unsigned_abs()))
            }
            Self::Drift { nodes, ppm } => write!(f, "{name} {nodes} {ppm:+}ppm"),
            Self::Slow { nodes, each } => write!(f, "{name} {nodes} {}", Exactly(*each)),
            Self::DiskSlow { nodes, by } => write!(f, "{name} {nodes} {}", Exactly(*by)),
            Self::Refuse(nodes)
            | Self::Hang(nodes)
            | Self::Reset(nodes)
            | Self::Impersonate(nodes)
            | Self::Lose(nodes)
            | Self::Pause(nodes)
            | Self::Join(nodes)
            | Self::Renew(nodes)
            | Self::Wipe(nodes)
            | Self::Downgrade(nodes)
            | Self::DiskStall(nodes)
            | Self::DiskFail(nodes)
            | Self::DiskFull(nodes)
            | Self::DiskFlip(nodes) => write!(f, "{name} {nodes}"),
        }
    }
}

impl FromStr for Fault {
    type Err = NotAFault;

    fn from_str(line: &str) -> Result<Self, NotAFault> {
        Self::parse(line, &|name| name.parse().ok())
    }
}

impl Fault {
    /// Reads a fault. `group` says whom a name means.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn parse(line: &str, group: &dyn Fn(&str) -> Option<Group>) -> Result<Self, NotAFault> {
        let mut words = Words {
            words: line.split_whitespace().collect(),
            group,
        };
        words.fault().map_err(|why| NotAFault {
            line: line.to_owned(),
            why,
        })
    }
}

/// The words of a line that are not yet understood.
struct Words<'a> {
    words: std::collections::VecDeque<&'a str>,
    group: &'a dyn Fn(&str) -> Option<Group>,
}

impl<'a> Words<'a> {
    fn fault(&mut self) -> Result<Fault, String> {
        let at = self.time("the time when it begins")?;
        let kind = self.word("a kind")?.to_owned();
        let what = self.what(&kind)?;
        let lasts = if self.takes("for") {
            Some(self.time("how long it lasts, after `for`")?)
        } else {
            None
        };
        match self.words.front() {
            Some(word) => Err(format!("{word:?} means nothing here")),
            None => Ok(Fault { at, lasts, what }),
        }
    }

    fn what(&mut self, kind: &str) -> Result<What, String> {
        let simple: fn(Group) -> What = match kind {
            "partition" => {
                let (a, b, way) = self.sides()?;
                let spares_flight = self.takes("spare-flight");
                return Ok(What::Partition {
                    a,
                    b,
                    way,
                    spares_flight,
                });
            }
            "clog" => {
                let (a, b, way) = self.sides()?;
                return Ok(What::Clog { a, b, way });
            }
            "degrade" => return self.degrade(),
            "crash" => {
                let nodes = self.nodes()?;
                let silent = self.takes("silent");
                let unsynced = if self.takes("lost") {
                    Unsynced::Lost
                } else if self.takes("torn") {
                    Unsynced::Torn
                } else {
                    Unsynced::Drawn
                };
                return Ok(What::Crash {
                    nodes,
                    silent,
                    unsynced,
                });
            }
            "stop" => {
                let nodes = self.nodes()?;
                let grace = if self.takes("grace") {
                    self.time("the grace")?
                } else {
                    GRACE
                };
                return Ok(What::Stop { nodes, grace });
            }
            "jump" => {
                let nodes = self.nodes()?;
                return Ok(What::Jump {
                    nodes,
                    by: self.jump()?,
                });
            }
            "drift" => {
                let nodes = self.nodes()?;
                return Ok(What::Drift {
                    nodes,
                    ppm: self.ppm()?,
                });
            }
            "slow" => {
                let nodes = self.nodes()?;
                let each = self.time("how long each input takes")?;
                return Ok(What::Slow { nodes, each });
            }
            "disk-slow" => {
                let nodes = self.nodes()?;
                let by = self.time("how much longer each write takes")?;
                return Ok(What::DiskSlow { nodes, by });
            }
            "refuse" => What::Refuse,
            "hang" => What::Hang,
            "reset" => What::Reset,
            "impersonate" => What::Impersonate,
            "lose" => What::Lose,
            "pause" => What::Pause,
            "join" => What::Join,
            "renew" => What::Renew,
            "wipe" => What::Wipe,
            "downgrade" => What::Downgrade,
            "disk-stall" => What::DiskStall,
            "disk-fail" => What::DiskFail,
            "disk-full" => What::DiskFull,
            "disk-flip" => What::DiskFlip,
            _ => {
                let kinds: Vec<_> = super::Kind::ALL
                    .into_iter()
                    .map(super::Kind::name)
                    .collect();
                return Err(format!(
                    "there is no {kind:?}; there are {}",
                    kinds.join(", ")
                ));
            }
        };
        Ok(simple(self.nodes()?))
    }

    fn degrade(&mut self) -> Result<What, String> {
        let (a, b, way) = self.sides()?;
        let (mut latency, mut loss, mut bandwidth) = (0, 0, 0);
        loop {
            if self.takes("latency") {
                latency = self.time("a latency")?;
            } else if self.takes("loss") {
                let word = self.word("a loss")?;
                loss =
                    text::share(word).ok_or_else(|| format!("{word:?} is no share; write 5%"))?;
            } else if self.takes("bandwidth") {
                let word = self.word("a bandwidth")?;
                bandwidth = (word.parse().ok())
                    .filter(|bandwidth| *bandwidth > 0)
                    .ok_or_else(|| format!("{word:?} is no bandwidth; write bytes per second"))?;
            } else {
                break;
            }
        }
        if (latency, loss, bandwidth) == (0, 0, 0) {
            return Err("say how: latency 200ms, loss 5%, bandwidth 20000".to_owned());
        }
        Ok(What::Degrade {
            a,
            b,
            way,
            latency,
            loss,
            bandwidth,
        })
    }

    fn word(&mut self, what: &str) -> Result<&'a str, String> {
        self.words
            .pop_front()
            .ok_or_else(|| format!("it ends before {what}"))
    }

    /// Takes the word if it is the next.
    fn takes(&mut self, word: &str) -> bool {
        let next = self.words.front() == Some(&word);
        if next {
            self.words.pop_front();
        }
        next
    }

    fn time(&mut self, what: &str) -> Result<u64, String> {
        let word = self.word(what)?;
        text::time(word).ok_or_else(|| {
            format!("{word:?} is not {what}; a time is 250us, 40ms, 1.5s, 10m or 1h")
        })
    }

    fn nodes(&mut self) -> Result<Group, String> {
        let group = self.group;
        let word = self.word("the nodes")?;
        group(word).ok_or_else(|| crate::group::NotAGroup(word.to_owned()).to_string())
    }

    /// `a | b` or `a > b`, with or without spaces.
    fn sides(&mut self) -> Result<(Group, Group, Way), String> {
        let mut glued = String::new();
        while let Some(word) = self.words.front() {
            let begun = glued.contains(['|', '>']);
            if begun && !glued.ends_with(['|', '>']) && !word.starts_with(['|', '>']) {
                break;
            }
            glued.push_str(word);
            self.words.pop_front();
        }
        let (a, b, way) = if let Some((a, b)) = glued.split_once('|') {
            (a, b, Way::Both)
        } else if let Some((a, b)) = glued.split_once('>') {
            (a, b, Way::Outward)
        } else {
            return Err("say between whom: n0-n4 | n5-n9, or n0 > n1".to_owned());
        };
        let side = |name: &str| {
            (self.group)(name).ok_or_else(|| crate::group::NotAGroup(name.to_owned()).to_string())
        };
        Ok((side(a)?, side(b)?, way))
    }

    fn jump(&mut self) -> Result<i64, String> {
        let word = self.word("how far the clock jumps")?;
        let error = || format!("{word:?} is not how far the clock jumps; write +1h or -20s");
        let (back, span) = match word.strip_prefix('-') {
            Some(span) => (true, span),
            None => (false, word.strip_prefix('+').ok_or_else(error)?),
        };
        let span = text::time(span).ok_or_else(error)? as i64;
        Ok(if back { -span } else { span })
    }

    fn ppm(&mut self) -> Result<i32, String> {
        let word = self.word("how fast the clock drifts")?;
        word.strip_suffix("ppm")
            .and_then(|number| number.parse().ok())
            .filter(|ppm: &i32| ppm.unsigned_abs() <= 500_000)
            .ok_or_else(|| format!("{word:?} is no drift; write +200ppm, up to 500000ppm"))
    }
}

/// From the request to stop to the stop, if nothing else is said.
const GRACE: u64 = 2_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::Kind;

    #[test]
    fn the_examples_of_the_help_are_faults_of_every_kind() {
        let mut kinds = std::collections::BTreeSet::new();
        for line in KINDS_HELP.lines().filter(|line| line.starts_with("  ")) {
            for example in line.split("  |  ") {
                let example = example.trim();
                let text = example.split("    ").next().unwrap_or(example);
                let fault: Fault = text.parse().unwrap_or_else(|error| panic!("{error}"));
                kinds.insert(fault.what.kind());
                assert_eq!(fault.to_string().parse(), Ok(fault), "{text}");
            }
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), Kind::ALL);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (line, why) in [
            ("", "it ends before the time when it begins"),
            ("5 crash n1", "\"5\" is not the time when it begins"),
            ("5s nap n1", "there is no \"nap\"; there are clog, crash"),
            ("5s crash", "it ends before the nodes"),
            ("5s crash eu", "\"eu\" names no nodes"),
            ("5s crash n1 loudly", "\"loudly\" means nothing here"),
            ("5s crash n1 for ever", "\"ever\" is not how long it lasts"),
            ("5s partition n1", "say between whom"),
            ("5s partition n1 | x", "\"x\" names no nodes"),
            ("5s degrade n1 | n2", "say how"),
            ("5s jump n1 20s", "write +1h or -20s"),
            ("5s drift n1 9", "is no drift"),
        ] {
            let error = line.parse::<Fault>().expect_err(line).to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
