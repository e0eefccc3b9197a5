//! Nodes with what was chosen for them.

use std::net::IpAddr;

use indexmap::IndexMap;
use ipnet::IpNet;

use super::addresses::{self, Addressing};
use super::{PlannedInterface, PlannedNode};
use crate::topology::Topology;
use crate::topology::segments::Port;

/// Ethernet's own.
pub(super) const DEFAULT_MTU: u32 = 1500;

/// Every node with its interfaces.
pub(super) fn nodes(topology: &Topology, addressing: &Addressing) -> IndexMap<String, PlannedNode> {
    let mut nodes: IndexMap<String, PlannedNode> = topology
        .nodes
        .iter()
        .map(|(name, node)| {
            let planned = PlannedNode {
                name: name.clone(),
                kind: node.kind,
                address: None,
                interfaces: Vec::new(),
            };
            (name.clone(), planned)
        })
        .collect();
    for (number, link) in topology.links.iter().enumerate() {
        for (end, endpoint) in link.endpoints.iter().enumerate() {
            let Some(node) = nodes.get_mut(&endpoint.node) else {
                continue;
            };
            let port = Port {
                node: 0,
                link: number,
                end,
            };
            let addresses: Vec<IpNet> = addressing
                .of(port)
                .map(|(four, six)| vec![four, six])
                .unwrap_or_default();
            if node.interfaces.is_empty() {
                node.address = addresses.first().map(IpNet::addr);
            }
            node.interfaces.push(PlannedInterface {
                name: endpoint.interface.clone(),
                link: link.name.clone(),
                mac: addresses::mac(topology, number, end),
                addresses,
                mtu: link.mtu.unwrap_or(DEFAULT_MTU),
            });
        }
    }
    nodes
}

/// `/etc/hosts`: names stand for the addresses of the first link.
pub(super) fn hosts(nodes: &IndexMap<String, PlannedNode>) -> Vec<(IpAddr, String)> {
    let first = |node: &PlannedNode| {
        node.interfaces
            .first()
            .map(|own| own.addresses.clone())
            .unwrap_or_default()
    };
    nodes
        .values()
        .flat_map(|node| {
            first(node)
                .into_iter()
                .map(|address| (address.addr(), node.name.clone()))
        })
        .collect()
}
