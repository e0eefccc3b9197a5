//! What the agent says about itself to people and programs.

use crate::strategy::{FunctionName, NodeId, TableView};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// The agent's view of the federation, served at `/peers`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// This node.
    pub node: Option<NodeStatus>,
    /// Local functions that are balanced.
    pub functions: BTreeMap<FunctionName, FunctionStatus>,
    /// Every peer that is connected or spoke lately.
    pub peers: BTreeMap<NodeId, PeerStatus>,
}

/// This node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatus {
    /// PeerId.
    pub id: NodeId,
    /// Advertised address.
    pub address: IpAddr,
    /// Port of its proxy.
    pub port: u16,
}

/// A local function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FunctionStatus {
    /// Requests per second it is made for.
    pub maxrate: u32,
    /// Users' requests per second at the last measurement.
    pub user_rate: Option<f64>,
    /// Whether that was too much.
    pub overloaded: bool,
}

/// A peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PeerStatus {
    /// Whether it is connected at the moment.
    pub connected: bool,
    /// Its proxy, once it has said where.
    pub proxy: Option<SocketAddr>,
    /// What was agreed, by function.
    pub functions: BTreeMap<FunctionName, ShareStatus>,
}

/// What was agreed about a function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShareStatus {
    /// Requests per second taken from the peer.
    pub limit_in: u32,
    /// Requests per second the peer takes.
    pub limit_out: f64,
    /// Weight of the peer when forwarding.
    pub weight: u32,
}

impl Status {
    /// The peers of a strategy's table, and those that are connected.
    #[must_use]
    pub fn peers(table: &TableView, connected: &BTreeSet<NodeId>) -> BTreeMap<NodeId, PeerStatus> {
        let mut peers: BTreeMap<NodeId, PeerStatus> = BTreeMap::new();
        for (peer, (address, shares)) in table {
            let shares = shares.iter().map(|(function, share)| {
                let (limit_in, limit_out, weight) = (share.limit_in, share.limit_out, share.weight);
                (
                    function.clone(),
                    ShareStatus {
                        limit_in,
                        limit_out,
                        weight,
                    },
                )
            });
            let proxy = Some(SocketAddr::new(address.host, address.port));
            peers.insert(
                peer.clone(),
                PeerStatus {
                    connected: false,
                    proxy,
                    functions: shares.collect(),
                },
            );
        }
        for peer in connected {
            peers.entry(peer.clone()).or_default().connected = true;
        }
        peers
    }
}
