//! What a node makes of the answers of others, good and bad.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use peerage_io::{NodeIdentity, Running, tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::{Answer, PEERS, api, settings, start, until};

const GOOD: &str = "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\ncontent-length: 34\r\n\r\n\
                    {\"limit\":0,\"items\":[],\"next\":null}";

/// A host that speaks TLS and says what it is told to; counts the requests it has read.
struct Host {
    addr: SocketAddr,
    identity: NodeIdentity,
    requests: Arc<AtomicUsize>,
}

/// What a host says to a request, and whether it then keeps the connection.
type Script = fn(&str) -> (Vec<u8>, bool);

impl Host {
    async fn start(script: Script) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = socket.local_addr().expect("an address");
        let identity = NodeIdentity::ephemeral();
        let acceptor = TlsAcceptor::from(tls::server(&identity).expect("a configuration"));
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (acceptor, count) = (acceptor.clone(), count.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, script, &count).await;
                    }
                });
            }
        });
        Self {
            addr,
            identity,
            requests,
        }
    }

    fn json(&self) -> String {
        let port = self.addr.port();
        format!(r#"{{"id":null,"address":{{"hostname":"127.0.0.1","port":{port}}}}}"#)
    }
}

async fn converse(mut stream: TlsStream<TcpStream>, script: Script, count: &AtomicUsize) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else {
                return;
            };
            request.push(byte);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let length = request
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        count.fetch_add(1, Relaxed);
        let (answer, keep) = script(&request);
        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() || !keep {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn announce(node: &Running, host: &Host) -> Answer {
    api(node, "PUT", PEERS, &host.json()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_needs_a_version_and_no_body() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let host = Host::start(|request| {
        assert!(
            request.starts_with(&format!("GET {PEERS} HTTP/1.1\r\n")),
            "{request}"
        );
        assert!(
            request.contains("x-chainweb-node-version: 2.32.0\r\n"),
            "{request}"
        );
        assert!(request.contains("host: 127.0.0.1:"), "{request}");
        // A body that never comes.
        let head = "HTTP/1.1 200 OK\r\nX-Chainweb-Node-Version: 1.2\r\ncontent-length: 999\r\n\r\n";
        (head.into(), true)
    })
    .await;
    let put = announce(&node, &host).await;
    assert_eq!(put.status, 204, "{}", put.body);

    let scripts: [Script; 4] = [
        |_| (SILENT.into(), true),
        |_| (OLD.into(), true),
        |_| (UNREADABLE.into(), true),
        |_| (BROKEN.into(), true),
    ];
    for script in scripts {
        let host = Host::start(script).await;
        let put = announce(&node, &host).await;
        assert_eq!(put.status, 400, "{}", put.body);
    }
}

const OLD: &str = "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 1.1\r\ncontent-length: 0\r\n\r\n";
const UNREADABLE: &str =
    "HTTP/1.1 200 OK\r\nx-chainweb-node-version: new\r\ncontent-length: 0\r\n\r\n";
const BROKEN: &str =
    "HTTP/1.1 500 Oh\r\nx-chainweb-node-version: 2.32.0\r\ncontent-length: 0\r\n\r\n";
const SILENT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_ten_times_and_over_https_only() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let turns = Host::start(|request| {
        let at = request
            .split([' ', '/', '?'])
            .find_map(|part| part.strip_prefix("turn"));
        let turn: u32 = at.map_or(0, |at| at.parse().expect("a number"));
        if turn == 10 {
            return (GOOD.into(), true);
        }
        let next = turn + 1;
        let head = format!("HTTP/1.1 307 On\r\nlocation: /turn{next}\r\ncontent-length: 0\r\n\r\n");
        (head.into_bytes(), true)
    })
    .await;
    let put = announce(&node, &turns).await;
    assert_eq!(put.status, 204, "{}", put.body);
    // The new peer may have been called again by now.
    assert!(turns.requests.load(Relaxed) >= 11);

    let circle = Host::start(|_| {
        (
            b"HTTP/1.1 302 On\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n".to_vec(),
            true,
        )
    })
    .await;
    assert_eq!(announce(&node, &circle).await.status, 400);
    assert_eq!(circle.requests.load(Relaxed), 11);

    let open = Host::start(|_| {
        let head = "HTTP/1.1 302 On\r\nlocation: http://127.0.0.1:1/x\r\ncontent-length: 0\r\n\r\n";
        (head.into(), true)
    })
    .await;
    assert_eq!(announce(&node, &open).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_answers_are_refused_and_cost_little() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = start(settings(dir.path())).await;
    let scripts: [(Script, &str); 4] = [
        (|_| (b"What?\r\n\r\n".to_vec(), false), "InvalidStatusLine"),
        (
            |_| (b"HTTP/1.1 200 OK\r\nx: ".repeat(1 << 17), true),
            "ResponseBodyTooLarge",
        ),
        (|_| (Vec::new(), false), "ConnectionFailure"),
        (
            |_| {
                (
                    [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'a'; 1 << 20]].concat(),
                    true,
                )
            },
            "ResponseBodyTooLarge",
        ),
    ];
    for (script, expected) in scripts {
        let host = Host::start(script).await;
        let put = announce(&node, &host).await;
        assert_eq!(put.status, 400);
        assert!(put.body.contains(expected), "{expected}: {}", put.body);
    }
    // One that does not speak TLS at all.
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await;
        }
    });
    let body = format!(r#"{{"id":null,"address":{{"hostname":"127.0.0.1","port":{port}}}}}"#);
    let put = api(&node, "PUT", PEERS, &body).await;
    assert!(put.body.contains("InvalidStatusLine"), "{}", put.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_closed_behind_our_back_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    // Promises to keep each connection and closes it after one answer.
    let host = Host::start(|request| {
        let answer = if request.starts_with("PUT") {
            "HTTP/1.1 204 No\r\nx-chainweb-node-version: 2.32.0\r\n\r\n"
        } else {
            GOOD
        };
        (answer.into(), false)
    })
    .await;
    let mut settings = settings(dir.path());
    let peer = format!("{}@{}", host.identity.fingerprint, host.addr);
    settings.known_peers = vec![peer.parse().expect("a peer")];
    settings.sessions.poll_interval = Duration::from_millis(50);
    let node = start(settings).await;
    // A session needs a GET and a PUT right after it.
    until("sessions open", async || {
        node.metrics().count("session_opened") >= 5
    })
    .await;
    assert_eq!(node.metrics().count("call_failed"), 0);
}
