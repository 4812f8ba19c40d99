//! No secret is found where it has no business: not in the log at its most talkative, not in the
//! data directory, not in metrics, errors or lists.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::{Node, list, peerage, run};

const TOKEN: &str = "a-token-that-the-operator-made-up";
const OTHER_TOKEN: &str = "a-token-of-the-environment";
const CLIENT_SECRET: &str = "what-the-client-alone-knows";
const CLUSTER_SECRET: &str = "what-all-nodes-of-the-cluster-know";
const WRONG_GUESS: &str = "a-guess-that-is-nearly-right";

/// Starts a node that logs all there is, with secrets from each place where they may come from.
fn start(place: &Path, name: &str) -> Node {
    let file = |kind: &str| place.join(format!("{name}.{kind}"));
    let config = format!(
        "token = [\"{TOKEN}=admin\"]\nclient = [\"me:{CLIENT_SECRET}=admin\"]\n\
         cluster-secret-file = '{}'\n",
        given(place, "secret").display()
    );
    let settings = given(place, &format!("{name}.toml"));
    fs::write(&settings, config).expect("a file");
    let mut child = peerage()
        .arg("run")
        .arg("--config")
        .arg(settings)
        .arg("--data")
        .arg(file("data"))
        .args(["--api", "127.0.0.1:0", "--p2p", "127.0.0.1:0"])
        .args(["--log-level", "trace"])
        .stdout(Stdio::piped())
        .stderr(File::create(file("log")).expect("a file"))
        .spawn()
        .expect("a process");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("the ready line");
    let ready = serde_json::from_str(&line).expect("the ready line is JSON");
    Node { child, ready, out }
}

/// Where the operator keeps secrets; everything else in the directory is searched.
fn given(place: &Path, name: &str) -> PathBuf {
    place.join("given").join(name)
}

/// Sends a request and gives the answer's body.
fn ask(node: &Node, method: &str, path: &str, authorization: &str, body: &str) -> String {
    let length = body.len();
    let answer = node.ask(&format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: {authorization}\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    body.to_owned()
}

/// A text in an answer that is meant to be kept secret.
fn told(answer: &str, name: &str) -> String {
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let secret = answer[name].as_str();
    secret.unwrap_or_else(|| panic!("{name}: {answer}")).into()
}

#[test]
fn no_secret_is_in_the_log_the_data_or_what_others_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("given")).expect("a directory");
    fs::write(given(dir.path(), "secret"), CLUSTER_SECRET).expect("a file");
    let (one, two) = (start(dir.path(), "one"), start(dir.path(), "two"));
    let bearer = format!("Bearer {TOKEN}");
    let mut secrets: Vec<String> = [
        TOKEN,
        OTHER_TOKEN,
        CLIENT_SECRET,
        CLUSTER_SECRET,
        WRONG_GUESS,
    ]
    .map(String::from)
    .into();

    // What makes secrets.
    let form = |client: &str, secret: &str| {
        format!("grant_type=client_credentials&client_id={client}&client_secret={secret}")
    };
    let token = |node: &Node, client: &str, secret: &str| {
        let answer = ask(node, "POST", "/v1/oauth/token", "", &form(client, secret));
        told(&answer, "access_token")
    };
    let jwt = token(&one, "me", CLIENT_SECRET);
    let made = ask(&one, "POST", "/v1/credentials", &bearer, "{}");
    let (client, secret) = (told(&made, "client_id"), told(&made, "client_secret"));
    let of_credential = token(&one, &client, &secret);
    let rotate = || ask(&one, "POST", "/v1/cluster/credentials/rotate", &bearer, "");
    let rotated = rotate();
    let shared = told(&rotated, "client_secret");
    let again = told(&rotate(), "client_secret");
    for token in [&jwt, &of_credential] {
        let signature = token.rsplit_once('.').expect("parts").1;
        secrets.push(signature.to_owned());
    }
    secrets.extend([secret.clone(), shared, again.clone()]);

    // What uses them, rightly and wrongly; and what is told then.
    let mut open = String::new();
    let joined = format!(r#"{{"address":"{}"}}"#, two.addr("api"));
    open += &ask(&one, "POST", "/v1/peers", &format!("Bearer {jwt}"), &joined);
    open += &ask(&one, "POST", "/v1/cluster/sync", &bearer, "");
    open += &ask(&one, "POST", "/v1/cluster/init", &bearer, "{}");
    for authorization in [
        format!("Bearer {WRONG_GUESS}"),
        format!("Bearer {jwt}{WRONG_GUESS}"),
        format!("Basic {WRONG_GUESS}"),
        WRONG_GUESS.to_owned(),
    ] {
        open += &ask(&one, "GET", "/v1/peers", &authorization, "");
        let grant = "grant_type=client_credentials";
        open += &ask(&one, "POST", "/v1/oauth/token", &authorization, grant);
    }
    for body in [
        form("me", WRONG_GUESS),
        form(WRONG_GUESS, &secret),
        format!("{}&scope={WRONG_GUESS}", form("me", CLIENT_SECRET)),
        format!("{}&client_secret={WRONG_GUESS}", form("me", CLIENT_SECRET)),
        format!("{{\"client_secret\":\"{secret}\""),
    ] {
        open += &ask(&one, "POST", "/v1/oauth/token", "", &body);
    }
    let scopes = format!(r#"{{"scopes":["{WRONG_GUESS}"]}}"#);
    open += &ask(&one, "POST", "/v1/credentials", &bearer, &scopes);
    for path in [
        "/v1/credentials",
        "/v1/cluster/credentials",
        "/v1/cluster/identity",
        "/v1/cluster/status",
        "/v1/peers",
        "/v1/license",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/metrics",
    ] {
        for node in [&one, &two] {
            open += &ask(node, "GET", path, &bearer, "");
        }
    }

    // A clean end writes what was not written before, a violent one leaves what was written by then.
    assert_eq!(one.stop("-TERM"), Some(0));
    assert_eq!(two.stop("-KILL"), None);
    let refused = run(&["--token", &format!("{OTHER_TOKEN}={WRONG_GUESS}")]);
    assert_eq!(refused.status.code(), Some(2));
    open += &String::from_utf8_lossy(&refused.stderr);

    let mut files = Vec::new();
    list(dir.path(), &mut files);
    let mut searched = vec![("what is told".to_owned(), open.into_bytes())];
    for path in files {
        if !path.starts_with(dir.path().join("given")) {
            let bytes = fs::read(&path).expect("a file");
            searched.push((path.display().to_string(), bytes));
        }
    }
    let found = |needle: &str| -> Vec<&str> {
        let within = |bytes: &[u8]| {
            bytes
                .windows(needle.len())
                .any(|it| it == needle.as_bytes())
        };
        let places = searched.iter().filter(|(_, bytes)| within(bytes));
        places.map(|(name, _)| name.as_str()).collect()
    };
    // The search finds what there is: the client of a credential is no secret.
    assert!(found(&client).iter().any(|name| name.contains("one.data")));
    assert!(
        found("cluster_peer_joined")
            .iter()
            .any(|name| name.ends_with("one.log"))
    );
    for secret in secrets {
        assert_eq!(found(&secret), [""; 0], "{secret}");
    }
}
