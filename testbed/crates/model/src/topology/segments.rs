//! Which interfaces share a wire: the segments of a topology, and who can reach whom across them.

use petgraph::unionfind::UnionFind;

use super::topology::{NodeKind, Topology};

/// An interface that can have addresses: one end of a link, at a node that is no switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// Place of the node in [`Topology::nodes`].
    pub(crate) node: usize,
    /// Place of the link in [`Topology::links`].
    pub(crate) link: usize,
    /// Which end of it, 0 or 1.
    pub(crate) end: usize,
}

/// A set of interfaces joined by links and switches, in the order of the nodes in the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) ports: Vec<Port>,
}

/// All segments with at least one port, in the order of their first links.
#[derive(Clone, Debug)]
pub(crate) struct Segments {
    pub(crate) list: Vec<Segment>,
    /// For each link, the segment it belongs to; none for links between switches without hosts.
    pub(crate) of_link: Vec<Option<usize>>,
    /// For each node, its ports in the order of the links.
    pub(crate) ports_of: Vec<Vec<Port>>,
}

impl Segments {
    pub(crate) fn of(topology: &Topology) -> Segments {
        let places: Vec<[Option<usize>; 2]> = topology
            .links
            .iter()
            .map(|link| [0, 1].map(|end| topology.nodes.get_index_of(&link.endpoints[end].node)))
            .collect();
        let kind = |place: usize| topology.nodes.get_index(place).map(|(_, node)| node.kind);
        // One element per link, then one per node; a link and the switches at its ends belong together.
        let links = topology.links.len();
        let mut joined: UnionFind<usize> = UnionFind::new(links + topology.nodes.len());
        for (link, ends) in places.iter().enumerate() {
            for place in ends
                .iter()
                .flatten()
                .filter(|place| kind(**place) == Some(NodeKind::Switch))
            {
                joined.union(link, links + place);
            }
        }
        let mut ports_of = vec![Vec::new(); topology.nodes.len()];
        for (link, ends) in places.iter().enumerate() {
            for (end, place) in ends.iter().enumerate() {
                if let Some(node) = place.filter(|place| kind(*place) != Some(NodeKind::Switch)) {
                    ports_of[node].push(Port { node, link, end });
                }
            }
        }
        let mut segments = Segments {
            list: Vec::new(),
            of_link: vec![None; links],
            ports_of,
        };
        segments.number(&joined);
        segments
    }

    fn number(&mut self, joined: &UnionFind<usize>) {
        let mut has_ports = std::collections::HashSet::new();
        for port in self.ports_of.iter().flatten() {
            has_ports.insert(joined.find(port.link));
        }
        let mut numbers = std::collections::HashMap::new();
        for link in 0..self.of_link.len() {
            let root = joined.find(link);
            if has_ports.contains(&root) {
                let next = numbers.len();
                self.of_link[link] = Some(*numbers.entry(root).or_insert(next));
            }
        }
        self.list = vec![Segment::default(); numbers.len()];
        for port in self.ports_of.iter().flatten() {
            if let Some(segment) = self.of_link[port.link] {
                self.list[segment].ports.push(*port);
            }
        }
    }

    /// The segments a node is on, in the order of its links.
    pub(crate) fn of_node(&self, node: usize) -> impl Iterator<Item = usize> {
        self.ports_of
            .get(node)
            .into_iter()
            .flatten()
            .filter_map(|port| self.of_link[port.link])
    }

    /// Whether packets from one node get to the address another is known by, that of its first link: over a shared
    /// segment, or through nodes that forward to the segment of that link.
    pub(crate) fn reaches(&self, topology: &Topology, from: usize, to: usize) -> bool {
        let own: Vec<usize> = self.of_node(from).collect();
        if from == to || self.of_node(to).any(|segment| own.contains(&segment)) {
            return true;
        }
        let Some(wanted) = self.of_node(to).next() else {
            return false;
        };
        let forwards = |node: usize| {
            topology
                .nodes
                .get_index(node)
                .is_some_and(|(_, node)| node.forward)
        };
        let mut seen = vec![false; self.list.len()];
        let mut waiting = own;
        while let Some(segment) = waiting.pop() {
            if segment == wanted {
                return true;
            }
            if !std::mem::replace(&mut seen[segment], true) {
                let forwarders = self.list[segment].ports.iter().filter(|port| forwards(port.node));
                waiting.extend(forwarders.flat_map(|port| self.of_node(port.node)));
            }
        }
        false
    }
}
