//! Blocks and pushed transactions of the Mimblewimble chain, beside the chain and the pool of the
//! network's own node: the same bytes, one after the other, each on one thread.
//!
//! A block goes from its bytes to the state after it. Both check everything: header rules, proof of
//! work, range proofs, signatures, sums, roots. The real chain writes to its database on the disk, and
//! so does the line "with rows on the disk", which waits for each block as the real one does: decoding,
//! checks, state, rows, fjall and its watermark. "Sixteen together" is how blocks are checked when they
//! come in pages. What takes a node's lock is the state's part alone, which has a line of its own.
//!
//! A transaction goes from its bytes to a pool in which the ones before it wait. The real pool checks
//! the sum of all that wait anew with each; ours looks only at what the new one touches, and checks
//! what arrives together together.
//!
//! Times are CPU times of the whole process, since other work on the machine does not change those
//! (Linux only).

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use grin_chain::types::NoopAdapter;
use grin_chain::{Chain, Options};
use grin_core::core::hash::Hash as RealHash;
use grin_core::core::{self as grin, Inputs, OutputIdentifier, UntrustedBlock};
use grin_core::{global, pow, ser};
use grin_pool::types::NoopPoolAdapter;
use grin_pool::{BlockChain, PoolConfig, PoolError, TransactionPool, TxSource};
use peerage_benches::Bench;
use peerage_core::mw::{
    Applied, Block, ChainState, Format, Job, Rules, Transaction, Verifier, check,
};
use peerage_core::rooms::grin::Row;
use peerage_core::rooms::grin::forge::Forge;
use peerage_core::rooms::grin::rows::StoredBlock;
use peerage_core::rooms::grin::types::{Ask, Request};
use peerage_core::{CommitSeq, Row as AnyRow};
use peerage_io::{DataDir, Metrics};

const RULES: Rules = Rules::automated_testing();
/// Long after every block.
const TODAY: i64 = 1_750_000_000;

#[expect(clippy::print_stdout, reason = "the tables are the result")]
fn main() {
    // Under `cargo test` a short chain shows that everything still works.
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let (empty, busy, rounds) = if smoke { (8, 3, 1) } else { (120, 100, 5) };
    let mut forge = Forge::new(RULES, 1).grow(empty, 60);
    for height in 1..=busy {
        let spent = forge.spend(height);
        forge.add(&[spent], 60);
    }
    let blocks: Vec<Vec<u8>> = forge.blocks()[1..].iter().map(bytes_of).collect();
    println!("{} blocks, {busy} of them with a payment", blocks.len());
    table(
        "block",
        blocks.len(),
        rounds,
        &|| real_chain(&blocks),
        &[
            ("one by one, in memory", &|| apply_all(&blocks, 1)),
            ("sixteen together, in memory", &|| apply_all(&blocks, 16)),
            ("one by one, with rows on the disk", &|| store_all(&blocks)),
        ],
    );

    let alone: Vec<(f64, f64)> = (0..rounds).map(|_| state_alone(forge.blocks())).collect();
    let per_block =
        |of: fn(&(f64, f64)) -> f64| median(alone.iter().map(of).collect()) / blocks.len() as f64;
    let (forth, back) = (per_block(|it| it.0), per_block(|it| it.1));
    println!("of it the state's part {forth:.0}, the same backwards {back:.1}");

    let forge = Forge::new(RULES, 2).grow(empty, 60);
    let pushed: Vec<Vec<u8>> = (1..=busy)
        .map(|height| forge.spend(height).encode(Format::V1).expect("features"))
        .collect();
    println!("\n{} transactions into an empty pool", pushed.len());
    let chain = forge.blocks();
    table(
        "transaction",
        pushed.len(),
        rounds,
        &|| real_pool(chain, &pushed),
        &[
            ("one by one", &|| push_all(chain, &pushed, 1)),
            ("sixty-four together", &|| push_all(chain, &pushed, 64)),
        ],
    );
}

type Measure<'a> = &'a dyn Fn() -> f64;

/// Measures each way in turn, several times, and prints the medians per item.
#[expect(clippy::print_stdout, reason = "the tables are the result")]
fn table(item: &str, count: usize, rounds: usize, real: Measure<'_>, ours: &[(&str, Measure<'_>)]) {
    let per_item = |measure: Measure<'_>| measure() / count as f64;
    let mut samples = vec![Vec::new(); ours.len() + 1];
    for _ in 0..rounds {
        samples[0].push(per_item(real));
        for (at, (_, measure)) in ours.iter().enumerate() {
            samples[at + 1].push(per_item(*measure));
        }
    }
    let medians: Vec<f64> = samples.into_iter().map(median).collect();
    println!("{:36}{:>14}{:>10}", "", format!("\u{b5}s/{item}"), "ratio");
    println!("{:36}{:>14.0}{:>10.2}", "the real node's", medians[0], 1.0);
    for ((name, _), median) in ours.iter().zip(&medians[1..]) {
        println!("{name:36}{median:>14.0}{:>10.2}", medians[0] / median);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What all threads of this process have run so far, in microseconds.
fn cpu_us() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let run_ns = |task: &std::path::Path| {
        let stat = std::fs::read_to_string(task.join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    };
    let run = tasks.flatten().filter_map(|task| run_ns(&task.path()));
    run.sum::<f64>() / 1_000.0
}

fn timed(work: impl FnOnce()) -> f64 {
    let before = cpu_us();
    work();
    cpu_us() - before
}

fn bytes_of(block: &Block) -> Vec<u8> {
    block.encode(Format::V3).expect("there is a third format")
}

// --- Ours ---

fn first_state() -> ChainState {
    let first = peerage_core::mw::genesis(&RULES);
    ChainState::new(RULES, &first).expect("the first block is empty")
}

/// Takes in blocks from their bytes, so many checked at a time.
fn take(state: &mut ChainState, page: &[Vec<u8>], mut done: impl FnMut(&Block)) {
    let mut jobs = Vec::with_capacity(page.len());
    let mut previous_offset = state.tip().total_kernel_offset();
    let mut blocks = Vec::with_capacity(page.len());
    for bytes in page {
        let block = Block::decode(&RULES, Format::V3, bytes).expect("a block");
        jobs.push(Job::Block {
            block: block.clone(),
            previous_offset,
        });
        previous_offset = block.header().total_kernel_offset();
        blocks.push(block);
    }
    let verdicts = check(&mut Verifier::new(RULES), &jobs);
    assert!(verdicts.iter().all(Result::is_ok));
    for block in &blocks {
        state
            .check_header(block.header(), TODAY)
            .expect("it follows");
        let _ = state.apply(block).expect("it fits");
        done(block);
    }
}

fn apply_all(blocks: &[Vec<u8>], together: usize) -> f64 {
    let mut state = first_state();
    timed(|| {
        for page in blocks.chunks(together) {
            take(&mut state, page, |_| {});
        }
    })
}

fn store_all(blocks: &[Vec<u8>]) -> f64 {
    let dir = tempfile::tempdir().expect("a directory");
    let opened = DataDir::open(dir.path(), &[]).expect("a fresh directory");
    let (sender, persisted) = channel();
    let report = move |upto: CommitSeq| sender.send(upto).expect("somebody listens");
    let failed = |error| panic!("the store failed: {error}");
    let committer = opened
        .store
        .run(Arc::new(Metrics::default()), report, failed);
    let mut state = first_state();
    let used = timed(|| {
        for page in blocks.chunks(1) {
            take(&mut state, page, |block| {
                let height = block.header().height();
                let stored = StoredBlock {
                    chain: RULES.chain,
                    block: block.clone(),
                };
                let row = AnyRow::from(Row::Block(height, Some(stored)));
                committer.commit(CommitSeq(height), vec![row]);
                let waited = persisted.recv_timeout(Duration::from_secs(60));
                assert_eq!(waited, Ok(CommitSeq(height)));
            });
        }
    });
    committer.close();
    used
}

/// Applying blocks that are decoded and checked, and taking them back again. Taking back is too short
/// for counting CPU time.
fn state_alone(blocks: &[Block]) -> (f64, f64) {
    let mut state = first_state();
    let mut applied: Vec<Applied> = Vec::new();
    let began = Instant::now();
    for block in &blocks[1..] {
        applied.push(state.apply(block).expect("it fits"));
    }
    let forth = began.elapsed();
    while let Some(last) = applied.pop() {
        state.undo(last);
    }
    let back = began.elapsed() - forth;
    assert_eq!(state.unspent_count(), 0);
    (1e6 * forth.as_secs_f64(), 1e6 * back.as_secs_f64())
}

fn push_all(chain: &[Block], pushed: &[Vec<u8>], together: usize) -> f64 {
    let mut bench = Bench::with(|config| {
        config.grin.rules = RULES;
        config.grin.import = Some(chain.into());
    });
    bench.ask(Request::Ask(Ask::Chain).into());
    bench.wait(Duration::from_millis(10));
    assert_eq!(bench.gauge("grin_height"), chain.len() as u64 - 1);
    let used = timed(|| {
        for page in pushed.chunks(together) {
            for bytes in page {
                let transaction = Transaction::decode(&RULES, Format::V1, bytes);
                let push = Ask::Push {
                    transaction: transaction.expect("a transaction").into(),
                    fluff: true,
                };
                bench.handle(Request::Ask(push).into());
            }
            bench.settle();
        }
    });
    assert_eq!(bench.gauge("grin_pool"), pushed.len() as u64);
    used
}

// --- The real node's ---

/// The library's variables of this thread, as a devnet's node sets them.
fn enter() {
    global::set_local_chain_type(global::ChainTypes::AutomatedTesting);
    global::set_local_nrd_enabled(true);
}

/// The real chain in a directory of its own, with its first block.
fn open_chain() -> (Arc<Chain>, tempfile::TempDir) {
    enter();
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    let first = pow::mine_genesis_block().expect("a block");
    let adapter = Arc::new(NoopAdapter {});
    let chain = Chain::init(path, adapter, first, pow::verify_size, false, None);
    (chain.expect("a chain").into(), folder)
}

fn give(chain: &Chain, bytes: &[u8]) {
    let mode = ser::DeserializationMode::Full;
    let block: UntrustedBlock =
        ser::deserialize(&mut &bytes[..], ser::ProtocolVersion(3), mode).expect("a block");
    let taken = chain.process_block(block.into(), Options::NONE);
    taken.expect("it fits");
}

fn real_chain(blocks: &[Vec<u8>]) -> f64 {
    let (chain, _folder) = open_chain();
    let used = timed(|| {
        for bytes in blocks {
            give(&chain, bytes);
        }
    });
    let head = chain.head().expect("a head");
    assert_eq!(head.height, blocks.len() as u64);
    used
}

/// What the real node's servers put between its pool and its chain.
struct Between(Arc<Chain>);

fn said(error: impl std::fmt::Debug) -> PoolError {
    PoolError::Other(format!("{error:?}"))
}

impl BlockChain for Between {
    fn chain_head(&self) -> Result<grin::BlockHeader, PoolError> {
        self.0.head_header().map_err(said)
    }

    fn get_block_header(&self, hash: &RealHash) -> Result<grin::BlockHeader, PoolError> {
        self.0.get_block_header(hash).map_err(said)
    }

    fn get_block_sums(&self, hash: &RealHash) -> Result<grin::BlockSums, PoolError> {
        self.0.get_block_sums(hash).map_err(said)
    }

    fn validate_tx(&self, transaction: &grin::Transaction) -> Result<(), PoolError> {
        self.0.validate_tx(transaction).map_err(said)
    }

    fn validate_inputs(&self, inputs: &Inputs) -> Result<Vec<OutputIdentifier>, PoolError> {
        let found = self.0.validate_inputs(inputs).map_err(said)?;
        Ok(found.into_iter().map(|(output, _)| output).collect())
    }

    fn verify_coinbase_maturity(&self, inputs: &Inputs) -> Result<(), PoolError> {
        self.0.verify_coinbase_maturity(inputs).map_err(said)
    }

    fn verify_tx_lock_height(&self, transaction: &grin::Transaction) -> Result<(), PoolError> {
        self.0.verify_tx_lock_height(transaction).map_err(said)
    }
}

fn real_pool(blocks: &[Block], pushed: &[Vec<u8>]) -> f64 {
    let (chain, _folder) = open_chain();
    for block in &blocks[1..] {
        give(&chain, &bytes_of(block));
    }
    let header = chain.head_header().expect("a head");
    let between = Arc::new(Between(chain));
    let adapter = Arc::new(NoopPoolAdapter {});
    let mut pool = TransactionPool::new(PoolConfig::default(), between, adapter);
    let used = timed(|| {
        for bytes in pushed {
            let mode = ser::DeserializationMode::Full;
            let transaction: grin::Transaction =
                ser::deserialize(&mut &bytes[..], ser::ProtocolVersion(1), mode)
                    .expect("a transaction");
            let source = TxSource::PushApi;
            let taken = pool.add_to_pool(source, transaction, false, &header);
            taken.expect("it fits");
        }
    });
    assert_eq!(pool.total_size(), pushed.len());
    used
}
