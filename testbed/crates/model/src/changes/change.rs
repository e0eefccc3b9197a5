//! The steps themselves, as data and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::topology::{Impairment, Limits, Monitoring, Node, NodeKind, PortMapping, Uplink};
use crate::units::{ByteSize, TimeSpan};

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
    /// Prometheus and node exporters come, go or read at another pace.
    Monitoring {
        /// Before and after.
        monitoring: [Option<Monitoring>; 2],
    },
    /// Whether a node forwards packets.
    Forward {
        /// The node.
        node: String,
        /// Whether it does from now on.
        forward: bool,
    },
    /// Ports of the host that lead into a node; connections under way go on.
    Ports {
        /// The node.
        node: String,
        /// Before and after.
        ports: [Vec<PortMapping>; 2],
    },
    /// Ports of a node that lead out of the lab; connections under way go on.
    Uplink {
        /// The node.
        node: String,
        /// Before and after.
        uplink: [Vec<Uplink>; 2],
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
    /// A container is made from something else and started; its links stay, files that were written in it do not.
    RemakeContainer {
        /// The node that it is.
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

impl Change {
    /// What makes a node start with other settings, of which `keys` differ. A container is made from them, except for the
    /// commands that run in it.
    #[must_use]
    pub fn restart(node: &Node, keys: &[&str]) -> Change {
        let is_remade = node.driver.container().is_some() && keys.iter().any(|key| *key != "exec");
        let (node, keys) = (
            node.name.clone(),
            keys.iter().map(|key| (*key).to_owned()).collect(),
        );
        if is_remade {
            Change::RemakeContainer { node, keys }
        } else {
            Change::Restart { node, keys }
        }
    }
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
                write!(formatter, "make link {link} anew: other {}", keys.join(", "))
            }
            Change::Link {
                link,
                forward,
                backward,
            } => {
                let way = |arrow: &str, [before, after]: &[Impairment; 2]| {
                    (before != after).then(|| match (before.to_string(), after.to_string()) {
                        // A text does not tell what is in a table.
                        (before, after) if before == after => format!("{arrow} {after} with other values"),
                        (before, after) => format!("{arrow} {before} ⇒ {after}"),
                    })
                };
                let ways = [way("→", forward), way("←", backward)];
                let ways: Vec<String> = ways.into_iter().flatten().collect();
                write!(formatter, "link {link}: {}", ways.join("; "))
            }
            Change::Monitoring { monitoring } => {
                let [before, after] = monitoring.map(monitoring_text);
                write!(formatter, "monitoring: {before} ⇒ {after}")
            }
            Change::Forward { node, forward: true } => write!(formatter, "{node} begins to forward packets"),
            Change::Forward { node, forward: false } => write!(formatter, "{node} forwards no more packets"),
            Change::Ports { node, ports } => {
                let [before, after] = ports.each_ref().map(|ports| list(ports));
                write!(formatter, "ports of {node}: {before} ⇒ {after}")
            }
            Change::Uplink { node, uplink } => {
                let [before, after] = uplink.each_ref().map(|uplink| list(uplink));
                write!(formatter, "uplink of {node}: {before} ⇒ {after}")
            }
            Change::Limits { node, limits } => {
                let [before, after] = limits.each_ref().map(limits_text);
                write!(formatter, "limits of {node}: {before} ⇒ {after}")
            }
            Change::Restart { node, keys } => {
                write!(formatter, "restart {node}: other {}", keys.join(", "))
            }
            Change::RemakeContainer { node, keys } => {
                write!(
                    formatter,
                    "make the container of {node} anew: other {}",
                    keys.join(", ")
                )
            }
            Change::Labels { node } => write!(formatter, "labels of {node}"),
        }
    }
}

fn monitoring_text(monitoring: Option<Monitoring>) -> String {
    monitoring.map_or("none".to_owned(), |it| {
        format!("every {}", TimeSpan(it.scrape_interval))
    })
}

fn list(items: &[impl fmt::Display]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
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
