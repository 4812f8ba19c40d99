//! Requests per second of a real node on loopback, beside a bare hyper server that returns the same
//! bytes without looking at the request.
//!
//! Both run on the same runtime, one after the other in every round, so that what else the machine
//! does hits both; the ratio of one round is the result, the median over all rounds the headline.
//! The CPU time of the server's threads per request is the steadier number (Linux only).
//!
//! The bare server has the same socket options, the same limits of hyper and the same headers. It
//! reads and drops the body and answers from memory: it parses no JSON, decodes no keys, asks nobody,
//! counts nothing, reads no clock, and has neither deadlines nor limits for slow clients.
//!
//! On a busy machine of four cores the ratios of CPU time are about 0.9 for peers, 0.7 for member,
//! 0.85 for lookup and 0.7 for a GET of the cluster's peers with a token (7 and 10 microseconds; the
//! token is hashed and found, and the answer is written anew). More than half of a request's time is the kernel's, for the same calls on
//! both sides; it is still higher for the node, probably because a server that keeps its clients
//! waiting has to wake them. What the node does beyond the bare server, in microseconds per request, roughly, as sampled
//! with `perf`; the last line is what is left:
//!
//! | part                                      | peers | member | lookup |
//! |-------------------------------------------|-------|--------|--------|
//! | keys out of base64url and JSON            |       |    1.1 |    0.2 |
//! | finding keys in the pool                  |       |    0.4 |    0.3 |
//! | copying the answer together, freeing it   |       |    0.2 |    0.6 |
//! | clocks                                    |   0.1 |    0.1 |    0.1 |
//! | allocation, routing, headers, lock, rest  |   0.5 |    0.5 |    0.5 |
//!
//! The keys are the answer to why member stays behind: a hundred of them cannot be read and looked up
//! in the tenth of a request that 0.9 would leave.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use peerage_benches::{info, insert_body, wire_at};
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::config::Sessions;
use peerage_core::config::cluster::{FixedClient, Scopes};
use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::grin::forge::Forge;
use peerage_core::secret::SecretDigest;
use peerage_io::{Running, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const CONNECTIONS: usize = 32;
const PEERS: usize = 64;
const MEMBERS: usize = 100;
const LOOKUPS: usize = 20;
const BLOCKS: u64 = 60;
const CLIENT: &str = "bench";
const SECRET: &str = "bench-secret";

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn main() {
    // Under `cargo test` one short round shows that everything still works.
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let (rounds, length) = if smoke {
        (1, Duration::from_millis(100))
    } else {
        (7, Duration::from_millis(1_000))
    };
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let servers = runtime("server", cores.div_ceil(2));
    let clients = runtime("client", (cores / 2).max(1));

    let data = tempfile::tempdir().expect("a temporary directory");
    let node = servers.block_on(start(data.path()));
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs();
    let wires: Vec<String> = (0..MEMBERS).map(|number| wire_at(number, now_s)).collect();
    clients.block_on(fill(node.api_addr(), &wires));

    println!("{CONNECTIONS} connections, {rounds} rounds of {length:?} each, {cores} cores");
    println!(
        "{:16}{:>24}{:>26}",
        "", "requests/s", "server CPU \u{b5}s/request"
    );
    println!(
        "{:16}{:>8}{:>8}{:>8}{:>10}{:>8}{:>8}",
        "request", "bare", "node", "ratio", "bare", "node", "ratio"
    );
    clients.block_on(import(node.api_addr()));
    let token = clients.block_on(token(node.api_addr()));
    let peers =
        format!("GET /v1/peers HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n");
    let with_token = ("GET with token", peers.into_bytes());
    let grin = [
        ("GET block", "blocks/30"),
        ("GET outputs 10", "txhashset/outputs?max=10"),
        ("GET status", "status"),
    ];
    let grin = grin.map(|(name, path)| {
        let request = format!("GET /v1/{path} HTTP/1.1\r\nhost: bench\r\n\r\n");
        (name, request.into_bytes())
    });
    let requests = requests(&wires).into_iter();
    for (name, request) in requests.chain([with_token]).chain(grin) {
        let answer = clients.block_on(once(node.api_addr(), &request));
        let bare = servers.block_on(bare(answer));
        let measure = |addr| {
            let before = server_cpu_us();
            let (count, seconds) = clients.block_on(load(addr, &request, length));
            let cpu = (server_cpu_us() - before) / count;
            Sample {
                rate: count / seconds,
                cpu,
            }
        };
        let pairs: Vec<(Sample, Sample)> = (0..rounds)
            .map(|_| (measure(bare), measure(node.api_addr())))
            .collect();
        let median = |of: fn(&(Sample, Sample)) -> f64| {
            let mut values: Vec<f64> = pairs.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!(
            "{name:16}{:>8.0}{:>8.0}{:>8.2}{:>10.2}{:>8.2}{:>8.2}",
            median(|(bare, _)| bare.rate),
            median(|(_, node)| node.rate),
            median(|(bare, node)| node.rate / bare.rate),
            median(|(bare, _)| bare.cpu),
            median(|(_, node)| node.cpu),
            median(|(bare, node)| bare.cpu / node.cpu),
        );
    }
    servers.block_on(node.drain()).expect("a clean stop");
}

/// One server under load.
struct Sample {
    rate: f64,
    cpu: f64,
}

fn runtime(name: &str, threads: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// What the threads named `server` have run so far, in microseconds; zero where `/proc` is not.
fn server_cpu_us() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let run_ns = |task: &std::path::Path| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let stat = std::fs::read_to_string(task.join("schedstat")).ok()?;
        let server = name.trim_end() == "server";
        server.then(|| stat.split(' ').next()?.parse::<f64>().ok())?
    };
    let run = tasks.flatten().filter_map(|task| run_ns(&task.path()));
    run.sum::<f64>() / 1_000.0
}

/// A node that keeps to itself: it knows peers but calls nobody.
async fn start(data: &std::path::Path) -> Running {
    let mut settings = Settings::new(data.to_owned(), ChainwebVersion::Development);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    (settings.api, settings.p2p) = (loopback, loopback);
    settings.cluster.clients = vec![FixedClient {
        id: CLIENT.into(),
        digest: SecretDigest::of(SECRET),
        scopes: Scopes::PEERS_READ,
    }];
    settings.known_peers = (0..PEERS).map(info).collect();
    let forge = Forge::new(settings.grin.rules, 1).grow(BLOCKS as usize, 60);
    settings.grin.import = Some(forge.blocks().into());
    settings.grin.links_max = 0;
    settings.sessions = Sessions {
        cut_max: 0,
        mempool_max: 0,
        ..Sessions::default()
    };
    peerage_io::start(settings).await.expect("a node starts")
}

async fn fill(api: SocketAddr, wires: &[String]) {
    let answer = once(
        api,
        &text("PUT", "chain/0/mempool/insert", &insert_body(wires)),
    )
    .await;
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

/// Waits until the node has taken in its blocks.
async fn import(api: SocketAddr) {
    let request = b"GET /v1/chain HTTP/1.1\r\nhost: bench\r\n\r\n";
    let height = format!("\"height\": {BLOCKS},");
    while find(&once(api, request).await, height.as_bytes()).is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A bearer token that the node has made and signed.
async fn token(api: SocketAddr) -> String {
    let form = format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={SECRET}");
    let length = form.len();
    let request = format!(
        "POST /v1/oauth/token HTTP/1.1\r\nhost: bench\r\ncontent-length: {length}\r\n\r\n{form}"
    );
    let answer = once(api, request.as_bytes()).await;
    let body = find(&answer, b"\r\n\r\n").expect("a whole answer") + 4;
    let body: serde_json::Value = serde_json::from_slice(&answer[body..]).expect("JSON");
    body["access_token"].as_str().expect("a token").to_owned()
}

fn requests(wires: &[String]) -> [(&'static str, Vec<u8>); 3] {
    let keys = |count| {
        let key = |wire: &String| {
            let command = Command::decode(wire).expect("our own text");
            format!("\"{}\"", command.key().full().expect("a key of 32 bytes"))
        };
        let keys: Vec<String> = wires.iter().take(count).map(key).collect();
        format!("[{}]", keys.join(","))
    };
    [
        ("GET peers 64", text("GET", "cut/peer", "")),
        (
            "POST member 100",
            text("POST", "chain/0/mempool/member", &keys(MEMBERS)),
        ),
        (
            "POST lookup 20",
            text("POST", "chain/0/mempool/lookup", &keys(LOOKUPS)),
        ),
    ]
}

fn text(method: &str, resource: &str, body: &str) -> Vec<u8> {
    let mut text =
        format!("{method} /chainweb/0.0/development/{resource} HTTP/1.1\r\nhost: bench\r\n");
    if !body.is_empty() {
        text.push_str("content-type: application/json\r\n");
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// A server that gives every request the same answer.
async fn bare(answer: Vec<u8>) -> SocketAddr {
    let head_end = find(&answer, b"\r\n\r\n").expect("a whole answer");
    let body = Bytes::copy_from_slice(&answer[head_end + 4..]);
    let head = String::from_utf8_lossy(&answer[..head_end]).into_owned();
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| *name != "content-length" && *name != "date")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut response = hyper::Response::new(Full::new(body));
    for (name, value) in headers {
        let name = http::HeaderName::try_from(name).expect("a header name");
        let value = http::HeaderValue::try_from(value).expect("a header value");
        response.headers_mut().insert(name, value);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let response = response.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let response = response.clone();
                    async move {
                        request.into_body().collect().await.ok();
                        Ok::<_, Infallible>(response)
                    }
                });
                let io = TokioIo::new(stream);
                hyper::server::conn::http1::Builder::new()
                    .max_header_size(50 * 1024)
                    .max_buf_size(64 * 1024)
                    .serve_connection(io, service)
                    .await
                    .ok();
            });
        }
    });
    addr
}

/// Requests answered over all connections, and the seconds it took.
async fn load(addr: SocketAddr, request: &[u8], length: Duration) -> (f64, f64) {
    let began = Instant::now();
    let until = began + length;
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let request = request.to_vec();
            tokio::spawn(async move {
                let mut connection = Connection::open(addr).await;
                let mut count = 0_u64;
                while Instant::now() < until {
                    connection.exchange(&request).await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut total = 0_u64;
    for task in tasks {
        total += task.await.expect("no client panics");
    }
    (total as f64, began.elapsed().as_secs_f64())
}

async fn once(addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut connection = Connection::open(addr).await;
    let length = connection.exchange(request).await;
    connection.buffer[..length].to_vec()
}

/// A client that does as little as possible.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the server listens");
        stream.set_nodelay(true).ok();
        Self {
            stream,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Sends a request and reads its answer; returns the answer's length.
    async fn exchange(&mut self, request: &[u8]) -> usize {
        self.stream
            .write_all(request)
            .await
            .expect("the server reads");
        let mut have = 0;
        loop {
            let read = self
                .stream
                .read(&mut self.buffer[have..])
                .await
                .expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            have += read;
            let Some(head_end) = find(&self.buffer[..have], b"\r\n\r\n") else {
                continue;
            };
            if have >= head_end + 4 + content_length(&self.buffer[..head_end]) {
                return have;
            }
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let at = find(head, b"content-length: ").expect("every answer has a length") + 16;
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
