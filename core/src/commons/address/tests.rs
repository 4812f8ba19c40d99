//! Hosts, addresses and peers as text, by the vectors and at the edges.

use serde_json::Value;

use super::*;
use crate::lookup::Lookup;

/// Vector cases in which we differ from the original on purpose.
const OVERRIDES: &[(&str, &str)] = &[
    (
        "addr-8",
        "bracketed IPv6 is read: the original cannot read what it prints",
    ),
    (
        "host-20",
        "an octet with a leading zero is refused: the original takes it and then fails with 500",
    ),
];

fn cases(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).expect("vectors are JSON");
    file["cases"].as_array().expect("cases").clone()
}

fn is_override(case: &Value) -> bool {
    OVERRIDES.iter().any(|(id, _)| case["id"] == *id)
}

fn kind_name(host: &Hostname) -> &'static str {
    match host.kind() {
        HostKind::Name => "name",
        HostKind::Ipv4(_) => "ipv4",
        HostKind::Ipv6(_) => "ipv6",
    }
}

#[test]
fn host_names_match_the_vectors() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/hostnames.json"
    )) {
        let host = Hostname::new(case["hostname"].as_str().expect("text"));
        let kind = host.ok().map(|host| kind_name(&host));
        let expected = if is_override(&case) {
            None
        } else {
            case["kind"].as_str()
        };
        assert_eq!(kind, expected, "{}", case["id"]);
    }
}

#[test]
fn host_addresses_match_the_vectors() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/host_addresses.json"
    )) {
        let id = &case["id"];
        let text = case["text"].as_str().expect("text");
        let addr = text.parse::<HostAddr>();
        if is_override(&case) {
            assert_eq!(addr.expect("override").to_string(), text, "{id}");
            continue;
        }
        assert_eq!(addr.is_ok(), case["ok"] == true, "{id}");
        let Ok(addr) = addr else { continue };
        assert_eq!(kind_name(&addr.host), case["kind"], "{id}");
        assert_eq!(addr.host.as_str(), case["hostname"], "{id}");
        assert_eq!(u64::from(addr.port), case["port"], "{id}");
    }
}

#[test]
fn reserved_hosts_match_the_vectors() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/reserved_hosts.json"
    )) {
        let host = Hostname::new(case["hostname"].as_str().expect("text")).expect("a host");
        assert_eq!(
            is_reserved(&host),
            case["reserved"] == true,
            "{}",
            case["id"]
        );
    }
    let check = |text: &str| is_reserved(&Hostname::new(text).expect("a host"));
    for reserved in [
        "LocalHost",
        "::1",
        "192.169.0.1",
        "192.0.2.1",
        "255.255.255.255",
        "192.88.99.1",
    ] {
        assert!(check(reserved), "{reserved}");
    }
    for open in [
        "::2",
        "198.18.0.1",
        "192.170.0.1",
        "223.255.255.255",
        "172.32.0.1",
        "100.128.0.1",
    ] {
        assert!(!check(open), "{open}");
    }
}

/// Reads a case's JSON with a general reader, so that only the parts of this module are tested.
fn read_peer(json: &str) -> Option<PeerInfo> {
    let json: Value = serde_json::from_str(json).ok()?;
    let id = match json.get("id")? {
        Value::Null => None,
        Value::String(id) => Some(id.parse().ok()?),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let address = json.get("address")?;
    let host = Hostname::new(address.get("hostname")?.as_str()?).ok()?;
    let port = address
        .get("port")?
        .as_f64()
        .filter(|port| port.fract() == 0.0)?;
    if !(0.0..=65535.0).contains(&port) {
        return None;
    }
    Some(PeerInfo::new(id, HostAddr::new(host, port as u16)))
}

#[test]
fn peer_infos_match_the_vectors() {
    for case in cases(include_str!(
        "../../../../tests/vectors/chainweb/peer_info.json"
    )) {
        let id = &case["id"];
        let peer = read_peer(case["json"].as_str().expect("json"));
        assert_eq!(peer.is_some(), case["ok"] == true, "{id}");
        let Some(peer) = peer else { continue };
        let mut json = Vec::new();
        peer.write_json(&mut json);
        assert_eq!(
            std::str::from_utf8(&json).expect("text"),
            case["canonical"],
            "{id}"
        );
        assert_eq!(peer.to_string(), case["text"], "{id}");
        assert_eq!(peer.to_string().parse(), Ok(peer), "{id}");
    }
}

#[test]
fn comparison_ignores_case_and_keeps_the_spelling() {
    let (a, b) = (
        Hostname::new("A.Example").expect("name"),
        Hostname::new("a.eXAMPLE").expect("name"),
    );
    assert_eq!(a, b);
    assert_eq!(a.cmp(&b), Ordering::Equal);
    let mut hosts = Lookup::new(1);
    hosts.insert(a.clone(), ());
    assert!(hosts.contains(&b));
    assert_eq!(a.as_str(), "A.Example");
    assert_eq!(a.clone().as_str(), "A.Example");
    let other = Hostname::new("a.examplf").expect("name");
    assert_ne!(a, other);
    assert!(a < other);
    assert!(!hosts.contains(&other));
}

#[test]
fn groups_of_ipv6_follow_the_original() {
    let check = |text: &str| Hostname::new(text).ok().map(|host| host.kind());
    assert_eq!(check("1::ffff"), None);
    assert_eq!(
        check("1::0fffe"),
        Some(HostKind::Ipv6(Ipv6Addr::new(1, 0, 0, 0, 0, 0, 0, 0xfffe)))
    );
    assert_eq!(check("1::10000000000000000"), None);
    for bad in [
        "1:2:3:4:5:6:7::8",
        "1:::2",
        ":1::2",
        "1::2:",
        "::g",
        "::1%1",
        "::1.2.3.4",
        "fe80::1",
    ] {
        assert_eq!(check(bad), None, "{bad}");
    }
    assert!(check("1:2:3:4:5:6:7::").is_some());
    assert!(check("1a::").is_some());
}

#[test]
fn brackets_take_any_ipv6_address() {
    let parse = |text: &str| text.parse::<HostAddr>();
    for text in [
        "[fe80::1]:1",
        "[::ffff]:1",
        "[::ffff:127.0.0.1]:1",
        "[00000001::]:0",
    ] {
        assert_eq!(parse(text).expect("an address").to_string(), text);
    }
    let mapped = parse("[::ffff:127.0.0.1]:1").expect("an address");
    assert_eq!(mapped.ip(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert!(mapped.is_loopback());
    assert!(!parse("[fe80::1]:1").expect("an address").host.is_stock());
    assert_eq!(parse("[1.2.3.4]:1"), Err(AddressError::HostMalformed));
    assert_eq!(parse("[a.b]:1"), Err(AddressError::HostMalformed));
    assert_eq!(parse("[::1]"), Err(AddressError::HostMalformed));
    assert_eq!(parse("[::1]x:1"), Err(AddressError::HostMalformed));
}

#[test]
fn malformed_addresses_say_what_is_wrong() {
    let check = |text: &str, error| assert_eq!(text.parse::<PeerInfo>(), Err(error), "{text}");
    check("localhost", AddressError::PortMissing);
    check("localhost:+1", AddressError::PortMalformed);
    check("localhost:65536", AddressError::PortMalformed);
    check("", AddressError::PortMissing);
    check(":1", AddressError::HostMalformed);
    check("1.2.03.4:1", AddressError::LeadingZero);
    check(
        "AAAA@a.b:1",
        AddressError::IdMalformed(IdError::WrongLength { got: 3 }),
    );
    check("bücher.example:1", AddressError::HostMalformed);
    check(
        &format!("{}:1", "a".repeat(HOSTNAME_BYTES_MAX + 1)),
        AddressError::HostTooLong,
    );
    assert!(Hostname::new(&"a".repeat(HOSTNAME_BYTES_MAX)).is_ok());
}

#[test]
fn socket_addresses_become_host_addresses() {
    let from = |text: &str| HostAddr::from(text.parse::<SocketAddr>().expect("an address"));
    assert_eq!(from("127.0.0.1:80").to_string(), "127.0.0.1:80");
    assert_eq!(from("[::ffff:1.2.3.4]:80").to_string(), "1.2.3.4:80");
    assert_eq!(from("[fe80::1]:80").to_string(), "[fe80::1]:80");
    assert!(from("[::1]:80").is_loopback());
    assert!(
        "LOCALHOST:1"
            .parse::<HostAddr>()
            .expect("an address")
            .is_loopback()
    );
    assert!(!from("8.8.8.8:80").is_loopback());
}

#[test]
fn ports_are_written_in_decimal() {
    for port in [0, 9, 10, 443, 1789, u16::MAX] {
        let mut out = Vec::new();
        write_port(port, &mut out);
        assert_eq!(out, port.to_string().into_bytes());
    }
}

#[test]
fn random_texts_never_panic_and_round_trip_if_read() {
    const ALPHABET: &[&str] = &[
        "a", "Z", "f", "0", "1", "9", ".", "-", ":", "::", "[", "]", "@", "%", "é", "",
    ];
    let mut state = 7_u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut read = 0;
    for _ in 0..50_000 {
        let len = draw(12);
        let text: String = (0..len).map(|_| ALPHABET[draw(ALPHABET.len())]).collect();
        if let Ok(host) = Hostname::new(&text) {
            assert!(host.is_stock(), "{text}");
            let addr = HostAddr::new(host, 1);
            assert_eq!(addr.to_string().parse(), Ok(addr), "{text}");
            read += 1;
        }
        if let Ok(peer) = text.parse::<PeerInfo>() {
            assert_eq!(peer.to_string().parse(), Ok(peer), "{text}");
            read += 1;
        }
    }
    assert!(read > 1_000, "{read} texts were read");
}
