//! The steps of a plan and what each waits for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use indexmap::IndexMap;

use super::PlannedNode;
use super::addresses::{self, Addressing};
use super::forwarding::{self, Entry};
use super::graph::{Graph, StepId};
use super::names::{self, WIRE};
use super::nodes::DEFAULT_MTU;
use super::routes::{self, DirectRoute, Route};
use super::step::{Action, LinkEnd, Service, Step};
use crate::topology::segments::{Port, Segment};
use crate::topology::{Link, Node, NodeKind, Topology};

/// All interfaces of a segment know each other from the start if they are at most so many: entries grow with the square
/// of them. Others resolve addresses by ARP, which the switch answers, and neighbour discovery, which goes to everybody.
const MOST_NEIGHBOURS: usize = 64;
/// Those of `dfaas`, `client` and `router` nodes know each other up to this many, whatever else is on their segment.
const MOST_BUSY_NEIGHBOURS: usize = 256;

/// All steps, in an order in which they can be done.
pub(super) fn steps(
    topology: &Topology,
    addressing: &Addressing,
    nodes: &IndexMap<String, PlannedNode>,
) -> Vec<Step> {
    let mut builder = Builder {
        topology,
        addressing,
        graph: Graph::default(),
        namespaces: HashMap::with_capacity(nodes.len()),
        links: Vec::with_capacity(topology.links.len()),
        network: HashMap::with_capacity(nodes.len()),
    };
    builder.namespaces();
    builder.links();
    builder.addresses(nodes);
    builder.routes();
    builder.neighbours();
    builder.forwarding();
    builder.bridges();
    builder.impairments();
    for (name, node) in &topology.nodes {
        builder.machine(name, node);
    }
    builder.graph.into_steps()
}

struct Builder<'a> {
    topology: &'a Topology,
    addressing: &'a Addressing,
    graph: Graph,
    namespaces: HashMap<&'a str, StepId>,
    /// The step that makes each link.
    links: Vec<StepId>,
    /// For each node, what must be done before anything is started in it.
    network: HashMap<&'a str, Vec<StepId>>,
}

impl<'a> Builder<'a> {
    fn needed_by(&mut self, node: &'a str, step: StepId) {
        self.network.entry(node).or_default().push(step);
    }

    fn is_switch(&self, name: &str) -> bool {
        self.topology
            .nodes
            .get(name)
            .is_some_and(|node| node.kind == NodeKind::Switch)
    }

    fn namespaces(&mut self) {
        let wire = Action::CreateNamespace {
            namespace: WIRE.to_owned(),
            forward: false,
            bridge: false,
        };
        let wire = self.graph.add(wire, []);
        self.namespaces.insert(WIRE, wire);
        for (name, node) in &self.topology.nodes {
            let bridge = node.kind == NodeKind::Switch;
            let action = Action::CreateNamespace {
                namespace: name.clone(),
                forward: node.forward,
                bridge,
            };
            let step = self.graph.add(action, []);
            self.namespaces.insert(name, step);
            self.needed_by(name, step);
        }
    }

    fn links(&mut self) {
        for (number, link) in self.topology.links.iter().enumerate() {
            let spaces = [
                WIRE,
                link.endpoints[0].node.as_str(),
                link.endpoints[1].node.as_str(),
            ];
            let after: Vec<StepId> = spaces
                .iter()
                .filter_map(|name| self.namespaces.get(name))
                .copied()
                .collect();
            let action = Action::CreateLink {
                link: link.name.clone(),
                ends: self.ends(number, link),
            };
            let step = self.graph.add(action, after);
            self.links.push(step);
            for end in &link.endpoints {
                self.needed_by(&end.node, step);
            }
        }
    }

    fn ends(&self, number: usize, link: &Link) -> [LinkEnd; 2] {
        let [first, second] = names::midpoints(link.number);
        let end = |end: usize, midpoint: String| {
            let endpoint = &link.endpoints[end];
            LinkEnd {
                namespace: endpoint.node.clone(),
                interface: endpoint.interface.clone(),
                mac: addresses::mac(self.topology, number, end),
                mtu: link.mtu.unwrap_or(DEFAULT_MTU),
                bridge_port: self.is_switch(&endpoint.node),
                midpoint,
            }
        };
        [end(0, first), end(1, second)]
    }

    fn addresses(&mut self, nodes: &IndexMap<String, PlannedNode>) {
        let numbers: HashMap<&str, usize> = self
            .topology
            .links
            .iter()
            .enumerate()
            .map(|(number, link)| (link.name.as_str(), number))
            .collect();
        for (name, _) in &self.topology.nodes {
            for interface in nodes.get(name).into_iter().flat_map(|node| &node.interfaces) {
                let link = numbers
                    .get(interface.link.as_str())
                    .and_then(|number| self.links.get(*number))
                    .copied();
                for address in &interface.addresses {
                    let action = Action::AddAddress {
                        namespace: name.clone(),
                        interface: interface.name.clone(),
                        address: *address,
                    };
                    let step = self.graph.add(action, link);
                    self.needed_by(name, step);
                }
            }
        }
    }

    /// Routes wait for all addresses of their node: the gateway must be on a known network.
    fn routes(&mut self) {
        for DirectRoute { port, destination } in routes::direct_routes(self.topology, self.addressing) {
            let end = &self.topology.links[port.link].endpoints[port.end];
            let action = Action::AddDirectRoute {
                namespace: end.node.clone(),
                interface: end.interface.clone(),
                destination,
            };
            let after = self.network.get(end.node.as_str()).cloned().unwrap_or_default();
            let step = self.graph.add(action, after);
            self.needed_by(&end.node, step);
        }
        let addressed = self.network.clone();
        for Route {
            node,
            destination,
            via,
        } in routes::routes(self.topology, self.addressing)
        {
            let Some((name, _)) = self.topology.nodes.get_index(node) else {
                continue;
            };
            let after = addressed.get(name.as_str()).cloned().unwrap_or_default();
            let action = Action::AddRoute {
                namespace: name.clone(),
                destination,
                via,
            };
            let step = self.graph.add(action, after);
            self.needed_by(name, step);
        }
    }

    fn neighbours(&mut self) {
        for segment in &self.addressing.segments.list {
            let ports = self.acquainted(segment);
            for port in &ports {
                let end = &self.topology.links[port.link].endpoints[port.end];
                for neighbour in ports.iter().filter(|other| other.node != port.node) {
                    let Some((four, six)) = self.addressing.of(*neighbour) else {
                        continue;
                    };
                    let mac = addresses::mac(self.topology, neighbour.link, neighbour.end);
                    for address in [four.addr(), six.addr()] {
                        let (namespace, interface) = (end.node.clone(), end.interface.clone());
                        let action = Action::AddNeighbour {
                            namespace,
                            interface,
                            address,
                            mac,
                        };
                        let step = self.graph.add(action, self.links.get(port.link).copied());
                        self.needed_by(&end.node, step);
                    }
                }
            }
        }
    }

    /// The interfaces of a segment that know each other from the start.
    fn acquainted(&self, segment: &Segment) -> Vec<Port> {
        if segment.ports.len() <= MOST_NEIGHBOURS {
            return segment.ports.clone();
        }
        let is_busy = |port: &&Port| {
            let node = self.topology.nodes.get_index(port.node);
            node.is_some_and(|(_, node)| node.kind != NodeKind::Host)
        };
        let busy: Vec<Port> = segment.ports.iter().filter(is_busy).copied().collect();
        if busy.len() <= MOST_BUSY_NEIGHBOURS {
            busy
        } else {
            Vec::new()
        }
    }

    /// The addresses of interfaces that do not know each other, by link and end.
    fn asked_for(&self) -> HashMap<(usize, usize), Ipv4Addr> {
        let segments = self.addressing.segments.list.iter();
        let large = segments.filter(|segment| segment.ports.len() > MOST_NEIGHBOURS);
        let address = |port: &Port| match self.addressing.of(*port)?.0.addr() {
            IpAddr::V4(address) => Some(((port.link, port.end), address)),
            IpAddr::V6(_) => None,
        };
        large
            .flat_map(|segment| &segment.ports)
            .filter_map(address)
            .collect()
    }

    fn forwarding(&mut self) {
        let asked_for = self.asked_for();
        for Entry { port, interface } in forwarding::entries(self.topology) {
            let end = &self.topology.links[port.link].endpoints[port.end];
            let action = Action::AddForwarding {
                namespace: end.node.clone(),
                interface: end.interface.clone(),
                mac: addresses::mac(self.topology, interface.link, interface.end),
                answers_for: asked_for.get(&(interface.link, interface.end)).copied(),
            };
            let step = self.graph.add(action, self.links.get(port.link).copied());
            self.needed_by(&end.node, step);
        }
    }

    /// A bridge goes up once all its ports are in it; nodes on it start after that.
    fn bridges(&mut self) {
        let mut raised: HashMap<&str, StepId> = HashMap::new();
        for (name, _) in self
            .topology
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == NodeKind::Switch)
        {
            let after = self.network.get(name.as_str()).cloned().unwrap_or_default();
            let step = self.graph.add(
                Action::RaiseBridge {
                    namespace: name.clone(),
                },
                after,
            );
            raised.insert(name, step);
        }
        for link in &self.topology.links {
            let [first, second] = &link.endpoints;
            for (end, other) in [(first, second), (second, first)] {
                if let Some(step) = raised.get(other.node.as_str()) {
                    self.needed_by(&end.node, *step);
                }
            }
        }
    }

    /// Every link has this step, also one that passes everything: it is what joins the two midpoints.
    fn impairments(&mut self) {
        for (number, link) in self.topology.links.iter().enumerate() {
            let action = Action::Impair {
                link: link.name.clone(),
                forward: Box::new(link.forward.clone()),
                backward: Box::new(link.backward.clone()),
                presets: link.presets.clone(),
                traces: traces(self.topology, link),
                backend: link.backend,
            };
            let step = self.graph.add(action, self.links.get(number).copied());
            for end in &link.endpoints {
                self.needed_by(&end.node, step);
            }
        }
    }

    /// Limits, processes and ports of one node.
    fn machine(&mut self, name: &'a str, node: &Node) {
        let mut ready = self.network.get(name).cloned().unwrap_or_default();
        if !node.limits.is_empty() {
            let action = Action::LimitNode {
                node: name.to_owned(),
                limits: node.limits.clone(),
            };
            let step = self.graph.add(action, self.namespaces.get(name).copied());
            ready.push(step);
        }
        let is_dfaas = node.kind == NodeKind::Dfaas;
        // Bare nodes have no process of their own until something is run in them.
        if is_dfaas || !node.exec.is_empty() {
            let step = self.graph.add(
                Action::StartNode {
                    node: name.to_owned(),
                },
                ready,
            );
            ready = vec![step];
        }
        for uplink in &node.uplink {
            let action = Action::OpenUplink {
                node: name.to_owned(),
                uplink: uplink.clone(),
            };
            ready.push(self.graph.add(action, ready.clone()));
        }
        for command in &node.exec {
            let action = Action::RunCommand {
                node: name.to_owned(),
                command: command.clone(),
            };
            ready = vec![self.graph.add(action, ready)];
        }
        if is_dfaas {
            ready = self.services(name, &ready);
        }
        let mut published = ready.clone();
        for mapping in &node.ports {
            let action = Action::PublishPort {
                node: name.to_owned(),
                mapping: mapping.clone(),
            };
            published.push(self.graph.add(action, ready.iter().copied()));
        }
        if is_dfaas {
            self.graph.add(
                Action::AwaitReady {
                    node: name.to_owned(),
                },
                published,
            );
        }
    }

    /// The agent configures a running proxy from a running platform.
    fn services(&mut self, name: &str, after: &[StepId]) -> Vec<StepId> {
        let start = |service| Action::StartService {
            node: name.to_owned(),
            service,
        };
        let haproxy = self.graph.add(start(Service::Haproxy), after.iter().copied());
        let faas = self.graph.add(start(Service::Faas), after.iter().copied());
        let agent = self.graph.add(start(Service::Agent), [haproxy, faas]);
        if self.topology.monitoring.is_none() {
            return vec![agent];
        }
        let exporter = self
            .graph
            .add(start(Service::NodeExporter), after.iter().copied());
        vec![self.graph.add(start(Service::Prometheus), [agent, exporter])]
    }
}

/// One line if both directions replay the same.
fn traces(topology: &Topology, link: &Link) -> Vec<String> {
    match topology.traces_of(link) {
        [Some(forward), Some(backward)] if forward == backward => vec![format!("trace {forward}")],
        [forward, backward] => [("forward", forward), ("backward", backward)]
            .into_iter()
            .filter_map(|(direction, trace)| Some(format!("{direction} trace {}", trace?)))
            .collect(),
    }
}
