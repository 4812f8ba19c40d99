//! Reading what operators' clients ask. Rule: the handlers of the node API v1, their texts included.

use std::sync::Arc;

use bytes::Bytes;
use peerage_mw::{Commitment, Format, Rules, Transaction};
use serde::Deserialize;

use super::Route;
use crate::hex;
use crate::http::path::percent_decode;
use crate::http::query::Query;
use crate::http::v1;
use crate::limits::GRIN_IDS_MAX;
use crate::rooms::grin::types::{Ask, Heights, Malformed, Name, Range, View};

/// A refusal: the status and the text.
type Refused = (u16, String);

/// Where a GET leads; nothing for what is not there.
pub(super) fn get(path: &str, query: Option<&str>) -> Option<Route> {
    let elements = elements(path)?;
    let asked = match *elements {
        [] => Ok(Ask::Index),
        ["blocks", id] => block(id, query),
        ["headers", id] => name(id).map(Ask::Header).map_err(bad),
        ["chain"] => Ok(Ask::Chain),
        ["chain", "validate"] => Ok(Ask::Validate { post: false }),
        ["chain", "outputs", which] => outputs_of_chain(which, query),
        ["chain", "kernels", excess] => kernel(excess, query),
        ["status"] => Ok(Ask::Status),
        ["version"] => Ok(Ask::Version),
        ["txhashset", what] => ranges(what, query),
        ["pool"] => Ok(Ask::Pool),
        ["peers", "all"] => Ok(Ask::Peers),
        ["peers", "connected"] => Ok(Ask::Connected),
        ["peers", addr] => Ok(Ask::Peer(v1::address(&percent_decode(addr, false))?)),
        _ => return None,
    };
    let asked = asked.unwrap_or_else(|(status, text)| {
        let target = target(path, query);
        Ask::Malformed(Arc::new(Malformed {
            post: false,
            target,
            body: Bytes::new(),
            status,
            text,
        }))
    });
    Some(Route::Bare(Box::new(asked)))
}

/// Where a POST leads; nothing for what is not there.
pub(super) fn post(path: &str, query: Option<&str>) -> Option<Route> {
    let asked = match *elements(path)? {
        ["chain", "compact"] => Ask::Compact,
        ["chain", "validate"] => Ask::Validate { post: true },
        ["pool", "push" | "push_tx"] => {
            return Some(Route::Push {
                target: target(path, query),
                fluff: Params(query).get("fluff").is_some(),
            });
        }
        _ => return None,
    };
    Some(Route::Bare(Box::new(asked)))
}

/// What is between the slashes behind `/v1`, as sent: these paths are never decoded. Slashes at the
/// end count for nothing.
fn elements(path: &str) -> Option<Vec<&str>> {
    let below = path.strip_prefix("/v1")?.trim_end_matches('/');
    Some(below.split('/').skip(1).collect())
}

fn target(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

fn block(id: &str, query: Option<&str>) -> Result<Ask, Refused> {
    let name =
        name(id).map_err(|text| bad(format!("failed to parse input: Bad arguments: {text}")))?;
    let mut view = View::default();
    for (key, _) in Query::new(query).pairs() {
        match key.as_ref() {
            "compact" => view.compact = true,
            "include_proof" => view.proofs = true,
            "no_merkle_proof" => view.no_merkle = true,
            _ => return Err(bad(format!("unsupported query parameter: {key}"))),
        }
    }
    Ok(Ask::Block(name, view))
}

/// A height, or at least 32 bytes in hexadecimal digits.
fn name(id: &str) -> Result<Name, String> {
    if let Ok(height) = id.parse() {
        return Ok(Name::Height(height));
    }
    let mut runs = id.as_bytes().split(|digit| !digit.is_ascii_hexdigit());
    if !runs.any(|run| run.len() >= 64) {
        return Err("Not a valid hash or height.".to_owned());
    }
    let mut digits = from_hex(id).map_err(|text| format!("invalid input: {text}"))?;
    // Nothing has a longer name than a commitment.
    digits.truncate(Commitment::ZERO.0.len());
    Ok(Name::Digits(digits.into()))
}

fn outputs_of_chain(which: &str, query: Option<&str>) -> Result<Ask, Refused> {
    if !matches!(which, "byids" | "byheight") {
        return Err(bad(String::new()));
    }
    if query.is_none() {
        return Err(bad("no query string".to_owned()));
    }
    let params = Params(query);
    if which == "byids" {
        let ids: Result<Arc<[Commitment]>, Refused> = params.ids(commitment);
        return Ok(Ask::ByIds(ids?));
    }
    // Ids that are none are left out, and a filter of nothing but such filters nothing.
    let only = params.ids(|id| Ok(commitment(id).ok()))?;
    let only: Vec<Option<Commitment>> = only;
    let height = |name: &str| match params.get(name) {
        Some(text) => {
            let invalid = |_| bad(format!("invalid value of parameter {name}"));
            text.parse().map_err(invalid)
        }
        None => Ok(1),
    };
    Ok(Ask::ByHeight(Arc::new(Heights {
        start: height("start_height")?,
        end: height("end_height")?,
        only: only.into_iter().flatten().collect(),
        proofs: params.get("include_rp").is_some(),
    })))
}

fn kernel(excess: &str, query: Option<&str>) -> Result<Ask, Refused> {
    let excess = from_hex(excess).map_err(|_| bad("invalid excess hex".to_owned()))?;
    let excess = excess.try_into().map(Commitment);
    let excess = excess.map_err(|_| bad("invalid excess length".to_owned()))?;
    let params = Params(query);
    let height = |name: &str, word: &str| {
        let text = params.get(name);
        let invalid = |_| bad(format!("invalid {word} height"));
        text.map(|text| text.parse().map_err(invalid)).transpose()
    };
    Ok(Ask::Kernel {
        excess,
        from: height("min_height", "minimum")?,
        to: height("max_height", "maximum")?,
    })
}

fn ranges(what: &str, query: Option<&str>) -> Result<Ask, Refused> {
    let params = Params(query);
    // Numbers that cannot be read count as not given.
    let number = |name: &str| params.get(name)?.parse::<u64>().ok();
    let last = |range| Ok(Ask::Last(range, number("n").unwrap_or(10)));
    let end = |name: &str| number(name).filter(|end| *end > 0);
    match what {
        "roots" => Ok(Ask::Roots),
        "lastkernels" => last(Range::Kernels),
        "lastoutputs" => last(Range::Outputs),
        "lastrangeproofs" => last(Range::RangeProofs),
        "heightstopmmr" => Ok(Ask::HeightsToPositions {
            start: number("start_height").unwrap_or(1),
            end: end("end_height"),
        }),
        "merkleproof" => {
            let id = params.get("id");
            let id = id.map(|id| commitment(&id)).transpose()?;
            Ok(Ask::MerkleProof(id))
        }
        "outputs" => Ok(Ask::Outputs {
            start: number("start_index").unwrap_or(1),
            max: number("max").unwrap_or(100),
            end: end("end_index"),
        }),
        _ => Err(bad(String::new())),
    }
}

/// Clients see this name, the original's, in errors.
#[derive(Deserialize)]
struct TxWrapper {
    tx_hex: String,
}

/// Reads a transaction that is to be pushed. Wallets write it in the first format, and the rules of
/// either chain read it alike.
pub(super) fn push(target: String, fluff: bool, body: Bytes) -> Ask {
    match read_pushed(&body) {
        Ok(transaction) => Ask::Push {
            transaction: Arc::new(transaction),
            fluff,
        },
        Err(text) => Ask::Malformed(Arc::new(Malformed {
            post: true,
            target,
            body,
            status: 500,
            text: format!("failed: Request error: {text}"),
        })),
    }
}

fn read_pushed(body: &[u8]) -> Result<Transaction, String> {
    // Read as a stream, because that decides which column an error names.
    let body: Result<TxWrapper, _> = serde_json::from_reader(body);
    let body = body.map_err(|error| format!("Invalid request body: {error}"))?;
    let bytes = from_hex(&body.tx_hex).map_err(|text| format!("Bad request: {text}"))?;
    let rules = Rules::automated_testing();
    Transaction::decode(&rules, Format::V1, &bytes).map_err(|error| format!("Bad request: {error}"))
}

/// The parameters of a query. Of those with one name the first counts, ids excepted.
#[derive(Clone, Copy)]
struct Params<'a>(Option<&'a str>);

impl<'a> Params<'a> {
    fn get(self, name: &str) -> Option<std::borrow::Cow<'a, str>> {
        let mut pairs = Query::new(self.0).pairs();
        pairs.find_map(|(key, value)| (key == name).then_some(value))
    }

    /// What `read` makes of each id: each parameter `id` holds some, with commas between them.
    fn ids<T, C: FromIterator<T>>(
        self,
        read: impl Fn(&str) -> Result<T, Refused>,
    ) -> Result<C, Refused> {
        let pairs = Query::new(self.0).pairs().filter(|(key, _)| key == "id");
        let values: Vec<_> = pairs.map(|(_, value)| value).collect();
        let ids = || values.iter().flat_map(|value| value.split(','));
        if ids().count() > GRIN_IDS_MAX {
            return Err(bad(format!("more than {GRIN_IDS_MAX} ids")));
        }
        ids().map(read).collect()
    }
}

/// A commitment, which ends with zeros if there are too few digits.
fn commitment(id: &str) -> Result<Commitment, Refused> {
    let bytes = from_hex(id).map_err(|_| bad(format!("Not a valid commitment: {id}")))?;
    let mut commitment = Commitment::ZERO;
    let filled = commitment.0.iter_mut().zip(bytes);
    filled.for_each(|(to, from)| *to = from);
    Ok(commitment)
}

/// Reads digits between blanks, behind any number of `0x`. What is not of that form is given back
/// without those.
fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.trim().trim_start_matches("0x");
    hex::decode(digits).ok_or_else(|| digits.to_owned())
}

const fn bad(text: String) -> Refused {
    (400, text)
}
