//! Bearer tokens beside a library that many use: it reads ours, ours are those that it would write,
//! and what it forges is refused. Clients of every kind find their way to one.

use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use peerage_core::base64url;
use peerage_core::config::cluster::{FixedClient, Scopes};
use peerage_core::secret::SecretDigest;
use peerage_tests::Bench;
use serde_json::{Value, json};

use crate::bare;

const ADMIN: &str = "urn:tillered:arctic:admin";
const READ: &str = "urn:tillered:arctic:peers.read";

/// The seed of the bench's key.
const OWN: [u8; 32] = [1; 32];

fn bench() -> Bench {
    Bench::with(|config| {
        assert_eq!(config.identity.secret, OWN);
        config.cluster.clients = vec![FixedClient {
            id: "reader".into(),
            digest: SecretDigest::of("reader-secret"),
            scopes: Scopes::PEERS_READ,
        }];
    })
}

fn token(bench: &mut Bench) -> String {
    let made = bench.fetch(
        "POST /v1/oauth/token HTTP/1.1\r\n\r\n\
         grant_type=client_credentials&client_id=reader&client_secret=reader-secret",
    );
    let token = made.json();
    token["access_token"].as_str().expect("text").to_owned()
}

fn published(bench: &mut Bench) -> JwkSet {
    let keys = bench.fetch(bare("GET", "/.well-known/jwks.json"));
    serde_json::from_slice(keys.text().as_bytes()).expect("a set of keys")
}

fn issuer(bench: &mut Bench) -> String {
    let identity = bench.fetch(bare("GET", "/v1/cluster/identity")).json();
    identity["peer_id"].as_str().expect("text").to_owned()
}

fn status(bench: &mut Bench, method: &str, path: &str, token: &str) -> u16 {
    let request = format!("{method} {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n{{}}");
    bench.fetch(request).status
}

/// A key as the library wants it: PKCS #8 around the seed. Rule: RFC 8410.
fn signing(seed: [u8; 32]) -> EncodingKey {
    let head = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    EncodingKey::from_ed_der(&[&head[..], &seed].concat())
}

/// The time of a bench is fixed, and the library knows only the real one.
fn timeless(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.validate_exp = false;
    validation.set_issuer(&[issuer]);
    validation
}

#[test]
fn a_library_reads_our_tokens_with_the_published_key() {
    let mut bench = bench();
    let (token, keys, issuer) = (token(&mut bench), published(&mut bench), issuer(&mut bench));
    let head = jsonwebtoken::decode_header(&token).expect("a header");
    let named = head.kid.as_deref().expect("a key is named");
    let key = keys.find(named).expect("the key is published");
    let key = DecodingKey::from_jwk(key).expect("a key");
    let read = decode::<Value>(&token, &key, &timeless(&issuer)).expect("a good token");
    assert_eq!(read.claims["sub"], "reader");
    assert_eq!(read.claims["scope"], READ);
    let (from, to) = (&read.claims["iat"], &read.claims["exp"]);
    assert_eq!(
        to.as_u64().zip(from.as_u64()).map(|(to, from)| to - from),
        Some(3_600)
    );

    let text = token.replace('.', " ");
    let changed = text.rsplit_once(' ').expect("parts").0.replace(' ', ".");
    let changed = format!("{changed}.{}", "A".repeat(86));
    assert!(decode::<Value>(&changed, &key, &timeless(&issuer)).is_err());
}

#[test]
fn what_a_library_writes_holds_only_with_our_key_and_our_algorithm() {
    let mut bench = bench();
    let (token, keys, issuer) = (token(&mut bench), published(&mut bench), issuer(&mut bench));
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&token)
        .expect("a token")
        .claims;
    let AlgorithmParameters::OctetKeyPair(published) = &keys.keys[0].algorithm else {
        panic!("another kind of key: {keys:?}");
    };
    let admin = json!({
        "iss": issuer, "sub": "reader", "scope": ADMIN,
        "iat": claims["iat"], "exp": claims["exp"],
    });

    // The same claims under our own key are as good as ours.
    let own = encode(&Header::new(Algorithm::EdDSA), &claims, &signing(OWN)).expect("a token");
    assert_eq!(status(&mut bench, "GET", "/v1/peers", &own), 200);
    // Signed or not, nobody has more than the client may.
    let greedy = encode(&Header::new(Algorithm::EdDSA), &admin, &signing(OWN)).expect("a token");
    assert_eq!(status(&mut bench, "GET", "/v1/peers", &greedy), 200);
    assert_eq!(status(&mut bench, "POST", "/v1/peers", &greedy), 403);
    assert_eq!(status(&mut bench, "DELETE", "/v1/peers/self", &greedy), 403);

    let mut embedded = Header::new(Algorithm::EdDSA);
    embedded.jwk = Some(keys.keys[0].clone());
    let mut named = Header::new(Algorithm::EdDSA);
    named.kid = Some(issuer);
    let public = published.x.as_bytes();
    let forged = [
        (
            "another key",
            encode(&Header::new(Algorithm::EdDSA), &admin, &signing([2; 32])),
        ),
        (
            "another key, named as ours",
            encode(&named, &admin, &signing([2; 32])),
        ),
        (
            "another key, brought along",
            encode(&embedded, &admin, &signing([2; 32])),
        ),
        (
            "the public key as a shared secret",
            encode(
                &Header::new(Algorithm::HS256),
                &admin,
                &EncodingKey::from_secret(public),
            ),
        ),
        (
            "the public key as a longer shared secret",
            encode(
                &Header::new(Algorithm::HS512),
                &admin,
                &EncodingKey::from_secret(public),
            ),
        ),
    ];
    for (what, forged) in forged {
        let forged = forged.expect("a token");
        assert_eq!(
            status(&mut bench, "GET", "/v1/peers", &forged),
            401,
            "{what}"
        );
    }
}

/// Nodes whose clients have names and secrets that look otherwise once they are encoded.
fn odd_bench() -> Bench {
    let client = |id: &str, secret: &str| FixedClient {
        id: id.into(),
        digest: SecretDigest::of(secret),
        scopes: Scopes::PEERS_READ,
    };
    Bench::with(|config| {
        config.cluster.clients = vec![
            client("n1", "a:b"),
            client("b+c", "p+q r%é"),
            client("p%", "100%2"),
            client("twice", "a%3Ab"),
            client("bytes", "\u{fffd}"),
        ];
    })
}

const GRANT: &str = "grant_type=client_credentials";

fn by_header(bench: &mut Bench, id_and_secret: &str, form: &str) -> (u16, Value) {
    let shown = base64url::encode(id_and_secret.as_bytes());
    let shown = shown.replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - shown.len() % 4) % 4);
    let answer = bench.fetch(format!(
        "POST /v1/oauth/token HTTP/1.1\r\nAuthorization: Basic {shown}{padding}\r\n\r\n{form}"
    ));
    (answer.status, answer.json())
}

#[test]
fn clients_may_encode_what_they_show_in_the_header() {
    let mut bench = odd_bench();
    for (shown, expected) in [
        // As it is, and as RFC 6749, 2.3.1, has it.
        ("n1:a:b", 200),
        ("n1:a%3Ab", 200),
        ("%6e1:a%3ab", 200),
        ("n1:a%3Ac", 401),
        ("b+c:p+q r%é", 200),
        ("b%2Bc:p%2Bq+r%25%C3%A9", 200),
        // Both or neither: one half of each is no client's way.
        ("b+c:p%2Bq+r%25%C3%A9", 401),
        ("b%2Bc:p+q r%é", 401),
        // What is no percent sequence stands for itself, and so does all that is beside it.
        ("p%:100%2", 200),
        ("p%25:100%252", 200),
        ("p%25:100%2", 401),
        // A secret may look as if it were encoded, and is encoded once more then.
        ("twice:a%3Ab", 200),
        ("twice:a%253Ab", 200),
        ("twice:a:b", 401),
        // Bytes that are no text do not become any.
        ("bytes:\u{fffd}", 200),
        ("bytes:%EF%BF%BD", 200),
        ("bytes:%FF", 401),
    ] {
        let (status, said) = by_header(&mut bench, shown, GRANT);
        assert_eq!(status, expected, "{shown}");
        if status == 401 {
            assert_eq!(said["error"], "invalid_client", "{shown}");
        }
    }
}

#[test]
fn parameters_without_a_value_are_not_there() {
    let mut bench = odd_bench();
    let mut body = |form: &str| {
        let answer = bench.fetch(format!("POST /v1/oauth/token HTTP/1.1\r\n\r\n{form}"));
        (answer.status, answer.json())
    };
    let good = "grant_type=client_credentials&client_id=n1&client_secret=a%3Ab";
    let missing = (
        400,
        json!({ "error": "invalid_request", "code": "INVALID_REQUEST" }),
    );
    for form in [
        "grant_type=&client_id=n1&client_secret=a%3Ab",
        "grant_type=client_credentials&client_id=&client_secret=a%3Ab",
        "grant_type=client_credentials&client_id=n1&client_secret=",
        "grant_type=client_credentials&client_id&client_secret",
    ] {
        assert_eq!(body(form), missing, "{form}");
    }
    for more in [
        "",
        "&scope=",
        "&scope",
        "&client_secret=&grant_type=&",
        "&=",
        "&&",
    ] {
        let (status, said) = body(&format!("{good}{more}"));
        assert_eq!((status, &said["scope"]), (200, &json!(READ)), "{more}");
    }
    let (status, said) = body(&format!("{good}&scope=+"));
    assert_eq!((status, &said["error"]), (400, &json!("invalid_scope")));
    // Beside the header a secret is one too many, but only if it is there.
    let (status, _) = by_header(&mut bench, "n1:a:b", &format!("{GRANT}&client_secret="));
    assert_eq!(status, 200);
    let twice = by_header(&mut bench, "n1:a:b", &format!("{GRANT}&client_secret=x"));
    assert_eq!(twice, missing);
}
