//! Bodies of requests.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::commons::address::HostAddr;
use crate::config::cluster::Scopes;
use crate::limits::CLUSTER_TEXT_MAX;
use crate::rooms::cluster::failure::{Code, Failure};
use crate::rooms::cluster::licence::{LicenceField, SignedLicence};
use crate::rooms::cluster::record::is_name;
use crate::rooms::cluster::types::{AddPeer, Bootstrap, Malformed};
use crate::rooms::cluster::wire::{from_base64, from_rfc3339};

/// What another node sends. What is wrong with it is said without what it says: only names of fields
/// that there are, and a place.
pub(super) fn of_node<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if error.classify() != Category::Data || !is_object {
            return Malformed::NotJson.into();
        }
        let text = error.to_string();
        let named = ["missing field", "duplicate field"];
        let wrong = match text.split('`').collect::<Vec<_>>()[..] {
            [kind, field, ..] if named.contains(&kind.trim_end()) => format!("{kind}`{field}`"),
            _ => "wrong value".to_owned(),
        };
        let (line, column) = (error.line(), error.column());
        let text =
            format!("the body is no {what} of this API: {wrong} at line {line}, column {column}");
        Failure::told(Code::InvalidRequest, text)
    })
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
    match present(body, "license") {
        None => Err(Malformed::LicenceMissing),
        Some(Value::Object(licence)) => signed_licence(licence),
        Some(_) => Err(Malformed::Licence),
    }
}

fn signed_licence(licence: &Map<String, Value>) -> Result<SignedLicence, Malformed> {
    use LicenceField as Field;

    Ok(SignedLicence {
        customer_id: field(licence, Field::CustomerId, short)?,
        licence_id: field(licence, Field::LicenceId, short)?,
        issued_s: field(licence, Field::IssuedAt, |it| from_rfc3339(it.as_str()?))?,
        expires_s: field(licence, Field::ExpiresAt, |it| from_rfc3339(it.as_str()?))?,
        nodes_max: field(licence, Field::MaxNodes, number)?,
        services_max: field(licence, Field::MaxServices, number)?,
        signature: field(licence, Field::Signature, |it| from_base64(it.as_str()?))?,
    })
}

fn field<T>(
    licence: &Map<String, Value>,
    field: LicenceField,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, Malformed> {
    let value = licence.get(field.name()).and_then(read);
    value.ok_or(Malformed::LicenceField(field))
}

fn short(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (text.len() <= CLUSTER_TEXT_MAX).then(|| text.to_owned())
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64()?.try_into().ok()
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
