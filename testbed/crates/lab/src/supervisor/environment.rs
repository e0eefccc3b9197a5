//! What the supervisor does to its own process before it has threads.

use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::error::LabError;
use crate::rootless;

/// Detaches from the terminal, adopts orphans, becomes root of a user namespace if it is not root, enters a private mount namespace with a tmpfs on `scratch`, and takes
/// all the open files it may have.
pub(crate) fn enter(scratch: &Path) -> Result<(), LabError> {
    nix::unistd::setsid().map_err(|errno| cannot("start a session", errno))?;
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| cannot("adopt orphans", errno))?;
    raise_open_files()?;
    if !rootless::is_root() {
        rootless::enter_user_namespace()?;
    }
    unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| LabError::MachineCannot {
        what: format!("cannot make a private mount namespace: {}", errno.desc()),
        remedy: rootless::remedy(),
    })?;
    // Private, so that no mount of the lab ever shows outside and all of them end with the supervisor.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(|errno| cannot("make the mounts private", errno))?;
    std::fs::create_dir_all(scratch).map_err(|source| LabError::file("create", scratch, source))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("dfaas-testbed"),
        scratch,
        Some("tmpfs"),
        flags,
        Some("mode=0755"),
    )
    .map_err(|errno| LabError::file("mount a tmpfs on", scratch, errno.into()))
}

/// A lab needs a few descriptors per node; the usual soft limit of 1024 would end a lab of some hundred nodes.
fn raise_open_files() -> Result<(), LabError> {
    let (_, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(|errno| cannot("read the open file limit", errno))?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|errno| cannot("raise the open file limit", errno))
}

fn cannot(what: &str, errno: nix::errno::Errno) -> LabError {
    LabError::MachineCannot {
        what: format!("cannot {what}: {}", errno.desc()),
        remedy: "`dfaas-testbed doctor` tells what this machine has".to_owned(),
    }
}
