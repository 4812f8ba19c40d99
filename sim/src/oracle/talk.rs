//! What a node owes its peers, from its calls alone: sessions in which it goes on talking, commands
//! that are not given back, all that a mark stands for fetched, patience that is not used up, and
//! failures that are forgiven.

use std::collections::{BTreeMap, BTreeSet};

use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::commons::network::NetworkId;
use peerage_core::commons::peers::Liveness;
use peerage_core::http::throttle::{Rate, TokenBucket};
use peerage_core::ids::Fingerprint;
use peerage_core::limits::WAITERS_MAX;
use peerage_core::rooms::chainweb_mempool::key::{RequestKey, TxHash};
use peerage_core::rooms::chainweb_mempool::{ChainId, Mark, Query};
use peerage_core::rooms::{chainweb_mempool, chainweb_peers, wattswarm};
use peerage_core::time::Now;
use peerage_core::{CallId, Endpoint, Node, Part, Request, Response, Trust};

/// A call under way.
#[derive(Clone, Debug)]
pub struct Made {
    /// Who is asked.
    pub to: HostAddr,
    /// What.
    pub what: What,
}

/// What a call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Whether a candidate is there.
    Probe,
    /// For a page of peers.
    Page(NetworkId),
    /// For what is pending.
    Pending(ChainId),
    /// For commands.
    Lookup(ChainId),
    /// To take commands.
    Push(ChainId),
    /// Something of a node for another.
    Deliver,
    /// Anything else.
    Other,
}

/// The talk with one peer about one chain, from the beginning of a session on.
#[derive(Clone, Debug, Default)]
struct Chat {
    pin: Option<Fingerprint>,
    /// When something was last asked or answered, on the clock that only counts.
    last: u64,
    under_way: usize,
    /// What the peer said last, with its mark.
    told: Option<(Mark, Vec<TxHash>)>,
    /// What the peer was asked for in this session.
    asked: BTreeSet<TxHash>,
    /// What the peer gave us in this session, and we had not before.
    theirs: BTreeSet<TxHash>,
    /// How much the node had to remember of what the peer has.
    noted: usize,
    /// Whether the session has come so far as to poll with a mark.
    polled: bool,
    /// How often the peer had failed when it last answered.
    failures: u32,
}

/// Everything that a node says to its peers, since it started.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    calls: BTreeMap<CallId, Made>,
    chats: BTreeMap<(u8, HostAddr), Chat>,
    /// What each peer was last written to go by. A call may be older: it waits its turn.
    pins: BTreeMap<HostAddr, Option<Fingerprint>>,
    buckets: BTreeMap<HostAddr, [TokenBucket; 3]>,
    /// How often each peer has failed, and how often it had when it last did well.
    failures: BTreeMap<HostAddr, (u32, Option<u32>)>,
    /// How often peers have failed, as it is written because of the input at hand.
    reachable: Vec<(HostAddr, u32)>,
    /// Who was forgotten once: sessions from before then say nothing about who came back.
    forgotten: BTreeSet<HostAddr>,
    /// How many wait for each probe.
    waiters: BTreeMap<HostAddr, usize>,
    /// The last page of each peer and network.
    pages: BTreeMap<(NetworkId, HostAddr), Vec<PeerInfo>>,
    /// Who was probed because of the input at hand.
    probed_now: Vec<HostAddr>,
    /// Probes that were announced and have not begun or ended.
    probes: usize,
    /// Those of them that came with the input at hand.
    probes_now: usize,
}

/// What a stock Chainweb node allows one caller in a second: requests, questions to mempools, and
/// announced peers.
const STOCK: [(u32, u32); 3] = [(50, 1), (20, 1), (11, 1)];
/// Beyond this a node may forget what a peer has.
const NOTED_MAX: usize = 3_000;
/// A page brings so many probes under way at most.
const PROBES_MAX: usize = 16;
/// How long a session may be silent beyond three polls, in microseconds.
const SILENCE: u64 = 5_000_000;

impl Talk {
    /// Another input begins: what was written because of the one before must fit what it told.
    ///
    /// # Errors
    /// If failures were not forgiven.
    pub fn begin(&mut self) -> Result<(), String> {
        self.probed_now.clear();
        self.probes_now = 0;
        let written = std::mem::take(&mut self.reachable);
        written
            .iter()
            .try_for_each(|(addr, failures)| self.forgiven(addr, *failures))
    }

    /// The node asks a peer. `had` tells of a command whether the node was ever given it.
    ///
    /// # Errors
    /// Why it must not.
    pub fn called(
        &mut self,
        now: Now,
        id: CallId,
        to: &Endpoint,
        request: &Request,
        had: &dyn Fn(ChainId, &TxHash) -> bool,
    ) -> Result<(), String> {
        let what = what(to, request);
        let made = Made {
            to: to.addr.clone(),
            what,
        };
        self.calls.insert(id, made);
        self.charge(now, to, request, what)?;
        let Request::ChainwebMempool(request) = request else {
            return Ok(());
        };
        let mono = now.mono.as_micros();
        let place = (request.chain.0, to.addr.clone());
        let begins = matches!(request.body, Query::GetPending(None));
        let chat = self.chats.entry(place).or_insert_with(|| Chat {
            polled: !begins,
            ..Chat::default()
        });
        (chat.last, chat.under_way) = (mono, chat.under_way + 1);
        let written = self.pins.get(&to.addr);
        chat.pin = match to.trust {
            Trust::Pinned(pin) => Some(pin).filter(|_| written.is_none_or(|it| *it == Some(pin))),
            // Whose certificate is not known cannot be told by it.
            Trust::Anyone | Trust::Authorities => None,
        };
        match &request.body {
            Query::GetPending(None) => {
                let (pin, under_way) = (chat.pin, chat.under_way);
                *chat = Chat {
                    pin,
                    under_way,
                    last: mono,
                    ..Chat::default()
                };
                Ok(())
            }
            Query::GetPending(Some(mark)) => {
                if !std::mem::replace(&mut chat.polled, true) {
                    // All that came before went well. The call may have waited for the disk.
                    let (_, well) = self.failures.entry(to.addr.clone()).or_default();
                    *well = (*well).max(Some(chat.failures));
                }
                chat.all_fetched(mark, &|hash| had(request.chain, hash))
            }
            Query::Lookup(keys) => {
                chat.asked.extend(keys.iter().filter_map(full));
                Ok(())
            }
            Query::Insert(commands) => {
                let mut hashes = commands.iter().filter_map(|command| full(command.key()));
                match hashes.find(|hash| chat.theirs.contains(hash)) {
                    Some(hash) if chat.noted < NOTED_MAX => {
                        Err(format!("{hash} is given back to {}", to.addr))
                    }
                    Some(_) | None => Ok(()),
                }
            }
            Query::Member(_) => Ok(()),
        }
    }

    /// What a stock node allows of calls like this one. Who is probed is asked once.
    fn charge(
        &mut self,
        now: Now,
        to: &Endpoint,
        request: &Request,
        what: What,
    ) -> Result<(), String> {
        let mempool = matches!(request, Request::ChainwebMempool(_));
        let peers = matches!(request, Request::ChainwebPeers(_));
        let put = matches!(
            request,
            Request::ChainwebPeers(chainweb_peers::Request::Put { .. })
        );
        if what == What::Probe || !(mempool || peers) {
            return Ok(());
        }
        let counted = [true, mempool, put];
        let mono = now.mono.as_micros();
        let rates = STOCK.map(|(requests, seconds)| {
            Rate::new(requests, seconds).expect("the rates are above zero")
        });
        let buckets = (self.buckets.entry(to.addr.clone()))
            .or_insert_with(|| rates.map(|rate| TokenBucket::full(rate, mono)));
        let mut pairs = buckets.iter_mut().zip(rates).zip(counted);
        if pairs.all(|((bucket, rate), counted)| !counted || bucket.take(rate, mono)) {
            Ok(())
        } else {
            Err(format!(
                "{} is asked more often than a stock node allows: {}",
                to.addr,
                request.name()
            ))
        }
    }

    /// A call has ended, with an answer or without. Tells what it was.
    pub fn ended(&mut self, now: Now, id: CallId, answer: Option<&Response>) -> Option<Made> {
        let made = self.calls.remove(&id)?;
        match (made.what, answer) {
            (What::Probe, _) => self.probes = self.probes.saturating_sub(1),
            (
                What::Page(network),
                Some(Response::ChainwebPeers(chainweb_peers::Response::Page(page))),
            ) => {
                self.pages
                    .insert((network, made.to.clone()), page.items.clone());
            }
            (What::Pending(chain) | What::Lookup(chain) | What::Push(chain), answer) => {
                if let Some(chat) = self.chats.get_mut(&(chain.0, made.to.clone())) {
                    chat.last = now.mono.as_micros();
                    chat.failures = self.failures.get(&made.to).map_or(0, |(failed, _)| *failed);
                    chat.under_way = chat.under_way.saturating_sub(1);
                    if let Some(Response::ChainwebMempool(chainweb_mempool::Response::Pending {
                        hashes,
                        mark,
                    })) = answer
                    {
                        chat.noted += hashes.len();
                        chat.told = Some((*mark, hashes.clone()));
                    }
                }
            }
            (What::Page(_) | What::Deliver | What::Other, _) => {}
        }
        Some(made)
    }

    /// A caller with this certificate gave commands that were taken and not known before.
    pub fn given(&mut self, by: &Fingerprint, chain: ChainId, hashes: &[TxHash]) {
        let chats = self.chats.iter_mut();
        for ((of, _), chat) in chats.filter(|(_, chat)| chat.pin.as_ref() == Some(by)) {
            if *of == chain.0 {
                chat.noted += hashes.len();
                chat.theirs.extend(hashes);
            }
        }
    }

    /// A peer was forgotten, even if it was met again at once.
    pub fn forgotten(&mut self, addr: &HostAddr) {
        self.forgotten.insert(addr.clone());
    }

    /// The node writes that a peer goes by this identity, or that it is forgotten.
    pub fn written(&mut self, addr: &HostAddr, id: Option<&str>, present: bool) {
        if !present {
            self.forgotten(addr);
        }
        let id = id.and_then(|id| id.parse().ok());
        for ((_, of), chat) in &mut self.chats {
            if of == addr && chat.pin != id {
                chat.pin = None;
                chat.theirs.clear();
            }
        }
        self.pins.insert(addr.clone(), id);
    }

    /// The node tells that it probes a candidate.
    pub fn probes(&mut self, addr: &HostAddr, joined: bool) {
        self.probed_now.push(addr.clone());
        let waiters = self.waiters.entry(addr.clone()).or_default();
        *waiters = if joined { *waiters + 1 } else { 1 };
        self.probes += usize::from(!joined);
        self.probes_now += usize::from(!joined);
    }

    /// A session begins: the first whom its peer knows and we do not must be looked at. `look` tells
    /// who is not known, and whether the node may ask them.
    ///
    /// # Errors
    /// If they are not.
    pub fn opened(
        &self,
        network: NetworkId,
        addr: &HostAddr,
        probes_max: usize,
        look: &dyn Fn(&PeerInfo) -> Option<bool>,
    ) -> Result<(), String> {
        if self.probes - self.probes_now >= PROBES_MAX.min(probes_max) {
            return Ok(());
        }
        let page = self.pages.get(&(network, addr.clone()));
        let first = page
            .into_iter()
            .flatten()
            .find_map(|peer| look(peer).map(|look| (&peer.address, look)));
        match first {
            Some((stranger, true))
                if !self.probed_now.contains(stranger)
                    && self
                        .waiters
                        .get(stranger)
                        .is_none_or(|few| *few < WAITERS_MAX) =>
            {
                Err(format!(
                    "{addr} told of {stranger}, and nobody looks whether it is there"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A session has ended well, or has failed.
    pub fn over(&mut self, addr: &HostAddr, well: bool) {
        let (failed, done) = self.failures.entry(addr.clone()).or_default();
        if well {
            *done = Some(*failed);
        } else {
            *failed += 1;
        }
    }

    /// The node writes how reachable a peer was.
    pub fn reachable(&mut self, addr: &HostAddr, liveness: &Liveness) {
        self.reachable.push((addr.clone(), liveness.failures));
    }

    fn forgiven(&self, addr: &HostAddr, failures: u32) -> Result<(), String> {
        match self.failures.get(addr) {
            _ if self.forgotten.contains(addr) => Ok(()),
            Some((failed, Some(well))) if failures > failed - well => Err(format!(
                "{addr} has {failures} failures, and failed {} times since it did well",
                failed - well
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// A session in which nothing was said for so long that polls must have stopped.
    pub fn silent(&mut self, now: Now, node: &Node) -> Option<String> {
        let mono = now.mono.as_micros();
        let most = silence_max(node);
        for session in node.commons().sessions.iter().filter(|of| of.open) {
            let NetworkId::Mempool(chain) = session.network else {
                continue;
            };
            let place = (chain, session.addr.clone());
            let chat = self.chats.entry(place).or_insert_with(|| Chat {
                last: mono,
                polled: true,
                ..Chat::default()
            });
            if chat.under_way == 0 && mono - chat.last.min(mono) > most {
                return Some(format!(
                    "nothing was asked of {} about chain {chain} for {} s",
                    session.addr,
                    (mono - chat.last) / 1_000_000
                ));
            }
        }
        None
    }
}

/// How long a session of the node may be silent, in microseconds.
#[must_use]
pub fn silence_max(node: &Node) -> u64 {
    3 * peerage_core::time::micros(node.config().sessions.poll_interval) + SILENCE
}

impl Chat {
    /// Whoever polls with a mark has seen all that came with it.
    fn all_fetched(&self, mark: &Mark, had: &dyn Fn(&TxHash) -> bool) -> Result<(), String> {
        let Some((_, hashes)) = self.told.as_ref().filter(|(told, _)| told == mark) else {
            return Ok(());
        };
        match (hashes.iter()).find(|hash| !self.asked.contains(hash) && !had(hash)) {
            Some(hash) => Err(format!(
                "{hash} was told of before the mark, and never asked for"
            )),
            None => Ok(()),
        }
    }
}

const fn full(key: &RequestKey) -> Option<TxHash> {
    if let RequestKey::Full(hash) = key {
        Some(*hash)
    } else {
        None
    }
}

fn what(to: &Endpoint, request: &Request) -> What {
    if let Request::ChainwebPeers(chainweb_peers::Request::Page { network, .. }) = request {
        if to.part == Part::Head {
            What::Probe
        } else {
            What::Page(*network)
        }
    } else if let Request::ChainwebMempool(request) = request {
        match request.body {
            Query::GetPending(_) => What::Pending(request.chain),
            Query::Lookup(_) => What::Lookup(request.chain),
            Query::Insert(_) => What::Push(request.chain),
            Query::Member(_) => What::Other,
        }
    } else if let Request::Wattswarm(wattswarm::Request::Deliver(_)) = request {
        What::Deliver
    } else {
        What::Other
    }
}
