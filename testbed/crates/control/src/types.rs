use std::collections::BTreeMap;
use std::path::PathBuf;

use dfaas_model::ImpairmentChange;
use serde::{Deserialize, Serialize};

/// Where a lab is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabState {
    /// Steps of the plan are still being applied.
    Starting,
    /// Every node has passed its readiness check.
    Ready,
    /// A step failed and `--keep` asked to leave everything for inspection.
    Failed,
    /// Being taken down.
    Stopping,
}

impl std::fmt::Display for LabState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            LabState::Starting => "starting",
            LabState::Ready => "ready",
            LabState::Failed => "failed",
            LabState::Stopping => "stopping",
        })
    }
}

/// Everything about a lab that a client may want to show.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabDetail {
    /// The lab's name, unique on the machine.
    pub name: String,
    /// The seed of every random stream of the lab.
    pub seed: u64,
    /// Where the lab is in its life.
    pub state: LabState,
    /// Process id of the supervisor.
    pub pid: i32,
    /// When the supervisor started, RFC 3339 in UTC.
    pub started: String,
    /// Directory with one folder per node and one log file per service.
    pub log_directory: PathBuf,
    /// How the user-space link engine is scheduled: `fifo`, `normal`, or absent when no link uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_scheduling: Option<String>,
    /// Upper bounds of the buckets in which `statistics` of links count lateness, in nanoseconds; one more bucket is above.
    #[serde(default)]
    pub lateness_bounds: Vec<u64>,
    /// Nodes in the order of the topology file.
    pub nodes: Vec<NodeInfo>,
    /// Links in the order of the topology file; empty when the caller did not want them.
    pub links: Vec<LinkInfo>,
    /// Partitions in force, in the order they were made: groups of nodes that cannot reach each other.
    #[serde(default)]
    pub partitions: Vec<Partition>,
    /// What was asked for but could not be done; results depend on it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// State of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// A namespace, nothing runs in it (hosts, clients and switches until the first `exec`).
    #[default]
    Idle,
    /// Services are being started.
    Starting,
    /// Services run; for a `dfaas` node the readiness check has passed.
    Running,
    /// All that runs in it stands still.
    Paused,
    /// It has been shut down, or its init process is gone.
    Stopped,
}

impl std::fmt::Display for NodeState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            NodeState::Idle => "idle",
            NodeState::Starting => "starting",
            NodeState::Running => "running",
            NodeState::Paused => "paused",
            NodeState::Stopped => "stopped",
        })
    }
}

/// One node of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Name in the topology.
    pub name: String,
    /// `dfaas`, `host`, `client`, `switch` or `router`.
    pub kind: String,
    /// `native` or `docker`.
    pub driver: String,
    /// What it is doing.
    pub state: NodeState,
    /// Address of the node's first link (IPv4 preferred); other nodes know it under this address.
    pub address: Option<String>,
    /// All addresses with prefix lengths, per interface in order.
    pub addresses: Vec<String>,
    /// Functions deployed on the node.
    pub functions: Vec<FunctionInfo>,
    /// Ports of the host that lead into the node.
    pub ports: Vec<PortInfo>,
    /// Where its FaaS platform has its gateway, a port inside the node; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<u16>,
    /// Process id of the node's init as the host sees it, once it has one.
    pub pid: Option<i32>,
    /// The agent's libp2p peer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
    /// Supervised processes of the node.
    pub services: Vec<ServiceInfo>,
    /// What it may use of the machine, by the keys of a topology file; empty when nothing is limited.
    #[serde(default)]
    pub limits: serde_json::Map<String, serde_json::Value>,
    /// Labels from the topology.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A function as the topology asks for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FunctionInfo {
    /// Name of the function.
    pub name: String,
    /// Capacity in requests per second (the `dfaas.maxrate` label).
    pub maxrate: Option<u32>,
}

/// A published port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PortInfo {
    /// `address:port` on the host.
    pub host: String,
    /// Port inside the node.
    pub node_port: u16,
}

/// One supervised process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// `haproxy`, `faas`, `agent`, …
    pub name: String,
    /// `starting`, `running`, `restarting` or `stopped`.
    pub state: String,
    /// Process id inside the node.
    pub pid: Option<i32>,
    /// How often it was started again after it ended.
    pub restarts: u32,
}

/// One link of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkInfo {
    /// `A--B`, or the name given in the file.
    pub name: String,
    /// The two ends; `forward` runs from the first to the second.
    pub endpoints: [LinkEndInfo; 2],
    /// Who impairs it: `wire`, `tc`, or `none` when nothing was asked for.
    pub backend: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Whether both ends have a carrier, as the kernel says: not while it is set down, nor while an interface of it is.
    pub up: bool,
    /// Impairments from the first end to the second, as in the topology file; empty when none.
    pub forward: serde_json::Map<String, serde_json::Value>,
    /// Impairments from the second end to the first.
    pub backward: serde_json::Map<String, serde_json::Value>,
    /// A digest of the kernel's queues on the link's way, read back from the kernel: it changes only with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<String>,
    /// Counters of the backend, per direction, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<serde_json::Value>,
}

/// One end of a link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkEndInfo {
    /// Node name.
    pub node: String,
    /// Interface name inside the node.
    pub interface: String,
}

/// A change of a running link. What is left out stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkChange {
    /// Back to what the topology file says, before the rest of this change.
    pub reset: bool,
    /// Impairments by the keys of a topology file, with its units: `{"delay": "200ms", "forward.loss": "1%"}` or
    /// `{"forward": {"loss": "1%"}}`.
    pub set: serde_json::Map<String, serde_json::Value>,
    /// From the first end to the second.
    pub forward: ImpairmentChange,
    /// From the second end to the first.
    pub backward: ImpairmentChange,
    /// Carrier on both ends.
    pub up: Option<bool>,
}

/// What a capture sees, and when it ends: the query of `GET /v1/links/LINK/capture`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureOptions {
    /// Where packets are seen.
    pub at: CapturePlace,
    /// Number of packets after which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Time after which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Bytes that are kept of each packet; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest: Option<u32>,
}

/// Where on its way over a link a packet is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CapturePlace {
    /// As it enters the link: nothing is lost or late yet.
    Entry,
    /// As it leaves the link: as its receiver gets it.
    #[default]
    Exit,
    /// At both places.
    Both,
}

impl CapturePlace {
    /// The word in queries and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CapturePlace::Entry => "entry",
            CapturePlace::Exit => "exit",
            CapturePlace::Both => "both",
        }
    }
}

/// Groups of nodes that cannot reach each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Node names; each in one group at most. Nodes in no group reach all.
    pub groups: Vec<Vec<String>>,
}

/// The groups as people write them: `n1, n2 / n3`.
impl std::fmt::Display for Partition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let groups: Vec<String> = self.groups.iter().map(|group| group.join(", ")).collect();
        formatter.pad(&groups.join(" / "))
    }
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, naming the thing.
    pub error: String,
}
