//! What the text of the sources may say.

use std::fs;
use std::path::{Path, PathBuf};

/// Files outside of a room's own folder that name the room: file, room, reason.
const KNOWS_A_ROOM: &[(&str, &str, &str)] = &[
    (
        "core/src/verify.rs",
        "chainweb_mempool",
        "a job holds the command whose signatures are checked",
    ),
    (
        "core/src/verify.rs",
        "wattswarm",
        "a job holds the agent's claims that are checked",
    ),
];

/// Lines of a file that is not a test.
const LINES_MAX: usize = 700;

struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let scripted = self.path == "core/src/scripted.rs";
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || scripted
    }

    /// The text without comments, roughly: whole lines of them.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let comment = |line: &str| line.trim_start().starts_with("//");
        self.text
            .lines()
            .enumerate()
            .filter(move |(_, line)| !comment(line))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for member in ["benches", "core", "io", "server", "sim", "tests"] {
        walk(&root().join(member), member, &mut sources);
    }
    assert!(sources.len() > 100);
    sources
}

fn walk(folder: &Path, name: &str, sources: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for entry in entries {
        let file = entry
            .file_name()
            .and_then(|name| name.to_str())
            .expect("UTF-8");
        let path = format!("{name}/{file}");
        if entry.is_dir() {
            if file != "target" {
                walk(&entry, &path, sources);
            }
        } else if file.ends_with(".rs") {
            let text = fs::read_to_string(&entry).expect("UTF-8");
            sources.push(Source { path, text });
        }
    }
}

/// Fails with every line of code of which `wrong` says so.
fn check(rule: &str, wrong: impl Fn(&Source, &str) -> bool) {
    let mut found = Vec::new();
    for source in sources() {
        for (index, line) in source.code() {
            if wrong(&source, line) {
                found.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "no module documentation: {silent:?}");
}

#[test]
fn nothing_is_left_undone() {
    // In pieces, so that these lines do not find themselves.
    let words = [
        ["to", "do!("],
        ["unimple", "mented!("],
        ["FIX", "ME"],
        ["XX", "X:"],
    ]
    .map(|word| word.concat());
    check("left undone", |_, line| {
        words.iter().any(|word| line.contains(word.as_str()))
    });
    let ignored = ["#[ig", "nore"].concat();
    check("a test that does not run", |_, line| {
        line.contains(&ignored)
    });
}

/// Whether `line` names the crate `http`, not a module of that name.
fn names_http(line: &str) -> bool {
    let bytes = line.as_bytes();
    line.match_indices("http::").any(|(at, _)| {
        let before = &line[..at];
        match before.strip_suffix("::") {
            // `::http::`, but not `crate::http::` or `$module::http::`.
            Some(path) => !path.ends_with(|c: char| c.is_alphanumeric() || c == '_'),
            None => !(at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')),
        }
    })
}

#[test]
fn only_codecs_name_http() {
    assert!(names_http("use http::Method;") && names_http("    ::http::StatusCode::OK"));
    assert!(!names_http("use crate::http::page;") && !names_http("$module::http::route("));
    check("the state machine does not know HTTP", |source, line| {
        let codec = source.path.ends_with("/http.rs") || source.path.contains("/http/");
        source.path.starts_with("core/") && !codec && !source.is_test() && names_http(line)
    });
}

fn rooms() -> Vec<String> {
    let folder = root().join("core/src/rooms");
    let mut rooms: Vec<String> = fs::read_dir(folder)
        .expect("the rooms")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    rooms.sort();
    assert!(rooms.len() >= 3, "{rooms:?}");
    rooms
}

#[test]
fn rooms_meet_in_the_commons_only() {
    let rooms = rooms();
    check("a room is named outside of itself", |source, line| {
        let registry = source.path == "core/src/rooms/mod.rs";
        if !source.path.starts_with("core/") || registry || source.is_test() {
            return false;
        }
        rooms.iter().any(|room| {
            let own = source.path.starts_with(&format!("core/src/rooms/{room}/"));
            let excused = KNOWS_A_ROOM
                .iter()
                .any(|(path, known, _)| *path == source.path && known == room);
            let named = [
                format!("{room}::"),
                format!("{room} "),
                format!("{room};"),
                format!("{room},"),
                format!("{room}}}"),
            ]
            .iter()
            .any(|name| {
                line.contains(&format!("rooms::{name}"))
                    || line.contains(&format!("super::super::{name}"))
                    || (line.contains("rooms::{") && line.contains(name.as_str()))
            });
            named && !own && !excused
        })
    });
    for (path, room, _) in KNOWS_A_ROOM {
        let text = fs::read_to_string(root().join(path)).expect("a source");
        assert!(
            text.contains(room),
            "{path} no longer names {room}: drop the excuse"
        );
    }
}

#[test]
fn names_are_of_the_house() {
    check(
        "functions say what they give, not that they get it",
        |source, line| {
            let public = ["pub fn get_", "pub(crate) fn get_", "pub(super) fn get_"];
            // `get_mut` is what every map calls it.
            source.path.starts_with("core/")
                && !line.contains("fn get_mut")
                && public.iter().any(|name| line.contains(name))
        },
    );
    for source in sources() {
        let file = source.path.rsplit('/').next().unwrap_or("");
        let kinds = [
            "utils.rs",
            "util.rs",
            "helpers.rs",
            "misc.rs",
            "common.rs",
            "prelude.rs",
        ];
        assert!(
            !kinds.contains(&file),
            "{}: a file is named for what it decides",
            source.path
        );
    }
}

#[test]
fn files_stay_within_reach() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(
            lines <= LINES_MAX || source.is_test(),
            "{} has {lines} lines; the seam is a decision",
            source.path
        );
    }
}

#[test]
fn nobodys_machine_is_named() {
    let homes = [["/ho", "me/"], ["/Us", "ers/"], ["C:", "\\\\"]].map(|home| home.concat());
    for source in sources() {
        for home in &homes {
            assert!(
                !source.text.contains(home.as_str()),
                "{}: {home}",
                source.path
            );
        }
    }
}

/// The node's own refusals of clocks, sockets and the rest are clippy's; they must be there.
#[test]
fn clippy_guards_the_node() {
    let text = fs::read_to_string(root().join("core/clippy.toml")).expect("core/clippy.toml");
    for word in [
        "\"std::time::Instant\"",
        "\"std::time::SystemTime\"",
        "\"std::net::TcpStream\"",
        "\"std::fs::File\"",
        "\"std::thread::spawn\"",
        "\"std::env::var\"",
        "\"std::hash::RandomState\"",
        "\"std::collections::HashMap\"",
        "\"hashbrown::HashMap\"",
    ] {
        assert!(text.contains(word), "{word} is allowed");
    }
    check(
        "a lint is switched off without a reason that idles",
        |source, line| {
            let quiet = ["#[al", "low(clippy::disallowed"].concat();
            source.path.starts_with("core/") && line.contains(&quiet)
        },
    );
}
