//! The real driver: one node over TCP, TLS, HTTP and a disk.
//!
//! [`start`] opens the data directory, binds both listeners and runs the node; [`Running`] tells
//! where it is and stops it. All behaviour is the node's; this crate carries it out.

#![warn(missing_docs)]

mod body;
mod certificate;
pub mod clock;
mod connect;
mod data_dir;
mod driver;
mod error;
mod files;
mod inbound;
mod listen;
mod metrics;
mod outbound;
pub mod panics;
pub mod store;
pub mod tls;
mod verify_pool;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use peerage_core::commons::address::{HostAddr, Hostname, PeerInfo};
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::config::cluster::Cluster;
use peerage_core::config::grin::Grin;
use peerage_core::config::{Config, Identity, Sessions, Wattswarm};
use peerage_core::http::throttle::{ADDRESSES_MAX, Rates, Throttle};
use peerage_core::ids::PeerId;
use peerage_core::limits::Limits;
use peerage_core::{Input, Listener, Node, Seed};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub use data_dir::DataDir;
pub use driver::Observer;
pub use error::{StartError, StoreError};
pub use listen::ConnectionLimits;
pub use metrics::Metrics;
pub use tls::NodeIdentity;

use clock::Clock;
use driver::Driver;
use inbound::Inbound;
use listen::Door;
use outbound::Outbound;
use verify_pool::VerifyPool;

/// How long a draining node waits for what is owed.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What a node is started with.
pub struct Settings {
    /// The data directory; made if it is not there.
    pub data: PathBuf,
    /// Where operators and their clients call, over plain HTTP.
    pub api: SocketAddr,
    /// Where other nodes call, over TLS.
    pub p2p: SocketAddr,
    /// What other nodes are told to call: the P2P address unless set. Port 0 becomes the port that
    /// the P2P listener got.
    pub public: Option<HostAddr>,
    /// The Chainweb network.
    pub network: ChainwebVersion,
    /// How many chains are served.
    pub chains: u8,
    /// Peers given by the operator.
    pub known_peers: Vec<PeerInfo>,
    /// Keep to the known peers.
    pub private: bool,
    /// How long an operator's ban lasts.
    pub ban_window: Duration,
    /// The largest gas limit of a command.
    pub gas_limit_max: u64,
    /// The smallest gas price, in units of 10⁻¹².
    pub gas_price_min: u64,
    /// The node in its cluster. Its peer id is that of the data directory, its address that below.
    pub cluster: Cluster,
    /// Where other nodes of the cluster are told to call: the API listener unless set, at the public
    /// host if the listener has no address of its own. Port 0 becomes the port that it got.
    pub cluster_address: Option<HostAddr>,
    /// How sessions with other nodes are held.
    pub sessions: Sessions,
    /// How WattSwarm's relationships and messages are treated.
    pub wattswarm: Wattswarm,
    /// The node's Mimblewimble chain.
    pub grin: Grin,
    /// The bounds of the node's tables.
    pub limits: Limits,
    /// How often strangers may ask.
    pub rates: Rates,
    /// Connections that the API listener takes.
    pub api_connections: ConnectionLimits,
    /// Connections that the P2P listener takes.
    pub p2p_connections: ConnectionLimits,
    /// Connections to other nodes, in all.
    pub outbound_connections_max: usize,
    /// Hears of every event.
    pub observer: Observer,
}

impl Settings {
    /// The defaults, with both listeners on free ports of loopback.
    #[must_use]
    pub fn new(data: PathBuf, network: ChainwebVersion) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        // What core says of identity and address is overwritten at the start.
        let identity = Identity {
            fingerprint: peerage_core::ids::Fingerprint([0; 32]),
            public_key: peerage_core::ids::PublicKey([0; 32]),
            secret: [0; 32],
        };
        let defaults = Config::new(network, identity, loopback.into());
        Self {
            data,
            api: loopback,
            p2p: loopback,
            public: None,
            network,
            chains: defaults.chains,
            known_peers: defaults.known_peers,
            private: defaults.private,
            ban_window: defaults.ban_window,
            gas_limit_max: defaults.gas_limit_max,
            gas_price_min: defaults.gas_price_min,
            cluster: defaults.cluster,
            cluster_address: None,
            sessions: defaults.sessions,
            wattswarm: defaults.wattswarm,
            grin: defaults.grin,
            limits: defaults.limits,
            rates: Rates::default(),
            api_connections: ConnectionLimits {
                connections_max: 4096,
                per_address_max: 4096,
            },
            p2p_connections: ConnectionLimits {
                connections_max: 4096,
                per_address_max: 256,
            },
            outbound_connections_max: 1024,
            observer: Box::new(|_| {}),
        }
    }
}

/// A node that serves. Dropping it stops it at once, as a crash would; [`Running::drain`] is the
/// gentle way.
pub struct Running {
    api_addr: SocketAddr,
    p2p_addr: SocketAddr,
    public_addr: HostAddr,
    identity: NodeIdentity,
    cluster_peer_id: PeerId,
    driver: Arc<Driver>,
    draining: watch::Sender<bool>,
    doors: Vec<JoinHandle<()>>,
    timer: JoinHandle<()>,
}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Running(api {}, p2p {})", self.api_addr, self.p2p_addr)
    }
}

/// Opens the data directory, binds both listeners and runs the node. Needs a tokio runtime.
///
/// # Errors
/// [`StartError`] says what to do about it.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    if settings.public.is_none() && settings.p2p.ip().is_unspecified() {
        return Err(StartError::PublicMissing { addr: settings.p2p });
    }
    let names: Vec<String> = settings
        .public
        .iter()
        .map(|public| public.host.to_string())
        .collect();
    let dir = settings.data.clone();
    let opening = tokio::task::spawn_blocking(move || DataDir::open(&dir, &names));
    let DataDir {
        identity,
        cluster_peer_id,
        store,
        rows,
    } = opening.await.map_err(|error| StoreError::WriteFailed {
        what: error.to_string(),
    })??;
    let descriptors = Descriptors::raise();
    let (api, api_addr) = listen("API", "--api", settings.api).await?;
    let (p2p, p2p_addr) = listen("P2P", "--p2p", settings.p2p).await?;
    let public_addr = told_addr(settings.public.as_ref(), p2p_addr);

    let tls_error = |error: rustls::Error| StartError::Tls(error.to_string());
    let acceptor = TlsAcceptor::from(tls::server(&identity).map_err(tls_error)?);
    let client = tls::Client::new(identity.clone()).map_err(tls_error)?;

    let config = Config {
        network: settings.network,
        chains: settings.chains,
        identity: Identity {
            fingerprint: identity.fingerprint,
            public_key: identity.public_key,
            secret: identity.secret,
        },
        address: public_addr.clone(),
        known_peers: settings.known_peers,
        private: settings.private,
        ban_window: settings.ban_window,
        gas_limit_max: settings.gas_limit_max,
        gas_price_min: settings.gas_price_min,
        cluster: Cluster {
            peer_id: cluster_peer_id,
            address: cluster_addr(settings.cluster_address.as_ref(), api_addr, &public_addr),
            ..settings.cluster
        },
        sessions: settings.sessions,
        wattswarm: settings.wattswarm,
        grin: settings.grin,
        limits: settings.limits,
    };
    let clock = Clock::start();
    let node = Node::restore(config, Seed(tls::random()), clock.now(), rows).map_err(|source| {
        StartError::Restore {
            dir: settings.data,
            source,
        }
    })?;
    let metrics = Arc::new(Metrics::default());
    let driver = Driver::new(node, clock, metrics.clone(), settings.observer);
    let outbound_max = descriptors.half().min(settings.outbound_connections_max);
    equip(&driver, store, client, metrics, outbound_max);
    // The node begins before anybody can ask: its known peers are there with the first request.
    driver.feed([Input::Tick]);
    let timer = tokio::spawn(Driver::keep_time(Arc::downgrade(&driver)));

    let throttle = Throttle::new(settings.rates, ADDRESSES_MAX);
    let inbound = Arc::new(Inbound::new(driver.clone(), throttle));
    let draining = watch::Sender::new(false);
    let door = |listener, socket, tls, limits| {
        let (inbound, draining) = (inbound.clone(), draining.subscribe());
        tokio::spawn(
            Door {
                listener,
                socket,
                tls,
                limits,
                inbound,
                draining,
            }
            .run(),
        )
    };
    let doors = vec![
        door(
            Listener::Api,
            api,
            None,
            descriptors.quarter(settings.api_connections),
        ),
        door(
            Listener::P2p,
            p2p,
            Some(acceptor),
            descriptors.quarter(settings.p2p_connections),
        ),
    ];
    Ok(Running {
        api_addr,
        p2p_addr,
        public_addr,
        identity,
        cluster_peer_id,
        driver,
        draining,
        doors,
        timer,
    })
}

/// Descriptors that connections may use. The store must never want for one: a file that it cannot
/// open would end the node.
#[derive(Clone, Copy)]
struct Descriptors(usize);

impl Descriptors {
    /// Asks the system for as many as it gives.
    fn raise() -> Self {
        let given = rlimit::increase_nofile_limit(DESCRIPTORS_WANTED).unwrap_or(1024);
        let given = usize::try_from(given).unwrap_or(usize::MAX);
        Self(given.saturating_sub(DESCRIPTORS_KEPT).max(64))
    }

    const fn half(self) -> usize {
        self.0 / 2
    }

    fn quarter(self, limits: ConnectionLimits) -> ConnectionLimits {
        ConnectionLimits {
            connections_max: limits.connections_max.min(self.0 / 4),
            ..limits
        }
    }
}

const DESCRIPTORS_WANTED: u64 = 65_536;
/// For the store, the runtime and the log.
const DESCRIPTORS_KEPT: usize = 256;

async fn listen(
    listener: &'static str,
    flag: &'static str,
    addr: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        listener,
        flag,
        addr,
        source,
    };
    let socket = TcpListener::bind(addr).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

fn told_addr(given: Option<&HostAddr>, bound: SocketAddr) -> HostAddr {
    let mut addr = given
        .cloned()
        .unwrap_or_else(|| HostAddr::new(Hostname::from(bound.ip()), bound.port()));
    if addr.port == 0 {
        addr.port = bound.port();
    }
    addr
}

/// Where the cluster is told to call. Nobody can call an unspecified address; the host is then the
/// one that other nodes are told in any case.
fn cluster_addr(given: Option<&HostAddr>, api: SocketAddr, public: &HostAddr) -> HostAddr {
    if given.is_none() && api.ip().is_unspecified() {
        HostAddr::new(public.host.clone(), api.port())
    } else {
        told_addr(given, api)
    }
}

fn equip(
    driver: &Arc<Driver>,
    store: store::Store,
    client: tls::Client,
    metrics: Arc<Metrics>,
    outbound_connections_max: usize,
) {
    let weak = Arc::downgrade(driver);
    let committer = store.run(
        metrics.clone(),
        {
            let weak = weak.clone();
            move |upto| {
                if let Some(driver) = weak.upgrade() {
                    driver.feed([Input::Persisted { upto }]);
                }
            }
        },
        {
            let weak = weak.clone();
            move |error| {
                if let Some(driver) = weak.upgrade() {
                    driver.fail(error);
                }
            }
        },
    );
    let outbound = Outbound::new(
        *driver.site(),
        client,
        outbound_connections_max,
        weak.clone(),
    );
    let verify = VerifyPool::start(
        {
            let weak = weak.clone();
            move |verdicts: Vec<_>| {
                metrics.verified(verdicts.len());
                if let Some(driver) = weak.upgrade() {
                    let input = |(id, verdict)| Input::Verdict { id, verdict };
                    driver.feed(verdicts.into_iter().map(input));
                }
            }
        },
        move || {
            if let Some(driver) = weak.upgrade() {
                driver.fail(StoreError::WriteFailed {
                    what: "a check panicked".to_owned(),
                });
            }
        },
    );
    driver.equip(committer, outbound, verify);
}

impl Running {
    /// Where the API listens.
    #[must_use]
    pub const fn api_addr(&self) -> SocketAddr {
        self.api_addr
    }

    /// Where the P2P listener listens.
    #[must_use]
    pub const fn p2p_addr(&self) -> SocketAddr {
        self.p2p_addr
    }

    /// What other nodes are told to call.
    #[must_use]
    pub const fn public_addr(&self) -> &HostAddr {
        &self.public_addr
    }

    /// Who the node is.
    #[must_use]
    pub const fn identity(&self) -> &NodeIdentity {
        &self.identity
    }

    /// The node's id in the cluster family.
    #[must_use]
    pub const fn cluster_peer_id(&self) -> PeerId {
        self.cluster_peer_id
    }

    /// The node's counters.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.driver.metrics
    }

    /// Looks at the node, holding its lock: be brief.
    pub fn inspect<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        self.driver.inspect(look)
    }

    /// Waits until the node cannot go on, and says why. Nothing was acknowledged after that.
    pub async fn fatal(&self) -> Arc<StoreError> {
        let mut fatal = self.driver.fatal();
        match fatal.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(error)) => error.clone(),
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Takes nothing new, finishes what is owed, makes everything durable, and stops.
    ///
    /// # Errors
    /// What went wrong with the store, now or before. Nothing was acknowledged after that.
    pub async fn drain(mut self) -> Result<(), Arc<StoreError>> {
        self.driver.feed([Input::Drain]);
        self.draining.send_replace(true);
        let doors = std::mem::take(&mut self.doors);
        let aborts: Vec<_> = doors.iter().map(JoinHandle::abort_handle).collect();
        let driver = self.driver.clone();
        let owed = async {
            for door in doors {
                let _ = door.await;
            }
            driver.stop_calls();
            // Hints are written within a second; nothing else is left by then.
            while !driver.is_quiet() && driver.fatal().borrow().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(DRAIN_MAX, owed).await;
        for door in aborts {
            door.abort();
        }
        self.timer.abort();
        if let Some(store) = self.driver.take_store() {
            let _ = tokio::task::spawn_blocking(move || store.close()).await;
        }
        let fatal = self.driver.fatal().borrow().clone();
        fatal.map_or(Ok(()), Err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.timer.abort();
        for door in &self.doors {
            door.abort();
        }
    }
}
