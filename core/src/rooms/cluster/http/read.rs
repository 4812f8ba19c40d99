//! Bodies of requests.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::commons::address::HostAddr;
use crate::config::cluster::Scopes;
use crate::limits::CLUSTER_TEXT_MAX;
use crate::rooms::cluster::licence::SignedLicence;
use crate::rooms::cluster::record::is_name;
use crate::rooms::cluster::types::{AddPeer, Bootstrap, Malformed};
use crate::rooms::cluster::wire::{from_base64, from_rfc3339};

/// What another node sends.
pub(super) fn of_node<T: DeserializeOwned>(body: &[u8]) -> Option<Arc<T>> {
    serde_json::from_slice(body).ok().map(Arc::new)
}

pub(super) fn add_peer(body: &[u8]) -> Result<AddPeer, Malformed> {
    let body = object(body)?;
    let address = match present(&body, "address") {
        None => return Err(Malformed::AddressMissing),
        Some(Value::String(text)) => text.parse::<HostAddr>().map_err(|_| Malformed::Address)?,
        Some(_) => return Err(Malformed::Address),
    };
    if address.port == 0 {
        return Err(Malformed::Address);
    }
    let name = name(&body)?;
    Ok(AddPeer { address, name })
}

/// Whether it is forced. Most often there is nothing to say, and no body.
pub(super) fn init(body: &[u8]) -> Result<bool, Malformed> {
    if body.is_empty() {
        return Ok(false);
    }
    match present(&object(body)?, "force") {
        None => Ok(false),
        Some(Value::Bool(force)) => Ok(*force),
        Some(_) => Err(Malformed::Force),
    }
}

pub(super) fn rename(body: &[u8]) -> Result<Option<String>, Malformed> {
    name(&object(body)?)
}

/// None, if the caller's own are meant: there are none, or an empty list of them.
pub(super) fn scopes(body: &[u8]) -> Result<Option<Scopes>, Malformed> {
    let body = object(body)?;
    let names = match present(&body, "scopes") {
        None => return Ok(None),
        Some(Value::Array(names)) => names,
        Some(_) => return Err(Malformed::Scopes),
    };
    let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
    let scopes = Scopes::of_all(names.ok_or(Malformed::Scopes)?);
    let scopes = scopes.map_err(|_| Malformed::Scopes)?;
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

pub(super) fn bootstrap(body: &[u8]) -> Result<Bootstrap, Malformed> {
    let body = object(body)?;
    let name = name(&body)?;
    let licence = licence_in(&body)?;
    Ok(Bootstrap { licence, name })
}

pub(super) fn licence(body: &[u8]) -> Result<SignedLicence, Malformed> {
    licence_in(&object(body)?)
}

fn licence_in(body: &Map<String, Value>) -> Result<SignedLicence, Malformed> {
    let Some(Value::Object(licence)) = present(body, "license") else {
        return Err(Malformed::Licence);
    };
    signed_licence(licence).ok_or(Malformed::Licence)
}

fn signed_licence(licence: &Map<String, Value>) -> Option<SignedLicence> {
    let text = |name: &str| licence.get(name)?.as_str();
    let short = |name: &str| text(name).filter(|text| text.len() <= CLUSTER_TEXT_MAX);
    let number = |name: &str| u32::try_from(licence.get(name)?.as_u64()?).ok();
    Some(SignedLicence {
        customer_id: short("customer_id")?.into(),
        licence_id: short("license_id")?.into(),
        issued_s: from_rfc3339(text("issued_at")?)?,
        expires_s: from_rfc3339(text("expires_at")?)?,
        nodes_max: number("max_nodes")?,
        services_max: number("max_services")?,
        signature: from_base64(text("signature")?)?,
    })
}

fn name(body: &Map<String, Value>) -> Result<Option<String>, Malformed> {
    match present(body, "name") {
        None => Ok(None),
        Some(Value::String(name)) if is_name(name) => Ok(Some(name.clone())),
        Some(_) => Err(Malformed::Name),
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Malformed> {
    serde_json::from_slice(body).map_err(|_| Malformed::NotJson)
}

/// A field that is there; `null` stands for one that is not.
fn present<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}
