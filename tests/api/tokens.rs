//! Bearer tokens beside a library that many use: it reads ours, ours are those that it would write,
//! and what it forges is refused.

use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
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
