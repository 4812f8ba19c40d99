//! The one form of the API, `POST /v1/oauth/token`. Rule: RFC 6749, 4.4.2 and appendix B.

use crate::config::cluster::Scopes;
use crate::http::path::percent_decode;
use crate::input::Secret;
use crate::rooms::cluster::types::{Grant, Malformed, TokenForm};

/// Reads a form. A parameter that comes twice makes the whole form void.
pub(super) fn read(body: &[u8]) -> TokenForm {
    let mut form = VOID;
    let Ok(text) = core::str::from_utf8(body) else {
        return form;
    };
    let mut grant = None;
    let mut scope = None;
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // What has no value counts as left out. Rule: RFC 6749, 3.2.
        if value.is_empty() {
            continue;
        }
        let name = percent_decode(name, true);
        let value = || percent_decode(value, true).into_owned();
        let again = match name.as_ref() {
            "grant_type" => grant.replace(value()).is_some(),
            "client_id" => form.client.replace(value()).is_some(),
            "client_secret" => form.secret.replace(Secret(value())).is_some(),
            "scope" => scope.replace(value()).is_some(),
            _ => false,
        };
        if again {
            return VOID;
        }
    }
    form.grant = match grant.as_deref() {
        Some("client_credentials") => Grant::Client,
        Some(_) => Grant::Other,
        None => Grant::Missing,
    };
    form.scopes = scope.map(|scope| {
        let names = scope.split(' ').filter(|name| !name.is_empty());
        Scopes::of_all(names).map_err(|_| Malformed::Scopes)
    });
    form
}

/// Writes what [`read`] reads.
pub(super) fn write(form: &TokenForm) -> Vec<u8> {
    let mut pairs = Vec::new();
    match form.grant {
        Grant::Client => pairs.push("grant_type=client_credentials".to_owned()),
        Grant::Other => pairs.push("grant_type=password".to_owned()),
        Grant::Missing => {}
    }
    if let Some(client) = &form.client {
        pairs.push(format!("client_id={}", escape(client)));
    }
    if let Some(Secret(secret)) = &form.secret {
        pairs.push(format!("client_secret={}", escape(secret)));
    }
    match &form.scopes {
        Some(Ok(scopes)) => pairs.push(format!("scope={}", escape(&scopes.to_string()))),
        Some(Err(_)) => pairs.push("scope=unknown".to_owned()),
        None => {}
    }
    pairs.join("&").into_bytes()
}

/// A text as a part of a path or a form.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

const VOID: TokenForm = TokenForm {
    grant: Grant::Missing,
    client: None,
    secret: None,
    scopes: None,
};
