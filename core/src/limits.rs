//! Every bound, in one place, with the relations between them checked while compiling.
//!
//! Tables that a simulation wants small are fields of [`Limits`]; what a protocol fixes is a
//! constant.

use crate::time::Duration;

/// Bytes of a request or response body on Chainweb routes. Source: Chainweb `p2pRequestSizeLimit`.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a request's header block. Source: the warp server under Chainweb.
pub const HEADER_BYTES_MAX: usize = 50 * 1024;
/// Chains of the networks served. Source: Chainweb's 20-chain graph.
pub const CHAINS_MAX: u8 = 20;
/// Signatures of one command. Source: Chainweb's insert pipeline, step 9.
pub const SIGNATURES_MAX: usize = 100;
/// Gas that a command may ask for, unless configured. Source: Chainweb `gasLimitOfBlock`.
pub const GAS_LIMIT_MAX: u64 = 150_000;
/// The least that a command may pay per unit of gas, in units of 10⁻¹², unless configured. Source:
/// Chainweb `minGasPrice`, 10⁻⁸.
pub const GAS_PRICE_MIN: u64 = 10_000;
/// Decimal places of an amount in the ledger. Source: Chainweb's insert pipeline, step 2.
pub const GAS_PRICE_DECIMALS_MAX: u32 = 12;
/// Seconds that a command may live. Source: Chainweb's insert pipeline, step 16.
pub const TTL_MAX_S: i128 = 172_800;
/// Seconds of a command's life that count for its expiry. Source: Chainweb's in-memory pool.
pub const TTL_COUNTED_MAX_S: i128 = TTL_MAX_S + 1;
/// How deep JSON may nest. The real nodes have no limit but their stack; no genuine command comes
/// near.
pub const DEPTH_MAX: u32 = 128;
/// Segments of a path; a longer one leads nowhere.
pub const SEGMENTS_MAX: usize = 16;
/// Bytes of a host name: the longest name that DNS can carry. The bound is ours: the original has
/// none, and a table of peers must not grow with the length of their names.
pub const HOSTNAME_BYTES_MAX: usize = 253;
/// Client addresses that throttling remembers, unless told otherwise; about 2 MiB.
pub const ADDRESSES_MAX: usize = 16_384;
/// Items of a peer page when the reader names no limit. Source: Chainweb paging.
pub const PAGE_DEFAULT: usize = 64;
/// Items of a peer page at most. Source: Chainweb paging.
pub const PAGE_MAX: usize = 512;
/// Peers taken from one page of a peer we sync with. Source: Chainweb `syncFromPeer`.
pub const SYNC_PEERS_MAX: usize = 32;
/// Probes of learned peers that run at the same time. Source: Chainweb `syncFromPeer`.
pub const SYNC_PROBES_MAX: usize = 16;
/// Transactions pushed in one request. Source: Chainweb `syncMempools'`.
pub const PUSH_CHUNK_MAX: usize = 1024;
/// Hashes that a mempool session remembers as the peer's, and as refused.
pub const SESSION_HASHES_MAX: usize = 4_096;
/// Pending commands of a former run that are checked at a time.
pub const RELOAD_CHUNK_MAX: usize = 512;
/// Mined commands that a pool remembers. Source: Chainweb's index of recently mined transactions.
pub const MINED_MAX: usize = 1_048_576;
/// Commands that a pool remembers to have failed in a block. Chainweb has no bound.
pub const BAD_MAX: usize = 65_536;
/// Hints are written at the latest after this long.
pub const HINT_DELAY: Duration = Duration::from_secs(1);
/// Hints that wait; with this many they are written at once.
pub const HINTS_MAX: usize = 4_096;
/// Bytes of answers that wait for the disk; beyond it requests are refused.
pub const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Deadlines that one tick looks at; the others are left due.
pub const TICK_DEADLINES_MAX: usize = 64;
/// Peers that one synchronisation forgets at most; the others are left for the next.
pub const PRUNED_MAX: usize = 64;
/// Who may wait for one probe; more are refused.
pub const WAITERS_MAX: usize = 64;
/// First pages of peers that are kept ready, over all networks; others are made on demand.
pub const CACHED_PAGES_MAX: usize = 64;
/// Peers learned from others that wait to be probed, in all.
pub const LEARNED_MAX: usize = 1_024;
/// Bytes of commands in one answer to a lookup, before they are written as JSON; asking for more is
/// refused. Peers take [`BODY_BYTES_MAX`] at most, other clients may be more patient.
pub const LOOKUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// A peer is forgotten after more failures than this, if it has not been reached for
/// [`PEER_SILENCE_MAX`].
pub const PEER_FAILURES_MAX: u32 = 5;
/// See [`PEER_FAILURES_MAX`]. Source: Chainweb `prunePeerDb`.
pub const PEER_SILENCE_MAX: Duration = Duration::from_secs(12 * 3600);
/// Redirects that a probe follows.
pub const REDIRECTS_MAX: usize = 10;
/// Bytes of an agent envelope's message, of its extensions and of its card, each as JSON text.
/// Source: WattSwarm `RawAgentEnvelope::validate`.
pub const AGENT_JSON_BYTES_MAX: usize = 65_536;
/// How deep each of these may nest, and a direct message's content and contact material too. Ours: they
/// are shown up to eight levels deep within an answer, and many clients read 128 levels, or nothing.
pub const AGENT_JSON_DEPTH_MAX: u32 = 120;
/// Bytes of an agent envelope as it travels. Ours: the original bounds only the three texts above,
/// and half of them may be escapes.
pub const AGENT_ENVELOPE_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a WattSwarm node id; 64 for a real one. Ours: the original has no bound.
pub const NODE_ID_BYTES_MAX: usize = 256;
/// Bytes of contact material. Source: WattSwarm, 64 KiB.
pub const CONTACT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of its signature; 128 for a real one.
pub const CONTACT_SIGNATURE_BYTES_MAX: usize = 1_024;
/// Addresses that are taken from contact material.
pub const CONTACT_ADDRESSES_MAX: usize = 8;
/// Bytes of the event that carries a direct message. Source: WattSwarm, 128 KiB.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;
/// Bytes of such an event beside the ciphertext: ids, keys, signature.
pub const EVENT_OVERHEAD_BYTES: usize = 1_536;
/// Bytes of the id of a message that another node chose.
pub const MESSAGE_ID_BYTES_MAX: usize = 128;
/// The latest time that a message may carry, in Unix milliseconds: the end of the year 9999.
pub const MESSAGE_TIME_MAX_MS: u64 = 253_402_300_799_999;
/// How long a node is connected after it was last in touch. Source: WattSwarm
/// `PEER_LAST_SEEN_TTL`.
pub const CONNECTED_MAX: Duration = Duration::from_secs(180);
/// How long a node is listed after it was last seen, in milliseconds. Source: WattSwarm
/// `nearby_peer_is_fresh`.
pub const FRESH_MAX_MS: u64 = 3_600_000;
/// Items of one delivery between nodes.
pub const DELIVERY_ITEMS_MAX: usize = 32;
/// Bytes of one delivery between nodes, unless a single item is larger.
pub const DELIVERY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the body of a delivery between nodes: one item of the largest kind and contact material fit.
pub const DELIVERY_BODY_MAX: usize = 1024 * 1024;
/// Deliveries of other nodes whose envelopes are being checked. Each may hold a whole body.
pub const DELIVERY_CHECKS_MAX: usize = 64;
/// How long the answer to a delivery may take.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after the first failed delivery; it doubles with each. Source: WattSwarm, 5 s.
pub const DELIVERY_PAUSE_MIN: Duration = Duration::from_secs(5);
/// The longest pause between deliveries. Source: WattSwarm, 60 s.
pub const DELIVERY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Failed deliveries after which a waiting message is shown as failed. Source: WattSwarm, 10.
pub const DELIVERY_ATTEMPTS_MAX: u32 = 10;

/// Pause between two greetings of a linked peer, from and below this many microseconds. Source: Grin
/// pings every 10 s.
pub const GRIN_GREET_INTERVAL: (u64, u64) = (9_000_000, 11_000_000);
/// Peers up to which all are looked at for somebody to link with.
pub const GRIN_LOOK_ALL_MAX: usize = 256;
/// Peers of a larger table that are looked at, drawn by luck.
pub const GRIN_LOOKS: usize = 32;
/// How long a linked peer may be silent.
pub const GRIN_SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long an answer of a linked peer may take.
pub const GRIN_CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer is not asked that did not give what it claims to have.
pub const GRIN_REST: Duration = Duration::from_secs(5);
/// How often in a row a linked peer may fail to give what it claims to have.
pub const GRIN_MISSES_MAX: u32 = 3;
/// Characters of a peer's user agent that are kept.
pub const GRIN_AGENT_CHARS_MAX: usize = 128;
/// Peers of which something is known besides what the common table has.
pub const GRIN_BOOK_MAX: usize = 4_096;
/// Seconds after which a peer that cannot be linked is forgotten. Source: Grin, 14 days.
pub const GRIN_DEFUNCT_AGE_SECS: u64 = 14 * 86_400;
/// Missing blocks that are asked for at a time, of all peers together.
pub const GRIN_AHEAD_MAX: usize = 128;
/// Transactions that are being checked.
pub const GRIN_CHECKS_MAX: usize = 1_024;
/// Transactions of one linked peer that are being checked.
pub const GRIN_CHECKS_PER_PEER_MAX: usize = 128;
/// Turns that a transaction of a former run has for finding those on which it depends.
pub const GRIN_RELOAD_TURNS: u8 = 4;
/// How often the stem pool is looked at. Source: Grin `DANDELION_MONITOR`, 10 s.
pub const GRIN_MONITOR_INTERVAL: Duration = Duration::from_secs(10);
/// Attempts at a proof of work that are made in one go: some 4 ms on the automated-testing chain.
pub const GRIN_ATTEMPTS: u32 = 64;
/// Peers that a node calls by itself over its Mimblewimble chain. Source: Grin's preferred number of
/// outbound peers.
pub const GRIN_LINKS_MAX: usize = 8;
/// Peers that may have called us and count as connected. Source: Grin, 128 and a buffer of 8.
pub const GRIN_INBOUND_MAX: usize = 136;
/// Headers in one answer to another node. Source: Grin `MAX_BLOCK_HEADERS` is 512; ours are checked
/// in one go.
pub const GRIN_HEADERS_MAX: usize = 64;
/// Hashes in a locator. Source: Grin `MAX_LOCATORS`.
pub const GRIN_LOCATOR_MAX: usize = 20;
/// Blocks in one answer to another node.
pub const GRIN_BLOCKS_MAX: usize = 16;
/// Bytes of a block or a transaction as nodes send it. The heaviest block of a test chain has eleven
/// outputs.
pub const GRIN_ITEM_BYTES_MAX: usize = 64 * 1024;
/// Headers and blocks beside the main chain. The ones with the least work make room.
pub const GRIN_SIDE_MAX: usize = 4_096;
/// Names of blocks that are known to be bad; the oldest make room.
pub const GRIN_BAD_MAX: usize = 4_096;
/// Blocks that one step adds to the chain. Ours: a block takes up to half a millisecond.
pub const GRIN_APPLY_MAX: usize = 2;
/// Blocks that a change of branches may take back and add while nobody else is served.
pub const GRIN_TURN_MAX: u64 = 4;
/// Blocks that a reorganisation may take back at once. Ours: beyond the fourth block it is worked out
/// elsewhere.
pub const GRIN_REORG_MAX: usize = 1_000;
/// Blocks that one step of a long answer looks at.
pub const GRIN_SLICE_BLOCKS: usize = 16;
/// Outputs that one step of a long answer looks at.
pub const GRIN_SLICE_OUTPUTS: usize = 500;
/// Long answers under way at the same time.
pub const GRIN_SCANS_MAX: usize = 64;
/// Heights that one answer may span. Ours: the original has no bound.
pub const GRIN_HEIGHTS_MAX: u64 = 10_000;
/// Outputs in one answer. Source: Grin, for its traversals.
pub const GRIN_OUTPUTS_MAX: u64 = 10_000;
/// Commitments that one question may name. Ours: stock wallets name at most 500.
pub const GRIN_IDS_MAX: usize = 4_096;
/// Blocks that one step of a validation replays.
pub const GRIN_REPLAY_BLOCKS: usize = 64;
/// Blocks that one step of a compaction takes. Ours: each may change a row for each of its inputs.
pub const GRIN_COMPACT_BLOCKS: usize = 8;
/// Blocks by which a chain must have grown beyond the horizon to be compacted again. Source: Grin
/// `compact`.
pub const GRIN_COMPACT_AFTER: u64 = 60;
/// Requests that wait for one validation, or for one compaction.
pub const GRIN_WAITERS_MAX: usize = 64;
/// Bytes of a pushed transaction: hexadecimal digits in JSON.
pub const GRIN_PUSH_BYTES_MAX: usize = 512 * 1024;
/// Bytes of what a node says of itself to another.
pub const GRIN_HELLO_BYTES_MAX: usize = 4 * 1024;
/// Bytes of each text in it, and of the text of a node's failure.
pub const GRIN_TEXT_MAX: usize = 256;
/// Transactions of a former run that are checked at a time.
pub const GRIN_RELOAD_MAX: usize = 64;
/// Transactions on which one may depend for going into the same block as they. Ours.
pub const GRIN_ANCESTORS_MAX: usize = 64;
/// Transactions that one step after a reorganisation takes in again.
pub const GRIN_POOL_SLICE: usize = 256;
/// How long a spread transaction is remembered, in case a reorganisation takes it out of the chain.
/// Source: Grin `reorg_cache_period`, 30 minutes.
pub const GRIN_REORG_CACHE_AGE: Duration = Duration::from_secs(30 * 60);
/// Bytes that waiting transactions may take, in the pool and in its stem each. Ours: the original
/// counts transactions only.
pub const GRIN_POOL_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Transactions that are looked at for one block.
pub const GRIN_PICK_LOOKS_MAX: usize = 2_048;
/// Transactions in a row for which a block has no room before it counts as full.
pub const GRIN_PICK_MISSES_MAX: usize = 64;
/// How long an epoch of Dandelion lasts. Source: Grin `DANDELION_EPOCH_SECS`.
pub const GRIN_EPOCH: Duration = Duration::from_secs(600);
/// How many epochs of a hundred pass transactions on unseen. Source: Grin
/// `DANDELION_STEM_PROBABILITY`.
pub const GRIN_STEM_PERCENT: u64 = 90;
/// For how long stem transactions are collected to be spread as one. Source: Grin
/// `DANDELION_AGGREGATION_SECS`.
pub const GRIN_COLLECT: Duration = Duration::from_secs(30);
/// How long others have for spreading a stem transaction, at least. Source: Grin
/// `DANDELION_EMBARGO_SECS`.
pub const GRIN_EMBARGO_MIN: Duration = Duration::from_secs(180);
/// What luck adds to that at most. Source: Grin, 30 s.
pub const GRIN_EMBARGO_LUCK: Duration = Duration::from_secs(30);

/// Bytes of a request body of the cluster API.
pub const CLUSTER_BODY_MAX: usize = 64 * 1024;
/// Bytes of a gossip message between nodes of a cluster.
pub const GOSSIP_BODY_MAX: usize = 1024 * 1024;
/// Records in one gossip message; about 700 bytes each at the longest.
pub const GOSSIP_RECORDS_MAX: usize = 1_024;
/// Peers that one round of heartbeats reaches when there are more. Ours.
pub const GOSSIP_FANOUT: usize = 3;
/// With so many peers or fewer a round of heartbeats reaches all of them. Ours.
pub const GOSSIP_ALL_MAX: usize = 8;
/// Characters of a peer's name. Ours.
pub const NAME_CHARS_MAX: usize = 255;
/// Bytes of an id or a name of a licence, a customer or a client.
pub const CLUSTER_TEXT_MAX: usize = 255;
/// Bytes of an `Authorization` header that is looked at.
pub const AUTHORIZATION_BYTES_MAX: usize = 4_096;
/// Tokens whose signature is known to be good.
pub const KNOWN_TOKENS_MAX: usize = 1_024;
/// Requests that wait for the signature of their token to be checked.
pub const TOKEN_CHECKS_MAX: usize = 256;
/// Credentials of a node.
pub const CREDENTIALS_MAX: usize = 1_024;
/// Peers of a cluster, whatever its licence says.
pub const MEMBERS_MAX: usize = 4_096;
/// Peers that an operator deleted and that are remembered; the oldest makes room for another deletion,
/// and for nothing else.
pub const DELETIONS_MAX: usize = 4_096;
/// Peers that have left by themselves and are remembered; the oldest makes room for another departure.
pub const DEPARTURES_MAX: usize = 4_096;
/// Peers being added by operators at the same time.
pub const ADDS_MAX: usize = 64;
/// Handshakes of others that are being checked.
pub const HELLOS_MAX: usize = 64;
/// Gossip messages and announcements that are being checked.
pub const NEWS_MAX: usize = 64;
/// Peers heard of and not yet shaken hands with.
pub const CANDIDATES_MAX: usize = 1_024;
/// Handshakes under way with peers heard of.
pub const DISCOVERIES_MAX: usize = 8;
/// Times that a peer is told again that this node leaves, if it did not hear the first time.
pub const FAREWELLS_MAX: u32 = 3;

const _: () = assert!(
    GRIN_HEADERS_MAX < GRIN_SIDE_MAX / 2,
    "headers must not crowd each other out"
);

/// The bounds of one node's tables and queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bans in force.
    pub bans_max: usize,
    /// Calls under way, in all.
    pub calls_max: usize,
    /// Calls under way to one peer.
    pub calls_per_peer_max: usize,
    /// Nodes whose contact material is kept.
    pub contacts_max: usize,
    /// Transactions of a Mimblewimble pool; as many again may wait in its stem. Source: Grin, 50,000.
    pub grin_pool_max: usize,
    /// Commits that are issued and not yet durable; beyond it requests are refused.
    pub commits_max: u64,
    /// Bytes of direct messages, in all.
    pub message_bytes_max: usize,
    /// Bytes of direct messages of one conversation: one friend alone cannot fill the table.
    pub message_bytes_per_thread_max: usize,
    /// Direct messages, in all.
    pub messages_max: usize,
    /// Direct messages of one conversation.
    pub messages_per_thread_max: usize,
    /// Actions and messages that wait to be delivered, in all.
    pub outbox_max: usize,
    /// Actions and messages that wait to be delivered to one node.
    pub outbox_per_peer_max: usize,
    /// Bytes of pending commands of one chain.
    pub pool_bytes_max: usize,
    /// Pending commands of one chain. Source: Chainweb, 10,000.
    pub pool_max: usize,
    /// Peers in the one table.
    pub peers_max: usize,
    /// Probes under way, in all.
    pub probes_max: usize,
    /// Probes under way that one source address caused.
    pub probes_per_source_max: usize,
    /// Transactions that wait to be pushed to one peer.
    pub push_queue_max: usize,
    /// Nodes with which there is or was a relationship, about 900 bytes each. A tenth is kept for the
    /// operator's own.
    pub relationships_max: usize,
    /// Bytes of agent envelopes and contact material that are kept for relationships, in all. A tenth is
    /// kept for the operator's own.
    pub relationship_bytes_max: usize,
    /// Bytes of agent envelopes that are kept for the relationship with one node.
    pub relationship_bytes_per_peer_max: usize,
    /// Requests with ids of their own, with one node.
    pub requests_per_peer_max: usize,
    /// Requests that are taken and not yet answered.
    pub requests_max: usize,
    /// Missing hashes asked for in one lookup.
    pub lookup_slice_max: usize,
    /// How old a mark may be, in insertions, before it is void and gets everything. Source:
    /// Chainweb's in-memory pool, 2,048.
    pub recent_log_max: usize,
    /// Signature checks under way for one source.
    pub verifies_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bans_max: 16_384,
            calls_max: 2_048,
            calls_per_peer_max: 64,
            contacts_max: 100_000,
            grin_pool_max: 50_000,
            commits_max: 4_096,
            message_bytes_max: 1024 * 1024 * 1024,
            message_bytes_per_thread_max: 64 * 1024 * 1024,
            messages_max: 1_000_000,
            messages_per_thread_max: 100_000,
            outbox_max: 100_000,
            outbox_per_peer_max: 1_024,
            pool_bytes_max: 64 * 1024 * 1024,
            pool_max: 10_000,
            peers_max: 16_384,
            probes_max: 256,
            probes_per_source_max: 16,
            push_queue_max: 4_096,
            recent_log_max: 2_048,
            relationships_max: 100_000,
            relationship_bytes_max: 256 * 1024 * 1024,
            relationship_bytes_per_peer_max: 2 * 1024 * 1024,
            requests_max: 16_384,
            requests_per_peer_max: 64,
            lookup_slice_max: 512,
            verifies_max: 4_096,
        }
    }
}

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(SYNC_PROBES_MAX <= SYNC_PEERS_MAX && SYNC_PEERS_MAX <= PAGE_DEFAULT);
const _: () = assert!(EVENT_BYTES_MAX < DELIVERY_BYTES_MAX && DELIVERY_BYTES_MAX < BODY_BYTES_MAX);
const _: () = assert!(
    6 * AGENT_JSON_BYTES_MAX < AGENT_ENVELOPE_BYTES_MAX
        && AGENT_ENVELOPE_BYTES_MAX <= BODY_BYTES_MAX / 4,
    "three texts of quotes alone fit an envelope, and an envelope a body"
);
const _: () = assert!(
    AGENT_ENVELOPE_BYTES_MAX + 2 * CONTACT_BYTES_MAX + DELIVERY_BYTES_MAX <= DELIVERY_BODY_MAX
        && DELIVERY_BODY_MAX <= BODY_BYTES_MAX,
    "whatever a node hands over is read"
);
const _: () = assert!(GOSSIP_RECORDS_MAX * 1_000 <= GOSSIP_BODY_MAX);
const _: () = assert!(
    GOSSIP_BODY_MAX <= BODY_BYTES_MAX,
    "an answer must be readable"
);
const _: () = assert!(
    GRIN_BLOCKS_MAX * (GRIN_ITEM_BYTES_MAX + 4) <= BODY_BYTES_MAX
        && GRIN_HEADERS_MAX * 1_024 <= BODY_BYTES_MAX,
    "an answer must be readable"
);
const _: () = assert!(AGENT_JSON_DEPTH_MAX + 8 <= DEPTH_MAX);
const _: () = assert!(CHAINS_MAX < 31, "networks are a 32-bit set");
