//! The contract of a node, with one on a table or several wired together.

use super::*;
use crate::commons::network::NetworkId;
use crate::rooms::chainweb_mempool::{self as mempool, Query};
use crate::rooms::chainweb_peers as peers;
use crate::rows::Record;
use crate::scripted::*;
use crate::time::{Duration, WallTime};

const CUT: NetworkId = NetworkId::Cut;
const POOL: NetworkId = NetworkId::Mempool(0);

/// The promise for idle networks: half a second from one node to the next.
#[test]
fn a_transaction_reaches_the_other_of_two_nodes_at_once_from_either_side() {
    for side in [0, 1] {
        let mut world = World::new(2, |i, config| {
            if i == 1 {
                config.known_peers = vec![info(1)];
            }
        });
        let sessions = |world: &World, i: usize| world.nodes[i].gauge("mempool_sessions") == 1;
        assert!(world.until(Duration::from_secs(2), |world| {
            sessions(world, 0) && sessions(world, 1)
        }));
        world.until(Duration::from_millis(100), |_| false);
        world.ask(side, mempool(0, Query::Insert(vec![command("a")])));
        let reached = world.until(Duration::from_millis(500), |world| {
            world.pending(1 - side) == 1
        });
        assert!(reached, "inserted at node {side}");
    }
}

#[test]
fn a_transaction_passes_through_the_middle_of_three_nodes_in_a_line() {
    let mut world = World::new(3, |i, config| {
        config.private = true;
        config.known_peers = match i {
            0 => vec![info(2)],
            1 => vec![info(1), info(3)],
            _ => vec![info(2)],
        };
    });
    world.until(Duration::from_secs(2), |_| false);
    world.ask(0, mempool(0, Query::Insert(vec![command("a")])));
    assert!(world.until(Duration::from_millis(1_000), |world| world.pending(2) == 1));
    let direct = world
        .log
        .iter()
        .any(|(from, to, _)| from.abs_diff(*to) == 2);
    assert!(!direct, "the ends do not know each other");
    let inserts = |from, to| {
        let is = |request: &Request| request.name() == "insert";
        let of = |(a, b, request): &&(usize, usize, Request)| (*a, *b) == (from, to) && is(request);
        world.log.iter().filter(of).count()
    };
    assert_eq!((inserts(0, 1), inserts(1, 2)), (1, 1));
    assert_eq!(
        (inserts(1, 0), inserts(2, 1)),
        (0, 0),
        "not given back to the giver"
    );
}

#[test]
fn a_restarted_peer_is_in_touch_again_and_gets_everything() {
    let mut world = World::new(2, |i, config| {
        if i == 1 {
            config.known_peers = vec![info(1)];
        }
    });
    world.until(Duration::from_secs(1), |_| false);
    world.ask(0, mempool(0, Query::Insert(vec![command("a")])));
    assert!(world.until(Duration::from_secs(1), |world| world.pending(1) == 1));
    // Node 0 comes back without its disk, under another nonce.
    let (mono, wall) = (world.nodes[0].now.mono, world.nodes[0].now.wall);
    let mut fresh = Script::new(config(1));
    fresh.now = Now { mono, wall };
    world.nodes[0] = fresh;
    assert!(world.until(Duration::from_secs(320), |world| world.pending(0) == 1));
}

#[test]
fn answers_and_calls_wait_for_the_rows_they_reveal() {
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    let (id, input) = script.request(operator(), put_peer(CUT, info(2)));
    let (call, ..) = calls(&script.feed(input)).remove(0);
    let result = Ok(answer(Response::Opaque(200), 2));
    let added = script.feed(Input::Reply { id: call, result });
    assert!(responses(&added).is_empty(), "the peer is not durable");
    // A reader of the page waits for the same commit, behind the first answer.
    let (reader, input) = script.request(operator(), page_of(CUT));
    assert!(responses(&script.feed(input)).is_empty());
    // Other rooms read the commons, so they wait as well.
    let (pool, input) = script.request(operator(), mempool(0, Query::GetPending(None)));
    assert!(responses(&script.feed(input)).is_empty());
    let started = script.feed(Input::Tick);
    assert!(
        calls(&started).is_empty(),
        "the session's first call reveals the peer"
    );
    let upto = script.issued;
    let order: Vec<RequestId> = script
        .feed(Input::Persisted { upto })
        .iter()
        .filter_map(|output| {
            let Output::Respond { id, .. } = output else {
                return None;
            };
            Some(*id)
        })
        .collect();
    let place = |id| order.iter().position(|other| *other == id);
    assert!(
        place(id) < place(reader) && place(id).is_some(),
        "first in, first out: {order:?}"
    );
    assert!(place(pool).is_some());
    assert_eq!(script.owes(), 0);
    // Nothing is in flight: a reader is answered at once.
    let (_, input) = script.request(operator(), page_of(CUT));
    assert_eq!(responses(&script.feed(input)).len(), 1);
}

#[test]
fn a_hints_commit_holds_nobody_up_and_comes_within_a_second() {
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    let before = script.issued;
    assert!(
        script
            .ask(operator(), mempool(0, Query::Insert(vec![command("a")])))
            .is_some()
    );
    assert_eq!(script.issued, before);
    script.set_mono(script.now.mono + Duration::from_millis(999));
    script.feed(Input::Tick);
    assert_eq!(script.issued, before);
    script.set_mono(script.now.mono + Duration::from_millis(1));
    script.feed(Input::Tick);
    assert_eq!(script.issued, before.next(), "written, and not yet durable");
    let (_, input) = script.request(operator(), mempool(0, Query::GetPending(None)));
    assert_eq!(responses(&script.feed(input)).len(), 1);
    assert_eq!(script.durable(), script.exported());
}

#[test]
fn hints_ride_along_with_a_promise_and_their_deadline_goes() {
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    script.ask(operator(), mempool(0, Query::Insert(vec![command("a")])));
    let before = script.issued;
    script.learn_peer(CUT, info(2));
    assert_eq!(script.issued, before.next());
    assert_eq!(script.durable(), script.exported());
    assert_eq!(script.gauge("hints_waiting"), 0);
    assert!(!script.node.shared.timers.armed(Due::FlushHints));
}

#[test]
fn many_hints_are_written_at_once_and_each_key_once() {
    let mut journal = Journal::default();
    let row = |n: usize| {
        let addr = format!("h{n}.example:1").parse().expect("an address");
        Row::from(CommonsRow::Liveness(addr, None))
    };
    for _ in 0..3 {
        for n in 0..crate::limits::HINTS_MAX - 1 {
            journal.put_lazily(row(n));
        }
    }
    assert!(journal.take().is_none());
    journal.put_lazily(row(usize::MAX));
    let (rows, touched) = journal.take().expect("written");
    assert_eq!(rows.len(), crate::limits::HINTS_MAX);
    assert_eq!(touched, [false; Scope::COUNT]);
}

#[test]
fn a_drained_node_writes_its_hints_and_takes_nothing_new() {
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    script.ask(operator(), mempool(0, Query::Insert(vec![command("a")])));
    script.run(Input::Drain);
    assert_eq!(script.durable(), script.exported());
    assert_eq!(
        script.ask(operator(), page_of(CUT)),
        Some(Response::Refused(Refused::Draining))
    );
}

#[test]
fn a_hung_up_request_is_not_answered() {
    let mut script = Script::new(config(1));
    let (id, input) = script.request(operator(), put_peer(CUT, info(2)));
    let (call, ..) = calls(&script.run(input)).remove(0);
    script.run(Input::Hangup { id });
    assert!(responses(&script.reply(call, Response::Opaque(200), 2)).is_empty());
    assert_eq!(
        script.listed(CUT),
        [info(2)],
        "the peer was found all the same"
    );
}

#[test]
fn late_replies_and_verdicts_are_ignored() {
    let mut script = Script::new(config(1));
    let (_, input) = script.request(operator(), put_peer(CUT, info(2)));
    let (call, ..) = calls(&script.run(input)).remove(0);
    let expired = script.advance(Duration::from_secs(5));
    assert_eq!(responses(&expired).len(), 1);
    assert!(
        expired
            .iter()
            .any(|output| matches!(output, Output::Abandon { id } if *id == call))
    );
    let late = script.reply(call, Response::Opaque(200), 2);
    assert_eq!(events(&late), ["late_reply_ignored"]);
    assert_eq!(late.len(), 1);
    // The slot has a new tenant; the old name does not reach it.
    let (_, input) = script.request(operator(), put_peer(CUT, info(3)));
    let (next, ..) = calls(&script.run(input)).remove(0);
    assert_ne!(next, call);
    assert_eq!(script.reply(call, Response::Opaque(200), 3).len(), 1);
    assert_eq!(
        responses(&script.reply(next, Response::Opaque(200), 3)).len(),
        1
    );
}

/// A slow disk must not eat the time that a peer has to answer.
#[test]
fn a_calls_deadline_starts_when_the_gate_lets_it_go() {
    let mut script = Script::new(config(1));
    script.run(Input::Tick);
    script.feed_put_known(2);
    script.set_mono(Instant::from_micros(500_000));
    assert!(calls(&script.feed(Input::Tick)).is_empty());
    script.set_mono(Instant::from_micros(60_000_000));
    script.feed(Input::Tick);
    let upto = script.issued;
    let released = calls(&script.feed(Input::Persisted { upto }));
    assert!(!released.is_empty());
    let timeout = script.node.config().sessions.request_timeout;
    script.set_mono(script.now.mono + (timeout - Duration::from_micros(1)));
    assert!(!events(&script.feed(Input::Tick)).contains(&"call_failed"));
    script.set_mono(script.now.mono + Duration::from_micros(1));
    assert!(events(&script.feed(Input::Tick)).contains(&"call_failed"));
}

#[test]
fn equal_inputs_give_equal_outputs_and_a_clone_is_independent() {
    let drive = |script: &mut Script| {
        let mut seen = format!("{:?}", script.advance(Duration::from_millis(700)));
        script.learn_peer(POOL, info(2));
        script.ask(operator(), mempool(0, Query::Insert(vec![command("a")])));
        seen.push_str(&format!("{:?}", script.advance(Duration::from_secs(40))));
        seen.push_str(&format!(
            "{:?}{:?}",
            script.exported(),
            script.node.poll_timeout()
        ));
        seen
    };
    let (mut one, mut two) = (Script::new(config(1)), Script::new(config(1)));
    assert_eq!(drive(&mut one), drive(&mut two));
    let mut twin = one.clone();
    let before = format!("{:?}", one.node);
    let seen = drive(&mut twin);
    assert_eq!(
        before,
        format!("{:?}", one.node),
        "a clone shares nothing that changes"
    );
    assert_eq!(seen, drive(&mut one));
}

#[test]
fn a_restored_node_exports_the_rows_it_was_given() {
    let mut script = Script::new(config(1));
    script.advance(Duration::from_secs(1));
    script.learn_peer(CUT, info(2));
    script.learn_peer(POOL, info(2));
    let odd = ["[2001:db8::00a]:7", "Some.Example:443"];
    for (n, addr) in odd.iter().enumerate() {
        let id = (n == 0).then_some(cert(9).fingerprint);
        let peer = crate::commons::address::PeerInfo::new(id, addr.parse().expect("an address"));
        assert!(script.learn_peer(POOL, peer).is_some());
    }
    script.ask(
        operator(),
        mempool(0, Query::Insert(vec![command("a"), command("b")])),
    );
    script.ask(operator(), ban(addr(2)));
    script.advance(Duration::from_secs(2));
    assert_eq!(script.durable(), script.exported());
    let bytes: Vec<(Vec<u8>, Vec<u8>)> = script
        .exported()
        .iter()
        .map(|row| (row.key(), row.value().expect("a value")))
        .collect();
    let rows: Vec<Row> = bytes
        .iter()
        .map(|(key, value)| Row::decode(key, value).expect("a row"))
        .collect();
    assert_eq!(rows, script.exported(), "bytes and back");
    let mut backwards = rows.clone();
    backwards.reverse();
    for rows in [rows, backwards] {
        let mut again = Script::restore(config(1), rows);
        assert_eq!(again.exported(), script.exported());
        again.now.wall = script.now.wall;
        again.advance(Duration::from_secs(2));
        assert_eq!(again.pending(), 2, "checked again and taken");
        assert_eq!(again.durable(), again.exported());
    }
}

#[test]
fn a_ban_holds_if_the_clock_was_ahead_when_the_node_was_restored() {
    let mut script = Script::new(config(1));
    script.learn_peer(CUT, info(2));
    script.ask(operator(), ban(addr(2)));
    let rows = script.durable();
    let mut again = Script::restore(config(1), rows.clone());
    let mut ahead = again.now;
    ahead.wall = ahead.wall + Duration::from_secs(86_400);
    again.node = Node::restore(config(1), Seed([1; 32]), ahead, rows).expect("sound rows");
    again.run(Input::Tick);
    assert_eq!(again.listed(CUT), []);
}

#[test]
fn poll_timeout_changes_only_while_handling() {
    let script = Script::new(config(1));
    assert_eq!(
        script.node.poll_timeout(),
        Some(Instant::ZERO),
        "the start is due"
    );
    assert_eq!(
        script.node.poll_timeout(),
        script.clone().node.poll_timeout()
    );
}

#[test]
fn a_tick_leaves_due_what_does_not_fit_it() {
    let mut timers = Timers::default();
    let mut calls = Calls::default();
    assert!(timers.pop(Instant::from_micros(9)).is_none());
    timers.arm(Due::Pace, Instant::from_micros(5));
    timers.arm(Due::Pace, Instant::from_micros(7));
    timers.arm(Due::SweepBans, Instant::from_micros(6));
    assert_eq!(timers.len(), 2);
    assert_eq!(timers.earliest(), Some(Instant::from_micros(6)));
    assert_eq!(timers.pop(Instant::from_micros(5)), None);
    assert_eq!(timers.pop(Instant::from_micros(6)), Some(Due::SweepBans));
    timers.disarm(Due::Pace);
    assert_eq!((timers.earliest(), timers.len()), (None, 0));
    assert!(
        calls
            .close(
                Instant::ZERO,
                CallId(crate::slots::Slots::default().insert(()))
            )
            .is_none()
    );

    // Twenty chains start at one instant, with many peers: not all of it in one tick.
    let mut config = config(1);
    config.chains = 20;
    config.private = true;
    config.known_peers = (2..40).map(info).collect();
    let mut script = Script::new(config);
    script.run(Input::Tick);
    script.set_mono(Instant::from_micros(500_000));
    let mut ticks = 0;
    while script.node.poll_timeout() == Some(script.now.mono) {
        script.run(Input::Tick);
        ticks += 1;
        assert!(ticks < 100);
    }
    assert!(ticks > 1);
    assert_eq!(script.gauge("sessions"), 10 + 20 * 6);
}

#[test]
fn a_full_node_refuses_at_once_and_answers_later_what_it_owes() {
    let mut config = config(1);
    config.limits.requests_max = 2;
    let mut script = Script::new(config);
    for n in [2, 3] {
        let (_, input) = script.request(operator(), put_peer(CUT, info(n)));
        assert!(responses(&script.run(input)).is_empty());
    }
    assert_eq!(
        script.ask(operator(), page_of(CUT)),
        Some(Response::Refused(Refused::Busy))
    );
    assert_eq!(responses(&script.advance(Duration::from_secs(5))).len(), 2);
    assert_eq!(script.listed(CUT), []);
}

#[test]
fn a_stalled_disk_bounds_the_commits_that_wait_for_it() {
    let mut config = config(1);
    config.limits.commits_max = 3;
    let mut script = Script::new(config);
    for n in 2..=4 {
        script.learn_peer(CUT, info(n));
    }
    for n in 2..=4 {
        let (_, input) = script.request(operator(), ban(addr(n)));
        assert!(responses(&script.feed(input)).is_empty());
    }
    assert_eq!(script.node.commits_in_flight(), 3);
    let (_, input) = script.request(operator(), page_of(CUT));
    assert_eq!(
        responses(&script.feed(input)),
        [Response::Refused(Refused::Busy)]
    );
    let upto = script.issued;
    assert_eq!(responses(&script.feed(Input::Persisted { upto })).len(), 3);
    assert_eq!(script.gauge("outputs_held"), 0);
}

#[test]
fn held_answers_are_bounded_even_if_nobody_waits_for_them() {
    let mut config = config(1);
    config.limits.requests_max = 2;
    config.limits.calls_max = 3;
    let mut script = Script::new(config);
    script.learn_peer(CUT, info(2));
    let mut refused = 0;
    for _ in 0..9 {
        let (id, input) = script.request(operator(), ban(addr(2)));
        if responses(&script.feed(input)).is_empty() {
            script.feed(Input::Hangup { id });
        } else {
            refused += 1;
        }
    }
    assert_eq!((script.gauge("outputs_held"), refused), (5, 4));
    let upto = script.issued;
    assert!(responses(&script.feed(Input::Persisted { upto })).is_empty());
    assert_eq!(script.gauge("outputs_held"), 0);
}

#[test]
fn held_answers_are_bounded_in_bytes() {
    let mut script = Script::new(config(1));
    script.feed_put_known(2);
    let mut asked = 0;
    loop {
        let keys = vec![mempool::key::RequestKey::Odd([0; 9].as_slice().into()); 40_000];
        let (_, input) = script.request(operator(), mempool(0, Query::Member(keys)));
        asked += 1;
        if !responses(&script.feed(input)).is_empty() {
            break;
        }
        assert!(asked < 10_000, "nothing holds it");
    }
    assert!(script.node.shared.gate.held_bytes() < HELD_BYTES_MAX + 100_000);
}

#[test]
fn a_refused_banned_caller_hears_of_it_once_the_ban_is_durable() {
    let mut script = Script::new(config(1));
    script.learn_peer(CUT, info(2));
    let (_, input) = script.request(operator(), ban(addr(2)));
    script.feed(input);
    let (_, input) = script.request(peer_caller(2), page_of(CUT));
    assert!(responses(&script.feed(input)).is_empty());
    let upto = script.issued;
    let answers = responses(&script.feed(Input::Persisted { upto }));
    assert!(answers.contains(&Response::Refused(Refused::Banned)));
    assert_eq!(answers.len(), 2);
}

#[test]
fn too_many_calls_are_busy_and_the_peers_are_not() {
    let mut config = config(1);
    config.limits.calls_max = 1;
    let mut script = Script::new(config);
    let (_, input) = script.request(operator(), put_peer(CUT, info(2)));
    assert!(responses(&script.run(input)).is_empty());
    let Some(Response::ChainwebPeers(peers::Response::Refused(refusal))) =
        script.ask(operator(), put_peer(CUT, info(3)))
    else {
        panic!("refused");
    };
    assert_eq!(
        refusal,
        peers::Refusal::IsNotReachable("TooManyProbes".into())
    );
}

/// A stock node answers 429 to whom asks too fast, and a session would fail of it.
#[test]
fn a_stock_peer_never_throttles_us() {
    use crate::http::throttle::{ADDRESSES_MAX, Rates, Throttle};
    let mut config = config(1);
    config.chains = 20;
    config.known_peers = vec![info(2)];
    config.sessions.poll_interval = Duration::from_secs(1);
    let site = crate::http::Site::new(&config);
    let mut script = Script::new(config);
    let mut throttle = Throttle::new(Rates::default(), ADDRESSES_MAX);
    let own = core::net::IpAddr::from([10, 0, 0, 1]);
    let (mut count, mut paced) = (0, 0);
    let end = Instant::from_micros(700_000_000);
    while let Some(at) = script.node.poll_timeout().filter(|at| *at < end) {
        script.set_mono(at.max(script.now.mono));
        let mut outputs = script.run(Input::Tick);
        while !outputs.is_empty() {
            let mut next = Vec::new();
            for (id, _, request) in calls(&outputs) {
                let sent = request.encode(&site);
                let path = sent.target.split('?').next().expect("a path");
                let put = sent.method.as_str() == "PUT";
                count += 1;
                assert!(
                    throttle.admit(script.now.mono.as_micros(), own, put, path),
                    "call {count} at {}: {path}",
                    script.now.mono
                );
                let response: Response = match request {
                    Request::ChainwebPeers(peers::Request::Page { .. }) => {
                        peers::Response::Page(Arc::new(peers::Page::default())).into()
                    }
                    Request::ChainwebPeers(_) => peers::Response::Added.into(),
                    Request::Bans(_)
                    | Request::ChainwebMempool(_)
                    | Request::Cluster(_)
                    | Request::Grin(_)
                    | Request::Wattswarm(_) => {
                        let mark = mempool::Mark { nonce: 7, since: 1 };
                        let hashes = Vec::new();
                        mempool::Response::Pending { hashes, mark }.into()
                    }
                };
                next.extend(script.reply(id, response, 2));
            }
            paced += events(&outputs)
                .iter()
                .filter(|name| **name == "call_paced")
                .count();
            outputs = next;
        }
    }
    assert!(count > 5_000 && paced > 100, "{count} calls, {paced} paced");
    assert_eq!(script.gauge("peers"), 1);
}

#[test]
fn bans_end_by_their_time_and_when_the_clock_jumps() {
    for jump in [false, true] {
        let mut script = Script::new(config(1));
        script.learn_peer(CUT, info(2));
        assert!(matches!(
            script.ask(operator(), ban(addr(2))),
            Some(Response::Bans(crate::rooms::bans::Response::Done))
        ));
        let mut script = Script::restore(config(1), script.durable());
        assert_eq!(script.listed(CUT), [], "the ban has survived the restart");
        script.advance(Duration::from_secs(10_799));
        assert_eq!(script.listed(CUT), []);
        if jump {
            script.now.wall = WallTime::from_secs(EPOCH + 10_800);
        } else {
            script.advance(Duration::from_secs(1));
        }
        assert_eq!(script.listed(CUT), [info(2)], "jump: {jump}");
        script.advance(Duration::from_secs(2));
        assert_eq!(script.durable(), script.exported());
        assert_eq!(script.gauge("bans"), 0);
    }
}

impl Script {
    /// Announces a peer and finds it, without making it durable.
    fn feed_put_known(&mut self, n: u8) {
        let (_, input) = self.request(operator(), put_peer(POOL, info(n)));
        let (id, ..) = calls(&self.feed(input)).remove(0);
        let result = Ok(answer(Response::Opaque(200), n));
        self.feed(Input::Reply { id, result });
    }

    fn pending(&self) -> u64 {
        self.gauge("mempool_pending")
    }
}
