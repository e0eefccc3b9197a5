//! The topology file as written. Only shapes: nothing here is checked against anything else.
//!
//! Enums carry no data and sections are optional structs, so that every error has an exact position.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::agent_file::AgentFile;
use super::link_file::{LinkDefaultsFile, LinkFile};
use crate::document::literal::Literal;
use crate::document::spanned::Spanned;
use crate::units::{ByteSize, TimeSpan};

/// Text keyed by text; numbers and booleans are taken as they are written.
pub(crate) type TextMap = IndexMap<Spanned<String>, Spanned<Literal>>;

/// A federation of nodes and the network between them.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopologyFile {
    /// Name of the lab, `[a-z0-9-]{1,32}`. The file's name without extension when absent.
    pub(crate) name: Option<Spanned<String>>,
    /// Every random stream is derived from it. 42 when absent.
    pub(crate) seed: Option<Spanned<u64>>,
    /// Defaults per kind of node, and for links. A node's own keys win, key by key.
    pub(crate) defaults: Option<DefaultsFile>,
    /// Nodes by name. `{i}` in a name is replaced by 1, 2, … up to the node's `count`.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "nodes are decoded one by one, each with its own problems"
    )]
    pub(crate) nodes: IndexMap<Spanned<String>, NodeFile>,
    /// Links in the order in which interfaces are numbered.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "links are decoded one by one, each with its own problems"
    )]
    pub(crate) links: Vec<LinkFile>,
    /// Other topology files whose nodes and links come first. Paths are relative to this file.
    #[expect(
        dead_code,
        reason = "includes are merged before types are decoded; the schema needs the key"
    )]
    pub(crate) include: Option<IncludeFile>,
    /// A regular shape, beside the nodes and links of the file.
    #[expect(
        dead_code,
        reason = "it is expanded before types are decoded; the schema needs the key"
    )]
    pub(crate) generate: Option<GenerateFile>,
    /// A topology from a file in another format, beside the nodes and links of the file.
    #[expect(
        dead_code,
        reason = "it is expanded before types are decoded; the schema needs the key"
    )]
    pub(crate) import: Option<ImportFile>,
    /// Whether switches and routers are emulated, or composed into one path per pair of hosts; for all links that do
    /// not say themselves.
    pub(crate) mode: Option<Spanned<ModeFile>>,
    /// What watches the `dfaas` nodes.
    pub(crate) monitoring: Option<MonitoringFile>,
}

/// What watches the `dfaas` nodes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MonitoringFile {
    /// Whether each of them runs Prometheus (on its port 9090) and the node exporter (9100); false when absent.
    pub(crate) prometheus: Option<bool>,
    /// Time between two readings, at least 100ms; 5s when absent.
    pub(crate) scrape_interval: Option<Spanned<TimeSpan>>,
}

/// One path or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum IncludeFile {
    /// One path.
    #[expect(dead_code, reason = "for the schema only")]
    One(String),
    /// Several paths.
    #[expect(dead_code, reason = "for the schema only")]
    Several(Vec<String>),
}

/// Defaults per kind.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefaultsFile {
    /// For nodes of kind `dfaas`.
    pub(crate) dfaas: Option<NodeFile>,
    /// For nodes of kind `host`.
    pub(crate) host: Option<NodeFile>,
    /// For nodes of kind `client`.
    pub(crate) client: Option<NodeFile>,
    /// For nodes of kind `switch`.
    pub(crate) switch: Option<NodeFile>,
    /// For nodes of kind `router`.
    pub(crate) router: Option<NodeFile>,
    /// For links.
    pub(crate) link: Option<LinkDefaultsFile>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindFile {
    /// Agent, HAProxy and FaaS platform.
    Dfaas,
    /// Bare: a network namespace and what you start in it.
    Host,
    /// A bare node from which load comes.
    Client,
    /// A learning bridge.
    Switch,
    /// A bare node that forwards packets.
    Router,
}

impl KindFile {
    /// The word in files.
    pub(crate) fn as_str(self) -> &'static str {
        super::NodeKind::from(self).as_str()
    }
}

/// How a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DriverFile {
    /// Linux namespaces, no container engine.
    Native,
    /// A container.
    Docker,
}

/// What to do where an OCI runtime is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FallbackFile {
    /// Run the container privileged under the engine's default runtime.
    Privileged,
}

/// A command that tells by its exit code whether a container is well.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthFile {
    /// For the container's shell.
    pub(crate) command: Spanned<String>,
    /// Between two checks; `1s` when absent.
    pub(crate) interval: Option<Spanned<TimeSpan>>,
    /// After this a check has failed; `5s` when absent.
    pub(crate) timeout: Option<Spanned<TimeSpan>>,
    /// Failures in a row until it is unwell; 3 when absent.
    pub(crate) retries: Option<u32>,
}

/// One node.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeFile {
    /// What it is.
    pub(crate) kind: Option<Spanned<KindFile>>,
    /// How many like it; the name needs `{i}`, which may also stand in values (`{i+10}` and `{i-1}` too).
    #[expect(
        dead_code,
        reason = "counts are expanded before types are decoded; the schema needs the key"
    )]
    pub(crate) count: Option<u32>,
    /// How it runs; `native` when absent.
    pub(crate) driver: Option<Spanned<DriverFile>>,
    /// Image of a `docker` node: the one on this machine, or else of its registry.
    pub(crate) image: Option<Spanned<String>>,
    /// Folder with a `Dockerfile` that the image of a `docker` node is built from, relative to the topology file.
    pub(crate) build: Option<Spanned<String>>,
    /// OCI runtime of a `docker` node, for example `sysbox-runc`.
    pub(crate) oci_runtime: Option<Spanned<String>>,
    /// What to do where that runtime is missing; without it, the lab does not start there.
    pub(crate) fallback: Option<Spanned<FallbackFile>>,
    /// What a `docker` node runs instead of its image's command.
    pub(crate) command: Option<Spanned<Vec<String>>>,
    /// Whether a `docker` node may do everything the engine may.
    pub(crate) privileged: Option<Spanned<bool>>,
    /// File systems in memory of a `docker` node: `"/scratch"` or `"/scratch:size=64m"`.
    pub(crate) tmpfs: Option<Vec<Spanned<String>>>,
    /// Devices of this machine that a `docker` node sees: `/dev/kvm` or `"/dev/ttyUSB0:/dev/modem"`.
    pub(crate) devices: Option<Vec<Spanned<String>>>,
    /// Capabilities of a `docker` node beside the engine's default ones, for example `NET_ADMIN`.
    pub(crate) capabilities: Option<Vec<Spanned<String>>>,
    /// Kernel settings of a `docker` node, for example `net.core.somaxconn: 1024`.
    pub(crate) sysctls: Option<TextMap>,
    /// How the health of a `docker` node is told; it is ready when it is healthy.
    pub(crate) health: Option<HealthFile>,
    /// Functions of a `dfaas` node, by name.
    pub(crate) functions: Option<IndexMap<Spanned<String>, Option<FunctionFile>>>,
    /// Settings of a `dfaas` node's agent.
    pub(crate) agent: Option<AgentFile>,
    /// Settings of a `dfaas` node's FaaS platform.
    pub(crate) faas: Option<FaasFile>,
    /// Ports of this machine that lead into the node: `"8081:80"` or `"ADDRESS:8081:80"`; on 127.0.0.1 unless an
    /// address is given.
    pub(crate) ports: Option<Vec<Spanned<String>>>,
    /// Services of this machine that the node reaches on its own 127.0.0.1: `"5432"`, `"PORT:5432"` for another port in
    /// the node, or `"PORT:ADDRESS:5432"` for another machine that this one reaches. Nothing else of this machine's network
    /// is open to it, and nothing at all when absent. These connections cross no link.
    pub(crate) uplink: Option<Vec<Spanned<String>>>,
    /// Processors it may use, 0.5 for half of one.
    pub(crate) cpus: Option<Spanned<f64>>,
    /// Memory it may use.
    pub(crate) memory: Option<Spanned<ByteSize>>,
    /// Processes and threads it may have.
    pub(crate) pids: Option<Spanned<u64>>,
    /// Environment of everything started in it.
    pub(crate) env: Option<TextMap>,
    /// Directories of this machine it sees: `"SOURCE:TARGET"` or `"SOURCE:TARGET:ro"`; the source is absolute or
    /// relative to the topology file.
    pub(crate) volumes: Option<Vec<Spanned<String>>>,
    /// Shell commands run once in it when the network is there.
    pub(crate) exec: Option<Vec<Spanned<String>>>,
    /// Free labels, to select nodes by.
    pub(crate) labels: Option<TextMap>,
    /// Whether it forwards packets; routers always do.
    pub(crate) forward: Option<Spanned<bool>>,
    /// Fixed addresses, by interface name.
    pub(crate) interfaces: Option<IndexMap<Spanned<String>, InterfaceFile>>,
}

/// One function.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionFile {
    /// Image; the function's name when absent.
    pub(crate) image: Option<Spanned<String>>,
    /// Requests per second the node serves itself (the label `dfaas.maxrate`).
    pub(crate) maxrate: Option<Spanned<u32>>,
    /// Environment of its processes.
    pub(crate) env: Option<TextMap>,
    /// Labels of the deployment.
    pub(crate) labels: Option<TextMap>,
    /// After this an invocation is given up.
    pub(crate) timeout: Option<Spanned<TimeSpan>>,
}

/// Settings of the FaaS platform.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaasFile {
    /// Name and password its administration asks for; none when absent.
    pub(crate) basic_auth: Option<BasicAuthFile>,
    /// What it stands for; `faasd` when absent.
    pub(crate) identity: Option<IdentityFile>,
}

/// What a FaaS platform stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdentityFile {
    /// faasd: one replica of each function, and no limits of processors.
    Faasd,
    /// The embedded platform itself: also replicas, limits of processors, scaling to zero and from it.
    Native,
}

/// A name and a password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuthFile {
    /// User name.
    pub(crate) user: String,
    /// Password.
    pub(crate) password: String,
}

/// What is fixed about an interface.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InterfaceFile {
    /// Addresses with prefix length, for example `10.1.0.1/24` and `fd00:1::1/64`.
    pub(crate) addresses: Option<Vec<Spanned<String>>>,
    /// Hardware address, for example `02:00:00:00:00:01`.
    pub(crate) mac: Option<Spanned<String>>,
}

/// Whether switches and routers are emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeFile {
    /// Every switch and router is there.
    Full,
    /// One composed path per pair of hosts.
    Collapsed,
}

/// A regular shape.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GenerateFile {
    /// Which.
    pub(crate) shape: Spanned<ShapeFile>,
    /// Number of nodes, without the switch of a star.
    pub(crate) count: Spanned<u32>,
    /// Kind of the nodes; `host` when absent. Nodes of a shape in which packets must pass through others forward them.
    pub(crate) kind: Option<Spanned<KindFile>>,
    /// Name of the nodes, with `{i}`; `n{i}`, `h{i}`, `c{i}`, `s{i}` or `r{i}` by kind when absent.
    pub(crate) name: Option<Spanned<String>>,
    /// Share of all possible links, for `random`, which draws them from the topology's seed.
    pub(crate) density: Option<Spanned<f64>>,
    /// Children of each node, for `tree`; 2 when absent.
    pub(crate) fanout: Option<Spanned<u32>>,
    /// What all links have.
    #[expect(
        dead_code,
        reason = "it is laid under the links as it was written; the schema needs the key"
    )]
    pub(crate) link: Option<LinkDefaultsFile>,
}

/// Regular shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ShapeFile {
    /// All on one switch.
    Star,
    /// Each linked to the next, the last to the first.
    Ring,
    /// Each linked to the next.
    Line,
    /// Each but the first linked to its parent.
    Tree,
    /// Each linked to each.
    Mesh,
    /// A grid, as square as the number allows.
    Grid,
    /// Random links, from the seed; every node can reach every other.
    Random,
}

/// A file in another format.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportFile {
    /// Path, relative to this file.
    pub(crate) file: Spanned<String>,
    /// What it is; by its name (`.graphml`, `.gml`, `.csv`) when absent.
    pub(crate) format: Option<Spanned<ImportFormatFile>>,
    /// Kind of the nodes; `router` (`rtt`: `host`) when absent. Nodes of a graph forward packets.
    pub(crate) kind: Option<Spanned<KindFile>>,
    /// What links have for which the file says nothing else.
    #[expect(
        dead_code,
        reason = "it is laid under the links as it was written; the schema needs the key"
    )]
    pub(crate) link: Option<LinkDefaultsFile>,
}

/// Formats of other tools.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ImportFormatFile {
    /// GraphML, as the Topology Zoo has it.
    Graphml,
    /// GML.
    Gml,
    /// A CSV table of round-trip times between sites: half of each is the delay of one direction.
    Rtt,
}
