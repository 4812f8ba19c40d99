//! Nodes in this process, over real sockets, real TLS and a real disk.

mod callee;
mod cluster;
mod grin;
mod grin_compact;
mod grin_miners;
mod limits;
mod peers;
mod wattswarm;
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use peerage_core::commons::network::ChainwebVersion;
use peerage_io::{NodeIdentity, Running, Settings, tls};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything here takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

const PEERS: &str = "/chainweb/0.0/development/cut/peer";
const INSERT: &str = "/chainweb/0.0/development/chain/0/mempool/insert";
const PENDING: &str = "/chainweb/0.0/development/chain/0/mempool/getPending";

fn settings(dir: &Path) -> Settings {
    let mut settings = Settings::new(dir.to_owned(), ChainwebVersion::Development);
    settings.sessions.start_delay = Duration::from_millis(20);
    settings
}

async fn start(settings: Settings) -> Running {
    peerage_io::start(settings).await.expect("the node starts")
}

/// An answer, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Reads one answer; `head_only` for answers to HEAD.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin), head_only: bool) -> Answer {
    let reading = async {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let byte = stream.read_u8().await.expect("an answer's head");
            bytes.push(byte);
        };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
        let status = head[9..12].parse().expect("a status");
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |text| text.parse().expect("a length"));
        if !head_only && status >= 200 {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("a body");
            answer.body = String::from_utf8(body).expect("bodies are text here");
        }
        answer
    };
    timeout(PATIENCE, reading).await.expect("an answer in time")
}

async fn plain(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.expect("a connection")
}

async fn tls(addr: SocketAddr, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = plain(addr).await;
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .expect("a handshake")
}

/// TLS under a certificate.
fn under(identity: &NodeIdentity) -> Arc<ClientConfig> {
    tls::Client::new(identity.clone())
        .expect("a configuration")
        .anyone()
}

/// One exchange on an open connection.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    method: &str,
    path: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    stream.flush().await.expect("a request");
    read_answer(stream, method == "HEAD").await
}

async fn api(node: &Running, method: &str, path: &str, body: &str) -> Answer {
    ask(&mut plain(node.api_addr()).await, method, path, body).await
}

/// Waits until something is so.
async fn until(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A fresh transaction, as `insert` wants it, and its hash.
fn transaction(nonce: &str) -> (String, String) {
    use peerage_core::rooms::chainweb_mempool::sign::{Draft, public_key};
    let seed = [7; 32];
    let epoch = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .expect("after 1970")
        .as_secs();
    let draft = Draft {
        chain: 0,
        code: "(+ 1 2)",
        creation_time: i64::try_from(epoch).expect("before the end of time"),
        gas_limit: 1000,
        gas_price: "1e-7",
        network: "development",
        nonce,
        sender: &format!("k:{}", public_key(&seed)),
        ttl: 3600,
    };
    let text = draft.sign(&[seed]);
    let command: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let hash = command["hash"].as_str().expect("a hash").to_owned();
    (serde_json::to_string(&[text]).expect("JSON"), hash)
}
