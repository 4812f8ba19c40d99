//! Bearer tokens: compact JWS signed with the node's own key, and what is known of good ones.
//!
//! No library is used: those there are read the system's clock, and stand on cryptography that
//! draws from the operating system, both of which a node must not. What is needed is little: one
//! algorithm, one key, five claims. Rules: cluster API, bearer tokens; RFC 7515, 7519 and 8037.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use super::failure::{EXPIRED, Failure, UNAUTHORIZED};
use crate::base64url;
use crate::config::cluster::{FixedToken, Scopes};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: the node's peer id.
    iss: String,
    /// For whom: the client.
    pub sub: String,
    /// What it allows, as names with blanks between them.
    scope: String,
    /// When it was made, in seconds since the Unix epoch.
    iat: u64,
    /// When it ends.
    exp: u64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
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

/// Makes a token.
pub(super) fn issue(
    key: &SigningKey,
    issuer: PeerId,
    client: &str,
    scopes: Scopes,
    now_s: u64,
) -> Secret {
    let header = Header {
        alg: ALGORITHM.into(),
        typ: Some("JWT".into()),
        kid: Some(issuer.to_string()),
        crit: None,
    };
    let claims = Claims {
        iss: issuer.to_string(),
        sub: client.into(),
        scope: scopes.to_string(),
        iat: now_s,
        exp: now_s.saturating_add(LIFETIME_S),
    };
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = key.sign(text.as_bytes()).to_bytes();
    Secret(format!("{text}.{}", base64url::encode(&signature)))
}

const ALGORITHM: &str = "EdDSA";

fn part<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_vec(value).expect("claims have no failing parts");
    base64url::encode(&json)
}

/// Reads a token as far as it can be without checking its signature: the claims, and the signature
/// to be checked with `key`. `None` if it is no token of `issuer`.
pub(super) fn read(text: &str, issuer: PeerId, key: PublicKey) -> Option<(Claims, Signed)> {
    let mut parts = text.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    // A token is written in one way only, without padding. Rule: RFC 7515, 2.
    let decode = |part: &str| base64url::decode(part).ok().filter(|_| !part.contains('='));
    let head: Header = serde_json::from_slice(&decode(header)?).ok()?;
    let ours = issuer.to_string();
    // The algorithm is ours to choose, never the token's.
    if head.alg != ALGORITHM
        || head.crit.is_some()
        || head.kid.is_some_and(|kid| kid != ours)
        || head.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT"))
    {
        return None;
    }
    let read: Claims = serde_json::from_slice(&decode(claims)?).ok()?;
    if read.iss != ours {
        return None;
    }
    let signed = Signed {
        key,
        message: text[..header.len() + 1 + claims.len()].into(),
        signature: decode(signature)?.try_into().ok()?,
    };
    Some((read, signed))
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
            iss: "peer".into(),
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
