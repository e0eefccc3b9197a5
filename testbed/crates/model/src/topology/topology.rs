//! A validated topology: every reference resolved, every unit typed, every default applied.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::container::Driver;
use super::impairment::Impairment;
use super::segments::Segments;
use crate::trace::Trace;
use crate::units::{duration_text, optional_duration_text};

/// The seed of a topology that names none.
pub const DEFAULT_SEED: u64 = 42;

/// What a lab is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// The lab's name, `[a-z0-9-]{1,32}`.
    pub name: String,
    /// From which every random stream is derived.
    pub seed: u64,
    /// Nodes (switches included) by name, in the order of the file.
    pub nodes: IndexMap<String, Node>,
    /// Links in the order of the file.
    pub links: Vec<Link>,
    /// What the links replay, by the names in [`Link::forward_trace`] and [`Link::backward_trace`].
    #[serde(
        default,
        with = "crate::trace::table",
        skip_serializing_if = "IndexMap::is_empty"
    )]
    pub traces: IndexMap<String, Arc<Trace>>,
    /// How its `dfaas` nodes are watched, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
}

/// Prometheus and a node exporter in every `dfaas` node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitoring {
    /// Time between two readings.
    #[serde(with = "duration_text")]
    pub scrape_interval: Duration,
}

impl Topology {
    /// What a link replays: forward, backward.
    #[must_use]
    pub fn traces_of(&self, link: &Link) -> [Option<&Arc<Trace>>; 2] {
        [&link.forward_trace, &link.backward_trace].map(|name| self.traces.get(name.as_deref()?))
    }

    /// The link of this name. `A--B` and `B--A` are the same name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        let swapped = name
            .split_once("--")
            .map(|(left, right)| format!("{right}--{left}"));
        self.links.iter().find(|link| link.name == name).or_else(|| {
            let swapped = swapped?;
            self.links.iter().find(|link| link.name == swapped)
        })
    }
}

impl Topology {
    /// Whether packets from one node get to the address of another over links, switches and nodes that forward.
    #[must_use]
    pub fn reaches(&self, from: &str, to: &str) -> bool {
        let place = |name| self.nodes.get_index_of(name);
        match (place(from), place(to)) {
            (Some(from), Some(to)) => Segments::of(self).reaches(self, from, to),
            _ => false,
        }
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Agent, HAProxy and FaaS platform.
    Dfaas,
    /// Bare: a network namespace and what the user starts in it.
    Host,
    /// A bare node from which load comes.
    Client,
    /// A learning bridge without addresses.
    Switch,
    /// A bare node that forwards packets.
    Router,
}

impl NodeKind {
    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            NodeKind::Dfaas => "dfaas",
            NodeKind::Host => "host",
            NodeKind::Client => "client",
            NodeKind::Switch => "switch",
            NodeKind::Router => "router",
        }
    }
}

impl std::fmt::Display for NodeKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One emulated host or switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// `[a-z0-9][a-z0-9-]*`, at most 32 bytes.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// How it runs.
    pub driver: Driver,
    /// Functions deployed on it, by name; `dfaas` nodes only.
    pub functions: IndexMap<String, Function>,
    /// How its agent is started; `dfaas` nodes only.
    pub agent: AgentSettings,
    /// How its FaaS platform is started; `dfaas` nodes only.
    pub faas: FaasSettings,
    /// Ports of the host that lead into it.
    pub ports: Vec<PortMapping>,
    /// Services outside that it reaches.
    pub uplink: Vec<Uplink>,
    /// What it may use of the machine.
    pub limits: Limits,
    /// Environment of everything that is started in it.
    pub env: IndexMap<String, String>,
    /// Directories of the host that it sees.
    pub volumes: Vec<Volume>,
    /// Commands (for `sh -c`) run once in it, in this order, when the network is there.
    pub exec: Vec<String>,
    /// For people and scenarios; no meaning of their own.
    pub labels: IndexMap<String, String>,
    /// Whether it forwards packets. Always true for routers.
    pub forward: bool,
    /// What the file fixes about its interfaces, by interface name.
    pub interfaces: IndexMap<String, InterfaceSettings>,
}

/// One function as the platform deploys it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Name it is called by.
    pub name: String,
    /// Image; the function's name when absent.
    pub image: Option<String>,
    /// Requests per second this node serves itself; the label `dfaas.maxrate`.
    pub maxrate: Option<u32>,
    /// Environment of its processes.
    pub env: IndexMap<String, String>,
    /// Labels beside `dfaas.maxrate`.
    pub labels: IndexMap<String, String>,
    /// After this an invocation is given up.
    #[serde(with = "optional_duration_text")]
    pub timeout: Option<Duration>,
}

/// How a node's agent is started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentSettings {
    /// Another agent's program; ours when absent.
    pub binary: Option<String>,
    /// Its environment: `agent.recalc_period: 5s` is `AGENT_RECALC_PERIOD=5s`.
    pub env: IndexMap<String, String>,
    /// The period in `AGENT_RECALC_PERIOD`; 1 minute when the file has none.
    #[serde(with = "crate::units::duration_text")]
    pub recalc_period: Duration,
}

/// The agent's own default for `AGENT_RECALC_PERIOD`.
pub const DEFAULT_RECALC_PERIOD: Duration = Duration::from_secs(60);

impl Default for AgentSettings {
    fn default() -> Self {
        AgentSettings {
            binary: None,
            env: IndexMap::new(),
            recalc_period: DEFAULT_RECALC_PERIOD,
        }
    }
}

/// How a node's FaaS platform is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaasSettings {
    /// Name and password that its administration asks for; none when absent.
    pub basic_auth: Option<BasicAuth>,
    /// Whether it stands for itself, with all that it can do; for faasd otherwise.
    #[serde(default)]
    pub native: bool,
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasicAuth {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// A port of the host that leads to a port of the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortMapping {
    /// Address of the host to listen on; 127.0.0.1 unless given.
    pub host_address: IpAddr,
    /// Port of the host.
    pub host_port: u16,
    /// Port of the node.
    pub node_port: u16,
}

impl std::fmt::Display for PortMapping {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = std::net::SocketAddr::new(self.host_address, self.host_port);
        write!(formatter, "{host} → {}", self.node_port)
    }
}

/// A port of a node's own loopback interface that leads out of the lab.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Uplink {
    /// Port of the node, on 127.0.0.1.
    pub node_port: u16,
    /// Where it leads: an address as the host sees it, 127.0.0.1 unless given.
    pub host: SocketAddr,
}

impl std::fmt::Display for Uplink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} → {}", self.node_port, self.host)
    }
}

/// What a node may use of the machine; absent means no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Processors; 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cpus.is_none() && self.memory_bytes.is_none() && self.pids.is_none()
    }
}

/// A directory of the host inside a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// On the host. Where the file has a relative path, it is taken from the directory of the topology file (and
    /// stays relative if the topology's own path was).
    pub source: String,
    /// In the node; absolute.
    pub target: String,
    /// Whether the node may not write to it.
    pub read_only: bool,
}

/// What the file fixes about an interface; the rest is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSettings {
    /// Addresses with their prefix lengths, at most one of IPv4 and one of IPv6.
    pub addresses: Vec<IpNet>,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Whether its node has moved to another network and kept these addresses, which are none of that network. Never in a
    /// file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_guest: bool,
}

/// A point-to-point wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// `A--B` unless the file names it.
    pub name: String,
    /// Its place in the file that the lab was started with. The names of its midpoints and its automatic hardware
    /// addresses come from it, so a link of a running lab keeps it.
    #[serde(default)]
    pub number: usize,
    /// The two ends; `forward` runs from the first to the second.
    pub endpoints: [Endpoint; 2],
    /// What happens to packets from the first end to the second.
    pub forward: Impairment,
    /// What happens to packets from the second end to the first.
    pub backward: Impairment,
    /// Key into [`Topology::traces`]: what is replayed on top of `forward`. The values it has win over those of
    /// `forward`; jitter, queue and all others stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_trace: Option<String>,
    /// The same for `backward`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backward_trace: Option<String>,
    /// Presets that its impairments come from, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<String>,
    /// Who does it.
    pub backend: Backend,
    /// Largest packet, in bytes; 1500 when absent.
    pub mtu: Option<u32>,
    /// Whether it starts without a carrier.
    #[serde(default)]
    pub down: bool,
    /// Whether it comes and goes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap: Option<Flap>,
}

/// A link that loses its carrier in turns. It begins with a carrier when the lab's network is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flap {
    /// Time with a carrier; never zero.
    #[serde(with = "duration_text")]
    pub up: Duration,
    /// Time without; never zero.
    #[serde(with = "duration_text")]
    pub down: Duration,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Node or switch.
    pub node: String,
    /// Interface in it, at most 15 bytes.
    pub interface: String,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.node, self.interface)
    }
}

/// Who impairs a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// `tc` if this kernel has all that the link asks for, else `wire`.
    #[default]
    Auto,
    /// Kernel queueing disciplines.
    Tc,
    /// The user-space engine.
    Wire,
}
