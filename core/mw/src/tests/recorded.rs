//! What real nodes accepted and refused.

use serde_json::Value;

use super::*;
use crate::{
    Applied, Fault, FeeRule, Hash, HeaderFault, Invalid, Offset, Transaction, aggregate, genesis,
};

fn hash(value: &Value) -> Hash {
    Hash::from_hex(text(value)).expect("a hash")
}

/// Whether a block is right in every respect, as a node would find out.
fn judge(state: &mut ChainState, block: &Block) -> Result<Applied, String> {
    let header = state.check_header(block.header(), TODAY);
    let previous_offset = state.tip().total_kernel_offset();
    let stateless = check_one(Job::Block {
        block: block.clone(),
        previous_offset,
    });
    header.map_err(|fault| format!("{fault:?}"))?;
    stateless.map_err(|fault| format!("{fault:?}"))?;
    state.apply(block).map_err(|invalid| format!("{invalid:?}"))
}

fn assert_recorded(state: &ChainState, entry: &Value) {
    let (roots, pmmr) = (state.roots(), &entry["pmmr"]);
    let height = &entry["height"];
    let pairs = [
        (roots.outputs, "output_pmmr_root"),
        (roots.bitmap, "bitmap_root"),
        (roots.range_proofs, "range_proof_pmmr_root"),
        (roots.kernels, "kernel_pmmr_root"),
        (roots.headers, "header_mmr_root_including_this"),
    ];
    for (root, name) in pairs {
        assert_eq!(root, hash(&pmmr[name]), "{name} at {height}");
    }
    assert_eq!(state.unspent_count() as u64, pmmr["unspent_outputs"]);
    let sums = &entry["block_sums"];
    assert_eq!(state.sums().unspent.to_string(), sums["utxo_sum"]);
    assert_eq!(state.sums().kernels.to_string(), sums["kernel_sum"]);
}

#[test]
fn the_recorded_chain_leads_to_the_recorded_roots() {
    let recorded = vectors("chain");
    let entries = list(&recorded["blocks"]);
    assert_eq!(genesis(&RULES), block(&entries[0]));
    let mut state = ChainState::new(RULES, &genesis(&RULES)).expect("empty");
    assert_recorded(&state, &entries[0]);
    for entry in &entries[1..] {
        let block = block(entry);
        let _ = judge(&mut state, &block).expect("a block of the chain");
        assert_recorded(&state, entry);
    }
    assert_eq!(state.tip().height(), 30);
}

#[test]
fn undoing_leads_back_to_the_same_states() {
    let blocks = chain();
    let mut state = state_of(&blocks[..1]);
    let mut done = Vec::new();
    for block in &blocks[1..] {
        done.push((state.clone(), state.apply(block).expect("of the chain")));
    }
    while let Some((before, applied)) = done.pop() {
        state.undo(applied);
        assert_eq!(state, before);
        assert_eq!(state.digest(), before.digest());
    }
}

#[test]
fn the_recorded_fork_is_reached_by_undoing_and_applying() {
    let recorded = vectors("fork");
    let blocks = chain();
    let mut state = state_of(&blocks[..26]);
    let parting = state.clone();
    let mut done = Vec::new();
    for block in &blocks[26..] {
        done.push(state.apply(block).expect("of the chain"));
    }
    while let Some(applied) = done.pop() {
        state.undo(applied);
    }
    assert_eq!(state, parting);
    for entry in list(&recorded["blocks"]) {
        let block = block(entry);
        assert_eq!(block.hash(), hash(&entry["hash"]));
        let _ = judge(&mut state, &block).expect("a block of the fork");
    }
    let heavier = blocks[30].header().total_difficulty();
    assert!(state.tip().total_difficulty() > heavier);
    assert_eq!(state.tip().height(), 32);
}

#[test]
fn recorded_blocks_encode_as_they_were() {
    for name in ["chain", "fork"] {
        let recorded = vectors(name);
        for entry in list(&recorded["blocks"]) {
            let block = block(entry);
            assert_eq!(
                block.encode(Format::V3).expect("always"),
                bytes(&entry["hex_v3"])
            );
            assert_eq!(block.header().encode(), bytes(&entry["header_hex"]));
            assert_eq!(block.hash(), hash(&entry["hash"]));
            if entry["hex_v2"].is_null() {
                continue;
            }
            let old = bytes(&entry["hex_v2"]);
            let again = Block::decode(&RULES, Format::V2, &old).expect("a block");
            assert_eq!(again.encode(Format::V2).expect("it has features"), old);
            assert_eq!(again.digest(), block.digest());
        }
    }
}

/// Blocks read without features can be written with them, once somebody looks up what they spend.
#[test]
fn features_of_inputs_come_back_from_what_was_spent() {
    let recorded = vectors("chain");
    let mut state = ChainState::new(RULES, &genesis(&RULES)).expect("empty");
    let mut spending = 0;
    for entry in &list(&recorded["blocks"])[1..] {
        let block = block(entry);
        let applied = state.apply(&block).expect("of the chain");
        let spent: Vec<_> = applied.spent().iter().map(|it| it.output.clone()).collect();
        spending += spent.len();
        let full = block.with_features(&spent).expect("what it spends");
        let old = full.encode(Format::V2).expect("features");
        if !entry["hex_v2"].is_null() {
            assert_eq!(old, bytes(&entry["hex_v2"]));
        }
        assert_eq!(Block::decode(&RULES, Format::V2, &old), Ok(full.clone()));
        assert_eq!(full.digest(), block.digest());
        assert_eq!(block.encode(Format::V2).is_err(), !spent.is_empty());
        assert!(spent.is_empty() || block.with_features(&spent[1..]).is_none());
    }
    assert!(spending > 5);
}

#[test]
fn recorded_false_blocks_are_refused_for_the_recorded_reason() {
    let recorded = vectors("invalid_blocks");
    let reasons = [
        ("bad_pow_nonce", "InvalidPow"),
        ("timestamp_not_after_previous", "InvalidBlockTime"),
        ("height_skips_one", "InvalidBlockHeight"),
        ("wrong_header_version", "InvalidBlockVersion"),
        ("wrong_prev_root", "InvalidRoot"),
        ("wrong_output_root", "InvalidRoot"),
        ("wrong_range_proof_root", "InvalidRoot"),
        ("wrong_kernel_root", "InvalidRoot"),
        ("wrong_output_mmr_size", "InvalidRoot"),
        ("wrong_total_difficulty", "WrongTotalDifficulty"),
        ("coinbase_too_large", "CoinbaseSumMismatch"),
        ("immature_coinbase_spend", "ImmatureCoinbase"),
        ("spends_unknown_output", "AlreadySpent"),
        ("bad_kernel_signature", "IncorrectSignature"),
        ("bad_range_proof", "InvalidRangeProof"),
        ("duplicate_unspent_commitment", "DuplicateCommitment"),
    ];
    let mut state = state_of(&chain());
    let before = state.clone();
    let entries = list(&recorded["blocks"]);
    assert_eq!(entries.len(), reasons.len());
    for (entry, (name, reason)) in entries.iter().zip(reasons) {
        assert_eq!(text(&entry["name"]), name);
        let said = judge(&mut state, &block(entry)).expect_err(name);
        assert!(said.starts_with(reason), "{name}: {said}");
        assert_eq!(state, before, "{name}");
    }
    let _ = judge(&mut state, &block(&recorded["valid_sibling"])).expect("the valid one");
}

#[test]
fn a_header_from_the_future_is_refused_for_now() {
    let blocks = chain();
    let state = state_of(&blocks[..30]);
    let header = blocks[30].header();
    let late = header.timestamp() - 301;
    assert_eq!(
        state.check_header(header, late),
        Err(HeaderFault::FromTheFuture)
    );
    assert_eq!(state.check_header(header, late + 1), Ok(()));
}

#[test]
fn a_block_is_checked_with_the_offset_before_it() {
    let blocks = chain();
    let (block, before) = (&blocks[12], blocks[11].header().total_kernel_offset());
    let job = |previous_offset| Job::Block {
        block: block.clone(),
        previous_offset,
    };
    assert_ne!(before, block.header().total_kernel_offset());
    assert_eq!(check_one(job(before)), Ok(()));
    let other = Offset([1; 32]);
    assert_eq!(check_one(job(other)), Err(Fault::KernelSumMismatch));
    assert_ne!(job(before).digest(), job(other).digest());
}

fn transactions() -> Vec<(String, Transaction, Value)> {
    let recorded = vectors("transactions");
    let entries = list(&recorded["transactions"]);
    let read = |entry: &Value| {
        let bytes = bytes(&entry["hex_v1"]);
        let transaction = Transaction::decode(&RULES, Format::V1, &bytes).expect("a transaction");
        (text(&entry["name"]).to_owned(), transaction, entry.clone())
    };
    entries.iter().map(read).collect()
}

#[test]
fn recorded_transactions_encode_as_they_were() {
    for (name, transaction, entry) in transactions() {
        for (format, field) in [
            (Format::V1, "hex_v1"),
            (Format::V2, "hex_v2"),
            (Format::V3, "hex_v3"),
        ] {
            let bytes = bytes(&entry[field]);
            assert_eq!(
                transaction.encode(format).expect("features"),
                bytes,
                "{name}"
            );
            let again = Transaction::decode(&RULES, format, &bytes).expect("a transaction");
            assert_eq!(again.encode(format).expect("as read"), bytes, "{name}");
            assert_eq!(again.digest(), transaction.digest(), "{name}");
        }
        assert_eq!(transaction.weight(), entry["weight"], "{name}");
        assert_eq!(transaction.fee(), entry["fee"], "{name}");
        // The recorded hash is that of the form with bare inputs or with features.
        let bare = Transaction::decode(&RULES, Format::V3, &bytes(&entry["hex_v3"]));
        let hashes = [transaction.hash(), bare.expect("a transaction").hash()];
        assert!(hashes.contains(&hash(&entry["hash"])), "{name}");
        let kernel = transaction.kernels().next().expect("one");
        assert_eq!(kernel.hash(), hash(&entry["kernel_hash"]), "{name}");
        assert_eq!(
            kernel.excess().to_string(),
            entry["kernel_excess"],
            "{name}"
        );
    }
}

#[test]
fn recorded_transactions_pass_or_fail_as_recorded() {
    let state = state_of(&chain());
    for (name, transaction, entry) in transactions() {
        let alone = check_one(Job::Transaction(transaction.clone()));
        let recorded_alone = text(&entry["self_validation"]);
        assert_eq!(
            alone.is_ok(),
            recorded_alone == "Ok(())",
            "{name}: {alone:?}"
        );
        if name == "kernel_sum_mismatch" {
            assert_eq!(alone, Err(Fault::KernelSumMismatch));
        }
        let recorded = &entry["grin_chain"];
        let recorded = ["utxo", "lock", "maturity"].map(|field| text(&recorded[field]));
        let met = state.check_transaction(&transaction);
        let fine = recorded.iter().all(|answer| *answer == "Ok(())");
        assert_eq!(met.is_ok(), fine, "{name}: {met:?}");
        match name.as_str() {
            "locked_until_future_height" => assert_eq!(met, Err(Invalid::LockHeight(41))),
            "immature_coinbase" => assert_eq!(met, Err(Invalid::ImmatureCoinbase(2))),
            "unknown_input" | "child_of_first" => {
                assert!(matches!(met, Err(Invalid::AlreadySpent(_))), "{met:?}");
            }
            _ => assert_eq!(met, Ok(()), "{name}"),
        }
        let pays = transaction.pays(FeeRule::V5_DEFAULT);
        assert_eq!(pays, name != "fee_too_low", "{name}");
    }
}

#[test]
fn a_child_is_fine_together_with_its_parent() {
    let state = state_of(&chain());
    let all = transactions();
    let (parent, child) = (&all[0].1, &all[2].1);
    let both = aggregate(&[child.clone(), parent.clone()]).expect("they go together");
    assert_eq!(state.check_transaction(&both), Ok(()));
    assert_eq!(check_one(Job::Transaction(both.clone())), Ok(()));
    // The output between them is gone, and both kernels are there.
    assert_eq!(both.inputs().len() + both.outputs().len(), 1 + 2);
    assert!(parent.kernels_within(&both) && child.kernels_within(&both));
    assert_eq!(both.fee(), parent.fee() + child.fee());
    // The double spend does not go with them.
    let double = &all[3].1;
    assert!(aggregate(&[parent.clone(), double.clone()]).is_err());
}

#[test]
fn one_false_job_does_not_spoil_the_others() {
    let invalid = vectors("invalid_blocks");
    let previous_offset = chain()[30].header().total_kernel_offset();
    let named = |name: &str| {
        let entries = list(&invalid["blocks"]);
        let entry = entries.iter().find(|entry| entry["name"] == name);
        Job::Block {
            block: block(entry.expect("recorded")),
            previous_offset,
        }
    };
    let mut jobs: Vec<Job> = transactions()
        .into_iter()
        .map(|(_, transaction, _)| Job::Transaction(transaction))
        .collect();
    jobs.insert(3, named("bad_range_proof"));
    jobs.insert(7, named("bad_kernel_signature"));
    jobs.push(named("bad_range_proof"));
    let together = check(&mut Verifier::new(RULES), &jobs);
    let alone: Vec<Verdict> = jobs.iter().cloned().map(check_one).collect();
    assert_eq!(together, alone);
    assert_eq!(together[3], Err(Fault::InvalidRangeProof));
    assert_eq!(together[7], Err(Fault::IncorrectSignature));
    assert_eq!(
        together.iter().filter(|verdict| verdict.is_err()).count(),
        4
    );
    assert_eq!(check(&mut Verifier::new(RULES), &[]), []);
}

#[test]
fn merkle_proofs_lead_to_the_root_of_their_block() {
    let blocks = chain();
    let state = state_of(&blocks);
    let mut proved = 0;
    for block in &blocks[1..] {
        let header = block.header();
        let root = state.output_root_after(header).expect("of this chain");
        for output in block.outputs() {
            let commitment = output.commitment();
            let Some(unspent) = state.unspent(&commitment) else {
                assert_eq!(state.merkle_proof(&commitment, header), None);
                continue;
            };
            for (until, root) in [(header, root), (state.tip(), state.roots().outputs)] {
                let proof = state.merkle_proof(&commitment, until).expect("it is there");
                assert!(proof.leads(root, &unspent.output, unspent.position));
                assert!(!proof.leads(Hash::ZERO, &unspent.output, unspent.position));
                assert_eq!(proof.encode().len(), 16 + 32 * proof.path.len());
            }
            proved += 1;
        }
    }
    assert_eq!(proved, state.unspent_count());
}

#[test]
fn a_state_tells_what_the_api_asks() {
    let blocks = chain();
    let state = state_of(&blocks);
    let unspent: Vec<_> = state.unspent_from(0).collect();
    assert_eq!(unspent.len(), state.unspent_count());
    assert!(
        unspent
            .windows(2)
            .all(|pair| pair[0].position < pair[1].position)
    );
    let kernel = blocks[12].kernels().next().expect("one");
    let found = state.kernel(&kernel.excess(), 0, 30).expect("recorded");
    assert_eq!((found.height, &found.kernel), (12, &kernel));
    assert_eq!(state.kernel(&kernel.excess(), 13, 30), None);
    assert_eq!(state.last_kernels(3).len(), 3);
    assert_eq!(state.last_outputs(0), []);
    assert_eq!(state.last_outputs(usize::MAX).len(), state.unspent_count());
    assert_eq!(state.last_proofs(usize::MAX).len(), state.unspent_count());
    assert!(state.any_unspent_between(0, u64::MAX) && !state.any_unspent_between(5, 5));
}

#[test]
fn a_chain_file_is_written_as_it_is_read() {
    let blocks = chain();
    let written = chain_file::write(&RULES, &blocks);
    assert_eq!(chain_file::read(&RULES, written.as_bytes()), Ok(blocks));
    let other = chain_file::read(&Rules::user_testing(), written.as_bytes());
    assert!(matches!(
        other,
        Err(chain_file::ChainFileError::Chain { .. })
    ));
    let torn = written.replacen("e3b909", "e3b908", 1);
    let torn = chain_file::read(&RULES, torn.as_bytes());
    assert_eq!(torn, Err(chain_file::ChainFileError::Differs { at: 0 }));
}
