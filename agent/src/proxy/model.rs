//! What an HAProxy configuration depends on.

use crate::strategy::{FunctionName, LimitsIn, NodeId, OwnWeights, PeerAddress, Weights};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How requests of users find a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Served here up to the function's capacity, then by peers.
    Overflow,
    /// By weight, among the local platform, the rejector and the peers.
    Split {
        /// Whether `DFaaS-Node-ID` on an answer names the node that took the user's request, as the original does it
        /// under all-local, random, latency-threshold and RL; otherwise it names the node that served it.
        names_origin: bool,
        /// Whether the load generator's stage is kept in a table.
        stages: bool,
    },
}

/// What is the same as long as the agent runs.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// How requests of users find a server.
    pub mode: Mode,
    /// PeerId of this node.
    pub own_id: NodeId,
    /// Advertised address, shown in X-Server.
    pub address: IpAddr,
    /// Addresses for requests (`*:80`).
    pub binds: Vec<String>,
    /// Address of the Prometheus exporter.
    pub metrics_bind: String,
    /// Loopback address over which counters survive a reload.
    pub peers_bind: Option<String>,
    /// Path of the Runtime API's socket.
    pub runtime_socket: String,
    /// Threads of HAProxy.
    pub threads: u32,
    /// Whether a peer that sends more than its limit is answered 429.
    pub enforce_limits: bool,
    /// Whether HAProxy logs every request.
    pub log_requests: bool,
    /// `host:port` of the functions platform.
    pub functions: String,
    /// `host:port` of the agent's own HTTP server.
    pub agent: String,
}

/// What changes while the agent runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Local functions and the requests per second each serves here.
    pub functions: BTreeMap<FunctionName, u32>,
    /// Every node whose requests are not answered 403, with its proxy once that is known.
    pub peers: BTreeMap<NodeId, Option<PeerAddress>>,
    /// What each peer may send.
    pub limits: LimitsIn,
    /// How an excess is spread over the peers, or their part of all requests.
    pub weights: Weights,
    /// The part of the local platform and the rejector, where requests are split.
    pub own: BTreeMap<FunctionName, OwnWeights>,
    /// How long a function may take, in milliseconds, where that is known.
    pub timeouts: BTreeMap<FunctionName, u32>,
}

impl Desired {
    /// Functions that have a backend: local ones, and those that only a peer has.
    #[must_use]
    pub fn forwardable(&self) -> BTreeSet<&FunctionName> {
        self.functions.keys().chain(self.weights.keys()).collect()
    }

    /// Peers that can be forwarded to.
    pub fn servers(&self) -> impl Iterator<Item = (&NodeId, PeerAddress)> {
        self.peers
            .iter()
            .filter_map(|(peer, address)| address.map(|address| (peer, address)))
    }

    /// The weight of a peer for a function; 0 where nothing was decided.
    #[must_use]
    pub fn weight(&self, function: &str, peer: &str) -> u32 {
        self.weights
            .get(function)
            .and_then(|peers| peers.get(peer))
            .copied()
            .unwrap_or(0)
    }

    /// The weights of the servers of a function that are not peers.
    #[must_use]
    pub fn own_weights(&self, function: &str) -> OwnWeights {
        self.own.get(function).copied().unwrap_or_default()
    }

    /// Whether the same functions have a backend as in `other`.
    #[must_use]
    pub fn has_backends_of(&self, other: &Self) -> bool {
        self.forwardable() == other.forwardable()
    }

    /// The proxy of a peer, once it is known.
    #[must_use]
    pub fn server(&self, peer: &str) -> Option<PeerAddress> {
        self.peers.get(peer).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn desired() -> Desired {
        let address = PeerAddress {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 80,
        };
        Desired {
            functions: BTreeMap::from([("figlet".to_owned(), 10)]),
            peers: BTreeMap::from([("n2".to_owned(), Some(address)), ("n3".to_owned(), None)]),
            ..Desired::default()
        }
    }

    #[test]
    fn only_functions_make_backends() {
        let mut other = desired();
        other.functions.insert("figlet".to_owned(), 20);
        other
            .limits
            .insert("n2".to_owned(), BTreeMap::from([("figlet".to_owned(), 5)]));
        other
            .weights
            .insert("figlet".to_owned(), BTreeMap::from([("n2".to_owned(), 40)]));
        other.peers.clear();
        assert!(other.has_backends_of(&desired()));
        let mut function = desired();
        function.functions.insert("ocr".to_owned(), 1);
        assert!(!function.has_backends_of(&desired()));
        let mut remote = desired();
        remote.weights.insert("ocr".to_owned(), BTreeMap::new());
        assert!(!remote.has_backends_of(&desired()));
    }

    #[test]
    fn a_silent_peer_has_no_server() {
        assert_eq!(desired().servers().count(), 1);
        assert!(desired().server("n2").is_some());
        assert!(desired().server("n3").is_none() && desired().server("n4").is_none());
    }
}
