//! Who knows whom, as it was at sampled moments.
//!
//! The counts of a moment are exact. Edges are kept as spans of time, at most [`SPANS_MAX`] of them:
//! in a large world only those that a number picked by both ends falls to, the same at all times,
//! so that a change in the picture is a change in the world.

use std::collections::BTreeMap;

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
    /// Edges as they were last, with their beginnings.
    current: BTreeMap<(u32, u32), (bool, u64)>,
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
            current: BTreeMap::new(),
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
        let mut edges = BTreeMap::new();
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
                    edges.insert((node, other), session);
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
        self.turn(at, edges);
    }

    fn keeps(&self, a: u32, b: u32, session: bool) -> bool {
        scatter(a, b) < self.shares[usize::from(session)]
    }

    /// From the edges as they were to those that are.
    fn turn(&mut self, at: u64, edges: BTreeMap<(u32, u32), bool>) {
        let spans = &mut self.spans;
        self.current.retain(|(a, b), (session, from)| {
            let stays = edges.get(&(*a, *b)) == Some(session);
            if !stays {
                spans.push(Span {
                    a: *a,
                    b: *b,
                    session: *session,
                    from: *from,
                    to: at,
                });
            }
            stays
        });
        for (edge, session) in edges {
            self.current.entry(edge).or_insert((session, at));
        }
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
                .retain(|(a, b), (session, _)| keeps(*a, *b, *session));
        }
    }

    /// All edges that are kept, those that never ended until `now`.
    pub(super) fn finish(&mut self, now: u64) -> Vec<Span> {
        let mut spans = std::mem::take(&mut self.spans);
        let current = std::mem::take(&mut self.current);
        spans.extend(current.into_iter().map(|((a, b), (session, from))| Span {
            a,
            b,
            session,
            from,
            to: now + 1,
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
