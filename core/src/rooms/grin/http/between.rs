//! What nodes say to each other, both ways: consensus bytes in the bodies of `POST /grin/{chain}/…`.
//!
//! | path below the chain | body | answer |
//! |---|---|---|
//! | `announce` | a header | `{}` |
//! | `blocks` | hashes | a list of blocks |
//! | `headers` | hashes | a list of headers |
//! | `hello` | [`Hello`] as JSON | the same of the other node |
//! | `stem`, `transaction` | a transaction | `{}` |
//!
//! Hashes stand one behind the other. An item of a list stands behind its length, four bytes, the
//! highest first. Blocks and transactions stand behind a byte that tells their format: the second if
//! inputs tell what they spend, else the third. A failure is a status from 400 and a short text.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use peerage_mw::{Block, Chain, Hash, Header, Rules, Transaction};
use serde_json::Error;

use super::Says;
use crate::http::Outgoing;
use crate::limits::{
    GRIN_BLOCKS_MAX, GRIN_HEADERS_MAX, GRIN_HELLO_BYTES_MAX, GRIN_ITEM_BYTES_MAX, GRIN_LOCATOR_MAX,
    GRIN_TEXT_MAX,
};
use crate::rooms::grin::item;
use crate::rooms::grin::types::{Between, Hello, Response};

const HASH_BYTES: usize = 32;

impl Says {
    const ALL: [Self; 6] = [
        Self::Announce,
        Self::Blocks,
        Self::Headers,
        Self::Hello,
        Self::Stem,
        Self::Transaction,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Announce => "announce",
            Self::Blocks => "blocks",
            Self::Headers => "headers",
            Self::Hello => "hello",
            Self::Stem => "stem",
            Self::Transaction => "transaction",
        }
    }

    /// Bytes of a body that are read.
    pub(super) const fn body_max(self) -> usize {
        match self {
            Self::Announce | Self::Stem | Self::Transaction => GRIN_ITEM_BYTES_MAX,
            Self::Blocks => HASH_BYTES * GRIN_BLOCKS_MAX,
            Self::Headers => HASH_BYTES * GRIN_LOCATOR_MAX,
            Self::Hello => GRIN_HELLO_BYTES_MAX,
        }
    }
}

/// Where a path leads.
pub(super) fn find(path: &str) -> Option<(Chain, Says)> {
    let (chain, word) = path.strip_prefix("/grin/")?.split_once('/')?;
    let says = Says::ALL.into_iter().find(|says| says.word() == word)?;
    Some((chain.parse().ok()?, says))
}

/// Reads what another node says.
pub(super) fn read(chain: Chain, says: Says, body: &[u8]) -> Option<Between> {
    let rules = Rules::of(chain);
    let relay = |stem| {
        let transaction = Arc::new(item::read(&rules, body, Transaction::decode).ok()?);
        Some(Between::Relay { stem, transaction })
    };
    match says {
        Says::Announce => Header::decode(&rules, body).ok().map(Between::Announce),
        Says::Blocks => read_hashes(body, GRIN_BLOCKS_MAX).map(Between::Blocks),
        Says::Headers => read_hashes(body, GRIN_LOCATOR_MAX).map(Between::Headers),
        Says::Hello => read_hello(body).map(Between::Hello),
        Says::Stem => relay(true),
        Says::Transaction => relay(false),
    }
}

/// Writes what [`read`] reads.
pub(super) fn write(chain: Chain, between: &Between) -> Outgoing {
    let (says, body) = match between {
        Between::Announce(header) => (Says::Announce, header.encode().to_vec()),
        Between::Blocks(hashes) => (Says::Blocks, write_hashes(hashes)),
        Between::Headers(hashes) => (Says::Headers, write_hashes(hashes)),
        Between::Hello(hello) => {
            let body = serde_json::to_vec(hello.as_ref());
            (Says::Hello, body.expect("texts and numbers are JSON"))
        }
        Between::Relay { stem, transaction } => {
            let says = if *stem { Says::Stem } else { Says::Transaction };
            let body = item::write(|format| transaction.encode(format));
            (says, body)
        }
    };
    Outgoing {
        method: Method::POST,
        target: format!("/grin/{}/{}", chain.name(), says.word()),
        // There is a body; nobody looks at what it is called.
        json: true,
        body: body.into(),
    }
}

/// Reads what another node answers.
pub(super) fn read_answer(
    chain: Chain,
    asked: &Between,
    status: u16,
    body: &Bytes,
) -> Option<Response> {
    match status {
        200 => {}
        401 if body.is_empty() => return Some(Response::Unauthorized),
        404 if body.is_empty() => return Some(Response::NotFound),
        400.. if body.len() <= GRIN_TEXT_MAX => {
            let text = core::str::from_utf8(body).ok()?;
            return Some(Response::Failed(status, text.into()));
        }
        _ => return None,
    }
    let rules = Rules::of(chain);
    match asked {
        Between::Announce(_) | Between::Relay { .. } => {
            (body.as_ref() == b"{}").then_some(Response::Done)
        }
        Between::Blocks(_) => {
            let item = |bytes: &[u8]| item::read(&rules, bytes, Block::decode).ok();
            read_list(body, GRIN_BLOCKS_MAX, item).map(Response::Blocks)
        }
        Between::Headers(_) => {
            let item = |bytes: &[u8]| Header::decode(&rules, bytes).ok();
            read_list(body, GRIN_HEADERS_MAX, item).map(Response::Headers)
        }
        Between::Hello(_) => read_hello(body).map(Response::Hello),
    }
}

/// Writes blocks for another node.
pub(super) fn write_blocks(blocks: &[Block]) -> Vec<u8> {
    write_list(
        blocks
            .iter()
            .map(|block| item::write(|format| block.encode(format))),
    )
}

/// Writes headers for another node.
pub(super) fn write_headers(headers: &[Header]) -> Vec<u8> {
    write_list(headers.iter().map(|header| header.encode().to_vec()))
}

fn read_hashes(body: &[u8], max: usize) -> Option<Arc<[Hash]>> {
    let (hashes, rest) = body.as_chunks();
    let fits = rest.is_empty() && hashes.len() <= max;
    fits.then(|| hashes.iter().copied().map(Hash).collect())
}

fn write_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn read_hello(body: &[u8]) -> Option<Arc<Hello>> {
    let hello: Result<Hello, Error> = serde_json::from_slice(body);
    let hello = hello.ok()?;
    let texts = [
        &hello.genesis,
        &hello.address,
        &hello.user_agent,
        &hello.tip,
    ];
    let short = texts.iter().all(|text| text.len() <= GRIN_TEXT_MAX);
    short.then(|| Arc::new(hello))
}

fn read_list<T>(
    mut body: &[u8],
    max: usize,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Option<Arc<[T]>> {
    let mut items = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if items.len() >= max || length > GRIN_ITEM_BYTES_MAX {
            return None;
        }
        let (item, rest) = rest.split_at_checked(length)?;
        items.push(read(item)?);
        body = rest;
    }
    Some(items.into())
}

fn write_list(items: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut body = Vec::new();
    for item in items {
        let length = u32::try_from(item.len()).expect("a block has less than 4 GiB");
        body.extend(length.to_be_bytes());
        body.extend(item);
    }
    body
}
