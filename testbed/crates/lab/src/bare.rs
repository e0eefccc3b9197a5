//! The network of a topology alone, in this process: for measuring links where a whole lab would be in the way.

use std::time::Duration;

use dfaas_control::{LinkChange, LinkInfo};
use dfaas_model::{Plan, Topology};
use dfaas_netns::{KernelFeatures, Network};

use crate::error::LabError;
use crate::supervisor::links::Links;
use crate::supervisor::network;

/// How long the kernel may take to remove the network.
const REMOVAL: Duration = Duration::from_secs(10);

/// Namespaces, links and their carriers as in a lab, but no supervisor, no services and nothing on disk. It ends with
/// this value, or with the process. All calls block.
#[derive(Debug)]
pub struct BareNetwork {
    topology: Topology,
    network: Network,
    links: Links,
}

impl BareNetwork {
    /// Builds the network of a topology, by its plan, on a kernel with these features (see
    /// [`dfaas_netns::probe_kernel`]).
    ///
    /// # Errors
    /// If this machine cannot carry out a link, or refuses a step.
    pub fn build(topology: Topology, plan: &Plan, features: KernelFeatures) -> Result<BareNetwork, LabError> {
        let (network, links) = network::build(&topology, plan, features, &[])?;
        Ok(BareNetwork {
            topology,
            network,
            links,
        })
    }

    /// Runs a closure in a node's namespace; sockets opened there stay in it. Keep it short: one runs at a time.
    ///
    /// # Errors
    /// If there is no such node, or the closure panics.
    pub fn enter<T: Send + 'static>(
        &self,
        node: &str,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LabError> {
        Ok(self.network.enter(node, closure)?)
    }

    /// Changes a link, as [`dfaas_control::Client`] does in a lab.
    ///
    /// # Errors
    /// If the topology has no such link, or its carrier cannot do that.
    pub fn change(&mut self, link: &str, change: &LinkChange) -> Result<LinkInfo, LabError> {
        self.links.change(&self.topology, &self.network, link, change)
    }

    /// What the links are and have counted.
    #[must_use]
    pub fn links(&self) -> Vec<LinkInfo> {
        self.links.info(&self.topology, &self.network)
    }

    /// Ends the network and waits until the kernel has removed it.
    ///
    /// # Errors
    /// If something in its namespaces, a socket for example, still keeps it.
    pub fn close(self) -> Result<(), LabError> {
        self.links.stop();
        Ok(self.network.close(REMOVAL)?)
    }
}
