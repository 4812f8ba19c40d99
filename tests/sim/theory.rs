//! What is known of such networks is what the simulator shows.

use peerage_sim::latency::Latency;
use peerage_sim::network::{Cargo, Links, Network};
use peerage_sim::seed::Seeds;
use peerage_sim::{gossip, push};

/// Push gossip reaches everybody after log₂ n + ln n + O(1) rounds: B. Pittel, On Spreading a Rumor,
/// SIAM Journal on Applied Mathematics 47 (1987).
#[test]
fn a_rumour_takes_as_many_rounds_as_pittel_proved() {
    const SEEDS: u64 = 40;
    let mut constants = Vec::new();
    for nodes in [10_u32, 30, 100, 300, 1_000, 3_000, 10_000] {
        let n = f64::from(nodes);
        let expected = libm::log2(n) + libm::log(n);
        let mean = (0..SEEDS)
            .map(|seed| push::rounds(seed, nodes))
            .sum::<u64>() as f64
            / SEEDS as f64;
        constants.push(mean - expected);
    }
    // The bounded rest: small, and it neither grows nor falls while n grows a thousandfold.
    let low = constants.iter().copied().fold(f64::INFINITY, f64::min);
    let high = constants.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(
        (-1.0..=3.0).contains(&low) && (-1.0..=3.0).contains(&high),
        "{constants:?}"
    );
    assert!(high - low < 1.5, "{constants:?}");
}

/// The share that is reached solves x = 1 − exp(−c·x), where c others hear of it from each.
#[test]
fn gossip_reaches_the_share_that_is_its_fixed_point() {
    let told = 4.0 * 0.99;
    let mut share = 0.5;
    for _ in 0..100 {
        share = 1.0 - libm::exp(-told * share);
    }
    let nodes = 2_000;
    let learned: u64 = (1..=3)
        .map(|seed| gossip::gossip(seed, nodes).learned)
        .sum();
    let measured = learned as f64 / (3.0 * 100.0 * f64::from(nodes));
    // Six hundred thousand chances: three standard deviations are well below a thousandth.
    assert!((measured - share).abs() < 0.001, "{measured}, not {share}");
}

/// The largest distance between what was measured and what was asked for, and how large it may be
/// by chance in one of a hundred cases (Kolmogorov and Smirnov).
fn distance(mut times: Vec<u64>, below: impl Fn(f64) -> f64) -> (f64, f64) {
    times.sort_unstable();
    let count = times.len() as f64;
    let distance = times
        .iter()
        .enumerate()
        .map(|(rank, time)| {
            // A time in whole microseconds stands for the one up to it.
            let part = below(*time as f64 + 0.5);
            (part - rank as f64 / count)
                .abs()
                .max((part - (rank + 1) as f64 / count).abs())
        })
        .fold(0.0, f64::max);
    (distance, 1.63 / libm::sqrt(count))
}

#[test]
fn latencies_are_distributed_as_was_asked_for() {
    let normal = |mean: f64, deviation: f64, x: f64| {
        0.5 * (1.0 + libm::erf((x - mean) / (deviation * std::f64::consts::SQRT_2)))
    };
    type Below = Box<dyn Fn(f64) -> f64>;
    let cases: Vec<(&str, Below)> = vec![
        (
            "40ms..60ms",
            Box::new(|x| ((x - 40_000.0) / 20_000.0).clamp(0.0, 1.0)),
        ),
        (
            "normal(50ms,5ms)",
            Box::new(move |x| normal(50_000.0, 5_000.0, x)),
        ),
        (
            "exponential(10ms,30ms)",
            Box::new(|x| 1.0 - libm::exp(-(x - 10_000.0).max(0.0) / 30_000.0)),
        ),
        (
            "lognormal(50ms,0.5)",
            Box::new(move |x| normal(libm::log(50_000.0), 0.5, libm::log(x))),
        ),
    ];
    for (text, below) in cases {
        let latency: Latency = text.parse().expect("a latency");
        // As messages cross a network, from each of several senders.
        let family = Seeds::new(3).family("network");
        let mut network = Network::new(Links::sound(latency), 4, 0, family);
        let times = (0..20_000)
            .map(|number| network.cross(0, number % 4, (number + 1) % 4, Cargo::Request, || 0))
            .map(|time| time.expect("nothing is lost"))
            .collect();
        let (distance, critical) = distance(times, below);
        assert!(distance < critical, "{text}: {distance}, above {critical}");
    }
}
