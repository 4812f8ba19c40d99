//! Literal HTTP requests at given times, and what was answered.
//!
//! A scripted request takes the way of any other: through the node's own reader, over the network,
//! and back as the bytes that a real node would send.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use peerage_core::Listener;
use peerage_core::rooms::wattswarm;
use serde_json::Value;

use super::Broken;
use super::read::time;
use super::section::{Result, Section};
use crate::clock::Clock;
use crate::deck::{self, Make};
use crate::group::Group;
use crate::options::Options;
use crate::roster::Roster;
use crate::seed::Seeds;

/// A request of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripted {
    /// When it is sent, in microseconds.
    pub at: u64,
    /// To whom.
    pub node: u32,
    /// Where.
    pub listener: Listener,
    /// GET, PUT or POST.
    pub method: Method,
    /// The path, and the query.
    pub target: String,
    /// What else is in the head.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What must be answered.
    pub expected: Expected,
}

/// What must be answered; nothing in particular, where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The status.
    pub status: Option<u16>,
    /// Parts of the body.
    pub json: Option<Value>,
    /// A part of the body's text.
    pub text: Option<String>,
    /// Whether there must be no answer at all.
    pub none: bool,
}

/// What became of a scripted request.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// When, in microseconds.
    pub(crate) at: u64,
    /// The answer, or why there is none.
    pub(crate) answer: std::result::Result<http::Response<Bytes>, &'static str>,
}

/// The scripted requests of a run, with their answers.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub(crate) requests: Arc<[Scripted]>,
    pub(crate) answers: Vec<Option<Answered>>,
}

pub(super) fn read(
    top: &Section<'_>,
    options: &Options,
    group: &dyn Fn(&str) -> Option<Group>,
) -> Result<Arc<[Scripted]>> {
    let seeds = Seeds::new(options.seed);
    let roster = Roster::new(seeds, options.nodes);
    let names = Names {
        roster: &roster,
        nodes: options.nodes,
        key: seeds.identity(u32::MAX),
    };
    let mut script = Vec::new();
    for (offset, section) in top.sections("requests")? {
        let missing = |key: &str| {
            top.file()
                .error(offset, format!("[[requests]] must say `{key}`"))
        };
        let at = section.meaning("at", time)?.ok_or_else(|| missing("at"))?;
        let nodes = section
            .meaning("node", |text| {
                let nodes = group(text).map(|nodes| nodes.members(options.nodes).collect());
                let there: Option<Vec<u32>> = nodes.filter(|nodes: &Vec<u32>| !nodes.is_empty());
                there.ok_or_else(|| {
                    format!(
                        "{text:?} is no node; there are n0 to n{}",
                        options.nodes - 1
                    )
                })
            })?
            .ok_or_else(|| missing("node"))?;
        let within = section.meaning("within", time)?.unwrap_or(0);
        let listener = section
            .meaning("listener", |text| match text {
                "api" => Ok(Listener::Api),
                "p2p" => Ok(Listener::P2p),
                _ => Err(format!("{text:?} is no listener; write api or p2p")),
            })?
            .unwrap_or(Listener::P2p);
        let text = section
            .string("request")?
            .ok_or_else(|| missing("request"))?;
        let text = names
            .fill(text.value)
            .map_err(|what| section.error("request", what))?;
        let (method, target, headers, body) =
            message(&text).map_err(|what| section.error("request", what))?;
        let expected = match section.section("expect")? {
            None => Expected::default(),
            Some(expect) => {
                let filled = |key: &str| -> Result<Option<String>> {
                    expect.meaning(key, |text| names.fill(text))
                };
                let mut json = expect.json("json")?;
                if let Some(json) = &mut json {
                    names
                        .fill_json(json)
                        .map_err(|what| expect.error("json", what))?;
                }
                let expected = Expected {
                    status: expect
                        .within("status", 100, 599)?
                        .map(|status| status as u16),
                    text: filled("text")?,
                    none: expect.truth("none")?.unwrap_or(false),
                    json,
                };
                expect.finish()?;
                expected
            }
        };
        section.finish()?;
        let last = nodes.len() as u64;
        script.extend((0..).zip(nodes).map(|(place, node)| Scripted {
            at: at + within * place / last,
            node,
            listener,
            method: method.clone(),
            target: target.clone(),
            headers: headers.clone(),
            body: body.clone(),
            expected: expected.clone(),
        }));
    }
    script.sort_by_key(|scripted| scripted.at);
    Ok(script.into())
}

/// A request as text: a line, headers, an empty line, the body.
fn message(text: &str) -> std::result::Result<(Method, String, HeaderMap, Bytes), String> {
    let text = text.trim_start_matches('\n');
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap_or("");
    let mut words = first.split_whitespace();
    let (method, target) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), None | Some("HTTP/1.1"), None) if target.starts_with('/') => {
            (method, target)
        }
        _ => {
            return Err(format!(
                "{first:?} is no request line; write GET /path HTTP/1.1"
            ));
        }
    };
    let method = method
        .parse()
        .map_err(|_| format!("{method:?} is no method"))?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let pair = line.split_once(':').and_then(|(name, value)| {
            let name: HeaderName = name.trim().parse().ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let (name, value) =
            pair.ok_or_else(|| format!("{line:?} is no header; write name: value"))?;
        headers.append(name, value);
    }
    let body = Bytes::from(body.trim_end_matches('\n').to_owned());
    Ok((method, target.to_owned(), headers, body))
}

/// What `${…}` stands for.
struct Names<'a> {
    roster: &'a Roster,
    nodes: u32,
    key: [u8; 32],
}

impl Names<'_> {
    fn fill(&self, text: &str) -> std::result::Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}').ok_or("a ${ without its }")?;
            filled.push_str(before);
            filled.push_str(&self.value(name).ok_or_else(|| {
                format!(
                    "${{{name}}} stands for nothing; there are ${{n0.address}}, ${{n0.host}}, ${{n0.port}}, \
                     ${{n0.id}}, ${{n0.key}}, ${{n0.peer}}, ${{n0.thread.n1}}, ${{tx.1}}, ${{tx.1.hash}}"
                )
            })?);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn fill_json(&self, json: &mut Value) -> std::result::Result<(), String> {
        match json {
            Value::String(text) => *text = self.fill(text)?,
            Value::Array(items) => {
                for item in items {
                    self.fill_json(item)?;
                }
            }
            Value::Object(fields) => {
                for field in fields.values_mut() {
                    self.fill_json(field)?;
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) => {}
        }
        Ok(())
    }

    fn value(&self, name: &str) -> Option<String> {
        if let Some(rest) = name.strip_prefix("tx.") {
            let (number, hash) = match rest.strip_suffix(".hash") {
                Some(number) => (number, true),
                None => (rest, false),
            };
            let number: u32 = number.parse().ok().filter(|number| *number < 1_000_000)?;
            let wall = Clock::new(0).wall(0).as_secs() as i64;
            let command = deck::command(Make::Valid, SCRIPTED + number, 0, wall, self.key);
            return Some(if hash {
                command.key().to_string()
            } else {
                // As the text inside JSON that mempools take.
                Value::String(command.canonical_text()).to_string()
            });
        }
        let (node, what) = name.split_once('.')?;
        let node = self.node(node)?;
        let info = self.roster.info(node);
        Some(match what {
            "address" => info.address.to_string(),
            "host" => info.address.host.to_string(),
            "port" => info.address.port.to_string(),
            "id" => info.id?.to_string(),
            "peer" => self.roster.cluster_peer(node).to_string(),
            "key" => self.roster.id(node).to_string(),
            _ => {
                let other = self.node(what.strip_prefix("thread.")?)?;
                let (one, two) = (self.roster.id(node), self.roster.id(other));
                wattswarm::ids::thread_id(one.as_str(), two.as_str())
            }
        })
    }

    /// The node that is called so.
    fn node(&self, name: &str) -> Option<u32> {
        let number = name.strip_prefix('n')?.parse().ok();
        number.filter(|node| *node < self.nodes)
    }
}

/// Transactions of scripts have numbers from here on.
const SCRIPTED: u32 = 1_000_000_000;

/// Whether `actual` has everything that `expected` says: objects may have more fields, lists must be
/// as long, all else must be equal. Tells where it does not.
fn differs(expected: &Value, actual: &Value, path: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            expected.iter().find_map(|(key, expected)| {
                let path = format!("{path}.{key}");
                match actual.get(key) {
                    None => Some(format!("{path} is missing")),
                    Some(actual) => differs(expected, actual, &path),
                }
            })
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            expected
                .iter()
                .zip(actual)
                .enumerate()
                .find_map(|(number, (expected, actual))| {
                    differs(expected, actual, &format!("{path}[{number}]"))
                })
        }
        _ if expected == actual => None,
        _ => Some(format!("{path} is {actual}, not {expected}")),
    }
}

impl Transcript {
    /// The requests that were not answered as they had to be.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        self.requests
            .iter()
            .zip(&self.answers)
            .filter_map(|(request, answered)| {
                let what = request.expected.misses(answered.as_ref())?;
                Some(Broken(format!(
                    "{} {}: {what}",
                    request.method, request.target
                )))
            })
            .collect()
    }

    /// One object of JSON for each request.
    #[must_use]
    pub fn json_lines(&self) -> String {
        let mut lines = String::new();
        for (request, answered) in self.requests.iter().zip(&self.answers) {
            let mut line = serde_json::json!({
                "at_us": request.at,
                "node": request.node,
                "method": request.method.as_str(),
                "target": request.target,
                "body": String::from_utf8_lossy(&request.body),
            });
            match answered {
                Some(Answered {
                    at,
                    answer: Ok(answer),
                }) => {
                    line["answered_at_us"] = (*at).into();
                    line["status"] = answer.status().as_u16().into();
                    line["answer"] = String::from_utf8_lossy(answer.body()).into();
                }
                Some(Answered {
                    at,
                    answer: Err(error),
                }) => {
                    line["answered_at_us"] = (*at).into();
                    line["error"] = (*error).into();
                }
                None => line["error"] = "no answer".into(),
            }
            let _ = writeln!(lines, "{line}");
        }
        lines
    }
}

impl Expected {
    /// What is wrong with an answer.
    fn misses(&self, answered: Option<&Answered>) -> Option<String> {
        let answer = match answered.map(|answered| &answered.answer) {
            None | Some(Err(_)) if self.none => return None,
            Some(Ok(answer)) if self.none => {
                return Some(format!(
                    "answered {}, not at all was expected",
                    answer.status().as_u16()
                ));
            }
            None => "no answer came",
            Some(Err(error)) => error,
            Some(Ok(answer)) => return self.misses_of(answer),
        };
        let wanted = self.status.is_some() || self.json.is_some() || self.text.is_some();
        wanted.then(|| answer.to_owned())
    }

    fn misses_of(&self, answer: &http::Response<Bytes>) -> Option<String> {
        let body = String::from_utf8_lossy(answer.body());
        if let Some(status) = self
            .status
            .filter(|status| *status != answer.status().as_u16())
        {
            return Some(format!(
                "answered {} {body}, {status} was expected",
                answer.status().as_u16()
            ));
        }
        if let Some(text) = self
            .text
            .as_ref()
            .filter(|text| !body.contains(text.as_str()))
        {
            return Some(format!("{body:?} does not say {text:?}"));
        }
        let expected = self.json.as_ref()?;
        match serde_json::from_str(&body) {
            Ok(actual) => differs(expected, &actual, "the body"),
            Err(_) => Some(format!("{body:?} is no JSON")),
        }
    }
}

/// As literal HTTP with times, so that it can be compared in any language.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: u64| format!("{}.{:06}", at / 1_000_000, at % 1_000_000);
        for (request, answered) in self.requests.iter().zip(&self.answers) {
            let listener = match request.listener {
                Listener::Api => "api",
                Listener::P2p => "p2p",
            };
            writeln!(
                f,
                "=== {} to n{}, {listener}",
                time(request.at),
                request.node
            )?;
            writeln!(f, "{} {} HTTP/1.1", request.method, request.target)?;
            head_and_body(f, &request.headers, &request.body)?;
            match answered {
                None => writeln!(f, "--- no answer")?,
                Some(Answered { at, answer }) => {
                    writeln!(f, "--- {}", time(*at))?;
                    match answer {
                        Err(error) => writeln!(f, "{error}")?,
                        Ok(answer) => {
                            let status = answer.status();
                            let reason = status.canonical_reason().unwrap_or("");
                            writeln!(f, "HTTP/1.1 {} {reason}", status.as_u16())?;
                            head_and_body(f, answer.headers(), answer.body())?;
                        }
                    }
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn head_and_body(f: &mut fmt::Formatter<'_>, headers: &HeaderMap, body: &[u8]) -> fmt::Result {
    for (name, value) in headers {
        writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
    }
    if !body.is_empty() {
        writeln!(f, "\n{}", String::from_utf8_lossy(body))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_of_json_are_compared() {
        let actual = json!({ "items": [{ "a": 1, "b": 2 }], "next": null });
        for good in [
            json!({}),
            json!({ "next": null }),
            json!({ "items": [{ "b": 2 }] }),
        ] {
            assert_eq!(differs(&good, &actual, "it"), None);
        }
        for (bad, why) in [
            (
                json!({ "items": [] }),
                "it.items is [{\"a\":1,\"b\":2}], not []",
            ),
            (
                json!({ "items": [{ "a": 3 }] }),
                "it.items[0].a is 1, not 3",
            ),
            (json!({ "limit": 1 }), "it.limit is missing"),
        ] {
            assert_eq!(differs(&bad, &actual, "it").as_deref(), Some(why));
        }
    }

    #[test]
    fn requests_are_read_as_they_are_written() {
        let (method, target, headers, body) =
            message("PUT /a?b=c HTTP/1.1\nAccept: x\n\n{\"d\":1}\n").expect("a request");
        assert_eq!((method.as_str(), target.as_str()), ("PUT", "/a?b=c"));
        assert_eq!(headers["accept"], "x");
        assert_eq!(body, "{\"d\":1}");
        for bad in ["", "GET", "GET a", "GET /a HTTP/1.0", "GET /a\nx"] {
            assert!(message(bad).is_err(), "{bad}");
        }
    }
}
