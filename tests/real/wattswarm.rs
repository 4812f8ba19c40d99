//! WattSwarm between real nodes: what operators on both sides see, whatever happens in between.

mod bans;
mod delivery;
mod proxy;
mod storm;

use std::net::SocketAddr;
use std::path::Path;

use peerage_core::config::WattswarmMode;
use peerage_io::{Running, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{api, settings, start, until};

const RELATIONSHIPS: &str = "/api/peers/relationships";
const MESSAGES: &str = "/api/peers/dm/messages";
const THREADS: &str = "/api/peers/dm/threads";
const LIST: &str = "/api/peers/list";

/// A node with a directory that outlives it.
struct Friend {
    dir: TempDir,
    node: Option<Running>,
    /// Where it listens for nodes, in every run.
    p2p: SocketAddr,
    /// What it tells others to call, if not that.
    public: Option<SocketAddr>,
    mode: WattswarmMode,
    id: String,
}

impl Friend {
    async fn new() -> Self {
        Self::with(None, WattswarmMode::Network).await
    }

    /// A node that tells others to call `public`.
    async fn behind(public: SocketAddr) -> Self {
        Self::with(Some(public), WattswarmMode::Network).await
    }

    async fn with(public: Option<SocketAddr>, mode: WattswarmMode) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut settings = quiet(dir.path(), mode);
        settings.public = public.map(Into::into);
        let node = start(settings).await;
        let id = get(&node, "/api/node/status").await["node_id"].clone();
        Self {
            dir,
            p2p: node.p2p_addr(),
            node: Some(node),
            public,
            mode,
            id: id.as_str().expect("an id").to_owned(),
        }
    }

    fn node(&self) -> &Running {
        self.node.as_ref().expect("the node runs")
    }

    /// The gentle end.
    async fn stop(&mut self) {
        let node = self.node.take().expect("the node runs");
        node.drain().await.expect("a good disk");
    }

    /// The end that a crash is.
    fn kill(&mut self) {
        self.node = None;
    }

    /// Starts again where it was.
    async fn start(&mut self) {
        until("the directory and the port are free", async || {
            let mut settings = quiet(self.dir.path(), self.mode);
            settings.p2p = self.p2p;
            settings.public = self.public.map(Into::into);
            self.node = peerage_io::start(settings).await.ok();
            self.node.is_some()
        })
        .await;
    }

    async fn get(&self, path: &str) -> Value {
        get(self.node(), path).await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = api(self.node(), "POST", path, &body.to_string()).await;
        let body = serde_json::from_str(&answer.body).expect("JSON");
        (answer.status, body)
    }

    /// Tells this node how another is reached.
    async fn hears_of(&self, other: &Self) {
        let own = other.get("/api/network/contact-material/local").await;
        let body = json!({"remote_node_id": other.id, "contact_material": own["contact_material"]});
        let (status, answer) = self.post("/api/peers/contact-material", &body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn act(&self, other: &Self, action: &str) -> (u16, Value) {
        let body = json!({
            "remote_node_id": other.id, "action": action, "agent_envelope": envelope(),
        });
        self.post(RELATIONSHIPS, &body).await
    }

    /// An action that must be taken.
    async fn does(&self, action: &str, other: &Self) {
        let (status, answer) = self.act(other, action).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn send(&self, other: &Self, content: &Value) -> (u16, Value) {
        let body = json!({
            "remote_node_id": other.id, "content": content, "agent_envelope": envelope(),
        });
        self.post(MESSAGES, &body).await
    }

    /// A message that must be taken; gives its id.
    async fn says(&self, content: &Value, other: &Self) -> String {
        let (status, answer) = self.send(other, content).await;
        assert_eq!(status, 200, "{answer}");
        answer["message_id"].as_str().expect("an id").to_owned()
    }

    /// The relationship with another node; null if there is none.
    async fn record(&self, other: &Self) -> Value {
        let records = self.get(RELATIONSHIPS).await["relationships"].take();
        let of = |record: &&Value| record["remote_node_id"] == other.id;
        let records = records.as_array().expect("relationships");
        records.iter().find(of).cloned().unwrap_or_default()
    }

    async fn state(&self, other: &Self) -> String {
        let record = self.record(other).await;
        let state = record["relationship_state"].as_str();
        state.unwrap_or("nothing").to_owned()
    }

    /// Messages with another node that somebody wrote, in the order of the listing.
    async fn messages(&self, other: &Self) -> Vec<Value> {
        let threads = self.get(THREADS).await["threads"].take();
        let of = |thread: &&Value| thread["remote_node_id"] == other.id;
        let Some(thread) = threads
            .as_array()
            .expect("threads")
            .iter()
            .find(of)
            .cloned()
        else {
            return Vec::new();
        };
        let thread = thread["thread_id"].as_str().expect("an id").to_owned();
        let mut listing = self.get(&format!("{MESSAGES}?thread_id={thread}")).await;
        let messages = listing["messages"].as_array_mut().expect("messages");
        messages.retain(|message| message["message_kind"] == "message");
        std::mem::take(messages)
    }

    /// What the peer list says of another node; null if it is not there.
    async fn neighbour(&self, other: &Self) -> Value {
        let mut list = self.get(LIST).await;
        let records = list["records"].as_array_mut().expect("records");
        let of = |record: &&mut Value| record["node_id"] == other.id;
        let found = records.iter_mut().find(of).map(Value::take);
        let record = found.unwrap_or_default();
        let listed = list["peers"].as_array().expect("peers");
        let connected = record["connected"] == true;
        assert_eq!(listed.iter().any(|id| *id == other.id), connected);
        record
    }
}

/// A node that goes to nobody by itself: only what the test does makes it call.
fn quiet(dir: &Path, mode: WattswarmMode) -> Settings {
    let mut settings = settings(dir);
    settings.sessions.cut_max = 0;
    settings.sessions.mempool_max = 0;
    settings.wattswarm.mode = mode;
    settings
}

async fn get(node: &Running, path: &str) -> Value {
    let answer = api(node, "GET", path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}

fn envelope() -> Value {
    json!({"protocol": "google_a2a", "message": {"text": "hello"}})
}

/// What both sides must show alike of a message.
fn shared(messages: &[Value]) -> Vec<[Value; 4]> {
    let parts = ["thread_id", "message_id", "content", "created_at"];
    let of = |message: &Value| parts.map(|part| message[part].clone());
    messages.iter().map(of).collect()
}

fn contents(messages: &[Value]) -> Vec<Value> {
    messages
        .iter()
        .map(|message| message["content"].clone())
        .collect()
}

/// Both sides show the same messages in the same order, and all that were sent have arrived.
async fn agree(one: &Friend, other: &Friend) -> bool {
    let (ours, theirs) = (one.messages(other).await, other.messages(one).await);
    let arrived = |message: &Value| message["delivery_state"] == "delivered";
    shared(&ours) == shared(&theirs) && ours.iter().chain(&theirs).all(arrived)
}

/// Two nodes whose operators have told the first of the second, and nothing else.
async fn strangers() -> (Friend, Friend) {
    let (one, other) = (Friend::new().await, Friend::new().await);
    one.hears_of(&other).await;
    (one, other)
}

/// The first asks, the second accepts, both know.
async fn befriend(one: &Friend, other: &Friend) {
    one.does("request", other).await;
    until("the request arrives", async || {
        other.state(one).await == "requested"
    })
    .await;
    other.does("accept", one).await;
    until("the acceptance arrives", async || {
        one.state(other).await == "accepted"
    })
    .await;
    assert_eq!(other.state(one).await, "accepted");
}

/// Two nodes that may write to each other.
async fn friends() -> (Friend, Friend) {
    let (one, other) = strangers().await;
    befriend(&one, &other).await;
    (one, other)
}
