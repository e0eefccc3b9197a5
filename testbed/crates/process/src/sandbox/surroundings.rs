//! What the programs of a sandbox see and may do.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, chdir, chown, getegid, geteuid, pivot_root, setgroups, sethostname, setresgid, setresuid,
};

use super::{Isolation, SANDBOX_USER, SandboxSpec, launcher};
use crate::error::{Cannot, ProcessError};
use crate::init::{attach, devices, make_directory};
use crate::{raw, sys};

/// Where the program is that every sandbox has besides those of the machine.
pub(super) const OWN_PROGRAM: &str = "/.sandbox/program";
/// Files of the sandbox before they cover those of the machine.
const FILES: &str = "/.sandbox/etc";

/// Directories of the machine that hold programs and what these need; everything else stays out of sight.
const SHOWN: [&str; 4] = ["bin", "sbin", "usr", "opt"];
/// Directories that programs may write to, as the user of the sandbox. They are empty at first.
const WRITABLE: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// `CAP_NET_RAW`, the one capability in the original's bounding set. No program here has it.
const KEPT_CAPABILITY: u32 = 13;

/// A detached mount and where it goes.
struct Tree {
    descriptor: OwnedFd,
    is_directory: bool,
    target: PathBuf,
}

/// Makes the file tree, names the host, starts the loopback and gives up all privileges.
pub(super) fn make(spec: &SandboxSpec) -> Result<(), ProcessError> {
    umask(Mode::from_bits_truncate(0o022));
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).cannot(|| "make mounts private".into())?;
    sethostname(&spec.name).cannot(|| format!("set the host name {}", spec.name))?;
    if spec.isolation == Isolation::Full {
        start_loopback().cannot(|| "start the loopback".into())?;
    }
    let (trees, links) = collect(spec)?;
    let devices = devices::collect();
    enter_new_root()?;
    for (target, link) in links {
        symlink(target, &link).cannot(|| format!("make {}", link.display()))?;
    }
    kernel_file_systems(spec)?;
    // What it warns about are devices that are not there; a program that wants one says so itself.
    devices::make(devices, &mut Vec::new())?;
    for tree in trees {
        attach(&tree.descriptor, tree.is_directory, &tree.target)?;
    }
    cover_etc(spec)?;
    for directory in WRITABLE {
        open_to_all(Path::new(directory))?;
    }
    make_directory(&spec.home)?;
    if geteuid().is_root() && has_user() {
        let (user, group) = (Uid::from_raw(SANDBOX_USER), Gid::from_raw(SANDBOX_USER));
        chown(&spec.home, Some(user), Some(group)).cannot(|| format!("give {} away", spec.home.display()))?;
    }
    umount2(".", MntFlags::MNT_DETACH).cannot(|| "leave the old root file system".into())?;
    chdir("/").cannot(|| "enter the new root".into())?;
    give_up_privileges()
}

/// Takes what will be shown from the machine's tree while that is in sight, all of it read-only.
#[expect(clippy::type_complexity, reason = "two lists")]
fn collect(spec: &SandboxSpec) -> Result<(Vec<Tree>, Vec<(PathBuf, PathBuf)>), ProcessError> {
    let (mut trees, mut links) = (Vec::new(), Vec::new());
    for entry in fs::read_dir("/").cannot(|| "read the directory /".into())? {
        let entry = entry.cannot(|| "read the directory /".into())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !SHOWN.contains(&name.as_str()) && name != "etc" && !name.starts_with("lib") {
            continue;
        }
        let path = Path::new("/").join(&name);
        match fs::read_link(&path) {
            Ok(target) => links.push((target, path)),
            Err(_) => trees.push(tree(&path, &path, true)?),
        }
    }
    trees.push(tree(&spec.own_program.1, Path::new(OWN_PROGRAM), true)?);
    for bind in &spec.binds {
        trees.push(tree(&bind.source, &bind.target, bind.read_only)?);
    }
    Ok((trees, links))
}

fn tree(source: &Path, target: &Path, read_only: bool) -> Result<Tree, ProcessError> {
    let is_directory = fs::metadata(source)
        .cannot(|| format!("look at {}", source.display()))?
        .is_dir();
    let descriptor = sys::open_tree(source, true).cannot(|| format!("open {}", source.display()))?;
    if read_only {
        sys::make_read_only(descriptor.as_fd()).cannot(|| format!("make {} read-only", source.display()))?;
    }
    Ok(Tree {
        descriptor,
        is_directory,
        target: target.to_owned(),
    })
}

/// An empty tree in memory. The old one stays mounted below the working directory: the kernel lets an unprivileged user
/// mount `/proc` only while it sees another.
fn enter_new_root() -> Result<(), ProcessError> {
    let place = ["/tmp", "/run", "/mnt", "/var"]
        .into_iter()
        .find(|path| Path::new(path).is_dir())
        .unwrap_or("/usr");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        place,
        Some("tmpfs"),
        flags,
        Some("mode=755,size=25%"),
    )
    .cannot(|| format!("mount a tmpfs at {place}"))?;
    chdir(place).cannot(|| format!("enter {place}"))?;
    pivot_root(".", ".").cannot(|| "change the root file system".into())?;
    chdir("/").cannot(|| "enter the new root".into())
}

fn kernel_file_systems(spec: &SandboxSpec) -> Result<(), ProcessError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    for directory in ["/proc", "/sys", "/dev"] {
        make_directory(Path::new(directory))?;
    }
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).cannot(|| "mount /proc".into())?;
    if spec.isolation == Isolation::Full {
        let read_only = flags | MsFlags::MS_RDONLY;
        // Few programs look into it, and not every machine lets it be mounted here.
        _ = mount(Some("sysfs"), "/sys", Some("sysfs"), read_only, None::<&str>);
    }
    Ok(())
}

/// Puts the sandbox' own files over those of the machine.
fn cover_etc(spec: &SandboxSpec) -> Result<(), ProcessError> {
    make_directory(Path::new(FILES))?;
    for (name, content) in &spec.etc {
        let (source, target) = (Path::new(FILES).join(name), Path::new("/etc").join(name));
        fs::write(&source, content).cannot(|| format!("write {}", source.display()))?;
        if target.is_file() {
            attach(&tree(&source, &target, true)?.descriptor, false, &target)?;
        }
    }
    Ok(())
}

fn open_to_all(path: &Path) -> Result<(), ProcessError> {
    use std::os::unix::fs::PermissionsExt;
    make_directory(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o1777))
        .cannot(|| format!("open {} to all", path.display()))
}

fn start_loopback() -> io::Result<()> {
    let any = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: a structure of numbers, for which zero is a valid value.
    let mut request = unsafe { std::mem::zeroed::<libc::ifreq>() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    use std::os::fd::AsRawFd;
    // SAFETY: the structure is the one this request takes and lives through the call.
    let result = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the user of the sandbox exists in this user namespace. In that of an ordinary user, who is root there, it
/// does not.
fn has_user() -> bool {
    let has = |file: &str| {
        // Without user namespaces there is no such file, and everybody exists.
        fs::read_to_string(file).map_or(true, |map| maps(&map, SANDBOX_USER))
    };
    has("/proc/self/uid_map") && has("/proc/self/gid_map")
}

/// Whether a number is in one of the ranges of a map (user_namespaces(7): first inside, first outside, length).
fn maps(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        match (fields.next(), fields.nth(1)) {
            (Some(Ok(first)), Some(Ok(length))) => {
                (first..first.saturating_add(length)).contains(&u64::from(number))
            }
            _ => false,
        }
    })
}

/// From root to the user of the sandbox, who may nothing.
fn give_up_privileges() -> Result<(), ProcessError> {
    let failed = || "give up privileges".to_owned();
    if geteuid().is_root() && !has_user() {
        // One more user namespace, in which root has the sandbox' number and no power over what was made outside of it.
        let (user, group) = (geteuid().as_raw(), getegid().as_raw());
        unshare(CloneFlags::CLONE_NEWUSER).cannot(|| "make a user namespace".into())?;
        launcher::map_user(user, group)?;
    }
    for capability in (0..64).filter(|capability| *capability != KEPT_CAPABILITY) {
        // SAFETY: integers only.
        let known = unsafe { raw::drop_from_bounding_set(capability) }
            .map_err(io::Error::from_raw_os_error)
            .cannot(failed)?;
        if !known {
            break;
        }
    }
    let (user, group) = (Uid::from_raw(SANDBOX_USER), Gid::from_raw(SANDBOX_USER));
    if geteuid() != user || getegid() != group {
        setgroups(&[]).cannot(failed)?;
        setresgid(group, group, group).cannot(failed)?;
        setresuid(user, user, user).cannot(failed)?;
    }
    // SAFETY: structures of the function's own.
    if !unsafe { raw::drop_all_capabilities() } {
        return Err(io::Error::last_os_error()).cannot(failed);
    }
    nix::sys::prctl::set_no_new_privs().cannot(failed)?;
    // Its programs have the same user: they must not look into it.
    nix::sys::prctl::set_dumpable(false).cannot(failed)
}

#[cfg(test)]
mod tests {
    use super::maps;

    #[test]
    fn a_map_has_the_numbers_of_its_ranges() {
        let all = "         0          0 4294967295\n";
        assert!(maps(all, 1000));
        let single = "         0        500          1\n";
        assert!(maps(single, 0) && !maps(single, 1000));
        let subordinate = "0 500 1\n1 100000 65536\n";
        assert!(maps(subordinate, 1000) && !maps(subordinate, 65_537));
        assert!(!maps("", 0) && !maps("broken", 0) && !maps("0 0", 0));
    }
}
