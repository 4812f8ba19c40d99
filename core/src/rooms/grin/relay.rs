//! Transactions on their way: from an operator's client or another node, through the checks, into one
//! of the pools, and on to others: unseen to one of them, or to all.
//!
//! Rules: `PoolToNetAdapter` and the Dandelion monitor of grin_servers.

use std::sync::Arc;

use peerage_mw::{Hash, Job, Transaction};

use super::Grin;
use super::dandelion::{Next, embargo};
use super::look::failed;
use super::pool::{Admitted, Departure, Left, Outcome, Way};
use super::rows::{Row, StoredTransaction};
use super::source::{Source, Who};
use super::tend::refused;
use super::types::{Arrival, Between, Event, Response, Then, Timer};
use crate::commons::address::HostAddr;
use crate::commons::bans::BanReason;
use crate::cx::Cx;
use crate::input::{Answer, CallError, Caller, RequestId};
use crate::limits::{
    GRIN_CHECKS_MAX, GRIN_CHECKS_PER_PEER_MAX, GRIN_MONITOR_INTERVAL, GRIN_RELOAD_MAX,
    GRIN_RELOAD_TURNS,
};
use crate::time::Duration;
use crate::verify::VerifyJob;
use crate::work::{Done, Work};

impl Grin {
    // --- Coming in ---

    /// `POST /v1/pool/push_tx`.
    pub(super) fn push(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        transaction: Arc<Transaction>,
        fluff: bool,
    ) {
        let (stem, from, waiter) = (!fluff, Source::Operator, Some(id));
        self.arrive(
            cx,
            Arrival {
                transaction,
                stem,
                from,
                waiter,
            },
        );
    }

    /// Another node passes a transaction on.
    pub(super) fn hear_transaction(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: RequestId,
        from: &Caller,
        stem: bool,
        transaction: Arc<Transaction>,
    ) {
        let Some(addr) = self.linked(from) else {
            cx.event(Event::ImpostorRefused);
            return cx.respond(id, refused(403, "no link"));
        };
        let checks = self.links.get(&addr).map_or(0, |link| link.checks);
        if self.checking >= GRIN_CHECKS_MAX || checks >= GRIN_CHECKS_PER_PEER_MAX {
            return cx.respond(id, refused(503, BUSY));
        }
        cx.respond(id, Response::Done);
        let (from, waiter) = (self.who(from, &addr), None);
        self.arrive(
            cx,
            Arrival {
                transaction,
                stem,
                from,
                waiter,
            },
        );
    }

    /// Has a transaction checked that may come to wait.
    fn arrive(&mut self, cx: &mut Cx<'_, Self>, arrival: Arrival) {
        if self.checking >= GRIN_CHECKS_MAX {
            return self.turn_away(cx, &arrival, BUSY);
        }
        let way = self.way(cx, arrival.stem);
        let screened = self
            .pool
            .screen(self.store.state(), arrival.transaction.clone(), way);
        match screened {
            Ok((transaction, _)) => self.check(
                cx,
                vec![Arrival {
                    transaction,
                    ..arrival
                }],
            ),
            Err(why) => self.turn_away(cx, &arrival, &why.to_string()),
        }
    }

    fn way(&self, cx: &mut Cx<'_, Self>, stem: bool) -> Way {
        match stem {
            true => Way::Stem {
                embargo: embargo(cx.now().mono, cx.rng().bits()),
            },
            false => Way::Fluff,
        }
    }

    fn check(&mut self, cx: &mut Cx<'_, Self>, arrivals: Vec<Arrival>) {
        self.checking += arrivals.len();
        for arrival in &arrivals {
            self.count_check(arrival, |checks| checks + 1);
        }
        let jobs = arrivals
            .iter()
            .map(|it| Job::Transaction(Transaction::clone(&it.transaction)));
        let work = Work::Check {
            rules: *self.store.state().rules(),
            jobs: jobs.collect(),
        };
        let then = Then::TransactionsChecked(arrivals.into());
        cx.verify(VerifyJob::Mimblewimble(work), then);
    }

    /// Transactions are checked by themselves.
    pub(super) fn transactions_checked(
        &mut self,
        cx: &mut Cx<'_, Self>,
        arrivals: &[Arrival],
        done: &Done,
    ) {
        let Done::Checked(verdicts) = done else {
            unreachable!("a check was asked for");
        };
        self.checking -= arrivals.len();
        for arrival in arrivals {
            self.count_check(arrival, |checks| checks.saturating_sub(1));
        }
        for (arrival, verdict) in arrivals.iter().zip(verdicts.iter()) {
            match verdict {
                Ok(()) => self.admit(cx, arrival),
                Err(fault) => {
                    let why = fault.to_string();
                    self.turn_away(cx, arrival, &why);
                    self.punish(cx, &arrival.from, BanReason::BadTransaction, &why);
                }
            }
            self.reloaded(cx, &arrival.transaction);
        }
        self.reload(cx);
    }

    /// Counts what a linked peer has being checked.
    fn count_check(&mut self, arrival: &Arrival, change: impl Fn(usize) -> usize) {
        let cert = arrival.from.peer().and_then(|who| who.cert);
        let addr = cert.and_then(|cert| self.links.addr_of(&cert.fingerprint).cloned());
        if let Some(link) = addr.and_then(|addr| self.links.get_mut(&addr)) {
            link.checks = change(link.checks);
        }
    }

    fn turn_away(&mut self, cx: &mut Cx<'_, Self>, arrival: &Arrival, why: &str) {
        cx.event(Event::TransactionRefused { why: why.into() });
        if let Some(id) = arrival.waiter {
            cx.respond(
                id,
                failed(500, "failed: Internal error: Failed to update pool"),
            );
        }
    }

    // --- Coming to wait ---

    /// Lets a transaction wait that was checked by itself.
    fn admit(&mut self, cx: &mut Cx<'_, Self>, arrival: &Arrival) {
        let (transaction, now) = (arrival.transaction.clone(), cx.now().mono);
        let way = self.way(cx, arrival.stem);
        match self.pool.admit(self.store.state(), transaction, way, now) {
            Ok(Outcome::Admitted(admitted)) => {
                if let Some(id) = arrival.waiter {
                    cx.respond(id, Response::Pushed);
                }
                self.admitted(cx, admitted, arrival);
            }
            Ok(Outcome::Remainder(transaction)) => {
                self.check(
                    cx,
                    vec![Arrival {
                        transaction,
                        ..arrival.clone()
                    }],
                );
            }
            Err(why) => self.turn_away(cx, arrival, &why.to_string()),
        }
    }

    /// A transaction waits: it is passed on.
    fn admitted(&mut self, cx: &mut Cx<'_, Self>, admitted: Admitted, arrival: &Arrival) {
        let Admitted { transaction, left } = admitted;
        let stem = self.pool.stem_contains(&transaction);
        cx.event(Event::TransactionAccepted { stem });
        if stem {
            self.left(cx, left);
            return self.pass_on(cx, transaction, &arrival.from);
        }
        self.keep(cx, &transaction);
        // It may have left again at once.
        self.left(cx, left);
        // Whoever passed it on unseen waits to see it spread, and would spread it too if left out.
        let giver = arrival.from.peer().filter(|_| !arrival.stem);
        self.spread(cx, &transaction, giver);
    }

    /// Writes down that a transaction waits for everybody to see.
    fn keep(&self, cx: &mut Cx<'_, Self>, transaction: &Arc<Transaction>) {
        let (chain, transaction) = (self.store.state().rules().chain, transaction.clone());
        let row = Row::Pending(
            transaction.digest(),
            Some(StoredTransaction { chain, transaction }),
        );
        cx.put_lazily(row);
    }

    /// Transactions do not wait any longer.
    pub(super) fn left(&self, cx: &mut Cx<'_, Self>, left: Vec<Left>) {
        for Left {
            transaction,
            stem,
            why,
        } in left
        {
            if !stem {
                cx.put_lazily(Row::Pending(transaction.digest(), None));
            }
            match why {
                Departure::Conflicts => cx.event(Event::TransactionDropped),
                Departure::Evicted => cx.event(Event::TransactionEvicted),
                Departure::Confirmed | Departure::Spread => {}
            }
        }
    }

    // --- Going on ---

    /// Tells everybody of a transaction, except for whom it comes from.
    fn spread(&self, cx: &mut Cx<'_, Self>, transaction: &Arc<Transaction>, giver: Option<&Who>) {
        let giver = giver.and_then(|who| who.cert).map(|cert| cert.fingerprint);
        let others = self
            .links
            .iter()
            .filter(|(_, link)| Some(link.cert.fingerprint) != giver);
        for (addr, _) in others {
            let to = self.endpoint(cx, addr);
            let what = Between::Relay {
                stem: false,
                transaction: transaction.clone(),
            };
            self.send(
                cx,
                to,
                what,
                Then::Relayed {
                    to: addr.clone(),
                    stem: None,
                },
            );
        }
    }

    /// Does with a stem transaction what the epoch has for it.
    fn pass_on(&mut self, cx: &mut Cx<'_, Self>, transaction: Arc<Transaction>, from: &Source) {
        self.follow_epoch(cx);
        cx.arm_once(Timer::Monitor, GRIN_MONITOR_INTERVAL);
        match self.stem.next(from.peer().is_none()) {
            Next::Collect => {}
            Next::Fluff => self.publish(cx, transaction),
            Next::Relay(to) => {
                let then = Then::Relayed {
                    to: to.clone(),
                    stem: Some(transaction.digest()),
                };
                let to = self.endpoint(cx, &to);
                self.send(
                    cx,
                    to,
                    Between::Relay {
                        stem: true,
                        transaction,
                    },
                    then,
                );
            }
        }
    }

    /// Begins an epoch if one is over, and sees to it that there is somebody to pass on to.
    fn follow_epoch(&mut self, cx: &mut Cx<'_, Self>) {
        let now = cx.now().mono;
        let other = self.any_outbound(cx);
        if self.stem.is_over(now) {
            let luck = cx.rng().bits();
            self.stem.begin(now, luck, other);
            return cx.event(Event::EpochBegan {
                stem: self.stem.is_stem(),
            });
        }
        let links = &self.links;
        self.stem.replace(
            |addr| links.get(addr).is_some_and(|link| link.outbound),
            other,
        );
    }

    fn any_outbound(&self, cx: &mut Cx<'_, Self>) -> Option<HostAddr> {
        let outbound = self.links.iter().filter(|(_, link)| link.outbound);
        let outbound: Vec<&HostAddr> = outbound.map(|(addr, _)| addr).collect();
        let at = cx.rng().index(outbound.len());
        outbound.get(at).map(|addr| HostAddr::clone(addr))
    }

    /// A transaction was passed on, or not; one of the stem is then spread by ourselves.
    pub(super) fn relayed(
        &mut self,
        cx: &mut Cx<'_, Self>,
        to: &HostAddr,
        stem: Option<Hash>,
        result: &Result<Answer, CallError>,
    ) {
        if self.told(cx, to, result) {
            return;
        }
        let waits = |digest: Hash| {
            let mut all = self.pool.iter();
            let found = all.find(|(it, unseen)| *unseen && it.digest() == digest);
            found.map(|(transaction, _)| transaction.clone())
        };
        if let Some(transaction) = stem.and_then(waits) {
            self.publish(cx, transaction);
        }
    }

    /// Spreads a transaction of the stem pool, or one that is made of several.
    fn publish(&mut self, cx: &mut Cx<'_, Self>, transaction: Arc<Transaction>) {
        let (stem, from, waiter) = (false, Source::Own, None);
        self.admit(
            cx,
            &Arrival {
                transaction,
                stem,
                from,
                waiter,
            },
        );
    }

    /// Looks at the stem pool: what was collected for long enough, or what nobody else has spread.
    pub(super) fn monitor(&mut self, cx: &mut Cx<'_, Self>) {
        let now = cx.now().mono;
        if self.stem.spreads(&self.pool, now) {
            for bundle in self.pool.bundles(self.store.state().rules()) {
                self.publish(cx, bundle);
            }
        }
        for transaction in self.pool.embargo_ended(now) {
            cx.event(Event::EmbargoEnded);
            self.publish(cx, transaction);
        }
        self.follow_epoch(cx);
        if self.pool.stem_len() > 0 {
            cx.arm_once(Timer::Monitor, GRIN_MONITOR_INTERVAL);
        }
    }

    /// After a reorganisation: what was spread lately may wait again.
    pub(super) fn readmit(&mut self, cx: &mut Cx<'_, Self>) {
        let readmitted = self.pool.readmit(self.store.state(), cx.now().mono);
        for transaction in &readmitted.back {
            self.keep(cx, transaction);
        }
        self.left(cx, readmitted.left);
        if readmitted.more {
            cx.arm_once(Timer::Readmit, Duration::from_micros(1));
        }
    }

    // --- From a former run ---

    /// Has the next transactions of a former run checked, unless some are under way. One that does not
    /// fit may depend on another that is still to come, so it has a few more turns.
    pub(super) fn reload(&mut self, cx: &mut Cx<'_, Self>) {
        if self.checking > 0 {
            return;
        }
        let mut arrivals = Vec::new();
        let round = self.reload_queue.len().min(GRIN_RELOAD_MAX);
        let round: Vec<(Hash, u8)> = self.reload_queue.drain(..round).collect();
        for (digest, turn) in round {
            let Some(transaction) = self.reloading.get(&digest).cloned() else {
                continue;
            };
            match self
                .pool
                .screen(self.store.state(), transaction.clone(), Way::Fluff)
            {
                Ok((rest, _)) if rest.digest() == digest => arrivals.push(Arrival {
                    transaction,
                    stem: false,
                    from: Source::Own,
                    waiter: None,
                }),
                Err(_) if turn < GRIN_RELOAD_TURNS => {
                    self.reload_queue.push_back((digest, turn + 1));
                }
                Ok(_) | Err(_) => self.reloaded(cx, &transaction),
            }
        }
        if !arrivals.is_empty() {
            self.check(cx, arrivals);
        } else if !self.reload_queue.is_empty() {
            cx.arm_once(Timer::Reload, Duration::from_micros(1));
        }
    }

    /// What becomes of a transaction of a former run is decided.
    fn reloaded(&mut self, cx: &mut Cx<'_, Self>, transaction: &Transaction) {
        let digest = transaction.digest();
        let waits = || {
            self.pool
                .iter()
                .any(|(it, unseen)| !unseen && it.digest() == digest)
        };
        if self.reloading.contains_key(&digest) && !waits() {
            cx.put_lazily(Row::Pending(digest, None));
        }
        self.reloading.remove(&digest);
    }
}

const BUSY: &str = "too many transactions are being checked";
