//! Single exchanges of messages, a bounded number of them.
//!
//! Three lots are kept, each within its own part of the bound: whatever crossed around a finding,
//! exchanges in which something was lost or failed, as evenly over the run as may be, and all that
//! crossed from and to a few nodes that are followed. A run that is small enough is kept whole.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use crate::exchange::Ticket;
use crate::group::Group;
use crate::oracle::Finding;
use crate::watch::{Carries, Crossing};

/// Time before and after a finding that is kept.
const BEFORE: u64 = 3_000_000;
const AFTER: u64 = 1_000_000;
/// How long exchanges are remembered for a finding that may still come, and how many.
const RECENT: u64 = 6_000_000;
const RECENT_MAX: usize = 100_000;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives.
    Arrives,
    /// It was lost at once.
    Lost,
    /// It was swallowed on its way.
    Swallowed,
}

/// One message of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) carries: Carries,
    pub(super) at: u64,
    /// When it arrives, was swallowed, or was lost.
    pub(super) until: u64,
    pub(super) fate: Fate,
}

const NO_LEG: Leg = Leg {
    carries: Carries::Question,
    at: 0,
    until: 0,
    fate: Fate::Lost,
};

/// Most messages of an exchange: a question, an answer or failure, a hang-up.
const LEGS: usize = 4;

/// An exchange as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Counts all exchanges of the run.
    pub(super) number: u64,
    ticket: Ticket,
    pub(super) name: &'static str,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) sent: u64,
    pub(super) last: u64,
    /// Why there was no answer, when the caller was told.
    pub(super) failure: Option<(u64, &'static str)>,
    /// Bits of the names of events that the question caused where it arrived.
    pub(super) told: u64,
    legs: [Leg; LEGS],
    len: u8,
}

impl Kept {
    pub(super) fn legs(&self) -> &[Leg] {
        &self.legs[..usize::from(self.len)]
    }

    fn push(&mut self, leg: Leg) {
        if let Some(slot) = self.legs.get_mut(usize::from(self.len)) {
            *slot = leg;
            self.len += 1;
            self.last = self.last.max(leg.until);
        }
    }

    fn notable(&self) -> bool {
        self.failure.is_some() || self.legs().iter().any(|leg| leg.fate != Fate::Arrives)
    }

    const fn touches(&self, node: u32) -> bool {
        self.from == node || self.to == node
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

/// The first exchanges of each slice of time.
#[derive(Debug)]
struct Slices {
    width: u64,
    budget: usize,
    /// How many of a slice.
    each: usize,
    len: usize,
    slices: Vec<BinaryHeap<Kept>>,
}

impl Slices {
    const fn new(width: u64, budget: usize) -> Self {
        Self {
            width,
            budget,
            each: usize::MAX,
            len: 0,
            slices: Vec::new(),
        }
    }

    /// Keeps the exchange, and gives back the one for which there is no place.
    fn offer(&mut self, kept: Kept) -> Option<Kept> {
        let slice = (kept.sent / self.width) as usize;
        if self.slices.len() <= slice {
            self.slices.resize_with(slice + 1, BinaryHeap::new);
        }
        let heap = &mut self.slices[slice];
        heap.push(kept);
        if heap.len() > self.each {
            return heap.pop();
        }
        self.len += 1;
        if self.len > self.budget {
            self.thin();
        }
        None
    }

    fn thin(&mut self) {
        let longest = self.slices.iter().map(BinaryHeap::len).max().unwrap_or(0);
        self.each = self.each.min(longest);
        let wanted = self.budget / 4 * 3;
        let total = |each: usize| -> usize {
            let lens = self.slices.iter().map(|heap| heap.len().min(each));
            lens.sum()
        };
        while self.each > 0 && total(self.each) > wanted {
            self.each = self.each * 7 / 8;
        }
        for heap in &mut self.slices {
            while heap.len() > self.each {
                heap.pop();
            }
        }
        self.len = self.slices.iter().map(BinaryHeap::len).sum();
    }
}

/// All exchanges of as many nodes as there is room for, those that were asked for first.
#[derive(Debug)]
struct Followed {
    budget: usize,
    /// The place of each node in the order in which they are followed.
    ranks: Vec<u32>,
    /// Nodes whose places are below this are followed.
    most: u32,
    kept: Vec<Kept>,
    /// Exchanges of the last that is followed for which there is no room.
    refused: u64,
}

impl Followed {
    fn new(budget: usize, nodes: u32, first: Option<&Group>) -> Self {
        // Steps of a golden section lead through all nodes, the next always far from the others.
        let mut step = (u64::from(nodes) * 618 / 1_000).max(1);
        while common(step, nodes.into()) != 1 {
            step += 1;
        }
        let walk = (0..u64::from(nodes)).map(|place| (place * step % u64::from(nodes)) as u32);
        let wanted = |node: &u32| first.is_some_and(|group| group.holds(*node));
        let order: Vec<u32> = (walk.clone().filter(wanted))
            .chain(walk.clone().filter(|node| !wanted(node)))
            .collect();
        let mut ranks = vec![0; nodes as usize];
        for (rank, node) in (0..).zip(order) {
            ranks[node as usize] = rank;
        }
        Self {
            budget,
            ranks,
            most: nodes,
            kept: Vec::new(),
            refused: 0,
        }
    }

    fn offer(&mut self, kept: Kept) {
        if self.rank(&kept) >= self.most {
            return;
        }
        if self.kept.len() >= self.budget && self.most <= 1 {
            self.refused += 1;
            return;
        }
        self.kept.push(kept);
        while self.kept.len() > self.budget && self.most > 1 {
            self.most = (self.most * 3 / 4).max(1);
            let mut kept = std::mem::take(&mut self.kept);
            kept.retain(|kept| self.rank(kept) < self.most);
            self.kept = kept;
        }
        self.kept.truncate(self.budget);
    }

    fn rank(&self, kept: &Kept) -> u32 {
        // Users have no place.
        let rank = |node: u32| self.ranks.get(node as usize).copied().unwrap_or(u32::MAX);
        rank(kept.from).min(rank(kept.to))
    }

    fn nodes(&self) -> Vec<u32> {
        let nodes = (0..).zip(&self.ranks);
        let nodes = nodes.filter(|(_, rank)| **rank < self.most);
        nodes.map(|(node, _)| node).collect()
    }
}

/// The greatest common divisor.
const fn common(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A time and, if there is one, a node around which everything is kept.
#[derive(Debug)]
struct Window {
    from: u64,
    to: u64,
    node: Option<u32>,
}

/// The exchanges of a run, as far as they are kept.
#[derive(Debug)]
pub(super) struct Flow {
    /// All exchanges of the run.
    pub(super) seen: u64,
    /// By the slots of their tickets: those under way, and those whose slot was not used again.
    open: Vec<Option<Kept>>,
    /// The slot of the question that a node handles just now.
    handling: Option<usize>,
    recent: VecDeque<Kept>,
    windows: Vec<Window>,
    near: BTreeMap<u64, Kept>,
    near_max: usize,
    notable: Slices,
    followed: Followed,
}

const fn slot(ticket: Ticket) -> usize {
    (ticket.request().0 >> 32) as usize
}

impl Flow {
    /// Keeps at most so many exchanges of a run that storms for so long, those of the nodes `first`
    /// first.
    pub(super) fn new(most: usize, duration: u64, nodes: u32, first: Option<&Group>) -> Self {
        let width = (duration / 480).max(50_000);
        Self {
            seen: 0,
            open: Vec::new(),
            handling: None,
            recent: VecDeque::new(),
            windows: Vec::new(),
            near: BTreeMap::new(),
            near_max: most / 4,
            notable: Slices::new(width, most / 4),
            followed: Followed::new(most / 2, nodes, first),
        }
    }

    fn find(&mut self, ticket: Ticket) -> Option<&mut Kept> {
        let kept = self.open.get_mut(slot(ticket))?.as_mut()?;
        (kept.ticket == ticket).then_some(kept)
    }

    /// A message leaves.
    pub(super) fn crossing(&mut self, crossing: &Crossing) {
        let leg = Leg {
            carries: crossing.carries,
            at: crossing.at,
            until: crossing.arrives.unwrap_or(crossing.at),
            fate: if crossing.arrives.is_some() {
                Fate::Arrives
            } else {
                Fate::Lost
            },
        };
        if let Some(kept) = self.find(crossing.ticket) {
            return kept.push(leg);
        }
        let (from, to) = match crossing.carries {
            Carries::Question | Carries::Hangup => (crossing.from, crossing.to),
            // The question never left: there is nobody of that name.
            Carries::Answer | Carries::Failure => (crossing.to, u32::MAX),
        };
        let mut kept = Kept {
            number: self.seen,
            ticket: crossing.ticket,
            name: crossing.name,
            from,
            to,
            sent: crossing.at,
            last: crossing.at,
            failure: None,
            told: 0,
            legs: [NO_LEG; LEGS],
            len: 0,
        };
        kept.push(leg);
        self.seen += 1;
        let slot = slot(crossing.ticket);
        if self.open.len() <= slot {
            self.open.resize_with(slot + 1, || None);
        }
        if let Some(old) = self.open[slot].replace(kept) {
            self.flush(crossing.at, old);
        }
    }

    /// A message that was under way is swallowed, or held up until a later time.
    pub(super) fn diverted(&mut self, ticket: Ticket, carries: Carries, until: u64, fate: Fate) {
        if let Some(kept) = self.find(ticket) {
            let len = usize::from(kept.len);
            let legs = kept.legs[..len].iter_mut().rev();
            if let Some(leg) = { legs }.find(|leg| leg.carries == carries) {
                leg.until = until;
                leg.fate = fate;
            }
            kept.last = kept.last.max(until);
        }
    }

    /// The caller is told why there is no answer.
    pub(super) fn failure(&mut self, at: u64, ticket: Ticket, reason: &'static str) {
        if let Some(kept) = self.find(ticket) {
            kept.failure = Some((at, reason));
            kept.last = kept.last.max(at);
        }
    }

    /// A node begins to handle a question, or is done with whatever it handled.
    pub(super) fn handling(&mut self, ticket: Option<Ticket>) {
        self.handling = ticket.and_then(|ticket| self.find(ticket).map(|_| slot(ticket)));
    }

    /// A node tells of something while it handles a question.
    pub(super) fn told(&mut self, bit: usize) {
        if let Some(slot) = self.handling
            && let Some(kept) = &mut self.open[slot]
        {
            kept.told |= 1_u64.checked_shl(bit as u32).unwrap_or(0);
        }
    }

    /// Everything around a finding is kept from now on, and what is still remembered of it.
    pub(super) fn finding(&mut self, finding: &Finding) {
        self.windows.push(Window {
            from: finding.at.saturating_sub(BEFORE),
            to: finding.at + AFTER,
            node: finding.node,
        });
        // The node's own first, the latest first.
        for own in [true, false] {
            for place in (0..self.recent.len()).rev() {
                let kept = &self.recent[place];
                if self.windows.last().is_some_and(|w| w.holds(kept, own)) && self.has_room(own) {
                    self.near.insert(kept.number, kept.clone());
                }
            }
        }
    }

    /// What does not touch the finding's own node leaves half of the room to what does.
    fn has_room(&self, own: bool) -> bool {
        let most = if own {
            self.near_max
        } else {
            self.near_max / 2
        };
        self.near.len() < most
    }

    fn flush(&mut self, now: u64, kept: Kept) {
        for own in [true, false] {
            if self.windows.iter().any(|window| window.holds(&kept, own)) && self.has_room(own) {
                self.near.insert(kept.number, kept);
                return;
            }
        }
        while self.recent.len() >= RECENT_MAX
            || (self.recent.front()).is_some_and(|old| old.last + RECENT < now)
        {
            self.recent.pop_front();
        }
        self.recent.push_back(kept.clone());
        let left = if kept.notable() {
            self.notable.offer(kept)
        } else {
            Some(kept)
        };
        if let Some(kept) = left {
            self.followed.offer(kept);
        }
    }

    /// The nodes of which every exchange is kept, and how many of the last one's are not after all.
    pub(super) fn followed(&self) -> (Vec<u32>, u64) {
        (self.followed.nodes(), self.followed.refused)
    }

    /// Nothing is under way any more. Gives what is kept, in order.
    pub(super) fn finish(&mut self, now: u64) -> Vec<Kept> {
        for slot in 0..self.open.len() {
            if let Some(kept) = self.open[slot].take() {
                self.flush(now, kept);
            }
        }
        self.recent.clear();
        let mut all = std::mem::take(&mut self.near);
        let notable = self.notable.slices.drain(..).flatten();
        let followed = self.followed.kept.drain(..);
        all.extend(notable.chain(followed).map(|kept| (kept.number, kept)));
        all.into_values().collect()
    }
}

impl Window {
    fn holds(&self, kept: &Kept, own: bool) -> bool {
        let own_it = self.node.is_none_or(|node| kept.touches(node));
        kept.sent <= self.to && kept.last >= self.from && (own_it || !own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(flow: &mut Flow, number: u64, from: u32, to: u32) {
        let ticket = Ticket::of_request(peerage_core::RequestId(number));
        flow.crossing(&Crossing {
            at: number * 100,
            ticket,
            carries: Carries::Question,
            name: "ask",
            called: true,
            from,
            to,
            // Every tenth is lost.
            arrives: (!number.is_multiple_of(10)).then_some(number * 100 + 50),
        });
    }

    #[test]
    fn what_is_kept_is_bounded_and_whole_for_the_nodes_that_are_followed() {
        let group = "n7".parse().expect("a group");
        let mut flow = Flow::new(1_000, 10_000_000, 50, Some(&group));
        let pair = |number: u64| ((number % 50) as u32, (number * 7 % 49) as u32);
        for number in 0..100_000 {
            let (from, to) = pair(number);
            // One slot: each ends the one before.
            ask(&mut flow, number, from, to);
        }
        flow.finding(&Finding {
            at: 9_000_000,
            node: Some(3),
            oracle: crate::Oracle::Answers,
            text: String::new(),
        });
        let (followed, refused) = flow.followed();
        let kept = flow.finish(10_000_000);
        assert_eq!(flow.seen, 100_000);
        assert!((500..=1_000).contains(&kept.len()), "{}", kept.len());
        assert_eq!(followed, [7]);
        assert!(refused > 0);
        let around = kept.iter().filter(|kept| kept.touches(3)).count();
        assert!(around > 100, "{around}");
    }

    #[test]
    fn a_small_run_is_kept_whole() {
        let mut flow = Flow::new(1_000, 10_000_000, 50, None);
        for number in 0..300 {
            ask(&mut flow, number, (number % 50) as u32, 3);
        }
        let (followed, refused) = flow.followed();
        assert_eq!((followed.len(), refused), (50, 0));
        assert_eq!(flow.finish(10_000_000).len(), 300);
    }
}
