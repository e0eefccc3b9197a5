//! Namespaces that live as long as their descriptors and leave no trace in the file system.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use netns_rs::{Env, NetNs};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use crate::error::NetnsError;
use crate::netlink::Netlink;
use crate::spec::{NamespaceRole, NamespaceSpec};
use crate::sysctl::{Postponed, Settings};

/// Threads that create namespaces; more gain nothing (200 namespaces: 60, 45 and 37 ms with 1, 2 and 4), and more than there are
/// processors wait for each other in the kernel.
const MOST_THREADS: usize = 4;
/// Fewer namespaces than this are not worth another thread.
const PER_THREAD: usize = 8;

/// A namespace, kept alive by its descriptor and its socket.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    descriptor: OwnedFd,
    netlink: Mutex<Netlink>,
    forwards: AtomicBool,
}

/// A new namespace, and the setting it does not have yet.
pub(crate) type Made = (Namespace, Option<Postponed>);

impl Namespace {
    /// The name in messages and look-ups.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The descriptor to enter it with.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Lets it forward packets, or no more.
    pub(crate) fn set_forwarding(&self, forward: bool) -> Result<(), NetnsError> {
        let set = || {
            let directory = hide_mounts(&self.name)?;
            setns(&self.descriptor, CloneFlags::CLONE_NEWNET)
                .map_err(|errno| system("enter it", &self.name, errno.into()))?;
            Settings::new(&directory).forward(&self.name, forward)
        };
        // A thread of its own, as it cannot go back to where it came from.
        let ended = thread::scope(|scope| scope.spawn(set).join());
        ended.map_err(|_| NetnsError::Worker {
            namespace: self.name.clone(),
            reason: "it panicked while settings were changed".into(),
        })??;
        self.forwards.store(forward, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it forwards packets.
    pub(crate) fn forwards(&self) -> bool {
        self.forwards.load(Ordering::Relaxed)
    }

    /// Its netlink socket.
    pub(crate) fn netlink(&self) -> MutexGuard<'_, Netlink> {
        // The socket stays usable after a panic elsewhere: answers are matched by their sequence numbers.
        self.netlink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A namespace to make, or one that is there already to take over.
pub(crate) type Wanted<'a> = (&'a NamespaceSpec, Option<&'a OwnedFd>);

/// Creates namespaces with the settings of their roles, on threads of their own. Meanwhile `made` gets each one, with its position
/// in `specs`, on the calling thread: about in the order given, the first ones for sure before the last.
pub(crate) fn create_each(
    specs: &[Wanted<'_>],
    mut made: impl FnMut(usize, Made) -> Result<(), NetnsError>,
) -> Result<(), NetnsError> {
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = processors.min(MOST_THREADS).min(specs.len().div_ceil(PER_THREAD));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, created) = mpsc::channel();
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            // Such a thread ends up in the last namespace it made: it is never used for anything else.
            let builder = thread::Builder::new().name("netns-create".into());
            let worker = builder.spawn_scoped(scope, move || create_here(specs, next, &sender));
            let first = specs.first().map_or("", |(spec, _)| spec.name.as_str());
            workers.push(worker.map_err(|source| system("start a thread", first, source))?);
        }
        drop(sender);
        // After a failure the channel is dropped, and the threads end at their next namespace.
        created
            .into_iter()
            .try_for_each(|(position, namespace)| made(position, namespace?))?;
        for worker in workers {
            worker.join().map_err(|_| NetnsError::Worker {
                namespace: String::new(),
                reason: "it panicked while namespaces were created".into(),
            })?;
        }
        Ok(())
    })
}

/// Takes the next namespace to be made until there is none, or nobody takes the result.
fn create_here(specs: &[Wanted<'_>], next: &AtomicUsize, made: &Sender<(usize, Result<Made, NetnsError>)>) {
    let mut place: Option<(PathBuf, Settings)> = None;
    loop {
        let position = next.fetch_add(1, Ordering::Relaxed);
        let Some((spec, existing)) = specs.get(position) else {
            return;
        };
        let mut create = || {
            let (directory, settings) = match &mut place {
                Some(place) => place,
                none => {
                    let directory = hide_mounts(&spec.name)?;
                    let settings = Settings::new(&directory);
                    none.insert((directory, settings))
                }
            };
            match existing {
                None => create(spec, position, directory, settings),
                Some(existing) => adopt(spec, existing, directory),
            }
        };
        let outcome = create();
        let failed = outcome.is_err();
        if made.send((position, outcome)).is_err() || failed {
            return;
        }
    }
}

/// Gives the calling thread a mount namespace of its own, with an empty file system over a directory every machine has.
///
/// netns-rs keeps a namespace by mounting it on a file, and its threads inherit this mount namespace. So the pins are seen by
/// nobody, no process started meanwhile gets a copy of them, and they end with the thread, however it ends: a thousand pins removed
/// one by one would cost 0.2 s.
fn hide_mounts(namespace: &str) -> Result<PathBuf, NetnsError> {
    let hide = || -> nix::Result<PathBuf> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let directory = ["/tmp", "/run", "/mnt"]
            .into_iter()
            .find(|path| Path::new(path).is_dir());
        let directory = directory.unwrap_or("/dev");
        mount(
            Some("tmpfs"),
            directory,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=0700"),
        )?;
        Ok(PathBuf::from(directory))
    };
    hide().map_err(|errno| system("mount a place to create it", namespace, errno.into()))
}

fn create(
    spec: &NamespaceSpec,
    number: usize,
    directory: &Path,
    settings: &mut Settings,
) -> Result<Made, NetnsError> {
    let failed = |source| NetnsError::CreateNamespace {
        namespace: spec.name.clone(),
        source,
    };
    let pin = NetNs::new_with_env(number.to_string(), Pins(directory.into())).map_err(failed)?;
    let descriptor = pin.file().try_clone();
    let descriptor = descriptor.map_err(|source| system("keep it open", &spec.name, source))?;
    pin.enter().map_err(failed)?;
    let postponed = settings.apply(&spec.name, spec.role)?;
    Ok((opened(spec, descriptor.into())?, postponed))
}

/// Takes over a namespace that has another owner, who may have changed its settings.
fn adopt(spec: &NamespaceSpec, existing: &OwnedFd, directory: &Path) -> Result<Made, NetnsError> {
    let descriptor = existing
        .try_clone()
        .map_err(|source| system("keep it open", &spec.name, source))?;
    setns(&descriptor, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| system("enter it", &spec.name, errno.into()))?;
    // Settings of its own: those of the others remember what a new namespace starts with.
    let mut settings = Settings::new(directory);
    settings.allow_ipv6(&spec.name)?;
    let postponed = settings.apply(&spec.name, spec.role)?;
    Ok((opened(spec, descriptor)?, postponed))
}

/// The namespace that the calling thread is in.
fn opened(spec: &NamespaceSpec, descriptor: OwnedFd) -> Result<Namespace, NetnsError> {
    Ok(Namespace {
        name: spec.name.clone(),
        descriptor,
        netlink: Mutex::new(Netlink::open(&spec.name)?),
        forwards: AtomicBool::new(spec.role == NamespaceRole::Node { forward: true }),
    })
}

/// Where netns-rs mounts. Its own preparation, a shared bind mount of the directory on itself, is left out: the directory is private.
#[derive(Debug)]
struct Pins(PathBuf);

impl Env for Pins {
    fn persist_dir(&self) -> PathBuf {
        self.0.clone()
    }

    fn init(&self) -> netns_rs::Result<()> {
        Ok(())
    }
}

fn system(operation: &str, namespace: &str, source: io::Error) -> NetnsError {
    NetnsError::System {
        operation: operation.into(),
        namespace: namespace.into(),
        source,
    }
}
