//! Bursts, refills, and how many callers are remembered.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

const SEC: u64 = MICROS_PER_SEC;
const PEER: &str = "/chainweb/0.0/development/cut/peer";
const MEMPOOL: &str = "/chainweb/0.0/development/chain/0/mempool/member";
const MEMPOOL_PEER: &str = "/chainweb/0.0/development/chain/0/mempool/peer";

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn rate(text: &str) -> Rate {
    text.parse().expect("a rate")
}

fn throttle() -> Throttle {
    Throttle::new(Rates::default(), ADDRESSES_MAX)
}

/// Requests that are admitted before the first refusal.
fn burst(throttle: &mut Throttle, now: u64, ip: IpAddr, put: bool, path: &str) -> usize {
    (0..1000)
        .take_while(|_| throttle.admit(now, ip, put, path))
        .count()
}

#[test]
fn bursts_are_four_times_the_rate() {
    assert_eq!(burst(&mut throttle(), 0, ip(1), true, PEER), 44);
    assert_eq!(burst(&mut throttle(), 0, ip(1), false, MEMPOOL), 80);
    assert_eq!(burst(&mut throttle(), 0, ip(1), false, PEER), 200);
    assert_eq!(burst(&mut throttle(), 0, ip(1), true, MEMPOOL_PEER), 44);
}

#[test]
fn outer_refusal_takes_nothing_from_the_inner_ones() {
    let mut throttle = throttle();
    assert_eq!(burst(&mut throttle, 0, ip(1), true, MEMPOOL_PEER), 44);
    for _ in 0..100 {
        assert!(!throttle.admit(0, ip(1), true, MEMPOOL_PEER));
    }
    assert_eq!(burst(&mut throttle, 0, ip(1), false, MEMPOOL), 80 - 44);
    assert_eq!(burst(&mut throttle, 0, ip(1), false, PEER), 200 - 80);
}

#[test]
fn inner_refusal_has_cost_the_outer_ones() {
    let rates = Rates {
        put_peer: Rate::new(2, 1),
        mempool: None,
        global: Rate::new(1, 1),
    };
    let mut throttle = Throttle::new(rates, 10);
    assert_eq!(burst(&mut throttle, 0, ip(1), true, PEER), 4);
    for _ in 0..3 {
        assert!(!throttle.admit(0, ip(1), true, PEER));
    }
    // A second gives the inner bucket one token, the outer one two.
    assert_eq!(burst(&mut throttle, SEC, ip(1), true, PEER), 1);
}

#[test]
fn clients_are_counted_by_address() {
    let mut throttle = throttle();
    assert_eq!(burst(&mut throttle, 0, ip(1), true, PEER), 44);
    assert_eq!(burst(&mut throttle, 0, ip(2), true, PEER), 44);
    let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
    assert!(!throttle.admit(0, mapped, true, PEER));
    assert!(throttle.admit(0, IpAddr::V6(Ipv6Addr::LOCALHOST), true, PEER));
    assert_eq!(throttle.len(), 3);
}

#[test]
fn buckets_refill_continuously() {
    let mut throttle = throttle();
    assert_eq!(burst(&mut throttle, 0, ip(1), true, PEER), 44);
    assert!(!throttle.admit(90_909, ip(1), true, PEER));
    assert!(throttle.admit(90_910, ip(1), true, PEER));
    assert!(!throttle.admit(90_910, ip(1), true, PEER));
    assert!(
        !throttle.admit(0, ip(1), true, PEER),
        "time that runs backwards gives nothing"
    );
    assert_eq!(burst(&mut throttle, 90_910 + SEC, ip(1), true, PEER), 11);
}

#[test]
fn silent_buckets_are_forgotten_and_start_full() {
    let rates = Rates {
        put_peer: None,
        mempool: None,
        global: Rate::new(1, 100),
    };
    let mut throttle = Throttle::new(rates, 10);
    assert_eq!(burst(&mut throttle, 0, ip(1), false, "/"), 4);
    assert!(!throttle.admit(FORGET_MICROS - 1, ip(1), false, "/"));
    assert!(!throttle.admit(2 * FORGET_MICROS - 2, ip(1), false, "/"));
    assert_eq!(
        burst(&mut throttle, 3 * FORGET_MICROS - 2, ip(1), false, "/"),
        4
    );
}

#[test]
fn table_is_bounded_and_evicts_the_stalest() {
    let mut throttle = Throttle::new(Rates::default(), 3);
    for last in 1..=3 {
        assert_eq!(
            burst(&mut throttle, u64::from(last), ip(last), true, PEER),
            44
        );
    }
    assert!(!throttle.admit(4, ip(1), true, PEER));
    assert!(throttle.admit(5, ip(4), true, PEER));
    assert_eq!(throttle.len(), 3);
    assert!(!throttle.admit(6, ip(1), true, PEER), "still remembered");
    assert!(!throttle.admit(6, ip(3), true, PEER), "still remembered");
    assert!(throttle.admit(6, ip(2), true, PEER), "was the stalest");
    assert_eq!(throttle.clients.len(), 3);
}

#[test]
fn silent_clients_leave_the_table() {
    let mut throttle = throttle();
    assert!(throttle.is_empty());
    for last in 0..=255 {
        assert!(throttle.admit(0, ip(last), false, "/"));
    }
    assert_eq!(throttle.len(), 256);
    for i in 0..200 {
        throttle.admit(FORGET_MICROS + i, ip(0), false, "/");
    }
    assert_eq!(throttle.len(), 1);
}

#[test]
fn table_agrees_with_a_plain_one() {
    // Goal: the linked list never loses or doubles a client, whatever the order of visits.
    let mut throttle = Throttle::new(Rates::default(), 5);
    let mut order: Vec<IpAddr> = Vec::new();
    let mut state = 1_u32;
    for now in 0..5_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let client = ip((state >> 24) as u8 % 9);
        throttle.admit(now, client, false, "/");
        order.retain(|other| *other != client);
        order.push(client);
        if order.len() > 5 {
            order.remove(0);
        }
        let mut listed = Vec::new();
        let mut slot = throttle.oldest;
        while slot != NOBODY {
            listed.push(throttle.clients[slot].ip);
            slot = throttle.clients[slot].newer;
        }
        assert_eq!(listed, order);
        assert_eq!(throttle.len(), order.len());
    }
}

#[test]
fn switched_off_buckets_admit_everything() {
    let off = Rates {
        put_peer: None,
        mempool: None,
        global: None,
    };
    let mut throttle = Throttle::new(off, 1);
    assert_eq!(burst(&mut throttle, 0, ip(1), true, MEMPOOL_PEER), 1000);
    assert!(throttle.is_empty());
}

#[test]
fn rates_are_exact_fractions() {
    assert_eq!(rate("11").burst(), 44);
    assert_eq!(rate("10.5"), Rate::new(105, 10).expect("above zero"));
    assert_eq!(rate("10.5").burst(), 44);
    assert_eq!(rate("1/3").burst(), 4);
    assert_eq!(rate("21/2").to_string(), "21/2");
    assert_eq!(rate("50").to_string(), "50");
    for bad in [
        "",
        "0",
        "0.0",
        "-1",
        "+1",
        "1/0",
        "1/",
        "/1",
        ".5",
        "1.",
        "1e3",
        "4294967296",
        "1.0000000000",
    ] {
        assert_eq!(bad.parse::<Rate>(), Err(MalformedRate), "{bad}");
    }
}

#[test]
fn largest_rates_do_not_overflow() {
    for (requests, secs) in [
        (u32::MAX, 1),
        (1, u32::MAX),
        (u32::MAX, u32::MAX),
        (u32::MAX, 2),
    ] {
        let rate = Rate::new(requests, secs).expect("above zero");
        let mut bucket = TokenBucket::full(rate, 0);
        assert!(bucket.take(rate, u64::MAX));
        assert_eq!(bucket.level / rate.token(), rate.burst() - 1);
    }
}

#[test]
fn waiting_as_long_as_told_is_enough() {
    let rate = rate("7/3");
    let mut bucket = TokenBucket::full(rate, 0);
    let mut now = 0;
    for _ in 0..100 {
        let wait = bucket.wait_micros(rate, now);
        if let Some(early) = wait.checked_sub(1) {
            assert!(!bucket.clone().take(rate, now + early));
        }
        now += wait;
        assert!(bucket.take(rate, now));
    }
}
