//! Nodes that are containers. Each has a network holder, made before the network, so that its links outlive its
//! restarts, and a node container, made when the network is there.

mod node;
mod output;
mod prepare;
mod remove;
mod specification;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

pub(crate) use node::{CONTAINER_SERVICE, ContainerNode};
pub(crate) use prepare::{prepare, refuse};
pub(crate) use remove::remove;

/// The container nodes of a lab.
#[derive(Debug)]
pub(crate) struct Containers {
    nodes: BTreeMap<String, Arc<ContainerNode>>,
}

impl Containers {
    /// The container that is this node, if it is one.
    pub(crate) fn node(&self, name: &str) -> Option<&Arc<ContainerNode>> {
        self.nodes.get(name)
    }

    /// The network namespaces that exist already, by node.
    pub(crate) fn networks(&self) -> impl Iterator<Item = (&str, Arc<OwnedFd>)> {
        self.nodes
            .iter()
            .map(|(name, node)| (name.as_str(), Arc::clone(&node.network)))
    }
}
