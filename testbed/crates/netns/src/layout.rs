//! Checks a description and gives every interface its kernel index, so that nothing has to be looked up later.

use std::collections::HashMap;

use crate::error::NetnsError;
use crate::spec::{BRIDGE, NamespaceRole, NetworkSpec, VethSpec};

/// Index of the loopback interface in every namespace.
pub(crate) const LOOPBACK: u32 = 1;
/// First index we choose. Below it the kernel puts the tunnel devices some modules add to every new namespace.
const FIRST_INDEX: u32 = 100;
/// Index of the interface whose end tells that a closed network is gone.
pub(crate) const SENTINEL_INDEX: u32 = FIRST_INDEX - 1;
/// Its name.
pub(crate) const SENTINEL: &str = "dfaas-sentinel";
/// Longest interface name in bytes (`IFNAMSIZ` without the terminating zero).
const LONGEST_NAME: usize = 15;
/// Most ports of a Linux bridge (`BR_MAX_PORTS` less one).
const MOST_PORTS: usize = 1023;

/// What is known about an interface without asking the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The kernel's number for it, in its namespace.
    pub(crate) index: u32,
    /// Largest packet in bytes, without the Ethernet header.
    pub(crate) mtu: u32,
}

/// The interfaces of each namespace, in the order of the description.
#[derive(Debug, Default, Clone)]
pub(crate) struct Layout {
    interfaces: Vec<HashMap<String, Interface>>,
    /// The index that the next interface of each namespace gets.
    next: Vec<u32>,
}

impl Layout {
    /// Checks everything that can be known before the kernel is asked.
    pub(crate) fn new(spec: &NetworkSpec) -> Result<Self, NetnsError> {
        let mut layout = Self::default();
        let places: Vec<usize> = (0..spec.namespaces.len()).collect();
        layout.extend(spec, &places)?;
        Ok(layout)
    }

    /// Takes in another description, whose namespaces are at `places`: positions of those that are there, and the next ones for
    /// those that are new, in their order.
    pub(crate) fn extend(&mut self, spec: &NetworkSpec, places: &[usize]) -> Result<(), NetnsError> {
        check_namespaces(spec)?;
        for (namespace, place) in spec.namespaces.iter().zip(places) {
            if *place >= self.interfaces.len() {
                self.add_namespace(namespace.role);
            }
        }
        for link in &spec.links {
            self.add_link(spec, places, link)?;
        }
        check_ports(spec)?;
        for address in &spec.addresses {
            self.require(spec, places, address.namespace, &address.interface)?;
        }
        for route in &spec.direct_routes {
            self.require(spec, places, route.namespace, &route.interface)?;
        }
        for route in &spec.routes {
            name_of(spec, route.namespace)?;
            if route.destination.addr().is_ipv4() != route.via.is_ipv4() {
                return Err(invalid(
                    format!("route to {} via {}", route.destination, route.via),
                    "destination and gateway are of different address families",
                ));
            }
        }
        for (position, _) in &spec.adopted {
            name_of(spec, *position)?;
        }
        for entry in &spec.forwarding {
            self.require(spec, places, entry.namespace, &entry.interface)?;
        }
        for neighbour in &spec.neighbours {
            self.require(spec, places, neighbour.namespace, &neighbour.interface)?;
        }
        Ok(())
    }

    fn add_namespace(&mut self, role: NamespaceRole) {
        let loopback = Interface {
            index: LOOPBACK,
            mtu: 65_536,
        };
        let mut interfaces = HashMap::from([("lo".to_string(), loopback)]);
        self.next.push(FIRST_INDEX + 1);
        if role == NamespaceRole::Switch {
            let bridge = Interface {
                index: FIRST_INDEX,
                mtu: 1500,
            };
            interfaces.insert(BRIDGE.to_string(), bridge);
        }
        self.interfaces.push(interfaces);
    }

    /// The interface of that name in a namespace, by the namespace's position.
    pub(crate) fn interface(&self, namespace: usize, interface: &str) -> Option<Interface> {
        self.interfaces.get(namespace)?.get(interface).copied()
    }

    fn add_link(&mut self, spec: &NetworkSpec, places: &[usize], link: &VethSpec) -> Result<(), NetnsError> {
        let near = name_of(spec, link.near.namespace)?;
        let wire = name_of(spec, link.wire)?;
        if link.near.bridge_port && spec.namespaces[link.near.namespace].role != NamespaceRole::Switch {
            return Err(invalid(
                format!("interface `{}` of namespace `{near}`", link.near.interface),
                "only a switch has a bridge whose port it could be",
            ));
        }
        let mtu = link.near.mtu;
        self.take(near, places[link.near.namespace], &link.near.interface, mtu)?;
        self.take(wire, places[link.wire], &link.midpoint, mtu)
    }

    /// Gives a new interface its index, one that no other had before.
    fn take(&mut self, owner: &str, namespace: usize, name: &str, mtu: u32) -> Result<(), NetnsError> {
        let subject = || format!("interface `{name}` of namespace `{owner}`");
        if let Some(reason) = name_fault(name) {
            return Err(invalid(subject(), reason));
        }
        let (Some(interfaces), Some(next)) =
            (self.interfaces.get_mut(namespace), self.next.get_mut(namespace))
        else {
            return Err(invalid(subject(), "there is no such namespace"));
        };
        if interfaces.contains_key(name) {
            return Err(invalid(subject(), "the name is used twice"));
        }
        let interface = Interface { index: *next, mtu };
        *next += 1;
        interfaces.insert(name.to_string(), interface);
        Ok(())
    }

    /// Forgets an interface; its index is not used again.
    pub(crate) fn forget(&mut self, namespace: usize, name: &str) {
        if let Some(interfaces) = self.interfaces.get_mut(namespace) {
            interfaces.remove(name);
        }
    }

    fn require(
        &self,
        spec: &NetworkSpec,
        places: &[usize],
        namespace: usize,
        interface: &str,
    ) -> Result<(), NetnsError> {
        let name = name_of(spec, namespace)?;
        match self.interface(places[namespace], interface) {
            Some(_) => Ok(()),
            None => Err(NetnsError::UnknownInterface {
                namespace: name.into(),
                interface: interface.into(),
            }),
        }
    }
}

fn check_namespaces(spec: &NetworkSpec) -> Result<(), NetnsError> {
    let mut seen = std::collections::HashSet::new();
    for namespace in &spec.namespaces {
        if !seen.insert(&namespace.name) {
            let subject = format!("namespace `{}`", namespace.name);
            return Err(invalid(subject, "the name is used twice"));
        }
    }
    Ok(())
}

fn check_ports(spec: &NetworkSpec) -> Result<(), NetnsError> {
    let mut ports = vec![0_usize; spec.namespaces.len()];
    for link in spec.links.iter().filter(|link| link.near.bridge_port) {
        ports[link.near.namespace] += 1;
    }
    match ports.iter().position(|count| *count > MOST_PORTS) {
        Some(switch) => Err(invalid(
            format!("switch `{}`", spec.namespaces[switch].name),
            format!(
                "{} links, but a bridge has at most {MOST_PORTS} ports",
                ports[switch]
            ),
        )),
        None => Ok(()),
    }
}

fn name_of(spec: &NetworkSpec, namespace: usize) -> Result<&str, NetnsError> {
    match spec.namespaces.get(namespace) {
        Some(found) => Ok(&found.name),
        None => Err(invalid(
            format!("namespace number {namespace}"),
            format!("the network has only {}", spec.namespaces.len()),
        )),
    }
}

/// What the kernel would not accept in an interface name (`dev_valid_name`), and the names used here.
fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        Some("not a usable name")
    } else if name.len() > LONGEST_NAME {
        Some("the name has more than 15 bytes")
    } else if name.contains(|c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace() || c == '\0') {
        Some("a name may not contain `/`, `:`, `%`, zero bytes or white space")
    } else if name == SENTINEL {
        Some("the name is reserved")
    } else {
        None
    }
}

fn invalid(subject: String, reason: impl Into<String>) -> NetnsError {
    NetnsError::InvalidSpec {
        subject,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{AddressSpec, NamespaceSpec, NearEnd, RouteSpec};

    fn spec() -> NetworkSpec {
        let namespace = |name: &str, role| NamespaceSpec {
            name: name.into(),
            role,
        };
        NetworkSpec {
            namespaces: vec![
                namespace("n1", NamespaceRole::Node { forward: false }),
                namespace("s1", NamespaceRole::Switch),
                namespace("wire", NamespaceRole::Wire),
            ],
            links: vec![link(0, "eth0", "m0", false), link(1, "p0", "m1", true)],
            ..NetworkSpec::default()
        }
    }

    fn link(namespace: usize, interface: &str, midpoint: &str, bridge_port: bool) -> VethSpec {
        let near = NearEnd {
            namespace,
            interface: interface.into(),
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1400,
            bridge_port,
            segmentation_offload: true,
        };
        VethSpec {
            near,
            wire: 2,
            midpoint: midpoint.into(),
        }
    }

    fn fault(change: impl FnOnce(&mut NetworkSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        Layout::new(&spec).unwrap_err().to_string()
    }

    #[test]
    fn every_interface_gets_its_own_index() {
        let layout = Layout::new(&spec()).unwrap();
        assert_eq!(layout.interface(0, "lo").map(|found| found.index), Some(LOOPBACK));
        let ends: Vec<_> = ["m0", "m1"]
            .iter()
            .map(|name| layout.interface(2, name))
            .collect();
        assert_ne!(ends[0], ends[1]);
        assert_eq!(ends[0].map(|found| found.mtu), Some(1400));
        let bridge = layout.interface(1, BRIDGE).unwrap().index;
        let port = layout.interface(1, "p0").unwrap().index;
        assert_ne!(bridge, port);
        assert!(bridge > SENTINEL_INDEX && port > SENTINEL_INDEX);
        assert_eq!(layout.interface(0, "eth1"), None);
        assert_eq!(layout.interface(9, "lo"), None);
    }

    #[test]
    fn faults_name_the_thing() {
        let text = fault(|spec| spec.links.push(link(0, "eth0", "m9", false)));
        assert_eq!(text, "interface `eth0` of namespace `n1`: the name is used twice");
        let text = fault(|spec| spec.links.push(link(0, "eth1", "m0", false)));
        assert_eq!(text, "interface `m0` of namespace `wire`: the name is used twice");
        let text = fault(|spec| spec.namespaces[1].name = "n1".into());
        assert_eq!(text, "namespace `n1`: the name is used twice");
        let text = fault(|spec| spec.links.push(link(0, "a-name-of-16-bit", "m9", false)));
        assert!(text.ends_with("the name has more than 15 bytes"), "{text}");
        let text = fault(|spec| spec.links.push(link(0, "eth1", "a/b", false)));
        assert!(
            text.starts_with("interface `a/b` of namespace `wire`: a name may not"),
            "{text}"
        );
        let text = fault(|spec| spec.links.push(link(0, "eth1", "m9", true)));
        assert!(text.contains("only a switch has a bridge"), "{text}");
        let text = fault(|spec| spec.links.push(link(5, "eth1", "m9", false)));
        assert_eq!(text, "namespace number 5: the network has only 3");
    }

    #[test]
    fn addresses_and_routes_are_checked() {
        let text = fault(|spec| {
            spec.addresses.push(AddressSpec {
                namespace: 0,
                interface: "eth7".into(),
                address: "10.0.0.1/24".parse().unwrap(),
            });
        });
        assert_eq!(text, "no interface `eth7` in namespace `n1`");
        let text = fault(|spec| {
            spec.routes.push(RouteSpec {
                namespace: 0,
                destination: "10.0.0.0/8".parse().unwrap(),
                via: "fd00::1".parse().unwrap(),
            });
        });
        assert!(text.contains("different address families"), "{text}");
    }

    #[test]
    fn a_bridge_has_a_limit() {
        let text = fault(|spec| {
            for port in 0..MOST_PORTS {
                spec.links
                    .push(link(1, &format!("q{port}"), &format!("x{port}"), true));
            }
        });
        assert_eq!(
            text,
            "switch `s1`: 1024 links, but a bridge has at most 1023 ports"
        );
    }
}
