//! The nodes of a scenario, and how its requests are put to them.

use std::collections::BTreeSet;
use std::time::Duration;

use peerage_core::Seed;
use peerage_core::config::WattswarmMode;
use peerage_core::rooms::wattswarm::ids;
use peerage_tests::vectors::text;
use peerage_tests::{Bench, ParsedAnswer, Town};
use serde_json::{Value, json};

use super::compare::{self, Kept};
use crate::bare;

/// How a scenario is replayed. It must make no difference to any answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it was recorded.
    Plain,
    /// All nodes die and start again between two steps.
    Restarting,
    /// The node with the larger id plays the first part.
    Swapped,
}

/// One node without a network, or two that know each other.
pub(super) struct Stage {
    town: Town,
    nodes: Vec<String>,
    /// What stands in the recording, and what stands for it here.
    names: Vec<(String, String)>,
    kept: Kept,
    manner: Manner,
}

impl Stage {
    pub(super) fn of(scenario: &Value, manner: Manner) -> Self {
        let local = scenario["mode"] == "local";
        let recorded = scenario["nodes"].as_object().expect("nodes");
        let mut nodes = Vec::new();
        let mut benches = Vec::new();
        let mut names = Vec::new();
        for (part, (name, node)) in (1..).zip(recorded) {
            let n = if manner == Manner::Swapped {
                3 - part
            } else {
                part
            };
            let mut config = Bench::config(n);
            if local {
                config.wattswarm.mode = WattswarmMode::Local;
            } else {
                // Sessions of another family, which is how our nodes come to be in touch.
                config.sessions.cut_max = 10;
                config.known_peers = vec![Bench::config(3 - n).own_info()];
            }
            let own = config.identity.public_key.to_string();
            nodes.push(name.clone());
            names.push((text(node, "node_id").to_owned(), own));
            benches.push(Bench::of(config, Seed([n; 32])));
        }
        names.extend(conversations(scenario, &names));
        let mut stage = Self {
            town: Town::new(benches),
            nodes,
            names,
            kept: Kept { local },
            manner,
        };
        if !local {
            stage.acquaint();
        }
        stage
    }

    /// What the original's nodes had done before the recording: they knew each other's contact
    /// material and were in touch.
    fn acquaint(&mut self) {
        let own = "/api/network/contact-material/local";
        for (at, other) in [(0, 1), (1, 0)] {
            let material = self.town.bench(other).fetch(bare("GET", own)).json();
            let body = json!({
                "remote_node_id": self.names[other].1,
                "contact_material": material["contact_material"],
            });
            let bench = self.town.bench(at);
            let answer = bench.fetch_json("POST", "/api/peers/contact-material", &body.to_string());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        self.town.advance(MEETING);
    }

    /// An operator of the first node acts on a relationship, as both sides.
    pub(super) fn prepare(&mut self, remote: &str, action: &str) {
        let body = json!({"remote_node_id": remote, "action": action}).to_string();
        let bench = self.town.bench(0);
        let answer = bench.fetch_json("POST", "/api/peers/relationships", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.town.advance(PAUSE);
    }

    /// Takes a step, and says how the answer is another than the recorded one. If the next step is
    /// taken `at_once`, nothing is delivered before it.
    pub(super) fn take(&mut self, step: &Value, at_once: bool) -> Result<(), String> {
        let node = text(step, "node");
        let at = self.nodes.iter().position(|name| name == node);
        let request = self.request(&step["request"]);
        let answer = self.town.bench(at.expect("a node")).send(request);
        let answer = ParsedAnswer::read(answer.as_bytes()).ok_or("not HTTP")?;
        if !at_once {
            self.town.advance(PAUSE);
            self.restart();
        }
        let expected = &step["response"];
        if text(&step["request"], "path") == "/api/peers/dm/messages" && answer.status == 200 {
            self.learn(&expected["json"], &answer)?;
        }
        let expected = self.translated(expected);
        compare::answers(&self.kept, &expected, &answer)
    }

    fn restart(&mut self) {
        if self.manner == Manner::Restarting {
            (0..self.nodes.len()).for_each(|at| self.town.restart(at));
            self.town.advance(MEETING);
        }
    }

    /// How the listings of two nodes tell of different messages at the end. The recordings say little
    /// of it, since their moments are not ours: both sides must show the same ids, contents and moments
    /// in the same order.
    pub(super) fn disagreement(&mut self) -> Option<String> {
        if self.nodes.len() < 2 {
            return None;
        }
        let threads = self
            .town
            .bench(0)
            .fetch(bare("GET", "/api/peers/dm/threads"));
        for thread in threads.json()["threads"].as_array().expect("threads") {
            let target = format!(
                "/api/peers/dm/messages?thread_id={}",
                text(thread, "thread_id")
            );
            let [ours, theirs] = [0, 1].map(|at| {
                let listing = self.town.bench(at).fetch(bare("GET", &target)).json();
                let messages = listing["messages"].as_array().expect("messages").clone();
                let sent = messages
                    .iter()
                    .filter(|message| message["message_kind"] == "message");
                sent.map(shared).collect::<Vec<_>>()
            });
            if ours != theirs {
                return Some(format!("the sides differ: {ours:?}\nand {theirs:?}"));
            }
        }
        None
    }

    /// The recorded request, with our names.
    fn request(&self, request: &Value) -> String {
        let path = self.translate(text(request, "path"));
        let mut head = format!("{} {path} HTTP/1.1\r\n", text(request, "method"));
        if let Some(kind) = request["content_type"].as_str() {
            head += &format!("content-type: {kind}\r\n");
        }
        let body = match (&request["body"], &request["body_text"]) {
            (_, Value::String(body)) => body.clone(),
            (Value::Null, _) => match request["body_description"].as_str() {
                Some("material_json of 65537 bytes") => {
                    head += "content-type: application/json\r\n";
                    let material = json!({
                        "material_json": "x".repeat(65_537),
                        "generated_at": 1,
                    });
                    json!({"remote_node_id": "n", "contact_material": material}).to_string()
                }
                Some(other) => panic!("a body that nobody can make: {other}"),
                None => String::new(),
            },
            (body, _) => self.translated(body).to_string(),
        };
        format!("{head}\r\n{body}")
    }

    /// Remembers the ids of a message that was sent, which later answers show again.
    fn learn(&mut self, expected: &Value, answer: &ParsedAnswer) -> Result<(), String> {
        let found = answer.json();
        for key in ["message_id", "event_id"] {
            let (Some(recorded), Some(ours)) = (expected[key].as_str(), found[key].as_str()) else {
                continue;
            };
            if shape(recorded) != shape(ours) {
                return Err(format!("{key}: {ours} is not like {recorded}"));
            }
            self.names.push((recorded.to_owned(), ours.to_owned()));
        }
        Ok(())
    }

    fn translate(&self, recorded: &str) -> String {
        self.names
            .iter()
            .fold(recorded.to_owned(), |text, (theirs, ours)| {
                text.replace(theirs, ours)
            })
    }

    fn translated(&self, recorded: &Value) -> Value {
        match recorded {
            Value::String(text) => Value::String(self.translate(text)),
            Value::Array(values) => values.iter().map(|value| self.translated(value)).collect(),
            Value::Object(members) => {
                let member =
                    |(key, value): (&String, &Value)| (key.clone(), self.translated(value));
                members.iter().map(member).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => recorded.clone(),
        }
    }
}

/// What both sides must show of a message. Who has it was told of it when it was written.
fn shared(message: &Value) -> [Value; 5] {
    if message["direction"] == "inbound" {
        assert_eq!(
            message["acknowledged_at"], message["created_at"],
            "{message}"
        );
    }
    [
        "message_id",
        "created_at",
        "content",
        "a2a_protocol",
        "agent_envelope",
    ]
    .map(|key| message[key].clone())
}

/// The digits of every conversation that the scenario may have, as recorded and as ours.
fn conversations(scenario: &Value, nodes: &[(String, String)]) -> Vec<(String, String)> {
    let steps = scenario["steps"].as_array().expect("steps");
    let mut remotes: BTreeSet<&str> = steps
        .iter()
        .filter_map(|step| step["request"]["body"]["remote_node_id"].as_str())
        .map(str::trim)
        .collect();
    remotes.extend(nodes.iter().map(|(recorded, _)| recorded.as_str()));
    let ours = |recorded: &str| {
        let node = nodes.iter().find(|(name, _)| name == recorded);
        node.map_or_else(|| recorded.to_owned(), |(_, ours)| ours.clone())
    };
    let digits = |a: &str, b: &str| ids::thread_id(a, b).replace("dm:", "");
    let of = |(recorded, own): &(String, String)| {
        let pair = |remote: &&str| (digits(recorded, remote), digits(own, &ours(remote)));
        remotes.iter().map(pair).collect::<Vec<_>>()
    };
    nodes.iter().flat_map(of).collect()
}

/// An id with every hexadecimal digit made `0`, but for the version of a UUID.
fn shape(id: &str) -> String {
    let version = "dm-msg-xxxxxxxx-xxxx-".len();
    let digit = |(at, c): (usize, char)| match c {
        '4' if at == version && id.starts_with(MESSAGE) => '4',
        '0'..='9' | 'a'..='f' if at >= MESSAGE.len() || !id.starts_with(MESSAGE) => '0',
        c => c,
    };
    id.chars().enumerate().map(digit).collect()
}

const MESSAGE: &str = "dm-msg-";

/// Between two steps. Long enough for a delivery, too short for anything to expire.
const PAUSE: Duration = Duration::from_millis(700);

/// Until two nodes that know each other are in touch.
const MEETING: Duration = Duration::from_secs(30);
