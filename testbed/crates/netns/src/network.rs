//! A network: created from its description, looked up by name, closed as a whole.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::close::Sentinel;
use crate::error::NetnsError;
use crate::layout::{Interface, Layout};
use crate::message::{self, End};
use crate::namespace::{Namespace, create_all};
use crate::netlink::Request;
use crate::offload::Features;
use crate::shape::Shaping;
use crate::spec::{BRIDGE, NamespaceRole, NearEnd, NetworkSpec, NewVeth, VethSpec};
use crate::worker::Worker;

/// A running network. It lives as long as this value: the descriptors in it are all that keeps its namespaces, so the kernel
/// removes every interface and namespace soon after it is dropped, or after the process was killed.
///
/// All calls block; some wait for the kernel's lock on network configuration. Call them on a thread that may wait.
#[derive(Debug)]
pub struct Network {
    // Dropped in this order: first the thread that could be inside a namespace, last the one namespace that tells of the removal.
    worker: Worker,
    namespaces: Vec<Namespace>,
    positions: HashMap<String, usize>,
    layout: RwLock<Layout>,
    pub(crate) shaping: Mutex<Shaping>,
    /// How many filters of [`Network::block`] a midpoint has, by namespace and index.
    blocked: Mutex<HashMap<(String, u32), u16>>,
    sentinel: Sentinel,
    last: usize,
}

impl Network {
    /// Creates everything in the description.
    ///
    /// Needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`, if only in a user namespace. No file, mount or name is left in the caller's view
    /// of the system: the mounts by which netns-rs keeps a namespace are made in private mount namespaces and are gone on return.
    /// A network of N nodes needs about 2 N file descriptors.
    ///
    /// # Errors
    ///
    /// When the description contradicts itself, or the kernel refuses a step; what was made before is then removed again (in the
    /// background, as after a drop).
    pub fn create(spec: &NetworkSpec) -> Result<Self, NetnsError> {
        let layout = Layout::new(spec)?;
        let start = Instant::now();
        let mut wanted = spec.namespaces.clone();
        wanted.push(Sentinel::spec());
        let mut namespaces = create_all(&wanted)?;
        let Some(held) = namespaces.pop().filter(|_| !namespaces.is_empty()) else {
            return Err(NetnsError::InvalidSpec {
                subject: "network".into(),
                reason: "it has no namespace".into(),
            });
        };
        tracing::debug!(count = namespaces.len(), elapsed = ?start.elapsed(), "created namespaces");
        let is_wire = |position: &usize| spec.namespaces[*position].role == NamespaceRole::Wire;
        let last = (0..namespaces.len())
            .find(is_wire)
            .unwrap_or(namespaces.len() - 1);
        let sentinel = Sentinel::new(held, &namespaces[last])?;
        let home = sentinel.home().try_clone_to_owned();
        let worker = home
            .and_then(Worker::start)
            .map_err(|source| NetnsError::System {
                operation: "start a thread".into(),
                namespace: namespaces[last].name().into(),
                source,
            })?;
        let names = spec.namespaces.iter().enumerate();
        let network = Self {
            worker,
            namespaces,
            positions: names
                .map(|(position, spec)| (spec.name.clone(), position))
                .collect(),
            layout: RwLock::new(layout),
            shaping: Mutex::default(),
            blocked: Mutex::default(),
            sentinel,
            last,
        };
        network.populate(spec)?;
        Ok(network)
    }

    /// The descriptor of a namespace, to enter it or to hand it to another process.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.positions
            .get(name)
            .map(|position| self.namespaces[*position].descriptor())
    }

    /// The kernel's index of an interface that the description named (and of `lo` and a switch's bridge).
    #[must_use]
    pub fn interface_index(&self, namespace: &str, interface: &str) -> Option<u32> {
        let position = self.positions.get(namespace)?;
        self.layout()
            .interface(*position, interface)
            .map(|found| found.index)
    }

    /// Runs a closure inside a namespace and returns its value. Sockets opened there stay in that namespace for good.
    ///
    /// All closures of a network run one after the other on one thread, so they should be short. The thread is in the namespace for
    /// network calls and for `/proc/sys/net`; files and everything else are those of the process.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, it cannot be entered, or the closure panics (the network stays usable); also when called
    /// from such a closure.
    pub fn enter<T: Send + 'static>(
        &self,
        namespace: &str,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NetnsError> {
        let (_, found) = self.find(namespace)?;
        self.worker.run(namespace, found.descriptor(), closure)
    }

    /// Raises or lowers an interface. Lowering a midpoint takes the carrier away from the other end of its pair.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or the kernel refuses.
    pub fn set_interface_up(&self, namespace: &str, interface: &str, up: bool) -> Result<(), NetnsError> {
        let (found, index) = self.find_interface(namespace, interface)?;
        found
            .netlink()
            .execute(&[message::set_up(index.index, interface, up)])
    }

    /// Removes everything and returns when the kernel has done so.
    ///
    /// # Errors
    ///
    /// When interfaces still exist after `timeout`, because a process or a socket is still in one of the namespaces. They
    /// disappear when that ends.
    pub fn close(self, timeout: Duration) -> Result<(), NetnsError> {
        let Self {
            worker,
            mut namespaces,
            sentinel,
            last,
            ..
        } = self;
        sentinel.listen()?;
        drop(worker);
        // The namespace with the sentinel goes last, and at once after the others: the kernel then removes all in few rounds.
        let last = namespaces.swap_remove(last);
        drop(namespaces);
        drop(last);
        sentinel.await_removal(timeout)
    }

    pub(crate) fn find(&self, namespace: &str) -> Result<(usize, &Namespace), NetnsError> {
        match self.positions.get(namespace) {
            Some(position) => Ok((*position, &self.namespaces[*position])),
            None => Err(NetnsError::UnknownNamespace {
                namespace: namespace.into(),
            }),
        }
    }

    pub(crate) fn find_interface(
        &self,
        namespace: &str,
        interface: &str,
    ) -> Result<(&Namespace, Interface), NetnsError> {
        let (position, found) = self.find(namespace)?;
        match self.layout().interface(position, interface) {
            Some(index) => Ok((found, index)),
            None => Err(NetnsError::UnknownInterface {
                namespace: namespace.into(),
                interface: interface.into(),
            }),
        }
    }

    fn layout(&self) -> RwLockReadGuard<'_, Layout> {
        self.layout.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn layout_mut(&self) -> RwLockWriteGuard<'_, Layout> {
        self.layout.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a veth pair to the running network, both ends up; `veth` as in the description the network was made from.
    ///
    /// # Errors
    ///
    /// When a namespace does not exist, a name is used already, or the kernel refuses; then nothing has been added.
    pub fn add_veth(&self, veth: &NewVeth<'_>) -> Result<(), NetnsError> {
        let (namespace, _) = self.find(veth.namespace)?;
        let (wire, wire_namespace) = self.find(veth.wire)?;
        let link = VethSpec {
            near: NearEnd {
                namespace,
                ..veth.near.clone()
            },
            wire,
            midpoint: veth.midpoint.to_string(),
        };
        let near = &link.near;
        {
            let mut layout = self.layout_mut();
            layout.take(veth.namespace, namespace, &near.interface, near.mtu)?;
            if let Err(error) = layout.take(veth.wire, wire, veth.midpoint, near.mtu) {
                layout.forget(namespace, &near.interface);
                return Err(error);
            }
        }
        let midpoint = self.layout().interface(wire, veth.midpoint);
        let made = match (self.new_pair(&link), midpoint) {
            (Some(pair), Some(midpoint)) => self.sentinel.create_elsewhere(&[pair]).and_then(|()| {
                let raise = message::raise_midpoint(midpoint.index, veth.midpoint);
                wire_namespace.netlink().execute(&[raise])
            }),
            _ => Ok(()), // both were taken just now
        };
        let made = made.and_then(|()| self.set_offload(&link, &mut None));
        if made.is_err() {
            let mut layout = self.layout_mut();
            layout.forget(namespace, &near.interface);
            layout.forget(wire, veth.midpoint);
        }
        made
    }

    /// Removes a veth pair, named by both its ends, with what was attached to the midpoint.
    ///
    /// # Errors
    ///
    /// When there is no such midpoint, or the kernel refuses.
    pub fn remove_veth(
        &self,
        (namespace, interface): (&str, &str),
        (wire, midpoint): (&str, &str),
    ) -> Result<(), NetnsError> {
        let (near, _) = self.find(namespace)?;
        let (far, _) = self.find(wire)?;
        let (wire_namespace, found) = self.find_interface(wire, midpoint)?;
        wire_namespace
            .netlink()
            .execute(&[message::remove_link(found.index, midpoint)])?;
        let mut layout = self.layout_mut();
        layout.forget(near, interface);
        layout.forget(far, midpoint);
        Ok(())
    }

    pub(crate) fn blocked(&self) -> MutexGuard<'_, HashMap<(String, u32), u16>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn populate(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        let timed = |what: &str, step: &dyn Fn() -> Result<(), NetnsError>| {
            let start = Instant::now();
            step()?;
            tracing::debug!(elapsed = ?start.elapsed(), "{what}");
            Ok(())
        };
        timed("created bridges", &|| self.create_bridges(spec))?;
        timed("created links", &|| self.create_links(spec))?;
        timed("switched off offloads", &|| self.set_offloads(spec))?;
        timed("set addresses", &|| self.configure(spec))?;
        timed("raised bridges", &|| self.raise_bridges(spec))
    }

    fn switches<'a>(&'a self, spec: &'a NetworkSpec) -> impl Iterator<Item = (&'a Namespace, u32)> {
        let roles = spec.namespaces.iter().enumerate();
        roles
            .filter(|(_, namespace)| namespace.role == NamespaceRole::Switch)
            .filter_map(|(position, _)| {
                let bridge = self.layout().interface(position, BRIDGE)?;
                Some((&self.namespaces[position], bridge.index))
            })
    }

    fn create_bridges(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        self.switches(spec)
            .try_for_each(|(switch, index)| switch.netlink().execute(&[message::new_bridge(index)]))
    }

    fn raise_bridges(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        self.switches(spec)
            .try_for_each(|(switch, index)| switch.netlink().execute(&[message::set_up(index, BRIDGE, true)]))
    }

    fn create_links(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        let pairs: Vec<Request> = spec.links.iter().filter_map(|link| self.new_pair(link)).collect();
        self.sentinel.create_elsewhere(&pairs)?;
        let mut midpoints: Vec<Vec<Request>> = Vec::new();
        midpoints.resize_with(self.namespaces.len(), Vec::new);
        for link in &spec.links {
            let index = self.layout().interface(link.wire, &link.midpoint);
            midpoints[link.wire]
                .extend(index.map(|found| message::raise_midpoint(found.index, &link.midpoint)));
        }
        self.execute_each(&midpoints)
    }

    fn new_pair(&self, link: &VethSpec) -> Option<Request> {
        let near = &link.near;
        let place = |namespace: usize, name| {
            let interface = self.layout().interface(namespace, name)?;
            let namespace = self.namespaces[namespace].descriptor().as_raw_fd();
            Some(End {
                name,
                interface,
                namespace,
            })
        };
        let end = place(near.namespace, near.interface.as_str())?;
        let midpoint = place(link.wire, link.midpoint.as_str())?;
        let bridge = self
            .layout()
            .interface(near.namespace, BRIDGE)
            .filter(|_| near.bridge_port);
        let owner = self.namespaces[near.namespace].name();
        Some(message::new_veth(
            near,
            end,
            bridge.map(|found| found.index),
            midpoint,
            owner,
        ))
    }

    /// Sends every namespace its requests.
    fn execute_each(&self, requests: &[Vec<Request>]) -> Result<(), NetnsError> {
        let mut each = self.namespaces.iter().zip(requests);
        each.try_for_each(|(namespace, requests)| namespace.netlink().execute(requests))
    }

    fn set_offloads(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        let mut features = None;
        spec.links
            .iter()
            .try_for_each(|link| self.set_offload(link, &mut features))
    }

    /// `features` are the same for all pairs of a machine, and read once.
    fn set_offload(&self, link: &VethSpec, features: &mut Option<Features>) -> Result<(), NetnsError> {
        let netlink = self.namespaces[link.near.namespace].netlink();
        let interface = &link.near.interface;
        let features = match features {
            Some(known) => known,
            unknown => unknown.insert(Features::read(&netlink, interface)?),
        };
        features.disable_segmentation(&netlink, interface, !link.near.segmentation_offload)
    }

    fn configure(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        let mut requests: Vec<Vec<Request>> = Vec::new();
        requests.resize_with(self.namespaces.len(), Vec::new);
        let index = |namespace: usize, name: &str| {
            self.layout()
                .interface(namespace, name)
                .map_or(0, |found| found.index)
        };
        for end in spec
            .links
            .iter()
            .map(|link| &link.near)
            .filter(|end| !end.bridge_port)
        {
            // On Linux 6.8 and newer this waits until the kernel has taken note of the carrier. It reports all multicast groups once
            // more when it does so, and must not do so after the bridges are raised: N reports would be flooded to N nodes.
            let index = index(end.namespace, &end.interface);
            requests[end.namespace].push(message::get_link(index, &end.interface));
        }
        for item in &spec.addresses {
            let index = index(item.namespace, &item.interface);
            requests[item.namespace].push(message::new_address(index, &item.interface, item.address));
        }
        for item in &spec.routes {
            requests[item.namespace].push(message::new_route(item.destination, item.via));
        }
        for item in &spec.neighbours {
            let index = index(item.namespace, &item.interface);
            let request = message::new_neighbour(index, &item.interface, item.address, item.mac);
            requests[item.namespace].push(request);
        }
        self.execute_each(&requests)
    }
}
