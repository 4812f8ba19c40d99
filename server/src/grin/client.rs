//! Asks a node's API, one connection a question.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use peerage_core::Secret;
use peerage_core::mw::{Format, Transaction};
use serde::de::DeserializeOwned;

use crate::values::NodeUrl;

/// How long a node may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// A page of a thousand outputs takes less than two million bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A node's API.
pub(super) struct Api {
    host: String,
    /// The line of the header, or nothing.
    authorization: String,
}

/// The secret in a file: its first line, as stock nodes take it.
pub(crate) fn secret_of(file: &Path) -> Result<Secret> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the secret file {}", file.display()))?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() {
        bail!(
            "the first line of the secret file {} is empty",
            file.display()
        );
    }
    Ok(Secret(secret.to_owned()))
}

impl Api {
    pub(super) fn new(node: &NodeUrl, secret: Option<&Secret>) -> Self {
        let authorization = secret.map_or_else(String::new, |secret| {
            let basic = STANDARD.encode(format!("grin:{}", secret.0));
            format!("authorization: Basic {basic}\r\n")
        });
        Self {
            host: node.0.clone(),
            authorization,
        }
    }

    /// What a GET answers, as JSON.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let (status, body) = self.ask("GET", path, "")?;
        if status != 200 {
            return Err(self.refused(path, status, &body));
        }
        let read = serde_json::from_str(&body);
        read.with_context(|| format!("what {} answers to {path} is not understood", self.host))
    }

    /// Hands a transaction over. Tells whether the pool takes it; why it does not, the node tells its log
    /// alone.
    pub(super) fn push(&self, transaction: &Transaction, fluff: bool) -> Result<bool> {
        let bytes = transaction.encode(Format::V1);
        let bytes = bytes.context("a wallet knows the kinds of its inputs")?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = match fluff {
            true => "/v1/pool/push_tx?fluff",
            false => "/v1/pool/push_tx",
        };
        let body = serde_json::json!({ "tx_hex": digits }).to_string();
        let (status, said) = self.ask("POST", path, &body)?;
        match status {
            200 => Ok(true),
            500 => Ok(false),
            _ => Err(self.refused(path, status, &said)),
        }
    }

    fn refused(&self, path: &str, status: u16, body: &str) -> anyhow::Error {
        let hint = match status {
            401 => "; name its secret with --api-secret-file",
            _ => "",
        };
        let said = body.lines().next().unwrap_or_default();
        anyhow!("{} answers {status} to {path}: {said}{hint}", self.host)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let host = &self.host;
        let asked = self.converse(method, path, body);
        let answer = asked.with_context(|| format!("cannot ask {host}; does a node run there?"))?;
        parse(&answer).with_context(|| format!("{host} does not speak HTTP"))
    }

    fn converse(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let addr = self.host.to_socket_addrs()?.next();
        let addr = addr.context("the name has no address")?;
        let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}content-length: {}\r\n\
             content-type: application/json\r\nconnection: close\r\n\r\n{body}",
            self.host,
            self.authorization,
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(String::from_utf8(answer)?)
    }
}

/// Status and body of an answer that ended with its connection.
fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let rest = head.strip_prefix("HTTP/1.1 ")?;
    let status = rest.get(..3)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_nothing_else() {
        let read = |text: &str| parse(text);
        let body = Some((500, "failed: x".to_owned()));
        assert_eq!(read("HTTP/1.1 500 Oh\r\nx: y\r\n\r\nfailed: x"), body);
        assert_eq!(read("SSH-2.0\r\n\r\n"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(read("HTTP/1.1\r\n\r\n"), None);
    }
}
