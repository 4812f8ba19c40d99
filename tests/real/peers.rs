//! Several nodes: who they are to each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use peerage_core::event::NodeEvent;
use peerage_core::{CallError, Event};
use peerage_io::{NodeIdentity, Running};

use crate::{INSERT, PEERS, PENDING, api, ask, settings, start, tls, transaction, under, until};

/// What one node tells others to know it by.
fn info(node: &Running) -> String {
    format!("{}@{}", node.identity().fingerprint, node.p2p_addr())
}

fn info_json(node: &Running) -> String {
    let (id, port) = (node.identity().fingerprint, node.p2p_addr().port());
    format!(r#"{{"id":"{id}","address":{{"hostname":"127.0.0.1","port":{port}}}}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_probed_over_tls_and_then_listed() {
    let (dir, other) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    );
    let node = start(settings(dir.path())).await;
    let candidate = start(settings(other.path())).await;
    let put = api(&node, "PUT", PEERS, &info_json(&candidate)).await;
    assert_eq!(put.status, 204, "{}", put.body);
    let page = api(&node, "GET", PEERS, "").await;
    assert!(
        page.body
            .contains(&candidate.identity().fingerprint.to_string()),
        "{}",
        page.body
    );
    // It was acknowledged, so it is there after the worst of ends.
    drop(node);
    let node = restart(dir.path()).await;
    let page = api(&node, "GET", PEERS, "").await;
    assert!(
        page.body
            .contains(&candidate.identity().fingerprint.to_string()),
        "{}",
        page.body
    );

    let nobody = r#"{"id":null,"address":{"hostname":"127.0.0.1","port":1}}"#;
    let put = api(&node, "PUT", PEERS, nobody).await;
    assert_eq!(put.status, 400);
    assert!(
        put.body.starts_with("Invalid hostaddress: "),
        "{}",
        put.body
    );
}

/// Starts again on a directory whose last node was dropped; its threads may need a moment.
async fn restart(dir: &std::path::Path) -> Running {
    let mut node = None;
    until("the directory is free", async || {
        node = peerage_io::start(settings(dir)).await.ok();
        node.is_some()
    })
    .await;
    node.expect("it has started")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_reaches_the_other_node() {
    let (dir, other) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    );
    let first = start(settings(dir.path())).await;
    let mut second = settings(other.path());
    second.known_peers = vec![info(&first).parse().expect("a peer")];
    let second = start(second).await;
    until("a session opens", async || {
        second.metrics().count("session_opened") > 0
    })
    .await;
    let (body, hash) = transaction("gossip");
    assert_eq!(api(&second, "PUT", INSERT, &body).await.status, 200);
    until("it is there", async || {
        api(&first, "POST", PENDING, "").await.body.contains(&hash)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_with_another_certificate_than_promised_gets_no_session() {
    let (dir, other) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    );
    let honest = start(settings(dir.path())).await;
    let mut deceived = settings(other.path());
    let wrong = NodeIdentity::ephemeral().fingerprint;
    deceived.known_peers = vec![
        format!("{wrong}@{}", honest.p2p_addr())
            .parse()
            .expect("a peer"),
    ];
    let seen = Arc::new(AtomicBool::new(false));
    deceived.observer = Box::new({
        let seen = seen.clone();
        move |event| {
            let mismatch = CallError::IdentityMismatch;
            if matches!(event, Event::Node(NodeEvent::CallFailed { error, .. }) if *error == mismatch)
            {
                seen.store(true, Relaxed);
            }
        }
    });
    let deceived = start(deceived).await;
    until("the mismatch is seen", async || seen.load(Relaxed)).await;
    assert_eq!(deceived.metrics().count("session_opened"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_an_id_is_pinned_at_first_contact() {
    let (dir, other) = (
        tempfile::tempdir().expect("one"),
        tempfile::tempdir().expect("two"),
    );
    let first = start(settings(dir.path())).await;
    let mut second = settings(other.path());
    second.known_peers = vec![first.p2p_addr().to_string().parse().expect("a peer")];
    let second = start(second).await;
    let id = first.identity().fingerprint.to_string();
    until("the id is filled in", async || {
        api(&second, "GET", PEERS, "").await.body.contains(&id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_holds_by_certificate_and_over_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let (peer, stranger) = (NodeIdentity::ephemeral(), NodeIdentity::ephemeral());
    let with_peer = || {
        let mut settings = settings(dir.path());
        settings.known_peers = vec![
            format!("{}@127.0.0.1:9", peer.fingerprint)
                .parse()
                .expect("a peer"),
        ];
        settings
    };
    let status = async |node: &Running, identity: &NodeIdentity| {
        let mut stream = tls(node.p2p_addr(), under(identity)).await;
        ask(&mut stream, "GET", PEERS, "").await.status
    };
    let node = start(with_peer()).await;
    assert_eq!(status(&node, &peer).await, 200);
    let ban = api(&node, "POST", "/v1/peers/127.0.0.1:9/ban", "").await;
    assert_eq!((ban.status, ban.body.as_str()), (200, "{}"));
    assert_eq!(status(&node, &peer).await, 403);
    assert_eq!(status(&node, &stranger).await, 200);
    node.drain().await.expect("a good disk");

    let node = start(with_peer()).await;
    assert_eq!(status(&node, &peer).await, 403);
    assert_eq!(
        api(&node, "POST", "/v1/peers/127.0.0.1:9/unban", "")
            .await
            .status,
        200
    );
    assert_eq!(status(&node, &peer).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_accepts_and_says_nothing_costs_one_call() {
    let dir = tempfile::tempdir().expect("a directory");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let mut settings = settings(dir.path());
    settings.sessions.probe_timeout = Duration::from_millis(200);
    let node = start(settings).await;
    let body = format!(r#"{{"id":null,"address":{{"hostname":"127.0.0.1","port":{port}}}}}"#);
    let put = api(&node, "PUT", PEERS, &body).await;
    assert_eq!(put.status, 400);
    assert!(put.body.contains("ConnectionTimeout"), "{}", put.body);
    // The node has let go of the connection.
    let (mut stream, _) = silent.accept().await.expect("it called");
    let mut rest = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest);
    let _ = tokio::time::timeout(crate::PATIENCE, reading)
        .await
        .expect("an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn known_peers_are_there_with_the_first_request() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = settings(dir.path());
    settings.known_peers = vec!["127.0.0.1:1".parse().expect("a peer")];
    let node = start(settings).await;
    assert_eq!(node.inspect(|node| node.commons().peers.len()), 1);
}
