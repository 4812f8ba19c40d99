//! The reference model: what a node of a cluster may answer and write, from what an outsider sees.
//!
//! It sees inputs, calls, checks and rows in their order. From the rows it knows who is in the
//! cluster; `access` says who may ask what, `changes` what may be written because of which input,
//! `answers` what may be said. What may have changed while an answer waited is left open.

mod access;
mod answers;
mod changes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::handshake::Why;
use super::kept::{Credential, Member, Own, Row, Tombstone};
use super::types::{Request, Response};
use crate::commons::address::HostAddr;
use crate::config::Config;
use crate::config::cluster::{Cluster as Settings, Licence, Scopes};
use crate::ids::{PeerId, PublicKey};
use crate::input::{CallId, Caller, RequestId, VerifyId};
use crate::rooms::cluster::credentials::SharedCredential;
use crate::time::Now;
use crate::verify::{Signed, Verdict, VerifyJob};
use access::May;
use changes::Batch;

/// The model of a node in its cluster.
#[derive(Clone, Debug)]
pub struct Model {
    settings: Settings,
    key: PublicKey,
    licence: Licence,
    own: Option<Own>,
    members: BTreeMap<PeerId, Member>,
    gone: BTreeMap<PeerId, Tombstone>,
    /// The number of the node's last handshake when it was told to forget a peer: one that was begun
    /// before that may be seen later, for it waits for the disk.
    forgot: BTreeMap<PeerId, u64>,
    credentials: BTreeMap<String, Credential>,
    shared: Option<SharedCredential>,
    /// How many inputs there were, and with which each thing changed last.
    inputs: u64,
    changed: Changed,
    /// Requests that are not answered yet, and a few whose callers have gone.
    open: BTreeMap<RequestId, Asked>,
    hung_up: VecDeque<Asked>,
    /// Checks under way.
    jobs: BTreeMap<VerifyId, Arc<[Signed]>>,
    /// Signatures that the input at hand proves.
    proven: BTreeSet<[u8; 64]>,
    /// Handshakes of the node's that are under way or were answered and are being checked.
    courted: BTreeMap<PeerId, Why>,
    calls: BTreeMap<CallId, PeerId>,
    /// The number of its last handshake.
    hello: u64,
}

#[derive(Clone, Debug, Default)]
struct Changed {
    peers: BTreeMap<PeerId, u64>,
    credentials: u64,
    shared: u64,
    own: u64,
    licence: u64,
}

/// A request, and what was so when it came.
#[derive(Clone, Debug)]
struct Asked {
    request: Request,
    may: May,
    authorization: Option<crate::input::Secret>,
    now: Now,
    /// With which input it came.
    input: u64,
    /// Which peers were banned.
    banned: BTreeSet<PeerId>,
    /// The number of the last handshake of who asks for one, if there was one.
    last_hello: Option<u64>,
}

/// Who is banned: an address and a key that somebody goes by.
pub type Banned<'a> = &'a dyn Fn(&HostAddr, PublicKey) -> bool;

/// Callers that left before they were answered, whose requests may still do something.
const HUNG_UP_MAX: usize = 64;

impl Model {
    /// The model of a node that starts with these settings and rows.
    #[must_use]
    pub fn new<'a>(config: &Config, rows: impl Iterator<Item = &'a Row>) -> Self {
        let settings = config.cluster.clone();
        let mut model = Self {
            licence: settings.licence.clone(),
            settings,
            key: config.identity.public_key,
            own: None,
            members: BTreeMap::new(),
            gone: BTreeMap::new(),
            forgot: BTreeMap::new(),
            credentials: BTreeMap::new(),
            shared: None,
            inputs: 0,
            changed: Changed::default(),
            open: BTreeMap::new(),
            hung_up: VecDeque::new(),
            jobs: BTreeMap::new(),
            proven: BTreeSet::new(),
            courted: BTreeMap::new(),
            calls: BTreeMap::new(),
            hello: 0,
        };
        for row in rows {
            model.keep(row);
        }
        model.hello = model.own.as_ref().map_or(0, |own| own.hello);
        model.forgot.clear();
        model.changed = Changed::default();
        model
    }

    /// Another input begins.
    pub fn begin(&mut self) {
        self.inputs += 1;
        self.proven.clear();
    }

    /// Somebody asks.
    pub fn asked(
        &mut self,
        now: Now,
        id: RequestId,
        from: &Caller,
        request: &Request,
        banned: Banned<'_>,
    ) {
        let may = match access::needed(request) {
            None => May::Surely(Scopes::NONE),
            Some(needed) => self.may(now, from.authorization.as_ref(), needed),
        };
        let asked = Asked {
            request: request.clone(),
            may,
            authorization: from.authorization.clone(),
            now,
            input: self.inputs,
            banned: self.banned(banned),
            last_hello: self.last_hello(request),
        };
        self.open.insert(id, asked);
    }

    /// Whoever asked has gone, or is refused by another.
    pub fn over(&mut self, id: RequestId) {
        if let Some(asked) = self.open.remove(&id) {
            self.hung_up.push_back(asked);
            if self.hung_up.len() > HUNG_UP_MAX {
                self.hung_up.pop_front();
            }
        }
    }

    /// The node wants something checked.
    pub fn checks(&mut self, id: VerifyId, job: &VerifyJob) {
        if let VerifyJob::Signatures(signed) = job {
            self.jobs.insert(id, signed.clone());
        }
    }

    /// The node is told what a check found.
    pub fn checked(&mut self, id: VerifyId, verdict: &Verdict) {
        let Some(signed) = self.jobs.remove(&id) else {
            return;
        };
        if let Verdict::Signatures(good) = verdict {
            let proven = signed.iter().zip(good).filter(|(_, good)| **good);
            self.proven
                .extend(proven.map(|(signed, _)| signed.signature));
        }
    }

    /// The node asks another.
    ///
    /// # Errors
    /// Why it must not.
    pub fn called(&mut self, id: CallId, to: &HostAddr, request: &Request) -> Result<(), String> {
        let Request::Handshake(hello) = request else {
            return Ok(());
        };
        if hello.number <= self.hello {
            return Err(format!(
                "handshake {} begins after {}",
                hello.number, self.hello
            ));
        }
        self.hello = hello.number;
        let gone = self.gone.get(&hello.to);
        let deleted = gone.is_some_and(Tombstone::is_deletion);
        let later = hello.number > self.forgot.get(&hello.to).copied().unwrap_or(0);
        if hello.why == Why::Discovery && deleted && later {
            return Err(format!("{} was deleted, and is looked for", hello.to));
        }
        let asked_for = |asked: &Asked| {
            if let Request::AddPeer(Ok(add)) = &asked.request {
                add.address == *to && !asked.may.is_never()
            } else {
                false
            }
        };
        if hello.why == Why::Add && !self.asked_for(asked_for) {
            return Err(format!("{to} is added, and nobody asked for it"));
        }
        self.courted.insert(hello.to, hello.why);
        self.calls.insert(id, hello.to);
        Ok(())
    }

    /// A call of the node's has ended.
    pub fn call_ended(&mut self, id: CallId, answered: bool) {
        if let Some(peer) = self.calls.remove(&id)
            && !answered
            && !self.calls.values().any(|other| *other == peer)
        {
            self.courted.remove(&peer);
        }
    }

    /// Whether there is such a request whose effect may come, or have come, with this input.
    fn asked_for(&self, wanted: impl Fn(&Asked) -> bool) -> bool {
        self.open.values().chain(&self.hung_up).any(wanted)
    }

    fn last_hello(&self, request: &Request) -> Option<u64> {
        let Request::Handshake(hello) = request else {
            return None;
        };
        let id = hello.record.peer_id;
        let known = self.members.get(&id).map(|member| member.hello);
        known.or_else(|| self.gone.get(&id).map(|gone| gone.hello))
    }

    fn banned(&self, banned: Banned<'_>) -> BTreeSet<PeerId> {
        let covered = |member: &Member| {
            [&member.address, &member.record.address]
                .into_iter()
                .filter_map(|addr| addr.parse().ok())
                .any(|addr| banned(&addr, member.record.public_key))
        };
        let members = self.members.iter();
        members
            .filter(|(_, member)| covered(member))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Takes note of a row.
    fn keep(&mut self, row: &Row) {
        let at = self.inputs;
        let changed = &mut self.changed;
        match row.clone() {
            Row::Bought(bought) => {
                changed.licence = at;
                if let Some(bought) = bought.filter(|_| self.settings.licence.is_developers()) {
                    self.licence = bought.licence;
                }
            }
            Row::Credential(client, own) => {
                changed.credentials = at;
                put(&mut self.credentials, client, own);
            }
            Row::Member(id, member) => {
                changed.peers.insert(id, at);
                put(&mut self.members, id, member.map(|member| *member));
            }
            Row::Own(own) => {
                let hello = |own: &Option<Own>| {
                    own.as_ref().map(|own| Own {
                        hello: 0,
                        ..own.clone()
                    })
                };
                if hello(&self.own) != hello(&own) {
                    changed.own = at;
                }
                self.own = own;
            }
            Row::Shared(shared) => {
                changed.shared = at;
                self.shared = shared.map(|shared| *shared);
            }
            Row::Tombstone(id, gone) => {
                changed.peers.insert(id, at);
                let deleted = |gone: &Tombstone| gone.is_deletion();
                if gone.as_deref().is_some_and(deleted) && !self.gone.get(&id).is_some_and(deleted)
                {
                    let begun = self.own.as_ref().map_or(0, |own| own.hello);
                    self.forgot.insert(id, begun);
                }
                put(&mut self.gone, id, gone.map(|gone| *gone));
            }
            Row::Used(..) => {}
        }
    }

    /// The node writes rows, all because of one input.
    ///
    /// # Errors
    /// What must not be written.
    pub fn written<'a>(
        &mut self,
        now: Now,
        rows: impl Iterator<Item = &'a Row> + Clone,
    ) -> Result<(), String> {
        let batch = Batch::of(rows.clone());
        let mut all = rows.clone();
        let result = all.try_for_each(|row| self.may_write(now, row, &batch));
        for row in rows {
            self.keep(row);
        }
        result
    }

    /// The node answers.
    ///
    /// # Errors
    /// What is wrong with the answer. `still` tells that nobody was banned or forgiven since.
    pub fn answered(
        &mut self,
        now: Now,
        id: RequestId,
        response: &Response,
        banned: Banned<'_>,
        still: bool,
    ) -> Result<(), String> {
        let Some(asked) = self.open.remove(&id) else {
            return Ok(());
        };
        let banned = still.then(|| self.banned(banned));
        self.judge(now, &asked, response, banned.as_ref())
    }
}

fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}
