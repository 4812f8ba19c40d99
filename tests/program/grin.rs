//! The Mimblewimble chain of the program: mined, imported, spent from, and still there after a kill.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

const PAUSE: Duration = Duration::from_millis(20);

fn vectors(name: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/grin");
    tests.join(name)
}

fn recorded(name: &str) -> Value {
    let text = fs::read_to_string(vectors(name)).expect("vectors");
    serde_json::from_str(&text).expect("JSON")
}

impl Node {
    fn get(&self, path: &str) -> (u16, Value) {
        self.get_as(path, "")
    }

    fn get_as(&self, path: &str, header: &str) -> (u16, Value) {
        let answer = self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n"
        ));
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).expect("a status");
        let status = status.parse().expect("a number");
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn height(&self) -> u64 {
        let (_, tip) = self.get("/v1/chain");
        tip["height"].as_u64().expect("a height")
    }

    /// Waits until something is there.
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "no {what} after {PATIENCE:?}");
            thread::sleep(PAUSE);
        }
    }

    fn wait_for_height(&self, height: u64) {
        self.wait("such height", |node| {
            (node.height() >= height).then_some(())
        });
    }

    fn kill(mut self) {
        self.child.kill().expect("a process");
        self.child.wait().expect("its end");
    }

    /// What a wallet command says, as JSON.
    fn wallet(&self, data: &Path, args: &[&str]) -> Value {
        let output = self.wallet_output(data, args);
        assert!(output.status.success(), "{}", complaint(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn wallet_output(&self, data: &Path, args: &[&str]) -> Output {
        let (command, more) = args.split_first().expect("a command");
        let data = data.display().to_string();
        let api = self.ready["api"].as_str().expect("a URL");
        let fixed = ["grin", command, "--data", &data, "--node", api];
        run(&[&fixed, more].concat())
    }
}

#[test]
fn a_mined_coin_is_spent_and_its_block_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let node = Node::start(&data, &["--grin-mine", "100ms"]);
    node.wait_for_height(4);
    let balance = node.wallet(&data, &["balance"]);
    let coins = balance["mature"]["coins"].as_u64().expect("a number");
    assert!(coins >= 1, "{balance}");
    assert_eq!(
        balance["mature"]["grin"],
        format!("{}.000000000", 60 * coins)
    );

    let spent = node.wallet(&data, &["spend", "--amount", "1.5", "--fee", "0.03"]);
    assert_eq!(spent["fee"], "0.030000000");
    assert_eq!(spent["makes"][0]["grin"], "1.500000000");
    assert_eq!(spent["makes"][1]["grin"], "58.470000000");
    let path = format!(
        "/v1/chain/kernels/{}",
        spent["kernel"].as_str().expect("digits")
    );
    let kernel = node.wait("kernel", |node| {
        Some(node.get(&path).1).filter(|it| !it.is_null())
    });
    assert_eq!(
        kernel["tx_kernel"]["features"],
        json!({ "Plain": { "fee": 30_000_000 } })
    );

    let (status, block) = node.get(&format!("/v1/blocks/{}", kernel["height"]));
    assert_eq!((status, &block["inputs"]), (200, &spent["spends"]));
    let made = spent["makes"][0]["commit"].as_str().expect("digits");
    let gone = spent["spends"][0].as_str().expect("digits");
    let (_, found) = node.get(&format!("/v1/chain/outputs/byids?id={made},{gone}"));
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(
        (&found[0]["commit"], &found[0]["height"]),
        (&spent["makes"][0]["commit"], &kernel["height"])
    );
    assert_eq!(node.get("/v1/chain/validate"), (200, json!({})));

    // The wallet finds what it made, and can spend that.
    let again = node.wallet(&data, &["spend", "--coin", made, "--fluff"]);
    assert_eq!(again["spends"], json!([made]));
    assert_eq!(node.stop("-TERM"), Some(0));
}

/// A second payment before the next block spends another coin than the first.
#[test]
fn payments_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let node = Node::start(&data, &["--grin-mine", "100ms"]);
    node.wait_for_height(6);
    assert_eq!(node.stop("-TERM"), Some(0));
    let node = Node::start(&data, &["--grin-mine", "1h"]);
    let mut spent: Vec<Value> = (0..3)
        .map(|_| node.wallet(&data, &["spend"])["spends"][0].take())
        .collect();
    spent.dedup();
    assert_eq!(spent.len(), 3);
    assert_eq!(node.get("/v1/pool").1, json!({ "pool_size": 3 }));

    let named = spent[0].as_str().expect("digits");
    let again = node.wallet_output(&data, &["spend", "--coin", named]);
    assert_eq!(again.status.code(), Some(1));
    let why = complaint(&again);
    assert!(why.contains("an earlier payment of the same coin"), "{why}");
    assert_eq!(node.stop("-TERM"), Some(0));
}

#[test]
fn the_seed_is_made_once_and_said_in_words() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let shown = data.display().to_string();
    let missing = run(&["grin", "seed", "--data", &shown]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(complaint(&missing).contains("there is no data directory"));

    let node = Node::start(&data, &["--grin-mine", "1h"]);
    let seed = fs::read(data.join("grin.seed")).expect("a seed");
    let mode = fs::metadata(data.join("grin.seed"))
        .expect("a seed")
        .permissions()
        .mode();
    assert_eq!((seed.len(), mode & 0o777), (32, 0o600));
    let words = || {
        let said = run(&["grin", "seed", "--data", &shown]);
        String::from_utf8(said.stdout).expect("text")
    };
    let first = words();
    assert_eq!(first.split_whitespace().count(), 24, "{first}");
    assert_eq!(node.stop("-TERM"), Some(0));
    assert_eq!(words(), first);
    let names: Vec<_> = fs::read_dir(&data).expect("a directory").collect();
    assert!(names.iter().all(|it| {
        let name = it.as_ref().expect("an entry").file_name();
        !name.to_string_lossy().contains(".seed.") && !name.to_string_lossy().ends_with(".new")
    }));

    fs::write(data.join("grin.seed"), [1; 31]).expect("a write");
    let spoilt = run(&["grin", "seed", "--data", &shown]);
    assert_eq!(spoilt.status.code(), Some(3));
    assert!(
        complaint(&spoilt).contains("31 bytes instead of the 32"),
        "{}",
        complaint(&spoilt)
    );
}

#[test]
fn a_recorded_chain_is_imported_and_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let file = vectors("chain.json").display().to_string();
    let node = Node::start(&data, &["--grin-import", &file]);
    node.wait_for_height(30);
    let last = &recorded("chain.json")["blocks"][30];
    let (_, tip) = node.get("/v1/chain");
    assert_eq!(tip["last_block_pushed"], last["hash"]);
    assert_eq!(tip["total_difficulty"], last["total_difficulty"]);
    assert_eq!(node.get("/v1/chain/validate"), (200, json!({})));
    assert_eq!(node.stop("-TERM"), Some(0));
    // It is there without the file, and the file does nothing to a chain that there is.
    let shown = data.display().to_string();
    let other = run(&["--data", &shown, "--grin-chain", "user-testing"]);
    assert_eq!(other.status.code(), Some(2));
    let text = "the stored blocks are of the chain AutomatedTesting";
    assert!(complaint(&other).contains(text), "{}", complaint(&other));
    for more in [&[][..], &["--grin-import", &file]] {
        let again = Node::start(&data, more);
        assert_eq!(again.get("/v1/chain").1, tip);
        assert_eq!(again.stop("-TERM"), Some(0));
    }
}

#[test]
fn files_that_are_no_chain_of_ours_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data").display().to_string();
    let refused = |args: &[&str], expected: &str| {
        let output = run(&[&["--data", &data], args].concat());
        assert_eq!(output.status.code(), Some(2), "{}", complaint(&output));
        assert!(
            complaint(&output).contains(expected),
            "{}",
            complaint(&output)
        );
    };
    let chain = vectors("chain.json").display().to_string();
    let other = ["--grin-chain", "user-testing", "--grin-import", &chain];
    refused(
        &other,
        "the file is for AutomatedTesting, the node is on UserTesting",
    );
    let bad = dir.path().join("bad.json");
    fs::write(&bad, "{}").expect("a file");
    let shown = bad.display().to_string();
    refused(
        &["--grin-import", &shown],
        &format!("cannot import the chain file {shown}"),
    );
    refused(
        &["--grin-import", "/nowhere/chain.json"],
        "/nowhere/chain.json",
    );
    refused(
        &["--grin-chain", "mainnet"],
        "expected automated-testing or user-testing",
    );
    refused(
        &["--grin-mine", "often"],
        "expected a duration such as 90s, 30m or 3h, or off",
    );
    refused(&["--grin-fee-rule", "5"], "expected v4 or v5");
    refused(
        &["--grin-api-secret-file", "/nowhere/secret"],
        "/nowhere/secret",
    );
    fs::write(&bad, "\n").expect("a file");
    refused(&["--grin-api-secret-file", &shown], "first line");
}

#[test]
fn the_api_asks_for_its_secret() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let file = dir.path().join("secret");
    fs::write(&file, "s3cret-for-tests\nand a second line\n").expect("a file");
    let shown = file.display().to_string();
    let node = Node::start(
        &data,
        &["--grin-mine", "1h", "--grin-api-secret-file", &shown],
    );
    assert_eq!(node.get("/v1/chain").0, 401);
    let good = "authorization: Basic Z3JpbjpzM2NyZXQtZm9yLXRlc3Rz\r\n";
    assert_eq!(node.get_as("/v1/chain", good).0, 200);
    let refused = node.wallet_output(&data, &["balance"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        complaint(&refused).contains("--api-secret-file"),
        "{}",
        complaint(&refused)
    );
    let balance = node.wallet(&data, &["balance", "--api-secret-file", &shown]);
    assert_eq!(balance["height"], 0);
    let args = ["spend", "--api-secret-file", &shown];
    let poor = node.wallet_output(&data, &args);
    assert_eq!(poor.status.code(), Some(1));
    assert!(
        complaint(&poor).contains("--grin-mine"),
        "{}",
        complaint(&poor)
    );
    assert_eq!(node.stop("-TERM"), Some(0));
}

/// Whatever tip was told of, its block is there after a kill.
#[test]
fn a_block_that_was_told_of_outlives_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut before = 0;
    for round in 0..4 {
        let node = Node::start(&data, &["--grin-mine", "20ms"]);
        let told = node.wait("new block", |node| {
            let (_, tip) = node.get("/v1/chain");
            (tip["height"].as_u64()? > before + round).then_some(tip)
        });
        node.kill();
        let node = Node::start(&data, &[]);
        let (_, tip) = node.get("/v1/chain");
        assert!(
            tip["height"].as_u64() >= told["height"].as_u64(),
            "{told}, then {tip}"
        );
        let hash = told["last_block_pushed"].as_str().expect("digits");
        let (status, block) = node.get(&format!("/v1/blocks/{hash}"));
        assert_eq!((status, &block["header"]["height"]), (200, &told["height"]));
        before = tip["height"].as_u64().expect("a height");
        assert_eq!(node.stop("-TERM"), Some(0));
    }
}

/// Another node's branch has more work. Whenever the kill comes, a start finds one whole branch.
#[test]
fn a_kill_in_a_reorganisation_leaves_one_branch() {
    let dir = tempfile::tempdir().expect("a directory");
    let (chain, fork) = (recorded("chain.json"), recorded("fork.json"));
    let parts_at = 26;
    let mut branch = chain.clone();
    let blocks = branch["blocks"].as_array_mut().expect("a list");
    blocks.truncate(parts_at);
    blocks.extend(fork["blocks"].as_array().expect("a list").iter().cloned());
    let file = dir.path().join("fork.json");
    fs::write(&file, branch.to_string()).expect("a file");
    let other = Node::start(
        &dir.path().join("other"),
        &["--grin-import", &file.display().to_string()],
    );
    other.wait_for_height(32);

    let file = vectors("chain.json").display().to_string();
    let origin = dir.path().join("origin");
    let node = Node::start(&origin, &["--grin-import", &file]);
    node.wait_for_height(30);
    assert_eq!(node.stop("-TERM"), Some(0));
    let peer = format!(
        "{}@{}",
        other.ready["peer_id"].as_str().expect("an id"),
        other.addr("p2p")
    );
    for delay in [None, Some(0), Some(1), Some(3), Some(8)] {
        let data = dir.path().join(format!("data-{delay:?}"));
        copy(&origin, &data);
        let node = Node::start(&data, &["--peer", &peer]);
        // Kills at once, or so many milliseconds after the first sign of the other branch.
        if let Some(delay) = delay {
            node.wait("other branch", |node| {
                let (_, status) = node.get("/v1/status");
                let linked = status["connections"] != 0;
                (linked || status["tip"]["height"] != 30).then_some(())
            });
            thread::sleep(Duration::from_millis(delay));
        }
        node.kill();
        let node = Node::start(&data, &[]);
        let height = node.height();
        let expected = match height {
            30 => &chain["blocks"],
            32 => &branch["blocks"],
            other => panic!("neither branch ends at {other}"),
        };
        for block in expected.as_array().expect("a list") {
            let (status, shown) = node.get(&format!("/v1/blocks/{}", block["height"]));
            assert_eq!((status, &shown["header"]["hash"]), (200, &block["hash"]));
        }
        assert_eq!(node.get("/v1/chain/validate"), (200, json!({})));
        assert_eq!(node.stop("-TERM"), Some(0));
    }
    // Left alone, it takes the branch with more work.
    let node = Node::start(&origin, &["--peer", &peer]);
    node.wait_for_height(32);
    assert_eq!(node.get("/v1/chain").1, other.get("/v1/chain").1);
    assert_eq!(node.stop("-TERM"), Some(0));
    assert_eq!(other.stop("-TERM"), Some(0));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    let mut files = Vec::new();
    list(from, &mut files);
    for file in files {
        let target = to.join(file.strip_prefix(from).expect("a file in it"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("a directory");
        fs::copy(&file, &target).expect("a copy");
    }
}
