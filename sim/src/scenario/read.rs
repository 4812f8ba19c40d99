//! From a file to a world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use peerage_core::config::Sessions;
use peerage_core::limits::Limits;
use peerage_core::time::Duration;

use super::section::{At, File, Result, Section};
use super::{Overrides, Scenario, cluster, expect, grin, script};
use crate::cluster::Clusters;
use crate::grin::Net;
use crate::group::Group;
use crate::latency::Latency;
use crate::nemesis::draw::Rate;
use crate::nemesis::{Fault, Kind};
use crate::network::{Links, Regions};
use crate::options::{Options, Sabotage, Topology, Variant, Wire, Work};
use crate::text;

/// Groups by name.
pub(super) type Groups = BTreeMap<String, Group>;

pub(super) fn read(
    text: &str,
    name: &str,
    folder: Option<&Path>,
    overrides: &Overrides,
) -> Result<Scenario> {
    let file = File { name, text };
    let table = file.parse()?;
    let top = Section::new(&file, "", table.get_ref());
    let own = |key: &str| -> Result<String> {
        Ok(top
            .string(key)?
            .map_or(String::new(), |text| text.value.to_owned()))
    };
    let (title, about) = (own("title")?, own("about")?);

    let seed = top.number("seed")?;
    let nodes = top.within("nodes", 2, 1_000_000)?.map(|nodes| nodes as u32);
    let duration = top.meaning("duration", time)?;
    let wire = top.meaning("wire", wire)?;
    let seed = overrides.seed.or(seed).unwrap_or(1);
    let nodes = overrides.nodes.or(nodes).unwrap_or(10);
    let duration = overrides.duration.or(duration).unwrap_or(60_000_000);

    let drawn = top.truth("draw")?.unwrap_or(false);
    let mut options = if drawn {
        Options::drawn(seed, nodes, duration, true)
    } else {
        Options::plain(seed, nodes, duration)
    };
    options.wire = overrides.wire.or(wire).unwrap_or_default();
    let groups = groups(&top, nodes)?;
    let group = |name: &str| resolve(&groups, name);
    simple(&top, &mut options)?;
    if let Some(topology) = top.string("topology")? {
        options.topology =
            topology_of(&topology, folder, nodes).map_err(|what| top.error("topology", what))?;
    }
    faults(&top, &mut options, &group)?;
    if let Some(section) = top.section("links")? {
        links(section, &mut options.links)?;
    }
    if let Some(section) = top.section("regions")? {
        options.links.regions = Some(regions(section, &groups, nodes, options.links.latency)?);
    }
    if let Some(section) = top.section("disks")? {
        let disk = &mut options.disk;
        set(&mut disk.floor, section.meaning("floor", time)?);
        set(&mut disk.spread, section.meaning("spread", time)?);
        set(
            &mut disk.stall_chance,
            section.meaning("stall-chance", share)?,
        );
        set(&mut disk.stall, section.meaning("stall", time)?);
        section.finish()?;
    }
    if let Some(section) = top.section("sessions")? {
        sessions(section, &mut options.sessions)?;
    }
    if let Some(section) = top.section("limits")? {
        limits(section, &mut options.limits)?;
    }
    variants(&top, &mut options, &group)?;
    if let Some(section) = top.section("cluster")? {
        let before = options.clusters.take();
        let settle = before.as_ref().map_or(0, Clusters::settle);
        let clusters = cluster::read(section, before)?;
        if !top.has("settle") {
            options.settle += clusters.as_ref().map_or(0, Clusters::settle);
            options.settle -= settle;
        }
        options.clusters = clusters;
    }
    if let Some(section) = top.section("grin")? {
        let before = options.grin.take();
        let settle = before.as_ref().map_or(0, Net::settle);
        let net = grin::read(section, before, &group)?;
        if !top.has("settle") {
            options.settle += net.as_ref().map_or(0, Net::settle);
            options.settle -= settle;
        }
        options.grin = net;
    }
    if let Some(section) = top.section("users")? {
        users(section, &mut options, &group)?;
    }
    let expectations = expect::read(&top, &group, options.nodes)?;
    options.script = script::read(&top, &options, &group)?;
    top.finish()?;
    Ok(Scenario {
        title,
        about,
        options,
        expectations,
    })
}

fn simple(top: &Section<'_>, options: &mut Options) -> Result<()> {
    set(&mut options.settle, top.meaning("settle", time)?);
    let chains = top.within("chains", 1, 20)?;
    set(&mut options.chains, chains.map(|chains| chains as u8));
    let known = top.within("known-peers", 1, 1_000)?;
    set(&mut options.known_peers, known.map(|known| known as u32));
    set(&mut options.shuffle, top.truth("shuffle")?);
    if let Some(core) = top.meaning("core", share)? {
        options.core = core / 1_000;
    }
    let liars = top.within("liars", 0, u64::from(options.nodes / 2))?;
    set(&mut options.liars, liars.map(|liars| liars as u32));
    set(&mut options.skew, top.meaning("skew", time)?);
    if let Some(window) = top.meaning("ban-window", time)? {
        options.ban_window = Duration::from_micros(window);
    }
    let audited = top.within("audited", 0, 1_000_000)?;
    set(&mut options.audited, audited.map(|audited| audited as u32));
    if let Some(name) = top.string("sabotage")? {
        let found = Sabotage::named(name.value);
        options.sabotage =
            Some(found.ok_or_else(|| top.error("sabotage", "there is no such thing"))?);
    }
    Ok(())
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

pub(super) fn time(text: &str) -> std::result::Result<u64, String> {
    text::time(text)
        .ok_or_else(|| format!("{text:?} is no time; write 250us, 40ms, 1.5s, 10m or 1h"))
}

pub(super) fn share(text: &str) -> std::result::Result<u32, String> {
    text::share(text).ok_or_else(|| format!("{text:?} is no share; write 5% or 0.25%"))
}

fn wire(text: &str) -> std::result::Result<Wire, String> {
    [Wire::Typed, Wire::Bytes, Wire::Mangled]
        .into_iter()
        .find(|wire| wire.name() == text)
        .ok_or_else(|| format!("{text:?} is no wire; write typed, bytes or mangled"))
}

fn latency(text: &str) -> std::result::Result<Latency, String> {
    text.parse().map_err(|error| format!("{error}"))
}

/// The group with this name, or the nodes that it names; behind `!`, everybody else.
pub(super) fn resolve(groups: &Groups, name: &str) -> Option<Group> {
    if let Some(group) = groups.get(name) {
        return Some(group.clone());
    }
    if let Some(rest) = name.strip_prefix('!') {
        return Some(resolve(groups, rest)?.others());
    }
    name.parse().ok()
}

fn groups(top: &Section<'_>, nodes: u32) -> Result<Groups> {
    let mut groups = Groups::new();
    let Some(section) = top.section("groups")? else {
        return Ok(groups);
    };
    let mut rest = None;
    for key in section.keys() {
        let Some(text) = section.string(key)? else {
            continue;
        };
        let plain = key.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && key
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-');
        if !plain || key == "all" || key == "rest" || key.parse::<Group>().is_ok() {
            return Err(section.error(
                key,
                "a group's name is a word, and none of all, rest and n3",
            ));
        }
        if text.value == "rest" {
            rest = Some(key);
            continue;
        }
        let group: Group = text
            .value
            .parse()
            .map_err(|error| section.error(key, error))?;
        check_nodes(&group, nodes).map_err(|what| section.error(key, what))?;
        groups.insert(key.to_owned(), group);
    }
    if let Some(key) = rest {
        let named: Vec<Group> = groups.values().cloned().collect();
        let others = (0..nodes).filter(|node| !named.iter().any(|group| group.holds(*node)));
        groups.insert(key.to_owned(), Group::of(others));
    }
    section.finish()?;
    Ok(groups)
}

pub(super) fn check_nodes(group: &Group, nodes: u32) -> std::result::Result<(), String> {
    match group.greatest() {
        Some(node) if node >= nodes => Err(format!(
            "there is no n{node}; there are n0 to n{}",
            nodes - 1
        )),
        _ => Ok(()),
    }
}

fn topology_of(
    text: &At<&str>,
    folder: Option<&Path>,
    nodes: u32,
) -> std::result::Result<Topology, String> {
    let inner = |name: &str| {
        text.value
            .strip_prefix(name)?
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    let number = |text: &str| {
        text.parse::<u32>()
            .ok()
            .filter(|number| (1..nodes).contains(number))
            .ok_or_else(|| format!("{text:?} is not a number from 1 to {}", nodes - 1))
    };
    match text.value {
        "full" => Ok(Topology::Full),
        "ring" => Ok(Topology::Ring),
        _ => {
            if let Some(many) = inner("random") {
                Ok(Topology::Random(number(many)?))
            } else if let Some(many) = inner("scale-free") {
                Ok(Topology::ScaleFree(number(many)?))
            } else if let Some(name) = inner("edges") {
                let path = folder.unwrap_or_else(|| Path::new(".")).join(name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                edges(&text, nodes).map_err(|what| format!("{}, {what}", path.display()))
            } else {
                Err(format!(
                    "{:?} is no topology; write full, ring, random(4), scale-free(3) or \
                     edges(file.txt)",
                    text.value
                ))
            }
        }
    }
}

/// Two numbers of nodes a line.
fn edges(text: &str, nodes: u32) -> std::result::Result<Topology, String> {
    let mut edges = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let mut words = line
            .split_whitespace()
            .map(|word| word.trim_start_matches('n').parse::<u32>());
        match (words.next(), words.next(), words.next()) {
            (Some(Ok(from)), Some(Ok(to)), None) if from.max(to) < nodes => edges.push((from, to)),
            _ => {
                return Err(format!(
                    "line {}: {line:?} is not two nodes below {nodes}, as in `0 4`",
                    number + 1
                ));
            }
        }
    }
    Ok(Topology::Edges(edges.into()))
}

fn faults(
    top: &Section<'_>,
    options: &mut Options,
    group: &dyn Fn(&str) -> Option<Group>,
) -> Result<()> {
    let rates = top.section("fault-rates")?;
    if let Some(lines) = top.strings("faults")? {
        // The list is all there is, unless rates are said beside it.
        options.faults.only(&[]);
        for line in lines {
            let fail = |what: String| {
                top.file()
                    .error(line.offset, format!("key `faults`: {what}"))
            };
            let fault = Fault::parse(line.value, group).map_err(|error| fail(error.to_string()))?;
            if let Some(node) = fault.greatest().filter(|node| *node >= options.nodes) {
                return Err(fail(format!(
                    "there is no n{node}; there are n0 to n{}",
                    options.nodes - 1
                )));
            }
            options.more_faults.push(fault);
        }
    }
    let Some(rates) = rates else { return Ok(()) };
    options.faults.only(&[]);
    for kind in Kind::ALL {
        let Some(section) = rates.section(kind.name())? else {
            continue;
        };
        let every = section.meaning("every", time)?.unwrap_or(0);
        let lasts = section.meaning("for", time)?.unwrap_or(5_000_000);
        section.finish()?;
        if every == 0 {
            return Err(rates.error(
                kind.name(),
                "say how often: { every = \"10s\", for = \"5s\" }",
            ));
        }
        // A stop is a crash whose node ends first what is under way.
        let stops = kind == Kind::Stop;
        if stops && rates.has("crash") {
            let text = "crashes and stops have one rate; write one of them";
            return Err(rates.error("stop", text));
        }
        if stops || kind == Kind::Crash {
            options.faults.drain_chance = if stops { 1_000_000 } else { 0 };
        }
        let kind = if stops { Kind::Crash } else { kind };
        *options.faults.of_mut(kind) = Rate { every, lasts };
    }
    rates.finish()
}

fn links(section: Section<'_>, links: &mut Links) -> Result<()> {
    if section.truth("sound")? == Some(true) {
        links.make_sound();
    }
    set(&mut links.latency, section.meaning("latency", latency)?);
    set(&mut links.slow, section.meaning("slow", time)?);
    for (key, chance) in [
        ("slow-chance", &mut links.slow_chance),
        ("request-loss", &mut links.request_loss),
        ("answer-loss", &mut links.answer_loss),
        ("refuse-chance", &mut links.refuse_chance),
        ("reset-chance", &mut links.reset_chance),
        ("impostor-chance", &mut links.impostor_chance),
        ("mangle-chance", &mut links.mangle_chance),
        ("hangup-chance", &mut links.hangup_chance),
        ("late-chance", &mut links.late_chance),
    ] {
        set(chance, section.meaning(key, share)?);
    }
    section.finish()
}

fn regions(section: Section<'_>, groups: &Groups, nodes: u32, default: Latency) -> Result<Regions> {
    let default = section.meaning("default", latency)?.unwrap_or(default);
    let names: Vec<&String> = groups.keys().collect();
    let count = names.len() + 1;
    // Who is in no group is in a region of their own.
    let region = |node: u32| names.iter().position(|name| groups[*name].holds(node));
    let of = (0..nodes)
        .map(|node| region(node).unwrap_or(names.len()) as u8)
        .collect();
    let mut matrix = vec![vec![default; count]; count];
    for (a, from) in names.iter().enumerate() {
        for (b, to) in names.iter().enumerate() {
            let there = section.meaning(&format!("{from}-{to}"), latency)?;
            if let Some(latency) = there {
                matrix[a][b] = latency;
                // Both ways, unless the way back is said too.
                if !section.has(&format!("{to}-{from}")) {
                    matrix[b][a] = latency;
                }
            }
        }
    }
    section.finish()?;
    Ok(Regions { of, matrix })
}

fn sessions(section: Section<'_>, sessions: &mut Sessions) -> Result<()> {
    for (key, place) in [
        ("browse-interval", &mut sessions.browse_interval),
        ("cut-length", &mut sessions.cut_length),
        ("greeting-delay", &mut sessions.greeting_delay),
        ("mempool-length", &mut sessions.mempool_length),
        ("poll-interval", &mut sessions.poll_interval),
        ("probe-timeout", &mut sessions.probe_timeout),
        ("push-delay", &mut sessions.push_delay),
        ("request-timeout", &mut sessions.request_timeout),
    ] {
        set(
            place,
            section.meaning(key, time)?.map(Duration::from_micros),
        );
    }
    for (key, place) in [
        ("cut-max", &mut sessions.cut_max),
        ("mempool-max", &mut sessions.mempool_max),
    ] {
        set(
            place,
            section.within(key, 0, 1_000)?.map(|number| number as usize),
        );
    }
    section.finish()
}

fn limits(section: Section<'_>, limits: &mut Limits) -> Result<()> {
    for (key, place) in [
        ("bans-max", &mut limits.bans_max),
        ("calls-max", &mut limits.calls_max),
        ("calls-per-peer-max", &mut limits.calls_per_peer_max),
        ("contacts-max", &mut limits.contacts_max),
        ("grin-pool-max", &mut limits.grin_pool_max),
        ("lookup-slice-max", &mut limits.lookup_slice_max),
        ("message-bytes-max", &mut limits.message_bytes_max),
        ("messages-max", &mut limits.messages_max),
        (
            "messages-per-thread-max",
            &mut limits.messages_per_thread_max,
        ),
        ("outbox-max", &mut limits.outbox_max),
        ("outbox-per-peer-max", &mut limits.outbox_per_peer_max),
        ("peers-max", &mut limits.peers_max),
        ("pool-bytes-max", &mut limits.pool_bytes_max),
        ("pool-max", &mut limits.pool_max),
        ("probes-max", &mut limits.probes_max),
        ("probes-per-source-max", &mut limits.probes_per_source_max),
        ("push-queue-max", &mut limits.push_queue_max),
        ("recent-log-max", &mut limits.recent_log_max),
        ("relationships-max", &mut limits.relationships_max),
        ("requests-max", &mut limits.requests_max),
        ("requests-per-peer-max", &mut limits.requests_per_peer_max),
        ("verifies-max", &mut limits.verifies_max),
    ] {
        set(
            place,
            section
                .within(key, 1, 1 << 30)?
                .map(|number| number as usize),
        );
    }
    set(
        &mut limits.commits_max,
        section.within("commits-max", 1, 1 << 30)?,
    );
    section.finish()
}

fn variants(
    top: &Section<'_>,
    options: &mut Options,
    group: &dyn Fn(&str) -> Option<Group>,
) -> Result<()> {
    for (offset, section) in top.sections("settings")? {
        let Some(nodes) = section.string("nodes")? else {
            return Err(top
                .file()
                .error(offset, "[[settings]] must say whose: nodes = \"n0-n4\""));
        };
        let nodes = group(nodes.value).ok_or_else(|| section.error("nodes", "names no nodes"))?;
        let mut variant = Variant {
            nodes,
            sessions: options.sessions.clone(),
            limits: options.limits.clone(),
            ban_window: options.ban_window,
        };
        if let Some(section) = section.section("sessions")? {
            sessions(section, &mut variant.sessions)?;
        }
        if let Some(section) = section.section("limits")? {
            limits(section, &mut variant.limits)?;
        }
        if let Some(window) = section.meaning("ban-window", time)? {
            variant.ban_window = Duration::from_micros(window);
        }
        section.finish()?;
        options.variants.push(variant);
    }
    Ok(())
}

fn users(
    section: Section<'_>,
    options: &mut Options,
    group: &dyn Fn(&str) -> Option<Group>,
) -> Result<()> {
    let work: &mut Work = &mut options.work;
    let count = section.within("count", 0, 100_000)?;
    set(&mut work.users, count.map(|count| count as u32));
    set(
        &mut work.pause,
        section.meaning("pause", time)?.map(|pause| pause.max(1)),
    );
    if let Some(rate) = section.meaning("rate", rate)? {
        // Each user acts as often as the others.
        work.pause = (u64::from(work.users.max(1)) * 1_000_000_000 / rate).max(1);
    }
    let fresh = section.within("transactions", 0, 1_000_000)?;
    set(&mut work.fresh_max, fresh.map(|fresh| fresh as u32));
    for (key, weight) in [
        ("insert", &mut work.insert),
        ("repeat", &mut work.repeat),
        ("invalid", &mut work.invalid),
        ("read", &mut work.read),
        ("page", &mut work.page),
        ("put", &mut work.put),
        ("ban", &mut work.ban),
        ("relate", &mut work.social.relate),
        ("message", &mut work.social.message),
        ("converse", &mut work.social.converse),
        ("introduce", &mut work.social.introduce),
    ] {
        set(
            weight,
            section
                .within(key, 0, 1_000_000)?
                .map(|number| number as u32),
        );
    }
    let weights = [
        work.insert,
        work.repeat,
        work.invalid,
        work.read,
        work.page,
        work.put,
        work.ban,
        work.social.sum(),
    ];
    set(
        &mut work.social.request_ids,
        section.meaning("request-ids", share)?,
    );
    let chores = options.clusters.as_ref().map_or(0, |of| of.work.sum());
    if work.users > 0 && chores == 0 && weights.iter().all(|weight| *weight == 0) {
        return Err(section.error(
            "count",
            "users who do nothing; give a weight, as in insert = 1",
        ));
    }
    if let Some(on) = section.string("on")? {
        options.users_on = group(on.value).ok_or_else(|| section.error("on", "names no nodes"))?;
        if options.users_on.members(options.nodes).next().is_none() {
            return Err(section.error("on", "there is no such node"));
        }
    }
    if let Some(keep) = section.strings("keep")? {
        let mut kept = BTreeSet::new();
        for item in keep {
            let parts = item.value.split_once(':');
            let pair =
                parts.and_then(|(user, number)| Some((user.parse().ok()?, number.parse().ok()?)));
            kept.insert(pair.ok_or_else(|| {
                let what = format!(
                    "key `users.keep`: {:?} is not user:number, as in \"0:3\"",
                    item.value
                );
                section.file().error(item.offset, what)
            })?);
        }
        options.kept_actions = Some(kept);
    }
    section.finish()
}

/// `5/s` or `0.2/s`, in thousandths a second.
fn rate(text: &str) -> std::result::Result<u64, String> {
    text.strip_suffix("/s")
        .and_then(|number| text::decimal(number, 3))
        .filter(|rate| *rate > 0)
        .ok_or_else(|| format!("{text:?} is no rate; write 5/s or 0.2/s"))
}
