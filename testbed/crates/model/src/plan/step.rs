//! What `up` does, one step at a time.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::topology::{Backend, Impairment, Limits, PortMapping, Uplink};

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number: its place in the plan.
    pub id: usize,
    /// The machine it runs on; today always `local`.
    pub machine: String,
    /// What it does.
    pub action: Action,
    /// Steps that must be done first; all have smaller numbers.
    pub after: Vec<usize>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// A network namespace for a node, a switch or the wires' midpoints.
    CreateNamespace {
        /// Node or switch name, or `wire`.
        namespace: String,
        /// Whether it forwards packets.
        forward: bool,
        /// Whether it holds a bridge.
        bridge: bool,
    },
    /// Two veth pairs whose midpoints lie in the `wire` namespace.
    CreateLink {
        /// Link name.
        link: String,
        /// First and second end.
        ends: [LinkEnd; 2],
    },
    /// An address on a node's interface.
    AddAddress {
        /// Node.
        namespace: String,
        /// Interface in it.
        interface: String,
        /// Address and prefix length.
        address: IpNet,
    },
    /// A route to what is on the interface's own link though none of its addresses says so.
    AddDirectRoute {
        /// Node.
        namespace: String,
        /// Interface in it.
        interface: String,
        /// Where to.
        destination: IpNet,
    },
    /// A static route.
    AddRoute {
        /// Node.
        namespace: String,
        /// Where to.
        destination: IpNet,
        /// Through which neighbour.
        via: IpAddr,
    },
    /// A static neighbour entry, so that no ARP or neighbour discovery crosses an impaired link.
    AddNeighbour {
        /// Node.
        namespace: String,
        /// Interface the neighbour is behind.
        interface: String,
        /// The neighbour's address.
        address: IpAddr,
        /// The neighbour's hardware address.
        mac: [u8; 6],
    },
    /// A static entry of a switch's forwarding database, so that no frame for a known interface goes out of all ports.
    AddForwarding {
        /// Switch.
        namespace: String,
        /// Port of it.
        interface: String,
        /// The hardware address behind the port.
        mac: [u8; 6],
        /// For this address of the interface the switch answers ARP, so that requests for it do not go to all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answers_for: Option<Ipv4Addr>,
    },
    /// The bridge of a switch goes up, after all its ports are in it.
    RaiseBridge {
        /// Switch.
        namespace: String,
    },
    /// The impairments of a link.
    Impair {
        /// Link name.
        link: String,
        /// From the first end to the second.
        forward: Box<Impairment>,
        /// From the second end to the first.
        backward: Box<Impairment>,
        /// The presets that the impairments come from.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        presets: Vec<String>,
        /// What is replayed in each of the two directions, in a few words.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        traces: Vec<String>,
        /// Who does it.
        backend: Backend,
    },
    /// The limits of a node.
    LimitNode {
        /// Node.
        node: String,
        /// Its limits.
        limits: Limits,
    },
    /// The node's own init.
    StartNode {
        /// Node.
        node: String,
    },
    /// A supervised process of a node.
    StartService {
        /// Node.
        node: String,
        /// Which.
        service: Service,
    },
    /// A command of the file's `exec:`.
    RunCommand {
        /// Node.
        node: String,
        /// For `sh -c`.
        command: String,
    },
    /// A port of the host leads into a node.
    PublishPort {
        /// Node.
        node: String,
        /// From where to where.
        mapping: PortMapping,
    },
    /// A port of a node leads out of the lab.
    OpenUplink {
        /// Node.
        node: String,
        /// From where to where.
        uplink: Uplink,
    },
    /// Waits until a node serves requests and knows its peers.
    AwaitReady {
        /// Node.
        node: String,
    },
}

/// One end of a link: a veth pair between a namespace and `wire`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkEnd {
    /// Node or switch.
    pub namespace: String,
    /// Interface in it.
    pub interface: String,
    /// The interface's hardware address.
    pub mac: [u8; 6],
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Whether the interface is a port of the namespace's bridge.
    pub bridge_port: bool,
    /// The other half of the pair, in the `wire` namespace.
    pub midpoint: String,
}

/// The services of a `dfaas` node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The proxy in front of the platform.
    Haproxy,
    /// The FaaS platform.
    Faas,
    /// The DFaaS agent.
    Agent,
    /// Prometheus' node exporter.
    #[serde(rename = "node-exporter")]
    NodeExporter,
    /// Prometheus, which reads the metrics of all the others.
    Prometheus,
}

impl Service {
    /// The service's name, as in `logs NODE SERVICE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Service::Haproxy => "haproxy",
            Service::Faas => "faas",
            Service::Agent => "agent",
            Service::NodeExporter => "node-exporter",
            Service::Prometheus => "prometheus",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Action {
    /// The heading under which a printed plan lists this kind of action.
    pub(super) fn group(&self) -> &'static str {
        match self {
            Action::CreateNamespace { .. } => "namespaces",
            Action::CreateLink { .. } => "links",
            Action::AddAddress { .. } => "addresses",
            Action::AddDirectRoute { .. } | Action::AddRoute { .. } => "routes",
            Action::AddNeighbour { .. } => "neighbours",
            Action::AddForwarding { .. } => "forwarding",
            Action::RaiseBridge { .. } => "bridges",
            Action::Impair { .. } => "impairments",
            Action::LimitNode { .. } => "limits",
            Action::StartNode { .. } => "nodes",
            Action::StartService { .. } => "services",
            Action::RunCommand { .. } => "commands",
            Action::PublishPort { .. } | Action::OpenUplink { .. } => "ports",
            Action::AwaitReady { .. } => "ready",
        }
    }
}

/// A hardware address as `02:df:00:00:00:01`.
pub(crate) struct MacText(pub(crate) [u8; 6]);

impl fmt::Display for MacText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}
