//! Mempools: what is taken, what is told, and what a session asks for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peerage_core::Event;
use peerage_core::rooms::chainweb_mempool::Event as MempoolEvent;
use peerage_core::rooms::chainweb_mempool::insert::InsertError;
use peerage_core::time::WallTime;
use peerage_tests::commands::{draft, insert_body, key_of, keys_body};
use peerage_tests::vectors::text;
use peerage_tests::{Bench, Peer};
use serde_json::{Value, json};

use super::{ensure, replay, same};

#[test]
fn single_insertions() {
    replay("insert_cases", |case| {
        let mut pool = Pool::of(case);
        let wire = text(case, "wire").to_owned();
        let state = &case["state"];
        if state["pending"] == json!(["<self>"]) {
            let first = pool.insert(std::slice::from_ref(&wire));
            same("status", first.status, 200)?;
        } else if !state.is_null() {
            pool.fill(state["pending_count"].as_u64().ok_or("unknown state")?);
        }
        let before = pool.mark();
        let expect = &case["expect"];
        let answer = pool.insert(&[wire]);
        same(
            "status",
            Some(answer.status.into()),
            expect["status"].as_u64(),
        )?;
        if let Some(body) = expect["body"].as_str() {
            same("body", answer.text(), body)?;
        }
        if let Some(prefix) = expect["body_prefix"].as_str() {
            ensure(answer.text().starts_with(prefix), answer.text())?;
        }
        if answer.status == 200 {
            same("body", answer.text(), "")?;
        }
        let accepted = expect["accepted"] == true;
        same("announced", pool.mark() - before, i64::from(accepted))?;
        let key = case["request_key"].as_str().unwrap_or("");
        if accepted {
            let found = pool.lookup(&[key.to_owned()]);
            let contents = found[0]["contents"].as_str();
            same("contents", contents, expect["canonical_contents"].as_str())?;
        } else if answer.status == 200 {
            same("member", pool.member(&[key.to_owned()]), vec![false])?;
            let error = pool.rejection().ok_or("rejected without an event")?;
            same("reason", name(&error), text(expect, "reason"))?;
            if let Some(message) = expect["message"].as_str() {
                same("message", error.to_string().as_str(), message)?;
            }
        }
        Ok(())
    });
}

#[test]
fn batches() {
    replay("insert_batches", |case| {
        let mut pool = Pool::of(case);
        let batch: Vec<String> = texts(&case["batch"]);
        let answer = pool.insert(&batch);
        let expect = &case["expect"];
        same(
            "status",
            Some(answer.status.into()),
            expect["status"].as_u64(),
        )?;
        if let Some(body) = expect["body"].as_str() {
            same("body", answer.text(), body)?;
        }
        let (mut found, mut expected) = (pool.pending(), texts(&expect["accepted"]));
        found.sort();
        expected.sort();
        same("pending", found, expected)
    });
}

#[test]
fn real_transactions() {
    replay("transactions", |case| {
        let meta = &case["meta"];
        let chain: u64 = text(meta, "chainId").parse().map_err(|_| "chain")?;
        let made = meta["creationTime"].as_u64().ok_or("no time")?;
        let setting = json!({
            "network": case["networkId"],
            "chain": chain,
            "now_micros": (made * 1_000_000 + 1).to_string(),
        });
        let mut pool = Pool::of(&setting);
        same(
            "status",
            pool.insert(&[text(case, "wire").to_owned()]).status,
            200,
        )?;
        let valid = case["hash_matches"] == true
            && case["signatures"]
                .as_array()
                .ok_or("no signatures")?
                .iter()
                .all(|signature| signature["valid_over_declared_hash"] == true);
        let key = text(case, "declared_hash").to_owned();
        same(
            "member",
            pool.member(std::slice::from_ref(&key)),
            vec![valid],
        )?;
        if valid {
            let found = pool.lookup(&[key]);
            same(
                "contents",
                &found[0]["contents"],
                &case["canonical_contents"],
            )?;
        }
        Ok(())
    });
}

#[test]
fn marks_of_pools() {
    replay("getpending", |case| {
        let mut pool = Pool::of(&json!({"network": "development", "chain": 0, "now_micros": null}));
        let own = pool.get_pending("").json()["highwaterMark"][0]
            .as_i64()
            .ok_or("no nonce")?;
        let declared: i64 = text(case, "nonce").parse().map_err(|_| "nonce")?;
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for step in case["steps"].as_array().ok_or("no steps")? {
            let mut insert = |symbols: Vec<String>| {
                let batch: Vec<String> = symbols
                    .iter()
                    .map(|symbol| draft(symbol).sign(&[]))
                    .collect();
                for (symbol, text) in symbols.into_iter().zip(&batch) {
                    names.insert(key_of(text), symbol);
                }
                same("status", pool.insert(&batch).status, 200)
            };
            if !step["insert"].is_null() {
                insert(texts(&step["insert"]))?;
            } else if !step["insert_range"].is_null() {
                let range = &step["insert_range"];
                let (from, count) = (range["from"].as_u64(), range["count"].as_u64());
                let (from, count) = from.zip(count).ok_or("no range")?;
                let prefix = text(range, "prefix");
                insert(
                    (from..from + count)
                        .map(|n| format!("{prefix}{n}"))
                        .collect(),
                )?;
            } else {
                let query = translate(&step["getPending"], declared, own)?;
                let answer = pool.get_pending(&query).json();
                check_pending(&answer, step, declared, own, &names)
                    .map_err(|failure| format!("{step}: {failure}"))?;
            }
        }
        Ok(())
    });
}

/// The query of a step, with the nonce of this run in place of the one in the file.
fn translate(asked: &Value, declared: i64, own: i64) -> Result<String, String> {
    let mut parts = Vec::new();
    if let Some(nonce) = asked["nonce"].as_str() {
        let nonce: i64 = nonce.parse().map_err(|_| "nonce")?;
        parts.push(format!(
            "nonce={}",
            own.wrapping_add(nonce.wrapping_sub(declared))
        ));
    }
    if let Some(since) = asked["since"].as_str() {
        parts.push(format!("since={since}"));
    }
    Ok(parts.join("&"))
}

fn check_pending(
    answer: &Value,
    step: &Value,
    declared: i64,
    own: i64,
    names: &BTreeMap<String, String>,
) -> Result<(), String> {
    let expect = &step["expect"];
    let mark = texts(&expect["highwater"]);
    same("declared nonce", &*mark[0], &*declared.to_string())?;
    same("nonce", answer["highwaterMark"][0].as_i64(), Some(own))?;
    same(
        "next",
        answer["highwaterMark"][1].to_string().as_str(),
        &mark[1],
    )?;
    let mut hashes: Vec<String> = texts(&answer["hashes"])
        .iter()
        .map(|hash| names.get(hash).cloned().unwrap_or_default())
        .collect();
    if let Some(count) = expect["hash_count"].as_u64() {
        return same("hashes", hashes.len() as u64, count);
    }
    hashes.sort();
    let mut expected = texts(&expect["hashes"]);
    expected.sort();
    same("hashes", hashes, expected)
}

const PEER: &str = "1.2.3.4:1789";

#[test]
fn calls_of_sessions() {
    replay("sync_sessions", |case| {
        let mut bench = Bench::with(|config| config.sessions.mempool_max = 6);
        bench.peer(PEER, Peer::of_version("2.32.0"));
        let put = json!({"id": null, "address": {"hostname": "1.2.3.4", "port": 1789}});
        let network = "/chainweb/0.0/development/chain/0/mempool";
        bench.fetch_json("PUT", &format!("{network}/peer"), &put.to_string());
        // Hashes stand for commands of our own.
        let of = |hash: &str| draft(hash).sign(&[]);
        let local: Vec<String> = texts(&case["local_pending"])
            .iter()
            .map(|hash| of(hash))
            .collect();
        bench.fetch_json("PUT", &format!("{network}/insert"), &insert_body(&local));
        let probes = bench.calls().len();

        let script: VecDeque<Value> = case["calls"]
            .as_array()
            .ok_or("no calls")?
            .iter()
            .filter(|call| call["call"].is_string())
            .cloned()
            .collect();
        let heard = Arc::new(Mutex::new((script, Vec::new())));
        let ear = heard.clone();
        bench.peer(
            PEER,
            Peer::talks(move |sent| {
                let (script, failures) = &mut *ear.lock().expect("one thread");
                let expected = script.pop_front()?;
                let outcome = check_call(sent.line(), sent.body(), &expected, &of);
                match outcome {
                    Ok(body) => Some(format!(
                        "HTTP/1.1 200 OK\r\nx-chainweb-node-version: 2.32.0\r\n\r\n{body}"
                    )),
                    Err(failure) => {
                        failures.push(failure);
                        None
                    }
                }
            }),
        );
        // The last call comes after a pause of about fifteen seconds.
        let total = heard.lock().expect("one thread").0.len();
        bench.advance(Duration::from_secs(2));
        same(
            "calls before the pause",
            bench.calls().len() - probes,
            total - 1,
        )?;
        bench.advance(Duration::from_secs(3));
        same(
            "calls in the pause",
            bench.calls().len() - probes,
            total - 1,
        )?;
        bench.advance(Duration::from_secs(25));
        let (script, failures) = &*heard.lock().expect("one thread");
        ensure(failures.is_empty(), format!("{failures:?}"))?;
        ensure(script.is_empty(), format!("never called: {script:?}"))
    });
}

/// Compares a call with the script and gives the peer's answer.
fn check_call(
    line: &str,
    body: &str,
    expected: &Value,
    of: &impl Fn(&str) -> String,
) -> Result<String, String> {
    same("call", line, text(expected, "call"))?;
    if expected["body"] == "own peer info" {
        let own = Bench::config(1).own_info();
        let mut json = Vec::new();
        own.write_json(&mut json);
        same("body", body.as_bytes(), json.as_slice())?;
    }
    if expected["body_hash_set"].is_array() {
        let sent: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let mut sent = texts(&sent);
        let mut set: Vec<String> = texts(&expected["body_hash_set"])
            .iter()
            .map(|hash| of(hash))
            .collect();
        sent.sort();
        set.sort();
        same("pushed", sent, set)?;
    }
    let key = |hash: &String| key_of(&of(hash));
    if expected["body_hashes"].is_array() {
        let asked = texts(&expected["body_hashes"]);
        let keys: Vec<String> = asked.iter().map(key).collect();
        same("asked for", body, keys_body(&keys).as_str())?;
        let found = asked
            .iter()
            .map(|hash| json!({"tag": "Pending", "contents": of(hash)}));
        return Ok(Value::from_iter(found).to_string());
    }
    if !expected["answer"].is_null() {
        let answer = &expected["answer"];
        let hashes: Vec<String> = texts(&answer["hashes"]).iter().map(key).collect();
        let mark = texts(&answer["highwaterMark"]).join(",");
        return Ok(format!(
            "{{\"hashes\":{},\"highwaterMark\":[{mark}]}}",
            json!(hashes)
        ));
    }
    Ok(r#"{"limit":0,"items":[],"next":null}"#.into())
}

/// One chain's mempool of a node at a moment.
struct Pool {
    bench: Bench,
    path: String,
}

impl Pool {
    fn of(case: &Value) -> Self {
        let network = text(case, "network");
        let chain = case["chain"].as_u64().expect("a chain");
        let mut bench =
            Bench::with(|config| config.network = network.parse().expect("a known network"));
        if let Some(micros) = case["now_micros"].as_str() {
            bench.set_wall(WallTime::from_micros(micros.parse().expect("microseconds")));
        }
        Self {
            bench,
            path: format!("/chainweb/0.0/{network}/chain/{chain}/mempool"),
        }
    }

    fn insert(&mut self, batch: &[String]) -> peerage_tests::ParsedAnswer {
        self.bench
            .fetch_json("PUT", &format!("{}/insert", self.path), &insert_body(batch))
    }

    fn fill(&mut self, count: u64) {
        let batch: Vec<String> = (0..count)
            .map(|n| draft(&format!("fill {n}")).sign(&[]))
            .collect();
        for chunk in batch.chunks(1_000) {
            assert_eq!(self.insert(chunk).status, 200);
        }
        assert_eq!(self.pending().len() as u64, count);
    }

    fn get_pending(&mut self, query: &str) -> peerage_tests::ParsedAnswer {
        self.bench.fetch(format!(
            "POST {}/getPending?{query} HTTP/1.1\r\n\r\n",
            self.path
        ))
    }

    fn pending(&mut self) -> Vec<String> {
        texts(&self.get_pending("").json()["hashes"])
    }

    fn mark(&mut self) -> i64 {
        self.get_pending("").json()["highwaterMark"][1]
            .as_i64()
            .expect("a mark")
    }

    fn member(&mut self, keys: &[String]) -> Vec<bool> {
        let answer =
            self.bench
                .fetch_json("POST", &format!("{}/member", self.path), &keys_body(keys));
        serde_json::from_value(answer.json()).expect("booleans")
    }

    fn lookup(&mut self, keys: &[String]) -> Value {
        self.bench
            .fetch_json("POST", &format!("{}/lookup", self.path), &keys_body(keys))
            .json()
    }

    fn rejection(&self) -> Option<InsertError> {
        self.bench.events().iter().rev().find_map(|event| {
            let Event::ChainwebMempool(MempoolEvent::TxRejected { error, .. }) = event else {
                return None;
            };
            Some(error.as_ref().clone())
        })
    }
}

fn texts(value: &Value) -> Vec<String> {
    let values = value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"));
    values
        .iter()
        .map(|value| value.as_str().expect("a text").to_owned())
        .collect()
}

fn name(error: &InsertError) -> &'static str {
    match error {
        InsertError::Badlisted => "InsertErrorBadlisted",
        InsertError::Duplicate => "InsertErrorDuplicate",
        InsertError::InvalidHash => "InsertErrorInvalidHash",
        InsertError::InvalidSigs(_) => "InsertErrorInvalidSigs",
        InsertError::MetadataMismatch => "InsertErrorMetadataMismatch",
        InsertError::Other(_) => "InsertErrorOther",
        InsertError::Oversized { .. } => "InsertErrorOversized",
        InsertError::PactParse(_) => "InsertErrorPactParseError",
        InsertError::TimeInFuture => "InsertErrorTimeInFuture",
        InsertError::TtlExpired => "InsertErrorTTLExpired",
        InsertError::Undersized { .. } => "InsertErrorUndersized",
        InsertError::WrongChain { .. } => "InsertErrorWrongChain",
    }
}
