//! Static routes along the shortest paths: least delay, then fewest hops.
//!
//! - A node that does not forward and sees exactly one that does takes it as its default gateway.
//! - Any other node gets one route per segment it can reach through nodes that forward.
//! - A node's name stands for the address on its first link. Where such a node is met on another of its segments
//!   and does not forward, its neighbours there get a host route to that address.
//! - A node that has moved to another segment with its address is a guest there: host routes lead to it.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::addresses::{Addressing, is_guest};
use crate::topology::segments::Port;
use crate::topology::{NodeKind, Topology};

/// One route of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) node: usize,
    pub(super) destination: IpNet,
    pub(super) via: IpAddr,
}

/// A route to what is on the link itself, though no address of the interface says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirectRoute {
    pub(super) port: Port,
    pub(super) destination: IpNet,
}

/// What leads to guests and from them on the segment where they are.
pub(super) fn direct_routes(topology: &Topology, addressing: &Addressing) -> Vec<DirectRoute> {
    let mut routes = Vec::new();
    for (number, segment) in addressing.segments.list.iter().enumerate() {
        for guest in segment.ports.iter().filter(|port| is_guest(topology, **port)) {
            let (network4, network6) = addressing.networks[number];
            routes.extend([network4, network6].map(|destination| DirectRoute {
                port: *guest,
                destination,
            }));
            let Some((four, six)) = addressing.of(*guest) else {
                continue;
            };
            for port in segment.ports.iter().filter(|port| port.node != guest.node) {
                routes.extend([four, six].map(|address| DirectRoute {
                    port: *port,
                    destination: IpNet::from(address.addr()),
                }));
            }
        }
    }
    routes
}

/// Cost of a hop: its delay in nanoseconds above 32 bits of hop count.
type Cost = u128;

fn hop(delay: std::time::Duration) -> Cost {
    (delay.as_nanos() << 32) + 1
}

/// All static routes, by node in the order of the file.
pub(super) fn routes(topology: &Topology, addressing: &Addressing) -> Vec<Route> {
    let router = Router { topology, addressing };
    let mut routes = Vec::new();
    if topology.nodes.values().any(|node| node.forward) {
        router.through_forwarders(&mut routes);
    }
    router.to_first_addresses(&mut routes);
    routes.sort_by_key(|route| route.node);
    // Two ways to the same place: the first found is as good.
    let mut known = HashSet::with_capacity(routes.len());
    routes.retain(|route| known.insert((route.node, route.destination)));
    routes
}

struct Router<'a> {
    topology: &'a Topology,
    addressing: &'a Addressing,
}

impl Router<'_> {
    fn forwards(&self, node: usize) -> bool {
        self.topology
            .nodes
            .get_index(node)
            .is_some_and(|(_, node)| node.forward)
    }

    fn is_switch(&self, node: usize) -> bool {
        self.topology
            .nodes
            .get_index(node)
            .is_some_and(|(_, node)| node.kind == NodeKind::Switch)
    }

    fn through_forwarders(&self, routes: &mut Vec<Route>) {
        let nodes = self.topology.nodes.len();
        let mut wanting: Vec<usize> = Vec::new();
        for node in (0..nodes).filter(|node| !self.is_switch(*node)) {
            match self.only_gateway(node) {
                Gateways::None => {}
                Gateways::One(port) => self.default_route(node, port, routes),
                Gateways::Several => wanting.push(node),
            }
        }
        let guests = self.guests();
        if wanting.is_empty() && guests.is_empty() {
            return;
        }
        let graph = self.graph();
        for segment in 0..self.addressing.segments.list.len() {
            self.routes_to(segment, &graph, &wanting, routes);
        }
        for (segment, guest) in guests {
            self.routes_to_guest(segment, guest, &graph, routes);
        }
    }

    /// Nodes that have moved, with the segment they are on.
    fn guests(&self) -> Vec<(usize, Port)> {
        let segments = self.addressing.segments.list.iter().enumerate();
        segments
            .flat_map(|(number, segment)| segment.ports.iter().map(move |port| (number, *port)))
            .filter(|(_, port)| is_guest(self.topology, *port))
            .collect()
    }

    /// Who would look for the guest elsewhere learns the way: nodes with routes of their own, and those of the network
    /// that the guest's address is of.
    fn routes_to_guest(
        &self,
        segment: usize,
        guest: Port,
        graph: &DiGraph<(), Cost>,
        routes: &mut Vec<Route>,
    ) {
        let Some((own4, own6)) = self.addressing.of(guest) else {
            return;
        };
        let start = NodeIndex::new(self.topology.nodes.len() + segment);
        let costs = petgraph::algo::dijkstra(graph, start, None, |edge| *edge.weight());
        let cost_of = |node: NodeIndex| costs.get(&node).copied();
        for node in (0..self.topology.nodes.len()).filter(|node| !self.is_switch(*node)) {
            let mut on = self.addressing.segments.of_node(node);
            if node == guest.node || on.any(|own| own == segment) {
                continue;
            }
            let mut on = self.addressing.segments.of_node(node);
            let is_of_its_network = on.any(|own| self.addressing.networks[own].0.contains(&own4.addr()));
            let via = match self.only_gateway(node) {
                Gateways::None => None,
                Gateways::One(gateway) => Some(gateway).filter(|_| is_of_its_network),
                Gateways::Several => self.next_hop(node, graph, &cost_of),
            };
            if let Some((four, six)) = via.and_then(|port| self.addressing.of(port)) {
                routes.extend([(own4, four), (own6, six)].map(|(own, via)| Route {
                    node,
                    destination: IpNet::from(own.addr()),
                    via: via.addr(),
                }));
            }
        }
    }

    /// The one forwarding neighbour of a node that does not forward itself.
    fn only_gateway(&self, node: usize) -> Gateways {
        if self.forwards(node) {
            return Gateways::Several;
        }
        let mut found: Option<Port> = None;
        for segment in self.addressing.segments.of_node(node) {
            for port in &self.addressing.segments.list[segment].ports {
                if !self.forwards(port.node) {
                    continue;
                }
                match found {
                    None => found = Some(*port),
                    Some(before) if before.node == port.node => {}
                    Some(_) => return Gateways::Several,
                }
            }
        }
        match found {
            // A gateway to nowhere needs no route.
            Some(port) if self.addressing.segments.ports_of[port.node].len() > 1 => Gateways::One(port),
            _ => Gateways::None,
        }
    }

    fn default_route(&self, node: usize, gateway: Port, routes: &mut Vec<Route>) {
        let Some((four, six)) = self.addressing.of(gateway) else {
            return;
        };
        for via in [four, six] {
            let everywhere: IpAddr = match via.addr() {
                IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            if let Ok(destination) = IpNet::new(everywhere, 0) {
                routes.push(Route {
                    node,
                    destination,
                    via: via.addr(),
                });
            }
        }
    }

    /// Edges lead away from a destination: `x → y` when `y` may send through `x`, at the cost of the link from `y`
    /// to `x`. One vertex per node (same numbers), then one per segment, from which the search for it starts.
    fn graph(&self) -> DiGraph<(), Cost> {
        let nodes = self.topology.nodes.len();
        let mut graph = DiGraph::new();
        for _ in 0..nodes + self.addressing.segments.list.len() {
            graph.add_node(());
        }
        for link in &self.topology.links {
            let ends = [0, 1].map(|end| self.topology.nodes.get_index_of(&link.endpoints[end].node));
            let [Some(first), Some(second)] = ends else {
                continue;
            };
            let relays = |node| self.is_switch(node) || self.forwards(node);
            if relays(first) {
                graph.add_edge(
                    NodeIndex::new(first),
                    NodeIndex::new(second),
                    hop(link.backward.delay),
                );
            }
            if relays(second) {
                graph.add_edge(
                    NodeIndex::new(second),
                    NodeIndex::new(first),
                    hop(link.forward.delay),
                );
            }
        }
        for (number, segment) in self.addressing.segments.list.iter().enumerate() {
            for port in segment.ports.iter().filter(|port| self.forwards(port.node)) {
                graph.add_edge(NodeIndex::new(nodes + number), NodeIndex::new(port.node), 0);
            }
        }
        graph
    }

    fn routes_to(
        &self,
        segment: usize,
        graph: &DiGraph<(), Cost>,
        wanting: &[usize],
        routes: &mut Vec<Route>,
    ) {
        let start = NodeIndex::new(self.topology.nodes.len() + segment);
        if graph.edges(start).next().is_none() {
            return;
        }
        let costs = petgraph::algo::dijkstra(graph, start, None, |edge| *edge.weight());
        let cost_of = |node: NodeIndex| costs.get(&node).copied();
        let (network4, network6) = self.addressing.networks[segment];
        for node in wanting {
            if self.addressing.segments.of_node(*node).any(|own| own == segment) {
                continue;
            }
            let Some(via) = self.next_hop(*node, graph, &cost_of) else {
                continue;
            };
            let Some((four, six)) = self.addressing.of(via) else {
                continue;
            };
            routes.push(Route {
                node: *node,
                destination: network4,
                via: four.addr(),
            });
            routes.push(Route {
                node: *node,
                destination: network6,
                via: six.addr(),
            });
        }
    }

    /// The next node with addresses on the way from `node`, as its port on a segment they share.
    fn next_hop(
        &self,
        node: usize,
        graph: &DiGraph<(), Cost>,
        cost_of: &dyn Fn(NodeIndex) -> Option<Cost>,
    ) -> Option<Port> {
        let mut here = NodeIndex::new(node);
        loop {
            let cost = cost_of(here)?;
            let before = graph
                .edges_directed(here, petgraph::Direction::Incoming)
                .filter(|edge| cost_of(edge.source()).is_some_and(|other| other + edge.weight() == cost))
                .map(|edge| edge.source())
                .min()?;
            here = before;
            if !self.is_switch(here.index()) {
                break;
            }
        }
        let shared: Vec<usize> = self.addressing.segments.of_node(node).collect();
        let ports = self.addressing.segments.ports_of.get(here.index())?;
        ports
            .iter()
            .find(|port| {
                let segment = self.addressing.segments.of_link[port.link];
                segment.is_some_and(|segment| shared.contains(&segment))
            })
            .copied()
    }

    fn to_first_addresses(&self, routes: &mut Vec<Route>) {
        let segments = &self.addressing.segments;
        for (node, ports) in segments.ports_of.iter().enumerate() {
            let Some((first, others)) = ports.split_first() else {
                continue;
            };
            if others.is_empty() || self.forwards(node) {
                continue;
            }
            let Some(own) = self.addressing.of(*first) else {
                continue;
            };
            for port in others {
                let Some(segment) = segments.of_link[port.link] else {
                    continue;
                };
                for neighbour in &segments.list[segment].ports {
                    let on_first = segments
                        .of_node(neighbour.node)
                        .any(|own| Some(own) == segments.of_link[first.link]);
                    if neighbour.node != node && !on_first {
                        self.host_routes(neighbour.node, own, *port, routes);
                    }
                }
            }
        }
    }

    fn host_routes(&self, node: usize, to: (IpNet, IpNet), through: Port, routes: &mut Vec<Route>) {
        let Some(via) = self.addressing.of(through) else {
            return;
        };
        for (to, via) in [(to.0, via.0), (to.1, via.1)] {
            routes.push(Route {
                node,
                destination: IpNet::from(to.addr()),
                via: via.addr(),
            });
        }
    }
}

enum Gateways {
    None,
    One(Port),
    Several,
}
