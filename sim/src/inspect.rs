//! A node's state in words, for whoever stopped a run to look around.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::clock::Clock;
use crate::disk::Ailments;
use crate::exchange::Place;
use crate::host::Plight;
use crate::options::Time;
use crate::world::World;

/// Longest text of one row.
const SHORT: usize = 200;

/// Everything that is known of a node at `at`.
#[must_use]
pub fn node(world: &World, at: u64, node: u32) -> String {
    let mut text = String::new();
    let Some(host) = world.hosts.get(node as usize) else {
        return format!(
            "there is no n{node}; there are n0 to n{}\n",
            world.options.nodes - 1
        );
    };
    let state = match (&host.node, &host.liar) {
        (_, Some(_)) => "lies",
        (Some(_), None) if host.plight.paused => "is paused",
        (Some(_), None) if host.draining => "is about to stop",
        (Some(_), None) => "runs",
        (None, None) if host.plight.lost => "is lost for ever",
        (None, None) => "does not run",
    };
    let _ = writeln!(
        text,
        "n{node} {state}; start {} was at {}",
        host.run,
        Time(host.started)
    );
    let right = Clock::new(0).wall(at).as_micros() as i64;
    let wall = host.clock.wall(at).as_micros() as i64;
    let _ = writeln!(
        text,
        "clock     {} µs; the wall clock is off by {} µs",
        host.clock.local(at),
        wall - right
    );
    if host.plight == Plight::default() {
        text.push_str("plight    nothing is done to it\n");
    } else {
        let _ = writeln!(text, "plight    {:?}", host.plight);
    }
    let _ = writeln!(
        text,
        "inputs    {} wait; busy until {}",
        host.backlog.len(),
        Time(host.busy_until)
    );
    let ailments = if host.disk.ailments == Ailments::default() {
        "as it should be".to_owned()
    } else {
        format!("{:?}", host.disk.ailments)
    };
    let _ = writeln!(
        text,
        "disk      {ailments}; {}",
        if host.disk.idle() {
            "everything is written"
        } else {
            "a write is under way"
        }
    );
    let mut calls: Vec<String> = world
        .exchanges
        .iter()
        .filter(|(_, exchange)| exchange.caller == node || exchange.callee == node)
        .map(|(_, exchange)| {
            let place = match exchange.place {
                Place::Travelling => "the question travels",
                Place::Asked => "an answer is owed",
                Place::Returning => "the answer travels",
                Place::Gone => "lost",
            };
            format!(
                "{} {} of {} by {}: {place}\n",
                Time(exchange.sent),
                exchange.name,
                party(world, exchange.callee),
                party(world, exchange.caller)
            )
        })
        .collect();
    calls.sort();
    let _ = writeln!(text, "exchanges {}", calls.len());
    for call in calls {
        let _ = write!(text, "  {call}");
    }
    let Some(machine) = &host.node else {
        return text;
    };
    text.push_str("gauges   ");
    machine.gauges(&mut |name, value| {
        let _ = write!(text, " {name} {value}");
    });
    let rows: Vec<String> = (machine.export().iter())
        .map(|row| format!("{row:?}"))
        .collect();
    // By kind, as in `Commons(Ban(…` or `ChainwebMempool(Pending(…`.
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *kinds
            .entry(row.split('(').nth(1).unwrap_or(""))
            .or_default() += 1;
    }
    let kinds: Vec<String> = (kinds.iter())
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let _ = writeln!(text, "\nrows      {}: {}", rows.len(), kinds.join(", "));
    for mut line in rows {
        if line.len() > SHORT {
            let cut = (0..=SHORT).rev().find(|at| line.is_char_boundary(*at));
            line.truncate(cut.unwrap_or(0));
            line.push('…');
        }
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// Who causes events: a node, a user, the script of a scenario, or the world itself.
#[must_use]
pub fn party(world: &World, party: u32) -> String {
    let users = world.options.work.users;
    match party.checked_sub(world.options.nodes) {
        None => format!("n{party}"),
        Some(_) if party == u32::MAX => "nobody".to_owned(),
        Some(user) if user < users => format!("user {user}"),
        Some(user) if user == users => "the script".to_owned(),
        Some(_) => "the world".to_owned(),
    }
}

/// The faults that were planned, by number, with what has become of each.
#[must_use]
pub fn faults(run: &crate::Run) -> String {
    let mut text = String::new();
    for (number, fault) in run.world().faults.iter().enumerate() {
        let now = run.now();
        let ends = fault
            .lasts
            .map_or(u64::MAX, |lasts| fault.at.saturating_add(lasts));
        let state = match now {
            now if now <= fault.at => "coming",
            now if now < ends && run.world().stormy => "on",
            _ => "past",
        };
        let _ = writeln!(text, "{number:4} {state:6} {fault}");
    }
    text
}

/// The next events that wait, at most `many`.
#[must_use]
pub fn pending(run: &crate::Run, many: usize) -> String {
    let mut text = String::new();
    for (key, what) in run.engine().next(many) {
        let _ = writeln!(
            text,
            "{}.{:06} {} {what:?}",
            key.at / 1_000_000,
            key.at % 1_000_000,
            party(run.world(), key.to)
        );
    }
    text
}

/// What nodes look like together: who runs, and what is wrong with the links.
#[must_use]
pub fn overview(run: &crate::Run) -> String {
    let world = run.world();
    let mut text = String::new();
    let up = world
        .hosts
        .iter()
        .filter(|host| host.node.is_some())
        .count();
    let _ = writeln!(
        text,
        "{} after {} events, {:?}; {up} of {} nodes run; {} exchanges; {} findings; hash {:016x}",
        Time(run.now()),
        run.engine().events(),
        run.phase(),
        world.options.nodes,
        world.exchanges.len(),
        world.findings.total(),
        run.hash(),
    );
    for (number, condition) in world.network.conditions() {
        if let Some(fault) = world.faults.get(*number as usize) {
            let _ = writeln!(text, "  {}", fault.what);
        } else {
            let _ = writeln!(text, "  {condition:?}");
        }
    }
    for finding in world.findings.first() {
        let _ = writeln!(text, "  {finding}");
    }
    text
}
