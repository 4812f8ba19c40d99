//! Writing answers to operators and nodes, and the client's half of all endpoints.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::de::{DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::list::PeerList;
use super::super::material::Material;
use super::super::records::{Action, Message, NodeId, PeerRecord, Relations, Relationship, Thread};
use super::super::shelf::Listing;
use super::super::types::{Network, Posted, Refusal, Request, Response, Status};
use crate::http::{Outgoing, Reply, Site};

const JSON: &str = "application/json";

/// A failure, as the handlers of the original answer it.
pub(super) fn failure(status: u16, text: &str) -> Reply {
    answer(status, &json!({ "ok": false, "error": text }))
}

fn answer<T: Serialize>(status: u16, body: &T) -> Reply {
    let body = serde_json::to_vec(body).expect("answers have string keys and no failing parts");
    Reply::new(status, Some(JSON), body.into())
}

#[derive(Serialize, Deserialize)]
struct ActedBody<'a> {
    ok: bool,
    relationship: Cow<'a, Relationship>,
}

#[derive(Serialize, Deserialize)]
struct ContactSavedBody {
    contact_material_saved: bool,
    ok: bool,
    remote_node_id: NodeId,
}

#[derive(Serialize, Deserialize)]
struct HeadBody {
    head: u64,
    ok: bool,
}

#[derive(Serialize, Deserialize)]
struct ListBody {
    ok: bool,
    peers: Vec<NodeId>,
    records: Vec<PeerRecord>,
}

#[derive(Serialize, Deserialize)]
struct MessagesBody {
    messages: Items<Arc<Message>>,
    ok: bool,
    thread_id: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct ThreadsBody {
    ok: bool,
    threads: Items<Arc<Thread>>,
}

#[derive(Serialize, Deserialize)]
struct OwnContactBody<'a> {
    contact_material: Cow<'a, Material>,
    ok: bool,
}

#[derive(Serialize, Deserialize)]
struct QueuedBody {
    action: Action,
    ok: bool,
    queued: bool,
    remote_node_id: Arc<str>,
}

/// An object of its own with `ok` and what else is always there.
#[derive(Serialize, Deserialize)]
struct Plus<T, M> {
    ok: bool,
    #[serde(flatten)]
    body: T,
    #[serde(flatten)]
    more: M,
}

#[derive(Serialize, Deserialize, Default)]
struct OfStatus {
    local_protocol_version: String,
    peer_protocol_distribution: serde_json::Map<String, Value>,
}

#[derive(Serialize, Deserialize, Default)]
struct OfPosted {
    gossip_kinds: Vec<String>,
    queued: bool,
}

#[derive(Serialize, Deserialize, Default)]
struct Nothing {}

/// A listing as a JSON array, written without a copy of it.
struct Items<T>(Listing<T>);

impl<T: Serialize> Serialize for Items<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|things| Self(Listing::new(things)))
    }
}

pub(crate) fn encode(response: &Response) -> Reply {
    match response {
        Response::Acted(record) => answer(
            200,
            &ActedBody {
                ok: true,
                relationship: Cow::Borrowed(record),
            },
        ),
        Response::ContactSaved(id) => answer(
            200,
            &ContactSavedBody {
                contact_material_saved: true,
                ok: true,
                remote_node_id: id.clone(),
            },
        ),
        Response::Done => answer(200, &json!({ "ok": true })),
        Response::Head(head) => answer(
            200,
            &HeadBody {
                head: *head,
                ok: true,
            },
        ),
        Response::List(list) => answer(200, &list_body(list)),
        Response::Messages { thread, messages } => answer(
            200,
            &MessagesBody {
                messages: Items(messages.clone()),
                ok: true,
                thread_id: thread.clone(),
            },
        ),
        Response::Network(network) => plus(&**network, Nothing {}),
        Response::OwnContact(material) => answer(
            200,
            &OwnContactBody {
                contact_material: Cow::Borrowed(material),
                ok: true,
            },
        ),
        Response::Queued { remote, action } => answer(
            200,
            &QueuedBody {
                action: *action,
                ok: true,
                queued: true,
                remote_node_id: remote.clone(),
            },
        ),
        Response::Receipt(receipt) => answer(200, &**receipt),
        Response::Refused(refusal) => encode_refusal(response.status(), refusal),
        Response::Relationships(relations) => answer(200, &Relationships(relations)),
        Response::Sent(posted) => plus(
            &**posted,
            OfPosted {
                gossip_kinds: vec!["messages".to_owned()],
                queued: false,
            },
        ),
        Response::Status(status) => plus(
            &**status,
            OfStatus {
                local_protocol_version: "0.1.0".to_owned(),
                ..OfStatus::default()
            },
        ),
        Response::Threads(threads) => answer(
            200,
            &ThreadsBody {
                ok: true,
                threads: Items(threads.clone()),
            },
        ),
    }
}

fn plus<T: Serialize, M: Serialize>(body: T, more: M) -> Reply {
    let ok = true;
    answer(200, &Plus { ok, body, more })
}

fn list_body(list: &PeerList) -> ListBody {
    let records = list.records();
    let connected = records.iter().filter(|record| record.connected);
    ListBody {
        ok: true,
        peers: connected.map(|record| record.node_id.clone()).collect(),
        records,
    }
}

const BUSY: &str = "too many envelopes are being checked; try again";
const IMPOSTOR: &str = "the caller does not hold the key of the node it speaks for";

fn encode_refusal(status: u16, refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Busy => failure(status, BUSY),
        Refusal::Impostor => failure(status, IMPOSTOR),
        Refusal::Invalid(text) => failure(status, text),
    }
}

/// All records of all nodes in one array.
struct Relationships<'a>(&'a Listing<Relations>);

impl Serialize for Relationships<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("ok", &true)?;
        map.serialize_entry("relationships", &Flat(self.0))?;
        map.end()
    }
}

struct Flat<'a>(&'a Listing<Relations>);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let records = self.0.iter().flat_map(|relations| relations.records.iter());
        serializer.collect_seq(records)
    }
}

#[derive(Deserialize)]
struct RelationshipsBody {
    relationships: Grouped,
}

/// Records that stand together again by their node.
struct Grouped(Vec<Relations>);

impl<'de> Deserialize<'de> for Grouped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Grouping;

        impl<'de> Visitor<'de> for Grouping {
            type Value = Grouped;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of relationships")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Grouped, A::Error> {
                let mut groups: Vec<(NodeId, Vec<Relationship>)> = Vec::new();
                while let Some(record) = seq.next_element::<Relationship>()? {
                    match groups.last_mut() {
                        Some((id, records)) if *id == record.remote_node_id => {
                            records.push(record);
                        }
                        _ => groups.push((record.remote_node_id.clone(), vec![record])),
                    }
                }
                let groups = groups
                    .into_iter()
                    .map(|(remote_node_id, records)| Relations {
                        remote_node_id,
                        records: records.into(),
                    });
                Ok(Grouped(groups.collect()))
            }
        }

        deserializer.deserialize_seq(Grouping)
    }
}

pub(crate) fn encode_request(_: &Site, request: &Request) -> Outgoing {
    let bare = |method: Method, target: &str| Outgoing {
        method,
        target: target.to_owned(),
        json: false,
        body: Bytes::new(),
    };
    let get = |target: &str| bare(Method::GET, target);
    let post = |target: &str, body: Vec<u8>| Outgoing {
        method: Method::POST,
        target: target.to_owned(),
        json: true,
        body: body.into(),
    };
    match request {
        Request::Act(act) => {
            let envelope = act.envelope.as_ref().and_then(|sent| raw(&sent.raw.0));
            let body = json_of(&[
                ("action", Part::Is(&act.action)),
                ("agent_envelope", Part::Raw(envelope)),
                ("initiated_by", Part::Is(&act.by)),
                ("remote_node_id", Part::Is(&act.remote)),
            ]);
            post("/api/peers/relationships", body)
        }
        Request::Contact(asked) => {
            let body = json_of(&[
                ("contact_material", Part::Is(&asked.material)),
                ("remote_node_id", Part::Is(&asked.remote)),
            ]);
            post("/api/peers/contact-material", body)
        }
        Request::Deliver(delivery) => {
            let (target, body) = super::between::write(delivery);
            post(target, body)
        }
        Request::Head => get("/api/log/head"),
        Request::List => get("/api/peers/list"),
        Request::Messages { thread } => get(&format!(
            "/api/peers/dm/messages?thread_id={}",
            escaped(thread)
        )),
        Request::Network => get("/api/network/local"),
        Request::OwnContact => get("/api/network/contact-material/local"),
        Request::Relationships => get("/api/peers/relationships"),
        Request::Run(true) => bare(Method::POST, "/api/node/up"),
        Request::Run(false) => bare(Method::POST, "/api/node/down"),
        Request::Send(draft) => {
            let envelope = draft.envelope.as_ref().and_then(|sent| raw(&sent.raw.0));
            let body = json_of(&[
                ("agent_envelope", Part::Raw(envelope)),
                ("content", Part::Raw(raw(&draft.content.0))),
                ("remote_node_id", Part::Is(&draft.remote)),
            ]);
            post("/api/peers/dm/messages", body)
        }
        Request::Status => get("/api/node/status"),
        Request::Threads => get("/api/peers/dm/threads"),
    }
}

/// A member of a body that is written.
enum Part<'a> {
    Is(&'a dyn ErasedJson),
    Raw(Option<&'a RawValue>),
}

trait ErasedJson {
    fn json(&self) -> String;
}

impl<T: Serialize> ErasedJson for T {
    fn json(&self) -> String {
        serde_json::to_string(self).expect("bodies have string keys and no failing parts")
    }
}

fn json_of(members: &[(&str, Part<'_>)]) -> Vec<u8> {
    let mut out = String::from("{");
    for (place, (name, part)) in members.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let text = match part {
            Part::Is(value) => Cow::Owned(value.json()),
            Part::Raw(value) => Cow::Borrowed(value.map_or("null", RawValue::get)),
        };
        out.push_str(&format!("{comma}\"{name}\":{text}"));
    }
    out.push('}');
    out.into_bytes()
}

fn raw(text: &str) -> Option<&RawValue> {
    serde_json::from_str(text).ok()
}

/// A query's value with everything escaped that could mean something else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

pub(crate) fn decode_response(request: &Request, status: u16, body: &Bytes) -> Option<Response> {
    if status != 200 {
        return decode_refusal(status, body);
    }
    Some(match request {
        Request::Act(act) => match read::<QueuedBody>(body) {
            Some(queued) => Response::Queued {
                remote: queued.remote_node_id,
                action: act.action,
            },
            None => {
                let body: ActedBody<'_> = read(body)?;
                Response::Acted(Box::new(body.relationship.into_owned()))
            }
        },
        Request::Contact(_) => {
            Response::ContactSaved(read::<ContactSavedBody>(body)?.remote_node_id)
        }
        Request::Deliver(_) => Response::Receipt(read(body)?),
        Request::Head => Response::Head(read::<HeadBody>(body)?.head),
        Request::List => {
            let records = read::<ListBody>(body)?.records;
            Response::List(Arc::new(PeerList::Read(records)))
        }
        Request::Messages { .. } => {
            let body: MessagesBody = read(body)?;
            Response::Messages {
                thread: body.thread_id,
                messages: body.messages.0,
            }
        }
        Request::Network => Response::Network(read::<Network>(body)?.into()),
        Request::OwnContact => {
            let body: OwnContactBody<'_> = read(body)?;
            Response::OwnContact(Arc::new(body.contact_material.into_owned()))
        }
        Request::Relationships => {
            let body: RelationshipsBody = read(body)?;
            Response::Relationships(Listing::new(body.relationships.0))
        }
        Request::Run(_) => Response::Done,
        Request::Send(_) => Response::Sent(read::<Posted>(body)?.into()),
        Request::Status => Response::Status(read::<Status>(body)?.into()),
        Request::Threads => Response::Threads(read::<ThreadsBody>(body)?.threads.0),
    })
}

fn decode_refusal(status: u16, body: &Bytes) -> Option<Response> {
    #[derive(Deserialize)]
    struct Failure {
        error: Arc<str>,
    }
    let Failure { error } = read(body)?;
    let refusal = match (status, &*error) {
        (503, BUSY) => Refusal::Busy,
        (403, IMPOSTOR) => Refusal::Impostor,
        (400, _) => Refusal::Invalid(error),
        _ => return None,
    };
    Some(Response::Refused(refusal))
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Option<T> {
    serde_json::from_slice(body).ok()
}
