//! The fields of an envelope: how they are read, and the texts that are written of them.

use crate::json::{self, Value};

use super::canonical::{self, Members};
use super::card::Card;

/// The fields of an envelope as they were given; texts of JSON are not read yet.
#[derive(Clone, Default)]
pub(super) struct Fields {
    pub(super) capability: Option<String>,
    pub(super) extensions_json: Option<String>,
    pub(super) message_json: String,
    pub(super) protocol: String,
    pub(super) signature: Option<String>,
    pub(super) source_agent_card: Option<Card>,
    pub(super) source_agent_id: Option<String>,
    pub(super) source_node_id: Option<String>,
    pub(super) target_agent_id: Option<String>,
    pub(super) target_node_id: Option<String>,
    pub(super) transport_profile: Option<String>,
}

impl Fields {
    /// Reads the fields in the order of the text; unknown ones are passed over.
    pub(super) fn read(value: &Value<'_>) -> Result<Self, String> {
        let Value::Object(object) = value else {
            return Err(mistaken(value, "an object"));
        };
        let mut seen = Seen::default();
        for (name, value) in object.members() {
            match name {
                "capability" => seen.capability.fill(name, || optional_text(value))?,
                "extensions_json" | "extensions" => {
                    seen.extensions
                        .fill("extensions_json", || extensions(value))?;
                }
                "message_json" | "message" => {
                    seen.message.fill("message_json", || message(value))?;
                }
                "protocol" => seen.protocol.fill(name, || text(value))?,
                "signature" => seen.signature.fill(name, || optional_text(value))?,
                "source_agent_card" => seen.card.fill(name, || Card::read(value))?,
                "source_agent_id" => seen.source_agent.fill(name, || optional_text(value))?,
                "source_node_id" => seen.source_node.fill(name, || optional_text(value))?,
                "target_agent_id" => seen.target_agent.fill(name, || optional_text(value))?,
                "target_node_id" => seen.target_node.fill(name, || optional_text(value))?,
                "transport_profile" => seen.profile.fill(name, || optional_text(value))?,
                _ => {}
            }
        }
        Ok(Self {
            capability: seen.capability.0.flatten(),
            extensions_json: seen.extensions.0.flatten(),
            message_json: seen.message.0.unwrap_or_default(),
            protocol: seen.protocol.required("protocol")?,
            signature: seen.signature.0.flatten(),
            source_agent_card: seen.card.0.flatten(),
            source_agent_id: seen.source_agent.0.flatten(),
            source_node_id: seen.source_node.0.flatten(),
            target_agent_id: seen.target_agent.0.flatten(),
            target_node_id: seen.target_node.0.flatten(),
            transport_profile: seen.profile.0.flatten(),
        })
    }

    /// The text that travels: all fields, the message as text.
    pub(super) fn raw(&self) -> String {
        let mut members = Members::new()
            .maybe("capability", self.capability.as_ref())
            .maybe("extensions_json", self.extensions_json.as_ref())
            .text("message_json", &self.message_json)
            .text("protocol", &self.protocol)
            .maybe("signature", self.signature.as_ref());
        if let Some(card) = &self.source_agent_card {
            members = members.json("source_agent_card", &card.json());
        }
        self.parties(members).end()
    }

    /// The text that is shown, given the message as JSON.
    pub(super) fn stored(&self, message: Option<&Value<'_>>) -> String {
        let mut members = Members::new().maybe("capability", self.capability.as_ref());
        let extensions = self.extensions_json.as_deref();
        let extensions = extensions.and_then(|text| json::parse(text).ok());
        if let Some(Ok(extensions)) = extensions.as_ref().map(canonical::plain) {
            members = members.json("extensions", &extensions);
        }
        let message = message.and_then(|message| canonical::plain(message).ok());
        members = members
            .json("message", message.as_deref().unwrap_or("{}"))
            .text("protocol", &self.protocol)
            .maybe("signature", self.signature.as_ref());
        if let Some(card) = &self.source_agent_card {
            members = members.json("source_agent_card", &card.json());
        }
        self.parties(members).end()
    }

    /// What the signature of the envelope is made over: all fields but itself, and the hash of the
    /// card in place of the card.
    pub(super) fn signed(&self) -> String {
        let card_hash = self.source_agent_card.as_ref().map(|card| &card.card_hash);
        let members = Members::new()
            .maybe("capability", self.capability.as_ref())
            .maybe("extensions_json", self.extensions_json.as_ref())
            .text("message_json", &self.message_json)
            .text("protocol", &self.protocol)
            .maybe("source_agent_card_hash", card_hash);
        self.parties(members).end()
    }

    /// The fields that come last in the alphabet.
    fn parties(&self, members: Members) -> Members {
        members
            .maybe("source_agent_id", self.source_agent_id.as_ref())
            .maybe("source_node_id", self.source_node_id.as_ref())
            .maybe("target_agent_id", self.target_agent_id.as_ref())
            .maybe("target_node_id", self.target_node_id.as_ref())
            .maybe("transport_profile", self.transport_profile.as_ref())
    }
}

/// A field while it is read: not seen, or seen with this value.
pub(super) struct Field<T>(pub(super) Option<T>);

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Field<T> {
    /// Takes the value of a field that must not have been seen before. `name` is its main name.
    pub(super) fn fill(
        &mut self,
        name: &str,
        read: impl FnOnce() -> Result<T, String>,
    ) -> Result<(), String> {
        if self.0.is_some() {
            return Err(format!("duplicate field `{name}`"));
        }
        self.0 = Some(read().map_err(|fault| format!("{name}: {fault}"))?);
        Ok(())
    }

    pub(super) fn required(self, name: &str) -> Result<T, String> {
        self.0.ok_or_else(|| format!("missing field `{name}`"))
    }
}

#[derive(Default)]
struct Seen {
    capability: Field<Option<String>>,
    card: Field<Option<Card>>,
    extensions: Field<Option<String>>,
    message: Field<String>,
    profile: Field<Option<String>>,
    protocol: Field<String>,
    signature: Field<Option<String>>,
    source_agent: Field<Option<String>>,
    source_node: Field<Option<String>>,
    target_agent: Field<Option<String>>,
    target_node: Field<Option<String>>,
}

/// A text as it is; other JSON as text; nothing as the empty text.
fn message(value: &Value<'_>) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone().into_owned()),
        Value::Array(_) | Value::Boolean(_) | Value::Number(_) | Value::Object(_) => {
            json_text(value)
        }
    }
}

/// As [`message`], but a blank text is nothing.
fn extensions(value: &Value<'_>) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.clone().into_owned())),
        Value::Array(_) | Value::Boolean(_) | Value::Number(_) | Value::Object(_) => {
            json_text(value).map(Some)
        }
    }
}

/// Any JSON as compact text with sorted keys.
pub(super) fn json_text(value: &Value<'_>) -> Result<String, String> {
    canonical::plain(value).map_err(|fault| fault.to_string())
}

pub(super) fn text(value: &Value<'_>) -> Result<String, String> {
    let Value::String(text) = value else {
        return Err(mistaken(value, "a string"));
    };
    Ok(text.clone().into_owned())
}

pub(super) fn optional_text(value: &Value<'_>) -> Result<Option<String>, String> {
    if matches!(value, Value::Null) {
        return Ok(None);
    }
    text(value).map(Some)
}

/// Says what stands where something else should, in the words that the original's reader uses.
pub(super) fn mistaken(value: &Value<'_>, expected: &str) -> String {
    let found = match value {
        Value::Array(_) => "sequence".to_owned(),
        Value::Boolean(value) => format!("boolean `{value}`"),
        Value::Null => "null".to_owned(),
        Value::Number(number) => {
            let kind = if number.text().contains(['.', 'e', 'E']) {
                "floating point"
            } else {
                "integer"
            };
            format!("{kind} `{}`", shortened(number.text()))
        }
        Value::Object(_) => "map".to_owned(),
        Value::String(text) => format!("string {:?}", shortened(text)),
    };
    format!("invalid type: {found}, expected {expected}")
}

/// At most 64 characters of a text, for error messages.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
