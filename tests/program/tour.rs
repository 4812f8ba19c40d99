//! What the README has its readers paste, pasted.

use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::PATIENCE;

/// The README's shell blocks that mention `word`, in order, as one script.
fn blocks(word: &str) -> String {
    let readme = include_str!("../../README.md");
    let parts = readme.split("```");
    let blocks = parts.skip(1).step_by(2);
    let shell = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    shell.filter(|block| block.contains(word)).collect()
}

/// A port that nobody listens on.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string()
}

/// Runs a script with the program in its path, and gives what it says. Nothing that it started outlives
/// it, even if it never ends.
fn pasted(script: &str, api: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_peerage"));
    let folder = program.parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
        shell.env_remove(name);
    }
    let mut child = shell
        .args(["-euc", script])
        .env("PATH", format!("{folder}:{path}"))
        .env("PEERAGE_API", format!("127.0.0.1:{api}"))
        .env("PEERAGE_P2P", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("a shell");
    let mut out = child.stdout.take().expect("a pipe");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut said = String::new();
        let read = out.read_to_string(&mut said).map(|_| said);
        sender.send(read)
    });
    let said = receiver.recv_timeout(PATIENCE);
    let group = format!("-{}", child.id());
    let _ = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
    let status = child.wait().expect("a process");
    let said = said.expect("the tour ends").expect("text");
    assert!(status.success(), "{status}: {said}");
    said
}

#[test]
fn two_agents_write_to_each_other_as_the_readme_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let (ann, bob) = (free_port(), free_port());
    let script = blocks("bob");
    assert_eq!(script.matches("curl").count(), 9, "{script}");
    let script = script
        .replace("/tmp/peerage-tour", &dir.path().display().to_string())
        .replace("127.0.0.1:1848", &format!("127.0.0.1:{ann}"))
        .replace("127.0.0.1:1948", &format!("127.0.0.1:{bob}"));
    let said = pasted(&script, &ann);
    let lines: Vec<&str> = said.lines().collect();
    let expected: [&[&str]; 6] = [
        &["\"contact_material_saved\":true"],
        &["\"queued\":true", "\"action\":\"request\""],
        &[
            "\"requested\"",
            "\"initiated_by\":\"remote\"",
            "\"text\":\"hello\"",
        ],
        &["\"queued\":true", "\"action\":\"accept\""],
        &["\"accepted\"", "\"initiated_by\":\"remote\""],
        &["\"ok\":true", "\"message_id\":\"dm-msg-"],
    ];
    let (last, before) = lines.split_last().expect("something is said");
    assert_eq!(before.len(), expected.len(), "{said}");
    for (line, parts) in before.iter().zip(expected) {
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{line}: {parts:?}"
        );
    }
    for part in [
        "\"good day\"",
        "\"direction\":\"inbound\"",
        "\"delivery_state\":\"delivered\"",
    ] {
        assert!(last.contains(part), "{last}");
    }
}

#[test]
fn a_cluster_is_joined_and_left_as_the_readme_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let (first, second) = (free_port(), free_port());
    let script = blocks("s3cret") + &blocks("/v1/peers/self");
    assert_eq!(script.matches("ask ").count(), 7, "{script}");
    let script = script
        .replace("/tmp/peerage-tour", &dir.path().display().to_string())
        .replace("1948", &first)
        .replace("1949", &second);
    let said = pasted(&script, &first);
    // Each node says on a line of its own that it is ready.
    let mut lines = said.lines().filter(|line| !line.contains("\"ready\""));
    let added = lines.next().expect("the peer");
    assert!(added.contains("\"name\":\"second\""), "{said}");
    let listed = lines.next().expect("a list");
    assert_eq!(listed.matches("\"is_local\":true").count(), 1, "{said}");
    assert_eq!(listed.matches("\"is_local\":false").count(), 1, "{said}");
    let again = lines.next_back().expect("the peer");
    assert!(again.contains("\"name\":\"third\""), "{said}");
    let begun = lines.next_back().expect("a cluster");
    assert!(begun.contains("\"was_created\":true"), "{said}");
    let last = lines.next_back().expect("a list");
    assert_eq!(last.matches("\"is_local\":true").count(), 1, "{said}");
    assert_eq!(last.matches("\"is_local\":false").count(), 0, "{said}");
}

#[test]
fn a_mined_coin_moves_as_the_readme_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let api = free_port();
    let at = format!("http://127.0.0.1:{api}");
    let script = blocks("grin-mine 1s");
    let script = script
        .replace("/tmp/peerage-tour", &dir.path().display().to_string())
        .replace("http://127.0.0.1:1848", &at)
        .replace("grin balance", &format!("grin balance --node {at}"))
        .replace("grin spend", &format!("grin spend --node {at}"));
    let said = pasted(&script, &api);
    let spent = said.lines().find(|line| line.contains("\"kernel\":"));
    let spent: Value = serde_json::from_str(spent.expect("a payment")).expect("JSON");
    let kernel = spent["kernel"].as_str().expect("an excess");
    let block = said.split("\"kernels\":").last().expect("a block");
    assert!(block.contains(kernel), "{said}");
    let words = said.lines().next_back().expect("the seed");
    assert_eq!(words.split_whitespace().count(), 24, "{said}");
}
