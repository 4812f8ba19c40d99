//! The reference model: which answers of a pool are right, from what an outsider sees.
//!
//! Written from Chainweb's mempool API, not from this room. It knows less than the room (when a check
//! ends, what a full pool drops), so of each command it knows that it is surely pending, surely not,
//! or it does not know; an answer is wrong only if it contradicts what is sure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::command::Command;
use super::key::{RequestKey, TxHash};
use super::types::{ChainId, Event, Mark, Query, Request, Response, Row};
use crate::time::Now;

/// What is known of one chain's pool.
#[derive(Clone, Debug, Default)]
struct Chain {
    /// Every command that the node was ever given, or kept. Nothing else can be pending.
    /// Several may declare one hash, with other signatures.
    met: BTreeMap<TxHash, Vec<Arc<Command>>>,
    /// Those that it ever held: kept from before it started, or taken since.
    held: BTreeSet<TxHash>,
    /// Commands that were taken and not dropped since, with when they expire.
    taken: BTreeMap<TxHash, u64>,
    /// Since when taken commands were seen to be expired, by the clock that only counts. The wall
    /// clock may jump, and then the room has no chance to sweep at once.
    expired: BTreeMap<TxHash, u64>,
    /// Every insertion, in order; a command may come again.
    log: Vec<TxHash>,
    /// For each mark that was given out: how long the log was.
    marks: BTreeMap<(i64, i64), usize>,
    /// The nonce of this run's marks.
    nonce: Option<i64>,
}

/// What must be in an answer, decided when the question came.
#[derive(Clone, Debug)]
pub struct Owed {
    chain: ChainId,
    query: Query,
    /// Must be in it.
    surely: BTreeSet<TxHash>,
    /// How long the log was.
    log: usize,
    /// Must not be in it: expired for long.
    gone: BTreeSet<TxHash>,
}

/// The model of a node's pools.
#[derive(Clone, Debug)]
pub struct Model {
    chains: BTreeMap<u8, Chain>,
    chains_max: u8,
    recent_log_max: usize,
}

impl Model {
    /// The model of a node that starts with these rows.
    pub fn new<'a>(chains: u8, recent_log_max: usize, rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut model = Self {
            chains: BTreeMap::new(),
            chains_max: chains,
            recent_log_max,
        };
        for row in rows {
            if let Row::Pending(chain, hash, Some(command)) = row {
                let chain = model.chains.entry(chain.0).or_default();
                chain.met.entry(*hash).or_default().push(command.clone());
                chain.held.insert(*hash);
            }
        }
        model
    }

    /// The node is asked. Tells what it owes.
    pub fn asked(&mut self, now: Now, request: &Request) -> Owed {
        let chain = self.chains.entry(request.chain.0).or_default();
        if let Query::Insert(commands) = &request.body {
            chain.meet(commands.iter());
        }
        // What expires in this very second may be gone or not.
        let alive = |expires: u64| expires > now.wall.as_micros() + 1_000_000;
        Owed {
            chain: request.chain,
            query: request.body.clone(),
            surely: (chain.taken.iter())
                .filter(|(_, expires)| alive(**expires))
                .map(|(hash, _)| *hash)
                .collect(),
            log: chain.log.len(),
            gone: chain.gone(now),
        }
    }

    /// Whether the node ever took the command, or kept it.
    #[must_use]
    pub fn had(&self, chain: ChainId, hash: &TxHash) -> bool {
        (self.chains.get(&chain.0)).is_some_and(|chain| chain.held.contains(hash))
    }

    /// Whether the node was ever given the command, or kept it.
    #[must_use]
    pub fn met(&self, chain: ChainId, hash: &TxHash) -> bool {
        (self.chains.get(&chain.0)).is_some_and(|chain| chain.met.contains_key(hash))
    }

    /// Others gave the node commands.
    pub fn given(&mut self, chain: ChainId, commands: &[Option<Arc<Command>>]) {
        self.chains
            .entry(chain.0)
            .or_default()
            .meet(commands.iter().flatten());
    }

    /// The node told of an event.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn told(&mut self, now: Now, event: &Event) -> Result<(), String> {
        match event {
            Event::TxAccepted { chain, hash } => {
                let number = chain.0;
                let chain = self.chains.entry(number).or_default();
                let Some(command) = chain.met.get(hash).and_then(|met| met.last()) else {
                    return Err(format!(
                        "{hash} was taken on chain {number}, and nobody gave it"
                    ));
                };
                if *command.meta().chain != number.to_string() {
                    return Err(format!(
                        "{hash} was taken on chain {number}, it is for another"
                    ));
                }
                chain.taken.insert(*hash, command.expires_at_micros());
                chain.log.push(*hash);
                chain.held.insert(*hash);
            }
            Event::TxDropped { chain, hash } => {
                self.chains.entry(chain.0).or_default().taken.remove(hash);
            }
            // It counts as an insertion, and is told of after a mark once more.
            Event::TxRepeated { chain, hash } => {
                self.chains.entry(chain.0).or_default().log.push(*hash);
            }
            // The wall clock may be set back later, but what was swept is gone.
            Event::TxExpired { chain, .. } => {
                let wall = now.wall.as_micros();
                let chain = self.chains.entry(chain.0).or_default();
                chain.taken.retain(|_, expires| *expires > wall);
            }
            Event::TxPushed { .. }
            | Event::FetchSliced { .. }
            | Event::TxRejected { .. }
            | Event::TxFetched { .. }
            | Event::Polled { .. } => {}
        }
        Ok(())
    }

    /// The node answers.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(&mut self, owed: &Owed, response: &Response) -> Result<(), String> {
        if owed.chain.0 >= self.chains_max {
            return if matches!(response, Response::NoSuchChain | Response::Busy) {
                Ok(())
            } else {
                Err(format!("chain {} does not exist: {response:?}", owed.chain))
            };
        }
        let chain = self.chains.entry(owed.chain.0).or_default();
        match (&owed.query, response) {
            (_, Response::Busy)
            | (Query::Insert(_), Response::Inserted)
            | (Query::Lookup(_), Response::TooMuch) => Ok(()),
            (Query::Member(keys), Response::Members(said)) if keys.len() == said.len() => {
                let mut pairs = keys.iter().zip(said);
                pairs.try_for_each(|(key, said)| chain.check(owed, key, *said))
            }
            (Query::Lookup(keys), Response::Found(found)) if keys.len() == found.len() => {
                for (key, found) in keys.iter().zip(found) {
                    chain.check(owed, key, found.is_some())?;
                    if let (RequestKey::Full(hash), Some(found)) = (key, found)
                        && !chain.met.get(hash).is_some_and(|met| met.contains(found))
                    {
                        return Err(format!("{hash} was looked up, and another command given"));
                    }
                }
                Ok(())
            }
            (Query::GetPending(since), Response::Pending { hashes, mark }) => {
                let recent = self.recent_log_max;
                chain.pending(owed, since.as_ref(), hashes, mark, recent)
            }
            (query, response) => Err(format!("{query:?} is answered with {response:?}")),
        }
    }
}

impl Chain {
    fn meet<'a>(&mut self, commands: impl Iterator<Item = &'a Arc<Command>>) {
        for command in commands {
            if let RequestKey::Full(hash) = command.key() {
                let met = self.met.entry(*hash).or_default();
                if !met.contains(command) {
                    met.push(command.clone());
                }
            }
        }
    }

    /// Commands that expired so long ago that they must have been swept.
    fn gone(&mut self, now: Now) -> BTreeSet<TxHash> {
        let (wall, mono) = (now.wall.as_micros(), now.mono.as_micros());
        let taken = &self.taken;
        self.expired
            .retain(|hash, _| taken.get(hash).is_some_and(|expires| *expires < wall));
        for (hash, expires) in &self.taken {
            if *expires < wall {
                self.expired.entry(*hash).or_insert(mono);
            }
        }
        let long = self
            .expired
            .iter()
            .filter(|(_, since)| **since + EXPIRED_MAX_US < mono);
        long.map(|(hash, _)| *hash).collect()
    }

    /// Whether a node may say this of a key.
    fn check(&self, owed: &Owed, key: &RequestKey, said: bool) -> Result<(), String> {
        let RequestKey::Full(hash) = key else {
            return if said {
                Err(format!("{key} cannot be pending"))
            } else {
                Ok(())
            };
        };
        if said && !self.met.contains_key(hash) {
            return Err(format!("{hash} is said to be pending, and nobody gave it"));
        }
        if said && owed.gone.contains(hash) {
            return Err(format!(
                "{hash} is said to be pending, and expired long ago"
            ));
        }
        if !said && owed.surely.contains(hash) {
            return Err(format!("{hash} was taken, and is said not to be pending"));
        }
        Ok(())
    }

    fn pending(
        &mut self,
        owed: &Owed,
        since: Option<&Mark>,
        hashes: &[TxHash],
        mark: &Mark,
        recent_log_max: usize,
    ) -> Result<(), String> {
        let said: BTreeSet<TxHash> = hashes.iter().copied().collect();
        if said.len() != hashes.len() {
            return Err("a hash is pending twice".to_owned());
        }
        if let Some(strange) = said.iter().find(|hash| !self.met.contains_key(hash)) {
            return Err(format!(
                "{strange} is said to be pending, and nobody gave it"
            ));
        }
        let nonce = *self.nonce.get_or_insert(mark.nonce);
        if nonce != mark.nonce {
            return Err("the nonce of marks changed while the node ran".to_owned());
        }
        let from = since.and_then(|since| self.marks.get(&(since.nonce, since.since)).copied());
        let recent = from.filter(|from| owed.log - from < recent_log_max);
        // A mark of another run, or one that is too old, gets everything.
        let void = since.is_some_and(|since| since.nonce != nonce)
            || from.is_some_and(|from| owed.log - from > recent_log_max);
        let taken_since: BTreeSet<TxHash> = match (since, recent) {
            (None, _) => self.log[..owed.log].iter().copied().collect(),
            (Some(_), _) if void => self.log[..owed.log].iter().copied().collect(),
            (Some(_), Some(from)) => self.log[from..owed.log].iter().copied().collect(),
            (Some(_), None) => BTreeSet::new(),
        };
        if let Some(missing) = taken_since
            .iter()
            .find(|hash| owed.surely.contains(hash) && !said.contains(hash))
        {
            return Err(format!(
                "{missing} was taken since the mark, and is not told"
            ));
        }
        if let (Some(_), Some(_)) = (since, recent)
            && let Some(old) = said.iter().find(|hash| !taken_since.contains(hash))
        {
            return Err(format!("{old} is told, and was taken before the mark"));
        }
        self.marks.insert((mark.nonce, mark.since), owed.log);
        Ok(())
    }
}

/// Expired commands are swept now and then; after this long none may be left, in microseconds.
const EXPIRED_MAX_US: u64 = 120_000_000;
