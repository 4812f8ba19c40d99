//! Forms of text: hosts, ids, versions, hashes.

use peerage_core::base64url;
use peerage_core::commons::address::{HostAddr, HostKind, PeerInfo};
use peerage_core::commons::network::{ChainwebVersion, NetworkId};
use peerage_core::ids::Fingerprint;
use peerage_core::rooms::chainweb_mempool::command::hash_cmd;
use peerage_tests::vectors::text;
use peerage_tests::{Bench, Peer};
use serde_json::Value;

use super::{ensure, replay, same};

#[test]
fn texts_of_base64url() {
    let mut bench = Bench::new();
    replay("base64url", |case| {
        let body = serde_json::json!([text(case, "text")]).to_string();
        let member = "/chainweb/0.0/development/chain/0/mempool/member";
        let answer = bench.fetch_json("POST", member, &body);
        let Some(hex) = case["bytes_hex"].as_str() else {
            same("status", answer.status, 400)?;
            same("content type", answer.header("content-type"), None)?;
            let start = "Error in $[0]: Base64DecodeException \"";
            ensure(answer.text().starts_with(start), answer.text())?;
            return match case["real_error"].as_str() {
                Some(error) => ensure(answer.text().contains(error), answer.text()),
                None => Ok(()),
            };
        };
        let bytes = base64url::decode(text(case, "text")).map_err(|error| error.to_string())?;
        let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        same("bytes", found.as_str(), hex)?;
        if bytes.len() < 8 {
            same("status", answer.status, 400)?;
            same(
                "content type",
                answer.header("content-type"),
                Some("text/plain;charset=utf-8"),
            )?;
            ensure(answer.text().starts_with("not enough bytes"), answer.text())
        } else {
            same("answer", answer.text(), "[false]")
        }
    });
}

#[test]
fn hashes_of_commands() {
    replay("command_hashes", |case| {
        same(
            "hash",
            hash_cmd(text(case, "cmd")).to_string().as_str(),
            text(case, "hash"),
        )
    });
}

#[test]
fn texts_of_addresses() {
    replay("host_addresses", |case| {
        match (text(case, "text").parse::<HostAddr>(), case["ok"] == true) {
            (Ok(addr), true) => {
                let kind = match addr.host.kind() {
                    HostKind::Name => "name",
                    HostKind::Ipv4(_) => "ipv4",
                    HostKind::Ipv6(_) => "ipv6",
                };
                same("kind", kind, text(case, "kind"))?;
                same("host", addr.host.as_str(), text(case, "hostname"))?;
                same("port", Some(addr.port.into()), case["port"].as_u64())
            }
            (Err(_), false) => Ok(()),
            (read, _) => Err(format!("{read:?}")),
        }
    });
}

#[test]
fn names_of_networks() {
    let mut bench = Bench::new();
    replay("network_ids", |case| {
        let name = text(case, "text");
        let served = case["peer_endpoint_served"] == true;
        // `chain/N` is a name in the original that leads nowhere; here it is none.
        same("reads", name.parse::<NetworkId>().is_ok(), served)?;
        let path = format!("GET /chainweb/0.0/development/{name}/peer HTTP/1.1\r\n\r\n");
        same("served", bench.fetch(path).status == 200, served)
    });
}

#[test]
fn peer_ids_of_certificates() {
    replay("peer_ids", |case| {
        let pem: String = text(case, "certificate_pem")
            .lines()
            .skip(1)
            .take_while(|line| !line.starts_with('-'))
            .collect();
        let der = base64url::decode(&pem.replace('+', "-").replace('/', "_"))
            .map_err(|error| error.to_string())?;
        let id = Fingerprint::of_certificate(&der);
        same("id", id.to_string().as_str(), text(case, "peer_id"))
    });
}

#[test]
fn chains_of_versions() {
    replay("versions", |case| {
        let name = text(case, "version");
        let version: ChainwebVersion = name.parse().map_err(|_| "unknown")?;
        same("code", Some(version.code().into()), case["code"].as_u64())?;
        same(
            "validation",
            version.peer_validation(),
            case["peer_validation"] == true,
        )?;
        let mut bench = Bench::with(|config| config.network = version);
        let mut status = |segment: &str| {
            let path = format!("/chainweb/0.0/{name}/chain/{segment}/mempool/peer");
            bench.fetch(format!("GET {path} HTTP/1.1\r\n\r\n")).status
        };
        let ids: Vec<&str> = case["chain_ids"]
            .as_array()
            .ok_or("no ids")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for id in &ids {
            same(id, status(id), 200)?;
        }
        for id in ["20", "00", "01", "-1", "1.0", "", "x", "%20", "+1", "100"] {
            same(id, status(id), 404)?;
        }
        same("percent-encoded", status("%31%39"), 200)?;
        for other in [
            "development",
            "mainnet01",
            "recap-development",
            "testnet04",
            "testnet05",
        ] {
            let path = format!("GET /chainweb/0.0/{other}/cut/peer HTTP/1.1\r\n\r\n");
            let expected = if other == name { 200 } else { 404 };
            same(other, bench.fetch(path).status, expected)?;
        }
        Ok(())
    });
}

#[test]
fn hosts_of_peers() {
    replay("hostnames", |case| {
        let name = text(case, "hostname");
        let body = serde_json::json!({"id": null, "address": {"hostname": name, "port": 1}});
        let mut bench = Bench::new();
        bench.everyone_else(Peer::of_version("2.32.0"));
        let put = bench.fetch_json(
            "PUT",
            "/chainweb/0.0/development/cut/peer",
            &body.to_string(),
        );
        if case["kind"].is_null() {
            same("status", put.status, 400)?;
            let start = "Error in $.address.hostname: ";
            return ensure(put.text().starts_with(start), put.text());
        }
        same("status", put.status, 204)?;
        let page = bench
            .fetch("GET /chainweb/0.0/development/cut/peer HTTP/1.1\r\n\r\n")
            .json();
        same(
            "listed",
            page["items"][0]["address"]["hostname"].as_str(),
            Some(name),
        )
    });
}

#[test]
fn infos_of_peers() {
    replay("peer_info", |case| {
        let mut bench = Bench::new();
        bench.everyone_else(Peer::of_version("2.32.0"));
        let target = "/chainweb/0.0/development/cut/peer";
        let put = bench.fetch_json("PUT", target, text(case, "json"));
        if case["ok"] == false {
            same("status", put.status, 400)?;
            same("content type", put.header("content-type"), None)?;
            let suffix = case["real_error_suffix"].as_str().unwrap_or("");
            return ensure(put.text().ends_with(suffix), put.text());
        }
        same("status", put.status, 204)?;
        let page = bench.fetch(format!("GET {target} HTTP/1.1\r\n\r\n"));
        let canonical = text(case, "canonical");
        let expected = format!("{{\"limit\":1,\"items\":[{canonical}],\"next\":null}}");
        same("page", page.text(), expected.as_str())?;
        match text(case, "text").parse::<PeerInfo>() {
            Ok(info) => {
                let mut json = Vec::new();
                info.write_json(&mut json);
                same("json of the text", json.as_slice(), canonical.as_bytes())?;
                same("text", info.to_string().as_str(), text(case, "text"))
            }
            Err(error) => Err(error.to_string()),
        }
    });
}
