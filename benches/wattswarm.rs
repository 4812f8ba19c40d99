//! WattSwarm's lists when they are long: 100,000 relationships, 10,000 peers.
//!
//! A list is asked for in `handle`, under the node's lock, and written out after it, on the connection's
//! own task. So what counts for everybody else is the time of `handle`: it grows with the number of a
//! list's sections, a hundredth of its length, and a change while a list is written copies one section.
//!
//! The memory of a relationship is measured too, by what the process has resident before and after
//! (Linux only). It goes to standard output.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use peerage_benches::{Bench, node_key};
use peerage_core::config::WattswarmMode;
use peerage_core::ids::PublicKey;
use peerage_core::input::PeerCert;
use peerage_core::rooms::wattswarm::records::{Action, Actor};
use peerage_core::rooms::wattswarm::{
    Act, Delivery, Greeting, Material, Note, Parcel, Request, Response,
};
use peerage_core::{Caller, Listener};

/// How long the lists are. Under `cargo test` short ones show that everything still works.
fn lengths() -> (usize, usize) {
    if std::env::args().any(|arg| arg == "--bench") {
        (100_000, 10_000)
    } else {
        (1_000, 100)
    }
}

fn act(number: usize, action: Action) -> Request {
    Request::Act(Act {
        remote: node_key(number).to_string().into(),
        action,
        by: Actor::Local,
        envelope: None,
    })
}

/// A node without a network that has asked everybody.
fn with_relationships(count: usize) -> Bench {
    let mut bench = Bench::with(|config| config.wattswarm.mode = WattswarmMode::Local);
    for number in 0..count {
        let answer = bench.ask(act(number, Action::Request).into());
        assert!(matches!(
            answer,
            peerage_core::Response::Wattswarm(Response::Acted(_))
        ));
    }
    bench
}

/// A node that was asked by everybody, and so has met them.
fn with_peers(count: usize) -> Bench {
    let mut bench = Bench::new();
    let own = bench.node.config().identity.public_key;
    for number in 0..count {
        let key = node_key(number);
        let (from, request) = delivery(own, key);
        bench.handle_as(from, request.into());
        bench.settle();
    }
    assert_eq!(bench.gauge("wattswarm_neighbours"), count as u64);
    bench
}

fn delivery(own: PublicKey, key: PublicKey) -> (Caller, Request) {
    let from = Caller {
        addr: ([127, 0, 0, 1], 40_000).into(),
        listener: Listener::P2p,
        authorization: None,
        cert: Some(PeerCert {
            fingerprint: peerage_core::ids::Fingerprint(key.0),
            key: Some(key),
        }),
    };
    let delivery = Delivery {
        greeting: Greeting {
            source_node_id: key.into(),
            target_node_id: own.into(),
            made: 1,
            heard: 0,
            clock: 1,
            contact_material: Material::new(
                format!(r#"{{"node_id":"{key}","listen_addrs":[]}}"#).into(),
                None,
                1,
            ),
        },
        parcel: Parcel::Notes(vec![Note {
            seq: 1,
            clock: 1,
            action: Action::Request,
            envelope: None,
        }]),
    };
    (from, Request::Deliver(delivery.into()))
}

fn lists(c: &mut Criterion) {
    let (relationships, peers) = lengths();
    let mut group = c.benchmark_group("wattswarm");
    group.sample_size(20);

    let before = resident_bytes();
    let mut bench = with_relationships(relationships);
    report("relationship", resident_bytes() - before, relationships);
    let mut measure = |bench: &mut Bench, name: &str, request: fn() -> Request| {
        group.bench_function(format!("{name}_handle"), |b| {
            b.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    let began = Instant::now();
                    bench.handle(request().into());
                    total += began.elapsed();
                    bench.settle();
                }
                total
            });
        });
        let answer = bench.ask(request().into());
        group.bench_function(format!("{name}_encode"), |b| b.iter(|| answer.encode()));
    };
    measure(&mut bench, "relationships", || Request::Relationships);

    let before = resident_bytes();
    let mut met = with_peers(peers);
    report("peer with relationship", resident_bytes() - before, peers);
    measure(&mut met, "peers", || Request::List);

    // The worst change: a listing is still being written, so that a section must be copied.
    let actions = [Action::Cancel, Action::Request];
    let mut turns = 0;
    group.bench_function("act_while_listed", |b| {
        b.iter_custom(|rounds| {
            let mut total = Duration::ZERO;
            for _ in 0..rounds {
                let listing = bench.ask(Request::Relationships.into());
                let request = act(relationships / 2, actions[turns % 2]).into();
                turns += 1;
                let began = Instant::now();
                bench.handle(request);
                total += began.elapsed();
                bench.settle();
                drop(listing);
            }
            total
        });
    });
    group.finish();
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * 4_096
}

#[expect(clippy::print_stdout, reason = "the number is the result")]
fn report(what: &str, bytes: usize, count: usize) {
    println!(
        "memory of a {what}: {} bytes, {count} of them",
        bytes / count
    );
}

criterion_group!(benches, lists);
criterion_main!(benches);
