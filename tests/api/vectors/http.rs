//! `http_requests`: one request to a fresh node of `development`.

use peerage_tests::vectors::text;
use peerage_tests::{Bench, Client, ParsedAnswer};
use serde_json::Value;

use super::{ensure, replay, same};

#[test]
fn requests_of_operators() {
    replay("http_requests", |case| {
        check(case, &Client::operator(), &request(case, false))
    });
}

#[test]
fn requests_of_strangers() {
    let stranger = Client::stranger("203.0.113.7:40000");
    replay("http_requests", |case| {
        check(case, &stranger, &request(case, false))
    });
}

#[test]
fn requests_in_chunks() {
    replay("http_requests", |case| {
        check(case, &Client::operator(), &request(case, true))
    });
}

fn request(case: &Value, chunked: bool) -> String {
    let mut request = format!(
        "{} {} HTTP/1.1\r\n",
        text(case, "method"),
        text(case, "path")
    );
    if let Some(headers) = case["headers"].as_object() {
        for (name, value) in headers {
            request += &format!("{name}: {}\r\n", value.as_str().expect("a text"));
        }
    }
    if chunked {
        request += "transfer-encoding: chunked\r\n";
    }
    request + "\r\n" + &body(case)
}

fn body(case: &Value) -> String {
    let generator = &case["body_generator"];
    if generator.is_null() {
        return case["body"].as_str().unwrap_or("").to_owned();
    }
    let (prefix, suffix) = (text(generator, "prefix"), text(generator, "suffix"));
    let total = generator["total_bytes"].as_u64().expect("a number") as usize;
    let fill = text(generator, "fill").repeat(total - prefix.len() - suffix.len());
    format!("{prefix}{fill}{suffix}")
}

fn check(case: &Value, client: &Client, request: &str) -> Result<(), String> {
    let mut bench = Bench::new();
    let answer = bench.send_as(client, request);
    let answer = ParsedAnswer::read(answer.as_bytes()).ok_or("not HTTP")?;
    let expect = &case["expect"];
    same(
        "status",
        Some(answer.status.into()),
        expect["status"].as_u64(),
    )?;
    if let Some(content_type) = expect.get("content_type") {
        same(
            "content type",
            answer.header("content-type"),
            content_type.as_str(),
        )?;
    }
    if let Some(body) = expect["body"].as_str() {
        same("body", answer.text(), body)?;
    }
    if let Some(prefix) = expect["body_prefix"].as_str() {
        ensure(answer.text().starts_with(prefix), answer.text())?;
    }
    if let Some(json) = expect.get("json") {
        same("body", &answer.json(), json)?;
    }
    if let Some(shape) = expect.get("json_shape") {
        let json = answer.json();
        same("hashes", &json["hashes"], &shape["hashes"])?;
        ensure(
            json["highwaterMark"][0].is_i64(),
            "the nonce is no 64-bit integer",
        )?;
        same(
            "mark",
            &json["highwaterMark"][1],
            &shape["highwaterMark"][1],
        )?;
    }
    ensure(answer.header("server").is_some(), "no server")?;
    for name in [
        "x-chainweb-node-version",
        "x-peer-addr",
        "x-server-timestamp",
    ] {
        same(name, answer.header(name).is_some(), answer.status != 413)?;
    }
    Ok(())
}
