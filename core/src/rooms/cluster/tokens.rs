//! Bearer tokens: JWTs signed with the node's own key, and what is known of good ones.
//!
//! The library writes and reads them; it is built without its clock. Signing and checking is the
//! node's, so that a check is an effect like any other, and so is the time, which is an input. Rules:
//! cluster API, bearer tokens; RFC 7515, 7519 and 8037.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jwt_compact::{Algorithm, AlgorithmExt as _, AlgorithmSignature, Header, UntrustedToken};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::failure::{EXPIRED, Failure, UNAUTHORIZED};
use crate::config::cluster::{FixedToken, Scopes};
use crate::http::path::form_decode;
use crate::ids::{PeerId, PublicKey};
use crate::input::Secret;
use crate::limits::{AUTHORIZATION_BYTES_MAX, KNOWN_TOKENS_MAX};
use crate::secret::SecretDigest;
use crate::verify::Signed;

/// Seconds for which a token holds.
pub const LIFETIME_S: u64 = 3_600;
/// Seconds that a token may come from the future: the clock may have been set back a little since
/// it was made.
const SKEW_S: u64 = 60;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// For whom: the client.
    pub sub: String,
    /// What it allows, as names with blanks between them.
    scope: String,
    /// When it was made, in seconds since the Unix epoch.
    iat: u64,
    /// When it ends.
    exp: u64,
}

/// What a token says beside its times.
#[derive(Serialize, Deserialize)]
struct Grant {
    /// Who made it: the node's peer id.
    iss: String,
    sub: String,
    scope: String,
}

impl Claims {
    /// Whether the token holds at `now_s`.
    pub(super) fn check_time(&self, now_s: u64) -> Result<(), Failure> {
        let lasts = self.exp.checked_sub(self.iat);
        if self.iat > now_s.saturating_add(SKEW_S) || lasts.is_none_or(|lasts| lasts > LIFETIME_S) {
            return Err(UNAUTHORIZED);
        }
        if self.exp <= now_s {
            return Err(EXPIRED);
        }
        Ok(())
    }

    /// What the token allows.
    pub(super) fn scopes(&self) -> Scopes {
        // Only what we wrote ourselves comes here; should it be unreadable, it allows nothing.
        Scopes::of_all(self.scope.split(' ').filter(|name| !name.is_empty())).unwrap_or_default()
    }
}

/// Ed25519 as the library is to use it. Rule: RFC 8037, 3.1.
struct EdDsa;

/// A signature as the library wants it.
struct Signed64([u8; 64]);

impl AlgorithmSignature for Signed64 {
    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(slice.try_into()?))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl Algorithm for EdDsa {
    type SigningKey = SigningKey;
    type VerifyingKey = VerifyingKey;
    type Signature = Signed64;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("EdDSA")
    }

    fn sign(&self, key: &SigningKey, message: &[u8]) -> Signed64 {
        Signed64(key.sign(message).to_bytes())
    }

    fn verify_signature(&self, signature: &Signed64, key: &VerifyingKey, message: &[u8]) -> bool {
        let signature = Signature::from_bytes(&signature.0);
        key.verify_strict(message, &signature).is_ok()
    }
}

/// Extensions that must be understood. We understand none. Rule: RFC 7515, 4.1.11.
#[derive(Deserialize)]
struct Critical {
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// Makes a token.
pub(super) fn issue(
    key: &SigningKey,
    issuer: PeerId,
    client: &str,
    scopes: Scopes,
    now_s: u64,
) -> Secret {
    let issuer = issuer.to_string();
    let header = Header::empty()
        .with_token_type("JWT")
        .with_key_id(issuer.clone());
    let mut claims = jwt_compact::Claims::new(Grant {
        iss: issuer,
        sub: client.into(),
        scope: scopes.to_string(),
    });
    claims.issued_at = date(now_s);
    claims.expiration = date(now_s.saturating_add(LIFETIME_S));
    let token = EdDsa.token(&header, &claims, key);
    Secret(token.expect("claims have no failing parts"))
}

fn date(seconds: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.try_into().ok()?, 0)
}

/// Reads a token as far as it can be without checking its signature: the claims, and the signature
/// to be checked with `key`. `None` if it is no token of `issuer`.
pub(super) fn read(text: &str, issuer: PeerId, key: PublicKey) -> Option<(Claims, Signed)> {
    let token = UntrustedToken::<Critical>::try_from(text).ok()?;
    let ours = issuer.to_string();
    let header = token.header();
    let kid_fits = header.key_id.as_ref().is_none_or(|kid| *kid == ours);
    let typ = header.token_type.as_ref();
    let typ_fits = typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    // The algorithm is ours to choose, never the token's.
    let fits = token.algorithm() == EdDsa.name() && kid_fits && typ_fits;
    if !fits || header.other_fields.crit.is_some() {
        return None;
    }
    let claims = token.deserialize_claims_unchecked::<Grant>().ok()?;
    let seconds = |at: Option<DateTime<Utc>>| u64::try_from(at?.timestamp()).ok();
    let (iat, exp) = (seconds(claims.issued_at)?, seconds(claims.expiration)?);
    let Grant { iss, sub, scope } = claims.custom;
    if iss != ours {
        return None;
    }
    let (message, _) = text.rsplit_once('.')?;
    let signed = Signed {
        key,
        message: message.into(),
        signature: token.signature_bytes().try_into().ok()?,
    };
    let claims = Claims {
        sub,
        scope,
        iat,
        exp,
    };
    Some((claims, signed))
}

/// The token in an `Authorization` header.
pub(super) fn bearer(authorization: &Secret) -> Option<&str> {
    credentials(authorization, "Bearer")
}

/// The client and its secret in an `Authorization` header. Rule: RFC 7617.
pub(super) fn basic(authorization: &Secret) -> Option<(String, Secret)> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let text = credentials(authorization, "Basic")?;
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    let (client, secret) = text.split_once(':')?;
    Some((client.into(), Secret(secret.into())))
}

/// The same client and secret, if they were encoded as a form before they became a header, as RFC
/// 6749, 2.3.1, has it; `None` if nothing in them is encoded, or not all of it rightly.
pub(super) fn form_decoded((client, secret): &(String, Secret)) -> Option<(String, Secret)> {
    let (plain_client, plain_secret) = (form_decode(client)?, form_decode(&secret.0)?);
    let same = plain_client == client.as_str() && plain_secret == secret.0.as_str();
    (!same).then(|| (plain_client.into_owned(), Secret(plain_secret.into_owned())))
}

/// Whether an `Authorization` header presents a client and its secret.
pub(super) fn is_basic(authorization: &Secret) -> bool {
    credentials(authorization, "Basic").is_some()
}

fn credentials<'a>(authorization: &'a Secret, scheme: &str) -> Option<&'a str> {
    let text = &authorization.0;
    if text.len() > AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let (given, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    (given.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

/// What a fixed token allows. Every token is compared, whichever fits.
pub(super) fn fixed(tokens: &[FixedToken], digest: &SecretDigest) -> Option<Scopes> {
    tokens.iter().fold(None, |found, token| {
        let fits = token.digest.matches(digest);
        fits.then_some(token.scopes).or(found)
    })
}

/// Tokens whose signature was good, and what they say, so that neither is looked at with every
/// request.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    claims: BTreeMap<SecretDigest, Arc<Claims>>,
    order: VecDeque<SecretDigest>,
}

impl Known {
    pub(super) fn find(&self, digest: &SecretDigest) -> Option<Arc<Claims>> {
        self.claims.get(digest).cloned()
    }

    pub(super) fn insert(&mut self, digest: SecretDigest, claims: Arc<Claims>) {
        if self.claims.insert(digest, claims).is_some() {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > KNOWN_TOKENS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.claims.remove(&oldest);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_known_token_makes_room() {
        let claims = Arc::new(Claims {
            sub: "client".into(),
            scope: String::new(),
            iat: 0,
            exp: 1,
        });
        let digest = |number: usize| SecretDigest::of(&number.to_string());
        let mut known = Known::default();
        for number in 0..=KNOWN_TOKENS_MAX {
            // Again is not anew: two requests may have waited for one token to be checked.
            known.insert(digest(number), claims.clone());
            known.insert(digest(number), claims.clone());
        }
        assert_eq!(known.len(), KNOWN_TOKENS_MAX);
        assert_eq!(known.order.len(), KNOWN_TOKENS_MAX);
        assert!(known.find(&digest(0)).is_none());
        assert_eq!(known.find(&digest(1)), Some(claims));
    }
}
