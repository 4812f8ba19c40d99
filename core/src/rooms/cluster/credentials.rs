//! Who may ask for tokens: clients of the operator's, credentials of this node, and the one that
//! the cluster shares.
//!
//! Of every secret only a digest is kept. Rule: cluster API, bearer tokens and scopes; RFC 6749.

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use super::failure::{Code, Failure, INVALID_CLIENT};
use super::kept::{Credential, Row};
use super::record::Message;
use super::tokens::{self, LIFETIME_S};
use super::types::{CredentialListed, CredentialView, Grant, Response, TokenForm};
use super::wire::base64_signature;
use super::{Bearer, Cluster, Event};
use crate::base64url;
use crate::config::cluster::Scopes;
use crate::cx::Cx;
use crate::ids::{PeerId, PublicKey};
use crate::input::{Caller, RequestId, Secret};
use crate::limits::{CLUSTER_TEXT_MAX, CREDENTIALS_MAX};
use crate::secret::SecretDigest;
use crate::verify::Signed;

/// Seconds for which the secret before a rotation still holds.
const OVERLAP_S: u64 = 86_400;

/// A credential that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NewCredential {
    /// Its client.
    pub client_id: String,
    /// Its secret, told only here.
    pub secret: Secret,
    /// What its tokens allow.
    pub scopes: Scopes,
    /// When it was made, in seconds since the Unix epoch.
    pub created_s: u64,
}

/// The credential that all nodes of a cluster take, signed by who rotated it last.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SharedCredential {
    /// Its client.
    pub client_id: String,
    /// Grows with every rotation; the first is 1.
    pub version: u64,
    /// What is kept of its secret.
    pub digest: SecretDigest,
    /// What is kept of the secret before.
    pub previous: Option<SecretDigest>,
    /// Which node rotated it last.
    pub rotated_by: PeerId,
    /// When, in seconds since the Unix epoch.
    pub rotated_s: u64,
    /// That node's signature.
    #[serde(with = "base64_signature")]
    pub signature: [u8; 64],
}

impl SharedCredential {
    fn message(&self) -> Vec<u8> {
        let previous = self.previous.map(|digest| *digest.as_bytes());
        Message::new("peerage cluster credential 1")
            .text(&self.client_id)
            .number(self.version)
            .bytes(self.digest.as_bytes())
            .bytes(previous.as_ref().map_or(&[][..], |digest| digest))
            .text(&self.rotated_by.to_string())
            .number(self.rotated_s)
            .done()
    }

    fn sign(&mut self, key: &SigningKey) {
        self.signature = key.sign(&self.message()).to_bytes();
    }

    /// The signature, to be checked with the key that we hold for the author.
    pub(super) fn signed_by(&self, key: PublicKey) -> Signed {
        Signed {
            key,
            message: self.message(),
            signature: self.signature,
        }
    }

    /// Whether it counts more than `other`: all nodes decide alike, whatever order they hear in.
    pub(super) fn is_newer_than(&self, other: Option<&Self>) -> bool {
        let rank = |shared: &Self| (shared.version, shared.rotated_s, shared.rotated_by);
        self.client_id.len() <= CLUSTER_TEXT_MAX
            && other.is_none_or(|other| rank(self) > rank(other))
    }

    fn takes(&self, digest: &SecretDigest, now_s: u64) -> bool {
        let overlaps = now_s < self.rotated_s.saturating_add(OVERLAP_S);
        let before = self
            .previous
            .is_some_and(|previous| previous.matches(digest));
        self.digest.matches(digest) | (before && overlaps)
    }
}

impl Cluster {
    /// `POST /v1/oauth/token`.
    pub(super) fn token(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        form: TokenForm,
    ) {
        let response = match self.grant(cx, from, form) {
            Ok(response) => response,
            Err(failure) => {
                if failure.code == Code::Unauthorized {
                    cx.event(Event::ClientRefused);
                }
                Response::Failed(failure)
            }
        };
        cx.respond(id, response);
    }

    fn grant(
        &mut self,
        cx: &mut Cx<'_, Self>,
        from: &Caller,
        form: TokenForm,
    ) -> Result<Response, Failure> {
        match form.grant {
            Grant::Client => {}
            Grant::Missing => return Err(INVALID_REQUEST),
            Grant::Other => return Err(UNSUPPORTED),
        }
        let header = from
            .authorization
            .as_ref()
            .filter(|it| tokens::is_basic(it));
        let proved = match header {
            // Two ways at once are no way. Rule: RFC 6749, 2.3.
            Some(_) if form.secret.is_some() => return Err(INVALID_REQUEST),
            Some(header) => {
                let shown = tokens::basic(header).ok_or(INVALID_CLIENT)?;
                // The standard has clients encode both; many do not, and theirs may look encoded.
                self.proved(cx, &shown)
                    .or_else(|| self.proved(cx, &tokens::form_decoded(&shown)?))
            }
            None => {
                let shown = form.client.zip(form.secret).ok_or(INVALID_REQUEST)?;
                self.proved(cx, &shown)
            }
        };
        let (client, may) = proved.ok_or(INVALID_CLIENT)?;
        let now_s = cx.now().wall.as_secs();
        let scopes = match form.scopes {
            None => may,
            Some(Ok(wanted)) if !wanted.is_empty() && may.allow(wanted) => wanted,
            Some(_) => return Err(INVALID_SCOPE),
        };
        if self.credentials.contains_key(&client) {
            self.used.insert(client.clone(), now_s);
            cx.put_lazily(Row::Used(client.clone(), Some(now_s)));
        }
        cx.event(Event::TokenIssued);
        let issuer = cx.config().cluster.peer_id;
        Ok(Response::Token {
            token: tokens::issue(&self.key, issuer, &client, scopes, now_s),
            expires_in: LIFETIME_S,
            scopes,
        })
    }

    /// The client and what its tokens allow, if the secret is its own.
    fn proved(&self, cx: &Cx<'_, Self>, shown: &(String, Secret)) -> Option<(String, Scopes)> {
        let (client, secret) = shown;
        let digest = SecretDigest::of(&secret.0);
        let may = self.scopes_of(cx, client, Some(&digest))?;
        Some((client.clone(), may))
    }

    /// What a client's tokens allow; with a digest, only if it is that of the client's secret.
    pub(super) fn scopes_of(
        &self,
        cx: &Cx<'_, Self>,
        client: &str,
        digest: Option<&SecretDigest>,
    ) -> Option<Scopes> {
        let now_s = cx.now().wall.as_secs();
        let fits = |own: &SecretDigest| digest.is_none_or(|digest| own.matches(digest));
        let fixed = &cx.config().cluster.clients;
        if let Some(fixed) = fixed.iter().find(|fixed| fixed.id == client) {
            return fits(&fixed.digest).then_some(fixed.scopes);
        }
        if let Some(own) = self.credentials.get(client) {
            return fits(&own.digest).then_some(own.scopes);
        }
        let shared = self.shared.as_ref().filter(|it| it.client_id == client)?;
        digest
            .is_none_or(|digest| shared.takes(digest, now_s))
            .then_some(Scopes::ADMIN)
    }

    pub(super) fn list_credentials(&self, cx: &Cx<'_, Self>) -> Response {
        let licence_id = &self.licence(cx).id;
        let listed = self
            .credentials
            .iter()
            .map(|(client, own)| CredentialListed {
                client_id: client.clone(),
                scopes: own.scopes,
                licence_id: licence_id.clone(),
                created_s: own.created_s,
                used_s: self.used.get(client).copied(),
            });
        Response::Credentials(listed.collect())
    }

    /// `POST /v1/credentials`. Nobody gives away more than they have.
    pub(super) fn add_credential(
        &mut self,
        cx: &mut Cx<'_, Self>,
        bearer: &Bearer,
        scopes: Option<Scopes>,
    ) -> Response {
        let scopes = scopes.unwrap_or(bearer.scopes);
        if !bearer.scopes.allow(scopes) {
            return Response::Failed(Failure::new(
                Code::Forbidden,
                "a credential cannot allow more than its maker may",
            ));
        }
        if self.credentials.len() >= CREDENTIALS_MAX {
            let text = format!(
                "there are as many credentials as there may be ({CREDENTIALS_MAX}); delete one first"
            );
            return Response::Failed(Failure::told(Code::Busy, text));
        }
        Response::CredentialMade(Box::new(self.make_credential(cx, scopes)))
    }

    pub(super) fn make_credential(
        &mut self,
        cx: &mut Cx<'_, Self>,
        scopes: Scopes,
    ) -> NewCredential {
        let now = cx.now().wall;
        let client_id = self.mint_client(now.as_micros() / 1_000);
        let secret = self.mint_secret();
        let own = Credential {
            digest: SecretDigest::of(&secret.0),
            scopes,
            created_s: now.as_secs(),
        };
        cx.put(Row::Credential(client_id.clone(), Some(own.clone())));
        self.credentials.insert(client_id.clone(), own);
        NewCredential {
            client_id,
            secret,
            scopes,
            created_s: now.as_secs(),
        }
    }

    pub(super) fn delete_credential(
        &mut self,
        cx: &mut Cx<'_, Self>,
        bearer: &Bearer,
        client: &str,
    ) -> Response {
        if !self.credentials.contains_key(client) {
            return Response::Failed(Failure::new(Code::NotFound, "credential not found"));
        }
        if bearer.client.as_deref() == Some(client) {
            return Response::Failed(Failure::new(
                Code::CannotRevokeCurrent,
                "cannot revoke the credential of this request",
            ));
        }
        self.credentials.remove(client);
        cx.put(Row::Credential(client.into(), None));
        if self.used.remove(client).is_some() {
            cx.put_lazily(Row::Used(client.into(), None));
        }
        Response::Deleted
    }

    pub(super) fn cluster_credential(&self) -> Response {
        match &self.shared {
            Some(shared) => Response::ClusterCredential(Box::new(shared.view(None))),
            None => Response::Failed(Failure::new(
                Code::NotFound,
                "the cluster has no credential; rotate to make one",
            )),
        }
    }

    /// `POST /v1/cluster/credentials/rotate`.
    pub(super) fn rotate(&mut self, cx: &mut Cx<'_, Self>) -> Response {
        let now = cx.now().wall;
        let secret = self.mint_secret();
        let before = self.shared.take();
        let mut shared = SharedCredential {
            client_id: match &before {
                Some(before) => before.client_id.clone(),
                None => self.mint_client(now.as_micros() / 1_000),
            },
            version: before.as_ref().map_or(1, |before| before.version + 1),
            digest: SecretDigest::of(&secret.0),
            previous: before.map(|before| before.digest),
            rotated_by: cx.config().cluster.peer_id,
            rotated_s: now.as_secs(),
            signature: [0; 64],
        };
        shared.sign(&self.key);
        let view = shared.view(Some(secret));
        self.adopt_credential(cx, shared);
        Response::ClusterCredential(Box::new(view))
    }

    pub(super) fn adopt_credential(&mut self, cx: &mut Cx<'_, Self>, shared: SharedCredential) {
        cx.put(Row::Shared(Some(Box::new(shared.clone()))));
        cx.event(Event::CredentialRotated {
            version: shared.version,
        });
        self.shared = Some(shared);
    }

    fn mint_client(&mut self, millis: u64) -> String {
        let mut random = [0; 16];
        self.secrets.fill(&mut random);
        format!(
            "cli_{}",
            ulid::Ulid::from_parts(millis, u128::from_be_bytes(random))
        )
    }

    /// A secret of 256 random bits.
    fn mint_secret(&mut self) -> Secret {
        let mut random = [0; 32];
        self.secrets.fill(&mut random);
        Secret(format!("sec_{}", base64url::encode(&random)))
    }
}

impl SharedCredential {
    fn view(&self, secret: Option<Secret>) -> CredentialView {
        CredentialView {
            client_id: self.client_id.clone(),
            secret,
            version: self.version,
            rotated_by: self.rotated_by,
            rotated_s: self.rotated_s,
        }
    }
}

const INVALID_REQUEST: Failure = Failure::new(Code::InvalidRequest, "invalid_request");
const INVALID_SCOPE: Failure = Failure::new(Code::InvalidRequest, "invalid_scope");
const UNSUPPORTED: Failure = Failure::new(Code::InvalidRequest, "unsupported_grant_type");
