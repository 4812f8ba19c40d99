//! The door to the one ban list: `POST /v1/peers/{addr}/ban` and `…/unban`, for operators.
//!
//! Rules: Grin's node API v1 as of v4.1.1, with one difference: a peer that is known but not
//! connected is banned with 200, because the state did change.

pub mod http;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod types;

pub use types::{Command, Event, Request, Response, Row, Then, Timer};

use crate::access::Access;
use crate::commons::Notice;
use crate::commons::address::HostAddr;
use crate::commons::bans::{BanKey, BanReason};
use crate::config::Config;
use crate::cx::Cx;
use crate::event::NodeEvent;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::time::Now;
use crate::verify::Verdict;

/// The room. What it changes is the commons'.
#[derive(Clone, Debug)]
pub struct Bans {
    access: Access,
}

impl Room for Bans {
    const SCOPE: Scope = Scope::Bans;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(config: &Config, _: &mut Stream) -> Self {
        Self {
            access: Access::new(config.grin.api_secret.as_ref()),
        }
    }

    fn start(&mut self, _: &mut Cx<'_, Self>) {}

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        if !self.access.admits(from.authorization.as_ref()) {
            return cx.respond(id, Response::Unauthorized);
        }
        let Request { addr, command } = request;
        let response = match command {
            Command::Ban => Self::ban(cx, &addr),
            Command::Unban => Self::unban(cx, &addr),
        };
        cx.respond(id, response);
    }

    fn reply(&mut self, _: &mut Cx<'_, Self>, then: Then, _: Result<Answer, CallError>) {
        match then {}
    }

    fn verdict(&mut self, _: &mut Cx<'_, Self>, then: Then, _: Verdict) {
        match then {}
    }

    fn timer(&mut self, _: &mut Cx<'_, Self>, timer: Timer) {
        match timer {}
    }

    fn notice(&mut self, _: &mut Cx<'_, Self>, _: &Notice) {}

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        match row {}
    }

    fn export(&self, _: &mut Vec<rooms::Row>) {}

    fn gauges(&self, _: &mut dyn FnMut(&'static str, u64)) {}
}

impl Bans {
    fn ban(cx: &mut Cx<'_, Self>, addr: &HostAddr) -> Response {
        let keys = Self::keys(cx, addr);
        let banned = cx
            .commons()
            .bans
            .covers(cx.now().wall, &BanKey::of_address(addr));
        if keys.len() == 1 && !banned && !Self::known(cx, addr) {
            return Response::UnknownToBan(addr.clone());
        }
        let bans = &cx.commons().bans;
        let new = keys.iter().filter(|key| !bans.contains(key)).count();
        if bans.len() + new > cx.limits().bans_max {
            return Response::BansFull;
        }
        cx.ban(addr, keys, BanReason::Manual);
        cx.event(NodeEvent::Banned { addr: addr.clone() });
        Response::Done
    }

    fn unban(cx: &mut Cx<'_, Self>, addr: &HostAddr) -> Response {
        let known = Self::known(cx, addr);
        let keys = Self::keys(cx, addr);
        match (cx.unban(addr, keys), known) {
            (true, _) => {
                cx.event(NodeEvent::Unbanned { addr: addr.clone() });
                Response::Done
            }
            (false, true) => Response::NotBanned,
            (false, false) => Response::UnknownToUnban(addr.clone()),
        }
    }

    /// Every name we know the bearer of `addr` by.
    fn keys(cx: &Cx<'_, Self>, addr: &HostAddr) -> Vec<BanKey> {
        let by_address = BanKey::of_address(addr);
        let mut keys = vec![by_address.clone()];
        for (_, peer) in cx.commons().peers.iter() {
            if BanKey::of_address(&peer.info.address) == by_address {
                keys.extend(peer.info.id.map(BanKey::Fingerprint));
                keys.extend(peer.key.map(BanKey::Key));
            }
        }
        for name in cx.commons().met.names(&by_address) {
            if !keys.contains(name) {
                keys.push(name.clone());
            }
        }
        keys
    }

    fn known(cx: &Cx<'_, Self>, addr: &HostAddr) -> bool {
        let by_address = BanKey::of_address(addr);
        cx.commons()
            .peers
            .iter()
            .any(|(_, peer)| BanKey::of_address(&peer.info.address) == by_address)
            || cx.commons().met.contains(&by_address)
    }
}
