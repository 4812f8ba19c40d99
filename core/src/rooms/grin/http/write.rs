//! Writing what operators' clients ask, as it is read again.

use bytes::Bytes;
use http::Method;
use peerage_mw::{Commitment, Format};

use crate::hex;
use crate::http::Outgoing;
use crate::rooms::grin::types::{Ask, Heights, Malformed, Name, Range, View};

pub(super) fn ask(ask: &Ask) -> Outgoing {
    match ask {
        Ask::Block(name, view) => get(&format!("/v1/blocks/{}{}", named(name), viewed(*view))),
        Ask::ByHeight(asked) => get(&by_height(asked)),
        Ask::ByIds(ids) if ids.is_empty() => get("/v1/chain/outputs/byids?"),
        Ask::ByIds(ids) => get(&format!("/v1/chain/outputs/byids?id={}", listed(ids))),
        Ask::Chain => get("/v1/chain"),
        Ask::Compact => post("/v1/chain/compact"),
        Ask::Connected => get("/v1/peers/connected"),
        Ask::Header(name) => get(&format!("/v1/headers/{}", named(name))),
        Ask::HeightsToPositions { start, end } => {
            let end = end.map_or_else(String::new, |end| format!("&end_height={end}"));
            get(&format!(
                "/v1/txhashset/heightstopmmr?start_height={start}{end}"
            ))
        }
        Ask::Index => get("/v1/"),
        Ask::Kernel { excess, from, to } => {
            let from = from.map(|height| format!("min_height={height}"));
            let to = to.map(|height| format!("max_height={height}"));
            let bounds: Vec<String> = from.into_iter().chain(to).collect();
            get(&format!("/v1/chain/kernels/{excess}{}", query(&bounds)))
        }
        Ask::Last(range, count) => {
            let word = match range {
                Range::Kernels => "lastkernels",
                Range::Outputs => "lastoutputs",
                Range::RangeProofs => "lastrangeproofs",
            };
            get(&format!("/v1/txhashset/{word}?n={count}"))
        }
        Ask::Malformed(asked) => malformed(asked),
        Ask::MerkleProof(None) => get("/v1/txhashset/merkleproof"),
        Ask::MerkleProof(Some(id)) => get(&format!("/v1/txhashset/merkleproof?id={id}")),
        Ask::Outputs { start, max, end } => {
            let end = end.map_or_else(String::new, |end| format!("&end_index={end}"));
            get(&format!(
                "/v1/txhashset/outputs?start_index={start}&max={max}{end}"
            ))
        }
        Ask::Peer(addr) => get(&format!("/v1/peers/{addr}")),
        Ask::Peers => get("/v1/peers/all"),
        Ask::Pool => get("/v1/pool"),
        Ask::Push { transaction, fluff } => {
            // Whoever pushes a transaction knows what it spends. One who does not has nothing to push.
            let bytes = transaction.encode(Format::V1).unwrap_or_default();
            let body = format!(r#"{{"tx_hex":"{}"}}"#, hex::encode(&bytes));
            let fluff = if *fluff { "?fluff" } else { "" };
            Outgoing {
                json: true,
                body: body.into(),
                ..post(&format!("/v1/pool/push_tx{fluff}"))
            }
        }
        Ask::Roots => get("/v1/txhashset/roots"),
        Ask::Status => get("/v1/status"),
        Ask::Validate { post: false } => get("/v1/chain/validate"),
        Ask::Validate { post: true } => post("/v1/chain/validate"),
        Ask::Version => get("/v1/version"),
    }
}

fn get(target: &str) -> Outgoing {
    Outgoing {
        method: Method::GET,
        target: target.to_owned(),
        json: false,
        body: Bytes::new(),
    }
}

fn post(target: &str) -> Outgoing {
    Outgoing {
        method: Method::POST,
        ..get(target)
    }
}

fn malformed(asked: &Malformed) -> Outgoing {
    let bare = if asked.post { post } else { get };
    Outgoing {
        json: asked.post,
        body: asked.body.clone(),
        ..bare(&asked.target)
    }
}

/// With a prefix that tells digits from a height.
fn named(name: &Name) -> String {
    match name {
        Name::Digits(bytes) => format!("0x{}", hex::encode(bytes)),
        Name::Height(height) => height.to_string(),
    }
}

fn viewed(view: View) -> String {
    let View {
        compact,
        proofs,
        no_merkle,
    } = view;
    let words = [
        (compact, "compact"),
        (proofs, "include_proof"),
        (no_merkle, "no_merkle_proof"),
    ];
    let words = words.into_iter().filter(|(is, _)| *is);
    let words: Vec<String> = words.map(|(_, word)| word.to_owned()).collect();
    query(&words)
}

fn by_height(asked: &Heights) -> String {
    let Heights { start, end, .. } = asked;
    let mut parts = vec![format!("start_height={start}"), format!("end_height={end}")];
    if !asked.only.is_empty() {
        parts.push(format!("id={}", listed(&asked.only)));
    }
    if asked.proofs {
        parts.push("include_rp".to_owned());
    }
    format!("/v1/chain/outputs/byheight{}", query(&parts))
}

fn listed(ids: &[Commitment]) -> String {
    let ids: Vec<String> = ids.iter().map(Commitment::to_string).collect();
    ids.join(",")
}

fn query(parts: &[String]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    format!("?{}", parts.join("&"))
}
