//! Requests, answers and rows of WattSwarm's room.

use std::sync::Arc;

use peerage_core::ids::PublicKey;
use peerage_core::rooms::wattswarm::cipher::{Sealed, Unpacked};
use peerage_core::rooms::wattswarm::envelope::{Envelope, EnvelopeFault};
use peerage_core::rooms::wattswarm::records::{
    Action, Actor, DeliveryState, Direction, Discovery, Handshake, Json, Kind, Message,
    MessageKind, Metadata, NodeId, PeerRecord, Relations, Relationship, Session, Source, State,
    Thread,
};
use peerage_core::rooms::wattswarm::relationship::{Bond, Sides};
use peerage_core::rooms::wattswarm::{
    Act, Contact, Delivery, Draft, Greeting, Introduction, Letter, Letterbox, Listing, Material,
    Network, Note, Own, PairRecord, Parcel, PeerList, Posted, Progress, Receipt, Refusal, Request,
    Response, Row, Sent, Sighting, Status, Taken,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{host_addr, maybe};
use crate::rng::Draws;

pub(super) fn request(draws: &mut Draws) -> Request {
    match draws.below(16) {
        0..3 => Request::Act(Act {
            remote: draws.text(20).into(),
            action: *draws.pick(&Action::ALL),
            by: *draws.pick(&ACTORS),
            envelope: maybe(draws, sent),
        }),
        3 => Request::Contact(Introduction {
            remote: draws.text(20).into(),
            material: material(draws),
        }),
        4..7 => Request::Deliver(Arc::new(delivery(draws))),
        7 => Request::Messages {
            thread: draws.text(20).into(),
        },
        8 => Request::Run(draws.once_in(2)),
        9..12 => Request::Send(Draft {
            remote: draws.text(20).into(),
            content: content(draws),
            envelope: maybe(draws, sent),
        }),
        _ => draws
            .pick(&[
                Request::Head,
                Request::List,
                Request::Network,
                Request::OwnContact,
                Request::Relationships,
                Request::Status,
                Request::Threads,
            ])
            .clone(),
    }
}

pub(super) fn response_to(draws: &mut Draws, request: &Request) -> Response {
    if draws.once_in(6) {
        return Response::Refused(match draws.below(3) {
            0 => Refusal::Busy,
            1 => Refusal::Impostor,
            _ => Refusal::Invalid(draws.text(30).into()),
        });
    }
    match request {
        Request::Act(act) if draws.once_in(2) => Response::Queued {
            remote: act.remote.clone(),
            action: act.action,
        },
        Request::Act(_) => {
            let with = node_id(draws);
            Response::Acted(Box::new(relationship(draws, with)))
        }
        Request::Contact(_) => Response::ContactSaved(node_id(draws)),
        Request::Deliver(_) => Response::Receipt(Arc::new(receipt(draws))),
        Request::Head => Response::Head(draws.bits()),
        Request::List => Response::List(Arc::new(PeerList::Read(several(draws, peer_record)))),
        Request::Messages { thread } => Response::Messages {
            thread: thread.clone(),
            messages: Listing::new(several(draws, |draws| Arc::new(message(draws)))),
        },
        Request::Network => Response::Network(Arc::new(Network {
            network_enabled: draws.once_in(2),
            local_peer_id: node_id(draws),
            listen_addrs: several(draws, address),
        })),
        Request::OwnContact => Response::OwnContact(Arc::new(material(draws))),
        Request::Relationships => Response::Relationships(Listing::new(relations(draws))),
        Request::Run(_) => Response::Done,
        Request::Send(_) => Response::Sent(Arc::new(Posted {
            remote_node_id: node_id(draws),
            thread_id: draws.text(20).into(),
            message_id: draws.text(20).into(),
            event_id: draws.text(20).into(),
            feed_key: draws.text(20).into(),
            scope_hint: draws.text(20).into(),
        })),
        Request::Status => Response::Status(Arc::new(Status {
            running: draws.once_in(2),
            node_id: node_id(draws),
            mode: draws.text(10).into(),
        })),
        Request::Threads => Response::Threads(Listing::new(several(draws, |draws| {
            Arc::new(thread(draws))
        }))),
    }
}

pub(super) fn row(draws: &mut Draws) -> Row {
    match draws.below(8) {
        0 => Row::Action(node_id(draws), draws.bits(), Some(own(draws))),
        1 => Row::Contact(
            node_id(draws),
            Some(Contact {
                material: material(draws),
                dm_key: maybe(draws, |draws| draws.text(20).into()),
                identified: draws.once_in(2),
                first_at: draws.bits(),
                last_at: draws.bits(),
            }),
        ),
        2 => {
            let message = Arc::new(message(draws));
            let waits = draws.once_in(2);
            let row = Letterbox {
                place: waits.then(|| draws.bits()),
                raw: waits.then(|| object(draws)),
                message: message.clone(),
            };
            Row::Message(
                message.thread_id.clone(),
                message.message_id.clone(),
                Some(row),
            )
        }
        3 => {
            let record = PairRecord {
                progress: progress(draws),
                bond: bond(draws),
            };
            Row::Pair(node_id(draws), Some(record))
        }
        4 => {
            let request = draws.text(20).into();
            Row::Request(node_id(draws), request, Some(bond(draws)))
        }
        5 => Row::Running(Some(draws.once_in(2))),
        6 => {
            let sighting = Sighting {
                source: *draws.pick(&SOURCES),
                minute: draws.bits(),
            };
            Row::Seen(PublicKey(draws.array()), Some(sighting))
        }
        _ => {
            let thread = Arc::new(thread(draws));
            Row::Thread(thread.thread_id.clone(), Some(thread))
        }
    }
}

/// The id of a real node, or any other text.
fn node_id(draws: &mut Draws) -> NodeId {
    if draws.once_in(2) {
        NodeId::from(PublicKey(draws.array()))
    } else {
        let text = format!("n{}d", draws.text(20));
        NodeId::new(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }
}

/// Any JSON, as compact text.
fn content(draws: &mut Draws) -> Json {
    Json(value(draws, 3).to_string().into())
}

fn value(draws: &mut Draws, depth: usize) -> Value {
    match draws.below(if depth == 0 { 5 } else { 7 }) {
        0 => Value::Null,
        1 => Value::Bool(draws.once_in(2)),
        2 => draws.bits().into(),
        3 => (draws.bits() as i32 as f64 / 64.0).into(),
        4 => draws.text(10).into(),
        5 => (0..draws.below(4))
            .map(|_| value(draws, depth - 1))
            .collect(),
        _ => (0..draws.below(4))
            .map(|_| (draws.text(6), value(draws, depth - 1)))
            .collect(),
    }
}

fn object(draws: &mut Draws) -> Json {
    let members: Value = (0..draws.below(4))
        .map(|_| (draws.text(6), value(draws, 2)))
        .collect();
    Json(members.to_string().into())
}

/// An envelope as agents send it; seldom one whose contents are refused.
fn sent(draws: &mut Draws) -> Sent {
    let mut members = json!({
        "protocol": if draws.once_in(8) { " ".to_owned() } else { format!("p{}", draws.text(10)) },
    });
    let message = *draws.pick(&["message", "message_json"]);
    members[message] = value(draws, 3);
    if draws.once_in(2) {
        members["extensions"] = value(draws, 2);
    }
    for name in ["capability", "source_agent_id", "target_node_id"] {
        if draws.once_in(3) {
            members[name] = draws.text(10).into();
        }
    }
    if draws.once_in(3) {
        members["source_agent_card"] = json!({
            "agent_id": format!("a{}", draws.text(10)),
            "card": value(draws, 2),
            "card_hash": format!("h{}", draws.text(10)),
            "issued_at": draws.bits(),
        });
    }
    read(members.to_string())
}

/// Text that holds an envelope, as codecs keep it.
fn read(text: String) -> Sent {
    let raw = RawValue::from_string(text).unwrap_or_else(|error| panic!("{error}"));
    let read = Envelope::read(&raw);
    let kept = read.as_ref().map_or_else(|_| raw.get(), Envelope::raw);
    Sent {
        raw: Json(kept.into()),
        read: read.map(Arc::new).map_err(|fault| match fault {
            EnvelopeFault::Invalid(text) | EnvelopeFault::Shape(text) => text.into(),
        }),
    }
}

fn material(draws: &mut Draws) -> Material {
    let json = content(draws).0;
    let signature = maybe(draws, |draws| draws.text(20).into());
    Material::new(json, signature, draws.bits() as i64)
}

fn greeting(draws: &mut Draws) -> Greeting {
    Greeting {
        source_node_id: node_id(draws),
        target_node_id: node_id(draws),
        made: draws.bits(),
        heard: draws.bits(),
        clock: draws.bits(),
        contact_material: material(draws),
    }
}

fn delivery(draws: &mut Draws) -> Delivery {
    let parcel = if draws.once_in(2) {
        Parcel::Letters(several(draws, letter))
    } else {
        Parcel::Notes(several(draws, note))
    };
    Delivery {
        greeting: greeting(draws),
        parcel,
    }
}

fn letter(draws: &mut Draws) -> Letter {
    let unpacked = Unpacked {
        sender_key: draws.array(),
        recipient_key: draws.array(),
        nonce: core::array::from_fn(|_| draws.bits() as u8),
        ciphertext: draws.bytes(80),
    };
    Letter {
        thread_id: draws.text(20).into(),
        message_id: draws.text(20).into(),
        created_at: draws.bits(),
        encrypted: Arc::new(Sealed::new(&unpacked)),
    }
}

fn note(draws: &mut Draws) -> Note {
    // What is no envelope at all is told apart by the room, since other nodes sent it.
    let envelope = |draws: &mut Draws| match draws.below(6) {
        0 => read("[7]".to_owned()),
        _ => sent(draws),
    };
    Note {
        seq: draws.bits(),
        clock: draws.bits(),
        action: *draws.pick(&Action::ALL),
        envelope: maybe(draws, envelope),
    }
}

fn receipt(draws: &mut Draws) -> Receipt {
    let taken = |draws: &mut Draws| match draws.below(7) {
        0 => Taken::Applied,
        1 => Taken::Inapplicable(draws.text(20).into()),
        2 => Taken::Invalid(draws.text(20).into()),
        3 => Taken::OutOfTurn,
        4 => Taken::Repeated,
        5 => Taken::TableFull,
        _ => Taken::Unaccepted,
    };
    Receipt {
        greeting: greeting(draws),
        relationship_state: *draws.pick(&State::ALL),
        results: several(draws, taken),
    }
}

fn relationship(draws: &mut Draws, remote_node_id: NodeId) -> Relationship {
    Relationship {
        remote_node_id,
        relationship_state: *draws.pick(&State::ALL),
        last_action: *draws.pick(&Action::ALL),
        initiated_by: *draws.pick(&ACTORS),
        updated_at: draws.bits(),
        requested_at: maybe(draws, Draws::bits),
        responded_at: maybe(draws, Draws::bits),
        blocked_at: maybe(draws, Draws::bits),
        cleared_at: maybe(draws, Draws::bits),
        agent_envelope: maybe(draws, object),
    }
}

/// The relationships of some nodes, each with one record at least.
fn relations(draws: &mut Draws) -> Vec<Relations> {
    let mut ids = several(draws, node_id);
    ids.sort();
    ids.dedup();
    let of = |remote_node_id: NodeId| {
        let records = (0..=draws.below(3)).map(|_| relationship(draws, remote_node_id.clone()));
        Relations {
            records: records.collect(),
            remote_node_id,
        }
    };
    ids.into_iter().map(of).collect()
}

fn peer_record(draws: &mut Draws) -> PeerRecord {
    let node_id = node_id(draws);
    let discovery = |draws: &mut Draws| Discovery {
        node_id: node_id.clone(),
        source_kind: *draws.pick(&SOURCES),
    };
    PeerRecord {
        connected: draws.once_in(2),
        discovery: maybe(draws, discovery),
        metadata: maybe(draws, |draws| metadata(draws, node_id.clone())),
        relationship: maybe(draws, |draws| relationship(draws, node_id.clone())),
        node_id,
    }
}

fn metadata(draws: &mut Draws, node_id: NodeId) -> Metadata {
    Metadata {
        node_id,
        listen_addrs: several(draws, address),
        protocols: several(draws, |draws| draws.text(10).into()),
        handshake_status: *draws.pick(&[Handshake::ContactMaterial, Handshake::Identified]),
        contact_material: maybe(draws, object),
        contact_material_signature: maybe(draws, |draws| draws.text(20).into()),
        contact_material_updated_at: maybe(draws, Draws::bits),
        first_identified_at: draws.bits(),
        last_identified_at: draws.bits(),
    }
}

fn message(draws: &mut Draws) -> Message {
    let kinds = [
        MessageKind::Message,
        MessageKind::RelationshipEstablished,
        MessageKind::SessionInit,
    ];
    let states = [
        DeliveryState::Delivered,
        DeliveryState::Failed,
        DeliveryState::Pending,
    ];
    Message {
        thread_id: draws.text(20).into(),
        message_id: draws.text(20).into(),
        remote_node_id: node_id(draws),
        message_kind: *draws.pick(&kinds),
        direction: *draws.pick(&[Direction::Inbound, Direction::Outbound]),
        delivery_state: *draws.pick(&states),
        content: content(draws),
        a2a_protocol: draws.text(10).into(),
        agent_envelope: maybe(draws, object),
        created_at: draws.bits(),
        acknowledged_at: maybe(draws, Draws::bits),
    }
}

fn thread(draws: &mut Draws) -> Thread {
    Thread {
        remote_node_id: node_id(draws),
        thread_id: draws.text(20).into(),
        thread_kind: Kind::Direct,
        session_state: Session::Ready,
        created_at: draws.bits(),
        updated_at: draws.bits(),
        relationship_established_at: maybe(draws, Draws::bits),
        last_message_at: maybe(draws, Draws::bits),
    }
}

/// An action whose envelope, if it has one, was fit to be kept.
fn own(draws: &mut Draws) -> Own {
    Own {
        clock: draws.bits(),
        action: *draws.pick(&Action::ALL),
        at: draws.bits(),
        envelope: maybe(draws, sent).filter(|sent| sent.read.is_ok()),
        place: draws.bits(),
    }
}

fn progress(draws: &mut Draws) -> Progress {
    Progress {
        made: draws.bits(),
        acked: draws.bits(),
        settled: draws.bits(),
        heard: draws.bits(),
        clock: draws.bits(),
        horizon: draws.bits(),
        changes: draws.bits(),
    }
}

fn bond(draws: &mut Draws) -> Bond {
    let last = |draws: &mut Draws| {
        let (action, by) = (*draws.pick(&Action::ALL), *draws.pick(&ACTORS));
        (action, by, draws.bits())
    };
    Bond {
        state: *draws.pick(&State::ALL),
        last: maybe(draws, last),
        requested_at: maybe(draws, Draws::bits),
        responded_at: maybe(draws, Draws::bits),
        blocked_at: maybe(draws, Draws::bits),
        cleared_at: maybe(draws, Draws::bits),
        envelope: maybe(draws, object),
        asked: sides(draws),
        blocked: sides(draws),
    }
}

fn sides(draws: &mut Draws) -> Sides {
    Sides {
        local: draws.once_in(2),
        remote: draws.once_in(2),
    }
}

fn address(draws: &mut Draws) -> Arc<str> {
    host_addr(draws).to_string().into()
}

fn several<T>(draws: &mut Draws, mut make: impl FnMut(&mut Draws) -> T) -> Vec<T> {
    (0..draws.below(4)).map(|_| make(draws)).collect()
}

const ACTORS: [Actor; 3] = [Actor::Local, Actor::Remote, Actor::System];
const SOURCES: [Source; 4] = [
    Source::Bootstrap,
    Source::Chainweb,
    Source::Connected,
    Source::ContactMaterialProbe,
];
