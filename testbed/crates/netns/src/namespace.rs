//! Namespaces that live as long as their descriptors and leave no trace in the file system.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use netns_rs::{Env, NetNs};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::error::NetnsError;
use crate::message;
use crate::netlink::Netlink;
use crate::spec::{NamespaceRole, NamespaceSpec};
use crate::sysctl::Settings;

/// Threads that create namespaces; more gain nothing (200 namespaces: 60, 45 and 37 ms with 1, 2 and 4).
const MOST_THREADS: usize = 4;
/// Fewer namespaces than this are not worth another thread.
const PER_THREAD: usize = 8;

/// A namespace, kept alive by its descriptor and its socket.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    descriptor: OwnedFd,
    netlink: Mutex<Netlink>,
}

impl Namespace {
    /// The name in messages and look-ups.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The descriptor to enter it with.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Its netlink socket.
    pub(crate) fn netlink(&self) -> MutexGuard<'_, Netlink> {
        // The socket stays usable after a panic elsewhere: answers are matched by their sequence numbers.
        self.netlink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates all namespaces, in the order given, with the settings of their roles and loopback up in nodes.
pub(crate) fn create_all(specs: &[NamespaceSpec]) -> Result<Vec<Namespace>, NetnsError> {
    let threads = MOST_THREADS.min(specs.len().div_ceil(PER_THREAD)).max(1);
    let share = specs.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = specs
            .chunks(share)
            .map(|chunk| {
                // Such a thread ends up in the last namespace it made: it is never used for anything else.
                let builder = thread::Builder::new().name("netns-create".into());
                let first = chunk.first().map_or("", |spec| spec.name.as_str());
                builder
                    .spawn_scoped(scope, || create_here(chunk))
                    .map_err(|source| system("start a thread", first, source))
            })
            .collect();
        let mut namespaces = Vec::with_capacity(specs.len());
        for worker in workers {
            let created = worker?.join().map_err(|_| NetnsError::Worker {
                namespace: String::new(),
                reason: "it panicked while namespaces were created".into(),
            })?;
            namespaces.extend(created?);
        }
        Ok(namespaces)
    })
}

fn create_here(specs: &[NamespaceSpec]) -> Result<Vec<Namespace>, NetnsError> {
    let Some(first) = specs.first() else {
        return Ok(Vec::new());
    };
    let directory = hide_mounts(&first.name)?;
    let mut settings = Settings::new(&directory);
    let mut create = |(number, spec)| create(spec, number, &directory, &mut settings);
    specs.iter().enumerate().map(&mut create).collect()
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
) -> Result<Namespace, NetnsError> {
    let failed = |source| NetnsError::CreateNamespace {
        namespace: spec.name.clone(),
        source,
    };
    let pin = NetNs::new_with_env(number.to_string(), Pins(directory.into())).map_err(failed)?;
    let descriptor = pin.file().try_clone();
    let descriptor = descriptor.map_err(|source| system("keep it open", &spec.name, source))?;
    pin.enter().map_err(failed)?;
    let mut netlink = Netlink::open(&spec.name)?;
    settings.apply(&spec.name, spec.role)?;
    if let NamespaceRole::Node { .. } = spec.role {
        netlink.execute(&[message::set_up(1, "lo", true)])?;
    }
    Ok(Namespace {
        name: spec.name.clone(),
        descriptor: descriptor.into(),
        netlink: Mutex::new(netlink),
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
