//! What must hold of the Mimblewimble chain.
//!
//! * A chain is one of blocks that go together from the first block on: none spends what is not there
//!   or not ripe, and after each there are as many coins as rewards were paid ([`ledger`]).
//! * A node changes to another branch only for more work.
//! * A node's state, however it came about, is that of its chain replayed.
//! * What waits could be in the next blocks, in the order in which it came.
//! * What came unseen is shown to nobody before its time ([`stem`]).
//! * Whoever does not lie is banned for nothing that it sends.
//! * A block that others were told of is still there after a crash, or one with more work.
//! * In the calm the core comes to one last block.

pub mod ledger;
pub mod stem;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use peerage_core::Node;
use peerage_core::limits::Limits;
use peerage_core::mw::{Commitment, Hash};
use peerage_core::rooms::Row as AnyRow;
use peerage_core::rooms::grin::Row;

use self::ledger::{After, Ledger};
use self::stem::Stem;
use crate::grin::{Net, Purses};

/// What is known of all chains of a world.
#[derive(Clone, Debug)]
pub struct Chains {
    /// What each comes to.
    pub ledger: Ledger,
    nodes: Vec<Owner>,
}

/// What is known of one node's chain.
#[derive(Clone, Debug)]
struct Owner {
    /// Its blocks by height, without the first.
    main: BTreeMap<u64, Hash>,
    /// The last block of which others were told, by its work.
    told: Option<(u64, Hash)>,
    /// The last block whose state was compared.
    compared: Option<Hash>,
    stem: Stem,
}

impl Chains {
    /// The chains of so many nodes, of which none has a block.
    #[must_use]
    pub fn new(net: &Net, nodes: u32) -> Self {
        let rules = peerage_core::config::grin::Grin::default().rules;
        let owner = Owner {
            main: BTreeMap::new(),
            told: None,
            compared: None,
            stem: Stem::default(),
        };
        Self {
            ledger: Ledger::new(rules, Purses::new(net.purses)),
            nodes: vec![owner; nodes as usize],
        }
    }

    /// The last block of a node's chain.
    #[must_use]
    pub fn tip(&self, node: u32) -> Hash {
        let last = self.nodes[node as usize].main.last_key_value();
        last.map_or_else(|| self.ledger.first(), |(_, hash)| *hash)
    }

    fn work(&self, hash: &Hash) -> u64 {
        let block = self.ledger.block(hash);
        block.map_or(0, |block| block.header().total_difficulty())
    }

    /// What is known of how transactions reached a node.
    pub fn stem(&mut self, node: u32) -> &mut Stem {
        &mut self.nodes[node as usize].stem
    }

    /// A node writes down what has changed.
    ///
    /// # Errors
    /// What cannot be.
    pub fn written<'a>(
        &mut self,
        node: u32,
        rows: impl Iterator<Item = &'a AnyRow>,
    ) -> Result<(), String> {
        let before = self.tip(node);
        let mut changes: BTreeMap<u64, Option<Hash>> = BTreeMap::new();
        for row in rows {
            let AnyRow::Grin(Row::Block(height, stored)) = row else {
                continue;
            };
            if let Some(stored) = stored {
                self.ledger.enter(&stored.block)?;
                let kernels = stored.block.kernels().map(|kernel| kernel.hash());
                self.nodes[node as usize].stem.published(kernels);
            }
            changes.insert(*height, stored.as_ref().map(|it| it.block.hash()));
        }
        if changes.is_empty() {
            return Ok(());
        }
        self.change(node, changes)?;
        let after = self.tip(node);
        let (less, more) = (self.work(&before), self.work(&after));
        match more > less {
            true => Ok(()),
            false => Err(format!("a branch of work {more} replaces one of {less}")),
        }
    }

    fn change(&mut self, node: u32, changes: BTreeMap<u64, Option<Hash>>) -> Result<(), String> {
        let from = changes.keys().next().copied().unwrap_or(0);
        let main = &mut self.nodes[node as usize].main;
        for (height, hash) in changes {
            match hash {
                Some(hash) => main.insert(height, hash),
                None => main.remove(&height),
            };
        }
        let before = main.get(&from.wrapping_sub(1)).copied();
        let mut before = before.unwrap_or_else(|| self.ledger.first());
        for (height, (at, hash)) in (from..).zip(main.range(from..)) {
            let block = self.ledger.block(hash);
            let follows = block.is_some_and(|block| block.header().previous() == before);
            if *at != height || !follows {
                return Err(format!("block {at} does not follow the one before it"));
            }
            before = *hash;
        }
        Ok(())
    }

    /// Others are told which block of a node is the last, and how much work is in its chain.
    ///
    /// # Errors
    /// If no node has such a block.
    pub fn told(&mut self, node: u32, work: u64, hash: Hash) -> Result<(), String> {
        let has = self.work(&hash);
        let owner = &mut self.nodes[node as usize];
        if owner.told.is_none_or(|(most, _)| most < work) {
            owner.told = Some((work, hash));
        }
        match has == work {
            true => Ok(()),
            false => Err(format!(
                "others are told of {hash} with work {work}, which has {has}"
            )),
        }
    }

    /// A node starts with what its disk holds, having lost all of it if `forgot`.
    ///
    /// # Errors
    /// What is lost that others were told of.
    pub fn starts(
        &mut self,
        node: u32,
        limits: &Limits,
        rows: &[AnyRow],
        forgot: bool,
    ) -> Result<(), String> {
        let mut main = BTreeMap::new();
        let mut waiting = Vec::new();
        for row in rows {
            let AnyRow::Grin(row) = row else { continue };
            match row {
                Row::Block(height, Some(stored)) => {
                    self.ledger.enter(&stored.block)?;
                    main.insert(*height, stored.block.hash());
                }
                // The block was entered before it was forgotten.
                Row::Remains(height, stored) => {
                    main.insert(*height, stored.remains.header().hash());
                }
                Row::Pending(_, Some(stored)) => {
                    waiting.extend(stored.transaction.kernels().map(|kernel| kernel.hash()));
                }
                Row::Block(_, None) | Row::Pending(_, None) | Row::Peer(..) => {}
            }
        }
        let owner = &mut self.nodes[node as usize];
        owner.main = main;
        owner.stem = Stem::new(limits);
        owner.stem.published(waiting.into_iter());
        owner.compared = None;
        if forgot {
            owner.told = None;
        }
        let Some((work, hash)) = owner.told else {
            return Ok(());
        };
        let (tip, has) = (self.tip(node), self.work(&self.tip(node)));
        match has > work || tip == hash {
            true => Ok(()),
            false => Err(format!(
                "others were told of work {work}, and after the start there is {has}"
            )),
        }
    }

    /// Compares a node's state with its chain replayed, and what waits with that.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&mut self, node: u32, machine: &Node) -> Result<(), String> {
        let state = machine.grin().chain();
        let (tip, hash) = (self.tip(node), state.tip().hash());
        if tip != hash {
            return Err(format!("the last block is {hash}, {tip} was written down"));
        }
        let after = self.ledger.after(&tip).ok_or("a chain of unknown blocks")?;
        let owner = &mut self.nodes[node as usize];
        if owner.compared != Some(tip) {
            let height = after.height;
            if *after.state != *state {
                return Err(format!(
                    "the state at {height} is not that of its chain replayed"
                ));
            }
            let listed = state.unspent_from(0).map(|it| it.output.commitment());
            if listed.collect::<BTreeSet<_>>() != after.coins.keys().copied().collect() {
                return Err(format!(
                    "other outputs are unspent at {height} than its chain leaves"
                ));
            }
            owner.compared = Some(tip);
        }
        compare_pool(machine, &after)?;
        let mut shown = machine.grin().waiting().filter(|(_, unseen)| !unseen);
        let stem = &self.nodes[node as usize].stem;
        shown.try_for_each(|(transaction, _)| stem.may_show(transaction, "is in the public pool"))
    }
}

/// Whether what waits could be in the next block, one after the other.
fn compare_pool(machine: &Node, after: &After) -> Result<(), String> {
    let next = after.height + 1;
    // What the waiting ones have changed so far: what is there on top, or no more.
    let mut changed: BTreeMap<Commitment, bool> = BTreeMap::new();
    let (mut kernels, mut unseen_before) = (BTreeSet::new(), false);
    for (transaction, unseen) in machine.grin().waiting() {
        let is_there = |changed: &BTreeMap<Commitment, bool>, it: &Commitment| {
            let below = after.coins.contains_key(it);
            changed.get(it).copied().unwrap_or(below)
        };
        let name = transaction.digest();
        if unseen_before && !unseen {
            return Err("the pools are mixed".to_owned());
        }
        unseen_before = unseen;
        for input in transaction.inputs() {
            let it = input.commitment;
            if !is_there(&changed, &it) {
                return Err(format!("{name} waits and spends {it}, which is not there"));
            }
            let ripe = after.coins.get(&it).map_or(0, |coin| coin.ripe);
            if ripe > next {
                return Err(format!("{name} waits and spends what is ripe at {ripe}"));
            }
            changed.insert(it, false);
        }
        for output in transaction.outputs() {
            let it = output.commitment();
            if is_there(&changed, &it) {
                return Err(format!("{name} waits and makes {it}, which is there"));
            }
            changed.insert(it, true);
        }
        if transaction.lock_height() > next {
            return Err(format!("{name} waits and is locked"));
        }
        if !transaction.kernels().all(|it| kernels.insert(it.hash())) {
            return Err(format!("a kernel of {name} waits twice"));
        }
    }
    Ok(())
}

/// What keeps the nodes from having one chain, if anything does. Two branches of equal work are one
/// too many only where somebody of them `mines`.
#[must_use]
pub fn obstacle<'a>(nodes: impl Iterator<Item = (u32, &'a Node)>, mines: bool) -> Option<String> {
    let mut tips = nodes.map(|(index, node)| (index, Arc::new(node.grin().chain().tip().clone())));
    let (first, expected) = tips.next()?;
    tips.find_map(|(index, tip)| {
        let (one, other) = (expected.total_difficulty(), tip.total_difficulty());
        if one != other {
            return Some(format!(
                "n{first} has a chain of work {one}, n{index} one of {other}"
            ));
        }
        (mines && *expected != *tip).then(|| {
            let height = tip.height();
            format!("n{first} and n{index} have different blocks {height}")
        })
    })
}
