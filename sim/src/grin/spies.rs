//! What spies learn of where payments come from. A spy is a node like any other whose owner writes
//! down who sends it what: whoever sends a payment to a spy first is taken for the one who made it.
//!
//! Of payments that spread at once that is often true. Of those that first go unseen from node to node
//! it should be rare: that is what Dandelion is for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use peerage_core::mw::{Hash, Transaction};
use peerage_core::rooms::grin;
use peerage_core::rooms::grin::types::{Ask, Between};
use peerage_core::time::Duration;
use peerage_core::{Input, Request};

use super::Net;
use crate::group::Group;
use crate::options::{Options, Topology};
use crate::run::Run;
use crate::watch::Watch;

/// What spies have found out of some payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guesses {
    /// Payments that were pushed to nodes that are no spies.
    pub made: u64,
    /// Those of which a spy heard.
    pub heard: u64,
    /// Those whose node the first spy to hear of them names.
    pub named: u64,
}

impl Guesses {
    /// Of a million payments that spies heard of, whose node was named.
    #[must_use]
    pub const fn share(&self) -> u32 {
        match (self.named * 1_000_000).checked_div(self.heard) {
            Some(share) => share as u32,
            None => 0,
        }
    }
}

/// Spies who share what they write down.
#[derive(Clone, Debug)]
pub struct Spies(Rc<RefCell<Notes>>);

#[derive(Debug)]
struct Notes {
    spies: Group,
    /// The node that each payment was pushed to first, and whether it was to be spread at once.
    made: BTreeMap<Hash, (u32, bool)>,
    /// Who sent it to a spy first.
    heard: BTreeMap<Hash, u32>,
}

impl Spies {
    /// These nodes spy.
    #[must_use]
    pub fn new(spies: Group) -> Self {
        Self(Rc::new(RefCell::new(Notes {
            spies,
            made: BTreeMap::new(),
            heard: BTreeMap::new(),
        })))
    }

    /// What they found out of payments that were to be spread at once, or of the others.
    #[must_use]
    pub fn guesses(&self, fluff: bool) -> Guesses {
        let notes = self.0.borrow();
        let mut guesses = Guesses::default();
        for (payment, (node, _)) in notes
            .made
            .iter()
            .filter(|(_, (_, at_once))| *at_once == fluff)
        {
            guesses.made += 1;
            if let Some(guess) = notes.heard.get(payment) {
                guesses.heard += 1;
                guesses.named += u64::from(guess == node);
            }
        }
        guesses
    }
}

impl Watch for Spies {
    fn input(&mut self, _at: u64, node: u32, from: u32, input: &Input) {
        let Input::Request {
            request: Request::Grin(request),
            ..
        } = input
        else {
            return;
        };
        let mut notes = self.0.borrow_mut();
        let spies = notes.spies.holds(node);
        if let grin::Request::Ask(Ask::Push { transaction, fluff }) = request {
            if let Some(name) = name(transaction).filter(|_| !spies) {
                notes.made.entry(name).or_insert((node, *fluff));
            }
        } else if let grin::Request::Between(_, Between::Relay { transaction, .. }) = request
            && let Some(name) = name(transaction).filter(|_| spies)
            && !notes.spies.holds(from)
        {
            notes.heard.entry(name).or_insert(from);
        }
    }
}

/// A payment goes by its kernel, whatever else comes to be in one transaction with it.
fn name(transaction: &Transaction) -> Option<Hash> {
    transaction.kernels().next().map(|kernel| kernel.hash())
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Of payments that went unseen first.
    pub stem: Guesses,
    /// Of payments that were spread at once.
    pub fluff: Guesses,
    /// Events of the simulation.
    pub events: u64,
    /// The fold of everything.
    pub hash: u64,
}

/// One of so many nodes spies.
const HONEST: usize = 10;

/// Measures a network of so many nodes, of which every tenth spies. Payments go on for `duration`
/// virtual microseconds.
#[must_use]
pub fn measure(seed: u64, nodes: u32, duration: u64) -> Measured {
    let mut options = Options::plain(seed, nodes, duration);
    options.audited = 0;
    options.sessions.cut_max = 0;
    options.sessions.mempool_max = 0;
    options.topology = Topology::Random(12.min(nodes - 1));
    options.grin = Some(Net {
        miners: Group::of([0]),
        interval: Duration::from_secs(15),
        purses: 1,
        payments: 4,
        fluff: 500_000,
        ..Net::default()
    });
    let spies = Spies::new(Group::of((0..nodes).skip(1).step_by(HONEST)));
    let mut run = Run::new(options);
    run.watch(Box::new(spies.clone()));
    run.advance(duration);
    Measured {
        stem: spies.guesses(false),
        fluff: spies.guesses(true),
        events: run.engine().events(),
        hash: run.hash(),
    }
}
