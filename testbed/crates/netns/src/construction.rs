//! Building a network: links are made while namespaces still are, then come addresses, and the bridges are raised last.
//!
//! Both take the kernel about as long, and each leaves one of two processors idle: overlapped, a network of 200 hosts is there in
//! two thirds of the time.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::time::Instant;

use crate::error::NetnsError;
use crate::layout::Layout;
use crate::message::{self, End};
use crate::namespace::{Namespace, create_each};
use crate::netlink::Request;
use crate::offload::Features;
use crate::spec::{BRIDGE, NamespaceRole, NamespaceSpec, NetworkSpec, VethSpec};

/// Pairs of interfaces asked for at once. Few, so that they are begun early; not one, because each exchange has its price.
const PAIRS_AT_ONCE: usize = 16;

/// What a network consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// In the order of the description.
    pub(crate) namespaces: Vec<Namespace>,
    /// One more, which holds nothing yet.
    pub(crate) held: Namespace,
}

/// Makes everything in a description. `extra` describes the one namespace more.
pub(crate) fn build(spec: &NetworkSpec, layout: &Layout, extra: &NamespaceSpec) -> Result<Parts, NetnsError> {
    let start = Instant::now();
    let step = |what: &str| tracing::debug!(elapsed = ?start.elapsed(), "{what}");
    let mut construction = Construction::new(spec, layout);
    let order = order(spec);
    let wanted: Vec<&NamespaceSpec> = std::iter::once(extra)
        .chain(order.iter().map(|position| &spec.namespaces[*position]))
        .collect();
    create_each(&wanted, |number, namespace| match number.checked_sub(1) {
        Some(number) => construction.add(order[number], namespace),
        None => construction.hold(namespace),
    })?;
    step("created namespaces");
    let parts = construction.finish()?;
    step("created links");
    let network = Built {
        spec,
        layout,
        namespaces: &parts.namespaces,
    };
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
    spec: &'a NetworkSpec,
    layout: &'a Layout,
    namespaces: Vec<Option<Namespace>>,
    /// Pairs are asked for from here. Some kernels (6.1 among them) refuse an index that is taken in the namespace the request comes
    /// from, even if the interface is to be made in another one; here none of those is taken.
    held: Option<Namespace>,
    /// The links with an end in a namespace, by the namespace's position.
    links_at: Vec<Vec<&'a VethSpec>>,
    /// Links whose two namespaces are there.
    waiting: Vec<&'a VethSpec>,
}

impl<'a> Construction<'a> {
    fn new(spec: &'a NetworkSpec, layout: &'a Layout) -> Self {
        let mut links_at: Vec<Vec<&VethSpec>> = vec![Vec::new(); spec.namespaces.len()];
        for link in &spec.links {
            links_at[link.near.namespace].push(link);
            if link.wire != link.near.namespace {
                links_at[link.wire].push(link);
            }
        }
        Self {
            spec,
            layout,
            namespaces: spec.namespaces.iter().map(|_| None).collect(),
            held: None,
            links_at,
            waiting: Vec::new(),
        }
    }

    fn hold(&mut self, namespace: Namespace) -> Result<(), NetnsError> {
        self.held = Some(namespace);
        self.make_pairs(1)
    }

    fn add(&mut self, position: usize, namespace: Namespace) -> Result<(), NetnsError> {
        if let Some(bridge) = bridge(self.spec, self.layout, position) {
            namespace.netlink().execute(&[message::new_bridge(bridge)])?;
        }
        self.namespaces[position] = Some(namespace);
        let there = |namespace: usize| self.namespaces[namespace].is_some();
        let links = self.links_at[position].iter().copied();
        self.waiting
            .extend(links.filter(|link| there(link.near.namespace) && there(link.wire)));
        self.make_pairs(PAIRS_AT_ONCE)
    }

    /// Makes the pairs that wait, if they are at least so many, and raises their midpoints.
    fn make_pairs(&mut self, least: usize) -> Result<(), NetnsError> {
        let Some(held) = self.held.as_ref().filter(|_| self.waiting.len() >= least) else {
            return Ok(());
        };
        let namespace = |position: usize| self.namespaces.get(position)?.as_ref();
        let pairs = self
            .waiting
            .iter()
            .filter_map(|link| new_pair(self.layout, &namespace, link));
        held.netlink().execute(&pairs.collect::<Vec<_>>())?;
        let mut raised: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
        for link in self.waiting.drain(..) {
            let midpoint = self.layout.interface(link.wire, &link.midpoint);
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
        let namespaces: Option<Vec<Namespace>> = self.namespaces.into_iter().collect();
        Ok(Parts {
            namespaces: namespaces.ok_or_else(missing)?,
            held: self.held.ok_or_else(missing)?,
        })
    }
}

/// The request for a link's pair; none as long as one of its namespaces is missing.
pub(crate) fn new_pair<'a>(
    layout: &Layout,
    namespace: &impl Fn(usize) -> Option<&'a Namespace>,
    link: &VethSpec,
) -> Option<Request> {
    let near = &link.near;
    let place = |position: usize, name| {
        Some(End {
            name,
            interface: layout.interface(position, name)?,
            namespace: namespace(position)?.descriptor().as_raw_fd(),
        })
    };
    let end = place(near.namespace, near.interface.as_str())?;
    let midpoint = place(link.wire, link.midpoint.as_str())?;
    let bridge = layout
        .interface(near.namespace, BRIDGE)
        .filter(|_| near.bridge_port);
    let owner = namespace(near.namespace)?.name();
    let bridge = bridge.map(|found| found.index);
    Some(message::new_veth(near, end, bridge, midpoint, owner))
}

/// Lets frames of the near end cross whole, or not; `features` are the same for all pairs of a machine, and read once.
pub(crate) fn set_offload(
    namespace: &Namespace,
    link: &VethSpec,
    features: &mut Option<Features>,
) -> Result<(), NetnsError> {
    let netlink = namespace.netlink();
    let interface = &link.near.interface;
    let features = match features {
        Some(known) => known,
        unknown => unknown.insert(Features::read(&netlink, interface)?),
    };
    features.disable_segmentation(&netlink, interface, !link.near.segmentation_offload)
}

/// The index of a switch's bridge.
fn bridge(spec: &NetworkSpec, layout: &Layout, position: usize) -> Option<u32> {
    let is_switch = spec.namespaces[position].role == NamespaceRole::Switch;
    let bridge = layout.interface(position, BRIDGE).filter(|_| is_switch);
    bridge.map(|found| found.index)
}

/// A network whose interfaces are all there.
struct Built<'a> {
    spec: &'a NetworkSpec,
    layout: &'a Layout,
    namespaces: &'a [Namespace],
}

impl Built<'_> {
    fn set_offloads(&self) -> Result<(), NetnsError> {
        let mut features = None;
        let mut links = self.spec.links.iter();
        links.try_for_each(|link| set_offload(&self.namespaces[link.near.namespace], link, &mut features))
    }

    fn configure(&self) -> Result<(), NetnsError> {
        let mut requests = self.no_requests();
        let ends = self.spec.links.iter().map(|link| &link.near);
        for end in ends.filter(|end| !end.bridge_port) {
            // On 6.8 and newer this waits until the kernel has taken note of the carrier. It reports all multicast groups once more
            // when it does so, and must not do so after the bridges are raised: N reports would be flooded to N nodes.
            let index = self.index(end.namespace, &end.interface);
            requests[end.namespace].push(message::get_link(index, &end.interface));
        }
        for item in &self.spec.addresses {
            let index = self.index(item.namespace, &item.interface);
            requests[item.namespace].push(message::new_address(index, &item.interface, item.address));
        }
        for item in &self.spec.routes {
            requests[item.namespace].push(message::new_route(item.destination, item.via));
        }
        for item in &self.spec.neighbours {
            let index = self.index(item.namespace, &item.interface);
            let request = message::new_neighbour(index, &item.interface, item.address, item.mac);
            requests[item.namespace].push(request);
        }
        self.execute_each(&requests)
    }

    fn raise_bridges(&self) -> Result<(), NetnsError> {
        for (position, namespace) in self.namespaces.iter().enumerate() {
            if let Some(index) = bridge(self.spec, self.layout, position) {
                let request = message::set_up(index, BRIDGE, true);
                namespace.netlink().execute(&[request])?;
            }
        }
        Ok(())
    }

    fn no_requests(&self) -> Vec<Vec<Request>> {
        self.namespaces.iter().map(|_| Vec::new()).collect()
    }

    fn index(&self, namespace: usize, interface: &str) -> u32 {
        let found = self.layout.interface(namespace, interface);
        found.map_or(0, |found| found.index)
    }

    /// Sends every namespace its requests.
    fn execute_each(&self, requests: &[Vec<Request>]) -> Result<(), NetnsError> {
        let mut each = self.namespaces.iter().zip(requests);
        each.try_for_each(|(namespace, requests)| namespace.netlink().execute(requests))
    }
}
