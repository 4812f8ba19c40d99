//! A Mimblewimble chain: blocks and their branches, transactions that wait, the nodes with which both
//! are shared, and the node API v1 over all of it.
//!
//! | part | decides |
//! |---|---|
//! | `chain`, `turn` | what there is, and which branch of it is the chain |
//! | `judge` | what becomes of a block, and what follows from it |
//! | `sync` | what is missing, and whom to ask for it |
//! | `tend`, `links`, `book` | who is linked, and what is known of peers |
//! | `pool`, `dandelion`, `relay` | which transactions wait, and how they travel |
//! | `mine` | blocks of our own |
//! | `compact` | what is left of old blocks |
//! | `look`, `scan`, `page` | what the API shows |
//!
//! The stateless half of every check, rewards and the search for proof of work are effects; see
//! [`crate::work`]. Rules: grin as of release 4.1.1, consensus as of 5.5.2.

#[cfg(any(test, feature = "testing"))]
mod audit;
mod book;
mod chain;
mod compact;
mod dandelion;
#[cfg(any(test, feature = "testing"))]
pub mod forge;
pub mod http;
mod item;
mod judge;
mod links;
mod look;
mod mine;
pub mod page;
mod pool;
mod relay;
pub mod rows;
mod scan;
pub mod source;
mod sync;
mod tend;
#[cfg(test)]
mod tests;
mod turn;
pub mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use peerage_mw::{Hash, Transaction};

pub use rows::Row;
pub use types::{Event, Request, Response, Then, Timer};

use self::book::Book;
use self::chain::Store;
use self::dandelion::Dandelion;
use self::judge::{Import, Judged};
use self::links::Links;
use self::look::failed;
use self::mine::Mining;
use self::pool::Pool;
use self::rows::{StoredBlock, StoredRemains, StoredTransaction};
use self::scan::Scans;
use self::sync::Sync;
use self::turn::Turn;
use self::types::{Ask, Between};
use crate::access::Access;
use crate::commons::Notice;
use crate::commons::address::HostAddr;
use crate::config::Config;
use crate::config::grin::Purse;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::node::RestoreError;
use crate::rng::Stream;
use crate::rooms::{self, Room, Scope};
use crate::time::{Duration, Now};
use crate::verify::Verdict;

/// The release whose API this is. Source: the last one that has it.
pub const RELEASE: &str = "4.1.1";
/// What the node calls itself among others.
pub const USER_AGENT: &str = "MW/Grin 4.1.1";
/// What the node can do: it has all headers, all blocks, and knows of peers. Source: Grin's
/// capabilities of a full node.
pub const CAPABILITIES: u32 = 15;

/// The room.
#[derive(Clone, Debug)]
pub struct Grin {
    access: Access,
    store: Store,
    pool: Pool,
    stem: Dandelion,
    /// Transactions that are being checked.
    checking: usize,
    /// Transactions of a former run of which it is not decided whether they still wait.
    reloading: BTreeMap<Hash, Arc<Transaction>>,
    /// Their order, and how many turns they have had.
    reload_queue: VecDeque<(Hash, u8)>,
    links: Links,
    /// Whom we are greeting.
    greeting: BTreeSet<HostAddr>,
    book: Book,
    sync: Sync,
    import: Option<Import>,
    /// Blocks that wait for the chain to come to them.
    judged: Vec<Judged>,
    /// Another branch that is being worked out.
    turning: Option<Turn>,
    /// Whether the chain has changed and others have not yet been told.
    moved: bool,
    mining: Option<Mining>,
    scans: Scans,
    /// Who waits for the chain to be compacted, while it is.
    compacting: Option<Vec<RequestId>>,
}

impl Room for Grin {
    const SCOPE: Scope = Scope::Grin;
    type Request = Request;
    type Response = Response;
    type Then = Then;
    type Row = Row;
    type Timer = Timer;

    fn new(config: &Config, _: &mut Stream) -> Self {
        let grin = &config.grin;
        let purse = || Purse::of_node(&config.identity.secret);
        let mining = grin
            .mine
            .map(|interval| Mining::new(interval, grin.purse.clone().unwrap_or_else(purse)));
        Self {
            access: Access::new(grin.api_secret.as_ref()),
            store: Store::new(grin.rules),
            pool: Pool::new(config.limits.grin_pool_max),
            stem: Dandelion::new(),
            checking: 0,
            reloading: BTreeMap::new(),
            reload_queue: VecDeque::new(),
            links: Links::default(),
            greeting: BTreeSet::new(),
            book: Book::default(),
            sync: Sync::default(),
            import: None,
            judged: Vec::new(),
            turning: None,
            moved: false,
            mining,
            scans: Scans::default(),
            compacting: None,
        }
    }

    fn start(&mut self, cx: &mut Cx<'_, Self>) {
        for (addr, _) in self.book.iter() {
            cx.meet(addr, None);
        }
        if cx.config().grin.links_max > 0 {
            let after = cx.config().sessions.start_delay;
            cx.arm(Timer::Tend, after);
        }
        if !self.reload_queue.is_empty() {
            cx.arm(Timer::Reload, Duration::ZERO);
        }
        self.arm_mine(cx);
        self.begin_import(cx);
    }

    fn request(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, request: Request) {
        match request {
            Request::Ask(_) if !self.access.admits(from.authorization.as_ref()) => {
                cx.respond(id, Response::Unauthorized);
            }
            Request::Ask(ask) => self.asked(cx, id, ask),
            Request::Between(chain, _) if chain != self.store.state().rules().chain => {
                cx.respond(id, Response::NotFound);
            }
            Request::Between(_, between) => self.heard(cx, id, from, between),
        }
    }

    fn reply(&mut self, cx: &mut Cx<'_, Self>, then: Then, result: Result<Answer, CallError>) {
        match then {
            Then::Announced(to) => {
                self.told(cx, &to, &result);
            }
            Then::Blocks { of, hashes } => self.blocks_given(cx, of, &hashes, result),
            Then::Greeted(addr) => self.greeted(cx, &addr, result),
            Then::Headers { of } => self.headers_given(cx, of, result),
            Then::Relayed { to, stem } => self.relayed(cx, &to, stem, &result),
            Then::BlocksChecked { .. }
            | Then::HeadersChecked { .. }
            | Then::Replayed
            | Then::Turned
            | Then::Rewarded(_)
            | Then::Searched(_)
            | Then::TransactionsChecked(_) => unreachable!("work is no call"),
        }
    }

    fn verdict(&mut self, cx: &mut Cx<'_, Self>, then: Then, verdict: Verdict) {
        let Verdict::Mimblewimble(done) = verdict else {
            unreachable!("the room has work done and nothing else checked");
        };
        match then {
            Then::BlocksChecked { from, blocks } => self.blocks_checked(cx, from, blocks, &done),
            Then::HeadersChecked { from, headers } => {
                self.headers_checked(cx, &from, &headers, &done);
            }
            Then::Replayed => self.replayed(cx, done),
            Then::Turned => self.turned(cx, done),
            Then::Rewarded(attempt) => self.rewarded(cx, attempt, done),
            Then::Searched(attempt) => self.searched(cx, attempt, done),
            Then::TransactionsChecked(arrivals) => {
                self.transactions_checked(cx, &arrivals, &done);
            }
            Then::Announced(_)
            | Then::Blocks { .. }
            | Then::Greeted(_)
            | Then::Headers { .. }
            | Then::Relayed { .. } => unreachable!("a call is no work"),
        }
    }

    fn timer(&mut self, cx: &mut Cx<'_, Self>, timer: Timer) {
        match timer {
            Timer::Advance => self.advance(cx),
            Timer::Compact => self.compact_some(cx),
            Timer::Mine => self.mine(cx),
            Timer::Monitor => self.monitor(cx),
            Timer::Readmit => self.readmit(cx),
            Timer::Reload => self.reload(cx),
            Timer::Scan => self.scan(cx),
            Timer::Seek => self.seek(cx),
            Timer::Sync => self.sync(cx),
            Timer::Tend => self.tend(cx),
        }
    }

    fn notice(&mut self, cx: &mut Cx<'_, Self>, notice: &Notice) {
        self.heed(cx, notice);
    }

    fn restore(&mut self, _: Now, row: Row) -> Result<(), RestoreError> {
        let told = self.store.state().rules().chain;
        let same = |stored| match stored == told {
            true => Ok(()),
            false => Err(RestoreError::OtherChain { stored, told }),
        };
        match row {
            Row::Block(height, Some(StoredBlock { chain, block })) => {
                same(chain)?;
                // What was durable was checked before.
                self.store
                    .apply(&block)
                    .map_err(|why| RestoreError::Damaged {
                        what: "block",
                        text: format!("{height}: {why}"),
                    })?;
            }
            Row::Remains(height, StoredRemains { chain, remains }) => {
                same(chain)?;
                self.store
                    .lay(remains)
                    .map_err(|why| RestoreError::Damaged {
                        what: "block",
                        text: format!("what is left of {height}: {why}"),
                    })?;
            }
            Row::Pending(digest, Some(StoredTransaction { chain, transaction })) => {
                same(chain)?;
                self.reloading.insert(digest, transaction);
                self.reload_queue.push_back((digest, 0));
            }
            Row::Peer(addr, Some(record)) => self.book.restore(addr, record),
            Row::Block(_, None) | Row::Pending(_, None) | Row::Peer(_, None) => {}
        }
        Ok(())
    }

    fn export(&self, rows: &mut Vec<rooms::Row>) {
        let chain = self.store.state().rules().chain;
        let tail = self.store.tail();
        for (height, remains) in (1..=tail).filter_map(|at| Some((at, self.store.remains_at(at)?)))
        {
            let remains = remains.clone();
            rows.push(Row::Remains(height, StoredRemains { chain, remains }).into());
        }
        let heights = tail + 1..=self.store.tip().height();
        for block in heights.filter_map(|height| self.store.block_at(height)) {
            let stored = StoredBlock {
                chain,
                block: block.clone(),
            };
            rows.push(Row::Block(block.header().height(), Some(stored)).into());
        }
        for (addr, record) in self.book.iter() {
            rows.push(Row::Peer(addr.clone(), Some(record.clone())).into());
        }
        let public = self.pool.iter().filter(|(_, unseen)| !unseen);
        let waiting = public.map(|(transaction, _)| transaction);
        for transaction in waiting.chain(self.reloading.values()) {
            let transaction = transaction.clone();
            let digest = transaction.digest();
            let stored = StoredTransaction { chain, transaction };
            rows.push(Row::Pending(digest, Some(stored)).into());
        }
    }

    fn gauges(&self, gauge: &mut dyn FnMut(&'static str, u64)) {
        gauge("grin_height", self.store.tip().height());
        gauge("grin_compacted_height", self.store.tail());
        gauge("grin_total_difficulty", self.store.tip().total_difficulty());
        gauge("grin_unspent", self.store.state().unspent_count() as u64);
        gauge("grin_headers_beside", self.store.beside() as u64);
        gauge("grin_bad_headers", self.store.bad() as u64);
        gauge("grin_links", self.links.len() as u64);
        gauge("grin_peers", self.book.len() as u64);
        gauge("grin_pool", self.pool.len() as u64);
        gauge("grin_pool_bytes", self.pool.bytes() as u64);
        gauge("grin_stem_pool", self.pool.stem_len() as u64);
        gauge("grin_transactions_checked", self.checking as u64);
        gauge("grin_scans", self.scans.len() as u64);
    }
}

impl Grin {
    /// The node API.
    fn asked(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, ask: Ask) {
        let response = match ask {
            Ask::ByHeight(asked) => return self.by_height(cx, id, asked),
            Ask::Compact => return self.compact(cx, id),
            Ask::Outputs { start, max, end } => return self.outputs(cx, id, (start, max, end)),
            Ask::Push { transaction, fluff } => return self.push(cx, id, transaction, fluff),
            Ask::Validate { .. } => return self.validate(cx, id),
            Ask::Block(name, view) => {
                let nonce = if view.compact { cx.rng().bits() } else { 0 };
                self.show_block(&name, view, nonce)
            }
            Ask::ByIds(ids) => self.by_ids(&ids),
            Ask::Chain => Response::Tip(self.tip()),
            Ask::Connected => self.show_links(cx),
            Ask::Header(name) => self.show_header(&name),
            Ask::HeightsToPositions { start, end } => self.heights_to_positions(start, end),
            Ask::Index => Response::Index,
            Ask::Kernel { excess, from, to } => self.kernel(&excess, from, to),
            Ask::Last(range, count) => self.last(range, count),
            Ask::Malformed(malformed) => failed(malformed.status, &malformed.text),
            Ask::MerkleProof(commitment) => self.merkle_proof(commitment.as_ref()),
            Ask::Peer(addr) => self.show_peer(cx, &addr),
            Ask::Peers => self.show_peers(cx),
            Ask::Pool => Response::Pool(self.pool.len() as u64),
            Ask::Roots => Response::Roots(self.store.tip().clone()),
            Ask::Status => self.status(),
            Ask::Version => Response::Version(self.store.tip().version()),
        };
        cx.respond(id, response);
    }

    /// Other nodes.
    fn heard(&mut self, cx: &mut Cx<'_, Self>, id: RequestId, from: &Caller, between: Between) {
        match between {
            Between::Announce(header) => self.hear_announcement(cx, id, from, &header),
            Between::Blocks(hashes) => cx.respond(id, self.give_blocks(&hashes)),
            Between::Headers(locator) => cx.respond(id, self.give_headers(&locator)),
            Between::Hello(hello) => self.hear_hello(cx, id, from, &hello),
            Between::Relay { stem, transaction } => {
                self.hear_transaction(cx, id, from, stem, transaction);
            }
        }
    }
}
