//! Every name the kernel sees. An interface name has at most 15 bytes.

use std::collections::{HashMap, HashSet};

use crate::topology::NodeKind;
use crate::topology::validate::names::{LONGEST_INTERFACE, check_interface};

/// The namespace in which all links meet.
pub const WIRE: &str = "wire";

/// Names of the two halves of link number `link` in the wire namespace.
pub(super) fn midpoints(link: usize) -> [String; 2] {
    [format!("l{link}a"), format!("l{link}b")]
}

/// Chooses interface names: `eth0`, `eth1`, … in nodes; in switches the name of the node at the other end of the
/// cable (what `bridge link` is read for), or `port0`, `port1`, … where that is too long or taken.
pub(crate) struct InterfaceNames<'a> {
    nodes: HashMap<&'a str, Namespace<'a>>,
}

struct Namespace<'a> {
    is_switch: bool,
    next: usize,
    taken: HashSet<std::borrow::Cow<'a, str>>,
}

impl<'a> InterfaceNames<'a> {
    pub(crate) fn new(nodes: impl Iterator<Item = (&'a str, NodeKind)>) -> InterfaceNames<'a> {
        let namespace = |kind| Namespace {
            is_switch: kind == NodeKind::Switch,
            next: 0,
            taken: HashSet::new(),
        };
        InterfaceNames {
            nodes: nodes.map(|(name, kind)| (name, namespace(kind))).collect(),
        }
    }

    /// Keeps a name the file gives from being chosen.
    pub(crate) fn reserve(&mut self, node: &str, interface: &'a str) {
        if let Some(namespace) = self.nodes.get_mut(node) {
            namespace.taken.insert(interface.into());
        }
    }

    /// A free name for the next interface of `node`, whose other end is at `peer`.
    pub(crate) fn choose(&mut self, node: &str, peer: &'a str) -> String {
        let Some(namespace) = self.nodes.get_mut(node) else {
            return String::new();
        };
        let fits = peer.len() <= LONGEST_INTERFACE && check_interface(peer).is_ok();
        if namespace.is_switch && fits && namespace.taken.insert(peer.into()) {
            return peer.to_owned();
        }
        let stem = if namespace.is_switch { "port" } else { "eth" };
        loop {
            let name = format!("{stem}{}", namespace.next);
            namespace.next += 1;
            if namespace.taken.insert(name.clone().into()) {
                return name;
            }
        }
    }
}
