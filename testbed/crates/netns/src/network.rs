//! A network: created from its description, looked up by name, closed as a whole.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::close::Sentinel;
use crate::construction::{self, Parts, Site, There};
use crate::error::NetnsError;
use crate::layout::{Interface, Layout};
use crate::message;
use crate::namespace::Namespace;
use crate::shape::Shaping;
use crate::spec::{NamespaceRole, NamespaceSpec, NearEnd, NetworkSpec, NewVeth, VethSpec};
use crate::worker::Worker;

/// A running network. It lives as long as this value: the descriptors in it are all that keeps its namespaces, so the kernel
/// removes every interface and namespace soon after it is dropped, or after the process was killed.
///
/// All calls block; some wait for the kernel's lock on network configuration. Call them on a thread that may wait.
#[derive(Debug)]
pub struct Network {
    // Dropped in this order: first the thread that could be inside a namespace, last the one namespace that tells of the removal.
    worker: Worker,
    spaces: RwLock<Spaces>,
    layout: RwLock<Layout>,
    pub(crate) shaping: Mutex<Shaping>,
    /// How many filters of [`Network::block`] a midpoint has, by namespace and index.
    blocked: Mutex<HashMap<(String, u32), u16>>,
    sentinel: Sentinel,
    last: usize,
}

/// The namespaces by position and by name. A position is not used again.
#[derive(Debug)]
struct Spaces {
    list: Vec<Option<Arc<Namespace>>>,
    positions: HashMap<String, usize>,
}

impl Spaces {
    fn find(&self, name: &str) -> Option<(usize, Arc<Namespace>)> {
        let position = *self.positions.get(name)?;
        Some((position, self.list.get(position)?.clone()?))
    }
}

impl Network {
    /// Creates everything in the description.
    ///
    /// Needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`, if only in a user namespace. No file, mount or name is left in the caller's view
    /// of the system: the mounts by which netns-rs keeps a namespace are made in private mount namespaces and are gone on return.
    /// A network of N nodes needs about 2 N file descriptors, and 3 N while it is made on a machine that forwards packets.
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
        let places: Vec<usize> = (0..spec.namespaces.len()).collect();
        let site = Site {
            spec,
            layout: &layout,
            places: &places,
        };
        let Parts { namespaces, held } = construction::build(site, There::default(), &Sentinel::spec())?;
        let is_wire = |position: &usize| spec.namespaces[*position].role == NamespaceRole::Wire;
        let last = (0..namespaces.len())
            .find(is_wire)
            .unwrap_or(namespaces.len() - 1);
        let sentinel = Sentinel::new(held, &namespaces[last])?;
        let home = sentinel.held().descriptor().try_clone_to_owned();
        let worker = home
            .and_then(Worker::start)
            .map_err(|source| NetnsError::System {
                operation: "start a thread".into(),
                namespace: namespaces[last].name().into(),
                source,
            })?;
        let names = spec.namespaces.iter().enumerate();
        let spaces = Spaces {
            positions: names
                .map(|(position, spec)| (spec.name.clone(), position))
                .collect(),
            list: namespaces.into_iter().map(Some).collect(),
        };
        Ok(Self {
            worker,
            spaces: RwLock::new(spaces),
            layout: RwLock::new(layout),
            shaping: Mutex::default(),
            blocked: Mutex::default(),
            sentinel,
            last,
        })
    }

    /// Adds to the running network what it does not have yet: the namespaces of the description that are new by their names, and
    /// all links, addresses, routes, neighbours and forwarding entries of the description. One call at a time.
    ///
    /// # Errors
    ///
    /// When the description contradicts itself or what is there, or the kernel refuses a step; what was added before is then
    /// removed again.
    pub fn extend(&self, spec: &NetworkSpec) -> Result<(), NetnsError> {
        let (places, there) = self.places_for(spec);
        let mut layout = self.layout().clone();
        layout.extend(spec, &places)?;
        *self.layout_mut() = layout.clone();
        let site = Site {
            spec,
            layout: &layout,
            places: &places,
        };
        let is_new: Vec<bool> = (0..places.len())
            .map(|number| !there.namespaces.contains_key(&number))
            .collect();
        let built = construction::build(site, there, &Sentinel::spec());
        {
            let mut spaces = self.spaces_mut();
            for number in (0..places.len()).filter(|number| is_new[*number]) {
                let made = built
                    .as_ref()
                    .ok()
                    .map(|parts| Arc::clone(&parts.namespaces[number]));
                if made.is_some() {
                    let name = spec.namespaces[number].name.clone();
                    spaces.positions.insert(name, places[number]);
                }
                spaces.list.push(made); // its position is taken in either case
            }
        }
        if built.is_err() {
            // What is in new namespaces goes with them.
            drop(self.withdraw(spec));
            let mut layout = self.layout_mut();
            for link in &spec.links {
                layout.forget(places[link.near.namespace], &link.near.interface);
                layout.forget(places[link.wire], &link.midpoint);
            }
        }
        built.map(drop)
    }

    /// For each namespace of the description its position, and those that exist.
    fn places_for(&self, spec: &NetworkSpec) -> (Vec<usize>, There) {
        let spaces = self.spaces();
        let mut there = There {
            held: Some(self.sentinel.held()),
            ..There::default()
        };
        let mut next = spaces.list.len();
        let place = |(number, wanted): (usize, &NamespaceSpec)| match spaces.find(&wanted.name) {
            Some((position, namespace)) => {
                there.namespaces.insert(number, namespace);
                position
            }
            None => {
                next += 1;
                next - 1
            }
        };
        let places = spec.namespaces.iter().enumerate().map(place).collect();
        (places, there)
    }

    /// Lets go of a namespace. The kernel removes it, with what is still in it, when no process is inside any more.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or it is the one that tells of the network's end.
    pub fn remove_namespace(&self, name: &str) -> Result<(), NetnsError> {
        let (position, _) = self.find(name)?;
        if position == self.last {
            return Err(NetnsError::InvalidSpec {
                subject: format!("namespace `{name}`"),
                reason: "it goes with the network".into(),
            });
        }
        let mut spaces = self.spaces_mut();
        spaces.positions.remove(name);
        let gone = spaces.list.get_mut(position).and_then(Option::take);
        drop(spaces);
        drop(gone);
        Ok(())
    }

    /// The descriptor of a namespace, to enter it or to hand it to another process.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or no descriptor is free.
    pub fn namespace(&self, name: &str) -> Result<OwnedFd, NetnsError> {
        let (_, found) = self.find(name)?;
        found
            .descriptor()
            .try_clone_to_owned()
            .map_err(|source| NetnsError::System {
                operation: "keep it open".into(),
                namespace: name.into(),
                source,
            })
    }

    /// The kernel's index of an interface that the description named (and of `lo` and a switch's bridge).
    #[must_use]
    pub fn interface_index(&self, namespace: &str, interface: &str) -> Option<u32> {
        let (position, _) = self.find(namespace).ok()?;
        self.layout()
            .interface(position, interface)
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

    /// Lets a node forward packets from now on, or no more.
    ///
    /// # Errors
    ///
    /// When there is no such namespace, or the kernel refuses.
    pub fn set_forwarding(&self, namespace: &str, forward: bool) -> Result<(), NetnsError> {
        self.find(namespace)?.1.set_forwarding(forward)
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
            spaces,
            sentinel,
            last,
            ..
        } = self;
        sentinel.listen()?;
        drop(worker);
        // The namespace with the sentinel goes last, and at once after the others: the kernel then removes all in few rounds.
        let mut namespaces = spaces.into_inner().unwrap_or_else(PoisonError::into_inner).list;
        let last = namespaces.get_mut(last).and_then(Option::take);
        drop(namespaces);
        drop(last);
        sentinel.await_removal(timeout)
    }

    pub(crate) fn find(&self, namespace: &str) -> Result<(usize, Arc<Namespace>), NetnsError> {
        self.spaces()
            .find(namespace)
            .ok_or_else(|| NetnsError::UnknownNamespace {
                namespace: namespace.into(),
            })
    }

    pub(crate) fn find_interface(
        &self,
        namespace: &str,
        interface: &str,
    ) -> Result<(Arc<Namespace>, Interface), NetnsError> {
        let (position, found) = self.find(namespace)?;
        match self.layout().interface(position, interface) {
            Some(index) => Ok((found, index)),
            None => Err(NetnsError::UnknownInterface {
                namespace: namespace.into(),
                interface: interface.into(),
            }),
        }
    }

    fn spaces(&self) -> RwLockReadGuard<'_, Spaces> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn spaces_mut(&self) -> RwLockWriteGuard<'_, Spaces> {
        self.spaces.write().unwrap_or_else(PoisonError::into_inner)
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
        self.find(veth.namespace)?;
        self.find(veth.wire)?;
        let named = |name: &str, role| NamespaceSpec {
            name: name.into(),
            role,
        };
        let role = if veth.near.bridge_port {
            NamespaceRole::Switch
        } else {
            NamespaceRole::Node { forward: false }
        };
        self.extend(&NetworkSpec {
            // Both exist, so their roles decide nothing.
            namespaces: vec![named(veth.namespace, role), named(veth.wire, NamespaceRole::Wire)],
            links: vec![VethSpec {
                near: NearEnd {
                    namespace: 0,
                    ..veth.near.clone()
                },
                wire: 1,
                midpoint: veth.midpoint.to_string(),
            }],
            ..NetworkSpec::default()
        })
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
        let removed = wire_namespace
            .netlink()
            .execute(&[message::remove_link(found.index, midpoint)]);
        let mut layout = self.layout_mut();
        layout.forget(near, interface);
        layout.forget(far, midpoint);
        removed
    }

    pub(crate) fn blocked(&self) -> MutexGuard<'_, HashMap<(String, u32), u16>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
