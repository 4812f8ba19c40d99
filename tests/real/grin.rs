//! Chains over real sockets: nodes that give each other blocks and transactions, and a client that
//! must know a secret.

use peerage_core::Secret;
use peerage_core::mw::Rules;
use peerage_core::rooms::grin::forge::Forge;
use peerage_io::{Running, Settings};
use peerage_tests::generate::grin::deck;
use peerage_tests::vectors;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::{Answer, api, plain, read_answer, settings, start, until};

/// A node that has the recorded chain.
fn with_chain(dir: &TempDir) -> Settings {
    let mut settings = settings(dir.path());
    settings.grin.import = Some(deck().blocks.clone().into());
    settings
}

async fn tip(node: &Running) -> String {
    api(node, "GET", "/v1/chain", "").await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_and_transactions_reach_the_other_node() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let first = start(with_chain(&dirs[0])).await;
    until("the file is taken in", async || {
        tip(&first).await.contains("\"height\": 30")
    })
    .await;
    let mut settings = settings(dirs[1].path());
    let peer = format!("{}@{}", first.identity().fingerprint, first.p2p_addr());
    settings.known_peers = vec![peer.parse().expect("a peer")];
    let second = start(settings).await;
    until("both have one chain", async || {
        tip(&second).await == tip(&first).await
    })
    .await;

    // One that may be mined at once.
    let file = vectors::file("grin", "transactions");
    let digits = vectors::text(&file["transactions"][0], "hex_v1");
    let body = format!(r#"{{"tx_hex":"{digits}"}}"#);
    let pushed = api(&second, "POST", "/v1/pool/push?fluff", &body).await;
    assert_eq!((pushed.status, pushed.body.as_str()), (200, ""));
    until("the transaction waits at the other node", async || {
        api(&first, "GET", "/v1/pool", "").await.body == r#"{"pool_size":1}"#
    })
    .await;
    let connected = api(&first, "GET", "/v1/peers/connected", "").await;
    let address = format!("\"addr\":\"{}\"", second.p2p_addr());
    assert!(connected.body.contains(&address), "{}", connected.body);
}

/// Work decides, not length: the node with the longer chain gives it up, and has forgotten it after a
/// restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_longer_chain_gives_way_to_one_with_more_work() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let rules = Rules::automated_testing();
    let common = Forge::new(rules, 1).grow(2, 60);
    let heavy = Forge::on(rules, 2, common.blocks()).grow(6, 1);
    let long = common.grow(8, 60);
    let import = |dir: &TempDir, forge: &Forge| {
        let mut settings = settings(dir.path());
        settings.grin.import = Some(forge.blocks().into());
        settings
    };
    let first = start(import(&dirs[0], &long)).await;
    until("the longer chain", async || {
        tip(&first).await.contains("\"height\": 10")
    })
    .await;
    let mut other = import(&dirs[1], &heavy);
    let peer = format!("{}@{}", first.identity().fingerprint, first.p2p_addr());
    other.known_peers = vec![peer.parse().expect("a peer")];
    let second = start(other).await;
    until("one chain", async || {
        let (one, two) = (tip(&first).await, tip(&second).await);
        one == two && one.contains("\"height\": 8")
    })
    .await;
    let shown = api(&first, "GET", "/v1/blocks/9", "").await;
    assert_eq!(shown.status, 400);
    let before = tip(&first).await;
    first.drain().await.expect("a gentle stop");
    let again = start(settings(dirs[0].path())).await;
    assert_eq!(tip(&again).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_know_the_secret_may_ask() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut settings = settings(dir.path());
    settings.grin.api_secret = Some(Secret("s3cret-for-tests".to_owned()));
    let node = start(settings).await;
    let refused = show(&node, "").await;
    assert_eq!((refused.status, refused.body.as_str()), (401, ""));
    let challenge = refused.header("www-authenticate");
    assert_eq!(challenge, Some("Basic realm=GrinAPI"));
    let known = "authorization: Basic Z3JpbjpzM2NyZXQtZm9yLXRlc3Rz\r\n";
    let shown = show(&node, known).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.header("content-type"), None);
}

async fn show(node: &Running, authorization: &str) -> Answer {
    let mut stream = plain(node.api_addr()).await;
    let request = format!("GET /v1/status HTTP/1.1\r\nhost: test\r\n{authorization}\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    read_answer(&mut stream, false).await
}
