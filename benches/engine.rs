//! The simulator's engine beside a loop written for one workload and nothing else.
//!
//! *Gossip*: node `k · 7919 mod N` learns message `k` of a hundred at `k · 100 ms`; whoever learns a
//! message hands it to four distinct others; one in a hundred is lost, the rest take 40 to 60 ms.
//! *Timers*: every node wakes up once a second for a minute. The bare loop shares no code with the
//! engine: it has a binary heap, a bit per node and message, and its own generator. Its draws differ,
//! so counts agree only on average; both must pass the same checks of validity.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

const MESSAGES: u64 = 100;
const MS: u64 = 1_000;

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn main() {
    // Under `cargo test` one small world shows that everything still works.
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let (sizes, rounds): (&[u32], u64) = if smoke {
        (&[100], 1)
    } else {
        (&[10, 100, 1_000, 10_000], 5)
    };
    println!(
        "{:16}{:>14}{:>14}{:>8}",
        "events/s", "bare", "engine", "ratio"
    );
    for nodes in sizes {
        let engine = |seed| {
            let counts = peerage_sim::gossip::gossip(seed, *nodes);
            check(*nodes, counts.learned, counts.sent, counts.lost);
            counts.delivered
        };
        let bare = |seed| {
            let counts = Gossip::run(seed, *nodes);
            check(*nodes, counts.learned, counts.sent, counts.lost);
            counts.sent - counts.lost
        };
        compare(&format!("gossip {nodes}"), rounds, bare, engine);
        let engine = |seed| peerage_sim::gossip::timers(seed, *nodes).woken;
        let bare = |seed| timers(seed, *nodes);
        compare(&format!("timers {nodes}"), rounds, bare, engine);
    }
}

/// Runs both in turn and prints the medians. Neither waits, so real time is what they cost; that
/// includes making the nodes.
#[expect(clippy::print_stdout, reason = "the table is the result")]
fn compare(name: &str, rounds: u64, bare: impl Fn(u64) -> u64, engine: impl Fn(u64) -> u64) {
    let rate = |run: &dyn Fn(u64) -> u64, seed| {
        let began = Instant::now();
        run(seed) as f64 / began.elapsed().as_secs_f64()
    };
    let mut rates: Vec<(f64, f64)> = (1..=rounds)
        .map(|seed| (rate(&bare, seed), rate(&engine, seed)))
        .collect();
    rates.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let (bare, engine) = rates[rates.len() / 2];
    println!("{name:16}{bare:>14.0}{engine:>14.0}{:>8.2}", engine / bare);
}

/// A run counts only if every message went to four others and reached nearly everybody.
fn check(nodes: u32, learned: u64, sent: u64, lost: u64) {
    assert_eq!(sent, 4 * learned);
    let coverage = learned as f64 / (MESSAGES as f64 * f64::from(nodes));
    assert!((0.97..=1.0).contains(&coverage), "coverage {coverage}");
    let loss = lost as f64 / sent as f64;
    assert!(
        nodes < 1_000 || (0.009..=0.011).contains(&loss),
        "loss {loss}"
    );
}

/// A message on its way: when it arrives (µs), at whom, and which it is.
type Flight = Reverse<(u64, u32, u32)>;

struct Gossip {
    sent: u64,
    lost: u64,
    learned: u64,
}

impl Gossip {
    fn run(seed: u64, nodes: u32) -> Self {
        let mut luck = Xorshift::new(seed);
        let mut known = vec![0_u128; nodes as usize];
        let mut queue: BinaryHeap<Flight> = (0..MESSAGES)
            .map(|k| {
                Reverse((
                    k * 100 * MS,
                    (k * 7_919 % u64::from(nodes)) as u32,
                    k as u32,
                ))
            })
            .collect();
        let mut counts = Self {
            sent: 0,
            lost: 0,
            learned: 0,
        };
        while let Some(Reverse((now, node, message))) = queue.pop() {
            let bit = 1_u128 << message;
            if known[node as usize] & bit != 0 {
                continue;
            }
            known[node as usize] |= bit;
            counts.learned += 1;
            let mut chosen = [node; 5];
            for place in 1..chosen.len() {
                while chosen[..place].contains(&chosen[place]) {
                    chosen[place] = luck.below(u64::from(nodes)) as u32;
                }
                counts.sent += 1;
                if luck.below(100) == 0 {
                    counts.lost += 1;
                } else {
                    let latency = 40 * MS + luck.below(20 * MS);
                    queue.push(Reverse((now + latency, chosen[place], message)));
                }
            }
        }
        counts
    }
}

fn timers(seed: u64, nodes: u32) -> u64 {
    const SECOND: u64 = 1_000 * MS;
    let mut luck = Xorshift::new(seed);
    let mut queue: BinaryHeap<Reverse<(u64, u32)>> = (0..nodes)
        .map(|node| Reverse((luck.below(SECOND), node)))
        .collect();
    let mut woken = 0;
    while let Some(Reverse((now, node))) = queue.pop() {
        if now >= 60 * SECOND {
            break;
        }
        woken += 1;
        queue.push(Reverse((now + SECOND, node)));
    }
    woken
}

struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}
