//! Two nodes that write to each other while either is killed without warning, again and again: a
//! message that was answered is on both sides once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{PATIENCE, peerage};

const ROUNDS: usize = 20;

/// How long after a message a node is killed: any moment of the next messages' way, from a fixed seed.
fn moments() -> impl Iterator<Item = Duration> {
    let mut state = 7_u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        Duration::from_micros((state >> 33) % 20_000)
    })
}

/// A node that starts again where it was.
struct Writer {
    _dir: TempDir,
    data: PathBuf,
    addrs: [SocketAddr; 2],
    child: Mutex<Child>,
    id: String,
    /// What its operator was told is sent: content by message id.
    answered: Mutex<BTreeMap<String, Value>>,
    /// Messages tried, answered or not.
    tried: AtomicUsize,
}

impl Writer {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("data");
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, ready) = launch(&data, [loopback; 2]).expect("the node starts");
        let addr = |name: &str| {
            let url = ready[name].as_str().expect("a URL");
            url.split_once("://")
                .expect("a URL")
                .1
                .parse()
                .expect("an address")
        };
        Self {
            _dir: dir,
            data,
            addrs: [addr("api"), addr("p2p")],
            child: Mutex::new(child),
            id: ready["node_id"].as_str().expect("an id").to_owned(),
            answered: Mutex::default(),
            tried: AtomicUsize::new(0),
        }
    }

    /// `kill -9`, and a start where it was.
    fn dies_and_starts(&self) {
        let mut child = self.child.lock().expect("no panic holds it");
        child.kill().expect("a process");
        child.wait().expect("a process");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((started, _)) = launch(&self.data, self.addrs) {
                *child = started;
                return;
            }
            assert!(Instant::now() < deadline, "it does not start again");
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(self.addrs[0]).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        // What a dying node began to say and did not finish is no answer.
        Some((
            head.get(9..12)?.parse().ok()?,
            serde_json::from_str(body).ok()?,
        ))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, &Value::Null).expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn post(&self, path: &str, body: &Value) {
        let (status, answer) = self.ask("POST", path, body).expect("an answer");
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// Writes one message after the other until told to stop.
    fn write(&self, other: &Self, stop: &AtomicBool) {
        while !stop.load(Relaxed) {
            let n = self.tried.fetch_add(1, Relaxed);
            let content = json!({"from": self.id, "n": n});
            let body = json!({
                "remote_node_id": other.id,
                "content": content,
                "agent_envelope": {"protocol": "google_a2a"},
            });
            match self.ask("POST", "/api/peers/dm/messages", &body) {
                Some((200, answer)) => {
                    let id = answer["message_id"].as_str().expect("an id").to_owned();
                    let mut answered = self.answered.lock().expect("no panic holds it");
                    assert_eq!(answered.insert(id, content), None, "an id was given twice");
                }
                // Too much waits for the other node, while it is away.
                Some((400, answer)) => {
                    let text = answer["error"].as_str().expect("a reason");
                    assert!(text.starts_with("too much waits"), "{text}");
                    std::thread::sleep(Duration::from_millis(5));
                }
                Some((status, answer)) => panic!("{status}: {answer}"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn answered(&self) -> BTreeMap<String, Value> {
        self.answered.lock().expect("no panic holds it").clone()
    }

    /// What its listing shows that somebody wrote; no id and no content may be there twice.
    fn messages(&self) -> Vec<Value> {
        let threads = self.get("/api/peers/dm/threads");
        let thread = threads["threads"][0]["thread_id"]
            .as_str()
            .expect("a thread")
            .to_owned();
        let mut listing = self.get(&format!("/api/peers/dm/messages?thread_id={thread}"));
        let messages = listing["messages"].as_array_mut().expect("messages");
        messages.retain(|message| message["message_kind"] == "message");
        for part in ["message_id", "content"] {
            let different: BTreeSet<String> = messages
                .iter()
                .map(|message| message[part].to_string())
                .collect();
            assert_eq!(different.len(), messages.len(), "a message is doubled");
        }
        std::mem::take(messages)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn launch(data: &std::path::Path, addrs: [SocketAddr; 2]) -> Option<(Child, Value)> {
    let [api, p2p] = addrs.map(|addr| addr.to_string());
    let mut child = peerage()
        .arg("run")
        .arg("--data")
        .arg(data)
        .args(["--api", &api, "--p2p", &p2p])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out)
        .read_line(&mut line)
        .expect("the ready line");
    match serde_json::from_str(&line) {
        Ok(ready) => Some((child, ready)),
        Err(_) => {
            child.wait().expect("a process");
            None
        }
    }
}

fn wait(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn befriend(one: &Writer, other: &Writer) {
    let own = other.get("/api/network/contact-material/local");
    let contact = json!({"remote_node_id": other.id, "contact_material": own["contact_material"]});
    one.post("/api/peers/contact-material", &contact);
    let act = |from: &Writer, to: &Writer, action: &str| {
        let envelope = json!({"protocol": "google_a2a"});
        let body = json!({
            "remote_node_id": to.id, "action": action, "agent_envelope": envelope,
        });
        from.post("/api/peers/relationships", &body);
    };
    let state = |of: &Writer| {
        let listing = of.get("/api/peers/relationships");
        let state = listing["relationships"][0]["relationship_state"].as_str();
        state.map(str::to_owned)
    };
    act(one, other, "request");
    wait("the request arrives", || {
        state(other).as_deref() == Some("requested")
    });
    act(other, one, "accept");
    wait("the acceptance arrives", || {
        state(one).as_deref() == Some("accepted")
    });
}

/// What one side promised is still there: everything its operator was told is sent is in its listing,
/// and what it says is delivered is at the other side.
fn check_promises(from: &Writer, to: &Writer, answered: &BTreeMap<String, Value>) {
    let ours = from.messages();
    let of = |message: &Value| {
        (
            message["message_id"].as_str().expect("an id").to_owned(),
            message["content"].clone(),
        )
    };
    let shown: BTreeMap<String, Value> = ours.iter().map(of).collect();
    for (id, content) in answered {
        assert_eq!(shown.get(id), Some(content), "lost at its sender");
    }
    let theirs: BTreeSet<String> = to.messages().iter().map(|message| of(message).0).collect();
    let delivered = ours.iter().filter(|message| {
        message["direction"] == "outbound" && message["delivery_state"] == "delivered"
    });
    for message in delivered {
        assert!(
            theirs.contains(&of(message).0),
            "delivered and not there: {message}"
        );
    }
}

#[test]
fn a_message_that_was_answered_is_on_both_sides_once_whoever_is_killed() {
    let (one, other) = (Writer::new(), Writer::new());
    befriend(&one, &other);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A failure here must not leave the writers writing.
        let _stopping = Stopping(&stop);
        scope.spawn(|| one.write(&other, &stop));
        scope.spawn(|| other.write(&one, &stop));
        for (round, moment) in moments().take(ROUNDS).enumerate() {
            let goal = [&one, &other].map(|writer| writer.answered().len() + 1 + round * 5 % 17);
            wait("both write", || {
                one.answered().len() >= goal[0] && other.answered().len() >= goal[1]
            });
            std::thread::sleep(moment);
            let promised = [one.answered(), other.answered()];
            let victims: &[&Writer] = match round % 3 {
                0 => &[&one],
                1 => &[&other],
                _ => &[&one, &other],
            };
            victims.iter().for_each(|victim| victim.dies_and_starts());
            check_promises(&one, &other, &promised[0]);
            check_promises(&other, &one, &promised[1]);
        }
    });
    let told = |messages: &[Value]| -> Vec<[Value; 4]> {
        let parts = ["thread_id", "message_id", "content", "created_at"];
        let of = |message: &Value| parts.map(|part| message[part].clone());
        messages.iter().map(of).collect()
    };
    wait("both agree", || {
        let (ours, theirs) = (one.messages(), other.messages());
        let arrived = |message: &Value| message["delivery_state"] == "delivered";
        told(&ours) == told(&theirs) && ours.iter().chain(&theirs).all(arrived)
    });
    for (from, to) in [(&one, &other), (&other, &one)] {
        check_promises(from, to, &from.answered());
        check_promises(to, from, &BTreeMap::new());
    }
}

struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
