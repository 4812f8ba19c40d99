//! What release 1.1.0 of the Grin node was recorded to answer, the last whose wallets say `pool/push`.
//!
//! Its chain has other proofs of work and so other hashes, which no later release reads. The recorded
//! node of release 4.1.1 lived through the same events, though, with the same coins; so what was asked
//! of the older release is asked of our node with that chain, under the hashes that its blocks have
//! there. Status, refusals and the layout of every answer must be the same: which fields there are, in
//! which order, of which kind, and how many of what. The table below is what has changed between the
//! two releases.

use peerage_tests::vectors::{cases, text};
use serde_json::Value;

use super::grin::{Old, Otherwise, fetch, replay};
use super::same;

const OTHERWISE: Otherwise = &[
    (
        FILE,
        "push_not_hex",
        "names the input, not what its reader said",
    ),
    (FILE, "index", "two more are listed"),
    (FILE, "root", "a slip of both releases' routing"),
    (FILE, "version", "came with 2.0.0"),
    (FILE, "block_include_proof", "came with 2.1.0"),
    (
        FILE,
        "block_unknown_param",
        "keys are read one by one, so only the key is named",
    ),
    (FILE, "block_empty_query", "nothing is no unknown key"),
    (
        FILE,
        "block_by_commit",
        "ours: an unspent commitment finds its block",
    ),
    (
        FILE,
        "block_hash_with_prefix",
        "names the input, not what its reader said",
    ),
    (
        FILE,
        "byids_not_hex",
        "was left out, is refused since 4.0.0",
    ),
    (FILE, "byids_empty", "the first release breaks off"),
    (FILE, "kernel_found", "came with 2.1.0"),
    (FILE, "kernel_out_of_range", "came with 2.1.0"),
    (FILE, "kernel_bad_hex", "came with 2.1.0"),
    (FILE, "kernel_bad_min", "came with 2.1.0"),
    (
        FILE,
        "outputs_end_index",
        "came with 3.0.0; the first release ignores it",
    ),
    (FILE, "heightstopmmr", "came with 3.0.0"),
    (FILE, "merkleproof_none", "the first release breaks off"),
    (
        FILE,
        "peer_unrecognized_s",
        "ours: what is no IP address may be a name",
    ),
    (
        FILE,
        "peers_empty",
        "ours: what is no address is the cluster's",
    ),
    (FILE, "peer_get_deep", "ours: only one element names a peer"),
    (FILE, "ban_unknown", "500 since 3.0.0, 200 before"),
    (
        FILE,
        "peer_bad_command",
        "ours: neither a ban nor its end is the cluster's",
    ),
    (
        FILE,
        "unban_doc_path",
        "ours: served, as the API's document has it",
    ),
];
const FILE: &str = "node_v1.1.0";

/// Fields that answers have gained since: headers two, the status one.
const GAINED: [&str; 3] = ["kernel_mmr_size", "output_mmr_size", "sync_status"];

/// A layout without what differs everywhere: fields that were gained, the length of a proof of work,
/// and that a spent output tells no height in the first release.
fn in_common(layout: &str) -> String {
    let gained = |line: &str| {
        GAINED
            .iter()
            .any(|field| line.contains(&format!("\"{field}\":")))
    };
    let mut lines: Vec<String> = Vec::new();
    for line in layout.split('\n').filter(|line| !gained(line)) {
        let line = line.trim_end_matches(',');
        let line = line.replace("\"block_height\": null", "\"block_height\": number");
        if !(line.ends_with(" number") && !line.contains(':') && lines.last() == Some(&line)) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// A text of JSON with each value but `null` replaced by its kind; any other text as it is.
fn layout(text: &str) -> String {
    if serde_json::from_str::<Value>(text).is_err() {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = match first {
            '"' => {
                let end = 2 + rest[1..].find('"').expect("texts end");
                let key = rest[end..].starts_with(':');
                (end, if key { &rest[..end] } else { "text" })
            }
            '-' | '0'..='9' => {
                let end = rest.find(|it: char| !it.is_ascii_digit() && it != '-');
                (end.unwrap_or(rest.len()), "number")
            }
            't' => (4, "bool"),
            'f' => (5, "bool"),
            _ => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        shown += kind;
        rest = &rest[length..];
    }
    shown
}

#[test]
fn layouts_keep_keys_and_kinds() {
    let text = r#"{ "a": "b", "c": [1, -2], "d": true, "e": null }"#;
    let expected = r#"{ "a": text, "c": [number, number], "d": bool, "e": null }"#;
    assert_eq!(layout(text), expected);
    assert_eq!(layout("Not a valid hash"), "Not a valid hash");
}

#[test]
fn answers_have_the_layout_of_the_first_release() {
    let later = cases("grin", "node_v4.1.1");
    let mut old = Old::new();
    replay(FILE, OTHERWISE, |name, case| {
        old.prepare(name);
        let same_case = later.iter().find(|it| it["name"] == name);
        let mut request = case["request"].clone();
        if !text(&request, "path").starts_with("/v1/pool/") {
            // Blocks have other names in the later chain.
            let later = same_case.ok_or("only the first release was asked this")?;
            request["path"] = later["request"]["path"].clone();
        }
        let answer = fetch(&mut old.bench, &request)?;
        let expected = &case["response"];
        let status = expected["status"].as_u64();
        same("status", Some(answer.status.into()), status)?;
        let body = expected["body"].as_str().unwrap_or("");
        let [found, expected] = [answer.text(), body].map(|text| in_common(&layout(text)));
        same("layout", found, expected)
    });
}
