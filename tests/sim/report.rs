//! What a report of a run says, and that it costs the run nothing.

use std::fs;
use std::path::Path;

use peerage_sim::report::{Keep, Pages, Recorder};
use peerage_sim::{Options, Report, Sabotage, run};
use serde_json::Value;

use crate::{SECOND, go};

/// A run that is remembered, with what is written about it.
struct Told {
    report: Report,
    pages: Pages,
    json: Value,
}

fn tell(options: Options, messages: usize) -> Told {
    let keep = Keep {
        messages,
        nodes: None,
    };
    let recorder = Recorder::new(&options, &keep);
    let report = run(options, vec![recorder.watch()], |_| {}).expect("nothing is written");
    let pages = Pages::new(&recorder, &report, "peerage-sim run --seed </script>");
    let mut json = Vec::new();
    pages.write_json(&mut json).expect("a vector takes it all");
    let json = serde_json::from_slice(&json).expect("JSON");
    Told {
        report,
        pages,
        json,
    }
}

/// A small world in which much goes wrong.
fn stormy(seed: u64) -> Options {
    let mut options = Options::drawn(seed, 12, 40 * SECOND, true);
    options.core = 1_000;
    let more = [
        "5s crash n3 for 5s",
        "8s partition n0-n5 | !n0-n5 for 9s",
        "9s clog n6 | n7 for 3s",
        "20s hang n4 for 4s",
        "21s pause n5 for 4s",
        "22s reset n1",
        "30s lose n11",
    ];
    options.more_faults = more.map(|line| line.parse().expect("a fault")).to_vec();
    options
}

fn array<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    let found = value.pointer(path).and_then(Value::as_array);
    found.unwrap_or_else(|| panic!("no list at {path}"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// The counts of a series over all its steps, as (name, count).
fn sums(value: &Value, path: &str) -> Vec<(String, u64)> {
    let rows = array(value, path).iter();
    rows.map(|row| {
        let name = row[0].as_str().expect("a name").to_owned();
        (name, array(row, "/1").iter().map(number).sum())
    })
    .collect()
}

fn owned(counts: Vec<(&'static str, u64)>) -> Vec<(String, u64)> {
    let counts = counts.into_iter();
    counts
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

#[test]
fn a_report_counts_what_the_run_counts() {
    for seed in 0..6 {
        let Told { report, json, .. } = tell(stormy(seed), 100_000);
        assert!(report.good(), "{report}");
        let agree = |path: &str, tally: &peerage_sim::trace::Tally| {
            assert_eq!(
                sums(&json, path),
                owned(tally.sorted()),
                "seed {seed}: {path}"
            );
        };
        agree("/rates/messages", &report.messages);
        agree("/rates/failures", &report.failures);
        agree("/rates/told", &report.told);
        // Beside faults there is who stays apart in the calm.
        let spans = array(&json, "/faults").iter();
        let spans: Vec<&Value> = spans.filter(|span| !span["number"].is_null()).collect();
        assert_eq!(spans.len() as u64, report.faults.total(), "seed {seed}");
        for (kind, count) in report.faults.sorted() {
            let such = spans.iter().filter(|span| span["kind"] == kind).count();
            assert_eq!(such as u64, count, "seed {seed}: {kind}");
        }
        assert_eq!(json["head"]["hash"], format!("{:016x}", report.hash));
        assert_eq!(number(&json["head"]["events"]), report.events);
        // Every exchange is there: as many as there were questions.
        let kept = array(&json, "/exchanges/number").len() as u64;
        assert_eq!(kept, report.messages.total());
        assert_eq!(kept, number(&json["kept"]["exchanges_seen"]));
        // Whoever took a transaction said so, some more than once.
        let reached: u64 = array(&json, "/spread/items")
            .iter()
            .map(|item| number(&item["reached"]))
            .sum();
        assert!(reached > 0 && reached <= report.told.of("tx_accepted"));
        // Something was lost on the way, something held up, and somebody was down.
        assert!(!array(&json, "/rates/lost").is_empty());
        assert!(array(&json, "/lives/life").contains(&Value::from("stops")));
        assert!(array(&json, "/lives/life").contains(&Value::from("pauses")));
        let moments = array(&json, "/peers/moments");
        assert!((50..=128).contains(&moments.len()), "{}", moments.len());
    }
}

#[test]
fn who_writes_a_report_changes_nothing() {
    for seed in 0..6 {
        let Told { report, .. } = tell(stormy(seed), 500);
        let alone = go(stormy(seed));
        assert_eq!(
            (report.hash, report.events, report.virtual_us),
            (alone.hash, alone.events, alone.virtual_us),
            "seed {seed}"
        );
    }
}

#[test]
fn a_report_is_bounded_and_counts_all_the_same() {
    let few = tell(stormy(1), 400);
    let many = tell(stormy(1), 100_000);
    let kept = |told: &Told| array(&told.json, "/exchanges/number").len();
    assert!((100..=400).contains(&kept(&few)), "{}", kept(&few));
    assert!(kept(&many) > 1_000, "{}", kept(&many));
    for same in ["rates", "spread", "totals", "faults", "lives", "marks"] {
        assert_eq!(few.json[same], many.json[same], "{same}");
    }
    assert_eq!(tell(stormy(1), 0).json["kept"]["exchanges"], 0);
    for marks in array(&many.json, "/marks") {
        let kept = array(marks, "/at").len() as u64;
        assert!(kept <= 3_000);
        let every = number(&marks["every"]);
        assert_eq!(kept, number(&marks["count"]).div_ceil(every));
    }
    let legs: u64 = array(&few.json, "/exchanges/legs").iter().map(number).sum();
    assert_eq!(legs as usize, array(&few.json, "/exchanges/leg_at").len());
}

#[test]
fn a_finding_comes_with_what_crossed_around_it() {
    let mut options = Options::drawn(3, 24, 60 * SECOND, false);
    options.sabotage = Some(Sabotage::DiskEarly);
    options.work.put = 5;
    let Told { report, json, .. } = tell(options, 2_000);
    assert!(!report.good());
    assert_eq!(json["head"]["good"], false);
    let told = array(&json, "/findings");
    assert_eq!(told.len(), report.findings().len());
    for (told, finding) in told.iter().zip(report.findings()) {
        assert_eq!(number(&told["at"]), finding.at);
        assert_eq!(told["node"], Value::from(finding.node));
        assert_eq!(told["oracle"], finding.oracle.name());
        assert_eq!(told["text"], finding.text);
    }
    // The message that made the node show it left or came at that very moment.
    let first = &report.findings()[0];
    let (sent, legs) = (
        array(&json, "/exchanges/sent"),
        array(&json, "/exchanges/legs"),
    );
    let (at, takes) = (
        array(&json, "/exchanges/leg_at"),
        array(&json, "/exchanges/leg_takes"),
    );
    let mut leg = 0;
    let mut times = Vec::new();
    for (sent, legs) in sent.iter().zip(legs) {
        for _ in 0..number(legs) {
            let left = number(sent) + number(&at[leg]);
            times.extend([left, left + number(&takes[leg])]);
            leg += 1;
        }
    }
    assert!(times.contains(&first.at), "{first}");
}

#[test]
fn a_page_needs_nothing_else() {
    let Told { pages, json, .. } = tell(stormy(2), 1_000);
    let mut page = Vec::new();
    pages.write_html(&mut page).expect("a vector takes it all");
    let page = String::from_utf8(page).expect("UTF-8");
    let lower = page.to_lowercase();
    for outside in [
        "src=",
        "<link",
        "@import",
        "url(http",
        "href=\"http",
        "href='http",
        "fetch(",
    ] {
        // The libraries can load things; nobody asks them to.
        let ours = lower
            .split("<script>")
            .filter(|part| !part.contains("copyright 2010"));
        let found = ours.filter(|part| part.contains(outside)).count();
        assert_eq!(found, 0, "{outside}");
    }
    // Of all markup only what the page opens itself is there, whatever texts the data holds.
    assert_eq!(
        lower.matches("<script").count(),
        lower.matches("</script>").count()
    );
    let begin = "<script type=\"application/json\" id=\"data\">";
    let (_, data) = page.split_once(begin).expect("the data");
    let (data, _) = data.split_once("</script>").expect("its end");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert!(data == json, "the page and the export differ");
    assert_eq!(data["head"]["again"], "peerage-sim run --seed </script>");
}

#[test]
fn tables_hold_the_same_numbers() {
    let Told {
        report,
        pages,
        json,
    } = tell(stormy(4), 1_000);
    let folder = tempfile::tempdir().expect("a directory");
    let folder = folder.path().join("tables");
    pages.write_csv(&folder).expect("tables are written");
    let rows = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(Path::new(&folder).join(name)).expect(name);
        text.lines().skip(1).map(ToOwned::to_owned).collect()
    };
    let total = |name: &str| -> u64 {
        let counts = rows(name).into_iter();
        counts
            .map(|row| {
                let (_, count) = row.rsplit_once(',').expect("columns");
                count.parse::<u64>().expect("a number")
            })
            .sum()
    };
    assert_eq!(total("rates.csv"), report.messages.total());
    assert_eq!(total("failures.csv"), report.failures.total());
    assert_eq!(total("events.csv"), report.told.total());
    let faults = rows("faults.csv").into_iter();
    let faults = faults.filter(|row| !row.starts_with(',')).count();
    assert_eq!(faults as u64, report.faults.total());
    assert_eq!(rows("spread.csv").len(), 100);
    assert_eq!(rows("items.csv").len(), array(&json, "/spread/items").len());
    assert_eq!(
        rows("messages.csv").len(),
        array(&json, "/exchanges/leg_at").len()
    );
    assert!(rows("run.csv").contains(&format!("hash,{:016x}", report.hash)));
}
