//! How long one `handle` takes: the time for which a driver holds the node's lock.
//!
//! The goal is 1 µs in the common case and 20 µs at worst, for the sizes of answers that clients
//! ask for.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use peerage_benches::{Bench, commands, info, mempool};
use peerage_core::Request;
use peerage_core::commons::network::NetworkId;
use peerage_core::http::page::{Cursor, PageQuery};
use peerage_core::rooms::chainweb_mempool::key::RequestKey;
use peerage_core::rooms::chainweb_mempool::{Mark, Query, Response};
use peerage_core::rooms::chainweb_peers;

const NETWORK: NetworkId = NetworkId::Cut;

fn handle(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle");
    let mut bench = Bench::filled(64, 10_000);
    let mut measure = |name: &str, request: Request| {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    let request = request.clone();
                    let began = Instant::now();
                    bench.handle(request);
                    total += began.elapsed();
                    bench.settle();
                }
                total
            });
        });
    };

    let page = |query| {
        chainweb_peers::Request::Page {
            network: NETWORK,
            query,
        }
        .into()
    };
    measure("get_peers_64", page(PageQuery::default()));
    let next = Some(Cursor::Inclusive(10));
    measure(
        "get_peers_from_10",
        page(PageQuery {
            limit: Some(20),
            next,
        }),
    );
    measure(
        "put_peer_known",
        chainweb_peers::Request::Put {
            network: NETWORK,
            peer: info(3),
        }
        .into(),
    );

    let keys = |count: usize| -> Vec<RequestKey> {
        commands(0, count)
            .iter()
            .map(|command| command.key().clone())
            .collect()
    };
    measure("member_100", mempool(Query::Member(keys(100))));
    measure("lookup_20", mempool(Query::Lookup(keys(20))));
    measure("insert_1_pending", mempool(Query::Insert(commands(0, 1))));
    measure("insert_20_pending", mempool(Query::Insert(commands(0, 20))));
    measure("get_pending_all_10000", mempool(Query::GetPending(None)));
    let mut fresh = Bench::filled(0, 10_000);
    let Some(mark) = mark(&mut fresh) else { return };
    measure(
        "get_pending_since_mark",
        mempool(Query::GetPending(Some(mark))),
    );
    group.finish();
}

fn mark(bench: &mut Bench) -> Option<Mark> {
    let answer = bench.ask(mempool(Query::GetPending(None)));
    let peerage_core::Response::ChainwebMempool(Response::Pending { mark, .. }) = answer else {
        return None;
    };
    Some(mark)
}

criterion_group!(benches, handle);
criterion_main!(benches);
