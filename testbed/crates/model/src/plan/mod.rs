//! Every step `up` will take, as data, before anything is touched.

pub(crate) mod addresses;
mod forwarding;
mod graph;
pub(crate) mod names;
mod nodes;
mod print;
mod routes;
mod step;
mod steps;
mod transition;

use std::net::IpAddr;

use indexmap::IndexMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use names::WIRE;
pub(crate) use step::MacText;
pub use step::{Action, LinkEnd, Service, Step};
pub use transition::Transition;

use crate::document::sources::Sources;
use crate::error::{ModelError, Problem};
use crate::topology::{NodeKind, Topology};

/// What `up` will do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The lab's name.
    pub lab: String,
    /// From which every random stream is derived.
    pub seed: u64,
    /// `/etc/hosts` of every node: each node's addresses (those of its first link) and name, in the order of the
    /// file.
    pub hosts: Vec<(IpAddr, String)>,
    nodes: IndexMap<String, PlannedNode>,
    steps: Vec<Step>,
}

/// A node with what was chosen for it. Switches have interfaces without addresses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedNode {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// IPv4 address of its first link; none for switches and nodes without links.
    pub address: Option<IpAddr>,
    /// Its interfaces in the order of the links.
    pub interfaces: Vec<PlannedInterface>,
}

/// One interface of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedInterface {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The link it is an end of.
    pub link: String,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// An IPv4 and an IPv6 address; none on a switch.
    pub addresses: Vec<IpNet>,
    /// Largest packet in bytes.
    pub mtu: u32,
}

impl Plan {
    /// The steps in an order in which they can be done; the same for the same topology.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// The steps in waves: each step of a wave needs only steps of earlier ones.
    #[must_use]
    pub fn levels(&self) -> Vec<Vec<&Step>> {
        let mut levels: Vec<Vec<&Step>> = Vec::new();
        let mut level_of: Vec<usize> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let before = step.after.iter().filter_map(|id| level_of.get(*id)).max();
            let level = before.map_or(0, |level| level + 1);
            level_of.push(level);
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(step);
        }
        levels
    }

    /// A node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&PlannedNode> {
        self.nodes.get(name)
    }

    /// All nodes in the order of the file.
    pub fn nodes(&self) -> impl Iterator<Item = &PlannedNode> {
        self.nodes.values()
    }
}

/// Plans a lab.
///
/// # Errors
/// If the addresses do not fit together. [`crate::load_topology`] has checked that already, with positions.
pub fn plan(topology: &Topology) -> Result<Plan, ModelError> {
    let addressing = addresses::assign(topology).map_err(|faults| {
        let fault = faults
            .into_iter()
            .next()
            .map_or(crate::Fault::Unexplained, |first| first.fault);
        ModelError::single(Problem::without_place(fault), &Sources::default())
    })?;
    let nodes = nodes::nodes(topology, &addressing);
    let hosts = nodes::hosts(&nodes);
    let steps = steps::steps(topology, &addressing, &nodes);
    Ok(Plan {
        lab: topology.name.clone(),
        seed: topology.seed,
        hosts,
        nodes,
        steps,
    })
}
