//! Chains as files: JSON with the blocks in order, each in the third format as hexadecimal digits.
//!
//! ```json
//! { "chain_type": "AutomatedTesting",
//!   "blocks": [ { "height": 0, "hash": "e3b9…", "hex_v3": "0001…" }, … ] }
//! ```
//!
//! Reading ignores other fields. A file is decoded, not judged: blocks go the way of any others.

use serde::{Deserialize, Serialize};

use crate::block::Block;
use crate::decode::{DecodeError, Format};
use crate::ids::{self, Hash};
use crate::limits;
use crate::rules::{Chain, Rules};

#[derive(Deserialize, Serialize)]
struct File {
    chain_type: String,
    blocks: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    height: u64,
    hash: String,
    hex_v3: String,
}

/// Why a file is not a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFileError {
    /// A block's bytes are none.
    #[error("block {at}: {error}")]
    Block {
        /// Its place in the file, from 0.
        at: usize,
        /// What is wrong.
        error: DecodeError,
    },
    /// It is for another chain.
    #[error("the file is for {found}, the node is on {expected}")]
    Chain {
        /// What the file says.
        found: String,
        /// What the rules say.
        expected: &'static str,
    },
    /// A block's hash or height is not what the file says.
    #[error("block {at}: its hash or height is not what the file says")]
    Differs {
        /// Its place in the file, from 0.
        at: usize,
    },
    /// Not hexadecimal, or longer than a block can be.
    #[error("block {at}: not the digits of a block")]
    Digits {
        /// Its place in the file, from 0.
        at: usize,
    },
    /// No such JSON.
    #[error("{0}")]
    Json(String),
    /// More blocks than [`limits::CHAIN_FILE_BLOCKS_MAX`].
    #[error("{0} blocks are too many")]
    TooMany(usize),
}

/// Reads the blocks of a chain file.
pub fn read(rules: &Rules, text: &[u8]) -> Result<Vec<Block>, ChainFileError> {
    let file: File =
        serde_json::from_slice(text).map_err(|error| ChainFileError::Json(error.to_string()))?;
    if file.chain_type.parse::<Chain>().ok() != Some(rules.chain) {
        return Err(ChainFileError::Chain {
            found: file.chain_type,
            expected: rules.chain.name(),
        });
    }
    if file.blocks.len() > limits::CHAIN_FILE_BLOCKS_MAX {
        return Err(ChainFileError::TooMany(file.blocks.len()));
    }
    let entries = file.blocks.iter().enumerate();
    entries
        .map(|(at, entry)| read_entry(rules, at, entry))
        .collect()
}

fn read_entry(rules: &Rules, at: usize, entry: &Entry) -> Result<Block, ChainFileError> {
    let short = entry.hex_v3.len() <= 2 * limits::CHAIN_FILE_BLOCK_BYTES_MAX;
    let bytes = short.then(|| ids::read_hex_vec(&entry.hex_v3)).flatten();
    let bytes = bytes.ok_or(ChainFileError::Digits { at })?;
    let block = Block::decode(rules, Format::V3, &bytes);
    let block = block.map_err(|error| ChainFileError::Block { at, error })?;
    let named = Hash::from_hex(&entry.hash) == Some(block.hash());
    if !named || entry.height != block.header().height() {
        return Err(ChainFileError::Differs { at });
    }
    Ok(block)
}

/// Writes blocks as a chain file.
///
/// # Panics
///
/// Never: blocks have a third format, and texts are JSON.
#[must_use]
pub fn write(rules: &Rules, blocks: &[Block]) -> String {
    let entry = |block: &Block| Entry {
        height: block.header().height(),
        hash: block.hash().to_string(),
        hex_v3: ids::hex(
            &block
                .encode(Format::V3)
                .expect("every block has a third format"),
        ),
    };
    let file = File {
        chain_type: rules.chain.name().to_owned(),
        blocks: blocks.iter().map(entry).collect(),
    };
    serde_json::to_string_pretty(&file).expect("texts and numbers are JSON")
}
