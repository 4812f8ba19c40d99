//! A session against a scripted peer, honest or lying.

use super::*;
use crate::http::Site;
use crate::input::{CallId, Input};
use crate::rooms::chainweb_peers as peers;
use crate::scripted::*;

/// A node whose one session with node 2 is at the point of asking what is pending.
struct Session {
    script: Script,
    call: CallId,
    log: Vec<String>,
}

const MARK: Mark = Mark {
    nonce: -2_247,
    since: 70,
};

impl Session {
    fn new(pending: &[Arc<Command>], tune: impl Fn(&mut crate::Config)) -> Self {
        let mut tuned = config(1);
        tuned.known_peers = vec![info(2)];
        tuned.sessions.cut_max = 0;
        tune(&mut tuned);
        let mut script = Script::new(tuned);
        script.run(Input::Tick);
        script.ask(operator(), mempool(0, Query::Insert(pending.to_vec())));
        let mut session = Self {
            script,
            call: CallId(crate::slots::Slots::default().insert(())),
            log: Vec::new(),
        };
        let outputs = session.script.advance(Duration::from_millis(500));
        session.note(&outputs);
        let page = peers::Response::Page(Arc::new(peers::Page::default()));
        session.answer(page);
        session.answer(peers::Response::Added);
        session
    }

    fn note(&mut self, outputs: &[crate::Output]) {
        let site = Site::new(self.script.node.config());
        for (id, _, request) in calls(outputs) {
            let sent = request.encode(&site);
            let target = sent
                .target
                .replace("/chainweb/0.0/development/chain/0/mempool", "");
            self.log.push(format!("{} {target}", sent.method));
            self.call = id;
        }
    }

    fn answer(&mut self, response: impl Into<rooms::Response>) -> Vec<crate::Output> {
        let outputs = self.script.reply(self.call, response, 2);
        self.note(&outputs);
        outputs
    }

    fn fail(&mut self, error: CallError) -> Vec<crate::Output> {
        let outputs = self.script.fail(self.call, error);
        self.note(&outputs);
        outputs
    }

    fn pass(&mut self, by: Duration) -> Vec<crate::Output> {
        let outputs = self.script.advance(by);
        self.note(&outputs);
        outputs
    }

    /// Waits for the next call, and tells how many tenths of a second it took.
    fn wait(&mut self) -> u64 {
        let before = self.log.len();
        let tenths = (1..).find(|_| {
            self.pass(Duration::from_millis(100));
            self.log.len() > before
        });
        tenths.expect("endless")
    }

    fn has(&mut self, hashes: Vec<TxHash>, since: i64) -> Vec<crate::Output> {
        let mark = Mark { since, ..MARK };
        self.answer(Response::Pending { hashes, mark })
    }

    fn pending(&self) -> u64 {
        self.script.gauge("mempool_pending")
    }

    fn lasts(&self) -> bool {
        self.script.gauge("mempool_sessions") == 1
    }

    fn last(&self) -> &str {
        self.log.last().map_or("", String::as_str)
    }
}

fn hash(command: &Arc<Command>) -> TxHash {
    command.key().full().expect("32 bytes")
}

#[test]
fn a_session_of_two_empty_pools_makes_the_calls_of_the_vectors() {
    let mut session = Session::new(&[], |_| {});
    session.has(vec![], 70);
    session.has(vec![], 70);
    let tenths = session.wait();
    assert!(
        (50..250).contains(&tenths),
        "15 s, normally distributed: {tenths}"
    );
    assert_eq!(
        session.log,
        [
            "GET /peer",
            "PUT /peer",
            "POST /getPending",
            "POST /getPending?nonce=-2247&since=70",
            "POST /getPending?nonce=-2247&since=70",
        ]
    );
}

#[test]
fn what_the_peer_lacks_is_given_before_the_first_poll_and_once() {
    let (mine, ours) = (command("mine"), command("ours"));
    let mut session = Session::new(&[mine, ours.clone()], |_| {});
    session.has(vec![hash(&ours)], 70);
    assert_eq!(session.last(), "PUT /insert");
    session.answer(Response::Inserted);
    assert_eq!(session.last(), "POST /getPending?nonce=-2247&since=70");
    session.has(vec![], 70);
    session.wait();
    assert_eq!(session.log[2..].len(), 4, "{:?}", session.log);
}

#[test]
fn what_is_missing_is_looked_up_and_the_mark_is_passed_on() {
    let (one, two) = (command("1"), command("2"));
    let mut session = Session::new(&[], |_| {});
    session.has(vec![hash(&one)], 70);
    assert_eq!(session.last(), "POST /lookup");
    session.answer(Response::Found(vec![Some(one)]));
    assert_eq!(session.pending(), 1);
    assert_eq!(session.last(), "POST /getPending?nonce=-2247&since=70");
    session.has(vec![hash(&two)], 71);
    assert_eq!(session.last(), "POST /lookup");
    session.answer(Response::Found(vec![Some(two)]));
    assert_eq!(session.pending(), 2);
    session.wait();
    assert_eq!(session.last(), "POST /getPending?nonce=-2247&since=71");
    assert_eq!(
        session
            .log
            .iter()
            .filter(|call| *call == "PUT /insert")
            .count(),
        0
    );
}

#[test]
fn large_answers_are_asked_for_in_smaller_slices_that_grow_again() {
    let commands: Vec<_> = (0..40).map(|n| command(&n.to_string())).collect();
    let mut session = Session::new(&[], |config| config.limits.lookup_slice_max = 16);
    let outputs = session.script.reply(
        session.call,
        Response::Pending {
            hashes: commands.iter().map(hash).collect(),
            mark: MARK,
        },
        2,
    );
    let mut next = calls(&outputs);
    let giant = hash(&commands[20]);
    let mut sizes = Vec::new();
    while let Some((id, _, request)) = next.pop() {
        let rooms::Request::ChainwebMempool(Request {
            body: Query::Lookup(keys),
            ..
        }) = request
        else {
            break;
        };
        sizes.push(keys.len());
        let hashes: Vec<TxHash> = keys.iter().filter_map(RequestKey::full).collect();
        let outputs = if hashes.contains(&giant) {
            session.script.fail(id, CallError::TooLarge)
        } else {
            let find = |wanted: &TxHash| commands.iter().find(|command| hash(command) == *wanted);
            let found = hashes.iter().map(|hash| find(hash).cloned()).collect();
            session.script.reply(id, Response::Found(found), 2)
        };
        next = calls(&outputs);
    }
    assert_eq!(
        session.pending(),
        39,
        "all but the one that nobody can send"
    );
    assert!(
        sizes.contains(&1) && sizes.last().is_some_and(|last| *last > 2),
        "{sizes:?}"
    );
    assert!(sizes.len() < 20, "{sizes:?}");
    assert!(session.lasts());
}

#[test]
fn an_answer_that_the_peer_finds_too_large_is_sliced_as_well() {
    let commands = [command("1"), command("2")];
    let mut session = Session::new(&[], |_| {});
    session.has(commands.iter().map(hash).collect(), 70);
    session.answer(Response::TooMuch);
    assert_eq!(session.last(), "POST /lookup");
    session.answer(Response::Found(vec![Some(commands[0].clone())]));
    assert_eq!(session.pending(), 1);
}

/// A stock node would fetch nothing; ours fetches all of it.
#[test]
fn five_thousand_missing_commands_are_all_asked_for() {
    let mut session = Session::new(&[], |_| {});
    let hashes: Vec<TxHash> = (0..6_000_u64)
        .map(|n| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            TxHash(bytes)
        })
        .collect();
    let mut asked = 0;
    let mut outputs = session.has(hashes, 70);
    loop {
        let Some((id, _, request)) = calls(&outputs).pop() else {
            outputs = session.script.advance(Duration::from_millis(100));
            continue;
        };
        let rooms::Request::ChainwebMempool(Request {
            body: Query::Lookup(keys),
            ..
        }) = request
        else {
            break;
        };
        asked += keys.len();
        outputs = session
            .script
            .reply(id, Response::Found(vec![None; keys.len()]), 2);
    }
    assert_eq!(asked, 6_000);
    assert!(session.lasts());
}

#[test]
fn a_peer_that_lies_about_a_lookup_gains_nothing() {
    let (asked, other) = (command("asked"), command("other"));
    for lie in [
        vec![],
        vec![None, None],
        vec![Some(asked.clone()), Some(other.clone())],
    ] {
        let mut session = Session::new(&[], |_| {});
        session.has(vec![hash(&asked)], 70);
        let outputs = session.answer(Response::Found(lie));
        assert!(
            events(&outputs).contains(&"session_failed"),
            "of another length"
        );
        assert_eq!(session.pending(), 0);
    }
    let mut session = Session::new(&[], |_| {});
    session.has(vec![hash(&asked)], 70);
    session.answer(Response::Found(vec![Some(other)]));
    assert_eq!(session.pending(), 0, "not what was asked for");
    let mut session = Session::new(&[], |_| {});
    session.has(vec![hash(&asked)], 70);
    let outputs = session.answer(Response::Inserted);
    assert!(
        events(&outputs).contains(&"session_failed"),
        "an answer to another question"
    );
}

#[test]
fn an_invalid_command_of_a_peer_is_not_taken_and_not_asked_for_again() {
    let old = command_of("old", &[[1; 32]], "1", EPOCH as i64 - 100, 10);
    let mut session = Session::new(&[], |_| {});
    session.has(vec![hash(&old)], 70);
    session.answer(Response::Found(vec![Some(old.clone())]));
    assert_eq!(session.pending(), 0);
    session.has(vec![hash(&old)], 71);
    assert!(
        !session.last().contains("lookup")
            || session
                .log
                .iter()
                .filter(|call| *call == "POST /lookup")
                .count()
                == 1
    );
    assert!(session.lasts());
}

#[test]
fn endless_new_hashes_keep_memory_bounded() {
    let mut session = Session::new(&[], |config| config.limits.lookup_slice_max = 40_000);
    let mut next = 0_u64;
    for _ in 0..5 {
        let hashes = (0..30_000).map(|_| {
            next += 1;
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&next.to_be_bytes());
            TxHash(bytes)
        });
        session.has(hashes.collect(), 70);
        let outputs = session.answer(Response::Found(vec![None; 30_000]));
        if calls(&outputs).is_empty() {
            session.wait();
        }
    }
    let sync = session
        .script
        .node
        .rooms()
        .chainweb_mempool
        .0
        .syncs()
        .next()
        .expect("a session");
    assert_eq!(sync.theirs.order.len(), SESSION_HASHES_MAX);
    assert_eq!(sync.theirs.set.len(), SESSION_HASHES_MAX);
    assert_eq!(sync.wanted.len(), 0);
    assert!(sync.rejected.order.len() <= SESSION_HASHES_MAX);
}

#[test]
fn every_error_ends_a_session_and_a_wrong_certificate_forgets_the_peer() {
    for error in [
        CallError::Timeout,
        CallError::Malformed,
        CallError::TooLarge,
    ] {
        let mut session = Session::new(&[], |_| {});
        let outputs = session.fail(error);
        assert!(events(&outputs).contains(&"session_failed"), "{error}");
        assert!(!session.lasts());
        assert_eq!(
            session.script.gauge("deadlines"),
            session.script.gauge("calls_in_flight") + 3
        );
    }
    let mut session = Session::new(&[], |config| config.known_peers = Vec::new());
    assert_eq!(session.log.len(), 0);
    session.script.learn_peer(NetworkId::Mempool(0), info(2));
    session.pass(Duration::from_millis(1));
    session.answer(peers::Response::Page(Arc::new(peers::Page::default())));
    session.answer(peers::Response::Added);
    assert_eq!(session.last(), "POST /getPending");
    session.fail(CallError::IdentityMismatch);
    assert_eq!(session.script.gauge("peers"), 0);
}

#[test]
fn what_is_accepted_later_is_pushed_soon_together_and_not_to_its_giver() {
    let mut session = Session::new(&[], |_| {});
    session.has(vec![], 70);
    session.has(vec![], 70);
    let (one, two, theirs) = (command("1"), command("2"), command("3"));
    session
        .script
        .ask(operator(), mempool(0, Query::Insert(vec![one.clone()])));
    session.script.ask(
        operator(),
        mempool(0, Query::Insert(vec![two.clone(), one.clone()])),
    );
    session
        .script
        .ask(peer_caller(2), mempool(0, Query::Insert(vec![theirs])));
    let outputs = session.pass(Duration::from_millis(20));
    let [(_, _, request)] = calls(&outputs).try_into().expect("one push");
    assert_eq!(request, mempool(0, Query::Insert(vec![one.clone(), two])));
    session.answer(Response::Inserted);
    // A repeated one is not pushed again.
    session
        .script
        .ask(operator(), mempool(0, Query::Insert(vec![one])));
    assert!(calls(&session.pass(Duration::from_secs(1))).is_empty());
}

#[test]
fn pushes_wait_for_each_other_and_their_backlog_is_bounded() {
    let mut session = Session::new(&[], |config| config.limits.push_queue_max = 2);
    session.has(vec![], 70);
    session.has(vec![], 70);
    for n in 0..3 {
        session.script.ask(
            operator(),
            mempool(0, Query::Insert(vec![command(&n.to_string())])),
        );
        session.pass(Duration::from_millis(20));
    }
    assert_eq!(
        session
            .log
            .iter()
            .filter(|call| *call == "PUT /insert")
            .count(),
        1
    );
    assert_eq!(session.script.gauge("mempool_push_queue"), 2);
    session
        .script
        .ask(operator(), mempool(0, Query::Insert(vec![command("more")])));
    assert_eq!(session.script.gauge("mempool_push_queue"), 2);
    session.answer(Response::Inserted);
    assert_eq!(session.last(), "PUT /insert");
    session.answer(Response::Busy);
    assert!(session.lasts(), "a swamped peer is left alone");
}

#[test]
fn pushes_are_chunked_by_count_and_bytes() {
    let many: Vec<_> = (0..PUSH_CHUNK_MAX + 1)
        .map(|n| command_of(&n.to_string(), &[], "1", EPOCH as i64, 600))
        .collect();
    let count = |outputs: &[crate::Output]| match calls(outputs).pop() {
        Some((
            _,
            _,
            rooms::Request::ChainwebMempool(Request {
                body: Query::Insert(commands),
                ..
            }),
        )) => commands.len(),
        other => panic!("{other:?}"),
    };
    let mut session = Session::new(&many, |_| {});
    assert_eq!(count(&session.has(vec![], 70)), PUSH_CHUNK_MAX);
    assert_eq!(count(&session.answer(Response::Inserted)), 1);
    let code = "1".repeat(900_000);
    let large: Vec<_> = (0..3)
        .map(|n| command_of(&n.to_string(), &[], &code, EPOCH as i64, 600))
        .collect();
    let mut session = Session::new(&large, |_| {});
    assert_eq!(count(&session.has(vec![], 70)), 2);
    assert_eq!(count(&session.answer(Response::Inserted)), 1);
    // One that no body can hold is left out, and does not end the session.
    let giant = command_of("g", &[], &"1".repeat(BODY_BYTES_MAX), EPOCH as i64, 600);
    let mut session = Session::new(&[giant], |_| {});
    session.has(vec![], 70);
    assert_eq!(session.last(), "POST /getPending?nonce=-2247&since=70");
}

#[test]
fn what_the_peer_gives_while_it_waits_to_be_pushed_is_not_pushed() {
    let mut session = Session::new(&[], |_| {});
    session.has(vec![], 70);
    session.has(vec![], 70);
    let both = command("both");
    session
        .script
        .ask(operator(), mempool(0, Query::Insert(vec![both.clone()])));
    session
        .script
        .ask(peer_caller(2), mempool(0, Query::Insert(vec![both])));
    assert!(calls(&session.pass(Duration::from_secs(1))).is_empty());
}
