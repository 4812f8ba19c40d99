//! The reference model: who is surely banned, from what an outsider sees.
//!
//! A ban that a node told of holds until its window has passed on the node's wall clock, or until an
//! operator lifts a ban of that address.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Command, Request, Response};
use crate::commons::address::{HostAddr, Hostname};
use crate::time::{Duration, Now, WallTime, micros};

/// The model of a node's bans.
#[derive(Clone, Debug)]
pub struct Model {
    window_us: u64,
    /// Until when who is banned, by host. Nothing is known of bans from before the node started.
    until: BTreeMap<Hostname, WallTime>,
}

impl Model {
    /// The model of a node that starts.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self {
            window_us: micros(window),
            until: BTreeMap::new(),
        }
    }

    /// A ban began.
    pub fn banned(&mut self, now: Now, addr: &HostAddr) {
        let until = WallTime::from_micros(now.wall.as_micros() + self.window_us);
        self.until.insert(addr.host.clone(), until);
    }

    /// Bans have run out.
    pub fn expired(&mut self, now: Now) {
        self.until.retain(|_, until| *until > now.wall);
    }

    /// A ban was lifted. It may have been under a name that others share.
    pub fn unbanned(&mut self) {
        self.until.clear();
    }

    /// Whether the address is surely banned now.
    #[must_use]
    pub fn surely(&self, now: Now, addr: &HostAddr) -> bool {
        // What runs out in this very second may be over or not.
        let soon = now.wall.as_micros() + 1_000_000;
        self.until
            .get(&addr.host)
            .is_some_and(|until| until.as_micros() > soon)
    }

    /// Every host that is surely banned now, with all its ports.
    #[must_use]
    pub fn hosts(&self, now: Now) -> BTreeSet<Hostname> {
        let soon = now.wall.as_micros() + 1_000_000;
        let sure = self
            .until
            .iter()
            .filter(|(_, until)| until.as_micros() > soon);
        sure.map(|(host, _)| host.clone()).collect()
    }

    /// The node answers an operator. `surely` tells whether the address was surely banned when asked.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(request: &Request, surely: bool, response: &Response) -> Result<(), String> {
        match (request.command, response) {
            (Command::Ban, Response::NotBanned | Response::UnknownToUnban(_))
            | (Command::Unban, Response::BansFull | Response::UnknownToBan(_)) => {
                Err(format!("{request:?} is answered with {response:?}"))
            }
            (Command::Unban, Response::NotBanned | Response::UnknownToUnban(_)) if surely => {
                Err(format!("{} is banned, and said not to be", request.addr))
            }
            (Command::Ban, Response::Done | Response::BansFull | Response::UnknownToBan(_))
            | (
                Command::Unban,
                Response::Done | Response::NotBanned | Response::UnknownToUnban(_),
            ) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::from_micros(seconds * 1_000_000),
            wall: WallTime::from_micros(seconds * 1_000_000),
        }
    }

    #[test]
    fn a_ban_is_sure_until_its_window_is_over_or_it_is_lifted() {
        let mut model = Model::new(Duration::from_secs(60));
        let addr: HostAddr = "1.2.3.4:1789".parse().expect("an address");
        model.banned(at(10), &addr);
        assert!(model.surely(at(68), &addr) && model.hosts(at(68)).contains(&addr.host));
        assert!(!model.surely(at(70), &addr));
        model.unbanned();
        assert!(!model.surely(at(11), &addr));
    }

    #[test]
    fn an_answer_that_denies_a_ban_is_wrong() {
        let request = Request {
            addr: "1.2.3.4:1789".parse().expect("an address"),
            command: Command::Unban,
        };
        assert!(Model::answered(&request, true, &Response::NotBanned).is_err());
        assert!(Model::answered(&request, false, &Response::NotBanned).is_ok());
        assert!(Model::answered(&request, true, &Response::BansFull).is_err());
    }
}
