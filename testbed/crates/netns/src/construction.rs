//! Building a network: links are made while namespaces still are, then come addresses, and the bridges are raised last.
//!
//! Both take the kernel about as long, and each leaves one of two processors idle. Overlapping them saves less than half of either,
//! because both need the kernel's one lock for network configuration.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

use crate::error::NetnsError;
use crate::layout::{Interface, LOOPBACK, Layout};
use crate::message::{self, End};
use crate::namespace::{Namespace, Wanted, create_each};
use crate::netlink::Request;
use crate::offload::Features;
use crate::spec::{BRIDGE, NamespaceRole, NamespaceSpec, NearEnd, NetworkSpec, VethSpec};
use crate::sysctl;

/// Pairs of interfaces asked for at once. Few, so that they are begun early; not one, because each exchange has its price.
const PAIRS_AT_ONCE: usize = 16;
/// The kernel runs no IPv6 on an interface with a smaller one (`IPV6_MIN_MTU`, RFC 8200 section 5), in bytes.
const LEAST_IPV6_MTU: u32 = 1280;

/// A description, and where a network has what is in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) spec: &'a NetworkSpec,
    pub(crate) layout: &'a Layout,
    /// The positions of the description's namespaces in the network.
    pub(crate) places: &'a [usize],
}

impl Site<'_> {
    fn interface(&self, namespace: usize, name: &str) -> Option<Interface> {
        self.layout.interface(*self.places.get(namespace)?, name)
    }

    /// The index of a switch's bridge.
    fn bridge(&self, namespace: usize) -> Option<u32> {
        let is_switch = self.spec.namespaces[namespace].role == NamespaceRole::Switch;
        let bridge = self.interface(namespace, BRIDGE).filter(|_| is_switch);
        bridge.map(|found| found.index)
    }
}

/// What was there before.
#[derive(Debug, Default)]
pub(crate) struct There {
    /// Those of the description's namespaces that exist, by their numbers in it.
    pub(crate) namespaces: BTreeMap<usize, Arc<Namespace>>,
    /// The one from which pairs are asked for.
    pub(crate) held: Option<Arc<Namespace>>,
}

/// What a network consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// In the order of the description.
    pub(crate) namespaces: Vec<Arc<Namespace>>,
    /// One more, which holds nothing of the description.
    pub(crate) held: Arc<Namespace>,
}

/// Makes what a description has and is not there. `extra` describes the one namespace more.
pub(crate) fn build(site: Site<'_>, there: There, extra: &NamespaceSpec) -> Result<Parts, NetnsError> {
    let start = Instant::now();
    let step = |what: &str| tracing::debug!(elapsed = ?start.elapsed(), "{what}");
    let mut construction = Construction::new(site);
    let is_new: Vec<bool> = (0..site.spec.namespaces.len())
        .map(|number| !there.namespaces.contains_key(&number))
        .collect();
    let extra = if there.held.is_some() { None } else { Some(extra) };
    if let Some(held) = there.held {
        construction.hold(held)?;
    }
    for (number, namespace) in there.namespaces {
        construction.add(number, namespace)?;
    }
    let order: Vec<usize> = order(site.spec)
        .into_iter()
        .filter(|number| is_new[*number])
        .collect();
    let adopted = |wanted: usize| {
        let mut adopted = site.spec.adopted.iter();
        adopted.find_map(|(number, existing)| (*number == wanted).then_some(&**existing))
    };
    let nodes = order
        .iter()
        .map(|number| (&site.spec.namespaces[*number], adopted(*number)));
    let wanted: Vec<Wanted<'_>> = extra
        .map(|extra| (extra, None))
        .into_iter()
        .chain(nodes)
        .collect();
    let extra = usize::from(extra.is_some());
    let mut postponed = Vec::new();
    create_each(&wanted, |number, (namespace, setting)| {
        let Some(number) = number.checked_sub(extra) else {
            return construction.hold(Arc::new(namespace));
        };
        postponed.extend(setting.map(|setting| (order[number], setting)));
        construction.add_new(order[number], namespace)
    })?;
    step("created namespaces");
    let parts = construction.finish()?;
    step("created links");
    for (position, setting) in postponed {
        setting.write(parts.namespaces[position].name())?;
    }
    let network = Built {
        site,
        namespaces: &parts.namespaces,
        is_new: &is_new,
    };
    network.raise_ends()?;
    step("raised interfaces");
    network.set_offloads()?;
    step("switched off offloads");
    network.configure()?;
    step("set addresses");
    network.raise_bridges()?;
    step("raised bridges");
    Ok(parts)
}

/// Positions of the namespaces in the order to create them in: first those that most links need.
fn order(spec: &NetworkSpec) -> Vec<usize> {
    let mut order: Vec<usize> = (0..spec.namespaces.len()).collect();
    order.sort_by_key(|position| match spec.namespaces[*position].role {
        NamespaceRole::Wire => 0,
        NamespaceRole::Switch => 1,
        NamespaceRole::Node { .. } => 2,
    });
    order
}

/// A network whose namespaces are being made.
struct Construction<'a> {
    site: Site<'a>,
    namespaces: Vec<Option<Arc<Namespace>>>,
    /// Pairs are asked for from here. Some kernels (6.1 among them) refuse an index that is taken in the namespace the request comes
    /// from, even if the interface is to be made in another one; here none of those is taken.
    held: Option<Arc<Namespace>>,
    /// The links with an end in a namespace, by the namespace's position.
    links_at: Vec<Vec<&'a VethSpec>>,
    /// Links whose two namespaces are there.
    waiting: Vec<&'a VethSpec>,
}

impl<'a> Construction<'a> {
    fn new(site: Site<'a>) -> Self {
        let spec = site.spec;
        let mut links_at: Vec<Vec<&VethSpec>> = vec![Vec::new(); spec.namespaces.len()];
        for link in &spec.links {
            links_at[link.near.namespace].push(link);
            if link.wire != link.near.namespace {
                links_at[link.wire].push(link);
            }
        }
        Self {
            site,
            namespaces: spec.namespaces.iter().map(|_| None).collect(),
            held: None,
            links_at,
            waiting: Vec::new(),
        }
    }

    fn hold(&mut self, namespace: Arc<Namespace>) -> Result<(), NetnsError> {
        self.held = Some(namespace);
        self.make_pairs(1)
    }

    fn add_new(&mut self, position: usize, namespace: Namespace) -> Result<(), NetnsError> {
        if let Some(bridge) = self.site.bridge(position) {
            namespace.netlink().execute(&[message::new_bridge(bridge)])?;
        }
        self.add(position, Arc::new(namespace))
    }

    fn add(&mut self, position: usize, namespace: Arc<Namespace>) -> Result<(), NetnsError> {
        self.namespaces[position] = Some(namespace);
        let there = |namespace: usize| self.namespaces[namespace].is_some();
        let links = self.links_at[position].iter().copied();
        self.waiting
            .extend(links.filter(|link| there(link.near.namespace) && there(link.wire)));
        self.make_pairs(PAIRS_AT_ONCE)
    }

    /// Makes the pairs that wait, if they are at least so many, and raises the midpoints of ports.
    fn make_pairs(&mut self, least: usize) -> Result<(), NetnsError> {
        let Some(held) = self.held.as_ref().filter(|_| self.waiting.len() >= least) else {
            return Ok(());
        };
        let namespace = |position: usize| self.namespaces.get(position)?.as_deref();
        let pairs = self
            .waiting
            .iter()
            .filter_map(|link| new_pair(self.site, &namespace, link));
        held.netlink().execute(&pairs.collect::<Vec<_>>())?;
        let mut raised: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
        for link in self.waiting.drain(..).filter(|link| link.near.bridge_port) {
            let midpoint = self.site.interface(link.wire, &link.midpoint);
            let request = midpoint.map(|found| message::raise_midpoint(found.index, &link.midpoint));
            raised.entry(link.wire).or_default().extend(request);
        }
        let wires = raised.iter();
        let mut wires = wires.filter_map(|(wire, requests)| Some((namespace(*wire)?, requests)));
        wires.try_for_each(|(wire, requests)| wire.netlink().execute(requests))
    }

    fn finish(mut self) -> Result<Parts, NetnsError> {
        self.make_pairs(1)?;
        let missing = || NetnsError::Worker {
            namespace: String::new(),
            reason: "a namespace was not made".into(),
        };
        let namespaces: Option<Vec<Arc<Namespace>>> = self.namespaces.into_iter().collect();
        Ok(Parts {
            namespaces: namespaces.ok_or_else(missing)?,
            held: self.held.ok_or_else(missing)?,
        })
    }
}

/// The request for a link's pair; none as long as one of its namespaces is missing.
fn new_pair<'a>(
    site: Site<'_>,
    namespace: &impl Fn(usize) -> Option<&'a Namespace>,
    link: &VethSpec,
) -> Option<Request> {
    let near = &link.near;
    let place = |position: usize, name| {
        Some(End {
            name,
            interface: site.interface(position, name)?,
            namespace: namespace(position)?.descriptor().as_raw_fd(),
        })
    };
    let end = place(near.namespace, near.interface.as_str())?;
    let midpoint = place(link.wire, link.midpoint.as_str())?;
    let bridge = site
        .interface(near.namespace, BRIDGE)
        .filter(|_| near.bridge_port);
    let owner = namespace(near.namespace)?.name();
    let bridge = bridge.map(|found| found.index);
    Some(message::new_veth(near, end, bridge, midpoint, owner))
}

/// A network whose interfaces are all there.
struct Built<'a> {
    site: Site<'a>,
    namespaces: &'a [Arc<Namespace>],
    /// Which of them were not there before.
    is_new: &'a [bool],
}

impl Built<'_> {
    /// Lets frames of the near ends cross whole, or not. The kernel's features are the same for all pairs, and read once.
    fn set_offloads(&self) -> Result<(), NetnsError> {
        let ends = self.site.spec.links.iter().map(|link| &link.near);
        // What goes to a port has passed a node's end, or the bridge's own.
        let ends = ends.filter(|end| !(end.bridge_port && end.segmentation_offload));
        let ends = ends.map(|end| (end.namespace, end.interface.as_str(), !end.segmentation_offload));
        let bridges = self.new_bridges().map(|(position, _)| (position, BRIDGE, false));
        let mut features = None;
        for (position, interface, all) in bridges.chain(ends) {
            let netlink = self.namespaces[position].netlink();
            let features = match &mut features {
                Some(known) => known,
                unknown => unknown.insert(Features::read(&netlink, interface)?),
            };
            features.disable_segmentation(&netlink, interface, all)?;
        }
        Ok(())
    }

    /// Raises what nodes have. Before addresses are given: kernels before 6.8 take note of a carrier some time later, and report the
    /// multicast groups of all addresses when they do so.
    fn raise_ends(&self) -> Result<(), NetnsError> {
        let has_ipv6 = sysctl::kernel_has_ipv6();
        let mut requests = self.no_requests();
        for (position, namespace) in self.site.spec.namespaces.iter().enumerate() {
            let is_node = matches!(namespace.role, NamespaceRole::Node { .. });
            if is_node && self.is_new[position] {
                requests[position].push(message::set_up(LOOPBACK, "lo", true));
            }
        }
        for end in self.ends_of_nodes() {
            let index = self.index(end.namespace, &end.interface);
            let requests = &mut requests[end.namespace];
            // A node that forwards has such an address: it is what it asks for a neighbour's hardware address with, on behalf of
            // others.
            if has_ipv6 && end.mtu >= LEAST_IPV6_MTU && !self.namespaces[end.namespace].forwards() {
                requests.push(message::no_link_local(index, &end.interface));
            }
            requests.push(message::set_up(index, &end.interface, true));
        }
        self.execute_each(&requests)
    }

    fn configure(&self) -> Result<(), NetnsError> {
        let mut requests = self.no_requests();
        for end in self.ends_of_nodes() {
            // On 6.8 and newer this waits until the kernel has taken note of the carrier. It reports all multicast groups once more
            // when it does so, and must not do so after the bridges are raised: N reports would be flooded to N nodes.
            let index = self.index(end.namespace, &end.interface);
            requests[end.namespace].push(message::get_link(index, &end.interface));
        }
        for item in &self.site.spec.addresses {
            let index = self.index(item.namespace, &item.interface);
            requests[item.namespace].push(message::new_address(index, &item.interface, item.address));
        }
        for item in &self.site.spec.direct_routes {
            let index = self.index(item.namespace, &item.interface);
            let request = message::new_direct_route(index, &item.interface, item.destination);
            requests[item.namespace].push(request);
        }
        for item in &self.site.spec.routes {
            requests[item.namespace].push(message::new_route(item.destination, item.via));
        }
        for item in &self.site.spec.neighbours {
            let index = self.index(item.namespace, &item.interface);
            let request = message::new_neighbour(index, &item.interface, item.address, item.mac);
            requests[item.namespace].push(request);
        }
        let mut answering = HashSet::new();
        for item in &self.site.spec.forwarding {
            let index = self.index(item.namespace, &item.interface);
            let requests = &mut requests[item.namespace];
            requests.push(message::new_forwarding(index, &item.interface, item.mac));
            if let Some(address) = item.answers_for {
                let bridge = self.index(item.namespace, BRIDGE);
                requests.push(message::new_neighbour(bridge, BRIDGE, address.into(), item.mac));
                if answering.insert((item.namespace, index)) {
                    requests.push(message::answer_arp(index, &item.interface));
                }
            }
        }
        self.execute_each(&requests)
    }

    fn raise_bridges(&self) -> Result<(), NetnsError> {
        self.new_bridges().try_for_each(|(position, index)| {
            let request = message::set_up(index, BRIDGE, true);
            self.namespaces[position].netlink().execute(&[request])
        })
    }

    /// Positions and indexes of the bridges that were not there before.
    fn new_bridges(&self) -> impl Iterator<Item = (usize, u32)> {
        let new = (0..self.namespaces.len()).filter(|position| self.is_new[*position]);
        new.filter_map(|position| Some((position, self.site.bridge(position)?)))
    }

    fn ends_of_nodes(&self) -> impl Iterator<Item = &NearEnd> {
        let ends = self.site.spec.links.iter().map(|link| &link.near);
        ends.filter(|end| !end.bridge_port)
    }

    fn no_requests(&self) -> Vec<Vec<Request>> {
        self.namespaces.iter().map(|_| Vec::new()).collect()
    }

    fn index(&self, namespace: usize, interface: &str) -> u32 {
        let found = self.site.interface(namespace, interface);
        found.map_or(0, |found| found.index)
    }

    /// Sends every namespace its requests.
    fn execute_each(&self, requests: &[Vec<Request>]) -> Result<(), NetnsError> {
        let mut each = self.namespaces.iter().zip(requests);
        each.try_for_each(|(namespace, requests)| namespace.netlink().execute(requests))
    }
}
