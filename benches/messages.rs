//! Direct messages per second between two real nodes on loopback, durable at both ends.
//!
//! An operator posts a message at one node and is answered once it is durable there. The node calls the
//! other one over TLS, which answers once the message is durable there too; then it counts as delivered.
//! One message in flight shows the way of a single message, 256 in flight what the nodes make of a
//! crowd: commits share syncs, calls carry up to 32 messages.
//!
//! Nothing stands beside it. A message waits for four syncs in turn, batch and watermark of the sender's
//! store and then of the receiver's (see `benches/store.rs`); a bare loop of as many syncs was tried, and on
//! a busy machine it came out slower than the nodes, so that it would flatter them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peerage_core::commons::network::ChainwebVersion;
use peerage_core::config::Sessions;
use peerage_io::{Running, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Bytes of the text in each message.
const TEXT_BYTES: usize = 200;
/// Operators' connections over which many messages are posted.
const CONNECTIONS: usize = 64;

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn main() {
    // Under `cargo test` one short round shows that everything still works.
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let (rounds, length) = if smoke {
        (1, Duration::from_millis(100))
    } else {
        (7, Duration::from_secs(2))
    };
    let runtime = Runtime::new().expect("a runtime");
    // Not the system's directory for temporary files, which may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    println!("medians of {rounds} rounds of {length:?} each");
    println!(
        "{:16}{:>14}{:>14}",
        "in flight", "messages/s", "slowest round"
    );
    for in_flight in [1, 256] {
        let mut rates: Vec<f64> = (0..rounds)
            .map(|round| {
                // Fresh nodes, since a conversation has a bound.
                let data = dir.path().join(format!("{in_flight}-{round}"));
                let pair = runtime.block_on(Pair::start(&data));
                let rate = runtime.block_on(pair.measure(in_flight, length));
                runtime.block_on(pair.stop());
                rate
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!(
            "{in_flight:<16}{:>14.0}{:>14.0}",
            rates[rates.len() / 2],
            rates[0]
        );
    }
}

/// Two nodes with an accepted relationship.
struct Pair {
    sender: Running,
    receiver: Running,
    receiver_id: String,
}

impl Pair {
    async fn start(data: &Path) -> Self {
        let sender = start(&data.join("sender")).await;
        let receiver = start(&data.join("receiver")).await;
        let sender_id = id_of(&sender).await;
        let receiver_id = id_of(&receiver).await;
        let pair = Self {
            sender,
            receiver,
            receiver_id,
        };
        let own = "/api/network/contact-material/local";
        let own = get(pair.receiver.api_addr(), own).await;
        let contact = json!({
            "remote_node_id": pair.receiver_id,
            "contact_material": own["contact_material"],
        });
        post(
            pair.sender.api_addr(),
            "/api/peers/contact-material",
            &contact,
        )
        .await;
        act(&pair.sender, &pair.receiver_id, "request").await;
        until(&pair.receiver, "requested").await;
        act(&pair.receiver, &sender_id, "accept").await;
        until(&pair.sender, "accepted").await;
        pair
    }

    /// Messages per second that arrive while there are always `in_flight` on their way.
    async fn measure(&self, in_flight: usize, length: Duration) -> f64 {
        let room = Arc::new(Semaphore::new(in_flight));
        let body = json!({
            "remote_node_id": self.receiver_id,
            "content": {"text": "x".repeat(TEXT_BYTES)},
            "agent_envelope": {"protocol": "google_a2a"},
        });
        let request: Arc<str> = literal("POST", "/api/peers/dm/messages", &body).into();
        let before = self.arrived();
        let began = Instant::now();
        let until = began + length;
        let posting: Vec<_> = (0..in_flight.min(CONNECTIONS))
            .map(|_| {
                let (room, request, addr) = (room.clone(), request.clone(), self.sender.api_addr());
                tokio::spawn(async move {
                    let mut connection = TcpStream::connect(addr).await.expect("the node listens");
                    connection.set_nodelay(true).ok();
                    loop {
                        let Ok(permit) = room.acquire().await else {
                            return;
                        };
                        // Given back when the message has arrived.
                        permit.forget();
                        exchange(&mut connection, &request).await;
                        if Instant::now() >= until {
                            return;
                        }
                    }
                })
            })
            .collect();
        let mut known = before;
        while Instant::now() < until || known == before {
            let arrived = self.arrived();
            room.add_permits((arrived - known) as usize);
            known = arrived;
            // The runtime's timer is a millisecond; a message takes less on a fast disk.
            tokio::task::yield_now().await;
        }
        let rate = (known - before) as f64 / began.elapsed().as_secs_f64();
        room.close();
        for posting in posting {
            posting.await.expect("no client panics");
        }
        rate
    }

    /// Messages whose arrival the sender knows of.
    fn arrived(&self) -> u64 {
        self.sender.metrics().count("wattswarm_message_delivered")
    }

    async fn stop(self) {
        self.sender.drain().await.expect("a good disk");
        self.receiver.drain().await.expect("a good disk");
    }
}

async fn start(data: &Path) -> Running {
    let mut settings = Settings::new(data.to_owned(), ChainwebVersion::Development);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    (settings.api, settings.p2p) = (loopback, loopback);
    settings.sessions = Sessions {
        cut_max: 0,
        mempool_max: 0,
        ..Sessions::default()
    };
    peerage_io::start(settings).await.expect("a node starts")
}

async fn id_of(node: &Running) -> String {
    let status = get(node.api_addr(), "/api/node/status").await;
    status["node_id"].as_str().expect("an id").to_owned()
}

async fn act(node: &Running, remote: &str, action: &str) {
    let body = json!({
        "remote_node_id": remote,
        "action": action,
        "agent_envelope": {"protocol": "google_a2a"},
    });
    post(node.api_addr(), "/api/peers/relationships", &body).await;
}

/// Waits until the only relationship of a node is in this state.
async fn until(node: &Running, state: &str) {
    loop {
        let listing = get(node.api_addr(), "/api/peers/relationships").await;
        if listing["relationships"][0]["relationship_state"] == state {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn get(addr: SocketAddr, path: &str) -> Value {
    ask(addr, &literal("GET", path, &Value::Null)).await
}

async fn post(addr: SocketAddr, path: &str, body: &Value) -> Value {
    ask(addr, &literal("POST", path, body)).await
}

async fn ask(addr: SocketAddr, request: &str) -> Value {
    let mut connection = TcpStream::connect(addr).await.expect("the node listens");
    let body = exchange(&mut connection, request).await;
    serde_json::from_slice(&body).expect("JSON")
}

fn literal(method: &str, path: &str, body: &Value) -> String {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request and gives the body of its answer, which must be 200.
async fn exchange(connection: &mut TcpStream, request: &str) -> Vec<u8> {
    let sent = connection.write_all(request.as_bytes()).await;
    sent.expect("the node reads");
    let mut answer = Vec::new();
    loop {
        let read = connection.read_buf(&mut answer).await;
        assert!(read.is_ok_and(|read| read > 0), "the node answers");
        let Some(head_end) = answer.windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..head_end]).into_owned();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length
            .and_then(|text| text.parse().ok())
            .expect("every answer has a length");
        if answer.len() >= head_end + 4 + length {
            return answer.split_off(head_end + 4);
        }
    }
}
