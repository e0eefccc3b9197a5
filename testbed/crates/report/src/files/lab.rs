use serde::Deserialize;
use serde_json::{Map, Value};

/// The lab as it was when it became ready (`lab.json`). Only what a report shows; other keys are ignored.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Lab {
    /// Name of the lab.
    pub name: String,
    /// Nodes in the order of the topology file.
    pub nodes: Vec<Node>,
    /// Links in the order of the topology file.
    pub links: Vec<Link>,
    /// How the user-space link engine was scheduled: `fifo` or `normal`; none when no link uses it.
    pub engine_scheduling: Option<String>,
    /// What was asked for but could not be done.
    pub warnings: Vec<String>,
}

/// One node of the lab.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `dfaas`, `host`, `client`, `switch` or `router`.
    pub kind: String,
    /// Address of its first link.
    pub address: Option<String>,
    /// Functions deployed on it.
    pub functions: Vec<Function>,
}

/// A function of a node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Capacity, requests per second.
    pub maxrate: Option<f64>,
}

/// One link of the lab.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Both ends; `forward` runs from the first to the second.
    pub endpoints: [LinkEnd; 2],
    /// Who impairs it: `wire`, `tc` or `none`.
    pub backend: String,
    /// Impairments from the first end to the second, with values as in the topology file.
    pub forward: Map<String, Value>,
    /// Impairments from the second end to the first.
    pub backward: Map<String, Value>,
}

/// One end of a link.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LinkEnd {
    /// Name of the node.
    pub node: String,
    /// Interface inside the node.
    pub interface: String,
}
