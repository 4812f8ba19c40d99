//! Commands, their checks and the pool, without a node around them.

use super::command::{self, Command, DecodeError, hash_cmd};
use super::insert::{self, InsertError, InsertRules, check_form, check_ledger_time, check_terms};
use super::key::{RequestKey, RequestKeysError, TxHash, decode_request_keys};
use super::sign::{self, Draft};
use super::signature::{verify, verify_batch};
use super::webauthn::Authenticator;
use crate::json;
use serde_json::Value;
use std::borrow::Cow;

const ALICE: [u8; 32] = [0x36; 32];
const BOB: [u8; 32] = [0x42; 32];

#[test]
fn command_hashes_of_the_vectors_hold() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/command_hashes.json"
    )) {
        assert_eq!(
            hash_cmd(text(&case, "cmd")).to_string(),
            case["hash"],
            "{}",
            case["id"]
        );
    }
}

#[test]
fn real_transactions_decode_and_verify() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/transactions.json"
    )) {
        let id = &case["id"];
        let command = Command::decode(text(&case, "wire")).unwrap_or_else(|e| panic!("{id}: {e}"));
        assert_eq!(command.key().to_string(), case["declared_hash"], "{id}");
        assert_eq!(
            command.hash_matches(),
            case["hash_matches"].as_bool().expect("a bool"),
            "{id}"
        );
        assert_eq!(command.network(), case["networkId"].as_str(), "{id}");
        let meta = command.meta();
        assert_eq!(&*meta.chain, case["meta"]["chainId"], "{id}");
        assert_eq!(
            meta.creation_time as i64, case["meta"]["creationTime"],
            "{id}"
        );
        assert_eq!(meta.ttl as i64, case["meta"]["ttl"], "{id}");
        assert_eq!(meta.gas_limit as i64, case["meta"]["gasLimit"], "{id}");
        let price: f64 = meta.gas_price.to_string().parse().expect("a number");
        assert_eq!(
            price,
            case["meta"]["gasPrice"].as_f64().expect("a number"),
            "{id}"
        );
        let expiry = case["expires_at"].as_u64().expect("seconds");
        assert_eq!(command.expires_at_micros(), expiry * 1_000_000, "{id}");
        let signers: Vec<&str> = command.signers().iter().map(|s| &*s.public_key).collect();
        assert_eq!(signers, strings(&case["signers"]), "{id}");
        assert_eq!(command.canonical_text(), case["canonical_contents"], "{id}");
        assert_eq!(verify(&command), Ok(()), "{id}");
    }
}

/// All cases of the vectors but those that need a pool: their state is told apart by the pool.
#[test]
fn insert_cases_of_the_vectors_hold() {
    let needs_pool = [
        "badlisted",
        "order-mined-before-badlist",
        "ok-already-pending",
        "ok-pool-one-left",
    ];
    let mut failures = Vec::new();
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/insert_cases.json"
    )) {
        let id = text(&case, "id");
        assert_eq!(
            case.get("state").is_some(),
            needs_pool.contains(&id),
            "{id}"
        );
        if !needs_pool.contains(&id)
            && let Err(failure) = replay(&case)
        {
            failures.push(format!("{id}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

fn replay(case: &Value) -> Result<(), String> {
    let expect = &case["expect"];
    let command = match Command::decode(text(case, "wire")) {
        Ok(command) if expect["status"] == 200 => command,
        Ok(_) => return Err("decoded".into()),
        Err(error) => {
            let body = error.to_string();
            let prefix = expect["body_prefix"].as_str().ok_or_else(|| body.clone())?;
            let whole = expect["body"]
                .as_str()
                .is_none_or(|expected| expected == body);
            return if whole && body.starts_with(prefix) {
                Ok(())
            } else {
                Err(body)
            };
        }
    };
    if command.key().to_string() != case["request_key"] {
        return Err(format!("request key {}", command.key()));
    }
    let now = text(case, "now_micros").parse().map_err(|_| "time")?;
    let rules = InsertRules {
        chain: case["chain"]
            .as_u64()
            .and_then(|chain| chain.try_into().ok())
            .ok_or("chain")?,
        network: text(case, "network"),
        ..rules()
    };
    match (check_all(&command, now, &rules), expect["accepted"] == true) {
        (Ok(()), true) if command.canonical_text() == expect["canonical_contents"] => Ok(()),
        (Ok(()), true) => Err(command.canonical_text()),
        (Err(error), false) => {
            let message = expect["message"]
                .as_str()
                .is_none_or(|text| text == error.to_string());
            let kind = name(&error) == text(expect, "reason");
            if kind && message {
                Ok(())
            } else {
                Err(error.to_string())
            }
        }
        (verdict, _) => Err(format!("{verdict:?}")),
    }
}

fn name(error: &InsertError) -> &'static str {
    match error {
        InsertError::Badlisted => "InsertErrorBadlisted",
        InsertError::Duplicate => "InsertErrorDuplicate",
        InsertError::InvalidHash => "InsertErrorInvalidHash",
        InsertError::InvalidSigs(_) => "InsertErrorInvalidSigs",
        InsertError::MetadataMismatch => "InsertErrorMetadataMismatch",
        InsertError::Other(_) => "InsertErrorOther",
        InsertError::Oversized { .. } => "InsertErrorOversized",
        InsertError::PactParse(_) => "InsertErrorPactParseError",
        InsertError::TimeInFuture => "InsertErrorTimeInFuture",
        InsertError::TtlExpired => "InsertErrorTTLExpired",
        InsertError::Undersized { .. } => "InsertErrorUndersized",
        InsertError::WrongChain { .. } => "InsertErrorWrongChain",
    }
}

#[test]
fn batches_of_the_vectors_hold() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/insert_batches.json"
    )) {
        let id = &case["id"];
        if case.get("state").is_some() {
            continue;
        }
        let texts: Vec<_> = strings(&case["batch"])
            .into_iter()
            .map(Cow::Borrowed)
            .collect();
        let accepted: Vec<String> = match command::decode_batch(&texts) {
            Ok(commands) => {
                assert_eq!(case["expect"]["status"], 200, "{id}");
                let now = text(&case, "now_micros").parse().expect("microseconds");
                let passes = |c: &&std::sync::Arc<Command>| check_all(c, now, &rules()).is_ok();
                commands
                    .iter()
                    .filter(passes)
                    .map(|command| command.key().to_string())
                    .collect()
            }
            Err(_) => {
                assert_eq!(case["expect"]["status"], 400, "{id}");
                Vec::new()
            }
        };
        let mut expected = strings(&case["expect"]["accepted"]);
        expected.dedup();
        let mut accepted: Vec<&str> = accepted.iter().map(|key| &**key).collect();
        accepted.dedup();
        assert_eq!(accepted, expected, "{id}");
    }
}

#[test]
fn each_limit_holds_to_the_unit() {
    let now = 1_700_000_000;
    let verdict = |change: &dyn Fn(&mut Draft<'_>)| {
        let mut draft = draft();
        change(&mut draft);
        let command = decode(&draft.sign(&[ALICE]));
        check_all(&command, now * 1_000_000, &rules()).map_err(|error| error.to_string())
    };
    let future = "Transaction creation time too far in the future";
    let expired = "Transaction time-to-live is expired";
    assert_eq!(verdict(&|d| d.gas_limit = 150_000), Ok(()));
    assert_eq!(
        verdict(&|d| d.gas_limit = 150_001),
        Err("Transaction gas limit exceeds block gas limit (150000)".into())
    );
    assert_eq!(verdict(&|d| d.gas_price = "1e-8"), Ok(()));
    assert_eq!(verdict(&|d| d.creation_time += 9), Ok(()));
    assert_eq!(verdict(&|d| d.creation_time += 10), Err(future.into()));
    assert_eq!(verdict(&|d| d.ttl = 0), Err(expired.into()));
    assert_eq!(verdict(&|d| d.ttl = 1), Ok(()));
    assert_eq!(verdict(&|d| d.ttl = 172_800), Ok(()));
    assert_eq!(verdict(&|d| d.ttl = 172_801), Err(expired.into()));
    assert_eq!(
        verdict(&|d| (d.creation_time, d.ttl) = (d.creation_time - 600, 600)),
        Err(expired.into())
    );
    let command = decode(&draft().sign(&[ALICE]));
    assert_eq!(check_ledger_time(&command, (now - 95) * 1_000_000), Ok(()));
    assert_eq!(
        check_ledger_time(&command, (now - 95) * 1_000_000 - 1),
        Err(InsertError::TimeInFuture)
    );
}

#[test]
fn extreme_numbers_neither_overflow_nor_hang() {
    let big = "9".repeat(38);
    let meta = |gas_limit: &str, gas_price: &str, ttl: &str, creation_time: &str| {
        let cmd = draft()
            .cmd(&[])
            .replacen("\"ttl\":600", &format!("\"ttl\":{ttl}"), 1);
        let cmd = cmd.replacen("\"gasLimit\":1000", &format!("\"gasLimit\":{gas_limit}"), 1);
        let cmd = cmd.replacen("\"gasPrice\":1e-7", &format!("\"gasPrice\":{gas_price}"), 1);
        let from = format!("\"creationTime\":{}", draft().creation_time);
        let cmd = cmd.replacen(&from, &format!("\"creationTime\":{creation_time}"), 1);
        Command::decode(&sign::sign_cmd(&cmd, &[]))
    };
    let minus = format!("-{big}");
    for ttl in [&*big, &*minus, "1"] {
        for creation_time in [&*big, &*minus, "0"] {
            let command = meta("0", "1", ttl, creation_time).expect("a legal command");
            assert!(check_all(&command, u64::MAX, &rules()).is_err());
            assert!(check_all(&command, 0, &rules()).is_err() || creation_time == "0");
            let _ = command.expires_at_micros();
        }
    }
    assert!(meta(&big, "1", "1", "1").is_ok());
    assert!(meta("\"7\"", "\"0.5\"", "{\"int\":3}", "{\"int\":\"4\"}").is_ok());
    for number in [
        "1e999999999",
        "1e38",
        "\"1e3\"",
        "\"\"",
        "\"+1\"",
        "null",
        "[]",
        "true",
        "{}",
    ] {
        assert!(meta(number, "1", "1", "1").is_err(), "gas limit {number}");
        assert!(meta("1", "1", number, "1").is_err(), "ttl {number}");
        assert!(
            meta("1", "1", "1", number).is_err(),
            "creation time {number}"
        );
    }
    for number in [
        "1e999999999",
        "1e-999999999",
        "-1e-9",
        "\"-1\"",
        "\"1e-7\"",
        "{\"int\":1}",
    ] {
        assert!(meta("1", number, "1", "1").is_err(), "gas price {number}");
    }
    assert!(meta("-1", "1", "1", "1").is_err());
    assert!(meta("-0.5", "1", "1", "1").is_ok(), "rounds to zero");
}

#[test]
fn decode_errors_name_the_place() {
    let good = draft().sign(&[ALICE]);
    for (from, to, expected) in [
        (
            "\"cmd\":",
            "\"c\":",
            r#"DecodeException "Error in $: key \"cmd\" not found""#,
        ),
        (
            "\"sigs\":[",
            "\"sigs\":[null,",
            r#"DecodeException "Error in $.sigs[0]: parsing UserSig failed, expected Object, but encountered Null""#,
        ),
        (
            r#"\"chainId\":\"0\""#,
            r#"\"chainId\":0"#,
            r#"DecodeException "Error in $.meta.chainId: parsing Text failed, expected String, but encountered Number""#,
        ),
        (
            r#"\"nonce\":\"n\""#,
            r#"\"nonce\":null"#,
            r#"DecodeException "Error in $.nonce: parsing Text failed, expected String, but encountered Null""#,
        ),
        (
            r#"\"code\":"#,
            r#"\"kode\":"#,
            r#"DecodeException "Error in $.payload.exec: key \"code\" not found""#,
        ),
        (
            r#"\"gasLimit\":1000"#,
            r#"\"gasLimit\":-1"#,
            r#"DecodeException "Error in $.meta.gasLimit: negative gas limit""#,
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(good, bad, "{from}");
        assert_eq!(
            Command::decode(&bad).map_err(|error| error.to_string()),
            Err(expected.into())
        );
    }
}

#[test]
fn payloads_are_checked_for_their_shape() {
    let cmd = draft().cmd(&[]);
    let with = |from: &str, to: &str| {
        let changed = cmd.replacen(from, to, 1);
        assert_ne!(changed, cmd, "{from}");
        Command::decode(&sign::sign_cmd(&changed, &[])).is_ok()
    };
    let exec = r#"{"exec":{"data":{},"code":"(+ 1 2)"}}"#;
    let cont = r#"{"cont":{"pactId":"x","step":1,"rollback":false,"data":null,"proof":null}}"#;
    assert!(with(exec, cont));
    for key in ["pactId", "step", "rollback", "data", "proof"] {
        assert!(!with(exec, &cont.replace(key, "other")), "{key}");
    }
    for (to, legal) in [
        (
            r#""signers":[{"pubKey":"a","scheme":null,"addr":null,"clist":null}]"#,
            true,
        ),
        (
            r#""signers":[{"pubKey":"a","clist":[{"name":"coin.GAS","args":[]}]}]"#,
            true,
        ),
        (
            r#""signers":[{"pubKey":"a","clist":[{"name":"ns.coin.GAS","args":[1]}]}]"#,
            true,
        ),
        (
            r#""signers":[{"pubKey":"a","clist":[{"name":"GAS","args":[]}]}]"#,
            false,
        ),
        (
            r#""signers":[{"pubKey":"a","clist":[{"name":"coin.GAS"}]}]"#,
            false,
        ),
        (r#""signers":[{"pubKey":"a","scheme":"RSA"}]"#, false),
        (r#""signers":[{}]"#, false),
        (r#""signers":null"#, false),
        (r#""signers":[],"verifiers":null"#, true),
        (
            r#""signers":[],"verifiers":[{"name":"v","proof":1,"clist":[]}]"#,
            true,
        ),
        (r#""signers":[],"verifiers":[{"name":"v"}]"#, false),
    ] {
        assert_eq!(with(r#""signers":[]"#, to), legal, "{to}");
    }
    assert!(with(r#""networkId":"development""#, r#""networkId":null"#));
    assert!(!with(r#""networkId":"development""#, r#""networkId":5"#));
}

#[test]
fn canonical_text_decodes_to_the_same_command() {
    let draft = Draft {
        nonce: "🌊 \"\\\n\u{1}é",
        ..draft()
    };
    let wire = draft.sign(&[ALICE, BOB]);
    let noisy = wire
        .replacen('{', "  { \"extra\" : [1] , ", 1)
        .replace("\"sig\":", "\"pubKey\":\"x\",\"sig\":");
    let command = decode(&noisy);
    assert_eq!(command.canonical_text(), wire);
    assert_eq!(decode(&command.canonical_text()), command);
    let mut literal = String::new();
    json::write_string(&mut literal, &wire);
    assert_eq!(command.literal(), literal);
    assert!(command.byte_size() > literal.len());
    let padded = wire.replacen("\",\"sigs\"", "=\",\"sigs\"", 1);
    assert_eq!(decode(&padded), command, "padding of the hash is dropped");
}

#[test]
fn request_keys_of_every_length_are_told_apart() {
    let full = TxHash([7; 32]).to_string();
    let body = format!("[\"{full}\",\"CQkJCQkJCQk\",\"{full}=\"]");
    let keys = decode_request_keys(body.as_bytes()).expect("legal keys");
    assert_eq!(keys[0], RequestKey::Full(TxHash([7; 32])));
    assert_eq!(keys[0], keys[2]);
    assert_eq!(keys[1], RequestKey::Odd([9; 8].into()));
    for (body, expected) in [
        (
            r#"["a+b/"]"#,
            r#"Error in $[0]: Base64DecodeException "invalid character at offset: 1""#,
        ),
        (
            r#"["","C385m6e9S7WzelUFCyW-JoZFJGQNlcI0jqCO8YrPMVp"]"#,
            r#"Error in $[1]: Base64DecodeException "non-canonical encoding detected at offset: 42""#,
        ),
        (
            "[1]",
            "Error in $[0]: parsing TransactionHash failed, expected String, but encountered Number",
        ),
        (
            "{}",
            "Error in $: parsing [] failed, expected Array, but encountered Object",
        ),
        (r#"[""]"#, "not enough bytes"),
        (r#"["CQkJCQkJCQ"]"#, "not enough bytes"),
    ] {
        let refusal = decode_request_keys(body.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(refusal, Err(expected.into()), "{body}");
    }
    assert_eq!(
        decode_request_keys(b"[\"\"]"),
        Err(RequestKeysError::TooShort)
    );
    assert_eq!(
        command::decode_insert_body(b"[{}]").map_err(|error| error.to_string()),
        Err("Error in $[0]: parsing Text failed, expected String, but encountered Object".into())
    );
    let json = serde_json::to_string(&TxHash([7; 32])).expect("text");
    assert_eq!(json, format!("\"{full}\""));
    assert_eq!(
        serde_json::from_str::<TxHash>(&json).expect("a hash"),
        TxHash([7; 32])
    );
}

#[test]
fn short_hash_comes_after_every_other_fault_of_the_batch() {
    let good = draft().sign(&[ALICE]);
    let hash = decode(&good).key().to_string();
    let short = good.replacen(&hash, "AAAA", 1);
    let batch = |texts: &[&str]| {
        let texts: Vec<_> = texts.iter().map(|text| Cow::Borrowed(*text)).collect();
        command::decode_batch(&texts)
    };
    assert_eq!(batch(&[&good, &short, &good]), Err(DecodeError::ShortHash));
    assert!(matches!(
        batch(&[&short, "{}"]),
        Err(DecodeError::Malformed(_))
    ));
    let odd = decode(&good.replacen(&hash, "CQkJCQkJCQk", 1));
    let verdict = check_form(&odd, &rules()).map_err(|error| error.to_string());
    assert_eq!(
        verdict,
        Err("Pact parse error: decode PayloadWithText failed".into())
    );
}

#[test]
fn signing_reproduces_the_vectors() {
    let vectors = include_str!("../../../../tests/vectors/chainweb/insert_cases.json");
    let vectors: Value = serde_json::from_str(vectors).expect("JSON");
    let seed = text(&vectors["keys"][0], "secretKeySeed");
    let seed: Vec<u8> = (0..32)
        .map(|i| u8::from_str_radix(&seed[2 * i..2 * i + 2], 16).expect("hex"))
        .collect();
    let seed: [u8; 32] = seed.try_into().expect("32 bytes");
    assert_eq!(sign::public_key(&seed), vectors["keys"][0]["publicKey"]);
    let sender = format!("k:{}", sign::public_key(&seed));
    let draft = Draft {
        sender: &sender,
        creation_time: 1_699_999_970,
        ..draft()
    };
    let case = vectors["cases"]
        .as_array()
        .expect("cases")
        .iter()
        .find(|c| c["id"] == "ok-basic");
    assert_eq!(draft.sign(&[seed]), case.expect("the first case")["wire"]);
}

#[test]
fn webauthn_signatures_are_checked_in_every_part() {
    let authenticator = Authenticator::new(&[0x17; 32]).expect("a secret");
    let key = authenticator.public_key();
    let sign_as = |scheme: &str, key: &str, sig: &dyn Fn(&str) -> String| {
        let signer = format!("\",\"scheme\":\"{scheme}\"}}],\"meta\"");
        let cmd = draft()
            .cmd(&[key.to_owned()])
            .replacen("\"}],\"meta\"", &signer, 1);
        let hash = hash_cmd(&cmd);
        let command = decode(&sign::wire(&hash, &[sig(&hash.to_string())], &cmd));
        let verdict = verify(&command);
        assert_eq!(verify_batch(&[&command; 4]), vec![verdict.clone(); 4]);
        verdict.map_err(|fault| fault.reason.into_owned())
    };
    let sign = |challenge: &str| authenticator.sign(challenge);
    assert_eq!(sign_as("WebAuthn", &key, &sign), Ok(()));
    assert_eq!(
        sign_as("WebAuthn", &format!("WEBAUTHN-{key}"), &sign),
        Ok(())
    );
    assert_eq!(sign_as("WebAuthn", &key.to_uppercase(), &sign), Ok(()));
    assert_eq!(
        sign_as("WebAuthn", &key, &|_| authenticator
            .sign(&TxHash([1; 32]).to_string())),
        Err("Hash mismatch, signature signs for the wrong transaction".into())
    );
    assert_eq!(
        sign_as("ED25519", &key, &sign),
        Err("scheme of Just ED25519 does not match signature type WebAuthn".into())
    );
    assert_eq!(
        sign_as("WebAuthn", &key, &|_| "00".repeat(64)),
        Err("scheme of Just WebAuthn does not match signature type ED25519".into())
    );
    let wrong = authenticator.public_key_with_algorithm(-9);
    assert_eq!(
        sign_as("WebAuthn", &wrong, &sign),
        Err("failed to parse webauthn pubkey: Signing algorithm must be EdDSA or P256".into())
    );
    let eddsa = authenticator.public_key_with_algorithm(-8);
    assert!(
        sign_as("WebAuthn", &eddsa, &sign).is_err(),
        "an ES256 key for EdDSA"
    );
    let other = Authenticator::new(&[0x18; 32]).expect("a secret");
    assert_eq!(
        sign_as("WebAuthn", &other.public_key(), &sign),
        Err("invalid webauthn signature".into())
    );
    // One bit of any character of the assertion's values, as far as it stays a WebAuthn signature.
    let length = sign("x").len();
    for place in (0..length + 42).step_by(7) {
        let flipped = |challenge: &str| {
            let mut sig = sign(challenge).into_bytes();
            let last = sig.len() - 1;
            sig[place.min(last)] ^= 1;
            String::from_utf8(sig).expect("ASCII stays ASCII")
        };
        assert!(
            sign_as("WebAuthn", &key, &flipped).is_err(),
            "bit of character {place}"
        );
    }
    for length in 0..key.len() {
        assert!(
            sign_as("WebAuthn", &key[..length], &sign).is_err(),
            "key cut to {length}"
        );
    }
}

#[test]
fn webauthn_takes_ed25519_keys_too() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ed25519_dalek::{Signer as _, SigningKey};
    use sha2::Digest as _;
    let secret = SigningKey::from_bytes(&ALICE);
    let cose = format!("a4010103272006215820{}", sign::public_key(&ALICE));
    let signer = "\",\"scheme\":\"WebAuthn\"}],\"meta\"";
    let cmd = draft().cmd(&[cose]).replacen("\"}],\"meta\"", signer, 1);
    let hash = hash_cmd(&cmd);
    let client_data = format!("{{\"challenge\":\"{hash}\"}}");
    let mut signed = vec![1, 2, 3];
    signed.extend_from_slice(&sha2::Sha256::digest(client_data.as_bytes()));
    let sig = format!(
        "{{\"authenticatorData\":\"AQID\",\"clientDataJSON\":\"{}\",\"signature\":\"{}\"}}",
        crate::base64url::encode(client_data.as_bytes()),
        STANDARD.encode(secret.sign(&signed).to_bytes()),
    );
    assert_eq!(verify(&decode(&sign::wire(&hash, &[sig], &cmd))), Ok(()));
}

#[test]
fn malformed_signatures_are_named() {
    let good = draft().sign(&[ALICE]);
    let cmd = draft().cmd(&[sign::public_key(&ALICE)]);
    let hash = hash_cmd(&cmd);
    let reason = |sig: &str| {
        let command = decode(&sign::wire(&hash, &[sig.to_owned()], &cmd));
        verify(&command).map_err(|fault| fault.reason.into_owned())
    };
    let sig = good
        .split("\"sig\":\"")
        .nth(1)
        .and_then(|rest| rest.get(..128))
        .expect("a sig");
    assert_eq!(reason(sig), Ok(()));
    assert_eq!(reason(&sig.to_uppercase()), Ok(()));
    for (sig, expected) in [
        (
            "fakeSig",
            "failed to parse ed25519 signature: invalid bytestring size",
        ),
        (
            "fakeSigs",
            "failed to parse ed25519 signature: invalid character at offset: 2",
        ),
        (
            "",
            r#"failed to parse ed25519 signature: Invalid ED25519 Signature: """#,
        ),
        (
            "ab",
            r#"failed to parse ed25519 signature: Invalid ED25519 Signature: "ab""#,
        ),
        (&"ff".repeat(64), "invalid ed25519 signature"),
        (
            &"é".repeat(64),
            "failed to parse ed25519 signature: invalid character at offset: 0",
        ),
    ] {
        assert_eq!(reason(sig), Err(expected.into()), "{sig}");
    }
}

#[test]
fn batch_verdicts_are_those_of_single_checks() {
    let mut texts = Vec::new();
    for nonce in 0..40 {
        let nonce = nonce.to_string();
        let draft = Draft {
            nonce: &nonce,
            ..draft()
        };
        texts.push(match nonce.parse::<u32>().expect("a number") % 8 {
            // Any digit changed: mostly an invalid signature, sometimes a malformed one.
            3 => draft
                .sign(&[ALICE, BOB])
                .replacen("\"},{\"sig\":\"", "\"},{\"sig\":\"f", 1),
            5 => draft
                .sign(&[ALICE])
                .replacen("\"sig\":\"", "\"sig\":\"0", 1),
            6 => {
                let signed = draft.sign(&[ALICE]);
                let at = signed.find("\"sig\":\"").expect("a sig") + 40;
                let digit = if &signed[at..=at] == "0" { "1" } else { "0" };
                format!("{}{digit}{}", &signed[..at], &signed[at + 1..])
            }
            7 => draft.sign(&[]),
            _ => draft.sign(&[BOB, ALICE]),
        });
    }
    let commands: Vec<Command> = texts.iter().map(|text| decode(text)).collect();
    for length in 0..commands.len() {
        let batch: Vec<&Command> = commands.iter().take(length).collect();
        let singly: Vec<_> = batch.iter().map(|command| verify(command)).collect();
        assert_eq!(verify_batch(&batch), singly, "{length} commands");
    }
    assert!(commands.iter().any(|command| verify(command).is_err()));
}

/// Goal: the signatures on which Ed25519 libraries disagree get one verdict here, whatever the way.
#[test]
fn small_order_keys_have_one_verdict() {
    let identity = format!("01{}", "00".repeat(31));
    let order_two = format!("ec{}7f", "ff".repeat(30));
    let zero = "00".repeat(32);
    for key in [&identity, &order_two, &zero] {
        for point in [&identity, &order_two, &zero] {
            let cmd = draft().cmd(std::slice::from_ref(key));
            let text = sign::wire(&hash_cmd(&cmd), &[format!("{point}{zero}")], &cmd);
            let odd = decode(&text);
            let good = decode(&draft().sign(&[ALICE]));
            assert_eq!(verify(&odd), Ok(()), "cofactored: {key} {point}");
            assert_eq!(verify_batch(&[&odd, &good, &odd, &good]), vec![Ok(()); 4]);
        }
    }
}

#[test]
fn digest_covers_what_the_signature_check_reads() {
    let wire = draft().sign(&[ALICE, BOB]);
    let base = decode(&wire);
    let unrelated = decode(&wire.replacen("(+ 1 2)", "(+ 1 3)", 1));
    assert_eq!(
        unrelated.digest(),
        base.digest(),
        "the code is read through the hash alone"
    );
    let key = sign::public_key(&ALICE);
    for (from, to) in [
        ("\"sig\":\"", "\"sig\":\"0"),
        (&*key, &*sign::public_key(&BOB)),
        (
            &*format!("{key}\\\""),
            &*format!("{key}\\\",\\\"scheme\\\":\\\"ED25519\\\""),
        ),
        (
            &*format!("{key}\\\""),
            &*format!("{key}\\\",\\\"addr\\\":\\\"{key}\\\""),
        ),
        (&*base.key().to_string(), &*TxHash([0; 32]).to_string()),
    ] {
        let changed = wire.replacen(from, to, 1);
        assert_ne!(changed, wire, "{from}");
        assert_ne!(decode(&changed).digest(), base.digest(), "{from}");
    }
}

#[test]
fn truncated_commands_never_decode() {
    let wire = draft().sign(&[ALICE]);
    for (end, _) in wire.char_indices() {
        assert!(matches!(
            Command::decode(&wire[..end]),
            Err(DecodeError::Malformed(_))
        ));
    }
}

/// Goal: whatever arrives, decoding gives a verdict, and what decodes has one canonical text.
#[test]
fn damaged_commands_never_panic() {
    let authenticator = Authenticator::new(&[0x17; 32]).expect("a secret");
    let cmd = draft().cmd(&[authenticator.public_key()]);
    let cmd = cmd.replacen("\"}],", "\",\"scheme\":\"WebAuthn\"}],", 1);
    let hash = hash_cmd(&cmd);
    let webauthn = sign::wire(&hash, &[authenticator.sign(&hash.to_string())], &cmd);
    assert_eq!(verify(&decode(&webauthn)), Ok(()));
    let mut random = 1_u64;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % below
    };
    let marks = b"\"\\{}[],:0-9eE.u\n\0";
    let mut decoded = 0;
    for round in 0..20_000 {
        let text = if round % 2 == 0 {
            &webauthn
        } else {
            &draft().sign(&[ALICE, BOB])
        };
        let mut bytes = text.clone().into_bytes();
        for _ in 0..=draw(2) {
            let place = draw(bytes.len());
            match draw(4) {
                0 => bytes[place] = marks[draw(marks.len())],
                1 => bytes[place] ^= 1 << draw(7),
                2 => drop(bytes.remove(place)),
                _ => bytes.insert(place, marks[draw(marks.len())]),
            }
        }
        let text = String::from_utf8(bytes).expect("ASCII");
        let ours = json::parse(&text).map_err(|error| error.to_string());
        let theirs = serde_json::from_str::<Value>(&text);
        let known = theirs
            .as_ref()
            .is_err_and(|e| e.to_string().contains("out of range"));
        assert!(
            ours.is_ok() == theirs.is_ok() || known,
            "{text}: {ours:?}, {theirs:?}"
        );
        if let Ok(command) = Command::decode(&text) {
            decoded += 1;
            assert_eq!(decode(&command.canonical_text()), command, "{text}");
            let _ = check_all(&command, 1_700_000_000_000_000, &rules());
            if round % 16 < 2 {
                let _ = verify(&command);
            }
        }
    }
    assert!(decoded > 1000, "{decoded} of the damaged commands decode");
}

fn draft() -> Draft<'static> {
    Draft {
        chain: 0,
        code: "(+ 1 2)",
        creation_time: 1_700_000_000,
        gas_limit: 1000,
        gas_price: "1e-7",
        network: "development",
        nonce: "n",
        sender: "k:someone",
        ttl: 600,
    }
}

fn rules() -> InsertRules<'static> {
    InsertRules {
        chain: 0,
        gas_limit_max: crate::limits::GAS_LIMIT_MAX,
        gas_price_min: insert::gas_price_min(),
        network: "development",
    }
}

/// The whole pipeline for an empty pool on a node without a ledger.
fn check_all(
    command: &Command,
    now_micros: u64,
    rules: &InsertRules<'_>,
) -> Result<(), InsertError> {
    check_terms(command, now_micros, rules)?;
    check_form(command, rules)?;
    verify(command)?;
    check_ledger_time(command, now_micros)
}

fn decode(text: &str) -> Command {
    Command::decode(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn cases(vectors: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(vectors).expect("the vectors are JSON");
    vectors["cases"]
        .as_array()
        .expect("a list of cases")
        .clone()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {}", case["id"]))
}

fn strings(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list").iter();
    list.map(|element| element.as_str().expect("a text"))
        .collect()
}
