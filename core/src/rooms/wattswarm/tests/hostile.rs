//! What a friend may send that is no message, and what a stranger may say of himself.

use super::super::cipher::{Names, Sealed, SharedKey, Unpacked, dm_secret, x25519_public};
use super::super::ids;
use super::duo::{Duo, IDS, befriended};
use super::*;
use crate::limits::{MESSAGE_ID_BYTES_MAX, MESSAGE_TIME_MAX_MS};
use crate::rooms::wattswarm::{Delivery, Greeting, Letter, Note, Parcel, Taken};

const ENVELOPE: &str = r#"{"protocol":"p"}"#;

/// A letter of the first node to the second one, before it is sealed.
struct Draft {
    thread: String,
    id: String,
    created_at: u64,
    plain: String,
}

/// What is wrong with a letter.
type Change = fn(&mut Draft);

impl Draft {
    fn new() -> Self {
        Self {
            thread: ids::thread_id(node(IDS[0]).as_str(), node(IDS[1]).as_str()),
            id: "m-1".to_owned(),
            created_at: EPOCH * 1_000,
            plain: format!(r#"{{"agent_envelope":{ENVELOPE},"content":1}}"#),
        }
    }

    fn seal(&self) -> Letter {
        let [own, other] = IDS.map(|n| dm_secret(&[n; 32]));
        let key = SharedKey::agree(&own, &x25519_public(&other)).expect("a key");
        let (sender, recipient) = (node(IDS[0]), node(IDS[1]));
        let names = Names {
            sender: sender.as_str(),
            recipient: recipient.as_str(),
            thread: &self.thread,
            message: &self.id,
        };
        let nonce = [7; 12];
        let sealed = Sealed::new(&Unpacked {
            sender_key: x25519_public(&own),
            recipient_key: x25519_public(&other),
            nonce,
            ciphertext: key.seal(&names, nonce, self.plain.as_bytes()),
        });
        Letter {
            thread_id: self.thread.as_str().into(),
            message_id: self.id.as_str().into(),
            created_at: self.created_at,
            encrypted: Arc::new(sealed),
        }
    }
}

/// What the second node says to something that the first one hands over.
fn hand_over(duo: &mut Duo, heard: u64, made: u64, clock: u64, parcel: Parcel) -> Response {
    let contact_material = match ask(&mut duo.nodes[0], Request::OwnContact) {
        Response::OwnContact(material) => Material::clone(&material),
        other => panic!("no contact material but {other:?}"),
    };
    let greeting = Greeting {
        source_node_id: node(IDS[0]),
        target_node_id: node(IDS[1]),
        made,
        heard,
        clock,
        contact_material,
    };
    let request = Request::Deliver(Arc::new(Delivery { greeting, parcel }));
    match duo.nodes[1].ask(peer_caller(IDS[0]), request.into()) {
        Some(rooms::Response::Wattswarm(response)) => response,
        other => panic!("no answer but {other:?}"),
    }
}

fn results(response: &Response) -> &[Taken] {
    match response {
        Response::Receipt(receipt) => &receipt.results,
        other => panic!("no receipt but {other:?}"),
    }
}

fn deliver(duo: &mut Duo, letter: Letter) -> Taken {
    let answer = hand_over(duo, 1, 1, 2, Parcel::Letters(vec![letter]));
    results(&answer)[0].clone()
}

#[test]
fn a_sealed_letter_is_taken_once() {
    let mut duo = befriended(1);
    let letter = Draft::new().seal();
    assert_eq!(deliver(&mut duo, letter.clone()), Taken::Applied);
    assert_eq!(deliver(&mut duo, letter), Taken::Repeated);
    assert_eq!(duo.messages(1).len(), 1);
}

#[test]
fn letters_that_are_no_messages_are_refused_with_the_reason() {
    let mut duo = befriended(1);
    let nested = |levels: usize| {
        let content = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        format!(r#"{{"agent_envelope":{ENVELOPE},"content":{content}}}"#)
    };
    let out_of_bounds = "the message's id or time is out of bounds";
    let cases: [(Change, &str); 12] = [
        (
            |draft| draft.thread = "dm:0".to_owned(),
            "the message is of another conversation",
        ),
        (|draft| draft.id.clear(), out_of_bounds),
        (
            |draft| draft.id = "x".repeat(MESSAGE_ID_BYTES_MAX + 1),
            out_of_bounds,
        ),
        (
            |draft| draft.created_at = MESSAGE_TIME_MAX_MS + 1,
            out_of_bounds,
        ),
        (|draft| draft.plain.clear(), "EOF"),
        (|draft| draft.plain = "[]".to_owned(), "invalid length"),
        (|draft| draft.plain = "{}".to_owned(), "missing field"),
        (
            |draft| draft.plain = r#"{"content":1}"#.to_owned(),
            "missing field `agent_envelope`",
        ),
        (
            |draft| draft.plain = r#"{"agent_envelope":null,"content":1}"#.to_owned(),
            "invalid type: null",
        ),
        (
            |draft| draft.plain = r#"{"agent_envelope":{"protocol":" "},"content":1}"#.to_owned(),
            "agent envelope protocol is required",
        ),
        (
            |draft| {
                draft.plain = format!(r#"{{"agent_envelope":{ENVELOPE},"content":"\ud800"}}"#);
            },
            "unexpected end of hex escape",
        ),
        (
            |draft| draft.plain = format!(r#"{{"agent_envelope":{ENVELOPE},"content":1e999}}"#),
            "number out of range",
        ),
    ];
    let refuse = |duo: &mut Duo, letter: Letter, reason: &str| {
        let Taken::Invalid(why) = deliver(duo, letter) else {
            panic!("taken, and not refused with {reason}");
        };
        assert!(why.contains(reason), "{why}, not {reason}");
    };
    for (change, reason) in cases {
        let mut draft = Draft::new();
        change(&mut draft);
        refuse(&mut duo, draft.seal(), reason);
    }
    let mut draft = Draft::new();
    draft.plain = nested(AGENT_JSON_DEPTH_MAX as usize + 1);
    refuse(&mut duo, draft.seal(), "nests more than 120 levels");
    // Sealed under other names than it goes by, and for somebody else.
    let mut renamed = Draft::new().seal();
    renamed.message_id = "m-2".into();
    refuse(&mut duo, renamed, "it was changed");
    let mut misdirected = Draft::new().seal();
    let sealed = Arc::make_mut(&mut misdirected.encrypted);
    sealed.recipient_public_key_b64 = sealed.sender_public_key_b64.clone();
    refuse(&mut duo, misdirected, "encrypted for another key");
    assert!(duo.messages(1).is_empty());
    draft.plain = nested(AGENT_JSON_DEPTH_MAX as usize);
    assert_eq!(deliver(&mut duo, draft.seal()), Taken::Applied);
    check_disk(&duo.nodes[1]);
}

/// Goal: counts and clocks that no honest node has neither count nor shut a pair up.
#[test]
fn impossible_counts_are_refused() {
    let mut duo = Duo::one_sided(1);
    let note = |seq, clock| Note {
        seq,
        clock,
        action: Action::Request,
        envelope: None,
    };
    // Of an unknown pair: that this node has acted, and clocks beyond all actions.
    let answer = hand_over(&mut duo, 1, 1, 1, Parcel::Notes(vec![note(1, 1)]));
    assert!(refusal(&answer).contains("the counts of actions"));
    for (seq, clock) in [(0, 1), (2, 1), (u64::MAX, 1), (1, 0), (1, 2), (1, u64::MAX)] {
        let parcel = Parcel::Notes(vec![note(seq, clock)]);
        let answer = hand_over(&mut duo, 0, u64::MAX, u64::MAX, parcel);
        assert_eq!(results(&answer), [Taken::OutOfTurn], "{seq} {clock}");
    }
    assert!(relationships(&mut duo.nodes[1]).is_empty());
    let greeting = (u64::MAX, u64::MAX);
    let parcel = Parcel::Notes(vec![note(1, 1), note(1, 1), note(3, 1)]);
    let answer = hand_over(&mut duo, 0, greeting.0, greeting.1, parcel);
    let expected = [Taken::Applied, Taken::Repeated, Taken::OutOfTurn];
    assert_eq!(results(&answer), expected);
    // Of a known one.
    let answer = hand_over(&mut duo, 1, 1, 1, Parcel::Notes(Vec::new()));
    assert!(refusal(&answer).contains("the counts of actions"));
    hand_over(&mut duo, 0, u64::MAX, u64::MAX, Parcel::Notes(Vec::new()));
    duo.act(1, Action::Accept);
    assert_eq!(duo.bond(1).state, State::Accepted);
}
