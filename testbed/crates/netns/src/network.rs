//! A network: created from its description, looked up by name, closed as a whole.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::close::Sentinel;
use crate::construction::{self, Parts, set_offload};
use crate::error::NetnsError;
use crate::layout::{Interface, Layout};
use crate::message;
use crate::namespace::Namespace;
use crate::shape::Shaping;
use crate::spec::{NamespaceRole, NearEnd, NetworkSpec, NewVeth, VethSpec};
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
        if spec.namespaces.is_empty() {
            return Err(NetnsError::InvalidSpec {
                subject: "network".into(),
                reason: "it has no namespace".into(),
            });
        }
        let Parts { namespaces, held } = construction::build(spec, &layout, &Sentinel::spec())?;
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
        Ok(Self {
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
        })
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
        let pair = construction::new_pair(&self.layout(), &|position| self.namespaces.get(position), &link);
        let made = match (pair, midpoint) {
            (Some(pair), Some(midpoint)) => self.sentinel.create_elsewhere(&[pair]).and_then(|()| {
                let raise = message::raise_midpoint(midpoint.index, veth.midpoint);
                wire_namespace.netlink().execute(&[raise])
            }),
            _ => Ok(()), // both were taken just now
        };
        let made = made.and_then(|()| set_offload(&self.namespaces[namespace], &link, &mut None));
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
}
