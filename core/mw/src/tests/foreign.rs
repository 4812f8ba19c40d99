//! Bytes of strangers: whatever they are, nothing panics, and what decodes encodes again.

use super::*;
use crate::{Header, Transaction};

/// A small generator, so that a failure repeats.
struct Luck(u64);

impl Luck {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const FORMATS: [Format; 3] = [Format::V1, Format::V2, Format::V3];

/// Reads bytes as everything, and does with what was read whatever a node would.
fn digest(bytes: &[u8], state: &mut ChainState) {
    let mut jobs = Vec::new();
    if let Ok(header) = Header::decode(&RULES, bytes) {
        let again = Header::decode(&RULES, header.encode()).expect("as written");
        assert_eq!(again, header);
        let _ = state.check_header(&header, TODAY);
        jobs.push(Job::Header(header));
    }
    for format in FORMATS {
        if let Ok(block) = Block::decode(&RULES, format, bytes) {
            let written = block.encode(Format::V3).expect("always");
            let again = Block::decode(&RULES, Format::V3, &written).expect("as written");
            assert_eq!(again.digest(), block.digest());
            let _ = (format!("{block:?}"), block.fees(), block.weight());
            if let Ok(applied) = state.apply(&block) {
                state.undo(applied);
            }
            let previous_offset = state.tip().total_kernel_offset();
            jobs.push(Job::Block {
                block,
                previous_offset,
            });
        }
        if let Ok(transaction) = Transaction::decode(&RULES, format, bytes) {
            let written = transaction.encode(Format::V3).expect("always");
            let again = Transaction::decode(&RULES, Format::V3, &written).expect("as written");
            assert_eq!(again.digest(), transaction.digest());
            let _ = (transaction.hash(), transaction.pays(RULES.fee));
            let _ = state.check_transaction(&transaction);
            jobs.push(Job::Transaction(transaction));
        }
    }
    let verdicts = check(&mut Verifier::new(RULES), &jobs);
    assert_eq!(verdicts.len(), jobs.len());
}

/// The last blocks of the chain, and each recorded transaction in each format.
fn samples() -> Vec<Vec<u8>> {
    let recorded = vectors("transactions");
    let entries = list(&recorded["transactions"]).iter();
    let fields = ["hex_v1", "hex_v2", "hex_v3"];
    let mut samples: Vec<_> = entries
        .take(3)
        .flat_map(|entry| fields.map(|field| bytes(&entry[field])))
        .collect();
    let invalid = vectors("invalid_blocks");
    samples.push(bytes(&invalid["valid_sibling"]["hex_v3"]));
    samples.push(bytes(&list(&vectors("chain")["blocks"])[12]["hex_v2"]));
    samples
}

#[test]
fn mutated_bytes_do_not_panic() {
    let mut state = state_of(&chain());
    let before = state.clone();
    let mut luck = Luck(0x9e37_79b9_7f4a_7c15);
    let samples = samples();
    for _ in 0..600 {
        let mut bytes = samples[luck.below(samples.len())].clone();
        for _ in 0..=luck.below(3) {
            // Most of a block is proofs: look at the beginning more often.
            let reach = if luck.below(2) == 0 {
                300.min(bytes.len())
            } else {
                bytes.len()
            };
            let at = luck.below(reach);
            match luck.below(4) {
                0 => bytes[at] ^= 1 << luck.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][luck.below(5)],
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, luck.next() as u8),
            }
        }
        digest(&bytes, &mut state);
    }
    assert_eq!(state, before);
}

#[test]
fn arbitrary_bytes_do_not_panic() {
    let mut state = state_of(&chain());
    let mut luck = Luck(7);
    for length in (0..400).chain([1_000, 10_000]) {
        let bytes: Vec<u8> = (0..length).map(|_| luck.next() as u8).collect();
        digest(&bytes, &mut state);
        digest(&vec![0; length], &mut state);
        digest(&vec![0xff; length], &mut state);
    }
}

/// The edge bits lie before the packed solution, which is the header's end.
#[test]
fn every_graph_size_is_survived() {
    let blocks = chain();
    let mut state = state_of(&blocks);
    let header = blocks[30].header().encode();
    let at = header.len() - 11;
    assert_eq!(header[at], 10);
    for edge_bits in 0..=u8::MAX {
        let mut bytes = header.to_vec();
        bytes[at] = edge_bits;
        bytes.extend([0; 1_000]);
        digest(&bytes, &mut state);
    }
}

#[test]
fn every_cut_of_a_transaction_is_refused() {
    let recorded = vectors("transactions");
    let whole = bytes(&list(&recorded["transactions"])[0]["hex_v1"]);
    for length in 0..whole.len() {
        assert!(Transaction::decode(&RULES, Format::V1, &whole[..length]).is_err());
    }
    let mut longer = whole.clone();
    longer.push(7);
    assert!(Transaction::decode(&RULES, Format::V1, &longer).is_ok());
}

#[test]
fn refusals_read_as_stock_nodes_write_them() {
    let recorded = vectors("transactions");
    let whole = bytes(&list(&recorded["transactions"])[0]["hex_v1"]);
    let said = |bytes: &[u8]| {
        let read = Transaction::decode(&RULES, Format::V1, bytes);
        read.expect_err("no transaction").to_string()
    };
    assert_eq!(said(&[]), "failed to fill whole buffer");
    assert_eq!(said(&whole[..whole.len() - 1]), "count error");
    let mut heavy = whole.clone();
    heavy[32] = 1;
    assert_eq!(said(&heavy), "too large read");
}
