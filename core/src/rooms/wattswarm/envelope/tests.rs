//! Envelopes as clients and peers write them, and those that are none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::rng::Seed;
use crate::rooms::wattswarm::ids::hex;
use crate::verify::{self, Verdict};

fn read(text: &str) -> Result<Envelope, EnvelopeFault> {
    Envelope::read(&RawValue::from_string(text.to_owned()).expect("JSON"))
}

fn stored(text: &str) -> String {
    read(text).expect("an envelope").stored().to_string()
}

fn shape(text: &str) -> String {
    match read(text) {
        Err(EnvelopeFault::Shape(fault)) => fault,
        other => panic!("{text}: {other:?}"),
    }
}

fn invalid(text: &str) -> String {
    match read(text) {
        Err(EnvelopeFault::Invalid(fault)) => fault,
        other => panic!("{text}: {other:?}"),
    }
}

/// As recorded from the original.
#[test]
fn the_stored_form_is_that_of_the_original() {
    let hello = r#"{"protocol":"google_a2a","source_agent_id":"agent-local","target_agent_id":"agent-remote","capability":"peer.dm.message","message_json":"{\"content\":{\"text\":\"hello\"}}"}"#;
    assert_eq!(
        stored(hello),
        r#"{"capability":"peer.dm.message","message":{"content":{"text":"hello"}},"protocol":"google_a2a","source_agent_id":"agent-local","target_agent_id":"agent-remote"}"#
    );
    let full = r#"{"protocol":"p1","message":{"k":[1,2]},"extensions":{"e":1},"transport_profile":"tp","source_node_id":"sn","target_node_id":"tn","signature":"sig","source_agent_card":{"agent_id":"aid","node_id":"nid","card_hash":"h","issued_at":7,"card":{"name":"N"}}}"#;
    assert_eq!(
        stored(full),
        r#"{"extensions":{"e":1},"message":{"k":[1,2]},"protocol":"p1","signature":"sig","source_agent_card":{"agent_id":"aid","card":{"name":"N"},"card_hash":"h","issued_at":7,"node_id":"nid"},"source_node_id":"sn","target_node_id":"tn","transport_profile":"tp"}"#
    );
    let cases = [
        (r#"{"protocol":"p2"}"#, r#"{"message":{},"protocol":"p2"}"#),
        (
            r#"{"protocol":"p3","message_json":"not json","extensions_json":"  "}"#,
            r#"{"message":{},"protocol":"p3"}"#,
        ),
        (
            r#"{"protocol":" padded ","message_json":""}"#,
            r#"{"message":{},"protocol":" padded "}"#,
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(stored(given), expected);
    }
}

#[test]
fn texts_of_json_may_be_json() {
    let cases = [
        (
            r#"{"protocol":"p","message":"5"}"#,
            r#"{"message":5,"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","message":true}"#,
            r#"{"message":true,"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","message":null}"#,
            r#"{"message":{},"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","message_json":{"b":1.50,"a":[]}}"#,
            r#"{"message":{"a":[],"b":1.50},"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","extensions":null,"capability":null,"source_agent_card":null}"#,
            r#"{"message":{},"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","extensions_json":"[1, 2]"}"#,
            r#"{"extensions":[1,2],"message":{},"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","extensions_json":"null"}"#,
            r#"{"extensions":null,"message":{},"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","extensions":"{"}"#,
            r#"{"message":{},"protocol":"p"}"#,
        ),
        // A number that no reader takes would spoil the whole record.
        (
            r#"{"protocol":"p","message":"[1e999]"}"#,
            r#"{"message":{},"protocol":"p"}"#,
        ),
        (
            r#"{"protocol":"p","unknown":1,"unknown":2}"#,
            r#"{"message":{},"protocol":"p"}"#,
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(stored(given), expected, "{given}");
    }
}

#[test]
fn what_travels_is_read_as_the_same() {
    let given = r#" { "message" : { "b" : "\u0041\n" , "a" : 1e2 }, "protocol" : "p", "extra" : 1,
        "source_agent_card" : { "card" : [ 1 , 2 ], "issued_at" : 7, "card_hash" : "h", "agent_id" : "a", "x": {} } } "#;
    let envelope = read(given).expect("an envelope");
    assert_eq!(
        envelope.raw(),
        r#"{"message_json":"{\"a\":1e2,\"b\":\"A\\n\"}","protocol":"p","source_agent_card":{"agent_id":"a","card":[1,2],"card_hash":"h","issued_at":7}}"#
    );
    let again = read(envelope.raw()).expect("an envelope");
    assert_eq!(again, envelope);
    assert_eq!(again.stored(), envelope.stored());
    // The very text that was signed arrives, not another spelling of it.
    let spelt = read(r#"{"protocol":"p","message_json":" { \"a\" : 1 } "}"#).expect("an envelope");
    assert!(spelt.raw().contains(r#"" { \"a\" : 1 } ""#));
}

#[test]
fn request_ids_are_texts_in_messages_that_are_objects() {
    let id = |message: serde_json::Value| {
        let text = json!({"protocol": "p", "message": message}).to_string();
        read(&text)
            .expect("an envelope")
            .request_id()
            .map(str::to_owned)
    };
    assert_eq!(id(json!({"request_id": "r-1"})).as_deref(), Some("r-1"));
    assert_eq!(id(json!({"request_id": " r-1 "})).as_deref(), Some("r-1"));
    assert_eq!(
        id(json!("{\"request_id\":\"r-2\"}")).as_deref(),
        Some("r-2")
    );
    let none = [
        json!({"request_id": "  "}),
        json!({"request_id": 5}),
        json!({"request_id": null}),
        json!({"inner": {"request_id": "r"}}),
        json!(["request_id"]),
        json!("\"request_id\""),
        json!("request_id"),
        json!(null),
    ];
    for message in none {
        assert_eq!(id(message.clone()), None, "{message}");
    }
    let twice = r#"{"protocol":"p","message_json":"{\"request_id\":\"a\",\"request_id\":\"b\"}"}"#;
    assert_eq!(read(twice).expect("an envelope").request_id(), Some("b"));
}

#[test]
fn shapes_that_are_none_are_named() {
    let cases = [
        ("{}", "missing field `protocol`"),
        (r#""x""#, r#"invalid type: string "x", expected an object"#),
        ("[]", "invalid type: sequence, expected an object"),
        ("null", "invalid type: null, expected an object"),
        (
            r#"{"protocol":null}"#,
            "protocol: invalid type: null, expected a string",
        ),
        (
            r#"{"protocol":5}"#,
            "protocol: invalid type: integer `5`, expected a string",
        ),
        (
            r#"{"protocol":"p","capability":1.5}"#,
            "capability: invalid type: floating point `1.5`, expected a string",
        ),
        (
            r#"{"protocol":"p","source_agent_id":true}"#,
            "source_agent_id: invalid type: boolean `true`, expected a string",
        ),
        (
            r#"{"protocol":"p","signature":{}}"#,
            "signature: invalid type: map, expected a string",
        ),
        (
            r#"{"protocol":"p","protocol":"q"}"#,
            "duplicate field `protocol`",
        ),
        (
            r#"{"protocol":"p","message":1,"message":1}"#,
            "duplicate field `message_json`",
        ),
        (
            r#"{"protocol":"p","message_json":"","message":null}"#,
            "duplicate field `message_json`",
        ),
        (
            r#"{"protocol":"p","extensions":null,"extensions_json":"{}"}"#,
            "duplicate field `extensions_json`",
        ),
        (
            r#"{"protocol":"p","target_node_id":null,"target_node_id":null}"#,
            "duplicate field `target_node_id`",
        ),
        (
            r#"{"protocol":"p","message":[1e999]}"#,
            "message_json: number out of range",
        ),
        (
            &format!(
                r#"{{"protocol":"p","message":{}{}}}"#,
                "[".repeat(121),
                "]".repeat(121)
            ),
            "message_json: nested too deep",
        ),
        (
            r#"{"protocol":"p","source_agent_card":"x"}"#,
            r#"source_agent_card: invalid type: string "x", expected an object"#,
        ),
    ];
    for (text, fault) in cases {
        assert_eq!(shape(text), fault, "{text}");
    }
    let deep = format!("{{\"protocol\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(
        shape(&deep).starts_with("agent envelope is not JSON: "),
        "{deep}"
    );
}

fn with_card(card: serde_json::Value) -> String {
    json!({"protocol": "p", "source_agent_card": card}).to_string()
}

#[test]
fn cards_have_a_shape_of_their_own() {
    let good = json!({"agent_id": "a", "card_hash": "h", "issued_at": 1, "card": null});
    assert_eq!(
        stored(&with_card(good.clone())),
        r#"{"message":{},"protocol":"p","source_agent_card":{"agent_id":"a","card":null,"card_hash":"h","issued_at":1}}"#
    );
    for key in ["agent_id", "card_hash", "issued_at", "card"] {
        let mut card = good.clone();
        card.as_object_mut().expect("an object").remove(key);
        assert_eq!(
            shape(&with_card(card)),
            format!("source_agent_card: missing field `{key}`")
        );
    }
    let wrong = [
        (
            "agent_id",
            json!(null),
            "agent_id: invalid type: null, expected a string",
        ),
        (
            "node_id",
            json!(1),
            "node_id: invalid type: integer `1`, expected a string",
        ),
        (
            "issued_at",
            json!(-1),
            "issued_at: invalid type: integer `-1`, expected u64",
        ),
        (
            "issued_at",
            json!("1"),
            r#"issued_at: invalid type: string "1", expected u64"#,
        ),
        (
            "issued_at",
            json!(1.0),
            "issued_at: invalid type: floating point `1.0`, expected u64",
        ),
    ];
    for (key, value, fault) in wrong {
        let mut card = good.clone();
        card[key] = value;
        assert_eq!(
            shape(&with_card(card)),
            format!("source_agent_card: {fault}")
        );
    }
    let twice = r#"{"protocol":"p","source_agent_card":{"card":1,"card":2}}"#;
    assert_eq!(shape(twice), "source_agent_card: duplicate field `card`");
}

#[test]
fn contents_are_refused_in_the_order_of_the_original() {
    let long = "x".repeat(AGENT_JSON_BYTES_MAX + 1);
    let mut envelope = json!({
        "protocol": " \t",
        "message": long,
        "extensions": long,
        "source_agent_card": {"agent_id": " ", "card_hash": "", "issued_at": 1, "card": long},
    });
    let fits = json!("x".repeat(AGENT_JSON_BYTES_MAX));
    let repairs = [
        (
            "agent envelope protocol is required",
            "/protocol",
            json!("p"),
        ),
        (
            "agent envelope message_json exceeds configured max bytes",
            "/message",
            fits.clone(),
        ),
        (
            "agent envelope extensions_json exceeds configured max bytes",
            "/extensions",
            fits,
        ),
        (
            "source_agent_card agent_id is required",
            "/source_agent_card/agent_id",
            json!("a"),
        ),
        (
            "source_agent_card card_hash is required",
            "/source_agent_card/card_hash",
            json!("h"),
        ),
        (
            "source_agent_card card exceeds configured max bytes",
            "/source_agent_card/card",
            json!("x".repeat(AGENT_JSON_BYTES_MAX - 2)),
        ),
    ];
    for (fault, place, repair) in repairs {
        assert_eq!(invalid(&envelope.to_string()), fault);
        *envelope.pointer_mut(place).expect("the field") = repair;
    }
    let read = read(&envelope.to_string()).expect("all at its limit");
    assert!(read.raw().len() <= AGENT_ENVELOPE_BYTES_MAX);
    let bulky = json!({"protocol": "p", "capability": "x".repeat(AGENT_ENVELOPE_BYTES_MAX)});
    assert_eq!(
        invalid(&bulky.to_string()),
        "agent envelope exceeds configured max bytes"
    );
}

#[test]
fn what_agents_say_is_not_shown() {
    let envelope = read(r#"{"protocol":"p","message":"hush","signature":"hush"}"#).expect("one");
    let shown = format!("{envelope:?}");
    assert!(
        shown.contains("\"p\"") && !shown.contains("hush"),
        "{shown}"
    );
}

/// Made with Python's `cryptography` and `json`, not with this code: key of the seed 07…07.
const DID: &str = "did:key:z6MkvDqGT54cXesYGvABpF1UapVNwjCqRcafi4Px6Thv5T3Z";
const KEY_B64: &str = "6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
const NODE: &str = "fd1724385aa0c75b64fb78cd602fa1d991fdebf76b13c58ed702eac835e9f618";
const CARD_HASH: &str = "sha256:b8659b16573854d7ce5389205c9c04237a85918365a0f8a31aa1911ce3334826";
const CARD_SIGNATURE: &str =
    "lC0Qe8MS8k9/umDmy7BDhHB3+kCNrA8uHdKji7ELQH+tJmnCuui3YSxO57z2gY21xzpJkFy293RZ/hppx20wDw==";
const ENVELOPE_SIGNATURE: &str =
    "0P+ZmJoOEVEWnjywkT8EhILbF+XzZ5hdnP6LVrJLTxrQz15BSumKZI9bf49tEqpMny5kMohPHXJ/xFY7avoGDw==";

fn signed() -> serde_json::Value {
    json!({
        "protocol": "google_a2a",
        "transport_profile": "wattswarm_mesh",
        "source_agent_id": DID,
        "target_agent_id": "agent-b",
        "source_node_id": NODE,
        "target_node_id": "n",
        "capability": "peer.dm.message",
        "message_json": "{\"b\": 1, \"a\": \"\u{e9}\"}",
        "extensions_json": "{\"x\":1}",
        "signature": ENVELOPE_SIGNATURE,
        "source_agent_card": {
            "agent_id": DID,
            "node_id": NODE,
            "card_hash": CARD_HASH,
            "issued_at": 1_700_000_000_000_u64,
            "card": {
                "name": "Ann\u{20ac}",
                "skills": ["a", 1.5, true, null],
                "limits": {"b": 1e21, "a": 0},
            },
            "signature": CARD_SIGNATURE,
        },
    })
}

fn node() -> PublicKey {
    NODE.parse().expect("a key")
}

fn job(envelope: &serde_json::Value) -> Result<Option<VerifyJob>, String> {
    let envelope = read(&envelope.to_string()).expect("an envelope");
    // What arrives is judged like what was sent.
    let arrived = read(envelope.raw()).expect("an envelope");
    let (sent, arrived) = (envelope.job_for(&node()), arrived.job_for(&node()));
    let digest = |job: &Result<Option<VerifyJob>, String>| {
        job.clone().map(|job| job.map(|job| job.digest()))
    };
    assert_eq!(digest(&sent), digest(&arrived));
    sent
}

fn verdict(envelope: &serde_json::Value) -> Result<(), ClaimFault> {
    let job = job(envelope).expect("bound").expect("signed");
    let Verdict::Envelope(verdict) = verify::check(&[job]).remove(0) else {
        panic!("another verdict");
    };
    verdict
}

#[test]
fn signatures_of_others_are_valid() {
    assert_eq!(verdict(&signed()), Ok(()));
    let job = job(&signed()).expect("bound").expect("signed");
    assert_eq!(job.weight(), 2);
    // Without a card, and with a key in base64.
    let plain = json!({
        "protocol": "p",
        "source_agent_id": KEY_B64,
        "signature":
            "QC3inOynT78u3i3Psguqc+0h+BlvyIe9KOHAyMhsynkyeir24c1tjODldTxrGxGHkCqoc0/AfSpRfB0O8g2nCQ==",
    });
    assert_eq!(verdict(&plain), Ok(()));
}

#[test]
fn every_signed_field_counts() {
    let texts = [
        "/protocol",
        "/transport_profile",
        "/target_agent_id",
        "/target_node_id",
        "/capability",
        "/message_json",
        "/extensions_json",
    ];
    for place in texts {
        let mut changed = signed();
        let field = changed.pointer_mut(place).expect("the field");
        *field = json!(format!("{} ", field.as_str().expect("a text")));
        let fault = verdict(&changed).expect_err(place);
        assert_eq!(
            fault,
            ClaimFault {
                part: Part::Envelope
            },
            "{place}"
        );
    }
    let mut changed = signed();
    changed["source_agent_card"]["issued_at"] = json!(1_700_000_000_001_u64);
    let fault = verdict(&changed).expect_err("another moment");
    assert_eq!(
        fault.to_string(),
        "verify source_agent_card signature: it is not of source_agent_card and this key"
    );
    let mut missing = signed();
    missing
        .as_object_mut()
        .expect("an object")
        .remove("capability");
    assert_eq!(
        verdict(&missing),
        Err(ClaimFault {
            part: Part::Envelope
        })
    );
}

#[test]
fn what_is_not_signed_needs_no_job() {
    assert!(matches!(job(&json!({"protocol": "p"})), Ok(None)));
    // Without a card nobody looks at the names.
    let named = json!({"protocol": "p", "source_node_id": "elsewhere", "source_agent_id": "a"});
    assert!(matches!(job(&named), Ok(None)));
    let mut unsigned = signed();
    unsigned["signature"] = json!(null);
    unsigned["source_agent_card"]["signature"] = json!(null);
    assert!(matches!(job(&unsigned), Ok(None)));
}

#[test]
fn envelopes_of_somebody_else_are_refused_at_once() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 11] = [
        (
            |e| e["source_agent_id"] = json!("agent-x"),
            "agent envelope source_agent_id does not match source_agent_card agent_id",
        ),
        (
            |e| e["source_agent_card"]["node_id"] = json!("n"),
            "agent envelope source_node_id does not match source_agent_card node_id",
        ),
        (
            |e| e["source_agent_card"]["node_id"] = json!(null),
            "agent envelope source_node_id does not match source_agent_card node_id",
        ),
        (
            |e| {
                e["source_node_id"] = json!("n");
                e["source_agent_card"]["node_id"] = json!("n");
            },
            "agent envelope source_node_id does not match network source node",
        ),
        (
            |e| e["source_node_id"] = json!(null),
            "agent envelope source_node_id does not match network source node",
        ),
        (
            |e| e["source_agent_card"]["card"]["name"] = json!("Bob"),
            "source_agent_card hash mismatch",
        ),
        (
            |e| e["source_agent_card"]["card_hash"] = json!(CARD_HASH.to_uppercase()),
            "source_agent_card hash mismatch",
        ),
        (
            |e| {
                e["source_agent_card"] = json!(null);
                e["source_agent_id"] = json!(null);
            },
            "agent envelope source_agent_id is required when signature is set",
        ),
        (
            |e| e["signature"] = json!("sig"),
            "verify agent envelope signature: decode signature",
        ),
        (
            |e| e["source_agent_card"]["signature"] = json!(""),
            "verify source_agent_card signature: invalid signature length",
        ),
        (
            |e| {
                e["source_agent_card"] = json!(null);
                e["source_agent_id"] = json!("did:key:zz");
            },
            "verify agent envelope signature: did:key is not an Ed25519 verification key",
        ),
    ];
    for (change, fault) in cases {
        let mut changed = signed();
        change(&mut changed);
        assert_eq!(job(&changed).err().as_deref(), Some(fault));
    }
}

#[test]
fn cards_are_hashed_in_one_spelling() {
    let key = SigningKey::from_bytes(&[5; 32]);
    let agent = STANDARD.encode(key.verifying_key().to_bytes());
    let hash = format!("sha256:{}", hex(&Sha256::digest("{\"a\":1,\"b\":[100]}")));
    let spellings = [r#"{"b":[1e2],"a":1}"#, r#"{ "a" : 1.0, "b" : [ 100 ] }"#];
    for spelling in spellings {
        let text = format!(
            r#"{{"protocol":"p","source_node_id":"{NODE}","source_agent_card":{{"agent_id":"{agent}","node_id":"{NODE}","card_hash":"{hash}","issued_at":1,"card":{spelling}}}}}"#
        );
        assert!(matches!(
            read(&text).expect("an envelope").job_for(&node()),
            Ok(None)
        ));
    }
    // Our own reading of the rule agrees with the signer's.
    let signed = format!(r#"{{"message_json":"","protocol":"p","source_agent_id":"{agent}"}}"#);
    let signature = STANDARD.encode(key.sign(signed.as_bytes()).to_bytes());
    let envelope = json!({"protocol": "p", "source_agent_id": agent, "signature": signature});
    assert_eq!(verdict(&envelope), Ok(()));
}

#[test]
fn jobs_keep_their_order_in_company() {
    let good = job(&signed()).expect("bound").expect("signed");
    let mut changed = signed();
    changed["capability"] = json!("other");
    let forged = job(&changed).expect("bound").expect("signed");
    assert_ne!(good.digest(), forged.digest());
    let verdicts = verify::check(&[good.clone(), forged, good]);
    let fault = ClaimFault {
        part: Part::Envelope,
    };
    assert_eq!(
        verdicts,
        [
            Verdict::Envelope(Ok(())),
            Verdict::Envelope(Err(fault)),
            Verdict::Envelope(Ok(())),
        ]
    );
}

/// Goal: no text makes the reader panic, and whatever it takes it takes again.
#[test]
fn arbitrary_texts_are_read_or_refused() {
    let mut draws = Seed([3; 32]).stream("envelopes");
    let base = signed().to_string().into_bytes();
    let mut read_ones = 0;
    for _ in 0..20_000 {
        let mut bytes = base.clone();
        for _ in 0..1 + draws.index(4) {
            let place = draws.index(bytes.len());
            match draws.index(4) {
                0 => bytes[place] = draws.below(256) as u8,
                1 => bytes.truncate(place.max(1)),
                2 => bytes[place] = b"{}[]\",:\\0e-nu"[draws.index(13)],
                _ => {
                    let copied = bytes[place..].iter().take(40).copied().collect::<Vec<u8>>();
                    let at = draws.index(bytes.len());
                    bytes.splice(at..at, copied);
                }
            }
        }
        let Some(envelope) = String::from_utf8(bytes)
            .ok()
            .and_then(|text| RawValue::from_string(text).ok())
            .and_then(|text| Envelope::read(&text).ok())
        else {
            continue;
        };
        read_ones += 1;
        let again = read(envelope.raw()).expect("what was read travels");
        assert_eq!(again.raw(), envelope.raw());
        assert_eq!(again.stored(), envelope.stored());
        assert_eq!(again.request_id(), envelope.request_id());
        let stored = envelope.stored();
        serde_json::from_str::<serde_json::Value>(&stored).expect("clients can read it");
        if let Ok(Some(job)) = envelope.job_for(&node()) {
            assert_eq!(verify::check(std::slice::from_ref(&job)).len(), 1);
        }
    }
    assert!(read_ones > 500, "{read_ones} envelopes were read");
}
