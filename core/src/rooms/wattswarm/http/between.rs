//! What nodes send each other: `POST /api/p2p/relationship` and `POST /api/p2p/dm`.
//!
//! Ours alone: the original uses a transport of its own.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::super::records::Action;
use super::super::types::{Delivery, Greeting, Letter, Note, Parcel, Request};
use super::read::parse;
use super::sent;
use crate::http::Reply;
use crate::limits::DELIVERY_ITEMS_MAX;

#[derive(Serialize, Deserialize)]
struct LettersBody<'a> {
    greeting: Cow<'a, Greeting>,
    messages: Cow<'a, [Letter]>,
}

#[derive(Serialize, Deserialize)]
struct NotesBody<'a> {
    greeting: Cow<'a, Greeting>,
    #[serde(borrow)]
    actions: Vec<NoteBody<'a>>,
}

#[derive(Serialize, Deserialize)]
struct NoteBody<'a> {
    seq: u64,
    clock: u64,
    action: Action,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    agent_envelope: Option<&'a RawValue>,
}

pub(super) fn letters(body: &[u8]) -> Result<Request, Reply> {
    let body: LettersBody<'_> = parse(body)?;
    deliver(
        body.greeting.into_owned(),
        body.messages.len(),
        Parcel::Letters(body.messages.into_owned()),
    )
}

pub(super) fn notes(body: &[u8]) -> Result<Request, Reply> {
    let body: NotesBody<'_> = parse(body)?;
    let notes: Vec<Note> = body
        .actions
        .iter()
        .map(|note| Note {
            seq: note.seq,
            clock: note.clock,
            action: note.action,
            envelope: note.agent_envelope.map(sent),
        })
        .collect();
    deliver(
        body.greeting.into_owned(),
        notes.len(),
        Parcel::Notes(notes),
    )
}

fn deliver(greeting: Greeting, items: usize, parcel: Parcel) -> Result<Request, Reply> {
    if items > DELIVERY_ITEMS_MAX {
        return Err(super::show::failure(422, "too many items"));
    }
    Ok(Request::Deliver(Arc::new(Delivery { greeting, parcel })))
}

/// A delivery as a path and a body.
pub(super) fn write(delivery: &Delivery) -> (&'static str, Vec<u8>) {
    let greeting = Cow::Borrowed(&delivery.greeting);
    match &delivery.parcel {
        Parcel::Letters(letters) => {
            let messages = Cow::Borrowed(letters.as_slice());
            ("/api/p2p/dm", json(&LettersBody { greeting, messages }))
        }
        Parcel::Notes(notes) => {
            let actions = notes.iter().map(|note| NoteBody {
                seq: note.seq,
                clock: note.clock,
                action: note.action,
                agent_envelope: note.envelope.as_ref().and_then(|sent| {
                    // What is kept was JSON when it came.
                    serde_json::from_str(&sent.raw.0).ok()
                }),
            });
            let actions = actions.collect();
            let body = NotesBody { greeting, actions };
            ("/api/p2p/relationship", json(&body))
        }
    }
}

fn json<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("bodies have string keys and no failing parts")
}
