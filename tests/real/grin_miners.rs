//! Miners and payments among real nodes: TLS, a real disk, and checks that take as long as they take.

use std::time::Duration;

use peerage_core::commons::address::PeerInfo;
use peerage_core::config::grin::Purse;
use peerage_core::mw::{
    Coin, Fee, Format, KernelFeatures, KeyIndex, OutputFeatures, Payment, Transaction, Wallet,
};
use peerage_io::{Running, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{api, settings, start, until};

const REWARD: u64 = 60_000_000_000;
const FEE: u64 = 23_000_000;

/// A node that knows others from the start.
fn node(dir: &TempDir, known: &[&Running]) -> Settings {
    let mut settings = settings(dir.path());
    settings.known_peers = known
        .iter()
        .map(|peer| PeerInfo {
            id: Some(peer.identity().fingerprint),
            address: peer.public_addr().clone(),
        })
        .collect();
    settings
}

fn mining(settings: Settings, seed: u8, interval: Duration) -> Settings {
    let mut settings = settings;
    settings.grin.mine = Some(interval);
    settings.grin.purse = Some(Purse::from_seed(&[seed; 32]).expect("a seed"));
    settings
}

async fn get(node: &Running, path: &str) -> Value {
    let answer = api(node, "GET", path, "").await;
    serde_json::from_str(&answer.body).unwrap_or(Value::Null)
}

async fn height(node: &Running) -> u64 {
    let tip = get(node, "/v1/chain").await;
    tip["height"].as_u64().expect("a height")
}

async fn work(node: &Running) -> u64 {
    let tip = get(node, "/v1/chain").await;
    tip["total_difficulty"].as_u64().expect("a number")
}

async fn reach(node: &Running, least: u64) {
    until("such height", async || height(node).await >= least).await;
}

/// Moves the reward of a block to another key.
fn payment(seed: u8, block: u64) -> Transaction {
    let wallet = Wallet::from_seed(&[seed; 32]).expect("a seed");
    let key = |number| KeyIndex::new(number).expect("below 2^31");
    let coin = Coin {
        key: key(block),
        value: REWARD,
        features: OutputFeatures::Coinbase,
    };
    let fee = Fee::new(FEE).expect("a fee");
    let payment = Payment {
        spend: vec![coin],
        make: vec![(key(1_000_000 + block), REWARD - FEE)],
        kernel: KernelFeatures::Plain { fee },
        excess_word: None,
    };
    wallet.pay(&payment).expect("it balances")
}

async fn push(node: &Running, transaction: &Transaction, fluff: &str) -> u16 {
    let bytes = transaction.encode(Format::V1).expect("features");
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let body = json!({ "tx_hex": digits }).to_string();
    let path = format!("/v1/pool/push_tx{fluff}");
    api(node, "POST", &path, &body).await.status
}

/// The height of the block that has a transaction.
async fn mined(node: &Running, transaction: &Transaction) -> Option<u64> {
    let kernel = transaction.kernels().next().expect("a kernel");
    let path = format!("/v1/chain/kernels/{}", kernel.excess());
    get(node, &path).await["height"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_travels_to_the_miner_and_comes_back_in_a_block() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let interval = Duration::from_millis(150);
    let miner = start(mining(node(&dirs[0], &[]), 7, interval)).await;
    reach(&miner, 5).await;
    let middle = start(node(&dirs[1], &[&miner])).await;
    let far = start(node(&dirs[2], &[&middle])).await;
    for node in [&middle, &far] {
        reach(node, 5).await;
    }
    // One goes unseen to a neighbour first, the other to everybody.
    let (unseen, seen) = (payment(7, 1), payment(7, 2));
    assert_eq!(push(&far, &unseen, "").await, 200);
    assert_eq!(push(&far, &seen, "?fluff").await, 200);
    assert_eq!(push(&far, &seen, "?fluff").await, 500);
    for transaction in [&unseen, &seen] {
        for node in [&miner, &far] {
            until("the transaction in a block", async || {
                mined(node, transaction).await.is_some()
            })
            .await;
        }
    }
    until("empty pools", async || {
        get(&far, "/v1/pool").await["pool_size"] == 0
    })
    .await;
    for node in [miner, middle, far] {
        let answer = api(&node, "GET", "/v1/chain/validate", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
        node.drain().await.expect("a gentle stop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn branches_of_two_miners_become_one_chain() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let interval = Duration::from_millis(60);
    // Each finds blocks without knowing of the other.
    let one = start(mining(node(&dirs[0], &[]), 1, interval)).await;
    let two = start(mining(node(&dirs[1], &[]), 2, interval)).await;
    reach(&two, 8).await;
    let less = work(&two).await;
    two.drain().await.expect("a gentle stop");
    // Of branches with equal work everybody would keep its own.
    until("more work", async || work(&one).await > less + 100).await;
    one.drain().await.expect("a gentle stop");
    let one = start(node(&dirs[0], &[])).await;
    let two = start(node(&dirs[1], &[&one])).await;
    let late = start(node(&dirs[2], &[&two])).await;
    until("one chain", async || {
        let tip = get(&one, "/v1/chain").await;
        tip == get(&two, "/v1/chain").await && tip == get(&late, "/v1/chain").await
    })
    .await;
    assert!(work(&late).await > less);
    for node in [&one, &two, &late] {
        let answer = api(node, "GET", "/v1/chain/validate", "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    }
}
