//! A ban of another family holds here too.

use serde_json::json;

use super::{Friend, agree, contents, friends};
use crate::{api, until};

async fn rule(node: &Friend, other: &Friend, word: &str) {
    let path = format!("/v1/peers/{}/{word}", other.p2p);
    let answer = api(node.node(), "POST", &path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_shuts_delivery_both_ways_and_its_end_opens_it() {
    let (one, other) = friends().await;
    other.says(&json!("before"), &one).await;
    until("both agree", async || agree(&one, &other).await).await;
    assert_eq!(one.neighbour(&other).await["connected"], true);

    rule(&one, &other, "ban").await;
    let neighbour = one.neighbour(&other).await;
    assert_ne!(neighbour["connected"], true, "{neighbour}");
    let refused = one.node().metrics().count("wattswarm_message_received");
    let failed = other.node().metrics().count("wattswarm_delivery_failed");
    one.says(&json!("to the banned"), &other).await;
    other.says(&json!("from the banned"), &one).await;
    until("the banned node is turned away", async || {
        other.node().metrics().count("wattswarm_delivery_failed") > failed
    })
    .await;
    assert_eq!(
        one.node().metrics().count("wattswarm_message_received"),
        refused
    );
    assert_eq!(
        contents(&one.messages(&other).await),
        [json!("before"), json!("to the banned")]
    );
    assert_eq!(
        contents(&other.messages(&one).await),
        [json!("before"), json!("from the banned")]
    );
    // A ban is not a block: the relationship is as it was.
    assert_eq!(one.state(&other).await, "accepted");
    assert_eq!(other.state(&one).await, "accepted");

    rule(&one, &other, "unban").await;
    until("both agree", async || agree(&one, &other).await).await;
    assert_eq!(one.messages(&other).await.len(), 3);
    assert_eq!(one.neighbour(&other).await["connected"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_holds_over_a_restart() {
    let (mut one, other) = friends().await;
    rule(&one, &other, "ban").await;
    one.says(&json!("later"), &other).await;
    one.kill();
    one.start().await;
    let failed = other.node().metrics().count("wattswarm_delivery_failed");
    other.says(&json!("refused"), &one).await;
    until("the banned node is turned away", async || {
        other.node().metrics().count("wattswarm_delivery_failed") > failed
    })
    .await;
    assert_eq!(contents(&one.messages(&other).await), [json!("later")]);
    assert_ne!(one.neighbour(&other).await["connected"], true);
    rule(&one, &other, "unban").await;
    until("both agree", async || agree(&one, &other).await).await;
    assert_eq!(one.messages(&other).await.len(), 2);
}
