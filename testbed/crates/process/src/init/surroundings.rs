//! The node's file systems, names and devices, in the order in which they depend on each other.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::sethostname;

use super::host_mounts::Trees;
use super::{devices, etc, root};
use crate::error::{Cannot, ProcessError};
use crate::message::Configuration;
use crate::sys;

pub(super) struct Surroundings {
    /// The host's directory for logs, as a mount of its own: nothing above it can be reached through the descriptor.
    pub(super) log_directory: OwnedFd,
    pub(super) warnings: Vec<String>,
}

/// Directories that are empty and the node's own, with their modes.
const PRIVATE: [(&str, u32); 3] = [("/tmp", 0o1777), ("/run", 0o755), ("/var/tmp", 0o1777)];

pub(super) fn make(configuration: &Configuration) -> Result<Surroundings, ProcessError> {
    let mut warnings = Vec::new();
    // Not the one of whoever started the testbed: services that give up root must still be able to read what they need.
    umask(Mode::from_bits_truncate(0o022));
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .cannot(|| "make mounts private".into())?;
    sethostname(&configuration.node).cannot(|| format!("set the host name {}", configuration.node))?;
    let log_directory = detached_directory(&configuration.log_directory)?;
    // Taken from the host's tree while it is in sight, put in place when the new root is.
    let trees = Trees::collect(configuration, &mut warnings)?;
    let devices = devices::collect();

    root::enter_new(&configuration.scratch, &mut warnings)?;
    for (path, mode) in PRIVATE {
        make_directory(Path::new(path))?;
        tmpfs(path, &format!("mode={mode:o}"))?;
    }
    kernel_file_systems(configuration)?;
    devices::make(devices, &mut warnings)?;
    trees.place(&mut warnings)?;
    etc::write(configuration)?;
    root::leave_old()?;
    Ok(Surroundings {
        log_directory,
        warnings,
    })
}

/// A directory of the host from which `..` leads nowhere.
fn detached_directory(path: &Path) -> Result<OwnedFd, ProcessError> {
    let tree = sys::open_tree(path, false).cannot(|| format!("open the log directory {}", path.display()))?;
    // The descriptor of a tree is for mounting only; files are opened relative to a real one.
    let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    openat(&tree, ".", flags, Mode::empty()).cannot(|| format!("open the log directory {}", path.display()))
}

pub(super) fn tmpfs(path: &str, options: &str) -> Result<(), ProcessError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options))
        .cannot(|| format!("mount a tmpfs at {path}"))
}

/// Makes a directory and those above it, each with mode 0755 and root's.
pub(crate) fn make_directory(path: &Path) -> Result<(), ProcessError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .cannot(|| format!("make directory {}", path.display()))
}

/// `/proc` of the new pid namespace and `/sys` of the new network namespace, both read-only where they concern the
/// whole machine.
fn kernel_file_systems(configuration: &Configuration) -> Result<(), ProcessError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).cannot(|| "mount /proc".into())?;
    mount(
        Some("sysfs"),
        "/sys",
        Some("sysfs"),
        flags | MsFlags::MS_RDONLY,
        None::<&str>,
    )
    .cannot(|| "mount /sys".into())?;
    // These show what reads them, so a node may keep its own: network settings of its namespace.
    let own_network =
        sys::open_tree(Path::new("/proc/sys/net"), false).cannot(|| "open /proc/sys/net".into())?;
    for path in [
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/proc/irq",
        "/proc/bus",
        "/proc/fs",
        "/proc/acpi",
        "/proc/scsi",
    ] {
        lock(Path::new(path)).cannot(|| format!("make {path} read-only"))?;
    }
    sys::move_mount(own_network.as_fd(), Path::new("/proc/sys/net"))
        .cannot(|| "mount /proc/sys/net".into())?;
    if configuration.cgroup.is_some() {
        // From now on /proc/self/cgroup says "/" for the node's own cgroup.
        unshare(CloneFlags::CLONE_NEWCGROUP).cannot(|| "make a cgroup namespace".into())?;
    }
    Ok(())
}

/// Covers a path with a read-only view of itself; one that this kernel does not have needs none.
fn lock(path: &Path) -> io::Result<()> {
    match sys::open_tree(path, true) {
        Ok(tree) => {
            sys::make_read_only(tree.as_fd())?;
            sys::move_mount(tree.as_fd(), path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Attaches a tree at a path that is made if missing.
pub(crate) fn attach(tree: &OwnedFd, is_directory: bool, target: &Path) -> Result<(), ProcessError> {
    if !target.exists() {
        if is_directory {
            make_directory(target)?;
        } else {
            make_directory(target.parent().unwrap_or(Path::new("/")))?;
            fs::write(target, "").cannot(|| format!("make {}", target.display()))?;
        }
    }
    sys::move_mount(tree.as_fd(), target).cannot(|| format!("mount {}", target.display()))
}
