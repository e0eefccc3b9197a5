//! Settings of a namespace under `/proc/sys/net`, which shows those of the calling thread's namespace.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

use crate::error::NetnsError;
use crate::spec::NamespaceRole;

/// What switches and wire namespaces get before their interfaces are made.
const NO_IPV6: [(&str, &str); 1] = [("conf/default/disable_ipv6", "1")];

/// No link-local address. Nodes that forward keep theirs: it is what they ask for a neighbour's address with, on behalf of others.
const NO_LINK_LOCAL: (&str, &str) = ("conf/default/addr_gen_mode", "1");

/// What nodes get before their interfaces are made: no detection of duplicates, no router. And the first version of multicast listener
/// discovery, because it reports a new group at once, while the node is not connected yet; the second version does so from a work queue,
/// and on a busy machine a thousand such reports would be flooded to a thousand nodes later on. The repetition of a report comes at a
/// random time within the interval, in milliseconds.
const STATIC_IPV6: [(&str, &str); 5] = [
    ("conf/default/accept_dad", "0"),
    ("conf/default/router_solicitations", "0"),
    ("conf/default/accept_ra", "0"),
    ("conf/default/force_mld_version", "1"),
    ("conf/default/mldv1_unsolicited_report_interval", "86400000"),
];

/// Namespaces that share a view of `/proc`. The kernel keeps `net/ipv6` of every namespace in one list per view, and walks along it
/// at each look-up (measured: 0.3 ms per look-up with 1000 namespaces, 0.03 ms with 100).
const PER_VIEW: u32 = 16;

/// Writes the settings of namespaces, from a thread with a mount namespace of its own.
#[derive(Debug)]
pub(crate) struct Settings {
    mount_point: PathBuf,
    proc: PathBuf,
    uses: u32,
}

impl Settings {
    /// Views of `/proc` are mounted in `directory`.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            mount_point: directory.join("proc"),
            proc: "/proc".into(),
            uses: 0,
        }
    }

    /// Applies the settings that a role needs before its interfaces are made, to the calling thread's namespace.
    ///
    /// Automatic IPv6 is what makes large networks slow: duplicate address detection, router solicitations and multicast listener
    /// reports of N nodes are flooded to N ports (measured for 1000 nodes: 42 s of packets, 1.2 s without).
    pub(crate) fn apply(&mut self, namespace: &str, role: NamespaceRole) -> Result<(), NetnsError> {
        self.renew_view();
        self.write(role).map_err(|(setting, errno)| NetnsError::System {
            operation: format!("change {setting}"),
            namespace: namespace.into(),
            source: io::Error::from(errno),
        })
    }

    fn write(&self, role: NamespaceRole) -> Result<(), Failure> {
        let NamespaceRole::Node { forward } = role else {
            return self.write_ipv6(&NO_IPV6);
        };
        let mut settings = STATIC_IPV6.to_vec();
        let (forward, role) = if forward {
            ("1", None)
        } else {
            ("0", Some(NO_LINK_LOCAL))
        };
        settings.extend(role);
        settings.push(("conf/all/forwarding", forward));
        self.write_ipv6(&settings)?;
        // A new namespace copies the host's IPv4 settings. Packets of a node with two ways to it may arrive on another interface than
        // the one that leads back.
        let directory = self.open("ipv4")?;
        directory.expect("conf/all/rp_filter", "0")?;
        directory.expect("conf/default/rp_filter", "0")?;
        directory.expect("ip_forward", forward)
    }

    fn write_ipv6(&self, settings: &[(&str, &str)]) -> Result<(), Failure> {
        match self.open("ipv6") {
            // A kernel without IPv6 has nothing to switch off.
            Err((_, Errno::ENOENT)) => Ok(()),
            directory => {
                let directory = directory?;
                settings
                    .iter()
                    .try_for_each(|(name, value)| directory.expect(name, value))
            }
        }
    }

    /// Mounts a new `/proc` over the last one, every now and then. Where that is not allowed (a user namespace without a process
    /// namespace), the one there is does as well, only slower.
    fn renew_view(&mut self) {
        if self.uses.is_multiple_of(PER_VIEW) {
            let mounted = std::fs::create_dir_all(&self.mount_point).is_ok()
                && mount(
                    Some("proc"),
                    &self.mount_point,
                    Some("proc"),
                    MsFlags::empty(),
                    None::<&str>,
                )
                .is_ok();
            if mounted {
                self.proc.clone_from(&self.mount_point);
            }
        }
        self.uses = self.uses.wrapping_add(1);
    }

    fn open(&self, family: &str) -> Result<Directory, Failure> {
        let path = self.proc.join("sys/net").join(family);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match open(&path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(Directory {
                descriptor,
                name: format!("net/{family}"),
            }),
            Err(errno) => Err((format!("net/{family}"), errno)),
        }
    }
}

/// The setting meant, and the kernel's answer.
type Failure = (String, Errno);

/// A directory of settings, looked up once.
struct Directory {
    descriptor: OwnedFd,
    name: String,
}

impl Directory {
    /// Sets a value unless it is there already: reading is cheaper than a change, which takes the kernel's network lock.
    fn expect(&self, name: &str, value: &str) -> Result<(), Failure> {
        self.exchange(name, value)
            .map_err(|errno| (format!("{}/{name} to {value}", self.name), errno))
    }

    fn exchange(&self, name: &str, value: &str) -> nix::Result<()> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.descriptor, name, flags, Mode::empty())?);
        let errno = |error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        let mut buffer = [0; 32];
        let length = file.read_at(&mut buffer, 0).map_err(errno)?;
        if buffer[..length].trim_ascii() == value.as_bytes() {
            return Ok(());
        }
        // At the beginning: the kernel ignores what is written elsewhere.
        file.write_all_at(value.as_bytes(), 0).map_err(errno)
    }
}
