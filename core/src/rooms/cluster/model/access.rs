//! Who may ask what. Rule: cluster API, bearer tokens and scopes; RFC 7515 and 8037.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

use super::Model;
use crate::base64url;
use crate::config::cluster::Scopes;
use crate::http::path::form_decode;
use crate::input::Secret;
use crate::rooms::cluster::types::{Grant, Request, TokenForm};
use crate::secret::SecretDigest;
use crate::time::Now;

/// Whether somebody may ask something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum May {
    /// They may, with these scopes.
    Surely(Scopes),
    /// It depends on the moment at which it is looked at.
    Perhaps,
    /// They do not say who they are.
    Unknown,
    /// They may do other things.
    Forbidden,
}

impl May {
    pub(super) fn is_never(self) -> bool {
        matches!(self, Self::Unknown | Self::Forbidden)
    }
}

/// What a token must allow; `None` where none is needed.
pub(super) fn needed(request: &Request) -> Option<Scopes> {
    Some(match request {
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
        Request::Licence => Scopes::NONE,
        Request::Bootstrap(_)
        | Request::Deactivate(_)
        | Request::Gossip(_)
        | Request::Handshake(_)
        | Request::Health { .. }
        | Request::Identity
        | Request::Jwks
        | Request::OpenId
        | Request::Token(_) => return None,
    })
}

/// A token that ends within so many seconds may hold or not.
const SOON_S: u64 = 2;
/// The longest that a token may hold.
const LIFETIME_S: u64 = 3_600;
/// How long the secret before a rotation still holds.
const OVERLAP_S: u64 = 86_400;

impl Model {
    /// Whether whoever shows this header may do what needs `needed`.
    pub(super) fn may(&self, now: Now, header: Option<&Secret>, needed: Scopes) -> May {
        let Some(token) = header.and_then(|header| after_scheme(&header.0, "bearer")) else {
            return May::Unknown;
        };
        let digest = SecretDigest::of(token);
        let fixed = self.settings.tokens.iter();
        let fixed = fixed.rev().find(|fixed| fixed.digest.matches(&digest));
        let scopes = match fixed {
            Some(fixed) => fixed.scopes,
            None => match self.scopes_of_token(now, token) {
                Ok(scopes) => scopes,
                Err(may) => return may,
            },
        };
        if scopes.allow(needed) {
            May::Surely(scopes)
        } else {
            May::Forbidden
        }
    }

    /// What a token that this node made allows now.
    fn scopes_of_token(&self, now: Now, token: &str) -> Result<Scopes, May> {
        let claims = self.genuine_claims(token).ok_or(May::Unknown)?;
        let number = |name: &str| claims[name].as_u64();
        let (from, until) = number("iat").zip(number("exp")).ok_or(May::Unknown)?;
        let now_s = now.wall.as_secs();
        if until <= now_s
            || until
                .checked_sub(from)
                .is_none_or(|lasts| lasts > LIFETIME_S)
        {
            return Err(May::Unknown);
        }
        // A clock that was set back may make it one from the future.
        if until <= now_s + SOON_S || from > now_s {
            return Err(May::Perhaps);
        }
        let client = claims["sub"].as_str().ok_or(May::Unknown)?;
        let said = claims["scope"].as_str().unwrap_or_default();
        let said = Scopes::of_all(said.split_whitespace()).map_err(|_| May::Unknown)?;
        let may = self.scopes_of_client(client, None, now_s);
        Ok(said.common(may.ok_or(May::Unknown)?))
    }

    /// What a token says, if this node signed it.
    fn genuine_claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| -> Option<Value> {
            serde_json::from_slice(&base64url::decode(part).ok()?).ok()
        };
        let (header, claims) = (json(header)?, json(claims)?);
        let signature: [u8; 64] = base64url::decode(signature).ok()?.try_into().ok()?;
        let key = VerifyingKey::from_bytes(&self.key.0).ok()?;
        let good = key.verify_strict(signed.as_bytes(), &Signature::from_bytes(&signature));
        let ours = claims["iss"] == self.settings.peer_id.to_string().as_str();
        (good.is_ok() && ours && header["alg"] == "EdDSA").then_some(claims)
    }

    /// What a client's tokens allow, if there is one of that name whose secret fits.
    fn scopes_of_client(
        &self,
        client: &str,
        secret: Option<&SecretDigest>,
        now_s: u64,
    ) -> Option<Scopes> {
        let fits = |digest: &SecretDigest| secret.is_none_or(|secret| digest.matches(secret));
        let fixed = self.settings.clients.iter();
        if let Some(fixed) = fixed.clone().find(|fixed| fixed.id == client) {
            return fits(&fixed.digest).then_some(fixed.scopes);
        }
        if let Some(own) = self.credentials.get(client) {
            return fits(&own.digest).then_some(own.scopes);
        }
        let shared = self.shared.as_ref().filter(|it| it.client_id == client)?;
        let overlaps = now_s < shared.rotated_s + OVERLAP_S;
        let before = shared.previous.filter(|_| overlaps);
        (fits(&shared.digest) || before.is_some_and(|before| fits(&before)))
            .then_some(Scopes::ADMIN)
    }

    /// Whether a form is owed a token, and of which scopes.
    pub(super) fn grants(
        &self,
        now: Now,
        header: Option<&Secret>,
        form: &TokenForm,
    ) -> Option<Scopes> {
        let basic = header.and_then(|header| after_scheme(&header.0, "basic"));
        let shown = match basic {
            Some(_) if form.secret.is_some() => return None,
            Some(text) => {
                use base64::Engine as _;
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(text)
                    .ok()?;
                let text = String::from_utf8(bytes).ok()?;
                let (client, secret) = text.split_once(':')?;
                (client.to_owned(), secret.to_owned())
            }
            None => (form.client.clone()?, form.secret.clone()?.0),
        };
        if form.grant != Grant::Client {
            return None;
        }
        let scopes_of = |client: &str, secret: &str| {
            let digest = SecretDigest::of(secret);
            self.scopes_of_client(client, Some(&digest), now.wall.as_secs())
        };
        let (client, secret) = &shown;
        let may = scopes_of(client, secret).or_else(|| {
            // As it stands, or else as a client encodes it that follows RFC 6749, 2.3.1.
            basic?;
            scopes_of(&form_decode(client)?, &form_decode(secret)?)
        })?;
        match form.scopes {
            None => Some(may),
            Some(Ok(wanted)) => (!wanted.is_empty() && may.allow(wanted)).then_some(wanted),
            Some(Err(_)) => None,
        }
    }
}

/// What comes after a scheme's name, in any spelling of the name.
fn after_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    (given.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}
