//! What leads from a running topology to another one, and what of it cannot be done while the lab runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::topology::{Endpoint, Impairment, InterfaceSettings, Limits, Link, Node, NodeKind, Topology};
use crate::units::ByteSize;

/// One step from a running topology to the one wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A link that is not in the file any more.
    RemoveLink {
        /// The link.
        link: String,
    },
    /// A node that is not in the file any more.
    RemoveNode {
        /// The node.
        node: String,
    },
    /// A node that is new.
    AddNode {
        /// The node.
        node: String,
        /// What it is.
        kind: NodeKind,
    },
    /// A link that is new.
    AddLink {
        /// The link.
        link: String,
        /// Its ends: node and interface.
        ends: [String; 2],
    },
    /// A link that cannot become what it is to be and is made anew; its ends lose their carrier for a moment.
    RemakeLink {
        /// The link.
        link: String,
        /// The keys of the file that differ.
        keys: Vec<String>,
    },
    /// The impairments of a link.
    Link {
        /// The link.
        link: String,
        /// Before and after, from the first end to the second.
        forward: Box<[Impairment; 2]>,
        /// Before and after, from the second end to the first.
        backward: Box<[Impairment; 2]>,
    },
    /// What a node may use.
    Limits {
        /// The node.
        node: String,
        /// Before and after.
        limits: [Limits; 2],
    },
    /// A node is started again with other settings.
    Restart {
        /// The node.
        node: String,
        /// The keys of the file that differ.
        keys: Vec<String>,
    },
    /// What means something to people and scenarios only.
    Labels {
        /// The node.
        node: String,
    },
}

/// Something that differs and cannot be changed while the lab runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `node n1`, `link a--b`, or the lab itself.
    pub subject: String,
    /// What differs.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.subject, self.reason)
    }
}

/// As a line of a plan: `link a--b   → delay 5ms to delay 20ms`.
impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::RemoveLink { link } => write!(formatter, "remove link {link}"),
            Change::RemoveNode { node } => write!(formatter, "remove node {node}"),
            Change::AddNode { node, kind } => write!(formatter, "add node {node} ({kind})"),
            Change::AddLink { link, ends: [a, b] } => write!(formatter, "add link {link} ({a} to {b})"),
            Change::RemakeLink { link, keys } => {
                write!(formatter, "make link {link} anew: its {} differ", keys.join(", "))
            }
            Change::Link {
                link,
                forward,
                backward,
            } => {
                let way = |arrow: &str, [before, after]: &[Impairment; 2]| {
                    (before != after).then(|| format!("{arrow} {before} ⇒ {after}"))
                };
                let ways = [way("→", forward), way("←", backward)];
                let ways: Vec<String> = ways.into_iter().flatten().collect();
                write!(formatter, "link {link}: {}", ways.join("; "))
            }
            Change::Limits { node, limits } => {
                let [before, after] = limits.each_ref().map(limits_text);
                write!(formatter, "limits of {node}: {before} ⇒ {after}")
            }
            Change::Restart { node, keys } => {
                write!(formatter, "restart {node}: its {} differ", keys.join(", "))
            }
            Change::Labels { node } => write!(formatter, "labels of {node}"),
        }
    }
}

fn limits_text(limits: &Limits) -> String {
    let parts = [
        limits.cpus.map(|cpus| format!("cpus {cpus}")),
        limits
            .memory_bytes
            .map(|bytes| format!("memory {}", ByteSize(bytes))),
        limits.pids.map(|pids| format!("pids {pids}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "none".to_owned();
    }
    parts.join(", ")
}

/// The steps from `running` to `wanted`, in the order in which they are taken: what goes and what comes first, then what
/// is milder before what is not. Both must be [`Topology::settled`] on what the lab has chosen.
///
/// # Errors
/// Everything that cannot be changed while the lab runs.
pub fn changes(running: &Topology, wanted: &Topology) -> Result<Vec<Change>, Vec<Refusal>> {
    let mut found = Found::default();
    found.lab(running, wanted);
    for link in &running.links {
        match wanted.links.iter().find(|other| other.name == link.name) {
            Some(other) => {
                found.kept.extend(link.endpoints.iter().cloned());
                found.link(link, other);
            }
            None => found.gone.push(Change::RemoveLink {
                link: link.name.clone(),
            }),
        }
    }
    for (name, node) in &running.nodes {
        match wanted.nodes.get(name) {
            Some(other) => found.node(node, other),
            None if node.driver.container().is_some() => found.refuse_container(name),
            None => found.gone.push(Change::RemoveNode { node: name.clone() }),
        }
    }
    let new = |name: &String| !running.nodes.contains_key(name);
    for (name, node) in wanted.nodes.iter().filter(|(name, _)| new(name)) {
        if node.driver.container().is_some() {
            found.refuse_container(name);
        }
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
            links,
            limits,
            labels,
            restarts,
            ..
        } = found;
        Ok([gone, new, remade, links, limits, labels, restarts].concat())
    } else {
        Err(found.refused)
    }
}

#[derive(Default)]
struct Found {
    /// Ends of links that both have.
    kept: Vec<Endpoint>,
    gone: Vec<Change>,
    new: Vec<Change>,
    remade: Vec<Change>,
    links: Vec<Change>,
    limits: Vec<Change>,
    labels: Vec<Change>,
    restarts: Vec<Change>,
    refused: Vec<Refusal>,
}

impl Found {
    /// Its network is made by its engine, when the lab starts.
    fn refuse_container(&mut self, node: &str) {
        let reason = "it is a container, which comes and goes with the lab only".to_owned();
        self.refuse(format!("node {node}"), reason);
    }

    fn refuse(&mut self, subject: String, reason: String) {
        self.refused.push(Refusal { subject, reason });
    }

    fn lab(&mut self, running: &Topology, wanted: &Topology) {
        if running.name != wanted.name {
            let reason = format!("the file is of lab `{}`", wanted.name);
            self.refuse(format!("lab {}", running.name), reason);
        }
        if running.seed != wanted.seed {
            let reason = format!("its seed changes from {} to {}", running.seed, wanted.seed);
            self.refuse(format!("lab {}", running.name), reason);
        }
        if running.monitoring != wanted.monitoring {
            let reason = "its `monitoring` differs".to_owned();
            self.refuse(format!("lab {}", running.name), reason);
        }
    }

    /// What is fixed about the interfaces that stay.
    fn fixed<'a>(&self, node: &'a Node) -> Vec<(&'a String, &'a InterfaceSettings)> {
        let stays = |interface: &&String| {
            self.kept
                .iter()
                .any(|end| end.node == node.name && end.interface == **interface)
        };
        let mut fixed: Vec<_> = node.interfaces.iter().filter(|(name, _)| stays(name)).collect();
        fixed.sort_by_key(|(name, _)| *name);
        fixed
    }

    fn node(&mut self, running: &Node, wanted: &Node) {
        let subject = || format!("node {}", running.name);
        for (key, differs) in [
            ("kind", running.kind != wanted.kind),
            ("driver", running.driver != wanted.driver),
            ("ports", running.ports != wanted.ports),
            ("uplink", running.uplink != wanted.uplink),
            ("forward", running.forward != wanted.forward),
            ("interfaces", self.fixed(running) != self.fixed(wanted)),
        ] {
            if differs {
                let remedy = "take the node out of the file, apply that, then apply the file with the node";
                self.refuse(subject(), format!("its `{key}` differs; {remedy}"));
            }
        }
        let node = || running.name.clone();
        if running.limits != wanted.limits {
            let limits = [running.limits.clone(), wanted.limits.clone()];
            self.limits.push(Change::Limits { node: node(), limits });
        }
        if running.labels != wanted.labels {
            self.labels.push(Change::Labels { node: node() });
        }
        let keys: Vec<String> = [
            ("functions", running.functions != wanted.functions),
            ("agent", running.agent != wanted.agent),
            ("faas", running.faas != wanted.faas),
            ("env", running.env != wanted.env),
            ("volumes", running.volumes != wanted.volumes),
            ("exec", running.exec != wanted.exec),
        ]
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(key, _)| key.to_owned())
        .collect();
        if !keys.is_empty() && running.kind != NodeKind::Switch {
            self.restarts.push(Change::Restart { node: node(), keys });
        }
    }

    fn link(&mut self, running: &Link, wanted: &Link) {
        let traces = |link: &Link| [link.forward_trace.clone(), link.backward_trace.clone()];
        let keys: Vec<String> = [
            ("endpoints", running.endpoints != wanted.endpoints),
            ("backend", running.backend != wanted.backend),
            ("mtu", running.mtu != wanted.mtu),
            ("down", running.down != wanted.down),
            ("flap", running.flap != wanted.flap),
            ("trace", traces(running) != traces(wanted)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Loader, load_topology};

    const LAB: &str = "
name: lab
nodes:
  n1: { kind: dfaas, functions: { figlet: { maxrate: 10 } }, cpus: 0.5 }
  n2: { kind: dfaas }
  s1: { kind: switch }
links:
  - { endpoints: [n1, s1], delay: 5ms }
  - { endpoints: [n2, s1] }
";

    struct Text(String);

    impl Loader for Text {
        fn load(&self, _: &str) -> Result<String, String> {
            Ok(self.0.clone())
        }
    }

    fn topology(replacements: &[(&str, &str)]) -> Topology {
        let mut text = LAB.to_owned();
        for (old, new) in replacements {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        load_topology("lab.yaml", &Text(text), &[]).unwrap()
    }

    /// Both as a running lab sees them.
    fn settled(replacements: &[(&str, &str)]) -> [Topology; 2] {
        let running = topology(&[]);
        let plan = crate::plan(&running).unwrap();
        let wanted = topology(replacements).settled(&running, &plan);
        [running.clone().settled(&running, &plan), wanted]
    }

    fn plan(replacements: &[(&str, &str)]) -> Vec<String> {
        let [running, wanted] = settled(replacements);
        let changes = changes(&running, &wanted).unwrap();
        changes.iter().map(ToString::to_string).collect()
    }

    fn refused(replacements: &[(&str, &str)]) -> Vec<String> {
        let [running, wanted] = settled(replacements);
        let refused = changes(&running, &wanted).unwrap_err();
        refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_differs_is_a_step_and_the_mild_ones_come_first() {
        assert_eq!(plan(&[]), [""; 0]);
        let steps = plan(&[
            ("maxrate: 10", "maxrate: 20"),
            ("cpus: 0.5", "memory: 1GiB"),
            ("delay: 5ms", "delay: 5ms, forward: { loss: 1% }"),
        ]);
        assert_eq!(
            steps,
            [
                "link n1--s1: → delay 5ms ⇒ delay 5ms, loss 1%",
                "limits of n1: cpus 0.5 ⇒ memory 1GiB",
                "restart n1: its functions differ",
            ]
        );
        assert_eq!(
            plan(&[("n2: { kind: dfaas }", "n2: { kind: dfaas, labels: { a: b } }")]),
            ["labels of n2"]
        );
    }

    #[test]
    fn what_cannot_be_done_is_named_all_at_once() {
        let reasons = refused(&[
            (
                "name: lab",
                "name: lab\nseed: 9\nmonitoring: { prometheus: true }",
            ),
            (
                "n2: { kind: dfaas }",
                "n2: { kind: host, uplink: [53] }\n  n3: { kind: host }",
            ),
        ]);
        let remedy = "take the node out of the file, apply that, then apply the file with the node";
        assert_eq!(
            reasons,
            [
                "lab lab: its seed changes from 42 to 9".to_owned(),
                "lab lab: its `monitoring` differs".to_owned(),
                format!("node n2: its `kind` differs; {remedy}"),
                format!("node n2: its `uplink` differs; {remedy}"),
            ]
        );
    }

    #[test]
    fn nodes_and_links_come_and_go() {
        let steps = plan(&[
            ("  n2: { kind: dfaas }\n", "  n3: { kind: host }\n"),
            ("[n2, s1]", "[n3, s1]"),
            ("delay: 5ms", "delay: 5ms, mtu: 1400"),
        ]);
        assert_eq!(
            steps,
            [
                "remove link n2--s1",
                "remove node n2",
                "add node n3 (host)",
                "add link n3--s1 (n3:eth0 to s1:n3)",
                "make link n1--s1 anew: its mtu differ",
            ]
        );
    }

    /// The interfaces of a node with their addresses, as planned.
    fn interfaces(topology: &Topology, node: &str) -> Vec<String> {
        let plan = crate::plan(topology).unwrap();
        let interfaces = &plan.node(node).unwrap().interfaces;
        interfaces
            .iter()
            .map(|it| format!("{} {} {:?}", it.name, it.addresses[0], it.mac))
            .collect()
    }

    #[test]
    fn what_stays_keeps_its_interfaces_and_addresses() {
        let text = "links:\n";
        let first = "links:\n  - { endpoints: [n0, n2] }\n  - { endpoints: [n0, s1] }\n";
        let [running, wanted] = settled(&[("nodes:\n", "nodes:\n  n0: { kind: host }\n"), (text, first)]);
        assert_eq!(interfaces(&running, "n1"), interfaces(&wanted, "n1"));
        // Its new link is the first of the file, and yet its second interface: its address stays.
        let [old, new] = [&running, &wanted].map(|it| interfaces(it, "n2"));
        assert_eq!(old, new[..1]);
        assert!(new[1].starts_with("eth1 10.0.1."), "{new:?}");
        let macs: std::collections::HashSet<[u8; 6]> = (0..4)
            .flat_map(|link| [0, 1].map(|end| crate::plan::addresses::mac(&wanted, link, end)))
            .collect();
        assert_eq!(macs.len(), 8, "no hardware address is given twice");
        assert!(interfaces(&wanted, "n0")[1].contains("10.0.0.3/24"));
    }
}
