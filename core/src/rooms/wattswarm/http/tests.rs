//! Paths and bodies without a node.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::super::records::{Action, Actor, Json};
use super::super::types::{Act, Draft, Request};
use super::*;
use crate::commons::network::ChainwebVersion;
use crate::http::{Reception, receive};
use crate::limits::AGENT_JSON_DEPTH_MAX;
use crate::rooms;

const SITE: Site = Site {
    network: ChainwebVersion::Development,
    chains: 1,
};

/// What a request leads to: the request, or the status and the methods of the answer.
fn send(
    listener: Listener,
    method: &str,
    target: &str,
    content_type: Option<&'static str>,
    body: &str,
) -> Result<rooms::Request, Reply> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let headers: HeaderMap = content_type
        .map(|value| (header::CONTENT_TYPE, HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let head = Head {
        listener,
        method: &method,
        path,
        query,
        headers: &headers,
    };
    match receive(&SITE, &head) {
        Reception::Answer(reply) => Err(reply),
        Reception::Proceed(routed) => routed
            .route
            .decode(&SITE, Bytes::copy_from_slice(body.as_bytes())),
    }
}

/// A question between nodes as it is read after it was written.
pub(in super::super) fn over_the_wire(request: rooms::Request) -> rooms::Request {
    let outgoing = request.encode(&SITE);
    let body = core::str::from_utf8(&outgoing.body).expect("text");
    let method = outgoing.method.as_str();
    let read = send(Listener::P2p, method, &outgoing.target, TYPE, body);
    assert_eq!(read.as_ref(), Ok(&request));
    read.unwrap_or(request)
}

const TYPE: Option<&str> = Some("application/json");

fn post(target: &str, body: &str) -> Result<rooms::Request, Reply> {
    send(Listener::Api, "POST", target, TYPE, body)
}

fn status(result: Result<rooms::Request, Reply>) -> u16 {
    result.map_or_else(|reply| reply.status.as_u16(), |_| 200)
}

#[test]
fn methods_that_a_path_lacks_are_named() {
    for (path, allow) in [
        ("/api/peers/list", "GET,HEAD"),
        ("/api/peers/relationships", "GET,HEAD,POST"),
        ("/api/peers/dm/messages", "GET,HEAD,POST"),
        ("/api/peers/contact-material", "POST"),
        ("/api/node/up", "POST"),
    ] {
        for method in ["PUT", "OPTIONS", "DELETE"] {
            let reply = send(Listener::Api, method, path, None, "").expect_err("no such method");
            assert_eq!(
                (reply.status.as_u16(), reply.allow),
                (405, Some(allow)),
                "{path}"
            );
            assert!(reply.body.is_empty());
        }
    }
}

#[test]
fn paths_are_spelled_in_one_way() {
    for path in [
        "/api",
        "/api/",
        "/api//peers/list",
        "/api/peers/list/",
        "/api/peers/list//",
        "/api/peers/%6Cist",
        "/api/peers%2Flist",
        "/api/Peers/list",
        "/API/peers/list",
        "/api/peers/list;x",
        "/api/peers/./list",
        "/api/peers",
        "/api/node",
        "//api/peers/list",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let found = status(send(Listener::Api, method, path, TYPE, "{}"));
            assert_eq!(found, 404, "{method} {path}");
        }
    }
}

#[test]
fn paths_belong_to_one_listener() {
    for path in ["/api/peers/list", "/api/node/status", "/api/peers/list/"] {
        let of = |listener| status(send(listener, "GET", path, None, ""));
        assert_eq!(of(Listener::P2p), 404, "{path}");
        assert_eq!(of(Listener::Api) == 200, !path.ends_with('/'), "{path}");
    }
    for path in ["/api/p2p/dm", "/api/p2p/relationship"] {
        assert_eq!(status(post(path, "{}")), 404);
        assert_eq!(status(send(Listener::P2p, "POST", path, TYPE, "{}")), 422);
    }
    assert_eq!(
        status(send(Listener::Api, "GET", "/api/nothing", None, "")),
        404
    );
}

#[test]
fn bodies_are_refused_by_what_is_wrong_with_them() {
    let act = "/api/peers/relationships";
    for (body, expected) in [
        (r#"{"remote_node_id":"a","action":"request"}"#, 200),
        (
            r#"{"remote_node_id":"a","action":"request","initiated_by":null,"x":1}"#,
            200,
        ),
        (
            r#"{"remote_node_id":"a","action":"request","agent_envelope":null}"#,
            200,
        ),
        (
            r#"{"remote_node_id":"a","action":"request","agent_envelope":{"protocol":""}}"#,
            200,
        ),
        ("", 400),
        ("{", 400),
        (r#"{"remote_node_id":"a","action":"request"} x"#, 400),
        ("[]", 422),
        ("null", 422),
        ("{}", 422),
        (r#"{"remote_node_id":1,"action":"request"}"#, 422),
        (r#"{"remote_node_id":"a","action":"Request"}"#, 422),
        (
            r#"{"remote_node_id":"a","action":"request","initiated_by":"peer"}"#,
            422,
        ),
        (
            r#"{"remote_node_id":"a","remote_node_id":"b","action":"request"}"#,
            422,
        ),
        (
            r#"{"remote_node_id":"a","action":"request","agent_envelope":{}}"#,
            422,
        ),
        (
            r#"{"remote_node_id":"a","action":"request","agent_envelope":"x"}"#,
            422,
        ),
        (
            r#"{"remote_node_id":"a","action":"request","agent_envelope":{"protocol":"p","message":1,"message_json":"1"}}"#,
            422,
        ),
    ] {
        let result = post(act, body);
        if let Err(reply) = &result {
            assert_eq!(reply.content_type, Some("application/json"));
            let text = core::str::from_utf8(&reply.body).expect("text");
            assert!(text.contains(r#""ok":false"#), "{text}");
        }
        assert_eq!(status(result), expected, "{body}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"remote_node_id":"a","content":{deep}}}"#);
    assert_eq!(status(post("/api/peers/dm/messages", &body)), 400);
    assert_eq!(
        status(post("/api/peers/dm/messages", r#"{"remote_node_id":"a"}"#)),
        422
    );
}

#[test]
fn content_nests_no_deeper_than_clients_read_where_it_is_shown() {
    let post = |levels: u32| {
        let levels = levels as usize;
        let deep = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let body = format!(r#"{{"remote_node_id":"a","content":{deep}}}"#);
        post("/api/peers/dm/messages", &body)
    };
    assert_eq!(status(post(AGENT_JSON_DEPTH_MAX)), 200);
    for levels in [AGENT_JSON_DEPTH_MAX + 1, 126] {
        let reply = post(levels).expect_err("too deep");
        assert_eq!(reply.status.as_u16(), 400);
        let text = core::str::from_utf8(&reply.body).expect("text");
        assert!(text.contains("more than 120 levels"), "{text}");
    }
}

#[test]
fn content_types_are_json_or_not() {
    let body = r#"{"remote_node_id":"a","action":"request"}"#;
    for (value, expected) in [
        (None, 415),
        (Some("text/plain"), 415),
        (Some("application/+json"), 415),
        (Some("application/json; charset=utf-8"), 200),
        (Some("Application/Vnd.x+JSON"), 200),
    ] {
        let sent = send(
            Listener::Api,
            "POST",
            "/api/peers/relationships",
            value,
            body,
        );
        assert_eq!(status(sent), expected, "{value:?}");
    }
}

#[test]
fn a_conversation_is_named_once() {
    let path = "/api/peers/dm/messages";
    let get = |query: &str| {
        status(send(
            Listener::Api,
            "GET",
            &format!("{path}{query}"),
            None,
            "",
        ))
    };
    assert_eq!(get(""), 400);
    assert_eq!(get("?thread_id=a&thread_id=b"), 400);
    assert_eq!(get("?thread_id="), 200);
    assert_eq!(get("?thread_id=dm:a&x=1"), 200);
    assert_eq!(get("?Thread_id=a"), 400);
    assert_eq!(get("?thread%5Fid=a&thread_id=b"), 400);
    let thread = |query: &str| {
        let target = format!("{path}?{query}");
        match send(Listener::Api, "GET", &target, None, "") {
            Ok(rooms::Request::Wattswarm(Request::Messages { thread })) => thread.to_string(),
            other => panic!("{other:?}"),
        }
    };
    for (query, expected) in [
        ("thread_id", ""),
        ("thread_id=", ""),
        ("&&thread_id=dm%3Aa&", "dm:a"),
        ("x=thread_id&thread%5fid=a+b%2Bc", "a b+c"),
        ("thread_id=a;thread_id=b=c", "a;thread_id=b=c"),
        ("thread_id=100%&x", "100%"),
        ("thread_id=%C3%A9%ff", "é\u{fffd}"),
    ] {
        assert_eq!(thread(query), expected, "{query}");
    }
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let raw: &RawValue =
        serde_json::from_str(r#"{"protocol":"p","message":{"a":1}}"#).expect("JSON");
    for request in [
        Request::Act(Act {
            remote: " \"a\" ".into(),
            action: Action::Block,
            by: Actor::System,
            envelope: Some(sent(raw)),
        }),
        Request::Send(Draft {
            remote: "b".into(),
            content: Json(r#"{"x": [1, 1.0]}"#.into()),
            envelope: None,
        }),
        Request::Messages {
            thread: "dm:a b&c=d%é".into(),
        },
        Request::Run(false),
        Request::List,
    ] {
        let outgoing = encode_request(&SITE, &request);
        let body = core::str::from_utf8(&outgoing.body).expect("text");
        let read = send(
            Listener::Api,
            outgoing.method.as_str(),
            &outgoing.target,
            TYPE,
            body,
        );
        assert_eq!(read.ok(), Some(request.into()));
    }
}
