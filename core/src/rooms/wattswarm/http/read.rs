//! Reading what operators send.
//!
//! Text that is not JSON is 400, JSON of another shape 422, in that order.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::super::envelope::{Envelope, EnvelopeFault};
use super::super::material::Material;
use super::super::records::{Action, Actor, Json};
use super::super::types::{Act, Draft, Introduction, Request, Sent};
use super::show::failure;
use crate::http::Reply;
use crate::http::path::percent_decode;
use crate::limits::AGENT_JSON_DEPTH_MAX;

#[derive(Deserialize)]
struct ActBody<'a> {
    #[serde(borrow)]
    remote_node_id: Cow<'a, str>,
    action: Action,
    #[serde(borrow, default)]
    agent_envelope: Option<&'a RawValue>,
    #[serde(default)]
    initiated_by: Option<Actor>,
}

#[derive(Deserialize)]
struct DraftBody<'a> {
    #[serde(borrow)]
    remote_node_id: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(borrow, default)]
    agent_envelope: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
struct ContactBody {
    remote_node_id: Arc<str>,
    contact_material: Material,
}

/// The conversation that a query names, exactly once.
///
/// Read as HTML forms write it: pairs are separated by `&` alone, names may be encoded too, a name
/// without `=` has the empty value.
pub(super) fn thread(query: Option<&str>) -> Result<Request, Reply> {
    let mut named = query
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| percent_decode(name, true) == "thread_id");
    let Some((_, thread)) = named.next() else {
        return Err(failure(400, "missing field `thread_id`"));
    };
    if named.next().is_some() {
        return Err(failure(400, "duplicate field `thread_id`"));
    }
    Ok(Request::Messages {
        thread: percent_decode(thread, true).into(),
    })
}

pub(super) fn act(body: &[u8]) -> Result<Request, Reply> {
    let body: ActBody<'_> = parse(body)?;
    Ok(Request::Act(Act {
        remote: body.remote_node_id.into(),
        action: body.action,
        by: body.initiated_by.unwrap_or_default(),
        envelope: envelope(body.agent_envelope)?,
    }))
}

pub(super) fn send(body: &[u8]) -> Result<Request, Reply> {
    let body: DraftBody<'_> = parse(body)?;
    let content = Json(body.content.get().into());
    if !content.is_shallow() {
        let text = format!("content nests more than {AGENT_JSON_DEPTH_MAX} levels deep");
        return Err(failure(400, &text));
    }
    Ok(Request::Send(Draft {
        remote: body.remote_node_id.into(),
        content,
        envelope: envelope(body.agent_envelope)?,
    }))
}

pub(super) fn contact(body: &[u8]) -> Result<Request, Reply> {
    let body: ContactBody = parse(body)?;
    Ok(Request::Contact(Introduction {
        remote: body.remote_node_id,
        material: body.contact_material,
    }))
}

/// Of an envelope only the shape is judged here: whether the rest matters is for the room to say.
fn envelope(raw: Option<&RawValue>) -> Result<Option<Sent>, Reply> {
    let Some(raw) = raw else { return Ok(None) };
    let read = match Envelope::read(raw) {
        Ok(envelope) => Ok(envelope),
        Err(EnvelopeFault::Invalid(text)) => Err(Arc::from(text)),
        Err(EnvelopeFault::Shape(text)) => {
            return Err(failure(422, &format!("agent_envelope: {text}")));
        }
    };
    Ok(Some(Sent::new(raw.get(), read)))
}

/// Reads a body. Whole first: what is not JSON, or nests too deep, is told from what has another
/// shape wherever it stands.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reply> {
    let value: Result<Value, _> = serde_json::from_slice(body);
    let value = value.map_err(|error| failure(400, &format!("not JSON: {error}")))?;
    if !value.is_object() {
        return Err(failure(422, "the body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let status = match error.classify() {
            Category::Data => 422,
            Category::Eof | Category::Io | Category::Syntax => 400,
        };
        failure(status, &error.to_string())
    })
}
