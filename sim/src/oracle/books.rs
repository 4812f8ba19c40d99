//! What a node counts is there, and nothing waits for ever.
//!
//! A number that is kept beside what it counts goes wrong in silence, until everything is refused
//! for want of room that is there.

use std::collections::BTreeMap;

use peerage_core::Node;
use peerage_core::rooms::wattswarm::records::NodeId;
use peerage_core::rooms::{Row, chainweb_mempool, wattswarm};

/// What waits at a node, since when. Zero for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Hints, since the last commit.
    pub hints: u64,
    /// Calls that are put off, since there were none or fewer than before.
    pub paced: u64,
    /// How many those were at the last look.
    pub paced_count: u64,
}

/// Hints are written within a second of their coming.
const HINTS_MAX: u64 = 4_000_000;
/// Whatever is put off may go within seconds.
const PACED_MAX: u64 = 30_000_000;

impl Waiting {
    /// Looks at a node at `at`, which has been free to do things since `free`, and has written
    /// something since the last look if `wrote`.
    ///
    /// # Errors
    /// What waits too long.
    pub fn look(&mut self, at: u64, free: u64, wrote: bool, node: &Node) -> Result<(), String> {
        let (mut hints, mut paced) = (0, 0);
        node.gauges(&mut |name, value| match name {
            "hints_waiting" => hints = value,
            "calls_paced" => paced = value,
            _ => {}
        });
        let since = |before: u64, waits: bool| match (waits, before) {
            (false, _) => 0,
            (true, 0) => at,
            (true, before) => before,
        };
        self.hints = since(self.hints, hints > 0 && !wrote);
        // Under a steady load there are always some, and some of them go.
        let stuck = paced > 0 && paced >= self.paced_count;
        self.paced = since(self.paced, stuck);
        self.paced_count = paced;
        let long = |since: u64, most| since > 0 && at.saturating_sub(since.max(free)) > most;
        if long(self.hints, HINTS_MAX) {
            return Err(format!("{hints} hints wait since {} µs", self.hints));
        }
        if long(self.paced, PACED_MAX) {
            return Err(format!("{paced} calls are put off since {} µs", self.paced));
        }
        Ok(())
    }
}

/// Compares what a node counts with what there is.
///
/// # Errors
/// What is counted and is not there.
pub fn balance(node: &Node) -> Result<(), String> {
    let mut gauges = [0; GAUGES.len()];
    node.gauges(&mut |name, value| {
        if let Some(place) = GAUGES.iter().position(|gauge| *gauge == name) {
            gauges[place] = value;
        }
    });
    let [
        probes,
        counted,
        bytes,
        checks,
        checked_bytes,
        batches,
        jobs,
        outbox,
    ] = gauges;
    let rows = node.export();
    let pending = rows.iter().map(pending_bytes).sum::<u64>();
    let waiting = waiting(&rows);
    if outbox != waiting {
        return Err(format!(
            "{outbox} things for friends are counted, {waiting} wait"
        ));
    }
    // What was pending before a start is not in the pool until it was checked again.
    if bytes > pending {
        return Err(format!(
            "the pools count {bytes} bytes, {pending} are pending"
        ));
    }
    if counted != probes {
        return Err(format!("{counted} probes are counted, {probes} are out"));
    }
    if jobs == 0 && (checks, checked_bytes, batches) != (0, 0, 0) {
        return Err(format!(
            "{checks} checks of {checked_bytes} bytes in {batches} batches are counted, none is out"
        ));
    }
    let sessions = node.commons().sessions.iter().count() as u64;
    let peers = node.commons().peers.iter();
    let of_peers = peers.map(|(_, peer)| u64::from(peer.sessions)).sum::<u64>();
    if of_peers > sessions {
        return Err(format!(
            "peers are in {of_peers} sessions, there are {sessions}"
        ));
    }
    Ok(())
}

const GAUGES: [&str; 8] = [
    "probes_in_flight",
    "probes_counted",
    "mempool_bytes",
    "mempool_checks",
    "mempool_checks_bytes",
    "mempool_batches",
    "verifications_in_flight",
    "wattswarm_outbox",
];

/// Messages and actions that others have not acknowledged. Each action has a number, and so has the
/// last one that was acknowledged.
fn waiting(rows: &[Row]) -> u64 {
    let of_friends = || {
        rows.iter().filter_map(|row| {
            let Row::Wattswarm(row) = row else {
                return None;
            };
            Some(row)
        })
    };
    let acked = of_friends().filter_map(|row| {
        let wattswarm::Row::Pair(id, Some(record)) = row else {
            return None;
        };
        Some((id, record.progress.acked))
    });
    let acked: BTreeMap<&NodeId, u64> = acked.collect();
    let waits = |row: &&wattswarm::Row| {
        if let wattswarm::Row::Action(id, seq, Some(_)) = row {
            acked.get(id).is_none_or(|acked| seq > acked)
        } else if let wattswarm::Row::Message(_, _, Some(row)) = row {
            row.place.is_some()
        } else {
            false
        }
    };
    of_friends().filter(waits).count() as u64
}

fn pending_bytes(row: &Row) -> u64 {
    let Row::ChainwebMempool(chainweb_mempool::Row::Pending(_, _, Some(command))) = row else {
        return 0;
    };
    command.byte_size() as u64
}
