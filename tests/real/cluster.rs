//! The cluster over real sockets: TLS where there is TLS, plain HTTP where there is none.

use std::net::SocketAddr;
use std::time::Duration;

use peerage_core::config::cluster::{FixedClient, FixedToken, Scopes};
use peerage_core::secret::SecretDigest;
use peerage_io::{Running, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::{Answer, plain, read_answer, settings, start, until};

const TOKEN: &str = "a-token-of-the-operator";

fn member(dir: &TempDir) -> Settings {
    let mut settings = settings(dir.path());
    settings.cluster.tokens = vec![FixedToken {
        digest: SecretDigest::of(TOKEN),
        scopes: Scopes::ADMIN,
    }];
    settings.cluster.clients = vec![FixedClient {
        id: "me".into(),
        digest: SecretDigest::of("mine"),
        scopes: Scopes::PEERS_READ,
    }];
    settings.cluster.gossip_interval = Duration::from_millis(50);
    settings
}

async fn send(node: &Running, method: &str, path: &str, token: &str, body: &str) -> Answer {
    let mut stream = plain(node.api_addr()).await;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    read_answer(&mut stream, false).await
}

async fn add(node: &Running, addr: SocketAddr) -> Answer {
    let body = format!(r#"{{"address":"{addr}"}}"#);
    send(node, "POST", "/v1/peers", TOKEN, &body).await
}

async fn ids(node: &Running) -> Vec<String> {
    let list = send(node, "GET", "/v1/peers", TOKEN, "").await;
    let list: Vec<Value> = serde_json::from_str(&list.body).expect("a list");
    let mut ids: Vec<String> = list
        .iter()
        .map(|peer| peer["id"].as_str().expect("text").to_owned())
        .collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_join_over_tls_and_over_plain_http_and_find_each_other() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let [one, two, three] = [
        start(member(&dirs[0])).await,
        start(member(&dirs[1])).await,
        start(member(&dirs[2])).await,
    ];
    // The API listener speaks no TLS, the other one nothing else.
    let plain = add(&one, two.api_addr()).await;
    assert_eq!(plain.status, 201, "{}", plain.body);
    let tls = add(&two, three.p2p_addr()).await;
    assert_eq!(tls.status, 201, "{}", tls.body);
    until("all know all", async || {
        ids(&one).await.len() == 3 && ids(&one).await == ids(&three).await
    })
    .await;
    let again = add(&one, two.p2p_addr()).await;
    assert_eq!(again.status, 409, "{}", again.body);

    // What was acknowledged is there after the worst of ends.
    let known = ids(&one).await;
    drop(one);
    let mut one = None;
    until("the directory is free", async || {
        one = peerage_io::start(member(&dirs[0])).await.ok();
        one.is_some()
    })
    .await;
    let one = one.expect("it has started");
    assert_eq!(ids(&one).await, known);

    let nobody = add(&one, SocketAddr::from(([127, 0, 0, 1], 1))).await;
    assert_eq!(nobody.status, 422);
    assert!(nobody.body.contains("HANDSHAKE_FAILED"), "{}", nobody.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_and_understood() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(member(&dir)).await;
    let form = "grant_type=client_credentials&client_id=me&client_secret=mine";
    let made = send(&node, "POST", "/v1/oauth/token", "", form).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let made: Value = serde_json::from_str(&made.body).expect("JSON");
    let token = made["access_token"].as_str().expect("text");
    for _ in 0..3 {
        let list = send(&node, "GET", "/v1/peers", token, "").await;
        assert_eq!(list.status, 200, "{}", list.body);
    }
    let gone = send(&node, "DELETE", "/v1/peers/self", token, "").await;
    assert_eq!(gone.status, 403);
    let wrong = format!("{}x", &token[..token.len() - 1]);
    let list = send(&node, "GET", "/v1/peers", &wrong, "").await;
    assert_eq!(list.status, 401);
    let id = node.cluster_peer_id().to_string();
    assert!(ids(&node).await.contains(&id));
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_is_told_a_host_that_can_be_called() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = member(&dir);
    settings.api = SocketAddr::from(([0, 0, 0, 0], 0));
    settings.public = Some("localhost:0".parse().expect("an address"));
    let node = start(settings).await;
    let list = send(&node, "GET", "/v1/peers", TOKEN, "").await;
    let list: Value = serde_json::from_str(&list.body).expect("a list");
    let port = node.api_addr().port();
    assert_eq!(list[0]["address"], format!("localhost:{port}"));
}
