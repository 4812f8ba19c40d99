//! Every bound of this crate, in one place.

/// Range proofs checked by one call into the curve's library. A proof costs 2.3 ms alone and 0.4 ms in
/// a batch of a hundred; past sixty-four little is gained and a false one costs more to find.
pub const BATCH_PROOFS_MAX: usize = 64;

/// Kernel signatures checked by one call: 91 µs alone, 45 µs in a batch of a hundred.
pub const BATCH_SIGNATURES_MAX: usize = 256;

/// Headers that the next difficulty looks back on: an hour of blocks and the one before it.
pub const DIFFICULTY_WINDOW: usize = 61;

/// Blocks in a chain file: 100,000 of them are more than two months at a block a minute.
pub const CHAIN_FILE_BLOCKS_MAX: usize = 100_000;

/// Bytes of one encoded block in a chain file. The heaviest block of a test chain has 11 outputs.
pub const CHAIN_FILE_BLOCK_BYTES_MAX: usize = 64 * 1024;

/// Hashes in a Merkle proof: a range of 2^64 leaves has 64 levels and at most 64 peaks.
pub const MERKLE_PATH_MAX: usize = 128;

/// Outputs of one block, as its remains tell: the heaviest block of a test chain has eleven.
pub const REMAINS_OUTPUTS_MAX: usize = 64;

/// Relative locks reach back at most a week of blocks; older ones need not be remembered.
pub const RELATIVE_LOCK_BLOCKS_MAX: u64 = 10_080;

const _: () = assert!(BATCH_PROOFS_MAX > 0 && BATCH_SIGNATURES_MAX > 0);
const _: () = assert!(DIFFICULTY_WINDOW as u64 == grin_core::consensus::DMA_WINDOW + 1);
const _: () = assert!(RELATIVE_LOCK_BLOCKS_MAX == grin_core::consensus::WEEK_HEIGHT);
