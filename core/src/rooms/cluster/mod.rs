//! The cluster's peers: who belongs to it, who may ask what, and what nodes tell each other.
//!
//! The room decides whose tokens hold (`tokens.rs`, `credentials.rs`), who is in the cluster
//! (`membership.rs`), how nodes convince each other (`handshake.rs`, `joining.rs`) and why not
//! (`reasons.rs`), what they make of what they hear (`gossip.rs`), how they leave (`farewell.rs`), how
//! a cluster begins (`founding.rs`) and which licence there is (`licence.rs`). Rule: cluster API.

pub mod credentials;
pub mod failure;
mod farewell;
mod founding;
pub mod gossip;
pub mod handshake;
pub mod http;
mod joining;
mod kept;
pub mod licence;
mod membership;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod reasons;
pub mod record;
mod rows;
mod tokens;
mod types;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use ed25519_dalek::SigningKey;

pub use kept::{Bought, Credential, LicenceName, Member, Own, Row, Tombstone};
pub use tokens::{Claims, LIFETIME_S};
pub use types::{
    AddPeer, Bootstrap, Bootstrapped, CredentialListed, CredentialView, Deactivated, Founding,
    Grant, Identity, Malformed, PeerStatus, PeerView, Request, Response, Then, Timer, TokenForm,
};

use credentials::SharedCredential;
use failure::{BUSY, FORBIDDEN, Failure, UNAUTHORIZED};
use farewell::Farewell;
use joining::{Candidate, Courtship};
use membership::Reach;
use record::Record;

use crate::commons::Notice;
use crate::commons::address::HostAddr;
use crate::config::Config;
use crate::config::cluster::Scopes;
use crate::cx::Cx;
use crate::event::events;
use crate::ids::{PeerId, PublicKey};
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::limits::TOKEN_CHECKS_MAX;
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::secret::SecretDigest;
use crate::time::Now;
use crate::verify::{Verdict, VerifyJob};

/// The room.
#[derive(Clone, Debug)]
pub struct Cluster {
    key: SigningKey,
    public_key: PublicKey,
    /// Where secrets and challenges are drawn from.
    secrets: Stream,
    own: Own,
    /// Whether there is a row of `own`; before anybody knows this node there need not be.
    own_stored: bool,
    /// What this node says of itself, signed.
    announcement: Record,
    bought: Option<Bought>,
    members: BTreeMap<PeerId, Member>,
    tombstones: BTreeMap<PeerId, Tombstone>,
    credentials: BTreeMap<String, Credential>,
    used: BTreeMap<String, u64>,
    shared: Option<SharedCredential>,
    known_tokens: tokens::Known,
    token_checks: usize,
    reach: BTreeMap<PeerId, Reach>,
    /// Handshakes that we began.
    courtships: BTreeMap<PeerId, Courtship>,
    candidates: BTreeMap<PeerId, Candidate>,
    farewells: BTreeMap<PeerId, Farewell>,
    /// Adds whose peer is being asked who it is.
    adds: usize,
    /// Handshakes of others that are being checked.
    hellos: usize,
    /// Messages of others that are being checked.
    news: usize,
}

/// Whoever showed a good token.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    scopes: Scopes,
    /// The client that the token was made for.
    client: Option<String>,
}

impl Room for Cluster {
    const SCOPE: Scope = Scope::Cluster;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(config: &Config, rng: &mut Stream) -> Self {
        let key = SigningKey::from_bytes(&config.identity.secret);
        let public_key = PublicKey(key.verifying_key().to_bytes());
        let cluster = &config.cluster;
        let announcement = Record {
            peer_id: cluster.peer_id,
            version: 0,
            address: String::new(),
            public_key,
            name: String::new(),
            deactivated_at: None,
            signature: [0; 64],
        };
        Self {
            key,
            public_key,
            secrets: rng.split(),
            own: Self::fresh_own(cluster.peer_id, &cluster.address),
            own_stored: false,
            announcement,
            bought: None,
            members: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            credentials: BTreeMap::new(),
            used: BTreeMap::new(),
            shared: None,
            known_tokens: tokens::Known::default(),
            token_checks: 0,
            reach: BTreeMap::new(),
            courtships: BTreeMap::new(),
            candidates: BTreeMap::new(),
            farewells: BTreeMap::new(),
            adds: 0,
            hellos: 0,
            news: 0,
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, Self>) {
        self.note_licence(cx);
        let address = cx.config().cluster.address.to_string();
        // Who has left said its last words.
        if self.own.left_s.is_none() && self.own.address != address {
            self.own.address = address;
            self.own.version += 1;
            self.put_own(cx);
        } else {
            self.announce(cx.config().cluster.peer_id);
        }
        let since = cx.now().mono;
        for id in self.members.keys() {
            let reach = Reach {
                seen: None,
                since,
                missed: false,
            };
            self.reach.insert(*id, reach);
        }
        self.arm_gossip(cx);
    }

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        match request {
            Request::Bootstrap(Ok(bootstrap)) => self.bootstrap(cx, id, bootstrap),
            Request::Bootstrap(Err(wrong)) => cx.respond(id, Response::Failed(wrong.into())),
            Request::Deactivate(record) => self.hear_farewell(cx, id, record),
            Request::Gossip(digest) => self.hear(cx, id, digest),
            Request::Handshake(hello) => self.greet(cx, id, hello),
            Request::Health { .. } => {
                let now_s = cx.now().wall.as_secs();
                cx.respond(id, Response::Healthy { now_s });
            }
            Request::Identity => {
                let identity = Box::new(self.identity(cx));
                cx.respond(id, Response::Identity(identity));
            }
            Request::Jwks => {
                let issuer = cx.config().cluster.peer_id;
                cx.respond(id, Response::Jwks(issuer, self.public_key));
            }
            Request::OpenId => {
                let cluster = &cx.config().cluster;
                let (issuer, address) = (cluster.peer_id, cluster.address.clone());
                cx.respond(id, Response::OpenId(issuer, address));
            }
            Request::Token(form) => self.token(cx, id, from, form),
            Request::AddPeer(_)
            | Request::ClusterCredential
            | Request::Credentials
            | Request::DeleteCredential(_)
            | Request::DeletePeer(_)
            | Request::DeleteSelf
            | Request::Init(_)
            | Request::Licence
            | Request::MakeCredential(_)
            | Request::Peer(_)
            | Request::Peers(_)
            | Request::RenamePeer(..)
            | Request::ReplaceLicence(_)
            | Request::Rotate
            | Request::Status
            | Request::Sync => self.authorize(cx, id, from, request),
        }
    }

    fn reply(&mut self, cx: &mut Cx<'_, Self>, then: Then, result: Result<Answer, CallError>) {
        match then {
            Then::Farewell { peer } => self.bade_farewell(cx, peer, result),
            Then::Gossiped { peer, nonce } => self.gossiped(cx, peer, nonce, result),
            Then::Identified { id, add } => self.identified(cx, id, add, result),
            Then::Shaken { peer } => self.shaken(cx, peer, result),
            Then::Authorized { .. }
            | Then::Bade { .. }
            | Then::Greeted { .. }
            | Then::Learned { .. }
            | Then::Licensed { .. }
            | Then::Relicensed { .. }
            | Then::Reminded { .. }
            | Then::Welcomed { .. } => unreachable!("checks are not calls"),
        }
    }

    fn verdict(&mut self, cx: &mut Cx<'_, Self>, then: Then, verdict: Verdict) {
        let Verdict::Signatures(good) = verdict else {
            unreachable!("the room has signatures checked and nothing else");
        };
        let all = good.iter().all(|good| *good);
        match then {
            Then::Authorized {
                id,
                claims,
                digest,
                request,
            } => self.authorized(cx, id, claims, digest, *request, all),
            Then::Bade { id, record } => self.heard_farewell(cx, id, &record, all),
            Then::Greeted { id, hello } => self.greeted(cx, id, &hello, all),
            Then::Learned {
                id,
                digest,
                checked,
                credential,
            } => self.learned(cx, id, digest, (checked, credential), &good),
            Then::Licensed { id, bootstrap } => self.licensed(cx, id, bootstrap, all),
            Then::Relicensed { id, licence } => self.relicensed(cx, id, &licence, all),
            Then::Reminded {
                id,
                question,
                record,
            } => self.reminded(cx, id, &question, &record, all),
            Then::Welcomed { peer, welcome } => self.welcomed(cx, peer, &welcome, all),
            Then::Farewell { .. }
            | Then::Gossiped { .. }
            | Then::Identified { .. }
            | Then::Shaken { .. } => unreachable!("calls are not checks"),
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Timer) {
        match timer {
            Timer::Farewell => self.bid_farewell(cx),
            Timer::Gossip => self.gossip(cx, false),
        }
    }

    fn notice(&mut self, _: &mut Cx<'_, Self>, _: &Notice) {
        // Bans are asked for wherever they matter.
    }

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        match row {
            Row::Bought(bought) => self.bought = bought,
            Row::Credential(client, Some(own)) => {
                self.credentials.insert(client, own);
            }
            Row::Member(id, Some(member)) => {
                if member.record.peer_id != id || member.host_addr().is_none() {
                    return Err(RestoreError::Damaged {
                        what: "peer of the cluster",
                        text: id.to_string(),
                    });
                }
                self.members.insert(id, *member);
            }
            Row::Own(Some(own)) => {
                self.own = own;
                self.own_stored = true;
            }
            Row::Shared(shared) => self.shared = shared.map(|shared| *shared),
            Row::Tombstone(id, Some(gone)) => {
                self.tombstones.insert(id, *gone);
            }
            Row::Used(client, Some(used)) => {
                self.used.insert(client, used);
            }
            Row::Credential(_, None)
            | Row::Member(_, None)
            | Row::Own(None)
            | Row::Tombstone(_, None)
            | Row::Used(_, None) => {}
        }
        Ok(())
    }

    fn export(&self, rows: &mut Vec<rooms::Row>) {
        let mut export = |row: Row| rows.push(row.into());
        if self.own_stored {
            export(Row::Own(Some(self.own.clone())));
        }
        if let Some(bought) = &self.bought {
            export(Row::Bought(Some(bought.clone())));
        }
        for (id, member) in &self.members {
            export(Row::Member(*id, Some(Box::new(member.clone()))));
        }
        for (id, gone) in &self.tombstones {
            export(Row::Tombstone(*id, Some(Box::new(gone.clone()))));
        }
        for (client, own) in &self.credentials {
            export(Row::Credential(client.clone(), Some(own.clone())));
        }
        if let Some(shared) = &self.shared {
            export(Row::Shared(Some(Box::new(shared.clone()))));
        }
        for (client, used) in &self.used {
            export(Row::Used(client.clone(), Some(*used)));
        }
    }

    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        gauge("cluster_candidates", self.candidates.len() as u64);
        gauge("cluster_credentials", self.credentials.len() as u64);
        gauge("cluster_handshakes", self.courtships.len() as u64);
        gauge("cluster_peers", self.members.len() as u64);
        gauge("cluster_tokens_known", self.known_tokens.len() as u64);
        gauge("cluster_tombstones", self.tombstones.len() as u64);
    }
}

impl Cluster {
    /// Finds out who asks; then does what is asked, if they may.
    fn authorize(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        let Some(token) = from.authorization.as_ref().and_then(tokens::bearer) else {
            return refuse(cx, id, UNAUTHORIZED);
        };
        let digest = SecretDigest::of(token);
        if let Some(scopes) = tokens::fixed(&cx.config().cluster.tokens, &digest) {
            let client = None;
            return self.allow(cx, id, &Bearer { scopes, client }, request);
        }
        if let Some(claims) = self.known_tokens.find(&digest) {
            return self.vouch(cx, id, &claims, request);
        }
        let issuer = cx.config().cluster.peer_id;
        let Some((claims, signed)) = tokens::read(token, issuer, self.public_key) else {
            return refuse(cx, id, UNAUTHORIZED);
        };
        if self.token_checks >= TOKEN_CHECKS_MAX {
            return cx.respond(id, Response::Failed(BUSY));
        }
        self.token_checks += 1;
        let then = Then::Authorized {
            id,
            claims: Arc::new(claims),
            digest,
            request: Box::new(request),
        };
        cx.verify(VerifyJob::Signatures([signed].into()), then);
    }

    /// A token's signature was checked.
    fn authorized(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        claims: Arc<Claims>,
        digest: SecretDigest,
        request: Request,
        genuine: bool,
    ) {
        self.token_checks -= 1;
        if !genuine {
            return refuse(cx, id, UNAUTHORIZED);
        }
        self.known_tokens.insert(digest, claims.clone());
        self.vouch(cx, id, &claims, request);
    }

    /// A token is ours. Does it hold now, and does its client still exist?
    fn vouch(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, claims: &Claims, request: Request) {
        if let Err(failure) = claims.check_time(cx.now().wall.as_secs()) {
            return refuse(cx, id, failure);
        }
        let Some(may) = self.scopes_of(cx, &claims.sub, None) else {
            return refuse(cx, id, UNAUTHORIZED);
        };
        let bearer = Bearer {
            scopes: claims.scopes().common(may),
            client: Some(claims.sub.clone()),
        };
        self.allow(cx, id, &bearer, request);
    }

    fn allow(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, bearer: &Bearer, request: Request) {
        if !bearer.scopes.allow(needed(&request)) {
            return refuse(cx, id, FORBIDDEN);
        }
        match self.perform(cx, id, bearer, request) {
            Ok(Some(response)) => cx.respond(id, response),
            Ok(None) => {}
            Err(failure) => cx.respond(id, Response::Failed(failure)),
        }
    }

    /// Does what is asked; `None` if the answer comes later.
    fn perform(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        bearer: &Bearer,
        request: Request,
    ) -> Result<Option<Response>, Failure> {
        Ok(Some(match request {
            Request::AddPeer(add) => {
                self.add_peer(cx, id, add?);
                return Ok(None);
            }
            Request::ClusterCredential => self.cluster_credential(),
            Request::Credentials => self.list_credentials(cx),
            Request::DeleteCredential(client) => self.delete_credential(cx, bearer, &client),
            Request::DeletePeer(peer) => self.delete(cx, peer)?,
            Request::DeleteSelf => self.leave(cx)?,
            Request::Init(force) => self.found(cx, force?)?,
            Request::Licence => Response::Licence(Box::new(self.licence(cx).clone())),
            Request::MakeCredential(scopes) => self.add_credential(cx, bearer, scopes?),
            Request::Peer(peer) => Response::Peer {
                peer: Box::new(self.find(cx, peer)?),
                added: false,
            },
            Request::Peers(is_local) => self.list(cx, is_local?),
            Request::RenamePeer(peer, name) => self.rename(cx, peer, name?)?,
            Request::ReplaceLicence(licence) => {
                self.replace_licence(cx, id, licence?)?;
                return Ok(None);
            }
            Request::Rotate => self.rotate(cx),
            Request::Status => self.status(cx),
            Request::Sync => {
                self.gossip(cx, true);
                Response::Triggered
            }
            Request::Bootstrap(_)
            | Request::Deactivate(_)
            | Request::Gossip(_)
            | Request::Handshake(_)
            | Request::Health { .. }
            | Request::Identity
            | Request::Jwks
            | Request::OpenId
            | Request::Token(_) => unreachable!("needs no token"),
        }))
    }
}

/// What a token must allow. Rule: cluster API, scopes.
const fn needed(request: &Request) -> Scopes {
    match request {
        Request::Peer(_) | Request::Peers(_) => Scopes::PEERS_READ,
        Request::AddPeer(_) | Request::DeletePeer(_) | Request::RenamePeer(..) => {
            Scopes::PEERS_WRITE
        }
        Request::Credentials => Scopes::CREDENTIALS_READ,
        Request::DeleteCredential(_) | Request::MakeCredential(_) | Request::Rotate => {
            Scopes::CREDENTIALS_WRITE
        }
        Request::ClusterCredential
        | Request::DeleteSelf
        | Request::Init(_)
        | Request::ReplaceLicence(_)
        | Request::Status
        | Request::Sync => Scopes::ADMIN,
        Request::Bootstrap(_)
        | Request::Deactivate(_)
        | Request::Gossip(_)
        | Request::Handshake(_)
        | Request::Health { .. }
        | Request::Identity
        | Request::Jwks
        | Request::Licence
        | Request::OpenId
        | Request::Token(_) => Scopes::NONE,
    }
}

fn refuse(cx: &mut Cx<'_, Cluster>, id: RequestId, failure: Failure) {
    cx.event(Event::TokenRefused);
    cx.respond(id, Response::Failed(failure));
}

events! {
    /// What the room does that is worth counting. No event tells a secret or a token.
    pub enum Event {
        /// A licence was handed in.
        Bootstrapped = "cluster_bootstrapped", "the node has its licence";
        /// A client did not prove itself.
        ClientRefused = "cluster_client_refused", "refused a client that does not know its secret";
        /// This node had left its cluster, and is the first of one again.
        ClusterBegun = "cluster_begun", "began a cluster anew";
        /// This node left its cluster.
        ClusterLeft = "cluster_left", "left the cluster";
        /// A peer was deleted here.
        ClusterPeerDeleted { /** Who. */ peer: PeerId } = "cluster_peer_deleted", "peer of the cluster deleted: {peer}";
        /// A peer is in the cluster.
        ClusterPeerJoined { /** Who. */ peer: PeerId, /** Where it is. */ addr: HostAddr } = "cluster_peer_joined", "peer of the cluster joined: {peer} at {addr}";
        /// A peer has left the cluster.
        ClusterPeerLeft { /** Who. */ peer: PeerId } = "cluster_peer_left", "peer has left the cluster: {peer}";
        /// A peer has not answered for long.
        ClusterPeerUnreachable { /** Who. */ peer: PeerId } = "cluster_peer_unreachable", "peer of the cluster does not answer: {peer}";
        /// The credential that the cluster shares was rotated.
        CredentialRotated { /** Its new version. */ version: u64 } = "cluster_credential_rotated", "the cluster's credential was rotated: version {version}";
        /// Something was signed by another than it says.
        ForgeryIgnored { /** Whose words it was said to be. */ peer: PeerId } = "cluster_forgery_ignored", "ignored what {peer} did not sign";
        /// A handshake of ours failed.
        HandshakeFailed { /** With whom. */ addr: HostAddr, /** Why. */ failure: Failure } = "cluster_handshake_failed", "no handshake with {addr}: {failure:?}";
        /// Another node's handshake was refused.
        HandshakeRefused { /** Who it says it is. */ peer: PeerId, /** Why. */ failure: Failure } = "cluster_handshake_refused", "refused the handshake of {peer}: {failure:?}";
        /// The node started with another licence than that under which its peers came.
        LicenceChanged = "cluster_licence_changed", "the licence was changed: the peers of the former one stay until they are deleted";
        /// Another node told of a peer, which is asked now.
        PeerHeardOf { /** Where it is said to be. */ addr: HostAddr } = "cluster_peer_heard_of", "heard of a peer of the cluster at {addr}";
        /// A token was made.
        TokenIssued = "cluster_token_issued", "made a token";
        /// A token does not hold, or does not allow what was asked.
        TokenRefused = "cluster_token_refused", "refused a request without a token that allows it";
    }
}
