//! Ways to spoil a block. Its proof of work is found anew, so that the rest is looked at.

use grin_core::core::transaction::{CommitWrapper, FeeFields, Input, KernelFeatures};
use grin_core::core::{self as grin, HeaderVersion, Inputs, OutputFeatures};
use grin_core::pow::{self, Difficulty};
use grin_core::{global, ser};
use grin_keychain::BlindingFactor;
use peerage_mw::{Block, ChainState, Format};

use super::both::real_block;
use super::lives::Luck;

/// Another block, as bytes, and how it was spoilt.
pub(crate) fn spoil(block: &Block, state: &ChainState, luck: &mut Luck) -> (String, Vec<u8>) {
    let bytes = block.encode(Format::V3).expect("always");
    let mut spoilt = real_block(state.rules().chain, &bytes).expect("a block");
    let way = luck.below(26);
    let at = luck.next() as usize;
    match way {
        0..=12 => spoil_header(&mut spoilt, way, luck),
        _ => spoil_body(&mut spoilt, way, at, state),
    }
    // A spoilt header is mined anew but for one way in a while.
    if !luck.one_in(20) {
        mine(&mut spoilt.header, state);
    }
    let bytes = ser::ser_vec(&spoilt, ser::ProtocolVersion(3)).expect("written");
    (format!("way {way} at {at}"), bytes)
}

fn mine(header: &mut grin::BlockHeader, state: &ChainState) {
    let before = state.tip().total_difficulty();
    let claimed = header.total_difficulty().to_num().saturating_sub(before);
    // Nobody mines forever for what is wrong anyway.
    let difficulty = Difficulty::from_num(claimed.clamp(1, 200));
    header.pow.nonce = 0;
    let (size, edges) = (global::proofsize(), global::min_edge_bits());
    pow::pow_size(header, difficulty, size, edges).expect("a cycle");
}

fn spoil_header(block: &mut grin::Block, way: usize, luck: &mut Luck) {
    let header = &mut block.header;
    let flip = |hash: &mut grin::hash::Hash, luck: &mut Luck| {
        let mut bytes = hash.to_vec();
        bytes[luck.below(32)] ^= 1;
        *hash = grin::hash::Hash::from_vec(&bytes);
    };
    match way {
        0 => header.version = HeaderVersion(header.version.0 ^ 1),
        1 => header.height += 1,
        2 => flip(&mut header.prev_hash, luck),
        3 => flip(&mut header.prev_root, luck),
        4 => flip(&mut header.output_root, luck),
        5 => flip(&mut header.range_proof_root, luck),
        6 => flip(&mut header.kernel_root, luck),
        7 => header.output_mmr_size += luck.next() % 3,
        8 => header.kernel_mmr_size = header.kernel_mmr_size.wrapping_sub(luck.next() % 3),
        9 => header.total_kernel_offset = BlindingFactor::from_slice(&[luck.below(3) as u8; 32]),
        10 => {
            let more = header.total_difficulty().to_num() + luck.next() % 3 - 1;
            header.pow.total_difficulty = Difficulty::from_num(more);
        }
        11 => header.pow.secondary_scaling = luck.below(3) as u32,
        // Later than it was is fine, as far as the difficulty goes.
        _ => header.timestamp += core::time::Duration::from_secs(luck.next() % 2 * 7),
    }
}

fn spoil_body(block: &mut grin::Block, way: usize, at: usize, state: &ChainState) {
    let body = &mut block.body;
    let (output, kernel) = (at % body.outputs.len(), at % body.kernels.len());
    let mut inputs: Vec<CommitWrapper> = (&body.inputs).into();
    match way {
        13 => drop(body.outputs.remove(output)),
        14 => drop(body.kernels.remove(kernel)),
        15 => body.outputs.push(body.outputs[output]),
        16 => body.kernels.push(body.kernels[kernel]),
        17 => {
            let features = &mut body.outputs[output].identifier.features;
            *features = match features {
                OutputFeatures::Plain => OutputFeatures::Coinbase,
                OutputFeatures::Coinbase => OutputFeatures::Plain,
            };
        }
        18 => {
            let last = body.outputs.len() - 1;
            body.outputs[output].proof = body.outputs[last].proof;
        }
        19 => body.outputs[output].proof.proof[at % 675] ^= 1,
        20 => {
            let first = body.kernels[0].excess_sig;
            body.kernels[kernel].excess_sig = first;
        }
        21 => {
            let fee = FeeFields::from(7u32);
            body.kernels[kernel].features = KernelFeatures::Plain { fee };
        }
        22 => {
            let unspent: Vec<_> = state.unspent_from(0).collect();
            if let Some(more) = unspent.get(at % unspent.len().max(1)) {
                let commitment = more.output.commitment();
                inputs.push(Input::new(OutputFeatures::Plain, commitment.into()).into());
            }
        }
        23 => drop(inputs.pop()),
        24 => body.outputs[output].identifier.commit.0[at % 33] ^= 1,
        _ => body.kernels[kernel].excess.0[at % 33] ^= 1,
    }
    inputs.sort_unstable();
    body.inputs = Inputs::from(inputs.as_slice());
    body.sort();
}
