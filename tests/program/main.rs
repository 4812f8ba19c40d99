//! The program `peerage`, as its operator meets it: one line, exit codes, messages, and no secrets.

mod secrets;

mod messages;
mod tour;

mod grin;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn peerage() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PEERAGE_")) {
        command.env_remove(name);
    }
    command
}

fn run(args: &[&str]) -> Output {
    ended(peerage().args(args))
}

/// What a command says that must end by itself. One that goes on, because a setting that ought to
/// be refused started a node, fails here rather than never.
fn ended(command: &mut Command) -> Output {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().expect("a process");
    let id = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-KILL", &id]).status();
        panic!("{command:?} goes on after {PATIENCE:?}");
    });
    output.expect("an output")
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running node.
struct Node {
    child: Child,
    ready: serde_json::Value,
    out: BufReader<std::process::ChildStdout>,
}

impl Node {
    fn start(dir: &Path, more: &[&str]) -> Self {
        let mut child = peerage()
            .arg("run")
            .arg("--data")
            .arg(dir)
            .args(["--api", "127.0.0.1:0", "--p2p", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("the ready line");
        let ready = serde_json::from_str(&line).expect("the ready line is JSON");
        Self { child, ready, out }
    }

    fn addr(&self, listener: &str) -> SocketAddr {
        let url = self.ready[listener].as_str().expect("a URL");
        let addr = url.split_once("://").expect("a URL").1;
        addr.parse().expect("an address")
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.addr("api")).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Sends a signal and gives the exit code, if the program ended by itself.
    fn stop(mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, "", "more than one line on standard output");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not stop");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_run_says_one_line_and_stops_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let node = Node::start(&data, &[]);
    let names = [
        "api",
        "cluster_peer_id",
        "node_id",
        "p2p",
        "peer_id",
        "ready",
    ];
    let said: Vec<&String> = node.ready.as_object().expect("an object").keys().collect();
    assert_eq!(said, names);
    assert_eq!(node.ready["ready"], true);
    assert!(
        node.ready["cluster_peer_id"]
            .as_str()
            .is_some_and(|id| id.starts_with("peer_"))
    );
    assert_eq!(node.ready["peer_id"].as_str().map(str::len), Some(43));
    assert_eq!(node.ready["node_id"].as_str().map(str::len), Some(64));

    let second = run(&["--data", &data.display().to_string()]);
    assert_eq!(second.status.code(), Some(4));
    assert!(
        complaint(&second).contains(&data.display().to_string()),
        "{}",
        complaint(&second)
    );
    let other = dir.path().join("other").display().to_string();
    let api = node.addr("api").to_string();
    let taken = run(&["--data", &other, "--api", &api, "--p2p", "127.0.0.1:0"]);
    assert_eq!(taken.status.code(), Some(5));
    assert!(complaint(&taken).contains("--api"), "{}", complaint(&taken));

    let names = node.ready.clone();
    assert_eq!(node.stop("-TERM"), Some(0));
    let again = Node::start(&data, &[]);
    for name in ["cluster_peer_id", "node_id", "peer_id"] {
        assert_eq!(again.ready[name], names[name], "{name}");
    }
    assert_eq!(again.stop("-INT"), Some(0));
}

#[test]
fn a_signed_transaction_is_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = Node::start(
        &dir.path().join("data"),
        &["--network", "recap-development"],
    );
    let signed = run(&[
        "chainweb",
        "sign",
        "--network",
        "recap-development",
        "--chain",
        "3",
    ]);
    assert!(signed.status.success());
    let body = String::from_utf8(signed.stdout).expect("text");
    let (body, path) = (
        body.trim_end(),
        "/chainweb/0.0/recap-development/chain/3/mempool",
    );
    let length = body.len();
    let answer = node.ask(&format!(
        "PUT {path}/insert HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(node.stop("-TERM"), Some(0));
}

#[test]
fn settings_that_are_wrong_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("peerage.toml");
    let check = |text: &str, args: &[&str], expected: &str| {
        fs::write(&file, text).expect("a file");
        let config = file.display().to_string();
        let output = run(&[&["--config", &config], args].concat());
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            complaint(&output).contains(expected),
            "{text}: {}",
            complaint(&output)
        );
    };
    check(
        "\nsky = \"blue\"",
        &[],
        "peerage.toml:2:1: key `sky`: unknown",
    );
    check(
        "api = \"x\"",
        &[],
        "peerage.toml:1:7: key `api`: invalid value 'x'",
    );
    check("", &["--api", "x"], "--api");
    check("", &["--p2p", "0.0.0.0:0"], "--public");
    check("", &["--wattswarm-mode", "sideways"], "--wattswarm-mode");
    let missing = run(&["--config", "/nowhere/peerage.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(complaint(&missing).contains("/nowhere/peerage.toml"));
    let output = ended(peerage().env("PEERAGE_NETWORK", "moon"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        complaint(&output).contains("--network"),
        "{}",
        complaint(&output)
    );
}

#[test]
fn tokens_and_clients_are_refused_with_a_reason() {
    let check = |args: &[&str], said: &[&str]| {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let text = complaint(&output);
        for said in said {
            assert!(text.contains(said), "{args:?}: {text}");
        }
        // Neither the secret nor a part of it.
        assert!(!text.contains("wort"), "{args:?}: {text}");
    };
    check(
        &["--client", "me:pass wort=admin"],
        &["--client", "a blank begins another"],
    );
    check(
        &["--token", "pass wort=admin"],
        &["--token", "a blank begins another"],
    );
    check(
        &["--token", "passwort=admin, peers.read"],
        &["--token", "a blank begins another"],
    );
    let twice = "--client': values 1 and 3 have one id; give it once, with all of its scopes";
    check(
        &[
            "--client=me:wort-1=admin",
            "--client=you:wort-1=admin",
            "--client=me:wort-2=peers.read",
        ],
        &[twice],
    );
    let twice = "--token': values 1 and 2 have one token; give it once, with all of its scopes";
    check(&["--token", "passwort=peers.read passwort=admin"], &[twice]);
}

#[test]
fn help_says_how_secrets_are_made_and_whom_private_concerns() {
    let output = run(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "Make the token long and random",
        "Make the secret long and random",
        "Keep to the given peers on Chainweb's networks",
    ] {
        assert!(help.contains(said), "{said}: {help}");
    }
}

#[test]
fn a_damaged_directory_is_refused_whatever_it_does_to_its_reader() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    assert_eq!(Node::start(&data, &[]).stop("-TERM"), Some(0));
    let good = run(&["check", "--data", &data.display().to_string()]);
    assert!(good.status.success(), "{}", complaint(&good));
    // Lengths that ask for more memory than there is.
    let mut tables = Vec::new();
    list(&data.join("rows/keyspaces"), &mut tables);
    for path in tables {
        let bytes = fs::read(&path).expect("a file");
        if bytes.is_empty() {
            continue;
        }
        let damaged: Vec<u8> = bytes.iter().map(|byte| byte | 0xe0).collect();
        fs::write(&path, damaged).expect("a write");
        let data = data.display().to_string();
        let output = run(&[
            "--data",
            &data,
            "--api",
            "127.0.0.1:0",
            "--p2p",
            "127.0.0.1:0",
        ]);
        assert_eq!(output.status.code(), Some(3), "{}", path.display());
        assert!(complaint(&output).contains(&data), "{}", complaint(&output));
        fs::write(&path, bytes).expect("a write");
    }
    assert_eq!(Node::start(&data, &[]).stop("-TERM"), Some(0));
}

fn list(dir: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn a_wrong_variable_is_called_by_its_name() {
    let check = |args: &[&str], said: bool| {
        let output = ended(peerage().env("PEERAGE_THROTTLE_GLOBAL", "fast").args(args));
        assert_eq!(output.status.code(), Some(2));
        let text = complaint(&output);
        assert!(text.contains("--throttle-global"), "{text}");
        let name = "the variable PEERAGE_THROTTLE_GLOBAL";
        assert_eq!(text.contains(name), said, "{text}");
    };
    check(&["run"], true);
    check(&["--throttle-global=slow"], false);
    check(&["--throttle-global", "slow"], false);
}
