//! Inserting signed transactions, beside the bare cost of checking their signatures together.

use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use peerage_benches::{Bench, commands, insert_body, mempool, wire};
use peerage_core::Listener;
use peerage_core::http::{Head, Reception, Site, receive};
use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::chainweb_mempool::{Query, signature};

const BATCH: usize = 64;

fn insert(c: &mut Criterion) {
    let mut group = c.benchmark_group("mempool");
    group.throughput(Throughput::Elements(BATCH as u64));
    let batch = commands(0, BATCH);

    let checked: Vec<&Command> = batch.iter().map(Arc::as_ref).collect();
    group.bench_function("signatures_alone_64", |b| {
        b.iter(|| signature::verify_batch(&checked))
    });

    // From the body's bytes to the answer: decoding, the node's own work, and the same checks.
    let body = body(BATCH);
    group.bench_function("insert_64", |b| {
        b.iter_batched(
            Bench::new,
            |mut bench| {
                let request = decode(&bench, body.clone());
                bench.handle(request);
                bench.settle()
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("decode_64", |b| {
        let bench = Bench::new();
        b.iter(|| decode(&bench, body.clone()));
    });
    group.bench_function("handle_64_without_checks", |b| {
        b.iter_batched(
            || (Bench::new(), mempool(Query::Insert(batch.clone()))),
            |(mut bench, request)| {
                bench.handle(request);
                bench
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn body(count: usize) -> Bytes {
    let wires: Vec<String> = (0..count).map(wire).collect();
    insert_body(&wires).into()
}

fn decode(bench: &Bench, body: Bytes) -> peerage_core::Request {
    let site = Site::new(bench.node.config());
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/json"),
    );
    let head = Head {
        listener: Listener::Api,
        method: &http::Method::PUT,
        path: "/chainweb/0.0/development/chain/0/mempool/insert",
        query: None,
        headers: &headers,
    };
    let Reception::Proceed(routed) = receive(&site, &head) else {
        unreachable!("a path of ours")
    };
    routed.route.decode(&site, body).expect("a body of ours")
}

criterion_group!(benches, insert);
criterion_main!(benches);
