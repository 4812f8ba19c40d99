//! One node, seen from the outside.

use std::io::ErrorKind;
use std::time::Duration;

use peerage_core::Listener;
use peerage_io::{NodeIdentity, StartError, StoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{INSERT, PATIENCE, PEERS, PENDING, api, ask, plain, read_answer, settings, start};
use crate::{tls, transaction, under, until};

#[tokio::test(flavor = "multi_thread")]
async fn both_listeners_serve_chainweb_and_only_one_serves_operators() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let page = api(&node, "GET", PEERS, "").await;
    assert_eq!(
        (page.status, page.body.as_str()),
        (200, r#"{"limit":0,"items":[],"next":null}"#)
    );
    assert_eq!(
        page.header("content-type"),
        Some("application/json;charset=utf-8")
    );
    assert_eq!(page.header("x-chainweb-node-version"), Some("2.32.0"));
    assert_eq!(page.header("server"), Some("Chainweb P2P API"));
    let ban = api(&node, "POST", "/v1/peers/127.0.0.1:1/ban", "").await;
    assert_eq!(ban.status, 500);
    assert!(ban.body.contains("NotFound"), "{}", ban.body);
    let metrics = api(&node, "GET", "/metrics", "").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .body
            .contains("peerage_events_total{event=\"banned\"} 0"),
        "{}",
        metrics.body
    );
    assert!(metrics.body.contains("peerage_peers 0"), "{}", metrics.body);

    let mut p2p = tls(node.p2p_addr(), under(&NodeIdentity::ephemeral())).await;
    let page = ask(&mut p2p, "GET", PEERS, "").await;
    assert_eq!(page.status, 200);
    let far = p2p
        .get_ref()
        .0
        .local_addr()
        .expect("an address")
        .to_string();
    assert_eq!(page.header("x-peer-addr"), Some(far.as_str()));
    for (method, path) in [("GET", "/metrics"), ("POST", "/v1/peers/127.0.0.1:1/ban")] {
        assert_eq!(ask(&mut p2p, method, path, "").await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests_and_head_has_no_body() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let mut stream = plain(node.api_addr()).await;
    for _ in 0..3 {
        let get = ask(&mut stream, "GET", PEERS, "").await;
        let head = ask(&mut stream, "HEAD", PEERS, "").await;
        assert_eq!((get.status, head.status), (200, 200));
        assert_eq!(head.header("content-length"), get.header("content-length"));
        assert_eq!(ask(&mut stream, "GET", "/nowhere", "").await.status, 404);
        assert_eq!(ask(&mut stream, "DELETE", PEERS, "").await.status, 405);
        // A body that nobody reads does not get into the way of the next request.
        let body = "x".repeat(100_000);
        assert_eq!(ask(&mut stream, "PUT", "/nowhere", &body).await.status, 404);
    }
    // Two requests at once are answered in order.
    let pair =
        format!("GET {PEERS} HTTP/1.1\r\nhost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(pair.as_bytes()).await.expect("requests");
    assert_eq!(read_answer(&mut stream, false).await.status, 200);
    assert_eq!(read_answer(&mut stream, false).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_served_and_survives_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let id = node.identity().fingerprint;
    let (body, hash) = transaction("one");
    let put = api(&node, "PUT", INSERT, &body).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let pending = api(&node, "POST", PENDING, "").await;
    assert!(pending.body.contains(&hash), "{}", pending.body);
    node.drain().await.expect("a good disk");

    let node = start(settings(dir.path())).await;
    assert_eq!(node.identity().fingerprint, id);
    until("the transaction is back", async || {
        api(&node, "POST", PENDING, "").await.body.contains(&hash)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kinds_of_refused_starts_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let error = peerage_io::start(settings(dir.path()))
        .await
        .expect_err("in use");
    assert!(
        matches!(error, StartError::Store(StoreError::InUse { .. })),
        "{error}"
    );

    let other = tempfile::tempdir().expect("a directory");
    let mut taken = settings(other.path());
    taken.api = node.api_addr();
    let error = peerage_io::start(taken)
        .await
        .expect_err("the port is taken");
    assert!(
        matches!(&error, StartError::Listen { flag: "--api", .. }),
        "{error}"
    );
    assert!(error.to_string().contains("--api"), "{error}");

    let mut open = settings(other.path());
    open.p2p = "0.0.0.0:0".parse().expect("an address");
    let error = peerage_io::start(open)
        .await
        .expect_err("nobody could call");
    assert!(error.to_string().contains("--public"), "{error}");

    let mut open = settings(other.path());
    open.p2p = "0.0.0.0:0".parse().expect("an address");
    open.public = Some("example.org:0".parse().expect("an address"));
    let public = start(open).await;
    assert_eq!(public.public_addr().port, public.p2p_addr().port());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_end_when_callers_hang_up_and_when_the_node_drains() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    // In the middle of a body.
    let mut stream = plain(node.api_addr()).await;
    let head = format!(
        "PUT {PEERS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{{"
    );
    stream
        .write_all(head.as_bytes())
        .await
        .expect("half a request");
    until("it is taken", async || {
        node.metrics().connections(Listener::Api) == 1
    })
    .await;
    drop(stream);
    until("it is over", async || {
        node.metrics().connections(Listener::Api) == 0
    })
    .await;

    let mut idle = plain(node.api_addr()).await;
    assert_eq!(ask(&mut idle, "GET", PEERS, "").await.status, 200);
    let draining = tokio::time::timeout(PATIENCE, node.drain());
    draining.await.expect("an end").expect("a good disk");
    let read = idle.read(&mut [0; 1]).await;
    assert!(
        matches!(&read, Ok(0))
            || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_only_waits_keeps_its_deadlines() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    // Nobody asks anything: the first deadline must come by itself.
    until("the node has started", async || {
        node.metrics().count("started") == 1
    })
    .await;
    tokio::time::timeout(Duration::from_secs(30), node.drain())
        .await
        .expect("an end")
        .expect("a disk");
}
