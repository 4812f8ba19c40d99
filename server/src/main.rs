//! The program `peerage`: settings, a running node, signals, exit codes.

mod check;
mod cli;
mod config;
mod grin;
mod logging;
mod sign;
mod values;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::config::cluster::{Cluster, ClusterSecret};
use peerage_core::config::grin::Grin as GrinSettings;
use peerage_core::http::throttle::Rates;
use peerage_core::mw::{Rules, chain_file};
use peerage_io::{Running, Settings, StartError, StoreError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use cli::{Chainweb, Cli, Command, Grin, Keys, LogFormat, RunArgs};
use logging::EventLog;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const DATA_REFUSED: u8 = 3;
const DATA_IN_USE: u8 = 4;
const CANNOT_LISTEN: u8 = 5;
const STORE_FAILED: u8 = 6;

fn main() -> ExitCode {
    abort_on_panic();
    let Cli { command, run } = Cli::read();
    match command {
        Some(Command::Chainweb(Chainweb::Sign(args))) => finish(sign::body(&args)),
        Some(Command::Grin(Grin::Seed(args))) => finish(grin::seed(&args)),
        Some(Command::Grin(Grin::Balance(args))) => finish(grin::balance(&args)),
        Some(Command::Grin(Grin::Spend(args))) => finish(grin::spend(&args)),
        Some(Command::Check(data)) => match check::check(&data.path) {
            Ok(summary) => {
                say(&summary);
                ExitCode::SUCCESS
            }
            Err(error) => {
                let code = store_code(&error);
                complain(&anyhow!(error.to_string()), code)
            }
        },
        Some(Command::Run(args)) => run_node(*args),
        None => run_node(run),
    }
}

/// Prints what a command was asked for, or why it cannot be had.
fn finish(said: anyhow::Result<String>) -> ExitCode {
    match said {
        Ok(line) => {
            say(&line);
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = error.downcast_ref().map_or(FAILED, store_code);
            complain(&error, code)
        }
    }
}

/// A panic leaves a node half changed, which must not go on serving. Where a panic is expected, on
/// damaged files, it is caught and becomes a message.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !peerage_io::panics::expected() {
            report(info);
            std::process::abort();
        }
    }));
}

fn run_node(args: RunArgs) -> ExitCode {
    let keys = match args.config.as_deref().map(config::read).transpose() {
        Ok(file) => args.keys.or(file.unwrap_or_default()),
        Err(error) => return complain(&error, USAGE),
    };
    let format = keys.log_format.unwrap_or(LogFormat::Text);
    logging::start(format, keys.log_level.unwrap_or(tracing::Level::INFO));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into(), FAILED),
    };
    let cluster = match cluster_settings(&keys) {
        Ok(cluster) => cluster,
        Err(error) => return complain(&error, USAGE),
    };
    let grin = match grin_settings(&keys) {
        Ok(grin) => grin,
        Err(error) => return complain(&error, USAGE),
    };
    let mut settings = settings(keys);
    settings.cluster = cluster;
    settings.grin = grin;
    if let Err(refusal) = check::ahead(&settings.data) {
        return complain(&refusal.error, refusal.code.unwrap_or(DATA_REFUSED));
    }
    let code = runtime.block_on(serve(settings));
    // Whatever still runs has nothing left to promise.
    runtime.shutdown_background();
    code
}

fn settings(keys: Keys) -> Settings {
    let data = keys.data.unwrap_or_else(|| PathBuf::from("peerage-data"));
    let mut settings = Settings::new(data, keys.network.unwrap_or(ChainwebVersion::Development));
    settings.api = keys
        .api
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1848)));
    settings.p2p = keys
        .p2p
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1789)));
    settings.public = keys.public;
    settings.known_peers = keys.peer;
    settings.cluster_address = keys.cluster_address;
    settings.private = keys.private.unwrap_or(false);
    settings.ban_window = keys.grin_ban_window.unwrap_or(settings.ban_window);
    settings.gas_limit_max = keys.gas_limit_max.unwrap_or(settings.gas_limit_max);
    settings.gas_price_min = keys
        .gas_price_min
        .map_or(settings.gas_price_min, |price| price.0);
    settings.wattswarm.mode = keys.wattswarm_mode.unwrap_or(settings.wattswarm.mode);
    settings.chains = keys.chains.unwrap_or(settings.chains);
    let defaults = Rates::default();
    settings.rates = Rates {
        put_peer: keys
            .throttle_put_peer
            .map_or(defaults.put_peer, |throttle| throttle.0),
        mempool: keys
            .throttle_mempool
            .map_or(defaults.mempool, |throttle| throttle.0),
        global: keys
            .throttle_global
            .map_or(defaults.global, |throttle| throttle.0),
    };
    let log = EventLog::new();
    settings.observer = Box::new(move |event| log.write(event));
    settings
}

/// The node's Mimblewimble chain.
fn grin_settings(keys: &Keys) -> anyhow::Result<GrinSettings> {
    let defaults = GrinSettings::default();
    let rules = Rules {
        fee: keys.grin_fee_rule.unwrap_or(defaults.rules.fee),
        ..Rules::of(keys.grin_chain.unwrap_or(defaults.rules.chain))
    };
    let import = keys.grin_import.as_ref().map(|file| {
        let cannot = || format!("cannot import the chain file {}", file.display());
        let bytes = std::fs::read(file).with_context(cannot)?;
        let blocks = chain_file::read(&rules, &bytes).with_context(cannot)?;
        anyhow::Ok(blocks.into())
    });
    let secret = keys.grin_api_secret_file.as_deref().map(grin::secret_of);
    Ok(GrinSettings {
        rules,
        import: import.transpose()?,
        mine: keys.grin_mine.and_then(|mine| mine.0),
        api_secret: secret.transpose()?,
        ..defaults
    })
}

/// The node in its cluster. What is wrong with a token or a secret is said without it.
fn cluster_settings(keys: &Keys) -> anyhow::Result<Cluster> {
    if let Some((option, wrong)) = keys.faulty_secret() {
        return Err(anyhow!("invalid value for '{option}': {wrong}"));
    }
    let mut cluster = Settings::new(PathBuf::new(), ChainwebVersion::Development).cluster;
    if let Some(id) = &keys.license_id {
        cluster.licence.id.clone_from(id);
    }
    if let Some(max) = keys.license_max_nodes {
        cluster.licence.nodes_max = max;
    }
    cluster.licence_key = keys.license_key;
    let tokens = keys.token.iter().filter_map(|it| it.0.clone().ok());
    cluster.tokens = tokens.collect();
    let clients = keys.client.iter().filter_map(|it| it.0.clone().ok());
    cluster.clients = clients.collect();
    if let Some(file) = &keys.cluster_secret_file {
        let secret = std::fs::read(file)
            .with_context(|| format!("cannot read the secret file {}", file.display()))?;
        let secret = secret.trim_ascii().to_vec();
        if secret.len() < CLUSTER_SECRET_MIN {
            return Err(anyhow!(
                "the secret file {} holds less than {CLUSTER_SECRET_MIN} bytes",
                file.display()
            ));
        }
        cluster.secret = Some(ClusterSecret(secret));
    }
    Ok(cluster)
}

/// Bytes of a secret that nodes share; fewer could be found by trying.
const CLUSTER_SECRET_MIN: usize = 16;

async fn serve(settings: Settings) -> ExitCode {
    let signals = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return complain(&anyhow!("cannot listen for signals"), FAILED);
    };
    let node = match peerage_io::start(settings).await {
        Ok(node) => node,
        Err(error) => {
            let code = start_code(&error);
            return complain(&anyhow!(error.to_string()), code);
        }
    };
    tracing::info!(
        api = %node.api_addr(),
        p2p = %node.p2p_addr(),
        public = %node.public_addr(),
        peer_id = %node.identity().fingerprint,
        "serving"
    );
    say(&ready(&node));
    let fatal = tokio::select! {
        error = node.fatal() => Some(error),
        () = either(&mut terminate, &mut interrupt) => None,
    };
    if let Some(error) = fatal {
        return complain(&anyhow!(error.to_string()), STORE_FAILED);
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        drained = node.drain() => match drained {
            Ok(()) => {
                tracing::info!("stopped");
                ExitCode::SUCCESS
            }
            Err(error) => complain(&anyhow!(error.to_string()), STORE_FAILED),
        },
        () = either(&mut terminate, &mut interrupt) => {
            tracing::warn!("stopped at once");
            ExitCode::from(FAILED)
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The line that tells a program around us that the node serves.
fn ready(node: &Running) -> String {
    // None of the values has a character that JSON escapes.
    format!(
        r#"{{"ready":true,"api":"http://{}","p2p":"https://{}","peer_id":"{}","node_id":"{}","cluster_peer_id":"{}"}}"#,
        node.api_addr(),
        node.p2p_addr(),
        node.identity().fingerprint,
        node.identity().public_key,
        node.cluster_peer_id(),
    )
}

const fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Listen { .. } => CANNOT_LISTEN,
        StartError::OtherChain { .. } | StartError::PublicMissing { .. } => USAGE,
        StartError::Restore { .. } => DATA_REFUSED,
        StartError::Store(error) => store_code(error),
        StartError::Tls(_) => FAILED,
    }
}

const fn store_code(error: &StoreError) -> u8 {
    match error {
        StoreError::InUse { .. } => DATA_IN_USE,
        StoreError::WriteFailed { .. } => STORE_FAILED,
        StoreError::Damaged { .. } | StoreError::Io { .. } | StoreError::Newer { .. } => {
            DATA_REFUSED
        }
    }
}

/// Prints a line on standard output. Nobody there to read it is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Prints why the program ends.
fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(code)
}
