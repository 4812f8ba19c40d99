//! Writing answers. Fields and their order, numbers and line breaks are those of the node API v1.

use bytes::Bytes;
use peerage_mw::{Commitment, Hash, Header, Kernel, KernelFeatures, Output};
use serde::{Serialize, Serializer};

use super::between;
use crate::hex;
use crate::http::{Reply, date, v1};
use crate::rooms::grin::page::{
    BlockPage, Found, HeightOutputs, KernelPage, LinkPage, OutputPage, OutputView, PeerPage,
    ProofPage, StatusPage, SyncState, Tip,
};
use crate::rooms::grin::types::Response;
use crate::rooms::grin::{RELEASE, USER_AGENT};

/// The version of the protocol between its nodes.
const PROTOCOL: u32 = 1_000;

pub(super) fn show(response: &Response) -> Reply {
    match response {
        Response::Block(page) => block(page),
        Response::Blocks(blocks) => bytes(between::write_blocks(blocks)),
        Response::ByHeight(blocks) => {
            pretty(&blocks.iter().map(HeightBody::of).collect::<Vec<_>>())
        }
        Response::ByIds(found) => pretty(&found.iter().map(FoundBody::of).collect::<Vec<_>>()),
        Response::Connected(links) => compact(&links.iter().map(LinkBody::of).collect::<Vec<_>>()),
        Response::Done => Reply::plain(200, "{}"),
        Response::Failed(status, text) => Reply::plain(*status, text.to_string()),
        Response::Header(header) => pretty(&HeaderBody::of(header)),
        Response::Headers(headers) => bytes(between::write_headers(headers)),
        Response::Hashes(hashes) => pretty(&hashes.iter().map(HashBody::of).collect::<Vec<_>>()),
        Response::Hello(hello) => compact(hello.as_ref()),
        Response::Index => pretty(&INDEX),
        Response::Kernel(kernel) => pretty(&kernel.as_deref().map(KernelFoundBody::of)),
        Response::MerkleProof(page) => pretty(&proof(page)),
        Response::NotFound => Reply::empty(404),
        Response::Outputs(page) => pretty(&OutputsBody::of(page)),
        Response::Peer(peer) => compact(&PeerBody::of(peer)),
        Response::Peers(peers) => pretty(&peers.iter().map(PeerBody::of).collect::<Vec<_>>()),
        Response::Pool(size) => compact(&PoolBody { pool_size: *size }),
        Response::Pushed => Reply::empty(200),
        Response::Roots(header) => pretty(&RootsBody::of(header)),
        Response::Status(page) => pretty(&StatusBody::of(page)),
        Response::Tip(tip) => pretty(&TipBody::of(tip)),
        Response::Unauthorized => Reply::unauthorized(v1::CHALLENGE),
        Response::Version(version) => pretty(&VersionBody {
            node_version: RELEASE,
            block_header_version: *version,
        }),
    }
}

/// Answers of the original have no `Content-Type`.
fn pretty<T: Serialize>(body: &T) -> Reply {
    let mut text = Vec::with_capacity(USUAL_BYTES);
    json(serde_json::to_writer_pretty(&mut text, body).map(|()| text))
}

fn compact<T: Serialize>(body: &T) -> Reply {
    json(serde_json::to_vec(body))
}

fn json(body: serde_json::Result<Vec<u8>>) -> Reply {
    let body = body.expect("answers have string keys and no failing parts");
    Reply::plain(200, body)
}

fn bytes(body: Vec<u8>) -> Reply {
    Reply::new(200, Some("application/octet-stream"), Bytes::from(body))
}

/// Room for most answers.
const USUAL_BYTES: usize = 4 * 1024;

/// What there is to ask, as release 4.1.1 tells it.
const INDEX: [&str; 23] = [
    "get blocks",
    "get headers",
    "get chain",
    "post chain/compact",
    "get chain/validate",
    "get chain/kernels/xxx?min_height=yyy&max_height=zzz",
    "get chain/outputs/byids?id=xxx,yyy,zzz",
    "get chain/outputs/byheight?start_height=101&end_height=200",
    "get status",
    "get txhashset/roots",
    "get txhashset/lastoutputs?n=10",
    "get txhashset/lastrangeproofs",
    "get txhashset/lastkernels",
    "get txhashset/outputs?start_index=1&max=100",
    "get txhashset/merkleproof?n=1",
    "get pool",
    "post pool/push_tx",
    "post peers/a.b.c.d:p/ban",
    "post peers/a.b.c.d:p/unban",
    "get peers/all",
    "get peers/connected",
    "get peers/a.b.c.d",
    "get version",
];

/// Bytes as hexadecimal digits.
struct Hex<T>(T);

impl<T: AsRef<[u8]>> Serialize for Hex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0.as_ref()))
    }
}

type HashHex = Hex<[u8; 32]>;
type CommitmentHex = Hex<[u8; 33]>;

const fn of_hash(hash: Hash) -> HashHex {
    Hex(hash.0)
}

const fn of_commitment(commitment: Commitment) -> CommitmentHex {
    Hex(commitment.0)
}

#[derive(Serialize)]
struct TipBody {
    height: u64,
    last_block_pushed: HashHex,
    prev_block_to_last: HashHex,
    total_difficulty: u64,
}

impl TipBody {
    const fn of(tip: &Tip) -> Self {
        Self {
            height: tip.height,
            last_block_pushed: of_hash(tip.hash),
            prev_block_to_last: of_hash(tip.previous),
            total_difficulty: tip.total_difficulty,
        }
    }
}

#[derive(Serialize)]
struct HeaderBody<'a> {
    hash: HashHex,
    version: u16,
    height: u64,
    previous: HashHex,
    prev_root: HashHex,
    timestamp: String,
    output_root: HashHex,
    output_mmr_size: u64,
    range_proof_root: HashHex,
    kernel_root: HashHex,
    kernel_mmr_size: u64,
    nonce: u64,
    edge_bits: u8,
    cuckoo_solution: &'a [u64],
    total_difficulty: u64,
    secondary_scaling: u32,
    total_kernel_offset: HashHex,
}

impl<'a> HeaderBody<'a> {
    fn of(header: &'a Header) -> Self {
        // No block is older than the first one, of 1997.
        let seconds = u64::try_from(header.timestamp()).unwrap_or(0);
        Self {
            hash: of_hash(header.hash()),
            version: header.version(),
            height: header.height(),
            previous: of_hash(header.previous()),
            prev_root: of_hash(header.previous_root()),
            timestamp: format!("{}+00:00", date::to_the_second(seconds)),
            output_root: of_hash(header.output_root()),
            output_mmr_size: header.output_mmr_size(),
            range_proof_root: of_hash(header.range_proof_root()),
            kernel_root: of_hash(header.kernel_root()),
            kernel_mmr_size: header.kernel_mmr_size(),
            nonce: header.nonce(),
            edge_bits: header.edge_bits(),
            cuckoo_solution: header.solution(),
            total_difficulty: header.total_difficulty(),
            secondary_scaling: header.secondary_scaling(),
            total_kernel_offset: Hex(header.total_kernel_offset().0),
        }
    }
}

#[derive(Serialize)]
struct OutputBody {
    output_type: &'static str,
    commit: CommitmentHex,
    spent: bool,
    proof: Option<String>,
    #[serde(serialize_with = "or_empty")]
    proof_hash: Option<HashHex>,
    block_height: Option<u64>,
    merkle_proof: Option<Hex<Vec<u8>>>,
    mmr_index: u64,
}

impl OutputBody {
    fn of(view: &OutputView) -> Self {
        let output = &view.output;
        Self {
            output_type: if output.is_coinbase() {
                "Coinbase"
            } else {
                "Transaction"
            },
            commit: of_commitment(output.commitment()),
            spent: view.spent,
            proof: view.proof.then(|| hex::encode(Output::proof(output))),
            proof_hash: Some(of_hash(output.proof_hash())),
            block_height: Some(view.height),
            merkle_proof: view.merkle.as_ref().map(|proof| Hex(proof.encode())),
            mmr_index: view.position,
        }
    }
}

/// Digits, or an empty text.
fn or_empty<S: Serializer>(hash: &Option<HashHex>, serializer: S) -> Result<S::Ok, S::Error> {
    match hash {
        Some(hash) => hash.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

/// A proof in the shape of an output, of which nothing else is filled in.
fn proof(page: &ProofPage) -> OutputBody {
    OutputBody {
        output_type: "Coinbase",
        commit: of_commitment(Commitment::ZERO),
        spent: false,
        proof: None,
        proof_hash: None,
        block_height: None,
        merkle_proof: Some(Hex(page.proof.encode())),
        mmr_index: page.position,
    }
}

/// Outputs that become text one by one: a page of them with their proofs is long.
struct Outputs<'a>(&'a [OutputView]);

impl Serialize for Outputs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(OutputBody::of))
    }
}

#[derive(Serialize)]
struct OutputsBody<'a> {
    highest_index: u64,
    last_retrieved_index: u64,
    outputs: Outputs<'a>,
}

impl<'a> OutputsBody<'a> {
    fn of(page: &'a OutputPage) -> Self {
        Self {
            highest_index: page.highest,
            last_retrieved_index: page.last,
            outputs: Outputs(&page.outputs),
        }
    }
}

#[derive(Serialize)]
struct KernelBody {
    features: &'static str,
    fee: u64,
    lock_height: u64,
    excess: CommitmentHex,
    excess_sig: Hex<[u8; 64]>,
}

impl KernelBody {
    fn of(kernel: &Kernel) -> Self {
        let features = kernel.features();
        Self {
            features: features.name(),
            fee: features.fee().map_or(0, |fee| fee.bits()),
            lock_height: match features {
                KernelFeatures::Coinbase | KernelFeatures::Plain { .. } => 0,
                KernelFeatures::HeightLocked { lock_height, .. } => lock_height,
                KernelFeatures::NoRecentDuplicate {
                    relative_height, ..
                } => relative_height,
            },
            excess: of_commitment(kernel.excess()),
            excess_sig: Hex(kernel.signature()),
        }
    }
}

#[derive(Serialize)]
struct BlockBody<'a> {
    header: HeaderBody<'a>,
    inputs: Vec<CommitmentHex>,
    outputs: Outputs<'a>,
    kernels: Vec<KernelBody>,
}

#[derive(Serialize)]
struct CompactBody<'a> {
    header: HeaderBody<'a>,
    out_full: Outputs<'a>,
    kern_full: Vec<KernelBody>,
    kern_ids: Vec<Hex<[u8; 6]>>,
}

fn block(page: &BlockPage) -> Reply {
    let header = HeaderBody::of(page.block.header());
    let outputs = Outputs(&page.outputs);
    if !page.view.compact {
        let inputs = page.block.inputs();
        let inputs = inputs.iter().map(|input| of_commitment(input.commitment));
        return pretty(&BlockBody {
            header,
            inputs: inputs.collect(),
            outputs,
            kernels: page.block.kernels().map(|it| KernelBody::of(&it)).collect(),
        });
    }
    let is_reward = |kernel: &Kernel| kernel.features() == KernelFeatures::Coinbase;
    let (rewards, others): (Vec<_>, Vec<_>) = page.block.kernels().partition(is_reward);
    let hash = page.block.hash();
    let mut ids: Vec<_> = others
        .iter()
        .map(|it| it.short_id(hash, page.nonce))
        .collect();
    ids.sort_unstable();
    pretty(&CompactBody {
        header,
        out_full: outputs,
        kern_full: rewards.iter().map(KernelBody::of).collect(),
        kern_ids: ids.into_iter().map(Hex).collect(),
    })
}

#[derive(Serialize)]
struct FoundBody {
    commit: CommitmentHex,
    height: u64,
    mmr_index: u64,
}

impl FoundBody {
    const fn of(found: &Found) -> Self {
        Self {
            commit: of_commitment(found.commitment),
            height: found.height,
            mmr_index: found.position,
        }
    }
}

#[derive(Serialize)]
struct HeightBody<'a> {
    header: HeightHeaderBody,
    outputs: Outputs<'a>,
}

#[derive(Serialize)]
struct HeightHeaderBody {
    hash: HashHex,
    height: u64,
    previous: HashHex,
}

impl<'a> HeightBody<'a> {
    fn of(block: &'a HeightOutputs) -> Self {
        let header = &block.header;
        Self {
            header: HeightHeaderBody {
                hash: of_hash(header.hash()),
                height: header.height(),
                previous: of_hash(header.previous()),
            },
            outputs: Outputs(&block.outputs),
        }
    }
}

#[derive(Serialize)]
struct KernelFoundBody {
    tx_kernel: TxKernelBody,
    height: u64,
    mmr_index: u64,
}

#[derive(Serialize)]
struct TxKernelBody {
    features: FeaturesBody,
    excess: CommitmentHex,
    excess_sig: Hex<[u8; 64]>,
}

#[derive(Serialize)]
enum FeaturesBody {
    Plain { fee: u64 },
    Coinbase,
    HeightLocked { fee: u64, lock_height: u64 },
    NoRecentDuplicate { fee: u64, relative_height: u64 },
}

impl KernelFoundBody {
    fn of(found: &KernelPage) -> Self {
        let kernel = &found.kernel;
        let features = match kernel.features() {
            KernelFeatures::Plain { fee } => FeaturesBody::Plain { fee: fee.bits() },
            KernelFeatures::Coinbase => FeaturesBody::Coinbase,
            KernelFeatures::HeightLocked { fee, lock_height } => FeaturesBody::HeightLocked {
                fee: fee.bits(),
                lock_height,
            },
            KernelFeatures::NoRecentDuplicate {
                fee,
                relative_height,
            } => FeaturesBody::NoRecentDuplicate {
                fee: fee.bits(),
                relative_height,
            },
        };
        Self {
            tx_kernel: TxKernelBody {
                features,
                excess: of_commitment(kernel.excess()),
                excess_sig: Hex(kernel.compact_signature()),
            },
            height: found.height,
            mmr_index: found.position + 1,
        }
    }
}

#[derive(Serialize)]
struct HashBody {
    hash: HashHex,
}

impl HashBody {
    const fn of(hash: &Hash) -> Self {
        Self {
            hash: of_hash(*hash),
        }
    }
}

#[derive(Serialize)]
struct RootsBody {
    output_root_hash: HashHex,
    range_proof_root_hash: HashHex,
    kernel_root_hash: HashHex,
}

impl RootsBody {
    fn of(header: &Header) -> Self {
        Self {
            output_root_hash: of_hash(header.output_root()),
            range_proof_root_hash: of_hash(header.range_proof_root()),
            kernel_root_hash: of_hash(header.kernel_root()),
        }
    }
}

#[derive(Serialize)]
struct PoolBody {
    pool_size: u64,
}

#[derive(Serialize)]
struct VersionBody {
    node_version: &'static str,
    block_header_version: u16,
}

#[derive(Serialize)]
struct StatusBody {
    protocol_version: u32,
    user_agent: &'static str,
    connections: u64,
    tip: TipBody,
    sync_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_info: Option<SyncBody>,
}

#[derive(Serialize)]
struct SyncBody {
    current_height: u64,
    highest_height: u64,
}

impl StatusBody {
    const fn of(page: &StatusPage) -> Self {
        let (sync_status, sync_info) = match page.sync {
            SyncState::AwaitingPeers => ("awaiting_peers", None),
            SyncState::Bodies { current, highest } => ("body_sync", Some((current, highest))),
            SyncState::Headers { current, highest } => ("header_sync", Some((current, highest))),
            SyncState::InSync => ("no_sync", None),
        };
        Self {
            protocol_version: PROTOCOL,
            user_agent: USER_AGENT,
            connections: page.connections,
            tip: TipBody::of(&page.tip),
            sync_status,
            sync_info: match sync_info {
                Some((current_height, highest_height)) => Some(SyncBody {
                    current_height,
                    highest_height,
                }),
                None => None,
            },
        }
    }
}

#[derive(Serialize)]
struct Capabilities {
    bits: u32,
}

#[derive(Serialize)]
struct LinkBody<'a> {
    capabilities: Capabilities,
    user_agent: &'a str,
    version: u32,
    addr: &'a str,
    direction: &'static str,
    total_difficulty: u64,
    height: u64,
}

impl<'a> LinkBody<'a> {
    fn of(link: &'a LinkPage) -> Self {
        Self {
            capabilities: Capabilities {
                bits: link.capabilities,
            },
            user_agent: &link.user_agent,
            version: PROTOCOL,
            addr: &link.addr,
            direction: if link.outbound { "Outbound" } else { "Inbound" },
            total_difficulty: link.total_difficulty,
            height: link.height,
        }
    }
}

#[derive(Serialize)]
struct PeerBody<'a> {
    addr: &'a str,
    capabilities: Capabilities,
    user_agent: &'a str,
    flags: &'static str,
    last_banned: u64,
    ban_reason: &'static str,
    last_connected: u64,
}

impl<'a> PeerBody<'a> {
    fn of(peer: &'a PeerPage) -> Self {
        Self {
            addr: &peer.addr,
            capabilities: Capabilities {
                bits: peer.capabilities,
            },
            user_agent: &peer.user_agent,
            flags: peer.flags,
            last_banned: peer.last_banned,
            ban_reason: peer.ban_reason,
            last_connected: peer.last_connected,
        }
    }
}
