//! What may be written, and because of what: nothing that nobody may ask for, nobody who did not
//! shake hands, nothing that its author did not sign.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a request is the one that is looked for, or another"
)]

use std::collections::{BTreeMap, BTreeSet};

use super::{Asked, Model};
use crate::ids::PeerId;
use crate::limits::MEMBERS_MAX;
use crate::rooms::cluster::credentials::SharedCredential;
use crate::rooms::cluster::handshake::Why;
use crate::rooms::cluster::kept::{Bought, Credential, Member, Own, Row, Tombstone};
use crate::rooms::cluster::licence::SignedLicence;
use crate::rooms::cluster::membership::most_gone;
use crate::rooms::cluster::record::Record;
use crate::rooms::cluster::types::{AddPeer, Request};
use crate::time::Now;

/// Who comes and goes with the rows of one input.
#[derive(Default)]
pub(super) struct Batch {
    /// Of whom something is kept when they are gone, and whether they were deleted.
    buried: BTreeMap<PeerId, bool>,
    /// Who is in the cluster.
    present: BTreeSet<PeerId>,
}

impl Batch {
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut batch = Self::default();
        for row in rows {
            match row {
                Row::Member(id, Some(_)) => {
                    batch.present.insert(*id);
                }
                Row::Tombstone(id, Some(gone)) => {
                    batch.buried.insert(*id, gone.is_deletion());
                }
                _ => {}
            }
        }
        batch
    }
}

impl Model {
    /// # Errors
    /// Why the row must not be written with the input at hand.
    pub(super) fn may_write(&self, now: Now, row: &Row, batch: &Batch) -> Result<(), String> {
        match row {
            Row::Bought(bought) => self.may_buy(bought.as_ref()),
            Row::Credential(client, own) => self.may_have_credential(client, own.as_ref()),
            Row::Member(id, None) => self.may_forget(*id, batch.buried.contains_key(id)),
            Row::Member(id, Some(member)) => match self.members.get(id) {
                None => self.may_join(*id, member),
                Some(before) => self.may_change(*id, before, member),
            },
            Row::Own(own) => match (&self.own, own) {
                (_, None) => Err("the node forgets itself".to_owned()),
                (None, Some(_)) => Ok(()),
                (Some(before), Some(own)) => self.may_become(before, own),
            },
            Row::Shared(shared) => self.may_share(shared.as_deref()),
            Row::Tombstone(id, gone) => match gone {
                Some(gone) => self.may_remember(now, *id, gone),
                None => self.may_clear(*id, batch),
            },
            Row::Used(..) => Ok(()),
        }
    }

    fn wants(&self, wanted: impl Fn(&Request) -> bool) -> bool {
        self.asked_for(|asked: &Asked| !asked.may.is_never() && wanted(&asked.request))
    }

    fn may_buy(&self, bought: Option<&Bought>) -> Result<(), String> {
        let bought = bought.ok_or("a licence is taken away")?;
        let signed = |given: &SignedLicence| {
            given.licence_id == bought.licence.id
                && given.nodes_max == bought.licence.nodes_max
                && self.proven.contains(&given.signature)
        };
        let given = self.wants(|request| match request {
            Request::Bootstrap(Ok(given)) => signed(&given.licence),
            Request::ReplaceLicence(Ok(given)) => signed(given),
            _ => false,
        });
        let told = "a licence is taken that nobody signed";
        given.then_some(()).ok_or_else(|| told.to_owned())
    }

    fn may_have_credential(&self, client: &str, own: Option<&Credential>) -> Result<(), String> {
        let wanted = match own {
            Some(_) => self.wants(|request| {
                matches!(
                    request,
                    Request::MakeCredential(Ok(_)) | Request::Bootstrap(Ok(_))
                )
            }),
            None => self.wants(|request| match request {
                Request::DeleteCredential(which) => which == client,
                _ => false,
            }),
        };
        let told = format!("the credential {client} changes, and nobody who may asked for it");
        wanted.then_some(()).ok_or(told)
    }

    fn may_forget(&self, id: PeerId, buried: bool) -> Result<(), String> {
        // Whoever comes back after it has left begins anew. All else leaves a tombstone, and is
        // looked at with that.
        if buried || (self.has_left() && self.may_return()) {
            Ok(())
        } else {
            Err(format!("{id} is forgotten, and nothing is kept of it"))
        }
    }

    fn has_left(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.left_s.is_some())
    }

    /// Whether somebody asks for what brings back a node that has left.
    fn may_return(&self) -> bool {
        self.wants(|request| matches!(request, Request::Bootstrap(Ok(_)) | Request::Init(Ok(true))))
    }

    /// Nothing is kept of who was gone: it comes back, which is looked at with its row, or there is
    /// no room beside another that goes like it.
    fn may_clear(&self, id: PeerId, batch: &Batch) -> Result<(), String> {
        let Some(before) = self.gone.get(&id) else {
            return Ok(());
        };
        let deletion = before.is_deletion();
        let makes_room = self.alike(deletion) >= most_gone(deletion)
            && batch.buried.values().any(|other| *other == deletion);
        let told = || format!("nobody remembers that {id} is gone, and it does not come back");
        (batch.present.contains(&id) || makes_room)
            .then_some(())
            .ok_or_else(told)
    }

    /// How many are gone like this.
    fn alike(&self, deletion: bool) -> usize {
        let alike = self.gone.values();
        alike.filter(|gone| gone.is_deletion() == deletion).count()
    }

    fn may_remember(&self, now: Now, id: PeerId, gone: &Tombstone) -> Result<(), String> {
        if let Some(before) = self
            .gone
            .get(&id)
            .filter(|_| !self.members.contains_key(&id))
        {
            return self.may_remember_departure(before, gone);
        }
        let Some(member) = self.members.get(&id) else {
            return Err(format!("{id} is remembered as gone, and was never here"));
        };
        let deletion = gone.is_deletion();
        if self.alike(deletion) > most_gone(deletion) || gone.since_s > now.wall.as_secs() {
            return Err(format!("there are {} tombstones", self.gone.len()));
        }
        if gone.hello != member.hello {
            return Err(format!("the last handshake with {id} is forgotten"));
        }
        if gone.deleted != gone.record.is_active() {
            return Err(format!("{id} was deleted and left at once"));
        }
        if gone.deleted {
            let asked = self.wants(
                |request| matches!(request, Request::DeletePeer(which) if *which == Some(id)),
            );
            return (asked && gone.record == member.record)
                .then_some(())
                .ok_or_else(|| format!("{id} is deleted as another, or nobody asked for it"));
        }
        self.newer(&member.record, &gone.record)
    }

    /// Whoever is gone has left, too, and says so itself.
    fn may_remember_departure(&self, before: &Tombstone, gone: &Tombstone) -> Result<(), String> {
        let id = before.record.peer_id;
        let record = gone.record.clone();
        let deleted = before.is_deletion();
        if gone.record.is_active()
            || *gone
                != (Tombstone {
                    record,
                    deleted,
                    ..before.clone()
                })
        {
            return Err(format!("{id} is remembered as gone in another way"));
        }
        self.newer(&before.record, &gone.record)
    }

    /// Whether a record may follow another of the same peer: later, and signed with the same key.
    fn newer(&self, before: &Record, record: &Record) -> Result<(), String> {
        let id = before.peer_id;
        if record.peer_id != id || record.public_key != before.public_key {
            Err(format!("{id} is somebody else"))
        } else if record.version <= before.version {
            Err(format!("what {id} said before is taken for new"))
        } else if !self.proven.contains(&record.signature) {
            Err(format!("{id} never signed that"))
        } else {
            Ok(())
        }
    }

    /// A peer that was not in the cluster: it must have shaken hands, and lately.
    fn may_join(&self, id: PeerId, member: &Member) -> Result<(), String> {
        let record = &member.record;
        if self.has_left() {
            return Err(format!("{id} joins a node that has left"));
        }
        if record.peer_id != id || id == self.settings.peer_id || record.public_key == self.key {
            return Err(format!("{id} joins as somebody else"));
        }
        if !record.is_active() || !self.proven.contains(&record.signature) {
            return Err(format!("{id} joins with what it did not say"));
        }
        if !member.remark.is_empty() && !self.is_named(&member.remark) {
            return Err(format!("{id} joins under a name that nobody gave it"));
        }
        let limit = (self.licence.nodes_max as usize).min(MEMBERS_MAX + 1);
        if self.members.len() + 2 > limit {
            return Err(format!(
                "{id} joins {} others and this node, {limit} are allowed",
                self.members.len()
            ));
        }
        let added = self.courted.get(&id) == Some(&Why::Add);
        let same = |gone: &&Tombstone| gone.record.public_key == record.public_key;
        let remembered = self.gone.get(&id);
        // An operator who names an address means whoever is there.
        if remembered.is_some_and(|gone| !same(&gone)) && !added {
            return Err(format!("{id} comes back as somebody else"));
        }
        let before = remembered.filter(same);
        let said_to_have_left = before.filter(|gone| !gone.record.is_active());
        if said_to_have_left.is_some_and(|gone| record.version <= gone.record.version) {
            return Err(format!("{id} has left, and comes back without saying so"));
        }
        let deleted = before.is_some_and(Tombstone::is_deletion);
        let last = before.map(|gone| gone.hello);
        let greeted = self.asked_for(|asked| match &asked.request {
            Request::Handshake(hello) => {
                hello.record == *record
                    && hello.number == member.hello
                    && last.is_none_or(|last| hello.number > last)
                    && hello.to == self.settings.peer_id
                    && (hello.why == Why::Add || !deleted)
                    && self.proven.contains(&hello.signature)
                    && hello.mac.is_some() == self.settings.secret.is_some()
            }
            _ => false,
        });
        // The answer to a handshake of the node's own is signed besides the record in it.
        let courted = (self.courted.get(&id)).is_some_and(|why| *why == Why::Add || !deleted)
            && self.proven.len() >= 2
            && member.hello == last.unwrap_or(0);
        if greeted || courted {
            Ok(())
        } else {
            Err(format!("{id} joins without a handshake"))
        }
    }

    fn is_added(&self, fits: impl Fn(&AddPeer) -> bool) -> bool {
        self.wants(|request| matches!(request, Request::AddPeer(Ok(add)) if fits(add)))
    }

    /// Whether somebody adds a peer under this name.
    fn is_named(&self, name: &str) -> bool {
        self.is_added(|add| add.name.as_deref() == Some(name))
    }

    fn may_change(&self, id: PeerId, before: &Member, member: &Member) -> Result<(), String> {
        if member.record != before.record {
            self.newer(&before.record, &member.record)?;
            if !member.record.is_active() {
                return Err(format!("{id} has left, and stays"));
            }
        }
        if member.created_s != before.created_s || member.hello < before.hello {
            return Err(format!("{id} forgets when it came"));
        }
        let renamed = self.wants(|request| match request {
            Request::RenamePeer(which, Ok(Some(name))) => {
                *which == Some(id) && *name == member.remark
            }
            _ => false,
        });
        // The operator's words come with the add, even if the peer came by itself meanwhile.
        if member.remark != before.remark && !renamed && !self.is_named(&member.remark) {
            return Err(format!("{id} is renamed, and nobody asked for it"));
        }
        let moved = member.address == member.record.address
            || self.is_added(|add| add.address.to_string() == member.address);
        if member.address != before.address && !moved && !self.courted.contains_key(&id) {
            return Err(format!("{id} is moved to where it never said to be"));
        }
        Ok(())
    }

    fn may_become(&self, before: &Own, own: &Own) -> Result<(), String> {
        if own.version < before.version || own.hello < before.hello {
            return Err("the node takes back what it said of itself".to_owned());
        }
        let (left, is_left) = (before.left_s.is_some(), own.left_s.is_some());
        if left && !is_left {
            if own.cluster_id != self.settings.peer_id.own_cluster() {
                return Err("the node returns to the cluster that it left".to_owned());
            }
        } else if own.cluster_id > before.cluster_id {
            return Err("the younger of two clusters wins".to_owned());
        }
        let local = Some(self.settings.peer_id);
        let named = self.wants(|request| match request {
            Request::RenamePeer(which, Ok(Some(name))) => *which == local && *name == own.name,
            Request::Bootstrap(Ok(_)) => true,
            _ => false,
        });
        if own.name != before.name && !named {
            return Err("the node is renamed, and nobody asked for it".to_owned());
        }
        let leaves = self.wants(|request| matches!(request, Request::DeleteSelf));
        if left != is_left && !(if is_left { leaves } else { self.may_return() }) {
            return Err("the node leaves or returns, and nobody asked for it".to_owned());
        }
        let called = |own: &Own| (own.address.clone(), own.name.clone());
        if left && is_left && called(before) != called(own) {
            return Err("the node has left, and still says something else".to_owned());
        }
        let says = |own: &Own| (own.address.clone(), own.name.clone(), own.left_s);
        if says(before) != says(own) && own.version == before.version {
            return Err("the node says something else under the same number".to_owned());
        }
        Ok(())
    }

    fn may_share(&self, shared: Option<&SharedCredential>) -> Result<(), String> {
        let shared = shared.ok_or("the shared credential is forgotten")?;
        let rank = |it: &SharedCredential| (it.version, it.rotated_s, it.rotated_by);
        let before = self.shared.as_ref();
        if before.is_some_and(|before| rank(before) >= rank(shared)) {
            return Err("an older credential replaces a newer one".to_owned());
        }
        let own = shared.rotated_by == self.settings.peer_id
            && self.wants(|request| matches!(request, Request::Rotate));
        let heard = self.settings.secret.is_some() && self.proven.contains(&shared.signature);
        let told = "a shared credential is taken that nobody vouches for";
        (own || heard).then_some(()).ok_or_else(|| told.to_owned())
    }
}
