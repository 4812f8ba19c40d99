//! The fuzz targets, run over their corpus and over seeded changes of it.

use std::fs;
use std::path::PathBuf;

use peerage_tests::{Draws, fuzz};

/// How often an entry of the corpus is changed, over all entries of a target.
const MUTATIONS: usize = 4_000;

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fuzz", "corpus", target]
        .iter()
        .collect()
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut corpus: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect();
    corpus.sort();
    assert!(!corpus.is_empty(), "{target} has no corpus");
    corpus
}

fn run(target: &str) {
    let (_, body) = fuzz::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a known target");
    let corpus = corpus(target);
    for (name, data) in &corpus {
        let run = std::panic::catch_unwind(|| body(data));
        assert!(run.is_ok(), "corpus/{target}/{name}");
    }
    let mut draws = Draws::new(1);
    for round in 0..MUTATIONS {
        let ((_, data), (_, other)) = (draws.pick(&corpus), draws.pick(&corpus));
        let changed = fuzz::mutate(&mut draws, data, other);
        let run = std::panic::catch_unwind(|| body(&changed));
        if run.is_err() {
            // Put it into the corpus: then it is tried for ever.
            let text = changed.escape_ascii();
            panic!("{target}, round {round}: b\"{text}\"");
        }
    }
    // Bytes without any shape.
    for _ in 0..MUTATIONS / 4 {
        body(&draws.bytes(64));
    }
}

macro_rules! targets {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        /// Every target is run here and has a binary for cargo-fuzz.
        #[test]
        fn every_target_is_run() {
            let here = [$(stringify!($name)),*];
            let known: Vec<&str> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(here.as_slice(), known);
            for name in known {
                let binary: PathBuf =
                    [env!("CARGO_MANIFEST_DIR"), "fuzz", "fuzz_targets", &format!("{name}.rs")].iter().collect();
                assert!(binary.exists(), "{binary:?}");
            }
        }
    };
}

targets!(
    command, envelope, exchange, grin, json, query, request, response, row, sealed, text
);
