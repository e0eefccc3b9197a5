//! Settings of a namespace under `/proc/sys/net`, which shows those of the calling thread's namespace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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

/// A file below the directory of its family, and its value.
type Setting = (&'static str, &'static str);

/// What switches and wire namespaces get before their interfaces are made.
const NO_IPV6: [Setting; 1] = [("conf/default/disable_ipv6", "1")];

/// What nodes get before their interfaces are made: no detection of duplicates, no router (where none is accepted, the kernel asks
/// for none either). And the first version of multicast listener discovery, because it reports a new group at once, while the node is
/// not connected yet; the second version does so from a work queue, and on a busy machine a thousand such reports would be flooded to
/// a thousand nodes later on. The repetition of a report comes at a random time within the interval, in milliseconds, so it is as
/// long as the kernel takes: of a thousand nodes about one in half an hour repeats its report.
const STATIC_IPV6: [Setting; 4] = [
    ("conf/default/accept_dad", "0"),
    ("conf/default/accept_ra", "0"),
    ("conf/default/force_mld_version", "1"),
    ("conf/default/mldv1_unsolicited_report_interval", "2147483647"),
];

/// What container engines switch off in a namespace without addresses of theirs.
const IPV6: [Setting; 3] = [
    ("conf/all/disable_ipv6", "0"),
    ("conf/default/disable_ipv6", "0"),
    ("conf/lo/disable_ipv6", "0"),
];

/// Whether a node forwards IPv4. Where a container engine is installed, new namespaces start with `1`.
const FORWARDING: &str = "ip_forward";

/// Namespaces that share a view of `/proc`. The kernel keeps `net/ipv6` of every namespace in one list per view, and walks along it
/// at each look-up (measured: 0.3 ms per look-up with 1000 namespaces, 0.03 ms with 100).
const PER_VIEW: u32 = 16;

/// Writes the settings of namespaces, from a thread with a mount namespace of its own.
#[derive(Debug)]
pub(crate) struct Settings {
    mount_point: PathBuf,
    proc: PathBuf,
    uses: u32,
    /// What new namespaces start with, by family and file. All start alike (IPv4 settings are copies of the host's), so each file is
    /// read in one namespace of a view only, and the others get what differs: looking is half of the cost.
    initial: HashMap<(&'static str, &'static str), Vec<u8>>,
}

/// A setting that waits for the kernel's lock on network configuration. The kernel does not let such a writer queue: as long as
/// somebody else has the lock it starts the call over, at the cost of a processor. So it is opened where it is, and written when
/// nobody else is configuring.
#[derive(Debug)]
pub(crate) struct Postponed {
    file: File,
    setting: Setting,
}

impl Postponed {
    /// Writes it, from any namespace.
    pub(crate) fn write(&self, namespace: &str) -> Result<(), NetnsError> {
        let (name, value) = self.setting;
        write_file(&self.file, value)
            .map_err(|errno| failed(namespace, (format!("net/ipv4/{name} to {value}"), errno)))
    }
}

impl Settings {
    /// Views of `/proc` are mounted in `directory`.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            mount_point: directory.join("proc"),
            proc: "/proc".into(),
            uses: 0,
            initial: HashMap::new(),
        }
    }

    /// Applies the settings that a role needs before its interfaces are made, to the calling thread's namespace, which is new.
    ///
    /// Automatic IPv6 is what makes large networks slow: duplicate address detection, router solicitations and multicast listener
    /// reports of N nodes are flooded to N ports (measured for 1000 nodes: 42 s of packets, 1.2 s without).
    ///
    /// What is returned is still to be written.
    pub(crate) fn apply(
        &mut self,
        namespace: &str,
        role: NamespaceRole,
    ) -> Result<Option<Postponed>, NetnsError> {
        self.renew_view();
        self.write(role).map_err(|failure| failed(namespace, failure))
    }

    /// Lets a node forward packets from now on, or no more. `conf/all` hands its values on to all interfaces, and one that
    /// may have a link-local address gets it at once; one that has it keeps it.
    pub(crate) fn forward(&mut self, namespace: &str, forward: bool) -> Result<(), NetnsError> {
        self.renew_view();
        let (forward, link_local) = if forward { ("1", "0") } else { ("0", "1") };
        let settings = [
            ("conf/all/addr_gen_mode", link_local),
            ("conf/all/forwarding", forward),
        ];
        with_or_without_ipv6(self.overwrite("ipv6", &settings))
            .and_then(|()| self.overwrite("ipv4", &[(FORWARDING, forward)]))
            .map_err(|failure| failed(namespace, failure))
    }

    /// Writes what need not differ from what is read: `conf/all` does not tell what the interfaces have.
    fn overwrite(&self, family: &'static str, settings: &[Setting]) -> Result<(), Failure> {
        let directory = self.open(family)?;
        settings.iter().try_for_each(|(name, value)| {
            let failed = |errno| (format!("net/{family}/{name} to {value}"), errno);
            write(&directory, name, value).map_err(failed)
        })
    }

    /// Allows IPv6 in the calling thread's namespace, which somebody else has made.
    pub(crate) fn allow_ipv6(&mut self, namespace: &str) -> Result<(), NetnsError> {
        self.write_ipv6(&IPV6)
            .map_err(|failure| failed(namespace, failure))
    }

    fn write(&mut self, role: NamespaceRole) -> Result<Option<Postponed>, Failure> {
        let NamespaceRole::Node { forward } = role else {
            return self.write_ipv6(&NO_IPV6).map(|()| None);
        };
        let forward = if forward { "1" } else { "0" };
        let mut settings = STATIC_IPV6.to_vec();
        settings.push(("conf/all/forwarding", forward));
        self.write_ipv6(&settings)?;
        // Packets of a node with two ways to it may arrive on another interface than the one that leads back.
        let settings = [("conf/all/rp_filter", "0"), ("conf/default/rp_filter", "0")];
        self.write_family("ipv4", &settings)?;
        self.postpone("ipv4", (FORWARDING, forward))
    }

    /// Opens a file that is to be written later, if a new namespace has another value.
    fn postpone(&mut self, family: &'static str, setting: Setting) -> Result<Option<Postponed>, Failure> {
        let (name, value) = setting;
        if self.starts_with(family, setting) {
            return Ok(None);
        }
        let failed = |errno| (format!("net/{family}/{name}"), errno);
        let directory = self.open(family)?;
        if let Entry::Vacant(unknown) = self.initial.entry((family, name)) {
            let found = unknown.insert(read(&directory, name).map_err(failed)?);
            if found == value.as_bytes() {
                return Ok(None);
            }
        }
        let file = open_file(&directory, name, OFlag::O_WRONLY).map_err(failed)?;
        Ok(Some(Postponed { file, setting }))
    }

    /// Whether new namespaces are known to have a value.
    fn starts_with(&self, family: &'static str, (name, value): Setting) -> bool {
        let initial = self.initial.get(&(family, name));
        initial.is_some_and(|initial| initial == value.as_bytes())
    }

    fn write_ipv6(&mut self, settings: &[Setting]) -> Result<(), Failure> {
        with_or_without_ipv6(self.write_family("ipv6", settings))
    }

    /// Gives the files of one family their values, as far as a new namespace has other ones.
    fn write_family(&mut self, family: &'static str, settings: &[Setting]) -> Result<(), Failure> {
        let mut directory = None;
        for &(name, value) in settings {
            if self.starts_with(family, (name, value)) {
                continue;
            }
            let directory = match &directory {
                Some(opened) => opened,
                None => directory.insert(self.open(family)?),
            };
            let known = self.initial.contains_key(&(family, name));
            let failed = |errno| (format!("net/{family}/{name} to {value}"), errno);
            let found = if known {
                None
            } else {
                Some(read(directory, name).map_err(failed)?)
            };
            if found.as_deref() != Some(value.as_bytes()) {
                write(directory, name, value).map_err(failed)?;
            }
            self.initial.extend(found.map(|found| ((family, name), found)));
        }
        Ok(())
    }

    /// Mounts a new `/proc` over the last one, every now and then. Where that is not allowed (a user namespace without a process
    /// namespace), the one there is does as well, only slower.
    fn renew_view(&mut self) {
        if self.uses.is_multiple_of(PER_VIEW) {
            // Somebody may have changed the host's settings since.
            self.initial.clear();
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

    /// Opens the directory of a family, so that the way there is walked once.
    fn open(&self, family: &str) -> Result<OwnedFd, Failure> {
        let path = self.proc.join("sys/net").join(family);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(&path, flags, Mode::empty()).map_err(|errno| (format!("net/{family}"), errno))
    }
}

/// Whether this kernel has IPv6 at all.
pub(crate) fn kernel_has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// A kernel without IPv6 has nothing to switch on or off.
fn with_or_without_ipv6(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err((name, Errno::ENOENT)) if name == "net/ipv6" => Ok(()),
        result => result,
    }
}

/// The setting meant, and the kernel's answer.
type Failure = (String, Errno);

fn failed(namespace: &str, (setting, errno): Failure) -> NetnsError {
    NetnsError::System {
        operation: format!("change {setting}"),
        namespace: namespace.into(),
        source: io::Error::from(errno),
    }
}

fn read(directory: &OwnedFd, name: &str) -> nix::Result<Vec<u8>> {
    let file = open_file(directory, name, OFlag::O_RDONLY)?;
    let mut buffer = [0; 32];
    let length = file.read_at(&mut buffer, 0).map_err(errno_of)?;
    Ok(buffer[..length].trim_ascii().to_vec())
}

fn write(directory: &OwnedFd, name: &str, value: &str) -> nix::Result<()> {
    write_file(&open_file(directory, name, OFlag::O_WRONLY)?, value)
}

fn open_file(directory: &OwnedFd, name: &str, access: OFlag) -> nix::Result<File> {
    openat(directory, name, access | OFlag::O_CLOEXEC, Mode::empty()).map(File::from)
}

fn write_file(file: &File, value: &str) -> nix::Result<()> {
    // At the beginning: the kernel ignores what is written elsewhere.
    file.write_all_at(value.as_bytes(), 0).map_err(errno_of)
}

fn errno_of(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
