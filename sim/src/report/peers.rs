//! Who knows whom, as it was at sampled moments.
//!
//! The counts of a moment are exact. Edges are kept as spans of time, at most [`SPANS_MAX`] of them:
//! in a large world only those that a number picked by both ends falls to, the same at all times,
//! so that a change in the picture is a change in the world.

use serde::Serialize;

use crate::world::World;

/// Most spans of edges.
const SPANS_MAX: usize = 80_000;
/// Most moments; when there would be more, they are taken half as often.
const MOMENTS_MAX: usize = 128;

/// One moment.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Moment {
    /// When, in microseconds.
    at: u64,
    /// Nodes that run.
    running: u32,
    /// Entries of all peer tables that name a node.
    known: u64,
    /// Those in session.
    sessions: u64,
    /// The smallest and the largest table.
    least: u32,
    most: u32,
    /// Parts of the world of which nobody knows anybody in another, among nodes that run.
    islands: u32,
}

/// That one node knows another, from a moment to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) a: u32,
    pub(super) b: u32,
    /// Whether they are in session.
    pub(super) session: bool,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Who knows whom, over time.
#[derive(Debug)]
pub(super) struct Acquaintance {
    pub(super) moments: Vec<Moment>,
    pace: u64,
    /// Edges as they were last, by their ends.
    current: Vec<Span>,
    spans: Vec<Span>,
    /// Of 65,536 edges that are known only, and of those in session, so many are kept.
    pub(super) shares: [u32; 2],
}

const ALL: u32 = 1 << 16;

/// A number below [`ALL`] that belongs to an edge.
const fn scatter(a: u32, b: u32) -> u32 {
    let word = ((a as u64) << 32 | b as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 48) as u32
}

impl Acquaintance {
    pub(super) const fn new() -> Self {
        Self {
            moments: Vec::new(),
            pace: 0,
            current: Vec::new(),
            spans: Vec::new(),
            shares: [ALL; 2],
        }
    }

    /// Looks at all peer tables. `last` if there will be no other moment.
    pub(super) fn sample(&mut self, at: u64, world: &World, last: bool) {
        if let Some(before) = self.moments.last()
            && (at == before.at || (at < before.at + self.pace && !last))
        {
            return;
        }
        if self.moments.len() >= MOMENTS_MAX {
            let mut even = false;
            self.moments.retain(|_| {
                even = !even;
                even
            });
            self.pace = at / (MOMENTS_MAX as u64 / 2);
        }
        let mut parts = Parts::new(world.hosts.len());
        let mut moment = Moment {
            at,
            running: 0,
            known: 0,
            sessions: 0,
            least: u32::MAX,
            most: 0,
            islands: 0,
        };
        let mut edges = Vec::new();
        for (node, host) in (0..).zip(&world.hosts) {
            let Some(machine) = &host.node else { continue };
            moment.running += 1;
            let mut size = 0;
            for (_, peer) in machine.commons().peers.iter() {
                let Some(other) = world.roster.find(&peer.info.address) else {
                    continue;
                };
                if other == node {
                    continue;
                }
                size += 1;
                let session = peer.sessions > 0;
                moment.sessions += u64::from(session);
                if world.hosts[other as usize].node.is_some() {
                    parts.join(node, other);
                }
                if self.keeps(node, other, session) {
                    edges.push((node, other, session));
                }
            }
            moment.known += u64::from(size);
            moment.least = moment.least.min(size);
            moment.most = moment.most.max(size);
        }
        if moment.running == 0 {
            moment.least = 0;
        }
        let running = |node: &u32| world.hosts[*node as usize].node.is_some();
        let roots = (0..world.hosts.len() as u32).filter(running);
        moment.islands = roots.filter(|node| parts.root(*node) == *node).count() as u32;
        self.moments.push(moment);
        edges.sort_unstable();
        self.turn(at, edges);
    }

    fn keeps(&self, a: u32, b: u32, session: bool) -> bool {
        scatter(a, b) < self.shares[usize::from(session)]
    }

    /// From the edges as they were to those that are, sorted by their ends.
    fn turn(&mut self, at: u64, edges: Vec<(u32, u32, bool)>) {
        let spans = &mut self.spans;
        let mut end = |old: Span| spans.push(Span { to: at, ..old });
        let mut old = std::mem::take(&mut self.current).into_iter().peekable();
        for (a, b, session) in edges {
            while let Some(gone) = old.next_if(|old| (old.a, old.b) < (a, b)) {
                end(gone);
            }
            let from = match old.next_if(|old| (old.a, old.b) == (a, b)) {
                Some(same) if same.session == session => same.from,
                Some(other) => {
                    end(other);
                    at
                }
                None => at,
            };
            self.current.push(Span {
                a,
                b,
                session,
                from,
                to: at,
            });
        }
        old.for_each(end);
        while self.spans.len() + self.current.len() > SPANS_MAX {
            // Sessions are fewer and tell more: what is only known goes first.
            let which = usize::from(self.shares[0] < ALL / 256);
            self.shares[which] = self.shares[which] * 3 / 4;
            let shares = self.shares;
            let keeps =
                |a: u32, b: u32, session: bool| scatter(a, b) < shares[usize::from(session)];
            self.spans
                .retain(|span| keeps(span.a, span.b, span.session));
            self.current
                .retain(|span| keeps(span.a, span.b, span.session));
        }
    }

    /// All edges that are kept, those that never ended until `now`.
    pub(super) fn finish(&mut self, now: u64) -> Vec<Span> {
        let mut spans = std::mem::take(&mut self.spans);
        let current = std::mem::take(&mut self.current).into_iter();
        spans.extend(current.map(|span| Span {
            to: now + 1,
            ..span
        }));
        spans.sort_unstable_by_key(|span| (span.a, span.b, span.from));
        spans
    }
}

/// Which nodes hang together.
struct Parts(Vec<u32>);

impl Parts {
    fn new(nodes: usize) -> Self {
        Self((0..nodes as u32).collect())
    }

    fn root(&mut self, mut node: u32) -> u32 {
        while self.0[node as usize] != node {
            let above = self.0[self.0[node as usize] as usize];
            self.0[node as usize] = above;
            node = above;
        }
        node
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_lasts_while_nothing_changes() {
        let mut peers = Acquaintance::new();
        let edges = |session| vec![(1, 2, session)];
        peers.turn(10, edges(false));
        peers.turn(20, edges(false));
        peers.turn(30, edges(true));
        peers.turn(40, Vec::new());
        peers.turn(50, edges(true));
        let spans: Vec<_> = peers.finish(60).iter().map(Span::times).collect();
        assert_eq!(
            spans,
            [(false, 10, 30), (true, 30, 40), (true, 50, 61)],
            "the last one lasts to the end"
        );
    }

    #[test]
    fn a_large_world_keeps_some_edges_always_the_same() {
        let mut peers = Acquaintance::new();
        for turn in 0..4 {
            let all = (0..1_000).flat_map(|a| (1..=100).map(move |b| (a, (a + b) % 1_000)));
            let edges = all.filter(|(a, b)| peers.keeps(*a, *b, false));
            let mut edges: Vec<_> = edges.map(|(a, b)| (a, b, false)).collect();
            edges.sort_unstable();
            peers.turn(turn, edges);
        }
        let shares = peers.shares;
        let spans = peers.finish(4);
        assert!(
            (30_000..=SPANS_MAX).contains(&spans.len()),
            "{}",
            spans.len()
        );
        assert!(shares[0] < ALL && shares[1] == ALL);
        // What is kept at all is kept from beginning to end.
        assert!(spans.iter().all(|span| span.times() == (false, 0, 5)));
    }

    impl Span {
        const fn times(&self) -> (bool, u64, u64) {
            (self.session, self.from, self.to)
        }
    }
}
