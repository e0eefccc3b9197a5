//! What leads from a running topology to another one, and what of it cannot be done while the lab runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::topology::{Impairment, Limits, Link, Node, NodeKind, Topology};
use crate::units::ByteSize;

/// One step from a running topology to the one wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
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

/// The steps from `running` to `wanted`, in the order in which to take them: what is milder first.
///
/// # Errors
/// Everything that cannot be changed while the lab runs.
pub fn changes(running: &Topology, wanted: &Topology) -> Result<Vec<Change>, Vec<Refusal>> {
    let mut found = Found::default();
    found.lab(running, wanted);
    for (name, node) in &running.nodes {
        match wanted.nodes.get(name) {
            Some(other) => found.node(node, other),
            None => found.refuse(
                format!("node {name}"),
                "it is not in the file any more".to_owned(),
            ),
        }
    }
    for name in wanted
        .nodes
        .keys()
        .filter(|name| !running.nodes.contains_key(*name))
    {
        found.refuse(format!("node {name}"), "it is new".to_owned());
    }
    for link in &running.links {
        match wanted.link(&link.name) {
            Some(other) => found.link(link, other),
            None => found.refuse(
                format!("link {}", link.name),
                "it is not in the file any more".to_owned(),
            ),
        }
    }
    for link in wanted
        .links
        .iter()
        .filter(|link| running.link(&link.name).is_none())
    {
        found.refuse(format!("link {}", link.name), "it is new".to_owned());
    }
    if found.refused.is_empty() {
        let changes = [found.links, found.limits, found.labels, found.restarts];
        Ok(changes.concat())
    } else {
        Err(found.refused)
    }
}

#[derive(Default)]
struct Found {
    links: Vec<Change>,
    limits: Vec<Change>,
    labels: Vec<Change>,
    restarts: Vec<Change>,
    refused: Vec<Refusal>,
}

impl Found {
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

    fn node(&mut self, running: &Node, wanted: &Node) {
        let subject = || format!("node {}", running.name);
        for (key, differs) in [
            ("kind", running.kind != wanted.kind),
            ("driver", running.driver != wanted.driver),
            ("ports", running.ports != wanted.ports),
            ("forward", running.forward != wanted.forward),
            ("interfaces", running.interfaces != wanted.interfaces),
        ] {
            if differs {
                self.refuse(subject(), format!("its `{key}` differs"));
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
        for (key, differs) in [
            ("endpoints", running.endpoints != wanted.endpoints),
            ("backend", running.backend != wanted.backend),
            ("mtu", running.mtu != wanted.mtu),
            ("down", running.down != wanted.down),
            ("flap", running.flap != wanted.flap),
            ("trace", traces(running) != traces(wanted)),
        ] {
            if differs {
                self.refuse(format!("link {}", running.name), format!("its `{key}` differs"));
            }
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

    fn plan(replacements: &[(&str, &str)]) -> Vec<String> {
        let changes = changes(&topology(&[]), &topology(replacements)).unwrap();
        changes.iter().map(ToString::to_string).collect()
    }

    fn refused(replacements: &[(&str, &str)]) -> Vec<String> {
        let refused = changes(&topology(&[]), &topology(replacements)).unwrap_err();
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
            ("n2: { kind: dfaas }", "n2: { kind: host }\n  n3: { kind: host }"),
            ("delay: 5ms", "delay: 5ms, mtu: 1400"),
        ]);
        assert_eq!(
            reasons,
            [
                "lab lab: its seed changes from 42 to 9",
                "lab lab: its `monitoring` differs",
                "node n2: its `kind` differs",
                "node n3: it is new",
                "link n1--s1: its `mtu` differs",
            ]
        );
        let reasons = refused(&[
            ("  n2: { kind: dfaas }\n", ""),
            ("  - { endpoints: [n2, s1] }\n", ""),
        ]);
        assert_eq!(
            reasons,
            [
                "node n2: it is not in the file any more",
                "link n2--s1: it is not in the file any more",
            ]
        );
    }
}
