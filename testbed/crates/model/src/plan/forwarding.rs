//! What switches know from the start: behind which of their ports each interface is.

use std::collections::BTreeMap;

use crate::topology::{NodeKind, Topology};

/// Most entries for one segment, where every switch knows every interface. In a larger one switches learn, as real ones
/// do: a frame to somebody who has not been heard yet goes out of all ports.
const MOST_ENTRIES: usize = 16_384;

/// One end of a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Place of the link in [`Topology::links`].
    pub(super) link: usize,
    /// Which end of it, 0 or 1.
    pub(super) end: usize,
}

impl End {
    fn other(self) -> End {
        End {
            end: 1 - self.end,
            ..self
        }
    }
}

/// An entry of a switch's forwarding database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The switch's port.
    pub(super) port: End,
    /// The interface behind it.
    pub(super) interface: End,
}

/// The entries of all switches.
pub(super) fn entries(topology: &Topology) -> Vec<Entry> {
    let switches = Switches::of(topology);
    let mut entries = Vec::new();
    let mut seen = vec![false; topology.nodes.len()];
    for first in switches.ports.keys() {
        if seen[*first] {
            continue;
        }
        let segment = switches.reach(*first);
        for (switch, _) in &segment {
            seen[*switch] = true;
        }
        let hosts = segment.iter().flat_map(|(switch, _)| switches.hosts(*switch));
        if hosts.count() * segment.len() > MOST_ENTRIES {
            continue;
        }
        for (home, _) in segment {
            for (_, toward) in switches.reach(home) {
                entries.extend(switches.hosts(home).map(|host| Entry {
                    port: toward.unwrap_or(host),
                    interface: host.other(),
                }));
            }
        }
    }
    entries
}

/// The ports of all switches, by the places of the switches in [`Topology::nodes`].
struct Switches {
    ports: BTreeMap<usize, Vec<Port>>,
}

struct Port {
    end: End,
    /// The node at the other end of the link.
    far: usize,
}

impl Switches {
    fn of(topology: &Topology) -> Switches {
        let nodes = topology.nodes.values().enumerate();
        let switches = nodes.filter(|(_, node)| node.kind == NodeKind::Switch);
        let mut ports: BTreeMap<usize, Vec<Port>> = switches.map(|(place, _)| (place, Vec::new())).collect();
        for (link, description) in topology.links.iter().enumerate() {
            for end in [0, 1] {
                let place = |end: usize| topology.nodes.get_index_of(&description.endpoints[end].node);
                let (Some(near), Some(far)) = (place(end), place(1 - end)) else {
                    continue;
                };
                if let Some(ports) = ports.get_mut(&near) {
                    let end = End { link, end };
                    ports.push(Port { end, far });
                }
            }
        }
        Switches { ports }
    }

    fn ports(&self, switch: usize) -> impl Iterator<Item = &Port> {
        self.ports.get(&switch).into_iter().flatten()
    }

    /// The ports of a switch that do not lead to another switch.
    fn hosts(&self, switch: usize) -> impl Iterator<Item = End> {
        let ports = self.ports(switch);
        ports
            .filter(|port| !self.ports.contains_key(&port.far))
            .map(|port| port.end)
    }

    /// A switch and those it is joined with, each with its port towards that switch. There are no loops, so there is one
    /// such port.
    fn reach(&self, home: usize) -> Vec<(usize, Option<End>)> {
        let mut reached = vec![(home, None, None)];
        let mut next = 0;
        while let Some(&(switch, _, from)) = reached.get(next) {
            next += 1;
            for port in self.ports(switch) {
                let is_back = from == Some(port.end.link);
                if self.ports.contains_key(&port.far) && !is_back {
                    reached.push((port.far, Some(port.end.other()), Some(port.end.link)));
                }
            }
        }
        let reached = reached.into_iter();
        reached.map(|(switch, toward, _)| (switch, toward)).collect()
    }
}
