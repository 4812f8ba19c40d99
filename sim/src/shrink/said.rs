//! A run as a scenario file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use peerage_core::config::Sessions;
use peerage_core::limits::Limits;
use peerage_core::time::{Duration, micros};

use crate::cluster::Clusters;
use crate::grin::Net;
use crate::group::Group;
use crate::options::{Options, Topology, Variant, Work};
use crate::run::Run;
use crate::scenario;
use crate::text::{Exactly, Percent};
use crate::watch::{Carries, Crossing, Watch};

/// What the seed draws for a run of this size.
#[must_use]
pub fn drawn(options: &Options) -> Options {
    Options::drawn(options.seed, options.nodes, options.duration, true)
}

/// A run as a scenario file: as what differs from a drawn run or from a plain one, whichever is
/// shorter. Drawn faults are listed.
///
/// Kept requests are explained, for which the run is run.
#[must_use]
pub fn scenario(options: &Options) -> String {
    let options = &super::explicit(options);
    let plain = Options::plain(options.seed, options.nodes, options.duration);
    let drawn = as_differences(options, &drawn(options), true);
    let plain = as_differences(options, &plain, false);
    if plain.lines().count() < drawn.lines().count() {
        plain
    } else {
        drawn
    }
}

/// What a scenario file cannot say of a run, in words.
#[must_use]
pub fn unsaid(options: &Options) -> Vec<&'static str> {
    let mut unsaid = Vec::new();
    if !options.script.is_empty() {
        unsaid.push("scripted requests");
    }
    if options.links.regions.is_some() {
        unsaid.push("regions");
    }
    if matches!(options.topology, Topology::Edges(_)) {
        unsaid.push("a list of who knows whom");
    }
    unsaid
}

fn as_differences(options: &Options, base: &Options, draw: bool) -> String {
    let mut text = format!(
        "seed = {}\nnodes = {}\nduration = {}\nwire = {}\n",
        options.seed,
        options.nodes,
        quoted(Exactly(options.duration)),
        quoted(options.wire.name()),
    );
    if draw {
        text.push_str("# What is not said here is drawn from the seed.\ndraw = true\n");
    }
    let mut top = Table::default();
    top.differ("chains", base.chains, options.chains);
    top.differ("known-peers", base.known_peers, options.known_peers);
    if let Some(topology) = topology(&options.topology) {
        top.say("topology", quoted(topology));
    }
    top.differ("shuffle", base.shuffle, options.shuffle);
    top.share("core", base.core * 1_000, options.core * 1_000);
    top.differ("liars", base.liars, options.liars);
    top.time("settle", settle(base, options), options.settle);
    top.time("skew", base.skew, options.skew);
    top.lasts("ban-window", base.ban_window, options.ban_window);
    top.differ("audited", base.audited, options.audited);
    if let Some(sabotage) = options.sabotage {
        top.say("sabotage", quoted(sabotage.name()));
    }
    text.push_str(&top.0);
    text.push_str(&faults(base, options));
    for (name, table) in [
        ("links", links(base, options)),
        ("disks", disks(base, options)),
        ("sessions", sessions(&base.sessions, &options.sessions)),
        ("limits", limits(&base.limits, &options.limits)),
        ("users", users(&base.work, options)),
    ] {
        if !table.0.is_empty() {
            text.push_str(&format!("\n[{name}]\n{}", table.0));
        }
    }
    let said = scenario::cluster::said(base.clusters.as_ref(), options.clusters.as_ref());
    // An empty table says that there are clusters, unless they are there anyway.
    if !said.is_empty() || base.clusters.is_none() && options.clusters.is_some() {
        text.push_str(&table("cluster", said));
    }
    let said = scenario::grin::said(base.grin.as_ref(), options.grin.as_ref());
    if !said.is_empty() || base.grin.is_none() && options.grin.is_some() {
        text.push_str(&table("grin", said));
    }
    for variant in &options.variants {
        text.push_str(&settings(variant, options));
    }
    text
}

/// A table of keys with values.
fn table(name: &str, said: Vec<(&'static str, String)>) -> String {
    let lines = said
        .into_iter()
        .map(|(key, value)| format!("{key} = {value}\n"));
    format!("\n[{name}]\n{}", lines.collect::<String>())
}

/// How long the calm may take, if nothing is said about it.
fn settle(base: &Options, options: &Options) -> u64 {
    let of = |options: &Options| {
        let clusters = options.clusters.as_ref().map_or(0, Clusters::settle);
        clusters + options.grin.as_ref().map_or(0, Net::settle)
    };
    base.settle + of(options) - of(base)
}

fn topology(topology: &Topology) -> Option<String> {
    match topology {
        Topology::Neighbours | Topology::Edges(_) => None,
        Topology::Full => Some("full".to_owned()),
        Topology::Ring => Some("ring".to_owned()),
        Topology::Random(many) => Some(format!("random({many})")),
        Topology::ScaleFree(many) => Some(format!("scale-free({many})")),
    }
}

/// Settings of some nodes only.
fn settings(variant: &Variant, options: &Options) -> String {
    let mut top = Table::default();
    top.say("nodes", quoted(&variant.nodes));
    top.lasts("ban-window", options.ban_window, variant.ban_window);
    let mut text = format!("\n[[settings]]\n{}", top.0);
    for (name, table) in [
        ("sessions", sessions(&options.sessions, &variant.sessions)),
        ("limits", limits(&options.limits, &variant.limits)),
    ] {
        if !table.0.is_empty() {
            text.push_str(&format!("[settings.{name}]\n{}", table.0));
        }
    }
    text
}

/// Lines of a table.
#[derive(Default)]
struct Table(String);

impl Table {
    fn say(&mut self, key: &str, value: impl fmt::Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn differ<T: PartialEq + fmt::Display>(&mut self, key: &str, drawn: T, is: T) {
        if drawn != is {
            self.say(key, is);
        }
    }

    fn time(&mut self, key: &str, drawn: u64, is: u64) {
        if drawn != is {
            self.say(key, quoted(Exactly(is)));
        }
    }

    fn lasts(&mut self, key: &str, drawn: Duration, is: Duration) {
        self.time(key, micros(drawn), micros(is));
    }

    fn share(&mut self, key: &str, drawn: u32, is: u32) {
        if drawn != is {
            self.say(key, quoted(Percent(is)));
        }
    }
}

fn quoted(value: impl fmt::Display) -> String {
    format!("\"{value}\"")
}

fn faults(base: &Options, options: &Options) -> String {
    if options.faults == base.faults && options.more_faults.is_empty() {
        return String::new();
    }
    let lines: String = (options.more_faults.iter())
        .map(|fault| format!("  \"{fault}\",\n"))
        .collect();
    if lines.is_empty() {
        "faults = []\n".to_owned()
    } else {
        format!("faults = [\n{lines}]\n")
    }
}

fn links(drawn: &Options, options: &Options) -> Table {
    let mut table = Table::default();
    let mut sound = drawn.links.clone();
    sound.make_sound();
    // Sound links need one line instead of many.
    let base = if options.links.is_sound() && !drawn.links.is_sound() {
        table.say("sound", true);
        &sound
    } else {
        &drawn.links
    };
    let is = &options.links;
    if base.latency != is.latency {
        table.say("latency", quoted(is.latency));
    }
    table.time("slow", base.slow, is.slow);
    for (key, base, is) in [
        ("slow-chance", base.slow_chance, is.slow_chance),
        ("request-loss", base.request_loss, is.request_loss),
        ("answer-loss", base.answer_loss, is.answer_loss),
        ("refuse-chance", base.refuse_chance, is.refuse_chance),
        ("reset-chance", base.reset_chance, is.reset_chance),
        ("impostor-chance", base.impostor_chance, is.impostor_chance),
        ("mangle-chance", base.mangle_chance, is.mangle_chance),
        ("hangup-chance", base.hangup_chance, is.hangup_chance),
        ("late-chance", base.late_chance, is.late_chance),
    ] {
        table.share(key, base, is);
    }
    table
}

fn disks(drawn: &Options, options: &Options) -> Table {
    let mut table = Table::default();
    let (drawn, is) = (&drawn.disk, &options.disk);
    table.time("floor", drawn.floor, is.floor);
    table.time("spread", drawn.spread, is.spread);
    table.share("stall-chance", drawn.stall_chance, is.stall_chance);
    table.time("stall", drawn.stall, is.stall);
    table
}

fn sessions(drawn: &Sessions, is: &Sessions) -> Table {
    let mut table = Table::default();
    for (key, drawn, is) in [
        ("browse-interval", drawn.browse_interval, is.browse_interval),
        ("cut-length", drawn.cut_length, is.cut_length),
        ("greeting-delay", drawn.greeting_delay, is.greeting_delay),
        ("mempool-length", drawn.mempool_length, is.mempool_length),
        ("poll-interval", drawn.poll_interval, is.poll_interval),
        ("probe-timeout", drawn.probe_timeout, is.probe_timeout),
        ("push-delay", drawn.push_delay, is.push_delay),
        ("request-timeout", drawn.request_timeout, is.request_timeout),
    ] {
        table.lasts(key, drawn, is);
    }
    table.differ("cut-max", drawn.cut_max, is.cut_max);
    table.differ("mempool-max", drawn.mempool_max, is.mempool_max);
    table
}

fn limits(drawn: &Limits, is: &Limits) -> Table {
    let mut table = Table::default();
    let of = |limits: &Limits| {
        [
            ("bans-max", limits.bans_max),
            ("calls-max", limits.calls_max),
            ("calls-per-peer-max", limits.calls_per_peer_max),
            ("commits-max", limits.commits_max as usize),
            ("contacts-max", limits.contacts_max),
            ("grin-pool-max", limits.grin_pool_max),
            ("lookup-slice-max", limits.lookup_slice_max),
            ("message-bytes-max", limits.message_bytes_max),
            ("messages-max", limits.messages_max),
            ("messages-per-thread-max", limits.messages_per_thread_max),
            ("outbox-max", limits.outbox_max),
            ("outbox-per-peer-max", limits.outbox_per_peer_max),
            ("peers-max", limits.peers_max),
            ("pool-bytes-max", limits.pool_bytes_max),
            ("pool-max", limits.pool_max),
            ("probes-max", limits.probes_max),
            ("probes-per-source-max", limits.probes_per_source_max),
            ("push-queue-max", limits.push_queue_max),
            ("recent-log-max", limits.recent_log_max),
            ("relationships-max", limits.relationships_max),
            ("requests-max", limits.requests_max),
            ("requests-per-peer-max", limits.requests_per_peer_max),
            ("verifies-max", limits.verifies_max),
        ]
    };
    for ((key, drawn), (_, is)) in of(drawn).into_iter().zip(of(is)) {
        table.differ(key, drawn, is);
    }
    table
}

fn users(drawn: &Work, options: &Options) -> Table {
    let mut table = Table::default();
    let is = &options.work;
    table.differ("count", drawn.users, is.users);
    table.time("pause", drawn.pause, is.pause);
    table.differ("transactions", drawn.fresh_max, is.fresh_max);
    for (key, drawn, is) in [
        ("insert", drawn.insert, is.insert),
        ("repeat", drawn.repeat, is.repeat),
        ("invalid", drawn.invalid, is.invalid),
        ("read", drawn.read, is.read),
        ("page", drawn.page, is.page),
        ("put", drawn.put, is.put),
        ("ban", drawn.ban, is.ban),
        ("relate", drawn.social.relate, is.social.relate),
        ("message", drawn.social.message, is.social.message),
        ("converse", drawn.social.converse, is.social.converse),
        ("introduce", drawn.social.introduce, is.social.introduce),
    ] {
        table.differ(key, drawn, is);
    }
    let (drawn, is) = (drawn.social.request_ids, is.social.request_ids);
    table.share("request-ids", drawn, is);
    if options.users_on != Group::All {
        table.say("on", quoted(&options.users_on));
    }
    if let Some(kept) = &options.kept_actions {
        let stories = stories(options, kept);
        let lines: String = (kept.iter())
            .map(|action| {
                let (user, number) = action;
                match stories.get(action) {
                    Some(story) => format!("  \"{user}:{number}\", # {story}\n"),
                    None => format!("  \"{user}:{number}\",\n"),
                }
            })
            .collect();
        let list = if lines.is_empty() {
            "[]".to_owned()
        } else {
            format!("[\n{lines}]")
        };
        table
            .0
            .push_str("# Of all that users would do only this is done, as user:number.\n");
        table.say("keep", list);
    }
    table
}

/// What users ask in a run.
#[derive(Clone, Debug, Default)]
struct Asked {
    nodes: u32,
    /// By user, in their order.
    seen: Rc<RefCell<BTreeMap<u32, Vec<String>>>>,
}

impl Watch for Asked {
    fn crossing(&mut self, crossing: &Crossing) {
        let Some(user) = crossing.from.checked_sub(self.nodes) else {
            return;
        };
        if crossing.carries == Carries::Question {
            let Crossing { name, to, at, .. } = crossing;
            let story = format!("{name} of n{to} at {}", Exactly(*at));
            self.seen.borrow_mut().entry(user).or_default().push(story);
        }
    }
}

/// What each kept action is.
fn stories(options: &Options, kept: &BTreeSet<(u32, u32)>) -> BTreeMap<(u32, u32), String> {
    let asked = Asked {
        nodes: options.nodes,
        ..Asked::default()
    };
    let mut run = Run::new(options.clone());
    run.watch(Box::new(asked.clone()));
    run.advance(options.duration);
    let seen = asked.seen.borrow();
    let mut stories = BTreeMap::new();
    for (user, told) in seen.iter() {
        // A user's requests leave in the order of their numbers.
        let numbers = kept.iter().filter(|(of, _)| of == user);
        stories.extend(numbers.copied().zip(told.iter().cloned()));
    }
    stories
}
