//! Scenario files: those that come with the simulator hold, and what is wrong with one is said.

use peerage_sim::Wire;
use peerage_sim::nemesis::Fault;
use peerage_sim::scenario::{BUILT_IN, Outcome, Overrides, Scenario};

fn go(name: &str, wire: Wire) -> Outcome {
    let overrides = Overrides {
        wire: Some(wire),
        ..Overrides::default()
    };
    let scenario = Scenario::read(name, &overrides).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        !scenario.title.is_empty() && scenario.about.len() > 100,
        "{name} teaches nothing"
    );
    assert!(!scenario.expectations.is_empty(), "{name} expects nothing");
    scenario
        .run(Vec::new(), |_| {})
        .expect("nothing is written")
}

#[test]
fn all_that_come_with_the_simulator_hold_on_both_wires() {
    assert!(BUILT_IN.len() >= 10);
    for (name, _) in BUILT_IN {
        let (typed, bytes) = (go(name, Wire::Typed), go(name, Wire::Bytes));
        assert!(typed.good(), "{name}: {:?}\n{}", typed.broken, typed.report);
        assert_eq!(typed.report.hash, bytes.report.hash, "{name}");
        assert_eq!(
            typed.transcript.to_string(),
            bytes.transcript.to_string(),
            "{name}"
        );
    }
}

#[test]
fn transcripts_are_literal_http() {
    for name in ["ban-spread", "eclipse-attempt", "scripted-tour"] {
        let outcome = go(name, Wire::Typed);
        insta::assert_snapshot!(name, outcome.transcript.to_string());
        for line in outcome.transcript.json_lines().lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
        }
    }
}

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text, "file.toml", None, &Overrides::default())
        .map_err(|error| error.to_string())
}

#[test]
fn errors_name_file_line_and_key() {
    let cases = [
        "nodes = 5\nnods = 6",
        "nodes = 1",
        "nodes = \"5\"",
        "duration = \"5\"",
        "nodes = 5\nfaults = [\n  \"5s crash n1\",\n  \"5s crahs n1\",\n]",
        "nodes = 5\nfaults = [\"5s crash n9\"]",
        "faults = [\"5s partition eu | us\"]",
        "[cluster]\nlicenses = 2",
        "[cluster]\ngossip-interval = \"0s\"",
        "topology = \"star\"",
        "topology = \"edges(no-such-file)\"",
        "[groups]\neu = \"n0-n99\"",
        "[groups]\nall = \"n0\"",
        "[links]\nrequest-los = \"1%\"",
        "[links]\nrequest-loss = \"1\"",
        "[links]\nlatency = \"fast\"",
        "[users]\ncount = 2\ninsert = 0",
        "[users]\ncount = 2\nrate = \"2\"",
        "[users]\nkeep = [\"1\"]",
        "[[requests]]\nat = \"5s\"",
        "[[requests]]\nat = \"5s\"\nnode = \"n0\"\nrequest = \"GET\"",
        "[[requests]]\nat = \"5s\"\nnode = \"n0\"\nrequest = \"GET /${n0.name}\"",
        "[[expect]]",
        "[[expect]]\nevent = { name = \"nap\" }",
        "[[expect]]\nin-cluster = { who = \"n0\", node = \"n99\" }",
        "[[expect]]\npending = { min = 1, group = \"n50\" }",
        "[fault-rates]\ncrash = { for = \"5s\" }",
        "[fault-rates]\nnap = { every = \"5s\" }",
        "[fault-rates]\ncrash = { every = \"5s\" }\nstop = { every = \"5s\" }",
        "wire = \"radio\"",
        "title = [",
    ];
    let all: String = cases
        .iter()
        .map(|case| {
            let error = parse(case).expect_err(case);
            assert!(error.starts_with("file.toml:"), "{error}");
            format!("{case}\n  -> {error}\n\n")
        })
        .collect();
    insta::assert_snapshot!("errors", all);
}

/// Each expectation on a world in which it is not met.
#[test]
fn expectations_can_be_broken() {
    let base = "nodes = 4\nduration = \"20s\"\n[users]\ncount = 2\nrate = \"2/s\"\ninsert = 1\n";
    let cases = [
        "spread = { share = \"100%\", within = \"1us\" }",
        "settled-within = \"1us\"",
        "peers-known = { min = 9 }",
        "pending = { min = 1000 }",
        "event = { name = \"tx_accepted\", max = 1 }",
        "messages = { name = \"insert\", min = 100000 }",
        "messages = { name = \"insrt\", max = 100000 }",
        "fault = { kind = \"crash\", min = 1 }",
        "knows = { who = \"n0\", node = \"n3\", known = false }",
        "in-cluster = { who = \"n0\", node = \"n3\" }",
        "cluster-size = { min = 2 }",
        "clusters = { max = 1 }",
        "hash = \"0123456789abcdef\"",
    ];
    let mut all = String::new();
    for case in cases {
        let scenario = parse(&format!("{base}[[expect]]\n{case}\n")).expect(case);
        let outcome = scenario
            .run(Vec::new(), |_| {})
            .expect("nothing is written");
        assert!(outcome.report.good(), "{}", outcome.report);
        assert_eq!(outcome.broken.len(), 1, "{case}: {:?}", outcome.broken);
        all.push_str(&format!("{case}\n  -> {}\n\n", outcome.broken[0]));
    }
    // Of a hash only that it differs is worth a look.
    let all = all.split("the hash is").next().unwrap_or("").to_owned();
    insta::assert_snapshot!("broken", all);
}

#[test]
fn answers_are_compared_with_what_was_expected() {
    let request = |expect: &str| {
        let text = format!(
            "nodes = 3\nduration = \"9s\"\nfaults = [\"5s crash n1\"]\n[[requests]]\nat = \"6s\"\n\
             node = \"n0\"\nrequest = \"GET /chainweb/0.0/development/cut/peer HTTP/1.1\"\n\
             expect = {expect}\n[[requests]]\nat = \"6s\"\nnode = \"n1\"\n\
             request = \"GET /nowhere HTTP/1.1\"\nexpect = {{ none = true }}\n"
        );
        let scenario = parse(&text).expect("a scenario");
        let outcome = scenario
            .run(Vec::new(), |_| {})
            .expect("nothing is written");
        outcome
            .broken
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        request("{ status = 200, json = { limit = 2 } }"),
        Vec::<String>::new()
    );
    for (expect, why) in [
        ("{ status = 404 }", "404 was expected"),
        ("{ json = { limit = 7 } }", "the body.limit is 2, not 7"),
        ("{ text = \"xyz\" }", "does not say \"xyz\""),
        ("{ none = true }", "not at all was expected"),
    ] {
        let broken = request(expect);
        assert!(
            broken.len() == 1 && broken[0].contains(why),
            "{expect}: {broken:?}"
        );
    }
}

#[test]
fn topologies_give_whom_they_say() {
    let known = |topology: &str| {
        let text = format!("nodes = 12\nduration = \"1s\"\ntopology = \"{topology}\"\n");
        let scenario = parse(&text).expect("a scenario");
        let run = peerage_sim::Run::new(scenario.options);
        (0..12)
            .map(|node| run.world().known_at_start(node).len())
            .collect::<Vec<_>>()
    };
    assert_eq!(known("full"), vec![11; 12]);
    assert_eq!(known("ring"), vec![1; 12]);
    assert!(
        known("random(3)")
            .iter()
            .all(|count| (1..=3).contains(count))
    );
    assert_eq!(known("scale-free(2)")[0], 0, "the first knows nobody");
    assert!(
        known("scale-free(2)")[3..]
            .iter()
            .all(|count| (1..=2).contains(count))
    );
}

#[test]
fn edges_come_from_a_file_beside_the_scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("edges.txt"), "# a star\n1 0\nn2 n0\n").expect("written");
    let text = "nodes = 3\ntopology = \"edges(edges.txt)\"\n";
    let read = |text| Scenario::parse(text, "star", Some(folder.path()), &Overrides::default());
    let run = peerage_sim::Run::new(read(text).expect("a scenario").options);
    let known: Vec<usize> = (0..3)
        .map(|node| run.world().known_at_start(node).len())
        .collect();
    assert_eq!(known, [0, 1, 1]);
    std::fs::write(folder.path().join("edges.txt"), "1 0\n1 7\n").expect("written");
    let error = read(text).expect_err("there is no node 7").to_string();
    assert!(
        error.contains("line 2: \"1 7\" is not two nodes below 3"),
        "{error}"
    );
}

#[test]
fn what_a_file_says_is_in_the_world() {
    let scenario = parse(
        "seed = 7\nnodes = 6\ndraw = true\nduration = \"12s\"\nwire = \"bytes\"\nchains = 2\nshuffle = true\n\
         core = \"80%\"\nliars = 1\nfaults = [\"3s partition a | b for 2s\"]\nlinks = { request-loss = \"2%\" }\n\
         [groups]\na = \"n0-n1\"\nb = \"rest\"\n[users]\nkeep = [\"0:3\"]\n",
    )
    .expect("a scenario");
    let options = scenario.options;
    assert_eq!(
        (options.seed, options.nodes, options.chains, options.liars),
        (7, 6, 2, 1)
    );
    assert_eq!(
        (options.core, options.shuffle, options.wire),
        (800, true, Wire::Bytes)
    );
    assert_eq!(options.links.request_loss, 20_000);
    let fault: Fault = "3s partition n0-n1 | n2-n5 for 2s"
        .parse()
        .expect("a fault");
    assert_eq!(options.more_faults, [fault]);
    assert_eq!(
        options.faults.on().count(),
        0,
        "nothing is drawn beside the list"
    );
    assert_eq!(options.kept_actions, Some([(0, 3)].into()));
}
