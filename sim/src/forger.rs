//! What liars say to other nodes about relationships, and write to them.
//!
//! A forger knows how honest nodes speak, and mostly speaks so itself: who is never believed is never
//! taken for a friend either. Now and then it speaks for somebody else, repeats itself, says that it
//! heard what was never said, writes what cannot be read, or is far too long.

use std::collections::BTreeMap;
use std::sync::Arc;

use peerage_core::rooms::wattswarm::cipher::{
    Names, Sealed, SharedKey, Unpacked, dm_secret, x25519_public,
};
use peerage_core::rooms::wattswarm::records::{Action, Json, State};
use peerage_core::rooms::wattswarm::{
    Delivery, Greeting, Letter, Material, Note, Parcel, Receipt, Refusal, Request, Response, Taken,
    ids,
};

use crate::paper::{self, Seal};
use crate::roster::Roster;
use crate::seed::{Luck, Seeds};

/// One who forges letters.
#[derive(Clone, Debug)]
pub struct Forger {
    node: u32,
    nodes: u32,
    luck: Luck,
    /// How far it is with each node.
    pairs: BTreeMap<u32, Pair>,
    /// What it sent, to be sent again.
    sent: Vec<Arc<Delivery>>,
    numbers: u64,
    secret: [u8; 32],
}

/// Counts as honest nodes keep them.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    made: u64,
    heard: u64,
    clock: u64,
}

/// Deliveries that are remembered.
const SENT_MAX: usize = 16;

impl Forger {
    /// The forger in this node's place.
    #[must_use]
    pub fn new(seeds: &Seeds, node: u32, nodes: u32) -> Self {
        Self {
            node,
            nodes,
            luck: seeds.family("forgers").luck(node.into()),
            pairs: BTreeMap::new(),
            sent: Vec::new(),
            numbers: 0,
            secret: seeds.identity(u32::MAX - 3),
        }
    }

    /// Whom it writes to now, and what; nothing, if it does something else.
    pub fn act(&mut self, roster: &Roster, wall_ms: u64) -> Option<(u32, Request)> {
        if !self.luck.chance(350_000) {
            return None;
        }
        let to = self.luck.below(self.nodes.into()) as u32;
        if to == self.node {
            return None;
        }
        let mut greeting = self.greeting(roster, to);
        let parcel = match self.luck.below(10) {
            0..3 => self.note(to, Action::Request),
            3 => {
                let action = Action::ALL[self.luck.index(Action::ALL.len())];
                self.note(to, action)
            }
            4 if !self.sent.is_empty() => {
                let again = self.sent[self.luck.index(self.sent.len())].clone();
                return Some((to, Request::Deliver(again)));
            }
            _ => self.letters(roster, to, wall_ms),
        };
        match self.luck.below(16) {
            // For somebody else, or to somebody else.
            0 => greeting.source_node_id = roster.id(self.someone()),
            1 => greeting.target_node_id = roster.id(self.someone()),
            2 => greeting.heard += 1 + self.luck.below(1_000),
            3 => greeting.clock = self.luck.bits(),
            _ => {}
        }
        let delivery = Arc::new(Delivery { greeting, parcel });
        if self.sent.len() < SENT_MAX {
            self.sent.push(delivery.clone());
        } else {
            let place = self.luck.index(SENT_MAX);
            self.sent[place] = delivery.clone();
        }
        Some((to, Request::Deliver(delivery)))
    }

    fn someone(&mut self) -> u32 {
        self.luck.below(self.nodes.into()) as u32
    }

    fn greeting(&self, roster: &Roster, to: u32) -> Greeting {
        let pair = self.pairs.get(&to).copied().unwrap_or_default();
        Greeting {
            source_node_id: roster.id(self.node),
            target_node_id: roster.id(to),
            made: pair.made,
            heard: pair.heard,
            clock: pair.clock,
            contact_material: material(roster, self.node),
        }
    }

    /// An action, in its turn mostly.
    fn note(&mut self, to: u32, action: Action) -> Parcel {
        let pair = self.pairs.entry(to).or_default();
        let mut seq = pair.made + 1;
        let mut clock = pair.clock + 1;
        match self.luck.below(12) {
            0 => seq = self.luck.below(5),
            1 => clock = self.luck.bits(),
            _ => {}
        }
        let seal = match self.luck.below(8) {
            0 => Some(Seal::Forged(self.secret)),
            1 => Some(Seal::FalseCard),
            2 => Some(Seal::Giant),
            3 => None,
            _ => Some(Seal::Plain),
        };
        let note = Note {
            seq,
            clock,
            action,
            envelope: seal.map(|seal| paper::envelope(seal, "{}")),
        };
        Parcel::Notes(vec![note])
    }

    /// A few messages, of which some can be read.
    fn letters(&mut self, roster: &Roster, to: u32, wall_ms: u64) -> Parcel {
        let many = 1 + self.luck.below(3);
        let letters = (0..many)
            .map(|_| self.letter(roster, to, wall_ms))
            .collect();
        Parcel::Letters(letters)
    }

    fn letter(&mut self, roster: &Roster, to: u32, wall_ms: u64) -> Letter {
        self.numbers += 1;
        let (own, theirs) = (roster.id(self.node), roster.id(to));
        let mut thread_id: Arc<str> = ids::thread_id(own.as_str(), theirs.as_str()).into();
        // Not every letter has a name of its own.
        let number = self
            .luck
            .range(self.numbers.saturating_sub(3), self.numbers + 1);
        let mut message_id: Arc<str> = format!("dm-msg-forged-{}-{number}", self.node).into();
        let (secret, public) = keys(roster, self.node);
        let (_, mut recipient_key) = keys(roster, to);
        let content = paper::content(self.numbers, 20);
        let seal = if self.luck.chance(100_000) {
            Seal::Forged(self.secret)
        } else {
            Seal::Plain
        };
        let envelope = paper::envelope(seal, "{}").raw;
        let mut created_at = wall_ms;
        let mut plain = plain(&content, &envelope);
        match self.luck.below(14) {
            0 => thread_id = "dm:000000000000000000000000".into(),
            1 => message_id = "x".repeat(200).into(),
            2 => created_at = u64::MAX,
            3 => recipient_key = public,
            4 => plain = b"{\"content\":".to_vec(),
            5 => plain = vec![b'['; 100_000],
            _ => {}
        }
        let nonce = [self.numbers as u8; 12];
        let names = Names {
            sender: own.as_str(),
            recipient: theirs.as_str(),
            thread: &thread_id,
            message: &message_id,
        };
        let mut ciphertext = SharedKey::agree(&secret, &recipient_key)
            .map(|shared| shared.seal(&names, nonce, &plain))
            .unwrap_or_default();
        if self.luck.chance(100_000)
            && let Some(byte) = ciphertext.first_mut()
        {
            *byte ^= 1;
        }
        let unpacked = Unpacked {
            sender_key: public,
            recipient_key,
            nonce,
            ciphertext,
        };
        Letter {
            thread_id,
            message_id,
            created_at,
            encrypted: Arc::new(Sealed::new(&unpacked)),
        }
    }

    /// A node answered what it was sent.
    pub fn heard(&mut self, node: u32, response: &Response) {
        let Response::Receipt(receipt) = response else {
            return;
        };
        let theirs = &receipt.greeting;
        let pair = self.pairs.entry(node).or_default();
        pair.made = pair.made.max(theirs.heard);
        pair.clock = pair.clock.max(theirs.clock);
    }

    /// What it says to a delivery.
    pub fn answer(&mut self, roster: &Roster, from: u32, delivery: &Delivery) -> Response {
        let greeting = &delivery.greeting;
        let pair = self.pairs.entry(from).or_default();
        let (lies, whole) = (self.luck.chance(250_000), self.luck.chance(900_000));
        let mut results: Vec<Taken> = match &delivery.parcel {
            Parcel::Letters(letters) => letters.iter().map(|_| Taken::Applied).collect(),
            Parcel::Notes(notes) => {
                for note in notes {
                    pair.heard = pair.heard.max(note.seq);
                    pair.clock = pair.clock.max(note.clock);
                }
                notes.iter().map(|_| Taken::Applied).collect()
            }
        };
        pair.clock = pair.clock.max(greeting.clock);
        let mut own = self.greeting(roster, from);
        if lies {
            let taken = match self.luck.below(7) {
                0 => Taken::Unaccepted,
                1 => Taken::TableFull,
                2 => Taken::OutOfTurn,
                3 => Taken::Inapplicable("because".into()),
                4 => Taken::Invalid("because".into()),
                5 => {
                    own.heard += 1 + self.luck.below(9);
                    Taken::Applied
                }
                _ => return Response::Refused(Refusal::Impostor),
            };
            results.fill(taken);
        }
        if !whole {
            results.pop();
        }
        Response::Receipt(Arc::new(Receipt {
            greeting: own,
            relationship_state: State::Accepted,
            results,
        }))
    }
}

/// The keys for messages of a node.
fn keys(roster: &Roster, node: u32) -> ([u8; 32], [u8; 32]) {
    let secret = dm_secret(&roster.identity(node).secret);
    (secret, x25519_public(&secret))
}

/// How a node says that it is reached.
fn material(roster: &Roster, node: u32) -> Material {
    use base64::Engine as _;
    let (_, public) = keys(roster, node);
    let key = base64::engine::general_purpose::STANDARD.encode(public);
    let text = serde_json::json!({
        "encryption": { "private_message": { "public_key_b64": key } },
        "listen_addrs": [Roster::addr(node).to_string()],
        "node_id": roster.id(node),
    });
    Material::new(text.to_string().into(), None, 1)
}

/// What is sealed: content and envelope as one object.
fn plain(content: &Json, envelope: &Json) -> Vec<u8> {
    let (content, envelope) = (&content.0, &envelope.0);
    format!("{{\"agent_envelope\":{envelope},\"content\":{content}}}").into_bytes()
}
