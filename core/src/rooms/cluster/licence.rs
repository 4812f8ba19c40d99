//! Which licence a node has: the operator's, or one that came with a bootstrap.
//!
//! Rule: cluster API, bootstrap and licence. The vendor's form of a signed licence is not
//! published; ours is signed over its fields, with a key that the operator trusts.

use ed25519_dalek::{Signer as _, SigningKey};

use super::failure::{Code, Failure, LAPSED};
use super::handshake::same_licence;
use super::kept::{Bought, LicenceName, Row};
use super::record::Message;
use super::types::{Bootstrap, Bootstrapped, Request, Response, Then};
use super::{Cluster, Event};
use crate::config::cluster::{Licence, Scopes};
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

/// A field of a licence as it is handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LicenceField {
    /// Whose.
    CustomerId,
    /// When it ends.
    ExpiresAt,
    /// When it was made.
    IssuedAt,
    /// Its name.
    LicenceId,
    /// Nodes at most.
    MaxNodes,
    /// Services at most.
    MaxServices,
    /// The signature.
    Signature,
}

impl LicenceField {
    /// Every field.
    pub const ALL: [Self; 7] = [
        Self::CustomerId,
        Self::ExpiresAt,
        Self::IssuedAt,
        Self::LicenceId,
        Self::MaxNodes,
        Self::MaxServices,
        Self::Signature,
    ];

    /// The field's name in a body.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CustomerId => "customer_id",
            Self::ExpiresAt => "expires_at",
            Self::IssuedAt => "issued_at",
            Self::LicenceId => "license_id",
            Self::MaxNodes => "max_nodes",
            Self::MaxServices => "max_services",
            Self::Signature => "signature",
        }
    }

    /// What whoever left it out, or wrote it otherwise, is told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::CustomerId => "license.customer_id must be a string of at most 255 bytes",
            Self::ExpiresAt => "license.expires_at must be a time such as 2024-01-15T10:30:00Z",
            Self::IssuedAt => "license.issued_at must be a time such as 2024-01-15T10:30:00Z",
            Self::LicenceId => "license.license_id must be a string of at most 255 bytes",
            Self::MaxNodes => "license.max_nodes must be a whole number below 2^32",
            Self::MaxServices => "license.max_services must be a whole number below 2^32",
            Self::Signature => "license.signature must be base64 of 64 bytes",
        }
    }
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

    /// What the node keeps of it.
    fn licence(&self) -> Licence {
        Licence {
            id: self.licence_id.clone(),
            customer_id: Some(self.customer_id.clone()),
            nodes_max: self.nodes_max,
            services_max: self.services_max,
            expires_s: Some(self.expires_s),
        }
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
    /// The licence in force: the operator's, before one that was handed in while there was none.
    pub(super) fn licence<'a>(&'a self, cx: &'a Cx<'_, Self>) -> &'a Licence {
        let given = &cx.config().cluster.licence;
        match &self.bought {
            Some(bought) if given.is_developers() => &bought.licence,
            Some(_) | None => given,
        }
    }

    pub(super) fn licence_name(&self, cx: &Cx<'_, Self>) -> LicenceName {
        let licence = self.licence(cx);
        LicenceName {
            id: licence.id.clone(),
            customer_id: licence.customer_id.clone(),
        }
    }

    /// Tells, once, that the operator changed the licence: nothing else shows that the peers are those
    /// of another one.
    pub(super) fn note_licence(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(former) = &self.own.licence else {
            return;
        };
        let same = same_licence(self.licence(cx), &former.id, former.customer_id.as_deref());
        if !same && !self.members.is_empty() {
            cx.event(Event::LicenceChanged);
            self.put_own(cx);
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
            return cx.respond(id, Response::Failed(FORGED));
        }
        // The world may have changed while the signature was checked.
        if let Err(failure) = self.check_bootstrap(cx, &bootstrap) {
            return cx.respond(id, Response::Failed(failure));
        }
        let Bootstrap { licence, name } = *bootstrap;
        let licence = licence.licence();
        self.buy(cx, licence.clone());
        let renamed = name.is_some_and(|name| {
            let before = core::mem::replace(&mut self.own.name, name);
            before != self.own.name
        });
        if self.own.left_s.is_some() {
            self.begin_anew(cx);
        } else if renamed && self.own_stored {
            self.own.version += 1;
        }
        self.put_own(cx);
        let made = self.make_credential(cx, Scopes::ADMIN);
        let answer = Bootstrapped {
            peer_id: cx.config().cluster.peer_id,
            public_key: self.public_key,
            client_id: made.client_id,
            secret: made.secret,
            cluster_id: self.own.cluster_id,
            licence,
        };
        cx.respond(id, Response::Bootstrapped(Box::new(answer)));
    }

    /// `PUT /v1/license`: a licence in place of the one that there is, most often its renewal.
    pub(super) fn replace_licence(
        &self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        licence: Box<SignedLicence>,
    ) -> Result<(), Failure> {
        let key = self.check_replacement(cx, &licence)?;
        let signed = [licence.signed_by(key)];
        let then = Then::Relicensed { id, licence };
        cx.verify(VerifyJob::Signatures(signed.into()), then);
        Ok(())
    }

    pub(super) fn relicensed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        licence: &SignedLicence,
        genuine: bool,
    ) {
        if !genuine {
            return cx.respond(id, Response::Failed(FORGED));
        }
        // The world may have changed while the signature was checked.
        if let Err(failure) = self.check_replacement(cx, licence) {
            return cx.respond(id, Response::Failed(failure));
        }
        let licence = licence.licence();
        self.buy(cx, licence.clone());
        cx.respond(id, Response::Licence(Box::new(licence)));
    }

    /// Whether a licence may replace the one that there is, and whose signature it needs. A node
    /// with peers stays in their cluster.
    fn check_replacement(
        &self,
        cx: &Cx<'_, Self>,
        licence: &SignedLicence,
    ) -> Result<PublicKey, Failure> {
        let cluster = &cx.config().cluster;
        let refused = |text| Failure::new(Code::LicenceInvalid, text);
        if !cluster.licence.is_developers() {
            return Err(refused(CONFIGURED));
        }
        let key = cluster.licence_key.ok_or_else(|| refused(KEYLESS))?;
        if licence.expires_s <= cx.now().wall.as_secs() {
            return Err(LAPSED);
        }
        let customer = Some(licence.customer_id.as_str());
        if !self.members.is_empty()
            && !same_licence(self.licence(cx), &licence.licence_id, customer)
        {
            return Err(FOREIGN);
        }
        Ok(key)
    }

    fn buy(&mut self, cx: &mut Cx<'_, Self>, licence: Licence) {
        let bought = Bought { licence };
        cx.put(Row::Bought(Some(bought.clone())));
        self.bought = Some(bought);
        cx.event(Event::Bootstrapped);
    }

    /// Whether a licence may be handed in, and whose signature it needs. Without a key to check it
    /// with, a public endpoint would make an administrator of whoever comes first.
    fn check_bootstrap(
        &self,
        cx: &Cx<'_, Self>,
        bootstrap: &Bootstrap,
    ) -> Result<PublicKey, Failure> {
        let cluster = &cx.config().cluster;
        let refused = |text| Err(Failure::new(Code::AlreadyBootstrapped, text));
        if !cluster.licence.is_developers() {
            return refused(CONFIGURED);
        }
        let taken = self.bought.is_some() || !self.members.is_empty();
        if taken && self.own.left_s.is_none() {
            return refused("the agent has been bootstrapped");
        }
        // The one code that there is for who takes no licence. Rule: cluster API, bootstrap.
        let Some(key) = cluster.licence_key else {
            return refused(KEYLESS);
        };
        if bootstrap.licence.expires_s <= cx.now().wall.as_secs() {
            return Err(LAPSED);
        }
        Ok(key)
    }
}

const CONFIGURED: &str = "the license is set in the configuration";
const KEYLESS: &str = "no key is trusted to sign a license; start the agent with --license-key";
const FOREIGN: Failure = Failure::new(
    Code::LicenceMismatch,
    "the license is not that of the peers",
);
const FORGED: Failure = Failure::new(Code::LicenceInvalid, "the license's signature is invalid");

/// What the endpoint is asked, for who hands a licence in.
impl From<Bootstrap> for Request {
    fn from(bootstrap: Bootstrap) -> Self {
        Self::Bootstrap(Ok(Box::new(bootstrap)))
    }
}
