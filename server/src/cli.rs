//! The command line. Every key of it is a variable and a line of the configuration file too.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand, ValueEnum};
use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::commons::network::ChainwebVersion;
use peerage_core::config::WattswarmMode;
use peerage_core::ids::PublicKey;
use peerage_core::mw::{Chain, Commitment, FeeRule};

use crate::values::{
    ClientArg, GasPrice, Grins, Mine, NodeUrl, Throttle, TokenArg, client, commitment, duration,
    fee_rule, gas_price, grin_chain, grins, host_addr, license_id, mine, node_url, peer,
    public_key, socket, throttle, token, wattswarm_mode,
};

const ABOUT: &str = "One peer-to-peer node that serves the HTTP APIs of several networks";

const LONG_ABOUT: &str = "\
One peer-to-peer node that serves the HTTP APIs of several networks, over one peer table and one ban \
list.

Without a subcommand the node runs: `peerage` is `peerage run`. When it serves, it prints one line of \
JSON on standard output, with both addresses and the node's names; its log goes to standard error. \
SIGTERM or SIGINT stops it gently, a second one at once.";

const AFTER_LONG: &str = "\
Settings:
  Each option of `run` can also be set by a variable, PEERAGE_ and the option in capitals (--api is
  PEERAGE_API), and by a line of the configuration file (--config FILE, TOML):

      network = \"development\"
      api = \"127.0.0.1:1848\"
      peer = [\"example.org:1789\"]

  An option overrides a variable, a variable overrides the file.

Examples:
  peerage                                        a node on loopback, data in ./peerage-data
  peerage --data a --api 127.0.0.1:0 --p2p 127.0.0.1:0
                                                 a second node beside it, on free ports
  peerage --p2p 0.0.0.0:1789 --public example.org:1789 --peer other.org:1789
                                                 a node that others can reach
  peerage chainweb sign | curl -X PUT -H 'content-type: application/json' -d @- \\
      http://127.0.0.1:1848/chainweb/0.0/development/chain/0/mempool/insert
                                                 a signed transaction for it
  peerage --grin-mine 1s                         a Mimblewimble chain with a block each second
  peerage grin spend                             moves a coin of it that was mined

Exit codes:
  0  stopped as asked
  1  anything else that went wrong
  2  the command line, a variable or the configuration file is wrong
  3  the data directory is damaged, of a newer release, or cannot be read or written
  4  the data directory is in use by another process
  5  an address cannot be listened on
  6  the store failed while running; nothing unsaved was acknowledged";

/// The program.
#[derive(Debug, Parser)]
#[command(
    name = "peerage",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_long_help = AFTER_LONG,
    args_conflicts_with_subcommands = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

impl Cli {
    /// Reads the command line and the variables; ends the process if they are wrong, or ask for help.
    pub(crate) fn read() -> Self {
        Self::try_parse().unwrap_or_else(|error| {
            let _ = error.print();
            if let Some(variable) = variable_of(&error, std::env::args()) {
                let _ = writeln!(
                    std::io::stderr(),
                    "The value is that of the variable {variable}."
                );
            }
            std::process::exit(error.exit_code())
        })
    }
}

/// The variable that set what is wrong; `None` if it was an option.
fn variable_of(error: &clap::Error, args: impl Iterator<Item = String>) -> Option<String> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let option = &shown[..shown.find(|c| !is_of_name(c)).unwrap_or(shown.len())];
    let name = option.strip_prefix("--")?;
    let given = args
        .filter_map(|arg| arg.strip_prefix(option).map(str::to_owned))
        .any(|rest| rest.is_empty() || rest.starts_with('='));
    let variable = format!("PEERAGE_{}", name.to_uppercase().replace('-', "_"));
    (!given && std::env::var_os(&variable).is_some()).then_some(variable)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node (the default)
    #[command(after_help = "See `peerage --help` for the configuration file and the exit codes.")]
    Run(Box<RunArgs>),
    /// Check a data directory as a start would, without running a node
    #[command(
        after_help = "Exits with 0 if every acknowledged record is there and readable, else with 3."
    )]
    Check(DataDir),
    /// Tools for Chainweb
    #[command(subcommand)]
    Chainweb(Chainweb),
    /// A wallet for coins that a node of this data directory mined
    #[command(subcommand, long_about = GRIN_ABOUT)]
    Grin(Grin),
}

const GRIN_ABOUT: &str = "\
A wallet for coins that a node of this data directory mined.

A node that runs with --grin-mine pays its rewards to the seed in its data directory. A reward can be \
spent three blocks after its own. Amounts are in grin, with up to nine decimals. Each command prints \
one line.";

#[derive(Debug, Subcommand)]
pub(crate) enum Grin {
    /// Print the words of the seed, from which a stock Grin wallet restores the coins
    #[command(
        after_help = "Whoever has the words has the coins. The seed is made if there is none."
    )]
    Seed(DataDir),
    /// Print what the wallet has on a node's chain
    Balance(GrinNode),
    /// Spend a coin to the wallet itself, over a node's API
    #[command(after_help = "\
Without --amount one coin moves whole, less the fee; with it, coins are spent until they suffice, and \
the change comes back as a second coin. The oldest coins go first, but for those that payments spend \
which wait for a block. Prints one line of JSON. Its `kernel` is what the node knows the payment by: \
this answers null until a block has it, and then where it is.

  curl http://127.0.0.1:1848/v1/chain/kernels/KERNEL")]
    Spend(GrinSpend),
}

/// Where everything durable is.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataDir {
    /// The data directory
    #[arg(
        long = "data",
        env = "PEERAGE_DATA",
        value_name = "DIR",
        default_value = "peerage-data"
    )]
    pub(crate) path: PathBuf,
}

/// Whose wallet, and which node is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct GrinNode {
    #[command(flatten)]
    pub(crate) data: DataDir,
    /// The API of a running node
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:1848",
        value_parser = node_url
    )]
    pub(crate) node: NodeUrl,
    /// Show the node that we know the secret in the first line of this file
    #[arg(long, env = "PEERAGE_GRIN_API_SECRET_FILE", value_name = "FILE")]
    pub(crate) api_secret_file: Option<PathBuf>,
}

/// What to spend.
#[derive(Clone, Debug, Args)]
pub(crate) struct GrinSpend {
    #[command(flatten)]
    pub(crate) node: GrinNode,
    /// Make a coin of this many grin, such as 1.5 [default: all that one coin holds]
    #[arg(long, value_name = "GRIN", value_parser = grins)]
    pub(crate) amount: Option<Grins>,
    /// Pay this many grin to the miner [default: enough for stock nodes of any release]
    #[arg(long, value_name = "GRIN", value_parser = grins)]
    pub(crate) fee: Option<Grins>,
    /// Spend this coin, named by its commitment [default: the oldest]
    #[arg(long, value_name = "COMMIT", value_parser = commitment)]
    pub(crate) coin: Option<Commitment>,
    /// Have it spread at once, rather than passed on unseen first
    #[arg(long)]
    pub(crate) fluff: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Chainweb {
    /// Print a freshly signed transaction, as the body that `PUT …/mempool/insert` takes
    Sign(SignArgs),
}

/// Where the configuration file is, and everything that can stand in it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunArgs {
    /// Read settings from this TOML file
    #[arg(long, env = "PEERAGE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: Keys,
}

/// What can be set by option, variable and file alike.
#[derive(Clone, Debug, Default, Args, PartialEq)]
pub(crate) struct Keys {
    /// Keep the node's key and everything durable in this directory [default: ./peerage-data]
    #[arg(long, env = "PEERAGE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Join this Chainweb network: development, recap-development, testnet04 or mainnet01
    /// [default: development]
    #[arg(long, env = "PEERAGE_NETWORK", value_name = "NETWORK")]
    pub(crate) network: Option<ChainwebVersion>,
    /// Serve operators and their clients here, over plain HTTP; port 0 takes a free one
    /// [default: 127.0.0.1:1848]
    #[arg(long, env = "PEERAGE_API", value_name = "ADDR:PORT", value_parser = socket)]
    pub(crate) api: Option<SocketAddr>,
    /// Serve other nodes here, over TLS; port 0 takes a free one [default: 127.0.0.1:1789]
    #[arg(long, env = "PEERAGE_P2P", value_name = "ADDR:PORT", value_parser = socket)]
    pub(crate) p2p: Option<SocketAddr>,
    /// Tell other nodes to call this address [default: that of --p2p; required for 0.0.0.0]
    #[arg(long, env = "PEERAGE_PUBLIC", value_name = "HOST:PORT", value_parser = host_addr)]
    pub(crate) public: Option<HostAddr>,
    /// Know this peer from the start; may be given often, in the variable with commas between. The id
    /// is the peer's `peer_id`
    #[arg(
        long,
        env = "PEERAGE_PEER",
        value_name = "[ID@]HOST:PORT",
        value_delimiter = ',',
        value_parser = peer
    )]
    pub(crate) peer: Vec<PeerInfo>,
    /// Keep to the given peers on Chainweb's networks: take no others, tell no others. Nothing changes
    /// for the other families
    #[arg(
        long,
        env = "PEERAGE_PRIVATE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) private: Option<bool>,
    /// Let the bearer of this token do what the scopes allow in the cluster API: admin, peers.read,
    /// peers.write and others; may be given often, with blanks between. Make the token long and random
    #[arg(
        long,
        env = "PEERAGE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN=SCOPE[,SCOPE]",
        value_delimiter = ' ',
        value_parser = token
    )]
    pub(crate) token: Vec<TokenArg>,
    /// Let this client ask the cluster API for tokens; may be given often, with blanks between. Make
    /// the secret long and random
    #[arg(
        long,
        env = "PEERAGE_CLIENT",
        hide_env_values = true,
        value_name = "ID:SECRET=SCOPE[,SCOPE]",
        value_delimiter = ' ',
        value_parser = client
    )]
    pub(crate) client: Vec<ClientArg>,
    /// Belong to the cluster of this licence [default: a developer's]
    #[arg(long, env = "PEERAGE_LICENSE_ID", value_name = "ID", value_parser = license_id)]
    pub(crate) license_id: Option<String>,
    /// Let the cluster have this many nodes [default: 64]
    #[arg(
        long,
        env = "PEERAGE_LICENSE_MAX_NODES",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) license_max_nodes: Option<u32>,
    /// Take licences that this key has signed from POST /v1/bootstrap and PUT /v1/license, unless
    /// --license-id says one; 64 hexadecimal digits [default: none are taken]
    #[arg(long, env = "PEERAGE_LICENSE_KEY", value_name = "HEX", value_parser = public_key)]
    pub(crate) license_key: Option<PublicKey>,
    /// Ask whoever joins the cluster to know the secret in this file, and prove to know it
    #[arg(long, env = "PEERAGE_CLUSTER_SECRET_FILE", value_name = "FILE")]
    pub(crate) cluster_secret_file: Option<PathBuf>,
    /// Tell other nodes of the cluster to call this address; clients that read
    /// /.well-known/openid-configuration are sent there, too, by plain HTTP, so for them it must lead
    /// to --api [default: that of --api, at the host of --public if --api listens everywhere]
    #[arg(long, env = "PEERAGE_CLUSTER_ADDRESS", value_name = "HOST:PORT", value_parser = host_addr)]
    pub(crate) cluster_address: Option<HostAddr>,
    /// Keep this Mimblewimble chain: automated-testing, whose blocks are found in a moment, or
    /// user-testing, whose proof of work looks like the real one [default: automated-testing]
    #[arg(
        long,
        env = "PEERAGE_GRIN_CHAIN",
        value_name = "CHAIN",
        value_parser = grin_chain
    )]
    pub(crate) grin_chain: Option<Chain>,
    /// Find a block of the Mimblewimble chain this often, such as 1s; the coins go to the seed in the
    /// data directory, see `peerage grin` [default: off]
    #[arg(
        long,
        env = "PEERAGE_GRIN_MINE",
        value_name = "INTERVAL|off",
        value_parser = mine
    )]
    pub(crate) grin_mine: Option<Mine>,
    /// Begin with the Mimblewimble chain in this file, if there is none yet
    #[arg(long, env = "PEERAGE_GRIN_IMPORT", value_name = "FILE")]
    pub(crate) grin_import: Option<PathBuf>,
    /// Ask callers of the Grin API for the secret in the first line of this file [default: none]
    #[arg(long, env = "PEERAGE_GRIN_API_SECRET_FILE", value_name = "FILE")]
    pub(crate) grin_api_secret_file: Option<PathBuf>,
    /// Ask for fees as Grin's releases up to 4 did, or as release 5 does [default: v4]
    #[arg(
        long,
        env = "PEERAGE_GRIN_FEE_RULE",
        value_name = "v4|v5",
        value_parser = fee_rule
    )]
    pub(crate) grin_fee_rule: Option<FeeRule>,
    /// Let an operator's ban last this long, such as 90s, 30m or 3h [default: 3h]
    #[arg(long, env = "PEERAGE_GRIN_BAN_WINDOW", value_name = "DURATION", value_parser = duration)]
    pub(crate) grin_ban_window: Option<Duration>,
    /// Deliver WattSwarm relationships and messages to the nodes they concern, or keep them here, where
    /// a client may play both parts [default: network]
    #[arg(
        long,
        env = "PEERAGE_WATTSWARM_MODE",
        value_name = "network|local",
        value_parser = wattswarm_mode
    )]
    pub(crate) wattswarm_mode: Option<WattswarmMode>,
    /// Let a stranger announce this many peers a second, or off [default: 11]
    #[arg(long, env = "PEERAGE_THROTTLE_PUT_PEER", value_name = "RATE|off", value_parser = throttle)]
    pub(crate) throttle_put_peer: Option<Throttle>,
    /// Let a stranger make this many mempool requests a second, or off [default: 20]
    #[arg(long, env = "PEERAGE_THROTTLE_MEMPOOL", value_name = "RATE|off", value_parser = throttle)]
    pub(crate) throttle_mempool: Option<Throttle>,
    /// Let a stranger make this many Chainweb requests a second, or off [default: 50]
    #[arg(long, env = "PEERAGE_THROTTLE_GLOBAL", value_name = "RATE|off", value_parser = throttle)]
    pub(crate) throttle_global: Option<Throttle>,
    /// Refuse transactions that may use more gas than this [default: 150000]
    #[arg(long, env = "PEERAGE_GAS_LIMIT_MAX", value_name = "N")]
    pub(crate) gas_limit_max: Option<u64>,
    /// Refuse transactions that pay less per unit of gas [default: 0.00000001]
    #[arg(long, env = "PEERAGE_GAS_PRICE_MIN", value_name = "PRICE", value_parser = gas_price)]
    pub(crate) gas_price_min: Option<GasPrice>,
    /// Serve the mempools of this many chains, from chain 0
    #[arg(
        long,
        env = "PEERAGE_CHAINS",
        value_name = "N",
        hide = true,
        value_parser = clap::value_parser!(u8).range(1..=20)
    )]
    pub(crate) chains: Option<u8>,
    /// Write the log like this [default: text]
    #[arg(
        long,
        env = "PEERAGE_LOG_FORMAT",
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub(crate) log_format: Option<LogFormat>,
    /// Log this much: error, warn, info, debug or trace [default: info]
    #[arg(long, env = "PEERAGE_LOG_LEVEL", value_name = "LEVEL")]
    pub(crate) log_level: Option<tracing::Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One line a person reads
    Text,
    /// One JSON object a line
    Json,
}

impl Keys {
    /// These settings, and those of `other` where there are none.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            network: self.network.or(other.network),
            api: self.api.or(other.api),
            p2p: self.p2p.or(other.p2p),
            public: self.public.or(other.public),
            peer: if self.peer.is_empty() {
                other.peer
            } else {
                self.peer
            },
            private: self.private.or(other.private),
            token: if self.token.is_empty() {
                other.token
            } else {
                self.token
            },
            client: if self.client.is_empty() {
                other.client
            } else {
                self.client
            },
            license_id: self.license_id.or(other.license_id),
            license_max_nodes: self.license_max_nodes.or(other.license_max_nodes),
            license_key: self.license_key.or(other.license_key),
            cluster_secret_file: self.cluster_secret_file.or(other.cluster_secret_file),
            cluster_address: self.cluster_address.or(other.cluster_address),
            grin_chain: self.grin_chain.or(other.grin_chain),
            grin_mine: self.grin_mine.or(other.grin_mine),
            grin_import: self.grin_import.or(other.grin_import),
            grin_api_secret_file: self.grin_api_secret_file.or(other.grin_api_secret_file),
            grin_fee_rule: self.grin_fee_rule.or(other.grin_fee_rule),
            grin_ban_window: self.grin_ban_window.or(other.grin_ban_window),
            wattswarm_mode: self.wattswarm_mode.or(other.wattswarm_mode),
            throttle_put_peer: self.throttle_put_peer.or(other.throttle_put_peer),
            throttle_mempool: self.throttle_mempool.or(other.throttle_mempool),
            throttle_global: self.throttle_global.or(other.throttle_global),
            gas_limit_max: self.gas_limit_max.or(other.gas_limit_max),
            gas_price_min: self.gas_price_min.or(other.gas_price_min),
            chains: self.chains.or(other.chains),
            log_format: self.log_format.or(other.log_format),
            log_level: self.log_level.or(other.log_level),
        }
    }
}

impl Keys {
    /// The option of the first token or client that cannot be read or comes twice, and what is wrong
    /// with it.
    pub(crate) fn faulty_secret(&self) -> Option<(&'static str, String)> {
        let tokens = self.token.iter().map(|token| token.0.as_ref());
        let wrong = fault(tokens, "token", |one, other| one.digest == other.digest);
        if let Some(wrong) = wrong {
            return Some(("--token", wrong));
        }
        let clients = self.client.iter().map(|client| client.0.as_ref());
        let wrong = fault(clients, "id", |one, other| one.id == other.id);
        Some(("--client", wrong?))
    }
}

/// What is wrong with the first value that cannot be read, or has what an earlier one has.
fn fault<'a, T: 'a>(
    values: impl Iterator<Item = Result<&'a T, &'a String>>,
    what: &str,
    same: impl Fn(&T, &T) -> bool,
) -> Option<String> {
    let mut earlier: Vec<&T> = Vec::new();
    for value in values {
        let value = match value {
            Ok(value) => value,
            Err(wrong) => return Some(wrong.clone()),
        };
        if let Some(first) = earlier.iter().position(|earlier| same(earlier, value)) {
            let (first, second) = (first + 1, earlier.len() + 1);
            return Some(format!(
                "values {first} and {second} have one {what}; give it once, with all of its scopes"
            ));
        }
        earlier.push(value);
    }
    None
}

/// What the signed transaction says.
#[derive(Clone, Debug, Args)]
pub(crate) struct SignArgs {
    /// The network it is for
    #[arg(long, default_value_t = ChainwebVersion::Development)]
    pub(crate) network: ChainwebVersion,
    /// The chain it is for
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..20))]
    pub(crate) chain: u16,
    /// How long it may wait, in seconds
    #[arg(long, default_value_t = 3600)]
    pub(crate) ttl: u32,
    /// What it pays per unit of gas, a JSON number
    #[arg(long, default_value = "1e-7", value_parser = crate::values::json_number)]
    pub(crate) gas_price: String,
    /// The most gas it may use
    #[arg(long, default_value_t = 1000)]
    pub(crate) gas_limit: u64,
    /// What tells it from its like [default: random]
    #[arg(long)]
    pub(crate) nonce: Option<String>,
    /// The Pact code
    #[arg(long, default_value = "(+ 1 2)")]
    pub(crate) code: String,
    /// The Ed25519 seed of the signer, 64 hexadecimal digits [default: random]
    #[arg(long, value_name = "HEX", value_parser = crate::values::seed)]
    pub(crate) seed: Option<crate::values::KeySeed>,
    /// The account that pays [default: k: and the signer's public key]
    #[arg(long)]
    pub(crate) sender: Option<String>,
}
