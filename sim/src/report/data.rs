//! What a report says, as it is written into the page and as JSON: columns rather than objects
//! where there are many of a kind.
//!
//! Times are microseconds since the run began, and so are differences of times.

use std::collections::BTreeMap;

use serde::Serialize;

use super::flow::{Fate, Kept};
use super::peers::{self, Moment};
use super::recording::{Recording, carried};
use super::series::Series;
use super::spread::{Curve, Percentiles};
use crate::group::Group;
use crate::nemesis::What;
use crate::network::Way;
use crate::oracle::Oracle;
use crate::run::Report;
use crate::watch::{Carries, Life};

/// Grows when the meaning of a field changes.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
pub(super) struct Data {
    version: u32,
    pub(super) head: Head,
    pub(super) totals: Totals,
    pub(super) kept: BTreeMap<&'static str, u64>,
    /// Nodes of which every exchange is there.
    pub(super) followed: Vec<u32>,
    pub(super) rates: Rates,
    pub(super) spread: Spreads,
    pub(super) groups: Vec<Vec<(u32, u32)>>,
    pub(super) faults: Vec<FaultSpan>,
    pub(super) lives: Lives,
    pub(super) marks: Vec<MarkColumns>,
    pub(super) exchanges: Exchanges,
    pub(super) peers: PeerColumns,
    pub(super) oracles: Vec<OracleRow>,
    pub(super) findings: Vec<FindingRow>,
}

/// What the run was and how it is had again.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) seed: u64,
    /// The seed in words that no reader rounds.
    pub(super) seed_text: String,
    pub(super) nodes: u32,
    pub(super) users: u32,
    pub(super) wire: &'static str,
    pub(super) options: String,
    pub(super) duration_us: u64,
    pub(super) virtual_us: u64,
    pub(super) calm_us: Option<u64>,
    pub(super) settled_us: Option<u64>,
    pub(super) events: u64,
    pub(super) hash: String,
    pub(super) commit: &'static str,
    pub(super) program: &'static str,
    pub(super) again: String,
    pub(super) good: bool,
}

type Counts = Vec<(&'static str, u64)>;

/// Exact counts of the whole run.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub(super) messages: Counts,
    pub(super) failures: Counts,
    pub(super) faults: Counts,
    pub(super) told: Counts,
    pub(super) lost: Counts,
}

/// Exact counts per step of time.
#[derive(Debug, Serialize)]
pub(super) struct Rates {
    pub(super) step_us: u64,
    pub(super) messages: Vec<(&'static str, Vec<u32>)>,
    pub(super) failures: Vec<(&'static str, Vec<u32>)>,
    pub(super) lost: Vec<(&'static str, Vec<u32>)>,
    pub(super) told: Vec<(&'static str, Vec<u32>)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Spreads {
    pub(super) over_all: Percentiles,
    pub(super) items: Vec<Curve>,
}

#[derive(Debug, Serialize)]
pub(super) struct FaultSpan {
    /// Nothing for what is no fault: who need not become well stays apart in the calm.
    pub(super) number: Option<u32>,
    pub(super) kind: &'static str,
    /// The fault's line, as `--faults FILE` reads it.
    pub(super) text: String,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    /// Whom it befalls, or one side: a place in `groups`.
    pub(super) a: usize,
    /// The other side.
    pub(super) b: Option<usize>,
    /// Whether only what goes from the first side to the second is concerned.
    pub(super) one_way: bool,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Lives {
    pub(super) at: Vec<u64>,
    pub(super) node: Vec<u32>,
    pub(super) life: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct MarkColumns {
    pub(super) name: &'static str,
    pub(super) count: u64,
    pub(super) every: u64,
    pub(super) at: Vec<u64>,
    pub(super) node: Vec<u32>,
    /// Empty where not all are kept.
    pub(super) text: Vec<String>,
}

/// Exchanges in the order in which they began. Column `legs` says how many places of the `leg_…`
/// columns belong to each.
#[derive(Debug, Default, Serialize)]
pub(super) struct Exchanges {
    pub(super) names: Vec<&'static str>,
    pub(super) reasons: Vec<&'static str>,
    pub(super) number: Vec<u64>,
    pub(super) name: Vec<usize>,
    pub(super) from: Vec<u32>,
    /// `null` for whom nobody knows.
    pub(super) to: Vec<Option<u32>>,
    pub(super) sent: Vec<u64>,
    /// When the caller was told of a failure, since it asked; and why.
    pub(super) failed: Vec<Option<u64>>,
    pub(super) reason: Vec<Option<usize>>,
    /// Events that the question caused where it arrived: places in `marks`.
    pub(super) told: Vec<Vec<usize>>,
    pub(super) legs: Vec<usize>,
    /// 0 question, 1 answer, 2 failure, 3 hang-up.
    pub(super) leg_carries: Vec<u8>,
    /// Since the question was sent.
    pub(super) leg_at: Vec<u64>,
    /// Since the message left.
    pub(super) leg_takes: Vec<u64>,
    /// 0 arrives, 1 is lost at once, 2 is swallowed on its way.
    pub(super) leg_fate: Vec<u8>,
}

#[derive(Debug, Serialize)]
pub(super) struct PeerColumns {
    pub(super) moments: Vec<Moment>,
    pub(super) edge_a: Vec<u32>,
    pub(super) edge_b: Vec<u32>,
    pub(super) edge_session: Vec<u8>,
    pub(super) edge_from: Vec<u64>,
    pub(super) edge_lasts: Vec<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct OracleRow {
    pub(super) name: &'static str,
    pub(super) looks: u64,
    pub(super) misses: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct FindingRow {
    pub(super) at: u64,
    pub(super) node: Option<u32>,
    pub(super) oracle: &'static str,
    pub(super) text: String,
}

impl Data {
    /// What the recording and the report say together.
    pub(super) fn new(recording: &mut Recording, report: &Report, again: &str) -> Self {
        let now = report.virtual_us;
        for series in [
            &mut recording.asked,
            &mut recording.failed,
            &mut recording.told,
            &mut recording.lost,
        ] {
            // Steps may have grown apart if one saw more of the end than another.
            series.stretch(now);
        }
        let exchanges = recording.flow.finish(now);
        let spans = recording.peers.finish(now);
        let kept = kept(recording, exchanges.len(), &spans);
        let mut groups = Groups::new(recording.nodes);
        Self {
            version: VERSION,
            head: Head::new(recording, report, again),
            totals: Totals {
                messages: report.messages.sorted(),
                failures: report.failures.sorted(),
                faults: report.faults.sorted(),
                told: report.told.sorted(),
                lost: totals(&recording.lost),
            },
            kept,
            followed: recording.flow.followed().0,
            rates: Rates {
                step_us: recording.told.step(),
                messages: recording.asked.sorted(),
                failures: recording.failed.sorted(),
                lost: recording.lost.sorted(),
                told: recording.told.sorted(),
            },
            spread: Spreads {
                over_all: recording.spread.percentiles(),
                items: recording.spread.curves(),
            },
            faults: faults(recording, &mut groups),
            groups: groups.all,
            lives: lives(recording),
            marks: marks(recording),
            exchanges: columns(&exchanges),
            peers: edges(std::mem::take(&mut recording.peers.moments), &spans),
            oracles: oracles(report),
            findings: findings(recording),
        }
    }
}

impl Head {
    fn new(recording: &Recording, report: &Report, again: &str) -> Self {
        let options = &report.options;
        Self {
            seed: options.seed,
            seed_text: options.seed.to_string(),
            nodes: options.nodes,
            users: options.work.users,
            wire: options.wire.name(),
            options: options.to_string(),
            duration_us: options.duration,
            virtual_us: report.virtual_us,
            calm_us: recording.calm,
            settled_us: report.settled_us,
            events: report.events,
            hash: format!("{:016x}", report.hash),
            commit: option_env!("PEERAGE_COMMIT").unwrap_or("unknown"),
            program: env!("CARGO_PKG_VERSION"),
            again: again.to_owned(),
            good: report.good(),
        }
    }
}

fn totals(series: &Series) -> Counts {
    let sum = |counts: Vec<u32>| counts.into_iter().map(u64::from).sum();
    let sorted = series.sorted().into_iter();
    sorted.map(|(name, counts)| (name, sum(counts))).collect()
}

/// What there was, and what of it is kept.
fn kept(
    recording: &Recording,
    exchanges: usize,
    spans: &[peers::Span],
) -> BTreeMap<&'static str, u64> {
    let [known, sessions] = recording.peers.shares;
    BTreeMap::from([
        ("edge_share_known_65536", known.into()),
        ("edge_share_sessions_65536", sessions.into()),
        ("edge_spans", spans.len() as u64),
        ("exchanges", exchanges as u64),
        ("faults", recording.faults.len() as u64),
        ("findings", recording.findings.len() as u64),
        ("items", recording.spread.len() as u64),
        ("moments", recording.peers.moments.len() as u64),
        ("exchanges_max", recording.messages_max as u64),
        ("exchanges_refused", recording.flow.followed().1),
        ("exchanges_seen", recording.flow.seen),
        ("faults_left_out", recording.faults_left_out),
        ("items_left_out", recording.spread.unfollowed),
        ("lives_left_out", recording.lives_left_out),
        (
            "marks",
            recording.marks.iter().map(|m| m.marks.len() as u64).sum(),
        ),
        (
            "marks_seen",
            recording.marks.iter().map(|marks| marks.count).sum(),
        ),
    ])
}

/// Groups of nodes as spans of numbers, each once.
struct Groups {
    nodes: u32,
    places: BTreeMap<String, usize>,
    all: Vec<Vec<(u32, u32)>>,
}

impl Groups {
    const fn new(nodes: u32) -> Self {
        Self {
            nodes,
            places: BTreeMap::new(),
            all: Vec::new(),
        }
    }

    fn place(&mut self, group: &Group) -> usize {
        let all = &mut self.all;
        let nodes = self.nodes;
        *self.places.entry(group.to_string()).or_insert_with(|| {
            let mut spans: Vec<(u32, u32)> = Vec::new();
            for node in group.members(nodes) {
                match spans.last_mut() {
                    Some((_, last)) if *last + 1 == node => *last = node,
                    Some(_) | None => spans.push((node, node)),
                }
            }
            all.push(spans);
            all.len() - 1
        })
    }
}

fn faults(recording: &Recording, groups: &mut Groups) -> Vec<FaultSpan> {
    let spans = recording.faults.iter().map(|span| {
        let (a, b) = span.fault.what.groups();
        FaultSpan {
            number: Some(span.number).filter(|number| *number != u32::MAX),
            kind: span.fault.what.kind().name(),
            text: span.fault.to_string(),
            from: span.from,
            to: span.to,
            a: groups.place(a),
            b: b.map(|b| groups.place(b)),
            one_way: one_way(&span.fault.what),
        }
    });
    spans.collect()
}

const fn one_way(what: &What) -> bool {
    matches!(
        what,
        What::Partition {
            way: Way::Outward,
            ..
        } | What::Clog {
            way: Way::Outward,
            ..
        } | What::Degrade {
            way: Way::Outward,
            ..
        }
    )
}

fn lives(recording: &Recording) -> Lives {
    let mut lives = Lives::default();
    for (at, node, life) in &recording.lives {
        lives.at.push(*at);
        lives.node.push(*node);
        lives.life.push(match life {
            Life::Starts => "starts",
            Life::Stops => "stops",
            Life::Refuses => "refuses",
            Life::Pauses => "pauses",
            Life::Resumes => "resumes",
        });
    }
    lives
}

fn marks(recording: &mut Recording) -> Vec<MarkColumns> {
    let marks = recording.marks.drain(..).map(|marks| MarkColumns {
        name: marks.name,
        count: marks.count,
        every: marks.every,
        at: marks.marks.iter().map(|mark| mark.at).collect(),
        node: marks.marks.iter().map(|mark| mark.node).collect(),
        text: if marks.every == 1 {
            marks.marks.into_iter().map(|mark| mark.text).collect()
        } else {
            Vec::new()
        },
    });
    marks.collect()
}

fn columns(exchanges: &[Kept]) -> Exchanges {
    let mut columns = Exchanges::default();
    for kept in exchanges {
        columns.number.push(kept.number);
        let name = place(&mut columns.names, kept.name);
        columns.name.push(name);
        columns.from.push(kept.from);
        columns
            .to
            .push(Some(kept.to).filter(|node| *node != u32::MAX));
        columns.sent.push(kept.sent);
        columns
            .failed
            .push(kept.failure.map(|(at, _)| at - kept.sent));
        let reason = kept
            .failure
            .map(|(_, reason)| place(&mut columns.reasons, reason));
        columns.reason.push(reason);
        let told = (0..64).filter(|bit| kept.told >> bit & 1 == 1);
        columns.told.push(told.collect());
        columns.legs.push(kept.legs().len());
        for leg in kept.legs() {
            columns.leg_carries.push(match leg.carries {
                Carries::Question => 0,
                Carries::Answer => 1,
                Carries::Failure => 2,
                Carries::Hangup => 3,
            });
            columns.leg_at.push(leg.at - kept.sent);
            columns.leg_takes.push(leg.until.saturating_sub(leg.at));
            columns.leg_fate.push(match leg.fate {
                Fate::Arrives => 0,
                Fate::Lost => 1,
                Fate::Swallowed => 2,
            });
        }
    }
    columns
}

fn place(names: &mut Vec<&'static str>, name: &'static str) -> usize {
    names
        .iter()
        .position(|other| *other == name)
        .unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        })
}

fn edges(moments: Vec<Moment>, spans: &[peers::Span]) -> PeerColumns {
    PeerColumns {
        moments,
        edge_a: spans.iter().map(|span| span.a).collect(),
        edge_b: spans.iter().map(|span| span.b).collect(),
        edge_session: spans.iter().map(|span| u8::from(span.session)).collect(),
        edge_from: spans.iter().map(|span| span.from).collect(),
        edge_lasts: spans.iter().map(|span| span.to - span.from).collect(),
    }
}

fn oracles(report: &Report) -> Vec<OracleRow> {
    let rows = Oracle::ALL.into_iter().map(|oracle| OracleRow {
        name: oracle.name(),
        looks: report.findings.checks(oracle),
        misses: report.findings.misses(oracle),
    });
    rows.collect()
}

fn findings(recording: &Recording) -> Vec<FindingRow> {
    let rows = recording.findings.iter().map(|finding| FindingRow {
        at: finding.at,
        node: finding.node,
        oracle: finding.oracle.name(),
        text: finding.text.clone(),
    });
    rows.collect()
}

/// The names that a message's kind goes by, in the order of their numbers.
pub(super) const CARRIED: [&str; 4] = [
    carried(Carries::Question),
    carried(Carries::Answer),
    carried(Carries::Failure),
    carried(Carries::Hangup),
];
