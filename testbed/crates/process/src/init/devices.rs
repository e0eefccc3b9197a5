//! A `/dev` with what programs need and nothing of the machine.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};

use super::surroundings::{attach, make_directory};
use crate::error::{Cannot, ProcessError};
use crate::sys;

/// Name below `/dev`, major and minor number (Documentation/admin-guide/devices.txt of Linux).
const DEVICES: [(&str, u64, u64); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("net/tun", 10, 200),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The host's device files, for use where new ones may not be made (in a user namespace).
pub(crate) struct HostDevices(Vec<(&'static str, io::Result<OwnedFd>)>);

pub(crate) fn collect() -> HostDevices {
    let open =
        |(name, ..): (&'static str, u64, u64)| (name, sys::open_tree(&Path::new("/dev").join(name), false));
    HostDevices(DEVICES.map(open).into())
}

pub(crate) fn make(host: HostDevices, warnings: &mut Vec<String>) -> Result<(), ProcessError> {
    mount(
        Some("tmpfs"),
        "/dev",
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        Some("mode=755,size=64k"),
    )
    .cannot(|| "mount a tmpfs at /dev".into())?;
    for directory in ["/dev/net", "/dev/pts", "/dev/shm"] {
        make_directory(Path::new(directory))?;
    }
    for ((name, major, minor), (_, host)) in DEVICES.into_iter().zip(host.0) {
        // A device that the host does not have is not made: opening it would fail in a way nobody expects.
        let Ok(host) = host else { continue };
        let path = Path::new("/dev").join(name);
        if make_device(&path, major, minor).is_err()
            && let Err(error) = attach(&host, false, &path)
        {
            warnings.push(error.to_string());
        }
    }
    for (name, target) in LINKS {
        let path = Path::new("/dev").join(name);
        symlink(target, &path).cannot(|| format!("make {}", path.display()))?;
    }
    terminals()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), "/dev/shm", Some("tmpfs"), flags, Some("mode=1777"))
        .cannot(|| "mount /dev/shm".into())
}

fn make_device(path: &Path, major: u64, minor: u64) -> nix::Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    let before = umask(Mode::empty());
    let made = mknod(path, SFlag::S_IFCHR, mode, makedev(major, minor));
    umask(before);
    made
}

fn terminals() -> Result<(), ProcessError> {
    let mount_with = |options: &str| {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some("devpts"), "/dev/pts", Some("devpts"), flags, Some(options))
    };
    // Group 5 is `tty` everywhere, but a user namespace may not know it.
    mount_with("newinstance,ptmxmode=0666,mode=620,gid=5")
        .or_else(|_| mount_with("newinstance,ptmxmode=0666,mode=620"))
        .cannot(|| "mount /dev/pts".into())
}
