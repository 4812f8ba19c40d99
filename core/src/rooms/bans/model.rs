//! The reference model: who is banned, from what an outsider sees.
//!
//! A ban that a node has written down holds until its end on the node's wall clock, or until an
//! operator lifts a ban of that address. It must not be taken back before, and what an operator was
//! told is done must be written down.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Command, Request, Response};
use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::bans::{Ban, BanKey};
use crate::input::PeerCert;
use crate::time::{Duration, Now, micros};

/// The model of a node's bans.
#[derive(Clone, Debug)]
pub struct Model {
    window_us: u64,
    written: BTreeMap<BanKey, Ban>,
    /// How often operators have banned or lifted a ban.
    orders: u64,
    /// Whether the input at hand lifts a ban.
    lifting: bool,
}

/// What was so when an operator asked.
#[derive(Clone, Debug)]
pub struct Owed {
    request: Request,
    surely: bool,
    orders: u64,
    until_us: u64,
}

/// Who is banned at one moment.
#[derive(Clone, Debug, Default)]
pub struct Banned {
    names: BTreeSet<BanKey>,
    orders: u64,
}

impl Banned {
    /// Whether it covers a peer, by its address or by the identity that it goes by.
    #[must_use]
    pub fn covers(&self, peer: &PeerInfo) -> bool {
        self.names.contains(&BanKey::of_address(&peer.address))
            || (peer.id).is_some_and(|id| self.names.contains(&BanKey::Fingerprint(id)))
    }

    /// Whether it covers whoever proves this.
    #[must_use]
    pub fn covers_cert(&self, cert: &PeerCert) -> bool {
        self.names.contains(&BanKey::Fingerprint(cert.fingerprint))
            || (cert.key).is_some_and(|key| self.names.contains(&BanKey::Key(key)))
    }
}

impl Model {
    /// The model of a node that starts with these bans.
    #[must_use]
    pub fn new(window: Duration, kept: impl Iterator<Item = (BanKey, Ban)>) -> Self {
        Self {
            window_us: micros(window),
            written: kept.collect(),
            orders: 0,
            lifting: false,
        }
    }

    /// Another input begins; nothing that was ordered before is going on.
    pub const fn begin(&mut self) {
        self.lifting = false;
    }

    /// An operator asks. Tells what the node owes.
    pub fn asked(&mut self, now: Now, request: &Request) -> Owed {
        self.orders += 1;
        self.lifting = request.command == Command::Unban;
        let name = BanKey::of_address(&request.addr);
        Owed {
            request: request.clone(),
            surely: (self.written.get(&name))
                .is_some_and(|ban| ban.until_us > now.wall.as_micros() + SOON_US),
            orders: self.orders,
            until_us: now.wall.as_micros().saturating_add(self.window_us),
        }
    }

    /// The node writes a ban, or takes one back.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn written(&mut self, now: Now, name: &BanKey, ban: Option<&Ban>) -> Result<(), String> {
        let before = match ban {
            Some(ban) => self.written.insert(name.clone(), ban.clone()),
            None => self.written.remove(name),
        };
        match before {
            Some(before)
                if ban.is_none() && !self.lifting && before.until_us > now.wall.as_micros() =>
            {
                Err(format!(
                    "the ban on {name} was taken back before its end, and nobody asked for it"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Who is banned now.
    #[must_use]
    pub fn banned(&self, now: Now) -> Banned {
        let wall = now.wall.as_micros();
        let in_force = self.written.iter().filter(|(_, ban)| ban.until_us > wall);
        Banned {
            names: in_force.map(|(name, _)| name.clone()).collect(),
            orders: self.orders,
        }
    }

    /// Whether whoever was banned `then` has been so ever since.
    #[must_use]
    pub fn lasted(&self, then: &Banned, now: Now) -> bool {
        let soon = now.wall.as_micros() + SOON_US;
        self.orders == then.orders
            && (then.names.iter())
                .all(|name| (self.written.get(name)).is_some_and(|ban| ban.until_us > soon))
    }

    /// Whether a call to `addr`, or to whoever holds the certificate `cert`, must not be made.
    #[must_use]
    pub fn forbids(&self, now: Now, name: &BanKey) -> bool {
        (self.written.get(name)).is_some_and(|ban| ban.until_us > now.wall.as_micros())
    }

    /// The name under which an address is banned.
    #[must_use]
    pub fn name(addr: &HostAddr) -> BanKey {
        BanKey::of_address(addr)
    }

    /// The node answers an operator.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(&self, now: Now, owed: &Owed, response: &Response) -> Result<(), String> {
        let addr = &owed.request.addr;
        let name = BanKey::of_address(addr);
        let alone = self.orders == owed.orders;
        // An answer may wait for the disk for longer than a ban lasts.
        let lasts = owed.until_us > now.wall.as_micros() + SOON_US;
        match (owed.request.command, response) {
            (_, Response::Unauthorized) => Err("a secret is asked for where there is none".into()),
            (Command::Ban, Response::NotBanned | Response::UnknownToUnban(_))
            | (Command::Unban, Response::BansFull | Response::UnknownToBan(_)) => {
                Err(format!("{:?} is answered with {response:?}", owed.request))
            }
            (Command::Unban, Response::NotBanned | Response::UnknownToUnban(_)) if owed.surely => {
                Err(format!("{addr} is banned, and said not to be"))
            }
            (Command::Ban, Response::Done)
                if alone
                    && lasts
                    && (self.written.get(&name)).is_none_or(|ban| ban.until_us < owed.until_us) =>
            {
                Err(format!("{addr} is said to be banned, and is not for long"))
            }
            (Command::Unban, Response::Done) if alone => {
                let left = self.written.iter().find(
                    |(_, ban)| matches!(&name, BanKey::Address(text) if *text == ban.address),
                );
                left.map_or(Ok(()), |(left, _)| {
                    Err(format!("{addr} is forgiven, and {left} is still banned"))
                })
            }
            (Command::Ban, Response::Done | Response::BansFull | Response::UnknownToBan(_))
            | (
                Command::Unban,
                Response::Done | Response::NotBanned | Response::UnknownToUnban(_),
            ) => Ok(()),
        }
    }
}

/// What ends in this very second may be over or not.
const SOON_US: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commons::bans::BanReason;
    use crate::time::{Instant, WallTime};

    fn at(seconds: u64) -> Now {
        Now {
            mono: Instant::from_micros(seconds * 1_000_000),
            wall: WallTime::from_micros(seconds * 1_000_000),
        }
    }

    fn order(command: Command) -> Request {
        Request {
            addr: "1.2.3.4:1789".parse().expect("an address"),
            command,
        }
    }

    fn ban(until: u64) -> Ban {
        Ban {
            reason: BanReason::Manual,
            since_us: 0,
            until_us: until * 1_000_000,
            address: "1.2.3.4".to_owned(),
        }
    }

    fn model() -> Model {
        Model::new(Duration::from_secs(60), std::iter::empty())
    }

    #[test]
    fn a_ban_holds_until_its_end_or_until_it_is_lifted() {
        let mut model = model();
        let name = BanKey::Address("1.2.3.4".to_owned());
        assert_eq!(model.written(at(10), &name, Some(&ban(70))), Ok(()));
        let peer = PeerInfo::new(None, "1.2.3.4:7".parse().expect("an address"));
        assert!(model.banned(at(69)).covers(&peer) && !model.banned(at(70)).covers(&peer));
        assert!(model.forbids(at(69), &name) && !model.forbids(at(70), &name));
        let then = model.banned(at(11));
        assert!(model.lasted(&then, at(60)) && !model.lasted(&then, at(69)));
        model
            .written(at(60), &name, None)
            .expect_err("nobody asked for it");
        model.written(at(60), &name, Some(&ban(70))).expect("again");
        model.asked(at(60), &order(Command::Unban));
        assert_eq!(model.written(at(60), &name, None), Ok(()));
        assert!(!model.lasted(&then, at(60)));
    }

    #[test]
    fn what_an_operator_is_told_is_written_down() {
        let mut model = model();
        let name = BanKey::Address("1.2.3.4".to_owned());
        let owed = model.asked(at(10), &order(Command::Ban));
        model
            .answered(at(10), &owed, &Response::Done)
            .expect_err("no ban");
        assert_eq!(model.answered(at(70), &owed, &Response::Done), Ok(()));
        model.written(at(10), &name, Some(&ban(70))).expect("a ban");
        assert_eq!(model.answered(at(10), &owed, &Response::Done), Ok(()));
        let owed = model.asked(at(20), &order(Command::Unban));
        for wrong in [Response::NotBanned, Response::BansFull, Response::Done] {
            model
                .answered(at(20), &owed, &wrong)
                .expect_err("it is banned");
        }
        model.written(at(20), &name, None).expect("asked for");
        assert_eq!(model.answered(at(20), &owed, &Response::Done), Ok(()));
    }
}
