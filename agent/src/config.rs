//! The agent's configuration: environment variables, read once and checked as a whole.

mod dataplane;
mod duration;
mod file;
mod reader;
mod strategy;

pub use dataplane::DataplaneConfig;
pub use duration::parse_duration;
pub use file::{ConfigFileError, parse_file, read_file};
pub use reader::{ConfigError, Environment, Invalid, ProcessEnvironment, without_effect};
pub use strategy::{Neighbours, RateSource, StrategyConfig, StrategyKind};

use dfaas_agent_api::environment::names;
use libp2p::{Multiaddr, PeerId};
use reader::Reader;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A period of zero means this, as in the original.
const ORIGINAL_PERIOD: Duration = Duration::from_secs(60);

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Identity, address, logs.
    pub node: NodeConfig,
    /// Peer-to-peer network.
    pub overlay: OverlayConfig,
    /// Load balancing.
    pub strategy: StrategyConfig,
    /// HAProxy.
    pub proxy: ProxyConfig,
    /// The functions platform.
    pub platform: PlatformConfig,
    /// `host:port` of the agent's own HTTP server.
    pub http_server: HostPort,
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
            _ => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

/// Identity, address, logs.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeConfig {
    /// Address sent to peers and shown in X-Server.
    pub address: IpAddr,
    /// File of the private key; without one, every start has a new identity.
    pub private_key_file: Option<PathBuf>,
    /// What to log, and how.
    pub log: LogConfig,
}

/// What to log, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Whether to log decisions and requests.
    pub debug: bool,
    /// Whether log lines begin with the time.
    pub datetime: bool,
    /// Whether log lines are coloured.
    pub colors: bool,
    /// What log lines look like.
    pub format: LogFormat,
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Peer-to-peer network.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayConfig {
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Nodes to connect to first.
    pub bootstrap: Vec<(PeerId, Multiaddr)>,
    /// Whether to keep trying them.
    pub bootstrap_force: bool,
    /// Word under which agents find one another.
    pub rendezvous: String,
    /// Pause between two look-ups.
    pub lookup_pause: Duration,
    /// Whether to look for agents by multicast DNS too.
    pub mdns: bool,
    /// Topic of the messages.
    pub topic: String,
}

/// HAProxy.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyConfig {
    /// Port sent to peers.
    pub port: u16,
    /// Where it listens for requests.
    pub binds: Vec<String>,
    /// Where it serves its metrics.
    pub metrics_bind: String,
    /// Over which address counters survive a reload.
    pub peers_bind: Option<String>,
    /// Its configuration file.
    pub configuration: PathBuf,
    /// The program that checks it.
    pub executable: Option<PathBuf>,
    /// Socket of the Runtime API.
    pub runtime_socket: PathBuf,
    /// Socket of the master process.
    pub master_socket: PathBuf,
    /// Shell command that reloads it.
    pub update_command: Option<String>,
    /// Threads it uses.
    pub threads: u32,
}

/// The functions platform.
#[derive(Clone, Debug, PartialEq)]
pub struct PlatformConfig {
    /// The gateway.
    pub gateway: HostPort,
    /// User and password for HTTP Basic authentication.
    pub credentials: Option<(String, String)>,
}

impl Config {
    /// Reads the configuration; what is not set has its default.
    ///
    /// # Errors
    /// When values are wrong: all of them at once, each with its variable and the remedy.
    pub fn read(environment: &dyn Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(environment);
        let config = Self {
            node: NodeConfig::read(&mut reader),
            overlay: OverlayConfig::read(&mut reader),
            strategy: StrategyConfig::read(&mut reader),
            proxy: ProxyConfig::read(&mut reader),
            platform: PlatformConfig::read(&mut reader),
            http_server: reader.host_port(names::HTTPSERVER_HOST, names::HTTPSERVER_PORT),
        };
        reader.finish(config)
    }
}

impl NodeConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let advertised = if reader.text(names::NODE_IP).is_empty() {
            names::HAPROXY_HOST
        } else {
            names::NODE_IP
        };
        Self {
            address: reader.parse(advertised, "an IP address; set AGENT_NODE_IP to this node's"),
            private_key_file: reader.optional_path(names::PRIVATE_KEY_FILE),
            log: LogConfig::read(reader),
        }
    }
}

impl LogConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            debug: reader.flag(names::DEBUG),
            datetime: reader.flag(names::LOG_DATETIME),
            colors: reader.flag(names::LOG_COLORS),
            format: if reader.choice(names::LOG_FORMAT) == "json" {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
        }
    }
}

impl OverlayConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let lookup_pause = reader.duration(names::KAD_IDLE_TIME);
        Self {
            listen: reader.listen_addresses(),
            bootstrap: reader.bootstrap_nodes(),
            bootstrap_force: reader.flag(names::BOOTSTRAP_FORCE),
            rendezvous: reader.text(names::RENDEZVOUS),
            lookup_pause: if lookup_pause.is_zero() {
                ORIGINAL_PERIOD
            } else {
                lookup_pause
            },
            mdns: reader.flag(names::MDNS_ENABLED),
            topic: reader.required_text(names::PUBSUB_TOPIC),
        }
    }
}

impl ProxyConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let update_command = reader.text(names::HAPROXY_CONFIG_UPDATE_COMMAND);
        let peers_bind = reader.text(names::HAPROXY_PEERS_BIND);
        let threads = reader.parse(names::HAPROXY_THREADS, "a number from 1 to 64");
        if !(1..=64).contains(&threads) {
            reader.complain(names::HAPROXY_THREADS, "a number from 1 to 64");
        }
        Self {
            port: reader.parse(names::HAPROXY_PORT, "a port from 0 to 65535"),
            binds: reader.binds(names::HAPROXY_BIND),
            metrics_bind: reader.bind(names::HAPROXY_METRICS_BIND),
            peers_bind: (!peers_bind.is_empty()).then(|| reader.bind(names::HAPROXY_PEERS_BIND)),
            configuration: reader.path(names::HAPROXY_CONFIG_FILE),
            executable: reader.optional_path(names::HAPROXY_EXECUTABLE),
            runtime_socket: reader.socket(names::HAPROXY_SOCK_PATH),
            master_socket: reader.socket(names::HAPROXY_MASTER_SOCK_PATH),
            update_command: (!update_command.is_empty()).then_some(update_command),
            threads,
        }
    }
}

impl PlatformConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let user = reader.text(names::OPENFAAS_USER);
        let password = reader.text(names::OPENFAAS_PASS);
        Self {
            gateway: reader.host_port(names::OPENFAAS_HOST, names::OPENFAAS_PORT),
            credentials: (!user.is_empty()).then_some((user, password)),
        }
    }
}

#[cfg(test)]
mod tests;
