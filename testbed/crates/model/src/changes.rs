//! What leads from a running topology to another one, and what of it cannot be done while the lab runs.

mod change;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use change::{Change, Refusal};

use crate::topology::{Endpoint, InterfaceSettings, Link, Node, NodeKind, Topology};
use crate::trace::Trace;

/// The remedy for what is fixed when a lab starts.
const ANEW: &str = "take the lab down, then `up` this file";

/// The steps from `running` to `wanted`, in the order in which they are taken: what goes and what comes first, then what
/// is milder before what is not. Both must be [`Topology::settled`] on what the lab has chosen, and no node may become
/// another kind of thing or get another driver, see [`stages`].
///
/// # Errors
/// Everything that cannot be changed while the lab runs.
pub fn changes(running: &Topology, wanted: &Topology) -> Result<Vec<Change>, Vec<Refusal>> {
    let mut found = Found::default();
    found.lab(running, wanted);
    for link in &running.links {
        match wanted.links.iter().find(|other| other.name == link.name) {
            Some(other) => {
                found.link([running, wanted], [link, other]);
            }
            None => found.gone.push(Change::RemoveLink {
                link: link.name.clone(),
            }),
        }
    }
    for (name, node) in &running.nodes {
        match wanted.nodes.get(name) {
            Some(other) => found.node(node, other),
            None => found.gone.push(Change::RemoveNode { node: name.clone() }),
        }
    }
    let new = |name: &String| !running.nodes.contains_key(name);
    for (name, node) in wanted.nodes.iter().filter(|(name, _)| new(name)) {
        found.new.push(Change::AddNode {
            node: name.clone(),
            kind: node.kind,
        });
    }
    let new = |link: &Link| !running.links.iter().any(|it| it.name == link.name);
    for link in wanted.links.iter().filter(|link| new(link)) {
        found.new.push(Change::AddLink {
            link: link.name.clone(),
            ends: link.endpoints.each_ref().map(ToString::to_string),
        });
    }
    if found.refused.is_empty() {
        let Found {
            gone,
            new,
            remade,
            network,
            links,
            mild,
            restarts,
            ..
        } = found;
        Ok([gone, new, remade, network, links, mild, restarts].concat())
    } else {
        Err(found.refused)
    }
}

/// What a running lab goes through to become `wanted`: that alone, or first the same without the nodes that become
/// another kind of thing or whose network is made by another one, and without their links. Both as for [`changes`].
#[must_use]
pub fn stages(running: &Topology, wanted: Topology) -> Vec<Topology> {
    let is_replaced = |name: &str| match (running.nodes.get(name), wanted.nodes.get(name)) {
        (Some(old), Some(new)) => {
            old.kind != new.kind || old.driver.network_maker() != new.driver.network_maker()
        }
        _ => false,
    };
    if !wanted.nodes.keys().any(|name| is_replaced(name)) {
        return vec![wanted];
    }
    let mut without = wanted.clone();
    without.nodes.retain(|name, _| !is_replaced(name));
    without
        .links
        .retain(|link| !link.endpoints.iter().any(|end| is_replaced(&end.node)));
    vec![without, wanted]
}

#[derive(Default)]
struct Found {
    gone: Vec<Change>,
    new: Vec<Change>,
    remade: Vec<Change>,
    network: Vec<Change>,
    links: Vec<Change>,
    mild: Vec<Change>,
    restarts: Vec<Change>,
    refused: Vec<Refusal>,
}

impl Found {
    fn refuse(&mut self, subject: String, reason: String) {
        self.refused.push(Refusal { subject, reason });
    }

    fn lab(&mut self, running: &Topology, wanted: &Topology) {
        if running.name != wanted.name {
            let reason = format!(
                "the file is of lab `{}`; give it the `name` of this one, or `up` it beside this one",
                wanted.name
            );
            self.refuse(format!("lab {}", running.name), reason);
        }
        if running.seed != wanted.seed {
            let reason = format!(
                "its seed changes from {} to {}, and with it all keys and random streams; {ANEW}",
                running.seed, wanted.seed
            );
            self.refuse(format!("lab {}", running.name), reason);
        }
        if running.monitoring != wanted.monitoring {
            self.network.push(Change::Monitoring {
                monitoring: [running.monitoring, wanted.monitoring],
            });
        }
    }

    fn node(&mut self, running: &Node, wanted: &Node) {
        let node = || running.name.clone();
        if running.forward != wanted.forward {
            self.network.push(Change::Forward {
                node: node(),
                forward: wanted.forward,
            });
        }
        if running.ports != wanted.ports {
            let ports = [running.ports.clone(), wanted.ports.clone()];
            self.network.push(Change::Ports { node: node(), ports });
        }
        if running.uplink != wanted.uplink {
            let uplink = [running.uplink.clone(), wanted.uplink.clone()];
            self.network.push(Change::Uplink { node: node(), uplink });
        }
        if running.limits != wanted.limits {
            let limits = [running.limits.clone(), wanted.limits.clone()];
            self.mild.push(Change::Limits { node: node(), limits });
        }
        if running.labels != wanted.labels {
            self.mild.push(Change::Labels { node: node() });
        }
        let containers = running.driver.container().zip(wanted.driver.container());
        let of_container = containers.map(|(old, new)| old.differences(new));
        let keys = [
            ("functions", running.functions != wanted.functions),
            ("agent", running.agent != wanted.agent),
            ("faas", running.faas != wanted.faas),
            ("env", running.env != wanted.env),
            ("volumes", running.volumes != wanted.volumes),
            ("exec", running.exec != wanted.exec),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key);
        let keys: Vec<&str> = of_container.into_iter().flatten().chain(keys).collect();
        if !keys.is_empty() && running.kind != NodeKind::Switch {
            self.restarts.push(Change::restart(wanted, &keys));
        }
    }

    fn link(&mut self, topologies: [&Topology; 2], [running, wanted]: [&Link; 2]) {
        let ([old_traces, new_traces], [old_ends, new_ends]) = (
            [(topologies[0], running), (topologies[1], wanted)].map(traces),
            [(topologies[0], running), (topologies[1], wanted)].map(fixed),
        );
        let keys: Vec<String> = [
            ("endpoints", running.endpoints != wanted.endpoints),
            ("backend", running.backend != wanted.backend),
            ("mtu", running.mtu != wanted.mtu),
            ("down", running.down != wanted.down),
            ("flap", running.flap != wanted.flap),
            ("trace", old_traces != new_traces),
            ("interfaces", old_ends != new_ends),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key.to_owned())
        .collect();
        if !keys.is_empty() {
            let link = running.name.clone();
            return self.remade.push(Change::RemakeLink { link, keys });
        }
        let (forward, backward) = (
            [running.forward.clone(), wanted.forward.clone()],
            [running.backward.clone(), wanted.backward.clone()],
        );
        if forward[0] != forward[1] || backward[0] != backward[1] {
            self.links.push(Change::Link {
                link: running.name.clone(),
                forward: Box::new(forward),
                backward: Box::new(backward),
            });
        }
    }
}

/// What a link replays, forward and backward: under which name, and what is in it.
fn traces<'a>(
    (topology, link): (&'a Topology, &'a Link),
) -> [(Option<&'a String>, Option<&'a Arc<Trace>>); 2] {
    let [forward, backward] = topology.traces_of(link);
    [
        (link.forward_trace.as_ref(), forward),
        (link.backward_trace.as_ref(), backward),
    ]
}

/// What is fixed about the two ends of a link.
fn fixed<'a>((topology, link): (&'a Topology, &Link)) -> [Option<&'a InterfaceSettings>; 2] {
    let settings = |end: &Endpoint| topology.nodes.get(&end.node)?.interfaces.get(&end.interface);
    link.endpoints.each_ref().map(settings)
}
