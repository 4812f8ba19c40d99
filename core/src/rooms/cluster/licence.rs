//! Which licence a node has: the operator's, or one that came with a bootstrap.
//!
//! Rule: cluster API, bootstrap and licence. The vendor's form of a signed licence is not
//! published; ours is signed over its fields, with a key that the operator trusts.

use ed25519_dalek::{Signer as _, SigningKey};

use super::failure::{Code, Failure, LAPSED};
use super::record::Message;
use super::types::{Bootstrap, Bootstrapped, Bought, Request, Response, Row, Then};
use super::{Cluster, Event};
use crate::config::cluster::{DEVELOPER_LICENCE, Licence, Scopes};
use crate::cx::Cx;
use crate::ids::PublicKey;
use crate::input::RequestId;
use crate::verify::{Signed, VerifyJob};

/// A licence as it is handed in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignedLicence {
    /// Whose.
    pub customer_id: String,
    /// Its name.
    pub licence_id: String,
    /// When it was made, in seconds since the Unix epoch.
    pub issued_s: u64,
    /// When it ends.
    pub expires_s: u64,
    /// Nodes at most.
    pub nodes_max: u32,
    /// Services at most.
    pub services_max: u32,
    /// The signature of who sells it.
    pub signature: [u8; 64],
}

impl SignedLicence {
    /// What the seller signs.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        Message::new("peerage cluster licence 1")
            .text(&self.customer_id)
            .text(&self.licence_id)
            .number(self.issued_s)
            .number(self.expires_s)
            .number(self.nodes_max.into())
            .number(self.services_max.into())
            .done()
    }

    /// Signs what the other fields say.
    pub fn sign(&mut self, key: &SigningKey) {
        self.signature = key.sign(&self.message()).to_bytes();
    }

    fn signed_by(&self, key: PublicKey) -> Signed {
        Signed {
            key,
            message: self.message(),
            signature: self.signature,
        }
    }
}

impl Cluster {
    /// The licence in force.
    pub(super) fn licence<'a>(&'a self, cx: &'a Cx<'_, Self>) -> &'a Licence {
        match &self.bought {
            Some(bought) => &bought.licence,
            None => &cx.config().cluster.licence,
        }
    }

    /// Whether peers may be added and changed.
    pub(super) fn check_licence(&self, cx: &Cx<'_, Self>) -> Result<(), Failure> {
        let ends = self.licence(cx).expires_s;
        if ends.is_some_and(|ends| ends <= cx.now().wall.as_secs()) {
            return Err(LAPSED);
        }
        Ok(())
    }

    pub(super) fn bootstrap(
        &self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        bootstrap: Box<Bootstrap>,
    ) {
        let key = match self.check_bootstrap(cx, &bootstrap) {
            Ok(key) => key,
            Err(failure) => return cx.respond(id, Response::Failed(failure)),
        };
        let signed = [bootstrap.licence.signed_by(key)];
        let job = VerifyJob::Signatures(signed.into());
        cx.verify(job, Then::Licensed { id, bootstrap });
    }

    pub(super) fn licensed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        bootstrap: Box<Bootstrap>,
        genuine: bool,
    ) {
        if !genuine {
            let failure = Failure::new(Code::LicenceInvalid, "the license's signature is invalid");
            return cx.respond(id, Response::Failed(failure));
        }
        // The world may have changed while the signature was checked.
        if let Err(failure) = self.check_bootstrap(cx, &bootstrap) {
            return cx.respond(id, Response::Failed(failure));
        }
        let Bootstrap { licence, name } = *bootstrap;
        let licence = Licence {
            id: licence.licence_id,
            customer_id: Some(licence.customer_id),
            nodes_max: licence.nodes_max,
            services_max: licence.services_max,
            expires_s: Some(licence.expires_s),
        };
        let bought = Bought { licence };
        cx.put(Row::Bought(Some(bought.clone())));
        self.bought = Some(bought.clone());
        let renamed = name.is_some_and(|name| {
            let before = core::mem::replace(&mut self.own.name, name);
            before != self.own.name
        });
        let returns = self.own.left_s.take().is_some();
        if returns {
            self.forget_everybody(cx);
        }
        if returns || (renamed && self.own_stored) {
            self.own.version += 1;
        }
        self.put_own(cx);
        let made = self.make_credential(cx, Scopes::ADMIN);
        cx.event(Event::Bootstrapped);
        let answer = Bootstrapped {
            peer_id: cx.config().cluster.peer_id,
            public_key: self.public_key,
            client_id: made.client_id,
            secret: made.secret,
            cluster_id: self.own.cluster_id,
            licence: bought.licence,
        };
        cx.respond(id, Response::Bootstrapped(Box::new(answer)));
    }

    /// Whether a licence may be handed in, and whose signature it needs. Without a key to check it
    /// with, a public endpoint would make an administrator of whoever comes first.
    fn check_bootstrap(
        &self,
        cx: &Cx<'_, Self>,
        bootstrap: &Bootstrap,
    ) -> Result<PublicKey, Failure> {
        let cluster = &cx.config().cluster;
        let given = cluster.licence.id != DEVELOPER_LICENCE;
        let taken = self.bought.is_some() || !self.members.is_empty();
        let Some(key) = cluster.licence_key else {
            return Err(BOOTSTRAPPED);
        };
        if given || (taken && self.own.left_s.is_none()) {
            return Err(BOOTSTRAPPED);
        }
        if bootstrap.licence.expires_s <= cx.now().wall.as_secs() {
            return Err(LAPSED);
        }
        Ok(key)
    }
}

const BOOTSTRAPPED: Failure =
    Failure::new(Code::AlreadyBootstrapped, "the agent has been bootstrapped");

/// What the endpoint is asked, for who hands a licence in.
impl From<Bootstrap> for Request {
    fn from(bootstrap: Bootstrap) -> Self {
        Self::Bootstrap(Ok(Box::new(bootstrap)))
    }
}
