//! What an operator may set, as the node sees it.

pub mod cluster;
pub mod grin;

use crate::commons::address::{HostAddr, PeerInfo};
use crate::commons::network::ChainwebVersion;
use crate::ids::{Fingerprint, PeerId, PublicKey};
use crate::limits::{CHAINS_MAX, GAS_LIMIT_MAX, GAS_PRICE_MIN, Limits};
use crate::time::Duration;

/// The settings of one node. Two nodes with equal settings, seed, rows and inputs act alike.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Chainweb network the node belongs to.
    pub network: ChainwebVersion,
    /// How many chains' mempools the node serves, from chain 0; at most [`CHAINS_MAX`].
    pub chains: u8,
    /// Who the node is.
    pub identity: Identity,
    /// Where other nodes reach the P2P listener.
    pub address: HostAddr,
    /// Peers given by the operator. They are never forgotten.
    pub known_peers: Vec<PeerInfo>,
    /// Keep to the known peers: take no others, gossip nothing.
    pub private: bool,
    /// How long a ban set by an operator lasts. Source: Grin's ban window, three hours.
    pub ban_window: Duration,
    /// The largest gas limit a command may ask for. Source: Chainweb `gasLimitOfBlock`.
    pub gas_limit_max: u64,
    /// The smallest gas price, in units of 10⁻¹². Source: Chainweb `minGasPrice`, 10⁻⁸.
    pub gas_price_min: u64,
    /// The node in its cluster.
    pub cluster: cluster::Cluster,
    /// How sessions with other nodes are held.
    pub sessions: Sessions,
    /// How WattSwarm's relationships and messages are treated.
    pub wattswarm: Wattswarm,
    /// The node's Mimblewimble chain.
    pub grin: grin::Grin,
    /// The bounds of all tables and queues.
    pub limits: Limits,
}

/// Who a node is.
#[derive(Clone)]
pub struct Identity {
    /// SHA-256 of the node's certificate: its Chainweb peer id.
    pub fingerprint: Fingerprint,
    /// The node's public key: in hex its WattSwarm node id.
    pub public_key: PublicKey,
    /// The 32 bytes of the secret key. Never shown.
    pub secret: [u8; 32],
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

/// How WattSwarm's relationships and messages are treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wattswarm {
    /// Whether other nodes hear of them.
    pub mode: WattswarmMode,
    /// The feed that answers to messages name.
    pub feed_key: String,
}

/// Whether other nodes hear of WattSwarm's relationships and messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WattswarmMode {
    /// A client may play both parts; nothing leaves the node.
    Local,
    /// Actions and messages are delivered to the nodes that they concern.
    #[default]
    Network,
}

impl WattswarmMode {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Network => "network",
        }
    }
}

impl Default for Wattswarm {
    fn default() -> Self {
        Self {
            mode: WattswarmMode::default(),
            feed_key: "wattswarm.private.dm".to_owned(),
        }
    }
}

/// How sessions with other nodes are held. Sources: Chainweb's P2P and mempool configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Sessions of the cut network at the same time.
    pub cut_max: usize,
    /// How often, in the mean, a network with room for more sessions asks a peer whom it has met.
    pub browse_interval: Duration,
    /// How long a session of the cut network lasts, give or take a tenth.
    pub cut_length: Duration,
    /// Sessions of each mempool network at the same time.
    pub mempool_max: usize,
    /// How long a mempool session lasts, give or take a tenth.
    pub mempool_length: Duration,
    /// Mean pause between two polls of a peer's mempool.
    pub poll_interval: Duration,
    /// How long an answer of a known peer may take.
    pub request_timeout: Duration,
    /// How long the answer to a probe may take.
    pub probe_timeout: Duration,
    /// How long a peer that was just added is left alone: whoever announces itself has a moment to
    /// finish doing so, and several announcements make one turn.
    pub greeting_delay: Duration,
    /// When the first sessions start.
    pub start_delay: Duration,
    /// How long accepted transactions are gathered before they are pushed.
    pub push_delay: Duration,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            browse_interval: Duration::from_secs(30),
            cut_max: 10,
            cut_length: Duration::from_secs(240),
            mempool_max: 6,
            mempool_length: Duration::from_secs(300),
            poll_interval: Duration::from_secs(15),
            request_timeout: Duration::from_secs(3),
            probe_timeout: Duration::from_secs(4),
            greeting_delay: Duration::from_millis(250),
            start_delay: Duration::from_millis(500),
            push_delay: Duration::from_millis(20),
        }
    }
}

impl Config {
    /// The default settings of a node of `network` with this identity and address.
    #[must_use]
    pub fn new(network: ChainwebVersion, identity: Identity, address: HostAddr) -> Self {
        let peer_id = PeerId::derived(&identity.fingerprint.0);
        Self {
            cluster: cluster::Cluster::new(peer_id, address.clone()),
            network,
            chains: CHAINS_MAX,
            identity,
            address,
            known_peers: Vec::new(),
            private: false,
            ban_window: Duration::from_secs(10_800),
            gas_limit_max: GAS_LIMIT_MAX,
            gas_price_min: GAS_PRICE_MIN,
            sessions: Sessions::default(),
            wattswarm: Wattswarm::default(),
            grin: grin::Grin::default(),
            limits: Limits::default(),
        }
    }

    /// What a peer is told about this node.
    #[must_use]
    pub fn own_info(&self) -> PeerInfo {
        PeerInfo::new(Some(self.identity.fingerprint), self.address.clone())
    }
}
