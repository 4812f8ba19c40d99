//! What the README has its readers paste, pasted.

use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

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
