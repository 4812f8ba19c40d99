//! A chain as a node mines it, with payments of every kind pushed over its API. The chain file is a
//! snapshot; the tests of `core/mw` give the same file to the real chain crate, which must take every
//! block of it.

use std::time::Duration;

use peerage_core::config::grin::Purse;
use peerage_core::mw::{
    Block, Coin, Commitment, Fee, Format, KernelFeatures, KeyIndex, Output, OutputFeatures,
    Payment, Rules, Transaction, aggregate, chain_file, genesis,
};
use peerage_core::rooms::{Row, grin};
use peerage_tests::Bench;

use super::json;

const RULES: Rules = Rules::automated_testing();
/// What each payment pays, in nanogrin.
const FEE: u64 = 23_000_000;

/// A node that mines once a minute, and whose rewards can be spent.
struct Mine {
    bench: Bench,
    purse: Purse,
    keys: u64,
}

impl Mine {
    fn new() -> Self {
        let purse = Purse::from_seed(&[5; 32]).expect("a seed");
        let bench = Bench::with(|config| {
            config.grin.mine = Some(Duration::from_secs(60));
            config.grin.purse = Some(purse.clone());
        });
        Self {
            bench,
            purse,
            keys: 1_000,
        }
    }

    fn height(&self) -> u64 {
        self.bench.gauge("grin_height")
    }

    /// Waits until there are so many blocks.
    fn wait_for(&mut self, height: u64) {
        while self.height() < height {
            self.bench.advance(Duration::from_secs(10));
        }
    }

    /// The reward of a block that held payments of `fees`.
    fn reward(height: u64, fees: u64) -> Coin {
        Coin {
            key: KeyIndex::new(height).expect("small"),
            value: Rules::reward(fees),
            features: OutputFeatures::Coinbase,
        }
    }

    /// Spends coins into `parts` equal ones.
    fn pay(
        &mut self,
        spend: &[Coin],
        parts: u64,
        kernel: KernelFeatures,
    ) -> (Transaction, Vec<Coin>) {
        let whole = spend.iter().map(|coin| coin.value).sum::<u64>() - FEE;
        let value = |part: u64| whole / parts + if part == 0 { whole % parts } else { 0 };
        let make: Vec<(KeyIndex, u64)> = (0..parts)
            .map(|part| (KeyIndex::new(self.keys + part).expect("small"), value(part)))
            .collect();
        self.keys += parts;
        let made = make.iter().map(|(key, value)| Coin {
            key: *key,
            value: *value,
            features: OutputFeatures::Plain,
        });
        let made = made.collect();
        let excess_word =
            matches!(kernel, KernelFeatures::NoRecentDuplicate { .. }).then(|| b"again".to_vec());
        let payment = Payment {
            spend: spend.to_vec(),
            make,
            kernel,
            excess_word,
        };
        (
            self.purse.wallet().pay(&payment).expect("it balances"),
            made,
        )
    }

    fn push(&mut self, transaction: &Transaction) {
        let bytes = transaction
            .encode(Format::V1)
            .expect("its inputs tell their features");
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = format!("{{\"tx_hex\":\"{digits}\"}}");
        let answer = self
            .bench
            .fetch(json("POST", "/v1/pool/push_tx?fluff", &body));
        assert_eq!((answer.status, answer.text()), (200, ""));
    }

    fn chain(&self) -> Vec<Block> {
        let rows = self.bench.node().export();
        let block = |row: Row| {
            let Row::Grin(grin::Row::Block(_, Some(stored))) = row else {
                return None;
            };
            Some(stored.block)
        };
        let mut blocks = vec![genesis(&RULES)];
        blocks.extend(rows.into_iter().filter_map(block));
        blocks
    }
}

fn plain() -> KernelFeatures {
    KernelFeatures::Plain {
        fee: Fee::new(FEE).expect("a fee"),
    }
}

#[test]
fn blocks_hold_payments_of_every_kind() {
    let mut mine = Mine::new();
    mine.wait_for(5);

    // Two payments that have nothing to do with each other, in one block.
    let (first, of_first) = mine.pay(&[Mine::reward(1, 0)], 2, plain());
    let (second, of_second) = mine.pay(&[Mine::reward(2, 0)], 1, plain());
    mine.push(&first);
    mine.push(&second);
    mine.wait_for(6);

    // A payment and the one that spends it, in one block: what is between them vanishes.
    let (parent, of_parent) = mine.pay(&of_first[..1], 1, plain());
    let (child, of_child) = mine.pay(&of_parent, 2, plain());
    mine.push(&parent);
    mine.push(&child);
    mine.wait_for(7);

    // Two coins become one, behind a lock that is open by now.
    let lock = KernelFeatures::HeightLocked {
        fee: Fee::new(FEE).expect("a fee"),
        lock_height: 8,
    };
    let (locked, of_locked) = mine.pay(&[of_second[0], of_first[1]], 1, lock);
    mine.push(&locked);
    mine.wait_for(11);

    // An excess that may come again after two blocks, and does.
    let again = KernelFeatures::NoRecentDuplicate {
        fee: Fee::new(FEE).expect("a fee"),
        relative_height: 2,
    };
    let (once, _) = mine.pay(&of_child[..1], 1, again);
    mine.push(&once);
    mine.wait_for(14);
    let (twice, _) = mine.pay(&of_child[1..], 1, again);
    mine.push(&twice);
    mine.wait_for(15);

    // A reward with fees in it, and two payments that come as one.
    let (one, _) = mine.pay(&[Mine::reward(6, 2 * FEE)], 1, plain());
    let (other, _) = mine.pay(&of_locked, 3, plain());
    let both = aggregate(&[one, other]).expect("they go together");
    // Wallets push inputs with their features, which an aggregate has lost.
    let inputs: Vec<Commitment> = both.inputs().iter().map(|it| it.commitment).collect();
    let made: Vec<Output> = mine
        .chain()
        .iter()
        .flat_map(|block| block.outputs().collect::<Vec<_>>())
        .collect();
    let spent: Vec<Output> = made
        .into_iter()
        .filter(|it| inputs.contains(&it.commitment()))
        .collect();
    mine.push(&both.with_features(&spent).expect("exactly these"));
    mine.wait_for(18);

    let blocks = mine.chain();
    assert_eq!(mine.bench.gauge("grin_pool"), 0);
    let kernels: usize = blocks.iter().map(|block| block.kernels().len()).sum();
    assert_eq!(kernels, 18 + 9);
    insta::assert_snapshot!("mined_chain", chain_file::write(&RULES, &blocks));
}
