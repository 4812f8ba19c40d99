//! Who may ask: tokens, clients and credentials.

use super::*;
use crate::limits::CREDENTIALS_MAX;

/// Every request that needs a token, with the scope that it needs.
fn protected() -> Vec<(Request, Scopes)> {
    let nobody = Some(PeerId::derived(&[99; 32]));
    vec![
        (Request::Peers(Ok(None)), Scopes::PEERS_READ),
        (Request::Peer(nobody), Scopes::PEERS_READ),
        (add(9), Scopes::PEERS_WRITE),
        (Request::RenamePeer(nobody, Ok(None)), Scopes::PEERS_WRITE),
        (Request::DeletePeer(nobody), Scopes::PEERS_WRITE),
        (Request::Credentials, Scopes::CREDENTIALS_READ),
        (Request::MakeCredential(Ok(None)), Scopes::CREDENTIALS_WRITE),
        (
            Request::DeleteCredential("cli_x".into()),
            Scopes::CREDENTIALS_WRITE,
        ),
        (Request::Rotate, Scopes::CREDENTIALS_WRITE),
        (Request::ClusterCredential, Scopes::ADMIN),
        (Request::Status, Scopes::ADMIN),
        (Request::Sync, Scopes::ADMIN),
        (Request::DeleteSelf, Scopes::ADMIN),
        (Request::Init(Ok(true)), Scopes::ADMIN),
        (Request::Licence, Scopes::NONE),
        (
            Request::ReplaceLicence(Err(Malformed::Licence)),
            Scopes::ADMIN,
        ),
    ]
}

#[test]
fn every_endpoint_asks_for_a_token_that_allows_it() {
    let mut other = script(2);
    let foreign = token_for(&mut other, "root", "root-secret");
    for (request, needed) in protected() {
        let mut script = script(1);
        let read = token_for(&mut script, "reader", "reader-secret");
        let write = token_for(&mut script, "writer", "writer-secret");
        let admin = token_for(&mut script, "root", "root-secret");
        let before = script.exported();
        let check = |script: &mut Script, caller: Caller, expected: Option<Code>| {
            let (_, input) = script.request(caller, request.clone().into());
            let outputs = script.run(input);
            let answers = responses(&outputs);
            let called = !calls(&outputs).is_empty();
            let found = answers.first().map(|it| code(&ours(it.clone())));
            let refused = found.flatten().filter(|code| {
                matches!(
                    code,
                    Code::Unauthorized | Code::TokenExpired | Code::Forbidden
                )
            });
            assert_eq!(refused, expected, "{request:?}");
            assert!(expected.is_none() || !called, "{request:?}");
        };
        let nothing = Some(Code::Unauthorized);
        check(&mut script, operator(), nothing);
        for text in [
            "",
            "Bearer",
            "Bearer ",
            "Basic cm9vdDpyb290LXNlY3JldA==",
            "x",
        ] {
            let authorization = Some(Secret(text.into()));
            let caller = Caller {
                authorization,
                ..operator()
            };
            check(&mut script, caller, nothing);
        }
        check(&mut script, bearing("no-such-token"), nothing);
        check(&mut script, bearing("a.b.c"), nothing);
        check(&mut script, bearing(&foreign), nothing);
        let expected = |scopes: Scopes| (!scopes.allow(needed)).then_some(Code::Forbidden);
        let reading = expected(Scopes::PEERS_READ);
        let writing = expected(Scopes::PEERS_READ.union(Scopes::PEERS_WRITE));
        if reading.is_some() {
            check(&mut script, bearing(READ), reading);
            check(&mut script, bearing(&read), reading);
        }
        if writing.is_some() {
            check(&mut script, bearing(WRITE), writing);
            check(&mut script, bearing(&write), writing);
        }
        // Whoever was refused has changed nothing.
        assert_eq!(script.exported(), before, "{request:?}");
        let mut later = script.clone();
        later.advance(secs(LIFETIME_S));
        for token in [&read, &write, &admin] {
            check(&mut later, bearing(token), Some(Code::TokenExpired));
        }
        for token in [READ, WRITE, read.as_str(), write.as_str()] {
            let may = if [READ, read.as_str()].contains(&token) {
                reading
            } else {
                writing
            };
            check(&mut script.clone(), bearing(token), may);
        }
        for token in [ADMIN, admin.as_str()] {
            check(&mut script.clone(), bearing(token), None);
        }
    }
}

/// Takes a token apart, changes a part, and puts it together again.
fn tampered(token: &str, part: usize, change: impl Fn(&mut serde_json::Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let bytes = base64url::decode(&parts[part]).expect("base64url");
    let mut value = serde_json::from_slice(&bytes).expect("JSON");
    change(&mut value);
    parts[part] = base64url::encode(value.to_string().as_bytes());
    parts.join(".")
}

fn resigned(token: &str, key: [u8; 32]) -> String {
    let (text, _) = token.rsplit_once('.').expect("parts");
    let signature = SigningKey::from_bytes(&key).sign(text.as_bytes());
    format!("{text}.{}", base64url::encode(&signature.to_bytes()))
}

#[test]
fn hostile_tokens_are_refused() {
    let mut script = script(1);
    let token = token_for(&mut script, "reader", "reader-secret");
    let own = [1; 32];
    let now = crate::scripted::EPOCH;
    let parts: Vec<&str> = token.split('.').collect();
    let set = |name: &'static str, to: serde_json::Value| {
        move |value: &mut serde_json::Value| value[name] = to.clone()
    };
    let scope = "urn:tillered:arctic:admin";
    let hostile = [
        (
            "no algorithm",
            tampered(&token, 0, set("alg", "none".into())),
        ),
        (
            "no algorithm, no signature",
            format!("{}.{}.", base64url::encode(br#"{"alg":"none"}"#), parts[1]),
        ),
        (
            "no algorithm, signed",
            resigned(&tampered(&token, 0, set("alg", "none".into())), own),
        ),
        (
            "another algorithm",
            resigned(&tampered(&token, 0, set("alg", "HS256".into())), own),
        ),
        (
            "a key of its own",
            resigned(&tampered(&token, 0, set("kid", "peer_x".into())), own),
        ),
        (
            "critical extensions",
            resigned(
                &tampered(&token, 0, set("crit", serde_json::json!(["x"]))),
                own,
            ),
        ),
        (
            "altered scopes",
            tampered(&token, 1, set("scope", scope.into())),
        ),
        (
            "altered client",
            tampered(&token, 1, set("sub", "root".into())),
        ),
        (
            "longer life",
            tampered(&token, 1, set("exp", (now + 9_999).into())),
        ),
        ("another's signature", resigned(&token, [2; 32])),
        (
            "another issuer",
            resigned(&tampered(&token, 1, set("iss", "peer_x".into())), own),
        ),
        (
            "a client that is none",
            resigned(&tampered(&token, 1, set("sub", "ghost".into())), own),
        ),
        (
            "from the future",
            resigned(
                &tampered(&token, 1, |value| {
                    value["iat"] = (now + 61).into();
                    value["exp"] = (now + 3_000).into();
                }),
                own,
            ),
        ),
        (
            "for longer than an hour",
            resigned(&tampered(&token, 1, set("exp", (now + 3_601).into())), own),
        ),
        (
            "that ends before it begins",
            resigned(&tampered(&token, 1, set("exp", (now - 1).into())), own),
        ),
        ("padding", format!("{token}==")),
        (
            "padding in the header",
            resigned(&token.replacen('.', "==.", 1), own),
        ),
        ("four parts", format!("{token}.x")),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("half a signature", token[..token.len() - 20].to_owned()),
        ("no header", format!(".{}.{}", parts[1], parts[2])),
        ("very long", format!("{token}{}", "x".repeat(5_000))),
    ];
    for (what, hostile) in hostile {
        let answer = ask(&mut script, &hostile, Request::Peers(Ok(None)));
        assert_eq!(code(&answer), Some(Code::Unauthorized), "{what}");
    }
    let answer = ask(&mut script, &token, Request::Peers(Ok(None)));
    assert!(matches!(answer, Response::Peers(_)), "{answer:?}");
}

#[test]
fn tokens_end_by_the_nodes_clock_whatever_it_does() {
    let mut script = script(1);
    let token = token_for(&mut script, "reader", "reader-secret");
    let peers = || Request::Peers(Ok(None));
    let mut check = |secs: u64, expected: Option<Code>| {
        script.now.wall = WallTime::from_secs(secs);
        assert_eq!(code(&ask(&mut script, &token, peers())), expected, "{secs}");
    };
    let made = crate::scripted::EPOCH;
    check(made + 3_599, None);
    check(made + 3_600, Some(Code::TokenExpired));
    check(made, None);
    // Set back a little is forgiven, set back far is not.
    check(made - 60, None);
    check(made - 61, Some(Code::Unauthorized));
}

#[test]
fn token_form_answers_as_the_standard_says() {
    let mut script = script(1);
    let form = |grant, client: Option<&str>, secret: Option<&str>| TokenForm {
        grant,
        client: client.map(str::to_owned),
        secret: secret.map(|text| Secret(text.into())),
        scopes: None,
    };
    let mut check = |caller: Caller, form: TokenForm, expected: Option<(Code, &str)>| {
        let response = script.ask(caller, Request::Token(form).into());
        match (ours(response.expect("an answer")), expected) {
            (Response::Failed(failure), Some((code, text))) => {
                assert_eq!((failure.code, failure.text.as_ref()), (code, text));
            }
            (Response::Token { expires_in, .. }, None) => assert_eq!(expires_in, 3_600),
            (other, _) => panic!("{other:?}"),
        }
    };
    let good = || form(Grant::Client, Some("root"), Some("root-secret"));
    check(operator(), good(), None);
    let invalid = Some((Code::Unauthorized, "invalid_client"));
    let malformed = Some((Code::InvalidRequest, "invalid_request"));
    let wrong = form(Grant::Client, Some("root"), Some("wrong"));
    check(operator(), wrong, invalid);
    let ghost = form(Grant::Client, Some("ghost"), Some("root-secret"));
    check(operator(), ghost, invalid);
    check(
        operator(),
        form(Grant::Client, Some("root"), None),
        malformed,
    );
    check(operator(), form(Grant::Missing, None, None), malformed);
    let unsupported = Some((Code::InvalidRequest, "unsupported_grant_type"));
    check(operator(), form(Grant::Other, None, None), unsupported);
    let basic = |text: &str| Caller {
        authorization: Some(Secret(format!("basic {text}"))),
        ..operator()
    };
    // root:root-secret, root:wrong, no colon, no base64.
    let bare = || form(Grant::Client, None, None);
    check(basic("cm9vdDpyb290LXNlY3JldA=="), bare(), None);
    check(basic("cm9vdDp3cm9uZw=="), bare(), invalid);
    check(basic("cm9vdA=="), bare(), invalid);
    check(basic("?"), bare(), invalid);
    check(basic("cm9vdDpyb290LXNlY3JldA=="), good(), malformed);
    let mut less = good();
    less.scopes = Some(Ok(Scopes::PEERS_READ));
    check(operator(), less, None);
    let mut more = form(Grant::Client, Some("reader"), Some("reader-secret"));
    more.scopes = Some(Ok(Scopes::ADMIN));
    check(
        operator(),
        more,
        Some((Code::InvalidRequest, "invalid_scope")),
    );
}

#[test]
fn credentials_work_until_they_are_revoked_and_survive_a_restart() {
    let mut script = script(1);
    let scopes = Some(Scopes::PEERS_READ.union(Scopes::CREDENTIALS_WRITE));
    let made = match ask(&mut script, ADMIN, Request::MakeCredential(Ok(scopes))) {
        Response::CredentialMade(made) => *made,
        other => panic!("{other:?}"),
    };
    let token = token_for(&mut script, &made.client_id, &made.secret.0);
    script.advance(secs(2));
    let mut script = Script::restore(script.node.config().as_ref().clone(), script.durable());
    let answer = ask(&mut script, &token, Request::Peers(Ok(None)));
    assert!(matches!(answer, Response::Peers(_)), "{answer:?}");
    let Response::Credentials(listed) = ask(&mut script, ADMIN, Request::Credentials) else {
        panic!("no list");
    };
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].used_s, Some(crate::scripted::EPOCH));
    let more = Request::MakeCredential(Ok(Some(Scopes::ADMIN)));
    assert_eq!(code(&ask(&mut script, &token, more)), Some(Code::Forbidden));
    let delete = || Request::DeleteCredential(made.client_id.clone());
    let current = ask(&mut script, &token, delete());
    assert_eq!(code(&current), Some(Code::CannotRevokeCurrent));
    assert_eq!(ask(&mut script, ADMIN, delete()), Response::Deleted);
    let answer = ask(&mut script, &token, Request::Peers(Ok(None)));
    assert_eq!(code(&answer), Some(Code::Unauthorized));
    assert_eq!(
        code(&ask(&mut script, ADMIN, delete())),
        Some(Code::NotFound)
    );
}

#[test]
fn full_table_of_credentials_says_what_to_do() {
    let mut script = script(1);
    let make = |script: &mut Script| ask(script, ADMIN, Request::MakeCredential(Ok(None)));
    let mut made = String::new();
    for _ in 0..CREDENTIALS_MAX {
        match make(&mut script) {
            Response::CredentialMade(it) => made = it.client_id,
            other => panic!("{other:?}"),
        }
    }
    let Response::Failed(failure) = make(&mut script) else {
        panic!("one too many");
    };
    let text = "there are as many credentials as there may be (1024); delete one first";
    assert_eq!((failure.code, failure.text.as_ref()), (Code::Busy, text));
    let deleted = ask(&mut script, ADMIN, Request::DeleteCredential(made));
    assert_eq!(deleted, Response::Deleted);
    assert!(matches!(make(&mut script), Response::CredentialMade(_)));
}

#[test]
fn no_secret_is_in_anything_that_is_printed() {
    let mut script = script(1);
    let mut told = String::new();
    let mut secrets: Vec<String> = [ADMIN, "root-secret", "sixteen bytes"]
        .map(String::from)
        .into();
    let form = TokenForm {
        grant: Grant::Client,
        client: Some("root".into()),
        secret: Some(Secret("root-secret".into())),
        scopes: None,
    };
    let requests = [
        Request::Token(form),
        Request::MakeCredential(Ok(None)),
        Request::Rotate,
        Request::Credentials,
        Request::ClusterCredential,
        add(2),
    ];
    for request in requests {
        let (_, input) = script.request(bearing(ADMIN), request.into());
        told += &format!("{input:?}");
        let outputs = script.run(input);
        told += &format!("{outputs:?}");
        for response in responses(&outputs) {
            match ours(response) {
                Response::Token { token, .. } => secrets.push(token.0),
                Response::CredentialMade(made) => secrets.push(made.secret.0),
                Response::ClusterCredential(view) => {
                    secrets.extend(view.secret.map(|secret| secret.0));
                }
                _ => {}
            }
        }
        for output in &outputs {
            if let Output::Event(event) = output {
                told += &event.to_string();
            }
        }
    }
    told += &format!("{:?}{:?}", script.node.config(), script.node);
    // What is durable is not secret either: only digests are.
    for row in script.durable() {
        told += &String::from_utf8_lossy(&row.value().expect("a value"));
    }
    assert_eq!(secrets.len(), 6);
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret}");
    }
}
