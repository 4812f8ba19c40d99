//! Chainweb's mempools: one pool of pending commands per chain, kept equal among nodes.
//!
//! A command is read (`command.rs`), checked (`insert.rs`, `signature.rs`) and kept (`pool.rs`);
//! `sync.rs` fetches what peers have and gives them what they lack.

pub mod command;
pub mod cose;
pub mod http;
pub mod insert;
pub mod key;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod payload;
mod pool;
pub mod sign;
pub mod signature;
pub(crate) mod sync;
mod types;
#[cfg(any(test, feature = "testing"))]
pub mod webauthn;

#[cfg(test)]
mod room_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use types::{ChainId, Event, Mark, Query, Request, Response, Row, Then, Timer};

use self::command::Command;
use self::insert::{InsertError, InsertRules};
use self::key::{RequestKey, TxHash};
use self::pool::{Pool, Stored};
use self::types::Origin;
use crate::commons::Notice;
use crate::commons::sessions::SessionId;
use crate::config::Config;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::json::Decimal;
use crate::limits::{LOOKUP_BYTES_MAX, RELOAD_CHUNK_MAX};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::time::{Duration, Now};
use crate::verify::{Verdict, VerifyJob};

/// The room.
#[derive(Clone, Debug)]
pub struct ChainwebMempool {
    pools: Vec<Pool>,
    batches: BTreeMap<u64, Batch>,
    batches_begun: u64,
    checks: usize,
    /// Bytes of the commands in batches that were not asked for by us.
    checks_bytes: usize,
    sessions: BTreeMap<SessionId, sync::Sync>,
    /// What was pending when the node stopped, until it is checked again.
    reloaded: BTreeMap<(ChainId, TxHash), Arc<Command>>,
}

/// Commands that are checked together and stored together.
#[derive(Clone, Debug)]
struct Batch {
    origin: Origin,
    chain: ChainId,
    /// Those that are not yet found to be invalid, in the order given.
    commands: Vec<Option<Arc<Command>>>,
    outstanding: usize,
    /// What the batch counts in [`ChainwebMempool::checks_bytes`].
    bytes: usize,
}

// Expired commands leave about once a minute. Source: Chainweb, `mempoolNoopMiner`.
const PRUNE_MEAN_US: u64 = 60_000_000;
const PRUNE_DEVIATION_US: u64 = 6_000_000;

const RELOAD_PAUSE: Duration = Duration::from_millis(1);

impl Room for ChainwebMempool {
    const SCOPE: Scope = Scope::ChainwebMempool;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(config: &Config, rng: &mut Stream) -> Self {
        Self {
            pools: (0..config.chains)
                .map(|_| Pool::new(rng, &config.limits))
                .collect(),
            batches: BTreeMap::new(),
            batches_begun: 0,
            checks: 0,
            checks_bytes: 0,
            sessions: BTreeMap::new(),
            reloaded: BTreeMap::new(),
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, Self>) {
        self.reload(cx);
        self.arm_prune(cx);
    }

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        let Request { chain, body } = request;
        let Some(pool) = self.pools.get(usize::from(chain.0)) else {
            return cx.respond(id, Response::NoSuchChain);
        };
        match body {
            Query::GetPending(since) => {
                let (hashes, mark) = pool.pending_since(since);
                cx.respond(id, Response::Pending { hashes, mark });
            }
            Query::Insert(commands) => self.insert_request(cx, id, from, chain, commands),
            Query::Lookup(keys) => {
                cx.respond(id, lookup(pool, &keys));
            }
            Query::Member(keys) => {
                let find =
                    |key: &RequestKey| matches!(key, RequestKey::Full(hash) if pool.contains(hash));
                cx.respond(id, Response::Members(keys.iter().map(find).collect()));
            }
        }
    }

    fn reply(&mut self, cx: &mut Cx<'_, Self>, then: Then, result: Result<Answer, CallError>) {
        match then {
            Then::Fetched { session } => self.fetched(cx, session, result),
            Then::Hashes { session } => self.hashes(cx, session, result),
            Then::Pushed { session } => self.pushed(cx, session, result),
            Then::Checked { .. } => unreachable!("checks are not calls"),
        }
    }

    fn verdict(&mut self, cx: &mut Cx<'_, Self>, then: Then, verdict: Verdict) {
        let Then::Checked { batch: id, place } = then else {
            unreachable!("calls are not checks");
        };
        let Verdict::Command(verdict) = verdict else {
            unreachable!("commands are all that this room has checked");
        };
        self.checks -= 1;
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        batch.outstanding -= 1;
        if let Err(fault) = verdict
            && let Some(command) = batch.commands[place].take()
        {
            let (chain, origin) = (batch.chain, batch.origin);
            self.rejected(cx, origin, chain, &command, fault.into());
        }
        self.finish(cx, id);
    }

    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Timer) {
        match timer {
            Timer::Poll(session) => self.poll(cx, session),
            Timer::Prune => self.prune(cx),
            Timer::Push(session) => self.push(cx, session),
            Timer::Reload => self.reload(cx),
        }
    }

    fn notice(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice) {
        match notice {
            Notice::SessionOpened(session) => self.session_opened(cx, *session),
            Notice::SessionClosed(session) => self.session_closed(cx, *session),
            Notice::Banned(_)
            | Notice::PeerProven(_)
            | Notice::PeersChanged(_)
            | Notice::SessionFailed(_)
            | Notice::SessionMismatched(_)
            | Notice::SessionProven(_)
            | Notice::Unbanned => {}
        }
    }

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        if let Row::Pending(chain, hash, Some(command)) = row
            && usize::from(chain.0) < self.pools.len()
        {
            if command.key().full() != Some(hash) {
                let text = format!("{hash} on chain {}", chain.0);
                return Err(RestoreError::Damaged {
                    what: "pending transaction",
                    text,
                });
            }
            self.reloaded.insert((chain, hash), command);
        }
        Ok(())
    }

    fn export(&self, rows: &mut Vec<rooms::Row>) {
        let waiting = self.reloaded.iter();
        rows.extend(waiting.map(|((chain, hash), command)| {
            Row::Pending(*chain, *hash, Some(command.clone())).into()
        }));
        for (chain, pool) in self.chains() {
            rows.extend(
                pool.iter()
                    .map(|(hash, command)| Row::Pending(chain, hash, Some(command.clone())).into()),
            );
        }
    }

    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        let sum = |of: fn(&Pool) -> usize| self.pools.iter().map(of).sum::<usize>() as u64;
        gauge("mempool_batches", self.batches.len() as u64);
        gauge("mempool_bytes", sum(Pool::bytes));
        gauge("mempool_checks", self.checks as u64);
        gauge("mempool_checks_bytes", self.checks_bytes as u64);
        gauge("mempool_pending", sum(Pool::len));
        gauge(
            "mempool_push_queue",
            self.sessions
                .values()
                .map(sync::Sync::queued)
                .sum::<usize>() as u64,
        );
        gauge("mempool_sessions", self.sessions.len() as u64);
    }
}

impl ChainwebMempool {
    /// The hashes pending on `chain`, in no particular order.
    pub fn pending(&self, chain: ChainId) -> impl Iterator<Item = (TxHash, &Arc<Command>)> {
        self.pools
            .get(usize::from(chain.0))
            .into_iter()
            .flat_map(Pool::iter)
    }

    #[cfg(test)]
    pub(crate) fn syncs(&self) -> impl Iterator<Item = &sync::Sync> {
        self.sessions.values()
    }

    fn chains(&self) -> impl Iterator<Item = (ChainId, &Pool)> {
        (0..).map(ChainId).zip(&self.pools)
    }

    fn insert_request(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        chain: ChainId,
        commands: Vec<Arc<Command>>,
    ) {
        let limits = cx.limits();
        let bytes: usize = commands.iter().map(|command| command.byte_size()).sum();
        // One batch alone is always looked at.
        let checks_fit = self.checks == 0 || self.checks + commands.len() <= limits.verifies_max;
        let bytes_fit =
            self.checks_bytes == 0 || self.checks_bytes + bytes <= limits.pool_bytes_max;
        if !checks_fit || !bytes_fit {
            return cx.respond(id, Response::Busy);
        }
        // What a peer gives us, it has: it need not be given back.
        if let Some(cert) = from.cert {
            self.note_theirs(cx, chain, &cert.fingerprint, &commands);
        }
        self.insert(cx, Origin::Request(id), chain, commands);
    }

    /// Checks again what was pending when the node stopped, a chunk of one chain at a time.
    fn reload(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(((chain, _), _)) = self.reloaded.first_key_value() else {
            return;
        };
        let chain = *chain;
        let mut commands = Vec::new();
        while commands.len() < RELOAD_CHUNK_MAX
            && let Some(entry) = self.reloaded.first_entry()
            && entry.key().0 == chain
        {
            commands.push(entry.remove());
        }
        self.insert(cx, Origin::Reload, chain, commands);
    }

    /// Validates commands and stores the valid ones once all are checked.
    ///
    /// The order of checks is that of Chainweb's insert pipeline; its numbers are in `insert.rs`.
    fn insert(
        &mut self,
        cx: &mut Cx<'_, Self>,
        origin: Origin,
        chain: ChainId,
        commands: Vec<Arc<Command>>,
    ) {
        self.batches_begun += 1;
        let id = self.batches_begun;
        let count = commands.len();
        let mut batch = Batch {
            origin,
            chain,
            commands: Vec::with_capacity(count),
            outstanding: 0,
            bytes: match origin {
                Origin::Request(_) => commands.iter().map(|command| command.byte_size()).sum(),
                Origin::Reload | Origin::Session(_) => 0,
            },
        };
        self.checks_bytes += batch.bytes;
        for command in commands {
            match self.check(cx, chain, &command) {
                Err(error) => {
                    self.rejected(cx, origin, chain, &command, error);
                    batch.commands.push(None);
                }
                Ok(Signatures::Good) => batch.commands.push(Some(command)),
                Ok(Signatures::Unknown) => {
                    let then = Then::Checked {
                        batch: id,
                        place: batch.commands.len(),
                    };
                    cx.verify(VerifyJob::Command(command.clone()), then);
                    batch.commands.push(Some(command));
                    batch.outstanding += 1;
                    self.checks += 1;
                }
            }
        }
        self.batches.insert(id, batch);
        self.finish(cx, id);
    }

    /// Everything that can be said of a command without checking its signatures.
    fn check(
        &self,
        cx: &Cx<'_, Self>,
        chain: ChainId,
        command: &Command,
    ) -> Result<Signatures, InsertError> {
        let pool = &self.pools[usize::from(chain.0)];
        let config = cx.config();
        let rules = InsertRules {
            chain: chain.0.into(),
            gas_limit_max: config.gas_limit_max,
            gas_price_min: Decimal::new(config.gas_price_min.into(), -12).unwrap_or(Decimal::ZERO),
            network: config.network.name(),
        };
        let now = cx.now().wall.as_micros();
        insert::check_terms(command, now, &rules)?;
        pool.check_history(command, now)?;
        insert::check_form(command, &rules)?;
        // A pending command with the same signatures has been checked before.
        let pending = command.key().full().and_then(|hash| pool.get(&hash));
        let good = command.signers().is_empty()
            || pending.is_some_and(|pending| pending.digest() == command.digest());
        Ok(if good {
            Signatures::Good
        } else {
            Signatures::Unknown
        })
    }

    /// Stores a batch when its last check is done, and answers who gave it.
    fn finish(&mut self, cx: &mut Cx<'_, Self>, id: u64) {
        if self
            .batches
            .get(&id)
            .is_none_or(|batch| batch.outstanding > 0)
        {
            return;
        }
        let Some(batch) = self.batches.remove(&id) else {
            return;
        };
        self.checks_bytes -= batch.bytes;
        let (chain, now) = (batch.chain, cx.now().wall.as_micros());
        let mut valid = Vec::with_capacity(batch.commands.len());
        for command in batch.commands.into_iter().flatten() {
            match insert::check_ledger_time(&command, now) {
                Ok(()) => valid.push(command),
                Err(error) => self.rejected(cx, batch.origin, chain, &command, error),
            }
        }
        let pool = &mut self.pools[usize::from(chain.0)];
        let mut fresh = Vec::new();
        for (hash, command, stored) in pool.store(valid) {
            match stored {
                Stored::Dropped => {
                    cx.event(Event::TxDropped { chain, hash });
                    if batch.origin == Origin::Reload && !pool.contains(&hash) {
                        cx.put_lazily(Row::Pending(chain, hash, None));
                    }
                }
                Stored::Fresh => {
                    cx.event(Event::TxAccepted { chain, hash });
                    if batch.origin != Origin::Reload {
                        cx.put_lazily(Row::Pending(chain, hash, Some(command)));
                    }
                    fresh.push(hash);
                }
                Stored::Repeated => cx.event(Event::TxRepeated { chain, hash }),
                Stored::Resigned => {
                    cx.event(Event::TxRepeated { chain, hash });
                    cx.put_lazily(Row::Pending(chain, hash, Some(command)));
                }
            }
        }
        self.announce(cx, chain, batch.origin, &fresh);
        match batch.origin {
            // Not within the same tick: others may be waiting.
            Origin::Reload => cx.arm(Timer::Reload, RELOAD_PAUSE),
            Origin::Request(id) => cx.respond(id, Response::Inserted),
            Origin::Session(session) => self.inserted(cx, session),
        }
    }

    fn rejected(
        &mut self,
        cx: &mut Cx<'_, Self>,
        origin: Origin,
        chain: ChainId,
        command: &Command,
        error: InsertError,
    ) {
        let hash = command.key().clone();
        match (origin, hash.full()) {
            (Origin::Session(session), Some(hash)) => self.note_rejected(session, hash),
            (Origin::Reload, Some(hash)) => cx.put_lazily(Row::Pending(chain, hash, None)),
            (Origin::Reload | Origin::Request(_) | Origin::Session(_), _) => {}
        }
        cx.event(Event::TxRejected {
            chain,
            hash,
            error: Box::new(error),
        });
    }

    fn prune(&mut self, cx: &mut Cx<'_, Self>) {
        let now = cx.now().wall.as_micros();
        for (index, pool) in (0..).zip(&mut self.pools) {
            let expired = pool.prune(now);
            let chain = ChainId(index);
            if !expired.is_empty() {
                cx.event(Event::TxExpired {
                    chain,
                    count: expired.len(),
                });
            }
            for hash in expired {
                cx.put_lazily(Row::Pending(chain, hash, None));
            }
        }
        self.arm_prune(cx);
    }

    fn arm_prune(&self, cx: &mut Cx<'_, Self>) {
        let pause = cx.rng().bell(PRUNE_MEAN_US, PRUNE_DEVIATION_US);
        cx.arm(Timer::Prune, Duration::from_micros(pause));
    }
}

/// The commands of `keys`, in the order asked. A key may be repeated, so that a small question could
/// have an answer of any size.
fn lookup(pool: &Pool, keys: &[RequestKey]) -> Response {
    let mut bytes = 0;
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let command = key.full().and_then(|hash| pool.get(&hash)).cloned();
        bytes += command
            .as_ref()
            .map_or(0, |command| command.literal().len());
        if bytes > LOOKUP_BYTES_MAX {
            return Response::TooMuch;
        }
        found.push(command);
    }
    Response::Found(found)
}

/// What is known of a command's signatures.
enum Signatures {
    Good,
    Unknown,
}
