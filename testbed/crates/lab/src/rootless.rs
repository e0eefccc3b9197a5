//! Labs of ordinary users: the supervisor makes a user namespace in which that user is root, and all of a lab lives in it.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use crate::error::LabError;

/// What a lab of an ordinary user has to do without, in one sentence.
pub const ROOTLESS_LIMITS: &str = "not root: nodes have one user id, the link engine is scheduled like everything else (no \
SCHED_FIFO), its receive buffers are no larger than net.core.rmem_max, ports of the host below 1024 cannot be published, and \
limits hold only where a cgroup is delegated to you";

/// What most machines need.
const BECOME_ROOT: &str = "run as root (`sudo dfaas-testbed …`)";

/// Settings by which distributions keep ordinary users from namespaces: file, the value that forbids, the remedy.
const SWITCHES: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "allow user namespaces (`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`), or run as root",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "allow user namespaces (`sudo sysctl kernel.unprivileged_userns_clone=1`), or run as root",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "allow user namespaces (`sudo sysctl user.max_user_namespaces=10000`), or run as root",
    ),
];

/// Whether the calling process is root; if not, its labs live in user namespaces.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Moves the calling process, which must have one thread, into a user namespace of its own where its user is root.
///
/// # Errors
/// [`LabError::MachineCannot`] with what the machine's administrator can do about it.
pub fn enter_user_namespace() -> Result<(), LabError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    // A group could otherwise be left whose members a file shuts out (user_namespaces(7)).
    match fs::write("/proc/self/setgroups", "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot_map(error)),
        _ => {}
    }
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).map_err(cannot_map)?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).map_err(cannot_map)
}

/// What to do where namespaces are refused.
pub(crate) fn remedy() -> String {
    let forbids = |(path, value, _): &&(&str, &str, &str)| {
        fs::read_to_string(path).is_ok_and(|text| text.trim() == *value)
    };
    let remedy = SWITCHES.iter().find(forbids).map(|(.., remedy)| *remedy);
    remedy.unwrap_or(BECOME_ROOT).to_owned()
}

fn refused(errno: Errno) -> LabError {
    LabError::MachineCannot {
        what: format!("not root, and cannot make a user namespace: {}", errno.desc()),
        remedy: remedy(),
    }
}

fn cannot_map(error: io::Error) -> LabError {
    LabError::MachineCannot {
        what: format!("not root, and cannot become root of a user namespace: {error}"),
        remedy: remedy(),
    }
}
