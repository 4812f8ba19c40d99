//! What strangers may not do.

use std::time::Duration;

use peerage_core::http::throttle::Rates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use peerage_io::{ConnectionLimits, NodeIdentity, Running};

use crate::{PATIENCE, PEERS, PENDING, api, ask, plain, read_answer, settings, start, tls, under};

const MAX: usize = 2_097_152;

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let exact = api(&node, "PUT", PEERS, &" ".repeat(MAX)).await;
    assert_eq!(exact.status, 400, "{}", exact.body);
    let more = api(&node, "PUT", PEERS, &" ".repeat(MAX + 1)).await;
    assert_eq!(more.status, 413);
    assert_eq!(more.header("content-type"), Some("text/plain"));
    assert_eq!(more.header("x-peer-addr"), None, "refused before routing");
    assert!(
        more.body.contains("your request body was 2097153 bytes."),
        "{}",
        more.body
    );
    // Routes that read no body do not care how long it is.
    let unread = api(&node, "POST", PENDING, &" ".repeat(MAX + 1)).await;
    assert_eq!(unread.status, 200, "{}", unread.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_length_is_refused_without_reading() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut stream = plain(node.api_addr()).await;
        let head = format!(
            "PUT {PEERS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{expect}\
             content-length: 99999999999\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a head");
        let answer = read_answer(&mut stream, false).await;
        assert_eq!(answer.status, 413, "{expect}");
        assert!(
            answer.body.contains("was 99999999999 bytes"),
            "{}",
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    for (chunks, status) in [(32, 400), (33, 413)] {
        let mut stream = plain(node.api_addr()).await;
        let head = format!(
            "PUT {PEERS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("a head");
        for _ in 0..chunks {
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            stream.write_all(chunk.as_bytes()).await.expect("a chunk");
        }
        stream.write_all(b"0\r\n\r\n").await.expect("the end");
        let answer = read_answer(&mut stream, false).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let unknown = answer.body.contains("whose total size is unknown");
        assert_eq!(unknown, status == 413, "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_to_send_a_body_is_given_when_it_will_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let mut stream = plain(node.api_addr()).await;
    let head = format!(
        "PUT {PEERS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: 1\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("a head");
    assert_eq!(read_answer(&mut stream, false).await.status, 100);
    stream.write_all(b"x").await.expect("a body");
    assert_eq!(read_answer(&mut stream, false).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_has_a_limit() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    for (len, status) in [
        (50 * 1024 - 200, 200),
        (50 * 1024 + 1, 431),
        (500 * 1024, 431),
    ] {
        let mut stream = plain(node.api_addr()).await;
        let head = format!(
            "GET {PEERS} HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n",
            "a".repeat(len)
        );
        // The node may answer and close before it has read everything.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = read_answer(&mut stream, false).await;
        assert_eq!(answer.status, status, "{len} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_callers_do_not_hold_up_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let mut slow = Vec::new();
    for n in 0..100 {
        let mut stream = plain(node.api_addr()).await;
        let head = format!(
            "PUT {PEERS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
             content-length: {MAX}\r\n\r\n"
        );
        // Half of a header, a header without its body, and most of a large body.
        let part = match n % 3 {
            0 => head[..30].to_owned(),
            1 => head,
            _ => head + &" ".repeat(1_000_000),
        };
        stream.write_all(part.as_bytes()).await.expect("a part");
        slow.push(stream);
        // And one that does not even begin with TLS.
        slow.push(plain(node.p2p_addr()).await);
    }
    let begin = Instant::now();
    for _ in 0..50 {
        assert_eq!(api(&node, "GET", PEERS, "").await.status, 200);
        assert_eq!(api(&node, "PUT", PEERS, "x").await.status, 400);
    }
    let mut p2p = tls(node.p2p_addr(), under(&NodeIdentity::ephemeral())).await;
    assert_eq!(ask(&mut p2p, "GET", PEERS, "").await.status, 200);
    assert!(
        begin.elapsed() < Duration::from_secs(8),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let mut stream = plain(node.api_addr()).await;
    let head = format!(
        "PUT {PEERS} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-length: 10\r\n\r\n1"
    );
    stream.write_all(head.as_bytes()).await.expect("a part");
    assert_eq!(read_answer(&mut stream, false).await.status, 408);
    let rest = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1]))
        .await
        .expect("an end");
    assert!(matches!(rest, Ok(0) | Err(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_turned_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        for addr in [node.api_addr(), node.p2p_addr()] {
            let mut stream = plain(addr).await;
            stream.write_all(garbage).await.expect("bytes");
            stream.shutdown().await.expect("an end");
            let mut rest = Vec::new();
            let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest));
            let _ = reading.await.expect("an end");
        }
    }
    assert_eq!(api(&node, "GET", PEERS, "").await.status, 200);
}

/// Port scans and health checks must not use up the places of peers.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_do_tls_gives_the_place_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = settings(dir.path());
    settings.p2p_connections = ConnectionLimits {
        connections_max: 3,
        per_address_max: 3,
    };
    let node = start(settings).await;
    let _silent = plain(node.p2p_addr()).await;
    let mut plain_http = plain(node.p2p_addr()).await;
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    plain_http.write_all(request).await.expect("a request");
    drop(plain(node.p2p_addr()).await);
    // The silent one has the time of a handshake.
    let begin = Instant::now();
    while !metrics(&node).await.contains(NOBODY) {
        let waited = begin.elapsed();
        assert!(waited < Duration::from_secs(30), "{}", metrics(&node).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut stream = tls(node.p2p_addr(), under(&NodeIdentity::ephemeral())).await;
    assert_eq!(ask(&mut stream, "GET", PEERS, "").await.status, 200);
}

async fn metrics(node: &Running) -> String {
    api(node, "GET", "/metrics", "").await.body
}

const NOBODY: &str = "peerage_connections_open{listener=\"p2p\"} 0";

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_throttled_and_peers_known_by_certificate_are_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let (known, stranger) = (NodeIdentity::ephemeral(), NodeIdentity::ephemeral());
    let mut settings = settings(dir.path());
    settings.rates = Rates {
        global: "1/100".parse().ok(),
        put_peer: None,
        mempool: None,
    };
    // The known peer listens nowhere; only its certificate matters.
    settings.known_peers = vec![
        format!("{}@127.0.0.1:9", known.fingerprint)
            .parse()
            .expect("a peer"),
    ];
    let node = start(settings).await;

    let mut stream = tls(node.p2p_addr(), under(&stranger)).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = ask(&mut stream, "GET", PEERS, "").await;
        if answer.status == 429 {
            assert_eq!(answer.body, r#"{"message":"Too many requests."}"#);
            assert_eq!(
                answer.header("x-server-timestamp"),
                None,
                "refused before routing"
            );
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    // Paths of other families are not counted.
    assert_eq!(ask(&mut stream, "GET", "/v1/nothing", "").await.status, 404);

    let mut stream = tls(node.p2p_addr(), under(&known)).await;
    for _ in 0..20 {
        assert_eq!(ask(&mut stream, "GET", PEERS, "").await.status, 200);
    }
}

/// Callers in the middle of something that never ends must not keep a node from stopping.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_stops_at_once_whoever_hangs_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let mut in_header = plain(node.api_addr()).await;
    in_header.write_all(b"GET / HTTP").await.expect("a start");
    let mut in_handshake = plain(node.p2p_addr()).await;
    in_handshake.write_all(&[22, 3, 1]).await.expect("a start");
    let _idle = plain(node.api_addr()).await;
    let _silent = plain(node.p2p_addr()).await;
    // Whoever connected before this answer has been taken.
    let answer = api(&node, "GET", PEERS, "").await;
    assert_eq!(answer.status, 200);
    let begin = Instant::now();
    node.drain().await.expect("drained");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}
