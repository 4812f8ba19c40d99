//! Nodes with a bad line between them: whatever it does, both ends show the same at last.

use std::time::Duration;

use serde_json::json;

use super::proxy::Proxy;
use super::{Friend, agree, befriend, contents};
use crate::until;

/// Nodes that reach each other through proxies only. The first knows of all others, the second of all
/// behind it, and so on.
async fn apart<const N: usize>() -> ([Proxy; N], [Friend; N]) {
    let (mut proxies, mut nodes) = (Vec::new(), Vec::new());
    for _ in 0..N {
        let proxy = Proxy::new().await;
        let node = Friend::behind(proxy.addr).await;
        proxy.leads_to(node.p2p);
        for before in &nodes {
            Friend::hears_of(before, &node).await;
        }
        proxies.push(proxy);
        nodes.push(node);
    }
    let proxies = proxies
        .try_into()
        .unwrap_or_else(|_| unreachable!("N were made"));
    let nodes = nodes
        .try_into()
        .unwrap_or_else(|_| unreachable!("N were made"));
    (proxies, nodes)
}

/// Every two of three nodes write to each other, and one of them dies meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn messages_over_a_bad_line_arrive_once_and_in_order() {
    const ROUNDS: usize = 40;
    let (proxies, mut nodes) = apart::<3>().await;
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        befriend(&nodes[one], &nodes[other]).await;
    }
    let pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
    proxies.iter().for_each(|proxy| proxy.is_bad(true));
    for n in 0..ROUNDS {
        for (from, to) in pairs {
            let content = json!({"from": from, "n": n});
            nodes[from].says(&content, &nodes[to]).await;
        }
        if n == ROUNDS / 2 {
            nodes[0].kill();
            nodes[0].start().await;
        }
        // Time for the line to do its worst to what is said so far.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(proxies.iter().all(|proxy| proxy.spoiled() > 0));
    let harm: u64 = nodes.iter().map(harm).sum();
    assert!(harm > 0, "the line was too good");
    proxies.iter().for_each(|proxy| proxy.is_bad(false));
    for (from, to) in pairs {
        let (from, to) = (&nodes[from], &nodes[to]);
        until("both agree", async || agree(from, to).await).await;
    }
    for (here, there) in pairs {
        let messages = nodes[here].messages(&nodes[there]).await;
        for from in [here, there] {
            let mut said = contents(&messages);
            said.retain(|content| content["from"] == from);
            let expected: Vec<_> = (0..ROUNDS).map(|n| json!({"from": from, "n": n})).collect();
            assert_eq!(said, expected);
        }
    }
}

/// How often a node had to deliver something again.
fn harm(node: &Friend) -> u64 {
    node.node().metrics().count("wattswarm_delivery_failed")
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_over_a_bad_line_leave_both_sides_of_one_opinion() {
    let (proxies, [one, other]) = apart::<2>().await;
    befriend(&one, &other).await;
    proxies.iter().for_each(|proxy| proxy.is_bad(true));
    let mut taken = 0;
    for n in 0..40 {
        let (from, to) = if n % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let action = ["remove", "request", "accept", "block", "unblock"][n * 7 % 5];
        if from.act(to, action).await.0 == 200 {
            taken += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(taken > 4, "too little happened: {taken}");
    assert!(proxies.iter().all(|proxy| proxy.spoiled() > 0));
    proxies.iter().for_each(|proxy| proxy.is_bad(false));
    let waiting = |node: &Friend| {
        node.node().inspect(|node| {
            let mut waiting = 0;
            node.gauges(&mut |name, value| {
                if name == "wattswarm_outbox" {
                    waiting = value;
                }
            });
            waiting
        })
    };
    until("everything is delivered", async || {
        waiting(&one) + waiting(&other) == 0
    })
    .await;
    let state = one.state(&other).await;
    assert_eq!(state, other.state(&one).await);
    // And the state is one that both can leave.
    if state == "blocked" {
        for (from, to) in [(&one, &other), (&other, &one)] {
            let _ = from.act(to, "unblock").await;
        }
        until("nobody blocks", async || {
            one.state(&other).await == "none" && other.state(&one).await == "none"
        })
        .await;
    }
    if state != "accepted" {
        if state == "requested" {
            for (from, to) in [(&one, &other), (&other, &one)] {
                let _ = from.act(to, "reject").await;
            }
            until("nobody asks", async || {
                one.state(&other).await == "rejected" && other.state(&one).await == "rejected"
            })
            .await;
        }
        befriend(&one, &other).await;
    }
    one.says(&json!("well"), &other).await;
    until("both agree", async || agree(&one, &other).await).await;
}
