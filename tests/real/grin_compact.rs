//! Compacting a real node's chain: its directory becomes smaller, its answers stay, and it goes on.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use peerage_core::mw::{Block, Rules};
use peerage_core::rooms::grin::forge::Forge;
use peerage_io::Running;

use crate::{api, settings, start, until};

/// Bytes that a directory takes on the disk, as `du` counts them.
fn disk_usage(path: &Path) -> u64 {
    // Files come and go while the store writes.
    let Ok(metadata) = fs::metadata(path) else {
        return 0;
    };
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let within: u64 = entries.map(|entry| disk_usage(&entry.path())).sum();
    512 * metadata.blocks() + within
}

/// Two hundred blocks, the later half of which spends the rewards of the earlier.
fn busy_chain() -> Vec<Block> {
    let mut forge = Forge::new(Rules::automated_testing(), 4).grow(101, 60);
    for height in 1..=100 {
        let spent = forge.spend(height);
        forge.add(&[spent], 60);
    }
    forge.blocks().to_vec()
}

const ASKED: [&str; 8] = [
    "/v1/chain",
    "/v1/txhashset/roots",
    "/v1/txhashset/lastoutputs?n=500",
    "/v1/txhashset/lastkernels?n=500",
    "/v1/txhashset/outputs?start_index=1&max=1000",
    "/v1/headers/7",
    "/v1/blocks/182",
    "/v1/chain/validate",
];

async fn answers(node: &Running) -> Vec<(u16, String)> {
    let mut all = Vec::new();
    for path in ASKED {
        let answer = api(node, "GET", path, "").await;
        all.push((answer.status, answer.body));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn compacting_makes_the_data_directory_smaller() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut begun = settings(dir.path());
    begun.grin.import = Some(busy_chain().into());
    let node = start(begun).await;
    until("the file is taken in", async || {
        let tip = api(&node, "GET", "/v1/chain", "").await;
        tip.body.contains("\"height\": 201")
    })
    .await;
    let (before, bytes) = (answers(&node).await, disk_usage(dir.path()));
    assert!(before.iter().all(|(status, _)| *status == 200));
    let old = ["/v1/blocks/1", "/v1/blocks/181"];
    for path in old {
        assert_eq!(api(&node, "GET", path, "").await.status, 200);
    }
    let done = api(&node, "POST", "/v1/chain/compact", "").await;
    assert_eq!((done.status, done.body.as_str()), (200, "{}"));
    assert_eq!(answers(&node).await, before);
    for path in old {
        let gone = api(&node, "GET", path, "").await;
        assert_eq!((gone.status, gone.body.as_str()), (404, ""));
    }
    until("a smaller directory", async || {
        disk_usage(dir.path()) + 50_000 < bytes
    })
    .await;
    node.drain().await.expect("a gentle stop");
    let again = start(settings(dir.path())).await;
    assert_eq!(answers(&again).await, before);
    again.drain().await.expect("a gentle stop");
    let after = disk_usage(dir.path());
    assert!(after + 50_000 < bytes, "{after} of {bytes} bytes");
}
